"""The view *gather*: each output element collects its taps."""

from collections.abc import Sequence
from dataclasses import replace

from unsample.draw import caption
from unsample.draw.boards import (
    arranged_as,
    by,
    in_and_out,
    indices,
    inside,
    parameters,
    plain,
    remembered,
    step,
    with_output,
)
from unsample.draw.example import Example, Index, Term
from unsample.draw.sheet import NOTHING, Board, Cell, Margins, Sheet, hue, margins, slices
from unsample.draw.values import Value, product, shown


def _written(example: Example, term: Term) -> str:
    """A product before it is computed: 3×2, or a·z."""
    value, weight = example.input[term.source], term.weight
    if isinstance(value, str) or isinstance(weight, str):
        return shown(product(value, weight))
    if example.kernel is None and weight == 1:
        return shown(value)
    return f"{shown(weight)}×{_in_product(value)}"


def _in_product(value: Value) -> str:
    """A number as it stands behind a multiplication sign."""
    return f"({shown(value)})" if not isinstance(value, str) and value < 0 else shown(value)


def _padded(example: Example) -> tuple[Term, ...]:
    return () if example.up else example.outside


def _gather_board(
    example: Example, target: Index, terms: Sequence[Term], around: Margins, *, all_values: bool = False
) -> Board:
    """The input with the window of one output element alone."""
    own = by(terms, lambda term: term.source)
    beyond = {term.source: term for term in _padded(example) if term.target == target}
    fill = hue(target)

    def cell(index: Index) -> Cell:
        if index in own:
            met = own[index]
            pooling = any(not term.counts for term in terms)
            chosen = any(term.counts for term in met)
            text = " + ".join(_written(example, term) for term in met)
            return Cell(text, (fill,), tone="strong" if pooling and chosen else "plain")
        if index in beyond:
            weight = beyond[index].weight
            sign = "·" if isinstance(weight, str) else "×"
            text = "" if example.switches is not None else f"{shown(weight)}{sign}0"
            return Cell(text, kind="ghost", tone="faint")
        if not inside(index, example.input.shape):
            return NOTHING
        return Cell(shown(example.input[index]) if all_values else "", tone="faint")

    heading = f"output {target[0] if len(target) == 1 else target}"
    return Board(heading, slices(example.input.shape, example.rank, cell, around), fill)


def _gather_margins(example: Example) -> Margins:
    return margins(example.input.shape, example.rank, (term.source for term in _padded(example)))


def _gathered_output(example: Example, strong: Index | None = None, done: int | None = None) -> Board:
    order = {index: number for number, index in enumerate(indices(example.output))}

    def cell(index: Index) -> Cell:
        if done is not None and order[index] >= done:
            return Cell()
        return Cell(
            shown(example.output[index]), (hue(index),), tone="strong" if index == strong else "plain"
        )

    return Board("output", slices(example.output.shape, example.rank, cell))


def _gathered_input(example: Example, around: Margins) -> Board:
    """The input, coloured by who reads it where that can still be told apart."""
    readers = by(example.terms, lambda term: term.source)
    few = all(len({t.target for t in terms}) <= 2 for terms in readers.values())
    pooling = any(not term.counts for term in example.terms)

    def cell(index: Index) -> Cell:
        if not inside(index, example.input.shape):
            return NOTHING
        terms = readers.get(index, [])
        fills = tuple(dict.fromkeys(hue(term.target) for term in terms)) if few else ()
        chosen = pooling and any(term.counts for term in terms)
        return Cell(shown(example.input[index]), fills, tone="strong" if chosen else "plain")

    return Board("input", slices(example.input.shape, example.rank, cell, around))


def gather_sheet(example: Example) -> Sheet:
    """All windows beside each other, and what comes out."""
    around = _gather_margins(example)
    terms = by(example.terms, lambda term: term.target)
    boards = [
        _gather_board(example, target, terms.get(target, ()), around) for target in indices(example.output)
    ]
    notes = [f"size: {caption.formula(example)}", _gather_sentence(example)]
    arranged = arranged_as(example, example.output, boards)
    legend = [(Cell("", (hue((0,)),)), "one colour per output")]
    if _padded(example):
        legend.append((Cell("", kind="ghost"), "padding"))
    if any(not term.counts for term in example.terms):
        words = "the maximum" if example.record.drawn == "pooling" else "the one that stays"
        legend.append((Cell("", (hue((0,)),), tone="strong"), words))
    front = [_gathered_input(example, around if example.rank == 1 else ()), *parameters(example)]
    after = remembered(example) if example.record.drawn == "pooling" else ()
    return in_and_out(example, front, arranged, _gathered_output(example), notes, tuple(legend), after)


def _gather_sentence(example: Example) -> str:
    return ("" if example.up else example.record.says) or "What each output collects, and with what weight."


def gather_steps(example: Example) -> list[Sheet]:
    """One window after the other."""
    around = _gather_margins(example)
    terms = by(example.terms, lambda term: term.target)
    targets = indices(example.output)
    frames = []
    for number, target in enumerate(targets):
        window = _gather_board(example, target, terms.get(target, ()), around, all_values=True)
        output = _gathered_output(example, target, number + 1)
        input = plain("input", example.input, example.rank)
        if example.rank == 1:
            input = replace(_gathered_input(example, around), heading="input")
        frames.append(step(example, input, window, output, number, len(targets)))
    frames.append(with_output(frames[-1], _gathered_output(example)))
    return frames
