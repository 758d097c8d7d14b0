"""Model files that nobody would write: changed at random, inspected in a process that may not start another.

python tests/shared/fuzz_files.py 2000        as many changed files; part of `make fuzz`
python tests/shared/fuzz_files.py FOLDER      every file of a folder; one line of JSON for each

A file gives a result or one sentence. A hang, a signal, an exception of another kind, more than a gigabyte,
and everything that runs, imports or unpickles what a file says, end the process.
"""

import copy
import ctypes
import io
import json
import os
import platform
import random
import resource
import signal
import struct
import sys
import tempfile
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

import unsample as us

SECONDS = 120  # of one file: a guard against hangs alone
MEMORY = 2**30

FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile", "pty."),
    *("subprocess.", "ctypes.dlopen", "pickle.find_class", "socket.", "shutil.", "os.remove", "os.rename"),
    *("os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.kill", "urllib.", "webbrowser."),
)
OVER: list[bool] = []  # the process ends, and says why
LIBRARIES = (
    "encodings",
    "torch",
    "numpy",
    "onnx",
    "ml_dtypes",
    "sympy",
    "mpmath",
    "unsample",
    "google.protobuf",
)


def no_code(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: what a file must never lead to ends the process."""
    if OVER:
        return
    if event.startswith(FORBIDDEN):
        end(event, arguments)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        end(event, arguments)
    if event == "import" and not str(arguments[0]).startswith(LIBRARIES) and not importing():
        end(event, arguments)
    # Text that is compiled: `eval`, `exec` and sympy's parser. Libraries do so while they are imported.
    if event == "compile" and not importing():
        end(event, arguments)


def importing() -> bool:
    frame = sys._getframe()
    while frame is not None:
        if (
            frame.f_code.co_filename == "<frozen importlib._bootstrap>"
            and frame.f_code.co_name == "exec_module"
        ):
            return True
        if "importlib._bootstrap" in frame.f_code.co_filename:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def end(event: str, arguments: Any) -> None:
    OVER.append(True)
    traceback.print_stack()
    print(f"forbidden: {event} {str(arguments)[:300]}", file=sys.stderr, flush=True)
    os._exit(66)


def no_exec() -> bool:
    """Let the kernel end this process where it starts a program; whether it agreed to."""
    numbers = {"x86_64": (59, 322), "aarch64": (221, 281)}.get(platform.machine())
    if numbers is None or sys.platform != "linux":
        return False
    load, equal, give, kill, allow = 0x20, 0x15, 0x06, 0x80000000, 0x7FFF0000
    program = [(load, 0, 0, 0), (equal, 1, 0, numbers[0]), (equal, 0, 1, numbers[1]), (give, 0, 0, kill)]
    code = b"".join(struct.pack("HBBI", *line) for line in [*program, (give, 0, 0, allow)])
    lines = ctypes.create_string_buffer(code, len(code))
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(lines)))
    libc, at = ctypes.CDLL(None), ctypes.addressof(filters)
    return libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.c_void_p(at), 0, 0) == 0


def locked(warm: list[Path]) -> None:
    """Take from this process what reading a file does not need, once `warm` files have loaded everything."""
    for path in warm:
        us.inspect(path, seconds=5.0)
    no_exec()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    sys.addaudithook(no_code)


def outcome(path: Path, **settings: Any) -> tuple[str, str]:
    """What comes of a file: ("steps", their number), ("stopped", where) or ("refused", why)."""
    signal.alarm(SECONDS)
    try:
        found = us.inspect(path, **settings)
        text = found.to_json() + found.to_csv() + repr(found) + found._repr_html_()
        assert text.isprintable() or not set(map(ord, text)) & {*range(9), *range(11, 32), *range(127, 160)}
    except us.ShapeError as error:
        if not str(error).isprintable():
            raise AssertionError(repr(error)) from error
        return "refused", str(error)
    except MemoryError as error:
        return "memory", str(error)
    finally:
        signal.alarm(0)
    if found.failure is not None:
        return "stopped", found.failure.sentence
    return "steps", str(len(found.steps))


# -- good files -------------------------------------------------------------------------------------------


class Net(nn.Module):
    """A little of everything that a program of torch.export may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down, indices = nn.functional.max_pool2d(self.norm(self.enter(x)), 2, return_indices=True)
        with torch.no_grad():
            a, b = torch.split(self.up(down), 2, 1)
        up = nn.functional.max_unpool2d(down, indices, 2, output_size=x.shape[2:])
        wide = nn.functional.interpolate(down, size=(x.shape[2] // 2 * 2, x.shape[3]))
        return torch.cat([a, b, up, wide.roll(1, 2), x], 1)


def good(folder: Path) -> list[Path]:
    """A .pt2 and an .onnx file."""
    warnings.simplefilter("ignore")
    any_size: Any = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.export.export(Net(), (torch.zeros(1, 1, 16, 16),), dynamic_shapes=(any_size,))
    torch.export.save(program, folder / "model.pt2")
    weight = onnx.numpy_helper.from_array(torch.ones(1, 1, 3, 3).numpy(), "w")
    factors = onnx.numpy_helper.from_array(torch.tensor([1.0, 1.0, 2.0, 2.0]).numpy(), "f")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="/down/Conv", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["b", "", "f"], ["c"], mode="nearest"),
        helper.make_node("ConvTranspose", ["c", "w"], ["d"], strides=[2, 2], name="/up/ConvTranspose"),
        helper.make_node("Concat", ["d", "d"], ["y"], axis=1),
    ]
    onnx.save(onnx_model(nodes, [1, 1, 16, 16], weight, factors), folder / "model.onnx")
    return [folder / "model.pt2", folder / "model.onnx"]


def onnx_model(nodes: list[Any], shape: list[Any], *weights: Any) -> Any:
    """A model of one float input `x` and one result `y`."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        list(weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def members(path: Path) -> dict[str, bytes]:
    """What is in an archive, below its folder."""
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archive(contents: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as new:
        warnings.simplefilter("ignore")  # names that are there twice
        for name, content in contents:
            new.writestr(f"model/{name}", content, compresslevel=1)
    return file.getvalue()


# -- changed files ----------------------------------------------------------------------------------------

CODE = "__import__('os').system('touch opened')"
HOSTILE: list[Any] = [
    *(
        0,
        -1,
        1,
        2,
        3,
        77,
        2**31 - 1,
        2**31,
        2**40,
        2**62,
        2**63 - 1,
        -(2**63),
        2**64,
        10**30,
        0.5,
        -1.5,
        1e308,
    ),
    *(None, True, False, [], {}, "", "x", "x\x1b]0;pwned\x07", "\ud800", "a" * 5000, "9**9**9**9", CODE),
    *("Pow(Integer(10),Integer(10000000000))", f"Symbol('s0') + {CODE}", "-" * 3000 + "1", "s0//0", "2*s0"),
    *("torch.ops.aten.set_.source_Tensor", "torch.ops.aten.from_file.default", "torch.os.system"),
    *("torch.ops.aten.repeat.default", "torch.ops.aten.unbind.int", "torch.ops.aten.pixel_shuffle.default"),
    *("torch.ops.aten.unfold.default", "torch.ops.aten.as_strided.default", "_operator.pow", "math.trunc"),
    *("torch.ops.aten.conv_transpose2d.input", "torch.ops.aten.expand.default", "builtins.eval"),
    *("torch.ops.aten.resize_.default", "torch.ops.unsample.max_pool.default", "../../weight_0"),
    *({"as_int": 2**40}, {"as_ints": [2**30] * 4}, {"as_ints": [1] * 3000}, {"as_float": "NaN"}),
    *({"as_expr": {"expr_str": CODE}}, {"as_string": "x"}, {"as_none": True}, {"as_tensor": {"name": "x"}}),
]


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (list or dict, index or key) in a tree."""
    found, left = [], [tree]
    while left:
        each = left.pop()
        keys: Any = each.keys() if isinstance(each, dict) else range(len(each))
        for key in keys:
            found.append((each, key))
            if isinstance(each[key], dict | list):
                left.append(each[key])
    return found


def changed_json(text: bytes, draw: random.Random) -> bytes:
    """JSON in which some values are hostile, copied from elsewhere, gone, or there twice."""
    tree = json.loads(text)
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        everything = places(tree) if isinstance(tree, dict | list) else []
        if not everything:
            break
        owner, key = draw.choice(everything)
        how = draw.randrange(8)
        if how < 5:
            alike = [each for each in HOSTILE if type(each) is type(owner[key]) and how]
            owner[key] = copy.deepcopy(draw.choice(alike or HOSTILE))
        elif how == 5:
            other, at = draw.choice(everything)
            owner[key] = json.loads(json.dumps(other[at]))
        elif how == 6:
            del owner[key]
        elif isinstance(owner, list):
            owner.insert(key, json.loads(json.dumps(owner[key])))
        else:
            owner[draw.choice(["x", "name", "as_int", "as_graph"])] = copy.deepcopy(owner[key])
    return json.dumps(tree).encode()


def changed_pt2(contents: dict[str, bytes], draw: random.Random) -> bytes:
    """An archive with one change or some."""
    new = list(contents.items())
    how = draw.randrange(12) % 8  # the first four more often
    tables = [i for i, (name, _) in enumerate(new) if name.endswith(".json")]
    program = [i for i in tables if new[i][0].startswith("models")]
    at = draw.choice(program if how < 3 else tables) if how < 5 else draw.randrange(len(new))
    name, content = new[at]
    if how < 4:
        new[at] = (name, changed_json(content, draw))
    elif how == 4:
        nested = draw.choice(
            [b"[" * 10**5, b"{" * 100, b" " * 10**7, b'{"a":NaN}', b'{"a":1e400}', b'{"a":1,"a":2}']
        )
        new[at] = (name, draw.choice([nested, content[:-1] + b"," + nested]))
    elif how == 5:
        names = [
            "models/model.jsox",
            "models/MODEL.json",
            "../x",
            "data/weights/x.so",
            "a\x1b",
            name + ".pkl",
        ]
        new[at] = (draw.choice(names), content)
    elif how == 6:
        new.append((name, draw.choice([content, b"", b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85R."])))
    else:
        del new[at]
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED] * 8 + [zipfile.ZIP_BZIP2]
    return archive(new, draw.choice(methods))


def changed_bytes(content: bytes, draw: random.Random) -> bytes:
    """A file with flipped bits, a hole, or an end too early."""
    new = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8, 64])):
        new[draw.randrange(len(new))] ^= 1 << draw.randrange(8)
    if draw.randrange(4) == 0:
        del new[draw.randrange(len(new)) :]
    if draw.randrange(8) == 0 and len(new) > 8:
        begin = draw.randrange(len(new) - 4)
        new[begin : begin + 4] = struct.pack("<i", draw.choice([-1, 0, 2**31 - 1]))
    return bytes(new)


NUMBERS = (-(2**63), -(2**62), -1, 0, 1, 2, 3, 1000, 2**16, 2**31, 2**40, 2**61, 2**62, 2**63 - 1)
OPERATORS = (
    "If",
    "Loop",
    "Scan",
    "Split",
    "DepthToSpace",
    "SpaceToDepth",
    "Pad",
    "Slice",
    "Transpose",
    "Tile",
)


def changed_onnx(content: bytes, draw: random.Random) -> bytes:
    """A graph with other numbers, operators and names."""
    model = onnx.load_from_string(content)
    for _ in range(draw.choice([1, 1, 2, 4])):
        node, how = draw.choice(model.graph.node), draw.randrange(6)
        if how < 3:
            name = draw.choice(
                ["strides", "pads", "dilations", "kernel_shape", "output_padding", "axis", "group"]
            )
            if how == 2:
                name = draw.choice(["blocksize", "num_outputs", "perm", "axes", "ceil_mode", "output_shape"])
            kept = [each for each in node.attribute if each.name != name]
            numbers = [draw.choice(NUMBERS)] * draw.choice([1, 2, 2, 4, 4])
            value: Any = numbers[0] if name in ("axis", "group", "blocksize", "num_outputs") else numbers
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute(name, value)])
        elif how == 3:
            node.op_type = draw.choice(OPERATORS)
        elif how == 4:
            dim = draw.choice(model.graph.input[0].type.tensor_type.shape.dim)
            dim.dim_value = draw.choice(NUMBERS)
        else:
            weight = draw.choice(model.graph.initializer)
            if draw.randrange(2):
                weight.data_type = draw.choice([0, 2, 8, 16, 77, 2**31 - 1])
            else:
                weight.dims[draw.randrange(len(weight.dims))] = draw.choice(NUMBERS)
    return bytes(model.SerializeToString())


