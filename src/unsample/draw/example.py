"""One call of one operation with its numbers: who meets whom, and with what weight.

`Example` is all that the views know. `operations.py` has the table of what can be drawn and makes one from
the arguments of a user; the makers are in `make_conv.py` and `make_moves.py`.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from unsample.draw.values import (
    Given,
    Value,
    Values,
    as_values,
    has_symbols,
    numbers,
    product,
    summands,
    symbols,
)
from unsample.geometry import Plan, ShapeError
from unsample.geometry.window import AnyWindow
from unsample.operation import Operation
from unsample.pairs import OPERATIONS, PAIRS
from unsample.switches import Switches

Index = tuple[int, ...]
Settings = dict[str, Any]

# Nobody reads more, and it bounds the time.
MOST_TERMS = 200_000

WAYS_UP = tuple(pair.name for pair in PAIRS)


class Term(NamedTuple):
    """One meeting: element `source` of the input goes, times `weight`, to element `target` of the output.

    `counts` is False where it takes part and is not chosen: what is not the maximum, the value that a
    duplicate switch overwrites.
    """

    source: Index
    target: Index
    weight: Value
    counts: bool = True


@dataclass(frozen=True, eq=False)
class Example:
    """One call of an operation, ready to be drawn.

    Parameters
    ----------
    operation : str
        Its public name.
    plan : Plan
        Of the call.
    input, output : array of values
        What goes in and what comes out, without an axis of one channel that was not asked for.
    kernel : array of values or None
        The weight of a convolution; the x of `conv_weight_grad`.
    terms : tuple of Term
        Every meeting, in C order of the windows.
    outside : tuple of Term
        Those that padding swallows: the index on the larger side lies beyond the array.
    settings : dict
        As they were given, for the caption.
    bias : array of values or None
        Per output channel.
    switches : Switches or None
        What max pooling remembered.
    """

    operation: str
    plan: Plan
    input: Values
    output: Values
    terms: tuple[Term, ...]
    kernel: Values | None = None
    outside: tuple[Term, ...] = ()
    settings: Settings = field(default_factory=dict)
    bias: Values | None = None
    switches: Switches | None = None

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return self.plan.rank

    @property
    def record(self) -> Operation:
        """What the library says of the operation."""
        return OPERATIONS[self.operation]

    @property
    def up(self) -> bool:
        """Whether the input is the smaller side, one stamp per element of it, as the name says."""
        return self.operation in WAYS_UP

    @property
    def coarse(self) -> Values:
        """The side that counts the windows."""
        return self.input if self.up else self.output

    @property
    def fine(self) -> Values:
        """The larger side."""
        return self.output if self.up else self.input

    @property
    def symbolic(self) -> bool:
        """Whether any value is a symbol."""
        return has_symbols(self.input) or has_symbols(self.kernel) or has_symbols(self.bias)

    def value(self, term: Term) -> Value:
        """What a term brings to its output element."""
        return product(self.input[term.source], term.weight)


@dataclass(frozen=True)
class Request:
    """The arguments of `example`, read."""

    operation: str
    input: Given
    kernel: Any
    bias: Any
    pooled: Any
    switches: Any
    settings: Settings
    seed: int
    symbols: bool | None

    def fill(self, given: Given, *, distinct: bool = False, ordered: bool = False) -> Values:
        """The values of the input: those given, symbols beside other symbols, or random numbers."""
        if given.values is not None:
            return given.values
        if self.symbols and ordered:
            raise ShapeError(f"draw: {self.operation} compares its elements, so they must be numbers")
        if self.symbols:
            return symbols(given.shape, last=False, taken=(), others=0)
        return numbers(given.shape, (self.seed, 0), distinct=distinct)


def places(plan: Plan) -> Iterator[tuple[Index, Index, Index]]:
    """Every meeting of a window with an element: tap, window, element."""
    for tap in plan.taps():
        yield from (
            (tap.index, coarse, fine)
            for coarse, fine in zip(itertools.product(*tap.coarse), itertools.product(*tap.fine), strict=True)
        )


def places_outside(plan: Plan) -> Iterator[tuple[Index, Index, Index]]:
    """Every meeting of a window with padding that holds nothing: tap, window, position beyond the axis."""
    axes = []
    for window in plan.windows:
        if getattr(window, "mode", "zeros") != "zeros":
            return  # those taps land inside, see Window.axis_taps
        axes.append(
            [
                (t, o, window.start(o) + t * window.dilation)
                for o in range(window.coarse)
                for t in range(window.length(o))
            ]
        )
    for places in itertools.product(*axes):
        tap, coarse, fine = zip(*places, strict=True)
        if any(not 0 <= p < window.fine for p, window in zip(fine, plan.windows, strict=True)):
            yield tap, coarse, fine


def check_shape(operation: str, array: str, shape: Any) -> None:
    """Refuse an array that nobody could draw before it is planned; what is no shape is left to the plan."""
    known = isinstance(shape, tuple | list) and all(isinstance(n, int | float) and n > 0 for n in shape)
    if known and MOST_TERMS < math.prod(shape) < math.inf:
        shape = tuple(map(int, shape))
        raise ShapeError(f"draw: the {array} of {operation} would have shape {shape}, too large to draw")


def check_terms(operation: str, windows: Sequence[AnyWindow], more: int) -> None:
    """Refuse what nobody could read before walking over it."""
    number = math.prod(window.coarse * window.size for window in windows) * more
    if number > MOST_TERMS:
        raise ShapeError(
            f"draw: {operation} of this size has {number} meetings of a tap and an element, "
            f"at most {MOST_TERMS} can be drawn"
        )
    for window in windows:
        if window.fine > MOST_TERMS:
            raise ShapeError(f"draw: the larger side of {operation} has {window.fine} elements on an axis")


def in_order(terms: Iterator[Term], *, up: bool) -> tuple[Term, ...]:
    """Sorted as the windows are counted; within one window the taps keep their order."""
    return tuple(sorted(terms, key=(lambda term: term.source) if up else (lambda term: term.target)))


def _sums(example: Example) -> Values:
    """The output of an operation whose values are symbols: its terms, added."""
    parts: dict[Index, list[Value]] = {}
    for term in sorted(example.terms, key=lambda term: term.source):
        if term.counts:
            parts.setdefault(term.target, []).append(example.value(term))
    output = np.empty(example.output.shape, object)
    for index in np.ndindex(output.shape):
        own: list[Any] = list(parts.get(index, []))
        if example.bias is not None:
            channel = index[0] if example.bias.size > 1 else 0
            own.append(example.bias[channel])
        if any(isinstance(each, str) for each in own):
            output[index] = " ".join(summands(own))
        else:
            output[index] = sum(each for each in own if not isinstance(each, str))
    return output


def finished(example: Example, compute: Callable[[], Any]) -> Example:
    """The example with its output: the library's own result, or sums of symbols."""
    if example.symbolic:
        return replace(example, output=_sums(example))
    return replace(example, output=as_values(compute()).reshape(example.output.shape))
