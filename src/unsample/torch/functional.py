"""The functions of `unsample` on torch tensors, as operators that compile, export, map and differentiate.

A function of `unsample` that is given a tensor calls `call`, or `pool`, with its arguments. Where nothing
records what is done (no gradient wanted, nothing traced), this goes straight to the kernel. The functions of
`unsample.torch` are those of `unsample`, and take tensors only.

Beyond what the docstrings say: a result has the memory format of its first argument (a gradient of weights is
contiguous), and the dtype of autocast where that is on; an empty `out` takes the shape of the result, and no
gradient goes through it, as in torch.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch.overrides import handle_torch_function, has_torch_function

import unsample
from unsample.arrays.dispatch import DOORS
from unsample.arrays.library import check_dense, namespace
from unsample.arrays.out import check_out, check_pair
from unsample.geometry.arguments import describe, symbolic
from unsample.geometry.plan import Plan, cached_plan
from unsample.interop.switch_indices import check_pooled
from unsample.pairs import OPERATIONS
from unsample.switches import Switches, check_kind
from unsample.torch import compute, direct, operators
from unsample.torch.autograd import operator
from unsample.torch.export import RULES
from unsample.torch.windows import Windows, from_ints, to_ints

Tensor = torch.Tensor
# A profiler sees what the dispatcher sees, so that a profiled call takes the operator, which has a name.
_profiled = torch._C._autograd._profiler_enabled


def call(
    name: str, tensors: tuple[Any, ...], words: tuple[Any, ...], out: Any, *args: Any, **options: Any
) -> Any:
    """The operation on tensors: the short way, or by the operator.

    `args` and `options` are those of its plan, `words` what the operator is told beside its windows.
    """
    operation, short = OPERATIONS[name], direct.SHORT.get(name)
    if short is not None and short.takes(*tensors) and not _profiled():
        shapes = tuple([None if x is None else tuple(x.shape) for x in tensors])
        plan = cached_plan(operation.plan, shapes, *args, **options)
        if out is not None:
            inputs = dict(zip(operation.arrays, tensors, strict=True))
            out = _fit(name, out, plan.output_shape, tensors[0].dtype, **inputs)
        with direct.torchs_threads():
            done = short.run(*tensors, plan, *words[: len(operation.words)], out)
        if done is not None:
            return done
    inputs = dict(zip(operation.arrays, tensors, strict=True))
    numbers = carried(name, _shapes(name, inputs), *args, **options)
    result = way_of(name, tensors)(*tensors, numbers, *words)
    return result if out is None else _into(name, out, result, **inputs)


def carried(name: str, shapes: tuple[Any, ...], *args: Any, **options: Any) -> list[int]:
    """The windows of a call as integers, kept from the last call like it where sizes are numbers."""
    if torch.compiler.is_compiling():
        return _carried(name, *shapes, *args, **options)
    return cached_plan(_carried, (name, *shapes), *args, **options)


def _carried(name: str, *args: Any, **options: Any) -> list[int]:
    """They are what the user wrote: a plan leaves out steps that nobody takes, see `geometry.reach.settled`.

    `args` are shapes of arrays, then what a plan is made of, which refuses what is to be refused. While torch
    compiles or exports, sizes may be symbols, and a plan says no more than their shapes.
    """
    operation = OPERATIONS[name]
    shapes = args[: len(operation.arrays)]
    if not symbolic(*(size for shape in shapes if shape is not None for size in shape)):
        operation.plan(*args, **options)
    return to_ints(operation.windows(*args, **options))


def _shapes(name: str, tensors: dict[str, Any]) -> tuple[Any, ...]:
    """Their shapes; what is no tensor that can be read is refused."""
    for each, x in tensors.items():
        if x is None and each == "bias":
            continue
        if not isinstance(x, Tensor):
            if not has_torch_function((x,)):
                namespace(name, **tensors)  # refuses arrays of two libraries
            raise TypeError(f"{name}: {each} must be a torch.Tensor, got {describe(x)}")
        if x.layout is not torch.strided or x.is_nested:  # which has no shape
            check_dense(name, each, x)
    compiling, tracing = torch.compiler.is_compiling(), torch._C._get_tracing_state() is not None
    shapes = [None if x is None else x.shape if compiling else tuple(x.shape) for x in tensors.values()]
    if tracing:  # torch.jit has tensors for sizes, which no operator takes: its windows are of this size
        shapes = [None if shape is None else tuple(map(int, shape)) for shape in shapes]
    return tuple(shapes)


def way_of(name: str, tensors: Sequence[Any]) -> Callable[..., Any]:
    """The operator of this name, its kernel where nothing looks on, or torch's own functions for ONNX."""
    if not torch.compiler.is_compiling() and straight(tensors):
        return operators.KERNELS[name]
    if torch.onnx.is_in_onnx_export() and name in RULES:
        return RULES[name]
    return operator(name)  # type: ignore[no-any-return]


