"""Values, shapes and arrays that few have: what each gives, and what is refused."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import unsample as us
import unsample.torch as ut
from backends import JAX, NUMPY, TORCH, Backend
from samples import SAMPLES, Sample, integers

LIBRARIES = pytest.mark.parametrize("library", [NUMPY, TORCH, JAX], ids=lambda each: each.name)
every_sample = pytest.mark.parametrize("sample", {s.pair.name: s for s in SAMPLES}.values(), ids=str)


@pytest.mark.promise("58")
@LIBRARIES
def test_the_sign_of_a_zero_is_that_of_the_first(library: Backend) -> None:
    x = library.array(np.array([[[-0.0, 0.0, 0.0, -0.0]]]))
    values, switches = us.max_pool(x, 2)
    assert np.signbit(library.numpy(values)).tolist() == [[[True, False]]]
    assert library.numpy(switches.taps).tolist() == [[[0, 0]]]
    up = library.numpy(us.max_unpool(values, switches))
    assert np.signbit(up).tolist() == [[[True, False, False, False]]]


@pytest.mark.promise("61")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_payloads_survive_torchs_operators_too(dtype: str) -> None:
    bits = {"float16": np.uint16, "float32": np.uint32, "float64": np.uint64}[dtype]
    payload = np.array([np.nan, -np.nan, np.inf, -0.0], dtype)
    payload.view(bits)[:2] |= np.array(5, bits)
    for gradient in (False, True):
        x = torch.tensor(payload.reshape(1, 4, 1, 1), requires_grad=gradient)
        values, switches = ut.max_pool(x, 1)
        for out in (ut.nearest(x, 2), ut.pixel_shuffle(x, 2), ut.max_unpool(values, switches)):
            found = set(out.detach().numpy().view(bits).ravel().tolist())
            assert found == set(payload.view(bits).tolist())


@pytest.mark.promise("62")
@LIBRARIES
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_the_ends_of_integers(library: Backend, dtype: str) -> None:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = library.array(np.array([[[high, low, low, low, high, low]]], dtype))
    values, switches = us.max_pool(x, 3, padding=1, stride=2)
    assert library.numpy(values).tolist() == [[[high, low, high]]]
    back = library.numpy(us.max_unpool(values, switches))
    assert back.dtype == np.dtype(dtype)
    doubled = us.max_unpool(*us.max_pool(x[..., :2], 2, stride=1, padding=1), duplicates="sum")
    # high is remembered by two windows: high + high wraps to -2
    assert library.numpy(doubled).tolist() == [[[-2, low]]]


@pytest.mark.promise("66", "67")
@LIBRARIES
def test_zeros_times_infinity_are_nan_in_every_library(library: Backend) -> None:
    w = library.array(np.array([[[np.inf, 1.0]]], np.float32))
    zeros = library.array(np.zeros((1, 2), np.float32))
    with np.errstate(invalid="ignore"):
        assert np.isnan(library.numpy(us.conv(zeros, w))).all()
        up = library.numpy(us.conv_transpose(zeros, w, stride=2))
        assert np.isnan(up).tolist() == [[True, False, True, False]]
        gradient = us.conv_weight_grad(library.array(np.full((1, 2), np.nan, np.float32)), zeros[:, :1], (2,))
        assert np.isnan(library.numpy(gradient)).all()


@pytest.mark.promise("68", "69")
@LIBRARIES
def test_arrays_with_too_few_axes(library: Backend) -> None:
    for axes in range(2):
        x = library.array(np.ones((4,) * axes))
        for call in (
            lambda x: us.nearest(x, (2, 2)),
            lambda x: us.window_sum(x, (2, 2)),
            lambda x: us.bed_of_nails(x, (2, 2)),
            lambda x: us.max_pool(x, (2, 2)),
            lambda x: us.adaptive_max_pool(x, (2, 2)),
            lambda x: us.pixel_shuffle(x, (2, 2)),
            lambda x: us.resize(x, (2, 2)),
            lambda x: us.conv(x, library.array(np.ones((1, 1, 2, 2)))),
            lambda x: us.conv_transpose(x, library.array(np.ones((1, 1, 2, 2)))),
        ):
            with pytest.raises(us.ShapeError):
                call(x)


@pytest.mark.promise("70")
@every_sample
def test_nothing_goes_back_through_an_empty_batch(sample: Sample) -> None:
    if len(sample.shape) < 3 or sample.pair.name == "conv_weight_grad":
        return
    x = torch.zeros((0, *sample.shape[1:]), requires_grad=True)
    args, kwargs = TORCH.arguments(sample.args), sample.kwargs
    args = tuple(each.float() if isinstance(each, torch.Tensor) else each for each in args)
    if any(isinstance(each, us.Switches) for each in args):
        return
    out = getattr(ut, sample.pair.down.__name__)(x, *args, **kwargs)
    out = out[0] if isinstance(out, tuple) else out
    assert out.shape[0] == 0
    out.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.promise("77")
def test_a_gradient_of_another_shape_is_refused() -> None:
    x = torch.ones(1, 4, 4, 4, requires_grad=True)
    w = torch.ones(4, 4, 3, 3, requires_grad=True)
    for out in (ut.nearest(x, 2), ut.max_pool(x, 2)[0], ut.conv(x, w), ut.conv_transpose(x, w)):
        with pytest.raises(RuntimeError, match="shape"):
            out.backward(torch.ones(1, 4, 1, 1))
    with pytest.raises(us.ShapeError):
        us.conv_weight_grad(np.ones((1, 4, 4, 4)), np.ones((1, 4, 1, 1)), 3)
    with pytest.raises(us.ShapeError):
        us.resize_transpose(np.ones((1, 4, 4)), (0,))


@pytest.mark.promise("78")
@LIBRARIES
def test_sizes_may_change_from_call_to_call(library: Backend) -> None:
    w = library.array(integers((2, 2, 3, 3), 2))
    for n, size in ((1, 5), (3, 5), (1, 9), (2, 4), (1, 5), (3, 6)):
        x = integers((n, 2, size, size + 1), 1)
        for call in (
            lambda x, w: us.conv(x, w, padding=1),
            lambda x, w: us.conv_transpose(x, w, stride=2),
            lambda x, w: us.max_pool(x, 2)[0],
            lambda x, w: us.resize(x, (7, 3)),
            lambda x, w: us.nearest(x, 2),
        ):
            one_by_one = [call(x[i : i + 1], library.numpy(w)) for i in range(n)]
            found = library.numpy(call(library.array(x), w))
            np.testing.assert_allclose(found, np.concatenate(one_by_one), rtol=1e-12, atol=1e-12)


@pytest.mark.promise("85")
@every_sample
def test_byte_swapped_weights_and_switches(sample: Sample) -> None:
    """Of every argument that is an array; test_pairs.py has the first."""

    def swapped(each: Any) -> Any:
        if isinstance(each, us.Switches):
            return us.Switches(swapped(each.taps), each.windows)
        return each.astype(each.dtype.newbyteorder(">")) if isinstance(each, np.ndarray) else each

    x, (up_args, up_kwargs) = sample.x(), sample.up
    for function, value, args, kwargs in (
        (sample.pair.down, x, sample.args, sample.kwargs),
        (sample.pair.up, sample.y(), up_args, up_kwargs),
    ):
        expected = function(value, *args, **kwargs)
        found = function(swapped(value), *map(swapped, args), **kwargs)
        np.testing.assert_array_equal(
            *(each[0] if isinstance(each, tuple) else each for each in (found, expected))
        )


@pytest.mark.promise("88")
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", [np.ma.MaskedArray, np.matrix])
def test_masks_and_matrices_are_refused_for_every_argument(kind: type[np.ndarray]) -> None:
    x, plain = np.ones((2, 4)).view(kind), np.ones((1, 2, 4))
    masked = np.ma.masked_array(np.ones((2, 2, 3)), True)
    for call in (
        lambda: us.conv(plain, masked),
        lambda: us.conv_transpose(plain, masked),
        lambda: us.conv(plain, np.ones((2, 2, 3)), np.ma.masked_array([1.0, 2.0], True)),
        lambda: us.conv_weight_grad(plain, masked, 2),
        lambda: us.nearest(x, (2,), out=np.ones((2, 8))),
        lambda: us.nearest(np.ones((2, 4)), (2,), out=np.ones((2, 8)).view(kind)),
        lambda: us.max_unpool(x, us.max_pool(np.ones((2, 8)), (2,))[1]),
        lambda: us.max_unpool(np.ones((2, 4)), us.Switches(np.zeros((2, 4), np.uint8).view(kind), ())),
    ):
        with pytest.raises(TypeError, match=r"must be a plain numpy\.ndarray, got numpy"):
            call()


class Lent:
    """Somebody else's array: what DLPack asks for, and nothing more."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **words: Any) -> Any:
        return self.array.__dlpack__(**words)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@pytest.mark.promise("89")
