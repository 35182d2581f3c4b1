"""A photograph to raw-RGB: scene once, tiles in turn, white balance from the result."""

from dataclasses import dataclass

import numpy as np
from priorraw.errors import InputError
from priorraw.neutral import NeutralFit
from priorraw.progress import track

from priorraw_edge.runtime.engine import Engine
from priorraw_edge.runtime.picture import thumbnail
from priorraw_edge.runtime.tiles import plan, run_tiles


@dataclass(frozen=True)
class Reconstruction:
    raw: np.ndarray  # (H, W, 3) float32 linear raw-RGB in [0, 1], 1 = white level
    reliability: np.ndarray  # (H, W) float32: 0.01 / (0.01 + expected mean absolute error of the pixel)
    neutral: np.ndarray  # (3,) the sensor's response to white, largest 1: DNG's AsShotNeutral; the known one if given
    camera: str
    color_matrix: np.ndarray  # (3, 3) XYZ (D65) to camera


def reconstruct(
    srgb: np.ndarray, engine: Engine, name: str = "picture", known_neutral: np.ndarray | None = None
) -> Reconstruction:
    """Rebuild the raw-RGB picture behind an sRGB picture.

    Args:
        srgb: (H, W, 3) float32 in [0, 1], any size from 1x1.
        engine: the model of one camera.
        name: what the progress bar and an error call the picture.
        known_neutral: (3,) the sensor's response to white where a hint tells it, on any scale; the model then
            infers no light. None is blind.

    Raises:
        InputError: the model returned NaN or infinity.
        ValueError: `known_neutral` is not positive and finite.
    """
    scene = engine.scene(thumbnail(srgb))
    if known_neutral is not None:
        if not (np.isfinite(known_neutral).all() and (known_neutral > 0).all()):
            raise ValueError(f"a response to white of {known_neutral}")
        scene = engine.with_light(scene, np.log(known_neutral[[0, 2]] / known_neutral[1]).astype(np.float32))
    raw = np.empty(srgb.shape, np.float32)
    reliability = np.empty(srgb.shape[:2], np.float32)
    light = NeutralFit(engine.color_matrix)
    height, width = srgb.shape[:2]
    count = len(plan(height, width, engine.tile_size, engine.halo, engine.align))
    for tile in track(run_tiles(engine, srgb, scene, raw, reliability), f"reconstruct {name}", total=count):
        if not (np.isfinite(raw[tile.core]).all() and np.isfinite(reliability[tile.core]).all()):
            raise InputError(f"{name}: the model for {engine.camera} returned NaN; its assets or bundle are damaged")
        light.add(raw[tile.core], srgb[tile.core], reliability[tile.core])
    neutral = light.neutral() if known_neutral is None else known_neutral / known_neutral.max()
    return Reconstruction(raw, reliability, neutral, engine.camera, engine.color_matrix)
