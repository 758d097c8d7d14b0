"""Measure every workload with every library, in turn, and write results.csv: `make bench`."""

import argparse
import csv
import json
import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import report
from peers import PEERS
from tqdm import tqdm
from workloads import MOVES, QUICK, QUICK_MOVES, SCALING, SMALLEST, TRANSPOSED, Move

HERE = Path(__file__).parent
LARGEST_CHECKED = 10**8
PATIENCE = 60.0  # seconds for one answer; XLA compiles some grouped convolutions for tens of minutes
HEADER = (
    *("suite", "workload", "dtype", "layout", "threads", "peer", "version", "ms_median", "ms_p10", "ms_p90"),
    *("gflops", "gbytes_s", "fraction_of_limit", "peak_rss_mb", "ratio_vs_ours"),
)


@dataclass
class Worker:
    """A library in a process of its own, stopped unless it is asked something."""

    peer: str
    threads: int
    command: list[str] | None = None
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin a process, and stop it."""
        own = [sys.executable, str(HERE / "worker.py"), self.peer, str(self.threads)]
        command = self.command or own
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, **what: Any) -> dict[str, Any]:
        """One request and its answer; nobody else runs meanwhile."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.process.kill()
        line = self.process.stdout.readline()
        if not line:
            ended = self.process.wait()
            self.start()
            return {"error": f"ended with {ended}, or was stopped after {PATIENCE:.0f} s"}
        self.process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Let it go."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait()


def limits(threads: int) -> tuple[float, float]:
    """GFLOP/s and GB/s of this machine on so many threads."""
    with tempfile.TemporaryDirectory() as place:
        program = f"{place}/limits"
        flags = ["-O3", "-march=native", "-pthread"]
        subprocess.run(["g++", *flags, str(HERE / "limits.cpp"), "-o", program], check=True)
        ask = [program, str(threads)]
        done = [subprocess.run(ask, capture_output=True, text=True, check=True).stdout for _ in range(5)]
    # The best of several: one run measured two thirds of another.
    gflops, gbytes = (max(map(float, each)) for each in zip(*map(str.split, done), strict=True))
    return gflops, gbytes


