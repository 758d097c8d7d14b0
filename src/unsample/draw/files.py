"""Drawings as files: whole or not there, and the same bytes every time."""

import base64
import html
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unsample.draw.example import Example
from unsample.draw.sheet import Sheet
from unsample.draw.text import as_text
from unsample.draw.theme import DARK, LIGHT, Theme, mixed
from unsample.draw.views import natural, sheet, steps
from unsample.files import check_target, write_whole
from unsample.geometry import ShapeError
from unsample.geometry.arguments import choice, describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PIXELS = 40_000_000  # of a picture, or of all frames together
DPI = 150


def save(
    example: Example,
    path: str | os.PathLike[str],
    view: str | None = None,
    *,
    format: str | None = None,
    dark: bool = False,
    seconds: float = 1.0,
) -> Path:
    """Write a view to a file; GIF, APNG and HTML step through it.

    Parameters
    ----------
    example : Example
        What to draw, from `unsample.draw.example`.
    path : str or path
        Where to; the ending names the format unless `format` does. A pipe or a character device is written
        into; nothing but a file is ever replaced.
    view : "stamps", "gather", "matrix" or "overlap", optional
        A key of `VIEWS`; the stamps of a way up and the windows of a way down unless given.
    format : str, optional
        A key of `FORMATS`: svg, png, pdf, txt; animated gif, apng, html.
    dark : bool
        Light text on a dark ground.
    seconds : float
        How long each step is shown.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    ShapeError, TypeError
        Where there is no such format or view, or the drawing would be too large.
    OSError
        Where the file cannot be written; then nothing is.
    """
    path = Path(path)
    kind = format_of(path, format)
    check_target("draw", path)
    return write_whole("draw", path, render(example, view, kind, dark=dark, seconds=seconds))


def format_of(path: Path, format: str | None = None) -> str:
    """The format asked for, or that of the ending."""
    ending = path.suffix.lower().lstrip(".")
    if format is None and not ending:
        raise ShapeError(f"draw: the file must have an ending that names a format, such as .svg, got {path}")
    return choice("draw", "format", format if format is not None else ending, tuple(FORMATS))


def render(
    example: Example, view: str | None, format: str, *, dark: bool = False, seconds: float = 1.0
) -> bytes:
    """The bytes of a file of that format."""
    choice("draw", "format", format, tuple(FORMATS))
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"draw: seconds must be a number, got {describe(seconds)}")
    if not 0.02 <= seconds <= 60:
        raise ShapeError(f"draw: seconds must be from 0.02 to 60, got {seconds}")
    if format == "txt":
        return as_text(sheet(example, view)).encode("utf-8")
    import matplotlib.style

    # Restored at the end: what the user set neither reaches the drawing nor changes.
    with matplotlib.style.context(["default", {"svg.hashsalt": "unsample", "svg.fonttype": "path"}]):
        return FORMATS[format](example, view, dark, seconds)


def _still(format: str) -> Callable[[Example, str | None, bool, float], bytes]:
    def rendered(example: Example, view: str | None, dark: bool, seconds: float) -> bytes:
        from unsample.draw.paint import paint

        whole = sheet(example, view)
        return _picture(paint(whole, dark=dark), format, whole)

    return rendered


def _picture(figure: "Figure", format: str, sheet: Sheet) -> bytes:
    """One figure as SVG, PNG or PDF."""
    width, height = figure.get_size_inches()
    dpi = DPI
    if format == "png" and width * height * dpi**2 > MOST_PIXELS:
        dpi = max(40, int((MOST_PIXELS / (width * height)) ** 0.5))
    metadata: dict[str, str | None] = {
        "svg": {"Date": None, "Creator": "unsample", "Title": sheet.title},
        "png": {"Software": "unsample", "Title": sheet.title, "Description": as_text(sheet, ascii=True)},
        "pdf": {
            "CreationDate": None,
            "ModDate": None,
            "Creator": "unsample",
            "Producer": None,
            "Title": sheet.title,
        },
    }[format]  # type: ignore[assignment]
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, dpi=dpi, facecolor=figure.get_facecolor(), metadata=metadata)
    data = buffer.getvalue()
    return _described(data, sheet) if format == "svg" else data


def _described(svg: bytes, sheet: Sheet) -> bytes:
    """The SVG with a title and the drawing in words, which screen readers read."""
    words = f"<title>{html.escape(sheet.title)}</title>\n <desc>{html.escape(as_text(sheet))}</desc>\n "
    head, tag, rest = svg.decode("utf-8").partition("<svg ")
    opening, close, body = rest.partition(">")
    text = f'{head}{tag}role="img" {opening}{close}\n {words}{body.lstrip()}'
    # matplotlib leaves a blank at the end of some lines.
    return ("\n".join(line.rstrip() for line in text.splitlines()) + "\n").encode("utf-8")


def _text(example: Example, view: str | None, dark: bool, seconds: float) -> bytes:
    return as_text(sheet(example, view)).encode("utf-8")


def _frames(example: Example, view: str | None, dark: bool) -> list[tuple[Sheet, "Figure"]]:
    from unsample.draw.paint import cell_size, paint

    sheets = steps(example, view)
    size = cell_size(sheets)
    return [(each, paint(each, dark=dark, size=size)) for each in sheets]


