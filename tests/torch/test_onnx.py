"""Models that leave torch: exported to ONNX and run there, and saved as .pt2 and loaded again."""

import copy
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import nn

import unsample as us
import unsample.torch as ut
from backends import TORCH
from samples import SAMPLES, Sample
from unsample.geometry.resample import CONVENTIONS
from unsample.torch import direct, operators
from unsample.torch.export import RULES

DIM = torch.export.Dim.DYNAMIC

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _one_start_and_no_log() -> Iterator[None]:
    torch.manual_seed(0)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


class ThereAndBack(nn.Module):
    """Pool, and unpool by what the pooling gave."""

    def __init__(self, pool: nn.Module, unpool: nn.Module, sized: bool = False) -> None:
        super().__init__()
        self.pool, self.unpool, self.sized = pool, unpool, sized

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, places = self.pool(x)
        return self.unpool(values, places, like=x) if self.sized else self.unpool(values, places)


class Skip(nn.Module):
    """Down and up again to the size of the skip connection."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self.down = ut.Conv2d(4, 4, 3, stride=2, padding=1)
        self.up = ut.ConvTranspose2d(4, 4, 3, stride=2, padding=1, **kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.up(self.down(x), like=x)


class Call(nn.Module):
    """One function of `unsample.torch`."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.name, self.args, self.kwargs = name, args, kwargs

    def forward(self, x: torch.Tensor) -> Any:
        out: Any = getattr(ut, self.name)(x, *self.args, **self.kwargs)
        return (out[0], out[1].taps) if isinstance(out, tuple) else out


def switches_of(pool: Any) -> Any:
    return ThereAndBack(
        pool(2, return_switches=True), getattr(ut, pool.__name__.replace("Pool", "Unpool"))(2)
    )


