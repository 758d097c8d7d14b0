"""The operations as primitives of jax, so that its transformations see the pairs and not their taps.

One primitive per definition in `unsample.ops`, with the same arguments, made of the record; a plan fixes
everything but the elements, and so the transpose of each is its partner with the plan turned round. That
closes over derivatives of every order and mode. Mapping adds a leading axis to the plan, or groups to a
convolution. What computes is decided where a program is lowered: on the CPU the compiled kernels
(`kernels.py`), where there are some that take the arrays; elsewhere the definition, or `conv_in_lax.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from unsample import cache
from unsample.arrays.dispatch import IMPLEMENTATIONS
from unsample.arrays.library import dtype_kind, result_dtype, sum_dtype
from unsample.geometry.arguments import known
from unsample.geometry.plan import Plan
from unsample.geometry.window import AdaptiveWindow
from unsample.jax import conv_in_lax, kernels
from unsample.jax.partition import Leads, divided, laid_out, tell_devices
from unsample.operation import Operation
from unsample.ops import conv as convolutions
from unsample.ops import pool, resize, unpool
from unsample.pairs import OPERATIONS
from unsample.switches import switch_dtype

Rule = Callable[..., Any]


def primitive(
    name: str,
    anywhere: Rule,
    on_cpu: Rule,
    dtypes: Rule,
    several: bool = False,
    leads: Leads = "everything",
    inner: int = 0,
) -> Primitive:
    """A primitive called as `bind(*arrays, plan=..., **static)`, of which `anywhere` is the meaning.

    Parameters
    ----------
    name : str
    anywhere, on_cpu : callable
        What computes it, called like `bind`; the second on the CPU.
    dtypes : callable
        The dtypes of the results, called with the arrays and the static arguments without the plan.
    several : bool
        Whether it gives a list of results, all of the plan's output shape.
    leads, inner
        Which of its axes devices may divide, as in `divided`.
    """
    made = Primitive(f"unsample_{name}")
    made.multiple_results = several

    def shapes(*arrays: Any, plan: Plan, **static: Any) -> Any:
        # `update` keeps how an array is spread over devices.
        found = [
            arrays[0].update(shape=plan.output_shape, dtype=jnp.dtype(dtype), weak_type=False)
            for dtype in dtypes(*arrays, plan=plan, **static)
        ]
        return found if several else found[0]

    def eagerly(*arrays: Any, **static: Any) -> Any:
        with jax.disable_jit(False):
            return _compiled(made, tuple(static.items()))(*arrays)

    made.def_impl(eagerly)
    made.def_abstract_eval(shapes)
    mlir.register_lowering(made, mlir.lower_fun(anywhere, multiple_results=several))
    tell_devices(made)
    parted = divided(on_cpu, leads, inner)
    mlir.register_lowering(made, mlir.lower_fun(parted, multiple_results=several), platform="cpu")
    return made


def _compiled(made: Primitive, static: tuple[tuple[str, Any], ...]) -> Any:
    key = _compiled, made, static
    found = cache.find(key)
    if found is None:
        found = jax.jit(partial(made.bind, **dict(static)))
        cache.keep(key, found, _PROGRAM + _table_bytes(dict(static)["plan"]))
    return found


_PROGRAM = 50_000  # bytes of a small program of XLA, about


def _table_bytes(plan: Plan) -> int:
    """Bytes of the tables that a program holds: those of its windows, or the terms of its resizes."""
    windows = [w.coarse for w in plan.windows if isinstance(w, AdaptiveWindow)]
    return 16 * sum(windows) + sum(24 * r.slots * r.target for r in plan.resamples if r.target)


def _same(x: Any, *others: Any, **static: Any) -> list[Any]:
    return [x.dtype]


def _summed(x: Any, **static: Any) -> list[Any]:
    return [result_dtype(sum_dtype(jnp, x.dtype), x.dtype)]


def turned(plan: Plan) -> Plan:
    """The plan of the transpose."""
    return replace(plan, input_shape=plan.output_shape, output_shape=plan.input_shape)


# -- rules --------------------------------------------------------------------------------------------------


def _is_zero(x: Any) -> bool:
    return type(x) is ad.Zero


def _zero(x: Any) -> Any:
    """The tangent of what does not change."""
    return ad.Zero(x.aval.to_tangent_aval())


def _nothing(x: Any) -> Any:
    """The cotangent of what nobody has used."""
    return ad.Zero(x.aval) if ad.is_undefined_primal(x) else None


def pair(one: Primitive, other: Primitive, turn: Rule = lambda static: static) -> None:
    """Each is the transpose of the other in its first array; `turn` maps the static arguments of `one`."""
    for down, up in ((one, other), (other, one)):
        ad.primitive_jvps[down] = partial(_linear_jvp, down)
        ad.primitive_transposes[down] = partial(_linear_transpose, up, turn)


def _linear_jvp(made: Primitive, arrays: Any, tangents: Any, **static: Any) -> Any:
    result = made.bind(*arrays, **static)
    if _is_zero(tangents[0]):
        return result, _zero(result)
    return result, made.bind(tangents[0], *arrays[1:], **static)


def _linear_transpose(partner: Primitive, turn: Rule, ct: Any, x: Any, *rest: Any, **static: Any) -> Any:
    if _is_zero(ct):
        return [_nothing(x), *(None for _ in rest)]
    static = turn({**static, "plan": turned(static["plan"])})
    return [partner.bind(ct, *rest, **static), *(None for _ in rest)]


def mapped_in_front(made: Primitive) -> None:
    """The rule of vmap: the arrays take any number of leading axes."""

    def rule(arrays: Any, axes: Any, *, plan: Plan, **static: Any) -> Any:
        size = _mapped_size(arrays, axes)
        arrays = [batching.bdim_at_front(x, axis, size) for x, axis in zip(arrays, axes, strict=True)]
        plan = replace(plan, input_shape=(size, *plan.input_shape), output_shape=(size, *plan.output_shape))
        result = made.bind(*arrays, plan=plan, **static)
        return result, [0] * len(result) if made.multiple_results else 0

    batching.primitive_batchers[made] = rule


def _mapped_size(arrays: Sequence[Any], axes: Sequence[Any]) -> Any:
    sizes = [x.shape[axis] for x, axis in zip(arrays, axes, strict=True) if _is_mapped(axis)]
    return sizes[0]


def _is_mapped(axis: Any) -> bool:
    return axis is not None


# -- moving and summing ------------------------------------------------------------------------------------


def _inner(name: str) -> int:
    """The channels of a pixel shuffle go into its windows."""
    return int("shuffle" in name)


def _move(name: str, definition: Rule, dtypes: Rule = _same) -> Primitive:
    kernel = kernels.MOVES.get(name)
    on_cpu = partial(kernel, definition) if kernel else definition
    if not OPERATIONS[name].sums:
        definition, on_cpu = kernels.by_bytes(definition), kernels.by_bytes(on_cpu)
    made = primitive(name, definition, on_cpu, dtypes, inner=_inner(name))
    mapped_in_front(made)
    return made


# One of every operation that has one array and windows; what has more, or none, has a place below.
PLAIN: dict[str, Primitive] = {
    name: _move(name, operation.definition, _summed if operation.sums else _same)
    for name, operation in OPERATIONS.items()
    if len(operation.arrays) == 1 and operation.lies not in ("pooled", "resampled")
}
for _name, _made in PLAIN.items():
    pair(_made, PLAIN[OPERATIONS[_name].partner])
resize_p = _move("resize", resize.resize_definition)
pair(resize_p, resize_p, lambda static: {**static, "up": not static["up"]})


# -- pooling and unpooling ---------------------------------------------------------------------------------


def _pooled(x: Any, plan: Plan, remember: bool) -> list[Any]:
    return [x.dtype, switch_dtype(plan.windows)] if remember else [x.dtype]


def _pool_definition(x: Any, plan: Plan, remember: bool) -> Any:
    found = pool.pool_definition(x, plan, remember)
    return found if remember else found[:1]


max_pool_p = primitive(
    "max_pool", _pool_definition, partial(kernels.max_pool, _pool_definition), _pooled, several=True
)
max_unpool_p = _move("max_unpool", unpool.unpool_definition)
max_gather_p = _move("max_gather", unpool.gather_definition)
mapped_in_front(max_pool_p)


def _pool_jvp(arrays: Any, tangents: Any, *, plan: Plan, remember: bool) -> Any:
    if _is_zero(tangents[0]):
        found = max_pool_p.bind(*arrays, plan=plan, remember=remember)
        return found, [_zero(each) for each in found]
    values, taps = max_pool_p.bind(*arrays, plan=plan, remember=True)
    tangent = max_gather_p.bind(tangents[0], taps, plan=plan)
    return ([values, taps], [tangent, _zero(taps)]) if remember else ([values], [tangent])


def _unpool_jvp(arrays: Any, tangents: Any, *, plan: Plan, duplicates: str) -> Any:
    values, taps = arrays
    result = max_unpool_p.bind(values, taps, plan=plan, duplicates=duplicates)
    if _is_zero(tangents[0]):
        return result, _zero(result)
    reaching = _reaching(tangents[0], values, taps, plan, duplicates)
    return result, max_unpool_p.bind(reaching, taps, plan=plan, duplicates="sum")


def _unpool_transpose(ct: Any, values: Any, taps: Any, *, plan: Plan, duplicates: str) -> Any:
    if _is_zero(ct):
        return [_nothing(values), None]
    if duplicates == "max" and not plan.tiles:
        raise TypeError("max_unpool: with duplicates='max' it is not linear and has no transpose")
    found = max_gather_p.bind(ct, taps, plan=turned(plan))
    return [_reaching(found, None, taps, plan, duplicates), None]


def _gather_transpose(ct: Any, x: Any, taps: Any, *, plan: Plan) -> Any:
    if _is_zero(ct):
        return [_nothing(x), None]
    return [max_unpool_p.bind(ct, taps, plan=turned(plan), duplicates="sum"), None]


def _reaching(x: Any, values: Any, taps: Any, plan: Plan, duplicates: str) -> Any:
    """`x`, one per window, and 0 where the value of the window does not reach the output."""
    if duplicates in ("sum", "error") or plan.tiles:
        return x
    coarse = plan.coarse
    number = math.prod(coarse)
    order = jnp.arange(1, number + 1, dtype=jnp.int32).reshape(coarse)
    if duplicates == "last":
        candidate = jnp.broadcast_to(order, taps.shape)
    else:
        # Of the windows whose value is the largest on their element the first wins, NaN over numbers.
        most = max_unpool_p.bind(values, taps, plan=plan, duplicates="max")
        largest = max_gather_p.bind(most, taps, plan=turned(plan))
        reaches = (values == largest) | ((values != values) & (largest != largest))
        candidate = jnp.where(reaches, number + 1 - order, 0)
    placed = max_unpool_p.bind(candidate, taps, plan=plan, duplicates="max")
    wins = (max_gather_p.bind(placed, taps, plan=turned(plan)) == candidate) & (candidate > 0)
    return jnp.where(wins, x, jnp.zeros((), x.dtype))


ad.primitive_jvps[max_pool_p] = _pool_jvp
ad.primitive_jvps[max_unpool_p] = _unpool_jvp
ad.primitive_transposes[max_unpool_p] = _unpool_transpose
ad.primitive_jvps[max_gather_p] = partial(_linear_jvp, max_gather_p)
ad.primitive_transposes[max_gather_p] = _gather_transpose


# -- convolutions: <conv(x, w), y> = <x, conv_transpose(y, w)> = <w, conv_weight_grad(x, y)> --------------
# All arrays have a batch axis and one dtype, and weights may be followed by a bias.

_conv = partial(primitive, dtypes=_same, leads="first", inner=1)
conv_p = _conv("conv", conv_in_lax.conv, kernels.conv)
conv_transpose_p = _conv("conv_transpose", conv_in_lax.conv_transpose, kernels.conv_transpose)
conv_weight_grad_p = primitive(
    "conv_weight_grad", conv_in_lax.weight_grad, kernels.weight_grad, _same, leads="summed", inner=1
)


def _plan_of(shape: Sequence[int], result: Sequence[int], plan: Plan) -> Plan:
    return replace(plan, input_shape=tuple(shape), output_shape=tuple(result))


def _conv_jvp(made: Primitive, arrays: Any, tangents: Any, *, plan: Plan, groups: int) -> Any:
    bind = partial(made.bind, plan=plan, groups=groups)
    x, weight, *bias = arrays
    of_x, of_weight, *of_bias = tangents
    result = bind(x, weight, *bias)
    terms = [] if _is_zero(of_x) else [bind(of_x, weight)]
    terms += [] if _is_zero(of_weight) else [bind(x, of_weight)]
    for each in of_bias:
        terms += [] if _is_zero(each) else [jnp.broadcast_to(_per_channel(each, plan), result.shape)]
    return result, sum(terms[1:], terms[0]) if terms else _zero(result)


def _per_channel(bias: Any, plan: Plan) -> Any:
    return bias.reshape(-1, *(1,) * plan.rank)


def _conv_transpose_rule(
    made: Primitive, ct: Any, x: Any, weight: Any, *bias: Any, plan: Plan, groups: int
) -> Any:
    if _is_zero(ct):
        return [_nothing(each) for each in (x, weight, *bias)]
    to_x = to_weight = None
    if ad.is_undefined_primal(x):
        partner = conv_p if made is conv_transpose_p else conv_transpose_p
        to_x = partner.bind(ct, weight, plan=turned(plan), groups=groups)
    if ad.is_undefined_primal(weight):
        fine, coarse = (ct, x) if made is conv_transpose_p else (x, ct)
        of_weight = _plan_of(fine.shape, weight.aval.shape, plan)
        to_weight = conv_weight_grad_p.bind(fine, coarse, plan=of_weight, groups=groups)
    others = (0, *range(2, 2 + plan.rank))
    return [to_x, to_weight, *(ct.sum(others) if ad.is_undefined_primal(each) else None for each in bias)]


def _weight_grad_jvp(arrays: Any, tangents: Any, **static: Any) -> Any:
    (x, y), (of_x, of_y) = arrays, tangents
    result = conv_weight_grad_p.bind(x, y, **static)
    terms = [] if _is_zero(of_x) else [conv_weight_grad_p.bind(of_x, y, **static)]
    terms += [] if _is_zero(of_y) else [conv_weight_grad_p.bind(x, of_y, **static)]
    return result, sum(terms[1:], terms[0]) if terms else _zero(result)


def _weight_grad_transpose(ct: Any, x: Any, y: Any, *, plan: Plan, groups: int) -> Any:
    if _is_zero(ct):
        return [_nothing(x), _nothing(y)]
    if ad.is_undefined_primal(x):
        up = _plan_of(y.shape, x.aval.shape, plan)
        return [conv_transpose_p.bind(y, ct, plan=up, groups=groups), None]
    down = _plan_of(x.shape, y.aval.shape, plan)
    return [None, conv_p.bind(x, ct, plan=down, groups=groups)]


for _made in (conv_p, conv_transpose_p):
    ad.primitive_jvps[_made] = partial(_conv_jvp, _made)
    ad.primitive_transposes[_made] = partial(_conv_transpose_rule, _made)
ad.primitive_jvps[conv_weight_grad_p] = _weight_grad_jvp
ad.primitive_transposes[conv_weight_grad_p] = _weight_grad_transpose


def _into_batch(x: Any) -> Any:
    """(B, N, ...) -> (B * N, ...)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _into_channels(x: Any) -> Any:
    """(B, N, C, ...) -> (N, B * C, ...)."""
    x = jnp.moveaxis(x, 0, 1)
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:])


