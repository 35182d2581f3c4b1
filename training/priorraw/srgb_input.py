"""What an sRGB picture goes through before anything sees it: its bit depth, and a JPEG file."""

import io
from dataclasses import dataclass

import numpy as np

from priorraw import isp
from priorraw.dataset import PairDataset
from priorraw.errors import InputError

SUBSAMPLINGS = ("4:2:0", "4:4:4")
ROUNDING = 1e-3  # share of codes that another processor's arithmetic may round the other way, by 1


@dataclass(frozen=True)
class SrgbInput:
    """How the pictures of a dataset reach the method; by default as they are stored."""

    bits: int | None = None  # 8 or 16; None: as stored
    jpeg: int | None = None  # quality, 1 to 100; None: no JPEG
    subsampling: str = SUBSAMPLINGS[0]  # of the JPEG's chroma

    def __post_init__(self) -> None:
        if self.bits == 16 and self.jpeg is not None:
            raise InputError("a JPEG holds 8 bits; leave out --bits 16 or --jpeg")

    def pair(self, dataset: PairDataset, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture `i`: raw-RGB, sRGB as rendered from it, and sRGB as the method sees it; each (H, W, 3) in [0, 1].

        16 bits of a picture that is stored in 8 are rendered again from its raw-RGB, as `prepare` does.

        Raises:
            InputError: a PNG is unreadable, or rendering again does not give the stored picture.
        """
        raw, srgb = dataset.pair(i)
        if self.bits == 16:
            srgb = self._rendered(dataset, i, raw, srgb)
        elif self.bits == 8:
            srgb = isp.dequantise(isp.quantise(srgb, 8))
        return raw, srgb, srgb if self.jpeg is None else through_jpeg(srgb, self.jpeg, self.subsampling)

    @staticmethod
    def _rendered(dataset: PairDataset, i: int, raw: np.ndarray, stored: np.ndarray) -> np.ndarray:
        rendered = isp.render(raw, isp.gains_from_illuminant(dataset.illuminant(i)), dataset.color_matrix)
        bits = 8 if (isp.dequantise(isp.quantise(stored, 8)) == stored).all() else 16
        off = np.abs(isp.quantise(rendered, bits).astype(int) - isp.quantise(stored, bits))
        if off.max() > 1 or (off > 0).mean() > ROUNDING:
            raise InputError(
                f"{dataset.folder}: picture {dataset.names[i]} is not what rendering its raw-RGB gives, so its 16 bits "
                "are unknown; make the dataset again with priorraw-edge prepare, or leave out --bits 16"
            )
        return isp.dequantise(isp.quantise(rendered, 16))

    def describe(self) -> dict[str, int | str | None]:
        """For a report."""
        return {"bits": self.bits, "jpeg": self.jpeg, "subsampling": self.subsampling if self.jpeg else None}


def through_jpeg(srgb: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    """sRGB (H, W, 3) in [0, 1] as a JPEG file of this quality gives it back, by libjpeg; 8 bits."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(isp.quantise(srgb, 8)).save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as image:
        return isp.dequantise(np.asarray(image))
