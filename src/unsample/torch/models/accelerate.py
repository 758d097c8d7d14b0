"""`accelerate`: every layer of a model that our kernels run faster, found, verified, timed and swapped."""

import html
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from math import prod
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from unsample.arrays.library import dtype_name
from unsample.errors import ShapeError
from unsample.geometry.arguments import describe
from unsample.tables import html_table, text_table
from unsample.torch.models.functions import FUNCTIONS, TIMED_ONLY, name_of, remember, remembered, taken
from unsample.torch.models.layers import FASTER, PLAIN, counterpart

Tensor = torch.Tensor

ROUNDS = 7
SECONDS = 0.004  # of a round at least: several calls of a fast layer
FASTER_BY = 1.05  # what is swapped must be faster by more than timing errs
HOPELESS = 1.25  # so much slower in each of three rounds, and no more are asked


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
    ms_before, ms_after : float or None
        Milliseconds of all its calls by torch and by our kernels, medians; None where it was not timed.
    ratio : float or None
        The median over the rounds of (torch's time / ours) in the same round.
    kept : str
        Why it was left as it was; empty where it was swapped.
    """

    name: str
    kind: str
    inputs: tuple[tuple[int, ...], ...] = ()
    ms_before: float | None = None
    ms_after: float | None = None
    ratio: float | None = None
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
    ms_before, ms_after : float or None
        Milliseconds of the whole model, medians; None where no layer was swapped.
    ratio : float or None
        The median over the rounds of (time before / time after) in the same round.
    difference : float or None
        The largest difference of the model's outputs, over their largest element.
    functions : tuple of (str, int)
        Functions of torch.nn.functional that the model calls itself, which `patched` would take.
    """

    layers: tuple[TimedLayer, ...]
    training: bool = False
    threads: int = 1
    ms_before: float | None = None
    ms_after: float | None = None
    ratio: float | None = None
    difference: float | None = None
    functions: tuple[tuple[str, int], ...] = ()
    _modules: tuple[nn.Module, ...] = field(default=(), repr=False, compare=False)

    @property
    def swapped(self) -> tuple[TimedLayer, ...]:
        """The layers that run on our kernels now."""
        return tuple(layer for layer in self.layers if layer.swapped)

    def restore(self) -> None:
        """Give every swapped layer its own class back."""
        for module in self._modules:
            _become(module, PLAIN)

    def as_dict(self) -> dict[str, Any]:
        """Everything it says, in plain values."""
        hidden = replace(self, _modules=())
        found = {name: value for name, value in asdict(hidden).items() if name != "_modules"}
        found["layers"] = [{**asdict(each), "swapped": each.swapped} for each in self.layers]
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
            _milliseconds(each.ms_before),
            _milliseconds(each.ms_after),
            _times(each.ratio),
            "swapped" if each.swapped else f"kept: {each.kept}",
        )


def _milliseconds(ms: float | None) -> str:
    return "" if ms is None else f"{ms:.3g}" if ms < 100 else f"{ms:.0f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def _headline(report: Acceleration) -> list[str]:
    number = len(report.swapped)
    layers = "layer" if len(report.layers) == 1 else "layers"
    head = f"accelerate: {number} of {len(report.layers)} {layers} swapped"
    if report.ratio is None:
        return [f"{head}; the model is as it was"]
    what = "training step" if report.training else "forward pass"
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    times = f"{_milliseconds(report.ms_before)} -> {_milliseconds(report.ms_after)} ms"
    undone = "" if number else "; no faster, so nothing was swapped"
    whole = f"whole model: {what} {times}, {_times(report.ratio)} as fast on {threads}{undone}"
    return [head, f"{whole}; outputs differ by {report.difference:.1g} of their largest"]


def _footnotes(report: Acceleration) -> list[str]:
    if not report.functions:
        return []
    calls = ", ".join(f"{name} {count} times" if count > 1 else name for name, count in report.functions)
    return [f"called as functions, which unsample.torch.patched() takes: {calls}"]


