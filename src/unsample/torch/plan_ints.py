"""Between the windows of a call and the integers that an operator carries.

`carried` makes the integers of what a user writes, whatever is refused being refused there. They are what the
user has written: a plan leaves out steps that nobody takes, see `geometry.reach.settled`. `plan_of` makes the
plan of them, of any operator's arguments, which need not come from a user. While torch compiles or exports,
sizes may be symbols, and a plan says no more than their shapes.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from unsample.errors import ShapeError
from unsample.geometry.arguments import has_symbols, symbolic
from unsample.geometry.given import check_given, check_near
from unsample.geometry.plan import Plan
from unsample.geometry.reach import settled
from unsample.interop.switch_indices import check_pooled
from unsample.operation import Operation
from unsample.pairs import OPERATIONS
from unsample.torch.windows import PER_AXIS, from_ints, pairs_from_ints, to_ints

Shapes = tuple[tuple[int, ...] | None, ...]


def carried(name: str, *args: Any, **options: Any) -> list[int]:
    """The integers of a call: `args` are shapes of arrays, then what a plan is made of."""
    operation = OPERATIONS[name]
    shapes = args[: len(operation.arrays)]
    if not symbolic(*(size for shape in shapes if shape is not None for size in shape)):
        operation.plan(*args, **options)
    return to_ints(operation.windows(*args, **options))


def plan_of(
    operation: Operation, arrays: Sequence[Any], numbers: Sequence[int], words: Sequence[Any]
) -> Plan:
    """The plan of an operator's arguments, kept; real, fake or meta."""
    shapes = tuple([None if x is None else tuple(x.shape) for x in arrays])
    try:
        return _kept(operation.name, shapes, tuple(numbers), *words)
    except TypeError:  # symbols cannot be looked up
        return _made(operation, shapes, numbers, words)


@lru_cache(maxsize=1024, typed=True)
def _kept(name: str, shapes: Shapes, numbers: tuple[int, ...], *words: Any) -> Plan:
    return _made(OPERATIONS[name], shapes, numbers, words)


def _made(operation: Operation, shapes: Shapes, numbers: Sequence[int], words: Sequence[Any]) -> Plan:
    resampled = operation.lies == "resampled"
    each = 2 if resampled else PER_AXIS
    if not numbers or len(numbers) % each:
        raise ShapeError(
            f"{operation.name}: windows must be {each} integers per spatial axis, got {len(numbers)}"
        )
    windows = pairs_from_ints(numbers) if resampled else from_ints(numbers)
    sizes = (size for shape in shapes if shape is not None for size in shape)
    if not has_symbols(*sizes, *numbers):
        _check(operation, shapes[0] or (), windows)
    return operation.plan_over(*shapes, windows, *words)


def _check(operation: Operation, shape: Sequence[int], windows: Any) -> None:
    array = operation.arrays[0]
    if operation.lies == "resampled":
        near = [source if operation.up else target for source, target in windows]
        far = [target if operation.up else source for source, target in windows]
        if min(far) < 0:
            raise ShapeError(f"{operation.name}: sizes must be at least 0, got {tuple(far)}")
        check_near(operation.name, array, shape, near)
    elif operation.lies == "pooled":
        check_pooled(operation.name, settled(windows))
        check_near(operation.name, array, shape, [window.fine for window in windows])
    elif operation.lies != "switches":  # which are asked with their taps
        check_given(operation.name, array, shape, windows, operation.lies, operation.up)
