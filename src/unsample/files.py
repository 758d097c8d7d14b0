"""Files: read where they are files and of bounded size, written whole or not at all.

Every file that the commands write goes through `write_whole`, every file of the user that they read through
`open_file`, every name that they print through `printable`.
"""

import errno
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# C0, DEL and C1, which terminals obey; marks that turn the direction of writing, by which one name looks
# like another; separators of lines; halves of characters, by which Python holds bytes that are no UTF-8.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSEEN_IN_LINES = re.compile(_UNSEEN.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))


def printable(text: object, *, lines: bool = False) -> str:
    r"""Text that any terminal takes: what it would obey and what cannot be seen is shown escaped.

    Parameters
    ----------
    text : object
        A name, a path, or an error that quotes one.
    lines : bool
        Whether line breaks are meant; escaped unless so.

    Examples
    --------
    >>> print(printable("a\x1b[2J\n.png"))
    a\x1b[2J\n.png
    """
    unseen = _UNSEEN_IN_LINES if lines else _UNSEEN
    return unseen.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def open_file(path: str | os.PathLike[str], largest: int) -> BinaryIO:
    """Open a regular file, or what a link to one leads to, for reading.

    Raises
    ------
    OSError
        Where it is no regular file (a pipe may never end, a device never does), or of more than `largest`
        bytes (then `errno` is EFBIG).
    """
    _check_regular(os.stat(path))  # opening a device may already do something
    # It may be another file by now: to open a pipe, without O_NONBLOCK, is to wait for who writes into it.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(handle, "rb")
    try:
        found = os.fstat(file.fileno())
        _check_regular(found)
        if found.st_size > largest:
            raise OSError(errno.EFBIG, f"it is larger than {largest} bytes")
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: str | os.PathLike[str], largest: int) -> bytes:
    """All bytes of a regular file, as `open_file` opens it; what grows or does not know its size, too."""
    with open_file(path, largest) as file:
        data = file.read(largest + 1) or b""
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest} bytes")
    return data


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def write_whole(operation: str, path: str | os.PathLike[str], data: str | bytes) -> Path:
    """Write a file that is never seen half done: beside its place, then moved there.

    Parameters
    ----------
    operation : str
        As the error names it.
    path : str or path
        A file, or where one is to be. A link stays, and what it leads to is written; a file that exists keeps
        its permissions. What exists and is no file is never replaced: pipes and character devices are
        written into, directories, sockets and disks refused.
    data : str or bytes
        All of it; text in UTF-8.

    Raises
    ------
    OSError
        In one sentence, where it cannot be written; a file is then as it was before.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "backslashreplace")
    try:
        place = _place(path)
        if place is None:
            _write_into(path, data)
        else:
            _replace(place, data)
    except OSError as error:
        raise _refusal(operation, path, error) from None
    return Path(path)


def check_target(operation: str, path: str | os.PathLike[str]) -> None:
    """Refuse, before the work, what `write_whole` could not write after it, as far as that can be known."""
    try:
        place = _place(path)
        if place is not None:
            os.stat(place.parent)
            if not os.access(place.parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "its folder cannot be written")
    except OSError as error:
        raise _refusal(operation, path, error) from None


def _place(path: str | os.PathLike[str]) -> Path | None:
    """The file to replace or to make, links followed; None where something else is to be written into."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFREG:
        place = Path(os.path.realpath(path))
        # Links such as /dev/stdout may lead to a file that was deleted or never had a name.
        if not (place.exists() and os.path.samestat(place.stat(), found)):
            raise OSError(errno.ENOENT, "it is a file without a name")
        return place
    if kind in (stat.S_IFIFO, stat.S_IFCHR):
        return None
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    words = {stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a disk"}
    raise OSError(errno.EINVAL, f"it is {words.get(kind, 'no file')}")


def _write_into(path: str | os.PathLike[str], data: bytes) -> None:
    flags = os.O_WRONLY
    if sys.platform != "win32":
        # To open a pipe that nobody reads would wait for somebody; with this it fails.
        flags |= os.O_NONBLOCK | os.O_NOCTTY
    handle = os.open(path, flags)
    with open(handle, "wb", buffering=0) as file:
        if sys.platform != "win32":
            os.set_blocking(handle, True)
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]


def _replace(place: Path, data: bytes) -> None:
    try:
        kept = stat.S_IMODE(place.stat().st_mode) & 0o777
    except FileNotFoundError:
        kept = None
    beside = place.with_name(f".{place.name[:40]}.{os.urandom(8).hex()}")
    # Made with the permissions that it is to have, so that nobody reads what only its owner may.
    mode = 0o666 if kept is None else kept
    try:
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            if kept is not None:
                os.chmod(beside, kept)  # what the umask took
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync(place.parent)


def _sync(folder: Path) -> None:
    """Let the disk know the new name; not every system and disk can, and the file itself is there."""
    if sys.platform != "win32":
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _refusal(operation: str, path: str | os.PathLike[str], error: OSError) -> OSError:
    """The same kind of error, with a sentence of ours as its only text."""
    refusal = type(error)(f"{operation}: cannot write {os.fspath(path)!r} ({error.strerror or error})")
    refusal.errno = error.errno  # without strerror and filename, which would change what is printed
    return refusal
