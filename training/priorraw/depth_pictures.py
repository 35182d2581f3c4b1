"""What encoder and bank of bit-depth recovery learn from: quarter-size low pictures, and positions in the intervals.

In the words of the RAW task the low picture is the sRGB, and the position, 0 the interval's first code and 1 its
last, is the RAW: so search, bank and their measures are the same code.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from priorraw import isp
from priorraw.bank_info import BankInfo
from priorraw.bit_depth import Depths
from priorraw.depth_dataset import DepthDataset
from priorraw.errors import InputError
from priorraw.layers import quarter
from priorraw.model import ALIGN
from priorraw.pictures import TrainingPicture, thumbnail_of, to_tensor

POOL = 4


def search_picture(high: np.ndarray, depths: Depths) -> TrainingPicture:
    """High codes (H, W, 3) to a training picture of a quarter of the size, sides cut to multiples of 32."""
    low = depths.unit(depths.lower(high))
    position = (high & ((1 << depths.lost) - 1)).astype(np.float32) / ((1 << depths.lost) - 1)
    H, W = (side // (POOL * ALIGN) * POOL * ALIGN for side in high.shape[:2])
    srgb, raw = (quarter(to_tensor(part[:H, :W])[None])[0] for part in (low, position))
    valid = torch.ones(1, H // POOL, W // POOL)
    return TrainingPicture(srgb, raw, valid, to_tensor(thumbnail_of(low)), torch.zeros(2), own_isp=False)


def load_search_pictures(folders: Iterable[Path], split: str, depths: Depths) -> list[TrainingPicture]:
    """`search_picture` of all pictures of a split of several datasets.

    Raises:
        InputError: a dataset cannot be read or has too few bits, or a picture is too small.
    """
    pictures = []
    for folder in folders:
        dataset = DepthDataset.open(folder, split)
        for i in range(len(dataset)):
            picture = search_picture(dataset.high_of(i, depths), depths)
            if 0 in picture.srgb.shape:
                raise InputError(f"{folder}: {dataset.names[i]} is too small to be searched; leave it out")
            pictures.append(picture)
    return pictures


def bank_info(depths: Depths, encoder_sha256: str, K: int, G: int, seed: int) -> BankInfo:
    """What a bank for bit depths says of itself. Its camera is sRGB: no matrix, no light."""
    return BankInfo(
        camera=depths.name,
        encoder_sha256=encoder_sha256,
        K=K,
        G=G,
        seed=seed,
        color_matrix=np.linalg.inv(isp.XYZ_FROM_SRGB).flatten().tolist(),
        camera_vector=[*np.eye(3).flatten().tolist(), 0.0, 0.0, 1.0, 1.0],
    )
