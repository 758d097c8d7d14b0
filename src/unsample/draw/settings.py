"""Settings as they are typed at the command line, as the operations take them."""

import re
from typing import Any

from unsample.geometry import ShapeError
from unsample.geometry.arguments import PADDING_WORDS

# Which setting is typed how; those not named are words.
_INTS = ("kernel_size", "stride", "dilation", "output_padding", "output_size", "input_size", "groups")


def setting(name: str, text: str) -> Any:
    """One setting from its text.

    Examples
    --------
    >>> setting("stride", "2"), setting("stride", "2,1"), setting("padding", "0:1,2:2")
    (2, (2, 1), ((0, 1), (2, 2)))
    >>> setting("padding", "same"), setting("factor", "1.5"), setting("at", "center")
    ('same', 1.5, 'center')
    """
    if name == "padding" and text.strip().lower() in PADDING_WORDS:
        return text.strip().lower()
    if name == "padding" and ":" in text:
        return tuple(_pair(text, each) for each in _split(text))
    if name in _INTS or name == "padding":
        return _several(name, text, [_int(name, text, each) for each in _split(text)])
    if name == "factor":
        return _several(name, text, [_number(name, text, each) for each in _split(text)])
    if name == "at" and re.fullmatch(r"[-\d,x×\s]+", text):
        return _several(name, text, [_int(name, text, each) for each in _split(text)])
    return text


def _split(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"[,x×]", text.removesuffix(","))]


def _several(name: str, text: str, values: list[Any]) -> Any:
    """One number alone stands for every axis; a comma at its end makes it that of the only one."""
    return values[0] if len(values) == 1 and not text.strip().endswith(",") else tuple(values)


def _int(name: str, text: str, part: str) -> int:
    if not re.fullmatch(r"[-+]?\d{1,18}", part):
        raise ShapeError(f"draw: --{_option(name)} must be whole numbers such as 2 or 2,1, got {text!r:.40}")
    return int(part)


def _number(name: str, text: str, part: str) -> int | float:
    try:
        return int(part) if re.fullmatch(r"[-+]?\d{1,18}", part) else float(part)
    except ValueError:
        raise ShapeError(f"draw: --{name} must be numbers such as 2 or 2,1.5, got {text!r:.40}") from None


def _pair(text: str, part: str) -> tuple[int, int]:
    before, _, after = part.partition(":")
    return _int("padding", text, before), _int("padding", text, after or before)


def _option(name: str) -> str:
    return name.replace("_", "-")
