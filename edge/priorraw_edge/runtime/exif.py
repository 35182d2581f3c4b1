"""What a photograph's file says of how it was taken: EXIF to carry into the DNG, and where its bytes lie.

EXIF is written anew, tag by tag, in the types that the standard wants: nothing of a stranger's block is copied as it
stands. Makers' notes stay behind (their offsets break when they move), and so do serial numbers and the owner's name.
"""

import mmap
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from priorraw_edge.runtime.decode import DECODER_ERRORS, quiet_decoders
from priorraw_edge.runtime.ifd import ASCII, RATIONALS, Block, Entry, one_line
from priorraw_edge.runtime.png import open_png

MAKE, MODEL, SOFTWARE, XMP, EXIF_IFD, GPS_IFD, MAKER_NOTE = 271, 272, 305, 700, 34665, 34853, 37500
DATES = (36867, 36868)
BYTE, SHORT, LONG, RATIONAL, SRATIONAL = 1, 3, 4, 5, 10
PACKING = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", SRATIONAL: "i"}
MAX_TEXT = 1000

# CIPA DC-008 (EXIF 2.32), 4.6: tag -> type and count; count 0 is any.
IMAGE_TAGS = {315: (ASCII, 0), 33432: (ASCII, 0)}  # Artist, Copyright
EXIF_TAGS = {
    **dict.fromkeys((33434, 33437), (RATIONAL, 1)),  # ExposureTime, FNumber
    34850: (SHORT, 1),  # ExposureProgram
    34855: (SHORT, 0),  # PhotographicSensitivity
    34864: (SHORT, 1),  # SensitivityType
    **dict.fromkeys((34865, 34866, 34867), (LONG, 1)),  # standard output sensitivity, recommended index, ISO speed
    **dict.fromkeys(DATES, (ASCII, 20)),  # DateTimeOriginal, DateTimeDigitized
    **dict.fromkeys((36880, 36881, 36882), (ASCII, 7)),  # their offsets from UTC
    37377: (SRATIONAL, 1),  # ShutterSpeedValue
    37378: (RATIONAL, 1),  # ApertureValue
    **dict.fromkeys((37379, 37380), (SRATIONAL, 1)),  # BrightnessValue, ExposureBiasValue
    **dict.fromkeys((37381, 37382), (RATIONAL, 1)),  # MaxApertureValue, SubjectDistance
    **dict.fromkeys((37383, 37384, 37385), (SHORT, 1)),  # MeteringMode, LightSource, Flash
    37386: (RATIONAL, 1),  # FocalLength
    **dict.fromkeys((37520, 37521, 37522), (ASCII, 0)),  # fractions of a second
    **dict.fromkeys((41986, 41987), (SHORT, 1)),  # ExposureMode, WhiteBalance
    41988: (RATIONAL, 1),  # DigitalZoomRatio
    **dict.fromkeys((41989, 41990, 41996), (SHORT, 1)),  # 35 mm focal length, SceneCaptureType, distance range
    42034: (RATIONAL, 4),  # LensSpecification
    **dict.fromkeys((42035, 42036), (ASCII, 0)),  # LensMake, LensModel
}
GPS_TAGS = {
    0: (BYTE, 4),  # version
    **dict.fromkeys((1, 3, 9, 10, 12, 14, 16, 23), (ASCII, 2)),
    **dict.fromkeys((2, 4, 7), (RATIONAL, 3)),  # latitude, longitude, time
    5: (BYTE, 1),
    **dict.fromkeys((6, 11, 13, 15, 17, 24, 31), (RATIONAL, 1)),
    **dict.fromkeys((8, 18), (ASCII, 0)),
    29: (ASCII, 11),  # date
    30: (SHORT, 1),
}
# Values that the standard knows, of tags that hold a choice; others are left out. Texts stand as their first letter.
CHOICES: dict[int, frozenset[int]] = {
    34850: frozenset(range(10)),
    34864: frozenset(range(8)),
    37383: frozenset((*range(7), 255)),
    37384: frozenset((*range(5), *range(9, 25), 255)),
    37385: frozenset(
        (0, 1, 5, 7, 8, 9, 13, 15, 16, 20, 24, 25, 29, 31, 32, 48, 65, 69, 71, 73, 77, 79, 80, 88, 89, 93, 95)
    ),
    41986: frozenset(range(3)),
    41987: frozenset(range(2)),
    **dict.fromkeys((41990, 41996), frozenset(range(4))),
    **dict.fromkeys((5, 30), frozenset((0, 1))),  # GPS from here on
    1: frozenset(b"NS"),
    3: frozenset(b"EW"),
    9: frozenset(b"AV"),
    10: frozenset(b"23"),
    12: frozenset(b"KMN"),
    **dict.fromkeys((14, 16, 23), frozenset(b"TM")),
}
MAY_BE_UNKNOWN = (42034,)  # LensSpecification: 0/0 stands for an unknown f-number

