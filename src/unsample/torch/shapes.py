"""The result of every operator without its values: shape, dtype and the real strides.

Each function takes an operator's arguments, real, fake or meta, checks them with the operation's plan
wherever sizes are numbers, and allocates.
"""

from collections.abc import Sequence
from typing import Any

import torch

from unsample.arrays.library import ORDERED, SUMS, dtype_kind, namespace, promoted
from unsample.geometry.arguments import PaddingMode
from unsample.geometry.plan import Plan
from unsample.geometry.resample import Convention, Method
from unsample.geometry.sizes import windows_over
from unsample.geometry.window import AdaptiveWindow, AnyWindow
from unsample.ops import conv as convs
from unsample.ops import nails as nail_ops
from unsample.ops import nearest as nearest_ops
from unsample.ops import pool as pool_ops
from unsample.ops import resize as resize_ops
from unsample.ops import shuffle as shuffle_ops
from unsample.switches import switch_dtype
from unsample.torch.layout import allocated
from unsample.torch.plan_ints import pairs, planned, symbolic
from unsample.torch.windows import coarse_size, fine_size, from_ints

Tensor = torch.Tensor
Ints = Sequence[int]


def _summed(dtype: torch.dtype) -> torch.dtype:
    return torch.int64 if dtype_kind(dtype) in ("bool", "integer") else dtype


def _spatial(x: Tensor, size: Ints, before: Ints = ()) -> list[int]:
    """The shape of x, its last axes replaced."""
    leading = x.ndim - len(before) - len(size)
    return [*x.shape[:leading], *before, *size]


def nearest(x: Tensor, factor: Ints) -> Tensor:
    """Of `nearest`."""
    if not symbolic(x.shape):
        planned(nearest_ops.plan_nearest, x.shape, tuple(factor))
    return allocated(x, _spatial(x, [n * f for n, f in zip(x.shape[-len(factor) :], factor, strict=True)]))


