"""Learned rivals of our own writing, after what their papers say; trained on the same crops, by the same loop and loss.

None of them keeps to the interval: as in their papers, a network adds to the stretched low picture what it likes.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from priorraw.bit_depth import Depths
from priorraw.depth_batches import Batch
from priorraw.pictures import to_tensor
from torch import Tensor, nn

from benchmarks.rivals.unet import UNet, padded

SAMPLES = 8  # of every 8x8 block one pixel is stored: 1.56 %
LOG_ERROR = -4.5  # the rivals tell no reliability: a constant for the loss


class Dilated(nn.Module):
    """Two 3x3 convolutions, the first dilated, and a skip."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class BitNet(nn.Module):
    """After Byun, Shim, Kim: BitNet, learning-based bit-depth expansion, ACCV 2018.

    Encoder to half resolution, residual blocks of growing dilation, all of their results fused, decoder, and the sum
    with the input. Width and number of blocks are ours, for a like number of parameters as our network's.
    """

    def __init__(self, width: int = 104, dilations: tuple[int, ...] = (1, 2, 4, 8, 16)):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(3, width // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(width // 2, width, 4, stride=2, padding=1)
        )
        self.blocks = nn.ModuleList(Dilated(width, dilation) for dilation in dilations)
        self.fuse = nn.Conv2d(width * (len(dilations) + 1), width, 1)
        self.decode = nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1)
        self.head = nn.Conv2d(width // 2, 3, 3, padding=1)
        nn.init.zeros_(self.head.weight)

    def forward(self, low: Tensor) -> Tensor:
        x = self.encode(low - 0.5)
        maps = [x]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return low + self.head(F.relu(self.decode(F.relu(self.fuse(torch.cat(maps, 1))))))


class SampledUNet(nn.Module):
    """After Nam, Punnappurath, Brubaker, Brown (CVPR 2022), their bit-depth application: a U-Net with stored samples.

    Beside the low picture it sees the true values of one pixel of each 8x8 block, which were stored when the picture
    was quantised. Simplified: the pixel is the block's middle one, not chosen by a network.
    """

    def __init__(self, width: int = 26, levels: int = 4):
        super().__init__()
        self.network = UNet(7, 3, width, levels)
        nn.init.normal_(self.network.head.weight, std=1e-3)

    def forward(self, low: Tensor, samples: Tensor, mask: Tensor) -> Tensor:
        """Samples are true minus low values, 0 where there is none; mask (N, 1, H, W)."""
        return low + 0.1 * self.network(torch.cat([low - 0.5, 10 * samples, mask], 1))


def sample_mask(like: Tensor) -> Tensor:
    """(N, 1, H, W): 1 in the middle of each 8x8 block."""
    mask = torch.zeros_like(like[:, :1])
    mask[..., SAMPLES // 2 :: SAMPLES, SAMPLES // 2 :: SAMPLES] = 1
    return mask


@dataclass(frozen=True)
class Learned:
    """A rival network, and whether it is told samples of the truth."""

    about: str
    network: type[nn.Module]
    told: bool


LEARNED = {
    "BitNet-like": Learned("dilated encoder-decoder, Byun et al. 2018", BitNet, False),
    "U-Net with samples": Learned("1.56 % of the true values stored, as Nam et al. 2022", SampledUNet, True),
}


def restore_batch(rival: Learned, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """What `fit_restorer` asks for."""
    constant = torch.full_like(batch.low[:, :1], LOG_ERROR)
    if not rival.told:
        return network(batch.low), constant
    mask = sample_mask(batch.low)
    return network(batch.low, (batch.high - batch.low) * mask, mask), constant


@torch.no_grad()
def restore_picture(rival: Learned, network: nn.Module, high: np.ndarray, depths: Depths) -> np.ndarray:
    """High codes (H, W, 3), of which the network sees the low ones and, where told, samples; float [0, 1]."""
    low, true = (to_tensor(part)[None] for part in (depths.unit(depths.lower(high)), depths.high_unit(high)))
    H, W = high.shape[:2]
    planes = [padded(part, 16) for part in (low, true)]
    batch = Batch(planes[0], planes[1], torch.empty(0))
    predicted, _ = restore_batch(rival, network.eval(), batch)
    return predicted[0, :, :H, :W].clamp(0, 1).permute(1, 2, 0).numpy()
