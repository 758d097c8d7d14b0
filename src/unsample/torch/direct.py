"""The short way from a tensor to a kernel: a plan, a fresh tensor, the kernel. A few microseconds a call.

It is taken where nothing looks on and tensors lie as the kernels read them; `functional.call` is the long
way, through a registered operator. Every function takes what a valid plan describes, and `out`: where to
write, or None.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch._prims_common import suggest_memory_format
from torch.autograd import forward_ad

from unsample import native
from unsample.geometry.plan import Plan
from unsample.geometry.resample import Resample
from unsample.native import conv as conv_kernels
from unsample.native import moves
from unsample.native.module import kernels
from unsample.switches import switch_dtype

Tensor = torch.Tensor

COMPILED = native.show_config().compiled
PLAIN = (Tensor, torch.nn.Parameter)
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
FLOATS = frozenset((torch.float16, torch.float32, torch.float64))
INTEGERS = frozenset((torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8))
ORDERED = FLOATS | INTEGERS
FLOATS_OF_8_BITS = frozenset(
    (torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz)
)
MOVED = ORDERED | FLOATS_OF_8_BITS | {torch.bool, torch.bfloat16, torch.complex64, torch.complex128}
SWITCHES = frozenset((torch.uint8, torch.uint16, torch.uint32))


# A gradient of a batch of gradients (`is_grads_batched`): a tensor that has no memory, and no mode says so.
is_batched = torch._C._functorch.is_legacy_batchedtensor


def observed() -> bool:
    """Whether a mode, transform, trace, forward derivative or autocast looks on."""
    return bool(
        torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
        or torch._C._is_any_autocast_enabled()  # a third of the time of asking for the CPU's
    )


def takes(dtypes: frozenset[torch.dtype], *tensors: Any, last: bool = True) -> bool:
    """Whether kernels may have the memory of these tensors: nobody looks on, and no gradient is wanted.

    Each is contiguous or, where `last`, channels last.
    """
    if not COMPILED or torch.compiler.is_compiling() or observed():
        return False
    recorded = torch.is_grad_enabled()
    for x in tensors:
        if x is None:
            continue
        if type(x) not in PLAIN or not x.is_cpu or x.layout is not torch.strided or x.dtype not in dtypes:
            return False
        if (recorded and x.requires_grad) or x.is_neg() or x.is_conj():
            return False
        if not x.is_contiguous() and not (
            last and x.ndim in CHANNELS_LAST and x.is_contiguous(memory_format=CHANNELS_LAST[x.ndim])
        ):
            return False
        if not _lies(x):
            return False
    return True


def memory_format(x: Tensor) -> torch.memory_format:
    """The format of results of `x`. Axes of one element may let a tensor have two; torch decides then.

    Examples
    --------
    >>> memory_format(torch.empty(1, 3, 2, 2).to(memory_format=torch.channels_last))
    torch.channels_last
    """
    if x.ndim not in CHANNELS_LAST or x.layout is not torch.strided:
        return torch.contiguous_format
    if type(x) in PLAIN:  # whose strides are numbers; ten times as fast as to ask torch
        strides = x.stride()
        if strides[-1] < x.shape[1] * strides[1]:  # the channels do not lie inside
            return torch.contiguous_format
        last = CHANNELS_LAST[x.ndim]
        if not x.is_contiguous() and x.is_contiguous(memory_format=last):
            return last
    return suggest_memory_format(x)


def multiplies(x: Any, weight: Any, bias: Any) -> bool:
    """Whether `multiply` may have these tensors: contiguous, all of one dtype."""
    return (
        takes(FLOATS, x, weight, bias, last=False)
        and memory_format(x) is torch.contiguous_format
        # Only where channels lie side by side need a weight be asked.
        and (weight.stride(1) != 1 or memory_format(weight) is torch.contiguous_format)
        and x.dtype is weight.dtype
        and (bias is None or bias.dtype is x.dtype)
    )


def _lies(x: Tensor) -> bool:
    """Whether a contiguous tensor has its elements in memory, each at a multiple of its size.

    A zero tensor has none, nor has one whose storage was freed: both have the address 0. A storage may also
    have been made too small. Empty tensors may have the address 0 too; the long way takes them.
    """
    try:
        width, address = x.dtype.itemsize, x.data_ptr()
    except RuntimeError:  # see `is_batched`, which to ask takes time
        return False
    if not address or address % width:
        return False
    return (x.storage_offset() + x.numel()) * width <= len(x.untyped_storage())


class torchs_threads:
    """Kernels on torch's own threads, as many as it uses, unless `with unsample.threads(n)` says otherwise.

    OpenMP's threads spin for milliseconds after each of torch's operators: on threads of our own a call would
    have to share their cores, and takes twice as long.
    """

    __slots__ = ("before",)

    def __enter__(self) -> None:
        if COMPILED:
            self.before = kernels.set_team_here(torch.get_num_threads())

    def __exit__(self, *_: object) -> None:
        if COMPILED:
            kernels.set_team_here(self.before)


def start_of_team() -> int:
    """The address of what starts the threads of the OpenMP that torch is linked with.

    0 where it has another name, as on macOS and Windows: kernels then run on threads of their own.
    """
    try:
        start = ctypes.CDLL(torch._C.__file__).GOMP_parallel
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(start, ctypes.c_void_p).value or 0


if COMPILED:
    kernels.set_team(start_of_team())


NUMPY = {dtype: np.dtype(str(dtype).removeprefix("torch.")) for dtype in ORDERED}


def _target(out: Tensor | None, plan: Plan, dtype: torch.dtype, last: bool = False) -> Tensor:
    """Where a kernel writes: `out` itself where it is contiguous, or channels last."""
    wanted = CHANNELS_LAST[len(plan.output_shape)] if last else torch.contiguous_format
    fresh = out is None or not out.is_contiguous(memory_format=wanted) or out.is_neg() or out.is_conj()
    if out is None or fresh or out.data_ptr() % dtype.itemsize:
        return torch.empty(plan.output_shape, dtype=dtype, memory_format=wanted)
    return out


def _placed(result: Tensor, out: Tensor | None) -> Tensor:
    """`result`, in `out` where there is one."""
    return result if out is None or out is result else out.copy_(result)


def move(
    kernel: str, x: Tensor, plan: Plan, out: Tensor | None, channels: int = 0, blocks: bool = False
) -> Tensor | None:
    """`moves.move`; here and below None where channels lie behind other axes than those of the plan."""
    if (last := memory_format(x) is not torch.contiguous_format) and x.ndim != plan.rank + 2:
        return None
    target = _target(out, plan, x.dtype, last)
    compiled = moves.compiled_plan(plan, last, channels, blocks)
    getattr(kernels, kernel)(compiled, x.data_ptr(), target.data_ptr(), x.dtype.itemsize)
    return target if out is None else _placed(target, out)


def window_sum(y: Tensor, plan: Plan, out: Tensor | None) -> Tensor | None:
    """`moves.window_sum`, of FLOATS."""
    if (last := memory_format(y) is not torch.contiguous_format) and y.ndim != plan.rank + 2:
        return None
    target = _target(out, plan, y.dtype, last)
    where = y.data_ptr(), target.data_ptr()
    kernels.window_sum(moves.compiled_plan(plan, last), *where, _code(y.dtype), y.dtype.itemsize)
    return target if out is None else _placed(target, out)


def _code(dtype: torch.dtype) -> int:
    return moves.dtype_code(NUMPY[dtype])


@lru_cache(maxsize=1024)
def of_taps(plan: Plan) -> torch.dtype:
    """The dtype of a pooling's switches."""
    dtype: torch.dtype = getattr(torch, switch_dtype(plan.windows))
    return dtype


