"""Nearest-neighbour unpooling and its transpose, the window sum: weight 1 on every tap."""

from collections.abc import Iterator, Sequence
from typing import Any

from unsample.arrays import dispatch
from unsample.arrays.library import ArrayT, namespace, native_order, result_dtype, sum_dtype, zeros
from unsample.arrays.out import check_out, placed
from unsample.arrays.stamp import add_tap, along, place_tap, slice_tap
from unsample.geometry.arguments import IntOrInts, per_axis, rank_of, spatial_axes
from unsample.geometry.plan import Plan, cached_plan, plan_of_windows
from unsample.geometry.sizes import blocks_over, blocks_under, check_divides
from unsample.geometry.window import AnyWindow, Window
from unsample.native import moves
from unsample.operation import Operation, Pair, same_call


def plan_nearest(shape: Sequence[int], factor: IntOrInts) -> Plan:
    """The plan of `nearest` for an input of `shape`."""
    return plan_nearest_over(shape, nearest_windows(shape, factor))


def plan_window_sum(shape: Sequence[int], factor: IntOrInts) -> Plan:
    """The plan of `window_sum` for an input of `shape`."""
    return plan_window_sum_over(shape, window_sum_windows(shape, factor))


def nearest_windows(shape: Sequence[int], factor: IntOrInts) -> tuple[Window, ...]:
    """The windows of `nearest`, one a block."""
    rank = rank_of("nearest", "factor", factor, shape)
    factors = per_axis("nearest", "factor", factor, rank, minimum=1)
    return blocks_under(spatial_axes("nearest", shape, rank), factors)


def window_sum_windows(shape: Sequence[int], factor: IntOrInts) -> tuple[Window, ...]:
    """The windows of `window_sum`, one a block."""
    rank = rank_of("window_sum", "factor", factor, shape, "y")
    factors = per_axis("window_sum", "factor", factor, rank, minimum=1)
    return blocks_over(spatial_axes("window_sum", shape, rank), factors)


def plan_nearest_over(shape: Sequence[int], windows: tuple[Window, ...]) -> Plan:
    """The plan of `nearest` with these windows."""
    return plan_of_windows("nearest", shape, windows, up=True)


def plan_window_sum_over(shape: Sequence[int], windows: tuple[Window, ...]) -> Plan:
    """The plan of `window_sum` with these windows."""
    check_divides("window_sum", shape, windows)
    return plan_of_windows("window_sum", shape, windows, up=False)


def nearest(x: ArrayT, factor: IntOrInts, *, out: ArrayT | None = None) -> ArrayT:
    """Repeat every element over a block of `factor` elements per axis.

        out[..., i] = x[..., i // factor]

    Transpose: `window_sum`, y -> sum of each block.

    Parameters
    ----------
    x : array, (..., *spatial)
        Any library, any dtype.
    factor : int or sequence of int
        Elements per element, >= 1. A sequence holds one per spatial axis and any axes may lead; an int
        means x is (N, C, *spatial).
    out : array, optional
        Where to write the result: of its shape and dtype, and sharing no memory with x. Every function that
        computes takes it; NumPy arrays in C order are written directly, others copied to.

    Returns
    -------
    array, (..., *spatial * factor)
        Bit-for-bit copies.

    Raises
    ------
    ShapeError, TypeError, OverflowError
        Where `factor` does not fit the axes, is no integer, or makes more than memory can address.

    Notes
    -----
    Alignment: element i covers outputs factor*i to factor*i + factor - 1, which is what every convention
    of `resize(..., method="nearest")` but align_corners does at an integer factor. Source: the article,
    section 2.1; Zeiler & Fergus (1311.2901) call the family unpooling.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.nearest(np.array([[1, 2], [3, 4]]), (2, 2))
    array([[1, 1, 2, 2],
           [1, 1, 2, 2],
           [3, 3, 4, 4],
           [3, 3, 4, 4]])
    """
    if (call := dispatch.door(x)) is not None:
        return call("nearest", (x,), (), out, factor)  # type: ignore[no-any-return]
    xp = namespace("nearest", x=x)
    return nearest_as_planned(xp, x, cached_plan(plan_nearest, (x.shape,), factor), out)


def nearest_as_planned(xp: Any, x: ArrayT, plan: Plan, out: ArrayT | None) -> ArrayT:
    """`nearest` by its kernel, or by its definition."""
    if out is not None:
        check_out("nearest", out, plan.output_shape, native_order(x.dtype), x=x)
    if moves.kernel_takes_moves(x):
        return moves.move("nearest", x, plan, out)
    return placed(dispatch.implementation(nearest_definition, x)(x, plan), out)


