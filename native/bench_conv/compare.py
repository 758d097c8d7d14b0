"""Two builds, call by call in turn: `compare.py OLD.so [names,...] [tier] [layout] [stages]`."""
# ruff: noqa: T201

import sys
import time
from pathlib import Path

import driver
import numpy as np
from workloads import WORKLOADS

from unsample.ops.conv import plan_conv_transpose

old, names, tier, layout, stages, *_ = [*sys.argv[1:], *["", "", "avx2", "first", "3"][len(sys.argv) - 1 :]]
stages = int(stages)
libs = [driver.load(Path(old).resolve()), driver.LIB]
for w in WORKLOADS:
    if not any(name in w.name for name in names.split(",")):
        continue
    y = driver.empty((w.batch, w.c_in, *w.coarse), np.float32, layout)
    y[...] = 1
    weight = np.ones((w.c_in, w.c_out // w.groups, *[w.kernel] * len(w.coarse)), np.float32)
    options = {"stride": w.stride, "padding": w.padding, "output_padding": w.output_padding}
    plan = plan_conv_transpose(y.shape, weight.shape, groups=w.groups, **options)
    out = driver.empty(plan.output_shape, np.float32, layout)
    calls = [
        driver.Call(plan.windows, y, weight, out, groups=w.groups, transposed=True, tier=tier, lib=lib)
        for lib in libs
    ]
    times: list[list[float]] = [[], []]
    peaks = []
    until = time.perf_counter() + 4
    while time.perf_counter() < until:
        for call, spent in zip(calls, times, strict=True):
            start = time.process_time()
            call.run(1, stages)
            spent.append(time.process_time() - start)
        peaks.append(driver.peak(tier))
    a, b = (np.array(t) * 1e3 for t in times)
    flops = 2 * driver.macs(plan.windows, y, weight)
    print(
        f"{w.name:32s} {np.median(a):8.3f} -> {np.median(b):8.3f} ms  {np.median(a / b):.3f}   "
        f"of peak {500 * np.median(flops / a / np.array(peaks)):.3f} -> "
        f"{500 * np.median(flops / b / np.array(peaks)):.3f}",
        flush=True,
    )
