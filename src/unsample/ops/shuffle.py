"""Pixel shuffle and its transpose, pixel unshuffle: one channel group on each tap."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

from unsample.arrays import dispatch
from unsample.arrays.library import ArrayT, namespace, native_order, zeros
from unsample.arrays.out import check_out, placed
from unsample.arrays.stamp import place_tap, slice_tap
from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, count, per_axis, rank_of
from unsample.geometry.plan import Plan, cached_plan
from unsample.geometry.window import Window
from unsample.native import moves

Order = Literal["CRD", "DCR"]
ORDERS: tuple[Order, ...] = get_args(Order)


def plan_pixel_shuffle(shape: Sequence[int], factor: int | Sequence[int], *, order: Order = "CRD") -> Plan:
    """The plan of `pixel_shuffle` for an input of `shape`."""
    shape = tuple(shape)
    rank, factors = _factors("pixel_shuffle", "x", shape, factor, order)
    leading, channels, coarse = shape[: -rank - 1], shape[-rank - 1], shape[-rank:]
    block = math.prod(factors)
    if channels % block:
        raise ShapeError(
            f"pixel_shuffle: the channels of x must be divisible by {block} (factor {factors}), "
            f"got {channels} (x is {shape})"
        )
    windows = tuple(Window(n * f, n, f, f) for n, f in zip(coarse, factors, strict=True))
    output = (*leading, channels // block, *(window.fine for window in windows))
    return Plan("pixel_shuffle", shape, output, windows)


def plan_pixel_unshuffle(shape: Sequence[int], factor: int | Sequence[int], *, order: Order = "CRD") -> Plan:
    """The plan of `pixel_unshuffle` for an input of `shape`."""
    shape = tuple(shape)
    rank, factors = _factors("pixel_unshuffle", "y", shape, factor, order)
    leading, channels, fine = shape[: -rank - 1], shape[-rank - 1], shape[-rank:]
    if any(n % f for n, f in zip(fine, factors, strict=True)):
        raise ShapeError(
            f"pixel_unshuffle: the last {count(rank, 'axis')} of y must be divisible by factor {factors}, "
            f"got y of shape {shape}"
        )
    windows = tuple(Window(n, n // f, f, f) for n, f in zip(fine, factors, strict=True))
    output = (*leading, channels * math.prod(factors), *(window.coarse for window in windows))
    return Plan("pixel_unshuffle", shape, output, windows)


def _factors(
    operation: str, array: str, shape: tuple[int, ...], factor: int | Sequence[int], order: Order
) -> tuple[int, tuple[int, ...]]:
    choice(operation, "order", order, ORDERS)
    rank = rank_of(operation, "factor", factor, shape, array)
    if len(shape) == rank:
        raise ShapeError(
            f"{operation}: {array} must have a channel axis before its {count(rank, 'spatial axis')}, "
            f"got shape {shape}"
        )
    return rank, per_axis(operation, "factor", factor, rank, minimum=1)


def _group(tap: int, plan_channels: int, taps: int, order: Order) -> range:
    """The channels that land on `tap`: every taps-th one (CRD), or one block of them (DCR)."""
    if order == "CRD":
        return range(tap, plan_channels * taps, taps)
    return range(tap * plan_channels, (tap + 1) * plan_channels)


def pixel_shuffle(
    x: ArrayT, factor: int | Sequence[int], *, order: Order = "CRD", out: ArrayT | None = None
) -> ArrayT:
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
    if dispatch.is_tensor(x):
        return dispatch.door("pixel_shuffle")(x, factor, order=order, out=out)  # type: ignore[no-any-return]
    namespace("pixel_shuffle", x=x)
    return shuffle_as_planned(x, cached_plan(plan_pixel_shuffle, (x.shape,), factor, order=order), order, out)


def shuffle_as_planned(x: ArrayT, plan: Plan, order: str, out: ArrayT | None) -> ArrayT:
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
    y: ArrayT, factor: int | Sequence[int], *, order: Order = "CRD", out: ArrayT | None = None
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
    if dispatch.is_tensor(y):
        return dispatch.door("pixel_unshuffle")(y, factor, order=order, out=out)  # type: ignore[no-any-return]
    namespace("pixel_unshuffle", y=y)
    plan = cached_plan(plan_pixel_unshuffle, (y.shape,), factor, order=order)
    return unshuffle_as_planned(y, plan, order, out)


def unshuffle_as_planned(y: ArrayT, plan: Plan, order: str, out: ArrayT | None) -> ArrayT:
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
