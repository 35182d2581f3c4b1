"""ExifTool as a reader of our DNG; the editors that develop it are those of `benchmarks.editors`."""

import subprocess
from pathlib import Path


def validate(path: Path) -> str:
    """ExifTool's verdict and warnings."""
    command = ["exiftool", "-validate", "-warning", "-error", "-a", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def tags(path: Path) -> dict[str, str]:
    """ExifTool's reading of a file: "Group:Tag" -> value."""
    command = ["exiftool", "-a", "-G1", "-s", "-n", path]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    pairs = (line.split(":", 1) for line in out.stdout.splitlines())
    return {key.replace("[", "").replace("]", ":").replace(" ", ""): value.strip() for key, value in pairs}
