"""What prior_assets/ ships, from end to end on a real photograph and on real sensor data."""

from pathlib import Path

import numpy as np
import pytest
import rawpy
from priorraw import isp
from priorraw.assets import ENCODER, RECONSTRUCTOR, cameras_in, load_assets, shipped_assets
from priorraw.dataset import PairDataset
from priorraw.evaluate import evaluate
from priorraw_edge.runtime.picture import read_picture

CAMERAS = ("olympus-e-pl6", "samsung-nx2000", "sony-imx135", "sony-slt-a57")
CROP = Path(__file__).parent / "fixtures" / "chelsea-crop.png"


def test_budgets():
    assert tuple(cameras_in(shipped_assets())) == CAMERAS
    files = [ENCODER, RECONSTRUCTOR, *(f"{camera}/bank.safetensors" for camera in CAMERAS)]
    assert sum((shipped_assets() / name).stat().st_size for name in files) < 16e6  # seen: 6.7 MB
    model = load_assets(CAMERAS[0]).model
    assert sum(p.numel() for p in model.encoder.parameters()) < 300_000  # seen: 233,328
    assert sum(p.numel() for p in model.parameters()) < 1_000_000  # seen: 919,560


@pytest.mark.parametrize("camera", CAMERAS)
def test_bank_and_card(camera):
    prior = load_assets(camera)
    assert (prior.bank.info.camera, prior.bank.info.K) == (camera, 5000)
    card = (shipped_assets() / camera / "MODEL_CARD.md").read_text()
    assert ("INTEL-TAU" if camera == "sony-imx135" else "Research use only") in card


@pytest.mark.parametrize("camera", CAMERAS)
def test_photograph_to_dng(camera, cli, tmp_path):
    """LibRaw develops the DNG as we render the float result."""
    out = tmp_path / "crop.dng"
    assert cli("reconstruct", CROP, "-o", out, "--camera", camera)[0] == 0
    prior = load_assets(camera)
    raw, reliability = prior(read_picture(CROP).srgb)
    assert reliability.min() >= 0 and reliability.max() <= 1
    with rawpy.imread(str(out)) as file:
        neutral = 1 / np.array(file.camera_whitebalance[:3])
        developed = file.postprocess(use_camera_wb=True, no_auto_bright=True, gamma=(2.4, 12.92), adjust_maximum_thr=0)
    ours = isp.quantise(isp.render(raw, isp.gains_from_illuminant(neutral), prior.color_matrix, toned=False), 8)
    assert np.abs(developed.astype(float) - ours).mean() < 3  # grey levels; seen: 0.27 to 0.28


def test_better_than_the_mean_light_on_real_sensor_data(data, cli, tmp_path):
    """The held-out IMX135 scenes of 384x256, prepared as for training."""
    folder = tmp_path / "scenes"
    split = "train=0.65,val=0.05,test=0.3"
    assert cli("prepare", data / "imx135", "--camera", "sony-imx135", "--out", folder, "--split", split)[0] == 0
    pairs = PairDataset.open(folder, "test")
    prior = load_assets("sony-imx135")
    ours, mean, bound = (evaluate(pairs, prior, s)["psnr"] for s in ("reconstructed", "mean-light", "true-light"))
    assert len(pairs) == 7
    assert mean + 3 < ours < bound  # dB; seen: 36.5 against 31.3 and 50.2
