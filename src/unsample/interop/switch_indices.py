"""Switches in the conventions of torch, TensorFlow and ONNX, every value checked.

All three store a flat *position* where this library stores a tap number. They differ in what is flattened:
one plane of the input (torch), plane and channel with channels last (TensorFlow), the whole tensor (ONNX).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from unsample.arrays.library import constant, has_values, namespace, position_dtype, to_numpy
from unsample.errors import ShapeError, SwitchError
from unsample.geometry.arguments import (
    POOL_PADDING_WORDS,
    count,
    describe,
    integer,
    integers,
    is_symbol,
    known,
    paddings,
    per_axis,
    symbolic,
)
from unsample.geometry.reach import REACH, check_tap_count, settled
from unsample.geometry.sizes import windows_over
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window, floor_sum

Windows = tuple[AnyWindow, ...]


def pool_windows(operation: str, input_size: Sequence[int], *args: Any, **options: Any) -> Windows:
    """The windows of `written_windows`, `settled` as switches have them."""
    return settled(written_windows(operation, input_size, *args, **options))


def written_windows(
    operation: str,
    input_size: Sequence[int],
    kernel_size: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    output_size: Any = None,
) -> Windows:
    """The windows of a max pooling, given as to `max_pool` or (`output_size`) to `adaptive_max_pool`.

    No window may lie in the padding alone: it would have no maximum, and no tap that won.
    """
    size = integers(operation, "input_size", input_size, minimum=0)
    rank = len(size)
    if (kernel_size is None) == (output_size is None):
        raise ShapeError(f"{operation}: exactly one of kernel_size and output_size must be given")
    if output_size is not None:
        wanted = per_axis(operation, "output_size", output_size, rank, minimum=0)
        for n, m in zip(size, wanted, strict=True):
            if not symbolic(n, m) and n == 0 and m > 0:
                raise ShapeError(
                    f"{operation}: output_size must be 0 on an axis without elements, "
                    f"got {wanted} for an input of size {size}"
                )
        adaptive = tuple(AdaptiveWindow(n, m) for n, m in zip(size, wanted, strict=True))
        if not symbolic(*size, *wanted):
            check_tap_count(operation, adaptive)
        return adaptive
    windows = windows_of(operation, size, kernel_size, stride, padding, dilation, ceil_mode)
    if not symbolic(*size):
        for axis, window in enumerate(windows):
            _check_pool_window(operation, axis, window)
        check_tap_count(operation, windows)
    return windows


def windows_of(
    operation: str,
    size: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Window, ...]:
    """The windows of these arguments, of padding alone or not."""
    rank = len(size)
    kernel = per_axis(operation, "kernel_size", kernel_size, rank, minimum=1)
    steps = per_axis(operation, "stride", kernel if stride is None else stride, rank, minimum=1)
    spread = per_axis(operation, "dilation", dilation, rank, minimum=1)
    # "full" is a word of convolutions, whose transpose has its size.
    pads = paddings(operation, padding, rank, minimum=0, words=POOL_PADDING_WORDS)
    if not isinstance(ceil_mode, bool | np.bool_):
        raise TypeError(f"{operation}: ceil_mode must be a bool, got {describe(ceil_mode)}")
    return windows_over(operation, size, kernel, steps, pads, spread, ceil_mode=bool(ceil_mode))


def check_pooled(operation: str, windows: Any) -> None:
    """Refuse windows that no max pooling makes: Switches may be made by hand, of any numbers."""
    if type(windows) is not tuple or not windows or not {type(each) for each in windows} <= _WINDOWS.keys():
        raise TypeError(
            f"{operation}: windows must be a tuple of Window or AdaptiveWindow, one per spatial axis, "
            f"got {describe(windows)}"
        )
    numbers = [[getattr(window, name) for name in _WINDOWS[type(window)]] for window in windows]
    if any(is_symbol(number) for each in numbers for number in each):
        return
    for axis, (window, each) in enumerate(zip(windows, numbers, strict=True)):
        if not all(type(number) is int and -REACH < number < REACH for number in each):
            raise ShapeError(
                f"{operation}: the numbers of windows must be ints below 2**60, "
                f"got others on spatial axis {axis}"
            )
        if not _is_pooled(window):
            raise ShapeError(
                f"{operation}: windows must be such as max pooling makes, got {window} on spatial axis {axis}"
            )
        if isinstance(window, Window):
            _check_pool_window(operation, axis, window)
    check_tap_count(operation, windows)


_WINDOWS = {
    Window: ("fine", "coarse", "size", "stride", "dilation", "before", "after"),
    AdaptiveWindow: ("fine", "coarse"),
}


def _is_pooled(window: AnyWindow) -> bool:
    """Whether there is a pooling with these windows, with or without `ceil_mode`."""
    n, m = window.fine, window.coarse
    if n < 0 or m < 0 or (n == 0 and m > 0):
        return False
    if isinstance(window, AdaptiveWindow):
        return True
    if min(window.size, window.stride, window.dilation) < 1 or min(window.before, window.after) < 0:
        return False
    if window.mode != "zeros" or (m == 0) != (n == 0):
        return False
    room = n + window.before + window.after - window.extent
    if m <= 1:  # of any stride
        return m == 0 or room >= 0
    return m - 1 in (room // window.stride, -(-room // window.stride))


def check_half(operation: str, windows: Windows) -> None:
    """Refuse padding beyond half a window: a rule of torch's layers alone."""
    for axis, window in enumerate(windows):
        if isinstance(window, Window) and max(window.before, window.after) > window.extent // 2:
            raise ShapeError(
                f"{operation}: padding must be at most half of the {window.extent} elements that a window "
                f"spans, as in torch, got {(window.before, window.after)} on spatial axis {axis}"
            )


