"""The report of `evaluate`: figures of every picture of a split."""

from pathlib import Path
from typing import Any

from priorraw_edge.report.page import Page, heading, paragraph, plot, table
from priorraw_edge.report.plots import scatter, sorted_curves

COLUMNS = {
    "psnr": "PSNR dB",
    "ssim": "SSIM",
    "psnr_clipped": "clipped dB",
    "psnr_unclipped": "unclipped dB",
    "psnr_known_gains": "known gains dB",
    "light_error": "light °",
}
Table = tuple[list[str], list[list[str]]]


def title_of(result: dict[str, Any]) -> str:
    """What was measured, with all that makes it another column than the blind one on the stored pictures."""
    given = result["input"]
    parts = [f"{result['camera']} {result['split']}", result["stage"]]
    parts += ["with the true light as a hint"] * result["hint"]
    parts += [f"{given['bits']}-bit sRGB"] * bool(given["bits"])
    parts += [f"JPEG {given['jpeg']} {given['subsampling']}"] * bool(given["jpeg"])
    return ", ".join(parts)


def evaluation_rows(result: dict[str, Any]) -> Table:
    """A line for each picture, and one of the means last."""

    def cells(figures: dict[str, Any]) -> list[str]:
        return ["" if figures[c] is None else f"{figures[c]:.{4 if c == 'ssim' else 2}f}" for c in COLUMNS]

    rows = [[image["name"], *cells(image)] for image in result["images"]]
    return ["picture", *COLUMNS.values()], [*rows, [f"mean of {len(rows)}", *cells(result)]]


def evaluation_lines(result: dict[str, Any]) -> list[str]:
    """What stands below the table."""
    lines = [f"median: {result['psnr_median']:.2f} dB, light {result['light_error_median']:.2f}°"]
    if result["sparsification"] is not None:
        areas = (result["sparsification"], result["sparsification_oracle"])
        lines.append("error left when the least reliable go: {:.3f}; at best {:.3f}, by chance 1".format(*areas))
    return [*lines, f"worst: {', '.join(result['worst'])}"]


def write_evaluation(result: dict[str, Any], path: Path) -> None:
    """Write the page of `priorraw.evaluate.evaluate`'s result."""
    page = Page(
        f"Evaluation: {title_of(result)}",
        f"{len(result['images'])} pictures: {result['psnr']:.2f} dB, SSIM {result['ssim']:.4f}. PSNR and SSIM on "
        "linear raw-RGB in [0, 1], data range 1, each picture by itself, then the mean; masked pixels left out.",
        "priorraw-edge evaluate",
    )
    images = result["images"]
    curves = {"all pixels": "psnr", "unclipped pixels": "psnr_unclipped", "if the gains were known": "psnr_known_gains"}
    known = {name: [i[key] for i in images if i[key] is not None] for name, key in curves.items()}
    page.add(
        plot(
            sorted_curves({name: values for name, values in known.items() if values}, "PSNR, dB"),
            "PSNR of the pictures",
            "From the worst picture to the best.",
        )
    )
    lit = [i for i in images if i["light_error"] is not None]
    if lit:
        page.add(
            plot(
                scatter([i["light_error"] for i in lit], [i["psnr"] for i in lit], "light error, degrees", "PSNR, dB"),
                "PSNR and light",
                "Blind, most of what is lost is the light.",
            )
        )
    header, rows = evaluation_rows(result)
    page.add(heading("Pictures"), table(header, rows, ours=len(rows) - 1))
    page.add(*(paragraph(line) for line in evaluation_lines(result)))
    page.write(path)
