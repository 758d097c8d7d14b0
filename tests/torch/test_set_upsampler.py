"""Swapping ways up: every kind for every other, with the same effect on shapes, and a report that says so."""

import json
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unsample as us
import unsample.torch as ut
from unsample.torch.models.set_upsampler import LEARNED, UPSAMPLERS

KINDS = {
    "nearest": ut.Nearest,
    "bed_of_nails": ut.BedOfNails,
    "linear": ut.Upsample,
    "blur": ut.BlurUp,
    "conv_transpose": ut.ConvTranspose2d,
    "pixel_shuffle": ut.SubPixelConv,
    "resize_conv": ut.ResizeConv,
    "carafe": ut.CARAFE,
    "dysample": ut.DySample,
}

WAYS_UP: dict[str, Any] = {
    "torch-conv_transpose": lambda: nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1),
    "torch-upsample": lambda: nn.Upsample(scale_factor=2),
    "torch-bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "torch-nearest2d": lambda: nn.UpsamplingNearest2d(scale_factor=2),
    "torch-shuffle": lambda: nn.PixelShuffle(2),
    "conv_transpose": lambda: ut.ConvTranspose2d(8, 8, 4, stride=2, padding="same"),
    "nearest": lambda: ut.Nearest(2),
    "nails": lambda: ut.BedOfNails((2, 2)),
    "blur": lambda: ut.BlurUp(2),
    "resize_conv": lambda: ut.ResizeConv(8, 4),
    "sub_pixel": lambda: ut.SubPixelConv(8, 4),
    "carafe": lambda: ut.CARAFE(8),
    "dysample": lambda: ut.DySample(8),
}


def model_with(way: Any) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sequential(nn.ReLU(), way()))


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("way", WAYS_UP)
def test_every_kind_for_every_other(way: str, upsampler: str) -> None:
    model, x = model_with(WAYS_UP[way]), torch.randn(2, 3, 5, 6)
    before = model(x)
    report = ut.set_upsampler(model, upsampler, example=x)
    if KINDS[upsampler] is type(WAYS_UP[way]()) and upsampler in LEARNED:
        assert [swap.kept for swap in report.swaps] == ["it is one already"]
        assert torch.equal(model(x), before)
        return
    assert len(report.changed) == 1, report
    after = model(x)
    assert after.shape == before.shape
    kinds = [type(module) for module in model.modules()]
    assert KINDS[upsampler] in kinds
    (swap,) = report.swaps
    assert swap.name == "1.1"
    assert swap.channels == (8, before.shape[1])
    assert swap.factor == (2, 2)
    assert swap.parameters[1] == sum(p.numel() for p in model[1][1].parameters())
    if swap.weights == "kept":
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    again = ut.set_upsampler(model, "blur" if upsampler == "nearest" else "nearest", example=x)
    assert again.changed  # what was put there is a way up again
    assert model(x).shape == before.shape
    again.restore()
    assert torch.equal(model(x), after)
    report.restore()
    assert torch.equal(model(x), before)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("upsampler", ["conv_transpose", "pixel_shuffle"])
def test_what_an_old_way_did_is_kept_where_the_new_one_can_say_it(upsampler: str, rank: int) -> None:
    factor = (2, 3, 2)[:rank]
    conv: Any = getattr(nn, f"ConvTranspose{rank}d")
    for old, expected in {
        conv(4, 5, factor, stride=factor): "kept",
        conv(4, 5, [f + 2 for f in factor], stride=factor, padding=1): "kept",
        nn.Upsample(scale_factor=factor): "kept",
        ut.BedOfNails(factor): "kept",
        ut.SubPixelConv(4, 5, 1, factor): "kept",
        ut.CARAFE(4): "new",
    }.items():
        if isinstance(old, ut.CARAFE) and rank != 2:
            continue
        x = torch.randn(2, 4, *(7, 6, 5)[:rank])
        model = nn.Sequential(old)
        before = model(x)
        report = ut.set_upsampler(model, upsampler, example=x)
        (swap,) = report.swaps
        if swap.kept:
            assert (swap.kept, upsampler, rank) == ("it is one already", "conv_transpose", 1)
            continue
        assert swap.weights == expected, old
        assert ("train the model" in repr(report)) == (swap.weights == "new")
        if swap.weights == "kept":
            torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-5)


def test_a_border_that_is_clamped_is_not_what_a_convolution_says() -> None:
    x = torch.randn(1, 4, 7, 6)
    model = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"))
    before = model(x)
    assert ut.set_upsampler(model, "conv_transpose", example=x).swaps[0].weights == "kept inside"
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(model(x)[inside], before[inside], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model(x), before, atol=1e-3)


