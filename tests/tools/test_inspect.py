"""`unsample.inspect` against what really happens: gradients, runs, saved tensors, brute force."""

import copy
import csv
import io
import itertools
import json
import math
import random
import re
import warnings
from collections import UserDict
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unsample as us
import unsample.torch as ut
from unsample.inspection import conditions, grids
from unsample.inspection.analysis import Analysis, analyse
from unsample.inspection.checkerboard import transposed_response
from unsample.inspection.report import FIELDS
from unsample.inspection.table import settings_text
from unsample.inspection.torch_trace import Copies


class Functional(nn.Module):
    """A model whose `forward` is a function."""

    def __init__(self, function: Any, *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.layers)


class Unet(nn.Module):
    """Two levels, the second way up a 2x2 transposed convolution."""

    def __init__(self, up: nn.Module | None = None, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.enter, self.middle, self.bottom = (
            nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 4), (4, 8), (8, 8))
        )
        self.pool = pool or nn.MaxPool2d(2)
        self.up1 = up or nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.up2 = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.join1, self.join2 = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = F.relu(self.enter(x))
        b = F.relu(self.middle(self.pool(a)))
        c = F.relu(self.bottom(self.pool(b)))
        d = F.relu(self.join1(torch.cat([b, self.up1(c)], 1)))
        return self.join2(torch.cat([a, self.up2(d)], 1))


def found(function: Any, shape: tuple[int, ...], *layers: nn.Module) -> us.inspection.Inspection:  # type: ignore[name-defined]
    return us.inspect(Functional(function, *layers), shape, sizes=False)


def walked(model: nn.Module, shape: tuple[int, ...]) -> tuple[Analysis, Any]:
    """The analysis, and the grids of the result."""
    trace = Copies(model, (torch.zeros(shape, dtype=torch.float64),)).trace()
    assert trace.failure is None, trace.failure
    from unsample.inspection import analysis as module

    state = module._State(trace)
    for number, value in enumerate(trace.inputs):
        state.layouts[value] = module._of_input(state, number, trace.values[value].shape)
    module._find_patches(state)
    for index, op in enumerate(trace.ops):
        module._walk(state, index, op)
    return analyse(trace), state.layouts[trace.outputs[0]]


def padded_by_hand(x: torch.Tensor) -> torch.Tensor:
    out = x.new_zeros((*x.shape[:2], x.shape[2] + 3))
    out[:, :, 1:-2] = x
    return out


# -- multiply-adds ----------------------------------------------------------------------------------------


def brute_multiply_adds(transposed: bool, n: int, k: int, s: int, p: int, d: int, more: int) -> int:
    """Count the pairs (element, tap) along one axis that fall on an element."""
    large = (n - 1) * s - 2 * p + d * (k - 1) + 1 + more if transposed else n
    windows = n if transposed else (n + 2 * p - d * (k - 1) - 1) // s + 1
    return sum(0 <= o * s - p + t * d < large for o in range(windows) for t in range(k))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("k", "s", "p", "d", "more"), [(3, 2, 1, 1, 1), (4, 2, 1, 1, 0), (5, 3, 2, 2, 2), (2, 2, 0, 1, 0)]
)
def test_multiply_adds_are_those_of_a_brute_force_count(
    transposed: bool, k: int, s: int, p: int, d: int, more: int
) -> None:
    sizes, channels, out, groups = (7, 11), 4, 6, 2
    kwargs: dict[str, Any] = {"stride": s, "padding": p, "dilation": d, "groups": groups}
    if transposed:
        layer: nn.Module = nn.ConvTranspose2d(channels, out, k, output_padding=more, **kwargs)
    else:
        layer = nn.Conv2d(channels, out, k, **kwargs)
    result = us.inspect(layer, (3, channels, *sizes), sizes=False)
    pairs = math.prod(brute_multiply_adds(transposed, n, k, s, p, d, more) for n in sizes)
    assert result.steps[0].multiply_adds == 3 * channels * out // groups * pairs == result.multiply_adds


def test_multiply_adds_without_padding_are_half_of_torchs_flops() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = nn.Sequential(
        nn.Conv2d(3, 8, 4, stride=2), nn.ConvTranspose2d(8, 5, 3, stride=2), nn.Flatten(2), nn.Linear(289, 7)
    )
    x = torch.zeros(2, 3, 18, 18)
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert us.inspect(model, x, sizes=False).multiply_adds * 2 == counter.get_total_flops()


def test_multiply_adds_of_a_resize_are_those_of_its_plan() -> None:
    result = found(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (2, 3, 5, 7))
    from unsample.ops.resize import plan_resize

    assert (
        result.steps[0].multiply_adds
        == plan_resize((2, 3, 5, 7), (10, 14), method="linear").multiply_adds
        > 0
    )


# -- receptive field and alignment ------------------------------------------------------------------------

DOWNS = (
    lambda c: nn.Conv1d(c, c, 3, stride=2, padding=1),
    lambda c: nn.Conv1d(c, c, 4, stride=2, padding=1),
    lambda c: nn.Conv1d(c, c, 3, stride=3, dilation=2, padding=2),
    lambda c: nn.Conv1d(c, c, 5, padding=2, padding_mode="reflect"),
    lambda c: nn.Conv1d(c, c, 3, padding="same"),
    lambda c: nn.Conv1d(c, c, 3, padding=1, padding_mode="replicate"),
    lambda c: Functional(padded_by_hand),
    lambda c: nn.AvgPool1d(2),
    lambda c: nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True),
    lambda c: nn.AdaptiveAvgPool1d(5),
    lambda c: Functional(lambda x: ut.decimate(x, (2,), at=1)),
    lambda c: Functional(lambda x: x[:, :, 1::2]),
    lambda c: Functional(lambda x: F.pad(x, (1, 2), mode="replicate")),
    lambda c: Functional(lambda x: x.reshape(*x.shape[:2], -1, 1).mean(-1)),
)
UPS = (
    lambda c: nn.ConvTranspose1d(c, c, 3, stride=2, padding=1, output_padding=1),
    lambda c: nn.ConvTranspose1d(c, c, 4, stride=2, padding=1),
    lambda c: ut.ConvTranspose1d(c, c, 4, stride=3, padding=((0, 2),)),
    lambda c: nn.Upsample(scale_factor=2),
    lambda c: nn.Upsample(scale_factor=1.5),
    lambda c: nn.Upsample(scale_factor=3, mode="linear"),
    lambda c: nn.Upsample(scale_factor=2, mode="linear", align_corners=True),
    lambda c: nn.Upsample(scale_factor=2, mode="nearest-exact"),
    lambda c: Functional(lambda x: ut.bed_of_nails(x, (2,), at=1)),
    lambda c: Functional(lambda x: ut.nearest(x, (3,))),
    lambda c: Functional(lambda x: ut.resize(x, (17,), method="cubic")),
    lambda c: Functional(lambda x: ut.pixel_shuffle(x.repeat_interleave(2, 1), (2,))),
    lambda c: Functional(lambda x: x.unsqueeze(-1).expand(*x.shape, 2).reshape(*x.shape[:2], -1)),
)


@pytest.mark.parametrize("seed", range(24))
def test_the_receptive_field_of_every_element_is_where_its_gradient_is_not_zero(seed: int) -> None:
    rng = random.Random(seed)
    torch.manual_seed(seed)
    layers = [rng.choice(DOWNS if rng.random() < 0.5 else UPS)(2) for _ in range(4)]
    layers += [UPS[seed % len(UPS)](2), DOWNS[seed % len(DOWNS)](2)]
    rng.shuffle(layers)
    model = nn.Sequential(*layers).double()
    n = 29
    x = torch.randn(1, 2, n, dtype=torch.float64, requires_grad=True)
    out = model(x)
    _, layout = walked(model, (1, 2, n))
    grid = grids.grid_of(layout[2])
    assert grid is not None
    assert grid.size == out.shape[-1]
    for i in range(out.shape[-1]):
        (gradient,) = torch.autograd.grad(
            out[0, :, i].square().sum() + out[0, :, i].sum(), x, retain_graph=True
        )
        (reached,) = gradient.abs().sum((0, 1)).nonzero(as_tuple=True)
        if len(reached):
            assert (grid.low[i], grid.high[i]) == (reached.min(), reached.max()), (i, model)
        else:
            assert grid.low[i] > grid.high[i], (i, model)


@pytest.mark.parametrize("order", [0, 1])
def test_where_branches_meet_an_element_depends_on_all_of_them(order: int) -> None:
    def forward(x: torch.Tensor, small: nn.Module, large: nn.Module) -> torch.Tensor:
        branches = [small(x), large(x)]
        return torch.cat(branches[::-1] if order else branches, 1)

    layers = nn.Conv1d(1, 1, 3, padding=1), nn.Conv1d(1, 1, 3, dilation=2, padding=2)
    grid = grids.grid_of(walked(Functional(forward, *layers).double(), (1, 1, 12))[1][2])
    assert grid is not None
    assert (grid.low[4], grid.high[4]) == (2, 6)


def test_fields_larger_than_the_example_are_those_of_a_larger_one() -> None:
    small, large = (us.inspect(Unet(), (1, 1, n, n)) for n in (16, 64))
    assert [s.receptive_field for s in small.steps] == [s.receptive_field for s in large.steps]
    assert small.steps[-1].receptive_field[0][1] > 16


def smooth(layer: nn.Module) -> nn.Module:
    """The kernel replaced by one that is the same in both directions and keeps ramps: the mean of its taps.

    Of a transposed convolution, the mean over the taps of each phase keeps a constant.
    """
    layer = layer.double()
    if isinstance(layer, nn.Conv1d):
        with torch.no_grad():
            layer.weight.zero_()
            for c in range(layer.weight.shape[0]):
                layer.weight[c, c] = 1 / layer.weight.shape[2]
            layer.bias.zero_()  # type: ignore[union-attr]
    if isinstance(layer, nn.ConvTranspose1d):
        ut.init.bilinear_(layer)
    return layer