def _check_pool_window(operation: str, axis: int, window: Window) -> None:
    empty = first_empty(window)
    if empty < window.coarse:
        raise ShapeError(
            f"{operation}: every window must hold an element of the input, "
            f"window {empty} of spatial axis {axis} holds padding alone "
            f"(size {window.fine}, kernel_size {window.size}, "
            f"padding {(window.before, window.after)}, dilation {window.dilation})"
        )


def first_empty(window: Window) -> int:
    """The first window that meets no element, `coarse` or beyond if there is none.

    There are three ways to be empty: to end before the axis, which only the first windows can, to begin
    behind it, and to begin before it with taps so far apart that none falls on it.

    Examples
    --------
    >>> first_empty(Window(fine=3, coarse=4, size=2, stride=1, before=1))
    4
    >>> first_empty(Window(fine=1, coarse=2, size=2, stride=1, dilation=2, before=1, after=2))
    0
    """
    if window.before >= window.extent:
        return 0
    behind = -(-(window.fine + window.before) // window.stride)
    early = min(window.coarse, -(-window.before // window.stride))  # windows that begin before the axis

    def over(windows: int) -> int:
        """How many of the first `windows` miss the axis; their taps are alike modulo the dilation."""
        line = windows, window.dilation, window.stride
        return windows - floor_sum(*line, -window.before) + floor_sum(*line, -window.before - window.fine)

    if window.dilation <= window.fine or early <= 0 or not over(early):
        return behind
    return bisect_left(range(early + 1), 1, key=over) - 1


# -- taps <-> positions ------------------------------------------------------------------------------


def positions_of_taps(taps: Any, windows: Windows) -> tuple[Any, ...]:
    """The position of every tap along every axis, int64."""
    xp = namespace("Switches", ("integer",), switches=taps)
    rest = xp.astype(taps, position_dtype(taps))
    positions = []
    for axis in reversed(range(len(windows))):
        window = windows[axis]
        t = rest % max(window.size, 1)
        rest = rest // max(window.size, 1)
        positions.append(_per_window(taps, windows, axis, "start") + t * window.dilation)
    return tuple(reversed(positions))


def taps_of_positions(
    operation: str, positions: Sequence[Any], windows: Windows, dtype: str, indices: Any
) -> Any:
    """The tap of every position in its own window; `indices` is what the error shows."""
    xp = namespace(operation, ("integer",), indices=indices)
    number = indices * 0
    for axis, window in enumerate(windows):
        offset = positions[axis] - _per_window(indices, windows, axis, "start")
        t = offset // window.dilation
        inside = (t >= 0) & (t < _per_window(indices, windows, axis, "length"))
        inside = inside & (offset % window.dilation == 0)
        _refuse(operation, inside, indices, "a position inside its own window", windows)
        number = number * window.size + t
    return xp.astype(number, getattr(xp, dtype))


def check_taps(operation: str, taps: Any, windows: Windows) -> None:
    """SwitchError at the first tap number that no element of its window has."""
    xp = namespace(operation, ("integer",), switches=taps)
    number = xp.astype(taps, position_dtype(taps))
    good = (number >= 0) & (number < math.prod(window.size for window in windows))
    if not all(_never_outside(window) for window in windows):
        for axis, p in enumerate(positions_of_taps(taps, windows)):
            start = _per_window(taps, windows, axis, "start")
            reach = _per_window(taps, windows, axis, "length") * windows[axis].dilation
            good = good & (p >= 0) & (p < windows[axis].fine) & (p - start < reach)
    _refuse(operation, good, taps, "a tap of its window that meets the input", windows, "switch")


def _never_outside(window: AnyWindow) -> bool:
    """Whether every tap of every window meets an element."""
    if isinstance(window, AdaptiveWindow):
        return window.tiles
    last = window.start(window.coarse - 1) + window.extent
    return window.coarse == 0 or (window.before <= 0 and last <= window.fine)


def _per_window(like: Any, windows: Windows, axis: int, what: str) -> Any:
    """`start` or `length` of every window of an axis, shaped to broadcast against the switches."""
    window = windows[axis]
    values = window.starts() if what == "start" else window.lengths()
    return constant(like, values.reshape((-1, *(1,) * (len(windows) - axis - 1))))


def _refuse(operation: str, good: Any, shown: Any, rule: str, windows: Windows, noun: str = "index") -> None:
    """SwitchError at the first False of `good`; nothing while there are no values to look at."""
    if not has_values(good):
        return
    bad = np.argwhere(~to_numpy(good))
    if not len(bad):
        return
    where = tuple(int(i) for i in bad[0])
    kernel = "x".join(str(window.size) for window in windows)
    size = tuple(window.fine for window in windows)
    raise SwitchError(
        f"{operation}: the {noun} at {where} must be {rule}, got {int(shown[where])} "
        f"(windows of {kernel} taps over {size} elements)"
    )


def _indices(operation: str, indices: Any, windows: Windows, channel_axes: int = 0) -> Any:
    """Indices as int64, of the shape that the pooling gives."""
    xp = namespace(operation, ("integer",), indices=indices)
    rank, coarse = len(windows), tuple(window.coarse for window in windows)
    shape = tuple(indices.shape)
    if channel_axes and len(shape) != rank + channel_axes:
        raise ShapeError(
            f"{operation}: indices must have a batch axis, a channel axis and {count(rank, 'window axis')}, "
            f"got shape {shape}"
        )
    if len(shape) < rank or shape[len(shape) - rank :] != coarse:
        raise ShapeError(
            f"{operation}: the window axes of indices must be {coarse}, as this pooling makes of "
            f"{tuple(window.fine for window in windows)}, got shape {shape}"
        )
    # A uint64 index beyond int64 wraps to a negative one, and is refused as that.
    return xp.astype(indices, position_dtype(indices))


def _ravel(positions: Sequence[Any], sizes: Sequence[int]) -> Any:
    flat = positions[0]
    for position, size in zip(positions[1:], sizes[1:], strict=True):
        flat = flat * size + position
    return flat


def _unravel(flat: Any, sizes: Sequence[int]) -> tuple[Any, ...]:
    positions = []
    for size in reversed(sizes):
        positions.append(flat % max(size, 1))
        flat = flat // max(size, 1)
    return tuple(reversed(positions))


def _counting(operation: str, like: Any, shape: tuple[int, ...], rank: int) -> Any:
    """0, 1, ... along axes of `shape`, batch or channels, before `rank` others."""
    known(operation, "the numbers of examples and channels that indices count", shape)
    return constant(like, np.arange(math.prod(shape)).reshape((*shape, *(1,) * rank)))


def _sizes(windows: Windows) -> tuple[int, ...]:
    return tuple(window.fine for window in windows)


# -- torch: flat in one plane ------------------------------------------------------------------------


def torch_indices(taps: Any, windows: Windows) -> Any:
    """Tap numbers -> torch's indices."""
    return _ravel(positions_of_taps(taps, windows), _sizes(windows))


def taps_of_torch(operation: str, indices: Any, windows: Windows, dtype: str) -> Any:
    """Torch's indices -> tap numbers."""
    flat = _indices(operation, indices, windows)
    sizes = _sizes(windows)
    inside = (flat >= 0) & (flat < math.prod(sizes))
    _refuse(operation, inside, flat, f"from 0 to {math.prod(sizes) - 1}", windows)
    return taps_of_positions(operation, _unravel(flat, sizes), windows, dtype, flat)


# -- TensorFlow: ((n * H + y) * W + x) * C + c, channels last ------------------------------------------


def tf_indices(taps: Any, windows: Windows, include_batch: bool) -> Any:
    """Tap numbers -> TensorFlow's indices."""
    xp = namespace("Switches.to_tf", ("integer",), switches=taps)
    rank = len(windows)
    n, c = _batch_and_channels("Switches.to_tf", taps, rank)
    flat = torch_indices(taps, windows)
    if include_batch:
        flat = flat + _counting("Switches.to_tf", flat, (n,), rank + 1) * math.prod(_sizes(windows))
    return xp.moveaxis(flat * c + _counting("Switches.to_tf", flat, (c,), rank), 1, -1)


def taps_of_tf(indices: Any, windows: Windows, dtype: str, include_batch: bool) -> Any:
    """TensorFlow's indices -> tap numbers, channels first."""
    operation = "Switches.from_tf"
    xp = namespace(operation, ("integer",), indices=indices)
    rank, sizes = len(windows), _sizes(windows)
    first = xp.moveaxis(indices, -1, 1) if indices.ndim == rank + 2 else indices
    shown = _indices(operation, first, windows, channel_axes=2)
    n, c = shown.shape[:2]
    flat = shown
    if include_batch:
        flat = flat - _counting(operation, flat, (n,), rank + 1) * (math.prod(sizes) * c)
    inside = (flat >= 0) & (flat < math.prod(sizes) * c)
    whose = "batch item" if include_batch else "image"
    _refuse(operation, inside, shown, f"a position in its own {whose}", windows)
    channel = _counting(operation, flat, (c,), rank)
    own = flat % max(c, 1) == channel
    _refuse(operation, own, shown, "a position in its own channel", windows)
    positions = _unravel(flat // max(c, 1), sizes)
    return taps_of_positions(operation, positions, windows, dtype, shown)


# -- ONNX: flat over N * C * spatial -----------------------------------------------------------------


def onnx_indices(taps: Any, windows: Windows, storage_order: int) -> Any:
    """Tap numbers -> ONNX's indices."""
    column_major = _column_major("Switches.to_onnx", storage_order)
    rank, sizes = len(windows), _sizes(windows)
    n, c = _batch_and_channels("Switches.to_onnx", taps, rank)
    positions = positions_of_taps(taps, windows)
    flat = _ravel(positions[::-1], sizes[::-1]) if column_major else _ravel(positions, sizes)
    planes = _counting("Switches.to_onnx", flat, (n, c), rank)
    return flat + planes * math.prod(sizes)


def taps_of_onnx(indices: Any, windows: Windows, dtype: str, storage_order: int) -> Any:
    """ONNX's indices -> tap numbers."""
    operation = "Switches.from_onnx"
    column_major = _column_major(operation, storage_order)
    rank, sizes = len(windows), _sizes(windows)
    shown = _indices(operation, indices, windows, channel_axes=2)
    n, c = shown.shape[:2]
    planes = _counting(operation, shown, (n, c), rank)
    flat = shown - planes * math.prod(sizes)
    inside = (flat >= 0) & (flat < math.prod(sizes))
    _refuse(operation, inside, shown, "a position in its own plane", windows)
    positions = _unravel(flat, sizes[::-1])[::-1] if column_major else _unravel(flat, sizes)
    return taps_of_positions(operation, positions, windows, dtype, shown)


def _column_major(operation: str, storage_order: int) -> bool:
    order = integer(operation, "storage_order", storage_order, minimum=0)
    if order > 1:
        raise ShapeError(f"{operation}: storage_order must be 0 (row-major) or 1 (column-major), got {order}")
    return order == 1


def _batch_and_channels(operation: str, taps: Any, rank: int) -> tuple[int, int]:
    if taps.ndim != rank + 2:
        raise ShapeError(
            f"{operation}: switches must have a batch axis, a channel axis and "
            f"{count(rank, 'window axis')}, got shape {tuple(taps.shape)}"
        )
    n, c = taps.shape[:2]
    return n, c
