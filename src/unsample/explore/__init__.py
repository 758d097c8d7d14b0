"""The explorable page: choose a way up, change its settings and numbers, and see what meets what.

Read `state.py` first: what the page knows, and the same call made with the library. Then `arithmetic.js`,
the page's own arithmetic, which the tests hold to the library's; `link.js` (state <-> address), `call.js`
(state -> Python) and `words.js` (sentences); `parts.js` and `pictures.js`, what is seen. What happens on the
page has a file per question: `frame.js`, `controls.js`, `code.js`, `steps.js`, `lights.js`, `edits.js`;
`explore.js` goes from a change to a drawing. `page.py` makes one file of them, `widget.py` a notebook widget.

`unsample.explore` is the function below, as `unsample.matrix` is the function of its module: the package
takes it by name when it is imported, and nothing rebinds it later. `from unsample.explore.page import page`
still finds the modules.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unsample.explore.widget import Explorer

__all__ = ["explore"]


def explore(
    way_up: str | Callable[..., Any] = "conv_transpose",
    *,
    path: str | os.PathLike[str] | None = None,
    direction: str = "up",
    rank: int | None = None,
    y: Any = None,
    x: Any = None,
    weight: Any = None,
    **settings: Any,
) -> "Path | Explorer":
    """Open a page in which one way up, its numbers and its settings can be changed and seen.

    Parameters
    ----------
    way_up : str or function
        "nearest", "bed_of_nails", "max_unpool", "conv_transpose", "pixel_shuffle" or "resize", or the
        function itself.
    path : path, optional
        Where to write the page: one HTML file that needs no server and loads nothing. Without it a
        notebook shows a widget, and anything else writes `unsample-explore.html` in the current folder.
    direction : "up" or "down"
        Show the way up, or the way down that it is the transpose of.
    rank : 1 or 2, optional
        Spatial axes; as many as the arrays or the settings have, else 1.
    y, x : array_like, optional
        The numbers of the smaller and of the larger side, (*spatial) without batch and, but for
        "pixel_shuffle", without channels. For "max_unpool" x is what was pooled, and y its values
        unless given.
    weight : array_like, (*kernel), optional
        The kernel of "conv_transpose".
    **settings
        What the operation takes, by its names: factor, at, kernel_size, stride, padding, dilation,
        padding_mode, output_padding, output_size, ceil_mode, duplicates, order, method, convention,
        antialias; and size, the spatial size of y ("max_unpool": of x), and channels, those of the
        output of "pixel_shuffle".

    Returns
    -------
    Path or Explorer
        Of the file written; in a notebook the widget, whose `state` follows what is done in it.

    Raises
    ------
    ShapeError, TypeError
        Where the operation refuses a setting, or the page cannot draw it.
    ImportError
        In a notebook without anywidget.
    OSError
        Where the file cannot be written.

    Examples
    --------
    The article's Fig. 7, to be played with:

    >>> import unsample as us
    >>> path = us.explore("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2, path="fig7.html")
    ... # doctest: +SKIP
    """
    from unsample.explore.state import make_state

    state = make_state(way_up, direction=direction, rank=rank, y=y, x=x, weight=weight, **settings)
    if path is None and _in_notebook():
        try:
            from unsample.explore.widget import Explorer
        except ModuleNotFoundError as missing:
            if missing.name not in ("anywidget", "traitlets"):
                raise
            raise ImportError(
                "explore: the notebook widget needs anywidget: pip install 'unsample[explore]'"
            ) from None
        return Explorer(state)
    from unsample.explore.page import write

    return write("unsample-explore.html" if path is None else path, state)


def _in_notebook() -> bool:
    """Whether a front end that shows widgets runs this code: a Jupyter kernel (VS Code, Colab) or marimo."""
    ipython, marimo = sys.modules.get("IPython"), sys.modules.get("marimo")
    if marimo is not None and marimo.running_in_notebook():
        return True
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")
