"""Drawings of any operation with the numbers in its cells. Start with `example.py`.

- `example.py`  one call with its numbers: which element meets which, from the library's own plans and taps
- `operations.py`  a call as a user writes it; `make_conv.py`, `make_moves.py` make the example
- `values.py`   numbers and symbols, given, from files, or made up
- `views.py`    the four views: stamps, gather, matrix, overlap; `sheet.py` is what they are made of
- `caption.py`  the size formula with the numbers in it
- `paint.py`    a sheet as a matplotlib Figure; `theme.py` its colours; `text.py` a sheet in characters
- `files.py`    SVG, PNG, PDF, GIF, APNG, HTML and text, the same bytes every time

Needs matplotlib, and SciPy for pixel shuffle and resize: `pip install 'unsample[draw]'`.
"""

from typing import TYPE_CHECKING

from unsample.draw.example import Example, Term
from unsample.draw.files import FORMATS, save
from unsample.draw.operations import example
from unsample.draw.text import as_text
from unsample.draw.views import VIEWS, sheet
from unsample.pairs import OPERATIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FORMATS",
    "OPERATIONS",
    "VIEWS",
    "Example",
    "Term",
    "example",
    "figure",
    "gather",
    "matrix",
    "overlap",
    "save",
    "stamps",
    "text",
]


def figure(
    example: Example, view: str | None = None, *, ax: "Axes | None" = None, dark: bool = False
) -> "Figure":
    """A view as a matplotlib Figure.

    Parameters
    ----------
    example : Example
        What to draw, from `unsample.draw.example`.
    view : "stamps", "gather", "matrix" or "overlap", optional
        A key of `VIEWS`; the stamps of a way up and the windows of a way down unless given.
    ax : matplotlib Axes, optional
        Draw here instead of on a new figure; the axes lose their frame, text grows and shrinks with them.
    dark : bool
        Light text on a dark ground.

    Returns
    -------
    matplotlib.figure.Figure
        Without a window: in a notebook it shows itself, elsewhere `savefig` writes it.

    Raises
    ------
    ShapeError
        Where there is no such view, or it would have more cells than anybody reads.

    Examples
    --------
    >>> from unsample import draw
    >>> fig7 = draw.figure(draw.example("conv_transpose", 2, "x,y,z", stride=2))
    >>> type(fig7)
    <class 'matplotlib.figure.Figure'>
    """
    from unsample.draw.paint import paint

    return paint(sheet(example, view), ax=ax, dark=dark)


def stamps(example: Example, *, ax: "Axes | None" = None, dark: bool = False) -> "Figure":
    """Each input element stamps its window, overlaps add: one colour per input. As `figure`."""
    return figure(example, "stamps", ax=ax, dark=dark)


def gather(example: Example, *, ax: "Axes | None" = None, dark: bool = False) -> "Figure":
    """Each output element collects its taps: one colour per output. As `figure`."""
    return figure(example, "gather", ax=ax, dark=dark)


def matrix(example: Example, *, ax: "Axes | None" = None, dark: bool = False) -> "Figure":
    """X, the way down, beside its transpose, the way up; one window framed in both. As `figure`."""
    return figure(example, "matrix", ax=ax, dark=dark)


def overlap(example: Example, *, ax: "Axes | None" = None, dark: bool = False) -> "Figure":
    """How many stamps meet in each element of the larger side: the checkerboard, seen. As `figure`."""
    return figure(example, "overlap", ax=ax, dark=dark)


def text(example: Example, view: str | None = None, *, width: int = 100, ascii: bool = False) -> str:
    """A view in Unicode characters, at most `width` columns where its widest board has room.

    Examples
    --------
    >>> from unsample import draw
    >>> print(draw.text(draw.example("bed_of_nails", [3, 5], factor=2), "overlap"))
    bed_of_nails, factor 2
    2 → 4
    <BLANKLINE>
    stamps that meet in each output
    ┌───┬───┬───┬───┐
    │ 1 │ 0 │ 1 │ 0 │
    └───┴───┴───┴───┘
    <BLANKLINE>
    0 to 1, depending on the place
    size: 2 × 2 = 4
    <BLANKLINE>
    """
    return as_text(sheet(example, view), width=width, ascii=ascii)
