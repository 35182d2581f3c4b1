"""The Python interface: the four lines of the README, pictures in memory, refusals, and the names that are promised."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import priorraw_edge
import pytest
import rawpy
import tifffile
from PIL import Image
from priorraw import isp
from priorraw_edge import InputError, cameras, load
from priorraw_edge.runtime.look import Look, adjust, develop
from random_assets import CAMERAS, write_random_assets


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module")
def model(assets):
    return load(CAMERAS[1], assets=assets)


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 60, 3), np.uint8)


@pytest.fixture(scope="module")
def photo(tmp_path_factory, codes) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(codes).save(path)
    return path


def test_names_are_those_promised():
    assert priorraw_edge.__all__ == ["CheckError", "InputError", "Model", "Raw", "__version__", "cameras", "load"]
    assert all(hasattr(priorraw_edge, name) for name in priorraw_edge.__all__)
    assert priorraw_edge.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = priorraw_edge.lode
    for package in (priorraw_edge, sys.modules["priorraw"]):
        assert (Path(str(package.__file__)).parent / "py.typed").is_file()


def test_importing_loads_no_torch():
    code = "import sys, priorraw_edge; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_as_the_command_line_rebuilds_it(model, photo, assets, cli, tmp_path):
    raw = model.reconstruct(photo)
    assert (raw.camera, raw.rgb.shape, raw.reliability.shape) == (CAMERAS[1], (48, 60, 3), (48, 60))
    args = ["--camera", CAMERAS[1], "--assets", assets]
    assert cli("reconstruct", photo, "-o", tmp_path / "cli.npy", *args)[0] == 0
    assert (np.load(tmp_path / "cli.npy") == raw.rgb).all()
    assert cli("reconstruct", photo, "-o", tmp_path / "cli.dng", *args)[0] == 0
    assert raw.save(tmp_path / "api.dng").read_bytes() == (tmp_path / "cli.dng").read_bytes()
    assert repr(raw).startswith("Raw(60x48, sony-imx135, mean reliability 0.")


def test_what_is_saved_reads_back(model, photo, tmp_path):
    raw = model.reconstruct(photo)
    expected = isp.quantise(raw.rgb, 16)
    with rawpy.imread(str(raw.save(tmp_path / "a.dng"))) as file:
        assert (file.raw_image_visible[..., :3] == expected).all()
    assert (tifffile.imread(raw.save(tmp_path / "a.tiff")) == expected).all()
    with rawpy.imread(str(raw.save(tmp_path / "b.dng", cfa="RGGB"))) as file:
        assert (file.raw_image_visible == isp.mosaic(expected, "RGGB")).all()
    map_ = np.asarray(Image.open(raw.save_reliability(tmp_path / "r.png")))
    assert (map_ == isp.quantise(raw.reliability, 8)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_a_picture_in_memory_is_the_file(model, photo, codes, dtype):
    scale = {"uint8": 1, "uint16": 257}.get(np.dtype(dtype).name, 1 / 255)
    raw = model.reconstruct((codes * np.float64(scale)).astype(dtype))
    assert np.abs(raw.rgb - model.reconstruct(photo).rgb).max() < 1e-5  # seen: 0 but for float64's rounding


def test_a_hint_is_the_light(model, codes):
    raw = model.reconstruct(codes, hint=(2.0, 1.0, 1.6))
    assert np.allclose(raw.neutral, [0.5, 1, 0.625])
    assert (raw.rgb == model.reconstruct(codes, hint="2,1,1.6").rgb).all()


def test_a_file_without_gains_is_rebuilt_blind_and_says_so(model, photo):
    raw = model.reconstruct(photo, hint="exif")
    assert any("no hint" in note for note in raw.notes)
    assert (raw.rgb == model.reconstruct(photo).rgb).all()


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((4, 4), np.uint8), "is \\(H, W, 3\\)"),
        (np.zeros((0, 4, 3), np.uint8), "is \\(H, W, 3\\)"),
        (np.zeros((4, 4, 3), np.int32), "this one is int32"),
        (np.full((4, 4, 3), np.nan, np.float32), "lies in \\[0, 1\\]"),
        (np.full((4, 4, 3), 255, np.float32), "lies in \\[0, 1\\]"),
        ("nothing.jpg", "nothing.jpg: not found"),
    ],
)
def test_refusals(model, picture, reason):
    with pytest.raises(InputError, match=reason):
        model.reconstruct(picture)


def test_refusals_of_names(model, codes, assets, tmp_path):
    raw = model.reconstruct(codes[:10])
    for name, reason in (("a.png", "ends in none of"), ("a", "name a file that ends"), ("a.dng", "22")):
        with pytest.raises(InputError, match=reason):
            raw.save(tmp_path / name)
    with pytest.raises(InputError, match="makes a DNG"):
        raw.save(tmp_path / "a.tiff", cfa="RGGB")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="did you mean"):
        load("sony-imx134", assets=assets)
    with pytest.raises(InputError, match="exclude each other"):
        load(bundle="b", assets=assets)
    assert cameras(assets) == list(CAMERAS)


def test_the_plain_look_is_the_isp(model, codes):
    raw = model.reconstruct(codes)
    plain = isp.render(raw.rgb, isp.gains_from_illuminant(raw.neutral), raw.color_matrix)
    assert (raw.develop() == isp.quantise(plain, 8)).all()


def test_dials_turn_the_way_they_say():
    ramp = np.linspace(0.02, 0.98, 97, dtype=np.float32)[:, None, None].repeat(3, 2)
    neutral, matrix = np.array([0.5, 1, 0.625]), np.array([[8, -2.6, -0.6], [-0.6, 10.7, 2.4], [-0.6, 1.4, 5.4]])

    def shown(**dials: float) -> np.ndarray:
        return develop(ramp, neutral, matrix, Look(**dials))

    plain = shown()
    assert shown(exposure=-1).mean() < plain.mean() < shown(exposure=1).mean()
    for value in (-1.0, 1.0):  # brightness keeps its order, whatever the slider
        assert (np.diff(adjust(ramp, Look(highlights=value))[:, 0, 1]) >= 0).all()
    down = adjust(ramp, Look(highlights=-1))
    assert down[-1, 0, 0] < ramp[-1, 0, 0] - 0.2  # seen: 0.38 less
    assert abs(down[5] - ramp[5]).max() < 0.01  # dark parts stay
    assert (shown(warmth=1) - plain)[10, 0, 0] > 0 > (shown(warmth=1) - plain)[10, 0, 2]
    assert (shown(tint=1) - plain)[10, 0, 1] > 0
    # Where the sensor clipped no dial brings back a colour.
    white = develop(np.ones((1, 1, 3), np.float32), neutral, matrix, Look(exposure=-1))
    assert np.ptp(white) < 1e-6


def test_a_jpeg_at_rest_is_itself(codes):
    assert (isp.quantise(adjust(isp.dequantise(codes), Look()), 8) == codes).all()
