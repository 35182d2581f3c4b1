"""One row measured: every picture of a split, through the bytes that its camera would store."""

from dataclasses import asdict
from typing import Any

import numpy as np
from priorraw.dataset import PairDataset, mask_of
from priorraw.errors import InputError
from priorraw.isp import dequantise, gains_from_illuminant, quantise, render
from priorraw.metrics import angular_error, psnr, score
from priorraw.progress import track

from benchmarks.rivals.light import response, with_known_gains
from benchmarks.rivals.rival import Rival, Shot

FIGURES = ("psnr", "ssim", "psnr_clipped", "psnr_unclipped", "light_error", "psnr_known_gains")
MEGAPIXEL = (1000, 1000)


def load_shots(dataset: PairDataset) -> list[Shot]:
    """All pairs of a split.

    Raises:
        InputError: a picture cannot be read, is wholly masked or too small to be scored, or its sRGB is not 8-bit.
    """
    shots = []
    for i in track(range(len(dataset)), f"read {dataset.camera} {dataset.split}"):
        raw, srgb = dataset.pair(i)
        name = dataset.names[i]
        if min(raw.shape[:2]) < 11 or not raw.any():
            raise InputError(f"{dataset.folder}: picture {name} is too small or wholly masked; leave it out")
        if not np.array_equal(dequantise(quantise(srgb, 8)), srgb):
            raise InputError(f"{dataset.folder}: sRGB of {name} is not 8-bit; prepare it with --srgb-bits 8")
        shots.append(Shot(name, srgb, raw, dataset.illuminant(i)))
    return shots


def in_16_bits(shots: list[Shot], color_matrix: np.ndarray) -> list[Shot] | None:
    """The same pictures rendered anew to 16 bits, or None if the software ISP does not give the stored 8-bit ones."""
    finer = []
    for shot in shots:
        srgb = render(shot.raw, gains_from_illuminant(shot.illuminant), color_matrix)
        if not np.array_equal(dequantise(quantise(srgb, 8)), shot.srgb):
            return None
        finer.append(Shot(shot.name, dequantise(quantise(srgb, 16)), shot.raw, shot.illuminant))
    return finer


def measure(rival: Rival, shots: list[Shot], what: str) -> dict[str, Any]:
    """Means over pictures of PSNR, SSIM, PSNR of clipped and unclipped pixels, error of the light in degrees and
    PSNR if the gains were known; the median error of the light; bytes of metadata a picture.

    Raises:
        ValueError: the row stored another number of bytes than it says.
    """
    images = []
    for shot in track(shots, f"measure {what}"):
        metadata = rival.record(shot)
        if len(metadata) != rival.metadata_bytes(*shot.raw.shape[:2]):
            raise ValueError(f"{what}: stored {len(metadata)} bytes for {shot.name}, said otherwise")
        images.append(_figures(rival.predict(shot.srgb, metadata), shot, rival.color_matrix) | {"bytes": len(metadata)})
    means = {key: _mean([image[key] for image in images]) for key in FIGURES}
    errors = [image["light_error"] for image in images if image["light_error"] is not None]
    return means | {
        "light_error_median": float(np.median(errors)) if errors else None,
        "metadata_bytes_per_picture": _mean([image["bytes"] for image in images]),
    }


def _figures(predicted: np.ndarray, shot: Shot, color_matrix: np.ndarray) -> dict[str, Any]:
    mask = mask_of(shot.raw)
    figures = asdict(score(predicted, shot.raw, mask, shot.srgb))
    found = response(predicted * mask[..., None], shot.srgb, color_matrix)
    if found is None:
        return figures | {"light_error": None, "psnr_known_gains": None}
    known = with_known_gains(predicted, found, shot.illuminant)
    error = angular_error(found, shot.illuminant)
    return figures | {"light_error": error, "psnr_known_gains": psnr(known, shot.raw, mask)}


def costs(rival: Rival) -> dict[str, Any]:
    """What the row asks of the camera, for a picture of 1000x1000 pixels, and how much it has learned."""
    H, W = MEGAPIXEL
    return {
        "parameters": rival.parameters(),
        "metadata_bytes_per_megapixel": rival.metadata_bytes(H, W),
        "camera_flops_per_pixel": round(rival.camera_flops(H, W) / (H * W), 1),
    }


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
