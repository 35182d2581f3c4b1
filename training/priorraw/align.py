"""Lay one picture over another of the same shot: turn, crop, scale and sub-pixel shift, estimated and checked.

Coarse: normalised cross correlation of thumbnails over turns, scales and shifts. Fine: phase correlation of patches
all over the picture (Kuglin and Hines 1975, sub-pixel peak by its centroid), a map fitted to their shifts, a few
times. What single patches are off from the map tells how well a plain map fits: a camera that straightens its
lens in the JPEG alone shows there.
"""

from dataclasses import dataclass

import cv2
import numpy as np

COARSE = 192  # long side at which turn, scale and crop are searched
LEAST_SHARE = 0.5  # of the guide's sides that the picture shows
SHARE_STEP = 1.012
MARGIN = 0.03  # the picture may reach past the guide by this share
PATCH = 128  # pixels of a patch, at the finest scale that is compared
GRID = 12  # patches along the long side
ROUNDS = 4
LEAST_RESPONSE = 0.03  # of phase correlation; flat patches have none
LEAST_PATCHES = 12
AFFINE_GAIN = 0.7  # of the residual that must be left for a turned or sheared map to be believed
FINEST = 2400  # long side of the picture at which patches are compared


@dataclass(frozen=True)
class Alignment:
    """How a picture lies on its guide."""

    turns: int  # quarter turns counter-clockwise that bring the picture upright in the guide
    matrix: np.ndarray  # (2, 3): pixel (x, y, 1) of the turned picture to (x, y) of the guide, centres at whole numbers
    correlation: float  # of the two, after the map, over what both show; in [-1, 1]
    residual: float  # median distance of patches from the map, in pixels of the picture
    patches: int  # that could be compared

    @property
    def scale(self) -> float:
        """Pixels of the guide for one of the picture."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))


def align(picture: np.ndarray, guide: np.ndarray) -> Alignment:
    """Find how `picture` lies on `guide`, both (H, W) float32 of any brightness and size."""
    turns, matrix = _coarse(picture, guide)
    picture = np.rot90(picture, turns)
    for _ in range(ROUNDS):
        points, shifts = _patch_shifts(picture, guide, matrix)
        if len(points) < LEAST_PATCHES:
            break
        matrix, distance = _refit(matrix, points, shifts)
    else:
        return Alignment(turns, matrix, _correlation(picture, guide, matrix), float(np.median(distance)), len(points))
    return Alignment(turns, matrix, _correlation(picture, guide, matrix), float("inf"), len(points))


def resample(source: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, C) linear values at the pixels of a picture of `size` (height, width), `matrix` as of `Alignment`.

    A coarser grid takes means of n x n finer ones, so that nothing aliases. Outside of the source: 0.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    n = max(1, int(np.ceil(scale - 0.01)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine = cv2.warpAffine(
        source, _rescaled(matrix, of=(n, n)), (size[1] * n, size[0] * n), flags=flags, borderMode=cv2.BORDER_CONSTANT
    )
    return fine if n == 1 else cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA)


def covered(matrix: np.ndarray, size: tuple[int, int], guide: tuple[int, int]) -> tuple[slice, slice]:
    """The largest part (rows, columns) of a picture of `size` that lies on the guide; the map turns little."""
    H, W = size
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    gx = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    gy = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = (gx >= 0) & (gy >= 0) & (gx <= guide[1] - 1) & (gy <= guide[0] - 1)
    rows, columns = inside.mean(1) > 0.5, inside.mean(0) > 0.5
    if not rows.any() or not columns.any():
        return slice(0, 0), slice(0, 0)
    top, bottom = np.flatnonzero(rows)[[0, -1]]
    left, right = np.flatnonzero(columns)[[0, -1]]
    while not inside[top : bottom + 1, left : right + 1].all() and bottom - top > 2 and right - left > 2:
        top, bottom, left, right = top + 1, bottom - 1, left + 1, right - 1
    return slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)


def _coarse(picture: np.ndarray, guide: np.ndarray) -> tuple[int, np.ndarray]:
    """Quarter turns, and the map from the turned picture to the guide: scale and shift only."""
    factor = COARSE / max(guide.shape)
    small = _detail(cv2.resize(guide, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    pad = round(MARGIN * COARSE) + 1
    padded = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0.0)
    best: tuple[float, int, np.ndarray] = (-2.0, 0, np.eye(2, 3))
    whole = picture.shape
    reduced = min(1.0, 2 * COARSE / max(whole))
    picture = cv2.resize(picture, None, fx=reduced, fy=reduced, interpolation=cv2.INTER_AREA)
    for turns in range(4):
        turned = np.ascontiguousarray(np.rot90(picture, turns))
        h, w = whole if turns % 2 == 0 else whole[::-1]
        # The largest size of the picture that the guide, with its margin, can hold.
        share = min(small.shape[0] / h, small.shape[1] / w) * (1 + MARGIN)
        least = share * LEAST_SHARE
        while share >= least:
            size = (round(w * share), round(h * share))
            if min(size) >= 16 and size[0] <= padded.shape[1] and size[1] <= padded.shape[0]:
                template = _detail(cv2.resize(turned, size, interpolation=cv2.INTER_AREA))
                scores = cv2.matchTemplate(padded, template, cv2.TM_CCOEFF_NORMED)
                _, score, _, (x, y) = cv2.minMaxLoc(scores)
                if score > best[0]:
                    sx, sy = w / size[0], h / size[1]
                    a, b = 1 / (factor * sx), 1 / (factor * sy)
                    matrix = np.array(
                        [
                            [a, 0, (x - pad + 0.5 / sx) / factor - 0.5],
                            [0, b, (y - pad + 0.5 / sy) / factor - 0.5],
                        ]
                    )
                    best = (score, turns, matrix)
            share /= SHARE_STEP
    return best[1], best[2]


def _patch_shifts(picture: np.ndarray, guide: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) of patches with detail, in pixels of the picture, and their shifts (n, 2) against the guide."""
    H, W = picture.shape
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    # Compare at the coarser of the two, and not finer than needed.
    factor = min(1.0, scale, FINEST / max(H, W))
    size = (round(W * factor), round(H * factor))
    fx, fy = size[0] / W, size[1] / H
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if factor < 1 else picture
    laid = resample(guide[..., None], _rescaled(matrix, of=(fx, fy)), size[::-1])
    inside = resample(np.ones((*guide.shape, 1), np.float32), _rescaled(matrix, of=(fx, fy)), size[::-1]) > 0.999
    a, b = _detail(small), _detail(laid)
    patch = min(PATCH, min(size) // 3)
    window = cv2.createHanningWindow((patch, patch), cv2.CV_32F)
    across = [max(2, round(GRID * side / max(size))) for side in size]
    points, shifts = [], []
    for y in np.linspace(0, size[1] - patch, across[1]).astype(int):
        for x in np.linspace(0, size[0] - patch, across[0]).astype(int):
            part = slice(y, y + patch), slice(x, x + patch)
            if not inside[part].all():
                continue
            (dx, dy), response = cv2.phaseCorrelate(
                np.ascontiguousarray(a[part]), np.ascontiguousarray(b[part]), window
            )
            if response > LEAST_RESPONSE and max(abs(dx), abs(dy)) < patch / 4:
                points.append(((x + patch / 2) / fx - 0.5, (y + patch / 2) / fy - 0.5))
                shifts.append((dx / fx, dy / fy))
    return np.array(points).reshape(-1, 2), np.array(shifts).reshape(-1, 2)


def _refit(matrix: np.ndarray, points: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The map after the shifts, fitted robustly, and how far (n,) each patch is off it, in pixels of the picture.

    One scale and a shift; an affine map only where that explains much more.
    """
    n, zeros, ones = len(points), np.zeros(len(points)), np.ones(len(points))
    # A patch of the picture at p shows what the guide shows at the map of p + shift.
    target = (np.column_stack([points + shifts, ones]) @ matrix.T).T.ravel()  # all x, then all y
    x, y = points.T
    plain = np.vstack([np.column_stack([x, ones, zeros]), np.column_stack([y, zeros, ones])])
    affine = np.vstack(
        [np.column_stack([x, y, ones, zeros, zeros, zeros]), np.column_stack([zeros, zeros, zeros, x, y, ones])]
    )
    (scale, left, top), distance = _robust(plain, target, n)
    values, bent = _robust(affine, target, n)
    fitted = np.array([[scale, 0, left], [0, scale, top]])
    if np.median(bent) < AFFINE_GAIN * np.median(distance):
        fitted, distance = values.reshape(2, 3), bent
    return fitted, distance / scale


def _robust(design: np.ndarray, target: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Least squares with Cauchy weights by point; the rows are n x-coordinates, then n y-coordinates."""
    weight = np.ones(n)
    for _ in range(20):
        root = np.sqrt(np.tile(weight, 2))
        values = np.linalg.lstsq(root[:, None] * design, root * target, rcond=None)[0]
        distance = np.hypot(*(design @ values - target).reshape(2, n))
        weight = 1 / (1 + np.square(distance / (1.5 * np.median(distance) + 1e-3)))
    return values, distance


def _correlation(picture: np.ndarray, guide: np.ndarray, matrix: np.ndarray) -> float:
    """Of the two pictures' local contrast at a long side of 512, over what both show."""
    H, W = picture.shape
    factor = min(1.0, 512 / max(H, W))
    size = (round(W * factor), round(H * factor))
    map_ = _rescaled(matrix, of=(size[0] / W, size[1] / H))
    inside = resample(np.ones((*guide.shape, 1), np.float32), map_, size[::-1]) > 0.999
    if inside.mean() < LEAST_SHARE:
        return -1.0
    a = _detail(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))[inside]
    b = _detail(resample(guide[..., None], map_, size[::-1]))[inside]
    return float(np.nan_to_num(np.corrcoef(a, b)[0, 1]))


def _detail(picture: np.ndarray) -> np.ndarray:
    """Local contrast: what is left of a picture when its neighbourhood's mean and strength are taken out."""
    side = max(picture.shape) // 8 * 2 + 1
    mean = cv2.blur(picture, (side, side))  # a box: its cost does not grow with its side
    strength = np.sqrt(np.maximum(cv2.blur(picture * picture, (side, side)) - mean * mean, 0))
    return ((picture - mean) / (strength + 0.01)).astype(np.float32)


def _rescaled(matrix: np.ndarray, *, of: tuple[float, float] = (1, 1), to: tuple[float, float] = (1, 1)) -> np.ndarray:
    """The map when the picture is resized by `of` (x, y) and the guide by `to`; centres at whole numbers."""

    def resized(factors: tuple[float, float]) -> np.ndarray:
        fx, fy = factors
        return np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])

    whole = np.vstack([matrix, [0, 0, 1]])
    return (resized(to) @ whole @ np.linalg.inv(resized(of)))[:2]
