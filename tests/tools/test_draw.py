"""Drawings: their numbers are the library's, they are the same bytes every time, and they can be read."""

import io
import itertools
import math
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import command
import unsample as us
from unsample import draw
from unsample.draw import caption
from unsample.draw.example import Example
from unsample.draw.files import render
from unsample.draw.paint import TEXT, _broken, cell_size, text_width, weight_of
from unsample.draw.sheet import HUES, LEVELS, Cell, hue
from unsample.draw.theme import DARK, LIGHT, READABLE, contrast
from unsample.draw.values import as_numbers, read, shown
from unsample.draw.views import sheet, steps

# Every operation, in every rank and with every setting: name, arguments, settings.
CALLS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "conv_transpose": [
        ((2, "x,y,z"), {"stride": 2}),
        ((2, 3), {"stride": 2, "output_size": 6, "bias": [5]}),
        ((4, "2,-3,5"), {"padding": ((0, 1),), "dilation": 2}),
        ((3, 3), {"padding": 1, "padding_mode": "reflect"}),
        ((3, 3), {"padding": "same", "stride": 3}),
        ((3, (2,)), {"stride": 3, "output_padding": 2}),
        (((2, 3), 3), {"stride": (2, 1), "padding": ((1, 0), 1)}),
        (((2, 2), "r,s;t,u"), {"stride": 1}),
        (((2, 3), 3), {"padding": 1, "padding_mode": "circular"}),
        (((1, 2, 2), 2), {"stride": 2, "padding": ((0, 0), (1, 0), (0, 0))}),
        (((4, 3), (4, 1, 2)), {"groups": 2, "stride": 2}),
        (((2, 2, 2), (2, 1, 2, 2)), {"bias": [7]}),
        ((3, [0.5, 1.25]), {"stride": 2}),
        ((3, 3), {"padding": -1}),
    ],
    "conv": [
        ((5, "x,y,z"), {"stride": 2}),
        ((5, 3), {"padding": ((2, 0),), "dilation": 2, "bias": "9"}),
        (((4, 4), 3), {"stride": 2, "padding": 1}),
        (((4, 4), 3), {"padding": "same", "padding_mode": "replicate"}),
        (((2, 3, 3), 2), {}),
        (((4, 5), (2, 2, 3)), {"groups": 2, "padding": "full"}),
    ],
    "conv_weight_grad": [
        ((2, 5), {"kernel_size": 3, "stride": 2}),
        (("a,b", "p,q,r,s"), {"kernel_size": 3}),
        (((2, 2), (4, 4)), {"kernel_size": 2, "stride": 2}),
        ((3, 3), {"kernel_size": 3, "padding": 1}),
    ],
    "nearest": [((3,), {"factor": 2}), (((2, 3),), {"factor": (2, 1)}), (((2, 1, 2),), {"factor": 2}),
                (((2, 3),), {"factor": (2,)})],
    "window_sum": [((6,), {"factor": 3}), (((4, 4),), {"factor": 2}), (((2, 2, 4),), {"factor": 2})],
    "bed_of_nails": [
        ((3,), {"factor": 3, "at": "center"}),
        (((2, 2),), {"factor": 2, "at": (0, 1), "output_size": (3, 4)}),
        (((1, 2, 2),), {"factor": 2, "symbols": True}),
    ],
    "decimate": [((7,), {"factor": 3, "at": 1}), (((4, 5),), {"factor": 2}), (((2, 2, 2),), {"factor": 2})],
    "max_pool": [
        ((7,), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
        (((4, 4),), {"kernel_size": 2}),
        (((5, 4),), {"kernel_size": 3, "stride": 2, "padding": 1}),
        (((2, 4, 4),), {"kernel_size": 2}),
        (([1, 1, 1, 5, 5],), {"kernel_size": 2, "stride": 1, "dilation": 2}),
    ],
    "adaptive_max_pool": [((7,), {"output_size": 3}), (((3, 5),), {"output_size": (2, 3)}),
                          (((2, 2, 4),), {"output_size": 2})],
    "max_unpool": [
        ((2,), {"kernel_size": 2}),
        (((2, 2),), {"kernel_size": 2, "symbols": True}),
        ((3,), {"kernel_size": 3, "stride": 1, "pooled": [1, 9, 2, 8, 3]}),
        (([4, 7, 6],), {"kernel_size": 3, "stride": 1, "pooled": [1, 9, 2, 8, 3], "duplicates": "max"}),
        (([4, 7, 6],), {"kernel_size": 3, "stride": 1, "switches": [1, 0, 1], "duplicates": "sum"}),
        (((2, 2),), {"kernel_size": 3, "stride": 2, "padding": 1, "output_size": (3, 4)}),
        (((1, 2, 2),), {"kernel_size": 2}),
        (([5, 6],), {"output_size": 2, "pooled": [1, 4, 2, 8, 3]}),
    ],
    "max_gather": [((4,), {"kernel_size": 2}), (((4, 4),), {"kernel_size": 2, "pooled": (4, 4)}),
                   (((2, 2, 2),), {"kernel_size": 2}), (("a,b,c,d",), {"kernel_size": 2})],
    "pixel_shuffle": [(((4, 3),), {"factor": (2,)}), (((4, 2, 2),), {"factor": 2, "order": "DCR"}),
                      (((8, 1, 2, 1),), {"factor": 2, "symbols": True})],
    "pixel_unshuffle": [(((2, 4),), {"factor": 2}), (((1, 4, 2),), {"factor": 2}), (((1, 2, 2, 2),), {"factor": 2})],
    "resize": [
        ((3,), {"factor": 2}),
        ((3,), {"output_size": 5, "convention": "align_corners", "symbols": True}),
        ((6,), {"output_size": 3, "antialias": True}),
        (((2, 3),), {"output_size": (3, 4), "method": "nearest"}),
        (((2, 2, 2),), {"factor": (1, 2, 1), "method": "cubic"}),
        ((5,), {"factor": 0.5, "method": "area"}),
    ],
    "resize_transpose": [((6,), {"input_size": 3}), (((4, 3),), {"input_size": 2, "method": "cubic"}),
                         (((2, 2, 2),), {"input_size": 1})],
}  # fmt: skip
EVERY = [(name, args, settings) for name, calls in CALLS.items() for args, settings in calls]
every_call = pytest.mark.parametrize(
    ("name", "args", "settings"),
    EVERY,
    ids=[f"{name}-{i}" for name, calls in CALLS.items() for i in range(len(calls))],
)
every_view = pytest.mark.parametrize("view", list(draw.VIEWS))
FIG7 = ("conv_transpose", (2, "x,y,z"), {"stride": 2})


