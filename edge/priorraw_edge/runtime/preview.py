"""A small upright JPEG of the photograph, for file managers and the first look in an editor."""

import io

import numpy as np

from priorraw_edge.runtime.picture import to_unit
from priorraw_edge.runtime.source import Source

LONG_SIDE = 1024  # pixels, at most
QUALITY = 85
BAND = 256  # rows that are read at a time, about


def preview_of(source: Source, long_side: int = LONG_SIDE) -> np.ndarray:
    """(h, w, 3) uint8 sRGB: means of k x k pixels with the smallest whole k that brings the long side down to that."""
    H, W = source.height, source.width
    k = block_side(H, W, long_side)
    step = max(1, BAND // k) * k
    bands = []
    for top in range(0, H, step):
        rows = to_unit(source.window(top, min(top + step, H), 0, W))
        bands.append(block_means(rows, k))
    return np.rint(np.concatenate(bands) * 255).clip(0, 255).astype(np.uint8)


def block_side(height: int, width: int, long_side: int) -> int:
    """The smallest whole k that brings a picture's long side to `long_side` pixels or less."""
    return -(-max(height, width) // long_side)


def block_means(rows: np.ndarray, k: int) -> np.ndarray:
    """Means of k x k blocks of (n, W, ...) float32; a block that is cut off at the right or below repeats the edge."""
    import cv2

    if k == 1:
        return rows
    edge = ((0, -len(rows) % k), (0, -rows.shape[1] % k), *[(0, 0)] * (rows.ndim - 2))
    rows = np.pad(rows, edge, mode="edge")
    return cv2.resize(rows, (rows.shape[1] // k, len(rows) // k), interpolation=cv2.INTER_AREA)


def jpeg_of(picture: np.ndarray) -> bytes:
    """JPEG (4:2:0) of an sRGB picture (h, w, 3) uint8."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY, subsampling=2)
    return buffer.getvalue()
