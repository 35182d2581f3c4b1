"""Fill in the tables of docs/bit-depth.md from the measured rows.

python -m benchmarks.bit_depth.page benchmarks/results/bit-depth.json docs/bit-depth.md

bit-depth-curve.json, which `benchmarks.bit_depth.curve` measures, lies beside the results.
"""

from pathlib import Path
from typing import Any

import click
from priorraw.files import atomic_file, read_json

PAPER = {  # as the paper gives them, on the same 24 pictures; trained on MIT-Adobe FiveK and Sintel
    "CA": (34.74, 0.9317),
    "ACDC": (34.68, 0.9152),
    "IPAD": (34.91, 0.9345),
    "BitNet": (38.48, 0.9657),
    "BE-CALF": (38.94, 0.9680),
    "Nam et al.": (39.57, 0.9719),
    "Nam et al., fine-tuned": (39.73, 0.9721),
    "PriorRAW (the paper)": (39.79, 0.9732),
}
OURS = "PriorRAW Edge"


def methods(rows: dict[str, Any]) -> str:
    """All methods, measured here and reported by the paper."""
    lines = ["| method | PSNR dB | SSIM | |", "|---|---|---|---|"]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["psnr"]):
        about = row["about"] + (f", {row['parameters']:,} parameters" if "parameters" in row else "")
        about += f", {row['steps']:,} steps" if "steps" in row else ""
        title = f"**{name}**" if name == OURS else name
        lines.append(f"| {title} | {row['psnr']:.2f} | {row['ssim']:.4f} | {about} |")
    lines += [f"| {name} | {psnr} | {ssim:.4f} | the paper's figure |" for name, (psnr, ssim) in PAPER.items()]
    return "\n".join(lines)


def pictures(row: dict[str, Any]) -> str:
    """Ours, picture by picture."""
    cells = [f"{name} | {psnr:.2f} / {ssim:.4f}" for name, (psnr, ssim) in row["images"].items()]
    lines = ["| picture | dB / SSIM | picture | dB / SSIM | picture | dB / SSIM |", "|---|---|---|---|---|---|"]
    third = -(-len(cells) // 3)
    lines += ["| " + " | ".join(cells[i::third]) + " |" for i in range(third)]
    return "\n".join(lines)


def curve(document: dict[str, Any]) -> str:
    """What the same training reaches on more pictures."""
    lines = ["| pictures | megapixels | passes over them | PSNR dB | SSIM |", "|---|---|---|---|---|"]
    for row in document["rows"]:
        passes = document["megapixels_seen"] / row["megapixels"]
        lines.append(
            f"| {row['pictures']} | {row['megapixels']:.1f} | {passes:.1f} | {row['psnr']:.2f} | {row['ssim']:.4f} |"
        )
    return "\n".join(lines)


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("page", type=click.Path(path_type=Path))
def main(results: Path, page: Path) -> None:
    """Replace what stands between the markers of PAGE."""
    rows = read_json(results)["rows"]
    learnt = read_json(results.with_name("bit-depth-curve.json"))
    text = page.read_text()
    for marker, table in (("methods", methods(rows)), ("pictures", pictures(rows[OURS])), ("curve", curve(learnt))):
        head, rest = text.split(f"<!-- {marker} -->\n")
        tail = rest.split(f"<!-- end of {marker} -->")[1]
        text = f"{head}<!-- {marker} -->\n{table}\n<!-- end of {marker} -->{tail}"
    with atomic_file(page) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    main()
