"""Torch's operators, as they reach the dispatcher, in the words of `vocabulary.py`: one function per family.

Windows are made of the shapes that were seen, so no size formula is repeated here.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample.geometry.arguments import PaddingMode
from unsample.geometry.resample import CONVENTIONS, Convention, Method, Resample, copied_source
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window
from unsample.operation import Operation
from unsample.pairs import OPERATIONS

# kind, and what `Op` is given beside the values.
Lowered = tuple[str, dict[str, Any]]
Shape = tuple[int, ...]


def lower(name: str, args: Sequence[Any], shapes: "Shapes") -> Lowered:
    """The kind and the fields of an operator called `name`, such as "aten.convolution"."""
    rule = RULES.get(name)
    if rule is not None:
        return rule(args, shapes)
    first, out = shapes.first, shapes.out
    if name in MIXING:
        return "mix", {}
    if first is None or out is None:
        return "opaque", {}
    if out == first or _broadcast(out, shapes.given):
        return "elementwise", {}
    return "opaque", {}


class Shapes:
    """Shapes of the arguments that are arrays, in order, and of the first result."""

    __slots__ = ("given", "out")

    def __init__(self, given: Sequence[Shape], out: Shape | None) -> None:
        self.given, self.out = tuple(given), out

    @property
    def first(self) -> Shape | None:
        """Shape of the first array."""
        return self.given[0] if self.given else None


def _broadcast(out: Shape, given: Sequence[Shape]) -> bool:
    """Whether `out` is what broadcasting makes of the given shapes."""
    for axis in range(1, len(out) + 1):
        if max((s[-axis] if axis <= len(s) else 1 for s in given), default=0) != out[-axis]:
            return False
    return max(map(len, given), default=0) == len(out)


def _per_axis(value: Any, rank: int, default: int) -> list[int]:
    if value is None or (isinstance(value, Sequence) and not value):
        return [default] * rank
    if isinstance(value, Sequence):
        return [int(each) for each in value] * (rank if len(value) == 1 else 1)
    return [int(value)] * rank


def _at(args: Sequence[Any], index: int, default: Any = None) -> Any:
    return args[index] if index < len(args) else default


def short(values: Sequence[Any]) -> Any:
    """One number where all are the same.

    Examples
    --------
    >>> short([2, 2]), short([1, 2])
    (2, '1x2')
    """
    return values[0] if len(set(values)) == 1 else "x".join(map(str, values))


def _pads(windows: Sequence[Window]) -> Any:
    return short([w.before if w.before == w.after else f"({w.before},{w.after})" for w in windows])


def window_settings(windows: Sequence[AnyWindow], *, output_padding: Sequence[int] = ()) -> dict[str, Any]:
    """Kernel, stride, padding, dilation for people; defaults left out."""
    plain = [w for w in windows if isinstance(w, Window)]
    if len(plain) < len(windows):
        coarse = [w.coarse for w in windows]
        return {"output_size": short(coarse)}
    found = {"kernel": short([w.size for w in plain]), "stride": short([w.stride for w in plain])}
    if any(w.before or w.after for w in plain):
        found["padding"] = _pads(plain)
    if any(w.dilation != 1 for w in plain):
        found["dilation"] = short([w.dilation for w in plain])
    if any(output_padding):
        found["output_padding"] = short(output_padding)
    return found


# -- convolutions -----------------------------------------------------------------------------------------


def convolution(
    shapes: Shapes,
    stride: Sequence[int],
    sides: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
    *,
    transposed: bool,
    mode: PaddingMode = "zeros",
    output_padding: Sequence[int] = (),
) -> Lowered:
    """A convolution or its transpose; the multiply-adds are those of the taps that meet an element."""
    x, w, out = shapes.given[0], shapes.given[1], shapes.out
    assert out is not None
    rank = len(w) - 2
    fine, coarse = (out, x) if transposed else (x, out)
    windows = tuple(
        Window(fine[a - rank], coarse[a - rank], w[2 + a], stride[a], dilation[a], *sides[a], mode)
        for a in range(rank)
    )
    batch = math.prod(x[: len(x) - rank - 1])
    cost = batch * w[0] * w[1] * math.prod([window.meetings for window in windows])
    settings = window_settings(windows, output_padding=output_padding)
    if groups != 1:
        settings["groups"] = groups
    if mode != "zeros":
        settings["padding_mode"] = mode
    return "conv_transpose" if transposed else "conv", {
        "windows": windows,
        "settings": settings,
        "groups": groups,
        "multiply_adds": cost,
    }


def _convolution(args: Sequence[Any], shapes: Shapes) -> Lowered:
    rank = len(shapes.given[1]) - 2
    padding = _per_axis(args[4], rank, 0)
    return convolution(
        shapes,
        _per_axis(args[3], rank, 1),
        [(p, p) for p in padding],
        _per_axis(args[5], rank, 1),
        int(args[8]),
        transposed=bool(args[6]),
        output_padding=_per_axis(args[7], rank, 0) if args[6] else (),
    )


# -- pooling ----------------------------------------------------------------------------------------------


def pool_windows(
    fine: Shape,
    coarse: Shape,
    kernel: Sequence[int],
    stride: Sequence[int],
    before: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Window, ...]:
    """Windows of a pooling over the last axes."""
    rank = len(kernel)
    return tuple(
        Window(fine[a - rank], coarse[a - rank], kernel[a], stride[a], dilation[a], before[a], before[a])
        for a in range(rank)
    )


def _pool(rank: int, *, dilated: bool) -> Callable[[Sequence[Any], Shapes], Lowered]:
    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        assert shapes.first is not None
        assert shapes.out is not None
        kernel = _per_axis(args[1], rank, 1)
        stride = _per_axis(_at(args, 2), rank, 0)
        stride = [s or k for s, k in zip(stride, kernel, strict=True)]
        pad = _per_axis(_at(args, 3), rank, 0)
        dilation = _per_axis(_at(args, 4), rank, 1) if dilated else [1] * rank
        windows = pool_windows(shapes.first, shapes.out, kernel, stride, pad, dilation)
        settings = window_settings(windows)
        if _at(args, 5 if dilated else 4, False):
            settings["ceil_mode"] = True
        return "pool", {"windows": windows, "settings": settings}

    return rule


def _adaptive(rank: int) -> Callable[[Sequence[Any], Shapes], Lowered]:
    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        assert shapes.first is not None
        assert shapes.out is not None
        windows = tuple(AdaptiveWindow(shapes.first[a], shapes.out[a]) for a in range(-rank, 0))
        return "pool", {
            "windows": windows,
            "settings": window_settings(windows),
            "details": {"adaptive": True},
        }

    return rule


def _max_unpool(args: Sequence[Any], shapes: Shapes) -> Lowered:
    # torch's operator is not told the windows: the pooling that made its indices knows them.
    return "max_unpool", {"settings": {"output_size": short(list(args[2]))}}


# -- pixel shuffle ----------------------------------------------------------------------------------------


def shuffle(kind: str, factor: int, shapes: Shapes, order: str = "CRD") -> Lowered:
    """A pixel shuffle of an image, or its way back."""
    assert shapes.first is not None
    assert shapes.out is not None
    fine, coarse = (shapes.out, shapes.first) if kind == "pixel_shuffle" else (shapes.first, shapes.out)
    windows = tuple(Window(n, m, factor, factor) for n, m in zip(fine[-2:], coarse[-2:], strict=True))
    details = {"factor": (factor, factor), "order": order}
    return kind, {"windows": windows, "settings": {"factor": factor}, "details": details}


def _torch_shuffle(kind: str) -> Callable[[Sequence[Any], Shapes], Lowered]:
    return lambda args, shapes: shuffle(kind, int(args[1]), shapes)


# -- resizes ----------------------------------------------------------------------------------------------


def resize(
    shapes: Shapes,
    rank: int,
    method: Method,
    convention: Convention,
    antialias: bool = False,
    factors: Sequence[float | None] = (),
    given: Sequence[tuple[int, int, int]] = (),
    exclude_outside: bool | None = None,
) -> Lowered:
    """An interpolation of the last `rank` axes; `factors` where positions come from them, or `given` ones."""
    from unsample.ops.resize import plan_resize_over, told

    assert shapes.first is not None
    assert shapes.out is not None
    n, m = shapes.first[-rank:], shapes.out[-rank:]
    given = given or ((0, 0, 0),) * rank
    *_, flag, exclude = words = told(method, convention, antialias, exclude_outside)
    axes = tuple(
        Resample(a, b, method, look if any(look) else convention, flag, exclude)
        for a, b, look in zip(n, m, given, strict=True)
    )
    windows = tuple((a, b, *look) for a, b, look in zip(n, m, given, strict=True))
    cost = plan_resize_over(shapes.first, windows, *words).multiply_adds if all(n) and all(m) else 0
    steps = tuple(
        None if not f or a * f == b else 1 / f for a, b, f in zip(n, m, factors or [None] * rank, strict=True)
    )
    settings: dict[str, Any] = {"method": method}
    if all(a and b % a == 0 for a, b in zip(n, m, strict=True)):
        settings["factor"] = short([b // a for a, b in zip(n, m, strict=True)])
    else:
        settings["size"] = short(list(m))
    if any(map(any, given)):
        each = [f"{Fraction(first, over)} + o * {Fraction(step, over)}" for first, step, over in given]
        settings["positions"] = short(each)
    elif method != "nearest" or convention != "legacy":
        settings["positions"] = convention
    if antialias:
        settings["antialias"] = True
    if exclude != antialias:
        settings["exclude_outside"] = exclude
    return "resize", {"resamples": axes, "settings": settings, "multiply_adds": cost, "steps": steps}


def _nearest(rank: int, convention: Convention) -> Callable[[Sequence[Any], Shapes], Lowered]:
    return lambda args, shapes: resize(shapes, rank, "nearest", convention, factors=args[2 : 2 + rank])


def _interpolate(rank: int, method: Method, *, antialias: bool = False) -> Callable[..., Lowered]:
    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        convention: Convention = "align_corners" if args[2] else "half_pixel"
        # torch's cubic has -0.75, with antialias -0.5.
        name: Method = "catmull_rom" if method == "cubic" and antialias else method
        return resize(shapes, rank, name, convention, antialias, args[3 : 3 + rank])

    return rule


def resize_of(shapes: Shapes, dims: list[int], *words: Any) -> Lowered:
    """A resize of some axes, wherever they stand."""
    assert shapes.first is not None
    assert shapes.out is not None
    sizes = ((1, 1, *(shape[dim] for dim in dims)) for shape in (shapes.first, shapes.out))
    small, large = sizes
    kind, fields = resize(Shapes([small], large), len(dims), *words)
    return kind, {**fields, "details": {"dims": dims}}


# -- operators of this library ----------------------------------------------------------------------------


def _ours(operation: Operation) -> Callable[[Sequence[Any], Shapes], Lowered]:
    """What an operator did, by the record of its operation."""
    names = (*operation.words, *operation.plan_words)
    usual = {name: signature(operation.function).parameters[name].default for name in names}
    kind = "pool" if operation.lies == "pooled" else operation.name

    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        from unsample.torch.windows import from_ints, resampled_from_ints

        numbers, *told = args[len(operation.arrays) :]
        words = dict(zip(names, told, strict=True))
        if operation.lies == "resampled":
            given = tuple((first, step, over) for _, _, first, step, over in resampled_from_ints(numbers))
            return resize(shapes, len(given), given=given, **words)
        windows = from_ints([int(each) for each in numbers])
        plain = [w for w in windows if isinstance(w, Window)]
        if "weight" in operation.arrays:
            return convolution(
                shapes,
                [w.stride for w in plain],
                [(w.before, w.after) for w in plain],
                [w.dilation for w in plain],
                int(words["groups"]),
                transposed=operation.up,
                mode=words["padding_mode"],
            )
        factor = tuple(w.stride for w in plain)
        if operation.lies in ("blocks", "nails"):
            settings = {"factor": short(factor)}
        else:
            settings = window_settings(windows)
        if operation.lies == "nails":
            settings["at"] = short([-w.before for w in plain])
        settings |= {name: word for name, word in words.items() if word != usual[name]}
        details = {**words, "factor": factor, "adaptive": not plain}
        return kind, {"windows": windows, "settings": settings, "details": details}

    return rule


# -- moving and mixing ------------------------------------------------------------------------------------


def _pad(mode: str) -> Callable[[Sequence[Any], Shapes], Lowered]:
    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        return "pad", {"details": {"pads": [int(each) for each in args[1]], "mode": mode}}

    return rule


def _slice(args: Sequence[Any], shapes: Shapes) -> Lowered:
    assert shapes.first is not None
    dim = int(_at(args, 1, 0)) % len(shapes.first)
    n = shapes.first[dim]
    start, stop = _at(args, 2), _at(args, 3)
    first, _, step = slice(start, stop, int(_at(args, 4, 1))).indices(n)
    return "slice", {"details": {"moves": [{"dim": dim, "start": first, "step": step}]}}


def _dim(kind: str, index: int = 1, default: int = 0) -> Callable[[Sequence[Any], Shapes], Lowered]:
    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        rank = len(shapes.first or ()) or 1
        return kind, {"details": {"dim": int(_at(args, index, default)) % rank}}

    return rule


def _select(args: Sequence[Any], shapes: Shapes) -> Lowered:
    return "select", {"details": {"dim": int(args[1]) % len(shapes.first or (0,))}}


def _permute(args: Sequence[Any], shapes: Shapes) -> Lowered:
    rank = len(shapes.first or ())
    return "permute", {"details": {"permutation": [int(each) % rank for each in args[1]]}}


def _transpose(args: Sequence[Any], shapes: Shapes) -> Lowered:
    rank = len(shapes.first or ())
    order = list(range(rank))
    a, b = (int(_at(args, 1, 0)), int(_at(args, 2, 1))) if rank else (0, 0)
    if rank > 1:
        a, b = a % rank, b % rank
        order[a], order[b] = order[b], order[a]
    return "permute", {"details": {"permutation": order}}


def _reshape(args: Sequence[Any], shapes: Shapes) -> Lowered:
    return "reshape", {}


def _reduce(index: int = 1, keep: int = 2) -> Callable[[Sequence[Any], Shapes], Lowered]:
    """A rule for an operator with its dimensions at `index`, and at `keep` whether they stay."""

    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        rank = len(shapes.first or ())
        dims = _at(args, index)
        if hasattr(dims, "shape"):  # `torch.max(a, b)` has the name of `torch.max(a, dim)`
            return "elementwise", {}
        several = (
            range(rank) if dims is None or dims == [] else dims if isinstance(dims, Sequence) else [dims]
        )
        found = sorted(int(each) % rank for each in several) if rank else []
        return "reduce", {"details": {"dims": found, "keep": bool(_at(args, keep))}}

    return rule


def _stack(args: Sequence[Any], shapes: Shapes) -> Lowered:
    return "stack", {"details": {"dim": int(_at(args, 1, 0)) % (len(shapes.first or ()) + 1)}}


def _roll(args: Sequence[Any], shapes: Shapes) -> Lowered:
    rank = len(shapes.first or ())
    shifts, dims = ([each] if isinstance(each, int) else list(each or ()) for each in (args[1], _at(args, 2)))
    if not dims:  # over all elements in a row
        return "opaque", {}
    return "roll", {"details": {"dims": [int(d) % rank for d in dims], "shifts": [int(n) for n in shifts]}}


def _unfold(args: Sequence[Any], shapes: Shapes) -> Lowered:
    dim = int(args[1]) % (len(shapes.first or ()) or 1)
    return "unfold", {"details": {"dim": dim, "size": int(args[2]), "step": int(args[3])}}


def _keep(axes: Sequence[int | None]) -> Lowered:
    return "keep", {"details": {"axes": list(axes)}}


def _index(args: Sequence[Any], shapes: Shapes) -> Lowered:
    """x[..., i, ...] with arrays: their axes stand where they did, first if not together."""
    assert shapes.first is not None
    assert shapes.out is not None
    rank = len(shapes.first)
    given = [*args[1], *[None] * (rank - len(args[1]))]
    at = [axis for axis, each in enumerate(given) if each is not None]
    new = len(shapes.out) - (rank - len(at))
    if len(given) > rank or new < 0 or not at:  # masks
        return "opaque", {}
    first = at[0] if at == list(range(at[0], at[0] + len(at))) else 0
    rest: list[int | None] = [axis for axis in range(rank) if axis not in at]
    places: dict[int, tuple[int, NDArray[Any]]] = {}
    for axis in at:  # which axis of the result each index runs along, where its values are known
        numbers = given[axis]
        wide = [a for a, n in enumerate(numbers.shape) if n > 1]
        if isinstance(numbers, np.ndarray) and len(wide) < 2:
            along = wide[0] - numbers.ndim + new if wide else at.index(axis)
            places[first + along] = (axis, numbers.reshape(-1))
    each_alone = new == len(places) == len(at)
    return indexed(shapes, [*rest[:first], *[None] * new, *rest[first:]], places if each_alone else {})


def _gather(args: Sequence[Any], shapes: Shapes) -> Lowered:
    """Elements of one axis by their numbers."""
    assert shapes.first is not None
    assert shapes.out is not None
    dim, numbers = int(args[1]) % (len(shapes.first) or 1), args[2]
    pairs = zip(shapes.first, shapes.out, strict=True)
    axes = [axis if axis != dim and n == m else None for axis, (n, m) in enumerate(pairs)]
    if not isinstance(numbers, np.ndarray) or not numbers.size:
        return _keep(axes)
    # An index of `gather` has all axes.
    whole = numbers.ndim == len(shapes.first)
    rows = np.moveaxis(numbers, dim, -1).reshape(-1, numbers.shape[dim]) if whole else numbers.reshape(1, -1)
    alike = bool((rows == rows[0]).all())
    return indexed(shapes, axes, {dim: (dim, rows[0])} if alike else {})


Places = Mapping[int, tuple[int, NDArray[Any]]]


def indexed(shapes: Shapes, axes: list[int | None], places: Places) -> Lowered:
    """Axes that stay, and those with elements of an axis at known places: a slice, a resize, or others."""
    assert shapes.first is not None
    assert shapes.out is not None
    n, m = shapes.first, shapes.out
    at = {axis: (dim, np.where(row < 0, row + n[dim], row)) for axis, (dim, row) in places.items()}
    places = {axis: (dim, row) for axis, (dim, row) in at.items() if len(row) == m[axis]}
    whole = axes == [axis if axis not in places else None for axis in range(len(n))]
    if whole and all(axis == dim for axis, (dim, _) in places.items()):
        moves = [{"dim": dim, **move} for dim, row in places.values() if (move := _stepped(row))]
        if len(moves) == len(places):
            return "slice", {"details": {"moves": moves}}
        for convention in sorted(CONVENTIONS, reverse=True):  # "legacy", torch's own, where several are alike
            if all(_is_nearest(row, n[dim], convention) for dim, row in places.values()):
                return resize_of(shapes, sorted(places), "nearest", convention)
    return "keep", {"details": {"axes": axes, "at": places}}


def _stepped(row: NDArray[Any]) -> dict[str, int] | None:
    """Start and step of numbers that are a range."""
    step = int(row[1] - row[0]) if len(row) > 1 else 1
    return {"start": int(row[0]), "step": step} if step and (np.diff(row) == step).all() else None


def _is_nearest(row: NDArray[Any], n: int, convention: Convention) -> bool:
    return np.array_equal(
        row, copied_source(Resample(n, len(row), "nearest", convention), np.arange(len(row)))
    )


def _repeat(args: Sequence[Any], shapes: Shapes) -> Lowered:
    times, first = args[1], shapes.first or ()
    new = len(times) - len(first)
    if all(m == 1 or n == 1 for n, m in zip(first, times[new:], strict=True)):  # as `expand` does
        return "reshape", {}
    return _keep([axis - new if axis >= new and n == 1 else None for axis, n in enumerate(times)])


def _blocks_in_columns(kind: str, first: int) -> Callable[[Sequence[Any], Shapes], Lowered]:
    """F.unfold and F.fold; kernel, dilation, padding and stride are arguments from `first` on."""

    def rule(args: Sequence[Any], shapes: Shapes) -> Lowered:
        fine = shapes.out if kind == "col2im" else shapes.first
        assert fine is not None
        k, d, p, s = (_per_axis(each, 2, 0) for each in args[first : first + 4])
        rules = zip(fine[-2:], k, s, d, p, strict=True)
        windows = tuple(
            Window(n, (n + 2 * p - d * (k - 1) - 1) // s + 1, k, s, d, p, p) for n, k, s, d, p in rules
        )
        return kind, {"windows": windows, "settings": window_settings(windows)}

    return rule


def _sample(args: Sequence[Any], shapes: Shapes) -> Lowered:
    return "sample", {"settings": {"positions": "computed"}}


def _flips(dims: Iterable[int], shape: Shape) -> list[dict[str, int]]:
    return [{"dim": dim, "start": shape[dim] - 1, "step": -1} for dim in dims]


def _flip(args: Sequence[Any], shapes: Shapes) -> Lowered:
    shape = shapes.first or ()
    return "slice", {"details": {"moves": _flips([int(each) % len(shape) for each in args[1]], shape)}}


def _rot90(args: Sequence[Any], shapes: Shapes) -> Lowered:
    assert shapes.out is not None
    order, times = list(range(len(shapes.out))), int(args[1]) % 4
    a, b = (int(each) % len(order) for each in args[2])
    if times % 2:
        order[a], order[b] = order[b], order[a]
    moves = _flips([[], [a], [a, b], [b]][times], shapes.out)
    return "permute", {"details": {"permutation": order, "moves": moves}}


def _matmul(left: int) -> Callable[[Sequence[Any], Shapes], Lowered]:
    return lambda args, shapes: ("matmul", {"details": {"left": left}})


ATTENTION = (
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_cudnn_attention",
    "aten._scaled_dot_product_fused_attention_overrideable",
    "aten.scaled_dot_product_attention",
)
# What an element depends on lies anywhere along the axes, though the shape stays.
MIXING = frozenset(
    f"aten.{name}"
    for name in (
        *("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "sort", "argsort"),
        *("_fft_r2c", "_fft_c2c", "_fft_c2r", "lstm", "gru", "rnn_tanh", "rnn_relu", "mkldnn_rnn_layer"),
        *("_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
    )
)

# What torch calls, or not, as the elements happen to lie.
REARRANGING = frozenset(
    f"aten.{name}"
    for name in (
        *(
            "view",
            "_unsafe_view",
            "reshape",
            "_reshape_alias",
            "unsqueeze",
            "squeeze",
            "flatten",
            "unflatten",
        ),
        *("expand", "clone", "contiguous", "detach", "alias", "permute", "transpose", "t", "as_strided"),
    )
)
# Operators of which the numbers of elements are read, where they are known.
BY_NUMBER = frozenset({"aten.index", "aten._unsafe_index", "aten.index_select", "aten.gather"})

RULES: dict[str, Callable[[Sequence[Any], Shapes], Lowered]] = {
    "aten.convolution": _convolution,
    "aten._convolution": _convolution,  # of a traced module
    "aten.max_pool2d_with_indices": _pool(2, dilated=True),
    "aten.max_pool3d_with_indices": _pool(3, dilated=True),
    "aten.max_pool1d": _pool(1, dilated=True),
    "aten.avg_pool1d": _pool(1, dilated=False),
    "aten.avg_pool2d": _pool(2, dilated=False),
    "aten.avg_pool3d": _pool(3, dilated=False),
    "aten._adaptive_avg_pool2d": _adaptive(2),
    "aten._adaptive_avg_pool3d": _adaptive(3),
    "aten.adaptive_avg_pool2d": _adaptive(2),
    "aten.adaptive_max_pool2d": _adaptive(2),
    "aten.adaptive_max_pool3d": _adaptive(3),
    "aten.max_unpool2d": _max_unpool,
    "aten.max_unpool3d": _max_unpool,
    "aten.upsample_nearest1d": _nearest(1, "legacy"),
    "aten.upsample_nearest2d": _nearest(2, "legacy"),
    "aten.upsample_nearest3d": _nearest(3, "legacy"),
    "aten._upsample_nearest_exact1d": _nearest(1, "half_pixel"),
    "aten._upsample_nearest_exact2d": _nearest(2, "half_pixel"),
    "aten._upsample_nearest_exact3d": _nearest(3, "half_pixel"),
    "aten.upsample_linear1d": _interpolate(1, "linear"),
    "aten.upsample_bilinear2d": _interpolate(2, "linear"),
    "aten.upsample_trilinear3d": _interpolate(3, "linear"),
    "aten.upsample_bicubic2d": _interpolate(2, "cubic"),
    "aten._upsample_bilinear2d_aa": _interpolate(2, "linear", antialias=True),
    "aten._upsample_bicubic2d_aa": _interpolate(2, "cubic", antialias=True),
    "aten.pixel_shuffle": _torch_shuffle("pixel_shuffle"),
    "aten.pixel_unshuffle": _torch_shuffle("pixel_unshuffle"),
    "aten.constant_pad_nd": _pad("zeros"),
    **{f"aten.reflection_pad{d}d": _pad("reflect") for d in (1, 2, 3)},
    **{f"aten.replication_pad{d}d": _pad("replicate") for d in (1, 2, 3)},
    "aten.slice": _slice,
    "aten.select": _select,
    "aten.cat": _dim("cat"),
    "aten.permute": _permute,
    "aten.transpose": _transpose,
    "aten.t": _transpose,
    **{
        f"aten.{name}": _reshape
        for name in (
            *("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze", "flatten"),
            *("unflatten", "expand"),
        )
    },
    **{
        f"aten.{name}": _reduce()
        for name in (
            *("mean", "sum", "amax", "amin", "max", "min", "prod", "any", "all", "argmax", "argmin"),
            *("logsumexp", "nanmean", "nansum"),
        )
    },
    **{f"aten.{name}": _reduce(1, 3) for name in ("var", "std", "var_mean", "std_mean")},
    "aten.linalg_vector_norm": _reduce(2, 3),
    **{
        f"aten.{name}": _dim("split", 2)
        for name in (
            *(
                "split",
                "split_with_sizes",
                "unsafe_split",
                "unsafe_split_with_sizes",
                "chunk",
                "unsafe_chunk",
            ),
            "tensor_split",
        )
    },
    "aten.unbind": _dim("select"),
    "aten.stack": _stack,
    "aten.roll": _roll,
    "aten.unfold": _unfold,
    "aten.index": _index,
    "aten._unsafe_index": _index,
    "aten.index_select": _gather,
    "aten.gather": _gather,
    "aten.repeat": _repeat,
    "aten.im2col": _blocks_in_columns("im2col", 1),
    "aten.col2im": _blocks_in_columns("col2im", 2),
    **dict.fromkeys(ATTENTION, lambda args, shapes: ("attention", {})),
    "aten.flip": _flip,
    "aten.rot90": _rot90,
    "aten.grid_sampler_2d": _sample,
    "aten.grid_sampler_3d": _sample,
    "aten.copy_": lambda args, shapes: ("copy", {}),
    "aten.mm": _matmul(0),
    "aten.addmm": _matmul(1),
    "aten.bmm": _matmul(0),
    "aten.baddbmm": _matmul(1),
    **{
        f"unsample.{name}": _ours(operation)
        for name, operation in OPERATIONS.items()
        if name not in ("conv_weight_grad", "resize_transpose")  # gradients, in no forward pass
    },
}
