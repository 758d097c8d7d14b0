"""What stands in the cells: numbers or symbols, given, read from a file, or made up.

A value is a Python number, or a string that stands for one. Arrays of them are NumPy arrays of objects.
"""

import errno
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample.files import read_file
from unsample.geometry import ShapeError
from unsample.geometry.arguments import describe, integer, is_sequence

Value = int | float | str
Values = NDArray[Any]  # of objects

# More elements than this nobody reads in a picture; it also bounds what a file may bring.
MOST = 4096
_LARGEST_FILE = 2**20
_FILES = (".npy", ".csv", ".txt")

_NAME = re.compile(r"[^\W\d]\w{0,7}'?")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Given:
    """An array as it was given: its shape, and its values unless only a size was."""

    shape: tuple[int, ...]
    values: Values | None = None


def read(name: str, given: Any) -> Given:
    """An argument of `example`, in any of its forms.

    Parameters
    ----------
    name : str
        As errors name it.
    given : int, tuple of int, str, path or array
        A size (3, (2, 4), "2x4"), values ([1, 2], "1,2;3,4", "x,y,z"), or a file (.npy, .csv, .txt).

    Examples
    --------
    >>> read("input", "2x3").shape, read("kernel", "x,y,z").values
    ((2, 3), array(['x', 'y', 'z'], dtype=object))
    """
    if isinstance(given, Path):
        return _bounded(name, _from_file(name, given))
    if isinstance(given, str):
        return _bounded(name, _from_text(name, given))
    if isinstance(given, tuple) and all(hasattr(each, "__index__") for each in given) and given:
        return _bounded(name, Given(tuple(integer("draw", name, each, minimum=1) for each in given)))
    if hasattr(given, "__index__") and getattr(given, "ndim", 0) == 0:
        return _bounded(name, Given((integer("draw", name, given, minimum=1),)))
    return _bounded(name, _from_array(name, given))


def _from_text(name: str, text: str) -> Given:
    text = text.strip()
    if re.fullmatch(r"\d+([x×]\d+)*", text):
        if re.search(r"\d{19}", text):  # no number of 64 bits
            raise ShapeError(f"draw: {name} must have at most {MOST} elements to be drawn, got {text:.40}")
        sizes = [int(each) for each in re.split("[x×]", text)]
        return Given(tuple(integer("draw", name, each, minimum=1) for each in sizes))
    if Path(text).suffix.lower() in _FILES:
        return _from_file(name, Path(text))
    # Slices, rows, elements: as deep as the text goes.
    slices = [[_row(row) for row in part.split(";")] for part in text.split("|")]
    nested: Any = slices if "|" in text else slices[0] if ";" in text else slices[0][0]
    return _from_array(name, nested)


def _row(text: str) -> list[str]:
    """Elements between commas; one comma at the end is allowed, and makes a single number a value."""
    return [each.strip() for each in text.removesuffix(",").split(",")]


def _from_file(name: str, path: Path) -> Given:
    suffix = path.suffix.lower()
    if suffix not in _FILES:
        raise ShapeError(f"draw: {name} must come from a file .npy, .csv or .txt, got {path}")
    try:
        data = read_file(path, _LARGEST_FILE)
        if suffix == ".npy":
            return _from_array(name, _from_npy(name, data))
        lines = data.decode("utf-8-sig").splitlines()
    except Exception as error:  # NumPy raises nearly anything for broken headers
        if isinstance(error, ShapeError):
            raise
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise ShapeError(
                f"draw: {name} must come from a file of at most 1 MiB, {path} is larger"
            ) from None
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ShapeError(f"draw: {name} cannot be read from {path} ({why})") from None
    rows = [re.split(r"\s*[,;\t]\s*|\s+", line.strip().removesuffix(",")) for line in lines if line.strip()]
    return _from_array(name, rows[0] if len(rows) == 1 else rows)


def _from_npy(name: str, data: bytes) -> NDArray[Any]:
    """The array of a .npy file, whose header may promise more than there is; pickles are refused."""
    file = BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    _bounded(name, Given(shape))
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are pickled and never loaded")
    if math.prod(shape) * dtype.itemsize > len(data) - file.tell():
        raise ValueError("it is shorter than its header says")
    file.seek(0)
    array: NDArray[Any] = np.load(file, allow_pickle=False)
    return array


def _from_array(name: str, given: Any) -> Given:
    try:
        array = np.asarray(
            given.detach().cpu() if hasattr(given, "detach") else given
        )  # torch, with a gradient
        if array.dtype.kind not in "biuf":
            array = np.asarray(given, dtype=object)
            # Rows of different lengths become an array of lists.
            ragged = any(is_sequence(each) or isinstance(each, np.ndarray) for each in array.flat)
        else:
            ragged = False
    except (ValueError, TypeError):  # NumPy's words for rows of different lengths, or for no array
        ragged = True
    if ragged:
        raise ShapeError(f"draw: {name} must have rows of one length, got {describe(given)}")
    if array.ndim == 0:
        array = array.reshape(1)
    if array.size == 0:
        raise ShapeError(f"draw: {name} must hold at least one element, got shape {array.shape}")
    _bounded(name, Given(array.shape))
    values = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        values[index] = _value(name, array[index])
    return Given(array.shape, values)


