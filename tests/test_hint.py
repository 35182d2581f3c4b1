"""As-shot gains from EXIF: files made byte by byte, real camera files against LibRaw, and damaged ones."""

import struct

import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from priorraw.errors import InputError
from priorraw_edge.runtime.dng import write_dng
from priorraw_edge.runtime.hint import Hint, parse_hint, read_hint

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
GAINS = (2.0, 1.0, 1.5)


def directory(order: str, tags: list[tuple[int, int, int, bytes]], at: int) -> bytes:
    """A TIFF directory (TIFF 6.0, section 2) that stands `at` bytes behind what its offsets count from."""
    head, tail = struct.pack(order + "H", len(tags)), b""
    for tag, kind, count, value in tags:
        if len(value) > 4:
            pointer = struct.pack(order + "I", at + 2 + 12 * len(tags) + 4 + len(tail))
            tail += value
        else:
            pointer = value.ljust(4, b"\0")
        head += struct.pack(order + "HHI", tag, kind, count) + pointer
    return head + b"\0\0\0\0" + tail


def shorts(order: str, *values: int) -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


def exif(order: str, make: str, model: str, note) -> bytes:
    """An EXIF block; `note(at)` gives the maker's note that stands at byte `at`."""
    names = [(tag, ASCII, len(text) + 1, text.encode() + b"\0") for tag, text in ((271, make), (272, model))]
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    exif_at = 8 + len(directory(order, [*names, (34665, LONG, 1, b"")], 8))
    first = directory(order, [*names, (34665, LONG, 1, struct.pack(order + "I", exif_at))], 8)
    body = note(exif_at + 2 + 12 + 4)
    return header + first + directory(order, [(37500, UNDEFINED, len(body), body)], exif_at)


def nikon(at: int) -> bytes:
    levels = struct.pack(">8I", 2, 1, 3, 2, 1, 1, 1, 1)  # R, B, G, G as rationals
    return b"Nikon\0\2\x10\0\0MM\0*\0\0\0\x08" + directory(">", [(0x000C, RATIONAL, 4, levels)], 8)


def canon(length: int, place: int):
    def note(at: int) -> bytes:
        values = np.arange(length, dtype="<u2")
        values[place : place + 4] = 2048, 1024, 1024, 1536
        return directory("<", [(0x4001, SHORT, length, values.tobytes())], at)

    return note


def olympus(at: int) -> bytes:
    """Type 2: a byte order of its own, offsets from the note, the levels in a directory within."""
    start = 12 + 2 + 12 + 4
    inner = directory("<", [(0x0100, SHORT, 2, shorts("<", 512, 384))], start)
    return b"OLYMPUS\0II\3\0" + directory("<", [(0x2040, LONG, 1, struct.pack("<I", start))], 12) + inner


def olympus_old(at: int) -> bytes:
    tags = [(0x1017, SHORT, 2, shorts(">", 512, 64)), (0x1018, SHORT, 2, shorts(">", 384, 64))]
    return b"OLYMP\0\1\0" + directory(">", tags, at + 8)


def panasonic(at: int) -> bytes:
    levels = [(0x8004 + i, SHORT, 1, shorts("<", value)) for i, value in enumerate((2048, 1024, 1536))]
    return b"Panasonic\0\0\0" + directory("<", levels, at + 12)


def pentax(at: int) -> bytes:
    return b"AOC\0MM" + directory(">", [(0x0201, SHORT, 4, shorts(">", 512, 256, 256, 384))], at + 6)


def pentax_new(at: int) -> bytes:
    return b"PENTAX \0II" + directory("<", [(0x0201, SHORT, 4, shorts("<", 512, 256, 256, 384))], 10)


