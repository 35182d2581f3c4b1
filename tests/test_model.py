"""The whole network: budgets, shapes, receptive field, starting point, ablations, the non-local algebra."""

import numpy as np
import pytest
import skimage.data
import tiny
import torch
import torch.nn.functional as F
from priorraw import isp
from priorraw.encoder import EncoderConfig
from priorraw.model import ALIGN, HALO, ModelConfig, PriorRAW
from priorraw.pictures import to_tensor
from priorraw.reconstructor import NonLocal, ReconstructorConfig
from torch import Tensor, nn

PHOTO = to_tensor(skimage.data.chelsea()[:128, 150:278].astype(np.float32) / 255)[None]
THUMBNAIL = F.interpolate(PHOTO, (64, 64), mode="bilinear")
PARTS = ("prior", "attention", "non_local")


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_default_model_keeps_its_budget():
    model = PriorRAW(ModelConfig())
    assert count(model.encoder) < 300_000  # seen: 233,328, with the context network
    assert count(model) < 1_000_000  # seen: 697,984


def test_config_survives_json():
    config = tiny.config(attention=False)
    assert ModelConfig.from_json(config.to_json()) == config
    assert ModelConfig.from_json(ModelConfig().to_json()) == ModelConfig()


@pytest.mark.parametrize(("H", "W"), [(8, 8), (64, 64), (40, 72)])
def test_shapes_and_ranges(H, W):
    model, (keys, values, camera) = tiny.model(), tiny.bank().tensors()
    scene = model.scene(THUMBNAIL, keys, values, camera)
    assert scene.shape == (1, tiny.ENCODER_CONFIG.context + 9)
    raw, reliability = model(PHOTO[..., :H, :W], scene, keys, values)
    assert raw.shape == (1, 3, H, W) and reliability.shape == (1, 1, H, W)
    for tensor in (raw, reliability):
        assert tensor.min() >= 0 and tensor.max() <= 1
    features = model.encoder(PHOTO[..., :H, :W], scene[:, :-9])
    assert features.shape == (H * W // 4, tiny.ENCODER_CONFIG.dim)
    assert (features.norm(dim=1) - 1).abs().max() < 1e-3


def test_reliability_is_the_peak_of_the_affinity():
    model, (keys, values, camera) = tiny.model(), tiny.bank().tensors()
    scene = model.scene(THUMBNAIL, keys, values, camera)
    _, reliability = model(PHOTO, scene, keys, values)
    logits = model.affinity.scale() * model.encoder(PHOTO, scene[:, :-9]) @ keys.T
    peaks = logits.softmax(1).amax(1).view(64, 64).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert (reliability[0, 0] - peaks).abs().max() < 1e-6


def test_receptive_field_fits_the_halo(monkeypatch):
    """Where an output pixel has any gradient at all, with ReLU made smooth so that no path is dead by chance."""
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.softplus(x))
    model, bank = tiny.model(ModelConfig()).double(), tiny.bank(d=32)
    keys, values, camera = (t.double() for t in bank.tensors())
    scene = model.scene(THUMBNAIL.double(), keys, values, camera)
    radius = 0
    for pixel in range(64, 64 + ALIGN):  # the field is not centred: all phases of the stride
        srgb = PHOTO.double().requires_grad_(True)
        raw, reliability = model(srgb, scene, keys, values)
        (raw[..., pixel, pixel].sum() + reliability[..., pixel, pixel].sum()).backward()
        assert srgb.grad is not None
        radius = max(radius, int((srgb.grad.abs().sum((0, 1)).nonzero() - pixel).abs().max()))
    assert 30 < radius < HALO  # seen: 44


def test_a_tile_with_its_halo_equals_the_whole():
    model, bank = tiny.model(ModelConfig()), tiny.bank(d=32)
    keys, values, camera = bank.tensors()
    srgb = F.interpolate(PHOTO, (256, 256), mode="bilinear")
    scene = model.scene(THUMBNAIL, keys, values, camera)
    whole = torch.cat(model(srgb, scene, keys, values), 1)[..., 64:192, 64:192]
    tile = torch.cat(model(srgb[..., 64 - HALO : 192 + HALO, 64 - HALO : 192 + HALO], scene, keys, values), 1)
    assert (tile[..., HALO:-HALO, HALO:-HALO] - whole).abs().max() < 1e-5  # seen: 0
    alone = torch.cat(model(srgb[..., 64:192, 64:192], scene, keys, values), 1)
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
        raw, _ = model(PHOTO, scene, keys, values)
    # A fresh light is the camera's mean light, a fresh head adds nothing.
    illuminant = np.exp([camera[0, 9], 0.0, camera[0, 10]])
    gains = isp.gains_from_illuminant(illuminant)
    expected = isp.unrender(PHOTO[0].permute(1, 2, 0).numpy(), gains, tiny.MATRIX).clip(1e-4, 1 - 1e-4)
    assert np.abs(raw[0].permute(1, 2, 0).numpy() - expected).max() < 1e-5  # seen: 1.0e-7


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_left_out(part):
    whole, without = tiny.model(tiny.config()), tiny.model(tiny.config(**{part: False}))
    assert count(without) < count(whole)
    keys, values, camera = tiny.bank().tensors()
    raw, _ = without(PHOTO, without.scene(THUMBNAIL, keys, values, camera), keys, values)
    assert raw.shape == PHOTO.shape


