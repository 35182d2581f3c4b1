"""What the shipped cameras, a bundle or a bank hold, as plain dictionaries; hashes are checked on the way."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from priorraw.assets import ASSET, cameras_in, check_file, shipped_assets
from priorraw.bank import Bank
from priorraw.cameras import unknown_camera
from priorraw.errors import InputError
from priorraw.files import read_json, sha256
from priorraw.tasks import TASKS


def list_cameras(folder: Path | None = None) -> list[dict[str, Any]]:
    """One entry a camera of an asset folder (by default the shipped one); see `describe_camera`.

    Raises:
        InputError: the folder holds no camera, or files differ from their recorded hashes.
    """
    folder = folder or shipped_assets()
    cameras = cameras_in(folder)
    if not cameras:
        raise InputError(f"{folder}: holds no camera (no CAMERA/{ASSET}); make assets, or name another --assets")
    return [describe_camera(camera, folder) for camera in cameras]


def describe_camera(camera: str, folder: Path | None = None) -> dict[str, Any]:
    """asset.json of a camera, or of another task's bank: files, versions, commands, figures; and the facts of its bank.

    Raises:
        InputError: unknown camera; a file differs from its recorded hash.
    """
    folder = folder or shipped_assets()
    if not any(camera in cameras_in(folder, task) for task in TASKS):
        known = unknown_camera(camera, cameras_in(folder))
        raise InputError(f"{known}; a bundle is named by its folder, a bank by its file")
    asset = read_json(folder / camera / ASSET)
    files = asset.get("files", {})
    for name in files:
        check_file(folder, name, files)
    return asset | {"bank": describe_bank(folder / camera / "bank.safetensors")}


def describe_bank(path: Path) -> dict[str, Any]:
    """The metadata of a bank file, with its size and hash.

    Raises:
        InputError: it is no bank.
    """
    info = asdict(Bank.load(path).info)
    return info | {"bytes": path.stat().st_size, "sha256": sha256(path)}