def fig7() -> Example:
    return draw.example(FIG7[0], *FIG7[1], **FIG7[2])


def board(example: Example, heading: str, view: str | None = None) -> Any:
    return next(each for each in sheet(example, view).boards() if each.heading == heading)


def texts(board: Any) -> list[str]:
    return [cell.text for cell in board.cells() if cell.kind == "cell"]


def numeric(example: Example) -> Example:
    """The same call with numbers for its symbols."""
    given = (
        example.input
        if not example.symbolic
        else np.arange(2, 2 + example.input.size).reshape(example.input.shape)
    )
    kernel = example.kernel
    if kernel is not None and example.symbolic:
        kernel = np.arange(3, 3 + kernel.size).reshape(kernel.shape)
    extra = {"bias": example.bias} if example.bias is not None else {}
    if example.switches is not None and example.operation in ("max_unpool", "max_gather"):
        extra["switches"] = example.switches
    return draw.example(example.operation, given, kernel, **extra, **example.settings)


def call_of_the_library(example: Example) -> np.ndarray:
    """What the public function itself gives, called as a user would: with channels, with tuples."""
    name, settings = example.operation, dict(example.settings)
    function, x = getattr(us, name), as_numbers(example.input)
    if name in ("conv", "conv_transpose"):
        kernel = as_numbers(example.kernel)
        lead = (1,) * (kernel.ndim == x.ndim)
        bias = None if example.bias is None else as_numbers(example.bias)
        out = function(
            x.reshape(*lead, *x.shape), kernel.reshape(*lead, *lead, *kernel.shape), bias, **settings
        )
        return out.reshape(out.shape[len(lead) :])
    if name == "conv_weight_grad":
        size = settings.pop("kernel_size")
        return us.conv_weight_grad(as_numbers(example.kernel)[None], x[None], (size,) * x.ndim, **settings)[
            0, 0
        ]
    if name in ("max_unpool", "max_gather"):
        more = {"duplicates": settings["duplicates"]} if "duplicates" in settings else {}
        return function(x, example.switches, **more)
    rank = x.ndim - ("pixel" in name)
    for key in ("factor", "kernel_size", "output_size", "input_size"):
        if isinstance(settings.get(key), int | float):
            settings[key] = (settings[key],) * rank
    if name.startswith("resize"):
        x = x.astype(float)
    out = function(x, **settings)
    return out[0] if isinstance(out, tuple) else out


# The numbers


@every_call
def test_the_numbers_in_the_cells_are_those_of_the_library(name, args, settings) -> None:
    example = numeric(draw.example(name, *args, **settings))
    expected = call_of_the_library(example)
    np.testing.assert_array_equal(as_numbers(example.output), expected)
    cells = texts(board(example, "output"))
    assert cells == [shown(value) for value in np.asarray(expected).ravel().tolist()]
    inputs = texts(board(example, "input"))
    assert inputs == [shown(value) for value in example.input.ravel().tolist()]


@every_call
def test_the_terms_add_up_to_the_output(name, args, settings) -> None:
    """What the pictures show, each product in its place, is all there is to the operation."""
    example = numeric(draw.example(name, *args, **settings))
    total = np.zeros(example.output.shape)
    if example.bias is not None:
        total += (
            as_numbers(example.bias).reshape(-1, *[1] * (total.ndim - 1))
            if len(example.bias) > 1
            else example.bias[0]
        )
    for term in example.terms:
        if term.counts:
            total[term.target] += example.input[term.source] * term.weight
    np.testing.assert_allclose(total, as_numbers(example.output), rtol=1e-15 * 8, atol=1e-15 * 64)


@every_call
def test_the_matrix_in_the_cells_is_the_matrix_of_the_library(name, args, settings) -> None:
    example = numeric(draw.example(name, *args, **settings))
    cells = np.zeros((example.coarse.size, example.fine.size))
    drawn = next(each for each in sheet(example, "matrix").boards() if each.heading.startswith("X:"))
    transposed = next(each for each in sheet(example, "matrix").boards() if each.heading.startswith("Xᵀ:"))
    for found in example.terms:
        if found.counts:
            low, high = (found.source, found.target) if example.up else (found.target, found.source)
            row = np.ravel_multi_index(low, example.coarse.shape)
            cells[row, np.ravel_multi_index(high, example.fine.shape)] += found.weight
    assert texts(drawn) == [shown(each) for each in cells.ravel().tolist()]
    assert texts(transposed) == [shown(each) for each in cells.T.ravel().tolist()]

    def linear(x: np.ndarray) -> np.ndarray:
        if name in ("max_pool", "adaptive_max_pool"):
            return us.max_gather(x, example.switches)
        plain = Example(**{**vars(example), "input": x.astype(object), "bias": None})
        return np.asarray(call_of_the_library(plain), float)

    if name == "max_unpool" and settings.get("duplicates") == "max":
        return  # which of two wins depends on the values: not linear
    found = us.matrix(linear, example.input.shape).toarray()
    np.testing.assert_allclose(cells.T if example.up else cells, found, rtol=0, atol=1e-15)


@every_call
def test_stamps_add_up_to_the_output_cell_by_cell(name, args, settings) -> None:
    """Read back from the cells alone, as a person would check the drawing."""
    example = numeric(draw.example(name, *args, **settings))
    if (
        any(
            isinstance(each, float) and not float(each).is_integer()
            for each in [*example.output.flat, *(t.weight for t in example.terms)]
        )
        or example.bias is not None
    ):
        return  # cells round to 3 digits
    stamps = [each for each in sheet(example, "stamps").boards() if each.fill]
    total = np.zeros(example.output.size)
    for stamp in stamps:
        around = [cell for cell in stamp.cells() if cell.kind != "none"]
        inner = [c for c in around if not (c.kind == "ghost" and c.tone == "faint")]
        total += [float(c.text.replace("−", "-")) if c.text and c.kind == "cell" else 0.0 for c in inner]
    assert total.tolist() == [float(each) for each in example.output.flat]


@pytest.mark.parametrize("padding", [1, ((1, 0),), ((0, 2),), "same", "full", ((-1, 1),)])
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_what_padding_swallows_is_the_rest_of_the_full_call(name: str, padding: Any) -> None:
    """Dashed cells: the terms of the call without padding that fall outside of this one, and no others."""
    example = draw.example(name, 6, "x,y,z", stride=1, padding=padding)
    (window,) = example.plan.windows

    def ends(terms: Any) -> list[Any]:
        return sorted(
            (t.source, t.target, t.weight) if example.up else (t.target, t.source, t.weight) for t in terms
        )

    every = [((o,), (o + t - window.before,), "xyz"[t]) for o in range(window.coarse) for t in range(3)]
    assert ends([*example.terms, *example.outside]) == sorted(every)
    assert all(0 <= p[0] < window.fine for _, p, _ in ends(example.terms))
    assert not any(0 <= p[0] < window.fine for _, p, _ in ends(example.outside))


