"""What a drawing is made of, before it is paint or text: cells on boards on a sheet.

Both renderers, `paint` and `text`, read this and nothing else; the views make it.
"""

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from unsample.draw.example import Index
from unsample.geometry import ShapeError

# Neighbouring elements along any axis, diagonals too, get different ones of 8 hues.
_HUE_STEPS = (1, 3, 5, 2)
HUES = 8
LEVELS = 6
MOST_ON_A_BOARD = 6000


@dataclass(frozen=True, slots=True)
class Cell:
    """One element: its text, the colours it is filled with, and how it stands out.

    `fills` are names of a theme: "hue0" to "hue7", "level0" to "level5". `kind` is "cell", "ghost" (beyond
    the border, dashed) or "none" (nothing there). `tone` is "plain", "strong" (framed) or "faint".
    """

    text: str = ""
    fills: tuple[str, ...] = ()
    kind: str = "cell"
    tone: str = "plain"


NOTHING = Cell(kind="none")


@dataclass(frozen=True, slots=True)
class Slice:
    """A grid of cells: one channel, one depth, with a label where there are several."""

    rows: tuple[tuple[Cell, ...], ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """An array: its heading and its slices, rows of them from left to right."""

    heading: str
    slices: tuple[tuple[Slice, ...], ...]
    fill: str = ""
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()

    def cells(self) -> Iterable[Cell]:
        """Every cell."""
        for each in itertools.chain.from_iterable(self.slices):
            yield from itertools.chain.from_iterable(each.rows)


@dataclass(frozen=True, slots=True)
class Column:
    """Rows of boards below each other; `sign` stands before them, such as an arrow."""

    rows: tuple[tuple[Board, ...], ...]
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole drawing.

    `lined_up` boards have their headings at the left and their cells below each other, as one-dimensional
    arrays want it.
    """

    title: str
    subtitle: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    legend: tuple[tuple[Cell, str], ...] = ()
    lined_up: bool = False

    def boards(self) -> Iterable[Board]:
        """Every board."""
        for column in self.columns:
            yield from itertools.chain.from_iterable(column.rows)

    def cells(self) -> Iterable[Cell]:
        """Every cell of every board."""
        return itertools.chain.from_iterable(board.cells() for board in self.boards())


def hue(index: Index) -> str:
    """The colour of one element of the side that stamps or collects."""
    steps = itertools.cycle(_HUE_STEPS)
    return f"hue{sum(i * step for i, step in zip(reversed(index), steps, strict=False)) % HUES}"


def level(count: int, counts: Iterable[int]) -> str:
    """The shade of a count among those there are: 0 palest, more darker."""
    if count == 0:
        return ""
    ranks = sorted({each for each in counts if each})
    return f"level{ranks.index(count) * (LEVELS - 1) // max(1, len(ranks) - 1) if len(ranks) > 1 else 1}"


Margins = tuple[tuple[int, int], ...]


def margins(shape: tuple[int, ...], rank: int, outside: Iterable[Index]) -> Margins:
    """How far the positions `outside` lie beyond the last `rank` axes, before and after."""
    sizes = shape[len(shape) - rank :]
    low, high = [0] * rank, [0] * rank
    for index in outside:
        for axis, p in enumerate(index[len(index) - rank :]):
            low[axis] = max(low[axis], -p)
            high[axis] = max(high[axis], p - sizes[axis] + 1)
    return tuple(zip(low, high, strict=True))


def slices(
    shape: tuple[int, ...], rank: int, cell: Callable[[Index], Cell], around: Margins = ()
) -> tuple[tuple[Slice, ...], ...]:
    """An array as slices of cells, with the cells of its margins.

    One axis gives rows below each other, one per channel; two give planes beside each other, one per channel;
    three and more give the planes of one channel beside each other.
    """
    around = around or ((0, 0),) * rank
    lead = [range(n) for n in shape[: len(shape) - rank]]
    axes = [
        range(-before, n + after)
        for n, (before, after) in zip(shape[len(shape) - rank :], around, strict=True)
    ]
    number = math.prod(map(len, (*lead, *axes)))
    if number > MOST_ON_A_BOARD:
        raise ShapeError(
            f"draw: an array would have {number} cells with the padding around it, "
            f"at most {MOST_ON_A_BOARD} can be read"
        )
    flat = axes[-2:] if rank > 1 else [range(1), axes[-1]]
    deep = axes[:-2] if rank > 2 else []

    def plane(index: Index) -> tuple[tuple[Cell, ...], ...]:
        if rank == 1:
            return (tuple(cell((*index, i)) for i in flat[1]),)
        return tuple(tuple(cell((*index, i, j)) for j in flat[1]) for i in flat[0])

    def name(channel: Index, depth: Index) -> str:
        parts = []
        if lead:
            parts.append(f"channel {_numbers(channel)}")
        if deep:
            parts.append(f"slice {_numbers(depth)}")
        return ", ".join(parts)

    channels, depths = list(itertools.product(*lead)), list(itertools.product(*deep))
    grid = [[Slice(plane((*c, *d)), name(c, d)) for d in depths] for c in channels]
    if rank == 2:
        return (tuple(itertools.chain.from_iterable(grid)),)
    return tuple(map(tuple, grid))


def _numbers(index: Index) -> str:
    return ",".join(map(str, index))
