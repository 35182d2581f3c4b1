"""As-shot white-balance gains in the makers' notes of EXIF (MakerNote, tag 0x927C).

Makers document none of this: places and scales are those that LibRaw and ExifTool agree on. Sony ciphers its
levels in JPEGs and Fujifilm writes none there, so both are left out.
"""

from collections.abc import Callable

from priorraw_edge.runtime.ifd import Block, Entry

# Canon's ColorData, shorts: length as the tag counts it (5120: bytes, PowerShot) -> place of the as-shot R, G, G, B.
# Other lengths are cameras not known here.
CANON_COLOR_DATA = {
    **dict.fromkeys((582,), 25),
    **dict.fromkeys((653,), 34),
    **dict.fromkeys((796, 674, 692, 702, 1227, 1250, 1251, 1337, 1338, 1346, 1273, 1275), 63),
    **dict.fromkeys((1312, 1313, 1316, 1506, 1560, 1592, 1353, 1602), 63),
    **dict.fromkeys((5120, 1816, 1820, 1824), 71),
    **dict.fromkeys((2024, 3656), 85),
}

Gains = tuple[float, float, float]
Found = tuple[Gains, str]  # gains of R, G, B on any scale, and the name of the tag


def maker_gains(tiff: Block, note: Entry, make: str) -> Found | None:
    """The gains in a maker's note, or None where this maker or camera is not known.

    Args:
        tiff: the EXIF block that holds the note.
        note: its MakerNote entry.
        make: EXIF's Make; Canon's notes carry no name of their own.

    Raises:
        ValueError: the note is damaged.
    """
    head = tiff.data[note.at : note.at + 16]
    for start, read in _NAMED.items():
        if head.startswith(start):
            return read(tiff, note.at, head)
    return _canon(tiff, note.at) if make == "Canon" else None


def _canon(tiff: Block, at: int) -> Found | None:
    entry = tiff.directory(at).get(0x4001)
    start = CANON_COLOR_DATA.get(entry.count) if entry else None
    if entry is None or start is None:
        return None
    red, green, green2, blue = tiff.shorts(entry, start, 4)
    return (red, (green + green2) / 2, blue), "Canon ColorData"


def _nikon(tiff: Block, at: int, head: bytes) -> Found | None:
    note, tags = Block.of_tiff(tiff.data, at + 10)  # the note holds a TIFF of its own
    if 0x000C not in tags:
        return None
    red, blue, green, *_ = note.values(tags[0x000C])
    return (red, green, blue), "Nikon WB_RBLevels"


def _olympus(tiff: Block, at: int, head: bytes) -> Found | None:
    """Type 1 ("OLYMP") counts offsets as EXIF does; type 2 and OM SYSTEM have a byte order and count from the note."""
    size = {b"OLYMP\0": 8, b"OLYMPU": 12, b"OM SYS": 16}[head[:6]]
    note = tiff if size == 8 else Block(tiff.data, _order(head[size - 4 : size - 2]), at)
    tags = note.directory(at + size)
    if 0x2040 in tags:  # ImageProcessing: a directory, by its offset or in place
        entry = tags[0x2040]
        inner = note.directory(entry.at if entry.kind == 7 else note.pointer(entry))
        if 0x0100 in inner:
            red, blue, *_ = note.values(inner[0x0100])
            return (red, 256, blue), "Olympus WB_RBLevels"
    if 0x1017 in tags and 0x1018 in tags:
        red, blue = (note.values(tags[tag])[0] for tag in (0x1017, 0x1018))
        return (red, 256, blue), "Olympus RedBalance, BlueBalance"
    return None


def _panasonic(tiff: Block, at: int, head: bytes) -> Found | None:
    note = Block(tiff.data, "<", tiff.base)
    tags = note.directory(at + 12)
    if not {0x8004, 0x8005, 0x8006} <= tags.keys():
        return None
    red, green, blue = (note.values(tags[tag])[0] for tag in (0x8004, 0x8005, 0x8006))
    return (red, green, blue), "Panasonic WBRedLevel, WBGreenLevel, WBBlueLevel"


def _pentax(tiff: Block, at: int, head: bytes) -> Found | None:
    """ "AOC" counts offsets as EXIF does, "PENTAX " from the note; both name their byte order."""
    old = head.startswith(b"AOC\0")
    size = 6 if old else 10
    order = tiff.order if old and head[4:6] not in (b"II", b"MM") else _order(head[size - 2 : size])
    note = Block(tiff.data, order, tiff.base if old else at)
    tags = note.directory(at + size)
    if 0x0201 not in tags:
        return None
    red, green, green2, blue = note.values(tags[0x0201])
    return (red, (green + green2) / 2, blue), "Pentax WhitePoint"


def _order(mark: bytes) -> str:
    if mark not in (b"II", b"MM"):
        raise ValueError(f"byte order {mark!r}")
    return "<" if mark == b"II" else ">"


_NAMED: dict[bytes, Callable[[Block, int, bytes], Found | None]] = {
    b"Nikon\0\2": _nikon,
    b"OLYMP\0": _olympus,
    b"OLYMPUS\0": _olympus,
    b"OM SYSTEM\0": _olympus,
    b"Panasonic\0": _panasonic,
    b"AOC\0": _pentax,
    b"PENTAX \0": _pentax,
}
