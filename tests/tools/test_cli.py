"""`unsample compare` as a person meets it; in a process of its own where that shows."""

import io
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import termios
import threading
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import command as here
from unsample.cli.compare import WAYS_UP
from unsample.compare import METHODS, comparison

QUICK = ("--steps", "2", "--batch", "1", "--crop", "16", "--width", "4")


def unsample(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "unsample.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return place


def test_the_help_names_every_way_up() -> None:
    assert tuple(METHODS) == tuple(WAYS_UP.split(", "))
    done = unsample("compare", "--help", env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"})
    assert done.returncode == 0
    assert WAYS_UP in done.stdout
    for option in ("--methods", "--factor", "--levels", "--steps", "--seed", "--out", "--json", "--debug"):
        assert option in done.stdout


@pytest.mark.promise("96")
def test_help_imports_no_framework() -> None:
    code = """
import sys
from unsample import cli
try:
    cli.app(["compare", "--help"])
except SystemExit:
    pass
heavy = {"torch", "jax", "matplotlib", "skimage", "scipy", "PIL"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


def test_a_run_prints_the_table_and_writes_the_files(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_text("no image")
    try:
        done = here.unsample(
            "compare", str(folder), *QUICK, "--methods", "nearest,linear", "--out", str(tmp_path)
        )
    finally:
        (folder / "bad.png").unlink()
    assert done.returncode == 0, done.stderr
    assert "3 to learn from, 1 held out" in done.stdout
    assert "PSNR         scikit-image: data_range=1.0" in done.stdout
    assert "gaussian_weights=True, sigma=1.5" in done.stdout
    assert re.search(r"^2 of 2  linear +PSNR", done.stdout, re.MULTILINE)
    assert re.search(r"^nearest +[\d.]+ +-?[\d.]+ +[\d.]+ +[\d.]+ +[\d,]+ ", done.stdout, re.MULTILINE)
    assert re.search(r"^\(originals\) +[\d.]+ +[\d.]+", done.stdout, re.MULTILINE)
    assert done.stderr == "skipped: bad.png is not a PNG, JPEG, TIFF, WEBP, BMP, PPM or GIF image\n", (
        "no bar without a terminal"
    )
    assert sorted(os.listdir(tmp_path)) == ["losses.png", "results.csv", "results.json", "sheet.png"]


def test_json_is_all_that_is_printed(folder: Path, tmp_path: Path) -> None:
    words = ("compare", str(folder), *QUICK, "--methods", "nearest", "--json", "--out", str(tmp_path))
    done = here.unsample(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout) == json.loads((tmp_path / "results.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--methods", "bilinear"),
            r"unsample compare: methods must be one of 'nearest', .* \(did you mean 'linear'\?\)\n",
        ),
        (("--crop", "18"), r"unsample compare: crop must be divisible by factor \*\* levels = 4, got 18\n"),
        (("no-such-folder",), r"unsample compare: the folder must exist, got no-such-folder\n"),
        (("--", "-folder"), r"unsample compare: the folder must exist, got -folder\n"),
        (
            ("--out", "file"),
            r"unsample compare: out must be a folder that can be written, got file \(File exists\)\n",
        ),
        (
            ("empty",),
            r"unsample compare: the folder must hold at least 2 photographs, one of them to hold out, "
            r"got no images in empty\n",
        ),
    ],
)
@pytest.mark.promise("96")
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    done = here.unsample("compare", *arguments, cwd=tmp_path)
    assert re.fullmatch(message, done.stderr), done.stderr
    assert done.stdout == ""
    assert done.returncode == 2
    assert sorted(os.listdir(tmp_path)) == ["empty", "file"], "nothing was written"


def test_usage_errors_are_exit_code_2_and_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = unsample("compare", "--no-such-option")
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr
    done = unsample("compare", "no-such-folder", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "BadPhotographs" in done.stderr


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """With a finder that hides matplotlib."""
    code = """
import importlib.util as util
real = util.find_spec
util.find_spec = lambda name, *a: None if name == "matplotlib" else real(name, *a)
from unsample import cli
cli.app(["compare"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == "unsample compare: needs matplotlib: pip install 'unsample[compare]'\n"
    assert done.returncode == 2


def test_without_typer_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; import unsample.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "unsample: the command line needs an extra: pip install 'unsample[cli]'\n"
    assert done.returncode == 2


def finish(process: subprocess.Popen) -> tuple[str, str]:
    """What it still prints; one that does not hear the signal is ended, and fails by its exit code."""
    try:
        return process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.promise("F8")
def test_an_interrupt_keeps_what_is_done(folder: Path, tmp_path: Path, number: int, code: int) -> None:
    """The signal comes when the first is done, 2 before the end."""
    command = [sys.executable, "-m", "unsample.cli", "compare", str(folder), "--batch", "1", "--crop", "16"]
    command += ["--methods", "nearest,linear,resize_conv", "--steps", "40", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("1 of 3"):
                process.send_signal(number)
                break
        output, errors = finish(process)
    assert process.returncode == code, errors
    kept = re.fullmatch(
        rf"interrupted: (\d) of 3 ways up are finished, the results are in {tmp_path}\n", errors
    )
    assert kept, errors
    done = int(kept[1])
    assert 1 <= done < 3
    assert "\nnearest " in output, "the table of what is done"
    document = json.loads((tmp_path / "results.json").read_text())
    assert [each["method"] for each in document["results"]] == ["nearest", "linear", "resize_conv"][:done]
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_an_interrupt_before_anything_is_done_says_so(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unsample.cli", "compare", str(folder), "--steps", "100000"]
    command += ["--crop", "16", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "\n":  # the announcement is over
                time.sleep(1)
                process.send_signal(signal.SIGINT)
                break
        _, errors = finish(process)
    assert process.returncode == 130
    assert errors == "interrupted: 0 of 7 ways up are finished, nothing was written\n"
    assert os.listdir(tmp_path) == []


def test_an_interrupt_inside_the_text_of_an_import_has_its_exit_code(tmp_path: Path) -> None:
    """There CPython itself would end by SIGINT: `dataclass` and `namedtuple` run texts while torch is imported."""
    (tmp_path / "command.py").write_text(
        "import unsample.cli as cli\n"
        "from unsample.cli.failures import one_sentence\n"
        "@cli.app.command()\n"
        "def interrupted() -> None:\n"
        "    with one_sentence('explore', False):\n"
        "        exec('raise KeyboardInterrupt')\n"
        "cli.main()\n"
    )
    command = [sys.executable, "-m", "command", "interrupted"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (130, "unsample: interrupted, nothing was written\n")


@pytest.mark.promise("96")
def test_a_reader_that_goes_away_is_no_traceback(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unsample.cli", "compare", str(folder), *QUICK, "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=120) == 1
    assert errors == ""


def test_a_terminal_sees_a_bar(folder: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    seen = b""

    def read() -> None:
        nonlocal seen
        with suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 4096):
                seen += piece

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w") as terminal, redirect_stderr(terminal), redirect_stdout(io.StringIO()):
        code = here.run("compare", str(folder), *QUICK, "--methods", "nearest", "--out", str(tmp_path))
    reader.join(timeout=60)
    os.close(ours)
    assert code == 0
    assert b"1 of 1  nearest" in seen
    assert b"step" in seen


@pytest.mark.promise("94", "96")
def test_a_terminal_of_ascii_and_a_name_that_is_not_utf8(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    for path in folder.glob("*.png"):
        (odd / f"ä{path.name}").write_bytes(path.read_bytes())
    os.rename(os.fsencode(odd / "ä0.png"), os.fsencode(odd) + b"/\xff0.png")
    done = here.unsample(
        "compare", str(odd), *QUICK, "--methods", "nearest", "--out", str(tmp_path / "out"),
        encoding="ascii", COLUMNS="20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    json.loads((tmp_path / "out" / "results.json").read_text())


# -- every command, every kind of standard output --------------------------------------------------------

COMMANDS = {
    "help": ("draw", "--help"),
    "text": ("draw", "nearest", "--input", "2", "--factor", "2", "--text"),
    "picture": ("draw", "nearest", "--input", "2", "--factor", "2", "--format", "txt", "--output", "-"),
    "file": ("draw", "nearest", "--input", "2", "--factor", "2", "--format", "txt", "--output", "a"),
    "explore": ("explore", "nearest", "--no-open"),
    "inspect": ("inspect", "torch.nn:Identity", "--input", "1,1,4,4", "--no-sizes"),
    "json": ("inspect", "torch.nn:Identity", "--input", "1,1,4,4", "--no-sizes", "--json"),
    "compare": ("compare", "FOLDER", *QUICK, "--methods", "nearest"),
}


# With the buffers that streams have where no environment says otherwise.
BUFFERED = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}


def call(name: str, folder: Path) -> list[str]:
    words = [str(folder) if word == "FOLDER" else word for word in COMMANDS[name]]
    return [sys.executable, "-m", "unsample.cli", *words]


TAKE_TORCH = ("inspect", "json", "compare")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in TAKE_TORCH])
@pytest.mark.promise("96")
def test_a_full_standard_output_is_one_sentence(name: str, folder: Path, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            call(name, folder),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=BUFFERED,
            timeout=300,
        )
    assert done.stderr == "unsample: standard output cannot be written (No space left on device)\n"
    assert done.returncode == 1


@pytest.mark.parametrize("name", TAKE_TORCH)
@pytest.mark.promise("96")
def test_a_full_stream_of_a_command_that_takes_torch_is_one_sentence(
    name: str, folder: Path, tmp_path: Path
) -> None:
    words, errors = call(name, folder)[3:], io.StringIO()
    with (
        here.place(tmp_path, {}),
        open("/dev/full", "w") as full,
        redirect_stdout(full),
        redirect_stderr(errors),
    ):
        assert here.run(*words) == 1
    assert errors.getvalue() == "unsample: standard output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("json", "compare")])
@pytest.mark.promise("96")
def test_closed_streams_and_a_reader_that_is_gone_are_no_traceback(
    name: str, folder: Path, tmp_path: Path
) -> None:
    command = call(name, folder)
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=BUFFERED, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    for path in tmp_path.iterdir():
        assert path.stat().st_size > 0
        assert "Written to" not in path.read_text(), "what is printed went into the file"
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=BUFFERED, timeout=300
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
@pytest.mark.promise("96")
def test_a_standard_error_that_fails_changes_no_exit_code(shell: str, tmp_path: Path) -> None:
    for words, code in ((("draw", "nearest", "--nope"), 2), (("draw", "nearest", "-i", "2"), 2)):
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", "unsample.cli", *words]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=BUFFERED, timeout=300
        )
        assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.promise("96")
def test_a_narrow_terminal_without_colours_or_unicode(tmp_path: Path) -> None:
    narrow = {"COLUMNS": "20", "NO_COLOR": "1", "LC_ALL": "C"}
    alone = {**os.environ, **narrow, "PYTHONIOENCODING": "ascii"}
    for done in (
        unsample(*COMMANDS["text"], env=alone, cwd=tmp_path),
        *(here.unsample(*COMMANDS[n], cwd=tmp_path, encoding="ascii", **narrow) for n in ("help", "text")),
        here.unsample(*COMMANDS["inspect"], cwd=tmp_path, encoding="ascii", **narrow),
    ):
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()
        assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nope",), r"unsample: No such option: --nope; see 'unsample --help'"),
        (("drow",), r"unsample: No such command 'drow'.*; see 'unsample --help'"),
        (("draw",), r"unsample draw: Missing .*; see 'unsample draw --help'"),
        (("explore", "--rank", "x"), r"unsample explore: Invalid value for '--rank': .*"),
        (("explore", "\x1b[2J\x9b\u202e\n"), r"unsample explore: way_up must be .*got '\\x1b\[2J\\x9b\\u202e\\n'"),
        (("draw", "nearest", "--\x1b]0;x\x07", "-i", "2"), r"unsample draw: No such option: .*\\x1b\]0;x\\x07.*"),
        (("draw", "nearest", "-i", "\x1b]0;x\x07.npy"), r"unsample draw: input cannot be read from \\x1b\]0;x\\x07.npy .*"),
        (("explore", "-o", "none\x1b/a"), r"unsample explore: cannot write 'none\\x1b/a' .*"),
        (("inspect", "[red]\x1bnone.pt2"), r"unsample inspect: the file must exist, got \[red\]\\x1bnone.pt2"),
        (("inspect", "pipe.pt2"), r"unsample inspect: model must be a regular file, got pipe.pt2"),
        (("inspect", "torch.nn:Identity", "--input", "9" * 5000), r"unsample inspect: input must be whole numbers .{,80}"),
        (("inspect", "torch.nn:Identity", "--input", "\xb2"), r"unsample inspect: input must be whole numbers .*"),
        (("draw", "nearest", "-i", "9" * 5000), r"unsample draw: input must have at most 4096 elements .{,70}"),
        (("draw", "nearest", "-i", "1e400,"), r"unsample draw: input must hold numbers, .* got '1e400'"),
    ],
)  # fmt: skip
@pytest.mark.promise("96")
def test_usage_and_names_that_a_terminal_would_obey_are_one_line(words, message: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt2")
    done = here.unsample(*words, cwd=tmp_path)
    assert re.fullmatch(message + "\n", done.stderr), done.stderr
    assert (done.stdout, done.returncode) == ("", 1 if "-o" in words else 2)
    assert os.listdir(tmp_path) == ["pipe.pt2"]


def seen(text: str) -> set[str]:
    """Characters that a terminal would obey."""
    return {c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2028")}


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.promise("94", "95", "96")
def test_names_of_photographs_never_reach_a_terminal_as_they_are(
    options, folder: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    names = ["\x1b]0;pwned\x07", "[red]=cmd()", "<script>\n\x9b2J", "\u202egnp\x7f日本"]
    for name, path in zip(names, sorted(folder.glob("*.png")), strict=True):
        (odd / f"{name}.png").write_bytes(path.read_bytes())
    (odd / "a\x1b]0;pwned\x07.png").touch()
    out = tmp_path / "out\x1b"
    done = here.unsample(
        "compare", str(odd), *QUICK, "--steps", "1", "--methods", "nearest", "--out", str(out), *options
    )
    assert done.returncode == 0
    assert not seen(done.stdout + done.stderr)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(r"skipped: a\x1b]0;pwned\x07.png is not a PNG")
    found = json.loads((out / "results.json").read_text())["photographs"]
    assert set(found["train"] + found["held_out"]) == {
        r"\x1b]0;pwned\x07.png", "[red]=cmd().png", r"<script>\n\x9b2J.png", r"\u202egnp\x7f日本.png"
    }  # fmt: skip
    if options:
        assert json.loads(done.stdout) == json.loads((out / "results.json").read_text())
    else:
        assert "nan" not in done.stdout
        assert "time not measured" in done.stdout


# -- interrupts while files are saved --------------------------------------------------------------------

KILL = """
import os, signal, sys
from unsample import cli
number = signal.{signal}
signal.signal(signal.SIGINT, signal.default_int_handler)
def killed(*_):
    os.kill(os.getpid(), number)
    signal.sigtimedwait([], 10)  # the handler comes before that is over
{patch}
sys.argv = ["unsample", *{words}]
cli.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.promise("F8")
def test_an_interrupt_while_pictures_are_saved_says_what_is_there(
    number: int, code: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are no checkpoints to write: what was finished is in the results."""

    def killed(*_: object) -> None:
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 10)  # the handler comes before that is over

    monkeypatch.setitem(comparison.FILES, "losses.png", killed)
    done = here.unsample("compare", str(folder), *QUICK, "--methods", "nearest", "--out", str(tmp_path))
    assert done.stderr == (
        f"interrupted while saving: results.json, results.csv, sheet.png written to {tmp_path}, losses.png not\n"
    )
    assert done.returncode == code
    assert sorted(os.listdir(tmp_path)) == ["results.csv", "results.json", "sheet.png"]
    with Image.open(tmp_path / "sheet.png") as image:
        image.load()
    assert "\nnearest " in done.stdout, "the table of what is done"


@pytest.mark.parametrize(
    ("number", "words", "patch", "message"),
    [
        ("SIGINT", ["draw", "nearest", "-i", "2", "--factor", "2", "-o", "a.gif"],
         "from unsample.draw import files\nfiles.FORMATS['gif'] = killed",
         "unsample: interrupted, nothing was written\n"),
        ("SIGTERM", ["draw", "nearest", "-i", "2", "--factor", "2", "-o", "a.svg"],
         "os.fsync = killed",
         "unsample: terminated, nothing was written\n"),
        ("SIGINT", ["explore", "-o", "a.html"],
         "from unsample.explore import page\npage.show = killed",
         "unsample: interrupted, {folder}/a.html was written\n"),
    ],
)  # fmt: skip
@pytest.mark.promise("F8")
def test_an_interrupt_of_a_single_file_says_whether_it_is_there(
    number: str, words: list[str], patch: str, message: str, tmp_path: Path
) -> None:
    script = KILL.format(signal=number, patch=patch, words=words)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.stderr == message.format(folder=tmp_path)
    assert done.returncode == {"SIGINT": 130, "SIGTERM": 143}[number]
    assert os.listdir(tmp_path) == (["a.html"] if "nothing" not in message else [])


@pytest.mark.promise("F11", "F12")
def test_a_disk_that_fills_and_a_folder_that_goes_stop_compare_in_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, gone = tmp_path / "full", tmp_path / "gone"
    words = ("compare", str(folder), *QUICK, "--methods", "nearest", "--out")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        done = here.unsample(*words, str(full))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.stderr == f"unsample compare: cannot write '{full}/sheet.png' (File too large)\n"
    assert done.returncode == 1
    assert sorted(os.listdir(full)) == ["results.csv", "results.json"]

    def go(_: object) -> str:
        gone.rmdir()
        gone.touch()
        return ""

    monkeypatch.setitem(comparison.FILES, "results.json", go)
    done = here.unsample(*words, str(gone))
    assert done.stderr == f"unsample compare: cannot write '{gone}/results.json' (Not a directory)\n"
    assert done.returncode == 1
    assert gone.read_bytes() == b""


def test_a_pipe_by_its_name_gets_the_picture_alone(tmp_path: Path) -> None:
    command = [*call("text", tmp_path)[:-1], "--format", "txt", "--output", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nearest, factor 2\n")
    assert "Written" not in done.stdout
    assert os.listdir(tmp_path) == []
