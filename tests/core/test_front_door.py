"""One front door: the same functions, whichever library an array is of."""

import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch

import program
import unsample as us
import unsample.jax as uj
import unsample.torch as ut
from backends import TORCH, by_definition
from checklist import OPERATION_NAMES
from samples import SAMPLES, Sample
from unsample.arrays import dispatch
from unsample.geometry import Window
from unsample.pairs import OPERATIONS
from unsample.torch import compute, direct

FEW = list({sample.pair.name: sample for sample in SAMPLES}.values())  # one of each pair
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)
ways = pytest.mark.parametrize("way", ["down", "up"])


def call_of(sample: Sample, way: str) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """A function of the pair with its arguments, arrays as tensors."""
    if way == "down":
        function, x, (args, kwargs) = sample.pair.down, sample.x(), (sample.args, sample.kwargs)
    else:
        function, x, (args, kwargs) = sample.pair.up, sample.y(), sample.up
    return function, [torch.tensor(x), *TORCH.arguments(args)], kwargs


@pytest.mark.parametrize("name", OPERATION_NAMES)
def test_one_signature_and_one_docstring(name: str) -> None:
    function = getattr(us, name)
    assert getattr(uj, name).__doc__ == getattr(ut, name).__doc__ == function.__doc__
    ours, theirs = (inspect.signature(getattr(each, name)).parameters for each in (us, ut))
    assert list(ours) == list(theirs)
    assert [(p.kind, p.default) for p in ours.values()] == [(p.kind, p.default) for p in theirs.values()]


@pytest.mark.parametrize("name", OPERATION_NAMES)
def test_the_function_of_a_library_is_that_of_unsample(name: str) -> None:
    assert inspect.unwrap(getattr(ut, name)) is inspect.unwrap(getattr(uj, name)) is getattr(us, name)


@pytest.mark.parametrize("name", OPERATION_NAMES)
def test_every_argument_reaches_the_door_under_its_own_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: dict[str, Any] = {}

    def call(name: str, tensors: Any, words: Any, out: Any, *args: Any, **options: Any) -> None:
        operation = OPERATIONS[name]
        for parameter, value in zip(operation.arrays, tensors, strict=True):
            came[parameter] = value
        planned = inspect.signature(operation.plan).bind(*tensors, *args, **options)
        planned.apply_defaults()
        came.update(planned.arguments)
        for parameter, value in zip([*operation.words, *operation.plan_words], words, strict=True):
            assert came.setdefault(parameter, value) is value
        came["out"] = out

    def pool(
        name: str, x: Any, words: Any, return_switches: Any, out: Any, *args: Any, **options: Any
    ) -> None:
        call(name, (x,), words, out, *args, **options)
        came["return_switches"] = return_switches

    monkeypatch.setattr(dispatch, "DOORS", {"call": call, "pool": pool})
    function = getattr(us, name)
    parameters = inspect.signature(function).parameters
    given = {each: torch.zeros(1) if i == 0 else object() for i, each in enumerate(parameters)}
    if "groups" in given:
        given["groups"] = 977  # which must be an int
    if "convention" in given:
        given["convention"] = "any word"  # numbers in its place are told beside the sizes
    if "switches" in given:
        given["switches"] = us.Switches(torch.zeros(1, dtype=torch.uint8), (Window(2, 1, 2, 2),))
    function(**given)
    for parameter in parameters:
        if parameter == "switches":
            assert came["switches"] is given["switches"].taps
            assert came["windows"] is given["switches"].windows
        else:
            assert came[parameter] is given[parameter]


@pytest.mark.parametrize("sample", FEW, ids=str)
@ways
def test_a_compiled_call_is_one_graph(sample: Sample, way: str) -> None:
    torch._dynamo.reset()
    function, arguments, kwargs = call_of(sample, way)
    run = lambda *args: function(*args, **kwargs)  # noqa: E731
    compiled = torch.compile(run, fullgraph=True, backend="eager")
    assert torch.equal(compiled(*arguments), run(*arguments))


