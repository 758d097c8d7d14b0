"""Every pair for JAX: under jit, grad of any order, jvp, vmap and linear_transpose; on the CPU compiled.

The functions are those of `unsample`, which take jax arrays too; these also take NumPy arrays and give jax
arrays back, as `jax.numpy` does. `import unsample.jax` imports jax; `import unsample` does not. Modules are
in `unsample.jax.equinox` and `unsample.jax.flax`.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

try:
    import jax
except ImportError:
    raise ImportError("unsample.jax: JAX is not installed: pip install 'unsample[jax]'") from None

import unsample
from unsample.pairs import OPERATIONS
from unsample.switches import PackedSwitches, Switches, make_pytrees

make_pytrees(jax)

_ARRAYS = frozenset({"x", "y", "values", "switches", "weight", "bias"})
_F = TypeVar("_F", bound=Callable[..., Any])


def _on_jax(function: _F) -> _F:
    """`function`, its arrays made jax arrays where NumPy has them."""
    arrays = {i for i, name in enumerate(inspect.signature(function).parameters) if name in _ARRAYS}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args = tuple(_array(each) if i in arrays else each for i, each in enumerate(args))
        return function(*args, **{k: _array(v) if k in _ARRAYS else v for k, v in kwargs.items()})

    return cast("_F", call)


def _array(value: Any) -> Any:
    if isinstance(value, Switches):
        return Switches(_array(value.taps), value.windows)
    return jax.numpy.asarray(value) if type(value) in (np.ndarray, np.memmap) else value


def check_groups(in_channels: int, out_channels: int, groups: int) -> None:
    """Refuse groups that do not divide the channels of a module."""
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise unsample.ShapeError(
            f"ConvTranspose: groups must divide the channels in and out, "
            f"got {groups} for {in_channels} and {out_channels}"
        )


adaptive_max_pool = _on_jax(unsample.adaptive_max_pool)
bed_of_nails = _on_jax(unsample.bed_of_nails)
conv = _on_jax(unsample.conv)
conv_transpose = _on_jax(unsample.conv_transpose)
conv_weight_grad = _on_jax(unsample.conv_weight_grad)
decimate = _on_jax(unsample.decimate)
max_gather = _on_jax(unsample.max_gather)
max_pool = _on_jax(unsample.max_pool)
max_unpool = _on_jax(unsample.max_unpool)
nearest = _on_jax(unsample.nearest)
pixel_shuffle = _on_jax(unsample.pixel_shuffle)
pixel_unshuffle = _on_jax(unsample.pixel_unshuffle)
resize = _on_jax(unsample.resize)
resize_transpose = _on_jax(unsample.resize_transpose)
window_sum = _on_jax(unsample.window_sum)

__all__ = [
    "PackedSwitches",
    "Switches",
    "adaptive_max_pool",
    "bed_of_nails",
    "conv",
    "conv_transpose",
    "conv_weight_grad",
    "decimate",
    "max_gather",
    "max_pool",
    "max_unpool",
    "nearest",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "resize_transpose",
    "window_sum",
]


if not TYPE_CHECKING:  # which would know no wrong name any more

    def __getattr__(name: str) -> Any:
        """An operation that has no line above."""
        if name not in OPERATIONS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _on_jax(OPERATIONS[name].function)
