"""The functions of `unsample` on torch tensors, as operators that compile, export, map and differentiate.

Same names, arguments, results and errors as in `unsample`, whose docstrings say more; shape errors are
`TorchShapeError`, a RuntimeError too. Where nothing records what is done (no gradient wanted, nothing
traced), a call goes straight to the kernel.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import torch

from unsample.arrays.library import check_dense
from unsample.arrays.out import check_out, check_pair
from unsample.errors import ShapeError
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
from unsample.switches import Switches
from unsample.torch import direct, operators, plan_ints
from unsample.torch.errors import SwitchError, TorchShapeError
from unsample.torch.export import RULES
from unsample.torch.windows import Windows, from_ints, to_ints

Tensor = torch.Tensor
_RESIZED = frozenset((torch.float32, torch.float64))


def call(operation: str, tensors: dict[str, Any], arguments: Callable[[], Sequence[Any]]) -> Any:
    """The operator on `tensors` and what `arguments()` makes of the rest, straight or recorded."""
    for name, x in tensors.items():
        if not isinstance(x, Tensor) and not (x is None and name == "bias"):
            raise TypeError(f"{operation}: {name} must be a torch.Tensor, got {describe(x)}")
        if x is not None:
            check_dense(operation, name, x)
    given = tuple(tensors.values())
    try:
        lowered = arguments()
        if not torch.compiler.is_compiling() and straight(given):
            return operators.KERNELS[operation](*given, *lowered)
        if torch.onnx.is_in_onnx_export() and operation in RULES:
            return RULES[operation](*given, *lowered)
        return getattr(torch.ops.unsample, operation).default(*given, *lowered)
    except ShapeError as error:
        raise TorchShapeError(str(error)) from None
    except IndexError as error:
        raise SwitchError(str(error)) from None


def straight(tensors: Sequence[Any]) -> bool:
    """Whether nothing looks on: no gradient, transform, trace, mode, autocast or subclass."""
    if direct.observed():
        return False
    recorded = torch.is_grad_enabled()
    for x in tensors:
        if x is None:
            continue
        if type(x) not in (Tensor, torch.nn.Parameter) or x.device.type != "cpu":
            return False
        if recorded and x.requires_grad:
            return False
    return True


def _plan(plan: Callable[..., Plan], tensors: tuple[Any, ...], *args: Any, **kwargs: Any) -> Plan:
    """The plan of a call, kept from the last one like it."""
    shapes = tuple([None if x is None else tuple(x.shape) for x in tensors])
    try:
        return cached_plan(plan, shapes, *args, **kwargs)
    except ShapeError as error:
        raise TorchShapeError(str(error)) from None


def _fit(
    operation: str, out: Any, shape: Sequence[int], dtype: torch.dtype, name: str = "out", **inputs: Any
) -> Any:
    """`out` as it may be written: an empty one takes the shape of the result, as in torch."""
    if out is None:
        return None
    if isinstance(out, Tensor) and out.numel() == 0 and tuple(out.shape) != tuple(shape):
        out.resize_(tuple(shape))
    try:
        check_out(operation, out, tuple(shape), dtype, name, **inputs)
    except ShapeError as error:
        raise TorchShapeError(str(error)) from None
    return out


def _into(operation: str, out: Any, result: Tensor, name: str = "out", **inputs: Any) -> Tensor:
    """The result, copied into `out` where one is given."""
    if out is None:
        return result
    fitting: Tensor = _fit(operation, out, result.shape, result.dtype, name, **inputs)
    return fitting.copy_(result)


def nearest(x: Tensor, factor: IntOrInts, *, out: Tensor | None = None) -> Tensor:
    """Repeat every element over a block of `factor` elements per axis, as `unsample.nearest`.

        out[..., i] = x[..., i // factor]

    Transpose: `window_sum`, which is its gradient.

    Parameters
    ----------
    x : Tensor, (..., *spatial)
        Any dtype and device.
    factor : int or sequence of int
        As in `unsample.nearest`.
    out : Tensor, optional
        Where to write the result: of its shape, or empty to take that shape; of its dtype; sharing no memory
        with the arguments. As in torch, no gradient goes through it.

    Returns
    -------
    Tensor, (..., *spatial * factor)
        In the memory format of x.

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.nearest`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> out = ut.nearest(x, (2, 2))
    >>> out.tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    >>> torch.autograd.grad(out.sum(), x)[0].tolist()
    [[4.0, 4.0]]
    """
    if direct.takes(direct.MOVED, x):
        plan = _plan(nearest_ops.plan_nearest, (x,), factor)
        out = _fit("nearest", out, plan.output_shape, x.dtype, x=x)
        return direct.move("nearest", x, plan, out)
    result: Tensor = call("nearest", {"x": x}, lambda: plan_ints.of_nearest(x.shape, factor))
    return _into("nearest", out, result, x=x)


def window_sum(y: Tensor, factor: IntOrInts, *, out: Tensor | None = None) -> Tensor:
    """Sum every block of `factor` elements per axis, as `unsample.window_sum`.

        out[..., i] = sum over t < factor of y[..., i * factor + t]

    Transpose: `nearest`.

    Parameters
    ----------
    y : Tensor, (..., *spatial)
    factor : int or sequence of int
        As in `unsample.window_sum`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., *spatial / factor)

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.window_sum`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.window_sum(torch.arange(6.0), (3,))
    tensor([ 3., 12.])
    """
    if direct.takes(direct.FLOATS, y) and y.ndim <= 8:
        plan = _plan(nearest_ops.plan_window_sum, (y,), factor)
        return direct.window_sum(y, plan, _fit("window_sum", out, plan.output_shape, y.dtype, y=y))
    result: Tensor = call("window_sum", {"y": y}, lambda: plan_ints.of_window_sum(y.shape, factor))
    return _into("window_sum", out, result, y=y)


def bed_of_nails(
    x: Tensor,
    factor: IntOrInts,
    *,
    at: At = 0,
    output_size: Any = None,
    like: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """Put every element at one place of its block, and zeros around it, as `unsample.bed_of_nails`.

        out[..., i * factor + at] = x[..., i]        all other elements 0

    Transpose: `decimate`.

    Parameters
    ----------
    x : Tensor, (..., *spatial)
    factor, at, output_size, like
        As in `unsample.bed_of_nails`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., *output_size)

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.bed_of_nails`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.bed_of_nails(torch.tensor([1.0, 2.0]), (2,))
    tensor([1., 0., 2., 0.])
    """
    if direct.takes(direct.MOVED, x):
        plan = _plan(nail_ops.plan_bed_of_nails, (x,), factor, at=at, output_size=output_size, like=like)
        return direct.move("nails", x, plan, _fit("bed_of_nails", out, plan.output_shape, x.dtype, x=x))
    result: Tensor = call(
        "bed_of_nails",
        {"x": x},
        lambda: plan_ints.of_bed_of_nails(x.shape, factor, at, output_size, like),
    )
    return _into("bed_of_nails", out, result, x=x)


def decimate(y: Tensor, factor: IntOrInts, *, at: At = 0, out: Tensor | None = None) -> Tensor:
    """Keep one element of every block, as `unsample.decimate`.

        out[..., i] = y[..., i * factor + at]

    Transpose: `bed_of_nails`.

    Parameters
    ----------
    y : Tensor, (..., *spatial)
    factor, at
        As in `unsample.decimate`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., *ceil((spatial - at) / factor))

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.decimate`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.decimate(torch.arange(7), (3,), at=1)
    tensor([1, 4])
    """
    if direct.takes(direct.MOVED, y):
        plan = _plan(nail_ops.plan_decimate, (y,), factor, at=at)
        return direct.move("decimate", y, plan, _fit("decimate", out, plan.output_shape, y.dtype, y=y))
    result: Tensor = call("decimate", {"y": y}, lambda: plan_ints.of_decimate(y.shape, factor, at))
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
    """Keep the largest element of every window, and remember which tap it was, as `unsample.max_pool`.

        values[..., o] = max over t of x[..., o * stride + t * dilation - before]

    Transpose, the switches held fixed: `max_unpool`.

    Parameters
    ----------
    x : Tensor, (..., *spatial)
    kernel_size, stride, padding, dilation, ceil_mode
        As in `unsample.max_pool`.
    return_switches : bool
        False returns the values alone.
    out : (Tensor, Switches or Tensor), optional
        Where to write values and switches; a Tensor for the values alone. Otherwise as in `nearest`.

    Returns
    -------
    values : Tensor, (..., *windows)
    switches : Switches
        A pytree node: passes through torch.compile, torch.export and torch.func. Only the values with
        `return_switches=False`.

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.max_pool`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> values, switches = ut.max_pool(torch.tensor([3.0, 9.0, 5.0, 7.0]), (2,))
    >>> values, switches.taps
    (tensor([9., 7.]), tensor([1, 1], dtype=torch.uint8))
    """
    if direct.takes(direct.ORDERED, x):
        plan = _plan(
            pool_ops.plan_max_pool,
            (x,),
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
        )
        return _pooled(x, plan, return_switches, out)
    found: list[Windows] = []

    def arguments() -> Sequence[Any]:
        lowered, windows = plan_ints.of_max_pool(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
        found.append(windows)
        return lowered

    values, taps = call("max_pool", {"x": x}, arguments)
    return _pair("max_pool", x, values, Switches(taps, found[0]), return_switches, out)


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
def adaptive_max_pool(
    x: Tensor, output_size: IntOrInts, *, return_switches: bool = True, out: Any = None
) -> Any:
    """Max pooling into a given number of windows, as `unsample.adaptive_max_pool`.

        values[..., o] = max of x[..., floor(o * n / m) : ceil((o + 1) * n / m)]

    Transpose, the switches held fixed: `max_unpool`.

    Parameters
    ----------
    x : Tensor, (..., *spatial)
    output_size : int or sequence of int
        As in `unsample.adaptive_max_pool`.
    return_switches, out
        As in `max_pool`.

    Returns
    -------
    values : Tensor, (..., *output_size)
    switches : Switches
        Only the values with `return_switches=False`.

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.adaptive_max_pool`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> values, switches = ut.adaptive_max_pool(torch.tensor([1.0, 9.0, 2.0, 8.0, 3.0]), (3,))
    >>> values
    tensor([9., 9., 8.])
    """
    if direct.takes(direct.ORDERED, x):
        plan = _plan(pool_ops.plan_adaptive_max_pool, (x,), output_size)
        return _pooled(x, plan, return_switches, out)
    found: list[Windows] = []

    def arguments() -> Sequence[Any]:
        lowered, windows = plan_ints.of_adaptive_max_pool(x.shape, output_size)
        found.append(windows)
        return lowered

    values, taps = call("adaptive_max_pool", {"x": x}, arguments)
    return _pair("adaptive_max_pool", x, values, Switches(taps, found[0]), return_switches, out)


def max_unpool(
    values: Tensor, switches: Switches, *, duplicates: Duplicates = "last", out: Tensor | None = None
) -> Tensor:
    """Put every value back where its maximum came from, and zeros elsewhere, as `unsample.max_unpool`.

        out[..., p(o, switches[..., o])] = values[..., o]        p(o, t) as in `max_pool`

    Transpose: `max_gather` (of duplicates="sum").

    Parameters
    ----------
    values : Tensor, (..., *windows)
    switches : Switches
        From `max_pool`, `adaptive_max_pool`, `Switches.from_torch`, `from_tf`, `from_onnx`.
    duplicates : "last", "sum", "max" or "error"
        As in `unsample.max_unpool`; each with its exact gradient, compiled and mapped too.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., *input size)

    Raises
    ------
    TorchShapeError, SwitchError, TypeError, ValueError
        As `unsample.max_unpool`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> values, switches = ut.max_pool(torch.tensor([1.0, 9.0, 2.0, 8.0, 3.0]), (2,), ceil_mode=True)
    >>> ut.max_unpool(values, switches)
    tensor([0., 9., 0., 8., 3.])
    """
    taps, windows = _parts("max_unpool", switches)
    if (
        direct.takes(direct.SWITCHES, taps)
        and direct.takes(direct.ORDERED, values)
        and (duplicates == "last" or (duplicates in ("sum", "max") and values.dtype in direct.FLOATS))
    ):
        plan = _plan(unpool_ops._plan_unpool, (values, taps), windows)
        fitting = _fit("max_unpool", out, plan.output_shape, values.dtype, values=values, switches=taps)
        done = direct.unpool(values, taps, plan, duplicates, fitting)
        if done is not None:
            return done
    tensors = {"values": values, "switches": taps}
    result: Tensor = call(
        "max_unpool",
        tensors,
        lambda: (plan_ints.of_max_unpool(values.shape, taps.shape, windows), duplicates),
    )
    return _into("max_unpool", out, result, values=values, switches=taps)


def max_gather(x: Tensor, switches: Switches, *, out: Tensor | None = None) -> Tensor:
    """Take from every window the element at its switch, as `unsample.max_gather`.

        out[..., o] = x[..., p(o, switches[..., o])]        p(o, t) as in `max_pool`

    Transpose: `max_unpool` with duplicates="sum".

    Parameters
    ----------
    x : Tensor, (..., *spatial)
    switches : Switches
        As in `max_unpool`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., *windows)

    Raises
    ------
    TorchShapeError, SwitchError, TypeError
        As `unsample.max_gather`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> _, switches = ut.max_pool(torch.tensor([1.0, 9.0, 2.0, 8.0]), (2,))
    >>> ut.max_gather(torch.tensor([10, 20, 30, 40]), switches)
    tensor([20, 40])
    """
    taps, windows = _parts("max_gather", switches)
    if direct.takes(direct.SWITCHES, taps) and direct.takes(direct.MOVED, x):
        plan = _plan(unpool_ops._plan_gather, (x, taps), windows)
        done = direct.gather(
            x, taps, plan, _fit("max_gather", out, plan.output_shape, x.dtype, x=x, switches=taps)
        )
        if done is not None:
            return done
    result: Tensor = call(
        "max_gather",
        {"x": x, "switches": taps},
        lambda: (plan_ints.of_max_gather(x.shape, taps.shape, windows),),
    )
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
    result: Tensor = call(
        "switches_to_indices",
        {"switches": taps},
        lambda: (plan_ints.of_indices("Switches.to_torch", windows),),
    )
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
    TorchShapeError, SwitchError, TypeError
        As `Switches.from_torch`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> from unsample.geometry import Window
    >>> ut.indices_to_switches(torch.tensor([1, 2]), (Window(4, 2, 2, 2),)).taps
    tensor([1, 0], dtype=torch.uint8)
    """
    operation = "Switches.from_torch"
    taps = call(
        "indices_to_switches", {"indices": indices}, lambda: (plan_ints.of_indices(operation, windows),)
    )
    return Switches(taps, from_ints(to_ints(windows)))


