"""One run of a torch module on shapes alone, every operator recorded.

The module is copied into fake tensors (`FakeTensorMode`: shapes, strides, dtypes, no memory), the copy is
run, and every operator that reaches the dispatcher is written down, whether a layer or a function called it.
The module itself is never run: its mode, buffers, hooks and gradients stay as they are, and fake tensors
draw no random numbers.
"""

import copy
import logging
import random
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch._guards import detect_fake_mode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeCopyMode,
    FakeTensor,
    FakeTensorMode,
)
from torch.nn.modules import module as hooks
from torch.nn.utils import parametrize
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from unsample.inspection.archive import first_line
from unsample.inspection.constants import ELEMENTS as CONSTANT
from unsample.inspection.constants import UNKNOWN, Constants, known_of
from unsample.inspection.pt2 import Layer, Program, mode_of, numbers_of
from unsample.inspection.torch_rules import BY_NUMBER, REARRANGING, Shapes, lower
from unsample.inspection.vocabulary import Failure, Op, Ran, Trace, Value, varied
from unsample.pairs import OPERATIONS
from unsample.torch.models.values import copied

Tensor = torch.Tensor


class Copies:
    """Runs of one model on shapes: the copy is made once.

    Parameters
    ----------
    model : Module
    example : tuple
        Arguments of the model; tensors stand for their shapes, dtypes and devices.
    fixed : tuple of int
        Axes of the image of which the model takes one size alone.
    words : dict
        Arguments by keyword.
    real : bool
        Whether the tensors of the example are some, and not only shapes: where values decide, theirs do.
    """

    def __init__(
        self,
        model: nn.Module,
        example: tuple[Any, ...],
        fixed: tuple[int, ...] = (),
        words: Mapping[str, Any] = MappingProxyType({}),
        real: bool = False,
    ) -> None:
        self.model, self.example, self.fixed, self.words = model, example, fixed, dict(words)
        self.real = real and not isinstance(model, Program)
        self.copy: nn.Module
        self.known: dict[int, Tensor] | None = None
        if isinstance(model, Program):  # of a file: of fake tensors as it is, and nothing is computed
            self.mode, self.copy = mode_of(model), model
            return
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        memo: dict[int, Any] = {}
        try:
            with quiet(), FakeCopyMode(self.mode):
                self.copy = copy.deepcopy(model, memo)
        except Exception as error:
            raise TypeError(
                f"inspect: the model must be one that copy.deepcopy copies, got {type(model).__name__}: "
                f"{first_line(error)}"
            ) from error
        originals = [x for x in memo.get(id(memo), ()) if isinstance(x, Tensor) and not _lazy(x)]
        self.known = known_of((x, memo[id(x)]) for x in originals if isinstance(memo.get(id(x)), Tensor))

    def arguments(self, sizes: dict[int, int] | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The example as fake tensors, `sizes` in the place of axes of the image."""
        leaves, tree = pytree.tree_flatten((self.example, self.words))
        tensors = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        images = {tensors[i] for i in varied([leaves[i].shape for i in tensors])}
        for i in tensors:
            x = leaves[i]
            shape = list(x.shape)
            for axis, n in (sizes or {}).items() if i in images else ():
                shape[axis] = n
            with self.mode:
                leaves[i] = torch.empty(shape, dtype=x.dtype, device=x.device, requires_grad=x.requires_grad)
        result: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_unflatten(leaves, tree)
        return result

    def trace(self, sizes: dict[int, int] | None = None) -> Trace:
        """The run of the example, recorded; of other sizes where they are given."""
        recorder = self.recorded(self.arguments(sizes))
        if self.real and sizes is None and recorder.failure is not None and recorder.failure.values:
            recorder = self.recorded(self.arguments(), decided(self.model, self.example, self.words))
        return replace(recorder.trace(self.model), fixed=self.fixed)

    def recorded(self, arguments: tuple[Any, Any], answers: Sequence[Any] = ()) -> "_Recorder":
        """A run on shapes; `answers` are what operators made that no shapes say."""
        recorder = _Recorder(self.copy, known=self.known, answers=answers)
        with _untouched(), self.mode, torch.enable_grad():
            recorder.run(*arguments)
        return recorder

    def output(self, sizes: dict[int, int]) -> Ran | Failure:
        """What comes out where `sizes` go in, or where that stops."""
        recorder = _Recorder(self.copy, brief=True, known=self.known)
        with _untouched(), self.mode, torch.no_grad():
            recorder.run(*self.arguments(sizes))
        if recorder.failure is not None:
            return recorder.failure
        return Ran(tuple(tuple(x.shape) for x in _results(recorder.result)), tuple(recorder.calls))


def measured(
    model: nn.Module, example: tuple[Any, ...], words: Mapping[str, Any], repeats: int
) -> list[float]:
    """Milliseconds of every recorded operator of a real run of a copy of the model: the fastest of `repeats`.

    The copy takes the memory of the model once more. Random states are put back.
    """
    made = copy.deepcopy(model)
    runs = []
    with _untouched(), torch.enable_grad():  # as it was recorded: other operators are chosen without
        for _ in range(repeats + 1):
            recorder = _Recorder(made, timed=True)
            recorder.run(*copied((example, dict(words))))
            if recorder.failure is not None:
                return []
            runs.append(recorder.times)
    kept = runs[1:] or runs  # the first run warms up
    return [min(each) for each in zip(*kept, strict=True)]


def decided(model: nn.Module, example: tuple[Any, ...], words: Mapping[str, Any]) -> list[Any]:
    """What operators whose results no shapes say make of the values of an example: a real run of a copy."""
    recorder = _Recorder(copy.deepcopy(model), brief=True)
    recorder.asked = []
    with _untouched(), torch.enable_grad():
        recorder.run(*copied((example, dict(words))))
    return recorder.asked


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _results(tree: Any) -> list[Tensor]:
    """The tensors of what a model returns, those of a dataclass and of any mapping as well."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, Mapping):
        parts: Any = tree.values()
    elif is_dataclass(tree) and not isinstance(tree, type):
        parts = [getattr(tree, each.name) for each in fields(tree)]
    elif isinstance(tree, list | tuple):
        parts = tree
    else:
        return _tensors(tree)
    return [x for part in parts for x in _results(part)]


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings of the model unsaid, and the tracebacks that torch logs of failures it raises as well."""
    logs = [logging.getLogger(name) for name in ("torch._subclasses.fake_tensor", "torch.export")]
    were = [log.disabled for log in logs]
    for log in logs:
        log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, was in zip(logs, were, strict=True):
            log.disabled = was


@contextmanager
def _untouched() -> Iterator[None]:
    """Random states as they were, whatever the model draws."""
    import numpy as np

    state, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one a model may use
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with quiet(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(of_numpy)  # noqa: NPY002


class _Recorder(TorchDispatchMode):
    """Writes down every operator, with the layer that called it."""

    def __init__(
        self,
        copy: nn.Module,
        *,
        brief: bool = False,
        timed: bool = False,
        known: dict[int, Tensor] | None = None,
        answers: Sequence[Any] = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answers = iter(answers)
        self.asked: list[Any] | None = None  # operators whose results no shapes say, with these results
        self.calls: list[Any] = []
        self.decided: list[str] = []  # layers in which one of them decided
        self.constants = None if known is None else Constants(known)
        self.copy, self.brief, self.timed = copy, brief, timed
        self.owners = dict(copy.named_modules())
        self.names = {id(layer): name for name, layer in self.owners.items()}
        self.own = [*copy.named_parameters(), *copy.named_buffers()]  # kept: a script makes them when asked
        self.parameters = {id(tensor): name for name, tensor in self.own}
        self.layers: list[str] = []
        self.numbers: dict[int, int] = {}
        self.kept: list[Any] = []  # so that no number is given twice
        self.packs: list[Tensor] = []
        self.detached: list[Tensor] = []
        self.values: list[Value] = []
        self.ops: list[Op] = []
        self.in_place: list[bool] = []
        self.times: list[float] = []
        self.inputs: tuple[int, ...] = ()
        self.outputs: tuple[int, ...] = ()
        self.result: Any = None
        self.failure: Failure | None = None
        self.failing: tuple[Any, Failure] | None = None

    # -- running ----------------------------------------------------------------------------------------

    def run(self, arguments: tuple[Any, ...], words: Mapping[str, Any]) -> None:
        """Call the copy; what goes wrong becomes `failure`."""
        here = threading.get_ident()

        def entered(layer: nn.Module, _: Any) -> None:
            if threading.get_ident() == here and id(layer) in self.names:
                self.layers.append(self.names[id(layer)])

        def left(layer: nn.Module, _: Any, __: Any) -> None:
            if threading.get_ident() == here and id(layer) in self.names:
                name = self.names[id(layer)]
                while self.layers and self.layers.pop() != name:
                    pass  # a layer inside raised, and one outside took that up

        if not self.brief:
            self.inputs = tuple(self.number(x) for x in _tensors((arguments, words)))
        handles = [hooks.register_module_forward_pre_hook(entered), hooks.register_module_forward_hook(left)]
        saving = torch.autograd.graph.saved_tensors_hooks(self.packed, self.unpacked)
        try:
            with self, nullcontext() if self.brief or self.timed else saving:
                self.result = self.copy(*arguments, **words)
        except Exception as error:
            self.failure = self.failed(error)
        finally:
            for handle in handles:
                handle.remove()
        if self.failure is None and not self.brief:
            self.outputs = tuple(self.number(x) for x in _results(self.result))

    def packed(self, x: Tensor) -> int:
        """The number of a tensor that autograd keeps; the tensor itself would keep its own graph alive."""
        self.packs.append(x)
        return len(self.packs) - 1

    def unpacked(self, number: int) -> Tensor:
        """The tensor of a number, as it was made, whatever was written into it since."""
        return self.packs[number]

    def failed(self, error: Exception) -> Failure:
        """Where it went wrong: the innermost layer that did not return."""
        layer = self.layers[-1] if self.layers else ""
        if self.failing is not None and self.failing[0] is error:
            return self.failing[1]
        return Failure(layer, first_line(error))

    # -- recording --------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":
            return func(*args, **kwargs)
        if _composite(func):  # in inference mode they come whole
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        begin = time.perf_counter() if self.timed else 0.0
        try:
            out = self.called_on(func, args, kwargs)
            if self.timed and torch.cuda.is_initialized():
                torch.cuda.synchronize()
        except Exception as error:
            if self.failing is None or self.failing[0] is not error:
                self.failing = (error, self.failure_of(func, args, error))
            raise
        if func is torch.ops.aten.detach.default:  # the same values; autograd calls it to keep a result
            if not self.brief:
                self.numbers[id(out)] = self.number(args[0])
                self.detached.append(out)  # so that no number is given twice
        elif self.timed:
            self.times.append((time.perf_counter() - begin) * 1e3)
        elif not self.brief:
            self.write(func, args, kwargs, out)
        elif (name := f"{func.namespace}.{func.overloadpacket.__name__}") not in REARRANGING:
            self.calls.append((self.layers[-1] if self.layers else "", name, self.border(name, args, out)))
        return out

    def called_on(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator makes; values that do not depend on the input are known beside the shapes."""
        if self.constants is None:
            out = func(*args, **kwargs)
            if self.asked is not None and _by_values(func):
                self.asked.append((func, out))
            return out
        mode = detect_fake_mode()
        answer = next(self.answers, None) if _by_values(func) else None
        if func._schema.is_mutable and mode is not None:  # nothing outside of the model is written into
            args, kwargs = pytree.tree_map_only(
                Tensor, lambda x: x if isinstance(x, FakeTensor) else mode.from_tensor(x), (args, kwargs)
            )
        try:
            out = func(*args, **kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException):
            values = made = self.constants.values(func, args, kwargs)
            if made is UNKNOWN and answer is not None and answer[0] is func:
                made = answer[1]
                self.decided.append(self.layers[-1] if self.layers else "")
            if made is UNKNOWN:
                raise
            assert mode is not None
            out = pytree.tree_map_only(Tensor, mode.from_tensor, made)
        else:
            few = all(x.numel() <= CONSTANT for x in _tensors(out))
            values = self.constants.values(func, args, kwargs) if few else UNKNOWN
        if values is not UNKNOWN:
            self.constants.keep(out, values)
        elif func._schema.is_mutable:
            self.constants.changed(func, args, kwargs)
        return out

    def number(self, x: Tensor) -> int:
        """The number of a value, a new one where it is seen for the first time."""
        key = id(x)
        if key not in self.numbers:
            self.numbers[key] = len(self.values)
            self.kept.append(x)
            self.values.append(Value(tuple(x.shape), x.element_size(), self.parameters.get(key, "")))
        return self.numbers[key]

    def write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """One operator."""
        name = f"{func.namespace}.{func.overloadpacket.__name__}"
        given, made = _tensors((args, kwargs)), _tensors(out)
        inputs = tuple(self.number(x) for x in given)
        # An operator in place returns its argument: what comes out is a value of its own.
        for x in made:
            if id(x) in self.numbers and func._schema.is_mutable:
                del self.numbers[id(x)]
        outputs = tuple(self.number(x) for x in made)
        shapes = Shapes(
            [self.values[i].shape for i in inputs], self.values[outputs[0]].shape if made else None
        )
        plain = _arguments(func, args, kwargs)
        if name in BY_NUMBER and self.constants is not None:
            plain = pytree.tree_map_only(Tensor, self.constants.numbers, plain)
        kind, fields = lower(name, plain, shapes)
        if kind in ("conv", "conv_transpose"):
            fields["weight"] = inputs[1]
            fields["bias"] = inputs[2] if len(inputs) > 2 else None
        elif kind == "matmul" or name in _COUNTED:
            fields["multiply_adds"] = _flops(func, args, kwargs, out) // 2
        layer = self.layers[-1] if self.layers else ""
        self.ops.append(
            Op(
                kind,
                layer,
                self.called(layer, name, kind, len(shapes.first or ())),
                inputs,
                outputs,
                **fields,
            )
        )
        self.in_place.append(func._schema.is_mutable and outputs[:1] != inputs[:1])

    def border(self, name: str, args: tuple[Any, ...], out: Any) -> Any:
        """What padding puts on, and a slice takes off; not off a table, such as one of positions."""
        if "pad" in name:
            return tuple(args[1]) if len(args) > 1 else ()
        if name != "aten.slice" or (len(args) > 4 and args[4] != 1):
            return ()
        table = self.constants is not None and self.constants.value(args[0]) is not None
        return () if table else tuple(n - m for n, m in zip(args[0].shape, out.shape, strict=True))

    def called(self, layer: str, name: str, kind: str, rank: int) -> str:
        """The layer's class where it is torch's or ours, else the function."""
        owner = self.owners.get(layer, self.copy)
        place, _, cls = _class_of(owner).rpartition(".")
        inside = [name for name, _ in owner.named_children() if name != "parametrizations"]
        if place.startswith(("torch.nn.modules", "unsample.torch.layers")) and not inside:
            return cls
        if name in ("aten.convolution", "aten._convolution"):
            return f"F.{kind}{rank - 2}d"
        return FUNCTIONS.get(name, name.partition(".")[2].rstrip("_"))

    def failure_of(self, func: Any, args: tuple[Any, ...], error: Exception) -> Failure:
        """The failing operator in a sentence: which it is, what it was given."""
        layer = self.layers[-1] if self.layers else ""
        name = f"{func.namespace}.{func.overloadpacket.__name__}"
        given = _tensors(args)
        shapes = [tuple(x.shape) for x in given]
        inputs = () if self.brief else tuple(self.number(x) for x in given)
        if name == "aten.cat" and len(shapes) > 1:
            dim = int(args[1]) if len(args) > 1 else 0
            dim %= len(shapes[0])
            unlike = [
                a for a in range(len(shapes[0])) if a != dim and len({s[a] for s in shapes if a < len(s)}) > 1
            ]
            if unlike:
                axis = unlike[0]
                sizes = [s[axis] for s in shapes if s[axis] != shapes[0][axis]]
                gap, text = shapes[0][axis] - sizes[0], _unlike("cat", shapes, axis)
                return Failure(layer, text, inputs, merge=True, dim=axis, gap=gap)
        plain = [each for each in shapes if len(each) > 2]
        if (
            name.partition(".")[2].rstrip("_") in _MERGES
            and len(plain) == 2
            and len(plain[0]) == len(plain[1])
        ):
            unlike = [a for a, (m, n) in enumerate(zip(*plain, strict=True)) if m != n and 1 not in (m, n)]
            if unlike:
                axis, word = unlike[0], name.partition(".")[2].rstrip("_")
                gap, text = plain[0][axis] - plain[1][axis], _unlike(word, plain, axis)
                return Failure(layer, text, inputs, merge=True, dim=axis, gap=gap)
        if isinstance(error, DataDependentOutputException):
            return Failure(layer, f"the run {VALUES.format(' (if ..., item())')}", inputs, values=True)
        word = FUNCTIONS.get(name, name.partition(".")[2])
        shown = ", ".join(map(str, shapes))
        if isinstance(error, DynamicOutputShapeException):
            return Failure(
                layer, f"{word} of {shown}: how large its result is {VALUES.format('')}", inputs, values=True
            )
        apart = None
        if name in ("aten.mm", "aten.bmm", "aten.addmm", "aten.baddbmm"):
            apart = shapes[-2][-1] - shapes[-1][-2]
        return Failure(layer, f"{word} of {shown}: {first_line(error)}", inputs, gap=apart)

    def trace(self, model: nn.Module) -> Trace:
        """Everything that was recorded, with what the backward pass keeps."""
        saved, total = self.saved()
        ops = tuple(op.but(saved_bytes=a, switch_bytes=b) for op, (a, b) in zip(self.ops, saved, strict=True))
        parameters = sum(p.numel() for p in model.parameters() if not _lazy(p))
        return Trace(
            ops,
            tuple(self.values),
            self.inputs,
            self.outputs,
            parameters,
            total,
            _reader(model, tuple(self.values)),
            self.failure,
            isinstance(model, Program),
            decided=tuple(dict.fromkeys(self.decided)),
        )

    def nodes(self) -> dict[int, Any]:
        """The node of autograd's graph that made each value.

        A tensor knows the last one alone: what was there before an operator in place, its node leads to.
        """
        found = {number: x.grad_fn for number, x in enumerate(self.kept) if x.grad_fn is not None}
        for op, in_place in zip(reversed(self.ops), reversed(self.in_place), strict=True):
            if in_place and op.outputs and op.outputs[0] in found:
                before = found[op.outputs[0]].next_functions
                if before and before[0][0] is not None:
                    found[op.inputs[0]] = before[0][0]
                else:
                    found.pop(op.inputs[0], None)
        return found

    def saved(self) -> tuple[list[tuple[int, int]], int]:
        """Bytes that autograd keeps for each operator, those of them that are indices, and the total.

        Read off the graph that autograd built: the tensors each node saved, parameters and buffers left out
        (they are there anyway). The total is that of all tensors that it kept, a storage that several nodes
        keep counted once: a node of a view that was written into is none that any operator made.
        """
        own = {_storage(x) for x in (*self.copy.parameters(), *self.copy.buffers()) if not _lazy(x)}
        kept = {_storage(x): x.untyped_storage().nbytes() for x in self.packs}
        total = sum(size for key, size in kept.items() if key not in own)
        done: set[Any] = set()
        each: list[tuple[int, int]] = []
        nodes = self.nodes()
        for op in self.ops:
            bytes_, switches = 0, 0
            here: set[int] = set()
            for node in {nodes[i] for i in op.outputs if i in nodes} - done:
                done.add(node)
                for tensor in _saved(node):
                    key = _storage(tensor)
                    if key in own or key in here:
                        continue
                    here.add(key)
                    size = tensor.untyped_storage().nbytes()
                    bytes_ += size
                    switches += 0 if tensor.is_floating_point() or tensor.is_complex() else size
            each.append((bytes_, switches))
        return each, total


def _by_values(func: Any) -> bool:
    """Whether values say what an operator makes: a number, or how large its result is."""
    return bool({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags))


def _composite(func: Any) -> bool:
    """Whether an operator is made of others, which autograd would have taken apart."""
    key = "CompositeImplicitAutograd"
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


def _class_of(layer: nn.Module) -> str:
    """Where the class of a layer is; of a layer of an exported program, that of the original."""
    if isinstance(layer, Layer):
        return layer._unsample_class
    name = getattr(layer, "type_name", None)
    known = name() if callable(name) else None
    cls = parametrize.type_before_parametrizations(layer)
    return known if isinstance(known, str) else f"{cls.__module__}.{cls.__name__}"


def _saved(node: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for name in dir(node):
        if name.startswith("_saved_") or name == "saved_tensors":
            try:
                value = getattr(node, name)
            except RuntimeError:  # it was changed in place, or freed
                continue
            found += [x for x in pytree.tree_leaves(value) if isinstance(x, Tensor)]
    return found


def _storage(x: Tensor) -> int:
    return int(x.untyped_storage()._cdata)


def _lazy(x: Any) -> bool:
    return isinstance(x, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer)


def _unlike(word: str, shapes: Sequence[tuple[int, ...]], axis: int) -> str:
    sizes = " and ".join(str(s[axis]) for s in shapes)
    return f"{word} of {' and '.join(map(str, shapes))}: axis {axis} has {sizes} elements"


def _arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """All arguments in the order of the schema, defaults filled in."""
    found = list(args)
    for argument in func._schema.arguments[len(args) :]:
        if argument.name in kwargs:
            found.append(kwargs[argument.name])
        elif argument.has_default_value():
            found.append(argument.default_value)
        else:
            found.append(None)
    return found


def _flops(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    from torch.utils.flop_counter import flop_registry

    rule = flop_registry.get(func.overloadpacket)
    return int(rule(*args, **kwargs, out_val=out)) if rule is not None else 0


def _reader(model: nn.Module, values: tuple[Value, ...]) -> Any:
    """Weight and bias of a convolution as the model itself has them now."""

    def read(op: Op) -> tuple[Any, Any] | None:
        if op.weight is None:
            return None
        weight = _numbers(model, _real(model, op.layer, values[op.weight], "weight"))
        if weight is None:
            return None
        bias = None if op.bias is None else _real(model, op.layer, values[op.bias], "bias")
        return weight, _numbers(model, bias)

    return read


def _numbers(model: nn.Module, x: Tensor | None) -> Any:
    if x is None or x.is_meta:
        return None
    return numbers_of(model, x) if isinstance(model, Program) else x.detach().cpu().double().numpy()


def _real(model: nn.Module, layer: str, value: Value, word: str) -> Tensor | None:
    """A parameter by name; a weight that is computed (parametrised, weight-normed), as its layer gives it."""
    owner, _, last = (value.parameter or f"{layer}.{word}").rpartition(".")
    try:
        found = getattr(dict(model.named_modules())[owner], last)
    except (AttributeError, KeyError):
        return None
    same = isinstance(found, Tensor) and not _lazy(found) and tuple(found.shape) == value.shape
    return found if same else None


VALUES = (
    "depends on the values of a tensor{}, which a run on shapes does not have: inspect the module with a "
    "tensor as its example, and it goes on as these values say"
)

_MERGES = frozenset({"add", "sub", "mul", "div", "maximum", "minimum", "where", "lerp"})
_COUNTED = frozenset(
    {
        "aten._scaled_dot_product_flash_attention",
        "aten._scaled_dot_product_flash_attention_for_cpu",
        "aten._scaled_dot_product_efficient_attention",
    }
)

# Operators under the names by which people call them.
FUNCTIONS = {
    "aten.max_pool2d_with_indices": "F.max_pool2d",
    "aten.max_pool3d_with_indices": "F.max_pool3d",
    "aten.max_pool1d": "F.max_pool1d",
    **{f"aten.avg_pool{d}d": f"F.avg_pool{d}d" for d in (1, 2, 3)},
    **{f"aten._adaptive_avg_pool{d}d": f"F.adaptive_avg_pool{d}d" for d in (2, 3)},
    **{f"aten.adaptive_max_pool{d}d": f"F.adaptive_max_pool{d}d" for d in (2, 3)},
    **{f"aten.max_unpool{d}d": f"F.max_unpool{d}d" for d in (2, 3)},
    **{
        f"aten.{name}": "F.interpolate"
        for name in (
            *(f"upsample_nearest{d}d" for d in (1, 2, 3)),
            *(f"_upsample_nearest_exact{d}d" for d in (1, 2, 3)),
            *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
            *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        )
    },
    "aten.im2col": "F.unfold",
    "aten.col2im": "F.fold",
    "aten.grid_sampler_2d": "F.grid_sample",
    "aten.grid_sampler_3d": "F.grid_sample",
    "aten.pixel_shuffle": "F.pixel_shuffle",
    "aten.pixel_unshuffle": "F.pixel_unshuffle",
    "aten.constant_pad_nd": "F.pad",
    **{f"unsample.{name}": f"unsample.{name}" for name in OPERATIONS},
}
