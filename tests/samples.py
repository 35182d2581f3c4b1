"""Small sources that tests write: packs, PNG, camera files."""

from pathlib import Path

import cv2
import numpy as np

CAMERA = ("--camera", "olympus-e-pl6")
D65_MATRIX = (7000, -1000, -500, -4000, 12000, 2000, -500, 1500, 6000)


def scenes(N: int = 10, H: int = 24, W: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random smooth scenes (N, H, W, 3) uint16 with a masked corner, and their illuminants (N, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(500, 60_000, (N, 5, 4, 3)).astype(np.float32)
    raw = np.stack([cv2.resize(c, (W, H), interpolation=cv2.INTER_CUBIC) for c in coarse])
    raw = raw.clip(1, 65535).astype(np.uint16)
    raw[:, :4, :5] = 0
    return raw, rng.uniform(0.2, 1, (N, 3)).astype(np.float32)


def write_pack(path: Path, raw: np.ndarray, illuminant: np.ndarray, /, **other: np.ndarray) -> Path:
    arrays = {"raw": raw, "illuminant": illuminant, "name": np.array([f"scene_{i:03}" for i in range(len(raw))])}
    np.savez(path, **(arrays | other))
    return path


def write_png16(path: Path, rgb: np.ndarray) -> None:
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def rationals(values, scale: int = 10_000) -> tuple[int, ...]:
    return tuple(n for v in values for n in (v, scale))


def write_dng(
    path: Path,
    cfa: np.ndarray,
    pattern: str = "RGGB",
    *,
    black: int = 0,
    white: int = 65535,
    neutral: tuple[int, int, int] | None = (5000, 10_000, 6000),
    matrices: dict[int, tuple[int, ...]] | None = None,
    model: str = "Testcam 1",
) -> None:
    """A minimal uncompressed CFA DNG. `matrices`: calibration illuminant (EXIF LightSource) -> matrix x10000."""
    import tifffile

    matrices = {21: D65_MATRIX} if matrices is None else matrices
    tags = [
        (271, 2, 0, "Acme", True),
        (272, 2, 0, model, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes("RGB".index(c) for c in pattern), True),
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50708, 2, 0, f"Acme {model}", True),
        (50714, 4, 1, black, True),
        (50717, 4, 1, white, True),
    ]
    for i, (illuminant, matrix) in enumerate(matrices.items()):
        tags += [(50721 + i, 10, 9, rationals(matrix), True), (50778 + i, 3, 1, illuminant, True)]
    if neutral:
        tags.append((50728, 5, 3, rationals(neutral), True))
    tifffile.imwrite(path, cfa, photometric=32803, extratags=tags, metadata=None, software=False)
