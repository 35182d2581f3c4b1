"""Streamed results against the same picture whole in memory: bit for bit, whatever the file and the format."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image
from priorraw import isp
from priorraw.assets import load_assets
from priorraw_edge.runtime import dng
from priorraw_edge.runtime import engine as engines
from priorraw_edge.runtime.engine import EagerEngine
from priorraw_edge.runtime.outputs import Job, write_outputs
from priorraw_edge.runtime.picture import read_picture, thumbnail
from priorraw_edge.runtime.reconstruct import Reconstruction, reconstruct
from priorraw_edge.runtime.source import ArraySource, thumbnail_of_source
from test_icc import LINEAR_SRGB
from test_reconstruct import ClosedForm

PHOTO = skimage.data.chelsea()  # (300, 451, 3) uint8: 3 rows of tiles of `ClosedForm`, 2 of the DNG


@pytest.fixture(autouse=True)
def closed_form(monkeypatch):
    monkeypatch.setattr(engines, "open_engine", lambda camera, **options: ClosedForm())


def turned_jpeg(path, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(path, exif=exif)


def transparent_png(path):
    alpha = np.linspace(0, 255, PHOTO[..., 0].size).astype(np.uint8).reshape(PHOTO.shape[:2])
    Image.fromarray(np.dstack([PHOTO, alpha])).save(path)


FILES = {
    **{f"{i}.jpg": lambda path, i=i: turned_jpeg(path, i) for i in range(1, 9)},
    "progressive.jpg": lambda path: Image.fromarray(PHOTO).save(path, progressive=True),
    "grey.jpg": lambda path: Image.fromarray(PHOTO[..., 1]).save(path),
    "cmyk.jpg": lambda path: Image.fromarray(PHOTO).convert("CMYK").save(path),
    "a.png": lambda path: Image.fromarray(PHOTO).save(path),
    "sixteen.png": lambda path: cv2.imwrite(str(path), PHOTO.astype(np.uint16) * 257 - 7),
    "alpha.png": transparent_png,
    "palette.png": lambda path: Image.fromarray(PHOTO).quantize(7).save(path),
    "profile.png": lambda path: Image.fromarray(PHOTO).save(path, icc_profile=LINEAR_SRGB),
    "a.tif": lambda path: tifffile.imwrite(path, PHOTO, photometric="rgb"),
    "turned.tif": lambda path: tifffile.imwrite(
        path, PHOTO.astype(np.uint16) * 257, photometric="rgb", extratags=[(274, 3, 1, 7, True)], rowsperstrip=11
    ),
    "float.tif": lambda path: tifffile.imwrite(path, PHOTO.astype(np.float32) / 300, photometric="rgb"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_streams_to_what_it_is_whole(cli, tmp_path, name):
    photo = tmp_path / name
    FILES[name](photo)
    code, printed, said = cli("reconstruct", photo, "-o", tmp_path / "s.npy", "--json")
    assert code == 0, said
    picture = read_picture(photo)
    whole = reconstruct(picture.srgb, ClosedForm())
    assert np.array_equal(np.load(tmp_path / "s.npy"), whole.raw)
    (facts,) = json.loads(printed)
    assert facts["neutral"] == [round(float(v), 6) for v in whole.neutral]
    assert facts["reliability_mean"] == round(float(whole.reliability.mean(dtype="float64")), 4)
    assert facts["notes"] == list(picture.notes)


@pytest.mark.parametrize("width", [451, 120])  # JPEG tiles, or a strip where the picture is narrower than a tile
@pytest.mark.parametrize("file_format", ["dng", "tiff", "npy"])
def test_every_format_holds_the_bytes_of_the_whole_picture(cli, tmp_path, file_format, width):
    photo = tmp_path / "a.png"
    Image.fromarray(PHOTO[:, :width]).save(photo)
    out = tmp_path / f"s.{file_format}"
    assert cli("reconstruct", photo, "-o", out, "--reliability", tmp_path / "s.png")[0] == 0
    whole = reconstruct(read_picture(photo).srgb, ClosedForm())
    write_outputs(whole, Job(photo, tmp_path / "w", file_format, tmp_path / "w.png"))
    assert out.read_bytes() == (tmp_path / "w").read_bytes()
    for name in ("s.png", "w.png"):
        assert (np.asarray(Image.open(tmp_path / name)) == PHOTO[:, :width, 1]).all()

    written_at_once(tmp_path / "t", file_format, whole)
    assert out.read_bytes() == (tmp_path / "t").read_bytes()


def written_at_once(path, file_format: str, whole: Reconstruction) -> None:
    """The libraries' own writers, with the whole picture in hand; a DNG in one part (test_dng reads it back)."""
    if file_format == "npy":
        with path.open("wb") as file:
            np.save(file, whole.raw)
        return
    options: dict = {"metadata": None, "software": "PriorRAW Edge"}
    if file_format == "tiff":
        neutral = " ".join(f"{value:.6f}" for value in whole.neutral)
        text = f"linear raw-RGB of camera sony-imx135, 65535 = white level; AsShotNeutral {neutral}"
        options |= {"photometric": "rgb", "description": text}
    else:
        header = dng.DngHeader(whole.camera, whole.color_matrix, whole.preview)
        dng.write_dng_rows(path, iter([isp.quantise(whole.raw, 16)]), *whole.raw.shape[:2], header)
        dng.write_neutral(path, whole.neutral)
        return
    tifffile.imwrite(path, isp.quantise(whole.raw, 16), **options)


def test_the_map_of_one_pixel_and_of_one_column(cli, tmp_path):
    for size in ((1, 1), (300, 1)):
        Image.fromarray(PHOTO[: size[0], : size[1]]).save(tmp_path / "a.png")
        assert (
            cli("reconstruct", tmp_path / "a.png", "-o", tmp_path / "a.tif", "--reliability", tmp_path / "m.png")[0]
            == 0
        )
        assert (np.asarray(Image.open(tmp_path / "m.png")) == PHOTO[: size[0], : size[1], 1]).all()


@pytest.mark.parametrize(
    "size", [(1, 1), (64, 64), (64, 128), (128, 128), (63, 65), (275, 320), (1351, 448), (32, 977), (640, 1)]
)
def test_a_thumbnail_from_the_pixels_that_it_samples(size):
    srgb = np.random.default_rng(0).random((*size, 3), np.float32)
    assert np.array_equal(thumbnail_of_source(ArraySource(srgb)), thumbnail(srgb))


def test_tiles_of_the_shipped_model_equal_the_whole_photograph():
    """Prime sides, so that neither tiles nor strides fit."""
    prior = load_assets("sony-imx135")
    srgb = isp.dequantise(PHOTO[:293, :449])
    whole_raw, whole_reliability = prior(srgb)
    result = reconstruct(srgb, EagerEngine(prior, tile_size=192))
    # Equal but for the order of summation. Seen: 0 and 0.
    assert np.abs(result.raw - whole_raw).max() < 1e-5
    assert np.abs(result.reliability - whole_reliability).max() < 1e-5
    assert whole_raw.std() > 0.05  # a picture, not a constant


TALL = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from test_reconstruct import ClosedForm
from priorraw_edge.runtime.memory import resident_megabytes
from priorraw_edge.runtime.outputs import Job, write_stream
from priorraw_edge.runtime.spool import Spool
from priorraw_edge.runtime.stream import Stream
photo, out = pathlib.Path({photo!r}), pathlib.Path({out!r})
with Spool(photo, out.parent) as spool:
    write_stream(Stream(spool.wait().source, ClosedForm()), Job(photo, out, "dng", out.with_suffix(".png")))
print(resident_megabytes())
"""


def test_memory_does_not_grow_with_the_height(tmp_path):
    peaks = []
    for times in (1, 20):
        photo = tmp_path / f"{times}.png"
        Image.fromarray(np.tile(PHOTO, (times, 2, 1))).save(photo, compress_level=1)
        code = TALL.format(tests=str(Path(__file__).parent), photo=str(photo), out=str(tmp_path / "a.dng"))
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(ran.stdout))
    # 5.1 megapixels more would take 61 MB more as float32, in and out 120. Seen: 283 and 285.
    assert peaks[1] < peaks[0] + 20


def test_too_little_memory_is_refused_before_the_work(cli, tmp_path):
    photo = tmp_path / "a.png"
    Image.fromarray(PHOTO).save(photo)
    code, _, said = cli("reconstruct", photo, "-o", tmp_path / "a.dng", "--max-memory", 100)
    assert (code, len(said.splitlines())) == (2, 1)
    assert f"{photo}: 451 pixels wide takes about" in said and "raise --max-memory from 100" in said
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert cli("reconstruct", photo, "-o", tmp_path / "a.dng", "--max-memory", 16_000)[0] == 0
