"""One axis of a resize: which source elements make a target element, and with what weight.

Source positions are exact: with sizes n (source) and m (target), target o looks at the rational

    half_pixel      ((2 o + 1) n - m) / (2 m)          pixel centres of both grids span the same length
    align_corners   o (n - 1) / (m - 1)                the first and the last centres coincide
    asymmetric      o n / m                            the first centres coincide

kept as integers until the weight, a polynomial in the remainder, is taken. NumPy's 64-bit integers
stand in for Python's because an axis may have millions of positions; `AXIS_LIMIT` keeps every product
below 2**63.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unsample import cache
from unsample.geometry.window import AdaptiveWindow, Ints, Positions, positions

Method = Literal["nearest", "linear", "cubic", "catmull_rom", "area"]
METHODS: tuple[Method, ...] = get_args(Method)
Convention = Literal["half_pixel", "align_corners", "asymmetric", "legacy"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
# Two tables of eight-byte numbers per tap are built for an axis; at this length they take about 4 GiB.
AXIS_LIMIT = 2**26

# Rows of tables that are made at a time where an axis has more, so that they stay small beside the result.
BLOCK = 320_000  # about as many as `kept` keeps

# Keys (1981), equation 4: the free parameter a of the cubic. torch's bicubic has -0.75, the
# third-order accurate Catmull-Rom spline -0.5 (TensorFlow, PIL, torch with antialias).
CUBIC: dict[Method, float] = {"cubic": -0.75, "catmull_rom": -0.5}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Resample:
    """One axis of a resize.

    Parameters
    ----------
    source, target : int
        Elements before and after.
    method, convention : str
        As in `resize`.
    antialias : bool
        Whether the kernel is stretched to the step between targets when the axis shrinks.

    Examples
    --------
    Doubling 3 elements linearly: inner targets mix two sources 3 : 1.

    >>> for tap in Resample(3, 6, "linear", "half_pixel", False).taps():
    ...     print([*map(int, tap.source)], [*map(int, tap.target)], tap.weights.tolist())
    [0, 1, 2] [0, 3, 5] [1.0, 0.75, 1.0]
    [0, 1] [1, 4] [0.75, 0.25]
    [0] [2] [0.25]
    [1, 2] [1, 3] [0.25, 0.25]
    [1, 2] [2, 4] [0.75, 0.75]
    """

    source: int
    target: int
    method: Method
    convention: Convention
    antialias: bool

    def taps(self) -> tuple["ResampleTap", ...]:
        """Which sources go to which targets with which weights; a fixed order, kept."""
        key = _made_taps, self
        found: tuple[ResampleTap, ...] | None = cache.find(key)
        if found is None:
            found = _made_taps(self)
            cache.keep(key, found, sum(tap.nbytes + 200 for tap in found))
        return found

    @property
    def slots(self) -> int:
        """Columns of the table of sources and weights: the most sources that a target may have."""
        if self.method == "area":
            return AdaptiveWindow(self.source, self.target).size
        if self.antialias:
            return -(-2 * _support(self.method) * max(self.source, self.target) // self.target) + 1
        return {"nearest": 1, "linear": 2}.get(self.method, 4)

    def blocks(self, up: bool) -> Iterator[tuple[int, int]]:
        """Runs (begin, end) of outputs, targets (up) or sources, of about `BLOCK` terms each."""
        outputs, inputs = (self.target, self.source) if up else (self.source, self.target)
        if outputs == 0:
            return
        terms = self.slots if up else -(-self.slots * inputs // outputs)
        step = max(1, BLOCK // max(terms, 1))
        yield from ((begin, min(begin + step, outputs)) for begin in range(0, outputs, step))

    def terms(self, up: bool, begin: int, end: int) -> tuple[Ints, Ints, Floats]:
        """What outputs [begin, end) are made of: where their terms begin, and of each its input and weight.

        In the order of `taps`, which is the order that sums are taken in.
        """
        if up:
            source, weights = _table(self, begin, end)
            used = weights != 0
            return _ends(used.sum(axis=1)), source[used], weights[used]
        low, high = self._first(lambda row: row[-1] >= begin), self._first(lambda row: row[0] >= end)
        source, weights = _table(self, low, high)
        target = np.broadcast_to(np.arange(low, high)[:, None], source.shape)
        if source.shape[1] <= self.target:  # slot by slot, see `_made_taps`
            source, weights, target = source.T, weights.T, target.T
        used = (weights != 0) & (source >= begin) & (source < end)
        source, weights, target = source[used], weights[used], target[used]
        order = np.argsort(source, kind="stable")
        return _ends(np.bincount(source - begin, minlength=end - begin)), target[order], weights[order]

    def _first(self, reached: Callable[[Ints], bool]) -> int:
        """The first target whose sources, which ascend with the targets, have reached a place."""
        return bisect_left(
            range(self.target), True, key=lambda o: bool(reached(_table(self, o, o + 1)[0][0]))
        )

    def meetings(self) -> int:
        """How many weights are not 0."""
        return sum(int(np.count_nonzero(_table(self, *block)[1])) for block in self.blocks(up=True))


@dataclass(frozen=True, slots=True, eq=False)
class ResampleTap:
    """Target `target[i]` takes `weights[i]` times source `source[i]`; no source or target twice in one tap.

    Where an axis changes more than it is long on its shorter side, one element of that side meets many
    of the other: `source` or `target` is then a single position.
    """

    source: Positions
    target: Positions
    weights: Floats

    @property
    def nbytes(self) -> int:
        """Bytes of the positions and weights."""
        sides = sum(0 if isinstance(side, range) else side.nbytes for side in (self.source, self.target))
        return sides + self.weights.nbytes


def _made_taps(axis: Resample) -> tuple[ResampleTap, ...]:
    if axis.source == 0 or axis.target == 0:
        return ()
    index, weights = _table(axis, 0, axis.target)
    taps = []
    if index.shape[1] > axis.target:
        for o in range(axis.target):
            (used,) = np.nonzero(weights[o])
            taps.append(ResampleTap(positions(index[o, used]), range(o, o + 1), weights[o, used]))
        return tuple(taps)
    for slot in range(index.shape[1]):
        used = np.flatnonzero(weights[:, slot])
        found, weight = index[used, slot], weights[used, slot]
        # Within a slot sources ascend, each in a run of repetitions.
        starts = np.flatnonzero(np.diff(found, prepend=-1))
        lengths = np.diff(starts, append=len(found))
        longest = int(lengths.max(initial=0))
        parts: list[Any]
        if longest > len(starts):  # one tap per source
            parts = [slice(a, a + n) for a, n in zip(starts, lengths, strict=True)]
            sources = [found[part][:1] for part in parts]
        else:  # the r-th repetition of each source goes into tap r
            parts = [starts[lengths > r] + r for r in range(longest)]
            sources = [found[part] for part in parts]
        for part, source in zip(parts, sources, strict=True):
            taps.append(ResampleTap(positions(source), positions(used[part]), weight[part]))
    return tuple(taps)


def _ends(lengths: Ints) -> Ints:
    """Where each of several runs begins, and where the last ends."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ends


