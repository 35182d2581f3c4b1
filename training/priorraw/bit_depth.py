"""Bit depth: what quantisation took from a picture, and what is known of it still.

Rounding: the low code is the high one without its last bits (`code >> (high - low)`, a floor), as the zero-padding
of the literature assumes. So a low code tells an interval of high codes, and only the position in it is unknown.
"""

from dataclasses import dataclass

import numpy as np

from priorraw.errors import InputError

TASK = "bit-depth"


@dataclass(frozen=True)
class Depths:
    """From how many bits to how many."""

    low: int = 4
    high: int = 8

    def __post_init__(self) -> None:
        """Raises InputError for depths that no picture has."""
        if not 1 <= self.low < self.high <= 16:
            raise InputError(f"{self.low} to {self.high} bits: need 1 <= low < high <= 16")

    @property
    def name(self) -> str:
        """Of the assets that go from the one to the other."""
        return f"{TASK}-{self.low}to{self.high}"

    @property
    def lost(self) -> int:
        """Bits that the low picture lacks."""
        return self.high - self.low

    @property
    def half_interval(self) -> float:
        """From the middle of a low code's interval to its first or last high code, in [0, 1] of full scale."""
        return ((1 << self.lost) - 1) / 2 / self.top

    @property
    def top(self) -> int:
        """The largest high code."""
        return (1 << self.high) - 1

    def lower(self, high: np.ndarray) -> np.ndarray:
        """High codes to low codes: the last bits are dropped."""
        return high >> self.lost

    def zero_padded(self, low: np.ndarray) -> np.ndarray:
        """Low codes to the first high code of their interval."""
        return low << self.lost

    def unit(self, low: np.ndarray) -> np.ndarray:
        """Low codes to float32 in [0, 1], 1 the largest code: what the networks see."""
        return low.astype(np.float32) / np.float32((1 << self.low) - 1)

    def low_codes(self, unit: np.ndarray) -> np.ndarray:
        """Inverse of `unit`."""
        return np.rint(unit * ((1 << self.low) - 1)).astype(np.uint16)

    def high_unit(self, high: np.ndarray) -> np.ndarray:
        """High codes to float32 in [0, 1], 1 the largest code."""
        return high.astype(np.float32) / np.float32(self.top)

    def high_codes(self, unit: np.ndarray) -> np.ndarray:
        """[0, 1] to high codes, rounded to nearest, in the smallest of uint8 and uint16 that holds them."""
        return np.rint(np.clip(unit, 0, 1) * self.top).astype(np.uint8 if self.high <= 8 else np.uint16)

    def reduce(self, codes: np.ndarray) -> np.ndarray:
        """Codes of a picture file, uint8 or uint16, to high codes: last bits dropped.

        Raises:
            InputError: the file has fewer bits than are wanted.
        """
        bits = codes.dtype.itemsize * 8
        if bits < self.high:
            raise InputError(f"has {bits} bits, {self.high} are needed; take pictures of 16 bits")
        return (codes >> (bits - self.high)).astype(np.uint8 if self.high <= 8 else np.uint16)
