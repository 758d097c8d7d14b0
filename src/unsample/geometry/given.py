"""Windows that somebody gives instead of arguments: what is asked of them before a plan is made.

Operators of torch carry their windows as integers, and anybody may call an operator, or a file may.
"""

from collections.abc import Sequence

from unsample.errors import ShapeError
from unsample.geometry.reach import REACH
from unsample.geometry.window import AdaptiveWindow, AnyWindow


def check_given(
    operation: str, array: str, shape: Sequence[int], windows: Sequence[AnyWindow], lies: str, up: bool
) -> None:
    """Refuse windows that no arguments make, or that do not lie on the last axes of an array of `shape`.

    Examples
    --------
    >>> from unsample.geometry import Window
    >>> check_given("nearest", "x", (1, 1, 4), [Window(fine=8, coarse=4, size=2, stride=2)], "blocks", True)
    """
    if not windows or len(windows) > len(shape):
        raise ShapeError(
            f"{operation}: windows must be one per spatial axis of {array}, got {len(windows)} "
            f"for shape {tuple(shape)}"
        )
    for axis, window in enumerate(windows):
        if not _made(window, lies, up):
            raise ShapeError(
                f"{operation}: windows must be such as its arguments make, "
                f"got {window} on spatial axis {axis}"
            )
    check_near(operation, array, shape, [window.coarse if up else window.fine for window in windows])


def check_near(operation: str, array: str, shape: Sequence[int], size: Sequence[int]) -> None:
    """Refuse an array whose last axes are not of this size."""
    if len(size) > len(shape) or tuple(shape[len(shape) - len(size) :]) != tuple(size):
        raise ShapeError(
            f"{operation}: {array} must have the spatial size {tuple(size)} of the windows, "
            f"got shape {tuple(shape)}"
        )


def _made(window: AnyWindow, lies: str, up: bool) -> bool:
    """Whether arguments make such a window."""
    if isinstance(window, AdaptiveWindow):
        return lies == "pooled"
    # Steps that nobody takes may be of any length, see `settled`.
    stride = window.stride if window.coarse > 1 else 1
    dilation = window.dilation if window.size > 1 else 1
    numbers = (window.fine, window.coarse, window.size, stride, dilation, window.before, window.after)
    if not all(-REACH < number < REACH for number in numbers):
        return False
    if min(window.fine, window.coarse) < 0 or min(window.size, window.stride, window.dilation) < 1:
        return False
    if lies in ("blocks", "nails") and window.dilation != 1:
        return False
    if lies == "blocks":
        rest = window.fine - window.coarse * window.size  # a way down is asked about it by `check_divides`
        whole = rest == 0 if up else 0 <= rest < window.size
        return whole and window.stride == window.size and window.before == window.after == 0
    if lies == "nails":
        inside = window.size == 1 and -window.stride < window.before <= 0 == window.after
        return inside and window.coarse == -(-(window.fine + window.before) // window.stride)
    room = window.fine + window.before + window.after - window.extent
    return window.coarse == 0 or (window.fine > 0 and room >= (window.coarse - 1) * window.stride)
