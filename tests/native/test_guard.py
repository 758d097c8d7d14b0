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