RAMPS = (
    (lambda: smooth(nn.Conv1d(1, 1, 3, stride=2, padding=1)), True),
    (lambda: smooth(nn.Conv1d(1, 1, 4, stride=2, padding=1)), True),
    (lambda: smooth(nn.Conv1d(1, 1, 3, dilation=3, stride=3)), True),
    (lambda: nn.AvgPool1d(2), True),
    (lambda: nn.AvgPool1d(5, stride=3, padding=1), True),
    (lambda: nn.AdaptiveAvgPool1d(16), True),
    (lambda: smooth(nn.ConvTranspose1d(1, 1, 4, stride=2, padding=1)), True),
    (lambda: smooth(nn.ConvTranspose1d(1, 1, 6, stride=3)), True),
    (lambda: smooth(nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)), True),
    (lambda: nn.Upsample(scale_factor=2, mode="linear"), True),
    (lambda: nn.Upsample(size=37, mode="linear"), True),
    (lambda: nn.Upsample(scale_factor=1.7, mode="linear"), True),
    (lambda: nn.Upsample(scale_factor=2, mode="linear", align_corners=True), True),
    (lambda: Functional(lambda x: ut.resize(x, (96,), method="catmull_rom")), True),
    (lambda: Functional(lambda x: ut.resize(x, (96,), method="linear", convention="asymmetric")), True),
    (lambda: Functional(lambda x: ut.resize(x, (12,), method="linear", antialias=True)), True),
    (lambda: Functional(lambda x: ut.decimate(x, (3,), at=1)), True),
    (lambda: Functional(lambda x: x[:, :, 2:-3:2]), True),
    (lambda: Functional(lambda x: x.flip(-1)), True),
    (lambda: Functional(lambda x: x.reshape(1, 1, 12, 4).mean(-1)), True),
    (lambda: Functional(lambda x: x[:, :, torch.arange(45, 2, -3)]), True),
    (lambda: Functional(lambda x: x[:, :, torch.tensor([2, 1, *range(48), 46])]), True),
    (lambda: Functional(lambda x: torch.cat([x[:, :, 40:], x[:, :, 2:]], 2)), True),
    (lambda: Functional(lambda x: x[:, :, torch.arange(72) * 2 // 3]), False),
    (lambda: Functional(lambda x: x.repeat_interleave(3, 2)), False),
    (lambda: Functional(lambda x: x.roll(3, -1)), True),
    (lambda: Functional(lambda x: F.pad(x, (3, 1))), True),
    (lambda: Functional(lambda x: F.interpolate(x, scale_factor=0.5)), True),
    (lambda: nn.Upsample(scale_factor=2), False),
    (lambda: nn.Upsample(scale_factor=1.5), False),
    (lambda: nn.Upsample(scale_factor=2, mode="nearest-exact"), False),
    (lambda: nn.Upsample(size=36, mode="nearest-exact"), False),
    (lambda: Functional(lambda x: ut.nearest(x, (3,))), False),
)


@pytest.mark.parametrize("number", range(len(RAMPS)))
def test_positions_are_what_a_ramp_becomes(number: int) -> None:
    """A ramp x[i] = i through weights that keep ramps gives every output the position of its centre.

    Copies of elements keep it on average over a period.
    """
    make, exact = RAMPS[number]
    model, n = make().double(), 48
    out = model(torch.arange(n, dtype=torch.float64).reshape(1, 1, n))[0, 0].detach().numpy()
    _, layout = walked(model, (1, 1, n))
    grid = grids.grid_of(layout[2])
    assert grid is not None
    position = np.array([float(grid.offset + grid.scale * i) for i in range(grid.size)])
    inner = slice(grid.size // 4, grid.size - grid.size // 4)
    if exact:
        np.testing.assert_allclose(out[inner], position[inner], rtol=0, atol=1e-12 * n)
    else:
        period = grid.scale.denominator
        middle = slice(grid.size // 4, grid.size // 4 + period * (grid.size // 2 // period))
        assert abs((out - position)[middle].mean()) < 1e-12 * n


def test_positions_through_a_whole_network_are_what_a_ramp_becomes() -> None:
    layers = [make() for make, exact in RAMPS[:10] if exact]
    model = nn.Sequential(layers[0], layers[6], layers[3], layers[9], layers[1], layers[7]).double()
    n = 96
    out = model(torch.arange(n, dtype=torch.float64).reshape(1, 1, n))[0, 0].detach().numpy()
    grid = grids.grid_of(walked(model, (1, 1, n))[1][2])
    assert grid is not None
    inner = np.arange(grid.size // 3, grid.size - grid.size // 3)
    np.testing.assert_allclose(
        out[inner], [float(grid.offset + grid.scale * int(i)) for i in inner], rtol=0, atol=1e-10
    )


def test_nails_at_the_corner_lie_half_a_pixel_off_and_their_pool_is_named() -> None:
    def forward(x: torch.Tensor, conv: nn.Module) -> torch.Tensor:
        a = conv(x)
        return torch.cat([a, ut.bed_of_nails(F.max_pool2d(a, 2), (2, 2))], 1)

    result = found(forward, (1, 3, 16, 16), nn.Conv2d(3, 3, 3, padding=1))
    (merge,) = result.misaligned
    assert [abs(d) for d in merge.apart] == [Fraction(1, 2)] * 2
    assert merge.step == 2
    assert result.steps[1].undoes == (1,)
    assert "1/2 pixel apart, behind step 2 (unsample.bed_of_nails x2 at 0)" in repr(result)


@pytest.mark.parametrize(
    ("up", "apart"),
    [
        (nn.ConvTranspose2d(8, 8, 2, stride=2), Fraction(0)),
        (nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1), Fraction(0)),
        (nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1), Fraction(1, 2)),
        (nn.Upsample(scale_factor=2), Fraction(0)),
        (nn.Upsample(scale_factor=2, mode="bilinear"), Fraction(0)),
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), Fraction(1, 2)),
        (ut.BedOfNails((2, 2), at=1), Fraction(1, 2)),
    ],
)
def test_merges_behind_a_2x2_pooling_lie_apart_as_the_way_up_has_it(up: nn.Module, apart: Fraction) -> None:
    result = us.inspect(Unet(up), (1, 1, 32, 32), sizes=False)
    inner, outer = result.merges
    assert max(map(abs, inner.apart)) == apart
    # The skip connection's grid goes on: the second merge is not off because the first was.
    assert not any(outer.apart)


class Residual(nn.Module):
    """ResNet's block that goes down."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, out, 3, stride, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.short = nn.Conv2d(channels, out, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.two(F.relu(self.one(x))) + self.short(x))


class ResUnet(nn.Module):
    """A U-Net on the encoder of a ResNet, as those of segmentation libraries."""

    def __init__(self, up: str, stem: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, stem, 2, stem // 2)
        self.stages = nn.ModuleList(Residual(4, 4, 1 if i == 0 else 2) for i in range(4))
        self.joins = nn.ModuleList(nn.Conv2d(8, 4, 3, padding=1) for _ in range(4))
        self.up = up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = [self.stem(x)]
        y = F.max_pool2d(skips[0], 3, 2, 1)
        for stage in self.stages:
            y = stage(y)
            skips.append(y)
        for join, skip in zip(self.joins, skips[-2::-1], strict=True):
            y = F.relu(join(torch.cat([F.interpolate(y, scale_factor=2, mode=self.up), skip], 1)))
        return F.interpolate(y, scale_factor=2, mode=self.up)


@pytest.mark.parametrize(("up", "stem"), [("nearest", 7), ("bilinear", 7), ("nearest", 3)])
def test_what_lies_apart_is_the_same_at_every_size(up: str, stem: int) -> None:
    def said(n: int) -> tuple[list[Any], list[str]]:
        result = us.inspect(ResUnet(up, stem), (1, 1, n, n), sizes=False)
        lines = [line for line in repr(result).splitlines() if line.startswith("alignment")]
        return [(merge.layer, merge.apart) for merge in result.merges], lines

    merges, lines = said(1024)  # no field is as large
    assert {abs(d) for _, apart in merges for d in apart} == {0, Fraction(1, 2)}
    for n in (32, 64, 96, 128, 256, 512):
        assert said(n) == (merges, lines), n


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv1d(1, 1, 5, 2, 2, 3),
        lambda: nn.AvgPool1d(4, 3),
        lambda: nn.ConvTranspose1d(1, 1, 5, 2),
        lambda: nn.ConvTranspose1d(1, 1, 3, 4, dilation=2),
        lambda: nn.Upsample(scale_factor=2),
        lambda: nn.Upsample(scale_factor=2, mode="linear"),
        lambda: Functional(lambda x: x[:, :, 3:-1:2]),
        lambda: Functional(lambda x: x.roll(5, 2)),
        lambda: Functional(lambda x: F.pad(x, (4, 4), mode="reflect")),
        lambda: Functional(lambda x: x.unfold(2, 4, 4).transpose(2, 3).flatten(2)),
        lambda: nn.Sequential(nn.Conv1d(1, 1, 3, 2), nn.Conv1d(1, 1, 3, 2), nn.ConvTranspose1d(1, 1, 4, 4)),
    ],
)
def test_the_reach_is_the_largest_field_without_a_border(make: Any) -> None:
    for n in (8 * 12, 8 * 32):
        pieces = [g for g in grids.grids_in([walked(make().double(), (1, 1, n))[1]]) if g.low.size]
        for grid in pieces:
            assert grid.reach + 1 == grid.field()[1]


def test_circular_padding_moves_nothing_and_reaches_around() -> None:
    model = nn.Conv2d(1, 1, 3, padding=(2, 1), padding_mode="circular")
    rows, columns = (grids.grid_of(dim) for dim in walked(model.double(), (1, 1, 6, 8))[1][2:])
    assert rows is not None
    assert columns is not None
    assert (rows.size, rows.scale, rows.offset) == (8, 1, -1)
    assert (columns.size, columns.scale, columns.offset) == (8, 1, 0)
    assert (rows.low[3], rows.high[3]) == (1, 3)
    assert (columns.low[0], columns.high[0]) == (0, 7)
    assert (columns.low[7], columns.high[7]) == (0, 7)


def test_computed_positions_are_a_step_and_not_placed() -> None:
    torch.manual_seed(0)
    step = us.inspect(ut.DySample(8, 2), (1, 8, 16, 16), sizes=False).steps[-1]
    assert (step.what, step.direction, step.output_shape[2:]) == ("F.grid_sample", "up", (32, 32))
    assert step.scale == ()


def test_sampling_that_keeps_the_size_is_no_way_down_and_what_comes_behind_is_compared_with_nothing() -> None:
    def forward(x: torch.Tensor, down: nn.Module, up: nn.Module) -> torch.Tensor:
        places = F.affine_grid(torch.eye(2, 3)[None], [1, 1, 16, 16]) + x.mean()
        return x + up(down(F.grid_sample(x, places)))

    result = found(forward, (1, 1, 16, 16), nn.Conv2d(1, 1, 3, 2, 1), nn.ConvTranspose2d(1, 1, 2, 2))
    assert [(step.what, step.direction, step.unplaced) for step in result.steps] == [
        ("Conv2d", "down", 2),
        ("ConvTranspose2d", "up", 2),
    ]
    assert {step.lost for step in result.steps} == {"F.grid_sample in the model"}
    assert result.merges == ()


def test_a_border_that_the_input_reaches_over_cuts_fields_all_the_same() -> None:
    layers = nn.Conv1d(1, 1, 4, 4), nn.Conv1d(1, 1, 3, padding=1), nn.Conv1d(1, 1, 2, 2)
    for n in (64, 67):
        steps = us.inspect(nn.Sequential(*layers), (1, 1, n), sizes=False).steps
        assert [step.receptive_field for step in steps] == [((4, 4),), ((16, 16),)]


# -- windows, tokens, patches -----------------------------------------------------------------------------


def windows_of(x: torch.Tensor, w: int) -> torch.Tensor:
    """Swin's: (batch, rows, columns, channels) to (windows, places, channels)."""
    b, h, v, c = x.shape
    return x.view(b, h // w, w, v // w, w, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, c)


def from_windows(x: torch.Tensor, w: int, h: int, v: int) -> torch.Tensor:
    return (
        x.view(-1, h // w, v // w, w, w, x.shape[-1]).permute(0, 1, 3, 2, 4, 5).reshape(-1, h, v, x.shape[-1])
    )


class Attention(nn.Module):
    """Attention between tokens, by a fused operator or by matrix products."""

    def __init__(self, channels: int, fused: bool) -> None:
        super().__init__()
        self.qkv, self.out, self.fused = (
            nn.Linear(channels, 3 * channels),
            nn.Linear(channels, channels),
            fused,
        )
        self.bias = nn.Parameter(torch.zeros(2, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = ((q @ k.transpose(-2, -1)) + self.bias).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    """A transformer block on windows, shifted or not."""

    def __init__(self, channels: int, window: int, shift: int, fused: bool) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(channels), Attention(channels, fused)
        self.window, self.shift = window, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, h, v, _ = x.shape
        y = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2)) if self.shift else self.norm(x)
        y = from_windows(self.attention(windows_of(y, self.window)), self.window, h, v)
        return x + (torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y)


class Swin(nn.Module):
    """Windows, patch merging of slices, patch expanding by reshape, a skip connection."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 4, 2, 2)
        self.high = nn.Sequential(Block(4, 4, 0, fused), Block(4, 4, 2, fused))
        self.merge, self.low = nn.Linear(16, 8), Block(8, 2, 0, fused)
        self.expand, self.last = nn.Linear(8, 16), nn.ConvTranspose2d(8, 1, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.high(self.embed(x).permute(0, 2, 3, 1))
        y = torch.cat([a[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
        y = self.expand(self.low(self.merge(y)))
        b, h, w, c = y.shape
        y = y.view(b, h, w, 2, 2, c // 4).permute(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c // 4)
        return self.last(torch.cat([a, y], -1).permute(0, 3, 1, 2))


class Patches(nn.Module):
    """Patches by reshape, attention over all tokens, and back."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.enter, self.leave, self.attention = nn.Linear(16, 4), nn.Linear(4, 16), Attention(4, fused)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, _, h, w = x.shape
        y = x.reshape(b, h // 4, 4, w // 4, 4).transpose(2, 3).reshape(b, h * w // 16, 16)
        y = self.leave(self.attention(self.enter(y)))
        return y.reshape(b, h // 4, w // 4, 4, 4).transpose(2, 3).reshape(b, 1, h, w)


class Stripes(nn.Module):
    """Attention along rows alone, and over every fourth column."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.one, self.two = nn.Conv2d(1, 4, 1), Attention(4, False), Attention(4, False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.enter(x).permute(0, 2, 3, 1)
        b, h, w, c = y.shape
        z = y.reshape(b * h * (w // 2), 2, c)
        z = self.one(z).reshape(b, h, w, c)
        t = z.reshape(b, h // 4, 4, w, c).permute(0, 2, 3, 1, 4).reshape(b * 4 * w, h // 4, c)
        z = self.two(t).reshape(b, 4, w, h // 4, c).permute(0, 3, 1, 2, 4).reshape(b, h, w, c)
        return z.permute(0, 3, 1, 2)


class Tokens(nn.Module):
    """A vision transformer: patches, a class token that is cut off again, a way up."""

    def __init__(self, last: bool = False) -> None:
        super().__init__()
        self.enter, self.leave, self.last = nn.Conv2d(1, 4, 4, 4), nn.ConvTranspose2d(4, 1, 4, 4), last
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, 4)), nn.Parameter(torch.zeros(1, 17, 4))
        self.attention, self.wide = Attention(4, last), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.enter(x)
        token, rest = self.token.expand(len(x), -1, -1), y.flatten(2).transpose(1, 2)
        t = torch.cat([rest, token] if self.last else [token, rest], 1) + self.places
        t = t + self.attention(t)
        token, rest = (t[:, -1:], t[:, :-1]) if self.last else t.split([1, 16], 1)
        t = self.wide(torch.cat([rest, token.expand_as(rest)], -1))
        return self.leave(t.transpose(1, 2).reshape(y.shape))


class Columns(nn.Module):
    """F.unfold, a layer on every block, F.fold."""

    def __init__(self, kernel: int, stride: int, padding: int, dilation: int) -> None:
        super().__init__()
        self.words = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        self.layer = nn.Linear(kernel**2, kernel**2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(F.unfold(x, **self.words).transpose(1, 2)).transpose(1, 2)
        return F.fold(y, x.shape[2:], **self.words)


def nhwc(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def take_parts(x: torch.Tensor, conv: nn.Module, up: nn.Module) -> torch.Tensor:
    """Splitting, stacking and indexing, along channels and along rows."""
    a, b = conv(x).chunk(2, 1)
    c, d = torch.stack([a, b], 1).unbind(1)
    e = c[:, torch.tensor([1, 0])] + d.flip(1)
    top, bottom = e.split([4, e.shape[2] - 4], 2)
    return up(torch.cat([F.pad(top, (0, 0, 1, 0)), bottom], 1))


WALKED = {
    "swin": (lambda: Swin(), 16, 2),
    "swin, fused": (lambda: Swin(True), 16, 1),
    "patches": (lambda: Patches(), 16, 2),
    "patches, fused": (lambda: Patches(True), 16, 1),
    "stripes": (lambda: Stripes(), 8, 2),
    "parts": (
        lambda: Functional(take_parts, nn.Conv2d(1, 4, 3, 2, 1), nn.ConvTranspose2d(4, 1, 3, 2, 1)),
        18,
        1,
    ),
    "unfold": (lambda: Functional(lambda x: x.unfold(2, 3, 2).sum(-1)), 15, 1),
    "unfold, blocks": (lambda: Functional(lambda x: x.unfold(2, 3, 3).transpose(3, 4).flatten(2, 3)), 15, 1),
    "shuffle": (lambda: Functional(lambda x: F.pixel_unshuffle(x, 2).view(1, 4, -1).view(1, 4, 6, 6)), 12, 1),
    "class token": (lambda: Tokens(), 16, 2),
    "class token last": (lambda: Tokens(last=True), 16, 1),
    "columns": (lambda: Columns(3, 2, 1, 1), 13, 1),
    "columns, dilated": (lambda: Columns(3, 3, 0, 2), 15, 2),
    "block means": (lambda: Functional(lambda x: x.view(1, 1, 4, 3, 4, 3).mean((3, 5))), 12, 1),
    "block sums": (
        lambda: Functional(lambda x: nhwc(x).reshape(1, 4, 3, 4, 3, 1).sum((2, 4)).permute(0, 3, 1, 2)),
        12,
        1,
    ),
    "repeated": (
        lambda: Functional(lambda x: x.repeat_interleave(2, 2)[..., None].repeat(1, 1, 1, 1, 3).flatten(3)),
        5,
        1,
    ),
    "zeros between": (lambda: Functional(lambda x: F.pad(x[..., None], (1, 1)).flatten(3)), 5, 1),
    "turned": (lambda: Functional(lambda x: torch.rot90(x[:, :, 2:], 1, (2, 3))), 7, 1),
    "turned thrice": (
        lambda: Functional(lambda x: torch.rot90(x[:, :, 2:], -1, (2, 3)).rot90(2, (3, 2))),
        7,
        1,
    ),
    "reflected by hand": (
        lambda: Functional(lambda x: x[:, :, torch.tensor([2, 1, 0, 1, 2, 3, 4, 5, 4])]),
        6,
        1,
    ),
    "around by hand": (lambda: Functional(lambda x: torch.cat([x[:, :, -2:], x, x[:, :, :1]], 2)), 6, 1),
    "zeros by hand": (lambda: Functional(lambda x: torch.cat([x.new_zeros(1, 1, 2, 6), x], 2)), 6, 1),
    "split by hand": (lambda: Functional(lambda x: torch.cat(x.tensor_split(3, 2), 2)), 8, 1),
    "from the end": (lambda: Functional(lambda x: x[:, :, torch.arange(-4, 0)]), 6, 1),
    "indexed": (
        lambda: Functional(lambda x: x[:, :, torch.arange(0, 12)[:, None] * 3 // 4, torch.arange(8, 1, -1)]),
        9,
        1,
    ),
    "gathered": (
        lambda: Functional(
            lambda x: torch.take_along_dim(x, torch.arange(8, -1, -2)[None, None, :, None], 2)
        ),
        9,
        1,
    ),
}


@pytest.mark.parametrize("name", WALKED)
def test_windows_tokens_and_parts_are_followed_to_where_the_gradient_is_not_zero(name: str) -> None:
    make, n, batch = WALKED[name]
    torch.manual_seed(0)
    model = make().double()  # type: ignore[operator]
    x = torch.randn(batch, 1, n, n, dtype=torch.float64, requires_grad=True)
    out = model(x)
    _, layout = walked(model, (batch, 1, n, n))
    assert [math.prod(map(grids.size_of, dim)) for dim in layout] == list(out.shape)
    placed = {
        g.source[1]: (dim, g) for dim in range(2, out.ndim) if (g := grids.grid_of(layout[dim])) is not None
    }
    assert placed
    assert all(grid.placed for _, grid in placed.values())
    for axis, (dim, grid) in placed.items():
        for i in range(grid.size):
            part = out.select(dim, i)
            (gradient,) = torch.autograd.grad(part.square().sum() + part.sum(), x, retain_graph=True)
            (reached,) = gradient.abs().sum([d for d in range(4) if d != axis]).nonzero(as_tuple=True)
            expected = (int(reached.min()), int(reached.max())) if len(reached) else None
            got = (int(grid.low[i]), int(grid.high[i])) if grid.low[i] <= grid.high[i] else None
            assert got == expected, (name, axis, i)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("fused", [False, True])
def test_windows_are_no_shuffles_and_patch_merging_no_merge(fused: bool, batch: int) -> None:
    found = us.inspect(Swin(fused), (batch, 1, 32, 32))
    assert [(step.what, step.direction, step.undoes) for step in found.steps] == [
        ("Conv2d", "down", ()),
        ("pixel_unshuffle (slices)", "down", ()),
        ("pixel_shuffle (reshape)", "up", (2,)),
        ("ConvTranspose2d", "up", (1,)),
    ]
    assert found.merges
    assert not found.misaligned
    assert not any(step.unplaced for step in found.steps)
    (sizes,) = found.sizes
    assert "n mod 8 = 0 or 1" in sizes.rule()
    found = us.inspect(Patches(fused), (batch, 1, 32, 32), sizes=False)
    assert [(step.what, step.undoes) for step in found.steps] == [
        ("pixel_unshuffle (reshape)", ()),
        ("pixel_shuffle (reshape)", (1,)),
    ]


def test_windows_of_a_network_that_ends_in_them_are_not_refused() -> None:
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.fc = nn.Conv2d(3, 30, 3, padding=1), nn.Linear(30, 30)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(windows_of(self.embed(x).permute(0, 2, 3, 1), 8))

    found = us.inspect(Windows(), (1, 3, 32, 32))
    assert found.steps == ()
    assert found.sizes[0].rule() == "every multiple of 8"


def test_only_all_slices_together_are_a_pixel_unshuffle() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, :, 0::2], x[:, :, 0::2]], 1)

    found_twice = found(forward, (1, 2, 8, 8))
    assert [step.what for step in found_twice.steps] == ["slice", "slice"]
    other = found(lambda x: torch.cat([x[:, :, 0::2], x[:, :, 1::2]], 1), (1, 2, 8, 8))
    (step,) = other.steps
    assert (step.what, step.scale, step.offset) == ("pixel_unshuffle (slices)", (2, 1), (Fraction(1, 2), 0))
    assert other.merges == ()


STEPS = {
    "block means": (
        lambda x: F.interpolate(x.reshape(1, 4, 4, 2, 4, 2).mean((3, 5)), scale_factor=2) + x,
        [("mean (reshape)", "/2", ()), ("F.interpolate", "nearest x2", (1,))],
    ),
    "block maxima, one axis": (
        lambda x: x.reshape(1, 4, 4, 2, 8).amax(3),
        [("amax (reshape)", "/2", ())],
    ),
    "columns": (
        lambda x: F.fold(F.unfold(x, 2, stride=2), (8, 8), 2, stride=2),
        [("F.unfold", "k2 s2", ()), ("F.fold", "k2 s2", (1,))],
    ),
    "columns of a lost map": (
        lambda x: F.fold(x.flatten(1)[:, torch.randperm(256)].view(1, 16, 16), (8, 8), 2, stride=2),
        [("F.fold", "k2 s2", ())],
    ),
    "copies": (
        lambda x: x[..., None].expand(1, 4, 8, 8, 3).reshape(1, 4, 8, 24),
        [("nearest (reshape)", "x3", ())],
    ),
    "copies, stacked": (lambda x: torch.stack([x, x], 3).flatten(2, 3), [("nearest (reshape)", "x2", ())]),
    "channels, stacked": (
        lambda x: torch.stack([x[:, :2], x[:, 2:]], 3).flatten(2, 3),
        [("pixel_shuffle (reshape)", "x2", ())],
    ),
    "zeros between": (
        lambda x: F.pad(x[..., None], (1, 2)).flatten(3),
        [("bed_of_nails (reshape)", "x4", ())],
    ),
    "an index": (
        lambda x: x[:, :, torch.arange(16)[:, None] // 2, torch.arange(16) // 2][
            :, :, torch.arange(0, 16, 2)
        ],
        [("index", "nearest x2", ()), ("slice", "step 2 from 0", ())],
    ),
    "an index of places": (lambda x: x.flatten(2)[:, :, torch.arange(64)].view(1, 4, 8, 8), []),
    "slices behind an index": (
        lambda x: x[:, :, torch.randperm(8)][:, :, ::2, ::2],
        [("slice", "step 2 from 0", ()), ("slice", "step 2 from 0", ())],
    ),
    "slices behind a layer": (
        lambda x: x.flatten(1)[:, torch.randperm(256)].view(1, 4, 8, 8)[:, :, ::2, 1::2],
        [("slice", "step 2 from 0", ()), ("slice", "step 2 from 1", ())],
    ),
    "no slices of tokens": (lambda x: x.flatten(1)[:, torch.randperm(256)].view(1, 4, 8, 8)[..., ::2], []),
    "a shuffle behind a layer": (
        lambda x: (
            F.avg_pool2d(x.flatten(1)[:, torch.randperm(256)].view(1, 4, 8, 8), 2)
            .view(1, 2, 2, 4, 4)
            .permute(0, 1, 3, 4, 2)
            .reshape(1, 2, 4, 8)
        ),
        [("F.avg_pool2d", "k2 s2", ()), ("pixel_shuffle (reshape)", "x2", ())],
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_that_are_written_with_other_functions(name: str) -> None:
    function, expected = STEPS[name]
    result = us.inspect(Functional(function), (1, 4, 8, 8), sizes=False)
    assert result.failure is None
    assert [(step.what, settings_text(step), step.undoes) for step in result.steps] == expected
    assert all(bool(step.unplaced) == bool(step.lost) for step in result.steps)


def test_what_lies_behind_lost_positions_is_placed_among_itself() -> None:
    """A U-Net behind a layer over the whole map: its pairs, merges and period are known."""

    def forward(x: torch.Tensor, full: nn.Module, conv: nn.Module, up: nn.Module) -> torch.Tensor:
        y = conv(full(x.flatten(1)).view(x.shape))
        return y + up(F.max_pool2d(y, 2))

    layers = nn.Linear(256, 256), nn.Conv2d(1, 1, 3, padding=1), nn.ConvTranspose2d(1, 1, 3, 2, 1, 1)
    result = found(forward, (1, 1, 16, 16), *layers)
    assert [step.unplaced for step in result.steps] == [2, 2]
    assert result.steps[1].undoes == (1,)
    assert "1/2 pixel apart, behind step 2 (ConvTranspose2d k3 s2 p1 op1)" in repr(result)
    assert "lost at Linear in layers.0" in repr(result)


# -- a step is never dropped ------------------------------------------------------------------------------


def lost_in_a_layer(x: torch.Tensor, conv: nn.Module, full: nn.Module, up: nn.Module) -> torch.Tensor:
    y = full(conv(x).flatten(1)).reshape(1, 4, 4, 4)
    return F.interpolate(F.avg_pool2d(up(y), 2), scale_factor=2)


def test_behind_lost_positions_every_step_is_there_and_the_place_is_named() -> None:
    layers = nn.Conv2d(1, 2, 3, 2, 1), nn.Linear(128, 64), nn.ConvTranspose2d(4, 4, 4, 2, 1)
    result = found(lost_in_a_layer, (1, 1, 16, 16), *layers)
    assert [step.what for step in result.steps] == [
        "Conv2d",
        "ConvTranspose2d",
        "F.avg_pool2d",
        "F.interpolate",
    ]
    assert [step.unplaced for step in result.steps] == [0, 2, 2, 2]
    assert [step.receptive_field for step in result.steps[1:]] == [()] * 3
    assert {step.lost for step in result.steps[1:]} == {"Linear in layers.1"}
    assert [step.undoes for step in result.steps] == [
        (),
        (),
        (),
        (3,),
    ]  # what lies behind is placed among itself
    assert "positions:    not known of steps 2, 3, 4: lost at Linear in layers.1" in repr(result)
    assert [row[-3].plain for row in result.table()[2:]] == ["?"] * 3
    assert "lost at Linear in layers.1" in result._repr_html_()
    assert [row["lost"] for row in csv.DictReader(io.StringIO(result.to_csv()))][1] == "Linear in layers.1"


def test_a_generator_of_a_vector_has_all_its_steps() -> None:
    model = nn.Sequential(nn.Linear(32, 128), nn.Unflatten(1, (8, 4, 4)), nn.ConvTranspose2d(8, 4, 4, 2, 1))
    result = us.inspect(model, (1, 32))
    (step,) = result.steps
    assert (step.what, step.unplaced, step.lost) == ("ConvTranspose2d", 2, "")
    assert "not known of step 1: the input has no such axis" in repr(result)


@pytest.mark.parametrize(
    "lose",
    [
        lambda x: x[:, :, torch.randperm(x.shape[2])],
        lambda x: x.index_select(2, torch.randperm(x.shape[2])),
        lambda x: x.index_select(2, torch.tensor([0, 9, 4, 2])),
        lambda x: x.repeat(1, 1, 2, 1),
        lambda x: x.gather(2, torch.zeros_like(x, dtype=torch.int64)),
    ],
)
def test_an_axis_that_is_lost_alone_is_a_question_mark_alone(lose: Any) -> None:
    result = found(lambda x, conv: conv(lose(x)), (1, 1, 16, 16), nn.Conv2d(1, 1, 3, 2, 1))
    step = result.steps[-1]
    assert (step.what, step.unplaced, step.axes, step.receptive_field) == ("Conv2d", 1, (3,), ((3, 3),))


def test_the_period_goes_on_behind_lost_positions() -> None:
    def forward(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
        y = F.max_pool2d(x, 2)[:, :, torch.randperm(x.shape[2] // 2)][
            :, :, :, torch.randperm(x.shape[3] // 2)
        ]
        z = F.max_pool2d(F.max_pool2d(y, 2), 2)
        return torch.cat([y, up(up(z))], 1)

    (sizes,) = us.inspect(Functional(forward, nn.ConvTranspose2d(1, 1, 2, 2)), (1, 1, 32, 32)).sizes
    assert (sizes.rule(), sizes.exact, sizes.period) == (
        "n mod 8 = 0 or 1 from 8 on (8, 9, 16, 17, ...)",
        True,
        8,
    )


# -- pairs and sizes --------------------------------------------------------------------------------------


def test_every_way_up_is_paired_with_what_it_undoes() -> None:
    result = us.inspect(Unet(), (1, 1, 32, 32), sizes=False)
    assert [step.undoes for step in result.steps] == [(), (), (2,), (1,)]
    assert [step.layer for step in result.steps] == ["pool", "pool", "up1", "up2"]
    assert [step.what for step in result.steps] == [
        "MaxPool2d",
        "MaxPool2d",
        "ConvTranspose2d",
        "ConvTranspose2d",
    ]


def test_max_unpooling_is_paired_by_its_switches_and_comes_back_exactly() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        a, one = F.max_pool2d(x, 2, return_indices=True)
        b, two = F.max_pool2d(a, 2, return_indices=True)
        up = F.max_unpool2d(b, two, 2, output_size=a.shape[2:])
        return x + F.max_unpool2d(up, one, 2, output_size=x.shape[2:])

    result = found(forward, (1, 2, 13, 10))
    assert [step.undoes for step in result.steps] == [(), (), (2,), (1,)]
    assert result.merges[0].aligned
    assert all(not any(step.short) and not any(step.shift) for step in result.steps)


def test_switches_and_not_sizes_say_what_an_unpooling_undoes() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        _, one = F.max_pool2d(x, 2, return_indices=True)
        values, _ = F.max_pool2d(-x, 2, return_indices=True)
        return F.max_unpool2d(values, one, 2)

    assert found(forward, (1, 2, 8, 8)).steps[-1].undoes == (1,)


def test_one_way_up_by_four_undoes_two_ways_down() -> None:
    result = found(
        lambda x: F.interpolate(F.avg_pool2d(F.max_pool2d(x, 2), 2), scale_factor=4), (1, 2, 32, 32)
    )
    assert result.steps[2].undoes == (2, 1)


def runs(model: nn.Module, n: int) -> bool:
    try:
        with torch.no_grad():
            model(torch.zeros(1, 1, n, n))
    except (RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    "model",
    [
        Unet(),
        Unet(pool=nn.MaxPool2d(2, ceil_mode=True)),
        Unet(pool=nn.MaxPool2d(3, stride=2, padding=1), up=nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1)),
        Unet(up=nn.Upsample(scale_factor=2), pool=nn.AvgPool2d(3, stride=2)),
        nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(1, 1, 5, stride=3), nn.PixelUnshuffle(2)),
    ],
    ids=["even", "ceil", "odd", "mixed", "unshuffle"],
)
def test_the_sizes_that_work_are_those_that_really_run(model: nn.Module) -> None:
    (sizes,) = us.inspect(model, (1, 1, 48, 48)).sizes
    assert sizes.axes == (2, 3)
    for n in range(1, 70):
        assert sizes.works(n) in (runs(model, n), None if not sizes.exact else runs(model, n)), n
    below, above = sizes.nearest(41)
    assert below is None or runs(model, below)
    assert above is None or runs(model, above)


def test_the_rule_of_two_levels_is_every_multiple_of_four() -> None:
    (sizes,) = us.inspect(Unet(), (1, 1, 32, 32)).sizes
    assert sizes.rule() == "every multiple of 4"
    assert sizes.exact
    assert sizes.whole == sizes.sizes


def test_a_model_that_takes_no_size_says_so() -> None:
    model = Unet(up=nn.Upsample(scale_factor=2), pool=nn.AvgPool2d(3, stride=2))
    (sizes,) = us.inspect(model, (1, 1, 48, 48)).sizes
    assert (sizes.rule(), sizes.exact, sizes.nearest(48)) == ("no size", True, (None, None))


class Positions(nn.Module):
    """A positional embedding of a fixed size, as a decoder of tokens has one."""

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.position, self.pool = nn.Parameter(torch.zeros(1, 1, *size)), nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(self.pool(x + self.position), scale_factor=2)


class Classifier(nn.Module):
    """A way down, then numbers of one size alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.Linear(2 * 12 * 12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv(x).flatten(1))


SIZED = {
    "unet": (Unet, [(32, 32), (34, 34), (8, 40)]),
    "positions": (lambda: Positions(24, 24), [(24, 24), (20, 20), (40, 40)]),
    "oblong": (lambda: Positions(24, 16), [(24, 16)]),
    "classifier": (Classifier, [(24, 24), (23, 24), (40, 40)]),
    "padded": (lambda: nn.Sequential(nn.ReflectionPad2d(9), Unet()), [(46, 46), (10, 14)]),
    "adaptive": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(8), Unet()), [(32, 32)]),
    "fixed": (lambda: Functional(lambda x: x + F.interpolate(x, size=(12, 12))), [(12, 12), (8, 8)]),
}


def runs_with(model: nn.Module, size: list[int]) -> bool:
    try:
        with torch.no_grad():
            model(torch.zeros(1, 1, *size))
    except (RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("name", SIZED)
def test_no_size_is_denied_that_runs_and_none_promised_that_does_not(name: str) -> None:
    make, examples = SIZED[name]
    model = make()  # type: ignore[operator]
    for example in examples:
        found = us.inspect(model, (1, 1, *example))
        for sizes in found.sizes:
            for n in range(1, 120):
                size = [n if axis in sizes.axes else example[axis - 2] for axis in (2, 3)]
                if sizes.apart:
                    size = [n, example[1]]
                said = sizes.works(n)
                assert said is None or said == runs_with(model, size), (example, sizes.axes, n)
            if found.failure is None:
                assert all(sizes.works(example[axis - 2]) for axis in sizes.axes)


def padded_to(x: torch.Tensor, n: int, conv: nn.Module) -> torch.Tensor:
    h, w = x.shape[2:]
    if h % n or w % n:
        x = F.pad(x, (0, -w % n, 0, -h % n))
    return F.interpolate(conv(x), scale_factor=2)[:, :, :h, :w]


def in_tiles(x: torch.Tensor, n: int, conv: nn.Module) -> torch.Tensor:
    if x.shape[2] > n:
        return torch.cat([in_tiles(part, n, conv) for part in x.split(n, 2)], 2)
    return F.interpolate(conv(x), scale_factor=2)


def of_a_table(x: torch.Tensor, n: int, conv: nn.Module) -> torch.Tensor:
    return conv(x + torch.zeros(n)[: x.shape[3]])


ASKING = {
    "pads by hand": (lambda x, conv: padded_to(x, 8, conv), 16, (16, 18)),
    "pads by hand, from an odd size": (lambda x, conv: padded_to(x, 8, conv), 15, (15, 17)),
    "pads alone": (
        lambda x, conv: conv(F.pad(x, (0, -x.shape[3] % 8, 0, -x.shape[2] % 8))),
        15,
        (15, 17),
    ),
    "pads to much": (lambda x, conv: padded_to(x, 1024, conv), 15, (15, 17)),
    "pads where it is even": (
        lambda x, conv: conv(F.pad(x, (0, 0, 0, 1)) if x.shape[2] % 16 == 0 else x),
        17,
        (20, 32),
    ),
    "in tiles": (lambda x, conv: in_tiles(x, 128, conv), 16, (19, 129)),
    "a table": (lambda x, conv: of_a_table(x, 1024, conv), 16, (18, 2048)),
}


@pytest.mark.parametrize("name", ASKING)
def test_nothing_is_exact_where_the_model_asks_for_its_size(name: str) -> None:
    function, n, unlike = ASKING[name]
    model = Functional(function, nn.Conv2d(1, 1, 3, 2, 1))
    result = us.inspect(model, (1, 1, n, n))
    (sizes,) = result.sizes
    assert not sizes.exact
    assert sizes.works(n)
    assert all(sizes.works(m) == runs(model, m) for m in range(1, 24) if sizes.works(m) is not None)
    assert sizes.works(100_000) is None
    assert sizes.unlike == unlike
    assert f"the model does other things at {unlike[1]} than at {unlike[0]}" in repr(result)


@pytest.mark.parametrize(("n", "rule"), [(24, "1, 24 alone"), (16, "1, 24 alone")])
def test_a_parameter_of_one_size_is_met_by_that_size_alone(n: int, rule: str) -> None:
    (sizes,) = us.inspect(Positions(24, 24), (1, 1, n, n)).sizes  # 1 is broadcast
    assert (sizes.rule(), sizes.whole, sizes.exact) == (rule, (24,), True)


def test_what_lies_between_the_sizes_tried_is_known_and_said() -> None:
    found = us.inspect(Unet(), (1, 1, 64, 64))
    (sizes,) = found.sizes
    assert sizes.spans == ((1, 4), (64, 71))
    assert sizes.sizes == tuple(range(4, 72, 4)) == sizes.whole
    assert (
        "every multiple of 4, and the output is as large as the input (every size from 1 to 4 and 64 to 71 "
        in repr(found)
    )


def test_a_search_that_runs_out_of_time_says_what_it_tried_and_no_more() -> None:
    (sizes,) = us.inspect(Unet(), (1, 1, 64, 64), seconds=0).sizes
    assert (sizes.sizes, sizes.exact, sizes.tried, sizes.works(32), sizes.works(68)) == (
        (),
        False,
        63,
        None,
        None,
    )


class Two(nn.Module):
    """Two inputs, the second of half the size."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.cat([a, F.interpolate(b, scale_factor=2)], 1)


def test_inputs_of_the_same_size_are_varied_together_and_others_stay() -> None:
    found = us.inspect(Two(), (torch.ones(1, 3, 8, 8), torch.ones(1, 3, 4, 4)))
    (sizes,) = found.sizes
    assert (sizes.sizes, sizes.exact, sizes.works(8)) == ((8,), True, True)
    assert "of input 1: it runs with 8 alone" in repr(found)
    assert "; input 2 1x3x4x4 as it is)" in repr(found)
    model = nn.Identity()
    model.forward = lambda a, b: Unet.forward(unet, a + b)  # type: ignore[method-assign]
    unet = Unet()
    found = us.inspect(model, (torch.ones(1, 1, 32, 32), torch.ones(1, 1, 32, 32)))
    assert found.sizes[0].rule() == "every multiple of 4"
    assert "of inputs 1 and 2" in repr(found)


def test_a_text_keeps_its_size_whether_it_comes_first_or_last() -> None:
    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet, self.read = Unet(), nn.Linear(6, 1)

        def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            x, text = (x, text) if x.ndim == 4 else (text, x)
            return self.unet(x + self.read(text).reshape(1, 1, 1, 1, 7).sum(-1))

    for example in (
        (torch.ones(1, 1, 32, 32), torch.ones(1, 7, 6)),
        (torch.ones(1, 7, 6), torch.ones(1, 1, 32, 32)),
    ):
        found = us.inspect(Told(), example)
        assert found.sizes[0].rule() == "every multiple of 4"
        assert "1x7x6 as it is" in repr(found)


class Deciding(nn.Module):
    """The way goes on as the values say."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.max_pool2d(x, 2)
        return y * 2 if y.mean() > 0 else y


@pytest.mark.parametrize(
    ("model", "shape", "sentence"),
    [
        (nn.Conv2d(3, 3, 3), (1, 4, 64, 64), "expected input.* to have 3 channels, but got 4"),
        (Two(), (1, 3, 8, 8), "missing 1 required positional argument: 'b'"),
        (
            Deciding(),
            (1, 3, 8, 8),
            r"^the run depends on the values of a tensor \(if ..., item\(\)\), which a run on shapes does ",
        ),
        (Functional(lambda x: x.nonzero()), (1, 3, 8, 8), "how large its result is depends on the values"),
    ],
)
def test_sizes_are_left_out_where_they_are_not_why_it_stops(
    model: nn.Module, shape: Any, sentence: str
) -> None:
    found = us.inspect(model, shape)
    assert found.failure is not None
    assert re.search(sentence, found.failure.sentence)
    assert found.sizes == ()
    assert "sizes:" not in repr(found)


def test_axes_that_are_treated_differently_are_varied_apart() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3, stride=(2, 1), padding=1), nn.PixelUnshuffle(2))
    rows, columns = us.inspect(model, (1, 1, 16, 16)).sizes
    assert (rows.axes, columns.axes) == ((2,), (3,))
    assert [n for n in range(1, 10) if rows.works(n)] == [3, 4, 7, 8]
    assert [n for n in range(1, 10) if columns.works(n)] == [2, 4, 6, 8]


@pytest.mark.parametrize("n", [66, 33])
def test_a_model_that_stops_gives_the_steps_so_far_the_layer_and_the_repair(n: int) -> None:
    result = us.inspect(Unet(), (1, 1, n, n))
    assert result.failure is not None
    assert result.failure.merge
    assert [step.layer for step in result.steps] == ["pool", "pool", "up1", "up2"][: 3 if n == 66 else 4]
    assert "axis 2 has" in result.failure.sentence
    step, whole = result.repairs
    assert "output_size=skip.shape[2:]" in step
    assert whole == f"the input: pad it to {n + -n % 4}x{n + -n % 4} or crop it to {n - n % 4}x{n - n % 4}"


def test_the_repair_of_a_way_up_that_cannot_make_the_size_says_what_it_can() -> None:
    up = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1)
    result = us.inspect(Unet(up), (1, 1, 66, 66), sizes=False)
    assert result.repairs == ("step 3 (up1): it can make 31-32, so pad or crop its result to 33x33",)


def test_an_error_of_a_layer_names_the_layer() -> None:
    model = nn.Sequential(nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(5, 3, 1)))
    result = us.inspect(model, (1, 4, 8, 8), sizes=False)
    assert len(result.steps) == 1
    assert result.failure is not None
    assert result.failure.layer == "1.0"
    assert "stopped" in repr(result)


