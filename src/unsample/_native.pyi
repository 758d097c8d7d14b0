"""The compiled module of `native/caller/bind.cpp`. Buffers are contiguous memory of exactly the size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

class Plan:
    def __init__(
        self,
        planes: int,
        axes: Sequence[Sequence[int]],
        channels: int,
        blocks: bool,
        inside: bool,
        tiles: bool,
        last: bool,
        /,
    ) -> None: ...

class Terms:
    def __init__(
        self,
        n: int,
        m: int,
        first: NDArray[np.int64],
        source: NDArray[np.int64],
        weights: NDArray[np.float64],
        /,
    ) -> None: ...

def nearest(plan: Plan, x: Buffer, out: Buffer, width: int, /) -> None: ...
def nails(plan: Plan, x: Buffer, out: Buffer, width: int, /) -> None: ...
def decimate(plan: Plan, x: Buffer, out: Buffer, width: int, /) -> None: ...
def shuffle(plan: Plan, x: Buffer, out: Buffer, width: int, /) -> None: ...
def unshuffle(plan: Plan, x: Buffer, out: Buffer, width: int, /) -> None: ...
def pool(
    plan: Plan, x: Buffer, values: Buffer, taps: Buffer | None, dtype: int, tap_width: int, /
) -> None: ...
def unpool(
    plan: Plan, values: Buffer, taps: Buffer, out: Buffer, dtype: int, tap_width: int, rule: int, /
) -> bool: ...
def gather(plan: Plan, x: Buffer, taps: Buffer, out: Buffer, width: int, tap_width: int, /) -> bool: ...
def window_sum(plan: Plan, y: Buffer, out: Buffer, dtype: int, out_width: int, /) -> None: ...
def resize(
    terms: Terms,
    x: Buffer,
    out: Buffer,
    outer: int,
    inner: int,
    width: int,
    copy: bool,
    rows: Terms | None = None,
    /,
) -> None: ...

class Conv:
    """Here, as in WeightGrad, memory may have the strides of the plan, or be an address."""

    packed_bytes: int
    form: str
    scratch_bytes: int
    def __init__(
        self,
        element: int,
        transposed: bool,
        batch: int,
        groups: int,
        in_channels: int,
        out_channels: int,
        axes: Sequence[Sequence[int]],
        in_strides: Sequence[int],
        out_strides: Sequence[int],
        /,
    ) -> None: ...
    def run(
        self,
        x: Buffer | int,
        weight: Buffer | int,
        bias: Buffer | int | None,
        out: Buffer | int,
        packed: bool = ...,
    ) -> None: ...
    def pack(self, weight: Buffer | int, packed: Buffer | int, /) -> None: ...

class WeightGrad:
    scratch_bytes: int
    def __init__(
        self,
        element: int,
        transposed: bool,
        batch: int,
        groups: int,
        in_channels: int,
        out_channels: int,
        axes: Sequence[Sequence[int]],
        in_strides: Sequence[int],
        out_strides: Sequence[int],
        /,
    ) -> None: ...
    def run(self, x: Buffer | int, y: Buffer | int, out: Buffer | int, /) -> None: ...

def xla_calls() -> dict[str, Any]:
    """Handlers of XLA's custom calls by name, in capsules."""

def tiers() -> list[str]: ...
def tier() -> str: ...
def vector_bytes() -> int: ...
def use_tier(name: str, /) -> bool: ...
def last_tier() -> str: ...
def memory(bytes: int, /) -> tuple[int, object] | None:
    """The address of so many bytes, and what gives them back when it is freed."""

def keep_at_most(bytes: int, /) -> None: ...
def kept_bytes() -> int: ...
def pauses() -> int:
    """How often calls of this thread have come to where they could have been interrupted."""

def threads() -> int: ...
def set_threads(n: int, /) -> None: ...
def set_threads_here(n: int, /) -> int: ...
def set_team(start: int, /) -> None:
    """The address of what starts another library's threads, as GOMP_parallel does; 0: the pool is taken."""

def set_team_here(n: int, /) -> int:
    """Let calls of this thread run on that team of n threads, 0: on the pool; gives what was before."""

def set_quota(n: int, /) -> None: ...
