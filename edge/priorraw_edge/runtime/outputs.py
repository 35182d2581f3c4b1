"""The files that a reconstruction leaves: where they go, and writing them whole or not at all."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from priorraw import isp
from priorraw.errors import InputError
from priorraw.files import atomic_file

from priorraw_edge.runtime.dng import DngHeader, check_dng_size, write_dng_rows, write_neutral
from priorraw_edge.runtime.exif import Facts
from priorraw_edge.runtime.reconstruct import Reconstruction
from priorraw_edge.runtime.stream import Band
from priorraw_edge.runtime.writers import Bands, PngRows, quantised, write_npy, write_tiff

FORMATS = {".dng": "dng", ".tif": "tiff", ".tiff": "tiff", ".npy": "npy"}
SUFFIX = {"dng": ".dng", "tiff": ".tiff", "npy": ".npy", "png": ".png"}


@dataclass(frozen=True)
class Job:
    photo: Path
    out: Path
    file_format: str  # dng, tiff or npy; png of `enhance`
    reliability: Path | None = None  # 8-bit PNG
    cfa: str | None = None  # a Bayer pattern to mosaic a DNG with


def plan_jobs(
    photos: Sequence[Path],
    out: Path,
    file_format: str | None = None,
    reliability: Path | None = None,
    cfa: str | None = None,
    formats: Mapping[str, str] = FORMATS,
) -> list[Job]:
    """Where every photo's files go.

    `out` (and `reliability`) is a folder when it is one already, when its name has no suffix, or when there
    are several photos; files in it are named after the photo. The format is `file_format`, else what the
    suffix of `out` says, else the first of `formats`, suffix to format: dng. `cfa` is the pattern of mosaiced DNGs.

    Raises:
        InputError: a mosaic for another format than DNG, a suffix that tells no format or another one, a place
            that cannot be written, an output that would replace an input, or two outputs of one name.
    """
    into_folder = _is_folder(out, len(photos))
    default = next(iter(formats.values()))
    if into_folder:
        file_format = file_format or default
    else:
        told = formats.get(out.suffix.lower())
        if told is None and file_format is None:
            cure = "name one or give --format" if len(formats) > 1 else "name such a file"
            raise InputError(f"{out}: ends in none of {', '.join(formats)}; {cure}")
        if told and file_format and told != file_format:
            raise InputError(f"{out}: its suffix says {told}, --format says {file_format}; make them agree")
        file_format = file_format or told or default
    if cfa and file_format != "dng":
        raise InputError(f"{out}: --cfa makes a DNG, not {file_format}; leave one of them out")
    jobs = [
        Job(
            photo=photo,
            out=out / (photo.stem + SUFFIX[file_format]) if into_folder else out,
            file_format=file_format,
            reliability=_reliability_path(reliability, photo, len(photos)),
            cfa=cfa,
        )
        for photo in photos
    ]
    _check(jobs)
    return jobs


def check_job(job: Job) -> Job:
    """The job, if its files can be written without harm. Raises InputError as `plan_jobs`."""
    _check([job])
    return job


def check_size(job: Job, height: int, width: int) -> None:
    """Refuse a picture that the format cannot hold, before the minutes of work whose result would be lost."""
    if job.file_format == "dng":
        check_dng_size(job.photo, height, width)


def write_outputs(result: Reconstruction, job: Job, facts: Facts | None = None) -> None:
    """`write_stream` of a picture that is done."""
    write_stream(_Done(result), job, facts)


def write_stream(picture: Bands, job: Job, facts: Facts | None = None) -> None:
    """Write the RAW and, where asked for, the reliability map (255 = reliable): both or neither.

    A DNG carries over `facts`, what the photograph's file says of itself.

    Raises:
        InputError: a path cannot be written, or the picture is too small for a DNG.
    """
    try:
        with ExitStack() as stack:
            raw: Iterator[np.ndarray] = (band.raw for band in picture.bands())
            if job.reliability is not None:
                raw = _with_map(picture, stack.enter_context(atomic_file(job.reliability)))
            temporary = stack.enter_context(atomic_file(job.out))
            if job.file_format == "dng":
                _write_dng(temporary, picture, raw, job.cfa, facts or Facts())
            else:
                _WRITERS[job.file_format](temporary, picture, raw)
            for _ in raw:  # to its end: the map is closed there
                raise ValueError("rows beyond the picture's height")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{job.out}: cannot be written ({reason}); choose another place") from None


class _Done:
    """A reconstruction in memory as one band."""

    def __init__(self, result: Reconstruction):
        self._result = result
        self.height, self.width = result.reliability.shape
        self.camera, self.color_matrix = result.camera, result.color_matrix

    def bands(self) -> Iterator[Band]:
        yield Band(self._result.raw, self._result.reliability)

    def neutral(self) -> np.ndarray:
        return self._result.neutral

    def preview(self) -> np.ndarray:
        return self._result.preview


def _with_map(picture: Bands, path: Path) -> Iterator[np.ndarray]:
    """The raw rows of all bands; their reliability goes to `path` on the way."""
    with path.open("wb") as file:
        png = PngRows(file, picture.height, picture.width)
        for band in picture.bands():
            png.write(isp.quantise(band.reliability, 8))
            yield band.raw
        png.close()


def _is_folder(path: Path, photos: int) -> bool:
    if path.is_dir():
        return True
    if photos > 1 and path.suffix.lower() in (*FORMATS, ".png"):
        raise InputError(f"{path}: names one file for {photos} photos; name a folder")
    return photos > 1 or not path.suffix


def _reliability_path(reliability: Path | None, photo: Path, photos: int) -> Path | None:
    if reliability is None:
        return None
    if _is_folder(reliability, photos):
        return reliability / f"{photo.stem}.reliability.png"
    if reliability.suffix.lower() != ".png":
        raise InputError(f"{reliability}: the reliability map is a PNG; name a file that ends in .png")
    return reliability


def _check(jobs: Sequence[Job]) -> None:
    inputs = {job.photo.resolve() for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        for path in (job.out, job.reliability):
            if path is None:
                continue
            _check_writable(path)
            resolved = path.resolve()
            if resolved in inputs:
                raise InputError(f"{path}: would replace an input photo; name another output")
            if resolved in taken:
                raise InputError(f"{path}: {taken[resolved]} and {job.photo} both write it; give one another name")
            taken[resolved] = job.photo


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file to write")
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    if not existing.is_dir():
        raise InputError(f"{path}: cannot be written ({existing} is a file); choose another place")
    if not os.access(existing, os.W_OK):
        raise InputError(f"{path}: cannot be written (no permission in {existing}); choose another place")


def _write_dng(path: Path, picture: Bands, raw: Iterator[np.ndarray], cfa: str | None, facts: Facts) -> None:
    header = DngHeader(picture.camera, picture.color_matrix, picture.preview(), cfa, facts)
    write_dng_rows(path, quantised(raw), picture.height, picture.width, header)
    write_neutral(path, picture.neutral())


_WRITERS = {"tiff": write_tiff, "npy": write_npy}
