"""The software ISP: linear raw-RGB to sRGB as pure stages, each with its inverse where one exists.

Pictures are float32 (H, W, 3) RGB in [0, 1] unless said otherwise; a CFA picture is (H, W). The order is the
camera's: black and white level, demosaic, white balance, colour matrix, tone curve, sRGB transfer,
quantisation. `render` runs the stages after the demosaic, `unrender` is its closed-form inverse.
"""

import numpy as np

# Linear sRGB (D65) to CIE XYZ, IEC 61966-2-1.
XYZ_FROM_SRGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
TONE_SHOULDER = 1.0  # `tone`: smaller is stronger; 1 lifts mid-grey (0.18) by 0.76 stop, as camera curves do


def normalise_levels(cfa: np.ndarray, black: np.ndarray | float, white: float) -> np.ndarray:
    """Sensor counts to [0, 1]: black level to 0, white level to 1, clipped. `black` broadcasts over (H, W)."""
    return np.clip((cfa.astype(np.float32) - black) / (white - black), 0, 1).astype(np.float32)


def restore_levels(linear: np.ndarray, black: np.ndarray | float, white: float) -> np.ndarray:
    """Inverse of `normalise_levels`, rounded to uint16 counts."""
    return np.rint(linear * (white - black) + black).astype(np.uint16)


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Keep one channel a pixel: (H, W, 3) to a (H, W) CFA whose top left 2x2 block reads `pattern`, e.g. RGGB."""
    channels = _pattern_channels(pattern)
    cfa = np.empty(rgb.shape[:2], rgb.dtype)
    for i, c in enumerate(channels):
        y, x = divmod(i, 2)
        cfa[y::2, x::2] = rgb[y::2, x::2, c]
    return cfa


def demosaic(cfa: np.ndarray, pattern: str) -> np.ndarray:
    """Bilinear demosaic of any Bayer pattern: (H, W) CFA to (H, W, 3). Samples that were measured stay as they are.

    Each missing value is the mean of the measured neighbours in its 3x3 window, also at the border.
    """
    import cv2

    channels = np.array(_pattern_channels(pattern)).reshape(2, 2)
    H, W = cfa.shape
    plane_of = np.tile(channels, (H // 2 + 1, W // 2 + 1))[:H, :W]
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32)
    rgb = np.empty((H, W, 3), np.float32)
    for c in range(3):
        measured = (plane_of == c).astype(np.float32)
        total = cv2.filter2D(cfa * measured, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        weight = cv2.filter2D(measured, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        rgb[..., c] = np.where(measured > 0, cfa, total / weight)
    return rgb


def _pattern_channels(pattern: str) -> list[int]:
    if pattern not in ("RGGB", "BGGR", "GRBG", "GBRG"):
        raise ValueError(f"{pattern!r} is no Bayer pattern; it is one of RGGB, BGGR, GRBG, GBRG")
    return ["RGB".index(c) for c in pattern]


def gains_from_illuminant(illuminant: np.ndarray) -> np.ndarray:
    """White-balance gains (..., 3) from the sensor's response to white (..., 3).

    Scaled so that the smallest gain is 1, as LibRaw does: a saturated sensor value then never ends below white.
    """
    gains = 1 / np.asarray(illuminant, np.float64)
    return (gains / gains.min(-1, keepdims=True)).astype(np.float32)


def white_balance(raw: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Multiply each channel by its gain. Values above 1 stay; `render` clips them."""
    return raw * gains


def unbalance(balanced: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Inverse of `white_balance`."""
    return balanced / gains


def camera_from_srgb(xyz_to_camera: np.ndarray) -> np.ndarray:
    """(3, 3) matrix from linear sRGB to white-balanced camera RGB, from a DNG-style ColorMatrix (XYZ to camera).

    Rows are scaled to sum to 1, so that neutral stays neutral whatever the light (dcraw's convention; DNG 1.7,
    "Mapping Camera Color Space to CIE XYZ Space").
    """
    matrix = np.asarray(xyz_to_camera, np.float64).reshape(3, 3) @ XYZ_FROM_SRGB
    return matrix / matrix.sum(1, keepdims=True)


def apply_matrix(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Multiply every pixel (a column of 3) by a (3, 3) matrix."""
    return picture @ np.asarray(matrix, picture.dtype).T


def tone(linear: np.ndarray) -> np.ndarray:
    """Global tone curve t = (1 + a) x / (x + a), a = `TONE_SHOULDER`: monotone, 0 to 0 and 1 to 1, lifts shadows."""
    return linear * (1 + TONE_SHOULDER) / (linear + TONE_SHOULDER)


def inverse_tone(toned: np.ndarray) -> np.ndarray:
    """Inverse of `tone` on [0, 1]."""
    return toned * TONE_SHOULDER / (1 + TONE_SHOULDER - toned)


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    """sRGB transfer function, IEC 61966-2-1; input in [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-8) ** (1 / 2.4) - 0.055).astype(
        linear.dtype
    )


def srgb_decode(encoded: np.ndarray) -> np.ndarray:
    """Inverse of `srgb_encode`."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(encoded.dtype)


def quantise(picture: np.ndarray, bits: int) -> np.ndarray:
    """[0, 1] to uint8 or uint16 codes, rounded to nearest."""
    if bits not in (8, 16):
        raise ValueError(f"bits is 8 or 16, not {bits}")
    return np.rint(np.clip(picture, 0, 1) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def dequantise(codes: np.ndarray) -> np.ndarray:
    """uint8 or uint16 codes to float32 in [0, 1]."""
    return codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)


def render(raw: np.ndarray, gains: np.ndarray, xyz_to_camera: np.ndarray, *, toned: bool = True) -> np.ndarray:
    """Linear raw-RGB (H, W, 3) to sRGB float32 in [0, 1], not quantised.

    Clips where a camera does: after the gains (sensor white) and after the matrix (sRGB gamut).
    """
    balanced = np.clip(white_balance(raw, gains), 0, 1)
    linear = np.clip(apply_matrix(balanced, np.linalg.inv(camera_from_srgb(xyz_to_camera))), 0, 1)
    return srgb_encode(tone(linear) if toned else linear)


def unrender(srgb: np.ndarray, gains: np.ndarray, xyz_to_camera: np.ndarray) -> np.ndarray:
    """Closed-form inverse of `render`: exact where nothing clipped, up to quantisation. Returns [0, 1]."""
    linear = inverse_tone(srgb_decode(srgb))
    raw = unbalance(apply_matrix(linear, camera_from_srgb(xyz_to_camera)), gains)
    return np.clip(raw, 0, 1).astype(np.float32)
