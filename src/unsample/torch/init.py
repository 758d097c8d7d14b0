"""Starts for ways up that learn: as nearest neighbour (`icnr_`), as linear interpolation (`bilinear_`)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.weight_norm import WeightNorm

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
        Where the channels are no whole number of blocks in every group, a kernel is smaller than its
        stride, or something computes the weight that cannot compute the start. weight_norm can; start a
        layer before spectral_norm.

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
            for axis, f in enumerate(factors):
                values = values.repeat_interleave(f, 2 + axis)
            start = torch.zeros_like(weight)
            begin: Any = (..., *(slice(n) for n in values.shape[2:]))
            start[begin] = values
            return _started("icnr_", target, start)
        channels = weight.shape[0] // block
        if weight.shape[0] % block or channels % groups or (groups > 1 and order == "DCR"):
            raise ShapeError(
                f"icnr_: all {block} channels of a block must be in one group, "
                f"got {weight.shape[0]} channels, groups {groups}, order {order!r}"
            )
        values = weight.new_empty((channels, *weight.shape[1:]))
        initialise(values)
        if bias is not None:
            bias = _per_block(bias[::block] if order == "CRD" else bias[:channels], block, order)
    return _started("icnr_", target, _per_block(values, block, order), bias)


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
        Where `factor` does not fit, or something computes the weight that cannot compute the start.

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
    start = torch.zeros_like(weight, requires_grad=False)
    for group in range(groups):
        for c in range(min(inputs, outputs)):
            start[group * inputs + c, c] = tent
    return _started("bilinear_", target, start, None if bias is None else torch.zeros_like(bias))


def _parts(
    operation: str, target: Any, factor: Any, groups: int, transposed: bool
) -> tuple[Tensor, Tensor | None, tuple[int, ...], int, bool]:
    """Weight, bias, factor per axis, groups, and whether it is a transposed convolution."""
    inner = getattr(target, "conv", None)
    if isinstance(inner, nn.Module):  # SubPixelConv
        factor, target = target.factor if factor is None else factor, inner
    weight, bias = (target, None) if isinstance(target, Tensor) else (target.weight, target.bias)
    if isinstance(target, Tensor) and not target.is_leaf:
        raise ShapeError(
            f"{operation}: target must be a layer or a tensor that is not computed of others, "
            f"got the result of {type(target.grad_fn).__name__}"
        )
    if not isinstance(target, Tensor):
        groups, transposed = target.groups, transposed or isinstance(target, _TRANSPOSED)
        if isinstance(target, _TRANSPOSED) and factor is None:
            factor = target.stride
    if factor is None:
        raise ShapeError(f"{operation}: factor must be given for a {type(target).__name__}")
    factors = per_axis(operation, "factor", factor, weight.ndim - 2, minimum=1)
    return weight, bias, factors, integer(operation, "groups", groups, minimum=1), transposed


def _started(operation: str, target: Any, weight: Tensor, bias: Tensor | None = None) -> Any:
    """The target with this weight, and this bias where there is one."""
    inner = getattr(target, "conv", target)
    with torch.no_grad():
        if isinstance(inner, Tensor):
            inner.copy_(weight)
            return target
        before = {name: value.clone() for name, value in inner.state_dict().items()}
        try:
            for name, value in (("weight", weight), ("bias", bias)):
                if value is not None:
                    _set(operation, inner, name, value)
        except ShapeError:
            inner.load_state_dict(before)
            raise
    return target


def _set(operation: str, layer: nn.Module, name: str, value: Tensor) -> None:
    """Let a parameter have this value, also where a layer computes it: a norm, a mask, a parametrization."""
    parameter = layer._parameters.get(name)
    if parameter is not None:
        parameter.copy_(value)
        return
    hooks = [hook for hook in layer._forward_pre_hooks.values() if name in vars(hook).values()]
    if parametrize.is_parametrized(layer, name):
        chain: Any = layer.parametrizations[name]  # type: ignore[index]
        what = " and ".join(type(each).__name__ for each in chain)
        try:
            setattr(layer, name, value.clone())  # torch keeps what it is given
        except (NotImplementedError, RuntimeError, ValueError):  # it has no inverse, or not of this value
            made = None
        else:
            _point_somewhere(getattr(chain, "original0", None), getattr(chain, "original1", None))
            made = getattr(layer, name)
    else:
        what = " and ".join(type(hook).__name__ for hook in hooks) or "an attribute"
        made = _set_by_hook(layer, name, value, hooks)
    if made is None or not torch.allclose(made, value, rtol=1e-4, atol=1e-5 * float(value.abs().max())):
        raise ShapeError(
            f"{operation}: {name} must be a parameter or what a norm of weights computes, got what {what} "
            f"computes, which cannot be set to the start: start the layer before"
        )


def _set_by_hook(layer: Any, name: str, value: Tensor, hooks: list[Any]) -> Tensor | None:
    """What the weight_norm of old makes of length and direction; None for any other hook."""
    if len(hooks) != 1 or not isinstance(hooks[0], WeightNorm):
        return None
    length, direction = getattr(layer, f"{name}_g"), getattr(layer, f"{name}_v")
    length.copy_(torch.norm_except_dim(value, 2, hooks[0].dim))
    direction.copy_(value)
    _point_somewhere(length, direction)
    made: Tensor = hooks[0].compute_weight(layer)
    setattr(layer, name, made)
    return made


def _point_somewhere(length: Tensor | None, direction: Tensor | None) -> None:
    """Give what has no length some direction: that of 0 is no number."""
    if length is not None and direction is not None and length.ndim == direction.ndim:
        direction.masked_fill_((length == 0).expand_as(direction), 1)
