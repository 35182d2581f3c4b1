"""Measure a dataset under the one protocol of `metrics`."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from priorraw.assets import Prior
from priorraw.dataset import PairDataset, mask_of
from priorraw.errors import InputError
from priorraw.figures import FIGURES, figures_of, summary
from priorraw.isp import gains_from_illuminant, unrender
from priorraw.model import hint_scene, scene_transform
from priorraw.padding import pad_to_align
from priorraw.pictures import thumbnail_of, to_tensor
from priorraw.progress import track
from priorraw.srgb_input import SrgbInput

__all__ = ["FIGURES", "STAGES", "evaluate"]

STAGES = ("reconstructed", "assembled", "inferred-light", "mean-light", "true-light")
WORST = 3
LEAST_SIDE = 11  # the window of SSIM; the assembled stage is scored at half resolution
AS_STORED = SrgbInput()


@dataclass(frozen=True)
class HintedPrior(Prior):
    """A prior that is told the light of the picture."""

    light: np.ndarray  # (3,) the sensor's response to white, on any scale

    def scene(self, srgb: np.ndarray) -> Tensor:
        """As of `Prior`, with the known light in place of the inferred one."""
        log_ratios = np.log(np.asarray(self.light, np.float64)[[0, 2]] / self.light[1]).astype(np.float32)
        return hint_scene(super().scene(srgb), torch.from_numpy(log_ratios)[None], self.bank.tensors()[2])


def evaluate(
    dataset: PairDataset,
    prior: Prior,
    stage: str = "reconstructed",
    *,
    hint: bool = False,
    srgb_input: SrgbInput = AS_STORED,
) -> dict[str, Any]:
    """Score every picture of a split.

    Args:
        stage: `reconstructed`, the whole method; `assembled`, what the bank alone says, at half resolution;
            the other three are closed-form inverses of the rendering with the inferred light, the mean light
            of the camera's training scenes, or the scene's true light (a bound).
        hint: give the method the scene's true light, as a camera's EXIF would; never to be mixed with blind results.
        srgb_input: what the sRGB pictures go through first.

    Returns:
        `figures.FIGURES` over all pictures, `images` with those of each, and what was measured: `camera`,
        `split`, `stage`, `hint`, and `input` (bits, JPEG).

    Raises:
        InputError: a picture is too small to be scored or wholly masked; a hint for another stage than
            `reconstructed`; sRGB that cannot be had as asked.
    """
    if hint and stage != "reconstructed":
        raise InputError(f"--hint is for the stage reconstructed, {stage} takes none; leave one out")
    images: list[dict[str, Any]] = []
    for i in track(range(len(dataset)), f"evaluate {dataset.camera}"):
        raw, srgb, seen = srgb_input.pair(dataset, i)
        if min(raw.shape[:2]) < LEAST_SIDE * (2 if stage == "assembled" else 1):
            raise InputError(f"{dataset.folder}: picture {dataset.names[i]} is too small to be scored; leave it out")
        light = dataset.illuminant(i)
        predicted, believed, reliability = _predict(prior, seen, light, stage, hint)
        mask = mask_of(raw)
        if stage == "assembled":
            mask = _halve(mask[..., None].astype(np.float32))[..., 0] == 1
            raw, srgb = _halve(raw), _halve(srgb)
        try:
            figures = figures_of(predicted, raw, mask, srgb, light, prior.color_matrix, believed, reliability)
        except ValueError as error:
            raise InputError(f"{dataset.folder}: picture {dataset.names[i]}: {error}") from None
        images.append({"name": dataset.names[i], **figures})
    return {
        "camera": dataset.camera,
        "split": dataset.split,
        "stage": stage,
        "hint": hint,
        "input": srgb_input.describe(),
        **summary(images),
        "worst": [image["name"] for image in sorted(images, key=lambda image: image["psnr"])[:WORST]],
        "images": images,
    }


def _predict(
    prior: Prior, srgb: np.ndarray, true_light: np.ndarray, stage: str, hint: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The picture that a stage gives, the illuminant (3,) that it believes in, and its reliability if it has one."""
    if stage == "reconstructed":
        if hint:
            prior = HintedPrior(**vars(prior), light=true_light)
        raw, reliability = prior(srgb)
        return raw, inferred_illuminant(prior, srgb), reliability
    if stage == "assembled":
        return assembled(prior, srgb), inferred_illuminant(prior, srgb), None
    light = {
        "inferred-light": lambda: inferred_illuminant(prior, srgb),
        "mean-light": lambda: mean_illuminant(prior),
        "true-light": lambda: true_light,
    }[stage]()
    return unrender(srgb, gains_from_illuminant(light), prior.color_matrix), light, None


def mean_illuminant(prior: Prior) -> np.ndarray:
    """Illuminant (3,) at the mean of the camera's training lights (mean of the log ratios)."""
    red, blue = np.exp(prior.bank.info.camera_vector[9:11])
    return np.array([red, 1.0, blue])


def inferred_illuminant(prior: Prior, srgb: np.ndarray) -> np.ndarray:
    """Illuminant (3,) from the scene vector: the matrix maps white to the sensor's response to white."""
    return scene_transform(prior.scene(srgb))[0].numpy().reshape(3, 3).sum(1)


def assembled(prior: Prior, srgb: np.ndarray) -> np.ndarray:
    """What the bank alone says: raw-RGB (H/2, W/2, 3)."""
    H, W = srgb.shape[:2]
    keys, values, _ = prior.bank.tensors()
    context = prior.model.encoder.context(to_tensor(thumbnail_of(srgb))[None])
    maps, _ = prior.model.lookup(to_tensor(pad_to_align(srgb))[None], context, keys, values)
    return maps[0, :3].permute(1, 2, 0).numpy()[: H // 2, : W // 2]


def _halve(picture: np.ndarray) -> np.ndarray:
    """Mean of each 2x2 block of (H, W, C); an odd last row or column is left out."""
    H, W = (side // 2 for side in picture.shape[:2])
    halved = cv2.resize(picture[: 2 * H, : 2 * W], (W, H), interpolation=cv2.INTER_AREA)
    return halved.reshape(H, W, -1)
