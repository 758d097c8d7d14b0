"""PAIRS: every way up beside the way down it is the transpose of. OPERATIONS: every direction by its name.

The records stand at the foot of their families in `ops/`. Tests, docs and tools loop over these tables, and
an operation that is not in them does not exist for them. Max pooling, which makes switches, is one too.
"""

from unsample.operation import Operation, Pair
from unsample.ops import conv, nails, nearest, pool, resize, shuffle, unpool
from unsample.ops.conv import conv_of_weight, weight_grad_of_y

__all__ = ["FAMILIES", "OPERATIONS", "PAIRS", "Operation", "Pair", "conv_of_weight", "weight_grad_of_y"]

FAMILIES = (nearest, nails, pool, unpool, conv, shuffle, resize)
PAIRS: tuple[Pair, ...] = tuple(pair for family in FAMILIES for pair in family.PAIRS)
OPERATIONS: dict[str, Operation] = {
    operation.name: operation for family in FAMILIES for operation in family.OPERATIONS
}
