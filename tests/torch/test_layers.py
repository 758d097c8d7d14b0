"""Layers under torch.nn's names against torch.nn itself, and what they do beyond it."""

import copy
import inspect
import itertools
import math
import pickle
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import unsample as us
import unsample.torch as ut

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = {1: (11,), 2: (7, 11), 3: (5, 7, 6)}


def _cases() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]]:
    """Name, constructor arguments, input shape without batch."""
    for rank in (1, 2, 3):
        size = SIZES[rank]
        per_axis = tuple(range(1, rank + 1))
        for kwargs in (
            {},
            {"stride": 2, "padding": 1},
            {"stride": per_axis, "padding": per_axis[::-1], "dilation": 2},
            {"padding": "same", "dilation": 2},
            {"padding": "valid", "bias": False},
            {"groups": 2, "padding": 1, "padding_mode": "circular"},
            {"padding": 2, "padding_mode": "reflect", "stride": 2},
            {"padding": "same", "padding_mode": "replicate"},
        ):
            yield f"Conv{rank}d", (4, 6, 3), kwargs, (4, *size)
        for kwargs in (
            {},
            {"stride": 2, "padding": 1, "output_padding": 1},
            {"stride": (3, 2, 4)[:rank], "padding": per_axis, "output_padding": (1, 0, 2)[:rank]},
            {"groups": 2, "bias": False, "stride": 2},
            {"dilation": 3, "output_padding": 2},
        ):
            yield f"ConvTranspose{rank}d", (4, 6, 3), kwargs, (4, *size)
        yield f"LazyConv{rank}d", (6, 3), {"stride": 2}, (4, *size)
        yield f"LazyConvTranspose{rank}d", (6, 3), {"stride": 2}, (4, *size)
        for indices in (False, True):
            more = {"return_indices": indices}
            yield f"MaxPool{rank}d", (2,), more, (3, *size)
            yield f"MaxPool{rank}d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True, **more}, (3, *size)
            yield f"MaxPool{rank}d", ((2,) * rank,), {"stride": 1, "dilation": 2, **more}, (3, *size)
            yield f"AdaptiveMaxPool{rank}d", (3,), more, (3, *size)
            yield f"AdaptiveMaxPool{rank}d", ((None, 2, 3)[:rank] if rank > 1 else 2,), more, (3, *size)
    for mode in ("nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"):
        ranks = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,)}.get(mode, (1, 2, 3))
        for rank in ranks:
            size = SIZES[rank]
            yield "Upsample", (), {"scale_factor": 2, "mode": mode}, (3, *size)
            yield "Upsample", (), {"scale_factor": 1.7, "mode": mode}, (3, *size)
            more = {"recompute_scale_factor": True}
            yield "Upsample", (), {"scale_factor": (0.3, 1.6, 2.5)[:rank], "mode": mode, **more}, (3, *size)
            yield "Upsample", (), {"size": tuple(n + 4 for n in size), "mode": mode}, (3, *size)
            yield "Upsample", (), {"size": 4, "mode": mode}, (3, *size)
            if mode in ("linear", "bilinear", "trilinear", "bicubic"):
                yield "Upsample", (), {"scale_factor": 2.3, "mode": mode, "align_corners": True}, (3, *size)
    yield "UpsamplingNearest2d", (), {"scale_factor": 3}, (3, 5, 7)
    yield "UpsamplingNearest2d", ((9, 8),), {}, (3, 5, 7)
    yield "UpsamplingBilinear2d", (), {"scale_factor": 2}, (3, 5, 7)
    yield "UpsamplingBilinear2d", (), {"size": (4, 9)}, (3, 5, 7)
    yield "PixelShuffle", (2,), {}, (8, 5, 7)
    yield "PixelShuffle", (3,), {}, (9, 2, 3)
    yield "PixelUnshuffle", (2,), {}, (3, 4, 6)


CASES = list(_cases())


def unbatched(name: str) -> bool:
    return not name.startswith("Upsampl")


