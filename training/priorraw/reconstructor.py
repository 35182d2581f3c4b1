"""Step 3, the reconstructor: sRGB and the inverse rendering in, linear raw-RGB and its expected error out.

Where nothing clipped, the closed-form inverse under the right light is exact up to the 8-bit codes. So the
network learns only what the inverse cannot know: what a clipped channel was, and how wrong the result may be.
It takes the light as given and is trained to be right *under that light*, inferred or hinted; the light itself
is the scene part's business.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.layers import Residual, Upsample, decode, mix_channels

CLIPPED = 0.02  # sRGB within this distance of 0 or 1 counts as partly clipped: JPEG moves clipped codes a little
RELIABLE_ERROR = 0.01  # expected absolute error at which the reliability is one half
ERROR_RANGE = (-10.0, -1.0)  # of the logarithm of the expected error


@dataclass(frozen=True)
class ReconstructorConfig:
    detail: int = 24  # channels at half resolution
    width: int = 48  # at quarter resolution
    deep: int = 64  # at eighth resolution


class Reconstructor(nn.Module):
    """A U-Net whose 3x3 convolutions lie at quarter and eighth resolution, and which ends at full resolution.

    A phone's time goes into bytes as much as into operations: no feature map is as large as the picture.
    """

    def __init__(self, config: ReconstructorConfig):
        super().__init__()
        w0, w1, w2 = config.detail, config.width, config.deep
        self.stem = nn.Conv2d(9, w0, 2, stride=2)  # sRGB, closed-form inverse, where it clipped
        self.down1 = nn.Conv2d(w0, w1, 2, stride=2)
        self.white = nn.Linear(3, w1)
        self.encode1 = Residual(w1)
        self.down2 = nn.Conv2d(w1, w2, 2, stride=2)
        self.encode2 = nn.Sequential(Residual(w2), Residual(w2))
        self.up1 = Upsample(w2, w1)
        self.decode1 = Residual(w1)
        self.up0 = Upsample(w1, w0)
        self.join = nn.Conv2d(w0, w0, 1)
        self.head = Upsample(w0, 4)
        last = self.head.spread
        assert last.bias is not None
        nn.init.zeros_(last.weight)  # so that training starts at the closed-form inverse
        last.bias.data = torch.tensor([0.0, 0.0, 0.0, -6.0]).repeat_interleave(4)  # an error of 0.25 %

    def forward(self, srgb: Tensor, transform: Tensor) -> tuple[Tensor, Tensor]:
        """Linear raw-RGB (N, 3, H, W), and the logarithm of its expected error (N, 1, H, W).

        What the network adds may leave [0, 1]: there a gradient still says so; `PriorRAW.tile` clamps. The error is
        absolute, the mean over the channels, and leaves out what a wrong light adds.

        Args:
            srgb: (N, 3, H, W) in [0, 1]; H and W multiples of 8.
            transform: (N, 9) matrix from linear sRGB to raw-RGB; its rows sum to the response to white.
        """
        base = mix_channels(decode(srgb), transform).clamp(0, 1)
        centred = srgb - 0.5
        clipped = (centred - centred.clamp(CLIPPED - 0.5, 0.5 - CLIPPED)) * (1 / CLIPPED)  # -1 black, 1 white
        rows = [transform[:, i : i + 1] + transform[:, i + 1 : i + 2] + transform[:, i + 2 : i + 3] for i in (0, 3, 6)]
        added = self.network(torch.cat([centred, base, clipped], 1), torch.cat(rows, 1))
        raw = base + added[:, :3] * any_channel(clipped.abs())
        return raw, added[:, 3:4].clamp(*ERROR_RANGE)

    def network(self, x: Tensor, white: Tensor) -> Tensor:
        """(N, 9, H, W) and the response to white (N, 3) to (N, 4, H, W): what is added, and log error."""
        x0 = F.relu(self.stem(x))
        x1 = self.encode1(F.relu(self.down1(x0) + self.white(white - 0.5).unsqueeze(-1).unsqueeze(-1)))
        x2 = self.encode2(F.relu(self.down2(x1)))
        y1 = self.decode1(F.relu(self.up1(x2) + x1))
        return self.head(F.relu(self.join(F.relu(self.up0(y1) + x0))))


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
    total = raw[:, 0:1] + raw[:, 1:2] + raw[:, 2:3]
    error = torch.exp(log_error) + (light_error * (1 / 3)).unsqueeze(-1).unsqueeze(-1) * total
    # A tensor: a number over a tensor becomes a reciprocal, which XNNPACK leaves out.
    reliable = torch.full((1, 1, 1, 1), RELIABLE_ERROR, dtype=raw.dtype, device=raw.device)
    return reliable / (error + reliable)


def reliability_of_error(log_error: Tensor) -> Tensor:
    """The same r, any shape, where the logarithm of the expected error is known."""
    return torch.sigmoid(math.log(RELIABLE_ERROR) - log_error)
