"""How a camera renders, fitted in closed form from its own JPEGs: a tone curve and a matrix in place of our ISP's.

The networks undo our ISP. A JPEG of a camera whose rendering is known is therefore first brought to what our ISP would
have made of the same raw-RGB (`Rendering.as_ours`); programs that were exported take that like any other picture.

    white-balanced raw-RGB = matrix @ curve(sRGB code)

The curve is one for all channels, piecewise linear and monotone; the matrix keeps neutral neutral. Each is a linear
least squares problem where the other is known, so they are fitted in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from priorraw import isp
from priorraw.errors import InputError

KNOTS = 33  # of the curve, at equal steps of the code
ROUNDS, SWEEPS = 100, 20  # of fitting curve and matrix in turn; of the curve's steps in a round
PIXELS, LEAST_PIXELS = 40_000, 1000  # of a picture, drawn at random
CLIPPED = 0.98  # raw-RGB above it, white-balanced or not, tells nothing of the curve
SMOOTH = 1e-6  # weight of the curve's second differences, a pixel: it fills in codes that no pixel has


@dataclass(frozen=True)
class Rendering:
    """curve (KNOTS,): white-balanced linear values at codes 0 to 1, not falling; matrix (3, 3), its rows sum to 1."""

    curve: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]

    def balanced(self, srgb: np.ndarray) -> np.ndarray:
        """(..., 3) sRGB of the camera in [0, 1] to white-balanced raw-RGB, float32, not clipped."""
        knots = np.linspace(0, 1, len(self.curve))
        return (np.interp(srgb, knots, self.curve) @ np.array(self.matrix).T).astype(np.float32)

    def as_ours(self, srgb: np.ndarray, color_matrix: np.ndarray) -> np.ndarray:
        """The camera's sRGB (..., 3) in [0, 1] as our ISP would have rendered the same raw-RGB; float32 in [0, 1].

        Args:
            color_matrix: (3, 3) XYZ (D65) to camera.
        """
        to_srgb = np.linalg.inv(isp.camera_from_srgb(color_matrix))
        linear = np.clip(isp.apply_matrix(np.clip(self.balanced(srgb), 0, 1), to_srgb), 0, 1)
        return isp.srgb_encode(isp.tone(linear)).astype(np.float32)

    def unrender(self, srgb: np.ndarray, gains: np.ndarray) -> np.ndarray:
        """`isp.unrender` of this camera: (..., 3) sRGB to raw-RGB in [0, 1]."""
        return np.clip(isp.unbalance(self.balanced(srgb), gains), 0, 1).astype(np.float32)

    def to_json(self) -> dict[str, list]:
        return {"curve": list(self.curve), "matrix": [list(row) for row in self.matrix]}

    @staticmethod
    def from_json(value: dict[str, list]) -> "Rendering":
        """Raises ValueError where it is none."""
        curve, matrix = np.asarray(value.get("curve"), np.float64), np.asarray(value.get("matrix"), np.float64)
        if curve.shape != (KNOTS,) or matrix.shape != (3, 3) or not (np.diff(curve) >= 0).all():
            raise ValueError(f"rendering is not a rising curve of {KNOTS} numbers and a matrix of 3x3")
        if not (np.isfinite(curve).all() and np.isfinite(matrix).all()):
            raise ValueError("rendering holds numbers that are not finite")
        return Rendering(tuple(curve.tolist()), tuple(tuple(row) for row in matrix.tolist()))


@dataclass(frozen=True)
class Samples:
    """What the fit needs of a pair: sums over its pixels, for each channel of the raw-RGB with its weight.

    A pixel's "steps" are how far its three codes have gone each of the curve's S = 3 (KNOTS - 1) steps, 0 to 1.
    """

    steps: np.ndarray  # (3, S, S) of steps times steps
    right: np.ndarray  # (3, S) of white-balanced raw-RGB times steps
    total: np.ndarray  # (3,) of white-balanced raw-RGB squared
    count: int


def samples_of(srgb: np.ndarray, raw: np.ndarray, illuminant: np.ndarray, seed: int = 0) -> Samples:
    """Sums over pixels of one pair that neither camera nor JPEG clipped.

    Args:
        srgb: (H, W, 3) uint8 as the camera rendered it.
        raw: (H, W, 3) float32 raw-RGB at the same pixels.
        illuminant: (3,) the sensor's response to white as the camera judged it.

    Raises:
        InputError: nearly all pixels are clipped.
    """
    gains = isp.gains_from_illuminant(illuminant).astype(np.float64)
    codes, balanced = srgb.reshape(-1, 3), raw.reshape(-1, 3) * gains
    good = np.flatnonzero(((codes > 0) & (codes < 254)).all(1) & (balanced < CLIPPED).all(1) & (balanced > 0).any(1))
    if len(good) < LEAST_PIXELS:
        raise InputError("nearly all pixels are clipped; give another shot")
    rows = np.random.default_rng(seed).choice(good, min(PIXELS, len(good)), replace=False)
    gone = np.clip(codes[rows, :, None] * ((KNOTS - 1) / 255) - np.arange(KNOTS - 1), 0, 1).reshape(len(rows), -1)
    weight = (1 / gains**2)[:, None]  # errors count in raw-RGB
    total = np.square(balanced[rows]).sum(0) * weight[:, 0]
    return Samples(weight[..., None] * (gone.T @ gone), weight * (balanced[rows].T @ gone), total, len(rows))


def fit(shots: Sequence[Samples], color_matrix: np.ndarray) -> Rendering:
    """The rendering that explains the shots best, by least squares in raw-RGB.

    Args:
        color_matrix: (3, 3) XYZ (D65) to camera; where the fit starts.
    """
    n = KNOTS - 1
    steps = np.sum([shot.steps for shot in shots], 0).reshape(3, 3, n, 3, n)
    right = np.sum([shot.right for shot in shots], 0).reshape(3, 3, n)
    bend = np.diff(np.eye(n), axis=0)
    ridge = SMOOTH * sum(shot.count for shot in shots) * bend.T @ bend
    matrix, rise = isp.camera_from_srgb(color_matrix), np.full(n, 1 / n)
    for _ in range(ROUNDS):
        square = np.einsum("kc,kd,kcidj->ij", matrix, matrix, steps) + ridge
        rise = _not_negative(square, np.einsum("kc,kci->i", matrix, right), rise)
        toned = np.einsum("i,kcidj,j->kcd", rise, steps, rise)
        matrix = np.stack([_mixing(*sums) for sums in zip(toned, right @ rise, strict=True)])
    curve = np.concatenate([[0], np.cumsum(rise)])
    return Rendering(tuple(curve.tolist()), tuple(tuple(row) for row in matrix.tolist()))


def _mixing(square: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x (3,), its sum 1, that minimises x'Qx/2 - b'x."""
    system = np.block([[square, np.ones((3, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
    return np.linalg.lstsq(system, np.append(right, 1), rcond=None)[0][:3]


def _not_negative(square: np.ndarray, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """x >= 0 that minimises x'Qx/2 - b'x: one coordinate after the other (Franc et al. 2005)."""
    x = start.copy()
    slope = square @ x - right
    for _ in range(SWEEPS):
        for i in range(len(x)):
            new = max(0.0, x[i] - slope[i] / square[i, i])
            slope += square[:, i] * (new - x[i])
            x[i] = new
    return x


def leave_one_out(shots: Sequence[Samples], color_matrix: np.ndarray) -> list[float]:
    """PSNR in dB of each shot's raw-RGB, undone by what was fitted on the others; of pixels that nothing clipped."""
    found = []
    for i, shot in enumerate(shots):
        fitted = fit([other for j, other in enumerate(shots) if j != i], color_matrix)
        by = np.multiply.outer(np.array(fitted.matrix), np.diff(fitted.curve)).reshape(3, -1)
        error = shot.total - 2 * (by * shot.right).sum(1) + np.einsum("ki,kij,kj->k", by, shot.steps, by)
        found.append(float(-10 * np.log10(max(error.sum(), 1e-12) / (3 * shot.count))))
    return found
