"""Between switches and the indices of torch's pooling: two operators that are no direction of a pair."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from unsample.interop import switch_indices
from unsample.switches import Switches, switch_dtype
from unsample.torch.layout import allocated, laid_out
from unsample.torch.windows import from_ints

Tensor = torch.Tensor
Ints = Sequence[int]

SCHEMAS = {
    "switches_to_indices": "(Tensor switches, SymInt[] windows) -> Tensor",
    "indices_to_switches": "(Tensor indices, SymInt[] windows) -> Tensor",
}


def _to_indices(switches: Tensor, windows: Ints) -> Tensor:
    """`Switches.to_torch`."""
    return laid_out(Switches(switches, from_ints(windows)).to_torch(), switches)


def _to_switches(indices: Tensor, windows: Ints) -> Tensor:
    """The taps of `Switches.from_torch`."""
    found = from_ints(windows)
    taps = switch_indices.taps_of_torch("Switches.from_torch", indices, found, switch_dtype(found))
    return laid_out(taps, indices)


def _fake_indices(switches: Tensor, windows: Ints) -> Tensor:
    return allocated(switches, switches.shape, torch.int64)


def _fake_switches(indices: Tensor, windows: Ints) -> Tensor:
    return allocated(indices, indices.shape, getattr(torch, switch_dtype(from_ints(windows))))


KERNELS: dict[str, Callable[..., Any]] = {
    "switches_to_indices": _to_indices,
    "indices_to_switches": _to_switches,
}
FAKES: dict[str, Callable[..., Any]] = {
    "switches_to_indices": _fake_indices,
    "indices_to_switches": _fake_switches,
}
