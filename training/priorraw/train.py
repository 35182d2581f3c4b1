"""The training loop of all stages: one flat loop, deterministic, resumable after a crash, on any number of devices.

python -m priorraw.train search DATASET... -o OUT
torchrun --nproc-per-node 2 -m priorraw.train search DATASET... -o OUT
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from priorraw import distributed
from priorraw.checkpoint import load_checkpoint, save_checkpoint, step_generator
from priorraw.distributed import Part
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
    accumulate: int = 1  # parts that a process computes its share of a batch in, one after the other
    bfloat16: bool = False  # convolutions and products on a CPU; on CUDA they always are


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
    loss_of: Callable[[torch.Generator, Part], Tensor],
    config: TrainConfig,
    out: Path,
    settings: dict[str, Any],
) -> nn.Module:
    """Minimise `loss_of(generator, part)` by AdamW with warm-up and cosine decay; go on from a checkpoint in `out`.

    On CPU a resumed run ends with the bytes of an uninterrupted one; CUDA kernels may differ in the last bits.
    Mixed precision (bfloat16) is used on CUDA, and on a CPU where `config` asks for it.

    Of several processes (`distributed`) each computes its parts of every batch, and the first writes checkpoint and
    log. Their number and `config.accumulate` may change when a run is resumed.

    Args:
        model: what is checkpointed; `parameters` are those of it that learn.
        loss_of: draws a batch with the step's generator and returns the loss of a part of it.
        out: folder for the checkpoint and the TensorBoard log.
        settings: what a checkpoint must agree with to be resumed.

    Returns:
        The model with the running mean of its weights.

    Raises:
        InputError: the loss stopped being finite, the checkpoint belongs to another run, or `out` is no folder.
    """
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.tensorboard import SummaryWriter

    main, count = distributed.rank() == 0, distributed.size() * config.accumulate
    settings = _without_accumulation(settings)
    try:
        if main:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror}); name another folder") from None
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    checkpoint = out / CHECKPOINT
    first = 0
    with distributed.from_first(checkpoint) as found:
        if found:
            first = load_checkpoint(found, model, average, optimizer, settings)
            say(f"{checkpoint}: going on at step {first}")
    device = parameters[0].device
    model.train()
    batch: nn.Module = _Loss(parameters, loss_of)
    if distributed.size() > 1:
        batch = DistributedDataParallel(batch, broadcast_buffers=False)
    writer = SummaryWriter(str(out / "log"), purge_step=first) if main else None
    start = time.monotonic()
    running = 0.0
    for step in track(range(first, config.steps), "train"):
        # Dropout draws from the global generator: other units in each process.
        torch.manual_seed(config.seed * 1_000_003 + step + (distributed.rank() << 40))
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        optimizer.zero_grad()
        loss = torch.zeros((), device=device)
        for i in range(config.accumulate):
            part = Part(distributed.rank() * config.accumulate + i, count)
            last = i + 1 == config.accumulate  # gradients are averaged over the processes once a step
            with (
                nullcontext() if last or not isinstance(batch, DistributedDataParallel) else batch.no_sync(),
                torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16 or device.type == "cuda"),
            ):
                part_loss = batch(step_generator(config.seed, step), part) / config.accumulate
            part_loss.backward()
            loss += part_loss.detach()
        mean_loss = distributed.mean(loss)
        if not math.isfinite(mean_loss):
            raise InputError(f"{out}: loss is {mean_loss} at step {step}; try a lower --learning-rate")
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        optimizer.step()
        decay = min(config.average, (step + 1) / (step + 10))
        for key, value in model.state_dict().items():
            average[key].lerp_(value.detach(), 1 - decay)
        running += mean_loss
        if (step + 1) % config.log_every == 0:
            mean = running / config.log_every
            if writer:
                writer.add_scalar("loss", mean, step + 1)
            if (step + 1) % (config.log_every * 10) == 0:
                rate = (step + 1 - first) / (time.monotonic() - start)
                say(f"step {step + 1}/{config.steps}, loss {mean:.5f}, {rate:.1f} steps/s")
            running = 0.0
        if main and ((step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps):
            save_checkpoint(checkpoint, model, average, optimizer, step + 1, settings)
    if writer:
        writer.close()
    model.load_state_dict(average)
    return model.eval()


class _Loss(nn.Module):
    """The loss of a part of a batch as a module of the parameters that learn: what DistributedDataParallel wraps."""

    def __init__(self, parameters: list[nn.Parameter], loss_of: Callable[[torch.Generator, Part], Tensor]):
        super().__init__()
        self.learning = nn.ParameterList(parameters)
        self._loss_of = loss_of

    def forward(self, generator: torch.Generator, part: Part) -> Tensor:
        return self._loss_of(generator, part)


def _without_accumulation(settings: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint must agree with, but for the parts that a batch is computed in."""
    train = settings.get("train")
    return settings | ({"train": {k: v for k, v in train.items() if k != "accumulate"}} if train else {})


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


if __name__ == "__main__":
    from priorraw.train_command import main

    main()
