"""Which resize a matrix is: exporters write one as a product where ONNX's Resize will not do."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample.geometry.resample import CONVENTIONS, METHODS, SUPPORT, Resample


def resample_of(matrix: NDArray[Any]) -> Resample | None:
    """The resize of one axis whose weights are those of a matrix, (target, source); None where it is none.

    Examples
    --------
    >>> found = resample_of(np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]))
    >>> found == Resample(2, 4, "linear", "half_pixel")
    True
    >>> resample_of(np.array([[1, 0], [0.5, 0.5], [0.25, 0.75], [0, 1]]))
    """
    m, n = matrix.shape
    near = 8 * np.finfo(matrix.dtype).eps if matrix.dtype.kind == "f" else 0.0
    total = matrix.sum(axis=1, dtype=np.float64)
    if m == n or not np.allclose(total, 1, rtol=0, atol=near * n):
        return None
    return next(
        (each for each in _resizes(n, m) if np.allclose(dense_of(each), matrix, rtol=0, atol=near)), None
    )


def _resizes(n: int, m: int) -> Iterator[Resample]:
    yield Resample(n, m, "area", "half_pixel")
    for method in (each for each in METHODS if each in SUPPORT):
        for convention in sorted(set(CONVENTIONS) - {"legacy"}, reverse=True):
            yield Resample(n, m, method, convention)
            yield Resample(n, m, method, convention, exclude_outside=True)
        if m < n:
            yield Resample(n, m, method, "half_pixel", antialias=True, exclude_outside=True)
            yield Resample(n, m, method, "half_pixel", antialias=True)


def dense_of(axis: Resample) -> NDArray[np.float64]:
    """The matrix of a resize of one axis, (target, source)."""
    found = np.zeros((axis.target, axis.source))
    for tap in axis.taps():
        np.add.at(found, (np.asarray(tap.target), np.asarray(tap.source)), tap.weights)
    return found
