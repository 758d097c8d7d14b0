"""The program of a .pt2 file, read as data and run on shapes by an interpreter of ours.

torch describes a program as JSON (`torch/_export/serde/schema.py`): nodes that call operators by name, with
the names of values. `Program` stands where a module stands: its layers have the names and classes that the
nodes say they came from, and hold the parameters as fake tensors, shapes without memory. Nothing of the file
is imported, evaluated or unpickled; `operators.py` has the list of what may be called.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree

from unsample.errors import ShapeError
from unsample.inspection import expressions, operators
from unsample.inspection.archive import WEIGHT, Archive, first_line, shown

LAYERS = 2**14
NESTED = 32  # names of a path, programs inside programs

DTYPES = {
    number: getattr(torch, name)
    for number, name in (
        *(
            (1, "uint8"),
            (2, "int8"),
            (3, "int16"),
            (4, "int32"),
            (5, "int64"),
            (6, "float16"),
            (7, "float32"),
        ),
        *((8, "float64"), (9, "complex32"), (10, "complex64"), (11, "complex128"), (12, "bool")),
        *((13, "bfloat16"), (28, "uint16"), (29, "float8_e4m3fn"), (30, "float8_e5m2")),
        *((31, "float8_e4m3fnuz"), (32, "float8_e5m2fnuz"), (33, "float8_e8m0fnu")),
        *((34, "uint32"), (35, "uint64")),
    )
    if hasattr(torch, name)
}
FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}


@dataclass(frozen=True, slots=True)
class Named:
    """A value of the program, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Node:
    """One call.

    Parameters
    ----------
    call : callable
        Given the values of `given` by name.
    given : dict
        Arguments; `Named` where they are values.
    made : str, tuple or None
        Names of the results, nested as the results are; None where there is none.
    layer : Layer or None
        The layer that it came from; None for the program itself.
    """

    call: Callable[..., Any]
    given: dict[str, Any]
    made: Any
    layer: nn.Module | None


@dataclass(frozen=True, slots=True)
class Input:
    """An argument of the program.

    Parameters
    ----------
    name : str
    sizes : tuple or None
        An int, or an expression, per axis; None where it is no tensor.
    value : object
        The example: a tensor of that shape, None where the file does not say it; or what it must be.
    """

    name: str
    sizes: tuple[int | str, ...] | None
    value: Any


class Layer(nn.Module):
    """A layer of the program: a name, a class, parameters; it runs what it is told.

    Its own attributes have names that no model has: every other name may be that of a layer or parameter.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unsample_class = ""

    def forward(self, step: Callable[[], Any]) -> Any:
        """Call `step`: what runs in it, runs in this layer."""
        return step()


class Program(Layer):
    """A program that was read from a file; `load` reads it."""

    _unsample_read: "_Reader"

    def forward(self, *arguments: Any) -> Any:
        """Run the program; its results in a list."""
        read, given = self._unsample_read, pytree.tree_leaves(arguments)
        if len(given) != len(read.inputs):
            raise ShapeError(f"the file has {len(read.inputs)} inputs, not {len(given)}")
        _check_sizes(read.inputs, given, read.ranges)
        values = dict(read.state)
        values.update({each.name: x for each, x in zip(read.inputs, given, strict=True)})
        with operators.Limits():
            _run(read.nodes, values, read.copies)
        return [_value(each, values) for each in read.outputs]


def load(path: Path) -> Program:
    """The program of a file.

    Raises
    ------
    ShapeError
        In one sentence, where it is none, or none of tensors alone.
    """
    archive, program = Archive(path), Program()
    try:
        program._unsample_read = _Reader(archive, program)
    except ShapeError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        what = f"{type(error).__name__}: {shown(first_line(error))}"
        raise archive.refused(f"be a file of torch.export.save ({what})") from error
    return program


def example_of(program: Program) -> tuple[Any, ...]:
    """What the program was exported with."""
    inputs = program._unsample_read.inputs
    for each in inputs:
        if each.value is None and each.sizes is not None:
            raise ShapeError(
                f"inspect: the example must be given, because the input {shown(each.name)} has axes of any "
                f"size"
            )
    return tuple(each.value for each in inputs)


def sizes_of(program: Program) -> list[tuple[int | str, ...]]:
    """Of every tensor that it takes, an int per axis of one size and an expression per axis of any."""
    return [each.sizes for each in program._unsample_read.inputs if each.sizes is not None]


def mode_of(program: Program) -> FakeTensorMode:
    """The mode of which the program's tensors are."""
    return program._unsample_read.mode


