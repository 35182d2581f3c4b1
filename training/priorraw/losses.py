"""Training losses. Raw-RGB is linear in [0, 1]; masked pixels carry no weight.

Two of them are logarithms of a picture's mean squared error, that is its PSNR: the figure that counts, and
the one under which a picture that is nearly right still teaches.
"""

import torch
from pytorch_msssim import ssim
from torch import Tensor

from priorraw.light import response_to_white

L1_WEIGHT, SSIM_WEIGHT = 1.0, 0.2  # a and b of the paper
ERROR_WEIGHT = 0.02  # of the expected error's likelihood
PSNR_WEIGHT = 0.1
LIGHT_FLOOR, PICTURE_FLOOR = 1e-5, 1e-6  # mean squared errors below which nothing more is gained


def search_loss(assembled: Tensor, true: Tensor) -> Tensor:
    """Mean squared distance between assembled and true RAW, (P, 3) each (paper, stage 1)."""
    return torch.nn.functional.mse_loss(assembled, true)


def paper_loss(predicted: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """a L1 + b (1 - SSIM) on raw-RGB (N, 3, H, W); `valid` is (N, 1, H, W) (paper, stage 3)."""
    predicted = predicted * valid
    l1 = (predicted - true).abs().sum() / (3 * valid.sum())
    return L1_WEIGHT * l1 + SSIM_WEIGHT * (1 - ssim(predicted, true, data_range=1.0))


def light_loss(light: Tensor, log_error: Tensor, true_light: Tensor, power: Tensor, floor: Tensor) -> Tensor:
    """What a wrong light (N, 2) costs the closed-form inverse in PSNR, and the likelihood of its expected error.

    Args:
        log_error: (N, 1) logarithm of the expected relative error.
        power: (N, 3) mean of the squared raw values of each channel.
        floor: (N,) mean squared error of the closed form under the true light.
    """
    error = response_to_white(light) / response_to_white(true_light) - 1
    mse = (error.square() * power).mean(1) + floor
    root = power.sqrt()
    relative = (error.abs() * root).sum(1, keepdim=True) / root.sum(1, keepdim=True)
    return PSNR_WEIGHT * torch.log(mse + LIGHT_FLOOR).mean() + laplace(relative, log_error).mean()


def reconstruction_loss(
    predicted: Tensor, log_error: Tensor, true: Tensor, valid: Tensor, floor: float = PICTURE_FLOOR
) -> Tensor:
    """PSNR of each picture (N, 3, H, W), and the likelihood of its expected error (N, 1, H, W).

    Below the mean squared error `floor` nothing more is gained.
    """
    error = (predicted - true) * valid
    count = valid.sum((1, 2, 3)).clamp(min=1)  # a crop may be masked as a whole
    mse = error.square().sum((1, 2, 3)) / (3 * count)
    unlikely = (laplace(error.abs().mean(1, keepdim=True), log_error) * valid).sum((1, 2, 3)) / count
    return (PSNR_WEIGHT * torch.log(mse + floor) + unlikely).mean()


def laplace(error: Tensor, log_expected: Tensor) -> Tensor:
    """Weighted negative log likelihood of absolute errors under a Laplace distribution; least at their mean."""
    return ERROR_WEIGHT * (error.detach() * torch.exp(-log_expected) + log_expected)
