"""A run of the model on its example that leaves no trace, and the calls of its layers written down."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from unsample.geometry.arguments import is_sequence
from unsample.torch.models.functions import FUNCTIONS, TIMED_ONLY, Setting, format_of, name_of, setting_of
from unsample.torch.models.values import copied, is_real, tensors

Tensor = torch.Tensor


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Leave a model and random number generators as they were, whatever a run of the model does.

    Its modules have the attributes that they had, among them the training mode; its parameters and buffers
    their numbers, gradients and wish for gradients. Only its own modules are known: what they keep elsewhere
    is not.
    """
    modules = [(module, _attributes(module)) for module in model.modules()]
    mine = [x for x in (*model.parameters(), *model.buffers()) if not nn.parameter.is_lazy(x)]
    kept = [(x, x.grad, x.requires_grad) for x in mine if x.is_leaf]
    grads = [grad for _, grad, _ in kept if grad is not None]
    numbers = [
        (x, x.detach().clone()) for x in (*mine, *grads) if x.layout is torch.strided and not x.is_meta
    ]
    own = [each for _, held in modules for each in held[""].values() if isinstance(each, torch.Generator)]
    generators = [(each, each.get_state()) for each in own]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the one that models use
    devices = {x.device.index for x in mine if x.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=[index for index in devices if index is not None]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        for generator, state in generators:
            generator.set_state(state)
        for module, held in modules:
            for name, before in held.items():
                now = vars(module)[name] if name else vars(module)
                if now.keys() != before.keys() or any(now[key] is not before[key] for key in before):
                    now.clear()
                    now.update(before)
        with torch.no_grad():
            for x, values in numbers:
                if not torch.equal(x, values):
                    x.copy_(values)
        for x, grad, wanted in kept:
            x.requires_grad_(wanted)
            x.grad = grad


def _attributes(module: nn.Module) -> dict[str, dict[str, Any]]:
    """The attributes of a module, and what it has registered."""
    held = {name: vars(module).get(name) for name in _REGISTERED} | {"": vars(module)}
    return {name: dict(each) for name, each in held.items() if isinstance(each, dict)}


_REGISTERED = ("_parameters", "_buffers", "_modules")


Arguments = tuple[tuple[Any, ...], dict[str, Any]]  # by position and by keyword


def arguments(model: nn.Module, example: Any) -> Arguments:
    """What a model is called with: an example is a tensor, a shape, a tuple or a dict of arguments."""
    if isinstance(example, dict):
        return (), example
    if is_sequence(example) and example and all(type(each) is int for each in example):
        like = next((each for each in model.parameters() if each.is_floating_point()), torch.empty(0))
        return (torch.randn(tuple(example), dtype=like.dtype, device=like.device),), {}
    return (example if isinstance(example, tuple) else (example,)), {}


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The model on copies of its example, forward or forward and backward."""

    model: nn.Module
    arguments: Arguments
    training: bool

    def _run(self) -> tuple[Any, list[Tensor]]:
        """The outputs, and what gradients are asked of: the parameters, and inputs that ask for theirs."""
        args, kwargs = copied(self.arguments)
        over: list[Tensor] = [p for p in self.model.parameters() if p.requires_grad]
        given = [x for x in tensors((args, kwargs)) if is_real(x)]
        if self.training and not over and not any(x.requires_grad for x in given):
            for x in given:  # there is nothing else that a step could be taken for
                x.requires_grad_()
        over += [x for x in given if x.requires_grad]
        with torch.set_grad_enabled(self.training):
            return self.model(*args, **kwargs), over

    def forward(self) -> Any:
        """The outputs of the model."""
        return self._run()[0]

    def __call__(
        self, slope: Callable[[Tensor], Tensor] = torch.ones_like
    ) -> tuple[Any, list[Tensor | None]]:
        """The outputs; in training also the gradients of the sum over them of `slope` times the output."""
        result, over = self._run()
        outputs = [each for each in tensors(result) if each.requires_grad] if self.training else []
        if not outputs or not over:
            return result, []
        slopes = [slope(each) for each in outputs]
        return result, list(torch.autograd.grad(outputs, over, slopes, allow_unused=True))


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call of a layer: its arguments, the pair that it gave if it did, its setting, how it lay."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    setting: Setting
    made: torch.memory_format

    def autocast(self) -> Any:
        """The autocast of the call."""
        return torch.autocast("cpu", self.setting.cast, enabled=self.setting.cast is not None)


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
        given, made = tensors((args, kwargs)), tensors(result)
        if given and made:
            kept = _cut(args), _cut(kwargs), result if isinstance(result, tuple) else None
            recorded = Recorded(*kept, setting_of(given[0]), format_of(made[0]))
            calls.setdefault(id(layer), []).append(recorded)

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
