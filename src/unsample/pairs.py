"""PAIRS: every way up beside the way down it is the transpose of.

One record per pair, one place to look. Tests, docs and tools loop over this table, and an operation
that is not in it does not exist for them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from unsample.geometry.arguments import is_sequence
from unsample.geometry.plan import Plan
from unsample.ops.conv import (
    conv,
    conv_transpose,
    conv_weight_grad,
    plan_conv,
    plan_conv_transpose,
    plan_conv_weight_grad,
)
from unsample.ops.nails import bed_of_nails, decimate, plan_bed_of_nails, plan_decimate
from unsample.ops.nearest import nearest, plan_nearest, plan_window_sum, window_sum
from unsample.ops.resize import plan_resize, plan_resize_transpose, resize, resize_transpose
from unsample.ops.shuffle import (
    pixel_shuffle,
    pixel_unshuffle,
    plan_pixel_shuffle,
    plan_pixel_unshuffle,
)
from unsample.ops.unpool import max_gather, max_unpool, plan_max_gather, plan_max_unpool

Shape = tuple[int, ...]
Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A way down and a way up, each the transpose of the other in its first argument.

    Parameters
    ----------
    name : str
        The way up, as the public function is called.
    down, up : callables
        `down(x, *args, **kwargs)` and `up(y, *args, **kwargs)`.
    plan_down, plan_up : callables
        The same calls with the shape of the first argument in its place:
        `plan_down(x.shape, *args, **kwargs)` is the Plan of the call above.
    up_call : callable
        `up_call(x.shape, args, kwargs)` turns the arguments of a call down into those of its transpose.
    stamp : str
        The weight that tap t of the stamp carries, in words.
    """

    name: str
    down: Callable[..., Any]
    up: Callable[..., Any]
    plan_down: Callable[..., Plan]
    plan_up: Callable[..., Plan]
    up_call: Callable[[Shape, tuple[Any, ...], dict[str, Any]], Call]
    stamp: str


def _same(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return args, kwargs


def _sized(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return args, {**kwargs, "output_size": shape}


def _summed(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return args, {**kwargs, "duplicates": "sum"}


def _resized(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """resize_transpose(y, input_size) -> resize(x, output_size), with as many sizes as were given."""
    (input_size,) = args
    rank = len(input_size) if is_sequence(input_size) else len(shape) - 2
    return (shape[len(shape) - rank :],), kwargs


def conv_of_weight(weight: Any, x: Any, kernel_size: Any = None, **kwargs: Any) -> Any:
    """`conv(x, weight)` as a function of its weight; `kernel_size` is the weight's own."""
    return conv(x, weight, **kwargs)


def weight_grad_of_y(y: Any, x: Any, kernel_size: Any, **kwargs: Any) -> Any:
    """`conv_weight_grad(x, y, kernel_size)` as a function of y."""
    return conv_weight_grad(x, y, kernel_size, **kwargs)


def _plan_conv(shape: Shape, weight: Any, **kwargs: Any) -> Plan:
    return plan_conv(shape, weight.shape, **kwargs)


def _plan_conv_transpose(shape: Shape, weight: Any, **kwargs: Any) -> Plan:
    return plan_conv_transpose(shape, weight.shape, **kwargs)


def _plan_conv_of_weight(shape: Shape, x: Any, kernel_size: Any = None, **kwargs: Any) -> Plan:
    return replace(plan_conv(x.shape, shape, **kwargs), input_shape=shape)


def _plan_weight_grad_of_y(shape: Shape, x: Any, kernel_size: Any, **kwargs: Any) -> Plan:
    return replace(plan_conv_weight_grad(x.shape, shape, kernel_size, **kwargs), input_shape=shape)


PAIRS: tuple[Pair, ...] = (
    Pair(
        "nearest",
        window_sum,
        nearest,
        plan_window_sum,
        plan_nearest,
        _same,
        "1 on every tap",
    ),
    Pair(
        "bed_of_nails",
        decimate,
        bed_of_nails,
        plan_decimate,
        plan_bed_of_nails,
        _sized,
        "1 on one tap, always the same",
    ),
    Pair(
        "max_unpool",
        max_gather,
        max_unpool,
        plan_max_gather,
        plan_max_unpool,
        _summed,
        "1 on the tap that the switch remembers",
    ),
    Pair(
        "conv_transpose",
        conv,
        conv_transpose,
        _plan_conv,
        _plan_conv_transpose,
        _sized,
        "a learned matrix on every tap",
    ),
    Pair(
        "conv_weight_grad",
        conv_of_weight,
        weight_grad_of_y,
        _plan_conv_of_weight,
        _plan_weight_grad_of_y,
        _same,
        "the same form, its weight the unknown",
    ),
    Pair(
        "pixel_shuffle",
        pixel_unshuffle,
        pixel_shuffle,
        plan_pixel_unshuffle,
        plan_pixel_shuffle,
        _same,
        "one channel group on each tap",
    ),
    Pair(
        "resize",
        resize_transpose,
        resize,
        plan_resize_transpose,
        plan_resize,
        _resized,
        "fixed interpolation weights",
    ),
)
