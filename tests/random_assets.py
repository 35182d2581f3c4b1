"""An asset folder with random weights and banks of realistic statistics, for tests that train nothing."""

from pathlib import Path

import numpy as np
import torch
from priorraw.assets import (
    ENCODER,
    ENCODER_PARTS,
    RECONSTRUCTOR,
    RECONSTRUCTOR_PARTS,
    describe_file,
    save_part,
    write_asset,
)
from priorraw.bank import Bank, BankInfo
from priorraw.cameras import color_matrix
from priorraw.isp import camera_from_srgb
from priorraw.model import ModelConfig, PriorRAW
from torch import nn

CAMERAS = ("olympus-e-pl6", "sony-imx135")


def write_random_assets(folder: Path, K: int = 300) -> Path:
    """Write one model and a bank for each of `CAMERAS`; the heads that start at zero are made random."""
    torch.manual_seed(0)
    model = PriorRAW(ModelConfig()).eval()
    nn.init.normal_(model.reconstructor.head.spread.weight, std=0.05)
    nn.init.normal_(model.light.head.weight, std=0.1)
    nn.init.normal_(model.light.error_head.weight, std=0.1)
    for name, parts in ((ENCODER, ENCODER_PARTS), (RECONSTRUCTOR, RECONSTRUCTOR_PARTS)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_part(model, parts, folder / name)
    encoder_sha256 = describe_file(folder / ENCODER)["sha256"]
    for seed, camera in enumerate(CAMERAS):
        (folder / camera).mkdir()
        random_bank(camera, encoder_sha256, K, model.config.encoder.dim, seed).save(
            folder / camera / "bank.safetensors"
        )
        write_asset(folder, camera, ["random weights, for tests"], {})
    return folder


def random_bank(camera: str, encoder_sha256: str, K: int, d: int, seed: int) -> Bank:
    """Unit keys, dark RAW (mean near 0.1, as linear scenes have) and the sRGB that goes with it."""
    generator = np.random.default_rng(seed)
    keys = generator.standard_normal((K, d)).astype(np.float32)
    raw = generator.beta(1, 8, (K, 3)).astype(np.float32)
    matrix = color_matrix(camera)
    vector = [*camera_from_srgb(matrix).flatten(), -0.5, -0.6, 0.3, 0.2]
    info = BankInfo(
        camera=camera,
        encoder_sha256=encoder_sha256,
        K=K,
        G=1,
        d=d,
        reference_pixels=K,
        reference_pictures=1,
        seed=seed,
        color_matrix=[float(v) for v in matrix.flatten()],
        camera_vector=[float(v) for v in vector],
    )
    return Bank(keys / np.linalg.norm(keys, axis=1, keepdims=True), raw, np.sqrt(raw), info)
