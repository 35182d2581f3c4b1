"""The report of `bench`: time, memory and work a megapixel."""

from pathlib import Path
from typing import Any

from priorraw_edge.bench.table import (
    limits_table,
    machine_lines,
    ordered,
    ratios_table,
    rows_table,
    sizes_table,
    skipped_lines,
)
from priorraw_edge.report.page import Page, heading, paragraph, plot, table
from priorraw_edge.report.plots import bars

OURS = "PriorRAW Edge"


def write_benchmark(result: dict[str, Any], path: Path) -> None:
    """Write the page of `bench`'s result."""
    where, versions, *rest = machine_lines(result)
    page = Page("Time, memory and work", where, "priorraw-edge bench")
    rows = [row for row in ordered(result).values() if "skipped" not in row]
    if rows:
        names = [f"{row['of']}: {row['label']}" for row in rows]
        ours = [row["of"] == OURS for row in rows]
        times = bars(names, [row["seconds"] for row in rows], "seconds a megapixel", ours=ours, log=True)
        memory = bars(names, [row["peak_rss"] / 1e6 for row in rows], "peak RSS, MB", ours=ours)
        page.add(
            plot(times, "Time", "Medians of the rounds, on a logarithmic scale; ours in blue."),
            plot(memory, "Memory", "Peak resident memory of the process that ran it."),
        )
    page.add(heading("Per megapixel"), table(*rows_table(result)))
    page.add(*(paragraph(line) for line in skipped_lines(result)))
    page.add(heading("Ratios"), table(*ratios_table(result, labelled=True)))
    page.add(heading("Sizes"), table(*sizes_table(result)))
    page.add(heading("This machine"), table(*limits_table(result)), paragraph(versions))
    page.add(*(paragraph(line, "note" if line.startswith("warning") else "") for line in rest))
    page.write(path)
