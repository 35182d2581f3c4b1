"""The result of a verification as rows, and as a page."""

from html import escape
from pathlib import Path

from priorraw.files import atomic_file

from priorraw_edge.verify.verify import Report

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}"
    "td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:left}"
    "td.number,th.number{text-align:right}.pass{color:#176d2c}.FAIL{color:#b3261e;font-weight:bold}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}td,th{border-color:#444}"
    ".pass{color:#6fd48a}.FAIL{color:#ff8a80}}"
)
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


def write_page(report: Report, name: str, path: Path) -> None:
    """The whole report as one HTML file that needs no other."""
    verdict = "pass" if report.passed else "FAIL"
    said = [*(f"FAIL {f}" for f in report.faults), *(f"first to depart: {c}" for c in report.culprits), *report.notes]
    parts = [
        f"<h1>Parity of {escape(name)}: <span class={verdict}>{verdict}</span></h1>",
        f"<p>{escape(report.target)}, {escape(report.precision)}, against PyTorch. PSNR in dB with data range 1; "
        "largest and mean are absolute differences.</p>",
        "".join(f"<p>{escape(line)}</p>" for line in said),
        _table(*summary_rows(report)),
        *(f"<h2>{escape(c)}</h2>{_table(*comparison_rows(report, c))}" for c in report.comparisons),
    ]
    page = f"<!doctype html><meta charset=utf-8><title>Parity of {escape(name)}</title><style>{STYLE}</style>"
    with atomic_file(path) as temporary:
        temporary.write_text(page + "".join(parts) + "\n", encoding="utf-8")


def _table(header: list[str], rows: list[list[str]]) -> str:
    def line(tag: str, cells: list[str]) -> str:
        return "".join(f'<{tag} class="{_kind(cell)}">{escape(cell)}</{tag}>' for cell in cells)

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', header)}</tr></thead><tbody>{body}</tbody></table>"


def _kind(cell: str) -> str:
    if cell in ("pass", "FAIL"):
        return cell
    return "number" if cell[:1].isdigit() or cell == "equal" else ""
