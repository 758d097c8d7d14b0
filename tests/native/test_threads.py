"""Threads: how many, the same bits whatever their number, fork, Ctrl-C."""

import multiprocessing
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

import program
import unsample as us
from unsample.geometry import Window
from unsample.native.module import kernels, missing
from unsample.native.threads import num_threads_wanted, quota

if kernels is None and "UNSAMPLE_NO_NATIVE" in missing:
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
        kernels.set_threads(0)


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
        ({"UNSAMPLE_NUM_THREADS": "9" * 5000}, 1024),
        ({"OMP_NUM_THREADS": "9" * 5000}, 1024),
        ({"OMP_NUM_THREADS": "9" * 20 + ",2"}, 1024),
        ({"OMP_NUM_THREADS": "0"}, 0),
        ({"OMP_NUM_THREADS": "-3"}, 0),
    ],
)
def test_environment(environment: dict[str, str], wanted: int) -> None:
    assert num_threads_wanted(environment) == wanted


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_environment_that_says_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="UNSAMPLE_NUM_THREADS must be a positive integer, got"):
        num_threads_wanted({"UNSAMPLE_NUM_THREADS": text})


@pytest.mark.promise("F31")
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
        ({"cpu.max": "50000 0"}, "0::/", None),
        ({"cpu.max": "9" * 400 + " 100000"}, "0::/", None),
        ({"cpu.max": "9" * 30 + " 100000"}, "0::/", 1024),
        ({"cpu.max": "nothing"}, "0::/", None),
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
    return program.run("-c", script, timeout=120, **environment)


@pytest.mark.promise("F30")
@pytest.mark.parametrize("tier", [] if kernels is None else kernels.tiers())
def test_environment_forces_a_tier(tier: str) -> None:
    script = (
        "import numpy as np, unsample as us; from unsample.native.module import kernels\n"
        "us.nearest(np.zeros(3), (2,)); print(us.show_config().tier, kernels.last_tier())"
    )
    ended = run(script, UNSAMPLE_TIER=tier)
    assert ended.stdout.split() == [tier, tier], ended.stderr


@pytest.mark.promise("F30")
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


@pytest.mark.promise("F31")
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


@pytest.mark.promise("F3")
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


@pytest.mark.promise("F3")
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


@pytest.mark.promise("F1")
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


@pytest.mark.promise("F7")
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


# -- how soon Ctrl-C is seen --------------------------------------------------------------------------------


def long_items() -> dict[str, tuple[Callable[[], Any], float]]:
    """Calls whose output elements take much each, and how many steps they take: vectors of eight for sums."""
    f4, eight = np.float32, 8
    x, image = np.zeros((1, 1, 1000, 1127), f4), np.zeros((1, 1, 400, 400), f4)
    windows = (
        Window(fine=3000, coarse=1501, size=1500, stride=1),
        Window(fine=64, coarse=62, size=3, stride=1),
    )
    switches = us.Switches(np.zeros((1, 1501, 62), np.uint16), windows)
    values = np.zeros((1, 1501, 62), f4)
    deep = np.zeros((1, 512, 28, 28), f4)
    pixels = np.moveaxis(np.zeros((1, 120, 120, 32), f4), -1, 1)  # channels innermost in memory
    channels = np.zeros((1, 8, 200, 200), f4)
    return {
        "max_pool": (lambda: us.max_pool(x, 1000, stride=1), 128e6),
        "max_pool, values": (lambda: us.max_pool(x, 1000, stride=1, return_switches=False), 128e6 / eight),
        "window_sum": (lambda: us.window_sum(np.zeros((1, 1, 4000, 16000), np.uint8), 4000), 64e6),
        "resize": (lambda: us.resize(np.zeros((1, 1, 40_000, 512), f4), (2, 512), method="area"), 20e6),
        "max_unpool": (lambda: us.max_unpool(values, switches), 3000 * 750 * 62),
        "max_unpool, sum": (lambda: us.max_unpool(values, switches, duplicates="sum"), 3000 * 750 * 62),
        "conv": (lambda: us.conv(deep, np.zeros((512, 512, 5, 5), f4)), 512**2 * 25 * 24**2 / eight),
        "conv, planes": (lambda: us.conv(image, np.zeros((1, 1, 101, 101), f4)), 101**2 * 300**2 / eight),
        "conv, pixels": (
            lambda: us.conv(pixels, np.zeros((32, 1, 99, 99), f4), groups=32),
            32 * 99**2 * 22**2 / eight,
        ),
        "conv_weight_grad": (
            lambda: us.conv_weight_grad(channels, np.zeros((1, 8, 140, 140), f4), 61),
            64 * 61**2 * 140**2 / eight,
        ),
    }


