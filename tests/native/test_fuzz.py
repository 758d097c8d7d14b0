"""Any argument gives a result or an exception, never a signal: a fuzzer in a process of its own.

python tests/native/test_fuzz.py 20000        as many calls; `make fuzz`
"""

import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import program
import unsample as us

EXPECTED = (ValueError, TypeError, IndexError, OverflowError, MemoryError)

odd = st.sampled_from(
    [
        None,
        True,
        np.True_,
        1.5,
        "2",
        "same",
        (),
        [],
        float("nan"),
        -1,
        0,
        2**31,
        2**59,
        2**62,
        2**63 - 1,
        2**70,
    ]
)
ints = st.one_of(st.integers(-3, 9), st.integers(1, 4), st.integers(1, 4), odd)
tuples = st.one_of(ints, ints, st.lists(ints, min_size=0, max_size=4).map(tuple))
shapes = st.lists(st.integers(0, 9), min_size=0, max_size=5).map(tuple)
dtypes = st.sampled_from(
    ["f4", "f4", "f8", "f2", "i1", "i4", "i8", "u1", "u2", "u4", "?", "c8", "c16", ">f4", "O"]
)
paddings = st.one_of(tuples, st.lists(st.tuples(ints, ints), max_size=3).map(tuple))


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    shape, dtype = draw(shapes), draw(dtypes)
    x = (np.arange(int(np.prod(shape))) * 7 % 23 - 5).reshape(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = x.astype(dtype)
    layout = draw(st.sampled_from(["C", "C", "F", "reversed", "spaced", "broadcast", "read-only"]))
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "reversed" and x.ndim:
        return x[(slice(None, None, -1),) * x.ndim]
    if layout == "spaced" and x.ndim:
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if layout == "broadcast" and x.ndim:
        return np.broadcast_to(x[..., :1], (*x.shape[:-1], draw(st.integers(0, 40)) if x.shape[-1] else 0))
    if layout == "read-only":
        x.flags.writeable = False
    return x


@st.composite
def outs(draw: st.DrawFn, result: Any) -> Any:
    """Often what fits, sometimes what does not."""
    if draw(st.integers(0, 3)) == 0:
        return draw(arrays())
    out = np.zeros(result.shape, result.dtype)
    return out[(slice(None, None, -1),) * out.ndim] if out.ndim and draw(st.booleans()) else out


def options(**each: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=each)


sizing = {"output_size": tuples, "like": arrays()}
convolving = {
    "stride": tuples,
    "padding": paddings,
    "dilation": tuples,
    "groups": ints,
    "padding_mode": st.sampled_from(["zeros", "circular", "reflect", "replicate", "none"]),
}
pooling = {"stride": tuples, "padding": paddings, "dilation": tuples, "ceil_mode": st.booleans()}
resizing = {
    "method": st.sampled_from(["nearest", "linear", "cubic", "catmull_rom", "area", "cube"]),
    "convention": st.sampled_from(["half_pixel", "align_corners", "asymmetric", "legacy"]),
    "antialias": st.booleans(),
}

CALLS: dict[str, tuple[list[st.SearchStrategy[Any]], st.SearchStrategy[dict[str, Any]]]] = {
    "nearest": ([tuples], st.just({})),
    "window_sum": ([tuples], st.just({})),
    "bed_of_nails": ([tuples], options(at=st.one_of(tuples, st.just("center")), **sizing)),
    "decimate": ([tuples], options(at=tuples)),
    "pixel_shuffle": ([tuples], options(order=st.sampled_from(["CRD", "DCR", "crd"]))),
    "pixel_unshuffle": ([tuples], options(order=st.sampled_from(["CRD", "DCR"]))),
    "max_pool": ([tuples], options(**pooling)),
    "adaptive_max_pool": ([tuples], st.just({})),
    "resize": ([tuples], options(factor=tuples, **resizing)),
    "resize_transpose": ([tuples], options(**resizing)),
    "conv": ([arrays()], options(bias=arrays(), **convolving)),
    "conv_transpose": ([arrays()], options(bias=arrays(), output_padding=tuples, **sizing, **convolving)),
    "conv_weight_grad": ([arrays(), tuples], options(**convolving)),
}
LARGEST = 2**22  # elements: what fits is also computed


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)
    except EXPECTED:
        return None


def small(name: str, x: Any, args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the plan, where there is one, stays small enough to be computed here."""
    from unsample import ops

    module = {
        "nearest": ops.nearest, "window_sum": ops.nearest, "bed_of_nails": ops.nails, "decimate": ops.nails,
        "pixel_shuffle": ops.shuffle, "pixel_unshuffle": ops.shuffle, "max_pool": ops.pool,
        "adaptive_max_pool": ops.pool, "resize": ops.resize, "resize_transpose": ops.resize,
        "conv": ops.conv, "conv_transpose": ops.conv, "conv_weight_grad": ops.conv,
    }[name]  # fmt: skip
    shapes = [getattr(each, "shape", each) for each in args]
    named = {key: value for key, value in kwargs.items() if key not in ("bias", "out")}
    plan = attempt(getattr(module, f"plan_{name}"), x.shape, *shapes, **named)
    return plan is None or (int(np.prod(plan.output_shape)) <= LARGEST and plan.multiply_adds <= LARGEST)


def one_call(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CALLS)))
    strategies, keywords = CALLS[name]
    x = data.draw(arrays())
    args = [data.draw(each) for each in strategies]
    kwargs = data.draw(keywords)
    if not small(name, x, args, kwargs):
        return
    result = attempt(getattr(us, name), x, *args, **kwargs)
    if isinstance(result, tuple):
        values, switches = result
        taps = switches.taps.copy()
        if taps.size:
            for _ in range(data.draw(st.integers(0, 2))):
                taps.reshape(-1)[data.draw(st.integers(0, taps.size - 1))] = data.draw(st.integers(0, 255))
        wild = us.Switches(taps, switches.windows)
        rule = data.draw(st.sampled_from(["last", "sum", "max", "error", "first"]))
        attempt(us.max_unpool, values, wild, duplicates=rule)
        attempt(us.max_gather, x, wild)
        attempt(us.max_unpool, data.draw(arrays()), wild, duplicates=rule)
        attempt(getattr(us, name), x, *args, **kwargs, out=(data.draw(outs(values)), data.draw(outs(taps))))
    elif result is not None:
        out = data.draw(outs(result))
        written = attempt(getattr(us, name), x, *args, **kwargs, out=out)
        if written is not None:
            assert written is out
            np.testing.assert_array_equal(written, result)


@pytest.mark.promise("1", "2", "3", "4", "6", "8", "20", "21")
@pytest.mark.parametrize("native", [True, False])
def test_no_call_ends_the_process(native: bool) -> None:
    program.ends_well(__file__, "400", UNSAMPLE_NO_NATIVE="" if native else "1")


if __name__ == "__main__":
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    every = settings(
        deadline=None, suppress_health_check=list(HealthCheck), database=None, max_examples=calls
    )
    every(given(st.data())(one_call))()
