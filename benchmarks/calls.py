"""Small calls, in microseconds on one thread: what lies between a user's line and the kernel.

    python benchmarks/calls.py                   this package
    python benchmarks/calls.py --against DIR     and another, such as `pip install --target DIR` of a commit

The two are measured in turn, A B A B, each round in a process of its own; the ratio is the median over the
rounds of (other / this), with its smallest and largest. Alone on the machine, or the ratios say nothing.
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
    """The best of seven times 10 ms."""
    number, taken = 1, 0.0
    while taken < 0.01:
        number *= 2
        taken = _seconds(call, number)
    return 1e6 * min(_seconds(call, number) for _ in range(7)) / number


def _seconds(call: Callable[[], Any], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return time.perf_counter() - start


def measure(folder: str) -> None:
    """Print the microseconds of every call as JSON, of the package in `folder` where one is given."""
    if folder:
        # An editable install finds its package before any folder.
        sys.meta_path[:] = [each for each in sys.meta_path if "ScikitBuild" not in type(each).__name__]
        sys.path.insert(0, folder)
        import unsample

        assert Path(unsample.__file__).is_relative_to(folder), unsample.__file__
    print(json.dumps({name: microseconds(call) for name, call in calls().items()}))


def run(folder: str) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", folder]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    """Measure, and print a line per call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", default="", help="a folder with another unsample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure)
        return
    against = str(Path(options.against).resolve()) if options.against else ""
    rounds = [(run(against) if against else None, run("")) for _ in range(options.rounds)]
    print("microseconds on one thread" + (", and other / this" if against else ""))
    for name in rounds[0][1]:
        line = f"{name:28}{statistics.median(this[name] for _, this in rounds):9.2f}"
        ratios = [other[name] / this[name] for other, this in rounds if other]
        if ratios:
            line += f"{statistics.median(ratios):8.2f}x   {min(ratios):.2f} to {max(ratios):.2f}"
        print(line)


if __name__ == "__main__":
    main()
