"""Every operator in torch's own functions: what an exporter that does not know ours is given.

One function per operator, with its arguments. `torch.onnx.export` gets them by itself: `functional.call`
asks whether it is running. A program exported before takes them as a table:

    program.run_decompositions(unsample.torch.export())

They are graphs to be written down, without mutation, without tables (of which `run_decompositions` loses
the numbers) and, but for adaptive pooling, for sizes that may be symbols. `conv_weight_grad`, a training
step's, has none.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from unsample.arrays.library import dtype_kind
from unsample.errors import ShapeError
from unsample.geometry.resample import (
    ROUNDING,
    SUPPORT,
    Method,
    Resample,
    copied_source,
    kernel,
    position,
    step_of,
)
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window
from unsample.switches import switch_dtype
from unsample.torch.layout import common_dtype
from unsample.torch.windows import from_ints, resampled_from_ints

Tensor = torch.Tensor
Ints = Sequence[int]
Pairs = Sequence[tuple[int, int]]

# Floats that ONNX Runtime has both Resize and DepthToSpace for.
IN_RUNTIME = (torch.float16, torch.float32)


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
    axes = tuple(len(leading) + 2 * axis + 1 for axis in range(len(factor)))
    total = split.to(_sum_dtype(y)).sum(dim=axes)
    return total.to(y.dtype) if y.is_floating_point() else total


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
    if order == "CRD" and rank == 2 and factor[0] == factor[1] and x.ndim > 3 and x.dtype in IN_RUNTIME:
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
INTERPOLATE: dict[tuple[str, str, int], tuple[str, bool]] = {
    ("linear", "half_pixel", 1): ("linear", False),
    ("linear", "half_pixel", 2): ("bilinear", False),
    ("linear", "half_pixel", 3): ("trilinear", False),
    ("linear", "align_corners", 1): ("linear", True),
    ("linear", "align_corners", 2): ("bilinear", True),
    ("linear", "align_corners", 3): ("trilinear", True),
    ("cubic", "half_pixel", 2): ("bicubic", False),
    ("cubic", "align_corners", 2): ("bicubic", True),
}


def resize(
    x: Tensor, windows: Ints, method: Method, convention: str, antialias: bool, exclude_outside: bool
) -> Tensor:
    """A gather for methods that copy, else torch's own interpolation where that will do, or matrices.

    Torch's, and ONNX's Resize, also read neighbours of weight 0, and 0 times infinity is NaN. Sizes that are
    symbols have it wherever it exists; others for even factors, where such neighbours lie beyond the border.
    """
    axes = _resamples(windows, method, convention, antialias, exclude_outside)
    rank, sizes = len(axes), [(axis.source, axis.target) for axis in axes]
    fixed = all(isinstance(n, int) for n in windows)
    by_word = all(isinstance(axis.convention, str) for axis in axes)
    if method in ROUNDING:
        blocks = fixed and rank <= 3 and method == "nearest" and convention in ("half_pixel", "legacy")
        blocks = blocks and by_word and all(n > 0 and m % n == 0 for n, m in sizes)
        if x.dtype in IN_RUNTIME and blocks:
            return _interpolated(x, sizes, "nearest", None)
        for place, axis in zip(range(-rank, 0), axes, strict=True):
            x = x.index_select(place, _sources(x, axis)) if _changes(axis) else x
        return x
    total = x.to(torch.promote_types(x.dtype, torch.float32))
    # ONNX Runtime has no Resize of float64; that of integers would round positions, and so turn ties.
    single = x.is_floating_point() and total.dtype == torch.float32 and not (antialias or exclude_outside)
    mode = INTERPOLATE.get((method, convention, rank)) if single and by_word else None
    even = fixed and method == "linear" and all(n > 0 and m % (2 * n) == 0 for n, m in sizes)
    if mode is None or (fixed and not (even and convention == "half_pixel")):
        total = _mixed(total, axes, transposed=False)
    else:
        total = _interpolated(total, sizes, *mode, even)
    if dtype_kind(x.dtype) == "integer":
        limits = torch.iinfo(x.dtype)
        total = total.round().clamp(limits.min, limits.max)
    return total.to(x.dtype)


def resize_transpose(
    y: Tensor, windows: Ints, method: Method, convention: str, antialias: bool, exclude_outside: bool
) -> Tensor:
    """Every target added to its source for methods that copy, else the matrices of `resize`, transposed."""
    axes = _resamples(windows, method, convention, antialias, exclude_outside)
    total = y.to(_sum_dtype(y))
    if method not in ROUNDING:
        return _mixed(total, axes, transposed=True).to(y.dtype)
    for place, axis in zip(range(-len(axes), 0), axes, strict=True):
        if _changes(axis):
            size = [*total.shape]
            size[place] = axis.source
            total = total.new_zeros(size).index_add(place, _sources(y, axis), total)
    return total.to(y.dtype) if y.is_floating_point() or y.is_complex() else total


def _resamples(windows: Ints, method: Method, convention: Any, *options: bool) -> list[Resample]:
    """The axes of a resize; their sizes may be symbols, what positions are given are numbers."""
    made = []
    for n, m, *given in resampled_from_ints(windows):
        looks: Any = tuple(given) if given[2] else convention
        made.append(Resample(n, m, method, looks, *options))
    return made


def _changes(axis: Resample) -> bool:
    """Whether an axis is not known to stay as it is."""
    symbols = not (isinstance(axis.source, int) and isinstance(axis.target, int))
    return symbols or axis.changes


def _sources(like: Tensor, axis: Resample) -> Tensor:
    return copied_source(axis, _count(axis.target, like.device))  # type: ignore[no-any-return]


def _interpolated(
    x: Tensor, axes: Pairs, mode: str, align_corners: bool | None, bordered: bool = False
) -> Tensor:
    """Torch's own interpolation, with the elements of the border repeated around it and cut off again."""
    leading, size = _split(x, len(axes))
    planes = x if len(leading) == 2 else x.reshape(1, -1, *size)
    target, border = [m for _, m in axes], [m // n if bordered else 0 for n, m in axes]
    if bordered:
        planes = F.pad(planes, [1, 1] * len(axes), mode="replicate")
    wide = [m + 2 * f for m, f in zip(target, border, strict=True)]
    result = F.interpolate(planes, wide, mode=mode, align_corners=align_corners)
    return _padded(result, [(-f, -f) for f in border]).reshape(*leading, *target)


def _mixed(x: Tensor, axes: Sequence[Resample], transposed: bool) -> Tensor:
    """A matrix along every axis of what is finite, and beside it where infinity and NaN reach.

    The matrix has zeros, and 0 times infinity would be NaN. Infinity takes the sign of the weight; NaN has
    both, and comes back as their sum.
    """
    if x.is_complex():
        return torch.complex(*(_mixed(part, axes, transposed) for part in (x.real, x.imag)))
    infinity = float("inf")
    finite = torch.where(x.abs() < infinity, x, 0.0)
    signs = torch.stack([~(x < infinity), ~(x > -infinity)]).to(x.dtype)
    for place, axis in zip(range(-len(axes), 0), axes, strict=True):
        if not _changes(axis):
            continue
        weights = _weights(x.device, axis).to(x.dtype)
        weights = weights.mT if transposed else weights
        finite = _times(finite, weights, place)
        reached = _times(signs, weights.clip(0), place)
        if axis.method not in ("linear", "area"):  # whose kernels are nowhere negative
            reached = reached + _times(signs.flip(0), (-weights).clip(0), place)
        signs = reached
    up, down = torch.where(signs > 0, infinity, 0.0).unbind(0)
    return finite + up - down


def _times(x: Tensor, weights: Tensor, axis: int) -> Tensor:
    """A matrix along one of the last axes, without transposing, which takes ONNX Runtime longer."""
    if axis == -1:
        return torch.matmul(x, weights.mT)
    done = torch.matmul(weights, x.flatten(axis + 1))
    return done if axis == -2 else done.unflatten(-1, x.shape[axis + 1 :])


def _weights(device: torch.device, axis: Resample) -> Tensor:
    """The weights of `Resample`, (target, source), as arithmetic: sizes may be symbols."""
    n, m, method = axis.source, axis.target, axis.method
    o, i = _count(m, device).unsqueeze(1), _count(n, device)
    if method == "area":
        window: Any = AdaptiveWindow(n, m)
        start, length = window.start(o), window.length(o)
        return torch.where((start <= i) & (i < start + length), 1 / length.double(), 0.0)
    numerator, denominator = position(n, m, axis.convention, o)
    if axis.clipped():
        numerator = numerator.clip(0, (n - 1) * denominator)
    wide = torch.sym_max(step_of(n, m, axis.convention)[0], denominator) if axis.antialias else denominator
    # Rounded up without negative numbers, which ONNX divides towards 0 where sizes are symbols.
    reach = SUPPORT[method] * ((wide + denominator - 1) // denominator) + 1
    around = 0 if axis.clipped() or axis.exclude_outside else reach
    places = _count(n + 2 * around, device) - around
    distance = (places * denominator - numerator).abs().double() / wide
    weights: Tensor = kernel(method, distance, torch.sin)
    if axis.normalised():
        weights = weights / weights.sum(1, keepdim=True)
    if isinstance(around, int) and around == 0:
        return weights
    before, inside, after = weights.tensor_split((around, around + n), 1)
    first = torch.where(i == 0, before.sum(1, keepdim=True), 0.0)
    return inside + first + torch.where(i == n - 1, after.sum(1, keepdim=True), 0.0)


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
    for axis, place in enumerate(_unravel(flat, size)):
        start = torch.arange(flat.shape[axis - rank], device=x.device) * stride[axis]
        tap = (place - start.reshape(-1, *(1,) * (rank - axis - 1))) // dilation[axis]
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
        o = _count(w.coarse, x.device).unsqueeze(1)
        taps = _count(w.size, x.device).minimum(w.length(o) - 1)
        index = (w.start(o) + taps).flatten()
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
    for axis, place in enumerate(_unravel(indices, [w.fine for w in found])):
        w = found[axis]
        number = number * w.size + (place - _starts(indices, found, axis)) // w.dilation
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
    start: Any = w.start(_count(number, like.device))
    return start.reshape(-1, *(1,) * (len(windows) - axis - 1))  # type: ignore[no-any-return]


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


def _sum_dtype(x: Tensor) -> torch.dtype:
    """What sums of these are taken in."""
    whole = dtype_kind(x.dtype) in ("bool", "integer")
    return torch.int64 if whole else torch.promote_types(x.dtype, torch.float32)


def _three_at_most(operation: str, rank: int) -> int:
    """`rank`, as far as torch has convolutions and poolings."""
    if rank > 3:
        raise ShapeError(f"{operation}: at most 3 spatial axes can be exported, got {rank}")
    return rank


def _split(x: Tensor, rank: int) -> tuple[list[int], list[int]]:
    """Leading and spatial sizes, symbols kept."""
    return list(x.shape[: x.ndim - rank]), list(x.shape[x.ndim - rank :])


def _count(n: int, device: torch.device) -> Any:
    """0, 1, ... n - 1, of any type: the formulas of `geometry` are for integers."""
    return torch.arange(n, device=device)


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
