"""Tensors whose memory is not what it seems: none, freed, shared or negated; and storages after a call."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import unsample as us
import unsample.torch as ut
from unsample.torch import direct

X = torch.arange(2 * 4 * 6 * 8, dtype=torch.float32).reshape(2, 4, 6, 8).sin()
W = torch.linspace(-1, 1, 4 * 4 * 3 * 3).reshape(4, 4, 3, 3)
B = torch.linspace(0, 1, 4)
Y = torch.ones(2, 4, 4, 6)
VALUES, SWITCHES = ut.max_pool(X, (2, 2))


def unpooled(module: Any, values: Any, taps: Any, **words: Any) -> Any:
    return module.max_unpool(values, us.Switches(taps, SWITCHES.windows), **words)


# Every function with every array it takes: the name of each, the array, the call.
CALLS: dict[str, tuple[dict[str, torch.Tensor], Callable[..., Any]]] = {
    "nearest": ({"x": X}, lambda m, x, **k: m.nearest(x, 2, **k)),
    "window_sum": ({"y": X}, lambda m, y, **k: m.window_sum(y, 2, **k)),
    "bed_of_nails": ({"x": X}, lambda m, x, **k: m.bed_of_nails(x, 2, **k)),
    "decimate": ({"y": X}, lambda m, y, **k: m.decimate(y, 2, **k)),
    "max_pool": ({"x": X}, lambda m, x, **k: m.max_pool(x, 2, return_switches=False, **k)),
    "adaptive_max_pool": ({"x": X}, lambda m, x, **k: m.adaptive_max_pool(x, 3, return_switches=False, **k)),
    "max_unpool": ({"values": VALUES, "switches": SWITCHES.taps}, unpooled),
    "max_unpool sum": (
        {"values": VALUES, "switches": SWITCHES.taps},
        lambda m, v, s, **k: unpooled(m, v, s, duplicates="sum", **k),
    ),
    "max_gather": (
        {"x": X, "switches": SWITCHES.taps},
        lambda m, x, taps, **k: m.max_gather(x, us.Switches(taps, SWITCHES.windows), **k),
    ),
    "pixel_shuffle": ({"x": X}, lambda m, x, **k: m.pixel_shuffle(x, 2, **k)),
    "pixel_unshuffle": ({"y": X}, lambda m, y, **k: m.pixel_unshuffle(y, 2, **k)),
    "resize": ({"x": X}, lambda m, x, **k: m.resize(x, (9, 5), **k)),
    "resize to its own size": ({"x": X}, lambda m, x, **k: m.resize(x, (6, 8), **k)),
    "resize nearest": ({"x": X}, lambda m, x, **k: m.resize(x, (9, 5), method="nearest", **k)),
    "resize_transpose": ({"y": X}, lambda m, y, **k: m.resize_transpose(y, (3, 4), **k)),
    "conv": ({"x": X, "weight": W, "bias": B}, lambda m, x, w, b, **k: m.conv(x, w, b, **k)),
    "conv_transpose": (
        {"y": X, "weight": W, "bias": B},
        lambda m, y, w, b, **k: m.conv_transpose(y, w, b, stride=2, **k),
    ),
    "conv_transpose reflect": (
        {"y": X, "weight": W, "bias": B},
        lambda m, y, w, b, **k: m.conv_transpose(y, w, b, padding=1, padding_mode="reflect", **k),
    ),
    "conv_weight_grad": ({"x": X, "y": Y}, lambda m, x, y, **k: m.conv_weight_grad(x, y, 3, **k)),
}
ARGUMENTS = [(name, argument) for name, (tensors, _) in CALLS.items() for argument in tensors]
every_call = pytest.mark.parametrize("name", CALLS)
every_argument = pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
every_float = pytest.mark.parametrize(
    ("name", "argument"), [(name, each) for name, each in ARGUMENTS if each != "switches"]
)
# Straight to a kernel, through the operator as autograd records it, and the definition in torch's functions.
every_way = pytest.mark.parametrize("way", ["short", "recorded", "definition"])


def called(name: str, way: str, replaced: dict[str, torch.Tensor] | None = None, **words: Any) -> Any:
    tensors, call = CALLS[name]
    given = [(replaced or {}).get(each, x) for each, x in tensors.items()]
    if way == "recorded":
        given = [x.detach().requires_grad_() if x.is_floating_point() else x for x in given]
    return call(us if way == "definition" else ut, *given, **words)


def without_memory(x: torch.Tensor, kept: int) -> torch.Tensor:
    x = x.clone()
    x.untyped_storage().resize_(kept)
    return x


@pytest.mark.promise("90")
@every_way
@every_argument
@pytest.mark.parametrize("part", ["nothing", "all but a byte"])
def test_freed_and_cut_storages_are_refused_by_name(name: str, argument: str, way: str, part: str) -> None:
    x = CALLS[name][0][argument]
    kept = 0 if part == "nothing" else x.nbytes - 1
    with pytest.raises(RuntimeError) as caught:
        called(name, way, {argument: without_memory(x, kept)})
    assert type(caught.value) is RuntimeError
    assert str(caught.value) == (
        f"{name.split()[0]}: {argument} must have memory for its elements, got a tensor of shape "
        f"{tuple(x.shape)} whose storage has {kept} bytes"
    )


@pytest.mark.promise("90")
@pytest.mark.parametrize("way", ["short", "definition"])
@every_call
def test_an_out_without_memory_is_refused(name: str, way: str) -> None:
    expected = called(name, way)
    with pytest.raises(RuntimeError, match=rf"\A{name.split()[0]}: out must have memory for its elements"):
        called(name, way, out=without_memory(expected, 8))


@pytest.mark.promise("90")
def test_a_view_that_ends_past_its_storage_is_refused() -> None:
    x = torch.ones(40)
    tail, steps = x[30:], x[::3]
    x.untyped_storage().resize_(4 * 39)
    for function in (us.nearest, ut.nearest):
        with pytest.raises(RuntimeError, match=r"\Anearest: x must have memory"):
            function(tail, (2,))
        with pytest.raises(RuntimeError, match=r"\Anearest: x must have memory"):
            function(steps, (2,))
        np.testing.assert_array_equal(function(x[20:39], (1,)), np.ones(19))
        assert function(tail[:0], (2,)).shape == (0,)


@pytest.mark.promise("90")
def test_layers_with_freed_weights_raise_as_torch_does() -> None:
    """In a process of its own: what is not refused here is a signal."""
    code = """
