"""The view *overlap*: how many stamps meet in each element of the larger side."""

import numpy as np

from unsample.draw import caption
from unsample.draw.boards import (
    indices,
)
from unsample.draw.example import Example, Index
from unsample.draw.sheet import Board, Cell, Column, Sheet, level, slices
from unsample.draw.values import Values


def _counts(example: Example, windows: set[Index] | None = None) -> Values:
    """How many stamps meet in each element of the larger side; of a way down, how many windows read it."""
    side = example.fine
    counts = np.zeros(side.shape, object)
    for term in example.terms:
        if windows is None or (term.source if example.up else term.target) in windows:
            counts[term.target if example.up else term.source] += 1
    return counts


def overlap_sheet(example: Example, done: int | None = None) -> Sheet:
    """The counts, of all windows or of the first `done`."""
    whole = _counts(example)
    windows = indices(example.coarse)
    counts = whole if done is None else _counts(example, set(windows[:done]))
    known = [int(each) for each in whole.flat]

    def cell(index: Index) -> Cell:
        count = int(counts[index])
        shade = level(count, range(1, max(known) + 1)) if done is not None else level(count, known)
        return Cell(str(count), (shade,) if shade else (), tone="plain" if count else "faint")

    verb = "stamps that meet in each output" if example.up else "windows that read each input"
    board = Board(verb, slices(whole.shape, example.rank, cell))
    low, high = min(known), max(known)
    spread = f"{low} in every place" if low == high else f"{low} to {high}, depending on the place"
    notes = [spread, caption.evenness(example), f"size: {caption.formula(example)}"]
    if done is not None:
        notes = [f"{done} of {len(windows)}     size: {caption.formula(example)}"]
    legend = tuple(
        (Cell(str(count), (level(count, known),) if count else (), tone="plain" if count else "faint"), "")
        for count in sorted(set(known))
    )
    legend = legend if len(legend) <= 8 else (legend[0], legend[-1])
    legend = (*legend[:-1], (legend[-1][0], "stamps" if example.up else "windows"))
    return Sheet(
        caption.title(example),
        caption.sizes(example),
        (Column(((board,),)),),
        tuple(note for note in notes if note),
        legend,
    )


def overlap_steps(example: Example) -> list[Sheet]:
    """One window more in every step."""
    return [overlap_sheet(example, number + 1) for number in range(example.coarse.size)]
