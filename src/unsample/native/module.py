"""The compiled module, or why there is none."""

import importlib
import os
from typing import Any


def load(environment: Any) -> tuple[Any, str]:
    """The compiled module, or None and why there is none."""
    if environment.get("UNSAMPLE_NO_NATIVE"):
        return None, "UNSAMPLE_NO_NATIVE is set"
    try:
        return importlib.import_module("unsample._native"), ""
    except ImportError as error:
        return None, str(error)


kernels, missing = load(os.environ)
