"""One rule for dtypes: a function gives the same of each, or refuses it alike, in every library."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import unsample as us
import unsample.torch as ut
from backends import by_definition  # which sets wide dtypes in jax
from unsample.geometry import Window

DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    *("float8_e5m2", "float8_e8m0fnu"),
)
WINDOWS = (Window(4, 2, 2, 2),)


def switches(x: Any) -> us.Switches:
    taps = np.tile(np.array([[0, 1], [1, 1]], np.uint8), (len(x), x.shape[1] // 2, 1))
    if isinstance(x, torch.Tensor):
        return us.Switches(torch.tensor(taps), WINDOWS)
    return us.Switches(jnp.asarray(taps) if isinstance(x, jax.Array) else taps, WINDOWS)


# A call of the module's function, and the shapes of its arrays.
CALLS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "nearest": (lambda m, x: m.nearest(x, (2,)), ((1, 2, 4),)),
    "window_sum": (lambda m, y: m.window_sum(y, (2,)), ((1, 2, 4),)),
    "bed_of_nails": (lambda m, x: m.bed_of_nails(x, (2,)), ((1, 2, 4),)),
    "decimate": (lambda m, y: m.decimate(y, (2,)), ((1, 2, 4),)),
    "max_pool": (lambda m, x: m.max_pool(x, (2,))[0], ((1, 2, 4),)),
    "adaptive_max_pool": (lambda m, x: m.adaptive_max_pool(x, (2,))[0], ((1, 2, 4),)),
    "max_unpool": (lambda m, v: m.max_unpool(v, switches(v)), ((1, 2, 2),)),
    "max_unpool sum": (lambda m, v: m.max_unpool(v, switches(v), duplicates="sum"), ((1, 2, 2),)),
    "max_unpool max": (lambda m, v: m.max_unpool(v, switches(v), duplicates="max"), ((1, 2, 2),)),
    "max_gather": (lambda m, x: m.max_gather(x, switches(x)), ((1, 2, 4),)),
    "pixel_shuffle": (lambda m, x: m.pixel_shuffle(x, (2,)), ((1, 2, 4),)),
    "pixel_unshuffle": (lambda m, y: m.pixel_unshuffle(y, (2,)), ((1, 2, 4),)),
    "resize": (lambda m, x: m.resize(x, (6,)), ((1, 2, 4),)),
    "resize nearest": (lambda m, x: m.resize(x, (6,), method="nearest"), ((1, 2, 4),)),
    "resize_transpose": (lambda m, y: m.resize_transpose(y, (3,)), ((1, 2, 4),)),
    "resize_transpose nearest": (
        lambda m, y: m.resize_transpose(y, (3,), method="nearest"),
        ((1, 2, 4),),
    ),
    "conv": (lambda m, x, w: m.conv(x, w), ((1, 2, 4), (3, 2, 2))),
    "conv_transpose": (lambda m, y, w: m.conv_transpose(y, w), ((1, 2, 4), (2, 3, 2))),
    "conv_weight_grad": (lambda m, x, y: m.conv_weight_grad(x, y, (2,)), ((1, 2, 4), (1, 3, 3))),
}
CASES = [
    (name, dtypes)
    for name, (_, shapes) in CALLS.items()
    for dtypes in itertools.product(DTYPES, repeat=len(shapes))
    # Of two dtypes each with itself, and what differs in kind, sign or width.
    if len(shapes) == 1
    or dtypes[0] == dtypes[1]
    or (set(dtypes) & {"uint8", "float16", "bool"} and "float8" not in "".join(dtypes))
]
# torch's own functions, of which the definition is made, are not there for all of its unsigned integers.
NOT_IN_TORCH = {"max_pool", "adaptive_max_pool", "resize nearest"}


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """The dtype and the values of a result, or the error and its sentence."""
    try:
        result = call()
    except TypeError as error:
        return "TypeError", str(error).replace("torch.", "")
    dtype = str(result.dtype).removeprefix("torch.")
    if isinstance(result, torch.Tensor):
        if type(result) is not torch.Tensor or result.device.type == "meta":
            return dtype, None
        result = result.detach().to(torch.complex128).numpy()
    return dtype, np.asarray(result).astype(np.complex128)


def same(one: tuple[str, Any], other: tuple[str, Any]) -> None:
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.promise("62", "65", "90")
@pytest.mark.parametrize(
    ("name", "dtypes"), CASES, ids=lambda each: each if isinstance(each, str) else "-".join(each)
)
def test_a_dtype_means_the_same_everywhere(name: str, dtypes: tuple[str, ...]) -> None:
    call, shapes = CALLS[name]
    tensors = [
        (torch.arange(torch.Size(shape).numel()).reshape(shape) % 7).to(getattr(torch, dtype))
        for shape, dtype in zip(shapes, dtypes, strict=True)
    ]
    eager = outcome(lambda: call(ut, *tensors))

    unsigned = dtypes[0] in ("uint16", "uint32", "uint64")
    if not (unsigned and name in NOT_IN_TORCH):
        same(outcome(lambda: call(us, *tensors)), eager)

    recorded = [x.clone().requires_grad_() if x.is_floating_point() or x.is_complex() else x for x in tensors]
    same(outcome(lambda: call(ut, *recorded)), eager)
    if not name.startswith(("max_unpool", "max_gather")):  # whose switches are real
        with FakeTensorMode() as mode:
            fake = [mode.from_tensor(x) for x in tensors]
            same((outcome(lambda: call(ut, *fake))[0], None), (eager[0], None))

    in_numpy_too = not any(dtype.startswith(("bfloat16", "float8")) for dtype in dtypes)
    if in_numpy_too and "torch knows none" not in str(eager[1]):
        arrays = [x.numpy() for x in tensors]
        in_numpy = outcome(lambda: call(us, *arrays))
        in_jax = outcome(lambda: call(us, *map(jnp.asarray, arrays)))
        assert (in_numpy[0] == "TypeError") == (eager[0] == "TypeError") == (in_jax[0] == "TypeError")
        if eager[0] == "TypeError":
            assert in_numpy[1] == eager[1] == in_jax[1]
        else:
            np.testing.assert_array_equal(in_numpy[1], eager[1])
            np.testing.assert_array_equal(in_jax[1], eager[1])
            assert in_numpy[1].dtype == eager[1].dtype


@pytest.mark.promise("62")
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64], ids=str)
def test_sums_of_unsigned_tensors_are_int64_and_wrap_where_numpys_do(dtype: torch.dtype) -> None:
    largest = torch.iinfo(dtype).max
    array = np.full((1, 1, 4), largest, str(dtype).removeprefix("torch."))
    x = torch.from_numpy(array)
    expected = us.window_sum(array, (4,))
    out = torch.zeros((1, 1, 1), dtype=torch.int64)
    for found in (ut.window_sum(x, (4,)), us.window_sum(x, (4,)), ut.window_sum(x, (4,), out=out)):
        assert found.dtype == torch.int64
        np.testing.assert_array_equal(found.numpy().view(np.uint64), expected)
    weight = torch.ones((1, 1, 4), dtype=dtype)
    for module in (us, ut):
        found = module.conv(x, weight)
        assert found.dtype == torch.int64
        np.testing.assert_array_equal(found.numpy().view(np.uint64), expected)
    compiled = torch.compile(lambda x: ut.window_sum(x, (4,)) + 1, backend="eager", fullgraph=True)
    assert compiled(x).dtype == torch.int64


@pytest.mark.promise("65")
def test_dtypes_that_torch_does_not_promote_are_named() -> None:
    x, weight = torch.ones((1, 1, 4), dtype=torch.uint8), torch.ones((1, 1, 4), dtype=torch.uint64)
    for module in (us, ut):
        with pytest.raises(TypeError) as caught:
            module.conv(x, weight)
        assert str(caught.value) == (
            "conv: arrays must have a common dtype, torch knows none of torch.uint8 and torch.uint64"
        )


@pytest.mark.promise("62")
@pytest.mark.parametrize("dtype", [jnp.int4, jnp.uint4], ids=lambda each: each.__name__)
def test_integers_of_four_bits_are_summed_as_wider_ones(dtype: Any) -> None:
    x = jnp.full((1, 1, 4), 7, dtype)
    assert us.window_sum(x, (4,)).tolist() == [[[28]]]
    assert us.conv(x, jnp.ones((1, 1, 4), dtype)).tolist() == [[[28]]]
    assert us.conv_transpose(x, x).tolist() == [[[49, 98, 147, 196, 147, 98, 49]]]
    wide = jnp.int8 if dtype == jnp.int4 else jnp.uint8
    assert us.window_sum(x, (4,)).dtype == us.window_sum(x.astype(wide), (4,)).dtype


COPIES = (
    "nearest",
    "bed_of_nails",
    "decimate",
    "max_unpool",
    "max_gather",
    "pixel_shuffle",
    "pixel_unshuffle",
)
ALL_BYTES = np.arange(256, dtype=np.uint8).reshape(8, 8, 4)


@pytest.mark.promise("65")
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, "float8_e5m2") for name in (*COPIES, "resize nearest")),
        *(("nearest", f"float8_{each}") for each in ("e4m3fn", "e4m3fnuz", "e5m2fnuz")),
    ],
)
def test_floats_of_eight_bits_are_moved_byte_by_byte(name: str, dtype: str) -> None:
    """NaNs of every pattern among them, in every library."""
    call, (shape,) = CALLS[name]
    x = ALL_BYTES[..., : shape[-1]]
    expected = call(us, x)
    in_numpy = x.view(np.dtype(dtype))
    in_torch = torch.tensor(x).view(getattr(torch, dtype))
    in_jax = jax.lax.bitcast_convert_type(jnp.asarray(x), dtype)
    found = jax.lax.bitcast_convert_type(call(us, in_jax), jnp.uint8)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(call(us, in_numpy).view(np.uint8), expected)
    for module, given in ((us, in_torch), (ut, in_torch), (ut, in_torch.clone().requires_grad_())):
        np.testing.assert_array_equal(call(module, given).detach().view(torch.uint8), expected)
    np.testing.assert_array_equal(by_definition(lambda x: call(us, x))(in_torch).view(torch.uint8), expected)


@pytest.mark.promise("65")
@pytest.mark.parametrize("name", ["nearest", "decimate", "pixel_shuffle", "max_gather", "resize nearest"])
def test_gradients_of_floats_of_eight_bits_are_summed_in_float32(name: str) -> None:
    call, (shape,) = CALLS[name]
    x = (np.arange(np.prod(shape)) % 5 - 1).reshape(shape).astype(np.float32)

    def gradient(x: Any) -> Any:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(call(ut, x), x, call(ut, x).detach())[0].float()

    def in_jax(x: Any) -> Any:
        value, back = jax.vjp(lambda x: call(us, x), x)
        return back(value)[0].astype(jnp.float32)

    expected = gradient(torch.tensor(x))
    np.testing.assert_array_equal(gradient(torch.tensor(x).to(torch.float8_e5m2)), expected)
    np.testing.assert_array_equal(in_jax(jnp.asarray(x, jnp.float8_e5m2)), expected)
