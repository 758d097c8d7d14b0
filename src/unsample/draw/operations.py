"""`example`, which makes one call of an operation, as its record says that it is drawn."""

import inspect
from collections.abc import Callable
from typing import Any

import unsample
from unsample.draw.example import Example, Request
from unsample.draw.make_conv import make_conv, make_weight_grad
from unsample.draw.make_moves import make_by_matrix, make_copies, make_pool, make_switched
from unsample.draw.values import read
from unsample.geometry import ShapeError
from unsample.geometry.arguments import choice, describe, integer
from unsample.operation import Drawn
from unsample.pairs import OPERATIONS

_MAKERS: dict[Drawn, Callable[[Request], Example]] = {
    "kernel": make_conv,
    "weight gradient": make_weight_grad,
    "copies": make_copies,
    "pooling": make_pool,
    "switches": make_switched,
    "matrix": make_by_matrix,
}


def example(
    operation: str | Callable[..., Any],
    input: Any,
    kernel: Any = None,
    *,
    bias: Any = None,
    pooled: Any = None,
    switches: Any = None,
    symbols: bool | None = None,
    seed: int = 0,
    **settings: Any,
) -> Example:
    """One call of an operation with small numbers or symbols in it, ready to be drawn.

    Parameters
    ----------
    operation : str or callable
        A key of `OPERATIONS`, or that function of `unsample`.
    input, kernel : int, tuple of int, str, path or array
        A size (4, (4, 4), "4x4") to be filled, values ([1, 2], "1,2;3,4", "x,y,z") or a file (.npy, .csv,
        .txt). The input of a convolution is (*spatial) with a kernel (*taps), or (C, *spatial) with a
        kernel (C_y, C_x / groups, *taps); of a pixel shuffle (C, *spatial); elsewhere leading axes are those
        that the settings name no number for. `kernel` is the x of `conv_weight_grad`, whose input is y.
    bias : values, optional
        One per output channel of a convolution.
    pooled : values or size, optional
        What was max-pooled: its switches are those of `max_unpool` (and its maxima the input, unless
        that is given as values) or of `max_gather`. With `output_size` and no `kernel_size`, by
        `adaptive_max_pool`.
    switches : Switches or values, optional
        Instead of `pooled`: tap numbers, in C order.
    symbols : bool, optional
        Fill sizes with letters (True) or random integers (False); letters where any other array has
        some, unless given.
    seed : int
        Of the random integers.
    **settings
        As the operation takes them: stride, padding, factor, ... A number stands for all spatial axes.

    Returns
    -------
    Example

    Raises
    ------
    ShapeError, TypeError, OverflowError
        Where an argument does not fit or the drawing would be too large, and as the operation raises.

    Examples
    --------
    The article's Fig. 7:

    >>> fig7 = example("conv_transpose", 2, "x,y,z", stride=2)
    >>> fig7.output
    array(['a·x', 'a·y', 'a·z + b·x', 'b·y', 'b·z'], dtype=object)
    >>> example("nearest", [3, 5], factor=2).output
    array([3, 3, 5, 5], dtype=object)
    """
    name = operation if isinstance(operation, str) else getattr(operation, "__name__", describe(operation))
    choice("draw", "operation", name, tuple(OPERATIONS))
    known = _settings_of(name)
    settings = {
        key: settings[key] for key in sorted(settings, key=_place(known)) if settings[key] is not None
    }
    if "weight" in OPERATIONS[name].arrays and kernel is None and "kernel_size" in settings:
        kernel = settings.pop("kernel_size")  # as torch.nn calls it
    for key in settings:
        if key not in known:
            listed = ", ".join(known)
            raise TypeError(f"draw: {name} takes the settings {listed}, got {key}")
    request = Request(
        name,
        read("input", input),
        kernel,
        bias,
        pooled,
        switches,
        settings,
        integer("draw", "seed", seed, minimum=0),
        symbols,
    )
    given = {"kernel": kernel, "bias": bias, "pooled": pooled, "switches": switches}
    for argument, value in given.items():
        if value is not None and argument not in _beside_the_input(name):
            takers = [other for other in OPERATIONS if argument in _beside_the_input(other)]
            raise TypeError(f"draw: {name} takes no {argument}, {' and '.join(takers)} do")
    made = _MAKERS[OPERATIONS[name].drawn](request)
    if not made.output.size:
        raise ShapeError(
            f"draw: the output of {name} has no elements to draw, its shape is {made.output.shape}"
        )
    return made


def _beside_the_input(name: str) -> tuple[str, ...]:
    """Which arrays a drawing of the operation takes beside the input, as `example` calls them."""
    called = {"weight": "kernel", "y": "kernel"}  # the other array of `conv_weight_grad` stands for a kernel
    names = tuple(called.get(name, name) for name in OPERATIONS[name].arrays[1:])
    return (*names, "pooled") if "switches" in names else names


def _settings_of(name: str) -> tuple[str, ...]:
    """Names of the settings that a drawing of the operation takes: those of the function itself."""
    own = inspect.signature(getattr(unsample, name)).parameters
    arrays = ("x", "y", "values", "weight", "bias", "switches", "like", "out", "return_switches")
    pooling = inspect.signature(unsample.max_pool).parameters if "switches" in own else ()
    more = ("output_size",) if name == "max_unpool" else ()
    return tuple(dict.fromkeys(key for key in (*own, *pooling, *more) if key not in arrays))


def _place(known: tuple[str, ...]) -> Callable[[str], int]:
    """The order of the operation's own arguments, whatever order they came in."""
    return lambda key: known.index(key) if key in known else len(known)
