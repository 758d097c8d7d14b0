"""The compiled kernels equal the definition, on every tier that this machine has."""

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import checks
import unsample as us
from samples import SAMPLES, Sample, integers
from unsample.native import module
from unsample.native.module import kernels, missing

kernels = kernels
if kernels is None and "UNSAMPLE_NO_NATIVE" in missing:
    pytest.skip("UNSAMPLE_NO_NATIVE is set", allow_module_level=True)
TIERS: list[str] = [] if kernels is None else kernels.tiers()

ORDERED = [
    *("float32", "float64", "float16"),
    *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)),
    "bool",
]
MOVED = [*ORDERED, "complex64", "complex128", "longdouble"]


def test_kernels_are_compiled() -> None:
    """Everything below would pass without them, and say nothing."""
    assert us.show_config().compiled, us.show_config().reason
    assert us.show_config().tier in TIERS


def by_definition(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy says where a NaN is met
        patch.setattr(module, "kernels", None)
        return call()


def same_bits(got: Any, expected: Any) -> None:
    """The same numbers in the same dtype, signs of zeros and payloads of NaN included."""
    if isinstance(got, tuple):
        for a, b in zip(got, expected, strict=True):
            same_bits(a, b)
        return
    if isinstance(got, us.Switches):
        assert got.windows == expected.windows
        got, expected = got.taps, expected.taps
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.dtype.itemsize == 16 and got.dtype.kind == "f":  # a long double has bytes that mean nothing
        np.testing.assert_array_equal(got, expected)
    else:
        assert np.array_equal(got.reshape(-1).view(np.uint8), expected.reshape(-1).view(np.uint8))


def same_or_nan(got: np.ndarray, expected: np.ndarray) -> None:
    """Which of two NaN a sum gives is the hardware's choice; everything else is ours."""
    if got.dtype.kind == "f":
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(got), nan)
        got, expected = np.where(nan, 0, got), np.where(nan, 0, expected)
    same_bits(got, expected)


