"""Two builds of the kernels, call by call in turn: `python compare.py OLD.so [names,...] [tier] [layout]`."""
# ruff: noqa: T201

import sys
import time
from pathlib import Path

import driver
import numpy as np
from workloads import WORKLOADS

from unsample.ops.conv import plan_conv_transpose

old, names, tier, layout, *_ = [*sys.argv[1:], *["", "", "avx2", "first"][len(sys.argv) - 1 :]]
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
    until = time.perf_counter() + 4
    while time.perf_counter() < until:
        for call, spent in zip(calls, times, strict=True):
            start = time.process_time()
            call.run(1)
            spent.append(time.process_time() - start)
    a, b = (np.array(t) * 1e3 for t in times)
    flops = 2 * driver.macs(plan.windows, y, weight)
    print(
        f"{w.name:32s} {a.min():8.3f} -> {b.min():8.3f} ms  {flops / b.min() / 1e6:7.1f} GFLOP/s   "
        f"median ratio {np.median(a / b):.3f}, of the fastest {a.min() / b.min():.3f}",
        flush=True,
    )
