"""Equinox modules of the pairs: one example at a time, channels first, as `equinox.nn` has it.

`jax.vmap` makes batches of them, and Switches pass through it.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

try:
    import equinox as eqx
except ImportError:
    raise ImportError("unsample.jax.equinox: Equinox is not installed: pip install equinox") from None

import unsample.jax as us
from unsample.geometry.arguments import (
    IntOrInts,
    PaddingMode,
    check_rank,
    integer,
    per_axis,
    with_plain_numbers,
)
from unsample.jax import check_groups
from unsample.ops.shuffle import Order
from unsample.ops.unpool import Duplicates


def _fixed(argument: Any) -> Any:
    """Make tuples of lists, so that jit can compare modules."""
    return tuple(map(_fixed, argument)) if isinstance(argument, list | tuple) else argument


class ConvTranspose(eqx.Module):
    """Transposed convolution: `unsample.conv_transpose` with a weight of its own.

    Parameters
    ----------
    num_spatial_dims : int
    in_channels, out_channels : int
        Channels of the input and of the output; `groups` divides both.
    kernel_size, stride, padding, output_padding, dilation, groups, padding_mode
        As in `unsample.conv_transpose`: padding crops the output, and "same" gives size * stride.
    use_bias : bool
    dtype : dtype, optional
        Of the parameters.
    key : PRNG key
        For the start, torch's: uniform within 1 / sqrt(out_channels / groups * taps).

    Attributes
    ----------
    weight : array, (in_channels, out_channels / groups, *kernel_size)
        In torch's layout, so that its checkpoints go in as they are.
    bias : array, (out_channels,), or None

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> up = ConvTranspose(2, 4, 2, 4, stride=2, padding=1, groups=2, key=jax.random.key(0))
    >>> up.weight.shape, up(jnp.ones((4, 5, 7))).shape
    ((4, 1, 4, 4), (2, 10, 14))
    >>> up(jnp.ones((4, 5, 7)), like=jnp.ones((1, 11, 15))).shape         # as large as a skip connection
    (2, 11, 15)
    """

    weight: jax.Array
    bias: jax.Array | None
    stride: Any = eqx.field(static=True)
    padding: Any = eqx.field(static=True)
    output_padding: Any = eqx.field(static=True)
    dilation: Any = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    padding_mode: PaddingMode = eqx.field(static=True)

    @with_plain_numbers
    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts,
        stride: IntOrInts = 1,
        padding: Any = 0,
        output_padding: IntOrInts = 0,
        dilation: IntOrInts = 1,
        groups: int = 1,
        use_bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        dtype: Any = None,
        *,
        key: Any,
    ) -> None:
        rank = integer("ConvTranspose", "num_spatial_dims", num_spatial_dims, minimum=1)
        kernel = per_axis("ConvTranspose", "kernel_size", kernel_size, rank, minimum=1)
        check_groups(in_channels, out_channels, groups)
        of_weight, of_bias = jax.random.split(key)
        shape = (in_channels, out_channels // groups, *kernel)
        limit = 1 / math.sqrt(max(1, math.prod(shape[1:])))
        dtype = jnp.zeros(()).dtype if dtype is None else dtype
        self.weight = jax.random.uniform(of_weight, shape, dtype, -limit, limit)
        self.bias = jax.random.uniform(of_bias, (out_channels,), dtype, -limit, limit) if use_bias else None
        self.stride, self.padding = _fixed(stride), _fixed(padding)
        self.output_padding, self.dilation = _fixed(output_padding), _fixed(dilation)
        self.groups, self.padding_mode = groups, padding_mode

    def __call__(self, x: Any, *, output_size: Any = None, like: Any = None, key: Any = None) -> jax.Array:
        """(in_channels, *spatial) -> (out_channels, *output_size); `key` is not used."""
        check_rank("ConvTranspose", "x", x, (self.weight.ndim - 2,), (1,))
        sized = output_size is not None or like is not None
        return us.conv_transpose(  # type: ignore[no-any-return]
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=0 if sized else self.output_padding,
            output_size=output_size,
            like=like,
            dilation=self.dilation,
            groups=self.groups,
            padding_mode=self.padding_mode,
        )


class MaxPool(eqx.Module):
    """Max pooling that remembers: values and Switches, for `MaxUnpool`.

    Parameters
    ----------
    num_spatial_dims : int
    kernel_size, stride, padding, dilation, ceil_mode
        As in `unsample.max_pool`; the stride is the kernel size unless given, as in torch.
    return_switches : bool
        False returns the values alone.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> values, switches = MaxPool(1, 2, ceil_mode=True)(jnp.array([[3, 9, 5, 7, 8]]))
    >>> values.tolist(), MaxUnpool()(values, switches).tolist()
    ([[9, 7, 8]], [[0, 9, 0, 7, 8]])
    """

    kernel_size: tuple[int, ...] = eqx.field(static=True)
    stride: Any = eqx.field(static=True)
    padding: Any = eqx.field(static=True)
    dilation: Any = eqx.field(static=True)
    ceil_mode: bool = eqx.field(static=True)
    return_switches: bool = eqx.field(static=True)

    @with_plain_numbers
    def __init__(
        self,
        num_spatial_dims: int,
        kernel_size: IntOrInts,
        stride: IntOrInts | None = None,
        padding: Any = 0,
        dilation: IntOrInts = 1,
        ceil_mode: bool = False,
        return_switches: bool = True,
    ) -> None:
        self.kernel_size = per_axis("MaxPool", "kernel_size", kernel_size, num_spatial_dims, minimum=1)
        self.stride, self.padding, self.dilation = _fixed(stride), _fixed(padding), _fixed(dilation)
        self.ceil_mode, self.return_switches = ceil_mode, return_switches

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """(channels, *spatial) -> values, switches; `key` is not used."""
        check_rank("MaxPool", "x", x, (len(self.kernel_size),), (1,))
        pool: Any = us.max_pool
        return pool(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
            return_switches=self.return_switches,
        )


class MaxUnpool(eqx.Module):
    """Max unpooling: every value back where its maximum came from, in the size that was pooled.

    Parameters
    ----------
    duplicates : "last", "sum" or "max"
        As in `unsample.max_unpool`.
    """

    duplicates: Duplicates = eqx.field(static=True, default="last")

    def __call__(self, values: Any, switches: us.Switches, *, key: Any = None) -> jax.Array:
        """(channels, *windows) -> (channels, *spatial); `key` is not used."""
        check_rank("MaxUnpool", "values", values, (len(switches.windows),), (1,))
        return us.max_unpool(values, switches, duplicates=self.duplicates)  # type: ignore[no-any-return]


class PixelShuffle(eqx.Module):
    """Groups of channels laid out as the elements of a block, over any number of axes.

    Parameters
    ----------
    num_spatial_dims : int
    factor : int or sequence of int
    order : "CRD" or "DCR"
        As in `unsample.pixel_shuffle`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> PixelShuffle(1, 2)(jnp.array([[0, 2], [1, 3]])).tolist()
    [[0, 1, 2, 3]]
    """

    factor: tuple[int, ...] = eqx.field(static=True)
    order: Order = eqx.field(static=True)

    @with_plain_numbers
    def __init__(self, num_spatial_dims: int, factor: IntOrInts, order: Order = "CRD") -> None:
        self.factor = per_axis(type(self).__name__, "factor", factor, num_spatial_dims, minimum=1)
        self.order = order

    def __call__(self, x: Any, *, key: Any = None) -> jax.Array:
        """(channels * taps, *spatial) -> (channels, *spatial * factor); `key` is not used."""
        check_rank("PixelShuffle", "x", x, (len(self.factor),), (1,))
        return us.pixel_shuffle(x, self.factor, order=self.order)  # type: ignore[no-any-return]


class PixelUnshuffle(PixelShuffle):
    """The elements of every block gathered into channels: the transpose and inverse of `PixelShuffle`.

    Parameters
    ----------
    num_spatial_dims : int
    factor : int or sequence of int
    order : "CRD" or "DCR"
        As in `unsample.pixel_unshuffle`.
    """

    def __call__(self, x: Any, *, key: Any = None) -> jax.Array:
        """(channels, *spatial * factor) -> (channels * taps, *spatial); `key` is not used."""
        check_rank("PixelUnshuffle", "x", x, (len(self.factor),), (1,))
        return us.pixel_unshuffle(x, self.factor, order=self.order)  # type: ignore[no-any-return]


__all__ = ["ConvTranspose", "MaxPool", "MaxUnpool", "PixelShuffle", "PixelUnshuffle"]
