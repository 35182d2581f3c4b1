"""The picture that every row sees: a sample photograph, enlarged to the size asked for."""

import cv2
import numpy as np

ALIGN = 16  # the deepest network halves four times


def square(side: int) -> np.ndarray:
    """(side, side, 3) uint8 sRGB."""
    return _sample(side, side)


def photograph(megapixels: float) -> np.ndarray:
    """(H, W, 3) uint8 sRGB, 4 to 3, of `megapixels` as nearly as sides that are multiples of 16 allow."""
    height = max(1, round((megapixels * 1e6 * 3 / 4) ** 0.5 / ALIGN)) * ALIGN
    width = max(1, round(megapixels * 1e6 / height / ALIGN)) * ALIGN
    return _sample(height, width)


def _sample(height: int, width: int) -> np.ndarray:
    from priorraw_edge.export.golden import golden_picture

    codes = (golden_picture() * 255).round().astype(np.uint8)
    return cv2.resize(codes, (width, height), interpolation=cv2.INTER_LINEAR)
