"""The checklist of CONTRIBUTING.md, under its titles, as a function that names what was forgotten."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import unsample as us
from error_samples import ERROR_SAMPLES
from pages import README, ROOT, fences, names, table_of_pairs
from samples import SAMPLES

# They make the switches of a pair and are no direction of it.
MAKE_SWITCHES = {"max_pool": "max_unpool", "adaptive_max_pool": "max_unpool"}


@dataclass(frozen=True)
class Operation:
    """A public function, and the name of the pair it belongs to."""

    name: str
    function: Callable[..., Any]
    pair: str | None

    @property
    def family(self) -> str | None:
        """The file of `ops/` that defines it."""
        match = re.fullmatch(r"unsample\.ops\.(\w+)", self.function.__module__)
        return match[1] if match else None


@dataclass(frozen=True)
class Project:
    """Where an operation must be found."""

    public: frozenset[str]
    sampled: frozenset[str]
    """Pairs that have samples."""
    refused: frozenset[str]
    """Operations that have error samples."""
    snippets: str
    """Those of all pages of operations."""
    rows: frozenset[str]
    """What the README's table of pairs names."""


def project() -> Project:
    """What the repository holds."""
    pages = [page.read_text(encoding="utf-8") for page in ROOT.glob("docs/operations/*.md")]
    table = table_of_pairs(README.read_text(encoding="utf-8"))
    return Project(
        public=frozenset(us.__all__),
        sampled=frozenset(sample.pair.name for sample in SAMPLES),
        refused=frozenset(sample.message.partition(":")[0] for sample in ERROR_SAMPLES),
        snippets="".join("".join(fences(text, "python")) for text in pages),
        rows=frozenset(name for row in table for cell in row for name in names(cell)),
    )


def public_name(function: Callable[..., Any]) -> str:
    """Of a direction in PAIRS; one that rearranges arguments says in its docstring whose it is."""
    match = re.match(r"`(\w+)\(", function.__doc__ or "")
    return match[1] if match else function.__name__


def operations() -> list[Operation]:
    """Both directions of every pair, and every public function that `ops/` defines."""
    found = {name: getattr(us, name) for name in OPERATION_NAMES}
    pair_of = dict(MAKE_SWITCHES)
    for pair in us.PAIRS:
        for function in (pair.up, pair.down):
            name = public_name(function)
            found.setdefault(name, vars(us).get(name, function))
            pair_of.setdefault(name, pair.name)
    return [Operation(name, function, pair_of.get(name)) for name, function in found.items()]


def _in_ops(value: Any) -> bool:
    return inspect.isfunction(value) and value.__module__.startswith("unsample.ops.")


# Those of `unsample` itself: what makes arrays of arrays, not what draws, measures or sets.
OPERATION_NAMES = tuple(name for name in us.__all__ if _in_ops(getattr(us, name)))


def _docstring(operation: Operation) -> tuple[str, dict[str, str]]:
    """What stands before the first section, and the sections by name."""
    head, *rest = re.split(
        r"^(\w+)\n-+$", inspect.cleandoc(operation.function.__doc__ or ""), flags=re.MULTILINE
    )
    return head, dict(zip(rest[::2], rest[1::2], strict=True))


def _section(name: str, holds: str = r"\S") -> Callable[[Operation, Project], bool]:
    return lambda operation, project: bool(re.search(holds, _docstring(operation)[1].get(name, "")))


def _head(holds: str) -> Callable[[Operation, Project], bool]:
    return lambda operation, project: bool(re.search(holds, _docstring(operation)[0], re.MULTILINE))


# Title in CONTRIBUTING.md -> whether it was done.
ITEMS: dict[str, Callable[[Operation, Project], bool]] = {
    "A function in `src/unsample/ops/`": lambda op, project: op.family is not None,
    "A record in `PAIRS`": lambda op, project: op.pair in {pair.name for pair in us.PAIRS},
    "A name in `unsample.__all__`": lambda op, project: op.name in project.public,
    "Samples in `tests/shared/samples.py`": lambda op, project: op.pair in project.sampled,
    "Error samples in `tests/shared/error_samples.py`": lambda op, project: op.name in project.refused,
    "A snippet on a page of `docs/operations/`": lambda op, project: f"us.{op.name}(" in project.snippets,
    "A row in the README's table of pairs": lambda op, project: op.name in project.rows,
    "summary": _head(r"\A\S[^\n]*\.$"),
    "equation": _head(r"^ {4,}\S.*=.*\S"),
    "Transpose": _head(r"^Transpose\b.*:"),
    "Parameters": _section("Parameters"),
    "Returns": _section("Returns"),
    "Raises": _section("Raises"),
    "Notes": _section("Notes"),
    "Examples": _section("Examples", ">>> "),
}


def forgotten(operation: Operation, project: Project) -> list[str]:
    """Titles of what was not done for an operation."""
    return [title for title, done in ITEMS.items() if not done(operation, project)]
