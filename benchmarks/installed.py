"""Another `unsample` than the one that is installed here: `pip install --target FOLDER` of a commit."""

import sys
from pathlib import Path


def take_from(folder: str) -> None:
    """Let `import unsample` find the package of that folder."""
    # An editable install finds its package before any folder.
    sys.meta_path[:] = [each for each in sys.meta_path if "ScikitBuild" not in type(each).__name__]
    sys.path.insert(0, folder)
    import unsample

    assert Path(unsample.__file__).is_relative_to(folder), unsample.__file__