import torch, unsample.torch as ut
from torch import nn
x = torch.ones(1, 3, 8, 8)
model = [nn.Conv2d(3, 3, 3), nn.MaxPool2d(2), nn.ConvTranspose2d(3, 3, 2, 2), nn.Upsample(scale_factor=2)]
from unsample.torch.models.functions import TIMED, setting_of
from unsample.torch.models.layers import FASTER
for layer in [*model, ut.Conv2d(3, 3, 3), ut.ConvTranspose2d(3, 3, 2, 2)]:
    layer.__class__ = FASTER.get(type(layer), type(layer))
    vars(layer)[TIMED] = {setting_of(x): torch.contiguous_format}
    for parameter in layer.parameters():
        parameter.untyped_storage().resize_(0)
    given = x.clone()
    if not list(layer.parameters()):
        given.untyped_storage().resize_(0)
    for graph in (torch.enable_grad, torch.no_grad):
        with graph():
            try:
                layer(given)
            except RuntimeError as error:
                assert "must have memory" in str(error), error
            else:
                raise AssertionError(f"{layer} ran")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.promise("90")
@every_way
@every_float
def test_zero_tensors_are_zeros(name: str, argument: str, way: str) -> None:
    x = CALLS[name][0][argument]
    found = called(name, way, {argument: torch._efficientzerotensor(x.shape)})
    assert torch.equal(found, called(name, way, {argument: torch.zeros(x.shape)}))


@pytest.mark.promise("90")
@every_way
@every_float
def test_negated_views_are_negated(name: str, argument: str, way: str) -> None:
    x = CALLS[name][0][argument]
    found = called(name, way, {argument: torch._neg_view(x.neg())})
    torch.testing.assert_close(found.resolve_neg(), called(name, way), rtol=1e-6, atol=1e-6)


