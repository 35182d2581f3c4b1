"""A photograph file to the sRGB picture that the model sees: upright, sRGB, opaque, float32."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from priorraw_edge.runtime.decode import decode
from priorraw_edge.runtime.icc import adobe_rgb_profile, to_srgb


@dataclass(frozen=True)
class Picture:
    srgb: np.ndarray  # (H, W, 3) float32, sRGB-encoded, [0, 1], upright
    bits: int  # 8, 16 or 32 (floating point): depth of the file
    exif: bytes | None  # the file's EXIF block as it stands (its orientation is applied already)
    notes: tuple[str, ...]  # what was decided about this file, a plain line each


def read_picture(path: Path) -> Picture:
    """Read a JPEG, PNG or TIFF photograph of 1x1 to 200 megapixels.

    EXIF orientation is applied; an ICC profile (or EXIF's Adobe RGB mark) is converted to sRGB at any depth;
    grey is repeated into three channels; CMYK goes through its profile, or the plain ink formula with a note;
    transparent pixels are laid on white, as viewers show them, with a note. 16 bits stay 16 bits.

    Raises:
        InputError: the file cannot be used; one line says why and what to do.
    """
    file = decode(path)
    icc = adobe_rgb_profile() if file.icc is None and file.adobe_rgb else file.icc
    srgb, notes = to_srgb(file.samples, icc)
    if file.alpha is not None:
        srgb, alpha_notes = _lay_on_white(srgb, file.alpha, file.premultiplied)
        notes += alpha_notes
    return Picture(
        srgb=orient(srgb, file.orientation),
        bits=file.samples.dtype.itemsize * 8,
        exif=file.exif,
        notes=file.notes + notes,
    )


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


def _lay_on_white(srgb: np.ndarray, alpha: np.ndarray, premultiplied: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    opaque = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    if (alpha == opaque).all():
        return srgb, ()
    weight = (alpha.astype(np.float32) / opaque)[..., None]
    laid = (srgb if premultiplied else srgb * weight) + (1 - weight)
    return np.clip(laid, 0, 1), ("transparent pixels are laid on white",)
