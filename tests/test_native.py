"""The C++ runner against Python: the same pictures, thumbnails, tiles and results."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import tifffile
from native_runner import bundle, check, check_on_arm, copy_bundle, native, read_manifest, replace
from PIL import Image, ImageCms
from priorraw import isp
from priorraw.assets import load_assets
from priorraw.pictures import thumbnail_of
from priorraw_edge.runtime.engine import BundleEngine
from priorraw_edge.runtime.reconstruct import reconstruct
from safetensors.numpy import load_file, save
from tile_vectors import FILE as TILE_VECTORS

PHOTO = skimage.data.chelsea()[40:180, 100:310]  # (140, 210, 3) uint8: 8 tiles of 128
FORMAT_PHOTO = skimage.data.coffee()[100:164, 200:264]  # (64, 64, 3): its thumbnail is itself


def read_f32(path: Path, *shape: int) -> np.ndarray:
    return np.fromfile(path, "<f4").reshape(shape)


def reconstructed(folder: Path, tmp_path: Path, *options: object) -> tuple[np.ndarray, np.ndarray, dict]:
    """PHOTO through the runner: raw-RGB, reliability, and what it said as JSON."""
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    out, trust = tmp_path / "out.f32", tmp_path / "trust.f32"
    arguments = (folder, tmp_path / "photo.png", "-o", out, "--reliability", trust, "--json", *options)
    code, said, err = native(*arguments)
    assert (code, err) == (0, "")
    return read_f32(out, *PHOTO.shape), read_f32(trust, *PHOTO.shape[:2]), json.loads(said)


def test_a_photograph_gives_what_python_gives(tmp_path):
    raw, reliability, said = reconstructed(bundle(), tmp_path)
    expected = reconstruct(isp.dequantise(PHOTO), BundleEngine(bundle()))
    # ExecuTorch 1.5 here, 1.4 there, and thumbnails that may differ in the last bit. Seen: 0 and 1.2e-7.
    assert np.abs(raw - expected.raw).max() < 1e-5
    assert np.abs(reliability - expected.reliability).max() < 1e-5
    assert np.ptp(raw) > 0.3
    assert (said["camera"], said["width"], said["height"], said["tiles"]) == ("sony-imx135", 210, 140, 6)
    assert 0 < said["tile_ms"] < said["total_ms"]
    assert 20 < said["peak_memory_mb"] < 2000  # seen: 60


def test_int8_gives_what_python_gives(tmp_path):
    raw, _, said = reconstructed(bundle("int8"), tmp_path)
    expected = reconstruct(isp.dequantise(PHOTO), BundleEngine(bundle("int8")))
    # A value that rounds to the other side moves by a step of int8; the mean shows that few do. Seen: 0 and 0.
    assert np.abs(raw - expected.raw).max() < 5e-3
    assert np.abs(raw - expected.raw).mean() < 1e-5
    assert said["precision"] == "int8"


def test_another_bank_of_the_bundle(tmp_path):
    from priorraw_edge.export.bundle import add_bank

    folder = copy_bundle(tmp_path / "bundle")
    add_bank(folder, read_manifest(folder), load_assets("olympus-e-pl6"), lambda *_: {})
    raw, _, said = reconstructed(folder, tmp_path, "--camera", "olympus-e-pl6", "--threads", 1)
    expected = reconstruct(isp.dequantise(PHOTO), BundleEngine(folder, "olympus-e-pl6"))
    assert np.abs(raw - expected.raw).max() < 1e-5  # seen: 9e-8
    assert (said["camera"], said["threads"]) == ("olympus-e-pl6", 1)
    default = reconstructed(folder, tmp_path)[0]
    assert np.abs(raw - default).max() > 0.01  # the banks are not alike; seen: 0.05

    code, out, _ = native("--self-test", folder, "--json")
    tested = json.loads(out)["outputs"]
    assert code == 0
    assert {(t["camera"], t["output"]) for t in tested} == {
        (camera, output) for camera in ("olympus-e-pl6", "sony-imx135") for output in ("scene", "raw", "reliability")
    }


# --- the self-test --------------------------------------------------------------------------------------------


def golden_changed(folder: Path, name: str, by: float) -> Path:
    """The copied bundle with one golden output moved, all hashes in order."""
    file = "golden/sony-imx135.safetensors"
    golden = load_file(folder / file)
    golden[name] = golden[name] + np.float32(by)
    replace(folder, file, save(golden))
    return folder


def test_the_self_test_passes_and_times(tmp_path):
    code, out, err = native("--self-test", bundle(), "--bench", "--json")
    said = json.loads(out)
    assert (code, err, said["passed"]) == (0, "", True)
    assert all(t["psnr"] > 125 and t["bound"] == 100 for t in said["outputs"])  # seen: 144 to 146
    assert said["bench"]["scene_ms"] > 0 < said["bench"]["tile_ms"]
    code, out, _ = native("--self-test", bundle())
    assert code == 0
    assert out.count("\n") == 3
    assert out.count("ok") == 3


@pytest.mark.parametrize("name", ["raw", "reliability"])
def test_the_self_test_finds_a_difference(tmp_path, name):
    """5e-6 everywhere is 106 dB and passes, 2e-5 is 94 dB."""
    folder = copy_bundle(tmp_path / "bundle")
    code, out, _ = native("--self-test", golden_changed(folder, name, 5e-6), "--json")
    assert code == 0
    code, out, _ = native("--self-test", golden_changed(folder, name, 1.5e-5), "--json")
    assert code == 1
    failed = [t for t in json.loads(out)["outputs"] if not t["passed"]]
    assert [t["output"] for t in failed] == [name]
    assert 92 < failed[0]["psnr"] < 96
    golden_changed(folder, name, np.nan)
    code, out, _ = native("--self-test", folder)
    assert (code, out.count("FAILED")) == (1, 1)


def test_the_self_test_finds_a_difference_of_the_scene(tmp_path):
    """1e-4 everywhere is 80 dB; the tile program, which takes the golden scene, departs with it."""
    code, out, _ = native("--self-test", golden_changed(copy_bundle(tmp_path / "bundle"), "scene", 1e-4), "--json")
    scene = json.loads(out)["outputs"][0]
    assert (code, scene["output"], scene["passed"]) == (1, "scene", False)
    assert 79.9 < scene["psnr"] < 80.1


# --- parts of it ----------------------------------------------------------------------------------------------


def test_tiles_are_planned_as_python_plans_them(tmp_path):
    code, _, err = check("tiles", TILE_VECTORS)
    assert (code, err) == (0, "")
    changed = tmp_path / "tiles.json"
    changed.write_text(TILE_VECTORS.read_text().replace("[0,0,0,80,", "[0,0,0,81,", 1))
    code, _, err = check("tiles", changed)
    assert code == 1
    assert "planned otherwise" in err


def thumbnail(path: Path) -> np.ndarray:
    """The runner's thumbnail of a picture file, (64, 64, 3)."""
    code, _, err = check("thumbnail", path, path.with_suffix(".thumbnail"))
    assert (code, err) == (0, "")
    return read_f32(path.with_suffix(".thumbnail"), 3, 64, 64).transpose(1, 2, 0)


