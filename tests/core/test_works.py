"""Inputs that break other libraries and must work here: the rows of the reliability list, by number."""

import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import checks
import unsample as us
import unsample.torch as ut
from backends import JAX, NUMPY, TORCH, Backend
from samples import SAMPLES, integers

every_library = pytest.mark.parametrize("library", [NUMPY, TORCH, JAX], ids=lambda each: each.name)


@pytest.mark.promise("5")
def test_row_5_kernel_larger_than_input_is_fine_the_other_way() -> None:
    assert us.conv_transpose(np.ones((1, 1, 2)), np.ones((1, 1, 7))).shape == (1, 1, 8)


@pytest.mark.promise("11")
def test_row_11_output_padding_below_the_stride() -> None:
    y, w = integers((1, 2, 3), 1), integers((2, 1, 2), 2)
    out = us.conv_transpose(y, w, stride=4, output_padding=3)
    expected = torch.nn.functional.conv_transpose1d(
        torch.tensor(y), torch.tensor(w), stride=4, output_padding=3
    )
    np.testing.assert_array_equal(out, expected)


@pytest.mark.promise("13")
def test_row_13_dilation_with_output_padding_backward() -> None:
    checks.gradients(
        lambda y, w: us.conv_transpose(y, w, stride=2, dilation=3, output_padding=(2, 1)),
        [(1, 2, 3, 4), (2, 3, 2, 2)],
    )


@pytest.mark.promise("20")
@pytest.mark.parametrize("two", [2, np.int64(2), np.uint8(2), np.array(2), torch.tensor(2)])
def test_row_20_whatever_is_an_index(two: Any) -> None:
    x = integers((1, 1, 4), 1)
    np.testing.assert_array_equal(us.nearest(x, two), us.nearest(x, 2))
    np.testing.assert_array_equal(us.nearest(x, (two,)), us.nearest(x, 2))
    np.testing.assert_array_equal(us.resize(x, [two]), us.resize(x, 2))
    np.testing.assert_array_equal(us.max_pool(x, two)[0], us.max_pool(x, 2)[0])


def in_arrays(given: Any, array: Any) -> Any:
    """Numbers, tuples of them and pairs per axis as an array; anything else as it is."""
    if not isinstance(given, int | tuple) or isinstance(given, bool):
        return given
    if isinstance(given, tuple) and len({isinstance(each, tuple) for each in given}) == 2:
        return tuple(in_arrays(each, array) for each in given)
    if "Fraction" in repr(given):  # which no array holds
        return given
    return array(given)


@every_library
@pytest.mark.parametrize(
    "array",
    [np.array, torch.tensor, pytest.param(jnp.array, marks=pytest.mark.slow)],
    ids=["numpy", "torch", "jax"],
)
def test_numbers_of_every_argument_in_arrays(library: Backend, array: Any) -> None:
    for sample in SAMPLES:
        for call, (args, kwargs), x in (
            (sample.pair.down, (sample.args, sample.kwargs), sample.x()),
            (sample.pair.up, sample.up, sample.y()),
        ):
            args = library.arguments(args)
            expected = call(library.array(x), *args, **kwargs)
            args = tuple(in_arrays(each, array) for each in args)
            kwargs = {name: in_arrays(each, array) for name, each in kwargs.items()}
            np.testing.assert_array_equal(call(library.array(x), *args, **kwargs), expected)


def test_factors_in_arrays() -> None:
    x = integers((1, 4, 6), 1)
    expected = us.resize(x, factor=(2, 1.5))
    for factor in (np.array([2, 1.5], np.float32), torch.tensor([2, 1.5]), [np.float32(2), np.float16(1.5)]):
        np.testing.assert_array_equal(us.resize(x, factor=factor), expected)
    np.testing.assert_array_equal(us.resize(x, factor=np.float32(2)), us.resize(x, factor=2))


def test_the_input_size_of_switches_in_an_array() -> None:
    found = us.Switches.from_torch(np.array([[1, 2]]), np.array([4]), np.array([2]))
    np.testing.assert_array_equal(found.taps, us.Switches.from_torch(np.array([[1, 2]]), (4,), 2).taps)


