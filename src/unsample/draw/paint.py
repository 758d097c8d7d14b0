"""A sheet as a matplotlib Figure.

Everything is laid out in units of one cell's height, y downwards, before anything is drawn, so that nothing
overlaps and the size of the figure follows from what is on it.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from unsample.draw.sheet import Board, Cell, Sheet, Slice
from unsample.draw.theme import DARK, LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = 0.36  # of a unit, in a figure of our own
TEXT = 0.40  # height of the letters' em, in units
SMALL = 0.34
NOTE = 0.37
TITLE = 0.52
LINE = 1.3  # from line to line, in ems
PAD = 0.22
MARGIN = 0.6
# Sums are broken into lines where they are wider than this, on a sheet of rows and of planes.
_WIDE_LINED, _WIDE = 3.4, 2.4
_FAMILY = "DejaVu Sans"  # comes with matplotlib, and has every sign used here


@lru_cache(maxsize=4096)
def text_width(text: str, em: float = TEXT, weight: str = "normal") -> float:
    """Width of one line, in units."""
    font = FontProperties(family=_FAMILY, size=100, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 100 * em


@dataclass
class _Ink:
    """What the layout has placed."""

    polygons: list[tuple[list[tuple[float, float]], str]] = field(default_factory=list)
    edges: dict[str, list[list[tuple[float, float]]]] = field(
        default_factory=lambda: {"edge": [], "ghost": [], "frame": []}
    )
    texts: list[tuple[float, float, str, dict[str, Any]]] = field(default_factory=list)

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        self.texts.append((x, y, text, {"em": TEXT, "ha": "left", "weight": "normal", **style}))


@dataclass(frozen=True)
class CellSize:
    """The size of every cell of a drawing, and the width at which sums are broken."""

    width: float
    height: float
    line: float


def cell_size(sheets: Iterable[Sheet]) -> CellSize:
    """One size for all cells of all sheets, as large as the largest text needs."""
    sheets = list(sheets)
    texts = {(cell.text, weight_of(cell)) for sheet in sheets for cell in sheet.cells()}
    longest = max((text_width(text) for text, _ in texts), default=0.0)
    terms = max((text_width(term) for text, _ in texts for term in _terms(text)), default=0.0)
    wide = _WIDE_LINED if any(sheet.lined_up for sheet in sheets) else _WIDE
    line = min(longest, max(wide, terms)) + 1e-6
    widths = [text_width(each, TEXT, weight) for text, weight in texts for each in _broken(text, line)]
    height = max((len(_broken(text, line)) for text, _ in texts), default=1)
    width = max(widths, default=0.0)
    return CellSize(max(1.0, width + 2 * PAD), max(1.0, height * TEXT * LINE + 2 * PAD), line)


def weight_of(cell: Cell) -> str:
    """What stands out is bold."""
    return "bold" if cell.tone == "strong" else "normal"


def _terms(text: str) -> list[str]:
    """The terms of a sum, each with its sign before it."""
    parts: list[str] = []
    for word in text.split(" "):
        if parts and (parts[-1] in ("+", "\N{MINUS SIGN}") or word not in ("+", "\N{MINUS SIGN}")):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts


def _broken(text: str, width: float) -> list[str]:
    """A sum in lines of at most `width`."""
    lines: list[str] = []
    for term in _terms(text):
        longer = f"{lines[-1]} {term}" if lines else term
        if lines and text_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(term)
    return lines


def _wrapped(text: str, width: float, em: float) -> list[str]:
    """A sentence in lines of at most `width`."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, em) > width:
            lines.append(word)
        else:
            lines[-1:] = [longer]
    return lines


# Layout


