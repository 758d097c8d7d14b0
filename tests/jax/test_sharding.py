"""Batches that are divided among devices stay so: nothing is gathered, each device computes its part."""

import os
import subprocess
import sys
from pathlib import Path

SHARDED = '''
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

import unsample as us
from backends import JAX
from samples import MORE, SAMPLES

mesh = jax.make_mesh((4,), ("d",), axis_types=(AxisType.Auto,))
divided, whole = NamedSharding(mesh, P("d")), NamedSharding(mesh, P())


def batch_of(sample):
    """Whether the first axis of a sample is neither spatial nor channels."""
    rank = sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs).rank
    channels = sample.pair.name in ("conv_transpose", "conv_weight_grad", "pixel_shuffle")
    return len(sample.shape) > rank + channels


def hold(name, function, given, summed):
    """The results equal those of one device, and all but those summed over the batch are divided as x is."""
    expected = jax.jit(function)(*given)
    placed = [jax.device_put(x, divided if i in (0, 1) else whole) for i, x in enumerate(given)]
    program = jax.jit(function).lower(*placed).compile()
    assert "all-gather" not in program.as_text(), name
    assert "unsample" in program.as_text() or not us.show_config().compiled, name
    for i, (found, wanted) in enumerate(zip(program(*placed), expected, strict=True)):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12, err_msg=name)
        assert found.sharding.is_equivalent_to(whole if i in summed else divided, found.ndim), name


for sample in SAMPLES:
    if str(sample) in MORE or not batch_of(sample) or sample.pair.name == "conv_weight_grad":
        continue
    for call, (args, kwargs), x in (
        (sample.pair.down, (sample.args, sample.kwargs), sample.x()),
        (sample.pair.up, sample.up, sample.y()),
    ):
        kwargs = dict(kwargs)
        if "output_size" in kwargs:
            rank = sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs).rank
            kwargs["output_size"] = kwargs["output_size"][-rank:]
        first, *rest = [*JAX.arguments(args), None]
        windows = first.windows if isinstance(first, us.Switches) else None
        weights = [first] if isinstance(first, jax.Array) else []
        taps = jnp.concatenate([first.taps] * 4) if windows else jnp.zeros(4)
        given = jnp.concatenate([x, -x, 2 * x, 3 * x]), taps, *weights

        def both(x, taps, *weights):
            more = [us.Switches(taps, windows)] if windows else weights or [first]
            more = [*more, *rest][: len(args)]
            value, back = jax.vjp(lambda x, *w: call(x, *w, *more[len(w) :], **kwargs), x, *weights)
            return value, *back(value)

        hold(str(sample) + call.__name__, both, given, {2})

x = jnp.asarray(np.random.default_rng(0).permutation(8 * 3 * 5 * 7).reshape(8, 3, 5, 7) / 1.0)
taps = jnp.zeros(4)


def pool(x, _):
    (values, switches), back = jax.vjp(lambda x: us.max_pool(x, 3, stride=2, padding=1), x)
    ct = us.Switches(np.zeros(switches.shape, jax.dtypes.float0), switches.windows)
    return values, switches.taps, *back((values, ct))


hold("max_pool", pool, (x, taps), ())
print("held")
'''


def test_every_operation_and_its_derivatives_stay_divided() -> None:
    shared = Path(__file__).parents[1] / "shared"
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": str(shared),
    }
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.strip() == "held", done.stderr