def _conv_map(made: Primitive, arrays: Any, axes: Any, *, plan: Plan, groups: int) -> Any:
    """Map a convolution: over inputs alone by a larger batch, over weights by as many groups more."""
    size = _mapped_size(arrays, axes)
    x, weight, *bias = arrays
    of_x, of_weight, *of_bias = axes
    inside = [] if any(map(_is_mapped, (of_weight, *of_bias))) else bias
    batch, channels = plan.output_shape[:2]
    if not _is_mapped(of_x) and not _is_mapped(of_weight):  # the bias alone is mapped
        result = made.bind(x, weight, plan=plan, groups=groups)[None]
    elif not _is_mapped(of_weight):
        x = _into_batch(batching.bdim_at_front(x, of_x, size))
        joint = _plan_of(x.shape, (size * batch, *plan.output_shape[1:]), plan)
        result = made.bind(x, weight, *inside, plan=joint, groups=groups)
        result = result.reshape(size, *plan.output_shape)
    else:
        size = _mapped_groups(plan, arrays, axes)
        x = _into_channels(batching.bdim_at_front(x, of_x, size))
        weight = _into_batch(batching.bdim_at_front(weight, of_weight, size))
        joint = _plan_of(x.shape, (batch, size * channels, *plan.output_shape[2:]), plan)
        result = made.bind(x, weight, plan=joint, groups=groups * size)
        result = jnp.moveaxis(result.reshape(batch, size, *plan.output_shape[1:]), 1, 0)
    if bias and not inside:
        each = batching.bdim_at_front(bias[0], of_bias[0], size)
        result = result + each.reshape(size, 1, channels, *(1,) * plan.rank)
    return result, 0


