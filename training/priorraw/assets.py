"""An asset folder: the shared encoder and reconstructor, and a bank per camera; written, checked, loaded.

    shared/encoder.safetensors        encoder and affinity
    shared/reconstructor.safetensors  light and reconstructor
    CAMERA/bank.safetensors           the prior bank
    CAMERA/asset.json                 sha256 and size of every file above, versions, commands, measured PSNR

Other tasks than RAW (`tasks`) keep all of their files in one folder, named in the place of a camera.

Nothing is loaded before its size and hash match asset.json; nothing is ever unpickled.
"""

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from priorraw.bank import Bank
from priorraw.cameras import unknown_camera
from priorraw.errors import InputError, reason
from priorraw.files import atomic_file, read_json, refuse_special, sha256, write_json
from priorraw.pictures import thumbnail_of, to_tensor
from priorraw.tasks import RAW, TASKS, Model, run_part

ENCODER_PARTS = ("encoder", "affinity")
RECONSTRUCTOR_PARTS = TASKS[RAW].reconstructor_parts
ENCODER, RECONSTRUCTOR = TASKS[RAW].encoder, TASKS[RAW].reconstructor
ASSET = "asset.json"


@dataclass(frozen=True)
class Prior:
    """A model, the bank of one camera, the hashes of the files that they came from, and what they reach."""

    model: Any  # of a task, see `tasks`
    bank: Bank
    camera: str  # or what stands in its place in another task
    encoder_sha256: str
    reconstructor_sha256: str
    bank_sha256: str
    psnr: float | None = field(default=None, kw_only=True)  # dB, blind, on its own test split; None: not measured

    @property
    def color_matrix(self) -> np.ndarray:
        """(3, 3) XYZ (D65) to camera."""
        return np.array(self.bank.info.color_matrix).reshape(3, 3)

    @torch.no_grad()
    def scene(self, srgb: np.ndarray) -> Tensor:
        """sRGB (H, W, 3) in [0, 1], the whole picture, to the scene vector (1, S)."""
        return run_part(self.model, "scene", {"thumbnail": to_tensor(thumbnail_of(srgb))[None], **self.bank.named()})

    @torch.no_grad()
    def __call__(self, srgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sRGB (H, W, 3) in [0, 1] to linear raw-RGB (H, W, 3) and reliability (H, W), both in [0, 1].

        In bit-depth recovery: the low picture (`bit_depth.Depths.unit`) to the high one. The whole picture at once;
        for large ones `priorraw_edge.runtime` gives the same in tiles.
        """
        from priorraw.padding import pad_to_align

        H, W = srgb.shape[:2]
        known = {"tile": to_tensor(pad_to_align(srgb))[None], "scene": self.scene(srgb), **self.bank.named()}
        raw, reliability = run_part(self.model, "tile", known)
        return raw[0].permute(1, 2, 0).numpy()[:H, :W], reliability[0, 0].numpy()[:H, :W]


def shipped_assets() -> Path:
    """The folder of the installed data package."""
    import prior_assets

    return Path(prior_assets.__file__).parent


def cameras_in(folder: Path, task: str = RAW) -> list[str]:
    """The cameras that an asset folder holds, or the banks of another task."""
    return sorted(p.parent.name for p in folder.glob(f"*/{ASSET}") if read_json(p).get("task", RAW) == task)


def load_assets(camera: str, folder: Path | None = None, task: str = RAW) -> Prior:
    """Load the model and the bank of a camera, or of another task, in evaluation mode.

    Raises:
        InputError: unknown camera; a file is missing, changed, or made for another encoder.
    """
    folder = folder or shipped_assets()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such asset folder; leave out --assets to use the shipped ones")
    known = cameras_in(folder, task)
    if camera not in known:
        raise InputError(unknown_camera(camera, known) if task == RAW else unknown_bank(camera, known, task))
    asset = read_json(folder / camera / ASSET)
    files = asset.get("files")
    if not isinstance(files, dict):
        raise InputError(f"{folder / camera / ASSET}: lists no files; take the whole folder from one source")
    encoder, reconstructor, bank_name = names = TASKS[task].files(camera)
    for name in names:
        check_file(folder, name, files)
    bank = Bank.load(folder / bank_name)
    hashes = [files[name]["sha256"] for name in names]
    if bank.info.encoder_sha256 != hashes[0]:
        raise InputError(f"{folder / bank_name}: built with another encoder; build it again")
    model = load_model([folder / encoder, folder / reconstructor], task)
    return Prior(model, bank, camera, *hashes, psnr=_psnr(asset, camera))


def unknown_bank(name: str, known: list[str], task: str) -> str:
    """That a task has no bank of that name, and which it has."""
    return f"{name}: no such assets for {task}; there are {', '.join(known) or 'none'}"


def _psnr(asset: dict[str, Any], camera: str) -> float | None:
    """What asset.json says the camera's test split reaches, dB; None where it says nothing."""
    value: Any = asset
    for key in ("measured", "test", camera, "reconstructed", "psnr"):
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def check_file(folder: Path, name: str, files: dict[str, Any]) -> None:
    """Compare size and sha256 of `folder`/`name` with its entry in `files`.

    Raises:
        InputError: no entry, a name that leaves the folder, a missing file, another size or hash.
    """
    entry, path = files.get(name), folder / name
    if not isinstance(entry, dict) or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise InputError(f"{path}: not listed with its hash; take the whole folder from one source")
    if not path.is_file():
        raise InputError(f"{path}: not found; take the whole folder from one source")
    if path.stat().st_size != entry.get("bytes") or sha256(path) != entry.get("sha256"):
        raise InputError(f"{path}: was changed (sha256 differs from the one recorded); restore it")


def describe_file(path: Path) -> dict[str, Any]:
    """The entry that `check_file` compares with."""
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def save_part(model: Model, parts: tuple[str, ...], path: Path) -> None:
    """Write the named submodules with their configs, atomically."""
    tensors = {k: v.contiguous() for k, v in model.state_dict().items() if k.split(".")[0] in parts}
    config = {name: value for name, value in model.config.to_json().items() if name in parts}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, {"config": json.dumps(config, sort_keys=True)})


def load_reconstructor(path: Path, task: str = RAW) -> tuple[Any, dict[str, Tensor]]:
    """The config and the weights, by their names in the reconstructor, of a file that holds a reconstructor.

    Raises:
        InputError: the file is missing, damaged, or holds none.
    """
    config, tensors = _read_part(path, TASKS[task].config().to_json())
    prefix = "reconstructor."
    weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    model = _build(config, path, task)
    expected = {key: value.shape for key, value in model.reconstructor.state_dict().items()}
    if {key: value.shape for key, value in weights.items()} != expected:
        raise InputError(f"{path}: holds no reconstructor of this version; train it again")
    return model.config, weights


def _read_part(path: Path, config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """`config` with the entries of the parts that a file holds in place of its own, and the file's tensors."""
    refuse_special(path)
    try:
        with safe_open(path, "pt") as file:
            own = json.loads((file.metadata() or {})["config"])
            part = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            return config | {name: own[name] for name in {key.split(".")[0] for key in part} & config.keys()}, part
    except FileNotFoundError:
        raise InputError(f"{path}: not found; train it first") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a model part ({reason(error)}); restore or train it again") from None


def _build(config: dict[str, Any], path: Path, task: str = RAW) -> Any:
    try:
        return TASKS[task].model(TASKS[task].config.from_json(config))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: not a model part ({reason(error)}); restore or train it again") from None


def load_model(paths: list[Path], task: str = RAW) -> Any:
    """Build the model that the files' configs describe, each for the parts that it holds, and fill those parts.

    Raises:
        InputError: a file is missing, damaged, or holds other tensors than its config says.
    """
    tensors: dict[str, Tensor] = {}
    config = TASKS[task].config().to_json()
    for path in paths:
        config, part = _read_part(path, config)
        tensors |= part
    held = {key.split(".")[0] for key in tensors}
    if not held.issuperset(ENCODER_PARTS):
        raise InputError(f"{paths[0]}: holds no encoder; give the encoder.safetensors that train search wrote")
    model = _build(config, paths[-1], task).eval()
    expected = {k: v.shape for k, v in model.state_dict().items() if k.split(".")[0] in held}
    if {k: v.shape for k, v in tensors.items()} != expected:
        raise InputError(f"{paths[-1]}: tensors contradict the config in the file; train it again")
    model.load_state_dict(tensors, strict=False)
    return model.requires_grad_(False)


def write_asset(folder: Path, camera: str, commands: list[str], measured: dict[str, Any], task: str = RAW) -> None:
    """Write CAMERA/asset.json for the files that lie in `folder`."""
    write_json(
        folder / camera / ASSET,
        {
            "format": 1,
            "camera": camera,
            **({} if task == RAW else {"task": task}),
            "files": {name: describe_file(folder / name) for name in TASKS[task].files(camera)},
            "versions": {name: version(name) for name in ("priorraw-edge", "torch", "faiss-cpu", "numpy")},
            "commands": commands,
            "measured": measured,
        },
    )
