"""JPEG, PNG and TIFF files to strips of samples as the file holds them: its own colour space, not yet oriented.

Strips, so that memory does not grow with the picture. Pillow reads a JPEG, whose picture it holds in 4 bytes a
pixel; `png` and `tiff` read by rows. Size limits are checked on the header, before pixels are decoded.
"""

import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from priorraw.errors import InputError
from priorraw.files import refuse_special

MAX_PIXELS = 200_000_000
MAX_SIDE = 65_535  # JPEG's own limit
STRIP = 128  # rows, where the file does not say

# What Pillow, imagecodecs and tifffile raise on damaged files; imagecodecs' errors derive from RuntimeError.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    RuntimeError,
    struct.error,
    ArithmeticError,  # TIFF tiles of no length
    zlib.error,
)

# Rows from the top, in turn: samples (n, W, C), and alpha (n, W) of the same type or None where the file has none.
Strip = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Decoded:
    """One picture as its file holds it."""

    height: int
    width: int
    dtype: np.dtype  # of samples: uint8, uint16, or float32 in [0, 1]
    channels: int  # 1 grey, 3 RGB, 4 CMYK (0 = no ink)
    has_alpha: bool
    strips: Iterable[Strip]  # once
    premultiplied: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes = b""
    orientation: int = 1  # EXIF, 1 to 8
    adobe_rgb: bool = False  # no profile, but EXIF's interoperability index says Adobe RGB (DCF 2.0)
    notes: tuple[str, ...] = field(default=())


@contextmanager
def decode(path: Path) -> Iterator[Decoded]:
    """Open a JPEG, PNG or TIFF file; its strips are read while the context lasts.

    Raises:
        InputError: missing, empty, truncated, damaged, no such picture, too large, or already RAW; from within the
            context too, where the damage shows only in the pixels.
    """
    from priorraw_edge.runtime.png import open_png
    from priorraw_edge.runtime.tiff import open_tiff

    kinds: tuple[tuple[tuple[bytes, ...], Callable[[Path, BinaryIO], Decoded]], ...] = (
        ((b"\xff\xd8\xff",), _open_jpeg),
        ((b"\x89PNG\r\n\x1a\n",), open_png),
        ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), open_tiff),
    )
    with _opened(path) as file:
        magic = file.read(8)
        file.seek(0)
        if not magic:
            raise InputError(f"{path}: is empty; name a JPEG, PNG or TIFF picture")
        for magics, opener in kinds:
            if magic.startswith(magics):
                with _one_line(path), quiet_decoders():
                    yield opener(path, file)
                return
    raise InputError(f"{path}: is no JPEG, PNG or TIFF picture; convert it to one of these")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    refuse_special(path)
    try:
        file = path.open("rb")
        file.peek(1)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; name a JPEG, PNG or TIFF picture") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); name a JPEG, PNG or TIFF picture") from None
    with file:
        yield file


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except DECODER_ERRORS as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{path}: truncated or damaged ({reason}); make or copy the file again") from None


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep Pillow's and tifffile's remarks on damaged tags off the terminal: one line is raised, or none."""
    logger = logging.getLogger("tifffile")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def check_pixels(path: Path, width: int, height: int) -> None:
    """Refuse pictures without pixels and decompression bombs.

    Raises:
        InputError: a side is zero, or the picture is above `MAX_PIXELS` or `MAX_SIDE`.
    """
    if width < 1 or height < 1:
        raise InputError(f"{path}: has no pixels ({width}x{height}); make or copy the file again")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(
            f"{path}: {width}x{height} is above the limit of {MAX_PIXELS // 1_000_000} megapixels and "
            f"{MAX_SIDE} pixels a side; crop or shrink it first"
        )


def metadata(image) -> dict:
    """What a Pillow image says beside its pixels, as fields of `Decoded`."""
    from PIL import ExifTags

    icc = image.info.get("icc_profile")
    try:
        exif = image.getexif()
        turned = orientation(exif.get(ExifTags.Base.Orientation, 1))
        adobe_rgb = exif.get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
    except DECODER_ERRORS:
        return {"icc": icc, "notes": ("EXIF block is damaged: taken as upright sRGB",)}
    xmp = image.info.get("xmp") or b""
    return {"icc": icc, "exif": image.info.get("exif"), "xmp": xmp, "orientation": turned, "adobe_rgb": adobe_rgb}


def orientation(value: object) -> int:
    """Values outside 1 to 8 (0 is common) mean nothing: upright, as every viewer shows them."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _open_jpeg(path: Path, file: BinaryIO) -> Decoded:
    from PIL.JpegImagePlugin import JpegImageFile

    # The class itself, not Image.open: that has a size limit of its own, below ours.
    image = JpegImageFile(file)
    check_pixels(path, *image.size)
    image.load()  # raises on a truncated file
    return Decoded(
        height=image.height,
        width=image.width,
        dtype=np.dtype(np.uint8),
        channels=len(image.getbands()),
        has_alpha=False,
        strips=((pillow_rows(image, y), None) for y in range(0, image.height, STRIP)),
        **metadata(image),
    )


def pillow_rows(image, top: int, rows: int = STRIP) -> np.ndarray:
    """(n, W, C) uint8 from row `top` on, without a copy of the whole picture."""
    part = np.asarray(image.crop((0, top, image.width, min(image.height, top + rows))))
    return part.reshape(*part.shape[:2], -1)