def _table(axis: Resample, begin: int, end: int) -> tuple[Ints, Floats]:
    """Sources and weights of targets [begin, end), (target, slot), ascending along both; 0 for none."""
    source, target, method = axis.source, axis.target, axis.method
    o = np.arange(begin, end, dtype=np.int64)
    if method == "area":
        return _area(source, target, o)
    if axis.antialias:
        return _antialiased(source, target, method, o)
    if method == "nearest":
        return nearest_source(source, target, axis.convention, o)[:, None], np.broadcast_to(1.0, (len(o), 1))
    numerator, denominator = position(source, target, axis.convention, o)
    if method == "linear":
        numerator = np.clip(numerator, 0, (source - 1) * denominator)
    floor = numerator // denominator
    t = (numerator - floor * denominator) / denominator
    if method == "linear":
        index, weights = floor[:, None] + np.arange(2), np.stack([1 - t, t], axis=1)
    else:
        index = floor[:, None] + np.arange(-1, 3)
        weights = kernel(method, np.abs(t[:, None] - np.arange(-1, 3)))
    return _merge(np.clip(index, 0, source - 1), weights)


# These three are arithmetic alone: `o` and `distance` may be arrays of any library, and sizes symbols.


def position(source: int, target: int, convention: str, o: Any) -> tuple[Any, int]:
    """Numerators and the denominator of the source positions of targets `o`."""
    if convention == "half_pixel":
        return (2 * o + 1) * source - target, 2 * target
    if convention == "align_corners":
        return (o * (source - 1), target - 1) if target > 1 else (o, 1)
    return o * source, target


