"""The state of the page: one way up, its settings and its numbers, as a dict that JSON can hold.

The same dict is written into the page, synchronised by the widget and shortened into the address of a link.
`table` has which ways up there are, which settings each has, and how far the page draws.
"""

import difflib
import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from unsample.errors import ShapeError
from unsample.geometry.arguments import (
    choice,
    describe,
    integer,
    is_sequence,
    listed,
    paddings,
    per_axis,
)
from unsample.geometry.plan import Plan
from unsample.ops.conv import conv, conv_transpose, plan_conv_transpose
from unsample.ops.nails import bed_of_nails, decimate
from unsample.ops.nearest import nearest, window_sum
from unsample.ops.pool import max_pool
from unsample.ops.resize import resize, resize_transpose
from unsample.ops.shuffle import pixel_shuffle, pixel_unshuffle, plan_pixel_shuffle
from unsample.ops.unpool import max_unpool
from unsample.pairs import OPERATIONS, PAIRS

State = dict[str, Any]
DIRECTIONS = ("up", "down")


@cache
def table() -> dict[str, Any]:
    """`ways.json`, limits, fields and ways up, and what the records of their pairs say of these."""
    text = files("unsample.explore").joinpath("ways.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    for pair in PAIRS:
        if pair.name in loaded["ways"]:
            loaded["ways"][pair.name] |= {"down": pair.down.__name__, "stamp": pair.stamp}
    return loaded


def make_state(
    way_up: str | Callable[..., Any] = "conv_transpose",
    *,
    direction: str = "up",
    rank: int | None = None,
    y: Any = None,
    x: Any = None,
    weight: Any = None,
    **settings: Any,
) -> State:
    """A state of the page, every setting checked as the operation itself checks it.

    Parameters are those of `unsample.explore`; numbers that are not given are None, and the page fills them.

    Examples
    --------
    >>> state = make_state("nearest", factor=3, y=[1, 10])
    >>> state["size"], state["factor"], state["y"]
    ([2], [3], [1, 10])
    """
    name = choice("explore", "way_up", getattr(way_up, "__name__", way_up), tuple(table()["ways"]))
    way = table()["ways"][name]
    arrays = {"y": y, "x": x, "weight": weight}
    given = {key: _numbers(key, value) for key, value in arrays.items() if value is not None}
    for key in [*settings, *given]:
        if key not in way["settings"] and key not in way["arrays"]:
            _refuse_setting(name, key, [*way["settings"], *way["arrays"]])
    wanted = _rank(name, rank, given, settings)
    defaults = way["settings"]
    if "kernel_size" in settings and "kernel_size" in defaults and name == "max_unpool":
        defaults = {**defaults, "stride": settings["kernel_size"]}  # as max_pool has it
    chosen = {**defaults, **_sizes(name, given, wanted), **settings}
    state: State = {"way": name, "direction": choice("explore", "direction", direction, DIRECTIONS)}
    for key in way["settings"]:
        state[key] = _field(key, chosen[key], wanted)
    for key in way["arrays"]:
        state[key] = given[key].tolist() if key in given else None
    state["step"] = None  # how many stamps have fallen: all
    shapes = plan(state)
    for key, array in given.items():
        if array.shape != shapes[key]:
            raise ShapeError(
                f"explore: {key} must have the shape {shapes[key]} of these settings, got {array.shape}"
            )
    return state


def check_state(state: Any) -> State:
    """A state that came from outside: a dict with the keys of its way up. Its values the page judges."""
    ways = table()["ways"]
    if not isinstance(state, dict) or state.get("way") not in tuple(ways):
        raise ShapeError(f"explore: state must be a dict with 'way' one of {listed(tuple(ways))}")
    way = ways[state["way"]]
    wanted = ["way", "direction", *way["settings"], *way["arrays"], "step"]
    if set(state) != set(wanted):
        raise ShapeError(
            f"explore: state of {state['way']} must have the keys {', '.join(wanted)}, got {', '.join(state)}"
        )
    return state


def plan(state: State) -> dict[str, tuple[int, ...]]:
    """The shapes of y, x and weight, as the page keeps them; refuses what the library or the page refuses."""
    check_fields(state)
    way, size = state["way"], tuple(state["size"])
    made = _plan(state, size)
    shapes = {"y": made.input_shape, "x": made.output_shape}
    if way == "max_unpool":
        shapes = {"y": made.output_shape, "x": made.input_shape}
    elif way == "conv_transpose":
        shapes = {"y": made.coarse, "x": made.fine, "weight": tuple(state["kernel_size"])}
    cells = table()["limits"]["cells"]
    for shape in (shapes["y"], shapes["x"]):
        if math.prod(shape) > cells:
            raise ShapeError(
                f"explore: draws up to {cells} elements a side, this has {math.prod(shape)} "
                f"(of shape {shape})"
            )
    return shapes


def _plan(state: State, size: tuple[int, ...]) -> Plan:
    if state["way"] == "conv_transpose":
        return plan_conv_transpose((1, *size), (1, 1, *state["kernel_size"]), **_settings(state))
    if state["way"] == "pixel_shuffle":
        channels = state["channels"] * math.prod(max(f, 1) for f in state["factor"])
        return plan_pixel_shuffle((channels, *size), *_arguments(state), **_settings(state))
    way = "max_pool" if state["way"] == "max_unpool" else state["way"]  # whose windows are those of the pool
    return OPERATIONS[way].plan(size, *_arguments(state), **_settings(state))


def run(state: State) -> Any:
    """What the library makes of a state whose numbers are all there: the output, a NumPy array.

    Examples
    --------
    >>> run(make_state("conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2))
    array([ 2,  3, 24, 30, 40])
    """
    plan(state)
    up = state["direction"] == "up"
    needed = ["x" if state["way"] == "max_unpool" or not up else "y", "weight"]
    for name in needed:
        if name in state and state[name] is None:
            raise ShapeError(f"explore: {name} has no numbers yet, the page fills them when it is shown")
    way, arguments, settings = state["way"], _arguments(state), _settings(state)
    if way == "max_unpool":
        values, switches = max_pool(np.array(state["x"]), *arguments, **settings)
        if not up:
            return values
        if state["y"] is not None:
            values = np.array(state["y"])
        return max_unpool(values, switches, duplicates=state["duplicates"])
    source = np.array(state["y" if up else "x"])
    if way == "conv_transpose":
        weight = np.array(state["weight"])[None, None]
        if up:
            return conv_transpose(source[None], weight, **settings)[0]
        settings.pop("output_padding")
        settings.pop("output_size")
        return conv(source[None], weight, **settings)[0]
    if way == "resize":
        source = source.astype(float)
        if up:
            return resize(source, *arguments, **settings)
        return resize_transpose(source, tuple(state["size"]), **settings)
    if way == "bed_of_nails" and not up:
        settings.pop("output_size")
    ways: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "nearest": (nearest, window_sum),
        "bed_of_nails": (bed_of_nails, decimate),
        "pixel_shuffle": (pixel_shuffle, pixel_unshuffle),
    }
    return ways[way][0 if up else 1](source, *arguments, **settings)