def outputs(result: Any) -> tuple[torch.Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "shape"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)]
)
def test_as_in_torch(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], shape: tuple[int, ...]
) -> None:
    layers = []
    for module in (ut, nn):
        torch.manual_seed(0)
        layers.append(getattr(module, name)(*args, **kwargs, **options(name)))
    ours, theirs = layers
    assert isinstance(ours, getattr(nn, name))
    assert repr(ours) == repr(theirs)
    for batch in ((2,), ()) if unbatched(name) else ((2,),):
        x = torch.randn(*batch, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        torch.manual_seed(2)
        left = outputs(ours(a))
        torch.manual_seed(2)
        right = outputs(theirs(b))
        assert repr(ours) == repr(theirs)  # a lazy layer has become another
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
        cotangent = torch.randn_like(right[0])
        torch.autograd.backward(left[0], cotangent)
        torch.autograd.backward(right[0], cotangent)
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-11, atol=1e-11)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for key, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key])
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-11, atol=1e-11)
    ours.load_state_dict(theirs.state_dict())
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert torch.equal(outputs(again(x))[0], left[0])


def options(name: str) -> dict[str, Any]:
    return {"dtype": torch.float64} if "Conv" in name else {}


@pytest.mark.parametrize("name", [name for name in ut.__all__ if isinstance(getattr(nn, name, None), type)])
def test_constructor_begins_as_in_torch(name: str) -> None:
    theirs = inspect.signature(getattr(nn, name)).parameters
    ours = inspect.signature(getattr(ut, name)).parameters
    wanted = [(p.name, p.default) for p in theirs.values()]
    assert [(p.name, p.default) for p in ours.values()][: len(wanted)] == wanted
    # What we add can only be named, so that no position ever means something else than in torch.
    added = list(ours.values())[len(wanted) :]
    assert all(p.kind is p.KEYWORD_ONLY or p.name == "dilation" for p in added)


def test_every_layer_of_the_list_is_there() -> None:
    ranks = ("1d", "2d", "3d")
    stems = (
        "Conv",
        "ConvTranspose",
        "LazyConv",
        "LazyConvTranspose",
        "MaxPool",
        "AdaptiveMaxPool",
        "MaxUnpool",
    )
    names = {stem + rank for stem, rank in itertools.product(stems, ranks)}
    names |= {"Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", "PixelShuffle", "PixelUnshuffle"}
    assert names <= set(ut.__all__)
    for name in names:
        assert issubclass(getattr(ut, name), getattr(nn, name))


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_upsample_shrinks_with_antialias(mode: str, antialias: bool) -> None:
    x = torch.randn(1, 2, 13, 11, dtype=torch.float64)
    ours = ut.Upsample(size=(5, 7), mode=mode, antialias=antialias)(x)
    theirs = nn.functional.interpolate(x, size=(5, 7), mode=mode, antialias=antialias)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_device_and_dtype(name: str) -> None:
    layer = getattr(ut, name)(2, 4, 3, device="meta", dtype=torch.float16, padding="same")
    assert layer.weight.device.type == "meta"
    assert layer(torch.empty(1, 2, 5, 7, device="meta", dtype=torch.float16)).dtype == torch.float16


def test_layers_keep_channels_last() -> None:
    x = torch.randn(2, 8, 6, 10).to(memory_format=torch.channels_last)
    for layer in (
        ut.Conv2d(8, 4, 3).to(memory_format=torch.channels_last),
        ut.ConvTranspose2d(8, 4, 3, stride=2),
        ut.MaxPool2d(2),
        ut.Upsample(scale_factor=2, mode="bilinear"),
        ut.PixelShuffle(2),
        ut.Nearest(2),
    ):
        assert layer(x).is_contiguous(memory_format=torch.channels_last), layer


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d", "Conv3d", "ConvTranspose3d"])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("channels", [1, 4])
def test_a_result_has_torchs_memory_format(name: str, kernel: int, channels: int) -> None:
    """Channels last where the input is or the weight is: a model moved alone stays so."""
    rank = int(name[-2])
    kind = torch.channels_last if rank == 2 else torch.channels_last_3d
    ours, theirs = (getattr(module, name)(channels, 5, kernel, bias=False) for module in (ut, nn))
    x = torch.randn(2, channels, *(4, 6, 5)[:rank])
    expected = ours(x)
    for x_kind in (torch.contiguous_format, kind):
        for weight_kind in (torch.contiguous_format, kind):
            result, wanted = (
                layer.to(memory_format=weight_kind)(x.to(memory_format=x_kind)) for layer in (ours, theirs)
            )
            torch.testing.assert_close(result, expected)
            if channels > 1 and (rank == 2 or kernel > 1):  # else torch's rule differs by kernel
                assert result.stride() == wanted.stride(), (x_kind, weight_kind)
            with torch.no_grad():
                assert ours(x.to(memory_format=x_kind)).stride() == result.stride()
            fake = torch.func.functional_call(
                ours, {"weight": ours.weight.to("meta")}, x.to(memory_format=x_kind).to("meta")
            )
            assert fake.stride() == result.stride()


