"""An inspection as HTML: a fragment for a notebook, a self-contained page for a file. All text is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from unsample.files import write_whole
from unsample.inspection import sentences
from unsample.inspection.findings import Findings
from unsample.inspection.table import columns_of, elided, rows_of

# Colours of Okabe & Ito, which colour-blind readers tell apart; the rest takes those of its surroundings.
STYLE = """
.us-inspect{font:13px/1.45 system-ui,sans-serif;max-width:80rem}
.us-inspect .scroll{overflow-x:auto}
.us-inspect table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6em 0}
.us-inspect th,.us-inspect td{padding:.22em .6em;text-align:left;white-space:nowrap;border:0}
.us-inspect th{font-weight:600;border-bottom:1px solid currentColor;white-space:normal;vertical-align:bottom}
.us-inspect tbody tr{border-bottom:1px solid rgba(128,128,128,.25);background:none}
.us-inspect .right{text-align:right}
.us-inspect .up{color:#0072b2}.us-inspect .down{color:#b35900}
.us-inspect .good{color:#00785a}.us-inspect .bad{color:#c0392b;font-weight:600}
.us-inspect dl{display:grid;grid-template-columns:max-content 1fr;gap:.2em 1em;margin:.6em 0}
.us-inspect dt{font-weight:600}.us-inspect dd{margin:0;overflow-wrap:anywhere}
.us-inspect figure{display:inline-block;margin:.4em 1.6em .4em 0;vertical-align:top}
.us-inspect figcaption{margin-bottom:.3em}
.us-inspect h1{font-size:1.15em;margin:.2em 0}.us-inspect p{margin:.2em 0}
@media(prefers-color-scheme:dark){.us-inspect.page .up{color:#56b4e9}.us-inspect.page .down{color:#e69f00}
.us-inspect.page .good{color:#2fc49a}.us-inspect.page .bad{color:#ff7b6b}}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>body{{margin:1.5rem}}</style></head><body>
{body}
</body></html>
"""


def page(found: Findings, *, whole: bool = False) -> str:
    """The fragment, or the whole page."""
    model, _, totals = sentences.title(found).partition("  ")
    head, *rows = rows_of(found)
    right = [column.right for column in columns_of(found)]
    body = [
        f'<div class="us-inspect{" page" if whole else ""}"><style>{STYLE}</style>',
        f"<h1>{escape(model)}</h1><p>{escape(totals)}</p>",
        '<div class="scroll"><table><thead><tr>',
        *(
            f"<th{_class(r)}>{escape(_WORDS.get(c.plain, c.plain))}</th>"
            for c, r in zip(head, right, strict=True)
        ),
        "</tr></thead><tbody>",
    ]
    for row in rows:
        cells = [
            f"<td{_class(r, cell.tone)}>{escape(cell.plain)}</td>" for cell, r in zip(row, right, strict=True)
        ]
        cells[1] = f'<td title="{escape(row[1].plain)}">{escape(elided(row[1].plain, 28))}</td>'
        body.append(f"<tr>{''.join(cells)}</tr>")
    body.append("</tbody></table></div><dl>")
    last = ""
    for heading, sentence in sentences.all_of(found):
        shown = "" if heading == last else heading
        tone = _class(False, "bad" if heading == "stopped" else "")
        body.append(f"<dt{tone}>{escape(shown)}</dt><dd{tone}>{escape(sentence)}</dd>")
        last = heading
    body.append("</dl>")
    uneven: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for step in found.steps:
        if step.checkerboard is not None and not step.checkerboard.even:
            uneven.setdefault(step.checkerboard.overlap, []).append(step.number)
    body += [_map(overlap, numbers) for overlap, numbers in uneven.items()]
    body.append("</div>")
    text = "\n".join(body)
    return _PAGE.format(title=escape(f"unsample inspect: {found.model}"), body=text) if whole else text


_WORDS = {
    "": "step",
    "par.": "parameters",
    "m-adds": "multiply-adds",
    "out B": "output bytes",
    "saved B": "saved bytes",
    "field": "receptive field",
    "check": "checkerboard",
}


def save(found: Findings, path: Path) -> None:
    """Write the whole page, as `unsample.files.write_whole` does."""
    write_whole("inspect", path, page(found, whole=True))


def _class(right: bool, *names: str) -> str:
    given = [name for name in ("right" if right else "", *names) if name]
    return f' class="{" ".join(given)}"' if given else ""


def _map(overlap: Sequence[tuple[int, ...]], numbers: Sequence[int]) -> str:
    """How many stamps meet in each output element, a few blocks wide."""
    axes = [axis * (8 // len(axis) or 1) for axis in overlap if axis][-2:]
    rows, columns = (axes[0] if len(axes) > 1 else (1,)), axes[-1]
    most = max(rows) * max(columns)
    cell = 18
    parts = []
    for i, a in enumerate(rows):
        for j, b in enumerate(columns):
            x, y = j * cell, i * cell
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="#0072b2" '
                f'fill-opacity="{0.08 + 0.72 * a * b / most:.2f}"/>'
                f'<text x="{x + cell / 2}" y="{y + 13}" text-anchor="middle" font-size="11" '
                f'fill="currentColor">{a * b}</text>'
            )
    width, height = len(columns) * cell, len(rows) * cell
    steps = f"step{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
    caption = f"{steps}: how many stamps meet in each output element"
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(caption)}">{"".join(parts)}</svg></figure>'
    )