def numbers_of(program: Program, parameter: torch.Tensor) -> NDArray[np.float64] | None:
    """A parameter as the file holds it; None where it does not, or where it is larger than is read."""
    read = program._unsample_read
    stored = read.stored.get(id(parameter))
    if stored is None or stored.dtype not in PLAIN:
        return None
    archive, dtype = read.archive, np.dtype(PLAIN[stored.dtype])
    size, (offset, sizes, strides) = (
        archive.sizes[stored.member],
        (stored.offset, stored.sizes, stored.strides),
    )
    reach = offset + 1 + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
    if min(sizes, default=1) < 1 or reach * dtype.itemsize > size or size > min(WEIGHT, archive.left - 16):
        return None
    order = archive.read("byteorder", 16) if "byteorder" in archive.sizes else b"little"
    content = archive.read(stored.member, WEIGHT)
    flat = np.frombuffer(
        content, dtype.newbyteorder(">" if order == b"big" else "<"), count=size // dtype.itemsize
    )
    if stored.dtype == torch.bfloat16:  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    steps = [s * flat.itemsize for s in strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], sizes, steps, writeable=False).astype(np.float64)


# As NumPy reads them.
PLAIN = {
    torch.float16: "f2",
    torch.float32: "f4",
    torch.float64: "f8",
    torch.bfloat16: "u2",
    **{getattr(torch, f"int{8 * n}"): f"i{n}" for n in (1, 2, 4, 8)},
    torch.uint8: "u1",
}


# -- running ----------------------------------------------------------------------------------------------


def _run(nodes: Sequence[Node], values: dict[str, Any], copies: Mapping[str, Sequence[str]]) -> None:
    """Call the nodes; what they make goes into `values`.

    `copies` says which values are written into a buffer or an input at once: mutations, which the exporter
    wrote as functions. `torch.export.unflatten` undoes that in the same way.
    """
    for node in nodes:
        given = {key: _value(each, values) for key, each in node.given.items()}
        _assign(node.made, _in_layer(node.layer, partial(node.call, **given)), values)
        for name in _leaves(node.made):
            for target in copies.get(name, ()):
                copy = partial(torch.ops.aten.copy_.default, values[target], values[name])
                values[name] = _in_layer(node.layer, copy)


def _in_layer(layer: nn.Module | None, step: Callable[[], Any]) -> Any:
    return step() if layer is None else layer(step)


def _value(given: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(given, Named):
        return values[given.name]
    return [_value(each, values) for each in given] if isinstance(given, list) else given


def _assign(names: Any, made: Any, values: dict[str, Any]) -> None:
    if isinstance(names, str):
        values[names] = made
    elif names:
        if not isinstance(made, list | tuple) or len(made) < len(names):
            raise ShapeError(
                f"an operator of the file makes other results than the {len(names)} that it names"
            )
        for name, each in zip(names, made, strict=False):
            _assign(name, each, values)


def _leaves(names: Any) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif names:
        for each in names:
            yield from _leaves(each)


def _check_sizes(
    inputs: Sequence[Input], given: Sequence[Any], ranges: Mapping[str, tuple[Any, Any]]
) -> None:
    """Whether the arguments have the sizes that the file fixes."""
    known: dict[str, int] = {}
    for each, x in zip(inputs, given, strict=True):
        if each.sizes is None:
            if not isinstance(x, torch.Tensor) and x != each.value and each.value is not None:
                raise ShapeError(f"the file has {each.name} fixed as {each.value}, not {x}")
            continue
        if not isinstance(x, torch.Tensor) or x.ndim != len(each.sizes):
            raise ShapeError(f"the file has an input of {len(each.sizes)} axes, {each.name}")
        for axis, (size, n) in enumerate(zip(each.sizes, x.shape, strict=True)):
            if isinstance(size, int):
                if size != n:
                    raise ShapeError(f"the file has {size} elements fixed on axis {axis}")
            elif not _meets(size, int(n), known):
                raise ShapeError(f"the file has {size} elements on axis {axis}, which {n} is not")
    for text, (low, high) in ranges.items():
        if expressions.symbols(text) <= set(known):
            n = expressions.evaluate(text, known)
            # torch takes sizes of 0 and 1 for special at export alone.
            if (low is not None and low > 2 and n < low) or (high is not None and n > high):
                raise ShapeError(f"the file takes sizes of {low} to {high}, not {n}")


def _meets(text: str, n: int, known: dict[str, int]) -> bool:
    """Whether an expression has the value n; a symbol that is new in it gets its value."""
    new = expressions.symbols(text) - set(known)
    if len(new) > 1:
        return True
    if new:
        (name,) = new
        at = [expressions.evaluate(text, {**known, name: i}) for i in (0, 1)]
        slope = at[1] - at[0]  # of a straight line: others are not solved for
        known[name] = (n - at[0]) // slope if slope else 0
    return expressions.evaluate(text, known) == n


# -- reading ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the numbers of a parameter lie in the archive."""

    member: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: torch.dtype
    learned: bool


class _Reader:
    """Reads nodes and parameters from the JSON of an archive, and places them in the layers of `root`."""

    def __init__(self, archive: Archive, root: Program) -> None:
        self.archive, self.root = archive, root
        # A kernel without a rule for shapes is not run on made-up data in its place.
        self.mode = FakeTensorMode(allow_fallback_kernels=False)
        self.stored: dict[int, Stored] = {}
        self.shared: dict[Stored, torch.Tensor] = {}
        self.state: dict[str, Any] = {}  # values that are parameters and buffers
        self.buffers: dict[str, str] = {}  # path of a buffer -> its value
        self.inputs: list[Input] = []
        self.layers: dict[str, Layer] = {"": root}

        models = [name for name in archive.sizes if name.startswith("models/")]
        if len(models) != 1:
            raise archive.refused(f"hold one program, got {len(models)}")
        name = models[0].removeprefix("models/").removesuffix(".json")
        tensors = {**self.tensors("weights", "weight_", name), **self.tensors("constants", "tensor_", name)}
        program = archive.json(models[0])
        module = program["graph_module"]
        self.ranges = dict(self.read_ranges(program["range_constraints"]))
        self.signature(module["graph"], module["signature"]["input_specs"], tensors)
        names = {*self.state, *(each.name for each in self.inputs)}
        self.nodes, outputs = self.graph(module["graph"], names)
        self.outputs, self.copies = self.results(module["signature"]["output_specs"], outputs)

    def read_ranges(self, ranges: Any) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
        for key, each in ranges.items():
            low, high = (
                None if each[side] is None else _integer(each[side]) for side in ("min_val", "max_val")
            )
            try:
                expressions.symbols(key)
            except ShapeError:  # of a value inside, in which torch has more functions
                continue
            yield key, (low, high)

    # -- parameters --

    def tensors(self, folder: str, prefix: str, model: str) -> dict[str, torch.Tensor]:
        """The tensors that a table of the archive lists, by their paths."""
        name, found = f"data/{folder}/{model}_{folder}_config.json", {}
        if name not in self.archive.sizes:
            raise self.archive.refused(
                f"hold tensors alone, as a new torch.export.save writes them: save the program again with it "
                f"({name} is missing)"
            )
        for path, entry in self.archive.json(name)["config"].items():
            place, meta = _text(entry["path_name"]), entry["tensor_meta"]
            if not place.startswith(prefix) or entry["use_pickle"] is not False or meta is None:
                raise self.archive.refused(
                    "hold tensors alone, as a new torch.export.save writes them for a model without objects "
                    "of its own: other constants are pickled"
                )
            sizes, strides = (tuple(_integer(n["as_int"]) for n in meta[key]) for key in ("sizes", "strides"))
            offset, learned = _integer(meta["storage_offset"]["as_int"]), entry["is_param"] is True
            stored = Stored(f"data/{folder}/{place}", sizes, strides, offset, DTYPES[meta["dtype"]], learned)
            if stored.member not in self.archive.sizes:
                raise self.archive.refused(f"hold {shown(stored.member)}")
            found[path] = self.placed(path, stored, meta["requires_grad"] is True)
        return found

    def placed(self, path: str, stored: Stored, requires_grad: bool) -> torch.Tensor:
        """A parameter or buffer as a fake tensor, in its layer; one tensor where layers share it."""
        sizes, strides = stored.sizes, stored.strides
        reach = stored.offset + sum(max(n - 1, 0) * s for n, s in zip(sizes, strides, strict=True))
        most = max(reach, math.prod(max(n, 1) for n in sizes))
        if (
            min(stored.offset, *sizes, *strides, 0) < 0
            or len(sizes) > operators.RANK
            or most > operators.ELEMENTS
        ):
            raise self.archive.refused(
                f"have weights of at most 2**48 elements, got {sizes} for {shown(path)}"
            )
        if stored not in self.shared:
            with self.mode:
                tensor = torch.empty_strided(sizes, strides, dtype=stored.dtype)
                if stored.learned:
                    tensor = nn.Parameter(tensor, requires_grad=requires_grad)
            self.shared[stored] = tensor
            self.stored[id(tensor)] = stored
        tensor = self.shared[stored]
        owner, _, last = path.rpartition(".")
        layer = self.layer(_path(owner))
        if stored.learned:
            layer.register_parameter(shown(last), tensor)  # type: ignore[arg-type]
        else:
            layer.register_buffer(shown(last), tensor)
        return tensor

    def layer(self, path: str, kind: str = "") -> Layer:
        """The layer of that path, made where it is new."""
        if path not in self.layers:
            owner, _, last = path.rpartition(".")
            if len(self.layers) >= LAYERS or path.count(".") >= NESTED:
                raise self.archive.refused(f"have at most {LAYERS} layers, {NESTED} inside each other")
            made = Layer()
            self.layer(owner).add_module(last, made)
            self.layers[path] = made
        layer = self.layers[path]
        layer._unsample_class = layer._unsample_class or kind
        return layer

    def place(self, stack: Any) -> Layer | None:
        """The layer of a node, from text such as `L__self__,,M;L__self__up,up,torch.nn.ConvTranspose2d`."""
        path = ""
        for each in _text(stack or "").split(";"):
            parts = each.split(",", 2)
            if len(parts) < 3:
                break
            to = _path(parts[1].partition("@")[0])  # "up@1" is its second call
            if path and not to.startswith(f"{path}."):
                break
            path = to
            self.layer(path, shown(parts[2]))
        return self.layers[path] if path else None

    # -- inputs and outputs --

    def signature(self, graph: Any, specs: Any, tensors: Mapping[str, torch.Tensor]) -> None:
        """What each input of the graph is."""
        if len(specs) != len(graph["inputs"]):
            raise self.archive.refused("say of every input what it is")
        for spec in specs:
            ((kind, each),) = spec.items()
            if kind in _STATE:
                name, path = _text(each["arg"]["name"]), each[_STATE[kind]]
                if name in self.state:
                    raise self.archive.refused(f"name every value once, got {shown(name)}")
                self.state[name] = tensors[path]
                if kind == "buffer":
                    self.buffers[path] = name
            elif kind == "user_input":
                self.inputs.append(self.input(graph, each["arg"]))
            elif kind == "constant_input":
                ((of, value),) = each["value"].items()
                self.inputs.append(
                    Input(_text(each["name"]), None, None if of == "as_none" else _plain(value))
                )
            else:
                raise self.archive.refused(f"hold tensors alone, got an input that is a {shown(kind)}")
        names = [*self.state, *(each.name for each in self.inputs)]
        if len(set(names)) < len(names):
            raise self.archive.refused("name every value once")

    def input(self, graph: Any, argument: Any) -> Input:
        ((kind, each),) = argument.items()
        if kind == "as_tensor":
            name = _text(each["name"])
            meta = graph["tensor_values"][name]
            sizes, hints = zip(*map(_size, meta["sizes"]), strict=True) if meta["sizes"] else ((), ())
            known = [1 if n is None else n for n in hints]
            if (
                len(sizes) > operators.RANK
                or min(known, default=0) < 0
                or math.prod(known) > operators.ELEMENTS
            ):
                raise self.archive.refused(
                    f"have inputs of at most 2**48 elements, got {known} for {shown(name)}"
                )
            value = None
            if None not in hints:
                value = torch.zeros((), dtype=DTYPES[meta["dtype"]]).expand(known)
                value = value.requires_grad_() if meta["requires_grad"] is True else value
            return Input(name, sizes, value)
        if kind == "as_sym_int":
            name = _text(each["as_name"])
            return Input(name, None, _size(graph["sym_int_values"][name])[1])
        raise self.archive.refused(f"take tensors, got an input {shown(kind)}")

    def results(self, specs: Any, outputs: Sequence[Any]) -> tuple[list[Any], dict[str, list[str]]]:
        """The results of the program, and the values that are written into buffers and inputs."""
        if len(specs) != len(outputs):
            raise self.archive.refused("say of every output what it is")
        results: list[Any] = []
        copies: dict[str, list[str]] = {}
        for spec, output in zip(specs, outputs, strict=True):
            ((kind, each),) = spec.items()
            if kind == "user_output":
                results.append(output)
            elif kind == "buffer_mutation":
                copies.setdefault(output.name, []).append(self.buffers[each["buffer_name"]])
            elif kind == "user_input_mutation":
                self.named(each["user_input_name"], {i.name for i in self.inputs})
                copies.setdefault(output.name, []).append(each["user_input_name"])
            else:
                raise self.archive.refused(
                    f"be a program that is run forward, got an output that is a {shown(kind)}"
                )
        return results, copies

    # -- nodes --

    def graph(self, graph: Any, defined: set[str], depth: int = 0) -> tuple[list[Node], list[Any]]:
        """The nodes and outputs of a graph; every name is there once, before it is used."""
        if len(graph["nodes"]) > operators.CALLS or depth > NESTED:
            raise self.archive.refused(
                f"have at most {operators.CALLS} nodes, {NESTED} programs inside each other"
            )
        nodes = []
        for each in graph["nodes"]:
            node = self.node(each, defined, depth)
            for name in _leaves(node.made):
                if name in defined:
                    raise self.archive.refused(f"name every value once, got {shown(name)}")
                defined.add(name)
            nodes.append(node)
        return nodes, [self.argument(each, defined) for each in graph["outputs"]]

    def node(self, node: Any, defined: set[str], depth: int) -> Node:
        target, layer = _text(node["target"]), self.place(node["metadata"].get("nn_module_stack"))
        made = tuple(map(_made, node["outputs"]))
        if target in _BLOCKS:
            made = made[0] if len(made) == 1 and isinstance(made[0], tuple) else made
            settings, arguments = _BLOCKS[target], [each["arg"] for each in node["inputs"]]
            given_to = [self.argument(each, defined) for each in arguments[settings + 1 :]]
            block = self.block(
                arguments[:settings], arguments[settings]["as_graph"]["graph"], len(given_to), depth
            )
            return Node(block, {"given": given_to}, made, layer)
        made = made[0] if len(made) == 1 else made
        given = [(_text(each["name"]), self.argument(each["arg"], defined)) for each in node["inputs"]]
        if target in operators.SCALAR:
            numbers = [value for _, value in given]
            return Node(lambda numbers: operators.scalar(target, numbers), {"numbers": numbers}, made, layer)
        found, words = operators.operator_of(target), dict(given)
        if len(words) < len(given):
            raise self.archive.refused(f"give every argument once, got {shown(target)}")
        words.pop("pin_memory", None)  # it is about a device
        operators.check_arguments(found, words)
        return Node(_checked(found), words, made, layer)

    def block(self, settings: Any, graph: Any, takes: int, depth: int) -> Callable[..., Any]:
        """A part of the program under another mode: without gradients, or with autocast."""
        names = [_text(_made(each)) for each in graph["inputs"]]
        if len(names) != takes or len(set(names)) < len(names):
            raise self.archive.refused("give a part of the program what it takes")
        nodes, outputs = self.graph(graph, set(names), depth + 1)
        if len(settings) == 1:
            enabled = settings[0]["as_bool"] is True

            def mode() -> Any:
                return torch.set_grad_enabled(enabled)
        else:
            dtype, enabled = settings[1].get("as_scalar_type"), settings[2]["as_bool"] is True

            def mode() -> Any:
                return torch.autocast("cpu", dtype=DTYPES.get(dtype), enabled=enabled)

        def call(given: Sequence[Any]) -> Any:
            values = dict(zip(names, given, strict=True))
            with mode():
                _run(nodes, values, {})
            return [_value(each, values) for each in outputs]

        return call

    def argument(self, argument: Any, defined: set[str]) -> Any:
        """An argument as torch takes it, names checked."""
        ((kind, value),) = argument.items()
        return _KINDS[kind](value, lambda name: self.named(name, defined))

    def named(self, name: Any, defined: set[str]) -> Named:
        if _text(name) not in defined:
            raise self.archive.refused(f"name values that are there, got {shown(name)}")
        return Named(name)


_STATE = {
    "parameter": "parameter_name",
    "buffer": "buffer_name",
    "tensor_constant": "tensor_constant_name",
}
# How many arguments stand before the part of the program.
_BLOCKS = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled": 1,
    "torch.ops.higher_order.wrap_with_autocast": 4,
}


def _checked(found: Any) -> Callable[..., Any]:
    def call(**given: Any) -> Any:
        operators.check_arguments(found, given)  # again: sizes are known now
        return found(**given)

    return call


# -- values of JSON ---------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"a name is {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise TypeError("an integer is none of 64 bits")
    return value


def _float(value: Any) -> float:
    if value in ("Infinity", "-Infinity", "NaN"):
        return float(value)
    if type(value) not in (int, float):
        raise TypeError("a number is none")
    return float(value)


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("a truth value is none")
    return value


def _plain(value: Any) -> Any:
    if type(value) not in (bool, int, float, str):
        raise TypeError("a constant is none")
    return value


def _word(value: Any) -> str:
    if len(_text(value)) > 4096 or not value.isprintable():
        raise ValueError("a word is long, or not printable")
    return str(value)


def _path(text: Any) -> str:
    return ".".join(map(shown, _text(text).split(".")))


def _size(size: Any) -> tuple[int | str, int | None]:
    """A size or its expression, and what it was in the example."""
    ((kind, value),) = size.items()
    if kind == "as_int":
        return _integer(value), value
    text, hint = _text(value["expr_str"]), value.get("hint")
    expressions.symbols(text)  # it must be one
    return text, None if hint is None else _integer(hint["as_int"])


def _made(output: Any) -> Any:
    """The names of a result."""
    ((kind, value),) = output.items()
    if kind == "as_none":
        return None
    if kind in ("as_tensor", "as_sym_int", "as_sym_float", "as_sym_bool"):
        return _text(value["name" if kind == "as_tensor" else "as_name"])
    if kind in ("as_tensors", "as_sym_ints"):
        return tuple(_text(each["name" if kind == "as_tensors" else "as_name"]) for each in value)
    raise ValueError(f"a result is {shown(kind)}")


Name = Callable[[Any], Named]


def _symbol(plain: Callable[[Any], Any]) -> Callable[[Any, Name], Any]:
    def read(value: Any, name: Name) -> Any:
        ((kind, each),) = value.items()
        return name(each) if kind == "as_name" else plain(each)

    return read


def _optional(value: Any, name: Name) -> Any:
    ((kind, each),) = value.items()
    return None if kind == "as_none" else name(each["name"])


def _strided(value: Any) -> torch.layout:
    if value != 7:
        raise ValueError("a layout is not strided")
    return torch.strided


def _one(read: Callable[[Any], Any]) -> Callable[[Any, Name], Any]:
    return lambda value, name: read(value)


def _several(read: Callable[[Any, Name], Any]) -> Callable[[Any, Name], Any]:
    return lambda value, name: [read(each, name) for each in value]


_KINDS: dict[str, Callable[[Any, Name], Any]] = {
    "as_none": lambda value, name: None,
    "as_tensor": lambda value, name: name(value["name"]),
    "as_tensors": lambda value, name: [name(each["name"]) for each in value],
    "as_optional_tensor": _optional,
    "as_optional_tensors": _several(_optional),
    "as_int": _one(_integer),
    "as_ints": _several(_one(_integer)),
    "as_float": _one(_float),
    "as_floats": _several(_one(_float)),
    "as_bool": _one(_bool),
    "as_bools": _several(_one(_bool)),
    "as_string": _one(_word),
    "as_sym_int": _symbol(_integer),
    "as_sym_ints": _several(_symbol(_integer)),
    "as_sym_float": _symbol(_float),
    "as_sym_floats": _several(_symbol(_float)),
    "as_sym_bool": _symbol(_bool),
    "as_sym_bools": _several(_symbol(_bool)),
    "as_complex": lambda value, name: complex(_float(value["real"]), _float(value["imag"])),
    "as_scalar_type": _one(lambda value: DTYPES[value]),
    "as_memory_format": _one(lambda value: FORMATS[value]),
    "as_layout": _one(_strided),
    "as_device": lambda value, name: torch.device("cpu"),  # shapes are the same on every device
}
