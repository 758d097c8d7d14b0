"""What computes: each operator's arguments handed to the operation of `unsample` that it stands for.

`compute` is the one place that decides how. Where compiled kernels exist, tensors on the CPU are handed
over as NumPy views of their own memory, and results are written straight into fresh tensors; everything else
runs the definition in torch's own functions. Autograd does not see any of it: see `autograd.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from unsample.arrays.library import SUMS, dtype_kind, memory_of, promoted
from unsample.ops import conv as ops_conv
from unsample.ops import nails as ops_nails
from unsample.ops import nearest as ops_nearest
from unsample.ops import pool as ops_pool
from unsample.ops import resize as ops_resize
from unsample.ops import shuffle as ops_shuffle
from unsample.ops import unpool as ops_unpool
from unsample.switches import Switches, switch_dtype
from unsample.torch.direct import COMPILED, on_torchs_threads
from unsample.torch.layout import laid_out
from unsample.torch.plan_ints import pairs
from unsample.torch.windows import from_ints

Tensor = torch.Tensor
Call = Callable[..., Any]


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
        Computes on arrays of either library; takes the arrays in the order of `tensors`, then `out`.
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
    if COMPILED and all(_on_host(each) for each in given):
        return _on_views(call, empty(), tensors, copies, sums)
    result = call(*tensors, None)
    if not keep_format:
        return result.contiguous()
    if isinstance(result, tuple):
        return tuple(laid_out(each, given[0]) for each in result)
    return laid_out(result, given[0])


def _on_host(x: Tensor) -> bool:
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


def _call(operation: Call, *args: Any, out: Any, **kwargs: Any) -> Any:
    """The operation, told where to write only where it is to: the definition needs no `out`."""
    return operation(*args, **kwargs) if out is None else operation(*args, **kwargs, out=out)


def nearest(x: Tensor, factor: Sequence[int], empty: Call) -> Any:
    """`unsample.nearest`."""
    return compute(
        lambda a, out: _call(ops_nearest.nearest, a, tuple(factor), out=out),
        empty,
        [x],
        copies=True,
    )


def window_sum(y: Tensor, factor: Sequence[int], empty: Call) -> Any:
    """`unsample.window_sum`."""
    return compute(
        lambda a, out: _call(ops_nearest.window_sum, a, tuple(factor), out=out), empty, [y], sums=True
    )


def bed_of_nails(
    x: Tensor, factor: Sequence[int], at: Sequence[int], output_size: Sequence[int], empty: Call
) -> Any:
    """`unsample.bed_of_nails`."""
    words = {"at": tuple(at), "output_size": tuple(output_size)}
    return compute(
        lambda a, out: _call(ops_nails.bed_of_nails, a, tuple(factor), **words, out=out),
        empty,
        [x],
        copies=True,
    )


def decimate(y: Tensor, factor: Sequence[int], at: Sequence[int], empty: Call) -> Any:
    """`unsample.decimate`."""
    return compute(
        lambda a, out: _call(ops_nails.decimate, a, tuple(factor), at=tuple(at), out=out),
        empty,
        [y],
        copies=True,
    )


def pixel_shuffle(x: Tensor, factor: Sequence[int], order: str, empty: Call) -> Any:
    """`unsample.pixel_shuffle`."""
    return compute(
        lambda a, out: _call(ops_shuffle.pixel_shuffle, a, tuple(factor), order=order, out=out),
        empty,
        [x],
        copies=True,
    )


def pixel_unshuffle(y: Tensor, factor: Sequence[int], order: str, empty: Call) -> Any:
    """`unsample.pixel_unshuffle`."""
    return compute(
        lambda a, out: _call(ops_shuffle.pixel_unshuffle, a, tuple(factor), order=order, out=out),
        empty,
        [y],
        copies=True,
    )


def resize(
    x: Tensor, output_size: Sequence[int], method: str, convention: str, antialias: bool, empty: Call
) -> Any:
    """`unsample.resize`."""
    words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
    return compute(
        lambda a, out: _call(ops_resize.resize, a, tuple(output_size), **words, out=out),
        empty,
        [x],
        copies=method == "nearest",
    )


def resize_transpose(
    y: Tensor, input_size: Sequence[int], method: str, convention: str, antialias: bool, empty: Call
) -> Any:
    """`unsample.resize_transpose`."""
    words: dict[str, Any] = {"method": method, "convention": convention, "antialias": antialias}
    return compute(
        lambda a, out: _call(ops_resize.resize_transpose, a, tuple(input_size), **words, out=out),
        empty,
        [y],
        sums=True,
    )


def max_pool(
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    empty: Call,
) -> Any:
    """`unsample.max_pool`: values and taps."""
    words: dict[str, Any] = {
        "stride": tuple(stride),
        "padding": pairs(padding),
        "dilation": tuple(dilation),
        "ceil_mode": ceil_mode,
    }

    def call(a: Any, out: Any) -> Any:
        values, switches = _call(ops_pool.max_pool, a, tuple(kernel_size), **words, out=out)
        return values, switches.taps

    return compute(call, empty, [x])


def adaptive_max_pool(x: Tensor, output_size: Sequence[int], empty: Call) -> Any:
    """`unsample.adaptive_max_pool`: values and taps."""

    def call(a: Any, out: Any) -> Any:
        values, switches = _call(ops_pool.adaptive_max_pool, a, tuple(output_size), out=out)
        return values, switches.taps

    return compute(call, empty, [x])


def max_unpool(values: Tensor, switches: Tensor, windows: Sequence[int], duplicates: str, empty: Call) -> Any:
    """`unsample.max_unpool`."""

    def call(a: Any, taps: Any, out: Any) -> Any:
        remembered = Switches(taps, from_ints(windows))
        return _call(ops_unpool.max_unpool, a, remembered, duplicates=duplicates, out=out)

    return compute(call, empty, [values, switches], copies=duplicates in ("last", "error"))


def max_gather(x: Tensor, switches: Tensor, windows: Sequence[int], empty: Call) -> Any:
    """`unsample.max_gather`."""

    def call(a: Any, taps: Any, out: Any) -> Any:
        return _call(ops_unpool.max_gather, a, Switches(taps, from_ints(windows)), out=out)

    return compute(call, empty, [x, switches], copies=True)


def switches_to_indices(switches: Tensor, windows: Sequence[int], empty: Call) -> Any:
    """`Switches.to_torch`."""
    return laid_out(Switches(switches, from_ints(windows)).to_torch(), switches)


def indices_to_switches(indices: Tensor, windows: Sequence[int], empty: Call) -> Any:
    """The taps of `Switches.from_torch`."""
    from unsample.interop import switch_indices

    found = from_ints(windows)
    taps = switch_indices.taps_of_torch("Switches.from_torch", indices, found, switch_dtype(found))
    return laid_out(taps, indices)


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    padding_mode: str,
    empty: Call,
) -> Any:
    """`unsample.conv`."""
    words = _words(stride, padding, dilation, groups, padding_mode)
    return compute(
        lambda a, w, b, out: _call(ops_conv.conv, a, w, b, **words, out=out),
        empty,
        _promoted("conv", x, weight, bias),
        sums=True,
    )


def conv_transpose(
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    padding_mode: str,
    output_size: Sequence[int],
    empty: Call,
) -> Any:
    """`unsample.conv_transpose`."""
    words = _words(stride, padding, dilation, groups, padding_mode)
    words["output_size"] = tuple(output_size)
    return compute(
        lambda a, w, b, out: _call(ops_conv.conv_transpose, a, w, b, **words, out=out),
        empty,
        _promoted("conv_transpose", y, weight, bias),
        sums=True,
    )


def conv_weight_grad(
    x: Tensor,
    y: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    padding_mode: str,
    empty: Call,
) -> Any:
    """`unsample.conv_weight_grad`."""
    words = _words(stride, padding, dilation, groups, padding_mode)
    return compute(
        lambda a, b, out: _call(ops_conv.conv_weight_grad, a, b, tuple(kernel_size), **words, out=out),
        empty,
        _promoted("conv_weight_grad", x, y),
        sums=True,
        keep_format=False,
    )


def _promoted(operation: str, *tensors: Tensor | None) -> list[Tensor | None]:
    """All in the common dtype as torch has it: int64 with float32 is float32, where NumPy's is float64."""
    first, *others = [each.dtype for each in tensors if each is not None]
    if all(dtype == first for dtype in others) or any(dtype_kind(d) not in SUMS for d in (first, *others)):
        return list(tensors)  # a bool is refused, and not to be hidden in a sum
    for dtype in others:
        first = promoted(operation, torch.promote_types, first, dtype)
    return [None if each is None else each.to(first) for each in tensors]


def _words(
    stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int, padding_mode: str
) -> dict[str, Any]:
    return {
        "stride": tuple(stride),
        "padding": pairs(padding),
        "dilation": tuple(dilation),
        "groups": groups,
        "padding_mode": padding_mode,
    }
