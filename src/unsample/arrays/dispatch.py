"""What computes a definition on arrays of a library: the library's own implementation, or the definition.

A library's package depends on the core and never the other way round: it is imported by its name when the
first of its arrays comes, and then has filled in `IMPLEMENTATIONS`.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]

# Library -> the module that fills in its implementations.
FILLED_BY = {"jax": "unsample.jax.primitives"}
# Library -> definition -> implementation, which takes the same arguments.
IMPLEMENTATIONS: dict[str, dict[Function, Function]] = {}


def dispatch(definition: Function, x: Any) -> Function:
    """The implementation of `definition` for arrays like `x`, the definition itself where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> dispatch(print, np.zeros(3)) is print
    True
    """
    if type(x) is np.ndarray:
        return definition
    jax = sys.modules.get("jax")
    if jax is None or not isinstance(x, jax.Array):
        return definition
    return _implementations("jax").get(definition, definition)


def _implementations(library: str) -> dict[Function, Function]:
    if library not in IMPLEMENTATIONS:
        importlib.import_module(FILLED_BY[library])
    return IMPLEMENTATIONS[library]
