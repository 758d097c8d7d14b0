"""The house: which file may know which."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports(source: str) -> set[str]:
    """The modules of the package that a source imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found & set(MODULES)


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The sets of modules that reach each other."""
    reach = {name: set(others) for name, others in graph.items()}
    for through in graph:
        for name in graph:
            if through in reach[name]:
                reach[name] |= reach[through]
    found = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph}
    return [set(each) for each in found if each]


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    inside = "def f():\n    from unsample.geometry import plan\n    import unsample.errors"
    assert imports(inside) == {"unsample.geometry.plan", "unsample.errors"}


def test_no_file_imports_another_that_imports_it() -> None:
    assert circles({name: imports(path.read_text()) - {name} for name, path in MODULES.items()}) == []


def test_frameworks_depend_on_the_core_and_never_back() -> None:
    core = (
        "arrays",
        "geometry",
        "ops",
        "native",
        "interop",
        "errors",
        "switches",
        "operation",
        "pairs",
        "matrix",
        "cache",
    )
    for name, path in MODULES.items():
        if name.split(".")[1:2] and name.split(".")[1] in core:
            outside = {other for other in imports(path.read_text()) if other.startswith(OUTSIDE)}
            assert not outside, f"{name} imports {outside}"


OUTSIDE = tuple(
    f"unsample.{each}" for each in ("torch", "jax", "draw", "explore", "inspection", "compare", "cli")
)


def reached_into(source: str) -> set[str]:
    """Private names of other modules of the package that a source uses."""
    tree, modules, found = ast.parse(source), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unsample"):
            names = {alias.name: alias.asname or alias.name for alias in node.names}
            found |= {name for name in names if name.startswith("_") and not name.startswith("__")}
            modules |= set(names.values())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            found |= {f"{node.value.id}.{node.attr}"} if private else set()
    return found - {"_native"}  # the compiled module, which has that name


def test_private_names_stay_in_their_files() -> None:
    planted = "from unsample.ops import resize\nfrom unsample.ops.nails import _nails\nresize._plan(1)"
    assert reached_into(planted) == {"_nails", "resize._plan"}
    assert {name: found for name, path in MODULES.items() if (found := reached_into(path.read_text()))} == {}