# The first argument after the array, where an operation has one, goes by position.
_POSITIONAL = ("factor", "kernel_size", "output_size")
_OWN = ("size", "channels", "duplicates")


def _arguments(state: State) -> tuple[Any, ...]:
    if state["way"] == "conv_transpose":
        return ()
    name = next(name for name in _POSITIONAL if name in state)
    return (None if state[name] is None else tuple(state[name]),)


def _settings(state: State) -> dict[str, Any]:
    named = table()["ways"][state["way"]]["settings"]
    position = None if state["way"] == "conv_transpose" else next(n for n in _POSITIONAL if n in named)
    leave = {*_OWN, position, *(("kernel_size",) if state["way"] == "conv_transpose" else ())}
    return {name: _tupled(state[name]) for name in named if name not in leave}


def _tupled(value: Any) -> Any:
    return tuple(_tupled(each) for each in value) if isinstance(value, list) else value


# -- checks ------------------------------------------------------------------------------------------------


def check_fields(state: State) -> None:
    """Refuse what no call could take or the page could not draw; everything else the operation refuses."""
    for name in table()["ways"][state["way"]]["settings"]:
        field, value = table()["fields"][name], state[name]
        if field["kind"] in ("choice", "flag") or value is None or isinstance(value, str):
            continue
        for number in np.ravel(value).tolist():
            if number < field.get("min", -math.inf):
                raise ShapeError(f"explore: {name} must be at least {field['min']}, got {number}")
            if abs(number) > field["max"]:
                raise ShapeError(f"explore: draws {name} up to {field['max']}, got {number}")


def _field(name: str, value: Any, rank: int) -> Any:
    field = table()["fields"][name]
    if field["kind"] == "choice":
        return choice("explore", name, value, tuple(field["choices"]))
    if field["kind"] == "flag":
        if not isinstance(value, bool):
            raise TypeError(f"explore: {name} must be a bool, got {describe(value)}")
        return value
    if field["kind"] == "count":
        return integer("explore", name, value)
    if field["kind"] == "pads":
        # One pair in the table stands for every axis.
        pads = [value] * rank if value == [0, 0] else value
        pads = paddings("explore", pads, rank)
        pads = ((0, 0),) * rank if pads == "valid" else pads
        return pads if isinstance(pads, str) else [list(pair) for pair in pads]
    if value is None and field["kind"] == "optional axes":
        return None
    return list(per_axis("explore", name, value, rank))


def _numbers(name: str, value: Any) -> Any:
    try:
        array = np.asarray(value)
        whole = array.dtype.kind in "iu"
        if not whole:
            array = array.astype(float) if array.dtype.kind == "f" else np.asarray(None)
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or not array.ndim:
        raise TypeError(f"explore: {name} must be an array of real numbers, got {describe(value)}")
    limit = table()["limits"]["number"]
    beyond = array[~(np.abs(array) <= limit)]  # NaN is beyond, too
    if beyond.size:
        raise ShapeError(f"explore: {name} must hold numbers up to {limit:,} in size, got {beyond[0]}")
    return array


def _rank(way: str, rank: Any, given: dict[str, Any], settings: dict[str, Any]) -> int:
    """One or two spatial axes: as said, or as many as an array or a sequence has."""
    planes = 1 if way == "pixel_shuffle" else 0
    found = [array.ndim - (planes if name != "weight" else 0) for name, array in given.items()]
    found += [len(value) for value in settings.values() if is_sequence(value)]
    number = integer("explore", "rank", rank) if rank is not None else (found or [1])[0]
    if number not in (1, 2):
        raise ShapeError(f"explore: draws 1 or 2 spatial axes, got {number}")
    return number


def _sizes(way: str, given: dict[str, Any], rank: int) -> dict[str, Any]:
    """The settings that the shapes of the arrays say."""
    sizes: dict[str, Any] = {}
    source = given.get("x" if way == "max_unpool" else "y")
    if source is not None:
        sizes["size"] = source.shape[-rank:]
    if "weight" in given:
        sizes["kernel_size"] = given["weight"].shape
    return sizes


def _refuse_setting(way: str, name: str, has: Sequence[str]) -> None:
    near = difflib.get_close_matches(name, has, n=1, cutoff=0.7)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise TypeError(f"explore: {way} takes {listed(has)}, got {name!r}{hint}")
