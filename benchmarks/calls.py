"""Small calls, in microseconds on one thread: what lies between a user's line and the kernel.

    python benchmarks/calls.py                   this package
    python benchmarks/calls.py --against DIR     and another, such as `pip install --target DIR` of a commit

The two are measured in turn, A B A B, call by call, each in a process of its own that sleeps while the other
measures: what else the machine does then meets both. The first ratio (other / this) is of the best times,
which a busy machine disturbs least, the second the median over the rounds. Alone on the machine, or neither
says much.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from installed import take_from


def calls() -> dict[str, Callable[[], Any]]:
    """Each by its name; those of tensors that want gradients are recorded."""
    import numpy as np
    import torch

    import unsample as us
    import unsample.torch as ut

    assert us.show_config().compiled
    us.set_num_threads(1)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(shape, np.float32) for shape in ((1, 1, 4, 4), (1, 1, 2, 2)))
    values, switches = us.max_pool(x, 2)
    t, tw, leaf = torch.tensor(x), torch.tensor(w), torch.tensor(x, requires_grad=True)
    pooled, remembered = ut.max_pool(t, 2)
    out, t_out = np.empty((1, 1, 8, 8), np.float32), torch.empty(1, 1, 8, 8)
    ours, theirs = (nn.ConvTranspose2d(1, 1, 2, stride=2) for nn in (ut, torch.nn))

    def untracked(call: Callable[[], Any]) -> Callable[[], Any]:
        return torch.no_grad()(call)

    return {
        "us.nearest": lambda: us.nearest(x, 2),
        "us.nearest out=": lambda: us.nearest(x, 2, out=out),
        "us.window_sum": lambda: us.window_sum(x, 2),
        "us.bed_of_nails": lambda: us.bed_of_nails(x, 2),
        "us.pixel_unshuffle": lambda: us.pixel_unshuffle(x, 2),
        "us.resize": lambda: us.resize(x, factor=2),
        "us.max_pool": lambda: us.max_pool(x, 2),
        "us.max_unpool": lambda: us.max_unpool(values, switches),
        "us.max_gather": lambda: us.max_gather(x, switches),
        "us.conv": lambda: us.conv(x, w, stride=2),
        "us.conv_transpose": lambda: us.conv_transpose(x, w, stride=2),
        "us.conv_weight_grad": lambda: us.conv_weight_grad(x, values, 2, stride=2),
        "us.nearest(tensor)": untracked(lambda: us.nearest(t, 2)),
        "us.max_pool(tensor)": untracked(lambda: us.max_pool(t, 2)),
        "us.conv_transpose(tensor)": untracked(lambda: us.conv_transpose(t, tw, stride=2)),
        "ut.nearest": untracked(lambda: ut.nearest(t, 2)),
        "ut.nearest out=": untracked(lambda: ut.nearest(t, 2, out=t_out)),
        "ut.max_pool": untracked(lambda: ut.max_pool(t, 2)),
        "ut.max_unpool": untracked(lambda: ut.max_unpool(pooled, remembered)),
        "ut.resize": untracked(lambda: ut.resize(t, factor=2)),
        "ut.conv": untracked(lambda: ut.conv(t, tw, stride=2)),
        "ut.conv_transpose": untracked(lambda: ut.conv_transpose(t, tw, stride=2)),
        "ut.ConvTranspose2d": untracked(lambda: ours(t)),
        "nn.ConvTranspose2d": untracked(lambda: theirs(t)),
        "recorded ut.nearest": lambda: ut.nearest(leaf, 2),
        "recorded ut.ConvTranspose2d": lambda: ours(t),
        "recorded nn.ConvTranspose2d": lambda: theirs(t),
        "backward ut.ConvTranspose2d": lambda: ours(t).sum().backward(),
        "backward nn.ConvTranspose2d": lambda: theirs(t).sum().backward(),
    }


def microseconds(call: Callable[[], Any]) -> float:
    """The best of five times 4 ms."""
    number, taken = 1, 0.0
    while taken < 0.004:
        number *= 2
        taken = _seconds(call, number)
    return 1e6 * min(_seconds(call, number) for _ in range(5)) / number


def _seconds(call: Callable[[], Any], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return time.perf_counter() - start


def answer(folder: str) -> None:
    """Print the names of the calls, then the microseconds of each that stdin names."""
    if folder:
        take_from(folder)
    known = calls()
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        print(microseconds(known[line.strip()]), flush=True)


class Package:
    """A process with one of the two packages, which measures when it is asked to and else sleeps."""

    def __init__(self, folder: str) -> None:
        command = [sys.executable, __file__, "--answer", folder]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.names: list[str] = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process that measures has ended")
        return line

    def measure(self, name: str) -> float:
        """Microseconds of a call."""
        assert self.process.stdin is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return float(self._line())


def main() -> None:
    """Measure, and print a line per call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", default="", help="a folder with another unsample")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer is not None:
        answer(options.answer)
        return
    this = Package("")
    other = Package(str(Path(options.against).resolve())) if options.against else None
    print(
        "microseconds on one thread"
        + (", and other / this: the best, the median, the range" if other else "")
    )
    for name in this.names:
        rounds = [(other.measure(name) if other else 0.0, this.measure(name)) for _ in range(options.rounds)]
        best = min(mine for _, mine in rounds)
        line = f"{name:28}{best:9.2f}"
        if other:
            ratios = [theirs / mine for theirs, mine in rounds]
            line += f"{min(theirs for theirs, _ in rounds) / best:8.2f}x{statistics.median(ratios):8.2f}x"
            line += f"   {min(ratios):.2f} to {max(ratios):.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
