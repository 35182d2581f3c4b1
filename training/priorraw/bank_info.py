"""What a bank file says of itself, and what is asked of a bank to be built."""

from dataclasses import dataclass


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
