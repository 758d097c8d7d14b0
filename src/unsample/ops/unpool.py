"""Max unpooling and its transpose, the gather: weight 1 on a remembered tap."""

from collections.abc import Sequence
from typing import Any, Literal, NoReturn, get_args

import numpy as np

from unsample.arrays import dispatch
from unsample.arrays.library import (
    ORDERED,
    SUMS,
    ArrayT,
    constant,
    dtype_kind,
    has_values,
    namespace,
    native_order,
    sum_dtype,
    to_numpy,
    zeros,
)
from unsample.arrays.out import check_out, placed
from unsample.arrays.stamp import add_tap, place_tap, slice_tap
from unsample.errors import ShapeError, SwitchError
from unsample.geometry.arguments import choice, has_symbols
from unsample.geometry.plan import Plan, cached_plan, plan_of_windows
from unsample.geometry.reach import settled
from unsample.geometry.window import AnyWindow
from unsample.native import moves
from unsample.operation import Call, Operation, Pair, Shape
from unsample.switches import Switches, check_kind, check_windows

Duplicates = Literal["last", "sum", "max", "error"]
DUPLICATES: tuple[Duplicates, ...] = get_args(Duplicates)


def plan_max_unpool(shape: Sequence[int], switches: Switches, *, duplicates: Duplicates = "last") -> Plan:
    """The plan of `max_unpool` for values of `shape`."""
    _check_switches("max_unpool", switches)
    shapes = tuple(shape), tuple(switches.taps.shape)
    return cached_plan(plan_unpool_over, shapes, switches.windows, duplicates)


def plan_max_gather(shape: Sequence[int], switches: Switches) -> Plan:
    """The plan of `max_gather` for an input of `shape`."""
    _check_switches("max_gather", switches)
    return cached_plan(plan_gather_over, (tuple(shape), tuple(switches.taps.shape)), switches.windows)


def plan_unpool_over(
    shape: tuple[int, ...], taps: tuple[int, ...], windows: tuple[AnyWindow, ...], duplicates: Duplicates
) -> Plan:
    """The plan of `max_unpool` for values and switches of these shapes."""
    choice("max_unpool", "duplicates", duplicates, DUPLICATES)
    if not has_symbols(*shape, *taps):
        check_windows("max_unpool", taps, windows)
        if shape != taps:
            raise ShapeError(f"max_unpool: values must have the shape {taps} of the switches, got {shape}")
    return plan_of_windows("max_unpool", shape, settled(windows), up=True)


def plan_gather_over(shape: tuple[int, ...], taps: tuple[int, ...], windows: tuple[AnyWindow, ...]) -> Plan:
    """The plan of `max_gather` for an input and switches of these shapes."""
    if not has_symbols(*shape, *taps):
        check_windows("max_gather", taps, windows)
        pooled = taps[: len(taps) - len(windows)] + tuple(window.fine for window in windows)
        if shape != pooled:
            raise ShapeError(f"max_gather: x must have the shape {pooled} that was pooled, got {shape}")
    return plan_of_windows("max_gather", shape, settled(windows), up=False)


def switched_windows(
    shape: Sequence[int], taps: Sequence[int], windows: tuple[AnyWindow, ...], *_: Duplicates
) -> tuple[AnyWindow, ...]:
    """The windows of `max_unpool` and `max_gather`: those of the switches."""
    return windows


def _check_switches(operation: str, switches: Any) -> None:
    check_kind(operation, switches)
    namespace(operation, ("integer",), switches=switches.taps)