@pytest.mark.promise("F7")
@pytest.mark.parametrize("name", long_items())
def test_f7_work_items_are_bounded_by_their_work(name: str) -> None:
    """Between two moments at which a call can be interrupted lie at most some milliseconds of work."""
    call, steps = long_items()[name]
    with us.threads(1):
        before = kernels.pauses()
        call()
    assert steps / (kernels.pauses() - before) < 8e6


# -- the end of the process, modes of arithmetic, other people's threads -----------------------------------

ENDINGS = {
    "nearest": "x = np.ones((4, 16, 128, 256), 'f4'); call = lambda: us.nearest(x, 2)",
    "conv": (
        "x, w = np.ones((4, 16, 64, 64), 'f4'), np.ones((32, 16, 3, 3), 'f4')\ncall = lambda: us.conv(x, w)"
    ),
}


@pytest.mark.promise("F29")
@pytest.mark.parametrize("name", ENDINGS)
def test_the_interpreter_ends_while_a_daemon_thread_computes(name: str) -> None:
    script = (
        "import threading, numpy as np, unsample as us\n"
        f"{ENDINGS[name]}\n"
        "us.set_num_threads(2); turns = threading.Semaphore(0)\n"
        "def work():\n"
        "    while True: call(); turns.release()\n"
        "for _ in range(2): threading.Thread(target=work, daemon=True).start()\n"
        "for _ in range(4): turns.acquire()\n"
    )
    for _ in range(10):
        ended = run(script)
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.promise("F29")
def test_the_interpreter_ends_while_a_daemon_thread_is_in_a_kernel_that_torch_called() -> None:
    """Inside the kernel; in torch's own code such a thread ends the process until Python 3.13."""
    pytest.importorskip("torch")
    script = (
        "import threading, time, torch, unsample.torch as ut\n"
        "x = torch.zeros(1, 1, 1500, 1500)\n"
        "threading.Thread(target=lambda: ut.max_pool(x, 501, stride=1), daemon=True).start()\n"
        "time.sleep(2)\n"
    )
    ended = run(script)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.promise("F29")
def test_what_runs_at_exit_may_still_compute() -> None:
    script = (
        "import atexit\n"
        "def last():\n"
        "    import numpy as np, unsample as us\n"
        "    print(int(us.nearest(np.ones((4, 16, 128, 256), 'f4'), 2).sum()))\n"
        "atexit.register(last)\n"
        "import unsample\n"
    )
    assert run(script, UNSAMPLE_NUM_THREADS="2").stdout == "8388608\n"


@pytest.mark.promise("60")
def test_tiny_numbers_do_not_depend_on_the_thread() -> None:
    """Workers flush subnormal numbers to zero where the caller does, and not where it does not."""
    pytest.importorskip("torch")
    script = (
        "import numpy as np, torch, unsample as us\n"
        "x = np.full((1, 8, 256, 512), 1e-40, 'f4'); y = x[:, :, ::2, ::2].copy()\n"
        "w, v = np.full((8, 8, 3, 3), 1, 'f4'), np.full((8, 1, 3, 3), 1, 'f4')\n"
        "_, s = us.max_pool(x, 3, stride=2, padding=1)\n"
        "calls = {\n"
        "    'window_sum': lambda: us.window_sum(x, 2),\n"
        "    'resize': lambda: us.resize(x, (300, 700)),\n"
        "    'resize_transpose': lambda: us.resize_transpose(x, (100, 200)),\n"
        "    'conv': lambda: us.conv(x, w), 'planes': lambda: us.conv(x, v, groups=8),\n"
        "    'conv_transpose': lambda: us.conv_transpose(y, w, stride=2),\n"
        "    'conv_weight_grad': lambda: us.conv_weight_grad(x, np.ones_like(x), 3, padding=1),\n"
        "    'max_unpool': lambda: us.max_unpool(y, s, duplicates='sum'),\n"
        "}\n"
        "def zeros(name, threads):\n"
        "    with us.threads(threads): found = calls[name]()\n"
        "    return int((found.view('u4') == 0).sum())\n"
        "kept = {name: zeros(name, 4) for name in calls}\n"
        "torch.set_flush_denormal(True)\n"
        "for name in calls:\n"
        "    alone = zeros(name, 1)\n"
        "    print(name, kept[name] < alone, {zeros(name, n) for n in (2, 3, 4, 4, 4)} == {alone})\n"
        "torch.set_flush_denormal(False)\n"
        "print({name: zeros(name, 4) for name in calls} == kept)\n"
    )
    ended = run(script)
    assert ended.returncode == 0, ended.stderr
    *lines, last = ended.stdout.splitlines()
    assert last == "True"
    assert len(lines) == 8
    assert {line.split(" ", 1)[1] for line in lines} == {"True True"}, lines


