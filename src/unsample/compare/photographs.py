"""Photographs from a folder, or scikit-image's own, as arrays; split by photograph, never by crop."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from unsample.files import open_file, printable

# What Pillow may decode here: plain raster formats, none that runs code or reads other files.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm", ".gif")
# Bundled with scikit-image, so nothing is downloaded. Of the stereo pair only one: two views of one scene
# on both sides of the split would be the same photograph twice.
BUNDLED = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "moon.png",
    "motorcycle_left.png",
    "rocket.jpg",
)
# Photographs are reduced to this many pixels on the longer side: crops then show things, not blur.
LONGEST_SIDE = 768
MOST_PHOTOGRAPHS = 200
# Of the file, and of the pixels when they are decoded to RGB.
MOST_BYTES = 2**29


class BadPhotographs(ValueError):
    """No comparison can be made of these images; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """An image: its name and its pixels, uint8 or uint16, (height, width, 3)."""

    name: str
    pixels: NDArray[Any]

    def floats(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """A piece of it, (3, height, width), from 0 to 1."""
        piece = self.pixels[rows, columns].astype(np.float32)
        scaled = piece / np.float32(np.iinfo(self.pixels.dtype).max)
        return np.ascontiguousarray(np.moveaxis(scaled, -1, 0))


@dataclass(frozen=True, slots=True)
class Photographs:
    """What was read: photographs to learn from, photographs held out, and what was left aside and why."""

    train: tuple[Photograph, ...]
    held_out: tuple[Photograph, ...]
    skipped: tuple[tuple[str, str], ...] = ()


def bundled(seed: int = 0) -> Photographs:
    """scikit-image's bundled photographs."""
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    return _split([_read(folder / name, name) for name in BUNDLED], (), seed)


def from_folder(folder: str | Path, *, smallest: int, seed: int = 0) -> Photographs:
    """The photographs of a folder and the folders below it.

    Parameters
    ----------
    folder : path
        Where to look.
    smallest : int
        Pixels that both sides must have: the size of a crop.
    seed : int
        Chooses which are held out.

    Raises
    ------
    BadPhotographs
        Where fewer than two photographs can be used; it names the first reason.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):  # False, too, where the name is too long to be one
        raise BadPhotographs(f"compare: the folder must exist, got {printable(folder)}")
    photographs: list[Photograph] = []
    skipped: list[tuple[str, str]] = []
    for path in _files(folder):
        name = printable(path.relative_to(folder))
        if len(photographs) == MOST_PHOTOGRAPHS:
            skipped.append((name, f"comes after the first {MOST_PHOTOGRAPHS} photographs"))
            continue
        try:
            photograph = _read(path, name)
        except BadPhotographs as error:
            skipped.append((name, str(error)))
            continue
        except UnidentifiedImageError:
            if path.suffix.lower() in SUFFIXES:
                skipped.append((name, f"is not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"))
            continue
        height, width = photograph.pixels.shape[:2]
        if min(height, width) < smallest:
            reason = f"is {width}x{height} pixels, smaller than the crop of {smallest}x{smallest}"
            skipped.append((name, reason))
            continue
        photographs.append(photograph)
    if len(photographs) < 2:
        why = f"; {skipped[0][0]} {skipped[0][1]}" if skipped else ""
        found = f"{len(photographs)} usable" if photographs or skipped else "no images"
        raise BadPhotographs(
            f"compare: the folder must hold at least 2 photographs, one of them to hold out, "
            f"got {found} in {printable(folder)}{why}"
        )
    return _split(photographs, tuple(skipped), seed)


def _files(folder: Path) -> Iterator[Path]:
    # Links to folders are not followed: they may form a loop.
    for place, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            # A pipe or a dead link of such a name was meant to be an image, and is refused by name.
            if os.path.isfile(path) or path.suffix.lower() in SUFFIXES:
                yield path


def _read(path: Path, name: str) -> Photograph:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says of odd files, in words taken from them
            # Pillow warns of a decompression bomb before it decodes; here that is an error.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_file(path, MOST_BYTES) as file, Image.open(file, formats=FORMATS) as image:
                _check_size(image)
                image.load()
                upright = ImageOps.exif_transpose(image)
                return Photograph(name, _reduce(_pixels(upright)))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS or 0
        raise BadPhotographs(
            f"claims more pixels than the limit of {limit // 10**6} million (a decompression bomb?)"
        ) from None
    except UnidentifiedImageError:
        raise
    except Exception as error:
        # Pillow raises nearly anything for broken files; its text, if any, says how they are broken.
        why = getattr(error, "strerror", None) or str(error)  # without the path, which is named already
        raise BadPhotographs(f"cannot be read ({printable(why or type(error).__name__)})") from None


def _check_size(image: Image.Image) -> None:
    """Refuse, from its header alone, what would take more memory than any photograph needs."""
    wide = image.mode.startswith(("I", "F"))  # `_pixels` makes 16 bits of them
    needed = image.width * image.height * 3 * (2 if wide else 1)
    if needed > MOST_BYTES:
        raise ValueError(f"its pixels take {needed} bytes, at most {MOST_BYTES} are read")


def _pixels(image: Image.Image) -> NDArray[Any]:
    """RGB in uint8, or uint16 where the file has it; alpha over white, palettes expanded."""
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > np.iinfo(np.uint16).max:
            raise ValueError("its integers are not 16-bit")
        return np.repeat(wide.astype(np.uint16)[..., None], 3, axis=-1)
    if image.mode == "F":
        floats = np.asarray(image)
        if not (np.isfinite(floats).all() and floats.min() >= 0 and floats.max() <= 1):
            raise ValueError("its floating-point numbers are not all from 0 to 1")
        return np.repeat(np.rint(floats * 65535).astype(np.uint16)[..., None], 3, axis=-1)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", alpha.size, "white"), alpha)
    return np.asarray(image.convert("RGB"))


def _reduce(pixels: NDArray[Any]) -> NDArray[Any]:
    """Shrink a photograph that is larger than needed, by this library's own antialiased way down."""
    from unsample.ops.resize import resize

    height, width = pixels.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(height * scale)), max(1, round(width * scale))
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    return np.ascontiguousarray(np.moveaxis(resize(planes, size, antialias=True), 0, -1))


def _split(photographs: Sequence[Photograph], skipped: tuple[tuple[str, str], ...], seed: int) -> Photographs:
    """Hold out a quarter of the photographs, at least one, chosen by the seed."""
    order = np.random.default_rng([seed, 1]).permutation(len(photographs))
    number = max(1, len(photographs) // 4)
    held_out = sorted(order[:number].tolist())
    train = sorted(order[number:].tolist())
    return Photographs(tuple(photographs[i] for i in train), tuple(photographs[i] for i in held_out), skipped)
