"""How a call is divided among devices: each computes its batch.

Axes that lead are divided as the first array has them; all others, and weights, are whole on every device.
XLA, which does not see into a kernel's call, is told so by `divided`; on a mesh of explicit axes, where jax
asks for the layout of every result, `laid_out` gives it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import jax
from jax.extend.core import Primitive
from jax.sharding import NamedSharding, PartitionSpec

from unsample.geometry.arguments import is_symbol
from unsample.geometry.plan import Plan

# What the axes that lead are of: of every array and result; of the first array and the result; of the arrays
# alone, over which the result is then a sum.
Leads = Literal["everything", "first", "summed"]

try:
    from jax._src.dispatch import prim_requires_devices_during_lowering
    from jax.experimental.custom_partitioning import custom_partitioning
except ImportError:  # jax promises neither; XLA then calls kernels with whole arrays, as it calls any
    _DIVIDES = False
else:
    _DIVIDES = True
_NO_MESH = jax.sharding.AbstractMesh((), ())


def tell_devices(made: Primitive) -> None:
    """Let jax say for which devices it lowers `made`; there is no public name for it."""
    if _DIVIDES:
        prim_requires_devices_during_lowering.add(made)


def divided(compute: Callable[..., Any], leads: Leads, inner: int = 0) -> Any:
    """`compute(*arrays, plan=..., **static)`, by each device for its part.

    Parameters
    ----------
    compute : callable
    leads : str
    inner : int
        How many axes between those that lead and the windows are whole.
    """

    def call(*arrays: Any, plan: Plan, **static: Any) -> Any:
        if not _DIVIDES or any(is_symbol(size) for x in arrays for size in x.shape):
            return compute(*arrays, plan=plan, **static)
        count = _leading(arrays[0], plan, inner)

        @jax.jit  # which keeps constants to itself
        def whole(*arrays: Any) -> Any:
            return compute(*arrays, plan=plan, **static)

        def part(mesh: Any, given: Sequence[Any], results: Any) -> Any:
            spec = PartitionSpec(*given[0].sharding.spec[:count])
            ours, all_of_it = NamedSharding(mesh, spec), NamedSharding(mesh, PartitionSpec())
            of_arrays = [ours if i == 0 or leads != "first" else all_of_it for i in range(len(given))]
            of_result = all_of_it if leads == "summed" else ours
            names = tuple(jax.tree.leaves(tuple(spec)))

            def here(*arrays: Any) -> Any:
                before, after = arrays[0].shape, plan.output_shape
                if leads != "summed":
                    after = (*before[:count], *after[count:])
                mine = replace(plan, input_shape=before, output_shape=after)
                with jax.sharding.use_abstract_mesh(_NO_MESH):  # or jax 0.8 lays out what is made here
                    result = compute(*arrays, plan=mine, **static)
                    return jax.lax.psum(result, names) if leads == "summed" and names else result

            return mesh, here, jax.tree.map(lambda _: of_result, results), tuple(of_arrays)

        made = custom_partitioning(whole)
        rule, factors = _rule(arrays, jax.eval_shape(whole, *arrays), leads, count)
        made.def_partition(partition=part, sharding_rule=rule, **factors)
        return made(*arrays)

    return call


def laid_out(call: Callable[..., Any], leads: Leads = "everything", inner: int = 0) -> Callable[..., Any]:
    """`call(x, *arguments)`, a plan among them, on any mesh.

    Where the axes of a mesh are explicit, XLA divides the call as on others, and the result is declared to
    lie as `divided` makes it.
    """

    def spread(*arguments: Any) -> Any:
        numbers = [i for i, x in enumerate(arguments) if isinstance(x, jax.Array)]
        mesh = jax.typeof(arguments[0]).sharding.mesh
        if not mesh.explicit_axes:
            return call(*arguments)
        plan = next(each for each in arguments if isinstance(each, Plan))
        spec = jax.typeof(arguments[0]).sharding.spec[: _leading(arguments[0], plan, inner)]
        result = NamedSharding(mesh, PartitionSpec(*(() if leads == "summed" else spec)))

        def with_arrays(*arrays: Any) -> Any:
            given = dict(zip(numbers, arrays, strict=True))
            return call(*(given.get(i, each) for i, each in enumerate(arguments)))

        automatic = jax.sharding.auto_axes(with_arrays, axes=mesh.explicit_axes, out_sharding=result)
        return automatic(*(arguments[i] for i in numbers))

    return spread


def _leading(x: Any, plan: Plan, inner: int) -> int:
    count: int = x.ndim - plan.rank - inner
    return max(count, 0)


def _rule(arrays: Sequence[Any], results: Any, leads: Leads, count: int) -> tuple[str, dict[str, Any]]:
    """What Shardy is told: the axes by name, and which of them must be whole."""
    leading = [f"lead{axis}" for axis in range(count)]
    whole: list[str] = []

    def named(number: int, x: Any, led: bool) -> str:
        rest = [f"axis{number}x{axis}" for axis in range(count if led else 0, x.ndim)]
        whole.extend(rest)
        return " ".join([*(leading if led else []), *rest])

    results = jax.tree.leaves(results)
    sides = [
        ", ".join(named(i, x, i == 0 or leads != "first") for i, x in enumerate(arrays)),
        ", ".join(named(len(arrays) + i, x, leads != "summed") for i, x in enumerate(results)),
    ]
    factors = {"need_replication_factors": tuple(whole)}
    if leads == "summed":
        factors["reduction_factors"] = tuple(leading)
    return " -> ".join(sides), factors
