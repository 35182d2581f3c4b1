"""What a bank says of a picture that it was not built from, for every picture in turn, at the price of one bank.

An entry is the mean of the reference pixels nearest a centroid. Leaving a picture out takes its pixels out of those
means; entries that it filled alone go. Only the places of the centroids still know it, not what RAW belongs there
(docs/cameras.md compares with banks that were built anew).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from priorraw.bank import References


@dataclass(frozen=True)
class Groups:
    """The reference pixels of each entry: features (K, G, d), values (K, G, 6), and whose they are, owner (K, G)."""

    features: np.ndarray
    values: np.ndarray
    owner: np.ndarray

    @classmethod
    def gather(cls, references: References, groups: np.ndarray, owner: np.ndarray) -> "Groups":
        """Of `bank.group_pixels`; `owner` (P,) says to which file each reference pixel belongs."""
        shape = groups.shape
        rows = groups.ravel()
        order = np.argsort(rows, kind="stable")  # a memory-mapped file is read front to back
        features = np.empty((rows.size, references.features.shape[1]), np.float32)
        values = np.empty((rows.size, references.values.shape[1]), np.float32)
        features[order] = references.features[rows[order]]
        values[order] = references.values[rows[order]]
        return cls(features.reshape(*shape, -1), values.reshape(*shape, -1), owner[groups])

    def means(self, without: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Unit keys (k, d) and values (k, 6) of the entries that have a pixel of another file than `without`."""
        weight = (self.owner != (-1 if without is None else without)).astype(np.float32)
        count = weight.sum(1)
        kept = count > 0
        weight = weight[kept] / count[kept, None]
        keys, values = (np.einsum("kg,kgc->kc", weight, a[kept]) for a in (self.features, self.values))
        return keys / np.linalg.norm(keys, axis=1, keepdims=True), values

    def tensors(self, without: int | None = None) -> tuple[Tensor, Tensor]:
        """The same as the model takes them: keys (k, d), values (6, k) with rows sRGB then RAW."""
        keys, values = self.means(without)
        return torch.from_numpy(keys), torch.from_numpy(np.ascontiguousarray(values.T))
