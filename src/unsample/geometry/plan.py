"""What one call will do, known before it is done."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import is_
from typing import Any, TypeVar

from unsample.geometry.arguments import check_allocation, is_symbol
from unsample.geometry.reach import check_elements, check_reach
from unsample.geometry.resample import Resample
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Tap, Window, taps

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """One call of one operation: shapes, windows and cost; no data.

    Parameters
    ----------
    operation : str
        The public function, as errors name it.
    input_shape, output_shape : tuple of int
        Of the linear argument and of the result, as the caller sees them.
    windows : tuple of Window or AdaptiveWindow
        One per spatial axis; empty for a resize.
    resamples : tuple of Resample
        One per spatial axis of a resize.
    products : int
        Multiplications wherever a tap meets an element: batch, times the channels of both sides.
    """

    operation: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    windows: tuple[AnyWindow, ...] = ()
    resamples: tuple[Resample, ...] = ()
    products: int = 0

    def __hash__(self) -> int:
        """The hash of the shapes, which tell most plans apart: hashing the windows takes 1 us more."""
        return hash((self.operation, self.input_shape, self.output_shape))

    def __post_init__(self) -> None:
        check_allocation(self.operation, self.output_shape)
        before, after = self.input_shape, self.output_shape
        if any(map(is_symbol, (*before, *after, *self.fine, *self.coarse))):
            return
        check_elements(self.operation, before)
        check_elements(self.operation, after)
        if self.windows:
            rank = len(self.windows)
            leading = before[: len(before) - rank], after[: len(after) - rank]
            check_reach(self.operation, leading, self.windows)
        for axis in range(len(before) - len(self.resamples), len(before)):  # one after the other
            check_elements(self.operation, (*after[:axis], *before[axis:]))

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.windows or self.resamples)

    @property
    def fine(self) -> tuple[int, ...]:
        """Spatial size of the larger side: the input of a way down, the output of a way up."""
        return tuple(window.fine for window in self.windows)

    @property
    def coarse(self) -> tuple[int, ...]:
        """Spatial size of the smaller side: how many windows there are."""
        return tuple(window.coarse for window in self.windows)

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps of a window, per axis."""
        return tuple(window.size for window in self.windows)

    @property
    def tiles(self) -> bool:
        """Whether the stamps do not overlap, so that they may be copied instead of added."""
        return all(window.tiles for window in self.windows)

    @property
    def multiply_adds(self) -> int:
        """Multiplications of an element by a weight, those that meet padding left out."""
        if self.resamples:
            return self._resize_cost()
        return self.products * meetings(self.windows) if self.products else 0

    def _resize_cost(self) -> int:
        """Multiply-adds of the axes, one after the other, from the sources to the targets."""
        lines = math.prod(self.input_shape[: len(self.input_shape) - self.rank])
        cost = 0
        for axis, resample in enumerate(self.resamples):
            if not resample.copies and resample.changes:
                others = [a.target for a in self.resamples[:axis]]
                others += [a.source for a in self.resamples[axis + 1 :]]
                cost += lines * math.prod(others) * resample.meetings()
        return cost

    def taps(self) -> Iterator[Tap]:
        """Every tap with the elements it meets, in C order."""
        return taps(self.windows)

    def output_bytes(self, itemsize: int) -> int:
        """Bytes of the result for elements of `itemsize` bytes."""
        return math.prod(self.output_shape) * itemsize


def plan_of_windows(
    operation: str,
    shape: Sequence[int],
    windows: Sequence[AnyWindow],
    *,
    up: bool,
    channels: int | None = None,
    products: int = 0,
) -> Plan:
    """The plan of a call with these windows on the last axes of `shape`.

    Parameters
    ----------
    operation : str
    shape : sequence of int
        Of the linear argument.
    windows : sequence of Window or AdaptiveWindow
    up : bool
        Whether it leads from the windows to the elements they lie on, or back.
    channels : int, optional
        What the axis before the windows becomes, where it changes.
    products : int
        As in `Plan`.
    """
    leading = list(shape[: len(shape) - len(windows)])
    if channels is not None:
        leading[-1] = channels
    size = [window.fine if up else window.coarse for window in windows]
    return Plan(operation, tuple(shape), (*leading, *size), tuple(windows), products=products)


def cached_plan(plan: Callable[..., T], shapes: tuple[Any, ...], *args: Any, **options: Any) -> T:
    """`plan(*shapes, *args, **options)`, kept: a network makes the same few calls again and again.

    `plan` makes a plan, or what one is made of.

    The last call of these shapes is known by the identity of its other arguments, in half the time that it
    takes to compare values (1 of 6 us of a small call).
    """
    given = (*args, *options.values())
    key = (plan, shapes, *options)
    try:
        last = _LAST.get(key)
    except TypeError:  # symbols for sizes
        return plan(*shapes, *args, **options)
    if last is not None and all(map(is_, last[0], given)):
        return last[1]  # type: ignore[no-any-return]
    for value in (*shapes, *given):
        if type(value) in _SINGLE or _plain(value):
            continue
        return plan(*shapes, *args, **options)
    found: T = _cached(plan, *shapes, *args, **options)
    if len(_LAST) >= _MOST:
        _LAST.clear()
    _LAST[key] = given, found
    return found


_MOST = 1024
_LAST: dict[Any, tuple[tuple[Any, ...], Any]] = {}


# Only arguments that are told apart by value alone are looked up: True, 1.0 and 1 would be one.
@lru_cache(maxsize=_MOST, typed=True)
def _cached(plan: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return plan(*args, **kwargs)


def _plain(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        kinds = set(map(type, value))
        return kinds <= _PLAIN or (kinds <= _NESTED and all(map(_plain, value)))
    return kind in _SINGLE


_PLAIN = frozenset((int, str, type(None), Window, AdaptiveWindow))
_NESTED = _PLAIN | {tuple}
_SINGLE = _PLAIN | {bool}  # `typed` tells bool from int, but not inside a tuple


def meetings(windows: Sequence[AnyWindow]) -> int:
    """How many (window, element) pairs the taps make, padding left out.

    Examples
    --------
    >>> from unsample.geometry import Window
    >>> meetings([Window(fine=4, coarse=4, size=3, before=1, after=1)])  # 12 less the 2 outside
    10
    """
    return math.prod([window.meetings for window in windows])
