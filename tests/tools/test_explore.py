"""The page of `unsample explore` in a real Chromium: every number it shows is the library's."""

import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unsample as us
from browser import Watched
from unsample.explore.state import make_state, plan, run, table
from unsample.geometry.resample import METHODS, SUPPORT
from unsample.ops.conv import plan_conv_transpose
from unsample.ops.nails import plan_bed_of_nails
from unsample.ops.pool import plan_max_pool

WAYS = tuple(table()["ways"])
LIBRARIES = ("numpy", "torch", "jax")
EACH = 15  # settings per way up, direction and rank: 360 in all


# -- settings ------------------------------------------------------------------------------------------------


def drawn(seed: int, way: str, direction: str, rank: int) -> dict[str, Any]:
    """A state of that kind; about one in six asks for what the library refuses."""
    rng = random.Random(f"{seed} {way} {direction} {rank}")
    wild = rng.random() < 0.3

    def axes(low: int, high: int) -> list[int]:
        return [rng.randint(low - (1 if wild and rng.random() < 0.2 else 0), high) for _ in range(rank)]

    big = 5 if rank == 2 else 9
    state: dict[str, Any] = {"way": way, "direction": direction, "step": None}
    size = axes(1, big) if way == "max_unpool" else [max(1, n) for n in axes(1, 3 if rank == 2 else 6)]
    state["size"] = size
    if way in ("nearest", "bed_of_nails", "pixel_shuffle"):
        state["factor"] = axes(1, 3)
    if way == "bed_of_nails":
        state["at"] = [rng.randint(0, max(f - (0 if wild else 1), 0)) for f in state["factor"]]
        low = [(n - 1) * f + a + 1 for n, f, a in zip(size, state["factor"], state["at"], strict=True)]
        wanted = [
            n + rng.randint(-1 if wild else 0, f - 1 if f > 1 else 0)
            for n, f in zip(low, state["factor"], strict=True)
        ]
        state["output_size"] = wanted if rng.random() < 0.5 else None
    if way in ("max_unpool", "conv_transpose"):
        state["kernel_size"] = [max(1, k) for k in axes(1, 3 if rank == 2 else 4)]
        state["stride"] = axes(1, 3)
        state["dilation"] = axes(1, 2)
        low = 0 if way == "max_unpool" else -1
        high = 1 if way == "max_unpool" else 2
        state["padding"] = [[rng.randint(low, high) for _ in range(2)] for _ in range(rank)]
        if way == "max_unpool" and not wild:
            room = [d * (k - 1) + 1 for k, d in zip(state["kernel_size"], state["dilation"], strict=True)]
            state["padding"] = [
                [min(p, r // 2) for p in pair] for pair, r in zip(state["padding"], room, strict=True)
            ]
        if rng.random() < 0.2:
            state["padding"] = rng.choice(
                ["same", "full"] if way == "conv_transpose" else ["same", "same", "full"]
            )
    if way == "max_unpool":
        state["ceil_mode"] = rng.random() < 0.4
        state["duplicates"] = rng.choice(["last", "sum", "max", "error"])
    if way == "conv_transpose":
        state["padding_mode"] = rng.choice(["zeros", "zeros", "circular", "reflect", "replicate"])
        state["output_padding"] = [0] * rank
        state["output_size"] = None
        if rng.random() < 0.3:
            state["output_padding"] = [rng.randint(0, s if wild else max(s - 1, 0)) for s in state["stride"]]
        if rng.random() < 0.3:
            state["output_size"] = [
                (n - 1) * s + d * (k - 1) + 1 + rng.randint(-1, 2)
                for n, s, d, k in zip(
                    size, state["stride"], state["dilation"], state["kernel_size"], strict=True
                )
            ]
    if way == "pixel_shuffle":
        state["channels"] = rng.randint(1, 3)
        state["order"] = rng.choice(["CRD", "DCR"])
    if way == "resize":
        state["output_size"] = axes(1, 2 * big)
        state["method"] = rng.choice([*METHODS, "linear"])
        state["convention"] = rng.choice(
            ["half_pixel", "half_pixel", "align_corners", "asymmetric", "legacy"]
        )
        state["antialias"] = rng.random() < 0.25
        if not wild:
            if state["method"] == "area" or state["antialias"]:
                state["convention"] = "half_pixel"
            if state["antialias"] and state["method"] not in SUPPORT:
                state["method"] = "linear"
            if state["convention"] == "legacy":
                state["method"] = "nearest"
    for name in table()["ways"][way]["arrays"]:
        state[name] = None
    if rng.random() < 0.8:
        numbers(rng, state)
    return state


def numbers(rng: random.Random, state: dict[str, Any]) -> None:
    """Numbers for every array of the state, whole or not; ties and signs on purpose."""
    try:
        shapes = plan(state)
    except ValueError:
        return
    whole = rng.random() < 0.6
    for name in table()["ways"][state["way"]]["arrays"]:
        if name == "y" and state["way"] == "max_unpool" and rng.random() < 0.5:
            continue
        flat = [rng.randint(-4, 9) if whole else rng.uniform(-3, 3) for _ in range(math.prod(shapes[name]))]
        state[name] = np.array(flat).reshape(shapes[name]).tolist()


SETTINGS = [
    drawn(seed, way, direction, rank)
    for way in WAYS
    for direction in ("up", "down")
    for rank in (1, 2)
    for seed in range(EACH)
]

# Edges that chance may miss.
SETTINGS += [
    make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2),  # the article's Fig. 7
    make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=1),
    make_state("conv_transpose", size=4, kernel_size=3, stride=1, padding=((0, 1),)),  # the article's 5
    make_state("conv_transpose", size=1, kernel_size=1),
    make_state("conv_transpose", size=2, kernel_size=3, stride=5, output_size=12),
    make_state("conv_transpose", size=3, kernel_size=2, padding=-2, stride=2),
    make_state("conv_transpose", size=3, kernel_size=5, padding=3, padding_mode="circular", stride=1),
    make_state("conv_transpose", size=(1, 3), kernel_size=(1, 4), stride=(3, 1), padding=((0, 0), (2, 1))),
    {**make_state("conv_transpose", size=1, kernel_size=1), "padding_mode": "reflect", "padding": [[1, -1]]},
    {**make_state("conv_transpose", size=2, kernel_size=2), "padding": [[2, 2]]},
    {**make_state("conv_transpose", size=2), "padding": "same", "output_padding": [1]},
    {**make_state("conv_transpose", size=2), "output_size": [5], "output_padding": [1]},
    make_state("max_unpool", size=7, kernel_size=3, stride=2, ceil_mode=True),
    make_state("max_unpool", size=5, kernel_size=3, stride=1, x=[1, 9, 2, 8, 3], duplicates="sum"),
    make_state("max_unpool", size=5, kernel_size=3, stride=1, x=[1, 9, 2, 8, 3], duplicates="max"),
    make_state("max_unpool", size=5, kernel_size=3, stride=1, x=[1, 9, 2, 8, 3], duplicates="error"),
    make_state("max_unpool", x=[[1, 1], [1, 1]], kernel_size=2, stride=1, padding=1),
    {**make_state("max_unpool", size=2), "kernel_size": [3], "padding": [[0, 0]]},
    {**make_state("max_unpool", size=2), "size": [1], "padding": [[1, 1]], "dilation": [3]},
    make_state("resize", size=1, output_size=7, convention="align_corners"),
    make_state("resize", size=7, output_size=1, convention="align_corners"),
    make_state("resize", size=5, output_size=5),
    make_state("resize", size=9, output_size=4, method="cubic", antialias=True),
    {**make_state("resize", size=3), "output_size": [0]},
    {**make_state("nearest", size=3), "factor": [0]},
    {**make_state("nearest", size=3), "size": [33]},
    {**make_state("nearest", size=(8, 8)), "factor": [4, 4]},
    {**make_state("bed_of_nails", size=3), "at": [2]},
    {**make_state("bed_of_nails", size=3), "output_size": [8]},
    {**make_state("pixel_shuffle", size=3), "factor": [0]},
    make_state("pixel_shuffle", size=(2, 3), factor=(3, 2), channels=2, order="DCR"),
]  # fmt: skip


