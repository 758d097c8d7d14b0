"""Whole networks, built without a download: from MONAI, and as their papers have them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.utils import weight_norm

Tensor = torch.Tensor


@dataclass(frozen=True)
class Network:
    """A network and the shape of what goes in."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]

    def made(self) -> tuple[nn.Module, Tensor]:
        """Model and example, the same in every process."""
        torch.manual_seed(0)
        return self.build(), torch.randn(self.shape)


def monai_unet() -> nn.Module:
    """The residual U-Net of MONAI's tutorials (Kerfoot et al. 2018), in two dimensions."""
    from monai.networks.nets import UNet

    return UNet(2, 1, 2, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)


def monai_unet_3d() -> nn.Module:
    """The same in three dimensions, as MONAI's spleen tutorial has it."""
    from monai.networks.nets import UNet

    return UNet(3, 1, 2, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)


def monai_basic_unet() -> nn.Module:
    """MONAI's U-Net of two convolutions per level (Falk et al. 2019)."""
    from monai.networks.nets import BasicUNet

    return BasicUNet(2, 1, 2)


def monai_vnet() -> nn.Module:
    """MONAI's V-Net (Milletari et al. 2016)."""
    from monai.networks.nets import VNet

    return VNet(3, 1, 2)


def dcgan() -> nn.Module:
    """The generator of DCGAN (Radford et al. 2016): 100 numbers to 3 x 64 x 64."""
    widths = (100, 512, 256, 128, 64)
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        steps = (4, 1, 0) if i == 0 else (4, 2, 1)
        layers += [
            nn.ConvTranspose2d(before, after, *steps, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(True),
        ]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh())


class SegNet(nn.Module):
    """SegNet (Badrinarayanan et al. 2017): the convolutions of VGG16 down, and up by their max unpooling."""

    LEVELS = ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3))

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        self.down = nn.ModuleList(self.level(*each) for each in self.LEVELS)
        self.pool = nn.ModuleList(nn.MaxPool2d(2, return_indices=True) for _ in self.LEVELS)
        self.unpool = nn.ModuleList(nn.MaxUnpool2d(2) for _ in self.LEVELS)
        self.up = nn.ModuleList(
            self.level(wide, narrow if narrow > 3 else classes, number, up=True)
            for narrow, wide, number in reversed(self.LEVELS)
        )

    @staticmethod
    def level(before: int, after: int, number: int, up: bool = False) -> nn.Sequential:
        """Convolutions that change the channels at their first, or on the way up at their last."""
        widths = [before, *[before if up else after] * (number - 1), after]
        layers: list[nn.Module] = []
        for i, o in pairwise(widths):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(True)]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores of every pixel."""
        kept: list[tuple[Tensor, Any]] = []
        for convolve, pool in zip(self.down, self.pool, strict=True):
            x = convolve(x)
            size = x.shape
            x, indices = pool(x)
            kept.append((indices, size))
        for unpool, convolve in zip(self.unpool, self.up, strict=True):
            indices, size = kept.pop()
            x = convolve(unpool(x, indices, output_size=size))
        return x


class ResBlock(nn.Module):
    """The residual block of HiFi-GAN: three dilations, each followed by an undilated convolution."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Module:
            padding = dilation * (kernel - 1) // 2
            return weight_norm(nn.Conv1d(channels, channels, kernel, 1, padding, dilation))

        self.first = nn.ModuleList(convolution(d) for d in dilations)
        self.second = nn.ModuleList(convolution(1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """The input plus what is found."""
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(nn.functional.leaky_relu(first(nn.functional.leaky_relu(x, 0.1)), 0.1))
        return x


class HiFiGAN(nn.Module):
    """The generator of HiFi-GAN V2 (Kong et al. 2020): 80 mel bands to a waveform 256 times as long."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.before = weight_norm(nn.Conv1d(80, width, 7, padding=3))
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        for rate, kernel in ((8, 16), (8, 16), (2, 4), (2, 4)):
            up = nn.ConvTranspose1d(width, width // 2, kernel, rate, (kernel - rate) // 2)
            self.ups.append(weight_norm(up))
            width //= 2
            self.blocks.append(nn.ModuleList(ResBlock(width, k, (1, 3, 5)) for k in (3, 7, 11)))
        self.after = weight_norm(nn.Conv1d(width, 1, 7, padding=3))

    def forward(self, x: Tensor) -> Tensor:
        """Samples from -1 to 1."""
        x = self.before(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(nn.functional.leaky_relu(x, 0.1))
            found = [block(x) for block in blocks]
            x = torch.stack(found).mean(0)
        return torch.tanh(self.after(nn.functional.leaky_relu(x)))


NETWORKS = (
    Network("MONAI UNet 2-D", monai_unet, (1, 1, 256, 256)),
    Network("MONAI UNet 3-D", monai_unet_3d, (1, 1, 48, 48, 48)),
    Network("MONAI BasicUNet 2-D", monai_basic_unet, (1, 1, 192, 192)),
    Network("MONAI VNet 3-D", monai_vnet, (1, 1, 32, 32, 32)),
    Network("DCGAN generator", dcgan, (16, 100, 1, 1)),
    Network("SegNet", SegNet, (1, 3, 128, 128)),
    Network("HiFi-GAN V2 generator", HiFiGAN, (1, 80, 64)),
)