# -- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolution_meets_every_size_as_in_torch(rank: int) -> None:
    torch.manual_seed(0)
    theirs = getattr(nn, f"ConvTranspose{rank}d")(2, 3, 3, stride=3, padding=1, output_padding=1)
    ours = getattr(ut, f"ConvTranspose{rank}d")(2, 3, 3, stride=3, padding=1, output_padding=1)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 2, *(4,) * rank)
    for size in (10, 11, 12):
        spatial = (size,) * rank
        # torch looks at the spatial part of a full shape alone: a skip connection has other channels.
        for given in (spatial, list(spatial), (1, 64, *spatial), torch.Size((1, 7, *spatial))):
            torch.testing.assert_close(ours(x, given), theirs(x, given))
        torch.testing.assert_close(ours(x, like=torch.zeros(5, *spatial)), theirs(x, spatial))
        torch.testing.assert_close(ours(x[0], (9, *spatial)), theirs(x[0], (9, *spatial)))
    torch.testing.assert_close(ours(x), theirs(x))
    for layer in (ours, theirs):
        with pytest.raises(ValueError, match="size"):
            layer(x, (13,) * rank)
    with pytest.raises(RuntimeError, match="output_size must be from 10 to 12"):
        ours(x, (13,) * rank)


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_padding_modes_are_adjoint(mode: str) -> None:
    """<conv(x), y> = <x, conv_transpose(y)> with one weight: torch's own forward, our transpose."""
    conv = nn.Conv2d(2, 3, 3, stride=2, padding=2, padding_mode=mode, bias=False, dtype=torch.float64)
    up = ut.ConvTranspose2d(3, 2, 3, stride=2, padding=2, padding_mode=mode, bias=False, dtype=torch.float64)
    up.load_state_dict(conv.state_dict())
    x = torch.randn(1, 2, 7, 9, dtype=torch.float64)
    y = torch.randn_like(conv(x))
    torch.testing.assert_close((conv(x) * y).sum(), (x * up(y, like=x)).sum())
    assert f"padding_mode={mode}" in repr(up)


def test_padding_beyond_torch() -> None:
    x = torch.randn(1, 2, 7, 10)
    assert ut.Conv2d(2, 3, 4, stride=2, padding="same")(x).shape == (1, 3, 4, 5)
    assert ut.ConvTranspose2d(2, 3, 4, stride=2, padding="same")(x).shape == (1, 3, 14, 20)
    pairs = ((1, 0), (0, 2))
    for layer in (ut.Conv2d(2, 3, 3, padding=pairs), ut.ConvTranspose2d(2, 3, 3, padding=pairs)):
        assert "padding=((1, 0), (0, 2))" in repr(layer)
        function = ut.conv if isinstance(layer, ut.Conv2d) else ut.conv_transpose
        torch.testing.assert_close(layer(x), function(x, layer.weight, layer.bias, padding=pairs))
    assert ut.ConvTranspose2d(2, 3, 3, padding="full", stride=2)(x).shape == (1, 3, 11, 17)
    with pytest.raises(us.ShapeError, match="ConvTranspose2d: padding must be one of"):
        ut.ConvTranspose2d(2, 3, 3, padding="sane")
    with pytest.raises(us.ShapeError, match="ConvTranspose2d: padding_mode must be one of"):
        ut.ConvTranspose2d(2, 3, 3, padding_mode="wrap")


