"""The metric protocol, used everywhere: PSNR and SSIM per picture on linear raw-RGB, then means over pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure


@dataclass(frozen=True)
class Score:
    """PSNR in dB (data range 1), SSIM, and PSNR over the pixels that the rendering clipped and did not."""

    psnr: float
    ssim: float
    psnr_clipped: float | None = None
    psnr_unclipped: float | None = None


def psnr(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB over the pixels of `mask` (H, W); pictures (H, W, 3) in [0, 1]. 100 dB where they are equal."""
    error = np.square(predicted.astype(np.float64) - true)[mask].mean()
    return float(-10 * np.log10(max(error, 1e-10)))


def ssim(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray) -> float:
    """Mean SSIM (11x11 Gaussian, sigma 1.5, data range 1) over the pixels of `mask`.

    Masked pixels are set to the truth first, so that what was predicted there does not leak into a window. Single
    precision: torch takes thirty times as long in double, for a difference of 3e-8 on a picture at 26 dB.
    """
    filled = np.where(mask[..., None], predicted, true)
    a, b = (torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)[None])).float() for x in (filled, true))
    _, full = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
    return float(full[0].mean(0).numpy()[mask].mean())


def score(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray, srgb: np.ndarray | None = None) -> Score:
    """Both metrics; with the sRGB (H, W, 3) also PSNR split by whether a channel sits at 0 or 1.

    Raises:
        ValueError: shapes differ, the picture is smaller than the SSIM window, or the mask is empty.
    """
    if predicted.shape != true.shape or mask.shape != true.shape[:2]:
        raise ValueError(f"shapes differ: {predicted.shape}, {true.shape}, mask {mask.shape}")
    if min(true.shape[:2]) < 11 or not mask.any():
        raise ValueError(f"a picture of {true.shape[:2]} with {mask.sum()} valid pixels cannot be scored")
    halves: list[float | None] = [None, None]
    if srgb is not None:
        clipped = ((srgb <= 0) | (srgb >= 1)).any(-1)
        halves = [psnr(predicted, true, m) if m.any() else None for m in (mask & clipped, mask & ~clipped)]
    return Score(psnr(predicted, true, mask), ssim(predicted, true, mask), *halves)


def angular_error(light: np.ndarray, illuminant: np.ndarray) -> float:
    """Angle in degrees between two illuminants (3,), scale free."""
    a, b = (np.asarray(x, np.float64) for x in (light, illuminant))
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))  # an arccos is coarse near 0


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two arrays of one size, in [-1, 1]; ties are broken by position.

    Of reliability and error it should be well below 0: what is trusted should be right.
    """
    ranks = [np.argsort(np.argsort(x.ravel(), kind="stable"), kind="stable") for x in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def sparsification(error: np.ndarray, reliability: np.ndarray) -> float | None:
    """Area under the sparsification curve: what is left of the error when the least reliable pixels go.

    The curve is the mean error of the pixels that remain when x = 0, 1, ..., 99 % of them are taken away, least
    reliable first, divided by the mean error of all; its mean is the area. 1: the reliability says nothing. Below
    it: what is trusted is right; the least that can be had is the area with reliability = -error. Pixels of equal
    reliability go in no order: each counts as their mean. (Ilg et al., Uncertainty estimates and multi-hypotheses
    networks for optical flow, ECCV 2018.)

    Returns:
        None for a picture without error.
    """
    error, reliability = error.ravel().astype(np.float64), reliability.ravel()
    if not error.any():
        return None
    _, group, sizes = np.unique(reliability, return_inverse=True, return_counts=True)
    of_group = np.bincount(group, error) / sizes
    kept = np.cumsum(of_group[np.sort(group)[::-1]]) / np.arange(
        1, error.size + 1
    )  # mean of the 1, 2, ... most reliable
    remaining = error.size - error.size * np.arange(100) // 100
    return float((kept[remaining - 1] / kept[-1]).mean())