def _animated(format: str) -> Callable[[Example, str | None, bool, float], bytes]:
    def rendered(example: Example, view: str | None, dark: bool, seconds: float) -> bytes:
        import numpy as np
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        frames = _frames(example, view, dark)
        inches = [figure.get_size_inches() for _, figure in frames]
        area = sum(width * height for width, height in inches)
        dpi = min(110, int((MOST_PIXELS / area) ** 0.5))
        if dpi < 30:
            raise ShapeError(f"draw: an animation of {len(frames)} frames of this size would be too large")
        width, height = (int(max(each) * dpi) for each in zip(*inches, strict=True))
        images = []
        for _, figure in frames:
            figure.set_dpi(dpi)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()  # type: ignore[no-untyped-call]
            pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            drawn = Image.fromarray(pixels).convert("RGB")
            image = Image.new("RGB", (width, height), drawn.getpixel((0, 0)))
            image.paste(drawn, (0, 0))
            images.append(image)
        times = [round(seconds * 1000)] * (len(images) - 1) + [round(seconds * 2500)]
        buffer = io.BytesIO()
        if format == "gif":
            palette = Image.new("P", (1, 1))
            palette.putpalette(bytes(_palette(DARK if dark else LIGHT)))
            images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
            images[0].save(
                buffer, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0, optimize=False
            )
        else:
            images[0].save(buffer, "PNG", save_all=True, append_images=images[1:], duration=times, loop=0)
        return buffer.getvalue()

    return rendered


def _palette(theme: Theme) -> list[int]:
    """256 colours: every ground, and from each the steps of a letter's soft edge. They never change."""
    grounds = (theme.paper, *theme.hues, *theme.levels)
    inks = [mixed(theme.ink, ground, step / 14) for ground in grounds for step in range(15)]
    lines = (theme.edge, theme.ghost, theme.faint)
    inks += [mixed(line, theme.paper, share) for line in lines for share in (1, 0.5)]
    inks += [theme.ink] * (256 - len(inks))
    return [int(ink[i : i + 2], 16) for ink in inks[:256] for i in (1, 3, 5)]


def _page(example: Example, view: str | None, dark: bool, seconds: float) -> bytes:
    """One self-contained page: every step a picture, buttons and keys to walk through them."""
    frames = [(each, _picture(figure, "svg", each)) for each, figure in _frames(example, view, dark)]
    title = html.escape(f"{frames[0][0].title}: {view or natural(example)}")
    pictures = "\n".join(
        '<img src="data:image/svg+xml;base64,{}" alt="{}"{}>'.format(
            base64.b64encode(svg).decode("ascii"),
            html.escape(as_text(each), quote=True),
            "" if not number else " hidden",
        )
        for number, (each, svg) in enumerate(frames)
    )
    page = (
        _PAGE.replace("TITLE", title)
        .replace("LAST", str(len(frames) - 1))
        .replace("MS", str(round(seconds * 1000)))
    )
    theme = DARK if dark else LIGHT
    page = page.replace("SCHEME", "dark" if dark else "light")
    page = page.replace("PAPER", theme.paper).replace("INK", theme.ink)
    return page.replace("PICTURES", pictures).encode("utf-8")


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TITLE</title>
<style>
:root { color-scheme: SCHEME; font-family: system-ui, sans-serif }
body { margin: 1rem auto; padding: 0 1rem; max-width: 75rem; background: PAPER; color: INK }
h1 { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
img { display: block; max-width: 100%; height: auto; margin: 0 auto }
img[hidden] { display: none }
nav { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; justify-content: center }
button { font: inherit; min-width: 2.75rem; min-height: 2.75rem }
input { flex: 1 1 12rem; max-width: 30rem; min-height: 2.75rem }
</style>
<main>
<h1>TITLE</h1>
PICTURES
<nav aria-label="steps">
<button id="back" aria-label="step back">&#9664;</button>
<button id="play" aria-label="play or pause">play</button>
<button id="next" aria-label="step on">&#9654;</button>
<input id="step" type="range" min="0" max="LAST" value="0" aria-label="step">
<output id="which" for="step" aria-live="polite"></output>
</nav>
</main>
<script>
const frames = document.querySelectorAll("img"), slider = document.getElementById("step");
const play = document.getElementById("play");
let timer = null;
function show(step) {
  step = (step + frames.length) % frames.length;
  frames.forEach((frame, i) => { frame.hidden = i !== step; });
  slider.value = step;
  document.getElementById("which").textContent = `${step + 1} / ${frames.length}`;
}
function stop() { clearInterval(timer); timer = null; play.textContent = "play"; }
function toggle() {
  if (timer) { stop(); return; }
  timer = setInterval(() => show(Number(slider.value) + 1), MS);
  play.textContent = "pause";
}
document.getElementById("back").onclick = () => { stop(); show(Number(slider.value) - 1); };
document.getElementById("next").onclick = () => { stop(); show(Number(slider.value) + 1); };
play.onclick = toggle;
slider.oninput = () => { stop(); show(Number(slider.value)); };
addEventListener("keydown", event => {
  if (event.target === slider) return;
  if (event.key === "ArrowRight") { stop(); show(Number(slider.value) + 1); }
  if (event.key === "ArrowLeft") { stop(); show(Number(slider.value) - 1); }
});
show(0);
</script>
</html>
"""

FORMATS: dict[str, Callable[[Example, str | None, bool, float], bytes]] = {
    "svg": _still("svg"),
    "png": _still("png"),
    "pdf": _still("pdf"),
    "txt": _text,
    "gif": _animated("gif"),
    "apng": _animated("apng"),
    "html": _page,
}
