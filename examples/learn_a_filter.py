"""Recover a known 3x3 filter by gradient descent through a transposed convolution.

The article (section 3) says that the filter of a transposed convolution learns like any other:
backpropagation updates x, y and z. Here is the claim at work. A feature map is stamped with a filter we know;
starting from noise, gradient descent on the squared error finds the same nine numbers again, to 1e-4.

Run it with NumPy alone (the gradient is `conv_weight_grad`, the third of the convolution triple):

    python examples/learn_a_filter.py

or let PyTorch's autograd find the gradient through the same function:

    python examples/learn_a_filter.py --torch
"""

import sys
from typing import Any

import numpy as np

import unsample as us

FILTER = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])  # Sobel's
STRIDE, STEPS, RATE = 2, 200, 0.1


def learn_with_numpy() -> np.ndarray[Any, Any]:
    """Gradient descent with the gradient written out: the transpose of y -> conv_transpose(y, w) in w."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((1, 1, 16, 16))
    target = us.conv_transpose(features, FILTER[None, None], stride=STRIDE)
    weight = rng.standard_normal((1, 1, 3, 3))
    for step in range(STEPS):
        error = us.conv_transpose(features, weight, stride=STRIDE) - target
        report(step, float(np.mean(error**2)))
        # <conv_transpose(y, w), e> = <w, conv_weight_grad(e, y)>
        gradient = us.conv_weight_grad(error, features, 3, stride=STRIDE) / features.size
        weight = weight - RATE * gradient
    return weight[0, 0]


def learn_with_torch() -> np.ndarray[Any, Any]:
    """The same descent; autograd finds the gradient through the very same function."""
    import torch

    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 1, 16, 16, generator=generator)
    target = us.conv_transpose(features, torch.tensor(FILTER[None, None], dtype=torch.float32), stride=STRIDE)
    weight = torch.randn(1, 1, 3, 3, generator=generator, requires_grad=True)
    for step in range(STEPS):
        error = us.conv_transpose(features, weight, stride=STRIDE) - target
        report(step, float((error.detach() ** 2).mean()))
        (gradient,) = torch.autograd.grad((error**2).sum() / 2 / features.numel(), [weight])
        weight = (weight - RATE * gradient).detach().requires_grad_()
    return weight.detach().numpy()[0, 0]


def report(step: int, loss: float) -> None:
    """Print every fiftieth loss."""
    if step % 50 == 0:
        print(f"step {step:4d}   mean squared error {loss:.3e}")


def main() -> None:
    """Learn, show, and refuse to call it learned where it is not."""
    learned = learn_with_torch() if "--torch" in sys.argv[1:] else learn_with_numpy()
    print("learned filter:")
    print(np.array2string(learned, precision=4, suppress_small=True))
    error = float(np.max(np.abs(learned - FILTER)))
    print(f"largest difference from the filter sought: {error:.1e}")
    if not error < 1e-4:
        sys.exit("the filter was not recovered")


if __name__ == "__main__":
    main()
