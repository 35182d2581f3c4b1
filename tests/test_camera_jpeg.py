"""A camera's JPEG laid on its RAW: pictures whose map is known, and camera files where they are at hand."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from priorraw import isp
from priorraw.align import align, covered, resample
from priorraw.camera_jpeg import decode_jpeg, find_jpeg
from priorraw.dataset import PairDataset, read_png
from priorraw.errors import InputError
from samples import D65_MATRIX, write_dng

MATRIX = np.reshape(D65_MATRIX, (3, 3)) / 10_000
NEUTRAL = np.array([0.5, 1.0, 0.6])


def landscape(H: int = 480, W: int = 720, seed: int = 0) -> np.ndarray:
    """(H, W, 3) float32 raw-RGB with detail at every scale, as photographs have."""
    random = np.random.default_rng(seed)
    picture = np.zeros((H, W, 3))
    for side in (8, 16, 32, 64, 128, 256):
        layer = random.standard_normal((side * H // W + 1, side, 3)).astype(np.float32)
        picture += cv2.resize(layer, (W, H), interpolation=cv2.INTER_CUBIC) / side**0.5
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return (0.02 + 0.9 * picture * NEUTRAL).astype(np.float32)


def grey(picture: np.ndarray) -> np.ndarray:
    return picture.mean(-1).astype(np.float32)


def laid_out(raw: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture (h, w, 3) at `matrix` of its pixels, by an interpolation that the code under test does not use."""
    x, y = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    at = np.stack([x, y, np.ones_like(x)], -1) @ np.asarray(matrix, float).T
    return cv2.remap(raw, at[..., 0].astype(np.float32), at[..., 1].astype(np.float32), cv2.INTER_LANCZOS4)


@pytest.mark.parametrize(
    ("scale", "left", "top", "size"),
    [
        (1.0, 8.0, 7.0, (460, 700)),  # as the G10: the border is cut off
        (1.0, 3.3, 11.6, (440, 680)),
        (1.37, 6.2, 4.8, (340, 512)),  # a preview
        (0.5, 4.0, 2.9, (940, 1400)),  # finer than the guide
        (1.1, 20.0, 60.0, (320, 600)),  # 16:9 of a 3:2 sensor
    ],
)
def test_a_known_crop_scale_and_shift_is_found(scale, left, top, size):
    raw = landscape()
    matrix = np.array([[scale, 0, left], [0, scale, top]])
    jpeg = isp.render(laid_out(raw, matrix, size), 1 / NEUTRAL, MATRIX)
    found = align(grey(jpeg) ** 1.3, grey(isp.render(raw, 1 / NEUTRAL, MATRIX)))  # another tone curve
    corners = np.array([[0, 0, 1], [size[1] - 1, 0, 1], [0, size[0] - 1, 1], [size[1] - 1, size[0] - 1, 1]])
    off = np.abs(corners @ (found.matrix - matrix).T).max() / max(scale, 1)
    assert found.turns == 0
    assert off < 0.25, off  # pixels of the coarser of the two, worst corner; seen: 0.14
    assert found.correlation > 0.9 and found.residual < 0.3


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_is_turned_back(turns):
    raw = landscape()
    jpeg = isp.render(raw[6:-6, 9:-9], 1 / NEUTRAL, MATRIX)
    found = align(np.ascontiguousarray(np.rot90(grey(jpeg), -turns)), grey(isp.render(raw, 1 / NEUTRAL, MATRIX)))
    assert found.turns == turns
    np.testing.assert_allclose(found.matrix, [[1, 0, 9], [0, 1, 6]], atol=0.1)


def test_another_picture_does_not_fit():
    found = align(grey(landscape(seed=1)), grey(landscape()))
    assert found.correlation < 0.4, found.correlation


def test_a_bent_picture_shows_in_the_residual():
    """Barrel distortion of 2 % at the corners, as of a compact whose JPEG is straightened and whose RAW is not."""
    raw = landscape()
    H, W = raw.shape[:2]
    x, y = np.meshgrid(np.arange(W) - W / 2, np.arange(H) - H / 2)
    bend = 1 - 0.03 + 0.05 * (x * x + y * y) / (W * W / 4 + H * H / 4)
    bent = cv2.remap(raw, (x * bend + W / 2).astype(np.float32), (y * bend + H / 2).astype(np.float32), 1)
    found = align(grey(bent), grey(raw))
    assert found.residual > 1.0, found.residual


