"""`unsample inspect` as a person meets it, ONNX files, and MONAI's networks."""

import csv
import io
import json
import os
import pickle
import subprocess
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from torch import nn

import command
import pages
import unsample as us
import unsample.torch as ut
from unsample.geometry.resample import Resample
from unsample.inspection import expressions
from unsample.inspection.matrices import dense_of, resample_of
from unsample.inspection.report import FIELDS
from unsample.inspection.table import settings_text
from unsample.inspection.weights import load_weights

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from monai.networks.nets import BasicUNet, UNet

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1, output_padding=1)
    def forward(self, x):
        return torch.cat([x, self.up(self.down(x))], 1)

def net():
    torch.manual_seed(0)
    return Net()

class Told(nn.Module):
    def __init__(self, channels, mode):
        super().__init__()
        self.words, self.up = nn.Embedding(9, 4), nn.Upsample(scale_factor=2, mode=mode)
        self.conv = nn.Conv2d(3, channels, 3)
    def forward(self, x, text, *, mask=None):
        return self.up(self.conv(x)) + self.words(text).mean()

def told(channels, mode="nearest"):
    return Told(channels, mode)

def broken():
    raise KeyError("nothing")

text = "no model"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    (place / "nets.py").write_text(FACTORY)
    (place / "weights.pt").write_bytes(b"\x80\x02cos\nsystem\nX\x05\x00\x00\x00touch\x85R.")
    (place / "torn.pt2").write_bytes(b"PK\x03\x04")
    (place / "torn.onnx").write_bytes(b"\x08")
    return place


