"""Whole networks before and after `accelerate`, measured in turn: `make bench-models`.

One process per side, `torch` and `unsample`; only the one that is timed runs. Writes results/models.csv and
models.md.
"""

import argparse
import csv
import json
import os
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SIDES = ("torch", "unsample")
SECONDS = 0.2  # of a round of one side; at least one call
HEADER = (
    *("model", "input", "step", "threads", "torch", "layers", "swapped"),
    *("ms_torch", "ms_unsample", "ratio", "ratio_p10", "ratio_p90", "difference"),
)


def work(side: str, threads: int) -> None:
    """One side: read requests from stdin, answer with a JSON line each, until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    warnings.simplefilter("ignore")
    import torch
    from models import NETWORKS

    import unsample.torch as ut

    torch.set_num_threads(threads)
    networks = {network.name: network for network in NETWORKS}
    call: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if asked["do"] == "prepare":
                call = None
                model, x = networks[asked["model"]].made()
                training = asked["step"] == "training step"
                model.train(training)
                if side == "unsample":
                    report = ut.accelerate(model, x, training=training)
                    answer = {"layers": len(report.layers), "swapped": len(report.swapped)}
                    answer |= {"difference": report.difference, "report": repr(report)}
                call = step(model, x, training)
                call()
            elif asked["do"] == "time":
                answer = {"ms": timed(call)}
        except Exception as error:  # one network that fails is a line, not the end
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def step(model: Any, x: Any, training: bool) -> Any:
    """What is timed: forward without gradients, or forward, loss, backward and a step of SGD."""
    import torch

    if not training:

        def forward() -> None:
            with torch.no_grad():
                model(x)

        return forward
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

    def train() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    return train


def timed(call: Any) -> float:
    """Median milliseconds of the calls that fit."""
    found: list[float] = []
    end = time.perf_counter() + SECONDS
    while not found or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - start))
    return float(np.median(found))


def measure(network: Any, kind: str, workers: dict[str, Any], rounds: int) -> dict[str, Any] | None:
    """A row: both sides prepared, then timed in turn."""
    import torch
    from tqdm import tqdm

    prepared = {}
    for side, worker in workers.items():
        prepared[side] = worker.ask(do="prepare", model=network.name, step=kind)
        if "error" in prepared[side]:
            tqdm.write(f"  {network.name}, {kind}, {side}: {prepared[side]['error']}", file=sys.stderr)
            return None
    times = np.empty((rounds, len(SIDES)))
    for turn in range(-1, rounds):  # the first warms up
        for number, side in enumerate(SIDES):
            answer = workers[side].ask(do="time")
            if turn >= 0:
                times[turn, number] = answer["ms"]
    ratios = times[:, 0] / times[:, 1]
    ours = prepared["unsample"]
    tqdm.write(f"{network.name}, {kind}\n{ours['report']}\n", file=sys.stderr)
    ms = np.median(times, axis=0)
    return dict.fromkeys(HEADER, "") | {
        "model": network.name,
        "input": "x".join(map(str, network.shape)),
        "step": kind,
        "threads": workers["torch"].threads,
        "torch": torch.__version__.partition("+")[0],
        "layers": ours["layers"],
        "swapped": ours["swapped"],
        "ms_torch": f"{ms[0]:.2f}",
        "ms_unsample": f"{ms[1]:.2f}",
        "ratio": f"{np.median(ratios):.3f}",
        "ratio_p10": f"{np.percentile(ratios, 10):.3f}",
        "ratio_p90": f"{np.percentile(ratios, 90):.3f}",
        "difference": "" if ours["difference"] is None else f"{ours['difference']:.1e}",
    }


def table(rows: list[dict[str, Any]], about: str) -> str:
    """The page: one line per network, forward and training beside each other."""
    lines = [
        "# Whole models",
        "",
        f"Before and after `unsample.torch.accelerate`: {about}. Milliseconds, medians; the ratio is the "
        "median over the rounds of (torch / unsample), with its 10th and 90th percentile. Where nothing was "
        "swapped both sides run the same layers in two processes: what differs then is noise, and counts as "
        "1 in the mean. Made by `make bench-models`.",
        "",
        "| model | input | step | layers swapped | torch | unsample | ratio |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for row in rows:
        spread = f"{float(row['ratio']):.2f}× ({float(row['ratio_p10']):.2f}–{float(row['ratio_p90']):.2f})"
        lines.append(
            f"| {row['model']} | {row['input'].replace('x', '×')} | {row['step']} "
            f"| {row['swapped']} of {row['layers']} "
            f"| {float(row['ms_torch']):.3g} | {float(row['ms_unsample']):.3g} | {spread} |"
        )
    for kind in dict.fromkeys(row["step"] for row in rows):
        found = [float(row["ratio"]) if int(row["swapped"]) else 1 for row in rows if row["step"] == kind]
        lines.append(f"| geometric mean | | {kind} | | | | {np.exp(np.mean(np.log(found))):.2f}× |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the options, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="models whose name holds this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.threads)
        return
    from models import NETWORKS
    from run import Worker, machine
    from tqdm import tqdm

    script = [str(HERE / "whole_models.py"), "--threads", str(options.threads), "--worker"]
    workers = {side: Worker(side, options.threads, [sys.executable, *script, side]) for side in SIDES}
    networks = [network for network in NETWORKS if options.only in network.name]
    jobs = [(network, kind) for network in networks for kind in ("forward", "training step")]
    rows: list[dict[str, Any]] = []
    try:
        for network, kind in tqdm(jobs, disable=None, unit="model"):
            row = measure(network, kind, workers, options.rounds)
            rows += [row] if row else []
    finally:
        for worker in workers.values():
            worker.end()
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "models.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    about = f"{machine()['processor'] or platform.machine()}, {options.threads} threads, float32"
    text = table(rows, about)
    (options.out / "models.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
