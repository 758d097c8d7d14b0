"""The command line: `unsample compare` and `unsample draw`. The only file that prints.

Exit codes: 0 done; 1 it failed on the way; 2 the call or its input is wrong and nothing was started;
130 and 143 interrupted, what was finished is kept. One sentence on stderr says why; `--debug` adds the
traceback.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

try:
    import typer
except ModuleNotFoundError as missing:
    if missing.name != "typer":
        raise
    print("unsample: the command line needs an extra: pip install 'unsample[compare]'", file=sys.stderr)
    raise SystemExit(2) from None

if TYPE_CHECKING:
    from unsample.compare import Comparison, Photographs, Result, Settings

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
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold characters that this terminal does not have.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    app()


def _version(asked: bool) -> None:
    if asked:
        from unsample import __version__

        print(f"unsample {__version__}")
        raise typer.Exit


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
            print(f"skipped: {name} {why}", file=sys.stderr)
        say: Say = (lambda line: None) if as_json else (lambda line: print(line, flush=True))
        _announce(say, settings, photographs)
        code, comparison, written = _train(say, settings, photographs, place, progress=not as_json)
        if as_json:
            import json

            print(json.dumps(comparison.document(), indent=2, allow_nan=False))
        elif comparison.results:
            say("")
            _print_table(comparison)
            say("")
            say(
                "Higher PSNR and SSIM are better. Blockiness and checkerboard energy are best "
                "where they are those of the originals."
            )
            say(f"Written to {place}: {', '.join(sorted(path.name for path in written))}")
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
    signal.signal(signal.SIGTERM, _terminate)
    try:
        for result in train(photographs, settings, progress=progress):
            results.append(result)
            Comparison(settings, photographs, tuple(results)).save_numbers(place)
            say(
                f"{len(results)} of {len(settings.methods)}  {result.method:<14}  "
                f"PSNR {result.psnr:5.2f} dB  SSIM {result.ssim:.3f}  "
                f"loss {result.losses[-1]:.4f}  {result.ms_per_step:.0f} ms per step"
            )
    except _Terminated:
        code = 143
    except KeyboardInterrupt:
        code = 130
    comparison = Comparison(settings, photographs, tuple(results))
    if code:
        done = f"{len(results)} of {len(settings.methods)} ways up are finished"
        kept = f"the results are in {place}" if results else "nothing was written"
        print(f"interrupted: {done}, {kept}", file=sys.stderr)
    return code, comparison, comparison.save(place) if results else []


def _print_table(comparison: "Comparison") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from unsample.compare.report import COLUMNS

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, (_, heading, _) in enumerate(COLUMNS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    *rows, originals = comparison.rows()
    for row in rows:
        table.add_row(*row)
    table.add_section()
    table.add_row(*originals, style="dim")
    Console(highlight=False).print(table)


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
    with _one_sentence(debug, "draw"):
        from unsample import draw as drawing
        from unsample.draw.arguments import setting
        from unsample.draw.files import format_of, render, write_whole
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
            print(drawing.text(example, view, **_terminal()), end="")
        elif output == "-":
            picture = render(example, view, format or "svg", dark=dark, seconds=seconds)
            sys.stdout.buffer.write(picture)
            sys.stdout.buffer.flush()
        else:
            place = Path(output or f"{operation}-{view or natural(example)}.{format or 'svg'}")
            kind = format_of(place, format)
            if place.is_dir() or not place.parent.is_dir():
                raise ShapeError(f"draw: --output must be a file in a folder that exists, got {place}")
            write_whole(place, render(example, view, kind, dark=dark, seconds=seconds))
            print(f"Written to {place}")


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


class _Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt no handler of errors may swallow it."""


def _terminate(signum: int, frame: object) -> NoReturn:
    raise _Terminated


# What each command imports beyond NumPy, which the extra of its name brings.
NEEDED = {
    "compare": ("torch", "PIL", "skimage", "matplotlib", "tqdm", "rich", "array_api_compat"),
    "draw": ("matplotlib", "PIL", "scipy"),
}


@contextmanager
def _one_sentence(debug: bool, command: str = "compare") -> Iterator[None]:
    """Turn what goes wrong into one sentence on stderr and an exit code."""
    from importlib.util import find_spec

    missing = [name for name in NEEDED[command] if find_spec(name) is None]
    if missing and not debug:
        _stop(2, f"{command}: needs {', '.join(missing)}: pip install 'unsample[{command}]'")
    try:
        yield
    except KeyboardInterrupt:
        _stop(130, "interrupted, nothing was written")
    except _Terminated:
        _stop(143, "terminated, nothing was written")
    except BrokenPipeError:  # the reader went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        if debug:
            raise
        _stop(2, str(error))
    except (OSError, MemoryError) as error:
        if debug:
            raise
        _stop(1, f"{type(error).__name__}: {error}")


def _stop(code: int, message: str) -> NoReturn:
    # Errors of the library open with the operation: "compare: crop must be ...".
    print(
        f"unsample {message}" if message.partition(":")[0] in NEEDED else f"unsample: {message}",
        file=sys.stderr,
    )
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