def test_resampling_keeps_linear_ramps_and_means():
    y, x = np.mgrid[0:80, 0:120].astype(np.float32)
    ramp = np.stack([x, y], -1)
    matrix = np.array([[1.0, 0, 3.25], [0, 1.0, 5.5]])
    fine = resample(ramp, matrix, (60, 100))
    np.testing.assert_allclose(fine[10, 20], [23.25, 15.5], atol=0.02)  # OpenCV's map has 1/32 pixel
    coarse = resample(ramp, np.array([[4.0, 0, 1.5], [0, 4.0, 1.5]]), (20, 30))
    np.testing.assert_allclose(coarse[5, 7], [4 * 7 + 1.5, 4 * 5 + 1.5], atol=0.02)


def test_what_lies_outside_the_raw_is_cut_off():
    rows, columns = covered(np.array([[1.0, 0, -3.5], [0, 1.0, 2.0]]), (50, 60), (45, 70))
    assert (rows, columns) == (slice(0, 43), slice(4, 60))


# --- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def shot(tmp_path) -> Path:
    """A DNG and the JPEG of the same shot beside it: 5 and 3 pixels of border cut off, darker, quality 95."""
    raw = landscape()
    folder = tmp_path / "shots"
    folder.mkdir()
    write_dng(folder / "a.dng", np.rint(isp.mosaic(raw, "RGGB") * 65535).astype(np.uint16))
    save(folder / "a.JPG", raw[3:-3, 5:-5])
    return folder


def save(path: Path, raw: np.ndarray, **options) -> None:
    srgb = isp.render(raw, 1 / NEUTRAL, MATRIX) ** 1.1
    Image.fromarray(isp.quantise(srgb, 8)).save(path, quality=95, subsampling="4:4:4", **options)


def test_a_shot_becomes_the_pair_of_its_jpeg(cli, shot, tmp_path):
    code, out, err = cli("prepare", shot, "--srgb", "camera", "--split", "train", "-o", tmp_path / "d")
    assert (code, err) == (0, "")
    raw, srgb = (read_png(tmp_path / "d" / "train" / kind / "a.png") for kind in ("raw", "srgb"))
    with Image.open(shot / "a.JPG") as image:
        assert (srgb == np.asarray(image)).all()  # the camera's own codes
    true = landscape()[3:-3, 5:-5]
    error = np.abs(raw / 65535 - true)
    assert error.mean() < 0.004, error.mean()  # demosaic and a shift of a tenth of a pixel
    meta = json.loads((tmp_path / "d" / "dataset.json").read_text())
    image_facts = meta["images"]["a"]
    assert meta["isp"] is None and image_facts["jpeg"] == "a.JPG" and image_facts["turns"] == 0
    np.testing.assert_allclose(image_facts["jpeg_to_raw"], [[1, 0, 5], [0, 1, 3]], atol=0.15)
    assert "undone by ours" in out
    dataset = PairDataset.open(tmp_path / "d", "train", "acme-testcam-1")
    assert len(dataset) == 1 and not dataset.own_isp


def test_size_shrinks_both_alike(cli, shot, tmp_path):
    args = ("--srgb", "camera", "--split", "train", "--size", 355, "-o", tmp_path / "d", "--json")
    code, out, _ = cli("prepare", shot, *args)
    assert code == 0 and json.loads(out)["closed_form_psnr"] > 15
    raw, srgb = (read_png(tmp_path / "d" / "train" / kind / "a.png") for kind in ("raw", "srgb"))
    assert raw.shape == srgb.shape == (237, 355, 3) and srgb.dtype == np.uint8
    true = cv2.resize(landscape()[3:-3, 5:-5], (355, 237), interpolation=cv2.INTER_AREA)
    assert np.abs(raw / 65535 - true).mean() < 0.004


def test_another_shots_jpeg_is_refused_and_named(cli, shot, tmp_path):
    save(shot / "a.JPG", landscape(seed=1))
    code, _, err = cli("prepare", shot, "--srgb", "camera", "--split", "train", "-o", tmp_path / "d")
    assert code == 2 and err.count("\n") == 1
    assert "a.dng: a.JPG does not show the same shot" in err
    assert not (tmp_path / "d").exists()


