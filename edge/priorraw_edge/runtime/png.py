"""PNG files by rows: the picture is cut into strips that are small PNGs of their own, for the usual decoders.

A scanline is filtered against the one above it, so a strip carries the last line of the strip before, unfiltered,
as its first. The strips are stored, not compressed again, which costs little beside inflating the file.
Interlaced pictures have no rows to stream: they are one strip.

Which library decodes what: Pillow reads 8 bits but cuts 16-bit RGB to 8, so that goes through imagecodecs.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from priorraw_edge.runtime.decode import STRIP, Decoded, Strip, check_pixels, metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # IHDR's colour type -> samples a pixel (PNG 3rd edition, 11.2.1)
PALETTE = 3
PIXELS = (b"IHDR", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")  # chunks that a strip does not take over
READ = 1 << 16
MAX_OTHER = 1 << 26  # bytes of chunks beside the pixels


@dataclass(frozen=True)
class Header:
    """IHDR, and the chunks beside the pixels as they stand."""

    width: int
    height: int
    bits: int
    colour_type: int
    interlaced: bool = False
    others: bytes = b""

    @property
    def line(self) -> int:
        """Bytes of a scanline, its filter byte apart."""
        return -(-self.width * SAMPLES[self.colour_type] * self.bits // 8)

    @property
    def plain(self) -> bool:
        """Whether unfiltered scanlines are the samples: no palette, no packed bits, no transparent colour."""
        return self.bits >= 8 and self.colour_type != PALETTE and b"tRNS" not in self.others

    @property
    def like(self) -> "Header":
        """A plain kind of PNG with the same bytes a pixel: filters know nothing else of a pixel."""
        if self.bits < 8 or self.colour_type == PALETTE:
            return Header(self.line, self.height, 8, 0)
        return Header(self.width, self.height, self.bits, self.colour_type)

    def file(self, compressed: bytes, rows: int) -> bytes:
        """A PNG file of `rows` rows."""
        head = struct.pack(">IIBBHB", self.width, rows, self.bits, self.colour_type, 0, self.interlaced)
        return SIGNATURE + _chunk(b"IHDR", head) + self.others + _chunk(b"IDAT", compressed) + _chunk(b"IEND", b"")


def open_png(path: Path, file: BinaryIO) -> Decoded:
    """A PNG file's metadata and strips."""
    from PIL.PngImagePlugin import PngImageFile

    header, places = _scan(path, file)
    blank = header.file(zlib.compress(bytes((header.line + 1) * 2)), 1)  # two lines: enough for interlaced ones
    image = PngImageFile(io.BytesIO(blank))
    image.load()
    if header.bits == 16:
        channels = SAMPLES[header.colour_type] + (b"tRNS" in header.others)
    else:
        channels = (3 if image.mode in ("P", "RGB", "RGBA") else 1) + image.has_transparency_data
    alpha = channels in (2, 4)

    def strips() -> Iterator[Strip]:
        for samples in _rows(file, header, places):
            if samples.shape[2] != channels:
                raise ValueError(f"{samples.shape[2]} channels where the header says {channels}")
            yield (samples[..., :-1], samples[..., -1]) if alpha else (samples, None)

    return Decoded(
        height=header.height,
        width=header.width,
        dtype=np.dtype(np.uint16 if header.bits == 16 else np.uint8),
        channels=channels - alpha,
        has_alpha=alpha,
        strips=strips(),
        **metadata(image),
    )


