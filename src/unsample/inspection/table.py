"""The table of an inspection: its columns, and how they fit into a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from unsample.inspection.analysis import Step
from unsample.inspection.findings import Findings


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


def shape_text(shape: Sequence[int]) -> str:
    """Sizes with crosses between them."""
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
    return same([*each, *["?"] * step.unplaced]) or "?"


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
    tone = {"none": "good", "strong": "bad"}.get(score.band, "")
    return Cell(f"{score.value:.2f}", tone)


COLUMNS = (
    Column("", lambda s: s.number, right=True),
    Column("layer", lambda s: s.layer or "(model)"),
    Column("what", lambda s: Cell(f"{'↓' if s.direction == 'down' else '↑'} {s.what}", s.direction)),
    Column("settings", settings_text),
    Column("output", lambda s: shape_text(s.output_shape[1:])),
    Column("par.", lambda s: short(s.parameters), right=True),
    Column("m-adds", lambda s: short(s.multiply_adds), right=True),
    Column("out B", lambda s: short(s.activation_bytes), right=True),
    Column("saved B", lambda s: short(s.saved_bytes), right=True),
    Column("ms", lambda s: "" if s.milliseconds is None else f"{s.milliseconds:.2f}", right=True),
    Column("field", _field, right=True),
    Column("undoes", _undoes),
    Column("check", _score, right=True),
)


def rows_of(found: Findings) -> list[list[Cell]]:
    """The heading and one row per step."""
    columns = columns_of(found)
    return [[Cell(c.heading) for c in columns], *([c.cell(s) for c in columns] for s in found.steps)]


def columns_of(found: Findings) -> list[Column]:
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


def fitted(found: Findings, width: int) -> Fitted:
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
