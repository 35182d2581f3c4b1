"""The scene's light: what the camera divided out, inferred from a thumbnail and from the prior.

Light is (log r/g, log b/g) of the sensor's response to white. The prior gives a first estimate by
reliability-weighted least squares; a small network that sees the thumbnail and the assembled RAW corrects it
and says how far it may be off.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.layers import Residual, decode, halve, mix_channels, picture_mean

CAMERA_VALUES = 13  # camera vector: matrix from linear sRGB (9), mean light (2), its standard deviation (2)
ERROR_RANGE = (-7.0, 0.0)  # of the logarithm of the expected relative error


@dataclass(frozen=True)
class LightConfig:
    prior: bool = True  # assembled RAW, distance and fitted light as input; off: the same network on sRGB only
    width: int = 32  # at half the thumbnail's resolution; doubled twice below


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


def response_to_white(light: Tensor) -> Tensor:
    """(N, 2) light to the sensor's response to white (N, 3), the largest 1; `isp.gains_from_illuminant` inverted."""
    red, blue = torch.exp(light[:, 0:1]), torch.exp(light[:, 1:2])
    top = torch.maximum(red, blue).clamp(min=1)
    ones = torch.ones(1, 1, dtype=light.dtype, device=light.device)
    return torch.cat([red / top, ones / top, blue / top], 1)


def inverse_transform(light: Tensor, camera_from_srgb: Tensor) -> Tensor:
    """(N, 2) light and (N, 9) matrix to the (N, 9) matrix from linear sRGB to raw-RGB."""
    response = response_to_white(light)
    ones = torch.ones(1, 3, dtype=light.dtype, device=light.device)
    rows = torch.cat([response[:, 0:1] * ones, response[:, 1:2] * ones, response[:, 2:3] * ones], 1)
    return rows * camera_from_srgb


class Light(nn.Module):
    """Thumbnail and its lookup in the bank to light, in units of the camera's own spread of lights."""

    def __init__(self, config: LightConfig):
        super().__init__()
        self.prior = config.prior
        w0, w1, w2 = config.width, 2 * config.width, 4 * config.width
        self.stem = nn.Conv2d(3, w0, 4, stride=2, padding=1)
        self.down1 = nn.Conv2d(w0 + (10 if config.prior else 0), w1, 3, stride=2, padding=1)
        self.encode1 = Residual(w1)
        self.down2 = nn.Conv2d(w1, w2, 3, stride=2, padding=1)
        self.encode2 = Residual(w2)
        self.dropout = nn.Dropout(0.2)  # about two thousand scenes: it overfits without
        self.hidden = nn.Linear(w2 + (2 if config.prior else 0), w2)
        self.head = nn.Linear(w2, 2)
        self.error_head = nn.Linear(w2, 1)
        for head, bias in ((self.head, 0.0), (self.error_head, -2.0)):
            nn.init.zeros_(head.weight)
            nn.init.constant_(head.bias, bias)

    def forward(self, thumbnail: Tensor, maps: Tensor | None, camera: Tensor) -> tuple[Tensor, Tensor]:
        """Light (N, 2), and the logarithm of the relative error (N, 1) that it is expected to cause.

        Args:
            thumbnail: (N, 3, S, S) sRGB.
            maps: (N, 7, S/2, S/2) assembled RAW, distance and affinity peak; None without prior.
            camera: (N, 13) camera vector.
        """
        mean, spread = camera[:, 9:11], camera[:, 11:13]
        x = F.relu(self.stem(thumbnail - 0.5))
        if maps is not None:
            half = halve(thumbnail)
            balanced = mix_channels(decode(half), camera[:, :9])
            x = torch.cat([x, maps, balanced], 1)
        x = self.encode1(F.relu(self.down1(x)))
        x = self.encode2(F.relu(self.down2(F.relu(x))))
        x = self.dropout(picture_mean(F.relu(x)))
        if maps is not None:
            brightest = torch.maximum(torch.maximum(half[:, 0:1], half[:, 1:2]), half[:, 2:3])
            peak = maps[:, 6:7]
            fitted = fit_light(maps[:, :3], balanced, peak * peak * F.relu(0.95 - brightest))
            x = torch.cat([x, ((fitted - mean) / spread).clamp(-4, 4)], 1)
        x = F.relu(self.hidden(x))
        return mean + spread * self.head(x), self.error_head(x).clamp(*ERROR_RANGE)
