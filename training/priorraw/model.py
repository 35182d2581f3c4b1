"""The builder: encoder, bank lookup and light make the scene part, the reconstructor the tile part.

`scene` needs the whole picture and runs once, on a thumbnail, whatever the picture's size: it searches the
bank and infers the light. `tile` needs the pixels and runs per tile, without the bank. The scene vector
between them is ten numbers: the inverse of the rendering, and how far its light may be off.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from priorraw.encoder import Encoder, EncoderConfig
from priorraw.layers import from_tokens, halve
from priorraw.light import Light, LightConfig, inverse_transform
from priorraw.lookup import Affinity
from priorraw.reconstructor import Reconstructor, ReconstructorConfig, reliability_of

THUMBNAIL = 64  # side of the square thumbnail that the scene part sees
ALIGN = 8  # total stride of the tile part: sides of tiles and their origins are multiples of it
HALO = 32  # pixels; covers the receptive field of the tile part (radius measured in tests/test_model.py)


def scene_transform(scene: Tensor) -> Tensor:
    """(N, 10) scene vector to its (N, 9) matrix from linear sRGB to raw-RGB."""
    return scene[:, 1:]


def hint_scene(scene: Tensor, light: Tensor, camera: Tensor) -> Tensor:
    """The scene vector (N, 10) with the inferred light replaced by a known one (N, 2), for a camera (N, 13)."""
    return torch.cat([torch.zeros_like(scene[:, :1]), inverse_transform(light, camera[:, :9])], 1)


@dataclass(frozen=True)
class ModelConfig:
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    light: LightConfig = field(default_factory=LightConfig)
    reconstructor: ReconstructorConfig = field(default_factory=ReconstructorConfig)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "ModelConfig":
        return ModelConfig(
            EncoderConfig(**value["encoder"]),
            LightConfig(**value["light"]),
            ReconstructorConfig(**value["reconstructor"]),
        )


class PriorRAW(nn.Module):
    """Shapes: keys (K, d) unit features; values (6, K), rows sRGB then RAW; camera (N, 13), see `light`."""

    task = "raw"
    halo = HALO
    inputs = {"scene": ("thumbnail", "keys", "values", "camera"), "tile": ("tile", "scene")}  # noqa: RUF012

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.affinity = Affinity()
        self.light = Light(config.light)
        self.reconstructor = Reconstructor(config.reconstructor)

    def lookup(self, srgb: Tensor, context: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """What the bank says: maps (N, 6, H/2, W/2) of assembled RAW and distance, and peak (N, 1, H/2, W/2)."""
        half = halve(srgb)
        tokens, peaks = self.affinity.assemble(self.encoder(srgb, context), keys, values)
        assembled = from_tokens(tokens, half)
        distance = (assembled[:, :3] - half).abs()
        return torch.cat([assembled[:, 3:], distance], 1), from_tokens(peaks, half)

    def infer_light(self, thumbnail: Tensor, keys: Tensor, values: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
        """Light (N, 2) from thumbnails (N, 3, 64, 64), and the logarithm of its expected relative error (N, 1)."""
        if not self.config.light.prior:
            return self.light(thumbnail, None, camera)
        maps, peak = self.lookup(thumbnail, self.encoder.context(thumbnail), keys, values)
        return self.light(thumbnail, torch.cat([maps, peak], 1), camera)

    def scene(self, thumbnail: Tensor, keys: Tensor, values: Tensor, camera: Tensor) -> Tensor:
        """Thumbnail (1, 3, 64, 64) sRGB to the scene vector (1, 10): the light's error, the (9) inverse transform."""
        light, log_error = self.infer_light(thumbnail, keys, values, camera)
        return torch.cat([torch.exp(log_error), inverse_transform(light, camera[:, :9])], 1)

    def tile(self, srgb: Tensor, scene: Tensor) -> tuple[Tensor, Tensor]:
        """sRGB (1, 3, T, T) and scene vector to raw-RGB (1, 3, T, T) and reliability (1, 1, T, T) in [0, 1]."""
        raw, log_error = self.reconstructor(srgb, scene_transform(scene))
        raw = raw.clamp(0, 1)
        return raw, reliability_of(raw, log_error, scene[:, :1])

    def see(self, srgb: Tensor) -> Tensor:
        """What the parts take of an sRGB picture in [0, 1]: itself."""
        return srgb

    forward = tile
