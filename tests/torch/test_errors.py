"""Code written for torch.nn goes on catching what it caught: `except RuntimeError`, ValueError, TypeError."""

import inspect
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import unsample as us
import unsample.torch as ut
from unsample.torch.layers.resize import MODES
from unsample.torch.models import layers as accelerated

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing torch's test machinery warns of its own deprecations
    from torch.testing._internal.common_modules import module_db

zeros = torch.zeros
Case = tuple[str, tuple[Any, ...], dict[str, Any], list[Any]]

# What torch.nn refuses: layer, its arguments, what it is called with.
CASES: list[Case] = [
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 3, 8, 8)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 4, 2, 2)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(4)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"groups": 3}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"padding": "sam"}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"padding_mode": "wrap"}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"stride": 0}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"dilation": 0}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {}, ["x"]),
    ("Conv2d", (4, 6, (3,)), {}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 0), {}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"groups": 0}, [zeros(1, 4, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {}, [zeros(1, 3, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "output_padding": 2}, [zeros(1, 4, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {"padding": 9}, [zeros(1, 4, 2, 2)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2}, [zeros(1, 4, 2, 2), (9, 9)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2}, [zeros(1, 4, 2, 2), (5,)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 0}, [zeros(1, 4, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {}, [zeros(4)]),
    ("MaxPool2d", (3,), {}, [zeros(1, 1, 2, 2)]),
    ("MaxPool2d", (3,), {"padding": 2}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (0,), {}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {"stride": 0}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {}, [zeros(8)]),
    ("MaxPool2d", ((3, 3, 3),), {}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {"dilation": 0}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {"padding": -1}, [zeros(1, 1, 8, 8)]),
    ("AdaptiveMaxPool2d", (-1,), {}, [zeros(1, 1, 8, 8)]),
    ("AdaptiveMaxPool2d", ((2, 2, 2),), {}, [zeros(1, 1, 8, 8)]),
    ("AdaptiveMaxPool2d", (2,), {}, [zeros(8)]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2)]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 3).long()]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2).long() + 99]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2).long(), (9, 9)]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2).long() - 1]),
    ("Upsample", (), {}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (8, 2), {}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": 8, "mode": "cube"}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": 0}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"scale_factor": -1}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": (8, 8, 8)}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": 8, "mode": "nearest", "align_corners": True}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"scale_factor": (2, 2, 2)}, [zeros(1, 1, 4, 4)]),
    ("PixelShuffle", (2,), {}, [zeros(1, 3, 4, 4)]),
    ("PixelShuffle", (0,), {}, [zeros(1, 4, 4, 4)]),
    ("PixelShuffle", (2,), {}, [zeros(4)]),
    ("PixelShuffle", (-1,), {}, [zeros(1, 4, 4, 4)]),
    ("PixelUnshuffle", (2,), {}, [zeros(1, 1, 3, 4)]),
    ("PixelUnshuffle", (0,), {}, [zeros(1, 1, 3, 4)]),
    ("PixelUnshuffle", (2,), {}, [zeros(4)]),
]

# What torch.nn refuses and these layers do: docs/torch.md.
BEYOND: list[Case] = [
    ("Conv2d", (4, 6, 3), {"padding": -1}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 4, 8, 8).double()]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 4, 8, 8).long()]),
    ("Conv2d", (4, 6, 3), {"padding": 3, "padding_mode": "reflect"}, [zeros(1, 4, 3, 3)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 4, 0, 8)]),
    ("MaxPool2d", (2,), {}, [zeros(1, 0, 4, 4)]),
    ("AdaptiveMaxPool2d", (2,), {}, [zeros(1, 0, 4, 4)]),
    ("Upsample", (), {"scale_factor": 2}, [zeros(1, 4, 0, 4)]),
]


def outcome(module: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Any]) -> Any:
    try:
        return getattr(module, name)(*args, **kwargs)(*given)
    except Exception as error:
        return error


