"""The command line: `unsample compare`, `draw`, `explore`, `inspect`. The only file that prints.

Exit codes: 0 done; 1 it failed on the way; 2 the call or its input is wrong and nothing was started;
130 and 143 interrupted, what was finished is kept. One sentence on stderr says why; `--debug` adds the
traceback.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import isnan
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, NoReturn

try:
    import typer
except ModuleNotFoundError as missing:
    if missing.name != "typer":
        raise
    print("unsample: the command line needs an extra: pip install 'unsample[cli]'", file=sys.stderr)
    raise SystemExit(2) from None

from unsample.files import check_target, printable, write_whole

if TYPE_CHECKING:
    from unsample.compare import Comparison, Photographs, Result, Settings
    from unsample.inspection import Inspection

app = typer.Typer(
    name="unsample",
    help="The upsampling half of encoder-decoder networks: see what each way up does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# The keys of compare.METHODS, in words: importing that table takes torch, seconds before any help.
WAYS_UP = "nearest, bed_of_nails, max_unpool, conv_transpose, linear, pixel_shuffle, resize_conv"

Say = Callable[[str], None]


def main() -> None:
    """Run the command line, as the installed script `unsample` does."""
    # A closed stream is None. The next file to be opened would get its number, and so what is printed.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold characters that this terminal does not have.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with _standard_output():
            code = _run()
            sys.stdout.flush()
    except typer.Exit as stop:
        code = stop.exit_code
    try:
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)
    raise SystemExit(code)


def _run() -> int:
    try:
        return app(prog_name="unsample", standalone_mode=False) or 0
    except _Terminated:
        return 143
    except Exception as error:
        # An error of usage, from click or from typer's copy of it: they quote what was typed.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            _complain(error.format_message(), lines=True)
        else:
            where = getattr(getattr(error, "ctx", None), "command_path", "unsample")
            message = _one_line(error.format_message()).rstrip(".")
            _complain(f"{where}: {message}; see '{where} --help'")
        return 2


def _version(asked: bool) -> None:
    if asked:
        from unsample import __version__

        _say(f"unsample {__version__}")
        raise typer.Exit


# -- what is printed ----------------------------------------------------------------------------------


def _say(text: object = "", *, end: str = "\n") -> None:
    """Print to standard output; where that is full or gone, stop."""
    with _standard_output():
        print(printable(text, lines=True), end=end, flush=True)


def _say_json(text: str) -> None:
    # JSON escapes all that a terminal obeys but this.
    with _standard_output():
        print(text.rstrip("\n").replace("\x7f", "\\u007f"), flush=True)


def _complain(text: str, *, lines: bool = False) -> None:
    """Print to standard error; where that is full or gone, nobody can be told."""
    with suppress(OSError):
        print(printable(text, lines=lines), file=sys.stderr, flush=True)


def _one_line(message: str) -> str:
    return " ".join(line.strip() for line in message.splitlines())


@contextmanager
def _standard_output() -> Iterator[None]:
    """Stop where what is printed is not taken; silently where the reader went away, as `| head` does."""
    try:
        yield
    except OSError as error:
        _discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            _complain(f"unsample: standard output cannot be written ({error.strerror})")
        raise typer.Exit(1) from None


def _discard(stream: IO[str]) -> None:
    """Send to nowhere what a stream that fails still holds, or Python complains of it at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def compare(
    folder: Annotated[
        str | None,
        typer.Argument(
            help="Folder of photographs, subfolders included; scikit-image's bundled ones unless given.",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            help=f"Ways up, separated by commas: {WAYS_UP}.", metavar="NAME,...", show_default="all"
        ),
    ] = "",
    factor: Annotated[int, typer.Option(help="How much each level shrinks.")] = 2,
    levels: Annotated[int, typer.Option(help="How many levels the encoder has.")] = 2,
    steps: Annotated[int, typer.Option(help="Training steps of each way up.")] = 500,
    batch: Annotated[int, typer.Option(help="Crops per step.")] = 8,
    crop: Annotated[int, typer.Option(help="Pixels per side of a crop.")] = 64,
    width: Annotated[int, typer.Option(help="Channels of the network.")] = 16,
    rate: Annotated[float, typer.Option(help="Adam's highest learning rate.")] = 4e-3,
    seed: Annotated[int, typer.Option(help="Of the split, the crops and the weights.")] = 0,
    out: Annotated[str, typer.Option(help="Folder for the results.", metavar="DIR")] = "unsample-compare",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print results.json alone, without progress.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train the same encoder-decoder with each way up, on photographs, and measure what comes back.

    Only the way up differs: same encoder, width, crops and budget.
    Measured on photographs held out of training.
    Writes results.json, results.csv, sheet.png and losses.png.
    """
    with _one_sentence(debug):
        from unsample.compare import METHODS, Settings, bundled, check_writable, from_folder

        settings = Settings(
            methods=tuple(name.strip() for name in methods.split(",")) if methods else tuple(METHODS),
            factor=factor,
            levels=levels,
            steps=steps,
            batch=batch,
            crop=crop,
            width=width,
            rate=rate,
            seed=seed,
        )
        photographs = bundled(seed) if folder is None else from_folder(folder, smallest=crop, seed=seed)
        place = check_writable(out)
        for name, why in photographs.skipped:
            _complain(f"skipped: {name} {why}")
        say: Say = (lambda line: None) if as_json else _say
        _announce(say, settings, photographs)
        code, comparison, written = _train(say, settings, photographs, place, progress=not as_json)
        if as_json:
            _say_json(comparison.as_json())
        elif comparison.results:
            say("")
            _print_table(comparison)
            say("")
            say(
                "Higher PSNR and SSIM are better. Blockiness and checkerboard energy are best "
                "where they are those of the originals."
            )
            if written:
                say(f"Written to {printable(place)}: {', '.join(sorted(path.name for path in written))}")
    if code:
        raise typer.Exit(code)


def _announce(say: Say, settings: "Settings", photographs: "Photographs") -> None:
    """What is about to happen, while it still can be stopped."""
    from unsample.compare import measures

    def arguments(values: dict[str, Any]) -> str:
        return ", ".join(f"{key}={value}" for key, value in values.items())

    held_out = ", ".join(each.name for each in photographs.held_out[:4])
    more = len(photographs.held_out) - 4
    say(
        f"Photographs  {len(photographs.train)} to learn from, {len(photographs.held_out)} held out "
        f"({held_out}{f' and {more} more' if more > 0 else ''})"
    )
    say(
        f"Network      {settings.levels} levels of factor {settings.factor}, {settings.width} channels; "
        f"{settings.steps} steps of {settings.batch} crops of {settings.crop}x{settings.crop} pixels, "
        f"rate {settings.rate:g}, seed {settings.seed}"
    )
    say(f"PSNR         scikit-image: {arguments(measures.PSNR_SETTINGS)}")
    say(f"SSIM         scikit-image: {arguments(measures.SSIM_SETTINGS)}")
    say("")


def _train(
    say: Say, settings: "Settings", photographs: "Photographs", place: Path, *, progress: bool
) -> tuple[int, "Comparison", list[Path]]:
    """Train, write after every way up, and keep what is done where someone interrupts."""
    from unsample.compare import Comparison, train

    results: list[Result] = []
    code = 0
    try:
        for result in train(photographs, settings, progress=progress):
            results.append(result)
            Comparison(settings, photographs, tuple(results)).save_numbers(place)
            # The first step is not timed, so where it is the only one there is no time.
            time = (
                "time not measured" if isnan(result.ms_per_step) else f"{result.ms_per_step:.0f} ms per step"
            )
            say(
                f"{len(results)} of {len(settings.methods)}  {result.method:<14}  "
                f"PSNR {result.psnr:5.2f} dB  SSIM {result.ssim:.3f}  "
                f"loss {result.losses[-1]:.4f}  {time}"
            )
    except (KeyboardInterrupt, _Terminated) as stop:
        code = _code_of(stop)
    comparison = Comparison(settings, photographs, tuple(results))
    if code:
        done = f"{len(results)} of {len(settings.methods)} ways up are finished"
        kept = f"the results are in {place}" if results else "nothing was written"
        _complain(f"interrupted: {done}, {kept}")
    written: list[Path] = []
    if results:
        try:
            for path in comparison.saved(place):
                written.append(path)
        except (KeyboardInterrupt, _Terminated) as stop:
            code = _code_of(stop)
            there = [path.name for path in written]
            missing = [name for name in comparison.names if name not in there]
            _complain(
                f"interrupted while saving: {', '.join(there) or 'nothing'} written to {place}, "
                f"{', '.join(missing)} not"
            )
    return code, comparison, written


def _code_of(stop: BaseException) -> int:
    return 143 if isinstance(stop, _Terminated) else 130


def _print_table(comparison: "Comparison") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from unsample.compare.comparison import COLUMNS

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, (_, heading, _) in enumerate(COLUMNS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    *rows, originals = comparison.rows()
    for row in rows:
        table.add_row(*row)
    table.add_section()
    table.add_row(*originals, style="dim")
    with _standard_output():
        Console(highlight=False).print(table)


# -- explore ------------------------------------------------------------------------------------------

_AXES = "N or N,N"


@app.command()
def explore(
    way_up: Annotated[
        str,
        typer.Argument(
            help="nearest, bed_of_nails, max_unpool, conv_transpose, pixel_shuffle or resize.",
            metavar="WAY_UP",
        ),
    ] = "conv_transpose",
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where to write the page.", metavar="FILE")
    ] = "unsample-explore.html",
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    down: Annotated[
        bool, typer.Option("--down", help="Show the way down that it is the transpose of.")
    ] = False,
    rank: Annotated[int | None, typer.Option(help="1 or 2 spatial axes.", show_default=False)] = None,
    y: Annotated[
        str, typer.Option(help="Numbers of the smaller side; ; parts rows, | channels.", metavar="N,N;N,N")
    ] = "",
    x: Annotated[str, typer.Option(help="Numbers of the larger side.", metavar="N,N;N,N")] = "",
    weight: Annotated[str, typer.Option(help="Numbers of the kernel.", metavar="N,N;N,N")] = "",
    size: Annotated[str, typer.Option(help="Size of the input, or of what is pooled.", metavar=_AXES)] = "",
    factor: Annotated[str, typer.Option(help="Elements per element.", metavar=_AXES)] = "",
    at: Annotated[str, typer.Option(help="Where in its block the nail is.", metavar=_AXES)] = "",
    kernel_size: Annotated[str, typer.Option(help="Taps per axis.", metavar=_AXES)] = "",
    stride: Annotated[str, typer.Option(help="Step from window to window.", metavar=_AXES)] = "",
    padding: Annotated[
        str, typer.Option(help="Per side 1:0, per side and axis 1:0,0:1.", metavar="N, N:N or same")
    ] = "",
    dilation: Annotated[str, typer.Option(help="Step from tap to tap.", metavar=_AXES)] = "",
    padding_mode: Annotated[str, typer.Option(help="zeros, circular, reflect or replicate.")] = "",
    output_padding: Annotated[str, typer.Option(help="Elements more at the end.", metavar=_AXES)] = "",
    output_size: Annotated[str, typer.Option(help="Spatial size of the result.", metavar=_AXES)] = "",
    ceil_mode: Annotated[
        bool | None,
        typer.Option("--ceil-mode", help="Let a last window hang over the end.", show_default=False),
    ] = None,
    duplicates: Annotated[str, typer.Option(help="last, sum, max or error.")] = "",
    channels: Annotated[str, typer.Option(help="Output channels of pixel_shuffle.", metavar="N")] = "",
    order: Annotated[str, typer.Option(help="CRD or DCR.")] = "",
    method: Annotated[str, typer.Option(help="linear, nearest, cubic, catmull_rom or area.")] = "",
    convention: Annotated[str, typer.Option(help="half_pixel, align_corners, asymmetric or legacy.")] = "",
    antialias: Annotated[
        bool | None,
        typer.Option("--antialias", help="Stretch the kernel where an axis shrinks.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Write a page in which a way up, its numbers and its settings can be changed and seen.

    One HTML file that needs no server and loads nothing. Everything can be changed in the page, too.
    """
    given = {
        "y": y,
        "x": x,
        "weight": weight,
        "size": size,
        "factor": factor,
        "at": at,
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "padding_mode": padding_mode,
        "output_padding": output_padding,
        "output_size": output_size,
        "ceil_mode": ceil_mode,
        "duplicates": duplicates,
        "channels": channels,
        "order": order,
        "method": method,
        "convention": convention,
        "antialias": antialias,
    }
    with _one_sentence(debug, "explore") as written:
        from unsample.explore.page import show as show_page
        from unsample.explore.page import write
        from unsample.explore.state import make_state, read_option

        settings = {name: read_option(name, text) for name, text in given.items() if text not in ("", None)}
        state = make_state(way_up, direction="down" if down else "up", rank=rank, **settings)
        path = write(out, state)
        _written(path, written)
        if show and path.is_file() and not show_page(path):
            _complain("There is no display to show it on: open the file in a browser.")


# -- inspect ------------------------------------------------------------------------------------------------


@app.command()
def inspect(
    model: Annotated[
        str,
        typer.Argument(
            help="A .pt2 file of torch.export.save, a .onnx file, or package.module:factory (its code runs)."
        ),
    ],
    shape: Annotated[
        str,
        typer.Option("--input", help="Shape of the input; files know theirs.", metavar="N,C,H,W"),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV alone, one line per step.")] = False,
    html: Annotated[str, typer.Option("--html", help="Write a page as well.", metavar="FILE")] = "",
    fail_if: Annotated[
        str,
        typer.Option(
            "--fail-if", help="Exit with 1 where this holds, such as 'checkerboard>0.2'.", metavar="CONDITION"
        ),
    ] = "",
    sizes: Annotated[bool, typer.Option(help="Try which input sizes work.")] = True,
    timed: Annotated[
        bool, typer.Option("--time", help="Run the model for real, to time every step.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Every way down and up of a model: what it costs, what undoes what, which sizes work, what lies apart.

    A multiply-add is one product added; taps that meet padding are left out. "field" is the receptive field.
    Exit code 1 where the model stops on the way or the condition holds.
    """
    with _one_sentence(debug, "inspect") as written:
        from unsample.inspection import conditions
        from unsample.inspection import inspect as inspected
        from unsample.inspection.given import from_factory

        if as_json and as_csv:
            raise ValueError("inspect: json and csv must not both be asked for")
        if html:
            check_target("inspect", html)
        if os.path.exists(model) and not (os.path.isfile(model) or os.path.isdir(model)):
            raise ValueError(f"inspect: model must be a regular file, got {model}")
        condition = conditions.parse(fail_if) if fail_if else None
        example = _shape_option(shape) if shape else None
        made = from_factory(model) if ":" in model and not os.path.exists(model) else model
        found = inspected(made, example, sizes=sizes, repeats=5 if timed else 0)
        if html:
            from unsample.inspection.page import save

            save(found, Path(html))
            written.append(html)
        if as_json:
            _say_json(found.to_json())
        elif as_csv:
            _say(found.to_csv(), end="")
        else:
            with _standard_output():
                _print_inspection(found)
        held = condition.holds(found.numbers()) if condition is not None else None
        if held is not None:
            _complain(f"unsample inspect: fail-if: {held}")
        if found.failure is not None and (as_json or as_csv):
            where = found.failure.layer or "the model"
            _complain(f"unsample inspect: stopped in {where}: {found.failure.sentence}")
    if held is not None or found.failure is not None:
        raise typer.Exit(1)


def _shape_option(text: str) -> tuple[int, ...]:
    from unsample.geometry.arguments import integers

    parts = text.replace("x", ",").split(",")
    if not all(re.fullmatch(r"\d{1,18}", part.strip()) for part in parts):
        raise ValueError(f"inspect: input must be whole numbers such as 1,3,256,256, got {text!r:.40}")
    return integers("inspect", "input", [int(part) for part in parts], minimum=0)


def _print_inspection(found: "Inspection") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from unsample.inspection.table import fitted

    def shown(text: str, style: str = "") -> Text:  # of layers, as the file of the model names them
        return Text(printable(text), style)

    console = Console(highlight=False)
    tones = {"up": "blue", "down": "yellow", "good": "green", "bad": "bold red"}
    model, _, totals = found.title().partition("  ")
    console.print(shown(model, "bold"))
    console.print(shown(totals), "", sep="\n")
    fit = fitted(found, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, fit.gap, 0, 0), header_style="dim")
    for column, width in zip(fit.columns, fit.widths, strict=True):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.heading, justify=justify, no_wrap=True, width=width)
    for row in fit.rows:
        table.add_row(*(shown(cell.plain, tones.get(cell.tone, "")) for cell in row))
    if fit.rows:
        console.print(table, "", sep="\n")
    lines = Table.grid(padding=(0, 2, 0, 0))
    last = ""
    for heading, sentence in found.findings():
        tone = "bold red" if heading == "stopped" else ""
        lines.add_row(Text("" if heading == last else heading, tone or "bold"), shown(sentence, tone))
        last = heading
    console.print(lines)


# -- draw ---------------------------------------------------------------------------------------------------

# The keys of draw.OPERATIONS, in words: importing that table takes NumPy.
DRAWN = (
    "conv_transpose, conv, conv_weight_grad, nearest, window_sum, bed_of_nails, decimate, max_unpool, "
    "max_gather, max_pool, adaptive_max_pool, pixel_shuffle, pixel_unshuffle, resize, resize_transpose"
)
_INTS = "N or N,N"
_ARRAY = "SIZE|VALUES|FILE"
Text = str | None


@app.command()
def draw(
    operation: Annotated[str, typer.Argument(help=f"One of {DRAWN}.", show_default=False)],
    input: Annotated[
        str,
        typer.Option(
            "--input",
            "-i",
            metavar=_ARRAY,
            help="4x4; 1,2;3,4; a,b; or a file .npy, .csv, .txt.",
            show_default=False,
        ),
    ],
    kernel: Annotated[
        Text,
        typer.Option("--kernel", "-k", metavar=_ARRAY, help="Of a convolution: 3; 3x3; x,y,z; or a file."),
    ] = None,
    view: Annotated[
        Text,
        typer.Option("--view", "-v", help="stamps (of a way up), gather (of a way down), matrix or overlap."),
    ] = None,
    output: Annotated[
        Text,
        typer.Option(
            "--output", "-o", metavar="FILE", help="OPERATION-VIEW.svg unless given; - is standard output."
        ),
    ] = None,
    format: Annotated[
        Text,
        typer.Option(help="svg, png, pdf, txt; animated: gif, apng, html. The file's ending unless given."),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the drawing in characters.")] = False,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
    symbols: Annotated[
        bool | None,
        typer.Option(
            "--symbols/--numbers",
            help="Fill sizes with letters, or with random integers.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random integers.")] = 0,
    seconds: Annotated[float, typer.Option(help="Of each step of an animation.")] = 1.0,
    stride: Annotated[Text, typer.Option("--stride", "-s", metavar=_INTS)] = None,
    padding: Annotated[
        Text,
        typer.Option(
            "--padding", "-p", metavar="N, N:N or WORD", help="1; 1,2; 0:1 before:after; same; full."
        ),
    ] = None,
    dilation: Annotated[Text, typer.Option(metavar=_INTS)] = None,
    output_padding: Annotated[Text, typer.Option(metavar=_INTS)] = None,
    output_size: Annotated[Text, typer.Option(metavar=_INTS)] = None,
    input_size: Annotated[Text, typer.Option(metavar=_INTS, help="Of resize_transpose.")] = None,
    padding_mode: Annotated[Text, typer.Option(help="zeros, circular, reflect or replicate.")] = None,
    groups: Annotated[Text, typer.Option(metavar="N")] = None,
    bias: Annotated[Text, typer.Option(metavar="VALUES")] = None,
    kernel_size: Annotated[Text, typer.Option(metavar=_INTS, help="Of a pooling.")] = None,
    ceil_mode: Annotated[bool | None, typer.Option("--ceil-mode", help="Of a pooling.")] = None,
    pooled: Annotated[
        Text, typer.Option(metavar=_ARRAY, help="What was pooled before max_unpool or max_gather.")
    ] = None,
    switches: Annotated[
        Text, typer.Option(metavar="VALUES", help="Tap numbers, instead of --pooled.")
    ] = None,
    duplicates: Annotated[Text, typer.Option(help="last, sum, max or error.")] = None,
    factor: Annotated[Text, typer.Option(metavar=_INTS)] = None,
    at: Annotated[
        Text, typer.Option(metavar="N or WORD", help="Of the nail: 1; 0,1; corner; center.")
    ] = None,
    order: Annotated[Text, typer.Option(help="CRD or DCR, of a pixel shuffle.")] = None,
    method: Annotated[
        Text, typer.Option(help="Of resize: nearest, linear, cubic, catmull_rom or area.")
    ] = None,
    convention: Annotated[
        Text, typer.Option(help="Of resize: half_pixel, align_corners, asymmetric, legacy.")
    ] = None,
    antialias: Annotated[bool | None, typer.Option("--antialias", help="Of resize.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Draw any operation with the numbers in its cells: as stamps, as windows, as a matrix, as overlaps.

    unsample draw conv_transpose --input 2 --kernel x,y,z --stride 2

    draws Fig. 7 of the article: 2 inputs, 3 taps, stride 2, 5 outputs.
    """
    typed = {
        "stride": stride, "padding": padding, "dilation": dilation, "output_padding": output_padding,
        "output_size": output_size, "input_size": input_size, "padding_mode": padding_mode, "groups": groups,
        "kernel_size": kernel_size, "duplicates": duplicates, "factor": factor, "at": at, "order": order,
        "method": method, "convention": convention,
    }  # fmt: skip
    with _one_sentence(debug, "draw") as written:
        from unsample import draw as drawing
        from unsample.draw.files import format_of, render
        from unsample.draw.settings import setting
        from unsample.draw.views import natural
        from unsample.geometry import ShapeError

        settings = {name: setting(name, words) for name, words in typed.items() if words is not None}
        example = drawing.example(
            operation,
            input,
            kernel,
            bias=bias,
            pooled=pooled,
            switches=switches,
            symbols=symbols,
            seed=seed,
            ceil_mode=ceil_mode,
            antialias=antialias,
            **settings,
        )
        if text:
            if output is not None or format is not None:
                raise ShapeError("draw: --text prints; for a file of characters give --output drawing.txt")
            _say(drawing.text(example, view, **_terminal()), end="")
        elif output == "-":
            picture = render(example, view, format or "svg", dark=dark, seconds=seconds)
            with _standard_output():
                sys.stdout.buffer.write(picture)
                sys.stdout.buffer.flush()
        else:
            name = f"{operation}-{view or natural(example)}.{format or 'svg'}" if output is None else output
            place = Path(name)
            kind = format_of(place, format)
            if os.path.isdir(place) or not os.path.isdir(place.parent):
                raise ShapeError(f"draw: --output must be a file in a folder that exists, got {place}")
            check_target("draw", place)
            picture = render(example, view, kind, dark=dark, seconds=seconds)
            _written(write_whole("draw", place, picture), written)


def _terminal() -> dict[str, Any]:
    """How wide a drawing in characters may be, and whether the terminal has box-drawing characters."""
    import shutil

    try:
        "┌─┐·→⌊½ᵀ".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        plain = True
    else:
        plain = False
    columns = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    return {"width": max(40, columns), "ascii": plain}


# -- errors -------------------------------------------------------------------------------------------------


def _written(path: Path, written: list[str]) -> None:
    """Say so; not of a pipe or device, which may be the very stream that would say so."""
    if path.is_file():
        written.append(str(path))
        _say(f"Written to {printable(path)}")


class _Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt no handler of errors may swallow it."""


def _terminate(signum: int, frame: object) -> NoReturn:
    raise _Terminated


# What each command imports beyond NumPy, which the extra of its name brings.
NEEDED = {
    "compare": ("torch", "PIL", "skimage", "matplotlib", "tqdm", "rich", "array_api_compat"),
    "draw": ("matplotlib", "PIL", "scipy"),
    "explore": (),
    "inspect": ("torch", "rich", "array_api_compat"),
}


@contextmanager
def _one_sentence(debug: bool, command: str = "compare") -> Iterator[list[str]]:
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
    except (KeyboardInterrupt, _Terminated) as stop:
        word = "terminated" if isinstance(stop, _Terminated) else "interrupted"
        _stop(_code_of(stop), f"{word}, {', '.join(written) or 'nothing'} was written")
    except typer.Exit:
        raise
    except Exception as error:
        if debug:
            import traceback

            _complain(traceback.format_exc(), lines=True)
            raise typer.Exit(1) from None
        if isinstance(error, ValueError | TypeError | OverflowError | IndexError):
            _stop(2, str(error))
        known = isinstance(error, OSError) and str(error).startswith(f"{command}: ")
        _stop(1, str(error) if known else f"{type(error).__name__}: {error}")


def _stop(code: int, message: str) -> NoReturn:
    # Errors of the library open with the operation: "compare: crop must be ...".
    message = _one_line(message)
    _complain(f"unsample {message}" if message.partition(":")[0] in NEEDED else f"unsample: {message}")
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
