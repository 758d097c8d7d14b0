"""Settings as they are typed at the command line, as the operations take them."""

import re
from dataclasses import fields
from typing import Any

from unsample.errors import ShapeError
from unsample.geometry.arguments import PADDING_WORDS

# How a setting is typed; those not named are words, flags, or arrays that `draw` reads itself.
_WHOLE = (
    "kernel_size", "stride", "padding", "dilation", "output_padding", "output_size", "input_size", "groups",
    "size", "channels",
)  # fmt: skip
_ARRAYS = ("y", "x", "weight")


def given(command: str, typed: Any) -> dict[str, Any]:
    """The options of a dataclass that the user typed, each read from its text."""
    texts = {each.name: getattr(typed, each.name) for each in fields(typed)}
    defaults = {each.name: each.default for each in fields(typed)}
    try:
        return {name: read_option(name, text) for name, text in texts.items() if text != defaults[name]}
    except ValueError as refused:
        raise ShapeError(f"{command}: {refused}") from None


def read_option(name: str, text: Any) -> Any:
    """One setting from its text; flags and words are themselves.

    Examples
    --------
    >>> read_option("stride", "2"), read_option("stride", "2,1"), read_option("padding", "0:1,2:2")
    (2, (2, 1), ((0, 1), (2, 2)))
    >>> read_option("padding", "same"), read_option("factor", "1.5"), read_option("at", "center")
    ('same', 1.5, 'center')
    >>> read_option("y", "1,2;3,4.5")
    [[1, 2], [3, 4.5]]
    """
    if name == "padding" and text.strip().lower() in PADDING_WORDS:
        return text.strip().lower()
    if name == "padding" and ":" in text:
        return tuple(_pair(text, each) for each in _split(text))
    if name in _WHOLE or (name == "at" and re.fullmatch(r"[-\d,x×\s]+", text)):
        return _several(text, [_whole(name, text, each) for each in _split(text)])
    if name == "factor":
        return _several(text, [_number(name, each) for each in _split(text)])
    return _array(name, text) if name in _ARRAYS else text


def _split(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"[,x×]", text.removesuffix(","))]


def _several(text: str, values: list[Any]) -> Any:
    """One number alone stands for every axis; a comma at its end makes it that of the only one."""
    return values[0] if len(values) == 1 and not text.strip().endswith(",") else tuple(values)


def _pair(text: str, part: str) -> tuple[int, int]:
    before, _, after = part.partition(":")
    return _whole("padding", text, before), _whole("padding", text, after or before)


def _array(name: str, text: str) -> list[Any]:
    """Channels between |, rows between ;, elements between commas: as deep as the text goes."""
    planes = [[[_number(name, each) for each in row.split(",")] for row in plane.split(";")]
              for plane in text.split("|")]  # fmt: skip
    if "|" in text:
        return planes if ";" in text else [rows[0] for rows in planes]
    return planes[0] if ";" in text else planes[0][0]


def _whole(name: str, text: str, part: str) -> int:
    if not re.fullmatch(r"[-+]?\d{1,18}", part):
        option = name.replace("_", "-")
        raise ValueError(f"--{option} must be whole numbers such as 2 or 2,1, got {text!r:.40}")
    return int(part)


def _number(name: str, part: str) -> int | float:
    try:
        return int(part) if re.fullmatch(r"[-+]?\d{1,18}", part.strip()) else float(part)
    except ValueError:
        raise ValueError(f"{name} must hold numbers, got {part!r:.40}") from None
