"""The functions of `unsample` on torch tensors, as operators that compile, export, map and differentiate.

Each is the door through which a function of `unsample` takes tensors, with its name, arguments and docstring.
Where nothing records what is done (no gradient wanted, nothing traced), a call goes straight to the kernel.

Beyond what the docstrings say: a result has the memory format of its first argument (a gradient of weights is
contiguous), and the dtype of autocast where that is on; an empty `out` takes the shape of the result, and no
gradient goes through it, as in torch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, overload

import torch

from unsample.arrays.dispatch import DOORS
from unsample.arrays.library import check_dense, namespace
from unsample.arrays.out import check_out, check_pair
from unsample.geometry.arguments import IntOrInts, Padding, PaddingMode, PoolPadding, describe
from unsample.geometry.plan import Plan, cached_plan
from unsample.geometry.resample import Convention, Method
from unsample.ops import conv as convs
from unsample.ops import nails as nail_ops
from unsample.ops import nearest as nearest_ops
from unsample.ops import pool as pool_ops
from unsample.ops import resize as resize_ops
from unsample.ops import shuffle as shuffle_ops
from unsample.ops import unpool as unpool_ops
from unsample.ops.nails import At
from unsample.ops.shuffle import Order
from unsample.ops.unpool import Duplicates
from unsample.switches import Switches, check_kind
from unsample.torch import compute, direct, operators, plan_ints
from unsample.torch.export import RULES
from unsample.torch.windows import Windows, from_ints, to_ints

Tensor = torch.Tensor
_RESIZED = frozenset((torch.float32, torch.float64))


F = TypeVar("F", bound=Callable[..., Any])


def door_of(function: Callable[..., Any]) -> Callable[[F], F]:
    """Make what follows the door of `function` for tensors, with its docstring and no frame of its own."""

    def register(door: F) -> F:
        door.__doc__ = function.__doc__
        DOORS[function.__name__] = door
        return door

    return register


def call(operation: str, *words: Any, **tensors: Any) -> Any:
    """The operator on `tensors`, straight or recorded, with what the function of its name in `plan_ints.py`
    makes of their shapes and `words`.
    """
    for name, x in tensors.items():
        if not isinstance(x, Tensor) and not (x is None and name == "bias"):
            namespace(operation, **tensors)  # refuses arrays of two libraries
            raise TypeError(f"{operation}: {name} must be a torch.Tensor, got {describe(x)}")
        if x is not None:
            check_dense(operation, name, x)
    given = tuple(tensors.values())
    numbers = _kept(getattr(plan_ints, f"of_{operation}"), given, *words)
    if not torch.compiler.is_compiling() and straight(given):
        return operators.KERNELS[operation](*given, *numbers)
    if torch.onnx.is_in_onnx_export() and operation in RULES:
        return RULES[operation](*given, *numbers)
    return getattr(torch.ops.unsample, operation).default(*given, *numbers)


def straight(tensors: Sequence[Any]) -> bool:
    """Whether nothing looks on: no gradient, transform, trace, mode, autocast or subclass."""
    if direct.observed():
        return False
    recorded = torch.is_grad_enabled()
    for x in tensors:
        if x is None:
            continue
        if type(x) not in (Tensor, torch.nn.Parameter) or compute.device_of(x) not in compute.COMPUTES:
            return False
        if recorded and x.requires_grad:
            return False
    return True


def _by_shapes(
    function: Callable[..., Any], tensors: Sequence[Tensor | None], *words: Any, **options: Any
) -> Any:
    """`function(*shapes, *words, **options)`, a plan or integers, kept from the last call like it."""
    shapes = tuple([None if x is None else tuple(x.shape) for x in tensors])
    return cached_plan(function, shapes, *words, **options)


def _kept(function: Callable[..., Any], tensors: Sequence[Tensor | None], *words: Any) -> Any:
    """The same of a function of `plan_ints.py`, which is asked anew where sizes may be symbols."""
    if torch.compiler.is_compiling():
        return function(*[None if x is None else x.shape for x in tensors], *words)
    return _by_shapes(function, tensors, *words)


def _fit(
    operation: str, out: Any, shape: Sequence[int], dtype: torch.dtype, name: str = "out", **inputs: Any
) -> Any:
    """`out` as it may be written: an empty one takes the shape of the result, as in torch."""
    if out is None:
        return None
    if isinstance(out, Tensor) and out.numel() == 0 and tuple(out.shape) != tuple(shape):
        out.resize_(tuple(shape))
    check_out(operation, out, tuple(shape), dtype, name, **inputs)
    return out


def _into(operation: str, out: Any, result: Tensor, name: str = "out", **inputs: Any) -> Tensor:
    """The result, copied into `out` where one is given."""
    if out is None:
        return result
    fitting: Tensor = _fit(operation, out, result.shape, result.dtype, name, **inputs)
    return fitting.copy_(result)


@door_of(nearest_ops.nearest)
def nearest(x: Tensor, factor: IntOrInts, *, out: Tensor | None = None) -> Tensor:
    if direct.takes(direct.MOVED, x):
        plan = _by_shapes(nearest_ops.plan_nearest, (x,), factor)
        out = _fit("nearest", out, plan.output_shape, x.dtype, x=x)
        return direct.move("nearest", x, plan, out)
    result: Tensor = call("nearest", factor, x=x)
    return _into("nearest", out, result, x=x)


@door_of(nearest_ops.window_sum)
def window_sum(y: Tensor, factor: IntOrInts, *, out: Tensor | None = None) -> Tensor:
    if direct.takes(direct.FLOATS, y) and y.ndim <= 8:
        plan = _by_shapes(nearest_ops.plan_window_sum, (y,), factor)
        return direct.window_sum(y, plan, _fit("window_sum", out, plan.output_shape, y.dtype, y=y))
    result: Tensor = call("window_sum", factor, y=y)
    return _into("window_sum", out, result, y=y)


@door_of(nail_ops.bed_of_nails)
def bed_of_nails(
    x: Tensor,
    factor: IntOrInts,
    *,
    at: At = 0,
    output_size: Any = None,
    like: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    if direct.takes(direct.MOVED, x):
        plan = _by_shapes(nail_ops.plan_bed_of_nails, (x,), factor, at=at, output_size=output_size, like=like)
        return direct.move("nails", x, plan, _fit("bed_of_nails", out, plan.output_shape, x.dtype, x=x))
    result: Tensor = call("bed_of_nails", factor, at, output_size, like, x=x)
    return _into("bed_of_nails", out, result, x=x)


@door_of(nail_ops.decimate)
def decimate(y: Tensor, factor: IntOrInts, *, at: At = 0, out: Tensor | None = None) -> Tensor:
    if direct.takes(direct.MOVED, y):
        plan = _by_shapes(nail_ops.plan_decimate, (y,), factor, at=at)
        return direct.move("decimate", y, plan, _fit("decimate", out, plan.output_shape, y.dtype, y=y))
    result: Tensor = call("decimate", factor, at, y=y)
    return _into("decimate", out, result, y=y)


@overload
def max_pool(
    x: Tensor,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: Literal[True] = True,
    out: Any = None,
) -> tuple[Tensor, Switches]: ...
@overload
def max_pool(
    x: Tensor,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: Literal[False],
    out: Any = None,
) -> Tensor: ...
@overload
def max_pool(
    x: Tensor,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: bool,
    out: Any = None,
) -> tuple[Tensor, Switches] | Tensor: ...
@door_of(pool_ops.max_pool)
def max_pool(
    x: Tensor,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: bool = True,
    out: Any = None,
) -> Any:
    if direct.takes(direct.ORDERED, x):
        plan = _by_shapes(
            pool_ops.plan_max_pool,
            (x,),
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
        )
        return _pooled(x, plan, return_switches, out)
    words = (kernel_size, stride, padding, dilation, ceil_mode)
    values, taps = call("max_pool", *words, x=x)
    windows = _kept(plan_ints.windows_of_max_pool, (x,), *words)
    return _pair("max_pool", x, values, Switches(taps, windows), return_switches, out)


def _pooled(x: Tensor, plan: Plan, remember: bool, out: Any) -> Any:
    """Values and switches, or the values alone, the short way."""
    where: tuple[Any, Any] = (None, None)
    if out is not None:
        operation, shape = plan.operation, plan.output_shape
        values, taps = check_pair(operation, out) if remember else (out, None)
        dtype = direct.of_taps(plan)
        values = _fit(operation, values, shape, x.dtype, x=x)
        where = values, _fit(operation, taps, shape, dtype, "out[1]", x=x, values=values)
    values, taps = direct.pool(x, plan, bool(remember), where)
    return (values, Switches(taps, plan.windows)) if remember else values


def _pair(operation: str, x: Tensor, values: Tensor, switches: Switches, remember: bool, out: Any) -> Any:
    """The same from the long way."""
    into, taps = check_pair(operation, out) if remember else (out, None)
    _fit(operation, into, values.shape, values.dtype, x=x)
    if remember:
        _fit(operation, taps, switches.taps.shape, switches.taps.dtype, "out[1]", x=x, values=into)
    values = _into(operation, into, values, x=x)
    if not remember:
        return values
    return values, Switches(_into(operation, taps, switches.taps, "out[1]", x=x), switches.windows)


@overload
def adaptive_max_pool(
    x: Tensor, output_size: IntOrInts, *, return_switches: Literal[True] = True, out: Any = None
) -> tuple[Tensor, Switches]: ...
@overload
def adaptive_max_pool(
    x: Tensor, output_size: IntOrInts, *, return_switches: Literal[False], out: Any = None
) -> Tensor: ...
@overload
def adaptive_max_pool(
    x: Tensor, output_size: IntOrInts, *, return_switches: bool, out: Any = None
) -> tuple[Tensor, Switches] | Tensor: ...
@door_of(pool_ops.adaptive_max_pool)
def adaptive_max_pool(
    x: Tensor, output_size: IntOrInts, *, return_switches: bool = True, out: Any = None
) -> Any:
    if direct.takes(direct.ORDERED, x):
        plan = _by_shapes(pool_ops.plan_adaptive_max_pool, (x,), output_size)
        return _pooled(x, plan, return_switches, out)
    words = (output_size,)
    values, taps = call("adaptive_max_pool", *words, x=x)
    windows = _kept(plan_ints.windows_of_adaptive_max_pool, (x,), *words)
    return _pair("adaptive_max_pool", x, values, Switches(taps, windows), return_switches, out)


@door_of(unpool_ops.max_unpool)
def max_unpool(
    values: Tensor, switches: Switches, *, duplicates: Duplicates = "last", out: Tensor | None = None
) -> Tensor:
    taps, windows = _parts("max_unpool", switches)
    if (
        direct.takes(direct.SWITCHES, taps)
        and direct.takes(direct.ORDERED, values)
        and (duplicates == "last" or (duplicates in ("sum", "max") and values.dtype in direct.FLOATS))
    ):
        plan = _by_shapes(unpool_ops._plan_unpool, (values, taps), windows)
        fitting = _fit("max_unpool", out, plan.output_shape, values.dtype, values=values, switches=taps)
        done = direct.unpool(values, taps, plan, duplicates, fitting)
        if done is not None:
            return done
    result: Tensor = call("max_unpool", windows, duplicates, values=values, switches=taps)
    return _into("max_unpool", out, result, values=values, switches=taps)


@door_of(unpool_ops.max_gather)
def max_gather(x: Tensor, switches: Switches, *, out: Tensor | None = None) -> Tensor:
    taps, windows = _parts("max_gather", switches)
    if direct.takes(direct.SWITCHES, taps) and direct.takes(direct.MOVED, x):
        plan = _by_shapes(unpool_ops._plan_gather, (x, taps), windows)
        done = direct.gather(
            x, taps, plan, _fit("max_gather", out, plan.output_shape, x.dtype, x=x, switches=taps)
        )
        if done is not None:
            return done
    result: Tensor = call("max_gather", windows, x=x, switches=taps)
    return _into("max_gather", out, result, x=x, switches=taps)


def switches_to_indices(switches: Switches) -> Tensor:
    """The int64 indices, flat in one plane, that torch's pooling gives: `Switches.to_torch` as an operator.

    Parameters
    ----------
    switches : Switches

    Returns
    -------
    Tensor of int64, (..., *windows)

    Raises
    ------
    SwitchError, TypeError
        As `Switches.to_torch`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.switches_to_indices(ut.max_pool(torch.tensor([3.0, 9.0, 5.0, 7.0]), (2,))[1])
    tensor([1, 3])
    """
    taps, windows = _parts("Switches.to_torch", switches)
    result: Tensor = call("switches_to_indices", windows, switches=taps)
    return result


def indices_to_switches(indices: Tensor, windows: Windows) -> Switches:
    """Torch's indices as Switches of given windows: `Switches.from_torch` as an operator.

    Parameters
    ----------
    indices : Tensor of integers, (..., *windows)
    windows : tuple of Window or AdaptiveWindow
        One per spatial axis.

    Returns
    -------
    Switches

    Raises
    ------
    ShapeError, SwitchError, TypeError
        As `Switches.from_torch`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> from unsample.geometry import Window
    >>> ut.indices_to_switches(torch.tensor([1, 2]), (Window(4, 2, 2, 2),)).taps
    tensor([1, 0], dtype=torch.uint8)
    """
    taps = call("indices_to_switches", windows, indices=indices)
    return Switches(taps, from_ints(to_ints(windows)))


def _parts(operation: str, switches: Any) -> tuple[Any, Windows]:
    check_kind(operation, switches)
    return switches.taps, switches.windows


@door_of(shuffle_ops.pixel_shuffle)
def pixel_shuffle(x: Tensor, factor: IntOrInts, *, order: Order = "CRD", out: Tensor | None = None) -> Tensor:
    if direct.takes(direct.MOVED, x):
        plan = _by_shapes(shuffle_ops.plan_pixel_shuffle, (x,), factor, order=order)
        channels = plan.output_shape[-plan.rank - 1]
        fitting = _fit("pixel_shuffle", out, plan.output_shape, x.dtype, x=x)
        return direct.move("shuffle", x, plan, fitting, channels, order == "DCR")
    result: Tensor = call("pixel_shuffle", factor, order, x=x)
    return _into("pixel_shuffle", out, result, x=x)


@door_of(shuffle_ops.pixel_unshuffle)
def pixel_unshuffle(
    y: Tensor, factor: IntOrInts, *, order: Order = "CRD", out: Tensor | None = None
) -> Tensor:
    if direct.takes(direct.MOVED, y):
        plan = _by_shapes(shuffle_ops.plan_pixel_unshuffle, (y,), factor, order=order)
        channels = plan.input_shape[-plan.rank - 1]
        fitting = _fit("pixel_unshuffle", out, plan.output_shape, y.dtype, y=y)
        return direct.move("unshuffle", y, plan, fitting, channels, order == "DCR")
    result: Tensor = call("pixel_unshuffle", factor, order, y=y)
    return _into("pixel_unshuffle", out, result, y=y)


@door_of(resize_ops.resize)
def resize(
    x: Tensor,
    output_size: Any = None,
    *,
    factor: Any = None,
    method: Method = "linear",
    convention: Convention = "half_pixel",
    antialias: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    if direct.takes(_RESIZED, x):
        names: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
        plan = _by_shapes(resize_ops.plan_resize, (x,), output_size, factor=factor, **names)
        fitting = _fit("resize", out, plan.output_shape, x.dtype, x=x)
        return direct.resize(x, plan, True, method == "nearest", fitting)
    words = (output_size, factor, method, convention, antialias)
    result: Tensor = call("resize", *words, x=x)
    return _into("resize", out, result, x=x)


@door_of(resize_ops.resize_transpose)
def resize_transpose(
    y: Tensor,
    input_size: Any,
    *,
    method: Method = "linear",
    convention: Convention = "half_pixel",
    antialias: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    if direct.takes(_RESIZED, y):
        names: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
        plan = _by_shapes(resize_ops.plan_resize_transpose, (y,), input_size, **names)
        fitting = _fit("resize_transpose", out, plan.output_shape, y.dtype, y=y)
        return direct.resize(y, plan, False, method == "nearest", fitting)
    words = (input_size, method, convention, antialias)
    result: Tensor = call("resize_transpose", *words, y=y)
    return _into("resize_transpose", out, result, y=y)


@door_of(convs.conv)
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    out: Tensor | None = None,
) -> Tensor:
    if direct.multiplies(x, weight, bias):
        plan = _by_shapes(
            convs.plan_conv,
            (x, weight, bias),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        if out is not None:
            _fit("conv", out, plan.output_shape, x.dtype, x=x, weight=weight, bias=bias)
        done = direct.multiply(False, x, weight, bias, plan, groups, out)
        if done is not None:
            return done
    steps = (stride, padding, dilation, groups, padding_mode)
    result: Tensor = call("conv", *steps, x=x, weight=weight, bias=bias)
    return _into("conv", out, result, x=x, weight=weight, bias=bias)


@door_of(convs.conv_transpose)
def conv_transpose(
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: Any = None,
    like: Any = None,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    out: Tensor | None = None,
) -> Tensor:
    if direct.multiplies(y, weight, bias):
        plan = _by_shapes(
            convs.plan_conv_transpose,
            (y, weight, bias),
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            output_size=output_size,
            like=like,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        if out is not None:
            _fit("conv_transpose", out, plan.output_shape, y.dtype, y=y, weight=weight, bias=bias)
        done = direct.multiply(True, y, weight, bias, plan, groups, out)
        if done is not None:
            return done
    sizes = (output_padding, output_size, like)
    words = (stride, padding, *sizes, dilation, groups, padding_mode)
    result: Tensor = call("conv_transpose", *words, y=y, weight=weight, bias=bias)
    return _into("conv_transpose", out, result, y=y, weight=weight, bias=bias)


@door_of(convs.conv_weight_grad)
def conv_weight_grad(
    x: Tensor,
    y: Tensor,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    out: Tensor | None = None,
) -> Tensor:
    if direct.multiplies(x, y, None):
        plan = _by_shapes(
            convs.plan_conv_weight_grad,
            (x, y),
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        if out is not None:
            _fit("conv_weight_grad", out, plan.output_shape, x.dtype, x=x, y=y)
        done = direct.multiply_weights(x, y, plan, groups, out)
        if done is not None:
            return done
    words = (kernel_size, stride, padding, dilation, groups, padding_mode)
    result: Tensor = call("conv_weight_grad", *words, x=x, y=y)
    return _into("conv_weight_grad", out, result, x=x, y=y)
