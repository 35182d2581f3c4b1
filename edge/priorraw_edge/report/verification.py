"""The report of `verify`: every stage of a bundle against PyTorch."""

from pathlib import Path

from priorraw_edge.report.page import Page, heading, paragraph, plot, table, verdict
from priorraw_edge.report.plots import against_bounds
from priorraw_edge.verify.rows import comparison_rows, summary_rows
from priorraw_edge.verify.verify import Report


def write_verification(report: Report, name: str, path: Path) -> None:
    """Write the page of one bundle, called `name`."""
    page = Page(
        f"Parity of {name}",
        f"{report.target}, {report.precision}, against PyTorch. PSNR in dB with data range 1; largest and mean are "
        "absolute differences.",
        "priorraw-edge verify",
    )
    page.add(verdict(report.passed, "All stages pass" if report.passed else "Verification failed"))
    page.add(*(verdict(False, fault) for fault in report.faults))
    page.add(*(paragraph(f"First to depart: {culprit}") for culprit in report.culprits))
    page.add(*(paragraph(note, "note") for note in report.notes))
    page.add(heading("Stages"), table(*summary_rows(report)), parity_plot(report))
    for camera in report.comparisons:
        page.add(heading(f"Bank of {camera}"), table(*comparison_rows(report, camera)))
    page.write(path)


def parity_plot(report: Report) -> str:
    """PSNR of the raw-RGB of every picture, by stage and bank, against the bound."""
    several = len(report.comparisons) > 1
    rows: dict[str, tuple[list[float], float]] = {}
    for camera, comparisons in report.comparisons.items():
        for c in comparisons:
            if c.output == "raw" and c.psnr is not None:
                name = f"{camera}, {c.stage}" if several else c.stage
                rows.setdefault(name, ([], c.bound))[0].append(c.psnr)
    if not rows:
        return paragraph("Every output is PyTorch's, to the last bit.")
    caption = (
        "A point a picture or edge tile; the line is the bound. Pictures that are equal to the last bit have no point."
    )
    return plot(against_bounds(rows, "PSNR of raw-RGB against PyTorch, dB"), "Difference by stage", caption)
