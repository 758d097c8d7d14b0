"""torch.nn's upsampling and pixel shuffling in any number of axes, and the ways up that learn nothing."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import nn

from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    IntOrInts,
    check_rank,
    is_sequence,
    per_axis,
    rank_of,
    symbolic,
    wanted_size,
    with_plain_numbers,
)
from unsample.geometry.resample import CUBIC
from unsample.interop.libraries import TORCH_MODES
from unsample.ops.nails import At
from unsample.ops.resize import resize_axes
from unsample.ops.shuffle import Order
from unsample.torch import functional
from unsample.torch.layers.conv import size_of, spatial
from unsample.torch.layers.layer import Layer

Tensor = torch.Tensor

Mode = Literal["nearest", "nearest-exact", "area", "linear", "bilinear", "trilinear", "bicubic"]

# mode of torch.nn.Upsample -> method, convention, spatial axes (None: 1 to 3, all but two)
MODES = {mode: TORCH_MODES[mode] for mode in get_args(Mode)}


def _resized(input: Tensor, size: Any, factor: Any, words: dict[str, Any]) -> Tensor:
    """`resize`; of bytes by cubics as torch, and Pillow, go about it: one axis after the other from the last.

    Each then is rounded and clamped to bytes on its own, where `resize` does so once, at the end.
    """
    if input.dtype == torch.uint8 and words["method"] in CUBIC:
        target = [axis[1] for axis in resize_axes(input.shape, size, factor=factor)]
        for axis in reversed(range(len(target))):
            whole = (*input.shape[2 : 2 + axis], *target[axis:])
            input = functional.resize(input, whole, **words)
        return input
    return functional.resize(input, size, factor=factor, **words)


class Upsample(Layer, nn.Upsample):
    """torch.nn.Upsample by `unsample.torch.resize`; `like=` and `antialias` besides.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor
        As in torch.nn.Upsample; mode "nearest-exact" and "area" too.
    antialias : bool
        As in torch.nn.functional.interpolate.

    Notes
    -----
    torch takes positions from the factor. Where factor times size is no whole number that is another
    interpolation than between the two sizes, and torch's own function is called for it.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.Upsample(scale_factor=2, mode="bilinear")
    Upsample(scale_factor=2.0, mode='bilinear')
    >>> ut.Upsample(scale_factor=2)(torch.zeros(1, 3, 4, 5), like=torch.zeros(1, 8, 7, 9)).shape
    torch.Size([1, 3, 7, 9])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: Mode = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        antialias: bool = False,
    ) -> None:
        super().__init__(size, scale_factor, mode, align_corners, recompute_scale_factor)
        if mode not in MODES:
            raise ShapeError(f"{type(self).__name__}: mode must be one of {list(MODES)}, got {mode!r}")
        self.antialias = antialias

    def as_in_torch(self) -> bool:
        """Without antialias."""
        return not self.antialias

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """Interpolate to the size that was set, or to `output_size`, or to that of `like`."""
        method, convention, axes = MODES[self.mode]
        ranks = (1, 2, 3) if axes is None else (axes,)
        check_rank(type(self).__name__, "input", input, ranks, (2,), f" for mode {self.mode!r}")
        rank = input.ndim - 2
        if output_size is None and like is None and self._wrong(rank):
            return super().forward(input)  # torch says what is wrong
        if self.align_corners:
            convention = "align_corners"
        if self.antialias and method == "cubic":
            method = "catmull_rom"  # a = -0.5 with antialias, -0.75 without: torch's own choice
        words: dict[str, Any] = {"method": method, "convention": convention, "antialias": self.antialias}
        size = self.size if output_size is None else spatial(output_size, rank)
        if like is not None:
            size = size_of(type(self).__name__, like, rank)
        if size is None:
            result: Tensor = self._by_factor(input, rank, words)
        else:
            sizes = per_axis(type(self).__name__, "output_size", size, rank)
            result = _resized(input, sizes, None, words)
        return result

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward

    def _wrong(self, rank: int) -> bool:
        """Whether torch refuses what the layer was made with, for an input of `rank` spatial axes."""
        given = [each for each in (self.size, self.scale_factor) if each is not None]
        if len(given) != 1 or (
            self.align_corners is not None and self.mode in ("nearest", "nearest-exact", "area")
        ):
            return True
        return is_sequence(given[0]) and len(given[0]) != rank

    def _by_factor(self, input: Tensor, rank: int, words: dict[str, Any]) -> Any:
        given: Any = self.scale_factor
        factors = tuple(given) if is_sequence(given) else (given,) * rank
        own = input.shape[input.ndim - rank :]
        if all(factor is not None and float(factor).is_integer() for factor in factors):
            whole = tuple(int(factor) for factor in factors)
            if words["method"] == "nearest" and words["convention"] != "align_corners":
                return functional.nearest(input, whole)
            return _resized(input, None, whole, words)
        if symbolic(*own):
            return super().forward(input)
        exact = all((Fraction(f) * n).denominator == 1 for n, f in zip(own, factors, strict=True))
        if exact or self.recompute_scale_factor or self.align_corners:
            return _resized(input, None, factors, words)
        return nn.functional.interpolate(
            input,
            None,
            given,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
            antialias=self.antialias,
        )


class UpsamplingNearest2d(nn.UpsamplingNearest2d, Upsample):
    """torch.nn.UpsamplingNearest2d.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.UpsamplingNearest2d(scale_factor=2)(torch.zeros(1, 3, 4, 5)).shape
    torch.Size([1, 3, 8, 10])
    """


