"""DNG (Adobe DNG 1.4) in the sensor's own colour space: linear, three 16-bit channels a pixel, or mosaiced again.

Laid out as cameras' own: a JPEG preview in the first directory, the picture in a directory below it. What readers
develop correctly decides, not what the format allows (docs/dng.md): lossless JPEG in 256x256 tiles (about a third
smaller), or uncompressed strips where the picture is narrower than a tile, since LibRaw (0.22) garbles such tiles.
Nothing in the file depends on the time or the machine: same photograph, same bytes.

LibRaw stretches a RAW whose brightest value lies between 75 and 100 % of the white level to white, unless told
not to (rawpy: `adjust_maximum_thr=0`), a camera's as well as ours; compare renderings with that switched off.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from priorraw import isp
from priorraw.errors import InputError
from priorraw.files import atomic_file

from priorraw_edge.runtime.exif import EXIF_IFD, GPS_IFD, Facts, Tag, directory_bytes
from priorraw_edge.runtime.preview import jpeg_of, preview_of
from priorraw_edge.runtime.source import ArraySource
from priorraw_edge.runtime.writers import SOFTWARE, fill, overwrite_tag

MAKE = "PriorRAW"  # not the camera's maker: readers apply what they know of its own files, crops for instance
WHITE_LEVEL = 65_535
TILE = 256
MIN_SIDE = 22  # LibRaw opens no smaller RAW
LINEAR_RAW, CFA = 34892, 32803  # PhotometricInterpretation
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
SUB_IFDS, AS_SHOT_NEUTRAL = 330, 50728
STAND_IN = {EXIF_IFD: 65_000, GPS_IFD: 65_001}  # private tags in the place of pointers, which tifffile keeps to itself
ENCODERS = 2  # threads that encode tiles while the next ones are computed
D65 = 21  # CalibrationIlluminant1, EXIF LightSource

ASCII, BYTE, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL = 2, 1, 3, 4, 5, 7, 10  # TIFF 6.0 types
EXIF_VERSION: Tag = (36864, UNDEFINED, 4, b"0231")


@dataclass(frozen=True)
class DngHeader:
    """What a DNG holds beside its pixels."""

    camera: str  # whose RAW it is: tags Model and UniqueCameraModel
    color_matrix: np.ndarray  # (3, 3) XYZ (D65) to camera; tag ColorMatrix1 with CalibrationIlluminant1 = D65
    preview: np.ndarray  # (h, w, 3) uint8 sRGB, upright
    cfa: str | None = None  # a Bayer pattern: one channel a pixel; None: all three
    facts: Facts = field(default_factory=Facts)  # of the photograph


@dataclass(frozen=True)
class DngInfo:
    """What an independent reader (LibRaw) finds in a DNG."""

    height: int
    width: int
    black_level: int
    white_level: int
    neutral: np.ndarray  # (3,) AsShotNeutral, largest 1


def write_dng(
    path: Path,
    raw: np.ndarray,
    color_matrix: np.ndarray,
    as_shot_neutral: np.ndarray,
    camera: str,
    cfa: str | None = None,
) -> None:
    """Write a DNG, whole or not at all; its preview is rendered from `raw`.

    Args:
        raw: (H, W, 3) uint16 linear raw-RGB, 65535 = white level, upright (Orientation is written as 1).
        color_matrix: (3, 3) XYZ (D65) to camera.
        as_shot_neutral: (3,) the sensor's response to white, each in (0, 1]; tag AsShotNeutral.
        camera: name for the tags Model and UniqueCameraModel.
        cfa: a Bayer pattern (RGGB, BGGR, GRBG, GBRG) to mosaic with.

    Raises:
        InputError: a side is under 22 pixels, which RAW readers refuse; or `path` is a folder.
        ValueError: wrong type, shape, range or pattern.
    """
    check_dng_size(path, *raw.shape[:2])
    if raw.dtype != np.uint16 or raw.ndim != 3 or raw.shape[2] != 3:
        raise ValueError(f"raw is {raw.dtype} {raw.shape}; a DNG takes uint16 (H, W, 3)")
    neutral = np.asarray(as_shot_neutral, np.float64)
    if neutral.shape != (3,) or not ((neutral > 0) & (neutral <= 1)).all():
        raise ValueError(f"AsShotNeutral {neutral} lies outside (0, 1]")

    header = DngHeader(camera, color_matrix, rendered_preview(isp.dequantise(raw), color_matrix, neutral), cfa)
    with atomic_file(path) as temporary:
        write_dng_rows(temporary, iter([raw]), raw.shape[0], raw.shape[1], header)
        write_neutral(temporary, neutral)


def rendered_preview(raw: np.ndarray, color_matrix: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """A preview (h, w, 3) uint8 of float32 raw-RGB (H, W, 3) in [0, 1], where the photograph is not at hand."""
    small = isp.dequantise(preview_of(ArraySource(np.sqrt(raw)))) ** 2  # the root: 8 bits hold the shadows
    return isp.quantise(isp.render(small, isp.gains_from_illuminant(neutral), color_matrix), 8)


def write_dng_rows(path: Path, rows: Iterator[np.ndarray], height: int, width: int, header: DngHeader) -> None:
    """Write a DNG to a temporary `path` as its rows (n, W, 3) uint16 come; `write_neutral` has to follow."""
    import tifffile

    shape: tuple[int, ...] = (height, width, 3)
    main: dict[str, Any] = {"photometric": LINEAR_RAW, "planarconfig": "contig"}
    if header.cfa:
        shape, main = shape[:2], {"photometric": CFA}
        rows = _mosaic(rows, header.cfa)
    main |= {"shape": shape, "dtype": np.uint16, "subfiletype": 0, "metadata": None, "software": False}
    main["extratags"] = _picture_tags(header.cfa)
    with tifffile.TiffWriter(path, byteorder="<") as file:
        _write_preview(file, header)
        if width < TILE:
            file.write(None, **main)
        else:
            file.write(
                _tiles(rows, height, width),
                tile=(TILE, TILE),
                compression="jpeg",
                compressionargs={"lossless": True, "bitspersample": 16},
                maxworkers=ENCODERS,
                buffersize=-(-width // TILE) * TILE * TILE * 6,  # a row of tiles, before they are encoded
                **main,
            )
    if width < TILE:
        with tifffile.TiffFile(path) as written:
            start = written.pages[0].pages[0].dataoffsets[0]  # type: ignore[index]
        fill(path, start, rows)
    _finish(path, header.facts)


def write_neutral(path: Path, as_shot_neutral: np.ndarray) -> None:
    """Put AsShotNeutral, which is known last, into a DNG that `write_dng_rows` wrote."""
    overwrite_tag(path, AS_SHOT_NEUTRAL, struct.pack("<6I", *_response(as_shot_neutral)))


def _write_preview(file, header: DngHeader) -> None:
    """The first directory: the preview and all that holds for the whole file."""
    height, width = header.preview.shape[:2]
    file.write(
        iter([jpeg_of(header.preview)]),
        shape=(height, width, 3),
        dtype=np.uint8,
        photometric="ycbcr",
        subsampling=(2, 2),
        compression="jpeg",
        rowsperstrip=height,
        subfiletype=1,
        subifds=1,
        metadata=None,
        software=SOFTWARE,
        extratags=_file_tags(header),
    )


def _mosaic(rows: Iterator[np.ndarray], pattern: str) -> Iterator[np.ndarray]:
    """Rows (n, W, 3) to rows (n, W) of the CFA; a part may start on an odd row."""
    y = 0
    for part in rows:
        yield isp.mosaic(part, pattern if y % 2 == 0 else pattern[2:] + pattern[:2])
        y += len(part)


def _tiles(rows: Iterator[np.ndarray], height: int, width: int) -> Iterator[np.ndarray]:
    """Tiles (256, 256) or (256, 256, 3) in reading order, padded with zeros."""
    across = -(-width // TILE)
    block = np.zeros(0, np.uint16)
    at, done = 0, 0
    for part in rows:
        if not block.size:
            block = np.zeros((TILE, across * TILE, *part.shape[2:]), np.uint16)
        while len(part):
            n = min(TILE - at, len(part))
            block[at : at + n, :width] = part[:n]
            at, done, part = at + n, done + n, part[n:]
            if at == TILE or done == height:
                block[at:] = 0
                yield from (block[:, x : x + TILE].copy() for x in range(0, across * TILE, TILE))
                at = 0


def _finish(path: Path, facts: Facts) -> None:
    """Append the EXIF and GPS directories and mend the first directory's entries, which tifffile writes its own way."""
    with path.open("r+b") as file:
        places = {}
        for pointer, tags in ((EXIF_IFD, facts.exif and (EXIF_VERSION, *facts.exif)), (GPS_IFD, facts.gps)):
            if tags:
                end = file.seek(0, 2)
                places[pointer] = end + file.write(bytes(end % 2))
                file.write(directory_bytes(tags, places[pointer]))
        file.seek(4)
        (first,) = struct.unpack("<I", file.read(4))
        file.seek(first)
        (number,) = struct.unpack("<H", file.read(2))
        entries = [struct.unpack("<HHII", file.read(12)) for _ in range(number)]
        mended = [_mended(entry, places) for entry in entries]
        file.seek(first + 2)
        file.write(b"".join(struct.pack("<HHII", *entry) for entry in sorted(mended)))


