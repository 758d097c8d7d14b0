"""The weights of a .safetensors file in a model that a factory has made."""

import os
import sys
from pathlib import Path
from typing import Any

from unsample.errors import ShapeError
from unsample.files import open_file
from unsample.geometry.arguments import describe
from unsample.inspection.archive import first_line, shown


def load_weights(model: Any, path: str | os.PathLike[str]) -> None:
    """Copy the tensors of a .safetensors file into the parameters and buffers of a model: all of them.

    Parameters
    ----------
    model : Module
    path : str or path
        Nothing in such a file is code. Files that are pickled are refused.

    Raises
    ------
    ShapeError, TypeError
        Where the file is none, a tensor is missing or has another shape, or the model has no such tensor.
    """
    import torch
    from torch.nn.parameter import is_lazy

    where = shown(os.fspath(path))
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"inspect: weights must go into a torch.nn.Module, got {describe(model)}")
    if Path(path).suffix.lower() != ".safetensors":
        raise ShapeError(
            f"inspect: weights must be a .safetensors file, got {where}: "
            f"save safetensors.torch.save_model(model, 'weights.safetensors')"
        )
    try:
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_model
    except ModuleNotFoundError:
        raise ShapeError("inspect: weights need an extra: pip install 'unsample[inspect]'") from None
    try:
        open_file(path, sys.maxsize).close()
        with safe_open(path, "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise ShapeError(f"inspect: the file of weights cannot be read, {where} ({error.strerror})") from None
    except SafetensorError as error:
        raise ShapeError(
            f"inspect: {where}: must be a .safetensors file ({shown(first_line(error))})"
        ) from None
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_meta:
            raise ShapeError(
                f"inspect: weights must go into a model with memory, {name} is on the meta device"
            )
        if name in shapes and not is_lazy(tensor) and tuple(tensor.shape) != shapes[name]:
            raise ShapeError(
                f"inspect: {where}: {shown(name)} must have the shape that it has in the model, "
                f"{tuple(tensor.shape)}, got {shapes[name]}"
            )
    missing, unexpected = load_model(model, path, strict=False)
    if missing:
        raise ShapeError(
            f"inspect: {where}: must hold every tensor of the model, it has no {_named(missing)}"
        )
    if unexpected:
        raise ShapeError(
            f"inspect: {where}: must hold tensors of the model alone, which has no {_named(unexpected)}"
        )


def _named(names: Any) -> str:
    """The first of the names, and how many more there are."""
    first, *others = sorted(names)
    return shown(first) + (f" and {len(others)} more" if others else "")
