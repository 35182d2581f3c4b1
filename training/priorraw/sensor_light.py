"""What lights a camera meets, from few files: mean and spread of the light, drawn towards what is known of sensors.

Light is (log r/g, log b/g) of the sensor's response to white, as in `light`. Few files say little of their camera's
average light, and less of its spread. Both are therefore drawn towards a prior, as if so many more files had been
seen: `MEAN_FILES` at the sensor's answer to D65, which its colour matrix tells, plus what measured cameras are off
from theirs; and `SPREAD_FILES` with the spread of measured cameras.
"""

import numpy as np

from priorraw.isp import XYZ_FROM_SRGB, camera_from_srgb

# Means over the train splits of the three NUS cameras. Photographs are taken in warmer light than D65 on average.
OFFSET_FROM_D65 = (0.196, -0.223)
USUAL_SPREAD = (0.226, 0.272)
# Which strength is right was tried by leaving one of the four cameras out (docs/cameras.md).
MEAN_FILES, SPREAD_FILES = 4, 16
LEAST_SPREAD = 0.02
D65 = XYZ_FROM_SRGB.sum(1)


def usual_light(color_matrix: np.ndarray) -> np.ndarray:
    """(2,) the mean light that a sensor with this matrix (3, 3), XYZ (D65) to camera, is likely to meet."""
    red, green, blue = np.asarray(color_matrix, np.float64).reshape(3, 3) @ D65
    if min(red, green, blue) <= 0:  # a matrix of no sensor: let the files speak
        return np.zeros(2)
    return np.log([red / green, blue / green]) + OFFSET_FROM_D65


def mean_and_spread(lights: np.ndarray, color_matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2,) and standard deviation (2,) of a camera's lights (n, 2), n of 1 or more, drawn towards the usual."""
    n = len(lights)
    mean = (n * lights.mean(0) + MEAN_FILES * usual_light(color_matrix)) / (n + MEAN_FILES)
    squares = np.square(lights - lights.mean(0)).sum(0) + SPREAD_FILES * np.square(USUAL_SPREAD)
    return mean, np.maximum(np.sqrt(squares / (n - 1 + SPREAD_FILES)), LEAST_SPREAD)


def few_files_vector(lights: np.ndarray, color_matrix: np.ndarray) -> np.ndarray:
    """(13,) camera vector of `light`, of lights (n, 2) and matrix (3, 3): `pictures.camera_vector` for few."""
    mean, spread = mean_and_spread(np.asarray(lights, np.float64).reshape(-1, 2), color_matrix)
    return np.concatenate([camera_from_srgb(color_matrix).ravel(), mean, spread]).astype(np.float32)
