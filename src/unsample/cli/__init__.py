"""The command line: one file per command, `compare`, `draw`, `explore`, `inspect`. Only this folder prints.

Start with `explore.py`, the shortest command that writes a file. `output.py` prints, `failures.py` makes one
sentence and an exit code of what goes wrong, `settings.py` reads what is typed and `options.py` declares it.
Frameworks and tools are imported inside the commands: `unsample --help` waits for none of them.

Exit codes: 0 done; 1 it failed on the way; 2 the call or its input is wrong and nothing was started;
130 and 143 interrupted, what was finished is kept. One sentence on stderr says why; `--debug` adds the
traceback.
"""

import os
import signal
import sys
from typing import Annotated

try:
    import typer
except ModuleNotFoundError as missing:
    if missing.name != "typer":
        raise
    print("unsample: the command line needs an extra: pip install 'unsample[cli]'", file=sys.stderr)
    raise SystemExit(2) from None

from unsample.cli.compare import compare
from unsample.cli.draw import draw
from unsample.cli.explore import explore
from unsample.cli.failures import Terminated, terminate
from unsample.cli.inspect import inspect
from unsample.cli.options import grouped
from unsample.cli.output import complain, discard, one_line, say, standard_output

__all__ = ["app", "main"]

app = typer.Typer(
    name="unsample",
    help="The upsampling half of encoder-decoder networks: see what each way up does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (compare, explore, inspect, draw):
    app.command()(grouped(command))


def main() -> None:
    """Run the command line, as the installed script `unsample` does."""
    # A closed stream is None. The next file to be opened would get its number, and so what is printed.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold characters that this terminal does not have.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    signal.signal(signal.SIGTERM, terminate)
    try:
        with standard_output():
            code = _run()
            sys.stdout.flush()
    except typer.Exit as stop:
        code = stop.exit_code
    try:
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)
    # Where KeyboardInterrupt once left the text of an exec, as dataclass and namedtuple run while torch is
    # imported, CPython ends `python -m` by SIGINT, whatever the code, unless another text ended well since.
    exec("")
    raise SystemExit(code)


def _run() -> int:
    try:
        return app(prog_name="unsample", standalone_mode=False) or 0
    except Terminated:
        return 143
    except Exception as error:
        # An error of usage, from click or from typer's copy of it: they quote what was typed.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            complain(error.format_message(), lines=True)
        else:
            where = getattr(getattr(error, "ctx", None), "command_path", "unsample")
            message = one_line(error.format_message()).rstrip(".")
            complain(f"{where}: {message}; see '{where} --help'")
        return 2


def _version(asked: bool) -> None:
    if asked:
        from unsample import __version__

        say(f"unsample {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass
