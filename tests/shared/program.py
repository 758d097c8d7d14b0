"""Python in a process of its own, in which a crash is an exit code and not the end of the tests."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SHARED = str(Path(__file__).resolve().parent)


def run(*arguments: str, timeout: int = 600, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS`, which finds the modules of tests/shared as a test does.

    One that takes too long is aborted: its stderr then says where each of its threads and children stands.
    """
    paths = os.pathsep.join(each for each in (os.environ.get("PYTHONPATH"), SHARED) if each)
    command = [sys.executable, "-X", "faulthandler", *arguments]
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": paths} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            for number in (signal.SIGABRT, signal.SIGKILL) if hasattr(os, "killpg") else ():
                os.killpg(process.pid, number)
                time.sleep(1)  # to say where they stand
            process.kill()
            out, err = process.communicate()
            err = f"not done in {timeout} s\n{err}"
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def ends_well(*arguments: str, **environment: str) -> str:
    """What such a process prints; one that ends by a signal or an error fails."""
    done = run(*arguments, **environment)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout
