"""What the tests of the tools share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import chromium
from unsample.explore.page import write
from unsample.explore.state import make_state


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for a whole file of tests."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def fig7() -> dict[str, Any]:
    """The article's Fig. 7."""
    return make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory, fig7: dict[str, Any]) -> Path:
    """The page of `unsample explore`, with Fig. 7 to start with."""
    return write(tmp_path_factory.mktemp("page") / "page.html", fig7)