Tag = tuple[int, int, int, bytes]  # code, TIFF type, count, little-endian values


@dataclass(frozen=True)
class Facts:
    """What the file says, as far as it is used; empty where it says nothing."""

    make: str = ""
    model: str = ""
    software: str = ""
    creator_tool: str = ""  # XMP: the program that wrote the file last
    history: bool = False  # XMP: a list of edits
    maker_note: bool = False
    image: tuple[Tag, ...] = ()  # for IFD0
    exif: tuple[Tag, ...] = ()  # for the EXIF directory
    gps: tuple[Tag, ...] = ()

    @property
    def camera(self) -> str:
        """Make and model in a line, the maker's name once."""
        maker = (self.make.split() or [""])[0]
        same = self.model.lower().startswith(maker.lower())
        return (self.model if same else f"{maker} {self.model}").strip()

    def without_gps(self) -> "Facts":
        return replace(self, gps=())

    def to_json(self) -> dict[str, Any]:
        lists = {name: [(*tag[:3], tag[3].hex()) for tag in getattr(self, name)] for name in ("image", "exif", "gps")}
        return asdict(self) | lists

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Facts":
        tags = {
            name: tuple((code, kind, count, bytes.fromhex(data)) for code, kind, count, data in value[name])
            for name in ("image", "exif", "gps")
        }
        return Facts(**(value | tags))


