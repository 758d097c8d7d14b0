"""How each library is asked for a workload: prepare once, then call.

`PEERS[name](suite, workload, layout)` returns (call, result): `call()` does the work once, `result()` gives
what it made as a NumPy array. None stands for what a library does not have.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from workloads import Move, Transposed

Call = Callable[[], Any]
Prepared = tuple[Call, Call] | None


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same array, channels innermost in memory."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).transpose(0, -1, *range(1, x.ndim - 1))


def _kept(call: Call, convert: Callable[[Any], np.ndarray] = np.asarray) -> tuple[Call, Call]:
    return call, lambda: convert(call())


# -- unsample ------------------------------------------------------------------------------------------------


def ours(suite: str, work: Any, layout: str) -> Prepared:
    """Ours: unsample on NumPy arrays."""
    import unsample as us

    if isinstance(work, Move):
        return _our_move(suite, work, layout)
    x, w, g = work.arrays()
    if layout == "channels_last":
        x, g = channels_last(x), channels_last(g)
    if suite == "training step":
        back = {key: value for key, value in work.options.items() if key != "output_padding"}

        def step() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            y = us.conv_transpose(x, w, **work.options)
            return y, us.conv(g, w, **back), us.conv_weight_grad(g, x, work.kernel, **back)

        return step, lambda: np.concatenate([each.ravel() for each in step()])
    if suite.endswith("out="):
        out = us.conv_transpose(x, w, **work.options)
        return _kept(lambda: us.conv_transpose(x, w, **work.options, out=out))
    return _kept(lambda: us.conv_transpose(x, w, **work.options))


def _our_move(suite: str, work: Move, layout: str) -> Prepared:
    import unsample as us

    maps = Maps(work, layout)
    factor = (work.window,) * (len(work.shape) - 2)
    pool = {"stride": 2, "padding": maps.padding}
    if work.operation == "max_unpool":
        maps.pooled = us.max_pool(maps.large, work.window, **pool)
        del maps.large
    calls: dict[str, Callable[..., Any]] = {
        "max_pool": lambda **out: us.max_pool(maps.large, work.window, **pool, **out),
        "max_unpool": lambda **out: us.max_unpool(*maps.pooled, **out),
        "nearest": lambda **out: us.nearest(maps.small, factor, **out),
        "bed_of_nails": lambda **out: us.bed_of_nails(maps.small, factor, **out),
        "pixel_shuffle": lambda **out: us.pixel_shuffle(maps.small, work.window, **out),
    }
    call = calls[work.operation]
    first = (lambda found: found[0]) if work.operation == "max_pool" else (lambda found: found)
    if suite.endswith("out="):
        out = call()
        return _kept(lambda: call(out=out), first)
    return _kept(call, first)


class Maps:
    """The maps of a movement, made when they are asked for: some fill a quarter of the memory."""

    def __init__(self, work: Move, layout: str = "nchw") -> None:
        self.work = work
        self.laid_out = channels_last if layout == "channels_last" else np.asarray
        self.padding = 1 if work.window == 3 else 0
        self.pooled: Any = None

    @cached_property
    def large(self) -> np.ndarray:
        """The fine side."""
        return self.laid_out(np.random.default_rng(0).standard_normal(self.work.shape, dtype=np.float32))

    @cached_property
    def small(self) -> np.ndarray:
        """The coarse side."""
        return self.laid_out(np.random.default_rng(1).standard_normal(self.work.coarse, dtype=np.float32))


# -- PyTorch -------------------------------------------------------------------------------------------------


def torch_eager(suite: str, work: Any, layout: str) -> Prepared:
    """PyTorch in its default layout, or with the channels_last memory format."""
    import torch

    if suite.endswith("out="):
        return None
    if isinstance(work, Move):
        return _torch_move(work, layout)
    if layout == "channels_last" and work.rank == 1:
        return None  # torch has no such format
    x, w, g = (torch.from_numpy(each) for each in work.arrays())
    if layout == "channels_last":
        kind = torch.channels_last if work.rank == 2 else torch.channels_last_3d
        x, w, g = (each.to(memory_format=kind) for each in (x, w, g))
    function = getattr(torch.nn.functional, f"conv_transpose{work.rank}d")
    if suite == "training step":
        x, w = x.requires_grad_(), w.requires_grad_()

        def step() -> tuple[Any, ...]:
            y = function(x, w, **work.options)
            return (y.detach(), *torch.autograd.grad(y, (x, w), g))

        return step, lambda: np.concatenate([each.numpy().ravel() for each in step()])

    def call() -> Any:
        with torch.inference_mode():
            return function(x, w, **work.options)

    return _kept(call, lambda y: y.numpy())


def torch_compiled(suite: str, work: Any, layout: str) -> Prepared:
    """torch.compile of the same call."""
    import torch

    if suite != "conv_transpose" or layout != "nchw":
        return None
    x, w, _ = (torch.from_numpy(each) for each in work.arrays())
    function = getattr(torch.nn.functional, f"conv_transpose{work.rank}d")
    compiled = torch.compile(lambda x, w: function(x, w, **work.options))

    def call() -> Any:
        with torch.inference_mode():
            return compiled(x, w)

    return _kept(call, lambda y: y.numpy())


def _torch_move(work: Move, layout: str) -> Prepared:
    import torch
    from torch.nn import functional as F

    maps, window = Maps(work, layout), work.window
    kind = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    if work.operation in ("max_pool", "max_unpool"):
        large = torch.from_numpy(maps.large)
    else:
        small = torch.from_numpy(maps.small)
    if work.operation == "max_unpool":
        pooled = F.max_pool2d(large, window, 2, maps.padding, return_indices=True)
        del large, maps.large

    def nails() -> Any:  # torch has none; this is how its users write it
        out = torch.empty(work.shape, memory_format=kind).zero_()
        out[..., ::window, ::window] = small
        return out

    calls: dict[str, Call] = {
        "max_pool": lambda: F.max_pool2d(large, window, 2, maps.padding, return_indices=True),
        "max_unpool": lambda: F.max_unpool2d(*pooled, window, 2, maps.padding, output_size=work.shape[2:]),
        "nearest": lambda: F.interpolate(small, scale_factor=window, mode="nearest"),
        "bed_of_nails": nails,
        "pixel_shuffle": lambda: F.pixel_shuffle(small, window),
    }
    inner = calls[work.operation]

    def call() -> Any:
        with torch.inference_mode():
            return inner()

    if work.operation == "max_pool":
        return _kept(call, lambda found: found[0].numpy())
    return _kept(call, lambda y: y.numpy())


# -- the others ----------------------------------------------------------------------------------------------


def _onnx_model(work: Transposed) -> bytes:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    x, w, g = work.arrays()
    rank = work.rank
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w"],
        ["y"],
        strides=[work.stride] * rank,
        pads=[work.padding] * 2 * rank,
        output_padding=[work.output_padding] * rank,
        group=work.groups,
        kernel_shape=[work.kernel] * rank,
    )
    graph = helper.make_graph(
        [node],
        "workload",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, g.shape)],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    text: bytes = model.SerializeToString()
    return text


def onnxruntime(suite: str, work: Any, layout: str, threads: int) -> Prepared:
    """ONNX Runtime's CPU provider."""
    import onnxruntime as ort

    if suite != "conv_transpose" or layout != "nchw":
        return None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(_onnx_model(work), options, providers=["CPUExecutionProvider"])
    x = work.arrays()[0]
    return _kept(lambda: session.run(None, {"x": x})[0])


