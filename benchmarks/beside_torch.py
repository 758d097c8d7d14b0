"""Every workload where its users are: between operators of torch, in torch's process.

    python benchmarks/beside_torch.py [--rounds N] [--only PART] [--write]

Before each timed call torch computes a convolution, after which its threads spin. A round times torch's call
and ours once each, in turn (A B A B), in both memory formats; the faster formats of both are compared. "own
threads" is ours on a pool beside torch's threads, as NumPy arrays have it, "one thread" what its name says.
Ratios are torch's time over ours, medians over the rounds. Alone on the machine, or they say nothing.
"""

import argparse
import csv
import math
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peers import Maps, torch_eager
from torch.nn import functional as F
from tqdm import tqdm
from workloads import MOVES, TRANSPOSED, Move

import unsample as us
import unsample.torch as ut
from unsample.native.module import kernels
from unsample.torch import direct

RESULTS = Path(__file__).parent / "results" / "beside_torch.csv"
HEADER = ("workload", "threads", "ours_ms", "torch_ms", "ratio", "p25", "p75", "own_threads", "one_thread")
FORMATS = ("nchw", "channels_last")
Call = Callable[[], Any]


def ours(work: Any, layout: str) -> Call | None:
    """Our call on tensors, in inference mode as torch's is."""
    if isinstance(work, Move):
        call = _our_move(work) if layout == "nchw" else None
    elif layout == "channels_last" and work.rank == 1:
        call = None  # torch has no such format
    else:
        x, w, _ = (torch.from_numpy(each) for each in work.arrays())
        if layout == "channels_last":
            kind = torch.channels_last if work.rank == 2 else torch.channels_last_3d
            x = x.to(memory_format=kind)
        call = lambda: ut.conv_transpose(x, w, **work.options)  # noqa: E731
    return None if call is None else torch.inference_mode()(call)


def _our_move(work: Move) -> Call:
    maps, window = Maps(work), work.window
    pool = {"stride": 2, "padding": maps.padding}
    if work.operation in ("max_pool", "max_unpool"):
        large = torch.from_numpy(maps.large)
        if work.operation == "max_pool":
            return lambda: ut.max_pool(large, window, **pool)
        pooled = ut.max_pool(large, window, **pool)
        return lambda: ut.max_unpool(*pooled)
    small, function = torch.from_numpy(maps.small), getattr(ut, work.operation)
    factor = window if work.operation == "pixel_shuffle" else (window,) * (len(work.shape) - 2)
    return lambda: function(small, factor)


def measured(work: Any, rounds: int, company: Call) -> dict[str, list[float]]:
    """Seconds of every way to do the work, round by round."""
    start = direct.start_of_team()

    def on_pool(call: Call) -> Call:
        def run() -> None:
            kernels.set_team(0)
            call()
            kernels.set_team(start)

        return run

    def on_one_thread(call: Call) -> Call:
        return us.threads(1)(call)

    ways: dict[str, Call] = {}
    for layout in FORMATS:
        theirs, own = torch_eager("move", work, layout), ours(work, layout)
        if theirs is not None:
            ways[f"torch {layout}"] = theirs[0]
        if own is not None:
            ways |= {
                f"ours {layout}": own,
                f"pool {layout}": on_pool(own),
                f"one {layout}": on_one_thread(own),
            }
    found = defaultdict(list)
    for each in range(rounds + 1):
        for name, call in ways.items():
            company()
            begin = time.perf_counter()
            call()
            if each:  # the first one warms up
                found[name].append(time.perf_counter() - begin)
    return found


def row_of(work: Any, found: dict[str, list[float]], threads: int) -> dict[str, Any]:
    """A line of the table."""

    def best(who: str) -> list[float]:
        return min((found[key] for key in found if key.startswith(who)), key=statistics.median)

    mine, theirs = best("ours"), best("torch")
    ratios = sorted(b / a for a, b in zip(mine, theirs, strict=True))
    quarter = len(ratios) // 4
    return {
        "workload": work.name,
        "threads": threads,
        "ours_ms": 1e3 * statistics.median(mine),
        "torch_ms": 1e3 * statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "p25": ratios[quarter],
        "p75": ratios[-1 - quarter],
        **{
            name: statistics.median(b / a for a, b in zip(best(who), theirs, strict=True))
            for name, who in (("own_threads", "pool"), ("one_thread", "one"))
        },
    }


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="workloads whose name has this in it")
    parser.add_argument("--write", action="store_true", help=f"to results/{RESULTS.name}")
    asked = parser.parse_args()
    threads = torch.get_num_threads()
    x, w = torch.randn(1, 64, 64, 64), torch.randn(64, 64, 3, 3)
    works = [work for work in (*TRANSPOSED, *MOVES) if asked.only in work.name]
    print(f"{threads} threads, load {os.getloadavg()[0]:.1f} before", flush=True)
    rows = []
    for work in tqdm(works, disable=None):
        rows.append(row_of(work, measured(work, asked.rounds, lambda: F.conv2d(x, w)), threads))
    heads = f"{'ours ms':>9}{'torch ms':>9}{'ratio':>7}{'':>15}{'own threads':>12}{'one thread':>12}"
    print(f"{'workload':<34}{heads}")
    for row in rows:
        print(
            f"{row['workload']:<34}{row['ours_ms']:9.3f}{row['torch_ms']:9.3f}{row['ratio']:7.2f}"
            f"  ({row['p25']:.2f}–{row['p75']:.2f}){row['own_threads']:12.2f}{row['one_thread']:12.2f}"
        )
    for name, group in (("transposed convolutions", TRANSPOSED), ("moves", MOVES)):
        kinds = {work.name for work in group}
        mine = [row for row in rows if row["workload"] in kinds]
        if mine:
            means = {
                key: math.exp(statistics.fmean(math.log(row[key]) for row in mine))
                for key in ("ratio", "own_threads", "one_thread")
            }
            print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in means.items()))
    if asked.write:
        with RESULTS.open("w", newline="") as file:
            writer = csv.DictWriter(file, HEADER)
            writer.writeheader()
            writer.writerows(
                {key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in rows
            )


if __name__ == "__main__":
    main()
