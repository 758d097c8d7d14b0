"""Arguments of convolutions from one library's to another's: read into one form, written from it.

The form is `Steps`: per axis a stride, a dilation and the padding (before, after) of the convolution, which
a transposed convolution crops from its full result:

    size = (i - 1) * stride + dilation * (kernel - 1) + 1 - before - after

A negative `after` lengthens; `output_padding`, Keras's "valid" and JAX's padding all come down to that.
Nothing in it depends on the size of the input, but for SAME of a convolution with a stride and ONNX's
output_shape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    PaddingMode,
    Pads,
    choice,
    integer,
    integers,
    listed,
    per_axis,
)
from unsample.geometry.arguments import paddings as pads_of
from unsample.geometry.sizes import resolve_padding
from unsample.interop.libraries import Call, Convolution, Library, call_of

NAME = "convert_arguments"
Given = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Steps:
    """A convolution or the transpose of one, as no library writes it; one number per axis."""

    transposed: bool
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    pads: Pads = ()
    input_size: tuple[int, ...] | None = None
    mode: PaddingMode = "zeros"

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    @property
    def extent(self) -> tuple[int, ...]:
        """Elements that a window spans, per axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


def convert_arguments(
    kernel_size: Sequence[int],
    arguments: Mapping[str, Any],
    *,
    source: Library,
    target: Library,
    operation: Convolution = "conv_transpose",
    input_size: Sequence[int] | None = None,
    transpose_kernel: bool = False,
) -> dict[str, Any]:
    """The arguments of a (transposed) convolution as another library writes them.

    Parameters
    ----------
    kernel_size : sequence of int
        Taps, one per spatial axis.
    arguments : mapping of str
        What the source is called with, in its own names, those at their defaults left out:

        - torch: stride, padding, dilation, groups, output_padding;
        - unsample: the same, padding also per side or a word;
        - tf, keras: strides, padding, dilation_rate, groups, output_padding;
        - jax: strides (window_strides), padding, rhs_dilation, transpose_kernel, use_consistent_padding,
          feature_group_count; flax: kernel_dilation in place of rhs_dilation;
        - onnx: strides, pads, auto_pad, dilations, group, output_padding, output_shape, kernel_shape.
    source, target : "unsample", "torch", "tf", "keras", "jax", "flax" or "onnx"
    operation : "conv_transpose" or "conv"
    input_size : sequence of int, optional
        Spatial size of the input; needed for "SAME" of a convolution with a stride and for output_shape.
    transpose_kernel : bool
        Of a target that is jax or flax.

    Returns
    -------
    dict of str
        For the target's own call: `f(x, weight, **arguments)`.

    Raises
    ------
    ShapeError, TypeError
        Where an argument is not known or does not fit, or the target cannot say it; the message says why.

    Examples
    --------
    >>> from unsample import interop
    >>> interop.convert_arguments((4,), {"strides": 2, "padding": "same"}, source="keras", target="torch")
    {'stride': (2,), 'dilation': (1,), 'groups': 1, 'padding': (1,), 'output_padding': (0,)}
    >>> interop.convert_arguments((3,), {"strides": 4}, source="keras", target="torch")     # 4 i, not 4 i - 1
    {'stride': (4,), 'dilation': (1,), 'groups': 1, 'padding': (0,), 'output_padding': (1,)}
    """
    kernel = integers(NAME, "kernel_size", kernel_size, minimum=1)
    old = call_of(NAME, "source", source, operation)
    new = call_of(NAME, "target", target, operation)
    size = None if input_size is None else per_axis(NAME, "input_size", tuple(input_size), len(kernel), 1)
    steps = read(source, old, kernel, arguments, operation == "conv_transpose", size)
    if new.groups is None and steps.groups > 1:
        raise ShapeError(
            f"{NAME}: groups must be 1, as the transposed convolution of {target} has none "
            f"(ungroup(weight, groups) makes one group of them), got {steps.groups}"
        )
    if steps.mode != "zeros" and target != "unsample":
        raise ShapeError(
            f"{NAME}: padding 'CIRCULAR' of flax can be written for unsample alone, got target {target!r}"
        )
    written: dict[str, Any] = {new.stride: steps.stride, new.dilation: steps.dilation}
    if new.groups is not None:
        written |= {new.groups: steps.groups}
    written |= WRITERS[target](steps)
    if "transpose_kernel" in new.others:
        written["transpose_kernel"] = bool(transpose_kernel)
    return written


