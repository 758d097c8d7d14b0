"""Every operator in torch's own functions: what an exporter that does not know ours is given.

One function per operator, with its arguments. `torch.onnx.export` gets them by itself: `functional.call`
asks whether it is running. A program exported before takes them as a table:

    program.run_decompositions(unsample.torch.export())

They are graphs to be written down, without mutation and, but for `resize` other than torch's own and
adaptive pooling, for sizes that may be symbols. `conv_weight_grad`, a training step's, has none.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from unsample.errors import ShapeError
from unsample.geometry.resample import Resample
from unsample.geometry.window import AnyWindow, Window
from unsample.switches import switch_dtype
from unsample.torch.layout import common_dtype
from unsample.torch.windows import from_ints

Tensor = torch.Tensor
Ints = Sequence[int]


def nearest(x: Tensor, windows: Ints) -> Tensor:
    """Every element expanded over a new axis behind its own."""
    factor = _factors(windows)
    leading, size = _split(x, len(factor))
    spread = x.reshape(*leading, *_interleaved(size, [1] * len(factor)))
    spread = spread.expand(*leading, *_interleaved(size, factor))
    return spread.reshape(*leading, *(n * f for n, f in zip(size, factor, strict=True)))


def window_sum(y: Tensor, windows: Ints) -> Tensor:
    """The sum over the axes of the block."""
    factor = _factors(windows)
    leading, size = _split(y, len(factor))
    blocks = [n // f for n, f in zip(size, factor, strict=True)]
    split = y.reshape(*leading, *_interleaved(blocks, factor))
    return split.sum(dim=tuple(len(leading) + 2 * axis + 1 for axis in range(len(factor))))


def bed_of_nails(x: Tensor, windows: Ints) -> Tensor:
    """Zeros around every element, and the end cut or lengthened."""
    found = _plain(windows)
    factor, output_size = [w.stride for w in found], [w.fine for w in found]
    leading, size = _split(x, len(factor))
    spread = x.reshape(*leading, *_interleaved(size, [1] * len(factor)))
    around = [(-w.before, w.stride - 1 + w.before) for w in found]
    spread = F.pad(spread, [side for pair in reversed(around) for side in (*pair, 0, 0)][:-2])
    large = spread.reshape(*leading, *(n * f for n, f in zip(size, factor, strict=True)))
    return _padded(large, [(0, m - n * f) for m, n, f in zip(output_size, size, factor, strict=True)])


def decimate(y: Tensor, windows: Ints) -> Tensor:
    """A strided slice."""
    found = _plain(windows)
    for axis, w in enumerate(found):
        y = torch.ops.aten.slice.Tensor(y, y.ndim - len(found) + axis, -w.before, None, w.stride)
    return y


def pixel_shuffle(x: Tensor, windows: Ints, order: str) -> Tensor:
    """Channels split into blocks, and the axes of a block moved behind those of space."""
    factor = _factors(windows)
    rank = len(factor)
    if order == "CRD" and rank == 2 and factor[0] == factor[1] and x.ndim > 3:
        return F.pixel_shuffle(x, factor[0])  # one node of ONNX
    (*leading, channels), size = _split(x, rank)
    c = channels // _product(factor)
    split = x.reshape(*leading, *([c, *factor] if order == "CRD" else [*factor, c]), *size)
    n = len(leading)
    channel, block = (n, n + 1) if order == "CRD" else (n + rank, n)
    axes = [axis for i in range(rank) for axis in (n + rank + 1 + i, block + i)]
    moved = split.permute(*range(n), channel, *axes)
    return moved.reshape(*leading, c, *(m * f for m, f in zip(size, factor, strict=True)))


def pixel_unshuffle(y: Tensor, windows: Ints, order: str) -> Tensor:
    """The inverse of `pixel_shuffle`."""
    factor = _factors(windows)
    rank = len(factor)
    (*leading, c), size = _split(y, rank)
    small = [m // f for m, f in zip(size, factor, strict=True)]
    split = y.reshape(*leading, c, *_interleaved(small, factor))
    n = len(leading)
    space, block = ([n + 1 + 2 * i + j for i in range(rank)] for j in (0, 1))
    channels = [n, *block] if order == "CRD" else [*block, n]
    return split.permute(*range(n), *channels, *space).reshape(*leading, c * _product(factor), *small)


# method, convention and rank -> mode of torch.nn.functional.interpolate, align_corners
INTERPOLATE: dict[tuple[str, str, int], tuple[str, bool | None]] = {
    ("linear", "half_pixel", 1): ("linear", False),
    ("linear", "half_pixel", 2): ("bilinear", False),
    ("linear", "half_pixel", 3): ("trilinear", False),
    ("linear", "align_corners", 1): ("linear", True),
    ("linear", "align_corners", 2): ("bilinear", True),
    ("linear", "align_corners", 3): ("trilinear", True),
    ("cubic", "half_pixel", 2): ("bicubic", False),
    ("cubic", "align_corners", 2): ("bicubic", True),
    ("nearest", "legacy", 1): ("nearest", None),
    ("nearest", "legacy", 2): ("nearest", None),
    ("nearest", "legacy", 3): ("nearest", None),
}


def resize(x: Tensor, windows: Ints, method: str, convention: str, antialias: bool) -> Tensor:
    """Torch's own interpolation where it is one, else a matrix along every axis."""
    output_size = windows[1::2]
    mode = None if antialias else INTERPOLATE.get((method, convention, len(output_size)))
    if mode is None or not x.is_floating_point():
        return _mixed(x, output_size, (method, convention, antialias), transposed=False)
    leading, size = _split(x, len(output_size))
    planes = x.reshape(1, -1, *size) if len(leading) != 2 else x
    result = F.interpolate(planes, list(output_size), mode=mode[0], align_corners=mode[1])
    return result.reshape(*leading, *output_size) if len(leading) != 2 else result


