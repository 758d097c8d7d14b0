"""The convolution kernels through ctypes: a NumPy call for checks and timings during development."""

import ctypes
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

MAX_RANK = 6
ELEMENTS = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}
FOLDS = {"zeros": 0, "circular": 1, "reflect": 2, "replicate": 3}
TIERS = {"baseline": 0, "avx2": 1, "avx512": 2}

BUILT = Path(__file__).parents[2] / "build/bench_conv/libconv.so"
I64 = ctypes.c_int64
Axes = I64 * MAX_RANK


def load(path: Path = BUILT) -> ctypes.CDLL:
    """The library that build.sh made, or an earlier one to compare with."""
    lib = ctypes.CDLL(str(path))
    lib.conv_plan_new.restype = ctypes.c_void_p
    lib.conv_plan_packed_bytes.restype = I64
    lib.conv_plan_packed_bytes.argtypes = [ctypes.c_void_p]
    lib.conv_plan_free.argtypes = [ctypes.c_void_p]
    lib.conv_run.argtypes = [*[ctypes.c_void_p] * 6, *[ctypes.c_int] * 2]
    lib.weight_grad_plan_new.restype = ctypes.c_void_p
    lib.weight_grad_plan_free.argtypes = [ctypes.c_void_p]
    lib.weight_grad_run.argtypes = [*[ctypes.c_void_p] * 4, ctypes.c_int]
    return lib


LIB = load()


class Shape(ctypes.Structure):
    """ConvShape of conv_plan.h."""

    _fields_ = [
        ("element", ctypes.c_int32),
        ("transposed", ctypes.c_bool),
        *((name, I64) for name in ("rank", "batch", "groups", "in_channels", "out_channels")),
        *((name, Axes) for name in ("in_size", "out_size", "kernel", "stride", "dilation", "before")),
        ("fold", ctypes.c_int32 * MAX_RANK),
        ("in_strides", I64 * (MAX_RANK + 2)),
        ("out_strides", I64 * (MAX_RANK + 2)),
    ]


def empty(shape: tuple[int, ...], dtype: Any, layout: str) -> np.ndarray:
    """An array (N, C, *spatial) that lies channels "first" or "last" in memory, from a cache line on."""
    stored = (shape[0], *shape[2:], shape[1]) if layout == "last" else shape
    size = np.dtype(dtype).itemsize * math.prod(stored)
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array = memory[start : start + size].view(dtype).reshape(stored)
    return np.moveaxis(array, -1, 1) if layout == "last" else array


def _shape(windows: Any, source: np.ndarray, out: np.ndarray, groups: int, transposed: bool) -> Shape:
    s = Shape()
    s.element, s.transposed = ELEMENTS[source.dtype.name], transposed
    s.rank, s.batch, s.groups = len(windows), source.shape[0], groups
    s.in_channels, s.out_channels = source.shape[1], out.shape[1]
    for a, w in enumerate(windows):
        s.in_size[a], s.out_size[a] = (w.coarse, w.fine) if transposed else (w.fine, w.coarse)
        s.kernel[a], s.stride[a], s.dilation[a], s.before[a] = w.size, w.stride, w.dilation, w.before
        s.fold[a] = FOLDS[w.mode]
    for a in range(source.ndim):
        s.in_strides[a] = source.strides[a] // source.itemsize
        s.out_strides[a] = out.strides[a] // out.itemsize
    return s


class Call:
    """One planned call of conv or conv_transpose."""

    def __init__(
        self,
        windows: Any,
        x: np.ndarray,
        weight: np.ndarray,
        out: np.ndarray,
        *,
        groups: int = 1,
        transposed: bool,
        tier: str = "avx2",
        bias: np.ndarray | None = None,
        lib: ctypes.CDLL = LIB,
    ) -> None:
        self.lib = lib
        s = _shape(windows, x, out, groups, transposed)
        self.plan = self.lib.conv_plan_new(ctypes.byref(s), TIERS[tier])
        assert self.plan, "no plan"
        assert weight.flags.c_contiguous
        self.arrays = (x, weight, bias, out)
        self.packed = np.empty(self.lib.conv_plan_packed_bytes(self.plan) // 4 + 16, np.float32)
        self.packed_at = (self.packed.ctypes.data + 63) // 64 * 64

    def __del__(self) -> None:
        if getattr(self, "plan", None):
            self.lib.conv_plan_free(self.plan)

    def run(self, threads: int = 1, stages: int = 3) -> np.ndarray:
        """Stages: 1 packs the weight, 2 multiplies with what that packed, 3 is an ordinary call."""
        x, weight, bias, out = self.arrays
        pointers = [None if a is None else a.ctypes.data for a in (x, weight, bias, out)]
        packed = None if stages == 3 else self.packed_at
        self.lib.conv_run(self.plan, *pointers, packed, threads, stages)
        return out


class WeightGrad:
    """One planned call of conv_weight_grad."""

    def __init__(
        self,
        windows: Any,
        x: np.ndarray,
        y: np.ndarray,
        out: np.ndarray,
        *,
        groups: int = 1,
        tier: str = "avx2",
        lib: ctypes.CDLL = LIB,
    ) -> None:
        self.lib = lib
        s = _shape(windows, x, y, groups, False)
        self.plan = self.lib.weight_grad_plan_new(ctypes.byref(s), TIERS[tier])
        assert self.plan, "no plan"
        assert out.flags.c_contiguous
        self.arrays = (x, y, out)

    def __del__(self) -> None:
        if getattr(self, "plan", None):
            self.lib.weight_grad_plan_free(self.plan)

    def run(self, threads: int = 1) -> np.ndarray:
        """The weight's gradient."""
        pointers = [a.ctypes.data for a in self.arrays]
        self.lib.weight_grad_run(self.plan, *pointers, threads)
        return self.arrays[-1]


def peak(tier: str, lib: ctypes.CDLL = LIB) -> float:
    """Multiply-adds a second of this thread, now."""
    function = lib["peak_" + tier]
    function.restype = I64
    sums = np.full(64, 1e-3, np.float32)
    start = time.process_time()
    made = function(I64(200_000), ctypes.c_void_p(sums.ctypes.data))
    return made / (time.process_time() - start)


def macs(windows: Any, x: np.ndarray, weight: np.ndarray) -> int:
    """Multiply-adds of the whole call, padding left out."""
    from unsample.geometry.plan import meetings

    return x.shape[0] * math.prod(weight.shape[:2]) * meetings(windows)
