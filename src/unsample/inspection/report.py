"""`Inspection`: what was found, as data, text, HTML, JSON and CSV."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from unsample.inspection.analysis import Merge, Step
from unsample.inspection.graph import Failure
from unsample.inspection.sizes import Sizes

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
        found += [("sizes", sentence) for sentence in map(sizes_sentence, self.sizes)]
        found += _alignment(self)
        found += _checkerboards(self)
        return tuple(found)

    def __repr__(self) -> str:
        rows = [[cell.plain for cell in row] for row in self.table()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [self.title()]
        for row in rows:
            cells = [
                cell.rjust(w) if COLUMNS[i].right else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines += [f"{heading + ':':<13} {sentence}" for heading, sentence in self.findings()]
        return "\n".join(lines)

    def title(self) -> str:
        """Model, shapes and totals in one line."""
        shapes = ", ".join(_shape(s) for s in self.input_shapes)
        out = ", ".join(_shape(s) for s in self.output_shapes) or "?"
        parts = [f"{self.model}  {shapes} -> {out}"]
        parts.append(f"{short(self.parameters)} parameters, {short(self.multiply_adds)} multiply-adds")
        if self.saved_bytes is not None:
            parts.append(f"{short(self.saved_bytes)}B saved for backward")
        if self.milliseconds is not None:
            parts.append(f"{self.milliseconds:.1f} ms")
        return "  ".join([parts[0], ", ".join(parts[1:])])

    def table(self) -> list[list["Cell"]]:
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


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the table: its text, and a word for its colour."""

    plain: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and how it shows a step."""

    heading: str
    show: Any
    right: bool = False

    def cell(self, step: Step) -> Cell:
        """The cell of a step."""
        found = self.show(step)
        return found if isinstance(found, Cell) else Cell(str(found))


def elided(name: str, width: int) -> str:
    """A path in so many characters, its middle left out.

    Examples
    --------
    >>> elided("model.1.submodule.2.0.conv", 16), elided("up1", 16)
    ('model.1…2.0.conv', 'up1')
    """
    if len(name) <= width:
        return name
    tail = width // 2
    return f"{name[: width - tail - 1]}…{name[-tail:]}"


def short(number: float) -> str:
    """A number in at most five characters.

    Examples
    --------
    >>> short(0), short(999), short(12345), short(1.5e9)
    ('0', '999', '12.3k', '1.50G')
    """
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{unit}"
    return f"{number:g}"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def same(values: Sequence[Any]) -> str:
    """Once where all are the same.

    Examples
    --------
    >>> same([31, 31]), same([31, 7])
    ('31', '31x7')
    """
    texts = [str(v) for v in values]
    return texts[0] if texts and len(set(texts)) == 1 else "x".join(texts)


def _field(step: Step) -> str:
    each = [str(high) if low == high else f"{low}-{high}" for low, high in step.receptive_field]
    # Whatever reaches both borders may reach further.
    each = [
        f">={n}" if low == n else text
        for text, (low, _), n in zip(each, step.receptive_field, step.input_sizes, strict=True)
    ]
    return same(each) if each else "?"


def settings_text(step: Step) -> str:
    """Settings in few characters, as `k4 s2 p1`."""
    words = {
        "kernel": "k",
        "stride": "s",
        "padding": "p",
        "dilation": "d",
        "output_padding": "op",
        "groups": "g",
    }
    parts = []
    for name, value in step.settings.items():
        if name in words:
            parts.append(f"{words[name]}{value}")
        elif name == "factor":
            parts.append(f"x{value}" if step.direction == "up" else f"/{value}")
        elif value == "half_pixel" and step.settings.get("method") != "nearest":
            continue  # as usual
        elif value is True:
            parts.append(name)
        else:
            parts.append(str(value) if name in ("method", "positions", "padding_mode") else f"{name} {value}")
    return " ".join(parts)


def _undoes(step: Step) -> Cell:
    if step.direction == "down":
        return Cell("")
    if not step.undoes:
        return Cell("-")
    text = "+".join(map(str, step.undoes))
    off = [s for s in step.short if s]
    if off:
        return Cell(f"{text} {'short' if off[0] > 0 else 'long'} {abs(off[0])}", "bad")
    moved = [d for d in step.shift if d]
    return Cell(f"{text} off {fraction(moved[0])}", "bad") if moved else Cell(text, "good")


def fraction(value: Fraction) -> str:
    """A fraction without its sign, in few characters; not exact where the denominator is large."""
    value = abs(value)
    return str(value) if value.denominator <= 64 else f"{float(value):.2f}"


def _score(step: Step) -> Cell:
    score = step.checkerboard
    if score is None:
        return Cell("")
    if score.value is None:
        return Cell("-")
    return Cell(f"{score.value:.2f}", "good" if score.value < 0.01 else "bad" if score.value > 0.2 else "")


COLUMNS = (
    Column("", lambda s: s.number, right=True),
    Column("layer", lambda s: s.layer or "(model)"),
    Column("what", lambda s: Cell(f"{'↓' if s.direction == 'down' else '↑'} {s.what}", s.direction)),
    Column("settings", settings_text),
    Column("output", lambda s: _shape(s.output_shape[1:])),
    Column("par.", lambda s: short(s.parameters), right=True),
    Column("m-adds", lambda s: short(s.multiply_adds), right=True),
    Column("out B", lambda s: short(s.activation_bytes), right=True),
    Column("saved B", lambda s: short(s.saved_bytes), right=True),
    Column("ms", lambda s: "" if s.milliseconds is None else f"{s.milliseconds:.2f}", right=True),
    Column("field", _field, right=True),
    Column("undoes", _undoes),
    Column("check", _score, right=True),
)


def columns_of(found: Inspection) -> list[Column]:
    """The columns of the table; times only where they were taken."""
    return [c for c in COLUMNS if found.milliseconds is not None or c.heading != "ms"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The table as a terminal of some width has room for it."""

    columns: list[Column]
    rows: list[list[Cell]]
    widths: list[int]
    gap: int


