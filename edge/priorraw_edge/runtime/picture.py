"""A photograph file to the sRGB picture that the model sees: upright, sRGB, opaque, [0, 1]."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from priorraw_edge.runtime.decode import Decoded, decode
from priorraw_edge.runtime.icc import adobe_rgb_profile, conversion


@dataclass(frozen=True)
class Picture:
    srgb: np.ndarray  # (H, W, 3) float32, sRGB-encoded, [0, 1], upright
    bits: int  # 8, 16 or 32 (floating point): depth of the file
    exif: bytes | None  # the file's EXIF block as it stands (its orientation is applied already)
    notes: tuple[str, ...]  # what was decided about this file, a plain line each


@dataclass
class Strips:
    """A photograph from the top of the file down, in sRGB."""

    file: Decoded
    dtype: np.dtype  # float32; or uint8 or uint16 where the file's own codes are sRGB
    rows: Iterator[np.ndarray]  # (n, W, 3) in turn, not yet oriented
    notes: list[str] = field(default_factory=list)  # complete once `rows` is at its end


def read_picture(path: Path) -> Picture:
    """Read a JPEG, PNG or TIFF photograph of 1x1 to 200 megapixels.

    EXIF orientation is applied; an ICC profile (or EXIF's Adobe RGB mark) is converted to sRGB at any depth;
    grey is repeated into three channels; CMYK goes through its profile, or the plain ink formula with a note;
    transparent pixels are laid on white, as viewers show them, with a note. 16 bits stay 16 bits.

    Raises:
        InputError: the file cannot be used; one line says why and what to do.
    """
    with open_strips(path) as strips:
        srgb = np.empty((strips.file.height, strips.file.width, 3), np.float32)
        y = 0
        for rows in strips.rows:
            srgb[y : y + len(rows)] = to_unit(rows)
            y += len(rows)
        return Picture(
            srgb=orient(srgb, strips.file.orientation),
            bits=strips.file.dtype.itemsize * 8,
            exif=strips.file.exif,
            notes=tuple(strips.notes),
        )


@contextmanager
def open_strips(path: Path) -> Iterator[Strips]:
    """The same picture as `read_picture`'s by rows, as the file stores them.

    Raises:
        InputError: as `read_picture`.
    """
    with decode(path) as file:
        icc = adobe_rgb_profile() if file.icc is None and file.adobe_rgb else file.icc
        convert, keeps_codes, notes = conversion(file.dtype, file.channels, icc)
        keeps_codes &= not file.has_alpha
        strips = Strips(file, file.dtype if keeps_codes else np.dtype(np.float32), iter(()), [*file.notes, *notes])

        def rows() -> Iterator[np.ndarray]:
            transparent = False
            for samples, alpha in file.strips:
                if keeps_codes:
                    yield samples if samples.shape[2] == 3 else np.repeat(samples, 3, axis=2)
                    continue
                srgb = convert(samples)
                if alpha is not None and (alpha != _opaque(alpha)).any():
                    transparent = True
                    srgb = _lay_on_white(srgb, alpha, file.premultiplied)
                yield srgb
            if transparent:
                strips.notes.append("transparent pixels are laid on white")

        strips.rows = rows()
        yield strips


def to_unit(codes: np.ndarray) -> np.ndarray:
    """uint8, uint16 or float32 in [0, 1] to float32 in [0, 1]."""
    if codes.dtype.kind == "f":
        return codes.astype(np.float32, copy=False)
    return codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)


def thumbnail(srgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 to (64, 64, 3): the whole picture, bilinear sampling without anti-aliasing.

    Deliberately so: the training packs were made this way, and a smoother thumbnail would look unlike them.
    """
    from priorraw.pictures import thumbnail_of

    return thumbnail_of(srgb)


def orient(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a stored picture (H, W, ...) upright; `orientation` is EXIF's, 1 to 8 (CIPA DC-008, 4.6.4 A)."""
    if orientation >= 5:  # 5 to 8 have rows and columns exchanged
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture)


def _opaque(alpha: np.ndarray) -> float:
    return 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max


def _lay_on_white(srgb: np.ndarray, alpha: np.ndarray, premultiplied: bool) -> np.ndarray:
    weight = (alpha.astype(np.float32) / _opaque(alpha))[..., None]
    laid = (srgb if premultiplied else srgb * weight) + (1 - weight)
    return np.clip(laid, 0, 1)
