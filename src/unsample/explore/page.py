"""One self-contained HTML file from the files of this package: no server, no request, no inline style."""

import base64
import hashlib
import json
import os
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from unsample.explore.state import State, table
from unsample.files import check_target, write_whole

# One module in the browser; each part uses names of those before it.
SCRIPTS = (
    "arithmetic.js",
    "resample.js",
    "link.js",
    "call.js",
    "words.js",
    "parts.js",
    "pictures.js",
    "frame.js",
    "controls.js",
    "code.js",
    "steps.js",
    "lights.js",
    "edits.js",
    "explore.js",
)


@cache
def read(name: str) -> str:
    """A file of this package."""
    return files("unsample.explore").joinpath(name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """The JavaScript of page and widget: one ES module that exports `render`, as anywidget wants it."""
    return "\n".join([f"const TABLE = {_data(table())};", *map(read, SCRIPTS)])


def page(state: State) -> str:
    """The page as text, opening with a state.

    Its content security policy allows the one script and the one style by their hashes and nothing else: no
    request of any kind leaves the page.

    Examples
    --------
    >>> from unsample.explore.state import make_state
    >>> page(make_state("nearest")).splitlines()[0]
    '<!doctype html>'
    """
    # A module's top level is its own; the page's last line starts what a notebook starts by itself.
    code = f"\n{script()}\nstart();\n"
    style = f"\n{read('explore.css')}\n"
    policy = (
        f"default-src 'none'; script-src '{_hash(code)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "style": style, "state": _data(state), "script": code}
    text = read("page.html")
    # Split at the marks, so that no mark inside a part is ever replaced.
    done = []
    while "{{" in text:
        before, _, rest = text.partition("{{")
        name, _, text = rest.partition("}}")
        done += [before, parts[name]]
    return "".join([*done, text])


def write(path: str | os.PathLike[str], state: State) -> Path:
    """Write the page to a file, as `unsample.files.write_whole` does."""
    check_target("explore", path)
    return write_whole("explore", path, page(state)).absolute()


def show(path: Path) -> bool:
    """Open a written page in the browser; False where there is neither a display nor a browser to ask."""
    import webbrowser

    # Without a display the standard library would start a browser in the terminal, and wait for it.
    seen = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, seen)):
        return False
    try:
        return webbrowser.open(path.as_uri())
    except webbrowser.Error:
        return False


def _data(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it ends the element or opens a comment."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
