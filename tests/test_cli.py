"""`unsample compare` as a person meets it: in a process of its own."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unsample.cli import WAYS_UP
from unsample.compare import METHODS

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
        done = unsample("compare", str(folder), *QUICK, "--methods", "nearest,linear", "--out", str(tmp_path))
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
    done = unsample("compare", str(folder), *QUICK, "--methods", "nearest", "--json", "--out", str(tmp_path))
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
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    done = unsample("compare", *arguments, cwd=tmp_path)
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
def test_an_interrupt_keeps_what_is_done(folder: Path, tmp_path: Path, number: int, code: int) -> None:
    """The second way up would take hours; the signal comes when the first is done."""
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
    command = [sys.executable, "-m", "unsample.cli", "compare", str(folder), *QUICK, "--methods", "nearest"]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            seen += piece
        assert process.wait(timeout=120) == 0
    os.close(ours)
    assert b"1 of 1  nearest" in seen
    assert b"step" in seen


def test_a_terminal_of_ascii_and_a_name_that_is_not_utf8(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    for path in folder.glob("*.png"):
        (odd / f"ä{path.name}").write_bytes(path.read_bytes())
    os.rename(os.fsencode(odd / "ä0.png"), os.fsencode(odd) + b"/\xff0.png")
    done = unsample(
        "compare", str(odd), *QUICK, "--methods", "nearest", "--out", str(tmp_path / "out"),
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "20"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    json.loads((tmp_path / "out" / "results.json").read_text())
