"""`set_upsampler`: another way up in every place of a model where there is one."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import nn

from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, is_sequence
from unsample.tables import text_table
from unsample.torch.layers import content, conv, learned, resize
from unsample.torch.layers.resize import MODES
from unsample.torch.models.called import WayCalled, ways_called
from unsample.torch.models.recorded import ModelCall, arguments, undisturbed
from unsample.torch.models.weights import take_weights

Tensor = torch.Tensor

FIXED = ("nearest", "bed_of_nails", "linear", "blur")
LEARNED = ("conv_transpose", "pixel_shuffle", "resize_conv", "carafe", "dysample")
UPSAMPLERS = (*FIXED, *LEARNED)

_UPS: dict[int, Any] = {1: conv.ConvTranspose1d, 2: conv.ConvTranspose2d, 3: conv.ConvTranspose3d}


@dataclass(frozen=True, slots=True)
class Swap:
    """One way up of a model, and what became of it.

    Parameters
    ----------
    name : str
        Where it is, as in `model.named_modules()`.
    was, now : str
        Kinds of layer; the same where it was kept.
    channels : tuple of int or None
        In and out, None where neither the layer nor an example says.
    factor : tuple of int
        Per axis; a single number where the layer does not say how many axes there are.
    parameters : tuple of int
        Before and after.
    weights : str
        "none" where nothing is learned; "kept", "kept inside" where the border alone differs, or "new".
    kept : str
        Why it was left as it was, or nothing.
    axes : int or None
        Spatial axes, where the layer or an example says.
    """

    name: str
    was: str
    now: str = ""
    channels: tuple[int | None, int | None] = (None, None)
    factor: tuple[int, ...] = ()
    parameters: tuple[int, int] = (0, 0)
    weights: str = ""
    kept: str = ""
    axes: int | None = None


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What `set_upsampler` did: one `Swap` per way up, printed as a table.

    Parameters
    ----------
    upsampler : str
    swaps : tuple of Swap
    watched : bool
        Whether there was an example, which shows what the model calls as a function.
    """

    upsampler: str
    swaps: tuple[Swap, ...]
    watched: bool = True
    _undo: tuple[tuple[nn.Module, str, nn.Module], ...] = field(default=(), repr=False, compare=False)

    def restore(self) -> None:
        """Put every layer back that was there before, with the weights that it had."""
        for parent, name, layer in self._undo:
            setattr(parent, name, layer)

    def as_dict(self) -> dict[str, Any]:
        """Everything it says, in plain values."""
        swaps = [asdict(swap) for swap in self.swaps]
        return {"upsampler": self.upsampler, "watched": self.watched, "swaps": swaps}

    def to_json(self) -> str:
        """`as_dict()` as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    @property
    def changed(self) -> tuple[Swap, ...]:
        """The replacements that were made."""
        return tuple(swap for swap in self.swaps if not swap.kept)

    def __repr__(self) -> str:
        rows = [("layer", "was", "is", "channels", "factor", "parameters", "weights")]
        for swap in self.swaps:
            rows.append(
                (
                    swap.name or "(the model)",
                    swap.was,
                    f"kept: {swap.kept}" if swap.kept else swap.now,
                    " -> ".join("?" if c is None else str(c) for c in swap.channels),
                    "x".join(map(str, swap.factor)),
                    f"{swap.parameters[0]} -> {swap.parameters[1]}",
                    swap.weights,
                )
            )
        number = len(self.changed)
        head = f"set_upsampler {self.upsampler!r}: {number} of {len(self.swaps)} swapped"
        notes = []
        if any(swap.weights == "new" for swap in self.swaps):
            notes.append("weights that are new know nothing yet: train the model, or fine-tune it")
        if not self.watched:
            notes.append("functions that the model calls are not listed: example= would show them")
        if not self.swaps:
            return "\n".join([f"{head}: the model has no layer that is a way up", *notes])
        return "\n".join([head, *text_table(rows), *notes])


class ProjectedUp(nn.Module):
    """A 1x1 convolution to the channels wanted, then a way up that keeps them.

    Parameters
    ----------
    project, up : Module
    """

    def __init__(self, project: nn.Module, up: nn.Module) -> None:
        super().__init__()
        self.project, self.up = project, up

    def forward(self, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Further arguments, such as `output_size`, go to the way up."""
        result: Tensor = self.up(self.project(input), *args, **kwargs)
        return result


