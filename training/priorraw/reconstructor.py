"""Step 3, the reconstructor: sRGB and the inverse rendering in, linear raw-RGB and its expected error out.

Where nothing clipped, the closed-form inverse under the right light is exact up to the 8-bit codes. So the
network learns only what the inverse cannot know: what a clipped channel was, and how wrong the result may be.
It takes the light as given and is trained to be right *under that light*, inferred or hinted; the light itself
is the scene part's business.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.layers import Residual, decode, logit, mix_channels

CLIPPED = 0.02  # sRGB within this distance of 0 or 1 counts as partly clipped: JPEG moves clipped codes a little
RELIABLE_ERROR = 0.01  # expected absolute error at which the reliability is one half
ERROR_RANGE = (-10.0, -1.0)  # of the logarithm of the expected error


@dataclass(frozen=True)
class ReconstructorConfig:
    width: int = 32  # at half resolution; doubled and tripled below
    detail: int = 16  # channels brought back to full resolution


class Reconstructor(nn.Module):
    """A U-Net at half, quarter and eighth resolution, and 1x1 convolutions that join it with the full one."""

    def __init__(self, config: ReconstructorConfig):
        super().__init__()
        w0, w1, w2 = config.width, 2 * config.width, 3 * config.width
        inputs = 15  # sRGB, closed-form inverse, where it clipped above and below, response to white
        self.stem = nn.Conv2d(inputs, w0, 4, stride=2, padding=1)
        self.encode0 = Residual(w0)
        self.down1 = nn.Conv2d(w0, w1, 2, stride=2)
        self.encode1 = Residual(w1)
        self.down2 = nn.Conv2d(w1, w2, 2, stride=2)
        self.encode2 = nn.Sequential(Residual(w2), Residual(w2))
        self.up1 = nn.ConvTranspose2d(w2, w1, 2, stride=2)
        self.decode1 = Residual(w1)
        self.up0 = nn.ConvTranspose2d(w1, w0, 2, stride=2)
        self.decode0 = Residual(w0)
        self.up = nn.ConvTranspose2d(w0, config.detail, 2, stride=2)
        self.join = nn.Conv2d(config.detail + inputs, 32, 1)
        self.head = nn.Conv2d(32, 3, 1)
        self.error_head = nn.Conv2d(32, 1, 1)
        for parameter in (*self.head.parameters(), self.error_head.weight):
            nn.init.zeros_(parameter)  # so that training starts at the closed-form inverse
        assert self.error_head.bias is not None
        nn.init.constant_(self.error_head.bias, -6.0)  # an error of 0.25 %

    def forward(self, srgb: Tensor, transform: Tensor) -> tuple[Tensor, Tensor]:
        """Linear raw-RGB (N, 3, H, W) in (0, 1), and the logarithm of its expected error (N, 1, H, W).

        The error is absolute, the mean over the channels, and leaves out what a wrong light adds.

        Args:
            srgb: (N, 3, H, W) in [0, 1]; H and W multiples of 8.
            transform: (N, 9) matrix from linear sRGB to raw-RGB; its rows sum to the response to white.
        """
        base = mix_channels(decode(srgb), transform)
        high = ((srgb - (1 - CLIPPED)) * (1 / CLIPPED)).clamp(0, 1)
        low = ((CLIPPED - srgb) * (1 / CLIPPED)).clamp(0, 1)
        rows = [transform[:, i : i + 1] + transform[:, i + 1 : i + 2] + transform[:, i + 2 : i + 3] for i in (0, 3, 6)]
        white = srgb * 0.0 + torch.cat(rows, 1).unsqueeze(-1).unsqueeze(-1)  # XNNPACK leaves expand and ones_like out
        x = torch.cat([srgb - 0.5, base, high, low, white - 0.5], 1)
        x0 = self.encode0(F.relu(self.stem(x)))
        x1 = self.encode1(F.relu(self.down1(x0)))
        x2 = self.encode2(F.relu(self.down2(x1)))
        y1 = self.decode1(F.relu(self.up1(x2) + x1))
        y0 = self.decode0(F.relu(self.up0(y1) + x0))
        joined = F.relu(self.join(torch.cat([F.relu(self.up(y0)), x], 1)))
        raw = torch.sigmoid(logit(base) + self.head(joined) * any_channel(torch.maximum(high, low)))
        return raw, self.error_head(joined).clamp(*ERROR_RANGE)


def any_channel(mask: Tensor) -> Tensor:
    """(N, 3, H, W) to the largest of the channels (N, 1, H, W); amax over channels would not lower."""
    return torch.maximum(torch.maximum(mask[:, 0:1], mask[:, 1:2]), mask[:, 2:3])


def reliability_of(raw: Tensor, log_error: Tensor, light_error: Tensor) -> Tensor:
    """r = 0.01 / (0.01 + e), where e is the expected mean absolute error of a pixel in raw-RGB [0, 1].

    Args:
        raw: (N, 3, H, W) the result; a wrong light errs in proportion to it.
        log_error: (N, 1, H, W) from the reconstructor.
        light_error: (N, 1) expected relative error that the light adds.

    Returns:
        (N, 1, H, W) in (0, 1): one half where the expected error is 1 % of full scale.
    """
    mean = (raw[:, 0:1] + raw[:, 1:2] + raw[:, 2:3]) * (1 / 3)
    error = torch.exp(log_error) + light_error.unsqueeze(-1).unsqueeze(-1) * mean
    return torch.sigmoid(-torch.log(error * (1 / RELIABLE_ERROR)))