def test_weights_may_start_anew() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, stride=2))
    report = ut.set_upsampler(model, "pixel_shuffle", keep_weights=False)
    assert report.swaps[0].weights == "new"
    assert json.loads(report.to_json())["swaps"][0]["weights"] == "new"
    assert (
        "weights that are new know nothing yet: train the model, or fine-tune it" in repr(report).splitlines()
    )


def test_hooks_and_what_others_wrote_on_a_layer_stay() -> None:
    seen: list[torch.Size] = []
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, stride=2))
    old: Any = model[0]
    old.i, old.f = 7, -1  # as YOLO tells its layers where they are
    old.register_forward_hook(lambda layer, inputs, output: seen.append(output.shape))
    ut.set_upsampler(model, "resize_conv")
    assert not seen  # nothing is tried on what listens
    assert (model[0].i, model[0].f) == (7, -1)
    assert not hasattr(model[0], "kernel_size")
    model(torch.zeros(1, 4, 3, 3))
    assert seen == [(1, 4, 6, 6)]


def test_hooks_with_options_stay_hooks_with_options() -> None:
    seen: list[Any] = []
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, stride=2))
    model[0].register_forward_pre_hook(lambda layer, args, kwargs: seen.append(kwargs), with_kwargs=True)
    ut.set_upsampler(model, "resize_conv")
    model(torch.zeros(1, 4, 3, 3))
    assert seen == [{}]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # the older functions of torch
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.parametrize("upsampler", UPSAMPLERS)
def test_a_norm_of_the_old_weights_does_not_move_to_the_new(norm: Any, upsampler: str) -> None:
    model, x = nn.Sequential(norm(nn.ConvTranspose2d(4, 4, 2, stride=2))).eval(), torch.randn(1, 4, 3, 3)
    before = model(x)
    (swap,) = ut.set_upsampler(model, upsampler, example=x).swaps
    after = model(x)
    assert after.shape == before.shape
    if swap.weights == "kept":
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    model.state_dict()


TABLE = """\
set_upsampler 'nearest': 2 of 4 swapped
layer  was              is                                          channels  factor  parameters  weights
0      ConvTranspose2d  Nearest                                     8 -> 8    2x2     264 -> 0    none
1      Upsample         Nearest                                     ? -> ?    2       0 -> 0      none
2      ConvTranspose2d  kept: it makes 2 n + 1 of n                 8 -> 4    2x2     292 -> 292
3      MaxUnpool2d      kept: it needs the switches of its pooling  ? -> ?    2x2     0 -> 0
functions that the model calls are not listed: example= would show them"""


def test_report_is_a_table() -> None:
    model = nn.Sequential(
        nn.ConvTranspose2d(8, 8, 2, stride=2),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(8, 4, 3, stride=2),
        nn.MaxUnpool2d(2),
        nn.ConvTranspose2d(4, 4, 3),
    )
    report = ut.set_upsampler(model, "nearest")
    assert repr(report) == TABLE
    lines = repr(ut.set_upsampler(nn.Linear(2, 2), "blur")).splitlines()
    assert lines[0].endswith("the model has no layer that is a way up")
    assert lines[1:] == TABLE.splitlines()[-1:]


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1), "it makes 2 n - 1 of n"),
        (nn.ConvTranspose2d(4, 4, 3, stride=2), "it makes 2 n + 1 of n"),
        (nn.LazyConvTranspose2d(4, 2, stride=2), "it has not seen an input yet"),
        (nn.Upsample(size=(4, 4)), "it makes the fixed size (4, 4)"),
        (nn.Upsample(scale_factor=1.5), "its factor 1.5 is no whole number"),
        (nn.Upsample(scale_factor=2), "example= must be given to know its channels"),
        (nn.PixelShuffle(2), "example= must be given to know its channels"),
        (nn.MaxUnpool2d(2), "it needs the switches of its pooling"),
    ],
)
def test_what_is_kept_says_why(layer: nn.Module, why: str) -> None:
    model = nn.Sequential(layer)
    report = ut.set_upsampler(model, "pixel_shuffle")
    assert [swap.kept for swap in report.swaps] == [why]
    assert model[0] is layer


def test_axes_of_an_upsample_come_from_an_example() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2))
    assert ut.set_upsampler(model, "linear").swaps[0].kept == "example= must be given to know its axes"
    ut.set_upsampler(model, "linear", example=torch.zeros(1, 2, 3))
    assert model(torch.zeros(1, 2, 3)).shape == (1, 2, 6)


