"""Times of the workloads beside torch's: `python bench.py --help`.

One thread is timed by the processor time it spends, which a busy machine disturbs less than the clock;
several threads by the clock.
"""
# ruff: noqa: T201

import argparse
import time
from functools import partial

import driver
import numpy as np
import torch
from workloads import WORKLOADS, Workload

from unsample.ops.conv import plan_conv_transpose

FUNCTIONS = {
    1: torch.nn.functional.conv_transpose1d,
    2: torch.nn.functional.conv_transpose2d,
    3: torch.nn.functional.conv_transpose3d,
}


def milliseconds(call, threads, at_least=0.02):
    """The fastest of the calls that fit into `at_least` seconds."""
    clock = time.process_time if threads == 1 else time.perf_counter
    best, until = np.inf, time.perf_counter() + at_least
    while time.perf_counter() < until:
        start = clock()
        call()
        best = min(best, clock() - start)
    return best * 1e3


class Forward:
    """The calls of one workload, ours and torch's, checked against float64."""

    def __init__(self, w: Workload, threads: int, tier: str) -> None:
        rank = len(w.coarse)
        rng = np.random.default_rng(0)
        y = rng.standard_normal((w.batch, w.c_in, *w.coarse), dtype=np.float32)
        weight = rng.standard_normal((w.c_in, w.c_out // w.groups, *[w.kernel] * rank), dtype=np.float32)
        bias = rng.standard_normal(w.c_out, dtype=np.float32)
        options = {"stride": w.stride, "padding": w.padding, "output_padding": w.output_padding}
        plan = plan_conv_transpose(y.shape, weight.shape, groups=w.groups, **options)
        self.flops = 2 * driver.macs(plan.windows, y, weight)

        f = partial(FUNCTIONS[rank], groups=w.groups, **options)
        tensors = [torch.tensor(a) for a in (y, weight, bias)]
        self.calls = {"torch": partial(f, *tensors)}
        if rank > 1:
            memory = torch.channels_last if rank == 2 else torch.channels_last_3d
            last = [a.to(memory_format=memory) for a in tensors[:2]]
            self.calls["torch cl"] = partial(f, *last, tensors[2])
        doubles = [a.double() for a in tensors]
        want = f(*doubles).numpy()
        bound = (weight[:, 0].size + 2) * 2.0**-24 * f(*(a.abs() for a in doubles)).numpy()
        for layout, name in (("first", "ours"), ("last", "last")):
            x, out = (driver.empty(shape, np.float32, layout) for shape in (y.shape, plan.output_shape))
            x[...] = y
            call = driver.Call(
                plan.windows, x, weight, out, groups=w.groups, transposed=True, tier=tier, bias=bias
            )
            assert (abs(call.run(threads) - want) <= bound).all(), w
            self.calls[name] = partial(call.run, threads)
            if layout == "first":
                self.calls["packed"] = partial(call.run, threads, 2)


class Gradients:
    """One training step: forward and both gradients, ours alone too; torch in both layouts."""

    def __init__(self, w: Workload, threads: int, tier: str) -> None:
        rank = len(w.coarse)
        rng = np.random.default_rng(0)
        y = rng.standard_normal((w.batch, w.c_in, *w.coarse), dtype=np.float32)
        weight = rng.standard_normal((w.c_in, w.c_out // w.groups, *[w.kernel] * rank), dtype=np.float32)
        options = {"stride": w.stride, "padding": w.padding, "output_padding": w.output_padding}
        plan = plan_conv_transpose(y.shape, weight.shape, groups=w.groups, **options)
        self.flops = 6 * driver.macs(plan.windows, y, weight)
        f = partial(FUNCTIONS[rank], groups=w.groups, **options)
        x = rng.standard_normal(plan.output_shape, dtype=np.float32)

        def step(y, weight, x):
            f(y, weight).backward(x)
            grads = y.grad, weight.grad
            y.grad = weight.grad = None
            return grads

        self.calls = {}
        for name in ("torch", "torch cl") if rank > 1 else ("torch",):
            formats = {2: torch.channels_last, 3: torch.channels_last_3d}
            memory = {"memory_format": formats[rank]} if name == "torch cl" else {}
            leaves = [torch.tensor(a).to(**memory).requires_grad_() for a in (y, weight)]
            self.calls[name] = partial(step, *leaves, torch.tensor(x).to(**memory))
        leaves = [torch.tensor(a).double().requires_grad_() for a in (y, weight)]
        want = [g.numpy() for g in step(*leaves, torch.tensor(x).double())]
        leaves = [torch.tensor(abs(a)).double().requires_grad_() for a in (y, weight)]
        size = [g.numpy() for g in step(*leaves, torch.tensor(abs(x)).double())]
        for layout in ("first", "last"):
            a = [driver.empty(v.shape, np.float32, layout) for v in (y, x, x, y)]
            a[0][...], a[1][...] = y, x
            same = {"groups": w.groups, "tier": tier}
            forward = driver.Call(plan.windows, a[0], weight, a[2], transposed=True, **same)
            back = driver.Call(plan.windows, a[1], weight, a[3], transposed=False, **same)
            dw = driver.WeightGrad(plan.windows, a[1], a[0], np.empty_like(weight), **same)
            for call, exact, scale, n in (
                (back, want[0], size[0], weight[0].size),
                (dw, want[1], size[1], y[:, 0].size),
            ):
                assert (abs(call.run(threads) - exact) <= (n + 2) * 2.0**-24 * scale).all(), w
            name = "ours" if layout == "first" else "last"
            parts = [partial(call.run, threads) for call in (forward, back, dw)]
            self.calls[name] = lambda parts=parts: [part() for part in parts]
            if layout == "first":
                self.calls |= zip(("forward", "to y", "to w"), parts, strict=True)


def main() -> None:
    """Print a table, a workload a line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tier", default="avx2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--step", action="store_true", help="a training step instead of the forward alone")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    columns = ["torch", "torch cl", "ours", "last"] + (
        ["forward", "to y", "to w"] if given.step else ["packed"]
    )
    print(
        f"{'ms':32s}" + "".join(f"{c:>9s}" for c in columns) + "  GFLOP/s  ours:torch  ours:best  last:best"
    )
    ratios = []
    for w in WORKLOADS:
        if given.only not in w.name:
            continue
        forward = (Gradients if given.step else Forward)(w, given.threads, given.tier)
        times = {name: [] for name in forward.calls}
        with torch.inference_mode(not given.step):
            for call in forward.calls.values():
                call()
            for _ in range(given.rounds):
                for name, call in forward.calls.items():
                    times[name].append(milliseconds(call, given.threads))
        t = {name: np.median(times.get(name, np.nan)) for name in columns}
        best = np.nanmin([t["torch"], t["torch cl"]])
        ratios.append((t["torch"] / t["ours"], best / t["ours"], best / t["last"]))
        print(
            f"{w.name:32s}"
            + "".join(f"{t[c]:9.2f}" for c in columns)
            + f"{forward.flops / t['ours'] / 1e6:9.1f}"
            + "{:12.2f}{:11.2f}{:11.2f}".format(*ratios[-1]),
            flush=True,
        )
    mean = np.exp(np.log(np.array(ratios)).mean(0))
    print("geometric means: {:.2f} x torch, {:.2f} x the faster layout, {:.2f} x last".format(*mean))


if __name__ == "__main__":
    main()
