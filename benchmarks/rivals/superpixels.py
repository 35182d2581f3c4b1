"""Soft superpixels over a grid: where a picture's one sample a cell should lie.

As in Yang et al., "Superpixel Segmentation with Fully Convolutional Networks", 2020: each pixel is shared out between
its own 8x8 cell and the eight around it; a good sharing lets every pixel be rebuilt from the means of its cells.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 8  # one sample in 8x8 pixels: 1.5625 %
NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
OWN = NEIGHBOURS.index((0, 0))
COMPACTNESS = 0.003  # weight of a pixel's distance in position against colour in [0, 1] (the paper's value)


def association(logits: Tensor) -> Tensor:
    """(N, 9, H, W) to weights that sum to 1; cells outside the picture get none. H and W multiples of 8."""
    h, w = (side // CELL for side in logits.shape[2:])
    inside = torch.ones(h, w, device=logits.device)
    reachable = torch.stack([_shift(inside, dy, dx) for dy, dx in NEIGHBOURS])  # (9, h, w)
    return logits.masked_fill(_enlarge(reachable[None]) == 0, -1e4).softmax(1)


def superpixel_loss(weights: Tensor, features: Tensor) -> Tensor:
    """How far pixels lie from what their cells' weighted means rebuild, in features and position.

    Args:
        weights: (N, 9, H, W) from `association`.
        features: (N, C, H, W) colours in [0, 1].
    """
    N, _, H, W = features.shape
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    position = torch.stack([y, x])[None].to(features).expand(N, -1, -1, -1)
    rebuilt = _rebuild(weights, torch.cat([features, position], 1))
    colour = _length(rebuilt[:, :-2] - features)
    return colour + COMPACTNESS / CELL * _length(rebuilt[:, -2:] - position)


def pick(own: Tensor) -> Tensor:
    """Exactly one pixel a cell: the one with the largest association to its own cell, the first among equals.

    Args:
        own: (N, 1, H, W), any H and W; a rest at the right and bottom is a cell of its own.

    Returns:
        (N, h, w) int64 places in the cells, row * 8 + column.
    """
    N, _, H, W = own.shape
    full = F.pad(own, (0, -W % CELL, 0, -H % CELL), value=float("-inf"))
    h, w = (side // CELL for side in full.shape[2:])
    cells = full.view(N, h, CELL, w, CELL).permute(0, 1, 3, 2, 4).reshape(N, h, w, CELL * CELL)
    return cells.argmax(3)


def mask_of_places(places: Tensor, H: int, W: int) -> Tensor:
    """Inverse of `pick`: (N, h, w) places to (N, 1, H, W), 1 at the picked pixels and 0 elsewhere."""
    N, h, w = places.shape
    cells = F.one_hot(places, CELL * CELL).view(N, h, w, CELL, CELL).permute(0, 1, 3, 2, 4)
    return cells.reshape(N, 1, h * CELL, w * CELL)[..., :H, :W].float()


def _rebuild(weights: Tensor, features: Tensor) -> Tensor:
    """Each pixel from the weighted means of the nine cells around it."""
    ones_too = torch.cat([features, torch.ones_like(features[:, :1])], 1)
    # What cell (i, j) gives, cell (i + dy, j + dx) receives; the last channel counts the weights.
    given = [F.avg_pool2d(weights[:, k : k + 1] * ones_too, CELL) for k in range(len(NEIGHBOURS))]
    sums = torch.stack([_shift(g, -dy, -dx) for g, (dy, dx) in zip(given, NEIGHBOURS, strict=True)]).sum(0)
    means = sums[:, :-1] / (sums[:, -1:] + 1e-8)
    parts = [weights[:, k : k + 1] * _enlarge(_shift(means, dy, dx)) for k, (dy, dx) in enumerate(NEIGHBOURS)]
    return torch.stack(parts).sum(0)


def _shift(cells: Tensor, dy: int, dx: int) -> Tensor:
    """result[..., i, j] = cells[..., i + dy, j + dx], 0 outside."""
    h, w = cells.shape[-2:]
    return F.pad(cells, (1, 1, 1, 1))[..., 1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w]


def _enlarge(cells: Tensor) -> Tensor:
    return cells.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)


def _length(difference: Tensor) -> Tensor:
    return (difference.square().sum(1) + 1e-12).sqrt().mean()
