"""Where the elements of every feature map lie on the input, and which input elements they depend on.

Element i of a feature map has its centre at `offset + scale * i` along each axis of the input, whose own
elements lie at 0, 1, 2, ...; both are fractions. What one operation makes of (scale, offset):

| operation | scale of the output | offset of the output |
|---|---|---|
| way down by windows (conv, pooling, window_sum, decimate) | scale * stride | offset + scale * c |
| its way up (conv_transpose, max_unpool, nearest, nails) | scale / stride | offset - scale / stride * c |
| resize of n to m elements, half_pixel | scale * n / m | offset + scale * (n / m - 1) / 2 |
| resize, align_corners | scale * (n - 1) / (m - 1) | offset |
| resize, asymmetric | scale * n / m | offset |
| pad, slice, flip | scale * step | offset + scale * start |

c = dilation * (size - 1) / 2 - before is the centre of window 0. A window of nails or `decimate` has one tap,
of `nearest`, a pixel shuffle or an adaptive window as many as it is wide.

The receptive field of an element is the hull [low, high] of the input elements on which it depends along
an axis: it is carried for every element on its own, border included, and is exact for weights that are not 0.
Statistics of a normalisation are left out, as is usual.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample.geometry.arguments import PaddingMode
from unsample.geometry.resample import SUPPORT, Resample
from unsample.geometry.window import AdaptiveWindow, AnyWindow, AxisTap, Positions, Window, cached_axis_taps

Ints = NDArray[np.int64]
NOTHING = np.iinfo(np.int64).max // 2  # low of an element that depends on no input; its high is -NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """One axis of a feature map, as it lies on one axis of the input.

    Parameters
    ----------
    source : tuple of int
        Which input, which of its axes, how many elements it has. A negative number is an axis whose positions
        on the input are not known: what lies on it is placed among itself alone.
    scale, offset : Fraction
        Element i is at offset + scale * i.
    low, high : arrays of int
        Receptive field of every element.
    whole : Grid or None
        Of blocks of an axis that was split by a reshape: the axis.
    level : Fraction
        Input elements per element as sizes go, which is not the scale where align_corners stretches.
    reach : Fraction or float
        From the first to the last input element of a field without borders, which no size of the input cuts;
        infinite where it grows with the input.
    """

    source: tuple[int, int, int]
    scale: Fraction
    offset: Fraction
    low: Ints
    high: Ints
    whole: "Grid | None" = None
    level: Fraction = Fraction(1)
    reach: Fraction | float = Fraction(0)

    @property
    def size(self) -> int:
        """Elements."""
        return len(self.low)

    @property
    def placed(self) -> bool:
        """Whether it lies on an input."""
        return self.source[0] >= 0

    def field(self) -> tuple[int, int]:
        """Smallest and largest receptive field away from the border, in input elements.

        All of the axis where every element is within reach of a border: it is that or more. The border is
        where what any element depends on ends: the last elements of the input may be used by none.
        """
        inner = self.high >= self.low
        inner &= (self.low > self.low.min(initial=NOTHING)) & (self.high < self.high.max(initial=-NOTHING))
        if inner.any():
            widths = (self.high - self.low + 1)[inner]
            return int(widths.min()), int(widths.max())
        if not (self.high >= self.low).any():
            return 0, 0
        return self.source[2], self.source[2]

    def everything(self) -> "Grid":
        """The same positions, each depending on what any of them depends on."""
        if not self.size:
            return self
        low, high = np.full_like(self.low, self.low.min()), np.full_like(self.high, self.high.max())
        return replace(self, low=low, high=high, reach=math.inf)


def of_input(number: int, axis: int, size: int, level: Fraction = Fraction(1)) -> Grid:
    """The grid of an input itself."""
    each = np.arange(size, dtype=np.int64)
    return Grid((number, axis, size), Fraction(1), Fraction(0), each, each, level=level)


def _nothing(size: int) -> tuple[Ints, Ints]:
    return np.full(size, NOTHING, np.int64), np.full(size, -NOTHING, np.int64)


def _reach(grid: Grid, size: int, meetings: Iterable[tuple[Any, Any]]) -> tuple[Ints, Ints]:
    """Hulls of the outputs: output `to[i]` depends on what element `of[i]` depends on."""
    low, high = _nothing(size)
    for of, to in meetings:
        if isinstance(to, slice):
            low[to] = np.minimum(low[to], grid.low[of])
            high[to] = np.maximum(high[to], grid.high[of])
        else:  # outputs may repeat
            np.minimum.at(low, to, grid.low[of])
            np.maximum.at(high, to, grid.high[of])
    return low, high


def _index(positions: Positions) -> Any:
    if isinstance(positions, range):
        return slice(positions.start, positions.stop, positions.step)
    return np.asarray(positions, np.int64)


def met(window: AnyWindow) -> AnyWindow:
    """The window without the taps before the first and behind the last that can meet an element.

    Examples
    --------
    >>> met(Window(fine=8, coarse=9, size=2**62, before=2**61, after=2**61)).size
    16
    """
    if isinstance(window, AdaptiveWindow) or window.mode != "zeros":
        return window
    d, last = window.dilation, max(window.coarse - 1, 0) * window.stride
    first = min(max(0, -((last - window.before) // d)), window.size)
    stop = max(first, min(window.size, -(-(window.fine + window.before) // d)))
    return replace(window, size=stop - first, before=window.before - first * d)


def _taps(window: AnyWindow) -> Iterable[AxisTap]:
    window = met(window)
    # Taps of an adaptive window take time to find, and are few as a rule; those of a long one take memory.
    few = isinstance(window, AdaptiveWindow) or window.size <= 4096
    return cached_axis_taps(window) if few else window.axis_taps()


def centre(window: AnyWindow) -> tuple[Fraction, Fraction]:
    """Step of the windows, and the centre of window 0 on the fine axis.

    Examples
    --------
    >>> [str(each) for each in centre(Window(fine=8, coarse=4, size=3, stride=2, before=1, after=1))]
    ['2', '0']
    >>> [str(each) for each in centre(Window(fine=8, coarse=4, size=2, stride=2))]
    ['2', '1/2']
    """
    if isinstance(window, AdaptiveWindow):  # on average, where the windows are not all as long
        step = Fraction(window.fine, max(window.coarse, 1))
        return step, (step - 1) / 2
    return Fraction(window.stride), Fraction(window.extent - 1, 2) - window.before


def down(grid: Grid, window: AnyWindow) -> Grid:
    """A way down: every window depends on the elements its taps meet."""
    step, middle = centre(window)
    meetings = ((_index(tap.fine), _index(tap.coarse)) for tap in _taps(window))
    low, high = _reach(grid, window.coarse, meetings)
    level = grid.level * step.limit_denominator(8)
    reach = (
        math.inf if isinstance(window, AdaptiveWindow) else grid.reach + abs(grid.scale) * (window.extent - 1)
    )
    return Grid(
        grid.source, grid.scale * step, grid.offset + grid.scale * middle, low, high, level=level, reach=reach
    )


def up(grid: Grid, window: AnyWindow) -> Grid:
    """A way up: every element depends on the windows whose taps meet it."""
    step, middle = centre(window)
    meetings = ((_index(tap.coarse), _index(tap.fine)) for tap in _taps(window))
    low, high = _reach(grid, window.fine, meetings)
    scale = grid.scale / step
    level = grid.level / step.limit_denominator(8)
    # So many windows further along is the last that meets the same element.
    further = math.inf if isinstance(window, AdaptiveWindow) else (window.extent - 1) // window.stride
    reach = grid.reach + abs(grid.scale) * further
    return Grid(grid.source, scale, grid.offset - scale * middle, low, high, level=level, reach=reach)


def resized(grid: Grid, axis: Resample, told: float | None = None) -> Grid:
    """A resize of `axis.source` to `axis.target` elements.

    `told` is the number of source elements per target element, where the caller gave a factor and the
    positions come from it and not from the sizes.
    """
    n, m = axis.source, axis.target
    taps = [(_index(tap.source), _index(tap.target)) for tap in axis.taps()]
    low, high = _reach(grid, m, taps)
    step = Fraction(n, max(m, 1)) if told is None else Fraction(str(told)).limit_denominator(10**6)
    first = Fraction(0)
    if isinstance(axis.convention, tuple):
        first, step = (Fraction(each, axis.convention[2]) for each in axis.convention[:2])
    elif axis.convention == "half_pixel" or axis.method == "area":
        first = (step - 1) / 2
    elif axis.convention == "align_corners":
        step = Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
    if axis.copies:
        first = _mean_of_copies(step, first, *axis.rounding)
    level = grid.level * (Fraction(n, max(m, 1)).limit_denominator(8) or 1)
    # From the first to the last source element of a target; antialiasing widens the kernel.
    width = 0 if axis.copies else 2 * SUPPORT.get(axis.method, 2) - 1
    reach = grid.reach + abs(grid.scale) * width * (max(step, Fraction(1)) if axis.antialias else 1)
    offset = grid.offset + grid.scale * first
    return Grid(grid.source, grid.scale * step, offset, low, high, level=level, reach=reach)


def _mean_of_copies(step: Fraction, first: Fraction, halves: int, below: bool) -> Fraction:
    """Where target 0 lies so that the copies of each element lie, on average, around it.

    Target o takes element floor(o * step + shift), which is o * step + shift less a remainder. Over a period
    of `step.denominator` targets the remainders are the multiples of 1 / denominator, each once, from the
    remainder of the shift on: their mean is that remainder plus (denominator - 1) / (2 denominator). Where
    `below` takes the element before a whole number, 1 / denominator stands for a remainder of 0.
    """
    shift, d = first + Fraction(halves, 2), step.denominator
    rest = shift % Fraction(1, d)
    return shift - (Fraction(1, d) if below and not rest else rest) - Fraction(d - 1, 2 * d)


def sliced(grid: Grid, start: int, step: int, size: int) -> Grid:
    """`size` elements from `start`, in steps; those outside depend on nothing (padding with constants)."""
    at = start + step * np.arange(size, dtype=np.int64)
    inside = (at >= 0) & (at < grid.size)
    low, high = _nothing(size)
    low[inside], high[inside] = grid.low[at[inside]], grid.high[at[inside]]
    scale, offset = grid.scale * step, grid.offset + grid.scale * start
    return Grid(grid.source, scale, offset, low, high, level=grid.level * abs(step), reach=grid.reach)


def padded(grid: Grid, before: int, after: int, mode: PaddingMode) -> Grid:
    """Padding of both sides; the modes that repeat elements as `Window.fold` has them."""
    size = grid.size + before + after
    if mode == "zeros":
        return sliced(grid, -before, 1, size)
    at = Window(grid.size, 1, 1, mode=mode).fold(np.arange(-before, grid.size + after))
    return replace(
        grid, offset=grid.offset - grid.scale * before, low=grid.low[at], high=grid.high[at], whole=None
    )


def joined(grids: Sequence[Grid]) -> Grid:
    """The grid where branches meet: the positions of the first, the receptive fields of all."""
    first = grids[0]
    low, high = first.low, first.high
    for other in grids[1:]:
        if other.source == first.source and other.size == first.size:
            low, high = np.minimum(low, other.low), np.maximum(high, other.high)
    whole = first.whole if all(other.whole is first.whole for other in grids) else None
    return replace(first, low=low, high=high, whole=whole, reach=max(other.reach for other in grids))


def leading(grids: Iterable[Grid]) -> list[Grid]:
    """The branches of a merge, the one that saw least of the input first: the skip connection.

    By what they would see without borders, so that the order is the same for every size of the input.
    """
    return sorted(grids, key=lambda grid: (not grid.placed, grid.reach))


def rolled(grid: Grid, shift: int) -> Grid:
    """The elements `shift` places further along, those that leave at the end back at the front."""
    low, high = np.roll(grid.low, shift), np.roll(grid.high, shift)
    return replace(grid, offset=grid.offset - grid.scale * shift, low=low, high=high, whole=None)


def gathered(grid: Grid, at: Ints) -> Grid | None:
    """The elements at some places: a run of neighbours, and fewer others before or behind it (a border).

    None where there is no such run.

    Examples
    --------
    >>> grid = gathered(of_input(0, 2, 5), np.array([1, 0, 1, 2, 3, 4]))    # one of a border
    >>> str(grid.offset), grid.low.tolist()
    ('-1', [1, 0, 1, 2, 3, 4])
    """
    for step in (1, -1):
        ends = np.concatenate([[-1], np.flatnonzero(np.diff(at) != step), [len(at) - 1]])
        longest = int(np.diff(ends).argmax())
        if 2 * (ends[longest + 1] - ends[longest]) > len(at):
            start = int(ends[longest]) + 1
            offset = grid.offset + grid.scale * (int(at[start]) - step * start)
            low, high = grid.low[at], grid.high[at]
            return replace(grid, scale=grid.scale * step, offset=offset, low=low, high=high, whole=None)
    return None


def apart(a: Grid, b: Grid) -> Fraction:
    """How far b lies from a, in elements of a, where it is farthest; 0 where they lie alike.

    Examples
    --------
    >>> a = of_input(0, 2, 8)
    >>> pooled = down(a, Window(8, 4, 2, 2))
    >>> nails = up(pooled, Window(8, 4, 1, 2))
    >>> str(apart(a, nails)), str(apart(a, up(pooled, Window(8, 4, 2, 2))))
    ('1/2', '0')
    """
    if a.source != b.source or not a.scale:
        return Fraction(0)
    ends = [(b.offset - a.offset + (b.scale - a.scale) * i) / a.scale for i in (0, max(a.size - 1, 0))]
    return max(ends, key=abs)


# -- reshapes ---------------------------------------------------------------------------------------------
#
# A dimension is a sequence of pieces, the major one first: a Grid, or an int for elements without a position
# (channels, batch), or a Phase: the places inside the blocks of a grid that was split. Spread are places that
# `expand` or padding made of one, Parts are dimensions one behind the other, as `cat` has them.


@dataclass(frozen=True, slots=True, eq=False)
class Phase:
    """Places inside the blocks of an axis that a reshape split.

    Parameters
    ----------
    whole : Grid
        The axis.
    size : int
    mixed : bool
        Whether every place depends on all of its block, as attention inside windows has it.
    """

    whole: Grid
    size: int
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """So many places, of which those from `first` on are copies of one element, the others constants."""

    size: int
    first: int
    copies: int


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Dimensions one behind the other: a class token and the others, an axis and a border by hand."""

    dims: tuple["Dim", ...]

    @property
    def size(self) -> int:
        """Elements of all."""
        return sum(map(elements, self.dims))

    def cut(self, start: int, size: int) -> "Dim | None":
        """So many elements from `start` on, where they are whole parts."""
        ends = [0, *itertools.accumulate(map(elements, self.dims))]
        if start not in ends or start + size not in ends or not size:
            return None
        return chained(self.dims[ends.index(start) : ends.index(start + size)])