def pool(x: Tensor, plan: Plan, remember: bool, out: tuple[Tensor | None, Tensor | None]) -> Any:
    """`moves.max_pool`, of ORDERED: values, and the taps or None; None where there is no kernel."""
    if (last := memory_format(x) is not torch.contiguous_format) and x.ndim != plan.rank + 2:
        return None
    values = _target(out[0], plan, x.dtype, last)
    compiled, code = moves.compiled_pool_plan(plan, last), _code(x.dtype)
    if not remember:
        kernels.pool(compiled, x.data_ptr(), values.data_ptr(), None, code, 1)
        return _placed(values, out[0]), None
    dtype = of_taps(plan)
    taps = _target(out[1], plan, dtype, last)
    where = x.data_ptr(), values.data_ptr(), taps.data_ptr()
    kernels.pool(compiled, *where, code, dtype.itemsize)
    return _placed(values, out[0]), _placed(taps, out[1])


def unpool(values: Tensor, taps: Tensor, plan: Plan, duplicates: str, out: Tensor | None) -> Tensor | None:
    """`moves.max_unpool`; None where a switch points nowhere, `out` then half written."""
    if (last := memory_format(values) is not torch.contiguous_format) and values.ndim != plan.rank + 2:
        return None
    taps, target = _beside(values, taps), _target(out, plan, values.dtype, last)
    rule, code = moves.unpool_rule(plan, duplicates, NUMPY[values.dtype])
    where = values.data_ptr(), taps.data_ptr(), target.data_ptr()
    good = kernels.unpool(moves.compiled_pool_plan(plan, last), *where, code, taps.dtype.itemsize, rule)
    return _placed(target, out) if good else None


def gather(x: Tensor, taps: Tensor, plan: Plan, out: Tensor | None) -> Tensor | None:
    """`moves.max_gather`; None where a switch points nowhere, `out` then half written."""
    if (last := memory_format(x) is not torch.contiguous_format) and x.ndim != plan.rank + 2:
        return None
    taps, target = _beside(x, taps), _target(out, plan, x.dtype, last)
    where = x.data_ptr(), taps.data_ptr(), target.data_ptr()
    good = kernels.gather(moves.compiled_pool_plan(plan, last), *where, x.dtype.itemsize, taps.dtype.itemsize)
    return _placed(target, out) if good else None


def _beside(x: Tensor, taps: Tensor) -> Tensor:
    """Switches in the memory format of what they belong to."""
    return taps.contiguous(memory_format=memory_format(x))