def values(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Numbers with ties, zeros of both signs, and NaN where there are some."""
    rng = np.random.default_rng([seed, *shape])
    x = rng.integers(-9, 10, shape).astype(float)
    if np.dtype(dtype).kind in "fc":
        flat = (x := x / 7).reshape(-1)
        for special in (-0.0, 0.0, np.nan, np.inf, -np.inf):
            flat[rng.random(flat.shape) < 0.03] = special
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x.astype(dtype)


def answer(call: Callable[[], Any]) -> tuple[Any, str]:
    """The result, or what the TypeError says."""
    try:
        return call(), ""
    except TypeError as error:
        return None, str(error)


def calls(sample: Sample) -> Iterator[tuple[Callable[[Any], Any], tuple[int, ...]]]:
    args, kwargs = sample.up
    yield lambda x: sample.pair.down(x, *sample.args, **sample.kwargs), sample.shape
    yield lambda y: sample.pair.up(y, *args, **kwargs), sample.coarse_shape


MOVING = [each for each in SAMPLES if not each.pair.name.startswith("conv")]


@pytest.mark.parametrize("sample", [s for s in MOVING if s.pair.name != "resize"], ids=str)
def test_same_bits_as_the_definition(sample: Sample, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for call, shape in calls(sample):
        for dtype in MOVED:
            x = values(shape, dtype)
            with np.errstate(all="ignore"):
                expected, refused = answer(lambda call=call, x=x: by_definition(lambda: call(x), monkeypatch))
                if refused:
                    assert answer(lambda call=call, x=x: call(x)) == (None, refused)
                    continue
            kernels.last_tier()
            with np.errstate(all="ignore"):
                got = call(x)
            same_or_nan(got, expected)
            if dtype == "float32":
                assert kernels.last_tier() == tier


@pytest.mark.parametrize("sample", [s for s in MOVING if s.pair.name == "resize"], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int16", "int64"])
def test_resize_adds_what_the_definition_adds(
    sample: Sample, dtype: str, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call, shape in calls(sample):
        copies = sample.kwargs.get("method") == "nearest"
        x = values(shape, dtype) if copies else integers(shape, 1).astype(dtype)
        try:
            expected = by_definition(lambda call=call, x=x: call(x), monkeypatch)
        except TypeError:
            continue
        with np.errstate(all="ignore"):
            got = call(x)
        assert got.dtype == expected.dtype
        if copies:
            np.testing.assert_array_equal(got, expected)
        elif dtype in ("float32", "float64"):
            matrix = us.matrix(call, shape)
            for result in (got, expected):
                checks.accurate(
                    call, matrix, x.astype(float), result, 2.0 ** -(24 if dtype == "float32" else 53)
                )
        else:
            step = 1 if np.dtype(dtype).kind in "iu" else 2e-3
            np.testing.assert_allclose(got, expected, atol=step, rtol=2e-3)


def test_sums_are_the_same_bits_on_every_tier() -> None:
    """Multiplications and additions are rounded one by one: no tier fuses them."""
    x = np.random.default_rng(1).standard_normal((3, 5, 37, 41)).astype(np.float32)
    before, results = kernels.tier(), []
    try:
        for name in TIERS:
            kernels.use_tier(name)
            up = us.resize(x, (53, 97), method="cubic")
            results.append(
                (us.window_sum(x, (1, 37, 1)), up, us.resize_transpose(up, (37, 41), method="cubic"))
            )
            assert kernels.last_tier() == name
    finally:
        kernels.use_tier(before)
    for other in results[1:]:
        same_bits(other, results[0])


def test_large_outputs_leave_in_whole_cache_lines(tier: str) -> None:
    """Rows that end anywhere in a line, in outputs that are written past the caches."""
    x = np.random.default_rng(2).standard_normal((3, 331, 1051)).astype(np.float32)
    for start in (0, 1, 7):
        memory = np.zeros(4 * x.size + 16, np.float32)
        out = memory[start : start + 4 * x.size].reshape(3, 662, 2102)
        assert us.nearest(x, (2, 2), out=out) is out
        assert kernels.last_tier() == tier
        same_bits(out, x.repeat(2, -1).repeat(2, -2))
        assert not memory[:start].any()
        assert not memory[start + out.size :].any()


@pytest.mark.parametrize("factor", [5, 511, 513, 700, 1600])
def test_blocks_longer_than_a_piece_of_a_row(factor: int, tier: str) -> None:
    x = values((2, 7), "float32")
    same_bits(us.nearest(x, (factor,)), np.repeat(x, factor, axis=-1))
    nails = us.bed_of_nails(x, (factor,), at=factor - 1)
    same_bits(us.decimate(nails, (factor,), at=factor - 1), x)
    assert np.count_nonzero(nails.view(np.uint32)) <= x.size
    ones = np.ones((2, 7 * factor), np.float32)
    np.testing.assert_array_equal(us.window_sum(ones, (factor,)), factor)


# -- pooling ---------------------------------------------------------------------------------------------

POOLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 45), {"kernel_size": 2}),
    ((2, 1, 70), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((1, 2, 13, 67), {"kernel_size": 2}),
    ((1, 2, 13, 67), {"kernel_size": 3, "stride": 2}),
    ((1, 2, 13, 67), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((1, 2, 4, 1203), {"kernel_size": 2}),  # rows longer than a work item writes
    ((1, 2, 5, 1203), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((1, 2, 9, 41), {"kernel_size": 2, "stride": 2, "padding": 1}),
    ((1, 2, 9, 41), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((1, 2, 9, 41), {"kernel_size": (3, 2), "stride": (1, 3)}),
    ((1, 2, 23, 31), {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 2}),
    ((1, 1, 7, 9), {"kernel_size": 3, "padding": ((1, 0), (0, 1)), "stride": 2}),
    ((1, 1, 8, 5), {"kernel_size": 3, "padding": "same", "stride": 2}),
    ((1, 2, 5, 6, 37), {"kernel_size": 2}),
    ((1, 2, 5, 6, 19), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((1, 1, 2, 3, 4, 22), {"kernel_size": (2, 1, 2, 2)}),
    ((1, 30, 31), {"kernel_size": (17, 16)}),  # two bytes a switch
    ((140, 35), {"kernel_size": (70, 2)}),  # more rows under a window than a batch of them
    ((300, 300), {"kernel_size": (260, 255), "stride": (13, 17)}),  # four bytes
    ((2, 7, 11), {"output_size": (3, 5)}),
    ((2, 3, 2), {"output_size": (5, 3)}),
    ((2, 6, 10), {"output_size": (3, 5)}),
]


def pool(x: Any, options: dict[str, Any], **more: Any) -> Any:
    options = {**options, **more}
    if "output_size" in options:
        return us.adaptive_max_pool(x, options.pop("output_size"), **options)
    kernel = options.pop("kernel_size")
    return us.max_pool(x, kernel, **options)


@pytest.mark.parametrize(("shape", "options"), POOLS, ids=str)
@pytest.mark.parametrize("dtype", ORDERED)
def test_pooling_there_and_back(
    shape: tuple[int, ...], options: dict[str, Any], dtype: str, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shape == (300, 300) and dtype != ("uint8" if tier == "baseline" else "float32"):
        pytest.skip("slow in the definition, and the kernel is the same")
    x = values(shape, dtype)
    expected = by_definition(lambda: pool(x, options), monkeypatch)
    kernels.last_tier()
    got = pool(x, options)
    assert kernels.last_tier() == tier
    same_bits(got, expected)
    same_bits(pool(x, options, return_switches=False), expected[0])
    largest, switches = got
    for duplicates in ("last", "sum", "max"):
        if dtype == "bool" and duplicates == "sum":
            continue

        def up(duplicates: str = duplicates) -> Any:
            return us.max_unpool(largest, switches, duplicates=duplicates)

        with np.errstate(all="ignore"):
            same_or_nan(up(), by_definition(up, monkeypatch))
    same_bits(us.max_gather(x, switches), by_definition(lambda: us.max_gather(x, switches), monkeypatch))
    same_bits(us.max_gather(x, switches), largest)


@pytest.mark.promise("56", "57")
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_a_whole_window_of_each_special_value(dtype: str, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every position of NaN, zeros of both signs and infinities in 2x2 and 3x3 windows."""
    rng = np.random.default_rng(0)
    specials = np.array([np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, 1.0, -1.0])
    for kernel in (2, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = rng.choice(specials, (4, 6, 6 * 64)).astype(dtype)
        expected = by_definition(
            lambda x=x, kernel=kernel: us.max_pool(x, (kernel, kernel), stride=2), monkeypatch
        )
        same_bits(us.max_pool(x, (kernel, kernel), stride=2), expected)


# -- switches that point nowhere --------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "options"), POOLS, ids=str)
def test_every_bad_switch_is_found(shape: tuple[int, ...], options: dict[str, Any], tier: str) -> None:
    x = values(shape, "float32")
    largest, switches = pool(x, options)
    taps = int(np.prod(switches.kernel_size))
    flat = np.arange(switches.taps.size)
    for at in {0, len(flat) // 2, len(flat) - 1}:
        for value in {taps, np.iinfo(switches.taps.dtype).max}:
            if value > np.iinfo(switches.taps.dtype).max or value < taps:
                continue
            bad = us.Switches(switches.taps.copy(), switches.windows)
            bad.taps.reshape(-1)[at] = value
            where = tuple(int(i) for i in np.unravel_index(at, bad.shape))
            for duplicates in ("last", "sum", "max"):
                named = re.escape(f"max_unpool: the switch at {where} must be")
                with pytest.raises(IndexError, match=named):
                    us.max_unpool(largest, bad, duplicates=duplicates)
            with pytest.raises(IndexError, match=r"max_gather: the switch at"):
                us.max_gather(x, bad)


@pytest.mark.parametrize("last", [False, True])
def test_switches_into_the_padding_are_found(last: bool, tier: str) -> None:
    """A tap number that exists, of a window at the border, where it would lie outside."""
    x = values((1, 1, 6, 40), "float32")
    largest, switches = us.max_pool(x, 3, stride=2, padding=1)
    bad = us.Switches(switches.taps.copy(), switches.windows)
    bad.taps[0, 0, 1 if last else 0, 0] = 0  # its column (and row) is in the padding before
    with pytest.raises(IndexError, match="must be a tap of its window that meets the input, got 0"):
        us.max_unpool(largest, bad)
    with pytest.raises(IndexError, match="must be a tap of its window that meets the input, got 0"):
        us.max_gather(x, bad)


# -- every count, every offset ----------------------------------------------------------------------------


def lanes() -> int:
    return kernels.vector_bytes() if kernels else 32


@pytest.mark.promise("83")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "complex128"])
def test_every_count_and_misalignment_between_sentinels(dtype: str, tier: str) -> None:
    """Rows of 0 to twice the lanes of a vector, outputs that start anywhere in a cache line."""
    size = np.dtype(dtype).itemsize
    for count in range(2 * lanes() // min(size, lanes()) + 2):
        for offset in (0, 1, 3, 64 // size - 1):
            x = values((3, 2, count), "uint8", count).astype(dtype)
            memory = np.full(3 * 2 * count * 4 + offset + 64, 77, dtype)
            inside = memory[offset : offset + x.size * 4].reshape(3, 4, 2 * count)
            for call, expected in (
                (us.nearest, np.repeat(np.repeat(x, 2, -1), 2, -2)),
                (us.bed_of_nails, np.kron(x, np.array([[1, 0], [0, 0]], dtype))),
            ):
                memory[:] = 77
                call(x, (2, 2), out=inside)
                np.testing.assert_array_equal(inside, expected)
                assert (memory[:offset] == 77).all()
                assert (memory[offset + inside.size :] == 77).all()
            fine = np.repeat(np.repeat(x, 2, -1), 2, -2)
            small = memory[offset : offset + x.size].reshape(x.shape)
            windows = us.max_pool(np.zeros(fine.shape, np.uint8), (2, 2))[1].windows if count else ()
            switches = us.Switches(np.zeros(x.shape, np.uint8), windows)
            memory[:] = 77
            us.decimate(fine, (2, 2), out=small)
            np.testing.assert_array_equal(small, x)
            if count:
                small[...] = 77
                us.max_gather(fine, switches, out=small)
                np.testing.assert_array_equal(small, x)
            assert (memory[:offset] == 77).all()
            assert (memory[offset + small.size :] == 77).all()
