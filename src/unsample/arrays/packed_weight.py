"""A weight that is laid out for the kernels once instead of at every call."""

from typing import Any

import numpy as np

from unsample.native.memory import empty

# Layouts kept of one weight, each about as large as it and for as long as it lives: a layout depends on the
# sizes, the dtype and the instructions.
_MOST = 8


class PackedWeight(np.ndarray[Any, Any]):
    """A read-only array that remembers how the kernels want it: what `pack_weight` returns."""

    kept: dict[Any, Any]

    def __array_finalize__(self, source: Any) -> None:
        self.kept = {}  # of this array alone; its slices and copies begin anew

    @property
    def is_fixed(self) -> bool:
        """Whether the elements lie in bytes, which nobody can write; those of a copy do not."""
        owner: Any = self
        while isinstance(owner, np.ndarray):
            owner = owner.base
        return type(owner) is bytes

    def for_kernel(self, compiled: Any, kernel: Any) -> Any:
        """The elements of `kernel`, this weight in the dtype of the call, as `compiled` reads them."""
        key = compiled, self.dtype, self.strides  # NumPy lets the last two be set
        found = self.kept.get(key)
        if found is None:
            found = empty((compiled.packed_bytes,), np.dtype(np.uint8))
            compiled.pack(kernel, found)
            while len(self.kept) >= _MOST:
                self.kept.pop(next(iter(list(self.kept))), None)  # a copy: other threads add
            self.kept[key] = found
        return found


def pack_weight(weight: Any) -> PackedWeight:
    """Keep a weight as the kernels read it, for many calls of `conv` or `conv_transpose`.

    Every call lays the weight out anew, unless it comes from here: then the first call of each input shape
    does it, and the next ones find it done. It pays where the maps are small and the channels many. The
    result is the same, bit for bit.

    Parameters
    ----------
    weight : numpy.ndarray, shape (C_in, C_out / groups, *kernel)
        Copied, so that what happens to it afterwards does not matter.

    Returns
    -------
    PackedWeight
        An array of the same elements, in memory that cannot be made writable. It keeps the last 8 layouts,
        each about as large as itself.

    Raises
    ------
    TypeError
        `weight` is no NumPy array, or one of objects.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> w = us.pack_weight(np.ones((1, 1, 3), np.float32))
    >>> us.conv_transpose(np.ones((1, 1, 2), np.float32), w, stride=2)
    array([[[1., 1., 2., 1., 1.]]], dtype=float32)
    """
    if not isinstance(weight, np.ndarray):
        raise TypeError(f"pack_weight: weight must be a numpy.ndarray, got {type(weight).__name__}")
    if weight.dtype.hasobject:
        raise TypeError(f"pack_weight: weight must hold numbers, got dtype {weight.dtype}")
    return PackedWeight(weight.shape, weight.dtype, weight.tobytes())
