"""Resizing by interpolation and its exact transpose: fixed weights on the taps, one axis after the other."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from numbers import Real
from operator import index
from typing import Any, SupportsIndex

from unsample.arrays import dispatch
from unsample.arrays.library import (
    COPIES,
    SUMS,
    ArrayT,
    cast,
    constant,
    contiguous,
    dtype_kind,
    namespace,
    native_order,
    result_dtype,
    sum_dtype,
    zeros,
)
from unsample.arrays.out import check_out, placed
from unsample.arrays.stamp import add_tap, along, place_tap, slice_tap
from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    choice,
    describe,
    has_symbols,
    is_bool,
    is_sequence,
    listed,
    per_axis,
    plain,
    rank_of,
    shown,
    spatial_axes,
    unpacked,
)
from unsample.geometry.plan import Plan, cached_plan
from unsample.geometry.resample import (
    CONVENTIONS,
    METHODS,
    ROUNDING,
    SUPPORT,
    Convention,
    Method,
    Resample,
    check_axis,
    looks_at,
)
from unsample.native import moves
from unsample.operation import Call, Operation, Pair, Shape

# Of every spatial axis source and target size, and first, step, denominator of positions; of words 0, 0, 0.
Axes = tuple[tuple[int, int, int, int, int], ...]
# A word, or where target 0 of every axis looks and how much further the next one does.
Where = Convention | Sequence[tuple[float | Fraction, float | Fraction]]
# The words of a call as operators are told them.
Told = tuple[Method, Convention, bool, bool]


def plan_resize(
    shape: Sequence[int],
    output_size: Any = None,
    *,
    factor: Any = None,
    method: Method = "linear",
    convention: Where = "half_pixel",
    antialias: bool = False,
    exclude_outside: bool | None = None,
) -> Plan:
    """The plan of `resize` for an input of `shape`."""
    words = method, convention, antialias, exclude_outside
    axes = resize_axes(
        shape,
        output_size,
        factor=factor,
        method=method,
        convention=convention,
        antialias=antialias,
        exclude_outside=exclude_outside,
    )
    return plan_resize_over(shape, axes, *told(*words))


def plan_resize_transpose(
    shape: Sequence[int],
    input_size: Any,
    *,
    method: Method = "linear",
    convention: Where = "half_pixel",
    antialias: bool = False,
    exclude_outside: bool | None = None,
) -> Plan:
    """The plan of `resize_transpose` for an input of `shape`."""
    words = method, convention, antialias, exclude_outside
    axes = transposed_axes(
        shape,
        input_size,
        method=method,
        convention=convention,
        antialias=antialias,
        exclude_outside=exclude_outside,
    )
    return plan_transpose_over(shape, axes, *told(*words))


def told(method: Method, convention: Any, antialias: bool, exclude_outside: bool | None) -> Told:
    """The words of a call, of which positions are none and are told beside the sizes."""
    where = convention if isinstance(convention, str) else "half_pixel"
    return method, where, antialias, antialias if exclude_outside is None else exclude_outside  # type: ignore[return-value]


def resize_axes(
    shape: Sequence[int],
    output_size: Any = None,
    *,
    factor: Any = None,
    method: Method = "linear",
    convention: Where = "half_pixel",
    antialias: bool = False,
    exclude_outside: bool | None = None,
) -> Axes:
    """The size of every axis before and after `resize`."""
    convention = plain(convention)
    check_words("resize", method, convention, antialias, exclude_outside)
    if (output_size is None) == (factor is None):
        raise ShapeError("resize: exactly one of output_size and factor must be given")
    if output_size is not None:
        rank = rank_of("resize", "output_size", output_size, shape, "x")
        source = spatial_axes("resize", shape, rank)
        target = per_axis("resize", "output_size", output_size, rank, minimum=0)
    else:
        factor = unpacked(factor, ("int", "uint", "float"))
        rank = rank_of("resize", "factor", factor, shape, "x")
        source = spatial_axes("resize", shape, rank)
        factors = tuple(factor) if is_sequence(factor) else (factor,) * rank
        numbers = [_number(each) for each in factors]
        target = tuple(map(_enlarged, source, numbers))
    return _axes("resize", source, target, convention)


def transposed_axes(
    shape: Sequence[int],
    input_size: Any,
    *,
    method: Method = "linear",
    convention: Where = "half_pixel",
    antialias: bool = False,
    exclude_outside: bool | None = None,
) -> Axes:
    """The size of every axis before and after the `resize` that this is the transpose of."""
    operation = "resize_transpose"
    convention = plain(convention)
    check_words(operation, method, convention, antialias, exclude_outside)
    rank = rank_of(operation, "input_size", input_size, shape, "y")
    source = per_axis(operation, "input_size", input_size, rank, minimum=0)
    return _axes(operation, source, spatial_axes(operation, shape, rank), convention)


def _axes(operation: str, source: Sequence[int], target: Sequence[int], convention: Any) -> Axes:
    """Sizes with the positions that are given in place of a word."""
    looks = ((0, 0, 0),) * len(source)
    if not isinstance(convention, str):
        looks = tuple(_looks(operation, pair) for pair in convention)
        if len(looks) != len(source):
            raise ShapeError(
                f"{operation}: convention must hold one pair (first, step) per spatial axis, "
                f"got {shown(convention)} for {len(source)} axes"
            )
    return tuple((n, m, *look) for n, m, look in zip(source, target, looks, strict=True))


def _looks(operation: str, pair: Any) -> tuple[int, int, int]:
    """The pair (first, step) over one denominator; a float is the nearest ratio of 20 bits (0.1 is 1/10)."""
    if not is_sequence(pair) or len(pair) != 2:
        raise TypeError(f"{operation}: convention must hold pairs (first, step), got {describe(pair)}")
    numbers = [_converted(operation, "convention", each) for each in pair]
    if not all(map(math.isfinite, numbers)) or numbers[1] < 0:
        raise ShapeError(
            f"{operation}: convention must hold finite numbers, a step of at least 0, got {shown(pair)}"
        )
    first, step = (
        Fraction(each).limit_denominator(2**20) if isinstance(each, float) else Fraction(each)
        for each in numbers
    )
    denominator = math.lcm(first.denominator, step.denominator)
    return int(first * denominator), int(step * denominator), denominator


def plan_resize_over(shape: Sequence[int], axes: Axes, *words: Any) -> Plan:
    """The plan of `resize` between these sizes."""
    return _plan("resize", tuple(shape), axes, words)


def plan_transpose_over(shape: Sequence[int], axes: Axes, *words: Any) -> Plan:
    """The plan of `resize_transpose` between these sizes."""
    return _plan("resize_transpose", tuple(shape), axes, words)


def _plan(operation: str, shape: tuple[int, ...], axes: Axes, words: Any) -> Plan:
    check_words(operation, *words)
    up = operation == "resize"
    source, target = tuple(axis[0] for axis in axes), tuple(axis[1] for axis in axes)
    leading = shape[: len(shape) - len(axes)]
    plan = Plan(operation, shape, leading + (target if up else source))
    if has_symbols(*source, *target):
        return plan
    for axis, (n, m, *_) in enumerate(axes):
        if (n == 0) != (m == 0):
            raise ShapeError(
                f"{operation}: an axis of length 0 must stay one, and no other may become one, "
                f"got {n if up else m} to {m if up else n} on spatial axis {axis}"
            )
    check_axis(operation, source + target)
    method, convention, *options = words
    made = []
    for n, m, *given in axes:
        look = looks_at(operation, n, m, given) if any(given) else convention
        made.append(Resample(n, m, method, look, *options))
    return replace(plan, resamples=tuple(made))


def check_words(
    operation: str, method: Method, convention: Any, antialias: bool, exclude_outside: bool | None
) -> None:
    """Refuse words that are none, and those that do not go together."""
    choice(operation, "method", method, METHODS)
    if not is_sequence(convention):
        choice(operation, "convention", convention, CONVENTIONS)
    for name, flag in (("antialias", antialias), ("exclude_outside", exclude_outside)):
        if not isinstance(flag, bool) and (flag is not None or name == "antialias"):
            raise TypeError(f"{operation}: {name} must be a bool, got {describe(flag)}")
    if convention == "legacy" and method != "nearest":
        raise ShapeError(
            f"{operation}: convention 'legacy' is torch's old 'nearest' and needs that method, got {method!r}"
        )
    if method == "area" and convention != "half_pixel":
        raise ShapeError(
            f"{operation}: method 'area' averages whole elements and needs convention 'half_pixel', "
            f"got {shown(convention)}"
        )
    if antialias and (method not in SUPPORT or (isinstance(convention, str) and convention != "half_pixel")):
        raise ShapeError(
            f"{operation}: antialias needs method {listed(tuple(SUPPORT))} and convention "
            f"'half_pixel' or pairs, got {method!r} and {convention!r}"
        )
    if exclude_outside and method not in SUPPORT:
        raise ShapeError(
            f"{operation}: exclude_outside needs method {listed(tuple(SUPPORT))}, got {method!r}"
        )


def _number(factor: Any) -> Any:
    """A factor as a float or as an exact ratio; positive and finite."""
    number = factor if type(factor) is float else _converted("resize", "factor", factor)
    if not 0 < number < math.inf:
        raise ShapeError(f"resize: factor must be positive and finite, got {shown(factor)}")
    return number


def _converted(operation: str, name: str, number: Any) -> Any:
    """A number of any type, those of NumPy among them, as an int, a float or a Fraction."""
    if not is_bool(number) and isinstance(number, Real | SupportsIndex):
        if isinstance(number, Fraction):
            return number
        try:
            return index(number) if isinstance(number, SupportsIndex) else float(number)
        except TypeError:  # arrays have __index__ and refuse to use it
            pass
    raise TypeError(f"{operation}: {name} must be a number, got {describe(number)}")


def _enlarged(n: int, factor: Any) -> int:
    """floor(n * factor), a float multiplied as floats are: 10 * 0.7 is 7.0, though 0.7 is less than 7/10.

    That is the size that torch gives. A product of few bits is exact either way; in integers, a size that is
    not known yet stays an expression that more can be told of.
    """
    p, q = factor.as_integer_ratio()
    if isinstance(factor, float) and q > 1 and p >= 2**20:
        return math.floor(n * factor)
    size: int = n * p // q
    return size


def resize(
    x: ArrayT,
    output_size: Any = None,
    *,
    factor: Any = None,
    method: Method = "linear",
    convention: Where = "half_pixel",
    antialias: bool = False,
    exclude_outside: bool | None = None,
    out: ArrayT | None = None,
) -> ArrayT:
    """Interpolate to another size, axis by axis.

        out[..., o] = sum over i of w(o, i) * x[..., i]        along each spatial axis in turn

    Transpose: `resize_transpose` with `input_size` the size of x.

    Parameters
    ----------
    x : array, (..., *spatial)
        Any library. Methods that copy take any dtype; the others take real and complex numbers, and
        integers of up to 16 bits, rounded (ties to even) and clamped to their range.
    output_size : int or sequence of int
        Size of the result; a sequence holds one per spatial axis and any axes may lead, an int means x is
        (N, C, *spatial).
    factor : number or sequence of numbers
        Instead of `output_size`: floor(size * factor). A float is multiplied as floats are, as torch does;
        an integer or a `fractions.Fraction` exactly.
    method : "nearest", "nearest_ties_down", "floor", "ceil", "linear", "cubic", "catmull_rom", "lanczos3", \
