"""Conversions between libraries, each run in the library itself; TensorFlow by the values it gave."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
import torch
from flax import nnx
from onnx import TensorProto, helper

import tensorflow_values as tf
import unsample as us
from backends import BACKENDS, Backend
from unsample import interop
from unsample.interop import conv_arguments as args
from unsample.interop.libraries import CALLS

RECORDED = json.loads(tf.FILE.read_text(encoding="utf-8"))
LIBRARIES = ("unsample", "torch", "keras", "jax", "flax", "onnx")
RNGS = nnx.Rngs(0)
every_library = pytest.mark.parametrize("library", BACKENDS, ids=lambda backend: backend.name)


# -- what runs: x is channels first, weight and arguments are the library's own ---------------------------


def run_unsample(call: str, x: Any, weight: Any, arguments: dict[str, Any]) -> Any:
    return getattr(us, call)(x, weight, **arguments)


def run_torch(call: str, x: Any, weight: Any, arguments: dict[str, Any]) -> Any:
    function = getattr(torch.nn.functional, f"{call}{x.ndim - 2}d")
    return function(torch.tensor(x), torch.tensor(weight), **arguments).numpy()


def run_jax(call: str, x: Any, weight: Any, arguments: dict[str, Any]) -> Any:
    letters = "DHW"[-(x.ndim - 2) :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    function = jax.lax.conv_transpose if call == "conv_transpose" else jax.lax.conv_general_dilated
    out = function(np.moveaxis(x, 1, -1), weight, dimension_numbers=numbers, **arguments)
    return np.moveaxis(np.asarray(out), -1, 1)


def run_flax(call: str, x: Any, weight: Any, arguments: dict[str, Any]) -> Any:
    out_channels = weight.shape[-2 if arguments.get("transpose_kernel") else -1]
    layer = {"conv_transpose": nnx.ConvTranspose, "conv": nnx.Conv}[call](
        x.shape[1],
        out_channels,
        weight.shape[:-2],
        use_bias=False,
        param_dtype=np.float64,
        kernel_init=lambda *_: jnp.asarray(weight),  # drawing one compiles a program for every shape
        rngs=RNGS,
        **arguments,
    )
    assert layer.kernel.shape == layer.kernel_shape == weight.shape
    return np.moveaxis(np.asarray(layer(np.moveaxis(x, 1, -1))), -1, 1)


def run_onnx(call: str, x: Any, weight: Any, arguments: dict[str, Any]) -> Any:
    name = {"conv": "Conv", "conv_transpose": "ConvTranspose"}[call]
    (out,) = onnx_node(name, {"x": x.astype(np.float32), "w": weight.astype(np.float32)}, 1, arguments)
    return out.astype(np.float64)


def onnx_node(name: str, inputs: dict[str, Any], outputs: int, attributes: dict[str, Any]) -> list[Any]:
    """One ONNX node in ONNX Runtime."""
    names = [f"out{i}" for i in range(outputs)]
    node = helper.make_node(name, list(inputs), names, **attributes)
    kinds = {each: helper.np_dtype_to_tensor_dtype(x.dtype) for each, x in inputs.items()}
    given = [helper.make_tensor_value_info(each, kinds[each], inputs[each].shape) for each in inputs]
    first = next(iter(kinds.values()))
    made = [helper.make_tensor_value_info(names[0], first, None)]
    made += [helper.make_tensor_value_info(each, TensorProto.INT64, None) for each in names[1:]]
    graph = helper.make_graph([node], "node", given, made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its shape inference and its kernel differ on output_shape
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return list(session.run(None, {each: np.ascontiguousarray(x) for each, x in inputs.items()}))


def run_keras(call: str, x: Any, weight: Any, arguments: dict[str, Any]) -> Any:
    """What TensorFlow gave for these arguments."""
    found = recorded()[call, weight.shape[:-2], x.shape[2:], key(arguments)]
    theirs, kernel = tf.operands(found)
    np.testing.assert_array_equal(np.moveaxis(theirs, -1, 1), x)
    np.testing.assert_array_equal(kernel, weight)
    return np.moveaxis(np.array(found["out"], np.float64).reshape(found["shape"]), -1, 1)


def key(arguments: dict[str, Any]) -> tuple[Any, ...]:
    """Arguments with what is the default left out."""
    kept = {}
    for name, value in arguments.items():
        plain = tuple(value) if isinstance(value, list) else value
        if name in ("strides", "dilation_rate") and set(plain) == {1}:
            continue
        if (name, plain) != ("groups", 1):
            kept[name] = plain
    return tuple(sorted(kept.items()))


@lru_cache(maxsize=1)
def recorded() -> dict[Any, Any]:
    return {
        (layer["call"], tuple(layer["kernel"]), tuple(layer["size"]), key(layer["given"])): layer
        for layer in RECORDED["layers"]
        if "refused" not in layer
    }


RUN: dict[str, Callable[..., Any]] = {
    "unsample": run_unsample,
    "torch": run_torch,
    "keras": run_keras,
    "jax": run_jax,
    "flax": run_flax,
    "onnx": run_onnx,
}


# -- every source to every target --------------------------------------------------------------------------

# Library -> kernel size and arguments, of 1, 2 and 3 axes.
UP: dict[str, list[tuple[tuple[int, ...], dict[str, Any]]]] = {
    "unsample": [
        ((3,), {}),
        ((4,), {"stride": 2, "padding": 1}),
        ((3,), {"stride": 2, "padding": "same"}),
        ((2,), {"stride": 4, "padding": "same"}),
        ((3,), {"stride": 2, "padding": ((1, -1),)}),
        ((3,), {"stride": 2, "padding": ((0, 2),)}),
        ((3,), {"padding": "full"}),
        ((3, 2), {"stride": (1, 3), "padding": ((1, 0), (0, 1)), "dilation": (2, 1)}),
        ((3, 4), {"stride": 2, "padding": (1, 2), "output_padding": (1, 0)}),
        ((2, 3, 2), {"stride": (2, 1, 2), "padding": "same"}),
    ],
    "torch": [
        ((3,), {}),
        ((3,), {"stride": 2, "padding": 1}),
        ((3,), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((5,), {"stride": 4, "output_padding": 3}),
        ((2,), {"stride": 2, "dilation": 3, "output_padding": 2}),
        ((4, 4), {"stride": 2, "padding": 1}),
        ((3, 2), {"stride": (2, 3), "padding": (1, 0), "output_padding": (0, 1), "dilation": (1, 2)}),
        ((2, 3, 4), {"stride": (1, 2, 2), "padding": (0, 1, 1)}),
    ],
    "jax": [
        ((3,), {"strides": (2,), "padding": "SAME"}),
        ((3,), {"strides": (2,), "padding": "VALID"}),
        ((2,), {"strides": (4,), "padding": "SAME"}),
        ((2,), {"strides": (4,), "padding": "VALID"}),
        ((4,), {"strides": (2,), "padding": "SAME", "transpose_kernel": True}),
        ((4,), {"strides": (2,), "padding": [(2, 2)]}),
        ((4,), {"strides": (2,), "padding": [(1, 2)], "transpose_kernel": True}),
        ((4,), {"strides": (2,), "padding": ((1, 1),), "use_consistent_padding": True}),
        ((3,), {"strides": (1,), "padding": "VALID", "use_consistent_padding": True}),
        ((3, 2), {"strides": (2, 2), "padding": [(2, 3), (1, 1)], "rhs_dilation": (1, 2)}),
        ((2, 3, 2), {"strides": (2, 1, 3), "padding": "SAME"}),
    ],
    "flax": [
        ((3,), {"strides": 2}),
        ((3,), {"strides": None, "padding": "VALID"}),
        ((3,), {"strides": (3,), "padding": 1}),
        ((4, 4), {"strides": (2, 2), "padding": "SAME"}),
        ((4, 3), {"strides": (2, 1), "padding": [2, (1, 1)], "transpose_kernel": True}),
        ((2, 3, 2), {"strides": (2, 1, 2), "padding": "VALID", "kernel_dilation": (2, 1, 1)}),
    ],
    "onnx": [
        ((3,), {"strides": [2]}),
        ((3,), {"strides": [2], "pads": [1, 1], "output_padding": [1]}),
        ((3,), {"strides": [2], "pads": [0, 2], "kernel_shape": [3]}),
        ((3,), {"strides": [2], "auto_pad": "SAME_UPPER"}),
        ((3,), {"strides": [2], "auto_pad": "SAME_LOWER"}),
        ((4,), {"strides": [2], "auto_pad": "SAME_UPPER", "output_padding": [1]}),
        ((4,), {"strides": [2], "auto_pad": "VALID"}),
        ((4,), {"strides": [2], "output_shape": [5]}),
        ((4,), {"strides": [2], "output_shape": [5], "auto_pad": "SAME_UPPER"}),
        ((3, 2), {"strides": [2, 3], "pads": [1, 0, 0, 1], "dilations": [1, 2]}),
        ((2, 3, 2), {"strides": [2, 1, 2], "pads": [0, 1, 1, 1, 0, 0]}),
    ],
}
DOWN: dict[str, list[tuple[tuple[int, ...], dict[str, Any]]]] = {
    "unsample": [
        ((3,), {"padding": "same", "stride": 2}),
        ((3, 2), {"stride": (1, 2), "padding": ((1, 0), (0, 1)), "dilation": (2, 1)}),
        ((3,), {"padding": ((-1, 2),)}),
        ((3,), {"padding": "full"}),
    ],
    "torch": [
        ((3,), {"stride": 2, "padding": 1}),
        ((4,), {"padding": "same"}),
        ((3, 2), {"padding": "valid", "dilation": 2}),
        ((2, 3, 3), {"stride": (1, 2, 2), "padding": (0, 1, 1)}),
    ],
    "jax": [
        ((3,), {"window_strides": (2,), "padding": "SAME"}),
        ((4,), {"window_strides": (1,), "padding": "VALID", "rhs_dilation": (2,)}),
        ((3, 2), {"window_strides": (2, 1), "padding": [(1, 0), (0, 2)]}),
        ((2, 3, 3), {"window_strides": (1, 2, 2), "padding": "SAME"}),
    ],
    "flax": [
        ((3,), {"strides": 2}),
        ((3,), {"padding": "CAUSAL"}),
        ((3, 2), {"strides": (2, 1), "padding": [1, (0, 2)], "kernel_dilation": 2}),
        ((2, 3, 3), {"padding": "VALID"}),
    ],
    "onnx": [
        ((3,), {"strides": [2], "auto_pad": "SAME_UPPER"}),
        ((3,), {"strides": [2], "auto_pad": "SAME_LOWER"}),
        ((3, 2), {"pads": [1, 0, 0, 1], "dilations": [2, 1], "kernel_shape": [3, 2]}),
        ((2, 3, 3), {"auto_pad": "VALID"}),
    ],
}
SIZES = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
LARGER = {1: (9,), 2: (8, 7), 3: (4, 5, 6)}


def cases() -> Iterator[tuple[str, str, tuple[int, ...], dict[str, Any], tuple[int, ...]]]:
    for call, table, sizes in (("conv_transpose", UP, SIZES), ("conv", DOWN, LARGER)):
        for source, given in table.items():
            for kernel, arguments in given:
                yield call, source, kernel, arguments, sizes[len(kernel)]
    for layer in RECORDED["layers"]:
        if "refused" not in layer:
            given = {name: v if isinstance(v, str) else tuple(v) for name, v in layer["given"].items()}
            yield layer["call"], "keras", tuple(layer["kernel"]), given, tuple(layer["size"])


CASES = list(cases())


def operands(call: str, source: str, kernel: tuple[int, ...], size: tuple[int, ...], given: Any) -> Any:
    """Channels-first input and the source's kernel, 2 channels in and 3 out."""
    x, theirs = tf.operands({"call": call, "kernel": kernel, "size": size})
    layout = {"operation": call, "transpose_kernel": given.get("transpose_kernel", False)}
    # Not by a conversion: the axes are moved here, as the documentation of each library has them.
    c_in, c_out = 2, 3
    shapes = {
        "kio": (*kernel, c_in, c_out),
        "koi": (*kernel, c_out, c_in),
        "oik": (c_out, c_in, *kernel),
        "iok": (c_in, c_out, *kernel),
    }
    up = call == "conv_transpose"
    if source in ("unsample", "torch", "onnx"):
        shape = shapes["iok" if up else "oik"]
    elif source == "keras":
        return np.moveaxis(x, -1, 1), theirs
    else:
        shape = shapes["koi" if up and layout["transpose_kernel"] else "kio"]
    return np.moveaxis(x, -1, 1), tf.numbers(shape, 1)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_every_conversion_gives_what_the_source_gives() -> None:
    """Each case in its own library, and converted to each of the others."""
    done: dict[tuple[str, str], int] = {}
    refused: dict[tuple[str, str], int] = {}
    for call, source, kernel, given, size in CASES:
        x, weight = operands(call, source, kernel, size, given)
        expected = RUN[source](call, x, weight, given)
        convert = getattr(interop, f"convert_{call}")
        for target in LIBRARIES:
            for transpose_kernel in (
                (False, True) if (target, call) == ("jax", "conv_transpose") else (False,)
            ):
                more = {"transpose_kernel": transpose_kernel} if call == "conv_transpose" else {}
                words = {"source": source, "target": target, "input_size": size, **more}
                try:
                    there = convert(weight, given, **words)
                except us.ShapeError:
                    refused[source, target] = refused.get((source, target), 0) + 1
                    continue
                if target == "keras" and source != "keras":
                    # TensorFlow was not asked for this: read back, which its recorded values hold.
                    found = run_back(call, x, there, size)
                else:
                    found = RUN[target](call, x, there.weight, there.arguments)
                message = f"{call} {source} -> {target}: {kernel} {given} became {there}"
                np.testing.assert_array_equal(found, expected, err_msg=message)
                done[source, target] = done.get((source, target), 0) + 1
    assert set(done) == set(itertools.product(LIBRARIES, LIBRARIES))
    assert {target for _, target in refused} == {"torch", "keras", "onnx"}
    assert all((library, library) not in refused for library in LIBRARIES), refused


@pytest.mark.parametrize("call", ["conv", "conv_transpose", "conv_transpose of a transposed kernel"])
@pytest.mark.parametrize("given", [{}, {"strides": (3, 2)}, {"kernel_dilation": 2}], ids=str)
@pytest.mark.parametrize("kernel", [(3, 4), (2, 5), (1, 7)])
def test_circular_padding_of_flax(call: str, given: dict[str, Any], kernel: tuple[int, ...]) -> None:
    call, _, transposed = call.partition(" ")
    # Flax does not broadcast strides that it wraps.
    given = {"strides": (1, 1), **given, "padding": "CIRCULAR"}
    given |= {"transpose_kernel": True} if transposed else {}
    x, weight = operands(call, "flax", kernel, (5, 7), given)
    here = getattr(interop, f"convert_{call}")(weight, given, source="flax", target="unsample")
    assert here.arguments["padding_mode"] == "circular"
    np.testing.assert_array_equal(
        RUN["unsample"](call, x, here.weight, here.arguments), run_flax(call, x, weight, given)
    )


def run_back(call: str, x: Any, there: interop.Converted, size: tuple[int, ...]) -> Any:
    convert = getattr(interop, f"convert_{call}")
    here = convert(there.weight, there.arguments, source="keras", target="unsample", input_size=size)
    return RUN["unsample"](call, x, here.weight, here.arguments)


# -- what can be said ----------------------------------------------------------------------------------------


def calls_of(library: str, kernel: int, stride: int, dilation: int) -> Iterator[dict[str, Any]]:
    """Every call of a transposed convolution that crops at most 6 elements a side."""
    if library == "torch":
        for padding, extra in itertools.product(range(7), range(max(stride, dilation))):
            yield {"stride": stride, "dilation": dilation, "padding": padding, "output_padding": extra}
    elif library == "onnx":
        for before, after, extra in itertools.product(range(7), range(7), range(stride)):
            words = {"strides": [stride], "dilations": [dilation], "output_padding": [extra]}
            yield {**words, "pads": [before, after]}
    else:
        for word, extra in itertools.product(("valid", "same"), (None, *range(stride))):
            if word == "same" and extra == 0 and (dilation * (kernel - 1) + 1) % 2 == 0:
                continue  # refused by TensorFlow: see the recorded values
            yield {"strides": stride, "dilation_rate": dilation, "padding": word, "output_padding": extra}


@pytest.mark.parametrize("library", ["torch", "onnx", "keras"])
def test_a_target_refuses_only_what_none_of_its_calls_does(library: str) -> None:
    for kernel, stride, dilation in itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2)):
        if library == "keras" and stride > 1 and dilation > 1:
            continue
        crops = {
            args.read(library, CALLS["conv_transpose"][library], (kernel,), call, True, None).pads[0]
            for call in calls_of(library, kernel, stride, dilation)
        }
        for crop in itertools.product(range(-3, 4), range(-3, 4)):
            here = {"stride": stride, "dilation": dilation, "padding": (crop,)}
            try:
                there = interop.convert_arguments((kernel,), here, source="unsample", target=library)
            except us.ShapeError:
                assert crop not in crops, (kernel, here)
                continue
            assert crop in crops, (kernel, here)
            back = interop.convert_arguments((kernel,), there, source=library, target="unsample")
            assert back == {"stride": (stride,), "dilation": (dilation,), "groups": 1, "padding": (crop,)}


