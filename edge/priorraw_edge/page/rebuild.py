"""One photograph to what the page shows and hands out: DNG, TIFF, reliability map, and a view of 16-bit codes.

Everything comes from one pass over the picture's bands, so that memory does not grow with its height.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from priorraw import isp
from priorraw.errors import InputError

from priorraw_edge.page.limits import Limits
from priorraw_edge.runtime.engine import BundleEngine
from priorraw_edge.runtime.outputs import Job, check_size, write_stream
from priorraw_edge.runtime.preview import block_means, block_side, preview_of
from priorraw_edge.runtime.spool import Spool
from priorraw_edge.runtime.stream import Band, Stream
from priorraw_edge.runtime.which import choose_camera
from priorraw_edge.runtime.writers import LinearTiff

# Names within a job's own folder; nothing that a client sends becomes part of a path.
PHOTO, VIEW, DNG, TIFF, MAP = "photo", "view.bin", "raw.dng", "raw.tiff", "reliability.png"

# How far it is: what is being done, and the part of it that is done.
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Request:
    folder: Path  # holds PHOTO; the results come to lie there
    camera: str | None = None  # None: the one that EXIF names
    hint: bool = False  # use the as-shot gains that the photograph carries
    view_side: int = Limits.view_side


def rebuild(request: Request, engine: BundleEngine, limits: Limits, progress: Progress) -> dict[str, Any]:
    """Write the results of a job into its folder; returns what the browser is told of them.

    Raises:
        InputError: the photograph cannot be used; the line does not name the file, whose name is ours.
    """
    photo = request.folder / PHOTO
    try:
        return _rebuild(photo, request, engine, limits, progress)
    except InputError as error:
        line = str(error).removeprefix(f"{photo}: ").removeprefix(f"{request.folder / DNG}: ")
        raise InputError(line) from None


def _rebuild(photo: Path, request: Request, engine: BundleEngine, limits: Limits, progress: Progress) -> dict[str, Any]:
    folder, start = request.folder, time.monotonic()
    progress("decode", 0)
    most, pixels = limits.decoder_megabytes, limits.pixels
    with Spool(photo, folder, hint=request.hint, megabytes=most, pixels=pixels) as spool:
        decoded = spool.wait()
        choice = choose_camera(
            decoded.facts, sorted(engine.manifest["banks"]), engine.manifest["camera"], request.camera
        )
        if engine.camera != choice.camera:
            engine.use_camera(choice.camera)
        seconds = {"decode": time.monotonic() - start}
        start = time.monotonic()
        told = decoded.hint
        stream = Stream(decoded.source, engine, "the photograph", told.neutral if told else None)
        job = Job(photo, folder / DNG, "dng", folder / MAP)
        check_size(job, stream.height, stream.width)
        shown = _Shown(stream, folder, request.view_side, progress)
        write_stream(shown, job, decoded.facts.without_gps())
        shown.close()
        seconds["rebuild"] = time.monotonic() - start
    return {
        "width": stream.width,
        "height": stream.height,
        "view": {"width": shown.view.shape[1], "height": shown.view.shape[0]},
        "camera": choice.camera,
        "camera_reason": choice.reason,
        "notes": [*decoded.notes_for(choice.camera), *choice.notes],
        "hint": told.source if told else None,
        "neutral": stream.neutral().tolist(),
        "gains": isp.gains_from_illuminant(stream.neutral()).tolist(),
        "matrix": np.linalg.inv(isp.camera_from_srgb(engine.color_matrix)).tolist(),  # camera RGB to linear sRGB
        "reliability": round(stream.mean_reliability(), 4),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "bytes": {"dng": (folder / DNG).stat().st_size, "tiff": (folder / TIFF).stat().st_size},
    }


class _Shown:
    """A stream whose bands, on their way to the DNG, also go into the TIFF and the view."""

    def __init__(self, stream: Stream, folder: Path, side: int, progress: Progress):
        self.height, self.width = stream.height, stream.width
        self.camera, self.color_matrix = stream.camera, stream.color_matrix
        self.neutral, self.preview = stream.neutral, stream.preview
        self._stream, self._folder, self._progress = stream, folder, progress
        self._tiff = LinearTiff(folder / TIFF, stream.height, stream.width, stream.camera)
        self._k = block_side(stream.height, stream.width, side)
        h, w = -(-stream.height // self._k), -(-stream.width // self._k)
        self.view = np.empty((h, w, 3), "<u2")
        self._map = np.empty((h, w), np.uint8)
        self._srgb = preview_of(stream.source, side)
        self._rest = Band(np.empty((0, stream.width, 3), np.float32), np.empty((0, stream.width), np.float32))
        self._y = 0

    def bands(self) -> Iterator[Band]:
        done = 0
        self._progress("rebuild", 0)
        for band in self._stream.bands():
            self._tiff.add(band.raw)
            self._add(band)
            yield band
            done += len(band.raw)
            self._progress("rebuild", done / self.height)
        if len(self._rest.raw):
            self._shrink(self._rest)

    def close(self) -> None:
        """End the TIFF and write the view: raw-RGB uint16 (h, w, 3), sRGB uint8 (h, w, 3), reliability uint8 (h, w)."""
        self._tiff.close(self.neutral())
        with (self._folder / VIEW).open("wb") as file:
            for part in (self.view, self._srgb, self._map):
                file.write(part.data)

    def _add(self, band: Band) -> None:
        """Whole rows of blocks into the view; what is left over waits for the next band."""
        raw = np.concatenate([self._rest.raw, band.raw])
        reliability = np.concatenate([self._rest.reliability, band.reliability])
        whole = len(raw) // self._k * self._k
        if whole:
            self._shrink(Band(raw[:whole], reliability[:whole]))
        self._rest = Band(raw[whole:].copy(), reliability[whole:].copy())

    def _shrink(self, band: Band) -> None:
        raw = isp.quantise(block_means(band.raw, self._k), 16)
        rows = slice(self._y, self._y + len(raw))
        self.view[rows] = raw
        self._map[rows] = isp.quantise(block_means(band.reliability, self._k), 8)
        self._y = rows.stop