def resize_transpose(y: Tensor, windows: Ints, method: str, convention: str, antialias: bool) -> Tensor:
    """The matrix of `resize`, transposed, along every axis."""
    return _mixed(y, windows[0::2], (method, convention, antialias), transposed=True)


def _mixed(x: Tensor, size: Ints, words: Any, transposed: bool) -> Tensor:
    operation = "resize_transpose" if transposed else "resize"
    for axis, wanted in enumerate(size):
        own = x.shape[axis - len(size)]
        if not (isinstance(own, int) and isinstance(wanted, int)):
            raise ShapeError(
                f"{operation}: sizes must be fixed for the export of method {words[0]!r}, "
                f"convention {words[1]!r}, antialias {words[2]}"
            )
        source, target = (wanted, own) if transposed else (own, wanted)
        matrix = np.zeros((target, source))
        for tap in Resample(source, target, *words).taps():
            matrix[np.asarray(tap.target), np.asarray(tap.source)] += tap.weights
        weights = torch.tensor(matrix.tolist(), dtype=x.dtype, device=x.device)
        moved = x.movedim(axis - len(size), -1)
        x = torch.matmul(moved, weights if transposed else weights.mT).movedim(-1, axis - len(size))
    return x


# -- convolutions ----------------------------------------------------------------------------------------


def conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, windows: Ints, groups: int, padding_mode: str
) -> Tensor:
    """Torch's convolution, of the padded input where its own padding is not enough."""
    x, weight, bias = _common(x, weight, bias)
    stride, pads, dilation, _ = _steps(windows)
    rank = _three_at_most("conv", len(stride))
    if padding_mode == "zeros" and all(before == after >= 0 for before, after in pads):
        before = [pair[0] for pair in pads]
    else:
        x, before = _padded(x, pads, padding_mode), [0] * rank
    return _convolution(x, weight, bias, stride, before, dilation, False, [0] * rank, groups)


