"""`torch.vmap` of every operator: what is mapped over becomes a leading axis, or groups of a convolution.

A rule is called as `rule(info, in_dims, *arguments)` and returns the result and where its mapped axis is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from unsample.operation import Operation
from unsample.torch.autograd import operator
from unsample.torch.windows import PER_AXIS

Tensor = torch.Tensor
Rule = Callable[..., tuple[Any, Any]]


def leading(name: str, tensors: int = 1, results: int = 1) -> Rule:
    """The rule of an operator whose first `tensors` arguments take any number of leading axes."""

    def rule(info: Any, in_dims: Sequence[int | None], *arguments: Any) -> tuple[Any, Any]:
        mapped = [
            x.unsqueeze(0).expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(arguments[:tensors], in_dims, strict=False)
        ]
        result = operator(name)(*mapped, *arguments[tensors:])
        return result, 0 if results == 1 else (0,) * results

    return rule


def _first(x: Tensor, dim: int | None) -> Tensor:
    return x if dim is None else x.movedim(dim, 0)


def _batched(x: Tensor, dim: int | None, rank: int) -> Tensor:
    """(B, N, C, *spatial), or (N, C, *spatial) of what is not mapped; a batch of 1 where there is none."""
    x = _first(x, dim)
    axis = 0 if dim is None else 1
    return x.unsqueeze(axis) if x.ndim == rank + axis + 1 else x


def _into_batch(x: Tensor) -> Tensor:
    """(B, N, ...) -> (B * N, ...)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _into_channels(x: Tensor, dim: int | None, size: int) -> Tensor:
    """(B, N, C, ...) or (N, C, ...) -> (N, B * C, ...)."""
    x = x.expand(size, *x.shape) if dim is None else x
    x = x.transpose(0, 1)
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:])


def convolution(name: str) -> Rule:
    """`conv` and `conv_transpose`: over inputs alone a larger batch, over weights as many groups more."""

    def rule(
        info: Any, in_dims: Sequence[int | None], x: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any
    ) -> tuple[Any, Any]:
        of_x, of_weight, of_bias, *_ = in_dims
        windows, groups, mode = rest
        rank, size = len(windows) // PER_AXIS, info.batch_size
        single = x.ndim == rank + (1 if of_x is None else 2)
        x = _batched(x, of_x, rank)
        inside = bias if of_bias is None and of_weight is None else None
        if of_weight is None and of_x is None:
            result = operator(name)(x, weight, inside, *rest)
            result = result.expand(size, *result.shape)
        elif of_weight is None:
            result = operator(name)(_into_batch(x), weight, inside, *rest)
            result = result.unflatten(0, (size, x.shape[1]))
        else:
            kernels = _into_batch(_first(weight, of_weight))
            mixed = _into_channels(x, of_x, size)
            result = operator(name)(mixed, kernels, None, windows, groups * size, mode)
            result = result.unflatten(1, (size, result.shape[1] // size)).transpose(0, 1)
        if bias is not None and inside is None:
            each = _first(bias, of_bias)
            each = each.expand(size, each.shape[-1])
            result = result + each.reshape(size, 1, -1, *(1,) * rank)
        return (result.squeeze(1) if single else result), 0

    return rule


def weight_gradient(
    info: Any, in_dims: Sequence[int | None], x: Tensor, y: Tensor, *rest: Any
) -> tuple[Any, Any]:
    """`conv_weight_grad`: every mapped pair is a group more."""
    windows, groups, mode = rest
    rank, size = len(windows) // PER_AXIS, info.batch_size
    fine = _into_channels(_batched(x, in_dims[0], rank), in_dims[0], size)
    coarse = _into_channels(_batched(y, in_dims[1], rank), in_dims[1], size)
    result = operator("conv_weight_grad")(fine, coarse, windows, groups * size, mode)
    return result.unflatten(0, (size, result.shape[0] // size)), 0


OWN: dict[str, Rule] = {
    "conv": convolution("conv"),
    "conv_transpose": convolution("conv_transpose"),
    "conv_weight_grad": weight_gradient,
}


def rule_of(operation: Operation) -> Rule:
    """The rule of an operator."""
    results = 2 if operation.lies == "pooled" else 1
    return OWN.get(operation.name) or leading(operation.name, len(operation.arrays), results)
