"""Max pooling: the largest element of every window, and the tap it was found on."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from unsample.arrays import dispatch
from unsample.arrays.library import (
    ORDERED,
    ArrayT,
    constant,
    namespace,
    native_order,
    position_dtype,
    zeros,
)
from unsample.arrays.out import check_out, check_pair, placed
from unsample.arrays.stamp import along, place_tap, slice_tap
from unsample.geometry.arguments import IntOrInts, PoolPadding, describe, rank_of, spatial_axes
from unsample.geometry.plan import Plan, cached_plan, plan_of_windows
from unsample.geometry.reach import settled
from unsample.geometry.window import AnyWindow, positions
from unsample.interop.switch_indices import written_windows
from unsample.native import moves
from unsample.operation import Operation, Pair
from unsample.switches import Switches, switch_dtype


def plan_max_pool(
    shape: Sequence[int],
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
) -> Plan:
    """The plan of `max_pool` for an input of `shape`."""
    windows = max_pool_windows(
        shape, kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    return plan_max_pool_over(shape, windows, ceil_mode)


def plan_adaptive_max_pool(shape: Sequence[int], output_size: IntOrInts) -> Plan:
    """The plan of `adaptive_max_pool` for an input of `shape`."""
    return plan_adaptive_over(shape, adaptive_windows(shape, output_size))


def max_pool_windows(
    shape: Sequence[int],
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
) -> tuple[AnyWindow, ...]:
    """The windows of `max_pool`."""
    rank = rank_of("max_pool", "kernel_size", kernel_size, shape)
    size = spatial_axes("max_pool", shape, rank)
    return written_windows("max_pool", size, kernel_size, stride, padding, dilation, ceil_mode)


def adaptive_windows(shape: Sequence[int], output_size: IntOrInts) -> tuple[AnyWindow, ...]:
    """The windows of `adaptive_max_pool`."""
    rank = rank_of("adaptive_max_pool", "output_size", output_size, shape)
    size = spatial_axes("adaptive_max_pool", shape, rank)
    return written_windows("adaptive_max_pool", size, output_size=output_size)


def plan_max_pool_over(shape: Sequence[int], windows: tuple[AnyWindow, ...], ceil_mode: bool) -> Plan:
    """The plan of `max_pool` with these windows, which `ceil_mode` was part of."""
    return plan_of_windows("max_pool", shape, settled(windows), up=False)


def plan_adaptive_over(shape: Sequence[int], windows: tuple[AnyWindow, ...]) -> Plan:
    """The plan of `adaptive_max_pool` with these windows."""
    return plan_of_windows("adaptive_max_pool", shape, windows, up=False)


@overload
def max_pool(
    x: ArrayT,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: Literal[True] = True,
    out: Any = None,
) -> tuple[ArrayT, Switches]: ...
@overload
def max_pool(
    x: ArrayT,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: Literal[False],
    out: Any = None,
) -> ArrayT: ...
@overload
def max_pool(
    x: ArrayT,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: bool,
    out: Any = None,
) -> tuple[ArrayT, Switches] | ArrayT: ...
def max_pool(
    x: ArrayT,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: PoolPadding = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_switches: bool = True,
    out: Any = None,
) -> tuple[ArrayT, Switches] | ArrayT:
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
        As much as leaves an element to every window. Padding is never chosen: it acts like -inf.
    dilation : int or sequence of int
        Step from tap to tap.
    ceil_mode : bool
        Whether a last window may hang over the end (it must start inside the input or the padding before).
    return_switches : bool
        False returns the values alone.
    out : (array, Switches or array), optional
        Where to write values and switches, such as what an earlier call returned; an array for the values
        alone. Otherwise as in `nearest`.

    Returns
    -------
    values : array, (..., *windows)
    switches : Switches
        One byte per window, with the windows. Only the values with `return_switches=False`.

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
    if (pool := dispatch.door(x, "pool")) is not None:
        return pool(  # type: ignore[no-any-return]
            "max_pool",
            x,
            (ceil_mode,),
            return_switches,
            out,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
        )
    xp = namespace("max_pool", ORDERED, x=x)
    plan = cached_plan(
        plan_max_pool,
        (x.shape,),
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    return _pooled(pool_as_planned(xp, x, plan, return_switches, out), plan)  # type: ignore[no-any-return]


@overload
def adaptive_max_pool(
    x: ArrayT,
    output_size: IntOrInts,
    *,
    return_switches: Literal[True] = True,
    out: Any = None,
) -> tuple[ArrayT, Switches]: ...
@overload
def adaptive_max_pool(
    x: ArrayT, output_size: IntOrInts, *, return_switches: Literal[False], out: Any = None
) -> ArrayT: ...
@overload
def adaptive_max_pool(
    x: ArrayT, output_size: IntOrInts, *, return_switches: bool, out: Any = None
) -> tuple[ArrayT, Switches] | ArrayT: ...
def adaptive_max_pool(
    x: ArrayT, output_size: IntOrInts, *, return_switches: bool = True, out: Any = None
) -> tuple[ArrayT, Switches] | ArrayT:
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
    return_switches, out
        As in `max_pool`.

    Returns
    -------
    values : array, (..., *output_size)
    switches : Switches
        Only the values with `return_switches=False`.

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
    if (pool := dispatch.door(x, "pool")) is not None:
        return pool("adaptive_max_pool", x, (), return_switches, out, output_size)  # type: ignore[no-any-return]
    xp = namespace("adaptive_max_pool", ORDERED, x=x)
    plan = cached_plan(plan_adaptive_max_pool, (x.shape,), output_size)
    return _pooled(pool_as_planned(xp, x, plan, return_switches, out), plan)  # type: ignore[no-any-return]


def _pooled(found: tuple[Any, Any], plan: Plan) -> Any:
    """Values and switches, or the values alone where there are no taps."""
    values, taps = found
    return values if taps is None else (values, Switches(taps, plan.windows))


def pool_as_planned(xp: Any, x: Any, plan: Plan, remember: bool, out: Any) -> tuple[Any, Any]:
    """Values and taps, or the values and None, by the kernel or by the definition."""
    if not isinstance(remember, bool | np.bool_):
        raise TypeError(f"{plan.operation}: return_switches must be a bool, got {describe(remember)}")
    dtype = _dtype_of(xp, switch_dtype(plan.windows))
    values, taps = check_pair(plan.operation, out) if remember else (out, None)
    if out is not None:
        check_out(plan.operation, values, plan.output_shape, native_order(x.dtype), "out", x=x)
        check_out(plan.operation, taps, plan.output_shape, dtype, "out[1]", x=x, values=values)
    if moves.kernel_takes_sums(x):
        values, taps = moves.max_pool(x, plan, dtype if remember else None, (values, taps))
    else:
        best, winner = dispatch.implementation(pool_definition, x)(x, plan, remember)
        values, taps = placed(best, values), placed(winner, taps)
    return values, taps if remember else None


def remembered_pool(xp: Any, x: Any, plan: Plan, out: Any) -> tuple[Any, Any]:
    """Values and taps."""
    return pool_as_planned(xp, x, plan, True, out)


def _dtype_of(xp: Any, name: str) -> Any:
    return np.dtype(name) if xp is np else getattr(xp, name)


def pool_definition(x: Any, plan: Plan, remember: bool) -> tuple[Any, Any]:
    """One axis after the other, the last first: rows by their first maximum, then the first best row.

    That order finds the same winner as a walk over all taps in C order, ties and NaN included, and takes the
    sum of the kernel sizes in steps, not their product.
    """
    xp = namespace(plan.operation, ORDERED, x=x)
    dtype = _dtype_of(xp, switch_dtype(plan.windows))
    if 0 in plan.output_shape:
        return zeros(x, plan.output_shape), zeros(x, plan.output_shape, dtype) if remember else None
    # torch cannot add uint16 and uint32: wide windows count in int64 until the end.
    taps = zeros(x, tuple(x.shape), dtype if dtype == xp.uint8 else position_dtype(x))
    weight = 1
    for axis in reversed(range(plan.rank)):
        x, taps = _pool_axis(xp, x, taps, axis, plan.windows[axis], plan.rank, weight)
        weight *= plan.windows[axis].size
    return x, xp.astype(taps, dtype) if remember else None


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
    starts = window.starts()
    first = np.maximum(0, -(starts // window.dilation))
    begin = positions(starts + first * window.dilation)
    everywhere = along(axis, range(window.coarse), rank)
    column = first.reshape((-1, *(1,) * (rank - axis - 1))) * weight
    best = place_tap(best, everywhere, slice_tap(x, along(axis, begin, rank)))
    winner = place_tap(
        winner, everywhere, slice_tap(taps, along(axis, begin, rank)) + constant(taps, column, taps.dtype)
    )
    for tap in window.whole_taps():  # nothing is added up: elements may be read twice
        fine, coarse = along(axis, tap.fine, rank), along(axis, tap.coarse, rank)
        value, number = slice_tap(x, fine), slice_tap(taps, fine) + tap.t * weight
        old = slice_tap(best, coarse)
        wins = (value > old) | (value != value)
        best = place_tap(best, coarse, xp.where(wins, value, old))
        winner = place_tap(winner, coarse, xp.where(wins, number, slice_tap(winner, coarse)))
    return best, winner


_SAYS = "Each output is the largest element of its window; its place is remembered."
OPERATIONS = (
    Operation(
        max_pool,
        plan_max_pool,
        max_pool_windows,
        plan_max_pool_over,
        remembered_pool,
        pool_definition,
        plan_words={"ceil_mode": "bool"},
        lies="pooled",
        kinds=ORDERED,
        drawn="pooling",
        says=_SAYS,
    ),
    Operation(
        adaptive_max_pool,
        plan_adaptive_max_pool,
        adaptive_windows,
        plan_adaptive_over,
        remembered_pool,
        pool_definition,
        lies="pooled",
        kinds=ORDERED,
        drawn="pooling",
        says=_SAYS,
    ),
)
PAIRS: tuple[Pair, ...] = ()  # it makes the switches of max_unpool, and is no direction of a pair