# -- the page ------------------------------------------------------------------------------------------------

# Reads what is in the document, not what the script computed.
READ = """
async (states) => {
  const { app } = unsampleExplore;
  const root = document.getElementById("unsample-explore");
  const all = [];
  for (const state of states) {
    app.update(structuredClone(state));
    const seen = { message: root.querySelector(".message").textContent };
    seen.greyed = root.classList.contains("refused");
    if (!seen.message) {
      seen.state = app.state();
      seen.address = location.hash;
      seen.grids = {};
      for (const grid of root.querySelectorAll("[data-grid]")) {
        const rows = [...grid.querySelectorAll(".row")];
        const cells = [...grid.querySelectorAll(".cell")];
        seen.grids[grid.dataset.grid] = {
          shape: [rows.length, rows[0].children.length],
          values: cells.map((cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value))),
          texts: cells.map((cell) => cell.textContent),
          labels: cells.map((cell) => cell.getAttribute("aria-label")),
        };
      }
      seen.formula = [...root.querySelectorAll(".line")].map((line) => {
        const copy = line.cloneNode(true);
        const note = copy.querySelector(".note")?.textContent ?? "";
        for (const part of copy.querySelectorAll(".note, .axis")) part.remove();
        return [copy.textContent, note];
      });
      seen.overlap = root.querySelector(".overlap figcaption").textContent;
      seen.sizes = [...root.querySelectorAll(".result")].map((each) => Number(each.textContent));
      seen.calls = {};
      for (const library of ["torch", "jax", "numpy"]) {
        root.querySelector(`#tab-${library}`).click();
        seen.calls[library] = root.querySelector("pre").textContent;
      }
    }
    all.push(seen);
  }
  return all;
}
"""


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    with Watched(browser) as page:
        yield page
        assert page.faults == []
        assert page.requests == []


