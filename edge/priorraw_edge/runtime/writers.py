"""Pictures written from the top as their bands come: linear TIFF, npy, reliability PNG (`dng` has the DNG)."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from priorraw import isp

from priorraw_edge.runtime.stream import Band

SOFTWARE = "PriorRAW Edge"
ROWS = 16  # quantised at a time: what fits a processor's cache
PNG_LEVEL = 4  # zlib; smooth maps gain little from more


class Bands(Protocol):
    """A raw-RGB picture on its way: `Stream`, or a finished one."""

    height: int
    width: int
    camera: str
    color_matrix: np.ndarray  # (3, 3) XYZ (D65) to camera

    def bands(self) -> Iterator[Band]:
        """From the top, once."""

    def neutral(self) -> np.ndarray:
        """(3,) response to white, largest 1; known after the last band."""

    def preview(self) -> np.ndarray:
        """(h, w, 3) uint8 sRGB, 1024 pixels long at most."""


def quantised(raw: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Rows (n, W, 3) float32 to rows uint16, a few at a time."""
    for rows in raw:
        for y in range(0, len(rows), ROWS):
            yield isp.quantise(rows[y : y + ROWS], 16)


def write_empty_tiff(path: Path, height: int, width: int, **options) -> int:
    """An uncompressed uint16 TIFF of three samples in one strip, whose pixels come later; the byte they start at."""
    import tifffile

    tifffile.imwrite(path, None, shape=(height, width, 3), dtype=np.uint16, metadata=None, software=SOFTWARE, **options)
    with tifffile.TiffFile(path) as file:
        return file.pages[0].dataoffsets[0]


def fill(path: Path, start: int, rows: Iterable[np.ndarray]) -> None:
    """Write rows one after the other from byte `start` of an existing file."""
    with path.open("r+b") as file:
        file.seek(start)
        for part in rows:
            file.write(np.ascontiguousarray(part).data)


def overwrite_tag(path: Path, code: int, data: bytes) -> None:
    """Replace the values of a tag of the first page by as many bytes."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags[code]  # type: ignore[union-attr]
        start, size = tag.valueoffset, tag.valuebytecount
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes for the {size} of tag {code}")
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


class LinearTiff:
    """A linear 16-bit RGB TIFF that grows from the top; the response to white stands in the description."""

    def __init__(self, path: Path, height: int, width: int, camera: str):
        self._path, self._camera = path, camera
        start = write_empty_tiff(path, height, width, photometric="rgb", description=self._description(np.ones(3)))
        self._file = path.open("r+b")
        self._file.seek(start)

    def add(self, raw: np.ndarray) -> None:
        """Append rows (n, W, 3) float32 in [0, 1]."""
        for rows in quantised([raw]):
            self._file.write(rows.data)

    def close(self, neutral: np.ndarray) -> None:
        """End the picture, whose response to white (3,) is known now."""
        self._file.close()
        overwrite_tag(self._path, 270, self._description(neutral).encode() + b"\0")

    def _description(self, neutral: np.ndarray) -> str:
        text = " ".join(f"{value:.6f}" for value in neutral)
        return f"linear raw-RGB of camera {self._camera}, 65535 = white level; AsShotNeutral {text}"


def write_tiff(path: Path, picture: Bands, raw: Iterator[np.ndarray]) -> None:
    """`LinearTiff` of a whole picture."""
    tiff = LinearTiff(path, picture.height, picture.width, picture.camera)
    for rows in raw:
        tiff.add(rows)
    tiff.close(picture.neutral())


def write_npy(path: Path, picture: Bands, raw: Iterator[np.ndarray]) -> None:
    """(H, W, 3) float32, as `np.save` writes it."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (picture.height, picture.width, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for rows in raw:
            file.write(np.ascontiguousarray(rows, "<f4").data)


class PngRows:
    """A grey or RGB PNG, row by row; every row filtered against the one above (PNG 3rd edition, 9.2, type 2)."""

    def __init__(self, file: BinaryIO, height: int, width: int, channels: int = 1, bits: int = 8):
        self._file = file
        self._above = np.zeros((1, width * channels * bits // 8), np.uint8)
        self._deflate = zlib.compressobj(PNG_LEVEL)
        file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, {1: 0, 3: 2}[channels], 0, 0, 0))

    def write(self, rows: np.ndarray) -> None:
        """Append rows (n, W) or (n, W, 3), uint8 or uint16."""
        data = np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder(">"))).view(np.uint8).reshape(len(rows), -1)
        above = np.concatenate([self._above, data[:-1]])
        filtered = np.insert(data - above, 0, 2, axis=1)
        self._above = data[-1:].copy()
        self._chunk(b"IDAT", self._deflate.compress(filtered.tobytes()))

    def close(self) -> None:
        """End the picture; the file stays open."""
        self._chunk(b"IDAT", self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _chunk(self, kind: bytes, data: bytes) -> None:
        if data or kind != b"IDAT":
            self._file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
