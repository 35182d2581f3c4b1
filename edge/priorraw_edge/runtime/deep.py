"""Pictures whose bit depth is to be recovered: their low codes, their high ones, and files of the result."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from priorraw.bit_depth import Depths
from priorraw.errors import InputError
from priorraw.evaluate_depth import Restore
from priorraw.files import atomic_file
from priorraw.isp import quantise

from priorraw_edge.runtime.engine import Engine
from priorraw_edge.runtime.picture import read_picture
from priorraw_edge.runtime.source import ArraySource, Source
from priorraw_edge.runtime.stream import Stream
from priorraw_edge.runtime.writers import PngRows

PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


class LowSource:
    """A picture as the model sees it: the low codes of another source's, over the largest one.

    `levels` counts the codes that it held so far, in any channel; more than 2 to the low bits were cut.
    """

    def __init__(self, source: Source, depths: Depths):
        self.height, self.width = source.height, source.width
        self._source, self._depths = source, depths
        self._held = np.zeros(1 << 16, bool)

    @property
    def levels(self) -> int:
        return int(self._held.sum())

    def window(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return self._depths.unit(self._low(self._source.window(top, bottom, left, right)))

    def crossings(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        # A window a row: `Source.crossings` scales the codes, and 16 zero-padded bits do not scale back to codes.
        picked = [self._source.window(y, y + 1, 0, self.width)[0, list(columns)] for y in rows]
        return self._depths.unit(self._low(np.stack(picked)))

    def _low(self, codes: np.ndarray) -> np.ndarray:
        if codes.dtype.kind == "f":
            codes = quantise(codes, 16)
        self._held[codes] = True
        return low_codes(codes, self._depths)


def restorer(engine: Engine, depths: Depths) -> Restore:
    """Low codes (H, W, 3) to the high picture, float32 in [0, 1], and reliability (H, W), by the engine in tiles."""

    def restore(low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        stream = Stream(ArraySource(depths.unit(low)), engine, raw=False)
        bands = [(band.raw.copy(), band.reliability.copy()) for band in stream.bands()]
        high, reliability = (np.concatenate(part) for part in zip(*bands, strict=True))
        return high, reliability

    return restore


def low_codes(codes: np.ndarray, depths: Depths) -> np.ndarray:
    """The first bits of codes, uint8 or uint16: whether they are padded with zeros or stretched, these are the same."""
    return codes >> (codes.dtype.itemsize * 8 - depths.low)


def write_picture(path: Path, stream: Stream, depths: Depths, reliability: Path | None = None) -> int:
    """Write the high picture as PNG, and the reliability map (255 = reliable) where asked for: both or neither.

    Up to 8 bits go into 8, more into 16, stretched to their full range.

    Returns:
        How many levels the result holds, over all channels.

    Raises:
        InputError: a path cannot be written, or the model returned NaN.
    """
    bits = 8 if depths.high <= 8 else 16
    held = np.zeros(depths.top + 1, bool)
    with ExitStack() as stack:
        pictures = [(path, 3, bits)] + ([(reliability, 1, 8)] if reliability else [])
        writers = []
        for file, channels, depth in pictures:
            opened = stack.enter_context(stack.enter_context(atomic_file(file)).open("wb"))
            writers.append(PngRows(opened, stream.height, stream.width, channels, depth))
        for band in stream.bands():
            codes = depths.high_codes(band.raw)
            held[codes] = True
            stretched = np.rint(codes * (((1 << bits) - 1) / depths.top))
            writers[0].write(stretched.astype(np.uint8 if bits == 8 else np.uint16))
            if reliability:
                writers[1].write(quantise(band.reliability, 8))
        for writer in writers:
            writer.close()
    return int(held.sum())


def picture_codes(path: Path) -> np.ndarray:
    """A picture file's RGB codes (H, W, 3), uint8 or uint16, upright and in sRGB.

    Raises:
        InputError: it cannot be read as a picture.
    """
    picture = read_picture(path)
    return quantise(picture.srgb, 8 if picture.bits == 8 else 16)


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, in order of name.

    Raises:
        InputError: there is none, or no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one with pictures ({', '.join(sorted(PICTURES))})")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not paths:
        raise InputError(f"{folder}: holds no picture ({', '.join(sorted(PICTURES))}); name a folder of pictures")
    return paths


def high_pictures(paths: Sequence[Path], depths: Depths) -> Iterator[tuple[str, np.ndarray]]:
    """Name and high codes of each picture file.

    Raises:
        InputError: a file cannot be read, or has fewer bits than `depths.high`.
    """
    for path in paths:
        try:
            yield path.stem, depths.reduce(picture_codes(path))
        except InputError as error:
            message = str(error)
            raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from None