def identity(case: Case) -> str:
    name, args, kwargs, given = case
    shapes = [tuple(each.shape) if isinstance(each, torch.Tensor) else each for each in given]
    return f"{name}{args} {kwargs} {shapes}"


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_errors_are_of_the_kind_that_torch_raises(case: Case) -> None:
    theirs, ours = outcome(nn, *case), outcome(ut, *case)
    if isinstance(theirs, torch.Tensor):  # a size of 0 is none of torch's errors everywhere
        return
    kind = RuntimeError if isinstance(theirs, RuntimeError) else type(theirs)
    assert isinstance(ours, kind), f"{type(theirs).__name__}: {theirs}, but {type(ours).__name__}: {ours}"
    assert "zip()" not in str(ours)
    assert "out must be" not in str(ours)


# -- numbers of axes ---------------------------------------------------------------------------------------

Layer = tuple[str, tuple[Any, ...], dict[str, Any]]


def _layers() -> Iterator[Layer]:
    """Every layer of torch.nn that we have, with arguments that fit 4 channels and axes of 4 elements."""
    for rank in (1, 2, 3):
        yield f"Conv{rank}d", (4, 6, 3), {}
        yield f"Conv{rank}d", (4, 6, 3), {"padding": 1, "padding_mode": "circular"}
        yield f"ConvTranspose{rank}d", (4, 6, 3), {}
        yield f"LazyConv{rank}d", (6, 3), {}
        yield f"LazyConvTranspose{rank}d", (6, 3), {}
        for indices in (False, True):
            yield f"MaxPool{rank}d", (2,), {"return_indices": indices}
            yield f"AdaptiveMaxPool{rank}d", (2,), {"return_indices": indices}
        yield f"MaxUnpool{rank}d", (1,), {}
    for rank in (2, 3):
        yield f"AdaptiveMaxPool{rank}d", ((None,) * rank,), {}
    for mode, (_, _, only) in MODES.items():
        yield "Upsample", (9,), {"mode": mode}
        yield "Upsample", (), {"scale_factor": 2, "mode": mode}
        yield "Upsample", (), {"scale_factor": 1.3, "mode": mode}
        for rank in (1, 2, 3) if only is None else (only,):
            yield "Upsample", ((9,) * rank,), {"mode": mode}
            yield "Upsample", (), {"scale_factor": (2,) * rank, "mode": mode}
    for name in ("UpsamplingNearest2d", "UpsamplingBilinear2d"):
        yield name, (), {"scale_factor": 2}
        yield name, ((9, 9),), {}
    yield "PixelShuffle", (2,), {}
    yield "PixelUnshuffle", (2,), {}


LAYERS = list(_layers())


# Numbers for one axis more than a layer has, which the function under it would take.
REACHING: list[Case] = [
    ("Upsample", ((9, 9),), {"mode": "linear"}, [zeros(1, 4, 4)]),
    ("Upsample", ((9, 9, 9),), {"mode": "bilinear", "align_corners": True}, [zeros(1, 4, 4, 4)]),
    ("Upsample", ((8, 8, 8),), {"mode": "nearest"}, [zeros(1, 4, 4, 4)]),
    ("Upsample", (), {"scale_factor": (2, 2, 2)}, [zeros(1, 4, 4, 4)]),
    ("MaxPool2d", ((2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1)), {}, [zeros(1, 4, 4, 4)]),
    ("MaxPool1d", ((2, 2), (2, 2), (0, 0), (1, 1)), {"return_indices": True}, [zeros(1, 4, 4)]),
    ("AdaptiveMaxPool2d", ((2, 2, 2),), {}, [zeros(1, 4, 4, 4)]),
]


def inputs(name: str, shape: tuple[int, ...]) -> list[Any]:
    """What a layer is called with; indices are those of windows of one element, which every shape has."""
    if not name.startswith("MaxUnpool"):
        return [zeros(shape)]
    plane = torch.Size(shape[-int(name[-2]) :])
    return [zeros(shape), torch.arange(plane.numel()).reshape(plane).expand(shape)]


