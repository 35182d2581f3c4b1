"""How a picture is brought to sides that the network takes."""

import numpy as np

from priorraw.model import ALIGN


def pad_to_align(srgb: np.ndarray, least: int = 0) -> np.ndarray:
    """Repeat the last row and column of (H, W, C) until both sides are multiples of 8 and at least `least`."""
    pads = [max(-(-side // ALIGN) * ALIGN, least) - side for side in srgb.shape[:2]]
    return np.pad(srgb, ((0, pads[0]), (0, pads[1]), (0, 0)), mode="edge")
