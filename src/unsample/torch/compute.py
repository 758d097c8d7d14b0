"""What computes: each operator's arguments as a plan, and the plan handed to a device or to the definition.

`COMPUTES` is the one table of devices. The CPU is its first entry: where compiled kernels exist, its tensors
are handed over as NumPy views of their own memory, and results are written straight into fresh tensors.
Everything else runs the definition, in torch's own functions. Autograd does not see any of it: see
`autograd.py`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from unsample.arrays.library import ORDERED, SUMS, dtype_kind, memory_of, namespace, promoted
from unsample.geometry.plan import Plan
from unsample.interop import switch_indices
from unsample.ops import conv as convs
from unsample.ops import nails as nail_ops
from unsample.ops import nearest as nearest_ops
from unsample.ops import pool as pool_ops
from unsample.ops import resize as resize_ops
from unsample.ops import shuffle as shuffle_ops
from unsample.ops import unpool as unpool_ops
from unsample.switches import Switches, switch_dtype
from unsample.torch import direct
from unsample.torch.direct import COMPILED, on_torchs_threads
from unsample.torch.layout import laid_out
from unsample.torch.plan_ints import pairs
from unsample.torch.windows import from_ints

Tensor = torch.Tensor
Call = Callable[..., Any]
Ints = Sequence[int]


def compute(
    call: Call,
    empty: Callable[[], Any],
    tensors: Sequence[Tensor | None],
    *,
    copies: bool = False,
    sums: bool = False,
    keep_format: bool = True,
) -> Any:
    """`call(*tensors, out)`, a tensor or several.

    Parameters
    ----------
    call : callable
        Computes as planned, on arrays of either library; takes the arrays in the order of `tensors`, then
        `out`, or None.
    empty : callable
        Makes the tensors of the result, with their strides.
    tensors : sequence of tensors or None
    copies : bool
        Whether elements are moved and nothing is computed, so that bfloat16 may be read as int16.
    sums : bool
        Whether the dtype of the result is that of a sum: of unsigned integers int64 in torch and uint64 in
        NumPy, whose bits are the same.
    keep_format : bool
        Whether the result has the memory format of the first tensor, or is contiguous.
    """
    given = [each for each in tensors if each is not None]
    device = COMPUTES.get(device_of(given[0]))
    if device is not None:
        result = device(call, empty, tensors, copies, sums)
        if result is not NotImplemented:
            return result
    result = call(*tensors, None)
    if not keep_format:
        return result.contiguous()
    if isinstance(result, tuple):
        return tuple(laid_out(each, given[0]) for each in result)
    return laid_out(result, given[0])


def device_of(x: Tensor) -> str:
    """The key of `COMPUTES`."""
    return x.device.type


# -- the CPU -----------------------------------------------------------------------------------------------


def _on_cpu(call: Call, empty: Call, tensors: Sequence[Tensor | None], copies: bool, sums: bool) -> Any:
    if COMPILED and all(_kernel_takes(each) for each in tensors):
        return _on_views(call, empty(), tensors, copies, sums)
    return NotImplemented


def _kernel_takes(x: Tensor | None) -> bool:
    """Whether NumPy can see the memory of `x`."""
    if x is None:
        return True
    plain = type(x) in (Tensor, torch.nn.Parameter) and x.layout is torch.strided
    return plain and x.device.type == "cpu" and (x.dtype in _NUMPY or x.dtype == torch.bfloat16)


_NUMPY = {
    dtype: np.dtype(str(dtype).removeprefix("torch."))
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32),
        *(torch.int64, torch.uint64, torch.float16, torch.float32, torch.float64),
        *(torch.complex64, torch.complex128),
    )
}


@on_torchs_threads
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
    """`x` as NumPy sees it: its own memory; of bfloat16, its bits where they are moved, else its values."""
    x = x.detach().resolve_conj().resolve_neg()
    if x._is_zerotensor():
        x = torch.zeros(x.shape, dtype=x.dtype)
    if x.dtype == torch.bfloat16:
        x = x.view(torch.int16) if copies else x.float()
    return memory_of(x, _NUMPY[x.dtype])


# Type of a device -> what computes there: called like `_on_cpu`; NotImplemented leaves it to the definition.
COMPUTES: dict[str, Callable[..., Any]] = {"cpu": _on_cpu}


# -- the operators -----------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def planned(plan: Callable[..., Plan], *args: Any, **kwargs: Any) -> Plan:
    """The plan of an operator's arguments, kept; they are integers and words, and so told apart by value."""
    return plan(*args, **kwargs)


