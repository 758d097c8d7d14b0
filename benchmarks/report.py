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
    "conv_transpose out=": "Into an array that is there already.",
    "move": "Fresh outputs: the pages of a new array cost more than its elements.",
    "scaling": "Elements of the large side; results of 10^9 are not checked here.",
}
# The package that `--against` names; no library that ours is compared with, as its name says.
OTHER = "unsample before"
NAMES = {
    ("torch", "channels_last"): "torch ch.last",
    ("unsample", "channels_last"): "unsample ch.last",
    (OTHER, "channels_last"): f"{OTHER} ch.last",
}


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


def our_best(rows: dict[str, dict[str, str]]) -> float:
    """Time in our faster layout over that in the default one: the fastest library chose its layout too."""
    last = rows.get("unsample ch.last", {}).get("ratio_vs_ours")
    return min(1.0, float(last)) if last else 1.0


def table(works: dict[str, dict[str, dict[str, str]]]) -> str:
    """Milliseconds of every library; how many times faster than the fastest of the others, and than torch."""
    peers = list(dict.fromkeys(peer for rows in works.values() for peer in rows))
    lines = [
        f"| workload | {' | '.join(peers)} | of the limit | vs fastest | vs torch |",
        f"|---|{'---:|' * (len(peers) + 3)}",
    ]
    fastest, against_torch = [], []
    for work, rows in works.items():
        cells = [f"{float(rows[peer]['ms_median']):.3g}" if peer in rows else "–" for peer in peers]
        best, torch = compared(rows)
        fastest += [best] if np.isfinite(best) else []
        against_torch += [torch] if np.isfinite(torch) else []
        share = 100 * float(rows["unsample"]["fraction_of_limit"]) if "unsample" in rows else float("nan")
        cells += [f"{share:.0f} %", *(f"{r:.2f}×" if np.isfinite(r) else "–" for r in (best, torch))]
        lines.append(f"| {work} | {' | '.join(cells)} |")
    means = [f"**{geometric_mean(r):.2f}×**" if r else "–" for r in (fastest, against_torch)]
    lines.append(f"| geometric mean | {' | '.join([''] * len(peers))} | | {' | '.join(means)} |")
    return "\n".join(lines)


SUMMARY = {
    "conv_transpose": "transposed convolution, forward",
    "training step": "its training step",
    "move": "pooling, unpooling, nearest, nails, shuffle, channels first",
    "scaling": "nearest and max unpooling, 10^4 to 10^9 elements",
    "call overhead": "the smallest calls",
}


def compared(rows: dict[str, dict[str, str]]) -> tuple[float, float]:
    """How many times faster than the fastest of the others, and than torch: of one workload."""
    ratios = {
        peer: float(row["ratio_vs_ours"] or "nan")
        for peer, row in rows.items()
        if not peer.startswith("unsample")
    }
    best = min(ratios.values(), default=float("nan")) / our_best(rows)
    return best, ratios.get("torch", float("nan"))


def channels_last(rows: dict[str, dict[str, str]]) -> float:
    """How many times faster than torch where both have the channels last: of one workload."""
    torch, ours = (float(rows[f"{peer} ch.last"]["ratio_vs_ours"]) for peer in ("torch", "unsample"))
    return torch / ours


def before(works: dict[str, dict[str, dict[str, str]]]) -> str:
    """Time of the package before over that of this one, where it slowed most first; "" if not measured."""
    ratios = {
        f"{work}, {rows[name]['layout']}": float(rows[name]["ratio_vs_ours"])
        / float(rows[ours]["ratio_vs_ours"])
        for work, rows in works.items()
        for name, ours in ((OTHER, "unsample"), (f"{OTHER} ch.last", "unsample ch.last"))
        if name in rows and ours in rows
    }
    if not ratios:
        return ""
    each = ", ".join(
        f"{work} {ratio:.2f}×" for work, ratio in sorted(ratios.items(), key=lambda pair: pair[1])
    )
    return f"Before over now: geometric mean {geometric_mean(list(ratios.values())):.2f}×; {each}."


