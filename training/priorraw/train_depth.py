"""Bit depth, stage 3: the reconstructor learns where in its interval each value lay, in the loop of the RAW task."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from priorraw.bank import Bank
from priorraw.depth_batches import Batch, Batches
from priorraw.depth_model import BitDepth, DepthConfig
from priorraw.depth_start import start_linear
from priorraw.distributed import Part
from priorraw.losses import reconstruction_loss
from priorraw.train import CHECKPOINT, TrainConfig, fit, pick_device

FLOOR = 3e-5  # mean squared error below which a crop hardly teaches: it adds little to its picture's

# A batch to the high pictures (N, 3, H, W) and the logarithm of their expected error (N, 1, H, W).
Restore = Callable[[Batch], tuple[Tensor, Tensor]]


def train_depth(
    model: BitDepth | None,
    bank: Bank | None,
    config: DepthConfig,
    batches: Batches,
    train: TrainConfig,
    out: Path,
    start: dict[str, Tensor] | None = None,
) -> BitDepth:
    """Train the reconstructor; with a prior, encoder and bank stay as they are. See `fit` for resume.

    Args:
        model: whose encoder and affinity searches the bank; None without prior.
        start: weights to go on from, by their names in the reconstructor; what it lacks begins anew. Without, the
            linear part is solved for first.
    """
    torch.manual_seed(train.seed)
    device = pick_device()
    learner = BitDepth(config).requires_grad_(False).to(device)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
    if model is not None:
        learner.encoder.load_state_dict(model.encoder.state_dict())
        learner.affinity.load_state_dict(model.affinity.state_dict())
    if start is not None:
        learner.reconstructor.load_state_dict(start, strict=False)
    elif not (out / CHECKPOINT).exists():
        start_linear(learner.reconstructor, batches, train.seed)
    learner.reconstructor.requires_grad_(True)
    tensors = {} if bank is None else {name: t.to(device) for name, t in bank.named().items()}

    def restore(batch: Batch) -> tuple[Tensor, Tensor]:
        maps = None
        if bank is not None:
            with torch.no_grad():
                context = learner.scene(batch.thumbnails)
                maps = learner.lookup(batch.low, context, tensors["keys"], tensors["values"])
        return learner.reconstructor(batch.low, maps)

    settings = {"stage": "reconstruct", "model": config.to_json()}
    fit_restorer(learner, list(learner.reconstructor.parameters()), restore, batches, train, out, settings)
    return learner


def fit_restorer(
    model: nn.Module,
    learning: list[nn.Parameter],
    restore: Restore,
    batches: Batches,
    train: TrainConfig,
    out: Path,
    settings: dict[str, Any],
) -> nn.Module:
    """Train any network that restores batches; `settings` are what makes this run another than its like."""
    device = pick_device()
    model.to(device)

    def loss_of(generator: torch.Generator, part: Part) -> Tensor:
        drawn = batches.draw(generator)
        own = part.of(list(range(batches.size)))
        batch = Batch(*(t[own] if len(t.shape) > 3 else t for t in vars(drawn).values()))
        predicted, log_error = restore(batch)
        valid = torch.ones_like(batch.high[:, :1])
        loss = reconstruction_loss(predicted.float(), log_error.float(), batch.high, valid, FLOOR)
        return loss * (len(own) * part.count / batches.size)

    settings = settings | {"train": asdict(train), "depths": asdict(batches.depths)}
    settings |= {"crop": batches.crop, "batch": batches.size, "pictures": batches.count}
    return fit(model, learning, loss_of, train, out, settings).to("cpu")
