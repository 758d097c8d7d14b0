"""How far windows may reach, so that nothing that is counted leaves 64 bits.

Python's integers have no end; those of kernels, frameworks and index arrays have 64 bits. Every plan passes
through here, so that what computes may multiply and add the numbers of a plan without looking.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from unsample.errors import ShapeError
from unsample.geometry.arguments import has_symbols, is_symbol
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window

WindowT = TypeVar("WindowT", Window, AdaptiveWindow, AnyWindow)

# An eighth of what 64 signed bits count to: sums of a few such numbers fit too.
REACH = 2**60
# The widest switches have 32 bits.
MOST_TAPS = 2**32


def settled(windows: tuple[WindowT, ...]) -> tuple[WindowT, ...]:
    """`windows` with a stride of 1 where there is one window, and a dilation of 1 where there is one tap.

    Nobody takes these steps, and however long they are, they change nothing.

    Examples
    --------
    >>> settled((Window(fine=5, coarse=1, size=3, stride=2**40),))[0].stride
    1
    """
    return tuple([_settled(window) for window in windows])


def _settled(window: WindowT) -> WindowT:
    if not isinstance(window, Window) or has_symbols(window.coarse):
        return window
    stride = window.stride if window.coarse > 1 else 1
    dilation = window.dilation if window.size > 1 else 1
    if (stride, dilation) == (window.stride, window.dilation):
        return window
    return replace(window, stride=stride, dilation=dilation)


def check_reach(operation: str, leading: Iterable[Sequence[int]], windows: tuple[AnyWindow, ...]) -> None:
    """Refuse windows that reach too far to be counted with all other axes.

    `leading` are the axes before the windows, of each array that the windows lie on. An axis of length 0
    counts as 1: what follows from the other axes is reckoned all the same.
    """
    leading = list(leading)
    if any(map(is_symbol, itertools.chain(*leading))):
        return
    taps = math.prod(
        [max(window.fine if isinstance(window, AdaptiveWindow) else window.size, 1) for window in windows]
    )
    if taps >= REACH:
        raise ShapeError(f"{operation}: a window must have less than 2**60 taps, got {taps}")
    lines = max(math.prod([max(n, 1) for n in axes]) for axes in leading)
    sizes = [max(window.fine, window.coarse, 1) for window in windows]
    everything = lines * math.prod(sizes)
    for axis, (window, size) in enumerate(zip(windows, sizes, strict=True)):
        reach = span(window)
        if reach * (everything // size) >= REACH:
            raise ShapeError(
                f"{operation}: windows must span less than 2**60 elements, all other axes counted, "
                f"got {reach} times {everything // size} on spatial axis {axis}"
            )


def span(window: AnyWindow) -> int:
    """The elements of an axis, its padding, its windows from first to last and the taps of one, added up."""
    if isinstance(window, AdaptiveWindow):
        return window.fine + window.coarse
    return (
        window.fine
        + abs(window.before)
        + abs(window.after)
        + max(window.coarse - 1, 0) * window.stride
        + window.extent
    )


def check_elements(operation: str, shape: Sequence[int]) -> None:
    """Refuse a shape whose axes, those of length 0 counted as 1, make too many elements to count.

    Arrays of such shapes exist where an axis is 0, but not in every library.
    """
    elements = math.prod([max(n, 1) for n in shape])
    if elements >= REACH:
        raise ShapeError(
            f"{operation}: the axes of an array must make less than 2**60 elements, those of length 0 "
            f"counted as 1, got shape {tuple(shape)}"
        )


def check_tap_count(operation: str, windows: tuple[AnyWindow, ...]) -> None:
    """Refuse windows with more taps than a switch can name."""
    most = math.prod(
        [window.fine if isinstance(window, AdaptiveWindow) else window.size for window in windows]
    )
    taps = most if most <= MOST_TAPS else math.prod([window.size for window in windows])
    if taps > MOST_TAPS:
        raise ShapeError(f"{operation}: a window must have at most 2**32 taps, got {taps}")
