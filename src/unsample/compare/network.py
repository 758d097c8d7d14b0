"""One small encoder-decoder (Fig. 1 of the article); only the way up differs.

Encoder, per level: two 3x3 convolutions, max pooling. Decoder, per level: the way up, two 3x3 convolutions.
What the methods share (those convolutions) is torch's and starts from the same numbers; every way up is this
library's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from unsample.geometry.plan import Plan
from unsample.ops.conv import conv, conv_transpose, plan_conv, plan_conv_transpose
from unsample.ops.nails import bed_of_nails
from unsample.ops.nearest import nearest
from unsample.ops.pool import max_pool
from unsample.ops.resize import plan_resize, resize
from unsample.ops.shuffle import pixel_shuffle
from unsample.ops.unpool import max_unpool
from unsample.switches import Switches


@dataclass(frozen=True, slots=True)
class Method:
    """One way up by `factor`.

    Parameters
    ----------
    up : callable
        (x, switches, weights, factor) -> the larger feature map.
    weights : callable
        (channels, factor) -> shapes of the learned weights, none for a fixed method.
    plans : callable
        (x shape, channels, factor) -> the plans whose multiply-adds it costs.
    """

    up: Callable[[torch.Tensor, Switches, list[torch.Tensor], int], torch.Tensor]
    weights: Callable[[int, int], list[tuple[int, ...]]]
    plans: Callable[[tuple[int, ...], int, int], list[Plan]]


def _nothing_learned(channels: int, factor: int) -> list[tuple[int, ...]]:
    return []


def _nothing_multiplied(shape: tuple[int, ...], channels: int, factor: int) -> list[Plan]:
    return []


def _crop(factor: int) -> tuple[tuple[int, int], ...]:
    """Padding that makes a kernel of 2 * factor end at exactly factor times the size, overlaps even."""
    return ((factor // 2, factor - factor // 2),) * 2


METHODS: dict[str, Method] = {
    "nearest": Method(
        lambda x, switches, weights, factor: nearest(x, factor),
        _nothing_learned,
        _nothing_multiplied,
    ),
    "bed_of_nails": Method(
        lambda x, switches, weights, factor: bed_of_nails(x, factor),
        _nothing_learned,
        _nothing_multiplied,
    ),
    "max_unpool": Method(
        lambda x, switches, weights, factor: max_unpool(x, switches),
        _nothing_learned,
        _nothing_multiplied,
    ),
    "conv_transpose": Method(
        lambda x, switches, weights, factor: conv_transpose(
            x, weights[0], stride=factor, padding=_crop(factor)
        ),
        lambda channels, factor: [(channels, channels, 2 * factor, 2 * factor)],
        lambda shape, channels, factor: [
            plan_conv_transpose(
                shape,
                (channels, channels, 2 * factor, 2 * factor),
                stride=factor,
                padding=_crop(factor),
            )
        ],
    ),
    "linear": Method(
        lambda x, switches, weights, factor: resize(x, factor=factor),
        _nothing_learned,
        lambda shape, channels, factor: [plan_resize(shape, factor=factor)],
    ),
    "pixel_shuffle": Method(
        lambda x, switches, weights, factor: pixel_shuffle(conv(x, weights[0], padding="same"), factor),
        lambda channels, factor: [(channels * factor**2, channels, 3, 3)],
        lambda shape, channels, factor: [
            plan_conv(shape, (channels * factor**2, channels, 3, 3), padding="same")
        ],
    ),
    "resize_conv": Method(
        lambda x, switches, weights, factor: conv(nearest(x, factor), weights[0], padding="same"),
        lambda channels, factor: [(channels, channels, 3, 3)],
        lambda shape, channels, factor: [
            plan_conv(
                (*shape[:2], *(n * factor for n in shape[2:])),
                (channels, channels, 3, 3),
                padding="same",
            )
        ],
    ),
}


class EncoderDecoder(nn.Module):
    """Photographs in, photographs out, through a bottleneck of 1 / factor**(2 * levels) of the positions.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    factor, levels, width : int
        How much each level shrinks, how many there are, channels everywhere.
    """

    def __init__(self, method: str, factor: int = 2, levels: int = 2, width: int = 16) -> None:
        super().__init__()
        self.method, self.factor, self.width = method, factor, width
        # The shared layers come first, so that every method starts from the same numbers in them.
        self.encoder = nn.ModuleList(_block(3 if i == 0 else width, width) for i in range(levels))
        self.middle = _block(width, width)
        self.decoder = nn.ModuleList(_block(width, width) for _ in range(levels))
        self.out = nn.Conv2d(width, 3, 3, padding=1)
        self.ways_up = nn.ModuleList(
            nn.ParameterList(
                _weight(shape, factor, method) for shape in METHODS[method].weights(width, factor)
            )
            for _ in range(levels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode and decode a batch, (N, 3, height, width)."""
        remembered = []
        x = 2 * x - 1
        for block in self.encoder:
            x, switches = max_pool(block(x), self.factor)
            remembered.append(switches)
        x = self.middle(x)
        up = METHODS[self.method].up
        for block, weights in zip(self.decoder, self.ways_up, strict=True):
            x = block(up(x, remembered.pop(), list(weights.parameters()), self.factor))
        y: torch.Tensor = self.out(x) + 0.5
        return y

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds of one photograph's forward pass; taps that meet padding are not counted."""
        cost, size = 0, (height, width)

        def convolutions(block: nn.Module) -> int:
            return sum(
                plan_conv((1, layer.in_channels, *size), tuple(layer.weight.shape), padding=1).multiply_adds
                for layer in block.modules()
                if isinstance(layer, nn.Conv2d)
            )

        for block in self.encoder:
            cost += convolutions(block)
            size = (size[0] // self.factor, size[1] // self.factor)
        cost += convolutions(self.middle)
        for block in self.decoder:
            plans = METHODS[self.method].plans((1, self.width, *size), self.width, self.factor)
            cost += sum(plan.multiply_adds for plan in plans)
            size = (size[0] * self.factor, size[1] * self.factor)
            cost += convolutions(block)
        return cost + convolutions(self.out)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, started so that they keep the scale of what passes (He et al., 1502.01852).

    GELU, not ReLU: after 600 steps half of the ReLU networks had not learned colour, by luck, not by way up.
    """
    layers = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.constant_(layer.bias, 0)  # type: ignore[arg-type]  # torch: a bias may be None
    return nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU())


def _weight(shape: tuple[int, ...], factor: int, method: str) -> nn.Parameter:
    """Normal, with variance 1 / (terms in one output element), so that no way up changes the scale."""
    terms = shape[1] * math.prod(shape[2:])
    if method == "conv_transpose":
        terms //= factor**2  # each output element is met by this share of the taps
    return nn.Parameter(torch.randn(shape) / math.sqrt(terms))
