"""What parity is proved on: photographs, some with the RAW behind them known, and tiles at the edge of the range."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from priorraw.pictures import to_tensor
from priorraw.tasks import RAW, Model
from torch import Tensor

from priorraw_edge.export.calibration import evenly
from priorraw_edge.export.golden import picture_files
from priorraw_edge.export.programs import centre_tile, picture_inputs

MOST_PICTURES = 16  # of a folder, evenly drawn: minutes of Core ML's interpreter


@dataclass(frozen=True)
class Case:
    """Inputs of both programs; `truth` (1, 3, T, T) is the raw-RGB behind the tile where it is known."""

    name: str
    inputs: dict[str, Tensor]  # thumbnail (1, 3, 64, 64) and tile (1, 3, T, T)
    truth: Tensor | None = None
    photograph: bool = True


def as_seen(case: Case, model: Model) -> Case:
    """The case as the model's task has it: in bit-depth recovery the picture itself is what its low codes hide."""
    if model.task == RAW:
        return case
    truth = case.inputs["tile"] if case.photograph else None
    return replace(case, inputs={name: model.see(tensor) for name, tensor in case.inputs.items()}, truth=truth)


def photograph_case(name: str, srgb: np.ndarray, tile: int, raw: np.ndarray | None = None) -> Case:
    """The central tile of a picture (H, W, 3) float32 in [0, 1], with its raw-RGB where that is known."""
    truth = None if raw is None else to_tensor(centre_tile(raw, tile))[None]
    return Case(name, picture_inputs(srgb, tile), truth)


def edge_cases(tile: int) -> list[Case]:
    """A constant grey, black, a saturated and a noisy tile, each in a picture of its own kind."""
    noise = np.random.default_rng(0).random((tile, tile, 3), np.float32)
    saturated = np.ones((tile, tile, 3), np.float32)
    saturated[..., 2] = noise[..., 2] > 0.5  # clipped above in two channels, above or below in the third
    tiles = {"grey": np.full_like(noise, 0.5), "black": np.zeros_like(noise), "saturated": saturated, "noise": noise}
    return [Case(f"edge: {name}", picture_inputs(srgb, tile), photograph=False) for name, srgb in tiles.items()]


def folder_cases(folder: Path, tile: int) -> list[Case]:
    """Pictures of a folder; of a pair dataset those of its test split, whose RAW is known.

    Raises:
        InputError: the folder holds no picture, or one cannot be read.
    """
    from priorraw.dataset import PairDataset

    from priorraw_edge.runtime.picture import read_picture

    if (folder / "dataset.json").is_file():
        dataset = PairDataset.open(folder, "test")
        pairs = {dataset.names[i]: dataset.pair(i) for i in evenly(len(dataset), MOST_PICTURES)}
        return [photograph_case(name, srgb, tile, raw) for name, (raw, srgb) in pairs.items()]
    paths = picture_files(folder)
    return [
        photograph_case(paths[i].name, read_picture(paths[i]).srgb, tile) for i in evenly(len(paths), MOST_PICTURES)
    ]
