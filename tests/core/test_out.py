"""`out=`: every function that computes writes into what it is given, or says why not."""

import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import unsample as us
from backends import NUMPY, STRICT, TORCH, Backend
from checklist import OPERATION_NAMES
from samples import SAMPLES, Sample, integers

# One call of each function, and of each pair in both directions.
ONE_EACH = {sample.pair.name: sample for sample in reversed(SAMPLES)}


def calls(sample: Sample, backend: Backend) -> list[tuple[Callable[..., Any], np.ndarray]]:
    up_args, up_kwargs = sample.up
    args, up_args = backend.arguments(sample.args), backend.arguments(up_args)
    return [
        (lambda x, **out: sample.pair.down(x, *args, **sample.kwargs, **out), sample.x()),
        (lambda y, **out: sample.pair.up(y, *up_args, **up_kwargs, **out), sample.y()),
    ]


@pytest.mark.parametrize("backend", [NUMPY, TORCH], ids=lambda each: each.name)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_same_numbers_in_out(sample: Sample, backend: Backend) -> None:
    for call, values in calls(sample, backend):
        x = backend.array(values)
        expected = backend.numpy(call(x))
        out = backend.array(np.full(expected.shape, 77.0))
        assert call(x, out=out) is out
        np.testing.assert_array_equal(backend.numpy(out), expected)


