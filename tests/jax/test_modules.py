"""unsample.jax itself, its Equinox and Flax modules."""

import importlib
import inspect
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import unsample as us
import unsample.jax as uj
import unsample.jax.equinox as ue
import unsample.jax.flax as uf
from backends import JAX  # with it come 64 bits
from checklist import OPERATION_NAMES
from samples import integers

WORDS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1, "groups": 2},
    {"stride": (2, 3), "padding": "same", "dilation": (2, 1)},
    {"padding": 1, "padding_mode": "circular", "groups": 2, "use_bias": False},
    {"stride": 2, "padding": ((0, 1), (1, 0)), "padding_mode": "reflect"},
]


def test_every_operation_is_there_and_takes_numpy_arrays() -> None:
    functions = set(OPERATION_NAMES)
    assert functions | {"Switches", "PackedSwitches"} == set(uj.__all__)
    assert uj.__all__ == sorted(uj.__all__)
    for name in functions:
        assert inspect.signature(getattr(uj, name)) == inspect.signature(getattr(us, name))
    values, switches = uj.max_pool(np.array([1.0, 3.0]), (2,))
    assert isinstance(values, JAX.kind)
    assert isinstance(switches.taps, JAX.kind)
    _, of_numpy = us.max_pool(np.array([1.0, 3.0]), (2,))
    assert uj.max_unpool(values=np.array([7.0]), switches=of_numpy).tolist() == [0.0, 7.0]
    with pytest.raises(TypeError, match="jax arrays cannot"):
        uj.nearest(np.ones(2), (2,), out=jnp.ones(4))


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_transposed_convolutions_of_equinox_and_flax_are_the_function(words: dict[str, Any]) -> None:
    x = integers((2, 4, 5, 6), 1)
    one = ue.ConvTranspose(2, 4, 6, (3, 2), **words, dtype=jnp.float64, key=jax.random.key(0))
    named = {"stride": "strides", "dilation": "kernel_dilation", "groups": "feature_group_count"}
    given = {"padding": 0, **{named.get(name, name): value for name, value in words.items()}}
    other = uf.ConvTranspose(4, 6, (3, 2), **given, param_dtype=jnp.float64, rngs=nnx.Rngs(1))
    bias = words.get("use_bias", True)
    assert (one.bias is not None) == (other.bias is not None) == bias
    other.kernel[...] = one.weight
    if bias:
        other.bias[...] = one.bias
    arguments = {name: value for name, value in words.items() if name != "use_bias"}
    expected = us.conv_transpose(
        x, np.asarray(one.weight), np.asarray(one.bias) if bias else None, **arguments
    )
    assert one.weight.shape == (4, 6 // words.get("groups", 1), 3, 2)
    np.testing.assert_allclose(jax.vmap(one)(x), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(eqx.filter_jit(one)(jnp.asarray(x[1])), expected[1], rtol=1e-12, atol=1e-12)
    found = nnx.jit(lambda m, x: m(x))(other, jnp.moveaxis(x, 1, -1))
    np.testing.assert_allclose(jnp.moveaxis(found, -1, 1), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(other(jnp.moveaxis(x[0], 0, -1)), found[0], rtol=1e-12, atol=1e-12)


def test_a_layer_of_torch_goes_in_as_it_is() -> None:
    theirs = torch.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2).double()
    ours = ue.ConvTranspose(2, 4, 6, 3, 2, 1, 1, groups=2, key=jax.random.key(0))
    assert ours.weight.shape == tuple(theirs.weight.shape)
    new = jnp.asarray(theirs.weight.detach().numpy()), jnp.asarray(theirs.bias.detach().numpy())
    ours = eqx.tree_at(lambda m: (m.weight, m.bias), ours, new)
    x = integers((4, 5, 7), 2)
    expected = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(jnp.asarray(x)), expected, rtol=1e-12, atol=1e-12)
    assert ours(jnp.asarray(x), output_size=(9, 13)).shape == (6, 9, 13)
    assert ours(jnp.asarray(x), like=jnp.ones((1, 10, 13))).shape == (6, 10, 13)


def test_modules_start_within_torch_s_bound() -> None:
    limit = (2 * 9) ** -0.5
    one = ue.ConvTranspose(2, 8, 4, 3, groups=2, key=jax.random.key(3))
    other = uf.ConvTranspose(8, 4, (3, 3), feature_group_count=2, rngs=nnx.Rngs(0))
    for weight in (one.weight, one.bias, other.kernel[...]):
        assert 0.25 * limit < float(jnp.abs(weight).max()) <= limit
    assert not np.any(other.bias[...])
    assert one.weight.dtype == jnp.float64
    assert other.kernel.dtype == jnp.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ue.ConvTranspose(2, 3, 4, 3, groups=2, key=jax.random.key(0)),
            "ConvTranspose: groups must divide the channels in and out, got 2 for 3 and 4",
        ),
        (
            lambda: uf.ConvTranspose(4, 4, (3,), feature_group_count=0, rngs=nnx.Rngs(0)),
            "ConvTranspose: groups must divide the channels in and out, got 0 for 4 and 4",
        ),
        (
            lambda: uf.MaxPool(2),
            "MaxPool: window_shape must hold one integer per spatial axis, got 2",
        ),
    ],
)
def test_modules_refuse_what_does_not_fit(make: Any, message: str) -> None:
    with pytest.raises((us.ShapeError, TypeError)) as caught:
        make()
    assert str(caught.value) == message


