"""What a user may hand over by mistake, through the command line: one line and exit code 2, or it works.

Nothing half-written stays. The decoders have their own tests; here the whole way counts.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from priorraw.errors import InputError
from random_assets import CAMERAS, write_random_assets
from samples import write_png16
from skimage.data import coffee

CAMERA = CAMERAS[0]
PHOTO = coffee()[100:148, 200:264]  # (48, 64, 3) uint8


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


def write_jpeg(path: Path, picture: np.ndarray = PHOTO, mode: str = "RGB") -> Path:
    Image.fromarray(picture).convert(mode).save(path, "JPEG", quality=95)
    return path


def missing(folder: Path) -> Path:
    return folder / "a.jpg"


def empty(folder: Path) -> Path:
    (folder / "a.jpg").write_bytes(b"")
    return folder / "a.jpg"


def truncated(folder: Path) -> Path:
    path = write_jpeg(folder / "a.jpg")
    path.write_bytes(path.read_bytes()[:-200])
    return path


def not_a_picture(folder: Path) -> Path:
    (folder / "a.jpg").write_text("a letter")
    return folder / "a.jpg"


def one_pixel(folder: Path) -> Path:
    return write_jpeg(folder / "a.jpg", PHOTO[:1, :1])


def with_nan(folder: Path) -> Path:
    picture = PHOTO.astype(np.float32) / 255
    picture[3, 4, 1] = np.nan
    tifffile.imwrite(folder / "a.tif", picture, photometric="rgb")
    return folder / "a.tif"


def a_folder(folder: Path) -> Path:
    (folder / "a.jpg").mkdir()
    return folder / "a.jpg"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing, "not found"),
        (empty, "is empty"),
        (truncated, "truncated or damaged"),
        (not_a_picture, "is no JPEG, PNG or TIFF"),
        (one_pixel, "1x1 is too small for a DNG"),
        (with_nan, "NaN"),
        (a_folder, "not readable"),
    ],
)
@pytest.mark.parametrize("command", ["reconstruct", "demo"])
def test_bad_photographs(cli, assets, tmp_path, command, make, reason):
    if (command, make) == ("demo", one_pixel):
        reason = "1x1 is too small to show anything"
    photo, out = make(tmp_path), tmp_path / "out" / "a.dng"
    args = {
        "reconstruct": ["reconstruct", photo, "-o", out, "--reliability", out.with_suffix(".png")],
        "demo": ["demo", "--photo", photo, "-o", out.with_suffix("")],
    }
    code, stdout, stderr = cli(*args[command], "--assets", assets, "--camera", CAMERA)
    assert (code, stdout) == (2, "")
    named = photo
    if (command, make) == ("reconstruct", a_folder):  # which is an archive
        named, reason = out, "names a file; an archive needs a folder"
    assert stderr.startswith(f"priorraw-edge: {named}: ")
    assert reason in stderr
    assert len(stderr.splitlines()) == 1
    assert not out.parent.exists() or not list(out.parent.iterdir())


def grey(folder: Path) -> Path:
    return write_jpeg(folder / "a.jpg", mode="L")


def cmyk(folder: Path) -> Path:
    return write_jpeg(folder / "a.jpg", mode="CMYK")


def alpha(folder: Path) -> Path:
    Image.fromarray(np.dstack([PHOTO, np.full(PHOTO.shape[:2], 128, np.uint8)])).save(folder / "a.png")
    return folder / "a.png"


def sixteen_bit(folder: Path) -> Path:
    write_png16(folder / "a.png", PHOTO.astype(np.uint16) * 257)
    return folder / "a.png"


def wide(folder: Path) -> Path:
    Image.fromarray(np.tile(PHOTO[:24], (1, 313, 1))[:, :20_000]).save(folder / "a.png")
    return folder / "a.png"


@pytest.mark.parametrize("make", [grey, cmyk, alpha, sixteen_bit, wide])
def test_unusual_photographs_work(cli, assets, tmp_path, make):
    photo, out = make(tmp_path), tmp_path / "a.npy"
    code, stdout, _ = cli("reconstruct", photo, "-o", out, "--assets", assets, "--camera", CAMERA, "--json")
    assert code == 0
    raw, told = np.load(out), json.loads(stdout)[0]
    assert raw.shape == (told["height"], told["width"], 3)
    assert raw.shape[1] == (20_000 if make is wide else 64)
    assert np.isfinite(raw).all()
    assert ((raw >= 0) & (raw <= 1)).all()
    assert bool(told["notes"]) == (make in (cmyk, alpha))  # what was decided is said


@pytest.mark.parametrize("side", [1, 7])
def test_tiny_photographs_work_where_the_format_allows(cli, assets, tmp_path, side):
    photo, out = write_jpeg(tmp_path / "a.jpg", PHOTO[:side, :side]), tmp_path / "a.tiff"
    code, _, _ = cli("reconstruct", photo, "-o", out, "--assets", assets, "--camera", CAMERA)
    assert code == 0
    assert tifffile.imread(out).shape == (side, side, 3)


def commands(photo: Path, out: Path) -> dict[str, list]:
    return {
        "reconstruct": ["reconstruct", photo, "-o", out],
        "export": ["export", "--target", "xnnpack", "-o", out],
        "demo": ["demo", "-o", out],
    }


@pytest.mark.parametrize("name", ["reconstruct", "export", "demo"])
def test_unknown_camera(cli, assets, tmp_path, name):
    args = commands(write_jpeg(tmp_path / "p.jpg"), tmp_path / "out.dng")[name]
    code, _, err = cli(*args, "--assets", assets, "--camera", "olympus-epl6")
    assert code == 2
    assert "camera 'olympus-epl6' is unknown; did you mean olympus-e-pl6?" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out.dng").exists()


@pytest.mark.parametrize("name", ["reconstruct", "export", "demo"])
@pytest.mark.parametrize("file", ["shared/encoder.safetensors", "shared/reconstructor.safetensors", "bank.safetensors"])
def test_changed_assets_are_refused(cli, assets, tmp_path, name, file):
    changed = shutil.copytree(assets, tmp_path / "assets")
    path = changed / (file if "/" in file else f"{CAMERA}/{file}")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    args = commands(write_jpeg(tmp_path / "p.jpg"), tmp_path / "out.dng")[name]
    code, _, err = cli(*args, "--assets", changed, "--camera", CAMERA)
    assert code == 2
    assert f"{path}: was changed (sha256 differs" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out.dng").exists()


def test_an_asset_folder_that_is_not_there(cli, tmp_path):
    code, _, err = cli("demo", "-o", tmp_path / "out", "--assets", tmp_path / "none")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "no such asset folder" in err


def test_dataset_without_pairs(cli, assets, tmp_path):
    dataset = tmp_path / "data"
    for args in (
        ["evaluate", dataset, "--assets", assets],
        ["demo", "-o", tmp_path / "out", "--dataset", dataset, "--assets", assets, "--camera", CAMERA],
    ):
        for step in ("missing", "empty", "no pairs"):
            if step == "empty":
                dataset.mkdir()
            elif step == "no pairs":
                meta = {"camera": CAMERA, "color_matrix": np.eye(3).tolist(), "images": {}}
                (dataset / "dataset.json").write_text(json.dumps(meta))
            code, out, err = cli(*args)
            assert (code, out) == (2, "")
            assert str(dataset) in err
            assert len(err.splitlines()) == 1
        assert "holds no pairs in split 'test'" in err
        shutil.rmtree(dataset)
    assert not (tmp_path / "out").exists()


def test_the_demo_replaces_only_its_own_folder(cli, assets, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    code, _, err = cli("demo", "-o", tmp_path, "--assets", assets)
    assert code == 2
    assert f"{tmp_path}: not empty and holds no report.html" in err
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_what_a_damaged_file_says_of_itself_stays_on_one_line():
    error = InputError("a.json: no 'key\nname\x1b[2J'; export it again")
    assert str(error) == "a.json: no 'key name [2J'; export it again"