def read(
    library: str, call: Call, kernel: tuple[int, ...], given: Given, transposed: bool, size: Any
) -> Steps:
    """Arguments of a library as `Steps`."""
    known = [call.stride, call.dilation, *([call.groups] if call.groups else []), *call.others]
    for word in given:
        if word not in known:
            raise TypeError(f"{NAME}: {library} takes {listed(known)}, got {word!r}")
    rank = len(kernel)
    # Flax has None for 1.
    stride, dilation = (
        1 if given.get(word) is None else given[word] for word in (call.stride, call.dilation)
    )
    steps = Steps(
        transposed,
        kernel,
        per_axis(NAME, call.stride, stride, rank, minimum=1),
        per_axis(NAME, call.dilation, dilation, rank, minimum=1),
        integer(NAME, call.groups, given.get(call.groups, 1), minimum=1) if call.groups else 1,
        input_size=size,
    )
    steps = with_pads(steps, READERS[library](steps, given))
    return replace(steps, mode="circular") if given.get("padding") == "CIRCULAR" else steps


def with_pads(steps: Steps, pads: Sequence[tuple[int, int]]) -> Steps:
    """`steps` with their padding."""
    return replace(steps, pads=tuple(pads))


def same(steps: Steps, name: str = "padding") -> Pads:
    """The padding of SAME: of a convolution by its input's size, of its transpose by (i * stride) always."""
    if steps.transposed:
        return tuple(halved(e - s) for e, s in zip(steps.extent, steps.stride, strict=True))
    fine = steps.input_size
    if fine is None:
        if any(s > 1 for s in steps.stride):
            raise ShapeError(
                f"{NAME}: input_size must be given, as {name} 'SAME' of a convolution with stride "
                f"{steps.stride} depends on it"
            )
        fine = steps.extent  # with stride 1 any size is padded alike
    return resolve_padding("same", fine, steps.kernel, steps.stride, steps.dilation)


def halved(total: int) -> tuple[int, int]:
    """A crop in two, the odd element after; a lengthening after alone.

    Examples
    --------
    >>> halved(3), halved(-2)
    ((1, 2), (0, -2))
    """
    before = max(total, 0) // 2
    return before, total - before


def extended(pads: Pads, extra: Sequence[int]) -> Pads:
    """Padding less `output_padding` at the end."""
    return tuple((before, after - more) for (before, after), more in zip(pads, extra, strict=True))


# -- readers -------------------------------------------------------------------------------------------


def _read_torch(steps: Steps, given: Given) -> Pads:
    rank, padding = steps.rank, given.get("padding", 0)
    extra = per_axis(NAME, "output_padding", given.get("output_padding", 0), rank, minimum=0)
    if isinstance(padding, str) and not steps.transposed:
        if choice(NAME, "padding", padding, ("valid", "same")) == "valid":
            return ((0, 0),) * rank
        if any(s > 1 for s in steps.stride):
            raise ShapeError(f"{NAME}: padding 'same' of torch needs stride 1, got {steps.stride}")
        return same(steps)
    pads = per_axis(NAME, "padding", padding, rank, minimum=0)
    for more, s, d in zip(extra, steps.stride, steps.dilation, strict=True):
        if more >= max(s, d):
            raise ShapeError(
                f"{NAME}: output_padding must be smaller than stride or dilation, "
                f"got output_padding {extra}, stride {steps.stride}, dilation {steps.dilation}"
            )
    return extended(tuple((p, p) for p in pads), extra)


