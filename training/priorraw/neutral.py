"""The light that a raw-RGB picture shows, measured on the picture itself."""

import numpy as np

from priorraw import isp

UNCLIPPED = (0.02, 0.98)  # sRGB codes that tell of the light: neither noise nor clipping


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
        """Take in pixels: raw and srgb (..., 3), reliability (...); one or more leading axes."""
        linear = isp.inverse_tone(isp.srgb_decode(srgb))
        balanced = isp.apply_matrix(linear, self._camera_from_srgb).astype(np.float64)
        low, high = UNCLIPPED
        weight = (reliability * ((srgb > low) & (srgb < high)).all(-1))[..., None]
        terms = np.stack([raw * balanced, balanced * balanced])
        self._weighted += (weight * terms).reshape(2, -1, 3).sum(1)
        self._plain += terms.reshape(2, -1, 3).sum(1)

    def response(self) -> np.ndarray | None:
        """(3,) response to white on the picture's own scale; None for a picture that is black throughout."""
        for numerator, denominator in (self._weighted, self._plain):
            if (denominator > 0).all() and (numerator > 0).all():
                return numerator / denominator
        return None

    def neutral(self) -> np.ndarray:
        """(3,) response to white, largest 1. Equal responses for a picture that is black throughout."""
        response = self.response()
        return np.ones(3) if response is None else response / response.max()
