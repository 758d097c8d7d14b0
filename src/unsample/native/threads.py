"""How many threads the compiled kernels use, and who decides.

In this order: `with unsample.threads(n)`, on the thread that says it; `set_num_threads`;
UNSAMPLE_NUM_THREADS; OMP_NUM_THREADS; the CPUs that affinity and the control group leave to this process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

from unsample.geometry.arguments import integer
from unsample.native.module import kernels

LARGEST = 1024


def num_threads_wanted(environment: Any) -> int:
    """What the environment variables ask for; 0 where they ask for nothing.

    Examples
    --------
    >>> num_threads_wanted({"OMP_NUM_THREADS": "4,2"})
    4
    """
    ours = environment.get("UNSAMPLE_NUM_THREADS", "").strip()
    if ours:
        count = decimal(ours)
        if not count:
            raise ValueError(f"unsample: UNSAMPLE_NUM_THREADS must be a positive integer, got {ours!r}")
        return min(count, LARGEST)
    theirs = environment.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # one per nesting level
    return min(decimal(theirs) or 0, LARGEST)


def decimal(text: str) -> int | None:
    """The number that `text` is, at most 2**63 - 1; None where it is none."""
    if not text.isdecimal():
        return None
    return min(int(text), 2**63 - 1) if len(text) < 1000 else 2**63 - 1  # Python reads 4300 digits


def quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """CPUs that the control group grants, rounded up; None where it sets no limit."""
    limits = []
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
        for _, controllers, path in groups:
            if controllers and "cpu" not in controllers.split(","):
                continue
            base = root / controllers if controllers else root
            here = base / path.lstrip("/")
            for folder in (here, *here.parents):
                limits.append(_limit(folder))
                if folder == base:
                    break
        found = [limit for limit in limits if limit]
        return min(max(1, ceil(min(found))), LARGEST) if found else None
    except (OSError, ValueError, ArithmeticError):  # unreadable, or numbers that no kernel writes
        return None


def _limit(folder: Path) -> float | None:
    try:
        granted, period = (folder / "cpu.max").read_text().split()  # version 2
    except OSError:
        try:
            granted = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if granted in ("max", "-1") else int(granted) / int(period)


def get_num_threads() -> int:
    """Threads that a large call made here uses.

    Examples
    --------
    >>> import unsample as us
    >>> with us.threads(3):
    ...     us.get_num_threads() if us.show_config().compiled else 3
    3
    """
    return 1 if kernels is None else int(kernels.threads())


def set_num_threads(n: int) -> None:
    """Use up to `n` threads from now on, in every thread of this process.

    Raises
    ------
    ShapeError, TypeError
        Where `n` is no positive integer.
    """
    count = min(integer("set_num_threads", "n", n, minimum=1), LARGEST)
    if kernels is not None:
        kernels.set_threads(count)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Use up to `n` threads for the calls that this thread makes meanwhile.

    Raises
    ------
    ShapeError, TypeError
        Where `n` is no positive integer.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> with us.threads(1):
    ...     us.nearest(np.array([1, 2]), (2,))
    array([1, 1, 2, 2])
    """
    count = min(integer("threads", "n", n, minimum=1), LARGEST)
    if kernels is None:
        yield
        return
    before = kernels.set_threads_here(count)
    try:
        yield
    finally:
        kernels.set_threads_here(before)


def start() -> None:
    """What the environment says, told to the kernels."""
    kernels.set_threads(num_threads_wanted(os.environ))
    granted = quota()
    if granted is not None:
        kernels.set_quota(granted)
