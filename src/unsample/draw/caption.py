"""What stands around a drawing in words: the call, and its size formula with the numbers in it."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from unsample.draw.example import Example
from unsample.geometry import AdaptiveWindow, Window
from unsample.geometry.arguments import per_axis
from unsample.geometry.resample import Convention, Resample
from unsample.geometry.window import AnyWindow
from unsample.pairs import OPERATIONS

MINUS = "\N{MINUS SIGN}"


def title(example: Example) -> str:
    """The call in one line.

    Examples
    --------
    >>> from unsample.draw import example
    >>> title(example("conv_transpose", 2, "x,y,z", stride=2, padding=((0, 1),)))
    'conv_transpose, stride 2, padding (0, 1)'
    """
    return ", ".join(
        [example.operation, *(f"{key} {_setting(value)}" for key, value in example.settings.items())]
    )


def _setting(value: object) -> str:
    if isinstance(value, tuple | list):
        parts = [_setting(each) for each in value]
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
    return str(value)


def shape_text(shape: tuple[int, ...]) -> str:
    """2×3."""
    return "×".join(map(str, shape))


def sizes(example: Example) -> str:
    """The shapes of input and output, and of what lies between.

    Examples
    --------
    >>> from unsample.draw import example
    >>> sizes(example("conv_transpose", 2, 3, stride=2))
    '2 → 5, kernel 3'
    """
    between = f"{shape_text(example.input.shape)} → {shape_text(example.output.shape)}"
    if example.kernel is None:
        return between
    other = "x" if example.operation == "conv_weight_grad" else "kernel"
    return f"{between}, {other} {shape_text(example.kernel.shape)}"


def formula(example: Example) -> str:
    """How the size comes about, with the numbers in it; axes that agree are named once.

    Examples
    --------
    >>> from unsample.draw import example
    >>> formula(example("conv_transpose", 2, 3, stride=2))
    '(2 − 1) × 2 + 3 = 5'
    >>> formula(example("conv", (4, 5), 3, padding=1, stride=2))
    '⌊(4 + 1 + 1 − 3) / 2⌋ + 1 = 2;  ⌊(5 + 1 + 1 − 3) / 2⌋ + 1 = 3'
    """
    plan, name = example.plan, example.operation
    if plan.resamples:
        axes = [_resample(axis, up=name == "resize") for axis in plan.resamples]
    else:
        axes = [axis_formula(name, window) for window in _as_written(example)]
    if len(set(axes)) == 1:
        return f"{axes[0]} on every axis" if len(axes) > 1 else axes[0]
    return ";  ".join(axes)


def _as_written(example: Example) -> tuple[AnyWindow, ...]:
    """The windows with the steps of the call: a plan leaves out those that nobody takes.

    Examples
    --------
    >>> from unsample.draw import example
    >>> formula(example("conv_transpose", 1, 3, stride=2))
    '(1 − 1) × 2 + 3 = 3'
    """
    settings, windows = example.settings, example.plan.windows
    if not windows:  # of a resize
        return ()
    pooled = settings.get("kernel_size") if example.record.lies in ("pooled", "switches") else None
    stride = settings.get("stride", settings.get("factor", pooled))
    steps = {"stride": stride, "dilation": settings.get("dilation")}
    given: dict[str, Any] = {
        name: per_axis("draw", name, value, len(windows))
        for name, value in steps.items()
        if value is not None
    }
    return tuple(
        replace(window, **{name: values[axis] for name, values in given.items()})
        if isinstance(window, Window)
        else window
        for axis, window in enumerate(windows)
    )


def axis_formula(operation: str, window: AnyWindow) -> str:
    """The size formula of one axis; those of `geometry.sizes`, less what is 0 or 1."""
    n, m = window.fine, window.coarse
    if isinstance(window, AdaptiveWindow):
        return f"{m} windows over {n}"
    record = OPERATIONS[operation]
    if record.lies == "blocks":
        return f"{m} × {window.stride} = {n}" if record.up else f"{n} / {window.stride} = {m}"
    if record.lies == "nails" and record.up:
        return f"{m} × {window.stride}{_signed(n - m * window.stride)} = {n}"
    if record.lies == "nails":
        nail = -window.before
        return f"⌈({n} {MINUS} {nail}) / {window.stride}⌉ = {m}" if nail else f"⌈{n} / {window.stride}⌉ = {m}"
    return _up(window) if record.up else _down(window, operation)


def _extent(window: Window) -> str:
    return str(window.size) if window.dilation == 1 else f"{window.dilation} × ({window.size} {MINUS} 1) + 1"


def _signed(number: int) -> str:
    return f" + {number}" if number > 0 else f" {MINUS} {-number}" if number else ""


def _up(window: Window) -> str:
    n, m = window.fine, window.coarse
    crop = _signed(-window.before) + _signed(-window.after)
    text = f"({m} {MINUS} 1) × {window.stride} + {_extent(window)}{crop}"
    more = n - ((m - 1) * window.stride + window.extent - window.before - window.after)
    return f"{text}{_signed(more)} = {n}"


def _down(window: Window, operation: str) -> str:
    n, m = window.fine, window.coarse
    extent = str(window.size) if window.dilation == 1 else f"({_extent(window)})"
    inner = f"{n}{_signed(window.before)}{_signed(window.after)} {MINUS} {extent}"
    room = n + window.before + window.after - window.extent
    fraction = inner if window.stride == 1 else f"⌊({inner}) / {window.stride}⌋"
    rest = m - room // window.stride - 1
    if rest:  # ceil_mode
        fraction = f"⌈({inner}) / {window.stride}⌉"
        rest = m + (-room // window.stride) - 1
    text = f"{fraction} + 1{_signed(rest)} = {m}"
    return f"{window.size} taps, for which {text}" if operation == "conv_weight_grad" else text


def _resample(axis: Resample, *, up: bool) -> str:
    n, m = axis.source, axis.target
    if isinstance(axis.convention, tuple):
        first, step, denominator = axis.convention
        look = f"{Fraction(first, denominator)} + o × {Fraction(step, denominator)}"
    else:
        look = _look_of_word(axis.convention, n, m)
    if up:
        return f"{n} → {m}, element o looks at {look}"
    return f"{m} → {n}, element o hands back to {look}"


def _look_of_word(word: Convention, n: int, m: int) -> str:
    return {
        "half_pixel": f"(o + ½) × {n}/{m} {MINUS} ½",
        "align_corners": f"o × {n - 1}/{m - 1}" if m > 1 else "0",
        "asymmetric": f"o × {n}/{m}",
        "legacy": f"⌊o × {n}/{m}⌋",
    }[word]


def evenness(example: Example) -> str:
    """Whether as many stamps meet everywhere away from the border: where not, that is a checkerboard.

    Examples
    --------
    >>> from unsample.draw import example
    >>> evenness(example("conv_transpose", 4, 3, stride=2))
    'uneven away from the border too, 2 1 2 1 …: a checkerboard'
    >>> evenness(example("conv_transpose", 4, 4, stride=2))
    'even away from the border: 2 everywhere'
    """
    windows = _as_written(example)
    if not all(isinstance(window, Window) for window in windows) or not windows:
        return ""
    if example.record.drawn not in ("kernel", "copies") or example.record.lies == "nails":
        return ""
    counts = [phases(window) for window in windows if isinstance(window, Window)]
    channels = example.fine.ndim > example.rank and example.kernel is not None
    each = " of each channel" if channels else ""
    if all(len(set(axis)) == 1 for axis in counts):
        everywhere = 1
        for axis in counts:
            everywhere *= axis[0]
        return f"even away from the border: {everywhere}{each} everywhere"
    worst = max(counts, key=lambda axis: max(axis) - min(axis))
    shown = " ".join(map(str, (worst * 2)[: max(4, len(worst))]))
    along = "" if len(counts) == 1 else " along an axis"
    return f"uneven away from the border too, {shown} …{each}{along}: a checkerboard"


def phases(window: Window) -> tuple[int, ...]:
    """How many stamps meet in `stride` neighbours far from any border.

    Examples
    --------
    >>> phases(Window(fine=5, coarse=2, size=3, stride=2))
    (2, 1)
    """
    many = 2 * (window.extent // window.stride + 2)
    endless = replace(
        window, fine=(many - 1) * window.stride + window.extent, coarse=many, before=0, after=0, mode="zeros"
    )
    start = -(-window.extent // window.stride) * window.stride
    return endless.overlap()[start : start + window.stride]
