"""Values of tensors that do not depend on the input, computed beside a run on shapes.

A run on shapes stops where a value decides: the stride that a buffer holds, the smallest value of a window.
What is made of parameters, buffers and numbers alone has the same values whatever the input is, so it is
computed for real, as long as it is small. Nothing of the model is written to: what of it is changed in place
is forgotten.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _disable_current_modes

Tensor = torch.Tensor
ELEMENTS = 2**20  # of a tensor that is computed
UNKNOWN = object()

# Of numbers alone.
MADE = frozenset(
    f"aten.{name}"
    for name in (
        *("arange", "eye", "full", "linspace", "logspace", "ones", "scalar_tensor", "zeros"),
        *("tril_indices", "triu_indices", "bartlett_window", "blackman_window", "hamming_window"),
        *("hann_window", "kaiser_window"),
    )
)
# Of numbers, and of the shape and element type of a tensor.
LIKE = frozenset(
    f"aten.{name}" for name in ("full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like")
)


def known_of(copies: Iterable[tuple[Tensor, Tensor]]) -> dict[int, Tensor]:
    """The small tensors of a model by the ids of their fake copies, from pairs of both."""
    return {
        id(fake): real.detach()
        for real, fake in copies
        if type(real) in (Tensor, torch.nn.Parameter)
        and real.device.type == "cpu"
        and real.layout == torch.strided
        and real.numel() <= ELEMENTS
    }


def _place(x: Any) -> int:
    return int(x.untyped_storage().data_ptr())


class Constants:
    """What is known in one run.

    Parameters
    ----------
    own : mapping
        Of `known_of`: never written to.
    """

    def __init__(self, own: Mapping[int, Tensor]) -> None:
        self.known = dict(own)
        self.own = set(map(_place, own.values()))
        self.kept: list[Tensor] = []  # so that no id is given twice

    def values(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What an operator makes of values that are known; `UNKNOWN` where one is not."""
        given = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        name = f"{func.namespace}.{func.overloadpacket.__name__}"
        if torch.Tag.nondeterministic_seeded in func.tags or (not given and name not in MADE):
            return UNKNOWN
        if name in LIKE:
            with _disable_current_modes():
                given = [torch.zeros((), dtype=given[0].dtype).expand(given[0].shape)]
            args = (*given, *args[1:])
        real = [self.value(x) for x in given]
        if any(each is None or (each.numel() > ELEMENTS and name not in LIKE) for each in real):
            return UNKNOWN
        own = (
            not isinstance(x, FakeTensor) or _place(y) in self.own for x, y in zip(given, real, strict=True)
        )
        if func._schema.is_mutable and any(own):
            return UNKNOWN
        args, kwargs = pytree.tree_map_only(Tensor, self.value, (args, kwargs))
        try:
            with _disable_current_modes(), torch.no_grad():
                return func(*args, **kwargs)
        except Exception:  # the run on shapes says why
            return UNKNOWN

    def value(self, x: Tensor) -> Tensor | None:
        """The values of a tensor, where they are known."""
        return self.known.get(id(x)) if isinstance(x, FakeTensor) else x

    def numbers(self, x: Tensor) -> Any:
        """The array of an index whose values are known, else the index itself."""
        real = self.value(x)
        if real is None or real.dtype not in (torch.int32, torch.int64) or isinstance(real, FakeTensor):
            return x
        with _disable_current_modes():
            return real.detach().cpu().numpy()

    def changed(self, func: Any, args: Any, kwargs: Any) -> None:
        """Forget what an operator writes values into that are not known."""
        for argument, x in (
            *zip(func._schema.arguments, args, strict=False),
            *((each, kwargs[each.name]) for each in func._schema.arguments if each.name in kwargs),
        ):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            for each in pytree.tree_leaves(x):
                real = self.value(each) if isinstance(each, Tensor) else None
                if real is not None:
                    gone = [i for i, y in self.known.items() if _place(y) == _place(real)]
                    for i in gone:
                        del self.known[i]

    def keep(self, out: Any, values: Any) -> None:
        """Remember the values of what an operator made."""
        made, real = pytree.tree_leaves(out), pytree.tree_leaves(values)
        for x, value in zip(made, real, strict=False):
            if isinstance(x, FakeTensor) and isinstance(value, Tensor) and x.shape == value.shape:
                self.known[id(x)] = value
                self.kept.append(x)
