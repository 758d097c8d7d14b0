"""Train and measure."""

import gc
import math
import time
import weakref
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tqdm import tqdm

from unsample.compare import measures
from unsample.compare.network import EncoderDecoder
from unsample.compare.photographs import Photograph, Photographs
from unsample.compare.results import Result, Settings, measured_piece


def train(photographs: Photographs, settings: Settings, *, progress: bool = True) -> Iterator[Result]:
    """Train the ways up one after the other and yield each result as it is there."""
    pieces = [measured_piece(photograph, settings.period) for photograph in photographs.held_out]
    before = torch.are_deterministic_algorithms_enabled()
    for number, method in enumerate(settings.methods, 1):
        torch.use_deterministic_algorithms(True)
        try:
            label = f"{number} of {len(settings.methods)}  {method}"
            result = _train_one(method, photographs.train, pieces, settings, label if progress else None)
        finally:
            torch.use_deterministic_algorithms(before)
        yield result


def _train_one(
    method: str,
    photographs: Sequence[Photograph],
    pieces: Sequence[NDArray[np.float32]],
    settings: Settings,
    label: str | None,
) -> Result:
    generator_state = torch.get_rng_state()
    torch.manual_seed(settings.seed)
    network = EncoderDecoder(method, settings.factor, settings.levels, settings.width)
    torch.set_rng_state(generator_state)
    losses, seconds, peak_bytes = _fit(network, _crops(photographs, settings), settings, label)
    network.eval()
    with torch.no_grad():
        outputs = [network(torch.from_numpy(piece)[None])[0].clamp(0, 1).numpy() for piece in pieces]
    return Result(
        method=method,
        psnr=float(np.mean([measures.psnr(a, b) for a, b in zip(pieces, outputs, strict=True)])),
        ssim=float(np.mean([measures.ssim(a, b) for a, b in zip(pieces, outputs, strict=True)])),
        blockiness=measures.blockiness(outputs, settings.period),
        checkerboard=measures.checkerboard(outputs, settings.period),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=network.multiply_adds(settings.crop, settings.crop),
        ms_per_step=1e3 * float(np.median(seconds)) if seconds else float("nan"),
        peak_bytes=peak_bytes,
        losses=tuple(losses),
        reconstructions=tuple(outputs),
    )


def _fit(
    network: EncoderDecoder, crops: Iterator[torch.Tensor], settings: Settings, label: str | None
) -> tuple[list[float], list[float], int]:
    """Train; the loss of every step, the seconds of all but the first, the most bytes alive in the first."""
    optimizer = torch.optim.Adam(network.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, settings.steps))
    losses: list[float] = []
    seconds: list[float] = []

    def step() -> None:
        batch = next(crops)
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.mean((network(batch) - batch) ** 2)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)

    hidden = True if label is None else None  # None: where stderr is no terminal
    with tqdm(total=settings.steps, desc=label, unit="step", disable=hidden, leave=False) as bar:
        for index in range(settings.steps):
            if index == 0:  # counting slows a step down, so it is not one of those that are timed
                gc.collect()  # so that no collection in the middle decides what is counted
                gc.disable()
                try:
                    with _LiveBytes() as memory:
                        step()
                finally:
                    gc.enable()
                seconds.clear()
            else:
                step()
            bar.update()
            bar.set_postfix_str(f"loss {losses[-1]:.4f}", refresh=False)
    return losses, seconds, memory.peak


def _rate(steps: int, step: int) -> float:
    """Share of the learning rate: up over the first tenth, then down to 0 along a cosine."""
    warm = max(1, steps // 10)
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))


def _crops(photographs: Sequence[Photograph], settings: Settings) -> Iterator[torch.Tensor]:
    """Random crops; every method sees the same ones in the same order."""
    rng = np.random.default_rng([settings.seed, 2])
    n = settings.crop
    while True:
        batch = []
        for index in rng.integers(len(photographs), size=settings.batch):
            height, width = photographs[index].pixels.shape[:2]
            top, left = rng.integers(height - n + 1), rng.integers(width - n + 1)
            batch.append(photographs[index].floats(slice(top, top + n), slice(left, left + n)))
        yield torch.from_numpy(np.stack(batch))


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make while it is active, until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: dict[int, tuple[weakref.ref[Any], int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self.live:
                    self.live[id(storage)] = weakref.ref(storage), storage.nbytes()
        # No callbacks of the references: Python swallows an interrupt that comes while one runs.
        self.live = {key: each for key, each in self.live.items() if each[0]() is not None}
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return out