CAMERAS = {
    "nikon": ("<", "NIKON CORPORATION", "NIKON D5000", nikon, "Nikon WB_RBLevels of NIKON D5000"),
    "canon": ("<", "Canon", "Canon EOS 30D", canon(796, 63), "Canon ColorData of Canon EOS 30D"),
    "canon-r": ("<", "Canon", "Canon EOS R", canon(1824, 71), "Canon ColorData of Canon EOS R"),
    "olympus": (">", "OLYMPUS IMAGING CORP.", "E-PL6", olympus, "Olympus WB_RBLevels of OLYMPUS E-PL6"),
    "olympus-old": (">", "OLYMPUS", "C5050Z", olympus_old, "Olympus RedBalance, BlueBalance of OLYMPUS C5050Z"),
    "panasonic": ("<", "Panasonic", "DMC-GX8", panasonic, "Panasonic WBRedLevel, WBGreenLevel, WBBlueLevel of "),
    "pentax": (">", "PENTAX Corporation", "PENTAX K10D", pentax, "Pentax WhitePoint of PENTAX K10D"),
    "pentax-new": ("<", "PENTAX", "PENTAX K-1", pentax_new, "Pentax WhitePoint of PENTAX K-1"),
}


def photo(path, block: bytes | None, file_format: str = "JPEG"):
    Image.new("RGB", (16, 16), (90, 120, 150)).save(path, file_format, **({"exif": block} if block else {}))
    return path


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("name", CAMERAS)
def test_makers_notes(tmp_path, name, file_format):
    order, make, model, note, source = CAMERAS[name]
    path = photo(tmp_path / "a", b"Exif\0\0" + exif(order, make, model, note), file_format)
    with Image.open(path) as image:  # another reader finds the note where it was put
        assert image.getexif().get_ifd(34665)[37500] == note(8 + 2 + 36 + 4 + sum(_padded(make, model)) + 18)
    hint, line = read_hint(path)
    assert hint is not None, line
    assert hint.gains == pytest.approx(GAINS)
    assert hint.source.startswith(source) and line == f"hint from {hint.source}"
    assert hint.neutral == pytest.approx((0.5, 1, 1 / 1.5))


def _padded(*texts: str) -> list[int]:
    return [len(text) + 1 if len(text) + 1 > 4 else 0 for text in texts]


def test_our_own_dng_tells_its_neutral(tmp_path):
    neutral = np.array([0.52, 1.0, 0.61])
    raw = np.full((64, 64, 3), 20_000, np.uint16)
    write_dng(tmp_path / "a.dng", raw, np.eye(3), neutral, "sony-imx135")
    hint, _ = read_hint(tmp_path / "a.dng")
    assert hint is not None and np.abs(hint.neutral - neutral).max() < 1e-6  # seen: 1e-16


@pytest.mark.parametrize(
    "name", ["canon-eos-30d.cr2", "canon-powershot-g10.cr2", "canon-eos-550d.dng", "nikon-d5000.dng"]
)
def test_real_files_tell_what_libraw_reads(data, name):
    path = data / "raws" / name
    with rawpy.imread(str(path)) as file:
        expected = np.array(file.camera_whitebalance[:3])
    hint, line = read_hint(path)
    assert hint is not None, line
    np.testing.assert_allclose(hint.gains, expected / expected[1], rtol=1e-6)  # seen: 6e-8


def test_a_real_makers_note_agrees_with_the_dng_around_it(data, tmp_path):
    """Without its AsShotNeutral, the D5000's DNG still holds Nikon's own note."""
    content = bytearray((data / "raws" / "nikon-d5000.dng").read_bytes())
    expected, _ = read_hint(data / "raws" / "nikon-d5000.dng")
    with tifffile.TiffFile(data / "raws" / "nikon-d5000.dng") as file:
        at = file.pages[0].tags["AsShotNeutral"].offset
    content[at : at + 2] = b"\xff\xff"
    (tmp_path / "a.dng").write_bytes(content)
    hint, _ = read_hint(tmp_path / "a.dng")
    assert hint is not None and hint.source.startswith("Nikon WB_RBLevels")
    np.testing.assert_allclose(hint.gains, expected.gains, rtol=1e-5)  # seen: 7e-7; the DNG's is rounded


def test_a_real_jpeg_without_exif_has_no_hint(data):
    assert read_hint(data / "raws" / "canon-powershot-g10.jpg") == (None, "no hint: the file carries no EXIF")


# --- what is not there, damaged or hostile --------------------------------------------------------------------


