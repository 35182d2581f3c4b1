"""Several views of a scene: what a bank of few files is made from.

The scene part looks pictures up as thumbnails of 64x64, so a file would give the bank 1,024 pixels. The same scene
seen through smaller windows and mirrored gives more, all under the light that is known.
"""

from collections.abc import Iterator

import cv2
import torch
from torch import Tensor

from priorraw.model import THUMBNAIL
from priorraw.pictures import TrainingPicture

# Share of the sides, and where the window lies in what is left over (top, left).
WINDOWS = ((1.0, 0, 0), (0.8, 0, 0), (0.8, 1, 1), (0.6, 0, 1), (0.6, 1, 0), (0.6, 0, 0), (0.6, 1, 1))
MOST_VIEWS = 2 * len(WINDOWS)


def views(picture: TrainingPicture, count: int) -> Iterator[TrainingPicture]:
    """Up to `count` views of 64x64, the whole scene first, each followed by its mirror image.

    Windows smaller than a thumbnail show nothing new and are left out, so a picture of 64x64 has two views.
    """
    H, W = picture.srgb.shape[1:]
    for share, top, left in WINDOWS[: -(-count // 2)]:
        h, w = (round(side * share) for side in (H, W))
        if share < 1 and min(h, w) < THUMBNAIL:
            continue
        y, x = top * (H - h), left * (W - w)
        srgb, raw, valid = (_squeeze(t[:, y : y + h, x : x + w]) for t in (picture.srgb, picture.raw, picture.valid))
        valid = (valid == 1).float()  # a pixel that takes in any masked one is masked
        thumbnail = picture.thumbnail if share == 1 else srgb
        for flips in ([], [-1])[: 1 if count == 1 else 2]:
            seen = [t.flip(flips) for t in (srgb, raw, valid, thumbnail)]
            yield TrainingPicture(seen[0], seen[1], seen[2], seen[3], picture.light)


def _squeeze(part: Tensor) -> Tensor:
    """(C, h, w) to (C, 64, 64) by plain bilinear sampling, as `pictures.thumbnail_of`."""
    if part.shape[1:] == (THUMBNAIL, THUMBNAIL):
        return part
    size = (THUMBNAIL, THUMBNAIL)
    planes = [cv2.resize(plane.numpy(), size, interpolation=cv2.INTER_LINEAR) for plane in part.contiguous()]
    return torch.stack([torch.from_numpy(plane) for plane in planes])
