"""Torch and our kernels in turn, of one layer and of the whole model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from unsample.torch.models.acceleration import Acceleration, Timed, TimedLayer, become
from unsample.torch.models.agreement import gap
from unsample.torch.models.layers import PLAIN
from unsample.torch.models.recorded import ModelCall, Recorded, tensors, undisturbed

Tensor = torch.Tensor

ROUNDS, FEW = 7, 3
SECONDS = 0.004  # of a round at least: several calls of a fast layer
CLEAR = 1.25  # faster by so much in each of a few rounds is faster
PATIENCE = 3.0  # seconds after which a few rounds have to do


def time_layer(
    row: TimedLayer, layer: nn.Module, ours: type[nn.Module], calls: Sequence[Recorded], training: bool
) -> TimedLayer:
    """The row with the times of all calls of a layer, by its class and by ours."""
    theirs = type(layer)
    steps = [_Step(layer, call, training) for call in calls]

    def run(kind: type[nn.Module]) -> None:
        layer.__class__ = kind
        for step in steps:
            step()

    try:
        times = _in_turn(lambda: run(theirs), lambda: run(ours))
    finally:
        layer.__class__ = theirs
    return replace(row, times=times)


def time_model(call: ModelCall, report: Acceleration) -> Acceleration:
    """Time the whole model with and without what was swapped, and compare its outputs."""
    classes = [(module, type(module)) for module in report._modules]

    def use(swapped: bool) -> None:
        for module, ours in classes:
            if swapped:
                module.__class__ = ours
            else:
                become(module, PLAIN)

    def outputs(swapped: bool) -> list[Tensor]:
        use(swapped)
        with undisturbed(call.model):
            return tensors(call.forward())

    def timed(swapped: bool) -> None:
        use(swapped)
        call()

    try:
        plain, fast = outputs(False), outputs(True)
        times = _in_turn(lambda: timed(False), lambda: timed(True))
        if times.low < 1:  # each layer alone was faster: ask again before giving that up
            times = _in_turn(lambda: timed(False), lambda: timed(True))
    finally:
        use(True)
    gaps = [
        gap(a, b) / max(float(a.detach().abs().max()), torch.finfo(a.dtype).tiny)
        for a, b in zip(plain, fast, strict=True)
        if a.is_floating_point() and a.numel()
    ]
    return replace(report, times=times, difference=max(gaps, default=0.0))


@dataclass(frozen=True, slots=True)
class _Step:
    """One recorded call of a layer, without its hooks; the gradients too in training."""

    layer: nn.Module
    call: Recorded
    training: bool

    def __call__(self) -> None:
        with torch.set_grad_enabled(self.training):
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
