"""`interop.convert_resize` against the libraries themselves, and what it refuses."""

import itertools
import re
import warnings
from typing import Any

import numpy as np
import pytest

import unsample as us
from unsample import interop
from unsample.interop.resize_arguments import ONNX_CONVENTIONS

onnx = pytest.importorskip("onnx")
jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

# The node tests of ONNX's Resize that cannot be said, each with the reason.
REFUSED = {
    "test_resize_tf_crop_and_resize_extrapolation_value": "convert_resize: unsample has no "
    "extrapolation_value, and so needs every roi inside the input, got (0.4, 1.2)"
}


def node_tests() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases("Resize") if case.name.startswith("test_resize")]


def test_onnx_node_tests() -> None:
    passed, cases = [], node_tests()
    for case in cases:
        node, inputs = case.model.graph.node[0], case.model.graph.input
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        given = {name: each.decode() if isinstance(each, bytes) else each for name, each in given.items()}
        names = dict(zip(node.input, ("x", "roi", "scales", "sizes"), strict=False))
        told = {names[i.name]: values for i, values in zip(inputs, case.data_sets[0][0], strict=True)}
        x, (expected,) = told.pop("x"), case.data_sets[0][1]
        call = {"source": "onnx", "target": "unsample", "input_size": x.shape}
        if case.name in REFUSED:
            with pytest.raises(us.ShapeError) as caught:
                interop.convert_resize({**given, **told}, **call)
            assert str(caught.value) == REFUSED[case.name]
            continue
        found = us.resize(x, **interop.convert_resize({**given, **told}, **call))
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(x).max(), err_msg=case.name)
        passed.append(case.name)
    assert len(passed) == 38
    assert len(cases) == 39


X = np.random.default_rng(3).random((1, 2, 7, 9)).astype(np.float32)
SIZES = ((5, 13), (3, 4), (14, 9), (7, 5))


