"""The two programs of a bundle, traced by torch.export, and their example inputs from a photograph.

`scene` runs once a picture on a thumbnail, `tile` once a tile. The bank is an input of the part that searches it, so
that another camera's bank takes its place without a new export. A task's model says what its parts take.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from priorraw.bank import Bank
from priorraw.bit_depth import TASK as BIT_DEPTH
from priorraw.depth_model import BitDepth
from priorraw.model import THUMBNAIL, PriorRAW
from priorraw.pictures import thumbnail_of, to_tensor
from priorraw.tasks import RAW, Model, run_part
from torch import Tensor, nn

OUTPUTS = {"scene": ("scene",), "tile": ("raw", "reliability")}
UNIT_RANGE = {"thumbnail", "tile", "raw", "reliability"}  # in [0, 1]


class SceneProgram(nn.Module):
    """thumbnail (1, 3, 64, 64) sRGB, bank and camera vector to the scene vector (1, S)."""

    def __init__(self, model: PriorRAW):
        super().__init__()
        self.model = model

    def forward(self, thumbnail: Tensor, keys: Tensor, values: Tensor, camera: Tensor) -> Tensor:
        return self.model.scene(thumbnail, keys, values, camera)


class TileProgram(nn.Module):
    """tile (1, 3, T, T) sRGB and scene vector to raw (1, 3, T, T) and reliability (1, 1, T, T)."""

    def __init__(self, model: PriorRAW):
        super().__init__()
        self.model = model

    def forward(self, tile: Tensor, scene: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.tile(tile, scene)


class ContextProgram(nn.Module):
    """thumbnail (1, 3, 64, 64) of the low picture to the scene vector (1, S)."""

    def __init__(self, model: BitDepth):
        super().__init__()
        self.model = model

    def forward(self, thumbnail: Tensor) -> Tensor:
        return self.model.scene(thumbnail)


class SearchingTileProgram(nn.Module):
    """tile (1, 3, T, T) low picture, scene vector and bank to the high one and reliability (1, 1, T, T)."""

    def __init__(self, model: BitDepth):
        super().__init__()
        self.model = model

    def forward(self, tile: Tensor, scene: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.tile(tile, scene, keys, values)


# One class for each signature: torch.export names a program's inputs after the arguments.
MODULES: dict[str, dict[str, type[nn.Module]]] = {
    RAW: {"scene": SceneProgram, "tile": TileProgram},
    BIT_DEPTH: {"scene": ContextProgram, "tile": SearchingTileProgram},
}


@dataclass(frozen=True)
class Program:
    """A traced program with its example inputs; names in the order of the arguments."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    exported: torch.export.ExportedProgram

    def describe(self) -> dict[str, Any]:
        """The entry of bundle.json, less the file."""

        def entry(name: str, tensor: Tensor) -> dict[str, Any]:
            described: dict[str, Any] = {"name": name, "shape": list(tensor.shape), "dtype": "float32"}
            return described | ({"range": [0, 1]} if name in UNIT_RANGE else {})

        return {
            "inputs": [entry(*item) for item in self.inputs.items()],
            "outputs": [entry(*item) for item in self.outputs.items()],
        }


def bank_tensors(bank: Bank) -> dict[str, Tensor]:
    """The tensors that a bundle ships as its bank: keys (K, d), values (6, K), camera (1, 13)."""
    return {name: tensor.contiguous() for name, tensor in bank.named().items()}


def centre_tile(srgb: np.ndarray, side: int) -> np.ndarray:
    """The central (side, side, 3) of a picture, mirrored outward where the picture is smaller."""
    H, W = srgb.shape[:2]
    top, left = max(0, (H - side) // 2), max(0, (W - side) // 2)
    cut = srgb[top : top + side, left : left + side]
    return np.pad(cut, ((0, side - cut.shape[0]), (0, side - cut.shape[1]), (0, 0)), mode="symmetric")


def picture_inputs(srgb: np.ndarray, tile: int) -> dict[str, Tensor]:
    """thumbnail (1, 3, 64, 64) and tile (1, 3, T, T) of a picture (H, W, 3) in [0, 1]."""
    return {
        "thumbnail": to_tensor(thumbnail_of(srgb))[None].contiguous(),
        "tile": to_tensor(centre_tile(srgb, tile))[None].contiguous(),
    }


@torch.no_grad()
def run_eager(model: Model, bank: dict[str, Tensor], inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The PyTorch model on `picture_inputs`: adds scene, raw and reliability to the inputs and `bank_tensors`."""
    known = bank | inputs
    known["scene"] = run_part(model, "scene", known)
    known["raw"], known["reliability"] = run_part(model, "tile", known)
    return known


@torch.no_grad()
def trace(model: Model, golden: dict[str, Tensor]) -> list[Program]:
    """Both programs through torch.export with the fixed shapes of `golden`, the result of `run_eager`."""
    modules = {name: make(model) for name, make in MODULES[model.task].items()}
    assert golden["thumbnail"].shape[-1] == THUMBNAIL
    programs = []
    for name, module in modules.items():
        inputs = {n: golden[n] for n in model.inputs[name]}
        exported = torch.export.export(module.eval(), tuple(inputs.values()))
        outputs = {n: golden[n] for n in OUTPUTS[name]}
        programs.append(Program(name, module, inputs, outputs, exported))
    return programs
