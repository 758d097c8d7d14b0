"""The short way to a kernel: the same results as the long one, `out=`, and torch's number of threads."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import unsample as us  # noqa: E402
import unsample.torch as ut  # noqa: E402
from unsample.torch import direct, functional  # noqa: E402

compiled = pytest.mark.skipif(not us.show_config().compiled, reason="there is no short way without kernels")

X = torch.arange(2 * 4 * 6 * 8, dtype=torch.float32).reshape(2, 4, 6, 8).sin()
W = torch.linspace(-1, 1, 4 * 4 * 3 * 3).reshape(4, 4, 3, 3)
B = torch.linspace(0, 1, 4)
VALUES, SWITCHES = ut.max_pool(X, (2, 2))
Y = torch.ones(2, 4, 2, 3)

CALLS: dict[str, Callable[..., Any]] = {
    "nearest": lambda **k: ut.nearest(X, (2, 3), **k),
    "window_sum": lambda **k: ut.window_sum(X, (2, 4), **k),
    "bed_of_nails": lambda **k: ut.bed_of_nails(X, (2, 3), at=1, **k),
    "decimate": lambda **k: ut.decimate(X, (2, 3), at=1, **k),
    "max_pool": lambda **k: ut.max_pool(X, (3, 2), stride=2, padding=1, return_switches=False, **k),
    "adaptive_max_pool": lambda **k: ut.adaptive_max_pool(X, (4, 3), return_switches=False, **k),
    "max_unpool": lambda **k: ut.max_unpool(VALUES, SWITCHES, **k),
    "max_unpool sum": lambda **k: ut.max_unpool(VALUES, SWITCHES, duplicates="sum", **k),
    "max_gather": lambda **k: ut.max_gather(X, SWITCHES, **k),
    "pixel_shuffle": lambda **k: ut.pixel_shuffle(X, (2, 2), order="DCR", **k),
    "pixel_unshuffle": lambda **k: ut.pixel_unshuffle(X, (2, 4), **k),
    "resize": lambda **k: ut.resize(X, (9, 5), **k),
    "resize nearest": lambda **k: ut.resize(X, (9, 5), method="nearest", **k),
    "resize_transpose": lambda **k: ut.resize_transpose(X, (3, 4), **k),
    "conv": lambda **k: ut.conv(X, W, B, stride=2, padding=1, **k),
    "conv_transpose": lambda **k: ut.conv_transpose(X, W, B, stride=2, padding=1, output_padding=1, **k),
    "conv_weight_grad": lambda **k: ut.conv_weight_grad(X, Y, (3, 3), stride=2, **k),
}
every_call = pytest.mark.parametrize("name", CALLS)


@compiled
@every_call
def test_the_short_way_and_the_long_one_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    way_of = functional.way_of
    monkeypatch.setattr(functional, "way_of", lambda *args: asked.append(args[0]) or way_of(*args))
    short = CALLS[name]()
    assert not asked
    monkeypatch.setattr(direct, "COMPILED", False)
    assert torch.equal(CALLS[name](), short)
    assert asked == [name.split()[0]]


V3, S3 = ut.max_pool(torch.arange(2 * 8 * 4 * 6 * 4.0).reshape(2, 8, 4, 6, 4).sin(), 2)
LASTING: dict[str, tuple[torch.Tensor, Callable[..., Any]]] = {
    "nearest": (X, lambda x, **k: ut.nearest(x, (2, 3), **k)),
    "window_sum": (X, lambda x, **k: ut.window_sum(x, (2, 4), **k)),
    "bed_of_nails": (X, lambda x, **k: ut.bed_of_nails(x, (2, 3), at=1, **k)),
    "decimate": (X, lambda x, **k: ut.decimate(x, (2, 3), at=1, **k)),
    "max_pool": (X, lambda x, **k: ut.max_pool(x, (3, 2), padding=1, return_switches=False, **k)),
    "adaptive_max_pool": (X, lambda x, **k: ut.adaptive_max_pool(x, (4, 3), return_switches=False, **k)),
    "max_unpool": (VALUES, lambda x, **k: ut.max_unpool(x, SWITCHES, **k)),
    "max_unpool sum": (VALUES, lambda x, **k: ut.max_unpool(x, SWITCHES, duplicates="sum", **k)),
    "max_gather": (X, lambda x, **k: ut.max_gather(x, SWITCHES, **k)),
    "pixel_shuffle": (X, lambda x, **k: ut.pixel_shuffle(x, (2, 2), order="DCR", **k)),
    "pixel_unshuffle": (X, lambda x, **k: ut.pixel_unshuffle(x, (2, 4), **k)),
    "resize": (X, lambda x, **k: ut.resize(x, (9, 5), **k)),
    "resize nearest": (X, lambda x, **k: ut.resize(x, (9, 5), method="nearest", **k)),
    "resize of one axis": (X, lambda x, **k: ut.resize(x, (6, 5), **k)),
    "resize to itself": (X, lambda x, **k: ut.resize(x, (6, 8), **k)),
    "resize_transpose": (X, lambda x, **k: ut.resize_transpose(x, (3, 4), **k)),
    "nearest 3d": (V3, lambda x, **k: ut.nearest(x, 2, **k)),
    "max_unpool 3d": (V3, lambda x, **k: ut.max_unpool(x, S3, **k)),
    "resize 3d": (V3, lambda x, **k: ut.resize(x, (3, 5, 3), **k)),
    "pixel_shuffle 3d": (V3, lambda x, **k: ut.pixel_shuffle(x, 2, **k)),
}


@compiled
@pytest.mark.parametrize("name", LASTING)
def test_channels_last_takes_the_short_way_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same values from a tensor as it lies, into an `out` of either format."""
    x, call = LASTING[name]
    kind = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    expected, lasting = call(x), x.contiguous(memory_format=kind)
    asked: list[str] = []
    way_of = functional.way_of
    monkeypatch.setattr(functional, "way_of", lambda *args: asked.append(args[0]) or way_of(*args))
    got = call(lasting)
    assert torch.equal(got, expected)
    assert got.is_contiguous(memory_format=kind)
    for other in (kind, torch.contiguous_format):
        out = torch.empty_like(expected, memory_format=other)
        assert call(lasting, out=out) is out
        assert torch.equal(out, expected)
        assert out.is_contiguous(memory_format=other)
    assert not asked