class Skipping(nn.Module):
    """A decoder that names the size, and one way up used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 3, 4, stride=2, padding=1)
        self.again = self.up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.again(self.up(x, output_size=(10, 12)))
        return result


def test_one_layer_in_two_places_stays_one() -> None:
    model = Skipping().double().eval()
    report = ut.set_upsampler(model, "resize_conv")
    assert [swap.name for swap in report.changed] == ["up", "again"]
    assert model.up is model.again
    assert not model.up.training
    assert model(torch.zeros(1, 3, 5, 6, dtype=torch.float64)).shape == (1, 3, 20, 24)


def test_only_some() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2))
    report = ut.set_upsampler(model, "blur", only=lambda name, layer: name == "1")
    assert [type(each) for each in model] == [nn.Upsample, ut.BlurUp]
    assert len(report.swaps) == 1


def test_an_example_shows_what_a_layer_really_makes() -> None:
    model = Skipping()
    model.up = model.again = nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1)
    report = ut.set_upsampler(model, "nearest", example=torch.zeros(1, 3, 5, 6))
    assert all(swap.kept for swap in report.swaps)


CALLED: dict[str, Any] = {
    "F.interpolate": lambda x: F.interpolate(x, scale_factor=2),
    "F.interpolate by keyword": lambda x: F.interpolate(input=x, size=(8, 10), mode="bilinear"),
    "F.pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "F.conv_transpose2d": lambda x: F.conv_transpose2d(x, torch.ones(4, 3, 2, 2), stride=2),
    "F.conv_transpose2d by keyword": lambda x: F.conv_transpose2d(
        input=x, weight=torch.ones(4, 3, 2, 2), stride=2
    ),
    "F.max_unpool2d": lambda x: F.max_unpool2d(
        x, torch.arange(20).mul(2).reshape(1, 1, 4, 5).expand(2, 4, 4, 5), 2
    ),
    "unsample.nearest": lambda x: us.nearest(x, 2),
    "unsample.bed_of_nails": lambda x: us.bed_of_nails(x, 2),
    "unsample.resize": lambda x: us.resize(x, (8, 10)),
    "unsample.pixel_shuffle": lambda x: us.pixel_shuffle(x, 2),
    "unsample.conv_transpose": lambda x: ut.conv_transpose(x, torch.ones(4, 3, 2, 2), stride=2),
    "unsample.max_unpool": lambda x: us.max_unpool(x, us.max_pool(torch.ones(2, 4, 8, 10), 2)[1]),
}


class Calls(nn.Module):
    """Calls a function, beside a layer that calls one too."""

    def __init__(self, function: Any, up: nn.Module) -> None:
        super().__init__()
        self.function, self.up = function, up

    def forward(self, x: Any) -> Any:
        small = F.interpolate(x, scale_factor=0.5)  # a way down
        return self.function(x), self.function(x), self.up(x), small


@pytest.mark.parametrize("up", [nn.Upsample(scale_factor=2), ut.Nearest(2), nn.ConvTranspose2d(4, 4, 2, 2)])
@pytest.mark.parametrize("name", CALLED)
def test_ways_up_that_are_called_as_functions_are_listed(name: str, up: nn.Module) -> None:
    model, x = nn.Sequential(Calls(CALLED[name], up)), torch.randn(2, 4, 4, 5)
    before = model(x)[0]
    report = ut.set_upsampler(model, "blur", example=x)
    layer, call = report.swaps
    assert (layer.name, layer.kept) == ("0.up", "")
    assert (call.name, call.was, call.now) == ("0", name.split()[0], name.split()[0])
    assert call.kept == "it is a call in forward, and no layer"
    assert call.channels == (4, before.shape[1])
    assert call.factor == (2, 2)
    assert json.loads(report.to_json())["watched"]
    assert "example=" not in repr(report)
    assert torch.equal(model(x)[0], before)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    some = ut.set_upsampler(model, "nearest", example=x, only=lambda name, layer: name == "0")
    assert [swap.was for swap in some.swaps] == [call.was]
    some = ut.set_upsampler(model, "nearest", example=x, only=lambda name, layer: name == "0.up")
    assert [swap.name for swap in some.swaps] == ["0.up"]


def test_calls_of_other_factors_and_of_the_model_itself() -> None:
    class Up(nn.Module):
        def forward(self, x: Any) -> Any:
            return F.interpolate(F.interpolate(x, size=(7, 9)), scale_factor=2)

    swaps = ut.set_upsampler(Up(), "blur", example=torch.zeros(1, 2, 4, 5)).swaps
    assert [(swap.name, swap.factor) for swap in swaps] == [("", ()), ("", (2, 2))]


def test_refusals() -> None:
    with pytest.raises(RuntimeError, match=r"set_upsampler: upsampler must be one of .* \(did you mean"):
        ut.set_upsampler(nn.Sequential(), "pixel_shuffel")
    itself = nn.Upsample(scale_factor=2)
    assert ut.set_upsampler(itself, "nearest").swaps[0].kept == "it is the model itself"
