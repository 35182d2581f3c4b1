"""Where pairs come from: packs (.npz), folders of 16-bit linear PNG, camera files; each walks its scenes."""

import csv
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from priorraw.camera_jpeg import rendered_by_camera
from priorraw.dataset import read_png
from priorraw.errors import InputError, reason
from priorraw.files import read_json, visible
from priorraw.isp import normalise_levels
from priorraw.raw_io import EXTENSIONS, read_camera_file

RAW = "raw.npy"  # the member of a pack that is streamed
LISTS = ("illuminant.npy", "name.npy")
LARGEST_LIST = 1 << 28  # bytes of one of its other members
MAX_PIXELS = 200_000_000  # of a scene
# What zipfile and NumPy raise on damaged packs; a header of an array is read as Python's tokens.
PACK_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class Scene:
    """One photographed scene, linear and demosaiced, before it is resized, rendered and written."""

    name: str
    raw: np.ndarray  # (H, W, 3) float32 raw-RGB in [0, 1]; 0 in all channels = masked
    illuminant: np.ndarray  # (3,) float64, the sensor's response to white, any scale
    source: str  # the file's name
    black: float | list[float]  # levels of the source, in its counts; camera files have one for each filter
    white: float
    camera: str | None = None  # what a camera file says of itself; None for packs and PNG folders
    color_matrix: np.ndarray | None = None  # (3, 3) XYZ (D65) to camera, likewise
    srgb: np.ndarray | None = None  # (H, W, 3) uint8 as the camera rendered it; None: the software ISP is to
    facts: dict[str, Any] = field(default_factory=dict)  # how the two were aligned


@dataclass(frozen=True)
class CameraJpegs:
    """Camera files are to be paired with the camera's own JPEGs, shrunk to a long side of `size`."""

    size: int | None = None


@dataclass(frozen=True)
class Source:
    """A thing given on the command line: how many scenes it holds, and a way to walk them.

    A scene that cannot be used comes as the InputError that says why, so that the caller may skip it.
    """

    count: int
    scenes: Callable[[], Iterator[Scene | InputError]]


def open_source(
    path: Path,
    black: float | None = None,
    white: float | None = None,
    color_matrix: np.ndarray | None = None,
    *,
    binned: bool = False,
    jpegs: CameraJpegs | None = None,
) -> Source:
    """Recognise what `path` is: a pack, a camera file, a folder of either camera files or PNG.

    `black` and `white` are the levels of packs and PNG folders (0 and 65535); `color_matrix` (3, 3) stands in
    for that of camera files; `binned` reads these at half the size (`raw_io.read_camera_file`); `jpegs` pairs them
    with the camera's own rendering (`camera_jpeg`), which no other source has.

    Raises:
        InputError: the path is missing, or is nothing that can be read.
    """
    if not path.exists():
        raise InputError(f"{path}: not found")
    levels = (0.0 if black is None else black, 65535.0 if white is None else white)
    if not 0 <= levels[0] < levels[1] <= 65535:
        raise InputError(f"--black-level {levels[0]:g}, --white-level {levels[1]:g}: need 0 <= black < white <= 65535")
    if jpegs and (path.suffix.lower() == ".npz" or (path.is_dir() and not _camera_files_in(path))):
        raise InputError(f"{path}: holds no camera files, and so no camera's JPEGs; leave out --srgb")
    if path.suffix.lower() == ".npz":
        return _pack(path, *levels)
    shots = _camera_files_in(path) if path.is_dir() else [path]
    if shots:
        if (black, white) != (None, None):
            raise InputError(f"{path}: camera files carry their own levels; leave out --black-level, --white-level")
        return _camera_files(shots, color_matrix, binned, jpegs)
    if visible(path, ".png"):
        return _png_folder(path, *levels)
    raise InputError(f"{path}: holds neither camera files nor .png pictures")


def _camera_files_in(folder: Path) -> list[Path]:
    return visible(folder, *EXTENSIONS)


