"""The tile planner: any picture through fixed tiles, with the result of one pass over the whole picture.

The whole-picture result is the network applied to the picture padded on the right and at the bottom to a
multiple of `align` and to one tile at least, with the network's own zero padding at every layer. The padding
repeats the edge: that is defined for every size (reflection is not, for one pixel), adds no structure, and
needs no padded copy of the picture.

A tile starts at a multiple of `align`, so that strided layers sample the same grid, and keeps its core: it
drops `halo` pixels on each side that lies inside the picture, and nothing on a side at the picture's border,
where the network's zero padding is the true one. As long as `halo` covers the receptive field's radius, no
seam can show. The cores partition the picture.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tile:
    """Where a tile reads and which part of it counts; pixels of the picture, half-open ranges."""

    y: int  # origin: top row and left column of the tile's T x T source
    x: int
    top: int  # core: rows top to bottom, columns left to right
    bottom: int
    left: int
    right: int

    @property
    def core(self) -> tuple[slice, slice]:
        """The core in the picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def core_in_tile(self) -> tuple[slice, slice]:
        """The core in the tile."""
        return (
            slice(self.top - self.y, self.bottom - self.y),
            slice(self.left - self.x, self.right - self.x),
        )


def padded(length: int, tile: int, align: int) -> int:
    """Length of an axis after padding: a multiple of `align`, one tile at least."""
    return max(tile, -(-length // align) * align)


def plan_axis(length: int, tile: int, halo: int, align: int) -> list[tuple[int, int, int]]:
    """Tiles along one axis: (origin, core start, core stop).

    Raises:
        ValueError: the tile is no multiple of `align`, or too small to keep anything between two halos.
    """
    step = (tile - 2 * halo) // align * align
    if tile % align or step < 1:
        raise ValueError(f"tile {tile} with halo {halo} and align {align} leaves no core")
    end = padded(length, tile, align)
    origins = [*range(0, end - tile, step), end - tile]
    stops = [*(origin + tile - halo for origin in origins[:-1]), length]
    return list(zip(origins, [0, *stops[:-1]], stops, strict=True))


def plan(height: int, width: int, tile: int, halo: int, align: int) -> list[Tile]:
    """All tiles of a picture, row by row."""
    columns = plan_axis(width, tile, halo, align)
    return [
        Tile(y, x, top, bottom, left, right)
        for y, top, bottom in plan_axis(height, tile, halo, align)
        for x, left, right in columns
    ]


def read_tile(picture: np.ndarray, y: int, x: int, tile: int) -> np.ndarray:
    """The (tile, tile, C) source at (y, x), the picture's edge repeated where it ends; no copy where it does not."""
    part = picture[y : y + tile, x : x + tile]
    if part.shape[:2] == (tile, tile):
        return part
    missing = (0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)
    return np.pad(part, missing, mode="edge")
