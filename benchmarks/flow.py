"""A small invertible network in the manner of InvISP, untrained: it is only timed.

Xing, Qian, Chen, "Invertible Image Signal Processing", CVPR 2021: eight blocks of an invertible 1x1 convolution and
an affine coupling between one channel and the other two, all at full resolution. Simplified: the coupling's three
functions are three 3x3 convolutions of 16 channels each instead of dense blocks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = 8
WIDTH = 16
SCALE_RANGE = 0.8  # largest logarithm of a coupling's scale


class Block(nn.Module):
    """Invertible: (N, 3, H, W) to (N, 3, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.linalg.qr(torch.randn(3, 3, device="cpu"))[0].to(torch.empty(0).device))
        self.shift_one, self.scale_two, self.shift_two = _function(2, 1), _function(1, 2), _function(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.mix.view(3, 3, 1, 1))
        one = x[:, :1] + self.shift_one(x[:, 1:])
        two = x[:, 1:] * torch.exp(self._log_scale(one)) + self.shift_two(one)
        return torch.cat([one, two], 1)

    def inverse(self, y: Tensor) -> Tensor:
        one, two = y[:, :1], y[:, 1:]
        two = (two - self.shift_two(one)) * torch.exp(-self._log_scale(one))
        one = one - self.shift_one(two)
        return F.conv2d(torch.cat([one, two], 1), torch.linalg.inv(self.mix).view(3, 3, 1, 1))

    def _log_scale(self, one: Tensor) -> Tensor:
        return SCALE_RANGE * (torch.sigmoid(self.scale_two(one)) * 2 - 1)


class Flow(nn.Module):
    """sRGB (N, 3, H, W) to raw-RGB of the same shape, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))

    def forward(self, srgb: Tensor) -> Tensor:
        x = srgb
        for block in self.blocks:
            x = block(x)
        return x

    def inverse(self, raw: Tensor) -> Tensor:
        x = raw
        for block in reversed(self.blocks):
            x = block.inverse(x)  # type: ignore[operator]
        return x


def _function(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, outputs, 3, padding=1),
    )
