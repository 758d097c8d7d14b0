"""`unsample explore`: write the page, and open it in the browser."""

from dataclasses import dataclass
from typing import Annotated

import typer

from unsample.cli.failures import one_sentence
from unsample.cli.options import AXES, one_of
from unsample.cli.output import complain, say_written
from unsample.cli.settings import given
from unsample.explore.state import make_state, table
from unsample.geometry.arguments import PADDING_MODES
from unsample.geometry.resample import CONVENTIONS, METHODS
from unsample.ops.shuffle import ORDERS
from unsample.ops.unpool import DUPLICATES

WAYS = tuple(table()["ways"])
_NUMBERS = "N,N;N,N"


@dataclass(frozen=True)
class Settings:
    """The numbers and settings that the page opens with."""

    y: Annotated[
        str, typer.Option(help="Numbers of the smaller side; ; parts rows, | channels.", metavar=_NUMBERS)
    ] = ""
    x: Annotated[str, typer.Option(help="Numbers of the larger side.", metavar=_NUMBERS)] = ""
    weight: Annotated[str, typer.Option(help="Numbers of the kernel.", metavar=_NUMBERS)] = ""
    size: Annotated[str, typer.Option(help="Size of the input, or of what is pooled.", metavar=AXES)] = ""
    factor: Annotated[str, typer.Option(help="Elements per element.", metavar=AXES)] = ""
    at: Annotated[str, typer.Option(help="Where in its block the nail is.", metavar=AXES)] = ""
    kernel_size: Annotated[str, typer.Option(help="Taps per axis.", metavar=AXES)] = ""
    stride: Annotated[str, typer.Option(help="Step from window to window.", metavar=AXES)] = ""
    padding: Annotated[
        str, typer.Option(help="Per side 1:0, per side and axis 1:0,0:1.", metavar="N, N:N or same")
    ] = ""
    dilation: Annotated[str, typer.Option(help="Step from tap to tap.", metavar=AXES)] = ""
    padding_mode: Annotated[str, typer.Option(help=f"{one_of(PADDING_MODES)}.")] = ""
    output_padding: Annotated[str, typer.Option(help="Elements more at the end.", metavar=AXES)] = ""
    output_size: Annotated[str, typer.Option(help="Spatial size of the result.", metavar=AXES)] = ""
    ceil_mode: Annotated[
        bool | None,
        typer.Option("--ceil-mode", help="Let a last window hang over the end.", show_default=False),
    ] = None
    duplicates: Annotated[str, typer.Option(help=f"{one_of(DUPLICATES)}.")] = ""
    channels: Annotated[str, typer.Option(help="Output channels of pixel_shuffle.", metavar="N")] = ""
    order: Annotated[str, typer.Option(help=f"{one_of(ORDERS)}.")] = ""
    method: Annotated[str, typer.Option(help=f"{one_of(METHODS)}.")] = ""
    convention: Annotated[str, typer.Option(help=f"{one_of(CONVENTIONS)}.")] = ""
    antialias: Annotated[
        bool | None,
        typer.Option("--antialias", help="Stretch the kernel where an axis shrinks.", show_default=False),
    ] = None


def explore(
    way_up: Annotated[str, typer.Argument(help=f"{one_of(WAYS)}.", metavar="WAY_UP")] = "conv_transpose",
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where to write the page.", metavar="FILE")
    ] = "unsample-explore.html",
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    down: Annotated[
        bool, typer.Option("--down", help="Show the way down that it is the transpose of.")
    ] = False,
    rank: Annotated[int | None, typer.Option(help="1 or 2 spatial axes.", show_default=False)] = None,
    *,
    settings: Settings,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Write a page in which a way up, its numbers and its settings can be changed and seen.

    One HTML file that needs no server and loads nothing. Everything can be changed in the page, too.
    """
    with one_sentence("explore", debug) as written:
        from unsample.explore.page import show as show_page
        from unsample.explore.page import write

        direction = "down" if down else "up"
        state = make_state(way_up, direction=direction, rank=rank, **given("explore", settings))
        path = write(out, state)
        say_written(path, written)
        if show and path.is_file() and not show_page(path):
            complain("There is no display to show it on: open the file in a browser.")