def shape_of(result: Any) -> Any:
    return (result[0] if isinstance(result, tuple) else result).shape


def test_every_layer_of_torch_is_asked() -> None:
    assert {name for name, _, _ in LAYERS} == {
        name for name in ut.__all__ if isinstance(getattr(nn, name, None), type)
    }


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_layer_takes_as_many_axes_as_torchs(layer: Layer) -> None:
    answers = set()
    for axes in range(7):
        given = inputs(layer[0], (4,) * axes)
        theirs, ours = outcome(nn, *layer, given), outcome(ut, *layer, given)
        answers.add(isinstance(theirs, Exception))
        if not isinstance(theirs, Exception):
            assert not isinstance(ours, Exception), ours
            assert shape_of(ours) == shape_of(theirs)
            continue
        kind = ValueError if isinstance(theirs, ValueError) else RuntimeError
        assert isinstance(ours, kind), f"{axes} axes: {theirs}"
        assert "zip()" not in str(ours)
        for axis in range(axes):  # emptiness makes no axis more or less
            given = inputs(layer[0], (4,) * axis + (0,) + (4,) * (axes - axis - 1))
            assert isinstance(outcome(nn, *layer, given), Exception)
            assert isinstance(outcome(ut, *layer, given), kind), given[0].shape
    assert answers == {True, False}


@pytest.mark.parametrize("layer", [each for each in LAYERS if hasattr(accelerated, each[0])], ids=str)
def test_what_stands_in_for_torchs_layers_leaves_refusals_to_them(layer: Layer) -> None:
    for axes in range(7):
        given = inputs(layer[0], (4,) * axes)
        theirs = outcome(nn, *layer, given)
        with ut.patched():
            answers = [outcome(accelerated, *layer, given), outcome(nn, *layer, given)]
        answers.append(outcome(accelerated, *layer, given))
        for ours in answers:
            if isinstance(theirs, Exception):
                assert (type(ours), str(ours)) == (type(theirs), str(theirs))
            else:
                assert shape_of(ours) == shape_of(theirs)


@pytest.mark.parametrize("case", REACHING, ids=identity)
def test_numbers_for_more_axes_than_there_are_never_reach_the_channels(case: Case) -> None:
    theirs = outcome(nn, *case)
    assert isinstance(theirs, Exception)
    assert isinstance(outcome(ut, *case), ValueError if isinstance(theirs, ValueError) else RuntimeError)
    with ut.patched():
        answers = [outcome(accelerated, *case), outcome(nn, *case)]
    for ours in answers:
        assert (type(ours), str(ours)) == (type(theirs), str(theirs))


@pytest.mark.parametrize("size", [(9,), (9,) * 5])
def test_a_size_asked_of_an_upsampling_has_its_axes(size: tuple[int, ...]) -> None:
    up = ut.Upsample(scale_factor=2, mode="bilinear")
    sentence = f"Upsample: output_size must be an int or 2 ints, one per spatial axis, got {size}"
    with pytest.raises(us.ShapeError, match=re.escape(sentence)):
        up(zeros(1, 4, 4, 4), output_size=size)


DATABASE = [
    each for each in module_db if each.module_error_inputs_func and hasattr(ut, each.module_cls.__name__)
]


@pytest.mark.parametrize("module", [ut, accelerated], ids=["layers", "accelerated"])
@pytest.mark.parametrize("info", DATABASE, ids=lambda each: each.name)
def test_what_torchs_own_tests_refuse(info: Any, module: Any) -> None:
    assert "nn.MaxPool2d" in [each.name for each in DATABASE]
    wrong = info.module_error_inputs_func(info, "cpu", torch.float32, False, training=True)
    assert wrong
    for each in wrong:
        made, given = each.module_error_input.constructor_input, each.module_error_input.forward_input
        layer = info.module_cls.__name__, made.args, made.kwargs
        ours = outcome(module, *layer, given.args if given else [])
        assert isinstance(ours, each.error_type), f"{layer}: {ours}"


