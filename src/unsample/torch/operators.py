"""The operators `torch.ops.unsample.*`: one of every operation, and two between switches and indices.

An operator takes tensors, its windows as integers (`windows.py`), and words; `functional.py` makes these of
what users write. Windows are SymInt[], so that compiled and exported graphs keep sizes as symbols. What
computes, fakes, derives and maps an operator is made of the operation's record.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

from unsample.operation import Operation
from unsample.pairs import OPERATIONS
from unsample.torch import autograd, compute, indices, vmap

# Sums of products, which autocast takes in the smaller dtype as it does torch's convolutions.
PRODUCTS = ("conv", "conv_transpose", "conv_weight_grad")
DEVICES = {"AutocastCPU": "cpu", "AutocastCUDA": "cuda", "AutocastXPU": "xpu", "AutocastMPS": "mps"}

_library = torch.library.Library("unsample", "DEF")


def schema_of(operation: Operation) -> str:
    """The schema of an operator.

    Examples
    --------
    >>> schema_of(OPERATIONS["conv"])
    '(Tensor x, Tensor weight, Tensor? bias, SymInt[] windows, SymInt groups, str padding_mode) -> Tensor'
    """
    types = {"int": "SymInt"}
    tensors = [f"{'Tensor?' if name == 'bias' else 'Tensor'} {name}" for name in operation.arrays]
    words = {**operation.words, **operation.plan_words}
    told = [f"{types.get(kind, kind)} {name}" for name, kind in words.items()]
    result = "(Tensor, Tensor)" if operation.lies == "pooled" else "Tensor"
    return f"({', '.join([*tensors, 'SymInt[] windows', *told])}) -> {result}"


SCHEMAS = {name: schema_of(operation) for name, operation in OPERATIONS.items()} | indices.SCHEMAS
KERNELS: dict[str, Callable[..., Any]] = {
    name: compute.kernel_of(operation) for name, operation in OPERATIONS.items()
} | indices.KERNELS


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


def _register(name: str, fake: Callable[..., Any], mapped: vmap.Rule) -> None:
    _library.define(name + SCHEMAS[name], tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(name, KERNELS[name], "CompositeExplicitAutograd")
    torch.library.register_fake(f"unsample::{name}", fake, lib=_library)
    torch.library.register_vmap(f"unsample::{name}", mapped, lib=_library)


def _multiply_adds(operation: Operation) -> Callable[..., Any]:
    """Two times the multiply-adds, as torch counts its own convolutions, padding included."""

    def count(*shapes: Any, out_shape: Any, **_: Any) -> int:
        given = dict(zip(operation.arrays, shapes, strict=False))
        if operation.name == "conv_weight_grad":
            weight, many = out_shape, given["y"]
        else:
            weight, many = given["weight"], given["y"] if operation.up else out_shape
        rank = len(weight) - 2
        batch = many[0] if len(many) == rank + 2 else 1
        return 2 * int(batch * math.prod(many[len(many) - rank :]) * math.prod(weight))

    return count


for _name, _operation in OPERATIONS.items():
    _register(_name, compute.fake_of(_operation), vmap.rule_of(_operation))
    _library.impl(_name, autograd.kernel_of(_operation), "Autograd")
for _name in indices.SCHEMAS:
    _register(_name, indices.FAKES[_name], vmap.leading(_name))
for _name in PRODUCTS:
    for _key, _device in DEVICES.items():
        _library.impl(_name, _autocast(_name, _key, _device), _key)
    register_flop_formula(getattr(torch.ops.unsample, _name))(_multiply_adds(OPERATIONS[_name]))
