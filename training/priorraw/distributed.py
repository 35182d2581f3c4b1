"""Training in several processes, started by torchrun: who this one is, its part of a batch, what only the first does.

Every process draws what a step's whole batch draws, with the same generator, and loads, renders and encodes its own
part alone. Gradients are averaged by DistributedDataParallel. So the same batches are learned from, and the same
losses logged, whatever the number of processes; only the order of sums differs.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from priorraw.errors import InputError
from priorraw.progress import silent

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # for another process: the first one may build a bank meanwhile


@dataclass(frozen=True)
class Part:
    """Part `index` of `count` of a step's batch. The mean of the parts' losses is to be the loss of the whole."""

    index: int = 0
    count: int = 1

    def of(self, items: Sequence[T], what: str = "pictures") -> list[T]:
        """This part's items.

        Raises:
            InputError: there are fewer items than parts.
        """
        if self.count > len(items):
            raise InputError(
                f"a batch of {len(items)} {what} cannot be shared by {self.count} processes and accumulation steps; "
                "take fewer, or a larger batch"
            )
        return list(items[self.index :: self.count])


WHOLE = Part()


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def processes() -> Iterator[None]:
    """Join the other processes where torchrun has started this one; all but the first are silent.

    NCCL between CUDA devices, one a process; gloo between CPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        if rank() == 0:
            yield
        else:
            with silent():
                yield
    finally:
        dist.destroy_process_group()


def mean(value: Tensor) -> float:
    """Mean over all processes of a number that each has."""
    if size() == 1:
        return value.item()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total.item() / size()


def gathered(features: Tensor, counts: Sequence[int]) -> Tensor:
    """Rows of all processes one below the other, (sum of counts, d); `counts[r]` are those of process r.

    Gradients go back to the process that a row came from.
    """
    if size() == 1:
        return features
    padded = features.new_zeros(max(counts), features.shape[1])
    padded = torch.cat([features, padded[len(features) :]])
    parts = _Gather.apply(padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


class _Gather(torch.autograd.Function):
    """(n, d) of each process to (processes, n, d) in all of them."""

    @staticmethod
    def forward(ctx, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(size())]
        dist.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total[rank()]


@contextmanager
def from_first(path: Path) -> Iterator[Path | None]:
    """A file of the first process as a file of this one, or None where the first has none."""
    if size() == 1:
        yield path if path.exists() else None
        return
    device = torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
    data = path.read_bytes() if rank() == 0 and path.exists() else b""
    length = torch.tensor([len(data)], device=device)
    dist.broadcast(length, 0)
    if not int(length):
        yield None
        return
    held = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(device) if data else None
    sent = torch.empty(int(length), dtype=torch.uint8, device=device) if held is None else held
    dist.broadcast(sent, 0)
    if rank() == 0:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(sent.cpu().numpy().tobytes())
        yield copy
