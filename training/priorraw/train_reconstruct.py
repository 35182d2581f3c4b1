"""Stage 3: light and reconstructor learn on top of the fixed encoder and bank.

What the bank says of a picture does not change while they learn, so it is looked up once, for every mirror
image. The lookup is cross-fitted: each half of a camera's pictures meets a bank that was built from the other
half, since a bank that holds a picture's own pixels would look better in training than it ever is in use.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from priorraw.bank import BankInfo, build_bank
from priorraw.losses import reconstruction_loss
from priorraw.model import ModelConfig, PriorRAW
from priorraw.pictures import TrainingPicture, check_trainable
from priorraw.progress import track
from priorraw.train import TrainConfig, draw, fit, pick_device

CROP = 64
MIRRORS: tuple[list[int], ...] = ([], [-1])  # left and right only: skies stay above
MIN_WINDOW = 40  # the light also learns from windows of the thumbnail, down to this side


@dataclass(frozen=True)
class ReconstructConfig:
    batch: int = 16
    entries: int = 1250  # of the bank, drawn anew at every step for the non-local attention: cheaper, and a dropout


@dataclass(frozen=True)
class Camera:
    """A camera's training pictures, with the settings of the bank that it will ship."""

    pictures: list[TrainingPicture]
    info: BankInfo


@dataclass(frozen=True)
class Fold:
    """64x64 crops that share a camera and a bank, and what the bank says of them, for each mirror image m.

    maps (m, crops, 6, 32, 32) and thumbnail_maps (m, pictures, 7, 32, 32: maps and peak) are float16, each in one
    allocation: thousands of small ones between the lookup's large ones would tear the heap to gigabytes.
    """

    crops: list[TrainingPicture]
    owner: list[int]  # the picture that each crop was cut from
    maps: Tensor
    thumbnail_maps: Tensor
    keys: Tensor
    values: Tensor
    camera: Tensor


def train_reconstruct(
    model: PriorRAW,
    cameras: list[Camera],
    model_config: ModelConfig,
    train: TrainConfig,
    out: Path,
    config: ReconstructConfig | None = None,
) -> PriorRAW:
    """Train light and reconstructor; encoder and affinity of `model` stay as they are. See `fit` for resume."""
    config = config or ReconstructConfig()
    for camera in cameras:
        check_trainable(camera.pictures, CROP)
    device = pick_device()
    parts = model_config.reconstructor
    fold_of = _folds if parts.prior or parts.non_local else _bankless_fold
    folds = [fold for camera in cameras for fold in fold_of(model, camera)]
    torch.manual_seed(train.seed)
    learner = PriorRAW(model_config)
    learner.encoder.load_state_dict(model.encoder.state_dict())
    learner.affinity.load_state_dict(model.affinity.state_dict())
    learner.requires_grad_(False)
    learner.light.requires_grad_(True)
    learner.reconstructor.requires_grad_(True)
    learner.to(device)
    weights = torch.tensor([len(fold.crops) ** 0.5 for fold in folds])

    def loss_of(generator: torch.Generator) -> Tensor:
        fold = folds[int(torch.multinomial(weights, 1, generator=generator))]
        return _loss(learner, fold, config, generator, device)

    learning = [p for p in learner.parameters() if p.requires_grad]
    settings: dict[str, Any] = {"stage": "reconstruct", "model": model_config.to_json(), "train": asdict(train)}
    settings |= {"batch": asdict(config), "cameras": [asdict(c.info) for c in cameras]}
    return fit(learner, learning, loss_of, train, out, settings).to("cpu")  # type: ignore[return-value]


