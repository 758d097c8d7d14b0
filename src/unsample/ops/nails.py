"""Bed of nails and its transpose, decimation: weight 1 on one tap, nothing on the others."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from unsample.arrays import dispatch
from unsample.arrays.library import ArrayT, namespace, native_order, zeros
from unsample.arrays.out import check_out, placed
from unsample.arrays.stamp import place_tap, slice_tap
from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    IntOrInts,
    choice,
    has_symbols,
    is_sequence,
    per_axis,
    rank_of,
    spatial_axes,
    wanted_size,
)
from unsample.geometry.plan import Plan, cached_plan, plan_of_windows
from unsample.geometry.window import Window
from unsample.native import moves
from unsample.operation import Operation, Pair, sized_call

NailWord = Literal["corner", "center"]
NAIL_WORDS: tuple[NailWord, ...] = get_args(NailWord)
At = int | Sequence[int] | NailWord


def plan_bed_of_nails(
    shape: Sequence[int],
    factor: IntOrInts,
    *,
    at: At = 0,
    output_size: Any = None,
    like: Any = None,
) -> Plan:
    """The plan of `bed_of_nails` for an input of `shape`."""
    windows = nails_windows(shape, factor, at=at, output_size=output_size, like=like)
    return plan_nails_over(shape, windows)


def plan_decimate(shape: Sequence[int], factor: IntOrInts, *, at: At = 0) -> Plan:
    """The plan of `decimate` for an input of `shape`."""
    return plan_decimate_over(shape, decimate_windows(shape, factor, at=at))


def nails_windows(
    shape: Sequence[int], factor: IntOrInts, *, at: At = 0, output_size: Any = None, like: Any = None
) -> tuple[Window, ...]:
    """The windows of `bed_of_nails`: one tap in every block."""
    rank = rank_of("bed_of_nails", "factor", factor, shape)
    factors = per_axis("bed_of_nails", "factor", factor, rank, minimum=1)
    nails = _nails("bed_of_nails", at, factors)
    coarse = spatial_axes("bed_of_nails", shape, rank)
    size = wanted_size("bed_of_nails", output_size, like, rank, shape[:-rank])
    if size is None:
        size = tuple(m * f for m, f in zip(coarse, factors, strict=True))
    return tuple(map(_window, size, coarse, factors, nails))


def decimate_windows(shape: Sequence[int], factor: IntOrInts, *, at: At = 0) -> tuple[Window, ...]:
    """The windows of `decimate`: one tap in every block."""
    rank = rank_of("decimate", "factor", factor, shape, "y")
    factors = per_axis("decimate", "factor", factor, rank, minimum=1)
    nails = _nails("decimate", at, factors)
    # A block counts where it reaches its nail: ceil((n - nail) / f), which is not below 0 as nail < f.
    fine = spatial_axes("decimate", shape, rank)
    coarse = [(n - nail + f - 1) // f for n, f, nail in zip(fine, factors, nails, strict=True)]
    return tuple(map(_window, fine, coarse, factors, nails))


def _window(fine: int, coarse: int, factor: int, nail: int) -> Window:
    """One tap every `factor` elements, the first at `nail`: a negative padding of `nail` before."""
    return Window(fine, coarse, size=1, stride=factor, before=-nail)


def plan_nails_over(shape: Sequence[int], windows: tuple[Window, ...]) -> Plan:
    """The plan of `bed_of_nails` with these windows."""
    for axis, w in enumerate(windows):
        if has_symbols(w.fine, w.coarse):
            break
        low = (w.coarse - 1) * w.stride - w.before + 1 if w.coarse else 0
        high = w.coarse * w.stride - w.before
        if not low <= w.fine <= high:
            raise ShapeError(
                f"bed_of_nails: output_size must be from {low} to {high} on spatial axis {axis} "
                f"(input size {w.coarse}, factor {w.stride}, at {-w.before}), got {w.fine}"
            )
    return plan_of_windows("bed_of_nails", shape, _short(windows), up=True)


def plan_decimate_over(shape: Sequence[int], windows: tuple[Window, ...]) -> Plan:
    """The plan of `decimate` with these windows."""
    return plan_of_windows("decimate", shape, _short(windows), up=False)


def _short(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """A block that is the only one need not be longer than the axis."""
    return tuple(map(_short_one, windows))


def _short_one(w: Window) -> Window:
    if has_symbols(w.fine, w.coarse) or w.coarse > 1:
        return w
    return replace(w, stride=min(w.stride, max(w.fine, 1)))


def _nails(operation: str, at: At, factors: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(at, str):
        word = choice(operation, "at", at, NAIL_WORDS)
        return tuple(0 if word == "corner" else (f - 1) // 2 for f in factors)
    nails = per_axis(operation, "at", at, len(factors), minimum=0)
    for nail, factor in zip(nails, factors, strict=True):
        if nail >= factor:
            raise ShapeError(
                f"{operation}: at must lie inside the block, from 0 to factor - 1 = {factor - 1}, got "
                f"{tuple(at) if is_sequence(at) else at!r}"
            )
    return nails


def bed_of_nails(
    x: ArrayT,
    factor: IntOrInts,
    *,
    at: At = 0,
    output_size: Any = None,
    like: Any = None,
    out: ArrayT | None = None,
) -> ArrayT:
    """Put every element at one place of its block, and zeros around it.

        out[..., i * factor + at] = x[..., i]        all other elements 0

    Transpose: `decimate`, y -> y[..., at::factor].

    Parameters
    ----------
    x : array, (..., *spatial)
        Any library, any dtype.
    factor : int or sequence of int
        Block size, >= 1; a sequence holds one per spatial axis, an int means x is (N, C, *spatial).
    at : int, sequence of int, "corner" or "center"
        Offset of the nail in its block, from 0 to factor - 1, on every axis or per axis. "corner" is 0, the
        article's; "center" is (factor - 1) // 2, before the middle of an even block.
    output_size : int or sequence of int, optional
        Spatial size (or full shape) of the result, (n - 1) * factor + at + 1 to n * factor + at; n * factor
        unless given.
    like : array, optional
        Take the spatial size of this array, such as a skip connection.
    out : array, optional
        As in `nearest`.

    Returns
    -------
    array, (..., *output_size)
        Bit-for-bit copies and zeros.

    Raises
    ------
    ShapeError, TypeError, OverflowError
        Where an argument does not fit the axes or the size is not one that `decimate` brings back.

    Notes
    -----
    Source: the article, section 2.2; Dosovitskiy et al. (1411.5928, section 4) use it under the name of
    unpooling "with fixed locations".

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.bed_of_nails(np.array([[1, 2], [3, 4]]), (2, 2))
    array([[1, 0, 2, 0],
           [0, 0, 0, 0],
           [3, 0, 4, 0],
           [0, 0, 0, 0]])
    >>> us.bed_of_nails(np.array([1, 2]), (3,), at="center")
    array([0, 1, 0, 0, 2, 0])
    """
    if (call := dispatch.door(x)) is not None:
        sizes = {"output_size": output_size, "like": like}
        return call("bed_of_nails", (x,), (), out, factor, at=at, **sizes)  # type: ignore[no-any-return]
    xp = namespace("bed_of_nails", x=x)
    plan = cached_plan(plan_bed_of_nails, (x.shape,), factor, at=at, output_size=output_size, like=like)
    return nails_as_planned(xp, x, plan, out)


def nails_as_planned(xp: Any, x: ArrayT, plan: Plan, out: ArrayT | None) -> ArrayT:
    """`bed_of_nails` by its kernel, or by its definition."""
    if out is not None:
        check_out("bed_of_nails", out, plan.output_shape, native_order(x.dtype), x=x)
    if moves.kernel_takes_moves(x):
        return moves.move("nails", x, plan, out)
    return placed(dispatch.implementation(nails_definition, x)(x, plan), out)


def nails_definition(x: Any, plan: Plan) -> Any:
    """One tap, stamped."""
    namespace("bed_of_nails", x=x)
    done = zeros(x, plan.output_shape)
    for tap in plan.taps():
        done = place_tap(done, tap.fine, slice_tap(x, tap.coarse))
    return done


def decimate(y: ArrayT, factor: IntOrInts, *, at: At = 0, out: ArrayT | None = None) -> ArrayT:
    """Keep one element of every block.

        out[..., i] = y[..., i * factor + at]

    Transpose: `bed_of_nails` with `output_size` the size of y.

    Parameters
    ----------
    y : array, (..., *spatial)
        Any library, any dtype; the last block may be cut short.
    factor, at, out
        As in `bed_of_nails`.

    Returns
    -------
    array, (..., *ceil((spatial - at) / factor))
        A copy, never a view.

    Raises
    ------
    ShapeError, TypeError
        Where an argument does not fit the axes.

    Notes
    -----
    Source: the adjoint of the article's section 2.2.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.decimate(np.arange(7), (3,), at=1)
    array([1, 4])
    """
    if (call := dispatch.door(y)) is not None:
        return call("decimate", (y,), (), out, factor, at=at)  # type: ignore[no-any-return]
    xp = namespace("decimate", y=y)
    return decimate_as_planned(xp, y, cached_plan(plan_decimate, (y.shape,), factor, at=at), out)


def decimate_as_planned(xp: Any, y: ArrayT, plan: Plan, out: ArrayT | None) -> ArrayT:
    """`decimate` by its kernel, or by its definition."""
    if out is not None:
        check_out("decimate", out, plan.output_shape, native_order(y.dtype), y=y)
    if moves.kernel_takes_moves(y):
        return moves.move("decimate", y, plan, out)
    return placed(dispatch.implementation(decimate_definition, y)(y, plan), out)


def decimate_definition(y: Any, plan: Plan) -> Any:
    """One tap, read."""
    namespace("decimate", y=y)
    done = zeros(y, plan.output_shape)
    for tap in plan.taps():
        done = place_tap(done, tap.coarse, slice_tap(y, tap.fine))
    return done


OPERATIONS = (
    Operation(
        bed_of_nails,
        plan_bed_of_nails,
        nails_windows,
        plan_nails_over,
        nails_as_planned,
        nails_definition,
        partner="decimate",
        up=True,
        lies="nails",
        drawn="copies",
        says="Each input element stamps one place of its block; the rest is zero.",
    ),
    Operation(
        decimate,
        plan_decimate,
        decimate_windows,
        plan_decimate_over,
        decimate_as_planned,
        decimate_definition,
        arrays=("y",),
        partner="bed_of_nails",
        lies="nails",
        drawn="copies",
        says="Each output keeps one element of its block.",
    ),
)
PAIRS = (
    Pair(
        "bed_of_nails",
        decimate,
        bed_of_nails,
        plan_decimate,
        plan_bed_of_nails,
        sized_call,
        "1 on one tap, always the same",
    ),
)
