"""What is measured: the shapes of decoders people run, and the sizes of feature maps they move."""

from dataclasses import dataclass
from math import prod

import numpy as np


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution of (batch, c_in, *coarse)."""

    name: str
    batch: int
    c_in: int
    c_out: int
    coarse: tuple[int, ...]
    kernel: int
    stride: int
    padding: int = 0
    output_padding: int = 0
    groups: int = 1

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.coarse)

    @property
    def fine(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        return tuple(
            (n - 1) * self.stride + self.kernel - 2 * self.padding + self.output_padding for n in self.coarse
        )

    @property
    def multiply_adds(self) -> int:
        """Upper bound: taps that the padding crops are counted."""
        return self.batch * self.c_in * self.c_out // self.groups * prod(self.coarse) * self.kernel**self.rank

    @property
    def traffic(self) -> int:
        """Bytes that must be read or written at least, float32."""
        weight = self.c_in * self.c_out // self.groups * self.kernel**self.rank
        maps = self.batch * (self.c_in * prod(self.coarse) + self.c_out * prod(self.fine))
        return 4 * (weight + maps)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Input, weight and cotangent, float32; the same in every process."""
        rng = np.random.default_rng(0)
        shapes = (
            (self.batch, self.c_in, *self.coarse),
            (self.c_in, self.c_out // self.groups, *(self.kernel,) * self.rank),
            (self.batch, self.c_out, *self.fine),
        )
        x, w, g = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        return x, w, g

    @property
    def options(self) -> dict[str, int]:
        """Keywords of `conv_transpose`, ours and torch's."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "groups": self.groups,
        }


TRANSPOSED = (
    Transposed("U-Net 2x2 s2 256-128 64^2", 1, 256, 128, (64, 64), 2, 2),
    Transposed("U-Net 2x2 s2 4x64-32 128^2", 4, 64, 32, (128, 128), 2, 2),
    Transposed("DCGAN 4x4 s2 16x512-256 8^2", 16, 512, 256, (8, 8), 4, 2, 1),
    Transposed("DCGAN 4x4 s2 16x128-64 32^2", 16, 128, 64, (32, 32), 4, 2, 1),
    Transposed("DCGAN last 4x4 s2 16x64-3 64^2", 16, 64, 3, (64, 64), 4, 2, 1),
    Transposed("3x3 s2 4x64-64 64^2", 4, 64, 64, (64, 64), 3, 2, 1, 1),
    Transposed("FSRCNN 9x9 s3 56-1 256^2", 1, 56, 1, (256, 256), 9, 3, 4, 2),
    Transposed("FCN 64x64 s32 groups 21 16^2", 1, 21, 21, (16, 16), 64, 32, 16, 0, 21),
    Transposed("depthwise 4x4 s2 64 128^2", 1, 64, 64, (128, 128), 4, 2, 1, 0, 64),
    Transposed("decoder 4x4 s2 32-16 256^2", 1, 32, 16, (256, 256), 4, 2, 1),
    Transposed("HiFi-GAN k16 s8 512-256 T64", 1, 512, 256, (64,), 16, 8, 4),
    Transposed("HiFi-GAN k16 s8 256-128 T512", 1, 256, 128, (512,), 16, 8, 4),
    Transposed("HiFi-GAN k4 s2 128-64 T4096", 1, 128, 64, (4096,), 4, 2, 1),
    Transposed("codec k10 s5 64-32 T24000", 1, 64, 32, (24000,), 10, 5),
    Transposed("depthwise 1-D k6 s3 16x512 T32", 16, 512, 512, (32,), 6, 3, 2, 1, 512),
    Transposed("V-Net 2^3 s2 128-64 16^3", 1, 128, 64, (16, 16, 16), 2, 2),
    Transposed("3^3 s2 32-32 32^3", 1, 32, 32, (32, 32, 32), 3, 2, 1, 1),
    Transposed("4^3 s2 32-16 32^3", 1, 32, 16, (32, 32, 32), 4, 2, 1),
)


@dataclass(frozen=True)
class Move:
    """A data movement between (batch, channels, *fine) and half of it, or a third where the window is 3."""

    name: str
    operation: str
    shape: tuple[int, ...]
    window: int = 2

    @property
    def coarse(self) -> tuple[int, ...]:
        """Shape of the small side."""
        if self.operation == "pixel_shuffle":
            n, c, *spatial = self.shape
            return (n, c * self.window ** len(spatial), *(size // self.window for size in spatial))
        return (*self.shape[:2], *(size // 2 for size in self.shape[2:]))

    @property
    def traffic(self) -> int:
        """Bytes that must be read or written at least: float32 maps, and switches of one byte."""
        small, large = prod(self.coarse), prod(self.shape)
        return 4 * (small + large) + (small if "pool" in self.operation else 0)


MAPS = {"8x64x256^2": (8, 64, 256, 256), "1x64x128^2": (1, 64, 128, 128), "1x16x32^2": (1, 16, 32, 32)}
MOVES = (
    *(
        Move(f"{operation} {size}", operation, shape)
        for operation in ("max_pool", "max_unpool", "nearest", "bed_of_nails", "pixel_shuffle")
        for size, shape in MAPS.items()
    ),
    Move("max_pool 3x3 s2 8x64x256^2", "max_pool", (8, 64, 256, 256), 3),
)

# From ten thousand to a thousand million elements on the large side.
SCALES = {
    "10^4": (1, 1, 100, 100),
    "10^5": (1, 10, 100, 100),
    "10^6": (1, 1, 1000, 1000),
    "10^7": (1, 10, 1000, 1000),
    "10^8": (1, 100, 1000, 1000),
    "10^9": (10, 100, 1000, 1000),
}
SCALING = tuple(
    Move(f"{operation} {size}", operation, shape)
    for operation in ("nearest", "max_unpool")
    for size, shape in SCALES.items()
)
# As small as a call can be: what is measured is the way to the kernel.
SMALLEST = (
    *(
        Move(f"{operation} 1x1x4x4", operation, (1, 1, 4, 4))
        for operation in ("max_pool", "max_unpool", "nearest", "bed_of_nails", "pixel_shuffle")
    ),
    Transposed("conv_transpose 1x1x4x4", 1, 1, 1, (4, 4), 3, 2),
)
QUICK = ("DCGAN 4x4 s2 16x128-64 32^2", "DCGAN last 4x4 s2 16x64-3 64^2", "depthwise 4x4 s2 64 128^2")
QUICK_MOVES = tuple(move.name for move in MOVES if "1x64x128^2" in move.name)