@compiled
def test_switches_of_another_format_than_their_values() -> None:
    lasting = VALUES.contiguous(memory_format=torch.channels_last)
    taps = us.Switches(SWITCHES.taps.contiguous(memory_format=torch.channels_last), SWITCHES.windows)
    expected = ut.max_unpool(VALUES, SWITCHES)
    for values, kind in ((VALUES, torch.contiguous_format), (lasting, torch.channels_last)):
        for switches in (SWITCHES, taps):
            got = ut.max_unpool(values, switches)
            assert torch.equal(got, expected)
            assert got.is_contiguous(memory_format=kind)


@compiled
def test_axes_that_no_channels_lie_behind_take_the_long_way() -> None:
    x = X.contiguous(memory_format=torch.channels_last)
    for call in (
        lambda x: ut.nearest(x, (3,)),
        lambda x: ut.nearest(x, (2, 1, 3)),
        lambda x: ut.max_pool(x, (2,), return_switches=False),
        lambda x: ut.max_unpool(*ut.max_pool(x, (3,))),
        lambda x: ut.window_sum(x, (2,)),
        lambda x: ut.resize(x, (5,)),
    ):
        assert torch.equal(call(x), call(X))
        assert call(x).is_contiguous(memory_format=torch.channels_last)


@compiled
def test_a_resize_to_more_terms_than_a_call_takes() -> None:
    x = torch.tensor([[[1.0, 3.0]]])
    got = ut.resize(x, (2**22,), method="nearest")
    assert torch.equal(got, ut.nearest(x, (2**21,)))


@pytest.mark.promise("83")
@compiled
def test_tensors_between_addresses_are_not_read_as_they_lie() -> None:
    memory = bytearray(X.numel() * 4 + 1)
    x = torch.frombuffer(memory, dtype=torch.float32, offset=1).reshape(X.shape)
    x.copy_(X)
    assert x.data_ptr() % 4
    assert direct.takes(direct.FLOATS, X, W)
    assert not direct.takes(direct.FLOATS, X, x)
    assert not direct.takes(direct.FLOATS, X.mT)
    assert torch.equal(ut.conv(x, W, B), ut.conv(X, W, B))
    assert torch.equal(ut.max_pool(x, (2, 2))[0], VALUES)


