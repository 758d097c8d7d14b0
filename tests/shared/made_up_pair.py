"""A pair that nobody needs, `mean_unpool` and `mean_pool`, added by the list of CONTRIBUTING.md."""

import importlib.util
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from pages import ROOT

FAMILY = '''"""Average unpooling and its transpose, the mean of a block: equal weights, 1 in all."""

import math
from collections.abc import Sequence
from typing import Any

from unsample.arrays import dispatch
from unsample.arrays.library import ArrayT, namespace
from unsample.arrays.out import check_out, placed
from unsample.geometry.arguments import IntOrInts, per_axis, rank_of
from unsample.geometry.plan import Plan, cached_plan, plan_of_windows
from unsample.geometry.sizes import blocks_over, blocks_under, check_divides
from unsample.geometry.window import Window
from unsample.operation import Operation, Pair, same_call
from unsample.ops.nearest import nearest_definition, window_sum_definition

KINDS = ("real", "complex")


def unpool_windows(shape: Sequence[int], factor: IntOrInts) -> tuple[Window, ...]:
    rank = rank_of("mean_unpool", "factor", factor, shape, "y")
    return blocks_under(shape[-rank:], per_axis("mean_unpool", "factor", factor, rank, minimum=1))


def pool_windows(shape: Sequence[int], factor: IntOrInts) -> tuple[Window, ...]:
    rank = rank_of("mean_pool", "factor", factor, shape)
    return blocks_over(shape[-rank:], per_axis("mean_pool", "factor", factor, rank, minimum=1))


def plan_unpool_over(shape: Sequence[int], windows: tuple[Window, ...]) -> Plan:
    return plan_of_windows("mean_unpool", shape, windows, up=True)


def plan_pool_over(shape: Sequence[int], windows: tuple[Window, ...]) -> Plan:
    check_divides("mean_pool", shape, windows)
    return plan_of_windows("mean_pool", shape, windows, up=False)


def plan_mean_unpool(shape: Sequence[int], factor: IntOrInts) -> Plan:
    return plan_unpool_over(shape, unpool_windows(shape, factor))


def plan_mean_pool(shape: Sequence[int], factor: IntOrInts) -> Plan:
    return plan_pool_over(shape, pool_windows(shape, factor))


def mean_unpool(y: ArrayT, factor: IntOrInts, *, out: ArrayT | None = None) -> ArrayT:
    """Share every element out over a block of `factor` elements per axis.

        out[..., i] = y[..., i // factor] / block

    Transpose: `mean_pool`.

    Parameters
    ----------
    y : array, (..., *spatial)
        Real or complex.
    factor, out
        As in `nearest`.

    Returns
    -------
    array, (..., *spatial * factor)

    Raises
    ------
    ShapeError, TypeError
        As `nearest`.

    Notes
    -----
    Source: nobody; a test made it up.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.mean_unpool(np.array([2.0, 4.0]), (2,))
    array([1., 1., 2., 2.])
    """
    if (call := dispatch.door(y)) is not None:
        return call("mean_unpool", (y,), (), out, factor)  # type: ignore[no-any-return]
    xp = namespace("mean_unpool", KINDS, y=y)
    return unpool_as_planned(xp, y, cached_plan(plan_mean_unpool, (y.shape,), factor), out)


def unpool_as_planned(xp: Any, y: Any, plan: Plan, out: Any) -> Any:
    if out is not None:
        check_out("mean_unpool", out, plan.output_shape, y.dtype, y=y)
    return placed(dispatch.implementation(unpool_definition, y)(y, plan), out)


def unpool_definition(y: Any, plan: Plan) -> Any:
    return nearest_definition(y, plan) / math.prod(plan.kernel_size)


def mean_pool(x: ArrayT, factor: IntOrInts, *, out: ArrayT | None = None) -> ArrayT:
    """The mean of every block of `factor` elements per axis.

        out[..., i] = sum over t < factor of x[..., i * factor + t] / block

    Transpose: `mean_unpool`.

    Parameters
    ----------
    x : array, (..., *spatial)
        Real or complex; each spatial size must be divisible by its factor.
    factor, out
        As in `nearest`.

    Returns
    -------
    array, (..., *spatial / factor)

    Raises
    ------
    ShapeError, TypeError
        As `window_sum`.

    Notes
    -----
    Source: nobody; a test made it up.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.mean_pool(np.array([1.0, 3.0, 2.0, 4.0]), (2,))
    array([2., 3.])
    """
    if (call := dispatch.door(x)) is not None:
        return call("mean_pool", (x,), (), out, factor)  # type: ignore[no-any-return]
    xp = namespace("mean_pool", KINDS, x=x)
    return pool_as_planned(xp, x, cached_plan(plan_mean_pool, (x.shape,), factor), out)


def pool_as_planned(xp: Any, x: Any, plan: Plan, out: Any) -> Any:
    if out is not None:
        check_out("mean_pool", out, plan.output_shape, x.dtype, x=x)
    return placed(dispatch.implementation(pool_definition, x)(x, plan), out)


def pool_definition(x: Any, plan: Plan) -> Any:
    return window_sum_definition(x, plan) / math.prod(plan.kernel_size)


OPERATIONS = (
    Operation(
        mean_unpool,
        plan_mean_unpool,
        unpool_windows,
        plan_unpool_over,
        unpool_as_planned,
        unpool_definition,
        partner="mean_pool",
        arrays=("y",),
        up=True,
        lies="blocks",
        sums=True,
        kinds=KINDS,
    ),
    Operation(
        mean_pool,
        plan_mean_pool,
        pool_windows,
        plan_pool_over,
        pool_as_planned,
        pool_definition,
        partner="mean_unpool",
        lies="blocks",
        sums=True,
        kinds=KINDS,
    ),
)
PAIRS = (
    Pair("mean_unpool", mean_pool, mean_unpool, plan_mean_pool, plan_mean_unpool, same_call, "1 / block"),
)
'''
SAMPLES = """    "mean_unpool": [
        ("2d", (2, 3, 6, 10), (2,), {}),
        ("per-axis", (3, 6, 10), ((2, 5),), {}),
    ],
"""
ERRORS = """
        (0, lambda A: us.mean_unpool(A(X), 0), SHAPE, "mean_unpool: factor must be at least 1, got 0"),
        (0, lambda A: us.mean_pool(A(X), 0), SHAPE, "mean_pool: factor must be at least 1, got 0"),
"""
IMPORT = "from unsample.ops.mean import mean_pool, mean_unpool\n"
ROW = "| [`mean_unpool`](docs/operations/mean.md) | `mean_pool` | 1 / block |\n"


