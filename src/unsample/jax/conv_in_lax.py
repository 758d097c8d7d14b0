"""Convolutions in `jax.lax`, for every platform: the two transposes are jax's own of the convolution.

XLA compiles one convolution where the definition unrolls its taps. Unlike the definition it multiplies the
zeros of the padding, which differs where a weight is not finite.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from unsample.arrays.library import dtype_kind
from unsample.geometry.plan import Plan
from unsample.geometry.window import Window
from unsample.ops import conv as definitions


def conv(x: Any, weight: Any, *bias: Any, plan: Plan, groups: int) -> Any:
    """`unsample.conv` as planned."""
    if not _takes(x, weight, plan):
        return definitions.conv_definition(x, weight, bias[0] if bias else None, plan, groups)
    return _biased(_conv(x, weight, plan, groups), bias, plan)


def conv_transpose(y: Any, weight: Any, *bias: Any, plan: Plan, groups: int) -> Any:
    """`unsample.conv_transpose` as planned."""
    if not _takes(y, weight, plan):
        return definitions.conv_transpose_definition(y, weight, bias[0] if bias else None, plan, groups)
    x = jax.ShapeDtypeStruct(plan.output_shape, y.dtype)
    (found,) = jax.linear_transpose(lambda x: _conv(x, weight, plan, groups), x)(y)
    return _biased(found, bias, plan)


def weight_grad(x: Any, y: Any, *, plan: Plan, groups: int) -> Any:
    """`unsample.conv_weight_grad` as planned."""
    if not _takes(x, y, plan):
        return definitions.weight_grad_definition(x, y, plan, groups)
    weight = jax.ShapeDtypeStruct(plan.output_shape, x.dtype)
    (found,) = jax.linear_transpose(lambda weight: _conv(x, weight, plan, groups), weight)(y)
    return found


def _takes(x: Any, other: Any, plan: Plan) -> bool:
    """Whether XLA has a convolution of these: not of integers, nor of nothing."""
    everything = (*x.shape, *other.shape, *plan.output_shape, *plan.fine, *plan.coarse)
    return dtype_kind(x.dtype) in ("real", "complex") and 0 not in everything


def _biased(x: Any, bias: tuple[Any, ...], plan: Plan) -> Any:
    return x + bias[0].reshape(-1, *(1,) * plan.rank) if bias else x


def _conv(x: Any, weight: Any, plan: Plan, groups: int) -> Any:
    """The convolution in lax: linear in x and in the weight."""
    paddings = []
    for axis, window in enumerate(plan.windows, 2):
        assert isinstance(window, Window)
        after = window.start(window.coarse - 1) + window.extent - window.fine
        before = window.before
        if window.mode != "zeros":  # read the border where the padding mirrors it
            positions = window.fold(np.arange(-before, window.fine + after))
            x, before, after = jnp.take(x, positions, axis=axis), 0, 0
        paddings.append((before, after))
    windows: Any = plan.windows
    return lax.conv_general_dilated(
        x,
        weight,
        window_strides=[window.stride for window in windows],
        padding=paddings,
        rhs_dilation=[window.dilation for window in windows],
        feature_group_count=groups,
    )
