"""`unsample compare`: train with each way up, say how it goes, print and write what was measured."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unsample.cli.failures import Terminated, code_of, one_sentence
from unsample.cli.output import complain, say, say_json, standard_output
from unsample.files import printable

if TYPE_CHECKING:
    from unsample.compare import Comparison, Photographs, Result, Settings

# The keys of compare.METHODS, in words: importing that table takes torch, seconds before any help.
WAYS_UP = "nearest, bed_of_nails, max_unpool, conv_transpose, linear, pixel_shuffle, resize_conv"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """What is trained, and for how long: the fields of `compare.Settings`."""

    methods: Annotated[
        str,
        typer.Option(
            help=f"Ways up, separated by commas: {WAYS_UP}.", metavar="NAME,...", show_default="all"
        ),
    ] = ""
    factor: Annotated[int, typer.Option(help="How much each level shrinks.")] = 2
    levels: Annotated[int, typer.Option(help="How many levels the encoder has.")] = 2
    steps: Annotated[int, typer.Option(help="Training steps of each way up.")] = 500
    batch: Annotated[int, typer.Option(help="Crops per step.")] = 8
    crop: Annotated[int, typer.Option(help="Pixels per side of a crop.")] = 64
    width: Annotated[int, typer.Option(help="Channels of the network.")] = 16
    rate: Annotated[float, typer.Option(help="Adam's highest learning rate.")] = 4e-3
    seed: Annotated[int, typer.Option(help="Of the split, the crops and the weights.")] = 0


def compare(
    folder: Annotated[
        str | None,
        typer.Argument(
            help="Folder of photographs, subfolders included; scikit-image's bundled ones unless given.",
            show_default=False,
        ),
    ] = None,
    *,
    training: Training,
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
    with one_sentence("compare", debug):
        from unsample.compare import bundled, check_writable, from_folder

        settings = _settings(training)
        seed = settings.seed
        photographs = (
            bundled(seed) if folder is None else from_folder(folder, smallest=settings.crop, seed=seed)
        )
        place = check_writable(out)
        for name, why in photographs.skipped:
            complain(f"skipped: {name} {why}")
        tell: Say = (lambda line: None) if as_json else say
        _announce(tell, settings, photographs)
        trained, comparison = _train(tell, settings, photographs, place, progress=not as_json)
        saved, written = _save(comparison, place) if comparison.results else (0, [])
        if as_json:
            say_json(comparison.as_json())
        elif comparison.results:
            _report(comparison, place, written)
    if saved or trained:
        raise typer.Exit(saved or trained)


def _settings(training: Training) -> "Settings":
    from unsample.compare import METHODS, Settings

    names = training.methods
    methods = tuple(name.strip() for name in names.split(",")) if names else tuple(METHODS)
    return Settings(**{**asdict(training), "methods": methods})


def _announce(tell: Say, settings: "Settings", photographs: "Photographs") -> None:
    """What is about to happen, while it still can be stopped."""
    from unsample.compare import measures

    def arguments(values: dict[str, Any]) -> str:
        return ", ".join(f"{key}={value}" for key, value in values.items())

    held_out = ", ".join(each.name for each in photographs.held_out[:4])
    more = len(photographs.held_out) - 4
    tell(
        f"Photographs  {len(photographs.train)} to learn from, {len(photographs.held_out)} held out "
        f"({held_out}{f' and {more} more' if more > 0 else ''})"
    )
    tell(
        f"Network      {settings.levels} levels of factor {settings.factor}, {settings.width} channels; "
        f"{settings.steps} steps of {settings.batch} crops of {settings.crop}x{settings.crop} pixels, "
        f"rate {settings.rate:g}, seed {settings.seed}"
    )
    tell(f"PSNR         scikit-image: {arguments(measures.PSNR_SETTINGS)}")
    tell(f"SSIM         scikit-image: {arguments(measures.SSIM_SETTINGS)}")
    tell("")


def _train(
    tell: Say, settings: "Settings", photographs: "Photographs", place: Path, *, progress: bool
) -> tuple[int, "Comparison"]:
    """Train, write numbers after every way up, and keep what is done where someone interrupts."""
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
            tell(
                f"{len(results)} of {len(settings.methods)}  {result.method:<14}  "
                f"PSNR {result.psnr:5.2f} dB  SSIM {result.ssim:.3f}  "
                f"loss {result.losses[-1]:.4f}  {time}"
            )
    except (KeyboardInterrupt, Terminated) as stop:
        code = code_of(stop)
        done = f"{len(results)} of {len(settings.methods)} ways up are finished"
        kept = f"the results are in {place}" if results else "nothing was written"
        complain(f"interrupted: {done}, {kept}")
    return code, Comparison(settings, photographs, tuple(results))


def _save(comparison: "Comparison", place: Path) -> tuple[int, list[Path]]:
    """Write every file, and say what is there where someone interrupts."""
    written: list[Path] = []
    try:
        for path in comparison.saved(place):
            written.append(path)
    except (KeyboardInterrupt, Terminated) as stop:
        there = [path.name for path in written]
        missing = [name for name in comparison.names if name not in there]
        complain(
            f"interrupted while saving: {', '.join(there) or 'nothing'} written to {place}, "
            f"{', '.join(missing)} not"
        )
        return code_of(stop), written
    return 0, written


def _report(comparison: "Comparison", place: Path, written: list[Path]) -> None:
    say("")
    _print_table(comparison)
    say("")
    say(
        "Higher PSNR and SSIM are better. Blockiness and checkerboard energy are best "
        "where they are those of the originals."
    )
    if written:
        say(f"Written to {printable(place)}: {', '.join(sorted(path.name for path in written))}")


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
    with standard_output():
        Console(highlight=False).print(table)
