"""The Markdown pages, as the tests read them: snippets, links, the README's table of pairs."""

import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import jax

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
# Executed from top to bottom, each on its own.
PAGES = (README, *sorted(ROOT.glob("docs/**/*.md")))
# Whose links are followed.
LINKED = (*sorted(ROOT.glob("*.md")), *PAGES[1:])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return [code for word, code in _FENCE.findall(text) if word == language]


def execute(page: Path) -> int:
    """Run the snippets of a page in a namespace of its own; return their number or raise what differs."""
    text = page.read_text(encoding="utf-8")
    for code in fences(text, "python"):
        if not code.startswith(">>> "):
            raise AssertionError(f"{page.name} has python that is not executed:\n{code}")
    # A fence would be taken for output.
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, page.name, str(page), 0)
    differences: list[str] = []
    with jax.enable_x64(False):  # as the reader has it
        doctest.DocTestRunner(verbose=False).run(test, out=differences.append)
    if differences:
        raise AssertionError("".join(differences))
    return len(test.examples)


def broken_links(page: Path) -> list[str]:
    """Relative links and pictures of a page that lead nowhere."""
    broken = []
    for target in _links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    return broken


def _links(text: str) -> Iterator[str]:
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
    for match in re.finditer(r"\[[^\]]*\]\(([^)\s]+)\)", prose):
        yield match[1]


def _anchors(text: str) -> set[str]:
    """Headings as GitHub turns them into anchors."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_of_pairs(text: str) -> list[list[str]]:
    """The rows of the README's table of pairs, cell by cell."""
    _, found, after = text.partition("\n| way up | its way down | weight of tap *t* in the stamp |\n")
    if not found:
        raise AssertionError("the table of pairs is not there, or has another heading")
    rows = []
    for line in after.splitlines()[1:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`(\w+)`", cell)
