"""Every pair under every transformation of jax, with the compiled kernels and without them.

The oracle is NumPy and the dense matrix. Samples are small integers, so that sums are exact and equal means
equal; interpolation weights alone are not integers.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import unsample as us
from backends import JAX
from samples import MORE, SAMPLES, Sample, integers
from unsample import cache
from unsample.jax import kernels

slow = pytest.mark.slow
every_sample = pytest.mark.parametrize(
    "sample", [pytest.param(each, marks=slow if str(each) in MORE else ()) for each in SAMPLES], ids=str
)

# The rules are the same on both ways: without the kernels one of each kind will do.
ONE_OF_EACH = (
    "2d",
    "2d-corner",
    "2d-overlap",
    "adaptive",
    "groups",
    "reflect-2d",
    "linear-half_pixel-double",
)


def both_ways(samples: Any) -> Any:
    """Every sample with the kernels, some without."""
    both = [
        pytest.param(
            each, "compiled", marks=slow if str(each) in MORE and each.name not in ONE_OF_EACH else ()
        )
        for each in samples
    ]
    both += [pytest.param(each, "portable") for each in samples if each.name in ONE_OF_EACH]
    return pytest.mark.parametrize(("sample", "way"), both, ids=str, indirect=["way"])


@pytest.fixture(params=["compiled", "portable"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Once with the kernels, once as on a platform that has none."""
    if request.param == "portable":
        jax.clear_caches()
        cache.forget()
        monkeypatch.setattr(kernels, "compiled", None)
    yield request.param
    if request.param == "portable":
        jax.clear_caches()
        cache.forget()


def directions(sample: Sample) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]]:
    """function, args, kwargs, first argument: of both ways, in NumPy."""
    yield sample.pair.down, sample.args, sample.kwargs, sample.x()
    yield sample.pair.up, *sample.up, sample.y()


def same(sample: Sample, found: Any, expected: Any) -> None:
    tolerance = 1e-12 if sample.pair.name == "resize" else 0
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@every_sample
def test_what_runs_without_kernels_gives_the_numbers_of_numpy(sample: Sample) -> None:
    for call, args, kwargs, x in directions(sample):
        on_jax = JAX.arguments(args)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "compiled", None)
            lowered = jax.jit(lambda x, a=on_jax, c=call, k=kwargs: c(x, *a, **k)).lower(x)
        assert "unsample" not in lowered.as_text()
        same(sample, lowered.compile()(x), call(x, *args, **kwargs))


@both_ways(SAMPLES)
def test_every_derivative_is_that_of_the_matrix(sample: Sample, way: str) -> None:
    for call, args, kwargs, x in directions(sample):
        on_jax = JAX.arguments(args)

        def function(x: Any, call: Any = call, args: Any = on_jax, kwargs: Any = kwargs) -> Any:
            return call(x, *args, **kwargs)

        matrix = us.matrix(call, x.shape, *args, **kwargs)
        v, expected = integers(x.shape, 21), call(x, *args, **kwargs)
        ct = integers(expected.shape, 22)

        def through(m: Any, values: Any, shape: tuple[int, ...]) -> Any:
            return (m @ values.ravel()).reshape(shape)

        @jax.jit
        def everything(x: Any, v: Any, ct: Any, function: Any = function) -> Any:
            value, tangent = jax.jvp(function, (x,), (v,))
            gradient = jax.grad(lambda x: (function(x) * ct).sum())
            cubic = jax.grad(lambda x: (function(x) ** 3).sum())
            second = jax.grad(lambda x: (cubic(x) * v).sum())(x)
            transpose = jax.linear_transpose(function, x)
            again = jax.linear_transpose(lambda ct: transpose(ct)[0], ct)
            return value, tangent, gradient(x), second, transpose(ct)[0], again(v)[0]

        value, tangent, gradient, second, transposed, again = everything(x, v, ct)
        assert isinstance(value, jax.Array)
        same(sample, value, expected)
        same(sample, tangent, through(matrix, v, expected.shape))
        back = through(matrix.T, ct, x.shape)
        same(sample, gradient, back)
        same(sample, transposed, back)
        same(sample, again, through(matrix, v, expected.shape))
        twice = 6 * expected * through(matrix, v, expected.shape)
        np.testing.assert_allclose(second, through(matrix.T, twice, x.shape), rtol=1e-9, atol=1e-9)


