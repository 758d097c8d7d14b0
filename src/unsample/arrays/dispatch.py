"""What a library does instead of the core: with a whole call, or with a definition that is planned.

A library's package depends on the core and never the other way round: it is imported by its name when the
first of its arrays comes, and fills in the tables here. What is not in them the definition computes.

- PyTorch takes whole calls (`DOORS`): sizes may be symbols there, of which no plan can be made.
- JAX takes planned definitions (`IMPLEMENTATIONS`): it traces with sizes that are numbers.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]

# Name of a function -> the one that torch tensors take, of the same arguments.
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


def _open(function: str) -> None:
    if function not in DOORS:
        importlib.import_module("unsample.torch.functional")


# What torch.compiler.assume_constant_result sets, which cannot be asked before torch is imported: a compiled
# function calls this while it is traced, for torch cannot trace an import, and keeps no condition of it.
_open._dynamo_marked_constant = True  # type: ignore[attr-defined]


def door(function: str) -> Function:
    """What torch tensors take in the place of the function of `unsample` with this name."""
    _open(function)
    return DOORS[function]


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
