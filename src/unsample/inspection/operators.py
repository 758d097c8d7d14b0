"""What the program of a file may call: a list of names, and what may be said to them.

A name stands in the file as `torch.ops.aten.conv2d.default`, `_operator.mul` or `math.trunc`. It is compared
with the lists here; no name of the file is looked up anywhere else. Operators compute on shapes alone
(`FakeTensorMode`), under limits: `Limits` counts calls and pieces, and measures results.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from unsample.errors import ShapeError

CALLS = 2**16  # operators of one run
PIECES = 2**14  # results of one operator
ELEMENTS = 2**48  # of a result
RANK = 32
INTEGER = 2**31  # an argument of an operator; kernels multiply two of them in 64 bits
END = 2**63 - 1  # "to the end" of a slice

# Functions of tensors without a name of a file, a device or a thread among their arguments. Those in place
# ("add_") are the same names.
ATEN = frozenset(
    """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_async _assert_scalar _assert_tensor_metadata
    _batch_norm_with_update _batch_norm_with_update_functional _conj _conv_depthwise2d _convolution
    _convolution_mode _embedding_bag _fft_c2c _fft_c2r _fft_r2c _functional_assert_async
    _functional_assert_scalar _functional_sym_constrain_range _functional_sym_constrain_range_for_size
    _local_scalar_dense _log_softmax _native_batch_norm_legit _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training _prelu_kernel _reshape_alias _reshape_copy _safe_softmax
    _scaled_dot_product_cudnn_attention _scaled_dot_product_efficient_attention
    _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
    _scaled_dot_product_fused_attention_overrideable _softmax _to_copy _unsafe_index _unsafe_index_put
    _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm _weight_norm_interface
    abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm addmv addr affine_grid_generator
    alias all alpha_dropout amax amin aminmax angle any arange arccos arccosh arcsin arcsinh arctan arctan2
    arctanh argmax argmin argsort as_strided asin asinh atan atan2 atanh atleast_1d atleast_2d atleast_3d
    avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bernoulli bilinear bitwise_and bitwise_left_shift
    bitwise_not bitwise_or bitwise_right_shift bitwise_xor block_diag bmm broadcast_tensors broadcast_to
    bucketize cat cdist ceil celu channel_shuffle chunk clamp clamp_max clamp_min clip clone col2im
    column_stack complex concat concatenate conj constant_pad_nd contiguous conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d convolution copy copysign cos cosh cosine_similarity
    count_nonzero cross cummax cummin cumprod cumsum deg2rad detach detach_copy diag diag_embed diagonal
    diagonal_copy diagonal_scatter diff dist div divide dot dropout einsum elu embedding embedding_bag empty
    empty_like empty_permuted empty_strided eq equal erf erfc erfinv exp exp2 expand expand_as expand_copy
    expm1 exponential eye feature_alpha_dropout feature_dropout fill fix flatten flip fliplr flipud
    float_power floor floor_divide fmax fmin fmod frac full full_like gather ge gelu glu greater
    greater_equal grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gru_cell gt hardshrink
    hardsigmoid hardswish hardtanh heaviside hstack huber_loss hypot im2col imag index index_add index_copy
    index_fill index_put index_reduce index_select inner instance_norm is_complex is_floating_point isclose
    isfinite isin isinf isnan isneginf isposinf isreal item kthvalue l1_loss layer_norm le leaky_relu lerp
    less less_equal lift lift_fresh lift_fresh_copy linalg_cross linalg_norm linalg_vector_norm linear
    linspace log log10 log1p log2 log_sigmoid log_sigmoid_forward log_softmax logaddexp logaddexp2
    logcumsumexp logical_and logical_not logical_or logical_xor logit logspace logsumexp lstm lstm_cell lt
    mH mT masked_fill masked_scatter masked_select matmul matrix_H max max_pool1d max_pool1d_with_indices
    max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d maximum
    mean median meshgrid min minimum mish mm moveaxis movedim mse_loss mul multiply mv nan_to_num nanmean
    nansum narrow narrow_copy native_batch_norm native_channel_shuffle native_dropout native_group_norm
    native_layer_norm ne neg negative new_empty new_empty_strided new_full new_ones new_zeros nonzero norm
    normal not_equal numel numpy_T one_hot ones ones_like outer pad permute permute_copy pixel_shuffle
    pixel_unshuffle polar positive pow prelu prod rad2deg rand rand_like randint randint_like randn
    randn_like randperm ravel real reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6
    remainder renorm repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape
    reshape_as resolve_conj resolve_neg rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90
    round rrelu rsqrt rsub scaled_dot_product_attention scalar_tensor scatter scatter_add scatter_reduce
    searchsorted select select_copy select_scatter selu sgn sigmoid sign signbit silu sin sinc sinh slice
    slice_copy slice_scatter smooth_l1_loss softmax softplus softshrink sort special_erf special_expit
    special_expm1 special_log1p special_softmax split split_copy split_with_sizes split_with_sizes_copy sqrt
    square squeeze squeeze_copy stack std std_mean sub subtract sum sum_to_size swapaxes swapdims
    sym_constrain_range sym_constrain_range_for_size sym_numel sym_size sym_storage_offset sym_stride t
    t_copy take take_along_dim tan tanh tensor_split tensordot threshold tile to topk trace transpose
    transpose_copy tril tril_indices triu triu_indices true_divide trunc type_as unbind unbind_copy unflatten
    unfold unfold_copy uniform unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_copy
    upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
    upsample_nearest3d upsample_trilinear3d var var_mean view view_as view_as_complex view_as_real view_copy
    vstack where xlogy zero zeros zeros_like
    """.split()  # noqa: SIM905 - one name after the other reads best
)
# In these a string is a word: a mode, an equation, a sentence.
WORDS = frozenset(
    (
        *("_assert_scalar", "_functional_assert_scalar", "_convolution_mode", "conv1d", "conv2d", "conv3d"),
        *("div", "divide", "einsum", "gelu", "index_reduce", "meshgrid", "pad", "scatter"),
        *("scatter_reduce", "searchsorted"),
    )
)


def _power(a: Any, b: Any) -> Any:
    return float(a) ** float(b) if abs(b) > 64 or abs(a) > INTEGER else a**b


def _integer(a: Any) -> int:
    return int(a)


# Arithmetic with sizes.
SCALAR: Mapping[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in ("add", "sub", "mul", "floordiv", "mod", "truediv", "neg", "pos", "abs")
    },
    **{f"_operator.{name}": getattr(operator, name) for name in ("eq", "ne", "le", "lt", "ge", "gt")},
    "_operator.and_": lambda a, b: a & b,
    "_operator.or_": lambda a, b: a | b,
    "_operator.pow": _power,
    "math.trunc": math.trunc,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "torch.sym_int": _integer,
    "torch.sym_float": float,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_not": operator.not_,
    "torch.sym_ite": lambda a, b, c: b if a else c,
    **{f"torch.{name}": math.sqrt for name in ("sym_sqrt", "_sym_sqrt")},
}


def scalar(name: str, given: Sequence[Any]) -> Any:
    """The result of arithmetic with sizes."""
    if not all(isinstance(each, bool | int | float) for each in given):
        raise ShapeError(f"inspect: {name} in a file must be given numbers")
    found = SCALAR[name](*given)
    if not isinstance(found, bool | int | float) or abs(found) > END:
        raise ShapeError(f"inspect: {name} in a file must make a number below 2**63")
    return found


def operator_of(target: str) -> Any:
    """The operator of a name such as `torch.ops.aten.conv2d.default`.

    Raises
    ------
    ShapeError
        Where the name is on no list.
    """
    parts = target.split(".")
    if len(parts) == 5 and parts[:2] == ["torch", "ops"]:
        space, name, overload = parts[2:]
        if space == "aten" and name.removesuffix("_") in ATEN and not name.endswith("__"):
            packet = getattr(torch.ops.aten, name, None)
            if packet is not None and overload in packet.overloads():
                return getattr(packet, overload)
        if space == "unsample" and overload == "default":
            from unsample.torch.operators import SCHEMAS

            if name in SCHEMAS:
                return getattr(torch.ops.unsample, name).default
    raise ShapeError(
        "inspect: the program of a file must call operators of torch.ops.aten and torch.ops.unsample that "
        f"work on tensors alone, got {target[:80]!r}; inspect the module itself"
    )


def check_arguments(found: Any, given: Mapping[str, Any]) -> None:
    """Refuse what an operator has no argument for, words where it reads none, integers without a bound."""
    schema = {argument.name: argument.type for argument in found._schema.arguments}
    name = found.overloadpacket.__name__.removesuffix("_")
    for key, value in given.items():
        if key not in schema:
            raise ShapeError(f"inspect: {found} in a file must not be given {key[:40]!r}")
        kind = str(schema[key])
        values = value if isinstance(value, list | tuple) else (value,)
        if len(values) > PIECES:
            raise ShapeError(
                f"inspect: {found} in a file must be given at most {PIECES} values, got {len(values)}"
            )
        for each in values:
            if isinstance(each, str) and not (found.namespace == "unsample" or name in WORDS):
                raise ShapeError(f"inspect: {found} in a file must not be given words, got {each[:40]!r}")
            if type(each) is int and abs(each) >= INTEGER and "number" not in kind and each != END:
                raise ShapeError(f"inspect: {found} in a file must be given integers below 2**31, got {each}")


class Limits(TorchDispatchMode):
    """Holds one run to the limits above, the operators included that operators are made of."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.calls += 1
        if self.calls > CALLS:
            raise ShapeError(f"a program of a file may call at most {CALLS} operators")
        pieces = _pieces(func, args)
        if pieces > PIECES:
            raise ShapeError(f"{func} of a file may make at most {PIECES} results, not {pieces}")
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, list | tuple) else (out,):
            if isinstance(each, torch.Tensor) and (each.ndim > RANK or math.prod(each.shape) > ELEMENTS):
                raise ShapeError(f"{func} of a file may make at most {RANK} axes and 2**48 elements")
        return out


def _pieces(func: Any, args: Sequence[Any]) -> int:
    """How many results a splitting operator makes; known before they are made."""
    name = func.overloadpacket.__name__
    if name.startswith("unbind"):
        dim = args[1] if len(args) > 1 else 0
        return int(args[0].shape[dim]) if args[0].ndim else 0
    if name.startswith(("split", "unsafe_split")) and "with_sizes" not in name and isinstance(args[1], int):
        dim = args[2] if len(args) > 2 else 0
        return -(-int(args[0].shape[dim]) // max(args[1], 1)) if args[0].ndim else 0
    if "chunk" in name or name == "tensor_split":
        return args[1] if isinstance(args[1], int) else 0
    return 0
