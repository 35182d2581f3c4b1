"""Pictures that are read by windows: an array in memory, or a spool file whose rows come by plain reads.

Plain reads and no memory map: mapped pages count as the process's own memory.
"""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from io import RawIOBase
from typing import Protocol

import numpy as np
from priorraw.rendering import Rendering

from priorraw_edge.runtime.picture import orient, thumbnail, to_unit


class Source(Protocol):
    """An upright sRGB picture (height, width, 3)."""

    height: int
    width: int

    def window(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """The codes or floats (bottom - top, right - left, 3) of a window inside the picture; `to_unit` scales them."""

    def crossings(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        """float32 (rows, columns, 3) in [0, 1]: the pixels where these rows and columns cross."""


class ArraySource:
    """A picture in memory, float32 (H, W, 3) in [0, 1]."""

    def __init__(self, srgb: np.ndarray):
        self.height, self.width = srgb.shape[:2]
        self._srgb = srgb

    def window(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return self._srgb[top:bottom, left:right]

    def crossings(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        return self._srgb[np.ix_(rows, columns)]


class RenderedSource:
    """A camera's own rendering as our ISP's, which the networks undo: float32 (H, W, 3) in [0, 1]."""

    def __init__(self, source: Source, rendering: Rendering, color_matrix: np.ndarray):
        self.height, self.width = source.height, source.width
        self._source, self._rendering, self._matrix = source, rendering, color_matrix

    def window(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return self._rendering.as_ours(to_unit(self._source.window(top, bottom, left, right)), self._matrix)

    def crossings(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        return self._rendering.as_ours(self._source.crossings(rows, columns), self._matrix)


@dataclass(frozen=True)
class SpoolLayout:
    """What lies in a spool: rows as the photograph's file stores them, not upright yet."""

    height: int
    width: int
    dtype: str  # uint8, uint16 or float32, of this machine's byte order
    orientation: int  # EXIF, 1 to 8


class SpoolSource:
    """A picture in a spool file (H, W, 3). The file is closed by whoever opened it."""

    def __init__(self, file: RawIOBase, layout: SpoolLayout):
        self._file, self._layout = file, layout
        self._dtype = np.dtype(layout.dtype)
        turned = layout.orientation >= 5
        self.height, self.width = (layout.width, layout.height) if turned else (layout.height, layout.width)

    def window(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        rows, columns = self._stored(range(top, bottom), range(left, right))
        first, last = sorted((columns[0], columns[-1]))
        low, high = sorted((rows[0], rows[-1]))
        return orient(self._read(low, high + 1, first, last + 1), self._layout.orientation)

    def crossings(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        stored_rows, stored_columns = self._stored(rows, columns)
        picked = [self._read(y, y + 1, 0, self._layout.width)[0, stored_columns] for y in stored_rows]
        codes = np.stack(picked)  # rows and columns already in upright order, but for the exchange
        return to_unit(codes.swapaxes(0, 1) if self._layout.orientation >= 5 else codes)

    def _stored(self, rows: Sequence[int], columns: Sequence[int]) -> tuple[list[int], list[int]]:
        """Upright rows and columns to stored ones: `orient` backwards."""
        orientation = self._layout.orientation
        rows = [self.height - 1 - y if orientation in (3, 4, 7, 8) else y for y in rows]
        columns = [self.width - 1 - x if orientation in (2, 3, 6, 7) else x for x in columns]
        return (columns, rows) if orientation >= 5 else (rows, columns)

    def _read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """A window (n, m, 3) of stored rows and columns."""
        pixel = 3 * self._dtype.itemsize
        window = np.empty((bottom - top, right - left, 3), self._dtype)
        runs = [window] if right - left == self._layout.width else list(window)
        for i, run in enumerate(runs):
            self._file.seek(((top + i) * self._layout.width + left) * pixel)
            if self._file.readinto(run.data.cast("B")) != run.nbytes:
                raise EOFError("the spool ends early")
        return window


def thumbnail_of_source(source: Source) -> np.ndarray:
    """(64, 64, 3) float32: `picture.thumbnail` of the whole picture, from the pixels that it samples.

    OpenCV itself samples them, since its last bit depends on the processor: from a picture of full size of which
    nothing but those pixels is ever touched, so that the system gives memory for them alone.
    """
    H, W = source.height, source.width
    rows, columns = _sampled(H), _sampled(W)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    with mmap.mmap(-1, H * W * 12, flags=flags) as memory:
        sparse = np.frombuffer(memory, np.float32).reshape(H, W, 3)
        sparse[np.ix_(rows, columns)] = source.crossings(rows, columns)
        small = thumbnail(sparse).copy()
        del sparse
    return small


def _sampled(length: int) -> list[int]:
    """The pixels of an axis that bilinear sampling looks at."""
    from priorraw.pictures import THUMBNAIL as SIDE

    if length == SIDE:
        return list(range(SIDE))
    at = (np.arange(SIDE) + 0.5) * length / SIDE - 0.5
    near = np.floor(np.concatenate([at - 1e-3, at + 1e-3, at + 1 + 1e-3]))  # single precision rounds either way
    return np.unique(np.clip(near, 0, length - 1).astype(int)).tolist()
