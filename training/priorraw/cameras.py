"""Cameras that packs and PNG folders name, where no camera file carries the colour matrix."""

import re

import numpy as np

from priorraw.errors import InputError

# XYZ (D65) to camera, x10000, row by row, as in the DNG tag ColorMatrix.
COLOR_MATRICES = {
    "samsung-nx2000": (7557, -2522, -739, -4679, 12949, 1894, -840, 1777, 5311),
    "olympus-e-pl6": (8380, -2630, -639, -2887, 10725, 2496, -627, 1427, 5438),
    "sony-slt-a57": (5991, -1456, -455, -4764, 12135, 2980, -707, 1425, 6701),
    # Canon EOS 550D: the body behind SimpleCube++ (550D and 600D share the sensor).
    "canon-eos-550d": (6941, -1164, -857, -3825, 11597, 2534, -416, 1540, 6039),
    # No published matrix. The mean of the first three, white-balanced, with rows scaled to the median light
    # of INTEL-TAU's IMX135 scenes: neutral stays neutral, saturated colours are approximate (docs/method.md).
    "sony-imx135": (10132, -3040, -851, -3839, 11155, 2291, -658, 1405, 5227),
}


# Names under which a camera is sold elsewhere -> the one that banks go by.
SAME_BODY = {
    "canon-eos-kiss-x4": "canon-eos-550d",
    "canon-eos-rebel-t2i": "canon-eos-550d",
}


def camera_id(make: str, model: str) -> str:
    """Make and model, as EXIF has them, as one word: ("OLYMPUS IMAGING CORP.", "E-PL6") is olympus-e-pl6.

    Of the make only the first word counts, and not even that where the model begins with it. Empty if both are.
    """
    brand = make.split()[0] if make.strip() else ""
    name = model if model.lower().startswith(brand.lower()) else f"{brand} {model}"
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return SAME_BODY.get(word, word)


def color_matrix(camera: str) -> np.ndarray:
    """(3, 3) XYZ (D65) to camera RGB of a known camera.

    Raises:
        InputError: the camera is unknown; the message lists the known ones.
    """
    if camera not in COLOR_MATRICES:
        raise InputError(unknown_camera(camera, COLOR_MATRICES))
    return np.array(COLOR_MATRICES[camera], np.float64).reshape(3, 3) / 10_000


MOST_NAMED = 12  # cameras in one line


def unknown_camera(camera: str, known) -> str:
    """The line that a user sees for a camera name that is not in `known`."""
    from difflib import get_close_matches

    camera, names = str(camera)[:60], sorted(str(name)[:60] for name in known)
    near = get_close_matches(camera, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"camera {camera!r} is unknown; {hint}known: {', '.join(names[:MOST_NAMED])}{more}"


def parse_color_matrix(text: str) -> np.ndarray:
    """(3, 3) XYZ (D65) to camera from nine numbers in text; numbers above 100 are taken as x10000.

    Raises:
        InputError: there are not nine finite numbers, or the matrix has no inverse.
    """
    try:
        matrix = np.array([float(v) for v in text.replace(",", " ").split()]).reshape(3, 3)
    except ValueError:
        matrix = np.full((3, 3), np.nan)
    if not np.isfinite(matrix).all():
        raise InputError(f"--color-matrix {text!r}: nine numbers are needed, row by row")
    if np.abs(matrix).max() > 100:
        matrix = matrix / 10_000
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise InputError(f"--color-matrix {text!r}: has no inverse; check the numbers")
    return matrix
