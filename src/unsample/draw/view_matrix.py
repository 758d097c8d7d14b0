"""The view *matrix*: X, the way down, beside its transpose, the way up."""

from collections.abc import Callable
from dataclasses import replace

from unsample.draw import caption
from unsample.draw.boards import (
    indices,
    sum_text,
)
from unsample.draw.example import Example, Index
from unsample.draw.operations import OPERATIONS
from unsample.draw.sheet import Board, Cell, Column, Sheet, hue, slices
from unsample.draw.values import Value, Values, shown


def matrix_sheet(example: Example, window: int | None = None) -> Sheet:
    """X, the way down, beside its transpose, the way up."""
    coarse, fine = indices(example.coarse), indices(example.fine)
    chosen = coarse[len(coarse) // 2 if window is None else window]
    met: dict[tuple[Index, Index], list[Value]] = {}
    for term in example.terms:
        if term.counts:
            ends = (term.source, term.target) if example.up else (term.target, term.source)
            met.setdefault(ends, []).append(term.weight)

    def cell(o: Index, p: Index) -> Cell:
        if (o, p) not in met:
            return Cell("0", tone="faint")
        return Cell(sum_text(met[o, p]), (hue(o),), tone="strong" if o == chosen else "plain")

    def grid(rows: list[Index], columns: list[Index], make: Callable[[Index, Index], Cell]) -> Board:
        cells = {(i, j): make(r, c) for i, r in enumerate(rows) for j, c in enumerate(columns)}
        return Board("", slices((len(rows), len(columns)), 2, lambda ij: cells[ij[0], ij[1]]))

    def names(indices: list[Index]) -> tuple[str, ...]:
        return tuple(",".join(map(str, index)) for index in indices)

    transpose = OPERATIONS[example.operation].transpose
    down_name, up_name = (transpose, example.operation) if example.up else (example.operation, transpose)
    down = replace(
        grid(coarse, fine, cell),
        heading=f"X: {down_name}, {len(coarse)}×{len(fine)}",
        row_labels=names(coarse),
        column_labels=names(fine),
    )
    up = replace(
        grid(fine, coarse, lambda p, o: cell(o, p)),
        heading=f"Xᵀ: {up_name}, {len(fine)}×{len(coarse)}",
        row_labels=names(fine),
        column_labels=names(coarse),
    )

    def vector(heading: str, values: Values, *, coloured: bool) -> Board:
        def entry(ij: Index) -> Cell:
            index = (coarse if coloured else fine)[ij[0]]
            fills = (hue(index),) if coloured else ()
            strong = coloured and index == chosen
            return Cell(shown(values[index]), fills, tone="strong" if strong else "plain")

        return Board(heading, slices((values.size, 1), 2, entry))

    input = vector("input", example.input, coloured=example.up)
    output = vector("output", example.output, coloured=not example.up)
    own = up if example.up else down
    product_columns = (Column(((own,),)), Column(((input,),), "·"), Column(((output,),), "="))
    product_columns = product_columns if example.bias is None else (
        *product_columns[:2], replace(product_columns[2], sign="+ bias =")
    )  # fmt: skip
    columns = (Column(((down,),)), *product_columns) if example.up else (*product_columns, Column(((up,),)))
    where = chosen[0] if len(chosen) == 1 else chosen
    switches = " The switches are held fixed." if example.switches is not None else ""
    return Sheet(
        caption.title(example),
        caption.sizes(example),
        columns,
        (
            f"Row {where} of X is a window; column {where} of Xᵀ is the same window, a stamp.{switches}",
            f"size: {caption.formula(example)}",
        ),
        (
            (Cell("", (hue(chosen),), tone="strong"), f"window {where}, in both"),
            (Cell("0", tone="faint"), "no tap"),
        ),
    )


def matrix_steps(example: Example) -> list[Sheet]:
    """One window after the other, framed in both."""
    return [matrix_sheet(example, number) for number in range(example.coarse.size)]
