"""Exact searches in shards that skip what cannot win: the nearest centroid of every row, the nearest rows of each.

Features and centroids are unit vectors, so angles between them obey the triangle inequality. A block whose centre is
at angle a from a centroid, and whose rows are within r of that centre, has rows between a - r and a + r from it.
"""

from dataclasses import dataclass

import numpy as np

from priorraw.shards import ROUNDING, Shard, blocks


@dataclass(frozen=True)
class Assigned:
    """The nearest centroid of each row, and how close it is."""

    label: np.ndarray  # (n,) int32
    score: np.ndarray  # (n,) float32 inner product
    products: int  # inner products that were computed, instead of n K


def assign(shard: Shard, centroids: np.ndarray) -> Assigned:
    """The centroid (K, d) with the largest inner product for every row.

    A centroid farther from a block's centre than the nearest one is, plus twice the block's angle, is nearest to none
    of its rows.
    """
    to_centres = shard.centres @ centroids.T
    reach = np.arccos(np.clip(to_centres.max(1, initial=-1) - ROUNDING, -1, 1)) + 2 * shard.angles
    least = np.cos(np.minimum(reach, np.pi)) - 2 * ROUNDING
    label, score = np.empty(len(shard.features), np.int32), np.empty(len(shard.features), np.float32)
    products = to_centres.size
    for b, rows in enumerate(blocks(shard.starts)):
        near = np.flatnonzero(to_centres[b] >= least[b])
        scores = shard.features[rows] @ centroids[near].T
        best = scores.argmax(1)
        label[rows] = near[best]
        score[rows] = scores[np.arange(len(best)), best]
        products += scores.size
    return Assigned(label, score, products)


def sums_by_label(features: np.ndarray, label: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums (K, d) float64 of the features of each label, and how many there are (K,)."""
    order = np.argsort(label, kind="stable")
    counts = np.bincount(label, minlength=K)
    sums = np.zeros((K, features.shape[1]))
    present = np.flatnonzero(counts)
    first = np.cumsum(counts[present]) - counts[present]
    sums[present] = np.add.reduceat(features[order], first, axis=0, dtype=np.float64)
    return sums, counts


class Nearest:
    """The G best rows of each of K centroids among all that were offered; no more than 5 G of each are held."""

    def __init__(self, K: int, G: int):
        self._K, self._G = K, G
        self._parts = [Candidates.none()]

    def offer(self, found: "Candidates") -> None:
        self._parts.append(found)
        if sum(len(part.row) for part in self._parts) > 5 * self._G * self._K:
            self._parts = [self.best()]

    def best(self) -> "Candidates":
        """By centroid and then from the nearest; of equally near ones the row that comes first."""
        columns = ([getattr(part, name) for part in self._parts] for name in ("centroid", "score", "row"))
        centroid, score, row = (np.concatenate(column) for column in columns)
        order = np.lexsort((row, -score, centroid))
        counts = np.bincount(centroid, minlength=self._K)
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[rank < self._G]
        return Candidates(centroid[order], score[order], row[order], sum(part.products for part in self._parts))

    def reached(self) -> np.ndarray:
        """(K,) the score of each centroid's G-th best row; -2 where fewer were offered."""
        best = self.best()
        counts = np.bincount(best.centroid, minlength=self._K)
        full = counts == self._G
        least = np.full(self._K, -2, np.float32)
        least[full] = best.score[(np.cumsum(counts) - 1)[full]]
        return least


@dataclass(frozen=True)
class Candidates:
    """Rows that may be among the nearest of a centroid."""

    centroid: np.ndarray  # (n,) int32
    score: np.ndarray  # (n,) float32 inner product
    row: np.ndarray  # (n,) int64
    products: int = 0  # inner products that were computed, instead of n K

    @staticmethod
    def none(products: int = 0) -> "Candidates":
        return Candidates(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int64), products)


def near(shard: Shard, centroids: np.ndarray, least: np.ndarray) -> Candidates:
    """All rows of a shard whose inner product with a centroid (K, d) reaches `least` (K,).

    A block none of whose rows can be that near is passed over: the nearest that one can be is the angle between
    centre and centroid, less the block's own.
    """
    to_centres = shard.centres @ centroids.T
    farthest = np.arccos(np.clip(least - ROUNDING, -1, 1)) + shard.angles[:, None]
    worth = to_centres + ROUNDING >= np.cos(np.minimum(farthest, np.pi))
    found, products = [], to_centres.size
    for b, rows in enumerate(blocks(shard.starts)):
        these = np.flatnonzero(worth[b])
        if len(these):
            scores = shard.features[rows] @ centroids[these].T
            hits = np.flatnonzero(scores >= least[these] - 2 * ROUNDING)  # several times as fast as in two dimensions
            row, column = np.divmod(hits, len(these))
            found.append((these[column].astype(np.int32), scores.ravel()[hits], row + rows.start))
            products += scores.size
    if not found:
        return Candidates.none(products)
    centroid, score, row = (np.concatenate(part) for part in zip(*found, strict=True))
    return Candidates(centroid, score, row, products)


def least_scores(
    centres: np.ndarray, angles: np.ndarray, sizes: np.ndarray, centroids: np.ndarray, G: int
) -> np.ndarray:
    """(n,) inner products that the G-th nearest row of each centroid (n, d) reaches, known from blocks alone.

    Every row of a block is nearer than the angle to its centre plus the block's own: the nearest blocks that hold G
    rows together say how far the G-th can be.
    """
    least = np.full(len(centroids), -2, np.float32)
    for k, centroid in enumerate(centroids):
        farthest = np.arccos(np.clip(centres @ centroid - ROUNDING, -1, 1)) + angles
        order = np.argsort(farthest)
        enough = int(np.searchsorted(np.cumsum(sizes[order]), G))
        least[k] = np.cos(min(np.pi, float(farthest[order[enough]]))) - ROUNDING
    return least
