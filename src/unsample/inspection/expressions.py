"""Expressions of sizes, such as torch writes them: numbers, names, + - * // % ** and a few functions.

    sum = ["-"] product { ("+" | "-") product };   product = power { ("*" | "//" | "%") power }
    power = atom [ "**" power ];   atom = integer | name | function "(" sum { "," sum } ")" | "(" sum ")"

`Symbol('s0', positive=True)` is the name s0, `Integer(2)` the number 2. Nothing else is read, and nothing is
evaluated but this: every value stays below 2**63, every expression below `LENGTH` characters.
"""

import math
import re
from collections.abc import Callable, Mapping

from unsample.errors import ShapeError

LENGTH = 4096
DEPTH = 64
BOUND = 2**63

_TOKEN = re.compile(
    r"\s*(?:([0-9]{1,19})|([A-Za-z_][A-Za-z_0-9]{0,63})|(\*\*|//|[-+*%(),=])|'(\w{1,64})')", re.ASCII
)


def _power(base: int, exponent: int) -> int:
    if not 0 <= exponent < 64:
        raise ValueError("an exponent is not in 0 to 63")
    return int(base**exponent)


FUNCTIONS: dict[str, Callable[..., int]] = {
    "Integer": lambda n: n,
    "Add": lambda *terms: sum(terms),
    "Mul": lambda *factors: math.prod(factors),
    **dict.fromkeys(("Max", "max"), lambda *values: max(values)),
    **dict.fromkeys(("Min", "min"), lambda *values: min(values)),
    "FloorDiv": lambda a, b: a // b,
    "CleanDiv": lambda a, b: a // b,
    "CeilDiv": lambda a, b: -(-a // b),
    "Mod": lambda a, b: a % b,
    "PythonMod": lambda a, b: a % b,
    "Pow": _power,
}
SIGNS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def evaluate(text: str, names: Mapping[str, int]) -> int:
    """The value of an expression.

    Raises
    ------
    ShapeError
        Where it is no such expression, or too large, or a name is not known.

    Examples
    --------
    >>> evaluate("Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(-1))", {"s0": 5})
    9
    >>> evaluate("2*s0 - 1", {"s0": 5})
    9
    """
    return _Reader(text, names.__getitem__).value


def symbols(text: str) -> set[str]:
    """The names in an expression.

    Examples
    --------
    >>> sorted(symbols("FloorDiv(Symbol('s1'), 2) + s0"))
    ['s0', 's1']
    """
    found: set[str] = set()

    def seen(name: str) -> int:
        found.add(name)
        return 1

    _Reader(text, seen)
    return found


class _Reader:
    """A recursive descent that computes as it reads."""

    def __init__(self, text: str, lookup: Callable[[str], int]) -> None:
        self.text, self.lookup, self.depth = text, lookup, 0
        try:
            if len(text) > LENGTH:
                raise ValueError(f"it has {len(text)} characters")
            self.tokens = self._tokens()
            self.value = self.sum()
            if self.tokens:
                raise ValueError("it goes on behind its end")
        except (ValueError, TypeError, KeyError, ArithmeticError, IndexError) as error:
            raise ShapeError(
                f"inspect: an expression of sizes must be arithmetic and nothing else, got {text[:60]!r}"
            ) from error

    def _tokens(self) -> list[tuple[str, str]]:
        """(kind, text), the last first."""
        found, at, text = [], 0, self.text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError("it has another character")
            kind = ("number", "name", "sign", "string")[(match.lastindex or 1) - 1]
            found.append((kind, match[match.lastindex or 0]))
            at = match.end()
        return found[::-1]

    def next_is(self, *signs: str) -> str:
        """The sign that comes next, taken, where it is one of these."""
        if self.tokens and self.tokens[-1][0] == "sign" and self.tokens[-1][1] in signs:
            return self.tokens.pop()[1]
        return ""

    def take(self, sign: str) -> None:
        if not self.next_is(sign):
            raise ValueError(f"{sign} is missing")

    def sum(self) -> int:
        self.depth += 1
        if self.depth > DEPTH:
            raise ValueError("it is too deep")
        value = -self.product() if self.next_is("-") else self.product()
        while sign := self.next_is("+", "-"):
            value = _bounded(SIGNS[sign](value, self.product()))
        self.depth -= 1
        return value

    def product(self) -> int:
        value = self.power()
        while sign := self.next_is("*", "//", "%"):
            value = _bounded(SIGNS[sign](value, self.power()))
        return value

    def power(self) -> int:
        base = self.atom()
        return _bounded(_power(base, self.atom())) if self.next_is("**") else base

    def atom(self) -> int:
        if self.next_is("("):
            value = self.sum()
            self.take(")")
            return value
        kind, text = self.tokens.pop()
        if kind == "number":
            return _bounded(int(text))
        if kind != "name":
            raise ValueError(f"{text} is not expected")
        if not self.next_is("("):
            return _bounded(self.lookup(text))
        if text == "Symbol":
            return self.symbol()
        given = [self.sum()]
        while self.next_is(","):
            given.append(self.sum())
        self.take(")")
        # No product of that many bounded numbers is large before it is refused.
        if len(given) > 32:
            raise ValueError("a function has too many arguments")
        return _bounded(FUNCTIONS[text](*given))

    def symbol(self) -> int:
        """`'s0', positive=True)`: what is said of it is not needed."""
        kind, name = self.tokens.pop()
        if kind != "string":
            raise ValueError("a symbol has no name")
        while self.next_is(","):
            word = self.tokens.pop()[0]
            self.take("=")
            if (word, self.tokens.pop()) not in (("name", ("name", "True")), ("name", ("name", "False"))):
                raise ValueError("a symbol is told something else")
        self.take(")")
        return _bounded(self.lookup(name))


def _bounded(value: int) -> int:
    if abs(value) >= BOUND:
        raise ValueError("a value has more than 63 bits")
    return value
