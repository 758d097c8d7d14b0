"""Examples of convolutions, their transposes and their weight gradients."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import unsample
from unsample.draw.example import (
    Example,
    Index,
    Request,
    Term,
    check_terms,
    finished,
    in_order,
    places,
    places_outside,
)
from unsample.draw.values import Given, Values, as_numbers, as_values, has_symbols, numbers, read, symbols
from unsample.geometry import ShapeError
from unsample.geometry.arguments import per_axis
from unsample.ops.conv import plan_conv, plan_conv_transpose, plan_conv_weight_grad


def make_conv(request: Request) -> Example:
    """Conv and conv_transpose: a weight on every tap."""
    name, settings, given = request.operation, request.settings, request.input
    up = name == "conv_transpose"
    kernel, bias = _kernel(request), _bias(request)
    plain = len(kernel.shape) == len(given.shape)
    shape = (1, *given.shape) if plain else given.shape
    weight_shape = (1, 1, *kernel.shape) if plain else kernel.shape
    planned = plan_conv_transpose if up else plan_conv
    plan = planned(shape, weight_shape, None if bias is None else bias.shape, **settings)
    check_terms(name, plan.windows, weight_shape[0] * weight_shape[1])
    filled, weights = _filled(request, given, kernel, bias)

    def terms(places: Iterator[tuple[Index, Index, Index]]) -> tuple[Term, ...]:
        groups = settings.get("groups", 1)
        found = _terms(places, weights.reshape(weight_shape), groups, up=up, plain=plain)
        return in_order(found, up=up)

    drawn = Example(
        name,
        plan,
        filled,
        np.empty(plan.output_shape[1:] if plain else plan.output_shape, object),
        terms(places(plan)),
        kernel=weights,
        outside=terms(places_outside(plan)),
        settings=settings,
        bias=None if bias is None else bias.values,
    )

    def compute() -> Any:
        function = unsample.conv_transpose if up else unsample.conv
        arrays = [as_numbers(filled).reshape(shape), as_numbers(weights).reshape(weight_shape)]
        if bias is not None and bias.values is not None:
            arrays.append(as_numbers(bias.values))
        return function(*arrays, **settings)

    return finished(drawn, compute)


def _kernel(request: Request) -> Given:
    """The taps alone, or (C_y, C_x / groups, *taps); a single number is the size of every axis."""
    if request.kernel is None:
        raise ShapeError(f"draw: {request.operation} needs a kernel, such as 3 or x,y,z")
    rank, kernel = len(request.input.shape), read("kernel", request.kernel)
    if kernel.values is None and len(kernel.shape) == 1:
        kernel = Given(kernel.shape * rank)
    if len(kernel.shape) not in (rank, rank + 1):
        raise ShapeError(
            f"draw: the kernel must have as many axes as the input (taps alone), or one more "
            f"(C_y, C_x / groups, *taps), got a kernel of shape {kernel.shape} "
            f"for an input of shape {request.input.shape}"
        )
    return kernel


def _bias(request: Request) -> Given | None:
    if request.bias is None:
        return None
    bias = read("bias", request.bias)
    if bias.values is None and len(bias.shape) == 1:  # a single number is the bias, not its size
        return Given((1,), as_values([bias.shape[0]]))
    return bias


def _terms(
    places: Iterator[tuple[Index, Index, Index]], weights: Values, groups: int, *, up: bool, plain: bool
) -> Iterator[Term]:
    """A term for every meeting and every pair of channels that the weights join; plain arrays have none."""
    outputs, inputs = weights.shape[:2]
    for tap, coarse, fine in places:
        for y, j in np.ndindex(outputs, inputs):
            x = y // (outputs // groups) * inputs + j
            on_coarse, on_fine = (coarse, fine) if plain else ((y, *coarse), (x, *fine))
            weight = weights[(y, j, *tap)]
            yield Term(on_coarse, on_fine, weight) if up else Term(on_fine, on_coarse, weight)


def _filled(
    request: Request, given: Given, kernel: Given, bias: Given | None = None
) -> tuple[Values, Values]:
    """The values of input and kernel: those given, letters beside other letters, or random integers."""
    arrays = [array.values for array in (given, kernel, bias) if array is not None]
    letters = any(map(has_symbols, arrays)) if request.symbols is None else request.symbols
    filled, weights = given.values, kernel.values
    if not letters:
        return request.fill(given), (
            numbers(kernel.shape, (request.seed, 1), largest=4) if weights is None else weights
        )
    taken = [each for values in arrays if values is not None for each in values.flat]
    if filled is None:
        rest = math.prod(kernel.shape) if weights is None else 0
        filled = symbols(given.shape, last=False, taken=taken, others=rest)
    if weights is None:
        weights = symbols(kernel.shape, last=True, taken=[*taken, *filled.flat], others=0)
    return filled, weights


def make_weight_grad(request: Request) -> Example:
    """`conv_weight_grad` as a function of y; the x it meets stands where a kernel would."""
    name, settings, given = request.operation, dict(request.settings), request.input
    if request.kernel is None or "kernel_size" not in settings:
        raise ShapeError(
            "draw: conv_weight_grad needs the x of the convolution as its kernel, and a kernel_size"
        )
    x = read("kernel", request.kernel)
    rank = len(given.shape)
    if len(x.shape) != rank:
        raise ShapeError(f"draw: x and y must have the same axes, got shapes {x.shape} and {given.shape}")
    if settings.get("groups", 1) != 1:
        raise ShapeError("draw: conv_weight_grad is drawn for one channel, so groups must be 1")
    size = per_axis(name, "kernel_size", settings.pop("kernel_size"), rank, minimum=1)
    plan = plan_conv_weight_grad((1, *x.shape), (1, *given.shape), size, **settings)
    check_terms(name, plan.windows, 1)
    filled, others = _filled(request, given, x)
    terms = (Term(coarse, tap, others[fine]) for tap, coarse, fine in places(plan))
    drawn = Example(
        name,
        plan,
        filled,
        np.empty(size, object),
        in_order(terms, up=True),
        kernel=others,
        settings=request.settings,
    )
    return finished(
        drawn,
        lambda: unsample.conv_weight_grad(
            as_numbers(others)[None], as_numbers(filled)[None], size, **settings
        ),
    )
