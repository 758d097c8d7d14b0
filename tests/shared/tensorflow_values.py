"""What TensorFlow and Keras compute: `python tests/shared/tensorflow_values.py` writes it anew.

TensorFlow is larger than everything else together, so the tests compare with these values and not with
TensorFlow itself. Inputs are whole numbers that `numbers` makes, so outputs are whole and exact.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_suffix(".json")


def numbers(shape: tuple[int, ...], seed: int) -> Any:
    """Whole numbers from -9 to 9, the same on every machine."""
    flat = (np.arange(int(np.prod(shape))) * (7 + 6 * seed) + 3 * seed) % 19 - 9
    return flat.reshape(shape).astype(np.float64)


def layers() -> Iterator[dict[str, Any]]:
    """Calls of keras.ops.conv_transpose and keras.ops.conv: kernel size, arguments, input size."""
    for kernel, stride, word in itertools.product((1, 2, 3, 4, 5), (1, 2, 3, 4), ("valid", "same")):
        for extra in (None, *range(stride)):
            given = {"strides": [stride], "padding": word}
            if extra is not None:
                given["output_padding"] = [extra]
            yield {"call": "conv_transpose", "kernel": [kernel], "given": given, "size": [3]}
        for size in (7, 8):
            given = {"strides": [stride], "padding": word}
            yield {"call": "conv", "kernel": [kernel], "given": given, "size": [size]}
    for kernel, dilation, word in itertools.product((2, 3), (2, 3), ("valid", "same")):
        given = {"dilation_rate": [dilation, dilation], "padding": word}
        yield {"call": "conv_transpose", "kernel": [kernel, 2], "given": given, "size": [3, 4]}
        yield {"call": "conv", "kernel": [kernel, 2], "given": given, "size": [9, 8]}
    for word in ("valid", "same"):
        given = {"strides": [2, 3], "padding": word}
        yield {"call": "conv_transpose", "kernel": [3, 4], "given": given, "size": [3, 2]}
        yield {"call": "conv", "kernel": [3, 4], "given": given, "size": [6, 7]}
        given = {"strides": [2, 1, 3], "padding": word}
        yield {"call": "conv_transpose", "kernel": [2, 3, 4], "given": given, "size": [2, 3, 2]}
        yield {"call": "conv", "kernel": [2, 3, 4], "given": given, "size": [4, 3, 5]}
    given = {"strides": [2], "padding": "causal"}
    yield {"call": "conv", "kernel": [3], "given": given, "size": [7]}


def operands(layer: dict[str, Any]) -> tuple[Any, Any]:
    """Channels-last input and Keras's kernel of a layer."""
    c_in, c_out = (2, 3)
    x = numbers((1, *layer["size"], c_in), 0)
    channels = (c_out, c_in) if layer["call"] == "conv_transpose" else (c_in, c_out)
    return x, numbers((*layer["kernel"], *channels), 1)


def pools() -> Iterator[dict[str, Any]]:
    """Calls of tf.nn.max_pool_with_argmax."""
    for batch, word, ksize in itertools.product((False, True), ("VALID", "SAME"), (2, 3)):
        yield {"size": [6, 7], "ksize": ksize, "strides": 2, "padding": word, "include_batch_in_index": batch}


def main() -> None:
    """Compute with TensorFlow and write the file."""
    import keras
    import tensorflow as tf

    def outcome(layer: dict[str, Any]) -> dict[str, Any]:
        x, kernel = operands(layer)
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in layer["given"].items()}
        try:
            if given["padding"] == "causal":
                module = keras.layers.Conv1D(3, kernel.shape[0], use_bias=False, dtype="float64", **given)
                module.build(x.shape)
                module.set_weights([kernel])
                out = module(x)
            else:
                out = getattr(keras.ops, layer["call"])(x, kernel, **given)
        except Exception as error:
            return {**layer, "refused": type(error).__name__}
        out = np.asarray(out)
        return {**layer, "shape": list(out.shape), "out": out.astype(int).ravel().tolist()}

    def pooled(pool: dict[str, Any]) -> dict[str, Any]:
        x = distinct((2, *pool["size"], 3))
        words = {name: value for name, value in pool.items() if name != "size"}
        values, indices = tf.nn.max_pool_with_argmax(x.astype(np.float32), **words)
        return {**pool, "shape": list(values.shape), "indices": np.asarray(indices).ravel().tolist()}

    x = numbers((1, 2, 3, 12), 0)
    shuffled = tf.nn.depth_to_space(x, 2).numpy()
    resized = tf.image.resize(numbers((1, 5, 4, 1), 3), (10, 8), method="bicubic").numpy()
    found = {
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "layers": [outcome(layer) for layer in layers()],
        "pools": [pooled(pool) for pool in pools()],
        "depth_to_space": shuffled.astype(int).ravel().tolist(),
        "bicubic": [round(float(each), 6) for each in resized.ravel()],
    }
    lines = [f'"{name}": {json.dumps(found[name])}' for name in ("versions", "depth_to_space", "bicubic")]
    for name in ("layers", "pools"):
        rows = ",\n".join(json.dumps(row) for row in found[name])
        lines.append(f'"{name}": [\n{rows}\n]')
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def distinct(shape: tuple[int, ...]) -> Any:
    """Numbers without ties, the same on every machine."""
    size = int(np.prod(shape))
    return (np.arange(size) * 101 % 1009 % size + np.arange(size) / size).reshape(shape)


if __name__ == "__main__":
    main()