class _Layout:
    """The walk that places a sheet, top to bottom."""

    def __init__(self, sheet: Sheet, size: CellSize, theme: Theme) -> None:
        self.sheet, self.size, self.theme, self.ink = sheet, size, theme, _Ink()

    def run(self) -> tuple[float, float]:
        """Place everything; return width and height."""
        sheet = self.sheet
        content = self._lined_up_size() if sheet.lined_up else self._columns_size()
        width = max(content[0], text_width(sheet.title, TITLE, "bold"), 13.5)
        y = MARGIN + TITLE / 2
        for line in _wrapped(sheet.title, width, TITLE * 1.08):
            self.ink.write(MARGIN, y, line, em=TITLE, weight="bold")
            y += TITLE * LINE
        self.ink.write(MARGIN, y + 0.05, sheet.subtitle, tone="faint")
        y += 0.85
        if sheet.lined_up:
            self._lined_up(MARGIN, y)
        else:
            self._columns(MARGIN, y, content[1])
        y += content[1] + 0.55
        y = self._legend(MARGIN, y, width)
        for note in sheet.notes:
            for line in _wrapped(note, width, NOTE):
                self.ink.write(MARGIN, y + NOTE / 2, line, em=NOTE)
                y += NOTE * LINE * 1.15
        return width + 2 * MARGIN, y + MARGIN - 0.15

    def _cell(self, x: float, y: float, cell: Cell, width: float, height: float) -> None:
        if cell.kind == "none":
            return
        for i, name in enumerate(cell.fills):
            band = width / len(cell.fills)
            self.ink.polygons.append((_rectangle(x + i * band, y, band, height), self.theme.fill(name)))
        inset = 0.06 if cell.kind == "ghost" else 0.0
        edge = "ghost" if cell.kind == "ghost" else "edge"
        self.ink.edges[edge].append(_rectangle(x + inset, y + inset, width - 2 * inset, height - 2 * inset))
        if cell.tone == "strong":
            self.ink.edges["frame"].append(_rectangle(x + 0.05, y + 0.05, width - 0.1, height - 0.1))
        lines = _broken(cell.text, self.size.line) if cell.text else []
        weight = weight_of(cell)
        for i, line in enumerate(lines):
            middle = y + height / 2 + (i - (len(lines) - 1) / 2) * TEXT * LINE
            em = TEXT * min(1.0, (width - 0.12) / max(1e-9, text_width(line, TEXT, weight)))
            self.ink.write(
                x + width / 2, middle, line, ha="center", color=self.theme.text(cell), weight=weight, em=em
            )

    def _grid(self, x: float, y: float, rows: Sequence[Sequence[Cell]]) -> None:
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                self._cell(
                    x + j * self.size.width, y + i * self.size.height, cell, self.size.width, self.size.height
                )

    def _heading(self, x: float, y: float, board: Board) -> None:
        if board.fill:
            width = text_width(board.heading, SMALL) + 0.3
            self.ink.polygons.append((_rectangle(x, y - 0.3, width, 0.6), self.theme.fill(board.fill)))
            chip = Cell(fills=(board.fill,))
            self.ink.write(x + 0.15, y, board.heading, em=SMALL, color=self.theme.text(chip))
        else:
            self.ink.write(x, y, board.heading, weight="bold", em=SMALL * 1.06)

    # Planes: columns side by side

    def _board_size(self, board: Board) -> tuple[float, float]:
        left, top = self._board_labels(board)
        width = height = 0.0
        for row in board.slices:
            label = 0.55 if any(each.label for each in row) else 0.0
            height += max(len(each.rows) for each in row) * self.size.height + label + 0.3
            width = max(width, sum(self._slice_width(each) + 0.5 for each in row) - 0.5)
        heading = text_width(board.heading, SMALL * 1.06, "bold") + 0.3
        return max(left + width, heading), height - 0.3 + top + (0.75 if board.heading else 0.0)

    def _slice_width(self, each: Slice) -> float:
        return max(len(each.rows[0]) * self.size.width, text_width(each.label, SMALL))

    def _board_labels(self, board: Board) -> tuple[float, float]:
        left = max((text_width(label, SMALL) for label in board.row_labels), default=-0.2) + 0.2
        return left, 0.5 if board.column_labels else 0.0

    def _board(self, x: float, y: float, board: Board) -> None:
        if board.heading:
            self._heading(x, y + 0.3, board)
            y += 0.75
        left, top = self._board_labels(board)
        for j, label in enumerate(board.column_labels):
            middle = x + left + (j + 0.5) * self.size.width
            em = SMALL * min(1.0, (self.size.width - 0.1) / text_width(label, SMALL))
            self.ink.write(middle, y + top / 2 - 0.02, label, ha="center", em=em, tone="faint")
        y += top
        for i, label in enumerate(board.row_labels):
            middle = y + (i + 0.5) * self.size.height
            self.ink.write(x + left - 0.2, middle, label, ha="right", em=SMALL, tone="faint")
        for row in board.slices:
            labelled = any(each.label for each in row)
            across = x + left
            for each in row:
                if labelled:
                    self.ink.write(across, y + 0.22, each.label, em=SMALL, tone="faint")
                self._grid(across, y + (0.55 if labelled else 0.0), each.rows)
                across += self._slice_width(each) + 0.5
            y += max(len(each.rows) for each in row) * self.size.height + (0.55 if labelled else 0.0) + 0.3

    def _row_size(self, row: Sequence[Board]) -> tuple[float, float]:
        sizes = [self._board_size(board) for board in row]
        return sum(w for w, _ in sizes) + 0.7 * (len(row) - 1), max(h for _, h in sizes)

    def _column_size(self, rows: Sequence[Sequence[Board]]) -> tuple[float, float]:
        sizes = [self._row_size(row) for row in rows]
        return max(w for w, _ in sizes), sum(h for _, h in sizes) + 0.5 * (len(rows) - 1)

    def _sign_width(self, sign: str) -> float:
        return text_width(sign, TITLE * 1.2) + 0.8 if sign else 1.1

    def _columns_size(self) -> tuple[float, float]:
        sizes = [self._column_size(column.rows) for column in self.sheet.columns]
        between = sum(self._sign_width(column.sign) for column in self.sheet.columns[1:])
        return sum(w for w, _ in sizes) + between, max(h for _, h in sizes)

    def _columns(self, x: float, y: float, height: float) -> None:
        for number, column in enumerate(self.sheet.columns):
            if number:
                sign = self._sign_width(column.sign)
                self.ink.write(x + sign / 2, y + height / 2, column.sign, ha="center", em=TITLE * 1.2)
                x += sign
            own = self._column_size(column.rows)
            down = y + (height - own[1]) / 2
            for row in column.rows:
                across = x
                for board in row:
                    self._board(across, down, board)
                    across += self._board_size(board)[0] + 0.7
                down += self._row_size(row)[1] + 0.5
            x += own[0]

    # Rows: one below the other, headings at the left

    def _gutter(self) -> tuple[float, float]:
        boards = list(self.sheet.boards())
        heading = max(text_width(board.heading, SMALL * 1.06, "bold") + 0.3 for board in boards) + 0.4
        labels = [each.label for board in boards for row in board.slices for each in row if each.label]
        return heading, max((text_width(label, SMALL) + 0.3 for label in labels), default=0.0)

    def _rows(self) -> list[tuple[Board, float]]:
        """Boards with the gap above each: wide between parts, narrow between stamps."""
        boards = list(self.sheet.boards())
        gaps = [0.0] + [
            0.22 if before.fill and after.fill else 0.5 for before, after in itertools.pairwise(boards)
        ]
        return list(zip(boards, gaps, strict=True))

    def _lined_up_size(self) -> tuple[float, float]:
        heading, label = self._gutter()
        widest = max(
            len(each.rows[0]) for board in self.sheet.boards() for row in board.slices for each in row
        )
        height = sum(gap + len(board.slices) * self.size.height for board, gap in self._rows())
        return heading + label + widest * self.size.width, height

    def _lined_up(self, x: float, y: float) -> None:
        heading, label = self._gutter()
        for board, gap in self._rows():
            y += gap
            self._heading(x, y + self.size.height / 2, board)
            for row in board.slices:
                for each in row:
                    self.ink.write(x + heading, y + self.size.height / 2, each.label, em=SMALL, tone="faint")
                    self._grid(x + heading + label, y, each.rows)
                y += self.size.height

    def _legend(self, x: float, y: float, width: float) -> float:
        if not self.sheet.legend:
            return y
        left, box = x, 0.62
        for cell, words in self.sheet.legend:
            own = box + 0.2 + text_width(words, SMALL) + (0.7 if words else 0.1)
            if left > x and left + own - 0.7 > x + width:
                left, y = x, y + 0.9
            self._cell(left, y, cell, box, box)
            self.ink.write(left + box + 0.2, y + box / 2, words, em=SMALL)
            left += own
        return y + 1.0


