"""RIR-like: a global map per picture, fitted in the camera to the picture's own RAW and stored with it.

Nguyen and Brown, "RAW Image Reconstruction Using a Self-Contained sRGB-JPEG Image With Only 64 KB Overhead", 2016.
As there: inverse tone curve, matrix with the white-balance gains in it, gamut map, a constant number of bytes for
pictures of any size. Simplified: the gamut map is a lattice of offsets over the sRGB cube with trilinear
interpolation, not scattered control points, so 0.9 KB do for the paper's 64; and there is no JPEG in between.
"""

from functools import cache

import numpy as np

from benchmarks.rivals.curve import KNOTS, CurveMatrix, fit_curve_matrix, unclipped
from benchmarks.rivals.rival import Rival, Shot

LATTICE = 5  # offsets at 5x5x5 points of the sRGB cube
RIDGE = 1e-4  # holds lattice points that few pixels see near zero, relative to the number of pixels
MOST_PIXELS = 65_536  # for the fit, evenly drawn: larger pictures do not cost more than this
CHUNK = 65_536  # pixels at a time
CODES = 65_535


class Rir(Rival):
    paper = "RIR-like (Nguyen and Brown 2016): tone curve, matrix, gamut offsets fitted to each picture"
    blind = False

    def record(self, shot: Shot) -> bytes:
        return _fit(shot)[0]

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        curve, offsets = _decode(metadata)
        pixels = srgb.reshape(-1, 3)
        parts = [pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK)]
        raw = np.concatenate([curve(part) + trilinear(part) @ offsets for part in parts])
        return np.clip(raw, 0, 1).astype(np.float32).reshape(srgb.shape)

    def metadata_bytes(self, H: int, W: int) -> int:
        return 2 * KNOTS + 4 * 9 + 2 * 3 * LATTICE**3

    def camera_flops(self, H: int, W: int) -> float:
        return _flops_of(min(H * W, MOST_PIXELS))


def _fit(shot: Shot) -> tuple[bytes, float]:
    """The metadata, and the floating-point operations of all sums over pixels that made it."""
    valid = shot.raw.any(-1)
    srgb, raw = shot.srgb[valid], shot.raw[valid].astype(np.float64)
    step = max(1, -(-len(srgb) // MOST_PIXELS))
    srgb, raw = srgb[::step], raw[::step]
    inside = unclipped(srgb)
    if inside.sum() < KNOTS:  # nearly all clipped: better a curve through clipped pixels than none
        inside = np.ones(len(srgb), bool)
    curve, flops = fit_curve_matrix(srgb[inside], raw[inside])
    stored = _encode(curve, np.zeros((LATTICE**3, 3)))
    rest = raw - _decode(stored)[0](srgb)  # what the stored curve leaves, rounding included
    weights = trilinear(srgb)
    normal = weights.T @ weights + RIDGE * max(1, len(srgb)) * np.eye(LATTICE**3)
    flops += 2.0 * len(srgb) * LATTICE**3 * (LATTICE**3 + 3)
    return _encode(curve, np.linalg.solve(normal, weights.T @ rest)), flops


@cache
def _flops_of(pixels: int) -> float:
    """Counted on a picture of random pixels, none masked or clipped."""
    random = np.random.default_rng(0)
    srgb, raw = (random.uniform(0.01, 0.99, (pixels, 1, 3)).astype(np.float32) for _ in range(2))
    return _fit(Shot("", srgb, raw, np.ones(3)))[1]


def trilinear(srgb: np.ndarray) -> np.ndarray:
    """(P, 3) sRGB to (P, 5^3) weights of the lattice points around each, which sum to 1."""
    position = np.clip(srgb.astype(np.float64), 0, 1) * (LATTICE - 1)
    low = np.minimum(position.astype(int), LATTICE - 2)
    part = position - low
    weights = np.zeros((len(srgb), LATTICE**3))
    rows = np.arange(len(srgb))
    for corner in np.ndindex(2, 2, 2):
        index = np.ravel_multi_index(tuple((low + corner).T), (LATTICE,) * 3)
        weights[rows, index] += np.where(corner, part, 1 - part).prod(1)
    return weights


def _encode(curve: CurveMatrix, offsets: np.ndarray) -> bytes:
    """Knots in 16 bits (the curve lies in [0, 1]), matrix in float32, offsets (125, 3) in float16."""
    knots = np.rint(np.clip(curve.knots, 0, 1) * CODES).astype("<u2")
    return knots.tobytes() + curve.matrix.astype("<f4").tobytes() + offsets.astype("<f2").tobytes()


def _decode(metadata: bytes) -> tuple[CurveMatrix, np.ndarray]:
    knots = np.frombuffer(metadata, "<u2", KNOTS) / CODES
    matrix = np.frombuffer(metadata, "<f4", 9, 2 * KNOTS).astype(np.float64).reshape(3, 3)
    offsets = np.frombuffer(metadata, "<f2", offset=2 * KNOTS + 36).astype(np.float64).reshape(-1, 3)
    return CurveMatrix(knots, matrix), offsets
