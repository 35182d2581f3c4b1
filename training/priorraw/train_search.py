"""Stage 1: the encoder learns features that meet exactly where the RAW values agree.

Per step one camera, a batch of target pictures and a batch of other, reference pictures; the affinity between
their features assembles the targets' RAW from the references' RAW; the L2 distance to the true RAW is the loss.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from priorraw import distributed
from priorraw.depth_model import BitDepth, DepthConfig
from priorraw.distributed import Part
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
    model_config: ModelConfig | DepthConfig,
    train: TrainConfig,
    out: Path,
    config: SearchConfig | None = None,
) -> Any:
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
    model = BitDepth(model_config) if isinstance(model_config, DepthConfig) else PriorRAW(model_config)
    model.to(device)
    weights = torch.tensor([len(pictures) ** 0.5 for pictures in cameras])

    def loss_of(generator: torch.Generator, part: Part) -> Tensor:
        pictures = cameras[int(torch.multinomial(weights, 1, generator=generator))]
        chosen = [pictures[i] for i in draw(len(pictures), config.targets + config.references, generator)]
        views = [_draw_view(picture, config.pixels, generator) for picture in chosen]
        # A random split into target and reference half, drawn anew at every step.
        targets = max(1, len(chosen) * config.targets // (config.targets + config.references))
        return _loss(model, views[:targets], views[targets:], part, device)

    learning = [*model.encoder.parameters(), *model.affinity.parameters()]
    settings: dict[str, Any] = {"stage": "search", "model": model_config.to_json()}
    settings |= {"train": asdict(train), "batch": asdict(config), "pictures": [len(p) for p in cameras]}
    return fit(model, learning, loss_of, train, out, settings).to("cpu")


@dataclass(frozen=True)
class View:
    """A crop of a picture: srgb (3, CROP, CROP), thumbnail, and the pixels drawn from it, places and RAW (n, 3)."""

    srgb: Tensor
    thumbnail: Tensor
    drawn: Tensor
    raw: Tensor


def _draw_view(picture: TrainingPicture, pixels: int, generator: torch.Generator) -> View:
    """A random window, mirrored either way, and randomly drawn valid half-resolution pixels of it."""
    top, left = (_even(side - CROP, generator) for side in picture.srgb.shape[1:])
    raw, valid = picture.half_resolution()
    window = (slice(None), slice(top // 2, (top + CROP) // 2), slice(left // 2, (left + CROP) // 2))
    flips = [axis for axis in (1, 2) if torch.rand(1, generator=generator) < 0.5]
    usable = valid[window].flip(flips).flatten().nonzero().squeeze(1)
    drawn = usable[torch.randperm(len(usable), generator=generator)[:pixels]]
    srgb = picture.srgb[:, top : top + CROP, left : left + CROP].flip(flips)
    return View(srgb, picture.thumbnail.flip(flips), drawn, raw[window].flip(flips).flatten(1).T[drawn])


def _loss(
    model: PriorRAW | BitDepth, targets: list[View], references: list[View], part: Part, device: torch.device
) -> Tensor:
    """Of a part of the targets against all references; each process encodes its share of these."""
    own = part.of(targets)
    shares = [Part(r, distributed.size()).of(references, "references") for r in range(distributed.size())]
    encoded = own + shares[distributed.rank()]
    features = _encode(model, encoded, device)
    pixels = sum(len(view.drawn) for view in own)
    counts = [sum(len(view.drawn) for view in share) for share in shares]
    known = distributed.gathered(features[pixels:], counts)
    known_raw = torch.cat([view.raw for share in shares for view in share]).to(device)
    true = torch.cat([view.raw for view in own]).to(device)
    loss = search_loss(model.affinity(features[:pixels], known).float() @ known_raw, true)
    return loss * (pixels * part.count / sum(len(view.drawn) for view in targets))


def _encode(model: PriorRAW | BitDepth, views: list[View], device: torch.device) -> Tensor:
    """(P, d) features of the drawn pixels of all views."""
    area = (CROP // 2) ** 2
    context = model.encoder.context(torch.stack([view.thumbnail for view in views]).to(device))
    features = model.encoder(torch.stack([view.srgb for view in views]).to(device), context)
    return features[torch.cat([view.drawn + i * area for i, view in enumerate(views)]).to(device)]


def _even(limit: int, generator: torch.Generator) -> int:
    """A random even number from 0 to `limit`."""
    return 2 * int(torch.randint(limit // 2 + 1, (1,), generator=generator))
