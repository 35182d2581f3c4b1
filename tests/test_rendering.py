"""How a camera renders: fitted against a rendering that is known, on real files, and used by the commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from priorraw import isp
from priorraw.bank import Bank
from priorraw.camera_jpeg import rendered_by_camera
from priorraw.metrics import psnr
from priorraw.raw_io import read_camera_file
from priorraw.rendering import KNOTS, Rendering, fit, leave_one_out, samples_of
from priorraw_edge.runtime.source import ArraySource, RenderedSource
from priorraw_edge.runtime.stream import Stream
from samples import D65_MATRIX, write_dng
from skimage.metrics import peak_signal_noise_ratio
from test_camera_jpeg import landscape
from test_reconstruct import ClosedForm

MATRIX = np.reshape(D65_MATRIX, (3, 3)) / 10_000
LIGHT = np.array([0.5, 1.0, 0.6])


def by_camera(raw: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of a camera that is not ours: colours of its own, a gamma with a toe, a push."""
    mixed = np.clip(raw / LIGHT, 0, 1) @ np.array([[1.6, -0.5, -0.1], [-0.2, 1.5, -0.3], [0.1, -0.5, 1.4]]).T
    curve = np.clip(1.4 * mixed, 0, 1) ** 0.42
    return isp.quantise(curve * curve * (3 - 2 * curve) * 0.4 + curve * 0.6, 8)


def shots(n: int):
    """Random scenes whose colours fill the cube, as the camera renders them: (sRGB, raw-RGB) pairs."""
    for i in range(n):
        raw = landscape(96, 144, seed=i) * np.random.default_rng(i).uniform(0.2, 1, (1, 1, 3)).astype(np.float32)
        yield by_camera(raw), raw


def test_a_known_rendering_is_undone():
    fitted = fit([samples_of(*pair, LIGHT) for pair in shots(3)], MATRIX)
    srgb, raw = list(shots(4))[3]
    gains = isp.gains_from_illuminant(LIGHT)
    found = peak_signal_noise_ratio(raw, fitted.unrender(isp.dequantise(srgb), gains), data_range=1)
    ours = peak_signal_noise_ratio(raw, isp.unrender(isp.dequantise(srgb), gains, MATRIX), data_range=1)
    assert found > 42 > 30 > ours, (found, ours)  # seen: 44.4, 26.3
    np.testing.assert_allclose(np.sum(fitted.matrix, 1), 1, atol=1e-9)
    assert (np.diff(fitted.curve) >= 0).all()
    # Through our own rendering the networks' inverse gives the same raw-RGB.
    again = isp.unrender(fitted.as_ours(isp.dequantise(srgb), MATRIX), gains, MATRIX)
    inside = (srgb > 5).all(-1) & (srgb < 250).all(-1)
    assert np.abs(again - fitted.unrender(isp.dequantise(srgb), gains))[inside].mean() < 0.003  # seen: 0.0011


def test_our_own_rendering_is_found_again():
    pairs = []
    for _, raw in shots(3):
        pairs.append((isp.quantise(isp.render(raw, isp.gains_from_illuminant(LIGHT), MATRIX), 8), raw))
    fitted = fit([samples_of(*pair, LIGHT) for pair in pairs], MATRIX)
    np.testing.assert_allclose(fitted.matrix, isp.camera_from_srgb(MATRIX), atol=0.02)
    codes = np.linspace(0.1, 0.8, 20, dtype=np.float32)
    expected = isp.inverse_tone(isp.srgb_decode(codes))
    np.testing.assert_allclose(np.interp(codes, np.linspace(0, 1, KNOTS), fitted.curve), expected, atol=0.005)


def test_each_shot_is_judged_by_the_others():
    odd = [samples_of(*pair, LIGHT) for pair in shots(3)]
    raw = list(shots(4))[3][1]
    odd.append(samples_of(isp.quantise(isp.render(raw, 1 / LIGHT, MATRIX), 8), raw, LIGHT))  # of another program
    scores = leave_one_out(odd, MATRIX)
    assert scores[3] < min(scores[:3])


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"curve": [0.0] * KNOTS},
        {"curve": list(range(KNOTS))[::-1], "matrix": np.eye(3).tolist()},
        {"curve": [0.0] * (KNOTS - 1) + [float("inf")], "matrix": np.eye(3).tolist()},
    ],
)
def test_what_is_no_rendering_is_refused(value):
    with pytest.raises(ValueError, match="rendering"):
        Rendering.from_json(value)


