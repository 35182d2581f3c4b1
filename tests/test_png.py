"""PNG files cut into strips, against Pillow and OpenCV on the whole file; every picture is higher than a strip."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from photos import PHOTO, codes
from PIL import Image
from priorraw.errors import InputError
from priorraw_edge.runtime.decode import STRIP
from priorraw_edge.runtime.picture import read_picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width, height, bits, colour_type, interlace=0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlace))


def lines(rows: np.ndarray) -> bytes:
    """Scanlines without filter of rows (n, bytes)."""
    return np.insert(np.ascontiguousarray(rows), 0, 0, axis=1).tobytes()


def test_the_photo_is_higher_than_a_strip():
    assert STRIP < PHOTO.shape[0] < 2 * STRIP


def test_interlaced(tmp_path):
    grey = PHOTO[..., 1]
    passes = b"".join(lines(grey[y::dy, x::dx]) for y, x, dy, dx in ADAM7)
    data = SIGNATURE + header(*grey.shape[::-1], 8, 0, 1) + chunk(b"IDAT", zlib.compress(passes)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    assert (codes(read_picture(tmp_path / "a.png").srgb)[..., 0] == grey).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_greys(tmp_path, bits):
    values = PHOTO[..., 1] >> (8 - bits)
    high = ((values[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(len(values), -1)
    body = chunk(b"IDAT", zlib.compress(lines(np.packbits(high.astype(np.uint8), axis=1))))
    head = header(PHOTO.shape[1], PHOTO.shape[0], bits, 0)
    (tmp_path / "a.png").write_bytes(SIGNATURE + head + body + chunk(b"IEND", b""))
    assert (codes(read_picture(tmp_path / "a.png").srgb)[..., 0] == values * (255 // (2**bits - 1))).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_transparent_colour(tmp_path, dtype):
    """tRNS: pixels of exactly this colour are transparent, in the second strip too."""
    picture = PHOTO.astype(dtype) * (257 if dtype == np.uint16 else 1)
    picture[[10, 140], :30] = (5, 6, 7)
    data = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    (tmp_path / "a.png").write_bytes(data[:33] + chunk(b"tRNS", struct.pack(">HHH", 5, 6, 7)) + data[33:])  # after IHDR
    read = read_picture(tmp_path / "a.png")
    shown = picture / np.iinfo(dtype).max
    shown[[10, 140], :30] = 1
    assert np.abs(read.srgb - shown).max() < 1e-7
    assert read.notes == ("transparent pixels are laid on white",)


def test_the_first_picture_of_an_animation(tmp_path):
    first, second = Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    assert (codes(read_picture(tmp_path / "a.png").srgb) == PHOTO).all()


def test_every_filter_and_small_chunks(tmp_path):
    """libpng tries all five filters on a photograph; chunks of 100 bytes cut lines and zlib's blocks anywhere."""
    data = cv2.imencode(".png", PHOTO[..., ::-1], [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS])[1].tobytes()
    body, at = b"", 33
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    used = np.frombuffer(zlib.decompress(body), np.uint8).reshape(PHOTO.shape[0], -1)[:, 0]
    assert len(set(used)) >= 3  # seen: 4
    chunks = b"".join(chunk(b"IDAT", body[i : i + 100]) for i in range(0, len(body), 100))
    (tmp_path / "a.png").write_bytes(data[:33] + chunks + chunk(b"IEND", b""))
    assert (codes(read_picture(tmp_path / "a.png").srgb) == PHOTO).all()


def test_pixels_that_compress_a_thousandfold(tmp_path):
    """One piece of input then inflates to more than a strip."""
    picture = np.full((1500, 700, 4), 255, np.uint8)
    picture[700:, :, 0] = 3
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert (codes(read_picture(tmp_path / "a.png").srgb) == picture[..., :3]).all()


def damaged(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", ["IHDR", "IDAT", "checksum"])
def test_a_wrong_checksum_is_refused(tmp_path, place):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), PHOTO)
    damaged(path, {"IHDR": 23, "IDAT": len(path.read_bytes()) // 2, "checksum": -13}[place])
    with pytest.raises(InputError, match=r"a\.png: truncated or damaged"):
        read_picture(path)
