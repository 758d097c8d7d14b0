"""Python in a process of its own, in which a crash is an exit code and not the end of the tests."""

import os
import subprocess
import sys
from pathlib import Path

SHARED = str(Path(__file__).resolve().parent)


def run(*arguments: str, timeout: int = 600, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS`, which finds the modules of tests/shared as a test does."""
    paths = os.pathsep.join(each for each in (os.environ.get("PYTHONPATH"), SHARED) if each)
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def ends_well(*arguments: str, **environment: str) -> str:
    """What such a process prints; one that ends by a signal or an error fails."""
    done = run(*arguments, **environment)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout
