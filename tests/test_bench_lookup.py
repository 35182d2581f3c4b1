"""Cheaper lookups against the exact one, and the tables that tell of them."""

import numpy as np
import pytest
import tiny
import torch
from priorraw.layers import halve, to_tokens, unit
from priorraw.lookup import Affinity

from benchmarks import lookup, lookup_candidates
from benchmarks.lookup_candidates import distilled, exact, projected, quarter, two_level

K, D, SIDE = 512, 8, 8


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def bank() -> tuple[Affinity, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return Affinity(), unit(torch.randn(K, D)), torch.rand(6, K)


@pytest.fixture
def features() -> torch.Tensor:
    torch.manual_seed(1)
    return unit(torch.randn(SIDE * SIDE, D))


HALF = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def by_numpy(affinity, features, keys, values) -> tuple[np.ndarray, np.ndarray]:
    """The exact lookup in float64."""
    q, k, v = (t.double().numpy() for t in (features, keys, values))
    weights = np.exp(float(affinity.scale()) * (q @ k.T))
    weights /= weights.sum(1, keepdims=True)
    return weights @ v.T, weights.max(1, keepdims=True)


def largest_error(candidate, bank, features) -> float:
    expected = by_numpy(bank[0], features, *bank[1:])
    found = candidate.lookup(features, HALF)
    return max(float(np.abs(f.numpy() - e).max()) for f, e in zip(found, expected, strict=True))


def test_exact(bank, features):
    assert largest_error(exact(*bank, "exact"), bank, features) < 1e-5  # 7e-7 seen


def test_all_axes_lose_nothing_and_few_lose_something(bank, features):
    assert largest_error(projected(*bank, D), bank, features) < 1e-5  # 1.1e-6 seen
    assert largest_error(projected(*bank, 4), bank, features) > 0.05  # 0.58 seen


def test_two_levels_that_look_everywhere_are_exact(bank, features, monkeypatch):
    some = largest_error(two_level(*bank), bank, features)
    monkeypatch.setattr(lookup_candidates, "PROBES", lookup_candidates.CELLS)
    monkeypatch.setattr(lookup_candidates, "NEAREST", K)
    assert largest_error(two_level(*bank), bank, features) < 1e-5  # 7e-7 seen
    assert 1e-4 < some < 0.5  # 0.10 seen


@pytest.mark.parametrize("guided", [False, True])
def test_quarter_resolution_is_exact_where_nothing_changes(bank, guided):
    flat = unit(torch.ones(SIDE * SIDE, D))
    assert largest_error(quarter(*bank, guided=guided), bank, flat) < 1e-5  # 1.8e-6 seen


def test_guide_brings_edges_back():
    """A map that is linear in the picture comes back sharp; bilinear blurs it."""
    high = torch.zeros(1, 3, 16, 16)
    high[..., 6:] = 0.8
    low = halve(high)
    guided = lookup_candidates._guided(0.5 * low + 0.1, low, high)
    blurred = lookup_candidates._up(0.5 * low + 0.1, high)
    error, blur = ((x - (0.5 * high + 0.1)).abs().max() for x in (guided, blurred))
    assert error < 0.5 * blur  # 0.034 and 0.100 seen


def test_student_learns_the_bank(bank):
    affinity, keys, _ = bank
    torch.manual_seed(3)
    bank = affinity, keys, torch.sigmoid(4 * torch.randn(6, D) @ keys.T)  # like things look alike
    features = unit(torch.randn(2000, D))
    with torch.enable_grad():
        candidate = distilled(*bank, features, steps=150)
    expected, _ = by_numpy(bank[0], features, *bank[1:])
    mean = float(np.square(expected - expected.mean(0)).mean())
    found, peak = candidate.lookup(features, HALF)
    assert float(np.square(found.numpy() - expected).mean()) < 0.5 * mean  # 0.08 seen
    assert peak.shape == (2000, 1) and peak.min() >= 0 and peak.max() <= 1
    assert candidate.flops == 2 * (D * 128 + 128 * 128 + 128 * 7)


def test_cost_of_the_exact_lookup_is_what_torch_counts(bank, features):
    from torch.utils.flop_counter import FlopCounterMode

    candidate = exact(*bank, "exact")
    with FlopCounterMode(display=False) as counter:
        candidate.lookup(features, HALF)
    assert counter.get_total_flops() == candidate.flops * len(features)


def test_quality_of_the_exact_lookup_is_that_of_the_model(tmp_path):
    """The long way round, candidate by candidate, ends where the model itself does."""
    from priorraw import metrics
    from priorraw.assets import load_assets
    from priorraw.pictures import load_cameras

    prior = load_assets(tiny.CAMERA, tiny.assets(tmp_path / "assets"))
    (camera,) = load_cameras([tiny.dataset(tmp_path / "data", 2)], "train")
    keys, values, _ = prior.bank.tensors()
    found = lookup.quality(prior, exact(prior.model.affinity, keys, values, "exact"), camera.pictures)
    for figures, picture in zip(found, camera.pictures, strict=True):
        srgb, true = (t.permute(1, 2, 0).numpy() for t in (picture.srgb, picture.raw))
        mask = picture.valid[0].numpy() > 0
        assert figures["reconstructed"] == pytest.approx(metrics.psnr(prior(srgb)[0], true, mask), abs=1e-4)
        assert figures["assembled"] < 60


def test_lost_is_by_camera():
    document = {
        "quality": {
            "a": {"exact": {"x": 40.0}, "other": {"x": 39.5}},
            "b": {"exact": {"x": 30.0}, "other": {"x": 31.0}},
        }
    }
    assert lookup.lost(document, "other", "x") == {"a": 0.5, "b": -1.0}


def test_tokens_are_in_the_order_of_the_picture():
    assert torch.equal(to_tokens(HALF)[SIDE + 1], HALF[0, :, 1, 1])
