"""The result as a table for people."""

from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {
    "PSNR dB": ("psnr", ".2f"),
    "SSIM": ("ssim", ".4f"),
    "clipped": ("psnr_clipped", ".2f"),
    "unclipped": ("psnr_unclipped", ".2f"),
    "light °": ("light_error", ".2f"),
    "gains known": ("psnr_known_gains", ".2f"),
}
COSTS = {"parameters": "parameters", "bytes/MP": "metadata_bytes_per_megapixel", "FLOP/px": "camera_flops_per_pixel"}


def table(document: dict[str, Any]) -> Table:
    """A line a row; with 16 bits measured too, its PSNR beside that of 8 bits."""
    bits = [str(b) for b in document["bits"]]
    first = bits[0]
    made = Table(
        title=f"{document['camera']} {document['split']}, {first}-bit sRGB, {document['budget']} a learned row"
    )
    made.add_column("row")
    other = [f"{b}-bit dB" for b in bits[1:]]
    for title in [*COLUMNS, *other, *COSTS, "bytes/picture", "steps"]:
        made.add_column(title, justify="right")
    for row in document["rows"]:
        figures = row["bits"].get(first) or {}
        cells = [_cell(figures.get(key), form) for key, form in COLUMNS.values()]
        cells += [_cell((row["bits"].get(b) or {}).get("psnr"), ".2f") for b in bits[1:]]
        cells += [_cell(row[key], ",.0f") for key in COSTS.values()]
        cells.append(_cell(figures.get("metadata_bytes_per_picture"), ",.0f"))
        made.add_row(row["name"], *cells, str(row["training"]["steps"]) if row["training"] else "")
    return made


def show(document: dict[str, Any]) -> None:
    """Print the table; a terminal that is too narrow wraps cells, a file gets whole lines."""
    console = Console()
    (console if console.is_terminal else Console(width=180)).print(table(document))


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