def test_what_has_no_jpeg_is_refused_or_skipped(cli, shot, tmp_path):
    (shot / "b.dng").write_bytes((shot / "a.dng").read_bytes())
    args = ("prepare", shot, "--srgb", "camera", "--split", "train", "-o", tmp_path / "d")
    code, _, err = cli(*args)
    assert code == 2 and "b.dng: has no JPEG inside and none beside it; put b.jpg there" in err
    code, out, err = cli(*args, "--skip-bad", "--json")
    assert code == 0 and json.loads(out)["pairs"] == {"train": 1} and "b.dng" in json.loads(out)["skipped"][0]


@pytest.mark.parametrize("source", ["pack", "png"])
def test_only_camera_files_have_a_camera_jpeg(cli, pack, tmp_path, source):
    folder = tmp_path / "png"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"")
    path = pack if source == "pack" else folder
    code, _, err = cli("prepare", path, "--camera", "x", "--srgb", "camera", "-o", tmp_path / "d")
    assert code == 2 and "holds no camera files, and so no camera's JPEGs; leave out --srgb" in err


def test_sixteen_bits_of_a_jpeg_are_refused(cli, shot, tmp_path):
    code, _, err = cli("prepare", shot, "--srgb", "camera", "--srgb-bits", 16, "-o", tmp_path / "d")
    assert code == 2 and "a JPEG holds 8 bits" in err


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff text", "half", "grey"])
def test_what_is_no_colour_jpeg_is_named(shot, content):
    path = shot / "a.JPG"
    if content == "half":
        path.write_bytes(path.read_bytes()[:2000])
    elif content == "grey":
        Image.new("L", (64, 64)).save(path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.JPG: (holds no JPEG|is a JPEG in L)") as error:
        decode_jpeg(*find_jpeg(shot / "a.dng"))
    assert "\n" not in str(error.value)


def test_uncalibrated_colours_without_a_profile_are_refused(shot):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    save(shot / "a.JPG", landscape(), exif=exif)
    with pytest.raises(InputError, match="not in sRGB and carries no profile"):
        decode_jpeg(*find_jpeg(shot / "a.dng"))


# --- camera files -----------------------------------------------------------------------------------------------


def test_the_g10s_jpeg_lies_eight_and_seven_pixels_in(cli, data, tmp_path):
    """LibRaw shows 4432x3326 of the G10, its JPEG has 4416x3312: 8 and 7 pixels less on each side."""
    args = ("--srgb", "camera", "--split", "train", "-o", tmp_path / "d")
    assert cli("prepare", data / "raws" / "canon-powershot-g10.cr2", *args)[0] == 0
    facts = json.loads((tmp_path / "d" / "dataset.json").read_text())["images"]["canon-powershot-g10"]
    assert facts["jpeg"] == "canon-powershot-g10.jpg"
    np.testing.assert_allclose(np.array(facts["jpeg_to_raw"])[:, 2], [8, 7], atol=0.3)
    np.testing.assert_allclose(np.array(facts["jpeg_to_raw"])[:, :2], np.eye(2), atol=2e-4)
    assert facts["correlation"] > 0.95 and facts["residual_pixels"] < 0.5  # seen: 0.991, 0.24


@pytest.mark.parametrize(("name", "size"), [("canon-eos-30d.cr2", (1152, 1728)), ("nikon-d5000.dng", (850, 1280))])
def test_the_preview_inside_serves_where_no_jpeg_lies_beside(cli, data, tmp_path, name, size):
    args = ("--srgb", "camera", "--split", "train", "-o", tmp_path / "d")
    assert cli("prepare", data / "raws" / name, *args)[0] == 0
    path = Path(name)
    facts = json.loads((tmp_path / "d" / "dataset.json").read_text())["images"][path.stem]
    assert facts["jpeg"] == "embedded preview"
    assert facts["correlation"] > 0.95 and facts["residual_pixels"] < 0.3  # seen: 0.986, 0.09 and 0.996, 0.07
    shape = read_png(tmp_path / "d" / "train" / "srgb" / f"{path.stem}.png").shape[:2]
    assert all(0.98 * side <= have <= side for have, side in zip(shape, size, strict=True))
