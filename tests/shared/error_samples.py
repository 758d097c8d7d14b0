"""Calls that must be refused, with the whole message.

`row` is the number of the bad input in the project's reliability list (1-55: geometry arguments and switches; 75); 0 marks
one of our own. `call(A)` makes its arrays with `A`, so that the same call runs on every array library.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

import unsample as us
from unsample import SwitchError
from unsample.geometry import AdaptiveWindow, Window


@dataclass(frozen=True)
class ErrorSample:
    """`call(A)` raises `error` with exactly `message`; `...` in it stands for anything."""

    row: int
    call: Callable[[Callable[[Any], Any]], Any]
    error: type[Exception]
    message: str

    def pattern(self) -> str:
        return ".*".join(re.escape(part) for part in self.message.split("..."))


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape)


class NumPy2Bool:
    """What `np.True_` was in NumPy 2.0: it gives an index."""

    dtype = np.dtype(bool)

    def __index__(self) -> int:
        return 1


NO_POOLING = (
    Window(4, 2, 2, 0),
    Window(4, 2, 2, -2),
    Window(4, 2, 0, 2),
    Window(4, 2, 2, 2, 0),
    Window(0, 2, 2, 2),
    Window(-4, 2, 2, 2),
    Window(9, 2, 2, 2),  # of 4 windows
    Window(4, 0, 2, 2),
    Window(3, 2, 2, 2, after=-1),
    Window(4, 2, 2, 2, mode="circular"),
    AdaptiveWindow(0, 2),
    AdaptiveWindow(-4, 2),
)


def hand_made(A: Callable[[Any], Any], window: Window | AdaptiveWindow) -> us.Switches:
    return us.Switches(A(np.zeros(2, np.uint8)), (window,))


def _resized_with(options: dict[str, Any], A: Callable[[Any], Any]) -> Any:
    return us.resize(A(X), 4, **options)


X = zeros(1, 2, 5, 7)
W = zeros(3, 2, 3, 3)
Y = zeros(1, 3, 4, 4)
SHAPE = us.ShapeError

_INPUT = "(input size (5, 7), padding (0, 0))"

ERROR_SAMPLES: tuple[ErrorSample, ...] = tuple(
    ErrorSample(*each)
    for each in [
        # -- stride, kernel, dilation ---------------------------------------------------------
        (1, lambda A: us.conv(A(X), A(W), stride=0), SHAPE, "conv: stride must be at least 1, got 0"),
        (1, lambda A: us.max_pool(A(X), 2, stride=0), SHAPE, "max_pool: stride must be at least 1, got 0"),
        (
            1,
            lambda A: us.conv_transpose(A(Y), A(W), stride=(2, 0)),
            SHAPE,
            "conv_transpose: stride must be at least 1, got 0",
        ),
        (2, lambda A: us.conv(A(X), A(W), stride=-1), SHAPE, "conv: stride must be at least 1, got -1"),
        (
            2,
            lambda A: us.conv_weight_grad(A(X), A(Y), 3, stride=-1),
            SHAPE,
            "conv_weight_grad: stride must be at least 1, got -1",
        ),
        (
            3,
            lambda A: us.conv_transpose(A(Y), A(W), stride=2**31),
            OverflowError,
            "conv_transpose: an output of shape (1, 2, 6442450947, 6442450947) has ... elements, "
            "more than the 2**47 bytes of an address space",
        ),
        (
            3,
            lambda A: us.conv_transpose(A(Y), A(W), stride=2**63 - 1),
            OverflowError,
            "conv_transpose: an output axis of 27670116110564327424 elements is beyond 2**63",
        ),
        (4, lambda A: us.max_pool(A(X), 0), SHAPE, "max_pool: kernel_size must be at least 1, got 0"),
        (4, lambda A: us.max_pool(A(X), -2), SHAPE, "max_pool: kernel_size must be at least 1, got -2"),
        (
            4,
            lambda A: us.conv(A(X), A(zeros(3, 2, 3, 0))),
            SHAPE,
            "conv: the kernel axes of weight must not be empty, got shape (3, 2, 3, 0)",
        ),
        (
            5,
            lambda A: us.max_pool(A(X), 6),
            SHAPE,
            "max_pool: a window spans 6 elements (kernel_size 6, dilation 1), spatial axis 0 has 5 with "
            "its padding (input size (5, 7), padding (0, 0))",
        ),
        (
            5,
            lambda A: us.conv(A(X), A(zeros(3, 2, 3, 10)), padding=1),
            SHAPE,
            "conv: a window spans 10 elements (kernel_size 10, dilation 1), spatial axis 1 has 9 with "
            "its padding (input size (5, 7), padding (1, 1))",
        ),
        (6, lambda A: us.conv(A(X), A(W), dilation=0), SHAPE, "conv: dilation must be at least 1, got 0"),
        (
            6,
            lambda A: us.max_pool(A(X), 2, dilation=-1),
            SHAPE,
            "max_pool: dilation must be at least 1, got -1",
        ),
        (
            7,
            lambda A: us.max_pool(A(X), 2, dilation=5),
            SHAPE,
            "max_pool: a window spans 6 elements (kernel_size 2, dilation 5), spatial axis 0 has 5 with "
            "its padding (input size (5, 7), padding (0, 0))",
        ),
        (
            7,
            lambda A: us.max_pool(A(zeros(1, 1, 1)), 2, dilation=3, padding=2),
            SHAPE,
            "max_pool: every window must hold an element of the input, window 0 of spatial axis 0 holds "
            "padding alone (size 1, kernel_size 2, padding (2, 2), dilation 3)",
        ),
        (
            8,
            lambda A: us.max_pool(A(X), 2, padding=-1),
            SHAPE,
            "max_pool: padding must be at least 0, got -1",
        ),
        (
            9,
            lambda A: us.max_pool(A(X), 3, padding=3),
            SHAPE,
            "max_pool: every window must hold an element of the input, window 0 of spatial axis 0 holds "
            "padding alone (size 5, kernel_size 3, padding (3, 3), dilation 1)",
        ),
        # -- the size of a transposed convolution -------------------------------------------------
        (
            10,
            lambda A: us.conv_transpose(A(Y), A(W), padding=4),
            SHAPE,
            "conv_transpose: the output would have -2 elements on spatial axis 0, it needs at least 1 "
            "(input size 4, kernel_size 3, stride 1, dilation 1, padding (4, 4))",
        ),
        (
            10,
            lambda A: us.conv_transpose(A(Y), A(W), padding=3),
            SHAPE,
            "conv_transpose: the output would have 0 elements on spatial axis 0, it needs at least 1 "
            "(input size 4, kernel_size 3, stride 1, dilation 1, padding (3, 3))",
        ),
        (
            11,
            lambda A: us.conv_transpose(A(Y), A(W), stride=2, output_padding=2),
            SHAPE,
            "conv_transpose: output_padding must be smaller than stride or dilation, got output_padding "
            "(2, 2), stride (2, 2), dilation (1, 1)",
        ),
        (
            12,
            lambda A: us.conv_transpose(A(Y), A(W), stride=2, output_padding=-1),
            SHAPE,
            "conv_transpose: output_padding must be at least 0, got -1",
        ),
        (
            39,
            lambda A: us.conv_transpose(A(Y), A(W), stride=2, padding=1, output_size=(7, 9)),
            SHAPE,
            "conv_transpose: output_size must be from 7 to 8 on spatial axis 1 (input size 4, kernel_size "
            "3, stride 2, dilation 1, padding (1, 1)), got 9",
        ),
        (
            39,
            lambda A: us.conv_transpose(A(Y), A(W), stride=3, padding="same", output_size=9),
            SHAPE,
            "conv_transpose: output_size must be from 10 to 12 on spatial axis 0 (input size 4, kernel_size "
            "3, stride 3, dilation 1, padding same), got 9",
        ),
        (
            39,
            lambda A: us.conv_transpose(A(Y), A(W), stride=2, output_size=10, output_padding=1),
            SHAPE,
            "conv_transpose: output_padding must be 0 with output_size or like, got 1",
        ),
        (
            39,
            lambda A: us.conv_transpose(A(Y), A(W), stride=2, padding="same", output_padding=1),
            SHAPE,
            "conv_transpose: output_padding must be 0 with padding 'same', got 1",
        ),
        (
            40,
            lambda A: us.conv_transpose(A(Y), A(W), output_size=(1, 3, 6, 6)),
            SHAPE,
            "conv_transpose: output_size must be an int, 2 ints or the full shape (1, 2, *, *), "
            "got (1, 3, 6, 6)",
        ),
        (
            40,
            lambda A: us.conv_transpose(A(Y), A(W), output_size=6, like=A(X)),
            SHAPE,
            "conv_transpose: output_size and like must not both be given",
        ),
        (
            0,
            lambda A: us.conv_transpose(A(Y), A(W), like=(6, 6)),
            TypeError,
            "conv_transpose: like must be an array, got (6, 6) (tuple)",
        ),
        (
            0,
            lambda A: us.bed_of_nails(A(X), 2, like=A(zeros(9))),
            SHAPE,
            "bed_of_nails: like must have at least 2 axes, got shape (9,)",
        ),
        # -- groups, channels, ranks, bias ------------------------------------------------------------
        (14, lambda A: us.conv(A(X), A(W), groups=0), SHAPE, "conv: groups must be at least 1, got 0"),
        (
            15,
            lambda A: us.conv(A(X), A(W), groups=2),
            SHAPE,
            "conv: groups must divide the first axis of weight, got groups 2 and weight of shape (3, 2, 3, 3)",
        ),
        (
            15,
            lambda A: us.conv_weight_grad(A(X), A(zeros(1, 3, 3, 5)), 3, groups=2),
            SHAPE,
            "conv_weight_grad: groups must divide the channels of x and y, got 2 for 2 and 3",
        ),
        (
            16,
            lambda A: us.conv(A(X), A(zeros(3, 2, 3))),
            SHAPE,
            "conv: x must be (N, C, *spatial) or (C, *spatial) with 1 spatial axis, as weight of shape "
            "(3, 2, 3) has, got shape (1, 2, 5, 7)",
        ),
        (
            16,
            lambda A: us.conv_transpose(A(Y), A(zeros(3, 2))),
            SHAPE,
            "conv_transpose: weight must be (C_y, C_x / groups, *kernel) with at least 1 kernel axis, "
            "got shape (3, 2)",
        ),
        (
            17,
            lambda A: us.conv_transpose(A(zeros(2, 4, 8, 8)), A(zeros(3, 16, 4, 4))),
            SHAPE,
            "conv_transpose: weight has 3 input channels, y has 4 (y is (2, 4, 8, 8), weight is (3, 16, 4, 4))",
        ),
        (
            17,
            lambda A: us.conv(A(X), A(zeros(4, 3, 3, 3)), groups=2),
            SHAPE,
            "conv: weight has 6 input channels, x has 2 (x is (1, 2, 5, 7), weight is (4, 3, 3, 3), groups 2)",
        ),
        (
            18,
            lambda A: us.conv(A(X), A(W), A(zeros(2))),
            SHAPE,
            "conv: bias must have the shape (3,) of the output channels, got (2,)",
        ),
        (
            18,
            lambda A: us.conv_transpose(A(Y), A(W), A(zeros(3))),
            SHAPE,
            "conv_transpose: bias must have the shape (2,) of the output channels, got (3,)",
        ),
        # -- ints and tuples ------------------------------------------------------------------------
        (
            19,
            lambda A: us.conv(A(X), A(W), stride=(1, 1, 1)),
            SHAPE,
            "conv: stride must be an int or 2 ints, one per spatial axis, got (1, 1, 1)",
        ),
        (
            19,
            lambda A: us.conv(A(X), A(W), dilation=(1,)),
            SHAPE,
            "conv: dilation must be an int or 2 ints, one per spatial axis, got (1,)",
        ),
        (
            19,
            lambda A: us.max_pool(A(X), ()),
            SHAPE,
            "max_pool: kernel_size must hold at least one number and at most one per axis of x, got () for x "
            "of shape (1, 2, 5, 7)",
        ),
        (
            19,
            lambda A: us.conv(A(X), A(W), padding=(1, 2, 3)),
            SHAPE,
            "conv: padding must be an int, 2 ints or 2 pairs (before, after), one per spatial axis, or one of "
            "'valid', 'same' or 'full', got (1, 2, 3)",
        ),
        (
            19,
            lambda A: us.conv(A(X), A(W), padding=((1, 2, 3), 0)),
            SHAPE,
            "conv: padding of one axis must be an int or a pair (before, after), got (1, 2, 3)",
        ),
        (
            20,
            lambda A: us.max_pool(A(X), 2.0),
            TypeError,
            "max_pool: kernel_size must be an int, got 2.0 (float)",
        ),
        (
            20,
            lambda A: us.max_pool(A(X), 2.5),
            TypeError,
            "max_pool: kernel_size must be an int, got 2.5 (float)",
        ),
        (
            20,
            lambda A: us.max_pool(A(X), True),
            TypeError,
            "max_pool: kernel_size must be an int, got True (bool)",
        ),
        (20, lambda A: us.nearest(A(X), "2"), TypeError, "nearest: factor must be an int, got '2' (str)"),
        (
            20,
            lambda A: us.conv(A(X), A(W), stride=(1, np.True_)),
            TypeError,
            "conv: stride must be an int, got np.True_ (numpy.bool)",
        ),
        (
            20,
            lambda A: us.conv(A(X), A(W), stride=None),
            TypeError,
            "conv: stride must be an int, got None (NoneType)",
        ),
        (
            20,
            lambda A: us.conv(A(X), A(W), stride=np.zeros(2)),
            TypeError,
            "conv: stride must be an int, got array([0., 0.]) (numpy.ndarray)",
        ),
        (
            20,
            lambda A: us.nearest(A(X), np.array([[2, 2]])),
            TypeError,
            "nearest: factor must be an int, got [2, 2] (list)",
        ),
        (
            20,
            lambda A: us.max_pool(A(X), np.array([True, True])),
            TypeError,
            "max_pool: kernel_size must be an int, got array([ True,  True]) (numpy.ndarray)",
        ),
        (
            20,
            lambda A: us.resize(A(X), factor=np.array([[2.0]])),
            TypeError,
            "resize: factor must be a number, got [2.0] (list)",
        ),
        (
            20,
            lambda A: us.max_pool(A(X), 2, ceil_mode=1),
            TypeError,
            "max_pool: ceil_mode must be a bool, got 1 (int)",
        ),
        (
            21,
            lambda A: us.conv(A(X), A(W), stride=2**64),
            OverflowError,
            "conv: stride must be below 2**63, got 18446744073709551616",
        ),
        (
            21,
            lambda A: us.nearest(A(X), 10**30),
            OverflowError,
            "nearest: factor must be below 2**63, got 1000000000000000000000000000000",
        ),
        # -- resize -----------------------------------------------------------------------------------
        *(
            (22, call, SHAPE, f"resize: factor must be positive and finite, got {shown}")
            for call, shown in [
                (lambda A: us.resize(A(X), factor=0), "0"),
                (lambda A: us.resize(A(X), factor=-2.0), "-2.0"),
                (lambda A: us.resize(A(X), factor=math.nan), "nan"),
                (lambda A: us.resize(A(X), factor=math.inf), "inf"),
                (lambda A: us.resize(A(X), factor=(2, -math.inf)), "-inf"),
            ]
        ),
        (
            22,
            lambda A: us.resize(A(X), factor="2"),
            TypeError,
            "resize: factor must be a number, got '2' (str)",
        ),
        (
            20,
            lambda A: us.resize(A(X), factor=True),
            TypeError,
            "resize: factor must be a number, got True (bool)",
        ),
        (
            23,
            lambda A: us.resize(A(X), factor=1250999896765),
            OverflowError,
            "resize: an output of shape (1, 2, 6254999483825, 8756999277355) has ... elements, "
            "more than the 2**47 bytes of an address space",
        ),
        (
            25,
            lambda A: us.resize(A(X), (0, 7)),
            SHAPE,
            "resize: an axis of length 0 must stay one, and no other may become one, got 5 to 0 on spatial axis 0",
        ),
        (
            25,
            lambda A: us.resize(A(X), factor=0.125),
            SHAPE,
            "resize: an axis of length 0 must stay one, and no other may become one, got 5 to 0 on spatial axis 0",
        ),
        (26, lambda A: us.resize(A(X)), SHAPE, "resize: exactly one of output_size and factor must be given"),
        (
            26,
            lambda A: us.resize(A(X), (5, 7), factor=2),
            SHAPE,
            "resize: exactly one of output_size and factor must be given",
        ),
        (
            27,
            lambda A: us.resize(A(X), (1, 1, 2, 5, 7)),
            SHAPE,
            "resize: output_size must hold at least one number and at most one per axis of x, got (1, 1, 2, 5, 7) for x "
            "of shape (1, 2, 5, 7)",
        ),
        (
            27,
            lambda A: us.resize_transpose(A(X), ()),
            SHAPE,
            "resize_transpose: input_size must hold at least one number and at most one per axis of y, got () for y "
            "of shape (1, 2, 5, 7)",
        ),
        (
            28,
            lambda A: us.resize(A(X), 1610637938),
            OverflowError,
            "resize: an output of shape (1, 2, 1610637938, 1610637938) has ... elements, "
            "more than the 2**47 bytes of an address space",
        ),
        (
            28,
            lambda A: us.resize(A(zeros(1, 1, 5)), 1879048192),
            OverflowError,
            "resize: an axis must have at most 2**26 elements, got 1879048192",
        ),
        (
            36,
            lambda A: us.resize(A(X), 5, method="Linear"),
            SHAPE,
            "resize: method must be one of 'nearest', 'nearest_ties_down', 'floor', 'ceil', 'linear', 'cubic', "
            "'catmull_rom', 'lanczos3', 'lanczos5' or 'area', got 'Linear' "
            "(did you mean 'linear'?)",
        ),
        (
            36,
            lambda A: us.resize(A(X), 5, method="bilinear"),
            SHAPE,
            "resize: method must be one of 'nearest', 'nearest_ties_down', 'floor', 'ceil', 'linear', 'cubic', "
            "'catmull_rom', 'lanczos3', 'lanczos5' or 'area', got 'bilinear' "
            "(did you mean 'linear'?)",
        ),
        (
            36,
            lambda A: us.resize(A(X), 5, convention="centre"),
            SHAPE,
            "resize: convention must be one of 'half_pixel', 'align_corners', 'asymmetric' or 'legacy', "
            "got 'centre'",
        ),
        (
            36,
            lambda A: us.conv(A(X), A(W), padding_mode="reflection"),
            SHAPE,
            "conv: padding_mode must be one of 'zeros', 'circular', 'reflect' or 'replicate', got 'reflection' "
            "(did you mean 'reflect'?)",
        ),
        (
            36,
            lambda A: us.conv(A(X), A(W), padding="SAME"),
            SHAPE,
            "conv: padding must be one of 'valid', 'same' or 'full', got 'SAME' (did you mean 'same'?)",
        ),
        (
            36,
            lambda A: us.pixel_shuffle(A(zeros(1, 4, 2, 2)), 2, order="crd"),
            SHAPE,
            "pixel_shuffle: order must be one of 'CRD' or 'DCR', got 'crd' (did you mean 'CRD'?)",
        ),
        (
            36,
            lambda A: us.pixel_shuffle(A(zeros(1, 4, 2, 2)), 2, order=0),
            TypeError,
            "pixel_shuffle: order must be one of 'CRD' or 'DCR', got 0 (int)",
        ),
        (
            0,
            lambda A: us.resize(A(X), 5, convention="legacy"),
            SHAPE,
            "resize: convention 'legacy' is torch's old 'nearest' and needs that method, got 'linear'",
        ),
        (
            0,
            lambda A: us.resize(A(X), 5, method="area", convention="asymmetric"),
            SHAPE,
            "resize: method 'area' averages whole elements and needs convention 'half_pixel', got 'asymmetric'",
        ),
        (
            0,
            lambda A: us.resize(A(X), 5, method="nearest", antialias=True),
            SHAPE,
            "resize: antialias needs method 'linear', 'cubic', 'catmull_rom', 'lanczos3' or 'lanczos5' and convention "
            "'half_pixel' or pairs, got 'nearest' and 'half_pixel'",
        ),
        *(
            (0, partial(_resized_with, options), error, f"resize: {message}")
            for options, error, message in [
                (
                    {"exclude_outside": True, "method": "floor"},
                    SHAPE,
                    "exclude_outside needs method 'linear', 'cubic', 'catmull_rom', 'lanczos3' or 'lanczos5', "
                    "got 'floor'",
                ),
                ({"exclude_outside": 1}, TypeError, "exclude_outside must be a bool, got 1 (int)"),
                (
                    {"convention": [(0, 1)]},
                    SHAPE,
                    "convention must hold one pair (first, step) per spatial axis, got [(0, 1)] for 2 axes",
                ),
                ({"convention": (0, 1)}, TypeError, "convention must hold pairs (first, step), got 0 (int)"),
                (
                    {"convention": [(0, "1")] * 2},
                    TypeError,
                    "convention must be a number, got '1' (str)",
                ),
                (
                    {"convention": [(0, -1)] * 2},
                    SHAPE,
                    "convention must hold finite numbers, a step of at least 0, got (0, -1)",
                ),
                (
                    {"convention": [(0.5, 1.5)] * 2},
                    SHAPE,
                    "convention must have every target look between -1 and 5, both left out, in steps from 0 to 6, "
                    "got 1/2 to 5 in steps of 3/2",
                ),
                (
                    {"convention": [(-1, 1)] * 2},
                    SHAPE,
                    "convention must have every target look between -1 and 5, both left out, in steps from 0 to 6, "
                    "got -1 to 2 in steps of 1",
                ),
                (
                    {"convention": [(Fraction(1, 2**60), 1)] * 2},
                    OverflowError,
                    f"convention must hold ratios of fewer bits, got a denominator of {2**60} for 5 elements",
                ),
                (
                    {"convention": [(0, 1)] * 2, "method": "area"},
                    SHAPE,
                    "method 'area' averages whole elements and needs convention 'half_pixel', got [(0, 1), (0, 1)]",
                ),
            ]
        ),
        (
            0,
            lambda A: us.resize(A(X), 5, antialias=1),
            TypeError,
            "resize: antialias must be a bool, got 1 (int)",
        ),
        (
            0,
            lambda A: us.resize(A(zeros(5, 7)), 3),
            SHAPE,
            "resize: x must be (N, C, *spatial) where output_size is a single number, or output_size a tuple with "
            "one number per spatial axis, got x of shape (5, 7) and output_size=3",
        ),
        # -- shuffle, nearest, nails -----------------------------------------------------------------
        (
            32,
            lambda A: us.pixel_shuffle(A(X), 0),
            SHAPE,
            "pixel_shuffle: factor must be at least 1, got 0",
        ),
        (32, lambda A: us.nearest(A(X), -2), SHAPE, "nearest: factor must be at least 1, got -2"),
        *(
            (
                33,
                lambda A, f=f: us.pixel_shuffle(A(X), f),
                SHAPE,
                f"pixel_shuffle: the channels of x must be divisible by {f * f} (factor ({f}, {f})), got 2 "
                f"(x is (1, 2, 5, 7))",
            )
            for f in (2**16, 2**32, 2**62)
        ),
        (
            34,
            lambda A: us.pixel_shuffle(A(X), 2),
            SHAPE,
            "pixel_shuffle: the channels of x must be divisible by 4 (factor (2, 2)), got 2 (x is (1, 2, 5, 7))",
        ),
        (
            35,
            lambda A: us.pixel_unshuffle(A(X), 5),
            SHAPE,
            "pixel_unshuffle: the last 2 axes of y must be divisible by factor (5, 5), got y of shape (1, 2, 5, 7)",
        ),
        (
            0,
            lambda A: us.pixel_shuffle(A(zeros(4, 4)), (2, 2)),
            SHAPE,
            "pixel_shuffle: x must have a channel axis before its 2 spatial axes, got shape (4, 4)",
        ),
        (
            0,
            lambda A: us.window_sum(A(X), (5, 2)),
            SHAPE,
            "window_sum: the last 2 axes of y must be divisible by factor (5, 2), got y of shape (1, 2, 5, 7)",
        ),
        (
            0,
            lambda A: us.nearest(A(zeros(5, 7)), 2),
            SHAPE,
            "nearest: x must be (N, C, *spatial) where factor is a single number, or factor a tuple with one "
            "number per spatial axis, got x of shape (5, 7) and factor=2",
        ),
        (
            0,
            lambda A: us.bed_of_nails(A(X), 2, at=2),
            SHAPE,
            "bed_of_nails: at must lie inside the block, from 0 to factor - 1 = 1, got 2",
        ),
        (
            0,
            lambda A: us.decimate(A(X), 2, at="middle"),
            SHAPE,
            "decimate: at must be one of 'corner' or 'center', got 'middle'",
        ),
        (
            0,
            lambda A: us.bed_of_nails(A(X), 2, output_size=(10, 15)),
            SHAPE,
            "bed_of_nails: output_size must be from 13 to 14 on spatial axis 1 (input size 7, factor 2, at 0), got 15",
        ),
        # -- switches ------------------------------------------------------------------------------
        *(
            (
                row,
                lambda A, i=index: us.Switches.from_torch(A(np.array([[0, i]])), (4,), 2),
                SwitchError,
                f"Switches.from_torch: the index at (0, 1) must be from 0 to 3, got {index} "
                f"(windows of 2 taps over (4,) elements)",
            )
            for row, index in [(41, -1), (42, 4), (42, 2**31), (42, 2**32 + 3), (42, 2**63 - 1)]
        ),
        (
            42,
            lambda A: us.Switches.from_torch(A(np.array([[0, 1]])), (4,), 2),
            SwitchError,
            "Switches.from_torch: the index at (0, 1) must be a position inside its own window, got 1 "
            "(windows of 2 taps over (4,) elements)",
        ),
        (
            42,
            lambda A: us.max_unpool(
                A(zeros(1, 2)),
                us.Switches(A(np.array([[0, 2]], np.uint8)), us.max_pool(zeros(1, 4), (2,))[1].windows),
            ),
            SwitchError,
            "max_unpool: the switch at (0, 1) must be a tap of its window that meets the input, got 2 "
            "(windows of 2 taps over (4,) elements)",
        ),
        (
            42,
            lambda A: us.max_gather(
                A(zeros(4)),
                us.Switches(
                    A(np.array([0, 1, 1], np.uint8)), us.max_pool(zeros(4), (2,), padding=1)[1].windows
                ),
            ),
            SwitchError,
            "max_gather: the switch at (0,) must be a tap of its window that meets the input, got 0 "
            "(windows of 2 taps over (4,) elements)",
        ),
        (
            43,
            lambda A: us.Switches.from_torch(A(np.array([[0, 1, 2]])), (4,), 2),
            SHAPE,
            "Switches.from_torch: the window axes of indices must be (2,), as this pooling makes of (4,), "
            "got shape (1, 3)",
        ),
        (
            43,
            lambda A: us.Switches.from_torch(A(np.zeros(0, int)), (4, 4), 2),
            SHAPE,
            "Switches.from_torch: the window axes of indices must be (2, 2), as this pooling makes of (4, 4), "
            "got shape (0,)",
        ),
        (
            43,
            lambda A: us.max_unpool(A(zeros(3)), us.max_pool(A(zeros(4)), (2,))[1]),
            SHAPE,
            "max_unpool: values must have the shape (2,) of the switches, got (3,)",
        ),
        (
            43,
            lambda A: us.max_gather(A(zeros(5)), us.max_pool(A(zeros(4)), (2,))[1]),
            SHAPE,
            "max_gather: x must have the shape (4,) that was pooled, got (5,)",
        ),
        (
            44,
            lambda A: us.Switches.from_torch(A(np.array([[0.0, 2.0]])), (4,), 2),
            TypeError,
            "Switches.from_torch: indices must be integer, got dtype ...float64",
        ),
        (
            44,
            lambda A: us.Switches.from_torch(A(np.array([[True, False]])), (4,), 2),
            TypeError,
            "Switches.from_torch: indices must be integer, got dtype ...bool",
        ),
        (
            44,
            lambda A: us.max_unpool(A(zeros(2)), A(np.array([0, 1]))),
            TypeError,
            "max_unpool: switches must be Switches, as max_pool returns them, got ...; Switches.from_torch, "
            "from_tf and from_onnx convert indices",
        ),
        (
            47,
            lambda A: us.Switches.from_torch(A(np.array([[[0, 3]], [[4, 6]]])), (4,), 2),
            SwitchError,
            "Switches.from_torch: the index at (1, 0, 0) must be from 0 to 3, got 4 "
            "(windows of 2 taps over (4,) elements)",
        ),
        (
            47,
            lambda A: us.Switches.from_onnx(A(np.array([[[0, 3]], [[0, 2]]])), (4,), 2),
            SwitchError,
            "Switches.from_onnx: the index at (1, 0, 0) must be a position in its own plane, got 0 "
            "(windows of 2 taps over (4,) elements)",
        ),
        (
            48,
            lambda A: us.Switches.from_onnx(A(np.zeros((1, 1, 2), int)), (4,), 2, storage_order=2),
            SHAPE,
            "Switches.from_onnx: storage_order must be 0 (row-major) or 1 (column-major), got 2",
        ),
        (
            49,
            lambda A: us.Switches.from_tf(A(np.array([[[0, 0], [4, 5]]])), (4,), 2),
            SwitchError,
            "Switches.from_tf: the index at (0, 1, 0) must be a position in its own channel, got 0 "
            "(windows of 2 taps over (4,) elements)",
        ),
        (
            49,
            lambda A: us.Switches.from_tf(
                A(np.array([[[0], [2]], [[0], [2]]])), (4,), 2, include_batch_in_index=True
            ),
            SwitchError,
            "Switches.from_tf: the index at (1, 0, 0) must be a position in its own batch item, got 0 "
            "(windows of 2 taps over (4,) elements)",
        ),
        (
            49,
            lambda A: us.Switches.from_tf(A(np.zeros((2, 1), int)), (4,), 2),
            SHAPE,
            "Switches.from_tf: indices must have a batch axis, a channel axis and 1 window axis, got shape (2, 1)",
        ),
        (
            0,
            lambda A: us.max_pool(A(zeros(4, 4)), (2, 2))[1].to_tf(),
            SHAPE,
            "Switches.to_tf: switches must have a batch axis, a channel axis and 2 window axes, got shape (2, 2)",
        ),
        (
            0,
            lambda A: us.Switches.from_torch(A(np.array([0, 2])), (4,)),
            SHAPE,
            "Switches.from_torch: exactly one of kernel_size and output_size must be given",
        ),
        (
            0,
            lambda A: us.max_pool(A(zeros(5, 5)), (5, 5))[1].pack(),
            SHAPE,
            "Switches.pack: 4 bits count up to 16 taps, the windows have 25",
        ),
        # -- windows made by hand -------------------------------------------------------------------
        *(
            (
                0,
                lambda A, w=window: us.max_unpool(A(zeros(2)), hand_made(A, w)),
                SHAPE,
                f"max_unpool: windows must be such as max pooling makes, got {window} on spatial axis 0",
            )
            for window in NO_POOLING
        ),
        *(
            (
                0,
                call,
                SHAPE,
                f"{name}: windows must be such as max pooling makes, got {NO_POOLING[0]} on spatial axis 0",
            )
            for name, call in [
                ("max_gather", lambda A: us.max_gather(A(zeros(4)), hand_made(A, NO_POOLING[0]))),
                ("Switches.check", lambda A: hand_made(A, NO_POOLING[0]).check()),
                ("Switches.positions", lambda A: hand_made(A, NO_POOLING[0]).positions()),
                ("Switches.to_torch", lambda A: hand_made(A, NO_POOLING[0]).to_torch()),
                ("Switches.to_tf", lambda A: hand_made(A, NO_POOLING[0]).to_tf()),
                ("Switches.to_onnx", lambda A: hand_made(A, NO_POOLING[0]).to_onnx()),
                ("Switches.pack", lambda A: hand_made(A, NO_POOLING[0]).pack()),
                (
                    "PackedSwitches.unpack",
                    lambda A: us.PackedSwitches(A(np.zeros(1, np.uint8)), 2, (2,), (NO_POOLING[0],)).unpack(),
                ),
            ]
        ),
        (
            0,
            lambda A: us.max_unpool(A(zeros(2)), hand_made(A, Window(4, 2, 2, 2, before=-(2**63)))),
            SHAPE,
            "max_unpool: the numbers of windows must be ints below 2**60, got others on spatial axis 0",
        ),
        (
            0,
            lambda A: us.max_unpool(A(zeros(2)), hand_made(A, Window(10**5000, 2, 2, 2))),
            SHAPE,
            "max_unpool: the numbers of windows must be ints below 2**60, got others on spatial axis 0",
        ),
        (
            9,
            lambda A: us.max_unpool(A(zeros(2)), hand_made(A, Window(5, 2, 2, 4, before=2))),
            SHAPE,
            "max_unpool: every window must hold an element of the input, window 0 of spatial axis 0 holds "
            "padding alone (size 5, kernel_size 2, padding (2, 0), dilation 1)",
        ),
        *(
            (
                0,
                lambda A, w=windows: us.max_unpool(A(zeros(2)), us.Switches(A(np.zeros(2, np.uint8)), w)),
                TypeError,
                "max_unpool: windows must be a tuple of Window or AdaptiveWindow, one per spatial axis, got ...",
            )
            for windows in ([Window(4, 2, 2, 2)], (), None, (4, 2, 2, 2), "window")
        ),
        (20, lambda A: Window(4.0, 2, 2, 2), TypeError, "Window: fine must be an int, got 4.0 (float)"),
        (20, lambda A: Window(4, 2, 2, True), TypeError, "Window: stride must be an int, got True (bool)"),
        (
            20,
            lambda A: AdaptiveWindow(4, "2"),
            TypeError,
            "AdaptiveWindow: coarse must be an int, got '2' (str)",
        ),
        (
            36,
            lambda A: Window(4, 2, 2, 2, mode="zero"),
            SHAPE,
            "Window: mode must be one of 'zeros', 'circular', 'reflect' or 'replicate', got 'zero' "
            "(did you mean 'zeros'?)",
        ),
        *(
            (
                0,
                lambda A, b=bits: us.PackedSwitches(
                    A(np.zeros(1, np.uint8)), b, (2,), (Window(4, 2, 2, 2),)
                ).unpack(),
                SHAPE,
                f"PackedSwitches.unpack: bits must be 2 or 4, got {bits}",
            )
            for bits in (0, 8, -2)
        ),
        (
            0,
            lambda A: us.PackedSwitches(A(np.zeros(1, np.int8)), 2, (2,), (Window(4, 2, 2, 2),)).unpack(),
            TypeError,
            "PackedSwitches.unpack: data must be uint8, got dtype ...int8",
        ),
        (
            43,
            lambda A: us.PackedSwitches(A(np.zeros(1, np.uint8)), 2, (3,), (Window(4, 2, 2, 2),)).unpack(),
            SHAPE,
            "PackedSwitches.unpack: switches must end in the (2,) windows they belong to, got shape (3,)",
        ),
        # -- numbers that no 64 bits hold, and bools of other libraries -------------------------------
        (
            3,
            lambda A: us.conv_transpose(A(zeros(1, 5)), A(zeros(1, 1, 3)), padding=2**62, dilation=2**62),
            SHAPE,
            "conv_transpose: windows must span less than 2**60 elements, all other axes counted, "
            "got 18446744073709551626 times 1 on spatial axis 0",
        ),
        (
            7,
            lambda A: us.max_pool(A(X), 3, dilation=2**58, padding=2**58),
            SHAPE,
            "max_pool: windows must span less than 2**60 elements, all other axes counted, got ... times ... on "
            "spatial axis 0",
        ),
        (
            0,
            lambda A: us.max_pool(A(X), (2**32 + 2, 1), padding=(2**31, 0)),
            SHAPE,
            "max_pool: a window must have at most 2**32 taps, got 4294967298",
        ),
        (
            75,
            lambda A: us.nearest(A(zeros(0, 4, 4)), (2**29, 2**29)),
            SHAPE,
            "nearest: the axes of an array must make less than 2**60 elements, those of length 0 counted as 1, "
            "got shape (0, 2147483648, 2147483648)",
        ),
        (
            0,
            lambda A: us.nearest(A(zeros(0, 0)), (2**30, 2**30)),
            SHAPE,
            "nearest: a window must have less than 2**60 taps, got 1152921504606846976",
        ),
        (
            21,
            lambda A: us.nearest(A(X), 10**5000),
            OverflowError,
            "nearest: factor must be below 2**63, got (over 4300 digits)",
        ),
        (
            21,
            lambda A: us.resize(A(X), factor=10**5000),
            OverflowError,
            "resize: an output axis of (over 4300 digits) elements is beyond 2**63",
        ),
        *(
            (20, lambda A, c=call: c(A), TypeError, f"{name} must be {kind}, got ...")
            for name, kind, call in [
                ("nearest: factor", "an int", lambda A: us.nearest(A(X), A(np.array(True)))),
                ("conv: stride", "an int", lambda A: us.conv(A(X), A(W), stride=(2, A(np.array(True))))),
                ("conv: padding", "an int", lambda A: us.conv(A(X), A(W), padding=NumPy2Bool())),
                ("max_pool: kernel_size", "an int", lambda A: us.max_pool(A(X), NumPy2Bool())),
                ("resize: factor", "a number", lambda A: us.resize(A(X), factor=A(np.array(True)))),
                ("resize: factor", "a number", lambda A: us.resize(A(X), factor=NumPy2Bool())),
            ]
        ),
        (
            52,
            lambda A: us.adaptive_max_pool(A(zeros(1, 1, 0)), 2),
            SHAPE,
            "adaptive_max_pool: output_size must be 0 on an axis without elements, got (2,) for an input of size (0,)",
        ),
        (
            52,
            lambda A: us.Switches.from_torch(A(np.array([0, 0])), (0,), 2),
            SHAPE,
            "Switches.from_torch: the window axes of indices must be (0,), as this pooling makes of (0,), "
            "got shape (2,)",
        ),
        (
            0,
            lambda A: us.max_unpool(
                A(np.array([9.0, 9.0])),
                us.max_pool(A(np.array([1.0, 9, 2, 0])), (3,), stride=1)[1],
                duplicates="error",
            ),
            ValueError,
            "max_unpool: with duplicates='error' every element must be remembered by one window at most, "
            "the element at (1,) is by 2",
        ),
        (
            0,
            lambda A: us.max_unpool(A(zeros(2)), us.max_pool(A(zeros(4)), (2,))[1], duplicates="first"),
            SHAPE,
            "max_unpool: duplicates must be one of 'last', 'sum', 'max' or 'error', got 'first'",
        ),
        # -- ranks -------------------------------------------------------------------------------------
        (
            0,
            lambda A: us.conv(A(np.array(1.0)), A(W)),
            SHAPE,
            "conv: x must be (N, C, *spatial) or (C, *spatial) with 2 spatial axes, as weight of shape "
            "(3, 2, 3, 3) has, got shape ()",
        ),
        (
            0,
            lambda A: us.nearest(A(np.array(1.0)), (2,)),
            SHAPE,
            "nearest: factor must hold at least one number and at most one per axis of x, got (2,) for x of shape ()",
        ),
        (
            0,
            lambda A: us.conv_weight_grad(A(X), A(zeros(1, 3, 4, 5)), 3),
            SHAPE,
            "conv_weight_grad: y must have the shape (1, 3, 3, 5) that conv makes of x, got (1, 3, 4, 5) "
            "(x is (1, 2, 5, 7), kernel_size (3, 3))",
        ),
        (
            0,
            lambda A: us.conv_weight_grad(A(X), A(zeros(3, 3, 5)), 3),
            SHAPE,
            "conv_weight_grad: x and y must both be (N, C, *spatial), or both (C, *spatial) with one kernel_size "
            "per spatial axis, got x of shape (1, 2, 5, 7), y of shape (3, 3, 5) and kernel_size 3",
        ),
        (
            0,
            lambda A: us.conv(A(zeros(1, 1, 1)), A(zeros(1, 1, 3)), padding=1, padding_mode="reflect"),
            SHAPE,
            "conv: padding_mode 'reflect' needs at least 2 elements, spatial axis 0 of the larger side has 1",
        ),
        (
            0,
            lambda A: us.conv_transpose(A(zeros(1, 3, 0, 4)), A(W), output_size=(1, 6)),
            SHAPE,
            "conv_transpose: output_size must be 0 on spatial axis 0, whose input size is 0, got 1",
        ),
        # -- dtypes ------------------------------------------------------------------------------------
        (
            0,
            lambda A: us.conv(A(X > 0), A(W)),
            TypeError,
            "conv: x must be integer, real or complex, got dtype ...bool",
        ),
        (
            0,
            lambda A: us.max_pool(A(X + 0j), 2),
            TypeError,
            "max_pool: x must be bool, integer or real, got dtype ...complex128",
        ),
        (
            0,
            lambda A: us.resize(A(X.astype(np.int32)), 5),
            TypeError,
            "resize: x must be real, complex or an integer of up to 16 bits for method 'linear', got dtype ...int32",
        ),
        (
            0,
            lambda A: us.resize_transpose(A(X.astype(np.int8)), 5),
            TypeError,
            "resize_transpose: y must be real or complex, got dtype ...int8",
        ),
    ]
)
