"""`jax.export` with a batch and channels that are left open: one program for every number of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import unsample as us
from backends import JAX
from samples import MORE, SAMPLES, Sample, integers

FLOAT = jnp.float64


def left_open(*shapes: Any) -> list[Any]:
    """Arrays of these shapes for tracing; words in them are sizes left open."""
    names = sorted({size for shape in shapes for size in shape if isinstance(size, str)})
    symbols = dict(zip(names, jax.export.symbolic_shape(",".join(names)), strict=True))
    return [jax.ShapeDtypeStruct(tuple(symbols.get(n, n) for n in shape), FLOAT) for shape in shapes]


def has_batch(sample: Sample) -> bool:
    """Whether the first axis of a sample is neither spatial nor channels that weights or blocks fix."""
    rank = sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs).rank
    fixed = sample.pair.name in ("conv_transpose", "pixel_shuffle")
    return sample.pair.name != "conv_weight_grad" and len(sample.shape) > rank + fixed


BATCHED = [
    pytest.param(each, marks=pytest.mark.slow if str(each) in MORE else ())
    for each in SAMPLES
    if has_batch(each)
]


@pytest.mark.parametrize("sample", BATCHED, ids=str)
def test_a_batch_left_open_gives_what_every_batch_gives(sample: Sample) -> None:
    """Forward and derivative, of each direction, of one exported program at two sizes of the batch."""
    for call, (args, kwargs), x in (
        (sample.pair.down, (sample.args, sample.kwargs), sample.x()),
        (sample.pair.up, sample.up, sample.y()),
    ):
        kwargs = dict(kwargs)
        if "output_size" in kwargs:  # the spatial part of the full shape of the sample
            rank = sample.pair.plan_down(sample.shape, *sample.args, **sample.kwargs).rank
            kwargs["output_size"] = kwargs["output_size"][-rank:]
        args = JAX.arguments(args)
        taps = args[0].taps if args and isinstance(args[0], us.Switches) else None

        def both(x: Any, taps: Any, call: Any = call, args: Any = args, kwargs: Any = kwargs) -> Any:
            if taps is not None:
                args = us.Switches(taps, args[0].windows), *args[1:]
            value, back = jax.vjp(lambda x: call(x, *args, **kwargs), x)
            return value, back(value)[0]

        (batch,) = jax.export.symbolic_shape("b")
        shapes = [
            None if each is None else jax.ShapeDtypeStruct((batch, *each.shape[1:]), each.dtype)
            for each in (x, taps)
        ]
        program = jax.export.export(jax.jit(both))(*shapes)
        for n in (1, 3):
            given = [None if each is None else jnp.concatenate([each] * n) for each in (x, taps)]
            for found, expected in zip(program.call(*given), both(*given), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_batch_and_channels_are_left_open_at_once() -> None:
    def network(x: Any, w: Any) -> Any:
        values, switches = us.max_pool(x, 3, stride=2, padding=1)
        up = us.max_unpool(values, switches, duplicates="max")
        return us.conv_transpose(us.nearest(up, 2), w, stride=2, padding=1, padding_mode="circular")

    def loss(x: Any, w: Any) -> Any:
        return (network(x, w) ** 2).sum()

    gradients = jax.grad(loss, (0, 1))
    program = jax.export.export(jax.jit(gradients))(*left_open(("b", "c", 5, 7), ("c", 2, 3, 3)))
    for b, c in ((1, 2), (3, 5)):
        x, w = jnp.asarray(integers((b, c, 5, 7), 1)), jnp.asarray(integers((c, 2, 3, 3), 2))
        for found, expected in zip(program.call(x, w), gradients(x, w), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_mapping_over_an_open_axis() -> None:
    mapped = jax.vmap(lambda x: us.conv(x, jnp.ones((2, 3, 2))))
    program = jax.export.export(jax.jit(mapped))(*left_open(("b", 2, 3, 5)))
    x = jnp.asarray(integers((4, 2, 3, 5), 1))
    np.testing.assert_array_equal(program.call(x), mapped(x))


WEIGHT = jnp.ones((4, 4, 3))
X, H, C = ("b", 4, 8), ("b", 4, "h"), ("b", "c", 8)
REFUSED = [
    ([H], lambda x: us.nearest(x, 2), "nearest: the spatial size must be known"),
    ([H], lambda y: us.window_sum(y, 2), "window_sum: the spatial size must be known"),
    ([H], lambda x: us.bed_of_nails(x, 2), "bed_of_nails: the spatial size must be known"),
    ([X, H], lambda x, like: us.bed_of_nails(x, 2, like=like), "bed_of_nails: the spatial size of like must"),
    ([H], lambda y: us.decimate(y, 2), "decimate: the spatial size must be known"),
    ([H], lambda x: us.max_pool(x, 2), "max_pool: the spatial size must be known"),
    ([H], lambda x: us.adaptive_max_pool(x, 2), "adaptive_max_pool: the spatial size must be known"),
    ([X], lambda x: us.max_pool(x, 2)[1].pack(), "Switches.pack: the shape must be known"),
    (
        [X],
        lambda x: us.max_pool(x, 2)[1].to_onnx(),
        "Switches.to_onnx: the numbers of examples and channels that indices count must be known",
    ),
    (
        [X],
        lambda x: us.max_pool(x, 2)[1].to_tf(include_batch_in_index=True),
        "Switches.to_tf: the numbers of examples and channels that indices count must be known",
    ),
    (
        [X],
        lambda x: us.Switches.from_onnx(x.astype(int), (8,), 1),
        "Switches.from_onnx: the numbers of examples and channels that indices count must be known",
    ),
    (
        [("b", 8, "c")],
        lambda x: us.Switches.from_tf(x.astype(int), (8,), 1),
        "Switches.from_tf: the numbers of examples and channels that indices count must be known",
    ),
    ([C], lambda x: us.pixel_shuffle(x, 2), "pixel_shuffle: the channels must be known"),
    ([H], lambda x: us.pixel_shuffle(x, 2), "pixel_shuffle: the spatial size must be known"),
    ([C], lambda y: us.pixel_unshuffle(y, 2), "pixel_unshuffle: the channels must be known"),
    ([H], lambda y: us.pixel_unshuffle(y, 2), "pixel_unshuffle: the spatial size must be known"),
    ([H], lambda x: us.conv(x, WEIGHT), "conv: the spatial size must be known"),
    ([H], lambda y: us.conv_transpose(y, WEIGHT), "conv_transpose: the spatial size must be known"),
    ([X, (4, 2, "k")], us.conv_transpose, "conv_transpose: the kernel size must be known"),
    (
        [X, ("b", 4, 2, 3)],
        lambda y, many: jax.vmap(lambda w: us.conv_transpose(y, w))(many),
        "conv_transpose: the number of mapped weights must be known",
    ),
    (
        [X, ("b", 2, 6)],
        lambda x, y: us.conv_weight_grad(x, y, x.shape[:1]),
        "conv_weight_grad: kernel_size must be known",
    ),
    ([X, (1, 2, 6)], lambda x, y: us.conv_weight_grad(x, y, 3), "conv_weight_grad: y must have the shape"),
    ([X, (2, 4, 4)], lambda x, y: us.max_unpool(y, us.max_pool(x, 2)[1]), "max_unpool: values must have"),
    ([H], lambda x: us.resize(x, factor=2), "resize: the spatial size must be known"),
    ([H], lambda x: us.resize(x, 8), "resize: the spatial size must be known"),
    ([X], lambda x: us.resize(x, x.shape[0]), "resize: output_size must be known"),
    ([H], lambda y: us.resize_transpose(y, 8), "resize_transpose: the spatial size must be known"),
]


@pytest.mark.parametrize(("shapes", "call", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_cannot_be_left_open_is_refused_in_a_sentence(shapes: Any, call: Any, message: str) -> None:
    with pytest.raises(us.ShapeError, match=f"^{message}"):
        jax.export.export(jax.jit(call))(*left_open(*shapes))
