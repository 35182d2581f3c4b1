"""Where training starts: the linear part of the reconstructor by least squares, in seconds and without a step."""

import torch

from priorraw.checkpoint import step_generator
from priorraw.depth_batches import Batches
from priorraw.depth_model import DepthReconstructor
from priorraw.progress import track

DRAWS = 150  # batches that the normal equations see
RIDGE = 1e-4  # of the mean square of a feature


@torch.no_grad()
def start_linear(reconstructor: DepthReconstructor, batches: Batches, seed: int, draws: int = DRAWS) -> None:
    """Solve for `linear`, from the contours of training crops to the positions of their values, -1 to 1."""
    features = reconstructor.linear.in_channels + 1
    left = torch.zeros(features, features, dtype=torch.float64)
    right = torch.zeros(features, 3, dtype=torch.float64)
    for draw in track(range(draws), "least squares"):
        batch = batches.draw(step_generator(seed, -1 - draw))
        contours = reconstructor.contours(batch.low)
        contours = torch.cat([contours, torch.ones_like(contours[:, :1])], 1).transpose(0, 1).flatten(1)
        position = (batch.high - reconstructor.middle(batch.low)) / reconstructor.half_interval
        left += (contours @ contours.T).double().cpu()
        right += (contours @ position.transpose(0, 1).flatten(1).T).double().cpu()
    left += RIDGE * left.diagonal().mean() * torch.eye(features, dtype=torch.float64)
    solved = torch.linalg.solve(left, right).float()
    reconstructor.linear.weight.copy_(solved[:-1].T[..., None, None])
    assert reconstructor.linear.bias is not None
    reconstructor.linear.bias.copy_(solved[-1])
