"""The short way from a tensor to a kernel: a plan, a fresh tensor, the kernel. A few microseconds a call.

It is taken where nothing looks on and tensors lie as the kernels read them; `functional.call` is the long
way, through a registered operator. Every function takes what a valid plan describes, and `out`: where to
write, or None.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch._prims_common import suggest_memory_format
from torch.autograd import forward_ad

from unsample import native, native_conv, thread_count
from unsample.geometry.plan import Plan
from unsample.switches import switch_dtype

Tensor = torch.Tensor
P = ParamSpec("P")
R = TypeVar("R")

COMPILED = native.show_config().compiled
_PLAIN = (Tensor, torch.nn.Parameter)
FLOATS = frozenset((torch.float16, torch.float32, torch.float64))
INTEGERS = frozenset((torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8))
ORDERED = FLOATS | INTEGERS
MOVED = ORDERED | {torch.bool, torch.bfloat16, torch.complex64, torch.complex128}
SWITCHES = frozenset((torch.uint8, torch.uint16, torch.uint32))


def observed() -> bool:
    """Whether a mode, transform, trace, forward derivative or autocast looks on."""
    return bool(
        torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
        or torch.is_autocast_enabled("cpu")
    )


def takes(dtypes: frozenset[torch.dtype], *tensors: Any) -> bool:
    """Whether kernels may have these tensors as they lie: nobody looks on, and no gradient is wanted."""
    if not COMPILED or torch.compiler.is_compiling() or observed():
        return False
    recorded = torch.is_grad_enabled()
    for x in tensors:
        if x is None:
            continue
        if type(x) not in _PLAIN or not x.is_cpu or x.layout is not torch.strided or x.dtype not in dtypes:
            return False
        if (recorded and x.requires_grad) or not x.is_contiguous() or x.is_neg() or x.is_conj():
            return False
    first = tensors[0]
    # Axes of one element let a tensor be contiguous and channels_last at once; results are then the latter.
    return not (
        first.ndim in (4, 5)
        and first.stride(1) <= first.stride(2)
        and suggest_memory_format(first) is not torch.contiguous_format
    )


def on_torchs_threads(function: Callable[P, R]) -> Callable[P, R]:
    """Kernels on as many threads as torch uses, unless `with unsample.threads(n)` says otherwise."""
    if not COMPILED:
        return function
    use: Callable[[int], int] = thread_count._native.set_threads_here

    @wraps(function)
    def following(*args: P.args, **kwargs: P.kwargs) -> R:
        here = use(torch.get_num_threads())
        if here:
            use(here)
        try:
            return function(*args, **kwargs)
        finally:
            use(here)

    return following


def _view(x: Tensor) -> np.ndarray[Any, Any]:
    if x.requires_grad:
        x = x.detach()
    if x.dtype is torch.bfloat16:
        x = x.view(torch.int16)
    view: np.ndarray[Any, Any] = x.numpy()
    return view


NUMPY = {dtype: np.dtype(str(dtype).removeprefix("torch.")) for dtype in ORDERED}


def addresses(*tensors: Tensor) -> tuple[int, ...]:
    """Of the first elements, a sixth of what arrays cost; none where kernels cannot read it as it lies."""
    found = []
    for x in tensors:
        address = x.data_ptr()
        if address % x.element_size() or not x.is_contiguous():
            return ()
        found.append(address)
    return tuple(found)


def _result(out: Tensor | None, plan: Plan, dtype: torch.dtype) -> Tensor:
    return torch.empty(plan.output_shape, dtype=dtype) if out is None else out


@on_torchs_threads
def move(
    kernel: str, x: Tensor, plan: Plan, out: Tensor | None, channels: int = 0, blocks: bool = False
) -> Tensor:
    """`native.move`."""
    result = _result(out, plan, x.dtype)
    native.move(kernel, _view(x), plan, _view(result), channels, blocks)
    return result


@on_torchs_threads
def window_sum(y: Tensor, plan: Plan, out: Tensor | None) -> Tensor:
    """`native.window_sum`, of FLOATS."""
    result = _result(out, plan, y.dtype)
    view = _view(result)
    native.window_sum(_view(y), plan, view.dtype, view)
    return result


@lru_cache(maxsize=1024)
def of_taps(plan: Plan) -> tuple[torch.dtype, np.dtype[Any]]:
    """The dtype of a pooling's switches, as both libraries have it."""
    name = switch_dtype(plan.windows)
    return getattr(torch, name), np.dtype(name)


