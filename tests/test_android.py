"""The Android demo on the desktop JVM against Python: the same raw-RGB, light, tags and refusals."""

import json
import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import rawpy
import skimage.data
import tifffile
from android_runner import BUILT, CI, ROOT, bundle, demo, need_toolchain, priorraw, script
from editors import validate
from native_runner import flipped
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from priorraw import isp
from priorraw_edge.runtime.engine import BundleEngine
from priorraw_edge.runtime.exif import EXIF_IFD
from priorraw_edge.runtime.reconstruct import reconstruct
from skimage.metrics import peak_signal_noise_ratio

from benchmarks import editors as raw_editors

DEMO = ROOT / "android_demo"
PHOTO = skimage.data.chelsea()[40:180, 100:310]  # (140, 210, 3) uint8
SUB_IFDS = 330
# Where and how pixels lie differs by design: one uncompressed strip here, lossless tiles there.
LAYOUT = {256, 257, 258, 259, 273, 277, 278, 279, 282, 283, 284, 296, 322, 323, 324, 325, 339}
POINTERS = {SUB_IFDS, EXIF_IFD}


# A serial number; values that the standard does not know; a number over zero; a day that there is not.
STRANGE = {42033: "serial", 37385: 12, 41986: 9, 37386: IFDRational(5, 0), 36868: "2024:02:30 07:08:09"}


def photo(path: Path, orientation: int = 1) -> Path:
    """PHOTO as a PNG that says how it was taken, and what no DNG may repeat: STRANGE."""
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[315] = "Acme\x1b[31m\n", "Acme 7 \xe9", orientation, "José".encode()
    exif.get_ifd(EXIF_IFD).update(
        {33437: IFDRational(28, 10), 34855: 200, 36867: "2024:05:06 07:08:09", 42036: "L" * 1200, **STRANGE}
    )
    Image.fromarray(PHOTO).save(path, exif=exif)
    return path


def python_dng(out: Path, picture: Path) -> Path:
    priorraw("reconstruct", "--bundle", bundle(), "--camera", "sony-imx135", picture, "-o", out)
    return out


def kotlin_dng(out: Path, picture: Path) -> tuple[Path, dict]:
    code, said, err = demo(bundle(), picture, out)
    assert (code, err) == (0, "")
    return out, json.loads(said)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path, dict]:
    """A photograph that lies on its side as DNG: Python's, Kotlin's, and what Kotlin said."""
    need_toolchain()
    folder = tmp_path_factory.mktemp("android")
    picture = photo(folder / "photo.png", orientation=6)
    out, said = kotlin_dng(folder / "kotlin.dng", picture)
    return python_dng(folder / "python.dng", picture), out, said


def test_the_units_pass_on_the_jvm():
    need_toolchain()
    done = script("jvm.sh", "test", bundle())
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^OK \((\d+) tests\)$", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) >= 51, done.stdout


def test_a_photograph_gives_what_python_gives(pair):
    python, kotlin, said = pair
    with rawpy.imread(str(python)) as theirs, rawpy.imread(str(kotlin)) as ours:
        expected, found = (file.raw_image_visible[..., :3].astype(int) for file in (theirs, ours))
        assert found.shape == (210, 140, 3)
        # Thumbnails that differ in the last bit, ExecuTorch 1.5 here and 1.4 there. Seen: 1 code, in 0.06 % of values.
        assert np.abs(found - expected).max() <= 2
        assert (found != expected).mean() < 0.01
        assert np.ptp(found) > 20_000
        assert ours.camera_whitebalance == pytest.approx(theirs.camera_whitebalance, abs=1e-5)  # seen: equal
        assert ours.white_level == theirs.white_level
    assert (said["camera"], said["width"], said["height"]) == ("sony-imx135", 140, 210)


def test_libraw_develops_both_alike(pair):
    options = {"use_camera_wb": True, "no_auto_bright": True, "adjust_maximum_thr": 0, "output_bps": 8}
    pictures = []
    for path in pair[:2]:
        with rawpy.imread(str(path)) as file:
            pictures.append(file.postprocess(**options))
    assert peak_signal_noise_ratio(*pictures) > 60  # seen: 98 dB
    assert pictures[0].std() > 20


