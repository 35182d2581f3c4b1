"""Stage 3: the reconstructor learns to undo the rendering under a given light.

It needs neither encoder nor bank. Half the crops come with their true light, half with a light that is off by
as much as an inferred one may be, and with the raw-RGB that belongs to *that* light. So it never learns to
guess the light, which the scene part knows better, and serves blind and hinted pictures alike.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from priorraw.crops import CROP, Scene, crop, draw_view
from priorraw.distributed import Part
from priorraw.light import inverse_transform, response_to_white
from priorraw.losses import reconstruction_loss
from priorraw.model import ModelConfig, PriorRAW
from priorraw.pictures import CameraPictures, camera_vector, check_trainable
from priorraw.train import TrainConfig, fit, pick_device

LIGHT_OFF = 0.7  # standard deviations of the camera's lights by which half the lights are off


@dataclass(frozen=True)
class ReconstructConfig:
    batch: int = 16


def train_reconstruct(
    cameras: Sequence[CameraPictures],
    model_config: ModelConfig,
    train: TrainConfig,
    out: Path,
    config: ReconstructConfig | None = None,
    start: dict[str, Tensor] | None = None,
) -> PriorRAW:
    """Train the reconstructor on the pictures of one or more cameras; see `fit` for resume.

    `start` are weights to go on from, by their names in the reconstructor.
    """
    config = config or ReconstructConfig()
    device = pick_device()
    torch.manual_seed(train.seed)
    model = PriorRAW(model_config).requires_grad_(False)
    if start is not None:
        model.reconstructor.load_state_dict(start)
    model.reconstructor.requires_grad_(True)
    model.to(device)
    scenes: list[Scene] = []
    chances = []
    for camera in cameras:
        check_trainable(camera.pictures, CROP)
        vector = camera_vector(camera.pictures, camera.color_matrix)
        scenes += [Scene(picture, vector, camera.color_matrix) for picture in camera.pictures]
        # A camera in proportion to the root of its pictures, a picture to the root of the crops that it holds.
        chances += [(p.valid.numel() / CROP**2 / len(camera.pictures)) ** 0.5 for p in camera.pictures]

    def loss_of(generator: torch.Generator, part: Part) -> Tensor:
        chosen = torch.multinomial(torch.tensor(chances), config.batch, generator=generator, replacement=True)
        return _loss(model, scenes, chosen.tolist(), generator, device, part)

    settings: dict[str, Any] = {"stage": "reconstruct", "model": model_config.to_json(), "train": asdict(train)}
    settings |= {"batch": asdict(config), "pictures": [len(c.pictures) for c in cameras]}
    learning = list(model.reconstructor.parameters())
    return fit(model, learning, loss_of, train, out, settings).to("cpu")  # type: ignore[return-value]


@torch.no_grad()
def blend_weights(reconstructor: nn.Module, other: dict[str, Tensor], share: float) -> None:
    """Put `share` of other weights in: what was learnt before is forgotten less (Wortsman et al., CVPR 2022)."""
    for name, weight in reconstructor.named_parameters():
        weight.lerp_(other[name], share)


def _loss(
    model: PriorRAW,
    scenes: Sequence[Scene],
    chosen: list[int],
    generator: torch.Generator,
    device: torch.device,
    part: Part,
) -> Tensor:
    views = [draw_view(scenes[i].picture, scenes, generator) for i in chosen]
    off = torch.randn(len(chosen), 2, generator=generator) * (torch.rand(len(chosen), 1, generator=generator) < 0.5)
    # All of the batch is drawn; what is cut, rendered and rebuilt is this part of it.
    own = part.of(range(len(chosen)), "crops")
    shown = [scenes[chosen[i]] for i in own]
    crops = [crop(scene, views[i]) for scene, i in zip(shown, own, strict=True)]
    srgb, raw, valid = (torch.stack(tensors).to(device) for tensors in zip(*crops, strict=True))
    camera = torch.stack([scene.camera for scene in shown])
    true = torch.stack([scene.picture.light for scene in shown])
    light = true + LIGHT_OFF * camera[:, 11:] * off[own]
    # The same sRGB under another light comes from another raw: each channel in proportion to its response to white.
    ratio = response_to_white(light) / response_to_white(true)
    target = (raw * ratio.unsqueeze(-1).unsqueeze(-1).to(device)).clamp(0, 1)
    predicted, log_error = model.reconstructor(srgb, inverse_transform(light, camera[:, :9]).to(device))
    loss = reconstruction_loss(predicted.float(), log_error.float(), target, valid)
    return loss * (len(own) * part.count / len(chosen))
