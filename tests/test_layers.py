"""Layers against the ISP, einsum, OpenCV and PyTorch's own functions."""

import cv2
import numpy as np
import pytest
import torch
from priorraw import isp
from priorraw.layers import (
    LOGIT_EPSILON,
    Residual,
    decode,
    from_tokens,
    halve,
    logit,
    mix_channels,
    picture_mean,
    to_tokens,
    unit,
)


@pytest.mark.parametrize("bits", [8, 16])
def test_decode_is_the_inverse_of_the_rendering_curve_on_every_code(bits):
    codes = np.arange(2**bits) / (2**bits - 1)
    exact = isp.inverse_tone(isp.srgb_decode(codes))
    assert np.abs(decode(torch.from_numpy(codes)).numpy() - exact).max() < 1e-8  # seen: 1.2e-9
    single = decode(torch.from_numpy(codes.astype(np.float32))).numpy()
    assert np.abs(single - exact).max() < 2e-6  # seen: 6.9e-7


def test_decode_and_rendering_are_a_round_trip():
    linear = np.linspace(0, 1, 1001)
    encoded = torch.from_numpy(isp.srgb_encode(isp.tone(linear)))
    assert np.abs(decode(encoded).numpy() - linear).max() < 1e-8  # seen: 1.2e-9


def test_mix_channels_is_a_matrix_per_picture():
    torch.manual_seed(0)
    picture, matrix = torch.rand(4, 3, 5, 7), torch.randn(4, 9)
    expected = torch.einsum("nij,njhw->nihw", matrix.view(4, 3, 3), picture)
    assert (mix_channels(picture, matrix) - expected).abs().max() < 1e-6  # seen: 0
    identity = torch.eye(3).reshape(1, 9)
    assert torch.equal(mix_channels(picture, identity), picture)


def test_logit_is_pytorchs_within_its_limits():
    p = torch.linspace(0, 1, 10_001)
    assert (logit(p) - torch.logit(p, LOGIT_EPSILON)).abs().max() < 1e-5  # seen: 9.5e-7
    p = p.double()
    assert (logit(p) - torch.logit(p, LOGIT_EPSILON)).abs().max() < 1e-12  # seen: 1.8e-15
    inside = p[(p > LOGIT_EPSILON) & (p < 1 - LOGIT_EPSILON)]
    assert (torch.sigmoid(logit(inside)) - inside).abs().max() < 1e-14


def test_unit_tokens_have_length_one_and_keep_their_direction():
    torch.manual_seed(0)
    tokens = torch.randn(500, 32) * torch.logspace(-1, 2, 500)[:, None]
    lengths = unit(tokens).norm(dim=1)
    assert (lengths - 1).abs().max() < 1e-4  # seen: 2.6e-6, from the 1e-6 that keeps zero tokens finite
    assert (torch.cosine_similarity(unit(tokens), tokens) - 1).abs().max() < 1e-6  # seen: 2.4e-7
    assert torch.equal(unit(torch.zeros(1, 32)), torch.zeros(1, 32))


def test_halve_is_the_area_mean():
    picture = np.random.default_rng(0).random((10, 14, 3), np.float32)
    expected = cv2.resize(picture, (7, 5), interpolation=cv2.INTER_AREA)
    halved = halve(torch.from_numpy(picture.transpose(2, 0, 1)[None]))
    assert np.abs(halved[0].numpy().transpose(1, 2, 0) - expected).max() < 1e-6  # seen: 0


def test_picture_mean():
    features = torch.rand(2, 5, 6, 7, dtype=torch.float64)
    assert np.allclose(picture_mean(features).numpy(), features.numpy().reshape(2, 5, -1).mean(2), atol=1e-15)


def test_tokens_and_back():
    features = torch.rand(2, 5, 3, 4)
    tokens = to_tokens(features)
    assert torch.equal(tokens[1 * 12 + 2 * 4 + 3], features[1, :, 2, 3])  # row by row, picture by picture
    assert torch.equal(from_tokens(tokens, features), features)
    assert from_tokens(torch.rand(24, 9), features).shape == (2, 9, 3, 4)


def test_a_residual_block_sees_one_pixel_around_and_takes_modulation():
    torch.manual_seed(0)
    block = Residual(4)
    x = torch.rand(1, 4, 9, 9, requires_grad=True)
    block(x)[0, :, 4, 4].sum().backward()
    assert x.grad is not None
    touched = x.grad.abs().sum((0, 1)).nonzero()
    assert (touched - 4).abs().max() == 1
    neutral = torch.zeros(1, 4, 1, 1)
    assert torch.equal(block(x, neutral, neutral), block(x))
    # A scale of -1 takes the hidden features out; what is left is the shift through the 1x1 convolution.
    shifted = block(x, neutral - 1, neutral + 2) - x
    expected = block.mix.weight.sum((1, 2, 3)) * 2 + block.mix.bias
    assert (shifted - expected.view(1, 4, 1, 1)).abs().max() < 1e-5
