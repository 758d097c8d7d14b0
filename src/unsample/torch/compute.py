"""What computes: the plan of an operator's arguments, handed to a device or to the definition.

`COMPUTES` is the one table of devices. The CPU is its first entry: where compiled kernels exist, its tensors
are handed over as NumPy views of their own memory, and results are written straight into fresh tensors.
Everything else runs the definition, in torch's own functions. Autograd does not see any of it: see
`autograd.py`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from unsample.arrays.library import SUMS, check_memory, dtype_kind, memory_of
from unsample.errors import ShapeError
from unsample.geometry.arguments import has_symbols
from unsample.geometry.given import check_given, check_near
from unsample.geometry.plan import Plan
from unsample.geometry.reach import settled
from unsample.geometry.resample import ROUNDING
from unsample.interop.switch_indices import check_pooled
from unsample.operation import Operation
from unsample.pairs import OPERATIONS
from unsample.torch import direct
from unsample.torch.direct import COMPILED, FLOATS_OF_8_BITS, torchs_threads
from unsample.torch.layout import empty, laid_out, model_of, result_dtype
from unsample.torch.windows import PER_AXIS, PER_RESAMPLED, from_ints, resampled_from_ints

Tensor = torch.Tensor
Call = Callable[..., Any]
Shapes = tuple[tuple[int, ...] | None, ...]


def kernel_of(operation: Operation) -> Call:
    """What computes an operator's arguments, on every device and below autograd."""
    number, told = len(operation.arrays), len(operation.words)
    short = direct.SHORT.get(operation.name)

    def kernel(*arguments: Any) -> Any:
        arrays, numbers, words = arguments[:number], arguments[number], arguments[number + 1 :]
        plan = plan_of(operation, arrays, numbers, words)
        if short is not None and short.takes(*arrays):
            with torchs_threads():
                done = short.run(*arrays, plan, *words[:told], None)
            if done is not None:
                return done
        for name, x in zip(operation.arrays, arrays, strict=True):
            if x is not None:
                check_memory(operation.name, name, x)
        return compute(operation, arrays, plan, words)

    return kernel


def fake_of(operation: Operation) -> Callable[..., Any]:
    """What makes the result of an operator's arguments, real, fake or meta, and computes nothing."""
    number = len(operation.arrays)

    def fake(*arguments: Any) -> Any:
        arrays, numbers, words = arguments[:number], arguments[number], arguments[number + 1 :]
        return empty(operation, arrays, plan_of(operation, arrays, numbers, words), words)

    return fake


def compute(operation: Operation, arrays: Sequence[Tensor | None], plan: Plan, words: Sequence[Any]) -> Any:
    """The tensors of a result, with their strides, by what computes on their device or by the definition."""

    def call(*given: Any) -> Any:
        *inputs, out = given
        xp = operation.namespace(inputs, words[len(operation.words) :])
        return operation.as_planned(xp, *inputs, plan, *words[: len(operation.words)], out)

    first: Any = arrays[0]
    # A value that others are added to is no copy, and neither is one that is weighted.
    copies = not operation.sums and operation.lies != "pooled"
    if operation.name == "max_unpool":
        copies = words[0] in ("last", "error")
    elif operation.lies == "resampled":
        copies = copies and words[0] in ROUNDING
    given = _promoted(operation, arrays) if operation.sums else arrays
    device = COMPUTES.get(device_of(first))
    if device is not None:
        make = partial(empty, operation, arrays, plan, words)
        result = device(call, make, given, copies, operation.sums)
        if result is not NotImplemented:
            return result
    result = call(*given, None)
    if operation.name == "conv_weight_grad":
        return result.contiguous()
    model = model_of(operation, arrays, plan.output_shape)
    if isinstance(result, tuple):
        return tuple(laid_out(each, model) for each in result)
    return laid_out(result, model)


