"""The two primitives: read the elements under a tap, and stamp values onto them.

`slice_tap(x, where)` is the strided slice under one tap; `place_tap(out, where, value)` is its transpose, the
stamp. A way down slices the fine side and stamps the coarse one; its way up slices the coarse side
and stamps the fine one, with the same taps. Stamps that never overlap are placed bit for bit
(`place_tap`); stamps that do are added (`add_tap`).

`where` holds the positions along the *last* `len(where)` axes; None stands for a whole axis. Positions do not
repeat within one tap, so plain indexing suffices, and the order of summation is the order of the taps. The
exception are taps that say so, of padding that repeats an axis many times.
"""

import sys
from typing import Any

import numpy as np

from unsample.arrays.library import constant
from unsample.geometry.window import Positions

Where = tuple[Positions | None, ...]


def slice_tap(x: Any, where: Where) -> Any:
    """`x` at the positions of one tap.

    Examples
    --------
    >>> slice_tap(np.arange(5), (range(0, 5, 2),))
    array([0, 2, 4])
    """
    return x[_index(x, where)]


def place_tap(out: Any, where: Where, value: Any) -> Any:
    """`out` with `value` at the positions of one tap: the transpose of `slice_tap` on fresh zeros.

    Where the library allows it `out` itself is written, so `out` must belong to the caller.

    Examples
    --------
    >>> place_tap(np.zeros(5, int), (range(0, 5, 2),), np.array([1, 2, 3]))
    array([1, 0, 2, 0, 3])
    """
    if hasattr(out, "at"):  # JAX arrays do not change
        return out.at[_index(out, where)].set(value, unique_indices=True)
    out[_index(out, where)] = value
    return out


def add_tap(out: Any, where: Where, value: Any, repeats: bool = False) -> Any:
    """`out` with `value` added at the positions of one tap; overlaps of several taps add up.

    Where the positions of the tap repeat, so do its own, one after the other.

    Examples
    --------
    >>> add_tap(np.ones(5, int), (range(0, 5, 2),), np.array([1, 2, 3]))
    array([2, 1, 3, 1, 4])
    """
    if hasattr(out, "at"):
        if _sliced(where):
            return out + _between_zeros(value, out.shape, where)
        return out.at[_index(out, where)].add(value, unique_indices=not repeats)
    if repeats and isinstance(out, np.ndarray):
        np.add.at(out, _index(out, where), value)
    elif repeats:  # torch
        mesh = np.ix_(*(np.arange(size) for size in out.shape[: out.ndim - len(where)]), *_all(out, where))
        out.index_put_(tuple(constant(out, each) for each in mesh), value, accumulate=True)
    elif _sliced(where):
        view = out[_index(out, where)]
        view += value
    else:
        out[_index(out, where)] += value
    return out


def _between_zeros(value: Any, shape: tuple[int, ...], where: Where) -> Any:
    """`value` at its positions in an array of zeros of `shape`, for jax.

    XLA compiles a padding 5 times faster than the scatter of `at[...].add`, and fuses it into the sum.
    """
    lax = sys.modules["jax"].lax
    config = [(0, 0, 0)] * (len(shape) - len(where))
    for size, each in zip(shape[len(config) :], where, strict=True):
        if each is None:
            each = range(size)
        assert isinstance(each, range)
        after = size - each[-1] - 1 if each else size - each.start
        config.append((each.start, after, each.step - 1))
    return lax.pad(value, lax.full((), 0, value.dtype), config)


def along(axis: int, positions: Positions, rank: int) -> Where:
    """The `where` that selects `positions` along one of `rank` axes and everything along the others."""
    return (None,) * axis + (positions,) + (None,) * (rank - axis - 1)


def _sliced(where: Where) -> bool:
    return all(each is None or isinstance(each, range) for each in where)


def _index(x: Any, where: Where) -> tuple[Any, ...]:
    """`where` as an index: slices for ranges; index arrays, as an open mesh, where an array asks for it."""
    scattered = [axis for axis, each in enumerate(where) if isinstance(each, np.ndarray)]
    if not scattered:
        return (..., *(_slice(each) for each in where))
    if len(scattered) == 1:
        (axis,) = scattered
        array = constant(x, where[axis])
        return (..., *(array if i == axis else _slice(each) for i, each in enumerate(where)))
    return (..., *(constant(x, each) for each in np.ix_(*_all(x, where))))


def _slice(each: Positions | None) -> slice:
    if each is None:
        return slice(None)
    assert isinstance(each, range)  # arrays are indices themselves
    return slice(each.start, each.stop, each.step)


def _all(x: Any, where: Where) -> list[Any]:
    """The positions along every axis of `where`, as arrays."""
    return [
        np.arange(size) if each is None else np.asarray(each)
        for size, each in zip(x.shape[x.ndim - len(where) :], where, strict=True)
    ]
