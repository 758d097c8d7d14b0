"""`out=`: a result written into an array that the caller brings."""

from typing import Any

import numpy as np

from unsample.arrays.library import COPIES, ArrayT, dtype_name, has_values, memory_of, namespace
from unsample.errors import ShapeError
from unsample.geometry.arguments import describe


def check_out(
    operation: str, out: Any, shape: tuple[int, ...], dtype: Any, name: str = "out", **inputs: Any
) -> None:
    """Refuse an `out` that the result does not fit, or that is not free to be written.

    Raises
    ------
    ShapeError, TypeError, ValueError
        Where its shape is not `shape`; its dtype not `dtype`, or its library not that of the inputs; where it
        is read-only, overlaps itself or shares memory with one of the `inputs`.
    """
    if out is None:
        return
    first = next(iter(inputs))
    namespace(operation, COPIES, **{first: inputs[first], name: out})
    if tuple(out.shape) != shape:
        raise ShapeError(f"{operation}: {name} must have the shape {shape}, got {tuple(out.shape)}")
    if out.dtype != dtype:
        raise TypeError(f"{operation}: {name} must be {dtype_name(dtype)}, got {out.dtype}")
    if hasattr(out, "at"):
        raise TypeError(f"{operation}: {name} must be an array that can be written, jax arrays cannot")
    if not has_values(out) or (hasattr(out, "requires_grad") and _recorded(out, *inputs.values())):
        raise TypeError(
            f"{operation}: {name} cannot be given while a framework traces, maps or differentiates"
        )
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError(f"{operation}: {name} must be writable, got a read-only array")
    if _meets_itself(out):
        raise ValueError(f"{operation}: {name} must not overlap itself, got strides {_strides(out)}")
    for other, array in inputs.items():
        if array is not None and _share_memory(out, array):
            raise ValueError(f"{operation}: {name} must not share memory with {other}")


def check_pair(operation: str, out: Any) -> tuple[Any, Any]:
    """The (values, switches) that a pooling writes, as arrays; (None, None) where none are given."""
    if out is None:
        return None, None
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"{operation}: out must be a pair (values, switches), got {describe(out)}")
    values, switches = out
    return values, getattr(switches, "taps", switches)


def placed(result: Any, out: ArrayT | None) -> ArrayT:
    """`result`, in `out` where there is one."""
    if out is None or out is result:
        fresh: ArrayT = result
        return fresh
    target: Any = out
    target[...] = result
    return out


def _recorded(*arrays: Any) -> bool:
    import torch

    return torch.is_grad_enabled() and any(getattr(array, "requires_grad", False) for array in arrays)


def _strides(x: Any) -> tuple[int, ...] | None:
    """The strides of an array, in its library's own unit; None where the library has none."""
    if isinstance(x, np.ndarray):
        return x.strides
    return tuple(x.stride()) if hasattr(x, "stride") else None


def _meets_itself(out: Any) -> bool:
    """Whether elements may share memory: a larger stride must step over all that smaller ones span."""
    plain = isinstance(out, np.ndarray)
    if out.flags.c_contiguous if plain else hasattr(out, "stride") and out.is_contiguous():
        return False
    strides = _strides(out)
    if strides is None or 0 in out.shape:
        return False
    reach = out.itemsize if plain else 1
    for stride, size in sorted((abs(s), n) for s, n in zip(strides, out.shape, strict=True) if n > 1):
        if stride < reach:
            return True
        reach += stride * (size - 1)
    return False


def _share_memory(out: Any, x: Any) -> bool:
    """Whether an element of one lies where one of the other does; True where that takes long to tell."""
    if out is x:
        return True
    if hasattr(out, "untyped_storage"):
        if out.device != x.device or not _spans_meet(out, x):
            return False
        if out.device.type != "cpu":
            return True
        out, x = (memory_of(each, np.dtype(f"V{each.element_size()}")) for each in (out, x))
    if not isinstance(out, np.ndarray) or not np.may_share_memory(out, x):
        return False
    try:
        return np.shares_memory(out, x, max_work=10_000)  # type: ignore[arg-type]  # any int is meant
    except np.exceptions.TooHardError:
        return True


def _spans_meet(a: Any, b: Any) -> bool:
    """Whether the bytes from first to last element of two tensors meet, whatever their storages."""
    if a.numel() == 0 or b.numel() == 0:
        return False
    (first, end), (other, other_end) = _span(a), _span(b)
    return bool(first < other_end and other < end)


def _span(x: Any) -> tuple[int, int]:
    """Where the first element begins and the last one ends; both 0 of a zero tensor, which lies nowhere."""
    first = x.data_ptr()
    if first == 0 or x.is_contiguous():
        return first, first and first + x.nbytes
    # torch strides are never negative
    last = sum([step * (size - 1) for step, size in zip(x.stride(), x.shape, strict=True)])
    return first, first + (last + 1) * x.element_size()