def _loss(
    model: PriorRAW, fold: Fold, config: ReconstructConfig, generator: torch.Generator, device: torch.device
) -> Tensor:
    mirror = _below(len(MIRRORS), generator)
    chosen = draw(len(fold.crops), config.batch, generator)
    entries = draw(len(fold.keys), config.entries, generator)

    def batch(tensors: list[Tensor]) -> Tensor:
        return torch.stack(tensors).to(device).float()

    crops = [fold.crops[i] for i in chosen]
    srgb, raw, valid, thumbnail = (
        batch([getattr(crop, name).flip(MIRRORS[mirror]) for crop in crops])
        for name in ("srgb", "raw", "valid", "thumbnail")
    )
    maps = batch([fold.maps[mirror, i] for i in chosen])
    thumbnail_maps = batch([fold.thumbnail_maps[mirror, fold.owner[i]] for i in chosen])
    true_light = batch([crop.light for crop in crops])
    camera = fold.camera.to(device).expand(len(chosen), -1)

    side = MIN_WINDOW + 8 * _below((CROP - MIN_WINDOW) // 8 + 1, generator)
    top, left = (2 * _below((CROP - side) // 2 + 1, generator) for _ in "yx")
    window = thumbnail[..., top : top + side, left : left + side]
    half = thumbnail_maps[..., top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
    light = model.infer_light(window, half[:, :6], half[:, 6:], camera)

    keys, values = fold.keys[entries].to(device), fold.values[:, entries].to(device)
    predicted = model.restore(srgb, model.transform(light, camera), maps, keys, values)
    return reconstruction_loss(predicted.float(), raw, valid, light.float(), true_light)


def _below(limit: int, generator: torch.Generator) -> int:
    """A random number from 0 to `limit` - 1."""
    return int(torch.randint(limit, (1,), generator=generator))


def _folds(model: PriorRAW, camera: Camera) -> list[Fold]:
    """Both halves of a camera's pictures, each looked up in the bank of the other."""
    halves = camera.pictures[0::2], camera.pictures[1::2]
    folds = []
    for own, other in (halves, halves[::-1]):
        # Half the pictures get half the group, so that a group covers the same share of its cluster.
        info = replace(camera.info, G=max(1, camera.info.G // 2))
        bank = build_bank(model, other, info)[0].tensors()
        fold = _empty_fold(own, bank)
        _look_up(model, own, fold)
        folds.append(fold)
    return folds


def _bankless_fold(model: PriorRAW, camera: Camera) -> list[Fold]:
    """For a model that asks no bank: all pictures together, with empty maps and a bank of one."""
    bank = torch.zeros(1, model.config.encoder.dim), torch.zeros(6, 1), torch.tensor([camera.info.camera_vector])
    return [_empty_fold(camera.pictures, bank)]


def _empty_fold(pictures: list[TrainingPicture], bank: tuple[Tensor, Tensor, Tensor]) -> Fold:
    """The pictures in 64x64 crops side by side (a rest at the right and bottom is left out), maps still zero."""
    crops, owner = [], []
    for number, picture in enumerate(pictures):
        for rows, columns in _windows(picture, CROP):
            srgb, raw, valid = (t[:, rows, columns] for t in (picture.srgb, picture.raw, picture.valid))
            crops.append(TrainingPicture(srgb, raw, valid, picture.thumbnail, picture.light))
            owner.append(number)
    side = CROP // 2
    maps = torch.zeros(len(MIRRORS), len(crops), 6, side, side, dtype=torch.float16)
    thumbnail_maps = torch.zeros(len(MIRRORS), len(pictures), 7, side, side, dtype=torch.float16)
    return Fold(crops, owner, maps, thumbnail_maps, *bank)


@torch.no_grad()
def _look_up(model: PriorRAW, pictures: list[TrainingPicture], fold: Fold) -> None:
    """Fill the maps of a fold with what its bank says of the pictures, whole and as thumbnails."""
    for m, axes in enumerate(MIRRORS):
        crop = 0
        for number, picture in enumerate(track(pictures, f"look up, mirror image {m + 1} of {len(MIRRORS)}")):
            thumbnail, srgb = picture.thumbnail.flip(axes)[None], picture.srgb.flip(axes)[None]
            context = model.encoder.context(thumbnail)
            maps, peak = model.lookup(thumbnail, context, fold.keys, fold.values)
            fold.thumbnail_maps[m, number] = torch.cat([maps, peak], 1)[0]
            if picture.srgb.shape != picture.thumbnail.shape:
                maps, _ = model.lookup(srgb, context, fold.keys, fold.values)
            maps = maps[0].flip(axes)  # back to where the crops were cut
            for rows, columns in _windows(picture, CROP // 2):
                fold.maps[m, crop] = maps[:, rows, columns].flip(axes)
                crop += 1


def _windows(picture: TrainingPicture, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a picture's 64x64 crops; with a `side` of 32, of the same crops at half resolution."""
    H, W = picture.srgb.shape[1:]
    for row in range(H // CROP):
        for column in range(W // CROP):
            yield slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
