"""Which array this is, and what its library calls things.

Any array in, the same kind out. A framework is looked up only where it is already imported, so that
`import unsample` stays NumPy alone. NumPy (from 2.0) and JAX speak the array-API standard themselves;
PyTorch does through array-api-compat.
"""

import sys
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np

from unsample.arrays.dispatch import is_jax_array, is_tensor
from unsample.arrays.packed_weight import PackedWeight
from unsample.geometry.arguments import describe, listed


class SupportsArray(Protocol):
    """What an array must have to be taken: NumPy, PyTorch, JAX and array-API arrays do."""

    @property
    def shape(self) -> Any:
        """Sizes of the axes."""

    @property
    def dtype(self) -> Any:
        """What the elements are."""

    @property
    def ndim(self) -> int:
        """Number of axes."""


ArrayT = TypeVar("ArrayT", bound=SupportsArray)

COPIES = ("bool", "integer", "real", "complex", "float8")
SUMS = ("integer", "real", "complex")
ORDERED = ("bool", "integer", "real")


def namespace(operation: str, kinds: tuple[str, ...] = COPIES, **arrays: Any) -> Any:
    """The array-API namespace of all `arrays`; `bias`, the one optional array, may be None.

    Raises
    ------
    TypeError
        Where an argument is no array, where the arrays are of two libraries, or where the kind of
        their dtype is not one of `kinds`.
    """
    first, xp = "", None
    for name, array in arrays.items():
        if array is None and name == "bias":
            continue
        plain = type(array) is np.ndarray  # the one that calls are counted in microseconds for
        found = np if plain else _namespace_of(operation, name, array)
        if xp is not None and found is not xp:
            raise TypeError(
                f"{operation}: {first} and {name} must be arrays of one library, "
                f"got {_type_name(arrays[first])} and {_type_name(array)}"
            )
        kind = _numpy_kind(array.dtype) if plain else dtype_kind(array.dtype)
        if kind not in kinds:
            raise TypeError(f"{operation}: {name} must be {listed_kinds(kinds)}, got dtype {array.dtype}")
        first, xp = first or name, found
    return xp


def _namespace_of(operation: str, name: str, array: Any) -> Any:
    if isinstance(array, np.ndarray):
        # Subclasses carry meaning (masks, units, matrix products) that would be dropped in silence.
        if type(array) in (np.ndarray, np.memmap) or (name == "weight" and type(array) is PackedWeight):
            return np
        raise TypeError(
            f"{operation}: {name} must be a plain numpy.ndarray, got {_type_name(array)}; "
            f"numpy.asarray(...) converts it and drops what the subclass adds"
        )
    if is_tensor(array):
        return _torch_namespace(operation, name, array)
    if is_jax_array(array):
        return sys.modules["jax.numpy"]
    if hasattr(array, "__array_namespace__") and hasattr(array, "shape"):
        return array.__array_namespace__()
    raise TypeError(f"{operation}: {name} must be a NumPy, PyTorch or JAX array, got {describe(array)}")


def check_dense(operation: str, name: str, x: Any) -> None:
    """Refuse a torch tensor whose elements do not lie in one storage by strides."""
    if x.is_nested or x.is_quantized or str(x.layout) != "torch.strided":
        form = "nested" if x.is_nested else "quantized" if x.is_quantized else x.layout
        raise TypeError(f"{operation}: {name} must be a dense strided tensor, got a {form} one")


class _Lent:
    """What NumPy needs to know of a tensor's memory, and the tensor, so that the memory stays."""

    __slots__ = ("__array_interface__", "tensor")

    def __init__(self, x: Any, dtype: np.dtype[Any]) -> None:
        self.tensor = x
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(x.shape),
            "typestr": dtype.str,
            "data": (x.data_ptr(), False),
            "strides": tuple([step * dtype.itemsize for step in x.stride()]),
        }


