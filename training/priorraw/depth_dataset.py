"""Bit-depth datasets on disk, and plain folders of pictures, as pairs of low and high codes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from priorraw.bit_depth import TASK, Depths
from priorraw.dataset import MARKER, read_png
from priorraw.errors import InputError
from priorraw.files import read_json


def padded(codes: np.ndarray, depths: Depths) -> np.ndarray:
    """High codes to the whole range of the file that holds them, zero-padded on the right."""
    bits = 8 if depths.high <= 8 else 16
    return (codes.astype(np.uint16) << (bits - depths.high)).astype(np.uint8 if bits == 8 else np.uint16)


@dataclass(frozen=True)
class DepthDataset:
    """One split of a dataset of `prepare --task bit-depth`; pictures are read when asked for."""

    folder: Path
    split: str
    depths: Depths
    names: list[str]  # sorted

    @classmethod
    def open(cls, folder: Path, split: str) -> "DepthDataset":
        """List the pictures of a split.

        Raises:
            InputError: no such folder, dataset.json missing, damaged or of another task, or an empty split.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; make a dataset with priorraw-edge prepare --task {TASK}")
        meta = read_json(folder / MARKER)
        if meta.get("task") != TASK:
            raise InputError(f"{folder}: is no bit-depth dataset; make one with priorraw-edge prepare --task {TASK}")
        try:
            depths = Depths(int(meta["low_bits"]), int(meta["high_bits"]))
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{folder / MARKER}: does not tell the bits; make the dataset again") from None
        names = sorted(path.stem for path in (folder / split / "high").glob("*.png"))
        if not names:
            raise InputError(f"{folder}: holds no pictures in split {split!r}")
        return cls(folder, split, depths, names)

    def __len__(self) -> int:
        return len(self.names)

    def high(self, i: int) -> np.ndarray:
        """High codes (H, W, 3), uint8 or uint16, of picture `i`; the low ones follow (`Depths.lower`)."""
        path = self.folder / self.split / "high" / f"{self.names[i]}.png"
        codes = read_png(path)
        try:
            return self.depths.reduce(codes)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def high_of(self, i: int, depths: Depths) -> np.ndarray:
        """High codes of picture `i` at `depths.high` bits, last bits dropped.

        Raises:
            InputError: as `high`, or the dataset has fewer bits.
        """
        lost = self.depths.high - depths.high
        if lost < 0:
            raise InputError(f"{self.folder}: has {self.depths.high} bits, {depths.high} are needed; leave it out")
        codes = self.high(i) >> lost
        return codes.astype(np.uint8) if depths.high <= 8 else codes