@pytest.mark.parametrize("editor", [raw_editors.darktable, raw_editors.rawtherapee])
def test_editors_develop_both_alike(pair, tmp_path, editor):
    if missing := raw_editors.missing():
        pytest.skip(missing)
    expected, found = (editor(path, tmp_path) for path in pair[:2])
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() * 255 < 0.05  # seen: 0.0001
    assert found.std() > 0.1
    assert validate(pair[1]).endswith("OK")


def tags_of(path: Path) -> tuple[dict, dict, dict]:
    """Tags of the first directory, the picture's and the EXIF directory: code to type and value."""
    with tifffile.TiffFile(path) as file:
        first = file.pages[0]
        main_page = first.pages[0]
        exif = first.tags[EXIF_IFD].value
        tables = [
            {tag.code: (int(tag.dtype), tag.value) for tag in page.tags if tag.code not in LAYOUT | POINTERS}
            for page in (first, main_page)
        ]
    return tables[0], tables[1], exif


def test_the_dng_has_the_tags_of_pythons(pair):
    for expected, found in zip(*map(tags_of, pair[:2]), strict=True):
        assert found.keys() == expected.keys()
        different = {code for code in found if found[code] != expected[code]}
        assert different <= {50728}, {code: (found[code], expected[code]) for code in different}  # AsShotNeutral: above
    exif = tags_of(pair[1])[2]
    assert (exif["FNumber"], exif["ISOSpeedRatings"], len(exif["LensModel"])) == ((14, 5), 200, 1000)
    assert not {"BodySerialNumber", "Flash", "ExposureMode", "FocalLength", "DateTimeDigitized"} & exif.keys()
    assert tags_of(pair[1])[0][270][1] == "Rebuilt from a picture by Acme 7 ?, no sensor's own data"


def test_the_preview_is_the_photograph(pair):
    previews = []
    for path in pair[:2]:
        with tifffile.TiffFile(path) as file:
            previews.append(file.pages[0].asarray().astype(float))
    assert previews[0].shape == previews[1].shape == (210, 140, 3)
    upright = np.rot90(PHOTO, -1).astype(float)
    # Two encoders of one picture. Seen: 3.9 codes between them, 4.2 to the photograph itself.
    assert np.abs(previews[0] - previews[1]).mean() < 5
    assert np.abs(previews[1] - upright).mean() < 5


def test_another_bank_of_ones_own(tmp_path):
    assets = ROOT / "prior_assets" / "olympus-e-pl6" / "bank.safetensors"
    picture = photo(tmp_path / "photo.png")
    code, said, err = demo(bundle(), picture, tmp_path / "kotlin.dng", assets)
    assert (code, err, json.loads(said)["camera"]) == (0, "", "olympus-e-pl6")
    priorraw("reconstruct", "--bundle", bundle(), "--bank", assets, picture, "-o", tmp_path / "python.dng")
    with (
        rawpy.imread(str(tmp_path / "python.dng")) as theirs,
        rawpy.imread(str(tmp_path / "kotlin.dng")) as ours,
    ):
        difference = ours.raw_image_visible.astype(int) - theirs.raw_image_visible
        assert np.abs(difference).max() <= 2  # seen: 1


def test_the_screen_shows_what_the_isp_renders(tmp_path):
    """Both halves of the app's view at one stop more against `isp`: the JPEG's codes scaled, the RAW developed."""
    need_toolchain()
    picture = photo(tmp_path / "photo.png")
    code, _, err = demo("--look", 1, bundle(), picture, tmp_path / "look.png")
    assert (code, err) == (0, "")
    shown = np.asarray(Image.open(tmp_path / "look.png")).astype(int)
    left, right = shown[:, :210], shown[:, 210:]
    srgb = isp.dequantise(PHOTO)
    jpeg = isp.quantise(isp.srgb_encode(np.clip(2 * isp.srgb_decode(srgb), 0, 1)), 8)
    assert np.abs(left - jpeg).max() <= 1  # seen: 0
    result = reconstruct(srgb, BundleEngine(bundle()))
    gains = 2 * isp.gains_from_illuminant(result.neutral)
    developed = isp.quantise(isp.render(result.raw, gains, result.color_matrix), 8)
    assert np.abs(right - developed).max() <= 1  # seen: 1, in 0.008 % of values
    assert np.abs(left - right).max() > 20


