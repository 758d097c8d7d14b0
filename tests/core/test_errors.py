"""Every error is part of the interface: type and whole message, on every array library."""

import datetime
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import unsample as us
from backends import JAX, NUMPY, TORCH, Backend
from error_samples import ERROR_SAMPLES, ErrorSample


@pytest.mark.promise(
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "11",
    "12",
    "14",
    "15",
    "16",
    "17",
    "18",
    "19",
    "20",
    "21",
    "22",
    "23",
    "25",
    "26",
    "27",
    "28",
    "32",
    "33",
    "34",
    "35",
    "36",
    "39",
    "40",
    "41",
    "42",
    "43",
    "44",
    "47",
    "48",
    "49",
    "52",
    "75",
)
@pytest.mark.parametrize("backend", [NUMPY, TORCH, JAX], ids=lambda each: each.name)
@pytest.mark.parametrize(
    "sample", ERROR_SAMPLES, ids=lambda each: f"row{each.row}-{each.message.partition(':')[0]}"
)
def test_refused_in_one_sentence(sample: ErrorSample, backend: Backend) -> None:
    with pytest.raises(sample.error, match=rf"\A{sample.pattern()}\Z") as caught:
        sample.call(backend.array)
    assert type(caught.value) is sample.error
    assert caught.value.__cause__ is None


def test_every_row_of_the_list_has_a_sample_or_a_test() -> None:
    """Rows 1-55 of the reliability list; those that must *work* have tests of their own."""
    refused = {sample.row for sample in ERROR_SAMPLES}
    work = {13, 24, 29, 30, 31, 37, 38, 45, 46, 50, 51, 53}  # test_works.py, by row
    elsewhere = {54, 55}  # native/test_threads.py, test_out.py
    assert refused | work | elsewhere | {0} == {*range(56), 75}


@pytest.mark.promise("88", "89")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([[1, 2], [3, 4]], "[[1, 2], [3, 4]] (list)"),
        (3, "3 (int)"),
        (None, "None (NoneType)"),
        ("image.png", "'image.png' (str)"),
        (datetime.date(2020, 1, 1), "datetime.date(2020, 1, 1) (datetime.date)"),
    ],
)
def test_what_is_no_array(value: Any, shown: str) -> None:
    with pytest.raises(TypeError) as caught:
        us.nearest(value, (2,))
    assert str(caught.value) == f"nearest: x must be a NumPy, PyTorch or JAX array, got {shown}"


@pytest.mark.promise("88")
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", [np.matrix, np.ma.MaskedArray, np.recarray])
def test_subclasses_are_not_dropped_in_silence(kind: type[np.ndarray]) -> None:
    array = np.zeros((2, 2)).view(kind)
    with pytest.raises(TypeError) as caught:
        us.nearest(array, (2,))
    name = f"{type(array).__module__}.{type(array).__name__}"
    assert str(caught.value) == (
        f"nearest: x must be a plain numpy.ndarray, got {name}; "
        f"numpy.asarray(...) converts it and drops what the subclass adds"
    )


@pytest.mark.promise("65")
@pytest.mark.parametrize("dtype", ["O", "U3", "M8[s]", "V4", [("a", "f4")]], ids=str)
def test_dtypes_without_arithmetic(dtype: Any) -> None:
    with pytest.raises(
        TypeError, match=r"\Anearest: x must be bool, integer, real, complex or float8, got dtype "
    ):
        us.nearest(np.zeros(3, dtype), (2,))


@pytest.mark.parametrize(
    ("x", "weight", "names"),
    [
        (np.zeros((1, 1, 3)), torch.zeros(1, 1, 2), ("numpy.ndarray", "torch.Tensor")),
        (torch.zeros(1, 1, 3), np.zeros((1, 1, 2)), ("torch.Tensor", "numpy.ndarray")),
        (jnp.zeros((1, 1, 3)), np.zeros((1, 1, 2)), ("jaxlib._jax.ArrayImpl", "numpy.ndarray")),
    ],
)
def test_arrays_of_two_libraries(x: Any, weight: Any, names: tuple[str, str]) -> None:
    with pytest.raises(TypeError) as caught:
        us.conv(x, weight)
    assert str(caught.value) == (
        f"conv: x and weight must be arrays of one library, got {names[0]} and {names[1]}"
    )


def test_values_and_switches_of_two_libraries() -> None:
    _, switches = us.max_pool(np.zeros(4), (2,))
    with pytest.raises(TypeError, match=r"\Amax_unpool: values and switches must be arrays of one library"):
        us.max_unpool(torch.zeros(2), switches)


@pytest.mark.promise("90")
@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 2).to_sparse(),
        torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
    ],
    ids=["sparse", "nested"],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_without_strides(tensor: torch.Tensor) -> None:
    with pytest.raises(TypeError, match=r"\Anearest: x must be a dense strided tensor, got a "):
        us.nearest(tensor, (2,))
