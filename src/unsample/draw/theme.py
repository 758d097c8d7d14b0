"""Colours, and which ink can be read on them."""

from dataclasses import dataclass
from functools import lru_cache

from unsample.draw.sheet import Cell

# Okabe & Ito (2008), whose colours colour-blind people tell apart; grey stands for their black, on which no
# black text can be read. Neighbours are one and three apart (`sheet.hue`): of all orders this one has the
# largest least difference between them, 9.6 in CIE L*a*b* for the four kinds of sight.
_HUES = ("#0072B2", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#56B4E9")
_GREY_ON_LIGHT, _GREY_ON_DARK = "#333333", "#D0D0D0"

# WCAG 2.1, success criterion 1.4.3.
READABLE = 4.5


@dataclass(frozen=True)
class Theme:
    """What every name of a colour on a sheet stands for."""

    paper: str
    ink: str
    faint: str
    edge: str
    ghost: str
    frame: str
    hues: tuple[str, ...]
    levels: tuple[str, ...]

    def fill(self, name: str) -> str:
        """The colour of a cell's fill: "hue0" to "hue7", "level0" to "level5"."""
        table = self.hues if name.startswith("hue") else self.levels
        return table[int(name.lstrip("huelv"))]

    def text(self, cell: Cell) -> str:
        """The ink that can be read on everything the cell is filled with."""
        grounds = [self.fill(name) for name in cell.fills] or [self.paper]
        wanted = self.faint if cell.tone == "faint" else self.ink
        choices = (wanted, self.ink, self.paper)
        for ink in choices:
            if all(contrast(ink, ground) >= READABLE for ground in grounds):
                return ink
        return max(choices, key=lambda ink: min(contrast(ink, ground) for ground in grounds))


def mixed(colour: str, ground: str, share: float) -> str:
    """`share` of a colour on a ground.

    Examples
    --------
    >>> mixed("#000000", "#FFFFFF", 0.5)
    '#808080'
    """
    pairs = zip(_rgb(colour), _rgb(ground), strict=True)
    return "#" + "".join(f"{round(share * c + (1 - share) * g):02X}" for c, g in pairs)


@lru_cache(maxsize=256)
def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours, 1 to 21.

    Examples
    --------
    >>> contrast("#FFFFFF", "#000000")
    21.0
    """
    low, high = sorted(_luminance(each) for each in (one, other))
    return round((high + 0.05) / (low + 0.05), 4)


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _rgb(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


LIGHT = Theme(
    paper="#FFFFFF",
    ink="#17181C",
    faint="#63666F",
    edge="#B4B8C2",
    ghost="#8B8F9A",
    frame="#17181C",
    hues=tuple(mixed(colour, "#FFFFFF", 0.5) for colour in (*_HUES, _GREY_ON_LIGHT)),
    levels=("#E4EEF8", "#BBD6EC", "#86B6DC", "#4A8FC4", "#1F64A3", "#0B3A72"),
)
DARK = Theme(
    paper="#16181D",
    ink="#F3F4F7",
    faint="#A9ADB8",
    edge="#4C515D",
    ghost="#7B808D",
    frame="#F3F4F7",
    hues=tuple(mixed(colour, "#16181D", 0.42) for colour in (*_HUES, _GREY_ON_DARK)),
    levels=("#1D2B3E", "#234468", "#2B6093", "#5A93C6", "#93C0E4", "#D3E8F8"),
)
