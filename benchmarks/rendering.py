"""python -m benchmarks.rendering FILE...: how far a camera's own JPEG is undone, by our ISP's inverse and by its own.

Each camera file is paired with its JPEG; curve and matrix are fitted on one half of the picture and tried on the other,
the as-shot white balance known. Prints the rows of a table of docs/cameras.md: PSNR in dB on linear raw-RGB.
"""

from pathlib import Path

import click
import numpy as np
from priorraw import isp
from priorraw.camera_jpeg import rendered_by_camera
from priorraw.metrics import psnr
from priorraw.raw_io import read_camera_file
from priorraw.rendering import fit, samples_of
from priorraw.results import markdown_table

from benchmarks.calls import main

SIDE = 512


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def command(files: tuple[Path, ...]) -> None:
    """Print a row for each of FILES, camera files with a JPEG beside or inside."""
    head = ["file", "taken for our ISP", "its own rendering, of the other half"]
    click.echo(markdown_table(head, [[path.name, *(f"{value:.1f}" for value in halves(path))] for path in files]))


def halves(path: Path) -> tuple[float, float]:
    """PSNR by our ISP's inverse and by the camera's, mean of the two halves."""
    shot = read_camera_file(path)
    pair = rendered_by_camera(path, shot, SIDE)
    middle = pair.raw.shape[1] // 2
    parts = [np.s_[:, :middle], np.s_[:, middle:]]
    gains = isp.gains_from_illuminant(shot.illuminant)
    ours, own = [], []
    for seen, tried in (parts, parts[::-1]):
        fitted = fit([samples_of(pair.srgb[seen], pair.raw[seen], shot.illuminant)], shot.color_matrix)
        srgb, raw = isp.dequantise(pair.srgb[tried]), pair.raw[tried]
        every = np.ones(raw.shape[:2], bool)
        ours.append(psnr(isp.unrender(srgb, gains, shot.color_matrix), raw, every))
        own.append(psnr(fitted.unrender(srgb, gains), raw, every))
    return float(np.mean(ours)), float(np.mean(own))


if __name__ == "__main__":
    main(command, "rendering")
