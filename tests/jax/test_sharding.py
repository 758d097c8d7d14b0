"""Batches that are divided among devices stay so: nothing is gathered, each device computes its part."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARDED = '''
import sys
from types import ModuleType

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

axes, how = sys.argv[1:]
dispatch = sys.modules["jax._src.dispatch"]
if how == "without":
    sys.modules["jax._src.dispatch"] = ModuleType("jax._src.dispatch")
import unsample as us
import unsample.jax.partition

sys.modules["jax._src.dispatch"] = dispatch
from backends import JAX
from samples import MORE, SAMPLES

mesh = jax.make_mesh((2, 2), ("d", "c"), axis_types=(AxisType[axes],) * 2)
jax.set_mesh(mesh)
ALONG = P(("d", "c"))


def rank_of(sample):
    return sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs).rank


def has_batch(sample):
    """Whether the first axis of a sample is neither spatial nor channels."""
    channels = sample.pair.name in ("conv_transpose", "conv_weight_grad", "pixel_shuffle")
    return len(sample.shape) > rank_of(sample) + channels


def hold(name, function, given, specs, results):
    """The results equal those of one device, and lie as said where the batch is kept divided."""
    one = jax.make_mesh((1,), ("one",), axis_types=(AxisType.Auto,), devices=jax.devices()[:1])
    with jax.set_mesh(one):
        expected = jax.jit(function)(*(jax.device_put(np.asarray(x), NamedSharding(one, P())) for x in given))
    placed = [jax.device_put(x, NamedSharding(mesh, spec)) for x, spec in zip(given, specs, strict=True)]
    program = jax.jit(function).lower(*placed).compile()
    gathers = "all-gather" in program.as_text()
    assert gathers == (how == "without") or not us.show_config().compiled or "gathered" in name, name
    assert "unsample" in program.as_text() or not us.show_config().compiled, name
    for found, wanted, spec in zip(program(*placed), expected, results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12, err_msg=name)
        lies = NamedSharding(mesh, spec)
        assert how == "without" or found.sharding.is_equivalent_to(lies, found.ndim), (name, found.sharding)


def both(call, *arrays, of=(0,)):
    """A call, and its derivatives with respect to the arrays of these numbers."""

    def function(*arrays):
        def some(*few):
            each = dict(zip(of, few, strict=True))
            return call(*(each.get(i, x) for i, x in enumerate(arrays)))

        value, back = jax.vjp(some, *(arrays[i] for i in of))
        return value, *back(value)

    return function


SOME = {sample.pair.name: sample for sample in SAMPLES if has_batch(sample) and str(sample) not in MORE}
for sample in {"all": filter(has_batch, SAMPLES), "some": SOME.values(), "without": ()}[how]:
    if sample.pair.name == "conv_weight_grad":
        continue
    for call, (args, kwargs), x in (
        (sample.pair.down, (sample.args, sample.kwargs), sample.x()),
        (sample.pair.up, sample.up, sample.y()),
    ):
        kwargs = dict(kwargs)
        if "output_size" in kwargs:
            kwargs["output_size"] = kwargs["output_size"][-rank_of(sample) :]
        first, *rest = [*JAX.arguments(args), None]
        switches = isinstance(first, us.Switches)
        given = [np.concatenate([x, -x, 2 * x, 3 * x])]
        if switches:
            given += [np.concatenate([first.taps] * 4)]
        elif isinstance(first, jax.Array):
            given += [np.asarray(first)]

        def one(x, *more):
            more = [us.Switches(*more, first.windows)] if switches else more or [first]
            return call(x, *[*more, *rest][: len(args)], **kwargs)

        weighs = len(given) == 2 and not switches
        specs = [ALONG, *([P()] if weighs else [ALONG] if switches else [])]
        lie = [ALONG, ALONG, *([P()] if weighs else [])]
        hold(str(sample) + call.__name__, both(one, of=(0, 1) if weighs else (0,)), given, specs, lie)

x = np.random.default_rng(0).permutation(8 * 4 * 5 * 7).reshape(8, 4, 5, 7) / 1.0


def pool(x):
    (values, switches), back = jax.vjp(lambda x: us.max_pool(x, 3, stride=2, padding=1), x)
    ct = us.Switches(np.zeros(switches.shape, jax.dtypes.float0), switches.windows)
    return values, switches.taps, *back((values, ct))


def there_and_back(rule):
    return lambda x: us.max_unpool(*us.max_pool(x, 3, stride=2, padding=1), duplicates=rule)


channels = P("d", "c")
hold("max_pool", pool, [x], [channels], [channels] * 3)
for rule in ("last", "max", "sum"):
    hold("max_unpool " + rule, both(there_and_back(rule)), [x], [channels], [channels] * 2)

w, b = np.random.default_rng(1).normal(size=(4, 2, 3, 3)), np.ones(2)
up = both(lambda x, w, b: us.conv_transpose(x, w, b, padding_mode="circular", padding=1), of=(0, 1, 2))
hold("conv_transpose", up, [x, w, b], [P("d"), P(), P()], [P("d"), P("d"), P(), P()])
if axes == "Explicit":  # the layouts of gradients are those of what they are gradients of
    shuffle = both(lambda x: us.pixel_shuffle(x, 2))
    hold("pixel_shuffle gathered", shuffle, [x], [channels], [P("d"), channels])
    windows = P(None, None, "d")
    hold("nearest gathered", both(lambda x: us.nearest(x, 2)), [x[:, :, :4]], [windows], [P(), windows])
    given = [channels, P("d"), P("c")]
    hold("conv_transpose gathered", up, [x, w, b], given, [P("d"), *given])
print("held")
'''


@pytest.mark.parametrize(
    ("axes", "how"),
    [
        ("Auto", "some"),
        ("Explicit", "some"),
        ("Auto", "without"),
        pytest.param("Explicit", "without", marks=pytest.mark.slow),
        pytest.param("Auto", "all", marks=pytest.mark.slow),
        pytest.param("Explicit", "all", marks=pytest.mark.slow),
    ],
)
def test_every_operation_and_its_derivatives_stay_divided(axes: str, how: str) -> None:
    """On meshes of both kinds; right, if gathered, "without" what jax does not promise to keep."""
    shared = Path(__file__).parents[1] / "shared"
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": str(shared),
    }
    done = subprocess.run(
        [sys.executable, "-c", SHARDED, axes, how],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stdout.strip() == "held", done.stderr
