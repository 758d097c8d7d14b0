"""Results without their values, real or fake: their shape, their dtype and how they lie in memory."""

from collections.abc import Sequence
from typing import Any

import torch

from unsample.arrays.library import dtype_kind, promoted
from unsample.operation import Operation
from unsample.switches import switch_dtype
from unsample.torch.direct import memory_format

Tensor = torch.Tensor


def model_of(operation: Operation, arrays: Sequence[Any], shape: Sequence[int]) -> Any:
    """The tensor whose memory format a result of `shape` has: the first one, or as in torch a weight that is
    channels last.
    """
    first, *others = arrays
    if "weight" in operation.arrays and others[0].ndim == len(shape):
        weight = others[0]
        if memory_format(weight) is not torch.contiguous_format:
            return weight
    return first


def allocated(x: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """An empty tensor of `shape` on the device of `x`, channels_last where `x` is.

    Examples
    --------
    >>> allocated(torch.empty(1, 3, 2, 2).to(memory_format=torch.channels_last), (1, 3, 4, 4)).stride()
    (48, 1, 12, 3)
    """
    kind = x.dtype if dtype is None else dtype
    wanted = memory_format(x) if len(shape) == x.ndim else torch.contiguous_format
    return torch.empty(shape, dtype=kind, device=x.device, memory_format=wanted)


def laid_out(result: Tensor, x: Tensor) -> Tensor:
    """`result` with the strides of `allocated(x, result.shape)`."""
    if result.ndim == x.ndim and memory_format(x) is not torch.contiguous_format:
        return allocated(x, result.shape, result.dtype).copy_(result)
    return result.contiguous()


def empty(operation: Operation, arrays: Any, plan: Any, words: Any) -> Any:
    """The tensors of a result: in the memory format that `model_of` says, but a weight contiguous."""
    operation.namespace(arrays, words[len(operation.words) :])
    first, dtype = arrays[0], result_dtype(operation, arrays)
    if operation.name == "conv_weight_grad":
        return torch.empty(plan.output_shape, dtype=dtype, device=first.device)
    values = allocated(model_of(operation, arrays, plan.output_shape), plan.output_shape, dtype)
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
