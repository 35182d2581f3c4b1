"""LibRaw: camera files to their mosaics and previews, in a process of its own.

    python -m priorraw.raw_decoder FILE SPOOL mosaic|preview

LibRaw reads the files of many makers in C++. What makes it crash takes nothing else with it, and it has limits on
memory and time. Bytes go to the open file SPOOL; what describes them is one JSON object on standard output.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from priorraw.apart import limit, why
from priorraw.errors import InputError, reason

SECONDS = 300  # of a processor, for one file; 12 megapixels take one
MEGABYTES = 4096


@dataclass(frozen=True)
class Mosaic:
    """What the sensor counted, and what LibRaw knows of the file."""

    counts: np.ndarray  # (H, W) uint16
    pattern: str  # the four filters of a block, row by row, such as RGGB
    colors: np.ndarray  # (2, 2) index of LibRaw's four colours R, G, B, second G
    black: list[float]  # counts, of those four
    white: float  # counts
    gains: np.ndarray  # (3,) float64 as-shot white balance
    xyz_to_camera: np.ndarray  # (3, 3) float64; zeros where LibRaw knows none


def mosaic(path: Path) -> Mosaic:
    """Decode a camera file here.

    Raises:
        InputError: LibRaw cannot read it, or it is not from a Bayer sensor.
    """
    import rawpy

    try:
        with rawpy.imread(str(path)) as file:
            bayer = file.raw_type == rawpy.RawType.Flat and getattr(file.raw_pattern, "shape", None) == (2, 2)
            if not bayer:
                raise InputError(f"{path}: is not from a Bayer sensor; only Bayer mosaics are read")
            colors = file.raw_colors_visible[:2, :2].copy()
            description = file.color_desc.decode("latin-1")
            return Mosaic(
                counts=file.raw_image_visible.copy(),
                pattern="".join(description[c] for c in colors.ravel()),
                colors=colors,
                black=[float(v) for v in file.black_level_per_channel],
                white=float(file.white_level),
                gains=np.array(file.camera_whitebalance[:3], np.float64),
                xyz_to_camera=file.rgb_xyz_matrix[:3].astype(np.float64),
            )
    except rawpy.LibRawError as error:
        said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else reason(error)
        raise InputError(f"{path}: is damaged or no camera file ({said}); leave it out") from None


def preview(path: Path) -> bytes:
    """The JPEG inside a camera file, empty where there is none."""
    import rawpy

    try:
        with rawpy.imread(str(path)) as file:
            found = file.extract_thumb()
    except rawpy.LibRawError:
        return b""
    return bytes(found.data) if found.format == rawpy.ThumbFormat.JPEG else b""


def mosaic_apart(path: Path) -> Mosaic:
    """`mosaic` in a process of its own. Raises InputError as it does, and where that process crashed or hit a limit."""
    told, data = _apart(path, "mosaic")
    return Mosaic(
        counts=np.frombuffer(data, np.uint16).reshape(told["shape"]),
        pattern=told["pattern"],
        colors=np.array(told["colors"]),
        black=told["black"],
        white=told["white"],
        gains=np.array(told["gains"]),
        xyz_to_camera=np.array(told["xyz_to_camera"]),
    )


def preview_apart(path: Path) -> bytes:
    """`preview` in a process of its own. Raises InputError where that crashed or hit a limit."""
    return _apart(path, "preview")[1]


def _apart(path: Path, what: str) -> tuple[dict[str, Any], bytes]:
    with tempfile.TemporaryFile() as spool:
        done = subprocess.run(
            # -P: a file in the working folder must not pass for a module.
            [sys.executable, "-P", "-m", "priorraw.raw_decoder", str(path), str(spool.fileno()), what],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=(spool.fileno(),),
            check=False,
        )
        if done.returncode:
            raise InputError(f"{path}: {why(done.returncode, done.stderr)}; copy it again or leave it out")
        told = json.loads(done.stdout)
        if "error" in told:
            raise InputError(told["error"])
        spool.seek(0)
        return told, spool.read()


def main(path: Path, spool: int, what: str) -> dict[str, Any]:
    """Decode into the open file `spool`; what describes the bytes, or `error`, a line for the user."""
    limit(MEGABYTES, SECONDS)
    told: dict[str, Any] = {}
    try:
        if what == "preview":
            data: Any = preview(path)
        else:
            found = mosaic(path)
            data = np.ascontiguousarray(found.counts, np.uint16).data
            told = {"shape": found.counts.shape, "pattern": found.pattern, "black": found.black, "white": found.white}
            told |= {name: getattr(found, name).tolist() for name in ("colors", "gains", "xyz_to_camera")}
        with open(spool, "wb", closefd=False) as out:
            out.write(data)
    except InputError as error:
        return {"error": str(error)}
    except OSError as error:
        return {"error": f"{path}: no room for its pixels in {tempfile.gettempdir()} ({error.strerror}); make room"}
    except MemoryError:
        return {"error": f"{path}: decoding it takes more than {MEGABYTES} MB; leave it out"}
    return told


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
