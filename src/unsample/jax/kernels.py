"""The compiled kernels as custom calls in XLA's programs for the CPU.

Each function lowers one primitive there. A call carries its plan in integers (see native/caller/xla.cpp),
never an address, so that compiled programs may be kept on disk. Kernels work on XLA's own memory, without a
copy and without Python. What they do not take goes the portable way.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unsample.arrays.library import dtype_kind, dtype_name
from unsample.geometry.arguments import is_symbol
from unsample.geometry.plan import Plan
from unsample.geometry.window import Window
from unsample.jax import conv_in_lax
from unsample.native import conv as conv_kernels
from unsample.native import moves
from unsample.native.module import kernels as compiled

Rule = Callable[..., Any]

_RECKONED = (
    *("float32", "float64", "float16", "bfloat16", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
_MOVED = (*_RECKONED, "complex64", "complex128")


def _register() -> None:
    for name, handler in compiled.xla_calls().items():
        jax.ffi.register_ffi_target(name, handler, platform="cpu")


if compiled is not None:
    _register()


def _takes(dtypes: Sequence[str], *arrays: Any) -> bool:
    # A call carries sizes in numbers, which symbols of `jax.export` are not. XLA may drop arrays without
    # elements, and there is nothing to gain on them.
    return compiled is not None and all(
        dtype_name(x.dtype) in dtypes and not any(map(is_symbol, x.shape)) and x.size for x in arrays
    )


def _call(name: str, result: Any, *arrays: Any, **attributes: Any) -> Any:
    call: Any = jax.ffi.ffi_call(f"unsample_{name}", result)
    return call(*arrays, **attributes)


def _result(plan: Plan, dtype: Any) -> Any:
    return jax.ShapeDtypeStruct(plan.output_shape, dtype)


def by_bytes(compute: Rule) -> Rule:
    """`compute(x, *others, plan=..., **words)`, floats of eight bits moved as bytes: XLA has one NaN."""

    def call(x: Any, *others: Any, plan: Plan, **words: Any) -> Any:
        copies = plan.tiles or words.get("duplicates", "last") in ("last", "error")
        if dtype_kind(x.dtype) != "float8" or not (
            copies and words.get("copy", True) and words.get("up", True)
        ):
            return compute(x, *others, plan=plan, **words)
        bits = jax.lax.bitcast_convert_type(x, jnp.uint8)
        return jax.lax.bitcast_convert_type(compute(bits, *others, plan=plan, **words), x.dtype)

    return call


def _integers(plan: Plan, channels: int = 0, blocks: bool = False) -> Any:
    """The plan as native/caller/xla.cpp reads it."""
    planes, axes, *rest, _ = moves.plan_arguments(plan, False, channels, blocks)
    return np.array([planes, *rest, *_lists(axes)], np.int64)


def _lists(axes: Sequence[Sequence[int]]) -> list[int]:
    return [len(axes), *(number for axis in axes for number in (len(axis), *axis))]


# -- moving and summing ------------------------------------------------------------------------------------


def _move(name: str, definition: Rule, x: Any, *, plan: Plan) -> Any:
    if not _takes(_MOVED, x):
        return definition(x, plan)
    return _call(name, _result(plan, x.dtype), x, plan=_integers(plan))


def _shuffle(name: str, definition: Rule, x: Any, *, plan: Plan, order: str) -> Any:
    if not _takes(_MOVED, x):
        return definition(x, plan, order)
    fine = plan.output_shape if name == "pixel_shuffle" else plan.input_shape
    numbers = _integers(plan, fine[-plan.rank - 1], order == "DCR")
    return _call(name, _result(plan, x.dtype), x, plan=numbers)


def _window_sum(definition: Rule, y: Any, *, plan: Plan) -> Any:
    result = jax.eval_shape(partial(definition, plan=plan), y)
    wide = jnp.issubdtype(y.dtype, jnp.floating) or result.dtype.itemsize == 8
    if not _takes(_RECKONED, y) or plan.rank > 8 or not wide:
        return definition(y, plan)
    return _call("window_sum", _result(plan, result.dtype), y, plan=_integers(plan))


def _unpool(definition: Rule, values: Any, taps: Any, *, plan: Plan, duplicates: str) -> Any:
    rule = "" if plan.tiles else {"sum": "_sum", "max": "_max"}.get(duplicates, "")
    if not _takes(_RECKONED if rule else _MOVED, values) or not _counts(taps):
        return definition(values, taps, plan, duplicates)
    return _call(f"max_unpool{rule}", _result(plan, values.dtype), values, taps, plan=_integers(plan))


def _gather(definition: Rule, x: Any, taps: Any, *, plan: Plan) -> Any:
    if not _takes(_MOVED, x) or not _counts(taps):
        return definition(x, taps, plan)
    return _call("max_gather", _result(plan, x.dtype), x, taps, plan=_integers(plan))


def _counts(taps: Any) -> bool:
    return _takes(("uint8", "uint16", "uint32"), taps)


def max_pool(definition: Rule, x: Any, *, plan: Plan, remember: bool) -> Any:
    """Values and, to remember them, taps."""
    if not _takes(_RECKONED, x) or 0 in plan.output_shape:
        return definition(x, plan, remember)
    results = [
        _result(plan, each.dtype) for each in jax.eval_shape(lambda x: definition(x, plan, remember), x)
    ]
    return _call("max_pool", results, x, plan=_integers(plan))


def _resize(definition: Rule, x: Any, *, plan: Plan, up: bool, copy: bool) -> Any:
    copied = copy and up
    if not _takes(_MOVED if copied else ("float32", "float64"), x) or 0 in plan.output_shape:
        return definition(x, plan, up, copy)
    shape = list(plan.input_shape)
    for axis, resample in enumerate(plan.resamples, len(shape) - plan.rank):
        if not resample.changes:
            continue
        n, m, first, source, weights = moves.terms_arguments(resample, up)
        outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
        shape[axis] = m
        numbers = np.concatenate([[outer, inner, copied, n, m], first, source]).astype(np.int64)
        result = jax.ShapeDtypeStruct(tuple(shape), x.dtype)
        x = _call("resize", result, x, plan=numbers, weights=np.asarray(weights, np.float64))
    return x


MOVES: dict[str, Rule] = {
    **{name: partial(_move, name) for name in ("nearest", "bed_of_nails", "decimate")},
    **{name: partial(_shuffle, name) for name in ("pixel_shuffle", "pixel_unshuffle")},
    "window_sum": _window_sum,
    "max_unpool": _unpool,
    "max_gather": _gather,
    "resize": _resize,
}


# -- convolutions ------------------------------------------------------------------------------------------


def conv(x: Any, weight: Any, *bias: Any, plan: Plan, groups: int) -> Any:
    """`unsample.conv` as planned."""
    found = _multiply(False, (x, weight, *bias), plan, groups)
    return _wide(conv_in_lax.conv, (x, weight, *bias), plan, groups) if found is None else found


def conv_transpose(y: Any, weight: Any, *bias: Any, plan: Plan, groups: int) -> Any:
    """`unsample.conv_transpose` as planned."""
    arrays = (y, weight, *bias)
    if all(isinstance(window, Window) and window.mode == "zeros" for window in plan.windows):
        found = _multiply(True, arrays, plan, groups)
    else:
        found = _folded(arrays, plan, groups)
    return _wide(conv_in_lax.conv_transpose, arrays, plan, groups) if found is None else found


def weight_grad(x: Any, y: Any, *, plan: Plan, groups: int) -> Any:
    """`unsample.conv_weight_grad` as planned."""
    channels = (plan.output_shape[1] * groups, plan.output_shape[0])
    numbers = _conv_integers("WeightGrad", False, plan, groups, channels, (x, y))
    if numbers is None:
        return _wide(conv_in_lax.weight_grad, (x, y), plan, groups)
    arrays = _without_bfloat16(x, y)
    result = _call("conv_weight_grad", _result(plan, arrays[0].dtype), *arrays, plan=numbers)
    return result.astype(x.dtype)


def _wide(compute: Rule, arrays: Sequence[Any], plan: Plan, groups: int) -> Any:
    """Call in float32 where elements are narrower, which XLA does not see to on the CPU."""
    dtype = arrays[0].dtype
    narrow = dtype_name(dtype) in ("float16", "bfloat16")
    result = compute(*(x.astype(jnp.float32) if narrow else x for x in arrays), plan=plan, groups=groups)
    return result.astype(dtype)


def _without_bfloat16(*arrays: Any) -> list[Any]:
    """bfloat16 is computed in float32, which the definition adds it in as well."""
    return [x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x for x in arrays]


def _multiply(transposed: bool, arrays: Sequence[Any], plan: Plan, groups: int) -> Any:
    """A convolution or a transposed one; None where the kernels do not take it."""
    channels = (plan.input_shape[1], plan.output_shape[1])
    numbers = _conv_integers("Conv", transposed, plan, groups, channels, arrays)
    if numbers is None:
        return None
    dtype, arrays = arrays[0].dtype, _without_bfloat16(*arrays)
    return _call("conv", _result(plan, arrays[0].dtype), *arrays, plan=numbers).astype(dtype)


def _folded(arrays: Sequence[Any], plan: Plan, groups: int) -> Any:
    """A transposed convolution with its padding kept, which is then folded back, as in `native/conv.py`."""
    y, weight, *bias = arrays
    total = jnp.promote_types(y.dtype, jnp.float32)
    whole = conv_kernels.unfolded(plan)
    done = _multiply(True, (y.astype(total), weight.astype(total)), whole, groups)
    if done is None:
        return None
    # XLA would move an addition in front of a scatter.
    done = conv_kernels.folded(done, plan, jax.lax.optimization_barrier)
    if bias:
        done = done + bias[0].astype(total).reshape(-1, *(1,) * plan.rank)
    return done.astype(y.dtype)


def _conv_integers(
    kind: str, transposed: bool, plan: Plan, groups: int, channels: tuple[int, int], arrays: Sequence[Any]
) -> Any:
    """The plan of a convolution as native/caller/xla.cpp reads it; None where the kernels have none."""
    dtypes = ("float32", "float64", "float16", "bfloat16")
    if not _takes(dtypes, *arrays) or 0 in plan.output_shape or plan.rank > conv_kernels.MAX_RANK:
        return None
    dtype = np.dtype(np.float32 if arrays[0].dtype == jnp.bfloat16 else arrays[0].dtype)
    sides = (arrays[0].shape, arrays[1].shape if kind == "WeightGrad" else plan.output_shape)
    strides = tuple(_strides(shape, dtype.itemsize) for shape in sides)
    made = conv_kernels.compiled_conv(
        getattr(compiled, kind), transposed, plan, groups, dtype, channels, *strides, compiled.tier()
    )
    if made is None:
        return None
    batch, axes = conv_kernels.axes_arguments(plan, transposed)
    return np.array([transposed, batch, groups, *channels, *_lists(axes)], np.int64)


@lru_cache(maxsize=256)
def _strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The strides of an array in C order, in bytes."""
    return tuple(itemsize * prod(shape[axis + 1 :]) for axis in range(len(shape)))
