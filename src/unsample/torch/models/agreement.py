"""Whether our kernels give what torch gives for a recorded call: results, and gradients in training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from unsample.arrays.library import dtype_name
from unsample.torch.models.functions import FUNCTIONS, taken_in
from unsample.torch.models.recorded import Recorded, leaf
from unsample.torch.models.values import gap, is_real, tensors

Tensor = torch.Tensor
Change = Callable[[Tensor], Tensor]


class _Function(TorchFunctionMode):
    """The one function of torch.nn.functional that a layer is."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in FUNCTIONS:
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def disagreement(layer: nn.Module, call: Recorded, training: bool) -> str:
    """Why our kernels may not compute this call; nothing where results and gradients are torch's."""
    with torch.set_grad_enabled(training), call.autocast():
        return _disagreement(layer, call)


def _disagreement(layer: nn.Module, call: Recorded) -> str:
    with _Function() as seen:
        layer.forward(*call.args, **call.kwargs)
    if len(seen.calls) != 1:
        return "it does not call its own function of torch"
    function, args, kwargs = seen.calls[0]
    kind = function.__name__
    copies = not kind.startswith("conv") and not _is_linear(layer)
    chooses = copies and "pool" in kind  # by sign: only its gradients are sums

    def torchs(change: Change) -> Run:
        keeps_numbers = chooses and change in (torch.abs, _wide_size)
        of_numbers = (Tensor.double if change is _wide_size else _same) if keeps_numbers else change
        with _on_one_thread() if "unpool" in kind else nullcontext():
            return _run(partial(function, **kwargs), args, of_numbers, change)

    theirs = torchs(_same)
    ours = _run(lambda *leaves: taken_in(call.made, function, leaves, kwargs), args, _same, _same)
    if not ours.results:
        unpools = isinstance(layer, nn.modules.pooling._MaxUnpoolNd)
        return "its indices are not from a swapped pooling" if unpools else "our kernels do not take it"
    for a, b in zip(theirs.results, ours.results, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return (
                f"WRONG: {tuple(b.shape)} {dtype_name(b.dtype)}, not {tuple(a.shape)} {dtype_name(a.dtype)}"
            )
        if a.stride() != b.stride():
            return "its memory format would change"
        if copies and not _same_bits(a, b):
            return f"WRONG: results differ from torch's by {gap(a, b):.2g}"
    terms = _terms(layer, args, theirs.results[0])
    rounding = _Rounding(torch.finfo(theirs.results[0].dtype), torchs, _finds_positions(layer, args[0]))
    if not copies and not rounding.explains(theirs, ours, None, terms[0]):
        return f"WRONG: results differ from torch's by {gap(theirs.results[0], ours.results[0]):.2g}"
    for i, slope in theirs.gradients.items():
        if not rounding.explains(theirs, ours, i, terms[1 + min(i, 2)]):
            return f"WRONG: gradients differ from torch's by {gap(slope, ours.gradients[i]):.2g}"
    return ""


@dataclass(frozen=True, slots=True)
class Run:
    """What a function made: results, and the gradients by the numbers of the arguments that ask for one."""

    results: list[Tensor]
    gradients: dict[int, Tensor]

    def sums(self, argument: int | None) -> Tensor:
        """The result, or the gradient of an argument."""
        return self.results[0].detach() if argument is None else self.gradients[argument]


def _run(function: Callable[..., Any], args: Any, of_numbers: Change, of_slope: Change) -> Run:
    """The run on changed arguments, its gradients those of a changed random slope."""
    leaves = [leaf(of_numbers(x.detach()), x) if is_real(x) else x for x in args]
    made = function(*leaves)
    if made is NotImplemented:
        return Run([], {})
    results = tensors(made)
    over = {i: x for i, x in enumerate(leaves) if is_real(x) and x.requires_grad}
    if not results[0].requires_grad or not over:
        return Run(results, {})
    random = torch.randn(results[0].shape, generator=torch.Generator().manual_seed(0))
    slope = of_slope(random.to(torch.bfloat16)).to(results[0].dtype)  # the same in every precision
    found = torch.autograd.grad(results[0], list(over.values()), slope)
    return Run(results, dict(zip(over, found, strict=True)))


def _same(x: Tensor) -> Tensor:
    return x


def _wide_size(x: Tensor) -> Tensor:
    return x.double().abs()


@dataclass(slots=True)
class _Rounding:
    """How far sums may lie apart because of the precision of their numbers.

    A sum of n products is within n eps Sum |x| |w| of the exact one, and two are within twice that of each
    other. Where they are not, float64 decides whether it is ours that is not.

    Parameters
    ----------
    precision : finfo
        Of the result; under autocast gradients are computed in it too.
    torchs : callable
        What torch makes of changed arguments, and of a changed slope.
    anywhere : bool
        Whether a weight that is 0 may be rounded too, to eps times the largest: what no product shows.
    """

    precision: torch.finfo
    torchs: Callable[[Change], Run]
    anywhere: bool
    _made: dict[Change, Run] = field(default_factory=dict)

    def explains(self, theirs: Run, ours: Run, argument: int | None, terms: int) -> bool:
        """Whether one sum of the two runs is the same but for rounding."""
        a, b = theirs.sums(argument), ours.sums(argument)
        same = (a == b) | (a.isnan() & b.isnan())  # also infinities
        allowed = 2 * self.bound(terms, self.of(torch.abs).sums(argument))
        if bool((same | ((a - b).abs() <= allowed)).all()):
            return True
        if a.dtype == torch.float64:
            return False
        off = (b.double() - self.of(Tensor.double).sums(argument)).abs()
        allowed = self.bound(terms, self.of(_wide_size).sums(argument))
        return bool((same | (off <= allowed)).all())

    def bound(self, terms: int, size: Tensor) -> Tensor:
        """What rounding may do to sums of so many terms of these sizes; where a size overflows, nothing."""
        size = size.double().nan_to_num(0, 0, 0)
        size = size.max().expand_as(size) if self.anywhere else size
        return terms * self.precision.eps * (size + self.precision.tiny)

    def of(self, change: Change) -> Run:
        """A run of torch's, made once."""
        if change not in self._made:
            self._made[change] = self.torchs(change)
        return self._made[change]


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Where the last of duplicates stays in torch too; on several threads the fastest of them decides."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _is_linear(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Upsample) and not layer.mode.startswith("nearest")


def _finds_positions(layer: nn.Module, x: Tensor) -> bool:
    """Whether torch's weights are wrong by eps times a position and there is no precision to ask beyond."""
    return _is_linear(layer) and x.dtype == torch.float64


def _terms(layer: nn.Module, args: Any, out: Tensor) -> tuple[int, int, int, int]:
    """How many terms a result adds, and the gradients of the input, the weight and the bias."""
    x = args[0]
    if isinstance(layer, nn.modules.conv._ConvNd):
        weight, groups = args[1], int(layer.groups)
        rank = weight.ndim - 2
        taps = prod(weight.shape[2:])
        first, second = weight.shape[0] // groups * taps, weight.shape[1] * taps
        up = isinstance(layer, nn.modules.conv._ConvTransposeNd)
        batch = x.shape[0] if x.ndim == rank + 2 else 1
        places = batch * prod((x if up else out).shape[-rank:])
        forward, backward = (first, second) if up else (second, first)
        return forward + 1, backward, places, batch * prod(out.shape[-rank:])
    block = -(-out.numel() // max(x.numel(), 1))
    if _is_linear(layer):
        rank = x.ndim - 2
        positions = 2 * max(x.shape[2:]) if _finds_positions(layer, x) else 0
        return 2**rank + positions, 4**rank * block + positions, 0, 0
    window = getattr(layer, "kernel_size", 2)
    taps = prod(window) if isinstance(window, tuple) else int(window) ** (x.ndim - 1)
    return 0, max(block, taps), 0, 0


def _same_bits(theirs: Tensor, ours: Tensor) -> bool:
    if not theirs.is_floating_point():
        return torch.equal(theirs, ours)
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[theirs.element_size()]
    return torch.equal(theirs.view(bits), ours.view(bits))