def _mended(entry: tuple[int, ...], places: dict[int, int]) -> tuple[int, ...]:
    """A directory's entry (code, type, count, value): pointers that tifffile does not write take their code and place,
    and the picture's directory is of a type that every reader takes (tifffile's is 13, which ExifTool calls unusual).
    """
    code, kind, count, value = entry
    pointer = next((p for p, stand_in in STAND_IN.items() if stand_in == code), None)
    if pointer is not None:
        return pointer, LONG, 1, places[pointer]
    return code, LONG if code == SUB_IFDS else kind, count, value


def check_dng_size(path: Path, height: int, width: int) -> None:
    """Refuse what no RAW reader opens, before any work is done for it."""
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{path}: {width}x{height} is too small for a DNG (RAW readers take {MIN_SIDE} pixels a side or "
            "more); write --format tiff or npy"
        )


def _file_tags(header: DngHeader) -> list[tuple]:
    """Tags of the first directory as tifffile takes them: (code, type, count, value, write once)."""
    facts = header.facts
    matrix = [n for value in np.ravel(header.color_matrix) for n in (round(float(value) * 10_000), 10_000)]
    source = f"Rebuilt from a picture by {facts.camera}" if facts.camera else "Rebuilt from a picture"
    pointers = [pointer for pointer, tags in ((EXIF_IFD, facts.exif), (GPS_IFD, facts.gps)) if tags]
    return [
        (270, ASCII, 0, f"{source}, no sensor's own data".encode("ascii", "replace").decode(), True),
        (271, ASCII, 0, MAKE, True),
        (272, ASCII, 0, header.camera, True),
        (274, SHORT, 1, 1, True),  # Orientation
        *((code, kind, count, data, True) for code, kind, count, data in facts.image),
        *((STAND_IN[pointer], LONG, 1, 0, True) for pointer in pointers),
        (50706, BYTE, 4, (1, 4, 0, 0), True),  # DNGVersion
        (50707, BYTE, 4, (1, 1, 0, 0), True),  # DNGBackwardVersion: LinearRaw in lossless JPEG needs no more
        (50708, ASCII, 0, f"{MAKE} {header.camera}", True),  # UniqueCameraModel
        (50721, SRATIONAL, 9, matrix, True),  # ColorMatrix1
        (AS_SHOT_NEUTRAL, RATIONAL, 3, _response(np.ones(3)), True),  # AsShotNeutral
        (50730, SRATIONAL, 1, (0, 1), True),  # BaselineExposure: white level and sensor white are one
        (50778, SHORT, 1, D65, True),  # CalibrationIlluminant1
        (50966, ASCII, 0, SOFTWARE, True),  # PreviewApplicationName
        (50970, LONG, 1, 2, True),  # PreviewColorSpace: sRGB
    ]


def _picture_tags(cfa: str | None) -> list[tuple]:
    """Tags of the picture's directory."""
    planes = 1 if cfa else 3
    tags: list[tuple] = [
        (50713, SHORT, 2, (1, 1), True),  # BlackLevelRepeatDim
        (50714, SHORT, planes, (0,) * planes, True),  # BlackLevel
        (50717, LONG, planes, (WHITE_LEVEL,) * planes, True),  # WhiteLevel
    ]
    if cfa:
        tags += [
            (33421, SHORT, 2, (2, 2), True),  # CFARepeatPatternDim
            (33422, BYTE, 4, bytes("RGB".index(c) for c in cfa), True),  # CFAPattern
            (50710, BYTE, 3, bytes((0, 1, 2)), True),  # CFAPlaneColor
            (50711, SHORT, 1, 1, True),  # CFALayout: rectangular
        ]
    return tags


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
