"""Stage 3: the reconstructor learns to undo the rendering under a given light.

It needs neither encoder nor bank. Half the crops come with their true light, half with a light that is off by
as much as an inferred one may be, and with the raw-RGB that belongs to *that* light. So it never learns to
guess the light, which the scene part knows better, and serves blind and hinted pictures alike.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from priorraw.distributed import Part
from priorraw.isp import dequantise, quantise, render
from priorraw.light import inverse_transform, response_to_white
from priorraw.losses import reconstruction_loss
from priorraw.model import ModelConfig, PriorRAW
from priorraw.pictures import CameraPictures, TrainingPicture, camera_vector, check_trainable, to_tensor
from priorraw.srgb_input import SUBSAMPLINGS, through_jpeg
from priorraw.train import TrainConfig, below, fit, pick_device

CROP = 64
LIGHT_OFF = 0.7  # standard deviations of the camera's lights by which half the lights are off
RENDERED_SHARE = 0.7  # of the crops are exposed anew and rendered again, so that other pixels clip
EXPOSURE, TINT = 0.4, 0.06  # logarithms: up to 0.58 stop brighter, and a standard deviation of each channel
JPEG_SHARE = 0.15  # of the crops go through JPEG, quality 75 to 98


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
    pictures: list[tuple[TrainingPicture, Tensor, np.ndarray]] = []
    chances = []
    for camera in cameras:
        check_trainable(camera.pictures, CROP)
        vector = camera_vector(camera.pictures, camera.color_matrix)
        pictures += [(picture, vector, camera.color_matrix) for picture in camera.pictures]
        # A camera in proportion to the root of its pictures, a picture to the root of the crops that it holds.
        chances += [(p.valid.numel() / CROP**2 / len(camera.pictures)) ** 0.5 for p in camera.pictures]

    def loss_of(generator: torch.Generator, part: Part) -> Tensor:
        chosen = torch.multinomial(torch.tensor(chances), config.batch, generator=generator, replacement=True)
        return _loss(model, [pictures[i] for i in chosen.tolist()], generator, device, part)

    settings: dict[str, Any] = {"stage": "reconstruct", "model": model_config.to_json(), "train": asdict(train)}
    settings |= {"batch": asdict(config), "pictures": [len(c.pictures) for c in cameras]}
    learning = list(model.reconstructor.parameters())
    return fit(model, learning, loss_of, train, out, settings).to("cpu")  # type: ignore[return-value]


def _loss(
    model: PriorRAW,
    chosen: list[tuple[TrainingPicture, Tensor, np.ndarray]],
    generator: torch.Generator,
    device: torch.device,
    part: Part,
) -> Tensor:
    views = [_draw_view(picture, generator) for picture, _, _ in chosen]
    off = torch.randn(len(chosen), 2, generator=generator) * (torch.rand(len(chosen), 1, generator=generator) < 0.5)
    # All of the batch is drawn; what is cut, rendered and rebuilt is this part of it.
    own = part.of(range(len(chosen)), "crops")
    crops = [_crop(chosen[i][0], chosen[i][2], views[i]) for i in own]
    srgb, raw, valid = (torch.stack(tensors).to(device) for tensors in zip(*crops, strict=True))
    camera = torch.stack([chosen[i][1] for i in own])
    true = torch.stack([chosen[i][0].light for i in own])
    off = off[own]
    light = true + LIGHT_OFF * camera[:, 11:] * off
    # The same sRGB under another light comes from another raw: each channel in proportion to its response to white.
    ratio = response_to_white(light) / response_to_white(true)
    target = (raw * ratio.unsqueeze(-1).unsqueeze(-1).to(device)).clamp(0, 1)
    predicted, log_error = model.reconstructor(srgb, inverse_transform(light, camera[:, :9]).to(device))
    loss = reconstruction_loss(predicted.float(), log_error.float(), target, valid)
    return loss * (len(own) * part.count / len(chosen))


@dataclass(frozen=True)
class View:
    """How a crop is seen: where it lies, how it is turned, exposed (3,) and compressed, if it is."""

    top: int
    left: int
    turns: int
    flips: list[int]
    exposure: Tensor | None
    jpeg: tuple[int, str] | None  # quality, subsampling


def _draw_view(picture: TrainingPicture, generator: torch.Generator) -> View:
    top, left = (below(side - CROP + 1, generator) for side in picture.srgb.shape[1:])
    turns, flips = below(4, generator), [-1] if below(2, generator) else []
    exposure = jpeg = None
    if _chance(RENDERED_SHARE, generator) and picture.own_isp:
        exposure = torch.exp(EXPOSURE * torch.rand(1, generator=generator) + TINT * torch.randn(3, generator=generator))
    if _chance(JPEG_SHARE, generator):
        jpeg = 75 + below(24, generator), SUBSAMPLINGS[below(2, generator)]
    return View(top, left, turns, flips, exposure, jpeg)


def _crop(picture: TrainingPicture, color_matrix: np.ndarray, view: View) -> tuple[Tensor, Tensor, Tensor]:
    """srgb and raw (3, 64, 64) and valid (1, 64, 64): a window, turned, exposed anew, through JPEG."""
    rows, columns = slice(view.top, view.top + CROP), slice(view.left, view.left + CROP)
    planes = (picture.srgb, picture.raw, picture.valid)
    srgb, raw, valid = (t[:, rows, columns].flip(view.flips).rot90(view.turns, (1, 2)) for t in planes)
    if view.exposure is not None:
        raw = (raw * view.exposure.view(3, 1, 1)).clamp(max=1)  # at the white level a sensor saturates
        gains = 1 / response_to_white(picture.light[None])[0].numpy()
        srgb = to_tensor(dequantise(quantise(render(raw.permute(1, 2, 0).numpy(), gains, color_matrix), 8)))
    if view.jpeg is not None:
        srgb = to_tensor(through_jpeg(srgb.permute(1, 2, 0).numpy(), *view.jpeg))
    return srgb, raw, valid


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand(1, generator=generator)) < share