# Model, input; and whether its sizes may change in the exported graph.
Model = tuple[nn.Module, tuple[int, ...], bool]
MODELS: dict[str, Model] = {
    "Nearest": (ut.Nearest((2, 3)), (2, 4, 6, 8), True),
    "BedOfNails": (ut.BedOfNails((2, 3), (1, 2)), (2, 4, 6, 8), True),
    "ResizeConv": (ut.ResizeConv(4, 3, 3, 2), (2, 4, 6, 8), True),
    "ResizeConv linear": (ut.ResizeConv(4, 3, 3, 2, mode="linear"), (2, 4, 6, 8), True),
    "SubPixelConv DCR": (ut.SubPixelConv(4, 3, 3, 2, order="DCR"), (2, 4, 6, 8), True),
    "BlurUp": (ut.BlurUp(2), (2, 4, 6, 8), True),
    "Reassemble": (ut.CARAFE(4, 2), (2, 4, 6, 8), True),
    "DySample": (ut.DySample(4, 2), (2, 4, 6, 8), True),
    "Conv same": (ut.Conv2d(4, 3, 4, padding="same"), (2, 4, 6, 8), True),
    "Conv same, stride 2": (ut.Conv2d(4, 3, 4, stride=2, padding="same"), (2, 4, 6, 8), False),
    "Conv per side": (ut.Conv1d(4, 3, 3, padding=((2, 0),)), (2, 4, 9), True),
    "ConvTranspose": (ut.ConvTranspose2d(4, 3, 3, 2, 1, 1, groups=1), (2, 4, 6, 8), True),
    "ConvTranspose 1d groups": (ut.ConvTranspose1d(4, 6, 4, 2, 1, groups=2), (2, 4, 9), True),
    "ConvTranspose 3d": (ut.ConvTranspose3d(4, 2, 3, 2, dilation=2), (2, 4, 3, 4, 5), True),
    "ConvTranspose sides": (ut.ConvTranspose1d(4, 3, 3, 2, padding=((0, 1),)), (2, 4, 9), True),
    **{
        f"ConvTranspose {mode}": (
            ut.ConvTranspose2d(4, 3, 4, 2, padding=(1, 2), padding_mode=mode),
            (2, 4, 6, 8),
            True,
        )
        for mode in ("circular", "reflect", "replicate")
    },
    "like, reflect": (Skip(padding_mode="reflect"), (2, 4, 7, 10), True),
    "PixelShuffle": (ut.PixelShuffle(2), (2, 8, 6, 8), True),
    "PixelShuffle 3d": (ut.PixelShuffle((2, 1, 2)), (2, 8, 3, 4, 5), True),
    "PixelUnshuffle": (ut.PixelUnshuffle((2, 2)), (2, 3, 6, 8), False),
    "Switches 1d": (switches_of(ut.MaxPool1d), (2, 4, 10), False),
    "Switches 3d": (switches_of(ut.MaxPool3d), (1, 2, 4, 6, 4), False),
    "Switches ceil": (
        ThereAndBack(ut.MaxPool2d(2, ceil_mode=True, return_switches=True), ut.MaxUnpool2d(2)),
        (2, 4, 5, 7),
        False,
    ),
    "Switches padded": (
        ThereAndBack(
            ut.MaxPool2d(3, 2, padding=1, return_switches=True), ut.MaxUnpool2d(3, duplicates="sum")
        ),
        (2, 4, 7, 9),
        False,
    ),
    "Switches adaptive": (
        ThereAndBack(ut.AdaptiveMaxPool2d((3, 4), return_switches=True), ut.MaxUnpool2d(2)),
        (2, 4, 7, 8),
        False,
    ),
    "indices": (
        ThereAndBack(ut.MaxPool2d(2, return_indices=True), ut.MaxUnpool2d(2), sized=True),
        (2, 4, 7, 9),
        False,
    ),
    "MaxPool same": (ut.MaxPool2d(3, 2, padding="same"), (2, 4, 7, 8), False),
    "Upsample bicubic": (ut.Upsample(size=(9, 13), mode="bicubic", align_corners=True), (2, 4, 6, 8), True),
    "Upsample nearest-exact": (ut.Upsample(size=(9, 13), mode="nearest-exact"), (2, 4, 6, 8), True),
    "Upsample antialias": (
        ut.Upsample(size=(4, 5), mode="bicubic", antialias=True),
        (2, 4, 6, 8),
        True,
    ),
    "Upsample area": (ut.Upsample(size=(4, 13), mode="area"), (2, 4, 6, 8), True),
    "resize catmull_rom": (Call("resize", factor=2, method="catmull_rom"), (2, 4, 6, 8), True),
    "resize align_corners": (
        Call("resize", (9, 13), method="catmull_rom", convention="align_corners"),
        (2, 4, 6, 8),
        True,
    ),
    # Whose kernel is longer than the axis, so that the repeated border weighs.
    "resize lanczos5": (
        Call("resize", (4, 5), method="lanczos5", antialias=True, exclude_outside=False),
        (2, 4, 6, 8),
        True,
    ),
    "resize_transpose": (Call("resize_transpose", (4, 5), method="cubic"), (2, 4, 6, 8), True),
    "resize_transpose nearest": (Call("resize_transpose", (4, 5), method="nearest"), (2, 4, 6, 8), True),
    "window_sum": (Call("window_sum", 2), (2, 4, 6, 8), False),
    "decimate": (Call("decimate", 2, at=1), (2, 4, 6, 9), False),
}
SAVED = ("Nearest", "BedOfNails", "ResizeConv linear", "SubPixelConv DCR", "BlurUp", "Reassemble", "DySample")
SAVED += ("ConvTranspose 3d", "ConvTranspose circular", "like, reflect", "PixelShuffle 3d")
SAVED += ("Switches ceil", "Switches adaptive", "indices")
every_model = pytest.mark.parametrize("name", MODELS)


def model(name: str) -> tuple[nn.Module, torch.Tensor, bool]:
    module, shape, dynamic = MODELS[name]
    return copy.deepcopy(module).eval(), torch.randn(shape), dynamic


def session_of(program: Any) -> Any:
    """The program in ONNX Runtime."""
    content = program.model_proto.SerializeToString()
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def in_runtime(session: Any, x: torch.Tensor) -> torch.Tensor:
    (given,) = session.get_inputs()
    return torch.from_numpy(session.run(None, {given.name: x.numpy()})[0])


def run(program: Any, x: torch.Tensor) -> torch.Tensor:
    return in_runtime(session_of(program), x)


def other_size(x: torch.Tensor) -> torch.Tensor:
    """As `x`, with a larger batch and each spatial axis longer by another number."""
    return torch.randn(x.shape[0] + 1, x.shape[1], *(n + 1 + i for i, n in enumerate(x.shape[2:])))


def sizes(x: torch.Tensor, dynamic: bool) -> Any:
    return ({axis: DIM for axis in range(x.ndim) if axis != 1},) if dynamic else None


def some(names: Any, *shown: str) -> list[Any]:
    """Names as parameters, slow but for those with one of these in them."""
    return [n if any(each in n for each in shown) else pytest.param(n, marks=pytest.mark.slow) for n in names]


@every_model
@torch.no_grad()
def test_onnx_runtime_gives_what_torch_gives(name: str) -> None:
    module, x, dynamic = model(name)
    program = torch.onnx.export(module, (x,), dynamic_shapes=sizes(x, dynamic), dynamo=True, verbose=False)
    assert {node.domain for node in program.model_proto.graph.node} == {""}  # ONNX's own operators alone
    for each in (x, other_size(x)) if dynamic else (x,):
        expected = module(each)
        found = run(program, each)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", SAVED)
@torch.no_grad()
def test_saved_programs_come_back(name: str, tmp_path: Path) -> None:
    """torch.export to a .pt2 file, in which our operators are nodes of their own, and back."""
    module, x, dynamic = model(name)
    program = torch.export.export(module, (x,), dynamic_shapes=sizes(x, dynamic))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    for each in (x, other_size(x)) if dynamic else (x,):
        assert torch.equal(loaded(each), module(each))


def test_a_program_exported_before() -> None:
    """`run_decompositions` leaves torch's operators alone, which the exporter knows."""
    module, x, _ = model("ConvTranspose circular")
    program = torch.export.export(module, (x,))
    assert "unsample.conv_transpose.default" in {str(node.target) for node in program.graph.nodes}
    plain = program.run_decompositions(ut.decompositions())
    assert not any("unsample" in str(node.target) for node in plain.graph.nodes)
    torch.testing.assert_close(plain.module()(x), module(x))
    exported = torch.onnx.export(plain, dynamo=True, verbose=False)
    torch.testing.assert_close(run(exported, x), module(x).detach(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", some(MODELS, "Upsample", "resize", "adaptive"))
@torch.no_grad()
def test_every_program_exported_before(name: str) -> None:
    module, x, dynamic = model(name)
    program = torch.export.export(module, (x,), dynamic_shapes=sizes(x, dynamic))
    plain = program.run_decompositions(ut.decompositions())
    assert not any("unsample" in str(node.target) for node in plain.graph.nodes)
    for each in (x, other_size(x)) if dynamic else (x,):
        torch.testing.assert_close(plain.module()(each), module(each), rtol=1e-5, atol=2e-6)


# -- what is not finite, and labels -------------------------------------------------------------------------

COPIED = {
    "nearest": Call("nearest", (2, 3)),
    "bed_of_nails": Call("bed_of_nails", (2, 3), at=1),
    "decimate": Call("decimate", 2),
    "pixel_shuffle": Call("pixel_shuffle", 2),
    "pixel_shuffle DCR": Call("pixel_shuffle", 2, order="DCR"),
    "pixel_unshuffle": Call("pixel_unshuffle", 2),
    **{
        f"resize {size} {convention}": Call("resize", size, method="nearest", convention=convention)
        for size in ((12, 8), (13, 8), (1, 5))
        for convention in CONVENTIONS
    },
    **{
        f"resize {method}": Call("resize", (3, 16), method=method)
        for method in ("nearest_ties_down", "floor", "ceil")
    },
    "resize pairs": Call("resize", (6, 5), method="nearest", convention=((0.25, 1), (0.5, 1.5))),
}
WAYS = [
    {"method": method, "convention": convention, "antialias": antialias}
    for method in ("linear", "cubic", "catmull_rom", "area")
    for convention in ("half_pixel", "align_corners", "asymmetric")
    for antialias in (False, True)
    if (convention == "half_pixel" or (method != "area" and not antialias))
    and not (antialias and method == "area")
]
SUMMED = {
    "window_sum": Call("window_sum", 2),
    "conv": Call("conv", torch.randn(3, 8, 3, 3), padding=1),
    "conv_transpose": Call("conv_transpose", torch.randn(8, 3, 3, 3), stride=2, padding=1),
    **{
        f"{name} {size} {' '.join(map(str, way.values()))}": Call(name, size, **way)
        for size in ((12, 32), (13, 8), (3, 5))
        for way in WAYS
        for name in ("resize", "resize_transpose")
    },
    **{
        f"{name} {size} {' '.join(map(str, way.values()))}": Call(name, size, **way)
        for size in ((3, 5),)
        for way in (
            {"method": "lanczos3", "exclude_outside": True},
            {"method": "lanczos5", "antialias": True, "exclude_outside": False},
            {"method": "cubic", "exclude_outside": True},
        )
        for name in ("resize", "resize_transpose")
    },
    "resize pairs": Call("resize", (6, 5), method="catmull_rom", convention=((0.25, 1), (0.5, 1.5))),
    **{
        f"resize_transpose {size} nearest": Call("resize_transpose", size, method="nearest")
        for size in ((12, 16), (3, 5))
    },
}


def image(dtype: torch.dtype) -> torch.Tensor:
    """Small whole numbers, or what lies between, 8 channels of 6 times 8."""
    x = torch.randn(1, 8, 6, 8) * 3
    if dtype == torch.bool:
        return x > 0
    return x.to(dtype) if dtype.is_floating_point else x.abs().round().to(dtype)


def exported(module: nn.Module, x: torch.Tensor) -> Any:
    return session_of(torch.onnx.export(module.eval(), (x,), dynamo=True, verbose=False))


def with_one(x: torch.Tensor, value: float) -> torch.Tensor:
    """As `x`, with this value near a corner of one channel and in the middle of another."""
    x = x.clone()
    x[0, 0, 1, 1] = x[0, 3, 3, 4] = value
    return x


NOT_FINITE = (float("nan"), float("inf"), -float("inf"), -0.0)


@pytest.mark.parametrize("name", some(COPIED, "nails", "pixel_shuffle", "half_pixel", "ties", "pairs"))
@torch.no_grad()
def test_copies_are_bit_for_bit_in_onnx_runtime(name: str) -> None:
    module = COPIED[name]
    session = exported(module, image(torch.float32))
    for value in NOT_FINITE:
        x = with_one(image(torch.float32), value)
        assert torch.equal(in_runtime(session, x).view(torch.int32), module(x).view(torch.int32))
    for dtype in (torch.uint8, torch.int32, torch.int64, torch.bool):
        x = image(dtype)
        assert torch.equal(in_runtime(exported(module, x), x), module(x))


@pytest.mark.parametrize(
    "name",
    some(
        SUMMED,
        "window",
        "conv",
        "(12, 32) linear",
        "(13, 8) c",
        "(3, 5) area",
        "nearest",
        "pairs",
        "True False",
    ),
)
@torch.no_grad()
def test_sums_touch_what_has_a_weight_in_onnx_runtime(name: str) -> None:
    module = SUMMED[name]
    session = exported(module, image(torch.float32))
    for value in NOT_FINITE:
        x = with_one(image(torch.float32), value)
        torch.testing.assert_close(in_runtime(session, x), module(x), rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("way", [WAYS[0], WAYS[-1]], ids=str)
@torch.no_grad()
def test_sums_of_other_dtypes_in_onnx_runtime(dtype: torch.dtype, way: dict[str, Any]) -> None:
    """Accumulated in float32, rounded once and clamped, as eager does."""
    module, x = Call("resize", (12, 5), **way), image(dtype)
    found, expected = in_runtime(exported(module, x), x), module(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=1e-3 if dtype == torch.float16 else 1e-12, atol=0)


# -- the same functions, called ----------------------------------------------------------------------------


# What torch's own operators cannot do is refused, and never another result.
REFUSED = {
    "4d": "at most 3 spatial axes can be exported, got 4",
    "circular-wraps": "causes wrapping around more than once|must be at most . for the export",
    "reflect-wraps": "less than the corresponding input dimension|must be at most . for the export",
}


# conv_weight_grad is a training step's and has no rule.
EXPORTED = [sample for sample in SAMPLES if sample.pair.name != "conv_weight_grad"]


@pytest.mark.parametrize("sample", EXPORTED, ids=str)
@pytest.mark.parametrize("up", [False, True], ids=["down", "up"])
def test_every_sample_in_torch_functions(sample: Sample, up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    function = sample.pair.up if up else sample.pair.down
    args, kwargs = sample.up if up else (sample.args, sample.kwargs)
    x = torch.tensor(sample.y() if up else sample.x())
    args = TORCH.arguments(args)
    expected = function(x, *args, **kwargs)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    monkeypatch.setattr(direct, "observed", lambda: True)
    call = getattr(ut, function.__name__)
    if sample.name in REFUSED and sample.pair.name == "conv_transpose":
        with pytest.raises(RuntimeError, match=REFUSED[sample.name]):
            call(x, *args, **kwargs)
        return
    found = call(x, *args, **kwargs)
    assert found.dtype == expected.dtype
    if "resize" in function.__name__:
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    else:
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "pooling",
    [
        {"kernel_size": (2, 3)},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": "same"},
        {"kernel_size": 2, "stride": 3, "ceil_mode": True},
        {"kernel_size": (2, 3), "stride": 1, "dilation": (3, 2)},
        {"kernel_size": 2, "padding": ((1, 0), (0, 1)), "ceil_mode": True},
        {"output_size": (3, 4)},
        {"output_size": (8, 11)},
    ],
    ids=str,
)
def test_pooling_in_torch_functions(pooling: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, taps and indices; with ties, of which the first wins."""
    name = "adaptive_max_pool" if "output_size" in pooling else "max_pool"
    x = torch.randint(0, 4, (2, 3, 8, 11)).double()
    values, switches = getattr(us, name)(x, **pooling)
    indices = switches.to_torch()
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    monkeypatch.setattr(direct, "observed", lambda: True)
    found, places = getattr(ut, name)(x, **pooling)
    assert torch.equal(found, values)
    assert torch.equal(places.taps, switches.taps)
    assert places.taps.dtype == switches.taps.dtype
    assert torch.equal(ut.switches_to_indices(places), indices)
    assert torch.equal(ut.indices_to_switches(indices, places.windows).taps, switches.taps)
    for duplicates in ("last", "sum", "max"):
        expected = us.max_unpool(values, switches, duplicates=duplicates)
        assert torch.equal(ut.max_unpool(values, places, duplicates=duplicates), expected)


def test_every_operator_but_one_has_torch_functions() -> None:
    assert set(operators.SCHEMAS) - set(RULES) == {"conv_weight_grad"}


def test_sizes_that_cannot_be_symbols_are_named() -> None:
    pool = Call("adaptive_max_pool", (2, 3)).eval()
    x = torch.randn(2, 2, 5, 6)
    program = torch.export.export(pool, (x,), dynamic_shapes=sizes(x, True))
    with pytest.raises(RuntimeError, match="adaptive_max_pool: sizes must be fixed for the export"):
        program.run_decompositions(ut.decompositions())


class EveryWay(nn.Module):
    """Every method of `resize` to one size, in one graph."""

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        methods: Any = ("nearest", "linear", "cubic", "catmull_rom", "area")
        plain = [ut.resize(x, self.size, method=method) for method in methods]
        return [*plain, *(ut.resize(x, self.size, method=method, antialias=True) for method in methods[1:4])]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 2, 5), (8,)),
        pytest.param((1, 2, 3, 4, 5), (6, 3, 7), marks=pytest.mark.slow),
        pytest.param((1, 2, 1, 4), (3, 1), marks=pytest.mark.slow),
        pytest.param((0, 2, 3, 4), (6, 5), marks=pytest.mark.slow),
    ],
    ids=str,
)
@torch.no_grad()
def test_lines_volumes_and_axes_of_one_in_onnx_runtime(shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    module, x = EveryWay(size), torch.randn(shape)
    session = exported(module, x)
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for one, other in zip(found, module(x), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@torch.no_grad()
def test_what_is_not_finite_spreads_by_one_element_where_sizes_are_symbols(mode: Any) -> None:
    """To outputs whose weight for it is 0, as docs/torch.md says, and not beyond them."""
    layer, x = ut.Upsample(scale_factor=3, mode=mode).eval(), image(torch.float32)
    dynamic = {"input": {2: torch.export.Dim("h", min=2, max=99), 3: torch.export.Dim("w", min=2, max=99)}}
    program = torch.onnx.export(layer, (x,), dynamo=True, verbose=False, dynamic_shapes=dynamic)
    session = session_of(program)
    reach = {"bilinear": 1, "bicubic": 2}[mode]
    near = torch.zeros(1, 8, 18, 24, dtype=torch.bool)
    for channel, i, j in ((0, 1, 1), (3, 3, 4)):  # as in `with_one`
        rows, columns = (
            ((torch.arange(3 * n) - 1).clip(0, 3 * n - 3) - 3 * k).abs() <= 3 * reach
            for n, k in ((6, i), (8, j))
        )
        near[0, channel] |= rows[:, None] & columns
    for value in NOT_FINITE[:3]:
        given = with_one(x, value)
        found, eager = in_runtime(session, given), layer(given)
        assert (~found.isfinite() <= near).all()
        assert (~eager.isfinite() <= ~found.isfinite()).all()
        assert found.isnan().sum() > eager.isnan().sum()
        torch.testing.assert_close(found[~near], eager[~near], rtol=1e-5, atol=1e-5)
