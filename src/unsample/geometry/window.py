"""One axis of a sliding window, and the taps of several axes together.

Everything this library does is a walk over *taps*. Tap `t` of window `o` sits on the element

    p(o, t) = o * stride + t * dilation - before                     (Dumoulin & Visin, 1603.07285)

of the *fine* side (the larger one: the input of a way down, the output of a way up); the windows
themselves are counted on the *coarse* side. A tap is therefore a pair of positions, one on each
side: a way down carries `fine -> coarse`, its transpose carries `coarse -> fine`, and nothing else
differs between them. Padding needs no copy: a tap that falls outside is left out (zeros) or lands
on the element it mirrors (the other modes), which is what makes the transpose fold the border back.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample import cache
from unsample.geometry.arguments import PADDING_MODES, PaddingMode, choice, integer, is_symbol

# Positions of a tap along one axis. A range is an arithmetic sequence and becomes a slice; an array holds
# positions in any order. No position occurs twice, but where a tap says that it `repeats`.
Ints = NDArray[np.int64]
Positions = range | Ints

# Padding that repeats an axis more often than this is added to in one call instead of part by part: a tap
# then has one part, not as many as one of its elements has windows.
MOST_PARTS = 16


@dataclass(frozen=True, slots=True)
class Window:
    """Windows of `size` taps sliding over one axis of `fine` elements.

    Parameters
    ----------
    fine, coarse : int
        Elements on the larger side, windows on the smaller one.
    size, stride, dilation : int
        Taps in a window, step from window to window, step from tap to tap.
    before, after : int
        Padding of each side of the fine axis; negative crops.
    mode : str
        What a tap outside the axis meets: "zeros", "circular", "reflect" or "replicate".

    Examples
    --------
    >>> Window(fine=5, coarse=2, size=3, stride=2).overlap()
    (1, 1, 2, 1, 1)
    """

    fine: int
    coarse: int
    size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    mode: PaddingMode = "zeros"

    def __post_init__(self) -> None:
        whole_numbers(self, ("fine", "coarse", "size", "stride", "dilation", "before", "after"))
        if self.mode not in PADDING_MODES:
            choice("Window", "mode", self.mode, PADDING_MODES)

    @property
    def extent(self) -> int:
        """Elements from the first tap to the last: `dilation * (size - 1) + 1`."""
        return self.dilation * (self.size - 1) + 1

    @property
    def tiles(self) -> bool:
        """Whether no element is met twice, so that a stamp may be copied instead of added."""
        if self.mode != "zeros":
            return False
        # Taps meet where (o - o') * stride = (t' - t) * dilation, first at o - o' = dilation / g
        # and t' - t = stride / g with g = gcd(stride, dilation).
        g = math.gcd(self.stride, self.dilation)
        return self.size <= self.stride // g or self.coarse <= self.dilation // g

    def start(self, o: int) -> int:
        """Position of tap 0 of window `o`; negative in the padding."""
        return o * self.stride - self.before

    def length(self, o: int) -> int:
        """Taps of window `o`; the same for all."""
        return self.size

    def starts(self) -> Ints:
        """`start` of every window."""
        return np.asarray(np.arange(self.coarse) * self.stride - self.before, np.int64)

    def lengths(self) -> Ints:
        """`length` of every window."""
        return np.full(self.coarse, self.size)

    @property
    def meetings(self) -> int:
        """How many (window, tap) pairs find an element."""
        if self.mode != "zeros":
            return self.coarse * self.size
        return self._up_to(self.fine - 1) - self._up_to(-1)

    def _up_to(self, p: int) -> int:
        """How many (window, tap) pairs lie at position `p` or before."""
        room = p + self.before
        if room < 0:
            return 0
        last = min(self.coarse - 1, room // self.stride)  # the last window that begins there
        whole = (room - (self.extent - 1)) // self.stride + 1  # windows that end there
        whole = min(max(whole, 0), last + 1)
        # Counted from the last one on, the rest have floor((room - o * stride) / dilation) + 1 taps each.
        rest = last + 1 - whole
        cut = floor_sum(rest, self.dilation, self.stride, room - last * self.stride)
        return whole * self.size + rest + cut

    def taps_that_meet(self) -> Iterator[int]:
        """The taps that find an element in some window, in order; without folding, few of a large kernel."""
        if self.mode != "zeros" or 0 in (self.fine, self.coarse):
            yield from range(self.size if self.coarse else 0)
            return
        low = max(0, -(self.start(self.coarse - 1) // self.dilation))
        high = min(self.size - 1, (self.fine - 1 + self.before) // self.dilation)
        first = max(0, -((self.extent - 1 - self.before) // self.stride))
        last = min(self.coarse - 1, (self.fine - 1 + self.before) // self.stride)
        if self.stride <= self.fine or last - first >= high - low:  # the axis is met without a gap, or by few
            yield from range(low, high + 1)
            return
        for o in range(last, first - 1, -1):
            start = self.start(o)
            low = max(0, -(start // self.dilation))
            yield from range(low, min(self.size - 1, (self.fine - 1 - start) // self.dilation) + 1)

    def whole_taps(self) -> Iterator["AxisTap"]:
        """As `axis_taps`, but for ways down: an element may occur twice in the padding of one tap."""
        for t in self.taps_that_meet():
            offset = t * self.dilation - self.before
            first = max(0, -(offset // self.stride))  # the first o with p(o, t) >= 0
            stop = max(first, min(self.coarse, (self.fine - 1 - offset) // self.stride + 1))
            inside = range(first, stop)
            if inside:
                start = first * self.stride + offset
                last = (stop - 1) * self.stride + offset
                yield AxisTap(t, range(start, last + 1, self.stride), inside)
            if self.mode != "zeros" and len(inside) < self.coarse:
                before, after = np.arange(min(first, self.coarse)), np.arange(stop, self.coarse)
                found = [self._folded(before, offset, 0), self._folded(after, offset, self.fine - 1)]
                yield AxisTap(t, np.concatenate(found), np.concatenate([before, after]))

    def _folded(self, o: Ints, offset: int, edge: int) -> Ints:
        """`fold` of the positions o * stride + offset, which lie beyond `edge`."""
        if self.mode == "replicate":
            return np.full(len(o), edge)
        last = self.fine - 1
        period = self.fine if self.mode == "circular" else 2 * last
        p = _exactly(o, self.coarse, self.stride % period, offset % period, period) % period
        return np.asarray(p if self.mode == "circular" else last - np.abs(p - last), np.int64)

    def axis_taps(self) -> Iterator["AxisTap"]:
        """Every tap with the windows that have it (coarse) and the elements they find (fine)."""
        for tap in self.whole_taps():
            if isinstance(tap.fine, range):
                yield tap
                continue
            fine, coarse = tap.fine, np.asarray(tap.coarse)
            if np.bincount(fine).max() > MOST_PARTS:
                # Later windows first, as in `rounds`.
                later = fine[::-1].copy(), coarse[::-1].copy()
                yield AxisTap(tap.t, *later, repeats=True)
                continue
            for part in rounds(fine, coarse):
                yield AxisTap(tap.t, *part)

    def fold(self, p: Any) -> Any:
        """The element that stands for position `p`, a number or an array, of the padded axis."""
        last = self.fine - 1
        if self.mode == "circular":
            return p % self.fine
        if self.mode == "replicate":
            return np.clip(p, 0, last)
        return last - abs(p % (2 * last) - last)  # reflect: the edge itself is not repeated

    def overlap(self) -> tuple[int, ...]:
        """How many stamps meet in each element of the fine axis: uneven is a checkerboard."""
        meets = np.zeros(self.fine, np.int64)
        for tap in self.axis_taps():
            np.add.at(meets, np.asarray(tap.fine), 1)
        return tuple(meets.tolist())


@dataclass(frozen=True, slots=True)
class AdaptiveWindow:
    """Windows that divide an axis: window `o` spans floor(o*fine/coarse) to ceil((o+1)*fine/coarse).

    Examples
    --------
    >>> w = AdaptiveWindow(fine=7, coarse=3)
    >>> [(w.start(o), w.length(o)) for o in range(3)]
    [(0, 3), (2, 3), (4, 3)]
    """

    fine: int
    coarse: int

    dilation = 1

    def __post_init__(self) -> None:
        whole_numbers(self, ("fine", "coarse"))

    @property
    def size(self) -> int:
        """Taps of the longest window."""
        if self.coarse == 0:
            return 0
        # Windows are fine / coarse = whole + rest / coarse elements wide. One that begins inside an element
        # also holds that, and the one it ends in unless it ends with it.
        whole, rest = self.fine // self.coarse, self.fine % self.coarse  # symbols of torch know no divmod
        return whole if rest == 0 else whole + 1 if self.coarse % rest == 0 else whole + 2

    @property
    def meetings(self) -> int:
        """How many (window, tap) pairs find an element: all, and those that two windows share twice."""
        return self.fine + self.coarse - math.gcd(self.fine, self.coarse) if self.coarse else 0

    @property
    def tiles(self) -> bool:
        """Whether no element belongs to two windows."""
        return self.coarse <= 1 or self.fine % self.coarse == 0

    def start(self, o: int) -> int:
        """First element of window `o`."""
        return o * self.fine // self.coarse

    def length(self, o: int) -> int:
        """Elements of window `o`."""
        return -(-(o + 1) * self.fine // self.coarse) - self.start(o)

    def starts(self) -> Ints:
        """`start` of every window."""
        exact = _exactly(np.arange(self.coarse), self.coarse, self.fine, 0, self.fine)
        return np.asarray(exact // max(self.coarse, 1), np.int64)

    def lengths(self) -> Ints:
        """`length` of every window."""
        starts = self.starts()
        # A window ends where the next begins, or with the element that both share.
        ends = np.append(starts[1:], self.fine)[: self.coarse]
        o = np.arange(1, self.coarse + 1)
        shared = (o % (self.coarse // math.gcd(self.fine, self.coarse)) != 0) if self.coarse else o != o
        return np.asarray(ends + shared - starts, np.int64)

    def whole_taps(self) -> Iterator["AxisTap"]:
        """As `axis_taps`, but for ways down: an element may occur in several windows of one tap."""
        starts, lengths = self.starts(), self.lengths()
        for t in range(self.size):
            coarse = np.flatnonzero(lengths > t)
            yield AxisTap(t, positions(starts[coarse] + t), positions(coarse))

    def axis_taps(self) -> Iterator["AxisTap"]:
        """Every tap with the windows that have it (coarse) and the elements they find (fine)."""
        for tap in self.whole_taps():
            for fine, coarse in rounds(np.asarray(tap.fine), np.asarray(tap.coarse)):
                yield AxisTap(tap.t, fine, coarse)


AnyWindow = Window | AdaptiveWindow


def whole_numbers(window: AnyWindow, names: Sequence[str]) -> None:
    """Refuse bools, floats and words among the numbers of a window; make those of NumPy Python's.

    Whether they make sense is asked where windows are used: while a framework traces, they may be symbols.
    """
    for name in names:
        value = getattr(window, name)
        if type(value) is not int and not is_symbol(value):
            object.__setattr__(window, name, integer(type(window).__name__, name, value))


@dataclass(frozen=True, slots=True, eq=False)
class AxisTap:
    """Tap `t` along one axis: window `coarse[i]` meets element `fine[i]`."""

    t: int
    fine: Positions
    coarse: Positions
    repeats: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """A tap of a d-dimensional window: its number in C order, its index, and where it falls.

    Window `coarse[0][i], coarse[1][j], ...` meets element `fine[0][i], fine[1][j], ...`. Where the tap
    `repeats` elements, those of later windows come first.
    """

    number: int
    index: tuple[int, ...]
    fine: tuple[Positions, ...]
    coarse: tuple[Positions, ...]
    repeats: bool = False


def taps(windows: Sequence[AnyWindow]) -> Iterator[Tap]:
    """The taps of a d-dimensional window, in C order, so that a walk backwards goes up.

    Of the taps that meet one element, the later in this order belongs to the earlier window: walking
    the taps in *reverse* visits the windows in C order, which is how "the last one wins" is kept.

    Examples
    --------
    >>> for tap in taps([Window(fine=5, coarse=2, size=3, stride=2)]):
    ...     print(tap.number, list(tap.coarse[0]), "<->", list(tap.fine[0]))
    0 [0, 1] <-> [0, 2]
    1 [0, 1] <-> [1, 3]
    2 [0, 1] <-> [2, 4]
    """
    windows = tuple(windows)
    sizes = [window.size for window in windows]
    weights = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    for axes in itertools.product(*(cached_axis_taps(window) for window in windows)):
        yield Tap(
            number=sum(tap.t * weight for tap, weight in zip(axes, weights, strict=True)),
            index=tuple(tap.t for tap in axes),
            fine=tuple(tap.fine for tap in axes),
            coarse=tuple(tap.coarse for tap in axes),
            repeats=any(tap.repeats for tap in axes),
        )


def cached_axis_taps(window: AnyWindow) -> tuple[AxisTap, ...]:
    """The taps of one axis, kept: a network asks for the same few windows again and again."""
    key = cached_axis_taps, window
    found: tuple[AxisTap, ...] | None = cache.find(key)
    if found is None:
        found = tuple(window.axis_taps())
        sides = [side for tap in found for side in (tap.fine, tap.coarse)]
        cache.keep(key, found, sum(100 if isinstance(side, range) else side.nbytes + 100 for side in sides))
    return found


def rounds(fine: Ints, coarse: Ints) -> list[tuple[Positions, Positions]]:
    """Split pairs of an element and a window so that no element occurs twice in one part.

    Only then can a stamp be placed by plain indexing. The later of two windows on one element comes
    in the earlier part, to keep the order that `taps` promises.

    Examples
    --------
    >>> rounds(np.array([0, 0, 1]), np.array([0, 1, 2]))
    [(range(0, 1), range(1, 2)), (range(0, 2), range(0, 3, 2))]
    """
    if len(fine) == 0:
        return []
    order = np.argsort(fine, kind="stable")
    new = np.append(True, np.diff(fine[order]) != 0)  # where the next element begins
    part = np.empty(len(fine), np.int64)  # of each pair: how many before it have its element
    part[order] = np.arange(len(fine)) - np.maximum.accumulate(np.where(new, np.arange(len(fine)), 0))
    by_part = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part))
    parts = [by_part[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [(positions(fine[each]), positions(coarse[each])) for each in reversed(parts)]


def positions(values: Ints) -> Positions:
    """A range where the values ascend in equal steps, else the array."""
    step = int(values[1] - values[0]) if len(values) > 1 else 1
    if step > 0 and bool((np.diff(values) == step).all()):
        return range(int(values[0]), int(values[-1]) + 1, step) if len(values) else range(0)
    return values


def floor_sum(n: int, m: int, a: int, b: int) -> int:
    """The sum of floor((a * i + b) / m) over i < n, in as many steps as Euclid's algorithm takes.

    The lattice points under a line, counted by turns from either axis (Graham, Knuth & Patashnik, Concrete
    Mathematics, section 3.5).

    Examples
    --------
    >>> floor_sum(4, 10, 6, 3), sum((6 * i + 3) // 10 for i in range(4))
    (3, 3)
    """
    total = 0
    while n > 0:
        total += (a // m) * (n * (n - 1) // 2) + (b // m) * n
        a, b = a % m, b % m
        n, b = (a * n + b) // m, (a * n + b) % m
        m, a = a, m
    return total


def _exactly(o: Ints, count: int, factor: int, offset: int, period: int) -> Any:
    """`o * factor + offset`, of numbers up to `count` and `period`, in integers that hold it."""
    return (o if (count + 1) * period < 2**63 else o.astype(object)) * factor + offset