def conv_transpose(
    y: Tensor, weight: Tensor, bias: Tensor | None, windows: Ints, groups: int, padding_mode: str
) -> Tensor:
    """Torch's transposed convolution where it is one, else its full result, cropped and folded."""
    y, weight, bias = _common(y, weight, bias)
    stride, pads, dilation, output_size = _steps(windows)
    rank = _three_at_most("conv_transpose", len(stride))
    extents = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    whole = [(m - 1) * s + e for m, s, e in zip(y.shape[-rank:], stride, extents, strict=True)]
    extra = [m - n + sum(pair) for m, n, pair in zip(output_size, whole, pads, strict=True)]
    plain = padding_mode == "zeros" and all(before == after >= 0 for before, after in pads)
    if plain and all(isinstance(m, int) and 0 <= m < s for m, s in zip(extra, stride, strict=True)):
        before = [pair[0] for pair in pads]
        return _convolution(y, weight, bias, stride, before, dilation, True, extra, groups)
    full = _convolution(y, weight, None, stride, [0] * rank, dilation, True, [0] * rank, groups)
    if padding_mode == "zeros":
        ends = [(-b, m - n + b) for m, n, (b, _) in zip(output_size, whole, pads, strict=True)]
        full = _padded(full, ends)
    else:
        # What lies beyond the last stamp is zero, as far as the padded axis reaches.
        full = _padded(full, [(0, m) for m in extra])
        for axis, pair in enumerate(pads):
            full = _folded(full, axis - rank, *pair, output_size[axis], padding_mode)
    return full if bias is None else full + bias.reshape(-1, *(1,) * rank)


def _folded(x: Tensor, axis: int, before: int, after: int, size: int, mode: str) -> Tensor:
    """The border of a padded axis added to the elements that the padding repeats: its adjoint."""
    inside = x.narrow(axis, max(before, 0), size + min(before, 0) + min(after, 0))
    inside = _along(inside, axis, max(-before, 0), max(-after, 0))
    for length, start in ((before, 0), (after, before + size)):
        if length <= 0:
            continue
        most = size if mode == "circular" else size - 1 if mode == "reflect" else length
        if isinstance(most, int) and length > most:
            raise ShapeError(
                f"conv_transpose: padding of mode {mode!r} must be at most {most} for the export, "
                f"as the output has {size} elements, got {length}"
            )
        border, first = x.narrow(axis, start, length), start == 0
        if mode == "replicate":
            border, gap = border.sum(axis, keepdim=True), 0
        elif mode == "reflect":
            border, gap = border.flip(axis), 1
        else:
            first, gap = not first, 0  # circular: what is before comes back at the end
        rest = size - border.shape[axis] - gap
        inside = inside + (_along(border, axis, gap, rest) if first else _along(border, axis, rest, gap))
    return inside


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Tensor:
    batched = x if x.ndim == len(stride) + 2 else x.unsqueeze(0)
    lists = (list(stride), list(padding), list(dilation))
    out = torch.convolution(batched, weight, bias, *lists, transposed, list(output_padding), groups)
    return out if x.ndim == batched.ndim else out.squeeze(0)


def _common(*tensors: Tensor | None) -> Any:
    dtype = common_dtype(*(each for each in tensors if each is not None))
    return [None if each is None else each.to(dtype) for each in tensors]


# -- pooling ---------------------------------------------------------------------------------------------


def max_pool(x: Tensor, windows: Ints, ceil_mode: bool) -> tuple[Tensor, Tensor]:
    """Torch's pooling with indices of the padded input, and taps of the indices."""
    found = _plain(windows)
    stride, _, dilation, _ = _steps(windows)
    kernel_size, rank = _factors(windows), _three_at_most("max_pool", len(found))
    # As many elements at the end as the last windows of ceil_mode may need; what is too much is left out.
    ends = [(w.before, w.after + (w.stride - 1 if ceil_mode else 0)) for w in found]
    lowest = -float("inf") if x.is_floating_point() else torch.iinfo(x.dtype).min
    padded = x if not any(any(pair) for pair in ends) else _padded(x, ends, value=lowest)
    leading, size = _split(padded, rank)
    planes = padded if len(leading) == 2 else padded.reshape(1, -1, *size)
    pool: Any = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
    values, flat = pool(planes, list(kernel_size), list(stride), 0, list(dilation), False, True)
    number = flat * 0
    for axis, position in enumerate(_unravel(flat, size)):
        start = torch.arange(flat.shape[axis - rank], device=x.device) * stride[axis]
        tap = (position - start.reshape(-1, *(1,) * (rank - axis - 1))) // dilation[axis]
        number = number * kernel_size[axis] + tap
    results = []
    for each in (values, number.to(getattr(torch, switch_dtype(tuple(found))))):
        for axis, w in enumerate(found):
            each = each.narrow(axis - rank, 0, w.coarse) if ceil_mode else each
        results.append(each.reshape(*leading, *(w.coarse for w in found)))
    return results[0], results[1]