@pytest.fixture(scope="module")
def seen(browser: Any, html: Path) -> list[dict[str, Any]]:
    """What the page shows of every one of `SETTINGS`."""
    with Watched(browser) as page:
        shown: list[dict[str, Any]] = page.open(html).evaluate(READ, SETTINGS)
        assert page.faults == []
        assert page.requests == []
    return shown


def planes(grids: dict[str, Any], name: str) -> np.ndarray[Any, Any]:
    """The numbers of a grid, or of its channels."""
    # In the order of the document, which is that of the channels.
    found = [grid for key, grid in grids.items() if key == name or key.rpartition("-")[0] == name]
    return np.array([value for grid in found for value in grid["values"]], float)


def matrices(state: dict[str, Any]) -> tuple[Any, Any]:
    """X and its transpose as the library makes them, each from its own direction, or None."""
    shapes = plan(state)
    if state["way"] == "max_unpool":
        names = ("stride", "padding", "dilation", "ceil_mode")
        settings = {name: state[name] for name in names}
        values, switches = us.max_pool(np.array(state["x"]), tuple(state["kernel_size"]), **settings)
        if state["direction"] == "down":
            return us.matrix(us.max_gather, shapes["x"], switches).toarray(), None
        duplicates = state["duplicates"]
        if duplicates == "max":  # linear only around these values
            remembered = us.Switches(torch.tensor(switches.taps), switches.windows)
            given = torch.tensor(values if state["y"] is None else state["y"], dtype=torch.float64)
            jacobian = torch.autograd.functional.jacobian(
                lambda v: us.max_unpool(v, remembered, duplicates="max"), given
            )
            return None, jacobian.numpy().reshape(math.prod(shapes["x"]), values.size)
        return None, us.matrix(us.max_unpool, values.shape, switches, duplicates=duplicates).toarray()
    pair = []
    for direction, name in (("down", "x"), ("up", "y")):

        def function(v: Any, direction: str = direction, name: str = name) -> Any:
            return run({**state, "direction": direction, name: v.tolist()})

        pair.append(us.matrix(function, shapes[name]).toarray())
    return pair[0], pair[1]


