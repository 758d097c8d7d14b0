"""A table as text and as HTML: rows of cells, the first of them the heading."""

from collections.abc import Collection, Sequence
from html import escape

Rows = Sequence[Sequence[str]]


def text_table(rows: Rows, right: Collection[int] = ()) -> list[str]:
    r"""One line per row, columns two spaces apart; those of `right` end where numbers end.

    Examples
    --------
    >>> print("\n".join(text_table([("layer", "ms"), ("up", "12.5")], right=[1])))
    layer    ms
    up     12.5
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def html_table(rows: Rows, right: Collection[int] = ()) -> str:
    """The same as HTML, its text escaped.

    Examples
    --------
    >>> table = html_table([("<a>",), ("b",)])
    >>> "<th style" in table, "&lt;a&gt;" in table, table.count("<tr>")
    (True, True, 2)
    """

    def line(tag: str, row: Sequence[str]) -> str:
        sides = ["right" if i in right else "left" for i in range(len(row))]
        cells = zip(row, sides, strict=True)
        return "".join(f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>' for cell, side in cells)

    head, *body = (f"<tr>{line('td' if i else 'th', row)}</tr>" for i, row in enumerate(rows))
    return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"
