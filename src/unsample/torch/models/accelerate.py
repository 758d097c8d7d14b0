"""`accelerate`: every layer of a model that our kernels run faster, found, verified, timed and swapped.

Its questions have a file each: which calls a layer gets (`recorded.py`), whether ours are torch's
(`agreement.py`), which are faster (`timing.py`), what was done (`acceleration.py`).
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from unsample.arrays.library import dtype_name
from unsample.errors import ShapeError
from unsample.geometry.arguments import describe
from unsample.torch.models.acceleration import Acceleration, Swap, TimedLayer, become
from unsample.torch.models.agreement import disagreement
from unsample.torch.models.functions import FLOATS, remember, remembered
from unsample.torch.models.layers import FASTER, PLAIN, counterpart
from unsample.torch.models.recorded import ModelCall, Recorded, arguments, record, undisturbed
from unsample.torch.models.timing import time_layer, time_model
from unsample.torch.models.values import tensors

__all__ = ["Acceleration", "TimedLayer", "accelerate", "restore"]

FASTER_BY = 1.05  # what is swapped must be faster by more than timing errs


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
    class, and remember in which element type, autocast and memory format they were timed: in any other they
    call torch's own function. The object, its parameters, hooks, `state_dict` keys and mode stay. In the end
    the whole model is compared and timed both ways.

    Parameters
    ----------
    model : Module
        In the mode and element type in which it will run, on the CPU. Where it will run under
        torch.autocast, call `accelerate` there.
    example : Tensor, tuple or dict
        Arguments of the model, of the size and memory format it will see; every run gets a copy. A tuple of
        ints is the shape of one, of random numbers.
    training : bool
        Whether forward and backward are compared and timed, or forward alone without gradients. Gradients are
        those of parameters and of inputs that ask for one; of all inputs where nothing asks.
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
    of terms: within twice that of torch's, or within it of torch's own function in float64. Outputs of the
    whole model, and gradients, must differ by less than the square root of eps of their largest, or lie about
    as near to a run in float64 as torch's do; else all is undone. Faster means by more than 5 % in three of
    four rounds.

    The example, random number generators, parameters, buffers, gradients and attributes of the modules are as
    they were afterwards. Layers of a class that is derived from torch's are kept, parametrized ones apart:
    their `forward` may be another. While torch compiles, exports, traces or maps, swapped layers call torch's
    own functions.

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
    _check(model)
    found = _candidates(model, only)
    with undisturbed(model):
        call = ModelCall(model, arguments(model, example), training)
        calls, functions = record(call, [layer for _, layer, _ in found])
        # In the order of the calls: a pooling before the unpooling that takes its indices.
        order = {layer: turn for turn, layer in enumerate(calls)}
        turns = sorted(found, key=lambda each: order.get(id(each[1]), len(order)))
        report = Acceleration((), training, torch.get_num_threads(), functions=functions)
        rows: dict[str, TimedLayer] = {}
        try:
            for name, layer, kept in _bar(turns, progress):
                rows[name], swap = _judged(name, layer, kept, calls.get(id(layer), []), training)
                if swap is not None:
                    report = replace(report, _swaps=(*report._swaps, swap))
            report = replace(report, layers=tuple(rows[name] for name, _, _ in found))
            if report._swaps:
                report = time_model(call, report)
        except BaseException:
            report.restore()
            raise
    undone = ""
    if report.wrong:
        undone = "the results of the whole model are not torch's with it"
    elif report.times is not None and report.times.low < 1:
        undone = "the whole model is not surely faster with it"
    for swap in report._swaps:
        swap.set(not undone)  # once more: what it keeps on the layer was taken off with what the model wrote
    if undone:
        layers = tuple(replace(each, kept=each.kept or undone) for each in report.layers)
        report = replace(report, layers=layers, _swaps=())
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
        become(module, PLAIN)


Candidate = tuple[str, nn.Module, str]


def _check(model: nn.Module) -> None:
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


def _judged(
    name: str, layer: nn.Module, kept: str, calls: list[Recorded], training: bool
) -> tuple[TimedLayer, Swap | None]:
    """Verify and time a layer; swap it if it is right and faster."""
    shapes = tuple(
        tuple(call.args[0].shape) for call in calls if call.args and isinstance(call.args[0], torch.Tensor)
    )
    row = TimedLayer(name, type(layer).__name__, shapes, kept=kept)
    ours = counterpart(layer, FASTER)
    if kept or ours is None:
        return row, None
    if not calls:
        return replace(row, kept="the example does not reach it"), None
    for call in calls:
        wrong = _unfit(call) or disagreement(layer, call, training)
        if wrong:
            return replace(row, kept=wrong), None
    swap = Swap(layer, ours, {call.setting: call.made for call in calls})
    row = time_layer(row, layer, swap, calls, training)
    if row.times is None or row.times.low < FASTER_BY:
        faster = row.times is not None and row.times.ratio >= FASTER_BY
        return replace(row, kept="not surely faster" if faster else "not faster"), None
    swap.set(True)
    for call in calls:
        _tell_switches(layer, call)
    return row, swap


def _unfit(call: Recorded) -> str:
    """What in the inputs the kernels do not take."""
    for x in tensors((call.args, call.kwargs)):
        if x.device.type != "cpu":
            return f"its input is on {x.device.type}"
        if x.is_floating_point() and x.dtype not in FLOATS:
            return f"its input is {dtype_name(x.dtype)}"
    return ""


def _tell_switches(layer: nn.Module, call: Recorded) -> None:
    """Let the indices that the layers behind were given know our switches, as they will from now on."""
    if isinstance(call.result, tuple) and len(call.result) == 2:
        with torch.no_grad(), call.autocast():
            _, indices = layer.forward(*call.args, **call.kwargs)
        switches = remembered(indices)
        if switches is not None:
            remember(call.result[1], switches)


def _bar(found: list[Candidate], progress: bool) -> Any:
    if not progress or not sys.stderr.isatty():
        return found
    try:
        from tqdm import tqdm
    except ImportError:
        return found
    return tqdm(found, desc="accelerate", unit="layer", leave=False)