SENTENCES: list[tuple[nn.Module, tuple[int, ...], str]] = [
    (
        ut.Upsample(scale_factor=2, mode="trilinear"),
        (1, 2, 6, 8),
        "Upsample: input must be (N, C, *spatial) with 3 spatial axes for mode 'trilinear', "
        "got shape (1, 2, 6, 8)",
    ),
    (
        ut.Upsample(scale_factor=2, mode="linear"),
        (1, 2, 6, 8),
        "Upsample: input must be (N, C, *spatial) with 1 spatial axis for mode 'linear', "
        "got shape (1, 2, 6, 8)",
    ),
    (
        ut.Upsample(size=(9, 9), mode="bicubic"),
        (1, 2, 4, 6, 8),
        "Upsample: input must be (N, C, *spatial) with 2 spatial axes for mode 'bicubic', "
        "got shape (1, 2, 4, 6, 8)",
    ),
    (
        ut.Upsample(scale_factor=2),
        (2, 6),
        "Upsample: input must be (N, C, *spatial) with 1 to 3 spatial axes for mode 'nearest', "
        "got shape (2, 6)",
    ),
    (
        ut.UpsamplingBilinear2d(scale_factor=2),
        (1, 2, 4, 6, 8),
        "UpsamplingBilinear2d: input must be (N, C, *spatial) with 2 spatial axes for mode 'bilinear', "
        "got shape (1, 2, 4, 6, 8)",
    ),
    (
        ut.MaxPool1d(2),
        (1, 2, 6, 8),
        "MaxPool1d: input must be (N, C, *spatial) or (C, *spatial) with 1 spatial axis, "
        "got shape (1, 2, 6, 8)",
    ),
    (
        ut.MaxPool2d(2, return_switches=True),
        (6, 8),
        "MaxPool2d: input must be (N, C, *spatial) or (C, *spatial) with 2 spatial axes, got shape (6, 8)",
    ),
    (
        ut.AdaptiveMaxPool2d((None, 2)),
        (1, 2, 4, 6, 8),
        "AdaptiveMaxPool2d: input must be (N, C, *spatial) or (C, *spatial) with 2 spatial axes, "
        "got shape (1, 2, 4, 6, 8)",
    ),
    (
        ut.ResizeConv(2, 2),
        (1, 2, 4, 6, 8),
        "ResizeConv: input must be (N, C, *spatial) or (C, *spatial) with 2 spatial axes, "
        "got shape (1, 2, 4, 6, 8)",
    ),
    (
        ut.SubPixelConv(2, 2, dims=3),
        (2, 6, 8),
        "SubPixelConv: input must be (N, C, *spatial) or (C, *spatial) with 3 spatial axes, "
        "got shape (2, 6, 8)",
    ),
    (
        ut.CARAFE(1),
        (6, 8),
        "CARAFE: input must be (N, C, *spatial) or (C, *spatial) with 2 spatial axes, got shape (6, 8)",
    ),
    (
        ut.DySample(1, groups=1),
        (6, 8),
        "DySample: input must be (N, C, *spatial) or (C, *spatial) with 2 spatial axes, got shape (6, 8)",
    ),
    (
        ut.Nearest(2),
        (6, 8),
        "Nearest: input must be (N, C, *spatial) where factor is a single number, or factor a tuple with "
        "one number per spatial axis, got input of shape (6, 8) and factor=2",
    ),
    (
        ut.BlurUp((2, 2)),
        (8,),
        "BlurUp: factor must hold at least one number and at most one per axis of input, "
        "got (2, 2) for input of shape (8,)",
    ),
    (
        ut.BlurUp(2),
        (1, 1, 2, 2, 2, 2),
        "BlurUp: input must have at most 3 spatial axes, got 4 in shape (1, 1, 2, 2, 2, 2)",
    ),
]


