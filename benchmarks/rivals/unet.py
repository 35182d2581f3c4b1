"""A plain sRGB -> RAW U-Net: no prior, no samples, no knowledge of the rendering."""

from functools import cache
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from priorraw.dataset import mask_of
from priorraw.pictures import to_tensor
from priorraw_edge.doctor import machine
from torch import Tensor, nn

from benchmarks.rivals.rival import Budget, Fitting, Rival, Shot
from benchmarks.rivals.training import Crops, picture_loss, train


class UNet(nn.Module):
    """Ronneberger et al. 2015 with padding: two 3x3 convolutions a level, widths doubling downwards.

    While it trains on a CPU that multiplies in bfloat16, all but the head does so, in channels last: three times as
    many steps in the budget with AMX. Elsewhere that would cost twelve times as much (AVX2). It predicts in float32.
    """

    def __init__(self, inputs: int, outputs: int, width: int, levels: int):
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.stride = 2 ** (levels - 1)
        self.encode = nn.ModuleList(_block(i, o) for i, o in zip([inputs, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[:-1])
        self.decode = nn.ModuleList(_block(2 * w, w) for w in widths[:-1])
        self.head = nn.Conv2d(width, outputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # the default is too small for ReLU: eight layers down nothing arrives
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=module.in_channels**-0.5)
            else:
                continue
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W); H and W multiples of `stride`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training and multiplies_in_bfloat16()):
            x = self.features(x.contiguous(memory_format=torch.channels_last))
        return self.head(x.float())

    def features(self, x: Tensor) -> Tensor:
        """The same without the head: (N, width, H, W)."""
        skips: list[Tensor] = []
        for level, encode in enumerate(self.encode):
            x = encode(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for up, decode in zip(reversed(self.up), reversed(self.decode), strict=True):
            x = decode(torch.cat([up(x), skips.pop()], 1))
        return x


@cache
def multiplies_in_bfloat16() -> bool:
    """Whether this CPU has instructions for it; without them PyTorch emulates it."""
    return bool({"amx_bf16", "avx512_bf16"} & set(machine()["simd"]))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
    )


def start_at_mean(network: UNet, shots: list[Shot]) -> None:
    """Put the sigmoid of a fresh head at the mean training RAW: elsewhere it saturates to black within steps."""
    mean = np.mean([s.raw[mask_of(s.raw)].mean(0, dtype=np.float64) for s in shots if mask_of(s.raw).any()], 0)
    mean = np.clip(mean, 1e-3, 1 - 1e-3)
    nn.init.normal_(network.head.weight, std=1e-3)
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias.copy_(torch.from_numpy(np.log(mean / (1 - mean))))


def padded(planes: Tensor, stride: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until both sides are multiples of `stride`."""
    H, W = planes.shape[2:]
    return F.pad(planes, (0, -W % stride, 0, -H % stride), mode="replicate")


def count(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())


class PlainUNet(Rival):
    paper = "plain U-Net from sRGB to RAW, about as many parameters as PriorRAW Edge"
    learned = True
    width: ClassVar[int] = 19
    levels: ClassVar[int] = 4

    def fit(self, shots: list[Shot], budget: Budget) -> Fitting:
        torch.manual_seed(budget.seed)
        self.network = UNet(3, 3, self.width, self.levels)
        start_at_mean(self.network, shots)
        crops = Crops(shots)

        def loss_of(generator: torch.Generator) -> Tensor:
            srgb, raw, valid = crops.draw(generator)
            return picture_loss(torch.sigmoid(self.network(srgb - 0.5)), raw, valid)

        return train(self.network, loss_of, budget, f"U-Net of {count(self.network):,} parameters", weight_decay=1e-3)

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        H, W = srgb.shape[:2]
        raw = torch.sigmoid(self.network(padded(to_tensor(srgb)[None], self.network.stride) - 0.5))
        return raw[0, :, :H, :W].permute(1, 2, 0).numpy()

    def parameters(self) -> int:
        return count(self.network)


class LargeUNet(PlainUNet):
    paper = "the same U-Net at the size of CAM's reconstructor, without its samples"
    width = 32
    levels = 5
