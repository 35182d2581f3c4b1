"""What the report shows: renderings of raw-RGB, maps in colour, and their embedding as data URIs."""

import base64
import io
from pathlib import Path

import numpy as np
from priorraw import isp

SMALLEST_SHOWN = 320  # pixels a side; smaller pictures are enlarged without smoothing, so that pixels stay visible


def bare(raw: np.ndarray) -> np.ndarray:
    """Raw-RGB as it stands, only gamma-encoded so that a screen shows it: no white balance, no matrix."""
    return isp.srgb_encode(raw)


def reliability_colours(reliability: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] to uint8 RGB, viridis: perceptually uniform, readable without colour vision."""
    return _coloured(reliability, "VIRIDIS")


def error_colours(error: np.ndarray, top: float) -> np.ndarray:
    """(H, W) absolute error, 0 to `top`, to uint8 RGB, inferno: black = none."""
    return _coloured(error / top, "INFERNO")


def side_by_side(panels: list[np.ndarray]) -> np.ndarray:
    """uint8 RGB pictures of one height beside each other, with a thin white gap: (H, W, 3)."""
    gap = np.full((panels[0].shape[0], 6, 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)


def write_jpeg(picture: np.ndarray, path: Path) -> None:
    """Write uint8 RGB (H, W, 3) as a JPEG of high quality."""
    from PIL import Image

    Image.fromarray(picture).save(path, "jpeg", quality=88)


def legend(name: str) -> str:
    """Data URI of the colour bar of `reliability` or `error`, 256x1."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    return png_uri(reliability_colours(ramp) if name == "reliability" else error_colours(ramp, 1))


def error_scale(error: np.ndarray) -> float:
    """The top of an error map's scale: its 99th percentile, rounded up to 1, 2 or 5 times a power of ten."""
    top = max(float(np.percentile(error, 99)), 1e-4)
    decade = 10.0 ** np.floor(np.log10(top))
    return float(next(step * decade for step in (1, 2, 5, 10) if step * decade >= top * (1 - 1e-9)))


def jpeg_uri(picture: np.ndarray) -> str:
    """sRGB float (H, W, 3) as a data URI, JPEG of high quality without chroma subsampling."""
    return _uri(isp.quantise(picture, 8), "jpeg", quality=93, subsampling=0)


def png_uri(picture: np.ndarray) -> str:
    """uint8 RGB (H, W, 3) as a data URI."""
    return _uri(picture, "png", optimize=True)


def _coloured(values: np.ndarray, map_name: str) -> np.ndarray:
    import cv2

    codes = isp.quantise(values, 8)
    return np.ascontiguousarray(cv2.applyColorMap(codes, getattr(cv2, f"COLORMAP_{map_name}"))[..., ::-1])


def _uri(picture: np.ndarray, kind: str, **options: int | bool) -> str:
    from PIL import Image

    image = Image.fromarray(picture)
    if 1 < max(image.size) < SMALLEST_SHOWN and image.height > 1:
        factor = -(-SMALLEST_SHOWN // max(image.size))
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