def straight(tensors: Sequence[Any]) -> bool:
    """Whether nothing looks on: no gradient, transform, trace, mode, autocast, profiler or subclass."""
    if direct.observed() or _profiled():
        return False
    recorded = torch.is_grad_enabled()
    for x in tensors:
        if x is None:
            continue
        if type(x) not in (Tensor, torch.nn.Parameter) or compute.device_of(x) not in compute.COMPUTES:
            return False
        if direct.is_batched(x):
            return False
        if recorded and x.requires_grad:
            return False
    return True


def _fit(
    operation: str, out: Any, shape: Sequence[int], dtype: torch.dtype, name: str = "out", **inputs: Any
) -> Any:
    """`out` as it may be written: an empty one takes the shape of the result, as in torch."""
    if out is None:
        return None
    if isinstance(out, Tensor) and out.numel() == 0 and tuple(out.shape) != tuple(shape):
        out.resize_(tuple(shape))
    check_out(operation, out, tuple(shape), dtype, name, **inputs)
    return out


def _into(operation: str, out: Any, result: Tensor, name: str = "out", **inputs: Any) -> Tensor:
    """The result, copied into `out` where one is given."""
    if out is None:
        return result
    fitting: Tensor = _fit(operation, out, result.shape, result.dtype, name, **inputs)
    return fitting.copy_(result)


def pool(
    name: str, x: Any, words: tuple[Any, ...], remember: bool, out: Any, *args: Any, **options: Any
) -> Any:
    """Values and switches, or the values alone."""
    if direct.SHORT[name].takes(x) and not _profiled():
        plan = cached_plan(OPERATIONS[name].plan, (tuple(x.shape),), *args, **options)
        done = _pooled(x, plan, remember, out)
        if done is not None:
            return done
    shapes = _shapes(name, {"x": x})
    numbers = carried(name, shapes, *args, **options)
    values, taps = way_of(name, (x,))(x, numbers, *words)
    if torch.compiler.is_compiling():
        windows = from_ints(numbers)
    else:
        windows = cached_plan(OPERATIONS[name].plan, shapes, *args, **options).windows
    return _pair(name, x, values, Switches(taps, windows), remember, out)


def _pooled(x: Tensor, plan: Plan, remember: bool, out: Any) -> Any:
    """Values and switches, or the values alone, the short way; None where there is none."""
    where: tuple[Any, Any] = (None, None)
    if out is not None:
        operation, shape = plan.operation, plan.output_shape
        values, taps = check_pair(operation, out) if remember else (out, None)
        dtype = direct.of_taps(plan)
        values = _fit(operation, values, shape, x.dtype, x=x)
        where = values, _fit(operation, taps, shape, dtype, "out[1]", x=x, values=values)
    with direct.torchs_threads():
        done = direct.pool(x, plan, bool(remember), where)
    if done is None:
        return None
    values, taps = done
    return (values, Switches(taps, plan.windows)) if remember else values


def _pair(operation: str, x: Tensor, values: Tensor, switches: Switches, remember: bool, out: Any) -> Any:
    """The same from the long way."""
    into, taps = check_pair(operation, out) if remember else (out, None)
    _fit(operation, into, values.shape, values.dtype, x=x)
    if remember:
        _fit(operation, taps, switches.taps.shape, switches.taps.dtype, "out[1]", x=x, values=into)
    values = _into(operation, into, values, x=x)
    if not remember:
        return values
    return values, Switches(_into(operation, taps, switches.taps, "out[1]", x=x), switches.windows)


def switches_to_indices(switches: Switches) -> Tensor:
    """The int64 indices, flat in one plane, that torch's pooling gives: `Switches.to_torch` as an operator.

    Parameters
    ----------
    switches : Switches

    Returns
    -------
    Tensor of int64, (..., *windows)

    Raises
    ------
    SwitchError, TypeError
        As `Switches.to_torch`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> ut.switches_to_indices(ut.max_pool(torch.tensor([3.0, 9.0, 5.0, 7.0]), (2,))[1])
    tensor([1, 3])
    """
    check_kind("Switches.to_torch", switches)
    given = {"switches": switches.taps}
    result: Tensor = _indexed("switches_to_indices", "Switches.to_torch", given, switches.windows)
    return result


def indices_to_switches(indices: Tensor, windows: Windows) -> Switches:
    """Torch's indices as Switches of given windows: `Switches.from_torch` as an operator.

    Parameters
    ----------
    indices : Tensor of integers, (..., *windows)
    windows : tuple of Window or AdaptiveWindow
        One per spatial axis.

    Returns
    -------
    Switches

    Raises
    ------
    ShapeError, SwitchError, TypeError
        As `Switches.from_torch`.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> from unsample.geometry import Window
    >>> ut.indices_to_switches(torch.tensor([1, 2]), (Window(4, 2, 2, 2),)).taps
    tensor([1, 0], dtype=torch.uint8)
    """
    taps = _indexed("indices_to_switches", "Switches.from_torch", {"indices": indices}, windows)
    return Switches(taps, from_ints(to_ints(windows)))


def _indexed(name: str, operation: str, tensors: dict[str, Any], windows: Windows) -> Any:
    _shapes(name, tensors)
    if not torch.compiler.is_compiling():
        check_pooled(operation, windows)
    given = tuple(tensors.values())
    return way_of(name, given)(*given, to_ints(windows))


P = ParamSpec("P")
R = TypeVar("R")


def on_tensors(function: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """`function`, which takes any array, for tensors only."""
    name = function.__name__
    first = OPERATIONS[name].arrays[0]

    @wraps(function)
    def of_tensors(*args: Any, **options: Any) -> Any:
        x = args[0] if args else options.get(first, _NOTHING)
        if not isinstance(x, Tensor) and x is not _NOTHING:  # of which Python says that it is missing
            if has_torch_function((x,)):  # such as what torch.fx traces with
                return handle_torch_function(of_tensors, (x,), *args, **options)
            raise TypeError(f"{name}: {first} must be a torch.Tensor, got {describe(x)}")
        return function(*args, **options)

    of_tensors.__module__ = __name__  # by which torch.fx finds it again
    return of_tensors


_NOTHING = object()

DOORS.update(call=call, pool=pool)
adaptive_max_pool = on_tensors(unsample.adaptive_max_pool)
bed_of_nails = on_tensors(unsample.bed_of_nails)
conv = on_tensors(unsample.conv)
conv_transpose = on_tensors(unsample.conv_transpose)
conv_weight_grad = on_tensors(unsample.conv_weight_grad)
decimate = on_tensors(unsample.decimate)
max_gather = on_tensors(unsample.max_gather)
max_pool = on_tensors(unsample.max_pool)
max_unpool = on_tensors(unsample.max_unpool)
nearest = on_tensors(unsample.nearest)
pixel_shuffle = on_tensors(unsample.pixel_shuffle)
pixel_unshuffle = on_tensors(unsample.pixel_unshuffle)
resize = on_tensors(unsample.resize)
resize_transpose = on_tensors(unsample.resize_transpose)
window_sum = on_tensors(unsample.window_sum)
