"""How a kernel's call, into which XLA does not see, is divided among devices: each computes its batch.

Axes that lead are divided as the first array has them; all others, and weights, are whole on every device.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import jax
from jax._src.dispatch import prim_requires_devices_during_lowering
from jax.experimental.custom_partitioning import custom_partitioning
from jax.extend.core import Primitive
from jax.sharding import NamedSharding, PartitionSpec

from unsample.geometry.arguments import is_symbol
from unsample.geometry.plan import Plan

# What the axes that lead are of: of every array and result; of the first array and the result; of the arrays
# alone, over which the result is then a sum.
Leads = Literal["everything", "first", "summed"]


def tell_devices(made: Primitive) -> None:
    """Let jax say for which devices it lowers `made`; there is no public name for it."""
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
        if any(is_symbol(size) for x in arrays for size in x.shape):
            return compute(*arrays, plan=plan, **static)
        count = max(arrays[0].ndim - plan.rank - inner, 0)

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
                mine = compute(*arrays, plan=replace(plan, input_shape=before, output_shape=after), **static)
                return jax.lax.psum(mine, names) if leads == "summed" and names else mine

            return mesh, here, jax.tree.map(lambda _: of_result, results), tuple(of_arrays)

        made = custom_partitioning(whole)
        rule, factors = _rule(arrays, jax.eval_shape(whole, *arrays), leads, count)
        made.def_partition(partition=part, sharding_rule=rule, **factors)
        return made(*arrays)

    return call


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
