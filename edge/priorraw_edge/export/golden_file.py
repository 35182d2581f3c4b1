"""What a bundle carries for a self-test on the device: a photograph's patch, and PyTorch's outputs, few enough to ship.

    thumbnail    (1, 3, 64, 64) float32
    patch        (1, 3, P, P) uint8, P the tile's side or 192: the tile repeats it, codes / 255
    scene        (1, S) float32
    raw          (1, 3, n, n) float32: every seventh row and column of the tile, from the fourth
    reliability  (1, 1, n, n) float32, likewise

Seven shares no factor with the strides of the network: all their phases are among the samples.
"""

import numpy as np
import torch
from priorraw.tasks import Model
from torch import Tensor

from priorraw_edge.export.programs import picture_inputs

GOLDEN_TENSORS = ("thumbnail", "patch", "scene", "raw", "reliability")
PATCH = 192
FIRST, STEP = 3, 7


def golden_inputs(srgb: np.ndarray, side: int, model: Model) -> dict[str, Tensor]:
    """thumbnail and patch of a picture (H, W, 3) in [0, 1] as a model sees it, for tiles of `side` pixels."""
    inputs = picture_inputs(srgb, min(side, PATCH))
    codes = (model.see(inputs["tile"]) * 255).round().to(torch.uint8)
    return {"thumbnail": model.see(inputs["thumbnail"]), "patch": codes}


def program_inputs(golden: dict[str, Tensor], side: int) -> dict[str, Tensor]:
    """thumbnail and tile (1, 3, side, side), as the programs take them."""
    times = -(-side // golden["patch"].shape[-1])
    tile = golden["patch"].repeat(1, 1, times, times)[..., :side, :side].float() / 255
    return {"thumbnail": golden["thumbnail"], "tile": tile.contiguous()}


def golden_outputs(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """scene, and the samples of raw and reliability."""
    samples = {name: outputs[name][..., FIRST::STEP, FIRST::STEP].contiguous() for name in ("raw", "reliability")}
    return {"scene": outputs["scene"], **samples}
