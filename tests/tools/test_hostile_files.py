"""Model files of strangers: nothing in them runs, none of them takes time or memory out of proportion.

All files are inspected in one process that may not start programs (`fuzz_files.py`): an audit hook ends it
where text is compiled, an object unpickled, a file written; a filter of the kernel where a program starts.
"""

import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

import fuzz_files
import unsample as us
from fuzz_files import CODE, archive, onnx_model
from unsample.geometry.window import Window
from unsample.inspection import expressions, grids, operators
from unsample.inspection.archive import PART, extent

Contents = dict[str, bytes]
PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
SIZE = {"as_expr": {"expr_str": "Symbol('s0')", "hint": {"as_int": 16}}}
PICKLE = pickle.dumps(os.system)[:-1] + b"X\x0c\x00\x00\x00touch opened\x85R."


class Small(nn.Module):
    """One step down, one up."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(nn.functional.max_pool2d(x, 2))


def edited(change: Callable[[Any], Any], name: str = PROGRAM) -> Callable[[Contents], bytes]:
    """The archive with one of its JSON texts changed."""

    def make(contents: Contents) -> bytes:
        tree = json.loads(contents[name])
        change(tree)
        return archive(list({**contents, name: json.dumps(tree).encode()}.items()))

    return make


def text(
    content: bytes, name: str = PROGRAM, method: int = zipfile.ZIP_STORED
) -> Callable[[Contents], bytes]:
    """The archive with this in the place of one of its members."""
    return lambda contents: archive(list({**contents, name: content}.items()), method)


def added(name: str, content: bytes) -> Callable[[Contents], bytes]:
    return lambda contents: archive([*contents.items(), (name, content)])


def graph_of(tree: Any) -> Any:
    return tree["graph_module"]["graph"]


def sized(size: Any, axis: int = 2) -> Callable[[Contents], bytes]:
    """The size of an axis of the input."""

    def change(tree: Any) -> None:
        graph_of(tree)["tensor_values"]["x"]["sizes"][axis] = size

    return edited(change)


def node(target: str, *arguments: Any, made: Any = None) -> Callable[[Contents], bytes]:
    """The first node calls something else; `arguments` are (name, argument)."""

    def change(tree: Any) -> None:
        first = graph_of(tree)["nodes"][0]
        first["target"] = target
        first["inputs"] = [{"name": name, "arg": each, "kind": 1} for name, each in arguments]
        if made is not None:
            first["outputs"] = made

    return edited(change)


X = ("self", {"as_tensor": {"name": "x"}})


def unguarded(tree: Any) -> None:
    tree["guards_code"] = [f"{CODE} is None"]
    for each in graph_of(tree)["nodes"]:
        each["metadata"].pop("nn_module_stack")


def many(tree: Any) -> None:
    """300 poolings whose results are 2**20 apart, one after the other on a short axis."""
    graph = graph_of(tree)
    first = graph["nodes"][0]
    for number in range(100_000):
        graph["nodes"].append({**first, "outputs": [{"as_tensor": {"name": f"more_{number}"}}]})


def undefined(tree: Any) -> None:
    graph_of(tree)["nodes"][0]["inputs"][0]["arg"] = {"as_tensor": {"name": "nowhere"}}


def later(tree: Any) -> None:
    graph_of(tree)["nodes"].reverse()


def twice(tree: Any) -> None:
    graph_of(tree)["nodes"].append(graph_of(tree)["nodes"][0])


def nested(tree: Any) -> None:
    first = graph_of(tree)["nodes"][0]
    for _ in range(20):
        block = {"name": "g", "graph": {"inputs": [], "outputs": [], "nodes": [dict(first)]}}
        arguments = [{"as_bool": False}, {"as_graph": block}]
        first["target"] = "torch.ops.higher_order.wrap_with_set_grad_enabled"
        first["inputs"] = [{"name": "", "arg": each, "kind": 1} for each in arguments]


def layers(tree: Any) -> None:
    path = ".".join("a" * 1000)
    graph_of(tree)["nodes"][0]["metadata"]["nn_module_stack"] = (
        f"L__self__,,M;L__self__a,{path},torch.nn.Conv2d"
    )


def escape(tree: Any) -> None:
    graph_of(tree)["nodes"][0]["metadata"]["nn_module_stack"] = "a,,M;b,up\x1b[2J,torch.nn.modules.x.Y"


def large_weight(tree: Any) -> None:
    tree["config"]["up.weight"]["tensor_meta"]["sizes"] = [{"as_int": 2**31}] * 4


def pickled(tree: Any) -> None:
    tree["config"]["up.weight"]["use_pickle"] = True


def link(contents: Contents) -> bytes:
    """A member that is a symbolic link."""
    import io

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        for name, content in contents.items():
            info = zipfile.ZipInfo(f"model/{name}")
            info.external_attr = (0o120777 if name == PROGRAM else 0o100644) << 16
            new.writestr(info, content)
    return file.getvalue()


def lying(contents: Contents) -> bytes:
    """A header that says 100 bytes of a text that has 200 MB."""
    new = archive(list({**contents, PROGRAM: b" " * 2 * 10**8}.items()), zipfile.ZIP_DEFLATED)
    at = new.rindex(b"PK\x01\x02", 0, new.rindex(f"model/{PROGRAM}".encode()))
    return new[: at + 24] + (100).to_bytes(4, "little") + new[at + 28 :]


ONE = "must (be a file of torch.export.save|hold|have|name|give|take|say)"
PT2: dict[str, tuple[Callable[[Contents], bytes], str, str]] = {
    # -- code: each was seen to run in `torch.export.load`
    "name-jsox": (added("models/model.jsox", CODE.encode()), "refused", "must hold tensors alone"),
    "name-JSON": (added("models/model.JSON", CODE.encode()), "refused", "must hold tensors alone"),
    "name-twin": (added("models/MODEL.json", b"{}"), "refused", "must have names that differ in more than"),
    "two-programs": (added("models/other.json", b"{}"), "refused", "must hold one program, got 2"),
    "two-members": (added(PROGRAM, b"{}"), "refused", "must hold tensors alone, each once"),
    "library": (added("data/aotinductor/model/x.so", b"\x7fELF"), "refused", "must hold tensors alone"),
    "outside": (added("../../x", b""), "refused", "must hold tensors alone"),
    "guards": (edited(unguarded), "steps", "2"),
    "expression": (sized({"as_expr": {"expr_str": CODE}}), "refused", "must be arithmetic and nothing else"),
    "lambda": (sized({"as_expr": {"expr_str": "Lambda(x, 1)(2)"}}), "refused", "must be arithmetic"),
    "range": (
        edited(lambda t: t.update(range_constraints={CODE: {"min_val": 0, "max_val": 1}})),
        "steps",
        "2",
    ),
    "target-os": (
        node("torch.os.system", ("x", {"as_string": "touch opened"})),
        "refused",
        "must call operators",
    ),
    "target-eval": (node("builtins.eval", ("x", {"as_string": CODE})), "refused", "must call operators"),
    "target-getitem": (node("_operator.getitem", X), "refused", "must call operators"),
    "target-file": (node("torch.ops.aten.from_file.default"), "refused", "must call operators"),
    "target-set": (node("torch.ops.aten.set_.source_Tensor", X), "refused", "must call operators"),
    "target-resize": (node("torch.ops.aten.resize_.default", X), "refused", "must call operators"),
    "target-class": (node("torch.ops.aten.__class__.x", X), "refused", "must call operators"),
    "target-load": (node("torch.ops.load_library.x.y"), "refused", "must call operators"),
    "target-other": (node("torch.ops.prims.add.default", X), "refused", "must call operators"),
    "word": (
        node("torch.ops.aten.relu.default", ("self", {"as_string": "x"})),
        "refused",
        "not be given words",
    ),
    "operator": (node("torch.ops.aten.relu.default", ("self", {"as_operator": "os.system"})), "refused", ONE),
    "object": (
        node("torch.ops.aten.relu.default", ("self", {"as_custom_obj": {"name": "x"}})),
        "refused",
        ONE,
    ),
    "pickled": (edited(pickled, WEIGHTS), "refused", "must hold tensors alone"),
    "sample": (text(PICKLE, "data/sample_inputs/model.pt"), "steps", "2"),
    "weight": (text(PICKLE, "data/weights/weight_0"), "steps", "2"),
    "link": (link, "refused", "must hold plain members"),
    # -- hangs and memory
    "power": (sized({"as_expr": {"expr_str": "9**9**9**9"}}), "refused", "must be arithmetic"),
    "Pow": (
        sized({"as_expr": {"expr_str": "Pow(Integer(10),Integer(10000000000))"}}),
        "refused",
        "arithmetic",
    ),
    "minus": (sized({"as_expr": {"expr_str": "-" * 3000 + "1"}}), "refused", "must be arithmetic"),
    "brackets": (sized({"as_expr": {"expr_str": "(" * 2000 + "1"}}), "refused", "must be arithmetic"),
    "nested": (text(b"[" * 10**5 + b"]" * 10**5), "refused", "at most 64 levels"),
    "nested-in-text": (text(b'{"a": "' + b"[" * 10**5 + b'"}'), "refused", "KeyError"),
    "no-end": (text(b'{"a": "' + b'\\"' * 10**6), "refused", ONE),
    "spaces": (text(b" " * 2 * 10**8, method=zipfile.ZIP_DEFLATED), "refused", "at most 67108864 bytes"),
    "lying": (lying, "refused", ONE),
    "items": (text(b"[" + b"[]," * 5 * 10**6 + b"1]"), "refused", "4194304 items"),
    "twice": (text(b'{"graph_module": 1, "graph_module": 2}'), "refused", "a key is there twice"),
    "nan": (text(b'{"a": NaN}'), "refused", "no number of JSON"),
    "1e400": (text(b'{"a": 1e400}'), "refused", "no number of JSON"),
    "digits": (text(b'{"a": ' + b"9" * 5000 + b"}"), "refused", "more than 64 bits"),
    "weight-2**124": (edited(large_weight, WEIGHTS), "refused", "at most 2\\*\\*48 elements"),
    "input-2**40": (sized({"as_int": 2**40}), "refused", "the feature maps of a file|at most"),
    "input-2**26": (sized({"as_int": 2**26}), "refused", "the feature maps of a file"),
    "input-2**63": (sized({"as_int": 2**63}), "refused", ONE),
    "input-minus": (sized({"as_int": -4}), "refused", ONE),
    "nodes": (edited(many), "refused", "at most 65536 nodes"),
    "blocks": (edited(nested), "refused", ONE),
    "layers": (edited(layers), "refused", "at most 16384 layers"),
    # -- graphs that are none
    "undefined": (edited(undefined), "refused", "must name values that are there, got nowhere"),
    "later": (edited(later), "refused", "must name values that are there"),
    "again": (edited(twice), "refused", "must name every value once"),
    "arity": (node("torch.ops.aten.max_pool2d.default"), "stopped", "max_pool2d"),
    "keyword": (
        node("torch.ops.aten.relu.default", ("other", {"as_int": 1})),
        "refused",
        "must not be given 'other'",
    ),
    "integer": (
        node("torch.ops.aten.pixel_shuffle.default", X, ("upscale_factor", {"as_int": 2**32})),
        "refused",
        "integers below 2\\*\\*31",
    ),
    "unbind": (
        node(
            "torch.ops.aten.split.Tensor",
            ("self", {"as_tensor": {"name": "x"}}),
            ("split_size", {"as_int": 0}),
            made=[{"as_tensors": [{"name": "max_pool2d"}]}],
        ),
        "stopped",
        ".",
    ),
    "expand": (
        node("torch.ops.aten.repeat.default", X, ("repeats", {"as_ints": [2**30] * 4})),
        "stopped",
        "2\\*\\*48 elements|overflow",
    ),
    "axes": (
        node("torch.ops.aten.repeat.default", X, ("repeats", {"as_ints": [1] * 5000})),
        "stopped",
        "32 axes|.",
    ),
    "arange": (
        node("torch.ops.aten.arange.default", ("end", {"as_float": 1e18})),
        "stopped",
        "2\\*\\*48 elements|overflow",
    ),
    "escape": (edited(escape), "steps", "2"),
}


def windows(kind: str, **settings: Any) -> bytes:
    """A model of one node, with a weight of 3 x 3 where it takes one."""
    weight = onnx.numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")
    inputs = ["x", "w"] if "Conv" in kind else ["x"]
    made = helper.make_node(kind, inputs, ["y"], **settings)
    return bytes(onnx_model([made], [1, 1, 8, 8], weight).SerializeToString())


def initializer(**fields: Any) -> bytes:
    model = onnx_model([helper.make_node("Add", ["x", "w"], ["y"])], [1, 1, 8, 8])
    weight = model.graph.initializer.add(name="w", data_type=1, dims=[1])
    weight.raw_data = b"\0\0\0\0"
    for name, value in fields.items():
        if name == "dims":
            del weight.dims[:]
            weight.dims.extend(value)
        else:
            setattr(weight, name, value)
    return bytes(model.SerializeToString())


def wide(n: int) -> bytes:
    made = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    return bytes(onnx_model([made], [1, 3, n, n]).SerializeToString())


def loop() -> bytes:
    """A loop of 2**62 turns over constants, which the reference evaluator would take."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", onnx.TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("d", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", onnx.TensorProto.INT64, [1]),
        ],
    )
    turns = onnx.numpy_helper.from_array(np.array(2**62), "n")
    go = onnx.numpy_helper.from_array(np.array(True), "go")
    start = onnx.numpy_helper.from_array(np.array([1]), "s")
    nodes = [
        helper.make_node("Loop", ["n", "go", "s"], ["out"], body=body),
        helper.make_node("Reshape", ["x", "out"], ["y"]),
    ]
    return bytes(onnx_model(nodes, [1, 1, 1, 1], turns, go, start).SerializeToString())


