"""Max pooling and unpooling: who wins, what is remembered, what comes back."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import unsample as us
from backends import JAX, NUMPY, TORCH, Backend
from samples import integers

every_library = pytest.mark.parametrize("library", [NUMPY, TORCH, JAX], ids=lambda each: each.name)
nan, inf = np.nan, np.inf


@pytest.mark.promise("56", "57", "58", "59")
@every_library
@pytest.mark.parametrize(
    ("window", "winner"),
    [
        ([1, 3, 3, 2], 1),  # rows 58, 59: the first of equals
        ([5, 5, 5, 5], 0),
        ([-0.0, 0.0, -0.0, 0.0], 0),
        ([0.0, -0.0, 0.0, -0.0], 0),
        ([-inf, -inf, -inf, -inf], 0),  # row 57: a valid switch
        ([nan, 1, 2, 3], 0),  # row 56: NaN wins wherever it stands
        ([1, nan, 2, inf], 1),
        ([1, 2, inf, nan], 3),
        ([nan, 1, nan, 2], 2),  # the last NaN, as in torch
        ([nan, nan, nan, nan], 3),
    ],
    ids=str,
)
def test_who_wins(library: Backend, window: list[float], winner: int) -> None:
    for shape in ((1, 1, 4), (1, 1, 2, 2), (1, 1, 4, 1)):
        x = np.array(window).reshape(shape)
        values, switches = us.max_pool(library.array(x), shape[2:])
        assert library.numpy(switches.taps).item() == winner
        np.testing.assert_array_equal(library.numpy(values).ravel(), window[winner])
    for pool, shape in (
        (torch.nn.functional.max_pool1d, (1, 1, 4)),
        (torch.nn.functional.max_pool2d, (1, 1, 2, 2)),
    ):
        tensor = torch.tensor(np.array(window).reshape(shape))
        _, index = pool(tensor, shape[2:], return_indices=True)
        assert index.item() == winner


@pytest.mark.promise("57")
def test_windows_of_minus_infinity_in_the_padding_remember_their_first_element() -> None:
    values, switches = us.max_pool(np.full((2, 3), -inf), (2, 2), stride=1, padding=1)
    assert np.all(values == -inf)
    np.testing.assert_array_equal(switches.taps[0], [3, 2, 2, 2])
    np.testing.assert_array_equal(switches.taps[:, 0], [3, 1, 1])


@pytest.mark.promise("62")
@pytest.mark.parametrize("low", [np.iinfo(np.int8).min, 0])
def test_padding_is_never_chosen(low: int) -> None:
    x = np.full((1, 1, 3), low, np.int8 if low else np.uint8)
    values, switches = us.max_pool(x, 3, padding=1, stride=2)
    np.testing.assert_array_equal(values, low)
    switches.check()


GEOMETRIES: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 45), {"kernel_size": 2}),  # row 51: 45 -> 22 -> 45
    ((1, 1, 54, 96), {"kernel_size": 2}),
    ((1, 2, 7, 9), {"kernel_size": 3, "stride": 2, "dilation": 2}),  # row 50
    ((1, 2, 7, 9), {"kernel_size": 2, "ceil_mode": True}),
    ((1, 2, 7, 9), {"kernel_size": (3, 2), "padding": 1}),
    ((1, 2, 7, 9), {"kernel_size": 3, "padding": ((1, 0), (0, 1)), "stride": 2}),
    ((1, 2, 8, 5), {"kernel_size": 3, "padding": "same", "stride": 2}),
    ((1, 1, 5, 4, 7), {"kernel_size": 2, "stride": (1, 2, 3)}),
]


@every_library
@pytest.mark.parametrize(("shape", "pooling"), GEOMETRIES, ids=str)
def test_unpooling_returns_to_the_exact_size(
    library: Backend, shape: tuple[int, ...], pooling: dict[str, Any]
) -> None:
    x = integers(shape, 1)
    values, switches = us.max_pool(library.array(x), **pooling)
    out = library.numpy(us.max_unpool(values, switches))
    assert out.shape == shape == switches.input_shape
    # Every maximum is where it was, everything else is 0.
    at = out != 0
    np.testing.assert_array_equal(out[at], x[at])
    again = us.max_gather(library.array(x), switches)
    np.testing.assert_array_equal(library.numpy(again), library.numpy(values))
    positions = [library.numpy(p) for p in switches.positions()]
    flat = np.ravel_multi_index(positions, shape[2:])
    np.testing.assert_array_equal(library.numpy(switches.to_torch()), flat)


@pytest.mark.promise("51")
def test_row_51_three_levels_down_and_up_again() -> None:
    x = integers((1, 1, 540, 97), 2)
    levels = []
    for _ in range(3):
        x, switches = us.max_pool(x, 2)
        levels.append(switches)
    for switches in reversed(levels):
        x = us.max_unpool(x, switches)
    assert x.shape == (1, 1, 540, 97)


# -- duplicates ------------------------------------------------------------------------------------------

# Three windows of 3 over 5 elements; the first two both remember element 1.
OVERLAP = np.array([1.0, 9.0, 2.0, 8.0, 3.0])


@every_library
@pytest.mark.parametrize(
    ("duplicates", "expected"),
    [("last", [0, 20, 0, 30, 0]), ("sum", [0, 30, 0, 30, 0]), ("max", [0, 20, 0, 30, 0])],
)
def test_duplicates_forward(library: Backend, duplicates: str, expected: list[float]) -> None:
    _, switches = us.max_pool(library.array(OVERLAP), (3,), stride=1)
    values = library.array(np.array([10.0, 20.0, 30.0]))
    out = us.max_unpool(values, switches, duplicates=duplicates)
    np.testing.assert_array_equal(library.numpy(out), expected)
    # The smaller value last: "last" and "max" part ways.
    values = library.array(np.array([20.0, 10.0, 30.0]))
    out = library.numpy(us.max_unpool(values, switches, duplicates=duplicates))
    assert out[1] == {"last": 10, "sum": 30, "max": 20}[duplicates]


@pytest.mark.parametrize("shape", [(1, 1, 6, 7), (1, 1, 3, 4, 5)])
@pytest.mark.parametrize("duplicates", ["last", "sum", "max"])
def test_duplicates_against_a_plain_loop_over_windows(shape: tuple[int, ...], duplicates: str) -> None:
    _, switches = us.max_pool(integers(shape, 3), 3, stride=1, padding=1)
    values = integers(switches.shape, 4)
    expected = np.zeros(shape)
    met = np.zeros(shape, bool)
    for window in itertools.product(*map(range, switches.shape)):  # C order
        to = (*window[:2], *(int(p[window]) for p in switches.positions()))
        value = values[window]
        if duplicates == "sum":
            expected[to] += value
        elif duplicates == "last" or not met[to] or value > expected[to]:
            expected[to] = value
        met[to] = True
    np.testing.assert_array_equal(us.max_unpool(values, switches, duplicates=duplicates), expected)


@pytest.mark.promise("46")
@pytest.mark.parametrize("duplicates", ["last", "sum", "max"])
def test_row_46_gradient_belongs_to_the_forward(duplicates: str) -> None:
    _, switches = us.max_pool(torch.tensor(integers((1, 2, 5, 6), 5)), 3, stride=1)
    values = torch.randn(switches.shape, dtype=torch.float64, requires_grad=True)

    def up(values: torch.Tensor) -> torch.Tensor:
        return us.max_unpool(values, switches, duplicates=duplicates)

    assert torch.autograd.gradcheck(up, [values])
    assert torch.autograd.gradgradcheck(up, [values], gen_non_contig_grad_outputs=True)
    # torch's own gradient hands every duplicate the whole gradient (pytorch#80827).
    (grad,) = torch.autograd.grad(up(values).sum(), [values])
    met = us.max_unpool(torch.ones_like(values), switches, duplicates="sum").detach()
    assert met.max() > 1
    assert grad.sum() == (values.numel() if duplicates == "sum" else (met > 0).sum())


def test_duplicates_max_gives_the_gradient_to_the_first_of_equals() -> None:
    _, switches = us.max_pool(torch.tensor(OVERLAP), (3,), stride=1)
    values = torch.tensor([7.0, 7.0, 5.0], requires_grad=True)
    us.max_unpool(values, switches, duplicates="max").sum().backward()
    np.testing.assert_array_equal(values.grad, [1, 0, 1])
    values.grad = None
    us.max_unpool(values, switches, duplicates="last").sum().backward()
    np.testing.assert_array_equal(values.grad, [0, 1, 1])


def test_duplicates_error_passes_where_there_are_none() -> None:
    values, switches = us.max_pool(np.array([9.0, 1, 2, 8, 3]), (3,), stride=2)
    np.testing.assert_array_equal(us.max_unpool(values, switches, duplicates="error"), [9, 0, 0, 8, 0])


def test_duplicates_error_needs_values() -> None:
    import jax

    _, switches = us.max_pool(JAX.array(OVERLAP), (3,), stride=1)
    with pytest.raises(TypeError, match=r"\Amax_unpool: duplicates='error' must look at the switches"):
        jax.jit(lambda v, s: us.max_unpool(v, s, duplicates="error"))(switches.taps + 0.0, switches)


@pytest.mark.promise("45")
def test_row_45_the_same_winner_a_thousand_times() -> None:
    _, switches = us.max_pool(torch.tensor(integers((2, 3, 17, 19), 6)), 5, stride=2)
    values = torch.randn(switches.shape)
    first = us.max_unpool(values, switches)
    threads = torch.get_num_threads()
    try:
        for i in range(1000):
            torch.set_num_threads(1 + i % 2)
            assert torch.equal(us.max_unpool(values, switches), first)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.promise("53")
def test_row_53_switches_in_any_memory_layout() -> None:
    x = integers((2, 3, 7, 9), 7)
    values, switches = us.max_pool(x, 3, stride=2)
    expected = us.max_unpool(values, switches)
    backwards = switches.taps[::-1, :, :, ::-1].copy()[::-1, :, :, ::-1]
    frozen = switches.taps.copy()
    frozen.flags.writeable = False
    for taps in (np.asfortranarray(switches.taps), backwards, frozen, switches.taps.astype(">u2")):
        out = us.max_unpool(values, us.Switches(taps, switches.windows))
        np.testing.assert_array_equal(out, expected)


def test_adaptive_pooling_divides_as_torch_does() -> None:
    x = integers((1, 2, 7, 11), 8)
    for size in [(3, 5), (7, 1), (1, 11), (9, 13)]:
        values, switches = us.adaptive_max_pool(x, size)
        theirs, indices = torch.nn.functional.adaptive_max_pool2d(torch.tensor(x), size, return_indices=True)
        np.testing.assert_array_equal(values, theirs)
        np.testing.assert_array_equal(switches.to_torch(), indices)
        assert us.max_unpool(values, switches).shape == x.shape


def brute_force(
    x: np.ndarray, size: int, stride: int, dilation: int, before: int, after: int
) -> list[list[tuple[int, float]]]:
    """Of every window its taps on the axis with what lies there."""
    last = len(x) + before + after - dilation * (size - 1) - 1
    return [
        [(t, x[o - before + t * dilation]) for t in range(size) if 0 <= o - before + t * dilation < len(x)]
        for o in range(0, last + 1, stride)
    ]


@every_library
def test_padding_beyond_half_a_window_acts_like_minus_infinity(library: Backend) -> None:
    rng, held, refused = np.random.default_rng(5), 0, 0
    everything = itertools.product(range(1, 5), range(2, 5), (1, 3), (1, 2), range(5), range(5))
    for n, size, stride, dilation, before, after in everything:
        half = (dilation * (size - 1) + 1) // 2
        if max(before, after) <= half or n + before + after <= dilation * (size - 1):
            continue
        if library is not NUMPY and rng.random() < 0.9:  # who compiles for every shape
            continue
        x = -1 - rng.random(n)
        windows = brute_force(x, size, stride, dilation, before, after)
        words: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": [(before, after)]}
        if not all(windows):
            refused += 1
            with pytest.raises(
                us.ShapeError, match=f"window {windows.index([])} of spatial axis 0 holds padding"
            ):
                us.max_pool(library.array(x), (size,), **words)
            continue
        held += 1
        best = [max(each, key=lambda pair: pair[1]) for each in windows]
        values, switches = us.max_pool(library.array(x), (size,), **words)
        np.testing.assert_array_equal(library.numpy(values), [value for _, value in best])
        np.testing.assert_array_equal(library.numpy(switches.taps), [t for t, _ in best])
        places = [o * stride - before + t * dilation for o, (t, _) in enumerate(best)]
        np.testing.assert_array_equal(library.numpy(switches.to_torch()), places)
        assert us.Switches.from_torch(switches.to_torch(), (n,), (size,), **words) == switches
        back = np.zeros(n)
        np.add.at(back, places, [value for _, value in best])
        unpooled = us.max_unpool(values, switches, duplicates="sum")
        np.testing.assert_allclose(library.numpy(unpooled), back)
        np.testing.assert_array_equal(library.numpy(us.max_gather(library.array(x), switches)), x[places])
    assert held > 5
    assert refused > 5


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8])
def test_kernels_pad_beyond_half_a_window(dtype: Any) -> None:
    """ONNX's test_maxpool_2d_pads: 28 by 28, windows of 3, padding of 2."""
    x = np.random.default_rng(7).integers(0, 99, (1, 3, 28, 28)).astype(dtype)
    lowest = np.iinfo(dtype).min if np.issubdtype(dtype, np.integer) else -inf
    padded = np.pad(x, [(0, 0), (0, 0), (2, 2), (2, 2)], constant_values=lowest)
    expected = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3)).max(axis=(-2, -1))
    for array in (x, torch.tensor(x), torch.tensor(x).contiguous(memory_format=torch.channels_last)):
        values, switches = us.max_pool(array, 3, stride=1, padding=2)
        np.testing.assert_array_equal(np.asarray(values), expected)
        np.testing.assert_array_equal(x.ravel()[np.asarray(switches.to_onnx())], expected)