def resize(x: Tensor, plan: Plan, up: bool, copy: bool, out: Tensor | None) -> Tensor | None:
    """`moves.resize`, of float32 and float64; None where an axis has too many terms for one call."""
    if (last := memory_format(x) is not torch.contiguous_format) and x.ndim != plan.rank + 2:
        return None
    passes = moves.compiled_passes(plan, up, last)
    if any(isinstance(terms, Resample) for terms, *_ in passes):
        return None
    target, width = _target(out, plan, x.dtype, last), x.dtype.itemsize
    if not passes:
        target.copy_(x)
    for i, (terms, rows, shape, outer, inner) in enumerate(passes, 1):
        fresh = target if i == len(passes) else torch.empty(shape, dtype=x.dtype)
        kernels.resize(terms, x.data_ptr(), fresh.data_ptr(), outer, inner, width, copy and up, rows)
        x = fresh
    return target if out is None else _placed(target, out)


def multiply(
    transposed: bool,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plan: Plan,
    groups: int,
    out: Tensor | None,
) -> Tensor | None:
    """`conv_kernels.conv` or `conv_transpose`, of one dtype of FLOATS; None where it has no such kernel."""
    tier = kernels.tier()
    compiled = conv_kernels.contiguous(transposed, plan, groups, NUMPY[x.dtype], tier)
    if compiled is None:
        return None
    target = _target(out, plan, x.dtype)
    start = None if bias is None else bias.data_ptr()
    compiled.run(x.data_ptr(), weight.data_ptr(), start, target.data_ptr())
    return target if out is None else _placed(target, out)


def multiply_weights(x: Tensor, y: Tensor, plan: Plan, groups: int, out: Tensor | None) -> Tensor | None:
    """`conv_kernels.conv_weight_grad`, of one dtype of FLOATS; None where it has no kernel."""
    compiled = conv_kernels.contiguous_weight_grad(plan, groups, NUMPY[x.dtype], kernels.tier())
    if compiled is None:
        return None
    target = _target(out, plan, x.dtype)
    compiled.run(x.data_ptr(), y.data_ptr(), target.data_ptr())
    return target if out is None else _placed(target, out)


# -- the table ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Short:
    """The short way of one operation.

    Parameters
    ----------
    takes : callable
        Whether tensors lie as the kernel reads them.
    run : callable
        Called with the tensors, the plan, the words of the operation and `out`; gives None where there is no
        kernel.
    """

    takes: Callable[..., bool]
    run: Callable[..., Any]


_moves = partial(takes, MOVED)
_resizes = partial(takes, frozenset((torch.float32, torch.float64)))


def _sums(y: Tensor) -> bool:
    return takes(FLOATS, y) and y.ndim <= 8


def _pools(x: Tensor) -> bool:
    return takes(ORDERED, x)


def _pool(x: Tensor, plan: Plan, out: Any) -> Any:
    return pool(x, plan, True, out or (None, None))


def _unpools(values: Tensor, taps: Tensor) -> bool:
    return takes(SWITCHES, taps) and takes(ORDERED, values)


def _unpool(values: Tensor, taps: Tensor, plan: Plan, duplicates: str, out: Tensor | None) -> Any:
    added = duplicates in ("sum", "max") and values.dtype in FLOATS
    return unpool(values, taps, plan, duplicates, out) if duplicates == "last" or added else None


def _gathers(x: Tensor, taps: Tensor) -> bool:
    return takes(SWITCHES, taps) and takes(MOVED, x)


def _shuffle(x: Tensor, plan: Plan, order: str, out: Tensor | None) -> Tensor | None:
    return move("shuffle", x, plan, out, plan.output_shape[-plan.rank - 1], order == "DCR")


def _unshuffle(y: Tensor, plan: Plan, order: str, out: Tensor | None) -> Tensor | None:
    return move("unshuffle", y, plan, out, plan.input_shape[-plan.rank - 1], order == "DCR")


def _resize(up: bool, x: Tensor, plan: Plan, out: Tensor | None) -> Tensor | None:
    return resize(x, plan, up, plan.resamples[0].copies, out)


def _pairs(x: Any, y: Any) -> bool:
    return multiplies(x, y, None)


SHORT: dict[str, Short] = {
    "nearest": Short(_moves, partial(move, "nearest")),
    "window_sum": Short(_sums, window_sum),
    "bed_of_nails": Short(_moves, partial(move, "nails")),
    "decimate": Short(_moves, partial(move, "decimate")),
    "pixel_shuffle": Short(_moves, _shuffle),
    "pixel_unshuffle": Short(_moves, _unshuffle),
    "resize": Short(_resizes, partial(_resize, True)),
    "resize_transpose": Short(_resizes, partial(_resize, False)),
    "max_pool": Short(_pools, _pool),
    "adaptive_max_pool": Short(_pools, _pool),
    "max_unpool": Short(_unpools, _unpool),
    "max_gather": Short(_gathers, gather),
    "conv": Short(multiplies, partial(multiply, False)),
    "conv_transpose": Short(multiplies, partial(multiply, True)),
    "conv_weight_grad": Short(_pairs, multiply_weights),
}