# -- inputs and outputs as people hold them ---------------------------------------------------------------


@dataclass
class Output:
    """No pytree that torch knows."""

    sample: torch.Tensor
    rest: Any = None


class Held(nn.Module):
    """Takes an image, a mask by keyword and a list of features; gives a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 1, 2, 2)

    def forward(self, x: torch.Tensor, features: Any = (), *, mask: Any = None, scale: int = 1) -> Any:
        for each in features:
            x = x + each
        x = x if mask is None else x * mask
        return Output(self.up(x), UserDict({"in": [x * scale]}))


IMAGE, MASK = torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.int64)


@pytest.mark.parametrize(
    ("example", "inputs"),
    [
        ({"x": IMAGE}, 1),
        ({"x": (1, 3, 8, 8)}, 1),
        ({"x": (1, 3, 8, 8), "features": [(1, 3, 8, 8), [1, 3, 8, 8]]}, 3),
        ({"x": IMAGE, "mask": MASK, "scale": 2}, 2),
        ([IMAGE, [IMAGE, IMAGE]], 3),
        (((1, 3, 8, 8), ((1, 3, 8, 8), (1, 3, 8, 8))), 3),
        ((IMAGE, (IMAGE,)), 2),
    ],
)
def test_arguments_by_keyword_in_lists_and_as_shapes(example: Any, inputs: int) -> None:
    result = us.inspect(Held(), example)
    assert result.failure is None
    assert len(result.input_shapes) == inputs
    assert result.output_shapes == ((1, 1, 16, 16), (1, 3, 8, 8))
    assert [step.what for step in result.steps] == ["ConvTranspose2d"]
    assert result.sizes[0].rule() == "every size"
    assert us.inspect(Held(), example, sizes=False, repeats=1).milliseconds


def test_a_dict_that_has_no_names_of_arguments_is_an_argument() -> None:
    result = found(lambda batch: F.max_pool2d(batch["image"], 2), {"image": IMAGE})  # type: ignore[arg-type]
    assert (result.failure, result.input_shapes) == (None, ((1, 3, 8, 8),))


def test_a_shape_has_the_type_of_the_model_and_another_type_is_named() -> None:
    model = nn.Conv2d(3, 3, 2, 2).half()
    assert us.inspect(model, (1, 3, 8, 8)).failure is None
    result = us.inspect(model, torch.zeros(1, 3, 8, 8))
    assert result.failure is not None
    assert result.failure.sentence.startswith("the model is float16, the example float32 (")
    assert result.sizes == ()
    words = nn.Sequential(nn.Embedding(9, 4), nn.Conv1d(7, 7, 2, 2))
    assert us.inspect(words, torch.zeros(1, 7, dtype=torch.int64)).failure is None


# -- values that do not depend on the input ---------------------------------------------------------------


class Buffered(nn.Module):
    """Stride, kernel and a table are buffers and attributes, as in EnCodec; they say how much is padded."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv1d(1, 4, 8, 4), nn.ConvTranspose1d(4, 1, 8, 4)
        self.register_buffer("stride", torch.tensor(4))
        self.register_buffer("count", torch.tensor(0))
        self.table, self.weight = torch.tensor([1, 2]), nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = torch.ceil((x.shape[-1] - 8 + 4) / self.stride + 1).to(torch.int64)  # type: ignore[operator]
        extra = int((frames - 1) * self.stride + 8 - 4) - x.shape[-1]  # type: ignore[operator]
        if self.table.sum() > 2 and self.weight > 0:
            x = F.pad(x, (2, 2 + extra))
        mask = x.new_ones(5).bool()
        mask[2] = False
        assert mask.nonzero().shape == (4, 1)
        return self.up(self.down(x)) + self.table[mask[:2]].sum()


