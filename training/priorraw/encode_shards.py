"""Datasets to shards of encoded reference pixels, on one machine or many; what is there already is kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from priorraw.dataset import PairDataset
from priorraw.errors import InputError
from priorraw.files import read_json, write_json
from priorraw.model import PriorRAW
from priorraw.pictures import light_of, picture_of
from priorraw.progress import track
from priorraw.shards import Shards, encode_picture
from priorraw.spread import Spread, Threads

MARKER = "shards.json"
PICTURES = 8  # of a task: what a worker does again when it dies


@dataclass(frozen=True)
class References:
    """The train splits of datasets of one camera; no picture is in memory."""

    camera: str
    color_matrix: np.ndarray
    datasets: list[PairDataset]

    @staticmethod
    def open(folders: Iterable[Path]) -> "References":
        """Raises InputError where a dataset cannot be read, or they are of several cameras."""
        datasets = [PairDataset.open(folder, "train") for folder in folders]
        cameras = list(dict.fromkeys(dataset.camera for dataset in datasets))
        if len(cameras) > 1:
            raise InputError(f"a bank is for one camera; these datasets hold {', '.join(cameras)}")
        first = datasets[0]
        for dataset in datasets:
            if not np.allclose(dataset.color_matrix, first.color_matrix):
                raise InputError(f"{dataset.folder}: another colour matrix than in {first.folder}")
        return References(first.camera, first.color_matrix, datasets)

    def pictures(self) -> list[tuple[int, int]]:
        """(dataset, place in it) of every picture."""
        return [(d, i) for d, dataset in enumerate(self.datasets) for i in range(len(dataset))]

    def lights(self) -> Tensor:
        """(N, 2) of all pictures."""
        return torch.stack([light_of(self.datasets[d].illuminant(i)) for d, i in self.pictures()])


def encode(encoder: Path, encoder_sha256: str, references: References, folder: Path, spread: Spread) -> Shards:
    """Encode all pictures into shards of `folder`, or go on with those that an earlier run left there.

    Raises:
        InputError: `folder` holds other shards, a picture cannot be read, or no picture holds a valid pixel.
    """
    names = [[str(d.folder.resolve()), *d.names] for d in references.datasets]
    said = {"encoder_sha256": encoder_sha256, "pictures": names}
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MARKER).exists():
        if read_json(folder / MARKER) != said:
            raise InputError(f"{folder}: holds shards of other pictures or another encoder; name another --scratch")
    elif any(folder.iterdir()):
        raise InputError(f"{folder}: not empty and holds no {MARKER}; name another --scratch")
    else:
        write_json(folder / MARKER, said)
    pictures = references.pictures()
    tasks = [
        [(names[d][0], i, n) for n, (d, i) in enumerate(pictures)][start : start + PICTURES]
        for start in range(0, len(pictures), PICTURES)
    ]
    alone = isinstance(spread, Threads)  # one picture then has all cores
    parts = (
        map(_encode, tasks, *([value] * len(tasks) for value in (encoder, folder)))
        if alone
        else spread(_encode, tasks, encoder, folder)
    )
    paths = [path for part in track(parts, "encode references", total=len(tasks)) for path in part]
    shards = Shards(paths)
    if shards.total == 0:
        raise InputError("the reference pictures hold no valid pixel; give others")
    return shards


def _encode(task: Sequence[tuple[str, int, int]], encoder: Path, folder: Path) -> list[Path]:
    paths = []
    for dataset, place, number in task:
        picture = picture_of(_dataset(dataset), place)
        paths += encode_picture(_model(encoder), picture, number, folder)
    return paths


@lru_cache(maxsize=8)
def _dataset(folder: str) -> PairDataset:
    return PairDataset.open(Path(folder), "train")


@lru_cache(maxsize=1)
def _model(encoder: Path) -> PriorRAW:
    from priorraw.assets import load_model

    return load_model([encoder])
