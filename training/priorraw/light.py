"""The scene's light: what the camera divided out, inferred from a thumbnail and from the prior.

Light is (log r/g, log b/g) of the sensor's response to white. The prior gives a first estimate by
reliability-weighted least squares; a small network that sees the thumbnail and the assembled RAW corrects it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.layers import picture_mean

HIDDEN = 64
CAMERA_VALUES = 13  # camera vector: matrix from linear sRGB (9), mean light (2), its standard deviation (2)


def fit_light(assembled_raw: Tensor, balanced: Tensor, weight: Tensor) -> Tensor:
    """Gains per channel from the white-balanced picture to the assembled RAW, by weighted least squares.

    Args:
        assembled_raw: (N, 3, h, w) from the bank.
        balanced: (N, 3, h, w) inverse-rendered sRGB, before the gains are undone.
        weight: (N, 1, h, w), 0 where clipped or unreliable.

    Returns:
        (N, 2) light.
    """
    numerator = picture_mean(weight * assembled_raw * balanced) + 1e-6
    denominator = picture_mean(weight * balanced * balanced) + 1e-6
    ratio = torch.log(numerator) - torch.log(denominator)
    return torch.cat([ratio[:, 0:1] - ratio[:, 1:2], ratio[:, 2:3] - ratio[:, 1:2]], 1)


def inverse_transform(light: Tensor, camera_from_srgb: Tensor) -> Tensor:
    """(N, 2) light and (N, 9) matrix to the (N, 9) matrix from linear sRGB to raw-RGB.

    Scaled so that the largest response is 1: the inverse of `isp.gains_from_illuminant`.
    """
    red, blue = torch.exp(light[:, 0:1]), torch.exp(light[:, 1:2])
    top = torch.maximum(red, blue).clamp(min=1)
    ones = torch.ones(1, 3, dtype=light.dtype, device=light.device)
    rows = torch.cat([red / top * ones, ones / top, blue / top * ones], 1)
    return rows * camera_from_srgb


class Light(nn.Module):
    """Thumbnail and lookup maps to light, in units of the camera's own spread of lights."""

    def __init__(self, prior: bool):
        super().__init__()
        self.prior = prior
        self.stem = nn.Conv2d(3, 24, 4, stride=2, padding=1)
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=s, padding=1)
            for i, o, s in ((24 + (10 if prior else 0), 48, 1), (48, HIDDEN, 2), (HIDDEN, HIDDEN, 2))
        )
        self.dropout = nn.Dropout(0.3)  # about two thousand scenes: it overfits within minutes without
        self.hidden = nn.Linear(HIDDEN + (2 if prior else 0), HIDDEN)
        self.head = nn.Linear(HIDDEN, 2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, thumbnail: Tensor, maps: Tensor | None, fitted: Tensor | None, camera: Tensor) -> Tensor:
        """Light (N, 2).

        Args:
            thumbnail: (N, 3, S, S) sRGB.
            maps: (N, 10, S/2, S/2) assembled RAW, distance, peak and white-balanced RAW; None without prior.
            fitted: (N, 2) from `fit_light`; None without prior.
            camera: (N, 13) camera vector.
        """
        mean, spread = camera[:, 9:11], camera[:, 11:13]
        x = F.relu(self.stem(thumbnail - 0.5))
        if maps is not None:
            x = torch.cat([x, maps], 1)
        for conv in self.convs:
            x = F.relu(conv(x))
        x = picture_mean(x)
        x = self.dropout(x)
        if fitted is not None:
            x = torch.cat([x, ((fitted - mean) / spread).clamp(-4, 4)], 1)
        return mean + spread * self.head(F.relu(self.hidden(x)))
