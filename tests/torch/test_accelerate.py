"""`accelerate` and `patched`: what is swapped is torch's, stays what it was, and comes back."""

import copy
import dataclasses
import io
import itertools
import json
import pickle
import random
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, parametrize  # noqa: E402

import unsample as us  # noqa: E402
import unsample.torch as ut  # noqa: E402
from unsample.torch.models import functions, layers, values  # noqa: E402
from unsample.torch.models.acceleration import Acceleration, Timed  # noqa: E402

module = sys.modules["unsample.torch.models.timing"]
compiled = pytest.mark.skipif(not us.show_config().compiled, reason="without kernels nothing is swapped")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is right counts as faster: no test depends on a time."""
    monkeypatch.setattr(module, "_in_turn", lambda before, after: (before(), after(), times(2.0))[2])


def times(ratio: float, low: float | None = None, unrest: float = 1.1) -> Timed:
    return Timed(ratio, 1.0, ratio, ratio if low is None else low, ratio, unrest)


class SegNet(nn.Module):
    """Pools with indices, unpools with them, and the rest of the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.3)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.up = nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1)
        self.wide = nn.Upsample(scale_factor=2, mode="bilinear")
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Any) -> Any:
        y = self.drop(self.norm(self.first(x)))
        values, indices = self.pool(y)
        y = self.unpool(values, indices, output_size=y.shape)
        return F.interpolate(self.shuffle(self.wide(self.up(y))), scale_factor=2)


def example() -> Any:
    return torch.randn(2, 3, 8, 10)


def state(model: nn.Module) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# -- accelerate ------------------------------------------------------------------------------------------


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
def test_every_layer_is_swapped_and_the_model_is_what_it_was(training: bool) -> None:
    model, x = SegNet(), example()
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    before = state(model)
    mask = torch.get_rng_state()
    report = ut.accelerate(model, x, training=training)
    assert torch.equal(torch.get_rng_state(), mask)
    assert {each.name: each.kept for each in report.layers} == dict.fromkeys(
        ("first", "pool", "unpool", "up", "wide", "shuffle"), ""
    )
    assert all(type(modules[each.name]) in layers.PLAIN for each in report.layers)
    assert dict(model.named_modules()) == modules
    assert all(p is parameters[name] and p.grad is None for name, p in model.named_parameters())
    assert same(state(model), before)
    assert model.training
    assert report.functions == (("interpolate", 1),)
    assert report.difference is not None
    assert report.difference < 1e-5


@compiled
@pytest.mark.usefixtures("always")
def test_outputs_and_gradients_of_a_swapped_model_are_torchs() -> None:
    model = SegNet().double()
    x = example().double()
    plain = copy.deepcopy(model)
    ut.accelerate(model, x, training=True)
    results = []
    for each in (plain, model):
        torch.manual_seed(1)
        y = each(x)
        y.square().sum().backward()
        results.append([y, *(p.grad for p in each.parameters())])
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@compiled
@pytest.mark.usefixtures("always")
def test_restore_gives_back_torchs_own_layers() -> None:
    model = SegNet()
    kinds = [type(each) for each in model.modules()]
    report = ut.accelerate(model, example())
    assert [type(each) for each in model.modules()] != kinds
    report.restore()
    assert [type(each) for each in model.modules()] == kinds
    report.restore()
    assert [type(each) for each in model.modules()] == kinds


