"""Convolution, its transpose and its weight gradient: a learned matrix on every tap.

The three are the partial transposes of one trilinear form

    <conv(x, w), y>  =  <x, conv_transpose(y, w)>  =  <w, conv_weight_grad(x, y)>

so the derivatives of any of them, of every order, are the others. One weight layout serves all three:
(C_y, C_x / groups, *kernel), what torch calls `conv.weight` and what its transposed layers store too.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from unsample.arrays import dispatch
from unsample.arrays.library import SUMS, ArrayT, namespace, promoted, result_dtype, sum_dtype, zeros
from unsample.arrays.out import check_out, placed
from unsample.arrays.packed_weight import PackedWeight
from unsample.arrays.stamp import add_tap, slice_tap
from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    PADDING_MODES,
    IntOrInts,
    Padding,
    PaddingMode,
    PaddingWord,
    Pads,
    choice,
    count,
    has_symbols,
    integer,
    is_sequence,
    known,
    paddings,
    per_axis,
    shown,
    spatial_axes,
    unpacked,
    wanted_size,
)
from unsample.geometry.plan import Plan, cached_plan, plan_of_windows
from unsample.geometry.reach import check_reach, settled
from unsample.geometry.sizes import check_border, windows_over, windows_under
from unsample.geometry.window import Tap, Window
from unsample.native import conv as conv_kernels
from unsample.operation import Operation, Pair, Shape, same_call, sized_call


def plan_conv(
    shape: Sequence[int],
    weight_shape: Sequence[int],
    bias_shape: Sequence[int] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> Plan:
    """The plan of `conv` for an input and a weight of these shapes."""
    words: dict[str, Any] = {"groups": groups, "padding_mode": padding_mode}
    windows = conv_windows(
        shape, weight_shape, bias_shape, stride=stride, padding=padding, dilation=dilation, **words
    )
    return plan_conv_over(shape, weight_shape, bias_shape, windows, **words)


def plan_conv_transpose(
    shape: Sequence[int],
    weight_shape: Sequence[int],
    bias_shape: Sequence[int] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: Any = None,
    like: Any = None,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> Plan:
    """The plan of `conv_transpose` for an input and a weight of these shapes."""
    words: dict[str, Any] = {"groups": groups, "padding_mode": padding_mode}
    windows = transpose_windows(
        shape,
        weight_shape,
        bias_shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        like=like,
        dilation=dilation,
        **words,
    )
    return plan_transpose_over(shape, weight_shape, bias_shape, windows, **words)


def plan_conv_weight_grad(
    shape: Sequence[int],
    y_shape: Sequence[int],
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> Plan:
    """The plan of `conv_weight_grad` for x and y of these shapes; its output is the weight."""
    words: dict[str, Any] = {"groups": groups, "padding_mode": padding_mode}
    windows = weight_grad_windows(
        shape, y_shape, kernel_size, stride=stride, padding=padding, dilation=dilation, **words
    )
    return plan_weight_grad_over(shape, y_shape, windows, **words)


def conv_windows(
    shape: Sequence[int],
    weight_shape: Sequence[int],
    bias_shape: Sequence[int] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> tuple[Window, ...]:
    """The windows of `conv`."""
    weight = tuple(weight_shape)
    rank, groups = _weight_rank("conv", weight, groups)
    steps = _steps("conv", rank, stride, padding, dilation, padding_mode)
    _check_conv(tuple(shape), weight, bias_shape, groups)
    return windows_over("conv", spatial_axes("conv", shape, rank), weight[2:], *steps)


def _check_conv(
    shape: tuple[int, ...], weight: tuple[int, ...], bias: Sequence[int] | None, groups: int
) -> None:
    _, channels, _ = _split("conv", "x", shape, weight, len(weight) - 2)
    if channels != weight[1] * groups:
        raise ShapeError(
            f"conv: weight has {count(weight[1] * groups, 'input channel')}, x has {channels} "
            f"(x is {shape}, weight is {weight}, groups {groups})"
        )
    _check_bias("conv", bias, weight[0])


def plan_conv_over(
    shape: Sequence[int],
    weight_shape: Sequence[int],
    bias_shape: Sequence[int] | None,
    windows: Sequence[Window],
    groups: int,
    padding_mode: PaddingMode,
) -> Plan:
    """The plan of `conv` with these windows, whatever mode they have."""
    shape, weight = tuple(shape), tuple(weight_shape)
    rank, groups = _weight_rank("conv", weight, groups)
    _check_conv(shape, weight, bias_shape, groups)
    windows = _bordered("conv", windows, weight[2:], padding_mode)
    products = math.prod(shape[: -rank - 1]) * weight[0] * weight[1]
    return plan_of_windows("conv", shape, windows, up=False, channels=weight[0], products=products)


def transpose_windows(
    shape: Sequence[int],
    weight_shape: Sequence[int],
    bias_shape: Sequence[int] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: Any = None,
    like: Any = None,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> tuple[Window, ...]:
    """The windows of `conv_transpose`."""
    operation = "conv_transpose"
    shape, weight = tuple(shape), tuple(weight_shape)
    rank, groups = _weight_rank(operation, weight, groups)
    steps = _steps(operation, rank, stride, padding, dilation, padding_mode)
    extra = per_axis(operation, "output_padding", output_padding, rank, minimum=0)
    _check_transpose(shape, weight, bias_shape, groups)
    leading = (*shape[: -rank - 1], weight[1] * groups)
    size = wanted_size(operation, output_size, like, rank, leading)
    if any(extra):
        if size is not None or isinstance(steps[1], str):
            given = "output_size or like" if size is not None else f"padding {steps[1]!r}"
            raise ShapeError(f"{operation}: output_padding must be 0 with {given}, got {output_padding!r}")
        for more, s, d in zip(extra, steps[0], steps[2], strict=True):
            if more >= max(s, d):
                raise ShapeError(
                    f"{operation}: output_padding must be smaller than stride or dilation, "
                    f"got output_padding {extra}, stride {steps[0]}, dilation {steps[2]}"
                )
    return windows_under(operation, spatial_axes(operation, shape, rank), weight[2:], *steps, extra, size)


def _check_transpose(
    shape: tuple[int, ...], weight: tuple[int, ...], bias: Sequence[int] | None, groups: int
) -> None:
    operation = "conv_transpose"
    _, channels, _ = _split(operation, "y", shape, weight, len(weight) - 2)
    if channels != weight[0]:
        raise ShapeError(
            f"{operation}: weight has {count(weight[0], 'input channel')}, y has {channels} "
            f"(y is {shape}, weight is {weight})"
        )
    _check_bias(operation, bias, weight[1] * groups)


def plan_transpose_over(
    shape: Sequence[int],
    weight_shape: Sequence[int],
    bias_shape: Sequence[int] | None,
    windows: Sequence[Window],
    groups: int,
    padding_mode: PaddingMode,
) -> Plan:
    """The plan of `conv_transpose` with these windows, whatever mode they have."""
    operation = "conv_transpose"
    shape, weight = tuple(shape), tuple(weight_shape)
    rank, groups = _weight_rank(operation, weight, groups)
    _check_transpose(shape, weight, bias_shape, groups)
    windows = _bordered(operation, windows, weight[2:], padding_mode)
    products = math.prod(shape[: -rank - 1]) * weight[0] * weight[1]
    channels = weight[1] * groups
    return plan_of_windows(operation, shape, windows, up=True, channels=channels, products=products)


def _bordered(
    operation: str, windows: Sequence[Window], kernel: Sequence[int], padding_mode: PaddingMode
) -> tuple[Window, ...]:
    """The windows of a plan, with what padding holds."""
    mode = choice(operation, "padding_mode", padding_mode, PADDING_MODES)
    sizes = tuple(w.size for w in windows)
    if sizes != tuple(kernel):
        raise ShapeError(f"{operation}: windows must have the kernel {tuple(kernel)} of weight, got {sizes}")
    bordered = settled(tuple(w if w.mode == mode else replace(w, mode=mode) for w in windows))
    for axis, window in enumerate(bordered):
        if not has_symbols(window.fine):
            check_border(operation, axis, window)
    return bordered


def weight_grad_windows(
    shape: Sequence[int],
    y_shape: Sequence[int],
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> tuple[Window, ...]:
    """The windows of `conv_weight_grad`."""
    operation = "conv_weight_grad"
    kernel_size = unpacked(kernel_size)
    rank = len(kernel_size) if is_sequence(kernel_size) else len(shape) - 2
    _check_both(shape, y_shape, rank, kernel_size)
    kernel = per_axis(operation, "kernel_size", kernel_size, rank, minimum=1)
    groups = integer(operation, "groups", groups, minimum=1)
    steps = _steps(operation, rank, stride, padding, dilation, padding_mode)
    _check_groups(shape[-rank - 1], y_shape[-rank - 1], groups)
    return windows_over(operation, spatial_axes(operation, shape, rank), kernel, *steps)


def _check_both(shape: Sequence[int], y_shape: Sequence[int], rank: int, kernel_size: Any) -> None:
    if rank < 1 or len(shape) - rank not in (1, 2) or len(y_shape) != len(shape):
        raise ShapeError(
            "conv_weight_grad: x and y must both be (N, C, *spatial), or both (C, *spatial) with one "
            f"kernel_size per spatial axis, got x of shape {tuple(shape)}, y of shape {tuple(y_shape)} "
            f"and kernel_size {shown(kernel_size)}"
        )


def _check_groups(c_x: int, c_y: int, groups: int) -> None:
    if c_x % groups or c_y % groups:
        raise ShapeError(
            f"conv_weight_grad: groups must divide the channels of x and y, got {groups} for {c_x} and {c_y}"
        )


def plan_weight_grad_over(
    shape: Sequence[int],
    y_shape: Sequence[int],
    windows: Sequence[Window],
    groups: int,
    padding_mode: PaddingMode,
) -> Plan:
    """The plan of `conv_weight_grad` with these windows, whatever mode they have."""
    operation = "conv_weight_grad"
    shape, y_shape, rank = tuple(shape), tuple(y_shape), len(windows)
    _check_both(shape, y_shape, rank, tuple(w.size for w in windows))
    c_x, c_y = shape[-rank - 1], y_shape[-rank - 1]
    _check_groups(c_x, c_y, integer(operation, "groups", groups, minimum=1))
    kernel = tuple(w.size for w in windows)
    windows = _bordered(operation, windows, kernel, padding_mode)
    expected = (*shape[: -rank - 1], c_y, *(window.coarse for window in windows))
    if not has_symbols(*shape, *y_shape):
        if y_shape != expected:
            raise ShapeError(
                f"{operation}: y must have the shape {expected} that conv makes of x, got {y_shape} "
                f"(x is {shape}, kernel_size {kernel})"
            )
        # y is neither the input nor the output of the plan
        check_reach(operation, [y_shape[:-rank]], windows)
    products = math.prod(shape[: -rank - 1]) * c_y * (c_x // groups)
    return Plan(operation, shape, (c_y, c_x // groups, *kernel), windows, products=products)


def _weight_rank(operation: str, weight: tuple[int, ...], groups: int) -> tuple[int, int]:
    rank = len(weight) - 2
    if rank < 1:
        raise ShapeError(
            f"{operation}: weight must be (C_y, C_x / groups, *kernel) with at least 1 kernel axis, "
            f"got shape {weight}"
        )
    if any(k < 1 for k in known(operation, "the kernel size", weight[2:])):
        raise ShapeError(f"{operation}: the kernel axes of weight must not be empty, got shape {weight}")
    groups = integer(operation, "groups", groups, minimum=1)
    if weight[0] % groups:
        raise ShapeError(
            f"{operation}: groups must divide the first axis of weight, got groups {groups} "
            f"and weight of shape {weight}"
        )
    return rank, groups


def _steps(
    operation: str, rank: int, stride: Any, padding: Any, dilation: Any, padding_mode: Any
) -> tuple[tuple[int, ...], Pads | PaddingWord, tuple[int, ...], PaddingMode]:
    return (
        per_axis(operation, "stride", stride, rank, minimum=1),
        paddings(operation, padding, rank),
        per_axis(operation, "dilation", dilation, rank, minimum=1),
        choice(operation, "padding_mode", padding_mode, PADDING_MODES),
    )


def _split(
    operation: str, array: str, shape: tuple[int, ...], weight: tuple[int, ...], rank: int
) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Batch (or nothing), channels, spatial size."""
    if len(shape) - rank not in (1, 2):
        raise ShapeError(
            f"{operation}: {array} must be (N, C, *spatial) or (C, *spatial) with "
            f"{count(rank, 'spatial axis')}, as weight of shape {weight} has, got shape {shape}"
        )
    return shape[: -rank - 1], shape[-rank - 1], shape[-rank:]


