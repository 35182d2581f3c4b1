"""The table of measured results: docs/results.json to the Markdown in README.md, between its two markers.

python -m priorraw.results docs/results.json README.md
"""

from pathlib import Path
from typing import Any

import click

from priorraw.errors import InputError
from priorraw.files import atomic_file, read_json

START, END = "<!-- results: python -m priorraw.results -->", "<!-- end of results -->"
COLUMNS = {
    "mean-light": "closed form, mean light",
    "without_prior": "same network, no prior",
    "shared": "**PriorRAW Edge**",
    "model_per_camera": "one model a camera",
    "inferred-light": "closed form, our light",
    "assembled": "bank alone (half size)",
    "true-light": "closed form, true light (bound)",
}


def results_table(results: dict[str, Any]) -> str:
    """PSNR dB / SSIM of every column, and the light's error in degrees, a row per camera."""
    columns = [c for c in COLUMNS if any(c in row for row in results.values())]
    lines = [
        "| camera (test pictures) | " + " | ".join(COLUMNS[c] for c in columns) + " | light, ours / mean |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for camera, row in results.items():
        cells = [f"{row[c]['psnr']:.2f} / {row[c]['ssim']:.4f}" if c in row else "not trained" for c in columns]
        lights = f"{row['shared']['light_error']:.1f}° / {row['mean-light']['light_error']:.1f}°"
        lines.append(f"| {camera} ({row['pictures']}) | " + " | ".join(cells) + f" | {lights} |")
    return "\n".join(lines)


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("pages", type=click.Path(path_type=Path), nargs=-1)
def main(results: Path, pages: tuple[Path, ...]) -> None:
    """Put the table of RESULTS between the markers of each of PAGES."""
    table = results_table(read_json(results))
    for page in pages:
        text = page.read_text()
        if START not in text or END not in text:
            raise InputError(f"{page}: lacks the markers {START} and {END}")
        head, rest = text.split(START, 1)
        with atomic_file(page) as temporary:
            temporary.write_text(f"{head}{START}\n{table}\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main()