def test_the_desktop_screen_shows_both_halves_and_its_dials_move_them(tmp_path):
    """Where they lie is the layout's matter: the photograph enlarged is found left, the RAW right of the middle."""
    picture = photo(tmp_path / "photo.png")
    shown = []
    for ev in (0, 2):
        code, _, err = demo("--screen", bundle(), picture, tmp_path / "screen.png", ev, 0)
        assert (code, err) == (0, "")
        shown.append(cv2.imread(str(tmp_path / "screen.png"))[..., ::-1])
    assert shown[0].shape == (800, 900, 3)
    enlarged = cv2.resize(PHOTO, (900, 600))
    places = {}
    for side, part in (("left", np.s_[:, 60:440]), ("right", np.s_[:, 460:840])):
        match = cv2.matchTemplate(shown[0], np.ascontiguousarray(enlarged[part][50:-50]), cv2.TM_CCOEFF_NORMED)
        _, score, _, (x, y) = cv2.minMaxLoc(match)
        places[side] = (x, y)
        assert score > 0.9, side
        assert shown[1][y : y + 500, x : x + 380].mean() > shown[0][y : y + 500, x : x + 380].mean() + 30
    assert abs(places["left"][0] - 60) <= 1 and abs(places["right"][0] - 460) <= 1
    assert abs(places["left"][1] - places["right"][1]) <= 1
    below = shown[0][max(places.values())[1] + 560 :]
    assert (below < 100).all(-1).sum() > 300  # words and dials


def test_a_12_megapixel_photograph(data, tmp_path):
    """The app's own bundle on a camera's JPEG, laid down as PNG so that one decoder reads it."""
    own = BUILT / "assets" / "bundle"
    if not own.exists():
        pytest.skip("needs the app's bundle: make android-assets")
    picture = tmp_path / "photo.png"
    with Image.open(data / "raws" / "canon-powershot-g10.jpg") as camera:
        camera.convert("RGB").crop((0, 0, 4000, 3000)).save(picture, compress_level=1)
    code, said, err = demo(own, picture, tmp_path / "kotlin.dng", heap="400m")
    assert (code, err, json.loads(said)["tiles"]) == (0, "", 48)
    priorraw("reconstruct", "--bundle", own, "--camera", "sony-imx135", picture, "-o", tmp_path / "python.dng")
    worst, other = 0, 0.0
    with rawpy.imread(str(tmp_path / "python.dng")) as theirs, rawpy.imread(str(tmp_path / "kotlin.dng")) as ours:
        for top in range(0, 3000, 500):  # parts: the whole takes a gigabyte
            part = [file.raw_image_visible[top : top + 500, :, :3].astype(int) for file in (theirs, ours)]
            worst = max(worst, int(np.abs(part[0] - part[1]).max()))
            other += float((part[0] != part[1]).mean()) / 6
        assert ours.camera_whitebalance == pytest.approx(theirs.camera_whitebalance, abs=1e-5)  # seen: equal
    assert worst <= 8 and other < 0.02  # seen: 4 codes, in 0.4 % of values: the bundle is int8


def refusal(*arguments: object, **options) -> str:
    """The kind of problem that the demo names, in one line."""
    code, out, err = demo(*arguments, **options)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err.split(":")[0]