def summary(folder: Path) -> str:
    """For the README: a row per suite, and by name every workload where another library is faster."""
    found, about = read(folder), json.loads((folder / "machine.json").read_text())
    lines = [
        f"On {about['threads']} threads, {about['processor']}, {about['tier']}, float32, fresh results "
        f"([all results](benchmarks/results/results.md)):",
        "",
        "| | workloads | against torch | against the fastest library |",
        "|---|---:|---:|---:|",
    ]
    lost = []
    for suite, name in SUMMARY.items():
        each = {work: compared(rows) for work, rows in found[suite].items()}
        best, torch = (geometric_mean([pair[i] for pair in each.values()]) for i in (0, 1))
        lines.append(f"| {name} | {len(each)} | {torch:.1f}× | {best:.1f}× |")
        lasting = [channels_last(rows) for rows in found[suite].values() if "torch ch.last" in rows]
        if suite == "move" and lasting:
            lines.append(f"| the same, channels last | {len(lasting)} | {geometric_mean(lasting):.1f}× | |")
        slow = ", ".join(f"{work} ({ratio:.2f}×)" for work, (ratio, _) in each.items() if ratio < 1)
        lost += [f"{name}: {slow}"] if slow else []
    return "\n".join([*lines, "", "Another library is faster at:", "", *(f"- {line}" for line in lost)])


def write(folder: Path) -> str:
    """results.md and results.png beside the CSV; returns the text."""
    found = read(folder)
    about = json.loads((folder / "machine.json").read_text())
    parts = [
        "# Results",
        f"{about['processor']}, {about['threads']} threads, {about['tier']}, float32. Limits then: "
        f"{about['gflops']:.0f} GFLOP/s, {about['gbytes_s']:.1f} GB/s copied. Milliseconds, medians; "
        "ratios above 1 mean that unsample is faster. *Vs fastest* compares the faster layout of ours with "
        "the fastest library in its faster layout, *vs torch* both in the default layout. "
        "Made by `make bench`.",
    ]
    imports = found.pop("import time", {})
    times = [
        f"{name} {float(row['ms_median']):.0f} ms" for rows in imports.values() for name, row in rows.items()
    ]
    parts += [f"Import, beyond an empty Python process: {', '.join(times)}."] if times else []
    for suite, works in found.items():
        parts += [f"## {suite}", NOTES.get(suite, ""), table(works), before(works)]
    text = "\n\n".join(part for part in parts if part) + "\n"
    (folder / "results.md").write_text(text)
    plot(found, folder / "results.png")
    return text


def plot(found: dict[str, Any], path: Path) -> None:
    """Per workload, how many times slower each other library is."""
    from matplotlib.figure import Figure

    suites = [suite for suite in ("conv_transpose", "training step", "move") if suite in found]
    if not suites:
        return
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
                (float(rows[peer]["ratio_vs_ours"]) / our_best(rows), number)
                for number, rows in enumerate(works.values())
                if peer in rows and rows[peer]["ratio_vs_ours"]
            ]
            if points:
                ax.scatter(*zip(*points, strict=True), marker=mark, s=30, color=colour, label=peer, zorder=3)
        ax.axvline(1, color="black", linewidth=1)
        ax.set_xscale("log")
        marks_of_axis = (0.5, 1, 2, 5, 10, 20, 50, 100, 1000, 10000)
        ticks = [t for t in marks_of_axis if ax.get_xlim()[0] <= t <= ax.get_xlim()[1]]
        ax.set_xticks(ticks, [f"{t:g}×" for t in ticks])
        ax.minorticks_off()
        ax.set_yticks(range(len(works)), list(works), fontsize=8)
        ax.invert_yaxis()
        ax.grid(axis="both", linewidth=0.4, alpha=0.5)
        ax.set_title(
            f"{suite}: time of the others / time of unsample in its faster layout", fontsize=10, loc="left"
        )
        ax.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, ncols=6, loc="outside upper center")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    print(write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results"))
