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


def test_dir_is_what_is_public() -> None:
    assert dir(us) == sorted(us.__all__)
    assert {"compare", "draw", "explore", "inspect"} <= set(dir(us))


def test_tools_stay_functions_when_their_files_are_imported() -> None:
    code = """
import types, unsample as us
import unsample.compare.run, unsample.explore.page, unsample.inspection.report
from unsample.compare import METHODS, Settings, compare
print([type(each).__name__ for each in (us.compare, us.explore, us.inspect, us.draw)], us.compare is compare)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['function', 'function', 'function', 'module'] True\n"


def test_what_compare_has_not_is_an_attribute_error() -> None:
    package = sys.modules["unsample.compare"]
    with pytest.raises(AttributeError, match=r"^module 'unsample\.compare' has no attribute 'comparisons'$"):
        _ = package.comparisons  # type: ignore[attr-defined]
    for name in package.__all__:
        assert hasattr(package, name), name


def test_python_m_unsample_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unsample", "draw", "nearest", "--input", "1,2", "--factor", "2", "--text"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("nearest, factor 2\n2 → 4\n")
