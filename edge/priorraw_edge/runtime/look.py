"""The look that a viewer dials, on RAW and on a JPEG alike: exposure, highlights, warmth, tint.

The local page computes the same in the browser and the Android demo the same without highlights; their tests compare
with this file.
"""

from dataclasses import dataclass

import numpy as np
from priorraw import isp

HIGHLIGHT_STOPS = 2.0  # what the whole highlights slider takes from (or gives to) light of twice white
HIGHLIGHT_RANGE = (-3.0, 1.0)  # stops about white between which the slider takes hold
SENSOR_WHITE = 0.9  # from here to 1 a channel counts as clipped, more and more: gains would tint it
LUMINANCE = np.array([0.25, 0.5, 0.25], np.float32)  # of white-balanced camera RGB or linear sRGB, roughly


@dataclass(frozen=True)
class Look:
    """What the user has dialled; all zero is the plain rendering.

    Attributes:
        exposure: stops (EV).
        highlights: -1 to 1; less than 0 brings bright parts down.
        warmth: stops of red against blue, positive is warmer.
        tint: stops of green, positive is greener.
    """

    exposure: float = 0.0
    highlights: float = 0.0
    warmth: float = 0.0
    tint: float = 0.0

    def factors(self) -> np.ndarray:
        """(3,) float32 factors on linear light."""
        stops = self.exposure + np.array([self.warmth / 2, self.tint, -self.warmth / 2])
        return (2.0**stops).astype(np.float32)


def develop(raw: np.ndarray, neutral: np.ndarray, color_matrix: np.ndarray, look: Look = Look()) -> np.ndarray:
    """Raw-RGB to sRGB for viewing: `isp.render` with the look between its white balance and its clipping.

    Channels that the gains lift above white are kept for looks that bring them back down, but not where the sensor
    itself clipped: what is left there has lost its colour.

    Args:
        raw: (H, W, 3) float32 linear raw-RGB in [0, 1].
        neutral: (3,) the sensor's response to white, on any scale.
        color_matrix: (3, 3) XYZ (D65) to camera.

    Returns:
        (H, W, 3) float32 sRGB in [0, 1]. With the plain look exactly `isp.render`'s.
    """
    balanced = isp.white_balance(raw, isp.gains_from_illuminant(neutral))
    clipped = _smoothstep((raw.max(-1, keepdims=True) - np.float32(SENSOR_WHITE)) / np.float32(1 - SENSOR_WHITE))
    balanced = balanced - clipped * np.maximum(balanced - 1, 0)
    shown = np.clip(_dialled(balanced, look), 0, 1)
    linear = np.clip(isp.apply_matrix(shown, np.linalg.inv(isp.camera_from_srgb(color_matrix))), 0, 1)
    return isp.srgb_encode(isp.tone(linear))


def adjust(srgb: np.ndarray, look: Look) -> np.ndarray:
    """The same dials on a finished picture, as an editor turns them on a JPEG: decode, scale, clip, encode.

    Args:
        srgb: (H, W, 3) float32 sRGB in [0, 1].
    """
    return isp.srgb_encode(np.clip(_dialled(isp.srgb_decode(srgb), look), 0, 1))


def _dialled(linear: np.ndarray, look: Look) -> np.ndarray:
    """Factors of the look, then the highlights: a gain by the light of each pixel, so that hues stay."""
    light = linear * look.factors()
    if look.highlights == 0:
        return light
    low, high = HIGHLIGHT_RANGE
    stops = np.log2(np.maximum(light @ LUMINANCE, np.float32(1e-6)))[..., None]
    weight = _smoothstep((stops - np.float32(low)) / np.float32(high - low))
    return light * np.exp2(np.float32(look.highlights * HIGHLIGHT_STOPS) * weight)


def _smoothstep(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