Piece = Grid | Phase | Spread | Parts | int
Dim = tuple[Piece, ...]
Layout = tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a reshape, or a reduction behind it, did to an axis: the way up or down it amounts to."""

    kind: str
    dim: int
    factor: int


def size_of(piece: Piece) -> int:
    """Elements of a piece."""
    return piece if isinstance(piece, int) else piece.size


def elements(dim: Dim) -> int:
    """Elements of a dimension."""
    return math.prod(map(size_of, dim))


def grid_of(dim: Dim) -> Grid | None:
    """The grid of a dimension that is one axis of the input and nothing else."""
    if len(dim) != 1:
        return None
    return dim[0] if isinstance(dim[0], Grid) else _axis(dim[0]) if isinstance(dim[0], Parts) else None


def chained(dims: Sequence[Dim]) -> Dim:
    """Dimensions one behind the other; nothing but their number where none has positions."""
    flat = [part for dim in dims for part in (dim[0].dims if isinstance(dim[0], Parts) else [dim])]
    return (
        flat[0]
        if len(flat) == 1
        else (Parts(tuple(flat)),)
        if grids_in([flat])
        else (sum(map(elements, flat)),)
    )


def _axis(parts: Parts) -> Grid | None:
    """Parts of one axis as an axis: positions are those of most of them, others are its border."""
    low, high = _nothing(parts.size)
    found: dict[Fraction, list[Grid]] = {}
    start = 0
    for dim in parts.dims:
        grid, stop = grid_of(dim), start + elements(dim)
        if grid is not None:
            low[start:stop], high[start:stop] = grid.low, grid.high
            offset = grid.offset - grid.scale * start
            found.setdefault(offset, []).append(replace(grid, offset=offset))
        elif grids_in([(dim,)]):  # tokens
            return None
        start = stop
    every = [grid for each in found.values() for grid in each]
    most = max(found.values(), key=_count, default=[])
    if len({(grid.source, grid.scale) for grid in every}) != 1 or 2 * _count(most) <= _count(every):
        return None
    return replace(most[0], low=low, high=high, whole=None, reach=max(grid.reach for grid in every))


def _count(grids: Sequence[Grid]) -> int:
    return sum(grid.size for grid in grids)


def plain(shape: Sequence[int]) -> Layout:
    """Dimensions without positions."""
    return tuple((n,) for n in shape)


def reshaped(layout: Layout, shape: Sequence[int]) -> tuple[Layout, tuple[Moved, ...]]:
    """The same elements under another shape, and the ways up or down that this amounts to.

    Splitting an axis into blocks and moving the places of the blocks among the channels is a pixel
    unshuffle; putting channels behind an axis is a pixel shuffle. Moving the blocks to the batch is neither:
    windows, which a later reshape puts together again.

    Examples
    --------
    >>> axis = of_input(0, 2, 4)
    >>> layout, moved = reshaped(((1,), (3,), (axis,), (2,)), (1, 3, 8))    # channels behind the axis
    >>> moved
    (Moved(kind='pixel_shuffle', dim=2, factor=2),)
    >>> grid_of(layout[2]).scale, grid_of(layout[2]).offset
    (Fraction(1, 2), Fraction(-1, 4))
    """
    left: list[Piece] = [piece for dim in layout for piece in dim if size_of(piece) != 1 or _alone(dim)]
    dims: list[Dim] = []
    for n in shape:
        pieces: list[Piece] = []
        have = 1
        while have < n and left:
            piece = left.pop(0)
            if have * size_of(piece) > n:
                if n % have or size_of(piece) % (n // have):
                    return plain(shape), ()
                major, minor = _split(piece, n // have)
                left.insert(0, minor)
                piece = major
            have *= size_of(piece)
            pieces.append(piece)
        if n == 1 and left and size_of(left[0]) == 1:
            pieces = [left.pop(0)]
        if have != n:
            return plain(shape), ()
        if len(pieces) > 1:
            pieces = [piece for piece in pieces if size_of(piece) != 1]
        dims.append(_simplified(pieces or [1]))
    return _shuffled(dims)


def _alone(dim: Dim) -> bool:
    return len(dim) == 1 and isinstance(dim[0], Grid)


def _split(piece: Piece, major: int) -> tuple[Piece, Piece]:
    minor = size_of(piece) // major
    if isinstance(piece, Grid):
        return split(piece, major)
    if isinstance(piece, Spread) and piece.copies == piece.size:
        return Spread(major, 0, major), Spread(minor, 0, minor)
    return major, minor


def split(piece: Grid, major: int) -> tuple[Grid, Phase]:
    """An axis as so many blocks, and the places inside them."""
    minor = piece.size // major
    low, high = piece.low.reshape(major, minor).min(axis=1), piece.high.reshape(major, minor).max(axis=1)
    offset = piece.offset + piece.scale * Fraction(minor - 1, 2)
    reach = piece.reach + abs(piece.scale) * (minor - 1)
    blocks = Grid(piece.source, piece.scale * minor, offset, low, high, piece, piece.level * minor, reach)
    return blocks, Phase(piece, minor)


def _simplified(pieces: Sequence[Piece]) -> Dim:
    """Blocks and the places inside them put together again, and neighbours without positions."""
    done: list[Piece] = []
    for piece in pieces:
        last = done[-1] if done else None
        if isinstance(last, Grid) and isinstance(piece, Phase) and last.whole is piece.whole:
            done[-1] = _together(last, piece)
        elif isinstance(last, int) and isinstance(piece, int):
            done[-1] = last * piece
        elif all(isinstance(each, Spread) and each.copies == each.size for each in (last, piece)):
            n = size_of(last) * size_of(piece)  # type: ignore[arg-type]
            done[-1] = Spread(n, 0, n)
        else:
            done.append(piece)
    return tuple(done)


def _together(blocks: Grid, phase: Phase) -> Grid:
    """The axis of which these are the blocks; what was mixed inside them depends on all of its block."""
    whole = phase.whole
    before, _ = split(whole, blocks.size)
    if not phase.mixed:
        if (blocks.low == before.low).all() and (blocks.high == before.high).all():
            return whole
        every = before.everything()
        if (blocks.low == every.low).all() and (blocks.high == every.high).all():
            # Mixed from block to block, every place with its like.
            rows = blocks.size, phase.size
            low = np.tile(whole.low.reshape(rows).min(axis=0), blocks.size)
            high = np.tile(whole.high.reshape(rows).max(axis=0), blocks.size)
            return replace(whole, low=low, high=high, reach=blocks.reach)
    low, high = np.repeat(blocks.low, phase.size), np.repeat(blocks.high, phase.size)
    return replace(whole, low=low, high=high, reach=blocks.reach)


def _shuffled(dims: list[Dim]) -> tuple[Layout, tuple[Moved, ...]]:
    """The ways up and down that a reshape amounts to, and the layout behind them."""
    done, moved = list(dims), list[Moved]()
    channels = any(all(isinstance(piece, int) for piece in dim) for dim in dims[1:])
    blocks = [piece.whole for dim in dims[1:] for piece in dim if isinstance(piece, Grid) and piece.whole]
    for number, dim in enumerate(dims[1:], 1):
        phases = [piece for piece in dim if isinstance(piece, Phase)]
        grid, n = (*dim, None)[:2]
        if len(dim) == 2 and isinstance(grid, Grid) and isinstance(n, int):
            done[number] = (up(grid, Window(grid.size * n, grid.size, n, n)),)
            moved.append(Moved("pixel_shuffle", number, n))
        elif len(dim) == 2 and isinstance(grid, Grid) and isinstance(n, Spread):
            done[number] = (
                up(grid, Window(grid.size * n.size, grid.size, n.copies, n.size, before=-n.first)),
            )
            moved.append(Moved("nearest" if n.copies == n.size else "bed_of_nails", number, n.size))
        elif phases and not any(isinstance(piece, Grid) for piece in dim):
            # Among the channels, or what is now the channels; the blocks are no batch.
            placed = all(any(phase.whole is whole for whole in blocks) for phase in phases)
            if placed and (len(phases) < len(dim) or not channels):
                done[number] = (math.prod(map(size_of, dim)),)
                moved += [Moved("pixel_unshuffle", number, phase.size) for phase in phases]
    return tuple(done), tuple(moved)


def pieces_of(dims: Iterable[Dim]) -> Iterator[Piece]:
    """All pieces of some dimensions, those of parts included."""
    for piece in itertools.chain.from_iterable(dims):
        yield from pieces_of(piece.dims) if isinstance(piece, Parts) else (piece,)


def grids_in(layouts: Iterable[Iterable[Dim]]) -> list[Grid]:
    """Every grid of some layouts."""
    pieces = pieces_of(itertools.chain.from_iterable(layouts))
    return [p.whole if isinstance(p, Phase) else p for p in pieces if isinstance(p, Grid | Phase)]


def period(grids: Sequence[Grid]) -> int:
    """The least common multiple of the levels' numerators: how many input elements one period has."""
    total = 1
    for grid in grids:
        n = abs(grid.level.numerator)
        total = total * n // gcd(total, n) if n else total
    return total
