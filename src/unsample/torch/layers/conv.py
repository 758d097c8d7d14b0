"""torch.nn's convolutions and transposed convolutions, and the sizes, paddings and modes they refuse."""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from unsample.geometry.arguments import (
    PADDING_MODES,
    IntOrInts,
    Padding,
    PaddingMode,
    choice,
    is_sequence,
    paddings,
    size_of_like,
    with_plain_numbers,
)
from unsample.torch import functional
from unsample.torch.layers.layer import Layer

Tensor = torch.Tensor


def is_torch_padding(padding: Any) -> bool:
    """Whether torch.nn knows this padding: an int, or one int per axis."""
    return not isinstance(padding, str) and not (
        is_sequence(padding) and any(is_sequence(each) for each in padding)
    )


def spatial(output_size: Any, rank: int) -> Any:
    """The last `rank` sizes of a full shape, whose leading ones torch does not look at either."""
    if is_sequence(output_size) and len(output_size) in (rank + 1, rank + 2):
        return tuple(output_size[len(output_size) - rank :])
    return output_size


def size_of(name: str, like: Tensor, rank: int) -> tuple[int, ...]:
    """The spatial size of `like`, symbols kept."""
    if not isinstance(like, Tensor) or like.ndim < rank:
        return size_of_like(name, like, rank)
    return tuple(like.shape[like.ndim - rank :])


class _Conv(Layer, nn.modules.conv._ConvNd):
    padding: Any
    padding_mode: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts,
        stride: IntOrInts = 1,
        padding: Padding = 0,
        dilation: IntOrInts = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        known = is_torch_padding(padding)
        arguments: Any = (in_channels, out_channels, kernel_size, stride, padding if known else 0)
        more: Any = (dilation, groups, bias, padding_mode, device, dtype)
        super().__init__(*arguments, *more)
        if not known:
            self.padding = paddings(type(self).__name__, padding, len(self.kernel_size))

    def as_in_torch(self) -> bool:
        """Unless padding differs from side to side."""
        return is_torch_padding(self.padding)

    def forward(self, input: Tensor) -> Tensor:
        """`unsample.torch.conv` of the input, (N, C, *spatial) or (C, *spatial)."""
        result: Tensor = functional.call(
            "conv",
            (input, self.weight, self.bias),
            (self.groups, self.padding_mode),
            None,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            padding_mode=self.padding_mode,
        )
        return result

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


class _ConvTranspose(Layer, nn.modules.conv._ConvTransposeNd):
    padding: Any
    padding_mode: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts,
        stride: IntOrInts = 1,
        padding: Padding = 0,
        output_padding: IntOrInts = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntOrInts = 1,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        name = type(self).__name__
        known = is_torch_padding(padding)
        arguments: Any = (in_channels, out_channels, kernel_size, stride, padding if known else 0)
        more: Any = (output_padding, groups, bias, dilation, "zeros", device, dtype)
        super().__init__(*arguments, *more)
        if not known:
            self.padding = paddings(name, padding, len(self.kernel_size))
        self.padding_mode = choice(name, "padding_mode", padding_mode, PADDING_MODES)

    def as_in_torch(self) -> bool:
        """With zero padding, the same on both sides."""
        return is_torch_padding(self.padding) and self.padding_mode == "zeros"

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """`unsample.torch.conv_transpose` of the input, to `output_size` or the size of `like`."""
        sized = output_size is not None or like is not None
        result: Tensor = functional.call(
            "conv_transpose",
            (input, self.weight, self.bias),
            (self.groups, self.padding_mode),
            None,
            stride=self.stride,
            padding=self.padding,
            output_padding=0 if sized else self.output_padding,
            output_size=None if output_size is None else spatial(output_size, len(self.kernel_size)),
            like=like,
            dilation=self.dilation,
            groups=self.groups,
            padding_mode=self.padding_mode,
        )
        return result

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


class Conv1d(_Conv, nn.Conv1d):
    """torch.nn.Conv1d; `padding` also per side, "full", and "same" with any stride.

    Examples
    --------
    >>> import unsample.torch as ut
    >>> ut.Conv1d(2, 3, 4, stride=2, padding=((1, 2),))
    Conv1d(2, 3, kernel_size=(4,), stride=(2,), padding=((1, 2),))
    """


class Conv2d(_Conv, nn.Conv2d):
    """torch.nn.Conv2d; `padding` also per side, "full", and "same" with any stride.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.Conv2d(2, 3, 3, stride=2, padding="same")(torch.zeros(1, 2, 5, 8)).shape
    torch.Size([1, 3, 3, 4])
    """


class Conv3d(_Conv, nn.Conv3d):
    """torch.nn.Conv3d; `padding` also per side, "full", and "same" with any stride.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.Conv3d(1, 2, 2)(torch.zeros(1, 3, 4, 5)).shape
    torch.Size([2, 2, 3, 4])
    """


class ConvTranspose1d(_ConvTranspose, nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d; `like=`, "same" and per-side padding, every padding mode.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.ConvTranspose1d(2, 3, 3, stride=2)(torch.zeros(1, 2, 4), like=torch.zeros(1, 9, 10)).shape
    torch.Size([1, 3, 10])
    """


class ConvTranspose2d(_ConvTranspose, nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d; `like=`, "same" and per-side padding, every padding mode.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, output_padding, groups, bias, dilation, device, dtype
        As in torch.nn.ConvTranspose2d.
    padding : int, tuple of int or of pairs (before, after), "valid", "same", "full"
        As in `unsample.conv_transpose`: "same" makes stride times the size.
    padding_mode : "zeros", "circular", "reflect" or "replicate"
        What falls into the padding is folded back, the true adjoint of the convolution with this mode.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> up = ut.ConvTranspose2d(8, 4, 3, stride=2, padding=1)
    >>> skip = torch.zeros(1, 4, 13, 10)
    >>> up(torch.zeros(1, 8, 7, 5), like=skip).shape
    torch.Size([1, 4, 13, 10])
    """


class ConvTranspose3d(_ConvTranspose, nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d; `like=`, "same" and per-side padding, every padding mode.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.ConvTranspose3d(2, 1, 3, stride=2, padding="same")(torch.zeros(1, 2, 2, 3, 4)).shape
    torch.Size([1, 1, 4, 6, 8])
    """


# torch's lazy layers turn themselves into `cls_to_become` when they first see an input.


class LazyConv1d(nn.LazyConv1d, Conv1d):  # type: ignore[misc]
    """`Conv1d` that takes its input channels from the first input."""

    cls_to_become: Any = Conv1d


class LazyConv2d(nn.LazyConv2d, Conv2d):  # type: ignore[misc]
    """`Conv2d` that takes its input channels from the first input."""

    cls_to_become: Any = Conv2d


class LazyConv3d(nn.LazyConv3d, Conv3d):  # type: ignore[misc]
    """`Conv3d` that takes its input channels from the first input."""

    cls_to_become: Any = Conv3d


class LazyConvTranspose1d(nn.LazyConvTranspose1d, ConvTranspose1d):  # type: ignore[misc]
    """`ConvTranspose1d` that takes its input channels from the first input."""

    cls_to_become: Any = ConvTranspose1d


class LazyConvTranspose2d(nn.LazyConvTranspose2d, ConvTranspose2d):  # type: ignore[misc]
    """`ConvTranspose2d` that takes its input channels from the first input."""

    cls_to_become: Any = ConvTranspose2d


class LazyConvTranspose3d(nn.LazyConvTranspose3d, ConvTranspose3d):  # type: ignore[misc]
    """`ConvTranspose3d` that takes its input channels from the first input."""

    cls_to_become: Any = ConvTranspose3d


# torch's constructors, which keep the channels as they come.
for _lazy in (
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
):
    _lazy.__init__ = with_plain_numbers(_lazy.__init__)  # type: ignore[method-assign]
