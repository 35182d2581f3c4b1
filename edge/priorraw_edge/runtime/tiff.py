"""TIFF files by rows, through tifffile: row blocks of an uncompressed page, strips or rows of tiles otherwise.

A page of separate compressed planes is read whole: its first row needs the end of the file.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from priorraw.errors import InputError

from priorraw_edge.runtime.decode import STRIP, Decoded, Strip, check_pixels, orientation

# TIFF's PhotometricInterpretation -> samples a pixel, extra ones apart
COLOURS = {"MINISBLACK": 1, "MINISWHITE": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3, "SEPARATED": 4}


def open_tiff(path: Path, file: BinaryIO) -> Decoded:
    """The first page of a TIFF file.

    Raises:
        InputError: a RAW file, or a kind of TIFF that is not supported.
    """
    import tifffile

    tiff = tifffile.TiffFile(file)
    page = tiff.pages[0]
    if not isinstance(page, tifffile.TiffPage):
        raise ValueError("first page has no tags")
    if _is_raw(page, file):
        raise InputError(f"{path}: is a camera's RAW already; name the JPEG, PNG or TIFF made from it")
    check_pixels(path, page.imagewidth, page.imagelength)
    size = file.seek(0, 2)
    extents = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    # tifffile fills absent strips and tiles with zeros: refuse them here.
    complete = all(count > 0 and offset + count <= size for offset, count in extents)
    if not complete or len(extents) != math.prod(page.chunked):
        raise ValueError("pixel data ends early")
    kind = getattr(page.photometric, "name", str(page.photometric))
    colours = COLOURS.get(kind, 0)
    if not colours or page.samplesperpixel < colours or page.imagedepth != 1:
        raise InputError(f"{path}: TIFF of kind {kind} is not supported; save it as RGB or grey")
    if kind == "YCBCR" and page.compression != tifffile.COMPRESSION.JPEG:
        raise InputError(f"{path}: TIFF of kind YCBCR without JPEG is not supported; save it as RGB")
    palette = None
    if page.colormap is not None:
        # High byte, as libtiff takes it: half of all writers put v * 256 there, the others v * 257.
        palette = (page.colormap >> 8).astype(np.uint8).T
    # TIFF 6.0: 1 premultiplied alpha, 2 straight alpha, 0 anything else
    alpha, premultiplied = next(
        ((colours + i, extra == 1) for i, extra in enumerate(page.extrasamples) if extra in (1, 2)), (None, False)
    )
    if palette is not None:
        alpha, premultiplied = None, False

    def strips() -> Iterator[Strip]:
        for samples in _rows(page, file):
            if palette is not None:
                yield palette[samples[..., 0]], None
                continue
            full = _full_scale(path, samples, page.bitspersample)
            colour = _complement(full[..., :colours]) if kind == "MINISWHITE" else full[..., :colours]
            yield colour, None if alpha is None else full[..., alpha]

    dtype = np.dtype(np.uint8) if palette is not None else _type_of(path, page)
    notes: tuple[str, ...] = ("holds several pages: the first one is taken",) if len(tiff.pages) > 1 else ()
    if dtype.kind == "f":
        notes += ("floating-point pixels: taken as sRGB-encoded values in [0, 1]",)
    return Decoded(
        height=page.imagelength,
        width=page.imagewidth,
        dtype=dtype,
        channels=3 if palette is not None else colours,
        has_alpha=alpha is not None,
        strips=strips(),
        premultiplied=premultiplied,
        icc=page.iccprofile,
        orientation=orientation(page.tags.valueof("Orientation", 1)),
        notes=notes,
    )


def _rows(page, file: BinaryIO) -> Iterator[np.ndarray]:
    """(n, W, samples) in turn, of the file's own type."""
    H, W, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    planes = samples if page.planarconfig == 2 else 1
    if page.is_final:
        dtype = page.dtype.newbyteorder(page.parent.byteorder)
        row = W * (samples // planes) * dtype.itemsize
        for y in range(0, H, STRIP):
            n = min(STRIP, H - y)
            parts = []
            for plane in range(planes):
                file.seek(page.dataoffsets[0] + (plane * H + y) * row)
                parts.append(np.frombuffer(file.read(n * row), dtype).reshape(n, W, -1))
            yield np.concatenate(parts, axis=2).astype(page.dtype)
    elif planes > 1:
        whole = page.asarray(squeeze=False, maxworkers=1)  # (planes, 1, H, W, 1)
        for y in range(0, H, STRIP):
            yield np.moveaxis(whole[:, 0, y : y + STRIP, :, 0], 0, -1)
    else:
        yield from _rows_of_segments(page, H, W, samples)


def _rows_of_segments(page, H: int, W: int, samples: int) -> Iterator[np.ndarray]:
    """Strips as they come; tiles gathered until their row is whole."""
    rows = np.empty(0)
    top = -1
    for data, (_, _, y, x, _), (_, height, width, _) in page.segments(maxworkers=1):
        if data is None:
            raise ValueError("pixel data ends early")
        if y != top:
            if top >= 0:
                yield rows
            top, rows = y, np.empty((min(height, H - y), W, samples), page.dtype)
        rows[:, x : x + min(width, W - x)] = data[0, : H - y, : W - x]  # raises on a segment of another size
    yield rows


def _is_raw(page, file: BinaryIO) -> bool:
    """Camera files are TIFFs whose first page is a thumbnail: DNG says so, CR2 too, others in a sub-page."""
    file.seek(8)
    if file.read(2) == b"CR" or "DNGVersion" in page.tags:
        return True
    pages = [page, *(page.pages or ())]
    return any(getattr(p.photometric, "name", "") in ("CFA", "LINEAR_RAW") for p in pages)


def _type_of(path: Path, page) -> np.dtype:
    """The type that `_full_scale` gives."""
    if page.dtype is None:
        raise ValueError(f"pixels of {page.bitspersample} bits")
    if page.dtype.kind == "f":
        return np.dtype(np.float32)
    if page.dtype.kind not in "ub" or page.bitspersample > 16:
        bits = page.bitspersample
        raise InputError(f"{path}: {bits}-bit pixels of type {page.dtype} are not supported; save it as 16-bit")
    return np.dtype(np.uint8 if page.bitspersample <= 8 else np.uint16)


def _full_scale(path: Path, samples: np.ndarray, bits: int) -> np.ndarray:
    """TIFF samples of any depth to uint8, uint16 or float32 whose white is 255, 65535 or 1."""
    if samples.dtype.kind == "f":
        if not np.isfinite(samples).all():
            raise InputError(f"{path}: holds NaN or infinite pixels; replace them and save it again")
        if samples.min() < 0 or samples.max() > 1:
            raise InputError(f"{path}: floating-point pixels lie outside [0, 1]; save it as 16-bit sRGB")
        return samples.astype(np.float32)
    if bits in (8, 16):
        return samples
    if bits < 8:
        return np.rint(samples * (255 / (2**bits - 1))).astype(np.uint8)
    return np.rint(samples * (65535 / (2**bits - 1))).astype(np.uint16)


def _complement(samples: np.ndarray) -> np.ndarray:
    top = 1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
    return top - samples
