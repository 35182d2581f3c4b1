"""A small upright JPEG of the photograph, for file managers and the first look in an editor."""

import io

import numpy as np

from priorraw_edge.runtime.picture import to_unit
from priorraw_edge.runtime.source import Source

LONG_SIDE = 1024  # pixels, at most
QUALITY = 85
BAND = 256  # rows that are read at a time, about


def preview_of(source: Source) -> np.ndarray:
    """(h, w, 3) uint8 sRGB: means of k x k pixels with the smallest whole k that brings the long side to 1024."""
    import cv2

    H, W = source.height, source.width
    k = -(-max(H, W) // LONG_SIDE)
    step = max(1, BAND // k) * k
    bands = []
    for top in range(0, H, step):
        rows = to_unit(source.window(top, min(top + step, H), 0, W))
        # The last block of a side may be smaller than the others: the edge is repeated.
        rows = np.pad(rows, ((0, -len(rows) % k), (0, -W % k), (0, 0)), mode="edge")
        bands.append(cv2.resize(rows, (rows.shape[1] // k, len(rows) // k), interpolation=cv2.INTER_AREA))
    return np.rint(np.concatenate(bands) * 255).clip(0, 255).astype(np.uint8)


def jpeg_of(picture: np.ndarray) -> bytes:
    """JPEG (4:2:0) of an sRGB picture (h, w, 3) uint8."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY, subsampling=2)
    return buffer.getvalue()
