"""Every writer on every kind of target, every reader on every kind of source."""

import errno
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unsample import draw, files
from unsample.compare import BadPhotographs, Comparison, Settings, from_folder
from unsample.compare.photographs import Photograph, Photographs
from unsample.draw.values import read
from unsample.explore.page import write as write_page
from unsample.explore.state import make_state
from unsample.files import open_file, printable, read_file, write_whole
from unsample.geometry import ShapeError

# All writers write to this name, since those of `compare` are fixed.
NAME = "results.json"


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """A writer or reader that waits for the other end of a pipe fails, instead of the whole run."""

    def late(*_: Any) -> None:
        raise TimeoutError("it waits for ever")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def by_draw(path: Path) -> None:
    draw.save(draw.example("nearest", 2, factor=2), path, format="txt")


def by_explore(path: Path) -> None:
    write_page(path, make_state("nearest"))


def by_inspect(path: Path) -> None:
    import torch

    import unsample
    from unsample.inspection.page import save

    save(unsample.inspect(torch.nn.MaxPool2d(2), (1, 1, 4, 4), sizes=False), path)


def by_compare(path: Path) -> None:
    photograph = Photograph("a.png", np.zeros((64, 64, 3), np.uint8))
    comparison = Comparison(Settings(), Photographs((photograph,), (photograph,)), ())
    assert path.name == NAME
    list(comparison.saved(path.parent, [NAME]))