def test_gradients_of_every_order_map_and_export() -> None:
    x = torch.randn(2, 1, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradgradcheck(lambda x, w: us.conv_transpose(x, w, stride=2), (x, w))
    mapped = torch.vmap(lambda each: us.nearest(each, (2,)))(x.detach())
    assert torch.equal(mapped, us.nearest(x.detach(), (2,)))

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values, switches = us.max_pool(x, 2)
            return us.max_unpool(values, switches)

    size = torch.export.Dim("size", min=2, max=64)
    program = torch.export.export(Model(), (torch.zeros(1, 1, 4, 4),), dynamic_shapes=({2: 2 * size},))
    large = torch.randn(1, 1, 10, 4)
    assert torch.equal(program.module()(large), Model()(large))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert us.conv(x.detach().float(), w.detach().float().mT.mT[:, :1]).dtype == torch.bfloat16


def test_a_missing_implementation_of_jax_is_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    x = jax.numpy.arange(6.0)
    expected = us.window_sum(x, (3,))
    monkeypatch.setitem(dispatch.IMPLEMENTATIONS, "jax", {})
    assert np.array_equal(us.window_sum(x, (3,)), expected)


# -- another device ----------------------------------------------------------------------------------------


@pytest.fixture
def asked_device(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A second device, made of one entry: it keeps what it is asked for and computes on the CPU's memory."""
    asked: list[str] = []

    def on_fake(call: Any, empty: Any, tensors: Any, copies: bool, sums: bool) -> Any:
        asked.append("fake")
        return call(*tensors, None)

    monkeypatch.setattr(compute, "COMPUTES", {**compute.COMPUTES, "fake": on_fake})
    monkeypatch.setattr(compute, "device_of", lambda x: "fake")
    monkeypatch.setattr(direct, "COMPILED", False)  # the short way is the CPU's own
    return asked


@every_sample
@ways
def test_a_second_device_needs_one_entry(sample: Sample, way: str, asked_device: list[str]) -> None:
    function, arguments, kwargs = call_of(sample, way)
    expected = by_definition(function)(*arguments, **kwargs)
    recorded = [each.requires_grad_() if each is arguments[0] else each for each in arguments]
    found = function(*recorded, **kwargs)
    assert asked_device
    assert torch.equal(found, expected)
    found.sum().backward()
    assert len(asked_device) > 1
    assert arguments[0].grad is not None


# -- what a call costs ---------------------------------------------------------------------------------------


def frames(call: Callable[[], Any]) -> tuple[int, int, int]:
    """Calls of functions of the package: how many, in how many files, how deep."""
    number, deepest, files = 0, 0, set()

    def ours(frame: Any) -> bool:
        return frame.f_code.co_filename.startswith(SOURCE) and not frame.f_code.co_name.startswith("<")

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal number, deepest
        if event == "call" and ours(frame):
            number += 1
            files.add(frame.f_code.co_filename)
            deepest = max(deepest, sum(ours(each) for each, _ in traceback.walk_stack(frame)))

    call()
    call()  # nothing is made or looked up for the first time
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return number, len(files), deepest


SOURCE = str(Path(us.__file__).parent)


@pytest.mark.skipif(not us.show_config().compiled, reason="counts what lies between a call and its kernel")
def test_calls_take_few_steps_to_their_kernel() -> None:
    layer, x = ut.ConvTranspose2d(1, 1, 2, stride=2), torch.zeros(1, 1, 4, 4)
    with torch.no_grad():
        number, files, deepest = frames(lambda: us.nearest(x, 2))
        assert number <= 15
        assert files <= 5
        assert deepest <= 5
        assert frames(lambda: layer(x))[0] <= 15
    number, files, deepest = frames(lambda: layer(x))
    assert number <= 40
    assert files <= 6
    assert deepest <= 8


@pytest.mark.parametrize("how", ["compile", "export"])
def test_the_first_call_of_a_process_may_be_a_compiled_one(how: str) -> None:
    """Torch cannot trace the import that it leads to."""
    program.ends_well(
        "-W",
        "ignore",
        "-c",
        "import sys, torch, unsample as us\n"
        "assert 'unsample.torch' not in sys.modules\n"
        "class Network(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return us.resize(us.max_unpool(*us.max_pool(us.nearest(x, 2), 2)), factor=1.5)\n"
        "x, network = torch.arange(32.0).reshape(1, 2, 4, 4), Network()\n"
        f"if {how!r} == 'compile': traced = torch.compile(network, fullgraph=True, backend='eager')\n"
        "else: traced = torch.export.export(network, (x,), strict=True).module()\n"
        "assert torch.equal(traced(x), network(x))\n",
    )
