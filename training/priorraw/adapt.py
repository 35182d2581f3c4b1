"""`bank build --adapt`: the four numbers of a camera that the light reads, fitted on the camera's own files.

The camera vector tells the light the mean and the spread of a camera's lights: where its answer starts and how far it
goes. They need not be the plain mean and standard deviation; those that bring the files' own lights out best, each
looked up in a bank of the others, serve better when the network has not met the camera. Nothing else changes, so the
result is a bank like any other, for every program that was exported.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from priorraw.layers import decode, mix_channels
from priorraw.light import inverse_transform
from priorraw.losses import light_loss
from priorraw.model import PriorRAW
from priorraw.pictures import TrainingPicture

STEPS, RATE, BATCH = 150, 0.05, 64
RIDGE = 0.4  # how strongly the four numbers are held where they were, in files


@dataclass(frozen=True)
class Lookups:
    """Files as the light meets them: thumbnail (N, 3, 64, 64), maps (N, 7, 32, 32) from a bank without the file,
    light (N, 2), power (N, 3) and floor (N,) as in `losses.light_loss`."""

    thumbnail: Tensor
    maps: Tensor
    light: Tensor
    power: Tensor
    floor: Tensor

    def without(self, rows: Tensor) -> "Lookups":
        """Those that `rows` (N,) bool does not mark."""
        return Lookups(*(getattr(self, name)[~rows] for name in Lookups.__annotations__))


@torch.no_grad()
def look_up(model: PriorRAW, picture: TrainingPicture, keys: Tensor, values: Tensor, camera: Tensor) -> Lookups:
    """One picture in a bank (k, d), (6, k), for a camera vector (13,)."""
    thumbnail = picture.thumbnail[None]
    maps = torch.cat(model.lookup(thumbnail, model.encoder.context(thumbnail), keys, values), 1)
    count = picture.valid.sum()
    inverse = inverse_transform(picture.light[None], camera[None, :9])
    base = mix_channels(decode(picture.srgb[None]), inverse)[0].clamp(0, 1)
    power = (picture.raw.square() * picture.valid).sum((1, 2)) / count
    floor = ((base - picture.raw).square() * picture.valid).sum() / (3 * count)
    return Lookups(thumbnail, maps, picture.light[None], power[None], floor[None])


def join(parts: list[Lookups]) -> Lookups:
    return Lookups(*(torch.cat([getattr(part, name) for part in parts]) for name in Lookups.__annotations__))


def adapt(model: PriorRAW, camera: Tensor, files: Lookups, seed: int = 0) -> Tensor:
    """The camera vector (13,) whose mean and spread of lights suit `files` best; the model stays as it is.

    The numbers move in units of the spread and of its logarithm, held by a ridge that counts less the more files
    there are. Deterministic.
    """
    N = len(files.light)
    change = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([change], RATE)
    generator = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        rows = torch.randperm(N, generator=generator)[:BATCH]
        vector = moved(camera, change).expand(len(rows), -1)
        light, log_error = model.light(files.thumbnail[rows], files.maps[rows], vector)
        loss = light_loss(light, log_error, files.light[rows], files.power[rows], files.floor[rows])
        loss = loss + RIDGE / N * change.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return moved(camera, change.detach())


def moved(camera: Tensor, change: Tensor) -> Tensor:
    """The vector (13,) with its mean moved by `change[:2]` spreads and its spread multiplied by exp(`change[2:]`)."""
    mean, spread = camera[9:11], camera[11:13]
    return torch.cat([camera[:9], mean + spread * change[:2], spread * torch.exp(change[2:])])