# -- pooling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kwargs", [{}, {"stride": 3}, {"padding": 1, "stride": 2}], ids=str)
def test_unpooling_by_indices_as_in_torch(rank: int, kwargs: dict[str, Any]) -> None:
    x = torch.randn(2, 3, *SIZES[rank], dtype=torch.float64)
    for ceil_mode in (False, True):
        pool = getattr(nn, f"MaxPool{rank}d")(3, return_indices=True, ceil_mode=ceil_mode, **kwargs)
        values, indices = pool(x)
        ours = getattr(ut, f"MaxUnpool{rank}d")(3, **kwargs)
        theirs = getattr(nn, f"MaxUnpool{rank}d")(3, **kwargs)
        assert repr(ours) == repr(theirs)
        expected = theirs(values, indices, output_size=x.shape)
        for size in (x.shape, x.shape[2:]):
            assert torch.equal(ours(values, indices, output_size=size), expected)
        assert torch.equal(ours(values, indices, like=x), expected)
        assert torch.equal(ours(values[0], indices[0], like=x), expected[0])
        mine = getattr(ut, f"MaxPool{rank}d")(3, return_switches=True, ceil_mode=ceil_mode, **kwargs)
        assert torch.equal(ours(*mine(x)), expected)
    fits = torch.randn(1, 1, *(9,) * rank)
    values, indices = getattr(nn, f"MaxPool{rank}d")(3, return_indices=True)(fits)
    expected = getattr(nn, f"MaxUnpool{rank}d")(3)(values, indices)
    assert torch.equal(getattr(ut, f"MaxUnpool{rank}d")(3)(values, indices), expected)


def test_unpooling_of_dilated_windows() -> None:
    x = torch.randn(1, 2, 9, 11)
    values, indices = nn.MaxPool2d(2, stride=2, dilation=3, return_indices=True)(x)
    back = ut.MaxUnpool2d(2, stride=2, dilation=3)
    assert "dilation=(3, 3)" in repr(back)
    kept = back(values, indices, like=x)
    assert torch.equal(kept[kept != 0], x[kept != 0])
    assert torch.equal(kept.flatten(2).gather(2, indices.flatten(2)), values.flatten(2))


def test_unpooling_refuses_what_torch_scrambles() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    values, indices = nn.MaxPool2d(2, return_indices=True)(x)
    scrambled = nn.MaxUnpool2d(2)(values, indices, output_size=(5, 5))
    assert scrambled[0, 0, 3, 3] == 0  # 15 is not where it was
    with pytest.raises(RuntimeError, match=r"the index at .* must be a position inside its own window"):
        ut.MaxUnpool2d(2)(values, indices, output_size=(5, 5))
    with pytest.raises(RuntimeError, match=r"MaxUnpool2d: output_size .* from \(3, 3\) to \(5, 5\), got"):
        ut.MaxUnpool2d(2)(values, indices, output_size=(7, 7))
    _, switches = ut.max_pool(x, 2)
    with pytest.raises(RuntimeError, match="which the switches know"):
        ut.MaxUnpool2d(2)(values, switches, output_size=(5, 5))


def test_adaptive_pooling_comes_back() -> None:
    x = torch.randn(2, 3, 7, 11)
    values, switches = ut.AdaptiveMaxPool2d((3, None), return_switches=True)(x)
    back = ut.MaxUnpool2d(1)(values, switches)
    assert back.shape == x.shape
    assert torch.equal(back[back != 0], x[back != 0])


def test_indices_or_switches() -> None:
    with pytest.raises(us.ShapeError, match="MaxPool2d: return_indices and return_switches must not both"):
        ut.MaxPool2d(2, return_indices=True, return_switches=True)


# -- shuffles and fixed ways up -------------------------------------------------------------------------


def test_pixel_shuffle_per_axis() -> None:
    x = torch.randn(2, 12, 3, 4, 5)
    up, down = ut.PixelShuffle((1, 3, 2), order="DCR"), ut.PixelUnshuffle((1, 3, 2), order="DCR")
    assert up(x).shape == (2, 2, 3, 12, 10)
    assert torch.equal(down(up(x)), x)
    # An int stays torch's, on the last two axes of any rank.
    x = torch.randn(2, 3, 4, 5, 6)
    assert torch.equal(ut.PixelShuffle(2)(x), nn.PixelShuffle(2)(x))


