"""`unsample.torch`: every operator equals its definition, and torch's machinery runs through it."""

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import error_samples
import unsample as us
import unsample.torch as ut
from backends import TORCH, by_definition
from checklist import OPERATION_NAMES
from error_samples import ERROR_SAMPLES, ErrorSample
from samples import SAMPLES, Sample
from unsample.pairs import OPERATIONS, conv_of_weight, weight_grad_of_y
from unsample.torch import compute, direct, operators
from unsample.torch.compute import plan_of

Function = Callable[..., Any]

FUNCTIONS = [name for name in ut.__all__ if name in us.__all__ and inspect.isfunction(getattr(us, name))]

# One sample for each shape of a call; torch.compile and opcheck take a second or so each.
FEW = [
    *(
        "nearest-2d",
        "nearest-4d",
        "bed_of_nails-2d-per-axis",
        "bed_of_nails-cut-off",
        "max_unpool-2d-overlap",
    ),
    *("max_unpool-adaptive", "max_unpool-two-bytes", "conv_transpose-groups", "conv_transpose-same"),
    *("conv_transpose-unbatched", "conv_transpose-reflect-2d", "conv_weight_grad-2d-stride"),
    *("pixel_shuffle-2d-dcr", "pixel_shuffle-3d", "resize-linear-half_pixel-mixed"),
    *("resize-nearest-legacy-mixed", "resize-cubic-half_pixel-antialias-mixed"),
]
BY_NAME = {str(sample): sample for sample in SAMPLES}

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)
few_samples = pytest.mark.parametrize("sample", [BY_NAME[name] for name in FEW], ids=str)


pytestmark = pytest.mark.usefixtures("one_thread")


def of_torch(function: Function) -> Function:
    """The function of `unsample.torch` that a direction of a pair is."""
    if function is conv_of_weight:
        return lambda w, x, kernel_size=None, **kwargs: ut.conv(x, w, **kwargs)
    if function is weight_grad_of_y:
        return lambda y, x, kernel_size, **kwargs: ut.conv_weight_grad(x, y, kernel_size, **kwargs)
    found: Function = getattr(ut, function.__name__)
    return found


def directions(sample: Sample) -> Iterator[tuple[Function, Function, list[torch.Tensor], list[Any]]]:
    """Down and up: (ours, definition, the tensors that are differentiated, tensors held)."""
    for function, values, (args, kwargs) in (
        (sample.pair.down, sample.x(), (sample.args, sample.kwargs)),
        (sample.pair.up, sample.y(), sample.up),
    ):
        rest = list(TORCH.arguments(args))
        tensors = [torch.tensor(values)]
        if rest and isinstance(rest[0], torch.Tensor):
            tensors.append(rest.pop(0))

        def call(run: Function, rest: list[Any] = rest, kwargs: dict[str, Any] = kwargs) -> Function:
            return lambda *inputs: run(*inputs, *rest, **kwargs)

        held = [each.taps for each in rest if isinstance(each, us.Switches)]
        yield call(of_torch(function)), call(by_definition(function)), tensors, held


def wanting(tensors: list[torch.Tensor], scale: float = 1.0) -> list[torch.Tensor]:
    return [(each * scale).requires_grad_() for each in tensors]


# -- values ---------------------------------------------------------------------------------------------


def test_every_function_of_unsample_is_here() -> None:
    assert set(FUNCTIONS) == set(OPERATION_NAMES)


def check_same(found: torch.Tensor, expected: torch.Tensor, scale: torch.Tensor, sums: bool) -> None:
    """Bit for bit where elements are moved; within n * eps * sum |w x| where compiled kernels add them."""
    assert found.dtype == expected.dtype
    if not (sums and compute.COMPILED):
        assert torch.equal(found, expected)
        return
    eps = torch.finfo(found.dtype).eps
    # Sums are taken in float32 or float64; narrower results are rounded once more.
    terms = 64 if found.dtype in (torch.float32, torch.float64) else 1
    assert ((found - expected).abs() <= terms * eps * scale.abs().max()).all()


SUMS = ("conv_transpose", "conv_weight_grad", "resize")


