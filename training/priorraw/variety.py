"""Do a camera's files differ enough to stand for what it photographs? One line for each way in which they do not."""

import numpy as np

from priorraw.pictures import TrainingPicture

FEW_FILES = 5
# Root mean square distance of the lights' log ratios from their mean. The four measured cameras: 0.22 to 0.27.
LEAST_LIGHT_VARIETY = 0.08
# Root mean square distance of white-balanced chromaticities from their mean: 16 cells a file, all files together.
LEAST_COLOR_VARIETY = 0.02
SAME_SCENE = 0.98  # correlation of two thumbnails above which they show the same
GRID = 4


def warnings_of(names: list[str], lights: np.ndarray, colors: np.ndarray, scenes: np.ndarray) -> list[str]:
    """One line for each fault; none if all is well.

    Args:
        lights: (n, 2) light of each file.
        colors: (n, GRID * GRID, 2) of `cell_colors`.
        scenes: (n, d) of `scene_signature`.
    """
    found = []
    n = len(names)
    if n < FEW_FILES:
        found.append(f"{n} files are few: the camera's lights are mostly assumed; give {FEW_FILES} or more")
    if (spread := _spread(lights)) < LEAST_LIGHT_VARIETY:
        found.append(
            f"all files were taken in nearly the same light (spread {spread:.3f}); add others: sun, shade, lamps"
        )
    if (spread := _spread(colors.reshape(-1, 2))) < LEAST_COLOR_VARIETY:
        found.append(f"all files show nearly the same colours (spread {spread:.3f}); add other scenes")
    alike = np.argwhere(np.triu(np.nan_to_num(np.corrcoef(scenes)), 1) > SAME_SCENE)
    if len(alike):
        first, second = alike[0]
        more = f" and {len(alike) - 1} pairs more" if len(alike) > 1 else ""
        found.append(f"{names[first]} and {names[second]}{more} show the same scene: they count as one")
    return found


def cell_colors(picture: TrainingPicture) -> np.ndarray:
    """(16, 2) chromaticity r, g of the mean linear sRGB of each cell of a 4x4 grid over the thumbnail."""
    from priorraw.layers import decode

    linear = decode(picture.thumbnail).numpy()
    size = linear.shape[1] // GRID
    cells = linear.reshape(3, GRID, size, GRID, size).mean((2, 4)).reshape(3, -1).T
    return cells[:, :2] / np.maximum(cells.sum(1, keepdims=True), 1e-4)


def scene_signature(picture: TrainingPicture) -> np.ndarray:
    """(768,) the thumbnail at 16x16."""
    return picture.thumbnail.numpy().reshape(3, 16, 4, 16, 4).mean((2, 4)).ravel()


def _spread(points: np.ndarray) -> float:
    """Root mean square distance per axis of points (n, 2) from their mean."""
    return float(np.sqrt(np.square(points - points.mean(0)).mean()))
