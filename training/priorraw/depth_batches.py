"""Training batches for bit-depth recovery: crops of pictures in memory, with their tones changed and quantised anew."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from priorraw.bit_depth import Depths
from priorraw.depth_dataset import DepthDataset
from priorraw.errors import InputError
from priorraw.model import THUMBNAIL
from priorraw.train import below

CHANGED_SHARE = 0.6  # of the crops have their tones changed before they are quantised
GAMMA, TINT, GAIN = 0.2, 0.04, 0.3  # logarithms: standard deviations of the first two, the most of the third
NOISY_SHARE, NOISE = 0.3, 2.5 / 255  # of the crops have noise added, of a standard deviation up to this


@dataclass(frozen=True)
class DeepPicture:
    """High codes (3, H, W) of `bits` bits, as int32."""

    codes: Tensor
    bits: int


def load_deep_pictures(folders: Iterable[Path], split: str, depths: Depths, crop: int) -> list[DeepPicture]:
    """The pictures of a split of several datasets.

    Raises:
        InputError: a dataset cannot be read or has fewer bits than `depths.high`, or a picture holds no crop.
    """
    pictures = []
    for folder in folders:
        dataset = DepthDataset.open(folder, split)
        if dataset.depths.high < depths.high:
            raise InputError(f"{folder}: has {dataset.depths.high} bits, {depths.high} are to be learnt; leave it out")
        for i in range(len(dataset)):
            codes = dataset.high(i)
            H, W = codes.shape[:2]
            if min(H, W) < crop:
                raise InputError(f"{folder}: {dataset.names[i]} is {W}x{H}, the crops are {crop}x{crop}; leave it out")
            planes = np.ascontiguousarray(codes.transpose(2, 0, 1).astype(np.int32))
            pictures.append(DeepPicture(torch.from_numpy(planes), dataset.depths.high))
    return pictures


def thumbnail_of_codes(low: Tensor) -> Tensor:
    """(3, H, W) low picture in [0, 1] to (3, 64, 64), as `pictures.thumbnail_of`."""
    small = cv2.resize(low.permute(1, 2, 0).numpy(), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))


@dataclass(frozen=True)
class Batch:
    """low and high (N, 3, crop, crop) in [0, 1], each over its largest code; thumbnails (N, 3, 64, 64) of the low."""

    low: Tensor
    high: Tensor
    thumbnails: Tensor


@dataclass(frozen=True)
class Batches:
    """Draws batches; the same generator gives the same batch."""

    pictures: list[DeepPicture]
    depths: Depths
    crop: int = 128
    size: int = 4
    thumbnails: bool = True  # off, for networks that do not look at them: they are a tenth of the time

    def draw(self, generator: torch.Generator) -> Batch:
        """A picture is drawn in proportion to the root of its pixels: large ones repeat themselves."""
        chances = torch.tensor([picture.codes[0].numel() ** 0.5 for picture in self.pictures])
        chosen = torch.multinomial(chances, self.size, generator=generator, replacement=True)
        parts = [self._crop(self.pictures[i], generator) for i in chosen.tolist()]
        return Batch(*(torch.stack(part) for part in zip(*parts, strict=True)))

    def _crop(self, picture: DeepPicture, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        crop, depths = self.crop, self.depths
        top, left = (below(side - crop + 1, generator) for side in picture.codes.shape[1:])
        change = _draw_change(picture.bits, generator)
        turns, flips = below(4, generator), [-1] if below(2, generator) else []
        window = picture.codes[:, top : top + crop, left : left + crop].flip(flips).rot90(turns, (1, 2))
        high = (change(window, generator) * (1 << depths.high)).to(torch.int32).clamp(0, depths.top)
        if not self.thumbnails:
            return _low(high, depths), high.float() / depths.top, torch.empty(0)
        few = picture.codes[:, :: max(1, picture.codes.shape[1] // 256), :: max(1, picture.codes.shape[2] // 256)]
        whole = (change(few, generator) * (1 << depths.high)).to(torch.int32).clamp(0, depths.top)
        thumbnail = thumbnail_of_codes(_low(whole, depths)).flip(flips).rot90(turns, (1, 2))
        return _low(high, depths), high.float() / depths.top, thumbnail


def _low(high: Tensor, depths: Depths) -> Tensor:
    return (high >> depths.lost).float() / ((1 << depths.low) - 1)


def _draw_change(bits: int, generator: torch.Generator):
    """A function from codes to [0, 1): unchanged for some crops; else with another gamma, gain and tint, and noise."""
    changed = float(torch.rand(1, generator=generator)) < CHANGED_SHARE
    gamma = torch.exp(GAMMA * torch.randn(1, generator=generator)).item()
    gain = torch.exp(GAIN * torch.rand(1, generator=generator) + TINT * torch.randn(3, generator=generator))
    noise = NOISE * torch.rand(1, generator=generator).item()
    noisy = float(torch.rand(1, generator=generator)) < NOISY_SHARE

    def change(codes: Tensor, generator: torch.Generator) -> Tensor:
        # A code stands for an interval: anywhere in it, so that changed tones leave no gaps between codes.
        x = (codes.float() + torch.rand(codes.shape, generator=generator)) / (1 << bits)
        if not changed and not noisy:
            return codes.float() / (1 << bits)
        if changed:
            x = x**gamma * gain.view(3, 1, 1)
        if noisy:
            x = x + noise * torch.randn(codes.shape, generator=generator)
        return x.clamp(0, 1)

    return change