def nearest_definition(x: Any, plan: Plan) -> Any:
    """Axis by axis, tap by tap."""
    namespace("nearest", x=x)
    if 0 in plan.output_shape:
        return zeros(x, plan.output_shape)
    done = x
    for axis, window, shape in _axis_by_axis(x.shape, plan, up=True):
        fresh = zeros(done, shape)
        for tap in window.axis_taps():
            value = slice_tap(done, along(axis, tap.coarse, plan.rank))
            fresh = place_tap(fresh, along(axis, tap.fine, plan.rank), value)
        done = fresh
    return done


def window_sum(y: ArrayT, factor: IntOrInts, *, out: ArrayT | None = None) -> ArrayT:
    """Sum every block of `factor` elements per axis: average pooling times the block size.

        out[..., i] = sum over t < factor of y[..., i * factor + t]

    Transpose: `nearest`.

    Parameters
    ----------
    y : array, (..., *spatial)
        Any library, any dtype; each spatial size must be divisible by its factor.
    factor, out
        As in `nearest`.

    Returns
    -------
    array, (..., *spatial / factor)
        Floats of 8 and 16 bits are summed in float32; integers and bool come back in the dtype of the
        library's own `sum` (int64 in NumPy and PyTorch).

    Raises
    ------
    ShapeError, TypeError
        Where `factor` does not fit the axes or does not divide them.

    Notes
    -----
    Summed axis by axis, taps in ascending order. Source: the adjoint of the article's section 2.1.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.window_sum(np.arange(16).reshape(4, 4), (2, 2))
    array([[10, 18],
           [42, 50]])
    """
    if (call := dispatch.door(y)) is not None:
        return call("window_sum", (y,), (), out, factor)  # type: ignore[no-any-return]
    xp = namespace("window_sum", y=y)
    return window_sum_as_planned(xp, y, cached_plan(plan_window_sum, (y.shape,), factor), out)


def window_sum_as_planned(xp: Any, y: ArrayT, plan: Plan, out: ArrayT | None) -> ArrayT:
    """`window_sum` by its kernel, or by its definition."""
    dtype = result_dtype(sum_dtype(xp, y.dtype), y.dtype)
    if out is not None:
        check_out("window_sum", out, plan.output_shape, dtype, y=y)
    if moves.kernel_takes_sums(y) and plan.rank <= 8:
        return moves.window_sum(y, plan, dtype, out)
    return placed(dispatch.implementation(window_sum_definition, y)(y, plan), out)


def window_sum_definition(y: Any, plan: Plan) -> Any:
    """Axis by axis, tap by tap."""
    xp = namespace("window_sum", y=y)
    total = sum_dtype(xp, y.dtype)
    if 0 in plan.output_shape:
        return zeros(y, plan.output_shape, result_dtype(total, y.dtype))
    done = xp.astype(y, total)
    for axis, window, shape in _axis_by_axis(y.shape, plan, up=False):
        fresh = zeros(done, shape)
        for tap in window.axis_taps():
            value = slice_tap(done, along(axis, tap.fine, plan.rank))
            fresh = add_tap(fresh, along(axis, tap.coarse, plan.rank), value)
        done = fresh
    return xp.astype(done, result_dtype(total, y.dtype))


def _axis_by_axis(
    shape: Sequence[int], plan: Plan, *, up: bool
) -> Iterator[tuple[int, AnyWindow, tuple[int, ...]]]:
    """One axis after the other, with the shape it leads to.

    The sum over a block is the sum of the sums over its rows: d loops of `factor` taps, not one of factor**d.
    """
    current = list(shape)
    for axis, window in enumerate(plan.windows):
        current[axis - plan.rank] = window.fine if up else window.coarse
        yield axis, window, tuple(current)


OPERATIONS = (
    Operation(
        nearest,
        plan_nearest,
        nearest_windows,
        plan_nearest_over,
        nearest_as_planned,
        nearest_definition,
        partner="window_sum",
        up=True,
        lies="blocks",
        drawn="copies",
        says="Each input element stamps its block with copies of itself; blocks never overlap.",
    ),
    Operation(
        window_sum,
        plan_window_sum,
        window_sum_windows,
        plan_window_sum_over,
        window_sum_as_planned,
        window_sum_definition,
        arrays=("y",),
        partner="nearest",
        lies="blocks",
        sums=True,
        drawn="copies",
        says="Each output adds up its block.",
    ),
)
PAIRS = (Pair("nearest", window_sum, nearest, plan_window_sum, plan_nearest, same_call, "1 on every tap"),)
