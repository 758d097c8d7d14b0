"""From one library's conventions to another's: weights, arguments, switches, channel orders.

`libraries.py` is the table of who writes what, and everything else reads it. `conv_arguments.py` reads a call
into one form and writes it from there, `resize_arguments.py` does so with interpolations, `weights.py` moves
axes, `switch_indices.py` counts positions, `conversions.py` joins them.
"""

from unsample.interop.conv_arguments import convert_arguments
from unsample.interop.conversions import Converted, convert_conv, convert_conv_transpose, convert_switches
from unsample.interop.resize_arguments import convert_resize
from unsample.interop.weights import convert_shuffle, convert_weight, ungroup

__all__ = [
    "Converted",
    "convert_arguments",
    "convert_conv",
    "convert_conv_transpose",
    "convert_resize",
    "convert_shuffle",
    "convert_switches",
    "convert_weight",
    "ungroup",
]
