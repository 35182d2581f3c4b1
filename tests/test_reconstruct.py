"""`reconstruct`, with the closed-form inverse as the model: its results are known exactly."""

import json
import os

import numpy as np
import pytest
import rawpy
import skimage.data
import tifffile
from PIL import Image
from priorraw import isp
from priorraw.cameras import color_matrix
from priorraw.errors import InputError
from priorraw.neutral import NeutralFit
from priorraw_edge.runtime import engine as engines
from priorraw_edge.runtime.outputs import plan_jobs
from priorraw_edge.runtime.reconstruct import reconstruct
from test_hint import CAMERAS, exif

NEUTRAL = np.array([0.52, 1.0, 0.61])
PHOTO = skimage.data.chelsea()  # (300, 451, 3) uint8


class ClosedForm:
    """An engine that undoes the software ISP under a fixed light, or under the one that it is told."""

    camera, tile_size, halo, align = "sony-imx135", 128, 16, 8
    color_matrix = color_matrix("sony-imx135")

    def scene(self, thumbnail: np.ndarray) -> np.ndarray:
        assert thumbnail.shape == (64, 64, 3)
        return np.log(NEUTRAL[[0, 2]]).astype(np.float32)[None]

    def with_light(self, scene: np.ndarray, light: np.ndarray) -> np.ndarray:
        assert light.shape == (2,)
        return light[None]

    def tile(self, srgb: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert srgb.shape == (128, 128, 3)
        assert srgb.dtype == scene.dtype == np.float32
        red, blue = np.exp(scene[0].astype(np.float64))
        gains = isp.gains_from_illuminant(np.array([red, 1, blue]))
        return isp.unrender(srgb, gains, self.color_matrix), srgb[..., 1]


@pytest.fixture(autouse=True)
def closed_form(monkeypatch):
    monkeypatch.setattr(engines, "open_engine", lambda camera, **options: ClosedForm())


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in" / "cat.png"
    path.parent.mkdir()
    Image.fromarray(PHOTO).save(path)
    return path


def expected_raw(picture=PHOTO, neutral=NEUTRAL) -> np.ndarray:
    return isp.unrender(isp.dequantise(picture), isp.gains_from_illuminant(neutral), ClosedForm.color_matrix)


# --- the library ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 451), (1, 1), (128, 128), (3, 400), (130, 127)])
def test_every_pixel_comes_from_its_tile(size):
    picture = np.resize(PHOTO, (*size, 3))
    result = reconstruct(isp.dequantise(picture), ClosedForm())
    assert np.abs(result.raw - expected_raw(picture)).max() < 1e-6
    assert (result.reliability == isp.dequantise(picture)[..., 1]).all()


def test_the_light_is_found():
    result = reconstruct(isp.dequantise(PHOTO), ClosedForm())
    assert np.abs(result.neutral - NEUTRAL).max() < 1e-6  # seen: 2e-8


def test_clipped_and_unreliable_pixels_do_not_pull_the_light():
    srgb = isp.dequantise(PHOTO).copy()
    raw = expected_raw().copy()
    reliability = np.ones(PHOTO.shape[:2], np.float32)
    srgb[:50], raw[:50] = 1, (1, 0.2, 1)  # clipped, and magenta
    raw[50:100], reliability[50:100] = (0.1, 0.9, 0.1), 0
    fit = NeutralFit(ClosedForm.color_matrix)
    fit.add(raw, srgb, reliability)
    assert np.abs(fit.neutral() - NEUTRAL).max() < 1e-6


def test_greys_tell_the_light_where_the_colour_matrix_is_wrong():
    """As it is for every camera's own JPEG: coloured pixels would pull the light."""
    photo = isp.dequantise(skimage.data.coffee())
    wrong = ClosedForm()
    wrong.color_matrix = color_matrix("samsung-nx2000")
    wrong.tile = lambda srgb, scene: (
        isp.unrender(srgb, isp.gains_from_illuminant(NEUTRAL), ClosedForm.color_matrix),
        np.ones(srgb.shape[:2], np.float32),
    )
    result = reconstruct(photo, wrong)
    alike = NeutralFit(wrong.color_matrix)
    alike.add(result.raw, photo, np.ones(photo.shape[:2], np.float32))

    def degrees(light):
        return np.degrees(np.arccos(light @ NEUTRAL / np.linalg.norm(light) / np.linalg.norm(NEUTRAL)))

    assert degrees(result.neutral) < 0.5 * degrees(alike.neutral())  # seen: 0.13 against 0.51


@pytest.mark.parametrize("neutral", [(0.4, 1, 0.8), (1.5, 1, 0.5), (100, 200, 150)])
def test_a_known_light_is_used_and_kept(neutral):
    neutral = np.array(neutral)
    result = reconstruct(isp.dequantise(PHOTO), ClosedForm(), known_neutral=neutral)
    assert np.abs(result.raw - expected_raw(neutral=neutral)).max() < 1e-6
    assert np.abs(result.neutral - neutral / neutral.max()).max() < 1e-12


def test_an_impossible_light_is_refused():
    with pytest.raises(ValueError, match="response to white"):
        reconstruct(isp.dequantise(PHOTO), ClosedForm(), known_neutral=np.array([0.5, 1, 0]))


@pytest.mark.parametrize(("value", "neutral"), [(255, NEUTRAL), (0, (1, 1, 1))])
def test_one_pixel_of_white_or_black_has_a_light(value, neutral):
    result = reconstruct(isp.dequantise(np.full((1, 1, 3), value, np.uint8)), ClosedForm())
    assert np.abs(result.neutral - neutral).max() < 1e-6


def test_a_model_that_returns_nan_is_named():
    broken = ClosedForm()
    broken.tile = lambda srgb, scene: (np.full_like(srgb, np.nan), srgb[..., 0])
    with pytest.raises(InputError, match="sony-imx135 returned NaN"):
        reconstruct(isp.dequantise(PHOTO), broken, "cat.png")


def test_where_the_files_go(tmp_path):
    one, two = tmp_path / "a.jpg", tmp_path / "b.jpg"
    (job,) = plan_jobs([one], tmp_path / "x.tif")
    assert (job.out, job.file_format) == (tmp_path / "x.tif", "tiff")
    (job,) = plan_jobs([one], tmp_path / "x.bin", "npy", tmp_path / "r.png")
    assert (job.out, job.reliability) == (tmp_path / "x.bin", tmp_path / "r.png")
    (job,) = plan_jobs([one], tmp_path)
    assert job.out == tmp_path / "a.dng"
    first, second = plan_jobs([one, two], tmp_path / "new", "tiff", tmp_path / "maps")
    assert (first.out, second.out) == (tmp_path / "new/a.tiff", tmp_path / "new/b.tiff")
    assert second.reliability == tmp_path / "maps/b.reliability.png"


# --- the command ----------------------------------------------------------------------------------------------


def test_dng_renders_as_the_float_result_does(cli, photo, tmp_path):
    out, reliability = tmp_path / "new" / "folder" / "cat.dng", tmp_path / "cat-map.png"
    code, printed, _ = cli("reconstruct", photo, "-o", out, "--reliability", reliability, "--json")
    assert code == 0
    (facts,) = json.loads(printed)
    assert (facts["output"], facts["width"], facts["height"]) == (str(out), 451, 300)
    assert facts["neutral"] == pytest.approx(NEUTRAL, abs=1e-5)

    with rawpy.imread(str(out)) as file:
        developed = file.postprocess(use_camera_wb=True, no_auto_bright=True, gamma=(2.4, 12.92), adjust_maximum_thr=0)
    gains = isp.gains_from_illuminant(np.array(facts["neutral"]))
    ours = isp.render(expected_raw(), gains, ClosedForm.color_matrix, toned=False) * 255
    assert np.abs(developed - ours).mean() < 1  # seen: 0.31
    with Image.open(reliability) as image:
        assert (np.asarray(image) == PHOTO[..., 1]).all()


def test_tiff_and_npy_hold_the_result(cli, photo, tmp_path):
    assert cli("reconstruct", photo, "-o", tmp_path / "a.tif")[0] == 0
    assert np.abs(tifffile.imread(tmp_path / "a.tif") / 65535 - expected_raw()).max() < 1 / 65535
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert "linear raw-RGB of camera sony-imx135" in file.pages[0].description
    assert cli("reconstruct", photo, "-o", tmp_path / "a.npy")[0] == 0
    raw = np.load(tmp_path / "a.npy")
    assert raw.dtype == np.float32
    assert np.abs(raw - expected_raw()).max() < 1e-6


def test_given_gains_are_the_light(cli, photo, tmp_path):
    code, printed, said = cli("reconstruct", photo, "-o", tmp_path / "a.npy", "--hint", "4,2,3", "--json")
    assert code == 0, said
    (facts,) = json.loads(printed)
    assert facts["hint"] == {"gains": [2, 1, 1.5], "source": "given"}
    assert facts["neutral"] == pytest.approx((0.5, 1, 2 / 3), abs=1e-6)
    assert np.abs(np.load(tmp_path / "a.npy") - expected_raw(neutral=np.array([0.5, 1, 2 / 3]))).max() < 1e-6


def test_gains_from_exif(cli, photo, tmp_path):
    """Each photo has its own; where there are none it is rebuilt blind, and said so."""
    hinted = photo.with_name("pentax.png")
    note = CAMERAS["pentax"]
    Image.fromarray(PHOTO).save(hinted, exif=b"Exif\0\0" + exif(*note[:4]))
    code, printed, said = cli(
        "reconstruct", photo, hinted, "-o", tmp_path / "out", "--format", "npy", "--hint", "exif", "--json"
    )
    assert code == 0, said
    blind, told = json.loads(printed)
    assert blind["hint"] is None
    assert blind["neutral"] == pytest.approx(NEUTRAL, abs=1e-5)
    assert "cat.png: no hint: the file carries no EXIF" in said
    assert told["hint"] == {"gains": [2, 1, 1.5], "source": "Pentax WhitePoint of PENTAX K10D"}
    assert told["neutral"] == pytest.approx((0.5, 1, 2 / 3), abs=1e-6)
    assert "pentax.png: these are gains of another sensor than sony-imx135's" in said
    assert told["notes"][0] == "hint from Pentax WhitePoint of PENTAX K10D"
    assert np.abs(np.load(tmp_path / "out/cat.npy") - expected_raw()).max() < 1e-6
    code, printed, _ = cli("reconstruct", hinted, "-o", tmp_path / "b.npy", "--json")
    assert json.loads(printed)[0]["hint"] is None  # EXIF counts only where it is asked for


def test_several_photos_and_notes(cli, photo, tmp_path):
    Image.fromarray(PHOTO).convert("CMYK").save(photo.with_name("press.jpg"))
    code, printed, said = cli("reconstruct", photo, photo.with_name("press.jpg"), "-o", tmp_path / "out")
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cat.dng", "press.dng"]
    assert len(printed.splitlines()) == 2
    assert "press.jpg: CMYK without a usable profile" in said


def test_same_photo_same_bytes_and_an_old_file_is_replaced(cli, photo, tmp_path):
    out = tmp_path / "a.dng"
    out.write_text("old")
    cli("reconstruct", photo, "-o", out)
    first = out.read_bytes()
    cli("reconstruct", photo, "-o", out)
    assert out.read_bytes() == first
    assert len(first) > 100_000


def files_in(folder) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_bad_photo_stops_with_nothing_written_for_it(cli, photo, tmp_path):
    bad = photo.with_name("bad.jpg")
    bad.write_bytes(b"\xff\xd8\xff\xe0 and no more")
    code, _, said = cli("reconstruct", photo, bad, "-o", tmp_path / "out", "--reliability", tmp_path / "out")
    assert code == 2
    assert said.splitlines()[-1].startswith(f"priorraw-edge: {bad}: truncated or damaged")
    assert files_in(tmp_path / "out") == ["cat.dng", "cat.reliability.png"]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["{photo}", "-o", "{tmp}/a.raw"], "ends in none of"),
        (["{photo}", "-o", "{tmp}/a.tiff", "--format", "dng"], "make them agree"),
        (["{photo}", "{photo}", "-o", "{tmp}/a.dng"], "names one file for 2 photos"),
        (["{photo}", "{photo}", "-o", "{tmp}/out"], "both write it"),
        (["{photo}", "-o", "{photo}/a.dng"], "cat.png is a file"),
        (["{photo}", "-o", "{tmp}/a.dng", "--reliability", "{photo}"], "would replace an input"),
        (["{photo}", "-o", "{tmp}/a.dng", "--reliability", "{tmp}/a.jpg"], "ends in .png"),
        (["{photo}", "-o", "{tmp}/a.dng", "--bundle", "b", "--assets", "a"], "exclude each other"),
        (["{photo}", "-o", "{tmp}/a.dng", "--hint", "auto"], "is none of exif, none, or white-balance gains"),
        (["{photo}", "-o", "{tmp}/a.dng", "--hint", "2,1,0"], "is none of exif, none, or white-balance gains"),
        (["{tmp}/none.jpg", "-o", "{tmp}/a.dng"], "not found"),
        (["{tmp}/in", "-o", "{tmp}/a.dng"], "names a file; an archive needs a folder"),
        (["{tiny}", "-o", "{tmp}/a.dng"], "too small for a DNG"),
    ],
)
def test_bad_calls_leave_one_line_and_no_file(cli, photo, tmp_path, args, line):
    tiny = photo.with_name("tiny.png")
    Image.fromarray(PHOTO[:1, :1]).save(tiny)
    before = files_in(tmp_path)
    code, printed, said = cli("reconstruct", *(a.format(photo=photo, tmp=tmp_path, tiny=tiny) for a in args))
    assert code == 2
    assert printed == ""
    assert line in said
    assert len(said.splitlines()) == 1
    assert files_in(tmp_path) == before


def test_one_pixel_as_tiff(cli, photo, tmp_path):
    Image.fromarray(PHOTO[:1, :1]).save(photo)
    assert cli("reconstruct", photo, "-o", tmp_path / "a.tiff")[0] == 0
    assert tifffile.imread(tmp_path / "a.tiff").shape == (1, 1, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_one_line(cli, photo, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    code, _, said = cli("reconstruct", photo, "-o", locked / "a.dng")
    assert code == 2
    assert "cannot be written (no permission in" in said


def test_a_failure_while_writing_leaves_neither_file(cli, photo, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    before = files_in(tmp_path)
    code, _, said = cli("reconstruct", photo, "-o", tmp_path / "a.dng", "--reliability", tmp_path / "r.png")
    assert code == 2
    assert "cannot be written (No space left on device)" in said
    assert files_in(tmp_path) == before