def set_upsampler(
    model: nn.Module,
    upsampler: str,
    *,
    example: Any = None,
    only: Callable[[str, nn.Module], bool] | None = None,
    keep_weights: bool = True,
) -> SwapReport:
    """Swap every way up of a model, in place, for another of the same effect on shapes.

    Parameters
    ----------
    model : Module
        Its layers may be torch.nn's or ours: transposed convolutions, upsampling, pixel shuffles, all of
        this library. What is called as a function inside `forward` is not changed; an example shows it.
    upsampler : str
        "nearest", "bed_of_nails", "linear" or "blur", which learn nothing; "conv_transpose", "pixel_shuffle",
        "resize_conv", "carafe" or "dysample", which learn.
    example : Tensor, tuple or dict, optional
        Arguments of the model, as `accelerate` takes them. It is run once with a copy of them, to see the
        channels of layers that do not know theirs and the ways up that are called as functions; needed to put
        a way up that learns in the place of one such as torch.nn.Upsample.
    only : callable, optional
        `only(name, layer)`; False leaves a layer alone.
    keep_weights : bool
        Whether a new layer takes over what the old one did, if it can: "conv_transpose" and "pixel_shuffle"
        whatever adds up the nearest elements. The column "weights" says for which it did, for which inside
        of the border alone, and which start anew.

    Returns
    -------
    SwapReport
        Prints as a table; what was kept says why. `restore()` undoes all of it.

    Raises
    ------
    ShapeError, TypeError
        Where `upsampler` is not one of the words.

    Notes
    -----
    A way up that changes channels becomes a 1x1 convolution and one that keeps them, if the new kind does
    so. Layers that do not make exactly factor times the size, unpooling, which needs its switches, and calls
    of functions, which no layer holds, are kept. New layers take device, dtype, training mode, hooks and
    foreign attributes of the old.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 8, 3), torch.nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
    ... )
    >>> ut.set_upsampler(model, "pixel_shuffle")
    set_upsampler 'pixel_shuffle': 1 of 1 swapped
    layer  was              is            channels  factor  parameters   weights
    1      ConvTranspose2d  SubPixelConv  8 -> 4    2x2     516 -> 1168  kept
    functions that the model calls are not listed: example= would show them
    >>> model(torch.zeros(1, 3, 6, 6)).shape
    torch.Size([1, 4, 8, 8])
    """
    choice("set_upsampler", "upsampler", upsampler, UPSAMPLERS)
    found = _ways_up(model, only)
    calls: list[Swap] = []
    if example is not None:
        found, calls = _watched(model, found, example, only)
    swaps, undo = [], []
    fresh, told = dict[int, nn.Module](), dict[int, str]()
    for name, layer, site in found:
        if not name:
            site = replace(site, kept="it is the model itself")
        if not site.kept and id(layer) not in fresh:
            built = _build(site, upsampler)
            if isinstance(built, str):
                site = replace(site, kept=built)
            elif _alike(layer, built):
                site = replace(site, kept="it is one already")
            else:
                fresh[id(layer)] = _in_place_of(layer, built, model)
                told[id(layer)] = _weights(layer, built, site, keep_weights)
        before = _parameters(layer)
        if site.kept:
            swaps.append(replace(site, now=site.was, parameters=(before, before)))
            continue
        new = fresh[id(layer)]
        parent, _, last = name.rpartition(".")
        undo.append((model.get_submodule(parent), last, layer))
        setattr(model.get_submodule(parent), last, new)
        kind = type(new.up if isinstance(new, ProjectedUp) else new).__name__
        now = f"Conv 1x1 + {kind}" if isinstance(new, ProjectedUp) else kind
        parameters = (before, _parameters(new))
        swaps.append(replace(site, now=now, parameters=parameters, weights=told[id(layer)]))
    return SwapReport(upsampler, (*swaps, *calls), example is not None, tuple(undo))


def _parameters(layer: nn.Module) -> int:
    return sum(
        p.numel() for p in layer.parameters() if not isinstance(p, nn.parameter.UninitializedParameter)
    )


def _alike(old: nn.Module, new: nn.Module) -> bool:
    """Whether the old layer is what would be put in its place, made by torch.nn or by us."""
    if not (isinstance(old, type(new)) or isinstance(new, type(old))):
        return False
    if isinstance(new, ProjectedUp) and type(old.up) is not type(new.up):
        return False
    shapes = [{name: value.shape for name, value in each.state_dict().items()} for each in (old, new)]
    return shapes[0] == shapes[1] and bool(shapes[0])


def _weights(old: nn.Module, new: nn.Module, site: Swap, keep: bool) -> str:
    if not _parameters(new):
        return "none"
    inputs = site.channels[0]
    return take_weights(old, new, inputs, site.factor) if keep and inputs is not None else "new"


# What torch.nn's layers hold beside their arguments.
_OWN = frozenset(("training", "transposed", "name"))
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def _of_torch(hook: Any) -> bool:
    return type(hook).__module__.startswith("torch.")


def _in_place_of(old: nn.Module, new: nn.Module, model: nn.Module) -> nn.Module:
    """The new layer on the device of the old, with its hooks and what others have written on it."""
    arguments = inspect.signature(type(old).__init__).parameters
    for name, value in vars(old).items():
        if not (name.startswith("_") or name in _OWN or name in arguments or hasattr(new, name)):
            setattr(new, name, value)
    for name in _HOOKS:
        # torch's own, such as those of weight_norm, compute the weights of the old layer.
        foreign = {key: hook for key, hook in vars(old)[name].items() if not _of_torch(hook)}
        getattr(new, name).update(foreign)
        for options in (f"{name}_with_kwargs", f"{name}_always_called"):
            told = vars(old).get(options, {})
            getattr(new, options, {}).update({key: told[key] for key in foreign if key in told})
    like = next((p for module in (old, model) for p in module.parameters() if p.is_floating_point()), None)
    if like is not None:
        new.to(device=like.device, dtype=like.dtype)
    return new.train(old.training)


# -- what there is ----------------------------------------------------------------------------------------

Found = list[tuple[str, nn.Module, Swap]]


def _ways_up(model: nn.Module, only: Callable[[str, nn.Module], bool] | None) -> Found:
    found: Found = []
    inside: list[str] = []
    for name, layer in model.named_modules(remove_duplicate=False):
        if any(name.startswith(outer) for outer in inside):
            continue
        site = _site(name, layer)
        if site is not None:
            inside.append(f"{name}." if name else "\0")  # the parts of a way up are no ways up
            if only is None or only(name, layer):
                found.append((name, layer, site))
    return found