def test_nearest_and_nails_meet_a_skip_connection() -> None:
    x = torch.randn(2, 3, 4, 5)
    skip = torch.zeros(2, 8, 7, 10)
    nearest = ut.Nearest(2)(x, like=skip)
    assert torch.equal(nearest, ut.nearest(x, 2)[..., :7, :])
    assert torch.equal(ut.BedOfNails(2, at=0)(x, like=skip), ut.bed_of_nails(x, 2, like=skip))
    assert torch.equal(ut.Nearest((3,))(x, output_size=14), ut.nearest(x, (3,))[..., :14])
    with pytest.raises(RuntimeError, match="Nearest: output_size must be from 7 to 8 on spatial axis 0"):
        ut.Nearest(2)(x, output_size=(6, 10))


class Autoencoder(nn.Module):
    """Pool, unpool, and every layer that can be asked for a size."""

    def __init__(self, **kind: bool) -> None:
        super().__init__()
        self.conv = ut.Conv2d(3, 4, 3, padding="same", padding_mode="circular")
        self.pool = ut.MaxPool2d(2, ceil_mode=True, **kind)
        self.unpool = ut.MaxUnpool2d(2)
        self.up = ut.ConvTranspose2d(4, 3, 3, stride=2, padding="same", padding_mode="replicate")
        self.nearest, self.resize = ut.Nearest(2), ut.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(x)
        values, indices = self.pool(h)
        up = self.up(values, like=x) + self.nearest(values, like=x).mean(1, keepdim=True)
        return torch.cat([self.unpool(values, indices, like=x), up, self.resize(values, like=x)], 1)


def test_layers_compile_and_export() -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    model, x = Autoencoder(return_indices=True), torch.randn(2, 3, 7, 9)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    dim = torch.export.Dim.DYNAMIC
    model = Autoencoder(return_switches=True)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: dim, 2: dim, 3: dim},))
    # Odd sizes again: torch guards on whether the cropped result of Nearest is contiguous.
    other = torch.randn(3, 3, 11, 5)
    torch.testing.assert_close(exported.module()(other), model(other))


