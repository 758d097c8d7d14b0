"""Forward times beside other runtimes, each in a process of its own, asked in turn.

    python peers.py [--threads 2] [--rounds 7] [--tier avx2] [--other-python PYTHON]

`--other-python` is an interpreter that has onnxruntime, onnx and openvino. A runtime sleeps while another
is asked, so that their thread pools do not disturb each other. `ours` includes packing the weight and writes
fresh memory, as the others do. With --tier avx2 torch and oneDNN are held to AVX2 as well; ONNX Runtime and
OpenVINO cannot be. One thread is timed by the processor time it spends.
"""
# ruff: noqa: T201

import argparse
import os
import subprocess
import sys
import time

import numpy as np
from workloads import WORKLOADS, Workload


def arrays(w: Workload):
    """y, weight, bias."""
    rng = np.random.default_rng(0)
    rank = len(w.coarse)
    y = rng.standard_normal((w.batch, w.c_in, *w.coarse), dtype=np.float32)
    weight = rng.standard_normal((w.c_in, w.c_out // w.groups, *[w.kernel] * rank), dtype=np.float32)
    return y, weight, rng.standard_normal(w.c_out, dtype=np.float32)


def torch_call(w: Workload, threads: int, last: bool):
    """In the default layout or channels last."""
    import torch

    torch.set_num_threads(threads)
    rank = len(w.coarse)
    f = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    y, weight, bias = (torch.tensor(a) for a in arrays(w))
    if last:
        if rank == 1:
            return None
        memory = {"memory_format": torch.channels_last if rank == 2 else torch.channels_last_3d}
        y, weight = y.to(**memory), weight.to(**memory)
    options = {"stride": w.stride, "padding": w.padding, "output_padding": w.output_padding}

    def call():
        with torch.inference_mode():
            return f(y, weight, bias, groups=w.groups, **options)

    return call


def model(w: Workload, weight, bias):
    """The workload as an ONNX model."""
    from onnx import TensorProto, helper, numpy_helper

    rank = len(w.coarse)
    node = helper.make_node(
        "ConvTranspose",
        ["y", "w", "b"],
        ["x"],
        kernel_shape=[w.kernel] * rank,
        strides=[w.stride] * rank,
        pads=[w.padding] * (2 * rank),
        output_padding=[w.output_padding] * rank,
        group=w.groups,
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (w.batch, w.c_in, *w.coarse))],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "c", *"dhw"[:rank]])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    return made.SerializeToString()


def onnxruntime_call(w: Workload, threads: int):
    """With the weight packed beforehand, as it always is there."""
    import onnxruntime

    y, weight, bias = arrays(w)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model(w, weight, bias), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"y": y})


def openvino_call(w: Workload, threads: int):
    """With the weight packed beforehand, as it always is there."""
    import openvino

    y, weight, bias = arrays(w)
    core = openvino.Core()
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(model(w, weight, bias)), "CPU", config)
    request = compiled.create_infer_request()
    return lambda: request.infer({0: y})


def our_call(w: Workload, threads: int, tier: str, layout: str, packed: bool):
    """A fresh output every time; `packed`: the weight beforehand."""
    import driver

    from unsample.ops.conv import plan_conv_transpose

    y, weight, bias = arrays(w)
    options = {"stride": w.stride, "padding": w.padding, "output_padding": w.output_padding}
    plan = plan_conv_transpose(y.shape, weight.shape, groups=w.groups, **options)
    x = driver.empty(y.shape, np.float32, layout)
    x[...] = y
    out = driver.empty(plan.output_shape, np.float32, layout)
    made = driver.Call(plan.windows, x, weight, out, groups=w.groups, transposed=True, tier=tier, bias=bias)
    made.run(threads, 1)

    def call():
        made.arrays = (x, weight, bias, driver.empty(plan.output_shape, np.float32, layout))
        return made.run(threads, 2 if packed else 3)

    return call


def work(name: str, threads: int, tier: str) -> None:
    """Answer every line (a workload's number) with milliseconds: the median of calls for 60 ms."""
    calls = {}
    print("ready", flush=True)
    for line in sys.stdin:
        i = int(line)
        if i not in calls:
            w = WORKLOADS[i]
            if name in ("torch", "torch cl"):
                calls[i] = torch_call(w, threads, name == "torch cl")
            elif name == "onnxruntime":
                calls[i] = onnxruntime_call(w, threads)
            elif name == "openvino":
                calls[i] = openvino_call(w, threads)
            else:
                calls[i] = our_call(w, threads, tier, "last" if name == "last" else "first", name == "packed")
            for _ in range(2):
                if calls[i]:
                    calls[i]()
        if not calls[i]:
            print("nan", flush=True)
            continue
        clock = time.process_time if threads == 1 else time.perf_counter
        times, until = [], time.perf_counter() + 0.06
        calls[i]()
        while not times or time.perf_counter() < until:
            start = clock()
            calls[i]()
            times.append(clock() - start)
        print(np.median(times) * 1e3, flush=True)


def main() -> None:
    """Print a table of medians, and of ratios to the fastest peer of each workload."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tier", default="avx2")
    parser.add_argument("--other-python", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--work", default="")
    given = parser.parse_args()
    if given.work:
        work(given.work, given.threads, given.tier)
        return
    names = ["torch", "torch cl", "ours", "packed", "last"]
    if given.other_python:
        names[2:2] = ["onnxruntime", "openvino"]
    held = {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    workers = {}
    for name in names:
        other = name in ("onnxruntime", "openvino")
        command = [given.other_python if other else sys.executable, __file__, "--work", name]
        command += ["--threads", str(given.threads), "--tier", given.tier]
        workers[name] = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | (held if given.tier == "avx2" else {}),
        )
        workers[name].stdout.readline()
    peers = [name for name in names if name not in ("ours", "packed", "last")]
    print(
        f"{'ms':32s}" + "".join(f"{name[:8]:>9s}" for name in names) + "   ours:torch  ours:best  last:best"
    )
    ratios = []
    for i, w in enumerate(WORKLOADS):
        if given.only not in w.name:
            continue
        rounds = []
        for _ in range(given.rounds):
            row = []
            for worker in workers.values():
                worker.stdin.write(f"{i}\n")
                worker.stdin.flush()
                row.append(float(worker.stdout.readline()))
            rounds.append(dict(zip(names, row, strict=True)))
        table = {name: np.array([r[name] for r in rounds]) for name in names}
        best = np.nanmin([table[name] for name in peers], axis=0)
        row = [
            np.median(r) for r in (table["torch"] / table["ours"], best / table["ours"], best / table["last"])
        ]
        ratios.append(row)
        print(
            f"{w.name:32s}"
            + "".join(f"{np.median(t):9.2f}" for t in table.values())
            + "{:13.2f}{:11.2f}{:11.2f}".format(*row),
            flush=True,
        )
    print("geometric means" + " " * 55 + "{:.2f}   {:.2f}   {:.2f}".format(*np.exp(np.log(ratios).mean(0))))


if __name__ == "__main__":
    main()