@pytest.mark.promise("90")
@pytest.mark.parametrize("way", ["short", "definition"])
@every_call
def test_a_negated_out_is_written_as_such(name: str, way: str) -> None:
    expected = called(name, way)
    memory = torch.zeros_like(expected)
    out = torch._neg_view(memory)
    assert called(name, way, out=out) is out
    assert torch.equal(memory, -expected)


def test_conjugated_views_are_conjugated() -> None:
    x = torch.complex(X, X.cos())
    for module in (us, ut):
        for given in (x.conj(), x.conj().requires_grad_()):
            for call in (
                lambda x, m=module: m.nearest(x, 2),
                lambda x, m=module: m.conv(x, W.to(x.dtype)),
                lambda x, m=module: m.resize(x, (9, 5)),
            ):
                expected = call(x.conj().resolve_conj())
                torch.testing.assert_close(call(given).resolve_conj(), expected)


@pytest.mark.promise("82")
@pytest.mark.parametrize("way", ["short", "definition"])
@every_argument
def test_out_over_the_memory_of_an_argument_is_refused_whatever_the_storages(
    name: str, argument: str, way: str
) -> None:
    x, expected = CALLS[name][0][argument], called(name, way)
    memory = np.zeros(x.nbytes + expected.nbytes, np.uint8)
    array = memory[: x.nbytes].view(str(x.dtype).removeprefix("torch.")).reshape(x.shape)
    given = torch.from_numpy(array).copy_(x)
    width = expected.element_size()
    for start in (x.nbytes - width, 0, x.nbytes):
        start -= start % width
        out = torch.from_numpy(memory[start : start + expected.nbytes].view(np.float32)).reshape(
            expected.shape
        )
        assert out.untyped_storage().data_ptr() != given.untyped_storage().data_ptr() or start == 0
        if start < x.nbytes:
            with pytest.raises(ValueError) as caught:
                called(name, way, {argument: given}, out=out)
            assert str(caught.value) == f"{name.split()[0]}: out must not share memory with {argument}"
        else:
            assert torch.equal(called(name, way, {argument: given}, out=out), expected)


@pytest.mark.promise("82")
def test_both_arrays_of_a_pooling_are_told_apart_by_their_memory() -> None:
    x = torch.arange(32, dtype=torch.uint8)
    memory = np.zeros(40, np.uint8)
    values, taps = torch.from_numpy(memory[:16]), torch.from_numpy(memory[15:31])
    for given in (x, x.float()):
        for module in (us, ut):
            first = values if given is x else torch.from_numpy(np.zeros(64, np.uint8)).view(torch.float32)
            second = taps if given is x else first.view(torch.uint8)[20:36]
            with pytest.raises(ValueError, match=r"\Amax_pool: out\[1\] must not share memory with values\Z"):
                module.max_pool(given, (2,), out=(first, second))
    with pytest.raises(ValueError, match=r"\Amax_pool: out\[1\] must not share memory with values\Z"):
        ut.max_pool(torch.arange(64, dtype=torch.uint8)[::2], (2,), out=(values, taps))  # the long way
    found, switches = ut.max_pool(x, (2,), out=(values, torch.from_numpy(memory[16:32])))
    assert found.tolist() == list(range(1, 32, 2))
    assert switches.taps.tolist() == [1] * 16


@pytest.mark.promise("82")
def test_tensors_that_only_lie_side_by_side_are_fine() -> None:
    both = torch.zeros(4, 8)
    x, out = both[:, ::2], both[:, 1::2]
    x.copy_(torch.arange(16.0).reshape(4, 4))
    for module in (us, ut):
        assert torch.equal(module.decimate(x, (1, 1), out=out), x)


@pytest.mark.promise("81")
@pytest.mark.parametrize("way", ["short", "definition"])
@every_call
def test_an_out_that_overlaps_itself_is_refused(name: str, way: str) -> None:
    shape = called(name, way).shape
    out = torch.zeros(10_000).as_strided(shape, (1,) * len(shape))
    with pytest.raises(ValueError, match=rf"\A{name.split()[0]}: out must not overlap itself, got strides"):
        called(name, way, out=out)


