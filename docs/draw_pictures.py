"""Run the `unsample draw` commands of the pages, which make their pictures: what `make pictures` does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent


def commands() -> list[list[str]]:
    """The commands that write into pictures/, as the pages show them."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")  # continued lines
        for line in re.findall(r"^unsample (draw .*pictures/.*)$", text, re.MULTILINE):
            found.append(shlex.split(line))
    return found


def main(folder: Path) -> None:
    """Write the pictures into `folder`/pictures."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for command in commands():
        subprocess.run([sys.executable, "-m", "unsample.cli", *command], cwd=folder, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
