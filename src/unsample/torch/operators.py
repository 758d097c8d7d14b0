"""The operators `torch.ops.unsample.*`: their schemas, and what computes, fakes, derives and maps each.

An operator takes tensors, lists of integers and words, all explicit: one number per axis, padding as
before, after, before, after, ..., and windows as `windows.py` writes them. `functional.py` makes these
of what users write. Lists of sizes are SymInt[], so that compiled and exported graphs keep them as symbols.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch

from unsample.arrays.library import check_memory
from unsample.torch import autograd, compute, shapes, vmap

SCHEMAS: dict[str, str] = {
    "nearest": "(Tensor x, int[] factor) -> Tensor",
    "window_sum": "(Tensor y, int[] factor) -> Tensor",
    "bed_of_nails": "(Tensor x, int[] factor, int[] at, SymInt[] output_size) -> Tensor",
    "decimate": "(Tensor y, int[] factor, int[] at) -> Tensor",
    "pixel_shuffle": "(Tensor x, int[] factor, str order) -> Tensor",
    "pixel_unshuffle": "(Tensor y, int[] factor, str order) -> Tensor",
    "resize": "(Tensor x, SymInt[] output_size, str method, str convention, bool antialias) -> Tensor",
    "resize_transpose": (
        "(Tensor y, SymInt[] input_size, str method, str convention, bool antialias) -> Tensor"
    ),
    "max_pool": (
        "(Tensor x, int[] kernel_size, int[] stride, SymInt[] padding, int[] dilation, bool ceil_mode) "
        "-> (Tensor, Tensor)"
    ),
    "adaptive_max_pool": "(Tensor x, SymInt[] output_size) -> (Tensor, Tensor)",
    "max_unpool": "(Tensor values, Tensor switches, SymInt[] windows, str duplicates) -> Tensor",
    "max_gather": "(Tensor x, Tensor switches, SymInt[] windows) -> Tensor",
    "switches_to_indices": "(Tensor switches, SymInt[] windows) -> Tensor",
    "indices_to_switches": "(Tensor indices, SymInt[] windows) -> Tensor",
    "conv": (
        "(Tensor x, Tensor weight, Tensor? bias, int[] stride, SymInt[] padding, int[] dilation, "
        "SymInt groups, str padding_mode) -> Tensor"
    ),
    "conv_transpose": (
        "(Tensor y, Tensor weight, Tensor? bias, int[] stride, SymInt[] padding, int[] dilation, "
        "SymInt groups, str padding_mode, SymInt[] output_size) -> Tensor"
    ),
    "conv_weight_grad": (
        "(Tensor x, Tensor y, SymInt[] kernel_size, int[] stride, SymInt[] padding, int[] dilation, "
        "SymInt groups, str padding_mode) -> Tensor"
    ),
}

# Sums of products, which autocast takes in the smaller dtype as it does torch's convolutions.
AUTOCAST = ("conv", "conv_transpose", "conv_weight_grad")
DEVICES = {"AutocastCPU": "cpu", "AutocastCUDA": "cuda", "AutocastXPU": "xpu", "AutocastMPS": "mps"}

_library = torch.library.Library("unsample", "DEF")


def computed(name: str) -> Callable[..., Any]:
    """The operator's kernel: on every device, below autograd."""
    kernel_of, fake = getattr(compute, name), getattr(shapes, name)
    short, names = compute.SHORT.get(name), list(inspect.signature(fake).parameters)

    def kernel(*arguments: Any) -> Any:
        done = None if short is None else short(*arguments)
        if done is not None:
            return done
        for argument, x in zip(names, arguments, strict=False):
            if isinstance(x, torch.Tensor):
                check_memory(name, argument, x)
        return kernel_of(*arguments, lambda: fake(*arguments))

    return kernel


def _autocast(name: str, key: str, device: str) -> Callable[..., Any]:
    overload = getattr(torch.ops.unsample, name).default
    excluded = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))

    def cast(x: Any, dtype: torch.dtype) -> Any:
        eligible = isinstance(x, torch.Tensor) and x.is_floating_point() and x.dtype != torch.float64
        return x.to(dtype) if eligible and x.device.type == device else x

    def kernel(*arguments: Any) -> Any:
        dtype = torch.get_autocast_dtype(device)
        with torch._C._ExcludeDispatchKeyGuard(excluded):
            return overload(*(cast(each, dtype) for each in arguments))

    return kernel


KERNELS: dict[str, Callable[..., Any]] = {name: computed(name) for name in SCHEMAS}


def _register() -> None:
    for name, schema in SCHEMAS.items():
        _library.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
        _library.impl(name, KERNELS[name], "CompositeExplicitAutograd")
        torch.library.register_fake(f"unsample::{name}", getattr(shapes, name), lib=_library)
        torch.library.register_vmap(f"unsample::{name}", vmap.RULES[name], lib=_library)
        if name in autograd.KERNELS:
            _library.impl(name, autograd.KERNELS[name](), "Autograd")
        if name in AUTOCAST:
            for key, device in DEVICES.items():
                _library.impl(name, _autocast(name, key, device), key)


_register()
