"""Dilated convolutions beside torch's, in milliseconds on one thread: `python benchmarks/dilated.py`.

Each is called in turn, the best of seven calls counts; the last column is torch's time over ours.
"""

import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

import unsample.torch as ut

# Shape of x, output channels, dilation of 3 taps per axis; padding keeps the size.
CALLS = (
    ((1, 256, 48, 48), 256, 16),
    ((1, 2048, 12, 12), 256, 12),
    ((1, 2048, 12, 12), 256, 1),
    ((1, 64, 64, 64), 64, 4),
    ((1, 64, 4096), 64, 512),
    ((1, 32, 24, 24, 24), 32, 12),
)


def best_of_each(*calls: Callable[[], object]) -> list[float]:
    """The shortest time of every call, in milliseconds."""
    found = [float("inf")] * len(calls)
    for _ in range(7):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            found[i] = min(found[i], 1e3 * (time.perf_counter() - start))
    return found


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for shape, channels, d in CALLS:
        rank = len(shape) - 2
        x, w = torch.randn(shape), torch.randn(channels, shape[1], *(3,) * rank)
        theirs = getattr(F, f"conv{rank}d")
        ours, torchs = best_of_each(
            lambda x=x, w=w, d=d: ut.conv(x, w, padding=d, dilation=d),
            lambda x=x, w=w, d=d, theirs=theirs: theirs(x, w, padding=d, dilation=d),
        )
        name = f"{'x'.join(map(str, shape))} -> {channels}, dilation {d}"
        print(f"{name:<40}{ours:9.2f}{torchs:9.2f}{torchs / ours:7.2f}", flush=True)


if __name__ == "__main__":
    main()