def nearest(x: Tensor, factor: Ints, empty: Call) -> Any:
    """Copies of every element."""
    plan = planned(nearest_ops.plan_nearest, tuple(x.shape), tuple(factor))
    return compute(lambda a, out: nearest_ops.nearest_as_planned(a, plan, out), empty, [x], copies=True)


def window_sum(y: Tensor, factor: Ints, empty: Call) -> Any:
    """Every block added up."""
    plan = planned(nearest_ops.plan_window_sum, tuple(y.shape), tuple(factor))

    def call(a: Any, out: Any) -> Any:
        return nearest_ops.window_sum_as_planned(namespace("window_sum", y=a), a, plan, out)

    return compute(call, empty, [y], sums=True)


def bed_of_nails(x: Tensor, factor: Ints, at: Ints, output_size: Ints, empty: Call) -> Any:
    """Every element at its nail."""
    words = {"at": tuple(at), "output_size": tuple(output_size)}
    plan = planned(nail_ops.plan_bed_of_nails, tuple(x.shape), tuple(factor), **words)
    return compute(lambda a, out: nail_ops.nails_as_planned(a, plan, out), empty, [x], copies=True)


def decimate(y: Tensor, factor: Ints, at: Ints, empty: Call) -> Any:
    """What lies at the nails."""
    plan = planned(nail_ops.plan_decimate, tuple(y.shape), tuple(factor), at=tuple(at))
    return compute(lambda a, out: nail_ops.decimate_as_planned(a, plan, out), empty, [y], copies=True)


def pixel_shuffle(x: Tensor, factor: Ints, order: str, empty: Call) -> Any:
    """Channels laid out as the elements of a block."""
    plan = planned(shuffle_ops.plan_pixel_shuffle, tuple(x.shape), tuple(factor), order=order)

    def call(a: Any, out: Any) -> Any:
        return shuffle_ops.shuffle_as_planned(a, plan, order, out)

    return compute(call, empty, [x], copies=True)


def pixel_unshuffle(y: Tensor, factor: Ints, order: str, empty: Call) -> Any:
    """The elements of a block gathered into channels."""
    plan = planned(shuffle_ops.plan_pixel_unshuffle, tuple(y.shape), tuple(factor), order=order)

    def call(a: Any, out: Any) -> Any:
        return shuffle_ops.unshuffle_as_planned(a, plan, order, out)

    return compute(call, empty, [y], copies=True)


def resize(x: Tensor, output_size: Ints, method: Any, convention: Any, antialias: bool, empty: Call) -> Any:
    """Interpolated, axis by axis."""
    words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
    plan = planned(resize_ops.plan_resize, tuple(x.shape), tuple(output_size), **words)

    def call(a: Any, out: Any) -> Any:
        return resize_ops.resize_as_planned(resize_ops.resized_namespace(a, method), a, plan, method, out)

    return compute(call, empty, [x], copies=method == "nearest")


def resize_transpose(
    y: Tensor, input_size: Ints, method: Any, convention: Any, antialias: bool, empty: Call
) -> Any:
    """Every value handed back to the elements that it was made of."""
    words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
    plan = planned(resize_ops.plan_resize_transpose, tuple(y.shape), tuple(input_size), **words)

    def call(a: Any, out: Any) -> Any:
        xp = resize_ops.transposed_namespace(a, method)
        return resize_ops.resize_transpose_as_planned(xp, a, plan, method, out)

    return compute(call, empty, [y], sums=True)


def max_pool(
    x: Tensor,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    empty: Call,
) -> Any:
    """Values and taps."""
    return _pooled(x, _plan_max_pool(x, kernel_size, stride, padding, dilation, ceil_mode), empty)


