"""Torch and our kernels in turn, of one layer and of the whole model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from unsample.torch.models.acceleration import Acceleration, TimedLayer, become
from unsample.torch.models.agreement import gap
from unsample.torch.models.layers import PLAIN
from unsample.torch.models.recorded import ModelCall, Recorded, tensors, undisturbed

Tensor = torch.Tensor

ROUNDS = 7
SECONDS = 0.004  # of a round at least: several calls of a fast layer
HOPELESS = 1.25  # so much slower in each of three rounds, and no more are asked


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
        before, after, ratio = _in_turn(lambda: run(theirs), lambda: run(ours))
    finally:
        layer.__class__ = theirs
    return replace(row, ms_before=before, ms_after=after, ratio=ratio)


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
        before, after, ratio = _in_turn(lambda: timed(False), lambda: timed(True))
        if ratio < 1:  # each layer alone was faster: ask again before giving that up
            before, after, ratio = _in_turn(lambda: timed(False), lambda: timed(True))
    finally:
        use(True)
    gaps = [
        gap(a, b) / max(float(a.detach().abs().max()), torch.finfo(a.dtype).tiny)
        for a, b in zip(plain, fast, strict=True)
        if a.is_floating_point() and a.numel()
    ]
    return replace(report, ms_before=before, ms_after=after, ratio=ratio, difference=max(gaps, default=0.0))


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


def _in_turn(before: Callable[[], Any], after: Callable[[], Any]) -> tuple[float, float, float]:
    """Milliseconds of both, and the median ratio: A B A B, so that what disturbs one disturbs the other."""
    times = []
    numbers = []
    for call in (before, after):
        call()
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        numbers.append(max(1, round(SECONDS / max(took, 1e-7))))
    for _ in range(ROUNDS):
        pair = []
        for call, number in zip((before, after), numbers, strict=True):
            start = time.perf_counter()
            for _ in range(number):
                call()
            pair.append(1e3 * (time.perf_counter() - start) / number)
        times.append(pair)
        if len(times) == 3 and all(b > HOPELESS * a for a, b in times):
            break
    return median(a for a, _ in times), median(b for _, b in times), median(a / b for a, b in times)
