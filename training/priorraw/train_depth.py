"""Bit depth, stage 3: the reconstructor learns where in its interval each value lay, in the loop of the RAW task."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from priorraw.bank import Bank
from priorraw.depth_batches import Batch, Batches
from priorraw.depth_model import BitDepth, DepthConfig, DepthReconstructor
from priorraw.depth_start import start_linear
from priorraw.distributed import Part
from priorraw.losses import reconstruction_loss
from priorraw.train import CHECKPOINT, TrainConfig, fit, pick_device
from priorraw.turns import TURNS, turned, turned_back

TEACHER_SHARE = 0.6  # of what a value is moved to, where a teacher tells what it expects there
FLOOR = 3e-5  # mean squared error below which a crop hardly teaches: it adds little to its picture's

# A batch to the high pictures (N, 3, H, W) and the logarithm of their expected error (N, 1, H, W).
Restore = Callable[[Batch], tuple[Tensor, Tensor]]
Expect = Callable[[Batch], Tensor]  # a batch to what a teacher takes its high pictures for


def train_depth(
    model: BitDepth | None,
    bank: Bank | None,
    config: DepthConfig,
    batches: Batches,
    train: TrainConfig,
    out: Path,
    start: dict[str, Tensor] | None = None,
    teacher: dict[str, Tensor] | None = None,
) -> BitDepth:
    """Train the reconstructor; with a prior, encoder and bank stay as they are. See `fit` for resume.

    Args:
        model: whose encoder and affinity searches the bank; None without prior.
        start: weights to go on from, by their names in the reconstructor; what it lacks begins anew. Without, the
            linear part is solved for first.
        teacher: weights whose self-ensemble (`turns`) is learnt from beside the truth. Most of what the truth says is
            chance, that no network can know; what another network expects has none of it, and a small batch will do.
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

    @torch.no_grad()
    def maps_of(batch: Batch) -> Tensor | None:
        if bank is None:
            return None
        return learner.lookup(batch.low, learner.scene(batch.thumbnails), tensors["keys"], tensors["values"])

    def restore(batch: Batch) -> tuple[Tensor, Tensor]:
        return learner.reconstructor(batch.low, maps_of(batch))

    expect: Expect | None = None
    settings: dict[str, Any] = {"stage": "reconstruct", "model": config.to_json()}
    if teacher is not None:
        fixed = DepthReconstructor(config.reconstructor).requires_grad_(False)
        fixed.load_state_dict(teacher)
        fixed.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        settings["teacher"] = TEACHER_SHARE

        def of_teacher(batch: Batch) -> Tensor:
            return seen_turned(fixed, batch.low, maps_of(batch))

        expect = of_teacher
    fit_restorer(learner, list(learner.reconstructor.parameters()), restore, batches, train, out, settings, expect)
    return learner


@torch.no_grad()
def seen_turned(reconstructor: DepthReconstructor, low: Tensor, maps: Tensor | None) -> Tensor:
    """The high pictures that a reconstructor tells of a turned view, another at each call; over many: the mean of all.

    The turn is drawn by torch's generator, which `fit` seeds at each step.
    """
    turn = TURNS[int(torch.randint(len(TURNS), ()))]
    high, _ = reconstructor(turned(low, turn), None if maps is None else turned(maps, turn))
    return reconstructor.inside(low, turned_back(high.float(), turn))


def fit_restorer(
    model: nn.Module,
    learning: list[nn.Parameter],
    restore: Restore,
    batches: Batches,
    train: TrainConfig,
    out: Path,
    settings: dict[str, Any],
    expect: Expect | None = None,
) -> nn.Module:
    """Train any network that restores batches; `settings` are what makes this run another than its like.

    With `expect` a value is moved to `TEACHER_SHARE` of what that tells and the rest of the truth.
    """
    device = pick_device()
    model.to(device)

    def loss_of(generator: torch.Generator, part: Part) -> Tensor:
        drawn = batches.draw(generator)
        own = part.of(list(range(batches.size)))
        batch = Batch(*(t[own] if len(t.shape) > 3 else t for t in vars(drawn).values()))
        predicted, log_error = restore(batch)
        valid = torch.ones_like(batch.high[:, :1])
        target = None if expect is None else torch.lerp(batch.high, expect(batch), TEACHER_SHARE)
        loss = reconstruction_loss(predicted.float(), log_error.float(), batch.high, valid, FLOOR, target)
        return loss * (len(own) * part.count / batches.size)

    settings = settings | {"train": asdict(train), "depths": asdict(batches.depths)}
    settings |= {"crop": batches.crop, "batch": batches.size, "pictures": batches.count}
    return fit(model, learning, loss_of, train, out, settings).to("cpu")
