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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from unsample.geometry.arguments import PADDING_MODES, choice, integer, is_symbol

# Positions of a tap along one axis. A range is an arithmetic sequence and becomes a slice;
# a tuple holds positions in any order. No position occurs twice.
Positions = range | tuple[int, ...]


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
    mode: str = "zeros"

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

    def axis_taps(self) -> Iterator["AxisTap"]:
        """Every tap with the windows that have it (coarse) and the elements they find (fine)."""
        for t in range(self.size):
            offset = t * self.dilation - self.before
            first = max(0, -(offset // self.stride))  # the first o with p(o, t) >= 0
            stop = max(first, min(self.coarse, (self.fine - 1 - offset) // self.stride + 1))
            inside = range(first, stop)
            if inside:
                start = first * self.stride + offset
                last = (stop - 1) * self.stride + offset
                yield AxisTap(t, range(start, last + 1, self.stride), inside)
            if self.mode != "zeros":
                outside = [*range(min(first, self.coarse)), *range(stop, self.coarse)]
                pairs = [(o, self.fold(o * self.stride + offset)) for o in outside]
                for fine, coarse in rounds(pairs):
                    yield AxisTap(t, fine, coarse)

    def fold(self, p: int) -> int:
        """The element that stands for position `p` of the padded axis."""
        last = self.fine - 1
        if self.mode == "circular":
            return p % self.fine
        if self.mode == "replicate":
            return min(max(p, 0), last)
        return last - abs(p % (2 * last) - last)  # reflect: the edge itself is not repeated

    def overlap(self) -> tuple[int, ...]:
        """How many stamps meet in each element of the fine axis: uneven is a checkerboard."""
        meets = [0] * self.fine
        for tap in self.axis_taps():
            for p in tap.fine:
                meets[p] += 1
        return tuple(meets)


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
        return max((self.length(o) for o in range(self.coarse)), default=0)

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

    def axis_taps(self) -> Iterator["AxisTap"]:
        """Every tap with the windows that have it (coarse) and the elements they find (fine)."""
        for t in range(self.size):
            pairs = [(o, self.start(o) + t) for o in range(self.coarse) if t < self.length(o)]
            for fine, coarse in rounds(pairs):
                yield AxisTap(t, fine, coarse)


AnyWindow = Window | AdaptiveWindow


def whole_numbers(window: AnyWindow, names: Sequence[str]) -> None:
    """Refuse bools, floats and words among the numbers of a window; make those of NumPy Python's.

    Whether they make sense is asked where windows are used: while a framework traces, they may be symbols.
    """
    for name in names:
        value = getattr(window, name)
        if type(value) is not int and not is_symbol(value):
            object.__setattr__(window, name, integer(type(window).__name__, name, value))


@dataclass(frozen=True, slots=True)
class AxisTap:
    """Tap `t` along one axis: window `coarse[i]` meets element `fine[i]`."""

    t: int
    fine: Positions
    coarse: Positions


@dataclass(frozen=True, slots=True)
class Tap:
    """A tap of a d-dimensional window: its number in C order, its index, and where it falls.

    Window `coarse[0][i], coarse[1][j], ...` meets element `fine[0][i], fine[1][j], ...`.
    """

    number: int
    index: tuple[int, ...]
    fine: tuple[Positions, ...]
    coarse: tuple[Positions, ...]


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
        )


@lru_cache(maxsize=1024)
def cached_axis_taps(window: AnyWindow) -> tuple[AxisTap, ...]:
    """The taps of one axis, kept: a network asks for the same few windows again and again."""
    return tuple(window.axis_taps())


def rounds(pairs: Iterable[tuple[int, int]]) -> list[tuple[Positions, Positions]]:
    """Split (coarse, fine) pairs so that no fine position occurs twice in one part.

    Only then can a stamp be placed by plain indexing. The later of two windows on one element comes
    in the earlier part, to keep the order that `taps` promises.

    Examples
    --------
    >>> rounds([(0, 0), (1, 0), (2, 1)])
    [(range(0, 1), range(1, 2)), (range(0, 2), range(0, 3, 2))]
    """
    seen: dict[int, int] = {}
    parts: list[tuple[list[int], list[int]]] = []
    for coarse, fine in pairs:
        part = seen[fine] = seen.get(fine, -1) + 1
        if part == len(parts):
            parts.append(([], []))
        parts[part][0].append(fine)
        parts[part][1].append(coarse)
    return [(positions(fine), positions(coarse)) for fine, coarse in reversed(parts)]


def positions(values: Sequence[int]) -> Positions:
    """A range where the values ascend in equal steps, else a tuple."""
    step = values[1] - values[0] if len(values) > 1 else 1
    if step > 0 and all(b - a == step for a, b in itertools.pairwise(values)):
        return range(values[0], values[-1] + 1, step)
    return tuple(values)
