"""The checks are checked: each must catch the fault planted for it, and pass what is right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import checks
import unsample as us
from samples import integers

EPS = 2.0**-53
FINE, COARSE = (1, 2, 6, 9), (1, 2, 3, 3)
FACTOR = (2, 3)
WEIGHT = integers((3, 2, 3, 2), 5)
PLANTED = "planted fault"


def down(x: Any) -> Any:
    return us.window_sum(x, FACTOR)


def up(y: Any) -> Any:
    return us.nearest(y, FACTOR)


# Faults of a way up, each of the kind that real implementations had.
FAULTS: dict[str, Callable[[Any], Any]] = {
    "mean for sum": lambda y: up(y) / 6,
    "shifted index": lambda y: np.roll(up(y), 1, axis=-1),
    "swapped axes": lambda y: us.nearest(y, FACTOR[::-1]).reshape(FINE),
    "flipped block": lambda y: up(y[..., ::-1]),
    "lost last row": lambda y: up(y) * (np.arange(6) < 5)[:, None],
}


def check_dense(up: Callable[[Any], Any]) -> None:
    checks.dense_transpose(down, up, FINE, COARSE)


def check_dot(up: Callable[[Any], Any]) -> None:
    checks.dot_test(down, up, integers(FINE, 1), integers(COARSE, 2), EPS)


@pytest.mark.parametrize("check", [check_dense, check_dot])
@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_ways_up_are_caught(fault: str, check: Callable[..., None]) -> None:
    check(up)
    with pytest.raises(AssertionError):
        check(FAULTS[fault])


def test_dot_test_reports_the_scale() -> None:
    with pytest.raises(AssertionError, match=r"^<down x, y> is 6 times <x, up y>"):
        check_dot(FAULTS["mean for sum"])


@pytest.mark.parametrize("check", [checks.dense_transpose, None])
def test_flipped_kernel_is_caught(check: Any) -> None:
    flipped = WEIGHT[..., ::-1, :].copy()
    fine, coarse = (1, 2, 7, 9), (1, 3, 5, 8)
    conv, right = (lambda x: us.conv(x, WEIGHT)), (lambda y: us.conv_transpose(y, WEIGHT))
    wrong = lambda y: us.conv_transpose(y, flipped)  # noqa: E731
    for function, good in ((right, True), (wrong, False)):
        run = (
            (lambda f=function: checks.dense_transpose(conv, f, fine, coarse))
            if check
            else lambda f=function: checks.dot_test(conv, f, integers(fine, 1), integers(coarse, 2), EPS)
        )
        if good:
            run()
        else:
            with pytest.raises(AssertionError):
                run()


def test_empty_comparison_is_caught() -> None:
    with pytest.raises(AssertionError, match="nothing was compared"):
        checks.dense_transpose(lambda x: 0 * x, lambda y: 0 * y, (3,), (3,))


@pytest.mark.parametrize(
    "function",
    [lambda x: us.window_sum(x, FACTOR) + 1, np.abs, lambda x: x * x],
    ids=["offset", "abs", "square"],
)
def test_nonlinear_functions_are_caught(function: Callable[[Any], Any]) -> None:
    x, z = integers(FINE, 1), integers(FINE, 2)
    checks.linear(down, x, z, EPS)
    with pytest.raises(AssertionError, match="differs"):
        checks.linear(function, x, z, EPS)


def test_inaccurate_sums_are_caught() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 1, 64))
    matrix = us.matrix(us.window_sum, x.shape, (64,))
    exact = us.window_sum(x, (64,))
    checks.accurate(us.window_sum, matrix, x, exact, EPS)
    # float16 partial sums, as an accumulator without float32 would have them.
    half = np.float16(0)
    for value in x.ravel().astype(np.float16):
        half = np.float16(half + value)
    with pytest.raises(AssertionError, match="is off by"):
        checks.accurate(us.window_sum, matrix, x, np.array([half]), 2.0**-24)


class WrongFirst(torch.autograd.Function):
    """conv_transpose whose gradient forgets the flip, the classic."""

    @staticmethod
    def forward(ctx: Any, y: Any) -> Any:
        return us.conv_transpose(y, torch.tensor(WEIGHT))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return us.conv(grad, torch.tensor(WEIGHT).flip(-1))


class WrongSecond(torch.autograd.Function):
    """Right first derivative of y**3, wrong second one: it is cut off from the graph."""

    @staticmethod
    def forward(ctx: Any, y: Any) -> Any:
        ctx.save_for_backward(y)
        return us.nearest(y, FACTOR) ** 3

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved_tensors
        return us.window_sum(grad * 3 * us.nearest(y, FACTOR).detach() ** 2, FACTOR)


def test_wrong_first_derivative_is_caught() -> None:
    weight = torch.tensor(WEIGHT)
    checks.gradients(lambda y: us.conv_transpose(y, weight), [(1, 3, 5, 8)])
    with pytest.raises(RuntimeError, match=r"Jacobian mismatch|forward AD"):
        checks.gradients(WrongFirst.apply, [(1, 3, 5, 8)])


def test_wrong_second_derivative_is_caught() -> None:
    checks.gradients(lambda y: us.nearest(y, FACTOR) ** 3, [COARSE])
    y = torch.tensor(integers(COARSE, 2) / 7, requires_grad=True)
    assert torch.autograd.gradcheck(WrongSecond.apply, [y], fast_mode=True)  # the first one is right
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradgradcheck(WrongSecond.apply, [y], fast_mode=True)


def test_wrong_partner_is_caught_by_jax() -> None:
    import jax.numpy as jnp

    checks.jax_transposes(down, up, FINE, COARSE)
    with pytest.raises(AssertionError, match="is not its partner"):
        checks.jax_transposes(down, lambda y: jnp.roll(up(y), 1, axis=-1), FINE, COARSE)