def window_sum(y: Tensor, factor: Ints) -> Tensor:
    """Of `window_sum`."""
    if not symbolic(y.shape):
        planned(nearest_ops.plan_window_sum, y.shape, tuple(factor))
    size = [n // f for n, f in zip(y.shape[-len(factor) :], factor, strict=True)]
    return allocated(y, _spatial(y, size), _summed(y.dtype))


def bed_of_nails(x: Tensor, factor: Ints, at: Ints, output_size: Ints) -> Tensor:
    """Of `bed_of_nails`."""
    if not symbolic(x.shape, output_size):
        planned(
            nail_ops.plan_bed_of_nails, x.shape, tuple(factor), at=tuple(at), output_size=tuple(output_size)
        )
    return allocated(x, _spatial(x, output_size))


def decimate(y: Tensor, factor: Ints, at: Ints) -> Tensor:
    """Of `decimate`."""
    if not symbolic(y.shape):
        size = list(planned(nail_ops.plan_decimate, y.shape, tuple(factor), at=tuple(at)).coarse)
    else:
        fine = y.shape[-len(factor) :]
        size = [max(0, (n - a + f - 1) // f) for n, f, a in zip(fine, factor, at, strict=True)]
    return allocated(y, _spatial(y, size))


def pixel_shuffle(x: Tensor, factor: Ints, order: str) -> Tensor:
    """Of `pixel_shuffle`."""
    if not symbolic(x.shape):
        planned(shuffle_ops.plan_pixel_shuffle, x.shape, tuple(factor), order=order)
    rank, block = len(factor), _product(factor)
    size = [n * f for n, f in zip(x.shape[-rank:], factor, strict=True)]
    return allocated(x, _spatial(x, size, [x.shape[-rank - 1] // block]))


def pixel_unshuffle(y: Tensor, factor: Ints, order: str) -> Tensor:
    """Of `pixel_unshuffle`."""
    if not symbolic(y.shape):
        planned(shuffle_ops.plan_pixel_unshuffle, y.shape, tuple(factor), order=order)
    rank, block = len(factor), _product(factor)
    size = [n // f for n, f in zip(y.shape[-rank:], factor, strict=True)]
    return allocated(y, _spatial(y, size, [y.shape[-rank - 1] * block]))


def resize(x: Tensor, output_size: Ints, method: Method, convention: Convention, antialias: bool) -> Tensor:
    """Of `resize`."""
    resize_ops.resized_namespace(x, method)
    if not symbolic(x.shape, output_size):
        words = {"method": method, "convention": convention, "antialias": antialias}
        planned(resize_ops.plan_resize, x.shape, tuple(output_size), **words)
    return allocated(x, _spatial(x, output_size))


def resize_transpose(
    y: Tensor, input_size: Ints, method: Method, convention: Convention, antialias: bool
) -> Tensor:
    """Of `resize_transpose`."""
    resize_ops.transposed_namespace(y, method)
    if not symbolic(y.shape, input_size):
        words = {"method": method, "convention": convention, "antialias": antialias}
        planned(resize_ops.plan_resize_transpose, y.shape, tuple(input_size), **words)
    return allocated(y, _spatial(y, input_size), _summed(y.dtype))


def _pooled(x: Tensor, windows: tuple[AnyWindow, ...]) -> tuple[Tensor, Tensor]:
    shape = _spatial(x, [w.coarse for w in windows])
    return allocated(x, shape), allocated(x, shape, getattr(torch, switch_dtype(windows)))


def pool_windows(
    shape: Ints, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[AnyWindow, ...]:
    """The windows of an operator `max_pool`."""
    if symbolic(shape):
        size = shape[-len(kernel_size) :]
        return windows_over(
            "max_pool", size, kernel_size, stride, pairs(padding), dilation, ceil_mode=ceil_mode
        )
    return planned(
        pool_ops.plan_max_pool,
        shape,
        tuple(kernel_size),
        stride=tuple(stride),
        padding=pairs(padding),
        dilation=tuple(dilation),
        ceil_mode=ceil_mode,
    ).windows


def adaptive_windows(shape: Ints, output_size: Ints) -> tuple[AnyWindow, ...]:
    """The windows of an operator `adaptive_max_pool`."""
    if symbolic(shape, output_size):
        fine = shape[-len(output_size) :]
        return tuple(AdaptiveWindow(n, m) for n, m in zip(fine, output_size, strict=True))
    return planned(pool_ops.plan_adaptive_max_pool, shape, tuple(output_size)).windows


def max_pool(
    x: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    """Of `max_pool`: values and taps."""
    namespace("max_pool", ORDERED, x=x)
    return _pooled(x, pool_windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode))


def adaptive_max_pool(x: Tensor, output_size: Ints) -> tuple[Tensor, Tensor]:
    """Of `adaptive_max_pool`: values and taps."""
    namespace("adaptive_max_pool", ORDERED, x=x)
    return _pooled(x, adaptive_windows(x.shape, output_size))


def max_unpool(values: Tensor, switches: Tensor, windows: Ints, duplicates: str) -> Tensor:
    """Of `max_unpool`."""
    return allocated(values, _spatial(values, fine_size(windows)))


def max_gather(x: Tensor, switches: Tensor, windows: Ints) -> Tensor:
    """Of `max_gather`."""
    return allocated(x, _spatial(x, coarse_size(windows)))


def switches_to_indices(switches: Tensor, windows: Ints) -> Tensor:
    """Of `switches_to_indices`."""
    return allocated(switches, switches.shape, torch.int64)


def indices_to_switches(indices: Tensor, windows: Ints) -> Tensor:
    """Of `indices_to_switches`."""
    return allocated(indices, indices.shape, getattr(torch, switch_dtype(from_ints(windows))))


def _common(*tensors: Tensor | None) -> torch.dtype:
    first, *others = [each.dtype for each in tensors if each is not None]
    for dtype in others:
        first = torch.promote_types(first, dtype)
    return _summed(first)


def _multiplied(operation: str, **tensors: Tensor | None) -> torch.dtype:
    namespace(operation, SUMS, **tensors)
    dtype: torch.dtype = promoted(operation, _common, *(x for x in tensors.values() if x is not None))
    return dtype


def _conv_plan(plan: Any, shape: Ints, other: Any, *args: Any) -> Plan:
    stride, padding, dilation, groups, padding_mode = args[-5:]
    return planned(
        plan,
        shape,
        other,
        *args[:-5],
        stride=tuple(stride),
        padding=pairs(padding),
        dilation=tuple(dilation),
        groups=groups,
        padding_mode=padding_mode,
    )


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    padding_mode: PaddingMode,
) -> Tensor:
    """Of `conv`."""
    if not symbolic(x.shape, weight.shape, padding, (groups,)):
        shape = None if bias is None else tuple(bias.shape)
        steps = (stride, padding, dilation, groups, padding_mode)
        size = list(_conv_plan(convs.plan_conv, x.shape, tuple(weight.shape), shape, *steps).coarse)
    else:
        fine = x.shape[-len(stride) :]
        windows = windows_over("conv", fine, weight.shape[2:], stride, pairs(padding), dilation, padding_mode)
        size = [w.coarse for w in windows]
    return allocated(
        x, _spatial(x, size, [weight.shape[0]]), _multiplied("conv", x=x, weight=weight, bias=bias)
    )


def conv_transpose(
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    padding_mode: PaddingMode,
    output_size: Ints,
) -> Tensor:
    """Of `conv_transpose`."""
    if not symbolic(y.shape, weight.shape, padding, output_size, (groups,)):
        planned(
            convs.plan_conv_transpose,
            y.shape,
            tuple(weight.shape),
            None if bias is None else tuple(bias.shape),
            stride=tuple(stride),
            padding=pairs(padding),
            output_size=tuple(output_size),
            dilation=tuple(dilation),
            groups=groups,
            padding_mode=padding_mode,
        )
    return allocated(
        y,
        _spatial(y, output_size, [weight.shape[1] * groups]),
        _multiplied("conv_transpose", y=y, weight=weight, bias=bias),
    )


def conv_weight_grad(
    x: Tensor,
    y: Tensor,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    padding_mode: PaddingMode,
) -> Tensor:
    """Of `conv_weight_grad`: always contiguous, like a fresh weight."""
    if not symbolic(x.shape, y.shape, padding, (groups,)):
        steps = (stride, padding, dilation, groups, padding_mode)
        _conv_plan(convs.plan_conv_weight_grad, x.shape, tuple(y.shape), tuple(kernel_size), *steps)
    channel = -len(kernel_size) - 1
    shape = (y.shape[channel], x.shape[channel] // groups, *kernel_size)
    return torch.empty(shape, dtype=_multiplied("conv_weight_grad", x=x, y=y), device=x.device)


def _product(numbers: Ints) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product
