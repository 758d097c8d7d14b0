"""Every pair, every sample, every array library: the promises of the definition."""

import jax
import numpy as np
import pytest
import torch

import checks
import unsample as us
from backends import JAX, NUMPY, STRICT, TORCH, Backend
from samples import COPIES, MORE, SAMPLES, Sample, integers

EPS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}

ONE_EACH = ("2d", "2d-corner", "2d-overlap", "groups", "linear-half_pixel-double")

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)


def down(sample: Sample, backend: Backend = NUMPY) -> checks.Function:
    args = backend.arguments(sample.args)
    return lambda x: sample.pair.down(x, *args, **sample.kwargs)


def up(sample: Sample, backend: Backend = NUMPY) -> checks.Function:
    args, kwargs = sample.up
    args = backend.arguments(args)
    return lambda y: sample.pair.up(y, *args, **kwargs)


@every_sample
def test_matrix_of_up_is_transpose_of_matrix_of_down(sample: Sample) -> None:
    checks.dense_transpose(down(sample), up(sample), sample.shape, sample.coarse_shape)


@every_sample
def test_plans_know_shape_and_cost(sample: Sample) -> None:
    args, kwargs = sample.up
    plan_down = sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs)
    plan_up = sample.pair.plan_up(sample.coarse_shape, *args, **kwargs)
    assert plan_down.input_shape == plan_up.output_shape == sample.shape
    assert plan_up.input_shape == plan_down.output_shape == down(sample)(sample.x()).shape
    assert plan_up.multiply_adds == plan_down.multiply_adds
    assert up(sample)(sample.y()).shape == sample.shape
    assert plan_down.output_bytes(4) == 4 * int(np.prod(plan_down.output_shape))


def slices_alone(sample: Sample) -> bool:
    """Whether every tap is a slice: the array-API standard cannot assign through index arrays."""
    plan = sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs)
    sides = [side for tap in plan.taps() for side in (*tap.fine, *tap.coarse)]
    return not plan.resamples and all(isinstance(each, range) for each in sides)


@pytest.mark.parametrize(
    ("sample", "backend"),
    # jax is compared in test_jax_transposes_each_into_the_other, where it is compiled once.
    [(sample, NUMPY) for sample in SAMPLES]
    + [(sample, TORCH) for sample in SAMPLES]
    + [(sample, STRICT) for sample in SAMPLES if slices_alone(sample)],
    ids=lambda each: each.name if isinstance(each, Backend) else str(each),
)
def test_same_numbers_on_every_library(sample: Sample, backend: Backend) -> None:
    for function, reference, values in (
        (down(sample, backend), down(sample), sample.x()),
        (up(sample, backend), up(sample), sample.y()),
    ):
        result = function(backend.array(values))
        assert isinstance(result, backend.kind)
        # Sums of small integers are exact; interpolation weights are not integers.
        tolerance = 1e-13 if sample.pair.name == "resize" else 0
        np.testing.assert_allclose(backend.numpy(result), reference(values), rtol=tolerance, atol=tolerance)


@every_sample
def test_dot_and_linear(sample: Sample) -> None:
    x, y = sample.x(), sample.y()
    checks.dot_test(down(sample), up(sample), x, y, EPS["float64"])
    checks.linear(down(sample), x, integers(sample.shape, 11), EPS["float64"])
    checks.linear(up(sample), y, integers(sample.coarse_shape, 12), EPS["float64"])


