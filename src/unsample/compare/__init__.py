"""The same encoder-decoder, trained with each way up, on your own photographs.

Start with `run.py`: settings in, one result per way up out. `network.py` holds the encoder-decoder (Fig. 1 of
the article) and the table of ways up; `photographs.py` reads images and splits them; `measures.py` defines
what is measured; `comparison.py` writes files. Nothing here prints: `unsample compare` in `cli.py` does.

Needs the extra `compare`: pip install 'unsample[compare]'.
"""

from unsample.compare.comparison import Comparison, check_writable
from unsample.compare.measures import blockiness, checkerboard
from unsample.compare.network import METHODS
from unsample.compare.photographs import BadPhotographs, Photographs, bundled, from_folder
from unsample.compare.results import Result, Settings
from unsample.compare.run import compare, train

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
