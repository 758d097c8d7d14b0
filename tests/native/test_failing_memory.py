"""No memory: MemoryError, inputs untouched, the next call works; the attempts are in `failing_memory.py`."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import unsample as us
from failing_memory import IN_JIT, calls
from unsample.native.module import kernels

pytestmark = [
    pytest.mark.skipif(kernels is None, reason="the definition allocates with NumPy"),
    pytest.mark.skipif(sys.platform != "linux", reason="allocations are made to fail as on Linux"),
]

SHARED = Path(__file__).parents[1] / "shared"


@pytest.fixture(scope="module")
def allocator(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("allocator") / "failing_memory.so"
    source = str(SHARED / "failing_memory.c")
    beside = ["-Wl,--no-as-needed", "-lstdc++"]  # where it finds the true operator new
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), source, *beside], check=True)
    return str(library)


def attempts(kind: str, name: str, threads: int, **environment: str) -> tuple[int, int, int]:
    """How many were right, refused with MemoryError, and neither."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", str(SHARED / "failing_memory.py"), kind, name, str(threads)],
        env={"PATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    right, refused, neither = map(int, ended.stdout.split())
    assert neither == 0, ended.stderr
    return right, refused, neither


@pytest.mark.promise("F13")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", calls())
def test_the_nth_allocation_fails(name: str, threads: int, allocator: str) -> None:
    right, refused, _ = attempts("nth", name, threads, LD_PRELOAD=allocator)
    assert right >= 1  # the attempt in which nothing failed, and where there is another way
    assert refused >= 1


@pytest.mark.promise("F13")
@pytest.mark.parametrize("name", IN_JIT)
def test_the_nth_allocation_of_a_call_inside_jit_fails(name: str, allocator: str) -> None:
    """XLA is told RESOURCE_EXHAUSTED, and the next call works."""
    pytest.importorskip("jax")
    _, refused, _ = attempts("xla", name, 1, LD_PRELOAD=allocator)
    assert refused >= 1


@pytest.mark.promise("76", "F13")
@pytest.mark.parametrize("name", ["conv", "conv_transpose", "conv_weight_grad", "one long axis"])
def test_the_address_space_is_limited(name: str) -> None:
    # Memory that is freed goes back to the system.
    settings = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    right, refused, _ = attempts("limit", name, 2, **settings)
    assert right >= 1
    assert refused >= 1


@pytest.mark.promise("76")
def test_a_result_larger_than_the_memory() -> None:
    x = np.zeros((1, 1, 1000, 1000), np.float32)
    with pytest.raises(MemoryError):
        us.nearest(x, 4000)  # 64 TB
    np.testing.assert_array_equal(us.nearest(x[..., :1, :2], 2), np.zeros((1, 1, 2, 4)))
