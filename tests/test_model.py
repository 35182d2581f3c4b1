"""The whole network: budgets, shapes, receptive field, starting point, ablations, the non-local algebra."""

import numpy as np
import pytest
import skimage.data
import tiny
import torch
import torch.nn.functional as F
from priorraw import isp
from priorraw.encoder import EncoderConfig
from priorraw.light import LightConfig, inverse_transform
from priorraw.model import ALIGN, HALO, ModelConfig, PriorRAW, hint_scene, scene_transform
from priorraw.pictures import to_tensor
from priorraw.reconstructor import CLIPPED, reliability_of
from torch import Tensor, nn

PHOTO = to_tensor(skimage.data.chelsea()[:128, 150:278].astype(np.float32) / 255)[None]
THUMBNAIL = F.interpolate(PHOTO, (64, 64), mode="bilinear")


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_default_model_keeps_its_budget():
    model = PriorRAW(ModelConfig())
    assert count(model.encoder) < 300_000  # seen: 233,328, with the context network
    assert count(model) < 1_000_000  # seen: 919,560


def test_config_survives_json():
    config = tiny.config(prior=False)
    assert ModelConfig.from_json(config.to_json()) == config
    assert ModelConfig.from_json(ModelConfig().to_json()) == ModelConfig()


@pytest.mark.parametrize(("H", "W"), [(8, 8), (64, 64), (40, 72)])
def test_shapes_and_ranges(H, W):
    model, (keys, values, camera) = tiny.model(), tiny.bank().tensors()
    scene = model.scene(THUMBNAIL, keys, values, camera)
    assert scene.shape == (1, 10)
    raw, reliability = model(PHOTO[..., :H, :W], scene)
    assert raw.shape == (1, 3, H, W) and reliability.shape == (1, 1, H, W)
    for tensor in (raw, reliability):
        assert tensor.min() >= 0 and tensor.max() <= 1
    features = model.encoder(PHOTO[..., :H, :W], model.encoder.context(THUMBNAIL))
    assert features.shape == (H * W // 4, tiny.ENCODER_CONFIG.dim)
    assert (features.norm(dim=1) - 1).abs().max() < 1e-3


def test_receptive_field_fits_the_halo(monkeypatch):
    """Where an output pixel has any gradient at all, with ReLU made smooth so that no path is dead by chance."""
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.softplus(x))
    model, bank = tiny.model(ModelConfig()).double(), tiny.bank(d=32)
    keys, values, camera = (t.double() for t in bank.tensors())
    scene = model.scene(THUMBNAIL.double(), keys, values, camera)
    radius = 0
    for pixel in range(64, 64 + ALIGN):  # the field is not centred: all phases of the stride
        srgb = PHOTO.double().requires_grad_(True)
        raw, reliability = model(srgb, scene)
        (raw[..., pixel, pixel].sum() + reliability[..., pixel, pixel].sum()).backward()
        assert srgb.grad is not None
        radius = max(radius, int((srgb.grad.abs().sum((0, 1)).nonzero() - pixel).abs().max()))
    assert 20 < radius < HALO  # seen: 28


