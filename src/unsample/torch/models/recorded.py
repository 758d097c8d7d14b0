"""A run of the model on its example that leaves no trace, and the calls of its layers written down."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from unsample.torch.models.functions import FUNCTIONS, TIMED_ONLY, name_of

Tensor = torch.Tensor


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Leave random number generators and buffers as they were."""
    kept = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the one that models use
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=[index for index in devices if index is not None]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        with torch.no_grad():
            for module, name, buffer, values in kept:
                module._buffers[name] = buffer
                if not torch.equal(buffer, values):
                    buffer.copy_(values)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The model on its example, forward or forward and backward."""

    model: nn.Module
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    training: bool

    def forward(self) -> Any:
        """The outputs of the model."""
        args, kwargs = self.arguments
        with torch.set_grad_enabled(self.training):
            return self.model(*args, **kwargs)

    def __call__(self) -> Any:
        """The outputs, after a backward pass in training."""
        result = self.forward()
        if self.training:
            outputs = [each for each in tensors(result) if each.requires_grad]
            weights = [p for p in self.model.parameters() if p.requires_grad]
            ones = [torch.ones_like(each) for each in outputs]
            if outputs and weights:
                torch.autograd.grad(outputs, weights, ones, allow_unused=True)
        return result


def tensors(values: Any) -> list[Tensor]:
    """The tensors among the values, however nested."""
    return [each for each in pytree.tree_leaves(values) if isinstance(each, Tensor)]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call of a layer: its arguments, and what it gave."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class _Counting(TorchFunctionMode):
    """Counts the functions that the model calls itself, outside the layers found."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.seen: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.inside and func in FUNCTIONS and func not in TIMED_ONLY:
            self.seen[name_of(func)] += 1
        return func(*args, **(kwargs or {}))


def record(
    call: ModelCall, layers: Sequence[nn.Module]
) -> tuple[dict[int, list[Recorded]], tuple[tuple[str, int], ...]]:
    """Run the model once: every call of every layer given, and what the model calls as a function."""
    calls: dict[int, list[Recorded]] = {}
    counting = _Counting()

    def enter(layer: nn.Module, args: Any, kwargs: Any) -> None:
        counting.inside += 1

    def leave(layer: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        counting.inside -= 1
        kept = _cut(args), _cut(kwargs), result if isinstance(result, tuple) else None
        calls.setdefault(id(layer), []).append(Recorded(*kept))

    hooks = [layer.register_forward_pre_hook(enter, with_kwargs=True) for layer in layers]
    hooks += [layer.register_forward_hook(leave, with_kwargs=True) for layer in layers]
    try:
        with counting:
            call.forward()
    finally:
        for hook in hooks:
            hook.remove()
    return calls, tuple(sorted(counting.seen.items()))


def _cut(values: Any) -> Any:
    """Tensors cut from what made them; indices themselves, which know their switches."""
    return pytree.tree_map(lambda x: leaf(x, x), values)


def leaf(x: Any, like: Any) -> Any:
    """`x` cut from what made it, asking for a gradient where `like` does."""
    return x.detach().requires_grad_(like.requires_grad) if is_real(x) else x


def is_real(x: Any) -> bool:
    """Whether it is a tensor of floating-point numbers."""
    return isinstance(x, Tensor) and x.is_floating_point()