def _site(name: str, layer: nn.Module) -> Swap | None:
    """What a layer does to channels and sizes; None where it is no way up."""
    site = Swap(name, type(layer).__name__)
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return _of_conv_transpose(site, layer)
    if isinstance(layer, nn.Upsample):
        return _of_upsample(site, layer)
    if isinstance(layer, nn.PixelShuffle):
        factors = resize.factors_of(layer.upscale_factor)
        return replace(site, factor=factors, axes=len(factors))
    if isinstance(layer, resize.Nearest | resize.BedOfNails | learned.BlurUp):
        each: Any = layer.factor
        if not is_sequence(each):
            return replace(site, factor=(each,))
        return replace(site, factor=tuple(each), axes=len(each))
    if isinstance(layer, learned.ResizeConv):
        return replace(site, factor=layer.factor, channels=(layer.conv.in_channels, layer.conv.out_channels))
    if isinstance(layer, learned.SubPixelConv):
        block = torch.Size(layer.factor).numel()
        return _known(site, layer.factor, layer.conv.in_channels, layer.conv.out_channels // block)
    if isinstance(layer, content.CARAFE):
        return replace(site, factor=(layer.factor,) * 2, channels=(layer.channel_compressor.in_channels,) * 2)
    if isinstance(layer, content.DySample):
        own = layer.offset.in_channels * (layer.factor**2 if layer.style == "pl" else 1)
        return _known(site, (layer.factor,) * 2, own, own)
    if isinstance(layer, ProjectedUp):
        inner = _site(name, layer.up)
        assert inner is not None  # it was put there for being a way up
        project: Any = layer.project
        return replace(inner, was=site.was, channels=(project.in_channels, project.out_channels))
    if isinstance(layer, nn.modules.pooling._MaxUnpoolNd):
        factor: Any = layer.stride
        return replace(site, factor=tuple(factor), kept="it needs the switches of its pooling")
    return None


def _known(site: Swap, factor: tuple[int, ...], inputs: int, outputs: int) -> Swap:
    return replace(site, factor=factor, axes=len(factor), channels=(inputs, outputs))


def _of_conv_transpose(site: Swap, layer: Any) -> Swap | None:
    if all(s == 1 for s in layer.stride):
        return None
    site = _known(site, tuple(layer.stride), layer.in_channels, layer.out_channels)
    if layer.in_channels == 0:
        return replace(site, channels=(None, layer.out_channels), kept="it has not seen an input yet")
    if layer.padding == "same":
        return site
    for axis, (k, s, d, more) in enumerate(
        zip(layer.kernel_size, layer.stride, layer.dilation, layer.output_padding, strict=True)
    ):
        extent, pad = d * (k - 1) + 1, layer.padding
        if isinstance(pad, str):
            total = 2 * (extent - 1) if pad == "full" else 0
        else:
            total = sum(pad[axis]) if is_sequence(pad[axis]) else 2 * pad[axis]
        beyond = extent - s - total + more
        if beyond != 0:
            return replace(site, kept=f"it makes {s} n {'+' if beyond > 0 else '-'} {abs(beyond)} of n")
    return site


def _of_upsample(site: Swap, layer: Any) -> Swap:
    if layer.size is not None:
        return replace(site, kept=f"it makes the fixed size {layer.size}")
    each = layer.scale_factor
    factors = tuple(each) if is_sequence(each) else (each,)
    if not all(float(factor).is_integer() for factor in factors):
        return replace(site, kept=f"its factor {each} is no whole number")
    whole = tuple(int(factor) for factor in factors)
    two = isinstance(layer, nn.UpsamplingNearest2d | nn.UpsamplingBilinear2d)
    rank = 2 if two else MODES[layer.mode][2]
    if rank is None and not is_sequence(each):
        return replace(site, factor=whole)
    factor = whole * (rank or 1) if len(whole) == 1 else whole
    return replace(site, factor=factor, axes=len(factor))


def _watched(
    model: nn.Module, found: Found, example: Any, only: Callable[[str, nn.Module], bool] | None
) -> tuple[Found, list[Swap]]:
    """The same with the channels and axes that a run of the model shows, and its calls of functions."""
    seen: dict[int, tuple[torch.Size, torch.Size]] = {}

    def watch(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            seen[id(layer)] = (inputs[0].shape, output.shape)

    with undisturbed(model):
        hooks = [layer.register_forward_hook(watch) for _, layer, _ in found]
        try:
            calls = ways_called(ModelCall(model, arguments(model, example), training=False), _sites(model))
        finally:
            for hook in hooks:
                hook.remove()
    known = []
    for name, layer, site in found:
        if id(layer) in seen:
            before, after = seen[id(layer)]
            rank = len(site.factor) if len(site.factor) > 1 else len(before) - 2
            factor = site.factor * rank if len(site.factor) == 1 else site.factor
            site = replace(site, channels=(before[-rank - 1], after[-rank - 1]), factor=factor, axes=rank)
            whole = tuple(n * f for n, f in zip(before[-rank:], factor, strict=True))
            if not site.kept and after[-rank:] != whole:
                site = replace(site, kept=f"it made {tuple(after[-rank:])} of {tuple(before[-rank:])}")
        known.append((name, layer, site))
    return known, [_of_call(each) for each in calls if only is None or only(each.owner, each.module)]


def _sites(model: nn.Module) -> list[nn.Module]:
    """Every way up among the layers."""
    return [layer for _, layer, _ in _ways_up(model, None)]


def _of_call(call: WayCalled) -> Swap:
    site = Swap(call.owner, call.function, call.function, kept="it is a call in forward, and no layer")
    before, after = call.shapes
    if len(before) != len(after) or len(before) < 3:
        return site
    whole = all(m % n == 0 for n, m in zip(before[2:], after[2:], strict=True))
    factor = tuple(m // n for n, m in zip(before[2:], after[2:], strict=True)) if whole else ()
    return replace(site, channels=(before[1], after[1]), factor=factor, axes=len(before) - 2)


# -- what is put there ------------------------------------------------------------------------------------


def _build(site: Swap, upsampler: str) -> nn.Module | str:
    """The new layer, or why there is none."""
    inputs, outputs = site.channels
    if (upsampler in LEARNED or site.was == "PixelShuffle") and (inputs is None or outputs is None):
        return "example= must be given to know its channels"
    if upsampler == "linear" and site.axes is None:
        return "example= must be given to know its axes"
    rank = len(site.factor)
    if (upsampler in LEARNED or inputs != outputs) and rank not in _UPS:
        return f"there are no convolutions over {rank} axes"
    try:
        if upsampler == "conv_transpose":
            return _conv_transpose(inputs, outputs, site.factor)
        if upsampler == "pixel_shuffle":
            return learned.SubPixelConv(inputs or 0, outputs or 0, 3, site.factor)
        if upsampler == "resize_conv":
            return learned.ResizeConv(inputs or 0, outputs or 0, 3, site.factor)
        up = _keeping_channels(upsampler, outputs, site.factor, site.axes)
    except ShapeError as error:
        return str(error)
    if isinstance(up, str) or inputs == outputs:
        return up
    return ProjectedUp(learned.CONVS[rank](inputs, outputs, 1), up)


def _conv_transpose(inputs: Any, outputs: Any, factor: Sequence[int]) -> nn.Module:
    """Kernels of twice the factor, which overlap evenly, cropped to factor times the size."""
    kernel = [1 if f == 1 else 2 * f for f in factor]
    padding = [(0, 0) if f == 1 else (f // 2, f - f // 2) for f in factor]
    layer: nn.Module = _UPS[len(factor)](inputs, outputs, kernel, stride=factor, padding=padding)
    return layer


def _keeping_channels(
    upsampler: str, channels: Any, factor: tuple[int, ...], axes: int | None
) -> nn.Module | str:
    alone = factor[0] if axes is None else factor
    if upsampler == "nearest":
        return resize.Nearest(alone)
    if upsampler == "bed_of_nails":
        return resize.BedOfNails(alone)
    if upsampler == "blur":
        return learned.BlurUp(alone)
    if upsampler == "linear":
        modes: dict[int, resize.Mode] = {1: "linear", 2: "bilinear", 3: "trilinear"}
        if len(factor) not in modes:
            return f"there is no linear interpolation over {len(factor)} axes in torch.nn"
        return resize.Upsample(scale_factor=tuple(factor), mode=modes[len(factor)])
    if len(factor) != 2 or factor[0] != factor[1]:
        return f"{upsampler} needs two axes and one factor"
    if upsampler == "carafe":
        return content.CARAFE(channels, factor[0])
    groups = next(g for g in (4, 2, 1) if channels % g == 0)
    return content.DySample(channels, factor[0], groups=groups)