def test_padding_is_dashed_and_what_holds_nothing_is_not() -> None:
    cropped = next(
        b
        for b in sheet(draw.example("conv_transpose", 2, "x,y,z", padding=1)).boards()
        if b.heading == "a stamps"
    )
    assert [(cell.text, cell.kind) for cell in cropped.cells()] == [
        ("a·x", "ghost"), ("a·y", "cell"), ("a·z", "cell"), ("", "none"),
    ]  # fmt: skip
    padded = board(draw.example("conv", "a,b", "x,y,z", padding=1), "output 0", "gather")
    assert [(cell.text, cell.kind) for cell in padded.cells()] == [
        ("x·0", "ghost"), ("a·y", "cell"), ("b·z", "cell"), ("", "none"),
    ]  # fmt: skip


def test_switches_are_shown_where_they_are_needed() -> None:
    x = [[9, 1, 2, 8], [3, 4, 5, 6], [1, 2, 4, 3], [7, 5, 1, 6]]
    for example in (
        draw.example("max_pool", x, kernel_size=2),
        draw.example("max_unpool", (2, 2), pooled=x, kernel_size=2),
    ):
        assert texts(board(example, "switches")) == ["0", "1", "2", "3"]
    assert not [each for each in sheet(fig7()).boards() if each.heading == "switches"]


def test_signs_of_sums_are_those_of_their_terms() -> None:
    example = draw.example("conv_transpose", "a,b,-2", "1,-1,x")
    assert example.output.tolist() == ["a", "−a + b", "a·x − b − 2", "b·x + 2", "−2·x"]
    numbers = draw.example("conv", [2, -3], [1, -2])
    assert texts(board(numbers, "output 0")) == ["1×2", "−2×(−3)"]


def test_figure_7_in_symbols() -> None:
    assert texts(board(fig7(), "output")) == ["a·x", "a·y", "a·z + b·x", "b·y", "b·z"]
    assert texts(board(fig7(), "a stamps")) == ["a·x", "a·y", "a·z", "", ""]
    assert texts(board(fig7(), "b stamps")) == ["", "", "b·x", "b·y", "b·z"]


@pytest.mark.parametrize(
    ("name", "args", "settings"),
    [each for each in EVERY if draw.example(each[0], *each[1], **each[2]).symbolic],
)
def test_symbols_evaluate_to_the_numbers_of_the_library(name, args, settings) -> None:
    example = draw.example(name, *args, **settings)
    numbers = numeric(example)
    values = dict(zip(example.input.flat, numbers.input.flat, strict=True))
    if example.kernel is not None:
        values |= dict(zip(example.kernel.flat, numbers.kernel.flat, strict=True))
    for symbolic, number in zip(example.output.flat, numbers.output.flat, strict=True):
        code = str(symbolic).replace("·", "*").replace("−", "-")
        assert eval(code, {str(k): v for k, v in values.items()}) == pytest.approx(number, rel=2e-3)


@every_call
def test_overlap_counts_the_stamps_as_the_windows_do(name, args, settings) -> None:
    example = numeric(draw.example(name, *args, **settings))
    counts = [int(text) for text in texts(next(iter(sheet(example, "overlap").boards())))]
    hits = Counter(term.target if example.up else term.source for term in example.terms)
    assert counts == [hits[index] for index in np.ndindex(example.fine.shape)]
    plain = example.fine.ndim == example.rank and name in (
        "conv",
        "conv_transpose",
        "nearest",
        "window_sum",
        "max_pool",
    )
    if plain:
        product = [
            math.prod(each) for each in itertools.product(*(w.overlap() for w in example.plan.windows))
        ]
        assert counts == product


@every_call
def test_the_size_formula_is_true(name, args, settings) -> None:
    """Every formula in a caption is computed as it is written, and gives the size of the plan."""
    example = draw.example(name, *args, **settings)
    for text in caption.formula(example).removesuffix(" on every axis").split(";  "):
        if " = " not in text:
            assert "windows over" in text or "→" in text
            continue
        left, right = text.split(", for which ")[-1].split(" = ")
        code = left.replace("−", "-").replace("×", "*")
        code = re.sub(r"⌊(.*)⌋", r"math.floor(\1)", re.sub(r"⌈(.*)⌉", r"math.ceil(\1)", code))
        sizes = [
            w.coarse if not example.up or name == "conv_weight_grad" else w.fine for w in example.plan.windows
        ]
        assert eval(code) == int(right)
        assert int(right) in sizes
    if not example.plan.resamples and name != "conv_weight_grad":
        assert (example.plan.coarse if not example.up else example.plan.fine) == example.output.shape[
            -example.rank :
        ]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (("conv_transpose", 2, 3, {"stride": 2}), "(2 − 1) × 2 + 3 = 5"),
        (("conv_transpose", 4, 3, {}), "(4 − 1) × 1 + 3 = 6"),
        (("conv_transpose", 4, 3, {"padding": 1}), "(4 − 1) × 1 + 3 − 1 − 1 = 4"),
        (("conv_transpose", 4, 3, {"padding": ((0, 1),)}), "(4 − 1) × 1 + 3 − 1 = 5"),
        (("conv_transpose", 2, 3, {"stride": 2, "dilation": 2, "output_size": 8}), "(2 − 1) × 2 + 2 × (3 − 1) + 1 + 1 = 8"),
        (("conv", 4, 3, {"stride": 2, "padding": 1}), "⌊(4 + 1 + 1 − 3) / 2⌋ + 1 = 2"),
        (("conv", 4, 3, {}), "4 − 3 + 1 = 2"),
        (("max_pool", 5, None, {"kernel_size": 2, "ceil_mode": True}), "⌈(5 − 2) / 2⌉ + 1 = 3"),
        (("max_pool", 4, None, {"kernel_size": 2, "stride": 3, "padding": ((1, 0),), "ceil_mode": True}), "⌊(4 + 1 − 2) / 3⌋ + 1 = 2"),
        (("decimate", 7, None, {"factor": 3, "at": 1}), "⌈(7 − 1) / 3⌉ = 2"),
        (("bed_of_nails", 2, None, {"factor": 3, "output_size": 5}), "2 × 3 − 1 = 5"),
        (("nearest", (2, 3), None, {"factor": 2}), "2 × 2 = 4;  3 × 2 = 6"),
        (("nearest", (2, 2), None, {"factor": 2}), "2 × 2 = 4 on every axis"),
        (("resize", 3, None, {"factor": 2}), "3 → 6, element o looks at (o + ½) × 3/6 − ½"),
    ],
)  # fmt: skip
def test_size_formulas_as_they_are_read(settings, text: str) -> None:
    name, given, kernel, more = settings
    assert caption.formula(draw.example(name, given, kernel, **more)) == text