def back_to_sound(x: torch.Tensor) -> torch.Tensor:
    y = F.max_pool1d(x, 2)
    return torch.istft(torch.complex(y, y), 16, window=torch.hann_window(16))


@pytest.mark.parametrize(
    ("model", "shape"),
    [(Buffered(), (1, 1, 33)), (Functional(back_to_sound), (1, 9, 40))],
)
def test_values_of_the_model_alone_do_not_stop_it(model: nn.Module, shape: tuple[int, ...]) -> None:
    result = us.inspect(model, shape)
    assert result.failure is None
    assert result.steps
    assert result.output_shapes == (tuple(model(torch.zeros(shape)).shape),)
    assert result.sizes[0].works(shape[2] + 3)


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: torch.equal(x, x + 1),
        lambda x: x.mean() > 0,
        lambda x: torch.zeros(3).index_put((torch.tensor([1]),), x.mean()).sum() > 0,
        lambda x: torch.zeros(3).copy_(x.flatten()[:3]).sum() > 0,
        lambda x: torch.zeros(3)[1:].copy_(x.flatten()[:2])._base.sum() > 0,  # type: ignore[union-attr]
        lambda x: torch.zeros(3).add_(x.mean()).sum() > 0,
        lambda x: torch.rand(()) > 0.5,
        lambda x: torch.bernoulli(torch.full((3,), 0.5)).sum() > 1,
        lambda x: torch.add(torch.ones(3), 1, out=x.new_zeros(3)).add_(x.mean()).sum() > 0,
    ],
)
def test_values_of_the_input_and_random_ones_do(decide: Any) -> None:
    result = us.inspect(Functional(lambda x: x if decide(x) else F.max_pool2d(x, 2)), (1, 1, 8, 8))
    assert result.failure is not None
    assert result.failure.sentence.startswith("the run depends on the values of a tensor")


