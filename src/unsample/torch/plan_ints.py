"""Arguments as users write them -> the integer lists and words that operators take.

One function per operation, each made of its plan: what it refuses, and how, is what `unsample` refuses.
Steps are what the user writes: a plan leaves out those that nobody takes, see `geometry.reach.settled`.
While torch compiles or exports, sizes may be symbols. Plans count taps and would turn them into
numbers, so there the sizes alone are computed, with the same functions; the operator's fake
implementation then makes the plan wherever sizes are numbers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    PADDING_MODES,
    PaddingMode,
    choice,
    is_sequence,
    paddings,
    per_axis,
    rank_of,
    spatial_size,
)
from unsample.geometry.plan import Plan, cached_plan
from unsample.geometry.resample import Convention, Method
from unsample.geometry.sizes import fine_range, resolve_padding, windows_over
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window
from unsample.interop.switch_indices import check_pooled
from unsample.ops import conv as convs
from unsample.ops import nails, nearest, pool, resize, shuffle, unpool
from unsample.torch.windows import to_ints

Arguments = tuple[Any, ...]
Shape = Sequence[int]


def symbolic(*shapes: Shape) -> bool:
    """Whether sizes may be symbols."""
    if torch.compiler.is_compiling():
        return True
    return any(type(size) is not int for shape in shapes for size in shape)


def planned(plan: Callable[..., Plan], shape: Shape, *args: Any, **kwargs: Any) -> Plan:
    """The plan of a call, kept from the last one like it."""
    return cached_plan(plan, (tuple(shape),), *args, **kwargs)


def factors(operation: str, array: str, shape: Shape, factor: Any) -> list[int]:
    """One factor per spatial axis."""
    rank = rank_of(operation, "factor", factor, shape, array)
    return list(per_axis(operation, "factor", factor, rank, minimum=1))


def of_nearest(shape: Shape, factor: Any) -> Arguments:
    """`nearest(x, factor)`."""
    if not symbolic(shape):
        planned(nearest.plan_nearest, shape, factor)
    return (factors("nearest", "x", shape, factor),)


def of_window_sum(shape: Shape, factor: Any) -> Arguments:
    """`window_sum(y, factor)`."""
    if not symbolic(shape):
        planned(nearest.plan_window_sum, shape, factor)
    return (factors("window_sum", "y", shape, factor),)


def of_bed_of_nails(
    shape: Shape, factor: Any, at: Any = 0, output_size: Any = None, like: Any = None
) -> Arguments:
    """`bed_of_nails(x, factor, at=, output_size=, like=)`."""
    operation = "bed_of_nails"
    if not symbolic(shape):
        plan = planned(nails.plan_bed_of_nails, shape, factor, at=at, output_size=output_size, like=like)
        each = factors(operation, "x", shape, factor)
        return each, [-w.before for w in _plain(plan)], list(plan.fine)
    each = factors(operation, "x", shape, factor)
    size = _wanted(operation, output_size, like, len(each), shape[: -len(each)])
    if size is None:
        size = [n * f for n, f in zip(shape[-len(each) :], each, strict=True)]
    return each, list(nails._nails(operation, at, tuple(each))), size


def of_decimate(shape: Shape, factor: Any, at: Any = 0) -> Arguments:
    """`decimate(y, factor, at=)`."""
    if not symbolic(shape):
        planned(nails.plan_decimate, shape, factor, at=at)
    each = factors("decimate", "y", shape, factor)
    return each, list(nails._nails("decimate", at, tuple(each)))


def of_pixel_shuffle(shape: Shape, factor: Any, order: shuffle.Order = "CRD") -> Arguments:
    """`pixel_shuffle(x, factor, order=)`."""
    if not symbolic(shape):
        planned(shuffle.plan_pixel_shuffle, shape, factor, order=order)
    choice("pixel_shuffle", "order", order, shuffle.ORDERS)
    return factors("pixel_shuffle", "x", shape, factor), order


def of_pixel_unshuffle(shape: Shape, factor: Any, order: shuffle.Order = "CRD") -> Arguments:
    """`pixel_unshuffle(y, factor, order=)`."""
    if not symbolic(shape):
        planned(shuffle.plan_pixel_unshuffle, shape, factor, order=order)
    choice("pixel_unshuffle", "order", order, shuffle.ORDERS)
    return factors("pixel_unshuffle", "y", shape, factor), order


def of_resize(
    shape: Shape,
    output_size: Any = None,
    factor: Any = None,
    method: Method = "linear",
    convention: Convention = "half_pixel",
    antialias: bool = False,
) -> Arguments:
    """`resize(x, output_size, factor=, method=, convention=, antialias=)`."""
    words = {"method": method, "convention": convention, "antialias": antialias}
    if not symbolic(shape):
        plan = planned(resize.plan_resize, shape, output_size, factor=factor, **words)
        return [axis.target for axis in plan.resamples], method, convention, antialias
    resize._check_words("resize", method, convention, antialias)
    if (output_size is None) == (factor is None):
        raise ShapeError("resize: exactly one of output_size and factor must be given")
    if output_size is not None:
        rank = rank_of("resize", "output_size", output_size, shape, "x")
        size = list(output_size) if is_sequence(output_size) else [output_size] * rank
    else:
        rank = rank_of("resize", "factor", factor, shape, "x")
        each = list(factor) if is_sequence(factor) else [factor] * rank
        ratios = [f.as_integer_ratio() for f in each]
        size = [n * p // q for n, (p, q) in zip(shape[-rank:], ratios, strict=True)]
    return size, method, convention, antialias


def of_resize_transpose(
    shape: Shape,
    input_size: Any,
    method: Method = "linear",
    convention: Convention = "half_pixel",
    antialias: bool = False,
) -> Arguments:
    """`resize_transpose(y, input_size, method=, convention=, antialias=)`."""
    words = {"method": method, "convention": convention, "antialias": antialias}
    if not symbolic(shape):
        plan = planned(resize.plan_resize_transpose, shape, input_size, **words)
        return [axis.source for axis in plan.resamples], method, convention, antialias
    resize._check_words("resize_transpose", method, convention, antialias)
    rank = rank_of("resize_transpose", "input_size", input_size, shape, "y")
    size = list(input_size) if is_sequence(input_size) else [input_size] * rank
    return size, method, convention, antialias


def windows_of_max_pool(
    shape: Shape,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[AnyWindow, ...]:
    """The windows of `max_pool(x, kernel_size, ...)`."""
    if not symbolic(shape):
        words: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        return planned(pool.plan_max_pool, shape, kernel_size, **words, ceil_mode=ceil_mode).windows
    kernel, steps, spread = _pool_steps(shape, kernel_size, stride, dilation)
    rank = len(kernel)
    pads = paddings("max_pool", padding, rank, 0, ("valid", "same"))
    return windows_over("max_pool", shape[-rank:], kernel, steps, pads, spread, ceil_mode=ceil_mode)


def of_max_pool(
    shape: Shape,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Arguments:
    """`max_pool(x, kernel_size, ...)`."""
    windows = windows_of_max_pool(shape, kernel_size, stride, padding, dilation, ceil_mode)
    steps = map(list, _pool_steps(shape, kernel_size, stride, dilation))
    kernel, strides, spread = steps
    sides = _sides([w for w in windows if isinstance(w, Window)])
    return kernel, strides, sides, spread, bool(ceil_mode)


def _pool_steps(shape: Shape, kernel_size: Any, stride: Any, dilation: Any) -> tuple[Any, Any, Any]:
    operation = "max_pool"
    rank = rank_of(operation, "kernel_size", kernel_size, shape)
    kernel = per_axis(operation, "kernel_size", kernel_size, rank, minimum=1)
    steps = per_axis(operation, "stride", kernel if stride is None else stride, rank, minimum=1)
    return kernel, steps, per_axis(operation, "dilation", dilation, rank, minimum=1)


def windows_of_adaptive_max_pool(shape: Shape, output_size: Any) -> tuple[AnyWindow, ...]:
    """The windows of `adaptive_max_pool(x, output_size)`."""
    if not symbolic(shape):
        return planned(pool.plan_adaptive_max_pool, shape, output_size).windows
    rank = rank_of("adaptive_max_pool", "output_size", output_size, shape)
    wanted = output_size if is_sequence(output_size) else (output_size,) * rank
    return tuple(AdaptiveWindow(n, m) for n, m in zip(shape[-rank:], wanted, strict=True))


def of_adaptive_max_pool(shape: Shape, output_size: Any) -> Arguments:
    """`adaptive_max_pool(x, output_size)`."""
    return ([w.coarse for w in windows_of_adaptive_max_pool(shape, output_size)],)


def of_max_unpool(shape: Shape, taps: Shape, windows: tuple[AnyWindow, ...], duplicates: str) -> Arguments:
    """`max_unpool(values, switches)`, whose windows may have been made by hand."""
    return _of_switches(unpool._plan_unpool, shape, taps, windows), duplicates


def of_max_gather(shape: Shape, taps: Shape, windows: tuple[AnyWindow, ...]) -> Arguments:
    """`max_gather(x, switches)`."""
    return (_of_switches(unpool._plan_gather, shape, taps, windows),)


def _of_switches(
    plan: Callable[..., Plan], shape: Shape, taps: Shape, windows: tuple[AnyWindow, ...]
) -> list[int]:
    if not symbolic(shape, taps):
        cached_plan(plan, (tuple(shape), tuple(taps)), windows)
    return to_ints(windows)


def of_switches_to_indices(taps: Shape, windows: tuple[AnyWindow, ...]) -> Arguments:
    """`Switches.to_torch`."""
    return _of_indices("Switches.to_torch", windows)


def of_indices_to_switches(indices: Shape, windows: tuple[AnyWindow, ...]) -> Arguments:
    """`Switches.from_torch(indices, windows)`."""
    return _of_indices("Switches.from_torch", windows)


def _of_indices(operation: str, windows: tuple[AnyWindow, ...]) -> Arguments:
    if not torch.compiler.is_compiling():
        check_pooled(operation, windows)
    return (to_ints(windows),)


def of_conv(
    shape: Shape,
    weight: Shape,
    bias: Shape | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> Arguments:
    """`conv(x, weight, bias, stride=, ...)`."""
    windows: Sequence[Window]
    if not symbolic(shape, weight):
        plan = planned(
            convs.plan_conv,
            shape,
            tuple(weight),
            None if bias is None else tuple(bias),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        windows = _plain(plan)
    rank = len(weight) - 2
    steps = _steps("conv", rank, stride, padding, dilation, padding_mode)
    if symbolic(shape, weight):
        windows = windows_over("conv", shape[-rank:], weight[2:], *steps)
    return list(steps[0]), _sides(windows), list(steps[2]), groups, padding_mode


def of_conv_transpose(
    shape: Shape,
    weight: Shape,
    bias: Shape | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    output_size: Any = None,
    like: Any = None,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> Arguments:
    """`conv_transpose(y, weight, bias, stride=, ...)`."""
    operation = "conv_transpose"
    if not symbolic(shape, weight):
        plan = planned(
            convs.plan_conv_transpose,
            shape,
            tuple(weight),
            None if bias is None else tuple(bias),
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            output_size=output_size,
            like=like,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
    rank = len(weight) - 2
    steps = _steps(operation, rank, stride, padding, dilation, padding_mode)
    extra = per_axis(operation, "output_padding", output_padding, rank, minimum=0)
    if symbolic(shape, weight):
        leading = (*shape[: -rank - 1], weight[1] * groups)
        size = _wanted(operation, output_size, like, rank, leading)
        if size is None:
            size = [
                fine_range(m, weight[2 + axis], steps[0][axis], steps[2][axis], steps[1], axis)[2]
                + extra[axis]
                for axis, m in enumerate(shape[-rank:])
            ]
        pads = resolve_padding(steps[1], size, weight[2:], steps[0], steps[2])
        sides = [side for pair in pads for side in pair]
    else:
        size, sides = list(plan.fine), _sides(_plain(plan))
    _widen(sides, steps[0], extra)
    return list(steps[0]), sides, list(steps[2]), groups, padding_mode, size


def _widen(sides: list[int], strides: Sequence[int], extra: Sequence[int]) -> None:
    """Take an output_padding of a stride or more from the padding after.

    torch allows it up to the dilation. A convolution of that larger side has more windows than there are
    inputs; with so much less padding it has as many, and its transpose is the same.
    """
    for axis, (s, more) in enumerate(zip(strides, extra, strict=True)):
        if more >= s:
            sides[2 * axis + 1] -= more


def of_conv_weight_grad(
    shape: Shape,
    y_shape: Shape,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> Arguments:
    """`conv_weight_grad(x, y, kernel_size, stride=, ...)`."""
    operation = "conv_weight_grad"
    windows: Sequence[Window]
    if not symbolic(shape, y_shape):
        plan = planned(
            convs.plan_conv_weight_grad,
            shape,
            tuple(y_shape),
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        windows = _plain(plan)
    rank = len(kernel_size) if is_sequence(kernel_size) else len(shape) - 2
    kernel = per_axis(operation, "kernel_size", kernel_size, rank, minimum=1)
    steps = _steps(operation, rank, stride, padding, dilation, padding_mode)
    if symbolic(shape, y_shape):
        windows = windows_over(operation, shape[-rank:], kernel, *steps)
    return list(kernel), list(steps[0]), _sides(windows), list(steps[2]), groups, padding_mode


def _steps(
    operation: str, rank: int, stride: Any, padding: Any, dilation: Any, padding_mode: PaddingMode
) -> tuple[Any, Any, Any, PaddingMode]:
    return (
        per_axis(operation, "stride", stride, rank, minimum=1),
        paddings(operation, padding, rank),
        per_axis(operation, "dilation", dilation, rank, minimum=1),
        choice(operation, "padding_mode", padding_mode, PADDING_MODES),
    )


def _wanted(operation: str, output_size: Any, like: Any, rank: int, leading: Shape) -> list[int] | None:
    """As `geometry.arguments.wanted_size`, with symbols kept."""
    if output_size is not None and like is not None:
        raise ShapeError(f"{operation}: output_size and like must not both be given")
    if like is not None:
        return list(like.shape[len(like.shape) - rank :])
    if output_size is None:
        return None
    if is_sequence(output_size) and len(output_size) == rank:
        return list(output_size)
    if is_sequence(output_size):
        return list(spatial_size(operation, "output_size", output_size, rank, leading))
    return [output_size] * rank


def _plain(plan: Plan) -> list[Window]:
    return [w for w in plan.windows if isinstance(w, Window)]


def _sides(windows: Sequence[Window]) -> list[int]:
    """before, after, before, after, ..."""
    return [side for w in windows for side in (w.before, w.after)]


def pairs(sides: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """before, after, before, after, ... -> ((before, after), ...).

    Examples
    --------
    >>> pairs([1, 2, 0, 3])
    ((1, 2), (0, 3))
    """
    return tuple(zip(sides[0::2], sides[1::2], strict=True))
