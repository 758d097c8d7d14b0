"""Install the lowest and the highest version of every dependency in turn, and run the tests that use it.

`make versions` runs this and writes docs/versions.md. Each version goes into a folder of its own that comes
before the environment's packages; nothing installed is changed. Where pip has no wheel the table says so.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "versions.md"
SECONDS = 900  # of one run of the tests


INTRODUCTION = """\
# Versions

pyproject.toml names the lowest version of every dependency. `make versions` installs it and the highest that
pip finds, one package at a time beside the pinned others, runs the tests that use it and writes this table.
With the pinned versions (constraints.txt) every test runs at every change.
"""


@dataclass(frozen=True)
class Check:
    """What shows that a dependency works: arguments of pytest, and packages that must come with it."""

    tests: str
    beside: tuple[str, ...] = ()  # of the same version
    needs: tuple[str, ...] = ()  # of any version: what the pinned one does without


CHECKS = {
    "numpy": Check("tests/core/test_geometry.py tests/core/test_errors.py tests/core/test_pool.py"),
    "array-api-compat": Check("tests/core/test_pool.py tests/core/test_errors.py"),
    "jax": Check("tests/jax/test_kernels.py -k nearest", beside=("jaxlib",)),
    "rich": Check("tests/tools/test_cli.py"),
    "typer": Check("tests/tools/test_cli.py", needs=("click",)),
    "matplotlib": Check("tests/tools/test_draw.py -k png"),
    "pillow": Check("tests/tools/test_draw.py tests/tools/test_compare.py -k png"),
    "scipy": Check("tests/core/test_checks.py tests/house/test_article.py"),
    "anywidget": Check("tests/tools/test_explore_python.py"),
    "onnx": Check("tests/tools/test_inspect_files.py -k test_an_o"),
    "safetensors": Check("tests/tools/test_inspect_files.py -k weights"),
    "scikit-image": Check("tests/tools/test_compare.py -k the_metrics"),
    "tqdm": Check("tests/tools/test_compare.py -k train"),
    "array-api-strict": Check("tests/core/test_pool.py tests/core/test_errors.py"),
    "equinox": Check("tests/jax/test_modules.py -k equinox"),
    "flax": Check("tests/jax/test_modules.py -k flax"),
}
# Several gigabytes each; the pinned one is what every other test runs with.
NEVER_INSTALLED = {"torch"}


def bounds() -> dict[str, str]:
    """The lowest version that pyproject.toml names of every dependency that has a place here."""
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = written["project"]
    extras, tools = project["optional-dependencies"], written["dependency-groups"]
    groups = [project["dependencies"], *extras.values(), *tools.values()]
    named = (re.fullmatch(r"([\w.-]+)>=([\w.]+)", each) for group in groups for each in group)
    found = {match[1]: match[2] for match in named if match}
    return {name: low for name, low in found.items() if name in CHECKS or name in NEVER_INSTALLED}


def install(name: str, wanted: str, folder: Path) -> str:
    """The version that lies in `folder` afterwards; "" where pip has no wheel of it."""
    if not folder.exists():
        names = [*(each + wanted for each in (name, *CHECKS[name].beside)), *CHECKS[name].needs]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(
            [*pip, "--target", str(folder), *names], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return ""
    (found,) = metadata.distributions(name=name, path=[str(folder)])
    return found.version


def run(name: str, folder: Path) -> str:
    """What pytest says of the tests of `name`, with the packages in `folder` before the others."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    # The warnings of old and new packages are theirs.
    command = [sys.executable, "-m", "pytest", "-q", "-W", "default", *CHECKS[name].tests.split()]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done in {SECONDS} s"
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [""]
    counts = re.findall(r"\d+ (?:passed|failed|errors?)", lines[-1])
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-2000:])
    return ", ".join(counts) or f"pytest ended with {done.returncode}"


def row(name: str, low: str, folder: Path) -> list[str]:
    """One dependency: its name, what is named and found, and how both ends do."""
    if name in NEVER_INSTALLED:
        return [
            name,
            low,
            "not installed here",
            f"{metadata.version(name)}: the pinned one",
            "",
        ]
    cells = []
    for wanted, end in ((f"=={low}", low), ("", "highest")):
        target = folder / f"{name}-{end}"
        version = install(name, wanted, target)
        if version == metadata.version(name):
            cells.append(f"{version}: the pinned one")
        elif version:
            cells.append(f"{version}: {run(name, target)}")
        else:
            cells.append("no wheel for this Python")
        print(f"{name:18}{cells[-1]}", flush=True)
    return [name, low, *cells, f"`{CHECKS[name].tests}`"]


def page(rows: list[list[str]]) -> str:
    """docs/versions.md."""
    head = ["dependency", "named", "lowest", "highest", "tests"]
    table = [head, ["---"] * len(head), *rows]
    lines = "\n".join("| " + " | ".join(each) + " |" for each in table)
    where = f"{datetime.date.today()}, Python {platform.python_version()}, {platform.system()}"
    return f"{INTRODUCTION}\n{where} {platform.machine()}:\n\n{lines}\n"


def main() -> int:
    """Run what is asked for; only a run of everything is written down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[[], *CHECKS, *NEVER_INSTALLED], help="of dependencies; all"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "versions", help="where to install")
    arguments = parser.parse_args()
    rows = [
        row(name, low, arguments.folder)
        for name, low in sorted(bounds().items())
        if not arguments.names or name in arguments.names
    ]
    if not arguments.names:
        PAGE.write_text(page(rows), encoding="utf-8")
    return int(any("failed" in cell or "error" in cell or "ended" in cell for each in rows for cell in each))


if __name__ == "__main__":
    sys.exit(main())
