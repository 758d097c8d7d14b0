"""Arrays that end at the last byte before memory that may not be touched (row 86)."""

import ctypes
import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import program
import unsample as us
from samples import SAMPLES, Sample

if not sys.platform.startswith("linux"):
    pytest.skip("mprotect by way of ctypes is written for Linux", allow_module_level=True)

LIBC = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE


@contextmanager
def guarded(values: np.ndarray, *, before: bool) -> Iterator[np.ndarray]:
    """A copy of `values` that starts right after (`before`), or ends right before, a page of no access."""
    pages = -(-values.nbytes // PAGE) + 1
    memory = mmap.mmap(-1, pages * PAGE)
    handle = ctypes.c_char.from_buffer(memory)
    start = ctypes.addressof(handle)
    guard = start if before else start + (pages - 1) * PAGE
    protect = LIBC.mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert protect(guard, PAGE, 0) == 0
    offset = PAGE if before else (pages - 1) * PAGE - values.nbytes
    array = np.frombuffer(memory, values.dtype, values.size, offset).reshape(values.shape)
    try:
        array[...] = values
        yield array
    finally:
        assert protect(guard, PAGE, mmap.PROT_READ | mmap.PROT_WRITE) == 0
        del array, handle


@pytest.mark.promise("86")
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_nothing_outside_is_touched(sample: Sample, dtype: str, tier: str) -> None:
    up_args, up_kwargs = sample.up
    ways: tuple[tuple[Callable[..., Any], Any, Any, Any], ...] = (
        (sample.pair.down, sample.x(), sample.args, sample.kwargs),
        (sample.pair.up, sample.y(), up_args, up_kwargs),
    )
    for function, values, args, kwargs in ways:
        x = np.abs(values).astype(dtype)
        args = tuple(each.astype(dtype) if isinstance(each, np.ndarray) else each for each in args)
        with np.errstate(all="ignore"):
            try:
                expected = function(x, *args, **kwargs)
            except TypeError:
                continue
            for before in (False, True):
                with guarded(x, before=before) as inside, guarded(expected, before=before) as out:
                    out[...] = 0
                    function(inside, *args, out=out, **kwargs)
                    np.testing.assert_array_equal(out, expected)


@contextmanager
def guarded_last(values: np.ndarray, rank: int, *, before: bool) -> Iterator[np.ndarray]:
    """The same with the channels behind the `rank` spatial axes in memory."""
    with guarded(np.moveaxis(values, -rank - 1, -1).copy(), before=before) as memory:
        view = np.moveaxis(memory, -1, -rank - 1)
        yield view
        del view


@pytest.mark.promise("86")
@pytest.mark.parametrize("channels", [1, 3, 8, 9, 17, 33])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_channels_last_touches_nothing_outside(dtype: str, channels: int, tier: str) -> None:
    x = np.random.default_rng(channels).integers(0, 99, (2, 4 * channels, 6, 8)).astype(dtype)
    pooled, switches = us.max_pool(x, 2)
    overlapping, others = us.max_pool(x, 3, stride=2, padding=1)
    calls: list[tuple[np.ndarray, Callable[..., Any]]] = [
        (x, lambda x, **out: us.nearest(x, 2, **out)),
        (x, lambda x, **out: us.nearest(x, 3, **out)),
        (x, lambda x, **out: us.bed_of_nails(x, 2, **out)),
        (x, lambda x, **out: us.decimate(x, 2, **out)),
        (x, lambda x, **out: us.window_sum(x, 2, **out)),
        (x, lambda x, **out: us.pixel_shuffle(x, 2, **out)),
        (x, lambda x, **out: us.pixel_unshuffle(x, 2, **out)),
        (x, lambda x, **out: us.resize(x, (9, 5), method="nearest", **out)),
        (x, lambda x, **out: us.max_pool(x, 2, return_switches=False, **out)),
        (x, lambda x, **out: us.max_pool(x, 3, stride=2, padding=1, return_switches=False, **out)),
        (x, lambda x, **out: us.adaptive_max_pool(x, (4, 3), return_switches=False, **out)),
        (pooled, lambda x, **out: us.max_unpool(x, switches, **out)),
        (overlapping, lambda x, **out: us.max_unpool(x, others, duplicates="sum", **out)),
        (x, lambda x, **out: us.max_gather(x, others, **out)),
    ]
    if dtype != "uint8":
        calls += [
            (x, lambda x, **out: us.resize(x, (9, 5), **out)),
            (x, lambda x, **out: us.resize(x, (3, 8), method="cubic", **out)),
        ]
    for values, call in calls:
        expected = call(values)
        for before in (False, True):
            with (
                guarded_last(values, 2, before=before) as inside,
                guarded_last(expected, 2, before=before) as out,
            ):
                out[...] = 0
                assert call(inside, out=out) is out
                np.testing.assert_array_equal(out, expected)


def windows_of(options: dict[str, Any]) -> Iterator[tuple[int, ...]]:
    for width in (*range(2, 20), 31, 33, 63, 65, 130):
        yield (1, 2, 5, width)
        if options["kernel_size"] == 2:
            yield (1, 2, 4, 2 * width)


@pytest.mark.promise("73")
@pytest.mark.parametrize(
    "options",
    [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_pooling_of_every_width(options: dict[str, Any], dtype: str, tier: str) -> None:
    for shape in windows_of(options):
        if shape[3] < options["kernel_size"]:
            continue
        x = np.random.default_rng(shape[3]).integers(0, 99, shape).astype(dtype)
        values, switches = us.max_pool(x, **options)
        up = us.max_unpool(values, switches)
        with (
            guarded(x, before=False) as a,
            guarded(values, before=False) as v,
            guarded(switches.taps, before=False) as t,
            guarded(up, before=False) as u,
        ):
            us.max_pool(a, **options, out=(v, t))
            us.max_unpool(v, us.Switches(t, switches.windows), out=u)
            np.testing.assert_array_equal(v, values)
            np.testing.assert_array_equal(u, up)
            us.max_gather(a, us.Switches(t, switches.windows), out=v)
            np.testing.assert_array_equal(v, values)


def test_the_guard_is_there() -> None:
    """Reading one byte further ends a process: seen in one of our own."""
    script = (
        f"import ctypes, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import numpy as np\n"
        "from test_guard import guarded\n"
        "with guarded(np.zeros(8, np.uint8), before=False) as x:\n"
        "    ctypes.string_at(x.ctypes.data, 9)\n"
    )
    ended = program.run("-c", script)
    assert ended.returncode < 0, ended.stderr
