"""The convolutions of the tile part alone, without what is done pixel by pixel before, between and after them."""

import torch
import torch.nn.functional as F
from priorraw.reconstructor import Reconstructor
from torch import Tensor, nn

INPUTS = 15  # channels that the stem takes


class Convolutions(nn.Module):
    """(1, 15, T, T) to (1, 4, T, T): the U-Net of the reconstructor, its joining 1x1 layers and its heads."""

    def __init__(self, reconstructor: Reconstructor):
        super().__init__()
        self.net = reconstructor

    def forward(self, x: Tensor) -> Tensor:
        net = self.net
        x0 = net.encode0(F.relu(net.stem(x)))
        x1 = net.encode1(F.relu(net.down1(x0)))
        x2 = net.encode2(F.relu(net.down2(x1)))
        y1 = net.decode1(F.relu(net.up1(x2) + x1))
        y0 = net.decode0(F.relu(net.up0(y1) + x0))
        joined = F.relu(net.join(torch.cat([F.relu(net.up(y0)), x], 1)))
        return torch.cat([net.head(joined), net.error_head(joined)], 1)
