"""Photograph files that cannot be used: one clear line each, never a crash, never grey filling."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from photos import PHOTO, saved
from priorraw.errors import InputError
from priorraw_edge.runtime import decode
from priorraw_edge.runtime.picture import read_picture, thumbnail


def refused(path) -> str:
    with pytest.raises(InputError) as error:
        read_picture(path)
    line = str(error.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    assert ";" in line  # names a cure
    return line


def test_missing_empty_folder_and_other_files(tmp_path):
    assert "not found" in refused(tmp_path / "none.jpg")
    (tmp_path / "empty.jpg").touch()
    assert "is empty" in refused(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("no picture at all")
    assert "is no JPEG" in refused(tmp_path / "text.jpg")
    assert "not readable" in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {}),
        ("a.jpg", {"progressive": True}),
        ("a.png", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "jpeg"}),
    ],
)
@pytest.mark.parametrize("share", [0.001, 0.02, 0.1, 0.5, 0.9, 0.99])
def test_truncated_is_refused_never_filled(tmp_path, name, options, share):
    whole = saved(tmp_path / name, PHOTO, **options).read_bytes()
    (tmp_path / name).write_bytes(whole[: max(12, int(len(whole) * share))])
    assert "truncated or damaged" in refused(tmp_path / name)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated_sixteen_bit(tmp_path, share):
    picture = PHOTO.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", compression="zlib")
    for path in (tmp_path / "a.png", tmp_path / "a.tif"):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        refused(path)


def test_tiles_of_no_length(tmp_path):
    """Found by `reliability.guided`."""
    tifffile.imwrite(tmp_path / "a.tif", PHOTO, photometric="rgb", tile=(16, 16))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tiff:
        tiff.pages[0].tags["TileLength"].overwrite(0)
    refused(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_damaged_bytes_are_read_or_refused_never_a_crash(tmp_path, name):
    whole = bytearray(saved(tmp_path / name, PHOTO[:40, :50]).read_bytes())
    random = np.random.default_rng(0)
    for _ in range(60):
        hurt = bytearray(whole)
        for at in random.integers(0, len(hurt), 4):
            hurt[at] = random.integers(256)
        (tmp_path / name).write_bytes(hurt)
        try:
            srgb = read_picture(tmp_path / name).srgb
        except InputError:
            continue
        assert srgb.min() >= 0
        assert srgb.max() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_refused(tmp_path, value):
    picture = np.full((8, 8, 3), 0.5, np.float32)
    picture[3, 3, 1] = value
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb")
    assert "NaN" in refused(tmp_path / "a.tif")


def test_floats_out_of_range_and_wide_integers_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((8, 8, 3), 1.5, np.float32), photometric="rgb")
    assert "outside [0, 1]" in refused(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 8, 3), np.uint32), photometric="rgb")
    assert "32-bit" in refused(tmp_path / "a.tif")


def test_raw_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.dng", PHOTO[..., 0], photometric=32803)
    assert "RAW already" in refused(tmp_path / "a.dng")
    tifffile.imwrite(tmp_path / "b.dng", PHOTO, photometric="rgb", extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])
    assert "RAW already" in refused(tmp_path / "b.dng")


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    png += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (tmp_path / "a.png").write_bytes(png)
    assert "30000x30000 is above the limit of 200 megapixels" in refused(tmp_path / "a.png")


def test_the_limit_itself(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", PHOTO)
    monkeypatch.setattr(decode, "MAX_PIXELS", PHOTO.shape[0] * PHOTO.shape[1])
    read_picture(path)
    monkeypatch.setattr(decode, "MAX_PIXELS", PHOTO.shape[0] * PHOTO.shape[1] - 1)
    assert "above the limit" in refused(path)


def test_thumbnail_samples_without_anti_aliasing():
    """Column i takes the two pixels around (i + 0.5) scale - 0.5, half each at scale 4."""
    srgb = np.random.default_rng(0).random((256, 256, 3), np.float32)
    rows = (srgb[1::4] + srgb[2::4]) / 2
    expected = (rows[:, 1::4] + rows[:, 2::4]) / 2
    assert np.abs(thumbnail(srgb) - expected).max() < 1e-6
