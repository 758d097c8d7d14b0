"""The upsampling half of encoder-decoder networks: every way up beside its transpose, the way down.

Any array in (NumPy, PyTorch, JAX), the same kind out. Start with `unsample.nearest`.
"""

import typing

from unsample import geometry, interop
from unsample.arrays.packed_weight import PackedWeight, pack_weight
from unsample.compare import compare
from unsample.errors import ShapeError, SwitchError
from unsample.explore import explore
from unsample.matrix import matrix
from unsample.native import show_config
from unsample.native.memory import set_kept_memory
from unsample.native.threads import get_num_threads, set_num_threads, threads
from unsample.ops.conv import conv, conv_transpose, conv_weight_grad
from unsample.ops.nails import bed_of_nails, decimate
from unsample.ops.nearest import nearest, window_sum
from unsample.ops.pool import adaptive_max_pool, max_pool
from unsample.ops.resize import resize, resize_transpose
from unsample.ops.shuffle import pixel_shuffle, pixel_unshuffle
from unsample.ops.unpool import max_gather, max_unpool
from unsample.pairs import PAIRS, Pair
from unsample.switches import PackedSwitches, Switches

if typing.TYPE_CHECKING:
    from unsample.inspection import inspect

__version__ = "0.1.0"

__all__ = [
    "PAIRS",
    "PackedSwitches",
    "PackedWeight",
    "Pair",
    "ShapeError",
    "SwitchError",
    "Switches",
    "adaptive_max_pool",
    "bed_of_nails",
    "compare",
    "conv",
    "conv_transpose",
    "conv_weight_grad",
    "decimate",
    "draw",
    "explore",
    "geometry",
    "get_num_threads",
    "inspect",
    "interop",
    "matrix",
    "max_gather",
    "max_pool",
    "max_unpool",
    "nearest",
    "pack_weight",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "resize_transpose",
    "set_kept_memory",
    "set_num_threads",
    "show_config",
    "threads",
    "window_sum",
]


def __getattr__(name: str) -> typing.Any:
    """Tools are imported when they are asked for: `import unsample` imports NumPy alone."""
    if name == "inspect":
        from unsample.inspection import inspect

        return inspect
    if name == "draw":
        import importlib

        return importlib.import_module("unsample.draw")
    raise AttributeError(f"module 'unsample' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is public, imported yet or not."""
    return sorted(__all__)
