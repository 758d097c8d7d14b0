"""What a library does instead of the core: with a whole call, or with a definition that is planned.

A library's package depends on the core and never the other way round: it is imported by its name when the
first of its arrays comes, and fills in the tables here. What is not in them the definition computes.

- PyTorch takes whole calls (`DOORS`): sizes may be symbols there, of which no plan can be made.
- JAX takes planned definitions (`IMPLEMENTATIONS`): sizes of windows are numbers there.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

Function = Callable[..., Any]

# What computes tensors: `call` and, where switches come with the values, `pool` of `torch/functional.py`.
DOORS: dict[str, Function] = {}
# Library -> definition -> implementation, which takes the same arguments.
IMPLEMENTATIONS: dict[str, dict[Function, Function]] = {}


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor of torch, which is not imported to know."""
    if type(x) is np.ndarray:  # most calls, counted in microseconds
        return False
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def is_jax_array(x: Any) -> bool:
    """Whether `x` is an array of jax, which is not imported to know."""
    if type(x) is np.ndarray:
        return False
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(x, jax.Array)


def _open() -> None:
    if not DOORS:
        importlib.import_module("unsample.torch.functional")


# What torch.compiler.assume_constant_result sets, which cannot be asked before torch is imported: a compiled
# function calls this while it is traced, for torch cannot trace an import, and keeps no condition of it.
_open._dynamo_marked_constant = True  # type: ignore[attr-defined]


def door(x: Any, name: Literal["call", "pool"] = "call") -> Function | None:
    """What computes a tensor of torch; None of any other array."""
    if type(x) is np.ndarray or not is_tensor(x):
        return None
    _open()
    return DOORS[name]


def implementation(definition: Function, x: Any) -> Function:
    """The implementation of `definition` for arrays like `x`, the definition itself where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> implementation(print, np.zeros(3)) is print
    True
    """
    if not is_jax_array(x):
        return definition
    if "jax" not in IMPLEMENTATIONS:
        importlib.import_module("unsample.jax.primitives")
    return IMPLEMENTATIONS["jax"].get(definition, definition)
