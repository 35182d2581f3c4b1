"""Small models, scenes, banks and asset folders that the tests of the server side share."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from priorraw import isp
from priorraw.assets import ENCODER, ENCODER_PARTS, RECONSTRUCTOR, RECONSTRUCTOR_PARTS, save_part, write_asset
from priorraw.bank import Bank
from priorraw.bank_info import BankInfo
from priorraw.cameras import color_matrix
from priorraw.encoder import EncoderConfig
from priorraw.files import sha256
from priorraw.light import LightConfig
from priorraw.model import ModelConfig, PriorRAW
from priorraw.pictures import TrainingPicture
from priorraw.prepare import prepare
from priorraw.reconstructor import ReconstructorConfig
from samples import write_pack
from torch import nn

CAMERA = "olympus-e-pl6"
MATRIX = color_matrix(CAMERA)
ENCODER_CONFIG = EncoderConfig(dim=8, width=8, blocks=1, context=8)
K = 64


def config(*, prior: bool = True) -> ModelConfig:
    return ModelConfig(ENCODER_CONFIG, LightConfig(prior, width=8), ReconstructorConfig(detail=8, width=8, deep=16))


def model(model_config: ModelConfig | None = None, seed: int = 0) -> PriorRAW:
    """Random weights, also in the heads that start at zero, so that nothing hides behind a zero."""
    torch.manual_seed(seed)
    built = PriorRAW(model_config or config()).eval().requires_grad_(False)
    for head in (built.light.head, built.light.error_head, built.reconstructor.head.spread):
        nn.init.normal_(head.weight, std=0.2)
    return built


def bank_info(**changes) -> BankInfo:
    matrix = isp.camera_from_srgb(MATRIX).flatten().tolist()
    info = BankInfo(CAMERA, "", K, 4, 0, MATRIX.flatten().tolist(), [*matrix, -0.6, -0.5, 0.2, 0.3], ENCODER_CONFIG.dim)
    return replace(info, **changes)


def bank(**changes) -> Bank:
    """K random entries."""
    random = np.random.default_rng(0)
    info = bank_info(**changes)
    keys = random.standard_normal((info.K, info.d)).astype(np.float32)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    return Bank(keys, random.random((info.K, 3), np.float32), random.random((info.K, 3), np.float32), info)


def assets(folder: Path, prior_model: PriorRAW | None = None) -> Path:
    """An asset folder with one camera."""
    built = prior_model or model()
    save_part(built, ENCODER_PARTS, folder / ENCODER)
    save_part(built, RECONSTRUCTOR_PARTS, folder / RECONSTRUCTOR)
    bank(encoder_sha256=sha256(folder / ENCODER), d=built.config.encoder.dim).save(folder / CAMERA / "bank.safetensors")
    write_asset(folder, CAMERA, ["make assets"], {"psnr": 40.0})
    return folder


def unclipped_scenes(N: int, H: int = 64, W: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scenes (N, H, W, 3) uint16 that lie inside sensor range and sRGB gamut, and their illuminants (N, 3).

    Made backwards: smooth sRGB pictures with texture, taken to raw-RGB. The top left 6x8 pixels are masked.
    """
    random = np.random.default_rng(seed)
    grey = random.uniform(0.35, 0.8, (N, 5, 5, 1)) + random.uniform(-0.08, 0.08, (N, 5, 5, 3))
    srgb = np.stack([cv2.resize(g, (W, H), interpolation=cv2.INTER_LINEAR) for g in grey])
    srgb += random.uniform(-0.02, 0.02, srgb.shape)
    lights = np.stack([random.uniform(0.4, 0.8, N), np.ones(N), random.uniform(0.4, 0.9, N)], 1).astype(np.float32)
    pairs = zip(srgb.astype(np.float32), lights, strict=True)
    raw = np.stack([isp.unrender(s, isp.gains_from_illuminant(light), MATRIX) for s, light in pairs])
    assert raw.min() > 0.01 and raw.max() < 0.99
    codes = isp.quantise(raw, 16)
    codes[:, :6, :8] = 0
    return codes, lights


def dataset(folder: Path, N: int, split: str = "train", H: int = 64, W: int = 64, seed: int = 0) -> Path:
    """A pair dataset of `unclipped_scenes`, through `prepare`."""
    pack = write_pack(folder.with_suffix(".npz"), *unclipped_scenes(N, H, W, seed))
    prepare([pack], folder, {split: 1.0}, camera=CAMERA)
    return folder


def flat_picture(value: float, seed: int, side: int = 64) -> TrainingPicture:
    """Random sRGB over a raw-RGB that is `value` everywhere, so that one sees where RAW comes from."""
    torch.manual_seed(seed)
    srgb = torch.rand(3, side, side)
    ones = torch.ones(1, side, side)
    return TrainingPicture(srgb, value * ones.expand(3, -1, -1).clone(), ones, srgb, torch.tensor([-0.6, -0.5]))
