"""The result of every operator without its values: shape, dtype and the real strides."""

from collections.abc import Callable
from typing import Any

import torch

from unsample.arrays.library import dtype_kind, promoted
from unsample.operation import Operation
from unsample.switches import switch_dtype
from unsample.torch.layout import allocated
from unsample.torch.plan_ints import plan_of

Tensor = torch.Tensor


def fake_of(operation: Operation) -> Callable[..., Any]:
    """What makes the result of an operator's arguments, real, fake or meta, and computes nothing."""
    number = len(operation.arrays)

    def fake(*arguments: Any) -> Any:
        arrays, numbers, words = arguments[:number], arguments[number], arguments[number + 1 :]
        return empty(operation, arrays, plan_of(operation, arrays, numbers, words), words)

    return fake


def empty(operation: Operation, arrays: Any, plan: Any, words: Any) -> Any:
    """The tensors of a result: in the memory format of the first array, but a weight contiguous."""
    operation.namespace(arrays, words[len(operation.words) :])
    first, dtype = arrays[0], result_dtype(operation, arrays)
    if operation.name == "conv_weight_grad":
        return torch.empty(plan.output_shape, dtype=dtype, device=first.device)
    values = allocated(first, plan.output_shape, dtype)
    if operation.lies == "pooled":
        return values, allocated(first, plan.output_shape, getattr(torch, switch_dtype(plan.windows)))
    return values


def result_dtype(operation: Operation, arrays: Any) -> torch.dtype:
    """The dtype of a result: that of the first array, or what the sum of all has in torch."""
    if not operation.sums:
        return arrays[0].dtype  # type: ignore[no-any-return]
    given = [x for x in arrays if x is not None]
    dtype: torch.dtype = promoted(operation.name, common_dtype, *given)
    return dtype


def common_dtype(*tensors: Tensor) -> torch.dtype:
    """The dtype of a sum of products of these: int64 with float32 is float32, integers give int64."""
    first, *others = [each.dtype for each in tensors]
    for dtype in others:
        first = torch.promote_types(first, dtype)
    return torch.int64 if dtype_kind(first) in ("bool", "integer") else first
