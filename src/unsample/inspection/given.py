"""What `inspect` is given, made into a trace: a module, an exported program, a file, a factory."""

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unsample.errors import ShapeError
from unsample.geometry.arguments import describe, is_sequence
from unsample.inspection.analysis import Analysis, Step, analyse
from unsample.inspection.archive import first_line, shown
from unsample.inspection.report import Inspection
from unsample.inspection.sizes_that_run import Sizes, sizes_that_run
from unsample.inspection.vocabulary import Failure, Trace, varied

LARGEST = 2048  # elements of an axis of the largest input tried for its receptive field

EXPORT = (
    "files of pickled modules are never opened, because loading one runs whatever code is in it: "
    "save torch.export.save(torch.export.export(model, (example,)), 'model.pt2') and inspect that"
)
OURS = "take the layer of unsample.torch with like=skip"


def inspected(model: Any, example: Any, *, sizes: bool, seconds: float, repeats: int) -> Inspection:
    """The body of `inspect`."""
    if not isinstance(model, str | os.PathLike):
        return _inspected(model, example, type(model).__name__, None, sizes, seconds, repeats)
    path = Path(model)
    model, example = from_file(path, example)
    if repeats:
        raise ShapeError(
            "inspect: times need a real run, and what a file holds is never run: inspect the module itself"
        )
    try:
        return _inspected(model, example, shown(path.name), path.parent, sizes, seconds, 0)
    except (ShapeError, OSError, MemoryError):
        raise
    except Exception as error:  # what nobody thought of is a sentence about the file as well
        what = f"{type(error).__name__}: {shown(first_line(error))}"
        raise ShapeError(f"inspect: {shown(str(path))}: cannot be followed ({what})") from error


def _inspected(
    model: Any,
    example: Any,
    name: str,
    folder: Path | None,
    sizes: bool,
    seconds: float,
    repeats: int,
) -> Inspection:
    times: list[float] = []
    if type(model).__module__.startswith("onnx"):
        from unsample.inspection.onnx_trace import Graph

        if example is not None and shape_of(example) is None and not hasattr(example, "shape"):
            raise TypeError(f"inspect: the example of an ONNX file must be a shape, got {describe(example)}")
        runs: Any = Graph(model, shape_of(example) if example is not None else None, folder)
        trace: Trace = runs.trace()
    else:
        module, (arguments, words), fixed = _module(model, example)
        if name == "ExportedProgram":
            name = "exported program"
        from unsample.inspection.torch_trace import Copies, measured

        runs = Copies(
            module, arguments, fixed, words, real=_has_values(model, example) and not _on_meta(module)
        )
        trace = runs.trace()
        if trace.failure is not None:
            trace = replace(trace, failure=_with_types(module, (arguments, words), trace.failure))
        if repeats and trace.failure is None and not _on_meta(module):
            times = measured(module, arguments, words, repeats)
            if len(times) == len(trace.ops):
                ops = (op.but(milliseconds=ms) for op, ms in zip(trace.ops, times, strict=True))
                trace = replace(trace, ops=tuple(ops))
    analysis = analyse(trace)
    tried = sizes_that_run(runs.output, trace, analysis, seconds=seconds) if sizes else ()
    shapes = trace.values
    return Inspection(
        name,
        tuple(shapes[i].shape for i in trace.inputs),
        tuple(shapes[i].shape for i in trace.outputs),
        _with_fields(runs, trace, analysis, tried),
        analysis.merges,
        tried,
        trace.failure,
        repairs(trace, analysis, tried),
        trace.parameters,
        sum(op.multiply_adds for op in trace.ops),
        trace.saved_bytes,
        sum(times) if times else None,
        trace.decided,
    )


def _with_fields(runs: Any, trace: Trace, analysis: Analysis, tried: tuple[Sizes, ...]) -> tuple[Step, ...]:
    """The steps; receptive fields that no element of the example holds are taken from a larger input."""
    steps = analysis.steps
    size = max((n for step in steps for n in step.input_sizes), default=0)
    while trace.failure is None and any(_cut(step) for step in steps) and 0 < size < LARGEST:
        size *= 2
        sizes = {axis: n for each in tried for axis in each.axes if (n := each.nearest(size)[1]) is not None}
        larger = runs.trace(sizes) if sizes else None
        if larger is None or larger.failure is not None:
            break
        others = analyse(larger).steps
        if len(others) != len(steps):
            break
        steps = tuple(
            replace(a, receptive_field=b.receptive_field) if _cut(a) and not _cut(b) else a
            for a, b in zip(steps, others, strict=True)
        )
    return steps


def _cut(step: Step) -> bool:
    """Whether every element is within reach of the border of the input."""
    return any(low == n for (low, _), n in zip(step.receptive_field, step.input_sizes, strict=True))