def _changed(path: str, pattern: str, new: str) -> Callable[[Path], None]:
    """What puts `new` before the first line that `pattern` begins."""

    def edit(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        assert re.search(pattern, text, re.MULTILINE), (path, pattern)
        changed = re.sub(pattern, lambda found: new + found[0], text, count=1, flags=re.MULTILINE)
        (root / path).write_text(changed, encoding="utf-8")

    return edit


def _written(path: str, text: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        (root / path).write_text(text, encoding="utf-8")

    return edit


def _replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        assert old in text, (path, old)
        (root / path).write_text(text.replace(old, new), encoding="utf-8")

    return edit


# Title in CONTRIBUTING.md -> what is done to a copy of the repository. The docstrings stand in the family.
EDITS: dict[str, list[Callable[[Path], None]]] = {
    "A function in `src/unsample/ops/`": [_written("src/unsample/ops/mean.py", FAMILY)],
    "A record in `PAIRS`": [
        _replaced("src/unsample/pairs.py", "import conv, nails,", "import conv, mean, nails,"),
        _replaced("src/unsample/pairs.py", "shuffle, resize)", "shuffle, resize, mean)"),
    ],
    "A name in `unsample.__all__`": [
        _changed(
            "src/unsample/__init__.py",
            "^from unsample.ops.nails",
            "from unsample.ops.mean import mean_pool, mean_unpool\n",
        ),
        _changed("src/unsample/__init__.py", '^    "nearest",', '    "mean_pool",\n    "mean_unpool",\n'),
    ],
    "Samples in `tests/shared/samples.py`": [
        _changed("tests/shared/samples.py", '^    "nearest": \\[', SAMPLES)
    ],
    "Error samples in `tests/shared/error_samples.py`": [
        _changed(
            "tests/shared/error_samples.py", '^        \\(20, lambda A: us.nearest\\(A\\(X\\), "2"\\)', ERRORS
        )
    ],
    "A snippet on a page of `docs/operations/`": [
        _written("docs/operations/mean.md", "```python\n>>> us.mean_unpool(y, 2), us.mean_pool(x, 2)\n```\n")
    ],
    "A row in the README's table of pairs": [
        _changed(
            "README.md",
            r"^\| \[`nearest`\]",
            "| [`mean_unpool`](docs/operations/mean.md) | `mean_pool` | 1 / block |\n",
        )
    ],
}


def copied(root: Path, *left_out: str) -> Path:
    """A copy of the repository with the pair in it, less the edits that are left out."""
    for name in ("src", "tests", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml"):
        here = ROOT / name
        if here.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.png", "*.svg")
            shutil.copytree(here, root / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy(here, root / name)
    compiled = importlib.util.find_spec("unsample._native")
    if compiled is not None and compiled.origin is not None:
        shutil.copy(compiled.origin, root / "src/unsample")
    # An editable install finds its package before any folder; this runs after it.
    (root / "sitecustomize.py").write_text(
        "import sys\n"
        "sys.meta_path[:] = [each for each in sys.meta_path if 'ScikitBuild' not in type(each).__name__]\n",
        encoding="utf-8",
    )
    for title, edits in EDITS.items():
        for edit in [] if title in left_out else edits:
            edit(root)
    return root