def _read_unsample(steps: Steps, given: Given) -> Pads:
    padding = pads_of(NAME, given.get("padding", 0), steps.rank)
    extra = per_axis(NAME, "output_padding", given.get("output_padding", 0), steps.rank, minimum=0)
    if isinstance(padding, str):
        if any(extra):
            raise ShapeError(f"{NAME}: output_padding must be 0 with padding {padding!r}, got {extra}")
        if padding == "same":
            return same(steps)
        return resolve_padding(padding, steps.extent, steps.kernel, steps.stride, steps.dilation)
    return extended(padding, extra)


def _read_keras(steps: Steps, given: Given) -> Pads:
    words = ("valid", "same") if steps.transposed or steps.rank > 1 else ("valid", "same", "causal")
    padding = given.get("padding", "valid")
    # Keras folds the case.
    word = choice(NAME, "padding", padding.lower() if isinstance(padding, str) else padding, words)
    if word == "causal":
        return tuple((e - 1, 0) for e in steps.extent)
    if not steps.transposed:
        return same(steps) if word == "same" else ((0, 0),) * steps.rank
    output_padding = given.get("output_padding")
    if output_padding is None:
        if word == "same":  # size i * stride
            return same(steps)
        extra: Sequence[int] = [max(s - e, 0) for e, s in zip(steps.extent, steps.stride, strict=True)]
        return extended(((0, 0),) * steps.rank, extra)  # size (i - 1) * stride + max(extent, stride)
    extra = per_axis(NAME, "output_padding", output_padding, steps.rank, minimum=0)
    for more, s in zip(extra, steps.stride, strict=True):
        if more >= s:
            raise ShapeError(
                f"{NAME}: output_padding must be smaller than strides in keras, "
                f"got output_padding {extra}, strides {steps.stride}"
            )
    if word == "valid":
        return extended(((0, 0),) * steps.rank, extra)
    # size (i - 1) * stride + extent % 2 + output_padding
    return tuple(halved(e - e % 2 - more) for e, more in zip(steps.extent, extra, strict=True))


def _read_jax(steps: Steps, given: Given) -> Pads:
    if "padding" not in given:
        raise ShapeError(f"{NAME}: padding must be given, as jax has no default for it")
    return _jax_pads(steps, given["padding"], ("SAME", "VALID"), given.get("use_consistent_padding", False))


def _read_flax(steps: Steps, given: Given) -> Pads:
    if given.get("padding") == "CIRCULAR":
        return _circular(steps, bool(given.get("transpose_kernel")))
    causal = () if steps.transposed or steps.rank > 1 else ("CAUSAL",)
    return _jax_pads(steps, given.get("padding", "SAME"), ("SAME", "VALID", "CIRCULAR", *causal), False)


