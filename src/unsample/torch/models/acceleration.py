"""What `accelerate` did: the report, its table as text and HTML, and how to undo it."""

import html
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

import torch
from torch import nn

from unsample.tables import html_table, text_table
from unsample.torch.models.functions import TIMED, Setting
from unsample.torch.models.layers import PLAIN, counterpart


@dataclass(frozen=True, slots=True)
class Timed:
    """Torch and our kernels in turn.

    Parameters
    ----------
    ms_before, ms_after : float
        Milliseconds, medians over the rounds.
    ratio, low, high : float
        The median and the quartiles over the rounds of (torch's time / ours) in the same round.
    unrest : float
        The slowest round of the same code over the fastest.
    """

    ms_before: float
    ms_after: float
    ratio: float
    low: float
    high: float
    unrest: float


@dataclass(frozen=True, slots=True)
class Swap:
    """A layer, its class of ours, and how torch's result lies in every setting in which it was timed."""

    layer: nn.Module
    ours: type[nn.Module]
    timed: dict[Setting, torch.memory_format]

    def set(self, swapped: bool) -> None:
        """Let it be ours, or torch's."""
        become(self.layer, PLAIN)
        if swapped:
            self.layer.__class__ = self.ours
            vars(self.layer)[TIMED] = self.timed


@dataclass(frozen=True, slots=True)
class TimedLayer:
    """One layer of a model, and what became of it.

    Parameters
    ----------
    name : str
        As in `model.named_modules()`.
    kind : str
        Its class.
    inputs : tuple of tuple of int
        Shapes of its first argument, call by call.
    times : Timed or None
        Of all its calls; None where it was not timed.
    kept : str
        Why it was left as it was; empty where it was swapped.
    """

    name: str
    kind: str
    inputs: tuple[tuple[int, ...], ...] = ()
    times: Timed | None = None
    kept: str = ""

    @property
    def swapped(self) -> bool:
        """Whether it runs on our kernels now."""
        return not self.kept


