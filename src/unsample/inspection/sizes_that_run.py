"""Which input sizes a model takes: found by running it, on shapes alone, over whole periods.

Every windowed step turns a size n into floor((n + a) / s) + b or n s + b. Adding the period P, the least
common multiple of all total factors, to the input adds a fixed whole number to every size inside, the same
to both branches of a skip connection: where sizes meet at n they meet at n + P, where not they never will.
Only a least size (a window that fits, a reflection that has something to reflect) can change the answer, and
only from no to yes. So sizes are tried from 1 up until a whole period has answered as the period before
it did; `exact` says that this happened within the limits, and that no step makes a size of its own.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from unsample.geometry.resample import Resample
from unsample.geometry.solve import ordinal
from unsample.geometry.window import Window
from unsample.inspection.analysis import Analysis
from unsample.inspection.vocabulary import Failure, Trace

Run = Callable[[dict[int, int]], "list[tuple[int, ...]] | Failure"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of some input axes with which a model runs.

    Parameters
    ----------
    axes : tuple of int
        Axes of the input that were varied together.
    sizes : tuple of int
        Those of 1 to `tried` with which it runs.
    whole : tuple of int
        Those of them from which a result of the same size comes back.
    tried : int
    period : int
        The answers repeat with it.
    exact : bool
        Whether two whole periods answered alike, and no step makes a size of its own.
    failures : tuple of (int, str, str)
        For the first sizes that fail: size, layer, sentence.
    apart : bool
        Whether the axes were varied one at a time, with the same answers.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    whole: tuple[int, ...]
    tried: int
    period: int
    exact: bool
    failures: tuple[tuple[int, str, str], ...] = ()
    apart: bool = False

    def works(self, size: int) -> bool | None:
        """Whether a size works; None beyond what was tried where the answers need not repeat."""
        if size <= self.tried:
            return size in self.sizes
        if not self.exact:
            return None
        return size - -(-(size - self.tried) // self.period) * self.period in self.sizes

    def nearest(self, size: int) -> tuple[int | None, int | None]:
        """The working sizes next to `size`, below and above."""
        below = max((n for n in self.sizes if n <= size), default=None)
        above = min((n for n in self.sizes if n > size), default=None)
        if self.exact:  # beyond what was tried the answers repeat
            span = max(self.period, self.tried)
            below = next((n for n in range(size, max(size - span, 0), -1) if self.works(n)), below)
            above = next((n for n in range(size + 1, size + span + 1) if self.works(n)), None)
        return below, above

    def rule(self, sizes: Sequence[int] | None = None) -> str:
        """The sizes in words.

        Examples
        --------
        >>> Sizes((2,), tuple(range(16, 65, 16)), (), 64, 16, True).rule()
        'every multiple of 16'
        >>> Sizes((2,), tuple(range(1, 65)), (), 64, 4, True).rule()
        'every size'
        """
        found = self.sizes if sizes is None else tuple(sizes)
        if not found:
            return "no size" if self.exact else f"none up to {self.tried}"
        gap = _gap(found, self.tried)
        beyond = "" if self.exact else f" up to {self.tried}"
        if gap is not None:
            first = found[0]
            if gap == 1:
                return (f"every size from {first}" if first > 1 else "every size") + beyond
            if first == gap:
                return f"every multiple of {gap}{beyond}"
            if first % gap == 0:
                return f"every multiple of {gap} from {first}{beyond}"
            return f"{first} and every {ordinal(gap)} after it{beyond}"
        shown = ", ".join(map(str, found[:6])) + (", ..." if len(found) > 6 else "")
        if not self.exact:
            return f"{shown}{beyond}"
        rests = sorted(
            {n % self.period for n in range(self.tried - self.period + 1, self.tried + 1) if n in found}
        )
        if not rests:
            return f"{shown} alone"
        if len(rests) > 6:
            return shown
        rest = " or ".join(map(str, rests))
        return f"n mod {self.period} = {rest} from {found[0]} on ({', '.join(map(str, found[:4]))}, ...)"


def _gap(found: Sequence[int], tried: int) -> int | None:
    gaps = {b - a for a, b in itertools.pairwise(found)}
    if len(found) > 1 and len(gaps) == 1:
        (gap,) = gaps
        return gap if found[-1] + gap > tried else None
    return None


def sizes_that_run(
    run: Run, trace: Trace, analysis: Analysis, *, limit: int = 512, seconds: float = 20.0
) -> tuple[Sizes, ...]:
    """The sizes of each group of axes that are treated alike; other axes stay as in the example.

    Parameters
    ----------
    run : callable
        Sizes of axes to the shapes that come out, or a Failure.
    trace, analysis
        Of the example.
    limit : int
        The largest size tried.
    seconds : float
        No further size is begun after this much work of the processor, for all groups together.
    """
    shape = next((trace.values[i].shape for i in trace.inputs if len(trace.values[i].shape) > 2), None)
    if shape is None:
        return ()
    axes = tuple(range(2, len(shape)))
    groups = [axes] if len(axes) == 1 or _alike(trace, len(axes)) else [(axis,) for axis in axes]
    if groups == [axes]:
        together = _sizes(run, axes, analysis, limit, seconds)
        if len(axes) == 1 or len(together.sizes) > 1 or (together.exact and not together.sizes):
            return (together,)
        groups = [(axis,) for axis in axes]  # one axis may be fixed and another not
    share = seconds / len(groups)
    found = tuple(_sizes(run, group, analysis, limit, share) for group in groups)
    alike = {replace(each, axes=(), failures=()) for each in found}
    if len(found) > 1 and len(alike) == 1:
        return (replace(found[0], axes=axes, apart=True),)
    return found


def _alike(trace: Trace, rank: int) -> bool:
    """Whether every step treats all axes alike, so that they may be varied together."""
    for op in trace.ops:
        rules = {
            (w.size, w.stride, w.dilation, w.before, w.after) if isinstance(w, Window) else None
            for w in op.windows
        }
        steps = {_ratio(r) for r in op.resamples}
        pads = op.details.get("pads", [])
        sides = {tuple(pads[i : i + 2]) for i in range(0, min(len(pads), 2 * rank), 2)}
        if len(rules) > 1 or len(steps) > 1 or len(sides) > 1 or (sides and len(pads) < 2 * rank):
            return False
        if op.kind == "slice" and op.details["dim"] >= 2 and op.details["step"] > 1:
            return False
    return True


def _ratio(axis: Resample) -> tuple[float, str, str]:
    return (axis.source / max(axis.target, 1), axis.method, axis.convention)


def _sizes(run: Run, axes: tuple[int, ...], analysis: Analysis, limit: int, seconds: float) -> Sizes:
    period = analysis.period
    works: dict[int, bool] = {}
    settled = False
    whole: list[int] = []
    failures: list[tuple[int, str, str]] = []
    # Of the processor: an answer must not depend on what else the machine does.
    stop, again, never, n = time.thread_time() + seconds, 0, 0, 0
    while n < limit and time.thread_time() < stop:
        n += 1
        found = run(dict.fromkeys(axes, n))
        works[n] = not isinstance(found, Failure)
        if isinstance(found, Failure):
            if len(failures) < 64:
                failures.append((n, found.layer, found.sentence))
        elif any(len(s) > max(axes) and all(s[axis] == n for axis in axes) for s in found):
            whole.append(n)
        # Branches that do not meet never will; another refusal may be that of a window that does not fit yet.
        never = never + 1 if isinstance(found, Failure) and found.merge else 0
        again = again + 1 if works.get(n - period) == works[n] else 0
        settled = again >= period and (any(works.values()) or never >= period)
        if settled:
            break
    exact = settled and not analysis.fixed
    return Sizes(
        axes, tuple(n for n, w in works.items() if w), tuple(whole), n, period, exact, tuple(failures)
    )
