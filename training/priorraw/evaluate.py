"""Measure a dataset under the one protocol of `metrics`."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from priorraw.assets import Prior
from priorraw.dataset import PairDataset, mask_of
from priorraw.errors import InputError
from priorraw.isp import gains_from_illuminant, unrender
from priorraw.metrics import angular_error, rank_correlation, score
from priorraw.padding import pad_to_align
from priorraw.pictures import thumbnail_of, to_tensor
from priorraw.progress import track

STAGES = ("reconstructed", "assembled", "inferred-light", "mean-light", "true-light")
FIGURES = ("psnr", "ssim", "psnr_clipped", "psnr_unclipped", "light_error", "reliability_rank")
WORST = 3
LEAST_SIDE = 11  # the window of SSIM; the assembled stage is scored at half resolution


def evaluate(dataset: PairDataset, prior: Prior, stage: str = "reconstructed") -> dict[str, Any]:
    """Score every picture of a split.

    Args:
        stage: `reconstructed`, the whole method; `assembled`, what the bank alone says, at half resolution;
            the other three are closed-form inverses of the rendering with the inferred light, the mean light
            of the camera's training scenes, or the scene's true light (a bound).

    Returns:
        `psnr` and `ssim` (means over pictures), `light_error` (mean degrees), `psnr_clipped` and
        `psnr_unclipped`, `reliability_rank` (rank correlation of reliability and absolute error, for the whole
        method; -1 would be a perfect warning), and `images` with the same figures for each picture.

    Raises:
        InputError: a picture is too small to be scored or wholly masked.
    """
    images = []
    for i in track(range(len(dataset)), f"evaluate {dataset.camera}"):
        raw, srgb = dataset.pair(i)
        if min(raw.shape[:2]) < LEAST_SIDE * (2 if stage == "assembled" else 1):
            raise InputError(f"{dataset.folder}: picture {dataset.names[i]} is too small to be scored; leave it out")
        predicted, light, reliability = _predict(prior, srgb, dataset.illuminant(i), stage)
        mask = mask_of(raw)
        if stage == "assembled":
            raw, mask, srgb = (
                _halve(raw),
                _halve(mask[..., None].astype(np.float32))[..., 0] == 1,
                _halve(srgb),
            )
        try:
            figures = asdict(score(predicted, raw, mask, srgb))
        except ValueError as error:
            raise InputError(f"{dataset.folder}: picture {dataset.names[i]}: {error}") from None
        figures["light_error"] = angular_error(light, dataset.illuminant(i))
        distance = np.abs(predicted - raw).mean(-1)[mask]
        figures["reliability_rank"] = None if reliability is None else rank_correlation(reliability[mask], distance)
        images.append({"name": dataset.names[i], **figures})
    return {
        "camera": dataset.camera,
        "split": dataset.split,
        "stage": stage,
        **{key: _mean(images, key) for key in FIGURES},
        "worst": [image["name"] for image in sorted(images, key=lambda image: image["psnr"])[:WORST]],
        "images": images,
    }


def _predict(
    prior: Prior, srgb: np.ndarray, true_light: np.ndarray, stage: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The picture that a stage gives, the illuminant (3,) that it believes in, and its reliability if it has one."""
    lights: dict[str, Callable[[], np.ndarray]] = {
        "mean-light": lambda: mean_illuminant(prior),
        "true-light": lambda: true_light,
    }
    light = lights.get(stage, lambda: inferred_illuminant(prior, srgb))()
    if stage == "reconstructed":
        raw, reliability = prior(srgb)
        return raw, light, reliability
    if stage == "assembled":
        return assembled(prior, srgb), light, None
    return unrender(srgb, gains_from_illuminant(light), prior.color_matrix), light, None


def mean_illuminant(prior: Prior) -> np.ndarray:
    """Illuminant (3,) at the mean of the camera's training lights (mean of the log ratios)."""
    red, blue = np.exp(prior.bank.info.camera_vector[9:11])
    return np.array([red, 1.0, blue])


def inferred_illuminant(prior: Prior, srgb: np.ndarray) -> np.ndarray:
    """Illuminant (3,) from the scene vector: the matrix maps white to the sensor's response to white."""
    return prior.scene(srgb)[0, -9:].numpy().reshape(3, 3).sum(1)


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


def _mean(images: list[dict[str, Any]], key: str) -> float | None:
    values = [image[key] for image in images if image[key] is not None]
    return float(np.mean(values)) if values else None