def nearest_source(source: int, target: int, convention: str, o: Any) -> Any:
    """The source of every target of "nearest".

    "legacy" takes the element before, as torch's mode "nearest" does; the others the nearest, ties up.
    """
    numerator, denominator = position(source, target, convention, o)
    shift = 0 if convention == "legacy" else denominator
    return ((2 * numerator + shift) // (2 * denominator)).clip(0, source - 1)


def kernel(method: Method, distance: Any) -> Any:
    """The weight at a distance: a triangle, or Keys' cubic convolution kernel (Keys 1981, equation 4)."""
    if method == "linear":
        return (1 - distance).clip(0)
    a = CUBIC[method]
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return near * (distance <= 1) + far * ((distance > 1) & (distance < 2))


def _merge(index: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """Add the weights of slots that the border clamped onto one element."""
    for slot in range(index.shape[1] - 1, 0, -1):
        same = index[:, slot] == index[:, slot - 1]
        weights[:, slot - 1] += np.where(same, weights[:, slot], 0.0)
        weights[:, slot] = np.where(same, 0.0, weights[:, slot])
    return index, weights


def _area(source: int, target: int, o: Ints) -> tuple[Ints, Floats]:
    """The mean over the elements of an adaptive window, as torch's "area" has it."""
    start = o * source // target
    length = -(-((o + 1) * source) // target) - start
    slots = np.arange(AdaptiveWindow(source, target).size)
    inside = slots < length[:, None]
    index = np.minimum(start[:, None] + slots, source - 1)
    return index, np.where(inside, 1.0 / length[:, None], 0.0)


def _support(method: str) -> int:
    """How far the kernel of an antialiased resize reaches to either side."""
    return 1 if method == "linear" else 2


def _antialiased(source: int, target: int, method: Method, o: Ints) -> tuple[Ints, Floats]:
    """The kernel, stretched by source / target where that is more than 1, cut off at the border and
    divided by its sum (PIL, torch, jax).
    """
    support = _support(method)
    wide = max(source, target)
    # Source j lies ((2 j + 1) m - (2 o + 1) n) / (2 max(n, m)) stretched units away from target o.
    centre = (2 * o + 1) * source
    first = np.maximum(0, -(-(centre - target - 2 * wide * support) // (2 * target)))
    index = first[:, None] + np.arange(-(-2 * support * wide // target) + 1)
    distance = np.abs((2 * index + 1) * target - centre[:, None]) / (2 * wide)
    weights = np.where(index < source, kernel(method, distance), 0.0)
    return np.minimum(index, source - 1), weights / weights.sum(axis=1, keepdims=True)


def check_axis(operation: str, sizes: tuple[int, ...]) -> None:
    """Refuse an axis too long to tabulate."""
    for size in sizes:
        if size > AXIS_LIMIT:
            raise OverflowError(f"{operation}: an axis must have at most 2**26 elements, got {size}")
