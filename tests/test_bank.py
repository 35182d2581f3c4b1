"""Prior compression: known clusters come back, against NumPy; a damaged bank is one line."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from priorraw import bank as bank_module
from priorraw.bank import Bank, References, assembly_psnr, build_bank, collect_references, compress, nearest_pixels
from priorraw.errors import InputError
from priorraw.pictures import TrainingPicture
from safetensors.numpy import load_file, save_file


def clusters(n: int = 50) -> References:
    """Four far clusters of n unit features each, with values of their own."""
    random = np.random.default_rng(0)
    features = np.repeat(np.eye(4, 8), n, 0) + random.normal(0, 0.02, (4 * n, 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    values = np.repeat(random.random((4, 6)), n, 0) + random.normal(0, 0.01, (4 * n, 6))
    order = random.permutation(4 * n)
    return References(features[order].astype(np.float32), values[order].astype(np.float32), np.arange(4 * n) % 5)


def pictures(N: int = 3, side: int = 32) -> list[TrainingPicture]:
    torch.manual_seed(1)
    made = []
    for _ in range(N):
        valid = torch.ones(1, side, side)
        valid[:, 3:9, 2:5] = 0  # odd edges: a half-resolution pixel with any masked one is masked
        raw = torch.rand(3, side, side) * valid
        made.append(TrainingPicture(torch.rand(3, side, side), raw, valid, torch.rand(3, 64, 64), torch.rand(2)))
    return made


def test_entries_are_the_means_of_the_clusters():
    references = clusters()
    keys, values = compress(references, K=16, G=50, seed=0)
    label = references.features[:, :4].argmax(1)
    means = np.stack([references.features[label == c].mean(0) for c in range(4)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    found = keys[:, :4].argmax(1)
    assert set(found) == {0, 1, 2, 3}
    assert np.abs(keys - means[found]).max() < 1e-6  # seen: 6e-8
    value_means = np.stack([references.values[label == c].mean(0) for c in range(4)])
    assert np.abs(values - value_means[found]).max() < 1e-6  # seen: 4.2e-7


def test_a_group_of_one_is_a_reference_pixel():
    references = clusters()
    keys, values = compress(references, K=8, G=1, seed=0)
    rows = (keys @ references.features.T).argmax(1)
    assert np.abs(keys - references.features[rows]).max() < 1e-6
    assert (values == references.values[rows]).all()


def test_the_same_seed_gives_the_same_bank():
    one, two, other = (compress(clusters(), K=16, G=10, seed=s) for s in (3, 3, 4))
    assert (one[0] == two[0]).all() and (one[1] == two[1]).all()
    assert (one[0] != other[0]).any()


@pytest.mark.parametrize("block", [37, 64, 10_000])
def test_nearest_pixels_are_those_of_brute_force(block, monkeypatch):
    monkeypatch.setattr(bank_module, "BLOCK", block)
    random = np.random.default_rng(0)
    features, centroids = (random.standard_normal((n, 8)).astype(np.float32) for n in (200, 16))
    expected = np.argsort(-centroids @ features.T, axis=1)[:, :40]  # more than a block holds
    assert (nearest_pixels(centroids, features, 40) == expected).all()


@pytest.mark.parametrize(("K", "G"), [(201, 1), (1, 201)])
def test_too_few_pixels_are_refused(K, G):
    with pytest.raises(InputError, match="200 reference pixels cannot fill"):
        compress(clusters(), K, G, 0)


def test_collected_references_are_the_encoded_valid_pixels(tmp_path):
    model, chosen = tiny.model(), pictures()
    references = collect_references(model, chosen, tmp_path)
    assert isinstance(references.features, np.memmap)
    features, values, owners = [], [], []
    for i, p in enumerate(chosen):
        encoded = model.encoder(p.srgb[None], model.encoder.context(p.thumbnail[None])).view(16, 16, -1)
        for y in range(16):
            for x in range(16):
                block = slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2)
                if (p.valid[0][block] == 1).all():
                    features.append(encoded[y, x].numpy())
                    values.append([a[c][block].mean().item() for a in (p.srgb, p.raw) for c in range(3)])
                    owners.append(i)
    assert len(owners) == 3 * (256 - 4 * 2)  # rows 3 to 8 and columns 2 to 4 touch 4 x 2 blocks
    assert (references.features == np.stack(features)).all()
    assert np.abs(references.values - np.array(values)).max() < 1e-6  # seen: 6e-8
    assert (references.picture == owners).all()


def test_wholly_masked_pictures_are_refused(tmp_path):
    empty = [TrainingPicture(p.srgb, p.raw, p.valid * 0, p.thumbnail, p.light) for p in pictures()]
    with pytest.raises(InputError, match="no valid pixel"):
        collect_references(tiny.model(), empty, tmp_path)


@pytest.mark.parametrize("block", [64, 1 << 16])
def test_assembly_quality_is_that_of_a_plain_softmax(block, monkeypatch):
    monkeypatch.setattr(bank_module, "BLOCK", block)
    model, references = tiny.model(), clusters()
    keys, values = compress(references, K=16, G=10, seed=0)
    bank_psnr, full_psnr = assembly_psnr(model, references, keys, values, seed=0)
    scale = model.affinity.scale().item()
    features, raw = references.features.astype(np.float64), references.values[:, 3:].astype(np.float64)

    def psnr(logits: np.ndarray, table: np.ndarray) -> float:
        weights = np.exp(logits - logits.max(1, keepdims=True))
        assembled = weights / weights.sum(1, keepdims=True) @ table
        return -10 * np.log10(np.square(assembled - raw).mean())

    assert bank_psnr == pytest.approx(psnr(scale * features @ keys.T, values[:, 3:]), abs=1e-3)  # seen: 7e-7
    others = scale * features @ features.T
    others[references.picture[:, None] == references.picture] = -np.inf  # never its own picture
    assert full_psnr == pytest.approx(psnr(others, raw), abs=1e-3)  # seen: 2.2e-6


def test_a_built_bank_tells_what_it_was_built_from():
    bank, (bank_psnr, full_psnr) = build_bank(tiny.model(), pictures(), tiny.bank_info(K=32, G=4, d=0))
    assert bank.keys.shape == (32, 8) and bank.raw.shape == bank.srgb.shape == (32, 3)
    assert np.abs(np.linalg.norm(bank.keys, axis=1) - 1).max() < 1e-6
    assert (bank.info.d, bank.info.reference_pixels, bank.info.reference_pictures) == (8, 744, 3)
    assert np.isfinite([bank_psnr, full_psnr]).all()


# --- files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tiny.bank().save(tmp_path / "bank.safetensors")
    return tmp_path / "bank.safetensors"


def test_a_bank_survives_its_file(saved, tmp_path):
    bank, back = tiny.bank(), Bank.load(saved)
    for name in ("keys", "raw", "srgb"):
        assert (getattr(bank, name) == getattr(back, name)).all()
    assert back.info == bank.info
    back.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    keys, values, camera = back.tensors()
    assert keys.shape == (64, 8) and values.shape == (6, 64) and camera.shape == (1, 13)
    assert (values[:3].T.numpy() == bank.srgb).all() and (values[3:].T.numpy() == bank.raw).all()


@pytest.mark.parametrize(
    ("content", "line"),
    [(None, "not found"), (b"", "not a prior bank"), (b"text, not tensors" * 9, "not a prior bank")],
)
def test_files_that_are_no_bank_are_refused(saved, content, line):
    if content is None:
        saved.unlink()
    else:
        saved.write_bytes(content)
    refused(saved, line)


def test_a_folder_is_no_bank(tmp_path):
    refused(tmp_path, "not a prior bank")


@pytest.mark.parametrize("keep", [7, 100, -1])
def test_a_truncated_bank_is_refused(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    refused(saved, "not a prior bank")


INFO = asdict(tiny.bank_info())


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"other": "{}"},
        {"bank": "{"},
        {"bank": "[1]"},
        {"bank": json.dumps(INFO | {"extra": 1})},
        {"bank": json.dumps({k: v for k, v in INFO.items() if k != "camera"})},
        {"bank": json.dumps(INFO | {"camera_vector": [1.0]})},
        {"bank": json.dumps(INFO | {"camera_vector": [float("nan")] * 13})},
        {"bank": json.dumps(INFO | {"camera_vector": "x"})},
        {"bank": json.dumps(INFO | {"color_matrix": [1.0] * 8})},
        {"bank": json.dumps(INFO | {"color_matrix": None})},
    ],
)
def test_damaged_metadata_are_refused(saved, metadata):
    save_file(load_file(saved), saved, metadata)
    refused(saved, "not a prior bank")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda a: a.pop("raw"), "not a prior bank"),
        (lambda a: a.update(raw=a["raw"][:5].copy()), "contradict"),
        (lambda a: a.update(keys=a["keys"][:, :5].copy()), "contradict"),
        (lambda a: a.update(srgb=a["srgb"].T.copy()), "contradict"),
        (lambda a: a.update(keys=a["keys"].astype(np.float16)), "float32"),
        (lambda a: a.update(srgb=a["srgb"].astype(np.float64)), "float32"),
        (lambda a: a["raw"].__setitem__((3, 1), np.nan), "not finite"),
        (lambda a: a["keys"].__setitem__((3, 1), np.inf), "not finite"),
    ],
)
def test_damaged_tensors_are_refused(saved, change, line):
    arrays = load_file(saved)
    change(arrays)
    save_file(arrays, saved, {"bank": json.dumps(INFO)})
    refused(saved, line)


def refused(path: Path, line: str) -> None:
    with pytest.raises(InputError, match=line) as error:
        Bank.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
