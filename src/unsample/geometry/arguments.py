"""Arguments as users write them, turned into one normal form or refused in one sentence."""

import difflib
import operator
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal, TypeGuard, TypeVar, cast, get_args

from unsample.errors import ShapeError

# Sizes and positions are kept in 64 signed bits by every framework and kernel.
LARGEST = 2**63 - 1
# No process addresses more bytes than this (47 bits of user space on x86-64 and arm64).
ADDRESS_SPACE = 2**47

# Every list of words is written once, as a type: type checkers read it, and so do the errors.
PaddingWord = Literal["valid", "same", "full"]
PADDING_WORDS: tuple[PaddingWord, ...] = get_args(PaddingWord)
PoolPaddingWord = Literal["valid", "same"]
POOL_PADDING_WORDS: tuple[PoolPaddingWord, ...] = get_args(PoolPaddingWord)
PaddingMode = Literal["zeros", "circular", "reflect", "replicate"]
PADDING_MODES: tuple[PaddingMode, ...] = get_args(PaddingMode)

IntOrInts = int | Sequence[int]
Padding = int | Sequence[int | Sequence[int]] | PaddingWord
PoolPadding = int | Sequence[int | Sequence[int]] | PoolPaddingWord
WordT = TypeVar("WordT", bound=str)
_F = TypeVar("_F", bound=Callable[..., None])

Pads = tuple[tuple[int, int], ...]


def integer(operation: str, name: str, value: Any, minimum: int | None = None) -> int:
    """`value` as a Python int; bools, floats and strings are refused, NumPy integers and symbols welcome."""
    if is_symbol(value):
        return known(operation, name, (value,))[0]
    number = value if type(value) is int else _index(operation, name, value)
    if not symbolic(number) and abs(number) > LARGEST:
        raise OverflowError(f"{operation}: {name} must be below 2**63, got {shown(number)}")
    if minimum is not None and number < minimum:
        raise ShapeError(f"{operation}: {name} must be at least {minimum}, got {number}")
    return number


def _index(operation: str, name: str, value: Any) -> int:
    if is_bool(value) or not hasattr(value, "__index__"):
        raise TypeError(f"{operation}: {name} must be an int, got {describe(value)}")
    try:
        return operator.index(value)
    except TypeError:  # arrays have __index__ and refuse to use it
        raise TypeError(f"{operation}: {name} must be an int, got {describe(value)}") from None


def integers(operation: str, name: str, value: Any, minimum: int | None = None) -> tuple[int, ...]:
    """A sequence of ints of any length but 0."""
    values = sequence(operation, name, value)
    if not values:
        raise ShapeError(f"{operation}: {name} must hold at least one int, got {shown(value)}")
    return tuple(integer(operation, name, each, minimum) for each in values)


def per_axis(operation: str, name: str, value: Any, rank: int, minimum: int | None = None) -> tuple[int, ...]:
    """One int for every axis, or a sequence with one int per axis -> `rank` ints."""
    value = unpacked(value)
    if is_sequence(value):
        numbers = tuple(integer(operation, name, each, minimum) for each in value)
        if len(numbers) != rank:
            raise ShapeError(
                f"{operation}: {name} must be an int or {count(rank, 'int')}, "
                f"one per spatial axis, got {shown(value)}"
            )
        return numbers
    return (integer(operation, name, value, minimum),) * rank


def rank_of(operation: str, name: str, value: Any, shape: Sequence[int], array: str = "x") -> int:
    """Spatial rank of a channel-wise call: `len(value)` for a tuple, `ndim - 2` for a single number."""
    value = unpacked(value)
    if is_sequence(value):
        rank = len(value)
        if rank == 0 or rank > len(shape):
            raise ShapeError(
                f"{operation}: {name} must hold at least one number and at most one per axis of {array}, "
                f"got {shown(value)} for {array} of shape {tuple(shape)}"
            )
        return rank
    if len(shape) < 3:
        raise ShapeError(
            f"{operation}: {array} must be (N, C, *spatial) where {name} is a single number, "
            f"or {name} a tuple with one number per spatial axis, "
            f"got {array} of shape {tuple(shape)} and {name}={shown(value)}"
        )
    return len(shape) - 2


def check_rank(
    operation: str,
    name: str,
    array: Any,
    ranks: Sequence[int],
    leading: Sequence[int] = (2, 1),
    setting: str = "",
) -> None:
    """Refuse what a layer of `ranks` spatial axes does not take by its number of axes, whatever their sizes.

    `leading` counts the axes before: 2 for (N, C, *spatial), 1 for (C, *spatial).
    """
    shape = getattr(array, "shape", None)
    if shape is None:
        raise TypeError(f"{operation}: {name} must be an array, got {describe(array)}")
    if len(shape) not in [rank + before for rank in ranks for before in leading]:
        layouts = " or ".join("(N, C, *spatial)" if before == 2 else "(C, *spatial)" for before in leading)
        least = "" if len(ranks) == 1 else f"{ranks[0]} to "
        raise ShapeError(
            f"{operation}: {name} must be {layouts} with {least}{count(ranks[-1], 'spatial axis')}{setting}, "
            f"got shape {tuple(shape)}"
        )


