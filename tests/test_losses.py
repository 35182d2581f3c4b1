"""Losses against NumPy and scikit-image; masked pixels teach nothing."""

import numpy as np
import pytest
import skimage.data
import torch
from priorraw.losses import L1_WEIGHT, LIGHT_WEIGHT, SSIM_WEIGHT, reconstruction_loss, search_loss
from skimage.metrics import structural_similarity

TRUE = skimage.data.chelsea()[:64, 160:224].astype(np.float64) / 255
PREDICTED = (TRUE + np.random.default_rng(0).normal(0, 0.05, TRUE.shape)).clip(0, 1)
LIGHTS = torch.tensor([[0.1, -0.2]]), torch.tensor([[0.3, 0.2]])


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())


def test_search_loss_is_the_mean_squared_distance():
    a, b = np.random.default_rng(0).random((2, 50, 3))
    assert search_loss(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(((a - b) ** 2).mean())


def test_reconstruction_loss_is_l1_ssim_and_light():
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    _, full = structural_similarity(TRUE, PREDICTED, channel_axis=2, full=True, **options)
    structure = 1 - full[5:-5, 5:-5].mean()  # whole windows only
    expected = L1_WEIGHT * np.abs(PREDICTED - TRUE).mean() + SSIM_WEIGHT * structure + LIGHT_WEIGHT * 0.3
    loss = reconstruction_loss(tensor(PREDICTED), tensor(TRUE), torch.ones(1, 1, 64, 64), *LIGHTS)
    assert loss.item() == pytest.approx(expected, abs=1e-6)  # seen: 8.9e-8


def test_a_right_answer_costs_nothing():
    loss = reconstruction_loss(tensor(TRUE), tensor(TRUE), torch.ones(1, 1, 64, 64), LIGHTS[0], LIGHTS[0])
    assert loss.item() == pytest.approx(0, abs=1e-9)  # seen: 0


def test_masked_pixels_have_no_gradient_and_no_weight():
    valid = torch.ones(1, 1, 64, 64, dtype=torch.float64)
    valid[..., 10:30, 5:25] = 0
    true = tensor(TRUE) * valid  # masked raw-RGB is 0 in all channels
    predicted = tensor(PREDICTED).requires_grad_(True)
    loss = reconstruction_loss(predicted, true, valid, *LIGHTS)
    loss.backward()
    assert predicted.grad is not None
    masked = (valid == 0).expand_as(predicted)
    assert (predicted.grad[masked] == 0).all()
    assert (predicted.grad[~masked] != 0).float().mean() > 0.99
    spoilt = torch.where(masked, torch.rand_like(predicted), predicted)
    assert reconstruction_loss(spoilt, true, valid, *LIGHTS).item() == loss.item()
    # L1 is the mean over valid pixels, not over all.
    l1 = np.abs(PREDICTED - TRUE)[valid[0, 0].numpy() == 1].mean()
    half = reconstruction_loss(predicted, true, valid, LIGHTS[0], LIGHTS[0])
    with_ssim_only = half.item() - L1_WEIGHT * l1
    assert 0 < with_ssim_only < SSIM_WEIGHT