def overlap(state: dict[str, Any], up: Any) -> np.ndarray[Any, Any]:
    """How many stamps meet in every element of the fine side."""
    way, size = state["way"], state["size"]
    if way in ("nearest", "pixel_shuffle"):
        return np.ones(up.shape[0])
    if way == "resize":
        return (up != 0).sum(axis=1)
    if way == "bed_of_nails":
        windows = plan_bed_of_nails(
            tuple(size), tuple(state["factor"]), at=state["at"], output_size=state["output_size"]
        ).windows
    elif way == "max_unpool":
        settings = {name: state[name] for name in ("stride", "padding", "dilation", "ceil_mode")}
        windows = plan_max_pool(tuple(size), tuple(state["kernel_size"]), **settings).windows
    else:
        names = ("stride", "padding", "dilation", "output_padding", "output_size", "padding_mode")
        settings = {name: state[name] for name in names}
        windows = plan_conv_transpose((1, *size), (1, 1, *state["kernel_size"]), **settings).windows
    meets = np.ones(())
    for window in windows:
        meets = np.multiply.outer(meets, window.overlap())
    return meets.ravel()


def ids(index: int) -> str:
    state = SETTINGS[index]
    return f"{index}-{state['way']}-{state['direction']}-{len(state['size'])}d"


@pytest.mark.parametrize("index", range(len(SETTINGS)), ids=ids)
def test_what_the_page_shows_is_what_the_library_makes(index: int, seen: list[dict[str, Any]]) -> None:
    asked, page = SETTINGS[index], seen[index]
    if page["message"]:
        assert page["greyed"]
        with pytest.raises((ValueError, TypeError)) as refused:
            run({**asked, **filled(asked)})
        assert page["message"] == str(refused.value)
        return
    state = page["state"]
    expected = np.asarray(run(state))
    up = state["direction"] == "up"
    shapes = plan(state)
    rank = len(state["size"])
    assert page["sizes"] == list(expected.shape[-rank:])
    # The numbers that are shown as given are those of the state.
    source = "y" if up else "x"
    given = planes(page["grids"], "input")
    if state[source] is not None:
        assert given.tolist() == np.ravel(state[source]).tolist()
    if asked[source] is not None:
        assert given.tolist() == np.ravel(asked[source]).tolist()
    if up and state["way"] == "max_unpool":
        assert planes(page["grids"], "before pooling").tolist() == np.ravel(state["x"]).tolist()
    if "weight" in state:
        assert planes(page["grids"], "taps").tolist() == np.ravel(state["weight"]).tolist()
    x_matrix, xt_matrix = matrices(state)
    used = xt_matrix if up else x_matrix
    out = planes(page["grids"], "output")
    assert out.size == expected.size
    assert_sums(out, expected, used, given)
    assert planes(page["grids"], "overlap").tolist() == overlap(state, xt_matrix).tolist()
    for (line, note), size in zip(page["formula"], page["sizes"], strict=True):
        assert_formula(line, note, size)
    if "X" in page["grids"]:
        shape = [math.prod(shapes["y"]), math.prod(shapes["x"])]
        assert page["grids"]["X"]["shape"] == shape
        assert page["grids"]["Xt"]["shape"] == shape[::-1]
        shown = planes(page["grids"], "X").reshape(shape)
        assert np.array_equal(shown.T, planes(page["grids"], "Xt").reshape(shape[::-1]))
        if x_matrix is not None:
            assert_weights(shown, x_matrix)
        if xt_matrix is not None:
            assert_weights(shown.T, xt_matrix)
    for grid in page["grids"].values():
        assert_texts(grid)


def filled(state: dict[str, Any]) -> dict[str, Any]:
    """Numbers where a refused state has none: the refusal must not depend on them, unless by duplicates."""
    try:
        shapes = plan(state)
    except ValueError:
        return {}
    return {
        name: np.zeros(shape).tolist()
        for name, shape in shapes.items()
        if state.get(name) is None and not (name == "y" and state["way"] == "max_unpool")
    }


EPS = np.finfo(float).eps


def assert_sums(out: Any, expected: Any, used: Any, given: Any, eps: float = EPS) -> None:
    """Whole numbers exactly; others within n eps sum |w x|, the weights of a resize being rounded too."""
    expected = np.ravel(expected)
    terms = (used != 0).sum(axis=1) + 8
    bound = terms * eps * (np.abs(used) @ np.abs(given))
    assert (np.abs(out - expected) <= bound).all()
    if eps == EPS and np.array_equal(used, np.round(used)) and np.array_equal(given, np.round(given)):
        assert out.tolist() == expected.tolist()