def resized_by_onnx(x: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    from onnx.reference import ReferenceEvaluator

    types = {"scales": np.float32, "sizes": np.int64, "roi": np.float32}
    told = {name: np.array(given[name], types[name]) for name in types if name in given}
    attributes = {name: value for name, value in given.items() if name not in types}
    inputs = ["x", *(name if name in told else "" for name in ("roi", "scales", "sizes"))]
    node = onnx.helper.make_node("Resize", inputs, ["y"], **attributes)
    info = onnx.helper.make_tensor_value_info
    kinds = {"scales": onnx.TensorProto.FLOAT, "sizes": onnx.TensorProto.INT64, "roi": onnx.TensorProto.FLOAT}
    graph = onnx.helper.make_graph(
        [node],
        "resize",
        [info("x", onnx.TensorProto.FLOAT, x.shape), *(info(n, kinds[n], v.shape) for n, v in told.items())],
        [info("y", onnx.TensorProto.FLOAT, None)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ReferenceEvaluator(model).run(None, {"x": x, **told})[0]


ONNX_CALLS = [
    {"coordinate_transformation_mode": word, **kind, **ends}
    for word in ONNX_CONVENTIONS
    if word != "tf_crop_and_resize"
    for kind in [
        *({"mode": "nearest", "nearest_mode": f"{each}"} for each in ("floor", "ceil", "round_prefer_floor")),
        {"mode": "linear"},
        {"mode": "cubic", "exclude_outside": 1},
        {"mode": "cubic", "cubic_coeff_a": -0.5},
        *([{"mode": "cubic", "antialias": 1}] if word.startswith("half_pixel") else []),
        *([{"mode": "linear", "antialias": 1, "exclude_outside": 1}] if word == "half_pixel" else []),
    ]
    for ends in ({"sizes": (5, 13)}, {"scales": (0.61, 1.71)}, {"scales": (2.0, 0.25)})
]


CORNERS = {"coordinate_transformation_mode": "align_corners"}


def named(given: Any) -> str:
    return "-".join(map(str, given.values()))


@pytest.mark.parametrize("given", ONNX_CALLS, ids=named)
def test_onnx_to_resize_and_back(given: dict[str, Any]) -> None:
    given = {"axes": (2, 3), **given}
    expected = resized_by_onnx(X, given)
    here = interop.convert_resize(given, source="onnx", target="unsample", input_size=X.shape)
    np.testing.assert_allclose(us.resize(X, **here), expected, rtol=0, atol=3e-6)
    back = interop.convert_resize(here, source="unsample", target="onnx", input_size=(7, 9))
    np.testing.assert_allclose(resized_by_onnx(X, back), expected, rtol=0, atol=3e-6)


TORCH_CALLS = [
    {**mode, **ends}
    for mode in [
        *({"mode": each} for each in ("nearest", "nearest-exact", "bilinear", "bicubic", "area")),
        *({"mode": each, "align_corners": True} for each in ("bilinear", "bicubic")),
        *({"mode": each, "antialias": True} for each in ("bilinear", "bicubic")),
    ]
    for ends in [
        *({"size": size} for size in SIZES[:2]),
        {"scale_factor": (0.61, 1.71)},
        {"scale_factor": 2.0},
        {"scale_factor": 0.3, "recompute_scale_factor": True},
    ]
]


@pytest.mark.parametrize("given", TORCH_CALLS, ids=named)
def test_torch_to_resize_and_back(given: dict[str, Any]) -> None:
    call = torch.nn.functional.interpolate
    expected = call(torch.tensor(X), **given).numpy()
    here = interop.convert_resize(given, source="torch", target="unsample", input_size=(7, 9))
    np.testing.assert_allclose(us.resize(X, **here), expected, rtol=0, atol=2e-6)
    back = interop.convert_resize(here, source="unsample", target="torch", input_size=(7, 9))
    np.testing.assert_allclose(call(torch.tensor(X), **back).numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5"])
def test_jax_to_resize_and_back(method: str, antialias: bool) -> None:
    for size in SIZES:
        given = {"shape": size, "method": method, "antialias": antialias}
        expected = np.asarray(jax.image.resize(X[0, 0], **given))
        here = interop.convert_resize(given, source="jax", target="unsample", input_size=(7, 9))
        np.testing.assert_allclose(us.resize(X[0, 0], **here), expected, rtol=0, atol=5e-6)
        back = interop.convert_resize(here, source="unsample", target="jax", input_size=(7, 9))
        np.testing.assert_allclose(np.asarray(jax.image.resize(X[0, 0], **back)), expected, rtol=0, atol=5e-6)
        if method != "cubic-pytorch" or antialias:
            keras = interop.convert_resize(given, source="jax", target="keras", input_size=(7, 9))
            assert interop.convert_resize(keras, source="keras", target="unsample", input_size=(7, 9)) == here


@pytest.mark.parametrize("resample", ["NEAREST", "BILINEAR", "BICUBIC", "LANCZOS", "BOX"])
def test_pillow_to_resize_and_back(resample: str) -> None:
    image, filters = Image.fromarray(X[0, 0]), Image.Resampling
    boxes = [None] if resample in ("NEAREST", "BOX") else [None, (1.5, 2, 8, 6.25)]
    for size, box in itertools.product(((14, 9), (7, 18)) if resample == "BOX" else SIZES, boxes):
        given = {"size": size[::-1], "resample": filters[resample], **({"box": box} if box else {})}
        expected = np.asarray(image.resize(given["size"], given["resample"], box))
        here = interop.convert_resize(given, source="pillow", target="unsample", input_size=(7, 9))
        np.testing.assert_allclose(us.resize(X[0, 0], **here), expected, rtol=0, atol=2e-6)
        if box is None:
            back = interop.convert_resize(here, source="unsample", target="pillow", input_size=(7, 9))
            assert back == {**given, "resample": resample}


@pytest.mark.parametrize(
    ("source", "target", "given", "message"),
    [
        ("unsample", "torch", {"output_size": 4, "method": "lanczos5"}, "torch has modes ..."),
        (
            "unsample",
            "torch",
            {"output_size": (4, 4), "method": "cubic", "exclude_outside": True},
            "torch leaves out what lies beyond the border with antialias alone, got method 'cubic'",
        ),
        (
            "unsample",
            "torch",
            {"output_size": (4, 4), "convention": [(0.5, 1)] * 2},
            "torch looks where sizes or a factor say, got method 'linear', convention 1/2 + 1 o and "
            "1/2 + 1 o, antialias False, 2 axes",
        ),
        (
            "torch",
            "jax",
            {"size": (4, 4), "mode": "nearest"},
            "jax has methods 'nearest', ... or 'lanczos5', got method 'floor'",
        ),
        (
            "torch",
            "keras",
            {"size": (4, 4), "mode": "bilinear", "align_corners": True},
            "keras looks at pixel centres between the two sizes (half_pixel), got method 'linear', "
            "convention align_corners, antialias False, 2 axes",
        ),
        (
            "torch",
            "tf",
            {"size": (4, 4), "mode": "area"},
            "tf and unsample average alike where one size is a multiple of the other alone, "
            "got (7, 9) to (4, 4)",
        ),
        (
            "onnx",
            "unsample",
            {"sizes": (4, 4), "mode": "cubic", "cubic_coeff_a": -0.6},
            "unsample has cubics with the coefficients (-0.75, -0.5), got -0.6",
        ),
        (
            "onnx",
            "unsample",
            {
                "sizes": (4, 4),
                "mode": "linear",
                "antialias": 1,
                "coordinate_transformation_mode": "align_corners",
            },
            "unsample stretches a kernel by the step between its targets alone, got mode 'align_corners'",
        ),
        (
            "jax",
            "onnx",
            {"shape": (4, 4), "method": "lanczos3"},
            "onnx has methods ..., got method 'lanczos3'",
        ),
        ("onnx", "unsample", {"scales": (0.0, 1)}, "a scale must be positive and finite, got 0.0"),
        ("tf", "torch", {}, "size must be given, as tf has no default for it"),
        ("torch", "onnx", {"mode": "nearest"}, "exactly one of size and scale_factor must be given"),
    ],
)
def test_what_cannot_be_said(source: Any, target: Any, given: dict[str, Any], message: str) -> None:
    pattern = ".*".join(map(re.escape, f"convert_resize: {message}".split("...")))
    with pytest.raises(us.ShapeError, match=rf"\A{pattern}\Z"):
        interop.convert_resize(given, source=source, target=target, input_size=(7, 9))


@pytest.mark.parametrize("make", [np.asarray, torch.tensor, jax.numpy.asarray])
def test_positions_move_an_axis_that_keeps_its_size(make: Any) -> None:
    x, moved = [0.0, 8.0, 16.0, 24.0], {"convention": [(0.5, 0.75)]}
    assert us.resize(make(x), (4,), **moved).tolist() == [4.0, 10.0, 16.0, 22.0]
    assert us.resize_transpose(make(x), (4,), **moved).tolist() == [0.0, 6.0, 24.0, 18.0]


def test_unknown_arguments_are_named() -> None:
    with pytest.raises(
        TypeError, match=r"convert_resize: jax takes 'shape', 'method' or 'antialias', got 'size'"
    ):
        interop.convert_resize({"size": 3}, source="jax", target="torch", input_size=(7, 9))
