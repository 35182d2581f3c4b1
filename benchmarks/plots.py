"""The plots of docs/performance.md: roofline, and time and memory by size. SVG, the same bytes for the same figures."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from priorraw.files import atomic_file
from priorraw_edge.bench.table import ordered

matplotlib.rcParams.update({"svg.hashsalt": "priorraw", "svg.fonttype": "none", "font.size": 9})
COLOURS = {"PriorRAW Edge": "tab:blue", "exact one-scale method": "tab:red", "rival": "tab:gray"}
MARKERS = {"fp32": "o", "int8": "s"}


def roofline(result: dict[str, Any], path: Path) -> None:
    """Rate against intensity (FLOP per byte of operands and results), below what the machine allows."""
    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    rows = [row for row in ordered(result).values() if "gflops" in row]
    points = [(row["gflop"] / row["gigabytes"], row["gflops"], row) for row in rows]
    least, most = min(x for x, _, _ in points) / 3, max(x for x, _, _ in points) * 3
    copy = result["limits"]["copy"]
    for precision, style in (("fp32", "-"), ("int8", "--")):
        rate = result["limits"][precision]
        if rate:
            knee = rate / copy
            axes.plot(
                [least, max(least, knee), most],
                [min(rate, copy * least) / 1e9, rate / 1e9, rate / 1e9],
                style,
                color="black",
                linewidth=1,
                label=f"limit, {precision}: {rate / 1e9:,.0f} GFLOP/s, {copy / 1e9:.0f} GB/s",
            )
    for number, (x, y, row) in enumerate(points, 1):
        colour = COLOURS[row["of"]]
        axes.plot(x, y, MARKERS[row["precision"]], color=colour, label=f"{number}  {row['of']}: {row['label']}")
        axes.annotate(str(number), (x, y), xytext=(4, 3), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlim=(least, most), xlabel="FLOP per byte", ylabel="GFLOP/s")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    _save(figure, path)


def scaling(document: dict[str, Any], path: Path) -> None:
    """Seconds and peak RSS of `reconstruct` by megapixels, one line a bundle."""
    figure, (time, memory) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for name, rows in document["rows"].items():
        sizes = [row["megapixels"] for row in rows]
        time.plot(sizes, [row["seconds"] for row in rows], "o-", label=name)
        (line,) = memory.plot(sizes, [row["peak_rss"] / 1e6 for row in rows], "o-", label=name)
        together = [row["peak_rss_together"] / 1e6 for row in rows]
        memory.plot(sizes, together, "o:", color=line.get_color(), label=f"{name}, all processes")
    time.set(xlabel="megapixels", ylabel="seconds", ylim=0, xlim=0)
    memory.set(xlabel="megapixels", ylabel="peak RSS, MB", ylim=0, xlim=0)
    for axes in (time, memory):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)
