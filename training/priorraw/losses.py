"""Training losses. Raw-RGB is linear in [0, 1]; masked pixels carry no weight."""

import torch
from pytorch_msssim import ssim
from torch import Tensor

L1_WEIGHT, SSIM_WEIGHT, LIGHT_WEIGHT = 1.0, 0.2, 0.02  # a and b of the paper, and our light term


def search_loss(assembled: Tensor, true: Tensor) -> Tensor:
    """Mean squared distance between assembled and true RAW, (P, 3) each (paper, stage 1)."""
    return torch.nn.functional.mse_loss(assembled, true)


def reconstruction_loss(predicted: Tensor, true: Tensor, valid: Tensor, light: Tensor, true_light: Tensor) -> Tensor:
    """a L1 + b (1 - SSIM) on raw-RGB (N, 3, H, W), plus L1 on the light (N, 2); `valid` is (N, 1, H, W)."""
    predicted = predicted * valid
    l1 = (predicted - true).abs().sum() / (3 * valid.sum())
    structure = 1 - ssim(predicted, true, data_range=1.0)
    return L1_WEIGHT * l1 + SSIM_WEIGHT * structure + LIGHT_WEIGHT * (light - true_light).abs().mean()
