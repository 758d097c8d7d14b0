"""VIEWS, the table of the four views: an example arranged on one sheet, or on the steps of an animation."""

from collections.abc import Callable
from dataclasses import dataclass

from unsample.draw import caption
from unsample.draw.example import Example
from unsample.draw.sheet import Sheet
from unsample.draw.view_gather import gather_sheet, gather_steps
from unsample.draw.view_matrix import matrix_sheet, matrix_steps
from unsample.draw.view_overlap import overlap_sheet, overlap_steps
from unsample.draw.view_stamps import stamps_sheet, stamps_steps
from unsample.geometry import ShapeError
from unsample.geometry.arguments import choice

# More cells than this are no picture any more.
MOST_CELLS = 6000
MOST_STEPS = 256


@dataclass(frozen=True)
class View:
    """A row of VIEWS."""

    sheet: Callable[[Example], Sheet]
    steps: Callable[[Example], list[Sheet]]
    cells: Callable[[Example], int]
    sentence: str


def natural(example: Example) -> str:
    """The view where none is asked for: a way up stamps, a way down gathers."""
    return "stamps" if example.up else "gather"


def sheet(example: Example, view: str | None = None) -> Sheet:
    """The whole drawing.

    Raises
    ------
    ShapeError
        Where there is no such view, or it would have more cells than anybody reads.
    """
    view = natural(example) if view is None else view
    _check(example, view)
    return VIEWS[view].sheet(example)


def steps(example: Example, view: str | None = None) -> list[Sheet]:
    """The frames of the animation, all of one layout.

    Raises
    ------
    ShapeError
        As `sheet`, and where there would be too many steps.
    """
    view = natural(example) if view is None else view
    choice("draw", "view", view, tuple(VIEWS))
    number = example.output.size if view == "gather" else example.input.size
    if view == "matrix":
        number = example.coarse.size
    if number > MOST_STEPS:
        raise ShapeError(
            f"draw: an animation of {view} would have {number} steps, at most {MOST_STEPS} can be watched; "
            f"take a smaller input"
        )
    if view != "gather" and view != "stamps":
        _check(example, view)
    return VIEWS[view].steps(example)


def _check(example: Example, view: str) -> None:
    choice("draw", "view", view, tuple(VIEWS))
    number = VIEWS[view].cells(example)
    if number > MOST_CELLS:
        others = [name for name, each in VIEWS.items() if each.cells(example) <= MOST_CELLS]
        hint = f" or view {' or '.join(map(repr, others))}" if others else ""
        raise ShapeError(
            f"draw: view {view!r} of {caption.sizes(example)} would have {number} cells, "
            f"at most {MOST_CELLS} can be read; take a smaller input{hint}"
        )


def _panels(example: Example) -> int:
    return example.input.size * example.output.size


VIEWS: dict[str, View] = {
    "stamps": View(stamps_sheet, stamps_steps, _panels, "each input element stamps its window, overlaps add"),
    "gather": View(gather_sheet, gather_steps, _panels, "each output collects its taps"),
    "matrix": View(
        matrix_sheet, matrix_steps, lambda each: 2 * _panels(each), "X beside Xᵀ, one window framed in both"
    ),
    "overlap": View(
        overlap_sheet, overlap_steps, lambda each: each.fine.size, "how many stamps meet in each output"
    ),
}

__all__ = ["VIEWS", "View", "sheet", "steps"]