@pytest.mark.promise("64")
@pytest.mark.parametrize(
    ("sample", "backend", "dtype"),
    [(s, NUMPY, dtype) for dtype in ("float16", "float32") for s in SAMPLES]
    + [(s, TORCH, dtype) for dtype in ("float16", "bfloat16", "float32") for s in SAMPLES]
    # Eager jax compiles every tap: one sample of each family.
    + [(s, JAX, dtype) for dtype in ("bfloat16", "float32") for s in SAMPLES if s.name in ONE_EACH],
    ids=lambda each: each.name if isinstance(each, Backend) else str(each),
)
def test_accuracy_and_dtype(sample: Sample, backend: Backend, dtype: str) -> None:
    up_args, up_kwargs = sample.up
    for direction, values, args, kwargs in (
        (sample.pair.down, sample.x() / 7, sample.args, sample.kwargs),
        (sample.pair.up, sample.y() / 7, up_args, up_kwargs),
    ):
        x = backend.cast(values, dtype)
        args = tuple(
            backend.cast(each, dtype)
            if isinstance(each, np.ndarray)
            else backend.array(each)
            if isinstance(each, us.Switches)
            else each
            for each in args
        )
        result = direction(x, *args, **kwargs)
        assert backend.dtype_name(result) == dtype
        rounded = backend.numpy(x).astype(np.float64)
        fixed = tuple(
            backend.numpy(each).astype(np.float64) if isinstance(each, backend.kind) else each
            for each in args
        )
        fixed = tuple(NUMPY.array(each) if isinstance(each, us.Switches) else each for each in fixed)
        plan = sample.pair.plan_up(sample.coarse_shape, *up_args, **up_kwargs)
        copies = sample.pair.name in COPIES and plan.tiles and direction is not us.window_sum
        matrix = us.matrix(direction, x.shape, *fixed, **kwargs)
        if copies:
            np.testing.assert_array_equal(backend.numpy(result).ravel(), matrix @ rounded.ravel())
        else:
            checks.accurate(direction, matrix, rounded, backend.numpy(result), EPS[dtype])


@every_sample
def test_gradients_of_every_order(sample: Sample) -> None:
    pair, kwargs = sample.pair, sample.kwargs
    up_args, up_kwargs = (TORCH.arguments(sample.up[0]), sample.up[1])
    args = TORCH.arguments(sample.args)
    if args and isinstance(args[0], torch.Tensor):  # the weight, or the other array, is differentiated too
        other = tuple(args[0].shape)
        checks.gradients(lambda x, w: pair.down(x, w, *args[1:], **kwargs), [sample.shape, other])
        checks.gradients(lambda y, w: pair.up(y, w, *up_args[1:], **up_kwargs), [sample.coarse_shape, other])
    else:
        checks.gradients(down(sample, TORCH), [sample.shape])
        checks.gradients(up(sample, TORCH), [sample.coarse_shape])


@pytest.mark.parametrize(
    "sample",
    [pytest.param(each, marks=pytest.mark.slow if str(each) in MORE else ()) for each in SAMPLES],
    ids=str,
)
def test_jax_transposes_each_into_the_other(sample: Sample) -> None:
    checks.jax_transposes(down(sample, JAX), up(sample, JAX), sample.shape, sample.coarse_shape)
    for function, reference, values in (
        (down(sample, JAX), down(sample), sample.x()),
        (up(sample, JAX), up(sample), sample.y()),
    ):
        result = jax.jit(function)(JAX.array(values))
        assert isinstance(result, jax.Array)
        np.testing.assert_allclose(result, reference(values), rtol=1e-13, atol=1e-13)


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """The same numbers in every memory layout a caller may bring."""
    spaced = np.zeros(tuple(2 * n for n in x.shape))
    spaced[tuple(slice(None, None, 2) for _ in x.shape)] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    misaligned = np.frombuffer(b"\0" + x.tobytes(), dtype=np.uint8)[1:].view(x.dtype).reshape(x.shape)
    return {
        "fortran": np.asfortranarray(x),
        "negative strides": x[(slice(None, None, -1),) * x.ndim].copy()[(slice(None, None, -1),) * x.ndim],
        "every other element": spaced[tuple(slice(None, None, 2) for _ in x.shape)],
        "read-only": frozen,
        "byte-swapped": x.astype(">f8"),
        "misaligned": misaligned,
    }


@pytest.mark.promise("79", "80", "83", "84", "85")
@every_sample
def test_memory_layout_does_not_matter(sample: Sample) -> None:
    for function, values in ((down(sample), sample.x()), (up(sample), sample.y())):
        expected = function(values)
        kept = values.copy()
        for name, array in layouts(values).items():
            result = function(array)
            assert result.dtype == np.float64, name
            np.testing.assert_array_equal(result, expected, err_msg=name)
        np.testing.assert_array_equal(values, kept, err_msg="the input was written")


@pytest.mark.promise("80")
@every_sample
def test_zero_strides_and_no_alias(sample: Sample) -> None:
    for function, shape in ((down(sample), sample.shape), (up(sample), sample.coarse_shape)):
        ones = np.broadcast_to(np.float64(3.0), shape)
        result = function(ones)
        np.testing.assert_array_equal(result, function(ones.copy()))
        x = np.ones(shape)
        assert not np.shares_memory(function(x), x)
