"""Stage 1: the encoder learns features that meet exactly where the RAW values agree.

Per step one camera, a batch of target pictures and a batch of other, reference pictures; the affinity between
their features assembles the targets' RAW from the references' RAW; the L2 distance to the true RAW is the loss.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from priorraw.losses import search_loss
from priorraw.model import ModelConfig, PriorRAW
from priorraw.pictures import TrainingPicture, check_trainable
from priorraw.train import TrainConfig, draw, fit, pick_device

CROP = 64


@dataclass(frozen=True)
class SearchConfig:
    targets: int = 8  # pictures a step
    references: int = 16
    pixels: int = 256  # half-resolution pixels drawn from each picture


def train_search(
    cameras: list[list[TrainingPicture]],
    model_config: ModelConfig,
    train: TrainConfig,
    out: Path,
    config: SearchConfig | None = None,
) -> PriorRAW:
    """Train encoder and affinity on the pictures of one or more cameras; see `fit` for resume.

    Args:
        cameras: the training pictures of each camera. A camera is drawn in proportion to the root of its
            number of pictures, so that large sets do not drown small ones.
    """
    config = config or SearchConfig()
    for pictures in cameras:
        check_trainable(pictures, CROP)
    device = pick_device()
    torch.manual_seed(train.seed)
    model = PriorRAW(model_config).to(device)
    weights = torch.tensor([len(pictures) ** 0.5 for pictures in cameras])

    def loss_of(generator: torch.Generator) -> Tensor:
        pictures = cameras[int(torch.multinomial(weights, 1, generator=generator))]
        chosen = [pictures[i] for i in draw(len(pictures), config.targets + config.references, generator)]
        # A random split into target and reference half, drawn anew at every step.
        targets = max(1, len(chosen) * config.targets // (config.targets + config.references))
        features, raw, owner = _encode(model, chosen, config.pixels, generator, device)
        is_target = owner < targets
        affinity = model.affinity(features[is_target], features[~is_target])
        return search_loss(affinity.float() @ raw[~is_target], raw[is_target])

    learning = [*model.encoder.parameters(), *model.affinity.parameters()]
    settings: dict[str, Any] = {"stage": "search", "model": model_config.to_json()}
    settings |= {"train": asdict(train), "batch": asdict(config), "pictures": [len(p) for p in cameras]}
    return fit(model, learning, loss_of, train, out, settings).to("cpu")  # type: ignore[return-value]


def _encode(
    model: PriorRAW,
    pictures: list[TrainingPicture],
    pixels: int,
    generator: torch.Generator,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """Features (P, d), RAW (P, 3) and picture number (P,) of randomly drawn valid pixels of each picture."""
    srgb, thumbnails, raws, rows, owners = [], [], [], [], []
    area = (CROP // 2) ** 2
    for i, picture in enumerate(pictures):
        top, left = (_even(side - CROP, generator) for side in picture.srgb.shape[1:])
        raw, valid = picture.half_resolution()
        window = (slice(None), slice(top // 2, (top + CROP) // 2), slice(left // 2, (left + CROP) // 2))
        flips = [axis for axis in (1, 2) if torch.rand(1, generator=generator) < 0.5]
        srgb.append(picture.srgb[:, top : top + CROP, left : left + CROP].flip(flips))
        thumbnails.append(picture.thumbnail.flip(flips))
        usable = valid[window].flip(flips).flatten().nonzero().squeeze(1)
        drawn = usable[torch.randperm(len(usable), generator=generator)[:pixels]]
        raws.append(raw[window].flip(flips).flatten(1).T[drawn])
        rows.append(drawn + i * area)
        owners.append(torch.full((len(drawn),), i))
    context = model.encoder.context(torch.stack(thumbnails).to(device))
    features = model.encoder(torch.stack(srgb).to(device), context)
    return features[torch.cat(rows).to(device)], torch.cat(raws).to(device), torch.cat(owners).to(device)


def _even(limit: int, generator: torch.Generator) -> int:
    """A random even number from 0 to `limit`."""
    return 2 * int(torch.randint(limit // 2 + 1, (1,), generator=generator))
