"""Switches in and out of other libraries' conventions, and packed."""

import pickle
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import unsample as us
import unsample.torch as ut
from backends import JAX, NUMPY, TORCH, Backend
from error_samples import NO_POOLING
from samples import integers

every_library = pytest.mark.parametrize("library", [NUMPY, TORCH, JAX], ids=lambda each: each.name)

# N=2, C=2, H=4, W=4; every block of 2x2 has its maximum elsewhere.
X = np.array(
    [
        [
            [[9, 1, 2, 8], [3, 4, 5, 6], [1, 2, 4, 3], [7, 5, 1, 6]],
            [[1, 9, 8, 2], [3, 4, 5, 6], [1, 2, 4, 3], [5, 7, 6, 1]],
        ],
        [
            [[3, 4, 5, 6], [9, 1, 2, 8], [7, 5, 1, 6], [1, 2, 4, 3]],
            [[3, 4, 5, 6], [1, 9, 8, 2], [5, 7, 6, 1], [1, 2, 4, 3]],
        ],
    ],
    dtype=float,
)
TAPS = np.array([[[[0, 1], [2, 3]], [[1, 0], [3, 2]]], [[[2, 3], [0, 1]], [[3, 2], [1, 0]]]])
# Written down from the formulas of each library's documentation, not computed here.
TORCH_INDICES = np.array([[[[0, 3], [12, 15]], [[1, 2], [13, 14]]], [[[4, 7], [8, 11]], [[5, 6], [9, 10]]]])
TF_INDICES = np.array(  # (y * 4 + x) * 2 + c, laid out (N, H, W, C)
    [[[[0, 3], [6, 5]], [[24, 27], [30, 29]]], [[[8, 11], [14, 13]], [[16, 19], [22, 21]]]]
)
ONNX_INDICES = np.array(  # ((n * 2 + c) * 4 + y) * 4 + x
    [[[[0, 3], [12, 15]], [[17, 18], [29, 30]]], [[[36, 39], [40, 43]], [[53, 54], [57, 58]]]]
)
ONNX_COLUMN_MAJOR = np.array(  # (n * 2 + c) * 16 + x * 4 + y
    [[[[0, 12], [3, 15]], [[20, 24], [23, 27]]], [[[33, 45], [34, 46]], [[53, 57], [54, 58]]]]
)

CONVENTIONS: list[tuple[str, dict[str, Any], np.ndarray]] = [
    ("torch", {}, TORCH_INDICES),
    ("tf", {}, TF_INDICES),
    ("tf", {"include_batch_in_index": True}, TF_INDICES + np.array([0, 32]).reshape(2, 1, 1, 1)),
    ("onnx", {}, ONNX_INDICES),
    ("onnx", {"storage_order": 1}, ONNX_COLUMN_MAJOR),
]


@pytest.mark.promise("47", "48", "49")
@every_library
@pytest.mark.parametrize(("name", "options", "indices"), CONVENTIONS, ids=str)
def test_published_conventions_both_ways(
    library: Backend, name: str, options: dict[str, Any], indices: np.ndarray
) -> None:
    _, switches = us.max_pool(library.array(X), 2)
    np.testing.assert_array_equal(library.numpy(switches.taps), TAPS)
    there = getattr(switches, f"to_{name}")(**options)
    assert library.dtype_name(there) == "int64"
    np.testing.assert_array_equal(library.numpy(there), indices)
    for dtype in ("int64", "int32", "uint64"):
        if library is TORCH and dtype == "uint64":
            continue  # torch cannot index or compare uint64
        back = getattr(us.Switches, f"from_{name}")(library.cast(indices, dtype), (4, 4), 2, **options)
        assert back.windows == switches.windows
        assert back.taps.dtype == switches.taps.dtype
        np.testing.assert_array_equal(library.numpy(back.taps), TAPS)