@pytest.mark.parametrize(("layer", "shape", "sentence"), SENTENCES, ids=lambda each: type(each).__name__)
def test_a_wrong_number_of_axes_is_a_sentence(
    layer: nn.Module, shape: tuple[int, ...], sentence: str
) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", dynamic=True)
    for call in (layer, compiled):
        with pytest.raises(us.ShapeError) as refused:
            call(zeros(shape))
        assert str(refused.value) == sentence
    if "output_size" in inspect.signature(layer.forward).parameters:
        with pytest.raises(us.ShapeError):
            layer(zeros(shape), output_size=9)
    dynamic = (dict.fromkeys(range(len(shape)), torch.export.Dim.DYNAMIC),)
    with pytest.raises(Exception, match=re.escape(sentence.partition(", got")[0])):
        torch.export.export(layer, (zeros(shape),), dynamic_shapes=dynamic)


def test_unpooling_takes_the_axes_that_were_pooled() -> None:
    wrong = "MaxUnpool2d: input must be (N, C, *spatial) or (C, *spatial) with 2 spatial axes, got shape "
    for shape in ((6, 8), (1, 2, 4, 6, 8)):
        values, switches = ut.max_pool(zeros(shape), (2, 2))
        for indices in (switches, ut.switches_to_indices(switches)):
            with pytest.raises(us.ShapeError, match=re.escape(f"{wrong}{tuple(values.shape)}")):
                ut.MaxUnpool2d(2)(values, indices, output_size=(6, 8))
    values, switches = ut.MaxPool1d(2, return_switches=True)(zeros(2, 4, 8))
    with pytest.raises(us.ShapeError, match="MaxUnpool2d: indices must be Switches over 2 spatial axes, got"):
        ut.MaxUnpool2d(2)(values, switches)


@pytest.mark.parametrize("shape", [(9,), (3, 9), (1, 2, 3), (1, 2, 3, 4, 5)], ids=str)
def test_reassembling_takes_a_batch_of_images(shape: tuple[int, ...]) -> None:
    sentence = f"Reassemble: input must be (N, C, *spatial) with 2 spatial axes, got shape {shape}"
    with pytest.raises(us.ShapeError, match=re.escape(sentence)):
        ut.Reassemble(3, 2)(zeros(shape), zeros(1, 9, 6, 8))


def test_an_axis_that_is_mapped_over_is_not_counted() -> None:
    x = torch.randn(3, 1, 2, 4, 6)
    for layer in (ut.MaxPool2d(2), ut.AdaptiveMaxPool2d(2), ut.Upsample(scale_factor=2, mode="bilinear")):
        mapped = torch.vmap(layer)(x)
        assert torch.equal(mapped, torch.stack([layer(each) for each in x]))
        with pytest.raises(us.ShapeError, match="2 spatial axes"):
            torch.vmap(torch.vmap(torch.vmap(layer)))(x)


@pytest.mark.parametrize("name", ["MaxPool2d", "AdaptiveMaxPool2d", "Upsample", "Conv2d"])
def test_what_is_no_tensor_is_a_type_error(name: str) -> None:
    args = {"Conv2d": (4, 6, 3)}.get(name, (2,))
    for given in ("x", None, [[1.0]]):
        assert isinstance(outcome(ut, name, args, {}, [given]), TypeError)


@pytest.mark.parametrize("case", BEYOND, ids=identity)
def test_what_goes_beyond_torch_is_no_error(case: Case) -> None:
    assert isinstance(outcome(nn, *case), RuntimeError)
    assert isinstance(outcome(ut, *case), torch.Tensor)


def test_integers_and_floats_meet_in_the_dtype_that_torch_gives() -> None:
    x, weight = torch.arange(12).reshape(1, 2, 6), torch.arange(12.0).reshape(2, 2, 3)
    for function in (ut.conv, ut.conv_transpose):
        found = function(x, weight)
        assert found.dtype == torch.float32
        assert torch.equal(found, function(x.float(), weight))
    y = ut.conv(x, weight)
    assert torch.equal(ut.conv_weight_grad(x, y, (3,)), ut.conv_weight_grad(x.float(), y, (3,)))
