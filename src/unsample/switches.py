"""Switches: where each maximum came from, one byte per window, with the windows they belong to.

A switch is the *tap number* of the maximum inside its window (C order), not a position in some plane: one
byte holds any window up to 16x16, and its meaning does not depend on the size of the input. What other
libraries store instead is converted, value by checked value, in `interop/`.
"""

import math
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from unsample.arrays.library import dtype_name, has_values, namespace, to_numpy, zeros
from unsample.arrays.stamp import add_tap, place_tap
from unsample.errors import ShapeError
from unsample.geometry.arguments import count, describe, integer, integers, known, shown
from unsample.geometry.window import AnyWindow
from unsample.interop import switch_indices


def switch_dtype(windows: tuple[AnyWindow, ...]) -> str:
    """The smallest unsigned dtype that counts the taps of a window: one byte up to 256 of them."""
    taps = math.prod([window.size for window in windows])
    return "uint8" if taps <= 2**8 else "uint16" if taps <= 2**16 else "uint32"


def check_kind(operation: str, switches: Any) -> None:
    """Refuse what are no Switches, such as indices of another library."""
    if not isinstance(switches, Switches):
        raise TypeError(
            f"{operation}: switches must be Switches, as max_pool returns them, got "
            f"{type(switches).__name__}; Switches.from_torch, from_tf and from_onnx convert indices"
        )


def check_windows(operation: str, shape: tuple[int, ...], windows: tuple[AnyWindow, ...]) -> None:
    """Refuse windows that no max pooling makes, and switches that are not as many as their windows."""
    switch_indices.check_pooled(operation, windows)
    coarse = tuple(window.coarse for window in windows)
    if len(shape) < len(coarse) or shape[len(shape) - len(coarse) :] != coarse:
        raise ShapeError(
            f"{operation}: switches must end in the {coarse} windows they belong to, got shape {shape}"
        )


def _same_numbers(one: Any, other: Any) -> bool:
    return one is other or np.array_equal(to_numpy(one), to_numpy(other))


