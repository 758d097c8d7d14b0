"""What goes wrong in a command becomes one sentence on standard error and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from unsample.cli.output import complain, one_line

# What each command imports beyond NumPy, which the extra of its name brings.
NEEDED = {
    "compare": ("torch", "PIL", "skimage", "matplotlib", "tqdm", "rich", "array_api_compat"),
    "draw": ("matplotlib", "PIL", "scipy"),
    "explore": (),
    "inspect": ("torch", "rich", "array_api_compat"),
}


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt no handler of errors may swallow it."""


def terminate(signum: int, frame: object) -> NoReturn:
    """Handle SIGTERM."""
    raise Terminated


def code_of(stop: BaseException) -> int:
    """Exit code of a command that a signal stopped."""
    return 143 if isinstance(stop, Terminated) else 130


@contextmanager
def one_sentence(command: str, debug: bool) -> Iterator[list[str]]:
    """Turn what goes wrong into one sentence on stderr and an exit code.

    Yields a list for the names of the files that are written, which who interrupts wants to know.
    """
    from importlib.util import find_spec

    missing = [name for name in NEEDED[command] if find_spec(name) is None]
    if missing and not debug:
        _stop(2, f"{command}: needs {', '.join(missing)}: pip install 'unsample[{command}]'")
    written: list[str] = []
    try:
        yield written
    except (KeyboardInterrupt, Terminated) as stop:
        word = "terminated" if isinstance(stop, Terminated) else "interrupted"
        _stop(code_of(stop), f"{word}, {', '.join(written) or 'nothing'} was written")
    except typer.Exit:
        raise
    except Exception as error:
        if debug:
            import traceback

            complain(traceback.format_exc(), lines=True)
            raise typer.Exit(1) from None
        if isinstance(error, ValueError | TypeError | OverflowError | IndexError):
            _stop(2, str(error))
        known = isinstance(error, OSError) and str(error).startswith(f"{command}: ")
        _stop(1, str(error) if known else f"{type(error).__name__}: {error}")


def _stop(code: int, message: str) -> NoReturn:
    # Errors of the library open with the operation: "compare: crop must be ...".
    message = one_line(message)
    complain(f"unsample {message}" if message.partition(":")[0] in NEEDED else f"unsample: {message}")
    raise typer.Exit(code)
