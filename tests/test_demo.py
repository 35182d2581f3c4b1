"""The demo: its known pairs, its report, and the same bytes from a second run."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import rawpy
from PIL import Image
from priorraw import isp
from priorraw.assets import load_assets
from priorraw.metrics import angular_error
from priorraw_edge.demo.pairs import EXPOSURE_STOPS, FULL_WELL, READ_NOISE, real_pairs, simulate_pair
from priorraw_edge.demo.pictures import error_scale, reliability_colours
from priorraw_edge.demo.report import write_report
from priorraw_edge.demo.run import run_demo, sample_photograph
from priorraw_edge.runtime.look import Look, adjust, develop
from priorraw_edge.runtime.picture import read_picture
from random_assets import CAMERAS, write_random_assets

CAMERA = CAMERAS[1]
TILE = 72  # the smallest that leaves pixels inside the halo


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return read_picture(sample_photograph()).srgb


def test_the_sample_is_the_photograph_of_scikit_image(sample):
    from skimage.data import coffee

    assert np.abs(sample * 255 - coffee()).mean() < 2  # levels; seen: 1.58, JPEG at quality 96
    assert sample_photograph().stat().st_size < 400_000
    assert "CC0" in (sample_photograph().parent / "LICENSES.md").read_text()


def test_simulated_light_is_a_standard_deviation_off(assets, sample):
    prior = load_assets(CAMERA, assets)
    pair = simulate_pair(sample, prior)
    vector = np.array(prior.bank.info.camera_vector)
    red, green, blue = np.log(pair.illuminant)
    assert np.allclose([red - green, blue - green], vector[9:11] + [1, -1] * vector[11:13])
    assert "simulated, not real" in pair.origin


def test_simulated_noise_is_that_of_the_stated_sensor(assets):
    """A flat grey: samples that were measured have variance x / full well + (read noise / full well)^2."""
    prior = load_assets(CAMERA, assets)
    grey = np.full((300, 300, 3), 0.5, np.float32)
    pair = simulate_pair(grey, prior)
    green = pair.raw[0::2, 1::2, 1].astype(np.float64)  # RGGB
    gains = isp.gains_from_illuminant(pair.illuminant)
    linear = isp.inverse_tone(isp.srgb_decode(grey[0, 0, 1])) * 2**EXPOSURE_STOPS / gains[1]
    assert green.mean() == pytest.approx(linear, rel=1e-3)  # seen: 1e-4
    assert green.var() == pytest.approx(
        linear / FULL_WELL + (READ_NOISE / FULL_WELL) ** 2, rel=0.03
    )  # seen: 7e-3, 22,500 samples


def test_simulated_pair_renders_to_its_srgb_and_repeats(assets, sample):
    prior = load_assets(CAMERA, assets)
    pair, again = (simulate_pair(sample, prior) for _ in range(2))
    assert (pair.raw == again.raw).all()
    shown = develop(pair.raw, pair.illuminant, prior.color_matrix)
    assert np.abs(isp.quantise(shown, 8) / 255 - pair.srgb).max() < 1e-6
    bright = isp.srgb_encode(isp.tone(isp.inverse_tone(isp.srgb_decode(sample)) * 2**EXPOSURE_STOPS).clip(0, 1))
    error = bright - pair.srgb
    assert np.abs(error).mean() < 0.05  # seen: 0.035, noise and demosaic
    assert np.abs(cv2.blur(error, (15, 15))).mean() < 0.01  # seen: 0.006, what clipping noise at black leaves


def test_push_multiplies_light():
    twice = adjust(np.float32([[[0.2, 0.3, 0.9]]]), Look(exposure=1))
    assert np.allclose(isp.srgb_decode(twice)[0, 0, :2], isp.srgb_decode(np.float32([0.2, 0.3])) * 2, atol=1e-6)
    assert twice[0, 0, 2] == pytest.approx(1, abs=1e-6)


def test_reliability_colours_grow_lighter_evenly():
    """Perceptually uniform: CIE lightness, by scikit-image, rises with the value, in even steps."""
    from skimage.color import rgb2lab

    ramp = reliability_colours(np.linspace(0, 1, 16, dtype=np.float32)[None])
    steps = np.diff(rgb2lab(ramp)[0, :, 0])
    assert steps.min() > 4  # seen: 4.8 to 5.9
    assert steps.max() < 7


def test_error_scale_is_round_and_covers():
    assert error_scale(np.full((9, 9), 0.013)) == pytest.approx(0.02)
    assert error_scale(np.full((9, 9), 0.2)) == pytest.approx(0.2)
    assert error_scale(np.full((9, 9), 0.7)) == pytest.approx(1)
    assert error_scale(np.zeros((9, 9))) == pytest.approx(1e-4)


class Page(HTMLParser):
    """Tags that stay open, images, and outside links of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def photo(tmp_path_factory, sample) -> Path:
    path = tmp_path_factory.mktemp("photo") / "a & b.png"
    Image.fromarray(isp.quantise(sample[100:212, 200:360], 8)).save(path)
    return path


@pytest.fixture(scope="module")
def demo(assets, photo, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, run_demo(out, photo=photo, camera=CAMERA, assets=assets, tile=TILE)


@pytest.mark.slow
def test_demo_writes_what_it_says(demo, sample):
    out, result = demo
    assert result.passed
    assert sorted(p.name for p in out.iterdir()) == [
        "a & b.dng",
        "a & b.reliability.png",
        "bundles",
        "report.html",
        "result.jpg",
    ]
    with rawpy.imread(str(out / "a & b.dng")) as file:
        assert (file.raw_image_visible[..., :3] == isp.quantise(result.rebuilt.raw, 16)).all()
    for target in ("xnnpack", "coreml"):
        assert json.loads((out / "bundles" / target / "bundle.json").read_text())["camera"] == CAMERA
    (pair,) = result.pairs
    assert set(pair.scores) == {"reconstructed", "closed form, mean light", "closed form, true light"}
    assert pair.scores["closed form, true light"].psnr > pair.scores["closed form, mean light"].psnr
    assert pair.light_error == angular_error(pair.rebuilt.neutral, pair.pair.illuminant)


@pytest.mark.slow
def test_report_is_one_whole_file(demo):
    out, result = demo
    text = (out / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "iframe"} & page.tags
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.images)
    assert "http" not in re.sub(r'"data:[^"]*"', "", text)
    assert "a &amp; b.png" in text
    assert "prefers-color-scheme: dark" in text
    assert "simulated, not real" in text
    for pair in result.pairs:
        assert all(f"{score.psnr:.2f}" in text for score in pair.scores.values())


@pytest.mark.slow
def test_report_says_what_failed(demo, tmp_path):
    from dataclasses import replace

    _, result = demo
    report = replace(result.bundles[0].report, faults=["scene.pte: two delegates"])
    failed = replace(result, bundles=[replace(result.bundles[0], report=report), result.bundles[1]])
    assert not failed.passed
    write_report(failed, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "A check failed: the xnnpack bundle" in text
    assert "scene.pte: two delegates" in text


@pytest.fixture(scope="module")
def differing(demo, assets, photo, tmp_path_factory) -> list[str]:
    """Files that a second run writes otherwise. In its own process: hash seeds and map orders change with it."""
    out, _ = demo
    again = tmp_path_factory.mktemp("again") / "out"
    code = (
        "import sys; from pathlib import Path; from priorraw_edge.demo.run import run_demo\n"
        "o, p, c, a, t = sys.argv[1:]\n"
        "run_demo(Path(o), photo=Path(p), camera=c, assets=Path(a), tile=int(t))"
    )
    subprocess.run([sys.executable, "-c", code, again, photo, CAMERA, assets, str(TILE)], check=True)
    names = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    return [n.as_posix() for n in names if (out / n).read_bytes() != (again / n).read_bytes()]


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes(differing):
    """XNNPACK programs, banks, weights, DNG; the report tells the times of its run, so it differs."""
    assert [n for n in differing if not n.startswith("bundles/coreml/")] == ["report.html"]
    assert not [n for n in differing if n.endswith(("weight.bin", ".safetensors"))]


@pytest.mark.slow
def test_a_second_run_gives_the_same_core_ml_programs(differing):
    assert [n for n in differing if n.startswith("bundles/coreml/")] == []


def test_real_pairs_are_spread_over_the_test_split(cli, pack, tmp_path):
    cli("prepare", pack, "--camera", CAMERA, "--split", "test", "--out", tmp_path / "d")
    pairs = real_pairs(tmp_path / "d", CAMERA)
    assert [pair.name for pair in pairs] == ["scene_000", "scene_009"]
    assert pairs[0].raw.shape == pairs[0].srgb.shape == (24, 20, 3)
    assert "Real sensor data" in pairs[0].origin
