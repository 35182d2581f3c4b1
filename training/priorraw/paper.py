"""The paper's own reconstructor, kept for its ablation: sRGB and prior in, linear raw-RGB out, no closed form.

Distance map, Conv_prior, reliable attention, non-local attention over the bank, and a U-Net into which the fused
prior goes at every up-sampling step. What ships is `reconstructor`, which is told the light instead. All
convolutions work at half resolution and below; the stem sees the sRGB picture at full resolution.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.layers import Residual, from_tokens, halve, logit, to_tokens, unit
from priorraw.lookup import Affinity


@dataclass(frozen=True)
class PaperConfig:
    prior: bool = True  # assembled RAW and distance as input; off: the same network on sRGB only
    attention: bool = True  # reliable attention
    non_local: bool = True  # multi-head attention over the bank
    width: int = 32  # at half resolution; doubled and tripled below
    heads: int = 2


class Head(nn.Module):
    """One attention head: queries projected into the bank's feature space, and the RAW that they assemble."""

    def __init__(self, width: int, dim: int):
        super().__init__()
        self.query = nn.Linear(width, dim)
        self.affinity = Affinity(initial_scale=10.0)

    def forward(self, tokens: Tensor, keys: Tensor, raw: Tensor) -> Tensor:
        """(P, C) tokens, keys (K, d) and raw (3, K) to (P, 3)."""
        return self.affinity.assemble(unit(self.query(tokens)), keys, raw)[0]


class NonLocal(nn.Module):
    """FFN(MHA(query f_c, key bank features, value bank RAW)) at quarter resolution.

    The projections of keys and values are linear, so they act on the other side of the product: each head's
    query is projected into the bank's own feature space, and the heads' assembled RAW goes through one output
    projection.
    """

    def __init__(self, width: int, dim: int, heads: int):
        super().__init__()
        self.heads = nn.ModuleList(Head(width, dim) for _ in range(heads))
        self.ffn = nn.Sequential(nn.Linear(3 * heads, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, f_c: Tensor, keys: Tensor, raw: Tensor) -> Tensor:
        """(N, C, h, w), keys (K, d), raw (3, K) to (N, C, h, w)."""
        tokens = to_tokens(f_c)
        return from_tokens(self.ffn(torch.cat([head(tokens, keys, raw) for head in self.heads], 1)), f_c)


class PaperReconstructor(nn.Module):
    """Source: PriorRAW (ACM MM 2024), the reconstructor, with each part of its ablation as a switch."""

    def __init__(self, config: PaperConfig, dim: int, mean_raw: Tensor):
        """`dim` is d of the bank; `mean_raw` (3,), linear in [0, 1], is what a fresh network answers everywhere.

        A sigmoid that starts elsewhere saturates to black within a few steps, and stays black.
        """
        super().__init__()
        self.config = config
        w0, w1, w2 = config.width, 2 * config.width, 3 * config.width
        self.stem = nn.Conv2d(3, w0, 4, stride=2, padding=1)
        self.conv_prior = nn.Conv2d(w0 + (6 if config.prior else 0), w0, 3, padding=1)
        if config.attention:
            self.conv_confidence = nn.Conv2d(w0, w0, 1)
        if config.non_local:
            self.non_local = NonLocal(w0, dim, config.heads)
            self.fuse1 = nn.Conv2d(w0, w1, 1)
            self.fuse0 = nn.ConvTranspose2d(w0, w0, 2, stride=2)
        self.encode0 = Residual(w0)
        self.down1 = nn.Conv2d(w0, w1, 2, stride=2)
        self.encode1 = Residual(w1)
        self.down2 = nn.Conv2d(w1, w2, 2, stride=2)
        self.encode2 = nn.Sequential(Residual(w2), Residual(w2))
        self.up1 = nn.ConvTranspose2d(w2, w1, 2, stride=2)
        self.decode1 = Residual(w1)
        self.up0 = nn.ConvTranspose2d(w1, w0, 2, stride=2)
        self.decode0 = Residual(w0)
        self.head = nn.ConvTranspose2d(w0, 3, 2, stride=2)
        nn.init.normal_(self.head.weight, std=1e-3)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias.copy_(logit(mean_raw))

    def forward(self, srgb: Tensor, maps: Tensor, keys: Tensor, raw: Tensor) -> Tensor:
        """Linear raw-RGB (N, 3, H, W) in (0, 1).

        Args:
            srgb: (N, 3, H, W) in [0, 1]; H and W multiples of 8.
            maps: (N, 6, H/2, W/2) assembled RAW and distance |assembled sRGB - sRGB|; unused without prior.
            keys: (K, d) and raw: (3, K) of the bank; unused without non-local attention.
        """
        f = F.relu(self.stem(srgb - 0.5))
        f_p = F.relu(self.conv_prior(torch.cat([f, maps], 1) if self.config.prior else f))
        f_c = f_p * torch.sigmoid(self.conv_confidence(f_p)) if self.config.attention else f_p
        x0 = self.encode0(f_c)
        x1 = self.encode1(F.relu(self.down1(x0)))
        x2 = self.encode2(F.relu(self.down2(x1)))
        up1 = self.up1(x2) + x1
        up0_extra = x0
        if self.config.non_local:
            f_o = self.non_local(halve(f_c), keys, raw)
            up1 = up1 + self.fuse1(f_o)
            up0_extra = up0_extra + self.fuse0(f_o)
        y1 = self.decode1(F.relu(up1))
        y0 = self.decode0(F.relu(self.up0(y1) + up0_extra))
        return torch.sigmoid(self.head(y0))
