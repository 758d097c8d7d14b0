"""Calls of every kernel while memory runs out: run by `test_failing_memory.py`.

    python failing_memory.py nth CALL THREADS     the n-th allocation fails, for n = 1, 2, 3 ...
    python failing_memory.py limit CALL THREADS   the address space is limited, from tight to ample
    python failing_memory.py xla CALL THREADS     the n-th fails of a call inside jax.jit, for n = 1, 2, 3 ...

Every attempt but those of jax is made by a forked child: its pool has no threads yet, and no thread has kept
memory. It ends with 0 where the result is right; with 1 where MemoryError was raised, the inputs are what
they were and the same call then works; with a signal where the process died. Printed is how many were right,
refused, neither.
"""

import ctypes
import os
import resource
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import unsample as us
from unsample import cache

RIGHT, REFUSED, WRONG = 0, 1, 2


def calls() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """By name, a call that several threads share and its arrays."""
    rng = np.random.default_rng(0)

    def f4(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    x = f4(2, 8, 128, 256)
    coarse, switches = us.max_pool(x, 3, stride=2, padding=1)

    def known(taps: Any) -> us.Switches:
        return us.Switches(taps, switches.windows)

    weight, few = f4(32, 8, 3, 3), f4(2, 8, 3, 3)
    last = np.moveaxis(f4(2, 64, 96, 32), -1, 1)  # channels innermost in memory
    return {
        "nearest": (lambda x: us.nearest(x, 2), (x,)),
        "bed_of_nails": (lambda x: us.bed_of_nails(x, 2), (x,)),
        "decimate": (lambda x: us.decimate(x, 2), (x,)),
        "pixel_shuffle": (lambda x: us.pixel_shuffle(x, 2), (x,)),
        "max_pool": (lambda x: us.max_pool(x, 3, stride=2, padding=1), (x,)),
        "adaptive_max_pool": (lambda x: us.adaptive_max_pool(x, (50, 101)), (x,)),
        "max_unpool": (lambda y, taps: us.max_unpool(y, known(taps)), (coarse, switches.taps)),
        "max_gather": (lambda x, taps: us.max_gather(x, known(taps)), (x, switches.taps)),
        "window_sum": (lambda x: us.window_sum(x, 2), (x,)),
        "resize": (lambda x: us.resize(x, (200, 401), method="cubic"), (x,)),
        "resize_transpose": (lambda x: us.resize_transpose(x, (77, 211), method="area"), (x,)),
        "one long axis": (lambda x: us.resize(x, (3,), method="area"), (f4(2, 1 << 17),)),
        "conv": (lambda x, w: us.conv(x, w, padding=1), (x, weight)),
        "conv, planes": (lambda x, w: us.conv(x, w, padding=1), (x, few)),
        "conv, pixels": (lambda x, w: us.conv(x, w, groups=32), (last, f4(32, 1, 3, 3))),
        "conv_transpose": (lambda y, w: us.conv_transpose(y, w, stride=2), (x, f4(8, 32, 3, 3))),
        "conv_transpose, reflect": (
            lambda y, w: us.conv_transpose(y, w, padding=1, padding_mode="reflect"),
            (x, f4(8, 32, 3, 3)),
        ),
        "conv_weight_grad": (lambda x, y: us.conv_weight_grad(x, y, 3, padding=1), (x, f4(2, 32, 128, 256))),
        "pack_weight": (lambda y, w: us.conv_transpose(y, us.pack_weight(w), stride=2), (x, f4(8, 32, 3, 3))),
    }  # fmt: skip


def bits(result: Any) -> bytes:
    parts = result if isinstance(result, tuple) else (result,)
    arrays = (part.taps if isinstance(part, us.Switches) else part for part in parts)
    return b"".join(np.ascontiguousarray(part).tobytes() for part in arrays)


def forget_plans() -> None:
    """So that the next call makes its plan, tables and all, anew."""
    for name, module in list(sys.modules.items()):
        if name.startswith("unsample"):
            for each in vars(module).values():
                getattr(each, "cache_clear", int)()
    cache.forget()


def attempt(call: Callable[..., Any], arrays: tuple[Any, ...], expected: bytes, start: Any, stop: Any) -> int:
    given = bits(arrays)
    forget_plans()
    start()
    try:
        found = call(*arrays)
    except MemoryError:
        found = None
    finally:
        stop()
    if found is not None:
        return RIGHT if bits(found) == expected else WRONG
    return REFUSED if bits(arrays) == given and bits(call(*arrays)) == expected else WRONG


def in_a_child(*args: Any) -> int:
    child = os.fork()
    if child == 0:
        code = WRONG
        try:
            code = attempt(*args)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


IN_JIT: dict[str, Callable[..., Any]] = {
    "nearest": lambda x: us.nearest(x, 2),
    "max_pool": lambda x: us.max_pool(x, 2, return_switches=False),
    "resize": lambda x: us.resize(x, factor=1.5, method="cubic"),
    "conv_transpose": lambda x: us.conv_transpose(x, x[:, :, :3, :3], stride=2),
}


def in_jit(name: str, n: int) -> int | None:
    """What comes of a size that no call had before, so that all is made anew; None where nothing failed."""
    import jax

    allocator = ctypes.CDLL(None)
    x = np.random.default_rng(n).standard_normal((8, 8, 20 + n, 30 + n)).astype(np.float32)
    call = jax.jit(IN_JIT[name]).lower(x).compile()
    allocator.arm(n)
    try:
        found = np.asarray(call(x))
    except jax.errors.JaxRuntimeError as error:
        found = str(error)
    failed = allocator.fired()
    allocator.arm(0)
    if not failed:
        return None
    right = np.asarray(call(x))
    if not np.allclose(right, IN_JIT[name](x), atol=1e-4):
        return WRONG
    if isinstance(found, str):
        return REFUSED if found.startswith("RESOURCE_EXHAUSTED: unsample: no memory") else WRONG
    return RIGHT if np.array_equal(found, right) else WRONG


def main(kind: str, name: str, threads: int) -> None:
    if kind == "xla":
        IN_JIT[name](np.ones((8, 8, 9, 9), np.float32))  # loads the module
        in_jit(name, 0)  # and jax
        assert ctypes.CDLL(None).watch(0) >= 1
        outcomes = Counter(iter(map(partial(in_jit, name), range(1, 1000)).__next__, None))
        print_counts(outcomes)
        return
    call, arrays = calls()[name]
    us.set_num_threads(threads)
    results: list[bytes] = []
    # On a thread that ends, with all that it has kept.
    first = threading.Thread(target=lambda: results.append(bits(call(*arrays))))
    first.start()
    first.join()
    us.set_kept_memory(0)
    expected, seen = results[0], Counter[int]()
    if kind == "nth":
        allocator = ctypes.CDLL(None)
        assert allocator.watch(1) >= 2
        for n in range(1, 1000):
            reached = os.pipe()

            # The child tells whether an allocation failed at all.
            def stop(end: int = reached[1]) -> None:
                os.write(end, bytes([allocator.fired()]))
                allocator.arm(0)

            code = in_a_child(call, arrays, expected, lambda n=n: allocator.arm(n), stop)
            os.close(reached[1])
            failed = os.read(reached[0], 1)
            os.close(reached[0])
            seen[code] += 1
            if code == RIGHT and failed == b"\0":
                break
    else:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        for extra in range(0, 48 << 20, 3 << 19):

            def start(extra: int = extra) -> None:
                us.nearest(
                    np.zeros((4, 8, 128, 256), np.float32), 2
                )  # threads are there, their memory is not
                used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (used + extra, most))

            def stop() -> None:
                resource.setrlimit(resource.RLIMIT_AS, (most, most))

            seen[in_a_child(call, arrays, expected, start, stop)] += 1
    print_counts(seen)


def print_counts(seen: Counter[Any]) -> None:
    right, refused = seen[RIGHT], seen[REFUSED]
    sys.stdout.write(f"{right} {refused} {seen.total() - right - refused}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
