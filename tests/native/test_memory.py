"""Large results: kept when they are freed, used again, and never by two arrays at once."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import program
import unsample as us
from unsample.native import memory

pytestmark = pytest.mark.skipif(
    not us.show_config().compiled or sys.platform != "linux", reason="NumPy allocates there"
)
MEGA = 1 << 20
F4 = np.dtype("f4")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    us.set_kept_memory(0)
    us.set_kept_memory(512)
    yield
    us.set_kept_memory(0)
    us.set_kept_memory(512)


def kept() -> int:
    return us.show_config().kept_bytes


def test_a_freed_result_is_used_again() -> None:
    y = memory.empty((3 * MEGA,), F4)
    address = y.ctypes.data
    assert kept() == 0
    del y
    assert kept() == 12 * MEGA
    again = memory.empty((5, 500, 1000), F4)  # of 10 MB
    assert again.ctypes.data == address
    assert kept() == 0


def test_a_view_keeps_the_memory() -> None:
    y = us.nearest(np.arange(MEGA, dtype=F4).reshape(1, 1024, 1024), (2, 2))
    row = y[0, 5]
    del y
    assert kept() == 0
    other = us.nearest(np.zeros((1, 1024, 1024), F4), (2, 2))
    assert not np.shares_memory(other, row)
    np.testing.assert_array_equal(row, np.repeat(np.arange(2048, 3072, dtype=F4), 2))
    del row
    assert kept() == 16 * MEGA


def test_a_block_much_too_large_is_not_taken() -> None:
    del (large := [memory.empty((16 * MEGA,), F4)])[0]
    assert not large
    small = memory.empty((2 * MEGA,), F4)
    assert kept() == 64 * MEGA
    assert small.nbytes == 8 * MEGA


def test_the_smallest_block_that_fits_is_taken() -> None:
    blocks = [memory.empty((size * MEGA,), F4) for size in (6, 5, 4)]
    addresses = [block.ctypes.data for block in blocks]
    blocks.clear()
    assert memory.empty((4 * MEGA,), F4).ctypes.data == addresses[2]


def test_the_oldest_blocks_go_first_where_there_are_too_many() -> None:
    us.set_kept_memory(40)
    blocks = [memory.empty((size * MEGA,), F4) for size in (2, 4, 5)]  # 8, 16, 20 binary megabytes
    last = blocks[-1].ctypes.data
    while blocks:
        blocks.pop(0)
    assert kept() == 36 * MEGA
    assert memory.empty((5 * MEGA,), F4).ctypes.data == last


def test_nothing_is_kept_on_demand() -> None:
    us.set_kept_memory(0)
    memory.empty((3 * MEGA,), F4)
    assert kept() == 0


@pytest.mark.parametrize("size", [1 << 14, (1 << 14) + 3, 1 << 18, (1 << 20) + 1])
def test_results_begin_with_a_cache_line(size: int) -> None:
    y = memory.empty((size,), F4)
    assert y.ctypes.data % 64 == 0
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert y.shape == (size,)
    y[...] = 1  # all of it is there


def test_threads_never_share_a_block() -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(60):
            y = memory.empty((MEGA + 1000 * number,), F4)
            y[...] = number * 1000 + turn
            if (y != number * 1000 + turn).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_a_forked_child_has_its_own() -> None:
    code = (
        "import os, numpy as np; from unsample.native import memory\n"
        "def full(value): y = memory.empty((1 << 20,), np.dtype('f4')); y[...] = value; return y\n"
        "full(1); child = os.fork(); mine = full(2 if child == 0 else 3)\n"
        "if child == 0: os._exit(0 if (mine == 2).all() else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), (mine == 3).all())\n"
    )
    # In a process of its own: other tests' libraries have threads and refuse to be forked.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 True\n"


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-1, us.ShapeError, "set_kept_memory: megabytes must be at least 0, got -1"),
        (1.5, TypeError, "set_kept_memory: megabytes must be an int, got 1.5 (float)"),
    ],
)
def test_a_limit_must_be_a_number_of_megabytes(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        us.set_kept_memory(value)
    assert str(caught.value) == message


def test_the_environment_decides_how_much_is_kept() -> None:
    code = (
        "import numpy as np, unsample as us\n"
        "us.nearest(np.zeros((1, 1024, 1024), 'f4'), (2, 2))\n"
        "print(us.show_config().kept_bytes)\n"
    )

    def run(value: str) -> subprocess.CompletedProcess[str]:
        return program.run("-c", code, UNSAMPLE_KEEP_MB=value)

    assert run("0").stdout == "0\n"
    assert run("100").stdout == f"{16 * MEGA}\n"
    for much in ("9999999999999", "9" * 5000):
        assert run(much).stdout == f"{16 * MEGA}\n"
    failed = run("many")
    assert failed.returncode == 1
    assert "UNSAMPLE_KEEP_MB must be a number of megabytes, got 'many'" in failed.stderr


def test_more_than_there_can_be_is_kept_whole() -> None:
    try:
        for megabytes in (2**62, 2**63 - 1):
            us.set_kept_memory(megabytes)
            us.nearest(np.zeros((1, 1024, 1024), np.float32), (2, 2))
            assert us.show_config().kept_bytes == 16 * MEGA
    finally:
        us.set_kept_memory(512)


def test_no_more_blocks_are_kept_than_there_is_room_for() -> None:
    """Freeing needs no memory itself: the list of the kept has its length from the start."""
    us.set_kept_memory(2**62)
    try:
        blocks = [memory.empty((2 * MEGA,), np.dtype(np.uint8)) for _ in range(600)]
        assert len({block.ctypes.data for block in blocks}) == 600
        del blocks
        assert us.show_config().kept_bytes == 511 * 2 * MEGA
    finally:
        us.set_kept_memory(512)
