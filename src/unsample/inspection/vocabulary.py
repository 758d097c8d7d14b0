"""What a run of a model did: operations in order, with the geometry of each. No framework."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unsample.geometry.resample import Resample
from unsample.geometry.window import AnyWindow
from unsample.pairs import OPERATIONS

# What an operation does to the grid of positions; `grids.py` has one rule for each.
KINDS = (
    *OPERATIONS,
    "pool",
    "pad",
    "slice",
    "roll",
    "copy",
    "sample",
    "split",
    "stack",
    "unfold",
    "keep",
    "cat",
    "permute",
    "reshape",
    "select",
    "reduce",
    "matmul",
    "mix",
    "attention",
    "elementwise",
    "im2col",
    "col2im",
    "opaque",
)


@dataclass(frozen=True, slots=True)
class Value:
    """One array that passed between operations.

    Parameters
    ----------
    shape : tuple of int
    itemsize : int
        Bytes of an element.
    parameter : str
        Its name in the model where it is a parameter or a buffer, else nothing.
    """

    shape: tuple[int, ...]
    itemsize: int = 4
    parameter: str = ""

    @property
    def bytes(self) -> int:
        """Bytes of all elements."""
        total = self.itemsize
        for n in self.shape:
            total *= n
        return total


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of the run.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    layer : str
        Path of the layer that called it, as in `named_modules()`; nothing for the model itself.
    what : str
        Layer class or function, as a reader knows it.
    inputs, outputs : tuple of int
        Numbers of values; the linear argument first.
    windows : tuple
        One per spatial axis (the last axes): `fine` is the larger side, as in `unsample.geometry`.
    resamples : tuple of Resample
        Of a resize, one per spatial axis.
    steps : tuple of float or None
        Source elements per target element that a resize was told, where it was.
    settings : dict
        For people.
    details : dict
        Numbers of the rule: `dim`, `moves` (of a slice: dim, start, step), `pads`, `factor`, `permutation`.
    weight : int or None
        Number of the value that is the kernel.
    groups, multiply_adds, saved_bytes, switch_bytes : int
    milliseconds : float or None
    """

    kind: str
    layer: str
    what: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    windows: tuple[AnyWindow, ...] = ()
    resamples: tuple[Resample, ...] = ()
    steps: tuple[float | None, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    weight: int | None = None
    bias: int | None = None
    groups: int = 1
    multiply_adds: int = 0
    saved_bytes: int = 0
    switch_bytes: int = 0
    milliseconds: float | None = None

    def but(self, **changes: Any) -> "Op":
        """The same with other numbers."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Failure:
    """Where a run stopped.

    Parameters
    ----------
    layer : str
        Path of the layer.
    sentence : str
        What went wrong.
    inputs : tuple of int
        Values that the failing operation was given.
    merge : bool
        Whether the operation joins branches (a concatenation, an addition) whose sizes do not meet.
    dim : int or None
        The axis on which they do not.
    gap : int or None
        By how many elements the sizes of two factors or branches differ that must be the same.
    values : bool
        Whether the run depends on the values of a tensor, which a run on shapes does not have.
    """

    layer: str
    sentence: str
    inputs: tuple[int, ...] = ()
    merge: bool = False
    dim: int | None = None
    gap: int | None = None
    values: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of another size.

    Parameters
    ----------
    shapes : tuple
        What came out.
    calls : tuple
        What was called, with what padding and slices put on and take off: the same for sizes that a period of
        the steps lies between, unless the model itself asks how large its input is.
    """

    shapes: tuple[tuple[int, ...], ...]
    calls: tuple[Any, ...] = ()


def varied(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Which inputs other sizes are tried of, by their places: the image, and those of its sizes.

    The image is the first of the inputs with most axes. An input of other sizes may be tied to it in any way,
    and one of fewer axes is a text, a time or a list of boxes: they stay as they are.

    Examples
    --------
    >>> varied([(1, 77, 768), (1, 3, 64, 64), (1, 1, 64, 64), (1, 3, 32, 32)])
    (1, 2)
    """
    rank = max(map(len, shapes), default=0)
    if rank < 3:
        return ()
    image = next(tuple(shape[2:]) for shape in shapes if len(shape) == rank)
    return tuple(i for i, shape in enumerate(shapes) if len(shape) == rank and tuple(shape[2:]) == image)


@dataclass(frozen=True, slots=True)
class Trace:
    """Every operation of one run, in order; up to the failure where there was one.

    Parameters
    ----------
    ops : tuple of Op
    values : tuple of Value
    inputs, outputs : tuple of int
        Numbers of the model's arguments and results.
    parameters : int
        Numbers that the model learns.
    saved_bytes : int or None
        Kept for the backward pass by all operations together, nothing counted twice; None where not known.
    read : callable or None
        The array of a weight by its name; None where there are only shapes.
    failure : Failure or None
    foreign : bool
        Whether it is that of a file, whose numbers are held to limits before work is done for them.
    fixed : tuple of int
        Axes of the image of which the file takes one size alone.
    decided : tuple of str
        Layers in which the values of the example decided how the run went on.
    """

    ops: tuple[Op, ...]
    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: int = 0
    saved_bytes: int | None = None
    read: Callable[[Op], tuple[Any, Any] | None] | None = None
    failure: Failure | None = None
    foreign: bool = False
    fixed: tuple[int, ...] = ()
    decided: tuple[str, ...] = ()

    @property
    def image(self) -> tuple[int, ...]:
        """The shape of the input of which other sizes are tried; nothing where there is none."""
        shapes = [self.values[i].shape for i in self.inputs]
        places = varied(shapes)
        return shapes[places[0]] if places else ()
