"""Tables and plots from results.csv: `python benchmarks/report.py [FOLDER]`."""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
NOTES = {
    "call overhead": "The smallest call there is, in milliseconds: 0.001 is a microsecond.",
    "conv_transpose out=": "Into an array that is there already; the last column but two is of the limit.",
    "move": "Fresh outputs: the pages of a new array cost more than its elements.",
    "scaling": "Elements of the large side; results of 10^9 are not checked here.",
}
NAMES = {("torch", "channels_last"): "torch ch.last", ("unsample", "channels_last"): "unsample ch.last"}


def read(folder: Path) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    """Of every suite -> workload -> library -> row."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    with open(folder / "results.csv", newline="") as file:
        for row in csv.DictReader(file):
            peer = NAMES.get((row["peer"], row["layout"]), row["peer"])
            found[row["suite"]][row["workload"]][peer] = row
    return found


def geometric_mean(values: list[float]) -> float:
    """Of ratios."""
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")


def table(works: dict[str, dict[str, dict[str, str]]]) -> str:
    """Milliseconds of every library; how many times faster than the fastest of the others, and than torch."""
    peers = list(dict.fromkeys(peer for rows in works.values() for peer in rows))
    others = [peer for peer in peers if not peer.startswith("unsample")]
    lines = [
        f"| workload | {' | '.join(peers)} | of the limit | vs fastest | vs torch |",
        f"|---|{'---:|' * (len(peers) + 3)}",
    ]
    fastest, against_torch = [], []
    for work, rows in works.items():
        cells = [f"{float(rows[peer]['ms_median']):.3g}" if peer in rows else "–" for peer in peers]
        ratios = {peer: float(rows[peer]["ratio_vs_ours"] or "nan") for peer in others if peer in rows}
        best = min(ratios.values(), default=float("nan"))
        torch = ratios.get("torch", float("nan"))
        fastest += [best] if np.isfinite(best) else []
        against_torch += [torch] if np.isfinite(torch) else []
        share = 100 * float(rows["unsample"]["fraction_of_limit"]) if "unsample" in rows else float("nan")
        cells += [f"{share:.0f} %", *(f"{r:.2f}×" if np.isfinite(r) else "–" for r in (best, torch))]
        lines.append(f"| {work} | {' | '.join(cells)} |")
    means = [f"**{geometric_mean(r):.2f}×**" if r else "–" for r in (fastest, against_torch)]
    lines.append(f"| geometric mean | {' | '.join([''] * len(peers))} | | {' | '.join(means)} |")
    return "\n".join(lines)


def write(folder: Path) -> str:
    """results.md and results.png beside the CSV; returns the text."""
    found = read(folder)
    about = json.loads((folder / "machine.json").read_text())
    parts = [
        "# Results",
        f"{about['processor']}, {about['threads']} threads, float32. Limits in the same run: "
        f"{about['gflops']:.0f} GFLOP/s, {about['gbytes_s']:.1f} GB/s copied. Milliseconds, medians; "
        "ratios above 1 mean that unsample is faster. Made by `make bench`.",
    ]
    imports = found.pop("import time", {})
    times = [
        f"{name} {float(row['ms_median']):.0f} ms" for rows in imports.values() for name, row in rows.items()
    ]
    parts += [f"Import, beyond an empty Python process: {', '.join(times)}."] if times else []
    for suite, works in found.items():
        parts += [f"## {suite}", NOTES.get(suite, ""), table(works)]
    text = "\n\n".join(part for part in parts if part) + "\n"
    (folder / "results.md").write_text(text)
    plot(found, folder / "results.png")
    return text


def plot(found: dict[str, Any], path: Path) -> None:
    """Per workload, how many times slower each other library is."""
    from matplotlib.figure import Figure

    suites = [suite for suite in ("conv_transpose", "training step", "move") if suite in found]
    heights = [len(found[suite]) for suite in suites]
    figure = Figure(figsize=(9, 1.2 * len(suites) + 0.27 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(suites), 1, squeeze=False, height_ratios=heights)[:, 0]
    marks = {
        "torch": "o",
        "torch ch.last": "s",
        "torch.compile": "v",
        "onnxruntime": "D",
        "openvino": "P",
        "jax": "X",
    }
    colours = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#D55E00")
    for ax, suite in zip(axes, suites, strict=True):
        works = found[suite]
        for (peer, mark), colour in zip(marks.items(), colours, strict=True):
            points = [
                (float(rows[peer]["ratio_vs_ours"]), number)
                for number, rows in enumerate(works.values())
                if peer in rows and rows[peer]["ratio_vs_ours"]
            ]
            if points:
                ax.scatter(*zip(*points, strict=True), marker=mark, s=30, color=colour, label=peer, zorder=3)
        ax.axvline(1, color="black", linewidth=1)
        ax.set_xscale("log")
        ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100, 200) if ax.get_xlim()[0] <= t <= ax.get_xlim()[1]]
        ax.set_xticks(ticks, [f"{t:g}×" for t in ticks])
        ax.minorticks_off()
        ax.set_yticks(range(len(works)), list(works), fontsize=8)
        ax.invert_yaxis()
        ax.grid(axis="both", linewidth=0.4, alpha=0.5)
        ax.set_title(f"{suite}: time of the others / time of unsample", fontsize=10, loc="left")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=8, ncols=3, loc="lower right")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    print(write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results"))
