"""What models are given and what they give, of whatever kind: the parts of it, a copy, a comparison."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

Tensor = torch.Tensor

_WHOLE = (Tensor, nn.Module, torch.Generator, np.ndarray, str, bytes, type, FunctionType, ModuleType)


def parts(value: Any) -> Iterator[Any]:
    """What a value holds that holds nothing itself: items, fields and attributes, however nested.

    Examples
    --------
    >>> list(parts({"a": (1, [2.0]), "b": range(2)}))
    [1, 2.0, 0, 1]
    """
    return _parts(value, ())


def _parts(value: Any, around: tuple[int, ...]) -> Iterator[Any]:
    inside = _inside(value)
    if inside is None:
        yield value
    elif id(value) not in around:  # a value that holds itself
        for each in inside:
            yield from _parts(each, (*around, id(value)))


def _inside(value: Any) -> list[Any] | None:
    """What a container holds; None where a value is none."""
    if isinstance(value, _WHOLE):
        return None
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, Sequence | Set):
        return list(value)
    if is_dataclass(value):
        return [getattr(value, each.name) for each in fields(value) if hasattr(value, each.name)]
    return list(vars(value).values()) if getattr(value, "__dict__", None) else None


def tensors(value: Any) -> list[Tensor]:
    """The tensors among the parts of a value."""
    return [each for each in parts(value) if isinstance(each, Tensor)]


def is_real(x: Any) -> bool:
    """Whether it is a tensor of floating-point numbers."""
    return isinstance(x, Tensor) and x.is_floating_point()


# -- copies ------------------------------------------------------------------------------------------------


def copied(value: Any) -> Any:
    """A copy that whoever is given it may write into: of every tensor the numbers, the strides and the wish
    for a gradient. What cannot be copied is the same object.
    """
    memo: dict[int, Any] = {}
    held = list(parts(value))  # so that no other object gets the number of one of them
    for each in held:
        if id(each) in memo:
            continue
        try:
            memo[id(each)] = _copy(each, memo)
        except Exception:  # a lock, a file, whatever its class raises
            memo[id(each)] = each
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # a container of a class that does not let itself be copied
        return value


def _copy(x: Any, memo: dict[int, Any]) -> Any:
    if isinstance(x, nn.Module):
        return x
    if isinstance(x, torch.Generator):
        return x.clone_state()
    if not isinstance(x, Tensor):
        return copy.deepcopy(x, memo)
    y = x.detach().clone()
    if y.layout is torch.strided and not y.is_nested and y.stride() != x.stride():
        # Strides that leave gaps or meet twice do so in the copy of the memory in which they lie.
        span = 1 + sum((n - 1) * stride for n, stride in zip(x.shape, x.stride(), strict=True))
        y = x.detach().as_strided((span,), (1,)).clone().as_strided(x.shape, x.stride())
    return y.requires_grad_() if x.requires_grad else y


# -- a comparison ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """How far two values lie apart.

    Parameters
    ----------
    difference : float or None
        The largest difference of two tensors or numbers over their largest element; of integers and bools the
        share that differs. None where nothing was compared.
    bound : float
        What rounding may do: the square root of the precision of the coarsest of them.
    unlike : tuple of str
        The types of the parts that cannot be compared.
    """

    difference: float | None
    bound: float
    unlike: tuple[str, ...] = ()

    @property
    def large(self) -> bool:
        """Whether they differ by more than rounding explains."""
        return self.difference is not None and not self.difference <= self.bound


def compared(theirs: Any, ours: Any, precision: float = 0.0) -> Compared:
    """Compare two values part by part, computed with numbers of this precision or that of their own.

    Examples
    --------
    >>> compared({"x": torch.tensor([1.0, 4.0])}, {"x": torch.tensor([1.0, 3.0])}).difference
    0.25
    """
    before, after = list(parts(theirs)), list(parts(ours))
    own = [torch.finfo(x.dtype).eps for x in before if is_real(x)]
    bound = math.sqrt(max(precision, *own, 0.0 if own else torch.finfo(torch.float32).eps))
    if len(before) != len(after):
        return Compared(math.inf, bound)
    gaps, unlike = list[float](), dict[str, None]()
    for a, b in zip(before, after, strict=True):
        if a is None and b is None:
            continue
        found = _apart(a, b)
        if found is None:
            unlike[type(a).__name__] = None
        else:
            gaps.append(found)
    return Compared(max(gaps, default=None), bound, tuple(unlike))


def _apart(a: Any, b: Any) -> float | None:
    """The relative difference of two parts; None where they cannot be compared."""
    if type(a) is not type(b):
        return math.inf
    if isinstance(a, np.ndarray | np.generic | int | float | complex):
        if np.asarray(a).dtype.kind not in "biufc":
            return None
        a, b = torch.from_numpy(np.array(a)), torch.from_numpy(np.array(b))
    if not isinstance(a, Tensor):
        if not isinstance(a, str | bytes | torch.dtype | torch.device):
            return None
        return 0.0 if a == b else math.inf
    if a.shape != b.shape or a.dtype != b.dtype:
        return math.inf
    if a.is_meta or a.is_quantized or a.layout is not torch.strided or a.is_nested:
        return None
    if not (a.is_floating_point() or a.is_complex()):
        return float((a != b).double().mean()) if a.numel() else 0.0
    return gap(a, b) / max(largest(a), torch.finfo(a.dtype).tiny)


def gap(theirs: Tensor, ours: Tensor) -> float:
    """The largest difference; infinite where one has no number and the other has."""
    if not theirs.numel():
        return 0.0
    a, b = (x.detach().to(torch.complex128 if x.is_complex() else torch.float64) for x in (theirs, ours))
    same = (a == b) | (a.isnan() & b.isnan())
    return float((a - b).abs().nan_to_num(math.inf, math.inf).masked_fill(same, 0).max())


def largest(x: Tensor) -> float:
    """The largest absolute value of the finite elements."""
    if not x.numel():
        return 0.0
    wide = x.detach().to(torch.complex128 if x.is_complex() else torch.float64)
    return float(wide.abs().nan_to_num(0, 0, 0).max())
