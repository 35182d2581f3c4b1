"""Raw editors as references: each develops a file at an exposure, with nothing of its own taste, to sRGB in [0, 1].

darktable runs without filmic and without its own chromatic adaptation, RawTherapee with its neutral profile, LibRaw
without its automatic brightness and stretch. What they do to exposure is a factor in linear light.
"""

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

TOOLS = ("exiftool", "darktable-cli", "rawtherapee-cli")
PACKAGES = "libimage-exiftool-perl darktable rawtherapee"
SECONDS = 120  # for one development

# darktable's exposure module, version 6: mode (0 manual), black, exposure, deflicker percentile and level, bias.
DARKTABLE_EXPOSURE = "<iffffi"
# Order of darktable's modules: exposure works in linear light in both, the picture's profile being undone before.
DARKTABLE_ORDER_RAW, DARKTABLE_ORDER_JPEG = 2, 3
DARKTABLE_XMP = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:darktable="http://darktable.sf.net/" darktable:xmp_version="5"
 darktable:auto_presets_applied="1" darktable:history_end="1" darktable:iop_order_version="{order}">
<darktable:history><rdf:Seq>
<rdf:li darktable:num="0" darktable:operation="exposure" darktable:enabled="1" darktable:modversion="6"
 darktable:params="{params}" darktable:multi_name="" darktable:multi_priority="0"/>
</rdf:Seq></darktable:history></rdf:Description></rdf:RDF></x:xmpmeta>
"""
RAWTHERAPEE_PROFILE = "[Version]\nAppVersion=5.9\nVersion=349\n\n[Exposure]\nAuto=false\nCompensation={ev}\n"

Develop = Callable[[Path, Path, float], np.ndarray]  # file, folder for what is made on the way, EV -> (H, W, 3) float32


def missing() -> str | None:
    """What has to be installed, or None."""
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(absent)}: apt-get install --no-install-recommends {PACKAGES}" if absent else None


def libraw(path: Path, folder: Path, ev: float = 0, **options) -> np.ndarray:
    import rawpy

    with rawpy.imread(str(path)) as file:
        codes = file.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            bright=2.0**ev,
            gamma=(2.4, 12.92),
            output_color=rawpy.ColorSpace.sRGB,
            output_bps=16,
            **{"adjust_maximum_thr": 0, **options},
        )
    return codes.astype(np.float32) / 65535


def darktable(path: Path, folder: Path, ev: float = 0) -> np.ndarray:
    out, sidecar = folder / f"{path.stem}.darktable.tif", folder / f"{path.stem}.exposure.xmp"
    params = struct.pack(DARKTABLE_EXPOSURE, 0, 0.0, ev, 50.0, -4.0, 0)
    order = DARKTABLE_ORDER_RAW if path.suffix == ".dng" else DARKTABLE_ORDER_JPEG
    sidecar.write_text(DARKTABLE_XMP.format(params=params.hex(), order=order))
    conf = {
        "plugins/darkroom/workflow": "none",
        "plugins/darkroom/chromatic-adaptation": "legacy",
        "plugins/imageio/format/tiff/bpp": "16",
    }
    settings = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    places = ["--configdir", folder / "darktable", "--cachedir", folder / "darktable", "--library", ":memory:"]
    history = [sidecar] if ev else []
    return _developed(["darktable-cli", path, *history, out, "--core", *places, *settings, "-t", "1"], out)


def rawtherapee(path: Path, folder: Path, ev: float = 0) -> np.ndarray:
    out, profile = folder / f"{path.stem}.rawtherapee.tif", folder / f"{path.stem}.exposure.pp3"
    profile.write_text(RAWTHERAPEE_PROFILE.format(ev=ev))
    return _developed(["rawtherapee-cli", "-q", "-p", profile, "-o", out, "-t", "-b16", "-Y", "-a", "-c", path], out)


EDITORS: dict[str, Develop] = {"libraw": libraw, "darktable": darktable, "rawtherapee": rawtherapee}


def _developed(command: list, out: Path) -> np.ndarray:
    import tifffile

    out.unlink(missing_ok=True)  # darktable would choose another name
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=SECONDS)
    if not out.is_file():
        raise RuntimeError(f"{command[0]} wrote nothing: {ran.stdout} {ran.stderr}")
    picture = tifffile.imread(out)
    if picture.dtype != np.uint16:
        raise RuntimeError(f"{command[0]} wrote {picture.dtype}")
    return picture.astype(np.float32) / 65535
