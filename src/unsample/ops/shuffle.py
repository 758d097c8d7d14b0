"""Pixel shuffle and its transpose, pixel unshuffle: one channel group on each tap."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

from unsample.arrays import dispatch
from unsample.arrays.library import ArrayT, namespace, native_order, zeros
from unsample.arrays.out import check_out, placed
from unsample.arrays.stamp import place_tap, slice_tap
from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    IntOrInts,
    choice,
    count,
    has_symbols,
    known,
    per_axis,
    rank_of,
    spatial_axes,
)
from unsample.geometry.plan import Plan, cached_plan, plan_of_windows
from unsample.geometry.sizes import blocks_over, blocks_under, check_divides
from unsample.geometry.window import Window
from unsample.native import moves
from unsample.operation import Operation, Pair, same_call

Order = Literal["CRD", "DCR"]
ORDERS: tuple[Order, ...] = get_args(Order)


def plan_pixel_shuffle(shape: Sequence[int], factor: IntOrInts, *, order: Order = "CRD") -> Plan:
    """The plan of `pixel_shuffle` for an input of `shape`."""
    return plan_shuffle_over(shape, shuffle_windows(shape, factor, order=order), order)


def plan_pixel_unshuffle(shape: Sequence[int], factor: IntOrInts, *, order: Order = "CRD") -> Plan:
    """The plan of `pixel_unshuffle` for an input of `shape`."""
    return plan_unshuffle_over(shape, unshuffle_windows(shape, factor, order=order), order)


def shuffle_windows(shape: Sequence[int], factor: IntOrInts, *, order: Order = "CRD") -> tuple[Window, ...]:
    """The windows of `pixel_shuffle`, one a block."""
    rank, factors = _factors("pixel_shuffle", "x", shape, factor, order)
    return blocks_under(spatial_axes("pixel_shuffle", shape, rank), factors)


def unshuffle_windows(shape: Sequence[int], factor: IntOrInts, *, order: Order = "CRD") -> tuple[Window, ...]:
    """The windows of `pixel_unshuffle`, one a block."""
    rank, factors = _factors("pixel_unshuffle", "y", shape, factor, order)
    return blocks_over(spatial_axes("pixel_unshuffle", shape, rank), factors)


def plan_shuffle_over(shape: Sequence[int], windows: tuple[Window, ...], order: Order) -> Plan:
    """The plan of `pixel_shuffle` with these windows."""
    choice("pixel_shuffle", "order", order, ORDERS)
    _check_channel("pixel_shuffle", "x", shape, len(windows))
    channels, factors = shape[-len(windows) - 1], tuple(w.size for w in windows)
    block = math.prod(factors)
    if not has_symbols(channels) and channels % block:
        raise ShapeError(
            f"pixel_shuffle: the channels of x must be divisible by {block} (factor {factors}), "
            f"got {channels} (x is {tuple(shape)})"
        )
    return plan_of_windows("pixel_shuffle", shape, windows, up=True, channels=channels // block)


def plan_unshuffle_over(shape: Sequence[int], windows: tuple[Window, ...], order: Order) -> Plan:
    """The plan of `pixel_unshuffle` with these windows."""
    choice("pixel_unshuffle", "order", order, ORDERS)
    _check_channel("pixel_unshuffle", "y", shape, len(windows))
    check_divides("pixel_unshuffle", shape, windows)
    channels = shape[-len(windows) - 1] * math.prod([w.size for w in windows])
    return plan_of_windows("pixel_unshuffle", shape, windows, up=False, channels=channels)


def _factors(
    operation: str, array: str, shape: Sequence[int], factor: IntOrInts, order: Order
) -> tuple[int, tuple[int, ...]]:
    choice(operation, "order", order, ORDERS)
    rank = rank_of(operation, "factor", factor, shape, array)
    _check_channel(operation, array, shape, rank)
    return rank, per_axis(operation, "factor", factor, rank, minimum=1)


def _check_channel(operation: str, array: str, shape: Sequence[int], rank: int) -> None:
    if len(shape) <= rank:
        raise ShapeError(
            f"{operation}: {array} must have a channel axis before its {count(rank, 'spatial axis')}, "
            f"got shape {tuple(shape)}"
        )
    known(operation, "the channels", (shape[-rank - 1],))


def _group(tap: int, plan_channels: int, taps: int, order: Order) -> range:
    """The channels that land on `tap`: every taps-th one (CRD), or one block of them (DCR)."""
    if order == "CRD":
        return range(tap, plan_channels * taps, taps)
    return range(tap * plan_channels, (tap + 1) * plan_channels)


def pixel_shuffle(x: ArrayT, factor: IntOrInts, *, order: Order = "CRD", out: ArrayT | None = None) -> ArrayT:
    """Lay groups of channels out as the elements of a block.

        out[..., c, i * factor + t] = x[..., c * T + t, i]       (order "CRD", T taps in a block)
        out[..., c, i * factor + t] = x[..., t * C + c, i]       (order "DCR", C output channels)

    Transpose (and inverse): `pixel_unshuffle`.

    Parameters
    ----------
    x : array, (..., C * T, *spatial)
        Any library, any dtype; T is the product of the factors.
    factor : int or sequence of int
        Block size, >= 1; a sequence holds one per spatial axis, an int means x is (N, C * T,
        *spatial). Unlike torch's, every spatial axis is shuffled, in any rank.
    order : "CRD" or "DCR"
        Which channels form a group: torch's `pixel_shuffle`, or TensorFlow's and ONNX's default
        `depth_to_space`.
    out : array, optional
        As in `nearest`.

    Returns
    -------
    array, (..., C, *spatial * factor)
        Bit-for-bit copies.

    Raises
    ------
    ShapeError, TypeError
        Where the channels do not divide or an argument does not fit.

    Notes
    -----
    Source: Shi et al. (1609.05158), equation 4.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.pixel_shuffle(np.arange(8).reshape(8, 1), (2,))
    array([[0, 1],
           [2, 3],
           [4, 5],
           [6, 7]])
    >>> us.pixel_shuffle(np.arange(8).reshape(8, 1), (2,), order="DCR")
    array([[0, 4],
           [1, 5],
           [2, 6],
           [3, 7]])
    """
    if (call := dispatch.door(x)) is not None:
        return call("pixel_shuffle", (x,), (order,), out, factor, order=order)  # type: ignore[no-any-return]
    xp = namespace("pixel_shuffle", x=x)
    plan = cached_plan(plan_pixel_shuffle, (x.shape,), factor, order=order)
    return shuffle_as_planned(xp, x, plan, order, out)


def shuffle_as_planned(xp: Any, x: ArrayT, plan: Plan, order: str, out: ArrayT | None) -> ArrayT:
    """`pixel_shuffle` by its kernel, or by its definition."""
    if out is not None:
        check_out("pixel_shuffle", out, plan.output_shape, native_order(x.dtype), x=x)
    if moves.kernel_takes_moves(x):
        return moves.move("shuffle", x, plan, out, plan.output_shape[-plan.rank - 1], order == "DCR")
    return placed(dispatch.implementation(shuffle_definition, x)(x, plan, order), out)


def shuffle_definition(x: Any, plan: Plan, order: Order) -> Any:
    """Every tap from its channels."""
    namespace("pixel_shuffle", x=x)
    channels, taps = plan.output_shape[-plan.rank - 1], math.prod(plan.kernel_size)
    done = zeros(x, plan.output_shape)
    if 0 in done.shape:
        return done
    for tap in plan.taps():
        group = _group(tap.number, channels, taps, order)
        done = place_tap(done, tap.fine, slice_tap(x, (group, *tap.coarse)))
    return done


def pixel_unshuffle(
    y: ArrayT, factor: IntOrInts, *, order: Order = "CRD", out: ArrayT | None = None
) -> ArrayT:
    """Gather the elements of every block into channels.

        out[..., c * T + t, i] = y[..., c, i * factor + t]       (order "CRD"; "DCR": channel t * C + c)

    Transpose (and inverse): `pixel_shuffle`.

    Parameters
    ----------
    y : array, (..., C, *spatial)
        Any library, any dtype; each spatial size must be divisible by its factor.
    factor, order, out
        As in `pixel_shuffle`.

    Returns
    -------
    array, (..., C * T, *spatial / factor)
        Bit-for-bit copies.

    Raises
    ------
    ShapeError, TypeError
        Where a size does not divide or an argument does not fit.

    Notes
    -----
    Source: the inverse of Shi et al. (1609.05158), equation 4.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.pixel_unshuffle(np.arange(6).reshape(1, 6), (3,))
    array([[0, 3],
           [1, 4],
           [2, 5]])
    """
    if (call := dispatch.door(y)) is not None:
        return call("pixel_unshuffle", (y,), (order,), out, factor, order=order)  # type: ignore[no-any-return]
    xp = namespace("pixel_unshuffle", y=y)
    plan = cached_plan(plan_pixel_unshuffle, (y.shape,), factor, order=order)
    return unshuffle_as_planned(xp, y, plan, order, out)


def unshuffle_as_planned(xp: Any, y: ArrayT, plan: Plan, order: str, out: ArrayT | None) -> ArrayT:
    """`pixel_unshuffle` by its kernel, or by its definition."""
    if out is not None:
        check_out("pixel_unshuffle", out, plan.output_shape, native_order(y.dtype), y=y)
    if moves.kernel_takes_moves(y):
        return moves.move("unshuffle", y, plan, out, plan.input_shape[-plan.rank - 1], order == "DCR")
    return placed(dispatch.implementation(unshuffle_definition, y)(y, plan, order), out)


def unshuffle_definition(y: Any, plan: Plan, order: Order) -> Any:
    """Every tap into its channels."""
    namespace("pixel_unshuffle", y=y)
    channels, taps = plan.input_shape[-plan.rank - 1], math.prod(plan.kernel_size)
    done = zeros(y, plan.output_shape)
    if 0 in done.shape:
        return done
    for tap in plan.taps():
        group = _group(tap.number, channels, taps, order)
        done = place_tap(done, (group, *tap.coarse), slice_tap(y, tap.fine))
    return done


OPERATIONS = (
    Operation(
        pixel_shuffle,
        plan_pixel_shuffle,
        shuffle_windows,
        plan_shuffle_over,
        shuffle_as_planned,
        shuffle_definition,
        partner="pixel_unshuffle",
        words={"order": "str"},
        up=True,
        lies="blocks",
        says="Each element of a channel goes to its own place of a block.",
    ),
    Operation(
        pixel_unshuffle,
        plan_pixel_unshuffle,
        unshuffle_windows,
        plan_unshuffle_over,
        unshuffle_as_planned,
        unshuffle_definition,
        arrays=("y",),
        partner="pixel_shuffle",
        words={"order": "str"},
        lies="blocks",
        says="Each place of a block goes to a channel of its own.",
    ),
)
PAIRS = (
    Pair(
        "pixel_shuffle",
        pixel_unshuffle,
        pixel_shuffle,
        plan_pixel_unshuffle,
        plan_pixel_shuffle,
        same_call,
        "one channel group on each tap",
    ),
)
