"""One axis of a resize: which source elements make a target element, and with what weight.

Source positions are exact: with sizes n (source) and m (target), target o looks at the rational

    half_pixel      ((2 o + 1) n - m) / (2 m)          pixel centres of both grids span the same length
    align_corners   o (n - 1) / (m - 1)                the first and the last centres coincide
    asymmetric      o n / m                            the first centres coincide

or at first + o step, where these are given; kept as integers until the weight, a function of the remainder,
is taken. NumPy's 64-bit integers stand in for Python's because an axis may have millions of positions;
`AXIS_LIMIT` and `looks_at` keep every product below 2**63.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unsample import cache
from unsample.errors import ShapeError
from unsample.geometry.window import AdaptiveWindow, Ints, Positions, positions

Method = Literal[
    "nearest",
    "nearest_ties_down",
    "floor",
    "ceil",
    "linear",
    "cubic",
    "catmull_rom",
    "lanczos3",
    "lanczos5",
    "area",
]
METHODS: tuple[Method, ...] = get_args(Method)
Convention = Literal["half_pixel", "align_corners", "asymmetric", "legacy"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
# Where the targets of one axis look: by a word, or at (first + o * step) / denominator.
Looks = Convention | tuple[int, int, int]
# Two tables of eight-byte numbers per tap are built for an axis; at this length they take about 4 GiB.
AXIS_LIMIT = 2**26

# Rows of tables that are made at a time where an axis has more, so that they stay small beside the result.
BLOCK = 320_000  # about as many as `kept` keeps

# The element that a method copies: the floor of the position and so many halves; with True the one before
# where that is a whole number.
ROUNDING: dict[str, tuple[int, bool]] = {
    "floor": (0, False),
    "nearest_ties_down": (1, True),
    "nearest": (1, False),
    "ceil": (2, True),
}

# How far the kernel of a method reaches to either side.
SUPPORT: dict[str, int] = {"linear": 1, "cubic": 2, "catmull_rom": 2, "lanczos3": 3, "lanczos5": 5}

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
    method : str
        As in `resize`.
    convention : str or tuple of int
        As in `resize`; or (first, step, denominator), by which target o looks at
        (first + o step) / denominator.
    antialias : bool
        Whether the kernel is stretched to the step between targets when the axis shrinks.
    exclude_outside : bool
        Whether what lies beyond the border has no weight; else the edge element is repeated there.

    Examples
    --------
    Doubling 3 elements linearly: inner targets mix two sources 3 : 1.

    >>> for tap in Resample(3, 6, "linear", "half_pixel").taps():
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
    convention: Looks
    antialias: bool = False
    exclude_outside: bool = False

    @property
    def copies(self) -> bool:
        """Whether elements are moved as they are, each with weight 1."""
        return self.method in ROUNDING

    @property
    def rounding(self) -> tuple[int, bool]:
        """The row of `ROUNDING`; "legacy" takes the element before, as torch's mode "nearest" does."""
        return ROUNDING["floor" if self.convention == "legacy" else self.method]

    @property
    def changes(self) -> bool:
        """Whether a target may be anything but the source in its place."""
        moved = isinstance(self.convention, tuple) and self.convention[:2] != (0, self.convention[2])
        return self.source != self.target or moved

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
        if self.copies:
            return 1
        wide, denominator = self._stretch()
        return -(-2 * SUPPORT[self.method] * wide // denominator)

    def _stretch(self) -> tuple[int, int]:
        """By what the kernel is stretched, as a ratio over the denominator of the positions."""
        step, denominator = step_of(self.source, self.target, self.convention)
        return max(step, denominator) if self.antialias else denominator, denominator

    def clipped(self) -> bool:
        """Whether positions beyond the edge elements are theirs: what repeating does to a mean of two."""
        return self.method == "linear" and not self.antialias and not self.exclude_outside

    def normalised(self) -> bool:
        """Whether weights must be divided by their sum, which is 1 for the others."""
        return self.antialias or self.exclude_outside or self.method.startswith("lanczos")

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
    if axis.copies:
        return copied_source(axis, o)[:, None], np.broadcast_to(1.0, (len(o), 1))
    numerator, denominator = position(source, target, axis.convention, o)
    if axis.clipped():
        numerator = np.clip(numerator, 0, (source - 1) * denominator)
    wide, _ = axis._stretch()
    first = (numerator - SUPPORT[method] * wide) // denominator + 1
    if axis.exclude_outside:
        first = np.maximum(first, 0)
    index = first[:, None] + np.arange(axis.slots)
    weights = kernel(method, np.abs(index * denominator - numerator[:, None]) / wide)
    if axis.exclude_outside:
        weights = np.where(index < source, weights, 0.0)
    if axis.normalised():
        weights = weights / weights.sum(axis=1, keepdims=True)
    index = np.clip(index, 0, source - 1)
    return (index, weights) if axis.exclude_outside else _merge(index, weights)


# These are arithmetic alone: `o` and `distance` may be arrays of any library, and sizes symbols.


def position(source: int, target: int, convention: Looks, o: Any) -> tuple[Any, int]:
    """Numerators and the denominator of the source positions of targets `o`."""
    if isinstance(convention, tuple):
        first, step, denominator = convention
        return first + o * step, denominator
    if convention == "half_pixel":
        return (2 * o + 1) * source - target, 2 * target
    if convention == "align_corners":
        return (o * (source - 1), target - 1) if target > 1 else (o, 1)
    return o * source, target


def step_of(source: int, target: int, convention: Looks) -> tuple[int, int]:
    """Sources per target as a ratio, over the denominator that `position` gives."""
    at, denominator = position(source, target, convention, 1)
    return at - position(source, target, convention, 0)[0], denominator


def copied_source(axis: Resample, o: Any) -> Any:
    """The source of every target of a method that copies."""
    numerator, denominator = position(axis.source, axis.target, axis.convention, o)
    halves, below = axis.rounding
    shift = halves * denominator - below
    return ((2 * numerator + shift) // (2 * denominator)).clip(0, axis.source - 1)


def kernel(method: Method, distance: Any, sin: Callable[[Any], Any] = np.sin) -> Any:
    """The weight at a distance: a triangle, Keys' cubic convolution kernel (Keys 1981, equation 4), or a
    sinc under the middle of one that is as wide as the kernel (Duchon 1979, equation 10).
    """
    if method == "linear":
        return (1 - distance).clip(0)
    if method not in CUBIC:
        lobes, angle = SUPPORT[method], math.pi * distance
        apart = (distance % 1 != 0) & (distance < lobes)  # at whole distances it is exactly 1 or 0
        product = lobes * sin(angle) * sin(angle / lobes)
        return (distance == 0) * 1.0 + apart * product / (angle * angle + (distance == 0))
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


def looks_at(operation: str, source: int, target: int, given: Sequence[int]) -> tuple[int, int, int]:
    """(first, step, denominator), by which every target looks at an element or between two neighbours."""
    first, step, denominator = given
    last = first + max(target - 1, 0) * step
    inside = -denominator < first <= last < source * denominator or source == 0
    if denominator < 1 or not 0 <= step <= (source + 1) * denominator or not inside:
        ends = (str(Fraction(each, denominator or 1)) for each in (first, last))
        raise ShapeError(
            f"{operation}: convention must have every target look between -1 and {source}, both left out, in "
            f"steps from 0 to {source + 1}, got {' to '.join(ends)} in steps of "
            f"{Fraction(step, denominator or 1)}"
        )
    if (source + 1) * denominator >= 2**56:
        raise OverflowError(
            f"{operation}: convention must hold ratios of fewer bits, got a denominator of {denominator} for "
            f"{source} elements"
        )
    return first, step, denominator


def check_axis(operation: str, sizes: tuple[int, ...]) -> None:
    """Refuse an axis too long to tabulate."""
    for size in sizes:
        if size > AXIS_LIMIT:
            raise OverflowError(f"{operation}: an axis must have at most 2**26 elements, got {size}")