def test_layers_map_and_differentiate_over_their_parameters() -> None:
    """Per-sample gradients, as torch.func makes them."""
    layer, x = ut.ConvTranspose2d(2, 3, 3, stride=2), torch.randn(4, 2, 3, 5)
    parameters = dict(layer.named_parameters())

    def loss(parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return (torch.func.functional_call(layer, parameters, (x,)) ** 2).sum()

    each = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for i in range(4):
        one = torch.func.grad(loss)(parameters, x[i])
        for key in parameters:
            torch.testing.assert_close(each[key][i], one[key], rtol=1e-4, atol=1e-4)


def test_windows_of_padding_alone_are_torchs() -> None:
    x = torch.ones(1, 1, 1, requires_grad=True)  # the taps of the window lie on either side of it
    for layers in (nn, ut):
        values, indices = layers.MaxPool1d(2, None, 1, 2, return_indices=True)(x)
        assert values.tolist() == [[[-math.inf]]]
        assert indices.shape == (1, 1, 1)
        assert layers.MaxPool1d(2, None, 1, 2)(x).tolist() == [[[-math.inf]]]
    with pytest.raises(RuntimeError, match="holds padding alone"):
        ut.MaxPool1d(2, None, 1, 2, return_switches=True)(x)


@pytest.mark.parametrize("padding", [2, (1, 2)])
def test_padding_beyond_half_a_window_is_refused_as_in_torch(padding: Any) -> None:
    x = torch.ones(1, 1, 6, 6)
    with pytest.raises(RuntimeError, match="at most half"):
        nn.MaxPool2d(3, 1, padding)(x)
    with pytest.raises(RuntimeError, match=r"MaxPool2d: padding must be at most half of the 3 elements"):
        ut.MaxPool2d(3, 1, padding)(x)
    with ut.patched(), pytest.raises(RuntimeError, match="at most half"):
        torch.nn.functional.max_pool2d(x, 3, 1, padding)
    assert ut.max_pool(x, 3, stride=1, padding=2)[0].shape == (1, 1, 8, 8)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(
    "given", [{"size": (128, 96)}, {"scale_factor": 2}, {"scale_factor": (0.5, 1.5)}], ids=str
)
def test_bytes_by_cubics_are_rounded_between_the_axes_as_in_torch(given: Any, antialias: bool) -> None:
    stripes = torch.zeros(1, 2, 64, 48, dtype=torch.uint8)
    stripes[..., ::2, :] = 255
    stripes[..., ::3] ^= 255
    expected = nn.functional.interpolate(stripes, **given, mode="bicubic", antialias=antialias)
    found = ut.Upsample(**given, mode="bicubic", antialias=antialias)(stripes)
    assert found.dtype == torch.uint8
    assert (found.int() - expected.int()).abs().max() <= 1  # of ties
    words: Any = {"method": "catmull_rom" if antialias else "cubic", "antialias": antialias}
    once = ut.resize(stripes, tuple(expected.shape[2:]), **words)
    exact = ut.resize(stripes.double(), tuple(expected.shape[2:]), **words).clamp(0, 255)
    assert (
        once.double() - exact
    ).abs().max() <= 0.5 + 1e-4  # which rounds once, and is off by half a step at most
    assert (once.int() - expected.int()).abs().max() > 1


# Each constructor with what else it takes than torch.nn's, or of a layer that torch.nn has not.
BEYOND: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Conv2d", (4, 6, (3, 2)), {"padding": ((1, 0), (0, 1))}),
    ("ConvTranspose2d", (4, 6, 3), {"padding": ((1, 0), (0, 1)), "padding_mode": "circular"}),
    ("MaxPool2d", (3,), {"padding": ((1, 0), (0, 1))}),
    ("MaxUnpool1d", (2,), {"stride": 3}),
    *(("MaxUnpool2d", (value,), {"stride": value, "dilation": value}) for value in (2, (2, 3))),
    ("MaxUnpool3d", ((2, 3, 4),), {"padding": 1}),
    *(("Nearest", (value,), {}) for value in (2, (2, 3))),
    *(("BedOfNails", (value,), {"at": value}) for value in (1, (1, 1))),
    *(("BlurUp", (value,), {"order": 3}) for value in (2, (2, 3))),
    *(("ResizeConv", (4, 6, value, value), {}) for value in (2, (2, 3))),
    *(("SubPixelConv", (4, 6, value, value), {"groups": 2}) for value in (2, (2, 3))),
    *(("Reassemble", (3, value), {"groups": 2}) for value in (2, (2, 3))),
    ("CARAFE", (4, 2), {"kernel_size": 3, "encoder_kernel_size": 3, "compressed_channels": 8, "groups": 2}),
    ("DySample", (4, 2), {"groups": 2}),
]


def kept(layer: nn.Module) -> list[tuple[str, Any]]:
    """What a layer and those in it keep of their arguments."""
    return [
        (f"{of}.{name}", value)
        for of, each in layer.named_modules()
        for name, value in vars(each).items()
        if not name.startswith("_")
    ]


@pytest.mark.parametrize("array", [np.array, torch.tensor, jnp.asarray], ids=["numpy", "torch", "jax"])
def test_numbers_of_every_constructor_in_arrays(array: Any) -> None:
    """They are kept as Python's: the same layer, and no array in it that a compiler would meet."""

    def given(value: Any) -> Any:
        numbers = value if isinstance(value, tuple) else (value,)
        if any(type(each) not in (int, float, tuple) for each in numbers):
            return value
        rounded = array is jnp.asarray and float in map(type, numbers)
        return value if rounded else array(np.asarray(value))

    cases = [(name, args, kwargs) for name, args, kwargs, _ in CASES] + BEYOND
    assert {name for name in ut.__all__ if is_layer(name)} == {name for name, *_ in cases}
    for name, args, kwargs in cases:
        constructor = getattr(ut, name)
        expected = constructor(*args, **kwargs)
        found = constructor(*map(given, args), **{key: given(value) for key, value in kwargs.items()})
        assert repr(found) == repr(expected)
        assert str(kept(found)) == str(kept(expected))


def is_layer(name: str) -> bool:
    each = getattr(ut, name)
    return isinstance(each, type) and issubclass(each, nn.Module)
