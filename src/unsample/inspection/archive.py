"""A .pt2 file as named bytes: what may be in it, how large, how deep, checked before anything is parsed.

The file is a zip that strangers may have written. Names are compared with a list; whatever the zip says of
its sizes is held to limits while it is read as well. Nothing here knows torch, and nothing is unpickled.
"""

import json
import math
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unsample.errors import ShapeError
from unsample.files import printable

# The members of a file of torch.export.save, below one folder. Those of `extra/` and the sample inputs are
# never read.
NAMES = re.compile(
    r"models/\w+\.json|data/weights/(weight_[0-9]{1,6}|\w+_weights_config\.json)"
    r"|data/constants/(tensor_[0-9]{1,6}|\w+_constants_config\.json)|data/sample_inputs/\w+\.pt"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id)|\.format_version"
    r"|\.storage_alignment|extra/[\w./-]*\w",
    re.ASCII,
)

DIRECTORY = 2**22  # bytes of the table of members: about 50,000 of them
JSON = 2**26  # bytes of a JSON text; a node of a program takes about 2 kB
ITEMS = 2**22  # of all its lists and objects: each takes about 60 bytes once it is parsed
DEPTH = 64
WEIGHT = 2**28  # bytes of a weight
PART = 2**20  # bytes that are read at a time
TOTAL = 2**31  # bytes of everything that is read


class Archive:
    """The members of a .pt2 file.

    Raises
    ------
    ShapeError
        In one sentence, where the file holds what no `torch.export.save` writes for tensors alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        self.left = TOTAL
        with open(path, "rb") as file, self._opened(file) as archive:
            members = archive.infolist()
            roots = {member.filename.partition("/")[0] for member in members}
            if len(roots) != 1:
                raise self.refused("have all its members in one folder")
            self.root = roots.pop() + "/"
            for member in members:
                name = member.filename.removeprefix(self.root)
                if not NAMES.fullmatch(name):
                    raise self.refused(
                        f"hold tensors alone, as a new torch.export.save writes them for a model without "
                        f"objects of its own, got {shown(name)}"
                    )
                if name in self.sizes:
                    raise self.refused(f"hold tensors alone, each once: {name} is there twice")
                if member.flag_bits & 1 or stat.S_ISLNK(member.external_attr >> 16):
                    raise self.refused(f"hold plain members, got {name} encrypted or as a link")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise self.refused(f"hold members that are stored or deflated, got another for {name}")
                self.sizes[name] = member.file_size
        if len({name.casefold() for name in self.sizes}) < len(self.sizes):
            raise self.refused("have names that differ in more than capitals")

    def refused(self, sentence: str) -> ShapeError:
        """The error for this file."""
        return ShapeError(f"inspect: {shown(str(self.path))}: must {sentence}")

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a member; never more than `limit`, whatever the zip says."""
        said, limit = self.sizes[name], min(limit, self.left)
        if said > limit:
            raise self.refused(f"have at most {limit} bytes in {name}, got {said}")
        self.left -= said
        with open(self.path, "rb") as file, self._opened(file) as archive:
            try:
                content = bytearray()
                with archive.open(self.root + name) as member:
                    while len(content) <= limit and (part := member.read(PART)):
                        content += part
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
                raise self.refused(f"be a file of torch.export.save ({first_line(error)})") from error
        if len(content) != said:
            raise self.refused(f"have as many bytes in {name} as it says, {said}, got {len(content)}")
        return bytes(content)

    def json(self, name: str) -> Any:
        """The JSON text of a member as lists and dicts, its depth and number of items limited before."""
        content = self.read(name, JSON)
        depth, items = extent(content)
        if depth > DEPTH or items > ITEMS:
            raise self.refused(
                f"have JSON of at most {DEPTH} levels and {ITEMS} items, got {depth} and {items} in {name}"
            )
        try:
            return json.loads(
                content.decode(),
                object_pairs_hook=_once,
                parse_int=_integer,
                parse_float=_finite,
                parse_constant=_finite,
            )
        except (ValueError, RecursionError) as error:
            raise self.refused(f"be a file of torch.export.save ({shown(first_line(error))})") from error

    def _opened(self, file: BinaryIO) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(_InParts(file))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            raise self.refused(f"be a file of torch.export.save ({shown(first_line(error))})") from error


class _InParts:
    """A file of which no single read is large: zipfile reads the table of members at once."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.close, self._read = file.seek, file.tell, file.close, file.read

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content = self._read(min(size, DIRECTORY + 1) if size >= 0 else DIRECTORY + 1)
        if len(content) > DIRECTORY:
            raise ValueError(f"its table of members has more than {DIRECTORY} bytes")
        return content


# A string, also one that does not end. Nothing is taken back (`*+`), so the time is linear.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_ELSE = bytes(set(range(256)) - set(b"[]{}"))


def extent(text: bytes) -> tuple[int, int]:
    """Depth and number of items of a JSON text, before it is parsed.

    Examples
    --------
    >>> extent(b'{"a": [1, 2, "[[[["]}')
    (2, 4)
    """
    plain = _STRING.sub(b"", text)
    items = sum(plain.count(sign) for sign in (b"[", b"{", b","))
    brackets = np.frombuffer(plain.translate(None, _ELSE), np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)
    return int(np.cumsum(steps).max(initial=0)), items


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError("an integer has more than 64 bits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number of JSON")
    return number


def shown(text: str) -> str:
    r"""Foreign text that a terminal and a table take: one line, at most 200 characters.

    Examples
    --------
    >>> print(shown("up\x1b[2J"))
    up\x1b[2J
    """
    return printable(text if len(text) <= 200 else f"{text[:200]}...")


def first_line(error: BaseException) -> str:
    """The first line of a message, or the kind of error where there is none."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
