"""Colour of a decoded picture to sRGB, through its ICC profile where it has one (LittleCMS).

8- and 16-bit pictures take the same path, in floating point. A profile that is sRGB but for rounding is not
applied, so that the codes of an ordinary picture stay exactly what they were.
"""

import numpy as np

SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}  # ICC header bytes 16 to 20 (ICC.1:2022, 7.2.6) -> channels
LCMS_NAMES = {1: "gray", 3: "rgb", 4: "cmyk"}
RELATIVE_COLORIMETRIC = 1
BLACK_POINT_COMPENSATION = 0x2000
SAME_AS_SRGB = 1 / 255  # largest difference, over a lattice of colours, at which a profile is taken as sRGB


def to_srgb(samples: np.ndarray, icc: bytes | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert to sRGB, relative colorimetric with black point compensation, clipped to the sRGB gamut.

    Args:
        samples: (H, W, C) uint8, uint16 or float32 in [0, 1]; C is 1 (grey), 3 (RGB) or 4 (CMYK, 0 = no ink).
        icc: profile of the samples; None means sRGB, its grey, or CMYK of unknown inks.

    Returns:
        sRGB-encoded float32 (H, W, 3) in [0, 1], and notes for the user.
    """
    if icc is None:
        return _without_profile(samples)
    if SPACES.get(icc[16:20]) == 3 and samples.shape[2] == 1:
        samples = np.repeat(samples, 3, axis=2)
    if SPACES.get(icc[16:20]) != samples.shape[2]:
        plain, notes = _without_profile(samples)
        return plain, ("colour profile does not fit the pixels: left out", *notes)

    import imagecodecs

    try:
        if samples.shape[2] == 3 and _is_srgb(icc):
            return _to_unit(samples), ()
        return _transform(samples, icc), ("colour profile converted to sRGB",)
    except imagecodecs.CmsError:
        plain, notes = _without_profile(samples)
        return plain, ("colour profile is damaged: left out", *notes)


def adobe_rgb_profile() -> bytes:
    """Adobe RGB (1998), for cameras that name it in EXIF only."""
    import imagecodecs

    return imagecodecs.cms_profile("adobergb")


def _transform(samples: np.ndarray, icc: bytes) -> np.ndarray:
    import imagecodecs

    converted = imagecodecs.cms_transform(
        np.ascontiguousarray(samples if samples.shape[2] > 1 else samples[..., 0]),
        icc,
        imagecodecs.cms_profile("srgb"),
        colorspace=LCMS_NAMES[samples.shape[2]],
        outcolorspace="rgb",
        outdtype=np.float32,
        intent=RELATIVE_COLORIMETRIC,
        flags=BLACK_POINT_COMPENSATION,
    )
    return np.clip(converted, 0, 1, out=converted)


def _is_srgb(icc: bytes) -> bool:
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    return bool(np.abs(_transform(lattice, icc) - lattice).max() <= SAME_AS_SRGB)


def _without_profile(samples: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    unit = _to_unit(samples)
    if samples.shape[2] == 1:
        return np.repeat(unit, 3, axis=2), ()
    if samples.shape[2] == 3:
        return unit, ()
    rgb = (1 - unit[..., :3]) * (1 - unit[..., 3:])
    return rgb, ("CMYK without a usable profile: converted by the plain ink formula, colours are approximate",)


def _to_unit(samples: np.ndarray) -> np.ndarray:
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
