"""The view *stamps*: each input element stamps its window, overlaps add."""

from collections.abc import Sequence
from dataclasses import replace

from unsample.draw import caption
from unsample.draw.boards import (
    arranged_as,
    by,
    in_and_out,
    indices,
    inside,
    output_cell,
    parameters,
    step,
    sum_text,
    with_output,
)
from unsample.draw.example import Example, Index, Term
from unsample.draw.sheet import NOTHING, Board, Cell, Margins, Sheet, hue, margins, slices
from unsample.draw.values import shown


def _stamp_margins(example: Example) -> Margins:
    return margins(example.output.shape, example.rank, (term.target for term in _cropped(example)))


def _cropped(example: Example) -> tuple[Term, ...]:
    return example.outside if example.up else ()


def _stamp_board(example: Example, source: Index, terms: Sequence[Term], around: Margins) -> Board:
    """The output with the stamp of one input element alone."""
    landed = by(terms, lambda term: term.target)
    beyond = by((t for t in _cropped(example) if t.source == source), lambda term: term.target)
    fill = hue(source)

    def cell(index: Index) -> Cell:
        if index in landed:
            own = landed[index]
            text = sum_text([example.value(term) for term in own])
            return Cell(text, (fill,), kind="cell" if any(t.counts for t in own) else "ghost")
        if index in beyond:
            return Cell(sum_text([example.value(term) for term in beyond[index]]), kind="ghost", tone="faint")
        if inside(index, example.output.shape):
            return Cell()
        return NOTHING

    heading = _stamp_heading(example, source)
    return Board(heading, slices(example.output.shape, example.rank, cell, around), fill)


def _stamp_heading(example: Example, source: Index) -> str:
    value = example.input[source]
    if isinstance(value, str):
        return f"{value} stamps"
    return f"{shown(value)} at {source[0] if len(source) == 1 else source}"


def _source_fill(source: Index) -> tuple[str, ...]:
    return (hue(source),)


def _stamped_input(example: Example, strong: Index | None = None, done: int | None = None) -> Board:
    order = {index: number for number, index in enumerate(indices(example.input))}

    def cell(index: Index) -> Cell:
        fills = _source_fill(index) if done is None or order[index] < done else ()
        return Cell(shown(example.input[index]), fills, tone="strong" if index == strong else "plain")

    return Board("input", slices(example.input.shape, example.rank, cell))


def _stamped_output(
    example: Example, around: Margins, strong: Index | None = None, done: int | None = None
) -> Board:
    """The output coloured by who stamped it; what the first `done` stamps made of it so far."""
    sources = indices(example.input)
    seen = set(sources if done is None else sources[:done])
    per_target = by((t for t in example.terms if t.source in seen), lambda term: term.target)

    def cell(index: Index) -> Cell:
        if not inside(index, example.output.shape):
            return NOTHING
        terms = sorted(per_target.get(index, []), key=lambda term: term.source)
        kept = terms if done is None else _so_far(example, terms)
        fills = tuple(dict.fromkeys(hue(term.source) for term in kept if term.counts or done is not None))
        tone = "strong" if strong is not None and any(t.source == strong for t in terms) else "plain"
        if done is None:
            plain = output_cell(example, index)
            return replace(plain, fills=fills, tone=tone if fills else plain.tone)
        text = sum_text([example.value(term) for term in kept]) if kept else ""
        return Cell(text, fills, tone=tone)

    return Board("output", slices(example.output.shape, example.rank, cell, around))


def _so_far(example: Example, terms: list[Term]) -> list[Term]:
    """The stamps that an element holds so far: all that landed on it, or the one that is kept."""
    if not example.up:
        return [term for term in terms if term.counts]
    how = example.settings.get("duplicates", "last")
    if example.operation != "max_unpool" or how == "sum" or not terms:
        return terms
    if how == "max":
        return [max(terms, key=lambda term: example.input[term.source])]
    return terms[-1:]


def stamps_sheet(example: Example) -> Sheet:
    """All stamps beside each other, and what they add up to."""
    around = _stamp_margins(example)
    terms = by(example.terms, lambda term: term.source)
    boards = [
        _stamp_board(example, source, terms.get(source, ()), around) for source in indices(example.input)
    ]
    notes = [f"size: {caption.formula(example)}", _stamps_sentence(example)]
    arranged = arranged_as(example, example.input, boards)
    front = [_stamped_input(example), *parameters(example)]
    output = _stamped_output(example, around if example.rank == 1 else ())
    return in_and_out(example, front, arranged, output, notes, _stamp_legend(example))


def _stamps_sentence(example: Example) -> str:
    return (
        example.record.says if example.up else ""
    ) or "What each input element brings to the outputs that read it."


def _stamp_legend(example: Example) -> tuple[tuple[Cell, str], ...]:
    legend = [(Cell("", (hue((0,)),)), "one colour per input")]
    shared = by((t for t in example.terms if t.counts), lambda term: term.target)
    if any(len({t.source for t in terms}) > 1 for terms in shared.values()):
        legend.append((Cell("", (hue((0,)), hue((1,)))), "where stamps overlap"))
    if _cropped(example):
        legend.append((Cell("", kind="ghost"), "cropped by the padding"))
    if any(not term.counts for term in example.terms):
        how = example.settings.get("duplicates", "last") if example.operation == "max_unpool" else ""
        words = f"not kept, duplicates {how!r}" if how else "not the maximum"
        legend.append((Cell("", (hue((0,)),), kind="ghost"), words))
    return tuple(legend)


def stamps_steps(example: Example) -> list[Sheet]:
    """One stamp after the other, adding up."""
    around = _stamp_margins(example)
    lined = around if example.rank == 1 else ()
    terms = by(example.terms, lambda term: term.source)
    sources = indices(example.input)
    frames = []
    for number, source in enumerate(sources):
        stamp = _stamp_board(example, source, terms.get(source, ()), around)
        output = _stamped_output(example, lined, source, number + 1)
        frames.append(
            step(example, _stamped_input(example, source, number + 1), stamp, output, number, len(sources))
        )
    return [*frames, with_output(frames[-1], _stamped_output(example, lined))]
