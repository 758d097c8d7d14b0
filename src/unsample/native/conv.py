"""The compiled convolutions: conv, conv_transpose and conv_weight_grad of NumPy arrays.

Each function ends its operation as the definition would, or returns None where that has to run: other
libraries and dtypes, more axes than the kernels have, nothing compiled.
"""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, cast

import numpy as np

from unsample import cache
from unsample.arrays.library import sum_dtype, zeros
from unsample.arrays.out import placed
from unsample.arrays.packed_weight import PackedWeight
from unsample.arrays.stamp import add_tap, slice_tap
from unsample.geometry.plan import Plan
from unsample.geometry.window import Window
from unsample.native import module, moves
from unsample.native.memory import empty

MAX_RANK = 6  # native/conv/kernels/job.h
_ELEMENTS = ("float32", "float64", "float16", "bfloat16")  # the last of ml_dtypes: NumPy has none itself
_BFLOAT16 = 3
_FOLDS = {"zeros": 0, "circular": 1, "reflect": 2, "replicate": 3}


def conv(x: Any, weight: Any, bias: Any, plan: Plan, groups: int, dtype: Any, out: Any) -> Any:
    """`unsample.conv` as planned."""
    if _counts(dtype, x):
        return _whole(conv, x, weight, bias, plan, groups, dtype, out)
    return _multiply(False, x, weight, bias, plan, groups, dtype, out)


def conv_transpose(y: Any, weight: Any, bias: Any, plan: Plan, groups: int, dtype: Any, out: Any) -> Any:
    """`unsample.conv_transpose` as planned."""
    if _counts(dtype, y):
        return None if _folds(plan) else _whole(conv_transpose, y, weight, bias, plan, groups, dtype, out)
    if not _folds(plan):
        return _multiply(True, y, weight, bias, plan, groups, dtype, out)
    if 0 in plan.output_shape or not _kernel_takes_conv(plan, dtype, y, weight, bias):
        return None  # padding of an axis without elements folds onto nothing
    # With the padding kept, which is then folded back; sums of float16 stay in float32 until then.
    total = np.promote_types(dtype, np.float32)
    y, weight = _cast(y, total), _cast(weight, total)
    done = _multiply(True, y, weight, None, unfolded(plan), groups, total, None)
    if done is None:
        return None
    done = folded(done, plan)
    if bias is not None:
        done += bias.reshape(-1, *(1,) * plan.rank)
    return placed(done.astype(dtype, copy=False), out)


