"""Reference pixels on disk, in shards that are written once and read one at a time: 26 million take 4 GB there.

A shard lies so that a search can skip most of it. Its features are sorted into blocks of neighbours; of each block
its centre and the largest angle to it are known, and by the triangle inequality they say which centroids, or which
rows, cannot win (`nearest`). Sorting is by a small k-means of the shard's own, so shards need nothing of each other.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from priorraw.errors import InputError
from priorraw.files import atomic_file
from priorraw.model import PriorRAW
from priorraw.pictures import TrainingPicture

TILE = 1024  # pixels: larger pictures are encoded by tiles, so that a shard has at most 262,144 rows
BLOCK = 512  # rows of a block at most
ROWS_PER_CELL = 1024  # rows of a cell of the sorting k-means, on average
MOST_CELLS = 256
ROUNDING = 4e-7  # of inner products of unit vectors in single precision; the largest seen is 1.8e-7


@dataclass(frozen=True)
class Shard:
    """Reference pixels of one picture, or of a tile of it; all float32."""

    features: np.ndarray  # (n, d), unit
    values: np.ndarray  # (n, 6), sRGB then RAW
    starts: np.ndarray  # (B + 1,) int64: block b is rows starts[b] to starts[b + 1]
    centres: np.ndarray  # (B, d), unit
    angles: np.ndarray  # (B,) radians: no feature of the block is farther from its centre


class Shards:
    """The shards of a folder, in a fixed order.

    `picture[i]` is the picture that shard i belongs to, `rows[i]` how many pixels it has. Row numbers that count
    through all shards are those of `first[i]` to `first[i + 1]`.
    """

    def __init__(self, paths: Iterable[Path]):
        self.paths = list(paths)
        facts = [_facts(path) for path in self.paths]
        self.picture = np.array([picture for picture, _ in facts], np.int64)
        self.rows = np.array([rows for _, rows in facts], np.int64)
        self.first = np.concatenate([[0], np.cumsum(self.rows)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Shard:
        return read_shard(self.paths[i])

    @property
    def total(self) -> int:
        """Reference pixels in all shards."""
        return int(self.first[-1])

    def sample(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features (n, d), values (n, 6) and picture (n,) of `count` rows (or all), drawn without return."""
        drawn = np.random.default_rng(seed).choice(self.total, min(count, self.total), replace=False)
        drawn.sort()
        owner = np.searchsorted(self.first, drawn, side="right") - 1
        parts = []
        for i in np.unique(owner):
            shard, rows = self[i], drawn[owner == i] - self.first[i]
            parts.append((shard.features[rows], shard.values[rows]))
        features, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return features, values, self.picture[owner]


def encode_picture(model: PriorRAW, picture: TrainingPicture, number: int, folder: Path) -> list[Path]:
    """Encode one picture into shards of `folder`; those that lie there already are kept.

    Raises:
        InputError: `folder` cannot be written.
    """
    H, W = picture.srgb.shape[1:]
    paths = []
    for top in range(0, H, TILE):
        for left in range(0, W, TILE):
            path = folder / f"{number:06d}-{top // TILE:03d}-{left // TILE:03d}.safetensors"
            if not path.exists():
                features, values = _encode_tile(model, picture, top, left)
                write_shard(path, features, values, number)
            paths.append(path)
    return paths


@torch.no_grad()
def _encode_tile(model: PriorRAW, picture: TrainingPicture, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and values of the valid half-resolution pixels of a tile, encoded as in the whole picture."""
    halo = 2 * (model.config.encoder.blocks * 2 + 2)
    H, W = picture.srgb.shape[1:]
    y, x = max(0, top - halo), max(0, left - halo)
    bottom, right = min(H, top + TILE), min(W, left + TILE)
    seen = picture.srgb[None, :, y : bottom + halo, x : right + halo]
    encoded = model.encoder(seen, model.encoder.context(picture.thumbnail[None]))
    encoded = encoded.view(seen.shape[2] // 2, seen.shape[3] // 2, -1)
    core = (slice((top - y) // 2, (bottom - y) // 2), slice((left - x) // 2, (right - x) // 2))
    srgb, raw, valid = (t[:, top:bottom, left:right] for t in (picture.srgb, picture.raw, picture.valid))
    values = torch.cat([F.avg_pool2d(srgb, 2), F.avg_pool2d(raw, 2)]).flatten(1).T
    keep = (F.avg_pool2d(valid, 2) == 1).flatten()
    return encoded[core].flatten(0, 1)[keep].numpy(), values[keep].contiguous().numpy()


def write_shard(path: Path, features: np.ndarray, values: np.ndarray, picture: int) -> None:
    """Sort the rows into blocks and write them, atomically. A shard may be empty: a picture wholly masked."""
    order, starts, centres, angles = sort_into_blocks(features)
    arrays = {"features": features[order], "values": values[order], "starts": starts, "centres": centres}
    with atomic_file(path) as temporary:
        save_file(arrays | {"angles": angles}, temporary, {"picture": str(picture), "rows": str(len(features))})


def read_shard(path: Path) -> Shard:
    """All of a shard. Raises InputError if the file is damaged."""
    try:
        with safe_open(path, "np") as file:
            return Shard(*(file.get_tensor(name) for name in Shard.__annotations__))
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def read_blocks(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """starts, centres and angles of a shard, without its rows."""
    try:
        with safe_open(path, "np") as file:
            return file.get_tensor("starts"), file.get_tensor("centres"), file.get_tensor("angles")
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def sort_into_blocks(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Order (n,) of the rows, then starts, centres and angles of `Shard`; features (n, d) are unit."""
    n, d = features.shape
    if n == 0:
        return np.empty(0, np.int64), np.zeros(1, np.int64), np.empty((0, d), np.float32), np.empty(0, np.float32)
    label, score = _cells(features, max(1, min(MOST_CELLS, n // ROWS_PER_CELL)))
    order = np.lexsort((-score, label))  # within a cell from its middle outwards: inner blocks are narrow
    edges = np.concatenate([[0], np.flatnonzero(np.diff(label[order])) + 1, [n]])
    starts = np.concatenate([*(np.arange(a, b, BLOCK) for a, b in pairwise(edges)), [n]]).astype(np.int64)
    centres, angles = np.empty((len(starts) - 1, d), np.float32), np.empty(len(starts) - 1, np.float32)
    for b, rows in enumerate(blocks(starts)):
        block = features[order[rows]]
        mean = block.mean(0)
        centres[b] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        angles[b] = math.acos(max(-1.0, min(1.0, float((block @ centres[b]).min()) - ROUNDING)))
    return order, starts, centres, angles


def blocks(starts: np.ndarray) -> Iterator[slice]:
    """The rows of every block."""
    return (slice(int(a), int(b)) for a, b in pairwise(starts))


def _cells(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Cell (n,) of every row and its inner product with the cell's centroid: a rough k-means."""
    import faiss

    rough = faiss.Kmeans(
        features.shape[1], count, niter=8, seed=0, spherical=True, max_points_per_centroid=64, min_points_per_centroid=1
    )
    rough.train(features)
    assert rough.centroids is not None
    score, label = faiss.knn(features, rough.centroids, 1, metric=faiss.METRIC_INNER_PRODUCT)
    return label[:, 0], score[:, 0]


def _facts(path: Path) -> tuple[int, int]:
    """Picture and number of rows of a shard."""
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
        return int(metadata["picture"]), int(metadata["rows"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: not a readable shard ({error}); delete it and run again")
