"""Torch and our kernels in turn, of one layer and of the whole model."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from unsample.torch.models.acceleration import Acceleration, Swap, Timed, TimedLayer
from unsample.torch.models.recorded import ModelCall, Recorded, undisturbed
from unsample.torch.models.values import Compared, compared, copied, gap, is_real, largest, parts, tensors

Tensor = torch.Tensor

ROUNDS, FEW = 7, 3
SECONDS = 0.004  # of a round at least: several calls of a fast layer
CLEAR = 1.25  # faster by so much in each of a few rounds is faster
PATIENCE = 3.0  # seconds after which a few rounds have to do


def time_layer(
    row: TimedLayer, layer: nn.Module, swap: Swap, calls: Sequence[Recorded], training: bool
) -> TimedLayer:
    """The row with the times of all calls of a layer, by its class and by ours."""
    steps = [_Step(layer, call, training) for call in calls]

    def run(swapped: bool) -> None:
        swap.set(swapped)
        for step in steps:
            step()

    try:
        times = _in_turn(lambda: run(False), lambda: run(True))
    finally:
        swap.set(False)
    return replace(row, times=times)


def time_model(call: ModelCall, report: Acceleration) -> Acceleration:
    """Time the whole model with and without what was swapped, and compare what it gives."""

    def use(swapped: bool) -> None:
        for swap in report._swaps:
            swap.set(swapped)

    def timed(swapped: bool) -> None:
        use(swapped)
        call()

    def given(swapped: bool) -> Given:
        use(swapped)
        return _given(call)

    try:
        theirs, ours = given(False), given(True)
        times = _in_turn(lambda: timed(False), lambda: timed(True))
        if times.low < 1:  # each layer alone was faster: ask again before giving that up
            times = _in_turn(lambda: timed(False), lambda: timed(True))
        use(False)
        outputs, gradients = _judged(call, theirs, ours, _precision(report._swaps))
    finally:
        use(True)
    return replace(
        report,
        times=times,
        difference=outputs.difference,
        gradients=gradients.difference,
        unlike=outputs.unlike,
        wrong=outputs.large or gradients.large,
    )


Given = tuple[list[Any], list[Any]]  # parts of the outputs, and gradients


def _given(call: ModelCall) -> Given:
    """What the model gives, copied: it may write into it later."""
    with undisturbed(call.model):
        result, gradients = call(_random)
        return copied(list(parts(result))), gradients


def _random(output: Tensor) -> Tensor:
    """A slope for which no gradient vanishes by symmetry, as those of a norm do for ones."""
    return torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output)


def _precision(swaps: Sequence[Swap]) -> float:
    """Of the coarsest numbers that were swapped."""
    used = {
        dtype for swap in swaps for key in swap.timed for dtype in (key.dtype, key.cast) if dtype is not None
    }
    return max((torch.finfo(dtype).eps for dtype in used if dtype.is_floating_point), default=0.0)


def _judged(call: ModelCall, theirs: Given, ours: Given, precision: float) -> list[Compared]:
    """How far outputs and gradients lie apart; not, where torch is as far from itself or from the truth.

    A model may give something else at each call, and one that chooses, or that adds up many roundings, may
    lie far from what it would give in float64; neither says anything about us.
    """
    found = _compared(theirs, ours, precision)
    if not any(each.large for each in found):
        return found
    itself = _compared(theirs, _given(call), precision)
    found = [
        replace(each, difference=None, unlike=("what is random",)) if own.large else each
        for each, own in zip(found, itself, strict=True)
    ]
    truth = _in_float64(call) if any(each.large for each in found) else None
    if truth is None:
        return found
    far, near = (_compared(truth, _widened(each), precision) for each in (theirs, ours))
    return [
        replace(each, bound=math.inf) if _explains(a, b) else each
        for each, a, b in zip(found, far, near, strict=True)
    ]


def _explains(theirs: Compared, ours: Compared) -> bool:
    """Whether torch is about as far from the truth as we are; if it is another truth, that says nothing."""
    if theirs.difference is None or ours.difference is None:
        return False
    return ours.difference <= 2 * theirs.difference < 1


def _in_float64(call: ModelCall) -> Given | None:
    """What a copy of torch's model gives in float64, where it runs so."""
    try:
        model, arguments = copy.deepcopy(call.model).double(), copied(call.arguments)
        for x in tensors(arguments):
            if is_real(x):
                x.data = x.data.double()
        with torch.autocast("cpu", enabled=False):
            return _given(ModelCall(model, arguments, call.training))
    except Exception:  # whatever a model raises that was not written for it
        return None


