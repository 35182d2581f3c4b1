"""The exact one-scale method, for time: what the paper does, every half-resolution pixel of the picture searched.

Encoder and bank are the shipped ones; the paper's reconstructor has random weights, which take as long as any.
Kind to it: d is 32 (at 64 the search costs 1.8 times as much), the affinity is computed for 2,048 pixels at a time
instead of whole, and the picture runs whole, without halos.
"""

from typing import cast

import torch
import torch.nn.functional as F
from priorraw.bank import Bank
from priorraw.layers import halve
from priorraw.model import PriorRAW
from priorraw.paper import NonLocal, PaperConfig, PaperReconstructor
from torch import Tensor, nn

MEAN_RAW = 0.1  # of linear scenes; only the head's bias


class HalfResolutionPaper(PaperReconstructor):
    """The paper's reconstructor with its non-local attention at every half-resolution pixel, not one in four."""

    def __init__(self, dim: int):
        config = PaperConfig()
        super().__init__(config, dim, torch.full((3,), MEAN_RAW))
        self.fuse0 = nn.Conv2d(config.width, config.width, 1)  # type: ignore[assignment] # f_o has the size already

    def forward(self, srgb: Tensor, maps: Tensor, keys: Tensor, raw: Tensor) -> Tensor:
        """As of `PaperReconstructor`."""
        f = F.relu(self.stem(srgb - 0.5))
        f_p = F.relu(self.conv_prior(torch.cat([f, maps], 1)))
        f_c = f_p * torch.sigmoid(self.conv_confidence(f_p))
        f_o = cast(NonLocal, self.non_local)(f_c, keys, raw)
        x0 = self.encode0(f_c)
        x1 = self.encode1(F.relu(self.down1(x0)))
        x2 = self.encode2(F.relu(self.down2(x1)))
        y1 = self.decode1(F.relu(self.up1(x2) + x1 + self.fuse1(halve(f_o))))
        y0 = self.decode0(F.relu(self.up0(y1) + x0 + self.fuse0(f_o)))
        return torch.sigmoid(self.head(y0))


class ExactOneScale(nn.Module):
    """sRGB (1, 3, H, W) in [0, 1] and its thumbnail (1, 3, 64, 64) to raw-RGB (1, 3, H, W)."""

    def __init__(self, model: PriorRAW, keys: Tensor, values: Tensor):
        """keys (K, d) and values (6, K) of a bank, see `Bank.tensors`."""
        super().__init__()
        self.model = model
        self.paper = HalfResolutionPaper(keys.shape[1])
        self.register_buffer("keys", keys)
        self.register_buffer("values", values)

    def forward(self, srgb: Tensor, thumbnail: Tensor) -> Tensor:
        keys, values = cast(Tensor, self.keys), cast(Tensor, self.values)
        maps, _ = self.model.lookup(srgb, self.model.encoder.context(thumbnail), keys, values)
        return self.paper(srgb, maps, keys, values[3:])


def exact_method(model: PriorRAW, bank: Bank) -> ExactOneScale:
    """With the shipped encoder and bank, and a reconstructor of random weights that are always the same."""
    torch.manual_seed(0)
    keys, values, _ = bank.tensors()
    return ExactOneScale(model, keys, values).eval().requires_grad_(False)