def repairs(trace: Trace, analysis: Analysis, sizes: tuple[Sizes, ...]) -> tuple[str, ...]:
    """What makes an example that fails work."""
    failure = trace.failure
    if failure is None:
        return ()
    found = []
    if failure.merge and analysis.blame is not None:
        step = analysis.steps[analysis.blame - 1]
        found.append(_at_step(step, _wanted(trace, step)))
    shape = trace.image
    for each in sizes:
        axes = each.axes
        targets = []
        for side, word in ((1, "pad"), (0, "crop")):
            ends = [each.nearest(shape[axis])[side] for axis in axes]
            if ends and all(ends) and ends != [shape[axis] for axis in axes]:
                targets.append(f"{word} it to {'x'.join(map(str, ends))}")
        if targets:
            found.append(f"the input: {' or '.join(targets)}")
    return tuple(found)


def _wanted(trace: Trace, step: Step) -> tuple[int, ...]:
    """The size that the other branch has where the result of `step` does not meet it."""
    assert trace.failure is not None
    rank = len(step.output_shape) - 2
    shapes = [trace.values[i].shape for i in trace.failure.inputs if len(trace.values[i].shape) == rank + 2]
    return next((s[2:] for s in shapes if s[2:] != step.output_shape[2:]), step.output_shape[2:])


def _at_step(step: Step, wanted: tuple[int, ...]) -> str:
    where = f"step {step.number} ({step.layer or step.what})"
    if step.legal:
        if all(low <= n <= high for n, (low, high) in zip(wanted, step.legal, strict=False)):
            return f"{where}: call it with output_size=skip.shape[2:], or {OURS}"
        ends = "x".join(f"{low}-{high}" for low, high in dict.fromkeys(step.legal))
        return f"{where}: it can make {ends}, so pad or crop its result to {'x'.join(map(str, wanted))}"
    if "interpolate" in step.what or step.what.startswith("Upsampl"):
        return f"{where}: F.interpolate(x, size=skip.shape[2:]), or {OURS}"
    if step.direction == "up":
        return f"{where}: pad its result to {'x'.join(map(str, wanted))}, or {OURS}"
    return f"{where}: make its sizes even before it"


def _has_values(model: Any, example: Any) -> bool:
    """Whether the example has tensors with values, and not only shapes."""
    import torch
    from torch.utils import _pytree as pytree

    if example is None:
        example = getattr(model, "example_inputs", None)
    given = [x for x in pytree.tree_leaves(example) if isinstance(x, torch.Tensor)]
    return bool(given) and not any(x.is_meta for x in given)


def _on_meta(module: Any) -> bool:
    return any(p.is_meta for p in module.parameters())


def _with_types(module: Any, arguments: Any, failure: Failure) -> Failure:
    """The failure, with the element types where the example has none of those of the model."""
    import torch
    from torch.utils import _pytree as pytree

    given = [x for x in pytree.tree_leaves(arguments) if isinstance(x, torch.Tensor)]
    ours, theirs = (
        list(dict.fromkeys(str(x.dtype).removeprefix("torch.") for x in each if x.is_floating_point()))
        for each in (module.parameters(), given)
    )
    if not ours or not theirs or set(ours) & set(theirs):
        return failure
    text = f"the model is {' and '.join(ours)}, the example {' and '.join(theirs)} ({failure.sentence})"
    return replace(failure, sentence=text)


def _module(model: Any, example: Any) -> tuple[Any, "Call", tuple[int, ...]]:
    """The module, what it is called with, and the axes of which it takes one size alone."""
    import torch

    from unsample.inspection.pt2 import Program, example_of, sizes_of

    declared: list[tuple[Any, ...]] = []
    if isinstance(model, Program):
        arguments = _arguments(model, example_of(model) if example is None else example)
        return model, arguments, _fixed(sizes_of(model))
    if isinstance(model, torch.export.ExportedProgram):
        if example is None:
            given, words = model.example_inputs or ((), {})
            if words:
                raise ShapeError("inspect: an exported program must take its arguments by position")
            example = tuple(given)
        program, model = model, None
        declared = _declared(program)
        from unsample.inspection.torch_trace import quiet

        try:
            with quiet():
                model = torch.export.unflatten(program)
        except Exception:  # the layers' names are lost then, and nothing else
            model = program.module()
    if not isinstance(model, torch.nn.Module):
        raise TypeError(
            f"inspect: model must be a torch.nn.Module, an ExportedProgram or the path of a .pt2 or .onnx "
            f"file, got {describe(model)}"
        )
    inner = getattr(model, "_orig_mod", None)  # of torch.compile
    model = inner if isinstance(inner, torch.nn.Module) else model
    if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        model = model.module
    return model, _arguments(model, example), _fixed(declared)


def _declared(program: Any) -> list[tuple[Any, ...]]:
    """Of every tensor that an exported program takes, an int per axis of one size and a symbol per other."""
    taken = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in taken]
    return [tuple(node.meta["val"].shape) for node in nodes if hasattr(node.meta.get("val"), "shape")]


def _fixed(declared: Sequence[tuple[Any, ...]]) -> tuple[int, ...]:
    """The axes of the image of which there is one size alone."""
    shapes = [tuple(n if type(n) is int else 0 for n in shape) for shape in declared]
    images = [shapes[i] for i in varied(shapes)]
    return tuple(axis for axis in range(2, len(images[0]) if images else 0) if any(s[axis] for s in images))


