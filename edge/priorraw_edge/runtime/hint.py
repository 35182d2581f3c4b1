"""The light as a hint: white-balance gains that the camera wrote into the picture's own EXIF, or that the user gives.

Gains are the sensor's own, so they say the light only for the sensor that they were taken with.
"""

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from priorraw.errors import InputError

from priorraw_edge.runtime.decode import DECODER_ERRORS
from priorraw_edge.runtime.exif import EXIF_IFD, MAKE, MAKER_NOTE, MODEL, metadata_blocks
from priorraw_edge.runtime.ifd import Block
from priorraw_edge.runtime.makernotes import maker_gains

AS_SHOT_NEUTRAL = 50728
WIDEST = 100  # gains further apart than this are no light's


@dataclass(frozen=True)
class Hint:
    """White-balance gains of a picture."""

    gains: np.ndarray  # (3,) float64, R G B, green 1
    source: str  # where they come from: tag and camera, or the command line
    camera: str | None = None  # make and model that the file names

    @property
    def neutral(self) -> np.ndarray:
        """(3,) the sensor's response to white, largest 1: DNG's AsShotNeutral."""
        return self.gains.min() / self.gains

    def is_of(self, camera: str) -> bool:
        """Whether the file's camera is `camera`, a name like sony-slt-a57."""
        slug = re.sub(r"[^a-z0-9]+", "-", (self.camera or "").lower()).strip("-")
        model = slug.split("-", 1)[-1]  # makers name themselves in more ways than one
        return bool(slug) and (camera == slug or camera.endswith(f"-{model}"))


def parse_hint(text: str) -> Hint:
    """R,G,B white-balance gains as the user writes them.

    Raises:
        InputError: not three positive numbers, or further apart than any light makes them.
    """
    try:
        gains = np.array([float(part) for part in text.split(",")])
    except ValueError:
        gains = np.empty(0)
    if not plausible(gains):
        raise InputError(f"--hint {text}: is none of exif, none, or white-balance gains R,G,B (like 2.1,1,1.6)")
    return Hint(gains / gains[1], "given")


def plausible(gains: np.ndarray) -> bool:
    """Whether these are three finite positive gains of some light."""
    return gains.shape == (3,) and bool(np.isfinite(gains).all() and 0 < gains.min() >= gains.max() / WIDEST)


def read_hint(path: Path) -> tuple[Hint | None, str]:
    """The as-shot gains that a JPEG, PNG, TIFF or camera file carries: DNG's AsShotNeutral or a maker's own tag.

    Returns:
        The hint and a line that names the tag; or None and a line that says why there is none. A damaged or
        hostile EXIF block is such a reason, never an error.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with metadata_blocks(path) as (block, _):
            found = _find(block) if block else None
    except DECODER_ERRORS as error:
        return None, f"no hint: EXIF is damaged ({' '.join(str(error).split())[:100] or type(error).__name__})"
    if block is None:
        return None, "no hint: the file carries no EXIF"
    if found is None:
        return None, "no hint: EXIF holds no as-shot white balance that is known here"
    gains, tag, camera = found
    if not plausible(gains):
        return None, f"no hint: {tag} holds no gains of a light ({' '.join(f'{g:g}' for g in gains)})"
    source = f"{tag} of {camera}" if camera else tag
    return Hint(gains / gains[1], source, camera or None), f"hint from {source}"


def _find(data: bytes | mmap.mmap) -> tuple[np.ndarray, str, str] | None:
    """Gains (3,), the tag's name and the camera's."""
    tiff, tags = Block.of_tiff(data)
    make, model = (tiff.text(tags.get(tag)) for tag in (MAKE, MODEL))
    maker = (make.split() or [""])[0]
    camera = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    if AS_SHOT_NEUTRAL in tags:
        with np.errstate(divide="ignore"):
            return 1 / np.array(tiff.values(tags[AS_SHOT_NEUTRAL])), "AsShotNeutral", camera.strip()
    if EXIF_IFD not in tags:
        return None
    exif = tiff.directory(tiff.pointer(tags[EXIF_IFD]))
    found = maker_gains(tiff, exif[MAKER_NOTE], make) if MAKER_NOTE in exif else None
    return (np.array(found[0]), found[1], camera.strip()) if found else None
