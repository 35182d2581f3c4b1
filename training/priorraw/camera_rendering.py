"""A camera's rendering from its own files: each with the JPEG that the camera made of it, beside it or inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from priorraw.camera_jpeg import rendered_by_camera
from priorraw.errors import InputError
from priorraw.files import visible
from priorraw.progress import say, track
from priorraw.raw_io import EXTENSIONS, read_camera_file
from priorraw.rendering import Rendering, Samples, fit, leave_one_out, samples_of

SIDE = 512  # pixels of a JPEG's long side that are looked at
LEAST_SHOTS = 2


@dataclass(frozen=True)
class RenderingScore:
    """A camera's JPEG undone to raw-RGB, its white balance known; PSNR in dB."""

    name: str
    ours: float  # by the inverse of our ISP
    fitted: float  # by the rendering that was fitted on the other files


def rendering_of_raws(
    raws: Sequence[Path], color_matrix: np.ndarray, *, skip_bad: bool = False
) -> tuple[Rendering, list[RenderingScore], list[str]]:
    """What fits the files best, what it reaches on each from the others, and a line for each that was left out.

    Args:
        raws: folders of camera files, or files, of one camera; one is in memory at a time.
        color_matrix: (3, 3) XYZ (D65) to camera.

    Raises:
        InputError: a file has no JPEG that fits it (left out with `skip_bad`), or fewer than two have one.
    """
    files = [file for path in raws for file in (visible(path, *EXTENSIONS) if path.is_dir() else [path])]
    shots: list[Samples] = []
    scores: list[tuple[str, float]] = []
    skipped: list[str] = []
    for path in track(files, "camera JPEGs"):
        try:
            shot = read_camera_file(path, color_matrix)
            pair = rendered_by_camera(path, shot, SIDE)
            shots.append(samples_of(pair.srgb, pair.raw, shot.illuminant))
        except InputError as error:
            if not skip_bad:
                raise
            say(f"skipped: {error}")
            skipped.append(str(error))
            continue
        scores.append((path.stem, pair.facts["closed_form_psnr"]))
    if len(shots) < LEAST_SHOTS:
        raise InputError(f"{raws[0]}: {len(shots)} camera JPEG is too few; --srgb camera takes {LEAST_SHOTS}, better 5")
    fitted = leave_one_out(shots, color_matrix)
    found = [RenderingScore(name, ours, value) for (name, ours), value in zip(scores, fitted, strict=True)]
    return fit(shots, color_matrix), found, skipped