def test_arrays_come_through_dlpack_by_their_own_library() -> None:
    array = integers((1, 2, 4), 1)
    with pytest.raises(TypeError, match=r"\Anearest: x must be a NumPy, PyTorch or JAX array, got "):
        us.nearest(Lent(array), 2)
    expected = us.nearest(array, 2)
    np.testing.assert_array_equal(us.nearest(np.from_dlpack(Lent(array)), 2), expected)
    np.testing.assert_array_equal(us.nearest(torch.from_dlpack(Lent(array)), 2), expected)
    np.testing.assert_array_equal(ut.nearest(torch.from_dlpack(jnp.asarray(array)), 2), expected)
    frozen = np.from_dlpack(jnp.asarray(expected))  # jax arrays do not change
    with pytest.raises(ValueError, match=r"\Anearest: out must be writable, got a read-only array\Z"):
        us.nearest(array, 2, out=frozen)
    np.testing.assert_array_equal(us.window_sum(frozen, 2), us.window_sum(expected, 2))


@pytest.mark.promise("84")
def test_read_only_arguments_of_every_kind() -> None:
    x, w, b = integers((1, 2, 6), 1), integers((2, 2, 3), 2), integers((2,), 3)
    expected = us.conv(x, w, b)
    for array in (x, w, b):
        array.flags.writeable = False
    np.testing.assert_array_equal(us.conv(x, w, b), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that it cannot keep it read-only
        tensors = [torch.from_numpy(each) for each in (x, w, b)]
    np.testing.assert_array_equal(ut.conv(*tensors), expected)