def adaptive_max_pool(x: Tensor, output_size: Ints, empty: Call) -> Any:
    """Values and taps."""
    return _pooled(x, planned(pool_ops.plan_adaptive_max_pool, tuple(x.shape), tuple(output_size)), empty)


def _plan_max_pool(
    x: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Plan:
    words: dict[str, Any] = {"padding": pairs(padding), "dilation": tuple(dilation), "ceil_mode": ceil_mode}
    return planned(pool_ops.plan_max_pool, tuple(x.shape), tuple(kernel_size), stride=tuple(stride), **words)


def _pooled(x: Tensor, plan: Plan, empty: Call) -> Any:
    def call(a: Any, out: Any) -> Any:
        xp = namespace(plan.operation, ORDERED, x=a)
        values, switches = pool_ops.pool_as_planned(xp, a, plan, True, out)
        return values, switches.taps

    return compute(call, empty, [x])


def max_unpool(values: Tensor, switches: Tensor, windows: Ints, duplicates: Any, empty: Call) -> Any:
    """Values back where their switches point."""
    remembered = Switches(switches, from_ints(windows))
    plan = unpool_ops.plan_max_unpool(values.shape, remembered, duplicates=duplicates)

    def call(a: Any, taps: Any, out: Any) -> Any:
        return unpool_ops.unpool_as_planned(a, Switches(taps, remembered.windows), plan, duplicates, out)

    return compute(call, empty, [values, switches], copies=duplicates in ("last", "error"))


def max_gather(x: Tensor, switches: Tensor, windows: Ints, empty: Call) -> Any:
    """The elements that switches point to."""
    remembered = Switches(switches, from_ints(windows))
    plan = unpool_ops.plan_max_gather(x.shape, remembered)

    def call(a: Any, taps: Any, out: Any) -> Any:
        return unpool_ops.gather_as_planned(a, Switches(taps, remembered.windows), plan, out)

    return compute(call, empty, [x, switches], copies=True)


def switches_to_indices(switches: Tensor, windows: Ints, empty: Call) -> Any:
    """`Switches.to_torch`."""
    return laid_out(Switches(switches, from_ints(windows)).to_torch(), switches)


def indices_to_switches(indices: Tensor, windows: Ints, empty: Call) -> Any:
    """The taps of `Switches.from_torch`."""
    found = from_ints(windows)
    taps = switch_indices.taps_of_torch("Switches.from_torch", indices, found, switch_dtype(found))
    return laid_out(taps, indices)


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    padding_mode: str,
    empty: Call,
) -> Any:
    """A learned matrix on every tap."""
    plan = _plan_conv(x, weight, bias, stride, padding, dilation, groups, padding_mode)

    def call(a: Any, w: Any, b: Any, out: Any) -> Any:
        xp = namespace("conv", SUMS, x=a, weight=w, bias=b)
        return convs.conv_as_planned(xp, a, w, b, plan, groups, out)

    return compute(call, empty, _promoted("conv", x, weight, bias), sums=True)


def conv_transpose(
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    padding_mode: str,
    output_size: Ints,
    empty: Call,
) -> Any:
    """The same matrices, transposed and stamped."""
    plan = _plan_conv_transpose(y, weight, bias, stride, padding, dilation, groups, padding_mode, output_size)

    def call(a: Any, w: Any, b: Any, out: Any) -> Any:
        xp = namespace("conv_transpose", SUMS, y=a, weight=w, bias=b)
        return convs.conv_transpose_as_planned(xp, a, w, b, plan, groups, out)

    return compute(call, empty, _promoted("conv_transpose", y, weight, bias), sums=True)


def conv_weight_grad(
    x: Tensor,
    y: Tensor,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    padding_mode: str,
    empty: Call,
) -> Any:
    """How x and y meet under each tap."""
    plan = _plan_weight_grad(x, y, kernel_size, stride, padding, dilation, groups, padding_mode)

    def call(a: Any, b: Any, out: Any) -> Any:
        xp = namespace("conv_weight_grad", SUMS, x=a, y=b)
        return convs.weight_grad_as_planned(xp, a, b, plan, groups, out)

    tensors = _promoted("conv_weight_grad", x, y)
    return compute(call, empty, tensors, sums=True, keep_format=False)


