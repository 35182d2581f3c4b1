"""The picture of docs/bit-depth.md: a smooth gradient in 4 bits, what comes back, and how even its steps are.

python -m benchmarks.bit_depth.figure docs/images/bit-depth.png
"""

from pathlib import Path

import click
import cv2
import numpy as np
from priorraw.assets import load_assets
from priorraw.bit_depth import TASK, Depths
from priorraw.dataset import write_png

HEIGHT, WIDTH = 384, 512


def sky() -> np.ndarray:
    """(H, W, 3) uint8: a smooth gradient as of a clear sky, each channel with a slope of its own, and a soft glow."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64) / [[[HEIGHT]], [[WIDTH]]]
    glow = np.exp(-((x - 0.7) ** 2 + (y - 0.8) ** 2) / 0.15)
    planes = [60 + 90 * y + 70 * glow, 100 + 80 * y + 40 * glow, 190 + 30 * y - 20 * glow]
    return np.rint(np.stack(planes, -1)).astype(np.uint8)


def banding(picture: np.ndarray, true: np.ndarray) -> float:
    """Mean absolute error (grey levels) of the 5x5 means: what the eye sees as contours, noise left out."""
    means = (cv2.blur(part.astype(np.float32), (5, 5)) for part in (picture, true))
    return float(np.abs(np.subtract(*means)).mean())


def largest_step(picture: np.ndarray) -> float:
    """From row to row, of the 5x5 means, in grey levels."""
    return float(np.abs(np.diff(cv2.blur(picture.astype(np.float32), (5, 5)), axis=0)).max())


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
def main(out: Path) -> None:
    """Write OUT: low, recovered, true, side by side; below them, contrast around a patch four times as strong."""
    depths = Depths()
    true = sky()
    low = depths.lower(true)
    restored = depths.high_codes(load_assets(depths.name, task=TASK)(depths.unit(low))[0])
    pictures = [depths.high_codes(depths.unit(low)), restored, true]
    rows = [np.concatenate(pictures, 1)]
    patches = [picture[130:258, 120:290].astype(np.float32) for picture in pictures]
    strong = [np.clip((patch - patches[2].mean((0, 1))) * 4 + 128, 0, 255).astype(np.uint8) for patch in patches]
    rows.append(np.concatenate([cv2.resize(p, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST) for p in strong], 1))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_png(out, np.concatenate(rows, 0)[::2, ::2])
    for name, picture in zip(("low", "recovered", "true"), pictures, strict=True):
        levels = len(np.unique(picture[..., 0]))
        off, step = banding(picture, true), largest_step(picture)
        click.echo(f"{name}: {levels} levels in red; 5x5 means {off:.2f} grey levels off, largest step {step:.1f}")


if __name__ == "__main__":
    main()
