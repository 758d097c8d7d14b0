"""Threads: how many, the same bits whatever their number, fork, Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unsample as us
from unsample import native
from unsample.thread_count import num_threads_wanted, quota

if native._native is None and "UNSAMPLE_NO_NATIVE" in native._missing:
    pytest.skip("UNSAMPLE_NO_NATIVE is set", allow_module_level=True)

posix = pytest.mark.skipif(os.name != "posix", reason="fork and signals as POSIX has them")


def large() -> dict[str, Callable[[], Any]]:
    """One call of each kernel, large enough for several threads and for streaming."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 8, 131, 347)).astype(np.float32)
    coarse, switches = us.max_pool(x, 3, stride=2, padding=1)
    small, tiles = us.max_pool(x, 2)
    wide = rng.standard_normal((1, 1, 2_500_001)).astype(np.float32)
    return {
        "nearest": lambda: us.nearest(x, (2, 3)),
        "one long row": lambda: us.nearest(wide, 3),
        "bed_of_nails": lambda: us.bed_of_nails(x, 3, at=1),
        "decimate": lambda: us.decimate(wide, 2),
        "pixel_shuffle": lambda: us.pixel_shuffle(x, 2),
        "pixel_unshuffle": lambda: us.pixel_unshuffle(x[:, :, :130, :346], 2),
        "max_pool": lambda: us.max_pool(x, 3, stride=2, padding=1),
        "adaptive_max_pool": lambda: us.adaptive_max_pool(x, (50, 101)),
        "max_unpool": lambda: us.max_unpool(small, tiles),
        **{
            f"max_unpool-{rule}": lambda rule=rule: us.max_unpool(coarse, switches, duplicates=rule)
            for rule in ("last", "sum", "max")
        },
        "max_gather": lambda: us.max_gather(x, switches),
        "window_sum": lambda: us.window_sum(x[:, :, :, :345], (131, 3)),
        "resize": lambda: us.resize(x, (200, 401), method="cubic"),
        "resize_transpose": lambda: us.resize_transpose(x, (77, 211), method="cubic"),
    }


def bits(result: Any) -> bytes:
    if isinstance(result, tuple):
        return bits(result[0]) + bits(result[1].taps)
    return bytes(np.ascontiguousarray(result))


@pytest.mark.parametrize("name", large())
def test_the_same_bits_on_any_number_of_threads(name: str) -> None:
    call = large()[name]
    with us.threads(1):
        alone = bits(call())
    for n in (2, 3, 8):
        with us.threads(n):
            assert bits(call()) == alone, n


def test_the_same_bits_however_the_batch_is_split() -> None:
    x = np.random.default_rng(1).standard_normal((7, 3, 129, 255)).astype(np.float32)
    whole = us.resize(x, (300, 301), method="cubic")
    parts = [us.resize(part, (300, 301), method="cubic") for part in (x[:2], x[2:3], x[3:])]
    assert bits(np.concatenate(parts)) == bits(whole)


# -- how many --------------------------------------------------------------------------------------------


def test_who_decides() -> None:
    before = us.get_num_threads()
    with us.threads(3):
        assert us.get_num_threads() == 3
        with us.threads(1):
            assert us.get_num_threads() == 1
        assert us.get_num_threads() == 3
        seen: list[int] = []
        other = threading.Thread(target=lambda: seen.append(us.get_num_threads()))
        other.start()
        other.join()
        assert seen == [before]  # of the thread that says it alone
    assert us.get_num_threads() == before
    with pytest.raises(RuntimeError, match="inside"), us.threads(5):
        raise RuntimeError("inside")
    assert us.get_num_threads() == before
    try:
        us.set_num_threads(5)
        assert us.get_num_threads() == 5
        with us.threads(2):
            assert us.get_num_threads() == 2
        assert us.show_config().num_threads == 5
    finally:
        native._native.set_threads(0)


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, us.ShapeError, "set_num_threads: n must be at least 1, got 0"),
        (-1, us.ShapeError, "set_num_threads: n must be at least 1, got -1"),
        (1.5, TypeError, "set_num_threads: n must be an int, got 1.5 (float)"),
        (True, TypeError, "set_num_threads: n must be an int, got True (bool)"),
    ],
)
def test_what_is_no_number_of_threads(n: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        us.set_num_threads(n)
    assert str(caught.value) == message
    with pytest.raises(error) as caught, us.threads(n):
        pass
    assert str(caught.value) == message.replace("set_num_threads", "threads")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, 0),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "many"}, 0),  # OpenMP's to complain about
        ({"OMP_NUM_THREADS": "3", "UNSAMPLE_NUM_THREADS": "2"}, 2),
        ({"UNSAMPLE_NUM_THREADS": " 7 "}, 7),
        ({"UNSAMPLE_NUM_THREADS": "99999999"}, 1024),
    ],
)
def test_environment(environment: dict[str, str], wanted: int) -> None:
    assert num_threads_wanted(environment) == wanted


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_environment_that_says_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="UNSAMPLE_NUM_THREADS must be a positive integer, got"):
        num_threads_wanted({"UNSAMPLE_NUM_THREADS": text})


