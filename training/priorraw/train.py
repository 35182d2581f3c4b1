"""The training loop of both stages: one flat loop, deterministic, resumable after a crash."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from priorraw.checkpoint import load_checkpoint, save_checkpoint, step_generator
from priorraw.errors import InputError
from priorraw.progress import say, track

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class TrainConfig:
    steps: int
    learning_rate: float = 1e-3
    warm_up: int = 100  # a fresh sigmoid head saturates without
    weight_decay: float = 1e-3
    average: float = 0.998  # running mean of the weights: what is saved at the end
    clip_norm: float = 1.0
    seed: int = 0
    checkpoint_every: int = 500
    log_every: int = 50


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Treat denormals as zero: a sharp softmax is full of them, each a hundred cycles on a CPU."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@flushed_denormals()
def fit(
    model: nn.Module,
    parameters: list[nn.Parameter],
    loss_of: Callable[[torch.Generator], Tensor],
    config: TrainConfig,
    out: Path,
    settings: dict[str, Any],
) -> nn.Module:
    """Minimise `loss_of(generator)` by AdamW with warm-up and cosine decay; go on from a checkpoint in `out`.

    On CPU a resumed run ends with the bytes of an uninterrupted one; CUDA kernels may differ in the last bits.
    Mixed precision (bfloat16) is used on CUDA only.

    Args:
        model: what is checkpointed; `parameters` are those of it that learn.
        loss_of: draws a batch with the step's generator and returns the loss.
        out: folder for the checkpoint and the TensorBoard log.
        settings: what a checkpoint must agree with to be resumed.

    Returns:
        The model with the running mean of its weights.

    Raises:
        InputError: the loss stopped being finite, the checkpoint belongs to another run, or `out` is no folder.
    """
    from torch.utils.tensorboard import SummaryWriter

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror}); name another folder") from None
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    checkpoint = out / CHECKPOINT
    first = 0
    if checkpoint.exists():
        first = load_checkpoint(checkpoint, model, average, optimizer, settings)
        say(f"{checkpoint}: going on at step {first}")
    device = parameters[0].device
    model.train()
    writer = SummaryWriter(str(out / "log"), purge_step=first)
    start = time.monotonic()
    running = 0.0
    for step in track(range(first, config.steps), "train"):
        torch.manual_seed(config.seed * 1_000_003 + step)  # dropout draws from the global generator
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(step_generator(config.seed, step))
        if not torch.isfinite(loss):
            raise InputError(f"{out}: loss is {loss.item()} at step {step}; try a lower --learning-rate")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        optimizer.step()
        decay = min(config.average, (step + 1) / (step + 10))
        for key, value in model.state_dict().items():
            average[key].lerp_(value.detach(), 1 - decay)
        running += loss.item()
        if (step + 1) % config.log_every == 0:
            mean = running / config.log_every
            writer.add_scalar("loss", mean, step + 1)
            if (step + 1) % (config.log_every * 10) == 0:
                rate = (step + 1 - first) / (time.monotonic() - start)
                say(f"step {step + 1}/{config.steps}, loss {mean:.5f}, {rate:.1f} steps/s")
            running = 0.0
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            save_checkpoint(checkpoint, model, average, optimizer, step + 1, settings)
    writer.close()
    model.load_state_dict(average)
    return model.eval()


def _schedule(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine from 1 to 0.01."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def pick_device() -> torch.device:
    """CUDA when present, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def draw(count: int, size: int, generator: torch.Generator) -> list[int]:
    """`size` distinct indices below `count`, or all of them in random order when there are fewer."""
    return torch.randperm(count, generator=generator)[:size].tolist()


def below(limit: int, generator: torch.Generator) -> int:
    """A random number from 0 to `limit` - 1."""
    return int(torch.randint(limit, (1,), generator=generator))
