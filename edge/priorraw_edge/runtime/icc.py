"""Colour of a decoded picture to sRGB, through its ICC profile where it has one (LittleCMS).

8- and 16-bit pictures take the same path, in floating point. A profile that is sRGB but for rounding is not
applied, so that the codes of an ordinary picture stay exactly what they were.
"""

from collections.abc import Callable

import numpy as np

SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}  # ICC header bytes 16 to 20 (ICC.1:2022, 7.2.6) -> channels
LCMS_NAMES = {1: "gray", 3: "rgb", 4: "cmyk"}
RELATIVE_COLORIMETRIC = 1
BLACK_POINT_COMPENSATION = 0x2000
WIDER = 0.05  # how far beyond sRGB's range a profile's colours reach before it is called wide
SAME_AS_SRGB = 1 / 255  # largest difference, over a lattice of colours, at which a profile is taken as sRGB


Conversion = Callable[[np.ndarray], np.ndarray]  # samples (H, W, C) to sRGB-encoded float32 (H, W, 3) in [0, 1]


def conversion(dtype: np.dtype, channels: int, icc: bytes | None) -> tuple[Conversion, bool, tuple[str, ...]]:
    """What takes a picture's rows to sRGB, relative colorimetric with black point compensation, clipped to the gamut.

    Args:
        dtype: of the samples: uint8, uint16, or float32 in [0, 1].
        channels: 1 (grey), 3 (RGB) or 4 (CMYK, 0 = no ink).
        icc: profile of the samples; None means sRGB, its grey, or CMYK of unknown inks.

    Returns:
        The conversion, whether the samples are sRGB codes already (grey ones need only be repeated), and notes for
        the user.
    """
    if icc is None:
        return _without_profile(channels)
    space = SPACES.get(icc[16:20])
    if space != channels and (space, channels) != (3, 1):
        return _without_profile(channels, "colour profile does not fit the pixels: left out")

    import imagecodecs

    try:
        if space == 3 and _is_srgb(icc):
            return _without_profile(channels)
        _transform(np.zeros((1, 1, 3 if space == 3 else channels), dtype), icc)
    except imagecodecs.CmsError:
        return _without_profile(channels, "colour profile is damaged: left out")

    def convert(samples: np.ndarray) -> np.ndarray:
        return _transform(np.repeat(samples, 3, axis=2) if space != channels else samples, icc)

    note = "colour profile converted to sRGB"
    if space == 3 and _is_wide(icc):
        note += ", which it is wider than: colours outside are cut, and the RAW of them is a guess"
    return convert, False, (note,)


def adobe_rgb_profile() -> bytes:
    """Adobe RGB (1998), for cameras that name it in EXIF only."""
    import imagecodecs

    return imagecodecs.cms_profile("adobergb")


def _transform(samples: np.ndarray, icc: bytes) -> np.ndarray:
    converted = _unclipped(samples, icc)
    return np.clip(converted, 0, 1, out=converted)


def _unclipped(samples: np.ndarray, icc: bytes) -> np.ndarray:
    import imagecodecs

    return imagecodecs.cms_transform(
        np.ascontiguousarray(samples if samples.shape[2] > 1 else samples[..., 0]),
        icc,
        imagecodecs.cms_profile("srgb"),
        colorspace=LCMS_NAMES[samples.shape[2]],
        outcolorspace="rgb",
        outdtype=np.float32,
        intent=RELATIVE_COLORIMETRIC,
        flags=BLACK_POINT_COMPENSATION,
    )


def _is_wide(icc: bytes) -> bool:
    converted = _unclipped(_lattice(), icc)
    return bool(converted.min() < -WIDER or converted.max() > 1 + WIDER)


def _lattice() -> np.ndarray:
    """(1, 729, 3) float32: colours of the whole RGB cube."""
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    return np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)


def _is_srgb(icc: bytes) -> bool:
    lattice = _lattice()
    return bool(np.abs(_transform(lattice, icc) - lattice).max() <= SAME_AS_SRGB)


def _without_profile(channels: int, *notes: str) -> tuple[Conversion, bool, tuple[str, ...]]:
    if channels == 1:
        return lambda samples: np.repeat(_to_unit(samples), 3, axis=2), True, notes
    if channels == 3:
        return _to_unit, True, notes

    def inks(samples: np.ndarray) -> np.ndarray:
        unit = _to_unit(samples)
        return (1 - unit[..., :3]) * (1 - unit[..., 3:])

    note = "CMYK without a usable profile: converted by the plain ink formula, colours are approximate"
    return inks, False, (*notes, note)


def _to_unit(samples: np.ndarray) -> np.ndarray:
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