@both_ways(SAMPLES)
def test_vmap_is_one_call_after_the_other(sample: Sample, way: str) -> None:
    for call, args, kwargs, x in directions(sample):
        many = np.stack([x, -2 * x, integers(x.shape, 23)])
        expected = np.stack([call(each, *args, **kwargs) for each in many])
        on_jax = JAX.arguments(args)
        mapped = jax.jit(jax.vmap(lambda x, a=on_jax, c=call, k=kwargs: c(x, *a, **k), out_axes=-1))(many)
        same(sample, np.moveaxis(np.asarray(mapped), -1, 0), expected)
        inner = jax.vmap(lambda x, a=on_jax, c=call, k=kwargs: c(x, *a, **k), in_axes=-1)
        twice = jax.jit(jax.vmap(inner))(np.moveaxis(many, 0, -1)[None])
        same(sample, twice[0], expected)


BILINEAR = [sample for sample in SAMPLES if sample.args and isinstance(sample.args[0], np.ndarray)]


@both_ways(BILINEAR)
def test_the_other_array_is_mapped_and_differentiated_too(sample: Sample, way: str) -> None:
    for call, args, kwargs, x in directions(sample):
        weight, *rest = args
        others = np.stack([weight, integers(weight.shape, 24)])
        many = np.stack([x, integers(x.shape, 25)])

        def function(x: Any, w: Any, call: Any = call, rest: Any = rest, kwargs: Any = kwargs) -> Any:
            return call(x, w, *rest, **kwargs)

        one = np.stack([function(x, w) for w in others])
        both = np.stack([function(x, w) for x, w in zip(many, others, strict=True)])
        same(sample, jax.jit(jax.vmap(function, (None, 0)))(x, others), one)
        same(
            sample,
            jax.jit(jax.vmap(function, (-1, 1)))(np.moveaxis(many, 0, -1), others.swapaxes(0, 1)),
            both,
        )

        # <f(x, w), ct> is linear in w: its gradient at anything, applied to v, is <f(x, v), ct>.
        ct = integers(both[0].shape, 26)
        gradient = jax.jit(jax.grad(lambda w, x, ct, f=function: (f(x, w) * ct).sum()))(weight, x, ct)
        assert np.sum(np.asarray(gradient) * others[1]) == np.sum(function(x, others[1]) * ct)
        fixed = jnp.asarray(x)
        _, tangent = jax.jvp(
            lambda w, f=function, x=fixed: f(x, w), (jnp.asarray(weight),), (jnp.asarray(others[1]),)
        )
        same(sample, tangent, function(x, others[1]))
        # Both at once, and mixed second derivatives: of a bilinear form they are the form itself.
        mixed = jax.jit(
            jax.grad(lambda w, x, ct, v, f=function: jnp.sum(v * jax.grad(lambda x: (f(x, w) * ct).sum())(x)))
        )(weight, x, ct, many[1])
        assert np.sum(np.asarray(mixed) * others[1]) == np.sum(function(many[1], others[1]) * ct)


BIASED = [*product([us.conv, us.conv_transpose], [1, 2], ["zeros", "circular"])]
# Of both functions, numbers of groups and modes one without the kernels.
ENOUGH = [(us.conv, 2, "zeros"), (us.conv_transpose, 1, "circular")]