def test_a_tile_with_its_halo_equals_the_whole():
    model, bank = tiny.model(ModelConfig()), tiny.bank(d=32)
    keys, values, camera = bank.tensors()
    srgb = F.interpolate(PHOTO, (256, 256), mode="bilinear")
    scene = model.scene(THUMBNAIL, keys, values, camera)
    whole = torch.cat(model(srgb, scene), 1)[..., 64:192, 64:192]
    margin = -(-HALO // ALIGN) * ALIGN
    tile = torch.cat(model(srgb[..., 64 - margin : 192 + margin, 64 - margin : 192 + margin], scene), 1)
    core = slice(margin, -margin)
    assert (tile[..., core, core] - whole).abs().max() < 1e-5  # seen: 0
    alone = torch.cat(model(srgb[..., 64:192, 64:192], scene), 1)
    assert (alone - whole).abs().max() > 1e-3  # without the halo the border differs


def test_a_crop_is_encoded_as_in_the_whole_given_its_scene():
    encoder = tiny.model(ModelConfig()).encoder
    context = encoder.context(THUMBNAIL)

    def encode(srgb: Tensor, vector: Tensor) -> Tensor:
        return encoder(srgb, vector).view(srgb.shape[2] // 2, srgb.shape[3] // 2, -1)

    whole = encode(PHOTO, context)[16:48, 16:48]
    crop = encode(PHOTO[..., 32:96, 32:96], context)
    inner = slice(encoder.config.blocks + 1, -encoder.config.blocks - 1)
    assert (crop - whole)[inner, inner].abs().max() < 1e-5  # seen: 0
    other = encode(PHOTO[..., 32:96, 32:96], encoder.context(1 - THUMBNAIL))
    assert (other - whole)[inner, inner].abs().max() > 1e-3  # the context does tell scenes apart


def test_training_starts_at_the_closed_form_inverse():
    torch.manual_seed(0)
    model, (keys, values, camera) = PriorRAW(tiny.config()).eval(), tiny.bank().tensors()
    with torch.no_grad():
        scene = model.scene(THUMBNAIL, keys, values, camera)
        raw, _ = model(PHOTO, scene)
    # A fresh light is the camera's mean light, a fresh head adds nothing.
    illuminant = np.exp([camera[0, 9], 0.0, camera[0, 10]])
    gains = isp.gains_from_illuminant(illuminant)
    expected = isp.unrender(PHOTO[0].permute(1, 2, 0).numpy(), gains, tiny.MATRIX).clip(0, 1)
    assert np.abs(raw[0].permute(1, 2, 0).numpy() - expected).max() < 1e-5  # seen: 1.0e-7


def test_lookup_maps_are_assembled_raw_and_distance():
    model, (keys, values, _) = tiny.model(), tiny.bank().tensors()
    context = model.encoder.context(THUMBNAIL)
    maps, peak = model.lookup(PHOTO, context, keys, values)
    weights = (model.affinity.scale() * model.encoder(PHOTO, context) @ keys.T).softmax(1)
    assembled = (weights @ values.T).T.view(6, 64, 64)
    assert (maps[0, :3] - assembled[3:]).abs().max() < 1e-5
    half = PHOTO[0].unfold(1, 2, 2).unfold(2, 2, 2).mean((3, 4))
    assert (maps[0, 3:] - (assembled[:3] - half).abs()).abs().max() < 1e-5
    assert peak.shape == (1, 1, 64, 64)


def test_wider_encoders_are_built_from_their_config():
    model = PriorRAW(ModelConfig(EncoderConfig(dim=16, width=24, blocks=2, context=12), LightConfig(width=12)))
    assert model.encoder.head.out_channels == 16
    assert len(model.encoder.blocks) == 2 and model.light.head.in_features == 48


@pytest.mark.parametrize("prior", [True, False])
def test_only_a_light_with_prior_asks_the_bank(prior):
    model = tiny.model(tiny.config(prior=prior))
    keys, values, camera = tiny.bank().tensors()
    scenes = [model.scene(THUMBNAIL, k, v, camera) for k, v in ((keys, values), (keys.flip(0).roll(1, 1), 1 - values))]
    assert bool((scenes[0] - scenes[1]).abs().max() > 1e-5) == prior


def test_what_did_not_clip_is_the_closed_form():
    """The residual reaches partly clipped pixels alone, whatever the weights."""
    model, (keys, values, camera) = tiny.model(), tiny.bank().tensors()
    scene = model.scene(THUMBNAIL, keys, values, camera)
    photo = PHOTO.clone()
    photo[..., :40, :] = 1.0
    raw, _ = model(photo, scene)
    gains = 1 / scene_transform(scene).view(3, 3).sum(1).numpy()
    expected = to_tensor(isp.unrender(photo[0].permute(1, 2, 0).numpy(), gains, tiny.MATRIX))[None]
    clipped = ((photo < CLIPPED) | (photo > 1 - CLIPPED)).any(1, keepdim=True).expand_as(raw)
    difference = (raw - expected.clamp(0, 1)).abs()
    assert difference[~clipped].max() < 1e-5  # seen: 1.2e-7
    assert difference[..., :40, :].mean() > 1e-3


def test_a_known_light_takes_the_inferred_ones_place():
    model, (keys, values, camera) = tiny.model(), tiny.bank().tensors()
    scene = model.scene(THUMBNAIL, keys, values, camera)
    light = torch.tensor([[-0.4, 0.2]])
    told = hint_scene(scene, light, camera)
    assert told.shape == scene.shape and told[0, 0] == 0  # a known light does not err
    assert torch.equal(scene_transform(told), inverse_transform(light, camera[:, :9]))
    blind, hinted = (model(PHOTO, s)[1].mean() for s in (scene, told))
    assert hinted > blind


def test_reliability_is_half_where_one_per_cent_of_error_is_expected():
    raw = torch.full((1, 3, 2, 2), 0.2)
    log_error = torch.log(torch.tensor([[0.01, 0.0025], [0.04, 0.09]]))[None, None]
    assert (
        reliability_of(raw, log_error, torch.zeros(1, 1)) - torch.tensor([[0.5, 0.8], [0.2, 0.1]])
    ).abs().max() < 1e-6
    # A light that is 5 % off adds 0.05 of 0.2, 1 % of full scale, everywhere.
    expected = torch.tensor([[1 / 3, 4 / 9], [1 / 6, 1 / 11]])
    assert (reliability_of(raw, log_error, torch.full((1, 1), 0.05)) - expected).abs().max() < 1e-6
