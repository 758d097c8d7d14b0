"""What type checkers know of the package."""

from importlib.resources import files
from typing import get_args

from unsample.interop import libraries
from unsample.torch.layers import resize


def test_the_package_says_that_it_is_typed() -> None:
    assert files("unsample").joinpath("py.typed").is_file()


def test_tables_have_the_words_of_their_types() -> None:
    assert tuple(libraries.CALLS) == libraries.CONVOLUTIONS
    for calls in libraries.CALLS.values():
        assert tuple(calls) == libraries.LIBRARIES
    assert tuple(libraries.SHUFFLE_ORDERS) == get_args(libraries.ShuffleOrder)
    assert tuple(resize.MODES) == get_args(resize.Mode)