def unsample(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return command.unsample("inspect", *arguments, cwd=folder, **{"COLUMNS": "80", **environment})


# -- the command ------------------------------------------------------------------------------------------


def test_the_table_fits_80_columns_and_says_everything(folder: Path) -> None:
    done = unsample(folder, "nets:net", "--input", "1,3,32,32", NO_COLOR="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    words = " ".join(done.stdout.split())
    assert "2 up ↑ ConvTranspose2d k3 s2 p1 op1 3x32x32" in words
    assert "every multiple of 2" in words
    assert "cat in the model: 1/2 pixel apart, behind step 2 (ConvTranspose2d k3 s2 p1 op1)" in words
    assert "stamps overlap unevenly (2/1); 0.00 with init.icnr_" in words


@pytest.mark.parametrize(
    "inputs",
    [
        ("1,3,16,16", "1,7:int64"),
        ("text=1,7:int64", "x=1x3x16x16"),
    ],
)
def test_a_factory_has_arguments_and_a_model_several_inputs(folder: Path, inputs: Any) -> None:
    call = [word for each in inputs for word in ("--input", each)]
    done = unsample(folder, "nets:told(5, mode='bilinear')", *call, "--json", "--no-sizes")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["output_shapes"] == [[1, 5, 28, 28]]
    assert document["steps"][0]["settings"].startswith("linear")


def test_json_and_csv_are_all_that_is_printed_and_html_is_written(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = unsample(folder, "nets:net", "--input", "1x3x32x32", "--json", "--no-sizes", "--html", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    assert [step["layer"] for step in json.loads(done.stdout)["steps"]] == ["down", "up"]
    assert "<table>" in page.read_text()
    assert os.listdir(tmp_path) == ["page.html"]
    done = unsample(folder, "nets:net", "--input", "1,3,32,32", "--csv", "--no-sizes")
    assert next(csv.reader(io.StringIO(done.stdout))) == list(FIELDS)


def test_exit_code_1_where_the_condition_holds_or_the_model_stops(folder: Path) -> None:
    call = ("nets:net", "--input", "1,3,32,32", "--no-sizes", "--fail-if")
    done = unsample(folder, *call, "checkerboard>0.2")
    assert done.returncode == 1
    assert done.stderr.startswith("unsample inspect: fail-if: checkerboard > 0.2 (it is 0.")
    assert unsample(folder, *call, "checkerboard>0.99").returncode == 0
    done = unsample(folder, "nets:net", "--input", "1,3,33,32", "--json")
    assert done.returncode == 1
    assert done.stderr == (
        "unsample inspect: stopped in the model: cat of (1, 3, 33, 32) and (1, 3, 32, 32): "
        "axis 2 has 33 and 32 elements\n"
    )
    assert [step["layer"] for step in json.loads(done.stdout)["steps"]] == ["down", "up"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("weights.pt",),
            r"inspect: weights.pt: files of pickled modules are never opened, .* torch.export.save.*",
        ),
        (("none.pt2",), r"inspect: the file must exist, got none.pt2"),
        (("torn.pt2",), r"inspect: torn.pt2: must be a file of torch.export.save \(.*\)"),
        (("torn.onnx",), r"inspect: torn.onnx: must be an ONNX model \(.*\)"),
        (("nets",), r"inspect: model must be a .pt2 or .onnx file or package.module:factory, got nets"),
        (("nets:none",), r"inspect: nets:none cannot be imported \(AttributeError: .*\)"),
        (("none:none",), r"inspect: none:none cannot be imported \(ModuleNotFoundError: .*\)"),
        (
            ("nets:broken",),
            r"inspect: nets:broken\(\) must make a model without arguments \(KeyError: 'nothing'\)",
        ),
        (
            ("nets:text", "--input", "1,2,3,4"),
            r"inspect: nets:text must make a torch.nn.Module, got 'no model' \(str\)",
        ),
        (("nets:net",), r"inspect: example must be a tensor, a shape .*, got None \(NoneType\)"),
        (
            ("nets:net", "--input", "1,a"),
            r"inspect: input must be whole numbers such as 1,3,256,256, got '1,a'",
        ),
        (
            ("nets:net", "--input", "1,7:text"),
            r"inspect: the type of an input must be one of float16, .*, got 'text'",
        ),
        (
            ("nets:net", "--input", "x=1,7", "--input", "1,7"),
            r"inspect: every input or none must have a name, and each another",
        ),
        (
            ("nets:told(open('x'))", "--input", "1,7"),
            r"inspect: the arguments of a factory must be numbers, strings, lists and the like, got .*",
        ),
        (
            ("nets:told(1, 2, 3)", "--input", "1,7"),
            r"inspect: nets:told\(1, 2, 3\) must make a model \(TypeError: .*\)",
        ),
        (("nets:net", "--fail-if", "x>1"), r"inspect: fail-if must be one of .*got 'x'"),
        (
            ("torn.pt2", "--weights", "a.safetensors"),
            r"inspect: weights must go with package.module:factory, got torn.pt2, which has its own",
        ),
        (
            ("nets:net", "--weights", "none.safetensors", "--input", "1,3,8,8"),
            r"inspect: the file of weights cannot be read, none.safetensors \(No such file or directory\)",
        ),
        (("nets:net", "--json", "--csv"), r"inspect: json and csv must not both be asked for"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments: Any, message: str, folder: Path) -> None:
    import re

    done = unsample(folder, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(f"unsample {message}\n", done.stderr), done.stderr


def trained() -> dict[str, torch.Tensor]:
    """Weights of `nets:net` without a checkerboard."""
    return {"up.weight": torch.ones(3, 3, 3, 3), "up.bias": torch.zeros(3)}


def test_weights_are_those_that_are_scored(folder: Path) -> None:
    up = nn.ConvTranspose2d(3, 3, 3, stride=2)
    with torch.no_grad():
        up.weight.zero_()[..., :2, :2] = 1  # one tap per phase
    safetensors.torch.save_file(
        {f"up.{name}": value for name, value in up.state_dict().items()}, folder / "a.safetensors"
    )
    call = ("nets:net", "--input", "1,3,32,32", "--fail-if", "checkerboard>0.01")
    assert unsample(folder, *call).returncode == 1
    done = unsample(folder, *call, "--weights", "a.safetensors")
    assert done.returncode == 0, done.stderr


def test_weights_that_are_tied_are_one_in_the_file(tmp_path: Path) -> None:
    one, other = (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(2))
    for model in (one, other):
        model[1].weight = model[0].weight
    safetensors.torch.save_model(one, str(tmp_path / "tied.safetensors"))
    load_weights(other, tmp_path / "tied.safetensors")
    assert other[1].weight is other[0].weight
    assert torch.equal(other[0].weight, one[0].weight)


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("none.safetensors", None, "the file of weights cannot be read, {} (No such file or directory)"),
        ("folder.safetensors", "", "the file of weights cannot be read, {} (Is a directory)"),
        ("torn.safetensors", b"torn", "{}: must be a .safetensors file (Error while deserializing header: "),
        ("model.pt", b"", "weights must be a .safetensors file, got {}: save safetensors.torch.save_model("),
        (
            "a.safetensors",
            {"up.weight": torch.ones(3, 3, 3, 3)},
            "{}: must hold every tensor of the model, it has no up.bias",
        ),
        (
            "a.safetensors",
            trained() | {"a": torch.ones(1), "b": torch.ones(1)},
            "{}: must hold tensors of the model alone, which has no a and 1 more",
        ),
        (
            "a.safetensors",
            trained() | {"up.weight": torch.ones(3, 3, 4, 4)},
            "{}: up.weight must have the shape that it has in the model, (3, 3, 3, 3), got (3, 3, 4, 4)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(name: str, file: Any, message: str, tmp_path: Path) -> None:
    place = tmp_path / name
    if isinstance(file, dict):
        safetensors.torch.save_file(file, place)
    elif file == "":
        place.mkdir()
    elif file is not None:
        place.write_bytes(file)
    model = nn.ModuleDict({"up": nn.ConvTranspose2d(3, 3, 3, stride=2)})
    with pytest.raises(us.ShapeError) as error:
        load_weights(model, place)
    assert str(error.value).startswith("inspect: " + message.format(place))
    assert "\n" not in str(error.value)


def test_weights_want_a_model_with_memory(tmp_path: Path) -> None:
    safetensors.torch.save_file(trained(), tmp_path / "a.safetensors")
    with torch.device("meta"):
        model = nn.ModuleDict({"up": nn.ConvTranspose2d(3, 3, 3, stride=2)})
    with pytest.raises(
        us.ShapeError, match=r"weights must go into a model with memory, up\.weight is on the meta"
    ):
        load_weights(model, tmp_path / "a.safetensors")
    with pytest.raises(TypeError, match=r"inspect: weights must go into a torch.nn.Module, got 3 \(int\)"):
        load_weights(3, tmp_path / "a.safetensors")


@pytest.mark.promise("93", "F17")
def test_a_pickle_is_never_opened(folder: Path) -> None:
    assert unsample(folder, "weights.pt").returncode == 2
    assert not (folder / "touch").exists()


def test_the_table_of_the_readme_is_what_the_command_prints() -> None:
    examples = Path(__file__).parents[2] / "examples"
    (block,) = [b for b in pages.fences(pages.README.read_text(), "console") if "unsample inspect" in b]
    line, _, table = block.partition("\n")
    words = line.split("unsample inspect ")[1].split()
    done = unsample(examples, *words, COLUMNS="100", NO_COLOR="1")
    assert (done.returncode, done.stderr) == (0, "")
    printed = [each.rstrip() for each in done.stdout.splitlines()]
    assert printed == table.splitlines()


class Opened:
    """What a malicious file holds: an object that is made by running code."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("opened",)


@pytest.mark.promise("93", "F17")
@pytest.mark.parametrize(
    "place", ["sample_inputs/model.pt", "weights/weight_0", "constants/opaque_obj_0", "twice"]
)
def test_nothing_in_a_pt2_is_unpickled(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of torch.export.save in which one tensor was replaced by an object that runs code."""
    monkeypatch.chdir(tmp_path)
    torch.export.save(torch.export.export(nn.Conv2d(1, 1, 3), (torch.zeros(1, 1, 8, 8),)), "good.pt2")
    assert us.inspect("good.pt2", sizes=False).failure is None
    bad = io.BytesIO()
    torch.save(Opened(), bad)
    with zipfile.ZipFile("good.pt2") as good, zipfile.ZipFile("model.pt2", "w") as new:
        for name in good.namelist():
            content = good.read(name)
            if name.endswith(place):
                content = bad.getvalue()
            if name.endswith("_weights_config.json") and place.startswith("weights"):
                config = json.loads(content)
                for each in config["config"].values():
                    each["use_pickle"] = True
                content = json.dumps(config).encode()
            if name.endswith("_constants_config.json") and place.startswith("constants"):
                entry = {
                    "path_name": "opaque_obj_0",
                    "is_param": False,
                    "use_pickle": True,
                    "tensor_meta": None,
                }
                content = json.dumps({"config": {"x": entry}}).encode()
            new.writestr(name, content)
        if place.startswith("constants"):
            new.writestr(f"{name.partition('/')[0]}/data/{place}", pickle.dumps(Opened()))
        if place == "twice":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                new.writestr(name, b"")
    if place.startswith("sample_inputs"):  # never looked at
        assert us.inspect("model.pt2", sizes=False).steps == us.inspect("good.pt2", sizes=False).steps
    else:
        with pytest.raises(us.ShapeError, match=r"^inspect: model.pt2: must (be a file of|hold tensors)"):
            us.inspect("model.pt2")
    assert not Path("opened").exists()


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("Symbol('s26', positive=True, integer=True)", True),
        ("Add(Mul(Integer(2), FloorDiv(Symbol('s0'), Integer(2))), Integer(-1))", True),
        ("2*s0 + 1", True),
        ("__import__('os')", False),
        ("open('file')", False),
        ("Symbol.mro()", False),
        ("S('open(1)')", False),
        ("[x for x in y]", False),
        ("Lambda(x, lambda: 1)", False),
        ("2 +", False),
    ],
)
def test_expressions_of_sizes_are_arithmetic(text: str, good: bool) -> None:
    if good:
        expressions.symbols(text)
    else:
        with pytest.raises(us.ShapeError, match=r"^inspect: an expression of sizes must be arithmetic"):
            expressions.symbols(text)


def test_a_program_of_any_size_is_tried_with_others(tmp_path: Path) -> None:
    model = nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(1, 1, 2, stride=2))
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.export.export(model, (torch.zeros(1, 1, 16, 16),), dynamic_shapes=(sizes,))
    torch.export.save(program, tmp_path / "model.pt2")
    (found,) = us.inspect(tmp_path / "model.pt2").sizes
    assert [n for n in range(4, 10) if found.works(n)] == [4, 5, 6, 7, 8, 9]
    assert 4 in found.whole
    assert 5 not in found.whole


def test_a_program_of_one_size_says_that_it_was_exported_so(tmp_path: Path) -> None:
    model = nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(1, 1, 2, stride=2))
    sizes = {3: torch.export.Dim.DYNAMIC}
    x = torch.zeros(1, 1, 16, 16)
    program = torch.export.export(model, (x,))
    torch.export.save(program, tmp_path / "one.pt2")
    for given in (program, tmp_path / "one.pt2"):
        found = us.inspect(given)
        (both,) = found.sizes
        assert (both.axes, both.sizes, both.whole, both.works(16), both.works(18)) == (
            (2, 3),
            (16,),
            (16,),
            True,
            False,
        )
        assert both.nearest(18) == (16, None)
        assert (
            "height and width: the file is of 16 alone; export it with axes of any size (dynamic_shapes, "
            "dynamic_axes) to ask more" in repr(found)
        )
    program = torch.export.export(model, (x,), dynamic_shapes=(sizes,))
    torch.export.save(program, tmp_path / "rows.pt2")
    for given in (program, tmp_path / "rows.pt2"):
        rows, columns = us.inspect(given, x).sizes
        assert (rows.axes, rows.fixed, rows.rule()) == ((2,), True, "16 alone")
        assert (columns.axes, columns.fixed) == ((3,), False)
        assert [n for n in range(4, 10) if columns.works(n)] == [4, 5, 6, 7, 8, 9]


# -- ONNX -------------------------------------------------------------------------------------------------


class Net(nn.Module):
    """Every kind of step that both exporters know."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.shuffled = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Conv2d(8, 16, 1)
        self.up = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.conv(x)
        b = F.avg_pool2d(F.relu(a), 3, stride=2, padding=1)
        c = F.interpolate(b, scale_factor=2.0, mode="bilinear", align_corners=True)
        d = F.interpolate(F.max_pool2d(a, 2), scale_factor=2.0, mode="nearest")
        e = self.up(F.pad(b, (1, 0, 1, 0)))[:, :, 1:-1, 1:-1]
        return F.pixel_shuffle(self.shuffled(torch.cat([a + c + d, e], 1)), 2)


@pytest.fixture(scope="module", params=[False, True], ids=["torchscript", "dynamo"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[nn.Module, Path]:
    torch.manual_seed(0)
    model, path = Net().eval(), tmp_path_factory.mktemp("fixed" if request.param else "any") / "model.onnx"
    x = torch.zeros(1, 1, 32, 32)
    axes: Any = {"dynamic_axes": {"x": {2: "h", 3: "w"}}}
    if request.param:
        axes = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=request.param, input_names=["x"], verbose=False, **axes)
    return model, path


RESIZES: dict[str, tuple[tuple[int, ...], list[tuple[tuple[int, ...], dict[str, Any]]]]] = {
    "one axis": (
        (30,),
        [
            ((45,), {"method": "nearest"}),
            ((90,), {"method": "cubic"}),
            ((60,), {"method": "linear", "antialias": True}),
            ((72,), {"method": "area"}),
        ],
    ),
    "two axes": (
        (30, 20),
        [
            ((45, 30), {"method": "nearest", "convention": "legacy"}),
            ((90, 60), {"method": "linear", "convention": "align_corners"}),
            ((60, 48), {"method": "catmull_rom"}),
        ],
    ),
    "three axes": (
        (12, 10, 8),
        [((18, 20, 12), {"method": "linear"}), ((15, 25, 16), {"method": "nearest"})],
    ),
}


@pytest.mark.parametrize("name", RESIZES)
def test_resizes_that_are_exported_as_matrices_and_gathers_are_resizes(name: str, tmp_path: Path) -> None:
    size, calls = RESIZES[name]

    class Resizes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for target, words in calls:
                x = ut.resize(x, target, **words)
            return x

    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Resizes(), (torch.zeros(1, 1, *size),), path, dynamo=True, verbose=False)
    told = us.inspect(Resizes(), (1, 1, *size), sizes=False).steps
    found = us.inspect(path, sizes=False)
    assert found.merges == ()
    assert not any(step.unplaced for step in found.steps)
    last = found.steps[-1]
    assert (last.axes, last.output_shape, last.receptive_field, last.scale, last.offset) == (
        *(told[-1].axes, told[-1].output_shape, told[-1].receptive_field, told[-1].scale, told[-1].offset),
    )
    if len(size) < 3:  # three axes are resized one after the other, under other shapes
        assert [(step.direction, settings_text(step)) for step in found.steps] == [
            (step.direction, settings_text(step)) for step in told
        ]
    assert all(step.what.startswith("Resize (") for step in found.steps)


EVERY = [
    (method, convention, antialias)
    for method in ("linear", "cubic", "catmull_rom", "area")
    for convention in ("half_pixel", "align_corners", "asymmetric")
    for antialias in (False, True)
    if (method, antialias) != ("area", True) and (convention == "half_pixel" or not antialias)
]


@pytest.mark.parametrize("words", EVERY)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_matrix_is_the_resize_of_its_weights_alone(words: Any, dtype: Any) -> None:
    for n, m in ((4, 8), (10, 15), (9, 4), (7, 50)):
        if words[2] and m > n:
            continue
        dense = dense_of(Resample(n, m, *words, exclude_outside=words[2]))
        found = resample_of(dense.astype(dtype))
        assert found is not None
        np.testing.assert_allclose(dense_of(found), dense, rtol=0, atol=8 * np.finfo(dtype).eps)
        assert resample_of(dense.T.astype(dtype)) is None
        assert resample_of(np.roll(dense, 1, 0).astype(dtype)) is None


@pytest.mark.parametrize(("bound", "steps"), [(np.inf, 0), (1.0, 1)])
def test_a_mask_is_left_out_where_it_is_alike_for_all_finite_inputs(bound: float, steps: int) -> None:
    nodes = [
        helper.make_node("Less", ["x", "bound"], ["less"]),
        helper.make_node("Cast", ["less"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("MaxPool", ["mask"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    held = helper.make_tensor("bound", TensorProto.FLOAT, [], [bound])
    found = us.inspect(small_graph(nodes, [1, 1, 8, 8], held), sizes=False)
    assert found.failure is None
    assert len(found.steps) == steps


def test_an_onnx_file_says_the_same_as_its_model(exported: tuple[nn.Module, Path]) -> None:
    model, path = exported
    ours, theirs = us.inspect(model, (1, 1, 32, 32)), us.inspect(path, (1, 1, 32, 32))
    assert len(ours.steps) == len(theirs.steps) == 7
    for a, b in zip(ours.steps, theirs.steps, strict=True):
        for name in (
            "direction",
            "output_shape",
            "multiply_adds",
            "parameters",
            "scale",
            "offset",
            "undoes",
            "shift",
        ):
            assert getattr(a, name) == getattr(b, name), (name, a, b)
        assert a.receptive_field == b.receptive_field
        assert (a.checkerboard is None) == (b.checkerboard is None)
        if a.checkerboard is not None and b.checkerboard is not None:
            assert a.checkerboard.value == pytest.approx(b.checkerboard.value, rel=1e-6)
    assert [m.apart for m in ours.merges] == [m.apart for m in theirs.merges]
    if not path.parent.name.startswith("fixed"):
        assert ours.sizes[0].sizes == theirs.sizes[0].sizes
        assert ours.sizes[0].rule() == "n mod 4 = 0 or 3 from 3 on (3, 4, 7, 8, ...)"
    else:
        assert theirs.sizes[0].rule() == "32 alone"
        assert "the file is of 32 alone; export it with axes of any size" in repr(theirs)


def test_an_onnx_file_that_stops_names_the_node(exported: tuple[nn.Module, Path]) -> None:
    model, path = exported
    if path.parent.name.startswith("fixed"):
        with pytest.raises(us.ShapeError, match="the model has 32 elements fixed"):
            us.inspect(path, (1, 1, 34, 32))
        return
    ours, theirs = (
        us.inspect(model, (1, 1, 34, 32), sizes=False),
        us.inspect(path, (1, 1, 34, 32), sizes=False),
    )
    assert ours.failure is not None
    assert theirs.failure is not None
    assert theirs.failure.merge
    assert theirs.failure.sentence.partition(": ")[2] == ours.failure.sentence.partition(": ")[2]


def small_graph(nodes: list[Any], shape: list[Any], *weights: Any) -> Any:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_onnx_same_padding_and_output_shape_are_those_of_the_runtime() -> None:
    import onnxruntime

    weight = onnx.numpy_helper.from_array(np.ones((1, 1, 4, 4), np.float32), "w")
    for word in ("SAME_UPPER", "SAME_LOWER"):
        node = helper.make_node("Conv", ["x", "w"], ["y"], name="/down/Conv", strides=[2, 2], auto_pad=word)
        model = small_graph([node], [1, 1, 9, 9], weight)
        (step,) = us.inspect(model, sizes=False).steps
        session = onnxruntime.InferenceSession(model.SerializeToString())
        ramp = np.broadcast_to(np.arange(9, dtype=np.float32)[:, None], (9, 9))[None, None]
        (out,) = session.run(None, {"x": np.ascontiguousarray(ramp)})
        # The mean over 4 rows of a ramp, away from the border, is the position of their centre.
        assert float(step.offset[0] + 2 * step.scale[0]) == out[0, 0, 2, 2] / 16


def test_an_operator_that_onnx_does_not_know_is_where_it_stops() -> None:
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Strange", ["p"], ["y"], name="strange", domain="elsewhere"),
    ]
    found = us.inspect(small_graph(nodes, [1, 1, 8, 8]), sizes=False)
    assert len(found.steps) == 1
    assert found.failure is not None
    assert found.failure.layer == "strange"
    assert found.failure.sentence == "Strange: its operator set 'elsewhere' is not known"


def test_an_onnx_input_of_any_size_needs_an_example_that_fits() -> None:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    model = small_graph([node], [1, 1, "h", 8])
    with pytest.raises(
        us.ShapeError,
        match=r"^inspect: the example must be given, because the input 'x' has axes of any size$",
    ):
        us.inspect(model)
    with pytest.raises(
        us.ShapeError,
        match=r"^inspect: the model has 8 elements fixed on an axis of the input 'x' where .* 9$",
    ):
        us.inspect(model, (1, 1, 9, 9))
    rows, columns = us.inspect(model, (1, 1, 9, 8)).sizes
    assert rows.rule() == "every size from 2"
    assert columns.rule() == "8 alone"


# -- MONAI ------------------------------------------------------------------------------------------------


def test_monais_unet_is_aligned_and_runs_with_15_and_0_modulo_16() -> None:
    model = UNet(2, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    found = us.inspect(model, (1, 1, 96, 96))
    ups = [step for step in found.steps if step.direction == "up"]
    assert [step.undoes for step in ups] == [(8,), (6,), (4,), (2,)]
    assert not found.misaligned
    assert all(step.checkerboard is not None and not step.checkerboard.even for step in ups)
    (sizes,) = found.sizes
    for n in (16, 31, 32, 33, 46, 47, 48, 63, 64, 97):
        try:
            with torch.no_grad():
                model(torch.zeros(1, 1, n, n))
            runs = True
        except (RuntimeError, ValueError):
            runs = False
        assert sizes.works(n) == runs, n
    assert sizes.nearest(97) == (96, 111)


def test_monais_unet_stops_at_an_odd_size_and_the_repair_works() -> None:
    model = UNet(2, 1, 2, (4, 8, 16, 32), (2, 2, 2))
    found = us.inspect(model, (1, 1, 41, 41))
    assert found.failure is not None
    assert found.failure.merge
    assert found.repairs[-1] == "the input: pad it to 47x47 or crop it to 40x40"
    assert model(torch.zeros(1, 1, 47, 47)).shape[2:] == (48, 48)
    assert model(torch.zeros(1, 1, 40, 40)).shape[2:] == (40, 40)


@pytest.mark.parametrize(
    ("mode", "what", "apart", "score"),
    [
        ("deconv", "ConvTranspose2d", "0", 0.5),
        # align_corners stretches; pad and pool behind MONAI's pixel shuffle move it by half a pixel.
        ("nontrainable", "Upsample", "1/2", 0.0),
        ("pixelshuffle", "pixel_shuffle (reshape)", "1/2", 0.0),
    ],
)
def test_monais_basic_unet_in_each_of_its_modes(mode: str, what: str, apart: str, score: float) -> None:
    model = BasicUNet(2, 1, 2, features=(8, 8, 16, 16, 32, 8), upsample=mode)
    found = us.inspect(model, (1, 1, 64, 64))
    ups = [step for step in found.steps if step.direction == "up"]
    assert [(step.what, step.undoes) for step in ups] == [(what, (n,)) for n in (4, 3, 2, 1)]
    assert {str(max(map(abs, merge.apart))) for merge in found.merges} == {apart}
    if mode == "pixelshuffle":  # it starts the weight as ICNR, and leaves the bias random
        assert 1e-6 < found.checkerboard < 0.01
    else:
        assert (found.checkerboard > score) if score else (found.checkerboard == 0)
    (sizes,) = found.sizes
    assert sizes.whole == sizes.sizes
    assert sizes.works(65)
    assert model(torch.zeros(1, 1, 65, 65)).shape[2:] == (65, 65)
