"""Where results lie in memory: in the format of their first argument, real or fake."""

from collections.abc import Sequence
from typing import Any

import torch
from torch._prims_common import suggest_memory_format


def allocated(x: torch.Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> torch.Tensor:
    """An empty tensor of `shape` on the device of `x`, channels_last where `x` is.

    Examples
    --------
    >>> allocated(torch.empty(1, 3, 2, 2).to(memory_format=torch.channels_last), (1, 3, 4, 4)).stride()
    (48, 1, 12, 3)
    """
    kind = x.dtype if dtype is None else dtype
    if len(shape) == x.ndim and x.ndim in (4, 5) and x.layout is torch.strided:
        memory_format = suggest_memory_format(x)
        return torch.empty(shape, dtype=kind, device=x.device, memory_format=memory_format)
    return torch.empty(shape, dtype=kind, device=x.device)


def laid_out(result: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`result` with the strides of `allocated(x, result.shape)`."""
    if x.ndim in (4, 5) and result.ndim == x.ndim:
        wanted: Any = suggest_memory_format(x)
        if wanted is not torch.contiguous_format:
            return allocated(x, result.shape, result.dtype).copy_(result)
    return result.contiguous()
