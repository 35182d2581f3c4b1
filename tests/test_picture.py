"""Photograph files of every kind, against Pillow and OpenCV."""

import cv2
import numpy as np
import pytest
import tifffile
from photos import PHOTO, codes, saved
from PIL import Image, ImageOps
from priorraw_edge.runtime.picture import orient, read_picture, thumbnail


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_eight_bit_codes_survive(tmp_path, name):
    path = saved(tmp_path / name, PHOTO)
    picture = read_picture(path)
    assert picture.srgb.dtype == np.float32
    assert picture.bits == 8
    assert picture.notes == ()
    with Image.open(path) as image:
        assert (codes(picture.srgb) == np.asarray(image)).all()


@pytest.mark.parametrize("shape", [(40, 50, 3), (40, 50), (1, 1, 3), (1, 7), (7, 1, 3)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_codes_survive(tmp_path, shape, suffix):
    picture = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(path), picture if picture.ndim == 2 else picture[..., ::-1])
    else:
        tifffile.imwrite(path, picture, photometric="rgb" if picture.ndim == 3 else "minisblack")
    read = read_picture(path)
    assert read.bits == 16
    expected = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    assert (codes(read.srgb, 16) == expected).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_modes_as_pillow_shows_them(tmp_path, mode, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(PHOTO).convert(mode).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert (codes(read_picture(path).srgb) == expected).all()


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib", "tile": (32, 32)},
        {"planarconfig": "separate"},
        {"byteorder": ">", "bigtiff": True},
        {"rowsperstrip": 7},
    ],
)
def test_tiff_layouts(tmp_path, options):
    picture = (PHOTO.astype(np.uint16) * 257).copy()
    if options.get("planarconfig") == "separate":
        tifffile.imwrite(tmp_path / "a.tif", picture.transpose(2, 0, 1), photometric="rgb", **options)
    else:
        tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", **options)
    assert (codes(read_picture(tmp_path / "a.tif").srgb, 16) == picture).all()


def test_float_tiff_is_taken_as_srgb_with_a_note(tmp_path):
    picture = PHOTO.astype(np.float32) / 255
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb")
    read = read_picture(tmp_path / "a.tif")
    assert (read.srgb == picture).all()
    assert "sRGB-encoded" in read.notes[0]


def test_miniswhite_is_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PHOTO[..., 0], photometric="miniswhite")
    assert (codes(read_picture(tmp_path / "a.tif").srgb)[..., 0] == 255 - PHOTO[..., 0].astype(int)).all()


def test_twenty_thousand_pixels_wide(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (3, 20_000, 3), dtype=np.uint8)
    read = read_picture(saved(tmp_path / "a.png", picture))
    assert (codes(read.srgb) == picture).all()
    assert thumbnail(read.srgb).shape == (64, 64, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_orientation_as_pillow_applies_it(tmp_path, orientation, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, PHOTO, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        saved(path, PHOTO, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert (codes(read_picture(path).srgb) == expected).all()


def test_orientation_zero_means_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 0
    read = read_picture(saved(tmp_path / "a.png", PHOTO, exif=exif))
    assert (codes(read.srgb) == PHOTO).all()
    assert read.exif is not None


def test_orient_six_turns_clockwise():
    stored = np.arange(6).reshape(2, 3, 1)
    assert (orient(stored, 6)[..., 0] == [[3, 0], [4, 1], [5, 2]]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_transparency_is_laid_on_white(tmp_path, dtype, suffix):
    top = np.iinfo(dtype).max
    alpha = np.linspace(0, top, PHOTO.shape[0] * PHOTO.shape[1]).reshape(*PHOTO.shape[:2], 1).astype(dtype)
    colour = PHOTO.astype(dtype) * (top // 255)
    rgba = np.concatenate([colour, alpha], axis=2)
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(path), rgba[..., [2, 1, 0, 3]])
    else:
        tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
    read = read_picture(path)
    weight = alpha / top
    assert np.abs(read.srgb - (PHOTO / 255 * weight + 1 - weight)).max() < 1e-6
    assert read.notes == ("transparent pixels are laid on white",)


def test_transparent_colour_of_a_palette(tmp_path):
    image = Image.fromarray(PHOTO).quantize(8)
    image.save(tmp_path / "a.png", transparency=3)
    shown = Image.new("RGBA", image.size, "white")
    with Image.open(tmp_path / "a.png") as stored:
        shown.alpha_composite(stored.convert("RGBA"))
    assert (codes(read_picture(tmp_path / "a.png").srgb) == np.asarray(shown)[..., :3]).all()
