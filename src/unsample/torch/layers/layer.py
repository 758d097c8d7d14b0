"""What torch's tools see in a layer of this library: what they see in one of torch.nn."""

import inspect
from typing import Any

from torch import nn

from unsample.geometry.arguments import with_plain_numbers
from unsample.switches import Switches


class Layer(nn.Module):
    """One step for torch.fx; for torch.jit.trace what torch.nn's layer is, where there is one."""

    @with_plain_numbers
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Name torch.nn as the module of the instance, where torch.fx looks whether to take it whole.

        Its class goes on naming its own, which is where pickle looks.
        """
        self.__dict__["__module__"] = "torch.nn"
        super().__init__(*args, **kwargs)

    def as_in_torch(self) -> bool:
        """Whether torch.nn's layer does the same with these settings."""
        return False

    def _slow_forward(self, *args: Any, **kwargs: Any) -> Any:
        """What torch calls while torch.jit traces: a trace of torch's own operators holds for other sizes."""
        twin: Any = next(each for each in type(self).__mro__ if each.__module__.startswith("torch.nn."))
        if self.as_in_torch() and _takes(twin, self, *args, **kwargs):
            return twin.forward(self, *args, **kwargs)
        return super()._slow_forward(*args, **kwargs)  # type: ignore[no-untyped-call]


def _takes(twin: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether its forward pass has these arguments: no `like`, no Switches."""
    try:
        inspect.signature(twin.forward).bind(*args, **kwargs)
    except TypeError:
        return False
    return not any(isinstance(each, Switches) for each in (*args, *kwargs.values()))
