"""Pair datasets as tensors in memory, ready to draw training batches from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from priorraw.bank_info import BankInfo
from priorraw.dataset import PairDataset, mask_of
from priorraw.errors import InputError
from priorraw.isp import camera_from_srgb
from priorraw.model import ALIGN, THUMBNAIL


@dataclass(frozen=True)
class TrainingPicture:
    """One scene: srgb and raw (3, H, W), valid (1, H, W) 0 or 1, thumbnail (3, 64, 64), light (2,)."""

    srgb: Tensor
    raw: Tensor
    valid: Tensor
    thumbnail: Tensor
    light: Tensor
    own_isp: bool = True  # sRGB of `isp.render`, which can render it anew; False: the camera's own

    def half_resolution(self) -> tuple[Tensor, Tensor]:
        """RAW (3, H/2, W/2) and validity (1, H/2, W/2) where all four pixels are valid."""
        return F.avg_pool2d(self.raw, 2), (F.avg_pool2d(self.valid, 2) == 1).float()


def thumbnail_of(srgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) squeezed to (64, 64, 3) by plain bilinear sampling, as the training packs were made."""
    if srgb.shape[:2] == (THUMBNAIL, THUMBNAIL):
        return srgb
    return cv2.resize(srgb, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_LINEAR)


def to_tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) to contiguous float32 (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32))


def picture_of(dataset: PairDataset, i: int) -> TrainingPicture:
    """Pair `i` of a split, cropped to sides that are multiples of 8."""
    raw, srgb = dataset.pair(i)
    thumbnail = to_tensor(thumbnail_of(srgb))
    H, W = (side // ALIGN * ALIGN for side in raw.shape[:2])
    raw, srgb = raw[:H, :W], srgb[:H, :W]
    return TrainingPicture(
        srgb=to_tensor(srgb),
        raw=to_tensor(raw),
        valid=torch.from_numpy(mask_of(raw)[None].astype(np.float32)),
        thumbnail=thumbnail,
        light=light_of(dataset.illuminant(i)),
        own_isp=dataset.own_isp,
    )


def light_of(illuminant: np.ndarray) -> Tensor:
    """(2,) light, (log r/g, log b/g), of the sensor's response to white (3,)."""
    r, g, b = np.log(np.asarray(illuminant, np.float64))
    return torch.tensor([r - g, b - g]).float()


def load_pictures(dataset: PairDataset) -> list[TrainingPicture]:
    """All pairs of a split."""
    return [picture_of(dataset, i) for i in range(len(dataset))]


@dataclass(frozen=True)
class CameraPictures:
    """The training pictures of one camera."""

    name: str
    color_matrix: np.ndarray
    pictures: list[TrainingPicture]

    def bank_info(self, encoder_sha256: str, K: int, G: int, seed: int) -> BankInfo:
        """What a bank of these pictures says of itself."""
        lights = torch.stack([p.light for p in self.pictures])
        return bank_info(self.name, self.color_matrix, lights, encoder_sha256, K, G, seed)


def bank_info(
    camera: str, color_matrix: np.ndarray, lights: Tensor, encoder_sha256: str, K: int, G: int, seed: int
) -> BankInfo:
    """What a bank of pictures under these lights (N, 2) says of itself."""
    vector = lights_vector(lights, color_matrix).tolist()
    return BankInfo(camera, encoder_sha256, K, G, seed, color_matrix.flatten().tolist(), vector)


def load_cameras(folders: Iterable[Path], split: str) -> list[CameraPictures]:
    """The pictures of a split of several datasets, those of one camera together, in order of first mention.

    Raises:
        InputError: a dataset cannot be read, or two of one camera disagree about its colour matrix.
    """
    cameras: dict[str, CameraPictures] = {}
    for folder in folders:
        dataset = PairDataset.open(folder, split)
        camera = cameras.setdefault(dataset.camera, CameraPictures(dataset.camera, dataset.color_matrix, []))
        if not np.allclose(camera.color_matrix, dataset.color_matrix):
            raise InputError(f"{folder}: another colour matrix of {dataset.camera} than in the folders before")
        camera.pictures.extend(load_pictures(dataset))
    return list(cameras.values())


def check_trainable(pictures: list[TrainingPicture], crop: int) -> None:
    """Both stages look up pictures in others and train on crops.

    Raises:
        InputError: a single picture, or one that is smaller than a crop.
    """
    if len(pictures) < 2:
        raise InputError("training needs at least two pictures of a camera, to look one up in the other; add some")
    for picture in pictures:
        H, W = picture.srgb.shape[1:]
        if min(H, W) < crop:
            raise InputError(f"a training picture is {W}x{H}, the crops are {crop}x{crop}; leave small pictures out")


def camera_vector(pictures: list[TrainingPicture], color_matrix: np.ndarray) -> Tensor:
    """(13,) camera vector of `light`: matrix from linear sRGB, mean and spread of the training lights."""
    return lights_vector(torch.stack([p.light for p in pictures]), color_matrix)


def lights_vector(lights: Tensor, color_matrix: np.ndarray) -> Tensor:
    """The same of lights (N, 2)."""
    matrix = torch.from_numpy(camera_from_srgb(color_matrix).astype(np.float32)).flatten()
    spread = lights.std(0, correction=min(1, len(lights) - 1))  # a single picture has none
    return torch.cat([matrix, lights.mean(0), spread.clamp(min=0.02)])