@pytest.mark.promise("50")
@pytest.mark.parametrize(
    "pooling",
    [
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": (3, 2), "dilation": (1, 2), "ceil_mode": True},
        {"kernel_size": 3, "stride": 2, "padding": "same"},
        {"output_size": (3, 4)},
        {"kernel_size": (17, 16)},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["torch", "tf", "onnx"])
def test_round_trip_of_every_pooling(name: str, pooling: dict[str, Any]) -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * 17 * 19).reshape(2, 3, 17, 19).astype(float)
    pool = us.adaptive_max_pool if "output_size" in pooling else us.max_pool
    _, switches = pool(x, **pooling)
    there = getattr(switches, f"to_{name}")()
    back = getattr(us.Switches, f"from_{name}")(there, (17, 19), **pooling)
    np.testing.assert_array_equal(back.taps, switches.taps)
    assert back.taps.dtype == switches.taps.dtype
    assert back.windows == switches.windows


def test_torch_reads_ours_and_we_read_torch() -> None:
    x = torch.tensor(integers((2, 3, 9, 11), 1))
    values, indices = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    ours, switches = us.max_pool(x, 2)
    assert torch.equal(switches.to_torch(), indices)
    theirs = torch.nn.functional.max_unpool2d(values, indices, 2, output_size=x.shape)
    assert torch.equal(us.max_unpool(ours, us.Switches.from_torch(indices, (9, 11), 2)), theirs)


@every_library
@pytest.mark.parametrize(
    ("kernel", "bits"), [((2, 2), 2), ((2, 1), 2), ((3, 3), 4), ((4, 4), 4), ((1, 1), 2)]
)
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (3, 2, 13, 9), (0, 2, 4, 4)])
def test_packed_and_back(
    library: Backend, kernel: tuple[int, int], bits: int, shape: tuple[int, ...]
) -> None:
    x = library.array(integers(shape, 2))
    _, switches = us.max_pool(x, kernel)
    packed = switches.pack()
    assert packed.bits == bits
    assert packed.data.shape == (-(-int(np.prod(switches.shape)) * bits // 8),)
    back = packed.unpack()
    assert back.windows == switches.windows
    assert back.taps.dtype == switches.taps.dtype
    np.testing.assert_array_equal(library.numpy(back.taps), library.numpy(switches.taps))


def test_packed_bits_are_where_the_docs_say() -> None:
    windows = us.max_pool(np.zeros((1, 1, 10)), 2)[1].windows
    packed = us.Switches(np.array([[[1, 0, 1, 1, 1]]], np.uint8), windows).pack()
    np.testing.assert_array_equal(packed.data, [0b01_01_00_01, 0b01])


def test_packed_data_of_the_wrong_length() -> None:
    _, switches = us.max_pool(np.zeros((1, 1, 10)), 2)
    packed = switches.pack()
    broken = us.PackedSwitches(packed.data[:1], 2, packed.shape, packed.windows)
    with pytest.raises(us.ShapeError) as caught:
        broken.unpack()
    assert str(caught.value) == (
        "PackedSwitches.unpack: data must be 2 bytes for switches of shape (1, 1, 5), got shape (1,)"
    )


@pytest.mark.promise("52")
@pytest.mark.parametrize("window", NO_POOLING, ids=str)
def test_windows_of_no_pooling_reach_no_kernel(window: Any) -> None:
    """Along the other ways: operators that autograd sees, conversions, compiled jax, unpickled windows."""
    taps, indices, numpy = (
        torch.zeros(2, dtype=torch.uint8),
        torch.zeros(2, dtype=torch.int64),
        np.zeros(2, "u1"),
    )
    recorded = torch.ones(2, requires_grad=True)
    again = pickle.loads(pickle.dumps(us.Switches(numpy, (window,))))
    for call in (
        lambda: ut.max_unpool(torch.ones(2), us.Switches(taps, (window,))),
        lambda: ut.max_unpool(recorded, us.Switches(taps, (window,))),
        lambda: ut.max_gather(torch.ones(4, requires_grad=True), us.Switches(taps, (window,))),
        lambda: ut.switches_to_indices(us.Switches(taps, (window,))),
        lambda: ut.indices_to_switches(indices, (window,)),
        lambda: jax.jit(lambda v, t: us.max_unpool(v, us.Switches(t, (window,))))(
            jnp.ones(2), jnp.asarray(numpy)
        ),
        lambda: us.max_unpool(np.ones(2), again),
        lambda: us.max_unpool(np.ones(2), replace(again, taps=numpy.copy())),
    ):
        with pytest.raises(us.ShapeError, match="windows must be such as max pooling makes"):
            call()


def test_windows_of_one_pooling_are_the_same_everywhere() -> None:
    """A stride that nobody takes is left out, by `from_torch` as by the pooling."""
    _, switches = us.max_pool(np.arange(5.0), (3,), stride=2**40)
    assert switches.windows[0].stride == 1
    assert us.Switches.from_torch(switches.to_torch(), (5,), (3,), stride=2**40).windows == switches.windows
    assert us.Switches.from_torch(switches.to_torch(), (5,), (3,), stride=7).windows == switches.windows


def test_size_of_switches() -> None:
    """One byte for windows up to 16x16, where torch stores eight for any."""
    for kernel, dtype in [((16, 16), np.uint8), ((16, 17), np.uint16), ((256, 257), np.uint32)]:
        x = np.zeros((1, 1, 256, 257))
        x[..., kernel[0] - 1, kernel[1] - 1] = 1
        values, switches = us.max_pool(x, kernel)
        assert switches.taps.dtype == dtype
        assert switches.taps[0, 0, 0, 0] == kernel[0] * kernel[1] - 1
        np.testing.assert_array_equal(us.max_gather(x, switches), values)


@every_library
def test_equal_switches_have_the_same_taps_and_windows(library: Backend) -> None:
    switches, again = (us.max_pool(library.array(X), 2)[1] for _ in range(2))
    packed = switches.pack()
    assert (switches == again) is True
    assert (packed == again.pack()) is True
    assert switches == us.max_pool(X, 2)[1]
    assert switches != us.max_pool(library.array(-X), 2)[1]
    assert packed != us.max_pool(library.array(-X), 2)[1].pack()
    assert switches != us.Switches(switches.taps, us.max_pool(X, 2, padding=1, stride=3)[1].windows)
    assert switches != switches[0]
    assert packed != replace(packed, shape=(4, 1, 2, 2))
    assert switches != "no switches"
    assert packed != switches
    with pytest.raises(TypeError, match="unhashable"):
        hash(switches)


INDICES = [0, -1, slice(1), (0, 1), (slice(None), 1), (..., 1), None, np.array([1, 0])]


@every_library
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_index_selects_examples_and_channels(library: Backend, index: Any) -> None:
    values, switches = us.max_pool(library.array(X), (2, 2))
    whole = (slice(None), 1) if isinstance(index, tuple) and index[0] is ... else index
    found = us.max_unpool(values[whole], switches[index])
    np.testing.assert_array_equal(library.numpy(found), library.numpy(us.max_unpool(values, switches))[whole])


@every_library
@pytest.mark.parametrize("index", [(0, 0, 0), (slice(None), 0, slice(1)), (..., 0, 0, 0)], ids=str)
def test_an_index_does_not_reach_into_the_windows(library: Backend, index: Any) -> None:
    switches = us.max_pool(library.array(X), 2)[1]
    with pytest.raises(IndexError, match=r"^Switches: index must be of the axes \(2, 2\) before the windows"):
        switches[index]
    with pytest.raises(TypeError, match="not iterable"):
        iter(switches)  # type: ignore[call-overload]


@every_library
def test_switches_move_to_a_device_and_keep_their_dtype(library: Backend) -> None:
    switches = us.max_pool(library.array(X), 2)[1]
    device = jax.devices()[0] if library is JAX else "cpu"
    assert switches.to(device) == switches
    meta = us.max_pool(torch.tensor(X), 2)[1].to("meta", non_blocking=True)
    assert meta.taps.device.type == "meta"
    with pytest.raises(TypeError, match=r"^Switches.to: device must be a device, got torch.int64"):
        us.max_pool(torch.tensor(X), 2)[1].to(torch.int64)
