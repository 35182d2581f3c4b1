"""The photograph that a bundle carries with its outputs, for a self-test on the device."""

from pathlib import Path

import numpy as np
from priorraw.errors import InputError

PICTURES = {".jpg", ".jpeg", ".png"}


def golden_picture(file: Path | None = None) -> np.ndarray:
    """sRGB (H, W, 3) float32 in [0, 1]: `file`, else the first sample of the data package, else a synthetic one.

    Raises:
        InputError: `file` cannot be read as a picture.
    """
    if file is None:
        samples = sample_pictures()
        if not samples:
            return synthetic_photograph()
        file = samples[0]
    from priorraw_edge.runtime.picture import read_picture

    srgb = read_picture(file).srgb
    if min(srgb.shape[:2]) < 8:
        raise InputError(f"{file}: {srgb.shape[1]}x{srgb.shape[0]} pixels test nothing; give a photograph")
    return srgb


def sample_pictures() -> list[Path]:
    """Sample photographs of the data package, in order of name."""
    from priorraw.assets import shipped_assets

    return sorted(p for p in (shipped_assets() / "samples").glob("*") if p.suffix in PICTURES)


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, in order of name.

    Raises:
        InputError: there is none.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURES)
    if not paths:
        raise InputError(f"{folder}: holds no picture ({', '.join(sorted(PICTURES))}); name a folder of photographs")
    return paths


def synthetic_photograph(side: int = 512, seed: int = 0) -> np.ndarray:
    """A picture (side, side, 3) with a photograph's statistics: falling spectrum, correlated channels, clipped light.

    Amplitudes fall as f^-1.2 (Tolhurst et al. 1992, "Amplitude spectra of natural images"). 8-bit codes, as a
    JPEG would give.
    """
    generator = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falloff = np.maximum(np.hypot(fy, fx), 1 / side) ** -1.2
    planes = []
    for _ in range(3):
        spectrum = np.fft.rfft2(generator.standard_normal((side, side))) * falloff
        plane = np.fft.irfft2(spectrum, (side, side))
        planes.append(plane / plane.std())
    luminance, warm, green = planes
    opponent = np.stack([luminance + 0.3 * warm, luminance + 0.2 * green, luminance - 0.3 * warm], -1)
    picture = 0.45 + 0.22 * opponent  # clips a few per cent at either end
    return (np.rint(np.clip(picture, 0, 1) * 255) / 255).astype(np.float32)
