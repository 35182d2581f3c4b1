"""SAM-like: every 64th raw pixel is stored with the picture; radial basis functions fill in the rest.

Punnappurath and Brown, "Spatially Aware Metadata for Raw Reconstruction", 2021. One sample sits in the middle of each
8x8 cell, so positions cost nothing. Kernel and weight of the position against colour are chosen on training pictures.
"""

import numpy as np
from priorraw.errors import InputError
from priorraw.metrics import psnr
from scipy.interpolate import RBFInterpolator

from benchmarks.rivals.rival import Budget, Fitting, Rival, Shot

CELL = 8  # one sample in 8x8 pixels: 1/64
KERNELS = {"linear": 0, "thin_plate_spline": 1, "cubic": 1}  # kernel -> degree of its polynomial
POSITION_WEIGHTS = (0.03, 0.1, 0.3)  # the longer side of the picture, in units of the sRGB range
CHOICE_PICTURES = 16
MOST_EXACT = 4096  # samples that are solved together; above, each pixel asks its neighbours only
NEIGHBOURS = 64


class Sam(Rival):
    paper = "SAM-like (Punnappurath and Brown 2021): 1/64 of the raw pixels, RBF interpolation in sRGB and position"
    blind = False

    def fit(self, shots: list[Shot], budget: Budget) -> Fitting:
        chosen = [shots[i] for i in np.unique(np.linspace(0, len(shots) - 1, CHOICE_PICTURES).astype(int))]
        scores = {}
        for self.kernel in KERNELS:
            for self.position_weight in POSITION_WEIGHTS:
                guesses = [self.predict(s.srgb, self.record(s)) for s in chosen]
                marks = [psnr(guess, s.raw, s.raw.any(-1)) for guess, s in zip(guesses, chosen, strict=True)]
                scores[self.kernel, self.position_weight] = np.mean(marks)
        self.kernel, self.position_weight = max(scores, key=lambda key: scores[key])
        return Fitting()

    def record(self, shot: Shot) -> bytes:
        rows, columns = sample_grid(*shot.raw.shape[:2])
        return np.rint(shot.raw[np.ix_(rows, columns)] * 65535).astype("<u2").tobytes()

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        H, W = srgb.shape[:2]
        rows, columns = sample_grid(H, W)
        samples = np.frombuffer(metadata, "<u2").reshape(-1, 3) / 65535
        points = features(srgb, self.position_weight)
        sites = points[np.ix_(rows, columns)].reshape(-1, 5)
        seen = samples.any(1)  # a masked pixel is no sample
        if not seen.any():
            raise InputError("every raw sample of a picture is masked; leave that picture out")
        raw = interpolate(sites[seen], samples[seen], points.reshape(-1, 5), self.kernel)
        return np.clip(raw, 0, 1).astype(np.float32).reshape(H, W, 3)

    def parameters(self) -> int:
        return 2

    def metadata_bytes(self, H: int, W: int) -> int:
        rows, columns = sample_grid(H, W)
        return 6 * len(rows) * len(columns)


def sample_grid(H: int, W: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns in the middle of 8x8 cells; a rest at the border is a cell of its own."""
    rows, columns = (np.minimum(np.arange(0, side, CELL) + CELL // 2, side - 1) for side in (H, W))
    return rows, columns


def features(srgb: np.ndarray, position_weight: float) -> np.ndarray:
    """(H, W, 3) sRGB to (H, W, 5): colour, then x and y."""
    H, W = srgb.shape[:2]
    y, x = np.mgrid[:H, :W] * (position_weight / max(H, W))
    return np.concatenate([srgb, np.stack([x, y], -1)], -1).astype(np.float64)


def interpolate(sites: np.ndarray, values: np.ndarray, points: np.ndarray, kernel: str) -> np.ndarray:
    """Values (S, C) at sites (S, D) to values (P, C) at points (P, D).

    The polynomial of thin-plate and cubic kernels has no unique solution where the sites lie in a plane (one flat
    colour); the linear kernel, which needs none, takes their place there, and wherever a picture is so large (0.26
    megapixels) that each pixel asks its nearest 64 sites only, any of which may lie in a plane.
    """
    neighbours = None if len(sites) <= MOST_EXACT else NEIGHBOURS
    if neighbours or np.linalg.matrix_rank(sites - sites.mean(0), tol=1e-6) < sites.shape[1]:
        kernel = "linear"
    return RBFInterpolator(sites, values, neighbours, kernel=kernel, degree=KERNELS[kernel])(points)
