"""Movement, pooling and resizing beside torch's in one process, channels first and channels last.

`python benchmarks/layouts.py [words]` prints a table: milliseconds of unsample.torch and of torch on one
thread, called in turn, the fastest of many each, and how many times faster ours is. `words` choose rows by
name.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

import unsample.torch as ut

Call = Callable[[], object]
SHAPES = ((1, 64, 64, 64), (1, 16, 256, 256), (8, 512, 14, 14), (8, 3, 128, 128))


def calls(x: torch.Tensor) -> dict[str, tuple[Call, Call | None]]:
    """What is called, by ours and by torch, on tensors that lie as `x` does."""
    aten = torch.ops.aten
    like = {"memory_format": torch.channels_last if x.stride(1) == 1 else torch.contiguous_format}
    n, channels, *size = x.shape
    double = [2 * each for each in size]
    values, switches = ut.max_pool(x, 2)
    largest, indices = F.max_pool2d(x, 2, return_indices=True)
    overlapping, where = ut.max_pool(x, 3, stride=2, padding=1)
    _, positions = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    up = F.interpolate(x, scale_factor=2, mode="bilinear").contiguous(**like)
    pool, pool_back = {"stride": 2, "padding": 1}, aten.max_pool2d_with_indices_backward
    shuffles = channels % 4 == 0
    return {
        "nearest": (lambda: ut.nearest(x, 2), lambda: F.interpolate(x, scale_factor=2)),
        "window_sum": (lambda: ut.window_sum(x, 2), lambda: F.avg_pool2d(x, 2, divisor_override=1)),
        "max_pool": (lambda: ut.max_pool(x, 2), lambda: F.max_pool2d(x, 2, return_indices=True)),
        "max_unpool": (lambda: ut.max_unpool(values, switches), lambda: F.max_unpool2d(largest, indices, 2)),
        "max_gather": (
            lambda: ut.max_gather(x, switches),
            lambda: x.flatten(2).gather(2, indices.flatten(2)),
        ),
        "max_pool 3x3": (
            lambda: ut.max_pool(x, 3, **pool),
            lambda: F.max_pool2d(x, 3, 2, 1, return_indices=True),
        ),
        "its backward": (
            lambda: ut.max_unpool(overlapping, where, duplicates="sum"),
            lambda: pool_back(overlapping, x, [3, 3], [2, 2], [1, 1], [1, 1], False, positions),
        ),
        "adaptive_max_pool": (
            lambda: ut.adaptive_max_pool(x, 7),
            lambda: F.adaptive_max_pool2d(x, 7, return_indices=True),
        ),
        "bilinear": (
            lambda: ut.resize(x, factor=2, method="linear"),
            lambda: F.interpolate(x, scale_factor=2, mode="bilinear"),
        ),
        "its transpose": (
            lambda: ut.resize_transpose(up, size, method="linear"),
            lambda: aten.upsample_bilinear2d_backward(up, double, [n, channels, *size], False, 2.0, 2.0),
        ),
        "bicubic": (
            lambda: ut.resize(x, factor=2, method="cubic"),
            lambda: F.interpolate(x, scale_factor=2, mode="bicubic"),
        ),
        "bed_of_nails": (lambda: ut.bed_of_nails(x, 2), None),
        "decimate": (lambda: ut.decimate(x, 2), lambda: x[..., ::2, ::2].contiguous(**like)),
        "pixel_shuffle": (
            (lambda: ut.pixel_shuffle(x, 2)) if shuffles else (lambda: None),
            (lambda: F.pixel_shuffle(x, 2)) if shuffles else None,
        ),
        "pixel_unshuffle": (lambda: ut.pixel_unshuffle(x, 2), lambda: F.pixel_unshuffle(x, 2)),
    }


def fastest(calls: list[Call], seconds: float = 0.25) -> list[float]:
    """Milliseconds of each, called in turn."""
    repeats, best = [], [float("inf")] * len(calls)
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        repeats.append(max(1, int(0.003 / max(time.perf_counter() - start, 1e-6))))
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end:
        for i, (call, times) in enumerate(zip(calls, repeats, strict=True)):
            start = time.perf_counter()
            for _ in range(times):
                call()
            best[i] = min(best[i], 1e3 * (time.perf_counter() - start) / times)
    return best


def main(words: list[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| | input | ours first | torch first | | ours last | torch last | |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for shape in SHAPES:
        first = torch.randn(shape)
        both = [calls(first), calls(first.to(memory_format=torch.channels_last))]
        for name in both[0]:
            if words and not any(word in name for word in words):
                continue
            row: list[str] = []
            for made in both:
                ours, theirs = made[name]
                if theirs is None:
                    row += [f"{fastest([ours])[0]:.3g}", "–", "–"]
                    continue
                mine, other = fastest([ours, theirs])
                row += [f"{mine:.3g}", f"{other:.3g}", f"{other / mine:.2f}×"]
            print(f"| {name} | {'×'.join(map(str, shape))} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