@pytest.mark.promise("24")
@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "catmull_rom", "area"])
@pytest.mark.parametrize("size", [{"factor": 1.0}, {"output_size": (5, 7)}], ids=str)
def test_row_24_the_same_size_is_bitwise_identity(method: str, size: dict[str, Any]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)
    x[0, 0, 0, :4] = [np.nan, np.inf, -np.inf, -0.0]
    out = us.resize(x, method=method, **size)
    np.testing.assert_array_equal(out.view(np.uint32), x.view(np.uint32))
    assert not np.shares_memory(out, x)


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [
        (10, 0.7, 7),  # the double 0.7 is below 7/10, its product with 10 is not below 7
        (5, 1.2, 6),
        (9, 1 / 3, 3),
        (50, 2.4, 120),
        (90, 0.7, 62),  # this product is, and torch says so too
        (90, Fraction(7, 10), 63),
        (10, np.float32(0.5), 5),
        (7, np.int8(100), 700),
        (3, 2.0**60 / 2**59, 6),
    ],
)
@every_library
@pytest.mark.promise("25")
def test_row_25_a_factor_is_multiplied_as_floats_are_and_rounded_down(
    library: Backend, size: int, factor: Any, expected: int
) -> None:
    x = library.array(np.ones((1, 1, size), np.float32))
    assert us.resize(x, factor=factor).shape == (1, 1, expected)
    assert us.resize(x, factor=(factor,)).shape == (1, 1, expected)