DROPPED = ("out B", "par.", "saved B", "m-adds")  # in this order, where there is no room


def fitted(found: Inspection, width: int) -> Fitted:
    """Leave columns out, and the middle of names, until the table is no wider than `width`."""
    columns = columns_of(found)
    for heading in (None, *DROPPED):
        columns = [c for c in columns if c.heading != heading]
        rows = [[c.cell(step) for c in columns] for step in found.steps]
        widths = [max([len(c.heading), *(len(r[i].plain) for r in rows)]) for i, c in enumerate(columns)]
        if sum(widths) - max(widths[1] - 18, 0) + 2 * (len(widths) - 1) <= width:
            break
    headings = [c.heading for c in columns]
    gap = 2 if sum(widths) - max(widths[1] - 12, 0) + 2 * (len(widths) - 1) <= width else 1
    for heading, least in (("layer", 12), ("settings", 8), ("what", 8)):
        over = sum(widths) + gap * (len(widths) - 1) - width
        at = headings.index(heading)
        if over > 0:
            widths[at] = max(widths[at] - over, min(least, widths[at]))
            rows = [[*r[:at], Cell(elided(r[at].plain, widths[at]), r[at].tone), *r[at + 1 :]] for r in rows]
    return Fitted(columns, rows, widths, gap)


# -- sentences --------------------------------------------------------------------------------------------


def sizes_sentence(sizes: Sizes) -> str:
    """Which sizes work, and how that is known."""
    text = f"{axis_names(sizes.axes)}: it runs with {sizes.rule()}"
    if sizes.sizes and sizes.whole != sizes.sizes:
        text += f"; the output is as large as the input for {sizes.rule(sizes.whole)}"
    elif sizes.sizes:
        text += ", and the output is as large as the input"
    how = f"every size from 1 to {sizes.tried} tried"
    if len(sizes.axes) > 1:
        how += ", each axis alone" if sizes.apart else ", all axes alike"
    if sizes.exact and sizes.period > 1:
        how += f"; the answers repeat every {sizes.period}"
    return f"{text} ({how})"


def axis_names(axes: Sequence[int]) -> str:
    """The usual words where they fit."""
    if tuple(axes) == (2, 3):
        return "height and width"
    if len(axes) > 1:
        return f"axes {', '.join(map(str, axes))}"
    return f"axis {axes[0]}"


def _alignment(found: Inspection) -> list[tuple[str, str]]:
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


def _checkerboards(found: Inspection) -> list[tuple[str, str]]:
    alike: dict[tuple[Any, ...], list[Step]] = {}
    for step in found.steps:
        score = step.checkerboard
        if score is not None and score.value is not None and score.value > 0.01:
            alike.setdefault((score.overlap, score.remedies), []).append(step)
    lines = []
    for (overlap, remedies), steps in alike.items():
        values = sorted({f"{step.checkerboard.value:.2f}" for step in steps if step.checkerboard})
        numbers = ", ".join(str(step.number) for step in steps)
        text = (
            f"step{'s' if len(steps) > 1 else ''} {numbers}: {' to '.join(_unique([values[0], values[-1]]))}"
        )
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
