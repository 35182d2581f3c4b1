"""Geometric self-ensemble: the mean of what an engine says of a picture turned and mirrored, at its price in time.

A network is not quite as good at a pattern as at its mirror image, and where the answers differ their mean is nearer to
the truth (Timofte, Rothe, Van Gool, "Seven ways to improve example-based single image super resolution", CVPR 2016).
"""

from typing import NamedTuple

import numpy as np

from priorraw_edge.runtime.engine import Engine


class Turn(NamedTuple):
    """Rows and columns are flipped, then exchanged."""

    rows: bool
    columns: bool
    transposed: bool


# All that a square has. The first 1, 2, 4 or 8 are as unlike as so many can be.
TURNS = (
    Turn(False, False, False),
    Turn(True, True, True),
    Turn(True, True, False),
    Turn(False, False, True),
    Turn(True, False, False),
    Turn(False, True, False),
    Turn(True, False, True),
    Turn(False, True, True),
)


class SelfEnsemble:
    """An `Engine` whose tiles are means over the first `count` of `TURNS`.

    Its scene vectors are those of the views, stacked. Tiles leave no seam: their sides and origins are multiples of the
    stride, so that the strided layers sample a turned picture on one grid in every tile, and all halos are as wide.
    """

    def __init__(self, engine: Engine, count: int):
        self._engine, self._turns = engine, TURNS[:count]
        self.camera, self.color_matrix = engine.camera, engine.color_matrix
        self.tile_size, self.halo, self.align = engine.tile_size, engine.halo, engine.align

    def scene(self, thumbnail: np.ndarray) -> np.ndarray:
        return np.stack([self._engine.scene(turned(thumbnail, turn)) for turn in self._turns])

    def with_light(self, scene: np.ndarray, light: np.ndarray) -> np.ndarray:
        return np.stack([self._engine.with_light(of_view, light) for of_view in scene])

    def tile(self, srgb: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        high, reliability = np.zeros_like(srgb), np.zeros(srgb.shape[:2], np.float32)
        for turn, of_view in zip(self._turns, scene, strict=True):
            # Added before the next view is run, which may write its results where these lie.
            parts = self._engine.tile(turned(srgb, turn), of_view)
            high += turned_back(parts[0], turn)
            reliability += turned_back(parts[1], turn)
        return high / len(self._turns), reliability / len(self._turns)


def with_views(engine: Engine, count: int) -> Engine:
    """The engine itself for one view, else its self-ensemble."""
    return engine if count == 1 else SelfEnsemble(engine, count)


def turned(picture: np.ndarray, turn: Turn) -> np.ndarray:
    """(H, W, ...) seen so; (W, H, ...) where it is transposed."""
    picture = picture[:: -1 if turn.rows else 1, :: -1 if turn.columns else 1]
    return picture.swapaxes(0, 1) if turn.transposed else picture


def turned_back(picture: np.ndarray, turn: Turn) -> np.ndarray:
    """Inverse of `turned`."""
    return turned(picture.swapaxes(0, 1) if turn.transposed else picture, turn._replace(transposed=False))
