"""Every promise of docs/reliability.md names the tests that hold it."""

import ast
from pathlib import Path

import pytest

import promises


def test_the_page_is_made_from_the_tests() -> None:
    page = promises.PAGE.read_text(encoding="utf-8")
    assert page == promises.page(promises.held()), "run make promises"


@pytest.mark.parametrize("row", promises.ROWS)
def test_every_row_has_a_test_or_a_reason(row: str) -> None:
    tests = promises.held().get(row, [])
    assert bool(tests) != (row in promises.NOT_YET), f"row {row}: {promises.ROWS[row]}; tests: {tests}"


def test_tests_hold_rows_that_exist() -> None:
    assert set(promises.held()) <= set(promises.ROWS)
    assert set(promises.NOT_YET) <= set(promises.ROWS)
    assert list(promises.ROWS) == [*map(str, range(1, 97)), *(f"F{i}" for i in range(1, 35))]


def test_marks_are_found_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "pytestmark = [pytest.mark.promise('1')]\n"
        "@pytest.mark.promise('2', 'F3')\n"
        "def test_a(): pass\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.promise('4'))])\n"
        "def test_b(x): pass\n"
        "@pytest.mark.other('5')\n"
        "def test_c(): pass\n"
    )
    (tmp_path / "helper.py").write_text("@pytest.mark.promise('6')\ndef test_d(): pass\n")
    assert promises.held(tmp_path) == {
        "1": ["test_some.py"],
        "2": ["test_some.py::test_a"],
        "F3": ["test_some.py::test_a"],
        "4": ["test_some.py::test_b"],
    }
    assert [*promises.marks(ast.parse("def test_e(): pass"))] == []