def _widened(given: Given) -> Given:
    outputs, gradients = ([x.double() if is_real(x) else x for x in each] for each in given)
    return outputs, gradients


def _compared(theirs: Given, ours: Given, precision: float) -> list[Compared]:
    """Outputs, and gradients over the largest of all: that of a bias before a norm is all rounding."""
    outputs = compared(theirs[0], ours[0], precision)
    pairs = [(a, b) for a, b in zip(theirs[1], ours[1], strict=False) if _dense(a) and _dense(b)]
    gradients = compared([a for a, _ in pairs], [b for _, b in pairs], precision)
    size = max((largest(a) for a, _ in pairs), default=0.0)
    difference = max((gap(a, b) for a, b in pairs), default=0.0) / size if size else None
    return [outputs, replace(gradients, difference=difference)]


def _dense(gradient: Tensor | None) -> bool:
    return gradient is not None and gradient.layout is torch.strided


@dataclass(frozen=True, slots=True)
class _Step:
    """One recorded call of a layer, without its hooks; the gradients too in training."""

    layer: nn.Module
    call: Recorded
    training: bool

    def __call__(self) -> None:
        with torch.set_grad_enabled(self.training), self.call.autocast():
            result = self.layer.forward(*self.call.args, **self.call.kwargs)
        outputs = [each for each in tensors(result) if each.requires_grad]
        if self.training and outputs:
            over = [x for x in tensors(self.call.args) if x.requires_grad] + self.weights()
            torch.autograd.grad(outputs, over, [torch.ones_like(each) for each in outputs], allow_unused=True)

    def weights(self) -> list[Tensor]:
        """Where gradients go: parameters, or the plain tensors that weight_norm puts in their place."""
        if parametrize.is_parametrized(self.layer):
            return [p for p in self.layer.parameters() if p.requires_grad]
        named = [getattr(self.layer, name, None) for name in ("weight", "bias")]
        return [each for each in named if isinstance(each, Tensor) and each.requires_grad]


def _in_turn(before: Callable[[], Any], after: Callable[[], Any]) -> Timed:
    """Both in turn, A B A B, so that what disturbs one disturbs the other.

    Three rounds that all say the same are enough, and so are three long ones: the rest would take time and
    change nothing.
    """
    times: list[tuple[float, float]] = []
    numbers = []
    began = time.perf_counter()
    for call in (before, after):
        call()
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        numbers.append(max(1, round(SECONDS / max(took, 1e-7))))
    while len(times) < ROUNDS:
        pair = []
        for call, number in zip((before, after), numbers, strict=True):
            start = time.perf_counter()
            for _ in range(number):
                call()
            pair.append(1e3 * (time.perf_counter() - start) / number)
        times.append((pair[0], pair[1]))
        ratios = [a / b for a, b in times]
        settled = max(ratios) < 1 or min(ratios) > CLEAR
        if len(times) >= FEW and (settled or time.perf_counter() - began > PATIENCE):
            break
    return timed_by(times)


def timed_by(times: Sequence[tuple[float, float]]) -> Timed:
    """What rounds say, each the milliseconds before and after.

    Examples
    --------
    >>> timed_by([(2.0, 1.0), (3.0, 1.0), (4.0, 1.0), (20.0, 1.0), (5.0, 1.0)])
    Timed(ms_before=4.0, ms_after=1.0, ratio=4.0, low=3.0, high=5.0, unrest=10.0)
    """
    ratios = sorted(a / b for a, b in times)
    low, ratio, high = quantiles(ratios, n=4, method="inclusive")
    before, after = zip(*times, strict=True)
    unrest = max(max(each) / min(each) for each in (before, after))
    return Timed(median(before), median(after), ratio, low, high, unrest)