@dataclass(frozen=True, slots=True, eq=False)
class Switches:
    """The winning tap of every window, and the windows.

    `max_unpool` needs nothing else: odd sizes, ceil mode, dilation, padding and adaptive pooling all
    come back to the exact input size.

    Parameters
    ----------
    taps : array of unsigned integers, (..., *windows)
        Tap numbers in C order; uint8 up to 256 taps per window, then uint16, then uint32.
    windows : tuple of Window or AdaptiveWindow
        One per spatial axis.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> values, switches = us.max_pool(np.array([3, 9, 5, 7, 8]), (2,), ceil_mode=True)
    >>> values, switches.taps
    (array([9, 7, 8]), array([1, 1, 0], dtype=uint8))
    >>> switches
    Switches of (3,) windows of 2 taps over (5,) elements, uint8
    >>> switches == us.max_pool(np.array([3, 9, 5, 7, 8]), (2,), ceil_mode=True)[1]
    True
    """

    taps: Any
    windows: tuple[AnyWindow, ...]

    def __post_init__(self) -> None:
        # torch.compile would trace the registration, and refuses it.
        torch = sys.modules.get("torch")
        if "jax" in sys.modules and not (torch is not None and torch.compiler.is_compiling()):
            make_pytrees(sys.modules["jax"])

    def __eq__(self, other: object) -> bool:
        """Whether taps and windows are the same, whatever library holds the taps."""
        if not isinstance(other, Switches):
            return NotImplemented
        return self.windows == other.windows and _same_numbers(self.taps, other.taps)

    __hash__ = None  # type: ignore[assignment]  # arrays have none
    __iter__ = None  # jax arrays have no last index that Python would stop at

    def __getitem__(self, index: Any) -> "Switches":
        """The switches of some examples or channels: `index` is of the axes before the windows.

        Raises
        ------
        IndexError
            Where it reaches beyond them.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> values, switches = us.max_pool(np.array([[3, 9, 5, 7], [8, 1, 2, 4]]), (2,))
        >>> switches[1].taps, us.max_unpool(values[1], switches[1])
        (array([0, 1], dtype=uint8), array([8, 0, 0, 4]))
        """
        given = index if isinstance(index, tuple) else (index,)
        rest = () if any(each is ... for each in given) else (...,)
        windows = (slice(None),) * len(self.windows)
        try:
            return Switches(self.taps[(*given, *rest, *windows)], self.windows)
        except IndexError:
            leading = self.shape[: self.taps.ndim - len(windows)]
            raise IndexError(
                f"Switches: index must be of the axes {leading} before the windows, got {shown(index)}"
            ) from None

    def to(self, device: Any, **options: Any) -> "Switches":
        """The switches on another device, for torch with the options of `Tensor.to`.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> us.max_pool(np.array([3, 9, 5, 7]), (2,))[1].to("cpu")
        Switches of (2,) windows of 2 taps over (4,) elements, uint8
        """
        move = self.taps.to if hasattr(self.taps, "to") else self.taps.to_device
        taps = move(device, **options)
        if taps.dtype != self.taps.dtype:
            raise TypeError(f"Switches.to: device must be a device, got {describe(device)}")
        return Switches(taps, self.windows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pooled values: any leading axes, then the windows."""
        return tuple(self.taps.shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of what was pooled, and of what unpooling returns."""
        return self.shape[: self.taps.ndim - len(self.windows)] + self.input_size

    @property
    def input_size(self) -> tuple[int, ...]:
        """Spatial size of what was pooled."""
        return tuple(window.fine for window in self.windows)

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps of a window per axis."""
        return tuple(window.size for window in self.windows)

    def __repr__(self) -> str:
        coarse = tuple(window.coarse for window in self.windows)
        kernel = "x".join(map(str, self.kernel_size))
        dtype = str(self.taps.dtype).removeprefix("torch.")
        return f"Switches of {coarse} windows of {kernel} taps over {self.input_size} elements, {dtype}"

    def positions(self) -> tuple[Any, ...]:
        """The spatial position of every maximum: one int array per axis, each of shape `self.shape`.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> _, switches = us.max_pool(np.array([[3, 1], [2, 9]]), (1, 2))
        >>> [p.tolist() for p in switches.positions()]
        [[[0], [1]], [[0], [1]]]
        """
        check_windows("Switches.positions", self.shape, self.windows)
        return switch_indices.positions_of_taps(self.taps, self.windows)

    def check(self, operation: str = "Switches.check") -> None:
        """Raise at the first switch that points outside its window or into the padding.

        While a framework traces or maps there are no values to look at; a bad switch then stamps nothing.

        Raises
        ------
        SwitchError
            Naming the first bad switch.
        ShapeError, TypeError
            Where the switches are no integers or not as many as the windows.
        """
        namespace(operation, ("integer",), switches=self.taps)
        check_windows(operation, self.shape, self.windows)
        if has_values(self.taps):
            switch_indices.check_taps(operation, self.taps, self.windows)

    def to_torch(self) -> Any:
        """The indices that `torch.nn.MaxPool*d(return_indices=True)` gives: int64, flat in one input plane.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> _, switches = us.max_pool(np.array([[[1, 2], [4, 3], [0, 5]]]), (1, 2))
        >>> switches.to_torch().tolist()
        [[[1], [2], [5]]]
        """
        self.check("Switches.to_torch")
        return switch_indices.torch_indices(self.taps, self.windows)

    @classmethod
    def from_torch(cls, indices: Any, input_size: Any, *pooling: Any, **more: Any) -> "Switches":
        """Switches from torch's flat indices and the arguments of the pooling that made them.

        Parameters
        ----------
        indices : integer array, (..., *windows)
            Positions in one plane of the input, counted in C order.
        input_size : sequence of int
            Spatial size of what was pooled.
        kernel_size, stride, padding, dilation, ceil_mode
            As in `max_pool`; or `output_size=` alone, as in `adaptive_max_pool`.

        Raises
        ------
        SwitchError
            At the first index outside the plane or outside its window.
        ShapeError, TypeError
            Where the indices are no integers or have not the shape that this pooling gives.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> us.Switches.from_torch(np.array([[1, 2]]), (4,), 2).taps
        array([[1, 0]], dtype=uint8)
        """
        windows = switch_indices.pool_windows("Switches.from_torch", input_size, *pooling, **more)
        taps = switch_indices.taps_of_torch("Switches.from_torch", indices, windows, switch_dtype(windows))
        return cls(taps, windows)

    def to_tf(self, *, include_batch_in_index: bool = False) -> Any:
        """The indices of `tf.nn.max_pool_with_argmax`, channels last: (N, *windows, C), int64.

            index = ((n * H + y) * W + x) * C + c        (n only with include_batch_in_index)

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> x = np.array([[[[1, 2]], [[4, 3]]]])      # N=1, C=2, H=1, W=2
        >>> us.max_pool(x, (1, 2))[1].to_tf().tolist()
        [[[[2, 1]]]]
        """
        self.check("Switches.to_tf")
        return switch_indices.tf_indices(self.taps, self.windows, include_batch_in_index)

    @classmethod
    def from_tf(
        cls,
        indices: Any,
        input_size: Any,
        *pooling: Any,
        include_batch_in_index: bool = False,
        **more: Any,
    ) -> "Switches":
        """Switches from TensorFlow's indices, (N, *windows, C); the result has channels first.

        TensorFlow's "SAME" is `padding="same"`, its "VALID" `padding=0`. Other arguments and errors as in
        `from_torch`; an index whose channel or batch is not its own is a SwitchError too.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> us.Switches.from_tf(np.array([[[[2, 1]]]]), (1, 2), (1, 2)).taps.tolist()
        [[[[1]], [[0]]]]
        """
        windows = switch_indices.pool_windows("Switches.from_tf", input_size, *pooling, **more)
        dtype = switch_dtype(windows)
        return cls(switch_indices.taps_of_tf(indices, windows, dtype, include_batch_in_index), windows)

    def to_onnx(self, *, storage_order: int = 0) -> Any:
        """The indices that ONNX `MaxPool` gives: int64, flat over the whole (N, C, *spatial) input.

        `storage_order` 1 counts the spatial axes in column-major order.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> x = np.array([[[1, 2]], [[4, 3]]])        # N=2, C=1, L=2
        >>> us.max_pool(x, (2,))[1].to_onnx().tolist()
        [[[1]], [[2]]]
        """
        self.check("Switches.to_onnx")
        return switch_indices.onnx_indices(self.taps, self.windows, storage_order)

    @classmethod
    def from_onnx(
        cls, indices: Any, input_size: Any, *pooling: Any, storage_order: int = 0, **more: Any
    ) -> "Switches":
        """Switches from ONNX's indices, (N, C, *windows).

        ONNX's `pads` [before..., after...] are `padding=((before, after), ...)`, its SAME_UPPER is
        "same". Other arguments and errors as in `from_torch`; an index in another plane than its own
        is a SwitchError too.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> us.Switches.from_onnx(np.array([[[1]], [[2]]]), (2,), 2).taps.tolist()
        [[[1]], [[0]]]
        """
        windows = switch_indices.pool_windows("Switches.from_onnx", input_size, *pooling, **more)
        dtype = switch_dtype(windows)
        return cls(switch_indices.taps_of_onnx(indices, windows, dtype, storage_order), windows)

    def pack(self) -> "PackedSwitches":
        """The same switches in 2 bits each (windows of up to 4 taps) or 4 bits each (up to 16 taps).

        Raises
        ------
        ShapeError
            Where the windows have more than 16 taps.

        Examples
        --------
        >>> import numpy as np, unsample as us
        >>> _, switches = us.max_pool(np.array([3, 9, 5, 7, 8, 1]), (2,))
        >>> switches.pack()
        PackedSwitches of (3,) windows of 2 taps, 2 bits each, 1 byte
        >>> switches.pack().unpack().taps
        array([1, 1, 0], dtype=uint8)
        """
        self.check("Switches.pack")
        number = math.prod(self.kernel_size)
        if number > 16:
            raise ShapeError(f"Switches.pack: 4 bits count up to 16 taps, the windows have {number}")
        known("Switches.pack", "the shape", self.shape)
        bits = 2 if number <= 4 else 4
        xp = namespace("Switches.pack", switches=self.taps)
        flat = xp.reshape(self.taps, (math.prod(self.shape),))
        data = zeros(flat, (-(-flat.shape[0] * bits // 8),))
        for j in range(8 // bits):
            piece = flat[j :: 8 // bits]
            data = add_tap(data, (range(piece.shape[0]),), piece * 2 ** (j * bits))
        return PackedSwitches(data, bits, self.shape, self.windows)


@dataclass(frozen=True, slots=True, eq=False)
class PackedSwitches:
    """Switches at 2 or 4 bits each, in C order, the first in the lowest bits of a byte.

    Parameters
    ----------
    data : uint8 array, (bytes,)
        The bits.
    bits : int
        2 or 4.
    shape : tuple of int
        Of the switches.
    windows : tuple of Window or AdaptiveWindow
        One per spatial axis.
    """

    data: Any
    bits: int
    shape: tuple[int, ...]
    windows: tuple[AnyWindow, ...]

    def __eq__(self, other: object) -> bool:
        """Whether they unpack to the same switches."""
        if not isinstance(other, PackedSwitches):
            return NotImplemented
        made = self.bits, self.shape, self.windows
        return made == (other.bits, other.shape, other.windows) and _same_numbers(self.data, other.data)

    __hash__ = None  # type: ignore[assignment]

    def unpack(self) -> Switches:
        """The switches again, one byte each.

        Raises
        ------
        ShapeError, TypeError
            Where bits, shape, windows and data do not belong together.
        """
        operation = "PackedSwitches.unpack"
        if integer(operation, "bits", self.bits) not in (2, 4):
            raise ShapeError(f"{operation}: bits must be 2 or 4, got {self.bits}")
        check_windows(operation, integers(operation, "shape", self.shape, minimum=0), self.windows)
        namespace(operation, data=self.data)
        if dtype_name(self.data.dtype) != "uint8":
            raise TypeError(f"{operation}: data must be uint8, got dtype {self.data.dtype}")
        number = math.prod(self.shape)
        per_byte = 8 // self.bits
        expected = -(-number // per_byte)
        if tuple(self.data.shape) != (expected,):
            raise ShapeError(
                f"{operation}: data must be {count(expected, 'byte')} for switches of shape "
                f"{self.shape}, got shape {tuple(self.data.shape)}"
            )
        flat = zeros(self.data, (number,))
        for j in range(per_byte):
            where = range(j, number, per_byte)
            piece = self.data[: len(where)] // 2 ** (j * self.bits) % 2**self.bits
            flat = place_tap(flat, (where,), piece)
        xp = namespace(operation, data=self.data)
        return Switches(xp.reshape(flat, self.shape), self.windows)

    def __repr__(self) -> str:
        coarse = tuple(window.coarse for window in self.windows)
        kernel = "x".join(str(window.size) for window in self.windows)
        size = count(self.data.shape[0], "byte")
        return f"PackedSwitches of {coarse} windows of {kernel} taps, {self.bits} bits each, {size}"


@cache
def make_pytrees(jax: Any) -> None:
    """Let switches pass in and out of jax's transformations: their numbers are mapped, the rest is static."""
    jax.tree_util.register_dataclass(Switches, data_fields=["taps"], meta_fields=["windows"])
    jax.tree_util.register_dataclass(
        PackedSwitches, data_fields=["data"], meta_fields=["bits", "shape", "windows"]
    )
