"""The size formulas asked backwards: which settings do it, which sizes come back."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    PaddingWord,
    Pads,
    choice,
    count,
    integer,
    integers,
    is_sequence,
    paddings,
    plain,
)
from unsample.geometry.sizes import windows_over, windows_under

Resizing = Literal["conv", "conv_transpose", "max_pool", "nearest"]
STEPS: tuple[Resizing, ...] = get_args(Resizing)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a transposed convolution, the same on every axis.

    Examples
    --------
    >>> print(Setting(kernel_size=4, stride=2, padding=(1, 1)))
    kernel_size=4, stride=2, padding=1
    """

    kernel_size: int
    stride: int
    padding: tuple[int, int] = (0, 0)
    output_padding: int = 0
    dilation: int = 1

    @property
    def even(self) -> bool:
        """Whether every output element away from the border is met by equally many stamps."""
        step = [0] * self.stride
        for t in range(self.kernel_size):
            step[t * self.dilation % self.stride] += 1
        return min(step) == max(step)

    def __str__(self) -> str:
        before, after = self.padding
        parts = [f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        parts.append(f"padding={before}" if before == after else f"padding=({before}, {after})")
        if self.output_padding:
            parts.append(f"output_padding={self.output_padding}")
        if self.dilation != 1:
            parts.append(f"dilation={self.dilation}")
        return ", ".join(parts)


def solve(
    input_size: int | Sequence[int],
    output_size: int | Sequence[int],
    kernel_sizes: Iterable[int] = range(1, 8),
    strides: Iterable[int] = range(1, 9),
    *,
    dilations: Iterable[int] = (1,),
    asymmetric: bool = False,
) -> tuple[Setting, ...]:
    """Every setting of a transposed convolution that turns one size into the other.

        output = (input - 1) * stride - before - after + dilation * (kernel_size - 1) + 1 + output_padding

    Paddings go from 0 to `dilation * (kernel_size - 1)`, the output padding stays below the stride. Even
    overlaps come first (they make no checkerboard), then small output padding, small kernels.

    Parameters
    ----------
    input_size, output_size : int or sequence of int
        Elements per axis; with several axes the same setting must serve all of them.
    kernel_sizes, strides, dilations : iterables of int
        What may be tried.
    asymmetric : bool
        Whether the padding of the two sides may differ.

    Returns
    -------
    tuple of Setting

    Raises
    ------
    ShapeError
        Where a size is not positive or the sizes have different numbers of axes.

    Examples
    --------
    >>> for setting in solve(16, 32, kernel_sizes=[2, 3, 4]):
    ...     print(setting)
    kernel_size=2, stride=2, padding=0
    kernel_size=4, stride=2, padding=1
    kernel_size=3, stride=2, padding=1, output_padding=1
    >>> [str(s) for s in solve(4, 5, kernel_sizes=[3], strides=[1], asymmetric=True)]  # the article's 5
    ['kernel_size=3, stride=1, padding=(0, 1)', 'kernel_size=3, stride=1, padding=(1, 0)']
    """
    sizes = _axes("solve", "input_size", input_size), _axes("solve", "output_size", output_size)
    if len(sizes[0]) != len(sizes[1]):
        raise ShapeError(
            f"solve: input_size and output_size must have as many axes as each other, "
            f"got {input_size!r} and {output_size!r}"
        )
    choices = [
        integers("solve", name, tuple(values), minimum=1)
        for name, values in (
            ("kernel_sizes", kernel_sizes),
            ("strides", strides),
            ("dilations", dilations),
        )
    ]
    found = set()
    for kernel, stride, dilation in itertools.product(*choices):
        reach = dilation * (kernel - 1)
        # What padding must take away, less what output padding adds, the same on every axis.
        excess = {(i - 1) * stride + reach + 1 - o for i, o in zip(*sizes, strict=True)}
        if len(excess) != 1:
            continue
        (crop,) = excess
        for output_padding in range(stride):
            for before in range(reach + 1):
                after = crop + output_padding - before
                if 0 <= after <= reach and (asymmetric or before == after):
                    found.add(Setting(kernel, stride, (before, after), output_padding, dilation))
    return tuple(sorted(found, key=_preference))


def _preference(setting: Setting) -> tuple[int | bool, ...]:
    before, after = setting.padding
    return (
        not setting.even,
        setting.output_padding,
        abs(before - after),
        setting.kernel_size,
        setting.stride,
        setting.dilation,
        before,
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One resizing step along one axis, for `sizes_that_work`.

    Parameters
    ----------
    operation : str
        "conv", "conv_transpose", "max_pool" or "nearest" (any way up by an integer factor, which is
        then the `stride`).
    kernel_size, stride, padding, output_padding, dilation, ceil_mode
        As the operation takes them, for one axis.

    Examples
    --------
    >>> Step("max_pool", kernel_size=3, stride=2, padding=1).size(45)
    23
    """

    operation: Resizing
    kernel_size: int = 1
    stride: int = 1
    padding: int | tuple[int, int] | PaddingWord = 0
    output_padding: int = 0
    dilation: int = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        choice("Step", "operation", self.operation, STEPS)
        object.__setattr__(self, "padding", plain(self.padding))
        for name in ("kernel_size", "stride", "dilation"):
            integer("Step", name, getattr(self, name), minimum=1)
        integer("Step", "output_padding", self.output_padding, minimum=0)
        self._pads()

    def _pads(self) -> Pads | PaddingWord:
        padding = (self.padding,) if is_sequence(self.padding) else self.padding
        return paddings("Step", padding, 1)

    def size(self, n: int) -> int | None:
        """What the step makes of an axis of `n` elements; None where it refuses."""
        if self.operation == "nearest":
            return n * self.stride
        windows = (self.kernel_size,), (self.stride,), self._pads(), (self.dilation,)
        try:
            if self.operation == "conv_transpose":
                out = (self.output_padding,)
                return windows_under("Step", (n,), *windows, output_padding=out)[0].fine
            (window,) = windows_over("Step", (n,), *windows, ceil_mode=self.ceil_mode)
        except ShapeError:
            return None
        return window.coarse


Steps = Step | Sequence[Step]


@dataclass(frozen=True, slots=True)
class WorkingSizes:
    """The sizes that come back unchanged, as far as was looked.

    Examples
    --------
    >>> sizes = sizes_that_work(4)
    >>> print(sizes)
    16, 32, 48, 64, ... (every 16th from 16, up to 512)
    >>> 100 in sizes, sizes.nearest(100)
    (False, 96)
    """

    sizes: tuple[int, ...]
    limit: int

    def __contains__(self, size: int) -> bool:
        return size in self.sizes

    def __iter__(self) -> Iterator[int]:
        return iter(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def nearest(self, size: int) -> int | None:
        """The working size nearest to `size`, the larger of two; None where there is none."""
        return min(self.sizes, key=lambda each: (abs(each - size), -each), default=None)

    def __str__(self) -> str:
        if not self.sizes:
            return f"none up to {self.limit}"
        gaps = {b - a for a, b in itertools.pairwise(self.sizes)}
        shown = ", ".join(map(str, self.sizes[:4]))
        if len(self.sizes) <= 4:
            return f"{shown} (up to {self.limit})"
        if len(gaps) == 1:
            (gap,) = gaps
            rule = "every one" if gap == 1 else f"every {ordinal(gap)}"
            return f"{shown}, ... ({rule} from {self.sizes[0]}, up to {self.limit})"
        return f"{shown}, ... ({count(len(self.sizes), 'size')} up to {self.limit})"


def sizes_that_work(levels: int | Sequence[tuple[Steps, Steps]], *, limit: int = 512) -> WorkingSizes:
    """The input sizes that return unchanged through an encoder and its decoder.

    The encoder takes the ways down of `levels` in order, the decoder the ways up in reverse; every
    way up must return to the size that its level's way down started from, so that skip connections
    meet as well.

    Parameters
    ----------
    levels : int or sequence of pairs (down, up)
        An int means that many levels of 2x2 max pooling and a way up by 2. Each of `down` and `up` is a
        `Step` or a sequence of them.
    limit : int
        The largest size tried.

    Returns
    -------
    WorkingSizes
        Iterates over ints, and says its pattern when printed.

    Raises
    ------
    ShapeError, TypeError
        Where a step or the limit does not fit.

    Examples
    --------
    >>> down = Step("conv", kernel_size=3, stride=2, padding=1)
    >>> up = Step("conv_transpose", kernel_size=3, stride=2, padding=1)
    >>> print(sizes_that_work([(down, up)] * 3))
    1, 9, 17, 25, ... (every 8th from 1, up to 512)
    """
    limit = integer("sizes_that_work", "limit", limit, minimum=1)
    if is_sequence(levels):
        each_level = levels
    else:
        number = integer("sizes_that_work", "levels", levels, minimum=0)
        each_level = [(Step("max_pool", kernel_size=2, stride=2), Step("nearest", stride=2))] * number
    pairs = []
    for level in each_level:
        if not is_sequence(level) or len(level) != 2:
            raise ShapeError(f"sizes_that_work: each level must be a pair (down, up) of Steps, got {level!r}")
        pairs.append((_steps(level[0]), _steps(level[1])))
    return WorkingSizes(tuple(n for n in range(1, limit + 1) if _returns(n, pairs)), limit)


def _returns(size: int, levels: list[tuple[tuple[Step, ...], tuple[Step, ...]]]) -> bool:
    if not levels:
        return True
    (down, up), *deeper = levels
    small = _through(size, down)
    return small is not None and _returns(small, deeper) and _through(small, up) == size


def _through(size: int, steps: tuple[Step, ...]) -> int | None:
    """The size after all steps; None where one refuses or nothing is left."""
    for step in steps:
        reached = step.size(size)
        if not reached:
            return None
        size = reached
    return size


def _steps(steps: Steps) -> tuple[Step, ...]:
    several = (steps,) if isinstance(steps, Step) else tuple(steps)
    for step in several:
        if not isinstance(step, Step):
            raise TypeError(f"sizes_that_work: a level must be made of Steps, got {type(step).__name__}")
    return several


def _axes(operation: str, name: str, value: int | Sequence[int]) -> tuple[int, ...]:
    values = plain(value)
    values = values if is_sequence(values) else (values,)
    return integers(operation, name, values, minimum=1)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th.

    Examples
    --------
    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 <= number % 100 <= 20 else ending}"
