"""A sheet in characters, for terminals and for tests."""

import textwrap
from collections.abc import Sequence

from unsample.draw.sheet import Board, Cell, Column, Sheet

_ASCII = str.maketrans(
    {
        **dict.fromkeys("┌┬┐├┼┤└┴┘", "+"), "│": "|", "─": "-", "·": "*", "−": "-", "→": "->", "×": "x",
        "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "½": "1/2", "ᵀ": "^T", "…": "...",
        **{subscript: str(i) for i, subscript in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    }
)  # fmt: skip


def as_text(sheet: Sheet, *, width: int = 100, ascii: bool = False) -> str:
    """The sheet in at most `width` columns, where its widest board has room.

    (x) lies beyond the border, [x] is the one that stands out.
    """
    body = _lined_up(sheet) if sheet.lined_up else _columns(sheet.columns, width)
    lines = [sheet.title, sheet.subtitle, "", *body, ""]
    legend = [
        f"{sign}: {words}"
        for sign, kind in (("( )", "ghost"), ("[ ]", "strong"))
        for cell, words in sheet.legend
        if kind in (cell.kind, cell.tone) and words
    ]
    for note in sheet.notes:
        legend += textwrap.wrap(note, width, break_long_words=False, break_on_hyphens=False)
    lines += legend
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return text.translate(_ASCII) if ascii else text


def _shown(cell: Cell) -> str:
    if cell.kind == "none":
        return "( )"
    if cell.kind == "ghost":
        return f"({cell.text})"
    return f"[{cell.text}]" if cell.tone == "strong" else cell.text


def _rule(left: str, middle: str, right: str, widths: Sequence[int]) -> str:
    return left + middle.join("─" * (width + 2) for width in widths) + right


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.center(width) if cell else " " * width for cell, width in zip(cells, widths, strict=True))
    return "│ " + " │ ".join(padded) + " │"


def _grid(rows: Sequence[Sequence[Cell]], *, alike: bool = True) -> list[str]:
    texts = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(1, *(len(row[j]) for row in texts)) for j in range(len(texts[0]))]
    if alike:
        widths = [max(widths)] * len(widths)
    lines = [_rule("┌", "┬", "┐", widths)]
    lines += [_row(row, widths) for row in texts]
    return [*lines, _rule("└", "┴", "┘", widths)]


def _beside(blocks: Sequence[Sequence[str]], gap: str = "   ") -> list[str]:
    """Blocks of lines beside each other, their tops level."""
    height = max(len(block) for block in blocks)
    wide = [max((len(line) for line in block), default=0) for block in blocks]
    return [
        gap.join((block[i] if i < len(block) else "").ljust(w) for block, w in zip(blocks, wide, strict=True))
        for i in range(height)
    ]


def _wide(block: Sequence[str]) -> int:
    return max(len(line) for line in block)


def _flow(blocks: Sequence[Sequence[str]], width: int) -> list[str]:
    """Blocks beside each other as long as they fit, then below."""
    lines: list[str] = []
    row: list[Sequence[str]] = []
    for block in blocks:
        if row and _wide(_beside([*row, block])) > width:
            lines += [*_beside(row), ""]
            row = []
        row.append(block)
    return lines + _beside(row)


def _block(board: Board, width: int) -> list[str]:
    rows: list[str] = []
    for slices in board.slices:
        parts = []
        for each in slices:
            grid = _grid(each.rows, alike=not board.row_labels)
            if board.row_labels:
                side = max(map(len, board.row_labels))
                names = ["", *board.row_labels, ""]
                grid = [f"{name:>{side}} {line}" for name, line in zip(names, grid, strict=True)]
            parts.append([each.label, *grid] if each.label else grid)
        rows += _flow(parts, width)
    return [board.heading, *rows] if board.heading else rows


def _columns(columns: Sequence[Column], width: int) -> list[str]:
    blocks = []
    for column in columns:
        rows: list[str] = []
        for row in column.rows:
            rows += [*([""] if rows else []), *_flow([_block(board, width) for board in row], width)]
        blocks.append(rows)
    signs = [f" {column.sign} " if column.sign else "   " for column in columns[1:]]
    if sum(map(_wide, blocks)) + sum(map(len, signs)) <= width:
        height = max(map(len, blocks))
        middles = [([""] * (height // 2) + [sign]) for sign in signs]
        centred = [[""] * ((height - len(block)) // 2) + block for block in blocks]
        pieces: list[list[str]] = [centred[0]]
        for middle, block in zip(middles, centred[1:], strict=True):
            pieces += [middle, block]
        return _beside(pieces, "")
    lines: list[str] = []
    for number, block in enumerate(blocks):
        sign = columns[number].sign
        lines += [*(["", sign, ""] if number and sign else [""] if number else []), *block]
    return lines


def _lined_up(sheet: Sheet) -> list[str]:
    """Rows below each other. Boards that show the same array share their columns."""
    boards = list(sheet.boards())
    gutter = max(len(board.heading) for board in boards) + 2
    labels = max(len(each.label) for board in boards for row in board.slices for each in row)
    gutter += labels + 2 if labels else 0
    lines: list[str] = []
    groups = _groups(boards)
    for group in groups:
        cells = [[_shown(cell) for cell in row[0].rows[0]] for board in group for row in board.slices]
        widths = [max(1, *map(len, column)) for column in zip(*cells, strict=True)]
        lines.append(" " * gutter + _rule("┌", "┬", "┐", widths))
        for board in group:
            several = len(board.slices) > 1 or board.heading == "output"
            if several and board is not group[0]:
                lines.append(" " * gutter + _rule("├", "┼", "┤", widths))
            for i, row in enumerate(board.slices):
                left = (board.heading if not i else "").ljust(gutter - labels - 2 if labels else gutter)
                left += row[0].label.ljust(labels + 2) if labels else ""
                lines.append(left + _row([_shown(cell) for cell in row[0].rows[0]], widths))
        lines.append(" " * gutter + _rule("└", "┴", "┘", widths))
    return lines


def _groups(boards: Sequence[Board]) -> list[list[Board]]:
    """Stamps and what they add up to, windows and what they slide over, share one box."""
    groups: list[list[Board]] = []
    for board in boards:
        width = len(board.slices[0][0].rows[0])
        joins = groups and len(groups[-1][0].slices[0][0].rows[0]) == width and groups[-1][-1].fill
        if joins:
            groups[-1].append(board)
        else:
            groups.append([board])
    return groups
