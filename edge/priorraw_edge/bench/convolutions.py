"""The convolutions of the tile part alone, without what is done pixel by pixel before and after them."""

import torch
from priorraw.reconstructor import Reconstructor
from torch import Tensor, nn

INPUTS = 9  # channels that the stem takes


class Convolutions(nn.Module):
    """(1, 9, T, T) to (1, 4, T, T): the network of the reconstructor under a white light."""

    def __init__(self, reconstructor: Reconstructor):
        super().__init__()
        self.net = reconstructor

    def forward(self, x: Tensor) -> Tensor:
        return self.net.network(x, torch.ones(1, 3))