def _scan(path: Path, file: BinaryIO) -> tuple[Header, list[tuple[int, int]]]:
    """The header, and where the chunks of pixels lie: first byte, length."""
    file.seek(len(SIGNATURE))
    fields, others, places = None, bytearray(), []
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if fields is None and kind != b"IHDR":
            raise ValueError("does not start with IHDR")
        if kind == b"IDAT":
            places.append((file.tell(), length))
            file.seek(length + 4, 1)
            continue
        if len(others) + length > MAX_OTHER:
            raise ValueError(f"{length} bytes of {kind!r}")
        data = file.read(length + 4)
        if len(data) != length + 4:
            raise EOFError("ends early")
        if kind == b"IHDR":
            if struct.unpack(">I", data[length:])[0] != zlib.crc32(kind + data[:length]):
                raise ValueError("checksum of IHDR is wrong")
            fields = struct.unpack(">IIBBHB", data[:length])
            check_pixels(path, *fields[:2])
            if fields[2] not in (1, 2, 4, 8, 16) or fields[3] not in SAMPLES or fields[4] or fields[5] > 1:
                raise ValueError(f"IHDR holds {fields}")
        elif kind == b"IEND":
            break
        elif kind not in PIXELS:
            others += struct.pack(">I4s", length, kind) + data
    if fields is None or not places:
        raise ValueError("holds no pixels")
    width, height, bits, colour_type, _, interlaced = fields
    return Header(width, height, bits, colour_type, bool(interlaced), bytes(others)), places


def _rows(file: BinaryIO, header: Header, places: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """(n, W, channels) uint8 or uint16, from the top."""
    import imagecodecs

    if header.interlaced:
        yield _samples(header.file(b"".join(_compressed(file, places)), header.height), header)
        return
    above, like = b"", header.like
    for lines, n in _scanlines(_compressed(file, places), header):
        decoded = imagecodecs.png_decode(like.file(zlib.compress(above + lines, 0), n + bool(above)))
        samples = decoded.reshape(len(decoded), like.width, -1)[-n:]
        raw = samples.reshape(n, -1).astype(samples.dtype.newbyteorder(">"))
        above = b"\0" + raw[-1].tobytes()
        if not header.plain:
            whole = np.insert(raw.view(np.uint8), 0, 0, axis=1)  # filter 0: none
            samples = _samples(header.file(zlib.compress(whole.tobytes(), 0), n), header)
        yield samples


def _samples(data: bytes, header: Header) -> np.ndarray:
    """A PNG file to (H, W, channels) uint8 or uint16: palettes, packed bits and transparent colours resolved."""
    from PIL.PngImagePlugin import PngImageFile

    if header.bits == 16:
        import imagecodecs

        samples = imagecodecs.png_decode(data)
    else:
        image = PngImageFile(io.BytesIO(data))
        image.load()
        transparent = image.has_transparency_data
        colours = image.mode in ("P", "RGB", "RGBA")
        mode = ("RGBA" if colours else "LA") if transparent else ("RGB" if colours else "L")
        samples = np.asarray(image.convert(mode))
    return samples.reshape(*samples.shape[:2], -1)


def _scanlines(compressed: Iterator[bytes], header: Header) -> Iterator[tuple[bytes, int]]:
    """Filtered scanlines, each after its filter byte, `STRIP` at a time, and how many they are."""
    line, done, found = header.line + 1, 0, bytearray()
    for part in _inflated(compressed, line * STRIP):
        found += part
        while len(found) >= (n := min(STRIP, header.height - done)) * line:
            yield bytes(found[: n * line]), n
            del found[: n * line]
            done += n
            if done == header.height:
                for _ in compressed:  # its checksum, and whether it is all there
                    pass
                return
    raise EOFError("pixel data ends early")


def _inflated(compressed: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The data of a zlib stream in parts of `most` bytes or less, but for the last."""
    inflate = zlib.decompressobj()
    for data in compressed:
        while data:
            yield inflate.decompress(data, most)
            data = inflate.unconsumed_tail
    yield inflate.flush()


def _compressed(file: BinaryIO, places: list[tuple[int, int]]) -> Iterator[bytes]:
    for start, length in places:
        file.seek(start)
        check = zlib.crc32(b"IDAT")
        while length:
            data = file.read(min(length, READ))
            if not data:
                raise EOFError("pixel data ends early")
            check = zlib.crc32(data, check)
            length -= len(data)
            yield data
        if struct.unpack(">I", file.read(4))[0] != check:
            raise ValueError("checksum of IDAT is wrong")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