def changed(number: int, contents: dict[str, bytes], raw: bytes, model: bytes) -> tuple[str, bytes]:
    """The kind and the bytes of the changed file of this number."""
    draw = random.Random(number)
    kind = draw.choice(["pt2", "pt2", "onnx"])
    if draw.randrange(4) == 0:
        return kind, changed_bytes(raw if kind == "pt2" else model, draw)
    return kind, changed_pt2(contents, draw) if kind == "pt2" else changed_onnx(model, draw)


def main(argument: str) -> None:
    """Inspect as many changed files, or the files of a folder."""
    folder = Path(tempfile.mkdtemp())  # it stays: this process may not remove anything any more
    pt2, graph = good(folder)
    contents, raw, model = members(pt2), pt2.read_bytes(), graph.read_bytes()
    new = {kind: folder / f"new.{kind}" for kind in ("pt2", "onnx")}
    files = {kind: os.open(path, os.O_RDWR | os.O_CREAT) for kind, path in new.items()}
    locked([pt2, graph])
    counts: dict[str, int] = {}
    try:
        for path in sorted(Path(argument).iterdir()) if not argument.isdigit() else ():
            print(path.name, end=" ", flush=True)  # whatever happens now, happens to this file
            print(json.dumps(outcome(path, seconds=2.0)), flush=True)
        for number in range(int(argument)) if argument.isdigit() else ():
            print(f"number {number}", end=" ", flush=True)
            kind, content = changed(number, contents, raw, model)
            os.ftruncate(files[kind], 0)
            os.pwrite(files[kind], content, 0)
            result, why = outcome(new[kind], sizes=number % 8 == 0, seconds=0.5)
            counts[result] = counts.get(result, 0) + 1
            print(kind, result, why[:200], flush=True)
        print(json.dumps(counts), flush=True)
    except BaseException:
        OVER.append(True)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
