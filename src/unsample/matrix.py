"""Any operation of this library as a sparse matrix."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unsample.errors import ShapeError
from unsample.geometry.arguments import check_allocation, integers
from unsample.geometry.plan import Plan, meetings
from unsample.ops.conv import (
    conv,
    conv_transpose,
    conv_weight_grad,
    plan_conv,
    plan_conv_transpose,
    plan_conv_weight_grad,
)
from unsample.ops.nails import bed_of_nails, decimate
from unsample.ops.nearest import nearest, window_sum
from unsample.ops.resize import plan_resize, plan_resize_transpose, resize, resize_transpose
from unsample.ops.shuffle import pixel_shuffle, pixel_unshuffle
from unsample.ops.unpool import max_gather, max_unpool

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
    Functions of `unsample` in as many steps as there are non-zeros, others in one call per input element.
    Source: the article, section 3.1.

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
    made = _from_taps(function, shape, zero.shape, args, kwargs)
    if made is None:
        made = _column_by_column(function, shape, args, kwargs)
    rows, columns, values = made
    # One after the other in the order of the taps, as the functions add.
    places, which = np.unique(rows * math.prod(shape) + columns, return_inverse=True)
    total = np.zeros(len(places), np.result_type(values.dtype, np.float64))
    np.add.at(total, which, values)
    places, total = places[total != 0], total[total != 0]
    ends = np.searchsorted(places, np.arange(zero.size + 1) * math.prod(shape))
    return csr_array((total, places % max(math.prod(shape), 1), ends), shape=(zero.size, math.prod(shape)))


Entries = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]  # rows, columns, values


def _column_by_column(
    function: Callable[..., Any], shape: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Entries:
    """What the function makes of one element at a time."""
    rows = [np.empty(0, np.int64)]
    values = [np.empty(0)]
    unit = np.zeros(math.prod(shape))
    for j in range(unit.size):
        unit[j] = 1.0
        column = np.ravel(function(unit.reshape(shape), *args, **kwargs))
        unit[j] = 0.0
        (found,) = np.nonzero(column)
        rows.append(found)
        values.append(column[found])
    columns = np.repeat(np.arange(unit.size), [len(each) for each in rows[1:]])
    return np.concatenate(rows), columns, np.concatenate(values)


def _from_taps(
    function: Callable[..., Any],
    shape: tuple[int, ...],
    output: tuple[int, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Entries | None:
    """The entries of a function of this library; None of others."""
    if kwargs.get("out") is not None:
        return None
    if function in (nearest, bed_of_nails, decimate, pixel_shuffle, pixel_unshuffle, max_gather):
        return _copies(function, shape, args, kwargs)
    if function is window_sum:
        return _turned(_copies(nearest, output, args, kwargs))
    if function is max_unpool:
        duplicates = kwargs.get("duplicates", "last")
        if duplicates == "sum":
            return _turned(_copies(max_gather, output, args, {}))
        return _copies(max_unpool, shape, args, kwargs) if duplicates in ("last", "error") else None
    if function in (resize, resize_transpose):
        plan = (plan_resize if function is resize else plan_resize_transpose)(shape, *args, **kwargs)
        made = _resized(plan)
        return made if function is resize else _turned(made)
    if function in (conv, conv_transpose, conv_weight_grad):
        return _convolved(function, shape, args, kwargs)
    return None


def _turned(entries: Entries) -> Entries:
    rows, columns, values = entries
    return columns, rows, values


def _copies(
    function: Callable[..., Any], shape: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Entries:
    """The matrix of a function that copies elements: each is told by its number."""
    found = function(np.arange(1, math.prod(shape) + 1).reshape(shape), *args, **kwargs).ravel()
    (rows,) = np.nonzero(found)
    return rows, found[rows] - 1, np.ones(len(rows))


def _resized(plan: Plan) -> Entries:
    """Axis by axis: weights of one axis times those of the next, from source to target."""
    leading = math.prod(plan.input_shape[: len(plan.input_shape) - plan.rank])
    rows = columns = np.arange(leading)
    values = np.ones(leading)
    for axis in plan.resamples:
        if not axis.changes:
            target = source = np.arange(axis.source)
            weights = np.ones(axis.source)
        else:
            first, source, weights = axis.terms(True, 0, axis.target)
            target = np.repeat(np.arange(axis.target), np.diff(first))
        rows = (rows[:, None] * axis.target + target).ravel()
        columns = (columns[:, None] * axis.source + source).ravel()
        values = (values[:, None] * weights).ravel()
    return rows, columns, values


def _convolved(
    function: Callable[..., Any], shape: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Entries:
    """A matrix of the triple of `ops.conv`: every product x[i] * w[j] * y[k] of its form is an entry."""
    kwargs = {name: value for name, value in kwargs.items() if name not in ("bias", "out")}
    groups = kwargs.get("groups", 1)
    if function is conv_weight_grad:
        other, args = (args[0], args[1:]) if args else (kwargs.pop("y"), args)
        plan = plan_conv_weight_grad(shape, other.shape, *args, **kwargs)
        x, y, w = shape, other.shape, plan.output_shape
    else:
        other = args[0] if args else kwargs.pop("weight")
        planned = plan_conv if function is conv else plan_conv_transpose
        plan = planned(shape, other.shape, **kwargs)
        x, y = (shape, plan.output_shape) if function is conv else (plan.output_shape, shape)
        w = other.shape
    x_at, y_at, w_at = _products(plan, x, y, w, groups)
    if function is conv:
        return y_at, x_at, other.ravel()[w_at]
    return (
        (x_at, y_at, other.ravel()[w_at]) if function is conv_transpose else (w_at, x_at, other.ravel()[y_at])
    )


def _products(
    plan: Plan, x: tuple[int, ...], y: tuple[int, ...], w: tuple[int, ...], groups: int
) -> list[np.ndarray[Any, Any]]:
    """Where the factors of every product lie in x, y and the weight, in the order of the taps."""
    rank = plan.rank
    batch = math.prod(x[: -rank - 1])
    number = batch * w[0] * w[1] * meetings(plan.windows)
    check_allocation("matrix", (number,))
    made = [np.empty(number, np.int64) for _ in range(3)]  # too many fail here, before the walk
    n, c_y, c_x = (each[..., None] for each in np.indices((batch, w[0], w[1])).reshape(3, -1))
    in_x = c_y // max(w[0] // groups, 1) * w[1] + c_x  # the channel of x
    begin = 0
    for tap in plan.taps():
        fine, coarse = (_flat(where, side[-rank:]) for where, side in ((tap.fine, x), (tap.coarse, y)))
        end = begin + n.size * len(fine)
        of_x = (n * x[-rank - 1] + in_x) * math.prod(x[-rank:]) + fine
        of_y = (n * y[-rank - 1] + c_y) * math.prod(y[-rank:]) + coarse
        of_w = (c_y * w[1] + c_x) * math.prod(w[2:]) + np.full(len(fine), tap.number)
        for whole, part in zip(made, (of_x, of_y, of_w), strict=True):
            whole[begin:end] = part.ravel()
        begin = end
    return made


def _flat(where: Sequence[Any], size: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The positions of a tap in a plane of this size, in C order."""
    found = np.zeros(1, np.int64)
    for each, n in zip(where, size, strict=True):
        found = (found[:, None] * n + np.asarray(each)).ravel()
    return found