def _promoted(operation: str, *tensors: Tensor | None) -> list[Tensor | None]:
    """All in the common dtype as torch has it: int64 with float32 is float32, where NumPy's is float64."""
    first, *others = [each.dtype for each in tensors if each is not None]
    if all(dtype == first for dtype in others) or any(dtype_kind(d) not in SUMS for d in (first, *others)):
        return list(tensors)  # a bool is refused, and not to be hidden in a sum
    for dtype in others:
        first = promoted(operation, torch.promote_types, first, dtype)
    return [None if each is None else each.to(first) for each in tensors]


def _words(stride: Ints, padding: Ints, dilation: Ints, groups: int, padding_mode: str) -> dict[str, Any]:
    return {
        "stride": tuple(stride),
        "padding": pairs(padding),
        "dilation": tuple(dilation),
        "groups": groups,
        "padding_mode": padding_mode,
    }


def _plan_conv(x: Tensor, weight: Tensor, bias: Tensor | None, *steps: Any) -> Plan:
    shapes = tuple(x.shape), tuple(weight.shape), None if bias is None else tuple(bias.shape)
    return planned(convs.plan_conv, *shapes, **_words(*steps))


def _plan_conv_transpose(y: Tensor, weight: Tensor, bias: Tensor | None, *steps: Any) -> Plan:
    shapes = tuple(y.shape), tuple(weight.shape), None if bias is None else tuple(bias.shape)
    return planned(convs.plan_conv_transpose, *shapes, output_size=tuple(steps[5]), **_words(*steps[:5]))


def _plan_weight_grad(x: Tensor, y: Tensor, kernel_size: Ints, *steps: Any) -> Plan:
    shapes = tuple(x.shape), tuple(y.shape), tuple(kernel_size)
    return planned(convs.plan_conv_weight_grad, *shapes, **_words(*steps))


# -- the short way -----------------------------------------------------------------------------------------
# Most recorded calls have tensors as the kernels read them. Like `functional.py` where nothing is recorded,
# these go from the plan to the kernel; None leaves a call to the functions above, which take everything.


def _short_conv(x: Tensor, weight: Tensor, bias: Tensor | None, *steps: Any) -> Tensor | None:
    if not direct.multiplies(x, weight, bias):
        return None
    return direct.multiply(False, x, weight, bias, _plan_conv(x, weight, bias, *steps), steps[3], None)


def _short_conv_transpose(y: Tensor, weight: Tensor, bias: Tensor | None, *steps: Any) -> Tensor | None:
    if not direct.multiplies(y, weight, bias):
        return None
    plan = _plan_conv_transpose(y, weight, bias, *steps)
    return direct.multiply(True, y, weight, bias, plan, steps[3], None)


def _short_weight_grad(x: Tensor, y: Tensor, kernel_size: Ints, *steps: Any) -> Tensor | None:
    if not direct.multiplies(x, y, None):
        return None
    return direct.multiply_weights(x, y, _plan_weight_grad(x, y, kernel_size, *steps), steps[3], None)


def _short_nearest(x: Tensor, factor: Ints) -> Tensor | None:
    if not direct.takes(direct.MOVED, x):
        return None
    return direct.move("nearest", x, planned(nearest_ops.plan_nearest, tuple(x.shape), tuple(factor)), None)


def _short_window_sum(y: Tensor, factor: Ints) -> Tensor | None:
    if not direct.takes(direct.FLOATS, y) or y.ndim > 8:
        return None
    return direct.window_sum(y, planned(nearest_ops.plan_window_sum, tuple(y.shape), tuple(factor)), None)


def _short_pool(x: Tensor, *words: Any) -> Any:
    if not direct.takes(direct.ORDERED, x):
        return None
    return direct.pool(x, _plan_max_pool(x, *words), True, (None, None))


SHORT: dict[str, Callable[..., Any]] = {
    "nearest": _short_nearest,
    "window_sum": _short_window_sum,
    "max_pool": _short_pool,
    "conv": _short_conv,
    "conv_transpose": _short_conv_transpose,
    "conv_weight_grad": _short_weight_grad,
}