def _check_bias(operation: str, bias: Sequence[int] | None, channels: int) -> None:
    if bias is not None and tuple(bias) != (channels,):
        raise ShapeError(
            f"{operation}: bias must have the shape ({channels},) of the output channels, got {tuple(bias)}"
        )


def conv(
    x: ArrayT,
    weight: ArrayT,
    bias: ArrayT | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    out: ArrayT | None = None,
) -> ArrayT:
    """Convolution: every window's elements, weighted by a matrix per tap, summed.

        out[n, :, o] = bias + sum over taps t of W[t] @ x[n, :, o * stride + t * dilation - before]

    Transpose in x: `conv_transpose` with the same weight and `output_size` the size of x; in the weight:
    `conv_weight_grad`.

    Parameters
    ----------
    x : array, (N, C_x, *spatial) or (C_x, *spatial)
        Any library.
    weight : array, (C_y, C_x / groups, *kernel)
        The number of kernel axes fixes the number of spatial axes.
    bias : array, (C_y,), optional
        Added to every output element.
    stride, dilation : int or sequence of int
        Step from window to window, from tap to tap; one for all axes or one per axis.
    padding : int, sequence of int or of pairs (before, after), "valid", "same", "full"
        Per axis and side; negative crops. "same" makes ceil(size / stride) windows, the odd element of the
        padding after; "full" is dilation * (kernel - 1) on both sides.
    groups : int
        Channel groups that do not see each other.
    padding_mode : "zeros", "circular", "reflect" or "replicate"
        What padding holds.
    out : array, optional
        As in `nearest`.

    Returns
    -------
    array, (N, C_y, *windows) or (C_y, *windows)
        In the common dtype of the arguments. float16 and bfloat16 accumulate in float32; integers give
        the dtype of the library's own `sum`.

    Raises
    ------
    ShapeError, TypeError, OverflowError
        Where shapes or arguments do not fit, or arrays are bool or of different libraries.

    Notes
    -----
    Cross-correlation, as every deep-learning library means it: the kernel is not flipped. Complex weights
    are not conjugated, and neither does the transpose conjugate them. An axis of length 0 gives an axis of
    length 0. Source: the article, section 3; Dumoulin & Visin (1603.07285), relationship 6.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> x = np.array([[1, 2, 3, 4, 5]])
    >>> w = np.array([[[1, 10, 100]]])
    >>> us.conv(x, w, stride=2)
    array([[321, 543]])
    >>> us.conv(x, w, stride=2, padding="same")
    array([[210, 432,  54]])
    """
    groups = groups if type(groups) is int else integer("conv", "groups", groups, minimum=1)
    if (call := dispatch.door(x)) is not None:
        return call(  # type: ignore[no-any-return]
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
    xp = namespace("conv", SUMS, x=x, weight=weight, bias=bias)
    plan = cached_plan(
        plan_conv,
        (x.shape, weight.shape, None if bias is None else bias.shape),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return conv_as_planned(xp, x, weight, bias, plan, groups, out)


def conv_as_planned(
    xp: Any, x: ArrayT, weight: ArrayT, bias: ArrayT | None, plan: Plan, groups: int, out: ArrayT | None
) -> ArrayT:
    """`conv` by its kernel, or by its definition."""
    dtype, total = _dtypes("conv", xp, x, weight, bias)
    if out is not None:
        check_out("conv", out, plan.output_shape, result_dtype(total, dtype), x=x, weight=weight, bias=bias)
    compiled = conv_kernels.conv(x, weight, bias, plan, groups, dtype, out)
    if compiled is not None:
        return compiled  # type: ignore[no-any-return]
    return placed(dispatch.implementation(conv_definition, x)(x, weight, bias, plan, groups), out)


def conv_definition(x: Any, weight: Any, bias: Any, plan: Plan, groups: int) -> Any:
    """Tap by tap: its matrix times what it reads."""
    xp = namespace("conv", SUMS, x=x)
    dtype, total = _dtypes("conv", xp, x, weight, bias)
    source = _batched(xp.astype(x, total), plan.rank)
    matrices = _matrices(xp, xp.astype(weight, total), groups)
    done = zeros(source, (source.shape[0], weight.shape[0], *plan.coarse))
    for tap in _taps(plan, source, weight):
        value = _multiply(xp, matrices(tap), slice_tap(source, tap.fine), groups)
        done = add_tap(done, tap.coarse, value)
    return _finish(xp, done, bias, plan, dtype)


def conv_transpose(
    y: ArrayT,
    weight: ArrayT,
    bias: ArrayT | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: Any = None,
    like: Any = None,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    out: ArrayT | None = None,
) -> ArrayT:
    """Transposed convolution: every element stamps its window, weighted by a matrix per tap; overlaps add.

        out[n, :, o * stride + t * dilation - before] += W[t].T @ y[n, :, o]     for all windows o, taps t

    Transpose in y: `conv` with the same weight.

    Parameters
    ----------
    y : array, (N, C_y, *spatial) or (C_y, *spatial)
        Any library.
    weight : array, (C_y, C_x / groups, *kernel)
        The weight of the convolution this is the transpose of; torch's ConvTranspose layout.
    bias : array, (C_x,), optional
        Added to every output element.
    stride, dilation, groups, padding_mode, out
        As in `conv`. Other modes than "zeros" fold what falls into the padding back onto the element the
        convolution read there: the true adjoint.
    padding : int, sequence of int or of pairs (before, after), "valid", "same", "full"
        The padding of that convolution, so a crop of this output; negative widens it. "same" gives
        spatial * stride; the article's full transposed convolution is padding 0.
    output_padding : int or sequence of int
        Elements more at the end, below stride or dilation; torch's way of naming the size.
    output_size : int or sequence of int, optional
        Spatial size (or full shape) of the result: any of the `stride` sizes that `conv` brings back
        to y's. The smallest unless given; with padding "same", size * stride.
    like : array, optional
        Take the spatial size of this array, such as a skip connection.

    Returns
    -------
    array, (N, C_x, *output_size) or (C_x, *output_size)
        output_size = (spatial - 1) * stride - before - after + dilation * (kernel - 1) + 1 + output_padding.
        dtype as in `conv`.

    Raises
    ------
    ShapeError, TypeError, OverflowError
        As in `conv`, and where the size asked for is not possible (the message names those that are) or the
        output would be empty.

    Notes
    -----
    Zeros are multiplied like any number (0 * inf is NaN), but no zeros are inserted. Complex weights are
    not conjugated. Source: the article, section 3; Dumoulin & Visin (1603.07285), relationship 14.

    Examples
    --------
    The article's Fig. 7: 2 inputs, 3 taps, stride 2.

    >>> import numpy as np, unsample as us
    >>> y = np.array([[1, 10]])
    >>> xyz = np.array([[[2, 3, 4]]])
    >>> us.conv_transpose(y, xyz, stride=2)
    array([[ 2,  3, 24, 30, 40]])
    >>> us.conv_transpose(y, xyz, stride=1)
    array([[ 2, 23, 34, 40]])
    >>> us.conv_transpose(y, xyz, stride=2, output_size=6)
    array([[ 2,  3, 24, 30, 40,  0]])
    """
    groups = groups if type(groups) is int else integer("conv_transpose", "groups", groups, minimum=1)
    if (call := dispatch.door(y)) is not None:
        return call(  # type: ignore[no-any-return]
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
    xp = namespace("conv_transpose", SUMS, y=y, weight=weight, bias=bias)
    plan = cached_plan(
        plan_conv_transpose,
        (y.shape, weight.shape, None if bias is None else bias.shape),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        like=like,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return conv_transpose_as_planned(xp, y, weight, bias, plan, groups, out)


def conv_transpose_as_planned(
    xp: Any, y: ArrayT, weight: ArrayT, bias: ArrayT | None, plan: Plan, groups: int, out: ArrayT | None
) -> ArrayT:
    """`conv_transpose` by its kernel, or by its definition."""
    dtype, total = _dtypes("conv_transpose", xp, y, weight, bias)
    if out is not None:
        check_out(
            "conv_transpose",
            out,
            plan.output_shape,
            result_dtype(total, dtype),
            y=y,
            weight=weight,
            bias=bias,
        )
    compiled = conv_kernels.conv_transpose(y, weight, bias, plan, groups, dtype, out)
    if compiled is not None:
        return compiled  # type: ignore[no-any-return]
    return placed(dispatch.implementation(conv_transpose_definition, y)(y, weight, bias, plan, groups), out)


def conv_transpose_definition(y: Any, weight: Any, bias: Any, plan: Plan, groups: int) -> Any:
    """Tap by tap: its matrix, transposed, stamped."""
    xp = namespace("conv_transpose", SUMS, y=y)
    dtype, total = _dtypes("conv_transpose", xp, y, weight, bias)
    source = _batched(xp.astype(y, total), plan.rank)
    matrices = _matrices(xp, xp.astype(weight, total), groups)
    done = zeros(source, (source.shape[0], weight.shape[1] * groups, *plan.fine))
    for tap in _taps(plan, source, weight):
        transposed = xp.matrix_transpose(matrices(tap))
        value = _multiply(xp, transposed, slice_tap(source, tap.coarse), groups)
        done = add_tap(done, tap.fine, value, tap.repeats)
    return _finish(xp, done, bias, plan, dtype)


def conv_weight_grad(
    x: ArrayT,
    y: ArrayT,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    out: ArrayT | None = None,
) -> ArrayT:
    """The third of the triple: how x and y meet under each tap.

        out[:, :, t] = sum over n, o of  outer(y[n, :, o], x[n, :, o * stride + t * dilation - before])

    Transpose in y: w -> `conv(x, w)`; in x: w -> `conv_transpose(y, w)`.

    Parameters
    ----------
    x : array, (N, C_x, *spatial) or (C_x, *spatial)
        The larger side: the input of the convolution.
    y : array, (N, C_y, *windows) or (C_y, *windows)
        The smaller side: its output, or the gradient of it.
    kernel_size : int or sequence of int
        Taps per axis; a sequence also fixes the number of spatial axes.
    stride, padding, dilation, groups, padding_mode, out
        As in `conv`.

    Returns
    -------
    array, (C_y, C_x / groups, *kernel_size)
        dtype as in `conv`.

    Raises
    ------
    ShapeError, TypeError
        As in `conv`, and where y has not the shape that `conv` makes of x.

    Notes
    -----
    Source: the chain rule applied to Dumoulin & Visin (1603.07285), relationship 6.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.conv_weight_grad(np.array([[1, 2, 3, 4]]), np.array([[1, 10]]), (3,))
    array([[[21, 32, 43]]])
    """
    groups = groups if type(groups) is int else integer("conv_weight_grad", "groups", groups, minimum=1)
    if (call := dispatch.door(x)) is not None:
        return call(  # type: ignore[no-any-return]
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
    xp = namespace("conv_weight_grad", SUMS, x=x, y=y)
    plan = cached_plan(
        plan_conv_weight_grad,
        (x.shape, y.shape),
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return weight_grad_as_planned(xp, x, y, plan, groups, out)


def weight_grad_as_planned(
    xp: Any, x: ArrayT, y: ArrayT, plan: Plan, groups: int, out: ArrayT | None
) -> ArrayT:
    """`conv_weight_grad` by its kernel, or by its definition."""
    dtype, total = _dtypes("conv_weight_grad", xp, x, y)
    if out is not None:
        check_out("conv_weight_grad", out, plan.output_shape, result_dtype(total, dtype), x=x, y=y)
    compiled = conv_kernels.conv_weight_grad(x, y, plan, groups, dtype, out)
    if compiled is not None:
        return compiled  # type: ignore[no-any-return]
    return placed(dispatch.implementation(weight_grad_definition, x)(x, y, plan, groups), out)


def weight_grad_definition(x: Any, y: Any, plan: Plan, groups: int) -> Any:
    """Tap by tap: how what it reads meets what it makes."""
    xp = namespace("conv_weight_grad", SUMS, x=x)
    dtype, total = _dtypes("conv_weight_grad", xp, x, y)
    fine = _batched(xp.astype(x, total), plan.rank)
    coarse = _batched(xp.astype(y, total), plan.rank)
    c_y, c_x = plan.output_shape[:2]
    done = zeros(fine, plan.output_shape)
    for tap in _taps(plan, fine, coarse):
        columns = _grouped(xp, slice_tap(fine, tap.fine), groups)
        rows = _grouped(xp, slice_tap(coarse, tap.coarse), groups)
        outer = xp.matmul(rows, xp.matrix_transpose(columns))  # (N, groups, C_y / groups, C_x / groups)
        value = xp.reshape(xp.sum(outer, axis=0), (c_y, c_x, *(1,) * plan.rank))
        done = add_tap(done, tuple(range(t, t + 1) for t in tap.index), value)
    return xp.astype(done, result_dtype(total, dtype))


def _dtypes(operation: str, xp: Any, *arrays: Any) -> tuple[Any, Any]:
    """The common dtype of the arguments, and the one sums are taken in."""
    if xp is np:
        return _numpy_dtypes(*(array.dtype for array in arrays if array is not None))
    dtype = promoted(operation, xp.result_type, *(array for array in arrays if array is not None))
    return dtype, sum_dtype(xp, dtype)


@lru_cache(maxsize=256)
def _numpy_dtypes(*dtypes: Any) -> tuple[Any, Any]:
    dtype = np.result_type(*dtypes)
    return dtype, sum_dtype(np, dtype)


def _taps(plan: Plan, *arrays: Any) -> Iterator[Tap]:
    """The taps of a convolution; none where an array has no elements and every sum is 0."""
    return iter(()) if any(0 in x.shape for x in arrays) else plan.taps()


def _batched(x: Any, rank: int) -> Any:
    return x if x.ndim == rank + 2 else x[None, ...]


def _matrices(xp: Any, weight: Any, groups: int) -> Callable[[Tap], Any]:
    """Tap -> its matrices, (groups, C_y / groups, C_x / groups)."""
    if type(weight) is PackedWeight:
        weight = np.asarray(weight)
    split = xp.reshape(weight, (groups, weight.shape[0] // groups, *weight.shape[1:]))

    def matrices(tap: Tap) -> Any:
        return split[(..., *tap.index)]

    return matrices


def _grouped(xp: Any, x: Any, groups: int) -> Any:
    """(N, C, *spatial) -> (N, groups, C / groups, positions)."""
    n, channels, *spatial = x.shape
    return xp.reshape(x, (n, groups, channels // groups, math.prod(spatial)))


def _multiply(xp: Any, matrices: Any, x: Any, groups: int) -> Any:
    """The matrices of one tap applied to the channels at every position."""
    n, _, *spatial = x.shape
    product = xp.matmul(matrices, _grouped(xp, x, groups))
    return xp.reshape(product, (n, groups * matrices.shape[1], *spatial))


def _finish(xp: Any, out: Any, bias: Any, plan: Plan, dtype: Any) -> Any:
    if bias is not None:
        out = out + xp.reshape(xp.astype(bias, out.dtype), (-1, *(1,) * plan.rank))
    out = xp.astype(out, result_dtype(out.dtype, dtype))
    return xp.reshape(out, plan.output_shape)


def conv_of_weight(weight: Any, x: Any, kernel_size: Any = None, **kwargs: Any) -> Any:
    """`conv(x, weight)` as a function of its weight; `kernel_size` is the weight's own."""
    return conv(x, weight, **kwargs)


def weight_grad_of_y(y: Any, x: Any, kernel_size: Any, **kwargs: Any) -> Any:
    """`conv_weight_grad(x, y, kernel_size)` as a function of y."""
    return conv_weight_grad(x, y, kernel_size, **kwargs)


def _plan_conv(shape: Shape, weight: Any, **kwargs: Any) -> Plan:
    return plan_conv(shape, weight.shape, **kwargs)


def _plan_conv_transpose(shape: Shape, weight: Any, **kwargs: Any) -> Plan:
    return plan_conv_transpose(shape, weight.shape, **kwargs)


def _plan_conv_of_weight(shape: Shape, x: Any, kernel_size: Any = None, **kwargs: Any) -> Plan:
    return replace(plan_conv(x.shape, shape, **kwargs), input_shape=shape)


def _plan_weight_grad_of_y(shape: Shape, x: Any, kernel_size: Any, **kwargs: Any) -> Plan:
    return replace(plan_conv_weight_grad(x.shape, shape, kernel_size, **kwargs), input_shape=shape)


_OF_BOTH: dict[str, Any] = {
    "words": {"groups": "int"},
    "plan_words": {"padding_mode": "str"},
    "sums": True,
    "kinds": SUMS,
}

OPERATIONS = (
    Operation(
        conv_transpose,
        plan_conv_transpose,
        transpose_windows,
        plan_transpose_over,
        conv_transpose_as_planned,
        conv_transpose_definition,
        partner="conv",
        arrays=("y", "weight", "bias"),
        up=True,
        drawn="kernel",
        says="Each input element stamps the kernel, times its value; overlaps add.",
        **_OF_BOTH,
    ),
    Operation(
        conv,
        plan_conv,
        conv_windows,
        plan_conv_over,
        conv_as_planned,
        conv_definition,
        partner="conv_transpose",
        arrays=("x", "weight", "bias"),
        drawn="kernel",
        says="Each output adds up the elements of its window, times the taps.",
        **_OF_BOTH,
    ),
    Operation(
        conv_weight_grad,
        plan_conv_weight_grad,
        weight_grad_windows,
        plan_weight_grad_over,
        weight_grad_as_planned,
        weight_grad_definition,
        arrays=("x", "y"),
        drawn="weight gradient",
        says="Each element of y stamps the window of x it saw, times its value; overlaps add.",
        **_OF_BOTH,
    ),
)
PAIRS = (
    Pair(
        "conv_transpose",
        conv,
        conv_transpose,
        _plan_conv,
        _plan_conv_transpose,
        sized_call,
        "a learned matrix on every tap",
    ),
    Pair(
        "conv_weight_grad",
        conv_of_weight,
        weight_grad_of_y,
        _plan_conv_of_weight,
        _plan_weight_grad_of_y,
        same_call,
        "the same form, its weight the unknown",
    ),
)