@on_torchs_threads
def pool(x: Tensor, plan: Plan, remember: bool, out: tuple[Tensor | None, Tensor | None]) -> Any:
    """`native.max_pool`, of ORDERED: values, and the taps or None."""
    values = _result(out[0], plan, x.dtype)
    if remember and out[1] is None:
        dtype, taps_dtype = of_taps(plan)
        taps = torch.empty(plan.output_shape, dtype=dtype)
        where = addresses(x, values, taps)
        if where:
            compiled, code = native._compiled_pool(plan), native._code(NUMPY[x.dtype])
            native._native.pool(compiled, *where, code, taps_dtype.itemsize)
            return values, taps
    if not remember:
        native.max_pool(_view(x), plan, None, (_view(values), None))
        return values, None
    dtype, taps_dtype = of_taps(plan)
    taps = _result(out[1], plan, dtype)
    native.max_pool(_view(x), plan, taps_dtype, (_view(values), _view(taps)))
    return values, taps


@on_torchs_threads
def unpool(values: Tensor, taps: Tensor, plan: Plan, duplicates: str, out: Tensor | None) -> Tensor | None:
    """`native.max_unpool`; None where a switch points nowhere, `out` then half written."""
    result = _result(out, plan, values.dtype)
    done = native.max_unpool(_view(values), _view(taps), plan, duplicates, _view(result))
    return None if done is None else result


@on_torchs_threads
def gather(x: Tensor, taps: Tensor, plan: Plan, out: Tensor | None) -> Tensor | None:
    """`native.max_gather`; None where a switch points nowhere, `out` then half written."""
    result = _result(out, plan, x.dtype)
    done = native.max_gather(_view(x), _view(taps), plan, _view(result))
    return None if done is None else result


@on_torchs_threads
def resize(x: Tensor, plan: Plan, up: bool, copy: bool, out: Tensor | None) -> Tensor:
    """`native.resize`, of float32 and float64."""
    result = _result(out, plan, x.dtype)
    native.resize(_view(x), plan, up, copy, _view(result))
    return result


@on_torchs_threads
def multiply(
    transposed: bool,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plan: Plan,
    groups: int,
    out: Tensor | None,
) -> Tensor | None:
    """`native_conv.conv` or `conv_transpose`, of one dtype of FLOATS; None where it has no kernel."""
    result = _result(out, plan, x.dtype)
    dtype = NUMPY[x.dtype]
    compiled = native_conv.contiguous(transposed, plan, groups, dtype, native._native.tier())
    where = addresses(x, weight, result, *(() if bias is None else (bias,)))
    if compiled is not None and where:
        compiled.run(where[0], where[1], None if bias is None else where[3], where[2])
        return result
    kernel = native_conv.conv_transpose if transposed else native_conv.conv
    view = _view(result)
    start = None if bias is None else _view(bias)
    done = kernel(_view(x), _view(weight), start, plan, groups, view.dtype, view)
    return None if done is None else result


@on_torchs_threads
def multiply_weights(x: Tensor, y: Tensor, plan: Plan, groups: int, out: Tensor | None) -> Tensor | None:
    """`native_conv.conv_weight_grad`, of one dtype of FLOATS; None where it has no kernel."""
    result = _result(out, plan, x.dtype)
    view = _view(result)
    done = native_conv.conv_weight_grad(_view(x), _view(y), plan, groups, view.dtype, view)
    return None if done is None else result
