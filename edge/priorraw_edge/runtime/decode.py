"""JPEG, PNG and TIFF files to samples as the file holds them: its own colour space, not yet oriented.

Which library decodes what: Pillow reads JPEG and 8-bit PNG but cuts 16-bit RGB PNG to 8 bits, so that goes
through imagecodecs; tifffile reads TIFF. Size limits are checked on the header, before pixels are decoded.
"""

import io
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from priorraw.errors import InputError

MAX_PIXELS = 200_000_000
MAX_SIDE = 65_535  # JPEG's own limit

# TIFF's PhotometricInterpretation -> samples a pixel, extra ones apart
TIFF_COLOURS = {"MINISBLACK": 1, "MINISWHITE": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3, "SEPARATED": 4}

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
    zlib.error,
)


@dataclass(frozen=True)
class Decoded:
    """One picture as its file holds it."""

    samples: np.ndarray  # (H, W, C) uint8, uint16 or float32 in [0, 1]; C: 1 grey, 3 RGB, 4 CMYK (0 = no ink)
    alpha: np.ndarray | None  # (H, W), of the type of `samples`; None where the file is opaque
    premultiplied: bool
    icc: bytes | None
    exif: bytes | None
    orientation: int  # EXIF, 1 to 8
    adobe_rgb: bool  # no profile, but EXIF's interoperability index says Adobe RGB (DCF 2.0)
    notes: tuple[str, ...] = ()


def decode(path: Path) -> Decoded:
    """Read a JPEG, PNG or TIFF file.

    Raises:
        InputError: missing, empty, truncated, damaged, no such picture, too large, or already RAW.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: not found; name a JPEG, PNG or TIFF picture") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); name a JPEG, PNG or TIFF picture") from None
    if not data:
        raise InputError(f"{path}: is empty; name a JPEG, PNG or TIFF picture")
    for magics, decoder in (
        ((b"\xff\xd8\xff",), _jpeg),
        ((b"\x89PNG\r\n\x1a\n",), _png),
        ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
    ):
        if data.startswith(magics):
            try:
                with quiet_decoders():
                    return decoder(path, data)
            except DECODER_ERRORS as error:
                reason = " ".join(str(error).split())[:120] or type(error).__name__
                raise InputError(f"{path}: truncated or damaged ({reason}); make or copy the file again") from None
    raise InputError(f"{path}: is no JPEG, PNG or TIFF picture; convert it to one of these")


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


def _check_size(path: Path, width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise InputError(f"{path}: has no pixels ({width}x{height}); make or copy the file again")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(
            f"{path}: {width}x{height} is above the limit of {MAX_PIXELS // 1_000_000} megapixels and "
            f"{MAX_SIDE} pixels a side; crop or shrink it first"
        )


def _metadata(image) -> tuple[bytes | None, int, bool, tuple[str, ...]]:
    """EXIF block, orientation, whether EXIF says Adobe RGB, and notes, of a loaded Pillow image."""
    from PIL import ExifTags

    block = image.info.get("exif")
    try:
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        adobe_rgb = exif.get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
    except DECODER_ERRORS:
        return None, 1, False, ("EXIF block is damaged: taken as upright sRGB",)
    return block, _orientation(orientation), adobe_rgb, ()


def _orientation(value: object) -> int:
    """Values outside 1 to 8 (0 is common) mean nothing: upright, as every viewer shows them."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _jpeg(path: Path, data: bytes) -> Decoded:
    from PIL.JpegImagePlugin import JpegImageFile

    # The class itself, not Image.open: that has a size limit of its own, below ours.
    image = JpegImageFile(io.BytesIO(data))
    _check_size(path, *image.size)
    image.load()  # raises on a truncated file
    samples = np.asarray(image)
    exif, orientation, adobe_rgb, notes = _metadata(image)
    return Decoded(
        samples=samples.reshape(*samples.shape[:2], -1),
        alpha=None,
        premultiplied=False,
        icc=image.info.get("icc_profile"),
        exif=exif,
        orientation=orientation,
        adobe_rgb=adobe_rgb,
        notes=notes,
    )


