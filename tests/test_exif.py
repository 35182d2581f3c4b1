"""EXIF that is carried over: read from blocks made byte by byte, written for Pillow to read, and damaged ones."""

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from priorraw_edge.runtime.dng import DngHeader, write_dng_rows
from priorraw_edge.runtime.exif import EXIF_TAGS, Facts, directory_bytes, read_facts
from test_hint import CAMERAS, exif, photo

EXIF, GPS = 34665, 34853


def block(**more) -> Image.Exif:
    told = Image.Exif()
    told[271], told[272], told[305], told[315] = "Acme", "Acme 1", "v1", "Someone"
    told.get_ifd(EXIF).update(
        {33434: 0.004, 33437: 2.8, 34855: 200, 36867: "2021:02:03 04:05:06", 42036: "Lens"} | more
    )
    told.get_ifd(GPS).update({1: "N", 2: (48.0, 6.0, 0.5)})
    return told


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_what_pillow_wrote_pillow_reads_from_our_dng(tmp_path, name):
    Image.new("RGB", (40, 40)).save(tmp_path / name, exif=block())
    facts = read_facts(tmp_path / name)
    assert (facts.make, facts.model, facts.camera, facts.software) == ("Acme", "Acme 1", "Acme 1", "v1")
    assert Facts.from_json(facts.to_json()) == facts
    header = DngHeader("x", np.eye(3), np.zeros((40, 40, 3), np.uint8), facts=facts)
    write_dng_rows(tmp_path / "a.dng", iter([np.zeros((40, 40, 3), np.uint16)]), 40, 40, header)
    with Image.open(tmp_path / "a.dng") as image:  # its preview
        told = image.getexif()
        assert told.get_ifd(EXIF) == {
            33434: 0.004,
            33437: 2.8,
            34855: 200,
            36864: b"0231",
            36867: "2021:02:03 04:05:06",
            42036: "Lens",
        }
        assert told.get_ifd(GPS) == {1: "N", 2: (48.0, 6.0, 0.5)}
        assert told[315] == "Someone"
    assert facts.without_gps().gps == () and facts.gps


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (36867, "0000:00:00 00:00:00"),  # a clock that was never set
        (36867, "yesterday, about noon!"),
        (34855, (1, 2, 3, 4)),
        (42036, ""),
        (37383, "spot"),
        (37383, 7),
        (37385, 12),
        (41986, 9),
        (36868, "2020:02:30 00:00:00"),
    ],
)
def test_values_that_the_standard_does_not_know_are_left_out(tmp_path, tag, value):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=_with(tag, value))
    codes = {code for code, *_ in read_facts(tmp_path / "a.jpg").exif}
    assert tag not in codes and 33437 in codes


def _with(tag, value) -> Image.Exif:
    told = block()
    told.get_ifd(EXIF)[tag] = value
    return told


def test_a_strangers_text_is_one_line_without_control_characters(tmp_path):
    """A terminal obeys escape sequences: a photograph's file must not write them."""
    told = Image.Exif()
    told[271], told[272], told[305] = (
        "Acme\x1b[31m Corp",
        "Mod\x07el\r\n\x1b]0;x\x07 7" + "x" * 5000,
        "Photoshop\n\x1b[2J",
    )
    xmp = b'<x:xmpmeta><rdf:Description xmp:CreatorTool="a\x1b[31m\nb"/></x:xmpmeta>'
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=told, xmp=xmp)
    facts = read_facts(tmp_path / "a.jpg")
    assert (facts.make, facts.software, facts.creator_tool) == ("Acme [31m Corp", "Photoshop [2J", "a [31m b")
    assert facts.model.startswith("Mod el ]0;x 7xxx") and len(facts.model) <= 100


def test_makers_notes_are_noticed_and_stay_behind(tmp_path):
    facts = read_facts(photo(tmp_path / "a.jpg", b"Exif\0\0" + exif(*CAMERAS["nikon"][:4])))
    assert facts.maker_note and facts.exif == () and facts.camera == "NIKON D5000"


def test_a_directory_is_what_tifffile_reads(tmp_path):
    tags = (
        (33434, 5, 1, struct.pack("<2I", 1, 125)),
        (42036, 2, 5, b"Lens\0"),
        (34855, 3, 2, struct.pack("<2H", 7, 8)),
    )
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + directory_bytes(tags, 8))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        read = {tag.code: tag.value for tag in file.pages[0].tags}
    assert read == {33434: (1, 125), 42036: "Lens", 34855: (7, 8)}


@settings(max_examples=200, deadline=1000)
@given(st.data())
def test_damage_is_left_out_without_an_error(tmp_path_factory, data):
    good = bytearray(block().tobytes().removeprefix(b"Exif\0\0"))
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=8)):
        good[at] = data.draw(st.integers(0, 255))
    del good[data.draw(st.integers(0, len(good))) :]
    path = tmp_path_factory.getbasetemp() / "damaged-exif.tif"
    path.write_bytes(bytes(good) or b"\0")
    facts = read_facts(path)
    for code, kind, _, value in facts.exif:
        assert EXIF_TAGS[code][0] == kind and len(value) < 1100


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_xmp_tells_the_program_and_its_edits(tmp_path, name):
    xmp = b'<x:xmpmeta><rdf:Description xmp:CreatorTool="darktable 4.2"><xmpMM:History/></rdf:Description></x:xmpmeta>'
    told = PngInfo()
    told.add_itxt("XML:com.adobe.xmp", xmp.decode())
    options = {"a.jpg": {"xmp": xmp}, "a.png": {"pnginfo": told}, "a.tif": {"tiffinfo": {700: xmp}}}[name]
    Image.new("RGB", (8, 8)).save(tmp_path / name, **options)
    facts = read_facts(tmp_path / name)
    assert (facts.creator_tool, facts.history) == ("darktable 4.2", True)
