"""Runs one workload over and over, for perf: `profile.py NAME [tier] [layout] [seconds]`."""

# ruff: noqa: T201

import sys
import time

import driver
import numpy as np
from workloads import WORKLOADS

from unsample.ops.conv import plan_conv_transpose

name, tier, layout, seconds, *_ = [*sys.argv[1:], *["", "avx2", "first", "3"][len(sys.argv) - 1 :]]
w = next(w for w in WORKLOADS if name in w.name)
y = driver.empty((w.batch, w.c_in, *w.coarse), np.float32, layout)
y[...] = 1
weight = np.ones((w.c_in, w.c_out // w.groups, *[w.kernel] * len(w.coarse)), np.float32)
options = {"stride": w.stride, "padding": w.padding, "output_padding": w.output_padding}
plan = plan_conv_transpose(y.shape, weight.shape, groups=w.groups, **options)
out = driver.empty(plan.output_shape, np.float32, layout)
call = driver.Call(plan.windows, y, weight, out, groups=w.groups, transposed=True, tier=tier)
best = np.inf
until = time.process_time() + float(seconds)
while time.process_time() < until:
    start = time.process_time()
    call.run(1)
    best = min(best, time.process_time() - start)
flops = 2 * driver.macs(plan.windows, y, weight)
print(f"{w.name:32s} {tier} {layout:5s} {best * 1e3:8.3f} ms {flops / best / 1e9:7.1f} GFLOP/s")