@dataclass(frozen=True, slots=True)
class Acceleration:
    """What `accelerate` did: one `TimedLayer` per candidate, printed as a table.

    Parameters
    ----------
    layers : tuple of TimedLayer
        In the order of `model.named_modules()`.
    training : bool
        Whether a training step was timed, or a forward pass without gradients.
    threads : int
        Of torch and of our kernels.
    times : Timed or None
        Of the whole model; None where no layer was swapped.
    difference : float or None
        The largest difference of the model's outputs, each over its largest element; None where nothing of
        them can be compared.
    gradients : float or None
        The same of the gradients of parameters and of inputs that ask for one, over the largest of all.
    unlike : tuple of str
        What in the outputs cannot be compared.
    wrong : bool
        Whether they differ by more than rounding explains, so that all was undone.
    functions : tuple of (str, int)
        Functions of torch.nn.functional that the model calls itself, which `patched` would take.
    """

    layers: tuple[TimedLayer, ...]
    training: bool = False
    threads: int = 1
    times: Timed | None = None
    difference: float | None = None
    gradients: float | None = None
    unlike: tuple[str, ...] = ()
    wrong: bool = False
    functions: tuple[tuple[str, int], ...] = ()
    _swaps: tuple[Swap, ...] = field(default=(), repr=False, compare=False)

    @property
    def swapped(self) -> tuple[TimedLayer, ...]:
        """The layers that run on our kernels now."""
        return tuple(layer for layer in self.layers if layer.swapped)

    @property
    def unrest(self) -> float:
        """The slowest round of the same code over the fastest, in the median of all that was timed."""
        found = [times.unrest for times in (*(each.times for each in self.layers), self.times) if times]
        return median(found) if found else 1.0

    def restore(self) -> None:
        """Give every swapped layer its own class back."""
        for swap in self._swaps:
            swap.set(False)

    def as_dict(self) -> dict[str, Any]:
        """Everything it says, in plain values."""
        hidden = replace(self, _swaps=())
        found = {name: value for name, value in asdict(hidden).items() if name != "_swaps"}
        found["layers"] = [{**asdict(each), "swapped": each.swapped} for each in self.layers]
        found["unlike"] = list(self.unlike)
        found["functions"] = dict(self.functions)
        return found

    def to_json(self) -> str:
        """`as_dict()` as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        lines = text_table([_HEADER, *_rows(self)], _NUMBERS) if self.layers else []
        return "\n".join([*_headline(self), *lines, *_footnotes(self)])

    def _repr_html_(self) -> str:
        head = "".join(f"<p>{html.escape(line)}</p>" for line in _headline(self))
        foot = "".join(f"<p>{html.escape(line)}</p>" for line in _footnotes(self))
        table = html_table([_HEADER, *_rows(self)], _NUMBERS) if self.layers else ""
        return head + table + foot


def become(layer: nn.Module, classes: dict[type[nn.Module], type[nn.Module]]) -> None:
    """Change the class of a layer to its counterpart, if it has one."""
    other = counterpart(layer, classes)
    if other is not None:
        layer.__class__ = other
        vars(layer).pop(TIMED, None)


_HEADER = ("layer", "kind", "input", "torch ms", "ours ms", "ratio", "")
_NUMBERS = (3, 4, 5)


def _rows(report: Acceleration) -> Iterator[tuple[str, ...]]:
    for each in report.layers:
        shown = "x".join(map(str, each.inputs[0])) if each.inputs else ""
        if len(each.inputs) > 1:
            shown += f" and {len(each.inputs) - 1} more"
        yield (
            each.name or "(the model)",
            each.kind,
            shown,
            _milliseconds(each.times.ms_before if each.times else None),
            _milliseconds(each.times.ms_after if each.times else None),
            _times(each.times),
            "swapped" if each.swapped else f"kept: {each.kept}",
        )


def _milliseconds(ms: float | None) -> str:
    return "" if ms is None else f"{ms:.3g}" if ms < 100 else f"{ms:.0f}"


def _times(timed: Timed | None) -> str:
    """The ratio and its quartiles, in two digits: what differs by more from run to run needs no third."""
    if timed is None:
        return ""
    return f"{_two(timed.ratio)}x ({_two(timed.low)} to {_two(timed.high)})"


def _two(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 1.1 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def _headline(report: Acceleration) -> list[str]:
    number = len(report.swapped)
    layers = "layer" if len(report.layers) == 1 else "layers"
    head = f"accelerate: {number} of {len(report.layers)} {layers} swapped"
    if report.times is None:
        return [f"{head}; the model is as it was"]
    what = "training step" if report.training else "forward pass"
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    times = f"{_milliseconds(report.times.ms_before)} -> {_milliseconds(report.times.ms_after)} ms"
    why = "its results are not torch's" if report.wrong else "no faster"
    undone = "" if number else f"; {why}, so all was undone"
    whole = f"whole model: {what} {times}, {_times(report.times)} as fast on {threads}{undone}"
    return [head, "; ".join([whole, *_differences(report)])]


def _differences(report: Acceleration) -> Iterator[str]:
    if report.difference is not None:
        yield f"outputs differ by {report.difference:.1g} of their largest"
    if report.gradients is not None:
        yield f"gradients by {report.gradients:.1g} of theirs"
    if report.unlike:
        yield f"not compared: {', '.join(report.unlike)}"
    elif report.difference is None:
        yield "not compared: it gives nothing"


def _footnotes(report: Acceleration) -> list[str]:
    notes = []
    if report.unrest > BUSY:
        notes.append(
            f"the machine was busy: the slowest round took {_two(report.unrest)} times as long as the "
            f"fastest of the same code, in the median; run it again when it is not"
        )
    if report.functions:
        calls = ", ".join(f"{name} {count} times" if count > 1 else name for name, count in report.functions)
        notes.append(f"called as functions, which unsample.torch.patched() takes: {calls}")
    return notes


BUSY = 1.5  # an idle machine gives 1.1 to 1.3
