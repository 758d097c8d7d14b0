"""`unsample.explore` from Python: the call, the command, the notebook widget."""

import json
import os
import stat
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import command
import unsample as us
from unsample.cli.settings import read_option
from unsample.explore.page import SCRIPTS, page, read, script, show, write
from unsample.explore.state import make_state, plan, run, table
from unsample.explore.widget import Explorer

WAYS = tuple(table()["ways"])


def state_in(html: Path) -> dict[str, Any]:
    """The state that a written page opens with."""
    text = html.read_text(encoding="utf-8")
    _, _, rest = text.partition('id="unsample-state">')
    loaded: dict[str, Any] = json.loads(rest.partition("</script>")[0])
    return loaded


# -- the call ------------------------------------------------------------------------------------------------


def test_the_call_writes_the_file_and_returns_its_path(tmp_path: Path) -> None:
    place = us.explore("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2, path=tmp_path / "a.html")
    assert place == tmp_path / "a.html"
    assert state_in(place) == make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2)


def test_without_a_path_it_writes_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert us.explore(us.nearest) == tmp_path / "unsample-explore.html"
    assert os.listdir(tmp_path) == ["unsample-explore.html"]


def test_the_function_is_not_replaced_by_its_package() -> None:
    code = (
        "from unsample.explore.page import page\n"
        "import unsample.explore.widget, unsample\n"
        "print(callable(unsample.explore), unsample.explore.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True unsample.explore\n"


def test_importing_unsample_reads_no_page() -> None:
    code = (
        "import sys, unsample; print([name for name in sys.modules if name.startswith('unsample.explore.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_table_names_the_pairs() -> None:
    for pair in us.PAIRS:
        if pair.name == "conv_weight_grad":
            continue
        way = table()["ways"][pair.name]
        assert way["down"] == pair.down.__name__
        assert way["stamp"] == pair.stamp
    assert set(WAYS) == {pair.name for pair in us.PAIRS} - {"conv_weight_grad"}


def test_shapes_come_from_the_arrays() -> None:
    state = make_state("max_unpool", x=np.arange(12).reshape(3, 4), kernel_size=2)
    assert (state["size"], state["kernel_size"], state["stride"]) == ([3, 4], [2, 2], [2, 2])
    assert plan(state) == {"x": (3, 4), "y": (1, 2)}
    shuffled = make_state("pixel_shuffle", y=np.arange(8).reshape(4, 2), factor=2, channels=2)
    assert plan(shuffled) == {"y": (4, 2), "x": (2, 4)}
    assert make_state("nearest", rank=2)["size"] == [3, 3]
    assert make_state("nearest", factor=(2, 3))["size"] == [3, 3]


def test_run_is_the_operation_itself() -> None:
    state = make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2, output_size=6)
    assert run(state).tolist() == [2, 3, 24, 30, 40, 0]
    down = make_state(
        "conv_transpose", direction="down", size=2, stride=2, x=[1, 2, 3, 4, 5], weight=[2, 3, 4]
    )
    assert run(down).tolist() == [20, 38]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: us.explore("deconv"), us.ShapeError, "explore: way_up must be one of 'nearest', "
         "'bed_of_nails', 'max_unpool', 'conv_transpose', 'pixel_shuffle' or 'resize', got 'deconv'"),
        (lambda: us.explore(3), TypeError, "explore: way_up must be one of 'nearest', 'bed_of_nails', "
         "'max_unpool', 'conv_transpose', 'pixel_shuffle' or 'resize', got 3 (int)"),
        (lambda: us.explore("nearest", factr=2), TypeError,
         "explore: nearest takes 'size', 'factor', 'y' or 'x', got 'factr' (did you mean 'factor'?)"),
        (lambda: us.explore("nearest", weight=[1]), TypeError,
         "explore: nearest takes 'size', 'factor', 'y' or 'x', got 'weight'"),
        (lambda: us.explore("nearest", factor=0), us.ShapeError, "nearest: factor must be at least 1, got 0"),
        (lambda: us.explore("nearest", factor=2.0), TypeError,
         "explore: factor must be an int, got 2.0 (float)"),
        (lambda: us.explore("nearest", factor=17), us.ShapeError, "explore: draws factor up to 16, got 17"),
        (lambda: us.explore("nearest", size=0), us.ShapeError, "explore: size must be at least 1, got 0"),
        (lambda: us.explore("nearest", rank=3), us.ShapeError, "explore: draws 1 or 2 spatial axes, got 3"),
        (lambda: us.explore("nearest", size=(8, 8), factor=4), us.ShapeError,
         "explore: draws up to 576 elements a side, this has 1024 (of shape (32, 32))"),
        (lambda: us.explore("nearest", direction="sideways"), us.ShapeError,
         "explore: direction must be one of 'up' or 'down', got 'sideways'"),
        (lambda: us.explore("nearest", y="abc"), TypeError,
         "explore: y must be an array of real numbers, got 'abc' (str)"),
        (lambda: us.explore("nearest", y=[1j]), TypeError,
         "explore: y must be an array of real numbers, got [1j] (list)"),
        (lambda: us.explore("nearest", y=[1, [2]]), TypeError,
         "explore: y must be an array of real numbers, got [1, [2]] (list)"),
        (lambda: us.explore("nearest", y=[1.0, np.nan]), us.ShapeError,
         "explore: y must hold numbers up to 1,000,000,000 in size, got nan"),
        (lambda: us.explore("nearest", y=[1, 2], x=[1, 2]), us.ShapeError,
         "explore: x must have the shape (4,) of these settings, got (2,)"),
        (lambda: us.explore("max_unpool", ceil_mode=1), TypeError,
         "explore: ceil_mode must be a bool, got 1 (int)"),
        (lambda: us.explore("max_unpool", padding=2), us.ShapeError,
         "max_pool: every window must hold an element of the input, window 0 of spatial axis 0 "
         "holds padding alone (size 6, kernel_size 2, padding (2, 2), dilation 1)"),
        (lambda: us.explore("pixel_shuffle", channels=9), us.ShapeError,
         "explore: draws channels up to 4, got 9"),
        (lambda: us.explore("resize", output_size=None), us.ShapeError,
         "resize: exactly one of output_size and factor must be given"),
    ],
)  # fmt: skip
def test_a_bad_call_is_one_sentence(
    call: Any, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as refused:
        call()
    assert str(refused.value) == message
    assert os.listdir(tmp_path) == []


# -- the file ------------------------------------------------------------------------------------------------


@pytest.mark.promise("F11")
def test_a_page_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(tmp_path / "a.html", make_state())
    before = place.read_text(encoding="utf-8")
    assert stat.S_IMODE(place.stat().st_mode) == 0o666 & ~current_umask()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"^explore: cannot write '.*a\.html' \(No space left on device\)$"):
        write(place, make_state("nearest"))
    assert place.read_text(encoding="utf-8") == before
    assert os.listdir(tmp_path) == ["a.html"]


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


