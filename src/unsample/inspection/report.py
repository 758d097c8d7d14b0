"""`Inspection`: what was found, as data, text, HTML, JSON and CSV."""

import csv
import io
import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from unsample.inspection import sentences
from unsample.inspection.analysis import Merge, Step
from unsample.inspection.sizes_that_run import Sizes
from unsample.inspection.table import Cell, columns_of, settings_text, shape_text, short
from unsample.inspection.vocabulary import Failure

# The header of the CSV: fixed, a new column goes to the end.
FIELDS = (
    *("step", "layer", "what", "direction", "settings", "input_shape", "output_shape", "parameters"),
    *("multiply_adds", "activation_bytes", "saved_bytes", "switch_bytes", "milliseconds"),
    *("receptive_field_min", "receptive_field_max", "scale", "offset", "undoes", "short", "shift"),
    *("checkerboard", "overlap"),
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What `inspect` found.

    Parameters
    ----------
    model : str
        Class or file.
    input_shapes, output_shapes : tuple
    steps : tuple of Step
        One per way down or up, in the order of the run.
    merges : tuple of Merge
        Where branches meet.
    sizes : tuple of Sizes
        Input sizes with which it runs, per group of axes that are treated alike.
    failure : Failure or None
        Where the run stopped; the steps are those before.
    repairs : tuple of str
        What would make failing sizes work.
    parameters, multiply_adds, saved_bytes : int
        Of the whole model; saved_bytes None where not known.
    milliseconds : float or None
        Of all operators together.
    """

    model: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    merges: tuple[Merge, ...]
    sizes: tuple[Sizes, ...] = ()
    failure: Failure | None = None
    repairs: tuple[str, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    saved_bytes: int | None = None
    milliseconds: float | None = None

    @property
    def checkerboard(self) -> float:
        """The largest score of a way up; 0 where none has one."""
        return max(
            (s.checkerboard.value for s in self.steps if s.checkerboard and s.checkerboard.value is not None),
            default=0.0,
        )

    @property
    def misaligned(self) -> tuple[Merge, ...]:
        """Merges whose branches lie apart."""
        return tuple(merge for merge in self.merges if not merge.aligned)

    @property
    def activation_bytes(self) -> int:
        """Of the results of all steps."""
        return sum(step.activation_bytes for step in self.steps)

    def numbers(self) -> dict[str, float]:
        """What `--fail-if` may compare."""
        return {
            "activation_bytes": self.activation_bytes,
            "checkerboard": self.checkerboard,
            "failed": float(self.failure is not None),
            "milliseconds": self.milliseconds or 0.0,
            "misaligned": float(max((abs(d) for m in self.merges for d in m.apart), default=Fraction(0))),
            "multiply_adds": self.multiply_adds,
            "parameters": self.parameters,
            "period": max((s.period for s in self.sizes), default=1),
            "receptive_field": max((hi for s in self.steps for _, hi in s.receptive_field), default=0),
            "saved_bytes": self.saved_bytes or 0,
            "steps": len(self.steps),
        }

    # -- as text ----------------------------------------------------------------------------------------

    def findings(self) -> tuple[tuple[str, str], ...]:
        """Everything beside the table: (heading, sentence)."""
        found: list[tuple[str, str]] = []
        if self.failure is not None:
            where = self.failure.layer or "the model"
            found.append(("stopped", f"in {where}: {self.failure.sentence}"))
        found += [("repair", each) for each in self.repairs]
        found += [("sizes", sentence) for sentence in map(sentences.sizes_sentence, self.sizes)]
        found += sentences.alignment(self)
        found += sentences.checkerboards(self)
        return tuple(found)

    def __repr__(self) -> str:
        rows = [[cell.plain for cell in row] for row in self.table()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines, columns = [self.title()], columns_of(self)
        for row in rows:
            cells = [
                cell.rjust(w) if columns[i].right else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines += [f"{heading + ':':<13} {sentence}" for heading, sentence in self.findings()]
        return "\n".join(lines)

    def title(self) -> str:
        """Model, shapes and totals in one line."""
        shapes = ", ".join(shape_text(s) for s in self.input_shapes)
        out = ", ".join(shape_text(s) for s in self.output_shapes) or "?"
        parts = [f"{self.model}  {shapes} -> {out}"]
        parts.append(f"{short(self.parameters)} parameters, {short(self.multiply_adds)} multiply-adds")
        if self.saved_bytes is not None:
            parts.append(f"{short(self.saved_bytes)}B saved for backward")
        if self.milliseconds is not None:
            parts.append(f"{self.milliseconds:.1f} ms")
        return "  ".join([parts[0], ", ".join(parts[1:])])

    def table(self) -> list[list[Cell]]:
        """The heading and one row per step."""
        columns = columns_of(self)
        return [[Cell(c.heading) for c in columns], *([c.cell(s) for c in columns] for s in self.steps)]

    # -- as files ---------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Everything as numbers, strings, lists and dicts; fractions as strings."""
        return {
            "format": 1,
            "model": self.model,
            "input_shapes": [list(s) for s in self.input_shapes],
            "output_shapes": [list(s) for s in self.output_shapes],
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "saved_bytes": self.saved_bytes,
            "milliseconds": self.milliseconds,
            "checkerboard": self.checkerboard,
            "failure": None
            if self.failure is None
            else {"layer": self.failure.layer, "sentence": self.failure.sentence},
            "repairs": list(self.repairs),
            "sizes": [
                {
                    "axes": list(s.axes),
                    "rule": s.rule(),
                    "exact": s.exact,
                    "period": s.period,
                    "tried": s.tried,
                    "sizes": list(s.sizes),
                    "returned": list(s.whole),
                }
                for s in self.sizes
            ],
            "merges": [
                {
                    "layer": m.layer,
                    "what": m.what,
                    "shape": list(m.shape),
                    "apart": [str(d) for d in m.apart],
                    "scales_differ": list(m.scales),
                    "step": m.step,
                }
                for m in self.merges
            ],
            "steps": [
                {
                    **dict(zip(FIELDS, values(step), strict=True)),
                    "remedies": [list(r) for r in step.checkerboard.remedies] if step.checkerboard else [],
                }
                for step in self.steps
            ],
        }

    def to_json(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document(), indent=2, allow_nan=False, default=str)

    def to_csv(self) -> str:
        """One line per step, under a fixed header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(FIELDS)
        for step in self.steps:
            writer.writerow([_csv(value) for value in values(step)])
        return text.getvalue()

    def _repr_html_(self) -> str:
        from unsample.inspection.page import page

        return page(self)


# -- values -----------------------------------------------------------------------------------------------


def values(step: Step) -> list[Any]:
    """The step in the order of `FIELDS`."""
    score = step.checkerboard
    return [
        step.number,
        step.layer,
        step.what,
        step.direction,
        settings_text(step),
        list(step.input_shape),
        list(step.output_shape),
        step.parameters,
        step.multiply_adds,
        step.activation_bytes,
        step.saved_bytes,
        step.switch_bytes,
        step.milliseconds,
        [low for low, _ in step.receptive_field],
        [high for _, high in step.receptive_field],
        [str(each) for each in step.scale],
        [str(each) for each in step.offset],
        list(step.undoes),
        list(step.short),
        [str(each) for each in step.shift],
        None if score is None else score.value,
        [] if score is None else [list(axis) for axis in score.overlap],
    ]


def _csv(value: Any) -> str:
    """A cell; one that a spreadsheet would take for a formula is quoted."""
    if value is None:
        return ""
    if isinstance(value, list):
        text = "x".join("/".join(map(str, each)) if isinstance(each, list) else str(each) for each in value)
    else:
        text = str(value)
    return f"'{text}" if text[:1] in "=+@\t\r" or (text[:1] == "-" and not text[1:2].isdigit()) else text
