"""Numbers up to 2**63 and beyond: every call gives what the definition gives, or the same error.

Calls run in processes of their own, so that a signal is a failure that names the call.

python tests/core/test_numbers.py known numpy       the table, on numpy, torch, torch-grad or jax
python tests/core/test_numbers.py drawn 20000       as many random calls
"""

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import program
import unsample as us
from unsample import ops
from unsample.geometry import AdaptiveWindow, Plan, Window
from unsample.native import module

EXPECTED = (ValueError, TypeError, IndexError, OverflowError, MemoryError)
Call = Callable[[], Any]


def outcome(call: Call) -> Any:
    """What comes of a call: the error in words, or arrays."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except EXPECTED as error:
        return f"{type(error).__name__}: {error}"


def by_definition(call: Call) -> Any:
    with mock.patch.object(module, "kernels", None):
        return outcome(call)


def same(got: Any, wanted: Any) -> bool:
    if isinstance(got, str) or isinstance(wanted, str):
        return isinstance(got, str) and isinstance(wanted, str) and got == wanted
    if isinstance(got, tuple):
        return all(map(same, got, wanted))
    if isinstance(got, us.Switches):
        return got.windows == wanted.windows and same(got.taps, wanted.taps)
    return got.dtype == wanted.dtype and got.shape == wanted.shape and got.tobytes() == wanted.tobytes()


# -- calls that are known ----------------------------------------------------------------------------------

LARGEST = 2**63 - 1


def counting(*shape: int, dtype: str = "f8") -> Any:
    return np.arange(1, prod(shape) + 1).reshape(shape).astype(dtype)


def hand_made(window: Window, number: int = 2) -> us.Switches:
    return us.Switches(np.zeros(number, "u1"), (window,))


X, W, Y = counting(1, 2, 5, 7), counting(3, 2, 3, 3), counting(1, 3, 1, 1)
FIVE, ONE = counting(1, 5), counting(1, 1, 1)
OF_CONV = np.einsum("cij,ocij->o", X[0, :, :3, :3], W).reshape(1, 3, 1, 1)
OF_POOL = X[:, :, :3, :3].max((2, 3), keepdims=True)  # the window starts 2 elements before the map
SHAPE = "ShapeError: {}: windows must span less than 2**60 elements, all other axes counted, got "

# Call -> what it gives: numbers, or how the error begins. `A` makes an array of the library that is tried.
KNOWN: list[tuple[str, Callable[[Any, Any], Any], Any]] = [
    # One window, whatever the stride.
    ("max_pool", lambda A, m: m.max_pool(A(-FIVE[0]), (5,), stride=LARGEST, padding=2)[0], [-1.0]),
    ("max_pool 2-D", lambda A, m: m.max_pool(A(X), 5, padding=2, stride=LARGEST)[0], OF_POOL),
    (
        "max_pool ceil",
        lambda A, m: m.max_pool(A(X), 5, padding=2, stride=LARGEST, ceil_mode=True)[0],
        OF_POOL,
    ),
    ("max_pool switches", lambda A, m: m.max_pool(A(X), 3, stride=2**62)[1].taps, [[[[8]], [[8]]]]),
    ("conv stride", lambda A, m: m.conv(A(X), A(W), stride=2**30), OF_CONV),
    ("conv stride 2**63-1", lambda A, m: m.conv(A(X), A(W), stride=LARGEST), OF_CONV),
    (
        "conv_weight_grad",
        lambda A, m: m.conv_weight_grad(A(X), A(Y), 3, stride=LARGEST),
        np.einsum("o,cij->ocij", Y[0, :, 0, 0], X[0, :, :3, :3]),
    ),
    (
        "conv_transpose",
        lambda A, m: m.conv_transpose(A(Y), A(W), stride=LARGEST)[0],
        np.einsum("o,ocij->cij", Y[0, :, 0, 0], W),
    ),
    (
        "conv_transpose, a size of its stride",
        lambda A, m: m.conv_transpose(A(counting(1, 1)), A(counting(1, 1, 2)), stride=2**40, output_size=4),
        [[1.0, 2.0, 0.0, 0.0]],
    ),
    (
        "conv_transpose one of a large stride",
        lambda A, m: m.conv_transpose(A(Y), A(W), stride=2**20).shape,
        (1, 2, 3, 3),
    ),
    (
        "bed_of_nails",
        lambda A, m: m.bed_of_nails(A(counting(1, 1)), (2**62, 2**61), at=(1, 2), output_size=(3, 4)),
        [[0.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
    ),
    (
        "bed_of_nails far",
        lambda A, m: m.bed_of_nails(A(counting(1)), (LARGEST,), at=0, output_size=(1,)),
        [1.0],
    ),
    ("decimate", lambda A, m: m.decimate(A(counting(5, 7)), (LARGEST, 2**62), at=(2, 3)), [[18.0]]),
    ("decimate nothing", lambda A, m: m.decimate(A(counting(5)), (LARGEST,), at=2**40).shape, (0,)),
    # An axis of length 0, whatever its padding holds.
    *(
        (
            f"conv_transpose, {mode}",
            lambda A, m, mode=mode: (
                m.conv_transpose(
                    A(np.zeros((1, 0))), A(counting(1, 1, 3)), padding=1, padding_mode=mode
                ).shape
            ),
            (1, 0),
        )
        for mode in ("zeros", "circular", "reflect", "replicate")
    ),
    # One tap, whatever the dilation.
    ("max_pool, one tap", lambda A, m: m.max_pool(A(FIVE[0]), (1,), dilation=LARGEST)[0], FIVE[0]),
    ("conv, one tap", lambda A, m: m.conv(A(FIVE), A(ONE), dilation=LARGEST), FIVE),
    ("conv_transpose, one tap", lambda A, m: m.conv_transpose(A(FIVE), A(ONE), dilation=2**62), FIVE),
    # Many windows or taps, too far apart to be counted.
    (
        "conv_transpose",
        lambda A, m: m.conv_transpose(A(FIVE), A(counting(1, 64, 3)), padding=2**62, dilation=2**62),
        SHAPE.format("conv_transpose"),
    ),
    (
        "conv",
        lambda A, m: m.conv(A(FIVE), A(counting(64, 1, 3)), padding=2**61, dilation=2**61),
        SHAPE.format("conv"),
    ),
    (
        "conv_weight_grad",
        lambda A, m: m.conv_weight_grad(A(X), A(Y), 3, stride=LARGEST, padding=2**60),
        SHAPE.format("conv_weight_grad"),
    ),
    (
        "conv, circular",
        lambda A, m: m.conv(A(FIVE), A(ONE), padding=2**60, padding_mode="circular"),
        "OverflowError: conv: an output of shape (1, 2305843009213693957) has 2305843009213693957 elements, ",
    ),
    (
        "max_pool",
        lambda A, m: m.max_pool(A(FIVE), (3,), padding=2**60, dilation=2**60),
        SHAPE.format("max_pool"),
    ),
    (
        "max_pool, taps",
        lambda A, m: m.max_pool(A(FIVE), (2**33,), padding=2**32),
        "ShapeError: max_pool: a window must have at most 2**32 taps, got 8589934592",
    ),
    (
        "max_pool, taps in two axes",
        lambda A, m: m.max_pool(A(X), 2**17, padding=2**16, return_switches=False),
        "ShapeError: max_pool: a window must have at most 2**32 taps, got 17179869184",
    ),
    (
        "an axis of length 0",
        lambda A, m: m.nearest(A(np.zeros((2, 0))), (2**30, 2**30)),
        "ShapeError: nearest: a window must have less than 2**60 taps, got 1152921504606846976",
    ),
    (
        "channels of a map of length 0",
        lambda A, m: m.pixel_unshuffle(A(np.zeros((2, 0))), (2**59,)),
        "ShapeError: pixel_unshuffle: the axes of an array must make less than 2**60 elements, ",
    ),
    (
        "sizes of a batch of length 0",
        lambda A, m: m.nearest(A(np.zeros((0, 2, 2))), (2**30, 2**30)),
        "ShapeError: nearest: ",
    ),
    (
        "a row longer than memory, of nothing",
        lambda A, m: m.resize(A(np.zeros((0, 1))), (2**27,)),
        "OverflowError: resize: an axis must have at most 2**26 elements, got 134217728",
    ),
]


def known(library: str) -> None:
    if library.startswith("torch"):
        import torch

        import unsample.torch as module

        def array(x: Any) -> Any:
            return torch.tensor(x, requires_grad=library == "torch-grad")

    elif library == "jax":
        import jax
        import jax.numpy

        jax.config.update("jax_enable_x64", True)
        array, module = jax.numpy.asarray, us
    else:
        array, module = np.asarray, us
    for name, call, wanted in KNOWN:
        say(library, name)
        for each in (outcome, by_definition) if library == "numpy" else (outcome,):
            got = each(lambda call=call: call(array, module))
            if isinstance(wanted, str):
                text = got.removeprefix("Torch") if isinstance(got, str) else got
                assert isinstance(text, str), (name, got)
                assert text.startswith(wanted), (name, got)
                continue
            assert not isinstance(got, str), (name, got)
            if getattr(got, "requires_grad", False):
                got.sum().backward()  # along the same windows
                got = got.detach()
            np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted))


# -- calls that are drawn ----------------------------------------------------------------------------------

LARGE = [2**k + d for k in (58, 59, 60, 61, 62) for d in (-1, 0, 1)] + [2**48, 2**53 + 1, 2**63 - 1]
MIDDLE = [2**k + d for k in (31, 32, 33) for d in (-1, 0, 3)]
small = st.integers(1, 4)
huge = st.sampled_from([*LARGE, *MIDDLE])
counts = st.one_of(small, small, small, huge)
signed = st.one_of(*[st.integers(0, 3)] * 4, st.integers(-3, 6), huge, huge.map(lambda n: -n))
# Output sizes and kernels of the middle have plans, but take more memory than there is to give.
far = st.sampled_from(LARGE)
sizes = st.one_of(small, small, small, far)
bad = st.sampled_from([0, -1, 2**63, 2**64 + 1, 2**70, -(2**63), -(2**70), True, 1.5, "2"])


def of_rank(each: st.SearchStrategy[Any], rank: int) -> st.SearchStrategy[Any]:
    """One number for all axes, or one for each; rarely one that is no such number at all."""
    many = st.tuples(*[each] * rank)
    others = st.one_of(each, st.tuples(*[st.one_of(each, bad)] * rank))
    return st.integers(0, 9).flatmap(lambda i: many if i else others)


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.one_of(st.integers(1, 7), st.integers(0, 7)), min_size=1, max_size=3)))


@st.composite
def steps(draw: st.DrawFn, rank: int) -> dict[str, Any]:
    mode = draw(st.sampled_from(["zeros", "zeros", "circular", "reflect", "replicate"]))
    # Every element of a border that repeats is planned by itself: a long one takes as long.
    side = signed if mode == "zeros" else st.one_of(st.integers(-3, 6), far)
    pads: Any = draw(st.one_of(of_rank(side, rank), of_rank(st.tuples(side, side), rank)))
    if draw(st.integers(0, 5)) == 0:
        pads = draw(st.sampled_from(["valid", "same", "full"]))
    found = {
        "stride": draw(of_rank(counts, rank)),
        "dilation": draw(of_rank(counts, rank)),
        "padding": pads,
        "padding_mode": mode,
        "groups": draw(st.sampled_from([*[1] * 9, 2, 2, 2**31, 2**63 - 1, 2**63])),
    }
    if isinstance(pads, str) or draw(st.integers(0, 3)):
        return found
    # Padding that is made for the taps: such windows fit, however far apart the taps are.
    found["dilation"] = d = draw(huge)
    return {**found, "padding": d, "padding_mode": "zeros", "groups": 1}


def filled(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    dtype = draw(st.sampled_from(["f4", "f8", "f2", "i4"]))
    return (np.arange(prod(shape)) * 7 % 23 - 5).reshape(shape).astype(dtype)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[Any], dict[str, Any]]:
    name = draw(st.sampled_from(sorted(PLANS)))
    size = draw(axes())
    rank = len(size)
    leading = draw(st.sampled_from([(), (1,), (2,), (1, 2), (0,), (0, 2)]))
    kwargs: dict[str, Any] = {}
    if name in ("nearest", "window_sum", "pixel_shuffle", "pixel_unshuffle"):
        x = filled(draw, (*leading, draw(st.sampled_from([1, 4, 8, 0])), *size))
        return name, [x, draw(of_rank(counts, rank))], kwargs
    if name in ("bed_of_nails", "decimate"):
        factor = draw(of_rank(counts, rank))
        if draw(st.booleans()):
            kwargs["at"] = draw(
                st.one_of(of_rank(st.integers(0, 3), rank), of_rank(counts, rank), st.just("center"))
            )
        if name == "bed_of_nails" and draw(st.booleans()):
            kwargs["output_size"] = draw(of_rank(st.integers(0, 12), rank))
        return name, [filled(draw, (*leading, *size)), factor], kwargs
    if name in ("resize", "resize_transpose"):
        kwargs["method"] = draw(st.sampled_from(["nearest", "linear", "cubic", "area"]))
        x = filled(draw, (*leading, *size))
        if name == "resize" and draw(st.booleans()):
            kwargs["factor"] = draw(of_rank(st.one_of(sizes, st.sampled_from([0.5, 1e300, 10**400])), rank))
            return name, [x], kwargs
        return name, [x, draw(of_rank(sizes, rank))], kwargs
    if name == "adaptive_max_pool":
        return name, [filled(draw, (*leading, *size)), draw(of_rank(sizes, rank))], kwargs
    if name == "max_pool":
        kernel = draw(of_rank(counts, rank))
        kwargs = draw(steps(rank))
        del kwargs["groups"], kwargs["padding_mode"]
        if draw(st.booleans()):  # as much padding as its windows may have
            kwargs["dilation"] = 1
            kwargs["padding"] = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2
        kwargs["ceil_mode"] = draw(st.booleans())
        return name, [filled(draw, (*leading, *size)), kernel], kwargs
    kernel = tuple(draw(st.integers(1, 3)) for _ in size)
    kwargs = draw(steps(rank))
    weight = filled(draw, (draw(st.sampled_from([2, 4, 1])), draw(st.sampled_from([1, 2])), *kernel))
    batch = draw(st.sampled_from([(), (1,), (2,), (0,)]))
    if name == "conv":
        channels = weight.shape[1] * (kwargs["groups"] if kwargs["groups"] < 9 else 1)
        return name, [filled(draw, (*batch, channels, *size)), weight], kwargs
    if name == "conv_transpose":
        if draw(st.integers(0, 2)) == 0:
            kwargs["output_size"] = draw(of_rank(st.integers(0, 12), rank))
        elif draw(st.integers(0, 2)) == 0:
            kwargs["output_padding"] = draw(of_rank(st.one_of(st.integers(0, 3), huge), rank))
        return name, [filled(draw, (*batch, weight.shape[0], *size)), weight], kwargs
    x = filled(draw, (*batch, 2, *size))
    if draw(st.booleans()):
        kernel = draw(of_rank(st.one_of(st.integers(1, 3), far), rank))
    if not isinstance(kernel, tuple):
        kernel = (kernel,) * rank
    plan = outcome(lambda: ops.conv.plan_conv(x.shape, (2, 2, *kernel), **kwargs))
    shape = (
        plan.output_shape
        if isinstance(plan, Plan) and prod(plan.output_shape) < 2**16
        else (*batch, 2, *(1,) * rank)
    )
    return name, [x, filled(draw, shape), kernel], kwargs


PLANS = {
    "nearest": ops.nearest.plan_nearest, "window_sum": ops.nearest.plan_window_sum,
    "bed_of_nails": ops.nails.plan_bed_of_nails, "decimate": ops.nails.plan_decimate,
    "pixel_shuffle": ops.shuffle.plan_pixel_shuffle, "pixel_unshuffle": ops.shuffle.plan_pixel_unshuffle,
    "max_pool": ops.pool.plan_max_pool, "adaptive_max_pool": ops.pool.plan_adaptive_max_pool,
    "resize": ops.resize.plan_resize, "resize_transpose": ops.resize.plan_resize_transpose,
    "conv": ops.conv.plan_conv, "conv_transpose": ops.conv.plan_conv_transpose,
    "conv_weight_grad": ops.conv.plan_conv_weight_grad,
}  # fmt: skip


BLOCKS = ("nearest", "window_sum", "pixel_shuffle", "pixel_unshuffle", "bed_of_nails", "decimate")


def keeps_the_contract(plan: Plan) -> None:
    """What kernels rely on."""
    lines = max(
        prod(max(n, 1) for n in shape[: len(shape) - len(plan.windows)])
        for shape in (plan.input_shape, plan.output_shape)
    )
    everything = lines * prod(max(w.fine, w.coarse, 1) for w in plan.windows)
    for w in plan.windows:
        others = everything // max(w.fine, w.coarse, 1)
        assert w.fine >= 0
        assert w.coarse >= 0
        if isinstance(w, AdaptiveWindow):
            continue
        assert min(w.size, w.stride, w.dilation) >= 1
        assert w.size > 1 or w.dilation == 1
        # A block is as long as its stride, and a nail's no longer than the axis.
        blocks = plan.operation in BLOCKS and w.stride <= max(w.fine, w.size)
        assert w.coarse > 1 or w.stride == 1 or blocks
        assert (w.fine + abs(w.before) + abs(w.after) + (w.coarse - 1) * w.stride + w.extent) * others < 2**60
        assert all(type(getattr(w, name)) is int for name in ("fine", "coarse", "size", "stride", "dilation"))


def affordable(plan: Plan) -> bool:
    taps = [w.size if isinstance(w, Window) else w.fine for w in plan.windows]
    return max(prod(plan.output_shape), plan.multiply_adds, prod(taps)) <= 2**16


def try_call(drawn: tuple[str, list[Any], dict[str, Any]]) -> None:
    name, args, kwargs = drawn
    shapes = [each.shape if isinstance(each, np.ndarray) else each for each in args]
    say(name, shapes, kwargs)
    plan = outcome(lambda: PLANS[name](*shapes, **kwargs))
    if isinstance(plan, Plan):
        keeps_the_contract(plan)
        if not affordable(plan):
            return
    call = getattr(us, name)
    got = outcome(lambda: call(*args, **kwargs))
    wanted = by_definition(lambda: call(*args, **kwargs))
    assert same(got, wanted), (name, shapes, kwargs, got, wanted)
    assert isinstance(got, str) == isinstance(plan, str) or name in ("resize", "resize_transpose"), (
        plan,
        got,
    )
    if isinstance(got, tuple):
        values, switches = got
        for again in (lambda: us.max_unpool(values, switches), lambda: us.max_gather(args[0], switches)):
            assert same(outcome(again), by_definition(again)), (name, shapes, kwargs)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Any, ...]:
    """A few numbers of windows that fit changed to others."""
    found = []
    for _ in range(draw(st.integers(1, 2))):
        if draw(st.integers(0, 3)) == 0:
            found.append(AdaptiveWindow(draw(st.one_of(signed, st.integers(0, 9))), draw(st.integers(0, 4))))
            continue
        x = np.zeros(draw(st.integers(1, 9)))
        window = us.max_pool(x, (1,), stride=draw(small))[1].windows[0]
        names = draw(
            st.lists(st.sampled_from(["fine", "size", "stride", "dilation", "before", "after"]), max_size=2)
        )
        window = replace(
            window,
            **{
                name: draw(st.one_of(signed, signed, st.sampled_from([0, -(2**63), 2**70]))) for name in names
            },
        )
        found.append(window)
    return tuple(found)


def try_switches(made: tuple[Any, ...], number: int) -> None:
    say("switches", made, number)
    coarse = tuple(min(max(w.coarse, 0), 9) for w in made)
    fine = tuple(min(max(w.fine, 0), 9) for w in made)
    switches = us.Switches(np.full(coarse, number, "u1"), made)
    if all(max(w.fine, w.size) <= 2**9 for w in made):
        calls: list[Call] = [
            lambda: us.max_unpool(counting(*coarse), switches),
            lambda: us.max_unpool(counting(*coarse), switches, duplicates="sum"),
            lambda: us.max_gather(counting(*fine), switches),
            switches.to_torch,
            lambda: us.PackedSwitches(np.zeros(1, "u1"), 2, coarse, made).unpack(),
        ]
        for call in calls:
            assert same(outcome(call), by_definition(call)), (made, number)
    else:
        outcome(lambda: us.max_gather(counting(*fine), switches))
        outcome(switches.check)


def say(*what: Any) -> None:
    """Keep the call in a file, which outlives a signal."""
    if path := os.environ.get("UNSAMPLE_TEST_LAST"):
        Path(path).write_text(repr(what))


def drawn(number: int) -> None:
    every = settings(
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        max_examples=number,
        derandomize=True,
    )
    every(given(calls())(try_call))()
    every(given(windows(), st.integers(0, 5))(try_switches))()


@pytest.mark.promise(
    "1", "2", "3", "4", "6", "7", "8", "10", "11", "12", "14", "21", "28", "32", "33", "52", "75"
)
@pytest.mark.parametrize(
    "what",
    [("known", "numpy"), ("known", "torch"), ("known", "torch-grad"), ("known", "jax"), ("drawn", "400")],
    ids="-".join,
)
def test_numbers_of_any_size(what: tuple[str, str], tmp_path: Path) -> None:
    last = tmp_path / "last"
    ended = program.run(__file__, *what, UNSAMPLE_TEST_LAST=str(last))
    tried = last.read_text() if last.exists() else ""
    assert ended.returncode == 0, f"{ended.returncode}\n{tried}\n{ended.stdout[-500:]}{ended.stderr[-4000:]}"


if __name__ == "__main__":
    what, how = sys.argv[1:]
    known(how) if what == "known" else drawn(int(how))
