"""The array libraries that every pair is tested on, and how arrays get in and out of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import torch

from unsample import Switches
from unsample.arrays import dispatch

jax.config.update("jax_enable_x64", True)


@dataclass(frozen=True)
class Backend:
    """`array(numpy array)` goes in, `numpy(array)` comes out."""

    name: str
    kind: type

    def array(self, values: Any) -> Any:
        if isinstance(values, Switches):
            return Switches(self.array(values.taps), values.windows)
        values = np.asarray(values)
        if self.name == "torch":
            return torch.tensor(values)
        if self.name == "jax":
            return jnp.asarray(values)
        if self.name == "strict":
            return array_api_strict.asarray(values)
        return values

    def arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arrays and switches among `args` as this library's."""
        return tuple(self.array(each) if isinstance(each, np.ndarray | Switches) else each for each in args)

    def cast(self, values: Any, dtype: str) -> Any:
        """A float64 NumPy array as this library's array of a dtype given by name."""
        if self.name == "torch":
            return torch.tensor(np.asarray(values)).to(getattr(torch, dtype))
        if self.name == "jax":
            return jnp.asarray(values).astype(dtype)
        if self.name == "strict":
            return array_api_strict.asarray(np.asarray(values).astype(dtype))
        return np.asarray(values).astype(dtype)

    def has(self, dtype: str) -> bool:
        """Whether the library has a dtype of this name."""
        module = {"torch": torch, "jax": jnp, "strict": array_api_strict}.get(self.name, np)
        return hasattr(module, dtype if dtype != "bool" else "bool_" if module is np else "bool")

    def numpy(self, array: Any) -> Any:
        """Back to NumPy; bfloat16, which NumPy does not have, as float32."""
        if self.name == "torch":
            array = array.detach()
            return array.float().numpy() if array.dtype == torch.bfloat16 else array.numpy()
        if self.name == "jax" and array.dtype == jnp.bfloat16:
            return np.asarray(array.astype(jnp.float32))
        if self.name == "strict":
            return np.asarray(array._array)
        return np.asarray(array)

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype).removeprefix("torch.").removeprefix("array_api_strict.")


NUMPY = Backend("numpy", np.ndarray)
TORCH = Backend("torch", torch.Tensor)
JAX = Backend("jax", jax.Array)
STRICT = Backend("strict", type(array_api_strict.asarray(0)))
BACKENDS = (NUMPY, TORCH, JAX, STRICT)


def by_definition(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of `unsample`, its torch tensors taken by the definition and not by an operator."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with mock.patch.object(dispatch, "is_tensor", return_value=False):
            return function(*args, **kwargs)

    return call
