"""Without torch and JAX: what stands on NumPy alone works, and the rest names what is missing."""

import subprocess
import sys
import textwrap

import pytest

import pages

# As where nothing is installed: neither found nor, by another module, half imported.
BLOCK = """
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None

sys.meta_path.insert(0, Blocker())
"""

PAIRS = """
import numpy as np, unsample as us
from unsample import interop

x = np.arange(2.0 * 3 * 4 * 6).reshape(2, 3, 4, 6) % 7
w = np.arange(3.0 * 2 * 3 * 3).reshape(3, 2, 3, 3) % 5
for up, down, factor in ((us.nearest, us.window_sum, 2), (us.bed_of_nails, us.decimate, 2)):
    y = np.ones((2, 3, 8, 12))
    assert np.vdot(up(x, factor), y) == np.vdot(x, down(y, factor))
y = us.conv_transpose(x, w, stride=2)
assert np.vdot(y, y) == np.vdot(x, us.conv(y, w, stride=2))
assert np.vdot(y, y) == np.vdot(w, us.conv_weight_grad(y, x, 3, stride=2))
assert us.pixel_unshuffle(us.pixel_shuffle(np.ones((1, 4, 2, 3)), 2), 2).shape == (1, 4, 2, 3)
assert us.resize_transpose(us.resize(x, (8, 12)), (4, 6)).shape == x.shape
values, switches = us.max_pool(x, 2)
assert (us.max_gather(us.max_unpool(values, switches), switches) == values).all()
for name in ("torch", "tf", "onnx"):
    there = interop.convert_switches(switches, None, source="unsample", target=name)
    back = interop.convert_switches(there, (4, 6), 2, source=name, target="unsample")
    assert (back.taps == switches.taps).all()
for name in ("torch", "tf", "keras", "jax", "flax", "onnx"):
    there = interop.convert_conv_transpose(w, {{"stride": 2}}, source="torch", target=name)
    back = interop.convert_conv_transpose(there.weight, there.arguments, source=name, target="unsample")
    assert (us.conv_transpose(x, back.weight, **back.arguments) == y).all()
interop.convert_shuffle(w, (3,), source="torch", target="tf", axis=0)
print(sorted(set(sys.modules) & {{"torch", "jax", "flax", "array_api_compat", "scipy", "tensorflow"}}))
"""


def python(code: str, blocked: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that does not find some modules."""
    code = BLOCK.format(blocked=blocked) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


NONE_OF_THEM = ("torch", "jax", "jaxlib", "flax", "equinox", "array_api_compat", "scipy", "onnx")


def test_pairs_and_converters_need_numpy_alone() -> None:
    done = python(PAIRS.format(), NONE_OF_THEM)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("missing", "statement", "message"),
    [
        ("torch", "import unsample.torch", "unsample.torch: needs PyTorch: pip install 'unsample[torch]'"),
        ("jax", "import unsample.jax", "unsample.jax: JAX is not installed: pip install 'unsample[jax]'"),
        (
            "equinox",
            "import unsample.jax.equinox",
            "unsample.jax.equinox: Equinox is not installed: pip install equinox",
        ),
        (
            "flax",
            "import unsample.jax.flax",
            "unsample.jax.flax: Flax is not installed: pip install flax",
        ),
        (
            "array_api_compat",
            # The kernels need nothing beside torch, the definition does.
            "import torch, unsample; unsample.conv(*[torch.ones(1, 1, 2, dtype=torch.complex64)] * 2)",
            "conv: torch tensors need array-api-compat: pip install 'unsample[torch]'",
        ),
        (
            "scipy",
            "import unsample as us; us.matrix(us.nearest, (2,), (2,))",
            "matrix: sparse matrices need SciPy: pip install scipy",
        ),
    ],
)
def test_what_is_missing_is_named(missing: str, statement: str, message: str) -> None:
    works = "import numpy, unsample\nprint(unsample.nearest(numpy.ones(1), (2,)))\n"
    done = python(works + statement, (missing,))
    assert done.returncode == 1
    assert done.stdout == "[1. 1.]\n"
    assert done.stderr.splitlines()[-1] in (f"ImportError: {message}", f"ModuleNotFoundError: {message}")


def test_a_fault_inside_a_framework_is_not_called_missing() -> None:
    """Torch is there and something that torch imports is not: that name, and no other advice."""
    done = python("import unsample.torch", ("typing_extensions",))
    assert done.returncode == 1
    assert "typing_extensions" in done.stderr.splitlines()[-1]
    assert "unsample[torch]" not in done.stderr.splitlines()[-1]


def test_the_example_runs_without_torch() -> None:
    example = (pages.ROOT / "examples" / "learn_a_filter.py").read_text(encoding="utf-8")
    done = python(example, NONE_OF_THEM)
    assert done.returncode == 0, done.stderr


def test_the_example_of_porting_runs_without_torch() -> None:
    example = (pages.ROOT / "examples" / "port_keras_weights.py").read_text(encoding="utf-8")
    done = python(example, NONE_OF_THEM)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "unsample {'stride': (2, 2), 'dilation': (1, 1), 'groups': 1, 'padding': ((0, 1), (0, 1))}"
    )
    assert "cannot be written" in lines[1]
    assert float(lines[-1].rpartition(" ")[2]) < 1e-12
