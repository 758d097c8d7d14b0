"""The compiled convolutions equal the definition, on every tier that this machine has."""

import copy
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import unsample as us
from samples import SAMPLES, Sample, integers
from unsample.geometry.plan import Plan
from unsample.native import conv as conv_kernels
from unsample.native import module
from unsample.native.module import kernels
from unsample.ops.conv import plan_conv, plan_conv_transpose

kernels = kernels
if kernels is None:
    pytest.skip("nothing is compiled; test_kernels.py fails where it should be", allow_module_level=True)

TRIPLE = [s for s in SAMPLES if s.pair.name in ("conv_transpose", "conv_weight_grad")]
DTYPES = ("float32", "float64", "float16")
EPS = {"float32": 2.0**-24, "float64": 2.0**-53, "float16": 2.0**-24}
LAYOUTS = ("first", "last", "backwards")


def by_definition(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(module, "kernels", None)
        return call()


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """`x` with other strides, inside memory that is twice as large."""
    if layout == "last" and x.ndim > 2:
        return np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    if layout == "backwards":
        view = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::-2]
        view[...] = x
        return view
    return x


# -- the definition ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sample", TRIPLE, ids=str)
def test_every_sample_is_the_definitions(
    sample: Sample, dtype: str, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small integers: every sum is exact, whatever its order.
    args, kwargs = sample.up
    for f, x, rest, options in (
        (sample.pair.down, sample.x(), sample.args, sample.kwargs),
        (sample.pair.up, sample.y(), args, kwargs),
    ):
        cast = [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in (x, *rest)]
        expected = by_definition(lambda f=f, cast=cast, options=options: f(*cast, **options), monkeypatch)
        for layout in LAYOUTS:
            got = f(laid_out(cast[0], layout), *cast[1:], **options)
            assert kernels.last_tier() == tier
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


CALLS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    # x of the convolution, weight, options: what each form of the kernels is for.
    "panels": ((2, 21, 23, 19), (37, 21, 4, 4), {"stride": 2, "padding": 1}),
    "panels-deep": ((1, 17, 9), (300, 17, 5), {"stride": 2}),
    "panels-3d": ((1, 9, 7, 6, 11), (13, 9, 3, 2, 3), {"stride": (2, 1, 2), "padding": 1}),
    "few-channels": ((2, 3, 41, 37), (19, 3, 4, 4), {"stride": 2, "padding": 1}),
    "one-channel": ((1, 1, 50, 61), (7, 1, 9, 9), {"stride": 3, "padding": 4}),
    "depthwise": ((2, 19, 33, 41), (19, 1, 4, 4), {"stride": 2, "padding": 1, "groups": 19}),
    "depthwise-large-stride": ((1, 5, 96, 128), (5, 1, 64, 64), {"stride": 32, "padding": 16, "groups": 5}),
    "grouped": ((1, 24, 17, 19), (36, 6, 3, 3), {"groups": 4, "padding": 1}),
    "no-overlap": ((3, 12, 18, 22), (20, 12, 2, 2), {"stride": 2}),
    "gaps": ((2, 5, 31, 32), (9, 5, 2, 1), {"stride": (4, 3)}),
    "dilation": ((1, 6, 40, 43), (10, 6, 3, 3), {"stride": 2, "dilation": 3, "padding": 2}),
    # Taps further apart than a block of positions is long.
    "far": ((2, 21, 43, 39), (37, 21, 3, 3), {"dilation": (19, 17), "padding": (19, 17)}),
    "far-few-channels": ((2, 9, 61, 67), (3, 9, 3, 3), {"dilation": 30, "padding": (30, 7)}),
    "far-depthwise": ((2, 19, 63, 71), (19, 1, 3, 3), {"dilation": (31, 35), "padding": 33, "groups": 19}),
    "far-1d": ((1, 18, 700), (20, 18, 3), {"dilation": 300, "padding": 250}),
    "far-outside": ((1, 18, 12, 12), (20, 18, 3, 3), {"dilation": 12, "padding": 12}),
    "far-reflect": (
        (1, 5, 30, 47),
        (12, 5, 3, 3),
        {"dilation": 25, "padding": 25, "padding_mode": "reflect"},
    ),
    "long-1d": ((2, 10, 5000), (18, 10, 10), {"stride": 5, "padding": ((3, 2),)}),
    "crop": ((1, 4, 30, 33), (8, 4, 3, 3), {"padding": ((-3, 2), (1, -4))}),
    **{
        mode: (
            (1, 5, 20, 27),
            (12, 5, 3, 4),
            {"padding": ((2, 1), (3, 3)), "padding_mode": mode, "stride": 2},
        )
        for mode in ("circular", "reflect", "replicate")
    },
}


def triple(
    name: str, dtype: str, layout: str
) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...], dict, int]]:
    """All three operations of one entry of CALLS: function, arrays, options, terms of a sum at most."""
    shape, kernel, options = CALLS[name]
    rng = np.random.default_rng([*shape])
    down = plan_conv(shape, kernel, **options)
    x, y = (rng.standard_normal(s).astype(dtype) for s in (shape, down.output_shape))
    weight = rng.standard_normal(kernel).astype(dtype)
    to_y, to_x = (rng.standard_normal(n).astype(dtype) for n in (y.shape[1], x.shape[1]))
    x, y = laid_out(x, layout), laid_out(y, layout)
    sizes = {"output_size": shape[2:]}
    yield us.conv, (x, weight, to_y), options, weight[0].size + 1
    yield us.conv_transpose, (y, weight, to_x), {**options, **sizes}, weight.size // kernel[1] * 4 + 1
    yield us.conv_weight_grad, (x, y, kernel[2:]), options, y[:, 0].size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_sums_stay_within_the_bound_of_rounding(name: str, dtype: str, tier: str) -> None:
    for layout in LAYOUTS:
        for f, arrays, options, terms in triple(name, dtype, layout):
            got = f(*arrays, **options)
            assert kernels.last_tier() == tier
            exact = [a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in arrays]
            expected = f(*exact, **options)
            size = f(*(abs(a) if isinstance(a, np.ndarray) else a for a in exact), **options)
            bound = (terms + 1) * EPS[dtype] * size
            if dtype == "float16":  # rounded once more, when it is stored
                bound = bound + 2.0**-11 * abs(expected) + 2.0**-24
            assert (abs(got.astype(np.float64) - expected) <= bound).all(), (f.__name__, layout)


