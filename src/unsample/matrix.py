"""Any operation of this library as a sparse matrix."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unsample.geometry.arguments import integers
from unsample.geometry.errors import ShapeError

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def matrix(
    function: Callable[..., Any], input_shape: Sequence[int], *args: Any, **kwargs: Any
) -> "csr_array":
    """The matrix of a linear function: `function(x).ravel() == matrix @ x.ravel()`.

        matrix[i, j] = function(e_j).ravel()[i]        e_j: 1 at element j of `input_shape`, 0 elsewhere

    Transpose: the matrix of the partner function; that is what the word in "transposed convolution" means.

    Parameters
    ----------
    function : callable
        Linear in its first argument, such as any function of `unsample.PAIRS`; it is called with NumPy
        float64.
    input_shape : sequence of int
        Of the first argument.
    *args, **kwargs
        Passed on.

    Returns
    -------
    scipy.sparse.csr_array, (output elements, input elements), float64
        Without explicit zeros.

    Raises
    ------
    TypeError
        Where the function gives anything but one array (`max_pool` gives two; `max_gather` is its
        linear part).
    ShapeError
        Where function(0) is not 0, as with a bias, or what the function raises.
    ImportError
        Where SciPy is not installed.

    Notes
    -----
    One call per input element. Source: the article, section 3.1.

    Examples
    --------
    The article's X (4 inputs, 3 taps, stride 1, one zero of padding) and its transpose:

    >>> import numpy as np, unsample as us
    >>> xyz = np.array([[[2.0, 3.0, 4.0]]])
    >>> X = us.matrix(us.conv, (1, 4), xyz, padding=1)
    >>> X.toarray()
    array([[3., 4., 0., 0.],
           [2., 3., 4., 0.],
           [0., 2., 3., 4.],
           [0., 0., 2., 3.]])
    >>> Xt = us.matrix(us.conv_transpose, (1, 4), xyz, padding=1)
    >>> (Xt != X.T).nnz
    0
    """
    try:
        from scipy.sparse import csr_array
    except ImportError:
        raise ImportError("matrix: sparse matrices need SciPy: pip install scipy") from None

    shape = integers("matrix", "input_shape", input_shape, minimum=0)
    name = getattr(function, "__name__", "function")
    zero = function(np.zeros(shape), *args, **kwargs)
    if not isinstance(zero, np.ndarray):
        hint = "; max_gather with its switches is its linear part" if name == "max_pool" else ""
        raise TypeError(f"matrix: {name} must give one NumPy array, got {type(zero).__name__}{hint}")
    if np.any(zero):
        raise ShapeError(f"matrix: {name} must be linear (without bias), but gives {name}(0) != 0")
    rows: list[np.ndarray[Any, Any]] = []
    values: list[np.ndarray[Any, Any]] = []
    lengths = [0]
    unit = np.zeros(math.prod(shape))
    for j in range(unit.size):
        unit[j] = 1.0
        column = np.ravel(function(unit.reshape(shape), *args, **kwargs))
        unit[j] = 0.0
        (found,) = np.nonzero(column)
        rows.append(found)
        values.append(column[found])
        lengths.append(lengths[-1] + len(found))
    # The columns in order are the rows of the transpose, which is what CSR stores.
    transposed = csr_array(
        (np.concatenate([np.empty(0), *values]), np.concatenate([np.empty(0, int), *rows]), lengths),
        shape=(unit.size, zero.size),
    )
    return transposed.T.tocsr()
