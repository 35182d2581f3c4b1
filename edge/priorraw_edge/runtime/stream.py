"""One picture on its way through the engine by rows of tiles, so that memory does not grow with its height."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from priorraw.errors import InputError
from priorraw.neutral import NeutralFit
from priorraw.progress import track
from priorraw.rendering import Rendering

from priorraw_edge.runtime.engine import Engine
from priorraw_edge.runtime.picture import to_unit
from priorraw_edge.runtime.preview import preview_of
from priorraw_edge.runtime.source import RenderedSource, Source, thumbnail_of_source
from priorraw_edge.runtime.tiles import plan, read_tile

NEUTRAL_CHROMA = 0.1  # how fast a colour's word on the light fades: standard deviation of its HSV saturation
COLOURED = 1e-6  # weight that every pixel keeps, for pictures of colours alone
LEVELS = 256  # of reliability that are told apart in its summary
GRID = 4  # every fourth row and column tells the light: as well as all pixels, at a sixteenth of their cost


@dataclass(frozen=True)
class Band:
    """The cores of a row of tiles, as wide as the picture. The arrays are written again for the next band."""

    raw: np.ndarray  # (n, W, 3) float32 linear raw-RGB in [0, 1], 1 = white level
    reliability: np.ndarray  # (n, W) float32: 0.01 / (0.01 + expected mean absolute error of the pixel)


class Stream:
    """A picture, an engine, and what is known once all bands have passed."""

    def __init__(
        self,
        source: Source,
        engine: Engine,
        name: str = "picture",
        known_neutral: np.ndarray | None = None,
        rendering: Rendering | None = None,
        *,
        raw: bool = True,
    ):
        """
        Args:
            source: the sRGB picture, any size from 1x1.
            engine: the model of one camera.
            name: what the progress bar and an error call the picture.
            raw: whether the engine makes RAW, whose light is to be told; off for other tasks.
            known_neutral: (3,) the sensor's response to white where a hint tells it, on any scale; the model then
                infers no light. None is blind.
            rendering: how the camera made the picture; None takes it for our ISP's.

        Raises:
            ValueError: `known_neutral` is not positive and finite.
        """
        if known_neutral is not None and not (np.isfinite(known_neutral).all() and (known_neutral > 0).all()):
            raise ValueError(f"a response to white of {known_neutral}")
        self.height, self.width = source.height, source.width
        self.camera, self.color_matrix = engine.camera, engine.color_matrix
        self.source, self._engine, self._name = source, engine, name
        self._seen = RenderedSource(source, rendering, engine.color_matrix) if rendering else source
        self._known_neutral = known_neutral
        self._light = NeutralFit(engine.color_matrix) if raw else None
        self._reliability = 0.0
        self._levels = np.zeros(LEVELS, np.int64)  # how many pixels of the grid have each
        self._scene = engine.scene(thumbnail_of_source(self._seen))
        if known_neutral is not None:
            light = np.log(known_neutral[[0, 2]] / known_neutral[1]).astype(np.float32)
            self._scene = engine.with_light(self._scene, light)

    def bands(self) -> Iterator[Band]:
        """All bands from the top, once.

        Raises:
            InputError: the model returned NaN or infinity.
        """
        engine, T, W = self._engine, self._engine.tile_size, self.width
        raw, reliability = np.empty((T, W, 3), np.float32), np.empty((T, W), np.float32)
        tiles = plan(self.height, W, T, engine.halo, engine.align)
        window, y = np.empty(0), -1
        for tile in track(tiles, f"reconstruct {self._name}"):
            if tile.y != y:
                y = tile.y
                window = self._seen.window(y, min(y + T, self.height), 0, W)
            srgb = to_unit(read_tile(window, 0, tile.x, T))
            tile_raw, tile_reliability = engine.tile(srgb, self._scene)
            inner = tile.core_in_tile
            if not (np.isfinite(tile_raw[inner]).all() and np.isfinite(tile_reliability[inner]).all()):
                raise InputError(
                    f"{self._name}: the model for {engine.camera} returned NaN; its assets or bundle are damaged"
                )
            n, columns = tile.bottom - tile.top, slice(tile.left, tile.right)
            raw[:n, columns], reliability[:n, columns] = tile_raw[inner], tile_reliability[inner]
            grid = slice(-tile.top % GRID, n, GRID), slice(-tile.left % GRID, None, GRID)  # whatever the tiling
            trusted = reliability[:n, columns][grid]
            if self._light is not None:
                few = srgb[inner][grid]
                self._light.add(raw[:n, columns][grid], few, trusted * near_neutral(few))
            levels = np.clip(trusted * LEVELS, 0, LEVELS - 1).astype(np.intp)
            self._levels += np.bincount(levels.ravel(), minlength=LEVELS)
            if tile.right == W:
                self._reliability += float(reliability[:n].sum(dtype=np.float64))
                yield Band(raw[:n], reliability[:n])

    def neutral(self) -> np.ndarray:
        """(3,) the sensor's response to white, largest 1: DNG's AsShotNeutral; the known one if given."""
        assert self._light is not None, "only RAW has a light"
        known = self._known_neutral
        return self._light.neutral() if known is None else known / known.max()

    def preview(self) -> np.ndarray:
        """(h, w, 3) uint8 sRGB: the photograph itself, small."""
        return preview_of(self.source)

    def mean_reliability(self) -> float:
        """Over the pixels of all bands so far."""
        return self._reliability / (self.height * self.width)

    def reliability_quantile(self, share: float) -> float:
        """What `share` of the pixels of all bands so far reach at most; to 1/256, from a pixel in sixteen."""
        below = np.cumsum(self._levels)
        return float(np.searchsorted(below, share * below[-1])) / LEVELS


def near_neutral(srgb: np.ndarray) -> np.ndarray:
    """Weight (...) in (0, 1] of pixels (..., 3) sRGB in [0, 1]: greys tell the light, whatever the colour matrix.

    Real pictures rendered through another camera's matrix: the light is off by 0.07 to 0.14 degrees so weighted, by
    0.15 to 0.34 where all colours count alike (docs/dng.md).
    """
    red, green, blue = np.ascontiguousarray(np.moveaxis(srgb, -1, 0))  # a plane at a time is several times as fast
    largest = np.maximum(np.maximum(red, green), blue)
    chroma = (largest - np.minimum(np.minimum(red, green), blue)) / np.maximum(largest, np.float32(1e-6))
    return np.exp(chroma * chroma * np.float32(-0.5 / NEUTRAL_CHROMA**2)) + np.float32(COLOURED)