def _mapped_groups(plan: Plan, arrays: Sequence[Any], axes: Sequence[Any]) -> int:
    """How many groups a mapping makes of one, which XLA must be told in a number."""
    return known(plan.operation, "the number of mapped weights", (_mapped_size(arrays, axes),))[0]


def _weight_grad_map(arrays: Any, axes: Any, *, plan: Plan, groups: int) -> Any:
    """Every mapped pair is a group more."""
    size = _mapped_groups(plan, arrays, axes)
    x, y = (
        _into_channels(batching.bdim_at_front(each, axis, size))
        for each, axis in zip(arrays, axes, strict=True)
    )
    joint = _plan_of(x.shape, (size * plan.output_shape[0], *plan.output_shape[1:]), plan)
    result = conv_weight_grad_p.bind(x, y, plan=joint, groups=groups * size)
    return result.reshape(size, *plan.output_shape), 0


for _made in (conv_p, conv_transpose_p):
    batching.primitive_batchers[_made] = partial(_conv_map, _made)
batching.primitive_batchers[conv_weight_grad_p] = _weight_grad_map


# -- called like the definitions ---------------------------------------------------------------------------


def _convolved(made: Primitive, x: Any, weight: Any, bias: Any, plan: Plan, groups: int) -> Any:
    arrays = _of_one_dtype(x, weight, *([] if bias is None else [bias]))
    if len(plan.input_shape) == plan.rank + 2:
        return made.bind(*arrays, plan=plan, groups=groups)
    joint = _plan_of((1, *plan.input_shape), (1, *plan.output_shape), plan)
    return made.bind(arrays[0][None], *arrays[1:], plan=joint, groups=groups)[0]