def test_bad_input_is_refused_and_leaves_no_dng(tmp_path):
    need_toolchain()
    picture, out = photo(tmp_path / "photo.png"), tmp_path / "out" / "photo.dng"
    out.parent.mkdir()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "half.png").write_bytes(picture.read_bytes()[:5000])
    Image.fromarray(PHOTO[:20]).save(tmp_path / "small.png")
    Image.new("L", (6000, 4500)).save(tmp_path / "large.png")
    tampered = shutil.copytree(bundle(), tmp_path / "bundle")
    (tampered / "tile.pte").write_bytes(flipped((bundle() / "tile.pte").read_bytes(), 0.7))

    assert refusal(bundle(), tmp_path / "text.jpg", out) == "NOT_A_PICTURE"
    assert refusal(bundle(), tmp_path / "half.png", out) in ("NOT_A_PICTURE", "GONE")
    assert refusal(bundle(), tmp_path / "absent.png", out) == "GONE"
    assert refusal(bundle(), tmp_path / "small.png", out) == "TOO_SMALL"
    assert refusal(bundle(), tmp_path / "large.png", out, heap="40m") == "LOW_MEMORY"
    assert refusal(tampered, picture, out) == "BUNDLE"
    assert refusal(bundle(), picture, out, "leica") == "BANK"
    assert refusal(bundle(), picture, out, bundle() / "banks" / "sony-imx135.safetensors") == "BANK"  # no metadata
    assert refusal(bundle(), picture, tmp_path / "absent" / "photo.dng") == "STORAGE"
    assert list(out.parent.iterdir()) == []


def test_a_full_disk_leaves_no_dng(tmp_path):
    picture, out = photo(tmp_path / "photo.png"), tmp_path / "out" / "photo.dng"
    out.parent.mkdir()
    full = ("prlimit", "--fsize=100000")  # bytes; the DNG has 190,000
    # A dump of the JVM's shared data would also be cut short.
    assert refusal(bundle(), picture, out, before=full) == "STORAGE"
    assert list(out.parent.iterdir()) == []


def test_the_gradle_files_agree():
    """What can be checked without Gradle: the catalog parses, and every name that the build files take is in it."""
    catalog = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())
    known = {f"libs.{name.replace('-', '.')}" for name in catalog["libraries"]}
    known |= {f"libs.plugins.{name.replace('-', '.')}" for name in catalog["plugins"]}
    known |= {f"libs.versions.{name}.get" for name in catalog["versions"]}
    builds = [DEMO / "build.gradle.kts", *sorted(DEMO.glob("*/build.gradle.kts"))]
    assert [path.parent.name for path in builds[1:]] == ["app", "core", "engine-et"]
    taken = set(re.findall(r"\blibs(?:\.\w+)+", "\n".join(path.read_text() for path in builds)))
    assert taken and taken <= known
    entries = [*catalog["libraries"].values(), *catalog["plugins"].values()]
    assert {entry["version"]["ref"] for entry in entries} <= catalog["versions"].keys()
    included = re.search(r"include\((.*)\)", (DEMO / "settings.gradle.kts").read_text())[1]
    assert sorted(re.findall(r":([\w-]+)", included)) == ["app", "core", "engine-et"]


def test_the_app_has_no_words_of_its_own_and_asks_for_nothing():
    sources = DEMO / "app" / "src" / "main"
    manifest = (sources / "AndroidManifest.xml").read_text()
    assert "uses-permission" not in manifest
    layouts = "".join(path.read_text() for path in sources.glob("res/*/*.xml") if path.parent.name != "values")
    texts = re.findall(r'android:(?:text|title|label|contentDescription)="([^"]*)"', layouts + manifest)
    assert texts and all(text.startswith("@string/") for text in texts)


def test_a_spoilt_apk_is_not_passed(tmp_path):
    """`make android` inspects what it built; the inspection itself finds a changed byte and a permission."""
    apk = BUILT / "app-ci.apk"
    if not apk.exists():
        pytest.skip("needs the packaging check: make android")
    spoilt = tmp_path / "spoilt.apk"
    with zipfile.ZipFile(apk) as archive, zipfile.ZipFile(spoilt, "w") as copy:
        for info in archive.infolist():
            data = archive.read(info)
            copy.writestr(info, flipped(data, 0.5) if info.filename.endswith("tile.pte") else data)
    command = ["python3", CI / "inspect_apk.py", spoilt, BUILT / "toolchain" / "aapt2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "tile.pte is missing or differs" in done.stderr
    assert "no valid signature v2" in done.stderr