def down_as_often(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    for _ in range(int(x.max())):
        x = F.max_pool2d(norm(x), 2)
    return x


def some_places(x: torch.Tensor, conv: nn.Module) -> torch.Tensor:
    y = F.max_pool2d(x, 2)
    places = y.nonzero()
    out = torch.zeros_like(y)
    out[tuple(places.T)] = y[y > 0].sort().values + torch.unique(places[:, 3]).sum()
    return F.interpolate(conv(out), scale_factor=2)


DECIDED = {
    "to one side": (
        lambda x, _: F.max_pool2d(x, 2) if x.mean() > 0 else F.interpolate(x, scale_factor=2),
        1.0,
        ["down"],
    ),
    "to the other": (
        lambda x, _: F.max_pool2d(x, 2) if x.mean() > 0 else F.interpolate(x, scale_factor=2),
        -1.0,
        ["up"],
    ),
    "a loop": (down_as_often, 3.0, ["down"] * 3),
    "places": (some_places, 1.0, ["down", "up"]),
    "two questions": (
        lambda x, _: F.max_pool2d(x, 2 + int(x.sum() > 0)) if torch.equal(x, x.abs()) else x[x > 0],
        1.0,
        ["down"],
    ),
}


@pytest.mark.parametrize("name", DECIDED)
def test_values_of_a_tensor_that_is_given_decide(name: str) -> None:
    function, value, directions = DECIDED[name]
    model, x = Functional(function, nn.ReLU()), torch.full((1, 1, 8, 8), value)
    result = us.inspect(model, x)
    assert result.failure is None
    assert [step.direction for step in result.steps] == directions
    assert result.output_shapes == (tuple(model(x).shape),)
    assert result.decided == ("",)
    assert result.sizes == ()
    assert "those of the example decide in the model" in repr(result)
    assert json.loads(result.to_json())["decided"] == [""]
    given_shape = us.inspect(model, (1, 1, 8, 8))
    assert given_shape.failure is not None
    assert "inspect the module with a tensor as its example" in given_shape.failure.sentence
    assert given_shape.decided == ()


def test_a_run_on_values_that_goes_another_way_decides_nothing() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x * int(x.sum()) if type(x) is torch.Tensor else x * len(x.nonzero())

    result = us.inspect(Functional(forward), torch.ones(1, 1, 8, 8))
    assert result.failure is not None
    assert result.failure.sentence.startswith("nonzero of (1, 1, 8, 8): how large its result is depends on")


def test_where_values_decide_nothing_of_the_model_changes() -> None:
    model = Functional(down_as_often, nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5)))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    x = torch.full((1, 1, 8, 8), 1.0)
    assert us.inspect(model, x).decided == ("",)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert torch.equal(state, torch.get_rng_state())
    assert x.eq(1).all()


