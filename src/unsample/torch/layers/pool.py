"""torch.nn's max pooling and max unpooling, which also speak Switches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, overload

import torch
from torch import nn
from typing_extensions import TypeVar  # comes with torch; that of typing has no default before 3.13

from unsample.errors import DtypeError, ShapeError
from unsample.geometry.arguments import (
    IntOrInts,
    PoolPadding,
    check_rank,
    count,
    is_sequence,
    paddings,
    per_axis,
    symbolic,
)
from unsample.geometry.plan import cached_plan
from unsample.geometry.sizes import windows_over
from unsample.interop.switch_indices import check_half, first_empty, windows_of
from unsample.ops.unpool import Duplicates
from unsample.switches import Switches
from unsample.torch import functional
from unsample.torch.layers.conv import is_torch_padding, size_of, spatial
from unsample.torch.layers.layer import Layer
from unsample.torch.windows import Windows

Tensor = torch.Tensor
Pooled = Tensor | tuple[Tensor, Tensor] | tuple[Tensor, Switches]
# Types of return_indices and return_switches, which say what a layer returns: True, False, or not known.
Yes = Literal[True]
No = Literal[False]
IndicesT = TypeVar("IndicesT", Yes, No, bool, default=No)
SwitchesT = TypeVar("SwitchesT", Yes, No, bool, default=No)


class _Returns(Layer, Generic[IndicesT, SwitchesT]):
    """What a call of a max pooling returns, for type checkers."""

    if TYPE_CHECKING:

        @overload
        def __call__(self: "_Returns[No, No]", input: Tensor) -> Tensor: ...
        @overload
        def __call__(self: "_Returns[No, Yes]", input: Tensor) -> tuple[Tensor, Switches]: ...
        @overload
        def __call__(self: "_Returns[Yes, No]", input: Tensor) -> tuple[Tensor, Tensor]: ...
        @overload
        def __call__(self, input: Tensor) -> Any: ...
        def __call__(self, input: Tensor) -> Any: ...


def _one_kind(name: str, indices: bool, switches: bool) -> None:
    if indices and switches:
        raise ShapeError(f"{name}: return_indices and return_switches must not both be true")


def _result(layer: Any, values: Tensor, switches: Switches) -> Pooled:
    if layer.return_switches:
        return values, switches
    if layer.return_indices:
        return values, functional.switches_to_indices(switches)
    return values


def _per_axis(layer: Any, name: str, value: Any, minimum: int) -> Any:
    """One number per axis of the layer; symbols pass."""
    if is_sequence(value) and len(value) == layer.rank and any(type(each) is torch.SymInt for each in value):
        return tuple(value)
    return per_axis(type(layer).__name__, name, value, layer.rank, minimum=minimum)


def _holds_padding_alone(name: str, size: Sequence[int], *args: Any, **words: Any) -> bool:
    """Whether torch has -inf for a window, which no switch can tell; more than half a window is refused."""
    windows = windows_of(name, size, *args, **words)
    check_half(name, windows)
    return any(first_empty(window) < window.coarse for window in windows)


class _MaxPool(_Returns[IndicesT, SwitchesT], nn.modules.pooling._MaxPoolNd):
    rank: ClassVar[int]

    def __init__(
        self,
        kernel_size: IntOrInts,
        stride: IntOrInts | None = None,
        padding: PoolPadding = 0,
        dilation: IntOrInts = 1,
        return_indices: IndicesT = False,  # type: ignore[assignment]  # the default of its type too
        ceil_mode: bool = False,
        *,
        return_switches: SwitchesT = False,  # type: ignore[assignment]
    ) -> None:
        arguments: Any = (kernel_size, stride, padding, dilation, return_indices, ceil_mode)
        super().__init__(*arguments)
        _one_kind(type(self).__name__, return_indices, return_switches)
        self.return_switches: bool = return_switches

    def as_in_torch(self) -> bool:
        """Unless it returns Switches, or padding differs from side to side."""
        return not self.return_switches and is_torch_padding(self.padding)

    def forward(self, input: Tensor) -> Any:
        """Values, or values and torch's indices, or values and Switches."""
        check_rank(type(self).__name__, "input", input, (self.rank,))
        kernel_size = _per_axis(self, "kernel_size", self.kernel_size, 1)
        words: Any = {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil_mode,
        }
        if (
            not self.return_switches
            and is_torch_padding(self.padding)
            and self._alone(input, kernel_size, words)
        ):
            return super().forward(input)
        values, switches = functional.max_pool(input, kernel_size, **words)
        return _result(self, values, switches)

    def _alone(self, input: Tensor, kernel_size: Any, words: Any) -> Any:
        """Whether a window holds padding alone: torch gives -inf there, which no switch can tell."""
        name, size = type(self).__name__, tuple(input.shape[input.ndim - self.rank :])
        if torch.compiler.is_compiling():
            return not symbolic(*size) and _holds_padding_alone(name, size, kernel_size, **words)
        size = tuple(map(int, size))  # torch.jit has tensors for sizes
        return cached_plan(_holds_padding_alone, (name, size), kernel_size, **words)


