"""Boards and arrangements that several views share."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from unsample.draw import caption
from unsample.draw.example import Example, Index, Term
from unsample.draw.sheet import Board, Cell, Column, Sheet, slices
from unsample.draw.values import Value, Values, as_values, shown, summands


def plain(heading: str, values: Values, rank: int) -> Board:
    """An array without colours."""
    return Board(heading, slices(values.shape, rank, lambda index: Cell(shown(values[index]))))


def parameters(example: Example) -> list[Board]:
    """What else goes in: the kernel, one board per output channel of the convolution; bias; switches."""
    boards = []
    kernel, rank = example.kernel, example.rank
    if kernel is not None:
        heading = "x" if example.operation == "conv_weight_grad" else "kernel"
        if kernel.ndim == rank:
            boards.append(plain(heading, kernel, rank))
        else:  # (C_y, C_x / groups, *taps)
            boards += [plain(f"{heading} of channel {i}", each, rank) for i, each in enumerate(kernel)]
    if example.bias is not None:
        values = example.bias
        boards.append(Board("bias", slices(values.shape, 1, lambda index: Cell(shown(values[index])))))
    if "switches" in example.record.arrays:
        boards += remembered(example)
    return boards


def remembered(example: Example) -> list[Board]:
    """The switches, if there are any: the number of the tap that each window remembers."""
    if example.switches is None:
        return []
    return [plain("switches", as_values(example.switches.taps), example.rank)]


def by(terms: Iterable[Term], key: Callable[[Term], Index]) -> dict[Index, list[Term]]:
    """Terms that have something in common, in their order."""
    found: dict[Index, list[Term]] = {}
    for term in terms:
        found.setdefault(key(term), []).append(term)
    return found


def indices(values: Values) -> list[Index]:
    """Every index, in C order."""
    return list(np.ndindex(values.shape))


def output_cell(example: Example, index: Index) -> Cell:
    """An element of the output as it stands in its cell."""
    value = example.output[index]
    return Cell(shown(value), tone="faint" if not isinstance(value, str) and value == 0 else "plain")


def sum_text(values: Sequence[Value]) -> str:
    """A sum as it is written."""
    return " ".join(summands(values))


def arranged_as(example: Example, side: Values, boards: list[Board]) -> tuple[tuple[Board, ...], ...]:
    """One board per element of a side: as the elements of a plane lie, else in about the shape of a page."""
    if example.rank == 1:
        per_row = 1
    elif side.ndim == 2:
        per_row = side.shape[-1]
    else:
        wide, high = _width(boards[0]) + 1.0, _height(boards[0]) + 2.0
        length = side.shape[-1]
        whole = [
            n
            for n in range(1, len(boards) + 1)
            if len(boards) % n == 0 and not max(n, length) % min(n, length)
        ]
        per_row = min(whole, key=lambda n: abs(math.log(n * wide / (-(-len(boards) // n) * high) / 1.3)))
    return tuple(tuple(boards[i : i + per_row]) for i in range(0, len(boards), per_row))


def _height(board: Board) -> int:
    return sum(len(row[0].rows) + 1 for row in board.slices)


def _width(board: Board) -> int:
    return max(sum(len(each.rows[0]) + 1 for each in row) for row in board.slices)


def inside(index: Index, shape: tuple[int, ...]) -> bool:
    """Whether a position lies on the array, not in its padding."""
    return all(0 <= i < n for i, n in zip(index, shape, strict=True))


def in_and_out(
    example: Example,
    front: list[Board],
    middle: tuple[tuple[Board, ...], ...],
    output: Board,
    notes: list[str],
    legend: tuple[tuple[Cell, str], ...],
    after: Sequence[Board] = (),
) -> Sheet:
    """What goes in, what it does, what comes out: below each other for one axis, else side by side."""
    notes = [note for note in notes if note]
    if example.rank == 1:
        rows = [(board,) for board in front] + list(middle) + [(board,) for board in (output, *after)]
        return Sheet(
            caption.title(example), caption.sizes(example), (Column(tuple(rows)),), tuple(notes), legend, True
        )
    columns = [Column(tuple((board,) for board in front)), Column(middle, "→")]
    columns.append(Column(tuple((board,) for board in (output, *after)), "→"))
    return Sheet(caption.title(example), caption.sizes(example), tuple(columns), tuple(notes), legend)


def with_output(sheet: Sheet, output: Board) -> Sheet:
    """The last frame: the numbers of the library itself, nothing framed."""
    columns = list(sheet.columns)
    last = columns[-1]
    columns[-1] = replace(last, rows=(*last.rows[:-1], (output,)))
    return replace(sheet, columns=tuple(columns))


def step(example: Example, input: Board, middle: Board, output: Board, number: int, total: int) -> Sheet:
    """One frame: what goes in, what this step does, what has come out so far."""
    note = f"{number + 1} of {total}     size: {caption.formula(example)}"
    return in_and_out(example, [input, *parameters(example)], ((middle,),), output, [note], ())
