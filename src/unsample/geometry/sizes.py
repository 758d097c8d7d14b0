"""How many windows an axis holds, and how long an axis some windows need.

One rule for emptiness: an axis of length 0 gives an axis of length 0, in both directions.
"""

from collections.abc import Sequence

from unsample.errors import ShapeError
from unsample.geometry.arguments import PaddingMode, PaddingWord, Pads, count, has_symbols, symbolic
from unsample.geometry.window import Window


def resolve_padding(
    padding: Pads | PaddingWord,
    fine: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Pads:
    """Padding words as numbers; "same" depends on the fine size.

    "same" makes ceil(fine / stride) windows; where the total is odd, the odd element goes *after*
    (as torch, TensorFlow's SAME, ONNX's SAME_UPPER; SAME_LOWER puts it before).

    Examples
    --------
    >>> resolve_padding("same", (5, 6), (4, 4), (1, 2), (1, 1))
    ((1, 2), (1, 1))
    """
    if not isinstance(padding, str):
        return padding
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "valid":
        return ((0, 0),) * len(extents)
    if padding == "full":
        return tuple((extent - 1, extent - 1) for extent in extents)
    pads = []
    for n, s, extent in zip(fine, stride, extents, strict=True):
        total = max(0, (-(-n // s) - 1) * s + extent - n)
        pads.append((total // 2, total - total // 2))
    return tuple(pads)


def windows_over(
    operation: str,
    fine: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Pads | PaddingWord,
    dilation: Sequence[int],
    mode: PaddingMode = "zeros",
    ceil_mode: bool = False,
) -> tuple[Window, ...]:
    """The windows of a way down over axes of `fine` elements.

        coarse = floor((fine + before + after - dilation * (kernel - 1) - 1) / stride) + 1

    with ceil for `ceil_mode`, less a last window that would start in the padding after (torch's rule).
    """
    pads = resolve_padding(padding, fine, kernel, stride, dilation)
    windows = []
    for axis, n in enumerate(fine):
        k, s, d, (before, after) = kernel[axis], stride[axis], dilation[axis], pads[axis]
        room = n + before + after - (d * (k - 1) + 1)
        if n == 0:
            coarse = 0
        elif room < 0:
            raise ShapeError(
                f"{operation}: a window spans {d * (k - 1) + 1} elements (kernel_size {k}, dilation {d}), "
                f"spatial axis {axis} has {n + before + after} with its padding "
                f"(input size {tuple(fine)}, padding {(before, after)})"
            )
        else:
            coarse = room // s + 1
            if ceil_mode:
                coarse = -(-room // s) + 1
                if (coarse - 1) * s >= n + before:
                    coarse -= 1
        windows.append(Window(n, coarse, k, s, d, before, after, mode))
        check_border(operation, axis, windows[-1])
    return tuple(windows)


def windows_under(
    operation: str,
    coarse: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Pads | PaddingWord,
    dilation: Sequence[int],
    mode: PaddingMode = "zeros",
    output_padding: Sequence[int] | None = None,
    fine: Sequence[int] | None = None,
) -> tuple[Window, ...]:
    """The windows of a way up: `coarse` stamps and the axis of `fine` elements they fall on.

        fine = (coarse - 1) * stride - before - after + dilation * (kernel - 1) + 1 + output_padding

    `fine` may be any size whose way down has `coarse` windows: from that one (output_padding 0) to
    `stride - 1` more. "same" means coarse * stride unless a size is asked for.
    """
    sizes = []
    for axis, m in enumerate(coarse):
        low, high, default = fine_range(m, kernel[axis], stride[axis], dilation[axis], padding, axis)
        more = output_padding[axis] if output_padding is not None and (symbolic(m) or m) else 0
        n = default + more if fine is None else fine[axis]
        sizes.append(n)
        if symbolic(m, n):
            continue
        setting = (
            f"(input size {m}, kernel_size {kernel[axis]}, stride {stride[axis]}, dilation {dilation[axis]}, "
            f"padding {padding if isinstance(padding, str) else padding[axis]})"
        )
        if m == 0 and n != 0:
            raise ShapeError(
                f"{operation}: output_size must be 0 on spatial axis {axis}, whose input size is 0, got {n}"
            )
        if m and fine is None and n < 1:
            raise ShapeError(
                f"{operation}: the output would have {n} elements on spatial axis {axis}, "
                f"it needs at least 1 {setting}"
            )
        if m and fine is not None and not max(low, 1) <= n <= high:
            raise ShapeError(
                f"{operation}: output_size must be from {max(low, 1)} to {high} on spatial axis {axis} "
                f"{setting}, got {n}"
            )
    pads = resolve_padding(padding, sizes, kernel, stride, dilation)
    windows = tuple(
        Window(sizes[axis], coarse[axis], kernel[axis], stride[axis], dilation[axis], *pads[axis], mode)
        for axis in range(len(coarse))
    )
    for axis, window in enumerate(windows):
        if not symbolic(window.fine):
            check_border(operation, axis, window)
    return windows


def fine_range(
    coarse: int, kernel: int, stride: int, dilation: int, padding: Pads | PaddingWord, axis: int = 0
) -> tuple[int, int, int]:
    """Smallest, largest and default size of an axis on which a way down has `coarse` windows.

    Examples
    --------
    >>> fine_range(2, kernel=3, stride=2, dilation=1, padding=((0, 0),))  # the article's Fig. 7
    (5, 6, 5)
    """
    if coarse == 0:
        return 0, 0, 0
    if padding == "same":
        return (coarse - 1) * stride + 1, coarse * stride, coarse * stride
    extent = dilation * (kernel - 1) + 1
    if isinstance(padding, str):
        before = after = extent - 1 if padding == "full" else 0
    else:
        before, after = padding[axis]
    low = (coarse - 1) * stride + extent - before - after
    return low, low + stride - 1, low


def blocks_under(coarse: Sequence[int], factors: Sequence[int]) -> tuple[Window, ...]:
    """The windows of a way up that makes a block of `factors` elements of each of `coarse`.

    Examples
    --------
    >>> blocks_under((3,), (2,))
    (Window(fine=6, coarse=3, size=2, stride=2, dilation=1, before=0, after=0, mode='zeros'),)
    """
    return tuple(Window(n * f, n, f, f) for n, f in zip(coarse, factors, strict=True))


def blocks_over(fine: Sequence[int], factors: Sequence[int]) -> tuple[Window, ...]:
    """The windows of a way down over the same blocks; what is left over is asked by `check_divides`."""
    return tuple(Window(n, n // f, f, f) for n, f in zip(fine, factors, strict=True))


def check_divides(operation: str, shape: Sequence[int], windows: Sequence[Window]) -> None:
    """Refuse an axis of y, of this shape, that ends inside a block."""
    if has_symbols(*shape) or all(w.fine % w.size == 0 for w in windows):
        return
    factors = tuple(w.size for w in windows)
    raise ShapeError(
        f"{operation}: the last {count(len(windows), 'axis')} of y must be divisible by factor {factors}, "
        f"got y of shape {tuple(shape)}"
    )


def check_border(operation: str, axis: int, window: Window) -> None:
    """Refuse a reflection that has nothing to reflect."""
    if window.mode == "reflect" and window.fine == 1 and (window.before > 0 or window.after > 0):
        raise ShapeError(
            f"{operation}: padding_mode 'reflect' needs at least 2 elements, "
            f"spatial axis {axis} of the larger side has 1"
        )
