"""Small pieces that encoder, light and reconstructor share; each lowers to one XNNPACK delegate."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.isp import TONE_SHOULDER

assert TONE_SHOULDER == 1  # `decode` spends no pass on it
LOGIT_EPSILON = 1e-4  # half an 8-bit code is 1.5e-4 in linear light: nothing below this is known


def decode(srgb: Tensor) -> Tensor:
    """sRGB in [0, 1] to linear light before the tone curve: `isp.inverse_tone(isp.srgb_decode(x))`, any shape.

    Written without `where` or `pow`, which XNNPACK leaves out: the power segment minus the linear one is zero where it
    begins, and so below. In units of 1 / 12.92, since each pass over a picture counts.
    """
    knee = srgb.clamp(min=0.04045)
    power = torch.exp(2.4 * torch.log(knee + 0.055)) * (12.92 / 1.055**2.4)
    toned = srgb + (power - knee)
    return toned / (2 * 12.92 - toned)


def logit(probability: Tensor) -> Tensor:
    """log(p / (1 - p)), with p kept `LOGIT_EPSILON` away from 0 and 1."""
    p = probability.clamp(LOGIT_EPSILON, 1 - LOGIT_EPSILON)
    return torch.log(p) - torch.log(1.0 - p)  # an integer 1 would be cast outside the delegate


def mix_channels(picture: Tensor, matrix: Tensor) -> Tensor:
    """(N, 3, H, W) times a (N, 9) row-major matrix per picture; a conv with changing weights would not lower."""
    square = matrix.view(-1, 3, 3)
    terms = [square[:, :, i : i + 1].unsqueeze(-1) * picture[:, i : i + 1] for i in range(3)]
    return terms[0] + terms[1] + terms[2]


def halve(picture: Tensor) -> Tensor:
    """(N, C, H, W) to its 2x2 means (N, C, H/2, W/2); written out, since XNNPACK leaves the defaults out."""
    return F.avg_pool2d(picture, (2, 2), (2, 2), count_include_pad=False)


def quarter(picture: Tensor) -> Tensor:
    """(N, C, H, W) to its 4x4 means (N, C, H/4, W/4)."""
    return F.avg_pool2d(picture, (4, 4), (4, 4), count_include_pad=False)


def picture_mean(features: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C); XNNPACK takes the mean only with its dimensions kept."""
    return features.mean((2, 3), keepdim=True).flatten(1)


def to_tokens(features: Tensor) -> Tensor:
    """(N, C, H, W) to (N H W, C)."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def from_tokens(tokens: Tensor, like: Tensor) -> Tensor:
    """(N H W, C) back to (N, C, H, W) with N, H, W of `like`."""
    N, _, H, W = like.shape
    return tokens.view(N, H, W, -1).permute(0, 3, 1, 2)


def unit(tokens: Tensor) -> Tensor:
    """Scale each (P, d) token to length 1. The sum of squares is a linear layer: sum(dim) is not delegated."""
    ones = torch.ones(1, tokens.shape[1], dtype=tokens.dtype, device=tokens.device)
    return tokens * torch.rsqrt(F.linear(tokens * tokens, ones) + 1e-6)


class Residual(nn.Module):
    """x + conv1x1(relu(conv3x3(x))): a receptive field's radius of `dilation` a block, so that halos stay small."""

    def __init__(self, width: int, dilation: int = 1):
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """(N, C, H, W); `scale` and `shift` (N, C, 1, 1) modulate the hidden features (FiLM)."""
        hidden = self.spatial(x)
        if scale is not None:
            hidden = hidden * (scale + 1.0) + shift
        return x + self.mix(F.relu(hidden))


class Upsample(nn.Module):
    """(N, in, H, W) to (N, out, 2H, 2W): a transposed 2x2 convolution, as a 1x1 one whose channels become pixels.

    XNNPACK's transposed convolution takes three times as long for the four channels of the result.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.spread = nn.Conv2d(inputs, 4 * outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.spread(x), 2)
