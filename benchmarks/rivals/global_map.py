"""One map from sRGB to RAW for the camera: a fitted tone curve, then a 3x3 matrix or a root polynomial.

Root polynomials: Finlayson, Mackiewicz, Hurlbert, "Color Correction Using Root-Polynomial Regression", 2015. They
scale with exposure as a matrix does, which plain polynomials do not.
"""

from typing import ClassVar

import numpy as np

from benchmarks.rivals.curve import KNOTS, fit_curve_matrix, unclipped
from benchmarks.rivals.rival import Budget, Fitting, Rival, Shot

MOST_PIXELS = 500_000  # evenly drawn from all training pixels: 30 unknowns do not need more


def root_polynomial(rgb: np.ndarray, degree: int) -> np.ndarray:
    """(..., 3) linear RGB >= 0 to its (..., 3), (..., 6) or (..., 13) root-polynomial terms of degree 1, 2 or 3."""
    r, g, b = (np.maximum(rgb[..., c], 0) for c in range(3))
    terms = [r, g, b]
    if degree >= 2:
        terms += [np.sqrt(r * g), np.sqrt(g * b), np.sqrt(r * b)]
    if degree >= 3:
        cubes = [r * g * g, g * b * b, r * b * b, g * r * r, b * g * g, b * r * r, r * g * b]
        terms += [np.cbrt(product) for product in cubes]
    return np.stack(terms, -1)


def training_pixels(shots: list[Shot], most: int) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) sRGB and raw-RGB of valid, unclipped training pixels, at most `most`, evenly spaced."""
    pairs = [(s.srgb[keep], s.raw[keep]) for s in shots if (keep := s.raw.any(-1) & unclipped(s.srgb)).any()]
    srgb, raw = (np.concatenate(kind) for kind in zip(*pairs, strict=True))
    step = -(-len(srgb) // most)
    return srgb[::step], raw[::step]


class GlobalMap(Rival):
    paper = "one inverse tone curve and 3x3 matrix for the camera, least squares in linear RAW"
    degree: ClassVar[int] = 1

    def fit(self, shots: list[Shot], budget: Budget) -> Fitting:
        srgb, raw = training_pixels(shots, MOST_PIXELS)
        self.curve, _ = fit_curve_matrix(srgb, raw)
        terms = root_polynomial(self.curve.linear(srgb), self.degree)
        normal = terms.T @ terms
        ridge = 1e-9 * np.trace(normal) * np.eye(len(normal))
        self.coefficients = np.linalg.solve(normal + ridge, terms.T @ raw)  # (terms, 3)
        return Fitting()

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        raw = root_polynomial(self.curve.linear(srgb), self.degree) @ self.coefficients
        return np.clip(raw, 0, 1).astype(np.float32)

    def parameters(self) -> int:
        return KNOTS - 2 + self.coefficients.size


class Poly2(GlobalMap):
    paper = "the same curve, then a root polynomial of degree 2 (Finlayson et al. 2015)"
    degree = 2


class Poly3(GlobalMap):
    paper = "the same curve, then a root polynomial of degree 3 (Finlayson et al. 2015)"
    degree = 3
