"""Where results go: memory that begins with a cache line, and large blocks that are used again.

The pages of a fresh array cost more than what is written into them: 53 ms for 34 MB in small pages, 10 ms
in huge ones, 0.6 ms where they are there already. A large result that is freed is therefore kept for the
next one of about its size. The system may take its pages meanwhile (MADV_FREE), so they are not lost to
anybody. On Linux only; elsewhere NumPy allocates.
"""

import os
from math import prod
from typing import Any

import numpy as np

from unsample.geometry.arguments import integer
from unsample.native.module import kernels
from unsample.native.threads import decimal

_LINE, _ALIGNED, _KEPT = 64, 1 << 16, 1 << 20  # bytes; from the second aligned, from the third kept


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """A fresh array of any content; a large one begins with a cache line, which NumPy's own never do.

    Rows then end where cache lines end, and can be written past the cache: 5 to 25 % of a call.
    """
    size = prod(shape) * dtype.itemsize
    if size < _ALIGNED:
        return np.empty(shape, dtype)
    kept = kernels.memory(size) if size >= _KEPT else None
    if kept is not None:
        address, owner = kept
        found = np.asarray(_Kept(address, owner, size))
    else:
        found = np.empty(size + _LINE, np.uint8)
        start = -found.ctypes.data % _LINE
        found = found[start : start + size]
    return found.view(dtype).reshape(shape)


class _Kept:
    """Memory of the compiled module, as NumPy asks for it; `owner` gives it back."""

    def __init__(self, address: int, owner: object, size: int) -> None:
        self.owner = owner
        self.__array_interface__ = {
            "data": (address, False),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }


def set_kept_memory(megabytes: int) -> None:
    """Keep at most so much memory of freed results for the next ones; what is kept now is let go.

    Parameters
    ----------
    megabytes : int
        0 keeps none. 512 from the start, or what UNSAMPLE_KEEP_MB says.

    Raises
    ------
    ShapeError, TypeError
        Where `megabytes` is no integer, or negative.

    Examples
    --------
    >>> import unsample as us
    >>> us.set_kept_memory(0)
    >>> us.show_config().kept_bytes
    0
    >>> us.set_kept_memory(512)
    """
    most = integer("set_kept_memory", "megabytes", megabytes, minimum=0)
    if kernels is not None:
        kernels.keep_at_most(min(most * 1_000_000, 2**63 - 1))


def start() -> None:
    """What the environment says, told to the allocator."""
    wanted = os.environ.get("UNSAMPLE_KEEP_MB", "").strip()
    if wanted:
        megabytes = decimal(wanted)
        if megabytes is None:
            raise ValueError(f"unsample: UNSAMPLE_KEEP_MB must be a number of megabytes, got {wanted!r}")
        set_kept_memory(megabytes)
