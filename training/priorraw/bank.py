"""Step 2, prior compression: millions of reference pixels to K entries that stand for them.

k-means centroids (inner product, random start) say where features crowd; each entry is the mean feature, sRGB
and RAW of the G reference pixels nearest its centroid.
"""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from priorraw.bank_info import BankInfo
from priorraw.errors import InputError, reason
from priorraw.files import atomic_file, refuse_special
from priorraw.model import PriorRAW
from priorraw.pictures import TrainingPicture
from priorraw.progress import track

BLOCK = 65_536  # reference pixels in memory at a time
TRAIN_PIXELS_PER_CENTROID = 64  # k-means sees at most this many; faiss draws them at random


@dataclass(frozen=True)
class Bank:
    """keys (K, d) unit features, raw and srgb (K, 3) in [0, 1]; all float32."""

    keys: np.ndarray
    raw: np.ndarray
    srgb: np.ndarray
    info: BankInfo

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the model's parts take: keys (K, d), values (6, K) with rows sRGB then RAW, camera (1, 13)."""
        values = np.concatenate([self.srgb, self.raw], 1).T
        return (
            torch.from_numpy(self.keys),
            torch.from_numpy(np.ascontiguousarray(values)),
            torch.tensor([self.info.camera_vector]),
        )

    def named(self) -> dict[str, Tensor]:
        """`tensors` by the names that the models' parts call them."""
        return dict(zip(("keys", "values", "camera"), self.tensors(), strict=True))

    def save(self, path: Path) -> None:
        """Write as safetensors, atomically; the same bank gives the same bytes."""
        with atomic_file(path) as temporary:
            arrays = {"keys": self.keys, "raw": self.raw, "srgb": self.srgb}
            told = {name: value for name, value in asdict(self.info).items() if value is not None}
            save_file(arrays, temporary, {"bank": json.dumps(told, sort_keys=True)})

    @staticmethod
    def load(path: Path) -> "Bank":
        """Read and check a bank.

        Raises:
            InputError: missing, damaged, or shapes and values that no bank has.
        """
        refuse_special(path)
        try:
            with safe_open(path, "np") as file:
                info = BankInfo(**json.loads((file.metadata() or {})["bank"]))
                keys, raw, srgb = (file.get_tensor(name) for name in ("keys", "raw", "srgb"))
        except FileNotFoundError:
            raise InputError(f"{path}: not found; build one with priorraw-edge bank build") from None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a prior bank ({reason(error)}); build it again") from None
        if keys.size == 0:
            raise InputError(f"{path}: not a prior bank (it has no entries); build it again")
        if keys.shape != (info.K, info.d) or raw.shape != (info.K, 3) or srgb.shape != (info.K, 3):
            raise InputError(f"{path}: shapes {keys.shape}, {raw.shape}, {srgb.shape} contradict its metadata")
        if not all(a.dtype == np.float32 and np.isfinite(a).all() for a in (keys, raw, srgb)):
            raise InputError(f"{path}: holds values that are not finite float32; build it again")
        return Bank(keys, raw, srgb, info)


@dataclass(frozen=True)
class References:
    """Features (P, d) and values (P, 6), sRGB then RAW, of all valid reference pixels; picture (P,) of each."""

    features: np.ndarray
    values: np.ndarray
    picture: np.ndarray


@torch.no_grad()
def collect_references(
    model: PriorRAW, pictures: Iterable[TrainingPicture], folder: Path, *, quiet: bool = False
) -> References:
    """Encode the pictures one by one into memory-mapped files in `folder`; only one is in memory at a time."""
    d = model.config.encoder.dim
    counts = []
    paths = [folder / "features.f32", folder / "values.f32"]
    with paths[0].open("wb") as features_file, paths[1].open("wb") as values_file:
        for picture in pictures if quiet else track(pictures, "encode references"):
            context = model.encoder.context(picture.thumbnail[None])
            features = model.encoder(picture.srgb[None], context)
            raw, valid = picture.half_resolution()
            values = torch.cat([F.avg_pool2d(picture.srgb, 2), raw]).flatten(1).T
            keep = valid.flatten() > 0
            features_file.write(features[keep].numpy().tobytes())
            values_file.write(values[keep].contiguous().numpy().tobytes())
            counts.append(int(keep.sum()))
    if sum(counts) == 0:
        raise InputError("the reference pictures hold no valid pixel; give others")
    return References(
        np.memmap(paths[0], np.float32, "r").reshape(-1, d),
        np.memmap(paths[1], np.float32, "r").reshape(-1, 6),
        np.repeat(np.arange(len(counts)), counts),
    )


