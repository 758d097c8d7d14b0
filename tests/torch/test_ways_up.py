"""Our own ways up and their starts, against their formulas written out."""

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import unsample as us
import unsample.torch as ut

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _one_start() -> None:
    torch.manual_seed(0)


def phases(out: torch.Tensor, factor: tuple[int, ...]) -> list[torch.Tensor]:
    """The outputs at every place of the block."""
    return [
        out[(..., *(slice(t, None, f) for t, f in zip(place, factor, strict=True)))]
        for place in itertools.product(*(range(f) for f in factor))
    ]


# -- starts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["CRD", "DCR"])
@pytest.mark.parametrize("factor", [(3,), (2, 3), (2, 1, 2)])
@pytest.mark.parametrize("groups", [1, 2])
def test_icnr_before_a_shuffle_is_nearest_after_it(order: str, factor: tuple[int, ...], groups: int) -> None:
    if groups == 2 and order == "DCR":
        with pytest.raises(us.ShapeError, match=r"icnr_: all .* channels of a block must be in one group"):
            ut.SubPixelConv(4, 6, 3, factor, order=order, groups=groups)
        return
    layer = ut.SubPixelConv(4, 6, 3, factor, order=order, groups=groups)
    out = layer(torch.randn(2, 4, *(5,) * len(factor)))
    first, *others = phases(out, factor)
    assert first.std() > 0.1
    assert len(first.unique()) > 50
    for each in others:
        torch.testing.assert_close(each, first)
    if max(factor) > 1:
        plain = ut.SubPixelConv(4, 6, 3, factor, order=order, groups=groups, icnr=False)
        first, *others = phases(plain(torch.randn(2, 4, *(5,) * len(factor))), factor)
        assert not all(torch.allclose(each, first) for each in others)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("rank", "kernel", "stride"),
    [(1, 4, 2), (1, 5, 2), (2, (4, 3), (2, 3)), (2, 3, 2), (3, (4, 2, 2), (2, 2, 1))],
)
def test_icnr_of_transposed_convolutions(rank: int, kernel: Any, stride: Any, groups: int) -> None:
    layer = getattr(ut, f"ConvTranspose{rank}d")(4, 6, kernel, stride=stride, groups=groups)
    assert ut.init.icnr_(layer) is layer
    steps = layer.stride
    x = torch.randn(2, 4, *(5,) * rank)
    # Whole blocks: the taps beyond the last multiple of the stride add nothing.
    out = layer(x)[(..., *(slice(5 * s) for s in steps))]
    first, *others = phases(out, steps)
    assert first.std() > 0.1
    for each in others:
        torch.testing.assert_close(each, first)
    bare = layer.weight.detach().clone()
    ut.init.icnr_(bare, steps, transposed=True, groups=groups)
    assert not torch.equal(bare, layer.weight)


def test_icnr_refuses_what_it_cannot_do() -> None:
    with pytest.raises(RuntimeError, match="icnr_: the kernel must be at least as large as the stride"):
        ut.init.icnr_(ut.ConvTranspose1d(1, 1, 2, stride=3))
    with pytest.raises(RuntimeError, match="icnr_: factor must be given for a Conv2d"):
        ut.init.icnr_(ut.Conv2d(1, 4, 3))
    with pytest.raises(RuntimeError, match="icnr_: all 4 channels of a block must be in one group, got 6"):
        ut.init.icnr_(ut.Conv2d(1, 6, 3), 2)


