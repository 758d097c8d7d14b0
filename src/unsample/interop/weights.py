"""Weights from one library's layout to another's."""

import math
from collections.abc import Sequence
from typing import Any

from unsample.arrays.library import ArrayT, contiguous, namespace, zeros
from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, count, integer, integers
from unsample.interop.libraries import SHUFFLE_ORDERS, Call, Convolution, Library, ShuffleOrder, call_of


def convert_weight(
    weight: ArrayT,
    *,
    source: Library,
    target: Library,
    operation: Convolution = "conv_transpose",
    groups: int = 1,
    transpose_kernel: bool = False,
) -> ArrayT:
    """The weight of a (transposed) convolution, from one library's layout to another's.

    Named by the convolution's larger side x and smaller side y, a transposed convolution leads from y to x:

    ==================  =====================  =====================
    library             conv                   conv_transpose
    ==================  =====================  =====================
    torch, onnx         (C_y, C_x / g, k...)   (C_y, C_x / g, k...)
    tf, keras           (k..., C_x / g, C_y)   (k..., C_x, C_y)
    jax, flax           (k..., C_x / g, C_y)   (k..., C_y, C_x), taps reversed
    ==================  =====================  =====================

    Parameters
    ----------
    weight : array
        Any library, any dtype, 1 or more kernel axes.
    source, target : "unsample", "torch", "tf", "keras", "jax", "flax" or "onnx"
    operation : "conv_transpose" or "conv"
    groups : int
        Only torch, ONNX and this library have groups of a transposed convolution; see `ungroup`.
    transpose_kernel : bool
        Of the side that is jax or flax: True is Keras's layout.

    Returns
    -------
    array
        The same values in C order.

    Raises
    ------
    ShapeError, TypeError
        Where a library is not known, or the target has no groups and there are some.

    Notes
    -----
    A bias has one axis everywhere. jax is `lax.conv_transpose` with its own dimension numbers and
    `lax.conv_general_dilated` with Flax's, such as ("NHWC", "HWIO", "NHWC").

    Examples
    --------
    >>> import numpy as np
    >>> from unsample import interop
    >>> weight = np.arange(6).reshape(1, 2, 3)                # torch: 1 channel in, 2 out, 3 taps
    >>> interop.convert_weight(weight, source="torch", target="keras")[..., 0]
    array([[0, 3],
           [1, 4],
           [2, 5]])
    >>> interop.convert_weight(weight, source="torch", target="flax")[:, 0, :]
    array([[2, 5],
           [1, 4],
           [0, 3]])
    """
    name = "convert_weight"
    xp = namespace(name, weight=weight)
    old = call_of(name, "source", source, operation, transpose_kernel)
    new = call_of(name, "target", target, operation, transpose_kernel)
    rank = kernel_rank(name, weight)
    check_groups(name, source, old, groups)
    check_groups(name, target, new, groups)
    axes = _axes(old, rank)
    moved = xp.permute_dims(weight, tuple(axes.index(axis) for axis in _axes(new, rank)))
    if old.flipped != new.flipped:
        first = new.kernel.index("k")
        moved = xp.flip(moved, axis=tuple(range(first, first + rank)))
    return contiguous(moved)  # type: ignore[no-any-return]


def _axes(call: Call, rank: int) -> list[str]:
    """The axes of a weight one by one: y x k0 k1."""
    taps = [f"k{i}" for i in range(rank)]
    return [axis for letter in call.kernel for axis in (taps if letter == "k" else [letter])]


def kernel_rank(operation: str, weight: Any) -> int:
    """The number of kernel axes of a weight."""
    if weight.ndim < 3:
        raise ShapeError(
            f"{operation}: weight must have two channel axes and at least 1 kernel axis, "
            f"got shape {tuple(weight.shape)}"
        )
    return int(weight.ndim) - 2


def check_groups(operation: str, library: str, call: Call, groups: int) -> None:
    """Refuse groups where the library's call has none."""
    if integer(operation, "groups", groups, minimum=1) > 1 and call.groups is None:
        raise ShapeError(
            f"{operation}: groups must be 1, as the transposed convolution of {library} has none "
            f"(ungroup(weight, groups) makes one group of them), got {groups}"
        )


