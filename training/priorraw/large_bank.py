"""Step 2 at full size: a bank from any number of reference pixels, in memory that their number does not change.

The pixels lie in shards (`shards`), which are read one at a time by as many workers as there are (`spread`). k-means
starts on a sample, by faiss, and goes on over all of them where that is asked for, by the same exact iteration; then
each centroid's G nearest are found and averaged. Searches are exact and skip what cannot win (`nearest`).
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from priorraw.bank import TRAIN_PIXELS_PER_CENTROID, Bank, assembled_raw, psnr_of
from priorraw.bank_info import BankInfo
from priorraw.errors import InputError
from priorraw.lookup import Affinity
from priorraw.nearest import Candidates, Nearest, assign, least_scores, near, sums_by_label
from priorraw.progress import say, track
from priorraw.shards import Shards, read_blocks, read_shard
from priorraw.spread import Spread, Threads

ITERATIONS = 20  # of k-means on the sample
SAMPLE_PRODUCTS = 1 << 33  # of features that the quality is measured by: seconds, whatever the size
MOST_SAMPLES = 4096


@dataclass(frozen=True)
class Step:
    """What a pass of k-means over all reference pixels did."""

    mean_score: float  # inner product of a pixel's feature with its centroid, before the centroids moved
    computed: float  # share of the pixels x centroids inner products that had to be computed


@dataclass(frozen=True)
class Built:
    bank: Bank
    steps: list[Step]  # of the passes over all pixels
    computed: float  # share of the inner products that the search for the nearest computed
    bank_psnr: float  # dB, assembled RAW of a sample of the pixels: from the bank,
    full_psnr: float  # and from all pixels of other pictures
    seconds: dict[str, float]  # of each part of the work


def build(
    affinity: Affinity, shards: Shards, info: BankInfo, *, passes: int = 0, spread: Spread | None = None
) -> Built:
    """The bank of all pixels in `shards`.

    The same for any number of workers, on one kind of processor: sums are taken in the order of the shards.

    Args:
        passes: k-means iterations over all pixels, after those on the sample.

    Raises:
        InputError: fewer pixels than K or G.
    """
    spread = spread or Threads()
    if max(info.K, info.G) > shards.total:
        raise InputError(
            f"{shards.total} reference pixels cannot fill K = {info.K} entries of G = {info.G}; give more pictures"
        )
    clock = _Clock()
    centroids = sample_kmeans(shards, info.K, info.seed)
    clock.lap("k-means on a sample")
    steps = []
    for number in range(passes):
        centroids, step = kmeans_pass(shards, centroids, spread)
        say(f"pass {number + 1} of {passes}: mean inner product {step.mean_score:.5f}")
        steps.append(step)
        clock.lap("k-means passes")
    groups, computed = nearest_rows(shards, centroids, info.G, spread)
    clock.lap("nearest pixels")
    keys, values = means(shards, groups, spread)
    clock.lap("means")
    bank_psnr, full_psnr = quality(affinity, shards, keys, values, info.seed, spread)
    clock.lap("quality")
    pictures = len(np.unique(shards.picture[shards.rows > 0]))
    info = replace(info, reference_pixels=shards.total, reference_pictures=pictures, d=keys.shape[1])
    bank = Bank(keys, values[:, 3:].copy(), values[:, :3].copy(), info)
    return Built(bank, steps, computed, bank_psnr, full_psnr, clock.seconds)


class _Clock:
    """How long each part takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, part: str) -> None:
        now = time.monotonic()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now


def sample_kmeans(shards: Shards, K: int, seed: int) -> np.ndarray:
    """(K, d) unit centroids by faiss of `TRAIN_PIXELS_PER_CENTROID` K pixels, drawn at random."""
    import faiss

    features, _, _ = shards.sample(TRAIN_PIXELS_PER_CENTROID * K, seed)
    kmeans = faiss.Kmeans(
        features.shape[1],
        K,
        niter=ITERATIONS,
        seed=seed,
        spherical=True,  # inner product needs centroids of one length
        max_points_per_centroid=TRAIN_PIXELS_PER_CENTROID,
        min_points_per_centroid=1,
        gpu=faiss.get_num_gpus() > 0,
    )
    kmeans.train(features)
    assert kmeans.centroids is not None
    return kmeans.centroids


def kmeans_pass(shards: Shards, centroids: np.ndarray, spread: Spread) -> tuple[np.ndarray, Step]:
    """One iteration over all pixels: every centroid to the mean of the pixels nearest it, scaled to length 1.

    A centroid that is nearest to none stays where it is.
    """
    K = len(centroids)
    sums, counts, score, products = np.zeros(centroids.shape), np.zeros(K, np.int64), 0.0, 0
    for part in track(spread(_assigned_sums, shards.paths, centroids), "k-means pass", total=len(shards)):
        sums += part[0]
        counts += part[1]
        score += part[2]
        products += part[3]
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    moved = np.where((counts > 0)[:, None] & (lengths > 0), sums / np.maximum(lengths, 1e-12), centroids)
    return moved.astype(np.float32), Step(score / shards.total, products / (shards.total * K))