def assert_weights(shown: Any, matrix: Any) -> None:
    assert shown.shape == matrix.shape
    assert (np.abs(shown - matrix) <= 16 * EPS).all()
    assert np.array_equal(shown != 0, matrix != 0)


def assert_formula(line: str, note: str, size: int) -> None:
    """The numbers of a formula make its result."""
    numbers, _, result = line.rpartition("= ")
    assert int(result) == size
    if numbers:
        plain = numbers.replace("\u2212", "-").replace("\u00b7", "*")
        made = eval(plain, {"floor": math.floor, "ceil": math.ceil})
        assert made == size + note.startswith("less the last window"), line


def assert_texts(grid: dict[str, Any]) -> None:
    """The text of a cell is its value to three digits; the label holds it in full."""
    for value, text, label in zip(grid["values"], grid["texts"], grid["labels"], strict=True):
        assert label
        if text in ("", "·"):
            assert value in (None, 0)
            continue
        read = float(text.replace("\u2212", "-"))
        assert (
            read == value
            if float(value).is_integer() and abs(value) < 1e5
            else abs(read - value) <= 0.051 * abs(value)
        )


def test_the_sentence_about_the_overlap_counts_what_meets_inside(seen: list[dict[str, Any]]) -> None:
    looked = set()
    for page in seen:
        state = page.get("state", {"way": "refused"})
        if state["way"] != "conv_transpose":
            continue
        meets = {1}
        for k, s, d in zip(state["kernel_size"], state["stride"], state["dilation"], strict=True):
            axis = us.geometry.Window(fine=40 * s + d * k, coarse=40, size=k, stride=s, dilation=d).overlap()
            inside = set(axis[10 * s : 30 * s])
            meets = {a * b for a in meets for b in inside}
        found = [int(number) for number in re.findall(r"\d+", page["overlap"])]
        assert found == sorted(meets), page["overlap"]
        assert page["overlap"].endswith("even." if len(meets) == 1 else "uneven, the checkerboard.")
        looked.add(len(meets))
    assert {1, 2} <= looked


def test_most_settings_are_accepted_and_every_way_refuses_some(seen: list[dict[str, Any]]) -> None:
    assert len(SETTINGS) >= 300
    refused = [state["way"] for state, page in zip(SETTINGS, seen, strict=True) if page["message"]]
    assert set(refused) == set(WAYS)
    assert len(SETTINGS) / 12 < len(refused) < len(SETTINGS) / 3


# -- the Python call -----------------------------------------------------------------------------------------

# The first accepted setting of every way, direction and rank, and the edges, run in the slower libraries too.
SAMPLE = [*range(0, EACH * len(WAYS) * 4, EACH), *range(EACH * len(WAYS) * 4, len(SETTINGS), 3)]


def executed(code: str) -> Any:
    """`out` of the lines of Python that the page offers."""
    names: dict[str, Any] = {}
    exec(code, names)
    return np.asarray(names["out"])


def test_every_numpy_call_gives_what_the_page_shows(seen: list[dict[str, Any]]) -> None:
    ran = 0
    for page in seen:
        if not page["message"]:
            out = executed(page["calls"]["numpy"])
            assert out.ravel().tolist() == np.ravel(run(page["state"])).tolist(), page["calls"]["numpy"]
            assert list(out.shape[-len(page["sizes"]) :]) == page["sizes"]
            ran += 1
    assert ran > 300


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_calls_of_other_libraries_give_it_in_single_precision(
    library: str, seen: list[dict[str, Any]]
) -> None:
    ran = 0
    # Every shape is compiled anew by jax.
    for page in (seen[index] for index in SAMPLE[:: 1 if library == "torch" else 2]):
        if not page["message"]:
            code = page["calls"][library]
            assert f"import {library}" in code
            shown = planes(page["grids"], "output")
            size = np.abs(planes(page["grids"], "input")).sum() * max(
                np.abs(planes(page["grids"], "taps")).max(initial=1), 1
            )
            assert (np.abs(executed(code).ravel() - shown) <= 8 * np.finfo(np.float32).eps * size).all(), code
            ran += 1
    assert ran > 12
