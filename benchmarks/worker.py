"""One library on one number of threads: reads requests on stdin, answers on stdout, a JSON line each.

    python benchmarks/worker.py PEER THREADS [FOLDER with another unsample]

{"do": "prepare", "suite", "workload", "layout"} -> {"ready": bool, "version"}
{"do": "save", "layout", "path"} -> {}          the result as an .npy file
{"do": "time", "layout", "seconds"} -> {"ms"}   median of the calls that fit
{"do": "memory"} -> {"peak_mb"}
{"do": "scratch", "layout"} -> {"extra_mb"}     of resident memory that one call needs beyond what there was

The layouts of a workload are kept beside each other; another workload replaces them all.
"""

import inspect
import json
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PEER, THREADS, *FOLDER = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "UNSAMPLE_NUM_THREADS"):
    os.environ[name] = str(THREADS)
if THREADS == 1 and PEER == "jax":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])

if FOLDER:
    from installed import take_from

    take_from(FOLDER[0])

from peers import PEERS  # noqa: E402 - the threads are settled first
from workloads import MOVES, SCALING, SMALLEST, TRANSPOSED  # noqa: E402

WORKS: dict[str, Any] = {work.name: work for work in (*TRANSPOSED, *MOVES, *SCALING, *SMALLEST)}


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    prepared: dict[str, Any] = {}  # by layout: what to call, and what gives the result as an array
    current = None
    for line in sys.stdin:
        asked = json.loads(line)
        answer: dict[str, Any] = {}
        layout = asked.get("layout")
        try:
            if asked["do"] == "prepare":
                function = PEERS[PEER][0]
                if current != (current := (asked["suite"], asked["workload"])):
                    prepared.clear()  # free the last workload first
                arguments = [asked["suite"], WORKS[asked["workload"]], layout]
                if "threads" in inspect.signature(function).parameters:
                    arguments.append(THREADS)
                found = function(*arguments)
                if found is not None:
                    prepared[layout] = found
                    found[0]()
                package = {"torch.compile": "torch", "reference": "torch"}.get(PEER, PEER)
                answer = {"ready": found is not None, "version": version(package)}
            elif asked["do"] == "save":
                np.save(asked["path"], prepared[layout][1]())
            elif asked["do"] == "time":
                answer = {"ms": 1e3 * timed(prepared[layout][0], asked["seconds"])}
            elif asked["do"] == "memory":
                answer = {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
            elif asked["do"] == "scratch":
                before = status("VmRSS")
                Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
                prepared[layout][0]()
                answer = {"extra_mb": status("VmHWM") - before}
        except Exception as error:  # a library that refuses is a row, not the end
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def status(name: str) -> float:
    """A line of /proc/self/status, in megabytes."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(name)]
    return int(line.split()[1]) / 1024


def timed(call: Any, seconds: float) -> float:
    """Median seconds of the calls that fit into `seconds`; three at least, unless they take a second."""
    found: list[float] = []
    begin = time.perf_counter()
    while (taken := time.perf_counter() - begin) < seconds or (len(found) < 3 and taken < 1):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


if __name__ == "__main__":
    main()