@pytest.mark.promise("F12")
def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        OSError, match=r"^explore: cannot write '.*none/a\.html' \(No such file or directory\)$"
    ):
        write(tmp_path / "none" / "a.html", make_state())
    with pytest.raises(OSError, match=r"^explore: cannot write '.*' \(Is a directory\)$"):
        write(tmp_path, make_state())
    assert os.listdir(tmp_path) == []


def test_a_page_is_the_same_every_time() -> None:
    assert page(make_state()) == page(make_state())


# -- the command ---------------------------------------------------------------------------------------------


def unsample(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    words = [sys.executable, "-m", "unsample.cli", "explore", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env={**kept, **environment})


def test_the_command_writes_the_page_that_was_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    options = ["--y", "1,2;3,4", "--weight", "1,0.5;0,-1", "--stride", "2,1", "--padding", "1:0,0:1"]
    done = unsample("conv_transpose", *options, "-o", str(place), "--no-open")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"Written to {place}\n", "")
    assert state_in(place) == make_state(
        "conv_transpose",
        y=[[1, 2], [3, 4]],
        weight=[[1, 0.5], [0, -1]],
        stride=(2, 1),
        padding=((1, 0), (0, 1)),
    )


def test_words_and_flags_of_the_command(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    options = [
        "--x",
        "1,9,2",
        "--kernel-size",
        "2",
        "--ceil-mode",
        "--duplicates",
        "sum",
        "--padding",
        "same",
        "--down",
    ]
    done = unsample("max_unpool", *options, "-o", str(place), "--no-open")
    assert done.returncode == 0, done.stderr
    state = state_in(place)
    assert state["ceil_mode"] is True
    assert (state["duplicates"], state["padding"], state["direction"]) == ("sum", "same", "down")
    assert read_option("y", "1,2|3,4") == [[1, 2], [3, 4]]
    assert read_option("y", "1,2;3,4|5,6;7,8") == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_the_help_names_every_way_up() -> None:
    done = unsample("--help")
    assert all(name in done.stdout for name in WAYS), done.stdout


def test_without_a_display_it_says_so(tmp_path: Path) -> None:
    done = unsample("-o", str(tmp_path / "page.html"))
    assert done.returncode == 0
    assert done.stderr == "There is no display to show it on: open the file in a browser.\n"


def test_the_browser_is_given_the_file(tmp_path: Path) -> None:
    browser, place = tmp_path / "browser", tmp_path / "a page.html"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/asked\n')
    browser.chmod(0o755)
    done = unsample("nearest", "-o", str(place), BROWSER=str(browser))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "asked").read_text() == place.as_uri()


