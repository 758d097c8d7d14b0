"""The documentation is executed, complete and linked."""

import csv
import importlib
import re
import runpy
import statistics
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import command
import pages
import unsample as us
from checklist import public_name

# Pages of links, of pictures and of a table.
NO_SNIPPETS = {"docs/index.md", "docs/performance.md", "docs/versions.md"}


def relative(page: Path) -> str:
    return page.relative_to(pages.ROOT).as_posix()


@pytest.mark.parametrize("page", pages.PAGES, ids=relative)
def test_snippets_give_what_the_page_says(page: Path) -> None:
    number = pages.execute(page)
    assert number or relative(page) in NO_SNIPPETS, f"{relative(page)} has no snippet"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```python\n>>> 1 + 1\n3\n```\n", r"Expected:\n    3\nGot:\n    2"),
        ("```python\n>>> us.nearest\n```\n", "NameError"),  # every page imports what it uses
        ("```python\n>>> 1 + 1\n```\n", r"Expected nothing\nGot:\n    2"),
        ("```python\nprint(1)\n```\n", "not executed"),
        ("```python\n>>> import warnings; warnings.warn('old')\n```\n", "UserWarning: old"),
    ],
    ids=["wrong", "no import", "no output", "no prompt", "warns"],
)
def test_wrong_snippets_are_caught(text: str, fault: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError, match=fault):
        pages.execute(page)


def test_right_snippets_are_counted_and_share_a_namespace(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> x = 2\n```\nmore\n```python\n>>> x + 1\n3\n```\n    >>> x\n    2\n")
    assert pages.execute(page) == 3
    page.write_text("no snippet")
    assert pages.execute(page) == 0


def test_table_of_pairs_is_pairs() -> None:
    rows = pages.table_of_pairs(pages.README.read_text(encoding="utf-8"))
    written = [(pages.names(up)[0], pages.names(down)[0], stamp) for up, down, stamp in rows]
    assert written == [(public_name(pair.up), public_name(pair.down), pair.stamp) for pair in us.PAIRS]
    assert [up for up, _, _ in written] == [pair.name for pair in us.PAIRS]


@pytest.mark.parametrize("page", pages.LINKED, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    assert pages.broken_links(page) == []


def test_broken_links_are_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A *heading*, here\n[a](page.md) [b](none.md) ![c](none.png)\n"
        "[`d`](#a-heading-here) [e](page.md#none) [f](https://example.org) `[g](code.md)`\n"
        "```text\n[h](fence.md)\n```\n"
    )
    assert pages.broken_links(page) == ["none.md", "none.png", "page.md#none"]


def test_pictures_are_those_that_the_commands_of_the_pages_draw(tmp_path: Path) -> None:
    """To the byte with the pinned matplotlib, whose letters they hold; else what they say in words."""
    script = runpy.run_path(str(pages.ROOT / "docs" / "draw_pictures.py"))
    (tmp_path / "pictures").mkdir()
    for words in script["commands"]():
        assert command.unsample(*words, cwd=tmp_path).returncode == 0
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    kept = {path.name: path.read_bytes() for path in (pages.ROOT / "docs" / "pictures").glob("*.svg")}
    assert sorted(drawn) == sorted(kept)
    pinned = f"matplotlib=={matplotlib.__version__}\n" in (pages.ROOT / "constraints.txt").read_text()
    for name, picture in drawn.items():
        words = re.search(rb"<desc>(.*?)</desc>", picture, re.DOTALL)
        assert words
        assert words[0] in kept[name], f"run make pictures: {name} has other numbers"
        assert not pinned or picture == kept[name], f"run make pictures: {name} looks different"


def test_every_picture_of_the_pages_is_used() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in pages.PAGES)
    for picture in (pages.ROOT / "docs" / "pictures").iterdir():
        assert f"pictures/{picture.name})" in text, picture.name


def test_readme_names_the_commands_that_ci_runs() -> None:
    gate = (pages.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = re.findall(r"^make .*$", gate, re.MULTILINE)[0]
    shell = "".join(pages.fences(pages.README.read_text(encoding="utf-8"), "sh")).splitlines()
    assert command in shell
    targets = re.findall(r"^([\w-]+):", (pages.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = [line.split()[1] for line in shell if line.startswith("make ")]
    assert set(named) <= set(targets)
    assert {"test", "compare"} <= set(named)


@pytest.mark.parametrize("arguments", [[], ["--torch"]], ids=["numpy", "torch"])
def test_example_learns_the_filter(arguments: list[str]) -> None:
    example = pages.ROOT / "examples" / "learn_a_filter.py"
    done = subprocess.run([sys.executable, example, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^largest difference from the filter sought: (\S+)$", done.stdout, re.MULTILINE)
    assert found
    assert float(found[1]) < 1e-4
    losses = [float(loss) for loss in re.findall(r"mean squared error (\S+)", done.stdout)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 1


def test_the_figures_beside_torch_are_those_measured() -> None:
    with (pages.ROOT / "benchmarks/results/beside_torch.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    readme = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    moves = ("max_", "nearest", "bed_", "pixel_")
    for kind, group in (
        ("transposed convolution, forward", [row for row in rows if not row["workload"].startswith(moves)]),
        (
            "pooling, unpooling, nearest, nails, shuffle, channels first",
            [row for row in rows if row["workload"].startswith(moves)],
        ),
    ):
        means = [
            statistics.geometric_mean(float(row[key]) for row in group)
            for key in ("ratio", "own_threads", "one_thread")
        ]
        shown = " | ".join(f"{mean:.2f}\N{MULTIPLICATION SIGN}" for mean in means)
        assert f"| {kind} | {len(group)} | {shown} |" in readme


def test_the_figures_in_the_readme_are_those_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(pages.ROOT / "benchmarks"))
    report = importlib.import_module("report")
    assert report.summary(pages.ROOT / "benchmarks" / "results") in (pages.ROOT / "README.md").read_text()
