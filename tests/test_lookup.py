"""The affinity against a plain softmax in NumPy."""

import numpy as np
import pytest
import torch
from priorraw import lookup
from priorraw.lookup import MAX_LOGIT_SCALE, Affinity

RANDOM = np.random.default_rng(0)
P, K, D, C = 300, 64, 8, 6


def unit_rows(n: int) -> np.ndarray:
    rows = RANDOM.standard_normal((n, D))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


QUERY, KEYS, VALUES = unit_rows(P), unit_rows(K), RANDOM.random((C, K))


def tensors(dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.from_numpy(a).to(dtype) for a in (QUERY, KEYS, VALUES)]


def softmax(scale: float) -> np.ndarray:
    weights = np.exp(scale * QUERY @ KEYS.T)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("scale", [1.0, 20.0, 50.0])
def test_assembly_is_softmax_of_inner_products(scale):
    weights = softmax(scale)
    affinity = Affinity(scale)
    assembled, peaks = affinity.assemble(*tensors(torch.float32))
    assert assembled.shape == (P, C) and peaks.shape == (P, 1)
    assert np.abs(assembled.detach().numpy() - weights @ VALUES.T).max() < 2e-5  # seen: 1.4e-6, at scale 50
    assert np.abs(peaks.detach().numpy()[:, 0] - weights.max(1)).max() < 2e-5
    exact, _ = affinity.double().assemble(*tensors(torch.float64))
    assert np.abs(exact.detach().numpy() - weights @ VALUES.T).max() < 1e-6  # seen: 1.2e-8, the rounding of the scale


def test_weights_sum_to_one():
    weights = Affinity()(*tensors(torch.float32)[:2])
    assert weights.shape == (P, K)
    assert (weights.sum(1) - 1).abs().max() < 1e-6
    assert weights.min() >= 0


@pytest.mark.parametrize("chunk", [1, 7, 299, 300, 10_000])
def test_the_result_does_not_depend_on_the_chunks(chunk, monkeypatch):
    whole = Affinity().assemble(*tensors(torch.float64))
    monkeypatch.setattr(lookup, "CHUNK_TOKENS", chunk)
    parts = Affinity().assemble(*tensors(torch.float64))
    for a, b in zip(whole, parts, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() < 1e-14  # seen: 1.4e-15


def test_a_query_that_is_a_key_finds_it():
    _, keys, values = tensors(torch.float64)
    assembled, peaks = Affinity(MAX_LOGIT_SCALE).assemble(keys, keys, values)
    weights = Affinity(MAX_LOGIT_SCALE)(keys, keys)
    assert torch.equal(weights.argmax(1), torch.arange(K))
    clear = peaks[:, 0] > 0.999
    assert clear.sum() > 30
    assert (assembled - values.T)[clear].abs().max() < 1e-3  # seen: 2e-4, the share of all other keys


def test_the_scale_is_capped_but_learns_below_the_cap():
    assert Affinity(1000.0).scale().item() == pytest.approx(MAX_LOGIT_SCALE)
    affinity = Affinity(5.0)
    assert affinity.scale().item() == pytest.approx(5.0)
    affinity.assemble(*tensors(torch.float32))[0].sum().backward()
    assert affinity.log_scale.grad is not None and affinity.log_scale.grad != 0