def accelerate(
    model: nn.Module,
    example: Any,
    *,
    training: bool = False,
    only: Callable[[str, nn.Module], bool] | None = None,
    progress: bool = True,
) -> Acceleration:
    """Swap the up- and downsampling layers of a model that our kernels run faster, in place.

    The model is run once with the example. Every convolution, transposed convolution, max pooling, max
    unpooling, upsampling and pixel shuffle of torch.nn in it is computed again by our kernels on the inputs
    that it had, compared with torch, and timed against it. Those that are right and faster change their
    class, and nothing else: the same object, parameters, hooks, `state_dict` keys and mode. In the end the
    whole model is timed both ways.

    Parameters
    ----------
    model : Module
        In the mode in which it will run, on the CPU.
    example : Tensor, tuple or dict
        Arguments of the model, of the size it will see.
    training : bool
        Whether forward and backward are compared and timed, or forward alone without gradients.
    only : callable, optional
        `only(name, layer)`; False leaves a layer alone.
    progress : bool
        Whether to show a bar on stderr, where that is a terminal and tqdm is installed.

    Returns
    -------
    Acceleration
        Prints as a table; says why a layer was kept; `restore()` undoes all of it.

    Raises
    ------
    ShapeError, TypeError
        Where the model is compiled, scripted or has lazy layers without weights, or arguments do not fit.

    Notes
    -----
    Copies must be torch's bit for bit. Sums must be within n eps Sum |x| |w| of the exact sum, n the number
    of terms, and so within twice that of torch's. For linear interpolation n grows by twice the size of the
    axis, since torch finds positions in the precision of the data. Faster means by more than 5 %.

    Random number generators, buffers and gradients are as they were afterwards. Layers of a class that is
    derived from torch's are kept, parametrized ones apart: their `forward` may be another. While torch
    compiles, exports, traces, maps or casts, swapped layers call torch's own functions.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.ReLU(), torch.nn.AvgPool1d(2))
    >>> report = ut.accelerate(model, torch.zeros(1, 1, 8))
    >>> [(layer.name, layer.kind) for layer in report.layers]
    [('0', 'Conv1d')]
    >>> report.restore()
    >>> type(model[0])
    <class 'torch.nn.modules.conv.Conv1d'>
    """
    call = _Call(model, _arguments(model, example), training)
    found = _candidates(model, only)
    with _undisturbed(model):
        calls, functions = _recorded(call, found)
        # In the order of the calls: a pooling before the unpooling that takes its indices.
        order = {layer: turn for turn, layer in enumerate(calls)}
        turns = sorted(found, key=lambda each: order.get(id(each[1]), len(order)))
        report = Acceleration((), training, torch.get_num_threads(), functions=functions)
        rows: dict[str, TimedLayer] = {}
        try:
            for name, layer, kept in _bar(turns, progress):
                rows[name] = _judged(name, layer, kept, calls.get(id(layer), []), training)
                if rows[name].swapped:
                    report = replace(report, _modules=(*report._modules, layer))
            report = replace(report, layers=tuple(rows[name] for name, _, _ in found))
            if report._modules:
                report = _whole(call, report)
        except BaseException:
            report.restore()
            raise
    if report.ratio is not None and report.ratio < 1:
        report.restore()
        slower = "the whole model is no faster with it"
        layers = tuple(replace(each, kept=each.kept or slower) for each in report.layers)
        report = replace(report, layers=layers, _modules=())
    return report


def restore(model: nn.Module) -> None:
    """Give every layer that `accelerate` swapped its own class back, also in a copy of the model.

    Parameters
    ----------
    model : Module
        Any; layers that are not swapped are left alone.

    Examples
    --------
    >>> import copy, torch, unsample.torch as ut
    >>> model = torch.nn.Sequential(torch.nn.MaxPool2d(2))
    >>> report = ut.accelerate(model, torch.zeros(1, 2, 64, 64))
    >>> twin = copy.deepcopy(model)
    >>> ut.restore(twin)
    >>> type(twin[0])
    <class 'torch.nn.modules.pooling.MaxPool2d'>
    """
    for module in model.modules():
        _become(module, PLAIN)