class MaxPool1d(_MaxPool[IndicesT, SwitchesT], nn.MaxPool1d):
    """torch.nn.MaxPool1d; `return_switches=True` gives Switches, `padding` also per side and "same".

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.MaxPool1d(2, return_indices=True)(torch.tensor([[3.0, 9.0, 5.0, 7.0]]))
    (tensor([[9., 7.]]), tensor([[1, 3]]))
    """

    rank = 1


class MaxPool2d(_MaxPool[IndicesT, SwitchesT], nn.MaxPool2d):
    """torch.nn.MaxPool2d; `return_switches=True` gives Switches, `padding` also per side and "same".

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> values, switches = ut.MaxPool2d(2, ceil_mode=True, return_switches=True)(torch.zeros(1, 3, 5, 7))
    >>> switches
    Switches of (3, 4) windows of 2x2 taps over (5, 7) elements, uint8
    """

    rank = 2


class MaxPool3d(_MaxPool[IndicesT, SwitchesT], nn.MaxPool3d):
    """torch.nn.MaxPool3d; `return_switches=True` gives Switches, `padding` also per side and "same".

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.MaxPool3d(2)(torch.zeros(1, 4, 4, 6)).shape
    torch.Size([1, 2, 2, 3])
    """

    rank = 3


class _AdaptiveMaxPool(_Returns[IndicesT, SwitchesT], nn.modules.pooling._AdaptiveMaxPoolNd):
    rank: ClassVar[int]

    def __init__(
        self,
        output_size: Any,
        return_indices: IndicesT = False,  # type: ignore[assignment]
        *,
        return_switches: SwitchesT = False,  # type: ignore[assignment]
    ) -> None:
        super().__init__(output_size, return_indices)
        _one_kind(type(self).__name__, return_indices, return_switches)
        self.return_switches: bool = return_switches

    def as_in_torch(self) -> bool:
        """Unless it returns Switches."""
        return not self.return_switches

    def forward(self, input: Tensor) -> Any:
        """Values, or values and torch's indices, or values and Switches."""
        check_rank(type(self).__name__, "input", input, (self.rank,))
        wanted: Any = self.output_size
        sizes = tuple(wanted) if is_sequence(wanted) else (wanted,) * self.rank
        own = tuple(input.shape[input.ndim - self.rank :])
        if len(sizes) == self.rank:  # None: the size it has
            sizes = tuple(n if m is None else m for n, m in zip(own, sizes, strict=True))
        sizes = _per_axis(self, "output_size", sizes, 0)
        return _result(self, *functional.adaptive_max_pool(input, sizes))


