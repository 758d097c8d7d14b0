"""Code written for torch.nn goes on catching what it caught: `except RuntimeError`, ValueError, TypeError."""

from typing import Any

import pytest
import torch
from torch import nn

import unsample.torch as ut

zeros = torch.zeros
Case = tuple[str, tuple[Any, ...], dict[str, Any], list[Any]]

# What torch.nn refuses: layer, its arguments, what it is called with.
CASES: list[Case] = [
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 3, 8, 8)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 4, 2, 2)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(4)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"groups": 3}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"padding": "sam"}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"padding_mode": "wrap"}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"stride": 0}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"dilation": 0}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {}, ["x"]),
    ("Conv2d", (4, 6, (3,)), {}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 0), {}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {"groups": 0}, [zeros(1, 4, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {}, [zeros(1, 3, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "output_padding": 2}, [zeros(1, 4, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {"padding": 9}, [zeros(1, 4, 2, 2)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2}, [zeros(1, 4, 2, 2), (9, 9)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2}, [zeros(1, 4, 2, 2), (5,)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 0}, [zeros(1, 4, 8, 8)]),
    ("ConvTranspose2d", (4, 6, 3), {}, [zeros(4)]),
    ("MaxPool2d", (3,), {}, [zeros(1, 1, 2, 2)]),
    ("MaxPool2d", (3,), {"padding": 2}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (0,), {}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {"stride": 0}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {}, [zeros(8)]),
    ("MaxPool2d", ((3, 3, 3),), {}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {"dilation": 0}, [zeros(1, 1, 8, 8)]),
    ("MaxPool2d", (3,), {"padding": -1}, [zeros(1, 1, 8, 8)]),
    ("AdaptiveMaxPool2d", (-1,), {}, [zeros(1, 1, 8, 8)]),
    ("AdaptiveMaxPool2d", ((2, 2, 2),), {}, [zeros(1, 1, 8, 8)]),
    ("AdaptiveMaxPool2d", (2,), {}, [zeros(8)]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2)]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 3).long()]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2).long() + 99]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2).long(), (9, 9)]),
    ("MaxUnpool2d", (2,), {}, [zeros(1, 1, 2, 2), zeros(1, 1, 2, 2).long() - 1]),
    ("Upsample", (), {}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (8, 2), {}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": 8, "mode": "cube"}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": 0}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"scale_factor": -1}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": (8, 8, 8)}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"size": 8, "mode": "nearest", "align_corners": True}, [zeros(1, 1, 4, 4)]),
    ("Upsample", (), {"scale_factor": (2, 2, 2)}, [zeros(1, 1, 4, 4)]),
    ("PixelShuffle", (2,), {}, [zeros(1, 3, 4, 4)]),
    ("PixelShuffle", (0,), {}, [zeros(1, 4, 4, 4)]),
    ("PixelShuffle", (2,), {}, [zeros(4)]),
    ("PixelShuffle", (-1,), {}, [zeros(1, 4, 4, 4)]),
    ("PixelUnshuffle", (2,), {}, [zeros(1, 1, 3, 4)]),
    ("PixelUnshuffle", (0,), {}, [zeros(1, 1, 3, 4)]),
    ("PixelUnshuffle", (2,), {}, [zeros(4)]),
]

# What torch.nn refuses and these layers do: docs/torch.md.
BEYOND: list[Case] = [
    ("Conv2d", (4, 6, 3), {"padding": -1}, [zeros(1, 4, 8, 8)]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 4, 8, 8).double()]),
    ("Conv2d", (4, 6, 3), {}, [zeros(1, 4, 8, 8).long()]),
    ("Conv2d", (4, 6, 3), {"padding": 3, "padding_mode": "reflect"}, [zeros(1, 4, 3, 3)]),
    ("Upsample", (), {"size": 8, "mode": "bilinear"}, [zeros(1, 4, 4)]),
]


def outcome(module: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Any]) -> Any:
    try:
        return getattr(module, name)(*args, **kwargs)(*given)
    except Exception as error:
        return error


def identity(case: Case) -> str:
    name, args, kwargs, given = case
    shapes = [tuple(each.shape) if isinstance(each, torch.Tensor) else each for each in given]
    return f"{name}{args} {kwargs} {shapes}"


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_errors_are_of_the_kind_that_torch_raises(case: Case) -> None:
    theirs, ours = outcome(nn, *case), outcome(ut, *case)
    if isinstance(theirs, torch.Tensor):  # a size of 0 is none of torch's errors everywhere
        return
    kind = RuntimeError if isinstance(theirs, RuntimeError) else type(theirs)
    assert isinstance(ours, kind), f"{type(theirs).__name__}: {theirs}, but {type(ours).__name__}: {ours}"
    assert "zip()" not in str(ours)
    assert "out must be" not in str(ours)


@pytest.mark.parametrize("case", BEYOND, ids=identity)
def test_what_goes_beyond_torch_is_no_error(case: Case) -> None:
    assert isinstance(outcome(nn, *case), RuntimeError)
    assert isinstance(outcome(ut, *case), torch.Tensor)


def test_integers_and_floats_meet_in_the_dtype_that_torch_gives() -> None:
    x, weight = torch.arange(12).reshape(1, 2, 6), torch.arange(12.0).reshape(2, 2, 3)
    for function in (ut.conv, ut.conv_transpose):
        found = function(x, weight)
        assert found.dtype == torch.float32
        assert torch.equal(found, function(x.float(), weight))
    y = ut.conv(x, weight)
    assert torch.equal(ut.conv_weight_grad(x, y, (3,)), ut.conv_weight_grad(x.float(), y, (3,)))