def test_a_source_is_mapped_alike_in_windows_and_crossings_and_its_preview_is_the_photograph():
    srgb, _ = next(shots(1))
    picture = isp.dequantise(srgb)
    fitted = fit([samples_of(*pair, LIGHT) for pair in shots(2)], MATRIX)
    source = RenderedSource(ArraySource(picture), fitted, MATRIX)
    whole = source.window(0, 96, 0, 144)
    assert (whole == fitted.as_ours(picture, MATRIX)).all() and np.abs(whole - picture).mean() > 0.01
    assert (source.crossings([3, 50], [7, 9, 100]) == whole[np.ix_([3, 50], [7, 9, 100])]).all()
    engine = ClosedForm()
    plain, mapped = (Stream(ArraySource(picture), engine, rendering=r) for r in (None, fitted))
    assert (plain.preview() == mapped.preview()).all()
    assert np.abs(next(plain.bands()).raw - next(mapped.bands()).raw).mean() > 0.01


@pytest.mark.parametrize("name", ["canon-powershot-g10.cr2", "canon-eos-30d.cr2", "nikon-d5000.dng"])
def test_real_cameras_are_undone_from_the_other_half_of_a_shot(data, name):
    path = data / "raws" / name
    shot = read_camera_file(path)
    pair = rendered_by_camera(path, shot, 512)
    middle = pair.raw.shape[1] // 2
    fitted = fit([samples_of(pair.srgb[:, :middle], pair.raw[:, :middle], shot.illuminant)], shot.color_matrix)
    srgb, raw = isp.dequantise(pair.srgb[:, middle:]), pair.raw[:, middle:]
    gains, every = isp.gains_from_illuminant(shot.illuminant), np.ones(raw.shape[:2], bool)
    ours = psnr(isp.unrender(srgb, gains, shot.color_matrix), raw, every)
    found = psnr(fitted.unrender(srgb, gains), raw, every)
    assert found > 45 > 30 > ours, (found, ours)  # seen: 49.8, 61.4, 50.4 and 27.0, 26.7, 27.9


# --- the commands -----------------------------------------------------------------------------------------------


def write_files(folder: Path, n: int = 3) -> Path:
    """Camera files with the camera's JPEGs beside them."""
    folder.mkdir()
    for i in range(n):
        raw = landscape(480, 720, seed=i)
        cfa = np.rint(isp.mosaic(raw, "RGGB") * 65535).astype(np.uint16)
        write_dng(folder / f"shot_{i}.dng", cfa, neutral=tuple(round(10_000 * v) for v in LIGHT))
        exif = Image.Exif()
        exif[271], exif[272] = "Acme", "Testcam 1"
        exif.get_ifd(0x8769)[37500] = b"made by the camera"
        Image.fromarray(by_camera(raw)).save(folder / f"shot_{i}.jpg", quality=97, subsampling=0, exif=exif)
    return folder


def test_a_bank_that_knows_its_cameras_rendering_brings_its_photos_closer(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    args = ("bank", "build", "--raws", folder, "--entries", 100)
    code, out, _ = cli(*args, "-o", tmp_path / "camera.safetensors", "--srgb", "camera", "--json")
    told = json.loads(out)
    assert code == 0 and [score["name"] for score in told["rendering"]] == ["shot_0", "shot_1", "shot_2"]
    assert all(score["fitted"] > score["ours"] + 10 for score in told["rendering"])  # seen: 26 dB
    assert Bank.load(tmp_path / "camera.safetensors").info.rendering
    assert cli(*args, "-o", tmp_path / "isp.safetensors")[0] == 0
    assert Bank.load(tmp_path / "isp.safetensors").info.rendering is None

    raw = landscape(480, 720, seed=2)
    hint = ("--hint", ",".join(str(1 / v) for v in LIGHT), "--json")
    error = {}
    for bank in ("camera", "isp"):
        photo, result = folder / "shot_2.jpg", tmp_path / f"{bank}.npy"
        code, out, _ = cli("reconstruct", photo, "-o", result, "--bank", tmp_path / f"{bank}.safetensors", *hint)
        assert code == 0 and json.loads(out)[0]["rendering"] == bank
        error[bank] = np.abs(np.load(result) - raw).mean()
    assert error["camera"] < error["isp"] / 5, error

    with Image.open(folder / "shot_2.jpg") as picture:  # its EXIF is lost: nobody knows who rendered it
        picture.save(tmp_path / "stranger.png")
    args = (
        "reconstruct",
        tmp_path / "stranger.png",
        "-o",
        tmp_path / "b.npy",
        "--bank",
        tmp_path / "camera.safetensors",
    )
    code, out, err = cli(*args, "--json")
    assert code == 0 and json.loads(out)[0]["rendering"] == "isp"
    assert "is not known to come straight from acme-testcam-1" in err


def test_files_without_the_cameras_jpegs_are_named(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    (folder / "shot_1.jpg").unlink()
    args = ("bank", "build", "--raws", folder, "--entries", 100, "-o", tmp_path / "b.safetensors", "--srgb", "camera")
    code, _, err = cli(*args)
    assert code == 2 and "shot_1.dng: has no JPEG inside and none beside it" in err
    assert not (tmp_path / "b.safetensors").exists()
    code, out, _ = cli(*args, "--skip-bad", "--json")
    assert code == 0 and len(json.loads(out)["rendering"]) == 2 and "shot_1.dng" in json.loads(out)["skipped"][0]
