"""`unsample inspect`: what a model does, as text, JSON, CSV or a page."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unsample.cli.failures import one_sentence
from unsample.cli.output import complain, say, say_json, standard_output
from unsample.files import check_target, printable

if TYPE_CHECKING:
    from unsample.inspection import Inspection
    from unsample.inspection.given import Shaped


def inspect(
    model: Annotated[
        str,
        typer.Argument(
            help="A .pt2 file of torch.export.save, a .onnx file, or package.module:factory, also with "
            "arguments as in 'nets:net(3)' (its code runs)."
        ),
    ],
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="Shape of the input; files know theirs. Once per input, also as NAME=1,77:int64.",
            metavar="N,C,H,W",
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            help="A .safetensors file, loaded into the model of a factory: for its checkerboard.",
            metavar="FILE",
        ),
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
    with one_sentence("inspect", debug) as written:
        from unsample.inspection import conditions

        if as_json and as_csv:
            raise ValueError("inspect: json and csv must not both be asked for")
        if html:
            check_target("inspect", html)
        if os.path.exists(model) and not (os.path.isfile(model) or os.path.isdir(model)):
            raise ValueError(f"inspect: model must be a regular file, got {model}")
        condition = conditions.parse(fail_if) if fail_if else None
        found = _inspected(model, weights, shape or [], sizes=sizes, timed=timed)
        if html:
            from unsample.inspection.page import save

            save(found, Path(html))
            written.append(html)
        _print(found, as_json=as_json, as_csv=as_csv)
        held = condition.holds(found.numbers()) if condition is not None else None
        if held is not None:
            complain(f"unsample inspect: fail-if: {held}")
        if found.failure is not None and (as_json or as_csv):
            where = found.failure.layer or "the model"
            complain(f"unsample inspect: stopped in {where}: {found.failure.sentence}")
    if held is not None or found.failure is not None:
        raise typer.Exit(1)


def _inspected(model: str, weights: str, shapes: list[str], *, sizes: bool, timed: bool) -> "Inspection":
    from unsample.inspection import inspect as inspected
    from unsample.inspection.given import from_factory
    from unsample.inspection.weights import load_weights

    example = _example(shapes) if shapes else None
    made = from_factory(model) if ":" in model and not os.path.exists(model) else model
    if weights and made is model:
        raise ValueError(
            f"inspect: weights must go with package.module:factory, got {model}, which has its own"
        )
    if weights:
        load_weights(made, weights)
    return inspected(made, example, sizes=sizes, repeats=5 if timed else 0)


def _example(texts: list[str]) -> Any:
    """One shape, or a tuple or dict of arguments."""
    from unsample.inspection.given import Shaped

    given = [_argument(text) for text in texts]
    names = [name for name, _ in given if name]
    if names and len(set(names)) < len(given):
        raise ValueError("inspect: every input or none must have a name, and each another")
    if names:
        return dict(given)
    shaped = [each for _, each in given]
    return shaped[0].shape if shaped == [Shaped(shaped[0].shape)] else tuple(shaped)


def _argument(text: str) -> "tuple[str, Shaped]":
    from unsample.geometry.arguments import integers
    from unsample.inspection.given import Shaped

    found = re.fullmatch(r"(?:([A-Za-z_]\w*)=)?([\d\sx,]+)(?::([a-z]+\d*))?", text, re.ASCII)
    parts = found[2].replace("x", ",").split(",") if found else []
    if not found or not all(re.fullmatch(r"\d{1,18}", part.strip()) for part in parts):
        raise ValueError(f"inspect: input must be whole numbers such as 1,3,256,256, got {text!r:.40}")
    if found[3] and found[3] not in DTYPES:
        raise ValueError(
            f"inspect: the type of an input must be one of {', '.join(DTYPES)}, got {found[3]!r}"
        )
    shape = integers("inspect", "input", [int(part) for part in parts], minimum=0)
    return found[1] or "", Shaped(shape, found[3] or "")


DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")


def _print(found: "Inspection", *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        say_json(found.to_json())
    elif as_csv:
        say(found.to_csv(), end="")
    else:
        with standard_output():
            _print_tables(found)


def _print_tables(found: "Inspection") -> None:
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
