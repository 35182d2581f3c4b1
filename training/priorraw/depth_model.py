"""Bit-depth recovery with the parts of the RAW task: encoder, bank, affinity, and a reconstructor for the pixels.

`scene` takes the context of the whole picture from a thumbnail. `tile` searches the bank for each 8x8 block, by the
encoder on the quarter-size picture: the bank's entries say where in their intervals the pixels of like places lay.
A low code fixes the interval of a value; the network places the value inside and cannot leave it.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.bit_depth import TASK, Depths
from priorraw.encoder import Encoder, EncoderConfig
from priorraw.layers import Residual, Upsample, from_tokens, halve, quarter
from priorraw.lookup import Affinity
from priorraw.reconstructor import ERROR_RANGE, reliability_of_error

REACH = 2  # pixels around a value in which its contours are looked at
NEIGHBOURS = (2 * REACH + 1) ** 2 - 1
HALO = 96  # pixels; covers the receptive field of the tile part (radius measured in tests/test_depth_model.py)


@dataclass(frozen=True)
class DepthReconstructorConfig:
    low: int = 4  # bits
    high: int = 8
    prior: bool = True  # what the bank says as an input; off: the same network without, for comparison
    full: int = 32  # channels at full resolution: contours are one pixel wide
    detail: int = 64  # at half resolution
    width: int = 96  # at quarter resolution
    deep: int = 128  # at eighth resolution

    @property
    def depths(self) -> Depths:
        return Depths(self.low, self.high)


class Contours(nn.Module):
    """Low picture (N, 3, H, W) to (N, 72, H, W): steps to the 24 neighbours of each value, in low codes, cut at one.

    What a neighbour says of a value's place in its interval is in whether it is one code up or down; how far beyond,
    says little. The differences are a convolution, so that it lowers, and may learn.
    """

    def __init__(self, low: int):
        super().__init__()
        side = 2 * REACH + 1
        self.top = float((1 << low) - 1)  # an integer would be cast outside the delegate
        self.steps = nn.Conv2d(3, 3 * NEIGHBOURS, side, padding=REACH, groups=3, bias=False)
        kernels = torch.zeros(NEIGHBOURS, side, side)
        kernels[:, REACH, REACH] = -1.0
        places = [i for i in range(side * side) if i != side * side // 2]
        kernels.view(NEIGHBOURS, -1)[torch.arange(NEIGHBOURS), places] = 1.0
        self.steps.weight.data = kernels.repeat(3, 1, 1).unsqueeze(1)

    def forward(self, low: Tensor) -> Tensor:
        return self.steps(low * self.top - self.top / 2).clamp(-1, 1)  # whole and half codes: exact in bfloat16


class DepthReconstructor(nn.Module):
    """The position of each value in its interval: linear in the contours around it, and what a U-Net adds."""

    def __init__(self, config: DepthReconstructorConfig):
        super().__init__()
        self.half_interval = config.depths.half_interval
        w0, w1, w2, w3 = config.full, config.detail, config.width, config.deep
        self.contours = Contours(config.low)
        self.linear = nn.Conv2d(3 * NEIGHBOURS, 3, 1)  # `depth_start.start_linear` solves for it
        self.stem = nn.Conv2d(3 * NEIGHBOURS + 3, w0, 1)
        self.down1 = nn.Conv2d(w0, w1, 2, stride=2)
        self.encode1 = nn.Sequential(Residual(w1), Residual(w1))
        self.down2 = nn.Conv2d(w1, w2, 2, stride=2)
        self.encode2 = nn.Sequential(Residual(w2), Residual(w2))
        self.down3 = nn.Conv2d(w2, w3, 2, stride=2)
        self.encode3 = nn.Sequential(Residual(w3, 2), Residual(w3, 4))  # contours in a sky are far apart
        self.decode3 = Residual(w3)
        self.up2 = Upsample(w3, w2)
        self.decode2 = nn.Sequential(Residual(w2), Residual(w2))
        self.up1 = Upsample(w2, w1)
        self.decode1 = nn.Sequential(Residual(w1), Residual(w1))
        self.up0 = Upsample(w1, w0)
        self.decode0 = nn.Sequential(Residual(w0), Residual(w0))
        self.head = nn.Conv2d(w0, 4, 3, padding=1)
        for module in self.modules():  # the default is too small for ReLU: three levels down nothing arrives
            if isinstance(module, nn.Conv2d) and module is not self.contours.steps:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, Residual):
                module.mix.weight.data *= 0.3
        nn.init.zeros_(self.linear.weight)
        assert self.linear.bias is not None
        nn.init.zeros_(self.linear.bias)
        nn.init.zeros_(self.head.weight)  # so that training starts at what is linear
        assert self.head.bias is not None
        self.head.bias.data = torch.tensor([0.0, 0.0, 0.0, -4.5])  # an error of 1.1 %
        if config.prior:
            self.prior = nn.Conv2d(7, w3, 1)
            nn.init.zeros_(self.prior.weight)  # so that it can start from a network without

    def forward(self, low: Tensor, maps: Tensor | None) -> tuple[Tensor, Tensor]:
        """The picture (N, 3, H, W) in [0, 1] of the largest high code, and the logarithm of its expected error.

        While training a value may leave its interval: there a gradient still says so. `BitDepth.tile` clamps.

        Args:
            low: (N, 3, H, W) low codes over the largest one, in [0, 1]; H and W multiples of 8.
            maps: (N, 7, H/8, W/8) of `BitDepth.lookup`; None without prior.
        """
        contours = self.contours(low)
        x0 = F.relu(self.stem(torch.cat([contours, low - 0.5], 1)))
        x1 = self.encode1(F.relu(self.down1(x0)))
        x2 = self.encode2(F.relu(self.down2(x1)))
        x3 = self.encode3(F.relu(self.down3(x2)))
        if maps is not None:
            x3 = x3 + self.prior(maps)
        y2 = self.decode2(F.relu(self.up2(self.decode3(x3)) + x2))
        y1 = self.decode1(F.relu(self.up1(y2) + x1))
        out = self.head(F.relu(self.decode0(F.relu(self.up0(y1) + x0))))
        position = self.linear(contours) + out[:, :3]
        return self.middle(low) + position * self.half_interval, out[:, 3:4].clamp(*ERROR_RANGE)

    def middle(self, low: Tensor) -> Tensor:
        """Low picture to the middle of its intervals, in [0, 1] of the largest high code."""
        return low * (1 - 2 * self.half_interval) + self.half_interval

    def inside(self, low: Tensor, high: Tensor) -> Tensor:
        """`high` clamped into the intervals of the low codes."""
        middle = self.middle(low)
        return middle + (high - middle).clamp(-self.half_interval, self.half_interval)


@dataclass(frozen=True)
class DepthConfig:
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(blocks=2))
    reconstructor: DepthReconstructorConfig = field(default_factory=DepthReconstructorConfig)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "DepthConfig":
        return DepthConfig(EncoderConfig(**value["encoder"]), DepthReconstructorConfig(**value["reconstructor"]))


class BitDepth(nn.Module):
    """Shapes: keys (K, d) unit features; values (6, K), rows low RGB then position in the interval, both in [0, 1]."""

    task = TASK
    halo = HALO
    inputs = {"scene": ("thumbnail",), "tile": ("tile", "scene", "keys", "values")}  # noqa: RUF012

    def __init__(self, config: DepthConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.affinity = Affinity()
        self.reconstructor = DepthReconstructor(config.reconstructor)

    def lookup(self, low: Tensor, context: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """What the bank says: (N, 7, H/8, W/8), position about 0, distance in low RGB, and the affinity's peak."""
        small = quarter(low)
        tokens, peaks = self.affinity.assemble(self.encoder(small, context), keys, values)
        eighth = halve(small)
        assembled = from_tokens(tokens, eighth)
        distance = (assembled[:, :3] - eighth).abs()
        return torch.cat([assembled[:, 3:] - 0.5, distance, from_tokens(peaks, eighth)], 1)

    def scene(self, thumbnail: Tensor) -> Tensor:
        """Thumbnail (1, 3, 64, 64) of the low picture to the scene vector (1, c), the encoder's context."""
        return self.encoder.context(thumbnail)

    def restore(self, low: Tensor, scene: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """What `DepthReconstructor.forward` returns, with the prior where the model has one."""
        maps = self.lookup(low, scene, keys, values) if self.config.reconstructor.prior else None
        return self.reconstructor(low, maps)

    def tile(self, low: Tensor, scene: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Low picture (1, 3, T, T), scene vector and bank to the high one and reliability (1, 1, T, T) in [0, 1]."""
        high, log_error = self.restore(low, scene, keys, values)
        return self.reconstructor.inside(low, high), reliability_of_error(log_error)

    def see(self, srgb: Tensor) -> Tensor:
        """What the parts take of a picture in [0, 1], any shape: its low codes over the largest one."""
        depths = self.config.reconstructor.depths
        codes = (srgb * depths.top).round()
        return (codes / (1 << depths.lost)).floor() / ((1 << depths.low) - 1)

    forward = tile
