"""The add-an-operation checklist of CONTRIBUTING.md holds of every operation, and says what was forgotten."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import unsample as us
from checklist import ITEMS, MAKE_SWITCHES, Operation, forgotten, operations, project, public_name
from pages import ROOT

PROJECT = project()
OPERATIONS = operations()
NEAREST = next(operation for operation in OPERATIONS if operation.name == "nearest")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_nothing_was_forgotten(operation: Operation) -> None:
    missing = forgotten(operation, PROJECT)
    assert not missing, (
        f"{operation.name} lacks: {', '.join(missing)} (see CONTRIBUTING.md, Add an operation)"
    )


def test_every_operation_is_looked_at() -> None:
    found = {operation.name for operation in OPERATIONS}
    directions = {public_name(way) for pair in us.PAIRS for way in (pair.up, pair.down)}
    assert directions | set(MAKE_SWITCHES) <= found
    assert {pair.name for pair in us.PAIRS} <= directions


def test_contributing_lists_these_items_and_no_others() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Add an operation\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"\*\*(.+?)\*\*", section.partition("Above is what every operation has")[0])
    assert [title for title in listed if title != "A docstring in full"] == list(ITEMS)


def paths_in(text: str) -> list[Path]:
    """Files and folders in backquotes; a bare file name lies in a folder that was named before it."""
    folders: list[Path] = []
    found: list[Path] = []
    for name in re.findall(r"`([\w./-]+(?:/|\.(?:py|pyi|js|json|cpp|h|md|txt)))`", text):
        places = [folder / name for folder in (ROOT, *reversed(folders))]
        place = next((place for place in places if place.exists()), places[0])
        folders.append(place if name.endswith("/") else place.parent)
        found.append(place)
    return found


def test_what_contributing_names_is_there() -> None:
    found = paths_in((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(found) > 80
    assert [path.name for path in found if not path.exists()] == ["utils.py"]  # which the style forbids
    assert paths_in("`src/unsample/geometry/` and `sizes.py`")[1].exists()
    assert not paths_in("`src/unsample/geometry/` and `seizes.py`")[1].exists()


def test_every_file_that_knows_reflection_is_listed() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Change a rule that has copies\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    sources = (path for folder in ("src", "native") for path in (ROOT / folder).rglob("*.*"))
    knowing = {
        path
        for path in sources
        if path.suffix in (".py", ".js", ".json", ".h", ".cpp")
        and "reflect" in path.read_text(encoding="utf-8")
    }
    assert {path for path in knowing if "tests" not in path.parts} <= set(paths_in(section))


# -- the checklist itself can fail ---------------------------------------------------------------------


def test_a_planted_operation_lacks_everything() -> None:
    def planted(x: Any) -> Any:
        return x

    planted.__module__ = "somewhere.else"
    assert forgotten(Operation("planted", planted, None), PROJECT) == list(ITEMS)


def described(doc: str) -> Operation:
    """`nearest` with another docstring."""

    def nearest(x: Any) -> Any:
        return x

    nearest.__module__, nearest.__doc__ = NEAREST.function.__module__, doc
    return replace(NEAREST, function=nearest)


def elsewhere(x: Any) -> Any:
    return x


elsewhere.__doc__ = NEAREST.function.__doc__


@pytest.mark.parametrize(
    ("title", "operation", "changes"),
    [
        ("A record in `PAIRS`", replace(NEAREST, pair="nearer"), {"sampled": frozenset({"nearer"})}),
        ("A name in `unsample.__all__`", NEAREST, {"public": PROJECT.public - {"nearest"}}),
        ("Samples in `tests/shared/samples.py`", NEAREST, {"sampled": PROJECT.sampled - {"nearest"}}),
        (
            "Error samples in `tests/shared/error_samples.py`",
            NEAREST,
            {"refused": PROJECT.refused - {"nearest"}},
        ),
        (
            "A snippet on a page of `docs/operations/`",
            NEAREST,
            {"snippets": PROJECT.snippets.replace("us.nearest(", "us.nearest_other(")},
        ),
        ("A row in the README's table of pairs", NEAREST, {"rows": PROJECT.rows - {"nearest"}}),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_each_place_is_missed_alone(title: str, operation: Operation, changes: dict[str, Any]) -> None:
    assert forgotten(operation, replace(PROJECT, **changes)) == [title]


def test_a_function_outside_ops_is_reported() -> None:
    missing = forgotten(replace(NEAREST, function=elsewhere), PROJECT)
    assert missing == ["A function in `src/unsample/ops/`"]


def without(section: str) -> Callable[[str], str]:
    """A docstring less one of its sections."""
    return lambda doc: re.sub(rf"^( *){section}\n *-+\n.*?(?=^\1\w+\n *-+\n|\Z)", "", doc, flags=re.M | re.S)


@pytest.mark.parametrize(
    ("title", "change"),
    [
        ("summary", lambda doc: doc.replace("per axis.\n", "per axis\n", 1)),
        ("equation", lambda doc: doc.replace("out[..., i] =", "out[..., i] is", 1).replace("= x", "is x", 1)),
        ("Transpose", lambda doc: doc.replace("Transpose:", "Adjoint:", 1)),
        *((name, without(name)) for name in ("Parameters", "Returns", "Raises", "Notes", "Examples")),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_each_part_of_a_docstring_is_missed_alone(title: str, change: Callable[[str], str]) -> None:
    doc = NEAREST.function.__doc__
    assert doc is not None
    assert forgotten(described(doc), PROJECT) == []
    assert forgotten(described(change(doc)), PROJECT) == [title]