def memory_of(x: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The memory of a dense torch tensor on the host, its elements read as `dtype`.

    `Tensor.numpy()` would say the same, and mark the storage for good as one that cannot be resized, which
    FSDP does with the weights of a model.
    """
    return np.asarray(_Lent(x, dtype))


def check_memory(operation: str, name: str, x: Any) -> None:
    """Refuse a torch tensor that is not dense, or whose storage was freed or made too small.

    Reading one reads what others wrote. A zero tensor has no memory and is as good as zeros. Only the host's
    and CUDA's storages tell.

    Raises
    ------
    TypeError, RuntimeError
        The latter as torch has it.
    """
    check_dense(operation, name, x)
    if x.device.type not in ("cpu", "cuda") or not has_values(x) or x.numel() == 0:
        return
    if x.is_contiguous():
        span = x.numel()
    else:
        span = 1 + sum([step * (size - 1) for step, size in zip(x.stride(), x.shape, strict=True)])
    there = x.untyped_storage().nbytes()
    if (x.storage_offset() + span) * x.element_size() > there or (
        x.data_ptr() == 0 and not x._is_zerotensor()
    ):
        raise RuntimeError(
            f"{operation}: {name} must have memory for its elements, got a tensor of shape {tuple(x.shape)} "
            f"whose storage has {there} bytes"
        )


def _torch_namespace(operation: str, name: str, array: Any) -> Any:
    check_memory(operation, name, array)
    try:
        import array_api_compat.torch
    except ImportError:
        raise ImportError(
            f"{operation}: torch tensors need array-api-compat: pip install 'unsample[torch]'"
        ) from None
    return array_api_compat.torch


def _type_name(array: Any) -> str:
    return f"{type(array).__module__}.{type(array).__name__}"


def listed_kinds(kinds: tuple[str, ...]) -> str:
    """'integer, real or complex', without quotes."""
    return listed(kinds).replace("'", "")


def dtype_name(dtype: Any) -> str:
    """float32 for numpy.dtype("float32"), torch.float32 and all the others."""
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def dtype_kind(dtype: Any) -> str:
    """One of "bool", "integer", "real", "complex", "float8", "other", for the dtypes of every library."""
    return _numpy_kind(dtype) if isinstance(dtype, np.dtype) else _kind_of(dtype_name(dtype))


@lru_cache(maxsize=256)
def _numpy_kind(dtype: Any) -> str:
    return _kind_of(dtype_name(dtype))


def _kind_of(name: str) -> str:
    if name == "bool":
        return "bool"
    if name.startswith(("int", "uint")) and name.lstrip("uint").isdigit():
        return "integer"
    if name in ("float16", "bfloat16", "float32", "float64", "longdouble", "float128", "float96"):
        return "real"
    if name.startswith("float8") and name != "float8_e8m0fnu":  # which has no 0
        return "float8"
    return "complex" if name.startswith("complex") and name != "complex32" else "other"


def sum_dtype(xp: Any, dtype: Any) -> Any:
    """The dtype sums of `dtype` are taken in.

    Floats of 8 and 16 bits accumulate in float32; integers and bool as the library's own `sum` has it
    (int64 in NumPy and PyTorch, so that nothing wraps that need not).
    """
    return _numpy_sum(dtype) if xp is np else _sum_of(xp, dtype)


@lru_cache(maxsize=256)
def _numpy_sum(dtype: Any) -> Any:
    return np.dtype(_sum_of(np, dtype))


def _sum_of(xp: Any, dtype: Any) -> Any:
    name = dtype_name(dtype)
    if name in ("float16", "bfloat16") or name.startswith("float8"):
        return xp.float32
    if name in ("int2", "int4", "uint2", "uint4"):  # jax moves them and does not add them up
        return _sum_of(xp, xp.zeros((), dtype=xp.int8 if name.startswith("i") else xp.uint8).dtype)
    if dtype_kind(dtype) in ("bool", "integer"):
        return xp.sum(xp.zeros((1,), dtype=dtype)).dtype
    return native_order(dtype)


def result_dtype(total: Any, dtype: Any) -> Any:
    """What a sum accumulated in dtype `total` over elements of `dtype` is returned as."""
    return total if dtype_kind(dtype) in ("bool", "integer") else native_order(dtype)


def promoted(operation: str, promote: Any, *values: Any) -> Any:
    """`promote(*values)`, their common dtype; torch has none of uint16, 32 and 64 with another integer.

    Raises
    ------
    TypeError
        Where there is none.
    """
    try:
        return promote(*values)
    except RuntimeError:
        dtypes = " and ".join([str(getattr(value, "dtype", value)) for value in values])
        raise TypeError(
            f"{operation}: arrays must have a common dtype, torch knows none of {dtypes}"
        ) from None


def native_order(dtype: Any) -> Any:
    """The dtype in this machine's byte order; only NumPy has others."""
    return dtype.newbyteorder("=") if isinstance(dtype, np.dtype) else dtype


def cast(xp: Any, x: Any, dtype: Any) -> Any:
    """`x` in `dtype`, itself where it is that already."""
    return x if x.dtype == dtype else xp.astype(x, dtype)


def contiguous(x: Any) -> Any:
    """`x` in C order: a library's `sum` adds in the order of memory, and results must not depend on that."""
    if hasattr(x, "new_zeros"):
        return x.contiguous()
    return np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x


def zeros(x: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Zeros of the library, device and (unless given) dtype of `x`."""
    dtype = x.dtype if dtype is None else dtype
    if hasattr(x, "new_zeros"):  # torch: stays batched under vmap, which torch.zeros would not
        return x.new_zeros(shape, dtype=dtype)
    if isinstance(x, np.ndarray):
        return np.zeros(shape, dtype=native_order(dtype))
    return x.__array_namespace__().zeros(shape, dtype=dtype)


def constant(x: Any, values: Any, dtype: Any = None) -> Any:
    """Host numbers as an array of the library and device of `x`; int64 positions by default."""
    dtype = position_dtype(x) if dtype is None else dtype
    if hasattr(x, "new_tensor"):
        # x.new_tensor would fail for a negated or conjugated view.
        return sys.modules["torch"].tensor(np.asarray(values), dtype=dtype, device=x.device)
    if isinstance(x, np.ndarray):
        return np.asarray(values).astype(dtype)
    return x.__array_namespace__().asarray(np.asarray(values), dtype=dtype)


def position_dtype(x: Any) -> Any:
    """int64 in the library of `x`, or 32 bits where jax is told to keep to those."""
    if hasattr(x, "new_tensor"):
        return sys.modules["torch"].int64
    if isinstance(x, np.ndarray):
        return np.dtype(np.int64)
    return x.__array_namespace__().__array_namespace_info__().default_dtypes()["integral"]


def to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """The values of `x` on the host, to look at."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x) if hasattr(x, "__array__") else np.from_dlpack(x)


def has_values(x: Any) -> bool:
    """Whether the elements of `x` can be looked at: not while a framework traces, maps or fakes."""
    if is_tensor(x):
        torch = sys.modules["torch"]
        plain = type(x) in (torch.Tensor, torch.nn.Parameter) and x.device.type != "meta"
        # functorch (vmap, grad, jvp) wraps tensors without a type of their own.
        wrapped = torch._C._functorch.is_functorch_wrapped_tensor(x)
        return plain and not wrapped and not torch.compiler.is_compiling()
    return not is_jax_array(x) or not isinstance(x, sys.modules["jax"].core.Tracer)
