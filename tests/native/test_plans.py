"""No number makes a kernel read or write outside its arrays, whatever brings the number.

python tests/native/test_plans.py 20000        as many calls of the compiled module
"""

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import program
import unsample as us
from unsample.native.module import kernels

kernels = kernels
if kernels is None:
    pytest.skip("nothing is compiled; test_kernels.py fails where it should be", allow_module_level=True)

REFUSED = (ValueError, TypeError, MemoryError, OverflowError)
MOVES = ("nearest", "nails", "decimate", "shuffle", "unshuffle")


# -- the compiled module itself, in a process of its own -----------------------------------------------------


def number(rng: random.Random) -> int:
    """Mostly small, sometimes as large as a number can be."""
    if rng.random() < 0.6:
        return rng.randint(0, 5)
    power = 2 ** rng.randint(0, 63)
    return rng.choice([power, power - 1, power + 1, -power, 2**63 - 1, -(2**63)])


def attempt(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except REFUSED:
        return None


def bytes_of(rng: random.Random, elements: int, width: int) -> np.ndarray:
    """Memory that fits, or sometimes does not."""
    fits = 0 <= elements <= 10_000 and rng.random() < 0.9
    return np.zeros((elements if fits else rng.randint(0, 40)) * width, np.uint8)


def windows_call(rng: random.Random) -> None:
    axes = []
    for _ in range(rng.choice([1, 1, 2, 3, 64])):
        fine, coarse, size = rng.randint(0, 6), rng.randint(0, 4), number(rng)
        axis = [fine, coarse, size, number(rng), number(rng), rng.choice([0, 0, number(rng)])]
        if rng.random() < 0.3:  # as of `nearest` and its kin
            axis = (
                [coarse * 2, coarse, 2, 2, 1, 0] if rng.random() < 0.5 else [coarse * 2, coarse, 1, 2, 1, 0]
            )
        if rng.random() < 0.2:
            axis += [number(rng) if rng.random() < 0.1 else rng.randint(0, fine) for _ in range(2 * coarse)]
        if rng.random() < 0.1:
            axis[rng.randrange(len(axis))] = number(rng)
        axes.append(axis)
    planes, channels = rng.choice([1, 2, number(rng)]), rng.choice([1, 1, number(rng)])
    plan = attempt(kernels.Plan, planes, axes, channels, rng.random() < 0.5, rng.random() < 0.5, True)
    if plan is None:
        return
    fine = coarse = planes * channels
    for axis in axes:
        fine, coarse = fine * axis[0], coarse * axis[1]
    dtype, width, tap = rng.randint(-1, 12), rng.choice([1, 2, 4, 8, 16, number(rng)]), rng.choice([1, 2, 4])
    real = width if width in (1, 2, 4, 8, 16) else 1
    x, y = bytes_of(rng, fine, real), bytes_of(rng, coarse, real)
    taps = np.frombuffer(rng.randbytes(4 * len(y)), np.uint8)[: len(y) // real * tap].copy()
    move = rng.choice(MOVES)
    up = move in ("nearest", "nails")
    attempt(getattr(kernels, move), plan, y if up else x, x.copy(), width)
    attempt(getattr(kernels, move), plan, x, y, width)
    attempt(kernels.pool, plan, x, y, rng.choice([None, taps]), dtype, rng.choice([tap, number(rng)]))
    attempt(kernels.unpool, plan, y, taps, x, rng.choice([dtype, width]), tap, rng.randint(0, 2))
    attempt(kernels.gather, plan, x, taps, y, width, rng.choice([tap, number(rng)]))
    attempt(kernels.window_sum, plan, x, y, dtype, width)


def resize_call(rng: random.Random) -> None:
    n, m = rng.randint(0, 5), rng.randint(0, 5)
    first = [min(i, 4) for i in range(m + 1)]
    sources = [rng.randrange(max(n, 1)) for _ in range(first[-1])]
    if rng.random() < 0.2 and sources:
        sources[0] = number(rng)
    sizes = (n, m) if rng.random() < 0.8 else (number(rng), number(rng))
    terms = attempt(kernels.Terms, *sizes, first, sources, [1.0] * len(sources))
    if terms is None:
        return
    outer, inner = rng.choice([1, number(rng)]), rng.choice([1, number(rng)])
    width = rng.choice([4, 8, 1, number(rng)])
    x, out = (bytes_of(rng, outer * each * inner, 8) for each in (n, m))
    attempt(kernels.resize, terms, x, out, outer, inner, width, rng.random() < 0.5)


def convolution_call(rng: random.Random) -> None:
    rank, transposed = rng.choice([1, 1, 2, 3]), rng.random() < 0.5
    groups, batch = rng.choice([1, 1, 3, number(rng)]), rng.choice([1, 2, number(rng)])
    inputs, outputs = (rng.choice([1, 3, 6, 12, number(rng)]) for _ in range(2))
    fine, coarse, size = ([rng.randint(low, 4) for _ in range(rank)] for low in (0, 0, 1))
    steps = [[rng.choice([1, 2, number(rng)]), rng.choice([1, number(rng)])] for _ in range(rank)]
    before = [rng.choice([0, 1, step[1], number(rng)]) for step in steps]
    sides = (coarse, fine) if transposed else (fine, coarse)
    axes = [
        [sides[0][a], sides[1][a], size[a], *steps[a], before[a], rng.choice([0, 0, 1, 2, 3, number(rng)])]
        for a in range(rank)
    ]
    shapes = [(batch, inputs, *sides[0]), (batch, outputs, *sides[1])]
    if not all(0 <= extent <= 100 for shape in shapes for extent in shape):
        shapes = [(1, 1, *sides[0]), (1, 1, *sides[1])]
    x, out = (np.zeros(shape, np.float32) for shape in shapes)
    strides = [[each // 4 for each in array.strides] for array in (x, out)]
    for each in strides:
        if rng.random() < 0.3:
            each[rng.randrange(len(each))] = number(rng)
    kind = rng.choice([kernels.Conv, kernels.WeightGrad])
    made = attempt(
        kind,
        rng.choice([0, 0, 0, number(rng) % 7 - 1]),
        transposed,
        batch,
        groups,
        inputs,
        outputs,
        axes,
        *strides,
    )
    if made is None:
        return
    count = inputs * (outputs // groups) * int(np.prod(size))
    weight = bytes_of(rng, count, 4)
    if kind is kernels.Conv:
        attempt(made.run, x, weight, rng.choice([None, np.zeros(outputs % 100, np.float32)]), out)
    else:
        attempt(made.run, x, out, weight)


def hostile_calls(count: int, seed: int) -> None:
    rng = random.Random(seed)
    tiers = kernels.tiers()
    for _ in range(count):
        kernels.use_tier(rng.choice(tiers))
        rng.choice([windows_call, windows_call, convolution_call, resize_call])(rng)


@pytest.mark.promise("3", "7", "75")
def test_the_compiled_module_refuses_what_is_no_plan() -> None:
    program.ends_well(__file__, "3000")


@pytest.mark.promise("3", "75")
def test_a_plan_that_breaks_the_contract_is_refused() -> None:
    good = [4, 2, 2, 2, 1, 0]
    kernels.Plan(1, [good], 1, False, True, True, False)
    for place, value in [
        (0, -1),
        (1, -1),
        (2, 0),
        (3, 0),
        (4, 0),
        (0, 2**62),
        (2, 2**61),
        (3, 2**61),
        (5, 2**62),
    ]:
        axis = [*good]
        axis[place] = value
        with pytest.raises(ValueError, match=r"axis|windows"):
            kernels.Plan(1, [axis], 1, False, True, True, False)
    long = [2**20, 2**20, 1, 1, 1, 0]
    for planes, channels, last in (
        (2**30, 1, False),
        (1, 2**30, True),
    ):  # each is small, their product is not
        with pytest.raises(ValueError, match="reach too far"):
            kernels.Plan(planes, [long, long], channels, False, True, True, last)
    for table in ([3, 0, 1, 1], [0, 4, 1, 1], [0, 0, -1, 1], [0, -1, 1, 1]):
        with pytest.raises(ValueError, match="no axis has these windows"):
            kernels.Plan(1, [[4, 2, 2, 1, 1, 0, *table]], 1, False, False, False, False)


def test_windows_of_no_block_are_not_moved() -> None:
    plan = kernels.Plan(1, [[4, 2, 2, 2, 1, 1]], 1, False, True, True, False)
    with pytest.raises(ValueError, match="no kernel moves like this"):
        kernels.nearest(plan, np.zeros(2, np.uint8), np.zeros(4, np.uint8), 1)
    with pytest.raises(ValueError, match="no kernel sums like this"):
        kernels.window_sum(plan, np.zeros(4), np.zeros(2), 1, 8)


def test_a_convolution_reads_memory_of_its_own_strides_alone() -> None:
    made = kernels.Conv(1, False, 1, 1, 1, 1, [[4, 4, 1, 1, 1, 0, 0]], [4, 4, 2], [4, 4, 1])
    x, weight, out = np.arange(8.0), np.ones(1), np.zeros((1, 1, 4))
    made.run(x[None, None, ::2], weight, None, out)
    np.testing.assert_array_equal(out[0, 0], [0, 2, 4, 6])
    with pytest.raises(ValueError, match="strides of the plan"):
        made.run(x[None, None, :4], weight, None, out)


# -- through the functions of the library --------------------------------------------------------------------


ROW = np.arange(5.0)[None]
PLANE = np.ones((1, 2, 5, 7), np.float32)
FAR: dict[str, tuple[Callable[[], Any], Any]] = {
    "pool of one window": (
        lambda: us.max_pool(
            np.concatenate([np.full(8, 777.0), np.full(5, -5.0)])[8:], (5,), stride=2**63 - 1, padding=2
        )[0],
        [-5.0],
    ),
    "pool of a plane": (
        lambda: us.max_pool(np.full((1, 1, 5, 7), -5.0), 5, padding=2, stride=2**63 - 1)[0],
        [[[[-5.0]]]],
    ),
    "stride 2^30": (
        lambda: us.conv(PLANE, np.ones((3, 2, 3, 3), "f4"), stride=2**30),
        np.full((1, 3, 1, 1), 18.0),
    ),
    "stride 2^31": (
        lambda: us.conv(PLANE, np.ones((3, 2, 3, 3), "f4"), stride=2**31),
        np.full((1, 3, 1, 1), 18.0),
    ),
    "dilation up": (
        lambda: us.conv_transpose(ROW, np.ones((1, 64, 3)), padding=2**40, dilation=2**40),
        np.tile(ROW, (64, 1)),
    ),
    "dilation down": (
        lambda: us.conv(ROW, np.ones((64, 1, 3)), padding=2**40, dilation=2**40),
        np.tile(ROW, (64, 1)),
    ),
    "dilation, one channel": (lambda: us.conv(ROW, np.ones((1, 1, 3)), padding=2**40, dilation=2**40), ROW),
    "one pixel": (
        lambda: us.conv_transpose(np.ones((1, 3, 1, 1), "f4"), np.ones((3, 64, 3, 3), "f4"), stride=4096),
        np.full((1, 64, 3, 3), 3.0),
    ),
    "one sample": (
        lambda: us.conv_transpose(np.ones((1, 1, 1)), np.ones((1, 1, 1)), stride=10**7),
        [[[1.0]]],
    ),
    "no zero is multiplied": (
        lambda: us.conv_transpose(np.ones((1, 1)), np.array([[[np.inf, 1.0]]]), stride=2),
        [[np.inf, 1.0]],
    ),
}


@pytest.mark.promise("3", "7")
@pytest.mark.parametrize("name", FAR)
def test_far_steps_give_the_result_of_plain_loops(name: str, tier: str) -> None:
    call, expected = FAR[name]
    np.testing.assert_array_equal(call(), expected)


@pytest.mark.promise("3")
def test_far_windows_cost_what_their_output_does() -> None:
    """Two pixels far apart: one table entry for each element between them were gigabytes."""
    script = """if True:
        import resource, numpy as np, unsample as us
        def grown(call):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            size = call().nbytes
            return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, size / 2**20
        ones = lambda *shape: np.ones(shape, np.float32)
        for call in (
            lambda: us.conv_transpose(ones(1, 3, 1, 1), ones(3, 64, 3, 3), stride=4096),
            lambda: us.conv_transpose(ones(1, 1, 1), ones(1, 1, 1), stride=10**7),
            lambda: us.conv_transpose(ones(1, 3, 1, 2), ones(3, 4, 3, 3), stride=(1, 2**20)),
            lambda: us.conv_transpose(ones(1, 1, 2, 2), ones(1, 1, 3, 3), stride=2**10),
            lambda: us.conv_transpose(ones(1, 1, 2), ones(1, 9, 3), stride=10**6),
            lambda: us.conv(ones(1, 1, 5), ones(64, 1, 3), padding=2**40, dilation=2**40),
        ):
            memory, result = grown(call)
            assert memory < 60 + 3 * result, (memory, result)
    """
    program.ends_well("-c", script)


if __name__ == "__main__":
    for seed in range(int(sys.argv[1]) // 1000):
        hostile_calls(1000, seed)
