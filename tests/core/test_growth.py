"""Time and memory against size: cost follows the elements that exist, and what is kept has a bound in bytes.

Time is counted in lines of Python that run, memory in bytes that NumPy and Python allocate at their peak: no
clock is asked. Every row is a call at a size n and at 16 n.
"""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import unsample as us
from backends import BACKENDS, Backend
from samples import SAMPLES, Sample
from unsample import cache
from unsample.geometry import AdaptiveWindow, Window, window
from unsample.geometry import plan as plans
from unsample.geometry.window import cached_axis_taps
from unsample.interop import switch_indices
from unsample.native import conv as conv_kernels
from unsample.native import module, moves
from unsample.native.module import kernels
from unsample.ops import conv, nails, nearest, pool, resize, shuffle

Call = Callable[[int], Any]


def forget() -> None:
    """Let go of all that earlier calls left."""
    cache.forget()
    plans._LAST.clear()
    for made in (
        plans._cached,
        moves.compiled_plan,
        moves._light_passes,
        conv_kernels.contiguous,
        conv_kernels._small,
    ):
        made.cache_clear()


def cost(call: Call, n: int) -> tuple[int, int]:
    """Lines that run and bytes at the peak, nothing known from earlier calls."""
    forget()
    lines = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call(n)
    finally:
        sys.settrace(before)
    tracemalloc.start()
    try:
        call(n)
        return lines, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def warm(call: Call, n: int) -> None:
    """What is imported, compiled or looked up once counts for no size."""
    call(n)


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


# -- plans: neither time nor memory -----------------------------------------------------------------------

