"""The ways up that a model calls as functions, of torch.nn.functional or of this library, in a run of it."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from unsample.pairs import PAIRS
from unsample.torch.models.recorded import ModelCall

Tensor = torch.Tensor

TORCHS: dict[Any, str] = {
    getattr(F, name): f"F.{name}"
    for name in (
        *("interpolate", "pixel_shuffle"),
        *(f"{name}{rank}d" for name in ("conv_transpose", "max_unpool") for rank in (1, 2, 3)),
    )
}
OURS = frozenset(pair.up.__name__ for pair in PAIRS)


@dataclass(frozen=True, slots=True)
class WayCalled:
    """A way up that a module calls as a function.

    Parameters
    ----------
    owner : str
        The module whose `forward` calls it, as in `model.named_modules()`.
    module : Module
    function : str
        As people write it.
    shapes : pair of shapes
        Of its input and of its result.
    """

    owner: str
    module: nn.Module
    function: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]


class _Watch:
    """The modules that are running, and what they called outside of layers that are ways up."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self.layers = {id(layer) for layer in layers}
        self.running: list[tuple[str, nn.Module]] = []
        self.found: dict[tuple[str, str, Any], WayCalled] = {}

    def wrote(self, function: str, x: Any, result: Any) -> None:
        """A call, once where the same module makes the same of the same."""
        if not self.running or any(id(module) in self.layers for _, module in self.running):
            return
        if not isinstance(x, Tensor) or not isinstance(result, Tensor):
            return
        shapes = tuple(x.shape), tuple(result.shape)
        if any(m > n for n, m in zip(shapes[0][2:], shapes[1][2:], strict=False)):
            owner, module = self.running[-1]
            self.found.setdefault((owner, function, shapes), WayCalled(owner, module, function, shapes))


class _Functions(TorchFunctionMode):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in TORCHS:
            self.watch.wrote(TORCHS[func], args[0] if args else (kwargs or {}).get("input"), result)
        return result


class _Operators(TorchDispatchMode):
    """Sees the functions of this library, which torch.overrides does not."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watch = watch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if func.namespace == "unsample" and name in OURS:
            self.watch.wrote(f"unsample.{name}", args[0], result)
        return result


def ways_called(call: ModelCall, layers: Sequence[nn.Module]) -> list[WayCalled]:
    """Run the model; what it calls as functions outside of these layers, in the order of the calls."""
    watch = _Watch(layers)
    with ExitStack() as stack:
        for name, module in call.model.named_modules():

            def enter(module: nn.Module, _: Any, name: str = name) -> None:
                watch.running.append((name, module))

            def leave(*_: Any) -> None:
                watch.running.pop()

            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave).remove)
        with _Functions(watch), _Operators(watch):
            call.forward()
    return list(watch.found.values())