def check(suite: str, work: Any, found: Path, truth: np.ndarray | None) -> np.ndarray:
    """That a result is right, before its time counts: the truth, if it was not known yet."""
    y = np.load(found).astype(np.float64)
    if isinstance(work, Move):  # moved, not computed: the first peer's result is every peer's, bit for bit
        if truth is None:
            return y
        np.testing.assert_array_equal(y, truth, err_msg=f"{suite} {work.name}")
        return truth
    assert truth is not None
    exact, absolute = truth
    terms = max(work.c_in // work.groups * work.kernel**work.rank, work.batch * int(np.prod(work.coarse)), 1)
    bound = terms * np.finfo(np.float32).eps * absolute.reshape(y.shape)
    wrong = np.abs(y - exact.reshape(y.shape)) > bound
    if wrong.any():
        raise AssertionError(f"{suite} {work.name}: {wrong.sum()} elements are outside the bound")
    return truth


def measure(
    suite: str, work: Any, entries: list[tuple[Worker, str]], rounds: int, limit: tuple[float, float]
) -> list[dict[str, Any]]:
    """The rows of one workload: checked, then timed in turn."""
    ready: list[tuple[Worker, str, str]] = []
    truth: np.ndarray | None = None
    for worker, layout in entries:
        answer = worker.ask(do="prepare", suite=suite, workload=work.name, layout=layout)
        if "error" in answer:
            tqdm.write(f"  {worker.peer} refuses {work.name}: {answer['error']}", file=sys.stderr)
        if not answer.get("ready"):
            continue
        if isinstance(work, Move) and prod(work.shape) > LARGEST_CHECKED:
            ready.append((worker, layout, answer["version"]))
            continue
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "result.npy"
            if (failed := worker.ask(do="save", layout=layout, path=str(path)).get("error")) is not None:
                tqdm.write(f"  {worker.peer} fails {work.name}: {failed}", file=sys.stderr)
                continue
            if worker.peer == "reference":
                truth = np.load(path)
                continue
            try:
                truth = check(suite, work, path, truth)
            except AssertionError as wrong:
                tqdm.write(f"  {worker.peer} is WRONG and left out: {str(wrong)[:300]}", file=sys.stderr)
                continue
        ready.append((worker, layout, answer["version"]))
    times = np.empty((len(ready), rounds))
    for turn in range(-1, rounds):  # the first round warms up
        for number, (worker, layout, _) in enumerate(ready):
            answer = worker.ask(do="time", layout=layout, seconds=0.03)
            if "error" in answer:
                raise RuntimeError(f"{worker.peer} {work.name}: {answer['error']}")
            if turn >= 0:
                times[number, turn] = answer["ms"]
    mine = [
        i for i, (worker, layout, _) in enumerate(ready) if worker.peer == "unsample" and layout == "nchw"
    ]
    rows = []
    triple = 3 if suite == "training step" else 1
    for number, (worker, layout, release) in enumerate(ready):
        ms = times[number]
        median = float(np.median(ms))
        flops = 2 * triple * getattr(work, "multiply_adds", 0)
        bound_ms = max(flops / limit[0] / 1e6, triple * work.traffic / limit[1] / 1e6)
        rows.append(
            {
                "suite": suite,
                "workload": work.name,
                "dtype": "float32",
                "layout": layout,
                "threads": worker.threads,
                "peer": worker.peer,
                "version": release,
                "ms_median": f"{median:.4f}",
                "ms_p10": f"{np.percentile(ms, 10):.4f}",
                "ms_p90": f"{np.percentile(ms, 90):.4f}",
                "gflops": f"{flops / median / 1e6:.1f}",
                "gbytes_s": f"{triple * work.traffic / median / 1e6:.2f}",
                "fraction_of_limit": f"{bound_ms / median:.3f}",
                "peak_rss_mb": f"{memory(worker, suite, layout):.1f}",
                "ratio_vs_ours": f"{np.median(ms / times[mine[0]]):.3f}" if mine else "",
            }
        )
    return rows


def memory(worker: Worker, suite: str, layout: str) -> float:
    """Megabytes: of one call beyond inputs and output with `out`, of the whole process otherwise."""
    if suite.endswith("out="):
        return float(worker.ask(do="scratch", layout=layout)["extra_mb"])
    return float(worker.ask(do="memory")["peak_mb"])


def import_times(rounds: int) -> list[dict[str, Any]]:
    """How long a new process takes to import, less what an empty one takes."""
    commands = {"unsample": "import unsample", "numpy": "import numpy", "torch": "import torch", "": "pass"}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, code in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times[name].append(1e3 * (time.perf_counter() - start))
    empty = np.array(times.pop("")[1:])
    rows = []
    for name, found in times.items():
        ms = np.array(found[1:]) - empty
        rows.append(
            dict.fromkeys(HEADER, "")
            | {
                "suite": "import time",
                "workload": f"import {name}",
                "threads": 1,
                "peer": name,
                "version": version(name),
                "ms_median": f"{np.median(ms):.1f}",
                "ms_p10": f"{np.percentile(ms, 10):.1f}",
                "ms_p90": f"{np.percentile(ms, 90):.1f}",
            }
        )
    return rows


def machine() -> dict[str, Any]:
    """What was measured on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    import unsample

    return {
        "processor": model,
        "tier": unsample.show_config().tier,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def main() -> None:
    """Read the options, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part, in under 2 minutes, to results/quick")
    parser.add_argument("--only", default="", help="workloads whose name holds this")
    parser.add_argument("--suite", default="", help="this suite alone")
    parser.add_argument("--rounds", type=int, default=0, help="7, or 5 with --quick")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--peers", default="", help="separated by commas; all unless given")
    parser.add_argument("--against", default="", help="a folder with another unsample, measured in turn")
    options = parser.parse_args()
    out = HERE / "results" / ("quick" if options.quick else "")
    out.mkdir(parents=True, exist_ok=True)
    rounds = options.rounds or (5 if options.quick else 7)
    asked = options.peers.split(",") if options.peers else list(PEERS)
    if options.quick and not options.peers:
        asked = ["unsample", "torch", "onnxruntime", "reference"]
    peers = ["reference", *(name for name in PEERS if name in asked and name != "reference")]
    limit = limits(options.threads)
    print(f"limits on {options.threads} threads: {limit[0]:.0f} GFLOP/s, {limit[1]:.1f} GB/s", flush=True)
    jobs: list[tuple[str, Any]] = [
        (suite, work)
        for suite in ("conv_transpose", "conv_transpose out=", "training step")
        for work in TRANSPOSED
        if not options.quick or work.name in QUICK
    ]
    jobs += [
        (suite, work)
        for suite in ("move", "move out=")
        for work in MOVES
        if not options.quick or work.name in QUICK_MOVES
    ]
    if not options.quick:
        jobs += [("scaling", work) for work in SCALING]
    jobs += [("call overhead", work) for work in SMALLEST]
    jobs = [job for job in jobs if options.only in job[1].name and options.suite in (job[0], "")]
    workers = {peer: Worker(peer, options.threads) for peer in peers}
    if options.against:
        other = [sys.executable, str(HERE / "worker.py"), "unsample", str(options.threads)]
        workers[report.OTHER] = Worker(
            report.OTHER, options.threads, [*other, str(Path(options.against).resolve())]
        )
    rows = import_times(rounds) if options.suite in "import time" and not options.only else []
    try:
        for suite, work in tqdm(jobs, disable=None, unit="workload"):
            moved = isinstance(work, Move)
            small = suite in ("call overhead", "scaling")
            entries = [
                (workers[peer], layout)
                for peer in workers
                for layout in PEERS[peer.partition(" ")[0]][1]
                if not (moved and peer == "reference") and not (small and layout != "nchw")
            ]
            rows += measure(suite, work, entries, rounds, limit)
    finally:
        for worker in workers.values():
            worker.end()
        with open(out / "results.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, HEADER, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        about = machine() | {"threads": options.threads, "gflops": limit[0], "gbytes_s": limit[1]}
        (out / "machine.json").write_text(json.dumps(about, indent=2) + "\n")
    print(report.write(out))


if __name__ == "__main__":
    main()