@pytest.mark.parametrize(
    ("kernel", "stride", "sentence"),
    [
        (3, 2, "uneven away from the border too, 2 1 2 1 …: a checkerboard"),
        (4, 2, "even away from the border: 2 everywhere"),
        (2, 3, "uneven away from the border too, 1 1 0 1 1 0 …: a checkerboard"),
        (3, 1, "even away from the border: 3 everywhere"),
    ],
)
def test_a_checkerboard_is_named(kernel: int, stride: int, sentence: str) -> None:
    example = draw.example("conv_transpose", 8, kernel, stride=stride)
    notes = sheet(example, "overlap").notes
    assert sentence[:40] in " ".join(notes)
    inner = [int(text) for text in texts(next(iter(sheet(example, "overlap").boards())))][kernel:-kernel]
    assert (len(set(inner)) == 1) == sentence.startswith("even")


@every_call
def test_colours_say_who_meets_whom(name, args, settings) -> None:
    """A stamp has its input's colour, an output those of all its stamps, a window that of its output."""
    example = draw.example(name, *args, **settings)
    kept = [term for term in example.terms if term.counts]
    inputs = [cell.fills for cell in board(example, "input", "stamps").cells()]
    assert inputs == [(hue(index),) for index in np.ndindex(example.input.shape)]
    outputs = [cell for cell in board(example, "output", "stamps").cells() if cell.kind == "cell"]
    for index, cell in zip(np.ndindex(example.output.shape), outputs, strict=True):
        assert set(cell.fills) == {hue(term.source) for term in kept if term.target == index}
    outputs = [cell.fills for cell in board(example, "output", "gather").cells()]
    assert outputs == [(hue(index),) for index in np.ndindex(example.output.shape)]
    read = [cell for cell in board(example, "input", "gather").cells() if cell.kind == "cell"]
    for index, cell in zip(np.ndindex(example.input.shape), read, strict=True):
        assert not cell.fills or set(cell.fills) == {
            hue(t.target) for t in example.terms if t.source == index
        }
    if name == "max_pool":
        best = {term.source for term in kept}
        assert [cell.tone == "strong" for cell in read] == [
            index in best for index in np.ndindex(example.input.shape)
        ]


# The pictures


@every_call
@every_view
def test_every_operation_draws_in_every_view(name, args, settings, view: str) -> None:
    example = draw.example(name, *args, **settings)
    figure = draw.figure(example, view)
    assert isinstance(figure, Figure)
    written = Counter(text.get_text() for text in figure.axes[0].texts)
    shown_cells = Counter(
        cell.text for cell in sheet(example, view).cells() if cell.text and " " not in cell.text
    )
    assert shown_cells <= written, "every cell's text is on the figure"
    assert example.operation in draw.text(example, view)


@every_view
def test_nothing_overlaps_and_nothing_is_cut_off(view: str) -> None:
    for name, args, settings in [
        FIG7,
        *(each for each in EVERY if each[0] in ("conv", "max_pool", "resize")),
    ]:
        figure = draw.figure(draw.example(name, *args, **settings), view)
        FigureCanvasAgg(figure).draw()
        width, height = figure.bbox.width, figure.bbox.height
        written = figure.axes[0].texts
        boxes = np.array([text.get_window_extent().extents for text in written])
        x0, y0, x1, y1 = boxes.T
        inside = (x0 >= 0) & (x0 < x1) & (x1 <= width) & (y0 >= 0) & (y0 < y1) & (y1 <= height)
        assert inside.all(), [text for text, fits in zip(written, inside, strict=True) if not fits]
        across = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
        down = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
        # Ascenders and descenders that no letter has may touch; ink may not.
        meets = (across > 1) & (down > 0.3 * np.minimum(y1 - y0, (y1 - y0)[:, None]))
        np.fill_diagonal(meets, False)
        assert not meets.any(), [(written[i], written[j]) for i, j in np.argwhere(meets)]


def test_all_cells_of_a_drawing_have_one_size_that_holds_every_text() -> None:
    for name, args, settings in EVERY:
        drawing = sheet(draw.example(name, *args, **settings))
        size = cell_size([drawing])
        longest = max((text_width(cell.text) for cell in drawing.cells() if " " not in cell.text), default=0)
        assert longest < size.width
        for cell in drawing.cells():
            lines = _broken(cell.text, size.line)
            assert len(lines) * TEXT * 1.2 < size.height
            assert all(text_width(line, TEXT, weight_of(cell)) < size.width for line in lines)


def test_axes_of_any_size_are_drawn_on_and_nothing_else() -> None:
    figure = Figure(figsize=(8, 3))
    one, other = figure.subplots(1, 2)
    canvas = FigureCanvasAgg(figure)
    assert draw.stamps(fig7(), ax=one) is figure
    assert draw.overlap(fig7(), ax=other, dark=True) is figure
    assert len(figure.axes) == 2
    canvas.draw()
    sizes = [{round(text.get_fontsize(), 3) for text in ax.texts} for ax in (one, other)]
    for text in one.texts:
        box = text.get_window_extent()
        frame = one.get_window_extent()
        assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 1, text
    figure.set_size_inches(16, 6)
    canvas.draw()
    larger = [{round(text.get_fontsize(), 3) for text in ax.texts} for ax in (one, other)]
    assert [max(a) * 2 for a in sizes] == pytest.approx([max(b) for b in larger], rel=1e-3)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_can_be_read_on_what_it_stands_on(theme) -> None:
    """WCAG 2.1: 4.5 to 1 for text, 3 to 1 for what frames and dashes say; for every pair of colours too."""
    hues = [f"hue{i}" for i in range(HUES)]
    grounds = [(), *((one,) for one in hues), *itertools.combinations(hues, 2), tuple(hues)]
    grounds += [(f"level{i}",) for i in range(LEVELS)]
    for fills, tone, kind in itertools.product(grounds, ("plain", "strong", "faint"), ("cell", "ghost")):
        ink = theme.text(Cell("1", fills, kind, tone))
        for ground in [theme.fill(name) for name in fills] or [theme.paper]:
            assert contrast(ink, ground) >= READABLE, (fills, tone)
            assert contrast(theme.frame, ground) >= 3 or fills[:1] in [(f"level{i}",) for i in range(LEVELS)]
    assert contrast(theme.faint, theme.paper) >= READABLE
    assert contrast(theme.ghost, theme.paper) >= 3


# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB.
BLIND = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(colour: str, matrix: Any) -> np.ndarray:
    """CIE L*a*b* of a colour as someone sees it."""
    from skimage.color import rgb2lab

    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(matrix) @ linear, 0, 1)
    back = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None, None])[0, 0]


@pytest.mark.parametrize("sight", list(BLIND))
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_neighbours_look_different_to_everybody(theme, sight: str) -> None:
    seen = [lab(colour, BLIND[sight]) for colour in theme.hues]
    for i, j in itertools.combinations(range(HUES), 2):
        apart = {1: 15, 7: 15, 3: 9, 5: 9}.get(j - i, 7)  # beside, below, diagonal
        assert np.linalg.norm(seen[i] - seen[j]) > apart, (i, j)


def test_neighbours_along_every_axis_have_different_colours() -> None:
    for index in itertools.product(range(6), repeat=3):
        for step in itertools.product((-1, 0, 1), repeat=2):
            if any(step) and sum(map(abs, step)) < 3:
                assert hue(index) != hue((index[0], index[1] + step[0], index[2] + step[1]))
        assert hue(index) != hue((index[0] + 1, *index[1:]))


# The files


@pytest.mark.parametrize("format", list(draw.FORMATS))
@pytest.mark.parametrize("dark", [False, True])
def test_files_are_the_same_bytes_every_time_whatever_rcparams_say(format: str, dark: bool) -> None:
    first = render(fig7(), "stamps", format, dark=dark)
    before = dict(matplotlib.rcParams)
    odd = {"svg.fonttype": "none", "font.size": 30, "axes.grid": True, "savefig.dpi": 33, "text.color": "red",
           "savefig.bbox": "tight", "axes.facecolor": "green", "lines.linewidth": 9, "svg.hashsalt": None,
           "figure.constrained_layout.use": True, "patch.linewidth": 7, "savefig.facecolor": "blue"}  # fmt: skip
    with matplotlib.rc_context(odd):
        second = render(fig7(), "stamps", format, dark=dark)
    assert first == second
    assert dict(matplotlib.rcParams) == before
    assert not re.search(rb"20\d\d-\d\d-\d\d", first), "no date"


def test_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "import sys, hashlib; from unsample import draw; from unsample.draw.files import render;"
        "e = draw.example('conv', (3, 3), 2, seed=5);"
        "print([hashlib.sha256(render(e, None, f)).hexdigest() for f in draw.FORMATS])"
    )
    seeds = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout
        for env in seeds
    ]
    assert outputs[0] == outputs[1]


def test_an_svg_is_well_formed_and_speaks_to_screen_readers() -> None:
    root = ElementTree.fromstring(render(fig7(), "stamps", "svg"))
    assert root.get("role") == "img"
    assert root[0].tag.endswith("title")
    assert root[0].text == "conv_transpose, stride 2"
    assert root[1].tag.endswith("desc")
    assert "a·z + b·x" in root[1].text


@every_view
@pytest.mark.parametrize("format", ["gif", "apng"])
def test_animations_have_a_frame_per_step(view: str, format: str) -> None:
    example = draw.example("conv_transpose", 2, 3, stride=2)
    image = Image.open(io.BytesIO(render(example, view, format, seconds=0.5)))
    expected = {"stamps": 3, "gather": 6, "matrix": 2, "overlap": 2}[view]
    assert len(steps(example, view)) == expected
    assert getattr(image, "n_frames", 1) == expected
    image.seek(0)
    assert image.info["duration"] == 500
    assert image.info["loop"] == 0


def test_a_gif_keeps_the_colours_of_the_theme() -> None:
    for dark, theme in ((False, LIGHT), (True, DARK)):
        image = Image.open(io.BytesIO(render(fig7(), "stamps", "gif", dark=dark)))
        image.seek(image.n_frames - 1)
        seen = {
            "#{:02X}{:02X}{:02X}".format(*colour) for _, colour in image.convert("RGB").getcolors(1 << 16)
        }
        assert {theme.paper, theme.hues[0], theme.hues[1]} <= seen


def test_the_last_step_of_an_animation_shows_the_output() -> None:
    for name, args, settings in EVERY:
        example = draw.example(name, *args, **settings)
        for view in ("stamps", "gather"):
            last = steps(example, view)[-1]
            shown_last = next(each for each in last.boards() if each.heading == "output")
            expected = texts(board(example, "output", view))
            assert texts(shown_last) == expected


def test_steps_add_up_as_they_go() -> None:
    first, second, last = steps(fig7(), "stamps")
    outputs = [
        texts(next(b for b in each.boards() if b.heading == "output")) for each in (first, second, last)
    ]
    assert outputs == [
        ["a·x", "a·y", "a·z", "", ""],
        ["a·x", "a·y", "a·z + b·x", "b·y", "b·z"],
        ["a·x", "a·y", "a·z + b·x", "b·y", "b·z"],
    ]


@pytest.mark.parametrize(
    ("duplicates", "frames"),
    [
        ("last", ["0 5 0 0", "0 4 0 0", "0 4 0 0"]),
        ("max", ["0 5 0 0", "0 5 0 0", "0 5 0 0"]),
        ("sum", ["0 5 0 0", "0 9 0 0", "0 9 0 0"]),
    ],
)
def test_steps_of_max_unpooling_keep_what_duplicates_says(duplicates: str, frames: list[str]) -> None:
    example = draw.example(
        "max_unpool", [5, 4, 0], kernel_size=2, stride=1, switches=[1, 0, 1], duplicates=duplicates
    )
    for step, expected in zip(steps(example, "stamps"), frames, strict=False):
        shown_now = next(each for each in step.boards() if each.heading == "output")
        assert [text or "0" for text in texts(shown_now)] == expected.split()


@pytest.mark.promise("F34")
def test_a_page_holds_everything_and_asks_no_server() -> None:
    page = render(fig7(), "stamps", "html").decode()
    assert page.count("<img ") == 3
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "http" not in page.replace("http-equiv", "")
    assert "a·z + b·x" in page, "as words, for those who do not see the picture"