def _camera_files(
    paths: list[Path], color_matrix: np.ndarray | None, binned: bool, jpegs: CameraJpegs | None
) -> Source:
    """Camera files, one scene each, named as the file."""

    def scenes() -> Iterator[Scene | InputError]:
        for path in paths:
            try:
                shot = read_camera_file(path, color_matrix, binned=binned)
                rendered = rendered_by_camera(path, shot, jpegs.size) if jpegs else None
            except InputError as error:
                yield error
                continue
            scene = Scene(
                path.stem,
                rendered.raw if rendered else shot.raw,
                shot.illuminant,
                path.name,
                shot.black,
                shot.white,
                shot.camera,
                shot.color_matrix,
                rendered.srgb if rendered else None,
                rendered.facts if rendered else {},
            )
            yield _checked(scene, path)

    return Source(len(paths), scenes)


def _pack(path: Path, black: float, white: float) -> Source:
    """A pack: raw uint16 (N, H, W, 3), illuminant (N, 3), name (N,). Pixels are streamed."""
    try:
        with zipfile.ZipFile(path) as archive:
            names_in = archive.namelist()
            if len(set(names_in)) != len(names_in):
                raise InputError(f"{path}: holds two arrays of one name; fetch the pack again")
            missing = {RAW, *LISTS} - set(names_in)
            if missing:
                lacking = ", ".join(sorted(name.removesuffix(".npy") for name in missing))
                raise InputError(f"{path}: lacks {lacking}; a pack has raw, illuminant, name")
            if archive.testzip() is not None:
                raise InputError(f"{path}: is damaged (checksum); fetch the pack again")
            lights, names = (_list(path, archive, name) for name in LISTS)
        with _raw_member(path) as (_, shape):
            N = shape[0]
    except PACK_ERRORS as error:
        raise InputError(f"{path}: cannot be read as a pack ({reason(error)}); fetch the pack again") from None
    if lights.shape != (N, 3) or lights.dtype.kind not in "fiu":
        raise InputError(f"{path}: illuminant is {lights.dtype} {lights.shape}, not numbers ({N}, 3)")
    if names.shape != (N,) or names.dtype.kind not in "US":
        raise InputError(f"{path}: name is {names.dtype} {names.shape}, not strings ({N},)")
    if N == 0:
        raise InputError(f"{path}: holds no scenes")
    try:
        named = names.astype(str).tolist()
    except UnicodeDecodeError:
        raise InputError(f"{path}: name holds bytes that are no text; fetch the pack again") from None

    def scenes() -> Iterator[Scene | InputError]:
        with _raw_member(path) as (file, shape):
            size = int(np.prod(shape[1:])) * 2
            for name, light in zip(named, lights, strict=True):
                counts = np.frombuffer(file.read(size), "<u2").reshape(shape[1:])
                raw = normalise_levels(counts, black, white)
                yield _checked(Scene(name, raw, light.astype(np.float64), path.name, black, white), path)

    return Source(N, scenes)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type at the head of an array's member; the stream is then at its first value."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return header(file)


def _list(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """A small array of a pack, whose header is compared with its size before there is memory for it."""
    with archive.open(name) as file:
        shape, fortran, dtype = _header(file)
        held = archive.getinfo(name).file_size - file.tell()
        fits = min(shape, default=0) >= 0 and held == dtype.itemsize * math.prod(shape) <= LARGEST_LIST
        if dtype.hasobject or fortran or not fits:
            raise InputError(f"{path}: {name} has {held} bytes for {dtype} {str(shape)[:60]}; fetch the pack again")
        return np.frombuffer(file.read(held), dtype).reshape(shape)


class _raw_member:  # noqa: N801  a context manager, used like a function
    """Open the array `raw` of a pack as a byte stream: (stream at the first pixel, shape)."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> tuple[IO[bytes], tuple[int, ...]]:
        self.archive = zipfile.ZipFile(self.path)
        self.file = self.archive.open(RAW)
        shape, fortran, dtype = _header(self.file)
        if len(shape) != 4 or shape[3] != 3 or dtype != np.dtype("<u2") or fortran:
            self.__exit__()
            raise InputError(f"{self.path}: raw is {dtype} {str(shape)[:60]}, not uint16 (N, H, W, 3)")
        held = self.archive.getinfo(RAW).file_size - self.file.tell()
        if min(shape) < 0 or held != 2 * math.prod(shape) or shape[1] * shape[2] > MAX_PIXELS:
            self.__exit__()
            raise InputError(f"{self.path}: raw has {held} bytes for {str(shape)[:60]}; fetch the pack again")
        return self.file, shape

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.archive.close()


def _png_folder(folder: Path, black: float, white: float) -> Source:
    """16-bit linear PNG with NAME.json ({"illuminant_color_raw": [r, g, b]}) or csv rows beside them.

    A csv has the columns image, mean_r, mean_g, mean_b. A picture matches the row whose image is its name, or
    the end of its name after an underscore (SimpleCube++: test_00_0010.png is row 00_0010 of test_gt.csv; its
    levels are --black-level 2048 --white-level 16383).
    """
    pictures = visible(folder, ".png")
    rows = _csv_lights(folder)

    def scenes() -> Iterator[Scene | InputError]:
        for path in pictures:
            try:
                counts = read_png(path)
                if counts.dtype != np.uint16:
                    raise InputError(f"{path}: is 8-bit; linear raw-RGB needs a 16-bit PNG")
                raw = normalise_levels(counts, black, white)
                light = _light_of(path, rows)
                yield _checked(Scene(path.stem, raw, light, path.name, black, white), path)
            except InputError as error:
                yield error

    return Source(len(pictures), scenes)


def _csv_lights(folder: Path) -> dict[str, list[float]]:
    """Illuminants of all csv files in the folder, by the column `image`."""
    lights: dict[str, list[float]] = {}
    for path in visible(folder, ".csv"):
        try:
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    light = [float(row[c]) for c in ("mean_r", "mean_g", "mean_b")]
                    if lights.setdefault(row["image"], light) != light:
                        raise InputError(f"{path}: gives {row['image']} a second, other illuminant")
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise InputError(
                f"{path}: not usable ({reason(error)}); columns image, mean_r, mean_g, mean_b are needed"
            ) from None
    return lights


def _light_of(path: Path, rows: dict[str, list[float]]) -> np.ndarray:
    """(3,) illuminant of a picture, from the json beside it or else from the csv rows."""
    beside = path.with_suffix(".json")
    if beside.exists():
        try:
            light = np.array(read_json(beside)["illuminant_color_raw"], np.float64)
        except (InputError, KeyError, TypeError, ValueError, OverflowError):
            raise InputError(f'{beside}: needs {{"illuminant_color_raw": [r, g, b]}}') from None
        return light
    # Longest first: an exact name wins over its own ending.
    for name in sorted(rows, key=len, reverse=True):
        if path.stem == name or path.stem.endswith(f"_{name}"):
            return np.array(rows[name], np.float64)
    raise InputError(f"{path}: has no illuminant; add {beside.name} beside it or a row to a csv in the folder")


def _checked(scene: Scene, path: Path) -> Scene | InputError:
    """The scene, or what keeps it from being used."""
    what = path if path.stem == scene.name else f"{path}, scene {scene.name!r}"
    if not scene.name or scene.name.startswith(".") or any(c in scene.name for c in "/\\\0"):
        return InputError(f"{what}: the name cannot be a file's name; rename the scene")
    light = scene.illuminant
    if light.shape != (3,) or not np.isfinite(light).all() or (light <= 0).any():
        return InputError(f"{what}: illuminant {str(light.tolist())[:80]} is not three numbers above zero")
    if min(scene.raw.shape[:2]) < 1 or not scene.raw.any():
        return InputError(f"{what}: holds no pixel above the black level")
    return scene