@every_sample
def test_same_as_the_definition_straight_and_recorded(sample: Sample) -> None:
    sums = sample.pair.name in SUMS
    for ours, definition, tensors, _ in directions(sample):
        expected = definition(*tensors)
        scale = definition(*(each.abs() for each in tensors))
        check_same(ours(*tensors), expected, scale, sums)
        recorded = ours(*wanting(tensors))
        assert recorded.requires_grad
        check_same(recorded, expected, scale, sums)


@every_sample
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(sample: Sample, dtype: torch.dtype) -> None:
    for ours, definition, tensors, _ in directions(sample):
        small = [(each / 7).to(dtype) for each in tensors]
        scale = definition(*(each.abs() for each in small))
        check_same(ours(*small), definition(*small), scale, sample.pair.name in SUMS)


@few_samples
def test_views_of_the_cpu_kernels_give_the_same(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of compiled kernels: NumPy sees the tensors' own memory."""
    seen: list[tuple[np.ndarray, torch.Tensor]] = []
    view = compute._view

    def watched(x: torch.Tensor, copies: bool) -> np.ndarray:
        array = view(x, copies)
        seen.append((array, x))
        return array

    monkeypatch.setattr(compute, "COMPILED", True)
    monkeypatch.setattr(direct, "COMPILED", False)  # the long way
    monkeypatch.setattr(compute, "_view", watched)
    for ours, definition, tensors, _ in directions(sample):
        seen.clear()
        torch.testing.assert_close(ours(*tensors), definition(*tensors), rtol=1e-13, atol=1e-13)
        assert seen
        assert all(array.ctypes.data == x.data_ptr() for array, x in seen)
        small = [(each / 8).bfloat16() for each in tensors]
        torch.testing.assert_close(ours(*small), definition(*small), rtol=2**-7, atol=2**-6)


def test_pooling_through_views(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = by_definition(us.max_pool)(x, 2)
    monkeypatch.setattr(compute, "COMPILED", True)
    monkeypatch.setattr(direct, "COMPILED", False)  # the long way
    values, switches = ut.max_pool(x, 2)
    assert torch.equal(values, expected[0])
    assert torch.equal(switches.taps, expected[1].taps)


@every_sample
def test_symbolic_lowering_is_the_plan(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """While sizes are symbols no plan is made: the same numbers must come of it."""
    heard: list[Any] = []

    def straight(tensors: Any) -> bool:
        return False

    class Recorder:
        def __getattr__(self, name: str) -> Any:
            def record(*arguments: Any) -> Any:
                heard.append((name, [each for each in arguments if not isinstance(each, torch.Tensor)]))
                return arguments[0], arguments[0]

            return types.SimpleNamespace(default=record)

    monkeypatch.setattr("unsample.torch.functional.straight", straight)
    monkeypatch.setattr(torch.ops, "unsample", Recorder())
    for ours, _, tensors, _ in directions(sample):
        ours(*tensors)
    planned = list(heard)
    heard.clear()
    monkeypatch.setattr("unsample.geometry.arguments.is_symbol", lambda size: True)
    for ours, _, tensors, _ in directions(sample):
        ours(*tensors)
    assert heard == planned


# -- derivatives ----------------------------------------------------------------------------------------


@every_sample
def test_gradients_of_every_order_and_mode(sample: Sample) -> None:
    for ours, _, tensors, _ in directions(sample):
        inputs = wanting(tensors, 1 / 7)
        torch.autograd.gradcheck(ours, inputs, check_forward_ad=True, fast_mode=True)
        torch.autograd.gradgradcheck(ours, inputs, gen_non_contig_grad_outputs=True, fast_mode=True)


@pytest.mark.parametrize("duplicates", ["last", "sum", "max"])
def test_gradients_where_windows_meet(duplicates: str) -> None:
    x = torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values, switches = us.max_pool(x, (3, 3), stride=1)
    # Not the maxima: windows that meet on an element then differ, and one of them is the largest.
    values = torch.randn(values.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    cotangent = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def run(function: Function) -> torch.Tensor:
        leaf = values.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf, switches, duplicates=duplicates), leaf, cotangent)
        return gradient

    # The definition's own gradient, which torch derives from its assignments.
    torch.testing.assert_close(run(ut.max_unpool), run(by_definition(us.max_unpool)))
    check = [values.clone().requires_grad_()]
    function = lambda v: ut.max_unpool(v, switches, duplicates=duplicates)  # noqa: E731
    torch.autograd.gradcheck(function, check, check_forward_ad=True, check_batched_grad=True)
    torch.autograd.gradgradcheck(function, check)


def test_gradient_of_equal_and_missing_values() -> None:
    nan = float("nan")
    switches = us.Switches(
        torch.tensor([2, 1, 0, 2, 1], dtype=torch.uint8),
        us.max_pool(torch.zeros(7), (3,), stride=1)[1].windows,
    )
    for values in ([1.0, 1, 1, 2, 2], [nan, 1, nan, 2, nan], [-1, -1, -1, nan, 3.0], [-0.0, 0.0, 0.0, 1, 1]):
        leaf = torch.tensor(values, requires_grad=True)
        for duplicates in ("last", "max"):
            cotangent = torch.arange(1.0, 8)
            ours = torch.autograd.grad(ut.max_unpool(leaf, switches, duplicates=duplicates), leaf, cotangent)
            theirs = torch.autograd.grad(
                by_definition(us.max_unpool)(leaf, switches, duplicates=duplicates), leaf, cotangent
            )
            assert torch.equal(ours[0], theirs[0]), (values, duplicates)


@pytest.mark.parametrize(
    "pool", [lambda x: ut.max_pool(x, (3, 2), stride=2, padding=1), lambda x: ut.adaptive_max_pool(x, (3, 2))]
)
def test_gradients_of_pooling(pool: Function) -> None:
    x = torch.randperm(70, generator=torch.Generator().manual_seed(0)).reshape(2, 5, 7).double()
    inputs = [(x / 7).requires_grad_()]
    torch.autograd.gradcheck(lambda x: pool(x)[0], inputs, check_forward_ad=True, check_batched_grad=True)
    torch.autograd.gradgradcheck(lambda x: pool(x)[0] ** 2, inputs)
    values, switches = pool(inputs[0])
    assert not switches.taps.requires_grad
    assert torch.equal(values, ut.max_gather(inputs[0], switches))


def test_gradients_of_complex_convolutions() -> None:
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, dtype=torch.complex128, generator=generator).requires_grad_()  # noqa: E731
    x, y, w, b = random(1, 2, 5), random(1, 3, 3), random(3, 2, 3), random(2)
    torch.autograd.gradcheck(ut.conv, (x, w), fast_mode=True)
    torch.autograd.gradcheck(ut.conv_transpose, (y, w, b), fast_mode=True)
    torch.autograd.gradcheck(lambda x, y: ut.conv_weight_grad(x, y, 3), (x, y), fast_mode=True)
    real = torch.randn(1, 2, 5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(ut.conv(real, w).abs().sum(), real)
    (expected,) = torch.autograd.grad(by_definition(us.conv)(real, w).abs().sum(), real)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_gradients_of_bias(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()  # noqa: E731
    function = getattr(ut, name)
    inputs = (random(2, 2, 4, 5), random(2, 2, 3, 2), random(2))
    torch.autograd.gradcheck(function, inputs, check_forward_ad=True, check_batched_grad=True, fast_mode=True)
    torch.autograd.gradgradcheck(function, inputs, fast_mode=True)
    for held in range(3):  # one argument alone
        rest = [each.detach() for each in inputs]
        rest[held] = inputs[held]
        torch.autograd.gradcheck(function, rest, check_forward_ad=True, fast_mode=True)
    unbatched = [inputs[0][0].detach().requires_grad_(), *inputs[1:]]
    torch.autograd.gradcheck(function, unbatched, check_forward_ad=True, fast_mode=True)


@few_samples
def test_func_transforms_nest(sample: Sample) -> None:
    """Second derivatives of torch.func in every order of modes: a level that is cut off gives zeros."""
    for ours, _, tensors, _ in directions(sample):
        fixed = [each / 7 for each in tensors[1:]]
        x = tensors[0] / 7

        def cubed(t: torch.Tensor, ours: Function = ours, fixed: list[torch.Tensor] = fixed) -> torch.Tensor:
            result: torch.Tensor = (ours(t, *fixed) ** 3).sum()
            return result

        along = torch.ones_like(x)
        leaf = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(cubed(leaf), leaf, create_graph=True)
        (expected,) = torch.autograd.grad(first, leaf, along)
        torch.testing.assert_close(torch.func.grad(cubed)(x), first.detach())
        for second in second_derivatives(cubed, x):
            torch.testing.assert_close(second, expected)


def second_derivatives(function: Function, x: torch.Tensor) -> list[torch.Tensor]:
    """The Hessian times a vector of ones: forward over reverse, reverse over forward, reverse twice."""
    grad, jvp, ones = torch.func.grad, torch.func.jvp, torch.ones_like(x)
    return [
        jvp(grad(function), (x,), (ones,))[1],
        grad(lambda t: jvp(function, (t,), (ones,))[1])(x),
        grad(lambda t: grad(function)(t).sum())(x),
    ]


# -- vmap -----------------------------------------------------------------------------------------------


@few_samples
def test_gradients_of_a_batch_of_gradients(sample: Sample) -> None:
    """`is_grads_batched` maps by tensors without memory, of which no mode of torch tells."""
    for ours, _, tensors, _ in directions(sample):
        recorded = wanting(tensors)
        result = ours(*recorded)
        each = torch.stack([torch.randn_like(result) for _ in range(3)])
        mapped = torch.autograd.grad(result, recorded, each, retain_graph=True, is_grads_batched=True)
        for i, one in enumerate(each):
            alone = torch.autograd.grad(result, recorded, one, retain_graph=True)
            torch.testing.assert_close(tuple(found[i] for found in mapped), alone)


@few_samples
def test_vmap_is_one_call_after_the_other(sample: Sample) -> None:
    for ours, _, tensors, _ in directions(sample):
        for which in range(1, 2 ** len(tensors)):
            dims = tuple(-1 if which >> i & 1 else None for i in range(len(tensors)))
            stacked = [
                each if dim is None else torch.stack([each, 2 * each, -each], dim=-1)
                for each, dim in zip(tensors, dims, strict=True)
            ]
            mapped = torch.vmap(ours, in_dims=dims)(*stacked)
            for i, factor in enumerate((1, 2, -1)):
                one = [
                    each if dim is None else factor * each for each, dim in zip(tensors, dims, strict=True)
                ]
                torch.testing.assert_close(mapped[i], ours(*one), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
@pytest.mark.parametrize("batched", [True, False])
def test_vmap_of_convolutions_over_every_argument(name: str, batched: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    function = getattr(ut, name)
    shapes = [(2, 4, 5) if batched else (4, 5), (4, 2, 3), (4,)]
    for which in range(1, 8):
        dims = tuple(0 if which >> i & 1 else None for i in range(3))
        inputs = [
            torch.randn((3, *shape) if dim == 0 else shape, dtype=torch.float64, generator=generator)
            for shape, dim in zip(shapes, dims, strict=True)
        ]
        mapped = torch.vmap(lambda *t: function(*t, groups=2, stride=2), in_dims=dims)(*inputs)
        for i in range(3):
            one = [each if dim is None else each[i] for each, dim in zip(inputs, dims, strict=True)]
            torch.testing.assert_close(mapped[i], function(*one, groups=2, stride=2))


def test_vmap_over_switches() -> None:
    x = torch.randn(4, 2, 5, 7, generator=torch.Generator().manual_seed(0))

    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        return ut.max_unpool(*ut.max_pool(x, (2, 2), ceil_mode=True))

    assert torch.equal(torch.vmap(there_and_back)(x), there_and_back(x))
    values, switches = torch.vmap(lambda x: ut.max_pool(x, (2, 2)))(x)
    assert isinstance(switches, us.Switches)
    assert torch.equal(torch.vmap(ut.max_unpool)(values, switches), ut.max_unpool(values, switches))
    ones = torch.ones(2, 2, 3)
    mapped = torch.vmap(ut.max_unpool, in_dims=(None, 0))(ones, switches)
    assert torch.equal(mapped, ut.max_unpool(ones.expand(4, 2, 2, 3).contiguous(), switches))


# -- layout, fakes, compile, export -----------------------------------------------------------------------


@few_samples
def test_fakes_have_the_real_strides(sample: Sample) -> None:
    for ours, _, tensors, held in directions(sample):
        for layout in ("contiguous", "channels_last", "every other"):
            given = [in_layout(each, layout) for each in tensors]
            real = ours(*given)
            meta = ours(*(each.to("meta") for each in given)) if not held else None
            with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
                fake = ours(*(mode.from_tensor(each) for each in given))
            for other in (meta, fake):
                if other is not None:
                    assert other.shape == real.shape
                    assert other.stride() == real.stride(), layout
                    assert other.dtype == real.dtype


def in_layout(x: torch.Tensor, layout: str) -> torch.Tensor:
    if layout == "channels_last" and x.ndim in (4, 5):
        return x.to(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
    if layout == "every other":
        return x.repeat_interleave(2, -1)[..., ::2]
    return x


@few_samples
def test_channels_last_stays_and_changes_no_value(sample: Sample) -> None:
    for ours, _, tensors, _ in directions(sample):
        x = tensors[0]
        if x.ndim not in (4, 5) or "weight_grad" in str(sample):
            continue
        wanted: Any = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        expected = ours(*tensors)
        for result in (
            ours(x.to(memory_format=wanted), *tensors[1:]),
            ours(*wanting([x.to(memory_format=wanted), *tensors[1:]])).detach(),
        ):
            assert torch.equal(result, expected)
            if result.ndim == x.ndim:
                assert result.is_contiguous(memory_format=wanted)


def test_pooled_values_and_taps_are_channels_last() -> None:
    x = torch.randn(2, 3, 4, 6).to(memory_format=torch.channels_last)
    values, switches = ut.max_pool(x, 2)
    assert values.is_contiguous(memory_format=torch.channels_last)
    assert switches.taps.is_contiguous(memory_format=torch.channels_last)
    back = ut.max_unpool(values, switches)
    assert back.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(back, ut.max_unpool(*ut.max_pool(x.contiguous(), 2)))


@pytest.mark.parametrize("sample", [BY_NAME[name] for name in FEW[::2]], ids=str)
def test_opcheck(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    for ours, _, tensors, _ in directions(sample):
        calls: list[tuple[str, Any]] = []

        class Spy(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(  # type: ignore[no-untyped-def]
                self, func, types, args=(), kwargs=None, calls=calls
            ):
                if func.namespace == "unsample":
                    calls.append((func, args))
                return func(*args, **(kwargs or {}))

        with Spy():
            ours(*tensors)
        for func, args in calls:
            wanted = [
                each.detach().clone().requires_grad_(each.is_floating_point())
                if isinstance(each, torch.Tensor)
                else each
                for each in args
            ]
            torch.library.opcheck(func, tuple(wanted))
            checked.append(func)
    assert len(checked) == 2


@pytest.mark.parametrize(
    "name", ["max_pool", "adaptive_max_pool", "switches_to_indices", "indices_to_switches"]
)
def test_opcheck_of_pooling(name: str) -> None:
    x = torch.randn(2, 3, 7, dtype=torch.float64, requires_grad=True)
    taps, windows = torch.tensor([[1, 0, 1]], dtype=torch.uint8), [6, 3, 2, 2, 1, 0, 0]
    args: dict[str, tuple[Any, ...]] = {
        "max_pool": (x, [7, 4, 3, 2, 1, 1, 1], True),
        "adaptive_max_pool": (x, [7, 3, 0, 0, 0, 0, 0]),
        "switches_to_indices": (taps, windows),
        "indices_to_switches": (torch.tensor([[1, 2, 5]]), windows),
    }
    torch.library.opcheck(getattr(torch.ops.unsample, name).default, args[name])


def network(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Every family of operations in one graph."""
    values, switches = ut.max_pool(ut.conv(x, w, padding="same"), 2, ceil_mode=True)
    x = ut.max_unpool(values, switches, duplicates="max")
    x = ut.conv_transpose(x, w, stride=2, padding=1, like=x.repeat_interleave(2, -1).repeat_interleave(2, -2))
    x = ut.window_sum(ut.nearest(ut.resize(x, factor=0.5), 2), 2)
    x = ut.pixel_unshuffle(ut.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), 2)
    return ut.decimate(ut.bed_of_nails(x, 3, at="center"), 3, at=1)


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_as_one_graph(dynamic: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    w = torch.randn(3, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    sizes = [(2, 3, 9, 13), (3, 3, 11, 14)] if dynamic else [(2, 3, 9, 13)]
    with torch._dynamo.config.patch(error_on_recompile=True):
        for size in sizes:
            x = torch.randn(size, dtype=torch.float64, requires_grad=True)
            expected, result = network(x, w), compiled(x, w)
            torch.testing.assert_close(result, expected)
            cotangent = torch.randn_like(expected)
            for ours, theirs in zip(
                torch.autograd.grad(result, (x, w), cotangent),
                torch.autograd.grad(expected, (x, w), cotangent),
                strict=True,
            ):
                torch.testing.assert_close(ours, theirs)


class Network(torch.nn.Module):
    """`network` with its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(3, 3, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return network(x, self.w)


@pytest.mark.parametrize("strict", [False, True])
def test_exports_with_symbolic_sizes(strict: bool) -> None:
    module = Network()
    dim = torch.export.Dim.DYNAMIC
    exported = torch.export.export(
        module, (torch.randn(2, 3, 9, 13),), dynamic_shapes=({0: dim, 2: dim, 3: dim},), strict=strict
    )
    names = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert {"unsample.max_unpool.default", "unsample.conv_transpose.default"} <= names
    x = torch.randn(4, 3, 15, 11)
    torch.testing.assert_close(exported.module()(x), module(x))


WEIGHT = torch.randn(2, 2, 3, 3)
# Of adaptive pooling the dtype of the switches depends on the size, so a program is for sizes alike.
ANY_SIZE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "nearest": lambda x: us.nearest(x, 2),
    "window_sum": lambda x: us.window_sum(x, 3),
    "bed_of_nails": lambda x: us.bed_of_nails(x, 2),
    "decimate": lambda x: us.decimate(x, 3),
    "max_pool": lambda x: us.max_pool(x, 2)[0],
    "max_unpool": lambda x: us.max_unpool(*us.max_pool(x, 2)),
    "max_gather": lambda x: us.max_gather(x, us.max_pool(x, 2)[1]),
    "conv": lambda x: us.conv(x, WEIGHT, padding=1),
    "conv_transpose": lambda x: us.conv_transpose(x, WEIGHT, stride=2),
    "conv_weight_grad": lambda x: us.conv_weight_grad(x, x, 1),
    "pixel_shuffle": lambda x: us.pixel_shuffle(x.repeat(1, 2, 1, 1), 2),
    "pixel_unshuffle": lambda x: us.pixel_unshuffle(x, 3),
    "resize": lambda x: us.resize(x, factor=1.5),
    "resize, no short binary factor": lambda x: us.resize(x, factor=0.7),
    "resize_transpose": lambda x: us.resize_transpose(x, (30, 9)),
}


class Calls(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", ANY_SIZE)
def test_exports_without_a_largest_size(name: str, strict: bool) -> None:
    """`Dim("n")` has none: a size that is compared with a limit of ours would refuse the program."""
    divided = name in ("window_sum", "pixel_unshuffle")
    size = 3 * torch.export.Dim("n", min=4) if divided else torch.export.Dim("n", min=10)
    module = Calls(ANY_SIZE[name])
    exported = torch.export.export(
        module, (torch.randn(1, 2, 90, 9),), dynamic_shapes=({2: size},), strict=strict
    )
    x = torch.randn(1, 2, 171, 9)
    torch.testing.assert_close(exported.module()(x), module(x))


def test_switches_go_in_and_out_of_a_compiled_function() -> None:
    torch._dynamo.reset()
    x = torch.randn(1, 2, 5, 7)
    compiled = torch.compile(lambda x: ut.max_pool(x, 2), fullgraph=True, backend="eager")
    values, switches = compiled(x)
    assert isinstance(switches, us.Switches)
    assert switches.windows == us.max_pool(x, 2)[1].windows
    back = torch.compile(lambda v, s: ut.max_unpool(v, s), fullgraph=True, backend="eager")
    assert torch.equal(back(values, switches), us.max_unpool(values, switches))
    leaves, spec = torch.utils._pytree.tree_flatten(switches)
    assert len(leaves) == 1
    assert torch.utils._pytree.treespec_loads(torch.utils._pytree.treespec_dumps(spec)) == spec


@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_autocast_takes_the_smaller_dtype(name: str) -> None:
    x, w, b = torch.randn(1, 2, 5), torch.randn(2, 2, 3), torch.randn(2)
    leaf = w.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result = getattr(ut, name)(x, leaf, b)
        assert getattr(ut, name)(x.double(), w.double()).dtype == torch.float64
        assert ut.nearest(x, 2).dtype == torch.float32
    assert result.dtype == torch.bfloat16
    expected = getattr(us, name)(x.bfloat16(), w.bfloat16(), b.bfloat16())
    assert torch.equal(result, expected)
    result.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype == torch.float32


# -- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sample", ERROR_SAMPLES, ids=lambda each: f"row{each.row}-{each.message.partition(':')[0]}"
)
def test_errors_say_the_same_and_are_runtime_errors(
    sample: ErrorSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def either(name: str) -> Function:
        """Of unsample.torch, but where the sample makes switches of NumPy arrays."""
        return lambda x, *args, **kwargs: getattr(us if isinstance(x, np.ndarray) else ut, name)(
            x, *args, **kwargs
        )

    names = {**vars(us), **{name: either(name) for name in FUNCTIONS}}
    monkeypatch.setattr(error_samples, "us", types.SimpleNamespace(**names))
    with pytest.raises(sample.error, match=rf"\A{sample.pattern()}\Z") as caught:
        sample.call(TORCH.array)
    ours = sample.message.partition(":")[0] in FUNCTIONS
    if ours and sample.error in (us.ShapeError, us.SwitchError):
        assert isinstance(caught.value, RuntimeError)
    assert caught.value.__cause__ is None


def test_what_is_no_tensor() -> None:
    with pytest.raises(TypeError, match=r"\Anearest: x must be a torch.Tensor, got numpy.ndarray\Z"):
        ut.nearest(np.zeros((10, 10)), (2, 2))  # type: ignore[arg-type]


def test_numbers_of_switches_are_looked_at_where_a_graph_is_compiled() -> None:
    torch._dynamo.reset()
    switches = us.Switches(torch.tensor([7], dtype=torch.uint8), us.max_pool(torch.zeros(2), (2,))[1].windows)
    compiled = torch.compile(ut.max_unpool, fullgraph=True, backend="eager")
    with pytest.raises(IndexError, match="max_unpool: the switch at"):
        compiled(torch.ones(1), switches)


def test_schemas_are_static() -> None:
    for name in operators.SCHEMAS:
        schema = getattr(torch.ops.unsample, name).default._schema
        assert not schema.is_mutable
        assert all(argument.alias_info is None for argument in (*schema.arguments, *schema.returns))


# -- operators that anybody calls ------------------------------------------------------------------------


def given_to_operators(sample: Sample) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every operator that a sample reaches, and what it is given."""
    calls: list[tuple[Any, tuple[Any, ...]]] = []

    class Spy(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func.namespace == "unsample":
                calls.append((func, args))
            return func(*args, **(kwargs or {}))

    for ours, _, tensors, _ in directions(sample):
        with Spy():
            ours(*tensors)
    return iter(calls)


WILD = (-1, 0, 1, 2, 3, 7, 100, 2**62, -(2**62), 2**63 - 1)


@pytest.mark.parametrize("sample", [BY_NAME[name] for name in FEW], ids=str)
def test_windows_that_no_arguments_make_reach_no_kernel(sample: Sample) -> None:
    """What an operator lets through is what the definition computes with the same plan."""
    for func, given in given_to_operators(sample):
        name = func.name().partition("::")[2].partition(".")[0]
        operation, number = OPERATIONS[name], len(OPERATIONS[name].arrays)
        arrays, numbers, words = given[:number], list(given[number]), given[number + 1 :]
        expected = func(*given)
        tried = let_through = 0
        for at in range(len(numbers)):
            for wild in WILD:
                changed = [*numbers[:at], wild, *numbers[at + 1 :]]
                tried += 1
                refusals: list[str] = []
                try:
                    found = func(*arrays, changed, *words)
                except (us.ShapeError, us.SwitchError, TypeError, OverflowError) as error:
                    refusals.append(str(error))
                if refusals:
                    assert refusals[0].startswith(f"{name}: ")
                    continue
                let_through += 1
                plan = plan_of(operation, arrays, changed, words)
                xp = operation.namespace(arrays, words[len(operation.words) :])
                told = words[: len(operation.words)]
                same = operation.as_planned(xp, *arrays, plan, *told, None)  # of tensors: no kernel
                torch.testing.assert_close(found, same, rtol=1e-12, atol=1e-12)
        assert let_through < 0.7 * tried, name  # an adaptive window has five numbers that say nothing
        assert torch.equal(func(*given), expected)
        for wrong in (numbers[:-1], [], [*numbers, *numbers]):
            with pytest.raises((us.ShapeError, TypeError), match=rf"\A{name}: "):
                func(*arrays, wrong, *words)
