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
from torch import Tensor, nn

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
BORROWED_SHARE = 0.6  # of the crops that are rendered again show another scene as well, half of them that scene alone
SATURATED = 0.98  # raw values of a borrowed scene from here on are not known under another light
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


@dataclass(frozen=True)
class Scene:
    """A training picture with the vector (13,) and the colour matrix of its camera."""

    picture: TrainingPicture
    camera: Tensor
    color_matrix: np.ndarray

    def transform(self) -> Tensor:
        """(3, 3) from linear sRGB to raw-RGB, under the picture's light."""
        return inverse_transform(self.picture.light[None], self.camera[None, :9]).view(3, 3)


def _loss(
    model: PriorRAW,
    scenes: Sequence[Scene],
    chosen: list[int],
    generator: torch.Generator,
    device: torch.device,
    part: Part,
) -> Tensor:
    views = [_draw_view(scenes[i].picture, scenes, generator) for i in chosen]
    off = torch.randn(len(chosen), 2, generator=generator) * (torch.rand(len(chosen), 1, generator=generator) < 0.5)
    # All of the batch is drawn; what is cut, rendered and rebuilt is this part of it.
    own = part.of(range(len(chosen)), "crops")
    shown = [scenes[chosen[i]] for i in own]
    crops = [_crop(scene, views[i]) for scene, i in zip(shown, own, strict=True)]
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


@dataclass(frozen=True)
class Window:
    """Where a crop lies and how it is turned."""

    top: int
    left: int
    turns: int
    flips: list[int]

    def of(self, picture: Tensor) -> Tensor:
        """(C, H, W) to (C, 64, 64)."""
        cut = picture[:, self.top : self.top + CROP, self.left : self.left + CROP]
        return cut.flip(self.flips).rot90(self.turns, (1, 2))


@dataclass(frozen=True)
class Borrowed:
    """Another scene, of any camera, and its share of the light."""

    scene: Scene
    window: Window
    share: float


@dataclass(frozen=True)
class View:
    """How a crop is seen: its window, what else it shows, exposed (3,) and compressed, if it is."""

    window: Window
    borrowed: Borrowed | None
    exposure: Tensor | None
    jpeg: tuple[int, str] | None  # quality, subsampling


def _draw_view(picture: TrainingPicture, scenes: Sequence[Scene], generator: torch.Generator) -> View:
    window = _draw_window(picture, generator)
    borrowed = exposure = jpeg = None
    if _chance(RENDERED_SHARE, generator) and picture.own_isp:
        exposure = torch.exp(EXPOSURE * torch.rand(1, generator=generator) + TINT * torch.randn(3, generator=generator))
        if _chance(BORROWED_SHARE, generator):
            other = scenes[below(len(scenes), generator)]
            share = min(1.0, 2 * float(torch.rand(1, generator=generator)))
            borrowed = Borrowed(other, _draw_window(other.picture, generator), share)
    if _chance(JPEG_SHARE, generator):
        jpeg = 75 + below(24, generator), SUBSAMPLINGS[below(2, generator)]
    return View(window, borrowed, exposure, jpeg)


def _draw_window(picture: TrainingPicture, generator: torch.Generator) -> Window:
    top, left = (below(side - CROP + 1, generator) for side in picture.srgb.shape[1:])
    return Window(top, left, below(4, generator), [-1] if below(2, generator) else [])


def _crop(scene: Scene, view: View) -> tuple[Tensor, Tensor, Tensor]:
    """srgb and raw (3, 64, 64) and valid (1, 64, 64): a window, blended, exposed anew, through JPEG."""
    picture = scene.picture
    srgb, raw, valid = (view.window.of(plane) for plane in (picture.srgb, picture.raw, picture.valid))
    if view.borrowed is not None:
        other, known = _as_seen_by(scene, view.borrowed)
        raw, valid = torch.lerp(raw, other, view.borrowed.share), valid * known
    if view.exposure is not None:
        raw = (raw * view.exposure.view(3, 1, 1)).clamp(max=1)  # at the white level a sensor saturates
        gains = 1 / response_to_white(picture.light[None])[0].numpy()
        srgb = to_tensor(dequantise(quantise(render(raw.permute(1, 2, 0).numpy(), gains, scene.color_matrix), 8)))
    if view.jpeg is not None:
        srgb = to_tensor(through_jpeg(srgb.permute(1, 2, 0).numpy(), *view.jpeg))
    return srgb, raw, valid


def _as_seen_by(scene: Scene, borrowed: Borrowed) -> tuple[Tensor, Tensor]:
    """The borrowed scene in the raw-RGB (3, 64, 64) of this scene's camera and light, and where it is known."""
    other = borrowed.scene
    raw, valid = (borrowed.window.of(plane) for plane in (other.picture.raw, other.picture.valid))
    moved = torch.einsum("ij,jhw->ihw", scene.transform() @ torch.linalg.inv(other.transform()), raw)
    return moved.clamp(0, 1), valid * (raw.amax(0, keepdim=True) < SATURATED)


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand(1, generator=generator)) < share
