"""Bases and bounds: the closed-form inverse of the known rendering, with one or another light."""

import numpy as np
from priorraw.isp import gains_from_illuminant, unrender

from benchmarks.rivals.rival import Budget, Fitting, Rival, Shot


def log_ratios(illuminant: np.ndarray) -> np.ndarray:
    """(..., 3) illuminants to (..., 2) log r/g and log b/g."""
    logs = np.log(np.asarray(illuminant, np.float64))
    return logs[..., [0, 2]] - logs[..., [1]]


def illuminant_of(log_ratio: np.ndarray) -> np.ndarray:
    """Inverse of `log_ratios` up to scale: (2,) to (3,) with green 1."""
    red, blue = np.exp(log_ratio)
    return np.array([red, 1.0, blue])


class MeanLight(Rival):
    paper = "closed-form inverse of the known rendering with the mean illuminant of the training pictures"

    def fit(self, shots: list[Shot], budget: Budget) -> Fitting:
        self.light = illuminant_of(np.mean([log_ratios(s.illuminant) for s in shots], 0))
        return Fitting()

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        return unrender(srgb, gains_from_illuminant(self.light), self.color_matrix)

    def parameters(self) -> int:
        return 2


class TrueLight(Rival):
    """Many cameras write these gains into the MakerNote anyway: a hint, not a blind row."""

    paper = "closed-form inverse of the known rendering with the picture's own white-balance gains (a bound)"
    blind = False

    def record(self, shot: Shot) -> bytes:
        return log_ratios(shot.illuminant).astype("<f4").tobytes()

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        light = illuminant_of(np.frombuffer(metadata, "<f4").astype(np.float64))
        return unrender(srgb, gains_from_illuminant(light), self.color_matrix)

    def metadata_bytes(self, H: int, W: int) -> int:
        return 8
