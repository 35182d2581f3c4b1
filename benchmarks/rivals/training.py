"""One training loop for every learned row, so that a budget means the same for all."""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from priorraw.checkpoint import step_generator
from priorraw.dataset import mask_of
from priorraw.errors import InputError
from priorraw.losses import paper_loss
from priorraw.pictures import to_tensor
from priorraw.progress import say, track
from priorraw.train import flushed_denormals
from torch import Tensor, nn

from benchmarks.rivals.rival import Budget, Fitting, Shot

CROP = 64
BATCH = 16
WARM_UP = 100  # steps; a tenth of a shorter run. A fresh sigmoid head saturates without
LEARNING_RATE = 1e-3


class Crops:
    """64x64 crops of the training pictures, drawn at random and mirrored left to right half the time."""

    def __init__(self, shots: list[Shot]):
        for shot in shots:
            H, W = shot.raw.shape[:2]
            if min(H, W) < CROP:
                raise InputError(
                    f"training picture {shot.name}: is {W}x{H}, the crops are {CROP}x{CROP}; leave small pictures out"
                )
        self.pictures = [
            (to_tensor(s.srgb), to_tensor(s.raw), to_tensor(mask_of(s.raw)[..., None].astype(np.float32)))
            for s in shots
        ]

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """sRGB (N, 3, 64, 64), raw-RGB (N, 3, 64, 64) and validity (N, 1, 64, 64), 0 or 1."""
        crops: list[list[Tensor]] = []
        for index in torch.randint(len(self.pictures), (BATCH,), generator=generator).tolist():
            H, W = self.pictures[index][0].shape[1:]
            top, left, mirror = (_below(n, generator) for n in (H - CROP + 1, W - CROP + 1, 2))
            window = [t[:, top : top + CROP, left : left + CROP] for t in self.pictures[index]]
            crops.append([t.flip(-1) for t in window] if mirror else window)
        srgb, raw, valid = (torch.stack(kind) for kind in zip(*crops, strict=True))
        return srgb, raw, valid


def picture_loss(predicted: Tensor, raw: Tensor, valid: Tensor) -> Tensor:
    """L1 + 0.2 (1 - SSIM)."""
    return paper_loss(predicted, raw, valid)


@flushed_denormals()
def train(
    network: nn.Module,
    loss_of: Callable[[torch.Generator], Tensor],
    budget: Budget,
    what: str,
    *,
    weight_decay: float = 0.0,
    most_steps: int | None = None,
) -> Fitting:
    """Minimise `loss_of(generator)` by AdamW with warm-up and a cosine to 0 at the end of the budget.

    The cosine follows the share of the budget that is spent, in steps or in minutes of processor time, which a busy
    machine does not shorten. A weight decay of 0 is Adam.

    Raises:
        InputError: the loss stopped being finite.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=weight_decay)
    network.train()
    start = time.process_time()
    losses: list[float] = []
    for step, done in track(_spend(budget, most_steps, start), f"train {what}", total=budget.steps):
        torch.manual_seed(budget.seed * 1_000_003 + step)  # dropout draws from the global generator
        warm_up = WARM_UP if budget.steps is None else min(WARM_UP, max(1, budget.steps // 10))
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * done))
        loss = loss_of(step_generator(budget.seed, step))
        if not torch.isfinite(loss):
            raise InputError(f"{what}: loss is {loss.item()} at step {step}; try another --seed")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    network.eval().requires_grad_(False)
    minutes = (time.process_time() - start) / 60
    say(f"{what}: {len(losses)} steps in {minutes:.1f} minutes, loss {np.mean(losses[-50:]):.5f}")
    return Fitting(len(losses), minutes, losses)


def _spend(budget: Budget, most_steps: int | None, start: float) -> Iterator[tuple[int, float]]:
    """Step numbers with the share of the budget spent before each, below 1; at least one step."""
    step = 0
    while True:
        shares = []
        if budget.steps is not None:
            shares.append(step / budget.steps)
        if budget.minutes is not None:
            shares.append((time.process_time() - start) / (60 * budget.minutes))
        if most_steps is not None:
            shares.append(step / most_steps)
        if max(shares) >= 1 and step:
            return
        yield step, min(1.0, max(shares))
        step += 1


def _below(limit: int, generator: torch.Generator) -> int:
    return int(torch.randint(limit, (1,), generator=generator))
