"""Ways up made of a convolution and a fixed step, and the one that blurs what it doubles."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    IntOrInts,
    PaddingMode,
    check_rank,
    is_sequence,
    per_axis,
    with_plain_numbers,
)
from unsample.geometry.resample import Method
from unsample.ops.shuffle import Order
from unsample.torch import functional, init
from unsample.torch.layers.conv import Conv1d, Conv2d, Conv3d
from unsample.torch.layers.layer import Layer
from unsample.torch.layers.resize import asked_size, cropped, rank_of_factor

Tensor = torch.Tensor

CONVS: dict[int, Any] = {1: Conv1d, 2: Conv2d, 3: Conv3d}


def _axes(name: str, dims: int, kernel_size: IntOrInts, factor: IntOrInts) -> tuple[tuple[int, ...], ...]:
    """Kernel sizes and factors per axis; a tuple says how many axes there are, else `dims` does."""
    for given in (kernel_size, factor):
        if is_sequence(given):
            dims = len(given)
    if dims not in CONVS:
        raise ShapeError(f"{name}: dims must be 1, 2 or 3, got {dims}")
    return (
        per_axis(name, "kernel_size", kernel_size, dims, minimum=1),
        per_axis(name, "factor", factor, dims, minimum=1),
    )


class ResizeConv(Layer):
    """Enlarge by interpolation, then convolve: no two outputs meet a different number of taps.

        out = conv(resize(x, factor * size), weight) + bias

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, factor : int or tuple of int
        Of the convolution, padded to "same"; of the enlargement. A tuple says how many axes there are.
    mode : "nearest", "linear", "cubic" or "catmull_rom"
        As `method` of `unsample.resize`.
    dims : int
        Spatial axes, where neither `kernel_size` nor `factor` is a tuple.
    groups, bias, padding_mode, device, dtype
        Of the convolution.

    Notes
    -----
    Source: Odena, Dumoulin & Olah, Deconvolution and checkerboard artifacts (Distill, 2016).

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.ResizeConv(8, 4, 3)(torch.zeros(1, 8, 5, 7), like=torch.zeros(1, 4, 9, 14)).shape
    torch.Size([1, 4, 9, 14])
    """

    @with_plain_numbers
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts = 3,
        factor: IntOrInts = 2,
        *,
        mode: Method = "nearest",
        dims: int = 2,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kernel, self.factor = _axes("ResizeConv", dims, kernel_size, factor)
        self.mode = mode
        self.conv = CONVS[len(kernel)](
            in_channels,
            out_channels,
            kernel,
            padding="same",
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )

    def extra_repr(self) -> str:
        """What is not in the convolution."""
        return f"factor={self.factor}, mode={self.mode!r}"

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """Enlarge to factor times the size, or to `output_size`, or to the size of `like`; convolve."""
        rank = len(self.factor)
        check_rank("ResizeConv", "input", input, (rank,))
        size = asked_size(self, input, rank, output_size, like)
        if self.mode == "nearest":
            large = cropped(self, functional.nearest(input, self.factor), self.factor, size)
        else:
            own = input.shape[input.ndim - rank :]
            whole = tuple(n * f for n, f in zip(own, self.factor, strict=True))
            large = functional.resize(input, whole if size is None else size, method=self.mode)
        result: Tensor = self.conv(large)
        return result

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


class SubPixelConv(Layer):
    """Convolve to factor times the channels per axis, then lay them out as pixels.

        out = pixel_shuffle(conv(x, weight) + bias, factor)

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, factor : int or tuple of int
        Of the convolution, padded to "same"; of the shuffle. A tuple says how many axes there are.
    order : "CRD" or "DCR"
        As in `unsample.pixel_shuffle`.
    icnr : bool
        Whether weights start as `init.icnr_` sets them: as a convolution followed by nearest neighbour.
    dims, groups, bias, padding_mode, device, dtype
        As in `ResizeConv`.

    Notes
    -----
    Sources: Shi et al. (1609.05158); Aitken et al. (1707.02937) for the start.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.SubPixelConv(8, 4, 3, factor=(2, 3))(torch.zeros(1, 8, 5, 7)).shape
    torch.Size([1, 4, 10, 21])
    """

    @with_plain_numbers
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts = 3,
        factor: IntOrInts = 2,
        *,
        order: Order = "CRD",
        icnr: bool = True,
        dims: int = 2,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kernel, self.factor = _axes("SubPixelConv", dims, kernel_size, factor)
        self.order = order
        self.conv = CONVS[len(kernel)](
            in_channels,
            out_channels * math.prod(self.factor),
            kernel,
            padding="same",
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )
        if icnr:
            init.icnr_(self.conv, self.factor, order=order)

    def extra_repr(self) -> str:
        """What is not in the convolution."""
        return f"factor={self.factor}, order={self.order!r}"

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """Convolve and shuffle; leave out at the end what `output_size` or `like` has fewer."""
        check_rank("SubPixelConv", "input", input, (len(self.factor),))
        size = asked_size(self, input, len(self.factor), output_size, like)
        large = functional.pixel_shuffle(self.conv(input), self.factor, order=self.order)
        return cropped(self, large, self.factor, size)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


def spline(factor: int, order: int) -> Tensor:
    """The box of `factor` ones convolved with itself to `order` boxes, every phase summing to 1.

    Examples
    --------
    >>> 4 * spline(2, 3)
    tensor([1., 3., 3., 1.], dtype=torch.float64)
    """
    box = torch.ones(1, 1, factor, dtype=torch.float64)
    kernel = box
    for _ in range(order - 1):
        kernel = nn.functional.conv1d(kernel, box, padding=factor - 1) / factor
    return kernel[0, 0]


class BlurUp(Layer):
    """Bed of nails, then a low-pass filter: enlarges without aliasing, and learns nothing.

        out = conv(bed_of_nails(pad(x), factor), k)        k = box * box * ... * box / factor^(order - 1)

    Parameters
    ----------
    factor : int or tuple of int
        An int means x is (N, C, *spatial); a tuple holds one per spatial axis.
    order : int
        Boxes in the filter: 1 is nearest neighbour, 3 at factor 2 is the binomial (1, 3, 3, 1) / 4.
        (order - 1) * (factor - 1) must be even, else the result would lie between two positions.

    Notes
    -----
    Every phase of the filter sums to 1, so a constant stays that constant and no checkerboard arises;
    beyond the border the edge element is repeated. Sources: Zhang (1904.11486) for the filter of the way
    down, Karras et al. (1912.04958) for (1, 3, 3, 1) on the way up.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.BlurUp(2)(torch.tensor([[[0.0, 4.0, 8.0]]]))
    tensor([[[0., 1., 3., 5., 7., 8.]]])
    """

    @with_plain_numbers
    def __init__(self, factor: IntOrInts = 2, *, order: int = 3) -> None:
        super().__init__()
        self.factor: Any = tuple(factor) if is_sequence(factor) else factor
        self.order = order
        for each in self.factor if isinstance(self.factor, tuple) else (self.factor,):
            if order < 1 or (order - 1) * (each - 1) % 2:
                raise ShapeError(
                    f"BlurUp: (order - 1) * (factor - 1) must be even, got order {order}, factor {each}"
                )

    def extra_repr(self) -> str:
        """The factor and the order."""
        return f"factor={self.factor}, order={self.order}"

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """Enlarge; leave out at the end what `output_size` or `like` has fewer."""
        rank = rank_of_factor(self, input)
        if rank > 3:  # torch repeats no more edges
            raise ShapeError(
                f"BlurUp: input must have at most 3 spatial axes, got {rank} in shape {tuple(input.shape)}"
            )
        factors = self.factor if isinstance(self.factor, tuple) else (self.factor,) * rank
        size = asked_size(self, input, rank, output_size, like)
        *leading, own = (*input.shape[: input.ndim - rank], input.shape[input.ndim - rank :])
        around = self.order // 2
        planes = input.reshape(-1, 1, *own)
        planes = nn.functional.pad(planes, (around, around) * rank, mode="replicate")
        kernel = torch.ones((), dtype=torch.float64)
        for f in factors:
            kernel = kernel.unsqueeze(-1) * spline(f, self.order)
        before = [around * f + (self.order - 1) * (f - 1) // 2 for f in factors]
        large = functional.conv_transpose(
            planes,
            kernel.to(device=input.device, dtype=input.dtype)[None, None],
            stride=factors,
            padding=[
                (b, (n + 2 * around - 1) * f + len_of(f, self.order) - b - n * f)
                for b, f, n in zip(before, factors, own, strict=True)
            ],
        )
        whole = tuple(n * f for n, f in zip(own, factors, strict=True))
        return cropped(self, large.reshape(*leading, *whole), factors, size)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


def len_of(factor: int, order: int) -> int:
    """Taps of `spline(factor, order)`."""
    return order * (factor - 1) + 1