def _png(path: Path, data: bytes) -> Decoded:
    from PIL.PngImagePlugin import PngImageFile

    image = PngImageFile(io.BytesIO(data))
    _check_size(path, *image.size)
    sixteen_bit = data[24] == 16  # IHDR: bit depth
    image.load()  # raises on a truncated file; also reads the EXIF chunk where it comes after the pixels
    exif, orientation, adobe_rgb, notes = _metadata(image)
    if sixteen_bit:
        import imagecodecs

        samples = imagecodecs.png_decode(data)
    else:
        transparent = image.has_transparency_data
        colours = image.mode in ("P", "RGB", "RGBA")
        image_mode = ("RGBA" if colours else "LA") if transparent else ("RGB" if colours else "L")
        samples = np.asarray(image.convert(image_mode))
    samples = samples.reshape(image.height, image.width, -1)
    has_alpha = samples.shape[2] in (2, 4)
    return Decoded(
        samples=samples[..., :-1] if has_alpha else samples,
        alpha=samples[..., -1] if has_alpha else None,
        premultiplied=False,
        icc=image.info.get("icc_profile"),
        exif=exif,
        orientation=orientation,
        adobe_rgb=adobe_rgb,
        notes=notes,
    )


def _tiff(path: Path, data: bytes) -> Decoded:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        if not isinstance(page, tifffile.TiffPage):
            raise ValueError("first page has no tags")
        if _is_raw(page, data):
            raise InputError(f"{path}: is a camera's RAW already; name the JPEG, PNG or TIFF made from it")
        _check_size(path, page.imagewidth, page.imagelength)
        extents = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        # tifffile fills absent strips and tiles with zeros: refuse them here.
        complete = all(count > 0 and offset + count <= len(data) for offset, count in extents)
        if not complete or len(extents) != math.prod(page.chunked):
            raise ValueError("pixel data ends early")
        notes: tuple[str, ...] = ()
        if len(file.pages) > 1:
            notes = ("holds several pages: the first one is taken",)
        kind = getattr(page.photometric, "name", str(page.photometric))
        colours = TIFF_COLOURS.get(kind, 0)
        if not colours or page.samplesperpixel < colours or page.imagedepth != 1:
            raise InputError(f"{path}: TIFF of kind {kind} is not supported; save it as RGB or grey")
        if kind == "YCBCR" and page.compression != tifffile.COMPRESSION.JPEG:
            raise InputError(f"{path}: TIFF of kind YCBCR without JPEG is not supported; save it as RGB")
        planes = page.asarray(squeeze=False)  # (planes, 1, H, W, samples of a plane)
        samples = np.moveaxis(planes[:, 0], 0, -2).reshape(page.imagelength, page.imagewidth, -1)
        alpha, premultiplied = None, False
        if page.colormap is not None:
            # High byte, as libtiff takes it: half of all writers put v * 256 there, the others v * 257.
            samples = (page.colormap >> 8).astype(np.uint8).T[samples[..., 0]]
        else:
            samples, more_notes = _full_scale(path, samples, page.bitspersample)
            notes += more_notes
            for i, extra in enumerate(page.extrasamples):
                if extra in (1, 2):  # TIFF 6.0: 1 premultiplied alpha, 2 straight alpha, 0 anything else
                    alpha, premultiplied = samples[..., colours + i], extra == 1
                    break
            samples = samples[..., :colours]
        return Decoded(
            samples=_complement(samples) if kind == "MINISWHITE" else samples,
            alpha=alpha,
            premultiplied=premultiplied,
            icc=page.iccprofile,
            exif=None,
            orientation=_orientation(page.tags.valueof("Orientation", 1)),
            adobe_rgb=False,
            notes=notes,
        )


def _is_raw(page, data: bytes) -> bool:
    """Camera files are TIFFs whose first page is a thumbnail: DNG says so, CR2 too, others in a sub-page."""
    if data[8:10] == b"CR" or "DNGVersion" in page.tags:
        return True
    pages = [page, *(page.pages or ())]
    return any(getattr(p.photometric, "name", "") in ("CFA", "LINEAR_RAW") for p in pages)


def _full_scale(path: Path, samples: np.ndarray, bits: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """TIFF samples of any depth to uint8, uint16 or float32 whose white is 255, 65535 or 1."""
    if samples.dtype.kind == "f":
        if not np.isfinite(samples).all():
            raise InputError(f"{path}: holds NaN or infinite pixels; replace them and save it again")
        if samples.min() < 0 or samples.max() > 1:
            raise InputError(f"{path}: floating-point pixels lie outside [0, 1]; save it as 16-bit sRGB")
        return samples.astype(np.float32), ("floating-point pixels: taken as sRGB-encoded values in [0, 1]",)
    if samples.dtype.kind not in "ub" or bits > 16:
        raise InputError(f"{path}: {bits}-bit pixels of type {samples.dtype} are not supported; save it as 16-bit")
    if bits in (8, 16):
        return samples, ()
    if bits < 8:
        return np.rint(samples * (255 / (2**bits - 1))).astype(np.uint8), ()
    return np.rint(samples * (65535 / (2**bits - 1))).astype(np.uint16), ()


def _complement(samples: np.ndarray) -> np.ndarray:
    top = 1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
    return top - samples
