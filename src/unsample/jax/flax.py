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
    from flax.nnx.nn.dtypes import promote_dtype
except ImportError:
    raise ImportError("unsample.jax.flax: Flax is not installed: pip install flax") from None

import unsample.jax as us
from unsample.errors import ShapeError
from unsample.geometry.arguments import IntOrInts, PaddingMode, count, is_sequence, with_plain_numbers
from unsample.interop import convert_arguments
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
    kernel_size : int or sequence of int
        One per spatial axis; an int means one axis.
    strides, kernel_dilation, feature_group_count
        `stride`, `dilation` and `groups` of `unsample.conv_transpose`.
    padding, padding_mode
        As in `unsample.conv_transpose`: padding crops the output, and "same" gives size * stride. "SAME",
        "VALID" and "CIRCULAR" are flax's words and mean the same; the last is "same" that is circular.
    use_bias : bool
    dtype : dtype, optional
        Of the computation; unless given, the input's and that of the parameters promote as jax does.
    param_dtype : dtype
        Of the parameters.
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
    >>> up(jnp.ones((5, 7, 4)), like=jnp.ones((11, 15, 1))).shape         # as large as a skip connection
    (11, 15, 2)
    """

    @with_plain_numbers
    def __init__(  # noqa: PLR0913  flax's and ours
        self,
        in_features: int,
        out_features: int,
        kernel_size: IntOrInts,
        strides: IntOrInts | None = 1,
        *,
        padding: Any = "same",
        kernel_dilation: IntOrInts | None = 1,
        feature_group_count: int = 1,
        padding_mode: PaddingMode = "zeros",
        use_bias: bool = True,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = None,
        bias_init: Any = jax.nn.initializers.zeros,
        rngs: nnx.Rngs,
    ) -> None:
        kernel = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        check_groups(in_features, out_features, feature_group_count)
        shape = (in_features, out_features // feature_group_count, *kernel)
        start = kernel_init or _uniform(1 / math.sqrt(max(1, math.prod(shape[1:]))))
        self.kernel = nnx.Param(start(rngs.params(), shape, param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.kernel_size, self.feature_group_count, self.dtype = kernel, feature_group_count, dtype
        self.strides = 1 if strides is None else strides
        self.kernel_dilation = 1 if kernel_dilation is None else kernel_dilation
        if padding == "VALID":  # at least as many elements as the stride for each
            words = {"strides": strides, "kernel_dilation": kernel_dilation, "padding": padding}
            padding = convert_arguments(kernel, words, source="flax", target="unsample")["padding"]
        self.padding: Any = "same" if padding in ("SAME", "CIRCULAR") else padding
        self.padding_mode: PaddingMode = "circular" if padding == "CIRCULAR" else padding_mode

    def __call__(self, x: Any, *, output_size: Any = None, like: Any = None) -> jax.Array:
        """(..., *spatial, in_features) -> (..., *output_size, out_features), or the size of `like`, alike."""
        rank = len(self.kernel_size)
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = promote_dtype((x, self.kernel[...], bias), dtype=self.dtype)
        x = _channels_first(self, x, rank)
        y = us.conv_transpose(
            x.reshape(-1, *x.shape[-rank - 1 :]),
            kernel,
            bias,
            stride=self.strides,
            padding=self.padding,
            output_size=output_size,
            like=None if like is None else jax.eval_shape(lambda: _channels_first(self, like, rank)),
            dilation=self.kernel_dilation,
            groups=self.feature_group_count,
            padding_mode=self.padding_mode,
        )
        y = y.reshape(*x.shape[: -rank - 1], *y.shape[1:])
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

    @with_plain_numbers
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

    @with_plain_numbers
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

    @with_plain_numbers
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