@pytest.mark.parametrize("name", CALLS)
def test_float64_equals_the_definition(name: str, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound above takes the kernels' own float64 for exact."""
    for f, arrays, options, terms in triple(name, "float64", "first"):
        expected = by_definition(lambda f=f, a=arrays, o=options: f(*a, **o), monkeypatch)
        size = f(*(abs(a) if isinstance(a, np.ndarray) else a for a in arrays), **options)
        assert (abs(f(*arrays, **options) - expected) <= (terms + 1) * EPS["float64"] * size).all()


# -- one result whatever the split -------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_threads_do_not_change_a_bit(name: str, tier: str) -> None:
    shape, kernel, options = CALLS[name]
    rng = np.random.default_rng(0)
    # More images, so that there are work items for all and the pool is really asked: above kSmallCall.
    images = shape[0] * max(11, -(-7_000_000 // plan_conv(shape, kernel, **options).multiply_adds))
    x = rng.standard_normal((images, *shape[1:]), dtype=np.float32)
    weight = rng.standard_normal(kernel, dtype=np.float32)
    y = us.conv(x, weight, **options)
    calls = [
        lambda: us.conv(x, weight, **options),
        lambda: us.conv_transpose(y, weight, output_size=shape[2:], **options),
        lambda: us.conv_weight_grad(x, y, kernel[2:], **options),
    ]
    for call in calls:
        results = []
        for n in (1, 2, 3, 8):
            with us.threads(n):
                results.append(call().tobytes())
        assert len(set(results)) == 1


@pytest.mark.parametrize("name", ["panels", "few-channels", "depthwise", "long-1d"])
def test_batches_may_be_split(name: str, tier: str) -> None:
    shape, kernel, options = CALLS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, *shape[1:]), dtype=np.float32)
    weight = rng.standard_normal(kernel, dtype=np.float32)
    parts = [us.conv(part, weight, **options) for part in (x[:1], x[1:4], x[4:])]
    np.testing.assert_array_equal(np.concatenate(parts), us.conv(x, weight, **options))


# -- memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("name", CALLS)
def test_nothing_beside_the_output_is_written(name: str, layout: str, dtype: str, tier: str) -> None:
    for f, arrays, options, _ in triple(name, dtype, "first"):
        expected = f(*arrays, **options)
        around = np.full([n + 2 for n in expected.shape], 7, dtype)
        around = laid_out(around, layout)
        inside = around[tuple(slice(1, -1) for _ in expected.shape)]
        f(*arrays, **options, out=inside)
        np.testing.assert_array_equal(inside, expected)
        around[tuple(slice(1, -1) for _ in expected.shape)] = 7
        assert (around == 7).all()


@pytest.mark.parametrize("name", CALLS)
def test_an_infinite_element_spoils_only_what_it_reaches(
    name: str, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Junk that the kernels compute beside the result, and zeros they add, must not let it spread."""
    for f, arrays, options, _ in triple(name, "float32", "first"):
        first = arrays[0].copy()
        first[(0, -1, *(n // 2 for n in first.shape[2:]))] = np.inf
        given = (first, *arrays[1:])
        with np.errstate(invalid="ignore"):
            expected = by_definition(lambda f=f, a=given, o=options: f(*a, **o), monkeypatch)
            got = f(*given, **options)
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))


DEPTHWISE = [  # spatial size, kernel, options
    ((7,), 6, {"stride": 3, "padding": 2}),
    ((9,), 5, {"stride": 4, "dilation": 3, "padding": 2}),
    ((5, 6), 4, {"stride": 2, "padding": 1}),
    ((5, 6), 2, {"stride": 3}),
    ((6, 7), 3, {"padding": 2, "dilation": 2}),
    ((70, 300), 3, {"stride": 2, "padding": 1}),  # written past the cache
    ((3, 4, 5), 3, {"stride": 2, "padding": ((1, 0), 1, 1)}),
]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3, 4, 8, 15, 16, 17, 64, 67, 80])
def test_vectors_along_channels_give_the_same_bits(
    channels: int, dtype: str, transposed: bool, tier: str
) -> None:
    rng = np.random.default_rng(channels)
    lanes = {"baseline": 16, "neon": 16, "avx2": 32, "avx512": 64}[tier] // np.dtype(dtype).itemsize
    for size, kernel, options in DEPTHWISE:
        if len(size) == 2 and size[1] == 300 and channels != 64:
            continue
        x = rng.standard_normal((2, channels, *size)).astype(dtype)
        weight = rng.standard_normal((channels, 1, *(kernel,) * len(size))).astype(dtype)
        bias = rng.standard_normal(channels).astype(dtype)
        f = us.conv_transpose if transposed else us.conv
        for start in (None, bias):
            expected = f(x, weight, start, groups=channels, **options)
            last = laid_out(x, "last")
            got = f(last, weight, start, groups=channels, **options)
            assert kernels.last_tier() == tier
            np.testing.assert_array_equal(got, expected)
            assert np.moveaxis(got, 1, -1).flags.c_contiguous
        plan = (plan_conv_transpose if transposed else plan_conv)(
            x.shape, weight.shape, groups=channels, **options
        )
        made = conv_kernels.compiled_conv(
            kernels.Conv,
            transposed,
            plan,
            channels,
            x.dtype,
            (channels, channels),
            last.strides,
            got.strides,
            tier,
        )
        assert made.form == ("pixels" if channels >= lanes else "planes")


def test_a_public_packed_weight_gives_the_same_bits(tier: str) -> None:
    rng = np.random.default_rng(1)
    for name in ("panels", "few-channels", "depthwise", "grouped"):
        shape, kernel, options = CALLS[name]
        weight = rng.standard_normal(kernel, dtype=np.float32)
        packed = us.pack_weight(weight)
        before = weight.copy()
        x = rng.standard_normal(shape, dtype=np.float32)
        weight[...] = 0  # the packed one is a copy
        for _ in range(2):
            np.testing.assert_array_equal(us.conv(x, packed, **options), us.conv(x, before, **options))
        assert len(packed.kept) == 1
        y = us.conv(x, before, **options)
        np.testing.assert_array_equal(
            us.conv_transpose(y, packed, output_size=shape[2:], **options),
            us.conv_transpose(y, before, output_size=shape[2:], **options),
        )
        assert len(packed.kept) == 2
        wide = us.conv(x.astype(np.float64), packed, **options)
        np.testing.assert_array_equal(wide, us.conv(x.astype(np.float64), before, **options))


def test_a_packed_weight_is_packed_once_and_keeps_few_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = us.pack_weight(np.ones((8, 8, 3), np.float32))
    ones = np.ones((1, 8, 40), np.float32)
    us.conv(ones, packed)
    (layout,) = packed.kept.values()
    us.conv(ones + 1, packed)
    assert packed.kept[next(iter(packed.kept))] is layout
    for size in range(20, 40):
        us.conv(ones[..., :size].copy(), packed)
    assert len(packed.kept) == 8
    assert packed[:4].kept == {}
    with pytest.raises(ValueError, match="read-only"):
        packed[0] = 1
    writable = packed.copy()
    us.conv(ones, writable)
    writable[...] = 2
    np.testing.assert_array_equal(us.conv(ones, writable), 48)
    expected = us.conv(ones, packed)
    got = by_definition(lambda: us.conv(ones, packed), monkeypatch)
    np.testing.assert_array_equal(got, expected)
    assert type(got) is type(expected) is np.ndarray
    with pytest.raises(TypeError) as caught:
        us.pack_weight([1.0])
    assert str(caught.value) == "pack_weight: weight must be a numpy.ndarray, got list"
    with pytest.raises(TypeError) as caught:
        us.pack_weight(np.ones((1, 1, 3), object))
    assert str(caught.value) == "pack_weight: weight must hold numbers, got dtype object"


def test_nobody_writes_into_a_packed_weight() -> None:
    x, weight = np.ones((1, 8, 9), np.float32), np.ones((8, 8, 3), np.float32)
    packed = us.pack_weight(weight)
    expected = us.conv(x, packed)
    weight[...] = 7
    np.testing.assert_array_equal(us.conv(x, packed), expected)
    for array in (packed, packed[:2], packed.view(np.ndarray), packed.T):
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
            array.flags.writeable = True
    assert type(packed.base) is bytes
    with pytest.raises(TypeError):
        packed.base[...] = 7


def test_copies_of_a_packed_weight_are_read_as_they_are() -> None:
    x, weight = np.ones((1, 8, 9), np.float32), np.ones((8, 8, 3), np.float32)
    for copied in (copy.copy, copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w)), np.ndarray.copy):
        other = copied(us.pack_weight(weight))
        for value in (1, 2):
            other.flags.writeable = True
            other[...] = value
            other.flags.writeable = False
            np.testing.assert_array_equal(us.conv(x, other), us.conv(x, value * weight))


@pytest.mark.filterwarnings("ignore:Setting the (dtype|strides):DeprecationWarning")
def test_a_packed_weight_told_to_be_another_is_laid_out_anew() -> None:
    x, packed = np.ones((1, 8, 9), np.float32), us.pack_weight(integers((8, 8, 8), 1).astype(np.float32))
    us.conv(x, packed)
    packed.strides = packed.strides[::-1]
    np.testing.assert_array_equal(us.conv(x, packed), us.conv(x, np.array(packed)))
    packed.dtype = np.int32
    np.testing.assert_array_equal(us.conv(x, packed), us.conv(x, np.array(packed)))


@pytest.mark.parametrize("transposed", [False, True])
def test_a_packed_weight_serves_many_inputs(transposed: bool, tier: str) -> None:
    for name in ("panels", "few-channels", "depthwise", "grouped"):
        shape, kernel, options = CALLS[name]
        rng = np.random.default_rng(0)
        weight = rng.standard_normal(kernel, dtype=np.float32)
        plan: Plan = plan_conv(shape, kernel, **options)
        if transposed:
            plan = plan_conv_transpose(plan.output_shape, kernel, output_size=shape[2:], **options)
        out = np.empty(plan.output_shape, np.float32)
        x = rng.standard_normal(plan.input_shape, dtype=np.float32)
        groups, channels = options.get("groups", 1), (plan.input_shape[1], plan.output_shape[1])
        made = conv_kernels.compiled_conv(
            kernels.Conv, transposed, plan, groups, out.dtype, channels, x.strides, out.strides, tier
        )
        packed = np.empty(made.packed_bytes // 4, np.float32)
        made.pack(weight, packed)
        f = us.conv_transpose if transposed else us.conv
        more = {"output_size": shape[2:]} if transposed else {}
        for _ in range(2):
            x[...] = rng.standard_normal(x.shape)
            made.run(x, packed, None, out, packed=True)
            np.testing.assert_array_equal(out, f(x, weight, **options, **more))


def test_scratch_memory_is_bounded(tier: str) -> None:
    """At most 4 MB a thread at any size, or the definition runs."""
    rng = np.random.default_rng(0)
    made = 0
    for _ in range(300):
        rank = int(rng.integers(1, 4))
        c_x, c_y = (int(2 ** rng.uniform(0, 13)) for _ in range(2))
        kernel, stride, dilation = (int(2 ** rng.uniform(0, top)) for top in (6, 5, 3))
        coarse = int(2 ** rng.uniform(0, 24 / rank))
        fine = (coarse - 1) * stride + dilation * (kernel - 1) + 1
        strides = [c_x * fine**rank, fine**rank, *(fine ** (rank - 1 - a) for a in range(rank))]
        small = [c_y * coarse**rank, coarse**rank, *(coarse ** (rank - 1 - a) for a in range(rank))]
        up, down = (
            [[*sides, kernel, stride, dilation, 0, 0]] * rank for sides in ((coarse, fine), (fine, coarse))
        )
        calls = [
            (kernels.Conv, (False, 2, 1, c_x, c_y, down, strides, small)),
            (kernels.Conv, (True, 2, 1, c_y, c_x, up, small, strides)),
            (kernels.WeightGrad, (False, 2, 1, c_x, c_y, down, strides, small)),
        ]
        for kind, args in calls:
            try:
                plan = kind(0, *args)
            except ValueError:
                continue
            made += 1
            assert plan.scratch_bytes <= 4 << 20
    assert made > 800


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CALLS)
def test_bfloat16_is_summed_in_float32_and_rounded_once(name: str, layout: str, tier: str) -> None:
    """Small integers, whose sums are exact in float32."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for f, arrays, options, _ in triple(name, "float32", layout):
        whole = [np.rint(2 * a) if isinstance(a, np.ndarray) else a for a in arrays]
        short = [
            laid_out(a.astype(ml_dtypes.bfloat16), layout) if isinstance(a, np.ndarray) else a for a in whole
        ]
        kernels.last_tier()
        got = f(*short, **options)
        assert kernels.last_tier() == tier
        assert got.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(got, f(*whole, **options).astype(ml_dtypes.bfloat16))
        out = np.zeros_like(got)
        assert f(*short, **options, out=out) is out
        np.testing.assert_array_equal(out, got)


def test_bfloat16_by_address(tier: str) -> None:
    """NumPy has no buffers of it, torch has; sums are float32, rounded once."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("panels", "few-channels", "depthwise"):
        shape, kernel, options = CALLS[name]
        rng = np.random.default_rng(0)
        x, weight = (rng.integers(-4, 5, s).astype(ml_dtypes.bfloat16) for s in (shape, kernel))
        plan = plan_conv(shape, kernel, **options)
        out = np.zeros(plan.output_shape, ml_dtypes.bfloat16)
        axes = [[w.fine, w.coarse, w.size, w.stride, w.dilation, w.before, 0] for w in plan.windows]  # type: ignore[union-attr]
        strides = [[s // 2 for s in a.strides] for a in (x, out)]
        groups = options.get("groups", 1)
        made = kernels.Conv(3, False, shape[0], groups, shape[1], kernel[0], axes, *strides)
        made.run(x.ctypes.data, weight.ctypes.data, None, out.ctypes.data)
        exact = us.conv(x.astype(np.float32), weight.astype(np.float32), **options)
        np.testing.assert_array_equal(out, exact.astype(ml_dtypes.bfloat16))


# -- integers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", TRIPLE, ids=str)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_integers_are_the_definitions(
    sample: Sample, dtype: str, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the floats in which their sums are exact: float32, float64, or none at all."""
    up_args, up_kwargs = sample.up
    for call, values, args, kwargs in (
        (sample.pair.down, sample.x(), sample.args, sample.kwargs),
        (sample.pair.up, sample.y(), up_args, up_kwargs),
    ):
        args = tuple(each.astype(dtype) if isinstance(each, np.ndarray) else each for each in args)
        kwargs = {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        for scale in (1, 1 << 20, 1 << 55) if dtype in ("int64", "uint64") else (1,):
            x = np.abs(values).astype(dtype) * np.array(scale, dtype)
            run = partial(call, x, *args, **kwargs)
            expected, got = by_definition(run, monkeypatch), run()
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("largest", "float_dtype"), [(1 << 20, "float32"), (1 << 49, "float64"), (1 << 50, None)], ids=str
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_float_is_used_where_every_sum_is_exact(
    largest: int, float_dtype: str | None, sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 x 3 taps of 1 are 9 terms, so that 16 times the largest is the bound at 2**24 and 2**53."""
    x = np.full((1, 1, 5, 7), sign, np.int64)
    x[0, 0, 2, 3] = sign * (largest * 16 // 9)
    bias = np.array([3], np.int64)
    seen: list[Any] = []
    compiled = conv_kernels.compiled_conv
    monkeypatch.setattr(conv_kernels, "compiled_conv", lambda *key: seen.append(key[4]) or compiled(*key))
    weight = np.ones((1, 1, 3, 3), np.int64)
    for call in (us.conv, us.conv_transpose):
        seen.clear()
        got = call(x, weight, bias, padding=1)
        expected = by_definition(lambda call=call: call(x, weight, bias, padding=1), monkeypatch)
        np.testing.assert_array_equal(got, expected)
        assert seen[:1] == ([] if float_dtype is None else [np.dtype(float_dtype)])
        out = np.empty_like(got)
        assert call(x, weight, bias, padding=1, out=out) is out
        np.testing.assert_array_equal(out, got)


def test_integers_wrap_as_the_definition_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.full((1, 2, 4, 4), np.iinfo(np.int64).min)
    w = np.full((2, 2, 3, 3), 3)
    for call in (
        lambda: us.conv(x, w),
        lambda: us.conv_transpose(x, w),
        lambda: us.conv_weight_grad(x, x, 1),
    ):
        np.testing.assert_array_equal(call(), by_definition(call, monkeypatch))