@pytest.mark.promise("F33")
@every_way
@every_call
def test_storages_stay_resizable(name: str, way: str) -> None:
    """`Tensor.numpy()` marks them for good, and FSDP frees the weights of a model by resizing them."""
    tensors = {argument: x.clone() for argument, x in CALLS[name][0].items()}
    found = called(name, way, tensors)
    if found.requires_grad:
        found.sum().backward()
    for x in (*tensors.values(), found):
        assert x.untyped_storage().resizable()
    if way != "recorded":
        out = torch.empty_like(found)
        called(name, way, tensors, out=out)
        assert out.untyped_storage().resizable()


@pytest.mark.promise("F33")
def test_parameters_stay_resizable_in_training_and_accelerated() -> None:
    model = nn.Sequential(
        *(ut.Conv2d(3, 4, 3), ut.MaxPool2d(2), ut.ConvTranspose2d(4, 4, 2, 2), ut.Upsample(scale_factor=2)),
        *(nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 3, 2, 2)),
    )
    x = torch.ones(1, 3, 12, 12)
    ut.accelerate(model, x)
    model(x).sum().backward()
    for parameter in model.parameters():
        assert parameter.untyped_storage().resizable()
        assert parameter.grad.untyped_storage().resizable()
    values, switches = ut.max_pool(torch.ones(1, 1, 4, 4), 2)
    switches.check()
    switches.to_torch()
    us.max_unpool(values, switches, duplicates="error")
    assert switches.taps.untyped_storage().resizable()


FORMS: dict[str, Callable[[], torch.Tensor]] = {
    "torch.sparse_coo": lambda: X.to_sparse(),
    "torch.sparse_csr": lambda: torch.ones(4, 8).to_sparse_csr(),
    "torch._mkldnn": lambda: X.to_mkldnn(),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(3, 8), torch.ones(4, 8)], layout=torch.jagged),
}


@pytest.mark.promise("90")
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch says that some of these are in beta
@pytest.mark.parametrize("form", FORMS)
def test_tensors_of_other_layouts_are_named(form: str) -> None:
    x = FORMS[form]()
    for module in (us, ut):
        for operation, call in {
            "nearest": lambda x, m=module: m.nearest(x, (2,)),
            "conv": lambda x, m=module: m.conv(x, W),
            "max_pool": lambda x, m=module: m.max_pool(x, (2,)),
            "resize": lambda x, m=module: m.resize(x, (4,)),
        }.items():
            for given in (x, x.detach().requires_grad_()):
                with pytest.raises(TypeError) as caught:
                    call(given)
                assert str(caught.value) == f"{operation}: x must be a dense strided tensor, got a {form} one"


@pytest.mark.promise("90")
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("dtype", [torch.float8_e8m0fnu, torch.complex32, torch.bits8], ids=str)
def test_dtypes_that_nothing_computes_are_named(dtype: torch.dtype) -> None:
    x = torch.empty(X.shape, dtype=dtype)
    for module in (us, ut):
        with pytest.raises(TypeError, match=rf"\Anearest: x must be .*got dtype {dtype}\Z"):
            module.nearest(x, 2)
        with pytest.raises(
            TypeError, match=rf"\Aconv: x must be integer, real or complex, got dtype {dtype}\Z"
        ):
            module.conv(x, W)


@pytest.mark.promise("90")
def test_inference_tensors_and_out_without_gradients() -> None:
    with torch.inference_mode():
        x = X.clone()
    assert torch.equal(ut.conv(x, W), ut.conv(X, W))
    assert torch.equal(ut.nearest(x, 2), ut.nearest(X, 2))
    with pytest.raises(TypeError, match="conv: out cannot be given while a framework traces, maps or diff"):
        ut.conv(X, W.clone().requires_grad_(), out=torch.empty(2, 4, 4, 6))


@pytest.mark.skipif(not direct.COMPILED, reason="there is no short way without kernels")
def test_the_short_way_takes_what_has_memory() -> None:
    zero = torch._efficientzerotensor(X.shape)
    assert direct.takes(direct.FLOATS, X, W, B)
    assert direct.takes(direct.FLOATS, X[1:])
    for x in (zero, without_memory(X, 0), without_memory(X, X.nbytes - 1), torch._neg_view(X)):
        assert not direct.takes(direct.FLOATS, x)
        assert not direct.takes(direct.FLOATS, X, x)