# -- what there is ----------------------------------------------------------------------------------------

Candidate = tuple[str, nn.Module, str]


def _arguments(model: nn.Module, example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"accelerate: model must be a torch.nn.Module, got {describe(model)}")
    for name, layer in model.named_modules():
        if isinstance(layer, torch.jit.ScriptModule) or hasattr(layer, "_orig_mod"):
            raise TypeError(
                "accelerate: model must be a torch.nn.Module that is not compiled or scripted yet, "
                f"got {type(layer).__name__}" + (f" at {name!r}" if name else "")
            )
        if any(isinstance(each, nn.UninitializedParameter) for each in layer.parameters(recurse=False)):
            raise ShapeError(
                f"accelerate: model must have run once, its lazy layer {name!r} has no weights yet"
            )
    if isinstance(example, dict):
        return (), example
    return (example if isinstance(example, tuple) else (example,)), {}


def _candidates(model: nn.Module, only: Callable[[str, nn.Module], bool] | None) -> list[Candidate]:
    """Layers of torch.nn that have a counterpart, and why some are left alone from the start."""
    found = []
    for name, layer in model.named_modules():
        kind = type(layer)
        if not any(isinstance(layer, each) for each in FASTER):
            continue
        kept = ""
        if only is not None and not only(name, layer):
            continue
        if counterpart(layer, PLAIN) is not None or kind.__module__.startswith("unsample."):
            kept = "it is unsample's already"
        elif "forward" in vars(layer):
            kept = "its forward was replaced"
        elif counterpart(layer, FASTER) is None:
            kept = f"{kind.__name__} is a subclass of torch's layer"
        found.append((name, layer, kept))
    return found


def _become(layer: nn.Module, classes: dict[type[nn.Module], type[nn.Module]]) -> None:
    """Change the class of a layer to its counterpart, if it has one."""
    other = counterpart(layer, classes)
    if other is not None:
        layer.__class__ = other


