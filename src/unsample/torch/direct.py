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
from unsample.native import conv as conv_kernels
from unsample.native import moves
from unsample.native.module import kernels
from unsample.switches import switch_dtype

Tensor = torch.Tensor

COMPILED = native.show_config().compiled
_PLAIN = (Tensor, torch.nn.Parameter)
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


def takes(dtypes: frozenset[torch.dtype], *tensors: Any) -> bool:
    """Whether kernels may have the memory of these tensors: nobody looks on, and no gradient is wanted."""
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
        if not _lies(x):
            return False
    strides = tensors[0].stride()
    # Axes of one element let a tensor be contiguous and channels_last at once; results are then the latter.
    return not (
        len(strides) in (4, 5)
        and strides[1] <= strides[2]
        and suggest_memory_format(tensors[0]) is not torch.contiguous_format
    )


def multiplies(x: Any, weight: Any, bias: Any) -> bool:
    """Whether `multiply` may have these tensors: all of one dtype."""
    return takes(FLOATS, x, weight, bias) and (
        x.dtype is weight.dtype and (bias is None or bias.dtype is x.dtype)
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


def _target(out: Tensor | None, plan: Plan, dtype: torch.dtype) -> Tensor:
    """Where a kernel writes: `out` itself where it is in C order."""
    fresh = out is None or not out.is_contiguous() or out.is_neg() or out.is_conj()
    if out is None or fresh or out.data_ptr() % dtype.itemsize:
        return torch.empty(plan.output_shape, dtype=dtype)
    return out


def _placed(result: Tensor, out: Tensor | None) -> Tensor:
    """`result`, in `out` where there is one."""
    return result if out is None or out is result else out.copy_(result)


def move(
    kernel: str, x: Tensor, plan: Plan, out: Tensor | None, channels: int = 0, blocks: bool = False
) -> Tensor:
    """`moves.move`."""
    target = _target(out, plan, x.dtype)
    compiled = moves.compiled_plan(plan, channels, blocks)
    getattr(kernels, kernel)(compiled, x.data_ptr(), target.data_ptr(), x.dtype.itemsize)
    return target if out is None else _placed(target, out)


def window_sum(y: Tensor, plan: Plan, out: Tensor | None) -> Tensor:
    """`moves.window_sum`, of FLOATS."""
    target = _target(out, plan, y.dtype)
    where = y.data_ptr(), target.data_ptr()
    kernels.window_sum(moves.compiled_plan(plan), *where, _code(y.dtype), y.dtype.itemsize)
    return target if out is None else _placed(target, out)


def _code(dtype: torch.dtype) -> int:
    return moves.dtype_code(NUMPY[dtype])


@lru_cache(maxsize=1024)
def of_taps(plan: Plan) -> torch.dtype:
    """The dtype of a pooling's switches."""
    dtype: torch.dtype = getattr(torch, switch_dtype(plan.windows))
    return dtype


def pool(x: Tensor, plan: Plan, remember: bool, out: tuple[Tensor | None, Tensor | None]) -> Any:
    """`moves.max_pool`, of ORDERED: values, and the taps or None."""
    values = _target(out[0], plan, x.dtype)
    compiled, code = moves.compiled_pool_plan(plan), _code(x.dtype)
    if not remember:
        kernels.pool(compiled, x.data_ptr(), values.data_ptr(), None, code, 1)
        return _placed(values, out[0]), None
    dtype = of_taps(plan)
    taps = _target(out[1], plan, dtype)
    where = x.data_ptr(), values.data_ptr(), taps.data_ptr()
    kernels.pool(compiled, *where, code, dtype.itemsize)
    return _placed(values, out[0]), _placed(taps, out[1])


def unpool(values: Tensor, taps: Tensor, plan: Plan, duplicates: str, out: Tensor | None) -> Tensor | None:
    """`moves.max_unpool`; None where a switch points nowhere, `out` then half written."""
    target = _target(out, plan, values.dtype)
    rule, code = moves.unpool_rule(plan, duplicates, NUMPY[values.dtype])
    where = values.data_ptr(), taps.data_ptr(), target.data_ptr()
    good = kernels.unpool(moves.compiled_pool_plan(plan), *where, code, taps.dtype.itemsize, rule)
    return _placed(target, out) if good else None


def gather(x: Tensor, taps: Tensor, plan: Plan, out: Tensor | None) -> Tensor | None:
    """`moves.max_gather`; None where a switch points nowhere, `out` then half written."""
    target = _target(out, plan, x.dtype)
    where = x.data_ptr(), taps.data_ptr(), target.data_ptr()
    good = kernels.gather(moves.compiled_pool_plan(plan), *where, x.dtype.itemsize, taps.dtype.itemsize)
    return _placed(target, out) if good else None


def resize(x: Tensor, plan: Plan, up: bool, copy: bool, out: Tensor | None) -> Tensor:
    """`moves.resize`, of float32 and float64."""
    target, width = _target(out, plan, x.dtype), x.dtype.itemsize
    passes = moves.compiled_passes(plan, up)
    if not passes:
        target.copy_(x)
    for i, (terms, shape, outer, inner) in enumerate(passes, 1):
        fresh = target if i == len(passes) else torch.empty(shape, dtype=x.dtype)
        kernels.resize(terms, x.data_ptr(), fresh.data_ptr(), outer, inner, width, copy and up)
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


def _shuffle(x: Tensor, plan: Plan, order: str, out: Tensor | None) -> Tensor:
    return move("shuffle", x, plan, out, plan.output_shape[-plan.rank - 1], order == "DCR")


def _unshuffle(y: Tensor, plan: Plan, order: str, out: Tensor | None) -> Tensor:
    return move("unshuffle", y, plan, out, plan.input_shape[-plan.rank - 1], order == "DCR")


def _resize(up: bool, x: Tensor, plan: Plan, out: Tensor | None) -> Tensor:
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