@pytest.mark.parametrize(
    ("off", "asks_bank"), [((), True), (("prior",), True), (("non_local",), True), (("prior", "non_local"), False)]
)
def test_only_a_model_without_prior_and_non_local_ignores_the_bank(off, asks_bank):
    model = tiny.model(tiny.config(**dict.fromkeys(off, False)))
    keys, values, camera = tiny.bank().tensors()
    results = [
        model(PHOTO, model.scene(THUMBNAIL, k, v, camera), k, v)[0]
        for k, v in ((keys, values), (keys.flip(0).roll(1, 1), 1 - values))
    ]
    assert bool((results[0] - results[1]).abs().max() > 1e-5) == asks_bank


def test_reliable_attention_can_shut_the_prior_out():
    model = tiny.model(tiny.config(non_local=False))
    nn.init.zeros_(model.reconstructor.conv_confidence.weight)
    assert model.reconstructor.conv_confidence.bias is not None
    nn.init.constant_(model.reconstructor.conv_confidence.bias, -50.0)
    keys, values, camera = tiny.bank().tensors()
    transform = model.scene(THUMBNAIL, keys, values, camera)[:, -9:]
    maps = torch.rand(2, 6, 64, 64)
    shut = [model.restore(PHOTO, transform, m[None], keys, values) for m in maps]
    assert (shut[0] - shut[1]).abs().max() < 1e-6
    nn.init.constant_(model.reconstructor.conv_confidence.bias, 0.0)
    opened = [model.restore(PHOTO, transform, m[None], keys, values) for m in maps]
    assert (opened[0] - opened[1]).abs().max() > 1e-4


def test_non_local_is_textbook_attention_with_folded_projections():
    """nn.MultiheadAttention with projections of query, key, value and output, against the query side alone.

    (Wq f) . (Wk k + bk) = (Wk' Wq f) . k + a constant per query, which the softmax drops; and the weights sum
    to 1, so that Wo (A (Wv v) + bv) + bo is linear in A v and moves into the FFN's first layer.
    """
    torch.manual_seed(0)
    width, dim, heads, K, P = 12, 8, 2, 64, 35
    ours = NonLocal(width, dim, heads).double()
    f_c = torch.randn(1, width, 5, 7, dtype=torch.float64)
    keys = F.normalize(torch.randn(K, dim, dtype=torch.float64), dim=1)
    raw = torch.rand(3, K, dtype=torch.float64)
    tokens = f_c.flatten(2)[0].T

    first, hidden_bias = torch.randn(2 * width, width, dtype=torch.float64), torch.randn(2 * width, dtype=torch.float64)
    fused = torch.zeros(P, width, dtype=torch.float64)
    columns, bias = [], hidden_bias
    for head in ours.heads:
        textbook = nn.MultiheadAttention(width, 1, kdim=dim, vdim=3, dtype=torch.float64)
        for parameter in textbook.parameters():
            nn.init.normal_(parameter)
        nn.init.zeros_(textbook.in_proj_bias[:width])
        Wq, Wk, Wv = textbook.q_proj_weight, textbook.k_proj_weight, textbook.v_proj_weight
        Wo, bv = textbook.out_proj.weight, textbook.in_proj_bias[2 * width :]
        folded = Wk.T @ Wq
        # Our queries are scaled to length 1 times a learnt sharpness, textbook ones by 1 / sqrt(width).
        lengths = torch.sqrt((tokens @ folded.T).square().sum(1, keepdim=True) + 1e-6)
        query = tokens * head.affinity.scale() * width**0.5 / lengths
        fused = fused + textbook(query, keys, raw.T, need_weights=False)[0]
        head.query.weight.data, head.query.bias.data = folded.data, torch.zeros(dim, dtype=torch.float64)
        columns.append(first @ Wo @ Wv)
        bias = bias + first @ (Wo @ bv + textbook.out_proj.bias)
    ours.ffn[0].weight.data, ours.ffn[0].bias.data = torch.cat(columns, 1).data, bias.data

    expected = ours.ffn[1:](fused @ first.T + hidden_bias)
    result = ours(f_c, keys, raw).flatten(2)[0].T
    assert expected.std() > 0.1
    assert (result - expected).abs().max() < 1e-9  # seen: 1.5e-14


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
    model = PriorRAW(ModelConfig(EncoderConfig(dim=16, width=24, blocks=2, context=12), ReconstructorConfig(heads=3)))
    assert model.encoder.head.out_channels == 16
    assert len(model.encoder.blocks) == 2 and len(model.reconstructor.non_local.heads) == 3
