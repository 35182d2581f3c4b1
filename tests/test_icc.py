"""Colour profiles to sRGB: hand-made profiles against their formulas and Pillow's LittleCMS."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from photos import PHOTO, codes, saved
from PIL import Image, ImageCms
from priorraw_edge.runtime.picture import read_picture


def icc_profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """An ICC 2.4 profile from its tags (ICC.1:2001-04)."""
    start = 132 + 12 * len(tags)
    table, body = b"", b""
    for signature, data in tags.items():
        table += signature + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s", start + len(body), 0x02400000, kind, space, pcs, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)  # D50
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz_tag(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def gamma_tag(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH2x", 1, round(exponent * 256))


WHITE = {b"wtpt": xyz_tag(0.9642, 1, 0.8249)}
# Linear light with sRGB's primaries, D50-adapted: its sRGB is the sRGB transfer function, nothing else.
LINEAR_SRGB = icc_profile(
    b"RGB ",
    WHITE
    | {
        b"rXYZ": xyz_tag(0.43607, 0.22249, 0.01392),
        b"gXYZ": xyz_tag(0.38515, 0.71687, 0.09708),
        b"bXYZ": xyz_tag(0.14307, 0.06061, 0.71410),
        b"rTRC": gamma_tag(1),
        b"gTRC": gamma_tag(1),
        b"bTRC": gamma_tag(1),
    },
)
GREY_GAMMA_18 = icc_profile(b"GRAY", WHITE | {b"kTRC": gamma_tag(1.8)})
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def cmyk_profile() -> bytes:
    """CMYK whose 16 ink corners have the Lab values of a made-up press: lightness 100 (1 - k) less 20 an ink."""
    corners = []
    for i in range(16):
        c, m, y, k = (i >> 3) & 1, (i >> 2) & 1, (i >> 1) & 1, i & 1
        lightness = max(0, 100 - 20 * (c + m + y)) * (1 - k)
        colour = 0 if k else 60
        corners += [round(lightness * 2.55), 128 + colour * (m - c) // 2, 128 + colour * (2 * y - c - m) // 4]
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes(corners) + ramp * 3
    return icc_profile(b"CMYK", WHITE | {b"A2B0": lut, b"A2B1": lut}, pcs=b"Lab ", kind=b"prtr")


def srgb_transfer(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_an_srgb_profile_leaves_the_codes_alone(tmp_path):
    read = read_picture(saved(tmp_path / "a.png", PHOTO, icc_profile=SRGB))
    assert (codes(read.srgb) == PHOTO).all()
    assert read.notes == ()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_linear_profile_becomes_the_srgb_transfer(tmp_path, bits):
    picture = PHOTO if bits == 8 else PHOTO.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", iccprofile=LINEAR_SRGB)
    read = read_picture(tmp_path / "a.tif")
    assert "profile converted" in read.notes[0]
    expected = srgb_transfer(PHOTO / 255)
    assert np.abs(read.srgb - expected).max() < 5e-4  # seen: 1.3e-4


def test_sixteen_bit_png_with_a_profile_keeps_its_depth(tmp_path):
    ramp = np.repeat(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64, 1), 3, axis=2)
    plain = cv2.imencode(".png", ramp)[1].tobytes()
    body = b"iCCPx\0\0" + zlib.compress(LINEAR_SRGB)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(plain[:33] + chunk + plain[33:])  # after IHDR
    read = read_picture(tmp_path / "a.png")
    assert len(np.unique(read.srgb[..., 1])) > 4000  # of 4096: an 8-bit path would leave 256
    assert np.abs(read.srgb[..., 1] - srgb_transfer(ramp[..., 1] / 65535)).max() < 2e-4  # seen: 5.6e-5


def test_adobe_rgb_in_exif_alone(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    read = read_picture(saved(tmp_path / "a.png", PHOTO, exif=exif))
    assert "profile converted" in read.notes[0]
    # Adobe RGB (1998), 4.3: gamma 563/256; D65 matrices from its primaries and from sRGB's.
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    from_xyz = np.array([[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]])
    linear = np.clip((PHOTO / 255) ** (563 / 256) @ to_xyz.T @ from_xyz.T, 0, 1)
    assert np.abs(read.srgb - srgb_transfer(linear)).max() < 1e-3  # seen: 1.8e-4


def test_grey_profile(tmp_path):
    grey = PHOTO[..., 1].copy()
    read = read_picture(saved(tmp_path / "a.jpg", grey, icc_profile=GREY_GAMMA_18, quality=100))
    with Image.open(tmp_path / "a.jpg") as image:
        expected = srgb_transfer((np.asarray(image) / 255) ** (round(1.8 * 256) / 256))
    assert np.abs(read.srgb - expected[..., None]).max() < 1e-4  # seen: 8e-6


def test_grey_with_an_rgb_profile(tmp_path):
    read = read_picture(saved(tmp_path / "a.png", PHOTO[..., 1].copy(), icc_profile=SRGB))
    assert (codes(read.srgb) == PHOTO[..., 1:2]).all()


def test_cmyk_through_its_profile_as_littlecms_in_pillow_shows_it(tmp_path):
    profile = cmyk_profile()
    inks = Image.fromarray(PHOTO).convert("CMYK")
    inks.save(tmp_path / "a.jpg", icc_profile=profile, quality=100)
    with Image.open(tmp_path / "a.jpg") as image:
        expected = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    difference = np.abs(codes(read_picture(tmp_path / "a.jpg").srgb) - np.asarray(expected, int))
    assert difference.max() <= 2  # seen: 1


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_without_profile_is_said(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(PHOTO).convert("CMYK").save(path, **({"quality": 100} if suffix == ".jpg" else {}))
    read = read_picture(path)
    assert "CMYK" in read.notes[0]
    assert np.abs(codes(read.srgb) - PHOTO).max() <= 2  # seen: 1, JPEG at quality 100


@pytest.mark.parametrize("profile", [b"not a profile", SRGB[:200], cmyk_profile()])
def test_a_profile_that_does_not_fit_is_left_out_aloud(tmp_path, profile):
    tifffile.imwrite(tmp_path / "a.tif", PHOTO, photometric="rgb", iccprofile=profile)
    read = read_picture(tmp_path / "a.tif")
    assert (codes(read.srgb) == PHOTO).all()
    assert "left out" in read.notes[0]
