"""Windows as a list of integers, the form in which operators take them.

Seven integers per axis: fine, coarse, size, stride, dilation, before, after; an adaptive window has size 0.
Of an axis that is resized five: its source and its target, and (first, step, denominator) of where targets
look, three zeros where a word says that. What padding holds is told by a word beside them.
Switches are a pytree node whose one leaf is the tensor of taps, so that they pass through
`torch.compile`, `torch.export` and `torch.func`.
"""

from collections.abc import Sequence
from typing import Any

import torch.utils._pytree as pytree

from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window
from unsample.switches import Switches

PER_AXIS = 7
PER_RESAMPLED = 5

Windows = tuple[AnyWindow, ...]


def to_ints(windows: Sequence[Any]) -> list[int]:
    """Windows, or sizes and positions -> integers.

    Examples
    --------
    >>> to_ints((Window(6, 3, 2, 2), AdaptiveWindow(7, 3)))
    [6, 3, 2, 2, 1, 0, 0, 7, 3, 0, 0, 0, 0, 0]
    """
    numbers: list[int] = []
    for w in windows:
        if isinstance(w, tuple):
            numbers += w
        elif isinstance(w, Window):
            numbers += [w.fine, w.coarse, w.size, w.stride, w.dilation, w.before, w.after]
        else:
            numbers += [w.fine, w.coarse, 0, 0, 0, 0, 0]
    return numbers


def from_ints(numbers: Sequence[int]) -> Windows:
    """Integers -> windows.

    Examples
    --------
    >>> from_ints([7, 3, 0, 0, 0, 0, 0])
    (AdaptiveWindow(fine=7, coarse=3),)
    """
    windows: list[AnyWindow] = []
    for i in range(0, len(numbers), PER_AXIS):
        fine, coarse, size, stride, dilation, before, after = numbers[i : i + PER_AXIS]
        if size == 0:
            windows.append(AdaptiveWindow(fine, coarse))
        else:
            windows.append(Window(fine, coarse, size, stride, dilation, before, after))
    return tuple(windows)


def resampled_from_ints(numbers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Integers -> source, target and positions of every axis.

    Examples
    --------
    >>> resampled_from_ints([1, 2, 0, 0, 0, 3, 4, -1, 6, 8])
    ((1, 2, 0, 0, 0), (3, 4, -1, 6, 8))
    """
    return tuple(tuple(numbers[i : i + PER_RESAMPLED]) for i in range(0, len(numbers), PER_RESAMPLED))


def fine_size(numbers: Sequence[int]) -> list[int]:
    """The spatial size of what was pooled."""
    return list(numbers[0::PER_AXIS])


def _flatten(switches: Switches) -> tuple[list[Any], Any]:
    return [switches.taps], switches.windows


def _flatten_with_keys(switches: Switches) -> tuple[list[Any], Any]:
    return [(pytree.GetAttrKey("taps"), switches.taps)], switches.windows


def _unflatten(leaves: Any, windows: Any) -> Switches:
    (taps,) = leaves
    return Switches(taps, windows)


pytree.register_pytree_node(
    Switches,
    _flatten,
    _unflatten,
    serialized_type_name="unsample.Switches",
    to_dumpable_context=lambda windows: to_ints(windows),
    from_dumpable_context=lambda numbers: from_ints(numbers),
    flatten_with_keys_fn=_flatten_with_keys,
)
