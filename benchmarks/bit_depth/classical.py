"""Classical bit-depth expansion: low codes in, high codes out, nothing learnt.

The first four know one value at a time; the last two look where the next contours are. All but `stretched` and
`replicated` keep every value in the interval of its low code by construction.
"""

from collections.abc import Callable

import cv2
import numpy as np
from priorraw.bit_depth import Depths

REACH = 32  # pixels within which a contour is felt; a flat region farther from any keeps the middle
SCALES = (1.0, 2.0, 4.0, 8.0)  # standard deviations of the Gaussians that make up 1 / distance^2

Expand = Callable[[np.ndarray, Depths], np.ndarray]


def zero_padded(low: np.ndarray, depths: Depths) -> np.ndarray:
    """The low code, then zeros."""
    return depths.zero_padded(low.astype(np.uint16))


def stretched(low: np.ndarray, depths: Depths) -> np.ndarray:
    """Ideal gain: black stays black, white becomes white; times 17 from 4 to 8 bits."""
    return depths.high_codes(depths.unit(low))


def replicated(low: np.ndarray, depths: Depths) -> np.ndarray:
    """Bit replication: the low code again in the lost bits, as often as it fits."""
    codes, bits = low.astype(np.uint32), depths.low
    while bits < depths.high:
        codes, bits = (codes << depths.low) | low, bits + depths.low
    return (codes >> (bits - depths.high)).astype(np.uint16)


def middle(low: np.ndarray, depths: Depths) -> np.ndarray:
    """The middle of the interval: the least squared error where nothing else is known."""
    return zero_padded(low, depths) + (1 << depths.lost) // 2


def contour_regions(low: np.ndarray, depths: Depths) -> np.ndarray:
    """Contour region reconstruction: between the contours to darker and to brighter regions, in proportion to distance.

    After Cheng, Au, Liu, Yuen: Bit-depth expansion by contour region reconstruction, ISCAS 2009. Simplified: a contour
    is the nearest one in the plane, not along the region, and a side without one within `REACH` counts as that far.
    """

    def place(below: np.ndarray, above: np.ndarray) -> np.ndarray:
        down, up = (np.minimum(_distance(mask), REACH) for mask in (below, above))
        return down / (down + up)

    return _by_level(low, depths, place)


def intensity_potential(low: np.ndarray, depths: Depths) -> np.ndarray:
    """Intensity potential: brighter pixels nearby pull a value up in its interval, darker ones down, by 1 / distance^2.

    After Liu, Zhai, Bai, Liu, Zhao: IPAD, intensity potential for adaptive de-quantization, IEEE TIP 2018. Simplified:
    the potential is a sum of Gaussians, not a walk through connected components.
    """

    def felt(mask: np.ndarray) -> np.ndarray:
        plane = mask.astype(np.float32)
        # A Gaussian of deviation s is 1 / (2 pi s^2) in its middle: their plain sum falls like 1 / distance^2.
        return np.maximum(sum(cv2.GaussianBlur(plane, (0, 0), scale) for scale in SCALES), 1e-4)

    def place(below: np.ndarray, above: np.ndarray) -> np.ndarray:
        down, up = felt(below), felt(above)
        return up / (down + up)

    return _by_level(low, depths, place)


def _by_level(low: np.ndarray, depths: Depths, place: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """`place` says from the masks (H, W) of darker and brighter pixels where in the interval, 0 to 1, a level lies."""
    first = depths.zero_padded(low.astype(np.uint16))
    size = 1 << depths.lost
    result = np.empty_like(first)
    for c in range(3):
        plane = low[..., c]
        for level in np.unique(plane):
            at = plane == level
            position = place(plane < level, plane > level)[at]
            result[..., c][at] = first[..., c][at] + np.clip(np.floor(position * size), 0, size - 1).astype(np.uint16)
    return result


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one of the mask; 10^6 where there is none."""
    if not mask.any():
        return np.full(mask.shape, 1e6, np.float32)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)


CLASSICAL: dict[str, tuple[str, Expand]] = {
    "zero padding": ("the lost bits are 0", zero_padded),
    "ideal gain": ("times 17, rounded", stretched),
    "bit replication": ("the low code again in the lost bits", replicated),
    "middle": ("the middle of the interval", middle),
    "contour regions": ("CRR-like, Cheng et al. 2009, simplified", contour_regions),
    "intensity potential": ("IPAD-like, Liu et al. 2018, simplified", intensity_potential),
}
