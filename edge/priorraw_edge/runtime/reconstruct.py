"""A photograph to raw-RGB: scene once, tiles in turn, white balance from the result."""

from dataclasses import dataclass

import numpy as np
from priorraw import isp
from priorraw.errors import InputError
from priorraw.progress import track

from priorraw_edge.runtime.engine import Engine
from priorraw_edge.runtime.picture import thumbnail
from priorraw_edge.runtime.tiles import plan, run_tiles

UNCLIPPED = (0.02, 0.98)  # sRGB codes that tell of the light: neither noise nor clipping


@dataclass(frozen=True)
class Reconstruction:
    raw: np.ndarray  # (H, W, 3) float32 linear raw-RGB in [0, 1], 1 = white level
    reliability: np.ndarray  # (H, W) float32 in [0, 1], 1 = the prior knew this pixel
    neutral: np.ndarray  # (3,) the sensor's response to white, largest 1: DNG's AsShotNeutral
    camera: str
    color_matrix: np.ndarray  # (3, 3) XYZ (D65) to camera


def reconstruct(srgb: np.ndarray, engine: Engine, name: str = "picture") -> Reconstruction:
    """Rebuild the raw-RGB picture behind an sRGB picture.

    Args:
        srgb: (H, W, 3) float32 in [0, 1], any size from 1x1.
        engine: the model of one camera.
        name: what the progress bar and an error call the picture.

    Raises:
        InputError: the model returned NaN or infinity.
    """
    scene = engine.scene(thumbnail(srgb))
    raw = np.empty(srgb.shape, np.float32)
    reliability = np.empty(srgb.shape[:2], np.float32)
    light = NeutralFit(engine.color_matrix)
    height, width = srgb.shape[:2]
    count = len(plan(height, width, engine.tile_size, engine.halo, engine.align))
    for tile in track(run_tiles(engine, srgb, scene, raw, reliability), f"reconstruct {name}", total=count):
        if not (np.isfinite(raw[tile.core]).all() and np.isfinite(reliability[tile.core]).all()):
            raise InputError(f"{name}: the model for {engine.camera} returned NaN; its assets or bundle are damaged")
        light.add(raw[tile.core], srgb[tile.core], reliability[tile.core])
    return Reconstruction(raw, reliability, light.neutral(), engine.camera, engine.color_matrix)


class NeutralFit:
    """The sensor's response to white, by least squares from the white-balanced picture to the raw-RGB.

    With b = the sRGB picture undone up to the white balance (`isp.unrender` without gains), a channel of raw
    is n b: n = sum(w raw b) / sum(w b b), w = reliability where no sRGB code is near 0 or 1, else 0. Sums run
    over tiles, so memory stays bounded.
    """

    def __init__(self, color_matrix: np.ndarray):
        self._camera_from_srgb = isp.camera_from_srgb(color_matrix)
        self._weighted = np.zeros((2, 3))  # numerator and denominator, unclipped and reliable pixels
        self._plain = np.zeros((2, 3))  # the same over all pixels, for pictures that are clipped everywhere

    def add(self, raw: np.ndarray, srgb: np.ndarray, reliability: np.ndarray) -> None:
        """Take in pixels: raw and srgb (h, w, 3), reliability (h, w)."""
        linear = isp.inverse_tone(isp.srgb_decode(srgb))
        balanced = isp.apply_matrix(linear, self._camera_from_srgb).astype(np.float64)
        low, high = UNCLIPPED
        weight = (reliability * ((srgb > low) & (srgb < high)).all(-1))[..., None]
        terms = np.stack([raw * balanced, balanced * balanced])
        self._weighted += (weight * terms).sum((1, 2))
        self._plain += terms.sum((1, 2))

    def neutral(self) -> np.ndarray:
        """(3,) response to white, largest 1. Equal responses for a picture that is black throughout."""
        for numerator, denominator in (self._weighted, self._plain):
            if (denominator > 0).all() and (numerator > 0).all():
                response = numerator / denominator
                return response / response.max()
        return np.ones(3)