def read_facts(path: Path) -> Facts:
    """What a JPEG, PNG or TIFF says of itself; what is damaged is left out, without an error.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with metadata_blocks(path) as (block, xmp):
            return _facts(block, xmp)
    except DECODER_ERRORS:
        return Facts()


@contextmanager
def metadata_blocks(path: Path) -> Iterator[tuple[bytes | mmap.mmap | None, bytes]]:
    """The TIFF structure that holds the tags (the file itself, or the EXIF block of a JPEG or PNG), and the XMP."""
    with path.open("rb") as file:
        magic = file.read(4)
        if magic in (b"II*\0", b"MM\0*"):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data, b""
        elif magic.startswith(b"\xff\xd8\xff"):
            from PIL.JpegImagePlugin import JpegImageFile

            # The class itself, as in `decode`: Image.open has a size limit of its own.
            file.seek(0)
            with quiet_decoders(), JpegImageFile(file) as image:
                yield _without_header(image.info.get("exif")), image.info.get("xmp") or b""
        elif magic == b"\x89PNG":
            with quiet_decoders():
                picture = open_png(path, file)
                yield _without_header(picture.exif), picture.xmp
        else:
            yield None, b""


def _without_header(block: bytes | None) -> bytes | None:
    return block.removeprefix(b"Exif\0\0") if block else None


def _facts(block: bytes | mmap.mmap | None, xmp: bytes) -> Facts:
    if not block:
        return Facts(**_xmp_facts(xmp))
    tiff, tags = Block.of_tiff(block)
    if XMP in tags:
        xmp = tiff.raw(tags[XMP])
    exif = _directory(tiff, tags.get(EXIF_IFD))
    return Facts(
        make=tiff.text(tags.get(MAKE)),
        model=tiff.text(tags.get(MODEL)),
        software=tiff.text(tags.get(SOFTWARE)),
        maker_note=MAKER_NOTE in exif,
        image=_carried(tiff, tags, IMAGE_TAGS),
        exif=_carried(tiff, exif, EXIF_TAGS),
        gps=_carried(tiff, _directory(tiff, tags.get(GPS_IFD)), GPS_TAGS),
        **_xmp_facts(xmp),
    )


def _xmp_facts(xmp: bytes) -> dict[str, Any]:
    tool = re.search(rb"CreatorTool(?:=[\"']|>)([^\"'<]{1,100})", xmp)
    return {
        "creator_tool": one_line(tool[1].decode("utf-8", "replace")) if tool else "",
        "history": b"xmpMM:History" in xmp or b"crs:HasSettings" in xmp,
    }


def _directory(tiff: Block, entry: Entry | None) -> dict[int, Entry]:
    try:
        return tiff.directory(tiff.pointer(entry)) if entry else {}
    except ValueError:
        return {}


def _carried(tiff: Block, tags: dict[int, Entry], wanted: dict[int, tuple[int, int]]) -> tuple[Tag, ...]:
    """The wanted tags, in the types that the standard names; what cannot be put so is left out."""
    found = []
    for code, (kind, count) in sorted(wanted.items()):
        if code in tags:
            try:
                found.append((code, kind, *_value(tiff, code, tags[code], kind, count)))
            except (ValueError, OverflowError, struct.error):
                continue
    return tuple(found)


def _value(tiff: Block, code: int, entry: Entry, kind: int, count: int) -> tuple[int, bytes]:
    """Count and bytes of a tag, or ValueError."""
    if kind == ASCII:
        text = tiff.raw(entry).split(b"\0")[0].strip()[:MAX_TEXT] + b"\0" if entry.kind == ASCII else b""
        if len(text) < 2 or count not in (0, len(text)) or text[0] not in CHOICES.get(code, text):
            raise ValueError(f"no text for tag {code}")
        text.decode()  # raises on what is no UTF-8
        if code in DATES:
            datetime.strptime(text[:-1].decode(), "%Y:%m:%d %H:%M:%S")  # raises on a clock that was never set
        return len(text), text
    rational = kind in (RATIONAL, SRATIONAL)
    values = _pairs(tiff, entry) if rational else tiff.integers(entry)
    number = len(values) // (2 if rational else 1)
    if (entry.kind in RATIONALS and not rational) or (number != count if count else number not in (1, 2, 3)):
        raise ValueError(f"{entry.count} values of type {entry.kind} for tag {code}")
    if rational and code not in MAY_BE_UNKNOWN and 0 in values[1::2]:
        raise ValueError(f"tag {code} is a number over zero")
    if not CHOICES.get(code, frozenset(values)).issuperset(values):
        raise ValueError(f"tag {code} is none of its choices")
    return number, struct.pack(f"<{len(values)}{PACKING[kind]}", *values)


def _pairs(tiff: Block, entry: Entry) -> list[int]:
    """Numerators and denominators, of numbers of any type: some programs write whole or floating-point ones."""
    if entry.kind in RATIONALS:
        return tiff.integers(entry)
    fractions = [Fraction(value).limit_denominator(1_000_000) for value in tiff.values(entry)]  # raises on infinity
    return [n for fraction in fractions for n in (fraction.numerator, fraction.denominator)]


def directory_bytes(tags: tuple[Tag, ...], at: int) -> bytes:
    """A little-endian TIFF directory of `tags` (TIFF 6.0, section 2) that stands at the even byte `at` of a file."""
    head, tail = struct.pack("<H", len(tags)), b""
    for code, kind, count, data in sorted(tags):
        if len(data) > 4:
            pointer = struct.pack("<I", at + 2 + 12 * len(tags) + 4 + len(tail))
            tail += data + b"\0" * (len(data) % 2)
        else:
            pointer = data.ljust(4, b"\0")
        head += struct.pack("<HHI", code, kind, count) + pointer
    return head + bytes(4) + tail