def test_small_halves_are_not_flushed() -> None:
    """As float32, in which they are summed, no float16 is tiny."""
    pytest.importorskip("torch")
    script = (
        "import numpy as np, torch, unsample as us\n"
        "torch.set_flush_denormal(True)\n"
        "x, w = np.full((1, 1, 20, 20), 2**-24, 'f2'), np.full((1, 1, 1, 1), 1024, 'f2')\n"
        "print((us.conv(x, w) == 2**-14).all(), (us.window_sum(x, 2) == 2**-22).all())\n"
    )
    assert run(script).stdout == "True True\n"


@pytest.mark.promise("F4")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_of_every_kind(method: str) -> None:
    script = (
        "import multiprocessing, numpy as np, unsample as us\n"
        "if __name__ == '__main__':\n"
        "    x = np.random.default_rng(0).standard_normal((2, 8, 128, 256)).astype('f4')\n"
        "    expected = us.nearest(x, 2)\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        found = pool.starmap(us.nearest, [(x, 2)] * 4)\n"
        "    assert all(np.array_equal(each, expected) for each in found)\n"
    )
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    ended = run(script, UNSAMPLE_NUM_THREADS="2")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.promise("F5", "F20")
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted as Linux lists them")
def test_callers_at_once_share_one_pool() -> None:
    """However many threads call, the kernels add only those of one call, and no memory stays with them."""
    script = (
        "import os, resource, threading, numpy as np, unsample as us\n"
        "us.set_num_threads(3); us.set_kept_memory(0)\n"
        "x, small = np.ones((1, 8, 256, 256), 'f4'), np.ones((1, 1, 8, 8), 'f4')\n"
        "def count(): return len(os.listdir('/proc/self/task'))\n"
        "def used(): return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()\n"
        "before, seen, gate = count(), [], threading.Barrier(32)\n"
        "def work():\n"
        "    gate.wait()\n"
        "    us.nearest(x, 2); seen.append(count() - 32)\n"
        "    for _ in range(1500): us.nearest(small, 2)\n"
        "def round():\n"
        "    threads = [threading.Thread(target=work) for _ in range(32)]\n"
        "    [each.start() for each in threads]; [each.join() for each in threads]\n"
        "    return used()\n"
        "first, most = round(), max(seen)\n"
        "last = [round() for _ in range(2)][-1]\n"
        "print(most - before, last - first)\n"
    )
    # Under the address sanitizer what is freed stays in a quarantine.
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"
    ended = run(script, ASAN_OPTIONS=options)
    assert ended.returncode == 0, ended.stderr
    most, grown = map(int, ended.stdout.split())
    assert most <= 2
    assert grown < 16 << 20


@pytest.mark.promise("F28")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="before, NumPy itself loads there")
def test_a_sub_interpreter_is_refused() -> None:
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    script = (
        f"import {module} as interpreters\n"
        "code = 'try: import unsample\\nexcept ImportError: print(1, flush=True)'\n"
        "number = interpreters.create(); interpreters.run_string(number, code)\n"
    )
    ended = run(script)
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr


@pytest.mark.promise("F6")
@pytest.mark.skipif(not us.show_config().compiled, reason="there is no module")
def test_the_module_brings_no_openmp() -> None:
    """Two runtimes of OpenMP in one process are somebody else's: the module names none."""
    module = Path(kernels.__file__).read_bytes()
    assert b"libstdc++" in module or b"libc." in module  # names of libraries are found at all
    for runtime in (b"libgomp", b"libomp", b"libiomp", b"vcomp"):
        assert runtime not in module
