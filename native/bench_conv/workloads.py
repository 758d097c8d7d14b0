"""The transposed convolutions that the project is measured with."""

from typing import NamedTuple


class Workload(NamedTuple):
    """`conv_transpose` of (batch, c_in, *coarse)."""

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


WORKLOADS = [
    Workload("U-Net 2x2 s2 256->128 64", 1, 256, 128, (64, 64), 2, 2),
    Workload("U-Net 2x2 s2 4x64->32 128", 4, 64, 32, (128, 128), 2, 2),
    Workload("DCGAN 4x4 16x512->256 8", 16, 512, 256, (8, 8), 4, 2, 1),
    Workload("DCGAN 4x4 16x128->64 32", 16, 128, 64, (32, 32), 4, 2, 1),
    Workload("DCGAN last 16x64->3 64", 16, 64, 3, (64, 64), 4, 2, 1),
    Workload("3x3 s2 4x64->64 64", 4, 64, 64, (64, 64), 3, 2, 1, 1),
    Workload("FSRCNN 9x9 s3 56->1 256", 1, 56, 1, (256, 256), 9, 3, 4, 2),
    Workload("FCN 64x64 s32 groups 21", 1, 21, 21, (16, 16), 64, 32, 16, 0, 21),
    Workload("depthwise 4x4 s2 64 128", 1, 64, 64, (128, 128), 4, 2, 1, 0, 64),
    Workload("decoder 4x4 s2 32->16 256", 1, 32, 16, (256, 256), 4, 2, 1),
    Workload("HiFi-GAN k16 s8 512->256 T64", 1, 512, 256, (64,), 16, 8, 4),
    Workload("HiFi-GAN k16 s8 256->128 T512", 1, 256, 128, (512,), 16, 8, 4),
    Workload("HiFi-GAN k4 s2 128->64 T4096", 1, 128, 64, (4096,), 4, 2, 1),
    Workload("codec k10 s5 64->32 T24000", 1, 64, 32, (24000,), 10, 5),
    Workload("depthwise 1-D k6 s3 16x512 T32", 16, 512, 512, (32,), 6, 3, 2, 1, 512),
    Workload("V-Net 2^3 s2 128->64 16", 1, 128, 64, (16, 16, 16), 2, 2),
    Workload("3^3 s2 32->32 32", 1, 32, 32, (32, 32, 32), 3, 2, 1, 1),
    Workload("4^3 s2 32->16 32", 1, 32, 16, (32, 32, 32), 4, 2, 1),
]
