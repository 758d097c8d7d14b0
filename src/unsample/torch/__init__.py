"""PyTorch operators and layers: every way up as torch.nn has it, compiled, exported, mapped, differentiated.

`import unsample.torch` imports torch; `import unsample` does not.
"""

import typing as _typing

try:
    import torch as _torch  # noqa: F401 - first, so that its absence has one message
except ModuleNotFoundError as missing:
    if missing.name != "torch":
        raise
    message = "unsample.torch: needs PyTorch: pip install 'unsample[torch]'"
    raise ModuleNotFoundError(message, name="torch") from None

from unsample.errors import DtypeError as TorchTypeError
from unsample.errors import ShapeError as TorchShapeError
from unsample.errors import SwitchError
from unsample.pairs import OPERATIONS as _OPERATIONS
from unsample.switches import Switches
from unsample.torch import functional as _functional
from unsample.torch import init
from unsample.torch.export import decompositions
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
from unsample.torch.layers.content import CARAFE, DySample, Reassemble
from unsample.torch.layers.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from unsample.torch.layers.learned import BlurUp, ResizeConv, SubPixelConv
from unsample.torch.layers.pool import (
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
)
from unsample.torch.layers.resize import (
    BedOfNails,
    Nearest,
    PixelShuffle,
    PixelUnshuffle,
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
)
from unsample.torch.models.accelerate import Acceleration, TimedLayer, accelerate, restore
from unsample.torch.models.functions import Patched, patched
from unsample.torch.models.set_upsampler import Swap, SwapReport, set_upsampler

__all__ = [
    "CARAFE",
    "Acceleration",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "BedOfNails",
    "BlurUp",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "DySample",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Nearest",
    "Patched",
    "PixelShuffle",
    "PixelUnshuffle",
    "Reassemble",
    "ResizeConv",
    "SubPixelConv",
    "Swap",
    "SwapReport",
    "SwitchError",
    "Switches",
    "TimedLayer",
    "TorchShapeError",
    "TorchTypeError",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "accelerate",
    "adaptive_max_pool",
    "bed_of_nails",
    "conv",
    "conv_transpose",
    "conv_weight_grad",
    "decimate",
    "decompositions",
    "indices_to_switches",
    "init",
    "max_gather",
    "max_pool",
    "max_unpool",
    "nearest",
    "patched",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "resize_transpose",
    "restore",
    "set_upsampler",
    "switches_to_indices",
    "window_sum",
]


if not _typing.TYPE_CHECKING:  # which would know no wrong name any more

    def __getattr__(name: str) -> _typing.Any:
        """An operation that has no line above."""
        if name not in _OPERATIONS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _functional.on_tensors(_OPERATIONS[name].function)
