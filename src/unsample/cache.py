"""Results kept for the next call like it, bounded by bytes.

What has the size of a plan, a few hundred bytes, is kept by `functools.lru_cache`, which bounds the number.
What grows with the sizes of arrays or kernels (tables of positions and weights, and compiled plans that hold
such tables) is kept here, all of it together within `MOST` bytes. What was used least recently goes first;
what takes more than `LARGEST` alone is made anew at every call.
"""

import itertools
import os
import threading
from typing import Any

MOST = 64_000_000
LARGEST = MOST // 4
_ENTRY = 1000  # bytes of a key, a plan and what holds them

# Key -> when it was used last, its bytes, the result. Looking up takes no lock: a dict is always whole.
_entries: dict[Any, list[Any]] = {}
_clock = itertools.count()
_lock = threading.Lock()
_held = 0


def find(key: Any) -> Any:
    """The result kept under `key`, None where there is none."""
    entry = _entries.get(key)
    if entry is None:
        return None
    entry[0] = next(_clock)
    return entry[2]


def keep(key: Any, result: Any, size: int) -> Any:
    """`result`, kept under `key` as `size` bytes.

    Examples
    --------
    >>> keep(("an example", 3), "result", 10)
    'result'
    >>> find(("an example", 3))
    'result'
    """
    global _held
    size += _ENTRY
    if size > LARGEST:
        return result
    with _lock:
        if key not in _entries:
            _entries[key] = [next(_clock), size, result]
            _held += size
        if _held > MOST:  # down to three quarters, so that not every call has to sort
            for old, entry in sorted(_entries.items(), key=lambda item: item[1][0]):
                if _held <= MOST * 3 // 4:
                    break
                del _entries[old]
                _held -= entry[1]
    return result


def held() -> int:
    """Bytes of all that is kept now."""
    return _held


def forget() -> None:
    """Let go of everything."""
    global _held
    with _lock:
        _entries.clear()
        _held = 0


def _after_fork() -> None:
    """A lock that another thread held stays locked in the child."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
