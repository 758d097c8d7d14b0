"""What a comparison is told, and what it found of each way up."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample.compare.network import METHODS
from unsample.compare.photographs import Photograph
from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, integer

# Held-out photographs are measured on a central piece of at most this many pixels a side.
MEASURED_SIDE = 256
# Of one array of the network.
MOST_ELEMENTS = 2**28


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the numbers; the same settings on the same machine give the same ones.

    Parameters
    ----------
    methods : tuple of str
        Keys of `METHODS`, in the order they are trained.
    factor, levels : int
        How much each level shrinks, and how many there are.
    steps, batch, crop, width : int
        Training steps, crops per step, pixels per crop side, channels.
    rate : float
        Adam's highest learning rate: reached after a tenth of the steps, then down to 0 along a cosine.
    seed : int
        Of the split, the crops and the weights.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    factor: int = 2
    levels: int = 2
    steps: int = 500
    batch: int = 8
    crop: int = 64
    width: int = 16
    rate: float = 4e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.methods:
            raise ShapeError("compare: methods must name at least one way up")
        for method in self.methods:
            choice("compare", "methods", method, tuple(METHODS))
        if len(set(self.methods)) != len(self.methods):
            raise ShapeError(f"compare: methods must name each way up once, got {', '.join(self.methods)}")
        for name in ("factor", "levels", "steps", "batch", "crop", "width"):
            integer("compare", name, getattr(self, name), minimum=2 if name == "factor" else 1)
        integer("compare", "seed", self.seed, minimum=0)
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ShapeError(f"compare: rate must be a finite number above 0, got {self.rate}")
        # Larger powers than the crop, which may have more digits than anybody waits for, are left alone.
        fits = self.levels < self.crop.bit_length() and self.factor <= self.crop
        if not fits or self.crop % self.period:
            period = f" = {self.period}" if fits else ""
            raise ShapeError(f"compare: crop must be divisible by factor ** levels{period}, got {self.crop}")
        weights: list[tuple[int, ...]] = [(self.width, self.width, 3, 3)]
        for method in self.methods:
            weights += METHODS[method].weights(self.width, self.factor)
        largest = max(self.batch * self.width * self.crop**2, *map(math.prod, weights))
        if largest > MOST_ELEMENTS:
            raise ShapeError(
                f"compare: batch {self.batch}, crop {self.crop}, width {self.width} and factor {self.factor} "
                f"make an array of {largest} elements, at most {MOST_ELEMENTS} can be trained with"
            )

    @property
    def period(self) -> int:
        """Pixels of the output that one element of the bottleneck stands for, per axis."""
        return int(self.factor**self.levels)


@dataclass(frozen=True, slots=True)
class Result:
    """One way up, trained and measured on the held-out photographs.

    Parameters
    ----------
    psnr, ssim : float
        Means over the held-out photographs, decibels and 1 at most.
    blockiness, checkerboard : float
        Of the reconstructions, as `measures` defines them.
    parameters, multiply_adds : int
        Of the whole network; the latter for one crop, forwards.
    ms_per_step : float
        Median milliseconds of a training step.
    peak_bytes : int
        Most bytes of tensors alive at once in the first training step: activations, gradients and the
        optimizer's state, without the weights and without what lives inside one operation.
    losses : tuple of float
        Mean squared error of every step.
    reconstructions : tuple of arrays
        Of the held-out pieces, (3, height, width), from 0 to 1.
    """

    method: str
    psnr: float
    ssim: float
    blockiness: float
    checkerboard: float
    parameters: int
    multiply_adds: int
    ms_per_step: float
    peak_bytes: int
    losses: tuple[float, ...] = field(repr=False)
    reconstructions: tuple[NDArray[np.float32], ...] = field(repr=False)

    def numbers(self) -> dict[str, Any]:
        """The measured numbers, without losses and pictures."""
        kept = asdict(self)
        del kept["losses"], kept["reconstructions"]
        return kept


def measured_piece(photograph: Photograph, period: int) -> NDArray[np.float32]:
    """The central piece of a photograph that the network takes, (3, height, width)."""
    where = []
    for n in photograph.pixels.shape[:2]:
        size = min(n, MEASURED_SIDE) // period * period
        where.append(slice((n - size) // 2, (n - size) // 2 + size))
    return photograph.floats(where[0], where[1])