def _parts(operation: str, switches: Any) -> tuple[Any, Windows]:
    if not isinstance(switches, Switches):
        raise TypeError(
            f"{operation}: switches must be Switches, as max_pool returns them, got "
            f"{type(switches).__name__}; Switches.from_torch, from_tf and from_onnx convert indices"
        )
    return switches.taps, switches.windows


def pixel_shuffle(x: Tensor, factor: IntOrInts, *, order: Order = "CRD", out: Tensor | None = None) -> Tensor:
    """Lay groups of channels out as the elements of a block, as `unsample.pixel_shuffle`.

        out[..., c, i * factor + t] = x[..., c * T + t, i]       (order "CRD", T taps in a block)

    Transpose (and inverse): `pixel_unshuffle`.

    Parameters
    ----------
    x : Tensor, (..., C * T, *spatial)
    factor, order
        As in `unsample.pixel_shuffle`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., C, *spatial * factor)

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.pixel_shuffle`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.pixel_shuffle(torch.arange(8).reshape(8, 1, 1, 1), (2, 2, 2)).shape
    torch.Size([1, 2, 2, 2])
    """
    if direct.takes(direct.MOVED, x):
        plan = _plan(shuffle_ops.plan_pixel_shuffle, (x,), factor, order=order)
        channels = plan.output_shape[-plan.rank - 1]
        fitting = _fit("pixel_shuffle", out, plan.output_shape, x.dtype, x=x)
        return direct.move("shuffle", x, plan, fitting, channels, order == "DCR")
    result: Tensor = call(
        "pixel_shuffle", {"x": x}, lambda: plan_ints.of_pixel_shuffle(x.shape, factor, order)
    )
    return _into("pixel_shuffle", out, result, x=x)


