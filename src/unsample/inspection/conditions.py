"""`--fail-if`: comparisons of numbers of an inspection, joined by "and" and "or".

    condition = all { "or" all };   all = comparison { "and" comparison }
    comparison = name ("<" | "<=" | ">" | ">=" | "==" | "!=") number

Names are those of `Inspection.numbers()`. Nothing is evaluated but this.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unsample.errors import ShapeError
from unsample.geometry.arguments import choice, listed

NAMES = (
    *("activation_bytes", "checkerboard", "failed", "milliseconds", "misaligned", "multiply_adds"),
    *("parameters", "period", "receptive_field", "saved_bytes", "steps"),
)
SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

_COMPARISON = re.compile(r"\s*(\w+)\s*(<=|>=|==|!=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was read.

    Examples
    --------
    >>> condition = parse("checkerboard > 0.2 or failed == 1")
    >>> condition.holds({"checkerboard": 0.3, "failed": 0.0})
    'checkerboard > 0.2 (it is 0.3)'
    >>> condition.holds({"checkerboard": 0.1, "failed": 0.0})
    """

    alternatives: tuple[tuple[tuple[str, str, float], ...], ...]

    def holds(self, numbers: Mapping[str, float]) -> str | None:
        """The comparisons that hold, in words; None where the condition does not."""
        for each in self.alternatives:
            if all(SIGNS[sign](numbers[name], bound) for name, sign, bound in each):
                return " and ".join(
                    f"{name} {sign} {bound:g} (it is {numbers[name]:.4g})" for name, sign, bound in each
                )
        return None


def parse(text: str) -> Condition:
    """Read a condition.

    Raises
    ------
    ShapeError
        Where it is not one, in one sentence.
    """
    alternatives = []
    for part in re.split(r"\bor\b", text):
        comparisons = []
        for each in re.split(r"\band\b", part):
            found = _COMPARISON.fullmatch(each)
            if found is None:
                raise ShapeError(
                    f"inspect: fail-if must be comparisons such as 'checkerboard>0.2' of "
                    f"{listed(NAMES)} with a number, joined by 'and' and 'or', got {text!r}"
                )
            name, sign, bound = found.groups()
            choice("inspect", "fail-if", name, NAMES)
            comparisons.append((name, sign, float(bound)))
        alternatives.append(tuple(comparisons))
    return Condition(tuple(alternatives))
