"""The same encoder-decoder, trained with each way up, on your own photographs.

Start with `run.py`: settings in, one result per way up out. `network.py` holds the encoder-decoder (Fig. 1 of
the article) and the table of ways up; `photographs.py` reads images and splits them; `measures.py` defines
what is measured; `comparison.py` writes files. Nothing here prints: `unsample compare` in `cli/` does.

`unsample.compare` is the function below, as `unsample.explore` is. `from unsample.compare import Settings`
finds the rest, which is imported when it is asked for: it takes torch.

Needs the extra `compare`: pip install 'unsample[compare]'.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unsample.compare.comparison import Comparison, check_writable
    from unsample.compare.measures import blockiness, checkerboard
    from unsample.compare.network import METHODS
    from unsample.compare.photographs import BadPhotographs, Photographs, bundled, from_folder
    from unsample.compare.results import Result, Settings
    from unsample.compare.run import train

__all__ = [
    "METHODS",
    "BadPhotographs",
    "Comparison",
    "Photographs",
    "Result",
    "Settings",
    "blockiness",
    "bundled",
    "check_writable",
    "checkerboard",
    "compare",
    "from_folder",
    "train",
]

# The file that each name is in.
_FILES = {
    "METHODS": "network",
    "BadPhotographs": "photographs",
    "Comparison": "comparison",
    "Photographs": "photographs",
    "Result": "results",
    "Settings": "results",
    "blockiness": "measures",
    "bundled": "photographs",
    "check_writable": "comparison",
    "checkerboard": "measures",
    "from_folder": "photographs",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _FILES:
        raise AttributeError(f"module 'unsample.compare' has no attribute {name!r}")
    return getattr(import_module(f"unsample.compare.{_FILES[name]}"), name)


def compare(
    folder: str | Path | None = None,
    settings: "Settings | None" = None,
    *,
    progress: bool = True,
) -> "Comparison":
    """Train the same encoder-decoder with each way up and measure them on photographs it has not seen.

    Parameters
    ----------
    folder : path, optional
        Holds photographs; scikit-image's bundled ones unless given.
    settings : Settings, optional
        What to train, and how long.
    progress : bool
        Whether to show a bar on stderr, where that is a terminal.

    Returns
    -------
    Comparison
        Its table as text, and `save(folder)` for files.

    Raises
    ------
    BadPhotographs, ShapeError, TypeError
        Where the photographs or the settings do not serve.
    """
    from unsample.compare.comparison import Comparison
    from unsample.compare.photographs import bundled, from_folder
    from unsample.compare.results import Settings
    from unsample.compare.run import train

    settings = settings or Settings()
    if folder is None:
        photographs = bundled(settings.seed)
    else:
        photographs = from_folder(folder, smallest=settings.crop, seed=settings.seed)
    results = tuple(train(photographs, settings, progress=progress))
    return Comparison(settings, photographs, results)
