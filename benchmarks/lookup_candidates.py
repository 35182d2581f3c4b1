"""Cheaper ways to ask the bank, each a function of the picture's features.

A candidate takes features (P, d), unit length, and the half-resolution sRGB (1, 3, h, w) with P = h w; it returns
what the bank says of each pixel: (P, 6), sRGB then RAW, and the affinity's peak (P, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
import torch
import torch.nn.functional as F
from priorraw.layers import from_tokens, halve, to_tokens, unit
from priorraw.lookup import Affinity
from torch import Tensor, nn

Assembled = tuple[Tensor, Tensor]
Lookup = Callable[[Tensor, Tensor], Assembled]
CELLS, PROBES, NEAREST = 64, 8, 256  # two-level search: coarse cells, how many are looked into, entries kept
FLOAT = 4
GUIDED_EPSILON = 1e-3  # variance of sRGB below which a window counts as flat


@dataclass(frozen=True)
class Candidate:
    """A lookup with its cost for one half-resolution pixel: FLOPs, and bytes of operands and results, fp32."""

    name: str
    lookup: Lookup
    flops: float
    bytes: float


def exact(affinity: Affinity, keys: Tensor, values: Tensor, name: str) -> Candidate:
    """softmax over all entries; keys (K, d), values (6, K)."""
    K, d = keys.shape
    return Candidate(name, lambda features, _: affinity.assemble(features, keys, values), *_cost(K, d, values.shape[0]))


def projected(affinity: Affinity, keys: Tensor, values: Tensor, dim: int) -> Candidate:
    """Keys and features on the leading principal axes of the keys (not centred: inner products are what counts)."""
    _, _, axes = torch.linalg.svd(keys, full_matrices=False)
    low, basis = keys @ axes[:dim].T, axes[:dim].T.contiguous()
    flops, traffic = _cost(len(keys), dim, values.shape[0])
    return Candidate(
        f"d = {dim}, principal axes of the keys",
        lambda features, _: affinity.assemble(features @ basis, low, values),
        flops + 2 * keys.shape[1] * dim,
        traffic,
    )


def quarter(affinity: Affinity, keys: Tensor, values: Tensor, *, guided: bool) -> Candidate:
    """One affinity for 2x2 half-resolution pixels, brought back bilinearly or guided by the picture."""

    def lookup(features: Tensor, half: Tensor) -> Assembled:
        query = unit(to_tokens(halve(from_tokens(features, half))))
        low = halve(half)
        assembled, peaks = affinity.assemble(query, keys, values)
        maps, peak = from_tokens(assembled, low), _up(from_tokens(peaks, low), half)
        # Rows are sRGB, then RAW: each RAW channel is guided by the sRGB channel that it was rendered to.
        up = torch.cat([_guided(maps[:, i : i + 3], low, half) for i in (0, 3)], 1) if guided else _up(maps, half)
        return to_tokens(up), to_tokens(peak)

    flops, traffic = _cost(len(keys), keys.shape[1], values.shape[0])
    name = "quarter resolution, " + ("guided" if guided else "bilinear")
    return Candidate(name, lookup, flops / 4, traffic / 4)


def two_level(affinity: Affinity, keys: Tensor, values: Tensor) -> Candidate:
    """The nearest entries in the cells whose centroids are nearest (faiss, inverted file), softmax over them."""
    K, d = keys.shape
    index = faiss.index_factory(d, f"IVF{CELLS},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(keys.numpy())
    index.add(keys.numpy())
    index.nprobe = PROBES  # type: ignore[attr-defined]
    columns = values.T.contiguous()
    nearest = min(NEAREST, K // CELLS * PROBES)

    def lookup(features: Tensor, _: Tensor) -> Assembled:
        scores, entries = index.search(features.numpy(), nearest)
        logits = torch.from_numpy(np.where(entries < 0, -np.inf, scores).astype(np.float32)) * affinity.scale()
        weights = logits.softmax(-1)
        found = columns[torch.from_numpy(entries.clip(0))]
        return (weights.unsqueeze(-1) * found).sum(1), weights.max(-1, keepdim=True)[0]

    scanned = K * PROBES / CELLS
    flops = 2 * d * (CELLS + scanned) + 2 * nearest * values.shape[0]
    return Candidate(
        f"two levels: {PROBES} of {CELLS} cells, the {nearest} nearest",
        lookup,
        flops,
        FLOAT * (scanned * d + 2 * nearest + nearest * values.shape[0]),
    )


class Student(nn.Module):
    """d - 128 - 128 - 7: assembled values and the logit of the peak."""

    def __init__(self, dim: int, width: int = 128):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 7)
        )

    def forward(self, features: Tensor) -> Assembled:
        out = self.layers(features)
        return out[:, :6], torch.sigmoid(out[:, 6:])


def distilled(affinity: Affinity, keys: Tensor, values: Tensor, features: Tensor, steps: int) -> Candidate:
    """A small network that has learnt the bank's answers on the features (P, d) of the training pictures."""
    torch.manual_seed(0)
    student = Student(keys.shape[1])
    optimizer = torch.optim.AdamW(student.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        query = features[torch.randint(len(features), (1024,), generator=generator)]
        with torch.no_grad():
            true, peak = affinity.assemble(query, keys, values)
        assembled, guessed = student(query)
        loss = (assembled - true).abs().mean() + 0.1 * (guessed - peak).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    student.requires_grad_(False)
    sizes = [layer.weight.numel() for layer in student.layers if isinstance(layer, nn.Linear)]
    d = keys.shape[1]
    return Candidate(f"distilled: {d}-128-128-7", lambda f, _: student(f), 2.0 * sum(sizes), FLOAT * (d + 4 * 128 + 7))


def _cost(K: int, d: int, C: int) -> tuple[float, float]:
    """FLOPs and bytes for one query: logits and affinity of K entries are written and read."""
    return 2.0 * K * (d + C), FLOAT * (d + C + 4.0 * K)


def _up(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=False)


def _guided(maps: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Fast guided filter (He, Sun 2015), radius 1: per window maps = a low + b, and a, b are brought up."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)

    covariance = mean(low * maps) - mean(low) * mean(maps)
    a = covariance / (mean(low * low) - mean(low) ** 2 + GUIDED_EPSILON)
    b = mean(maps) - a * mean(low)
    return _up(mean(a), high) * high + _up(mean(b), high)