def test_what_a_model_counts_in_a_buffer_stays_as_it_is() -> None:
    class Counts(Buffered):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count += 1  # type: ignore[operator]
            return super().forward(x)

    model = Counts()
    assert us.inspect(model, (1, 1, 33)).failure is None
    assert int(model.count) == 0
    outside = torch.zeros(3)
    us.inspect(Functional(lambda x: x + outside.add_(1).sum()), (1, 1, 8))
    assert outside.tolist() == [0, 0, 0]


def test_a_layer_whose_weight_is_computed_has_its_own_name() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(1, 1, 4, 2, 1))
    (step,) = us.inspect(nn.Sequential(layer), (1, 1, 8), sizes=False).steps
    assert (step.layer, step.what) == ("0", "ConvTranspose1d")


@pytest.mark.parametrize("how", ["traced", "scripted", "inference"])
def test_a_traced_module_and_inference_mode_have_all_steps(how: str) -> None:
    class Inference(Functional):
        @torch.inference_mode()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x)

    x, unet = torch.zeros(1, 1, 32, 32), Unet()
    make = {
        "traced": lambda: torch.jit.trace(unet, x),
        "scripted": lambda: torch.jit.script(unet),
        "inference": lambda: Inference(lambda x, net: net(x), unet),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make[how]()
    ours, theirs = us.inspect(unet, x), us.inspect(model, x)
    for a, b in itertools.zip_longest(ours.steps, theirs.steps):
        for name in ("direction", "output_shape", "multiply_adds", "offset", "undoes", "receptive_field"):
            assert getattr(a, name) == getattr(b, name)
    assert ours.multiply_adds == theirs.multiply_adds
    assert ours.checkerboard == theirs.checkerboard > 0
    assert [m.apart for m in ours.merges] == [m.apart for m in theirs.merges]
    assert ours.sizes[0].rule() == theirs.sizes[0].rule()


# -- checkerboard -----------------------------------------------------------------------------------------


def score(layer: nn.Module, channels: int = 4) -> Any:
    return us.inspect(layer, (1, channels, 8, 8), sizes=False).steps[0].checkerboard


FRESH = {
    "2x2": lambda: nn.ConvTranspose2d(16, 8, 2, 2),
    "3x3, uneven": lambda: nn.ConvTranspose2d(16, 8, 3, 2),
    "vocoder": lambda: nn.ConvTranspose1d(16, 8, 16, 8),
    "volume": lambda: nn.ConvTranspose3d(16, 4, 2, 2),
}


@pytest.mark.parametrize("name", FRESH)
def test_a_fresh_kernel_is_called_one(name: str) -> None:
    torch.manual_seed(0)
    layer = FRESH[name]()
    result = us.inspect(layer, (1, 16, *(8,) * (layer.weight.ndim - 2)), sizes=False)
    (step,) = result.steps
    assert step.checkerboard is not None
    assert step.checkerboard.fresh
    assert "as a fresh random kernel has" in repr(result)
    assert json.loads(result.to_json())["steps"][0]["checkerboard_band"] == "as a fresh random kernel has"


@pytest.mark.parametrize(("part", "band"), [(0.0, "none"), (0.3, "weak"), (0.5, "visible"), (2.0, "strong")])
def test_a_trained_kernel_has_a_band(part: float, band: str) -> None:
    """All phases answer alike, and the first adds a part of that."""
    layer = nn.ConvTranspose2d(16, 8, 2, stride=2)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(16, 8, 1, 1).expand(16, 8, 2, 2))
        layer.weight[..., 0, 0] *= 1 + 2 * part
    score = us.inspect(layer, (1, 16, 8, 8), sizes=False).steps[0].checkerboard
    assert score is not None
    assert (score.band, score.fresh) == (band, False)


