"""A user's script, never run: `test_typed.py` lets mypy read it, strictly.

A line with `# mistake: CODE` must be refused with that code, and no other line may be.
"""

from typing import assert_type

import numpy as np
import torch
from numpy.typing import NDArray

import unsample as us
import unsample.torch as ut
from unsample import interop
from unsample.compare import Settings
from unsample.compare.comparison import Comparison
from unsample.geometry import Step, Window, sizes_that_work
from unsample.inspection import Inspection

Floats = NDArray[np.float32]
x: Floats = np.ones((1, 2, 8, 6), np.float32)
weight: Floats = np.ones((2, 3, 3, 3), np.float32)

# Arrays: the kind that goes in comes out.
assert_type(us.nearest(x, 2), Floats)
assert_type(us.conv_transpose(x, weight, stride=2, padding="same"), Floats)
assert_type(us.conv_transpose(x, weight, padding=((0, 1), (1, 0)), padding_mode="reflect"), Floats)
assert_type(us.resize(x, factor=2, method="cubic", convention="align_corners"), Floats)
assert_type(us.bed_of_nails(x, (2, 3), at="center"), Floats)
us.nearest(x, 2.5)  # mistake: arg-type
us.nearest(x, factr=2)  # mistake: call-arg
wrong: str = us.nearest(x, 2)  # mistake: assignment

# Words are spelled right.
us.conv_transpose(x, weight, padding="some")  # mistake: arg-type
us.conv_transpose(x, weight, padding_mode="mirror")  # mistake: arg-type
us.conv(x, weight, padding_mode="mirror")  # mistake: arg-type
us.resize(x, factor=2, method="bilinear")  # mistake: arg-type
us.resize(x, factor=2, convention="half_pixels")  # mistake: arg-type
us.bed_of_nails(x, 2, at="middle")  # mistake: arg-type
us.decimate(x, 2, at="middle")  # mistake: arg-type
us.pixel_shuffle(x, 2, order="RCD")  # mistake: arg-type
us.max_pool(x, 2, padding="full")  # mistake: arg-type
interop.convert_weight(weight, source="pytorch", target="keras")  # mistake: arg-type
interop.convert_shuffle(weight, (2, 2), source="torch", target="jax", axis=0)  # mistake: arg-type
interop.convert_switches(x, (2, 2), 2, source="torch", target="jax")  # mistake: arg-type
Window(5, 2, 3, mode="mirror")  # mistake: arg-type
Step("avg_pool", 2)  # mistake: arg-type
sizes_that_work([(Step("max_pool", 2, 2), Step("conv_transpose", 2, 2))], limit=9)

# Pooling remembers, unless it is told not to.
values, switches = us.max_pool(x, (2, 2), ceil_mode=True)
assert_type(values, Floats)
assert_type(switches, us.Switches)
assert_type(us.max_pool(x, 2, return_switches=False), Floats)
assert_type(us.max_unpool(values, switches, duplicates="sum"), Floats)
us.max_unpool(values, switches, duplicates="first")  # mistake: arg-type
us.max_unpool(switches, values)  # mistake: type-var, arg-type
us.max_pool(x, 2, return_switches=False).pack()  # mistake: attr-defined

# torch: tensors of functions and of layers.
t = torch.zeros(1, 2, 8, 6)
assert_type(ut.nearest(t, 2), torch.Tensor)
assert_type(ut.max_pool(t, 2), tuple[torch.Tensor, us.Switches])
assert_type(ut.max_pool(t, 2, return_switches=False), torch.Tensor)
assert_type(ut.Conv2d(2, 3, 3, padding="same")(t), torch.Tensor)
assert_type(ut.LazyConvTranspose2d(3, 3)(t, like=t), torch.Tensor)
assert_type(ut.ConvTranspose2d(2, 3, 3, stride=2)(t, output_size=(17, 13)), torch.Tensor)
assert_type(ut.Upsample(scale_factor=2, mode="bilinear")(t), torch.Tensor)
assert_type(ut.PixelShuffle(2)(t), torch.Tensor)
assert_type(ut.CARAFE(2)(t), torch.Tensor)
assert_type(ut.SubPixelConv(2, 3)(t), torch.Tensor)
assert_type(ut.MaxPool2d(2)(t), torch.Tensor)
assert_type(ut.MaxPool2d(2, return_switches=True)(t), tuple[torch.Tensor, us.Switches])
assert_type(ut.AdaptiveMaxPool2d(2, return_indices=True)(t), tuple[torch.Tensor, torch.Tensor])
assert_type(ut.MaxUnpool2d(2)(t, switches), torch.Tensor)
pool: ut.MaxPool2d = ut.MaxPool2d(2)
assert_type(pool(t), torch.Tensor)
ut.nearest(x, 2)  # mistake: arg-type
ut.resize(t, (4, 4), method="bilinear")  # mistake: arg-type
ut.ConvTranspose2d(2, 3, 3, padding_mode="mirror")  # mistake: arg-type
ut.ConvTranspose2d(2, 3, 3)(t, size=(17, 13))  # mistake: call-arg
ut.Upsample(scale_factor=2, mode="cubic")  # mistake: arg-type
ut.BedOfNails(2, at="middle")  # mistake: arg-type
ut.DySample(8, style="pp")  # mistake: arg-type
ut.MaxPool2d(2, return_switches=True)(t).numel()  # mistake: attr-defined

# Tools.
assert_type(us.inspect(torch.nn.Identity(), (1, 3, 8, 8)), Inspection)
assert_type(us.compare(None, Settings()), Comparison)
us.compare(setting=Settings())  # mistake: call-arg
