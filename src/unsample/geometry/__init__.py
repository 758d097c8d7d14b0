"""Where every tap falls: sizes, padding, windows and plans, in checked Python integers.

Start with `window.py`. Nothing in this folder touches an array or imports a framework: what is
computed here holds for NumPy, PyTorch and JAX alike, before any memory is allocated.

- `arguments.py`  ints, tuples, paddings and choices as the user writes them -> one normal form
- `window.py`     one axis: which taps of which windows meet which elements
- `reach.py`      how far windows may reach, so that nothing that is counted leaves 64 bits
- `sizes.py`      the windows over an axis, and the axis under windows: the size formulas
- `plan.py`       one call: shapes, windows, multiply-adds
- `solve.py`      the questions backwards: which settings, which sizes
"""

from unsample.errors import ShapeError
from unsample.geometry.plan import Plan
from unsample.geometry.solve import Setting, Step, WorkingSizes, sizes_that_work, solve
from unsample.geometry.window import AdaptiveWindow, Tap, Window, taps

__all__ = [
    "AdaptiveWindow",
    "Plan",
    "Setting",
    "ShapeError",
    "Step",
    "Tap",
    "Window",
    "WorkingSizes",
    "sizes_that_work",
    "solve",
    "taps",
]
