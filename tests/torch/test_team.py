"""Kernels on torch's own threads: those and no others, the same bits, fork, Ctrl-C, many callers."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

import program  # noqa: E402
import unsample as us  # noqa: E402
import unsample.torch as ut  # noqa: E402
from unsample.native.module import kernels  # noqa: E402
from unsample.torch import direct  # noqa: E402

START = direct.start_of_team()
if kernels is None or not START:
    pytest.skip("no kernels, or an OpenMP of another kind", allow_module_level=True)

# Prints how many threads there are after torch, after calls of ours on tensors, and on an array.
COUNTED = """
import os, torch, numpy as np, unsample as us, unsample.torch as ut
def threads(): return len(os.listdir("/proc/self/task"))
torch.set_num_threads(3)
x, w = torch.ones(2, 64, 64, 64), torch.ones(64, 64, 4, 4)
torch.ones(1000000).add_(1)
counts = [threads()]
ut.nearest(x, 2), ut.max_pool(x, 2), ut.conv_transpose(x, w, stride=2)
ut.ConvTranspose2d(64, 64, 4, stride=2)(x.requires_grad_()).sum().backward()
counts.append(threads())
us.nearest(x.detach().numpy(), 2)
counts.append(threads())
print(*counts)
"""


@pytest.fixture
def calls() -> Iterator[dict]:
    """Large calls; torch with three threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    x, w = torch.randn(2, 16, 65, 127), torch.randn(16, 24, 4, 4)
    values, switches = ut.max_pool(x, 3, stride=2)
    yield {
        "nearest": lambda: ut.nearest(x, 2),
        "max_pool": lambda: ut.max_pool(x, 3, stride=2)[0],
        "max_unpool": lambda: ut.max_unpool(values, switches, duplicates="sum"),
        "resize": lambda: ut.resize(x, (200, 301), method="cubic"),
        "conv_transpose": lambda: ut.conv_transpose(x, w, stride=2, padding=1),
        "conv": lambda: ut.conv(x, w.transpose(0, 1).contiguous()),
    }
    torch.set_num_threads(before)


def test_a_call_starts_no_threads_beside_torchs() -> None:
    after_torch, after_ours, after_array = map(int, program.ends_well("-c", COUNTED).split())
    assert after_torch == after_ours
    assert after_array > after_ours  # the pool, whose threads would have been counted


def test_the_same_bits_on_either_threads(calls: dict) -> None:
    for name, call in calls.items():
        on_team = call()
        kernels.set_team(0)
        try:
            on_pool = call()
        finally:
            kernels.set_team(START)
        with us.threads(1):
            alone = call()
        assert torch.equal(on_team, on_pool), name
        assert torch.equal(on_team, alone), name


@pytest.mark.promise("F3")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_forked_after_torch_has_worked_computes() -> None:
    """GNU's OpenMP would wait there for threads that the child has not."""
    script = (
        "import os, torch, unsample.torch as ut\n"
        "torch.set_num_threads(3)\n"
        "x = torch.randn(4, 8, 128, 256).add_(1)\n"
        "expected = ut.nearest(x, 2)\n"
        "for _ in range(5):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        os._exit(not ut.nearest(x, 2).numpy().tobytes() == expected.numpy().tobytes())\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    assert torch.equal(ut.nearest(x, 2), expected)\n"
    )
    done = program.run("-W", "ignore", "-c", script, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.promise("F7")
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_stops_a_long_call() -> None:
    x = torch.zeros(1, 1, 1500, 1500)
    with us.threads(2):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ut.max_pool(x, 301, stride=1)  # 10**11 comparisons
        assert time.monotonic() - start < 5
        timer.join()
        assert torch.equal(ut.nearest(torch.arange(6.0), (2,)), torch.arange(12) // 2)


@pytest.mark.promise("F1")
def test_many_callers_at_once(calls: dict) -> None:
    expected = {name: call() for name, call in calls.items()}
    wrong: list[str] = []

    def work() -> None:
        for name, call in calls.items():
            if not torch.equal(call(), expected[name]):
                wrong.append(name)

    callers = [threading.Thread(target=work) for _ in range(8)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert not wrong
