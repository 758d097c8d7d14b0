"""What the libraries call things and where they keep them: one table for each kind of call.

The channels of a kernel are named by the convolution: x, its larger side, and y, its smaller. A transposed
convolution reads y and makes x. With these names nearly every library keeps one order for both directions;
only JAX's transposed convolution, a convolution of its own, has them exchanged and its taps reversed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from unsample.geometry.arguments import choice

Library = Literal["unsample", "torch", "tf", "keras", "jax", "flax", "onnx"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
SwitchLibrary = Literal["unsample", "torch", "tf", "keras", "onnx"]
SWITCH_LIBRARIES: tuple[SwitchLibrary, ...] = get_args(SwitchLibrary)
Convolution = Literal["conv", "conv_transpose"]
CONVOLUTIONS: tuple[Convolution, ...] = get_args(Convolution)
ShuffleOrder = Literal["unsample", "torch", "tf", "keras", "onnx", "CRD", "DCR"]


@dataclass(frozen=True, slots=True)
class Call:
    """How one library writes one call.

    Parameters
    ----------
    kernel : str
        The axes of its weight in order: "y" and "x" channels (of "x" those of one group), "k" the taps.
    stride, dilation : str
        Names of arguments.
    groups : str or None
        None where the call has no groups.
    others : tuple of str
        The arguments that make up its padding.
    flipped : bool
        Whether its taps run backwards.
    """

    kernel: str
    stride: str
    dilation: str
    groups: str | None
    others: tuple[str, ...]
    flipped: bool = False


_TORCH = Call("yxk", "stride", "dilation", "groups", ("padding",))
_ONNX = Call("yxk", "strides", "dilations", "group", ("pads", "auto_pad", "kernel_shape"))
_KERAS = Call("kxy", "strides", "dilation_rate", "groups", ("padding",))
_JAX = Call("kxy", "window_strides", "rhs_dilation", "feature_group_count", ("padding",))
_FLAX = Call("kxy", "strides", "kernel_dilation", "feature_group_count", ("padding",))

_UP_TORCH = Call("yxk", "stride", "dilation", "groups", ("padding", "output_padding"))
_UP_ONNX = Call(
    *("yxk", "strides", "dilations", "group"),
    ("pads", "auto_pad", "kernel_shape", "output_padding", "output_shape"),
)
_UP_KERAS = Call("kxy", "strides", "dilation_rate", None, ("padding", "output_padding"))
_JAX_OTHERS = ("padding", "transpose_kernel", "use_consistent_padding")
_UP_JAX = Call("kyx", "strides", "rhs_dilation", None, _JAX_OTHERS, flipped=True)
_UP_FLAX = Call("kyx", "strides", "kernel_dilation", None, _JAX_OTHERS[:2], flipped=True)

CALLS: Mapping[Convolution, Mapping[Library, Call]] = {
    "conv": {
        "unsample": _TORCH,
        "torch": _TORCH,
        "tf": _KERAS,
        "keras": _KERAS,
        "jax": _JAX,
        "flax": _FLAX,
        "onnx": _ONNX,
    },
    "conv_transpose": {
        "unsample": _UP_TORCH,
        "torch": _UP_TORCH,
        "tf": _UP_KERAS,
        "keras": _UP_KERAS,
        "jax": _UP_JAX,
        "flax": _UP_FLAX,
        "onnx": _UP_ONNX,
    },
}

# The order of depth_to_space: how many channels lie between the elements of one block.
SHUFFLE_ORDERS: Mapping[ShuffleOrder, str] = {
    "unsample": "CRD",
    "torch": "CRD",
    "tf": "DCR",
    "keras": "DCR",
    "onnx": "DCR",
    "CRD": "CRD",
    "DCR": "DCR",
}


def call_of(operation: str, name: str, library: str, call: str, transpose_kernel: bool = False) -> Call:
    """The call as `library` writes it; `transpose_kernel` is JAX's, and gives the kernel Keras's layout."""
    calls = CALLS[choice(operation, "operation", call, CONVOLUTIONS)]
    found = calls[choice(operation, name, library, LIBRARIES)]
    if found.flipped and transpose_kernel:
        # jax.lax: "makes the output of this function identical to the gradient-derived functions".
        return Call("kxy", found.stride, found.dilation, found.groups, found.others)
    return found