@pytest.mark.parametrize(
    ("files", "groups", "granted"),
    [
        ({"cpu.max": "50000 100000"}, "0::/", 1),
        ({"cpu.max": "250000 100000"}, "0::/", 3),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000"}, "0::/a/b", 2),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
         "4:cpu,cpuacct:/", 1),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
         "4:cpu,cpuacct:/", None),
        ({}, "0::/", None),
    ],
)  # fmt: skip
def test_quota_of_the_control_group(
    files: dict[str, str], groups: str, granted: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    own = tmp_path / "own"
    own.write_text(groups + "\n")
    assert quota(tmp_path, own) == granted


def test_no_control_groups(tmp_path: Path) -> None:
    assert quota(tmp_path, tmp_path / "missing") is None


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("tier", [] if native._native is None else native._native.tiers())
def test_environment_forces_a_tier(tier: str) -> None:
    script = (
        "import numpy as np, unsample as us; from unsample import native\n"
        "us.nearest(np.zeros(3), (2,)); print(us.show_config().tier, native._native.last_tier())"
    )
    ended = run(script, UNSAMPLE_TIER=tier)
    assert ended.stdout.split() == [tier, tier], ended.stderr


def test_a_tier_that_is_missing_is_an_error() -> None:
    ended = run("import unsample", UNSAMPLE_TIER="avx1024")
    assert ended.returncode != 0
    assert "ImportError: unsample: UNSAMPLE_TIER must be one of" in ended.stderr
    assert "got 'avx1024'" in ended.stderr
    assert run("import unsample", UNSAMPLE_TIER="avx2", UNSAMPLE_NO_NATIVE="1").returncode != 0


def test_environment_reaches_the_kernels() -> None:
    script = "import unsample as us; print(us.get_num_threads())"
    assert run(script, UNSAMPLE_NUM_THREADS="3").stdout == "3\n"
    assert run(script, UNSAMPLE_NUM_THREADS="", OMP_NUM_THREADS="5").stdout == "5\n"
    assert "UNSAMPLE_NUM_THREADS must be" in run(script, UNSAMPLE_NUM_THREADS="x").stderr


def test_without_the_compiled_module_it_says_so_once_and_works() -> None:
    script = (
        "import sys, warnings; sys.modules['unsample._native'] = None\n"
        "warnings.simplefilter('always')\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    import numpy as np, unsample as us\n"
        "    us.nearest(np.zeros(3), (2,)); us.max_pool(np.zeros(4), (2,))\n"
        "assert len(said) == 1 and said[0].category is RuntimeWarning, said\n"
        "assert 'without its compiled kernels' in str(said[0].message)\n"
        "config = us.show_config()\n"
        "assert not config.compiled and 'NOT COMPILED' in repr(config) and us.get_num_threads() == 1\n"
        "with us.threads(2): us.set_num_threads(2)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    asked = run(
        "import unsample as us; assert 'UNSAMPLE_NO_NATIVE' in repr(us.show_config())", UNSAMPLE_NO_NATIVE="1"
    )
    assert asked.returncode == 0, asked.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity as Linux has it")
def test_affinity_is_honoured() -> None:
    script = (
        "import os, unsample as us\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "print(us.get_num_threads())"
    )
    clean = {"OMP_NUM_THREADS": "", "UNSAMPLE_NUM_THREADS": ""}
    assert run(script, **clean).stdout == "1\n"


# -- fork, many threads, Ctrl-C -----------------------------------------------------------------------------


@posix
def test_a_forked_child_computes() -> None:
    """F3: after the pool has started; the child has none of its threads."""
    script = (
        "import os, numpy as np, unsample as us\n"
        "x = np.random.default_rng(0).standard_normal((4, 8, 128, 256)).astype('f4')\n"
        "us.set_num_threads(3)\n"
        "expected = us.nearest(x, 2)\n"
        "for _ in range(5):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        good = np.array_equal(us.nearest(x, 2), expected)\n"
        "        os._exit(0 if good and us.get_num_threads() == 3 else 1)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    assert np.array_equal(us.nearest(x, 2), expected)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr


@posix
def test_a_child_forked_while_kernels_run() -> None:
    script = (
        "import os, threading, numpy as np, unsample as us\n"
        "x = np.zeros((8, 8, 128, 256), 'f4'); us.set_num_threads(3); stop = threading.Event()\n"
        "def work():\n"
        "    while not stop.is_set(): us.nearest(x, 2)\n"
        "others = [threading.Thread(target=work) for _ in range(2)]\n"
        "[each.start() for each in others]\n"
        "for _ in range(20):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        us.nearest(x, 2); os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "stop.set(); [each.join() for each in others]\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_many_python_threads_at_once() -> None:
    """F1: private arrays, and shared ones that are only read."""
    shared = np.random.default_rng(2).standard_normal((4, 4, 64, 128)).astype(np.float32)
    expected = bits(us.max_pool(shared, 2))
    wrong: list[str] = []

    def work(seed: int) -> None:
        own = np.random.default_rng(seed).standard_normal((2, 4, 64, 128)).astype(np.float32)
        reference = own.repeat(2, -1).repeat(2, -2)
        for _ in range(10):
            if bits(us.max_pool(shared, 2)) != expected:
                wrong.append("shared")
            if not np.array_equal(us.nearest(own, 2), reference):
                wrong.append("private")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(64)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


@posix
@pytest.mark.parametrize("n", [1, 2])
def test_f7_ctrl_c_stops_a_long_kernel(n: int) -> None:
    """A call that runs for seconds is left soon after the signal, and the next one works."""
    x = np.zeros((1, 1, 1500, 1500), np.float32)

    def long_call() -> None:
        us.max_pool(x, 301, stride=1)  # 10**11 comparisons

    with us.threads(n):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            long_call()
        waited = time.monotonic() - start
        timer.join()
        assert waited < 5  # alone on the machine: under 0.2 s after the signal
        np.testing.assert_array_equal(us.nearest(np.arange(6.0), (2,)), np.arange(12) // 2)
        big = np.ones((4, 8, 256, 256), np.float32)
        assert us.nearest(big, 2).sum() == 4 * big.sum()


def test_a_call_leaves_no_thread_spinning() -> None:
    """CPU time of the process stands still once a call is over."""
    x = np.zeros((8, 8, 256, 256), np.float32)
    with us.threads(4):
        us.nearest(x, 2)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.25


@pytest.mark.promise("54")
def test_row_54_switches_that_change_while_they_are_read() -> None:
    """Another thread scribbles over the switches: a result or an IndexError, never a write elsewhere."""
    x = np.random.default_rng(3).standard_normal((2, 8, 127, 255)).astype(np.float32)
    values, switches = us.max_pool(x, 3, stride=2)
    good, stop = switches.taps.copy(), threading.Event()

    def scribble() -> None:
        while not stop.is_set():
            switches.taps[...] = 255
            switches.taps[...] = good

    other = threading.Thread(target=scribble)
    other.start()
    try:
        for rule in ("last", "sum", "max") * 20:
            for call in (
                lambda rule=rule: us.max_unpool(values, switches, duplicates=rule),
                lambda: us.max_gather(x, switches),
            ):
                try:
                    call()
                except IndexError:
                    continue
    finally:
        stop.set()
        other.join()
    np.testing.assert_array_equal(us.max_gather(x, us.Switches(good, switches.windows)), values)
