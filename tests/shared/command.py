"""The command line in the test's own process, so that torch is imported once and not once a call.

Streams, working folder, environment and modules are those of the call alone. What needs a process of its
own, signals, closed streams, the end of the interpreter, has one in `test_cli.py`.
"""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest

from unsample import cli


def unsample(
    *arguments: str, cwd: Path | None = None, encoding: str = "utf-8", **environment: str
) -> subprocess.CompletedProcess[str]:
    """What `python -m unsample.cli ARGUMENTS` prints, and its exit code."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2))
    with place(cwd, environment), redirect_stdout(out), redirect_stderr(err):
        code = run(*arguments)
    printed = [stream.buffer.getvalue().decode(encoding) for stream in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(arguments, code, *printed)


def run(*arguments: str) -> int:
    """The exit code of `main`, which must end by one; every other error is the test's."""
    heard = signal.getsignal(signal.SIGTERM)
    try:
        with mock.patch.object(sys, "argv", ["unsample", *arguments]), pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, heard)
    assert isinstance(end.value.code, int)
    return end.value.code


@contextmanager
def place(cwd: Path | None, environment: dict[str, str]) -> Iterator[None]:
    """A folder and an environment that are as before afterwards, and so is what can be imported."""
    before, there = os.getcwd(), set(sys.modules)
    folder = str(cwd or before)
    os.chdir(folder)
    try:
        with mock.patch.dict(os.environ, environment), mock.patch.object(sys, "path", [folder, *sys.path]):
            yield
    finally:
        os.chdir(before)
        for name in set(sys.modules) - there:
            if os.path.dirname(getattr(sys.modules[name], "__file__", None) or "") == folder:
                del sys.modules[name]