def max_unpool(
    values: ArrayT, switches: Switches, *, duplicates: Duplicates = "last", out: ArrayT | None = None
) -> ArrayT:
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
    out : array, optional
        As in `nearest`.

    Returns
    -------
    array, (..., *input size)
        Exactly the size that was pooled.

    Raises
    ------
    ShapeError, TypeError
        Where values and switches do not belong together, or are not of one library.
    SwitchError
        At the first switch that does not point into its window.
    ValueError
        With duplicates="error", at the first element that two windows remember.

    Notes
    -----
    Source: the article, section 2.3; Zeiler, Taylor & Fergus (ICCV 2011); Badrinarayanan et al. (1511.00561).
    Sums of floats of 8 and 16 bits are taken in float32; sums of integers keep their dtype and may wrap.

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
    if (call := dispatch.door(values)) is not None:
        check_kind("max_unpool", switches)
        given = (values, switches.taps)
        return call("max_unpool", given, (duplicates,), out, switches.windows, duplicates)  # type: ignore[no-any-return]
    xp = namespace("max_unpool", values=values)
    plan = plan_max_unpool(values.shape, switches, duplicates=duplicates)
    return unpool_as_planned(xp, values, switches.taps, plan, duplicates, out)  # type: ignore[no-any-return]


def unpool_as_planned(xp: Any, values: Any, taps: Any, plan: Plan, duplicates: Duplicates, out: Any) -> Any:
    """`max_unpool` by its kernel, or by its definition."""
    if type(values) is not type(taps):
        namespace("max_unpool", values=values, switches=taps)
    if out is not None:
        check_out(
            "max_unpool",
            out,
            plan.output_shape,
            native_order(values.dtype),
            values=values,
            switches=taps,
        )
    if duplicates != "last" and not plan.tiles:
        if duplicates == "sum":
            namespace("max_unpool", (*SUMS, "float8"), values=values)
        elif duplicates == "max":
            namespace("max_unpool", ORDERED, values=values)
        elif duplicates == "error":
            Switches(taps, plan.windows).check("max_unpool")
            _refuse_duplicates(taps, plan)
    if moves.kernel_takes_taps(taps) and _native_values(values, plan, duplicates):
        done = moves.max_unpool(values, taps, plan, duplicates, out)
        return _refuse_switches(taps, plan) if done is None else done
    Switches(taps, plan.windows).check("max_unpool")
    unpool = dispatch.implementation(unpool_definition, values)
    return placed(unpool(values, taps, plan, duplicates), out)


def _native_values(values: Any, plan: Plan, duplicates: Duplicates) -> bool:
    added = duplicates in ("sum", "max") and not plan.tiles
    return moves.kernel_takes_sums(values) if added else moves.kernel_takes_moves(values)


def _refuse_switches(taps: Any, plan: Plan) -> NoReturn:
    """The error that a kernel has met: the first switch that points nowhere."""
    Switches(taps, plan.windows).check(plan.operation)
    raise SwitchError(f"{plan.operation}: a switch changed while it was read, and pointed nowhere")


def unpool_definition(values: Any, taps: Any, plan: Plan, duplicates: Duplicates) -> Any:
    """Tap by tap, and what of their values stays where several meet."""
    xp = namespace("max_unpool", values=values)
    if 0 in plan.input_shape or 0 in plan.output_shape:
        return zeros(values, plan.output_shape)
    # Backwards through the taps is forwards through the windows, see geometry.window.taps.
    walk = reversed(list(plan.taps()))
    if plan.tiles or duplicates in ("last", "error"):
        out = zeros(values, plan.output_shape)
        for tap in walk:
            hit = slice_tap(taps, tap.coarse) == tap.number
            value = xp.where(hit, slice_tap(values, tap.coarse), slice_tap(out, tap.fine))
            out = place_tap(out, tap.fine, value)
    elif duplicates == "sum":
        whole = dtype_kind(values.dtype) == "integer"
        total = native_order(values.dtype) if whole else sum_dtype(xp, values.dtype)
        terms = xp.astype(values, total)
        nothing = zeros(terms, (1,) * terms.ndim)
        out = zeros(terms, plan.output_shape)
        for tap in walk:
            hit = slice_tap(taps, tap.coarse) == tap.number
            out = add_tap(out, tap.fine, xp.where(hit, slice_tap(terms, tap.coarse), nothing))
        out = xp.astype(out, native_order(values.dtype))
    else:
        out = zeros(values, plan.output_shape)
        taken = zeros(taps, plan.output_shape, xp.bool)
        for tap in walk:
            hit = slice_tap(taps, tap.coarse) == tap.number
            value, old = slice_tap(values, tap.coarse), slice_tap(out, tap.fine)
            before = slice_tap(taken, tap.fine)
            wins = hit & (~before | (value > old) | ((value != value) & (old == old)))
            out = place_tap(out, tap.fine, xp.where(wins, value, old))
            taken = place_tap(taken, tap.fine, before | hit)
    return out


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


