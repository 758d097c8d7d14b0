"""Whether our kernels give what torch gives for a recorded call: results, and gradients in training."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import prod
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from unsample.arrays.library import dtype_name
from unsample.torch.models.functions import FUNCTIONS, taken
from unsample.torch.models.recorded import Recorded, is_real, leaf, tensors

Tensor = torch.Tensor


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
    with torch.set_grad_enabled(training), _Function() as seen:
        layer.forward(*call.args, **call.kwargs)
    if len(seen.calls) != 1:
        return "it does not call its own function of torch"
    function, args, kwargs = seen.calls[0]
    leaves = [leaf(x, x) for x in args]
    with torch.set_grad_enabled(training):
        with _on_one_thread() if "unpool" in function.__name__ else nullcontext():
            theirs = function(*leaves, **kwargs)
        ours = taken(function, tuple(leaves), kwargs)
    if ours is NotImplemented:
        unpools = isinstance(layer, nn.modules.pooling._MaxUnpoolNd)
        return "its indices are not from a swapped pooling" if unpools else "our kernels do not take it"
    kind = function.__name__
    exact = not kind.startswith("conv") and not _is_linear(layer)
    chooses = exact and "pool" in kind  # by sign: only its gradients are sums
    sizes = [leaf(x if chooses or not is_real(x) else x.detach().abs(), x) for x in leaves]
    with torch.set_grad_enabled(training):
        magnitude = function(*sizes, **kwargs)
    terms = _terms(layer, args, tensors(theirs)[0])
    results = [tensors(each) for each in (theirs, ours, magnitude)]
    wrong = _wrong_results(*results, terms=None if exact else terms[0])
    if wrong or not training:
        return wrong
    return _wrong_gradients(*(each[0] for each in results), leaves=leaves, sizes=sizes, terms=terms[1:])


def _wrong_results(
    theirs: list[Tensor], ours: list[Tensor], magnitude: list[Tensor], *, terms: int | None
) -> str:
    for a, b, size in zip(theirs, ours, magnitude, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return (
                f"WRONG: {tuple(b.shape)} {dtype_name(b.dtype)}, not {tuple(a.shape)} {dtype_name(a.dtype)}"
            )
        if a.stride() != b.stride():
            return "its memory format would change"
        if not (_same_bits(a, b) if terms is None else _within(a, b, size, terms)):
            return f"WRONG: results differ from torch's by {gap(a, b):.2g}"
    return ""


def _wrong_gradients(
    theirs: Tensor,
    ours: Tensor,
    magnitude: Tensor,
    *,
    leaves: list[Any],
    sizes: list[Any],
    terms: tuple[int, ...],
) -> str:
    over = [i for i, x in enumerate(leaves) if is_real(x) and x.requires_grad]
    if not theirs.requires_grad or not over:
        return ""
    cotangent = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(0), dtype=theirs.dtype)
    slopes, our_slopes, bounds = (
        torch.autograd.grad(y, [from_[i] for i in over], g)
        for y, from_, g in (
            (theirs, leaves, cotangent),
            (ours, leaves, cotangent),
            (magnitude, sizes, cotangent.abs()),
        )
    )
    for i, a, b, size in zip(over, slopes, our_slopes, bounds, strict=True):
        if not _within(a, b, size, terms[min(i, 2)]):
            return f"WRONG: gradients differ from torch's by {gap(a, b):.2g}"
    return ""


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
        # torch finds positions in the precision of the data: wrong by eps times the position itself.
        positions = 2 * max(x.shape[2:])
        return 2**rank + positions, 4**rank * block + positions, 0, 0
    window = getattr(layer, "kernel_size", 2)
    taps = prod(window) if isinstance(window, tuple) else int(window) ** (x.ndim - 1)
    return 0, max(block, taps), 0, 0


def _same_bits(theirs: Tensor, ours: Tensor) -> bool:
    if not theirs.is_floating_point():
        return torch.equal(theirs, ours)
    bits = torch.int32 if theirs.dtype == torch.float32 else torch.int64
    return torch.equal(theirs.view(bits), ours.view(bits))


def _within(theirs: Tensor, ours: Tensor, magnitude: Tensor, terms: int) -> bool:
    """Each within terms * eps * magnitude of the exact sum, and so within twice that of each other."""
    bound = 2 * terms * torch.finfo(theirs.dtype).eps * magnitude
    same = (theirs == ours) | (theirs.isnan() & ours.isnan())  # also infinities
    return bool((same | ((theirs - ours).abs() <= bound)).all())


def gap(theirs: Tensor, ours: Tensor) -> float:
    """The largest difference."""
    return float((theirs.detach().double() - ours.detach().double()).abs().max())