def nearest_rows(shards: Shards, centroids: np.ndarray, G: int, spread: Spread) -> tuple[np.ndarray, float]:
    """(K, G) numbers, through all shards, of the pixels nearest each centroid; and the share that was computed.

    First how near the G-th nearest is at least: among the pixels that have no other centroid nearer, or where these
    are too few, by the blocks. Then all pixels that are as near, and the best G of them.
    """
    K = len(centroids)
    own = Nearest(K, G)
    for part in track(spread(_own_scores, shards.paths, centroids, G), "reach of groups", total=len(shards)):
        own.offer(part)
    least, products = own.reached(), own.best().products
    few = least < -1
    if few.any():
        told = [read_blocks(path) for path in shards.paths]
        sizes = np.concatenate([np.diff(starts) for starts, _, _ in told])
        centres, angles = (np.concatenate([part[i] for part in told]) for i in (1, 2))
        least[few] = least_scores(centres, angles, sizes, centroids[few], G)
        products += int(few.sum()) * len(angles)
    nearest = Nearest(K, G)
    parts = spread(_nearest_in, shards.paths, centroids, least, G)
    for first, part in zip(shards.first, track(parts, "group pixels", total=len(shards)), strict=False):
        nearest.offer(replace(part, row=part.row + first))
    best = nearest.best()
    return best.row.reshape(K, G), (products + best.products) / (shards.total * K)


def means(shards: Shards, groups: np.ndarray, spread: Spread) -> tuple[np.ndarray, np.ndarray]:
    """Mean keys (K, d), scaled to length 1, and mean values (K, 6) of the pixels in each row of `groups` (K, G)."""
    K, G = groups.shape
    order = np.argsort(groups, axis=None, kind="stable")
    row, group = groups.ravel()[order], (order // G).astype(np.int32)
    edges = np.searchsorted(row, shards.first)
    items = [
        (path, row[a:b] - first, group[a:b])
        for path, first, a, b in zip(shards.paths, shards.first[:-1], edges[:-1], edges[1:], strict=True)
        if b > a
    ]
    total: np.ndarray | None = None
    for part in track(spread(_sums_of_rows, items, K), "average groups", total=len(items)):
        total = part if total is None else total + part
    assert total is not None
    d = total.shape[1] - 6
    keys, values = total[:, :d], total[:, d:] / G
    return (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32), values.astype(np.float32)


def quality(
    affinity: Affinity, shards: Shards, keys: np.ndarray, values: np.ndarray, seed: int, spread: Spread
) -> tuple[float, float]:
    """PSNR in dB of a sample of the pixels' RAW: assembled from the bank, and from all other pictures' pixels."""
    count = min(MOST_SAMPLES, max(1, SAMPLE_PRODUCTS // shards.total))
    query, told, picture = shards.sample(count, seed)
    true = torch.from_numpy(told[:, 3:].copy())
    with torch.no_grad():
        tables = torch.from_numpy(keys), torch.from_numpy(values[:, 3:].T.copy())
        bank_raw, _ = affinity.assemble(torch.from_numpy(query), *tables)
        scale = float(affinity.scale())
    items = list(zip(shards.paths, shards.picture, strict=True))
    parts = spread(_assembled_from, items, query, picture, scale)
    sums = sum(track(parts, "measure quality", total=len(items)), torch.zeros(len(query), 4))
    full_raw = sums[:, 1:] / sums[:, :1].clamp(min=1e-30)
    return psnr_of(bank_raw, true), psnr_of(full_raw, true)


def _assigned_sums(path: Path, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, int]:
    shard = read_shard(path)
    found = assign(shard, centroids)
    sums, counts = sums_by_label(shard.features, found.label, len(centroids))
    return sums, counts, float(found.score.sum(dtype=np.float64)), found.products


def _own_scores(path: Path, centroids: np.ndarray, G: int) -> Candidates:
    """Each centroid's best G of the pixels that are nearer to no other."""
    found = assign(read_shard(path), centroids)
    best = Nearest(len(centroids), G)
    best.offer(Candidates(found.label, found.score, np.arange(len(found.label)), found.products))
    return best.best()


def _nearest_in(path: Path, centroids: np.ndarray, least: np.ndarray, G: int) -> Candidates:
    """No more than the best G of each centroid."""
    best = Nearest(len(centroids), G)
    best.offer(near(read_shard(path), centroids, least))
    return best.best()


def _sums_of_rows(item: tuple[Path, np.ndarray, np.ndarray], K: int) -> np.ndarray:
    """(K, d + 6) float64 sums of features and values by group."""
    path, rows, group = item
    shard = read_shard(path)
    columns = np.concatenate([shard.features[rows], shard.values[rows]], 1)
    return sums_by_label(columns, group, K)[0]


def _assembled_from(item: tuple[Path, int], query: np.ndarray, picture: np.ndarray, scale: float) -> torch.Tensor:
    path, own = item
    shard = read_shard(path)
    return assembled_raw(query, picture == own, shard.features, shard.values[:, 3:], scale)