def test_a_page_steps_in_a_browser(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    place = draw.save(fig7(), tmp_path / "fig7.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(place.as_uri())
        visible = "[...document.images].findIndex(i => !i.hidden)"
        assert page.evaluate(visible) == 0
        page.click("#next")
        assert page.evaluate(visible) == 1
        page.keyboard.press("ArrowRight")
        assert page.evaluate(visible) == 2
        page.click("#back")
        assert page.evaluate(visible) == 1
        assert page.evaluate("document.images[1].naturalWidth") > 100
        assert all(url.startswith(("file:", "data:")) for url in asked)
        browser.close()


@pytest.mark.promise("F11")
def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a.svg"
    place.write_text("before")

    def fails(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        draw.save(fig7(), place)
    assert os.listdir(tmp_path) == ["a.svg"]
    assert place.read_text() == "before"


# Characters


def test_figure_7_in_characters() -> None:
    assert (
        draw.text(fig7())
        == """\
conv_transpose, stride 2
2 → 5, kernel 3

          ┌───┬───┐
input     │ a │ b │
          └───┴───┘
          ┌───┬───┬───┐
kernel    │ x │ y │ z │
          └───┴───┴───┘
          ┌─────┬─────┬───────────┬─────┬─────┐
a stamps  │ a·x │ a·y │    a·z    │     │     │
b stamps  │     │     │    b·x    │ b·y │ b·z │
          ├─────┼─────┼───────────┼─────┼─────┤
output    │ a·x │ a·y │ a·z + b·x │ b·y │ b·z │
          └─────┴─────┴───────────┴─────┴─────┘

size: (2 − 1) × 2 + 3 = 5
Each input element stamps the kernel, times its value; overlaps add.
"""
    )


@every_call
@every_view
def test_characters_line_up_and_have_an_ascii_form(name, args, settings, view: str) -> None:
    example = draw.example(name, *args, **settings)
    text = draw.text(example, view)
    assert draw.text(example, view, ascii=True).isascii()
    lines = text.splitlines()
    for line, below in itertools.pairwise(lines):
        for i, character in enumerate(line):
            if character in "┌┬┐├┼┤" and i < len(below):
                assert below[i] in "│├┼┤└┴┘", (line, below)


# What is given


def test_tensors_are_read() -> None:
    import jax.numpy as jnp
    import torch

    assert read("input", torch.tensor([1.5, 2], requires_grad=True)).values.tolist() == [1.5, 2]
    assert read("input", jnp.array([1, 2])).values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given", "shape", "values"),
    [
        (3, (3,), None),
        ((2, 3), (2, 3), None),
        ("2x3", (2, 3), None),
        ("2×3×1", (2, 3, 1), None),
        ("5,", (1,), [5]),
        ("1,-2.5,x", (3,), [1, -2.5, "x"]),
        ("1,2;3,4", (2, 2), [1, 2, 3, 4]),
        ("1,2;3,4|5,6;7,8", (2, 2, 2), [1, 2, 3, 4, 5, 6, 7, 8]),
        ([[True, False]], (1, 2), [1, 0]),
        (np.float32(2.5), (1,), [2.5]),
        (np.array([[1.5]]), (1, 1), [1.5]),
        ([1, "y"], (2,), [1, "y"]),
        ("x", (1,), ["x"]),
    ],
)
def test_arrays_are_read_in_every_form(given, shape, values) -> None:
    found = read("input", given)
    assert found.shape == shape
    assert (found.values if values is None else found.values.ravel().tolist()) == values


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a.txt", "1 2  3\n", [1, 2, 3]),
        ("a.csv", "\ufeffx;y\n0.5;-1\n\n", [["x", "y"], [0.5, -1]]),
        ("a.txt", "1\t2\n3\t4", [[1, 2], [3, 4]]),
    ],
)
def test_arrays_are_read_from_files(name: str, content: str, expected, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read("input", str(tmp_path / name)).values.tolist() == expected
    assert read("input", tmp_path / name).values.tolist() == expected


def test_npy_files_are_read_and_pickles_are_not(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1.5, 2.0]], dtype=">f4"))
    assert read("input", tmp_path / "a.npy").values.tolist() == [[1.5, 2.0]]
    np.save(tmp_path / "p.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(
        us.ShapeError, match=r"^draw: input cannot be read from .*p\.npy \(.*Python objects.*\)$"
    ):
        read("input", tmp_path / "p.npy")
    np.save(tmp_path / "large.npy", np.zeros((100, 100)))
    with pytest.raises(
        us.ShapeError, match=r"^draw: input must have at most 4096 elements to be drawn, got 100x100$"
    ):
        read("input", tmp_path / "large.npy")


def test_a_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    one, again, other = (draw.example("conv", (4, 4), 3, seed=seed) for seed in (1, 1, 2))
    assert one.input.tolist() == again.input.tolist() != other.input.tolist()
    assert one.kernel.tolist() == again.kernel.tolist() != other.kernel.tolist()


def test_settings_are_shown_in_the_order_of_the_function() -> None:
    one = draw.example("conv", 5, 3, groups=1, padding=1, dilation=2, stride=2)
    other = draw.example("conv", 5, 3, dilation=2, stride=2, padding=1, groups=1)
    assert caption.title(one) == caption.title(other) == "conv, stride 2, padding 1, dilation 2, groups 1"


