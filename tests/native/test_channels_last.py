"""Channels last: the same bits as channels first, read and written as they lie."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import unsample as us
from samples import SAMPLES, Sample
from unsample.native import moves
from unsample.native.module import kernels, missing

if kernels is None and "UNSAMPLE_NO_NATIVE" in missing:
    pytest.skip("UNSAMPLE_NO_NATIVE is set", allow_module_level=True)


def last(x: np.ndarray, rank: int) -> np.ndarray:
    """A copy of `x` whose channels lie behind its `rank` spatial axes."""
    return np.moveaxis(np.moveaxis(x, -rank - 1, -1).copy(), -1, -rank - 1)


def is_last(x: np.ndarray, rank: int) -> bool:
    return bool(np.moveaxis(x, -rank - 1, -1).flags.c_contiguous)


def values(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    """Numbers with ties, zeros of both signs and, of floats, NaN and infinities."""
    x = np.random.default_rng([seed, *shape]).integers(-9, 10, shape).astype(float)
    if np.dtype(dtype).kind in "fc":
        x = x / 7
        x.reshape(-1)[:: max(x.size // 5, 7)] = np.nan
        x.reshape(-1)[1::11] = -0.0
        x.reshape(-1)[3 :: max(x.size // 3, 9)] = np.inf
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def same(got: Any, expected: Any) -> None:
    """The same bits; of a NaN only that it is one: which of two a sum gives is the hardware's choice."""
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    if got.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got)[got == 0], np.signbit(expected)[expected == 0])


def widened(each: Any, times: int, rank: int) -> Any:
    """An array or switches with `times` as many channels."""
    if isinstance(each, us.Switches):
        return us.Switches(widened(each.taps, times, rank), each.windows)
    return np.repeat(each, times, axis=-rank - 1) if isinstance(each, np.ndarray) else each


def calls(sample: Sample, times: int) -> Iterator[tuple[Callable[..., Any], tuple[int, ...], int]]:
    """Both directions of a sample with `times` as many channels, the shape each takes, and their rank."""
    rank = sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs).rank
    if len(sample.shape) == rank:
        return
    channel = len(sample.shape) - rank - 1
    shape = tuple(size * times if axis == channel else size for axis, size in enumerate(sample.shape))
    args = tuple(widened(each, times, rank) for each in sample.args)
    coarse = sample.pair.plan_down(shape, *args, **sample.kwargs).output_shape
    up_args, up_kwargs = sample.pair.up_call(shape, args, sample.kwargs)
    yield lambda x, **out: sample.pair.down(x, *args, **sample.kwargs, **out), shape, rank
    yield lambda y, **out: sample.pair.up(y, *up_args, **up_kwargs, **out), coarse, rank


MOVING = [each for each in SAMPLES if not each.pair.name.startswith("conv")]


@pytest.mark.parametrize("sample", MOVING, ids=str)
@pytest.mark.parametrize("times", [1, 13, 301])  # channels below a vector, above it, above a piece of a row
def test_same_bits_as_channels_first(sample: Sample, times: int, tier: str) -> None:
    for call, shape, rank in calls(sample, times):
        for dtype in ("float32", "float64", "float16", "uint8", "complex128"):
            if times == 301 and dtype != "float32":
                continue
            x = values(shape, dtype)
            lasting = last(x, rank)
            with np.errstate(all="ignore"):
                try:
                    expected = call(x)
                except TypeError:
                    continue
                kernels.last_tier()
                got = call(lasting)
            same(got, expected)
            ran = kernels.last_tier()
            assert ran == tier or dtype != "float32" or got.size == 0 or "resize" in str(sample)
            if ran and not lasting.flags.c_contiguous:  # by a kernel, of an array that lies one way alone
                assert is_last(got, rank)


@pytest.mark.parametrize("sample", MOVING, ids=str)
def test_between_sentinels(sample: Sample, tier: str) -> None:
    for call, shape, rank in calls(sample, 5):
        x = values(shape, "float32")
        expected = call(x)
        for offset in (0, 1, 7):
            memory = np.full(expected.size + offset + 64, 77, np.float32)
            inside = memory[offset : offset + expected.size]
            out = np.moveaxis(inside.reshape(np.moveaxis(expected, -rank - 1, -1).shape), -1, -rank - 1)
            assert call(last(x, rank), out=out) is out
            same(out, expected)
            assert (memory[:offset] == 77).all()
            assert (memory[offset + expected.size :] == 77).all()
        first = np.empty(expected.shape, np.float32)
        assert call(last(x, rank), out=first) is first
        same(first, expected)


POOLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((13, 66), {"kernel_size": 2}),
    ((13, 37), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((9, 21), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((9, 21), {"kernel_size": (3, 2), "stride": (1, 3)}),
    ((23, 11), {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 2}),
    ((29,), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((5, 6, 9), {"kernel_size": 2}),
    ((5, 6, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((19, 18), {"kernel_size": (17, 16), "stride": (1, 2)}),  # two bytes a switch
    ((11, 14), {"kernel_size": (11, 7), "stride": 3}),  # more taps than a batch of them
    ((7, 11), {"output_size": (3, 5)}),
    ((3, 2), {"output_size": (5, 3)}),
]


def pool(x: Any, options: dict[str, Any], **more: Any) -> Any:
    options = {**options, **more}
    if "output_size" in options:
        return us.adaptive_max_pool(x, options.pop("output_size"), **options)
    return us.max_pool(x, options.pop("kernel_size"), **options)


@pytest.mark.parametrize(("spatial", "options"), POOLS, ids=str)
@pytest.mark.parametrize("channels", [3, 37])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "uint16"])
def test_pooling_there_and_back(
    spatial: tuple[int, ...], options: dict[str, Any], channels: int, dtype: str, tier: str
) -> None:
    rank = len(spatial)
    x = values((2, channels, *spatial), dtype)
    expected, switches = pool(x, options)
    kernels.last_tier()
    got, found = pool(last(x, rank), options)
    assert kernels.last_tier() == tier
    same(got, expected)
    same(found.taps, switches.taps)
    assert is_last(got, rank)
    assert is_last(found.taps, rank)
    same(pool(last(x, rank), options, return_switches=False), expected)
    up = values(expected.shape, dtype, 1)
    for taps in (switches.taps, found.taps):
        there = us.Switches(taps, switches.windows)
        for duplicates in ("last", "sum", "max"):
            with np.errstate(all="ignore"):
                back = us.max_unpool(last(up, rank), there, duplicates=duplicates)
                same(back, us.max_unpool(up, switches, duplicates=duplicates))
            assert is_last(back, rank)
        same(us.max_gather(last(x, rank), there), expected)


@pytest.mark.parametrize(("spatial", "options"), POOLS, ids=str)
@pytest.mark.parametrize("channels", [3, 40])
def test_every_bad_switch_is_found(
    spatial: tuple[int, ...], options: dict[str, Any], channels: int, tier: str
) -> None:
    rank = len(spatial)
    x = last(values((2, channels, *spatial), "float32"), rank)
    largest, switches = pool(x, options)
    taps = int(np.prod(switches.kernel_size))
    for at in (0, switches.taps.size // 2, switches.taps.size - 1):
        where = tuple(int(i) for i in np.unravel_index(at, switches.shape))
        bad = us.Switches(switches.taps.copy("K"), switches.windows)
        bad.taps[where] = value = min(taps, np.iinfo(bad.taps.dtype).max)
        if value < taps:
            continue
        named = re.escape(f"max_unpool: the switch at {where} must be")
        for duplicates in ("last", "sum", "max"):
            with pytest.raises(IndexError, match=named):
                us.max_unpool(largest, bad, duplicates=duplicates)
        with pytest.raises(IndexError, match=r"max_gather: the switch at"):
            us.max_gather(x, bad)


@pytest.mark.parametrize("at", [(0, 0), (0, 5), (5, 0), (5, 5)])
def test_switches_into_the_padding_are_found(at: tuple[int, int], tier: str) -> None:
    """A tap number that exists, of a window at each corner, where it would lie outside."""
    x = last(values((2, 12, 11, 11), "float32"), 2)
    largest, switches = us.max_pool(x, 3, stride=2, padding=1)
    corner = 3 * (2 if at[0] else 0) + (2 if at[1] else 0)
    switches.taps[1, 7, at[0], at[1]] = corner
    for duplicates in ("last", "sum"):
        with pytest.raises(IndexError, match="must be a tap of its window that meets the input"):
            us.max_unpool(largest, switches, duplicates=duplicates)
    with pytest.raises(IndexError, match="must be a tap of its window that meets the input"):
        us.max_gather(x, switches)


@pytest.mark.parametrize("method", ["linear", "cubic", "area", "nearest"])
@pytest.mark.parametrize("size", [(31, 18), (9, 40), (13, 3), (3, 11), (1, 1), (90, 11)])
@pytest.mark.parametrize("channels", [3, 24, 700])
def test_two_axes_of_a_resize_at_once(method: str, size: tuple[int, int], channels: int, tier: str) -> None:
    """Few and many terms, pieces that need more of a row than is kept, and one axis that stays."""
    x = values((2, channels, 13, 11), "float32")
    for call in (
        lambda x: us.resize(x, size, method=method),
        lambda y: us.resize_transpose(us.resize(y, size, method=method), (13, 11), method=method),
    ):
        same(call(last(x, 2)), call(x))


def test_a_wide_image_is_kept_in_pieces(tier: str) -> None:
    x = values((1, 5, 3, 6000), "float64")
    same(us.resize(last(x, 2), (2, 400), method="area"), us.resize(x, (2, 400), method="area"))
    same(us.resize(last(x, 2), (5, 9001)), us.resize(x, (5, 9001)))


def test_large_outputs_and_threads(tier: str) -> None:
    """Outputs that are written past the caches, from memory that begins anywhere, on several threads."""
    x = values((1, 19, 181, 203), "float32")
    lasting = last(x, 2)
    values_, switches = us.max_pool(us.nearest(x, 2), 3, stride=2, padding=1)
    for threads in (1, 3):
        with us.threads(threads):
            same(us.nearest(lasting, 3), us.nearest(x, 3))
            same(us.resize(lasting, (500, 600)), us.resize(x, (500, 600)))
            for duplicates in ("last", "sum"):
                same(
                    us.max_unpool(last(values_, 2), switches, duplicates=duplicates),
                    us.max_unpool(values_, switches, duplicates=duplicates),
                )


def test_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays that lie as kernels read them are handed over as they are."""
    handed: list[np.ndarray] = []

    def watched(x: Any) -> Any:
        handed.append(x)
        return in_c_order(x)

    in_c_order = moves.in_c_order
    monkeypatch.setattr(moves, "in_c_order", watched)
    x = last(values((2, 12, 6, 8), "float32"), 2)
    results = [
        *(us.nearest(x, 2), us.window_sum(x, 2), us.bed_of_nails(x, 2), us.decimate(x, 2)),
        *(us.pixel_shuffle(x, 2), us.pixel_unshuffle(x, 2), us.max_pool(x, 2)[0], us.resize(x, factor=2)),
    ]
    assert len(handed) == len(results)
    assert all(each.flags.c_contiguous and np.shares_memory(each, x) for each in handed)
    assert all(is_last(each, 2) for each in results)