"lanczos5" or "area"
        The first four copy: the nearest element (of two as near the later, or the one before), the one
        before or behind. "cubic" is torch's bicubic (a = -0.75), "catmull_rom" the cubic with a = -0.5,
        which TensorFlow, JAX and PIL take; "lanczos3" and "lanczos5" are JAX's and Keras's, PIL's LANCZOS
        is the first with `antialias`; "area" is the mean of torch's "area" (adaptive average pooling).
    convention : "half_pixel", "align_corners", "asymmetric" or "legacy", or pairs (first, step)
        Where target o looks in a source of n elements for a target of m:
        (o + 1/2) n / m - 1/2;  o (n - 1) / (m - 1), or 0 where m is 1;  o n / m;
        "legacy" is floor(o n / m), torch's old "nearest". A pair per spatial axis says it in numbers:
        first + o step. Those of a factor f that sizes do not say are (1 / (2 f) - 1/2, 1 / f).
    antialias : bool
        Stretch the kernel to the step between targets where an axis shrinks.
    exclude_outside : bool, optional
        Beyond the border: True leaves out what lies there and divides weights by their sum, False repeats
        the edge element; None is True with `antialias`.
    out : array, optional
        As in `nearest`.

    Returns
    -------
    array, (..., *output_size)
        Where an axis keeps its size it is copied bit for bit.

    Raises
    ------
    ShapeError, TypeError, OverflowError
        Where an argument does not fit, both or neither size is given, an axis would have no elements, or a
        pair has a target look beyond the border.

    Notes
    -----
    Positions by a word depend on the two *sizes* alone; a factor only chooses the size (torch's
    `recompute_scale_factor=True`). All are exact rationals, never rounded floats; a float of a pair is the
    nearest ratio of 20 bits. Ties of "nearest" go up, as in torch's "nearest-exact"; "nearest_ties_down" is
    ONNX's default. Sources: Keys (1981) for the cubic; Catmull & Rom (1974); Duchon (1979) for Lanczos's
    kernel; the ONNX operator Resize for the conventions.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.resize(np.array([0.0, 4.0]), (4,))
    array([0., 1., 3., 4.])
    >>> us.resize(np.array([0.0, 3.0]), (4,), convention="align_corners")
    array([0., 1., 2., 3.])
    >>> us.resize(np.array([[1, 2], [3, 4]]), factor=(1, 2), method="nearest")
    array([[1, 1, 2, 2],
           [3, 3, 4, 4]])
    >>> us.resize(np.array([0.0, 10.0, 20.0]), (4,), convention=[(0.5, 0.25)])
    array([ 5. ,  7.5, 10. , 12.5])
    """
    words: Any = {
        "method": method,
        "convention": convention,
        "antialias": antialias,
        "exclude_outside": exclude_outside,
    }
    if (call := dispatch.door(x)) is not None:
        return call("resize", (x,), told(**words), out, output_size, factor=factor, **words)  # type: ignore[no-any-return]
    xp = resized_namespace(x, method)
    plan = cached_plan(plan_resize, (x.shape,), output_size, factor=factor, **words)
    return resize_as_planned(xp, x, plan, out)


def resize_as_planned(xp: Any, x: ArrayT, plan: Plan, out: ArrayT | None) -> ArrayT:
    """`resize` by its kernel, or by its definition."""
    copy = plan.resamples[0].copies
    dtype, whole = native_order(x.dtype), dtype_kind(x.dtype) == "integer"
    if out is not None:
        check_out("resize", out, plan.output_shape, dtype, x=x)
    if copy:
        done = _walk(cast(xp, x, dtype), plan, up=True, copy=True, out=out)
    elif whole:
        limits = xp.iinfo(x.dtype)
        done = xp.round(_walk(cast(xp, x, xp.float32), plan, up=True))
        done = xp.astype(xp.clip(done, limits.min, limits.max), dtype)
    else:
        total = sum_dtype(xp, x.dtype)
        last = out if total == dtype else None  # where the last axis may be written
        done = _walk(cast(xp, x, total), plan, up=True, out=last)
        done = cast(xp, done, dtype)
    return placed(_apart(xp, done, x), out)


def resize_transpose(
    y: ArrayT,
    input_size: Any,
    *,
    method: Method = "linear",
    convention: Where = "half_pixel",
    antialias: bool = False,
    exclude_outside: bool | None = None,
    out: ArrayT | None = None,
) -> ArrayT:
    """The exact transpose of `resize`: every target hands its value back to the sources it was made of.

        out[..., i] = sum over o of w(o, i) * y[..., o]        w as in `resize`

    Transpose: `resize` with `output_size` the size of y.

    Parameters
    ----------
    y : array, (..., *spatial)
        Any library; real or complex (of methods that copy also integers and bool, summed like
        `window_sum`).
    input_size : int or sequence of int
        The size of the x that `resize` started from; as many numbers as spatial axes, or one for all of
        (N, C, *spatial).
    method, convention, antialias, exclude_outside, out
        As in `resize`.

    Returns
    -------
    array, (..., *input_size)

    Raises
    ------
    ShapeError, TypeError, OverflowError
        As in `resize`.

    Notes
    -----
    For an integer factor and away from the border this is the antialiased way down that belongs to the way
    up, times the block size. Source: the adjoint of separable interpolation (Keys, 1981).

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> us.resize_transpose(np.array([4.0, 0.0, 0.0, 4.0]), (2,))
    array([4., 4.])
    >>> us.resize_transpose(np.array([0.0, 4.0, 0.0, 0.0]), (2,))
    array([3., 1.])
    """
    words: Any = {
        "method": method,
        "convention": convention,
        "antialias": antialias,
        "exclude_outside": exclude_outside,
    }
    if (call := dispatch.door(y)) is not None:
        return call("resize_transpose", (y,), told(**words), out, input_size, **words)  # type: ignore[no-any-return]
    xp = transposed_namespace(y, method)
    plan = cached_plan(plan_resize_transpose, (y.shape,), input_size, **words)
    return resize_transpose_as_planned(xp, y, plan, out)


def resize_transpose_as_planned(xp: Any, y: ArrayT, plan: Plan, out: ArrayT | None) -> ArrayT:
    """`resize_transpose` by its kernel, or by its definition."""
    copy = plan.resamples[0].copies
    total = sum_dtype(xp, y.dtype)
    dtype = result_dtype(total, y.dtype)
    if out is not None:
        check_out("resize_transpose", out, plan.output_shape, dtype, y=y)
    last = out if total == dtype else None
    terms = cast(xp, y, total)
    done = _walk(terms, plan, up=False, copy=copy, out=last)
    return placed(_apart(xp, cast(xp, done, dtype), y), out)


def resized_namespace(x: Any, method: Method, *_: Any) -> Any:
    """The namespace of what `resize` takes."""
    xp = namespace("resize", COPIES if method in ROUNDING else SUMS, x=x)
    if method not in ROUNDING and dtype_kind(x.dtype) == "integer" and xp.iinfo(x.dtype).bits > 16:
        raise TypeError(
            f"resize: x must be real, complex or an integer of up to 16 bits for method {method!r}, "
            f"got dtype {x.dtype}"
        )
    return xp


def transposed_namespace(y: Any, method: Method, *_: Any) -> Any:
    """The namespace of what `resize_transpose` takes."""
    return namespace("resize_transpose", COPIES if method in ROUNDING else ("real", "complex"), y=y)


def _apart(xp: Any, done: Any, x: Any) -> Any:
    """A copy where no axis has changed: results never share memory with their arguments."""
    return xp.astype(x, x.dtype, copy=True) if done is x else done


def _walk(x: Any, plan: Plan, *, up: bool, copy: bool = False, out: Any = None) -> Any:
    """Walk along each axis that changes, source -> target (up) or target -> source, tap by tap.

    `copy` stands for weights that are all 1: elements are moved, not multiplied. Kernels write into `out`.
    """
    if not any(resample.changes for resample in plan.resamples):
        return x
    if moves.kernel_takes_resize(x, copy, up):
        return moves.resize(x, plan, up, copy, out)
    return dispatch.implementation(resize_definition, x)(x, plan, up, copy)


def resize_definition(x: Any, plan: Plan, up: bool, copy: bool) -> Any:
    """Axis by axis, tap by tap."""
    xp = namespace(plan.operation, x=x)
    if 0 in plan.output_shape:
        return zeros(x, plan.output_shape)
    x = contiguous(x)
    for axis, resample in enumerate(plan.resamples):
        if not resample.changes:
            continue
        shape = list(x.shape)
        shape[axis - plan.rank] = resample.target if up else resample.source
        done = zeros(x, tuple(shape))
        for tap in resample.taps():
            here, there = (tap.source, tap.target) if up else (tap.target, tap.source)
            value = slice_tap(x, along(axis, here, plan.rank))
            if not copy:
                column = tap.weights.reshape((-1, *(1,) * (plan.rank - axis - 1)))
                value = value * constant(x, column, x.dtype)
            if len(here) > len(there):  # many meet one
                value = xp.sum(value, axis=axis - plan.rank, keepdims=True)
            stamp = place_tap if up and copy else add_tap
            done = stamp(done, along(axis, there, plan.rank), value)
        x = done
    return x


def _resized_call(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """resize_transpose(y, input_size) -> resize(x, output_size), with as many sizes as were given."""
    (input_size,) = args
    rank = len(input_size) if is_sequence(input_size) else len(shape) - 2
    return (shape[len(shape) - rank :],), kwargs


_WORDS = {"method": "str", "convention": "str", "antialias": "bool", "exclude_outside": "bool"}

OPERATIONS = (
    Operation(
        resize,
        plan_resize,
        resize_axes,
        plan_resize_over,
        resize_as_planned,
        resize_definition,
        partner="resize_transpose",
        plan_words=_WORDS,
        up=True,
        lies="resampled",
        says="Each input element stamps its share of every output near it; shares add.",
        accept=resized_namespace,
    ),
    Operation(
        resize_transpose,
        plan_resize_transpose,
        transposed_axes,
        plan_transpose_over,
        resize_transpose_as_planned,
        resize_definition,
        arrays=("y",),
        partner="resize",
        plan_words=_WORDS,
        lies="resampled",
        sums=True,
        accept=transposed_namespace,
        says="Each output adds up what every input near it took of it, times the same shares.",
    ),
)
PAIRS = (
    Pair(
        "resize",
        resize_transpose,
        resize,
        plan_resize_transpose,
        plan_resize,
        _resized_call,
        "fixed interpolation weights",
    ),
)
