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


# -- how they lie ------------------------------------------------------------------------------------------
#
# In C order, or with the channels, the axis before the spatial ones, behind those: channels last. A kernel
# is told which by its plan, and is handed memory in C order: of what is channels last, with that axis moved.


@lru_cache(maxsize=256)
def _orders(ndim: int, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The order of axes that moves the channels to the end, and the one that moves them back."""
    channel = ndim - rank - 1
    return (
        (*range(channel), *range(channel + 1, ndim), channel),
        (*range(channel), ndim - 1, *range(channel, ndim - 1)),
    )


def _channels_last(x: Any, plan: Plan) -> bool:
    """Whether the channels of `x` lie behind its spatial axes, side by side at every position."""
    if x.flags.c_contiguous or x.ndim <= plan.rank or not x.flags.aligned:
        return False
    return bool(x.transpose(_orders(x.ndim, plan.rank)[0]).flags.c_contiguous)


def _source(x: Any, plan: Plan, last: bool) -> Any:
    """The memory of `x` as kernels read it; of a copy where `x` lies otherwise."""
    return in_c_order(x.transpose(_orders(x.ndim, plan.rank)[0]) if last else x)


def _target(out: Any, plan: Plan, dtype: Any, last: bool) -> tuple[Any, Any]:
    """Memory that a kernel writes, and the array that this is: `out` itself where it lies so."""
    shape = plan.output_shape
    if not last:
        target = kernel_target(out, shape, dtype)
        return target, target
    there, back = _orders(len(shape), plan.rank)
    seen = None if out is None else out.transpose(there)
    memory = kernel_target(seen, tuple([shape[axis] for axis in there]), dtype)
    return memory, out if memory is seen else memory.transpose(back)


# -- which plans -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)  # of the size of a plan: those with tables are kept apart
def compiled_plan(plan: Plan, last: bool = False, channels: int = 0, blocks: bool = False) -> Any:
    """The plan on the C++ side."""
    return module.kernels.Plan(*plan_arguments(plan, last, channels, blocks))


def compiled_pool_plan(plan: Plan, last: bool) -> Any:
    """The same of a pooling, whose windows may have tables: two numbers of eight bytes each."""
    if type(plan.windows[-1]) is Window:  # then all are
        return compiled_plan(plan, last)
    key = compiled_pool_plan, plan, last
    found = cache.find(key)
    if found is None:
        found = module.kernels.Plan(*plan_arguments(plan, last))
        cache.keep(key, found, 16 * sum(plan.coarse))
    return found


def plan_arguments(
    plan: Plan, last: bool = False, channels: int = 0, blocks: bool = False
) -> tuple[Any, ...]:
    """The plan in numbers: planes, axes, channels, blocks, inside, tiles, last.

    `channels` are those of the finer side of a shuffle; others have some where these lie last.
    """
    rank = len(plan.windows)
    if last and not channels:
        channels = plan.input_shape[-rank - 1]
    leading = plan.input_shape[: len(plan.input_shape) - rank - (channels > 0)]
    inside = all(_inside(window) for window in plan.windows)
    axes = [_axis(window) for window in plan.windows]
    return prod(leading), axes, max(channels, 1), blocks, inside, plan.tiles, last


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
    last = _channels_last(x, plan)
    target, result = _target(out, plan, x.dtype, last)
    compiled = compiled_plan(plan, last, channels, blocks)
    getattr(module.kernels, kernel)(compiled, _source(x, plan, last), target, target.itemsize)
    return placed(result, out)


def window_sum(y: ArrayT, plan: Plan, dtype: Any, out: ArrayT | None) -> ArrayT:
    """Every block added up, in the order of the definition."""
    last = _channels_last(y, plan)
    target, result = _target(out, plan, dtype, last)
    source, code = _source(y, plan, last), dtype_code(y.dtype)
    module.kernels.window_sum(compiled_plan(plan, last), source, target, code, target.itemsize)
    return placed(result, out)


def max_pool(x: Any, plan: Plan, taps_dtype: Any, out: tuple[Any, Any]) -> tuple[Any, Any]:
    """The largest of every window, and (unless `taps_dtype` is None) which it was."""
    last = _channels_last(x, plan)
    target, values = _target(out[0], plan, x.dtype, last)
    numbers = taps = None
    if taps_dtype is not None:
        numbers, taps = _target(out[1], plan, taps_dtype, last)
    width = 1 if numbers is None else numbers.itemsize
    source, code = _source(x, plan, last), dtype_code(x.dtype)
    module.kernels.pool(compiled_pool_plan(plan, last), source, target, numbers, code, width)
    return placed(values, out[0]), placed(taps, out[1])


def kernel_takes_taps(taps: Any) -> bool:
    """Whether switches lie as the kernels read them: unsigned, one, two or four bytes each."""
    return kernel_takes_moves(taps) and taps.dtype.kind == "u" and taps.itemsize <= 4


def max_unpool(values: Any, taps: Any, plan: Plan, duplicates: str, out: Any) -> Any:
    """Values back to where their switches point; None where one points nowhere."""
    last = _channels_last(values, plan)
    target, result = _target(out, plan, values.dtype, last)
    rule, code = unpool_rule(plan, duplicates, values.dtype)
    sources = _source(values, plan, last), _source(taps, plan, last)
    compiled = compiled_pool_plan(plan, last)
    good = module.kernels.unpool(compiled, *sources, target, code, taps.itemsize, rule)
    return placed(result, out) if good else None


def unpool_rule(plan: Plan, duplicates: str, dtype: np.dtype[Any]) -> tuple[int, int]:
    """What becomes of values that meet, and what the kernel for it is told about their dtype."""
    rule = _RULES.get(duplicates, _LAST)
    if rule == _LAST or plan.tiles:  # nothing meets: all four are the same
        return _LAST, dtype.itemsize
    return rule, dtype_code(dtype)


def max_gather(x: Any, taps: Any, plan: Plan, out: Any) -> Any:
    """The elements that switches point to; None where one points nowhere."""
    last = _channels_last(x, plan)
    target, result = _target(out, plan, x.dtype, last)
    sources = _source(x, plan, last), _source(taps, plan, last)
    good = module.kernels.gather(compiled_pool_plan(plan, last), *sources, target, x.itemsize, taps.itemsize)
    return placed(result, out) if good else None


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
    last = _channels_last(x, plan)
    target, result = _target(out, plan, x.dtype, last)
    source = _source(x, plan, last)
    passes = compiled_passes(plan, up, last)
    for i, (terms, rows, shape, outer, inner) in enumerate(passes, 1):
        fresh = target if i == len(passes) else empty(shape, x.dtype)
        if isinstance(terms, Resample):
            _resize_long(terms, up, copy, source, fresh, outer, inner)
        else:
            module.kernels.resize(terms, source, fresh, outer, inner, x.itemsize, copy and up, rows)
        source = fresh
    return placed(result, out)


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


Passes = list[tuple[Any, Any, tuple[int, ...], int, int]]
_LIGHT = 100_000  # bytes of terms that the 256 plans used last may have each


@lru_cache(maxsize=256)
def _light_passes(plan: Plan, up: bool, last: bool) -> Passes | None:
    """`compiled_passes` of few terms, a microsecond faster; None of many, which are kept by their bytes."""
    changed = [r for r in plan.resamples if r.changes]
    many = sum(_terms_bytes(r.slots * r.target, max(r.source, r.target)) for r in changed)
    return _made_passes(plan, up, last) if many <= _LIGHT else None


def compiled_passes(plan: Plan, up: bool, last: bool) -> Passes:
    """What each pass needs to know, in the order of the axes.

    Its terms, or the axis where they are many; the terms of the axis before where that is resized in the same
    pass, or None; the shape after it, and the elements before its axes and behind them.
    """
    return _light_passes(plan, up, last) or _made_passes(plan, up, last)


def _made_passes(plan: Plan, up: bool, last: bool) -> Passes:
    found: Passes = []
    for axis, shape, outer, inner in resize_passes(plan, up, last):
        blocks = list(itertools.islice(axis.blocks(up), 2))
        terms: Any = _terms(axis, up, *blocks[0]) if len(blocks) == 1 else axis
        # Vectors run along what is behind an axis: two axes side by side are one pass through memory.
        if inner > 1 and found and terms is not axis:
            above, rows, _, before, behind = found[-1]
            beside = behind == inner * (axis.source if up else axis.target)
            if beside and rows is None and not isinstance(above, Resample):
                found[-1] = terms, above, shape, before, inner
                continue
        found.append((terms, None, shape, outer, inner))
    return found


def resize_passes(
    plan: Plan, up: bool, last: bool = False
) -> list[tuple[Resample, tuple[int, ...], int, int]]:
    """For every axis that changes: how, the memory's shape after it, its elements before it and behind it."""
    passes, shape = [], list(plan.input_shape)
    if last:
        shape = [shape[axis] for axis in _orders(len(shape), plan.rank)[0]]
    for axis, resample in enumerate(plan.resamples, len(shape) - plan.rank - last):
        if not resample.changes:
            continue
        outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
        shape[axis] = resample.target if up else resample.source
        passes.append((resample, tuple(shape), outer, inner))
    return passes
