"""Pictures, calls and places that the C++ runner refuses: exit code 2, one line, nothing written."""

import resource
import struct
import zlib

import numpy as np
import pytest
import skimage.data
from native_runner import bundle, flipped, refused
from PIL import Image, ImageCms

PHOTO = skimage.data.coffee()[100:108, 200:210]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OTHER = SRGB.replace(b"s\0R\0G\0B", b"w\0R\0G\0B").replace(b"sRGB", b"wRGB")  # the same by another name


@pytest.mark.parametrize(
    ("name", "write", "line"),
    [
        ("a.png", lambda p: None, "not there; name a PNG or PPM file"),
        ("a.png", lambda p: p.mkdir(), "no file; name a PNG or PPM file"),
        ("a.png", lambda p: p.write_bytes(b""), "neither PNG nor PPM (P6); convert it to PNG"),
        ("a.jpg", lambda p: Image.fromarray(PHOTO).save(p), "neither PNG nor PPM (P6); convert it to PNG"),
        ("a.png", lambda p: Image.fromarray(PHOTO).convert("RGBA").save(p), "has transparency; save it without alpha"),
        ("a.png", lambda p: Image.fromarray(PHOTO[..., 0]).convert("LA").save(p), "has transparency"),
        ("a.png", lambda p: Image.fromarray(PHOTO).quantize(4).save(p, transparency=1), "has transparency"),
        ("a.png", lambda p: Image.fromarray(PHOTO).save(p, icc_profile=OTHER), "a colour profile other than sRGB"),
        ("a.png", lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"), "damaged (ends too early); save it again"),
        ("a.ppm", lambda p: p.write_bytes(b"P6"), "neither PNG nor PPM"),
        ("a.ppm", lambda p: p.write_bytes(b"P6\n4 4"), "damaged (no PPM header)"),
        ("a.ppm", lambda p: p.write_bytes(b"P6\n-4 4 255\n" + bytes(48)), "damaged (no PPM header)"),
        ("a.ppm", lambda p: p.write_bytes(b"P6\n4 4 70000\n" + bytes(48)), "damaged (no PPM header)"),
        (
            "a.ppm",
            lambda p: p.write_bytes(b"P6\n0 4 255\n" + bytes(48)),
            "is 0x4 pixels; give 1 pixel to 200 megapixels",
        ),
        ("a.ppm", lambda p: p.write_bytes(b"P6\n4 4 255\n" + bytes(47)), "damaged (ends before its last pixel)"),
        ("a.ppm", lambda p: p.write_bytes(b"P6\n99999999999999999999 4 255\n"), "damaged"),
        ("a.ppm", lambda p: p.write_bytes(b"P6\n199999999 199999999 255\n"), "damaged (ends before its last pixel)"),
        ("a.ppm", lambda p: p.write_bytes(b"P6\n1 1 15\n\x10\x00\x00"), "damaged (a value above its maximum)"),
    ],
)
def test_a_picture_that_cannot_be_used_is_refused(tmp_path, name, write, line):
    write(tmp_path / name)
    found = refused(bundle(), tmp_path / name, "-o", tmp_path / "out.tif")
    assert found.startswith(f"{tmp_path / name}: ")
    assert line in found
    assert not (tmp_path / "out.tif").exists()


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_png_cut_or_changed_anywhere_is_refused(tmp_path):
    Image.fromarray(skimage.data.coffee()[:64, :64]).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    for at in np.linspace(0.001, 0.999, 12):
        for spoil in (data[: int(at * len(data))], flipped(data, at)):
            (tmp_path / "spoilt.png").write_bytes(spoil)
            assert "spoilt.png: " in refused(bundle(), tmp_path / "spoilt.png", "-o", tmp_path / "out.tif")


def test_a_png_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 900_000, 900_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    assert "is 900000x900000 pixels; give 1 pixel" in refused(bundle(), tmp_path / "a.png", "-o", tmp_path / "o.tif")


def test_raw_float_that_does_not_fit_is_refused(tmp_path):
    np.zeros((4, 5, 3), "<f4").tofile(tmp_path / "a.f32")
    run = (bundle(), tmp_path / "a.f32", "-o", tmp_path / "o.tif", "--size")
    assert "has 240 bytes, 4x4 float32 RGB are 192; give its --size" in refused(*run, "4x4")
    for value in (np.nan, -0.1, 1.1, np.inf):
        np.full((4, 5, 3), value, "<f4").tofile(tmp_path / "a.f32")
        assert "holds values outside [0, 1]" in refused(*run, "5x4")
    for size in ("5", "x", "5x", "0x4", "-5x4", "5x4x3", "99999999999x1"):
        assert refused(*run, size).startswith("--size")


# --- calls and places -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "needs BUNDLE and PICTURE, not 0 names; see priorraw-native --help"),
        (("a", "b", "c", "-o", "d"), "needs BUNDLE and PICTURE, not 3 names"),
        (("a", "b"), "nothing to write; name a file with -o OUT"),
        (("a", "b", "-o"), "-o needs a value"),
        (("a", "b", "--frobnicate"), "--frobnicate: no such option; see priorraw-native --help"),
        (("a", "b", "-o", "c.tif", "--threads", "0"), "--threads 0: give a number from 1 to 256"),
        (("a", "b", "-o", "c.tif", "--threads", "two"), "--threads two: give a number"),
        (("a", "b", "-o", "c.tif", "--bench"), "--bench goes with --self-test"),
        (("--self-test",), "--self-test takes BUNDLE, not 0 names"),
        (("--self-test", "a", "-o", "b.tif"), "--self-test writes and reads no picture"),
        (("a", "b", "-o", "c.jpg"), "c.jpg: ends in none of .tif, .tiff, .png, .f32; name one"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(arguments, line):
    assert line in refused(*arguments)


def test_a_camera_without_a_bank_is_refused(photo, tmp_path):
    line = f"{bundle()}: holds no bank of leica; it has sony-imx135"
    assert refused(bundle(), photo, "-o", tmp_path / "o.tif", "--camera", "leica") == line
    assert refused("--self-test", bundle(), "--camera", "leica") == line


def test_outputs_that_replace_one_another_are_refused(photo, tmp_path):
    before = photo.read_bytes()
    assert f"would replace {photo}" in refused(bundle(), photo, "-o", tmp_path / "." / "photo.png")
    assert photo.read_bytes() == before
    both = refused(bundle(), photo, "-o", tmp_path / "o.tif", "--reliability", tmp_path / "o.tif")
    assert "o.tif: would replace" in both


def test_a_place_that_cannot_be_written_is_refused(photo, tmp_path):
    absent = tmp_path / "absent" / "o.tif"
    assert refused(bundle(), photo, "-o", absent) == (
        f"{absent}: cannot be written (No such file or directory); choose another place"
    )
    (tmp_path / "folder.tif").mkdir()
    assert "folder.tif: is a folder; name a file to write" in refused(bundle(), photo, "-o", tmp_path / "folder.tif")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".f32"])
def test_a_full_disk_leaves_nothing(tmp_path, suffix):
    Image.fromarray(skimage.data.coffee()[:128, :128]).save(tmp_path / "photo.png")
    (tmp_path / f"out{suffix}").write_bytes(b"what was there")
    line = refused(
        bundle(),
        tmp_path / "photo.png",
        "-o",
        tmp_path / f"out{suffix}",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    assert line.endswith(f"out{suffix}: cannot be written (File too large); choose another place")
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", f"out{suffix}"}
    assert (tmp_path / f"out{suffix}").read_bytes() == b"what was there"