def shape_of(example: Any) -> tuple[int, ...] | None:
    """A tuple of ints is a shape."""
    if is_sequence(example) and example and all(type(n) is int for n in example):
        if min(example) < 0:
            raise ShapeError(f"inspect: a shape must not be negative, got {tuple(example)}")
        return tuple(example)
    return None


Call = tuple[tuple[Any, ...], dict[str, Any]]  # arguments by position and by keyword


@dataclass(frozen=True, slots=True)
class Shaped:
    """An argument of which there are the shape and the element type; nothing for that of the model."""

    shape: tuple[int, ...]
    dtype: str = ""


def _arguments(model: Any, example: Any) -> Call:
    import torch
    from torch.utils import _pytree as pytree

    tensors = any(isinstance(x, torch.Tensor) for x in pytree.tree_leaves(example))
    like = next((p for p in model.parameters() if p.is_floating_point()), None)

    def made(tree: Any) -> Any:
        """The tree with tensors in the place of shapes, where it has no tensors itself."""
        shape = tree.shape if isinstance(tree, Shaped) else None if tensors else shape_of(tree)
        if shape is not None:
            dtype = torch.float32 if like is None else like.dtype
            if isinstance(tree, Shaped) and tree.dtype:
                dtype = getattr(torch, tree.dtype)
            # On the meta device it has no memory; of a real device only the first number is stored.
            device = torch.device("cpu") if like is None else like.device
            return torch.zeros((), dtype=dtype, device=device).expand(shape)
        if isinstance(tree, dict):
            return {key: made(each) for key, each in tree.items()}
        return type(tree)(map(made, tree)) if type(tree) in (list, tuple) else tree

    whole = made(example)
    if not any(isinstance(x, torch.Tensor) for x in pytree.tree_leaves(whole)):
        raise TypeError(
            f"inspect: example must be a tensor, a shape such as (1, 3, 256, 256), or a tuple or dict of "
            f"arguments, got {describe(example)}"
        )
    if isinstance(whole, dict) and _are_words(model, whole):
        return (), whole
    return (tuple(whole) if is_sequence(whole) else (whole,)), {}


def _are_words(model: Any, given: dict[Any, Any]) -> bool:
    """Whether the keys are names of arguments; else the dict is one argument itself."""
    parameters = inspect.signature(model.forward).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return all(isinstance(key, str) for key in given)
    return set(given) <= set(parameters)


# -- files and factories ----------------------------------------------------------------------------------


def from_file(path: Path, example: Any) -> tuple[Any, Any]:
    """A .pt2 or .onnx file, loaded; anything else is refused."""
    suffix = path.suffix.lower()
    if suffix in (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"):
        raise ShapeError(f"inspect: {path}: {EXPORT}")
    if suffix == ".safetensors":
        raise ShapeError(
            f"inspect: {path}: holds weights without the layers; give package.module:factory "
            f"--weights {path}, or a .pt2 of torch.export.save"
        )
    if suffix not in (".pt2", ".onnx"):
        raise ShapeError(f"inspect: model must be a .pt2 or .onnx file or package.module:factory, got {path}")
    if not path.is_file():
        raise ShapeError(f"inspect: the file must exist, got {path}")
    if suffix == ".onnx":
        from unsample.inspection.onnx_trace import load

        return load(path), example
    from unsample.inspection import pt2

    return pt2.load(path), example


def from_factory(text: str) -> Any:
    """`package.module:factory` or `package.module:factory(3, mode="linear")`, called; its code runs."""
    place, _, call = text.partition(":")
    name, given, words = _call(text, call)
    if not place or not name:
        raise ShapeError(
            f"inspect: model must be a .pt2 or .onnx file or package.module:factory, got {text!r}"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(place)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ShapeError(f"inspect: {text} cannot be imported ({type(error).__name__}: {error})") from error
    called = call != name or (callable(found) and not hasattr(found, "parameters")) or isinstance(found, type)
    try:
        made = found(*given, **words) if called else found
    except Exception as error:
        how = text if call != name else f"{text}()"
        without = " without arguments" if not given and not words else ""
        raise ShapeError(
            f"inspect: {how} must make a model{without} ({type(error).__name__}: {error})"
        ) from error
    if isinstance(made, str | os.PathLike):
        raise ShapeError(f"inspect: {text} must make a torch.nn.Module, got {describe(made)}")
    return made


def _call(text: str, call: str) -> tuple[str, list[Any], dict[str, Any]]:
    """The name and the arguments of a call, which are numbers, strings, lists and the like."""
    if not call.endswith(")"):
        return call, [], {}
    try:
        found = ast.parse(call, mode="eval").body
        if isinstance(found, ast.Call):
            given = [ast.literal_eval(each) for each in found.args]
            words = {str(each.arg): ast.literal_eval(each.value) for each in found.keywords if each.arg}
            if len(words) == len(found.keywords):
                return ast.unparse(found.func), given, words
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    raise ShapeError(
        f"inspect: the arguments of a factory must be numbers, strings, lists and the like, got {text!r}"
    )
