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
from unsample.draw.values import Given, as_numbers, as_values, has_symbols, numbers, read, symbols
from unsample.geometry import ShapeError
from unsample.geometry.arguments import per_axis
from unsample.ops.conv import plan_conv, plan_conv_transpose, plan_conv_weight_grad


def make_conv(request: Request) -> Example:
    """Conv and conv_transpose: a weight on every tap."""
    name, settings = request.operation, request.settings
    up = name == "conv_transpose"
    if request.kernel is None:
        raise ShapeError(f"draw: {name} needs a kernel, such as 3 or x,y,z")
    given, kernel = request.input, read("kernel", request.kernel)
    if kernel.values is None and len(kernel.shape) == 1:
        kernel = Given(kernel.shape * len(given.shape))
    plain = len(kernel.shape) == len(given.shape)
    if not plain and len(kernel.shape) != len(given.shape) + 1:
        raise ShapeError(
            f"draw: the kernel must have as many axes as the input (taps alone), or one more "
            f"(C_y, C_x / groups, *taps), got a kernel of shape {kernel.shape} "
            f"for an input of shape {given.shape}"
        )
    shape = (1, *given.shape) if plain else given.shape
    weight_shape = (1, 1, *kernel.shape) if plain else kernel.shape
    bias = None if request.bias is None else read("bias", request.bias)
    if bias is not None and bias.values is None:  # a single number is the bias, not its size
        bias = Given((1,), as_values([bias.shape[0]])) if len(bias.shape) == 1 else bias
    planned = plan_conv_transpose if up else plan_conv
    plan = planned(shape, weight_shape, None if bias is None else bias.shape, **settings)
    groups = settings.get("groups", 1)
    channels_y, channels_x = weight_shape[0], weight_shape[1]
    check_terms(name, plan.windows, channels_y * channels_x)

    letters = _letters(request, given, kernel, bias)
    if letters:
        taken = [each for array in (given, kernel, bias) if array and array.values is not None
                 for each in array.values.flat]  # fmt: skip
        rest = math.prod(kernel.shape) if kernel.values is None else 0
        filled = given.values
        if filled is None:
            filled = symbols(given.shape, last=False, taken=taken, others=rest)
            taken += list(filled.flat)
        weights = kernel.values
        if weights is None:
            weights = symbols(kernel.shape, last=True, taken=taken, others=0)
    else:
        filled = request.fill(given)
        weights = kernel.values
        if weights is None:
            weights = numbers(kernel.shape, (request.seed, 1), largest=4)

    def term(tap: Index, coarse: Index, fine: Index) -> Iterator[Term]:
        for y in range(channels_y):
            for j in range(channels_x):
                x = y // (channels_y // groups) * channels_x + j
                on_coarse, on_fine = (coarse, fine) if plain else ((y, *coarse), (x, *fine))
                weight = weights[tap] if plain else weights[(y, j, *tap)]
                yield Term(on_coarse, on_fine, weight) if up else Term(on_fine, on_coarse, weight)

    def terms(places: Iterator[tuple[Index, Index, Index]]) -> tuple[Term, ...]:
        return in_order((each for place in places for each in term(*place)), up=up)

    output_shape = plan.output_shape[1:] if plain else plan.output_shape
    drawn = Example(
        name,
        plan,
        filled,
        np.empty(output_shape, object),
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


def _letters(request: Request, *arrays: Given | None) -> bool:
    """Whether sizes are filled with symbols."""
    if request.symbols is not None:
        return request.symbols
    return any(array is not None and has_symbols(array.values) for array in arrays)


def make_weight_grad(request: Request) -> Example:
    """As a function of y; the x it meets stands where a kernel would."""
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
    if _letters(request, given, x):
        taken = [] if x.values is None else list(x.values.flat)
        filled = given.values
        if filled is None:
            rest = math.prod(x.shape) if x.values is None else 0
            filled = symbols(given.shape, last=False, taken=taken, others=rest)
        others = x.values
        if others is None:
            others = symbols(x.shape, last=True, taken=filled.flat, others=0)
    else:
        filled = request.fill(given)
        others = x.values if x.values is not None else numbers(x.shape, (request.seed, 1), largest=4)
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