@pytest.mark.promise("79", "83")
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_any_layout_of_out(sample: Sample) -> None:
    for call, x in calls(sample, NUMPY):
        expected = call(x)
        spaced = np.full(tuple(2 * n for n in expected.shape), 77.0)
        every_other = spaced[tuple(slice(None, None, 2) for _ in expected.shape)]
        backwards = np.full(expected.shape, 77.0)[(slice(None, None, -1),) * expected.ndim]
        misaligned = np.zeros(expected.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(expected.shape)
        for out in (np.full(expected.shape, 77.0, order="F"), every_other, backwards, misaligned):
            assert call(x, out=out) is out
            np.testing.assert_array_equal(out, expected)
        assert np.count_nonzero(spaced == 77) >= spaced.size - expected.size


def test_pooling_writes_values_and_switches() -> None:
    x = integers((2, 3, 7, 9), 1)
    values, switches = us.max_pool(x, 2)
    expected = values.copy(), switches.taps.copy()
    values[...], switches.taps[...] = 77, 3
    again, same = us.max_pool(x, 2, out=(values, switches))
    assert again is values
    assert same.taps is switches.taps
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(same.taps, expected[1])
    us.max_pool(-x, 2, out=(values, switches.taps))
    np.testing.assert_array_equal(values, us.max_pool(-x, 2, return_switches=False))
    assert us.max_pool(x, 2, return_switches=False, out=values) is values
    np.testing.assert_array_equal(values, expected[0])
    halves = us.adaptive_max_pool(x, (3, 4))
    np.testing.assert_array_equal(us.adaptive_max_pool(x, (3, 4), out=halves)[0], halves[0])


def test_every_function_that_computes_takes_out() -> None:
    """What returns no new array of numbers has nothing to write."""
    for name in OPERATION_NAMES:
        assert "out" in inspect.signature(getattr(us, name)).parameters, name


X = np.zeros((1, 1, 2, 3), np.float32)


def overlapping(shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(np.zeros(64, np.float32), shape, strides)


def read_only(shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, np.float32)
    out.flags.writeable = False
    return out


@pytest.mark.promise("81", "82", "84")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: us.nearest(X, 2, out=np.zeros((1, 1, 4, 5), np.float32)),
            us.ShapeError,
            "nearest: out must have the shape (1, 1, 4, 6), got (1, 1, 4, 5)",
        ),
        (
            lambda: us.nearest(X, 2, out=np.zeros((1, 1, 4, 6))),
            TypeError,
            "nearest: out must be float32, got float64",
        ),
        (
            lambda: us.nearest(X, 2, out=np.zeros((1, 1, 4, 6), ">f4")),
            TypeError,
            "nearest: out must be float32, got >f4",
        ),
        (
            lambda: us.nearest(X, 2, out=torch.zeros(1, 1, 4, 6)),
            TypeError,
            "nearest: x and out must be arrays of one library, got numpy.ndarray and torch.Tensor",
        ),
        (
            lambda: us.nearest(X, 2, out=[[0]]),
            TypeError,
            "nearest: out must be a NumPy, PyTorch or JAX array, got [[0]] (list)",
        ),
        (
            lambda: us.nearest(jnp.zeros((1, 1, 2, 3)), 2, out=jnp.zeros((1, 1, 4, 6))),
            TypeError,
            "nearest: out must be an array that can be written, jax arrays cannot",
        ),
        (
            lambda: us.nearest(X, 2, out=read_only((1, 1, 4, 6))),
            ValueError,
            "nearest: out must be writable, got a read-only array",
        ),
        (  # row 81
            lambda: us.nearest(X, 2, out=overlapping((1, 1, 4, 6), (4, 4, 4, 4))),
            ValueError,
            "nearest: out must not overlap itself, got strides (4, 4, 4, 4)",
        ),
        (
            lambda: us.nearest(X, 2, out=overlapping((1, 1, 4, 6), (0, 0, 0, 4))),
            ValueError,
            "nearest: out must not overlap itself, got strides (0, 0, 0, 4)",
        ),
        (  # row 82
            lambda: (lambda x: us.decimate(x, 1, out=x))(X.copy()),
            ValueError,
            "decimate: out must not share memory with y",
        ),
        (
            lambda: (lambda w: us.conv(np.zeros((1, 1, 4)), w, out=w))(np.zeros((1, 1, 1))),
            us.ShapeError,
            "conv: out must have the shape (1, 1, 4), got (1, 1, 1)",
        ),
        (
            lambda: (lambda w: us.conv(np.zeros((1, 1, 1)), w, out=w))(np.zeros((1, 1, 1))),
            ValueError,
            "conv: out must not share memory with weight",
        ),
        (
            lambda: us.max_pool(X, 1, out=np.zeros_like(X)),
            TypeError,
            "max_pool: out must be a pair (values, switches), got numpy.ndarray",
        ),
        (
            lambda: us.max_pool(X, 1, out=(np.zeros_like(X), np.zeros(X.shape, np.int64))),
            TypeError,
            "max_pool: out[1] must be uint8, got int64",
        ),
        (
            lambda: us.max_pool(X, 1, return_switches=1),
            TypeError,
            "max_pool: return_switches must be a bool, got 1 (int)",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_refused_in_one_sentence(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert str(caught.value) == message


@pytest.mark.promise("55")
def test_row_55_switches_that_are_the_output() -> None:
    x = np.arange(8, dtype=np.uint8)
    values, switches = us.max_pool(x, (2,), stride=1, padding=1)
    with pytest.raises(ValueError, match=r"\Amax_unpool: out must not share memory with switches\Z"):
        us.max_unpool(values, switches, out=switches.taps[:8])
    both = np.zeros(16, np.uint8)
    with pytest.raises(ValueError, match=r"\Amax_pool: out\[1\] must not share memory with values\Z"):
        us.max_pool(x, (2,), out=(both[:4], both[3:7]))


@pytest.mark.promise("82")
def test_views_that_only_lie_side_by_side_are_fine() -> None:
    both = np.zeros((4, 8))
    x, out = both[:, ::2], both[:, 1::2]
    x[...] = integers((4, 4), 1)
    np.testing.assert_array_equal(us.decimate(x, (1, 1), out=out), x)


@pytest.mark.promise("81", "82", "90")
def test_torch_out_and_gradients() -> None:
    x = torch.zeros(1, 1, 2, requires_grad=True)
    out = torch.zeros(1, 1, 4)
    refused = r"\Anearest: out cannot be given while a framework traces, maps or differentiates\Z"
    with pytest.raises(TypeError, match=refused):
        us.nearest(x, 2, out=out)
    with torch.no_grad():
        assert us.nearest(x, 2, out=out) is out
    tall = torch.zeros(6)
    with pytest.raises(ValueError, match=r"\Anearest: out must not share memory with x\Z"):
        us.nearest(tall[:3], (2,), out=tall)
    with pytest.raises(ValueError, match=r"\Anearest: out must not overlap itself"):
        us.nearest(tall[:3], (2,), out=torch.zeros(1).expand(6))
    np.testing.assert_array_equal(us.nearest(tall[:2] + 1, (2,), out=tall[2:]), np.ones(4))


def test_the_array_api_standard_takes_out() -> None:
    x, out = STRICT.array(integers((2, 3), 1)), STRICT.array(np.zeros((4, 6)))
    assert us.nearest(x, (2, 2), out=out) is out
    np.testing.assert_array_equal(STRICT.numpy(out), us.nearest(integers((2, 3), 1), (2, 2)))
