"""What must hold of every pair, as functions that raise. `test_checks.py` shows that each can."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

import unsample as us
from samples import integers

Function = Callable[[Any], Any]


def dense_transpose(down: Function, up: Function, fine: tuple[int, ...], coarse: tuple[int, ...]) -> None:
    """The matrices of down and up are each other's transpose, entry for entry."""
    a, b = us.matrix(down, fine), us.matrix(up, coarse)
    if a.shape != b.shape[::-1]:
        raise AssertionError(f"matrix of down is {a.shape}, of up {b.shape}")
    differing = (a != b.T.tocsr()).nnz
    if differing:
        raise AssertionError(f"{differing} of {max(a.nnz, b.nnz)} entries differ from the transpose")
    if a.nnz == 0 and math.prod(fine) and math.prod(coarse):
        raise AssertionError("the matrix is empty: nothing was compared")


def dot_test(down: Function, up: Function, x: Any, y: Any, eps: float, numpy: Function = np.asarray) -> None:
    """<down(x), y> == <x, up(y)>, relative to the norms, and the scale between them where it is not."""
    x64, y64 = (np.asarray(numpy(each), dtype=np.float64).ravel() for each in (x, y))
    down_x = np.asarray(numpy(down(x)), dtype=np.float64).ravel()
    up_y = np.asarray(numpy(up(y)), dtype=np.float64).ravel()
    left, right = down_x @ y64, x64 @ up_y
    # The products may cancel, so the bound is on the sum of their magnitudes.
    size = np.abs(down_x) @ np.abs(y64) + np.abs(x64) @ np.abs(up_y)
    bound = eps * size * (2 + math.log2(2 + x64.size + y64.size))
    if not abs(left - right) <= bound:
        scale = left / right if right else math.inf
        raise AssertionError(f"<down x, y> is {scale:.6g} times <x, up y> ({left} and {right})")


def linear(function: Function, x: Any, z: Any, eps: float, numpy: Function = np.asarray) -> None:
    """function(2 x - 3 z) == 2 function(x) - 3 function(z)."""
    left = numpy(function(2 * x - 3 * z))
    first, second = numpy(function(x)), numpy(function(z))
    # An element may cancel; the largest ones tell how large its terms were.
    size = (np.abs(2 * first) + np.abs(3 * second) + np.abs(left)).max(initial=0.0)
    if not np.all(np.abs(left - (2 * first - 3 * second)) <= 8 * eps * size):
        raise AssertionError("f(2 x - 3 z) differs from 2 f(x) - 3 f(z)")


def accurate(function: Function, matrix: Any, x: np.ndarray, result: np.ndarray, eps: float) -> None:
    """`result` is function(x) within n * eps * sum |w x|, n the number of terms of each element."""
    exact = matrix @ x.ravel()
    terms = np.diff(matrix.indptr)
    bound = (terms + 3) * eps * (abs(matrix) @ np.abs(x.ravel()))
    error = np.abs(np.asarray(result, dtype=np.float64).ravel() - exact)
    if not np.all(error <= bound):
        worst = int(np.argmax(error - bound))
        raise AssertionError(f"element {worst} is off by {error[worst]}, allowed are {bound[worst]}")


def gradients(function: Callable[..., Any], shapes: list[tuple[int, ...]]) -> None:
    """Torch's gradcheck (forward mode too) and gradgradcheck with random cotangents."""
    inputs = [
        torch.tensor(integers(shape, seed) / 7, requires_grad=True) for seed, shape in enumerate(shapes)
    ]
    torch.autograd.gradcheck(function, inputs, check_forward_ad=True, fast_mode=True)
    # Random cotangents: with all-ones ones a flipped or shifted gradient goes unseen.
    torch.autograd.gradgradcheck(function, inputs, gen_non_contig_grad_outputs=True, fast_mode=True)


def jax_transposes(down: Function, up: Function, fine: tuple[int, ...], coarse: tuple[int, ...]) -> None:
    """Jax's own transposition of each direction is the other one, under jit; vmap maps over a new axis."""
    x, y = jnp.asarray(integers(fine, 7)), jnp.asarray(integers(coarse, 8))
    down_x, up_y = jax.jit(down)(x), jax.jit(up)(y)
    (from_down,) = jax.jit(jax.linear_transpose(down, x))(y)
    (from_up,) = jax.jit(jax.linear_transpose(up, y))(x)
    for name, a, b in (("down", from_down, up_y), ("up", from_up, down_x)):
        if not np.allclose(a, b, rtol=1e-13, atol=1e-13):
            raise AssertionError(f"jax.linear_transpose of {name} is not its partner")
    for name, function, one, result in (("down", down, x, down_x), ("up", up, y, up_y)):
        mapped = jax.jit(jax.vmap(function))(jnp.stack([one, -2 * one]))
        if not np.allclose(mapped, jnp.stack([result, -2 * result]), rtol=1e-13, atol=1e-13):
            raise AssertionError(f"vmap of {name} differs from one call after the other")