def without(note: bytes, make: str = "Canon") -> bytes:
    return b"Exif\0\0" + exif("<", make, "X", lambda at: note)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (None, "carries no EXIF"),
        (without(b"SONY DSC \0\0\0\0\0", "SONY"), "holds no as-shot white balance that is known"),
        (without(directory("<", [(0x4001, SHORT, 9999, shorts("<", *[7] * 9999))], 0)), "that is known"),
        (without(b""), "that is known"),
        (without(b"\xff\xff" * 40), "a directory of 65535 tags"),
        (without(directory("<", [(0x4001, SHORT, 796, b"\xf0\xff\xff\xff\0")], 0)), "outside of the file"),
        (without(b"OLYMPUS\0XX\3\0" + bytes(40)), "byte order"),
        (without(b"PENTAX \0II" + directory("<", [(0x0201, SHORT, 2**32 - 1, bytes(8))], 10)), "4294967295 values"),
        (without(b"PENTAX \0II" + directory("<", [(0x0201, SHORT, 4, bytes(8))], 10)), "no gains of a light"),
        (
            without(b"PENTAX \0II" + directory("<", [(0x0201, SHORT, 4, shorts("<", 9, 1, 1, 65535))], 10)),
            "no gains of",
        ),
        (without(b"Nikon\0\2\x10\0\0MM\0*\0\0\0\x08" + directory(">", [(12, RATIONAL, 4, bytes(32))], 8)), "no gains"),
        (without(b"OLYMPUS\0II\3\0" + directory("<", [(0x2040, LONG, 1, shorts("<", 12, 0))], 12)), "known"),  # a loop
        (without(b"OLYMPUS\0II\3\0" + directory("<", [(0x2040, 11, 1, b"\0\0\x80\x7f")], 12)), "no offset"),  # infinity
        (b"Exif\0\0II*\0\xff\xff\xff\x7f", "outside of the file"),
        (b"Exif\0\0no TIFF at all", "no TIFF header"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_gains_is_a_line_that_says_why(tmp_path, block, reason):
    hint, line = read_hint(photo(tmp_path / "a.jpg", block))
    assert hint is None
    assert line.startswith("no hint: ") and reason in line and "\n" not in line


@settings(max_examples=300, deadline=1000)
@given(st.sampled_from(sorted(CAMERAS)), st.data())
def test_no_damage_is_more_than_a_line(tmp_path_factory, name, data):
    order, make, model, note, _ = CAMERAS[name]
    block = bytearray(exif(order, make, model, note))
    for at in data.draw(st.lists(st.integers(0, min(len(block), 200) - 1), max_size=6)):
        block[at] = data.draw(st.integers(0, 255))
    del block[data.draw(st.integers(0, len(block))) :]
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    path.write_bytes(bytes(block) or b"\0")
    hint, line = read_hint(path)
    assert "\n" not in line
    assert hint is None or (np.isfinite(hint.gains).all() and (hint.gains > 0).all())


# --- the command line's gains ---------------------------------------------------------------------------------


def test_a_picture_of_180_megapixels_has_its_exif_read(tmp_path):
    """Above Pillow's own limit, below ours; the pixels are not decoded for it."""
    block = b"Exif\0\0" + exif(*CAMERAS["nikon"][:4])
    Image.new("L", (18_000, 10_001)).save(tmp_path / "a.jpg", exif=block)
    assert read_hint(tmp_path / "a.jpg")[0] is not None


def test_given_gains():
    hint = parse_hint("4, 2,3")
    assert (hint.gains.tolist(), hint.source) == ([2, 1, 1.5], "given")


@pytest.mark.parametrize("text", ["", "2,1", "2,1,1,1", "2,1,x", "0,1,1", "-2,1,1", "nan,1,1", "inf,1,1", "1000,1,1"])
def test_gains_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="is none of exif, none, or white-balance gains"):
        parse_hint(text)


@pytest.mark.parametrize(
    ("file_camera", "camera", "same"),
    [
        ("SONY SLT-A57", "sony-slt-a57", True),
        ("OLYMPUS E-PL6", "olympus-e-pl6", True),
        ("SAMSUNG NX2000", "samsung-nx2000", True),
        ("Canon EOS 30D", "sony-imx135", False),
        ("Maker 7", "sony-slt-a57", False),
        (None, "sony-imx135", False),
    ],
)
def test_whose_gains_they_are(file_camera, camera, same):
    assert Hint(np.ones(3), "", file_camera).is_of(camera) is same
