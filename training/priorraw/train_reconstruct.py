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
from priorraw.pictures import TrainingPicture
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
class Sample:
    """A 64x64 crop, its lookup and its whole picture's: maps (6, 32, 32) and peak (1, 32, 32), float16."""

    picture: TrainingPicture  # the crop
    maps: Tensor
    thumbnail_maps: Tensor  # (7, 32, 32): maps and peak


@dataclass(frozen=True)
class Fold:
    """Samples that share a camera and a bank; `samples[m]` is mirror image m of each."""

    samples: list[list[Sample]]
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
    weights = torch.tensor([len(fold.samples[0]) ** 0.5 for fold in folds])

    def loss_of(generator: torch.Generator) -> Tensor:
        fold = folds[int(torch.multinomial(weights, 1, generator=generator))]
        mirror = int(torch.randint(len(MIRRORS), (1,), generator=generator))
        chosen = [fold.samples[mirror][i] for i in draw(len(fold.samples[0]), config.batch, generator)]
        entries = draw(len(fold.keys), config.entries, generator)
        return _loss(learner, fold, chosen, entries, generator, device)

    learning = [p for p in learner.parameters() if p.requires_grad]
    settings: dict[str, Any] = {"stage": "reconstruct", "model": model_config.to_json(), "train": asdict(train)}
    settings |= {"batch": asdict(config), "cameras": [asdict(c.info) for c in cameras]}
    return fit(learner, learning, loss_of, train, out, settings).to("cpu")  # type: ignore[return-value]


def _loss(
    model: PriorRAW,
    fold: Fold,
    samples: list[Sample],
    entries: list[int],
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    def batch(tensors: list[Tensor]) -> Tensor:
        return torch.stack(tensors).to(device).float()

    pictures = [s.picture for s in samples]
    srgb, raw, valid = (batch([getattr(p, k) for p in pictures]) for k in ("srgb", "raw", "valid"))
    thumbnail = batch([p.thumbnail for p in pictures])
    true_light = batch([p.light for p in pictures])
    maps = batch([s.maps for s in samples])
    thumbnail_maps = batch([s.thumbnail_maps for s in samples])
    camera = fold.camera.to(device).expand(len(samples), -1)

    side = MIN_WINDOW + 8 * int(torch.randint((CROP - MIN_WINDOW) // 8 + 1, (1,), generator=generator))
    top, left = (2 * int(torch.randint((CROP - side) // 2 + 1, (1,), generator=generator)) for _ in "yx")
    window = thumbnail[..., top : top + side, left : left + side]
    half = thumbnail_maps[..., top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
    light = model.infer_light(window, half[:, :6], half[:, 6:], camera)

    keys, values = fold.keys[entries].to(device), fold.values[:, entries].to(device)
    predicted = model.restore(srgb, model.transform(light, camera), maps, keys, values)
    return reconstruction_loss(predicted.float(), raw, valid, light.float(), true_light)


def _folds(model: PriorRAW, camera: Camera) -> list[Fold]:
    """Both halves of a camera's pictures, each looked up in the bank of the other."""
    halves = camera.pictures[0::2], camera.pictures[1::2]
    folds = []
    for own, other in (halves, halves[::-1]):
        # Half the pictures get half the group, so that a group covers the same share of its cluster.
        info = replace(camera.info, G=max(1, camera.info.G // 2))
        keys, values, vector = build_bank(model, other, info)[0].tensors()
        samples: list[list[Sample]] = [[] for _ in MIRRORS]
        for picture in track(own, "look up"):
            for m, axes in enumerate(MIRRORS):
                samples[m].extend(_samples(model, _mirror(picture, axes), keys, values))
        folds.append(Fold(samples, keys, values, vector))
    return folds


def _bankless_fold(model: PriorRAW, camera: Camera) -> list[Fold]:
    """For a model that asks no bank: all pictures together, with empty maps and a bank of one."""
    d, side = model.config.encoder.dim, CROP // 2
    nothing = torch.zeros(7, side, side, dtype=torch.float16)
    samples = [
        [Sample(crop, nothing[:6], nothing) for p in camera.pictures for crop, _ in _crops(_mirror(p, axes))]
        for axes in MIRRORS
    ]
    return [Fold(samples, torch.zeros(1, d), torch.zeros(6, 1), torch.tensor([camera.info.camera_vector]))]


def _mirror(picture: TrainingPicture, axes: list[int]) -> TrainingPicture:
    srgb, raw, valid, thumbnail = (
        tensor.flip(axes) for tensor in (picture.srgb, picture.raw, picture.valid, picture.thumbnail)
    )
    return TrainingPicture(srgb, raw, valid, thumbnail, picture.light)


def _crops(picture: TrainingPicture) -> Iterator[tuple[TrainingPicture, tuple[slice, slice]]]:
    """64x64 crops side by side (a rest at the right and bottom is left out), and where each lies at half resolution."""
    H, W = picture.srgb.shape[1:]
    for top in range(0, H - CROP + 1, CROP):
        for left in range(0, W - CROP + 1, CROP):
            srgb, raw, valid = (
                tensor[:, top : top + CROP, left : left + CROP] for tensor in (picture.srgb, picture.raw, picture.valid)
            )
            window = slice(top // 2, (top + CROP) // 2), slice(left // 2, (left + CROP) // 2)
            yield TrainingPicture(srgb, raw, valid, picture.thumbnail, picture.light), window


@torch.no_grad()
def _samples(model: PriorRAW, picture: TrainingPicture, keys: Tensor, values: Tensor) -> list[Sample]:
    """The crops of a picture with what the bank says of them."""
    context = model.encoder.context(picture.thumbnail[None])

    def look_up(srgb: Tensor) -> Tensor:
        return torch.cat(model.lookup(srgb[None], context, keys, values), 1)[0].half()

    thumbnail_maps = look_up(picture.thumbnail)
    maps = thumbnail_maps if picture.srgb.shape[1:] == (CROP, CROP) else look_up(picture.srgb)
    return [Sample(crop, maps[:6, rows, columns], thumbnail_maps) for crop, (rows, columns) in _crops(picture)]
