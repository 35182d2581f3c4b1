"""The paper's reconstructor learns on top of a fixed encoder and bank of one camera.

What the bank says of a picture does not change while the network learns, so it is looked up once, for every
mirror image. The lookup is cross-fitted: each half of the pictures meets a bank that was built from the other
half, since a bank that holds a picture's own pixels would look better in training than it ever is in use.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from priorraw.bank import collect_references, compress
from priorraw.distributed import Part
from priorraw.losses import paper_loss
from priorraw.model import PriorRAW
from priorraw.paper import PaperConfig, PaperReconstructor
from priorraw.pictures import TrainingPicture, check_trainable
from priorraw.progress import track
from priorraw.train import TrainConfig, draw, fit, pick_device

CROP = 64
MIRRORS: tuple[list[int], ...] = ([], [-1])  # left and right only: skies stay above
BATCH = 16
ENTRIES = 1250  # of the bank, drawn anew at every step for the non-local attention: cheaper, and a dropout


@dataclass(frozen=True)
class Fold:
    """64x64 crops that share a bank, and what it says of them.

    maps (m, crops, 6, 32, 32), for each mirror image m, are float16 in one allocation: thousands of small ones
    between the lookup's large ones would tear the heap to gigabytes. keys (K, d) and values (6, K), sRGB then RAW.
    """

    crops: list[TrainingPicture]
    maps: Tensor
    keys: Tensor
    values: Tensor


def mean_raw(pictures: list[TrainingPicture]) -> Tensor:
    """(3,) mean linear raw-RGB of all valid pixels."""
    total = sum((p.raw * p.valid).sum((1, 2), dtype=torch.float64) for p in pictures)
    return torch.as_tensor(total / sum(p.valid.sum(dtype=torch.float64) for p in pictures)).float()


def make_folds(model: PriorRAW, pictures: list[TrainingPicture], K: int, G: int, seed: int) -> list[Fold]:
    """Both halves of a camera's pictures, each looked up in the bank of the other.

    Half the pictures get half the group, so that a group covers the same share of its cluster.

    Raises:
        InputError: a single picture, one smaller than a crop, or too few pixels for K entries.
    """
    check_trainable(pictures, CROP)
    halves = pictures[0::2], pictures[1::2]
    return [_fold(model, own, other, K, max(1, G // 2), seed) for own, other in (halves, halves[::-1])]


@torch.no_grad()
def _fold(model: PriorRAW, own: list[TrainingPicture], other: list[TrainingPicture], K: int, G: int, seed: int) -> Fold:
    with tempfile.TemporaryDirectory() as folder:
        keys, values = table(*compress(collect_references(model, other, Path(folder)), K, G, seed))
    crops = [crop for picture in own for crop in _crops(picture)]
    maps = torch.zeros(len(MIRRORS), len(crops), 6, CROP // 2, CROP // 2, dtype=torch.float16)
    for m, axes in enumerate(MIRRORS):
        crop = 0
        for picture in track(own, f"look up, mirror image {m + 1} of {len(MIRRORS)}"):
            context = model.encoder.context(picture.thumbnail.flip(axes)[None])
            looked_up, _ = model.lookup(picture.srgb.flip(axes)[None], context, keys, values)
            whole = looked_up[0].flip(axes)  # back to where the crops were cut
            for rows, columns in _windows(picture, CROP // 2):
                maps[m, crop] = whole[:, rows, columns].flip(axes)
                crop += 1
    return Fold(crops, maps, keys, values)


def table(keys: np.ndarray, values: np.ndarray) -> tuple[Tensor, Tensor]:
    """keys (K, d) and values (K, 6) of `compress` as the (K, d) and (6, K) tensors that a lookup takes."""
    return torch.from_numpy(keys), torch.from_numpy(np.ascontiguousarray(values.T))


def train_paper(
    folds: list[Fold], network: PaperConfig, train: TrainConfig, out: Path, about: dict[str, Any]
) -> PaperReconstructor:
    """Train one network of the ablation; the same seed sees the same crops, whatever its switches. See `fit`.

    Args:
        folds: of `make_folds`.
        out: folder for the checkpoint, which the same call goes on from.
        about: what else a checkpoint must agree with, such as the encoder and the pictures behind the folds.
    """
    device = pick_device()
    crops = [crop for fold in folds for crop in fold.crops]
    torch.manual_seed(train.seed)
    learner = PaperReconstructor(network, folds[0].keys.shape[1], mean_raw(crops)).to(device)
    weights = torch.tensor([float(len(fold.crops)) for fold in folds])

    def loss_of(generator: torch.Generator, part: Part) -> Tensor:
        fold = folds[int(torch.multinomial(weights, 1, generator=generator))]
        mirror = int(torch.randint(len(MIRRORS), (1,), generator=generator))
        chosen = part.of(draw(len(fold.crops), BATCH, generator), "crops")
        entries = draw(len(fold.keys), ENTRIES, generator)
        srgb, raw, valid = (
            torch.stack([getattr(fold.crops[i], name).flip(MIRRORS[mirror]) for i in chosen]).to(device)
            for name in ("srgb", "raw", "valid")
        )
        maps = fold.maps[mirror, chosen].to(device).float()
        predicted = learner(srgb, maps, fold.keys[entries].to(device), fold.values[3:, entries].to(device))
        return paper_loss(predicted.float(), raw, valid)

    settings: dict[str, Any] = {"stage": "paper", "network": asdict(network), "train": asdict(train), "about": about}
    settings |= {"batch": BATCH, "entries": ENTRIES}
    fit(learner, list(learner.parameters()), loss_of, train, out, settings)
    return learner.to("cpu").requires_grad_(False)


@torch.no_grad()
def restore(
    model: PriorRAW, network: PaperReconstructor, picture: TrainingPicture, keys: Tensor, values: Tensor
) -> Tensor:
    """Linear raw-RGB (3, H, W) of a whole picture with the whole bank: keys (K, d), values (6, K)."""
    srgb = picture.srgb[None]
    maps, _ = model.lookup(srgb, model.encoder.context(picture.thumbnail[None]), keys, values)
    return network(srgb, maps, keys, values[3:])[0]


def _crops(picture: TrainingPicture) -> Iterator[TrainingPicture]:
    """64x64 crops side by side; a rest at the right and bottom is left out."""
    for rows, columns in _windows(picture, CROP):
        srgb, raw, valid = (t[:, rows, columns] for t in (picture.srgb, picture.raw, picture.valid))
        yield replace(picture, srgb=srgb, raw=raw, valid=valid)


def _windows(picture: TrainingPicture, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a picture's 64x64 crops; with a `side` of 32, of the same crops at half resolution."""
    H, W = picture.srgb.shape[1:]
    for row in range(H // CROP):
        for column in range(W // CROP):
            yield slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