def _weight_gradient(x: Any, y: Any, plan: Plan, groups: int) -> Any:
    x, y = _of_one_dtype(x, y)
    if len(plan.input_shape) == plan.rank + 1:
        x, y = x[None], y[None]
    joint = _plan_of(x.shape, plan.output_shape, plan)
    return conv_weight_grad_p.bind(x, y, plan=joint, groups=groups)


def _of_one_dtype(*arrays: Any) -> list[Any]:
    """The arrays in their common dtype; integers in that of their sum."""
    dtype = jnp.result_type(*arrays)
    if dtype_kind(dtype) == "integer":
        dtype = sum_dtype(jnp, dtype)
    return [x.astype(dtype) for x in arrays]


def _pool(x: Any, plan: Plan, remember: bool) -> tuple[Any, Any]:
    values, *taps = max_pool_p.bind(x, plan=plan, remember=remember)
    return values, taps[0] if remember else None


def _plain(operation: Operation) -> Callable[..., Any]:
    made = PLAIN[operation.name]
    return lambda x, plan, *words: made.bind(x, plan=plan, **dict(zip(operation.words, words, strict=True)))


_laid_conv = partial(laid_out, leads="first", inner=1)
IMPLEMENTATIONS["jax"] = {
    **{OPERATIONS[name].definition: laid_out(_plain(OPERATIONS[name]), inner=_inner(name)) for name in PLAIN},
    resize.resize_definition: laid_out(
        lambda x, plan, up, copy: resize_p.bind(x, plan=plan, up=up, copy=copy)
    ),
    pool.pool_definition: laid_out(_pool),
    unpool.unpool_definition: laid_out(
        lambda values, taps, plan, duplicates: max_unpool_p.bind(
            values, taps, plan=plan, duplicates=duplicates
        )
    ),
    unpool.gather_definition: laid_out(lambda x, taps, plan: max_gather_p.bind(x, taps, plan=plan)),
    convolutions.conv_definition: _laid_conv(partial(_convolved, conv_p)),
    convolutions.conv_transpose_definition: _laid_conv(partial(_convolved, conv_transpose_p)),
    convolutions.weight_grad_definition: laid_out(_weight_gradient, leads="summed"),
}