def max_gather(x: ArrayT, switches: Switches, *, out: ArrayT | None = None) -> ArrayT:
    """Take from every window the element at its switch: max pooling with the switches held fixed.

        out[..., o] = x[..., p(o, switches[..., o])]        p(o, t) as in `max_pool`

    Transpose: `max_unpool` with duplicates="sum".

    Parameters
    ----------
    x : array, (..., *spatial)
        Any library, any dtype; of the shape that was pooled.
    switches, out
        As in `max_unpool`.

    Returns
    -------
    array, (..., *windows)
        Bit-for-bit copies.

    Raises
    ------
    ShapeError, TypeError
        Where x and switches do not belong together, or are not of one library.
    SwitchError
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
    if (call := dispatch.door(x)) is not None:
        check_kind("max_gather", switches)
        return call("max_gather", (x, switches.taps), (), out, switches.windows)  # type: ignore[no-any-return]
    xp = namespace("max_gather", x=x)
    plan = plan_max_gather(x.shape, switches)
    return gather_as_planned(xp, x, switches.taps, plan, out)  # type: ignore[no-any-return]


def gather_as_planned(xp: Any, x: Any, taps: Any, plan: Plan, out: Any) -> Any:
    """`max_gather` by its kernel, or by its definition."""
    if type(x) is not type(taps):
        namespace("max_gather", x=x, switches=taps)
    if out is not None:
        check_out("max_gather", out, plan.output_shape, native_order(x.dtype), x=x, switches=taps)
    if moves.kernel_takes_moves(x) and moves.kernel_takes_taps(taps):
        found = moves.max_gather(x, taps, plan, out)
        return _refuse_switches(taps, plan) if found is None else found
    Switches(taps, plan.windows).check("max_gather")
    return placed(dispatch.implementation(gather_definition, x)(x, taps, plan), out)


def gather_definition(x: Any, taps: Any, plan: Plan) -> Any:
    """Tap by tap, what the switches say."""
    xp = namespace("max_gather", x=x)
    done = zeros(x, plan.output_shape)
    if 0 in done.shape:
        return done
    for tap in plan.taps():
        hit = slice_tap(taps, tap.coarse) == tap.number
        value = xp.where(hit, slice_tap(x, tap.fine), slice_tap(done, tap.coarse))
        done = place_tap(done, tap.coarse, value)
    return done


def _summed_call(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return args, {**kwargs, "duplicates": "sum"}


OPERATIONS = (
    Operation(
        max_unpool,
        plan_unpool_over,
        switched_windows,
        plan_unpool_over,
        unpool_as_planned,
        unpool_definition,
        arrays=("values", "switches"),
        words={"duplicates": "str"},
        up=True,
        lies="switches",
        drawn="switches",
        says="Each input element goes back to the place its switch remembers; the rest is zero.",
    ),
    Operation(
        max_gather,
        plan_gather_over,
        switched_windows,
        plan_gather_over,
        gather_as_planned,
        gather_definition,
        partner="max_unpool",
        arrays=("x", "switches"),
        lies="switches",
        drawn="switches",
        says="Each output takes the element that its switch remembers.",
    ),
)
PAIRS = (
    Pair(
        "max_unpool",
        max_gather,
        max_unpool,
        plan_max_gather,
        plan_max_unpool,
        _summed_call,
        "1 on the tap that the switch remembers",
    ),
)
