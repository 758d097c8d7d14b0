"""The functions of `unsample` on torch tensors, as operators that compile, export, map and differentiate.

Each is the door through which a function of `unsample` takes tensors, with its name, arguments and docstring.
Where nothing records what is done (no gradient wanted, nothing traced), a call goes straight to the kernel.

Beyond what the docstrings say: a result has the memory format of its first argument (a gradient of weights is
contiguous), and the dtype of autocast where that is on; an empty `out` takes the shape of the result, and no
gradient goes through it, as in torch.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, overload

import torch

from unsample.arrays.dispatch import DOORS
from unsample.arrays.library import check_dense, namespace
from unsample.arrays.out import check_out, check_pair
from unsample.geometry.arguments import IntOrInts, Padding, PaddingMode, PoolPadding, describe
from unsample.geometry.plan import Plan, cached_plan
from unsample.geometry.resample import Convention, Method
from unsample.interop.switch_indices import check_pooled
from unsample.operation import Operation
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
from unsample.pairs import OPERATIONS
from unsample.switches import Switches, check_kind
from unsample.torch import compute, direct, operators, plan_ints
from unsample.torch.export import RULES
from unsample.torch.windows import Windows, from_ints, to_ints

Tensor = torch.Tensor


F = TypeVar("F", bound=Callable[..., Any])


def door_of(function: Callable[..., Any]) -> Callable[[F], F]:
    """Make what follows the door of `function` for tensors, with its docstring and no frame of its own."""

    def register(door: F) -> F:
        door.__doc__ = function.__doc__
        DOORS[function.__name__] = door
        return door

    return register


def call(
    name: str, tensors: tuple[Any, ...], words: tuple[Any, ...], out: Any, *args: Any, **options: Any
) -> Any:
    """The operation on tensors: the short way, or by the operator.

    `args` and `options` are those of its plan, `words` what the operator is told beside its windows.
    """
    operation, short = OPERATIONS[name], direct.SHORT.get(name)
    if short is not None and short.takes(*tensors):
        shapes = tuple([None if x is None else tuple(x.shape) for x in tensors])
        plan = cached_plan(operation.plan, shapes, *args, **options)
        if out is not None:
            inputs = dict(zip(operation.arrays, tensors, strict=True))
            out = _fit(name, out, plan.output_shape, tensors[0].dtype, **inputs)
        with direct.torchs_threads():
            done = short.run(*tensors, plan, *words[: len(operation.words)], out)
        if done is not None:
            return done
    inputs = dict(zip(operation.arrays, tensors, strict=True))
    result = operator(name, tensors, carried(name, _shapes(name, inputs), *args, **options), words)
    return result if out is None else _into(name, out, result, **inputs)


def carried(name: str, shapes: tuple[Any, ...], *args: Any, **options: Any) -> list[int]:
    """The windows of a call as integers, kept from the last call like it where sizes are numbers."""
    if torch.compiler.is_compiling():
        return plan_ints.carried(name, *shapes, *args, **options)
    return cached_plan(plan_ints.carried, (name, *shapes), *args, **options)


def _shapes(name: str, tensors: dict[str, Any]) -> tuple[Any, ...]:
    """Their shapes; what is no tensor that can be read is refused."""
    for each, x in tensors.items():
        if not isinstance(x, Tensor) and not (x is None and each == "bias"):
            namespace(name, **tensors)  # refuses arrays of two libraries
            raise TypeError(f"{name}: {each} must be a torch.Tensor, got {describe(x)}")
        if x is not None:
            check_dense(name, each, x)
    compiling = torch.compiler.is_compiling()
    return tuple([None if x is None else x.shape if compiling else tuple(x.shape) for x in tensors.values()])


def operator(name: str, tensors: Sequence[Any], numbers: Sequence[int], words: Sequence[Any]) -> Any:
    """The operator of this name, its kernel where nothing looks on, or torch's own functions for ONNX."""
    if not torch.compiler.is_compiling() and straight(tensors):
        return operators.KERNELS[name](*tensors, numbers, *words)
    if torch.onnx.is_in_onnx_export() and name in RULES:
        return RULES[name](*tensors, numbers, *words)
    return getattr(torch.ops.unsample, name).default(*tensors, numbers, *words)


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
    result: Tensor = call("nearest", (x,), (), out, factor)
    return result


@door_of(nearest_ops.window_sum)
def window_sum(y: Tensor, factor: IntOrInts, *, out: Tensor | None = None) -> Tensor:
    result: Tensor = call("window_sum", (y,), (), out, factor)
    return result


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
    words = {"at": at, "output_size": output_size, "like": like}
    result: Tensor = call("bed_of_nails", (x,), (), out, factor, **words)
    return result