def test_few_numbers_are_not_called_fresh() -> None:
    score = us.inspect(nn.ConvTranspose2d(1, 1, 2, stride=2), (1, 1, 8, 8), sizes=False).steps[0].checkerboard
    assert score is not None
    assert not score.fresh


def test_the_score_is_the_spread_of_the_answer_to_flat_inputs() -> None:
    torch.manual_seed(0)
    # Under stride 4 a dilation of 2 leaves two phases without taps.
    layer = nn.ConvTranspose2d(4, 6, 5, stride=(2, 4), dilation=(1, 2), groups=2, bias=False).double()
    # Flat input, one channel at a time; the answer far from the border, phase by phase.
    energy = spread = 0.0
    for c in range(4):
        x = torch.zeros(1, 4, 16, 16, dtype=torch.float64)
        x[:, c] = 1
        out = layer(x).detach().numpy()[0]
        begin = 12
        block = np.stack([out[:, begin + r, begin + q] for r in range(2) for q in range(4)], -1)
        energy += (block**2).sum()
        spread += ((block - block.mean(-1, keepdims=True)) ** 2).sum()
    assert score(layer).value == pytest.approx(spread / energy, rel=1e-12)


def test_uneven_overlap_of_equal_weights_scores_as_counted_by_hand() -> None:
    layer = nn.ConvTranspose2d(4, 4, 3, stride=2)
    nn.init.ones_(layer.weight)
    got = score(layer)
    # Phases answer 4, 2, 2, 1: mean 9/4, mean square 25/4.
    assert got.value == pytest.approx(1 - (9 / 4) ** 2 / (25 / 4), rel=1e-12)
    assert got.overlap == ((2, 1), (2, 1))
    assert not got.even


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_icnr_scores_nothing_and_is_the_remedy(kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(4, 4, kernel, stride=2)
    before = score(layer)
    assert before.value > 0.3
    remedies = dict(before.remedies)
    ut.init.icnr_(layer)
    assert score(layer).value == pytest.approx(0, abs=1e-12)
    assert remedies["init.icnr_ (a new start)"] == pytest.approx(0, abs=1e-12)


def test_the_other_remedy_scores_what_it_says() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1))
    remedies = dict(us.inspect(model, (1, 4, 8, 8), sizes=False).steps[0].checkerboard.remedies)
    ut.set_upsampler(model, "resize_conv")
    after = us.inspect(model, (1, 4, 8, 8), sizes=False)
    assert remedies["set_upsampler(model, 'resize_conv')"] == after.checkerboard == 0


