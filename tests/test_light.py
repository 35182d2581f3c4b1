"""Light: known gains come back, and the model's inverse is the ISP's."""

import numpy as np
import pytest
import skimage.data
import tiny
import torch
from priorraw import isp
from priorraw.cameras import COLOR_MATRICES, color_matrix
from priorraw.layers import decode, mix_channels
from priorraw.light import Light, LightConfig, fit_light, inverse_transform, response_to_white
from priorraw.pictures import to_tensor

PHOTO = skimage.data.chelsea()[:96, 160:288].astype(np.float32) / 255
ILLUMINANTS = [(0.5, 1.0, 0.6), (1.0, 0.7, 0.4), (0.3, 0.8, 1.0), (1.0, 1.0, 1.0)]


def light_of(illuminant: tuple[float, ...]) -> torch.Tensor:
    r, g, b = illuminant
    return torch.tensor([[np.log(r / g), np.log(b / g)]]).float()


@pytest.mark.parametrize("illuminant", ILLUMINANTS)
def test_known_gains_are_fitted(illuminant):
    torch.manual_seed(0)
    balanced = torch.rand(2, 3, 16, 16) * 0.8 + 0.1
    assembled = balanced * torch.tensor(illuminant).view(1, 3, 1, 1) * 0.7  # an exposure does not matter
    weight = torch.rand(2, 1, 16, 16)
    # Seen: 2.1e-5, from the 1e-6 that keeps a picture without usable pixels finite.
    assert (fit_light(assembled, balanced, weight) - light_of(illuminant)).abs().max() < 1e-4


def test_pixels_without_weight_do_not_count():
    torch.manual_seed(0)
    balanced, weight = torch.rand(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    assembled = balanced * torch.tensor([0.5, 1, 0.6]).view(1, 3, 1, 1)
    weight[..., :8, :] = 0
    spoilt = assembled.clone()
    spoilt[..., :8, :] = torch.rand(1, 3, 8, 16) * 9
    assert torch.equal(fit_light(spoilt, balanced, weight), fit_light(assembled, balanced, weight))
    assert torch.equal(fit_light(assembled, balanced, weight * 0), torch.zeros(1, 2))


def test_the_fit_is_weighted_least_squares():
    random = np.random.default_rng(0)
    x, y, w = random.random((3, 50)), random.random((3, 50)), random.random(50)
    root = np.sqrt(w)
    r, g, b = (np.linalg.lstsq((root * x[c])[:, None], root * y[c], rcond=None)[0][0] for c in range(3))
    expected = np.log([r / g, b / g])
    arguments = (torch.from_numpy(a).view(1, -1, 5, 10) for a in (y, x, w))
    assert np.abs(fit_light(*arguments).numpy() - expected).max() < 1e-4  # seen: 5.1e-7


@pytest.mark.parametrize("camera", COLOR_MATRICES)
@pytest.mark.parametrize("illuminant", ILLUMINANTS)
def test_the_transform_undoes_gains_and_matrix(camera, illuminant):
    to_camera = isp.camera_from_srgb(color_matrix(camera))
    transform = inverse_transform(light_of(illuminant), torch.from_numpy(to_camera.reshape(1, 9)).float())
    rendering = np.linalg.inv(to_camera) @ np.diag(isp.gains_from_illuminant(np.array(illuminant)))
    product = transform[0].numpy().reshape(3, 3) @ rendering
    assert np.abs(product - np.eye(3)).max() < 1e-5  # seen: 1.2e-7


@pytest.mark.parametrize("illuminant", ILLUMINANTS)
def test_the_models_closed_form_is_the_isps(illuminant):
    expected = isp.unrender(PHOTO, isp.gains_from_illuminant(np.array(illuminant)), tiny.MATRIX)
    to_camera = torch.from_numpy(isp.camera_from_srgb(tiny.MATRIX).reshape(1, 9)).float()
    transform = inverse_transform(light_of(illuminant), to_camera)
    base = mix_channels(decode(to_tensor(PHOTO)[None]), transform).clamp(0, 1)
    assert np.abs(base[0].permute(1, 2, 0).numpy() - expected).max() < 2e-6  # seen: 1.2e-7


@pytest.mark.parametrize("prior", [True, False])
def test_an_untrained_light_is_the_cameras_mean(prior):
    torch.manual_seed(0)
    light = Light(LightConfig(prior)).eval()
    camera = torch.tensor([[*[0.0] * 9, -0.7, -0.3, 0.2, 0.1]])
    inferred, _ = light(torch.rand(2, 3, 64, 64), torch.rand(2, 7, 32, 32) if prior else None, camera)
    assert torch.equal(inferred, torch.tensor([[-0.7, -0.3]] * 2))


def test_clipped_and_unreliable_pixels_do_not_move_the_fitted_light(monkeypatch):
    """The network sees the fitted light only through what reaches `fit_light`; there the weights must be zero."""
    seen = []
    monkeypatch.setattr("priorraw.light.fit_light", lambda *a: seen.append(a) or fit_light(*a))
    thumbnail = torch.rand(1, 3, 64, 64) * 0.8
    thumbnail[:, 1, :20] = 1.0
    maps = torch.rand(1, 7, 32, 32)
    maps[:, 6, 10:12] = 0
    tiny.model().light(thumbnail, maps, tiny.bank().tensors()[2])
    weight = seen[0][2]
    assert (weight[..., :10, :] == 0).all() and (weight[..., 10:12, :] == 0).all()
    assert (weight[..., 12:, :] > 0).all()


@pytest.mark.parametrize("illuminant", ILLUMINANTS)
def test_the_response_to_white_is_the_illuminant_scaled(illuminant):
    expected = np.array(illuminant) / max(illuminant)
    assert np.abs(response_to_white(light_of(illuminant))[0].numpy() - expected).max() < 1e-6  # seen: 6e-8
