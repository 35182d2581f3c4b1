"""Losses against NumPy and scikit-image; masked pixels teach nothing."""

import numpy as np
import pytest
import skimage.data
import torch
from priorraw import isp
from priorraw.cameras import color_matrix
from priorraw.losses import (
    ERROR_WEIGHT,
    L1_WEIGHT,
    LIGHT_FLOOR,
    PICTURE_FLOOR,
    PSNR_WEIGHT,
    SSIM_WEIGHT,
    laplace,
    light_loss,
    paper_loss,
    reconstruction_loss,
    search_loss,
)
from skimage.metrics import structural_similarity

TRUE = skimage.data.chelsea()[:64, 160:224].astype(np.float64) / 255
PREDICTED = (TRUE + np.random.default_rng(0).normal(0, 0.05, TRUE.shape)).clip(0, 1)


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())


def test_search_loss_is_the_mean_squared_distance():
    a, b = np.random.default_rng(0).random((2, 50, 3))
    assert search_loss(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(((a - b) ** 2).mean())


def test_paper_loss_is_l1_and_ssim():
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    _, full = structural_similarity(TRUE, PREDICTED, channel_axis=2, full=True, **options)
    structure = 1 - full[5:-5, 5:-5].mean()  # whole windows only
    expected = L1_WEIGHT * np.abs(PREDICTED - TRUE).mean() + SSIM_WEIGHT * structure
    loss = paper_loss(tensor(PREDICTED), tensor(TRUE), torch.ones(1, 1, 64, 64))
    assert loss.item() == pytest.approx(expected, abs=1e-6)  # seen: 8.9e-8


def test_a_right_answer_costs_nothing():
    loss = paper_loss(tensor(TRUE), tensor(TRUE), torch.ones(1, 1, 64, 64))
    assert loss.item() == pytest.approx(0, abs=1e-9)  # seen: 0


def test_masked_pixels_have_no_gradient_and_no_weight():
    valid = torch.ones(1, 1, 64, 64, dtype=torch.float64)
    valid[..., 10:30, 5:25] = 0
    true = tensor(TRUE) * valid  # masked raw-RGB is 0 in all channels
    predicted = tensor(PREDICTED).requires_grad_(True)
    loss = paper_loss(predicted, true, valid)
    loss.backward()
    assert predicted.grad is not None
    masked = (valid == 0).expand_as(predicted)
    assert (predicted.grad[masked] == 0).all()
    assert (predicted.grad[~masked] != 0).float().mean() > 0.99
    spoilt = torch.where(masked, torch.rand_like(predicted), predicted)
    assert paper_loss(spoilt, true, valid).item() == loss.item()
    # L1 is the mean over valid pixels, not over all.
    l1 = np.abs(PREDICTED - TRUE)[valid[0, 0].numpy() == 1].mean()
    half = paper_loss(predicted, true, valid)
    with_ssim_only = half.item() - L1_WEIGHT * l1
    assert 0 < with_ssim_only < SSIM_WEIGHT


def test_reconstruction_loss_is_psnr_and_the_likelihood_of_the_expected_error():
    valid = torch.ones(1, 1, 64, 64, dtype=torch.float64)
    valid[..., 10:30, 5:25] = 0
    log_error = torch.full((1, 1, 64, 64), -3.0, dtype=torch.float64)
    mask = valid[0, 0].numpy() == 1
    error = np.abs(PREDICTED - TRUE)[mask]
    expected = PSNR_WEIGHT * np.log((error**2).mean() + PICTURE_FLOOR)
    expected += ERROR_WEIGHT * (error.mean(-1) / np.exp(-3.0) - 3.0).mean()
    loss = reconstruction_loss(tensor(PREDICTED), log_error, tensor(TRUE), valid)
    assert loss.item() == pytest.approx(expected, abs=1e-9)  # seen: 2e-16


def test_the_likeliest_expected_error_is_the_mean_error():
    errors = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.linspace(0.01, 1, 991, dtype=torch.float64)
    unlikely = torch.stack([laplace(errors, e.log()).mean() for e in expected])
    assert expected[unlikely.argmin()].item() == pytest.approx(errors.mean().item(), abs=1e-3)


def test_light_loss_is_the_psnr_of_the_closed_form_under_that_light():
    matrix = color_matrix("olympus-e-pl6")
    srgb = (0.2 + 0.5 * TRUE).astype(np.float32)  # unclipped
    raws = [isp.unrender(srgb, isp.gains_from_illuminant(np.array(i)), matrix) for i in ((0.5, 1, 0.6), (0.6, 1, 0.5))]
    lights = torch.log(torch.tensor([[0.5, 0.6], [0.6, 0.5]]))
    power = torch.from_numpy(np.square(raws[1]).mean((0, 1)))[None]
    none = torch.zeros(1, 1)
    loss = light_loss(lights[:1], none, lights[1:], power, torch.zeros(1)) - ERROR_WEIGHT * relative(raws, power)
    mse = np.square(raws[0] - raws[1]).mean()
    assert loss.item() == pytest.approx(PSNR_WEIGHT * np.log(mse + LIGHT_FLOOR), abs=1e-4)  # seen: 1e-8


def relative(raws: list[np.ndarray], power: torch.Tensor) -> float:
    """Error of each channel in parts of its root mean square, averaged with that as weight."""
    root = np.sqrt(power[0].numpy())
    ratio = raws[0].mean((0, 1)) / raws[1].mean((0, 1))
    return float((np.abs(ratio - 1) * root).sum() / root.sum())
