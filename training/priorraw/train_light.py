"""Stage 2b: the light learns on top of the fixed encoder and bank, from thumbnails and what the bank says of them.

What the bank says of a picture does not change while the light learns, so it is looked up once, for both mirror
images. The lookup is cross-fitted: each half of a camera's pictures meets a bank that was built from the other
half, since a bank that holds a picture's own pixels would look better in training than it ever is in use.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from priorraw.bank import BankInfo, build_bank
from priorraw.distributed import Part
from priorraw.layers import decode, mix_channels
from priorraw.light import inverse_transform
from priorraw.losses import light_loss
from priorraw.model import THUMBNAIL, ModelConfig, PriorRAW
from priorraw.pictures import TrainingPicture, check_trainable
from priorraw.progress import track
from priorraw.train import TrainConfig, below, fit, flushed_denormals, pick_device

MIN_WINDOW = 40  # the light also learns from windows of the thumbnail, down to this side
BATCH = 64


@dataclass(frozen=True)
class Camera:
    """A camera's training pictures, with the settings of the bank that it will ship."""

    pictures: list[TrainingPicture]
    info: BankInfo


@dataclass(frozen=True)
class Scenes:
    """All training scenes in a few tensors: thumbnail (N, 3, 64, 64), maps (2, N, 7, 32, 32) float16 for the
    picture and its mirror image, camera (N, 13), light (N, 2), power (N, 3) and floor (N,) as in `light_loss`,
    chance (N,) of being drawn."""

    thumbnail: Tensor
    maps: Tensor
    camera: Tensor
    light: Tensor
    power: Tensor
    floor: Tensor
    chance: Tensor


def train_light(
    model: PriorRAW, cameras: list[Camera], model_config: ModelConfig, train: TrainConfig, out: Path
) -> PriorRAW:
    """Train the light; encoder and affinity of `model` stay as they are. See `fit` for resume."""
    for camera in cameras:
        check_trainable(camera.pictures, 8)
    device = pick_device()
    parts = [_scenes(model, camera, model_config.light.prior) for camera in cameras]
    scenes = Scenes(
        *(torch.cat([getattr(p, f) for p in parts], int(f == "maps")).to(device) for f in Scenes.__annotations__)
    )
    torch.manual_seed(train.seed)
    learner = PriorRAW(model_config)
    learner.encoder.load_state_dict(model.encoder.state_dict())
    learner.affinity.load_state_dict(model.affinity.state_dict())
    learner.requires_grad_(False)
    learner.light.requires_grad_(True)
    learner.to(device)

    def loss_of(generator: torch.Generator, part: Part) -> Tensor:
        return _loss(learner, scenes, generator, part)

    settings: dict[str, Any] = {"stage": "light", "model": model_config.to_json(), "train": asdict(train)}
    settings |= {"cameras": [asdict(c.info) for c in cameras]}
    learning = list(learner.light.parameters())
    return fit(learner, learning, loss_of, train, out, settings).to("cpu")  # type: ignore[return-value]


def _loss(model: PriorRAW, scenes: Scenes, generator: torch.Generator, part: Part) -> Tensor:
    chosen = torch.multinomial(scenes.chance.cpu(), BATCH, replacement=True, generator=generator)
    mirror = below(2, generator)
    side = MIN_WINDOW + 8 * below((THUMBNAIL - MIN_WINDOW) // 8 + 1, generator)
    top, left = (2 * below((THUMBNAIL - side) // 2 + 1, generator) for _ in "yx")
    whole = len(chosen)
    chosen = torch.tensor(part.of(chosen.tolist(), "thumbnails"))
    thumbnail = scenes.thumbnail[chosen].flip([-1] if mirror else [])[..., top : top + side, left : left + side]
    maps = None
    if model.config.light.prior:
        half = slice(top // 2, (top + side) // 2), slice(left // 2, (left + side) // 2)
        maps = scenes.maps[mirror, chosen, :, *half].float()
    light, log_error = model.light(thumbnail, maps, scenes.camera[chosen])
    loss = light_loss(
        light.float(), log_error.float(), scenes.light[chosen], scenes.power[chosen], scenes.floor[chosen]
    )
    return loss * (len(chosen) * part.count / whole)


@torch.no_grad()
def _scenes(model: PriorRAW, camera: Camera, prior: bool) -> Scenes:
    pictures = camera.pictures
    vector = torch.tensor([camera.info.camera_vector])
    power, floor = [], []
    for p in pictures:
        count = p.valid.sum()
        base = mix_channels(decode(p.srgb[None]), inverse_transform(p.light[None], vector[:, :9]))[0].clamp(0, 1)
        power.append((p.raw.square() * p.valid).sum((1, 2)) / count)
        floor.append(((base - p.raw).square() * p.valid).sum() / (3 * count))
    N = len(pictures)
    return Scenes(
        torch.stack([p.thumbnail for p in pictures]),
        _cross_fitted_maps(model, camera) if prior else torch.zeros(2, N, 0),
        vector.expand(N, -1),
        torch.stack([p.light for p in pictures]),
        torch.stack(power),
        torch.stack(floor),
        torch.full((N,), N**-0.5),  # a camera in proportion to the root of its scenes
    )


@flushed_denormals()
def _cross_fitted_maps(model: PriorRAW, camera: Camera) -> Tensor:
    """(2, N, 7, 32, 32) float16: what the bank of the other half says of every thumbnail and its mirror image."""
    pictures, side = camera.pictures, THUMBNAIL // 2
    maps = torch.zeros(2, len(pictures), 7, side, side, dtype=torch.float16)
    for own in (0, 1):
        # Half the pictures get half the group, so that a group covers the same share of its cluster.
        info = replace(camera.info, G=max(1, camera.info.G // 2))
        keys, values, _ = build_bank(model, pictures[1 - own :: 2], info)[0].tensors()
        for i in track(range(own, len(pictures), 2), f"look up {camera.info.camera}, half {own + 1} of 2"):
            for mirror in (0, 1):
                thumbnail = pictures[i].thumbnail[None].flip([-1] if mirror else [])
                looked_up = model.lookup(thumbnail, model.encoder.context(thumbnail), keys, values)
                maps[mirror, i] = torch.cat(looked_up, 1)[0]
    return maps
