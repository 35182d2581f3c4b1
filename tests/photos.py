"""A real photograph for the tests of picture reading, and helpers to save and compare it."""

import numpy as np
import skimage.data
from PIL import Image

PHOTO = skimage.data.coffee()[100:260, 200:420]  # (160, 220, 3) uint8


def codes(srgb: np.ndarray, bits: int = 8) -> np.ndarray:
    return np.rint(srgb.astype(np.float64) * (2**bits - 1)).astype(int)


def saved(path, picture, mode=None, **options):
    Image.fromarray(picture, mode).save(path, **options)
    return path
