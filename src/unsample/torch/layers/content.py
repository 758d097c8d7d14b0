"""Content-aware ways up: what is stamped, or where it is read, is predicted at every position.

Written with torch's standard operations alone, so that they export wherever those do, ONNX included.
"""

import math
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import nn

from unsample.errors import ShapeError
from unsample.geometry.arguments import check_rank, per_axis, with_plain_numbers
from unsample.torch.layers.layer import Layer
from unsample.torch.layers.resize import asked_size, cropped

Tensor = torch.Tensor
Style = Literal["lp", "pl"]
STYLES: tuple[Style, ...] = get_args(Style)


class Reassemble(Layer):
    """Weigh the neighbourhood of every source element anew for every output element.

        out[n, c, o] = sum over taps t of weights[n, t, o] * x[n, c, o // factor + t - kernel_size // 2]

    Parameters
    ----------
    kernel_size : int or tuple of int
        Odd; elements outside x count as 0.
    factor : int or tuple of int
        Outputs per element.
    groups : int
        Groups of channels with weights of their own; x[n, c] takes those of group c // (C / groups).
    dims : int
        Spatial axes.

    Notes
    -----
    Source: Wang et al., CARAFE (1905.02188), equation 4, for any weights.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> x = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> before = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1).expand(1, 3, 6)
    >>> ut.Reassemble(3, 2, dims=1)(x, before)
    tensor([[[0., 0., 1., 1., 2., 2.]]])
    """

    @with_plain_numbers
    def __init__(self, kernel_size: Any = 5, factor: Any = 2, *, groups: int = 1, dims: int = 2) -> None:
        super().__init__()
        self.kernel_size = per_axis("Reassemble", "kernel_size", kernel_size, dims, minimum=1)
        self.factor = per_axis("Reassemble", "factor", factor, dims, minimum=1)
        self.groups = groups
        if any(k % 2 == 0 for k in self.kernel_size):
            raise ShapeError(f"Reassemble: kernel_size must be odd, got {self.kernel_size}")

    def extra_repr(self) -> str:
        """The arguments."""
        return f"kernel_size={self.kernel_size}, factor={self.factor}, groups={self.groups}"

    def forward(self, input: Tensor, weights: Tensor) -> Tensor:
        """(N, C, *spatial) and (N, groups * taps, *spatial * factor) -> (N, C, *spatial * factor)."""
        taps, phases = math.prod(self.kernel_size), math.prod(self.factor)
        check_rank("Reassemble", "input", input, (len(self.factor),), (2,))
        n, channels, *size = input.shape
        expected = (n, self.groups * taps, *(m * f for m, f in zip(size, self.factor, strict=True)))
        if tuple(weights.shape) != expected:
            raise ShapeError(
                f"Reassemble: weights must be {expected} for x of shape {tuple(input.shape)}, "
                f"got {tuple(weights.shape)}"
            )
        if channels % self.groups:
            raise ShapeError(f"Reassemble: groups must divide the channels, got {self.groups} for {channels}")
        halves = [k // 2 for k in self.kernel_size]
        padded = nn.functional.pad(input, [side for half in reversed(halves) for side in (half, half)])
        # Every phase of the output is as large as the input: (N, groups, taps, 1, phases, *spatial).
        phased = _unshuffled(weights, self.factor)
        phased = phased.reshape(n, self.groups, taps, 1, phases, *size)
        total: Tensor | None = None
        for t, offsets in enumerate(product(*(range(k) for k in self.kernel_size))):
            shifted = padded
            for axis, (offset, length) in enumerate(zip(offsets, size, strict=True)):
                shifted = shifted.narrow(axis + 2, offset, length)
            grouped = shifted.reshape(n, self.groups, channels // self.groups, 1, *size)
            term = grouped * phased[:, :, t]
            total = term if total is None else total + term
        assert total is not None  # a kernel has at least one tap
        return _shuffled(total.reshape(n, channels * phases, *size), self.factor)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


def _unshuffled(x: Tensor, factor: tuple[int, ...]) -> Tensor:
    """`pixel_unshuffle` over any number of axes, made of views."""
    rank = len(factor)
    for axis, f in enumerate(factor):
        x = x.unflatten(2 + 2 * axis, (-1, f))
    x = x.permute(0, 1, *range(3, 3 + 2 * rank, 2), *range(2, 2 + 2 * rank, 2))
    return x.flatten(1, 1 + rank)


def _shuffled(x: Tensor, factor: tuple[int, ...]) -> Tensor:
    """`pixel_shuffle` over any number of axes, made of views."""
    rank = len(factor)
    x = x.unflatten(1, (-1, *factor))
    x = x.permute(0, 1, *(axis for i in range(rank) for axis in (2 + rank + i, 2 + i)))
    for axis in range(rank):
        x = x.flatten(2 + axis, 3 + axis)
    return x


class CARAFE(Layer):
    """Content-aware reassembly: a small network predicts the weights of every output's neighbourhood.

        W = softmax(pixel_shuffle(encode(compress(x)), factor))        out = reassemble(x, W)

    Parameters
    ----------
    channels : int
    factor : int
    kernel_size : int
        k_up, the reassembled neighbourhood.
    encoder_kernel_size : int
        k_encoder, of the convolution that predicts.
    compressed_channels : int
        C_m, after the 1x1 convolution.
    groups : int
        As in `Reassemble`.
    device, dtype
        Of the parameters, which are named as in mmcv's CARAFEPack.

    Notes
    -----
    Source: Wang et al., CARAFE (1905.02188), section 3.2, with its k_up = 5, k_encoder = 3, C_m = 64; the
    start (Xavier; deviation 0.001 for the encoder) is that of the authors' code.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.CARAFE(6)(torch.zeros(1, 6, 4, 5)).shape
    torch.Size([1, 6, 8, 10])
    """

    @with_plain_numbers
    def __init__(
        self,
        channels: int,
        factor: int = 2,
        *,
        kernel_size: int = 5,
        encoder_kernel_size: int = 3,
        compressed_channels: int = 64,
        groups: int = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.groups, self.factor = groups, factor
        self.reassemble = Reassemble(kernel_size, factor, groups=groups)
        self.channel_compressor = nn.Conv2d(channels, compressed_channels, 1, device=device, dtype=dtype)
        self.content_encoder = nn.Conv2d(
            compressed_channels,
            kernel_size**2 * groups * factor**2,
            encoder_kernel_size,
            padding=encoder_kernel_size // 2,
            device=device,
            dtype=dtype,
        )
        nn.init.xavier_uniform_(self.channel_compressor.weight)
        nn.init.normal_(self.content_encoder.weight, std=0.001)
        for layer in (self.channel_compressor, self.content_encoder):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # torch: a bias may be None

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> (N, C, H * factor, W * factor), a batch or one image; cropped where asked."""
        check_rank("CARAFE", "input", input, (2,))
        size = asked_size(self, input, 2, output_size, like)
        x = input if input.ndim == 4 else input[None]
        weights = nn.functional.pixel_shuffle(self.content_encoder(self.channel_compressor(x)), self.factor)
        each = weights.unflatten(1, (self.groups, -1)).softmax(2).flatten(1, 2)
        out: Tensor = self.reassemble(x, each)
        return cropped(self, out if input.ndim == 4 else out[0], (self.factor,) * 2, size)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


class DySample(Layer):
    """Learn where to read: every output element samples the input bilinearly at a predicted place.

        out = grid_sample(x, G + O)        O = 0.25 * linear(x), or 0.5 * sigmoid(linear'(x)) * linear(x)

    G is the place of bilinear interpolation, in the middle of the output element.

    Parameters
    ----------
    channels : int
    factor : int
    style : "lp" or "pl"
        Predict offsets, then shuffle them to the output's resolution; or shuffle x, then predict.
    groups : int
        Groups of channels that share their places.
    dynamic_scope : bool
        The second form of O.
    device, dtype
        Of the parameters, which are named as in the authors' code.

    Notes
    -----
    Source: Liu et al., Learning to Upsample by Learning to Sample (2308.15085), equations 1 to 5. Beyond the
    border the edge element is read. With offsets of 0 it is bilinear interpolation.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.DySample(8, groups=2)(torch.zeros(1, 8, 4, 5)).shape
    torch.Size([1, 8, 8, 10])
    """

    init_pos: Tensor

    @with_plain_numbers
    def __init__(
        self,
        channels: int,
        factor: int = 2,
        *,
        style: Style = "lp",
        groups: int = 4,
        dynamic_scope: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if style not in STYLES:
            raise ShapeError(f"DySample: style must be 'lp' or 'pl', got {style!r}")
        if channels % groups:
            raise ShapeError(f"DySample: groups must divide the channels, got {groups} for {channels}")
        if style == "pl" and channels % factor**2:
            raise ShapeError(
                f"DySample: style 'pl' needs channels divisible by {factor**2} (factor {factor}), "
                f"got {channels}"
            )
        self.factor, self.style, self.groups = factor, style, groups
        inputs = channels // factor**2 if style == "pl" else channels
        outputs = 2 * groups * (1 if style == "pl" else factor**2)
        self.offset = nn.Conv2d(inputs, outputs, 1, device=device, dtype=dtype)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]  # torch: a bias may be None
        self.scope: nn.Conv2d | None = None
        if dynamic_scope:
            self.scope = nn.Conv2d(inputs, outputs, 1, bias=False, device=device, dtype=dtype)
            nn.init.zeros_(self.scope.weight)
        steps = (torch.arange(factor, dtype=torch.float64) - (factor - 1) / 2) / factor
        # Channels (x or y, group, row phase, column phase).
        x, y = steps.expand(factor, factor), steps[:, None].expand(factor, factor)
        places = torch.stack([x, y])[:, None].expand(2, groups, factor, factor).reshape(1, -1, 1, 1)
        self.register_buffer("init_pos", places.to(device=device, dtype=dtype or torch.get_default_dtype()))

    def extra_repr(self) -> str:
        """What is not in the layers."""
        return f"factor={self.factor}, style={self.style!r}, groups={self.groups}"

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> (N, C, H * factor, W * factor), a batch or one image; cropped where asked."""
        check_rank("DySample", "input", input, (2,))
        size = asked_size(self, input, 2, output_size, like)
        x = input if input.ndim == 4 else input[None]
        out = self._sampled(x, self._offsets(x) + self.init_pos)
        return cropped(self, out if input.ndim == 4 else out[0], (self.factor,) * 2, size)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward

    def _offsets(self, x: Tensor) -> Tensor:
        """(N, 2 * groups * phases, H, W), in units of source elements."""
        source = nn.functional.pixel_shuffle(x, self.factor) if self.style == "pl" else x
        offsets: Tensor = self.offset(source)
        offsets = 0.25 * offsets if self.scope is None else 0.5 * self.scope(source).sigmoid() * offsets
        return nn.functional.pixel_unshuffle(offsets, self.factor) if self.style == "pl" else offsets

    def _sampled(self, x: Tensor, offsets: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        rows = torch.arange(height, dtype=x.dtype, device=x.device) + 0.5
        columns = torch.arange(width, dtype=x.dtype, device=x.device) + 0.5
        own = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)])
        places = offsets.reshape(n, 2, -1, height, width) + own[:, None]
        # grid_sample counts from -1 to 1 over the whole axis.
        scaled = torch.stack([2 * places[:, 0] / width - 1, 2 * places[:, 1] / height - 1], dim=1)
        grid = nn.functional.pixel_shuffle(scaled.reshape(n, -1, height, width), self.factor)
        tall, wide = height * self.factor, width * self.factor
        grid = grid.reshape(n, 2, self.groups, tall, wide).permute(0, 2, 3, 4, 1).flatten(0, 1)
        sampled = nn.functional.grid_sample(
            x.reshape(n * self.groups, channels // self.groups, height, width),
            grid,
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        return sampled.reshape(n, channels, tall, wide)
