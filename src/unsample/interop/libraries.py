"""What the libraries call things and where they keep them: one table for each kind of call.

The channels of a kernel are named by the convolution: x, its larger side, and y, its smaller. A transposed
convolution reads y and makes x. With these names nearly every library keeps one order for both directions;
only JAX's transposed convolution, a convolution of its own, has them exchanged and its taps reversed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from unsample.geometry.arguments import choice
from unsample.geometry.resample import Convention, Method

Library = Literal["unsample", "torch", "tf", "keras", "jax", "flax", "onnx"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
SwitchLibrary = Literal["unsample", "torch", "tf", "keras", "onnx"]
SWITCH_LIBRARIES: tuple[SwitchLibrary, ...] = get_args(SwitchLibrary)
Convolution = Literal["conv", "conv_transpose"]
CONVOLUTIONS: tuple[Convolution, ...] = get_args(Convolution)
ResizeLibrary = Literal["unsample", "torch", "tf", "keras", "jax", "onnx", "pillow"]
RESIZE_LIBRARIES: tuple[ResizeLibrary, ...] = get_args(ResizeLibrary)
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

# mode of torch.nn.functional.interpolate -> method, convention, spatial axes (None: 1 to 3, all but two)
TORCH_MODES: Mapping[str, tuple[Method, Convention, int | None]] = {
    "nearest": ("nearest", "legacy", None),
    "nearest-exact": ("nearest", "half_pixel", None),
    "area": ("area", "half_pixel", None),
    "linear": ("linear", "half_pixel", 1),
    "bilinear": ("linear", "half_pixel", 2),
    "trilinear": ("linear", "half_pixel", 3),
    "bicubic": ("cubic", "half_pixel", 2),
    "lanczos": ("lanczos3", "half_pixel", 2),
}

# Libraries that look at pixel centres alone and divide weights by their sum at the border: the names of the
# size and of the method, what methods there are, and which unless given.
_LANCZOS: Mapping[str, Method] = {"lanczos3": "lanczos3", "lanczos5": "lanczos5"}
_TF: Mapping[str, Method] = {"nearest": "nearest", "bilinear": "linear", "bicubic": "catmull_rom", **_LANCZOS}
RESIZES: Mapping[str, tuple[str, str, Mapping[str, Method], str | None]] = {
    "jax": (
        "shape",
        "method",
        {
            "nearest": "nearest",
            **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "linear"),
            **dict.fromkeys(("cubic", "bicubic", "tricubic"), "catmull_rom"),
            "cubic-pytorch": "cubic",
            **_LANCZOS,
        },
        None,
    ),
    "tf": ("size", "method", {**_TF, "area": "area"}, "bilinear"),
    "keras": ("size", "interpolation", _TF, "bilinear"),
    "pillow": (
        "size",
        "resample",
        {
            "NEAREST": "nearest",
            "BOX": "area",
            "BILINEAR": "linear",
            "BICUBIC": "catmull_rom",
            "LANCZOS": "lanczos3",
        },
        "BICUBIC",
    ),
}
PILLOW_NUMBERS = {0: "NEAREST", 1: "LANCZOS", 2: "BILINEAR", 3: "BICUBIC", 4: "BOX", 5: "HAMMING"}

# How ONNX's Resize rounds, its default first.
NEAREST_MODES: Mapping[str, Method] = {
    "round_prefer_floor": "nearest_ties_down",
    "round_prefer_ceil": "nearest",
    "floor": "floor",
    "ceil": "ceil",
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
