"""Photographs from which the ranges of int8 activations are measured."""

from pathlib import Path

import numpy as np
from priorraw.progress import say
from torch import Tensor

from priorraw_edge.export.golden import sample_pictures, synthetic_photograph
from priorraw_edge.export.programs import picture_inputs

ENOUGH = 32  # tiles; below it a range is left to chance
MOST = 128
EXPOSURES = (0.5, 1.0, 1.6)  # of the crops: darker and brighter pictures than the sample


def calibration_inputs(folder: Path | None, tile: int) -> list[dict[str, Tensor]]:
    """`picture_inputs` of at most 128 pictures of a folder; without one, of crops of the shipped samples.

    Fewer than 32 pictures give several crops each, with a warning.

    Raises:
        InputError: the folder holds no picture, or one cannot be read.
    """
    from priorraw_edge.runtime.picture import read_picture
    from priorraw_edge.verify.cases import picture_files

    paths = sample_pictures() if folder is None else picture_files(folder)
    chosen = [paths[int(i)] for i in np.linspace(0, len(paths) - 1, min(len(paths), MOST))] if paths else []
    pictures = [read_picture(path).srgb for path in chosen] or [synthetic_photograph()]
    if folder is not None and len(pictures) < ENOUGH:
        say(f"{folder}: {len(pictures)} pictures, {ENOUGH} or more make better ranges; crops of them fill up")
    crops = [] if len(pictures) >= ENOUGH else _crops(pictures, ENOUGH)
    return [picture_inputs(picture, tile) for picture in [*pictures, *crops]]


def _crops(pictures: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Random crops of a quarter to all of a picture's sides, at three exposures; 8-bit codes as a JPEG has."""
    generator = np.random.default_rng(0)
    crops = []
    for i in range(count):
        picture = pictures[i % len(pictures)]
        H, W = picture.shape[:2]
        h, w = (max(8, int(side * generator.uniform(0.25, 1))) for side in (H, W))
        top, left = generator.integers(0, H - h + 1), generator.integers(0, W - w + 1)
        crop = picture[top : top + h, left : left + w] * EXPOSURES[i % len(EXPOSURES)]
        crops.append((np.rint(np.clip(crop, 0, 1) * 255) / 255).astype(np.float32))
    return crops