def _value(name: str, element: Any) -> Value:
    """One element as a Python number, or the name it is."""
    text = str(element).strip().replace("\N{MINUS SIGN}", "-")
    if isinstance(element, bool | np.bool_):
        return int(element)
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        # Products and sums of such integers stay far inside 64 bits.
        value = number if isinstance(number, float) or abs(number) <= 10**6 else float(text)
        if math.isinf(value) and "inf" not in text.lower():
            break  # a number too large to be one
        return value
    if isinstance(element, str) and _NAME.fullmatch(text):
        return text
    raise ShapeError(
        f"draw: {name} must hold numbers, or names such as x of up to 8 letters and digits, "
        f"got {element!r:.40}"
    )


def _bounded(name: str, given: Given) -> Given:
    if math.prod(given.shape) > MOST:
        shape = "x".join(map(str, given.shape))
        raise ShapeError(f"draw: {name} must have at most {MOST} elements to be drawn, got {shape}")
    return given


def is_number(value: Value) -> bool:
    """Whether a value is a number and no symbol."""
    return not isinstance(value, str)


def has_symbols(values: Values | None) -> bool:
    """Whether any of the values is a symbol."""
    return values is not None and not all(is_number(each) for each in values.flat)


def symbols(shape: tuple[int, ...], *, last: bool, taken: Iterable[Value], others: int) -> Values:
    """Names for an array: letters from the front of the alphabet or, for a kernel, up to z.

    Where there are not enough letters for this and the `others`, a or w with a number.

    Examples
    --------
    >>> symbols((2,), last=False, taken=["x", "y", "z"], others=0)
    array(['a', 'b'], dtype=object)
    >>> symbols((3,), last=True, taken=[], others=2)
    array(['x', 'y', 'z'], dtype=object)
    """
    number = math.prod(shape)
    used = {each for each in taken if isinstance(each, str)}
    free = [letter for letter in _LETTERS if letter not in used]
    if number + others <= len(free):
        names = free[-number:] if last else free[:number]
    else:
        letter = next(each for each in (*("w" if last else "a"), *free, "X") if each not in used)
        names = [letter + str(i + 1).translate(_SUBSCRIPTS) for i in range(number)]
    return _filled(shape, names)


def numbers(
    shape: tuple[int, ...], seed: Sequence[int], *, distinct: bool = False, largest: int = 9
) -> Values:
    """Small random integers from 1 on, for arithmetic done in the head; the same for the same seed."""
    generator = np.random.default_rng(seed)
    count = math.prod(shape)
    found = generator.permutation(count) + 1 if distinct else generator.integers(1, largest + 1, count)
    return _filled(shape, found.tolist())


def _filled(shape: tuple[int, ...], items: Iterable[Value]) -> Values:
    values = np.empty(shape, object)
    for index, item in zip(np.ndindex(shape), items, strict=True):
        values[index] = item
    return values


def as_numbers(values: Values) -> NDArray[Any]:
    """Values without symbols as an array of int64 or float64."""
    whole = all(isinstance(each, int) for each in values.flat)
    try:
        return values.astype(np.int64 if whole else np.float64)
    except OverflowError:
        return values.astype(np.float64)


def as_values(array: Any) -> Values:
    """An array of numbers as Python numbers."""
    array = np.asarray(array)
    return _filled(array.shape, array.ravel().tolist())


def product(value: Value, weight: Value) -> Value:
    """What a stamp writes, or a window reads: a number, or a term such as a·z.

    Examples
    --------
    >>> product(2, 3), product("a", "x"), product("a", 1), product("a", 0.25), product(-2, "x")
    (6, 'a·x', 'a', '0.25·a', '\N{MINUS SIGN}2·x')
    """
    if not isinstance(value, str) and not isinstance(weight, str):
        return value * weight
    if isinstance(value, str) and isinstance(weight, str):
        return f"{value}·{weight}"
    symbol, number = (value, weight) if isinstance(value, str) else (weight, value)
    if number == 0:
        return 0
    if abs(float(number)) == 1:
        return f"{symbol}" if float(number) > 0 else f"\N{MINUS SIGN}{symbol}"
    return f"{shown(number)}·{symbol}"


def summands(values: Sequence[Value]) -> list[str]:
    """The terms of a sum as they are written, each with its sign.

    Examples
    --------
    >>> summands(["a·z", "\N{MINUS SIGN}b·x", 2, 3])
    ['a·z', '\N{MINUS SIGN} b·x', '+ 5']
    """
    symbolic = [each for each in values if isinstance(each, str)]
    number = sum(each for each in values if not isinstance(each, str))
    terms = [*symbolic, shown(number)] if number or not symbolic else symbolic
    minus = "\N{MINUS SIGN}"
    return [
        term if not i else f"{minus} {term.removeprefix(minus)}" if term.startswith(minus) else f"+ {term}"
        for i, term in enumerate(terms)
    ]


def shown(value: Value) -> str:
    """A value as a cell shows it: at most 3 digits after those that integers need.

    Examples
    --------
    >>> shown(12), shown(-3), shown(0.125), shown(2.0), shown(1 / 3), shown("x")
    ('12', '\N{MINUS SIGN}3', '0.125', '2', '0.333', 'x')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        text = f"{value:.3g}" if abs(value) < 1000 or not math.isfinite(value) else f"{value:.6g}"
    else:
        text = str(value) if abs(value) < 10**6 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}").replace("e+0", "e").replace("e+", "e")
