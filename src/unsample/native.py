"""The compiled kernels: what they take, how they are called, which tier and how many threads.

Every function that computes looks like its definition's last lines: a plan and arrays in, an array out. Where
`takes` says no, or where there is no compiled module, the definition in `ops/` runs instead.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from unsample.geometry.arguments import integer
from unsample.geometry.errors import ShapeError
from unsample.geometry.plan import Plan
from unsample.geometry.window import AdaptiveWindow, AnyWindow

_native: Any
try:
    if os.environ.get("UNSAMPLE_NO_NATIVE"):
        raise ImportError("UNSAMPLE_NO_NATIVE is set")
    from unsample import _native
except ImportError as error:
    _native = None
    _missing = str(error)
    if not os.environ.get("UNSAMPLE_NO_NATIVE"):
        warnings.warn(
            f"unsample runs without its compiled kernels, many times slower ({error}); "
            f"see unsample.show_config()",
            RuntimeWarning,
            stacklevel=2,
        )
else:
    _missing = ""


# -- which arrays ------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _moves(dtype: np.dtype[Any]) -> bool:
    """Whether elements of `dtype` can be moved: numbers in this machine's byte order, 1 to 16 bytes wide."""
    return dtype.kind in "biufc" and dtype.isnative and dtype.itemsize in (1, 2, 4, 8, 16)


def takes(*arrays: Any) -> bool:
    """Whether the kernels move the elements of these arrays."""
    return _native is not None and all(type(x) in _ARRAYS and _moves(x.dtype) for x in arrays)


_ARRAYS = (np.ndarray, np.memmap)


def _ready(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`x` as kernels read it: in C order, every element where its size belongs."""
    flags = x.flags
    return x if flags.c_contiguous and flags.aligned else np.array(x, order="C", subok=False)


# -- which plans -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _compiled(plan: Plan) -> Any:
    """The plan on the C++ side: planes, axes, channels, order, and what may be taken for granted."""
    windows = plan.windows
    return _native.Plan(prod(plan.input_shape[: -len(windows)]), [_axis(w) for w in windows], 1, False, False, plan.tiles)


def _axis(window: AnyWindow) -> list[int]:
    if not isinstance(window, AdaptiveWindow):
        return [window.fine, window.coarse, window.size, window.stride, window.dilation, window.before]
    n, m = window.fine, window.coarse
    if m and n % m == 0:
        return [n, m, n // m, n // m, 1, 0]
    starts = [window.start(o) for o in range(m)]
    lengths = [window.length(o) for o in range(m)]
    return [n, m, window.size, 1, 1, 0, *starts, *lengths]


def nearest(x: Any, plan: Plan, out: Any = None) -> Any:
    """Every element over its block."""
    x = _ready(x)
    if out is None:
        out = np.empty(plan.output_shape, x.dtype)
    _native.nearest(_compiled(plan), x, out, x.itemsize, 2)
    return out