def external(location: str) -> bytes:
    model = onnx.load_from_string(initializer(raw_data=b""))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    return bytes(model.SerializeToString())


def named(name: str) -> bytes:
    made = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], name=name)
    made.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="(" * 10**5)
    return bytes(onnx_model([made], [1, 1, 8, 8]).SerializeToString())


ONNX: dict[str, tuple[bytes, str, str]] = {
    "strides": (windows("Conv", strides=[2**62, 2**62]), "steps", "1"),
    "transposed": (windows("ConvTranspose", strides=[2**62, 2**62]), "stopped", "."),
    "pool": (windows("MaxPool", kernel_shape=[2**62] * 2, pads=[2**61] * 4), "steps|stopped", "."),
    "dilations": (windows("Conv", dilations=[2**62, 2**62]), "stopped", "."),
    "stride-0": (windows("Conv", strides=[0, 0]), "stopped|refused", "."),
    "block-0": (windows("SpaceToDepth", blocksize=0), "stopped|refused", "."),
    "block-2**32": (windows("DepthToSpace", blocksize=2**32), "stopped|refused", "."),
    "split": (windows("Split", num_outputs=2**40), "stopped|refused", "."),
    "type-77": (initializer(data_type=77), "refused", "."),
    "claims": (initializer(dims=[2**40]), "refused", "."),
    "claims-few": (initializer(dims=[1000]), "refused", "."),
    "input-2**26": (wide(2**26), "refused", "inspect: an input must have 0 to 2\\*\\*48 elements"),
    "input-2**23": (wide(2**23), "refused", "inspect: the feature maps of a file must have at most"),
    "loop": (loop(), "stopped|refused", "."),
    "external-up": (external("../../../etc/passwd"), "refused", "."),
    "external-absolute": (external("/etc/passwd"), "refused", "."),
    "external-self": (external("."), "refused", "."),
    "escape": (named("/up\x1b]0;pwned\x07/Pool"), "steps", "0"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What came of every file, by its name."""
    folder = tmp_path_factory.mktemp("hostile")
    torch.export.save(torch.export.export(Small(), (torch.zeros(1, 1, 16, 16),)), folder / "good.pt2")
    contents = fuzz_files.members(folder / "good.pt2")
    for name, (make, _, _) in PT2.items():
        (folder / f"{name}.pt2").write_bytes(make(contents))
    for name, (content, _, _) in ONNX.items():
        (folder / f"{name}.onnx").write_bytes(content)
    done = run(str(folder), folder.parent)
    assert not list(folder.parent.rglob("opened"))
    lines = dict(
        line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(tuple(sent(folder)))
    )
    assert done.returncode == 0, f"{done.stdout[-300:]}{done.stderr[-3000:]}"
    return {name: json.loads(found) for name, found in lines.items()}


def sent(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def run(argument: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(fuzz_files.__file__)), argument]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=folder)


def check(found: list[str], kind: str, pattern: str) -> None:
    assert re.fullmatch(kind, found[0]), found
    assert re.search(pattern, found[1]), found


@pytest.mark.promise("93", "F17", "F18", "F19")
@pytest.mark.parametrize("name", PT2)
def test_a_hostile_pt2_file_is_one_sentence(name: str, outcomes: dict[str, list[str]]) -> None:
    check(outcomes[f"{name}.pt2"], *PT2[name][1:])


@pytest.mark.promise("93", "F17", "F19")
@pytest.mark.parametrize("name", ONNX)
def test_a_hostile_onnx_file_is_one_sentence(name: str, outcomes: dict[str, list[str]]) -> None:
    check(outcomes[f"{name}.onnx"], *ONNX[name][1:])


def test_the_file_that_was_changed_is_a_good_one(outcomes: dict[str, list[str]]) -> None:
    assert outcomes["good.pt2"] == ["steps", "2"]


@pytest.mark.promise("93", "F17", "F19")
def test_changed_files_give_a_result_or_a_sentence(tmp_path: Path) -> None:
    done = run("300", tmp_path)
    assert done.returncode == 0, f"{done.stdout[-300:]}{done.stderr[-3000:]}"
    counts = json.loads(done.stdout.splitlines()[-1])
    assert sum(counts.values()) == 300
    assert min(counts["steps"], counts["stopped"], counts["refused"]) > 3


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "__import__('os').system('true')",
        "__import__('subprocess').run(['true'])",
        "__import__('pickle').loads(b'cos\\nsystem\\n.')",
        "__import__('ctypes').CDLL('libm.so.6')",
        "__import__('antigravity')",
        "open('opened', 'w')",
    ],
)
def test_the_process_of_the_fuzzer_sees_what_runs(code: str, tmp_path: Path) -> None:
    """The guard itself: each of these ends it."""
    made = compile(code, "file", "eval")
    import marshal

    text = (
        "import sys, marshal, os, subprocess, pickle, ctypes\n"
        f"sys.path.insert(0, {str(Path(fuzz_files.__file__).parent)!r})\n"
        "import fuzz_files\n"
        "fuzz_files.locked([])\n"
        f"eval(marshal.loads({marshal.dumps(made)!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, timeout=300, check=False, cwd=tmp_path
    )
    assert done.returncode == 66, done
    assert not list(tmp_path.iterdir())


def test_the_kernel_ends_a_process_that_starts_a_program() -> None:
    text = (
        f"import sys; sys.path.insert(0, {str(Path(fuzz_files.__file__).parent)!r}); import os, fuzz_files\n"
        "print(fuzz_files.no_exec(), flush=True); os.execv('/bin/true', ['true'])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, timeout=300, check=False)
    if done.stdout.strip() != b"True":
        pytest.skip("this kernel has no such filter")
    assert done.returncode < 0


# -- the parts --------------------------------------------------------------------------------------------


@pytest.mark.promise("93")
def test_a_file_is_never_run_for_times(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(Small(), (torch.zeros(1, 1, 16, 16),)), tmp_path / "model.pt2")
    with pytest.raises(
        us.ShapeError, match=r"^inspect: times need a real run, and what a file holds is never"
    ):
        us.inspect(tmp_path / "model.pt2", repeats=1)


def test_names_of_a_file_are_shown_without_control_characters(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(Small(), (torch.zeros(1, 1, 16, 16),)), tmp_path / "good.pt2")
    (tmp_path / "a\x07.pt2").write_bytes(edited(escape)(fuzz_files.members(tmp_path / "good.pt2")))
    (tmp_path / "a\x07.onnx").write_bytes(
        windows("MaxPool", kernel_shape=[2, 2], strides=[2, 2], name="/up\x1b[2J/x")
    )
    for kind in ("pt2", "onnx"):
        found = us.inspect(tmp_path / f"a\x07.{kind}", sizes=False)
        assert found.model == rf"a\x07.{kind}"
        assert found.steps[0].layer == r"up\x1b[2J"
        assert not set(repr(found)) & set("\x1b\x07")


def test_torch_reads_no_file_for_inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.export.save(torch.export.export(Small(), (torch.zeros(1, 1, 16, 16),)), tmp_path / "model.pt2")

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("torch was given the file")

    for place, name in ((torch, "load"), (torch.export, "load"), (torch.export, "unflatten")):
        monkeypatch.setattr(place, name, never)
    assert len(us.inspect(tmp_path / "model.pt2", sizes=False).steps) == 2


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_weights_are_read_as_numbers(method: int, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Small().to(dtype), torch.zeros(1, 1, 16, 16, dtype=dtype)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "good.pt2")
    contents = fuzz_files.members(tmp_path / "good.pt2")
    (tmp_path / "model.pt2").write_bytes(archive(list(contents.items()), method))
    direct, read = us.inspect(model, x, sizes=False), us.inspect(tmp_path / "model.pt2", sizes=False)
    assert direct.steps[1].checkerboard == read.steps[1].checkerboard
    assert direct.saved_bytes == read.saved_bytes
    assert 0 < read.checkerboard < 1


def test_a_large_weight_and_a_long_program_are_read(tmp_path: Path) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(256, 600, 3, stride=2), *(nn.ReLU() for _ in range(1500)))
    torch.export.save(torch.export.export(model, (torch.zeros(1, 256, 4, 4),)), tmp_path / "model.pt2")
    sizes = {name: len(content) for name, content in fuzz_files.members(tmp_path / "model.pt2").items()}
    assert sizes["data/weights/weight_0"] > 2**22
    assert sizes[PROGRAM] > PART, "more than is read at a time"
    read, direct = (us.inspect(each, (1, 256, 4, 4), sizes=False) for each in (tmp_path / "model.pt2", model))
    assert read.steps[0].checkerboard == direct.steps[0].checkerboard


def test_weights_that_layers_share_are_one(tmp_path: Path) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 3, bias=False), nn.Conv2d(1, 1, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.max_pool2d(self.b(self.a(x)), 2)

    torch.export.save(torch.export.export(Shared(), (torch.zeros(1, 1, 16, 16),)), tmp_path / "model.pt2")
    assert us.inspect(tmp_path / "model.pt2", sizes=False).parameters == 9


@pytest.mark.parametrize("name", ["number", "type_name", "mode", "inputs", "forward_", "é", "x-1"])
def test_a_layer_may_have_any_name(name: str, tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module(name, nn.MaxPool2d(2))
    torch.export.save(torch.export.export(model, (torch.zeros(1, 1, 16, 16),)), tmp_path / "model.pt2")
    assert [step.layer for step in us.inspect(tmp_path / "model.pt2", sizes=False).steps] == [name]


def test_a_program_of_another_mode_and_written_as_functions_says_the_same(tmp_path: Path) -> None:
    """Blocks without gradients, mutations of buffers, results of several tensors."""
    any_size: Any = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    model, x = fuzz_files.Net(), torch.zeros(1, 1, 16, 16)
    program = torch.export.export(model, (x,), dynamic_shapes=(any_size,))
    direct = us.inspect(model, x, sizes=False)
    for number, each in enumerate((program, program.run_decompositions())):
        torch.export.save(each, tmp_path / f"{number}.pt2")
        read = us.inspect(tmp_path / f"{number}.pt2", sizes=False)
        assert read.failure is None
        shapes = [step.output_shape for step in direct.steps if "unpool" not in step.what]
        assert [step.output_shape for step in read.steps if "unpool" not in step.what] == shapes
    read = us.inspect(tmp_path / "0.pt2", (1, 1, 20, 24), sizes=False)
    assert read.output_shapes == us.inspect(model, (1, 1, 20, 24), sizes=False).output_shapes


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("Add(Mul(Integer(2), FloorDiv(Symbol('s0'), Integer(2))), Integer(-1))", 5),
        ("2*s0 - (s1 + 1)//2 % 3", 12),
        ("Max(s0, min(3, s1)) ** 2", 49),
        ("Mod(s0, 4) + CeilDiv(s0, 2) + Pow(2, 3)", 15),
        ("-s0 + 1", -6),
    ],
)
def test_the_value_of_an_expression(expression: str, value: int) -> None:
    assert expressions.evaluate(expression, {"s0": 7, "s1": 9}) == value


@pytest.mark.parametrize(
    ("expression", "value"), [("9223372036854775807", 2**63 - 1), ("2**62 + 2**61", 2**62 + 2**61)]
)
def test_values_end_at_63_bits(expression: str, value: int) -> None:
    assert expressions.evaluate(expression, {}) == value
    for more in (f"{expression}*2", f"{expression} + 9223372036854775807", "2**63", "1*2**64"):
        with pytest.raises(us.ShapeError):
            expressions.evaluate(more, {})


def test_depth_and_items_of_json_leave_strings_out() -> None:
    for tree in ({"a": ["[[[[", {"b\\": '"[{'}]}, [], "[", [[[]]], {"": {'\\\\"[': [1, 2]}}):
        found = extent(json.dumps(tree).encode())
        assert found[0] == depth(tree)


def depth(tree: Any) -> int:
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else None
    return 0 if inside is None else 1 + max(map(depth, inside), default=0)


def test_taps_that_meet_nothing_are_left_out_and_counted_as_before() -> None:
    draw = np.random.default_rng(0)
    for _ in range(2000):
        low, high = [0, 0, 1, 1, 1, -4, -4], [13, 9, 10, 7, 6, 13, 13]
        window = Window(*map(int, draw.integers(low, high)))
        cut = grids.met(window)
        pairs = [
            {(o, p) for tap in each.axis_taps() for o, p in zip(tap.coarse, tap.fine, strict=True)}
            for each in (window, cut)
        ]
        assert pairs[0] == pairs[1]
        assert window.meetings == sum(len(tap.coarse) for tap in window.axis_taps()), window


def test_only_listed_operators_of_torch_are_called() -> None:
    for name in (
        "from_file",
        "set_",
        "resize_",
        "_pin_memory",
        "record_stream",
        "_print",
        "set_data",
        "__and__",
    ):
        packet = getattr(torch.ops.aten, name)
        with pytest.raises(us.ShapeError, match=r"must call operators of torch.ops.aten"):
            operators.operator_of(f"torch.ops.aten.{name}.{packet.overloads()[0]}")
    assert operators.operator_of("torch.ops.aten.add_.Tensor") is torch.ops.aten.add_.Tensor