# -- running without a trace ------------------------------------------------------------------------------


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Random number generators and buffers as they were."""
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
class _Call:
    """The model on its example, forward or forward and backward."""

    model: nn.Module
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    training: bool

    def forward(self) -> Any:
        args, kwargs = self.arguments
        with torch.set_grad_enabled(self.training):
            return self.model(*args, **kwargs)

    def __call__(self) -> Any:
        result = self.forward()
        if self.training:
            outputs = [each for each in _tensors(result) if each.requires_grad]
            weights = [p for p in self.model.parameters() if p.requires_grad]
            ones = [torch.ones_like(each) for each in outputs]
            if outputs and weights:
                torch.autograd.grad(outputs, weights, ones, allow_unused=True)
        return result


def _tensors(values: Any) -> list[Tensor]:
    return [each for each in pytree.tree_leaves(values) if isinstance(each, Tensor)]


@dataclass(frozen=True, slots=True)
class _Recorded:
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


def _recorded(
    call: _Call, found: list[Candidate]
) -> tuple[dict[int, list[_Recorded]], tuple[tuple[str, int], ...]]:
    """Run the model once: every call of every candidate, and what is called as a function."""
    calls: dict[int, list[_Recorded]] = {}
    counting = _Counting()

    def enter(layer: nn.Module, args: Any, kwargs: Any) -> None:
        counting.inside += 1

    def leave(layer: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        counting.inside -= 1
        kept = _cut(args), _cut(kwargs), result if isinstance(result, tuple) else None
        calls.setdefault(id(layer), []).append(_Recorded(*kept))

    hooks = [layer.register_forward_pre_hook(enter, with_kwargs=True) for _, layer, _ in found]
    hooks += [layer.register_forward_hook(leave, with_kwargs=True) for _, layer, _ in found]
    try:
        with counting:
            call.forward()
    finally:
        for hook in hooks:
            hook.remove()
    return calls, tuple(sorted(counting.seen.items()))


def _cut(values: Any) -> Any:
    """Tensors cut from what made them; indices themselves, which know their switches."""
    return pytree.tree_map(lambda x: _leaf(x, x), values)


# -- right, and faster ------------------------------------------------------------------------------------


def _judged(name: str, layer: nn.Module, kept: str, calls: list[_Recorded], training: bool) -> TimedLayer:
    """Verify and time a layer; swap it if it is right and faster."""
    shapes = tuple(
        tuple(call.args[0].shape) for call in calls if call.args and isinstance(call.args[0], Tensor)
    )
    row = TimedLayer(name, type(layer).__name__, shapes, kept=kept)
    theirs, ours = type(layer), counterpart(layer, FASTER)
    if kept or ours is None:
        return row
    if not calls:
        return replace(row, kept="the example does not reach it")
    for call in calls:
        wrong = _unfit(call) or _wrong(layer, call, training)
        if wrong:
            return replace(row, kept=wrong)
    steps = [_Step(layer, call, training) for call in calls]

    def run(kind: type[nn.Module]) -> None:
        layer.__class__ = kind
        for step in steps:
            step()

    try:
        ms_before, ms_after, ratio = _in_turn(lambda: run(theirs), lambda: run(ours))
    finally:
        layer.__class__ = theirs
    row = replace(row, ms_before=ms_before, ms_after=ms_after, ratio=ratio)
    if ratio < FASTER_BY:
        return replace(row, kept="not faster")
    layer.__class__ = ours
    for call in calls:
        _tell_switches(layer, call)
    return row


def _unfit(call: _Recorded) -> str:
    """What in the inputs the kernels do not take."""
    for x in _tensors((call.args, call.kwargs)):
        if x.device.type != "cpu":
            return f"its input is on {x.device.type}"
        if x.is_floating_point() and x.dtype not in (torch.float32, torch.float64):
            return f"its input is {dtype_name(x.dtype)}"
    return ""


def _tell_switches(layer: nn.Module, call: _Recorded) -> None:
    """Let the indices that the layers behind were given know our switches, as they will from now on."""
    if isinstance(call.result, tuple) and len(call.result) == 2:
        with torch.no_grad():
            _, indices = layer.forward(*call.args, **call.kwargs)
        switches = remembered(indices)
        if switches is not None:
            remember(call.result[1], switches)


@dataclass(frozen=True, slots=True)
class _Step:
    """One recorded call of a layer, without its hooks; the gradients too in training."""

    layer: nn.Module
    call: _Recorded
    training: bool

    def __call__(self) -> None:
        with torch.set_grad_enabled(self.training):
            result = self.layer.forward(*self.call.args, **self.call.kwargs)
        outputs = [each for each in _tensors(result) if each.requires_grad]
        if self.training and outputs:
            over = [x for x in _tensors(self.call.args) if x.requires_grad] + self.weights()
            torch.autograd.grad(outputs, over, [torch.ones_like(each) for each in outputs], allow_unused=True)

    def weights(self) -> list[Tensor]:
        """Where gradients go: parameters, or the plain tensors that weight_norm puts in their place."""
        if parametrize.is_parametrized(self.layer):
            return [p for p in self.layer.parameters() if p.requires_grad]
        named = [getattr(self.layer, name, None) for name in ("weight", "bias")]
        return [each for each in named if isinstance(each, Tensor) and each.requires_grad]


class _Function(TorchFunctionMode):
    """The one function of torch.nn.functional that a layer is."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in FUNCTIONS:
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def _wrong(layer: nn.Module, call: _Recorded, training: bool) -> str:
    """Why our kernels may not compute this call; nothing where results and gradients are torch's."""
    with torch.set_grad_enabled(training), _Function() as seen:
        layer.forward(*call.args, **call.kwargs)
    if len(seen.calls) != 1:
        return "it does not call its own function of torch"
    function, args, kwargs = seen.calls[0]
    leaves = [_leaf(x, x) for x in args]
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
    sizes = [_leaf(x if chooses or not _is_real(x) else x.detach().abs(), x) for x in leaves]
    with torch.set_grad_enabled(training):
        magnitude = function(*sizes, **kwargs)
    terms = _terms(layer, args, _tensors(theirs)[0])
    for a, b, size in zip(_tensors(theirs), _tensors(ours), _tensors(magnitude), strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return (
                f"WRONG: {tuple(b.shape)} {dtype_name(b.dtype)}, not {tuple(a.shape)} {dtype_name(a.dtype)}"
            )
        if a.stride() != b.stride():
            return "its memory format would change"
        if not _equal(a, b, None if exact else size, terms[0]):
            return f"WRONG: results differ from torch's by {_gap(a, b):.2g}"
    if not training:
        return ""
    out, our_out, size_out = (_tensors(each)[0] for each in (theirs, ours, magnitude))
    over = [i for i, x in enumerate(leaves) if _is_real(x) and x.requires_grad]
    if not out.requires_grad or not over:
        return ""
    cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(0), dtype=out.dtype)
    slopes, our_slopes, bounds = (
        torch.autograd.grad(y, [from_[i] for i in over], g)
        for y, from_, g in (
            (out, leaves, cotangent),
            (our_out, leaves, cotangent),
            (size_out, sizes, cotangent.abs()),
        )
    )
    for i, a, b, size in zip(over, slopes, our_slopes, bounds, strict=True):
        if not _equal(a, b, size, terms[1 + min(i, 2)]):
            return f"WRONG: gradients differ from torch's by {_gap(a, b):.2g}"
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