def adaptive_max_pool(x: Tensor, windows: Ints) -> tuple[Tensor, Tensor]:
    """Every window gathered, its last element repeated up to the longest, and the first largest taken."""
    found = from_ints(windows)
    rank = len(found)
    leading = x.ndim - rank
    for axis, w in enumerate(found):
        if not (isinstance(w.fine, int) and isinstance(w.coarse, int)):
            raise ShapeError("adaptive_max_pool: sizes must be fixed for the export")
        taps = np.minimum(np.arange(w.size), w.lengths()[:, None] - 1)
        places = (w.starts()[:, None] + taps).reshape(-1).tolist()
        index = torch.tensor(places, dtype=torch.int64, device=x.device)
        at = leading + 2 * axis
        x = x.index_select(at, index).unflatten(at, (w.coarse, w.size))
    coarse, block = ([leading + 2 * i + j for i in range(rank)] for j in (0, 1))
    gathered = x.permute(*range(leading), *coarse, *block).flatten(leading + rank)
    number = gathered.argmax(-1)
    values = gathered.gather(-1, number.unsqueeze(-1)).squeeze(-1)
    return values, number.to(getattr(torch, switch_dtype(found)))


def max_unpool(values: Tensor, switches: Tensor, windows: Ints, duplicates: str) -> Tensor:
    """A scatter at the positions of the switches; "error" cannot be written down and is "last"."""
    found = from_ints(windows)
    (leading, _), fine = _split(values, len(found)), [w.fine for w in found]
    size = _product(fine)
    flat = _flat_positions(switches, found).reshape(*leading, -1)
    given = values.reshape(*leading, -1)
    empty = torch.zeros((*leading, size), dtype=values.dtype, device=values.device)
    if duplicates == "sum":
        out = empty.scatter_add(-1, flat, given)
    elif duplicates == "max":
        out = empty.scatter_reduce(-1, flat, given, "amax", include_self=False)
    else:
        out = empty.scatter(-1, flat, given)
    return out.reshape(*leading, *fine)


def max_gather(x: Tensor, switches: Tensor, windows: Ints) -> Tensor:
    """A gather at the positions of the switches."""
    found = from_ints(windows)
    leading, _ = _split(x, len(found))
    flat = _flat_positions(switches, found)
    return x.reshape(*leading, -1).gather(-1, flat.reshape(*leading, -1)).reshape(flat.shape)


def switches_to_indices(switches: Tensor, windows: Ints) -> Tensor:
    """The positions, flat in one plane."""
    return _flat_positions(switches, from_ints(windows))


def indices_to_switches(indices: Tensor, windows: Ints) -> Tensor:
    """Positions in a plane back to taps; nothing is checked in an exported graph."""
    found = from_ints(windows)
    number = indices * 0
    for axis, position in enumerate(_unravel(indices, [w.fine for w in found])):
        w = found[axis]
        number = number * w.size + (position - _starts(indices, found, axis)) // w.dilation
    return number.to(getattr(torch, switch_dtype(found)))


def _flat_positions(switches: Tensor, windows: Sequence[AnyWindow]) -> Tensor:
    rest = switches.to(torch.int64)
    positions = []
    for axis in reversed(range(len(windows))):
        w = windows[axis]
        positions.append(_starts(switches, windows, axis) + rest % w.size * w.dilation)
        rest = rest // w.size
    flat = positions.pop()
    for w in windows[1:]:
        flat = flat * w.fine + positions.pop()
    return flat