@pytest.fixture
def plain_opencv():
    """OpenCV without vector instructions, which round the last bit as they please."""
    cv2.setUseOptimized(False)
    yield
    cv2.setUseOptimized(True)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 64), (63, 200), (192, 192), (300, 451), (64, 1000)])
def test_the_thumbnail_is_bit_for_bit_opencvs(tmp_path, plain_opencv, size):
    photo = cv2.resize(skimage.data.chelsea(), size[::-1])
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    assert np.array_equal(thumbnail(tmp_path / "photo.ppm"), thumbnail_of(isp.dequantise(photo)))


@pytest.mark.parametrize("size", [(128, 128), (300, 451)])
def test_the_thumbnail_is_that_of_the_model(tmp_path, size):
    photo = cv2.resize(skimage.data.chelsea(), size[::-1])
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    found = thumbnail(tmp_path / "photo.ppm")
    assert np.abs(found - thumbnail_of(isp.dequantise(photo))).max() < 2e-7  # seen: 1.2e-7


def test_parts_of_it_are_the_same_on_arm(tmp_path):
    """The thumbnail bit for bit: nowhere is a product fused with its sum."""
    photo = tmp_path / "photo.png"
    Image.fromarray(skimage.data.chelsea()).save(photo)
    code, _, err = check_on_arm("thumbnail", photo, tmp_path / "arm")
    assert (code, err) == (0, "")
    assert np.array_equal(read_f32(tmp_path / "arm", 3, 64, 64).transpose(1, 2, 0), thumbnail(photo))
    assert check_on_arm("tiles", TILE_VECTORS)[0] == 0