def _leaf(x: Any, like: Any) -> Any:
    """`x` cut from what made it, asking for a gradient where `like` does."""
    return x.detach().requires_grad_(like.requires_grad) if _is_real(x) else x


def _is_real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


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


def _equal(theirs: Tensor, ours: Tensor, magnitude: Tensor | None, terms: int) -> bool:
    """Bit for bit, or each within terms * eps * magnitude of the exact sum."""
    if magnitude is None:
        if not theirs.is_floating_point():
            return torch.equal(theirs, ours)
        bits = torch.int32 if theirs.dtype == torch.float32 else torch.int64
        return torch.equal(theirs.view(bits), ours.view(bits))
    bound = 2 * terms * torch.finfo(theirs.dtype).eps * magnitude
    same = (theirs == ours) | (theirs.isnan() & ours.isnan())  # also infinities
    return bool((same | ((theirs - ours).abs() <= bound)).all())


def _gap(theirs: Tensor, ours: Tensor) -> float:
    return float((theirs.detach().double() - ours.detach().double()).abs().max())


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


def _whole(call: _Call, report: Acceleration) -> Acceleration:
    """Time the whole model with and without what was swapped, and compare its outputs."""
    classes = [(module, type(module)) for module in report._modules]

    def use(swapped: bool) -> None:
        for module, ours in classes:
            if swapped:
                module.__class__ = ours
            else:
                _become(module, PLAIN)

    def outputs(swapped: bool) -> list[Tensor]:
        use(swapped)
        with _undisturbed(call.model):
            return _tensors(call.forward())

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
        _gap(a, b) / max(float(a.detach().abs().max()), torch.finfo(a.dtype).tiny)
        for a, b in zip(plain, fast, strict=True)
        if a.is_floating_point() and a.numel()
    ]
    return replace(report, ms_before=before, ms_after=after, ratio=ratio, difference=max(gaps, default=0.0))


def _bar(found: list[Candidate], progress: bool) -> Any:
    if not progress or not sys.stderr.isatty():
        return found
    try:
        from tqdm import tqdm
    except ImportError:
        return found
    return tqdm(found, desc="accelerate", unit="layer", leave=False)
