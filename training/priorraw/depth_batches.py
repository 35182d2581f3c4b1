"""Training batches for bit-depth recovery: crops of pictures in memory, with their tones changed and quantised anew.

A whole batch is one gather and a few passes, on the device that trains: at a megapixel a batch, a loop over its crops
would take longer than the step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from priorraw.bit_depth import Depths
from priorraw.depth_dataset import DepthDataset
from priorraw.errors import InputError
from priorraw.model import THUMBNAIL
from priorraw.train import pick_device

CHANGED_SHARE = 0.6  # of the crops have their tones changed before they are quantised
GAMMA, TINT, GAIN = 0.2, 0.04, 0.3  # logarithms: standard deviations of the first two, the most of the third
SMOOTH_SHARE, SMOOTH_GRID = 0.15, 16  # of the crops are as smooth as a sky: means of so many pixels a side, joined
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


@dataclass(frozen=True)
class Batch:
    """low and high (N, 3, crop, crop) in [0, 1], each over its largest code; thumbnails (N, 3, 64, 64) of the low."""

    low: Tensor
    high: Tensor
    thumbnails: Tensor


@dataclass(frozen=True)
class Views:
    """What is drawn for each of N crops: its picture, where it lies, how it is turned, what becomes of its tones."""

    picture: Tensor  # (N,)
    place: Tensor  # (N, 2) row and column, in [0, 1) of where a crop may begin
    turn: Tensor  # (N,) 0 to 7: flipped rows, flipped columns, transposed
    changed: Tensor  # (N,) bool, and so are the next two
    smooth: Tensor
    noisy: Tensor
    gamma: Tensor  # (N,)
    gain: Tensor  # (N, 3)
    noise: Tensor  # (N,) standard deviation, in [0, 1] of full scale

    @staticmethod
    def draw(chances: Tensor, count: int, generator: torch.Generator) -> "Views":
        """Pictures are drawn in proportion to `chances`."""

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        return Views(
            torch.multinomial(chances, count, generator=generator, replacement=True),
            uniform(count, 2),
            torch.randint(8, (count,), generator=generator),
            uniform(count) < CHANGED_SHARE,
            uniform(count) < SMOOTH_SHARE,
            uniform(count) < NOISY_SHARE,
            torch.exp(GAMMA * torch.randn(count, generator=generator)),
            torch.exp(GAIN * uniform(count, 1) + TINT * torch.randn(count, 3, generator=generator)),
            NOISE * uniform(count),
        )


class Batches:
    """Draws batches; the same generator gives the same batch on the same kind of device."""

    def __init__(
        self,
        pictures: Sequence[DeepPicture],
        depths: Depths,
        crop: int = 128,
        size: int = 4,
        thumbnails: bool = True,  # off, for networks that do not look at them
    ):
        self.depths, self.crop, self.size, self.thumbnails = depths, crop, size, thumbnails
        self.count, self.device = len(pictures), pick_device()  # of pictures
        sides = torch.tensor([picture.codes.shape[1:] for picture in pictures])
        counts = sides.prod(1)
        # A picture in proportion to the root of its pixels: large ones repeat themselves.
        self._chances = counts.double().sqrt()
        # All pictures as one row of pixels, and where in it each begins.
        self._pixels = torch.cat([picture.codes.flatten(1) for picture in pictures], 1).to(self.device)
        self._starts, self._sides = (counts.cumsum(0) - counts).to(self.device), sides.to(self.device)
        self._levels = torch.tensor([2.0**picture.bits for picture in pictures], device=self.device)

    def draw(self, generator: torch.Generator) -> Batch:
        """Views are drawn by `generator`, on the CPU; noise by one on the device, which it seeds."""
        drawn = Views.draw(self._chances, self.size, generator)
        views = Views(*(value.to(self.device) for value in vars(drawn).values()))
        noise = torch.Generator(self.device).manual_seed(int(torch.randint(1 << 62, (1,), generator=generator)))
        high = self._crops(views, noise)
        thumbnails = self._thumbnails(views, noise) if self.thumbnails else torch.empty(0)
        return Batch(self._low(high), high / self.depths.top, thumbnails)

    def _crops(self, views: Views, noise: torch.Generator) -> Tensor:
        """High codes (N, 3, crop, crop), as floats."""
        y, x = _turned(self.crop, views.turn)
        origin = (views.place * (self._sides[views.picture] - self.crop + 1)).long()[..., None, None]
        light = self._light(views, origin[:, 0] + y, origin[:, 1] + x, noise)
        if bool(views.smooth.any()):
            light[views.smooth] = _smoothed(light[views.smooth])
        return self._codes(views, light, noise)

    def _thumbnails(self, views: Views, noise: torch.Generator) -> Tensor:
        """(N, 3, 64, 64) as `pictures.thumbnail_of` makes of the whole low picture, turned as the crop is."""
        dots = torch.stack(_turned(THUMBNAIL, views.turn), 1) + 0.5
        sides = self._sides[views.picture, :, None, None]
        at = (dots * sides / THUMBNAIL - 0.5).clamp(min=0)
        first = at.long()
        last = torch.minimum(first + 1, sides - 1)
        share = at - first
        corners = []
        for rows, row_share in ((first, 1 - share[:, :1]), (last, share[:, :1])):
            for columns, column_share in ((first, 1 - share[:, 1:]), (last, share[:, 1:])):
                codes = self._codes(views, self._light(views, rows[:, 0], columns[:, 1], noise), noise)
                corners.append(row_share * column_share * self._low(codes))
        return torch.stack(corners).sum(0)

    def _light(self, views: Views, y: Tensor, x: Tensor, noise: torch.Generator) -> Tensor:
        """The pixels at rows and columns (N, h, w), (N, 3, h, w) in [0, 1), before noise."""
        start, width = self._starts[views.picture], self._sides[views.picture, 1]
        codes = self._pixels[:, start[:, None, None] + y * width[:, None, None] + x].transpose(0, 1).float()
        # A code stands for an interval: anywhere in it, so that changed tones leave no gaps between codes.
        touched = (views.changed | views.noisy | views.smooth)[:, None, None, None]
        codes = codes + touched * _random(torch.rand, codes, noise)
        light = codes / self._levels[views.picture][:, None, None, None]
        changed = light ** views.gamma[:, None, None, None] * views.gain[..., None, None]
        return torch.where(views.changed[:, None, None, None], changed, light)

    def _codes(self, views: Views, light: Tensor, noise: torch.Generator) -> Tensor:
        strength = (views.noise * views.noisy)[:, None, None, None]
        noised = light + strength * _random(torch.randn, light, noise)
        return (noised * (1 << self.depths.high)).floor().clamp(0, self.depths.top)

    def _low(self, high: Tensor) -> Tensor:
        return (high / (1 << self.depths.lost)).floor() / ((1 << self.depths.low) - 1)


def _random(source, like: Tensor, generator: torch.Generator) -> Tensor:
    return source(like.shape, generator=generator, device=like.device)


def _turned(side: int, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns (N, side, side) that a square of so many pixels is read at, to be turned."""
    along = torch.arange(side, device=turn.device)
    flip_rows, flip_columns, transpose = ((turn[:, None, None] >> bit & 1).bool() for bit in range(3))
    y, x = along[None, :, None], along[None, None, :]
    rows, columns = torch.where(transpose, x, y), torch.where(transpose, y, x)
    return torch.where(flip_rows, side - 1 - rows, rows), torch.where(flip_columns, side - 1 - columns, columns)


def _smoothed(light: Tensor) -> Tensor:
    """(N, 3, crop, crop): a grid of means, joined by cubics."""
    grid = F.adaptive_avg_pool2d(light, max(2, light.shape[-1] // SMOOTH_GRID))
    return F.interpolate(grid, size=light.shape[-2:], mode="bicubic", align_corners=False)