def _promoted(operation: Operation, arrays: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The tensors in torch's common dtype: int64 with float32 is float32, where NumPy's is float64."""
    given = [x for x in arrays if x is not None]
    if len({x.dtype for x in given}) == 1 or any(dtype_kind(x.dtype) not in SUMS for x in given):
        return list(arrays)  # a bool is refused, and not to be hidden in a sum
    dtype = result_dtype(operation, arrays)
    return [None if x is None else x.to(dtype) for x in arrays]


def device_of(x: Tensor) -> str:
    """The key of `COMPUTES`."""
    return x.device.type


# -- from an operator's arguments to its plan ---------------------------------------------------------------


def plan_of(
    operation: Operation, arrays: Sequence[Any], numbers: Sequence[int], words: Sequence[Any]
) -> Plan:
    """The plan of an operator's arguments, kept; real, fake or meta."""
    shapes = tuple([None if x is None else tuple(x.shape) for x in arrays])
    try:
        return _kept(operation.name, shapes, tuple(numbers), *words)
    except TypeError:  # symbols cannot be looked up
        return _made(operation, shapes, numbers, words)


@lru_cache(maxsize=1024, typed=True)
def _kept(name: str, shapes: Shapes, numbers: tuple[int, ...], *words: Any) -> Plan:
    return _made(OPERATIONS[name], shapes, numbers, words)


def _made(operation: Operation, shapes: Shapes, numbers: Sequence[int], words: Sequence[Any]) -> Plan:
    resampled = operation.lies == "resampled"
    each = PER_RESAMPLED if resampled else PER_AXIS
    if not numbers or len(numbers) % each:
        raise ShapeError(
            f"{operation.name}: windows must be {each} integers per spatial axis, got {len(numbers)}"
        )
    windows = resampled_from_ints(numbers) if resampled else from_ints(numbers)
    sizes = (size for shape in shapes if shape is not None for size in shape)
    if not has_symbols(*sizes, *numbers):
        _check(operation, shapes[0] or (), windows)
    return operation.plan_over(*shapes, windows, *words)


def _check(operation: Operation, shape: Sequence[int], windows: Any) -> None:
    array = operation.arrays[0]
    if operation.lies == "resampled":
        near = [source if operation.up else target for source, target, *_ in windows]
        far = [target if operation.up else source for source, target, *_ in windows]
        if min(far) < 0:
            raise ShapeError(f"{operation.name}: sizes must be at least 0, got {tuple(far)}")
        check_near(operation.name, array, shape, near)
    elif operation.lies == "pooled":
        check_pooled(operation.name, settled(windows))
        check_near(operation.name, array, shape, [window.fine for window in windows])
    elif operation.lies != "switches":  # which are asked with their taps
        check_given(operation.name, array, shape, windows, operation.lies, operation.up)


# -- the CPU -----------------------------------------------------------------------------------------------


def _on_cpu(call: Call, empty: Call, tensors: Sequence[Tensor | None], copies: bool, sums: bool) -> Any:
    if COMPILED and all(_kernel_takes(each, copies) for each in tensors):
        with torchs_threads():
            return _on_views(call, empty(), tensors, copies, sums)
    return NotImplemented


def _kernel_takes(x: Tensor | None, copies: bool) -> bool:
    """Whether NumPy can see the memory of `x`, or what is computed in its place."""
    if x is None:
        return True
    plain = type(x) in (Tensor, torch.nn.Parameter) and x.layout is torch.strided
    seen = x.dtype in _NUMPY or x.dtype == torch.bfloat16 or (copies and x.dtype in _BITS)
    return plain and x.device.type == "cpu" and seen


_NUMPY = {
    dtype: np.dtype(str(dtype).removeprefix("torch."))
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32),
        *(torch.int64, torch.uint64, torch.float16, torch.float32, torch.float64),
        *(torch.complex64, torch.complex128),
    )
}
# What NumPy has not, and the integers that are moved in its place.
_BITS = {torch.bfloat16: torch.int16, **dict.fromkeys(FLOATS_OF_8_BITS, torch.uint8)}


def _on_views(call: Call, out: Any, tensors: Sequence[Tensor | None], copies: bool, sums: bool) -> Any:
    views = [None if each is None else _view(each, copies) for each in tensors]
    several = out if isinstance(out, tuple) else (out,)
    if not copies and any(each.dtype == torch.bfloat16 for each in several):
        # NumPy has no bfloat16: it is computed in float32, which the definition accumulates in as well.
        result = call(*views, None)
        results = result if isinstance(result, tuple) else (result,)
        for each, values in zip(several, results, strict=True):
            each.copy_(torch.from_numpy(values))
        return out
    targets = tuple(_view(each, copies) for each in several)
    if sums and all(view is None or view.dtype.kind == "u" for view in views):
        targets = tuple(target.view(np.uint64) for target in targets)
    call(*views, targets if isinstance(out, tuple) else targets[0])
    return out


def _view(x: Tensor, copies: bool) -> np.ndarray[Any, Any]:
    """`x` as NumPy sees it: its own memory; of others, the bits where they are moved, else the values."""
    x = x.detach().resolve_conj().resolve_neg()
    if x._is_zerotensor():
        x = torch.zeros(x.shape, dtype=x.dtype)
    if x.dtype in _BITS:
        x = x.view(_BITS[x.dtype]) if copies else x.float()
    return memory_of(x, _NUMPY[x.dtype])


# Type of a device -> what computes there: called like `_on_cpu`; NotImplemented leaves it to the definition.
COMPUTES: dict[str, Callable[..., Any]] = {"cpu": _on_cpu}