def openvino(suite: str, work: Any, layout: str, threads: int) -> Prepared:
    """OpenVINO's CPU plugin, asked for the lowest latency."""
    import openvino as ov

    if suite != "conv_transpose" or layout != "nchw":
        return None
    core = ov.Core()
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(core.read_model(_onnx_model(work)), "CPU", config).create_infer_request()
    x = work.arrays()[0]

    def call() -> Any:
        request.infer({0: x}, share_inputs=True)
        return request.get_output_tensor().data

    return _kept(call)


def jax(suite: str, work: Any, layout: str) -> Prepared:
    """jax.lax.conv_general_dilated under jit, as its users write a transposed convolution."""
    import jax as framework

    if suite != "conv_transpose" or layout != "nchw":
        return None
    x, w, _ = work.arrays()
    rank, g = work.rank, work.groups
    # (in, out / g, k) flipped, as (in / g, out, k): lax has groups of the forward convolution only.
    flipped = np.flip(w, tuple(range(2, w.ndim)))
    grouped = flipped.reshape(g, work.c_in // g, work.c_out // g, *w.shape[2:])
    kernel = np.moveaxis(grouped, 0, 1).reshape(work.c_in // g, work.c_out, *w.shape[2:])
    low = work.kernel - 1 - work.padding
    names = ("N", "C", *"DHW"[3 - rank :])
    spec = ("".join(names), "IO" + "DHW"[3 - rank :], "".join(names))
    compiled = framework.jit(
        lambda x, w: framework.lax.conv_general_dilated(
            x,
            w,
            (1,) * rank,
            [(low, low + work.output_padding)] * rank,
            lhs_dilation=(work.stride,) * rank,
            dimension_numbers=spec,
            feature_group_count=g,
        )
    )
    on_device = framework.device_put(x), framework.device_put(np.ascontiguousarray(kernel))
    return _kept(lambda: compiled(*on_device).block_until_ready())


def reference(suite: str, work: Any, layout: str) -> Prepared:
    """float64, and the sum of the absolute terms: the truth and what rounding may do to it."""
    import torch

    x, w, g = (torch.from_numpy(each).double() for each in work.arrays())
    function = getattr(torch.nn.functional, f"conv_transpose{work.rank}d")

    def made(x: Any, w: Any, g: Any) -> np.ndarray:
        if suite != "training step":
            found: np.ndarray = function(x, w, **work.options).numpy()
            return found
        x, w = x.requires_grad_(), w.requires_grad_()
        y = function(x, w, **work.options)
        parts = (y.detach(), *torch.autograd.grad(y, (x, w), g))
        return np.concatenate([each.numpy().ravel() for each in parts])

    return (lambda: None), lambda: np.stack([made(x, w, g), made(x.abs(), w.abs(), g.abs())])


PEERS: dict[str, tuple[Callable[..., Prepared], tuple[str, ...]]] = {
    "unsample": (ours, ("nchw", "channels_last")),
    "torch": (torch_eager, ("nchw", "channels_last")),
    "torch.compile": (torch_compiled, ("nchw",)),
    "onnxruntime": (onnxruntime, ("nchw",)),
    "openvino": (openvino, ("nchw",)),
    "jax": (jax, ("nchw",)),
    "reference": (reference, ("nchw",)),
}