@door_of(nail_ops.decimate)
def decimate(y: Tensor, factor: IntOrInts, *, at: At = 0, out: Tensor | None = None) -> Tensor:
    result: Tensor = call("decimate", (y,), (), out, factor, at=at)
    return result


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
    return _pool(
        "max_pool",
        x,
        (ceil_mode,),
        return_switches,
        out,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


def _pool(
    name: str, x: Any, words: tuple[Any, ...], remember: bool, out: Any, *args: Any, **options: Any
) -> Any:
    """Values and switches, or the values alone."""
    if direct.SHORT[name].takes(x):
        plan = cached_plan(OPERATIONS[name].plan, (tuple(x.shape),), *args, **options)
        return _pooled(x, plan, remember, out)
    shapes = _shapes(name, {"x": x})
    numbers = carried(name, shapes, *args, **options)
    values, taps = operator(name, (x,), numbers, words)
    if torch.compiler.is_compiling():
        windows = from_ints(numbers)
    else:
        windows = cached_plan(OPERATIONS[name].plan, shapes, *args, **options).windows
    return _pair(name, x, values, Switches(taps, windows), remember, out)


def _pooled(x: Tensor, plan: Plan, remember: bool, out: Any) -> Any:
    """Values and switches, or the values alone, the short way."""
    where: tuple[Any, Any] = (None, None)
    if out is not None:
        operation, shape = plan.operation, plan.output_shape
        values, taps = check_pair(operation, out) if remember else (out, None)
        dtype = direct.of_taps(plan)
        values = _fit(operation, values, shape, x.dtype, x=x)
        where = values, _fit(operation, taps, shape, dtype, "out[1]", x=x, values=values)
    with direct.torchs_threads():
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
    return _pool("adaptive_max_pool", x, (), return_switches, out, output_size)


@door_of(unpool_ops.max_unpool)
def max_unpool(
    values: Tensor, switches: Switches, *, duplicates: Duplicates = "last", out: Tensor | None = None
) -> Tensor:
    taps, windows = _parts("max_unpool", switches)
    result: Tensor = call("max_unpool", (values, taps), (duplicates,), out, windows, duplicates)
    return result


@door_of(unpool_ops.max_gather)
def max_gather(x: Tensor, switches: Switches, *, out: Tensor | None = None) -> Tensor:
    taps, windows = _parts("max_gather", switches)
    result: Tensor = call("max_gather", (x, taps), (), out, windows)
    return result


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
    result: Tensor = _indexed("switches_to_indices", "Switches.to_torch", {"switches": taps}, windows)
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
    taps = _indexed("indices_to_switches", "Switches.from_torch", {"indices": indices}, windows)
    return Switches(taps, from_ints(to_ints(windows)))


def _indexed(name: str, operation: str, tensors: dict[str, Any], windows: Windows) -> Any:
    _shapes(name, tensors)
    if not torch.compiler.is_compiling():
        check_pooled(operation, windows)
    return operator(name, tuple(tensors.values()), to_ints(windows), ())


def _parts(operation: str, switches: Any) -> tuple[Any, Windows]:
    check_kind(operation, switches)
    return switches.taps, switches.windows


@door_of(shuffle_ops.pixel_shuffle)
def pixel_shuffle(x: Tensor, factor: IntOrInts, *, order: Order = "CRD", out: Tensor | None = None) -> Tensor:
    result: Tensor = call("pixel_shuffle", (x,), (order,), out, factor, order=order)
    return result


@door_of(shuffle_ops.pixel_unshuffle)
def pixel_unshuffle(
    y: Tensor, factor: IntOrInts, *, order: Order = "CRD", out: Tensor | None = None
) -> Tensor:
    result: Tensor = call("pixel_unshuffle", (y,), (order,), out, factor, order=order)
    return result


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
    words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
    told = method, convention, antialias
    result: Tensor = call("resize", (x,), told, out, output_size, factor=factor, **words)
    return result


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
    words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
    told = method, convention, antialias
    result: Tensor = call("resize_transpose", (y,), told, out, input_size, **words)
    return result


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
    result: Tensor = call(
        "conv",
        (x, weight, bias),
        (groups, padding_mode),
        out,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return result


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
    result: Tensor = call(
        "conv_transpose",
        (y, weight, bias),
        (groups, padding_mode),
        out,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        like=like,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return result


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
    result: Tensor = call(
        "conv_weight_grad",
        (x, y),
        (groups, padding_mode),
        out,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return result


def door_of_record(operation: Operation) -> Callable[..., Any]:
    """The door of an operation that has none above: of what its record says, by the operator."""
    number, names = len(operation.arrays), (*operation.words, *operation.plan_words)
    signature = inspect.signature(operation.plan)

    def door(*args: Any, out: Tensor | None = None, **options: Any) -> Any:
        given = signature.bind(*args, **options)
        given.apply_defaults()
        words = tuple(given.arguments[name] for name in names)
        return call(operation.name, args[:number], words, out, *args[number:], **options)

    door.__doc__ = operation.function.__doc__
    return door


for _operation in OPERATIONS.values():
    DOORS.setdefault(_operation.name, door_of_record(_operation))