def test_a_browser_that_fails_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import webbrowser

    def fails(*_: Any) -> bool:
        raise webbrowser.Error("none")

    monkeypatch.setenv("BROWSER", "none")
    monkeypatch.setattr(webbrowser, "open", fails)
    assert show(tmp_path / "page.html") is False


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nearest", "--factor", "0"], 2, "unsample: nearest: factor must be at least 1, got 0\n"),
        (["nearest", "--factor", "two"], 2, "unsample explore: factor must hold numbers, got 'two'\n"),
        (["nearest", "--factor", "2.5"], 2, "unsample explore: factor must be an int, got 2.5 (float)\n"),
        (["-o", "none/page.html"], 1,
         "unsample explore: cannot write 'none/page.html' (No such file or directory)\n"),
        (["nearest", "--order", "CRD"], 2,
         "unsample explore: nearest takes 'size', 'factor', 'y' or 'x', got 'order'\n"),
    ],
)  # fmt: skip
def test_the_command_refuses_in_one_sentence(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    where = [] if "-o" in arguments else ["-o", str(tmp_path / "page.html")]
    done = command.unsample("explore", *arguments, *where, "--no-open")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", message)
    assert os.listdir(tmp_path) == []
    shown = unsample(*arguments, *where, "--no-open", "--debug")
    assert "Traceback" in shown.stderr


# -- the widget ----------------------------------------------------------------------------------------------


def test_the_widget_is_the_page() -> None:
    widget = Explorer(make_state("nearest"))
    assert str(widget._esm) == script()
    assert str(widget._css) == read("explore.css")
    for name in SCRIPTS:
        assert read(name) in script()
    text = page(make_state("nearest"))
    assert script() in text
    assert read("explore.css") in text


def test_the_widget_keeps_its_state_with_the_page() -> None:
    widget = Explorer(make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2))
    assert widget.traits(sync=True)["state"] is not None
    assert widget.get_state("state")["state"] == widget.state
    assert widget.output.tolist() == [2, 3, 24, 30, 40]
    heard = []
    widget.observe(lambda change: heard.append(change["new"]["stride"]), "state")
    # As the page sends it.
    widget.set_state({"state": {**widget.state, "stride": [1]}})
    assert heard == [[1]]
    assert widget.output.tolist() == [2, 23, 34, 40]
    assert Explorer().state == make_state()
    with pytest.raises(us.ShapeError) as unfilled:
        _ = Explorer().output
    assert str(unfilled.value) == "explore: y has no numbers yet, the page fills them when it is shown"


def test_the_widget_takes_whole_states_alone() -> None:
    widget = Explorer(make_state("nearest"))
    with pytest.raises(us.ShapeError, match=r"^explore: state must be a dict with 'way' one of 'nearest', "):
        widget.state = {"way": "deconv"}
    with pytest.raises(us.ShapeError) as refused:
        widget.state = {"way": "nearest", "factor": [2]}
    assert str(refused.value) == (
        "explore: state of nearest must have the keys way, direction, size, factor, y, x, step, "
        "got way, factor"
    )
    assert widget.state == make_state("nearest")


def test_in_a_notebook_the_call_makes_a_widget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.chdir(tmp_path)
    widget = us.explore("nearest", factor=3)
    assert isinstance(widget, Explorer)
    assert widget.state["factor"] == [3]
    assert os.listdir(tmp_path) == []
    assert us.explore("nearest", path="page.html") == tmp_path / "page.html"
    # An IPython in a terminal shows no widgets.
    ipython.get_ipython = lambda: types.SimpleNamespace()  # type: ignore[attr-defined]
    assert us.explore("nearest") == tmp_path / "unsample-explore.html"


def test_a_notebook_without_anywidget_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.delitem(sys.modules, "unsample.explore.widget")
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(
        ImportError,
        match=r"^explore: the notebook widget needs anywidget: pip install 'unsample\[explore\]'$",
    ):
        us.explore("nearest")
