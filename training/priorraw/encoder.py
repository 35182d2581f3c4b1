"""Step 1, the pixel-searching encoder: sRGB to one unit feature vector per half-resolution pixel.

Local convolutions with a small receptive field see the pixel's surroundings; a context vector, taken once from
a thumbnail of the whole picture, tells them the scene and its light. So a tile of a large picture is encoded
as it would be in the whole.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.layers import Residual, picture_mean, to_tokens, unit


@dataclass(frozen=True)
class EncoderConfig:
    dim: int = 32  # d of the bank: cost and bytes of the lookup grow with it
    width: int = 64
    blocks: int = 3  # receptive field radius of blocks + 1 half-resolution pixels
    context: int = 64  # size of the scene's context vector


class Context(nn.Module):
    """Thumbnail (N, 3, 64, 64) sRGB to context (N, context)."""

    def __init__(self, size: int):
        super().__init__()
        widths = (24, 48, 64, 64)
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.head = nn.Linear(widths[-1], size)

    def forward(self, thumbnail: Tensor) -> Tensor:
        x = thumbnail - 0.5
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.head(picture_mean(x))


class Encoder(nn.Module):
    """(N, 3, H, W) sRGB in [0, 1] and context (N, c) to unit features (N H/2 W/2, d)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.context = Context(config.context)
        self.stem = nn.Conv2d(3, width, 4, stride=2, padding=1)
        self.film = nn.Linear(config.context, 2 * width * config.blocks)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(config.blocks))
        self.head = nn.Conv2d(width, config.dim, 1)

    def forward(self, srgb: Tensor, context: Tensor) -> Tensor:
        x = F.relu(self.stem(srgb - 0.5))
        modulation = self.film(context).unsqueeze(-1).unsqueeze(-1)
        width = self.config.width
        for i, block in enumerate(self.blocks):
            start = 2 * i * width  # slices: XNNPACK leaves chunk and split out
            scale, shift = modulation[:, start : start + width], modulation[:, start + width : start + 2 * width]
            x = block(x, scale, shift)
        return unit(to_tokens(self.head(F.relu(x))))