@pytest.mark.parametrize("order", ["CRD", "DCR"])
def test_a_convolution_before_a_shuffle_is_scored_with_its_bias(order: str) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 12, 3, padding=1).double()

    def forward(x: torch.Tensor, conv: nn.Module) -> torch.Tensor:
        return ut.pixel_shuffle(F.relu(conv(x)), (2, 2), order=order)

    first = found(forward, (1, 4, 8, 8), conv)
    assert first.checkerboard > 0.3
    ut.init.icnr_(conv, 2, order=order)
    assert found(forward, (1, 4, 8, 8), conv).checkerboard == pytest.approx(0, abs=1e-12)
    with torch.no_grad():
        conv.bias[0] += 1
    assert found(forward, (1, 4, 8, 8), conv).checkerboard > 0.01


def test_a_pixel_shuffle_written_with_reshapes_is_seen_and_scored() -> None:
    torch.manual_seed(0)
    conv = nn.Conv3d(2, 16, 1)

    def forward(x: torch.Tensor, conv: nn.Module) -> torch.Tensor:
        y = conv(x)
        n, c, *size = y.shape
        y = y.reshape(n, c // 8, 2, 2, 2, *size).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return y.reshape(n, c // 8, *(2 * s for s in size))

    (step,) = found(forward, (1, 2, 4, 5, 6), conv).steps
    assert (step.what, step.direction, step.output_shape) == (
        "pixel_shuffle (reshape)",
        "up",
        (1, 2, 8, 10, 12),
    )
    assert step.scale == (Fraction(1, 2),) * 3
    assert step.offset == (Fraction(-1, 4),) * 3
    assert step.checkerboard is not None
    assert 0.5 < step.checkerboard.value < 1
    ut.init.icnr_(conv, (2, 2, 2))
    assert found(forward, (1, 2, 4, 5, 6), conv).checkerboard == pytest.approx(0, abs=1e-12)


def test_bed_of_nails_scores_one_less_one_phase() -> None:
    assert score(ut.BedOfNails((2, 2))).value == 0.75
    assert score(ut.Nearest((2, 2))).value == 0
    assert transposed_response(np.ones((1, 1, 3)), [2], [1]).tolist() == [[[2.0, 1.0]]]


# -- what it costs ----------------------------------------------------------------------------------------


class Varied(nn.Module):
    """Pooling with indices, in-place operations, batch statistics, interpolation, our operators."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu_(self.norm(self.conv(x)))
        z = F.max_pool2d(y, 2)
        values, switches = ut.max_pool(y, 2)
        back = ut.max_unpool(values, switches)
        return self.up(y + F.interpolate(z, scale_factor=2, mode="bilinear") * back)


def kept_for_backward(model: nn.Module, x: torch.Tensor) -> int:
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    seen: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(model(x))
    return sum(seen.values())


@pytest.mark.parametrize("model", [Varied(), Unet()], ids=["varied", "unet"])
def test_saved_bytes_are_what_autograd_really_keeps(model: nn.Module) -> None:
    x = torch.randn(2, 3 if isinstance(model, Varied) else 1, 16, 16)
    result = us.inspect(model, x, sizes=False)
    assert result.saved_bytes == kept_for_backward(copy.deepcopy(model), x) > 0


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(True), nn.LeakyReLU(0.1, True), nn.ELU(inplace=True), nn.SiLU(True), nn.Hardtanh(inplace=True)],
)
@pytest.mark.parametrize("norm", [nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4)])
def test_saved_bytes_of_activations_in_place_behind_a_norm(activation: nn.Module, norm: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), norm, activation, nn.ConvTranspose2d(4, 1, 4, 2, 1))
    x = torch.randn(2, 1, 16, 16)
    assert us.inspect(model, x, sizes=False).saved_bytes == kept_for_backward(copy.deepcopy(model), x) > 0


def test_switches_are_eight_bytes_in_torch_and_one_here() -> None:
    result = us.inspect(Varied(), (2, 3, 16, 16), sizes=False)
    theirs, ours = (step for step in result.steps if "pool" in step.what and step.direction == "down")
    windows = 2 * 4 * 4 * 4
    assert (theirs.what, theirs.switch_bytes) == ("F.max_pool2d", 8 * windows)
    assert (ours.what, ours.switch_bytes) == ("unsample.max_pool", windows)
    assert theirs.activation_bytes == windows * (4 + 8)


def test_a_frozen_model_keeps_nothing() -> None:
    assert us.inspect(Unet().requires_grad_(False), (1, 1, 16, 16), sizes=False).saved_bytes == 0


def test_times_are_measured_where_asked_for() -> None:
    result = us.inspect(Unet(), (1, 1, 16, 16), sizes=False, repeats=2)
    assert all(step.milliseconds is not None and step.milliseconds > 0 for step in result.steps)
    assert us.inspect(Unet().to("meta"), (1, 1, 16, 16), sizes=False, repeats=2).milliseconds is None


# -- the model stays as it is -----------------------------------------------------------------------------


def test_nothing_of_the_model_changes() -> None:
    class Careless(Varied):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.last = x
            self.calls = getattr(self, "calls", 0) + 1
            random.random()
            np.random.rand()  # noqa: NPY002
            return F.dropout(super().forward(x), 0.5)

    model = Careless().train()
    calls = []
    model.conv.register_forward_hook(lambda *_: calls.append(1))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    objects = {name: id(value) for name, value in model.named_parameters()}
    hooks = [len(layer._forward_hooks) for layer in model.modules()]
    everywhere = (
        len(nn.modules.module._global_forward_hooks),
        len(nn.modules.module._global_forward_pre_hooks),
    )
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    for repeats in (0, 1):
        us.inspect(model, (2, 3, 16, 16), repeats=repeats)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])
    assert model.training
    assert not hasattr(model, "last")
    assert not hasattr(model, "calls")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert {name: id(value) for name, value in model.named_parameters()} == objects
    assert all(p.grad is None for p in model.parameters())
    assert [len(layer._forward_hooks) for layer in model.modules()] == hooks
    assert everywhere == (
        len(nn.modules.module._global_forward_hooks),
        len(nn.modules.module._global_forward_pre_hooks),
    )


def test_a_model_on_the_meta_device_needs_no_memory() -> None:
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Conv2d(3, 20_000, 3, stride=2), nn.ConvTranspose2d(20_000, 20_000, 2, stride=2)
        )
    result = us.inspect(model, (64, 3, 4097, 4097), sizes=False)  # 20 TB if it were real
    assert result.steps[1].output_shape == (64, 20_000, 4096, 4096)
    assert result.steps[1].checkerboard is not None
    assert result.steps[1].checkerboard.value is None


# -- what comes out ---------------------------------------------------------------------------------------


def test_json_csv_and_html_say_the_same() -> None:
    result = us.inspect(Unet(), (1, 1, 32, 32))
    document = json.loads(result.to_json())
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert tuple(rows[0]) == FIELDS
    assert len(rows) == len(document["steps"]) == 4
    for row, step, given in zip(rows, document["steps"], result.steps, strict=True):
        assert row["layer"] == step["layer"] == given.layer
        assert int(row["multiply_adds"]) == step["multiply_adds"] == given.multiply_adds
        assert row["offset"] == "x".join(step["offset"])
    page = result._repr_html_()
    assert all(step.layer in page for step in result.steps)


@pytest.mark.promise("95")
def test_html_and_csv_escape_names() -> None:
    model = nn.Sequential()
    model.add_module("=<script>", nn.MaxPool2d(2))
    result = us.inspect(model, (1, 1, 8, 8), sizes=False)
    assert "<script>" not in result._repr_html_()
    assert "\n1,'=<script>," in result.to_csv()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("checkerboard>0.2", True),
        ("checkerboard > .9", False),
        ("steps==4 and failed == 0", True),
        ("steps<4 or parameters>=1e3", True),
        ("steps<4 and parameters>=1e3", False),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    torch.manual_seed(0)
    result = us.inspect(Unet(), (1, 1, 32, 32), sizes=False)
    assert set(result.numbers()) == set(conditions.NAMES)
    assert (conditions.parse(text).holds(result.numbers()) is not None) == holds


@pytest.mark.parametrize(
    "text", ["", "checkerboard", "1<2", "checkerboard>x", "a>1", "checkerboard>1;", "f(1)>2"]
)
def test_other_conditions_are_refused(text: str) -> None:
    with pytest.raises(us.ShapeError, match=r"^inspect: fail-if must be"):
        conditions.parse(text)


@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        (3, (1, 1), r"inspect: model must be a torch.nn.Module, .*, got 3 \(int\)"),
        (nn.ReLU(), "x", r"inspect: example must be a tensor, a shape .*, got 'x' \(str\)"),
        (nn.ReLU(), None, r"inspect: example must be a tensor, a shape .*"),
        (nn.ReLU(), (1, -1), r"inspect: a shape must not be negative, got \(1, -1\)"),
        ("model.pt", None, r"inspect: model.pt: files of pickled modules are never opened, .*"),
        (
            "model.h5",
            None,
            r"inspect: model must be a .pt2 or .onnx file or package.module:factory, got model.h5",
        ),
        ("none.pt2", None, r"inspect: the file must exist, got none.pt2"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(model: Any, example: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{message}$"):
        us.inspect(model, example)


def test_an_exported_program_says_the_same_as_its_model(tmp_path: Path) -> None:
    model, x = Unet(), torch.zeros(1, 1, 32, 32)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "model.pt2")
    direct, loaded = us.inspect(model, x, sizes=False), us.inspect(tmp_path / "model.pt2", sizes=False)
    for a, b in itertools.zip_longest(direct.steps, loaded.steps):
        for name in (
            "layer",
            "what",
            "output_shape",
            "multiply_adds",
            "saved_bytes",
            "offset",
            "undoes",
            "checkerboard",
        ):
            assert getattr(a, name) == getattr(b, name)