def compress(references: References, K: int, G: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means, then group means: keys (K, d) scaled to length 1 and values (K, 6).

    Raises:
        InputError: fewer reference pixels than K or G.
    """
    return group_means(references, group_pixels(references, K, G, seed))


def group_pixels(references: References, K: int, G: int, seed: int) -> np.ndarray:
    """(K, G) indices of the G reference pixels nearest each of K centroids. Raises as `compress`."""
    import faiss

    P, d = references.features.shape
    if max(K, G) > P:
        raise InputError(f"{P} reference pixels cannot fill K = {K} entries of G = {G}; give more pictures")
    kmeans = faiss.Kmeans(
        d,
        K,
        niter=20,
        seed=seed,
        spherical=True,  # inner product needs centroids of one length
        max_points_per_centroid=TRAIN_PIXELS_PER_CENTROID,
        min_points_per_centroid=1,
    )
    kmeans.train(np.ascontiguousarray(references.features))
    assert kmeans.centroids is not None
    return nearest_pixels(kmeans.centroids, references.features, G)


def group_means(references: References, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean keys (K, d), scaled to length 1, and mean values (K, 6) of the pixels in each row of `groups`."""
    d = references.features.shape[1]
    keys = np.empty((len(groups), d), np.float32)
    values = np.empty((len(groups), 6), np.float32)
    for k, group in enumerate(groups):
        keys[k] = references.features[group].mean(0)
        values[k] = references.values[group].mean(0)
    return keys / np.linalg.norm(keys, axis=1, keepdims=True), values


def nearest_pixels(centroids: np.ndarray, features: np.ndarray, G: int) -> np.ndarray:
    """(K, G) indices of the features with the largest inner product, searched block by block."""
    import faiss

    heap = faiss.ResultHeap(len(centroids), G, keep_max=True)
    for start in track(range(0, len(features), BLOCK), "group references"):
        block = np.ascontiguousarray(features[start : start + BLOCK])
        scores, indices = faiss.knn(centroids, block, min(G, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
        heap.add_result(scores, indices + start)
    heap.finalize()
    return heap.I


@torch.no_grad()
def assembly_psnr(
    model: PriorRAW,
    references: References,
    keys: np.ndarray,
    values: np.ndarray,
    seed: int,
    sample: int = 4096,
) -> tuple[float, float]:
    """PSNR in dB of a sample of the reference pixels' RAW: assembled from the bank, and from all other pictures."""
    generator = np.random.default_rng(seed)
    P = len(references.features)
    rows = np.sort(generator.choice(P, min(sample, P), replace=False))
    query = torch.from_numpy(references.features[rows])
    true = torch.from_numpy(references.values[rows, 3:])
    bank_raw, _ = model.affinity.assemble(query, torch.from_numpy(keys), torch.from_numpy(values[:, 3:].T.copy()))

    # Softmax over all references in one pass of blocks.
    scale = float(model.affinity.scale())
    sums = torch.zeros(len(rows), 4)
    owner = references.picture[rows]
    for start in range(0, P, BLOCK // 4):
        block = slice(start, start + BLOCK // 4)
        own = owner[:, None] == references.picture[block][None]
        sums += assembled_raw(
            references.features[rows], own, references.features[block], references.values[block, 3:], scale
        )
    full_raw = sums[:, 1:] / sums[:, :1].clamp(min=1e-30)
    return psnr_of(bank_raw, true), psnr_of(full_raw, true)


def assembled_raw(query: np.ndarray, own: np.ndarray, features: np.ndarray, raw: np.ndarray, scale: float) -> Tensor:
    """(n, 4): the affinity of queries (n, d) to features (m, d), summed, and times their RAW (m, 3), summed.

    Added up over all blocks of features, the last three over the first are the assembled RAW. |logit| <= scale, so exp
    needs no running maximum. `own`, (n, m) or (n,), marks what takes no part: pixels of the query's own picture.
    """
    table = torch.cat([torch.ones(len(raw), 1), torch.from_numpy(np.ascontiguousarray(raw))], 1)
    sums = torch.zeros(len(query), 4)
    queries = torch.from_numpy(np.ascontiguousarray(query))
    for start in range(0, len(features), BLOCK // 4):
        block = slice(start, start + BLOCK // 4)
        affinity = torch.exp(scale * (queries @ torch.from_numpy(features[block].copy()).T - 1))
        affinity[torch.from_numpy(own[:, block] if own.ndim == 2 else own)] = 0
        sums += affinity @ table[block]
    return sums


def psnr_of(predicted: Tensor, true: Tensor) -> float:
    """dB on [0, 1]."""
    return float(-10 * torch.log10((predicted - true).square().mean()))


def build_bank(model: PriorRAW, pictures: list[TrainingPicture], info: BankInfo) -> tuple[Bank, tuple[float, float]]:
    """Collect, compress, measure: the bank of one camera and its (bank, full reference) assembly PSNR in dB."""
    with tempfile.TemporaryDirectory() as folder:
        references = collect_references(model, pictures, Path(folder))
        keys, values = compress(references, info.K, info.G, info.seed)
        quality = assembly_psnr(model, references, keys, values, info.seed)
    info = replace(info, reference_pixels=len(references.features), reference_pictures=len(pictures), d=keys.shape[1])
    return Bank(keys, values[:, 3:].copy(), values[:, :3].copy(), info), quality