def conv_weight_grad(x: Any, y: Any, plan: Plan, groups: int, dtype: Any, out: Any) -> Any:
    """`unsample.conv_weight_grad` as planned."""
    if _counts(dtype, x):
        exact = _exact(plan, y.size // max(y.shape[-plan.rank - 1], 1), x, y)
        if exact is None:
            return None
        done = conv_weight_grad(_cast(x, exact), _cast(y, exact), plan, groups, exact, None)
        return None if done is None else placed(done.astype(sum_dtype(np, dtype)), out)
    if not _kernel_takes_conv(plan, dtype, x, y):
        return None
    fine, coarse = _source(x, dtype), _source(y, dtype)
    target = moves.kernel_target(out, plan.output_shape, dtype)
    channels = (plan.output_shape[1] * groups, plan.output_shape[0])
    compiled = compiled_conv(
        module.kernels.WeightGrad,
        False,
        plan,
        groups,
        dtype,
        channels,
        fine.strides,
        coarse.strides,
        module.kernels.tier(),
    )
    if compiled is None:
        return None
    compiled.run(*_bits(dtype, fine, coarse, target))
    return placed(target, out)


def _counts(dtype: Any, x: Any) -> bool:
    """Whether the arguments are NumPy's integers."""
    return type(x) is np.ndarray and dtype.kind in "iu"


def _whole(
    call: Callable[..., Any], x: Any, weight: Any, bias: Any, plan: Plan, groups: int, dtype: Any, out: Any
) -> Any:
    """The same of integers, by the kernels of the floats in which their sums are exact."""
    channels = x.shape[-plan.rank - 1]
    exact = _exact(plan, prod(w.size for w in _windows(plan)) * channels // groups, x, weight)
    if exact is None:
        return None
    done = call(_cast(x, exact), _cast(np.asarray(weight), exact), None, plan, groups, exact, None)
    if done is None:
        return None
    done = done.astype(sum_dtype(np, dtype))
    if bias is not None:
        done += bias.reshape(-1, *(1,) * plan.rank)
    return placed(done, out)


def _exact(plan: Plan, terms: int, *arrays: Any) -> Any:
    """The float that holds every sum of `terms` products of these integers; None where none does.

    Every partial sum is a whole number too, so that neither order nor fused additions round.
    """
    if not _kernel_takes_conv(plan, np.dtype(np.float64), *arrays) or any(x.size == 0 for x in arrays):
        return None
    most = terms
    for x in arrays:
        most *= max(abs(int(x.min())), abs(int(x.max())))
    return next((dtype for dtype, bits in _EXACT if most <= 1 << bits), None)


_EXACT = ((np.dtype(np.float32), 24), (np.dtype(np.float64), 53))


def _bits(dtype: Any, *arrays: Any) -> Any:
    """Arrays of `dtype` as their memory can be handed over: NumPy exports no bfloat16."""
    if _element(dtype) != _BFLOAT16:
        return arrays
    return [None if x is None else x.view(np.uint16) for x in arrays]


@lru_cache(maxsize=64)
def _element(dtype: Any) -> int:
    """The place of a dtype among those of the kernels, -1 for the others."""
    return _ELEMENTS.index(dtype.name) if dtype.name in _ELEMENTS and dtype.isnative else -1


def _kernel_takes_conv(plan: Plan, dtype: Any, *arrays: Any) -> bool:
    if module.kernels is None or type(arrays[0]) is not np.ndarray:
        return False
    if _element(dtype) < 0 or len(plan.windows) > MAX_RANK:
        return False
    for x in arrays:
        if x is None or (x.dtype is dtype and type(x) is np.ndarray) or moves.kernel_takes_moves(x):
            continue
        return False
    return True


def _multiply(
    transposed: bool, x: Any, weight: Any, bias: Any, plan: Plan, groups: int, dtype: Any, out: Any
) -> Any:
    if not _kernel_takes_conv(plan, dtype, x, weight, bias):
        return None
    source, kernel = _source(x, dtype), moves.in_c_order(_cast(weight, dtype))
    start = None if bias is None else moves.in_c_order(_cast(bias, dtype))
    shape = plan.output_shape
    channel = len(shape) - len(plan.windows) - 1
    target = out if out is not None and out.flags.aligned else _fresh(shape, dtype, channel, source)
    channels = (plan.input_shape[channel], shape[channel])
    compiled = compiled_conv(
        module.kernels.Conv,
        transposed,
        plan,
        groups,
        dtype,
        channels,
        source.strides,
        target.strides,
        module.kernels.tier(),
    )
    if compiled is None:
        return None
    source, kernel, start, memory = _bits(dtype, source, kernel, start, target)
    if type(weight) is PackedWeight and weight.is_fixed:
        compiled.run(source, weight.for_kernel(compiled, kernel), start, memory, packed=True)
    else:
        compiled.run(source, kernel, start, memory)
    return placed(target, out)


def _fresh(shape: tuple[int, ...], dtype: Any, channel: int, source: Any) -> Any:
    """A new array in C order, or with the channels innermost in memory where `source` has them there."""
    if source.flags.c_contiguous or not np.moveaxis(source, channel, -1).flags.c_contiguous:
        return empty(shape, dtype)
    return np.moveaxis(empty((*shape[:channel], *shape[channel + 1 :], shape[channel]), dtype), -1, channel)


def _cast(x: Any, dtype: Any) -> Any:
    return x if x.dtype is dtype else x.astype(dtype, copy=False)


def _source(x: Any, dtype: Any) -> Any:
    """`x` as the kernels read it: any strides, but every element at a multiple of its size."""
    x = _cast(x, dtype)
    return x if x.flags.aligned else x.copy()


@lru_cache(maxsize=1024)
def contiguous(transposed: bool, plan: Plan, groups: int, dtype: Any, tier: str) -> Any:
    """`conv` or `conv_transpose` on the C++ side, for arrays in C order, whose addresses it takes too.

    None where there is none, where more than this one call makes the result, or where its tables are large
    and `compiled_conv`, which bounds their bytes, has to be asked each time.
    """
    if _element(dtype) < 0 or len(plan.windows) > MAX_RANK or _table_bytes(plan) > _SMALL:
        return None
    if transposed and _folds(plan):
        return None
    shapes = (plan.input_shape, plan.output_shape)
    channels = (shapes[0][-plan.rank - 1], shapes[1][-plan.rank - 1])
    strides = [c_strides(shape, dtype.itemsize) for shape in shapes]
    return compiled_conv(module.kernels.Conv, transposed, plan, groups, dtype, channels, *strides, tier)


@lru_cache(maxsize=1024)
def contiguous_weight_grad(plan: Plan, groups: int, dtype: Any, tier: str) -> Any:
    """`conv_weight_grad` on the C++ side, for arrays in C order, whose addresses it takes too."""
    if _element(dtype) < 0 or len(plan.windows) > MAX_RANK:
        return None
    channels = (plan.output_shape[1] * groups, plan.output_shape[0])
    coarse = (*plan.input_shape[: -plan.rank - 1], channels[1], *plan.coarse)
    strides = [c_strides(shape, dtype.itemsize) for shape in (plan.input_shape, coarse)]
    return compiled_conv(module.kernels.WeightGrad, False, plan, groups, dtype, channels, *strides, tier)


def c_strides(shape: tuple[int, ...], itemsize: int = 1) -> tuple[int, ...]:
    """The strides of an array in C order: in bytes, or in elements where `itemsize` is left out."""
    return tuple(prod(shape[i + 1 :]) * itemsize for i in range(len(shape)))


_SMALL = 50_000  # bytes of tables that the 1024 plans used last may have each
_LARGE = object()


def _table_bytes(plan: Plan) -> int:
    """About what a plan takes on the C++ side: its taps, its phases, and the meetings along each axis."""
    windows = _windows(plan)
    taps, phases = prod(w.size for w in windows), prod(min(w.stride, w.fine) for w in windows)
    return 64 * (taps + phases) + 16 * sum(max(w.fine, w.coarse) * w.size // w.stride for w in windows)


def compiled_conv(*key: Any) -> Any:
    """The plan on the C++ side, for arrays of these strides in bytes; None where it has none."""
    found = _small(*key)
    if found is not _LARGE:
        return found
    found = cache.find((compiled_conv, *key))
    if found is None:
        found = _made(*key)
        cache.keep((compiled_conv, *key), found, _table_bytes(key[2]))
    return found


@lru_cache(maxsize=1024)
def _small(*key: Any) -> Any:
    """The same where its tables are small; those that are large are kept by their bytes."""
    return _LARGE if _table_bytes(key[2]) > _SMALL else _made(*key)


def _made(
    kind: Any,
    transposed: bool,
    plan: Plan,
    groups: int,
    dtype: Any,
    channels: tuple[int, int],
    source: tuple[int, ...],
    target: tuple[int, ...],
    tier: str,
) -> Any:
    batch, axes = axes_arguments(plan, transposed)
    unbatched = () if len(plan.input_shape) == plan.rank + 2 else (0,)
    strides = [
        [*unbatched, *(stride // dtype.itemsize for stride in strides)] for strides in (source, target)
    ]
    try:
        return kind(_element(dtype), transposed, batch, groups, *channels, axes, *strides)
    except ValueError:
        return None


def axes_arguments(plan: Plan, transposed: bool) -> tuple[int, list[list[int]]]:
    """The plan in numbers: its batch, and seven for each axis."""
    sides = [(w.coarse, w.fine) if transposed else (w.fine, w.coarse) for w in _windows(plan)]
    steps = [(w.size, w.stride, w.dilation, w.before, _FOLDS[w.mode]) for w in _windows(plan)]
    axes = [[*side, *step] for side, step in zip(sides, steps, strict=True)]
    return (plan.input_shape[0] if len(plan.input_shape) == plan.rank + 2 else 1), axes


def _folds(plan: Plan) -> bool:
    """Whether what falls into the padding of a transposed convolution is folded back."""
    return _windows(plan)[0].mode != "zeros"  # one mode for all axes


def _windows(plan: Plan) -> tuple[Window, ...]:
    return cast("tuple[Window, ...]", plan.windows)  # convolutions have no adaptive ones


def unfolded(plan: Plan) -> Plan:
    """The plan of a transposed convolution that keeps its padding."""
    windows = _windows(plan)
    wide = tuple(Window(w.fine + w.before + w.after, w.coarse, w.size, w.stride, w.dilation) for w in windows)
    shape = (*plan.output_shape[: -plan.rank], *(window.fine for window in wide))
    return Plan(plan.operation, plan.input_shape, shape, wide)


def folded(done: Any, plan: Plan, kept: Callable[[Any], Any] = lambda x: x) -> Any:
    """What lies in the padding added to the elements that it holds, axis by axis.

    `kept` sees every partial sum, to hold a compiler to the order of addition.
    """
    for axis, window in enumerate(_windows(plan)):
        padded = done.shape[len(done.shape) - plan.rank + axis]
        fold = Window(window.fine, padded, 1, 1, 1, window.before, window.after, window.mode)
        shape = list(done.shape)
        shape[len(shape) - plan.rank + axis] = window.fine
        fresh = zeros(done, tuple(shape))
        for tap in fold.axis_taps():
            before, after = (None,) * axis, (None,) * (plan.rank - axis - 1)
            value = slice_tap(done, (*before, tap.coarse, *after))
            fresh = kept(add_tap(fresh, (*before, tap.fine, *after), value, tap.repeats))
        done = fresh
    return done