def test_symbols_never_meet_those_that_are_given() -> None:
    example = draw.example("conv_transpose", 3, "a,b,x")
    names = [*example.input.flat, *example.kernel.flat]
    assert len(set(names)) == 6
    many = draw.example("conv", (6, 6), 3, symbols=True)
    assert many.input[0, 0] == "a₁"
    assert many.kernel[2, 2] == "z"
    more = draw.example("conv", (6, 6), 6, symbols=True)
    assert more.kernel[5, 5] == "w₃₆"
    few = draw.example("conv", (4, 4), 3, symbols=True)
    assert (few.input[0, 0], few.kernel[0, 0], few.kernel[2, 2]) == ("a", "r", "z")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw.example("conv_transposed", 2, 3), r"draw: operation must be one of 'nearest', .* \(did you mean 'conv_transpose'\?\)"),
        (lambda: draw.example("conv", 4), r"draw: conv needs a kernel, such as 3 or x,y,z"),
        (lambda: draw.example("nearest", 4), r"draw: nearest needs factor"),
        (lambda: draw.example("nearest", 4, 3, factor=2), r"draw: nearest takes no kernel, conv_transpose and conv and conv_weight_grad do"),
        (lambda: draw.example("nearest", 4, factor=2, stride=2), r"draw: nearest takes the settings factor, got stride"),
        (lambda: draw.example("max_pool", "a,b", kernel_size=2), r"draw: max_pool compares its elements, so they must be numbers"),
        (lambda: draw.example("conv", (4, 4, 4), (3, 3)), r"draw: the kernel must have as many axes as the input .* got a kernel of shape \(3, 3\) for an input of shape \(4, 4, 4\)"),
        (lambda: draw.example("conv", 2, 3), r"conv: a window spans 3 elements .*"),
        (lambda: draw.example("conv", 0, 3), r"draw: input must be at least 1, got 0"),
        (lambda: draw.example("conv", 10**9, 3), r"draw: input must have at most 4096 elements to be drawn, got 1000000000"),
        (lambda: draw.example("conv_transpose", 2, 3, stride=10**9), r"draw: the larger side of conv_transpose has 1000000003 elements on an axis"),
        (lambda: draw.example("nearest", 2, factor=10**12), r"draw: nearest of this size has .*"),
        (lambda: draw.example("resize", 2, output_size=10**7), r"draw: the output of resize would have shape \(10000000,\), too large to draw"),
        (lambda: draw.example("conv", [[1, 2], [3]], 1), r"draw: input must have rows of one length, got .*"),
        (lambda: draw.example("conv", [], 1), r"draw: input must hold at least one element, got shape \(0,\)"),
        (lambda: draw.example("conv", "1,$x", 1), r"draw: input must hold numbers, or names such as x .*, got '\$x'"),
        (lambda: draw.example("conv", [1j], 1), r"draw: input must hold numbers, or names such as x .*"),
        (lambda: draw.example("conv", "none.csv", 1), r"draw: input cannot be read from none.csv \(No such file or directory\)"),
        (lambda: draw.example("max_unpool", 2, kernel_size=2, switches=[0, 7]), r".*7.*"),
        (lambda: draw.example("max_unpool", 2, kernel_size=2, switches="a,b"), r"draw: switches must be tap numbers, such as 0,3;2,1"),
        (lambda: draw.example("max_unpool", 2), r"draw: max_unpool needs kernel_size, or switches that know their pooling"),
        (lambda: draw.figure(fig7(), "stamp"), r"draw: view must be one of .* \(did you mean 'stamps'\?\)"),
        (lambda: draw.figure(draw.example("conv_transpose", (16, 16), 3)), r"draw: view 'stamps' of 16×16 → 18×18, kernel 3×3 would have 82944 cells, at most 6000 can be read; take a smaller input or view 'overlap'"),
        (lambda: draw.figure(draw.example("conv_transpose", (2, 2), 3, dilation=2000, padding=2000)), r"draw: an array would have \d+ cells with the padding around it, at most 6000 can be read"),
        (lambda: draw.example("adaptive_max_pool", 2, output_size=0), r"draw: the output of adaptive_max_pool has no elements to draw, its shape is \(0,\)"),
        (lambda: draw.save(fig7(), "a.bmp"), r"draw: format must be one of .*, got 'bmp'"),
        (lambda: draw.save(fig7(), "a"), r"draw: the file must have an ending that names a format, such as .svg, got a"),
        (lambda: draw.save(fig7(), "a.gif", seconds=0), r"draw: seconds must be from 0.02 to 60, got 0"),
        (lambda: draw.save(draw.example("nearest", (20, 20), factor=1), "a.gif"), r"draw: an animation of stamps would have 400 steps, at most 256 can be watched; take a smaller input"),
    ],
)  # fmt: skip
@pytest.mark.promise("76")
def test_what_cannot_be_drawn_is_said_in_one_sentence(
    call, message: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        call()
    assert re.fullmatch(message, str(caught.value)), str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw.example("resize", 2, output_size=6 * 10**7), r"draw: the output of resize would have shape (60000000,), too large to draw"),
        (lambda: draw.example("resize", 2, factor=3e7), r"draw: the output of resize would have shape (60000000,), too large to draw"),
        (lambda: draw.example("resize_transpose", (2, 2), input_size=(2, 6 * 10**7)), r"draw: the output of resize_transpose would have shape (2, 60000000), too large to draw"),
        (lambda: draw.example("adaptive_max_pool", 2, output_size=10**9), r"draw: the output of adaptive_max_pool would have shape (1000000000,), too large to draw"),
        (lambda: draw.example("max_unpool", 2, kernel_size=10**9), r"draw: the larger side of max_unpool would have shape (2000000000,), too large to draw"),
        (lambda: draw.example("max_unpool", 2, kernel_size=2, output_size=10**9), r"draw: the larger side of max_unpool would have shape (1000000000,), too large to draw"),
        (lambda: draw.example("nearest", "9" * 5000, factor=2), f"draw: input must have at most 4096 elements to be drawn, got {'9' * 40}"),
        (lambda: draw.example("nearest", "2x" + "9" * 19, factor=2), f"draw: input must have at most 4096 elements to be drawn, got 2x{'9' * 19}"),
        (lambda: draw.example("nearest", "1e400,2", factor=2), "draw: input must hold numbers, or names such as x of up to 8 letters and digits, got '1e400'"),
        (lambda: draw.example("nearest", [10**400], factor=2), f"draw: input must hold numbers, or names such as x of up to 8 letters and digits, got 1{'0' * 39}"),
    ],
)  # fmt: skip
@pytest.mark.promise("21", "76")
def test_what_nobody_could_draw_is_refused_before_it_is_planned(
    call, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned(*_: Any, **__: Any) -> None:
        raise AssertionError("it was planned, or allocated")

    from unsample.draw import make_moves

    unplanned = {name: replace(each, plan=planned) for name, each in make_moves.OPERATIONS.items()}
    monkeypatch.setattr(make_moves, "OPERATIONS", unplanned)
    monkeypatch.setattr(make_moves, "numbers", planned)
    with pytest.raises(us.ShapeError) as caught:
        call()
    assert str(caught.value) == message


def test_infinity_is_drawn_where_it_is_meant() -> None:
    assert draw.example("nearest", "inf,-inf", factor=1).output.tolist() == [float("inf"), -float("inf")]


# The command


def unsample(*arguments: str, **options: Any) -> subprocess.CompletedProcess:
    options = {"text": True, **options}
    return subprocess.run(
        [sys.executable, "-m", "unsample.cli", "draw", *arguments],
        capture_output=True,
        timeout=120,
        **options,
    )


def here(*arguments: str, cwd: Path, encoding: str = "utf-8") -> subprocess.CompletedProcess:
    """The same in this process."""
    return command.unsample("draw", *arguments, cwd=cwd, encoding=encoding)


def test_the_help_names_every_operation_and_setting() -> None:
    done = unsample("--help", env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"})
    assert done.returncode == 0
    from unsample.draw.operations import _settings_of

    listed = re.search(r"One of ([\w,\s│]+?)\.", done.stdout)
    assert listed is not None
    assert set(re.findall(r"\w+", listed[1])) == set(draw.OPERATIONS)
    for name in draw.OPERATIONS:
        for key in _settings_of(name):
            assert f"--{key.replace('_', '-')}" in done.stdout, (name, key)


def test_every_pair_of_the_library_can_be_drawn() -> None:
    names = {name for pair in us.PAIRS for name in (pair.up.__name__, pair.down.__name__)}
    assert names - {"conv_of_weight", "weight_grad_of_y"} <= set(draw.OPERATIONS)
    assert set(CALLS) == set(draw.OPERATIONS)


def test_the_command_of_the_issue_writes_figure_7(tmp_path: Path) -> None:
    done = here("conv_transpose", "--input", "2", "--kernel", "x,y,z", "--stride", "2", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Written to conv_transpose-stamps.svg\n", "")
    assert os.listdir(tmp_path) == ["conv_transpose-stamps.svg"]
    assert (tmp_path / "conv_transpose-stamps.svg").read_bytes() == render(fig7(), "stamps", "svg")


def test_the_command_prints_characters_as_wide_as_the_terminal_has_them(tmp_path: Path) -> None:
    arguments = ("conv_transpose", "-i", "2", "-k", "x,y,z", "-s", "2", "--text")
    done = unsample(*arguments, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert done.stdout == draw.text(fig7())
    done = here(*arguments, cwd=tmp_path, encoding="ascii")
    assert done.stdout == draw.text(fig7(), ascii=True)
    assert os.listdir(tmp_path) == []


def test_the_command_takes_every_setting_as_text(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text("1,2\n3,4\n")
    for arguments, example in [
        (("conv", "-i", "4x4", "-k", "k.csv", "-s", "2,1", "-p", "0:1,1:0"),
         draw.example("conv", (4, 4), [[1, 2], [3, 4]], stride=(2, 1), padding=((0, 1), (1, 0)))),
        (("conv", "-i", "5", "--kernel-size", "3", "-p", "same", "--padding-mode", "circular", "--seed", "3"),
         draw.example("conv", 5, 3, padding="same", padding_mode="circular", seed=3)),
        (("conv", "-i", "5", "-k", "3", "--dilation", "2", "--stride", "2"),
         draw.example("conv", 5, 3, dilation=2, stride=2)),
        (("max_unpool", "-i", "2", "--kernel-size", "2,", "--switches", "0,1", "--symbols"),
         draw.example("max_unpool", 2, kernel_size=(2,), switches=[0, 1], symbols=True)),
        (("bed_of_nails", "-i", "2x2", "--factor", "2", "--at", "center", "--output-size", "3x3"),
         draw.example("bed_of_nails", (2, 2), factor=2, at="center", output_size=(3, 3))),
        (("resize", "-i", "3", "--factor", "1.5", "--method", "cubic", "--convention", "half_pixel"),
         draw.example("resize", 3, factor=1.5, method="cubic", convention="half_pixel")),
        (("max_pool", "-i", "1,5,2", "--kernel-size", "2", "--ceil-mode"),
         draw.example("max_pool", [1, 5, 2], kernel_size=2, ceil_mode=True)),
        (("conv_transpose", "-i", "3", "-k", "3", "-p", "-1"), draw.example("conv_transpose", 3, 3, padding=-1)),
    ]:  # fmt: skip
        done = here(*arguments, "--text", cwd=tmp_path)
        assert done.stderr == ""
        assert done.stdout == draw.text(example), arguments


@pytest.mark.parametrize("format", list(draw.FORMATS))
def test_the_command_writes_every_format(format: str, tmp_path: Path) -> None:
    done = here("nearest", "-i", "2", "--factor", "2", "-o", f"a.{format}", "--dark", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"Written to a.{format}\n")
    example = draw.example("nearest", 2, factor=2)
    assert (tmp_path / f"a.{format}").read_bytes() == render(example, None, format, dark=True)
    assert os.listdir(tmp_path) == [f"a.{format}"]


def test_the_command_writes_to_standard_output() -> None:
    piped = unsample("nearest", "-i", "2", "--factor", "2", "-o", "-", "--format", "png", text=False)
    assert piped.stdout == render(draw.example("nearest", 2, factor=2), None, "png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("con", "-i", "3"), r"unsample draw: operation must be one of .* \(did you mean 'conv'\?\)\n"),
        (("conv", "-i", "4", "-k", "3", "-s", "two"), r"unsample draw: --stride must be whole numbers such as 2 or 2,1, got 'two'\n"),
        (("conv", "-i", "4", "-k", "3", "-s", "0"), r"unsample: conv: stride must be at least 1, got 0\n"),
        (("nearest", "-i", "4", "--factor", "2", "-o", "none/a.svg"), r"unsample draw: --output must be a file in a folder that exists, got none/a.svg\n"),
        (("nearest", "-i", "4", "--factor", "2", "-o", "."), r"unsample draw: the file must have an ending .*\n"),
        (("nearest", "-i", "4", "--factor", "2", "-o", "a.jpg"), r"unsample draw: format must be one of .*, got 'jpg' .*\n"),
        (("nearest", "-i", "4", "--factor", "2", "--text", "-o", "a.svg"), r"unsample draw: --text prints; .*\n"),
        (("nearest", "-i", "none.npy", "--factor", "2"), r"unsample draw: input cannot be read from none.npy \(No such file or directory\)\n"),
        (("max_unpool", "-i", "2", "--kernel-size", "2", "--switches", "0,9"), r"unsample draw: .*9.*\n"),
        (("nearest", "-i", "9x9", "--factor", "3"), r"unsample draw: view 'stamps' of 9×9 → 27×27 would have 59049 cells, at most 6000 can be read; .*\n"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message: str, tmp_path: Path) -> None:
    done = here(*arguments, cwd=tmp_path)
    assert re.fullmatch(message, done.stderr), done.stderr
    assert done.stdout == ""
    assert done.returncode == 2
    assert os.listdir(tmp_path) == []


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    code = """
import importlib.util as util
real = util.find_spec
util.find_spec = lambda name, *a: None if name == "matplotlib" else real(name, *a)
from unsample import cli
cli.app(["draw", "nearest", "--input", "2", "--factor", "2"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == "unsample draw: needs matplotlib: pip install 'unsample[draw]'\n"
    assert done.returncode == 2


def test_the_package_imports_no_matplotlib_before_it_draws() -> None:
    code = "import sys; from unsample import draw; print(draw.text(draw.example('nearest', 2, factor=2))); print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


@pytest.mark.promise("87")
def test_a_file_that_is_shorter_than_it_says_is_refused_before_it_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "short.npy"
    np.save(path, np.arange(64.0).reshape(8, 8))
    os.truncate(path, path.stat().st_size - 8)
    with pytest.raises(us.ShapeError, match=r"^draw: input cannot be read from .*short\.npy \("):
        read("input", path)
