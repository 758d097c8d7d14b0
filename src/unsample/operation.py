"""The record of an operation and the record of a pair, which stand at the foot of every family of `ops/`.

Every table reads them: `pairs.py` collects them, jax makes a primitive of each, torch an operator. What has
no kernel, no primitive and no operator of its own is computed by its definition.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from unsample.arrays.library import COPIES, namespace
from unsample.geometry.plan import Plan

Shape = tuple[int, ...]
Call = tuple[tuple[Any, ...], dict[str, Any]]
# How windows lie: side by side; one tap in a block; over the axis as they please; as max pooling has them; as
# switches say, which are asked; not at all, where an axis has a source and a target size instead.
Lies = Literal["blocks", "nails", "anywhere", "pooled", "switches", "resampled"]
# What a drawn example of it is made of: a kernel; elements that are copied; what was pooled; or nothing else,
# and then its matrix says who meets whom.
Drawn = Literal["kernel", "weight gradient", "copies", "pooling", "switches", "matrix"]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One direction: what a call passes through, from its arguments to its result.

    Parameters
    ----------
    function : callable
        The public one, whose name the operation has.
    plan : callable
        `plan(*shapes, *args, **options)`: the Plan of a call as a user writes it, which is
        `plan_over(*shapes, windows(*shapes, *args, **options), *words, *plan_words)`.
    windows : callable
        The windows of that call: a tuple of Window or AdaptiveWindow, of (source, target) for a resize. It
        asks nothing of sizes that are symbols.
    plan_over : callable
        The Plan of a call whose windows are known.
    as_planned : callable
        `as_planned(xp, *arrays, plan, *words, out)`: computes it, by a kernel or by the definition.
    definition : callable
        `definition(*arrays, plan, *words)`, in the functions of the array-API standard.
    partner : str
        The transpose in the first array; "" where it is not linear.
    arrays : tuple of str
        Names of the arrays; the first is the linear one.
    words : mapping of str to str
        What it is told beside the plan, and the type: "str", "bool" or "int".
    plan_words : mapping of str to str
        What the plan alone is told.
    up : bool
        Whether it leads from the windows to the elements they lie on.
    lies : str
        How its windows lie.
    sums : bool
        Whether elements are added up and integers become those of a sum. Others are moved as they are.
    kinds : tuple of str
        The kinds of dtype that it takes.
    accept : callable, optional
        `accept(*arrays, *plan_words)` refuses dtypes where kinds do not say enough; gives the namespace.
    drawn : str
        How `unsample.draw` makes an example of it.
    says : str
        The sentence under its picture: what each input element stamps, or what each output element gathers.

    Its `name` is that of the function.
    """

    function: Callable[..., Any]
    plan: Callable[..., Plan]
    windows: Callable[..., tuple[Any, ...]]
    plan_over: Callable[..., Plan]
    as_planned: Callable[..., Any]
    definition: Callable[..., Any]
    partner: str = ""
    arrays: tuple[str, ...] = ("x",)
    words: Mapping[str, str] = field(default_factory=dict)
    plan_words: Mapping[str, str] = field(default_factory=dict)
    up: bool = False
    lies: Lies = "anywhere"
    sums: bool = False
    kinds: tuple[str, ...] = COPIES
    accept: Callable[..., Any] | None = None
    drawn: Drawn = "matrix"
    says: str = ""

    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.function.__name__)

    def namespace(self, arrays: Sequence[Any], plan_words: Sequence[Any] = ()) -> Any:
        """The namespace of arrays that it takes; others are refused."""
        if self.accept is not None:
            return self.accept(*arrays, *plan_words)
        return namespace(self.name, self.kinds, **dict(zip(self.arrays, arrays, strict=True)))


@dataclass(frozen=True, slots=True)
class Pair:
    """A way down and a way up, each the transpose of the other in its first argument.

    Parameters
    ----------
    name : str
        The way up, as the public function is called.
    down, up : callables
        `down(x, *args, **kwargs)` and `up(y, *args, **kwargs)`.
    plan_down, plan_up : callables
        The same calls with the shape of the first argument in its place:
        `plan_down(x.shape, *args, **kwargs)` is the Plan of the call above.
    up_call : callable
        `up_call(x.shape, args, kwargs)` turns the arguments of a call down into those of its transpose.
    stamp : str
        The weight that tap t of the stamp carries, in words.
    """

    name: str
    down: Callable[..., Any]
    up: Callable[..., Any]
    plan_down: Callable[..., Plan]
    plan_up: Callable[..., Plan]
    up_call: Callable[[Shape, tuple[Any, ...], dict[str, Any]], Call]
    stamp: str


def same_call(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The arguments of a transpose that takes the same ones."""
    return args, kwargs


def sized_call(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The arguments of a transpose that is told its size."""
    return args, {**kwargs, "output_size": shape}