def _circular(steps: Steps, transpose_kernel: bool) -> Pads:
    """What flax wraps: of a convolution the kernel less 1, of its transpose what SAME crops."""
    if not steps.transposed:
        return tuple(((e - 1) // 2, e // 2) for e in steps.extent)
    pads = same(steps)
    if transpose_kernel:  # the odd element before
        return tuple((max(after, 0), before + min(after, 0)) for before, after in pads)
    return pads


def _jax_pads(steps: Steps, padding: Any, words: Sequence[str], consistent: bool) -> Pads:
    if isinstance(padding, str):
        word = choice(NAME, "padding", padding, words)
        if word == "CAUSAL":
            return tuple((e - 1, 0) for e in steps.extent)
        if word == "SAME":
            return same(steps)
        if not steps.transposed:
            return ((0, 0),) * steps.rank
        return _read_keras(steps, {"padding": "valid"})
    pads: Any = pads_of(NAME, padding, steps.rank)  # no word, so pairs
    if consistent or not steps.transposed:
        return tuple(pads)
    return exchanged(pads, steps)


def exchanged(pads: Pads, steps: Steps) -> Pads:
    """Padding of the transposed convolution, read as a convolution of its own <-> crop of its result."""
    return tuple(
        (e - 1 - before, e - 1 - after) for e, (before, after) in zip(steps.extent, pads, strict=True)
    )


def _read_onnx(steps: Steps, given: Given) -> Pads:
    rank = steps.rank
    shape = given.get("kernel_shape")
    if shape is not None and tuple(shape) != steps.kernel:
        raise ShapeError(f"{NAME}: kernel_shape must be kernel_size {steps.kernel}, got {tuple(shape)}")
    words = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    word = choice(NAME, "auto_pad", given.get("auto_pad", "NOTSET"), words)
    extra = per_axis(NAME, "output_padding", given.get("output_padding", 0), rank, minimum=0)
    wanted = given.get("output_shape")
    if wanted is not None:
        return extended(_of_output_shape(steps, wanted, extra, word), extra)
    if word == "NOTSET":
        flat = integers(NAME, "pads", given.get("pads", (0,) * 2 * rank), minimum=0)
        if len(flat) != 2 * rank:
            raise ShapeError(f"{NAME}: pads must hold {2 * rank} ints, before then after, got {flat}")
        return extended(tuple(zip(flat[:rank], flat[rank:], strict=True)), extra)
    if word == "VALID":
        return extended(((0, 0),) * rank, extra)
    if not steps.transposed:
        pads = same(steps, "auto_pad")
    else:
        totals = [e - s + more for e, s, more in zip(steps.extent, steps.stride, extra, strict=True)]
        if any(total < 0 for total in totals):
            raise ShapeError(
                f"{NAME}: auto_pad {word!r} of onnx needs kernels at least as long as the stride, as ONNX "
                f"Runtime and the specification disagree on others, got {steps.extent} and {steps.stride}"
            )
        pads = tuple(halved(total) for total in totals)
    if word == "SAME_LOWER":
        pads = tuple((after, before) for before, after in pads)
    return extended(pads, extra)


def _of_output_shape(steps: Steps, wanted: Any, extra: Sequence[int], word: str) -> Pads:
    if steps.input_size is None:
        raise ShapeError(f"{NAME}: input_size must be given, as output_shape depends on it")
    sizes = per_axis(NAME, "output_shape", wanted, steps.rank, minimum=1)
    pads = []
    for axis, (m, e, s) in enumerate(zip(steps.input_size, steps.extent, steps.stride, strict=True)):
        total = (m - 1) * s + extra[axis] + e - sizes[axis]
        # The specification: the odd element after for SAME_UPPER alone, otherwise before. What is longer than
        # the full result is lengthened at its end.
        before, after = halved(total)
        pads.append((before, after) if word == "SAME_UPPER" or total < 0 else (after, before))
    return tuple(pads)


READERS: Mapping[str, Callable[[Steps, Given], Pads]] = {
    "unsample": _read_unsample,
    "torch": _read_torch,
    "tf": _read_keras,
    "keras": _read_keras,
    "jax": _read_jax,
    "flax": _read_flax,
    "onnx": _read_onnx,
}


# -- writers -------------------------------------------------------------------------------------------


def _cannot(library: str, rule: str, steps: Steps, remedy: str) -> ShapeError:
    what = "crop" if steps.transposed else "padding"
    return ShapeError(
        f"{NAME}: {library} {rule}, so {what} {steps.pads} (before, after) cannot be written "
        f"(kernel_size {steps.kernel}, stride {steps.stride}, dilation {steps.dilation}); {remedy}"
    )


def _remedy(steps: Steps) -> str:
    return "convert without padding and crop the result" if steps.transposed else "pad the input before it"


def _write_unsample(steps: Steps) -> dict[str, Any]:
    return {"padding": steps.pads} | ({} if steps.mode == "zeros" else {"padding_mode": steps.mode})


def _write_torch(steps: Steps) -> dict[str, Any]:
    if not steps.transposed:
        if all(before == after >= 0 for before, after in steps.pads):
            return {"padding": tuple(before for before, _ in steps.pads)}
        if all(s == 1 for s in steps.stride) and steps.pads == same(steps):
            return {"padding": "same"}
        rule = "pads both sides of an axis alike (or stride 1 to 'same')"
        raise _cannot("torch", rule, steps, _remedy(steps))
    extra = [before - after for before, after in steps.pads]
    limits = [max(s, d) for s, d in zip(steps.stride, steps.dilation, strict=True)]
    if not all(before >= 0 for before, _ in steps.pads) or not all(
        0 <= more < limit for more, limit in zip(extra, limits, strict=True)
    ):
        rule = "crops both sides of an axis alike and lengthens only the end, by less than stride or dilation"
        raise _cannot("torch", rule, steps, _remedy(steps))
    return {"padding": tuple(before for before, _ in steps.pads), "output_padding": tuple(extra)}


def _write_keras(steps: Steps) -> dict[str, Any]:
    if any(s > 1 for s in steps.stride) and any(d > 1 for d in steps.dilation):
        raise ShapeError(
            f"{NAME}: keras takes strides or dilation_rate, not both, "
            f"got strides {steps.stride}, dilation_rate {steps.dilation}"
        )
    for candidate in _keras_candidates(steps):
        if _read_keras(steps, candidate) == steps.pads:
            return candidate
    if steps.transposed:
        rule = "crops nothing ('valid') or half on both sides with the odd element after ('same')"
    else:
        rule = "pads nothing ('valid') or to 'same'"
    raise _cannot("keras", rule, steps, _remedy(steps))


def _keras_candidates(steps: Steps) -> list[dict[str, Any]]:
    words: list[dict[str, Any]] = [{"padding": "valid"}]
    if steps.transposed or steps.input_size is not None or all(s == 1 for s in steps.stride):
        words.append({"padding": "same"})
    if not steps.transposed:
        return [*words, *([{"padding": "causal"}] if steps.rank == 1 else [])]
    totals = [before + after for before, after in steps.pads]
    lengths = [e - e % 2 - total for e, total in zip(steps.extent, totals, strict=True)]
    for word, extra in (("valid", [-total for total in totals]), ("same", lengths)):
        # TensorFlow refuses a size that the convolution would not bring back to i: with "same" at least
        # 1 + (i - 1) * stride.
        least = [0 if word == "valid" else 1 - e % 2 for e in steps.extent]
        if all(low <= more < s for low, more, s in zip(least, extra, steps.stride, strict=True)):
            words.append({"padding": word, "output_padding": tuple(extra)})
    return words


def _write_jax(steps: Steps) -> dict[str, Any]:
    return {"padding": exchanged(steps.pads, steps) if steps.transposed else steps.pads}


def _write_onnx(steps: Steps) -> dict[str, Any]:
    pads = [(before, max(after, 0)) for before, after in steps.pads]
    extra = tuple(max(-after, 0) for _, after in steps.pads)
    if any(before < 0 for before, _ in pads) or (not steps.transposed and any(extra)):
        raise _cannot("onnx", "has no negative pads", steps, _remedy(steps))
    if any(more >= s for more, s in zip(extra, steps.stride, strict=True) if more):
        rule = "lengthens the end by less than the stride (in ONNX Runtime)"
        raise _cannot("onnx", rule, steps, "append zeros to the result")
    written: dict[str, Any] = {
        "kernel_shape": steps.kernel,
        "pads": (*(before for before, _ in pads), *(after for _, after in pads)),
    }
    if steps.transposed:
        written["output_padding"] = extra
    return written


WRITERS: Mapping[str, Callable[[Steps], dict[str, Any]]] = {
    "unsample": _write_unsample,
    "torch": _write_torch,
    "tf": _write_keras,
    "keras": _write_keras,
    "jax": _write_jax,
    "flax": _write_jax,
    "onnx": _write_onnx,
}
