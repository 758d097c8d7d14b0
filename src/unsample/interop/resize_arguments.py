"""Arguments of interpolations from one library's to another's, read as those of `resize`.

Every library looks at first + o * step, whatever its words are; `Resample` holds that for each axis, and so a
word is only where a reader begins and what a writer tries.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, integers, is_sequence, listed, per_axis, unpacked
from unsample.geometry.resample import CONVENTIONS, CUBIC, SUPPORT, Method, Resample, position, step_of
from unsample.interop.libraries import (
    NEAREST_MODES,
    PILLOW_NUMBERS,
    RESIZE_LIBRARIES,
    RESIZES,
    TORCH_MODES,
    ResizeLibrary,
)
from unsample.ops.resize import plan_resize

NAME = "convert_resize"
Given = Mapping[str, Any]
Looks = tuple[tuple[Fraction, Fraction], ...]
Size = tuple[int, ...]


def convert_resize(
    arguments: Mapping[str, Any], *, source: ResizeLibrary, target: ResizeLibrary, input_size: Sequence[int]
) -> dict[str, Any]:
    """The arguments of an interpolation as another library writes them.

    Parameters
    ----------
    arguments : mapping of str
        What the source is called with, in its own names, those at their defaults left out:

        - unsample: as `resize`;
        - torch: those of `torch.nn.functional.interpolate`;
        - onnx: the attributes of Resize, and `scales`, `sizes` and `roi` as lists;
        - jax: shape, method, antialias of `jax.image.resize`;
        - tf: size, method, antialias of `tf.image.resize`; keras: size, interpolation, antialias of
          `keras.ops.image.resize`;
        - pillow: size (width, height), resample and box of `Image.resize`.
    source, target : "unsample", "torch", "tf", "keras", "jax", "onnx" or "pillow"
    input_size : sequence of int
        Spatial size of the input, height before width; of a source that is onnx the whole shape (N, C, ...).

    Returns
    -------
    dict of str
        For the target's own call. For onnx its axes are those behind N and C; for jax `shape` has the axes of
        `input_size`.

    Raises
    ------
    ShapeError, TypeError
        Where an argument is not known or does not fit, or the target cannot say it; the message says why.

    Examples
    --------
    >>> from unsample import interop
    >>> torch_s = {"scale_factor": 2, "mode": "bicubic"}
    >>> interop.convert_resize(torch_s, source="torch", target="unsample", input_size=(4, 5))
    {'output_size': (8, 10), 'method': 'cubic', 'convention': 'half_pixel'}
    >>> halved = {"scales": [1, 1, 0.5, 0.5]}                             # of two as near the one before
    >>> interop.convert_resize(halved, source="onnx", target="unsample", input_size=(1, 3, 4, 6))
    {'output_size': (2, 3), 'method': 'nearest_ties_down', 'convention': 'half_pixel'}
    """
    choice(NAME, "source", source, RESIZE_LIBRARIES)
    choice(NAME, "target", target, RESIZE_LIBRARIES)
    size = integers(NAME, "input_size", input_size, minimum=1)
    for word in arguments:
        if word not in TAKES[source]:
            raise TypeError(f"{NAME}: {source} takes {listed(TAKES[source])}, got {word!r}")
    own = READERS[source](arguments, size)
    return WRITERS[target](plan_resize((1, 1, *size), **own).resamples)


def _cannot(library: str, why: str, got: Any) -> ShapeError:
    return ShapeError(f"{NAME}: {library} {why}, got {got}")


# -- where targets look ------------------------------------------------------------------------------------


def _looks(axes: Sequence[Resample], convention: Any = None) -> Looks:
    """(first, step) of every axis, by its own convention or by another; the step of one target is 0."""
    found = []
    for axis in axes:
        by = axis.convention if convention is None else convention
        (first, denominator), (step, _) = (f(axis.source, axis.target, by) for f in (_first, step_of))
        found.append((Fraction(first, denominator), Fraction(step, denominator)))
    return _alone(axes, found)


def _alone(axes: Sequence[Resample], looks: Any) -> Looks:
    """The same with the step of one target 0, as `_looks` has it."""
    alone = (axis.target == 1 and not axis.antialias for axis in axes)
    return tuple(
        (first, Fraction(0) if one else step) for (first, step), one in zip(looks, alone, strict=True)
    )


def _steps(axes: Sequence[Resample]) -> list[Fraction]:
    """Steps; that of one target as if it looked at the centre of its pixel."""
    return [step or 2 * first + 1 for first, step in _looks(axes)]


def _first(source: int, target: int, convention: Any) -> tuple[int, int]:
    return position(source, target, convention, 0)


def _word(axes: Sequence[Resample]) -> str | None:
    """The convention that all axes follow between their sizes, None where there is none."""
    if axes[0].method == "area":
        return "half_pixel"
    words = ("half_pixel",) if axes[0].antialias else CONVENTIONS[:3]
    return next((word for word in words if _looks(axes, word) == _looks(axes)), None)


def _method(axes: Sequence[Resample]) -> Method:
    """The method; torch's old "nearest" is "floor" of asymmetric positions."""
    return "floor" if axes[0].convention == "legacy" else axes[0].method


