"""What torch's own tools see: fx, torch.jit.trace, FLOP counter, profiler, fusers."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

import unsample as us
import unsample.torch as ut

X, OTHER = torch.randn(1, 4, 8, 8), torch.randn(2, 4, 12, 10)
# Layers that torch.nn has, with settings that it has.
TWINS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "conv": ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}),
    "conv reflect": ("Conv2d", (4, 6, 3), {"padding": 1, "padding_mode": "reflect"}),
    "conv_transpose": ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    "max_pool": ("MaxPool2d", (2,), {}),
    "max_pool indices": ("MaxPool2d", (3, 2), {"return_indices": True, "ceil_mode": True}),
    "adaptive": ("AdaptiveMaxPool2d", (3,), {"return_indices": True}),
    "nearest": ("Upsample", (), {"scale_factor": 2}),
    "bilinear": ("Upsample", (), {"scale_factor": 1.5, "mode": "bilinear"}),
    "size": ("Upsample", ((9, 11),), {"mode": "bicubic", "align_corners": True}),
    "nearest 2d": ("UpsamplingNearest2d", (), {"scale_factor": 2}),
    "bilinear 2d": ("UpsamplingBilinear2d", (), {"size": (9, 9)}),
    "shuffle": ("PixelShuffle", (2,), {}),
    "unshuffle": ("PixelUnshuffle", (2,), {}),
}
# Layers that torch.nn has not, or settings.
OURS: dict[str, nn.Module] = {
    "nearest": ut.Nearest(2),
    "bed_of_nails": ut.BedOfNails(2, at="center"),
    "resize_conv": ut.ResizeConv(4, 3, 2),
    "sub_pixel": ut.SubPixelConv(4, 3, 2),
    "blur": ut.BlurUp(2),
    "antialias": ut.Upsample((5, 7), mode="bilinear", antialias=True),
    "same": ut.Conv2d(4, 3, 3, stride=2, padding="same"),
    "padded": ut.ConvTranspose2d(4, 3, 3, stride=2, padding=((0, 1), (1, 1))),
    "folded": ut.ConvTranspose2d(4, 3, 3, stride=2, padding=1, padding_mode="reflect"),
    "order": ut.PixelShuffle(2, order="DCR"),
    "carafe": ut.CARAFE(4),
    "dysample": ut.DySample(4),
}
every_twin = pytest.mark.parametrize("name", TWINS)
every_layer = pytest.mark.parametrize("name", [*TWINS, *(f"our {name}" for name in OURS)])
tracing_warns = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")


def twins(name: str) -> tuple[nn.Module, nn.Module]:
    """Our layer and torch's, of the same weights."""
    kind, args, kwargs = TWINS[name]
    ours, theirs = getattr(ut, kind)(*args, **kwargs), getattr(nn, kind)(*args, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def layer_of(name: str) -> nn.Module:
    return OURS[name.removeprefix("our ")] if name.startswith("our ") else twins(name)[0]


def same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected)


# -- torch.fx ----------------------------------------------------------------------------------------------


@every_layer
def test_fx_takes_a_layer_whole(name: str) -> None:
    layer = layer_of(name)
    traced = torch.fx.symbolic_trace(nn.Sequential(layer))
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_module", "output"]
    same(traced(X), layer(X))


@every_layer
def test_a_layer_is_copied_and_pickled_as_what_it_is(name: str) -> None:
    layer = layer_of(name)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(again) is type(layer)
        assert type(again).__module__.startswith("unsample.torch.layers.")
        same(again(X), layer(X))
        torch.fx.symbolic_trace(nn.Sequential(again))


class Functions(nn.Module):
    """Every kind of function: one result, and two of which one is Switches."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, switches = ut.max_pool(x, 2)
        back = ut.max_unpool(values, switches)
        return ut.resize(back, factor=2, method="linear") + ut.nearest(x, 2)


def test_fx_records_the_functions() -> None:
    traced = torch.fx.symbolic_trace(Functions())
    called = [node.target.__name__ for node in traced.graph.nodes if node.op == "call_function"]
    assert {"max_pool", "max_unpool", "resize", "nearest"} <= set(called)
    for each in (traced, pickle.loads(pickle.dumps(traced))):
        same(each(OTHER), Functions()(OTHER))


# -- torch.jit.trace -----------------------------------------------------------------------------------------


@tracing_warns
@every_twin
def test_a_trace_is_that_of_torchs_layer_and_holds_for_other_sizes(name: str) -> None:
    ours, theirs = twins(name)
    kinds = [
        [node.kind() for node in torch.jit.trace(each, X).inlined_graph.nodes()] for each in (ours, theirs)
    ]
    assert kinds[0] == kinds[1]
    same(torch.jit.trace(ours, X)(OTHER), theirs(OTHER))


@tracing_warns
def test_a_trace_of_unpooling_which_torch_cannot_trace() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.unpool = ut.MaxPool2d(2, return_indices=True), ut.MaxUnpool2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.unpool(*self.pool(x))

    traced = torch.jit.trace(Network(), X)
    same(traced(X), Network()(X))
    with pytest.raises(RuntimeError, match=r"Switches\.from_torch: "):
        traced(OTHER)


@tracing_warns
@pytest.mark.parametrize("name", OURS)
def test_a_trace_of_what_torch_has_not_never_gives_another_answer(name: str) -> None:
    layer = OURS[name]
    traced = torch.jit.trace(layer, X)
    same(traced(X), layer(X))
    try:
        found = traced(OTHER)
    except RuntimeError:  # the operator's windows are those of the example
        return
    same(found, layer(OTHER))


@tracing_warns
def test_a_trace_of_functions_has_the_windows_of_its_example() -> None:
    traced = torch.jit.trace(Functions(), X)
    same(traced(X), Functions()(X))
    with pytest.raises(RuntimeError, match="max_pool: "):
        traced(OTHER)


# -- FLOPs ---------------------------------------------------------------------------------------------------


def flops(layer: nn.Module, x: torch.Tensor, *, train: bool) -> int:
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(train):
        result = layer(x)
        if train:
            result.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_multiply_adds_are_counted_as_torch_counts_its_own(rank: int, batched: bool, train: bool) -> None:
    x = torch.randn((*((3,) * batched), 4, 5, 6, 7)[: rank + 1 + batched], requires_grad=train)
    for kind, settings in (
        ("Conv", {"stride": 2, "padding": 1, "groups": 2}),
        ("ConvTranspose", {"stride": 2, "padding": 1}),
        ("ConvTranspose", {"stride": 3, "bias": False, "groups": 2}),
    ):
        ours, theirs = (getattr(each, f"{kind}{rank}d")(4, 6, 3, **settings) for each in (ut, nn))
        expected = flops(theirs, x, train=train)
        if train and ours.groups > 1:  # torch counts the gradient of a weight as if it had no groups
            expected = 3 * flops(theirs, x, train=False)
        assert flops(ours, x, train=train) == expected > 0


# -- the profiler --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [True, False])
def test_the_profiler_names_what_runs(recorded: bool) -> None:
    x = X.clone().requires_grad_(recorded)
    weight = torch.randn(4, 2, 2, 2)
    calls = {
        "nearest": lambda: us.nearest(x, 2),
        "conv_transpose": lambda: ut.conv_transpose(x, weight, stride=2),
        "max_pool": lambda: ut.MaxPool2d(2)(x),
        "resize": lambda: ut.Upsample(scale_factor=2, mode="bilinear")(x),
    }
    for name, call in calls.items():
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            found = call()
        assert f"unsample::{name}" in {each.key for each in profile.key_averages()}
        assert torch.equal(torch.as_tensor(found), torch.as_tensor(call()))


# -- fusers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
def test_a_norm_is_fused_into_a_convolution(kind: str) -> None:
    layer, norm = getattr(ut, kind)(4, 6, 3).eval(), nn.BatchNorm2d(6).eval()
    nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]
    nn.init.uniform_(norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    fused = fuse_conv_bn_eval(layer, norm, transpose=kind == "ConvTranspose2d")
    assert type(fused) is type(layer)
    torch.testing.assert_close(fused(X), norm(layer(X)), rtol=1e-4, atol=1e-5)
