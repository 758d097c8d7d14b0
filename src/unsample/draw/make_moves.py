"""Examples of the operations without a kernel: copies, pooling, switches, pixel shuffle, resize."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import unsample
from unsample.draw.example import (
    Example,
    Index,
    Request,
    Settings,
    Term,
    check_shape,
    check_terms,
    finished,
    in_order,
    places,
    places_outside,
)
from unsample.draw.values import Value, Values, as_numbers, as_values, has_symbols, numbers, read
from unsample.geometry import Plan, ShapeError
from unsample.geometry.arguments import paddings, per_axis
from unsample.geometry.sizes import fine_range
from unsample.interop.switch_indices import pool_windows
from unsample.ops.unpool import plan_max_gather, plan_max_unpool
from unsample.pairs import OPERATIONS
from unsample.switches import Switches


def _per_axis(settings: Settings, key: str, rank: int) -> Settings:
    """A single number stands for all axes of the input; the operation wants one each."""
    value = settings.get(key)
    if value is None or isinstance(value, tuple | list):
        return settings
    return {**settings, key: (value,) * rank}


def _call(settings: Settings, key: str) -> tuple[tuple[Any, ...], Settings]:
    """The setting that is positional, and the others."""
    rest = {name: value for name, value in settings.items() if name != key}
    return (settings[key],), rest


def _need(request: Request, *keys: str) -> None:
    if not any(key in request.settings for key in keys):
        raise ShapeError(f"draw: {request.operation} needs {' or '.join(keys)}")


def _led(shape: tuple[int, ...], rank: int) -> Iterator[Index]:
    """Every index of the axes that lead the spatial ones."""
    return itertools.product(*(range(n) for n in shape[: len(shape) - rank]))


def make_copies(request: Request) -> Example:
    """nearest, window_sum, bed_of_nails, decimate: weight 1."""
    _need(request, "factor")
    name, given = request.operation, request.input
    settings = _per_axis(request.settings, "factor", len(given.shape))
    args, rest = _call(settings, "factor")
    plan = OPERATIONS[name].plan(given.shape, *args, **rest)
    check_terms(name, plan.windows, math.prod(given.shape[: -plan.rank]))
    up = OPERATIONS[name].up
    input = request.fill(given)

    def terms() -> Iterator[Term]:
        for lead in _led(given.shape, plan.rank):
            for _, coarse, fine in places(plan):
                low, high = (*lead, *coarse), (*lead, *fine)
                yield Term(low, high, 1) if up else Term(high, low, 1)

    drawn = Example(
        name,
        plan,
        input,
        np.empty(plan.output_shape, object),
        in_order(terms(), up=up),
        settings=request.settings,
    )
    return finished(drawn, lambda: getattr(unsample, name)(as_numbers(input), *args, **rest))


def _switched_terms(
    lead: tuple[int, ...], plan: Plan, switches: Switches, *, chosen_only: bool
) -> Iterator[tuple[Index, Index, bool]]:
    """Window, element, whether the switch points there."""
    weights = [math.prod(plan.kernel_size[axis + 1 :]) for axis in range(plan.rank)]
    for index in itertools.product(*map(range, lead)):
        for tap, coarse, fine in places(plan):
            number = sum(t * weight for t, weight in zip(tap, weights, strict=True))
            hit = int(switches.taps[(*index, *coarse)]) == number
            if hit or not chosen_only:
                yield (*index, *coarse), (*index, *fine), hit


def make_pool(request: Request) -> Example:
    """max_pool and adaptive_max_pool: the whole window takes part, the largest element counts."""
    name, given = request.operation, request.input
    key = "kernel_size" if name == "max_pool" else "output_size"
    _need(request, key)
    settings = _per_axis(request.settings, key, len(given.shape))
    if name == "adaptive_max_pool":
        check_shape(name, "output", settings[key])
    args, rest = _call(settings, key)
    plan = OPERATIONS[name].plan(given.shape, *args, **rest)
    lead = given.shape[: -plan.rank]
    check_terms(name, plan.windows, math.prod(lead))
    input = request.fill(given, distinct=True, ordered=True)
    if has_symbols(input):
        raise ShapeError(f"draw: {name} compares its elements, so they must be numbers")
    values, switches = getattr(unsample, name)(as_numbers(input), *args, **rest)
    met = _switched_terms(lead, plan, switches, chosen_only=False)
    return Example(
        name,
        plan,
        input,
        as_values(values),
        in_order((Term(fine, coarse, 1, hit) for coarse, fine, hit in met), up=False),
        outside=in_order(
            (
                Term((*index, *fine), (*index, *coarse), 1, False)
                for index in itertools.product(*map(range, lead))
                for _, coarse, fine in places_outside(plan)
            ),
            up=False,
        ),
        settings=request.settings,
        switches=switches,
    )


def make_switched(request: Request) -> Example:
    """max_unpool and max_gather: weight 1 on the tap that the switch remembers."""
    name, given = request.operation, request.input
    up = name == "max_unpool"
    values, switches = _switches(request)
    input = as_values(values) if values is not None else request.fill(given)
    rest: Settings = {}
    if up and "duplicates" in request.settings:
        rest["duplicates"] = request.settings["duplicates"]
    plan = plan_max_unpool(input.shape, switches, **rest) if up else plan_max_gather(input.shape, switches)
    switches.check("draw")
    lead = input.shape[: -plan.rank]
    check_terms(name, plan.windows, math.prod(lead))
    met = _switched_terms(lead, plan, switches, chosen_only=True)
    terms = in_order((Term(c, f, 1) if up else Term(f, c, 1) for c, f, _ in met), up=up)
    if up and rest.get("duplicates", "last") != "sum":
        if has_symbols(input) and rest.get("duplicates") == "max":
            raise ShapeError("draw: duplicates 'max' compares the elements, so they must be numbers")
        terms = _without_losers(terms, input, largest=rest.get("duplicates") == "max")
    drawn = Example(
        name,
        plan,
        input,
        np.empty(plan.output_shape, object),
        terms,
        settings=request.settings,
        switches=switches,
    )
    function = getattr(unsample, name)
    return finished(drawn, lambda: function(as_numbers(input), switches, **rest))


def _without_losers(terms: tuple[Term, ...], input: Values, *, largest: bool) -> tuple[Term, ...]:
    """The terms, of which one counts where several meet, as in max_unpool: the last, or the first largest."""
    winner: dict[Index, int] = {}
    for number, term in enumerate(terms):
        best = winner.get(term.target)
        if best is None or not largest or input[term.source] > input[terms[best].source]:
            winner[term.target] = number
    return tuple(term._replace(counts=winner[term.target] == number) for number, term in enumerate(terms))


def _switches(request: Request) -> tuple[Any, Switches]:
    """The switches asked for and, where a map that was pooled gives them, the values."""
    name, given = request.operation, request.input
    up, asked = name == "max_unpool", request.switches
    if isinstance(asked, Switches):
        return None, asked
    pooling = {key: value for key, value in request.settings.items() if key != "duplicates"}
    if request.pooled is not None:
        pooled = read("pooled", request.pooled)
        filled = (
            pooled.values
            if pooled.values is not None
            else numbers(pooled.shape, (request.seed, 2), distinct=True)
        )
        if has_symbols(filled):
            raise ShapeError("draw: pooled is compared, so it must hold numbers")
        values, switches = _pooled(pooling, as_numbers(filled))
        return (values if up and given.values is None and not request.symbols else None), switches
    if "kernel_size" not in pooling and not (not up and "output_size" in pooling):
        raise ShapeError(f"draw: {name} needs kernel_size, or switches that know their pooling")
    fine = _pooled_size(request, pooling) if up else given.shape
    pooling.pop("output_size", None) if "kernel_size" in pooling else None
    if asked is not None:
        taps = read("switches", asked)
        if taps.values is None or has_symbols(taps.values):
            raise ShapeError("draw: switches must be tap numbers, such as 0,3;2,1")
        numbered = as_numbers(taps.values)
        if numbered.dtype.kind != "i" or numbered.min() < 0:
            raise ShapeError("draw: switches must be tap numbers from 0 on, such as 0,3;2,1")
        return None, Switches(numbered, pool_windows("draw", fine, **pooling))
    source = (
        as_numbers(given.values)
        if not up and given.values is not None and not has_symbols(given.values)
        else as_numbers(numbers(fine, (request.seed, 2), distinct=True))
    )
    return None, _pooled(pooling, source)[1]


def _pooled(pooling: Settings, x: Any) -> tuple[Any, Switches]:
    if "output_size" in pooling and "kernel_size" not in pooling:
        return unsample.adaptive_max_pool(x, _per_axis(pooling, "output_size", x.ndim)["output_size"])
    if "kernel_size" not in pooling:
        raise ShapeError("draw: a map that was pooled needs the kernel_size of the pooling")
    settings = _per_axis(pooling, "kernel_size", x.ndim)
    settings.pop("output_size", None)
    args, rest = _call(settings, "kernel_size")
    return unsample.max_pool(x, *args, **rest)


def _pooled_size(request: Request, pooling: Settings) -> tuple[int, ...]:
    """The size that was pooled: `output_size`, or the smallest whose pooling has the shape of the input."""
    coarse = request.input.shape
    rank = len(coarse)
    if "output_size" in pooling:
        size = per_axis("draw", "output_size", pooling["output_size"], rank, minimum=1)
        check_shape(request.operation, "larger side", size)
        return size
    kernel = per_axis("draw", "kernel_size", pooling["kernel_size"], rank, minimum=1)
    stride = per_axis("draw", "stride", pooling.get("stride", kernel), rank, minimum=1)
    dilation = per_axis("draw", "dilation", pooling.get("dilation", 1), rank, minimum=1)
    pads = paddings("draw", pooling.get("padding", 0), rank)
    size = tuple(
        max(1, fine_range(coarse[axis], kernel[axis], stride[axis], dilation[axis], pads, axis)[2])
        for axis in range(rank)
    )
    check_shape(request.operation, "larger side", size)
    return size


def make_by_matrix(request: Request) -> Example:
    """Pixel shuffle, resize and what has no drawing of its own: who meets whom is what the matrix says."""
    name, given = request.operation, request.input
    _need(request, *{"resize": ("output_size", "factor"), "resize_transpose": ("input_size",)}.get(
        name, ("factor",)
    ))  # fmt: skip
    settings = request.settings
    spatial = len(given.shape) - (1 if name.startswith("pixel") else 0)
    for key in ("factor", "output_size", "input_size"):
        settings = _per_axis(settings, key, max(1, spatial))
    resized = {"resize": None, "resize_transpose": "input_size"}
    first = resized.get(name, "factor")
    args, rest = _call(settings, first) if first else ((), settings)
    check_shape(name, "output", settings.get("output_size", settings.get("input_size")))
    if name == "resize" and len(settings.get("factor") or ()) == spatial:
        factors = zip(given.shape, settings["factor"], strict=True)
        check_shape(name, "output", [n * f if isinstance(f, int | float) else 0 for n, f in factors])
    plan = OPERATIONS[name].plan(given.shape, *args, **rest)
    check_shape(name, "output", plan.output_shape)
    input = request.fill(given)
    function = getattr(unsample, name)
    found = unsample.matrix(function, given.shape, *args, **rest).tocoo()
    terms = (
        Term(_unravel(j, given.shape), _unravel(i, plan.output_shape), _tidy(weight))
        for i, j, weight in zip(*found.coords, found.data.tolist(), strict=True)
    )
    drawn = Example(
        name,
        plan,
        input,
        np.empty(plan.output_shape, object),
        in_order(terms, up=OPERATIONS[name].up),
        settings=request.settings,
    )
    numeric = (
        (lambda: as_numbers(input))
        if name.startswith("pixel")
        else (lambda: as_numbers(input).astype(np.float64))
    )
    return finished(drawn, lambda: function(numeric(), *args, **rest))


def _unravel(number: Any, shape: tuple[int, ...]) -> Index:
    return tuple(int(i) for i in np.unravel_index(int(number), shape))


def _tidy(weight: float) -> Value:
    return int(weight) if weight == int(weight) else weight
