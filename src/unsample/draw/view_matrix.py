"""The view *matrix*: X, the way down, beside its transpose, the way up."""

from collections.abc import Callable

from unsample.draw import caption
from unsample.draw.boards import (
    indices,
    sum_text,
)
from unsample.draw.example import Example, Index
from unsample.draw.sheet import Board, Cell, Column, Sheet, hue, slices
from unsample.draw.values import Value, Values, shown

# What stands beside an operation that is not linear, or not in its first array.
_PARTNERS = {
    "conv_weight_grad": "conv, of its weight",
    "max_unpool": "max_gather",
    "max_pool": "max_unpool",
    "adaptive_max_pool": "max_unpool",
}


def matrix_sheet(example: Example, window: int | None = None) -> Sheet:
    """X, the way down, beside its transpose, the way up."""
    coarse, fine = indices(example.coarse), indices(example.fine)
    chosen = coarse[len(coarse) // 2 if window is None else window]
    down, up = _matrices(example, coarse, fine, chosen)
    windows, elements = (coarse, chosen), (fine, None)
    input = _vector("input", example.input, *(windows if example.up else elements))
    output = _vector("output", example.output, *(elements if example.up else windows))
    product = (
        Column(((up if example.up else down,),)),
        Column(((input,),), "·"),
        Column(((output,),), "=" if example.bias is None else "+ bias ="),
    )
    where = chosen[0] if len(chosen) == 1 else chosen
    switches = " The switches are held fixed." if example.switches is not None else ""
    return Sheet(
        caption.title(example),
        caption.sizes(example),
        (Column(((down,),)), *product) if example.up else (*product, Column(((up,),))),
        (
            f"Row {where} of X is a window; column {where} of Xᵀ is the same window, a stamp.{switches}",
            f"size: {caption.formula(example)}",
        ),
        (
            (Cell("", (hue(chosen),), tone="strong"), f"window {where}, in both"),
            (Cell("0", tone="faint"), "no tap"),
        ),
    )


def _matrices(example: Example, coarse: list[Index], fine: list[Index], chosen: Index) -> tuple[Board, Board]:
    """X and its transpose, with the chosen window framed in both."""
    met: dict[tuple[Index, Index], list[Value]] = {}
    for term in example.terms:
        if term.counts:
            ends = (term.source, term.target) if example.up else (term.target, term.source)
            met.setdefault(ends, []).append(term.weight)

    def cell(o: Index, p: Index) -> Cell:
        if (o, p) not in met:
            return Cell("0", tone="faint")
        return Cell(sum_text(met[o, p]), (hue(o),), tone="strong" if o == chosen else "plain")

    transpose = example.record.partner or _PARTNERS.get(example.operation, "its transpose")
    down, up = (transpose, example.operation) if example.up else (example.operation, transpose)
    return (
        _grid(f"X: {down}", coarse, fine, cell),
        _grid(f"Xᵀ: {up}", fine, coarse, lambda p, o: cell(o, p)),
    )


def _grid(name: str, rows: list[Index], columns: list[Index], make: Callable[[Index, Index], Cell]) -> Board:
    def names(indices: list[Index]) -> tuple[str, ...]:
        return tuple(",".join(map(str, index)) for index in indices)

    cells = slices((len(rows), len(columns)), 2, lambda ij: make(rows[ij[0]], columns[ij[1]]))
    heading = f"{name}, {len(rows)}×{len(columns)}"
    return Board(heading, cells, row_labels=names(rows), column_labels=names(columns))


def _vector(heading: str, values: Values, places: list[Index], chosen: Index | None) -> Board:
    """The input or the output; windows have colours, and one of them is chosen."""

    def entry(ij: Index) -> Cell:
        index = places[ij[0]]
        fills = () if chosen is None else (hue(index),)
        return Cell(shown(values[index]), fills, tone="strong" if index == chosen else "plain")

    return Board(heading, slices((values.size, 1), 2, entry))


def matrix_steps(example: Example) -> list[Sheet]:
    """One window after the other, framed in both."""
    return [matrix_sheet(example, number) for number in range(example.coarse.size)]
