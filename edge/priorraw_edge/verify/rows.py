"""The result of a verification as tables of words, for a terminal and for a page."""

from priorraw_edge.verify.verify import Report

Table = tuple[list[str], list[list[str]]]


def summary_rows(report: Report) -> Table:
    """A line for each bank and stage: worst difference of the raw-RGB, and what it costs."""
    failed = {(camera, c.stage) for camera, several in report.comparisons.items() for c in several if not c.passed}
    rows = [
        [
            s.camera,
            s.stage,
            decibels(s.worst_psnr),
            decibels(s.mean_psnr),
            decibels(s.worst_edge_psnr),
            f"{s.loss:.3f} dB {'measured' if s.loss_measured else 'expected'}",
            "pass" if s.passed and (s.camera, s.stage) not in failed else "FAIL",
        ]
        for s in report.summaries
    ]
    return ["bank", "stage", "raw-RGB, worst", "mean", "edge tiles", "PSNR lost", ""], rows


def comparison_rows(report: Report, camera: str) -> Table:
    """A line for each picture, stage and output."""
    rows = [
        [
            c.picture,
            c.stage,
            c.output,
            f"{c.max_error:.1e}",
            f"{c.mean_error:.1e}",
            decibels(c.psnr),
            f"{c.bound:.0f}",
            "" if c.loss is None else f"{c.loss:.3f}",
            "pass" if c.passed else "FAIL",
        ]
        for c in report.comparisons[camera]
    ]
    return ["picture", "stage", "output", "largest", "mean", "PSNR dB", "bound dB", "PSNR lost dB", ""], rows


def decibels(psnr: float | None) -> str:
    return "equal" if psnr is None else f"{psnr:.1f}"