def paddings(
    operation: str,
    value: Any,
    rank: int,
    minimum: int | None = None,
    words: tuple[PaddingWord, ...] = PADDING_WORDS,
) -> Pads | PaddingWord:
    """Int, per axis, per axis and side, or a word -> ((before, after), ...) or the word."""
    if isinstance(value, str):
        return choice(operation, "padding", value, words)
    value = unpacked(value)
    if not is_sequence(value):
        return ((integer(operation, "padding", value, minimum),) * 2,) * rank
    if len(value) != rank:
        raise ShapeError(
            f"{operation}: padding must be an int, {count(rank, 'int')} or {count(rank, 'pair')} "
            f"(before, after), one per spatial axis, or one of {listed(words)}, got {shown(value)}"
        )
    pads = []
    for each in value:
        each = unpacked(each)
        pair = tuple(each) if is_sequence(each) else (each, each)
        if len(pair) != 2:
            raise ShapeError(
                f"{operation}: padding of one axis must be an int or a pair (before, after), "
                f"got {shown(each)}"
            )
        before, after = (integer(operation, "padding", side, minimum) for side in pair)
        pads.append((before, after))
    return tuple(pads)


def choice(operation: str, name: str, value: Any, choices: Sequence[WordT]) -> WordT:
    """One of the words in `choices`; another word is answered with the nearest."""
    if not isinstance(value, str):
        raise TypeError(f"{operation}: {name} must be one of {listed(choices)}, got {describe(value)}")
    if value in choices:
        return cast(WordT, value)
    folded = {word.lower(): word for word in choices}
    near = difflib.get_close_matches(value.lower(), folded, n=1)
    hint = f" (did you mean {folded[near[0]]!r}?)" if near else ""
    raise ShapeError(f"{operation}: {name} must be one of {listed(choices)}, got {value!r}{hint}")


def spatial_size(
    operation: str, name: str, value: Any, rank: int, leading: Sequence[int], minimum: int = 0
) -> tuple[int, ...]:
    """A spatial size, or a full shape whose leading axes are `leading` -> `rank` ints.

    An int means the same size on every axis, as in torch.
    """
    value = unpacked(value)
    if not is_sequence(value):
        return (integer(operation, name, value, minimum),) * rank
    before = len(value) - rank  # what leads may be open, where it is that of the input
    if before == 0 or (before == len(leading) and tuple(value[:before]) == tuple(leading)):
        return tuple(integer(operation, name, each, minimum) for each in value[before:])
    raise ShapeError(
        f"{operation}: {name} must be an int, {count(rank, 'int')} or the full shape "
        f"({', '.join([*map(str, leading), *['*'] * rank])}), got {shown(value)}"
    )


def spatial_axes(operation: str, shape: Sequence[int], rank: int) -> tuple[int, ...]:
    """The last `rank` sizes of an array of this shape."""
    return known(operation, "the spatial size", tuple(shape[len(shape) - rank :]))


def known(operation: str, name: str, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """`sizes`, none of which jax may have left open: no window can be laid by what has no number."""
    if any(map(_is_dimension, sizes)):
        raise ShapeError(
            f"{operation}: {name} must be known while jax.export traces, got ({', '.join(map(str, sizes))})"
        )
    return sizes


def size_of_like(operation: str, like: Any, rank: int) -> tuple[int, ...]:
    """The spatial size of `like`, an array such as the skip connection to be met."""
    shape = getattr(like, "shape", None)
    if shape is None:
        raise TypeError(f"{operation}: like must be an array, got {describe(like)}")
    if len(shape) < rank:
        raise ShapeError(
            f"{operation}: like must have at least {count(rank, 'axis')}, got shape {tuple(shape)}"
        )
    size = known(operation, "the spatial size of like", tuple(shape[len(shape) - rank :]))
    return size if symbolic(*size) else tuple(map(int, size))


def wanted_size(
    operation: str, output_size: Any, like: Any, rank: int, leading: Sequence[int]
) -> tuple[int, ...] | None:
    """The spatial output size that `output_size=` or `like=` asks for, None where neither does."""
    if output_size is not None and like is not None:
        raise ShapeError(f"{operation}: output_size and like must not both be given")
    if output_size is not None:
        return spatial_size(operation, "output_size", output_size, rank, leading)
    if like is not None:
        return size_of_like(operation, like, rank)
    return None


def check_allocation(operation: str, shape: Sequence[int]) -> None:
    """Refuse a shape that no address space holds, before anything is allocated.

    What is not known yet is not asked, or an exported program had to promise a largest size.
    """
    if symbolic(*shape):
        return
    elements = 1
    for size in shape:
        if size > LARGEST:
            raise OverflowError(f"{operation}: an output axis of {shown(size)} elements is beyond 2**63")
        elements *= size
    if elements > ADDRESS_SPACE:
        raise OverflowError(
            f"{operation}: an output of shape {tuple(shape)} has {elements} elements, "
            f"more than the 2**47 bytes of an address space"
        )


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Tuples, lists and torch.Size; not strings, not arrays."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def unpacked(value: Any, dtypes: tuple[str, ...] = ("int", "uint")) -> Any:
    """A NumPy, torch or jax array of such numbers as the list that it is as good as; anything else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> unpacked(np.array([2, 3])), unpacked((2, 3)), unpacked(2)
    ([2, 3], (2, 3), 2)
    """
    return _as_python(value, dtypes) if getattr(value, "ndim", 0) else value


def plain(value: Any) -> Any:
    """Numbers of NumPy, torch and jax, in arrays, tuples and lists, as Python's; anything else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> plain(np.array([2, 3])), plain(np.float32(1.5)), plain((np.int64(2), 3)), plain("same")
    ((2, 3), 1.5, (2, 3), 'same')
    """
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    return _tuples(_as_python(value, ("int", "uint", "float", "bfloat"))) if hasattr(value, "ndim") else value


def _tuples(values: Any) -> Any:
    return tuple(map(_tuples, values)) if type(values) is list else values


def with_plain_numbers(constructor: _F) -> _F:
    """`constructor` of a layer, given numbers of any library as Python's; a random key is no number."""

    @wraps(constructor)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        numbers = {name: value if name == "key" else plain(value) for name, value in kwargs.items()}
        constructor(self, *map(plain, args), **numbers)

    return cast("_F", construct)


def _as_python(value: Any, dtypes: tuple[str, ...]) -> Any:
    if not hasattr(value, "tolist") or not str(value.dtype).removeprefix("torch.").startswith(dtypes):
        return value
    try:
        return value.tolist()
    except (TypeError, RuntimeError):  # whose elements a framework that traces does not know
        return value


def sequence(operation: str, name: str, value: Any) -> tuple[Any, ...]:
    """`value` as a tuple, or a TypeError."""
    value = unpacked(value)
    if not is_sequence(value):
        raise TypeError(f"{operation}: {name} must be a tuple of ints, got {describe(value)}")
    return tuple(value)


def is_bool(value: Any) -> bool:
    """Whether `value` is a bool of any library; those of NumPy 2.0, torch and JAX pass for integers."""
    if type(value) is int:
        return False
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).rpartition(".")[2] == "bool"


def is_symbol(value: Any) -> bool:
    """Whether `value` stands for a size that is not known yet, while torch or JAX traces."""
    return _is_dimension(value) or type(value).__name__ == "SymInt"


def _is_dimension(value: Any) -> bool:
    """Whether `value` is a symbol of JAX, of which `jax.export` makes batch and channels."""
    return type(value).__name__ == "_DimExpr"


def has_symbols(*sizes: Any) -> bool:
    """Whether a size is a symbol of torch.

    What is asked of it becomes a condition of the traced program: it is asked nothing but its sum and
    product with others. A symbol of JAX may be asked what it equals, and says yes only where that is certain.
    """
    return any(type(size).__name__ == "SymInt" for size in sizes)


def symbolic(*sizes: Any) -> bool:
    """Whether a size is not known yet; Python itself may be what torch traces: symbols then pass for ints."""
    torch = sys.modules.get("torch")
    return (torch is not None and torch.compiler.is_compiling()) or any(map(is_symbol, sizes))


def describe(value: Any) -> str:
    """A value as an error shows it: short, with its type."""
    kind = type(value)
    named = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    text = shown(value)
    return named if len(text) > 40 or "\n" in text else f"{text} ({named})"


def shown(value: Any) -> str:
    """`repr(value)`, which Python refuses to write for ints of thousands of digits."""
    try:
        return repr(value)
    except ValueError:
        return "(over 4300 digits)"


def listed(words: Sequence[str]) -> str:
    """'a', 'b' or 'c'."""
    quoted = [repr(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def count(number: int, noun: str) -> str:
    """1 int, 2 ints, 1 axis, 2 axes."""
    plural = noun[:-2] + "es" if noun.endswith("axis") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"
