"""Carry a decoder trained in Keras to this library: NumPy alone, and the same numbers.

Two layers as `model.save_weights` keeps them: `Conv2DTranspose(4, 3, strides=2, padding="same")`, whose odd
pixel torch's padding cannot place, and `Conv2D(12, 3, padding="same")` before `tf.nn.depth_to_space(x, 2)`.

    python examples/port_keras_weights.py

prints the arguments that each library is to be called with, and the image that comes out.
"""

from typing import Any

import numpy as np

import unsample as us
from unsample import interop

UP = {"strides": 2, "padding": "same"}
LAST = {"padding": "same"}


def keras_weights() -> dict[str, np.ndarray[Any, Any]]:
    """What would be read from the file: kernels (taps, taps, out, in) and (taps, taps, in, out), biases."""
    rng = np.random.default_rng(0)
    return {
        "up": rng.standard_normal((3, 3, 4, 8)) / 6,
        "up_bias": rng.standard_normal(4),
        "last": rng.standard_normal((3, 3, 4, 12)) / 6,
        "last_bias": rng.standard_normal(12),
    }


def decode(features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(N, 8, H, W) -> (N, 3, 4 H, 4 W)."""
    w = keras_weights()
    up = interop.convert_conv_transpose(w["up"], UP, source="keras", target="unsample")
    last = interop.convert_conv(w["last"], LAST, source="keras", target="unsample")
    x = us.conv_transpose(features, up.weight, w["up_bias"], **up.arguments)
    x = us.conv(np.maximum(x, 0), last.weight, w["last_bias"], **last.arguments)
    return us.pixel_shuffle(x, 2, order="DCR")


def decode_in_torch_order(features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same with channels reordered once, for a pixel shuffle in torch's order."""
    w = keras_weights()
    up = interop.convert_conv_transpose(w["up"], UP, source="keras", target="unsample")
    order: dict[str, Any] = {"source": "keras", "target": "torch", "axis": -1}
    kernel = interop.convert_shuffle(w["last"], (2, 2), **order)
    bias = interop.convert_shuffle(w["last_bias"], (2, 2), **order)
    last = interop.convert_conv(kernel, LAST, source="keras", target="unsample")
    x = us.conv_transpose(features, up.weight, w["up_bias"], **up.arguments)
    return us.pixel_shuffle(us.conv(np.maximum(x, 0), last.weight, bias, **last.arguments), 2)


def main() -> None:
    """Show how each library is to be called, and that both orders give one image."""
    for target in ("unsample", "torch", "flax", "onnx"):
        try:
            arguments = interop.convert_arguments((3, 3), UP, source="keras", target=target)
            print(f"{target:9}{arguments}")
        except us.ShapeError as error:
            print(f"{target:9}{error}")
    features = np.random.default_rng(1).standard_normal((1, 8, 4, 4))
    image, again = decode(features), decode_in_torch_order(features)
    print(
        f"image {image.shape}, largest difference between the two orders: {np.abs(image - again).max():.1e}"
    )


if __name__ == "__main__":
    main()
