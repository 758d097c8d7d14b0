"""`Inspection`: what was found, as data, text, HTML, JSON and CSV."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

from unsample.inspection import sentences
from unsample.inspection.analysis import Step
from unsample.inspection.findings import Findings
from unsample.inspection.page import page
from unsample.inspection.table import Cell, columns_of, rows_of, settings_text
from unsample.tables import text_table

# The header of the CSV: fixed, a new column goes to the end.
FIELDS = (
    *("step", "layer", "what", "direction", "settings", "input_shape", "output_shape", "parameters"),
    *("multiply_adds", "activation_bytes", "saved_bytes", "switch_bytes", "milliseconds"),
    *("receptive_field_min", "receptive_field_max", "scale", "offset", "undoes", "short", "shift"),
    *("checkerboard", "overlap", "lost", "checkerboard_band"),
)


@dataclass(frozen=True, slots=True, repr=False)
class Inspection(Findings):
    """What `inspect` found, as text, HTML, JSON and CSV; the fields are those of `Findings`."""

    # -- as text ----------------------------------------------------------------------------------------

    def findings(self) -> tuple[tuple[str, str], ...]:
        """Everything beside the table: (heading, sentence)."""
        return sentences.all_of(self)

    def __repr__(self) -> str:
        rows = [[cell.plain for cell in row] for row in self.table()]
        right = [i for i, column in enumerate(columns_of(self)) if column.right]
        lines = [self.title(), *text_table(rows, right)]
        lines += [f"{heading + ':':<13} {sentence}" for heading, sentence in self.findings()]
        return "\n".join(lines)

    def title(self) -> str:
        """Model, shapes and totals in one line."""
        return sentences.title(self)

    def table(self) -> list[list[Cell]]:
        """The heading and one row per step."""
        return rows_of(self)

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
            "decided": list(self.decided),
            "sizes": [
                {
                    "axes": list(s.axes),
                    "rule": s.rule(),
                    "exact": s.exact,
                    "period": s.period,
                    "tried": s.tried,
                    "spans": [list(span) for span in s.spans or ((1, s.tried),)],
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
        step.lost,
        "" if score is None else score.band,
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
