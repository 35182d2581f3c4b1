"""Banks from shards: every search against brute force, whatever is skipped; resume; the same for any workers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from priorraw import encode_shards as encoding
from priorraw import shards as shards_module
from priorraw.assets import ENCODER
from priorraw.bank import Bank, References, assembly_psnr, collect_references
from priorraw.errors import InputError
from priorraw.large_bank import build, kmeans_pass, means, nearest_rows, quality
from priorraw.nearest import Candidates, Nearest, assign, least_scores, near
from priorraw.shards import Shards, read_shard, sort_into_blocks, write_shard
from priorraw.spread import Threads
from test_bank import pictures

D = 8


def features(n: int, seed: int, spread: float = 0.03) -> np.ndarray:
    """Unit vectors in clusters, as the encoder's are; a hundredth are strays."""
    random = np.random.default_rng(seed)
    middles = random.standard_normal((12, D))
    made = middles[random.integers(12, size=n)] / 3 + spread * random.standard_normal((n, D))
    made[:: max(1, n // 100)] = random.standard_normal(made[:: max(1, n // 100)].shape)
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def shards(tmp_path, monkeypatch) -> Shards:
    """Three shards of two pictures, and an empty one; of small blocks, so that there is something to skip."""
    monkeypatch.setattr(shards_module, "ROWS_PER_CELL", 64)
    monkeypatch.setattr(shards_module, "BLOCK", 64)
    paths = []
    for i, (n, picture) in enumerate(((3000, 0), (0, 1), (5000, 2), (1500, 2))):
        paths.append(tmp_path / f"{i}.safetensors")
        write_shard(paths[-1], features(n, i), np.random.default_rng(i).random((n, 6), np.float32), picture)
    return Shards(paths)


@pytest.fixture
def centroids() -> np.ndarray:
    return features(200, 9, 0.08)


def everything(shards: Shards) -> References:
    parts = [shards[i] for i in range(len(shards))]
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("features", "values"))
    return References(*columns, np.repeat(shards.picture, shards.rows))


@pytest.mark.parametrize("n", [1, 2, 511, 5000])
def test_blocks_hold_every_row_within_their_angle(n, monkeypatch):
    monkeypatch.setattr(shards_module, "BLOCK", 100)
    rows = features(n, 1)
    order, starts, centres, angles = sort_into_blocks(rows)
    assert sorted(order) == list(range(n)) and starts[0] == 0 and starts[-1] == n
    assert np.diff(starts).min() >= 1 and np.diff(starts).max() <= 100
    for b in range(len(angles)):
        block = rows[order[starts[b] : starts[b + 1]]].astype(np.float64)
        assert np.arccos(np.clip(block @ centres[b].astype(np.float64), -1, 1)).max() <= angles[b]


def test_rounding_is_within_its_bound():
    a, b = features(4000, 2), features(300, 3)
    exact = a.astype(np.float64) @ b.T.astype(np.float64)
    assert np.abs(a @ b.T - exact).max() < shards_module.ROUNDING  # seen: 1.8e-7


def test_every_row_meets_its_nearest_centroid(shards, centroids):
    for i in (0, 1, 2):
        shard = shards[i]
        found = assign(shard, centroids)
        scores = shard.features.astype(np.float64) @ centroids.T.astype(np.float64)
        assert np.abs(found.score - scores.max(1, initial=-1)).max(initial=0) < 1e-6  # seen: 1.5e-7
        taken = scores[np.arange(len(scores)), found.label]
        assert np.abs(taken - scores.max(1, initial=-1)).max(initial=0) < 1e-6
        assert found.products < max(1, 0.6 * scores.size)  # seen: 0.41 at most


@pytest.mark.parametrize("G", [1, 50, 700])
def test_the_nearest_rows_are_those_of_brute_force(shards, centroids, G):
    groups, computed = nearest_rows(shards, centroids, G, Threads(2))
    scores = centroids.astype(np.float64) @ everything(shards).features.T.astype(np.float64)
    best = -np.sort(-scores, axis=1)[:, :G]
    assert groups.shape == (200, G) and all(len(set(group)) == G for group in groups)
    assert np.abs(np.take_along_axis(scores, groups, 1) - best).max() < 1e-6  # seen: 1.2e-7, ties in another order
    assert computed < 0.8  # seen: 0.65, of both searches together


def test_the_blocks_alone_bound_the_nearest(shards, centroids):
    shard = shards[2]
    sizes = np.diff(shard.starts)
    least = least_scores(shard.centres, shard.angles, sizes, centroids, 60)
    exact = np.sort(centroids.astype(np.float64) @ shard.features.T.astype(np.float64), axis=1)[:, -60]
    assert (least <= exact).all() and least.max() > 0.5
    found = near(shard, centroids, least)
    assert (np.bincount(found.centroid, minlength=200) >= 60).all()


def test_the_best_are_kept_however_they_come():
    random = np.random.default_rng(0)
    score = random.random(9000).astype(np.float32)
    centroid, row = random.integers(7, size=9000).astype(np.int32), np.arange(9000)
    best = Nearest(7, 5)
    for part in np.array_split(random.permutation(9000), 40):
        best.offer(Candidates(centroid[part], score[part], row[part]))
    for k in range(7):
        own = row[centroid == k]
        expected = own[np.argsort(-score[own])][:5]
        kept = best.best()
        assert (kept.row[kept.centroid == k] == expected).all()
        assert best.reached()[k] == score[expected[-1]]
    assert Nearest(3, 1).reached().tolist() == [-2, -2, -2]


def test_a_pass_moves_centroids_to_the_means(shards, centroids):
    moved, step = kmeans_pass(shards, centroids, Threads(2))
    whole = everything(shards).features.astype(np.float64)
    scores = whole @ centroids.T.astype(np.float64)
    label = scores.argmax(1)
    used = np.unique(label)
    expected = np.stack([whole[label == k].mean(0) for k in used])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(moved[used] - expected).max() < 1e-6
    assert step.mean_score == pytest.approx(scores.max(1).mean(), abs=1e-6)
    unused = np.setdiff1d(np.arange(200), used)
    assert len(unused) > 10 and (moved[unused] == centroids[unused]).all()


def test_means_are_those_of_the_rows(shards, centroids):
    groups, _ = nearest_rows(shards, centroids, 20, Threads())
    keys, values = means(shards, groups, Threads())
    whole = everything(shards)
    expected = whole.features[groups].mean(1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert (
        np.abs(keys - expected).max() < 1e-6 and np.abs(values - whole.values[groups].mean(1)).max() < 1e-6
    )  # seen: 1.2e-7


def test_quality_is_that_of_the_small_bank(shards, centroids):
    model = tiny.model()
    keys, values = means(shards, nearest_rows(shards, centroids, 20, Threads())[0], Threads())
    small = assembly_psnr(model, everything(shards), keys, values, seed=3, sample=4096)
    rows = np.sort(np.random.default_rng(3).choice(shards.total, 4096, replace=False))
    assert (shards.sample(4096, 3)[0] == everything(shards).features[rows]).all()
    large = quality(model.affinity, shards, keys, values, 3, Threads(2))
    assert large == pytest.approx(small, abs=1e-5)  # seen: 0


def test_the_same_bank_for_any_number_of_workers(shards):
    info = tiny.bank_info(K=64, G=10)
    one, three = (build(tiny.model().affinity, shards, info, passes=2, spread=Threads(n)) for n in (1, 3))
    assert (one.bank.keys == three.bank.keys).all() and (one.bank.raw == three.bank.raw).all()
    assert one.steps[1].mean_score > one.steps[0].mean_score
    assert (one.bank.info.reference_pixels, one.bank.info.reference_pictures) == (9500, 2)
    with pytest.raises(InputError, match="9500 reference pixels cannot fill"):
        build(tiny.model().affinity, shards, tiny.bank_info(K=64, G=9501))


# --- encoding ---------------------------------------------------------------------------------------------------


def test_pictures_are_encoded_by_tiles_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(shards_module, "TILE", 64)
    model, (picture, _) = tiny.model(), pictures(2, side=136)
    found = Shards(shards_module.encode_picture(model, picture, 5, tmp_path / "tiles"))
    assert len(found) == 9 and set(found.picture) == {5}
    whole = collect_references(model, [picture], tmp_path, quiet=True)
    tiled = everything(found)
    assert len(tiled.features) == len(whole.features)
    a, b = (np.concatenate([part.values, part.features], 1) for part in (tiled, whole))
    a, b = (part[np.lexsort(part[:, :6].T)] for part in (a, b))
    assert np.abs(a - b).max() < 1e-6  # seen: 1.8e-7


@pytest.fixture
def dataset(tmp_path) -> Path:
    return tiny.dataset(tmp_path / "d", 10)


@pytest.fixture
def encoder(tmp_path) -> Path:
    return tiny.assets(tmp_path / "assets") / ENCODER


def test_a_bank_build_goes_on_with_what_is_encoded(cli, dataset, encoder, tmp_path, monkeypatch):
    call = ("bank", "build", dataset, "--encoder", encoder, "--entries", 32, "--group", 4, "--passes", 1, "--json")
    code, _, _ = cli(*call, "-o", tmp_path / "whole.safetensors")
    assert code == 0
    encode_tile, done = shards_module._encode_tile, []

    def stopping(*arguments):
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(arguments)
        return encode_tile(*arguments)

    scratch = ("--scratch", tmp_path / "scratch", "-o", tmp_path / "bank.safetensors")
    monkeypatch.setattr(shards_module, "_encode_tile", stopping)
    assert cli(*call, *scratch)[0] == 130
    assert len(list((tmp_path / "scratch").glob("*.safetensors"))) == 6
    done.append(())
    code, said, _ = cli(*call, *scratch)
    assert code == 0 and len(done) == 7 + 4
    facts = json.loads(said)
    assert facts["reference_pictures"] == 10 and len(facts["passes"]) == 1
    assert (tmp_path / "bank.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert Bank.load(tmp_path / "bank.safetensors").info.camera == tiny.CAMERA


def test_other_shards_are_refused(cli, dataset, encoder, tmp_path):
    scratch = tmp_path / "scratch"
    call = ("bank", "build", dataset, "-o", tmp_path / "b", "--entries", 32, "--scratch", scratch)
    assert cli(*call, "--encoder", encoder)[0] == 0
    other = tiny.assets(tmp_path / "other", tiny.model(seed=1)) / ENCODER
    code, _, errors = cli(*call, "--encoder", other)
    assert code == 2 and "holds shards of other pictures or another encoder" in errors
    shard = sorted(scratch.glob("*.safetensors"))[3]
    shard.write_bytes(shard.read_bytes()[:200])
    code, _, errors = cli(*call, "--encoder", encoder)
    assert code == 2 and f"{shard}: not a readable shard" in errors and errors.count("\n") == 1
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    code, _, errors = cli(*call[:-1], tmp_path / "full", "--encoder", encoder)
    assert code == 2 and f"holds no {encoding.MARKER}" in errors
    code, _, errors = cli("bank", "build", "--raws", dataset, "-o", tmp_path / "b", "--passes", 2)
    assert code == 2 and "go with datasets" in errors


def test_a_masked_picture_is_an_empty_shard(tmp_path):
    picture = pictures(1)[0]
    masked = replace(picture, valid=picture.valid * 0)
    (path,) = shards_module.encode_picture(tiny.model(), masked, 0, tmp_path)
    assert len(read_shard(path).features) == 0 and Shards([path]).total == 0
