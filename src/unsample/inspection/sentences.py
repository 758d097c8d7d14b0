"""What an inspection says beside its table, in sentences."""

from collections.abc import Sequence
from typing import Any

from unsample.inspection.analysis import Merge, Step
from unsample.inspection.findings import Findings
from unsample.inspection.sizes_that_run import Sizes
from unsample.inspection.table import fraction, same, settings_text, shape_text, short
from unsample.inspection.vocabulary import varied


def all_of(found: Findings) -> tuple[tuple[str, str], ...]:
    """Everything beside the table: (heading, sentence)."""
    said: list[tuple[str, str]] = []
    if found.failure is not None:
        said.append(("stopped", f"in {found.failure.layer or 'the model'}: {found.failure.sentence}"))
    said += [("repair", each) for each in found.repairs]
    if found.decided:
        where = ", ".join(layer or "the model" for layer in found.decided)
        text = f"those of the example decide in {where}: others may go another way, and no sizes were tried"
        said.append(("values", text))
    said += [("sizes", sizes_sentence(each, found.input_shapes)) for each in found.sizes]
    return (*said, *unplaced(found), *alignment(found), *checkerboards(found))


def title(found: Findings) -> str:
    """Model, shapes and totals in one line."""
    shapes = ", ".join(shape_text(s) for s in found.input_shapes)
    out = ", ".join(shape_text(s) for s in found.output_shapes) or "?"
    parts = [f"{found.model}  {shapes} -> {out}"]
    parts.append(f"{short(found.parameters)} parameters, {short(found.multiply_adds)} multiply-adds")
    if found.saved_bytes is not None:
        parts.append(f"{short(found.saved_bytes)}B saved for backward")
    if found.milliseconds is not None:
        parts.append(f"{found.milliseconds:.1f} ms")
    return "  ".join([parts[0], ", ".join(parts[1:])])


def sizes_sentence(sizes: Sizes, shapes: Sequence[Sequence[int]] = ()) -> str:
    """Which sizes work, and how that is known; `shapes` are those of the inputs."""
    images, where = varied(shapes), axis_names(sizes.axes)
    if len(shapes) > 1 and images:
        several = "s" if len(images) > 1 else ""
        where += f" of input{several} {' and '.join(str(i + 1) for i in images)}"
    if sizes.fixed:
        return (
            f"{where}: the file is of {sizes.tried} alone; export it with axes of any size (dynamic_shapes, "
            f"dynamic_axes) to ask more"
        )
    text = f"{where}: it runs with {sizes.rule()}"
    if sizes.sizes and sizes.whole != sizes.sizes:
        text += f"; the output is as large as the input for {sizes.rule(sizes.whole)}"
    elif sizes.sizes:
        text += ", and the output is as large as the input"
    spans = sizes.spans or ((1, sizes.tried),)
    how = f"every size from {' and '.join(f'{low} to {high}' for low, high in spans)} tried"
    if len(sizes.axes) > 1:
        how += ", each axis alone" if sizes.apart else ", all axes alike"
    if sizes.exact and sizes.period > 1 and sizes.rule().split()[-1] != "alone":
        how += f"; the answers repeat every {sizes.period}"
    if sizes.unlike:
        one, other = sizes.unlike
        how += (
            f"; the model does other things at {other} than at {one}, so that of other sizes nothing is known"
        )
    kept = [f"{i + 1} {shape_text(s)}" for i, s in enumerate(shapes) if i not in images]
    if kept:
        how += f"; input{'s' if len(kept) > 1 else ''} {' and '.join(kept)} as it is"
    return f"{text} ({how})"


def axis_names(axes: Sequence[int]) -> str:
    """The usual words where they fit."""
    if tuple(axes) == (2, 3):
        return "height and width"
    if len(axes) > 1:
        return f"axes {', '.join(map(str, axes))}"
    return f"axis {axes[0]}"


def unplaced(found: Findings) -> list[tuple[str, str]]:
    """Steps whose positions are not known, and where they were lost."""
    alike: dict[str, list[str]] = {}
    for step in found.steps:
        if step.unplaced:
            alike.setdefault(step.lost, []).append(str(step.number))
    lines = []
    for lost, numbers in alike.items():
        steps = f"step{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"
        why = f"lost at {lost}" if lost else "the input has no such axis"
        lines.append(("positions", f"not known of {steps}: {why}"))
    return lines


def alignment(found: Findings) -> list[tuple[str, str]]:
    """Merges that lie apart, those that do so alike in one sentence."""
    alike: dict[tuple[str, str, str], list[Merge]] = {}
    for merge in found.misaligned:
        worst = max(merge.apart, key=abs)
        if any(merge.scales):
            how = f"the scales differ, up to {fraction(worst)} pixel apart at the border"
        else:
            how = f"{same([fraction(d) for d in merge.apart])} pixel apart"
        blame = next((s for s in found.steps if s.number == merge.step), None)
        cause = f"{blame.what} {settings_text(blame)}" if blame else ""
        alike.setdefault((merge.what, how, cause), []).append(merge)
    lines = []
    for (what, how, cause), merges in alike.items():
        places = ", ".join(merge.layer or "the model" for merge in merges)
        steps = ", ".join(str(merge.step) for merge in merges)
        behind = f", behind step{'s' if len(merges) > 1 else ''} {steps} ({cause})" if cause else ""
        lines.append(("alignment", f"{what} in {places}: {how}{behind}"))
    if found.merges and not lines:
        several = "the 1 merge" if len(found.merges) == 1 else f"all {len(found.merges)} merges"
        lines.append(("alignment", f"the branches of {several} lie exactly on each other"))
    return lines


def checkerboards(found: Findings) -> list[tuple[str, str]]:
    """Ways up that make a checkerboard, and what removes it."""
    alike: dict[tuple[Any, ...], list[Step]] = {}
    for step in found.steps:
        score = step.checkerboard
        if score is not None and score.value is not None and score.value > 0.01:
            alike.setdefault((score.overlap, score.remedies, score.band), []).append(step)
    lines = []
    for (overlap, remedies, band), steps in alike.items():
        values = sorted({f"{step.checkerboard.value:.2f}" for step in steps if step.checkerboard})
        numbers = ", ".join(str(step.number) for step in steps)
        worth = " to ".join(_unique([values[0], values[-1]]))
        text = f"step{'s' if len(steps) > 1 else ''} {numbers}: {worth}, {band}"
        if any(len(set(axis)) > 1 for axis in overlap):
            text += (
                f", stamps overlap unevenly ({', '.join('/'.join(map(str, a)) for a in _unique(overlap))})"
            )
        for after in dict.fromkeys(after for _, after in remedies):
            text += f"; {after:.2f} with {' or '.join(how for how, each in remedies if each == after)}"
        lines.append(("checkerboard", text))
    return lines


def _unique(items: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(items))
