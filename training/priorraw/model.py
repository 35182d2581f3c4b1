"""The builder: encoder, light and reconstructor wired into a scene part and a tile part.

`scene` needs the whole picture and runs once, on a thumbnail; `tile` needs the pixels and runs per tile. The
small scene vector between them carries the encoder's context and the 3x3 inverse of the rendering. So each can
be lowered, timed and swapped alone.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from priorraw.encoder import Encoder, EncoderConfig
from priorraw.layers import decode, from_tokens, halve, mix_channels
from priorraw.light import Light, fit_light, inverse_transform
from priorraw.lookup import Affinity
from priorraw.reconstructor import Reconstructor, ReconstructorConfig

THUMBNAIL = 64  # side of the square thumbnail that the scene part sees
ALIGN = 8  # total stride of the tile part: sides of tiles and their origins are multiples of it
HALO = 48  # pixels; covers the receptive field of the tile part (radius measured in tests/test_model.py)


def scene_transform(scene: Tensor) -> Tensor:
    """(N, S) scene vector to its (N, 9) matrix from linear sRGB to raw-RGB."""
    return scene[:, -9:]


def hint_scene(scene: Tensor, light: Tensor, camera: Tensor) -> Tensor:
    """The scene vector (N, S) with the inferred light replaced by a known one (N, 2), for a camera (N, 13)."""
    return torch.cat([scene[:, :-9], inverse_transform(light, camera[:, :9])], 1)


@dataclass(frozen=True)
class ModelConfig:
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    reconstructor: ReconstructorConfig = field(default_factory=ReconstructorConfig)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "ModelConfig":
        return ModelConfig(EncoderConfig(**value["encoder"]), ReconstructorConfig(**value["reconstructor"]))


class PriorRAW(nn.Module):
    """Shapes: keys (K, d) unit features; values (6, K), rows sRGB then RAW; camera (N, 13), see `light`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.affinity = Affinity()
        self.light = Light(config.reconstructor.prior)
        self.reconstructor = Reconstructor(config.reconstructor, config.encoder.dim)

    def lookup(self, srgb: Tensor, context: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """What the bank says: maps (N, 6, H/2, W/2) of assembled RAW and distance, and peak (N, 1, H/2, W/2)."""
        half = halve(srgb)
        tokens, peaks = self.affinity.assemble(self.encoder(srgb, context), keys, values)
        assembled = from_tokens(tokens, half)
        distance = (assembled[:, :3] - half).abs()
        return torch.cat([assembled[:, 3:], distance], 1), from_tokens(peaks, half)

    def infer_light(self, thumbnail: Tensor, maps: Tensor, peak: Tensor, camera: Tensor) -> Tensor:
        """Light (N, 2) from a thumbnail (N, 3, S, S) and its lookup (S/2)."""
        if not self.config.reconstructor.prior:
            return self.light(thumbnail, None, None, camera)
        half = halve(thumbnail)
        balanced = mix_channels(decode(half), camera[:, :9])
        brightest = torch.maximum(torch.maximum(half[:, 0:1], half[:, 1:2]), half[:, 2:3])
        weight = peak * peak * F.relu(0.95 - brightest)
        fitted = fit_light(maps[:, :3], balanced, weight)
        return self.light(thumbnail, torch.cat([maps, peak, balanced], 1), fitted, camera)

    def transform(self, light: Tensor, camera: Tensor) -> Tensor:
        """(N, 9) matrix from linear sRGB to raw-RGB under the light (N, 2) of the camera (N, 13)."""
        return inverse_transform(light, camera[:, :9])

    def restore(self, srgb: Tensor, transform: Tensor, maps: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Raw-RGB (N, 3, H, W) from sRGB, the (N, 9) inverse transform and the lookup's maps."""
        config = self.config.reconstructor
        base = mix_channels(decode(srgb), transform).clamp(0, 1)
        return self.reconstructor(
            srgb,
            base,
            maps if config.prior else None,
            keys if config.non_local else None,
            values[3:] if config.non_local else None,
        )

    def scene(self, thumbnail: Tensor, keys: Tensor, values: Tensor, camera: Tensor) -> Tensor:
        """Thumbnail (1, 3, 64, 64) sRGB to the scene vector (1, context + 9)."""
        context = self.encoder.context(thumbnail)
        maps, peak = self.lookup(thumbnail, context, keys, values)
        light = self.infer_light(thumbnail, maps, peak, camera)
        return torch.cat([context, self.transform(light, camera)], 1)

    def tile(self, srgb: Tensor, scene: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """sRGB (1, 3, T, T) and scene vector to raw-RGB (1, 3, T, T) and reliability (1, 1, T, T) in [0, 1]."""
        context, transform = scene[:, :-9], scene[:, -9:]
        maps, peak = self.lookup(srgb, context, keys, values)
        raw = self.restore(srgb, transform, maps, keys, values)
        spread = torch.ones(1, 1, 2, 2, dtype=srgb.dtype, device=srgb.device)
        return raw, F.conv_transpose2d(peak, spread, stride=2)

    forward = tile