@pytest.mark.parametrize(
    ("call", "groups", "mode", "way"),
    [
        *(pytest.param(*each, "compiled") for each in BIASED),
        *(pytest.param(*each, "portable", marks=() if each in ENOUGH else slow) for each in BIASED),
    ],
    indirect=["way"],
)
def test_bias_is_added_mapped_and_differentiated(call: Any, groups: int, mode: str, way: str) -> None:
    x, weight = integers((2, 4, 7), 1), integers((4, 4 // groups, 3), 2)
    bias = integers((2, 4), 3)
    words = {"stride": 2, "padding": 1, "groups": groups, "padding_mode": mode}

    def function(x: Any, w: Any, b: Any) -> Any:
        return call(x, w, b, **words)

    expected = np.stack([function(x, weight, each) for each in bias])
    for axes, given in (((None, None, 0), x), ((0, None, 0), np.stack([x, x]))):
        np.testing.assert_array_equal(jax.jit(jax.vmap(function, axes))(given, weight, bias), expected)
    np.testing.assert_array_equal(
        jax.vmap(function, (0, None, None))(np.stack([x, x]), jnp.asarray(weight), jnp.asarray(bias[0]))[1],
        expected[0],
    )
    mapped = jax.vmap(function, (None, 0, None))(
        jnp.asarray(x), jnp.stack([weight, -weight]), jnp.asarray(bias[0])
    )
    np.testing.assert_array_equal(mapped[1], function(x, -weight, bias[0]))
    ct = integers(expected[0].shape, 4)
    gradient = jax.grad(lambda b: (function(jnp.asarray(x), jnp.asarray(weight), b) * ct).sum())(
        jnp.asarray(bias[0])
    )
    np.testing.assert_array_equal(gradient, ct.sum((0, 2)))
    _, tangent = jax.jvp(
        lambda b: function(jnp.asarray(x), jnp.asarray(weight), b),
        (jnp.asarray(bias[0]),),
        (jnp.asarray(bias[1]),),
    )
    np.testing.assert_array_equal(tangent, np.broadcast_to(bias[1][:, None], tangent.shape))
    zero = jnp.zeros_like(x)
    (turned,) = jax.linear_transpose(lambda b: function(zero, jnp.asarray(weight), b), jnp.asarray(bias[0]))(
        jnp.asarray(ct)
    )
    np.testing.assert_array_equal(turned, ct.sum((0, 2)))


POOLS = {
    "tiles": ((2, 2), {}),
    "overlaps": ((3, 2), {"stride": 1, "padding": 1}),
    "ceil": ((2, 3), {"ceil_mode": True, "dilation": 2}),
}


@pytest.mark.parametrize("name", POOLS)
def test_pooling_differentiates_through_its_switches(name: str, way: str) -> None:
    kernel, words = POOLS[name]
    x = np.random.default_rng(5).permutation(2 * 7 * 9).reshape(2, 7, 9) / 1.0

    def function(x: Any) -> Any:
        return us.max_pool(x, kernel, **words, return_switches=False)

    values, switches = us.max_pool(x, kernel, **words)
    ct, v = integers(values.shape, 1), integers(x.shape, 2)
    expected = us.max_unpool(ct, switches, duplicates="sum")
    np.testing.assert_array_equal(jax.jit(function)(x), values)
    np.testing.assert_array_equal(jax.jit(jax.grad(lambda x: (function(x) * ct).sum()))(x), expected)
    np.testing.assert_array_equal(
        jax.jvp(function, (jnp.asarray(x),), (jnp.asarray(v),))[1], us.max_gather(v, switches)
    )
    both = jax.jit(jax.vmap(lambda x: us.max_pool(x, kernel, **words)))(np.stack([x, -x]))
    np.testing.assert_array_equal(both[0][0], values)
    np.testing.assert_array_equal(both[1].taps[0], switches.taps)
    np.testing.assert_array_equal(both[1].taps[1], us.max_pool(-x, kernel, **words)[1].taps)
    # The switches are no function that could be differentiated: their tangent is nothing.
    (_, remembered), (_, tangent) = jax.jvp(
        lambda x: us.max_pool(x, kernel, **words), (jnp.asarray(x),), (jnp.asarray(v),)
    )
    assert remembered.taps.dtype == np.uint8
    assert tangent.taps.dtype == jax.dtypes.float0


@pytest.mark.parametrize("duplicates", ["last", "sum", "max"])
def test_unpooling_differentiates_what_reaches_the_output(duplicates: str, way: str) -> None:
    import torch

    import unsample.torch as ust

    x = np.random.default_rng(6).permutation(3 * 8 * 7).reshape(3, 8, 7) / 1.0
    _, switches = us.max_pool(x, (3, 3), stride=2, padding=1)
    values = np.round(np.random.default_rng(7).normal(size=switches.shape) * 2)  # with ties
    values[0, 0, :2] = np.nan
    ct = integers(x.shape, 8)

    def loss(values: Any, switches: Any) -> Any:
        up = us.max_unpool(values, switches, duplicates=duplicates)
        return (jnp.where(ct > 0, up, 0 * ct) * ct).sum()

    up = jax.jit(lambda v, s: us.max_unpool(v, s, duplicates=duplicates))(values, switches)
    np.testing.assert_array_equal(up, us.max_unpool(values, switches, duplicates=duplicates))
    # torch's operator is checked by its gradcheck; jax's rule is written on its own.
    theirs = torch.tensor(values, requires_grad=True)
    taps = us.Switches(torch.tensor(switches.taps), switches.windows)
    raised = ust.max_unpool(theirs, taps, duplicates=duplicates)
    (expected,) = torch.autograd.grad(raised, theirs, torch.tensor(np.where(ct > 0, ct, 0)))
    np.testing.assert_array_equal(jax.jit(jax.grad(loss))(values, switches), expected)
    tangent = jax.jit(
        lambda v, t, s: jax.jvp(lambda v: us.max_unpool(v, s, duplicates=duplicates), (v,), (t,))[1]
    )
    t = integers(values.shape, 9)
    assert np.sum(np.asarray(tangent(values, t, switches)) * np.where(ct > 0, ct, 0)) == np.sum(
        expected.numpy() * t
    )
    if duplicates == "max":
        with pytest.raises(TypeError, match="has no transpose"):
            jax.linear_transpose(
                lambda v: us.max_unpool(v, switches_on_jax(switches), duplicates="max"), values
            )(jnp.asarray(ct))
    else:
        turned = jax.linear_transpose(
            lambda v: us.max_unpool(v, switches_on_jax(switches), duplicates=duplicates), values
        )
        np.testing.assert_array_equal(turned(jnp.asarray(np.where(ct > 0, ct, 0)))[0], expected)


def switches_on_jax(switches: us.Switches) -> us.Switches:
    return us.Switches(jnp.asarray(switches.taps), switches.windows)


@pytest.mark.parametrize("call", ["max_unpool", "max_gather"])
def test_a_bad_switch_stamps_nothing_while_traced(call: str, way: str) -> None:
    values, switches = us.max_pool(integers((1, 5, 5), 1), (2, 2), padding=((0, 1), (1, 0)))
    taps = switches.taps.copy()
    taps[0, 0, 0], taps[0, 1, 1] = 0, 200  # into the padding, and beyond the window
    bad = us.Switches(taps, switches.windows)
    x = values if call == "max_unpool" else integers((1, 5, 5), 2)
    found = jax.jit(getattr(us, call))(x, bad)
    good = np.zeros(switches.shape)
    good[taps == switches.taps] = 1
    expected = (
        us.max_unpool(values * good, switches) if call == "max_unpool" else us.max_gather(x, switches) * good
    )
    np.testing.assert_array_equal(found, expected)


def test_switches_pass_through_jit_vmap_scan_and_grad(way: str) -> None:
    x = np.random.default_rng(8).permutation(4 * 6 * 5).reshape(4, 6, 5) / 1.0
    values, switches = jax.jit(lambda x: us.max_pool(x, (2, 2), ceil_mode=True))(x)
    leaves, tree = jax.tree.flatten(switches)
    assert len(leaves) == 1
    assert jax.tree.unflatten(tree, leaves) == switches
    expected = us.max_unpool(*us.max_pool(x, (2, 2), ceil_mode=True))
    np.testing.assert_array_equal(jax.jit(us.max_unpool)(values, switches), expected)
    np.testing.assert_array_equal(jax.jit(jax.vmap(us.max_unpool))(values, switches), expected)

    def step(carried: us.Switches, values: Any) -> tuple[us.Switches, Any]:
        return carried, us.max_unpool(values, carried)

    carried, up = jax.jit(lambda s, v: jax.lax.scan(step, s, v))(switches, jnp.stack([values, 2 * values]))
    np.testing.assert_array_equal(up[1], 2 * expected)
    assert carried.windows == switches.windows
    packed = switches.pack()
    np.testing.assert_array_equal(jax.jit(lambda p: p.unpack())(packed).taps, switches.taps)


def test_errors_are_raised_while_tracing_and_are_those_of_numpy(way: str) -> None:
    x, weight = np.ones((1, 3, 5)), np.ones((4, 2, 3))
    for call in (us.conv, us.conv_transpose):
        with pytest.raises(us.ShapeError) as numpy:
            call(x, weight)
        with pytest.raises(us.ShapeError) as traced:
            jax.jit(call)(x, weight)
        assert str(traced.value) == str(numpy.value)
    with pytest.raises(TypeError, match=r"max_unpool: duplicates='error' must look at the switches"):
        jax.jit(lambda x: us.max_unpool(*us.max_pool(x, (2,), stride=1), duplicates="error"))(x)


def test_static_arguments_are_hashable() -> None:
    resized = jax.jit(us.nearest, static_argnums=1)
    assert resized(jnp.ones((2, 3)), (2, 3)).shape == (4, 9)
    _, switches = us.max_pool(jnp.ones((4, 4)), (2, 2))
    assert hash(switches.windows) == hash(us.max_pool(np.ones((4, 4)), (2, 2))[1].windows)


def test_jit_can_be_switched_off(way: str) -> None:
    with jax.disable_jit():
        np.testing.assert_array_equal(us.nearest(jnp.array([1, 2]), (2,)), [1, 1, 2, 2])


def test_an_axis_without_elements_works(way: str) -> None:
    x = jnp.zeros((0, 2, 5))
    assert jax.jit(lambda x: us.conv_transpose(x, jnp.ones((2, 3, 2)), stride=2))(x).shape == (0, 3, 10)
    assert jax.jit(jax.grad(lambda w: us.conv(x, w).sum()))(jnp.ones((3, 2, 2))).shape == (3, 2, 2)
    assert us.nearest(x, (2,)).shape == (0, 2, 10)
    assert jax.jit(lambda x: us.max_pool(x, (2,)))(x)[0].shape == (0, 2, 2)
