"""Starts for ways up that learn: as nearest neighbour (`icnr_`), as linear interpolation (`bilinear_`)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, integer, per_axis
from unsample.ops.shuffle import ORDERS, Order

Tensor = torch.Tensor
_TRANSPOSED = nn.modules.conv._ConvTransposeNd


def icnr_(
    target: Any,
    factor: int | Sequence[int] | None = None,
    *,
    order: Order = "CRD",
    transposed: bool = False,
    groups: int = 1,
    initialise: Callable[[Tensor], Any] = nn.init.kaiming_normal_,
) -> Any:
    """Start a way up that learns as a convolution followed by nearest neighbour: without a checkerboard.

        pixel shuffle            W[c * T + t] = V[c]                    for all T taps t of the block
        transposed convolution   W[..., j * stride + t] = V[..., j]     for all t < stride

    Parameters
    ----------
    target : layer or Tensor
        A convolution that a pixel shuffle follows, a `SubPixelConv`, a transposed convolution; of any rank.
        Or a weight of one.
    factor : int or sequence of int, optional
        Of the shuffle; the stride of a transposed convolution, whose layer knows it.
    order : "CRD" or "DCR"
        Of the shuffle.
    transposed : bool
        Whether a weight is that of a transposed convolution.
    groups : int
        Of the convolution, for a weight; a layer knows it.
    initialise : callable
        Fills V in place.

    Returns
    -------
    layer or Tensor
        `target`. The bias of a convolution becomes the same for all taps of a block.

    Raises
    ------
    ShapeError, TypeError
        Where the channels are no whole number of blocks in every group, or a kernel is smaller than its
        stride.

    Notes
    -----
    Taps of a transposed convolution beyond the last whole multiple of its stride start at 0: with them,
    some outputs would meet one tap more than others. Source: Aitken et al. (1707.02937) for the shuffle.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> up = ut.init.icnr_(ut.ConvTranspose1d(1, 1, 4, stride=2, bias=False))
    >>> out = up(torch.randn(1, 1, 3))[0, 0]
    >>> bool((out[0::2] == out[1::2]).all())
    True
    """
    weight, bias, factors, groups, transposed = _parts("icnr_", target, factor, groups, transposed)
    choice("icnr_", "order", order, ORDERS)
    block = math.prod(factors)
    with torch.no_grad():
        if transposed:
            whole = [k // f for k, f in zip(weight.shape[2:], factors, strict=True)]
            if not all(whole):
                raise ShapeError(
                    f"icnr_: the kernel must be at least as large as the stride {factors}, "
                    f"got weight of shape {tuple(weight.shape)}"
                )
            values = weight.new_empty((*weight.shape[:2], *whole))
            initialise(values)
            weight.zero_()
            for axis, f in enumerate(factors):
                values = values.repeat_interleave(f, 2 + axis)
            begin: Any = (..., *(slice(n) for n in values.shape[2:]))
            weight[begin] = values
            return target
        channels = weight.shape[0] // block
        if weight.shape[0] % block or channels % groups or (groups > 1 and order == "DCR"):
            raise ShapeError(
                f"icnr_: all {block} channels of a block must be in one group, "
                f"got {weight.shape[0]} channels, groups {groups}, order {order!r}"
            )
        values = weight.new_empty((channels, *weight.shape[1:]))
        initialise(values)
        weight.copy_(_per_block(values, block, order))
        if bias is not None:
            first = bias[::block] if order == "CRD" else bias[:channels]
            bias.copy_(_per_block(first.clone(), block, order))
    return target


def _per_block(values: Tensor, block: int, order: Order) -> Tensor:
    if order == "CRD":
        return values.repeat_interleave(block, 0)
    return values.repeat(block, *(1,) * (values.ndim - 1))


def bilinear_(target: Any, factor: int | Sequence[int] | None = None, *, groups: int = 1) -> Any:
    """Start a transposed convolution as linear interpolation of each channel, in any number of axes.

        W[c, c, t] = product over axes of max(0, 1 - |t - (kernel - 1) / 2| / stride)

    Parameters
    ----------
    target : transposed convolution or Tensor
        The layer, or its weight (C_in, C_out / groups, *kernel).
    factor : int or sequence of int, optional
        The stride, for a weight; a layer knows it.
    groups : int
        For a weight.

    Returns
    -------
    layer or Tensor
        `target`. A bias becomes 0.

    Raises
    ------
    ShapeError, TypeError
        Where `factor` does not fit.

    Notes
    -----
    A kernel of 2 * stride, or one less where that is odd, holds the whole tent, and with a padding of
    (kernel - stride) / 2 output and input lie as in bilinear resizing. Source: Long, Shelhamer & Darrell
    (1411.4038), section 3.3 and its code.

    Examples
    --------
    >>> import unsample.torch as ut
    >>> ut.init.bilinear_(ut.ConvTranspose1d(1, 1, 4, stride=2)).weight.tolist()
    [[[0.25, 0.75, 0.75, 0.25]]]
    """
    weight, bias, factors, groups, _ = _parts("bilinear_", target, factor, groups, True)
    tent = torch.ones((), dtype=torch.float64)
    for k, f in zip(weight.shape[2:], factors, strict=True):
        distance = (torch.arange(k, dtype=torch.float64) - (k - 1) / 2).abs()
        tent = tent.unsqueeze(-1) * (1 - distance / f).clamp(min=0)
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]
    with torch.no_grad():
        weight.zero_()
        for group in range(groups):
            for c in range(min(inputs, outputs)):
                weight[group * inputs + c, c] = tent
        if bias is not None:
            bias.zero_()
    return target


def _parts(
    operation: str, target: Any, factor: Any, groups: int, transposed: bool
) -> tuple[Tensor, Tensor | None, tuple[int, ...], int, bool]:
    """Weight, bias, factor per axis, groups, and whether it is a transposed convolution."""
    inner = getattr(target, "conv", None)
    if isinstance(inner, nn.Module):  # SubPixelConv
        factor, target = target.factor if factor is None else factor, inner
    weight, bias = (target, None) if isinstance(target, Tensor) else (target.weight, target.bias)
    if not isinstance(target, Tensor):
        groups, transposed = target.groups, transposed or isinstance(target, _TRANSPOSED)
        if isinstance(target, _TRANSPOSED) and factor is None:
            factor = target.stride
    if factor is None:
        raise ShapeError(f"{operation}: factor must be given for a {type(target).__name__}")
    factors = per_axis(operation, "factor", factor, weight.ndim - 2, minimum=1)
    return weight, bias, factors, integer(operation, "groups", groups, minimum=1), transposed
