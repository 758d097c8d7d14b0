"""PyTorch operators and layers: every way up as torch.nn has it, compiled, exported, mapped, differentiated.

`import unsample.torch` imports torch; `import unsample` does not.
"""

from unsample.switches import Switches
from unsample.torch.errors import SwitchError, TorchShapeError
from unsample.torch.functional import (
    adaptive_max_pool,
    bed_of_nails,
    conv,
    conv_transpose,
    conv_weight_grad,
    decimate,
    indices_to_switches,
    max_gather,
    max_pool,
    max_unpool,
    nearest,
    pixel_shuffle,
    pixel_unshuffle,
    resize,
    resize_transpose,
    switches_to_indices,
    window_sum,
)

__all__ = [
    "SwitchError",
    "Switches",
    "TorchShapeError",
    "adaptive_max_pool",
    "bed_of_nails",
    "conv",
    "conv_transpose",
    "conv_weight_grad",
    "decimate",
    "indices_to_switches",
    "max_gather",
    "max_pool",
    "max_unpool",
    "nearest",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "resize_transpose",
    "switches_to_indices",
    "window_sum",
]