def _rectangle(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _path(polygons: Sequence[Sequence[tuple[float, float]]]) -> Path:
    """Polygons as one path."""
    vertices = [corner for polygon in polygons for corner in (*polygon, polygon[0])]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(polygons)
    return Path(vertices, codes)


# Drawing


class _ScaledText(Text):
    """Text whose size is given in data units, so that it fits its cell in axes of any size."""

    def __init__(self, *args: Any, em: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._em = em

    def _fit(self) -> None:
        if self.axes is not None and self.figure is not None:
            (left, _), (right, _) = self.axes.transData.transform([(0, 0), (self._em, 0)])
            self.set_fontsize(max(0.01, abs(right - left) * 72 / self.figure.dpi))

    def draw(self, renderer: Any) -> None:
        self._fit()
        super().draw(renderer)

    def get_window_extent(self, *args: Any, **kwargs: Any) -> Any:
        self._fit()
        return super().get_window_extent(*args, **kwargs)


def paint(
    sheet: Sheet, *, ax: "Axes | None" = None, dark: bool = False, size: CellSize | None = None
) -> Figure:
    """A sheet on a figure of its own, or on axes that were given; those lose their frame.

    Never shows anything, and reads and changes no rcParams that matter.
    """
    theme = DARK if dark else LIGHT
    layout = _Layout(sheet, size or cell_size([sheet]), theme)
    width, height = layout.run()
    if ax is None:
        figure = Figure(figsize=(width * INCHES, height * INCHES), facecolor=theme.paper)
        ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal", autoscale_on=False)
    _add_areas(ax, layout.ink, theme.paper, _rectangle(0, 0, width, height))
    _add_lines(ax, layout.ink, theme)
    _add_texts(ax, layout.ink, theme)
    whole = ax.get_figure(root=True)
    assert isinstance(whole, Figure)
    return whole


def _add_areas(ax: "Axes", ink: _Ink, paper: str, whole: list[tuple[float, float]]) -> None:
    """One path per colour, the paper first: a picture of a thousand cells has a dozen of them."""
    for colour in dict.fromkeys([paper, *(colour for _, colour in ink.polygons)]):
        shapes = [polygon for polygon, own in ink.polygons if own == colour]
        if colour == paper:
            shapes = [whole]
        ax.add_patch(
            PathPatch(
                _path(shapes), facecolor=colour, edgecolor="none", antialiased=False, zorder=1, clip_on=False
            )
        )


def _add_lines(ax: "Axes", ink: _Ink, theme: Theme) -> None:
    """One path per kind of line."""
    for name, colour, line, dashes in (
        ("edge", theme.edge, 0.8, "solid"),
        ("ghost", theme.ghost, 0.8, (0, (3, 2))),
        ("frame", theme.frame, 2.0, "solid"),
    ):
        if ink.edges[name]:
            ax.add_patch(
                PathPatch(
                    _path(ink.edges[name]),
                    fill=False,
                    edgecolor=colour,
                    linewidth=line,
                    linestyle=dashes,
                    joinstyle="miter",
                    zorder=2 if name != "frame" else 3,
                    clip_on=False,
                )
            )


def _add_texts(ax: "Axes", ink: _Ink, theme: Theme) -> None:
    for x, y, text, style in ink.texts:
        if text:
            colour = style.get("color") or (theme.faint if style.get("tone") == "faint" else theme.ink)
            ax.add_artist(
                _ScaledText(
                    x,
                    y,
                    text,
                    em=style["em"],
                    color=colour,
                    fontfamily=_FAMILY,
                    fontweight=style["weight"],
                    horizontalalignment=style["ha"],
                    verticalalignment="center_baseline",
                    parse_math=False,
                    zorder=4,
                )
            )