def test_tensorflow_refuses_what_the_writer_leaves_out() -> None:
    """Keras's "same" with output_padding 0 and a kernel of even length."""
    refused = {
        (layer["kernel"][0], *layer["given"]["output_padding"], layer["given"]["padding"])
        for layer in RECORDED["layers"]
        if "refused" in layer and "output_padding" in layer["given"]
    }
    assert refused == {(2, 0, "same"), (4, 0, "same")}


# -- groups --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["conv", "conv_transpose"])
@pytest.mark.parametrize("target", LIBRARIES)
@pytest.mark.parametrize("groups", [2, 4])
def test_groups(call: str, target: str, groups: int) -> None:
    convert = getattr(interop, f"convert_{call}")
    c_out = 6 if groups == 2 else 8
    up = call == "conv_transpose"
    x = tf.numbers((1, 4, 5, 6), 0)
    weight = tf.numbers((4, c_out // groups, 3, 2) if up else (c_out, 4 // groups, 3, 2), 1)
    given = {"stride": 2, "groups": groups, "padding": 1}
    if target != "keras":
        given["padding"] = (1, 0)
    elif not up:
        given = {"groups": groups}
    expected = run_torch(call, x, weight, given)
    words = {"source": "torch", "target": target, "input_size": (5, 6)}
    if not up or target in ("unsample", "torch", "onnx"):
        there = convert(weight, given, **words)
        if target == "keras":  # no TensorFlow here: its layout of groups is Flax's
            there = interop.Converted(there.weight, {"feature_group_count": groups, "padding": "VALID"})
        if target in ("flax", "keras"):
            there = interop.Converted(there.weight, there.arguments)
            found = run_flax_groups(x, there)
        else:
            found = RUN[target](call, x, there.weight, dict(there.arguments))
        np.testing.assert_array_equal(found, expected)
        return
    with pytest.raises(us.ShapeError) as caught:
        convert(weight, given, **words)
    assert str(caught.value) == (
        f"convert_arguments: groups must be 1, as the transposed convolution of {target} has none "
        f"(ungroup(weight, groups) makes one group of them), got {groups}"
    )
    if target == "keras":
        return
    there = convert(interop.ungroup(weight, groups), {"stride": 2, "padding": (1, 0)}, **words)
    np.testing.assert_array_equal(RUN[target](call, x, there.weight, there.arguments), expected)


def run_flax_groups(x: Any, there: interop.Converted) -> Any:
    weight = there.weight
    groups = there.arguments["feature_group_count"]
    layer = nnx.Conv(
        weight.shape[-2] * groups,
        weight.shape[-1],
        weight.shape[:-2],
        use_bias=False,
        param_dtype=np.float64,
        rngs=nnx.Rngs(0),
        **there.arguments,
    )
    layer.kernel[...] = weight
    return np.moveaxis(np.asarray(layer(np.moveaxis(x, 1, -1))), -1, 1)


@every_library
def test_weights_of_every_array_library(library: Backend) -> None:
    weight = tf.numbers((2, 3, 4, 5), 1)
    for target in ("keras", "flax"):
        there = interop.convert_weight(library.array(weight), source="torch", target=target)
        assert isinstance(there, library.kind)
        keras, flax = weight.transpose(2, 3, 1, 0), weight.transpose(2, 3, 0, 1)[::-1, ::-1]
        expected = keras if target == "keras" else flax
        np.testing.assert_array_equal(library.numpy(there), expected)
        back = interop.convert_weight(there, source=target, target="torch")
        np.testing.assert_array_equal(library.numpy(back), weight)
    wide = interop.ungroup(library.array(weight), 2)
    np.testing.assert_array_equal(library.numpy(wide)[0, :3], weight[0])
    np.testing.assert_array_equal(library.numpy(wide)[1, 3:], weight[1])
    assert np.count_nonzero(library.numpy(wide)) == np.count_nonzero(weight)


# -- pixel shuffle -------------------------------------------------------------------------------------------


@every_library
@pytest.mark.parametrize("factor", [(2,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("source", ["CRD", "DCR"])
def test_shuffled_channels(library: Backend, factor: tuple[int, ...], source: str) -> None:
    """A convolution before a pixel shuffle, its channels reordered, and the other order of shuffling."""
    block = int(np.prod(factor))
    target = {"CRD": "DCR", "DCR": "CRD"}[source]
    weight = tf.numbers((4 * block, 2, *(3,) * len(factor)), 1)
    x = library.array(tf.numbers((1, 2, *(5,) * len(factor)), 0))
    words = {"source": source, "target": target, "axis": 0}
    there = interop.convert_shuffle(library.array(weight), factor, **words)
    found = us.pixel_shuffle(us.conv(x, there), factor, order=target)
    expected = us.pixel_shuffle(us.conv(x, library.array(weight)), factor, order=source)
    np.testing.assert_array_equal(library.numpy(found), library.numpy(expected))
    back = interop.convert_shuffle(there, factor, source=target, target=source, axis=0)
    np.testing.assert_array_equal(library.numpy(back), weight)
    keras = interop.convert_shuffle(np.moveaxis(weight, 0, -1), factor, source=source, target=target, axis=-1)
    np.testing.assert_array_equal(np.moveaxis(keras, -1, 0), library.numpy(there))


def test_shuffles_of_the_libraries() -> None:
    x = tf.numbers((1, 2, 3, 12), 0)
    first = np.moveaxis(x, -1, 1)
    theirs = np.moveaxis(np.array(RECORDED["depth_to_space"], np.float64).reshape(1, 4, 6, 3), -1, 1)
    np.testing.assert_array_equal(us.pixel_shuffle(first, 2, order="DCR"), theirs)
    to_torch = interop.convert_shuffle(x, (2, 2), source="tf", target="torch", axis=-1)
    plane = torch.tensor(np.moveaxis(to_torch, -1, 1))
    np.testing.assert_array_equal(torch.nn.functional.pixel_shuffle(plane, 2).numpy(), theirs)
    for mode in ("CRD", "DCR"):
        (out,) = onnx_node("DepthToSpace", {"x": first}, 1, {"blocksize": 2, "mode": mode})
        np.testing.assert_array_equal(us.pixel_shuffle(first, 2, order=mode), out)
    (out,) = onnx_node("DepthToSpace", {"x": first}, 1, {"blocksize": 2})
    np.testing.assert_array_equal(out, theirs)


def test_cubic_of_tensorflow() -> None:
    """Keys' a = -0.5, where no tap lies outside: there TensorFlow renormalises and we repeat the edge."""
    x = tf.numbers((1, 5, 4, 1), 3)[0, ..., 0]
    theirs = np.array(RECORDED["bicubic"]).reshape(10, 8)[3:7, 3:5]
    found = us.resize(x, (10, 8), method="catmull_rom")[3:7, 3:5]
    np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-6)
    assert np.abs(us.resize(x, (10, 8), method="cubic")[3:7, 3:5] - theirs).max() > 0.01


# -- switches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", RECORDED["pools"], ids=str)
def test_switches_of_tensorflow(pool: dict[str, Any]) -> None:
    x = np.moveaxis(tf.distinct((2, *pool["size"], 3)), -1, 1)
    indices = np.array(pool["indices"]).reshape(pool["shape"])
    given = {"stride": pool["strides"], "padding": pool["padding"].lower()}
    batch = {"include_batch_in_index": pool["include_batch_in_index"]}
    _, switches = us.max_pool(x, pool["ksize"], **given)
    words = {"input_size": pool["size"], "kernel_size": pool["ksize"], **given, **batch}
    found = interop.convert_switches(indices, source="tf", target="unsample", **words)
    np.testing.assert_array_equal(found.taps, switches.taps)
    back = interop.convert_switches(switches, None, source="unsample", target="keras", **batch)
    np.testing.assert_array_equal(back, indices)
    if pool["padding"] == "VALID":
        plane = torch.tensor(x)
        _, expected = torch.nn.functional.max_pool2d(plane, pool["ksize"], 2, return_indices=True)
        theirs = interop.convert_switches(indices, source="tf", target="torch", **words)
        np.testing.assert_array_equal(theirs, expected.numpy())


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("given", [{}, {"stride": 1}, {"padding": 1}, {"stride": 3, "dilation": 2}], ids=str)
def test_switches_of_onnx_and_torch(order: int, given: dict[str, int]) -> None:
    x = np.moveaxis(tf.distinct((2, 8, 7, 3)), -1, 1).astype(np.float32)
    kernel = 2
    attributes = {
        "kernel_shape": [kernel] * 2,
        "strides": [given.get("stride", kernel)] * 2,
        "pads": [given.get("padding", 0)] * 4,
        "dilations": [given.get("dilation", 1)] * 2,
        "storage_order": order,
    }
    values, indices = onnx_node("MaxPool", {"x": x}, 2, attributes)
    function = torch.nn.functional.max_pool2d
    maxima, expected = function(torch.tensor(x), kernel, return_indices=True, **given)
    np.testing.assert_array_equal(values, maxima)
    pooling = {"input_size": (8, 7), "kernel_size": kernel, **given}
    words = {"source": "onnx", "target": "torch", "storage_order": order}
    np.testing.assert_array_equal(interop.convert_switches(indices, **words, **pooling), expected.numpy())
    words = {"source": "torch", "target": "onnx", "storage_order": order}
    np.testing.assert_array_equal(interop.convert_switches(expected.numpy(), **words, **pooling), indices)


def test_max_unpool_of_onnx_reads_our_switches() -> None:
    x = np.moveaxis(tf.distinct((2, 8, 6, 3)), -1, 1).astype(np.float32)
    values, switches = us.max_pool(x, 2)
    indices = interop.convert_switches(switches, None, source="unsample", target="onnx")
    words = {"kernel_shape": [2, 2], "strides": [2, 2]}
    (out,) = onnx_node("MaxUnpool", {"values": values, "indices": indices}, 1, words)
    np.testing.assert_array_equal(us.max_unpool(values, switches), out)


# -- messages ------------------------------------------------------------------------------------------------

W = np.zeros((2, 3, 4))
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: interop.convert_weight(W, source="pytorch", target="keras"),
        us.ShapeError,
        "convert_weight: source must be one of 'unsample', 'torch', 'tf', 'keras', 'jax', 'flax' or 'onnx', "
        "got 'pytorch' (did you mean 'torch'?)",
    ),
    (
        lambda: interop.convert_weight(W[0], source="torch", target="keras"),
        us.ShapeError,
        "convert_weight: weight must have two channel axes and at least 1 kernel axis, got shape (3, 4)",
    ),
    (
        lambda: interop.convert_weight(W, source="torch", target="keras", groups=2),
        us.ShapeError,
        "convert_weight: groups must be 1, as the transposed convolution of keras has none "
        "(ungroup(weight, groups) makes one group of them), got 2",
    ),
    (
        lambda: interop.ungroup(W, 3),
        us.ShapeError,
        "ungroup: groups must divide the first axis of weight, got groups 3 and weight of shape (2, 3, 4)",
    ),
    (
        lambda: interop.convert_arguments((3,), {"strides": 2}, source="torch", target="keras"),
        TypeError,
        "convert_arguments: torch takes 'stride', 'dilation', 'groups', 'padding' or 'output_padding', "
        "got 'strides'",
    ),
    (
        lambda: interop.convert_arguments(
            (3,), {"strides": 2, "padding": "same"}, source="keras", target="torch"
        ),
        us.ShapeError,
        "convert_arguments: torch crops both sides of an axis alike and lengthens only the end, by less than "
        "stride or dilation, so crop ((0, 1),) (before, after) cannot be written (kernel_size (3,), "
        "stride (2,), dilation (1,)); convert without padding and crop the result",
    ),
    (
        lambda: interop.convert_arguments(
            (3,), {"stride": 2, "padding": 1, "output_padding": 1}, source="torch", target="keras"
        ),
        us.ShapeError,
        "convert_arguments: keras crops nothing ('valid') or half on both sides with the odd element after "
        "('same'), so crop ((1, 0),) (before, after) cannot be written (kernel_size (3,), stride (2,), "
        "dilation (1,)); convert without padding and crop the result",
    ),
    (
        lambda: interop.convert_arguments((3,), {"padding": ((-1, 0),)}, source="unsample", target="onnx"),
        us.ShapeError,
        "convert_arguments: onnx has no negative pads, so crop ((-1, 0),) (before, after) cannot be written "
        "(kernel_size (3,), stride (1,), dilation (1,)); convert without padding and crop the result",
    ),
    (
        lambda: interop.convert_arguments((3,), {"padding": ((0, -1),)}, source="unsample", target="onnx"),
        us.ShapeError,
        "convert_arguments: onnx lengthens the end by less than the stride (in ONNX Runtime), so crop "
        "((0, -1),) (before, after) cannot be written (kernel_size (3,), stride (1,), dilation (1,)); "
        "append zeros to the result",
    ),
    (
        lambda: interop.convert_arguments((3,), {"stride": 2, "dilation": 2}, source="torch", target="keras"),
        us.ShapeError,
        "convert_arguments: keras takes strides or dilation_rate, not both, "
        "got strides (2,), dilation_rate (2,)",
    ),
    (
        lambda: interop.convert_arguments(
            (3,), {"strides": 2, "padding": "same"}, source="keras", target="jax", operation="conv"
        ),
        us.ShapeError,
        "convert_arguments: input_size must be given, as padding 'SAME' of a convolution with stride (2,) "
        "depends on it",
    ),
    (
        lambda: interop.convert_arguments(
            (4,), {"padding": "same", "stride": 2}, source="torch", target="jax", operation="conv"
        ),
        us.ShapeError,
        "convert_arguments: padding 'same' of torch needs stride 1, got (2,)",
    ),
    (
        lambda: interop.convert_arguments(
            (3,), {"padding": ((1, 0),)}, source="unsample", target="torch", operation="conv"
        ),
        us.ShapeError,
        "convert_arguments: torch pads both sides of an axis alike (or stride 1 to 'same'), so padding "
        "((1, 0),) (before, after) cannot be written (kernel_size (3,), stride (1,), dilation (1,)); "
        "pad the input before it",
    ),
    (
        lambda: (
            interop.convert_arguments(
                (3,), {"padding": 1}, source="torch", target="keras", operation="conv", input_size=(8,)
            )
            and interop.convert_arguments(
                (3,), {"padding": 2}, source="torch", target="keras", operation="conv"
            )
        ),
        us.ShapeError,
        "convert_arguments: keras pads nothing ('valid') or to 'same', so padding ((2, 2),) (before, after) "
        "cannot be written (kernel_size (3,), stride (1,), dilation (1,)); pad the input before it",
    ),
    (
        lambda: interop.convert_arguments((3,), {}, source="jax", target="torch"),
        us.ShapeError,
        "convert_arguments: padding must be given, as jax has no default for it",
    ),
    (
        lambda: interop.convert_arguments((3,), {"padding": "CIRCULAR"}, source="flax", target="torch"),
        us.ShapeError,
        "convert_arguments: padding 'CIRCULAR' of flax can be written for unsample alone, got target 'torch'",
    ),
    (
        lambda: interop.convert_arguments(
            (2,), {"auto_pad": "SAME_UPPER", "strides": [3]}, source="onnx", target="torch"
        ),
        us.ShapeError,
        "convert_arguments: auto_pad 'SAME_UPPER' of onnx needs kernels at least as long as the stride, as "
        "ONNX Runtime and the specification disagree on others, got (2,) and (3,)",
    ),
    (
        lambda: interop.convert_arguments((2,), {"output_shape": [7]}, source="onnx", target="torch"),
        us.ShapeError,
        "convert_arguments: input_size must be given, as output_shape depends on it",
    ),
    (
        lambda: interop.convert_arguments((2,), {"pads": [1]}, source="onnx", target="torch"),
        us.ShapeError,
        "convert_arguments: pads must hold 2 ints, before then after, got (1,)",
    ),
    (
        lambda: interop.convert_arguments((2,), {"kernel_shape": [3]}, source="onnx", target="torch"),
        us.ShapeError,
        "convert_arguments: kernel_shape must be kernel_size (2,), got (3,)",
    ),
    (
        lambda: interop.convert_arguments((2,), {"output_padding": 1}, source="torch", target="onnx"),
        us.ShapeError,
        "convert_arguments: output_padding must be smaller than stride or dilation, "
        "got output_padding (1,), stride (1,), dilation (1,)",
    ),
    (
        lambda: interop.convert_arguments((2,), {"output_padding": 1}, source="keras", target="onnx"),
        us.ShapeError,
        "convert_arguments: output_padding must be smaller than strides in keras, "
        "got output_padding (1,), strides (1,)",
    ),
    (
        lambda: interop.convert_arguments(
            (2,), {"output_padding": 1, "padding": "same", "stride": 2}, source="unsample", target="onnx"
        ),
        us.ShapeError,
        "convert_arguments: output_padding must be 0 with padding 'same', got (1,)",
    ),
    (
        lambda: interop.convert_shuffle(W, (2,), source="torch", target="tf", axis=1),
        us.ShapeError,
        "convert_shuffle: axis 1 of weight must be divisible by 2 (factor (2,)), got 3",
    ),
    (
        lambda: interop.convert_shuffle(W, (2,), source="torch", target="tf", axis=3),
        us.ShapeError,
        "convert_shuffle: axis must be one of the 3 axes of weight, got 3",
    ),
    (
        lambda: interop.convert_shuffle(W, 2, source="torch", target="tf", axis=0),
        TypeError,
        "convert_shuffle: factor must be a tuple of ints, got 2 (int)",
    ),
    (
        lambda: interop.convert_switches(np.array([1]), (4,), 2, source="torch", target="jax"),
        us.ShapeError,
        "convert_switches: target must be a library with switches "
        "('unsample', 'torch', 'tf', 'keras' or 'onnx'), got 'jax'",
    ),
    (
        lambda: interop.convert_switches(np.array([1]), None, source="unsample", target="torch"),
        TypeError,
        "convert_switches: switches must be Switches where source is 'unsample', "
        "got array([1]) (numpy.ndarray)",
    ),
    (
        lambda: interop.convert_switches(np.array([1, 4]), (4,), 2, source="torch", target="unsample"),
        IndexError,
        "Switches.from_torch: the index at (1,) must be from 0 to 3, got 4 "
        "(windows of 2 taps over (4,) elements)",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED, ids=[m[:60] for _, _, m in REFUSED])
def test_refused_in_one_sentence(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize("word", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("more", [(1, 1), (0, 1), (2, 1), (-2, 1)])
def test_an_output_shape_above_the_full_result_lengthens_its_end(word: str, more: tuple[int, int]) -> None:
    rng = np.random.default_rng(11)
    x, weight = rng.integers(-4, 5, (1, 2, 3, 3)), rng.integers(-4, 5, (2, 2, 3, 3))
    wanted = [full + extra for full, extra in zip((9, 7), more, strict=True)]
    arguments = {"strides": [3, 2], "output_shape": wanted, "auto_pad": word}
    words: dict[str, Any] = {"source": "onnx", "input_size": (3, 3)}
    here = interop.convert_arguments((3, 3), arguments, target="unsample", **words)
    found = us.conv_transpose(x, weight, **here)
    np.testing.assert_array_equal(found, run_onnx("conv_transpose", x, weight, arguments))
    if max(more) < 2:
        there = interop.convert_arguments((3, 3), arguments, target="onnx", **words)
        np.testing.assert_array_equal(run_onnx("conv_transpose", x, weight, there), found)