def _starts(like: Tensor, windows: Sequence[AnyWindow], axis: int) -> Tensor:
    """`Window.start` of every window of an axis, their number perhaps a symbol."""
    w, number = windows[axis], like.shape[axis - len(windows)]
    o = torch.arange(number, device=like.device)
    start = o * w.stride - w.before if isinstance(w, Window) else o * w.fine // w.coarse
    return start.reshape(-1, *(1,) * (len(windows) - axis - 1))


def _unravel(flat: Tensor, size: Ints) -> list[Tensor]:
    positions = []
    for n in reversed(size):
        positions.append(flat % n)
        flat = flat // n
    return positions[::-1]


# -- shapes ----------------------------------------------------------------------------------------------


def _plain(windows: Ints) -> list[Window]:
    return [w for w in from_ints(windows) if isinstance(w, Window)]


def _factors(windows: Ints) -> list[int]:
    """The elements of a block."""
    return [w.size for w in _plain(windows)]


def _steps(windows: Ints) -> tuple[list[int], list[tuple[int, int]], list[int], list[int]]:
    """Stride, padding, dilation and size of the larger side."""
    found = _plain(windows)
    pads = [(w.before, w.after) for w in found]
    return [w.stride for w in found], pads, [w.dilation for w in found], [w.fine for w in found]


def _three_at_most(operation: str, rank: int) -> int:
    """`rank`, as far as torch has convolutions and poolings."""
    if rank > 3:
        raise ShapeError(f"{operation}: at most 3 spatial axes can be exported, got {rank}")
    return rank


def _split(x: Tensor, rank: int) -> tuple[list[int], list[int]]:
    """Leading and spatial sizes, symbols kept."""
    return list(x.shape[: x.ndim - rank]), list(x.shape[x.ndim - rank :])


def _interleaved(first: Ints, second: Ints) -> list[int]:
    return [n for pair in zip(first, second, strict=True) for n in pair]


def _product(numbers: Ints) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product


def _along(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Zeros before and after one of the last axes."""
    return F.pad(x, [0, 0] * (-axis - 1) + [before, after])


def _padded(x: Tensor, pads: Sequence[tuple[int, int]], mode: str = "zeros", value: float = 0) -> Tensor:
    """`x` with its last axes padded, or cropped where a pad is negative."""
    if all(isinstance(side, int) and side == 0 for pair in pads for side in pair):
        return x
    if mode == "zeros":
        return F.pad(x, [side for pair in reversed(pads) for side in pair], value=value)
    cropped = [(min(before, 0), min(after, 0)) for before, after in pads]
    around = [(max(before, 0), max(after, 0)) for before, after in pads]
    x = _padded(x, cropped)
    return F.pad(x, [side for pair in reversed(around) for side in pair], mode=mode)


RULES: dict[str, Callable[..., Any]] = {
    "nearest": nearest,
    "window_sum": window_sum,
    "bed_of_nails": bed_of_nails,
    "decimate": decimate,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "resize": resize,
    "resize_transpose": resize_transpose,
    "max_pool": max_pool,
    "adaptive_max_pool": adaptive_max_pool,
    "max_unpool": max_unpool,
    "max_gather": max_gather,
    "switches_to_indices": switches_to_indices,
    "indices_to_switches": indices_to_switches,
    "conv": conv,
    "conv_transpose": conv_transpose,
}


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Every operator in torch's own functions, as `ExportedProgram.run_decompositions` takes them.

    Returns
    -------
    dict
        Operator -> function with its arguments. `torch.onnx.export` of a module needs none of it: it
        is given these functions as it goes.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> program = torch.export.export(ut.Nearest(2), (torch.zeros(1, 1, 2, 3),))
    >>> plain = program.run_decompositions(ut.decompositions())
    >>> any("unsample" in str(node.target) for node in plain.graph.nodes)
    False
    """
    return {getattr(torch.ops.unsample, name).default: rule for name, rule in RULES.items()}
