"""Linear DNG (Adobe DNG 1.4): three 16-bit channels a pixel, the sensor's own colour space, no mosaic.

Layout chosen by what readers develop correctly, not by what the format allows: lossless JPEG in 256x256 tiles
(about a third smaller), or uncompressed strips where the picture is narrower than a tile, since LibRaw 0.21
garbles such tiles. Nothing in the file depends on the time or the machine: same picture, same bytes.

LibRaw stretches a RAW whose brightest value lies between 75 and 100 % of the white level to white, unless told
not to (rawpy: `adjust_maximum_thr=0`); compare renderings with that switched off.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from priorraw.errors import InputError
from priorraw.files import atomic_file

from priorraw_edge.runtime.writers import SOFTWARE, fill, overwrite_tag, write_empty_tiff

MAKE = "PriorRAW"  # not the camera's maker: readers apply what they know of its own files, crops for instance
WHITE_LEVEL = 65_535
TILE = 256
MIN_SIDE = 22  # LibRaw opens no smaller RAW
LINEAR_RAW = 34892  # PhotometricInterpretation
AS_SHOT_NEUTRAL = 50728
ENCODERS = 2  # threads that encode tiles while the next ones are computed
D65 = 21  # CalibrationIlluminant1, EXIF LightSource

ASCII, BYTE, SHORT, LONG, RATIONAL, SRATIONAL = 2, 1, 3, 4, 5, 10  # TIFF 6.0 types


@dataclass(frozen=True)
class DngInfo:
    """What an independent reader (LibRaw) finds in a DNG."""

    height: int
    width: int
    black_level: int
    white_level: int
    neutral: np.ndarray  # (3,) AsShotNeutral, largest 1


def write_dng(path: Path, raw: np.ndarray, color_matrix: np.ndarray, as_shot_neutral: np.ndarray, camera: str) -> None:
    """Write a linear DNG, whole or not at all.

    Args:
        raw: (H, W, 3) uint16 linear raw-RGB, 65535 = white level, upright (Orientation is written as 1).
        color_matrix: (3, 3) XYZ (D65) to camera; tag ColorMatrix1 with CalibrationIlluminant1 = D65.
        as_shot_neutral: (3,) the sensor's response to white, each in (0, 1]; tag AsShotNeutral.
        camera: name for the tags Model and UniqueCameraModel.

    Raises:
        InputError: a side is under 22 pixels, which RAW readers refuse; or `path` is a folder.
        ValueError: wrong type, shape or range.
    """
    check_dng_size(path, *raw.shape[:2])
    if raw.dtype != np.uint16 or raw.ndim != 3 or raw.shape[2] != 3:
        raise ValueError(f"raw is {raw.dtype} {raw.shape}; a DNG takes uint16 (H, W, 3)")
    neutral = np.asarray(as_shot_neutral, np.float64)
    if neutral.shape != (3,) or not ((neutral > 0) & (neutral <= 1)).all():
        raise ValueError(f"AsShotNeutral {neutral} lies outside (0, 1]")

    with atomic_file(path) as temporary:
        write_dng_rows(temporary, iter([raw]), raw.shape[0], raw.shape[1], color_matrix, camera)
        write_neutral(temporary, neutral)


def write_dng_rows(
    path: Path, rows: Iterator[np.ndarray], height: int, width: int, color_matrix: np.ndarray, camera: str
) -> None:
    """Write a DNG to a temporary `path` as its rows (n, W, 3) uint16 come; `write_neutral` has to follow."""
    import tifffile

    tags = _tags(color_matrix, np.ones(3), camera)
    options: dict[str, Any] = {"byteorder": "<", "photometric": LINEAR_RAW, "planarconfig": "contig"}
    if width < TILE:
        fill(path, write_empty_tiff(path, height, width, extratags=tags, **options), rows)
        return
    tifffile.imwrite(
        path,
        _tiles(rows, height, width),
        shape=(height, width, 3),
        dtype=np.uint16,
        tile=(TILE, TILE),
        compression="jpeg",
        compressionargs={"lossless": True, "bitspersample": 16},
        metadata=None,
        software=SOFTWARE,
        extratags=tags,
        maxworkers=ENCODERS,
        buffersize=-(-width // TILE) * TILE * TILE * 6,  # a row of tiles, before they are encoded
        **options,
    )


def write_neutral(path: Path, as_shot_neutral: np.ndarray) -> None:
    """Put AsShotNeutral, which is known last, into a DNG that `write_dng_rows` wrote."""
    overwrite_tag(path, AS_SHOT_NEUTRAL, struct.pack("<6I", *_response(as_shot_neutral)))


def _tiles(rows: Iterator[np.ndarray], height: int, width: int) -> Iterator[np.ndarray]:
    """Tiles (256, 256, 3) in reading order, padded with zeros."""
    across = -(-width // TILE)
    block = np.zeros((TILE, across * TILE, 3), np.uint16)
    at, done = 0, 0
    for part in rows:
        while len(part):
            n = min(TILE - at, len(part))
            block[at : at + n, :width] = part[:n]
            at, done, part = at + n, done + n, part[n:]
            if at == TILE or done == height:
                block[at:] = 0
                yield from (block[:, x : x + TILE].copy() for x in range(0, across * TILE, TILE))
                at = 0


def check_dng_size(path: Path, height: int, width: int) -> None:
    """Refuse what no RAW reader opens, before any work is done for it."""
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{path}: {width}x{height} is too small for a DNG (RAW readers take {MIN_SIDE} pixels a side or "
            "more); write --format tiff or npy"
        )


def _tags(color_matrix: np.ndarray, neutral: np.ndarray, camera: str) -> list[tuple]:
    """Extra tags as tifffile takes them: (code, type, count, value, write once)."""
    matrix = [n for value in np.ravel(color_matrix) for n in (round(float(value) * 10_000), 10_000)]
    return [
        (271, ASCII, 0, MAKE, True),
        (272, ASCII, 0, camera, True),
        (274, SHORT, 1, 1, True),  # Orientation
        (50706, BYTE, 4, (1, 4, 0, 0), True),  # DNGVersion
        (50707, BYTE, 4, (1, 1, 0, 0), True),  # DNGBackwardVersion: LinearRaw in lossless JPEG needs no more
        (50708, ASCII, 0, f"{MAKE} {camera}", True),  # UniqueCameraModel
        (50713, SHORT, 2, (1, 1), True),  # BlackLevelRepeatDim
        (50714, SHORT, 3, (0, 0, 0), True),  # BlackLevel
        (50717, LONG, 3, (WHITE_LEVEL,) * 3, True),  # WhiteLevel
        (50721, SRATIONAL, 9, matrix, True),  # ColorMatrix1
        (AS_SHOT_NEUTRAL, RATIONAL, 3, _response(neutral), True),  # AsShotNeutral
        (50778, SHORT, 1, D65, True),  # CalibrationIlluminant1
    ]


def _response(neutral: np.ndarray) -> list[int]:
    return [n for value in neutral for n in (max(1, round(float(value) * 1_000_000)), 1_000_000)]


def check_dng(path: Path) -> DngInfo:
    """Open a DNG with LibRaw and say what it finds.

    Raises:
        InputError: LibRaw does not open it.
    """
    import rawpy

    if not path.is_file():
        raise InputError(f"{path}: not found; name a DNG file")
    try:
        with rawpy.imread(str(path)) as file:
            response = 1 / np.array(file.camera_whitebalance[:3], np.float64)
            return DngInfo(
                height=file.sizes.height,
                width=file.sizes.width,
                black_level=int(file.black_level_per_channel[0]),
                white_level=int(file.white_level),
                neutral=response / response.max(),
            )
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise InputError(f"{path}: LibRaw does not open it ({reason}); write it again") from None
