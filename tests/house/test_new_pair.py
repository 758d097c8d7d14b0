"""CONTRIBUTING's list followed to the letter for a pair that is made up: it runs on every library.

The pair is added to a copy of the repository (`made_up_pair.py`), in which the tests of every pair run.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from checklist import ITEMS
from made_up_pair import EDITS, copied

DOCSTRING = ("summary", "equation", "Transpose", "Parameters", "Returns", "Raises", "Notes", "Examples")


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the copy, whose package comes before any that is installed."""
    paths = os.pathsep.join([str(root), str(root / "src"), str(root / "tests/shared")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=900
    )


def test_every_place_of_the_list_has_an_edit() -> None:
    assert [title for title in ITEMS if title not in DOCSTRING] == list(EDITS)


TRIED = """
import jax, jax.numpy as jnp, numpy as np, torch
import unsample as us, unsample.jax as uj, unsample.torch as ut
from pathlib import Path
assert Path(us.__file__).is_relative_to(Path.cwd()), us.__file__

y = np.arange(1.0, 13).reshape(1, 2, 2, 3)
up = y.repeat(2, -1).repeat(2, -2) / 4
np.testing.assert_array_equal(us.mean_unpool(y, 2), up)
np.testing.assert_array_equal(us.mean_pool(up, 2), y / 4)
for function in (us.mean_unpool, jax.jit(us.mean_unpool, static_argnums=1)):
    np.testing.assert_array_equal(function(jnp.asarray(y), 2), up)
assert "unsample_mean_unpool" in str(jax.make_jaxpr(lambda y: us.mean_unpool(y, 2))(jnp.asarray(y)))
gradient = jax.grad(lambda y: (us.mean_unpool(y, 2) ** 2).sum())(jnp.asarray(y, "float32"))
np.testing.assert_allclose(gradient, y / 2)
np.testing.assert_array_equal(uj.mean_unpool(y, 2), up)
np.testing.assert_array_equal(jax.vmap(lambda y: us.mean_unpool(y, (2, 2)))(jnp.asarray(y)), up)

class Up(torch.nn.Module):
    def forward(self, y):
        return us.mean_unpool(y, 2)

t = torch.tensor(y)
assert torch.equal(us.mean_unpool(t, 2), torch.tensor(up))
assert torch.equal(ut.mean_unpool(t, 2), torch.tensor(up))
assert not hasattr(ut, "mean_unpoool") and not hasattr(uj, "mean_unpoool")
leaf = t.clone().requires_grad_()
out = us.mean_unpool(leaf, 2)
assert "unsample_mean_unpool" in type(out.grad_fn).__name__, out.grad_fn
assert torch.autograd.gradcheck(lambda y: us.mean_unpool(y, 2), leaf, check_forward_ad=True)
assert torch.autograd.gradgradcheck(lambda y: us.mean_pool(us.mean_unpool(y, 2), (2, 3)), leaf)
assert torch.equal(torch.vmap(lambda y: us.mean_unpool(y, (2, 2)))(t), torch.tensor(up))
assert us.mean_unpool(t.to("meta"), 2).shape == up.shape
back = lambda y: us.mean_pool(us.mean_unpool(y, 2), 2)
compiled = torch.compile(back, fullgraph=True, backend="aot_eager", dynamic=True)
assert torch.equal(compiled(t), back(t))
windows = [4, 2, 2, 2, 1, 0, 0, 6, 3, 2, 2, 1, 0, 0]
torch.library.opcheck(torch.ops.unsample.mean_unpool.default, (leaf, windows))
matrix = us.matrix(us.mean_unpool, (2,), (2,)).toarray()
np.testing.assert_allclose(matrix, [[0.5, 0], [0.5, 0], [0, 0.5], [0, 0.5]])
assert us.draw.example("mean_unpool", [2, 4], factor=2).output.tolist() == [1, 1, 2, 2]
into = torch.empty(1, 2, 4, 6, dtype=torch.float64)
assert us.mean_unpool(t, 2, out=into) is into and torch.equal(into, torch.tensor(up))
found = us.inspect(torch.nn.Sequential(Up(), torch.nn.Conv2d(1, 1, 3, padding=1)), (1, 1, 4, 4))
(step,) = found.steps
assert (step.what, step.direction, step.settings) == ("unsample.mean_unpool", "up", {"factor": 2}), step
assert (step.scale, step.offset, step.unplaced) == ((0.5, 0.5), (-0.25, -0.25), 0), step
print("tried")
"""


def test_a_pair_of_one_file_runs_on_every_library(tmp_path: Path) -> None:
    root = copied(tmp_path)
    tried = run(root, "-c", TRIED)
    assert tried.stdout == "tried\n", tried.stderr[-3000:]
    # Its mean is rounded twice in bfloat16, where a call of NumPy's definition is rounded once.
    tests = [
        f"tests/{folder}/test_{name}.py"
        for folder, names in {
            "core": ("pairs", "errors", "out"),
            "house": ("contributing",),
            "jax": ("transforms",),
            "torch": ("operators",),
        }.items()
        for name in names
    ]
    passed = run(
        root, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "mean_ and not half_precision", *tests
    )
    assert passed.returncode == 0, passed.stdout[-3000:]
    assert (
        "unsample/ops/mean.py"
        in run(root, "-m", "pytest", "--doctest-modules", "-q", "-v", "src/unsample/ops/mean.py").stdout
    )


MISSING = """
from checklist import forgotten, operations, project
found = [each for each in operations() if each.name.startswith("mean")]
assert len(found) == 2, found
print(*sorted({title for each in found for title in forgotten(each, project())}), sep="\\n")
"""


@pytest.mark.parametrize("title", [*EDITS][2:])
def test_each_place_that_is_left_out_is_named(title: str, tmp_path: Path) -> None:
    root = copied(tmp_path, title)
    found = run(root, "-c", MISSING)
    if title == "Samples in `tests/shared/samples.py`":  # which every test of pairs reads
        assert "KeyError: 'mean_unpool'" in found.stderr
    else:
        assert found.stdout == title + "\n", found.stderr[-2000:]