WRITERS = {"draw": by_draw, "explore": by_explore, "inspect": by_inspect, "compare": by_compare}
every_writer = pytest.mark.parametrize("writer", WRITERS)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@every_writer
def test_a_new_file_has_the_mode_of_any_new_file_and_the_umask_is_left_alone(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").touch()

    def touched(_: int) -> int:
        raise AssertionError("the umask is the whole process's")

    monkeypatch.setattr(os, "umask", touched)
    WRITERS[writer](tmp_path / NAME)
    assert mode_of(tmp_path / NAME) == mode_of(tmp_path / "other")
    assert sorted(os.listdir(tmp_path)) == ["other", NAME]


@every_writer
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_file_that_exists_keeps_its_mode(writer: str, mode: int, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.touch()
    path.chmod(mode)
    WRITERS[writer](path)
    assert path.stat().st_size > 0
    assert mode_of(path) == mode


@every_writer
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_its_target_is_written(writer: str, there: bool, tmp_path: Path) -> None:
    link, folder = tmp_path / NAME, tmp_path / "folder"
    folder.mkdir()
    if there:
        (folder / "target").write_text("before")
    link.symlink_to(Path("folder", "target"))
    WRITERS[writer](link)
    assert link.is_symlink()
    assert (folder / "target").read_text() != "before"
    assert sorted(os.listdir(tmp_path)) == ["folder", NAME]
    assert os.listdir(folder) == ["target"]


@every_writer
@pytest.mark.promise("F12")
def test_a_pipe_that_is_read_gets_the_bytes_and_stays(writer: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    os.mkfifo(path)
    got = []
    # Opened by this thread, so that there is a reader before the writer comes.
    reader = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    os.set_blocking(reader.fileno(), True)

    def collect() -> None:
        while piece := reader.read(65536):
            got.append(piece)

    keep = os.open(path, os.O_WRONLY)  # so that the reader does not end before the writer begins
    thread = threading.Thread(target=collect)
    thread.start()
    try:
        WRITERS[writer](path)
    finally:
        os.close(keep)
        thread.join()
        reader.close()
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(tmp_path) == [NAME]
    path.unlink()
    WRITERS[writer](path)
    assert b"".join(got) == path.read_bytes()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(path.parent)  # their names are short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def make_node(kind: int, number: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        try:
            os.mknod(path, kind | 0o666, number)
        except PermissionError:
            pytest.skip("only root makes devices")

    return make


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


REFUSED = {
    "pipe that nobody reads": (make_pipe, "No such device or address"),
    "socket": (make_socket, "it is a socket"),
    # A number of which there is no driver, so that no disk is at risk.
    "disk": (make_node(stat.S_IFBLK, os.makedev(240, 200)), "it is a disk"),
    "folder": (Path.mkdir, "Is a directory"),
    "link to itself": (make_link_to_itself, "Too many levels of symbolic links"),
}


@every_writer
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.promise("F12")
def test_what_cannot_be_written_is_refused_and_never_replaced(writer: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    make, why = REFUSED[kind]
    make(path)
    before = path.lstat()
    with pytest.raises(OSError) as refused:
        WRITERS[writer](path)
    assert str(refused.value) == f"{writer}: cannot write {str(path)!r} ({why})"
    assert path.lstat() == before
    assert os.listdir(tmp_path) == [NAME]


@every_writer
def test_a_device_is_written_into_and_never_replaced(writer: str, tmp_path: Path) -> None:
    """A node that takes everything, as /dev/null does, made for the test."""
    path = tmp_path / NAME
    make_node(stat.S_IFCHR, os.makedev(1, 3))(path)
    before = path.stat().st_ino
    WRITERS[writer](path)
    assert stat.S_ISCHR(path.stat().st_mode)
    assert path.stat().st_ino == before
    assert os.listdir(tmp_path) == [NAME]


def test_a_stream_that_leads_to_a_deleted_file_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "gone", "wb") as file:
        (tmp_path / "gone").unlink()
        with pytest.raises(OSError, match=r"\(it is a file without a name\)$"):
            write_whole("draw", f"/proc/self/fd/{file.fileno()}", b"data")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("writer", ["draw", "explore"])
@pytest.mark.promise("F12")
def test_a_missing_folder_is_named_before_the_work(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*_: Any, **__: Any) -> bytes:
        raise AssertionError("it worked before it looked")

    monkeypatch.setattr(sys.modules["unsample.draw.files"], "render", worked)
    monkeypatch.setattr(sys.modules["unsample.explore.page"], "page", worked)
    path = tmp_path / "none" / NAME
    with pytest.raises(FileNotFoundError) as refused:
        WRITERS[writer](path)
    assert str(refused.value) == f"{writer}: cannot write {str(path)!r} (No such file or directory)"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError) as refused_too:
        WRITERS[writer](tmp_path / NAME)
    assert str(refused_too.value).endswith("(its folder cannot be written)")


@every_writer
@pytest.mark.promise("F11")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(writer: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the write fails in the middle, as there."""
    path = tmp_path / NAME
    path.write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OSError) as full:
            WRITERS[writer](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(full.value) == f"{writer}: cannot write {str(path)!r} (File too large)"
    assert full.value.errno == errno.EFBIG
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupt_at_any_step_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / NAME
    path.write_text("before")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole("draw", path, b"after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [NAME]


def test_file_and_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(stat.S_IFMT(os.fstat(handle).st_mode)))
    write_whole("draw", tmp_path / NAME, b"data")
    assert synced == [stat.S_IFREG, stat.S_IFDIR]


def test_names_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    write_whole("draw", path, "text \udcff")
    assert path.read_text() == r"text \udcff"
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(OSError, match="File name too long"):
        write_whole("draw", tmp_path / ("a" * 5000), b"")


# -- what is read ----------------------------------------------------------------------------------------


def link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def dead_link(path: Path) -> None:
    path.symlink_to("nowhere")


def huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2**40)  # a hole, which takes no room


SOURCES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (make_pipe, "it is no regular file"),
    "socket": (make_socket, "it is no regular file"),
    "link to endless zeros": (link_to_zeros, "it is no regular file"),
    "dead link": (dead_link, "No such file or directory"),
    "link to itself": (make_link_to_itself, "Too many levels of symbolic links"),
    "folder": (Path.mkdir, "Is a directory"),
    "huge": (huge, "it is larger than 1048576 bytes"),
}
every_source = pytest.mark.parametrize("source", SOURCES)


@every_source
def test_what_is_no_file_of_bounded_size_is_not_read(source: str, tmp_path: Path) -> None:
    make, why = SOURCES[source]
    make(tmp_path / "a")
    for reads in (open_file, read_file):
        with pytest.raises(OSError) as refused:
            reads(tmp_path / "a", 2**20)
        assert refused.value.strerror == why


@every_source
@pytest.mark.parametrize("ending", ["txt", "csv", "npy"])
def test_draw_reads_files_alone(source: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    make, why = SOURCES[source]
    make(path)
    with pytest.raises(ShapeError) as refused:
        read("input", path)
    message = f"draw: input cannot be read from {path} ({why})"
    if source == "huge":
        message = f"draw: input must come from a file of at most 1 MiB, {path} is larger"
    assert str(refused.value) == message


@every_source
@pytest.mark.promise("94")
def test_compare_reads_files_alone(source: str, tmp_path: Path) -> None:
    make, why = SOURCES[source]
    make(tmp_path / "bad.png")
    make(tmp_path / "other")  # was never meant to be an image
    for number in range(2):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / f"{number}.png")
    if source == "folder":
        (tmp_path / "bad.png" / "2.png").write_bytes((tmp_path / "1.png").read_bytes())
    found = from_folder(tmp_path, smallest=16)
    why = why.replace("1048576", str(2**29))
    assert [s for s in found.skipped if s[0] != "other"] == (
        [] if source == "folder" else [("bad.png", f"cannot be read ({why})")]
    )
    assert len(found.train) + len(found.held_out) == (3 if source == "folder" else 2)


def test_a_file_that_grows_or_hides_its_size_is_read_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    assert len(read_file(tmp_path / "a", 100)) == 100
    # As files of /proc do, it says that it is empty.
    monkeypatch.setattr(files, "_check_regular", lambda _: None)
    asked = []
    real = files.open_file

    def counted(path: Any, largest: int) -> Any:
        file = real(path, 2**20)
        take = file.read

        class Counted:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: Any) -> None:
                file.close()

            def read(self, size: int) -> bytes:
                asked.append(size)
                return take(size)

        return Counted()

    monkeypatch.setattr(files, "open_file", counted)
    with pytest.raises(OSError, match="it is larger than 99 bytes"):
        read_file(tmp_path / "a", 99)
    assert asked == [100]


def test_npy_headers_promise_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"

    def header(shape: str, descr: str = "'<f8'", body: bytes = b"") -> None:
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body)

    cases = [
        ("(4,)", "'<f8'", r"draw: input cannot be read from .* \(it is shorter than its header says\)"),
        (
            "(4,)",
            "'V1000000000'",
            r"draw: input cannot be read from .* \(it is shorter than its header says\)",
        ),
        (
            "(99999999999,)",
            "'<f8'",
            r"draw: input must have at most 4096 elements to be drawn, got 99999999999",
        ),
        ("(-1,)", "'<f8'", r"draw: input cannot be read from .*"),
        ("(" * 4000, "'<f8'", r"draw: input cannot be read from .*"),
    ]
    for shape, descr, message in cases:
        header(shape, descr)
        with pytest.raises(ShapeError, match=f"^{message}"):
            read("input", path)


# -- images ----------------------------------------------------------------------------------------------


@pytest.mark.promise("91", "F19")
def test_pixels_are_limited_by_their_bytes_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unsample.compare import photographs

    for number in range(2):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / f"{number}.png")
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(tmp_path / "wide.png")
    Image.new("1", (40, 40)).save(tmp_path / "bits.png")
    monkeypatch.setattr(photographs, "MOST_BYTES", 32 * 32 * 3)
    # Pillow's own limit may be switched off by whoever uses it for something else.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    decoded = []
    monkeypatch.setattr(photographs, "_pixels", lambda image: decoded.append(image) or np.asarray(image))
    found = from_folder(tmp_path, smallest=16)
    assert found.skipped == (
        ("bits.png", "cannot be read (its pixels take 4800 bytes, at most 3072 are read)"),
        ("wide.png", "cannot be read (its pixels take 6144 bytes, at most 3072 are read)"),
    )
    assert len(decoded) == 2


@pytest.mark.promise("91")
def test_whatever_is_cut_off_or_changed_is_an_image_or_a_sentence(tmp_path: Path) -> None:
    """Files of every format, cut and with bytes changed: skipped in one sentence, or read, never an error."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, dict[str, Any]] = {
        "png": {"exif": exif}, "jpg": {"exif": exif}, "tif": {"compression": "tiff_adobe_deflate"},
        "webp": {}, "bmp": {}, "ppm": {}, "gif": {"save_all": True, "append_images": [picture]},
    }  # fmt: skip
    good = tmp_path / "good"
    good.mkdir()
    for ending, more in options.items():
        picture.save(tmp_path / f"a.{ending}", **more)
        data = (tmp_path / f"a.{ending}").read_bytes()
        (tmp_path / f"a.{ending}").unlink()
        for number in range(60):
            changed = bytearray(data)
            for place in rng.integers(0, min(len(data), 400), 3):
                changed[place] = rng.integers(256)
            end = len(data) if number % 2 else int(rng.integers(len(data)))
            (tmp_path / f"{number}.{ending}").write_bytes(changed[:end])
    from unsample.compare import photographs

    seen: list[str] = []
    for path in sorted(tmp_path.glob("*.*")):
        try:
            photographs._read(path, path.name)
        except BadPhotographs as refused:
            seen.append(str(refused))
        except photographs.UnidentifiedImageError:
            seen.append("is no image")
    assert len(seen) > 100
    assert all("\n" not in each and not each.endswith("()") for each in seen)


@pytest.mark.parametrize("error", [KeyError("tag"), TypeError("no"), RecursionError(), MemoryError()])
@pytest.mark.promise("91")
def test_whatever_pillow_raises_is_a_sentence(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unsample.compare import photographs

    def fails(_: Any) -> None:
        raise error

    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    monkeypatch.setattr(photographs.ImageOps, "exif_transpose", fails)
    with pytest.raises(BadPhotographs, match=rf"^cannot be read \({str(error) or type(error).__name__}\)$"):
        photographs._read(tmp_path / "a.png", "a.png")


@pytest.mark.promise("F10")
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_process_that_is_killed_leaves_the_file_before(moment: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("before")
    dies = (
        "import os, signal, sys\nfrom unsample.files import write_whole\n"
        f"os.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_whole('test', sys.argv[1], 'after')\n"
    )
    ended = subprocess.run([sys.executable, "-c", dies, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "before"


# -- what is printed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b-ä\u3000\u202f😀[red]\\", "a b-ä\u3000\u202f😀[red]\\"),
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("\x00\t\r\n\x7f\x80\x9b", r"\x00\t\r\n\x7f\x80\x9b"),
        ("\u202egnp\u2066\u200f\u061c\u2028", r"\u202egnp\u2066\u200f\u061c\u2028"),
        (os.fsdecode(b"\xff.png"), r"\udcff.png"),
    ],
)
def test_names_are_shown_as_they_are_and_what_a_terminal_obeys_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(Path(text) if "\0" not in text else text) == shown
    assert printable(f"{text}\n", lines=True) == shown.replace(r"\n", "\n") + "\n"