class Doubled(nn.Module):
    """A parametrization that can be inverted."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    def right_inverse(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def parametrized(kind: type[nn.Module]) -> Any:
    return lambda layer: nn.utils.parametrize.register_parametrization(layer, "weight", kind())


NORMS: dict[str, Any] = {
    "weight_norm": nn.utils.parametrizations.weight_norm,
    "weight_norm of all": lambda layer: nn.utils.parametrizations.weight_norm(layer, dim=None),
    "weight_norm of old": nn.utils.weight_norm,
    "weight_norm of old, dim 1": lambda layer: nn.utils.weight_norm(layer, dim=1),
    "doubled": parametrized(Doubled),
    "normed and doubled": lambda layer: parametrized(Doubled)(nn.utils.parametrizations.weight_norm(layer)),
}
NOT: dict[str, Any] = {
    "_SpectralNorm": nn.utils.parametrizations.spectral_norm,
    "SpectralNorm": nn.utils.spectral_norm,
    "ReLU": parametrized(nn.ReLU),
    "Tanh": parametrized(nn.Tanh),
    "L1Unstructured": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
}
STARTS: dict[str, Any] = {
    "icnr": (lambda: nn.ConvTranspose2d(3, 2, 4, 2, 1), ut.init.icnr_),
    "bilinear": (lambda: nn.ConvTranspose2d(3, 2, 4, 2, 1), ut.init.bilinear_),
    "shuffle": (lambda: ut.SubPixelConv(3, 2, icnr=False), ut.init.icnr_),
}


def filled(values: torch.Tensor) -> torch.Tensor:
    return values.copy_(torch.linspace(-1, 2, values.numel()).reshape(values.shape))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # the older functions of torch
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", STARTS)
def test_starts_set_what_a_norm_computes(start: str, norm: str) -> None:
    make, begin = STARTS[start]
    words = {} if start == "bilinear" else {"initialise": filled}
    layer, plain = make(), make()
    plain.load_state_dict(layer.state_dict())
    inner = getattr(layer, "conv", layer)
    NORMS[norm](inner)
    assert begin(layer, **words) is layer
    begin(plain, **words)
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(inner.weight, getattr(plain, "conv", plain).weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)
    layer(x).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("norm", NOT)
@pytest.mark.parametrize("start", STARTS)
def test_starts_refuse_what_computes_a_weight_and_cannot_compute_the_start(start: str, norm: str) -> None:
    make, begin = STARTS[start]
    layer = make().eval()
    NOT[norm](getattr(layer, "conv", layer))
    layer.eval()
    x = torch.randn(2, 3, 5, 5)
    before = layer(x)
    with pytest.raises(RuntimeError) as error:
        begin(layer)
    assert str(error.value) == (
        f"{begin.__name__}: weight must be a parameter or what a norm of weights computes, got what {norm} "
        f"computes, which cannot be set to the start: start the layer before"
    )
    assert torch.equal(layer(x), before)


def test_starts_refuse_a_tensor_that_nobody_keeps() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(1, 1, 4, 2))
    with pytest.raises(
        RuntimeError, match="icnr_: target must be a layer or a tensor that is not computed of"
    ):
        ut.init.icnr_(layer.weight, 2, transposed=True)


@pytest.mark.parametrize(("rank", "stride"), [(1, 2), (1, 3), (2, 2), (2, (3, 2)), (3, 2)])
@pytest.mark.parametrize("groups", [1, 3])
def test_bilinear_is_interpolation(rank: int, stride: Any, groups: int) -> None:
    steps = (stride,) * rank if isinstance(stride, int) else stride
    kernel = [2 * s - s % 2 for s in steps]
    padding = [(k - s) // 2 for k, s in zip(kernel, steps, strict=True)]
    layer = getattr(ut, f"ConvTranspose{rank}d")(
        3, 3, kernel, steps, padding, groups=groups, dtype=torch.float64
    )
    ut.init.bilinear_(layer)
    x = torch.randn(1, 3, *(5,) * rank, dtype=torch.float64)
    out = layer(x)
    expected = ut.resize(x, out.shape[2:])
    inside = (..., *(slice(s, -s) for s in steps))
    torch.testing.assert_close(out[inside], expected[inside])


# -- fixed and convolved --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("factor", [(2,), (2, 3)])
def test_resize_conv(mode: str, factor: tuple[int, ...]) -> None:
    layer = ut.ResizeConv(3, 4, 3, factor, mode=mode)
    x = torch.randn(2, 3, *(5,) * len(factor))
    conv = nn.functional.conv1d if len(factor) == 1 else nn.functional.conv2d
    large = us.resize(x, factor=factor, method=mode)
    torch.testing.assert_close(layer(x), conv(large, layer.conv.weight, layer.conv.bias, padding="same"))
    smaller = tuple(5 * f - 1 for f in factor)
    assert layer(x, output_size=smaller).shape == (2, 4, *smaller)
    assert layer(x[0]).shape == layer(x).shape[1:]
    assert repr(layer).startswith(f"ResizeConv(\n  factor={factor}, mode='{mode}'\n")


@pytest.mark.parametrize(("factor", "order"), [((2,), 3), ((3,), 2), ((2, 3), 3), ((2, 2, 2), 1), ((4,), 5)])
def test_blur_up(factor: tuple[int, ...], order: int) -> None:
    layer = ut.BlurUp(factor, order=order)
    size = (7,) * len(factor)
    whole = tuple(7 * f for f in factor)
    # A constant stays, to the border.
    torch.testing.assert_close(layer(torch.full((2, 3, *size), 5.0)), torch.full((2, 3, *whole), 5.0))
    # So does a ramp, as linear interpolation has it, where the border does not reach and there are 2 boxes.
    ramp = torch.arange(7.0, dtype=torch.float64).reshape(-1, *(1,) * (len(factor) - 1)).expand(size)
    inside = (..., *(slice(order * f, -order * f) for f in factor))
    if order > 1:
        expected = us.resize(ramp, whole)
        torch.testing.assert_close(layer(ramp)[inside], expected[inside])
    # Nails and a filter.
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    kernel = torch.ones((), dtype=torch.float64)
    for f in factor:
        spline = torch.tensor([1.0], dtype=torch.float64)
        for _ in range(order):
            longer = torch.zeros(len(spline) + f - 1, dtype=torch.float64)
            for i, j in itertools.product(range(len(spline)), range(f)):
                longer[i + j] += spline[i]
            spline = longer
        kernel = kernel[..., None] * spline / f ** (order - 1)
    convolve = {1: nn.functional.conv1d, 2: nn.functional.conv2d, 3: nn.functional.conv3d}[len(factor)]
    nails = us.bed_of_nails(x, factor)
    wide = [(order + 1) * f for f in factor]
    padded = nn.functional.pad(nails, [w for each in reversed(wide) for w in (each, each)])
    full = convolve(padded, kernel[None, None])
    starts = [w - order * (f - 1) + (order - 1) * (f - 1) // 2 for w, f in zip(wide, factor, strict=True)]
    full = full[(..., *(slice(s, s + n) for s, n in zip(starts, whole, strict=True)))]
    torch.testing.assert_close(layer(x)[inside], full[inside])


def test_blur_up_sizes() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert ut.BlurUp(2)(x, like=torch.zeros(1, 7, 9)).shape == (2, 3, 7, 9)
    with pytest.raises(RuntimeError, match=r"BlurUp: .* must be even, got order 2, factor 2"):
        ut.BlurUp(2, order=2)


# -- content-aware --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "kernel", "groups"), [((2,), (3,), 1), ((2, 3), (3, 1), 2), ((1, 2, 1), (1, 3, 3), 1)]
)
def test_reassemble_is_its_formula(factor: tuple[int, ...], kernel: tuple[int, ...], groups: int) -> None:
    rank, channels = len(factor), 4
    size = (4, 3, 2)[:rank]
    x = torch.randn(2, channels, *size, dtype=torch.float64)
    places = list(itertools.product(*(range(k) for k in kernel)))
    outputs = tuple(n * f for n, f in zip(size, factor, strict=True))
    weights = torch.randn(2, groups * len(places), *outputs, dtype=torch.float64)
    expected = torch.zeros(2, channels, *outputs, dtype=torch.float64)
    for o in itertools.product(*(range(n) for n in outputs)):
        for t, place in enumerate(places):
            where = [i // f + p - k // 2 for i, f, p, k in zip(o, factor, place, kernel, strict=True)]
            if all(0 <= p < n for p, n in zip(where, size, strict=True)):
                for c in range(channels):
                    group = c // (channels // groups)
                    weight = weights[(slice(None), group * len(places) + t, *o)]
                    expected[(slice(None), c, *o)] += weight * x[(slice(None), c, *where)]
    layer = ut.Reassemble(kernel, factor, groups=groups, dims=rank)
    torch.testing.assert_close(layer(x, weights), expected)
    with pytest.raises(RuntimeError, match="Reassemble: weights must be"):
        layer(x, weights[:, :-1])


def test_carafe() -> None:
    layer = ut.CARAFE(6, groups=2, compressed_channels=8)
    assert sorted(layer.state_dict()) == [
        *("channel_compressor.bias", "channel_compressor.weight"),
        *("content_encoder.bias", "content_encoder.weight"),
    ]
    x = torch.randn(2, 6, 5, 7)
    nn.init.zeros_(layer.content_encoder.weight)
    # Equal weights: the mean of 5 x 5 elements, those outside counted as 0.
    mean = nn.functional.avg_pool2d(x, 5, stride=1, padding=2)
    torch.testing.assert_close(layer(x), us.nearest(mean, 2))
    # One weight of one group far above the others: the element it belongs to.
    with torch.no_grad():
        layer.content_encoder.bias.zero_()[4 * (25 + 11) : 4 * (25 + 12)] = 100.0
    # Tap 11 is row 2, column 1: the element before in the row. The second group alone.
    out = layer(x)
    torch.testing.assert_close(out[:, :3], us.nearest(mean[:, :3], 2))
    torch.testing.assert_close(out[:, 3:, :, 2:], us.nearest(x[:, 3:, :, :-1], 2))
    assert layer(x[0]).shape == (6, 10, 14)
    assert layer(x, like=torch.zeros(9, 13)).shape == (2, 6, 9, 13)


@pytest.mark.parametrize("style", ["lp", "pl"])
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("scope", [False, True])
def test_dysample(style: str, factor: int, scope: bool) -> None:
    channels = 18 if factor == 3 else 8
    layer = ut.DySample(channels, factor, style=style, groups=2, dynamic_scope=scope)
    names = ["init_pos", "offset.bias", "offset.weight", *(["scope.weight"] if scope else [])]
    assert sorted(layer.state_dict()) == names
    x = torch.randn(2, channels, 6, 5)
    nn.init.zeros_(layer.offset.weight)
    interpolate = nn.functional.interpolate
    torch.testing.assert_close(layer(x), interpolate(x, scale_factor=factor, mode="bilinear"))
    # An offset of 4 in x of the second group alone is 0.25 * 4, one column (0.5 * sigmoid(0) * 4 as well).
    with torch.no_grad():
        layer.offset.bias.zero_().reshape(2, 2, -1)[0, 1] = 4.0
    shifted = torch.cat([x[:, : channels // 2], x[:, channels // 2 :].roll(-1, 3)], 1)
    expected = interpolate(shifted, scale_factor=factor, mode="bilinear")
    inside = (..., slice(factor, -2 * factor))  # of the columns: what is read there is not the border
    torch.testing.assert_close(layer(x)[inside], expected[inside])
    assert layer(x[0]).shape == (channels, 6 * factor, 5 * factor)


@pytest.mark.parametrize(
    "layer",
    [
        ut.ResizeConv(8, 4),
        ut.SubPixelConv(8, 4),
        ut.BlurUp(2),
        ut.CARAFE(8, compressed_channels=4),
        ut.DySample(8),
        ut.DySample(8, style="pl", dynamic_scope=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_ours_export_and_have_gradients(layer: nn.Module) -> None:
    x = torch.randn(2, 8, 4, 5)
    dim = torch.export.Dim.DYNAMIC
    exported = torch.export.export(layer, (x,), dynamic_shapes=({2: dim, 3: dim},))
    if isinstance(layer, ut.CARAFE | ut.DySample):
        targets = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
        assert all(not target.startswith("unsample") for target in targets)  # torch's own operators alone
    other = torch.randn(2, 8, 6, 3)
    torch.testing.assert_close(exported.module()(other), layer(other))
    layer = layer.double()
    leaf = x[:1, :, :3, :3].double().requires_grad_()
    torch.autograd.gradcheck(layer, (leaf,), fast_mode=True)
    layer(leaf).sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
