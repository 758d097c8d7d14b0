"""Derivatives of every operator, written with the operators themselves.

The backward of each direction calls its partner, a registered operator with derivatives of its own, and the
forward derivative calls the operator again: so derivatives of every order and mode, compiled or mapped, are
these few lines.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad

from unsample.geometry.plan import Plan
from unsample.geometry.reach import settled
from unsample.operation import Operation
from unsample.torch.windows import fine_size, from_ints, to_ints

Tensor = torch.Tensor
Formula = Callable[..., Any]
_HOLE = object()


def operator(name: str) -> Any:
    """The registered operator of this name."""
    return getattr(torch.ops.unsample, name).default


# -- how a formula becomes the autograd kernel of an operator ---------------------------------------------


def autograd_kernel(name: str, save: Formula, backward: Formula, forward: Formula) -> Callable[..., Any]:
    """What the dispatcher runs where derivatives may be asked for.

    Parameters
    ----------
    name : str
        Of the operator.
    save : callable
        `save(inputs, output)` gives (tensors, rest) to keep for both formulas.
    backward : callable
        `backward(needs, tensors, rest, gradient)` gives a gradient, or None, for every input.
    forward : callable
        `forward(tensors, rest, tangents)` gives the tangent of the (first) output.
    """

    class Derivative(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: Any) -> Any:
            with _below_autograd():
                return operator(name)(*inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            tensors, ctx.rest = save(inputs, output)
            ctx.save_for_backward(*tensors)
            ctx.save_for_forward(*tensors)
            ctx.number = len(inputs)
            ctx.several = isinstance(output, tuple)
            if ctx.several:
                ctx.mark_non_differentiable(output[1])
            elif not (output.is_floating_point() or output.is_complex()):
                ctx.mark_non_differentiable(output)
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx: Any, gradient: Any, *_: Any) -> Any:
            if gradient is None:
                return (None,) * ctx.number
            return backward(ctx.needs_input_grad, ctx.saved_tensors, ctx.rest, gradient)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            tangent = forward(ctx.saved_tensors, ctx.rest, tangents)
            return (tangent, None) if ctx.several else tangent

    # The class of its node in the graph is named when it is made, as the profiler shows it.
    meta: Any = type(Derivative)
    named = meta(f"unsample_{name}", (Derivative,), {})
    # autograd.Function.apply would hand a functorch transform to its own dispatcher, and so past the
    # operator: here that transform has already been unwrapped, and one level of autograd is left.
    apply: Callable[..., Any] = super(torch.autograd.Function, named).apply

    def kernel(*inputs: Any) -> Any:
        if torch._C._are_functorch_transforms_active():
            with enable_single_level_autograd_function():
                return apply(*inputs)
        if not _differentiates(inputs):
            with torch._C._AutoDispatchBelowAutograd():
                return operator(name)(*inputs)
        return apply(*inputs)

    return kernel


def _differentiates(inputs: Sequence[Any]) -> bool:
    if forward_ad._current_level >= 0:
        return True
    return torch.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in inputs)


@contextmanager
def _below_autograd() -> Iterator[None]:
    """The operator itself; under torch.func the next transform out, which must see that it is one."""
    if not torch._C._are_functorch_transforms_active():
        with torch._C._AutoDispatchBelowAutograd():
            yield
        return
    with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True), torch._C._AutoDispatchBelowAutograd():
        yield


# -- formulas ---------------------------------------------------------------------------------------------


def linear(name: str, partner: str) -> Callable[..., Any]:
    """The kernel of an operator that is linear in its first argument: of the same windows and words."""

    def save(inputs: Any, output: Any) -> Any:
        rest = inputs[1:]
        return [each for each in rest if isinstance(each, Tensor)], [
            _HOLE if isinstance(each, Tensor) else each for each in rest
        ]

    def filled(rest: Sequence[Any], tensors: Sequence[Tensor]) -> list[Any]:
        """The saved tensors back in their places."""
        left = list(tensors)
        return [left.pop(0) if each is _HOLE else each for each in rest]

    def backward(needs: Any, tensors: Any, rest: Any, gradient: Tensor) -> Any:
        words = ADDED.get(name, ())
        return operator(partner)(gradient, *filled(rest, tensors), *words), *(None,) * len(rest)

    def forward(tensors: Any, rest: Any, tangents: Any) -> Any:
        return operator(name)(tangents[0], *filled(rest, tensors))

    return autograd_kernel(name, save, backward, forward)


# Words of the partner that an operator has not: what a gather is the transpose of adds where windows meet.
ADDED: dict[str, tuple[Any, ...]] = {"max_gather": ("sum",)}


def pooling(name: str) -> Callable[..., Any]:
    """The kernel of `max_pool` or `adaptive_max_pool`: linear in x where the switches are held."""

    def save(inputs: Any, output: Any) -> Any:
        return [output[1]], (to_ints(settled(from_ints(inputs[1]))), len(inputs))  # as switches have them

    def backward(needs: Any, tensors: Any, rest: Any, gradient: Tensor) -> Any:
        windows, number = rest
        return operator("max_unpool")(gradient, tensors[0], windows, "sum"), *(None,) * (number - 1)

    def forward(tensors: Any, rest: Any, tangents: Any) -> Any:
        return operator("max_gather")(tangents[0], tensors[0], rest[0])

    return autograd_kernel(name, save, backward, forward)


def unpooling() -> Callable[..., Any]:
    """The kernel of `max_unpool`: linear in the values that reach the output."""

    def save(inputs: Any, output: Any) -> Any:
        values, switches, windows, duplicates = inputs
        compared = [values] if duplicates == "max" else []
        return [switches, *compared], (windows, duplicates)

    def backward(needs: Any, tensors: Any, rest: Any, gradient: Tensor) -> Any:
        switches, windows = tensors[0], rest[0]
        gathered = operator("max_gather")(gradient, switches, windows)
        return _winning(gathered, tensors, rest), None, None, None

    def forward(tensors: Any, rest: Any, tangents: Any) -> Any:
        return operator("max_unpool")(_winning(tangents[0], tensors, rest), tensors[0], rest[0], "sum")

    return autograd_kernel("max_unpool", save, backward, forward)


def _winning(x: Tensor, tensors: Sequence[Tensor], rest: Any) -> Tensor:
    """`x`, one per window, and 0 where the value of the window does not reach the output."""
    windows, duplicates = rest
    if duplicates in ("sum", "error") or Plan("", (), (), from_ints(windows)).tiles:
        return x
    switches = tensors[0]
    rank = len(fine_size(windows))
    coarse = switches.shape[switches.ndim - rank :]
    number = 1
    for size in coarse:
        number = number * size
    windows_in_order = torch.arange(1, number + 1, device=x.device).reshape(tuple(coarse))
    if duplicates == "last":
        candidate = windows_in_order.expand(switches.shape)
    else:
        # Of the windows whose value is the largest on their element the first wins, NaN over numbers.
        values = tensors[1].detach()
        largest = operator("max_gather")(
            operator("max_unpool")(values, switches, windows, "max"), switches, windows
        )
        reaches = (values == largest) | ((values != values) & (largest != largest))
        candidate = torch.where(reaches, number + 1 - windows_in_order, 0)
    placed = operator("max_unpool")(candidate.contiguous(), switches, windows, "max")
    wins = (operator("max_gather")(placed, switches, windows) == candidate) & (candidate > 0)
    return torch.where(wins, x, torch.zeros((), dtype=x.dtype, device=x.device))


def _of_kind(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient of a real argument is real, also where the other argument is complex."""
    return gradient.real if gradient.is_complex() and not x.is_complex() else gradient


def _bias_gradient(gradient: Tensor, rank: int) -> Tensor:
    """Summed over the batch, if there is one, and all positions."""
    axes = [*range(gradient.ndim - rank - 1), *range(gradient.ndim - rank, gradient.ndim)]
    return gradient.sum(dim=axes)


def _added(*terms: Tensor | None) -> Tensor | None:
    total: Tensor | None = None
    for term in terms:
        if term is not None:
            total = term if total is None else total + term
    return total


def _per_channel(bias: Tensor | None, shape: Sequence[int], rank: int) -> Tensor | None:
    return None if bias is None else bias.reshape(-1, *(1,) * rank).expand(shape).clone()


def convolving(name: str, partner: str) -> Callable[..., Any]:
    """The kernel of `conv` or `conv_transpose`.

    <conv(x, w), y> = <x, conv_transpose(y, w)> = <w, conv_weight_grad(x, y)>
    """

    def save(inputs: Any, output: Any) -> Any:
        x, weight, _, *rest = inputs
        return [x, weight], (rest, output.shape)

    def backward(needs: Any, tensors: Any, kept: Any, gradient: Tensor) -> Any:
        (x, weight), (rest, _) = tensors, kept
        to_x = to_weight = to_bias = None
        if needs[0]:
            to_x = _of_kind(operator(partner)(gradient, weight.conj(), None, *rest), x)
        if needs[1]:
            fine, coarse = (x.conj(), gradient) if name == "conv" else (gradient, x.conj())
            to_weight = _of_kind(operator("conv_weight_grad")(fine, coarse, *rest), weight)
        if needs[2]:
            to_bias = _bias_gradient(gradient, weight.ndim - 2)
        return to_x, to_weight, to_bias, *(None,) * len(rest)

    def forward(tensors: Any, kept: Any, tangents: Any) -> Any:
        (x, weight), (rest, shape) = tensors, kept
        of_x, of_weight, of_bias, *_ = tangents
        return _added(
            None if of_x is None else operator(name)(of_x, weight, None, *rest),
            None if of_weight is None else operator(name)(x, of_weight, None, *rest),
            _per_channel(of_bias, shape, weight.ndim - 2),
        )

    return autograd_kernel(name, save, backward, forward)


def weight_gradient() -> Callable[..., Any]:
    """The kernel of `conv_weight_grad`, bilinear in x and y."""

    def save(inputs: Any, output: Any) -> Any:
        x, y, *rest = inputs
        return [x, y], rest

    def backward(needs: Any, tensors: Any, rest: Any, gradient: Tensor) -> Any:
        x, y = tensors
        to_x = to_y = None
        if needs[0]:
            to_x = _of_kind(operator("conv_transpose")(y.conj(), gradient, None, *rest), x)
        if needs[1]:
            to_y = _of_kind(operator("conv")(x.conj(), gradient, None, *rest), y)
        return to_x, to_y, *(None,) * len(rest)

    def forward(tensors: Any, rest: Any, tangents: Any) -> Any:
        (x, y), (of_x, of_y, *_) = tensors, tangents
        gradient = operator("conv_weight_grad")
        return _added(
            None if of_x is None else gradient(of_x, y, *rest),
            None if of_y is None else gradient(x, of_y, *rest),
        )

    return autograd_kernel("conv_weight_grad", save, backward, forward)


OWN: dict[str, Callable[[], Callable[..., Any]]] = {
    "max_pool": lambda: pooling("max_pool"),
    "adaptive_max_pool": lambda: pooling("adaptive_max_pool"),
    "max_unpool": unpooling,
    "conv": lambda: convolving("conv", "conv_transpose"),
    "conv_transpose": lambda: convolving("conv_transpose", "conv"),
    "conv_weight_grad": weight_gradient,
}


def kernel_of(operation: Operation) -> Callable[..., Any]:
    """The autograd kernel of an operator; its partner is the gradient of one that has none of its own."""
    own = OWN.get(operation.name)
    return own() if own is not None else linear(operation.name, operation.partner)
