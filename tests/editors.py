"""Raw editors as references: each develops a DNG with nothing of its own taste, to sRGB float32 in [0, 1]."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import rawpy
import tifffile

TOOLS = ("exiftool", "darktable-cli", "rawtherapee-cli")
PACKAGES = "libimage-exiftool-perl darktable rawtherapee"


def missing() -> str | None:
    """What keeps the tests from running, or None."""
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(absent)}: apt-get install --no-install-recommends {PACKAGES}" if absent else None


def validate(path: Path) -> str:
    """ExifTool's verdict and warnings."""
    command = ["exiftool", "-validate", "-warning", "-error", "-a", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def tags(path: Path) -> dict[str, str]:
    """ExifTool's reading of a file: "Group:Tag" -> value."""
    out = subprocess.run(["exiftool", "-a", "-G1", "-s", "-n", path], capture_output=True, text=True, check=True)
    pairs = (line.split(":", 1) for line in out.stdout.splitlines())
    return {key.replace("[", "").replace("]", ":").replace(" ", ""): value.strip() for key, value in pairs}


def libraw(path: Path, bright: float = 1.0, **options) -> np.ndarray:
    with rawpy.imread(str(path)) as file:
        codes = file.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            bright=bright,
            gamma=(2.4, 12.92),
            output_color=rawpy.ColorSpace.sRGB,
            output_bps=16,
            **{"adjust_maximum_thr": 0, **options},
        )
    return codes.astype(np.float32) / 65535


def darktable(path: Path, folder: Path) -> np.ndarray:
    """Without filmic and without its own chromatic adaptation; 16-bit TIFF."""
    out = folder / f"{path.stem}.darktable.tif"
    conf = {
        "plugins/darkroom/workflow": "none",
        "plugins/darkroom/chromatic-adaptation": "legacy",
        "plugins/imageio/format/tiff/bpp": "16",
    }
    settings = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    places = ["--configdir", folder / "darktable", "--cachedir", folder / "darktable", "--library", ":memory:"]
    return _developed(["darktable-cli", path, out, "--core", *places, *settings, "-t", "1"], out)


def rawtherapee(path: Path, folder: Path) -> np.ndarray:
    """With its neutral profile; 16-bit TIFF."""
    out = folder / f"{path.stem}.rawtherapee.tif"
    return _developed(["rawtherapee-cli", "-q", "-o", out, "-t", "-b16", "-Y", "-c", path], out)


def _developed(command: list, out: Path) -> np.ndarray:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert out.is_file(), f"{command[0]} wrote nothing: {ran.stdout} {ran.stderr}"
    picture = tifffile.imread(out)
    assert picture.dtype == np.uint16
    return picture.astype(np.float32) / 65535
