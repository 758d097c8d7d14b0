"""Runs one workload over and over: `perf record .venv/bin/python benchmarks/loop.py "HiFi-GAN k4"`."""

import argparse
import os
import statistics
import time


def main() -> None:
    """Read the options, run, print the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a part of the workload's name; the first that has it")
    parser.add_argument("--suite", default="", help="such as 'training step' or 'move out='")
    parser.add_argument("--peer", default="unsample")
    parser.add_argument("--layout", default="nchw", choices=["nchw", "channels_last"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["UNSAMPLE_NUM_THREADS"] = str(options.threads)
    from peers import PEERS  # the threads are settled first
    from workloads import MOVES, SCALING, TRANSPOSED, Transposed

    work = next((w for w in (*TRANSPOSED, *MOVES, *SCALING) if options.name in w.name), None)
    if work is None:
        parser.error(f"no workload has {options.name!r} in its name")
    suite = options.suite or ("conv_transpose" if isinstance(work, Transposed) else "move")
    found = PEERS[options.peer][0](suite, work, options.layout)
    if found is None:
        parser.error(f"{options.peer} has no {suite} of {work.name} in {options.layout}")
    call, times = found[0], []
    call()
    until = time.perf_counter() + options.seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    median = 1e3 * statistics.median(times)
    print(
        f"{work.name}  {suite}  {options.peer}  {options.layout}  {options.threads} threads  {median:.3f} ms"
    )


if __name__ == "__main__":
    main()
