"""Camera files (CR2, NEF, ARW, DNG ...) to linear, demosaiced raw-RGB, through LibRaw."""

import io
import logging
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from priorraw import cameras, isp
from priorraw.errors import InputError, reason
from priorraw.files import refuse_special
from priorraw.raw_decoder import Mosaic, mosaic_apart

# What a folder of camera files is searched for. A file that is named itself may end as it likes.
EXTENSIONS = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw"  # noqa: SIM905
    " .orf .pef .raf .rw2 .sr2 .srf .srw".split()
)
# DNG tags, and the value of CalibrationIlluminant that means D65 (EXIF LightSource).
COLOR_MATRIX_1, COLOR_MATRIX_2, ILLUMINANT_1, D65 = 50721, 50722, 50778, 21
MAKE, MODEL = 271, 272

# tifffile also logs the faults that end in our own one line.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class CameraFile:
    """One shot, in the sensor's orientation: rotation noted in the file is not applied."""

    raw: np.ndarray  # (H, W, 3) float32 linear raw-RGB in [0, 1], bilinear demosaic or 2x2 bins
    illuminant: np.ndarray  # (3,) float64, response to white as the camera judged it, green = 1
    color_matrix: np.ndarray  # (3, 3) float64, XYZ (D65) to camera
    camera: str  # make and model, such as canon-eos-30d
    black: list[float]  # counts, of LibRaw's four colours R, G, B, second G
    white: float  # counts


def read_camera_file(
    path: Path,
    color_matrix: np.ndarray | None = None,
    *,
    binned: bool = False,
    decode: Callable[[Path], Mosaic] = mosaic_apart,
) -> CameraFile:
    """Read a camera file: levels, demosaic, as-shot white balance and colour matrix.

    With `binned`, each 2x2 block of the mosaic becomes one pixel, the two greens averaged: half the size, nothing
    interpolated, an eighth of the memory.

    The illuminant is the inverse of the as-shot gains (DNG: AsShotNeutral itself). The matrix is
    `color_matrix` if given, else LibRaw's for the camera, else the file's own DNG ColorMatrix, else the known
    camera's.

    Raises:
        InputError: the file is missing, damaged, cut short, no camera file, not from a Bayer sensor, or tells
            no white balance or colour matrix.
    """
    tags = _tags(path)
    camera = _camera_name(tags)
    decoded = decode(path)
    counts, black, white, gains = decoded.counts, decoded.black, decoded.white, decoded.gains
    xyz_to_camera, pattern = decoded.xyz_to_camera, decoded.pattern
    if sorted(pattern) != sorted("RGGB"):
        raise InputError(f"{path}: has the colour filters {pattern}; only red, green and blue are read")
    if not (np.isfinite(gains).all() and (gains > 0).all()):
        raise InputError(f"{path}: carries no as-shot white balance; leave it out")
    if not max(black) < white:
        raise InputError(f"{path}: black level {max(black):g} is not below white level {white:g}; leave it out")
    if color_matrix is not None:
        xyz_to_camera = color_matrix
    elif not abs(np.linalg.det(xyz_to_camera)) > 1e-6:  # LibRaw leaves zeros for a camera that it does not know
        xyz_to_camera = _dng_matrix(path, tags, camera)
    levels = np.array(black, np.float32)[decoded.colors]
    if binned:
        return CameraFile(_bin(counts, pattern, levels, white), gains[1] / gains, xyz_to_camera, camera, black, white)
    H, W = counts.shape
    black_plane = np.tile(levels, (H // 2 + 1, W // 2 + 1))[:H, :W]
    raw = isp.demosaic(isp.normalise_levels(counts, black_plane, white), pattern)
    return CameraFile(raw, gains[1] / gains, xyz_to_camera, camera, black, white)


def _bin(counts: np.ndarray, pattern: str, levels: np.ndarray, white: float) -> np.ndarray:
    """Mosaic (H, W) and the (2, 2) black levels of its block to (H // 2, W // 2, 3): a pixel for each whole block."""
    H, W = (side // 2 * 2 for side in counts.shape)
    raw = np.zeros((H // 2, W // 2, 3), np.float32)
    for i, letter in enumerate(pattern):
        y, x = divmod(i, 2)
        plane = isp.normalise_levels(counts[y:H:2, x:W:2], levels[y, x], white)
        raw[..., "RGB".index(letter)] += plane / 2 if letter == "G" else plane
    return raw


def _tags(path: Path) -> dict[int, Any]:
    """Tags of the file's main directory.

    Camera formats are TIFF, at times under another magic number (Olympus, Panasonic) or inside a wrapper
    (Fuji, Canon CR3); Exif of a wrapped file is a TIFF too.

    Raises:
        InputError: the file is missing, empty, or shorter than its own directories say. LibRaw notices the
            last only at times, and then fills up with zeros.
    """
    import tifffile

    refuse_special(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if not data:
        raise InputError(f"{path}: is empty")
    match = re.search(rb"II\*\0|MM\0\*|IIRO|IIRS|MMOR|IIU\0", data[: 1 << 20])
    if match is None:
        return {}
    at = match.start()
    magic = b"II*\0" if data[at : at + 2] == b"II" else b"MM\0*"
    try:
        with tifffile.TiffFile(io.BytesIO(magic + data[at + 4 :])) as tiff:
            pages = [page for top in tiff.pages for page in (top, *(top.pages or ()))]
            tags = {tag.code: tag.value for page in reversed(pages) for tag in page.tags}
            ends = [
                offset + count
                for page in pages
                for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
            ]
    except (tifffile.TiffFileError, struct.error, ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged or no camera file ({reason(error)}); leave it out") from None
    if at == 0 and max(ends, default=0) > len(data):
        raise InputError(f"{path}: is cut short ({len(data)} of at least {max(ends)} bytes); copy it again")
    return tags


def _camera_name(tags: dict[int, Any]) -> str:
    """The camera as `cameras.camera_id`; `unknown` if the file does not say."""
    make, model = (str(tags.get(code, "")).strip() for code in (MAKE, MODEL))
    return cameras.camera_id(make, model) or "unknown"


def _dng_matrix(path: Path, tags: dict[int, Any], camera: str) -> np.ndarray:
    """(3, 3) XYZ to camera from the DNG tag made under D65 if there are two, else from the known cameras."""
    first = np.array_equal(tags.get(ILLUMINANT_1, 0), D65) or COLOR_MATRIX_2 not in tags
    value = tags.get(COLOR_MATRIX_1 if first else COLOR_MATRIX_2, ())
    # Nine fractions; a damaged tag may hold anything.
    if isinstance(value, tuple) and len(value) == 18 and all(isinstance(v, int) for v in value) and all(value[1::2]):
        matrix = (np.array(value[::2]) / np.array(value[1::2])).reshape(3, 3)
        if abs(np.linalg.det(matrix)) > 1e-6:
            return matrix
    if camera in cameras.COLOR_MATRICES:
        return cameras.color_matrix(camera)
    raise InputError(f"{path}: no colour matrix is known for {camera}; pass --color-matrix")
