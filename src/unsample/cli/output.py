"""What the commands print, and what happens where nobody takes it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import typer

from unsample.files import printable


def say(text: object = "", *, end: str = "\n") -> None:
    """Print to standard output; where that is full or gone, stop."""
    with standard_output():
        print(printable(text, lines=True), end=end, flush=True)


def say_json(text: str) -> None:
    """Print JSON, which escapes all that a terminal obeys but one character."""
    with standard_output():
        print(text.rstrip("\n").replace("\x7f", "\\u007f"), flush=True)


def say_written(path: Path, written: list[str]) -> None:
    """Say that a file is there; not of a pipe or device, which may be the very stream that would say so."""
    if path.is_file():
        written.append(str(path))
        say(f"Written to {printable(path)}")


def complain(text: str, *, lines: bool = False) -> None:
    """Print to standard error; where that is full or gone, nobody can be told."""
    with suppress(OSError):
        print(printable(text, lines=lines), file=sys.stderr, flush=True)


def one_line(message: str) -> str:
    """A message of several lines as one."""
    return " ".join(line.strip() for line in message.splitlines())


@contextmanager
def standard_output() -> Iterator[None]:
    """Stop where what is printed is not taken; silently where the reader went away, as `| head` does."""
    try:
        yield
    except OSError as error:
        discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            complain(f"unsample: standard output cannot be written ({error.strerror})")
        raise typer.Exit(1) from None


def discard(stream: IO[str]) -> None:
    """Send to nowhere what a stream that fails still holds, or Python complains of it at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
