"""An inverse tone curve and a 3x3 matrix, fitted together: RAW = M g(sRGB), g piecewise linear, one for all channels.

Alternating least squares in linear raw-RGB. Both steps are closed forms of the same sums over the pixels, so the
pixels are read once and a hundred rounds cost nothing.
"""

from dataclasses import dataclass

import numpy as np

KNOTS = 65
ROUNDS = 200
SMOOTHNESS = 1e-7  # weight of the curve's squared second differences against the mean squared error
CHUNK = 50_000  # pixels at a time


@dataclass(frozen=True)
class CurveMatrix:
    """knots (K,) of g at even steps of sRGB, g(0) = 0 and g(1) = 1, and the matrix (3, 3) from g(sRGB) to raw-RGB."""

    knots: np.ndarray
    matrix: np.ndarray

    def linear(self, srgb: np.ndarray) -> np.ndarray:
        """g of sRGB in [0, 1], any shape, float64."""
        return np.interp(srgb, np.linspace(0, 1, len(self.knots)), self.knots)

    def __call__(self, srgb: np.ndarray) -> np.ndarray:
        """(..., 3) sRGB to linear raw-RGB, not clipped."""
        return self.linear(srgb) @ self.matrix.T


def unclipped(srgb: np.ndarray) -> np.ndarray:
    """(..., 3) sRGB to (...) bool: no channel sits at 0 or 1."""
    return np.asarray(((srgb > 0) & (srgb < 1)).all(-1))


def fit_curve_matrix(srgb: np.ndarray, raw: np.ndarray) -> tuple[CurveMatrix, float]:
    """Fit to (P, 3) sRGB and raw-RGB.

    Returns:
        The map, and the floating-point operations that the sums over the pixels took.
    """
    gram = np.zeros((3 * KNOTS, 3 * KNOTS))
    cross = np.zeros((3 * KNOTS, 3))
    for start in range(0, len(srgb), CHUNK):
        design = _hats(srgb[start : start + CHUNK])
        gram += design.T @ design
        cross += design.T @ raw[start : start + CHUNK]
    scale = max(1, len(srgb))
    knots, matrix = _alternate(gram.reshape(3, KNOTS, 3, KNOTS) / scale, cross.reshape(3, KNOTS, 3) / scale)
    flops = 2.0 * len(srgb) * gram.shape[0] * (gram.shape[0] + 3)
    return CurveMatrix(knots, matrix), flops


def _hats(srgb: np.ndarray) -> np.ndarray:
    """(P, 3) to (P, 3 K): for each channel the two weights of linear interpolation between the knots."""
    position = np.clip(srgb.astype(np.float64), 0, 1) * (KNOTS - 1)
    low = np.minimum(position.astype(int), KNOTS - 2)
    design = np.zeros((len(srgb), 3, KNOTS))
    np.put_along_axis(design, low[..., None], (1 - (position - low))[..., None], 2)
    np.put_along_axis(design, low[..., None] + 1, (position - low)[..., None], 2)
    return design.reshape(len(srgb), 3 * KNOTS)


def _alternate(gram: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the means over pixels of hat products (3, K, 3, K) and of hats times RAW (3, K, 3) to knots and matrix."""
    knots = np.linspace(0, 1, KNOTS) ** 2.2
    bend = np.diff(np.eye(KNOTS), 2, axis=0)
    rough = SMOOTHNESS * (KNOTS - 1) * bend.T @ bend
    for _ in range(ROUNDS):
        matrix = _matrix(knots, gram, cross)
        weights = matrix.T @ matrix  # (3, 3): how the channels of g meet in the squared error
        normal = np.einsum("cd,ckdl->kl", weights, gram) + rough * np.trace(weights)
        target = np.einsum("ic,cki->k", matrix, cross)
        knots = np.zeros(KNOTS)  # black stays black: the first knot is no unknown
        knots[1:] = np.linalg.solve(normal[1:, 1:], target[1:])
        knots /= knots[-1]
    return knots, _matrix(knots, gram, cross)


def _matrix(knots: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    products = np.einsum("k,ckdl,l->cd", knots, gram, knots)
    ridge = 1e-9 * np.trace(products) * np.eye(3)  # a grey picture leaves the matrix open
    return np.linalg.solve(products + ridge, np.einsum("k,cki->ci", knots, cross)).T
