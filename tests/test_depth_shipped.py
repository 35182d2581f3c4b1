"""What prior_assets/bit-depth-4to8 does: a gradient without contours, and the published figure on real pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from priorraw.assets import load_assets, shipped_assets
from priorraw.bit_depth import TASK, Depths
from priorraw.files import read_json

from benchmarks.bit_depth.figure import banding, largest_step, sky

DEPTHS = Depths(4, 8)
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "bit-depth.json"


def test_a_gradient_comes_out_without_contours():
    """As many levels as the truth has, and no step from row to row that the eye would take for a contour."""
    true = sky()
    low = DEPTHS.lower(true)
    high = DEPTHS.high_codes(load_assets(DEPTHS.name, task=TASK)(DEPTHS.unit(low))[0])
    for c in range(3):
        levels = [len(np.unique(picture[..., c])) for picture in (low, high, true)]
        assert levels[1] >= 0.9 * levels[2]  # seen: 147 of 147, 113 of 112, 39 of 30, from 10, 8 and 3
    stretched = DEPTHS.high_codes(DEPTHS.unit(low))
    assert banding(high, true) < 0.35 * banding(stretched, true)  # seen: 1.41 against 5.09 grey levels
    assert largest_step(high) < 2 * largest_step(true) < 0.5 * largest_step(stretched)  # seen: 1.2, 0.8, 3.4


def test_asset_folder_and_card():
    folder = shipped_assets() / DEPTHS.name
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) < 7e6  # seen: 5.9e6
    card = (folder / "MODEL_CARD.md").read_text()
    assert "McMaster pictures (research use" in card
    measured = read_json(folder / "asset.json")["measured"]["test"][DEPTHS.name]["reconstructed"]
    assert f"{measured['psnr']:.2f} dB / {measured['ssim']:.4f}" in card


@pytest.mark.slow
def test_the_published_figures(data, cli, tmp_path):
    """Four Kodak pictures, each within 0.05 dB of its row in the table."""
    published = json.loads(RESULTS.read_text())["rows"]["PriorRAW Edge"]["images"]
    names = sorted(published)[::6]
    for name in names:
        (tmp_path / f"{name}.png").symlink_to(data / "kodak24" / f"{name}.png")
    code, out, _ = cli("evaluate", tmp_path, "--task", "bit-depth", "--bits", 4, "--json")
    result = json.loads(out)
    assert code == 0 and result["outside"] == 0 and len(names) == 4
    for image in result["images"]:
        assert image["psnr"] == pytest.approx(published[image["name"]][0], abs=0.05)
        assert image["ssim"] == pytest.approx(published[image["name"]][1], abs=1e-3)
