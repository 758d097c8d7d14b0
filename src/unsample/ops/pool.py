"""Max pooling with switches; max unpooling and its transpose, the gather: weight 1 on a remembered tap."""

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from unsample.arrays import (
    ORDERED,
    ArrayT,
    constant,
    dtype_kind,
    has_values,
    namespace,
    native,
    position_dtype,
    sum_dtype,
    to_numpy,
    zeros,
)
from unsample.geometry.arguments import choice, rank_of
from unsample.geometry.errors import ShapeError
from unsample.geometry.plan import Plan
from unsample.geometry.window import AnyWindow, positions
from unsample.interop import pool_windows
from unsample.stamp import add_tap, along, place_tap, slice_tap
from unsample.switches import Switches, switch_dtype

DUPLICATES = ("last", "sum", "max", "error")


def plan_max_pool(
    shape: Sequence[int],
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> Plan:
    """The plan of `max_pool` for an input of `shape`."""
    shape = tuple(shape)
    rank = rank_of("max_pool", "kernel_size", kernel_size, shape)
    windows = pool_windows("max_pool", shape[-rank:], kernel_size, stride, padding, dilation, ceil_mode)
    return Plan("max_pool", shape, shape[:-rank] + tuple(w.coarse for w in windows), windows)


def plan_adaptive_max_pool(shape: Sequence[int], output_size: int | Sequence[int]) -> Plan:
    """The plan of `adaptive_max_pool` for an input of `shape`."""
    shape = tuple(shape)
    rank = rank_of("adaptive_max_pool", "output_size", output_size, shape)
    windows = pool_windows("adaptive_max_pool", shape[-rank:], output_size=output_size)
    return Plan("adaptive_max_pool", shape, shape[:-rank] + tuple(w.coarse for w in windows), windows)


def plan_max_unpool(shape: Sequence[int], switches: Switches, *, duplicates: str = "last") -> Plan:
    """The plan of `max_unpool` for values of `shape`."""
    choice("max_unpool", "duplicates", duplicates, DUPLICATES)
    _check_switches("max_unpool", switches)
    if tuple(shape) != switches.shape:
        raise ShapeError(
            f"max_unpool: values must have the shape {switches.shape} of the switches, got {tuple(shape)}"
        )
    return Plan("max_unpool", tuple(shape), switches.input_shape, switches.windows)


def plan_max_gather(shape: Sequence[int], switches: Switches) -> Plan:
    """The plan of `max_gather` for an input of `shape`."""
    _check_switches("max_gather", switches)
    if tuple(shape) != switches.input_shape:
        raise ShapeError(
            f"max_gather: x must have the shape {switches.input_shape} that was pooled, got {tuple(shape)}"
        )
    return Plan("max_gather", tuple(shape), switches.shape, switches.windows)


def _check_switches(operation: str, switches: Any) -> None:
    if not isinstance(switches, Switches):
        raise TypeError(
            f"{operation}: switches must be Switches, as max_pool returns them, got "
            f"{type(switches).__name__}; Switches.from_torch, from_tf and from_onnx convert indices"
        )
    switches.check(operation)


def max_pool(
    x: ArrayT,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> tuple[ArrayT, Switches]:
    """Keep the largest element of every window, and remember which tap it was.

        values[..., o] = max over t of x[..., o * stride + t * dilation - before]
        switches[..., o] = the t that won, counted in C order

    Transpose, the switches held fixed: `max_unpool`.

    Parameters
    ----------
    x : array, (..., *spatial)
        Any library; real, integer or bool.
    kernel_size : int or sequence of int
        Taps per axis. A sequence holds one per spatial axis and any axes may lead; an int means x is
        (N, C, *spatial).
    stride : int or sequence of int, optional
        Step from window to window; the kernel size unless given.
    padding : int, sequence of int or of pairs (before, after), "valid", "same"
        At most half a window. Padding is never chosen: it acts like -inf.
    dilation : int or sequence of int
        Step from tap to tap.
    ceil_mode : bool
        Whether a last window may hang over the end (it must start inside the input or the padding before).

    Returns
    -------
    values : array, (..., *windows)
    switches : Switches
        One byte per window, with the windows.

    Raises
    ------
    ShapeError, TypeError
        Where an argument does not fit, or a window would hold padding alone.

    Notes
    -----
    Ties: the first tap wins (-0.0 and 0.0 tie). NaN wins over every number and the last NaN over the
    others, as in torch. A window of -inf remembers its first element. An axis of length 0 gives an
    axis of length 0. Source: the article, section 2 and Fig. 2; Zeiler, Taylor & Fergus (ICCV 2011)
    for the switches.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> values, switches = us.max_pool(np.array([[1, 3, 2, 1], [4, 0, 1, 5]]), (2, 2))
    >>> values, switches.taps
    (array([[4, 5]]), array([[2, 3]], dtype=uint8))
    """
    xp = namespace("max_pool", ORDERED, x=x)
    plan = plan_max_pool(
        x.shape,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    return _pool(xp, x, plan)


def adaptive_max_pool(x: ArrayT, output_size: int | Sequence[int]) -> tuple[ArrayT, Switches]:
    """Max pooling into a given number of windows, whatever the size.

        values[..., o] = max of x[..., floor(o * n / m) : ceil((o + 1) * n / m)]        (n elements, m
        windows)

    Transpose, the switches held fixed: `max_unpool`.

    Parameters
    ----------
    x : array, (..., *spatial)
        Any library; real, integer or bool.
    output_size : int or sequence of int
        Windows per axis; a sequence holds one per spatial axis, an int means x is (N, C, *spatial).

    Returns
    -------
    values : array, (..., *output_size)
    switches : Switches

    Raises
    ------
    ShapeError, TypeError
        Where `output_size` does not fit, or asks windows of an axis without elements.

    Notes
    -----
    Ties and NaN as in `max_pool`. Windows may overlap by one element and differ in length by one. Source:
    torch.nn.AdaptiveMaxPool2d.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> values, switches = us.adaptive_max_pool(np.array([1, 9, 2, 8, 3]), (3,))
    >>> values, switches.taps
    (array([9, 9, 8]), array([1, 0, 0], dtype=uint8))
    """
    xp = namespace("adaptive_max_pool", ORDERED, x=x)
    return _pool(xp, x, plan_adaptive_max_pool(x.shape, output_size))


def _pool(xp: Any, x: Any, plan: Plan) -> tuple[Any, Switches]:
    """One axis after the other, the last first: rows by their first maximum, then the first best row.

    That order finds the same winner as a walk over all taps in C order, ties and NaN included, and takes the
    sum of the kernel sizes in steps, not their product.
    """
    if xp is sys.modules.get("jax.numpy"):
        _make_pytree(sys.modules["jax"])
    dtype = getattr(xp, switch_dtype(plan.windows))
    # torch cannot add uint16 and uint32: wide windows count in int64 until the end.
    taps = zeros(x, tuple(x.shape), dtype if dtype == xp.uint8 else position_dtype(x))
    weight = 1
    for axis in reversed(range(plan.rank)):
        x, taps = _pool_axis(xp, x, taps, axis, plan.windows[axis], plan.rank, weight)
        weight *= plan.windows[axis].size
    return x, Switches(xp.astype(taps, dtype), plan.windows)


def _pool_axis(
    xp: Any, x: Any, taps: Any, axis: int, window: AnyWindow, rank: int, weight: int
) -> tuple[Any, Any]:
    """The best along one axis, and the tap numbers so far plus `weight` times the tap that won here."""
    shape = list(x.shape)
    shape[axis - rank] = window.coarse
    best, winner = zeros(x, tuple(shape)), zeros(taps, tuple(shape))
    if window.coarse == 0:
        return best, winner
    # Start from the first tap that meets the input, so that a window of -inf remembers it.
    first = [max(0, -(window.start(o) // window.dilation)) for o in range(window.coarse)]
    begin = positions([window.start(o) + t * window.dilation for o, t in enumerate(first)])
    everywhere = along(axis, range(window.coarse), rank)
    column = np.array(first).reshape((-1, *(1,) * (rank - axis - 1))) * weight
    best = place_tap(best, everywhere, slice_tap(x, along(axis, begin, rank)))
    winner = place_tap(
        winner, everywhere, slice_tap(taps, along(axis, begin, rank)) + constant(taps, column, taps.dtype)
    )
    for tap in window.axis_taps():
        fine, coarse = along(axis, tap.fine, rank), along(axis, tap.coarse, rank)
        value, number = slice_tap(x, fine), slice_tap(taps, fine) + tap.t * weight
        old = slice_tap(best, coarse)
        wins = (value > old) | (value != value)
        best = place_tap(best, coarse, xp.where(wins, value, old))
        winner = place_tap(winner, coarse, xp.where(wins, number, slice_tap(winner, coarse)))
    return best, winner


def max_unpool(values: ArrayT, switches: Switches, *, duplicates: str = "last") -> ArrayT:
    """Put every value back where its maximum came from, and zeros elsewhere.

        out[..., p(o, switches[..., o])] = values[..., o]        p(o, t) as in `max_pool`

    Transpose: `max_gather` (of duplicates="sum"; where windows do not overlap all four are the same).

    Parameters
    ----------
    values : array, (..., *windows)
        Any library, any dtype; of the shape of the switches.
    switches : Switches
        From `max_pool`, `adaptive_max_pool`, or `Switches.from_torch`, `from_tf`, `from_onnx`.
    duplicates : "last", "sum", "max" or "error"
        What becomes of an element that several overlapping windows remember: the last window in C
        order wins; the values add; the largest wins (the first of equals, NaN over numbers); or
        ValueError. Each is deterministic and its gradient is exact: only what reaches the output gets one.

    Returns
    -------
    array, (..., *input size)
        Exactly the size that was pooled.

    Raises
    ------
    ShapeError, TypeError
        Where values and switches do not belong together, or are not of one library.
    IndexError
        At the first switch that does not point into its window.
    ValueError
        With duplicates="error", at the first element that two windows remember.

    Notes
    -----
    Source: the article, section 2.3; Zeiler, Taylor & Fergus (ICCV 2011); Badrinarayanan et al. (1511.00561).
    Sums of float16 and bfloat16 are taken in float32; sums of integers keep their dtype and may wrap.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> values, switches = us.max_pool(np.array([1, 9, 2, 8, 3]), (3,), stride=1)
    >>> values
    array([9, 9, 8])
    >>> us.max_unpool(values, switches)
    array([0, 9, 0, 8, 0])
    >>> us.max_unpool(values, switches, duplicates="sum")
    array([ 0, 18,  0,  8,  0])
    """
    xp = namespace("max_unpool", values=values)
    plan = plan_max_unpool(values.shape, switches, duplicates=duplicates)
    namespace("max_unpool", values=values, switches=switches.taps)
    taps = switches.taps
    if duplicates == "error" and not plan.tiles:
        _refuse_duplicates(taps, plan)
    # Backwards through the taps is forwards through the windows, see geometry.window.taps.
    walk = reversed(list(plan.taps()))
    if plan.tiles or duplicates in ("last", "error"):
        out = zeros(values, plan.output_shape)
        for tap in walk:
            hit = slice_tap(taps, tap.coarse) == tap.number
            value = xp.where(hit, slice_tap(values, tap.coarse), slice_tap(out, tap.fine))
            out = place_tap(out, tap.fine, value)
    elif duplicates == "sum":
        namespace("max_unpool", ("integer", "real", "complex"), values=values)
        whole = dtype_kind(values.dtype) == "integer"
        total = native(values.dtype) if whole else sum_dtype(xp, values.dtype)
        terms = xp.astype(values, total)
        nothing = zeros(terms, (1,) * terms.ndim)
        out = zeros(terms, plan.output_shape)
        for tap in walk:
            hit = slice_tap(taps, tap.coarse) == tap.number
            out = add_tap(out, tap.fine, xp.where(hit, slice_tap(terms, tap.coarse), nothing))
        out = xp.astype(out, native(values.dtype))
    else:
        namespace("max_unpool", ORDERED, values=values)
        out = zeros(values, plan.output_shape)
        taken = zeros(taps, plan.output_shape, xp.bool)
        for tap in walk:
            hit = slice_tap(taps, tap.coarse) == tap.number
            value, old = slice_tap(values, tap.coarse), slice_tap(out, tap.fine)
            before = slice_tap(taken, tap.fine)
            wins = hit & (~before | (value > old) | ((value != value) & (old == old)))
            out = place_tap(out, tap.fine, xp.where(wins, value, old))
            taken = place_tap(taken, tap.fine, before | hit)
    result: ArrayT = out
    return result


def _refuse_duplicates(taps: Any, plan: Plan) -> None:
    if not has_values(taps):
        raise TypeError(
            "max_unpool: duplicates='error' must look at the switches, "
            "which have no values while a framework traces or maps"
        )
    one = constant(taps, 1)
    meets = zeros(taps, plan.output_shape, one.dtype)
    for tap in plan.taps():
        hit = slice_tap(taps, tap.coarse) == tap.number
        meets = add_tap(meets, tap.fine, hit * one)
    found = np.argwhere(to_numpy(meets) > 1)
    if len(found):
        where = tuple(int(i) for i in found[0])
        raise ValueError(
            f"max_unpool: with duplicates='error' every element must be remembered by one window at most, "
            f"the element at {where} is by {int(meets[where])}"
        )


def max_gather(x: ArrayT, switches: Switches) -> ArrayT:
    """Take from every window the element at its switch: max pooling with the switches held fixed.

        out[..., o] = x[..., p(o, switches[..., o])]        p(o, t) as in `max_pool`

    Transpose: `max_unpool` with duplicates="sum".

    Parameters
    ----------
    x : array, (..., *spatial)
        Any library, any dtype; of the shape that was pooled.
    switches : Switches
        As in `max_unpool`.

    Returns
    -------
    array, (..., *windows)
        Bit-for-bit copies.

    Raises
    ------
    ShapeError, TypeError
        Where x and switches do not belong together, or are not of one library.
    IndexError
        At the first switch that does not point into its window.

    Notes
    -----
    Source: the adjoint of the article's section 2.3.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> _, switches = us.max_pool(np.array([1, 9, 2, 8]), (2,))
    >>> us.max_gather(np.array([10, 20, 30, 40]), switches)
    array([20, 40])
    """
    xp = namespace("max_gather", x=x)
    plan = plan_max_gather(x.shape, switches)
    namespace("max_gather", x=x, switches=switches.taps)
    out: ArrayT = zeros(x, plan.output_shape)
    for tap in plan.taps():
        hit = slice_tap(switches.taps, tap.coarse) == tap.number
        value = xp.where(hit, slice_tap(x, tap.fine), slice_tap(out, tap.coarse))
        out = place_tap(out, tap.coarse, value)
    return out


@cache
def _make_pytree(jax: Any) -> None:
    """Let Switches pass in and out of jax's transformations, once a jax array is pooled."""
    jax.tree_util.register_dataclass(Switches, data_fields=["taps"], meta_fields=["windows"])
