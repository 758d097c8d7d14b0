"""Flax (nnx) modules of the pairs: channels last, and flax's names for what flax has.

Inside everything is channels first, as in all of `unsample`: kernels are kept in torch's layout, and the
Switches that `MaxPool` gives have their channels before the windows.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

try:
    from flax import nnx
except ImportError:
    raise ImportError("unsample.jax.flax: Flax is not installed: pip install flax") from None

import unsample.jax as us
from unsample.errors import ShapeError
from unsample.geometry.arguments import IntOrInts, PaddingMode, count, is_sequence
from unsample.jax import check_groups
from unsample.ops.shuffle import Order
from unsample.ops.unpool import Duplicates


def _channels_first(module: nnx.Module, x: Any, rank: int) -> Any:
    if x.ndim <= rank:
        raise ShapeError(
            f"{type(module).__name__}: input must be (..., *spatial, C) with {count(rank, 'spatial axis')}, "
            f"got shape {tuple(x.shape)}"
        )
    return jnp.moveaxis(x, -1, -1 - rank)


def _channels_last(x: Any, rank: int) -> Any:
    return jnp.moveaxis(x, -1 - rank, -1)


def _sizes(operation: str, name: str, given: IntOrInts) -> tuple[int, ...]:
    """One number per spatial axis; they tell how many spatial axes there are."""
    if not is_sequence(given):
        raise TypeError(f"{operation}: {name} must hold one integer per spatial axis, got {given!r}")
    return tuple(given)


class ConvTranspose(nnx.Module):
    """Transposed convolution: `unsample.conv_transpose` with a kernel of its own.

    Parameters
    ----------
    in_features, out_features : int
        Channels of the input and of the output; `feature_group_count` divides both.
    kernel_size : sequence of int
        One per spatial axis.
    strides, kernel_dilation, feature_group_count
        `stride`, `dilation` and `groups` of `unsample.conv_transpose`.
    padding, padding_mode
        As in `unsample.conv_transpose`: padding crops the output, and "same" gives size * stride.
    use_bias : bool
    param_dtype : dtype
        Of the parameters; the input's and theirs promote as jax does.
    kernel_init, bias_init : callable
        `init(key, shape, dtype)`; the kernel uniform within 1 / sqrt(out_features / groups * taps), as in
        torch, and the bias 0 unless given.
    rngs : nnx.Rngs

    Attributes
    ----------
    kernel : nnx.Param, (in_features, out_features / feature_group_count, *kernel_size)
    bias : nnx.Param, (out_features,), or None

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> up = ConvTranspose(4, 2, (4, 4), 2, padding=1, feature_group_count=2, rngs=nnx.Rngs(0))
    >>> up.kernel.shape, up(jnp.ones((1, 5, 7, 4))).shape
    ((4, 1, 4, 4), (1, 10, 14, 2))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Sequence[int],
        strides: IntOrInts = 1,
        *,
        padding: Any = "same",
        kernel_dilation: IntOrInts = 1,
        feature_group_count: int = 1,
        padding_mode: PaddingMode = "zeros",
        use_bias: bool = True,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = None,
        bias_init: Any = jax.nn.initializers.zeros,
        rngs: nnx.Rngs,
    ) -> None:
        kernel = _sizes("ConvTranspose", "kernel_size", kernel_size)
        check_groups(in_features, out_features, feature_group_count)
        shape = (in_features, out_features // feature_group_count, *kernel)
        start = kernel_init or _uniform(1 / math.sqrt(max(1, math.prod(shape[1:]))))
        self.kernel = nnx.Param(start(rngs.params(), shape, param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.kernel_size, self.strides, self.padding = kernel, strides, padding
        self.kernel_dilation, self.feature_group_count = kernel_dilation, feature_group_count
        self.padding_mode = padding_mode

    def __call__(self, x: Any, *, output_size: Any = None) -> jax.Array:
        """(N, *spatial, in_features) -> (N, *output_size, out_features); N may be left out."""
        rank = len(self.kernel_size)
        y = us.conv_transpose(
            _channels_first(self, x, rank),
            self.kernel[...],
            None if self.bias is None else self.bias[...],
            stride=self.strides,
            padding=self.padding,
            output_size=output_size,
            dilation=self.kernel_dilation,
            groups=self.feature_group_count,
            padding_mode=self.padding_mode,
        )
        return _channels_last(y, rank)  # type: ignore[no-any-return]


def _uniform(limit: float) -> Any:
    def start(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return start


class MaxPool(nnx.Module):
    """Max pooling that remembers: values and Switches, for `MaxUnpool`.

    Parameters
    ----------
    window_shape : sequence of int
        One per spatial axis.
    strides : int or sequence of int, optional
        The window unless given.
    padding, dilation, ceil_mode
        As in `unsample.max_pool`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> values, switches = MaxPool((2,), ceil_mode=True)(jnp.array([[[3], [9], [5], [7], [8]]]))
    >>> values[..., 0].tolist(), MaxUnpool()(values, switches)[..., 0].tolist()
    ([[9, 7, 8]], [[0, 9, 0, 7, 8]])
    """

    def __init__(
        self,
        window_shape: Sequence[int],
        strides: IntOrInts | None = None,
        padding: Any = 0,
        dilation: IntOrInts = 1,
        ceil_mode: bool = False,
    ) -> None:
        self.window_shape = _sizes("MaxPool", "window_shape", window_shape)
        self.strides, self.padding, self.dilation, self.ceil_mode = strides, padding, dilation, ceil_mode

    def __call__(self, x: Any) -> tuple[jax.Array, us.Switches]:
        """(..., *spatial, C) -> (..., *windows, C) and the switches, (..., C, *windows)."""
        rank = len(self.window_shape)
        values, switches = us.max_pool(
            _channels_first(self, x, rank),
            self.window_shape,
            stride=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )
        return _channels_last(values, rank), switches


class MaxUnpool(nnx.Module):
    """Max unpooling: every value back where its maximum came from, in the size that was pooled.

    Parameters
    ----------
    duplicates : "last", "sum" or "max"
        As in `unsample.max_unpool`.
    """

    def __init__(self, duplicates: Duplicates = "last") -> None:
        self.duplicates = duplicates

    def __call__(self, values: Any, switches: us.Switches) -> jax.Array:
        """(..., *windows, C) -> (..., *spatial, C)."""
        rank = len(switches.windows)
        up = us.max_unpool(_channels_first(self, values, rank), switches, duplicates=self.duplicates)
        return _channels_last(up, rank)  # type: ignore[no-any-return]


class PixelShuffle(nnx.Module):
    """Groups of channels laid out as the elements of a block, over any number of axes.

    Parameters
    ----------
    factor : sequence of int
        One per spatial axis.
    order : "CRD" or "DCR"
        Which channels form a group: torch's `pixel_shuffle`, or TensorFlow's `depth_to_space`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> PixelShuffle((2,))(jnp.array([[0, 1], [2, 3]])).tolist()
    [[0], [1], [2], [3]]
    """

    def __init__(self, factor: Sequence[int], order: Order = "CRD") -> None:
        self.factor = _sizes(type(self).__name__, "factor", factor)
        self.order = order

    def __call__(self, x: Any) -> jax.Array:
        """(..., *spatial, C * T) -> (..., *spatial * factor, C)."""
        return self._through(us.pixel_shuffle, x)  # type: ignore[no-any-return]

    def _through(self, function: Any, x: Any) -> Any:
        rank = len(self.factor)
        return _channels_last(function(_channels_first(self, x, rank), self.factor, order=self.order), rank)


class PixelUnshuffle(PixelShuffle):
    """The elements of every block gathered into channels: the transpose and inverse of `PixelShuffle`.

    Parameters
    ----------
    factor : sequence of int
        One per spatial axis.
    order : "CRD" or "DCR"
        As in `PixelShuffle`.
    """

    def __call__(self, x: Any) -> jax.Array:
        """(..., *spatial * factor, C) -> (..., *spatial, C * T)."""
        return self._through(us.pixel_unshuffle, x)  # type: ignore[no-any-return]


__all__ = ["ConvTranspose", "MaxPool", "MaxUnpool", "PixelShuffle", "PixelUnshuffle"]
