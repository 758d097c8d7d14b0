"""The compiled module seen from Python: which kernels it has here, and how a plan and arrays reach them.

- `module.py`   loads it, or says why there is none
- `threads.py`  how many threads it uses
- `memory.py`   where results go
- `moves.py`    moving, pooling, unpooling, resizing
- `conv.py`     convolutions
"""

import os
import warnings
from dataclasses import dataclass

from unsample.geometry.arguments import listed
from unsample.native import memory, threads
from unsample.native.module import kernels, missing


@dataclass(frozen=True, slots=True)
class Config:
    """What computes: `unsample.show_config()`.

    Parameters
    ----------
    compiled : bool
        Whether the kernels are there; without them the definition runs, many times slower.
    tier : str
        The instruction set in use; UNSAMPLE_TIER forces another of `tiers`.
    tiers : tuple of str
        Those that were built and that this machine has, best first.
    vector_bytes : int
        Of the kernels that move data.
    num_threads : int
        As `get_num_threads` has it.
    kept_bytes : int
        Memory of freed results, kept for the next ones: `set_kept_memory`.
    reason : str
        Why nothing compiled is used, if so.
    """

    compiled: bool
    tier: str
    tiers: tuple[str, ...]
    vector_bytes: int
    num_threads: int
    kept_bytes: int = 0
    reason: str = ""

    def __repr__(self) -> str:
        if not self.compiled:
            return (
                f"unsample: NOT COMPILED ({self.reason})\n"
                f"  NumPy arrays go through the definition, many times slower than the kernels"
            )
        others = ", ".join(tier for tier in self.tiers if tier != self.tier) or "none"
        return (
            f"unsample: compiled kernels for NumPy arrays\n"
            f"  tier      {self.tier} ({self.vector_bytes}-byte vectors); also here: {others}\n"
            f"  threads   {self.num_threads}\n"
            f"  memory    {self.kept_bytes / 1e6:.0f} MB of freed results kept for the next ones"
        )


def show_config() -> Config:
    """Which kernels compute, with which instructions, on how many threads.

    Examples
    --------
    >>> import unsample as us
    >>> config = us.show_config()
    >>> config.tier in config.tiers or not config.compiled
    True
    """
    if kernels is None:
        return Config(False, "definition", (), 0, 1, reason=missing)
    return Config(
        True,
        kernels.tier(),
        tuple(kernels.tiers()),
        kernels.vector_bytes(),
        threads.get_num_threads(),
        kernels.kept_bytes(),
    )


def _start() -> None:
    """Say once where nothing is compiled; obey UNSAMPLE_TIER and the variables of `threads.py`."""
    tier = os.environ.get("UNSAMPLE_TIER", "")
    if kernels is None:
        if tier:
            raise ImportError(f"unsample: UNSAMPLE_TIER is {tier!r}, but nothing is compiled ({missing})")
        if not os.environ.get("UNSAMPLE_NO_NATIVE"):
            warnings.warn(
                f"unsample runs without its compiled kernels, many times slower ({missing})",
                RuntimeWarning,
                stacklevel=2,
            )
        return
    if tier and not kernels.use_tier(tier):
        raise ImportError(
            f"unsample: UNSAMPLE_TIER must be one of {listed(kernels.tiers())} on this machine, got {tier!r}"
        )
    threads.start()
    memory.start()


_start()
