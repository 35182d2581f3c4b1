"""What every row of the comparison implements, and what it is given."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Shot:
    """One picture as the camera has it.

    srgb and raw are (H, W, 3) float32 in [0, 1], display-referred and linear raw-RGB; raw is 0 in all channels
    where masked. illuminant (3,) is the sensor's response to white.
    """

    name: str
    srgb: np.ndarray
    raw: np.ndarray
    illuminant: np.ndarray


@dataclass(frozen=True)
class Budget:
    """How long a learned row may train: minutes of processor time, or steps, which makes it repeatable."""

    minutes: float | None = None
    steps: int | None = None
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps is not None else f"{self.minutes:g} processor minutes"


@dataclass(frozen=True)
class Fitting:
    """What training came to. `steps` is 0 for closed forms; `losses` holds one value a step."""

    steps: int = 0
    minutes: float = 0.0
    losses: list[float] = field(default_factory=list)


class Rival:
    """A row. The camera calls `record`; whoever wants the RAW back has the sRGB picture and those bytes."""

    paper: ClassVar[str]  # one line: what it is and where it comes from
    learned: ClassVar[bool] = False  # trains by steps, within the budget
    blind: ClassVar[bool] = True  # needs nothing of the camera but the sRGB picture

    def __init__(self, color_matrix: np.ndarray):
        self.color_matrix = color_matrix  # (3, 3) XYZ (D65) to camera; only rows that know the rendering use it

    def fit(self, shots: list[Shot], budget: Budget) -> Fitting:
        """Learn from the training pictures of the camera."""
        return Fitting()

    def record(self, shot: Shot) -> bytes:
        """What the camera stores with the picture: always `metadata_bytes` long."""
        return b""

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        """Linear raw-RGB (H, W, 3) float32 in [0, 1] from sRGB (H, W, 3) float32 in [0, 1] and the metadata."""
        raise NotImplementedError

    def parameters(self) -> int:
        """Numbers that are learned or fitted from the training pictures."""
        return 0

    def metadata_bytes(self, H: int, W: int) -> int:
        """Length of what `record` stores for a picture of H rows and W columns."""
        return 0

    def camera_flops(self, H: int, W: int) -> float:
        """Floating-point operations of `record`; a multiplication and an addition are two."""
        return 0.0