class AdaptiveMaxPool1d(_AdaptiveMaxPool[IndicesT, SwitchesT], nn.AdaptiveMaxPool1d):
    """torch.nn.AdaptiveMaxPool1d; `return_switches=True` gives Switches.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.AdaptiveMaxPool1d(3)(torch.tensor([[1.0, 9.0, 2.0, 8.0, 3.0]]))
    tensor([[9., 9., 8.]])
    """

    rank = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool[IndicesT, SwitchesT], nn.AdaptiveMaxPool2d):
    """torch.nn.AdaptiveMaxPool2d; `return_switches=True` gives Switches.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.AdaptiveMaxPool2d((None, 3))(torch.zeros(1, 2, 5, 7)).shape
    torch.Size([1, 2, 5, 3])
    """

    rank = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool[IndicesT, SwitchesT], nn.AdaptiveMaxPool3d):
    """torch.nn.AdaptiveMaxPool3d; `return_switches=True` gives Switches.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.AdaptiveMaxPool3d(2)(torch.zeros(1, 2, 5, 7, 4)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    rank = 3


class _MaxUnpool(Layer, nn.modules.pooling._MaxUnpoolNd):
    kernel_size: Any
    stride: Any
    padding: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        *,
        duplicates: Duplicates = "last",
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.dilation = per_axis(type(self).__name__, "dilation", dilation, len(self.kernel_size), minimum=1)
        self.duplicates = duplicates

    def extra_repr(self) -> str:
        """The settings that torch.nn prints, and those that only this layer has."""
        dilated = any(each != 1 for each in self.dilation)
        return super().extra_repr() + (f", dilation={self.dilation}" if dilated else "")

    def forward(
        self,
        input: Tensor,
        indices: Tensor | Switches,
        output_size: Any = None,
        like: Tensor | None = None,
    ) -> Tensor:
        """Unpool by torch's indices or by Switches, to the size that was pooled."""
        name, rank = type(self).__name__, len(self.kernel_size)
        check_rank(name, "input", input, (rank,))
        if isinstance(indices, Tensor) and (indices.is_floating_point() or indices.is_complex()):
            raise DtypeError(f"{name}: indices must be integers or Switches, got dtype {indices.dtype}")
        if output_size is not None and like is not None:
            raise ShapeError(f"{name}: output_size and like must not both be given")
        size = size_of(name, like, rank) if like is not None else spatial(output_size, rank)
        if isinstance(indices, Switches):
            if len(indices.windows) != rank:
                raise ShapeError(
                    f"{name}: indices must be Switches over {count(rank, 'spatial axis')}, got {indices!r}"
                )
            if size is not None and tuple(size) != indices.input_size:
                raise ShapeError(
                    f"{name}: output_size must be the size {indices.input_size} that was pooled, "
                    f"which the switches know, got {tuple(size)}"
                )
            return functional.max_unpool(input, indices, duplicates=self.duplicates)
        windows = self._windows(input.shape[input.ndim - rank :], size)
        switches = functional.indices_to_switches(indices, windows)
        return functional.max_unpool(input, switches, duplicates=self.duplicates)

    if TYPE_CHECKING:  # torch.nn says Any
        __call__ = forward

    def _windows(self, coarse: Sequence[int], size: Any) -> Windows:
        """The pooling that made `coarse` windows of `size` elements, with or without ceil_mode."""
        name, rank = type(self).__name__, len(self.kernel_size)
        pads: Any = paddings(name, self.padding, rank)
        axes = list(zip(coarse, self.kernel_size, self.stride, self.dilation, pads, strict=True))
        default = [(m - 1) * s - before - after + d * (k - 1) + 1 for m, k, s, d, (before, after) in axes]
        fine = default if size is None else list(size)
        steps = (self.kernel_size, self.stride, pads, self.dilation)
        for ceil_mode in (False, True):
            windows = windows_over(name, fine, *steps, ceil_mode=ceil_mode)
            if all(w.coarse == m for w, m in zip(windows, coarse, strict=True)):
                return windows
        low = tuple(n - s + 1 for n, s in zip(default, self.stride, strict=True))
        high = tuple(n + s - 1 for n, s in zip(default, self.stride, strict=True))
        raise ShapeError(
            f"{name}: output_size must be one that is pooled to {tuple(coarse)} windows, "
            f"from {low} to {high}, got {tuple(fine)}"
        )


class MaxUnpool1d(_MaxUnpool, nn.MaxUnpool1d):
    """torch.nn.MaxUnpool1d; takes Switches too, dilation, and says how duplicates are settled.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.MaxUnpool1d(2)(torch.tensor([[9.0, 7.0]]), torch.tensor([[1, 3]]))
    tensor([[0., 9., 0., 7.]])
    """


class MaxUnpool2d(_MaxUnpool, nn.MaxUnpool2d):
    """torch.nn.MaxUnpool2d; takes Switches too, dilation, and says how duplicates are settled.

    Parameters
    ----------
    kernel_size, stride, padding
        As in torch.nn.MaxUnpool2d; of no effect where Switches are given, which know them.
    dilation : int or tuple of int
        Of the pooling that made the indices.
    duplicates : "last", "sum", "max" or "error"
        As in `unsample.max_unpool`.

    Notes
    -----
    `output_size` is the size that was pooled, ceil_mode or not. Indices that no pooling of these arguments
    can have made are refused; torch reads them as other places.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> x = torch.randn(1, 3, 5, 7)
    >>> values, indices = torch.nn.MaxPool2d(2, ceil_mode=True, return_indices=True)(x)
    >>> ut.MaxUnpool2d(2)(values, indices, like=x).shape
    torch.Size([1, 3, 5, 7])
    """


class MaxUnpool3d(_MaxUnpool, nn.MaxUnpool3d):
    """torch.nn.MaxUnpool3d; takes Switches too, dilation, and says how duplicates are settled.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> values, switches = ut.MaxPool3d(2, return_switches=True)(torch.zeros(1, 5, 4, 6))
    >>> ut.MaxUnpool3d(2)(values, switches).shape
    torch.Size([1, 5, 4, 6])
    """
