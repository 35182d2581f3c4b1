"""python -m benchmarks.performance: fill the tables and draw the plots of docs/performance.md.

From bench.json, lookup.json and scaling.json, as `make bench` measures them, and docs/results.json for the dB.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from priorraw.files import read_json
from priorraw.results import fill, markdown_table
from priorraw_edge.bench.rows import default_bundle
from priorraw_edge.bench.table import (
    limits_table,
    machine_lines,
    ratios_table,
    rows_table,
    seconds,
    sizes_table,
)

from benchmarks import lookup, scaling
from benchmarks.calls import main

BIG = 12.0  # megapixels: the picture of which the lookup's share is told
FOLDER = click.Path(path_type=Path)


def lookups_table(document: dict[str, Any]) -> str:
    """Every candidate: cost, and dB lost, the worst camera first in brackets."""
    header = ["lookup", "kFLOP / token", "kB / token", "ms / picture", "s / MP, were it one-scale"]
    header += ["dB lost, assembled", "dB lost, reconstructed"]
    lines = []
    for name in document["order"]:
        cost = document["cost"][name]
        losses = [_loss(lookup.lost(document, name, figure)) for figure in ("assembled", "reconstructed")]
        lines.append(
            [
                name,
                f"{cost['flops_per_token'] / 1e3:.0f}",
                f"{cost['bytes_per_token'] / 1e3:.0f}",
                f"{cost['seconds_per_picture'] * 1e3:.1f}",
                seconds(cost["seconds_per_megapixel"]),
                *(["0"] * 2 if name == lookup.EXACT else losses),
            ]
        )
    return markdown_table(header, lines)


def _loss(of_cameras: dict[str, float]) -> str:
    values = list(of_cameras.values())
    return f"{sum(values) / len(values):+.2f} ({min(values):+.2f} to {max(values):+.2f})"


def lookup_share(document: dict[str, Any], bench: dict[str, Any]) -> str:
    """What the exact lookup takes of a 12-megapixel run of the default bundle."""
    row = bench["rows"].get(default_bundle(), {})
    once = document["cost"][lookup.EXACT]["seconds_per_picture"]
    everywhere = document["cost"][lookup.EXACT]["seconds_per_megapixel"] * BIG
    if "seconds" not in row:
        return f"The exact lookup takes {once * 1e3:.2g} ms a picture."
    run = row["seconds"] * BIG
    return (
        f"The exact lookup takes {once * 1e3:.2g} ms a picture, {once / run:.2%} of the {run:.2g} s that the default "
        f"bundle takes for {BIG:g} megapixels. For every half-resolution pixel of that picture it would take "
        f"{everywhere:.0f} s."
    )


def chunks_table(document: dict[str, Any]) -> str:
    """Rows of the affinity at a time."""
    lines = [[rows, seconds(value)] for rows, value in document["chunks"].items()]
    return markdown_table(["rows at a time", "s / MP, were it one-scale"], sorted(lines, key=lambda line: int(line[0])))


def scales_table(bench: dict[str, Any], results: dict[str, Any]) -> str:
    """The bank searched for every pixel against the two scales: PSNR on the test sets, and cost."""
    lines = []
    for name, stages in results.items():
        one, two = stages["assembled"], stages["reconstructed"]
        lines.append([name, f"{one['psnr']:.2f}", f"{two['psnr']:.2f}", f"{two['psnr'] - one['psnr']:+.2f}"])
    exact = bench["rows"].get("exact-eager", {})
    ours = bench["work"]["tile_gflop_per_megapixel"]
    if "gflop" in exact:
        cost = [f"{exact['gflop']:.0f}", f"{ours:.1f}", f"{exact['gflop'] / ours:.1f} times less"]
        lines.append(["GFLOP / MP, without halos", *cost])
    return markdown_table(["test set", "bank for every pixel, dB", "two scales, dB", ""], lines)


def scaling_table(document: dict[str, Any]) -> str:
    """Seconds and memory of `reconstruct` by size."""
    header = ["bundle", "MP", "s", "s / MP", "peak RSS, MB", "all processes together, MB"]
    lines = []
    for name, rows in document["rows"].items():
        for row in rows:
            size = row["megapixels"]
            memory = [f"{row[key] / 1e6:.0f}" for key in ("peak_rss", "peak_rss_together")]
            lines.append([name, f"{size:.1f}", seconds(row["seconds"]), seconds(row["seconds"] / size), *memory])
        growth = scaling.memory_growth(rows)
        if growth is not None:
            lines.append([name, "48 against 12", "", "", f"{growth:.2f} times (at most 1.15)", ""])
    return markdown_table(header, lines)


def company(document: dict[str, Any]) -> str:
    """The warnings of a measurement, or that there are none."""
    return "; ".join(document["warnings"]) or "the machine was idle otherwise"


@click.command()
@click.argument("folder", type=FOLDER, default=Path("benchmarks/results"))
@click.argument("page", type=FOLDER, default=Path("docs/performance.md"))
@click.option("--results", type=FOLDER, default=Path("docs/results.json"), show_default=True)
def command(folder: Path, page: Path, results: Path) -> None:
    """Fill PAGE from the JSON files in FOLDER, and draw images/roofline.svg and images/scaling.svg beside it."""
    from benchmarks import plots

    bench, lookups, sizes = (read_json(folder / f"{name}.json") for name in ("bench", "lookup", "scaling"))
    measured = read_json(results)
    tables: dict[str, Callable[[], str]] = {
        "machine": lambda: "\n".join(f"- {line}" for line in machine_lines(bench)),
        "limits": lambda: markdown_table(*limits_table(bench)),
        "rows": lambda: markdown_table(*rows_table(bench)),
        "ratios": lambda: markdown_table(*ratios_table(bench, labelled=True)),
        "sizes": lambda: markdown_table(*sizes_table(bench)),
        "scales": lambda: scales_table(bench, measured),
        "lookups": lambda: (
            f"{lookups_table(lookups)}\n\n{lookup_share(lookups, bench)} Measured so: {company(lookups)}."
        ),
        "chunks": lambda: chunks_table(lookups),
        "scaling": lambda: f"{scaling_table(sizes)}\n\nMeasured so: {company(sizes)}.",
        "work": lambda: work_line(bench),
    }
    fill(page, tables)
    plots.roofline(bench, page.parent / "images" / "roofline.svg")
    plots.scaling(sizes, page.parent / "images" / "scaling.svg")


def work_line(bench: dict[str, Any]) -> str:
    """What the model computes, in words; the model cards quote it."""
    work = bench["work"]
    return (
        f"The tile part computes {work['tile_gflop_per_megapixel']:.1f} GFLOP a megapixel, the scene part "
        f"{work['scene_gflop_per_picture']:.2f} GFLOP a picture."
    )


if __name__ == "__main__":
    main(command, "performance")
