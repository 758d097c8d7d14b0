"""What the tests of the kernels share."""

from collections.abc import Iterator

import pytest

from unsample.native.module import kernels


@pytest.fixture(params=[] if kernels is None else kernels.tiers())
def tier(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every tier in turn; none has run yet, so that `last_tier` says whether a test ran it."""
    before = kernels.tier()
    assert kernels.use_tier(request.param)
    kernels.last_tier()
    yield request.param
    kernels.use_tier(before)
