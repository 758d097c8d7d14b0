"""What `import unsample` brings in, and what it offers."""

import inspect
import json
import subprocess
import sys
import types
from typing import Any

import pytest

import unsample as us

REPORT = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""


def third_party(statement: str) -> set[str]:
    """Top-level modules beyond the standard library that a statement imports, in a fresh interpreter."""
    code = REPORT.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout)) - sys.stdlib_module_names


@pytest.mark.promise("F32")
def test_import_brings_numpy_alone() -> None:
    assert third_party("import unsample") == {"numpy", "unsample"}


def test_calls_on_numpy_arrays_import_nothing_more() -> None:
    call = "import numpy, unsample; unsample.max_unpool(*unsample.max_pool(numpy.ones((1, 1, 4)), 2))"
    assert third_party(call) == {"numpy", "unsample"}


def test_import_of_torch_layers_brings_torch() -> None:
    assert {"torch", "unsample"} <= third_party("import unsample.torch")


def test_what_else_is_imported_is_seen() -> None:
    assert third_party("import unsample, array_api_compat") == {"numpy", "unsample", "array_api_compat"}


def test_all_is_sorted_and_there() -> None:
    assert us.__all__ == sorted(us.__all__)
    assert len(set(us.__all__)) == len(us.__all__)
    for name in us.__all__:
        assert hasattr(us, name), name


@pytest.mark.parametrize("name", us.__all__)
def test_all_is_documented(name: str) -> None:
    value: Any = getattr(us, name)
    # A tuple's own docstring is not ours: the module of the table says what it is.
    documented = sys.modules["unsample.pairs"] if name == "PAIRS" else value
    doc = inspect.getdoc(documented)
    assert doc
    if isinstance(value, type):
        assert doc != inspect.getdoc(value.__base__), "inherited"
        assert not doc.startswith(f"{name}("), "made by dataclass"


def test_public_names_are_in_all() -> None:
    others = {name: value for name, value in vars(us).items() if not name.startswith("_")}
    for name in us.__all__:
        others.pop(name, None)  # tools are imported when they are asked for
    assert [name for name, value in others.items() if not isinstance(value, types.ModuleType)] == []