def save_ppm16(path: Path, codes: np.ndarray) -> None:
    path.write_bytes(b"P6 # a comment\n64\n64 65535\n" + codes.astype(">u2").tobytes())


CODES16 = FORMAT_PHOTO.astype(np.uint16) * 257 - FORMAT_PHOTO  # uses the low byte
GREY = FORMAT_PHOTO[..., 1]
PALETTE = Image.fromarray(FORMAT_PHOTO).quantize(16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("name", "write", "expected"),
    [
        ("rgb.png", lambda p: Image.fromarray(FORMAT_PHOTO).save(p), FORMAT_PHOTO),
        ("srgb.png", lambda p: Image.fromarray(FORMAT_PHOTO).save(p, icc_profile=SRGB), FORMAT_PHOTO),
        ("rgb16.png", lambda p: cv2.imwrite(str(p), CODES16[..., ::-1]), CODES16),
        ("grey.png", lambda p: Image.fromarray(GREY).save(p), GREY[..., None]),
        ("grey16.png", lambda p: cv2.imwrite(str(p), CODES16[..., 1]), CODES16[..., 1:2]),
        ("grey1.png", lambda p: Image.fromarray(GREY > 90).save(p), ((GREY > 90) * np.uint8(255))[..., None]),
        ("palette.png", lambda p: PALETTE.save(p), np.asarray(PALETTE.convert("RGB"))),
        ("rgb.ppm", lambda p: Image.fromarray(FORMAT_PHOTO).save(p), FORMAT_PHOTO),
        ("rgb16.ppm", lambda p: save_ppm16(p, CODES16), CODES16),
    ],
)
def test_picture_formats(tmp_path, name, write, expected):
    write(tmp_path / name)
    found = thumbnail(tmp_path / name)
    assert np.array_equal(found, np.broadcast_to(isp.dequantise(expected), found.shape))


def test_raw_float_in_and_every_format_out(tmp_path):
    isp.dequantise(FORMAT_PHOTO).astype("<f4").tofile(tmp_path / "photo.f32")
    Image.fromarray(FORMAT_PHOTO).save(tmp_path / "photo.png")

    def run(picture, suffix, *options):
        out, trust = tmp_path / f"raw{suffix}", tmp_path / f"trust{suffix}"
        code, said, err = native(bundle(), tmp_path / picture, "-o", out, "--reliability", trust, *options)
        assert (code, err, said.count("\n")) == (0, "", 1)
        return out, trust

    out, trust = run("photo.f32", ".f32", "--size", "64x64")
    raw, reliability = read_f32(out, 64, 64, 3), read_f32(trust, 64, 64)
    for suffix, read in ((".tiff", tifffile.imread), (".PNG", lambda p: cv2.imread(str(p), cv2.IMREAD_UNCHANGED))):
        out, trust = run("photo.png", suffix)
        found = read(out)[..., ::-1] if suffix == ".PNG" else read(out)
        assert np.array_equal(found, isp.quantise(raw, 16))
        assert np.array_equal(read(trust), isp.quantise(reliability, 16))
        assert out.stat().st_mode & 0o777 == 0o644
    with tifffile.TiffFile(tmp_path / "raw.tiff") as tiff:
        assert "camera sony-imx135" in tiff.pages[0].description
        assert tiff.pages[0].photometric.name == "RGB"
    assert Image.open(tmp_path / "raw.PNG").text["Description"].startswith("linear raw-RGB, 65535 = white level")


def test_help_and_version():
    code, out, _ = native("--help")
    assert (code, "usage: priorraw-native BUNDLE PICTURE" in out) == (0, True)
    code, out, _ = native("--version")
    assert (code, out) == (0, "priorraw-native 0.1.0, ExecuTorch 1.5.1\n")
