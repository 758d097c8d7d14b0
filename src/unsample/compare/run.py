"""Train, measure, compare."""

import gc
import math
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tqdm import tqdm

from unsample.compare import measures
from unsample.compare.network import METHODS, EncoderDecoder
from unsample.compare.photographs import Photograph, Photographs, bundled, from_folder
from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, integer

if TYPE_CHECKING:
    from unsample.compare.comparison import Comparison

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


def compare(
    folder: str | Path | None = None, settings: Settings | None = None, *, progress: bool = True
) -> "Comparison":
    """Train the same encoder-decoder with each way up and measure them on photographs it has not seen.

    Parameters
    ----------
    folder : path, optional
        Holds photographs; scikit-image's bundled ones unless given.
    settings : Settings, optional
        What to train, and how long.
    progress : bool
        Whether to show a bar on stderr, where that is a terminal.

    Returns
    -------
    Comparison
        Its table as text, and `save(folder)` for files.

    Raises
    ------
    BadPhotographs, ShapeError, TypeError
        Where the photographs or the settings do not serve.
    """
    from unsample.compare.comparison import Comparison

    settings = settings or Settings()
    if folder is None:
        photographs = bundled(settings.seed)
    else:
        photographs = from_folder(folder, smallest=settings.crop, seed=settings.seed)
    results = tuple(train(photographs, settings, progress=progress))
    return Comparison(settings, photographs, results)


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


def measured_piece(photograph: Photograph, period: int) -> NDArray[np.float32]:
    """The central piece of a photograph that the network takes, (3, height, width)."""
    where = []
    for n in photograph.pixels.shape[:2]:
        size = min(n, MEASURED_SIDE) // period * period
        where.append(slice((n - size) // 2, (n - size) // 2 + size))
    return photograph.floats(where[0], where[1])


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
    optimizer = torch.optim.Adam(network.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, settings.steps))
    crops = _crops(photographs, settings)
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
        peak_bytes=memory.peak,
        losses=tuple(losses),
        reconstructions=tuple(outputs),
    )


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