def pixel_unshuffle(
    y: Tensor, factor: IntOrInts, *, order: Order = "CRD", out: Tensor | None = None
) -> Tensor:
    """Gather the elements of every block into channels, as `unsample.pixel_unshuffle`.

        out[..., c * T + t, i] = y[..., c, i * factor + t]

    Transpose (and inverse): `pixel_shuffle`.

    Parameters
    ----------
    y : Tensor, (..., C, *spatial)
    factor, order
        As in `unsample.pixel_unshuffle`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., C * T, *spatial / factor)

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.pixel_unshuffle`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.pixel_unshuffle(torch.arange(6).reshape(1, 6), (3,)).tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    if direct.takes(direct.MOVED, y):
        plan = _plan(shuffle_ops.plan_pixel_unshuffle, (y,), factor, order=order)
        channels = plan.input_shape[-plan.rank - 1]
        fitting = _fit("pixel_unshuffle", out, plan.output_shape, y.dtype, y=y)
        return direct.move("unshuffle", y, plan, fitting, channels, order == "DCR")
    result: Tensor = call(
        "pixel_unshuffle", {"y": y}, lambda: plan_ints.of_pixel_unshuffle(y.shape, factor, order)
    )
    return _into("pixel_unshuffle", out, result, y=y)


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
    """Interpolate to another size, axis by axis, as `unsample.resize`.

        out[..., o] = sum over i of w(o, i) * x[..., i]        along each spatial axis in turn

    Transpose: `resize_transpose`.

    Parameters
    ----------
    x : Tensor, (..., *spatial)
    output_size, factor, method, convention, antialias
        As in `unsample.resize`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., *output_size)

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.resize`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.resize(torch.tensor([0.0, 4.0]), (4,))
    tensor([0., 1., 3., 4.])
    """
    if direct.takes(_RESIZED, x):
        words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
        plan = _plan(resize_ops.plan_resize, (x,), output_size, factor=factor, **words)
        fitting = _fit("resize", out, plan.output_shape, x.dtype, x=x)
        return direct.resize(x, plan, True, method == "nearest", fitting)
    result: Tensor = call(
        "resize",
        {"x": x},
        lambda: plan_ints.of_resize(x.shape, output_size, factor, method, convention, antialias),
    )
    return _into("resize", out, result, x=x)


def resize_transpose(
    y: Tensor,
    input_size: Any,
    *,
    method: Method = "linear",
    convention: Convention = "half_pixel",
    antialias: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The exact transpose of `resize`, as `unsample.resize_transpose`.

        out[..., i] = sum over o of w(o, i) * y[..., o]        w as in `resize`

    Transpose: `resize`.

    Parameters
    ----------
    y : Tensor, (..., *spatial)
    input_size, method, convention, antialias
        As in `unsample.resize_transpose`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (..., *input_size)

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.resize_transpose`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.resize_transpose(torch.tensor([0.0, 4.0, 0.0, 0.0]), (2,))
    tensor([3., 1.])
    """
    if direct.takes(_RESIZED, y):
        words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
        plan = _plan(resize_ops.plan_resize_transpose, (y,), input_size, **words)
        fitting = _fit("resize_transpose", out, plan.output_shape, y.dtype, y=y)
        return direct.resize(y, plan, False, method == "nearest", fitting)
    result: Tensor = call(
        "resize_transpose",
        {"y": y},
        lambda: plan_ints.of_resize_transpose(y.shape, input_size, method, convention, antialias),
    )
    return _into("resize_transpose", out, result, y=y)


def _alike(x: Any, weight: Any, bias: Any) -> bool:
    """Whether the short way multiplies these: of one dtype."""
    return direct.takes(direct.FLOATS, x, weight, bias) and (
        x.dtype is weight.dtype and (bias is None or bias.dtype is x.dtype)
    )


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
    """Convolution in any number of axes, as `unsample.conv`.

        out[n, :, o] = bias + sum over taps t of W[t] @ x[n, :, o * stride + t * dilation - before]

    Transpose in x: `conv_transpose`; in the weight: `conv_weight_grad`.

    Parameters
    ----------
    x : Tensor, (N, C_x, *spatial) or (C_x, *spatial)
    weight : Tensor, (C_y, C_x / groups, *kernel)
    bias : Tensor, (C_y,), optional
    stride, padding, dilation, groups, padding_mode
        As in `unsample.conv`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (N, C_y, *windows) or (C_y, *windows)
        In the memory format of x; in the dtype of autocast where that is on.

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.conv`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> x, w = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]), torch.tensor([[[1.0, 10.0, 100.0]]])
    >>> ut.conv(x, w, stride=2)
    tensor([[321., 543.]])
    """
    if _alike(x, weight, bias):
        plan = _plan(
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
    result: Tensor = call(
        "conv",
        {"x": x, "weight": weight, "bias": bias},
        lambda: plan_ints.of_conv(
            x.shape,
            weight.shape,
            None if bias is None else bias.shape,
            stride,
            padding,
            dilation,
            groups,
            padding_mode,
        ),
    )
    return _into("conv", out, result, x=x, weight=weight, bias=bias)


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
    """Transposed convolution in any number of axes, as `unsample.conv_transpose`.

        out[n, :, o * stride + t * dilation - before] += W[t].T @ y[n, :, o]     for all windows o, taps t

    Transpose in y: `conv` with the same weight.

    Parameters
    ----------
    y : Tensor, (N, C_y, *spatial) or (C_y, *spatial)
    weight : Tensor, (C_y, C_x / groups, *kernel)
    bias : Tensor, (C_x,), optional
    stride, padding, output_padding, output_size, like, dilation, groups, padding_mode
        As in `unsample.conv_transpose`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (N, C_x, *output_size) or (C_x, *output_size)

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.conv_transpose`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.conv_transpose(torch.tensor([[1.0, 10.0]]), torch.tensor([[[2.0, 3.0, 4.0]]]), stride=2)
    tensor([[ 2.,  3., 24., 30., 40.]])
    """
    if _alike(y, weight, bias):
        plan = _plan(
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
    result: Tensor = call(
        "conv_transpose",
        {"y": y, "weight": weight, "bias": bias},
        lambda: plan_ints.of_conv_transpose(
            y.shape,
            weight.shape,
            None if bias is None else bias.shape,
            stride,
            padding,
            output_padding,
            output_size,
            like,
            dilation,
            groups,
            padding_mode,
        ),
    )
    return _into("conv_transpose", out, result, y=y, weight=weight, bias=bias)


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
    """How x and y meet under each tap: the third of the triple, as `unsample.conv_weight_grad`.

        out[:, :, t] = sum over n, o of  outer(y[n, :, o], x[n, :, o * stride + t * dilation - before])

    Transpose in y: w -> `conv(x, w)`; in x: w -> `conv_transpose(y, w)`.

    Parameters
    ----------
    x : Tensor, (N, C_x, *spatial) or (C_x, *spatial)
    y : Tensor, (N, C_y, *windows) or (C_y, *windows)
    kernel_size, stride, padding, dilation, groups, padding_mode
        As in `unsample.conv_weight_grad`.
    out : Tensor, optional
        As in `nearest`.

    Returns
    -------
    Tensor, (C_y, C_x / groups, *kernel_size)
        Contiguous, as fresh weights are.

    Raises
    ------
    TorchShapeError, TypeError
        As `unsample.conv_weight_grad`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.conv_weight_grad(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1.0, 10.0]]), (3,))
    tensor([[[21., 32., 43.]]])
    """
    if _alike(x, y, None):
        plan = _plan(
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
    result: Tensor = call(
        "conv_weight_grad",
        {"x": x, "y": y},
        lambda: plan_ints.of_conv_weight_grad(
            x.shape, y.shape, kernel_size, stride, padding, dilation, groups, padding_mode
        ),
    )
    return _into("conv_weight_grad", out, result, x=x, y=y)