def ungroup(weight: Any, groups: int) -> Any:
    """The weight of one group that does what a grouped one does: zero between channels of two groups.

        out[y, g * C + x, t] = weight[y, x, t]        where y belongs to group g; 0 elsewhere

    Parameters
    ----------
    weight : array, (C_y, C_x / groups, *kernel)
        The layout of torch, ONNX and this library, of a convolution or a transposed one.
    groups : int
        Divides C_y.

    Returns
    -------
    array, (C_y, C_x, *kernel)

    Raises
    ------
    ShapeError, TypeError
        Where the groups do not divide.

    Examples
    --------
    >>> import numpy as np
    >>> from unsample import interop
    >>> interop.ungroup(np.array([[[5]], [[7]]]), 2)[..., 0]
    array([[5, 0],
           [0, 7]])
    """
    xp = namespace("ungroup", weight=weight)
    kernel_rank("ungroup", weight)
    groups = integer("ungroup", "groups", groups, minimum=1)
    c_y, c_x = weight.shape[:2]
    if c_y % groups:
        raise ShapeError(
            f"ungroup: groups must divide the first axis of weight, got groups {groups} "
            f"and weight of shape {tuple(weight.shape)}"
        )
    size = c_y // groups
    rows = []
    for g in range(groups):
        block = weight[g * size : (g + 1) * size, ...]
        shape = (size, c_x, *weight.shape[2:])
        rows.append(xp.concat([block if i == g else zeros(weight, shape) for i in range(groups)], axis=1))
    return xp.concat(rows, axis=0)


def convert_shuffle(
    weight: ArrayT, factor: Sequence[int], *, source: ShuffleOrder, target: ShuffleOrder, axis: int
) -> ArrayT:
    """Reorder the channels that a pixel shuffle will spread out, from one order to the other.

        CRD (torch)             channel c * T + t becomes element t of the block of output channel c
        DCR (TensorFlow, ONNX)  channel t * C + c does

    Parameters
    ----------
    weight : array
        The weight or the bias before the shuffle, or the feature map itself; after a convolution in one
        group.
    factor : sequence of int
        The block size, one per spatial axis.
    source, target : "torch", "tf", "keras", "onnx", "unsample", "CRD" or "DCR"
        "onnx" is its default, DCR, and "unsample" its own, CRD; both have the other as an argument.
    axis : int
        The axis of those channels: 0 of torch's weight, -1 of Keras's.

    Returns
    -------
    array
        Of the same shape.

    Raises
    ------
    ShapeError, TypeError
        Where the channels do not divide by the block, or an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from unsample import interop
    >>> interop.convert_shuffle(np.array([0, 1, 2, 3, 4, 5]), (3,), source="torch", target="tf", axis=0)
    array([0, 3, 1, 4, 2, 5])
    """
    name = "convert_shuffle"
    xp = namespace(name, weight=weight)
    old = SHUFFLE_ORDERS[choice(name, "source", source, tuple(SHUFFLE_ORDERS))]
    new = SHUFFLE_ORDERS[choice(name, "target", target, tuple(SHUFFLE_ORDERS))]
    block = math.prod(integers(name, "factor", factor, minimum=1))
    shape, axis = tuple(weight.shape), integer(name, "axis", axis)
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{name}: axis must be one of the {count(len(shape), 'axis')} of weight, got {axis}")
    axis %= len(shape)
    if shape[axis] % block:
        raise ShapeError(
            f"{name}: axis {axis} of weight must be divisible by {block} (factor {tuple(factor)}), "
            f"got {shape[axis]}"
        )
    if old == new:
        return weight
    # (C, T) one way, (T, C) the other: exchange the two.
    rows, columns = (shape[axis] // block, block) if old == "CRD" else (block, shape[axis] // block)
    split = xp.reshape(weight, (*shape[:axis], rows, columns, *shape[axis + 1 :]))
    order = [*range(len(shape) + 1)]
    order[axis], order[axis + 1] = axis + 1, axis
    return xp.reshape(xp.permute_dims(split, tuple(order)), shape)  # type: ignore[no-any-return]
