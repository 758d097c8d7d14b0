"""The page as a notebook widget: the same script and style, the state synchronised with Python."""

from typing import Any

import anywidget
import traitlets

from unsample.explore.page import read, script
from unsample.explore.state import State, check_state, make_state, run


class Explorer(anywidget.AnyWidget):
    """The page in a notebook.

    Parameters
    ----------
    state : dict
        As `unsample.explore.state.make_state` makes it. It follows what is done in the page, and the page
        follows it; observe it as any trait.

    Examples
    --------
    >>> import unsample as us
    >>> widget = Explorer(make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2))
    >>> widget.output
    array([ 2,  3, 24, 30, 40])
    """

    _esm = script()
    _css = read("explore.css")

    state = traitlets.Dict().tag(sync=True)

    def __init__(self, state: State | None = None, **kwargs: Any) -> None:
        super().__init__(state=make_state() if state is None else state, **kwargs)

    @traitlets.validate("state")
    def _whole(self, proposal: Any) -> State:
        return check_state(proposal["value"])

    @property
    def output(self) -> Any:
        """What the library makes of the present state, a NumPy array.

        Raises ShapeError where the library refuses the setting, or where numbers that were not given are not
        filled yet because the page has not been shown.
        """
        return run(self.state)