class UpsamplingBilinear2d(nn.UpsamplingBilinear2d, Upsample):
    """torch.nn.UpsamplingBilinear2d: bilinear with align_corners.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.UpsamplingBilinear2d(scale_factor=2)(torch.tensor([[[[0.0, 3.0]]]])).tolist()
    [[[[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]]]
    """


def factors_of(factor: Any) -> tuple[int, ...]:
    """An int means two axes, as in torch.nn; a tuple any number."""
    return tuple(factor) if is_sequence(factor) else (factor, factor)


class PixelShuffle(Layer, nn.PixelShuffle):
    """torch.nn.PixelShuffle; a tuple shuffles as many axes, each by its own factor.

    Parameters
    ----------
    upscale_factor : int or tuple of int
        An int means the last two axes, whatever the rank, as in torch.
    order : "CRD" or "DCR"
        As in `unsample.pixel_shuffle`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.PixelShuffle((2, 2, 2))(torch.zeros(1, 16, 3, 4, 5)).shape
    torch.Size([1, 2, 6, 8, 10])
    """

    def __init__(self, upscale_factor: Any, *, order: Order = "CRD") -> None:
        super().__init__(upscale_factor)
        self.order = order

    def as_in_torch(self) -> bool:
        """Of the last two axes, in torch's order."""
        return self.order == "CRD" and isinstance(self.upscale_factor, int)

    def forward(self, input: Tensor) -> Tensor:
        """`unsample.torch.pixel_shuffle` of the input."""
        return functional.pixel_shuffle(input, factors_of(self.upscale_factor), order=self.order)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


class PixelUnshuffle(Layer, nn.PixelUnshuffle):
    """torch.nn.PixelUnshuffle; a tuple unshuffles as many axes, each by its own factor.

    Parameters
    ----------
    downscale_factor : int or tuple of int
    order : "CRD" or "DCR"

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.PixelUnshuffle((1, 3))(torch.zeros(2, 4, 6)).shape
    torch.Size([6, 4, 2])
    """

    def __init__(self, downscale_factor: Any, *, order: Order = "CRD") -> None:
        super().__init__(downscale_factor)
        self.order = order

    def as_in_torch(self) -> bool:
        """Of the last two axes, in torch's order."""
        return self.order == "CRD" and isinstance(self.downscale_factor, int)

    def forward(self, input: Tensor) -> Tensor:
        """`unsample.torch.pixel_unshuffle` of the input."""
        return functional.pixel_unshuffle(input, factors_of(self.downscale_factor), order=self.order)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


def asked_size(layer: nn.Module, x: Tensor, rank: int, output_size: Any, like: Any) -> tuple[int, ...] | None:
    """The spatial size asked for, None where none is."""
    name = type(layer).__name__
    if like is not None and output_size is None:
        return size_of(name, like, rank)
    return wanted_size(name, output_size, like, rank, x.shape[: x.ndim - rank])


def cropped(layer: nn.Module, out: Tensor, factors: Sequence[int], size: tuple[int, ...] | None) -> Tensor:
    """The first `size` elements per axis: up to factor - 1 fewer, as a way down by ceil comes from."""
    if size is None:
        return out
    rank = len(factors)
    whole = out.shape[out.ndim - rank :]
    for axis, (n, m, f) in enumerate(zip(size, whole, factors, strict=True)):
        if not m - f < n <= m:
            raise ShapeError(
                f"{type(layer).__name__}: output_size must be from {m - f + 1} to {m} on spatial axis {axis} "
                f"(factor {f}), got {n}"
            )
        out = out.narrow(out.ndim - rank + axis, 0, n)
    return out


def rank_of_factor(layer: Any, input: Tensor) -> int:
    """Spatial axes: one per number of the layer's factor, or all but batch and channels."""
    return rank_of(type(layer).__name__, "factor", layer.factor, input.shape, "input")


class Nearest(Layer):
    """Repeat every element over a block: `unsample.torch.nearest` as a layer.

        out[..., i] = x[..., i // factor]

    Parameters
    ----------
    factor : int or tuple of int
        A tuple holds one per spatial axis; an int means x is (N, C, *spatial).

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.Nearest(2)(torch.zeros(1, 3, 4, 5), like=torch.zeros(1, 3, 7, 10)).shape
    torch.Size([1, 3, 7, 10])
    """

    @with_plain_numbers
    def __init__(self, factor: IntOrInts) -> None:
        super().__init__()
        self.factor = factor

    def extra_repr(self) -> str:
        """The factor."""
        return f"factor={self.factor}"

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """Repeat, and leave out at the end what `output_size` or `like` has fewer."""
        rank = rank_of_factor(self, input)
        factors: Any = self.factor if is_sequence(self.factor) else (self.factor,) * rank
        size = asked_size(self, input, rank, output_size, like)
        return cropped(self, functional.nearest(input, self.factor), factors, size)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward


class BedOfNails(Layer):
    """Put every element at one place of its block: `unsample.torch.bed_of_nails` as a layer.

        out[..., i * factor + at] = x[..., i]        all other elements 0

    Parameters
    ----------
    factor, at
        As in `unsample.bed_of_nails`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.BedOfNails(2)(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 0., 2., 0.]]])
    """

    @with_plain_numbers
    def __init__(self, factor: IntOrInts, at: At = 0) -> None:
        super().__init__()
        self.factor, self.at = factor, at

    def extra_repr(self) -> str:
        """The factor, and the place where it is not the corner."""
        return f"factor={self.factor}" + (f", at={self.at!r}" if self.at != 0 else "")

    def forward(self, input: Tensor, output_size: Any = None, like: Tensor | None = None) -> Tensor:
        """Place the nails in an output of `output_size`, or of the size of `like`."""
        return functional.bed_of_nails(input, self.factor, at=self.at, output_size=output_size, like=like)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward
