"""One walk over an ONNX graph: shapes node by node, every operation written down as in a run.

Shapes come from onnx's own inference of each node; integers that shapes are made of (`Shape`, `Gather`,
`Concat`, ...) are computed by its reference evaluator on the way. Nothing else is: weights are only read.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample.errors import ShapeError
from unsample.geometry.resample import CUBIC, Method, Resample
from unsample.geometry.sizes import resolve_padding
from unsample.geometry.window import AdaptiveWindow, Window
from unsample.inspection.archive import first_line, shown
from unsample.inspection.matrices import resample_of
from unsample.inspection.torch_rules import (
    Lowered,
    Shapes,
    convolution,
    indexed,
    lower,
    resize,
    resize_of,
    shuffle,
    window_settings,
)
from unsample.inspection.vocabulary import Failure, Op, Ran, Trace, Value, varied
from unsample.interop.libraries import NEAREST_MODES

Shape = tuple[int, ...]
# Integers of shapes are small; a larger array is a weight or data.
FOLDED = 4096
# What shapes are computed with. No other node is evaluated: a loop may run for ever.
FOLDING = frozenset(
    (
        *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape"),
        *("Div", "Equal", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater"),
        *(
            "GreaterOrEqual",
            "Identity",
            "Less",
            "LessOrEqual",
            "Max",
            "Min",
            "Mod",
            "Mul",
            "Neg",
            "Not",
            "Or",
        ),
        *("Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Round", "ScatterND"),
        *(
            "Sign",
            "Size",
            "Slice",
            "Split",
            "Sqrt",
            "Squeeze",
            "Sub",
            "Sum",
            "Tile",
            "Transpose",
            "Unsqueeze",
        ),
        *("Where", "Xor"),
    )
)
NODES = 2**16
ELEMENTS = 2**48  # of an array
WEIGHT = 2**26  # elements of a weight that is read
MATRICES = 2**24  # elements of all that are compared with those of resizes
NUMBER = 2**62  # what onnx's inference adds and multiplies stays below it
LEAST = dict.fromkeys(("strides", "dilations", "kernel_shape", "blocksize", "group", "num_outputs"), 1)


def load(path: Path) -> Any:
    """An ONNX model from its file.

    Raises
    ------
    ShapeError
        Where onnx is not installed or the file is no model.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise ShapeError("inspect: reading ONNX needs an extra: pip install 'unsample[onnx]'") from None
    try:
        model = onnx.load(path, load_external_data=False)  # weights are read one by one where they are needed
        elsewhere = [each for each in model.graph.initializer if each.data_location == each.EXTERNAL]
        for each in elsewhere:
            _outside(each, path.parent)
        onnx.checker.check_model(str(path) if elsewhere else model)
    except Exception as error:
        raise ShapeError(
            f"inspect: {shown(str(path))}: must be an ONNX model ({shown(first_line(error))})"
        ) from error
    return model


def _outside(weight: Any, folder: Path) -> tuple[Path, int, int]:
    """File, offset and bytes of a weight that lies beside the model: in its folder, not behind a link."""
    said = {each.key: each.value for each in weight.external_data}
    name, place = said.get("location", ""), folder / said.get("location", "")
    inside = place.resolve().is_relative_to(folder.resolve()) and not Path(name).is_absolute()
    if not inside or ".." in Path(name).parts or place.is_symlink() or not place.is_file():
        raise ValueError(f"the data of {weight.name!r} must lie in a file of its folder, got {name!r}")
    offset, size = (_digits(said.get(key) or "0") for key in ("offset", "length"))
    if offset + size > place.stat().st_size:
        raise ValueError(f"the data of {weight.name!r} must have the {size} bytes that it says")
    return place, offset, size or place.stat().st_size - offset


def _digits(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"an offset must be a number, got {text[:20]!r}")
    return int(text)


DOWN = ("Conv", "MaxPool", "AveragePool", "LpPool")
# What a node without an attribute or an input that it must have leads to.
_UNFOLLOWED = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError)


class _Stopped(Exception):
    """A node that cannot be followed."""

    def __init__(
        self, sentence: str, merge: bool = False, dim: int | None = None, gap: int | None = None
    ) -> None:
        super().__init__(sentence)
        self.sentence, self.merge, self.dim, self.gap = sentence, merge, dim, gap


class Graph:
    """An ONNX model, walked for any input size.

    Parameters
    ----------
    model : onnx.ModelProto
    shape : tuple of int or None
        Of the first input, in the place of what the file says.
    folder : Path or None
        Where the model lies, and weights beside it.
    """

    def __init__(self, model: Any, shape: Shape | None, folder: Path | None = None) -> None:
        from onnx import helper

        self.model, self.folder = model, folder
        self.weights = {each.name: each for each in model.graph.initializer}
        for name, weight in self.weights.items():
            if weight.data_type not in helper.get_all_tensor_dtypes() or min(weight.dims, default=0) < 0:
                raise ShapeError(
                    f"inspect: the weight {shown(name)} must have a shape and an element type of ONNX, got "
                    f"{list(weight.dims)} and {weight.data_type}"
                )
        if len(model.graph.node) > NODES:
            raise ShapeError(f"inspect: a graph must have at most {NODES} nodes, got {len(model.graph.node)}")
        self.inputs = [each for each in model.graph.input if each.name not in self.weights]
        self.uses = Counter(name for node in model.graph.node for name in node.input)
        self.resamples: dict[tuple[str, bool], Resample | None] = {}
        self.matrices = 0
        self.opsets = {each.domain: each.version for each in model.opset_import}
        self.shapes = [
            self._declared(each, shape if number == 0 else None) for number, each in enumerate(self.inputs)
        ]
        self.images = varied(self.shapes)
        dims = [self.inputs[image].type.tensor_type.shape.dim for image in self.images]
        self.fixed = tuple(
            axis
            for axis in range(2, len(dims[0]) if dims else 0)
            if any(each[axis].HasField("dim_value") for each in dims)
        )

    def to_array(self, weight: Any) -> NDArray[Any]:
        """The numbers of a weight."""
        from onnx import TensorProto, numpy_helper

        if weight.data_location == TensorProto.EXTERNAL and self.folder is not None:
            place, offset, size = _outside(weight, self.folder)
            found = TensorProto(name=weight.name, dims=weight.dims, data_type=weight.data_type)
            with open(place, "rb") as file:
                file.seek(offset)
                found.raw_data = file.read(min(size, 16 * WEIGHT))
            weight = found
        return np.asarray(numpy_helper.to_array(weight))

    def resample(self, node: Any) -> Resample | None:
        """The resize that a product with a matrix of the file is, where it is one."""
        held = [name for name in node.input if name in self.weights]
        shape = tuple(self.weights[held[0]].dims) if len(held) == 1 else ()
        if len(shape) != 2:
            return None
        first = held[0] == node.input[0]
        key = held[0], first
        if key not in self.resamples:
            self.matrices += math.prod(shape)
            few = self.matrices <= MATRICES and self.weights[held[0]].data_type in FLOATS
            matrix = self.to_array(self.weights[held[0]]) if few else None
            self.resamples[key] = None if matrix is None else resample_of(matrix if first else matrix.T)
        return self.resamples[key]

    def _declared(self, value: Any, given: Shape | None) -> Shape:
        dims = value.type.tensor_type.shape.dim
        if given is not None:
            if len(given) != len(dims):
                raise ShapeError(
                    f"inspect: the example must have as many axes as the input {value.name!r}, "
                    f"{len(dims)}, got {given}"
                )
            for n, dim in zip(given, dims, strict=True):
                if dim.HasField("dim_value") and dim.dim_value != n:
                    raise ShapeError(
                        f"inspect: the model has {dim.dim_value} elements fixed on an axis of the input "
                        f"{value.name!r} where the example has {n}"
                    )
            return given
        if not all(dim.HasField("dim_value") for dim in dims):
            raise ShapeError(
                f"inspect: the example must be given, because the input {value.name!r} has axes of any size"
            )
        return tuple(dim.dim_value for dim in dims)

    def trace(self, sizes: dict[int, int] | None = None) -> Trace:
        """The walk with the shapes of the example; with other sizes where they are given."""
        shapes = [list(shape) for shape in self.shapes]
        for axis, n in (sizes or {}).items():
            for image in self.images:
                shapes[image][axis] = n
        return replace(_Walk(self, [tuple(shape) for shape in shapes]).trace(), fixed=self.fixed)

    def output(self, sizes: dict[int, int]) -> Ran | Failure:
        """What comes out where `sizes` go in."""
        trace = self.trace(sizes)
        calls = tuple((op.what, *op.details.get("pads", ())) for op in trace.ops)
        return trace.failure or Ran(tuple(trace.values[i].shape for i in trace.outputs), calls)


class _Walk:
    """One walk: values, what is known of their contents, operations."""

    def __init__(self, graph: Graph, shapes: Sequence[Shape]) -> None:
        self.graph = graph
        self.types: dict[str, Any] = {}
        self.known: dict[str, NDArray[Any]] = {}
        self.masks: set[str] = set()  # which elements are finite: alike for all inputs that are
        self.numbers: dict[str, int] = {}
        self.values: list[Value] = []
        self.ops: list[Op] = []
        self.failure: Failure | None = None
        for value, shape in zip(graph.inputs, shapes, strict=True):
            if math.prod(shape) > ELEMENTS or min(shape, default=0) < 0:
                raise ShapeError(f"inspect: an input must have 0 to 2**48 elements, got the shape {shape}")
            self.add(value.name, value.type.tensor_type.elem_type, shape)
        self.inputs = tuple(range(len(self.values)))
        for name, weight in graph.weights.items():
            self.add(name, weight.data_type, tuple(weight.dims), parameter=name)
            if math.prod(weight.dims) <= FOLDED:
                try:
                    self.known[name] = graph.to_array(weight)
                except Exception as error:
                    what = f"{type(error).__name__}: {first_line(error)}"
                    raise ShapeError(
                        f"inspect: the weight {shown(name)} must hold what its shape says ({what})"
                    ) from error
        for node in graph.model.graph.node:
            try:
                self.visit(node)
            except _Stopped as stop:
                self.failure = self.stopped(node, stop)
            except _UNFOLLOWED as error:  # an attribute or an input is missing, or a number is none
                what = f"{node.op_type}: cannot be followed ({type(error).__name__}: {first_line(error)})"
                self.failure = self.stopped(node, _Stopped(what))
            if self.failure is not None:
                break

    def stopped(self, node: Any, stop: _Stopped) -> Failure:
        """The failure at a node."""
        given = tuple(self.numbers[name] for name in node.input if name in self.numbers)
        return Failure(layer_of(node), shown(stop.sentence), given, stop.merge, stop.dim, stop.gap)

    def add(self, name: str, kind: int, shape: Shape, parameter: str = "") -> int:
        from onnx import helper

        self.types[name] = helper.make_tensor_type_proto(kind, shape)
        number = self.numbers[name] = len(self.values)
        try:
            itemsize = np.dtype(helper.tensor_dtype_to_np_dtype(kind)).itemsize
        except (KeyError, TypeError):
            itemsize = 1
        self.values.append(Value(tuple(shape), itemsize, parameter))
        return number

    def shape(self, name: str) -> Shape:
        return self.values[self.numbers[name]].shape

    def visit(self, node: Any) -> None:
        given = [name for name in node.input if name]
        self.check_numbers(node)
        self.check_meeting(node, given)
        for name, (kind, shape) in self.infer(node, given).items():
            self.add(name, kind, shape)
        self.fold(node, given)
        made = [name for name in node.output if name in self.numbers]
        if not made or all(name in self.known for name in made):
            return
        arrays = [name for name in given if name not in self.known or name in self.graph.weights]
        if self.is_mask(node, given):
            self.masks.update(made)
            return
        self.write(node, arrays or given, made)

    def is_mask(self, node: Any, given: Sequence[str]) -> bool:
        """Whether a node compares with infinity, or goes on with what comes of that."""
        if node.op_type in ("Less", "Greater"):
            return any(bool(np.isinf(self.known[name]).all()) for name in given if name in self.known)
        rest = [name for name in given if name not in self.masks]
        return len(rest) < len(given) and all(
            name in self.known or name in self.graph.weights for name in rest
        )

    def infer(self, node: Any, given: Sequence[str]) -> dict[str, tuple[int, Shape]]:
        """Element types and shapes of what a node makes."""
        import onnx
        from onnx import numpy_helper, shape_inference

        if node.domain not in self.graph.opsets and not (
            node.domain == "" and "ai.onnx" in self.graph.opsets
        ):
            raise _Stopped(f"{node.op_type}: its operator set {node.domain!r} is not known")
        version = self.graph.opsets.get(node.domain, self.graph.opsets.get("ai.onnx", 1))
        try:
            schema = onnx.defs.get_schema(node.op_type, version, node.domain)
            data = {name: numpy_helper.from_array(self.known[name]) for name in given if name in self.known}
            types = {name: self.types[name] for name in given if name in self.types}
            found = shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=list(self.graph.model.opset_import)
            )
        except Exception as error:
            raise _Stopped(f"{node.op_type}: {first_line(error)}") from error
        shapes: dict[str, tuple[int, Shape]] = {}
        for name in (each for each in node.output if each):
            kind = found[name].tensor_type if name in found else None
            if kind is None or not kind.HasField("shape"):
                if name == node.output[0]:
                    raise _Stopped(f"{node.op_type}: the shape of its result is not known")
                continue
            dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
            if any(n is None for n in dims):
                raise _Stopped(f"{node.op_type}: the shape of its result is not known")
            if any(n is not None and n < 1 for n in dims):
                raise _Stopped(f"{node.op_type}: its result would have the shape {tuple(dims)}")
            shape = tuple(n for n in dims if n is not None)
            if math.prod(shape) > ELEMENTS:
                raise _Stopped(f"{node.op_type}: its result would have the shape {shape}")
            shapes[name] = (kind.elem_type, shape)
        return shapes

    def check_numbers(self, node: Any) -> None:
        """Refuse numbers with which onnx's inference, in 64 bits, divides by 0 or overflows."""
        words = attributes(node)
        for name, value in words.items():
            low = LEAST.get(name, -NUMBER)
            for n in value if isinstance(value, list) else [value]:
                if isinstance(n, int) and not low <= n <= NUMBER and name not in ("start", "end", "ends"):
                    raise _Stopped(f"{node.op_type}: {name} must be {low} to 2**62, got {n}")
        if node.op_type == "Split" and words.get("num_outputs", 1) > len(node.output):
            raise _Stopped(f"Split: it has {len(node.output)} results, not {words['num_outputs']}")
        if words.get("blocksize", 1) > 2**15:
            raise _Stopped(f"{node.op_type}: blocksize must be at most 2**15, got {words['blocksize']}")
        if node.op_type not in ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "MaxUnpool"):
            return
        shapes = [self.shape(name) for name in node.input[:2]]
        rank = len(shapes[0]) - 2
        k = words.get("kernel_shape") or shapes[-1][2:]
        strides, dilations = (words.get(name) or [1] * rank for name in ("strides", "dilations"))
        if any(len(each) != rank for each in (k, strides, dilations)):
            raise _Stopped(f"{node.op_type}: its settings must have {rank} numbers, as its input has axes")
        pads = sum(map(abs, words.get("pads") or [0])) + sum(map(abs, words.get("output_padding") or [0]))
        for n, size, stride, dilation in zip(shapes[0][2:], k, strides, dilations, strict=True):
            reach = size * dilation + pads + n * (1 if node.op_type in DOWN else stride)
            if reach > 2 * NUMBER:
                raise _Stopped(f"{node.op_type}: its windows must reach less than 2**63 elements")

    def check_meeting(self, node: Any, given: Sequence[str]) -> None:
        """Branches of unlike sizes, which onnx's inference lets pass or explains in its own words."""
        shapes = [self.shape(name) for name in given if name in self.numbers]
        if node.op_type == "Concat":
            axis = attributes(node)["axis"] % max(len(shapes[0]), 1)
            unlike = [a for a in range(len(shapes[0])) if a != axis and len({s[a] for s in shapes}) > 1]
        elif node.op_type in MERGES and len(shapes) > 1 and len({len(s) for s in shapes}) == 1:
            unlike = [a for a in range(len(shapes[0])) if len({s[a] for s in shapes} - {1}) > 1]
        else:
            return
        if unlike:
            axis = unlike[0]
            sizes = [s[axis] for s in shapes]
            shown, numbers = (" and ".join(map(str, each)) for each in (shapes, sizes))
            raise _Stopped(
                f"{node.op_type} of {shown}: axis {axis} has {numbers} elements",
                merge=True,
                dim=axis,
                gap=sizes[0] - next(n for n in sizes if n != sizes[0]),
            )

    def fold(self, node: Any, given: Sequence[str]) -> None:
        """What is made of shapes and small constants alone is computed."""
        if node.op_type == "Shape":
            words = attributes(node)
            shape = self.shape(given[0])[slice(words.get("start", 0), words.get("end"))]
            self.known[node.output[0]] = np.array(shape, np.int64)
            return
        if node.op_type not in FOLDING or node.domain or not all(name in self.known for name in given):
            return
        if any(math.prod(self.shape(name)) > FOLDED for name in node.output if name in self.numbers):
            return
        from onnx.reference import ReferenceEvaluator

        try:
            results = ReferenceEvaluator(node).run(None, {name: self.known[name] for name in given})
        except Exception:  # it stays unknown; whatever needs it says so
            return
        self.known.update(
            {name: np.asarray(r) for name, r in zip(node.output, results, strict=False) if name}
        )

    # -- the operation ----------------------------------------------------------------------------------

    def write(self, node: Any, arrays: Sequence[str], made: Sequence[str]) -> None:
        rule = RULES.get(node.op_type)
        out = self.shape(made[0])
        shapes = Shapes([self.shape(name) for name in arrays], out)
        words = attributes(node)
        if rule is not None:
            kind, fields = rule(self, node, words, shapes)
        else:
            kind, fields = lower(f"onnx.{node.op_type}", (), shapes)
        what = shown(node.op_type)
        axis = self.graph.resample(node) if node.op_type == "MatMul" else None
        if axis is not None:
            data = 1 if node.input[0] in self.graph.weights else 0
            arrays = [node.input[data]]
            method = (axis.method, axis.convention, axis.antialias)
            kind, fields = resize_of(Shapes([self.shape(arrays[0])], out), [len(out) - 1 - data], *method)
            fields["multiply_adds"] = math.prod(out) * axis.source
        inputs = tuple(self.numbers[name] for name in arrays)
        if kind == "resize" and "details" in fields:
            what, fields, inputs = self.united(f"Resize ({what})", fields, inputs, out, arrays[0])
        if kind in ("conv", "conv_transpose"):
            fields["weight"] = self.numbers[node.input[1]]
            inputs = tuple(self.numbers[name] for name in node.input if name)
            if len(inputs) > 2:
                fields["bias"] = inputs[2]
        elif kind == "matmul":
            fields["multiply_adds"] = math.prod(out) * shapes.given[0][-1]
        outputs = tuple(self.numbers[name] for name in made)
        self.ops.append(Op(kind, layer_of(node), what, inputs, outputs, **fields))

    def united(
        self, what: str, fields: dict[str, Any], inputs: tuple[int, ...], out: Shape, name: str
    ) -> tuple[str, dict[str, Any], tuple[int, ...]]:
        """A resize of one axis right behind that of another is one resize of both."""
        before = self.ops[-1] if self.ops else None
        if (
            before is None
            or before.what != what
            or inputs[0] not in before.outputs
            or self.graph.uses[name] > 1
        ):
            return what, fields, inputs
        (axis,), other = fields["resamples"], before.resamples[0]
        words, dims = (axis.method, axis.convention, axis.antialias), fields["details"]["dims"]
        if (other.method, other.convention, other.antialias) != words or set(dims) & set(
            before.details["dims"]
        ):
            return what, fields, inputs
        self.ops.pop()
        x, cost = before.inputs[:1], before.multiply_adds + fields["multiply_adds"]
        shapes = Shapes([self.values[x[0]].shape], out)
        _, both = resize_of(shapes, sorted((*before.details["dims"], *dims)), *words)
        return what, {**both, "multiply_adds": cost}, x

    def trace(self) -> Trace:
        """The walk as a trace."""
        outputs = [each.name for each in self.graph.model.graph.output]
        learned = sum(
            math.prod(each.dims) for each in self.graph.weights.values() if each.data_type in FLOATS
        )
        return Trace(
            tuple(self.ops),
            tuple(self.values),
            self.inputs,
            () if self.failure else tuple(self.numbers[name] for name in outputs),
            learned,
            None,
            self.read,
            self.failure,
            foreign=True,
        )

    def read(self, op: Op) -> tuple[Any, Any] | None:
        """Weight and bias where the file holds them."""
        names = [None if i is None else self.values[i].parameter for i in (op.weight, op.bias)]
        if not names[0]:
            return None
        if any(name and math.prod(self.graph.weights[name].dims) > WEIGHT for name in names):
            return None
        found = [
            np.asarray(self.graph.to_array(self.graph.weights[name]), np.float64) if name else None
            for name in names
        ]
        return found[0], found[1]


FLOATS = frozenset({1, 10, 11, 16})  # float, float16, double, bfloat16
MERGES = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Mean", "Where"})


def attributes(node: Any) -> dict[str, Any]:
    """The attributes of a node; strings as str."""
    from onnx import helper

    found = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def layer_of(node: Any) -> str:
    """The path of the layer that a node came from, as far as the exporter wrote it down."""
    for each in node.metadata_props:
        if each.key == "pkg.torch.onnx.name_scopes":  # a list of strings as Python writes it
            scopes = re.findall(r"'([^']*)'", each.value[:10_000])
            if len(scopes) > 1:
                return shown(scopes[-2])
    name = str(node.name)
    path, _, _ = name.strip("/").rpartition("/")
    return shown(path.replace("/", ".") or name)


# -- rules ------------------------------------------------------------------------------------------------


def _sides(words: dict[str, Any], fine: Shape, k: Shape, s: Shape, d: Shape) -> list[tuple[int, int]]:
    rank, word = len(k), words.get("auto_pad", "NOTSET")
    if word in ("SAME_UPPER", "SAME_LOWER"):
        pads = resolve_padding("same", fine, k, s, d)
        return [(b, a) if word == "SAME_UPPER" else (a, b) for b, a in pads]
    flat: list[int] = list(words.get("pads", [0] * 2 * rank)) if word == "NOTSET" else [0] * 2 * rank
    return list(zip(flat[:rank], flat[rank:], strict=True))


def _check_fit(node: Any, fine: Shape, k: Shape, d: Shape, sides: Sequence[tuple[int, int]]) -> None:
    """A window must fit: onnx's inference rounds -1/2 to 0 and finds room for one."""
    for axis, (n, size, dilation, pads) in enumerate(zip(fine, k, d, sides, strict=True)):
        if n + sum(pads) < dilation * (size - 1) + 1:
            raise _Stopped(
                f"{node.op_type}: its window of {size} does not fit spatial axis {axis} of {n} elements"
            )


def _steps(words: dict[str, Any], rank: int) -> tuple[Shape, Shape]:
    return tuple(words.get("strides", [1] * rank)), tuple(words.get("dilations", [1] * rank))


def _conv(transposed: bool) -> Callable[..., Lowered]:
    def rule(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
        x, w = (walk.shape(name) for name in node.input[:2])
        shapes = Shapes([x, w], shapes.out)
        assert shapes.out is not None
        stride, dilation = _steps(words, len(w) - 2)
        fine = (shapes.out if transposed else x)[2:]
        sides = _sides(words, fine, w[2:], stride, dilation)
        if not transposed:
            _check_fit(node, fine, w[2:], dilation, sides)
        if transposed and words.get("output_shape"):
            # The padding follows from the size asked for; the odd element goes to the end unless SAME_LOWER.
            total = [
                (m - 1) * s + d * (k - 1) + 1 - n
                for m, n, k, s, d in zip(x[2:], fine, w[2:], stride, dilation, strict=True)
            ]
            last = words.get("auto_pad") != "SAME_UPPER"
            sides = [(t - t // 2, t // 2) if last else (t // 2, t - t // 2) for t in total]
        return convolution(
            shapes,
            stride,
            sides,
            dilation,
            words.get("group", 1),
            transposed=transposed,
            output_padding=words.get("output_padding", ()),
        )

    return rule


def _pool(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    x, out, k = shapes.given[0], shapes.out, tuple(words["kernel_shape"])
    assert out is not None
    stride, dilation = _steps(words, len(k))
    sides = _sides(words, x[2:], k, stride, dilation)
    _check_fit(node, x[2:], k, dilation, sides)
    windows = tuple(
        Window(x[2 + a], out[2 + a], k[a], stride[a], dilation[a], *sides[a]) for a in range(len(k))
    )
    settings = window_settings(windows)
    if words.get("ceil_mode"):
        settings["ceil_mode"] = True
    return "pool", {"windows": windows, "settings": settings}


def _global_pool(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    windows = tuple(AdaptiveWindow(n, 1) for n in shapes.given[0][2:])
    return "pool", {
        "windows": windows,
        "settings": window_settings(windows),
        "details": {"adaptive": True},
    }


def _resize(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    x, out = shapes.given[0], shapes.out
    assert out is not None
    position = words.get("coordinate_transformation_mode", "half_pixel")
    if node.op_type == "Upsample" or position == "pytorch_half_pixel":
        position = "asymmetric" if node.op_type == "Upsample" else "half_pixel"
    mode = words.get("mode", "nearest")
    if position not in ("half_pixel", "align_corners", "asymmetric") or mode not in _MODES:
        return "opaque", {}
    method = _MODES[mode]
    if method == "cubic":
        method = next((n for n, a in CUBIC.items() if a == words.get("cubic_coeff_a", -0.75)), "cubic")
    if mode == "nearest":
        rounding = "floor" if node.op_type == "Upsample" else words.get("nearest_mode", "round_prefer_floor")
        if rounding not in NEAREST_MODES:
            return "opaque", {}
        method = NEAREST_MODES[rounding]
        if (method, position) == ("floor", "asymmetric"):
            method, position = "nearest", "legacy"  # torch's nearest
    rank = max((a for a in range(1, len(x) + 1) if x[-a] != out[-a]), default=1)
    rank = max(rank, len(x) - 2)
    lowered = resize(Shapes([x], out), rank, method, position, bool(words.get("antialias", 0)))
    # The grid is tracked exactly, unless a given scale was rounded to these sizes.
    factors = walk.known.get(node.input[2]) if len(node.input) > 2 else None
    if factors is not None and len(factors) == len(x):
        told = [float(f) for f in factors[-rank:]]
        ends = zip(x[-rank:], out[-rank:], told, strict=True)
        lowered[1]["steps"] = tuple(None if n * f == m else 1 / f for n, m, f in ends)
    return lowered


_MODES: dict[str, Method] = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "cubic": "cubic"}


def _shuffle(kind: str) -> Callable[..., Lowered]:
    def rule(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
        return shuffle(kind, words["blocksize"], shapes, words.get("mode", "DCR"))

    return rule


def _pad(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    pads = words.get("pads")
    if pads is None:
        given = walk.known.get(node.input[1])
        pads = None if given is None else given.tolist()
    rank = len(shapes.given[0])
    if pads is None:
        return "opaque", {}
    axes = list(range(rank))
    if len(node.input) > 3 and node.input[3] in walk.known:
        axes = [int(a) % rank for a in walk.known[node.input[3]]]
    both = {axis: (int(pads[i]), int(pads[i + len(axes)])) for i, axis in enumerate(axes)}
    mode = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}.get(words.get("mode", ""), "zeros")
    sides = itertools.chain.from_iterable(both.get(axis, (0, 0)) for axis in reversed(range(rank)))
    return "pad", {"details": {"pads": list(sides), "mode": mode}}


def _slice(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    x = shapes.given[0]
    given = [walk.known.get(name) for name in node.input[1:]]
    starts, ends = words.get("starts"), words.get("ends")
    if starts is None:
        if len(given) < 2 or any(each is None for each in given):
            return "opaque", {}
        numbers = [each.tolist() for each in given if each is not None]
        starts, ends, *rest = numbers
    else:
        rest = [words["axes"]] if "axes" in words else []
    axes = rest[0] if rest else range(len(starts))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    assert ends is not None
    moves = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        dim = axis % len(x)
        first, _, stride = slice(start, end, step).indices(x[dim])
        moves.append({"dim": dim, "start": first, "step": stride})
    return "slice", {"details": {"moves": moves}}


def _concat(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    return "cat", {"details": {"dim": words["axis"] % len(shapes.given[0])}}


def _transpose(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    order = words.get("perm") or list(reversed(range(len(shapes.given[0]))))
    return "permute", {"details": {"permutation": list(order)}}


def _reduce(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    rank = len(shapes.given[0])
    axes = words.get("axes")
    if axes is None and len(node.input) > 1 and node.input[1] in walk.known:
        axes = walk.known[node.input[1]].tolist()
    dims = sorted(int(a) % rank for a in (axes if axes is not None else range(rank)))
    return "reduce", {"details": {"dims": dims, "keep": bool(words.get("keepdims", 1))}}


def _max_unpool(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    return "max_unpool", {"settings": {"kernel": words["kernel_shape"][0]}}


def _gather(walk: _Walk, node: Any, words: dict[str, Any], shapes: Shapes) -> Lowered:
    """Elements of one axis by their numbers, whose axes stand where it stood."""
    x, numbers = shapes.given[0], walk.known.get(node.input[1])
    dim, shape = words.get("axis", 0) % len(x), walk.shape(node.input[1])
    if not shape:
        return "select", {"details": {"dim": dim}}
    axes = [*range(dim), *[None] * len(shape), *range(dim + 1, len(x))]
    known = numbers is not None and numbers.ndim == 1
    return indexed(shapes, axes, {dim: (dim, numbers)} if known and numbers is not None else {})


def _kind(kind: str, **details: Any) -> Callable[..., Lowered]:
    return lambda walk, node, words, shapes: (kind, {"details": dict(details)})


RULES: dict[str, Callable[..., Lowered]] = {
    "Conv": _conv(False),
    "ConvTranspose": _conv(True),
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "MaxUnpool": _max_unpool,
    "Resize": _resize,
    "Upsample": _resize,
    "DepthToSpace": _shuffle("pixel_shuffle"),
    "SpaceToDepth": _shuffle("pixel_unshuffle"),
    "Pad": _pad,
    "Slice": _slice,
    "Concat": _concat,
    "Gather": _gather,
    "Transpose": _transpose,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"), _kind("reshape")),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduce),
    **dict.fromkeys(("MatMul", "Gemm"), _kind("matmul", left=0)),
    **dict.fromkeys(("CumSum", "DFT", "Attention"), _kind("mix")),
}