def _excludes(axes: Sequence[Resample]) -> bool | None:
    """Whether what lies beyond the border has no weight; None where that makes no difference."""
    first = axes[0]
    if first.method not in SUPPORT or (first.method == "linear" and not first.antialias):
        return None
    return first.exclude_outside


def _scaled(n: int, scale: Any, bits: type[np.floating[Any]]) -> tuple[int, Fraction]:
    """floor(n * scale) and the scale: m / n where the product, as floats have it, is a whole number m."""
    told = bits(n) * bits(float(scale))
    if not 0 < told < 2**53:
        raise ShapeError(f"{NAME}: a scale must be positive and finite, got {scale}")
    if told == math.floor(told):
        return int(told), Fraction(int(told), n)
    return math.floor(told), Fraction(float(scale)).limit_denominator(2**20)


def _of_factor(scale: Fraction) -> tuple[Fraction, Fraction]:
    """Half-pixel positions that come from a factor."""
    return (1 / scale - 1) / 2, 1 / scale


def _symmetric(n: int, m: int, scale: Fraction, *_: Fraction) -> tuple[Fraction, Fraction]:
    """The middles of both grids on one another, and not their beginnings."""
    first, step = _of_factor(scale)
    return first + (n - m * step) / 2, step


def _cropped(n: int, m: int, scale: Fraction, begin: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
    """From one share of the distance between the edge elements to another; one target looks at the middle."""
    if m == 1:
        return (begin + end) * (n - 1) / 2, Fraction(0)
    return begin * (n - 1), (end - begin) * (n - 1) / (n * scale - 1)


# coordinate_transformation_mode -> (first, step) from n elements to m by a scale, between two shares of them
CROP = "tf_crop_and_resize"
ONNX_CONVENTIONS: Mapping[str, Callable[..., tuple[Fraction, Fraction]]] = {
    "half_pixel": lambda n, m, scale, *_: _of_factor(scale),
    "align_corners": lambda n, m, scale, *_: (
        Fraction(0),
        (n - 1) / (n * scale - 1) if m > 1 else Fraction(0),
    ),
    "asymmetric": lambda n, m, scale, *_: (Fraction(0), 1 / scale),
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda n, m, scale, *_: (_of_factor(scale)[0] * (m > 1), 1 / scale),
    CROP: _cropped,
}


# -- readers: arguments of `resize` ------------------------------------------------------------------------


def _read_unsample(given: Given, size: Size) -> dict[str, Any]:
    return dict(given)


def _read_torch(given: Given, size: Size) -> dict[str, Any]:
    mode = choice(NAME, "mode", given.get("mode", "nearest"), tuple(TORCH_MODES))
    method, word, rank = TORCH_MODES[mode]
    convention: Any = "align_corners" if given.get("align_corners") else word
    if rank not in (None, len(size)):
        raise _cannot("torch", f"interpolates {rank} axes with mode {mode!r}", f"input_size {size}")
    antialias = bool(given.get("antialias", False))
    if antialias and method == "cubic":
        method = "catmull_rom"
    words: dict[str, Any] = {"method": method, "antialias": antialias}
    wanted, factor = given.get("size"), given.get("scale_factor")
    if (wanted is None) == (factor is None):
        raise ShapeError(f"{NAME}: exactly one of size and scale_factor must be given")
    if wanted is not None:
        return {"output_size": per_axis(NAME, "size", wanted, len(size)), "convention": convention, **words}
    factors = tuple(factor) if is_sequence(factor) else (factor,) * len(size)
    if len(factors) != len(size):
        raise ShapeError(f"{NAME}: scale_factor must hold {len(size)} numbers, got {factors}")
    ends = [_scaled(n, f, np.float64) for n, f in zip(size, factors, strict=True)]
    output_size = tuple(m for m, _ in ends)
    if not (given.get("recompute_scale_factor") or convention == "align_corners" or method == "area"):
        if word == "legacy":
            words["method"], convention = "floor", [(0, 1 / scale) for _, scale in ends]
        else:
            convention = [_of_factor(scale) for _, scale in ends]
    return {"output_size": output_size, "convention": convention, **words}


def _read_onnx(given: Given, size: Size) -> dict[str, Any]:
    mode = choice(NAME, "mode", given.get("mode", "nearest"), ("nearest", "linear", "cubic"))
    method: Any = mode
    if mode == "nearest":
        rounding = given.get("nearest_mode", next(iter(NEAREST_MODES)))
        method = NEAREST_MODES[choice(NAME, "nearest_mode", rounding, tuple(NEAREST_MODES))]
    if mode == "cubic":
        a = float(given.get("cubic_coeff_a", CUBIC["cubic"]))
        method = next((name for name, each in CUBIC.items() if each == a), None)
        if method is None:
            raise _cannot("unsample", f"has cubics with the coefficients {tuple(CUBIC.values())}", a)
    word = given.get("coordinate_transformation_mode", "half_pixel")
    choice(NAME, "coordinate_transformation_mode", word, tuple(ONNX_CONVENTIONS))
    antialias = bool(given.get("antialias", 0)) and mode != "nearest"
    ends = _onnx_ends(given, size)
    looks = []
    for n, (m, scale), roi in zip(size, ends, _onnx_roi(given, size), strict=True):
        first, step = ONNX_CONVENTIONS[word](n, m, scale, *roi)
        if word == CROP and not 0 <= first <= first + (m - 1) * step <= n - 1:
            raise _cannot(
                "unsample",
                "has no extrapolation_value, and so needs every roi inside the input",
                tuple(map(float, roi)),
            )
        if antialias and step != 1 / scale:
            raise _cannot(
                "unsample", "stretches a kernel by the step between its targets alone", f"mode {word!r}"
            )
        looks.append((first, step))
    begin = 0
    if len(size) > 2:  # N and C, which stay as they are
        leading = zip(size, ends, looks[:2], strict=False)
        begin = 2 * all(
            m == n and first == 0 and (step == 1 or m == 1) for n, (m, _), (first, step) in leading
        )
    words: dict[str, Any] = {"method": method, "antialias": antialias}
    if mode != "nearest":
        words["exclude_outside"] = bool(given.get("exclude_outside", 0))
    return {"output_size": tuple(m for m, _ in ends[begin:]), "convention": looks[begin:], **words}


def _onnx_ends(given: Given, size: Size) -> list[tuple[int, Fraction]]:
    """Target size and scale of every axis."""
    axes = _onnx_axes(given, size)
    ends = [(n, Fraction(1)) for n in size]
    scales, sizes = (unpacked(given.get(name), ("int", "float")) for name in ("scales", "sizes"))
    if bool(scales) == bool(sizes):
        raise ShapeError(f"{NAME}: exactly one of scales and sizes must be given")
    told = tuple(scales or sizes)
    if len(told) != len(axes):
        raise ShapeError(
            f"{NAME}: {'scales' if scales else 'sizes'} must hold {len(axes)} numbers, got {told}"
        )
    policies = ("stretch", "not_larger", "not_smaller")
    policy = choice(
        NAME, "keep_aspect_ratio_policy", given.get("keep_aspect_ratio_policy", "stretch"), policies
    )
    if scales:
        found = [_scaled(size[axis], scale, np.float32) for axis, scale in zip(axes, told, strict=True)]
    else:
        found = [
            (m, Fraction(m, size[axis]))
            for axis, m in zip(axes, integers(NAME, "sizes", told, 1), strict=True)
        ]
        if policy != "stretch":
            scale = (min if policy == "not_larger" else max)(scale for _, scale in found)
            found = [(math.floor(size[axis] * scale + Fraction(1, 2)), scale) for axis in axes]
    for axis, end in zip(axes, found, strict=True):
        ends[axis] = end
    return ends


def _onnx_axes(given: Given, size: Size) -> list[int]:
    axes = integers(NAME, "axes", given.get("axes", range(len(size))), -len(size))
    if any(axis >= len(size) for axis in axes):
        raise ShapeError(f"{NAME}: axes must be below {len(size)}, got {axes}")
    return [axis % len(size) for axis in axes]


def _onnx_roi(given: Given, size: Size) -> list[tuple[Fraction, Fraction]]:
    """Begin and end of what is cropped, of every axis as a share of it."""
    axes, told = _onnx_axes(given, size), list(unpacked(given.get("roi"), ("float",)) or ())
    found = [(Fraction(0), Fraction(1)) for _ in size]
    if given.get("coordinate_transformation_mode") == CROP:
        if len(told) != 2 * len(axes):
            raise ShapeError(f"{NAME}: roi must hold {2 * len(axes)} numbers for mode {CROP!r}, got {told}")
        shares = [Fraction(float(each)).limit_denominator(2**20) for each in told]
        for axis, *ends in zip(axes, shares[: len(axes)], shares[len(axes) :], strict=True):
            found[axis] = ends[0], ends[1]
    return found


def _read_renormalised(library: ResizeLibrary) -> Callable[[Given, Size], dict[str, Any]]:
    """Of a library that looks at pixel centres and divides weights by their sum."""
    size_name, method_name, methods, default = RESIZES[library]

    def read(given: Given, size: Size) -> dict[str, Any]:
        if size_name not in given:
            raise ShapeError(f"{NAME}: {size_name} must be given, as {library} has no default for it")
        word = given.get(method_name, default)
        if library == "pillow" and not isinstance(word, str):
            word = PILLOW_NUMBERS.get(word, word)
        method = methods[choice(NAME, method_name, word, tuple(methods))]
        target = integers(NAME, size_name, given[size_name], 1)
        target = target[::-1] if library == "pillow" else target
        if len(target) != len(size):
            raise ShapeError(f"{NAME}: {size_name} must hold {len(size)} ints, got {target}")
        weighted = method in SUPPORT
        antialias = weighted and (library == "pillow" or bool(given.get("antialias", library == "jax")))
        if antialias and method == "cubic":  # as torch has it
            method = "catmull_rom"
        convention: Any = "half_pixel"
        if given.get("box") is not None:
            convention = _box(given["box"], target)
        if method == "area":
            _whole_means(library, size, target)
            if convention != "half_pixel":
                raise _cannot(
                    "unsample", "averages over whole elements, and so takes no box of them", given["box"]
                )
        return {
            "output_size": target,
            "method": method,
            "convention": convention,
            "antialias": antialias,
            **({"exclude_outside": method != "cubic"} if weighted else {}),
        }

    return read


def _box(box: Sequence[float], target: Size) -> list[tuple[Fraction, Fraction]]:
    """Where targets look between (left, upper, right, lower)."""
    ends = [Fraction(float(each)).limit_denominator(2**20) for each in box]
    steps = [(high - low) / m for low, high, m in zip(ends[1::-1], ends[3:1:-1], target, strict=True)]
    return [(low + (step - 1) / 2, step) for low, step in zip(ends[1::-1], steps, strict=True)]


def _whole_means(library: str, source: Size, target: Size) -> None:
    """Refuse a mean over parts of elements: "area" here, as in torch, is over whole ones."""
    if any(n % m and m % n for n, m in zip(source, target, strict=True)):
        why = "and unsample average alike where one size is a multiple of the other alone"
        raise _cannot(library, why, f"{source} to {target}")


# -- writers: from the axes of a plan ----------------------------------------------------------------------


def _write_unsample(axes: Sequence[Resample]) -> dict[str, Any]:
    first, word = axes[0], _word(axes)
    written: dict[str, Any] = {
        "output_size": _target(axes),
        "method": _method(axes),
        "convention": _looks(axes) if word is None else word,
    }
    if first.antialias:
        written["antialias"] = True
    if _excludes(axes) not in (None, first.antialias):
        written["exclude_outside"] = first.exclude_outside
    return written


def _target(axes: Sequence[Resample]) -> Size:
    return tuple(axis.target for axis in axes)


def _write_torch(axes: Sequence[Resample]) -> dict[str, Any]:
    word, method, antialias = _word(axes), _method(axes), axes[0].antialias
    if _excludes(axes) not in (None, antialias):
        raise _cannot(
            "torch", "leaves out what lies beyond the border with antialias alone", f"method {method!r}"
        )
    if antialias and method in CUBIC:  # with which its cubic has -0.5
        method = "cubic" if method == "catmull_rom" else "catmull_rom"
    if (method == "lanczos3" and not antialias) or (antialias and len(axes) != 2):
        raise _cannot("torch", "has antialias for 2 axes, and Lanczos with it alone", f"{len(axes)} axes")
    legacy = method == "floor"  # and asymmetric
    if legacy:
        method, word = "nearest", "legacy" if word == "asymmetric" else word
    found = [
        (mode, align)
        for mode, (name, convention, rank) in TORCH_MODES.items()
        for align in (False, True)
        if (name, convention == "legacy") == (method, legacy)
        if rank in (None, len(axes)) and not (align and rank is None)
        if word in (None, "align_corners" if align else convention)
    ]
    if not found:
        raise _cannot("torch", f"has modes {listed(tuple(TORCH_MODES))}", _said(axes))
    mode, align = found[0]
    written: dict[str, Any] = {"size": _target(axes)}
    if word is None:
        factors = [1 / step for step in _steps(axes)]
        looks = _alone(axes, [(Fraction(0), 1 / f) if legacy else _of_factor(f) for f in factors])
        sizes = tuple(math.floor(axis.source * float(f)) for axis, f in zip(axes, factors, strict=True))
        if align or looks != _looks(axes) or sizes != _target(axes):
            raise _cannot("torch", "looks where sizes or a factor say", _said(axes))
        written = {"scale_factor": tuple(map(float, factors)), "recompute_scale_factor": False}
    written["mode"] = mode
    if align:
        written["align_corners"] = True
    if antialias:
        written["antialias"] = True
    return written


def _write_onnx(axes: Sequence[Resample]) -> dict[str, Any]:
    method, first = _method(axes), axes[0]
    names: dict[Any, dict[str, Any]] = {
        "linear": {"mode": "linear"},
        **{name: {"mode": "cubic", "cubic_coeff_a": a} for name, a in CUBIC.items()},
        **{name: {"mode": "nearest", "nearest_mode": rounding} for rounding, name in NEAREST_MODES.items()},
    }
    if method not in names:
        raise _cannot("onnx", f"has methods {listed(tuple(names))}", f"method {method!r}")
    written = {"axes": tuple(range(2, 2 + len(axes))), **names[method]}
    if first.antialias:
        written["antialias"] = 1
    if _excludes(axes):
        written["exclude_outside"] = 1
    looks = _looks(axes)
    for word, scales, told in _onnx_ways(axes):
        ways = (
            ONNX_CONVENTIONS[word](a.source, a.target, f, *_WHOLE) for a, f in zip(axes, scales, strict=True)
        )
        if _alone(axes, ways) == looks:
            return {**written, "coordinate_transformation_mode": word, **told}
    if first.antialias or not all(_inside(axis, *look) for axis, look in zip(axes, looks, strict=True)):
        raise _cannot(
            "onnx",
            "looks where sizes or scales say, or with tf_crop_and_resize inside the input",
            _said(axes),
        )
    shares = [
        (at / (a.source - 1), _last(a, at, by) / (a.source - 1))
        for a, (at, by) in zip(axes, looks, strict=True)
    ]
    roi = tuple(float(ends[i]) for i in (0, 1) for ends in shares)
    return {**written, "coordinate_transformation_mode": CROP, "sizes": _target(axes), "roi": roi}


_WHOLE = Fraction(0), Fraction(1)


def _inside(axis: Resample, first: Fraction, step: Fraction) -> bool:
    return axis.source > 1 and 0 <= first <= _last(axis, first, step) <= axis.source - 1


def _last(axis: Resample, first: Fraction, step: Fraction) -> Fraction:
    return first + (axis.target - 1) * step


def _onnx_ways(axes: Sequence[Resample]) -> Iterator[tuple[str, Sequence[Fraction], dict[str, Any]]]:
    """Every mode with the scales of the sizes, then with those that pixel centres and corners are of."""
    words = [word for word in ONNX_CONVENTIONS if word != CROP]
    sizes = _target(axes)
    yield from product(words, ((tuple(Fraction(a.target, a.source) for a in axes)),), ({"sizes": sizes},))
    scales = tuple(1 / step for step in _steps(axes))
    told = tuple(map(float, scales))
    if tuple(_scaled(a.source, f, np.float32)[0] for a, f in zip(axes, told, strict=True)) == sizes:
        yield from product(words, (scales,), ({"scales": told},))


def _write_renormalised(library: ResizeLibrary) -> Callable[[Sequence[Resample]], dict[str, Any]]:
    size_name, method_name, methods, _ = RESIZES[library]

    def write(axes: Sequence[Resample]) -> dict[str, Any]:
        method, antialias, size = _method(axes), axes[0].antialias, _target(axes)
        word = next((word for word, name in methods.items() if name == method), None)
        if word is None:
            raise _cannot(library, f"has methods {listed(tuple(methods))}", f"method {method!r}")
        if _word(axes) != "half_pixel":
            raise _cannot(library, "looks at pixel centres between the two sizes (half_pixel)", _said(axes))
        # jax's "cubic-pytorch" is torch's, which repeats the edge.
        if _excludes(axes) not in (None, method != "cubic") or (method == "cubic" and antialias):
            raise _cannot(library, "divides weights by their sum (exclude_outside)", _said(axes))
        if method == "area":
            _whole_means(library, tuple(axis.source for axis in axes), size)
        if library != "pillow":
            return {
                size_name: size,
                method_name: word,
                **({"antialias": antialias} if method in SUPPORT else {}),
            }
        if method in SUPPORT and not antialias:
            raise _cannot(library, "resizes with antialias alone", f"method {method!r} without")
        if len(axes) != 2:
            raise _cannot(library, "resizes two axes", f"{len(axes)}")
        return {size_name: size[::-1], method_name: word}

    return write


def _said(axes: Sequence[Resample]) -> str:
    """What is to be written, in a few words."""
    word = _word(axes)
    where = " and ".join(f"{first} + {step} o" for first, step in _looks(axes)) if word is None else word
    return f"method {_method(axes)!r}, convention {where}, antialias {axes[0].antialias}, {len(axes)} axes"


_RENORMALISED: tuple[ResizeLibrary, ...] = ("jax", "tf", "keras", "pillow")
TAKES: Mapping[ResizeLibrary, tuple[str, ...]] = {
    "unsample": ("output_size", "factor", "method", "convention", "antialias", "exclude_outside"),
    "torch": ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias"),
    "onnx": (
        *(
            "mode",
            "nearest_mode",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "antialias",
        ),
        *("scales", "sizes", "axes", "keep_aspect_ratio_policy", "roi", "extrapolation_value"),
    ),
    **{library: (*RESIZES[library][:2], "antialias") for library in _RENORMALISED[:3]},
    "pillow": (*RESIZES["pillow"][:2], "box"),
}
READERS: Mapping[ResizeLibrary, Callable[[Given, Size], dict[str, Any]]] = {
    "unsample": _read_unsample,
    "torch": _read_torch,
    "onnx": _read_onnx,
    **{library: _read_renormalised(library) for library in _RENORMALISED},
}
WRITERS: Mapping[ResizeLibrary, Callable[[Sequence[Resample]], dict[str, Any]]] = {
    "unsample": _write_unsample,
    "torch": _write_torch,
    "onnx": _write_onnx,
    **{library: _write_renormalised(library) for library in _RENORMALISED},
}
