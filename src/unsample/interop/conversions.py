"""Whole conversions: a weight together with its arguments, and the switches of a pooling."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, describe, listed
from unsample.interop.conv_arguments import convert_arguments
from unsample.interop.libraries import SWITCH_LIBRARIES, Convolution, Library, SwitchLibrary, call_of
from unsample.interop.weights import convert_weight, kernel_rank


@dataclass(frozen=True, slots=True)
class Converted:
    """A weight and the arguments to call the target with: `f(x, converted.weight, **converted.arguments)`.

    Parameters
    ----------
    weight : array
        In the target's layout.
    arguments : mapping of str
        Under the target's names.
    """

    weight: Any
    arguments: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Converted(weight of shape {tuple(self.weight.shape)}, {dict(self.arguments)})"


def convert_conv_transpose(
    weight: Any,
    arguments: Mapping[str, Any],
    *,
    source: Library,
    target: Library,
    input_size: Any = None,
    transpose_kernel: bool = False,
) -> Converted:
    """A transposed convolution as another library writes it: `convert_weight` and `convert_arguments` in one.

    Parameters
    ----------
    weight : array
        In the source's layout, which also says the kernel size.
    arguments : mapping of str
        What the source is called with, in its own names; of jax and flax with `transpose_kernel`.
    source, target : "unsample", "torch", "tf", "keras", "jax", "flax" or "onnx"
    input_size : sequence of int, optional
        As in `convert_arguments`.
    transpose_kernel : bool
        Of a target that is jax or flax.

    Returns
    -------
    Converted
        weight and arguments.

    Raises
    ------
    ShapeError, TypeError
        As `convert_weight` and `convert_arguments`.

    Examples
    --------
    A Keras layer on another library's arrays:

    >>> import numpy as np, unsample as us
    >>> from unsample import interop
    >>> kernel = np.array([[[2, 20]], [[3, 30]], [[4, 40]]])                     # (taps, out, in)
    >>> here = interop.convert_conv_transpose(
    ...     kernel, {"strides": 2, "padding": "same"}, source="keras", target="unsample"
    ... )
    >>> here.weight.shape, here.arguments
    ((2, 1, 3), {'stride': (2,), 'dilation': (1,), 'groups': 1, 'padding': ((0, 1),)})
    >>> us.conv_transpose(np.array([[1, 2], [0, 0]]), here.weight, **here.arguments)
    array([[2, 3, 8, 6]])
    """
    return _both("conv_transpose", weight, arguments, source, target, input_size, transpose_kernel)


def convert_conv(
    weight: Any, arguments: Mapping[str, Any], *, source: Library, target: Library, input_size: Any = None
) -> Converted:
    """A convolution as another library writes it.

    Parameters
    ----------
    weight, arguments, source, target, input_size
        As in `convert_conv_transpose`.

    Returns
    -------
    Converted
        weight and arguments.

    Raises
    ------
    ShapeError, TypeError
        As `convert_weight` and `convert_arguments`.

    Examples
    --------
    torch knows "same" for stride 1 alone; what it pads with stride 2 depends on the size:

    >>> import numpy as np
    >>> from unsample import interop
    >>> kernel, same = np.zeros((3, 1, 1)), {"strides": 2, "padding": "same"}
    >>> interop.convert_conv(kernel, same, source="keras", target="torch", input_size=(7,))
    Converted(weight of shape (1, 1, 3), {'stride': (2,), 'dilation': (1,), 'groups': 1, 'padding': (1,)})
    """
    return _both("conv", weight, arguments, source, target, input_size, False)


def _both(
    operation: Convolution,
    weight: Any,
    arguments: Mapping[str, Any],
    source: Library,
    target: Library,
    input_size: Any,
    transpose_kernel: bool,
) -> Converted:
    name = f"convert_{operation}"
    old_kernel = bool(arguments.get("transpose_kernel", False))
    old = call_of(name, "source", source, operation, old_kernel)
    rank = kernel_rank(name, weight)
    first = old.kernel.index("k")
    written = convert_arguments(
        tuple(weight.shape[first : first + rank]),
        arguments,
        source=source,
        target=target,
        operation=operation,
        input_size=input_size,
        transpose_kernel=transpose_kernel,
    )
    groups = arguments.get(old.groups, 1) if old.groups else 1
    # By way of this library's layout, so that each end has its own transpose_kernel.
    layout: dict[str, Any] = {"operation": operation, "groups": groups}
    here = convert_weight(weight, source=source, target="unsample", transpose_kernel=old_kernel, **layout)
    there = convert_weight(
        here, source="unsample", target=target, transpose_kernel=transpose_kernel, **layout
    )
    return Converted(there, written)


def convert_switches(
    switches: Any,
    input_size: Any,
    *pooling: Any,
    source: SwitchLibrary,
    target: SwitchLibrary,
    include_batch_in_index: bool = False,
    storage_order: int = 0,
    **more: Any,
) -> Any:
    """The switches of a max pooling as another library stores them, every value checked.

    ==========  ===========================================  =========================
    library     index                                        axes
    ==========  ===========================================  =========================
    torch       y * W + x                                    (..., *windows)
    tf, keras   ((n * H + y) * W + x) * C + c                (N, *windows, C)
    onnx        ((n * C + c) * H + y) * W + x                (N, C, *windows)
    unsample    tap number in the window, `Switches`         (..., *windows)
    ==========  ===========================================  =========================

    Parameters
    ----------
    switches : integer array, or Switches where the source is "unsample"
    input_size : sequence of int
        Spatial size of what was pooled; None where the source is "unsample", whose switches know it.
    kernel_size, stride, padding, dilation, ceil_mode
        Of that pooling, as in `max_pool`; or `output_size=` alone, as in `adaptive_max_pool`.
    source, target : "unsample", "torch", "tf", "keras" or "onnx"
    include_batch_in_index : bool
        Of the side that is tf: whether n is counted.
    storage_order : 0 or 1
        Of the side that is onnx: 1 counts columns first, x * H + y.

    Returns
    -------
    integer array, or Switches where the target is "unsample"

    Raises
    ------
    SwitchError
        At the first index that no pooling of these arguments can have made.
    ShapeError, TypeError
        Where shapes or arguments do not fit, or a library has no switches, as JAX and Flax.

    Examples
    --------
    >>> import numpy as np
    >>> from unsample import interop
    >>> indices = np.array([[[[1]], [[0]]]])                    # of x with C = 2 channels of 1 x 2 elements
    >>> interop.convert_switches(indices, (1, 2), (1, 2), source="torch", target="tf").tolist()
    [[[[2, 1]]]]
    >>> interop.convert_switches(indices, (1, 2), (1, 2), source="torch", target="onnx").tolist()
    [[[[1]], [[2]]]]
    """
    from unsample.switches import Switches  # which stands on this package

    name = "convert_switches"
    given: dict[str, str] = {"source": source, "target": target}
    for side, library in given.items():
        if library in ("jax", "flax"):
            having = listed(SWITCH_LIBRARIES)
            raise ShapeError(f"{name}: {side} must be a library with switches ({having}), got {library!r}")
        choice(name, side, library, SWITCH_LIBRARIES)
    options: dict[str, dict[str, Any]] = {
        "tf": {"include_batch_in_index": include_batch_in_index},
        "onnx": {"storage_order": storage_order},
    }
    ends = [{"keras": "tf"}.get(library, library) for library in (source, target)]
    if ends[0] == "unsample":
        if not isinstance(switches, Switches):
            got = describe(switches)
            raise TypeError(f"{name}: switches must be Switches where source is 'unsample', got {got}")
        found = switches
    else:
        read = getattr(Switches, f"from_{ends[0]}")
        found = read(switches, input_size, *pooling, **options.get(ends[0], {}), **more)
    return found if ends[1] == "unsample" else getattr(found, f"to_{ends[1]}")(**options.get(ends[1], {}))
