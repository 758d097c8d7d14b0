"""What a comparison found: as text, as HTML, and as files that are whole or not there."""

import csv
import json
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unsample.compare import measures
from unsample.compare.photographs import Photographs
from unsample.compare.results import Result, Settings, measured_piece
from unsample.files import printable, write_whole
from unsample.tables import html_table, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Image = NDArray[np.float32]

# What a table shows of a result: key, heading, format. results.csv has the same columns, unformatted.
COLUMNS = (
    ("method", "way up", "{}"),
    ("psnr", "PSNR\ndB", "{:.2f}"),
    ("ssim", "SSIM", "{:.3f}"),
    ("blockiness", "block-\niness", "{:.3f}"),
    ("checkerboard", "checker-\nboard", "{:.4f}"),
    ("parameters", "para-\nmeters", "{:,}"),
    ("multiply_adds", "multiply-\nadds M", "{:.1f}"),
    ("ms_per_step", "ms per\nstep", "{:.1f}"),
    ("peak_bytes", "peak\nMB", "{:.1f}"),
)
# A table shows these in millions.
MILLIONS = ("multiply_adds", "peak_bytes")
# Pictures show this many held-out photographs, and magnify a patch of this many pixels a side.
SHOWN = 3
PATCH = 40


@dataclass(frozen=True)
class Comparison:
    """The results of one run, in the order they were trained.

    Parameters
    ----------
    settings : Settings
        What was asked for; where it names more methods than there are results, the run was interrupted.
    photographs : Photographs
        What was learned from and what was held out.
    results : tuple of Result
        One per way up.
    """

    settings: Settings
    photographs: Photographs
    results: tuple[Result, ...]

    @cached_property
    def originals(self) -> tuple[Image, ...]:
        """The held-out pieces that were measured, (3, height, width), from 0 to 1."""
        return tuple(measured_piece(each, self.settings.period) for each in self.photographs.held_out)

    @cached_property
    def reference(self) -> dict[str, float]:
        """Blockiness and checkerboard energy of the originals: what a perfect way up would show."""
        period = self.settings.period
        return {
            "blockiness": measures.blockiness(self.originals, period),
            "checkerboard": measures.checkerboard(self.originals, period),
        }

    def rows(self) -> list[list[str]]:
        """The table as text, `COLUMNS` wide; the last row is the originals."""
        found = [result.numbers() for result in self.results]
        found.append({"method": "(originals)", **self.reference})
        return [
            [_shown(numbers.get(key), key, form) if key in numbers else "" for key, _, form in COLUMNS]
            for numbers in found
        ]

    def __repr__(self) -> str:
        return "\n".join(text_table(self._table(), range(1, len(COLUMNS))))

    def _repr_html_(self) -> str:
        return html_table(self._table(), range(1, len(COLUMNS)))

    def _table(self) -> list[list[str]]:
        return [[one_line(heading) for _, heading, _ in COLUMNS], *self.rows()]

    def document(self) -> dict[str, Any]:
        """Everything but the pictures, ready for JSON; numbers that are not finite become None."""
        import torch

        results = [
            {key: _finite(value) for key, value in result.numbers().items()}
            | {"losses": [_finite(loss) for loss in result.losses]}
            for result in self.results
        ]
        return {
            "unsample": version("unsample"),
            "torch": torch.__version__,
            "machine": {
                "processor": platform.machine(),
                "threads": torch.get_num_threads(),
                "python": platform.python_version(),
            },
            "settings": asdict(self.settings),
            "metrics": {"psnr": measures.PSNR_SETTINGS, "ssim": measures.SSIM_SETTINGS},
            "photographs": {
                "train": [each.name for each in self.photographs.train],
                "held_out": [each.name for each in self.photographs.held_out],
                "skipped": [{"name": name, "reason": why} for name, why in self.photographs.skipped],
            },
            "reference": self.reference,
            "results": results,
        }

    def save(self, out: str | Path) -> list[Path]:
        """Write results.json, results.csv, sheet.png and losses.png into the folder `out`.

        Each is written beside its place and moved there, so that a file of these names is always whole.

        Returns
        -------
        list of Path
            What was written; the pictures only where there is a result.

        Raises
        ------
        ValueError
            Where `out` is no folder that can be written.
        OSError
            Where the disk refuses.
        """
        return list(self.saved(out))

    def save_numbers(self, out: str | Path) -> list[Path]:
        """results.json and results.csv alone, as `save` writes them."""
        return list(self.saved(out, NUMBERS))

    def saved(self, out: str | Path, names: Sequence[str] | None = None) -> Iterator[Path]:
        """Write the files of these names, all that there are results for unless given, one after the other.

        Each is named when it is there, so that who is interrupted knows what is.
        """
        out = check_writable(out)
        for name in names if names is not None else self.names:
            yield write_whole("compare", out / name, FILES[name](self))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files that `save` writes."""
        return tuple(FILES) if self.results else NUMBERS

    def as_json(self) -> str:
        """What results.json holds."""
        return json.dumps(self.document(), indent=2, allow_nan=False) + "\n"

    def as_csv(self) -> str:
        """What results.csv holds: a line per way up, `COLUMNS` wide."""
        rows = [[result.numbers()[key] for key, _, _ in COLUMNS] for result in self.results]
        return _csv([[key for key, _, _ in COLUMNS], *rows])

    def sheet(self) -> "Figure":
        """Held-out photographs, what each way up made of them, and a magnified patch of each."""
        from matplotlib.figure import Figure

        shown = _most_detailed(self.originals)[:SHOWN]
        columns = 1 + len(self.results)
        figure = Figure(figsize=(1.55 * columns, 3.4 * len(shown) + 0.3))
        top = 1 - 0.3 / figure.get_figheight()
        grid = figure.add_gridspec(
            len(shown), 1, hspace=0.13, top=top, bottom=0.1 / 3.4, left=0.005, right=0.995
        )
        for row, index in enumerate(shown):
            axes = grid[row].subgridspec(2, columns, wspace=0.04, hspace=0.03).subplots(squeeze=False)
            original, name = self.originals[index], self.photographs.held_out[index].name
            patch = _patch(original)
            _magnified(axes[:, 0], original, patch)
            axes[0, 0].set_title(_short(name), fontsize=9, style="italic")
            axes[1, 0].set_xlabel("PSNR   SSIM", fontsize=8)
            for (whole, close), result in zip(axes[:, 1:].T, self.results, strict=True):
                image = result.reconstructions[index]
                _magnified((whole, close), image, patch)
                if row == 0:
                    whole.set_title(result.method, fontsize=9, fontweight="bold")
                quality = measures.psnr(original, image), measures.ssim(original, image)
                close.set_xlabel("{:.1f} dB   {:.3f}".format(*quality), fontsize=8)
        return figure

    def curves(self) -> "Figure":
        """The loss of every step, smoothed, one line per way up, named where it ends."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        ax = figure.subplots()
        ends: list[tuple[float, str, Any]] = []
        for style, result in zip(_styles(len(self.results)), self.results, strict=True):
            losses = np.asarray(result.losses)
            window = max(1, len(losses) // 25)
            smooth = _running_mean(losses, window)
            (line,) = ax.plot(np.arange(1, len(losses) + 1), smooth, **style)
            ends.append((smooth[-1], result.method, line.get_color()))
        ax.set_yscale("log")
        ax.set_xlabel("training step")
        ax.set_ylabel(f"mean squared error, mean of the last {max(1, self.settings.steps // 25)} steps")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(which="both", axis="y", linewidth=0.4, alpha=0.5)
        _label_ends(ax, ends)
        return figure


def _png(figure: "Figure") -> bytes:
    picture = BytesIO()
    with warnings.catch_warnings():
        # A name may have letters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


# What `save` writes: name, content.
FILES: dict[str, Callable[[Comparison], str | bytes]] = {
    "results.json": Comparison.as_json,
    "results.csv": Comparison.as_csv,
    "sheet.png": lambda comparison: _png(comparison.sheet()),
    "losses.png": lambda comparison: _png(comparison.curves()),
}
NUMBERS = ("results.json", "results.csv")


def check_writable(out: str | Path) -> Path:
    """`out` as a folder that exists and takes files, made if need be.

    Raises
    ------
    ValueError
        In one sentence, where it cannot be; before any training.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Permission bits do not tell: a superuser passes them, a read-only disk does not show in them.
        with tempfile.TemporaryFile(dir=out):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"compare: out must be a folder that can be written, got {printable(out)} ({reason})"
        ) from None
    return out


def one_line(heading: str) -> str:
    """A heading of `COLUMNS` without its line break."""
    return heading.replace("-\n", "").replace("\n", " ")


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _shown(value: Any, key: str, form: str) -> str:
    if isinstance(value, float) and not np.isfinite(value):
        return "-"
    return form.format(value / 1e6 if key in MILLIONS else value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _short(name: str) -> str:
    """A file name that fits over a picture and that matplotlib takes literally."""
    stem = Path(name).stem
    stem = stem if len(stem) <= 18 else stem[:17] + "…"
    return printable(stem).replace("$", r"\$")


def _magnified(axes: Any, image: Image, patch: tuple[slice, slice]) -> None:
    """The image with the patch framed, and below it the patch."""
    from matplotlib.patches import Rectangle

    frame: dict[str, Any] = {"edgecolor": "#d9480f", "linewidth": 1.2}
    rows, columns = patch
    for ax, part in zip(axes, (image, image[:, rows, columns]), strict=True):
        ax.imshow(np.moveaxis(part, 0, -1), vmin=0, vmax=1, interpolation="nearest")
        ax.set(xticks=[], yticks=[], anchor="N")
        ax.spines[:].set_visible(False)
    size = columns.stop - columns.start, rows.stop - rows.start
    axes[0].add_patch(Rectangle((columns.start - 0.5, rows.start - 0.5), *size, fill=False, **frame))
    axes[1].spines[:].set(visible=True, color=frame["edgecolor"], linewidth=frame["linewidth"])


def _most_detailed(images: Sequence[Image]) -> list[int]:
    """Indices of the images, the one with the largest differences between neighbours first."""
    detail = [
        np.abs(np.diff(image, axis=-1)).mean() + np.abs(np.diff(image, axis=-2)).mean() for image in images
    ]
    return sorted(range(len(images)), key=lambda i: -detail[i])


def _patch(image: Image) -> tuple[slice, slice]:
    """The place whose larger structure varies most: there the ways up differ to the eye."""
    height, width = image.shape[-2:]
    size = min(PATCH, height, width)
    gray = image.mean(axis=0)
    best, where = -1.0, (0, 0)
    for top in range(0, height - size + 1, max(1, size // 4)):
        for left in range(0, width - size + 1, max(1, size // 4)):
            contrast = float(gray[top : top + size, left : left + size].std())
            if contrast > best:
                best, where = contrast, (top, left)
    top, left = where
    return slice(top, top + size), slice(left, left + size)


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of the last `window` values at each place, of fewer at the start."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(0, last - window)
    mean: NDArray[np.float64] = (total[last] - total[first]) / (last - first)
    return mean


def _styles(number: int) -> list[dict[str, Any]]:
    """Colours of Okabe & Ito (2008), which colour-blind people tell apart; dashes from the eighth line on."""
    colours = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
    return [
        {"color": colours[i % 7], "linestyle": "-" if i < 7 else "--", "linewidth": 1.6}
        for i in range(number)
    ]


def _label_ends(ax: Any, ends: Sequence[tuple[float, str, Any]]) -> None:
    """Write each line's name to its right, moved apart where they would meet."""
    low, high = np.log(ax.get_ylim())
    last = float("-inf")
    for value, name, colour in sorted(end for end in ends if np.isfinite(end[0]) and end[0] > 0):
        place = max((np.log(value) - low) / (high - low), last + 0.05)
        last = place
        ax.annotate(
            name,
            (1.01, place),
            xycoords="axes fraction",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )
