"""Which input sizes a model takes: found by running it, on shapes alone, over whole periods.

Every windowed step turns a size n into floor((n + a) / s) + b or n s + b. Adding the period P, the least
common multiple of all total factors, to the input adds a fixed whole number to every size inside, the same
to both branches of a skip connection: where sizes meet at n they meet at n + P, where not they never will.
A branch with a size of its own (a parameter, another input) is met by sizes of one period at most. What it
is compared with grows, so once it has been passed it is never met again: `Failure.gap` is looked at for that.
Only a least size (a window that fits, a reflection that has something to reflect) can change another answer,
and only from no to yes.

That is said of steps. A model may ask itself how large its input is (`if h % 32: x = F.pad(x, ...)`), and do
other things. So what it calls is compared as well, and at the end with some sizes far away; where it differs,
nothing is said of sizes that were not tried.

So sizes are tried from that of the example up until a whole period has answered as the period before it did,
and then from 1 up until the answers are those. Where the sizes next to the example repeat already, what lies
between is known with that. `exact` says that all this happened within the limits, and that no step makes a
size of its own.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unsample.geometry.resample import Resample
from unsample.geometry.solve import ordinal
from unsample.geometry.window import Window
from unsample.inspection.analysis import Analysis
from unsample.inspection.vocabulary import Failure, Ran, Trace

Run = Callable[[dict[int, int]], Ran | Failure]
FAR = tuple(n for m in (32, 128, 512, 2048) for n in (m, m + 1))  # multiples of much, and of nothing


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of some input axes with which a model runs.

    Parameters
    ----------
    axes : tuple of int
        Axes of the input that were varied together.
    sizes : tuple of int
        Those up to `tried` with which it runs.
    whole : tuple of int
        Those of them from which a result of the same size comes back.
    tried : int
        The largest size tried.
    period : int
        The answers repeat with it.
    exact : bool
        Whether two whole periods answered alike, and no step makes a size of its own.
    failures : tuple of (int, str, str)
        For the first sizes that fail: size, layer, sentence.
    apart : bool
        Whether the axes were varied one at a time, with the same answers.
    spans : tuple of (int, int)
        The first and last of the sizes tried, from the smallest on; nothing for 1 to `tried`.
    fixed : bool
        Whether the file has one size alone, so that no other was tried.
    unlike : tuple of int
        Two sizes, whole periods apart, at which the model does not do the same; nothing where there are none.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    whole: tuple[int, ...]
    tried: int
    period: int
    exact: bool
    failures: tuple[tuple[int, str, str], ...] = ()
    apart: bool = False
    spans: tuple[tuple[int, int], ...] = ()
    fixed: bool = False
    unlike: tuple[int, ...] = ()

    def works(self, size: int) -> bool | None:
        """Whether a size works; None for one that was not tried where the answers need not repeat."""
        if self.fixed:
            return size in self.sizes
        if any(low <= size <= high for low, high in self.spans or ((0, self.tried),)):
            return size in self.sizes
        if not self.exact:
            return None
        if size <= self.tried:  # between two spans
            return size in self.sizes
        return size - -(-(size - self.tried) // self.period) * self.period in self.sizes

    def nearest(self, size: int) -> tuple[int | None, int | None]:
        """The working sizes next to `size`, below and above."""
        below = max((n for n in self.sizes if n <= size), default=None)
        above = min((n for n in self.sizes if n > size), default=None)
        if self.exact and not self.fixed:  # beyond what was tried the answers repeat
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
        if self.fixed and found:
            return f"{found[0]} alone"
        if not found:
            return "no size" if self.exact else f"none up to {self.tried}"
        gap = _gap(found, self.tried)
        if self.exact:  # what the last period has goes on
            last = range(self.tried - self.period + 1, self.tried + 1)
            more = tuple(n + i * self.period for i in (1, 2) for n in last if n in found)
            gap = _gap((*found, *more), self.tried + 2 * self.period) if more else None
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
    if len(gaps) == 1:
        (gap,) = gaps
        return gap if found[-1] + gap > tried and (gap == 1 or len(found) > 2) else None
    return None


def sizes_that_run(
    run: Run, trace: Trace, analysis: Analysis, *, limit: int = 512, seconds: float = 20.0
) -> tuple[Sizes, ...]:
    """The sizes of each group of axes that are treated alike; other axes stay as in the example.

    Nothing where the example fails for another reason than its sizes.

    Parameters
    ----------
    run : callable
        Sizes of axes to the shapes that come out, or a Failure.
    trace, analysis
        Of the example.
    limit : int
        So many sizes are tried from that of the example on.
    seconds : float
        No further size is begun after this much work of the processor, for all groups together.
    """
    shape, failure = trace.image, trace.failure
    if not shape or trace.decided or (failure is not None and failure.values):
        return ()
    free = tuple(axis for axis in range(2, len(shape)) if axis not in trace.fixed)
    tried = _of_axes(run, trace, analysis, free, limit, seconds)
    found = tuple(sorted((*_of_file(trace, shape), *tried), key=lambda each: each.axes))
    if failure is not None and not failure.merge and not any(each.sizes for each in found):
        return ()
    return found


def _of_file(trace: Trace, shape: Sequence[int]) -> Iterator[Sizes]:
    """The axes of which a file takes one size alone, those of the same size together."""
    for n in dict.fromkeys(shape[axis] for axis in trace.fixed):
        axes = tuple(axis for axis in trace.fixed if shape[axis] == n)
        runs = (n,) if trace.failure is None else ()
        out = [trace.values[i].shape for i in trace.outputs]
        whole = runs if any(_same_size(s, axes, n) for s in out) else ()
        yield Sizes(axes, runs, whole, n, 1, True, fixed=True)


def _of_axes(
    run: Run, trace: Trace, analysis: Analysis, axes: tuple[int, ...], limit: int, seconds: float
) -> tuple[Sizes, ...]:
    shape, runs = trace.image, trace.failure is None
    if not axes:
        return ()
    if len(axes) == 1 or _alike(trace, len(shape) - 2):
        alike = len({shape[axis] for axis in axes}) == 1
        together = _sizes(run, axes, analysis, limit, seconds, shape[axes[0]] if runs and alike else None)
        denied = runs and any(together.works(shape[axis]) is False for axis in axes)
        # One axis may be fixed and another not.
        if (
            len(axes) == 1
            or (not denied and len(together.sizes) > 1)
            or (together.exact and not together.sizes)
        ):
            return (together,)
    share = seconds / len(axes)
    found = tuple(
        _sizes(run, (axis,), analysis, limit, share, shape[axis] if runs else None) for axis in axes
    )
    same = {replace(each, axes=(), failures=()) for each in found}
    if len(found) > 1 and len(same) == 1:
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
        if op.kind == "slice" and any(m["dim"] >= 2 and m["step"] > 1 for m in op.details["moves"]):
            return False
    return True


def _ratio(axis: Resample) -> tuple[float, str, object]:
    return (axis.source / max(axis.target, 1), axis.method, axis.convention)


@dataclass(slots=True)
class _Answers:
    """What was asked so far: sizes to whether they work, come back whole, and by how much branches differ."""

    run: Run
    axes: tuple[int, ...]
    stop: float
    works: dict[int, bool] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)
    gaps: dict[int, int] = field(default_factory=dict)
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    calls: dict[int, Any] = field(default_factory=dict)
    unlike: tuple[int, ...] = ()

    def ask(self, n: int) -> None:
        """Run a size."""
        found = self.run(dict.fromkeys(self.axes, n))
        self.works[n] = not isinstance(found, Failure)
        if isinstance(found, Failure):
            if found.gap is not None:
                self.gaps[n] = found.gap
            if len(self.failures) < 64:
                self.failures.append((n, found.layer, found.sentence))
        else:
            self.calls[n] = hash(found.calls)
            if any(_same_size(shape, self.axes, n) for shape in found.shapes):
                self.whole.add(n)

    def alike(self, n: int, m: int) -> bool:
        """Whether two sizes both work, or not, and come back whole, or not, and the model does the same."""
        same = (self.works.get(n), n in self.whole) == (self.works.get(m), m in self.whole)
        if same and self.calls.get(n) != self.calls.get(m) and not self.unlike:
            self.unlike = (m, n)
        return same and self.calls.get(n) == self.calls.get(m)

    def in_time(self) -> bool:
        """Whether another size may be begun."""
        # Of the processor: an answer must not depend on what else the machine does.
        return time.thread_time() < self.stop

    def growth(self, n: int, period: int) -> int | None:
        """By how much more than a period before the branches differ at `n`; None where that is not known."""
        now, before = self.gaps.get(n), self.gaps.get(n - period)
        return None if now is None or before is None or now * before < 0 else abs(now) - abs(before)

    def settled(self, n: int, period: int) -> bool:
        """Whether the period that ends with `n` answered as the one before, and will go on to do so."""
        last = range(n - period + 1, n + 1)
        if not all(self.alike(m, m - period) for m in last):
            return False
        growth = [self.growth(m, period) for m in last if not self.works[m]]
        if any(each is not None and each < 0 for each in growth):  # these branches will meet
            return False
        return len(growth) < period or None not in growth


def _same_size(shape: Sequence[int], axes: Sequence[int], n: int) -> bool:
    return len(shape) > max(axes) and all(shape[axis] == n for axis in axes)


def _sizes(
    run: Run, axes: tuple[int, ...], analysis: Analysis, limit: int, seconds: float, example: int | None
) -> Sizes:
    """The sizes of some axes; `example` is the size of an example that runs."""
    period, first = analysis.period, example or 1
    now = time.thread_time()
    answers = _Answers(run, axes, now + seconds * (2 / 3 if first > 1 else 1))
    settled, tried = False, first - 1
    while not settled and tried < first + limit - 1 and answers.in_time():
        tried += 1
        answers.ask(tried)
        asked = tried - first + 1
        settled = asked >= 2 * period and answers.settled(tried, period)
        if answers.unlike:  # nothing proves what is found now
            limit = min(limit, max(64, 4 * period))
            if asked % (2 * period) == 0 and answers.settled(tried, asked // 2):
                break
    answers.stop, low = now + seconds, 0
    repeats = settled and tried == first + 2 * period - 1 and not analysis.fixed
    while low < first - 1 and answers.in_time():
        low += 1
        answers.ask(low)
        if (
            repeats
            and low >= period
            and all(answers.alike(n, _class(n, first, period)) for n in range(low - period + 1, low + 1))
        ):
            break
    known = settled and (low == first - 1 or (repeats and low >= period))
    spans = ((1, tried),) if low == first - 1 else ((1, low), (first, tried)) if low else ((first, tried),)
    works = {n for n, w in answers.works.items() if w}
    if known:  # what lies between answers as the sizes on both sides do
        between = range(low + 1, first)
        works |= {n for n in between if answers.works[_class(n, first, period)]}
        answers.whole |= {n for n in between if _class(n, first, period) in answers.whole}
    found = Sizes(
        axes,
        tuple(sorted(works)),
        tuple(sorted(answers.whole)),
        tried,
        period,
        known and not analysis.fixed,
        tuple(answers.failures),
        spans=() if len(spans) == 1 and spans[0][0] == 1 else spans,
        unlike=() if known else answers.unlike,
    )
    return _as_far(found, answers) if found.exact else found


def _as_far(found: Sizes, answers: _Answers) -> Sizes:
    """The same, no longer exact where a size far away does not answer as one of the last period."""
    for n in FAR:
        if n in answers.works:
            continue
        if not answers.in_time():
            return replace(found, exact=False)
        answers.ask(n)
        like = found.tried - (found.tried - n) % found.period
        if not answers.alike(n, like):
            return replace(found, exact=False, unlike=(like, n))
    return found


def _class(n: int, first: int, period: int) -> int:
    """The size from `first` on that answers as `n` does."""
    return first + (n - first) % period
