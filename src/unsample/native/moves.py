"""The compiled kernels: what they take, and what they are told.

Each function here ends an operation as its definition would: a plan and arrays in, an array out. Where
`kernel_takes_...` says no, or where nothing is compiled, the definition in `ops/` runs instead.
"""

import itertools
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from unsample import cache
from unsample.arrays.library import ArrayT
from unsample.arrays.out import placed
from unsample.arrays.packed_weight import PackedWeight
from unsample.geometry.plan import Plan
from unsample.geometry.resample import Resample
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window
from unsample.native import module
from unsample.native.memory import empty

# The order of native/common/element.h.
_DTYPES = (
    *("float32", "float64", "float16", "bfloat16"),
    *("int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)
_LAST, _SUM, _MAX = range(3)
_RULES = {"sum": _SUM, "max": _MAX}


# -- which arrays ------------------------------------------------------------------------------------------

_ARRAYS = (np.ndarray, np.memmap, PackedWeight)


@lru_cache(maxsize=64)
def _moves(dtype: np.dtype[Any]) -> bool:
    """Whether elements are numbers in this machine's byte order, of a width that the kernels move."""
    return dtype.kind in "biufc" and dtype.isnative and dtype.itemsize in (1, 2, 4, 8, 16)


@lru_cache(maxsize=64)
def dtype_code(dtype: np.dtype[Any]) -> int:
    """The place of a dtype among those that are compared and added, -1 for the others."""
    name = "uint8" if dtype.kind == "b" else dtype.name
    return _DTYPES.index(name) if name in _DTYPES and _moves(dtype) else -1


def kernel_takes_moves(*arrays: Any) -> bool:
    """Whether the kernels can move the elements of these arrays."""
    if module.kernels is None:
        return False
    for x in arrays:  # half the time of all() over a generator
        if type(x) in _ARRAYS and _moves(x.dtype):
            continue
        return False
    return True


def kernel_takes_sums(*arrays: Any) -> bool:
    """Whether the kernels can also compare and add them: no complex numbers, no long doubles."""
    if module.kernels is None:
        return False
    for x in arrays:
        if type(x) in _ARRAYS and dtype_code(x.dtype) >= 0:
            continue
        return False
    return True


def in_c_order(x: Any) -> Any:
    """`x` as kernels read it: in C order, every element at a multiple of its size."""
    flags = x.flags
    return x if flags.c_contiguous and flags.aligned else np.array(x, order="C", subok=False)


def kernel_target(out: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Where a kernel writes: `out` itself where it is in C order."""
    if out is not None and out.flags.c_contiguous and out.flags.aligned:
        return out
    return empty(shape, dtype)


# -- which plans -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)  # of the size of a plan: those with tables are kept apart
def compiled_plan(plan: Plan, channels: int = 0, blocks: bool = False) -> Any:
    """The plan on the C++ side."""
    return module.kernels.Plan(*plan_arguments(plan, channels, blocks))


def compiled_pool_plan(plan: Plan) -> Any:
    """The same of a pooling, whose windows may have tables: two numbers of eight bytes each."""
    if type(plan.windows[-1]) is Window:  # then all are
        return compiled_plan(plan, 0)
    key = compiled_pool_plan, plan
    found = cache.find(key)
    if found is None:
        found = module.kernels.Plan(*plan_arguments(plan))
        cache.keep(key, found, 16 * sum(plan.coarse))
    return found


def plan_arguments(plan: Plan, channels: int = 0, blocks: bool = False) -> tuple[Any, ...]:
    """The plan in numbers: planes, axes, channels, blocks, inside, tiles."""
    rank = len(plan.windows)
    leading = plan.input_shape[: len(plan.input_shape) - rank - (channels > 0)]
    inside = all(_inside(window) for window in plan.windows)
    axes = [_axis(window) for window in plan.windows]
    return prod(leading), axes, max(channels, 1), blocks, inside, plan.tiles


def _inside(window: AnyWindow) -> bool:
    """Whether every tap of every window meets an element."""
    if isinstance(window, AdaptiveWindow):
        return window.tiles
    last = window.start(window.coarse - 1) + window.extent
    return window.coarse == 0 or (window.before <= 0 and last <= window.fine)


def _axis(window: AnyWindow) -> list[int]:
    if not isinstance(window, AdaptiveWindow):
        return [window.fine, window.coarse, window.size, window.stride, window.dilation, window.before]
    n, m = window.fine, window.coarse
    if m and n % m == 0:
        return [n, m, n // m, n // m, 1, 0]
    # A list of Python's numbers takes 40 bytes for each: too many fail here, at once, and not bit by bit.
    np.empty(80 * m, np.uint8)
    return [n, m, max(window.size, 1), 1, 1, 0, *window.starts().tolist(), *window.lengths().tolist()]


# -- the operations ----------------------------------------------------------------------------------------


def move(
    kernel: str, x: ArrayT, plan: Plan, out: ArrayT | None, channels: int = 0, blocks: bool = False
) -> ArrayT:
    """Elements from place to place: "nearest", "nails", "decimate", "shuffle", "unshuffle"."""
    source = in_c_order(x)
    target = kernel_target(out, plan.output_shape, source.dtype)
    getattr(module.kernels, kernel)(compiled_plan(plan, channels, blocks), source, target, source.itemsize)
    return placed(target, out)


def window_sum(y: ArrayT, plan: Plan, dtype: Any, out: ArrayT | None) -> ArrayT:
    """Every block added up, in the order of the definition."""
    source = in_c_order(y)
    target = kernel_target(out, plan.output_shape, dtype)
    module.kernels.window_sum(compiled_plan(plan), source, target, dtype_code(source.dtype), target.itemsize)
    return placed(target, out)


def max_pool(x: Any, plan: Plan, taps_dtype: Any, out: tuple[Any, Any]) -> tuple[Any, Any]:
    """The largest of every window, and (unless `taps_dtype` is None) which it was."""
    x = in_c_order(x)
    values = kernel_target(out[0], plan.output_shape, x.dtype)
    taps = None if taps_dtype is None else kernel_target(out[1], plan.output_shape, taps_dtype)
    width = 1 if taps is None else taps.itemsize
    module.kernels.pool(compiled_pool_plan(plan), x, values, taps, dtype_code(x.dtype), width)
    return placed(values, out[0]), placed(taps, out[1])


def kernel_takes_taps(taps: Any) -> bool:
    """Whether switches lie as the kernels read them: unsigned, one, two or four bytes each."""
    return kernel_takes_moves(taps) and taps.dtype.kind == "u" and taps.itemsize <= 4


def max_unpool(values: Any, taps: Any, plan: Plan, duplicates: str, out: Any) -> Any:
    """Values back to where their switches point; None where one points nowhere."""
    values, taps = in_c_order(values), in_c_order(taps)
    target = kernel_target(out, plan.output_shape, values.dtype)
    rule, code = unpool_rule(plan, duplicates, values.dtype)
    good = module.kernels.unpool(compiled_pool_plan(plan), values, taps, target, code, taps.itemsize, rule)
    return placed(target, out) if good else None


def unpool_rule(plan: Plan, duplicates: str, dtype: np.dtype[Any]) -> tuple[int, int]:
    """What becomes of values that meet, and what the kernel for it is told about their dtype."""
    rule = _RULES.get(duplicates, _LAST)
    if rule == _LAST or plan.tiles:  # nothing meets: all four are the same
        return _LAST, dtype.itemsize
    return rule, dtype_code(dtype)


def max_gather(x: Any, taps: Any, plan: Plan, out: Any) -> Any:
    """The elements that switches point to; None where one points nowhere."""
    x, taps = in_c_order(x), in_c_order(taps)
    target = kernel_target(out, plan.output_shape, x.dtype)
    good = module.kernels.gather(compiled_pool_plan(plan), x, taps, target, x.itemsize, taps.itemsize)
    return placed(target, out) if good else None


def _terms(axis: Resample, up: bool, begin: int, end: int) -> Any:
    """What outputs [begin, end) of an axis are made of, on the C++ side; kept where that is a whole axis."""
    key = _terms, axis, up, begin, end
    found = cache.find(key)
    if found is None:
        n, outputs = (axis.source, axis.target) if up else (axis.target, axis.source)
        first, source, weights = map(np.ascontiguousarray, axis.terms(up, begin, end))
        found = module.kernels.Terms(n, end - begin, first, source, weights)
        if end - begin == outputs:
            cache.keep(key, found, _terms_bytes(len(weights), outputs))
    return found


def _terms_bytes(terms: int, outputs: int) -> int:
    """Bytes of `Terms` in native/move/terms.h: sources, and weights in two widths, each in two orders."""
    return 40 * terms + 8 * outputs


def terms_arguments(axis: Resample, up: bool) -> tuple[Any, ...]:
    """The same of a whole axis in numbers: both sizes, where terms begin, their sources and weights."""
    n, m = (axis.source, axis.target) if up else (axis.target, axis.source)
    return n, m, *axis.terms(up, 0, m)


def kernel_takes_resize(x: Any, copy: bool, up: bool) -> bool:
    """Whether the kernels resize `x`: copies of any width, sums of float32 and float64."""
    return kernel_takes_moves(x) and ((copy and up) or x.dtype in _RESIZED)


_RESIZED = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


def resize(x: Any, plan: Plan, up: bool, copy: bool, out: Any) -> Any:
    """One axis after the other, of those that change; the last into `out`."""
    passes = compiled_passes(plan, up)
    for i, (blocks, shape, outer, inner) in enumerate(passes, 1):
        source = in_c_order(x)
        x = kernel_target(out if i == len(passes) else None, shape, source.dtype)
        if isinstance(blocks, Resample):
            _resize_long(blocks, up, copy, source, x, outer, inner)
        else:
            module.kernels.resize(blocks, source, x, outer, inner, source.itemsize, copy and up)
    return placed(x, out)


def _resize_long(
    axis: Resample, up: bool, copy: bool, source: Any, target: Any, outer: int, inner: int
) -> None:
    """A block of outputs after the other: the terms of all would be many times as large as the result."""
    n, m = (axis.source, axis.target) if up else (axis.target, axis.source)
    rows, made = source.reshape(outer, n * inner), target.reshape(outer, m * inner)
    if made.size == 0:
        return
    for begin, end in axis.blocks(up):
        terms = _terms(axis, up, begin, end)
        for row, out in zip(rows, made, strict=True):
            here = out[begin * inner : end * inner]
            module.kernels.resize(terms, row, here, 1, inner, source.itemsize, copy and up)


Passes = list[tuple[Any, tuple[int, ...], int, int]]
_LIGHT = 100_000  # bytes of terms that the 256 plans used last may have each


@lru_cache(maxsize=256)
def _light_passes(plan: Plan, up: bool) -> Passes | None:
    """`compiled_passes` of few terms, a microsecond faster; None of many, which are kept by their bytes."""
    changed = [r for r in plan.resamples if r.changes]
    many = sum(_terms_bytes(r.slots * r.target, max(r.source, r.target)) for r in changed)
    return _made_passes(plan, up) if many <= _LIGHT else None


def compiled_passes(plan: Plan, up: bool) -> Passes:
    """What each pass needs to know, in the order of the axes: its terms, or the axis where they are many."""
    return _light_passes(plan, up) or _made_passes(plan, up)


def _made_passes(plan: Plan, up: bool) -> Passes:
    found: Passes = []
    for axis, *rest in resize_passes(plan, up):
        blocks = list(itertools.islice(axis.blocks(up), 2))
        terms: Any = _terms(axis, up, *blocks[0]) if len(blocks) == 1 else axis
        found.append((terms, *rest))
    return found


def resize_passes(plan: Plan, up: bool) -> list[tuple[Resample, tuple[int, ...], int, int]]:
    """For every axis that changes: how, the shape after it, and the elements before it and behind it."""
    passes, shape = [], list(plan.input_shape)
    for axis, resample in enumerate(plan.resamples, len(shape) - plan.rank):
        if not resample.changes:
            continue
        outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
        shape[axis] = resample.target if up else resample.source
        passes.append((resample, tuple(shape), outer, inner))
    return passes
