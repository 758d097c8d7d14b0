"""The weights of one way up in another: the stamp of the old, read off an impulse, laid into the new."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import nn

from unsample.torch.layers import learned
from unsample.torch.models.recorded import undisturbed

Tensor = torch.Tensor

SIZE, MIDDLE = 9, 4  # of the input in which one element is 1
AT_ONCE = 16  # input channels


def take_weights(old: nn.Module, new: Any, channels: int, factor: Sequence[int]) -> str:
    """Let `new` do what `old` did, as far as it can: "kept", "kept inside" of the border, or "new".

    Parameters
    ----------
    old : Module
        Any way up; what is no fixed sum of its inputs is not kept.
    new : ConvTranspose or SubPixelConv
        In the same dtype and on the same device.
    channels : int
        Of the input.
    factor : sequence of int
    """
    if not isinstance(new, learned.SubPixelConv | nn.modules.conv._ConvTransposeNd):
        return "new"
    before = {name: value.clone() for name, value in new.state_dict().items()}
    try:
        with undisturbed(old), torch.no_grad():
            old.eval()
            _lay(new, *_stamp(old, channels, factor), factor)
            found = _compared(old, new, channels, len(factor))
    except RuntimeError:  # it takes no input of this size
        found = "new"
    if found == "new":
        new.load_state_dict(before)
    return found


def _zeros(layer: nn.Module, *shape: int) -> Tensor:
    like = next((p for p in layer.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(shape, dtype=like.dtype, device=like.device)


def _stamp(old: nn.Module, channels: int, factor: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What 1 in the middle adds to the output, (C_in, C_out, *spatial), and the output of zeros, (C_out,).

    No hook sees these inputs.
    """
    size = (SIZE,) * len(factor)
    alone = old.forward(_zeros(old, 1, channels, *size))
    stamps = []
    for begin in range(0, channels, AT_ONCE):
        number = min(AT_ONCE, channels - begin)
        x = _zeros(old, number, channels, *size)
        middle = (MIDDLE,) * len(factor)
        for i in range(number):
            x[(i, begin + i, *middle)] = 1
        stamps.append(old.forward(x) - alone)
    bias = alone[(0, slice(None), *[f * MIDDLE for f in factor])]
    return torch.cat(stamps), bias


def _lay(new: Any, stamp: Tensor, bias: Tensor, factor: Sequence[int]) -> None:
    """Element i of the input meets output factor * i + t of tap t, the crop at the start apart."""
    if isinstance(new, nn.modules.conv._ConvTransposeNd):
        pads: Any = new.padding
        starts = [f * MIDDLE - before for f, (before, _) in zip(factor, pads, strict=True)]
        part: Any = (..., *[slice(s, s + k) for s, k in zip(starts, new.kernel_size, strict=True)])
        new.weight.copy_(stamp[part])
        if new.bias is not None:
            new.bias.copy_(bias)
        return
    kernel = new.conv.kernel_size
    weight = new.conv.weight.reshape(stamp.shape[1], math.prod(factor), stamp.shape[0], *kernel)
    for number, place in enumerate(product(*map(range, factor))):
        for tap in product(*map(range, kernel)):
            # Output factor * i + place meets element i + tap - kernel // 2, which is the middle one.
            axes = zip(factor, tap, kernel, place, strict=True)
            at: Any = (..., *[f * (MIDDLE - t + k // 2) + p for f, t, k, p in axes])
            weight[(slice(None), number, slice(None), *tap)] = stamp[at].T
    new.conv.weight.copy_(weight.reshape(new.conv.weight.shape))
    if new.conv.bias is not None:
        new.conv.bias.copy_(bias.repeat_interleave(math.prod(factor)))


def _compared(old: nn.Module, new: nn.Module, channels: int, rank: int) -> str:
    """Whether both do the same to numbers that are no impulse."""
    generator = torch.Generator().manual_seed(0)
    x = _zeros(new, 1, channels, *(SIZE,) * rank)
    x.copy_(torch.randn(x.shape, generator=generator))
    ours, theirs = new.forward(x), old.forward(x)
    if ours.shape != theirs.shape:
        return "new"
    close = torch.isclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    if bool(close.all()):
        return "kept"
    inside: Any = (..., *[slice(n // SIZE * 2, n - n // SIZE * 2) for n in theirs.shape[2:]])
    return "kept inside" if bool(close[inside].all()) else "new"