@pytest.mark.promise("25")
def test_row_25_a_factor_gives_the_size_that_torch_gives() -> None:
    factors = [k / n for n in (3, 7, 10, 12, 100) for k in range(1, 3 * n, 1 + n // 12)]
    for factor in factors:
        for size in range(math.ceil(1 / factor), 200, 7):
            x = torch.zeros(1, 1, size)
            for options in ({}, {"recompute_scale_factor": True}, {"mode": "linear"}):
                wanted = torch.nn.Upsample(scale_factor=factor, **options)(x).shape
                assert ut.Upsample(scale_factor=factor, **options)(x).shape == wanted
            assert us.resize(x, factor=factor).shape == wanted, (size, factor)


@pytest.mark.promise("29")
@pytest.mark.parametrize("method", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("convention", ["half_pixel", "align_corners", "asymmetric"])
def test_row_29_an_output_of_one_element(method: str, convention: str) -> None:
    x = np.array([[[1.0, 2, 4, 8, 16]]])
    out = us.resize(x, 1, method=method, convention=convention)
    expected = 4.0 if convention == "half_pixel" else 1.0
    np.testing.assert_array_equal(out, [[[expected]]])


@pytest.mark.promise("30", "31")
@pytest.mark.parametrize("source", [1, 3, 7, 2**20 + 1])
@pytest.mark.parametrize("target", [1, 5, 2**20 - 1])
@pytest.mark.parametrize("convention", ["half_pixel", "align_corners", "asymmetric", "legacy"])
def test_rows_30_and_31_no_position_outside(source: int, target: int, convention: str) -> None:
    """Exact positions: with float32 ones 2**20 + 1 elements already miss."""
    x = np.arange(source, dtype=np.float64)
    out = us.resize(x, (target,), method="nearest", convention=convention)
    exact = [
        {
            "half_pixel": ((2 * o + 1) * source) // (2 * target),
            "align_corners": (2 * o * (source - 1) + target - 1) // (2 * max(target - 1, 1)),
            "asymmetric": (2 * o * source + target) // (2 * target),
            "legacy": o * source // target,
        }[convention]
        for o in range(0, target, max(1, target // 997))
    ]
    np.testing.assert_array_equal(out[:: max(1, target // 997)], np.clip(exact, 0, source - 1))


@pytest.mark.promise("31")
def test_row_31_a_million_fold() -> None:
    np.testing.assert_array_equal(us.resize(np.full((1, 1, 1), 7.0), factor=10**6), 7.0)
    np.testing.assert_array_equal(us.resize_transpose(np.ones((1, 1, 10**6)), 1), [[[10**6]]])


@pytest.mark.promise("37")
def test_row_37_ceil_mode_windows_start_inside() -> None:
    # kernel 1, stride 2: ceil((3 - 1) / 2) + 1 = 2 windows; of 4 elements the third would start at the end.
    assert us.max_pool(np.zeros(4), (1,), stride=2, ceil_mode=True)[0].shape == (2,)
    x = torch.arange(7.0)[None, None]
    for kernel, stride, padding in [(2, 3, 1), (3, 4, 1), (2, 5, 0), (5, 3, 2)]:
        ours, _ = us.max_pool(x, kernel, stride=stride, padding=padding, ceil_mode=True)
        theirs = torch.nn.functional.max_pool1d(x, kernel, stride, padding, ceil_mode=True)
        torch.testing.assert_close(ours, theirs)


@pytest.mark.promise("38")
def test_row_38_the_odd_element_of_same_goes_after() -> None:
    x = np.array([[1.0, 2, 3, 4]])
    w = np.array([[[1.0, 10]]])
    np.testing.assert_array_equal(us.conv(x, w, padding="same"), [[21, 32, 43, 4]])
    # The other choice (ONNX's SAME_LOWER) gives another answer.
    np.testing.assert_array_equal(us.conv(x, w, padding=((1, 0),)), [[10, 21, 32, 43]])


@pytest.mark.promise("40")
@pytest.mark.parametrize(
    "form", [(6, 8), [6, 8], torch.Size([6, 8]), (np.int64(6), np.int64(8)), (1, 2, 6, 8)]
)
def test_row_40_output_size_in_every_form(form: Any) -> None:
    y, w = integers((1, 3, 3, 4), 1), integers((3, 2, 3, 3), 2)
    out = us.conv_transpose(y, w, stride=2, padding=1, output_size=form)
    assert out.shape == (1, 2, 6, 8)
    like = us.conv_transpose(y, w, stride=2, padding=1, like=np.zeros((9, 9, 6, 8)))
    np.testing.assert_array_equal(out, like)


# -- dtypes and values ---------------------------------------------------------------------------------

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.promise("65")
@every_library
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool", "complex64", "complex128"])
def test_data_movement_of_every_dtype(library: Backend, dtype: str) -> None:
    x = library.cast(integers((1, 4, 2, 4), 3) + 9, dtype)
    reference = library.numpy(x)
    calls = [
        lambda x: us.nearest(x, 2),
        lambda x: us.bed_of_nails(x, 2, at=1),
        lambda x: us.decimate(x, 2),
        lambda x: us.pixel_shuffle(x, 2),
        lambda x: us.pixel_unshuffle(x, 2),
    ]
    if library is not TORCH or dtype not in ("uint16", "uint32", "uint64"):
        # torch cannot assign these through an index ("index_put" not implemented for 'UInt16')
        calls.append(lambda x: us.resize(x, (3, 5), method="nearest"))
    for call in calls:
        out = call(x)
        assert out.dtype == x.dtype
        np.testing.assert_array_equal(library.numpy(out), call(reference))


@pytest.mark.promise("62", "65")
@every_library
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
def test_pooling_of_every_ordered_dtype(library: Backend, dtype: str) -> None:
    if library is TORCH and dtype in ("uint16", "uint32", "uint64"):
        pytest.skip("torch compares no unsigned integers wider than 8 bits")
    x = library.cast(integers((1, 2, 5, 7), 3) + 9, dtype)
    reference = library.numpy(x)
    values, switches = us.max_pool(x, 3, stride=2, padding=1)
    expected, taps = us.max_pool(reference.astype(np.int64), 3, stride=2, padding=1)
    assert values.dtype == x.dtype
    np.testing.assert_array_equal(library.numpy(values), expected.astype(reference.dtype))
    np.testing.assert_array_equal(library.numpy(switches.taps), taps.taps)
    for duplicates in ("last", "max"):
        out = us.max_unpool(values, switches, duplicates=duplicates)
        assert out.dtype == x.dtype
        np.testing.assert_array_equal(
            library.numpy(out),
            us.max_unpool(expected, taps, duplicates=duplicates).astype(reference.dtype),
        )


@pytest.mark.promise("62")
@every_library
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "bool"])
def test_integer_sums_do_not_wrap(library: Backend, dtype: str) -> None:
    top = 1 if dtype == "bool" else 100
    x = library.cast(np.full((1, 1, 4), top), dtype)
    out = us.window_sum(x, 4)
    assert library.dtype_name(out) in ("int64", "uint64")
    np.testing.assert_array_equal(library.numpy(out), [[[4 * top]]])
    if dtype != "bool":
        w = library.cast(np.full((1, 1, 4), top), dtype)
        np.testing.assert_array_equal(library.numpy(us.conv(x, w)), [[[4 * top * top]]])


@pytest.mark.promise("65")
@every_library
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_convolution_does_not_conjugate(library: Backend, dtype: str) -> None:
    x = library.cast(integers((1, 2, 5), 1) + 1j * integers((1, 2, 5), 2), dtype)
    w = library.cast(integers((3, 2, 2), 3) + 1j * integers((3, 2, 2), 4), dtype)
    y = library.cast(integers((1, 3, 4), 5) + 1j * integers((1, 3, 4), 6), dtype)
    down, up = library.numpy(us.conv(x, w)), library.numpy(us.conv_transpose(y, w))
    grad = library.numpy(us.conv_weight_grad(x, y, 2))
    assert str(down.dtype) == str(up.dtype) == str(grad.dtype) == dtype
    forms = [np.sum(down * library.numpy(y)), np.sum(library.numpy(x) * up), np.sum(grad * library.numpy(w))]
    assert forms[0] == forms[1] == forms[2]  # the bilinear form, not the sesquilinear one
    assert forms[0] != np.sum(down * library.numpy(y).conj())


@pytest.mark.promise("61")
@every_library
def test_non_finite_numbers_keep_their_bits(library: Backend) -> None:
    payload = np.array([0x7FC12345, 0xFFC54321, 0x7F800000, 0x80000000], np.uint32).view(np.float32)
    x = library.array(payload.reshape(1, 4, 1))
    values, switches = us.max_pool(x, 1)
    for out in (
        us.nearest(x, 3),
        us.bed_of_nails(x, 2),
        us.pixel_shuffle(x, 4),
        us.max_unpool(values, switches),
    ):
        found = set(library.numpy(out).view(np.uint32).ravel().tolist()) - {0}
        assert found == set(payload.view(np.uint32).tolist())


@pytest.mark.promise("66", "67")
def test_zeros_are_multiplied_not_skipped() -> None:
    w = np.array([[[np.inf, 1.0]]])
    with np.errstate(invalid="ignore"):  # NumPy says where the NaN comes from
        out = us.conv_transpose(np.array([[0.0, 1.0]]), w, stride=2)
        assert np.isnan(us.conv(np.zeros((1, 2)), w)).all()
    np.testing.assert_array_equal(out, [[np.nan, 0.0, np.inf, 1.0]])


@pytest.mark.promise("63")
def test_integers_resize_rounds_and_clamps() -> None:
    x = np.array([[0, 255, 255, 0]], np.uint8)
    np.testing.assert_array_equal(us.resize(x, (7,)), np.rint(us.resize(x.astype(float), (7,))))
    overshoot = us.resize(x.astype(float), (16,), method="cubic")
    assert overshoot.max() > 255
    assert overshoot.min() < 0
    clamped = us.resize(x, (16,), method="cubic")
    np.testing.assert_array_equal(clamped, np.clip(np.rint(overshoot), 0, 255))
    assert clamped.dtype == np.uint8


@pytest.mark.promise("64")
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_half_precision_accumulates_in_float32(dtype: type) -> None:
    ones = np.ones((1, 4096), dtype)
    assert us.window_sum(ones, (4096,)).item() == 4096  # float16 alone stops at 2048
    assert us.conv(ones, np.ones((1, 1, 4096), dtype)).item() == 4096


# -- empty -----------------------------------------------------------------------------------------------


@pytest.mark.promise("70")
@every_library
@pytest.mark.parametrize("shape", [(0, 4, 4, 6), (2, 0, 4, 6), (2, 4, 0, 6), (2, 4, 4, 0), (0, 0, 0, 0)])
def test_empty_in_empty_out(library: Backend, shape: tuple[int, ...]) -> None:
    x = library.array(np.zeros(shape))
    n, c, h, w = shape
    weight = library.array(np.ones((3, c, 2, 3)))

    def size(*axes: int) -> tuple[int, ...]:
        """An axis without elements stays one."""
        return tuple(0 if old == 0 else new for old, new in zip((h, w), axes, strict=True))

    values, switches = us.max_pool(x, 2)
    adaptive, _ = us.adaptive_max_pool(x, size(2, 3))
    y = library.array(np.zeros((n, 3, h, w)))
    results = {
        (n, c, 2 * h, 2 * w): [us.nearest(x, 2), us.bed_of_nails(x, 2), us.resize(x, factor=2)],
        (n, c, h // 2, w // 2): [us.window_sum(x, 2), us.decimate(x, 2), values],
        (n, c, h, w): [us.max_unpool(values, switches), us.resize_transpose(us.resize(x, factor=2), (h, w))],
        (n, c, *size(2, 3)): [adaptive],
        (n, c // 4, 2 * h, 2 * w): [us.pixel_shuffle(x, 2)],
        (n, c * 4, h // 2, w // 2): [us.pixel_unshuffle(x, 2)],
        (n, 3, *size(h - 1, w - 2)): [us.conv(x, weight)],
        (n, c, *size(2 * h, 2 * w + 1)): [us.conv_transpose(y, weight, stride=2)],
    }
    for expected, outs in results.items():
        for out in outs:
            assert tuple(out.shape) == expected
            assert not np.any(library.numpy(out))
    wide = us.conv_weight_grad(x, us.conv(x, weight), (2, 3))
    np.testing.assert_array_equal(library.numpy(wide), np.zeros((3, c, 2, 3)))


@pytest.mark.promise("71")
def test_no_input_channels_leave_the_bias() -> None:
    out = us.conv(np.zeros((1, 0, 4)), np.zeros((2, 0, 3)), np.array([5.0, 7.0]))
    np.testing.assert_array_equal(out, [[[5, 5], [7, 7]]])


@pytest.mark.promise("72")
def test_bias_and_unbatched() -> None:
    x, w, b = integers((2, 5, 6), 1), integers((3, 2, 2, 3), 2), integers((3,), 3)
    out = us.conv(x, w, b)
    np.testing.assert_array_equal(out, us.conv(x[None], w)[0] + b[:, None, None])
    up = us.conv_transpose(out, w, integers((2,), 4), stride=(1, 2))
    np.testing.assert_array_equal(
        up, us.conv_transpose(out[None], w, stride=(1, 2))[0] + integers((2,), 4)[:, None, None]
    )


# -- transformations ------------------------------------------------------------------------------------


def test_jax_keeps_to_32_bits_without_a_warning() -> None:
    with jax.enable_x64(False):
        x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 2, 34, 33)), jnp.float32)
        values, switches = jax.jit(lambda x: us.max_pool(x, (17, 16)))(x)  # Switches is a pytree
        assert switches.taps.dtype == jnp.uint16
        out = jax.jit(us.max_unpool)(values, switches)
        assert float(out.sum()) == pytest.approx(float(values.sum()), rel=1e-5)
        assert us.window_sum(jnp.ones((1, 1, 4), jnp.int8), 2).dtype == jnp.int32
        assert switches.to_torch().dtype == jnp.int32
        assert us.resize(x, 7).dtype == jnp.float32


def test_torch_vmap_jvp_and_meta() -> None:
    x = torch.tensor(integers((3, 2, 6, 5), 1))
    w = torch.tensor(integers((4, 2, 3, 2), 2))

    def network(x: torch.Tensor) -> torch.Tensor:
        values, switches = us.max_pool(us.conv(x, w, padding="same"), 2, ceil_mode=True)
        up = us.max_unpool(values, switches)
        return us.conv_transpose(us.nearest(up, 2), w, stride=2)

    expected = network(x)
    torch.testing.assert_close(torch.func.vmap(network)(torch.stack([x, -x]))[0], expected)
    torch.testing.assert_close(torch.func.jvp(network, (x,), (x,))[0], expected)
    assert network(x.to("meta")).shape == expected.shape
