"""A photograph in memory to raw-RGB: the stream of `stream`, gathered."""

from dataclasses import dataclass

import numpy as np

from priorraw_edge.runtime.engine import Engine
from priorraw_edge.runtime.source import ArraySource
from priorraw_edge.runtime.stream import Stream


@dataclass(frozen=True)
class Reconstruction:
    raw: np.ndarray  # (H, W, 3) float32 linear raw-RGB in [0, 1], 1 = white level
    reliability: np.ndarray  # (H, W) float32: 0.01 / (0.01 + expected mean absolute error of the pixel)
    neutral: np.ndarray  # (3,) the sensor's response to white, largest 1: DNG's AsShotNeutral; the known one if given
    camera: str
    color_matrix: np.ndarray  # (3, 3) XYZ (D65) to camera
    preview: np.ndarray  # (h, w, 3) uint8: the sRGB picture, small


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
    return gather(Stream(ArraySource(srgb), engine, name, known_neutral))


def gather(stream: Stream) -> Reconstruction:
    """A whole picture out of its bands.

    Raises:
        InputError: the model returned NaN or infinity.
    """
    H, W = stream.height, stream.width
    raw, reliability = np.empty((H, W, 3), np.float32), np.empty((H, W), np.float32)
    y = 0
    for band in stream.bands():
        rows = slice(y, y + len(band.raw))
        raw[rows], reliability[rows] = band.raw, band.reliability
        y = rows.stop
    return Reconstruction(raw, reliability, stream.neutral(), stream.camera, stream.color_matrix, stream.preview())
