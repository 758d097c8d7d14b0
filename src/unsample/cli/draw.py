"""`unsample draw`: an example of one call, as a file, on standard output or in characters."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unsample.cli.failures import one_sentence
from unsample.cli.options import AXES, one_of
from unsample.cli.output import say, say_written, standard_output
from unsample.cli.settings import given
from unsample.errors import ShapeError
from unsample.files import check_target, write_whole
from unsample.geometry.arguments import PADDING_MODES
from unsample.geometry.resample import CONVENTIONS, METHODS
from unsample.ops.shuffle import ORDERS
from unsample.ops.unpool import DUPLICATES
from unsample.pairs import OPERATIONS

if TYPE_CHECKING:
    from unsample.draw import Example

_ARRAY = "SIZE|VALUES|FILE"
Text = str | None


@dataclass(frozen=True)
class Picture:
    """Which picture of the call, and where it goes."""

    view: Annotated[
        Text,
        typer.Option("--view", "-v", help="stamps (of a way up), gather (of a way down), matrix or overlap."),
    ] = None
    output: Annotated[
        Text,
        typer.Option(
            "--output", "-o", metavar="FILE", help="OPERATION-VIEW.svg unless given; - is standard output."
        ),
    ] = None
    format: Annotated[
        Text,
        typer.Option(help="svg, png, pdf, txt; animated: gif, apng, html. The file's ending unless given."),
    ] = None
    text: Annotated[bool, typer.Option("--text", help="Print the drawing in characters.")] = False
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False
    symbols: Annotated[
        bool | None,
        typer.Option(
            "--symbols/--numbers",
            help="Fill sizes with letters, or with random integers.",
            show_default=False,
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Of the random integers.")] = 0
    seconds: Annotated[float, typer.Option(help="Of each step of an animation.")] = 1.0


@dataclass(frozen=True)
class Settings:
    """The settings of the operation, and the arrays that few operations take."""

    stride: Annotated[Text, typer.Option("--stride", "-s", metavar=AXES)] = None
    padding: Annotated[
        Text,
        typer.Option(
            "--padding", "-p", metavar="N, N:N or WORD", help="1; 1,2; 0:1 before:after; same; full."
        ),
    ] = None
    dilation: Annotated[Text, typer.Option(metavar=AXES)] = None
    output_padding: Annotated[Text, typer.Option(metavar=AXES)] = None
    output_size: Annotated[Text, typer.Option(metavar=AXES)] = None
    input_size: Annotated[Text, typer.Option(metavar=AXES, help="Of resize_transpose.")] = None
    padding_mode: Annotated[Text, typer.Option(help=f"{one_of(PADDING_MODES)}.")] = None
    groups: Annotated[Text, typer.Option(metavar="N")] = None
    bias: Annotated[Text, typer.Option(metavar="VALUES")] = None
    kernel_size: Annotated[Text, typer.Option(metavar=AXES, help="Of a pooling.")] = None
    ceil_mode: Annotated[bool | None, typer.Option("--ceil-mode", help="Of a pooling.")] = None
    pooled: Annotated[
        Text, typer.Option(metavar=_ARRAY, help="What was pooled before max_unpool or max_gather.")
    ] = None
    switches: Annotated[Text, typer.Option(metavar="VALUES", help="Tap numbers, instead of --pooled.")] = None
    duplicates: Annotated[Text, typer.Option(help=f"{one_of(DUPLICATES)}.")] = None
    factor: Annotated[Text, typer.Option(metavar=AXES)] = None
    at: Annotated[Text, typer.Option(metavar="N or WORD", help="Of the nail: 1; 0,1; corner; center.")] = None
    order: Annotated[Text, typer.Option(help=f"{one_of(ORDERS)}, of a pixel shuffle.")] = None
    method: Annotated[Text, typer.Option(help=f"Of resize: {one_of(METHODS)}.")] = None
    convention: Annotated[Text, typer.Option(help=f"Of resize: {', '.join(CONVENTIONS)}.")] = None
    antialias: Annotated[bool | None, typer.Option("--antialias", help="Of resize.")] = None
    exclude_outside: Annotated[bool | None, typer.Option("--exclude-outside", help="Of resize.")] = None


def draw(
    operation: Annotated[str, typer.Argument(help=f"One of {', '.join(OPERATIONS)}.", show_default=False)],
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
    *,
    picture: Picture,
    settings: Settings,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Draw any operation with the numbers in its cells: as stamps, as windows, as a matrix, as overlaps.

    unsample draw conv_transpose --input 2 --kernel x,y,z --stride 2

    draws Fig. 7 of the article: 2 inputs, 3 taps, stride 2, 5 outputs.
    """
    with one_sentence("draw", debug) as written:
        from unsample import draw as drawing

        example = drawing.example(
            operation,
            input,
            kernel,
            symbols=picture.symbols,
            seed=picture.seed,
            **given("draw", settings),
        )
        if picture.text:
            _print(example, picture)
        elif picture.output == "-":
            _send(example, picture)
        else:
            _save(example, picture, written)


def _print(example: "Example", picture: Picture) -> None:
    from unsample.draw import text

    if picture.output is not None or picture.format is not None:
        raise ShapeError("draw: --text prints; for a file of characters give --output drawing.txt")
    columns = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    say(text(example, picture.view, width=max(40, columns), ascii=not _has_boxes()), end="")


def _has_boxes() -> bool:
    """Whether the terminal has box-drawing characters."""
    try:
        "┌─┐·→⌊½ᵀ".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _send(example: "Example", picture: Picture) -> None:
    """Write the picture to standard output."""
    rendered = _rendered(example, picture, picture.format or "svg")
    with standard_output():
        sys.stdout.buffer.write(rendered)
        sys.stdout.buffer.flush()


def _save(example: "Example", picture: Picture, written: list[str]) -> None:
    from unsample.draw.files import format_of
    from unsample.draw.views import natural

    name = picture.output
    if name is None:
        name = f"{example.operation}-{picture.view or natural(example)}.{picture.format or 'svg'}"
    place = Path(name)
    kind = format_of(place, picture.format)
    if os.path.isdir(place) or not os.path.isdir(place.parent):
        raise ShapeError(f"draw: --output must be a file in a folder that exists, got {place}")
    check_target("draw", place)
    say_written(write_whole("draw", place, _rendered(example, picture, kind)), written)


def _rendered(example: "Example", picture: Picture, kind: str) -> bytes:
    from unsample.draw.files import render

    return render(example, picture.view, kind, dark=picture.dark, seconds=picture.seconds)
