"""The crops that the reconstructor learns from: windows of scenes, blended, exposed and rendered anew, through JPEG.

A camera has few scenes of its own. Another's can be moved into its raw-RGB and under its light, since either is linear
sRGB but for a matrix; so crops borrow scenes from all cameras.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from priorraw.isp import dequantise, quantise, render
from priorraw.light import inverse_transform, response_to_white
from priorraw.pictures import TrainingPicture, to_tensor
from priorraw.srgb_input import SUBSAMPLINGS, through_jpeg
from priorraw.train import below

CROP = 64
RENDERED_SHARE = 0.7  # of the crops are exposed anew and rendered again, so that other pixels clip
EXPOSURE, TINT = 0.4, 0.06  # logarithms: up to 0.58 stop brighter, and a standard deviation of each channel
BORROWED_SHARE = 0.6  # of the crops that are rendered again show another scene as well, half of them that scene alone
SATURATED = 0.98  # raw values of a borrowed scene from here on are not known under another light
JPEG_SHARE = 0.15  # of the crops go through JPEG, quality 75 to 98


@dataclass(frozen=True)
class Scene:
    """A training picture with the vector (13,) and the colour matrix of its camera."""

    picture: TrainingPicture
    camera: Tensor
    color_matrix: np.ndarray

    def transform(self) -> Tensor:
        """(3, 3) from linear sRGB to raw-RGB, under the picture's light."""
        return inverse_transform(self.picture.light[None], self.camera[None, :9]).view(3, 3)


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


def draw_view(picture: TrainingPicture, scenes: Sequence[Scene], generator: torch.Generator) -> View:
    """How a crop of a picture is seen; `scenes` are what it may borrow."""
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


def crop(scene: Scene, view: View) -> tuple[Tensor, Tensor, Tensor]:
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
