"""The tables of measured results: JSON to Markdown, between the markers of a page.

python -m priorraw.results docs/results.json benchmarks/results README.md docs/results.md
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from priorraw.errors import InputError
from priorraw.files import atomic_file, read_json

Results = dict[str, Any]  # by test set: pictures, and figures by stage
BLIND = {
    "mean-light": "closed form, mean light",
    "without_prior": "same networks, no bank",
    "reconstructed": "**PriorRAW Edge**",
    "inferred-light": "closed form, our light",
    "assembled": "bank alone (half size)",
}
HINTED = {"true-light": "closed form, true light", "hinted": "**PriorRAW Edge, hinted**"}
INPUTS = {
    "reconstructed": "8-bit PNG",
    "16_bits": "16-bit PNG",
    "jpeg95_444": "JPEG 95, 4:4:4",
    "jpeg95_420": "JPEG 95, 4:2:0",
    "jpeg85_420": "JPEG 85, 4:2:0",
    "jpeg75_420": "JPEG 75, 4:2:0",
}
PARTS = {
    "psnr": "PSNR dB",
    "psnr_clipped": "clipped pixels",
    "psnr_unclipped": "unclipped pixels",
    "psnr_known_gains": "if the gains were known",
    "light_error": "light, degrees",
    "light_error_median": "median",
}


def columns_table(results: Results, columns: dict[str, str]) -> str:
    """PSNR dB / SSIM of every column, a row per test set."""
    present = {c: title for c, title in columns.items() if any(c in row for row in results.values())}
    rows = [
        [f"{name} ({row['pictures']})", *(_psnr_ssim(row[c]) if c in row else "" for c in present)]
        for name, row in results.items()
    ]
    return markdown_table(["test set (pictures)", *present.values()], rows)


def inputs_table(results: Results) -> str:
    """PSNR dB by what the sRGB went through, blind and hinted."""
    rows = []
    for name, row in results.items():
        for suffix, label in (("", "blind"), ("_hinted", "hinted")):
            keys = [c if not suffix else "hinted" if c == "reconstructed" else c + suffix for c in INPUTS]
            rows.append([f"{name}, {label}", *(f"{row[k]['psnr']:.2f}" if k in row else "" for k in keys)])
    return markdown_table(["test set", *INPUTS.values()], rows)


def parts_table(results: Results) -> str:
    """Where the error lies: every stage, split."""
    stages = {**BLIND, **HINTED, "reconstructed": "**PriorRAW Edge, blind**"}
    rows = [
        [name, title, *(f"{row[stage][p]:.2f}" if p in row[stage] else "" for p in PARTS)]
        for name, row in results.items()
        for stage, title in stages.items()
        if stage in row and stage != "assembled"
    ]
    return markdown_table(["test set", "method", *PARTS.values()], rows)


def reliability_table(results: Results) -> str:
    """Rank correlation of expected and true error, and areas under the sparsification curves."""
    rows = []
    for name, row in results.items():
        for stage, label in (("reconstructed", "blind"), ("hinted", "hinted")):
            figures = row[stage]
            rows.append(
                [
                    f"{name}, {label}",
                    f"{-figures['reliability_rank']:.2f}",
                    f"{figures['sparsification']:.3f}",
                    f"{figures['sparsification_oracle']:.3f}",
                ]
            )
    return markdown_table(["test set", "Spearman, expected and true error", "sparsification area", "oracle"], rows)


def rivals_table(results: Results, rivals: dict[str, dict[str, Any]]) -> str:
    """Every row of the comparison of each camera, ours among them."""
    header = ["camera", "method", "reads from the capture", "8 bit, dB / SSIM", "16 bit, dB", "clipped", "unclipped"]
    header += ["known gains", "light", "parameters", "camera B/MP", "camera FLOP/px", "steps (minutes)"]
    rows = []
    for camera, document in rivals.items():
        for row in sorted(document["rows"], key=lambda row: not row["blind"]):
            eight, sixteen = row["bits"]["8"], row["bits"].get("16")
            rows.append(
                [
                    camera,
                    row["name"],
                    "nothing" if row["blind"] else "its RAW or light",
                    _psnr_ssim(eight),
                    f"{sixteen['psnr']:.2f}" if sixteen else "",
                    *(f"{eight[k]:.2f}" for k in ("psnr_clipped", "psnr_unclipped", "psnr_known_gains")),
                    f"{eight['light_error']:.1f}°",
                    f"{row['parameters']:,}",
                    f"{row['metadata_bytes_per_megapixel']:,.0f}",
                    f"{row['camera_flops_per_pixel']:,.0f}",
                    _training(row["training"]),
                ]
            )
        ours = results[camera]
        for stage, label, reads in (("reconstructed", "", "nothing"), ("hinted", ", hinted", "EXIF gains")):
            eight = ours[stage]
            deep = ours["16_bits_hinted" if stage == "hinted" else "16_bits"]
            figures = [f"{eight[k]:.2f}" for k in ("psnr_clipped", "psnr_unclipped", "psnr_known_gains")]
            title = f"**PriorRAW Edge{label}**"
            row = [camera, title, reads, _psnr_ssim(eight), f"{deep['psnr']:.2f}", *figures]
            rows.append([*row, f"{eight['light_error']:.1f}°", f"{ours['parameters']:,}", "0", "0", "shared"])
    return markdown_table(header, rows)


def _training(training: dict[str, Any] | None) -> str:
    return f"{training['steps']:,} ({training['minutes']:.0f})" if training else ""


def _psnr_ssim(figures: dict[str, float]) -> str:
    return f"{figures['psnr']:.2f} / {figures['ssim']:.4f}"


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fill(page: Path, tables: dict[str, Callable[[], str]]) -> None:
    """Put each table between `<!-- NAME -->` and `<!-- end of NAME -->` of the page, for the names that it has.

    Raises:
        InputError: the page has none of the markers.
    """
    text, found = page.read_text(), False
    for name, table in tables.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if start in text and end in text:
            found = True
            head, rest = text.split(start, 1)
            text = f"{head}{start}\n{table()}\n{end}{rest.split(end, 1)[1]}"
    if not found:
        raise InputError(f"{page}: has no markers like <!-- blind --> and <!-- end of blind -->; add them")
    with atomic_file(page) as temporary:
        temporary.write_text(text)


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("benchmarks", type=click.Path(path_type=Path))
@click.argument("pages", type=click.Path(path_type=Path), nargs=-1)
def main(results: Path, benchmarks: Path, pages: tuple[Path, ...]) -> None:
    """Fill the tables of PAGES from RESULTS and the rivals-CAMERA.json of the folder BENCHMARKS."""
    measured = read_json(results)
    rivals = {c: read_json(p) for c in measured if (p := benchmarks / f"rivals-{c}.json").is_file()}
    tables: dict[str, Callable[[], str]] = {
        "blind": lambda: columns_table(measured, BLIND),
        "hinted": lambda: columns_table(measured, HINTED),
        "inputs": lambda: inputs_table(measured),
        "parts": lambda: parts_table(measured),
        "reliability": lambda: reliability_table(measured),
        "rivals": lambda: rivals_table(measured, rivals),
    }
    for page in pages:
        fill(page, tables)


if __name__ == "__main__":
    main()