@every_call
@pytest.mark.parametrize("short", [True, False])
def test_out_is_written_and_returned(name: str, short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not short:
        monkeypatch.setattr(direct, "COMPILED", False)
    expected = CALLS[name]()
    for out in (
        torch.full_like(expected, torch.nan),
        torch.empty(0),
        torch.full((*expected.shape[:-1], 2 * expected.shape[-1]), torch.nan)[..., ::2],
    ):
        assert CALLS[name](out=out) is out
        assert torch.equal(out, expected)


@every_call
@pytest.mark.parametrize("short", [True, False])
def test_an_out_that_does_not_fit_is_refused(name: str, short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not short:
        monkeypatch.setattr(direct, "COMPILED", False)
    operation, expected = name.split()[0], CALLS[name]()
    with pytest.raises(ut.TorchShapeError) as shape:
        CALLS[name](out=torch.empty(3))
    assert str(shape.value) == f"{operation}: out must have the shape {tuple(expected.shape)}, got (3,)"
    with pytest.raises(TypeError, match=f"{operation}: out must be float32, got torch.float64"):
        CALLS[name](out=torch.empty_like(expected, dtype=torch.float64))


def test_out_may_not_be_an_argument_or_ask_for_a_gradient() -> None:
    x = torch.ones(2, 2)
    with pytest.raises(ValueError, match="nearest: out must not share memory with x"):
        ut.nearest(x, (1, 1), out=x)
    with pytest.raises(TypeError, match="out cannot be given while a framework traces, maps or different"):
        ut.nearest(x, (1, 1), out=torch.ones(2, 2, requires_grad=True))
    with pytest.raises(TypeError, match="out cannot be given while a framework traces, maps or different"):
        ut.nearest(x.requires_grad_(), (1, 1), out=torch.ones(2, 2))


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize(
    "pool",
    [
        lambda **k: ut.max_pool(X, (3, 2), stride=2, padding=1, **k),
        lambda **k: ut.adaptive_max_pool(X, (4, 3), **k),
    ],
    ids=["max_pool", "adaptive_max_pool"],
)
def test_pooling_writes_values_and_switches(
    pool: Callable[..., Any], short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not short:
        monkeypatch.setattr(direct, "COMPILED", False)
    values, switches = pool()
    kept = us.Switches(torch.zeros_like(switches.taps), switches.windows)
    for second in (kept, torch.zeros_like(switches.taps)):
        first = torch.empty_like(values)
        found, taps = pool(out=(first, second))
        assert found is first
        assert taps.taps is getattr(second, "taps", second)
        assert torch.equal(found, values)
        assert torch.equal(taps.taps, switches.taps)
    assert torch.equal(pool(return_switches=False), values)
    with pytest.raises(TypeError, match="out must be a pair"):
        pool(out=torch.empty_like(values))


@compiled
def test_bad_switches_raise_on_the_short_way_too() -> None:
    taps = torch.full_like(SWITCHES.taps, 4)
    with pytest.raises(ut.SwitchError, match="max_unpool: the switch at"):
        ut.max_unpool(VALUES, us.Switches(taps, SWITCHES.windows))
    with pytest.raises(ut.SwitchError, match="max_gather: the switch at"):
        ut.max_gather(X, us.Switches(taps, SWITCHES.windows))


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@compiled
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("gradient", [False, True], ids=["short", "recorded"])
def test_kernels_called_from_torch_use_torchs_number_of_threads(
    gradient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    compiled = direct.moves.compiled_plan  # what both ways ask just before the kernel

    def watched(*args: Any) -> Any:
        seen.append(us.get_num_threads())
        return compiled(*args)

    monkeypatch.setattr(direct.moves, "compiled_plan", watched)
    before = us.get_num_threads()
    x = torch.ones(1, 1, 2, 2, requires_grad=gradient)
    for number in (1, 3):
        torch.set_num_threads(number)
        ut.nearest(x, 2)
        assert seen.pop() == number
        assert us.get_num_threads() == before
        with us.threads(2):
            ut.nearest(x, 2)
            assert us.get_num_threads() == 2
        assert seen.pop() == 2
        assert us.get_num_threads() == before
    assert not seen


@compiled
def test_threads_of_python_keep_their_own_number() -> None:
    found: list[int] = []

    def other() -> None:
        with us.threads(5):
            ut.nearest(torch.ones(1, 1, 2, 2), 2)
            found.append(us.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [5]


@compiled
def test_what_is_channels_last_and_contiguous_at_once_stays_channels_last() -> None:
    x = torch.randn(2, 1, 3, 4).to(memory_format=torch.channels_last)
    assert x.is_contiguous()
    w = torch.randn(1, 3, 2, 2)
    assert not direct.multiplies(x, w, None)
    assert direct.multiplies(torch.randn(2, 1, 3, 4), w, None)
    assert ut.conv_transpose(x, w, stride=2).is_contiguous(memory_format=torch.channels_last)
    assert ut.pixel_unshuffle(x[..., :2, :], 2).is_contiguous(memory_format=torch.channels_last)


@compiled
@pytest.mark.parametrize(
    "x",
    [
        torch.randn(2, 2, requires_grad=True),
        torch.randn(2, 2).t()[:, :1].expand(2, 2),
        torch.randn(2, 2, device="meta"),
        torch.randn(2, 2, dtype=torch.complex64).conj(),
        torch.randn(2, 2).to_sparse(),
        [[1.0]],
    ],
    ids=["gradient", "strides", "meta", "conjugate", "sparse", "list"],
)
def test_other_tensors_take_the_long_way(x: Any) -> None:
    assert not direct.takes(direct.MOVED, x)
    assert direct.takes(direct.MOVED, torch.ones(2, 2))


@compiled
@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated:DeprecationWarning")
def test_observed_calls_take_the_long_way() -> None:
    x, seen = torch.ones(2, 2), []

    def look(y: Any) -> Any:
        seen.append(direct.takes(direct.MOVED, x))
        return y

    torch.vmap(look)(x)
    torch.func.jvp(look, (x,), (x,))
    with torch.autocast("cpu"):
        look(x)
    torch.jit.trace(look, (x,), check_trace=False)
    assert seen == [False] * 4
