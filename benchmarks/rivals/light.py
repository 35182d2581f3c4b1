"""The light that a reconstructed RAW implies, and the RAW with that light put right."""

import numpy as np
from priorraw.isp import gains_from_illuminant, unrender

from benchmarks.rivals.curve import unclipped

ROUNDS = 10
CAUCHY = 2.385  # residuals in robust standard deviations where the weight is half: 95 % efficient on normal noise


def response(raw: np.ndarray, srgb: np.ndarray, color_matrix: np.ndarray) -> np.ndarray | None:
    """The sensor's response to white (3,) that best explains `raw`, or None where every pixel clipped.

    Robust least squares, channel by channel: n = sum(w raw b) / sum(w b b) over unmasked, unclipped pixels, where b is
    the white-balanced inverse rendering of the sRGB and w a Cauchy weight of the residual.

    Args:
        raw: (H, W, 3) linear raw-RGB, 0 in all channels where masked.
        srgb: (H, W, 3) in [0, 1].
    """
    keep = raw.any(-1) & unclipped(srgb)
    if not keep.any():
        return None
    balanced = unrender(srgb, np.ones(3), color_matrix)[keep].astype(np.float64)
    target = raw[keep].astype(np.float64)
    weight = np.ones_like(target)
    n = np.ones(3)
    for _ in range(ROUNDS):
        n = (weight * target * balanced).sum(0) / ((weight * balanced * balanced).sum(0) + 1e-12)
        residual = target - n * balanced
        spread = 1.4826 * np.median(np.abs(residual), 0) + 1e-6
        weight = 1 / (1 + (residual / (CAUCHY * spread)) ** 2)
    return n


def with_known_gains(raw: np.ndarray, found: np.ndarray, illuminant: np.ndarray) -> np.ndarray:
    """Scale each channel by true response over found response: what is left is not the light's fault."""
    true = 1 / gains_from_illuminant(illuminant)
    return np.clip(raw * (true / np.maximum(found, 1e-6)), 0, 1).astype(np.float32)