@compiled
@pytest.mark.usefixtures("always")
def test_copies_are_restored_on_their_own() -> None:
    model = SegNet()
    report = ut.accelerate(model, example())
    twin = copy.deepcopy(model)
    report.restore()
    assert type(twin.up) is layers.ConvTranspose2d
    ut.restore(twin)
    assert [type(each) for each in twin.modules()] == [type(each) for each in model.modules()]


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("inside", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_swapped_layers_run_in_every_mode(inside: Any) -> None:
    model, x = SegNet().eval(), example()
    y = model(x).detach()
    report = ut.accelerate(model, x)
    assert len(report.swapped) == 6
    with inside():
        values, indices = model.pool(x)
        assert functions.remembered(indices) is not None
        torch.testing.assert_close(model(x), y, check_stride=True)
        indices.add_(0)
        assert functions.remembered(indices) is None
        assert values.is_inference() == (inside is torch.inference_mode)


@compiled
@pytest.mark.usefixtures("always")
def test_channels_last_models_keep_their_memory_format() -> None:
    model, x = SegNet(), example().to(memory_format=torch.channels_last)
    report = ut.accelerate(model, x)
    assert not any(each.kept for each in report.layers if each.name in ("first", "pool", "unpool", "up"))
    values, indices = model.pool(x)
    assert values.is_contiguous(memory_format=torch.channels_last)
    assert indices.is_contiguous(memory_format=torch.channels_last)


@compiled
@pytest.mark.usefixtures("always")
def test_a_second_time_nothing_is_left_to_swap() -> None:
    model = SegNet()
    ut.accelerate(model, example())
    again = ut.accelerate(model, example())
    assert {each.kept for each in again.layers} == {"it is unsample's already"}
    assert again.times is None
    assert "the model is as it was" in repr(again)


@compiled
@pytest.mark.usefixtures("always")
def test_hooks_copies_pickles_and_printed_form_survive() -> None:
    model, x = SegNet().eval(), example()
    seen: list[str] = []
    model.up.register_forward_hook(lambda *_: seen.append("up"))
    shown = repr(model)
    ut.accelerate(model, x)
    seen.clear()
    y = model(x)
    assert seen == ["up"]
    assert repr(model) == shown
    model.up._forward_hooks.clear()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(twin.up) is layers.ConvTranspose2d
        assert torch.equal(twin(x), y)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    SegNet().load_state_dict(torch.load(file))


@compiled
@pytest.mark.parametrize(
    ("ratio", "low", "why"),
    [(0.5, 0.4, "not faster"), (1.0, 1.0, "not faster"), (2.0, 1.0, "not surely faster")],
)
def test_what_is_not_surely_faster_is_kept(
    ratio: float, low: float, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_in_turn", lambda before, after: times(ratio, low))
    model = SegNet()
    kinds = [type(each) for each in model.modules()]
    report = ut.accelerate(model, example())
    assert {each.kept for each in report.layers if each.name != "unpool"} == {why}
    assert [type(each) for each in model.modules()] == kinds


@compiled
def test_a_whole_model_that_is_slower_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    lows = iter([2.0] * 6 + [0.9, 0.9])

    def timed(before: Callable[[], Any], after: Callable[[], Any]) -> Timed:
        before(), after()
        return times(2.0, next(lows))

    monkeypatch.setattr(module, "_in_turn", timed)
    model = SegNet()
    kinds = [type(each) for each in model.modules()]
    report = ut.accelerate(model, example())
    assert [type(each) for each in model.modules()] == kinds
    assert {each.kept for each in report.layers} == {"the whole model is not surely faster with it"}
    assert "0 of 6 layers swapped" in repr(report)


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["first", "pool", "up", "wide", "shuffle"])
def test_a_wrong_kernel_is_found_and_kept_out(
    name: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SegNet()
    layer = getattr(model, name)
    function = {
        "first": F.conv2d,
        "pool": F.max_pool2d_with_indices,
        "up": F.conv_transpose2d,
        "wide": F.interpolate,
        "shuffle": F.pixel_shuffle,
    }[name]
    right = functions.FUNCTIONS[function]

    def wrong(*args: Any, **kwargs: Any) -> Any:
        result = right(*args, **kwargs)
        values = result[0] if isinstance(result, tuple) else result
        off = values + 1e-4 * (torch.arange(values.numel()) == 7).reshape(values.shape)
        return (off, *result[1:]) if isinstance(result, tuple) else off

    monkeypatch.setitem(functions.FUNCTIONS, function, wrong)
    report = ut.accelerate(model, example(), training=training)
    found = {each.name: each.kept for each in report.layers}
    assert found[name].startswith("WRONG: results differ from torch's by")
    assert type(layer) in layers.FASTER
    assert name == "up" or not found["up"]


@compiled
@pytest.mark.usefixtures("always")
def test_a_wrong_gradient_is_found_and_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = functions.FUNCTIONS[F.conv_transpose2d]

    class Off(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient * 1.001

    monkeypatch.setitem(functions.FUNCTIONS, F.conv_transpose2d, lambda x, *rest: right(Off.apply(x), *rest))
    model = SegNet()
    found = {each.name: each.kept for each in ut.accelerate(model, example(), training=True).layers}
    assert found["up"].startswith("WRONG: gradients differ from torch's by")
    assert not {each.name: each.kept for each in ut.accelerate(model, example()).layers}["up"]


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, parametrizations.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_norm_old_and_new_is_swapped_and_comes_off(norm: Any, training: bool) -> None:
    model = nn.Sequential(norm(nn.ConvTranspose1d(4, 3, 4, stride=2)))
    x = torch.randn(2, 4, 9)
    y = model(x).detach()
    keys = list(model.state_dict())
    report = ut.accelerate(model, x, training=training)
    assert [each.kept for each in report.layers] == [""]
    assert list(model.state_dict()) == keys
    torch.testing.assert_close(model(x), y)
    if parametrize.is_parametrized(model[0]):
        parametrize.remove_parametrizations(model[0], "weight")
    else:
        nn.utils.remove_weight_norm(model[0])
    assert type(model[0]) is layers.ConvTranspose1d
    torch.testing.assert_close(model(x), y)
    report.restore()
    assert type(model[0]) is nn.ConvTranspose1d


@compiled
@pytest.mark.usefixtures("always")
def test_parametrized_layers_are_restored_parametrized() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.ConvTranspose1d(4, 3, 4, stride=2)))
    x = torch.randn(2, 4, 9)
    report = ut.accelerate(model, x)
    assert isinstance(model[0], layers.ConvTranspose1d)
    report.restore()
    assert not isinstance(model[0], layers.ConvTranspose1d)
    assert parametrize.is_parametrized(model[0])
    parametrize.remove_parametrizations(model[0], "weight")
    assert type(model[0]) is nn.ConvTranspose1d


class Mine(nn.ConvTranspose2d):
    """Somebody's own layer."""

    def forward(self, input: Any, output_size: Any = None) -> Any:
        return super().forward(input).relu()


def replaced(layer: nn.Module) -> nn.Module:
    layer.forward = lambda x: x  # type: ignore[method-assign]
    return layer


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    ("layer", "x", "reason"),
    [
        (lambda: Mine(2, 2, 2), torch.randn(1, 2, 3, 3), "Mine is a subclass of torch's layer"),
        (lambda: replaced(nn.MaxPool2d(2)), torch.randn(1, 2, 4, 4), "its forward was replaced"),
        (lambda: ut.MaxPool2d(2), torch.randn(1, 2, 4, 4), "it is unsample's already"),
        (lambda: nn.MaxPool2d(2), torch.randn(1, 2, 4, 4, device="meta"), "its input is on meta"),
        (lambda: nn.Upsample(scale_factor=1.7), torch.randn(1, 2, 4, 4), None),
        (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), torch.randn(1, 2, 4, 4), "our kernels do not"),
        (lambda: nn.Conv2d(2, 2, 3, padding="same"), torch.randn(1, 2, 4, 4), "our kernels do not take it"),
        (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), torch.randn(1, 2, 4, 4), ""),
    ],
    ids=["subclass", "forward", "ours", "meta", "factor", "bicubic", "same", "reflect"],
)
def test_the_report_says_why_a_layer_was_kept(
    layer: Callable[[], nn.Module], x: Any, reason: str | None
) -> None:
    model = nn.Sequential(layer())
    kind = type(model[0])
    (row,) = ut.accelerate(model, x).layers
    if reason:
        assert row.kept.startswith(reason)
        assert type(model[0]) is kind
    elif reason == "":
        assert row.swapped


@compiled
@pytest.mark.usefixtures("always")
def test_layers_that_are_not_reached_or_not_wanted_are_left_alone() -> None:
    model = SegNet()
    model.idle = nn.MaxPool2d(2)
    report = ut.accelerate(model, example(), only=lambda name, layer: name in ("idle", "up"))
    assert {each.name: each.kept for each in report.layers} == {
        "idle": "the example does not reach it",
        "up": "",
    }


@compiled
@pytest.mark.usefixtures("always")
def test_one_layer_in_two_places_is_one_row_with_two_calls() -> None:
    pool = nn.MaxPool2d(2)
    model = nn.Sequential(pool, nn.Sequential(pool))
    (row,) = ut.accelerate(model, torch.randn(1, 2, 8, 8)).layers
    assert row.inputs == ((1, 2, 8, 8), (1, 2, 4, 4))
    assert type(pool) is layers.MaxPool2d


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (lambda: 3, TypeError, "accelerate: model must be a torch.nn.Module, got 3"),
        (
            lambda: nn.Sequential(nn.LazyConv2d(3, 3)),
            ut.TorchShapeError,
            "accelerate: model must have run once, its lazy layer '0' has no weights yet",
        ),
        (
            lambda: torch.compile(nn.ReLU(), backend="eager"),
            TypeError,
            "accelerate: model must be a torch.nn.Module that is not compiled or scripted yet, "
            "got OptimizedModule",
        ),
    ],
    ids=["number", "lazy", "compiled"],
)
def test_models_that_cannot_be_accelerated_are_refused(
    model: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        ut.accelerate(model(), torch.zeros(1))
    assert str(error.value).startswith(message)


@compiled
@pytest.mark.usefixtures("always")
def test_a_model_that_raises_is_left_without_hooks_and_as_it_was() -> None:
    model = SegNet()
    before = state(model)
    with pytest.raises(RuntimeError):
        ut.accelerate(model, torch.randn(2, 4, 8, 8))
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    assert same(state(model), before)


@compiled
@pytest.mark.usefixtures("always")
def test_examples_may_be_tuples_or_keywords() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: Any, *, scale: float = 1.0) -> Any:
            return self.pool(x) * scale

    for arguments in ((torch.randn(1, 1, 4, 4),), {"x": torch.randn(1, 1, 4, 4), "scale": 2.0}):
        assert ut.accelerate(Two(), arguments).layers[0].swapped


@compiled
@pytest.mark.usefixtures("always")
def test_reports_print_and_serialize() -> None:
    report = ut.accelerate(nn.Sequential(nn.MaxPool2d(2), Mine(2, 2, 2)), torch.randn(1, 2, 8, 8))
    assert isinstance(report, Acceleration)
    lines = repr(report).splitlines()
    assert lines[0] == "accelerate: 1 of 2 layers swapped"
    assert lines[1].startswith("whole model: forward pass 2 -> 1 ms, 2.0x (2.0 to 2.0) as fast on ")
    assert lines[2].split() == ["layer", "kind", "input", "torch", "ms", "ours", "ms", "ratio"]
    assert lines[3].split()[:5] == ["0", "MaxPool2d", "1x2x8x8", "2", "1"]
    assert lines[3].endswith("  2.0x (2.0 to 2.0)  swapped")
    assert lines[4].endswith("kept: Mine is a subclass of torch's layer")
    found = json.loads(report.to_json())
    assert [each["swapped"] for each in found["layers"]] == [True, False]
    assert found == report.as_dict() | {"layers": found["layers"]}
    page = report._repr_html_()
    assert page.count("<tr>") == 3
    assert "Mine is a subclass of torch&#x27;s layer" in page


@compiled
@pytest.mark.parametrize("unrest", [1.2, 40.0])
def test_a_busy_machine_is_said(unrest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_in_turn", lambda before, after: times(2.0, unrest=unrest))
    report = ut.accelerate(nn.Sequential(nn.MaxPool2d(2)), (1, 2, 8, 8), training=False)
    assert report.unrest == unrest
    busy = "the slowest round took 40 times as long as the fastest" in repr(report)
    assert busy == (unrest == 40)
    assert ("the machine was busy" in report._repr_html_()) == busy


def rounds_of(*pairs: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> tuple[Timed, int]:
    """What is measured where rounds take these milliseconds, and how many were asked."""
    clock, asked = [0.0], []

    def run(which: int) -> None:
        if not asked:  # nothing is known before the first round: each call takes the milliseconds of one
            clock[0] += pairs[0][which] / 1e3
            return
        clock[0] += asked[-1][which] / 1e3

    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(module, "SECONDS", 0.0)
    left = iter(pairs)
    number = [0]

    def before() -> None:
        number[0] += 1
        if number[0] > 2:  # two calls to warm up
            asked.append(next(left))
        run(0)

    return module._in_turn(before, lambda: run(1)), len(asked)


@pytest.mark.parametrize(
    ("pairs", "asked", "low"),
    [
        ([(1.0, 1.1)] * 7, 3, 1 / 1.1),  # not faster in any
        ([(2.0, 1.0)] * 7, 3, 2.0),  # clearly faster in all
        ([(1.1, 1.0)] * 7, 7, 1.1),  # a little faster
        ([(2.0, 1.0), (0.5, 1.0), (2.0, 1.0)] + [(2.0, 1.0)] * 4, 7, 2.0),  # one that was disturbed
        ([(1100.0, 1000.0)] * 7, 3, 1.1),  # slow
    ],
)
def test_rounds_stop_where_more_of_them_change_nothing(
    pairs: list[tuple[float, float]], asked: int, low: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, number = rounds_of(*pairs, monkeypatch=monkeypatch)
    assert number == asked
    assert found.low == pytest.approx(low)
    assert (found.ms_before, found.ms_after) == pytest.approx(pairs[-1])


def test_html_escapes_what_users_named() -> None:
    row = module.TimedLayer("<script>", "Conv2d", kept="<b>")
    page = Acceleration((row,))._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@compiled
@pytest.mark.usefixtures("always")
def test_while_torch_records_swapped_layers_are_torchs_own_operators() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(2, 2, 2, stride=2), nn.MaxPool2d(2)).eval()
    x = torch.randn(1, 2, 4, 4)
    ut.accelerate(model, x)
    exported = torch.export.export(model, (x,))
    assert not any("unsample" in str(node.target) for node in exported.graph.nodes)
    y = torch.compile(model, fullgraph=True, backend="eager")(x)
    torch.testing.assert_close(y, model(x))
    mapped = torch.vmap(model)(x.unsqueeze(0).expand(3, -1, -1, -1, -1))
    torch.testing.assert_close(mapped, model(x).expand(3, -1, -1, -1, -1))
    with torch.autocast("cpu"):
        assert model(x).dtype == torch.bfloat16


# -- what a model is given and gives ----------------------------------------------------------------------


@dataclasses.dataclass
class Given:
    """A dataclass that torch does not know."""

    x: Any
    more: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass without a dict."""

    x: Any


class Box:
    """Any object."""

    def __init__(self, x: Any) -> None:
        self.x = x


class Pair(NamedTuple):
    """A named tuple."""

    first: Any
    second: Any


class Scribbler(nn.Module):
    """Writes into all that it can reach, and keeps what it is given."""

    def __init__(self, dice: Any) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(2)
        self.up = nn.Upsample(scale_factor=2)
        self.dice = dice
        self.seen: Any = None

    def forward(self, given: Any, *, scale: Any) -> Any:
        x = given["x"][0].x
        assert x.stride() == (60, 1, 2, 10)
        self.seen, self.new = x, 1
        x *= 2
        scale += 1
        given["more"] = 1
        with torch.no_grad():
            self.norm.weight += 1
            self.norm.weight.requires_grad_(False)
        self.pool.train(not self.training)
        noise = torch.rand(1, generator=self.dice) + torch.rand(1) + random.random() + np.random.rand()  # noqa: NPY002
        return self.up(self.pool(self.norm(x))) * scale + noise


def accelerated(model: nn.Module, example: Any) -> Any:
    report = ut.accelerate(model, example)
    report.restore()
    return report


def accelerated_in_training(model: nn.Module, example: Any) -> Any:
    report = ut.accelerate(model, example, training=True)
    report.restore()
    return report


def upsampled(model: nn.Module, example: Any) -> Any:
    report = ut.set_upsampler(model, "blur", example=example, only=lambda name, layer: name == "up")
    report.restore()
    return report


def inspected(model: nn.Module, example: Any) -> Any:
    return us.inspect(model, example, sizes=False, repeats=1)


@pytest.mark.parametrize("run", [accelerated, accelerated_in_training, upsampled, inspected])
def test_whoever_runs_a_model_leaves_it_and_its_example_as_they_were(run: Any) -> None:
    # torch does not copy generators, and `inspect` runs a copy of the model.
    dice = None if run is inspected else torch.Generator().manual_seed(3)
    model = Scribbler(dice)
    model.norm.weight.grad = torch.ones(2)
    before, attributes = state(model), {name: dict(vars(each)) for name, each in model.named_modules()}
    x = (
        torch.rand(1, 2, 5, 6)
        .permute(0, 1, 3, 2)
        .contiguous(memory_format=torch.channels_last)
        .permute(0, 1, 3, 2)
    )
    given, scale = {"x": [Given(x, "word")]}, torch.ones(())
    dice = dice or torch.default_generator
    states = dice.get_state(), torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    values = x.clone()
    result = run(model, {"given": given, "scale": scale})
    assert getattr(result, "failure", None) is None, result
    assert same(state(model), before)
    for name, each in model.named_modules():
        assert vars(each).keys() == attributes[name].keys()
        assert each.training
    assert model.seen is None
    assert model.norm.weight.requires_grad
    assert torch.equal(model.norm.weight.grad, torch.ones(2))
    assert torch.equal(x, values)
    assert (float(scale), list(given)) == (1, ["x"])
    now = dice.get_state(), torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    assert torch.equal(states[0], now[0])
    assert torch.equal(states[1], now[1])
    assert states[2] == now[2]
    assert repr(states[3]) == repr(now[3])


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.rand(1, 2, 3, 4, 5).to(memory_format=torch.channels_last_3d),
        torch.rand(4, 6)[:, ::2],
        torch.rand(3, 1).expand(3, 4),
        torch.rand(0, 3),
        torch.rand(3, dtype=torch.bfloat16, requires_grad=True),
        torch.rand(3, requires_grad=True) * 2,
        torch.rand(3, dtype=torch.complex64),
        torch.rand(3).to_sparse(),
        nn.Parameter(torch.rand(3)),
    ],
)
def test_a_copy_of_an_example_has_its_strides_and_its_wish_for_a_gradient(x: Any) -> None:
    lock = threading.Lock()
    twin = values.copied({"x": [x, Given(x)], "lock": lock, "n": 1})
    assert twin["lock"] is lock
    y = twin["x"][0]
    assert twin["x"][1].x is y is not x
    assert (y.dtype, y.shape, y.requires_grad, y.layout) == (x.dtype, x.shape, x.requires_grad, x.layout)
    assert x.is_sparse or y.stride() == x.stride()
    assert y.is_leaf
    assert torch.equal(y.to_dense(), x.to_dense())
    assert x.is_sparse or not x.numel() or y.data_ptr() != x.data_ptr()


TURN = itertools.count()


class Gives(nn.Module):
    """Gives what it computes inside of something."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 2, 2, stride=2)
        self.wrap = wrap

    def forward(self, x: Any) -> Any:
        return self.wrap(self.up(x))


CONTAINERS: dict[str, Any] = {
    "tensor": lambda y: y,
    "dict": lambda y: {"y": y},
    "list": lambda y: [[y], None],
    "named tuple": lambda y: Pair(y, "word"),
    "dataclass": Given,
    "slots": Slotted,
    "object": Box,
    "objects": lambda y: {"y": (Box(Given(y)),)},
    "array": lambda y: y.detach().numpy(),
    "number": lambda y: float(y.sum()),
    "half": lambda y: y.bfloat16(),
}


def off_by(amount: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel whose numbers and slopes are wrong, which nobody sees in the layer alone."""
    right = functions.FUNCTIONS[F.conv_transpose2d]
    monkeypatch.setattr(sys.modules["unsample.torch.models.accelerate"], "disagreement", lambda *_: "")
    monkeypatch.setitem(functions.FUNCTIONS, F.conv_transpose2d, lambda *args: right(*args) * (1 + amount))


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("kind", CONTAINERS)
def test_outputs_of_any_kind_are_compared(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = Gives(CONTAINERS[kind]), torch.randn(1, 2, 4, 4)
    good = ut.accelerate(model, x)
    assert good.swapped
    assert good.difference is not None
    assert good.difference < 1e-5
    assert "outputs differ by" in repr(good)
    good.restore()
    off_by(0.5, monkeypatch)
    report = ut.accelerate(model, x)
    assert report.difference == pytest.approx(0.5, rel=1e-2)
    assert report.wrong
    assert not report.swapped
    assert type(model.up) is nn.ConvTranspose2d
    assert "its results are not torch's, so all was undone" in repr(report)
    assert report.layers[0].kept == "the results of the whole model are not torch's with it"


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
def test_a_model_that_makes_much_of_little_is_not_wrong_where_torch_is_as_far_from_the_truth(
    training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = Gives(lambda y: torch.sin(y * 1e4)), torch.randn(1, 2, 16, 16)
    report = ut.accelerate(model, x, training=training)
    assert report.swapped
    assert report.difference is not None
    assert report.difference > 5e-4
    report.restore()
    off_by(0.5, monkeypatch)
    assert ut.accelerate(model, x, training=training).wrong


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (lambda y: iter([y]), "not compared: list_iterator"),
        (lambda y: {"more": lambda: y}, "not compared: function"),
        (lambda y: None, "not compared: it gives nothing"),
        (lambda y: y + next(TURN), "not compared: what is random"),
    ],
)
def test_what_cannot_be_compared_is_said(wrap: Any, told: str) -> None:
    report = ut.accelerate(Gives(wrap), torch.randn(1, 2, 4, 4))
    assert report.swapped
    assert report.difference is None
    assert told in repr(report)
    assert "differ" not in repr(report)


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("wrap", [lambda y: y, Box, Given, lambda y: [y.mean(), 3]])
@pytest.mark.parametrize("learns", [True, False])
def test_a_training_step_goes_backward(wrap: Any, learns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, slope: Any) -> Any:
            steps.append("backward")
            return slope

    def timed(before: Callable[[], Any], after: Callable[[], Any]) -> Timed:
        for step in (before, after):
            steps.clear()
            step()
            found.append(len(steps))
        return times(2.0)

    found: list[int] = []
    monkeypatch.setattr(module, "_in_turn", timed)
    model, x = Gives(lambda y: wrap(Watched.apply(y))), torch.randn(1, 2, 4, 4)
    model.up.requires_grad_(learns)
    report = ut.accelerate(model, x, training=True)
    assert report.swapped
    assert found == [0, 0, 1, 1]  # of the layer alone, and of the model
    assert report.gradients is not None
    assert report.gradients < 1e-5
    assert not x.requires_grad
    assert "gradients by" in repr(report)


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("learns", [True, False])
def test_wrong_gradients_of_the_whole_model_undo_all(learns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Off(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, slope: Any) -> Any:
            return slope * 1.5

    off_by(0.0, monkeypatch)
    right = functions.FUNCTIONS[F.conv_transpose2d]
    monkeypatch.setitem(functions.FUNCTIONS, F.conv_transpose2d, lambda *args: Off.apply(right(*args)))
    model = Gives(Box)
    model.up.requires_grad_(learns)
    report = ut.accelerate(model, torch.randn(1, 2, 4, 4), training=True)
    assert report.difference is not None
    assert report.difference < 1e-5
    assert report.gradients == pytest.approx(0.5)
    assert not report.swapped
    assert type(model.up) is nn.ConvTranspose2d


# -- rounding, and numbers of every kind --------------------------------------------------------------------

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("rank", "size"), [(1, 33), (2, 13), (2, 32), (3, 7)])
def test_the_more_exact_is_not_wrong(rank: int, size: int, dtype: Any, training: bool) -> None:
    x = torch.randn(1, 3, *(size,) * rank).to(dtype)
    for factor, aligned in ((4, True), (3, True), (7, False)):
        way = nn.Upsample(scale_factor=factor, mode=LINEAR[rank], align_corners=aligned)
        model = nn.Sequential(nn.ReLU(), way)
        assert [each.kept for each in ut.accelerate(model, x, training=training).layers] == [""]
    way = nn.Upsample(size=(size + 1) // 2, mode=LINEAR[rank], align_corners=True)
    assert [
        each.kept for each in ut.accelerate(nn.Sequential(nn.ReLU(), way), x, training=training).layers
    ] == [""]


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["conv", "up", "linear"])
def test_an_element_that_is_wrong_is_found_in_every_precision(
    kind: str, dtype: Any, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, function = {
        "conv": (nn.Conv2d(3, 4, 3), F.conv2d),
        "up": (nn.ConvTranspose2d(3, 4, 4, 2, 1), F.conv_transpose2d),
        "linear": (nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True), F.interpolate),
    }[kind]
    right = functions.FUNCTIONS[function]
    monkeypatch.setitem(
        functions.FUNCTIONS, function, lambda *args, **kwargs: spoiled(right(*args, **kwargs))
    )

    def spoiled(y: Any) -> Any:
        # By 60 roundings of the largest sum of magnitudes, a few hundredths of it in bfloat16's case.
        return (
            y + (60 * torch.finfo(dtype).eps * (torch.arange(y.numel()) == 7).reshape(y.shape)).to(dtype) * 4
        )

    (row,) = ut.accelerate(
        nn.Sequential(layer).to(dtype), torch.rand(1, 3, 8, 8).to(dtype), training=training
    ).layers
    assert row.kept.startswith("WRONG: results differ from torch's by")


class Everything(nn.Module):
    """A layer of each kind."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        conv, up, pool, unpool, adaptive = (
            getattr(nn, f"{kind}{rank}d")
            for kind in ("Conv", "ConvTranspose", "MaxPool", "MaxUnpool", "AdaptiveMaxPool")
        )
        self.conv, self.with_indices, self.unpool = (
            conv(3, 4, 3, padding=1),
            pool(2, return_indices=True),
            unpool(2),
        )
        self.pool, self.adaptive, self.up = pool(2), adaptive(3), up(4, 4, 4, 2, 1)
        self.adaptive_with_indices = adaptive(3, return_indices=True)
        self.nearest, self.linear = (
            nn.Upsample(scale_factor=2),
            nn.Upsample(scale_factor=2, mode=LINEAR[rank]),
        )
        self.shuffle = nn.PixelShuffle(2) if rank == 2 else nn.Identity()

    def forward(self, x: Any) -> Any:
        y = self.unpool(*self.with_indices(self.conv(x)))
        y = self.adaptive(self.pool(y)) + self.adaptive_with_indices(y)[0]
        return self.shuffle(self.linear(self.nearest(self.up(y))))


FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("cast", [False, True])
def test_halves_and_autocast_are_swapped(cast: bool, dtype: Any, rank: int, training: bool) -> None:
    model, x = Everything(rank), torch.randn(1, 3, *(8,) * rank)
    if not cast:
        model, x = model.to(dtype), x.to(dtype)
    with torch.autocast("cpu", dtype, enabled=cast):
        y = model(x)
        report = ut.accelerate(model, x, training=training)
        assert [each.name for each in report.layers if each.kept] == []
        ours = model(x)
    assert ours.dtype == y.dtype
    torch.testing.assert_close(ours, y, rtol=8 * torch.finfo(dtype).eps, atol=8 * torch.finfo(dtype).eps)


@compiled
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("lies", ["model", "input", "both"])
def test_channels_last_models_and_inputs_are_swapped_and_lie_as_torchs(
    lies: str, rank: int, training: bool
) -> None:
    model, x = Everything(rank), torch.randn(1, 3, *(8,) * rank)
    model = model if lies == "input" else model.to(memory_format=FORMATS[rank])  # type: ignore[call-overload]
    x = x if lies == "model" else x.to(memory_format=FORMATS[rank])
    y = model(x)
    report = ut.accelerate(model, x, training=training)
    assert [each.name for each in report.layers if each.kept] == []
    torch.testing.assert_close(model(x), y, check_stride=True)


class Casting(nn.Module):
    """Casts by itself, and not everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.ConvTranspose2d(2, 2, 2, stride=2), nn.Conv2d(2, 2, 2)

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu"):
            x = self.up(x)
        return self.down(x.float())


@compiled
@pytest.mark.usefixtures("always")
def test_autocast_inside_of_a_model_is_that_of_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Casting()
    right, seen = functions.FUNCTIONS[F.conv_transpose2d], list[torch.dtype]()

    def counted(x: Any, *args: Any) -> Any:
        seen.append(x.dtype)
        return right(x, *args)

    monkeypatch.setitem(functions.FUNCTIONS, F.conv_transpose2d, counted)
    report = ut.accelerate(model, torch.randn(1, 2, 4, 4))
    assert seen == [torch.bfloat16] * 4  # verified and timed alone, compared and timed in the model
    assert [each.kept for each in report.layers] == ["", ""]
    settings = [next(iter(vars(layer)[functions.TIMED])) for layer in (model.up, model.down)]
    report.restore()
    monkeypatch.setitem(
        functions.FUNCTIONS,
        F.conv_transpose2d,
        lambda x, *args: right(x, *args) * (2 if x.dtype == torch.bfloat16 else 1),
    )
    (row, _) = ut.accelerate(model, torch.randn(1, 2, 4, 4)).layers
    assert row.kept.startswith("WRONG")
    assert [(each.dtype, each.cast) for each in settings] == [
        (torch.float32, torch.bfloat16),
        (torch.float32, None),
    ]


@compiled
@pytest.mark.usefixtures("always")
def test_a_layer_is_ours_in_the_settings_in_which_it_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = nn.Sequential(nn.ConvTranspose2d(2, 2, 2, stride=2)), torch.randn(1, 2, 4, 4)
    report = ut.accelerate(model, x)
    right, calls = functions.FUNCTIONS[F.conv_transpose2d], list[torch.dtype]()

    def counted(x: Any, *args: Any) -> Any:
        calls.append(x.dtype)
        return right(x, *args)

    monkeypatch.setitem(functions.FUNCTIONS, F.conv_transpose2d, counted)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    twin(x)
    model(x.to(memory_format=torch.channels_last))
    with torch.autocast("cpu"):
        model(x)
    model.bfloat16()(x.bfloat16())
    assert calls == [torch.float32]
    report.restore()
    ut.restore(twin)
    assert not any(functions.TIMED in vars(each) for each in (*model.modules(), *twin.modules()))


AUTOCAST: dict[str, Any] = {
    f"{name}{rank}d": (name, rank)
    for name in (
        *("conv", "conv_transpose", "max_pool", "max_pool_with_indices", "adaptive_max_pool", "max_unpool"),
        *("adaptive_max_pool_with_indices", "nearest", "linear"),
    )
    for rank in (1, 2, 3)
}


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", AUTOCAST)
def test_autocast_casts_ours_as_it_casts_torchs(name: str, dtype: Any) -> None:
    word, rank = AUTOCAST[name]
    x, weight = torch.randn(1, 2, *(4,) * rank).to(dtype), torch.randn(2, 2, *(2,) * rank).to(dtype)
    given: tuple[Any, ...] = (x, 2)
    function = F.interpolate
    if word.startswith("conv"):
        given, function = (x, weight), getattr(F, f"{word}{rank}d")
    elif "pool" in word:
        function = getattr(
            F, f"{word.removesuffix('_with_indices')}{rank}d" + "_with_indices" * word.endswith("indices")
        )
    else:
        given = (x, None, 2, LINEAR[rank] if word == "linear" else "nearest")
    if word == "max_unpool":
        with ut.patched():
            pooled, indices = getattr(F, f"max_pool{rank}d")(x.float(), 2, return_indices=True)
        given = (pooled.to(dtype), indices, 2)
    with torch.autocast("cpu", torch.bfloat16):
        theirs = function(*given)
        ours = functions.taken_in(torch.contiguous_format, function, given, {})
    for a, b in zip(*(each if isinstance(each, tuple) else (each,) for each in (theirs, ours)), strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(b.double(), a.double(), rtol=0.05, atol=0.05)


# -- functions -------------------------------------------------------------------------------------------

X1, X2, X3 = (torch.randn(2, 4, *(6,) * rank, dtype=torch.float64) for rank in (1, 2, 3))
CALLS: dict[str, tuple[Callable[..., Any], Any]] = {
    **{
        f"conv_transpose{r}d": (
            lambda x, r=r: getattr(F, f"conv_transpose{r}d")(
                x, torch.linspace(-1, 1, 4 * 3 * 3**r, dtype=x.dtype).reshape(4, 3, *(3,) * r), None, 2, 1, 1
            ),
            x,
        )
        for r, x in ((1, X1), (2, X2), (3, X3))
    },
    **{
        f"max_pool{r}d": (lambda x, r=r: getattr(F, f"max_pool{r}d")(x, 3, 2, 1, ceil_mode=True), x)
        for r, x in ((1, X1), (2, X2), (3, X3))
    },
    **{
        f"adaptive_max_pool{r}d": (lambda x, r=r: getattr(F, f"adaptive_max_pool{r}d")(x, 4), x)
        for r, x in ((1, X1), (2, X2), (3, X3))
    },
    **{
        f"max_unpool{r}d": (
            lambda x, r=r: getattr(F, f"max_unpool{r}d")(
                *getattr(F, f"max_pool{r}d")(x, 3, 1, 1, return_indices=True), 3, 1, 1
            ),
            x,
        )
        for r, x in ((1, X1), (2, X2), (3, X3))
    },
    "torch.max_pool2d": (lambda x: torch.max_pool2d(x, (2, 3)), X2),
    "nearest": (lambda x: F.interpolate(x, scale_factor=(2, 3)), X2),
    "nearest to a size": (lambda x: F.interpolate(x, size=(9, 4)), X2),
    "nearest-exact": (lambda x: F.interpolate(x, size=(9, 4), mode="nearest-exact"), X2),
    "linear": (lambda x: F.interpolate(x, size=11, mode="linear"), X1),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), X2),
    "align_corners": (lambda x: F.interpolate(x, size=(11, 7), mode="bilinear", align_corners=True), X2),
    "trilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), X3),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), X2),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 3), X2),
}


@compiled
@pytest.mark.parametrize("name", CALLS)
def test_patched_functions_give_torchs_results_and_gradients(name: str) -> None:
    function, x = CALLS[name]
    found = []
    for inside in (False, True):
        leaf = x.clone().requires_grad_()
        if inside:
            with ut.patched() as calls:
                y = function(leaf)
            assert sum(calls.ours.values()) >= 1
            assert not calls.theirs
        else:
            y = function(leaf)
        cotangent = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
        found.append((y, torch.autograd.grad(y, leaf, cotangent)[0]))
    (theirs, slope), (ours, our_slope) = found
    if any(word in name for word in ("pool", "shuffle", "nearest")):
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(our_slope, slope, rtol=1e-12, atol=1e-12)
    assert ours.stride() == theirs.stride()


@compiled
@pytest.mark.usefixtures("one_thread")  # torch's threads race for the element
def test_duplicates_are_torchs_last_one_forward_and_all_of_them_backward() -> None:
    x = torch.tensor([[1.0, 9.0, 2.0, 8.0]])
    _values, indices = F.max_pool1d(x, 3, 1, return_indices=True)
    assert indices.tolist() == [[1, 1]]
    for inside in (False, True):
        with ut.patched():
            known = F.max_pool1d(x, 3, 1, return_indices=True)[1] if inside else indices
        leaf = torch.tensor([[5.0, 7.0]], requires_grad=True)
        with ut.patched() as calls:
            y = F.max_unpool1d(leaf, known, 3, 1)
        assert calls.ours["max_unpool1d"] == inside
        assert y.tolist() == [[0, 7, 0, 0]]
        (slope,) = torch.autograd.grad(y, leaf, torch.tensor([[1.0, 2.0, 3.0, 4.0]]), create_graph=True)
        assert slope.tolist() == [[2, 2]]


@compiled
def test_indices_that_were_written_to_or_meet_another_size_are_torchs_to_read() -> None:
    with ut.patched():
        values, indices = F.max_pool2d(torch.randn(1, 1, 4, 4), 2, return_indices=True)
        with ut.patched() as calls:
            F.max_unpool2d(values, indices, 2, output_size=(5, 5))
            assert calls.theirs["max_unpool2d"] == 1
            indices[0, 0, 0, 0] = 1
            y = F.max_unpool2d(values, indices, 2)
        assert calls.theirs["max_unpool2d"] == 2
    assert y[0, 0, 0, 1] == values[0, 0, 0, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.interpolate(torch.randn(1, 1, 4, 4), scale_factor=1.7),
        lambda: F.interpolate(torch.randn(1, 1, 4, 4), scale_factor=2, mode="bicubic"),
        lambda: F.interpolate(torch.randn(1, 1, 4, 4), scale_factor=2, mode="bilinear", antialias=True),
        lambda: F.interpolate(torch.randn(1, 1, 4, 4).bfloat16(), scale_factor=2),
        lambda: F.interpolate(torch.randn(1, 1, 4, 4), size=(2, 2), mode="area"),
        lambda: F.interpolate(torch.arange(9.0).reshape(1, 1, 9), scale_factor=49),
        lambda: F.pixel_shuffle(torch.arange(16).reshape(1, 4, 2, 2), 2),
        lambda: F.max_pool2d(torch.randn(1, 1, 4, 4, device="meta"), 2),
        lambda: F.conv_transpose2d(torch.zeros(0, 2, 3, 3), torch.ones(2, 1, 2, 2)),
    ],
    ids=["factor", "bicubic", "antialias", "bfloat16", "area", "49", "integers", "meta", "empty"],
)
def test_calls_that_our_kernels_do_not_take_are_torchs(call: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    theirs = call()
    torch.manual_seed(0)
    with ut.patched() as calls:
        ours = call()
    assert (ours.shape, ours.dtype, ours.device) == (theirs.shape, theirs.dtype, theirs.device)
    assert ours.device.type == "meta" or torch.equal(ours, theirs)
    assert sum(calls.theirs.values()) >= 1 or torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.max_pool2d(torch.randn(1, 1, 4, 4), 2, padding=2),
        lambda: F.conv_transpose2d(torch.randn(1, 3, 4, 4), torch.ones(2, 1, 2, 2)),
        lambda: F.conv_transpose2d(torch.randn(1, 2, 4, 4), torch.ones(2, 1, 2, 2).double()),
        lambda: F.pixel_shuffle(torch.randn(1, 3, 4, 4), 2),
        lambda: F.interpolate(torch.randn(1, 1, 4, 4), size=(4, 4), scale_factor=2),
        lambda: F.interpolate(torch.randn(1, 1, 4, 4), size=(4, 4), align_corners=True),
        lambda: F.interpolate(torch.randn(1, 1, 4), size=4, mode="bilinear"),
        lambda: F.max_unpool2d(torch.randn(1, 1, 2, 2), torch.full((1, 1, 2, 2), 99), 2),
        lambda: F.adaptive_max_pool2d(torch.randn(1, 1, 4, 4), -1),
    ],
)
def test_errors_are_torchs_own(call: Callable[[], Any]) -> None:
    with pytest.raises(Exception) as theirs:
        call()
    with pytest.raises(type(theirs.value)) as ours, ut.patched():
        call()
    assert str(ours.value) == str(theirs.value)


@compiled
@compiled
def test_patched_unpooling_takes_a_batch_of_gradients() -> None:
    x = torch.randn(1, 2, 4, 6)

    def jacobian() -> Any:
        values, indices = F.max_pool2d(x, 2, return_indices=True)
        return torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
            lambda values: F.max_unpool2d(values, indices, 2), values, vectorize=True
        )

    expected = jacobian()
    with ut.patched() as calls:
        assert torch.equal(jacobian(), expected)
    assert calls.ours["max_unpool2d"] == 1


def test_patched_nests_ends_with_an_error_and_holds_for_one_thread() -> None:
    x = torch.randn(1, 1, 2, 2)
    with ut.patched() as outer:
        with ut.patched() as inner:
            F.pixel_unshuffle(x, 2)
        F.pixel_unshuffle(x, 2)
        other = threading.Thread(target=lambda: F.pixel_unshuffle(x, 2))
        other.start()
        other.join()
    assert inner.ours == {"pixel_unshuffle": 1}
    assert outer.ours == {"pixel_unshuffle": 1}
    with pytest.raises(KeyError), ut.patched() as failed:
        raise KeyError
    F.pixel_unshuffle(x, 2)
    assert not failed.ours
    assert repr(failed) == "patched: no calls yet"


@compiled
def test_patched_reaches_layers_and_compiled_functions_keep_torchs_operators() -> None:
    layer, x = nn.Upsample(scale_factor=2), torch.randn(1, 1, 3, 3)
    with ut.patched() as calls:
        y = layer(x)
    assert calls.ours["interpolate"] == 1
    assert torch.equal(y, layer(x))
    made = torch.compile(lambda x: F.interpolate(x, scale_factor=2) + 1, backend="eager")
    with ut.patched():
        assert torch.equal(made(x), y + 1)


def test_torchs_functions_are_found_where_torch_has_them() -> None:
    assert len(functions.FUNCTIONS) == 3 + 8 * 3
    assert all(callable(function) for function in functions.FUNCTIONS)
