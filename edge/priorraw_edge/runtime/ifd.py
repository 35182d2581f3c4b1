"""TIFF's directories of tags (IFDs) in bytes that nobody vouches for: EXIF blocks and makers' notes.

tifffile and Pillow read EXIF, but neither opens the makers' notes, whose offsets count from places of their own.
Here nothing is read outside of the bytes, nothing recurses, and counts have limits.
"""

import mmap
import struct
from dataclasses import dataclass

# TIFF 6.0, section 2, and type 13 (IFD) of TIFF technical note 1: type -> format of one value.
FORMATS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}
ASCII, RATIONALS, OFFSETS = 2, (5, 10), (4, 13)
MAX_ENTRIES = 1000
MAX_VALUES = 100_000
MAX_BYTES = 1 << 20
MAX_TEXT = 100  # of a text that people are to read


@dataclass(frozen=True)
class Entry:
    """One tag of a directory."""

    kind: int  # TIFF's type
    count: int
    at: int  # where the values start in the bytes


@dataclass(frozen=True)
class Block:
    """Bytes with a byte order; offsets in them count from `base`."""

    data: bytes | mmap.mmap
    order: str  # "<" or ">"
    base: int = 0

    @classmethod
    def of_tiff(cls, data: bytes | mmap.mmap, at: int = 0) -> tuple["Block", dict[int, Entry]]:
        """A TIFF header at byte `at` and its first directory; offsets count from the header.

        Raises:
            ValueError: no TIFF header there, or a damaged directory.
        """
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[at : at + 4])
        if order is None:
            raise ValueError("no TIFF header")
        block = cls(data, order, at)
        return block, block.directory(at + block._numbers("I", at + 4)[0])

    def directory(self, at: int) -> dict[int, Entry]:
        """The tags of the directory that starts at byte `at`; one that names no known type is left out.

        Raises:
            ValueError: it reaches outside of the bytes or claims more tags than any camera writes.
        """
        (number,) = self._numbers("H", at)
        if number > MAX_ENTRIES:
            raise ValueError(f"a directory of {number} tags")
        entries: dict[int, Entry] = {}
        for i in range(number):
            start = at + 2 + 12 * i
            tag, kind, count = self._numbers("HHI", start)
            size = 1 if kind == ASCII else struct.calcsize("=" + FORMATS.get(kind, ""))
            if size:
                inline = size * count <= 4
                where = start + 8 if inline else self.base + self._numbers("I", start + 8)[0]
                entries.setdefault(tag, Entry(kind, count, where))
        return entries

    def values(self, entry: Entry) -> list[float]:
        """The numbers of a tag; a rational over zero is NaN.

        Raises:
            ValueError: they reach outside of the bytes, are too many, or are text.
        """
        if entry.kind == ASCII or entry.count > MAX_VALUES:
            raise ValueError(f"{entry.count} values of type {entry.kind}")
        numbers = self._numbers(FORMATS[entry.kind] * entry.count, entry.at)
        if entry.kind not in RATIONALS:
            return [float(n) for n in numbers]
        return [a / b if b else float("nan") for a, b in zip(numbers[::2], numbers[1::2], strict=True)]

    def integers(self, entry: Entry) -> list[int]:
        """The whole numbers of a tag; two for each rational.

        Raises:
            ValueError: they reach outside of the bytes, are too many, or are none.
        """
        fields = FORMATS.get(entry.kind, "f")
        if fields in "fd" or entry.count > MAX_VALUES:
            raise ValueError(f"{entry.count} values of type {entry.kind}")
        return list(self._numbers(fields * entry.count, entry.at))

    def raw(self, entry: Entry) -> bytes:
        """The bytes of a text or of a tag of bytes, at most a megabyte.

        Raises:
            ValueError: another type.
        """
        if entry.kind not in (1, ASCII, 6, 7):
            raise ValueError(f"type {entry.kind} is no text")
        return bytes(self.data[entry.at : entry.at + min(entry.count, MAX_BYTES)])

    def pointer(self, entry: Entry) -> int:
        """The byte that a tag's one offset names.

        Raises:
            ValueError: the tag holds no offset.
        """
        if entry.kind not in OFFSETS or entry.count != 1:
            raise ValueError(f"{entry.count} values of type {entry.kind} are no offset")
        return self.base + self._numbers("I", entry.at)[0]

    def shorts(self, entry: Entry, start: int, number: int) -> list[float]:
        """`number` 16-bit values from place `start` of a tag, whatever type it claims.

        Raises:
            ValueError: they reach outside of the bytes.
        """
        return [float(n) for n in self._numbers("H" * number, entry.at + 2 * start)]

    def text(self, entry: Entry | None) -> str:
        """The text of an ASCII tag as `one_line`; empty where there is none."""
        if entry is None or entry.kind != ASCII:
            return ""
        raw = self.data[entry.at : entry.at + min(entry.count, MAX_TEXT)]
        return one_line(raw.split(b"\0")[0].decode("ascii", "replace"))

    def _numbers(self, fields: str, at: int) -> tuple:
        try:
            return struct.unpack_from(self.order + fields, self.data, at)
        except struct.error:
            raise ValueError(f"tags reach outside of the file (byte {at})") from None


def one_line(text: str) -> str:
    """A stranger's text, safe to print: a terminal obeys control characters, and a note is one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
