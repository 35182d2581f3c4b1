"""The pair dataset: sRGB pictures and the linear raw-RGB behind them, in plain PNG files.

    {split}/raw/NAME.png    RGB uint16, linear raw-RGB, 65535 = white level, 0 in all channels = masked
    {split}/srgb/NAME.png   RGB uint8 or uint16
    dataset.json            camera, colour matrix, levels, and the illuminant of every picture

Other raw-reconstruction code uses the same two folders; from dataset.json the reader needs only `camera`,
`color_matrix` (XYZ D65 to camera, 3x3) and `images[NAME].illuminant` (the sensor's response to white).
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from priorraw.errors import InputError
from priorraw.files import read_json, refuse_special, visible
from priorraw.isp import dequantise

FORMAT = 1
MARKER = "dataset.json"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mask_of(raw: np.ndarray) -> np.ndarray:
    """(..., 3) raw-RGB to (...) bool: True where the pixel is valid, False where it is 0 in all channels."""
    return np.asarray(raw.any(-1))


@dataclass(frozen=True)
class PairDataset:
    """One split of a pair dataset on disk; pictures are read when asked for."""

    folder: Path
    split: str
    camera: str
    color_matrix: np.ndarray  # (3, 3) float64, XYZ (D65) to camera
    names: list[str]  # sorted
    illuminants: np.ndarray  # (N, 3) float32, the sensor's response to white, in the order of `names`
    own_isp: bool = True  # sRGB of `isp.render`; False: the camera's own JPEGs

    @classmethod
    def open(cls, folder: Path, split: str, camera: str | None = None) -> "PairDataset":
        """List the pairs of `folder`/`split` and check dataset.json; `camera` must be the dataset's if given.

        Raises:
            InputError: the folder or dataset.json is missing or wrong, the camera is another, the split holds
                no pairs, or a picture lacks its counterpart or its illuminant.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; make a dataset with priorraw-edge prepare")
        meta_path = folder / MARKER
        meta = read_json(meta_path)
        name = meta.get("camera")
        if not isinstance(name, str):
            raise InputError(f"{meta_path}: names no camera; make it again with priorraw-edge prepare")
        if camera not in (None, name):
            raise InputError(f"{folder}: holds pictures of {name}, not of {camera}; pass --camera {name}")
        matrix = _numbers(meta.get("color_matrix"), (3, 3), f"{meta_path}: color_matrix")
        names = _pair_names(folder, split)
        images = meta.get("images")
        if not isinstance(images, dict):
            raise InputError(f"{meta_path}: lists no images; make it again with priorraw-edge prepare")
        lights = [_light(images.get(n), f"{meta_path}: illuminant of {n}") for n in names]
        own_isp = meta.get("isp", {}) is not None
        return cls(folder, split, name, matrix, names, np.array(lights, np.float32), own_isp)

    def __len__(self) -> int:
        return len(self.names)

    def illuminant(self, i: int) -> np.ndarray:
        """(3,) float32, the sensor's response to white under the light of picture `i`."""
        return self.illuminants[i]

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Picture `i` as (raw-RGB, sRGB), each (H, W, 3) float32 in [0, 1].

        Raises:
            InputError: a PNG is unreadable, raw is not 16-bit, or the two sizes differ.
        """
        raw_path, srgb_path = (self.folder / self.split / k / f"{self.names[i]}.png" for k in ("raw", "srgb"))
        raw, srgb = read_png(raw_path), read_png(srgb_path)
        if raw.dtype != np.uint16:
            raise InputError(f"{raw_path}: is 8-bit; raw-RGB is stored in 16 bits, make the dataset again")
        if raw.shape != srgb.shape:
            (h, w), (H, W) = srgb.shape[:2], raw.shape[:2]
            raise InputError(f"{srgb_path}: is {w}x{h} but its raw is {W}x{H}; make the pair again")
        return dequantise(raw), dequantise(srgb)


def read_png(path: Path) -> np.ndarray:
    """Read an RGB PNG as (H, W, 3) uint8 or uint16, RGB order.

    Raises:
        InputError: the file is missing, empty, truncated, damaged, no PNG, or not three-channel.
    """
    import cv2

    refuse_special(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    fault = _png_fault(data)
    picture = None if fault else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise InputError(f"{path}: {fault or 'is a damaged PNG'}; replace the file")
    if picture.ndim != 3 or picture.shape[2] != 3:
        channels = 1 if picture.ndim == 2 else picture.shape[2]
        raise InputError(f"{path}: has {channels} channel(s); an RGB picture without alpha is needed")
    return np.ascontiguousarray(picture[..., ::-1])


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write (H, W, 3) uint8 or uint16 RGB as PNG; the same picture always gives the same bytes."""
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not done:
        raise ValueError(f"{path}: cannot encode {picture.dtype} {picture.shape} as PNG")
    path.write_bytes(data.tobytes())


def _png_fault(data: bytes) -> str | None:
    """What is wrong with a PNG's chunks, or None. Decoders fill a truncated picture with black instead."""
    if not data:
        return "is empty"
    if not data.startswith(PNG_SIGNATURE):
        return "is no PNG"
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return "is a damaged PNG (checksum)"
        if data[at + 4 : at + 8] == b"IEND":
            return None
        at = end
    return "is a truncated PNG"


def _pair_names(folder: Path, split: str) -> list[str]:
    raw, srgb = ({p.stem for p in visible(folder / split / kind, ".png")} for kind in ("raw", "srgb"))
    if not raw and not srgb:
        found = sorted(p.parent.name for p in folder.glob("*/raw") if visible(p, ".png"))
        cure = f"it has {', '.join(found)}" if found else "make pairs with priorraw-edge prepare"
        raise InputError(f"{folder}: holds no pairs in split {split!r}; {cure}")
    if raw != srgb:
        name = min(raw ^ srgb)
        missing = folder / split / ("srgb" if name in raw else "raw") / f"{name}.png"
        raise InputError(f"{missing}: not found, its counterpart is there; make the dataset again")
    return sorted(raw)


def _light(image: object, what: str) -> np.ndarray:
    light = _numbers(image.get("illuminant") if isinstance(image, dict) else None, (3,), what)
    if (light <= 0).any():
        raise InputError(f"{what} is not above zero; make the dataset again")
    return light


def _numbers(value: object, shape: tuple[int, ...], what: str) -> np.ndarray:
    """`value` as a finite float64 array of `shape`, else InputError."""
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{what} is not {'x'.join(map(str, shape))} finite numbers; make the dataset again")
    return array
