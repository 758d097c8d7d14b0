"""The layers that `accelerate` puts in place: torch.nn's own, whose functions run on our kernels.

Same names, arguments, state and results. A layer becomes one, and itself again, by its class, and by one
attribute that says in which settings it was timed: in any other it calls torch's own function. The object,
its parameters, hooks and `state_dict` are untouched.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from unsample.torch.models.functions import through

Tensor = torch.Tensor


class _Conv(nn.modules.conv._ConvNd):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        function = getattr(F, f"conv{len(self.kernel_size)}d")
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,) * len(self.kernel_size)
        result: Tensor = through(
            self, function, input, weight, bias, self.stride, padding, self.dilation, self.groups
        )
        return result


class _ConvTranspose(nn.modules.conv._ConvTransposeNd):
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        rank = len(self.kernel_size)
        steps: Any = (self.stride, self.padding, self.kernel_size, rank, self.dilation)
        more = self._output_padding(input, output_size, *steps)
        result: Tensor = through(
            self,
            getattr(F, f"conv_transpose{rank}d"),
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            more,
            self.groups,
            self.dilation,
        )
        return result


class Conv1d(_Conv, nn.Conv1d):
    """torch.nn.Conv1d on our kernels."""


class Conv2d(_Conv, nn.Conv2d):
    """torch.nn.Conv2d on our kernels."""


class Conv3d(_Conv, nn.Conv3d):
    """torch.nn.Conv3d on our kernels."""


class ConvTranspose1d(_ConvTranspose, nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d on our kernels."""


class ConvTranspose2d(_ConvTranspose, nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d on our kernels."""


class ConvTranspose3d(_ConvTranspose, nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d on our kernels."""


class _MaxPool(nn.modules.pooling._MaxPoolNd):
    def forward(self, input: Tensor) -> Any:
        return through(
            self,
            _pooling(self, "max_pool"),
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class _AdaptiveMaxPool(nn.modules.pooling._AdaptiveMaxPoolNd):
    def forward(self, input: Tensor) -> Any:
        function = _pooling(self, "adaptive_max_pool")
        return through(self, function, input, self.output_size, return_indices=self.return_indices)


def _pooling(layer: Any, name: str) -> Any:
    """The function that torch's layer ends up in, with indices or without."""
    return getattr(F, f"{name}{_rank(layer)}d" + ("_with_indices" if layer.return_indices else ""))


class _MaxUnpool(nn.modules.pooling._MaxUnpoolNd):
    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        function = getattr(F, f"max_unpool{_rank(self)}d")
        window: Any = (self.kernel_size, self.stride, self.padding)
        result: Tensor = through(self, function, input, indices, *window, output_size)
        return result


def _rank(layer: nn.Module) -> int:
    """The spatial rank of a pooling layer of torch.nn, from its name."""
    return next(rank for rank in (1, 2, 3) if f"{rank}d" in type(layer).__name__)


class MaxPool1d(_MaxPool, nn.MaxPool1d):
    """torch.nn.MaxPool1d on our kernels."""


class MaxPool2d(_MaxPool, nn.MaxPool2d):
    """torch.nn.MaxPool2d on our kernels."""


class MaxPool3d(_MaxPool, nn.MaxPool3d):
    """torch.nn.MaxPool3d on our kernels."""


class AdaptiveMaxPool1d(_AdaptiveMaxPool, nn.AdaptiveMaxPool1d):
    """torch.nn.AdaptiveMaxPool1d on our kernels."""


class AdaptiveMaxPool2d(_AdaptiveMaxPool, nn.AdaptiveMaxPool2d):
    """torch.nn.AdaptiveMaxPool2d on our kernels."""


class AdaptiveMaxPool3d(_AdaptiveMaxPool, nn.AdaptiveMaxPool3d):
    """torch.nn.AdaptiveMaxPool3d on our kernels."""


class MaxUnpool1d(_MaxUnpool, nn.MaxUnpool1d):
    """torch.nn.MaxUnpool1d on our kernels."""


class MaxUnpool2d(_MaxUnpool, nn.MaxUnpool2d):
    """torch.nn.MaxUnpool2d on our kernels."""


class MaxUnpool3d(_MaxUnpool, nn.MaxUnpool3d):
    """torch.nn.MaxUnpool3d on our kernels."""


class _Upsample(nn.Upsample):
    def forward(self, input: Tensor) -> Tensor:
        result: Tensor = through(
            self,
            F.interpolate,
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )
        return result


class Upsample(_Upsample):
    """torch.nn.Upsample on our kernels."""


class UpsamplingNearest2d(_Upsample, nn.UpsamplingNearest2d):
    """torch.nn.UpsamplingNearest2d on our kernels."""


class UpsamplingBilinear2d(_Upsample, nn.UpsamplingBilinear2d):
    """torch.nn.UpsamplingBilinear2d on our kernels."""


class PixelShuffle(nn.PixelShuffle):
    """torch.nn.PixelShuffle on our kernels."""

    def forward(self, input: Tensor) -> Tensor:
        """What torch.nn.PixelShuffle gives."""
        result: Tensor = through(self, F.pixel_shuffle, input, self.upscale_factor)
        return result


class PixelUnshuffle(nn.PixelUnshuffle):
    """torch.nn.PixelUnshuffle on our kernels."""

    def forward(self, input: Tensor) -> Tensor:
        """What torch.nn.PixelUnshuffle gives."""
        result: Tensor = through(self, F.pixel_unshuffle, input, self.downscale_factor)
        return result


_LAYERS: tuple[type[nn.Module], ...] = (
    *(Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d),
    *(MaxPool1d, MaxPool2d, MaxPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d),
    *(MaxUnpool1d, MaxUnpool2d, MaxUnpool3d),
    *(Upsample, UpsamplingNearest2d, UpsamplingBilinear2d, PixelShuffle, PixelUnshuffle),
)
FASTER: dict[type[nn.Module], type[nn.Module]] = {getattr(nn, each.__name__): each for each in _LAYERS}
PLAIN: dict[type[nn.Module], type[nn.Module]] = {ours: theirs for theirs, ours in FASTER.items()}


def counterpart(layer: nn.Module, classes: dict[type[nn.Module], type[nn.Module]]) -> type[nn.Module] | None:
    """The class that `classes` has for a layer's own; None where it has none.

    A parametrized layer has a class of its own, made by torch, with its properties on top of the layer's: the
    same properties go on top of the other class, so that `remove_parametrizations` finds what it made.
    """
    own = type(layer)
    if own in classes:
        return classes[own]
    if not parametrize.is_parametrized(layer) or own.__bases__[0] not in classes:
        return None
    members = {k: v for k, v in vars(own).items() if k not in ("__dict__", "__weakref__", "__doc__")}
    return type(own.__name__, (classes[own.__bases__[0]],), members)