PLANS: dict[str, Call] = {
    "conv": lambda n: conv.plan_conv((1, 1, n), (1, 1, 3), stride=2).multiply_adds,
    "conv circular": lambda n: (
        conv.plan_conv((1, 1, 3), (1, 1, 3), padding=n, padding_mode="circular").multiply_adds
    ),
    "conv of a large kernel": lambda n: conv.plan_conv((1, 1, n), (1, 1, n), padding=n // 2).multiply_adds,
    "conv_transpose": lambda n: conv.plan_conv_transpose((1, 1, n), (1, 1, 3), stride=n).multiply_adds,
    "conv_weight_grad": lambda n: conv.plan_conv_weight_grad((1, 1, n), (1, 1, n - 2), 3).multiply_adds,
    "max_pool": lambda n: pool.plan_max_pool((n,), (2,)),
    "max_pool of a large kernel": lambda n: pool.plan_max_pool((n,), (n,), stride=1, padding=n // 2),
    "max_pool with dilation": lambda n: pool.plan_max_pool((n,), (3,), stride=1, padding=n, dilation=n),
    "adaptive_max_pool": lambda n: pool.plan_adaptive_max_pool((3,), (n,)).kernel_size,
    "adaptive_max_pool of many": lambda n: pool.plan_adaptive_max_pool((n,), (7,)).kernel_size,
    "nearest": lambda n: nearest.plan_nearest((n,), (n,)),
    "window_sum": lambda n: nearest.plan_window_sum((n * n,), (n,)),
    "bed_of_nails": lambda n: nails.plan_bed_of_nails((n,), (n,)),
    "decimate": lambda n: nails.plan_decimate((n * n,), (n,)),
    "pixel_shuffle": lambda n: shuffle.plan_pixel_shuffle((n, 5), (n,)),
    "pixel_unshuffle": lambda n: shuffle.plan_pixel_unshuffle((1, n), (n,)),
    "resize": lambda n: resize.plan_resize((n,), (n + 1,)),
    "resize_transpose": lambda n: resize.plan_resize_transpose((n,), (n + 1,)),
    "meetings of stride and dilation": lambda n: Window(n, n, n, n + 1, n + 2, n // 2).meetings,
}


@pytest.mark.promise("76")
@pytest.mark.parametrize("name", PLANS)
def test_a_plan_costs_the_same_for_every_size(name: str) -> None:
    call = PLANS[name]
    warm(call, 1000)
    (lines, size), (more, larger) = cost(call, 1024), cost(call, 2**20)
    # Euclid's algorithm takes as many steps as the numbers have digits.
    assert more <= lines + 200
    assert larger <= size + 4000


# -- calls whose numbers grow and whose elements do not ----------------------------------------------------

NUMBERS: dict[str, Call] = {
    "conv, stride": lambda n: us.conv(ones(1, 1, 5), ones(1, 1, 3), stride=n),
    "conv, dilation": lambda n: us.conv(ones(1, 1, 5), ones(1, 1, 3), padding=n, dilation=n),
    "conv_transpose, stride": lambda n: us.conv_transpose(ones(1, 1, 1), ones(1, 1, 3), stride=n),
    "conv_transpose, dilation": lambda n: us.conv_transpose(
        ones(1, 1, 5), ones(1, 1, 3), padding=n, dilation=n
    ),
    "conv_weight_grad, stride": lambda n: us.conv_weight_grad(ones(1, 1, 5), ones(1, 1, 1), 3, stride=n),
    "max_pool, stride": lambda n: us.max_pool(ones(5), (3,), stride=n),
    "max_pool, kernel": lambda n: us.max_pool(ones(5), (2 * n,), padding=(n,)),
    "max_pool, kernel that overlaps": lambda n: us.max_pool(ones(5), (2 * n,), stride=1, padding=(n,)),
    "max_pool, dilation": lambda n: us.max_pool(ones(5), (3,), stride=1, padding=(n,), dilation=n),
    "max_unpool, kernel": lambda n: us.max_unpool(ones(1), us.max_pool(ones(5), (2 * n,), padding=(n,))[1]),
    "nearest of nothing": lambda n: us.nearest(zeros(0, 5), (n,)),
    "window_sum of nothing": lambda n: us.window_sum(zeros(0, 5 * n), (n,)),
    "bed_of_nails of nothing": lambda n: us.bed_of_nails(zeros(0, 5), (n,)),
    "decimate": lambda n: us.decimate(ones(5), (n,)),
    "pixel_shuffle of nothing": lambda n: us.pixel_shuffle(zeros(1, 0, 5, 7), n),
    "pixel_unshuffle of nothing": lambda n: us.pixel_unshuffle(zeros(1, 0, 5 * n, 7 * n), n),
    "adaptive_max_pool of nothing": lambda n: us.adaptive_max_pool(zeros(0, 3), (n,)),
    "resize of nothing": lambda n: us.resize(zeros(0, 3), (n,)),
    "resize of an empty axis": lambda n: us.resize(zeros(1, 0, n), (0, 5), antialias=True),
    "resize_transpose of nothing": lambda n: us.resize_transpose(zeros(0, n), (3,)),
    "conv of no channels": lambda n: us.conv(zeros(1, 0, 5), zeros(2, 0, n), padding=n // 2),
    "conv of no batch": lambda n: us.conv(zeros(0, 1, n), ones(1, 1, n), padding=n // 2),
    "conv_transpose of no batch": lambda n: us.conv_transpose(zeros(0, 1, 1), ones(1, 1, n)),
}


@pytest.fixture(params=["kernels", "definition"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "definition":
        monkeypatch.setattr(module, "kernels", None)
    elif kernels is None:
        pytest.skip("nothing is compiled")
    yield request.param
    cache.forget()


@pytest.mark.promise("33", "76")
@pytest.mark.parametrize("name", NUMBERS)
def test_a_call_costs_what_its_elements_do(name: str, way: str) -> None:
    call = NUMBERS[name]
    warm(call, 64)
    (lines, size), (more, larger) = cost(call, 256), cost(call, 4096)
    assert more <= 1.5 * lines + 200
    # Arrays of a kernel of n elements are the caller's own.
    assert larger <= size + 8 * 4096 * 4


# -- calls whose elements grow ------------------------------------------------------------------------------

ELEMENTS: dict[str, Call] = {
    "conv": lambda n: us.conv(ones(1, 2, n), ones(2, 2, 3)),
    "conv circular": lambda n: us.conv(ones(1, 1, 3), ones(1, 1, 3), padding=n, padding_mode="circular"),
    "conv replicate": lambda n: us.conv(ones(1, 1, 3), ones(1, 1, 3), padding=n, padding_mode="replicate"),
    "conv_transpose": lambda n: us.conv_transpose(ones(1, 2, n), ones(2, 2, 3), stride=2),
    "conv_transpose circular": lambda n: us.conv_transpose(
        ones(1, 1, 2 * n + 1), ones(1, 1, 3), padding=n, padding_mode="circular"
    ),
    "conv_weight_grad": lambda n: us.conv_weight_grad(ones(1, 2, n), ones(1, 2, n - 2), (3,)),
    "max_pool": lambda n: us.max_pool(ones(n), (3,), stride=1),
    "adaptive_max_pool": lambda n: us.adaptive_max_pool(ones(n), (n // 2 + 1,)),
    "adaptive_max_pool of few": lambda n: us.adaptive_max_pool(ones(3), (n,)),
    "max_gather": lambda n: us.max_gather(ones(n), us.max_pool(ones(n), (3,))[1]),
    "max_unpool": lambda n: us.max_unpool(ones(n), us.max_pool(ones(3 * n), (3,))[1]),
    "nearest": lambda n: us.nearest(ones(n), (3,)),
    "window_sum": lambda n: us.window_sum(ones(3 * n), (3,)),
    "bed_of_nails": lambda n: us.bed_of_nails(ones(n), (3,)),
    "decimate": lambda n: us.decimate(ones(n), (3,)),
    "pixel_shuffle": lambda n: us.pixel_shuffle(ones(3, n), (3,)),
    "pixel_unshuffle": lambda n: us.pixel_unshuffle(ones(1, 3 * n), (3,)),
    "resize": lambda n: us.resize(ones(n), (n + 1,)),
    "resize cubic": lambda n: us.resize(ones(n), (n // 2,), method="cubic"),
    "resize area": lambda n: us.resize(ones(n), (3,), method="area"),
    "resize of one": lambda n: us.resize(ones(1), (n,), method="nearest"),
    "resize_transpose": lambda n: us.resize_transpose(ones(n), (n + 1,)),
    "matrix of nearest": lambda n: us.matrix(us.nearest, (n,), (2,)),
    "matrix of window_sum": lambda n: us.matrix(us.window_sum, (2 * n,), (2,)),
    "matrix of conv": lambda n: us.matrix(us.conv, (1, 1, n), ones(1, 1, 3)),
    "matrix of resize": lambda n: us.matrix(us.resize, (n,), (2 * n,)),
    "taps of adaptive windows": lambda n: cached_axis_taps(AdaptiveWindow(n, n // 3)),
}


@pytest.mark.promise("76")
@pytest.mark.parametrize("name", ELEMENTS)
def test_python_walks_over_taps_and_memory_over_elements(name: str, way: str) -> None:
    call = ELEMENTS[name]
    warm(call, 50)
    (lines, size), (more, larger) = cost(call, 1000), cost(call, 16_000)
    assert more <= 1.5 * lines + 200
    assert larger <= 16 * size + 100_000


@pytest.mark.parametrize("name", ["pixel_shuffle of nothing", "nearest of nothing", "max_pool, kernel"])
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_other_libraries_cost_no_more(name: str, library: str) -> None:
    """The definition in torch's functions, and jax's programs of it."""
    if library == "torch":
        make: Callable[[Any], Any] = pytest.importorskip("torch").from_numpy
    else:
        make = pytest.importorskip("jax").numpy.asarray
    functions: dict[str, Call] = {
        "pixel_shuffle of nothing": lambda n: us.pixel_shuffle(make(zeros(1, 0, 5, 7)), n),
        "nearest of nothing": lambda n: us.nearest(make(zeros(0, 5)), (n,)),
        "max_pool, kernel": lambda n: us.max_pool(make(ones(5)), (2 * n,), padding=(n,)),
    }
    call = functions[name]
    warm(call, 64)
    (lines, _), (more, _) = cost(call, 256), cost(call, 4096)
    assert more <= 2 * lines + 500


# -- results without elements --------------------------------------------------------------------------------


@pytest.mark.promise("33")
def test_huge_factors_of_nothing() -> None:
    for factor in (2**16, 2**24):
        assert us.pixel_shuffle(zeros(1, 0, 5, 7), factor).shape == (1, 0, 5 * factor, 7 * factor)
    with pytest.raises(OverflowError):
        us.pixel_shuffle(zeros(1, 0, 5, 7), 2**62)
    for factor in (2**16, 2**32, 2**62):
        with pytest.raises(us.ShapeError, match=f"divisible by {factor**2} "):
            us.pixel_shuffle(zeros(1, 4, 5, 7), factor)


@pytest.mark.promise("76")
@pytest.mark.parametrize("size", [2**44, 2**46])
def test_more_than_memory_is_a_memory_error(size: int) -> None:
    for call in (
        lambda: us.adaptive_max_pool(np.arange(3.0), (size,)),
        lambda: us.nearest(np.arange(1.0), (size,)),
        lambda: us.bed_of_nails(np.arange(1.0), (size,)),
        lambda: moves.plan_arguments(pool.plan_adaptive_max_pool((3,), (size,))),
    ):
        with pytest.raises(MemoryError):
            call()
    with pytest.raises(us.ShapeError, match="window axes of indices"):
        us.Switches.from_torch(np.zeros(3, np.int64), (3,), output_size=size)
    assert us.nearest(np.arange(2.0), (2,)).tolist() == [0, 0, 1, 1]


@pytest.mark.promise("31")
@pytest.mark.parametrize("convention", ["half_pixel", "align_corners", "asymmetric", "legacy"])
def test_one_element_becomes_a_million(convention: str) -> None:
    for n, m in ((1, 10**6), (2, 200_001), (3, 10**5)):
        x = np.arange(n, dtype=np.float32)
        for method in ("nearest",) if convention == "legacy" else ("nearest", "linear"):
            y = us.resize(x, (m,), method=method, convention=convention)
            assert y.shape == (m,)
            assert (np.diff(y) >= 0).all()
            assert y[0] == 0
            assert y[-1] == n - 1
        back = us.resize_transpose(np.ones(m, np.int32), (n,), method="nearest", convention=convention)
        assert back.sum() == m
    assert (us.nearest(ones(1), (10**6,)) == 1).all()


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize(
    ("method", "antialias"),
    [("nearest", False), ("linear", False), ("cubic", False), ("area", False), ("linear", True)],
)
def test_long_axes_are_made_of_blocks_bit_for_bit(
    method: str, antialias: bool, up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for n, m in ((500, 300), (300, 500), (7, 900), (900, 7)):
        for more in ((), (3,)):
            x = rng.standard_normal((2, n, *more)).astype(np.float32)
            f = us.resize if up else us.resize_transpose
            size = (m, *more)
            expected = f(x, size, method=method, antialias=antialias)
            with monkeypatch.context() as context:
                context.setattr("unsample.geometry.resample.BLOCK", 64)
                forget()
                np.testing.assert_array_equal(f(x, size, method=method, antialias=antialias), expected)
            forget()


def test_closed_forms_are_those_of_a_count() -> None:
    rng = np.random.default_rng(0)
    for _ in range(400):
        fine, coarse, size, stride, dilation = (int(rng.integers(1, n)) for n in (10, 9, 8, 13, 10))
        before = int(rng.integers(-3, 20))
        w = Window(fine, coarse, size, stride, dilation, before)
        met = {(o, t) for o in range(coarse) for t in range(size) if 0 <= w.start(o) + t * dilation < fine}
        assert w.meetings == len(met)
        assert {t for _, t in met} <= set(w.taps_that_meet())
        assert [(tap.t, len(tap.coarse)) for tap in w.axis_taps()] == [
            (t, sum(u == t for _, u in met)) for t in sorted({t for _, t in met})
        ]
        if before >= 0:
            empty = [o for o in range(coarse) if o not in {o for o, _ in met}]
            assert min(switch_indices.first_empty(w), coarse) == min(empty, default=coarse)
        a = AdaptiveWindow(fine * 3, coarse * 2)
        lengths = [a.length(o) for o in range(a.coarse)]
        assert (a.size, a.meetings, a.lengths().tolist()) == (max(lengths), sum(lengths), lengths)
        assert a.starts().tolist() == [a.start(o) for o in range(a.coarse)]


@pytest.mark.parametrize("backend", BACKENDS[:3], ids=lambda each: each.name)
@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_padding_that_repeats_an_axis_is_the_same_in_one_call(
    mode: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part with repeated positions, or parts without, where either has to be chosen."""
    monkeypatch.setattr(module, "kernels", None)
    rng = np.random.default_rng(0)
    side, few = (6, 2) if backend.name == "jax" else (37, 16)  # which compiles a program for every part
    y, w = rng.standard_normal((1, 2, 2 * side + 1, 4)), rng.standard_normal((2, 3, 3, 2))
    found = []
    for most in (10**9, few):
        monkeypatch.setattr(window, "MOST_PARTS", most)
        cache.forget()
        plan = conv.plan_conv_transpose(
            y.shape, w.shape, padding=((side, side - 1), (1, 1)), padding_mode=mode
        )
        assert any(tap.repeats for tap in plan.taps()) == (most == few)
        up = conv.conv_transpose_definition(backend.array(y), backend.array(w), None, plan, 1)
        back = plan_turned(plan)
        down = conv.conv_definition(up, backend.array(w), None, back, 1)
        found.append((backend.numpy(up), backend.numpy(down)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    cache.forget()


def plan_turned(plan: plans.Plan) -> plans.Plan:
    return replace(plan, input_shape=plan.output_shape, output_shape=plan.input_shape)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_matrix_from_taps_is_that_of_one_column_at_a_time(sample: Sample) -> None:
    for f, shape, args, kwargs in (
        (sample.pair.down, sample.shape, sample.args, sample.kwargs),
        (sample.pair.up, sample.coarse_shape, *sample.up),
    ):
        made = us.matrix(f, shape, *args, **kwargs)
        columns = us.matrix(lambda x, f=f, args=args, kwargs=kwargs: f(x, *args, **kwargs), shape)
        assert made.shape == columns.shape
        for part in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(made, part), getattr(columns, part))


# -- what is kept --------------------------------------------------------------------------------------------


@pytest.mark.promise("F21")
def test_any_lengths_of_audio_keep_no_more_than_the_bound() -> None:
    cache.forget()
    for i in range(30):
        us.resize(ones(1, 100_000 + i), (150_000,))
        assert cache.held() <= cache.MOST
    assert cache.held() >= cache.MOST // 2  # those used last are there
    program = """
import resource
import numpy as np, unsample as us
us.set_kept_memory(0)
us.resize(np.ones((1, 100_000), "f4"), (150_000,))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for i in range(60):
    us.resize(np.ones((1, 100_000 + i), "f4"), (150_000,))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 250_000  # kilobytes; 60 lengths are 800 MB where they are all kept


@pytest.mark.promise("F21")
def test_random_shapes_of_every_operation_keep_no_more_than_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "MOST", 400_000)
    monkeypatch.setattr(cache, "LARGEST", 100_000)
    cache.forget()
    rng = np.random.default_rng(0)
    most = 0
    for _ in range(150):
        for call in ELEMENTS.values():
            call(int(rng.integers(50, 400)))
            most = max(most, cache.held())
            assert cache.held() <= cache.MOST
    assert most > cache.MOST // 2
    assert cache.held() == sum(entry[1] for entry in cache._entries.values())


def test_what_was_used_least_recently_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 20_000)
    monkeypatch.setattr(cache, "LARGEST", 10_000)
    cache.forget()
    for name in "abcd":
        cache.keep(name, name.upper(), 3000)
    assert cache.find("a") == "A"
    cache.keep("e", "E", 6000)
    assert [cache.find(name) for name in "abcde"] == ["A", None, None, "D", "E"]
    assert cache.keep("large", "LARGE", 10_001) == "LARGE"
    assert cache.find("large") is None
    cache.keep("a", "again", 3000)
    assert cache.find("a") == "A"
    cache.forget()
    assert cache.held() == 0


# -- more elements than 32 bits count ------------------------------------------------------------------------


@pytest.mark.promise("74")
@pytest.mark.skipif(
    not os.environ.get("UNSAMPLE_LARGE"), reason="needs 8 GB and half a minute: UNSAMPLE_LARGE=1"
)
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_just_over_two_to_the_31_elements(last: bool) -> None:
    """Forward and backward: every pair of copies, of one byte each. Not a part of `make test`."""
    shape = (1, 2, 2**15 + 2, 2**14)  # 2**30 and a little; the results have twice as many
    x = np.zeros(shape, np.uint8)
    x[..., -1, -1], x[..., 0, 0] = (201, 202), (11, 12)
    if last:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    y = us.nearest(x, (1, 2))
    assert y.size > 2**31
    assert y[..., -1, -2:].tolist() == [[[201, 201], [202, 202]]]
    values, switches = us.max_pool(y, (1, 2))
    assert np.array_equal(values, x)
    back = us.max_unpool(values, switches)
    assert back[..., -1, -2:].tolist() == [[[201, 0], [202, 0]]]
    del back, values, switches
    assert np.array_equal(us.decimate(y, (1, 2)), x)
    assert np.array_equal(us.resize(x, (2**15 + 2, 2**15), method="nearest"), y)
    del y
    up = us.bed_of_nails(x, (1, 2), at=(0, 1))
    assert up[..., -1, -2:].tolist() == [[[0, 201], [0, 202]]]
    del up
    flat = us.pixel_unshuffle(x.reshape(1, *shape[1:]), (2, 1))
    assert np.array_equal(us.pixel_shuffle(flat, (2, 1)), x)