def test_modules_pool_and_come_back() -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * 5 * 7).reshape(2, 3, 5, 7) / 1.0
    expected = us.max_unpool(*us.max_pool(x, 2, ceil_mode=True))
    pool = ue.MaxPool(2, 2, ceil_mode=True)
    values, switches = jax.jit(jax.vmap(pool))(x)
    np.testing.assert_array_equal(jax.vmap(ue.MaxUnpool())(values, switches), expected)
    assert isinstance(ue.MaxPool(2, 2, return_switches=False)(jnp.asarray(x[0])), jax.Array)
    last = jnp.moveaxis(x, 1, -1)
    values, switches = nnx.jit(uf.MaxPool((2, 2), ceil_mode=True))(last)
    assert values.shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(jnp.moveaxis(uf.MaxUnpool()(values, switches), -1, 1), expected)
    gradient = eqx.filter_grad(lambda x: (ue.MaxUnpool()(*pool(x)) ** 2).sum())(jnp.asarray(x[0]))
    np.testing.assert_array_equal(gradient, 2 * expected[0])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_modules_of_equinox_take_one_example(rank: int) -> None:
    """And no batch, whose first axis would pass for channels, or for an axis of the example."""
    theirs = eqx.nn.ConvTranspose(rank, 4, 6, 2, key=jax.random.key(0))
    modules = [
        ue.ConvTranspose(rank, 4, 6, 2, key=jax.random.key(0)),
        ue.MaxPool(rank, 2),
        ue.PixelShuffle(rank, (4,) + (1,) * (rank - 1)),
        ue.PixelUnshuffle(rank, 2),
    ]
    for axes in range(7):
        x = jnp.ones((4,) * axes)
        switches = us.max_pool(np.ones((4, *(8,) * rank)), (2,) * rank)[1]
        calls = [theirs, *modules, lambda x, switches=switches: ue.MaxUnpool()(x, switches)]
        for call in calls:
            if axes == rank + 1:
                call(x)
                continue
            with pytest.raises(
                ValueError, match=r"rank|must be \(C, \*spatial\) with . spatial ax"
            ) as refused:
                call(x)
            assert str(x.shape) in str(refused.value)
    x = jnp.ones((3, 2, *(4,) * (rank + 1)))
    for module in modules:
        assert jax.vmap(jax.vmap(module))(x) is not None
        with pytest.raises(us.ShapeError):
            jax.vmap(module)(x)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_modules_of_flax_need_their_axes_and_a_channel(rank: int) -> None:
    modules = [
        uf.ConvTranspose(4, 6, (2,) * rank, rngs=nnx.Rngs(0)),
        uf.MaxPool((2,) * rank),
        uf.PixelShuffle((4,) + (1,) * (rank - 1)),
        uf.PixelUnshuffle((2,) * rank),
    ]
    for axes in range(rank + 3):
        x = jnp.ones((4,) * axes)
        for module in modules:
            if axes > rank:
                module(x)
                continue
            with pytest.raises(us.ShapeError) as refused:
                module(x)
            axis = "spatial axis" if rank == 1 else "spatial axes"
            needed = f"input must be (..., *spatial, C) with {rank} {axis}, got shape {x.shape}"
            assert str(refused.value) == f"{type(module).__name__}: {needed}"


@pytest.mark.parametrize("order", ["CRD", "DCR"])
def test_modules_shuffle_and_come_back(order: str) -> None:
    x = integers((2, 12, 3, 5), 3)
    expected = us.pixel_shuffle(x, (2, 3), order=order)
    np.testing.assert_array_equal(ue.PixelShuffle(2, (2, 3), order)(jnp.asarray(x[1])), expected[1])
    np.testing.assert_array_equal(ue.PixelUnshuffle(2, (2, 3), order)(jnp.asarray(expected[1])), x[1])
    last = uf.PixelShuffle((2, 3), order)(jnp.moveaxis(x, 1, -1))
    np.testing.assert_array_equal(jnp.moveaxis(last, -1, 1), expected)
    np.testing.assert_array_equal(uf.PixelUnshuffle((2, 3), order)(last), jnp.moveaxis(x, 1, -1))


def test_modules_train() -> None:
    target = jnp.asarray(integers((2, 10), 4)) / 9
    x = jnp.asarray(integers((3, 5), 5)) / 9

    def loss(module: Any) -> Any:
        return ((module(x) - target) ** 2).mean()

    module = ue.ConvTranspose(1, 3, 2, 4, stride=2, padding=1, key=jax.random.key(0))
    step = eqx.filter_jit(eqx.filter_value_and_grad(loss))
    first, _ = step(module)
    for _ in range(40):
        last, gradient = step(module)
        module = eqx.apply_updates(module, jax.tree.map(lambda g: -0.1 * g, gradient))
    assert last < 0.5 * first


