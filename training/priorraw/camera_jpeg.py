"""The camera's own JPEG of a shot, and the shot's raw-RGB laid under it.

The JPEG is the file beside the RAW with the same name, else the preview inside. Its pixels stay as the camera wrote
them; the raw-RGB is resampled to them, since linear light may be averaged and 8-bit codes that the camera clipped and
sharpened may not.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from priorraw import isp
from priorraw.align import Alignment, align, covered, resample
from priorraw.errors import InputError, reason
from priorraw.metrics import psnr
from priorraw.raw_decoder import preview_apart
from priorraw.raw_io import CameraFile

SUFFIXES = (".jpg", ".jpeg")
# Observed on three cameras: correlation 0.986 to 0.996, residual 0.07 to 0.24 pixels; of other shots 0.13 to 0.18.
LEAST_CORRELATION = 0.8
MOST_RESIDUAL = 1.0  # pixels of the JPEG
LEAST_SIDE = 64
EXIF_IFD, COLOR_SPACE = 0x8769, 0xA001


@dataclass(frozen=True)
class Rendered:
    """A shot as the camera rendered it, in the sensor's orientation."""

    srgb: np.ndarray  # (h, w, 3) uint8, the JPEG's own codes unless it was shrunk
    raw: np.ndarray  # (h, w, 3) float32 linear raw-RGB in [0, 1] at the same pixels
    facts: dict[str, Any]  # for dataset.json


def rendered_by_camera(path: Path, shot: CameraFile, size: int | None = None) -> Rendered:
    """Pair a camera file (not binned) with its JPEG.

    Args:
        size: long side to shrink larger JPEGs to, by area means in linear light.

    Raises:
        InputError: there is no JPEG, it cannot be read, is in an unknown colour space, or does not show the shot.
    """
    jpeg_path, data = find_jpeg(path)
    jpeg = decode_jpeg(jpeg_path, data)
    gains = isp.gains_from_illuminant(shot.illuminant)
    half = cv2.resize(shot.raw, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    guide = _grey(isp.render(half, gains, shot.color_matrix))
    found = align(_grey(isp.dequantise(jpeg)), guide)
    _check(path, jpeg_path, found)
    jpeg = np.rot90(jpeg, found.turns)
    factors = tuple(side / small for side, small in zip(shot.raw.shape[1::-1], guide.shape[::-1], strict=True))
    matrix = _finer(found.matrix, factors)
    rows, columns = covered(matrix, jpeg.shape[:2], shot.raw.shape[:2])
    jpeg = np.ascontiguousarray(jpeg[rows, columns])
    matrix = _moved(matrix, columns.start, rows.start)
    if min(jpeg.shape[:2]) < LEAST_SIDE:
        raise InputError(f"{jpeg_path}: only {jpeg.shape[1]}x{jpeg.shape[0]} pixels of it lie on the RAW; leave it out")
    if size is not None and max(jpeg.shape[:2]) > size:
        jpeg, matrix = _shrunk(jpeg, matrix, size)
    raw = resample(shot.raw, matrix, jpeg.shape[:2])
    closed = isp.unrender(isp.dequantise(jpeg), gains, shot.color_matrix)
    facts = {
        "jpeg": jpeg_path.name if jpeg_path != path else "embedded preview",
        "turns": found.turns,
        "jpeg_to_raw": [[round(float(v), 6) for v in row] for row in matrix],
        "correlation": round(found.correlation, 4),
        "residual_pixels": round(found.residual, 3),
        "closed_form_psnr": round(psnr(closed, raw, np.ones(raw.shape[:2], bool)), 2),
    }
    return Rendered(jpeg, raw, facts)


def find_jpeg(path: Path) -> tuple[Path, bytes]:
    """The JPEG beside a camera file, whatever the case of its suffix, else the largest preview inside: path, bytes.

    Raises:
        InputError: neither is there.
    """
    beside = sorted(p for p in path.parent.iterdir() if p.stem == path.stem and p.suffix.lower() in SUFFIXES)
    if beside:
        try:
            return beside[0], beside[0].read_bytes()
        except OSError as error:
            raise InputError(f"{beside[0]}: cannot be read ({error.strerror})") from None
    preview = preview_apart(path)
    if not preview:
        raise InputError(
            f"{path}: has no JPEG inside and none beside it; put {path.stem}.jpg there, or leave out --srgb"
        )
    return path, preview


def decode_jpeg(path: Path, data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 sRGB as stored, its EXIF orientation not applied; another profile is converted.

    Raises:
        InputError: damaged, not in colour, or in a colour space that nothing describes.
    """
    from PIL import Image, ImageCms

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode != "RGB":
                raise InputError(f"{path}: is a JPEG in {image.mode}, not in colour; leave it out")
            image.load()
            profile = image.info.get("icc_profile")
            color_space = image.getexif().get_ifd(EXIF_IFD).get(COLOR_SPACE)
            if profile:
                srgb = ImageCms.createProfile("sRGB")
                own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
                return np.asarray(ImageCms.profileToProfile(image, own, srgb))
            if color_space not in (None, 1):  # 1 is sRGB
                raise InputError(f"{path}: is not in sRGB and carries no profile; set the camera to sRGB")
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, ImageCms.PyCMSError) as error:
        raise InputError(f"{path}: holds no JPEG that can be read ({reason(error)}); leave it out") from None


def _check(path: Path, jpeg_path: Path, found: Alignment) -> None:
    what = "its embedded preview" if jpeg_path == path else jpeg_path.name
    if found.correlation < LEAST_CORRELATION:
        raise InputError(
            f"{path}: {what} does not show the same shot (correlation {found.correlation:.2f}, {LEAST_CORRELATION} "
            "needed); give the camera's own JPEG, uncut and unedited"
        )
    if not found.residual <= MOST_RESIDUAL:
        raise InputError(
            f"{path}: {what} fits only to {found.residual:.1f} pixels ({found.patches} places compared): the camera "
            "straightened the lens in it, or it was edited; switch that correction off, or leave it out"
        )


def _shrunk(jpeg: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The JPEG at a long side of `size`, by area means in linear light, and its map."""
    H, W = jpeg.shape[:2]
    small = (max(1, round(W * size / max(H, W))), max(1, round(H * size / max(H, W))))
    linear = cv2.resize(isp.srgb_decode(isp.dequantise(jpeg)), small, interpolation=cv2.INTER_AREA)
    fx, fy = W / small[0], H / small[1]
    return isp.quantise(isp.srgb_encode(linear), 8), matrix @ np.array(
        [[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]]
    )


def _finer(matrix: np.ndarray, factors: tuple[float, ...]) -> np.ndarray:
    """The map when the guide is enlarged by `factors` (x, y); centres at whole numbers."""
    fx, fy = factors
    return np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]]) @ np.vstack([matrix, [0, 0, 1]])


def _moved(matrix: np.ndarray, left: int, top: int) -> np.ndarray:
    """The map when the picture begins at column `left` and row `top`."""
    return np.column_stack([matrix[:, :2], matrix @ [left, top, 1]])


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2GRAY)
