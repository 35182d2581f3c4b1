"""What a bank file says of itself, and what is asked of a bank to be built."""

from dataclasses import dataclass

import numpy as np

from priorraw.rendering import Rendering


@dataclass(frozen=True)
class BankInfo:
    camera: str
    encoder_sha256: str
    K: int  # entries
    G: int  # reference pixels that each entry is the mean of
    seed: int
    color_matrix: list[float]  # 9 values, XYZ (D65) to camera
    camera_vector: list[float]  # 13 values, see `light`
    d: int = 0  # this and the next two: filled in when the bank is built
    reference_pixels: int = 0
    reference_pictures: int = 0
    rendering: dict | None = None  # `Rendering.to_json`: how the camera renders, where it was fitted

    def __post_init__(self) -> None:
        """Raises ValueError where the model could not use the numbers."""
        for name, count in (("color_matrix", 9), ("camera_vector", 13)):
            numbers = np.asarray(getattr(self, name), np.float64)
            if numbers.shape != (count,) or not np.isfinite(numbers).all():
                raise ValueError(f"{name} is not {count} finite numbers")
        if self.rendering is not None:
            Rendering.from_json(self.rendering)