def test_switches_are_a_pytree_once_jax_is_there_and_not_before() -> None:
    code = """
import numpy, sys, unsample
early = unsample.max_pool(numpy.ones((2, 2)), (2, 2))[1]
assert "jax" not in sys.modules
import jax
late = unsample.Switches(early.taps, early.windows)
print(len(jax.tree.leaves(late)), jax.jit(lambda s: s.taps + 1)(late))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1 [[1]]"


@pytest.mark.parametrize("name", ["unsample.jax.equinox", "unsample.jax.flax"])
def test_modules_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    for each in module.__all__:
        made = getattr(module, each)
        documented = made.__dict__.get("__doc__")
        assert documented, each
        parameters = set(inspect.signature(made.__init__).parameters) - {"self"}
        for parameter in parameters:
            assert parameter in documented, (each, parameter)


@pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR"])
@pytest.mark.parametrize(("kernel", "strides", "dilation"), [((3,), 2, 1), ((2,), 3, None), ((4,), None, 2)])
def test_words_of_flax_mean_the_same(padding: str, kernel: Any, strides: Any, dilation: Any) -> None:
    x = jnp.asarray(integers((2, 7, 3), 1))
    stride = (1,) if strides is None else (strides,)
    words = {"padding": padding, "kernel_dilation": dilation, "param_dtype": jnp.float64}
    theirs = nnx.ConvTranspose(3, 4, kernel, stride, **words, rngs=nnx.Rngs(0))
    ours = uf.ConvTranspose(3, 4, kernel, strides, **words, rngs=nnx.Rngs(1))
    ours.kernel[...] = jnp.moveaxis(theirs.kernel[...], 0, -1)[..., ::-1]
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-12, atol=1e-12)


def test_flax_takes_what_its_own_module_takes() -> None:
    """An int for one axis, several axes of a batch, the dtype to compute in; and ours alone `like`."""
    x = jnp.asarray(integers((2, 3, 5, 4), 1))
    up = uf.ConvTranspose(4, 6, 3, 2, dtype=jnp.float16, rngs=nnx.Rngs(0))
    assert up.kernel.shape == (4, 6, 3)
    found = up(x)
    assert (found.shape, found.dtype, up.kernel[...].dtype) == ((2, 3, 10, 6), jnp.float16, jnp.float32)
    np.testing.assert_array_equal(found[1, 2], up(x[1, 2]))
    assert up(x, like=jnp.ones((1, 9, 1))).shape == (2, 3, 9, 6)
    assert up(x, output_size=9).shape == (2, 3, 9, 6)
    assert up(x[:0]).shape == (0, 3, 10, 6)
    with pytest.raises(us.ShapeError, match="output_size and like must not both be given"):
        up(x, output_size=9, like=x)


MODULES: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (ue.ConvTranspose, (2, 4, 6, 3), {"stride": 2, "padding": 1, "groups": 2, "key": jax.random.PRNGKey(0)}),
    (ue.ConvTranspose, (2, 4, 6, (3, 2)), {"padding": ((1, 0), (0, 1)), "key": jax.random.key(0)}),
    *((ue.MaxPool, (2, value, value), {"padding": 1, "dilation": value}) for value in (2, (2, 3))),
    *((module, (2, value), {}) for value in (2, (2, 3)) for module in (ue.PixelShuffle, ue.PixelUnshuffle)),
    (uf.ConvTranspose, (4, 6, 3), {"strides": 2, "padding": 1, "feature_group_count": 2}),
    (uf.ConvTranspose, (4, 6, (3, 2)), {"padding": ((1, 0), (0, 1)), "kernel_dilation": (1, 2)}),
    (uf.MaxPool, ((2, 3),), {"strides": (2, 3), "padding": 1, "dilation": 1}),
    *((module, ((2, 3),), {}) for module in (uf.PixelShuffle, uf.PixelUnshuffle)),
]


@pytest.mark.parametrize("array", [np.array, torch.tensor, jnp.asarray], ids=["numpy", "torch", "jax"])
def test_numbers_of_every_constructor_in_arrays(array: Any) -> None:
    """They are kept as Python's: no leaf of a pytree, and a key remains what it is."""

    def given(value: Any) -> Any:
        return array(value) if isinstance(value, int | tuple) else value

    for constructor, args, kwargs in MODULES:
        more = {"rngs": nnx.Rngs(0)} if constructor is uf.ConvTranspose else {}
        expected = constructor(*args, **kwargs, **more)
        more = {"rngs": nnx.Rngs(0)} if constructor is uf.ConvTranspose else {}
        found = constructor(*map(given, args), **{k: given(v) for k, v in kwargs.items()}, **more)
        assert str(found) == str(expected)
        leaves = [
            jax.tree.leaves(nnx.state(each) if isinstance(each, nnx.Module) else each)
            for each in (found, expected)
        ]
        for one, other in zip(*leaves, strict=True):
            np.testing.assert_array_equal(one, other)
