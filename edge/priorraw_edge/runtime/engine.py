"""What runs the model: PyTorch from an asset folder (eager), or ExecuTorch from a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from priorraw.errors import InputError, reason

from priorraw_edge.runtime.manifest import BUNDLE, check_all, checked_bytes, read_manifest

if TYPE_CHECKING:
    from priorraw.assets import Prior
    from priorraw.rendering import Rendering

    from priorraw_edge.runtime.executorch import Program

BANK_TENSORS = ("keys", "values", "camera")
RAW = "raw"  # `priorraw.tasks.RAW`, which imports torch
TILE = 512  # eager tiles, pixels a side; the halo wastes a third of the work, at 256 it would waste two thirds
LARGEST_TILE = 4096
DEFAULT_CAMERA = "sony-imx135"  # a phone's sensor
DEFAULT_DEPTHS = "bit-depth-4to8"  # what stands in a camera's place


class Engine(Protocol):
    """A model for one camera, cut into a scene part (whole picture, once) and a tile part (pixels)."""

    camera: str
    color_matrix: np.ndarray  # (3, 3) XYZ (D65) to camera
    tile_size: int  # side of a tile, pixels
    halo: int  # pixels; covers the tile part's receptive field
    align: int  # total stride of the tile part; tile origins and padded sizes are multiples of it

    def scene(self, thumbnail: np.ndarray) -> np.ndarray:
        """(64, 64, 3) float32 sRGB in [0, 1] to an opaque float32 scene vector."""

    def with_light(self, scene: np.ndarray, light: np.ndarray) -> np.ndarray:
        """The scene vector with a known light (2,) float32, (log r/g, log b/g), in place of the inferred one."""

    def tile(self, srgb: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, T, 3) float32 sRGB in [0, 1] to raw-RGB (T, T, 3) and reliability (T, T), float32 in [0, 1].

        They may lie in memory that the next tile writes again.
        """


def open_engine(
    camera: str | None = None,
    *,
    bundle: Path | None = None,
    assets: Path | None = None,
    bank: Path | None = None,
    threads: int | None = None,
    public_key: Path | None = None,
    task: str = RAW,
) -> Engine:
    """The engine of a camera: a bundle, or PyTorch with the assets in a folder (by default the shipped ones).

    `public_key` must have signed the bundle, where it is given.

    `bank` is a bank.safetensors of one's own (`priorraw-edge bank build`), used in place of a camera's there.

    `threads` compute a tile together (by default as many as the library chooses: one a core). Tiles run one after
    the other: ExecuTorch keeps Python's lock while it runs, and a second process would take the memory of a second
    PyTorch.

    Raises:
        InputError: unknown camera, a bundle without its bank or for another task, a bank made with another encoder,
            damaged files, a bundle that was not signed with `public_key`.
    """
    if bundle is None:
        import torch
        from priorraw.assets import load_assets

        if threads is not None:
            torch.set_num_threads(threads)
        if bank is not None:
            camera = known_cameras(assets=assets)[0]  # any: its bank gives way
        prior = load_assets(camera or DEFAULT_CAMERA, assets, task)
        return EagerEngine(prior if bank is None else _with_bank(prior, bank))
    from priorraw_edge.runtime.executorch import set_threads

    if threads is not None:
        set_threads(threads)
    engine = BundleEngine(bundle, camera, public_key=public_key)
    if engine.task != task:
        raise InputError(f"{bundle}: is for the task {engine.task}, not {task}; export another")
    if bank is not None:
        engine.use_bank(bank)
    return engine


def known_cameras(bundle: Path | None = None, assets: Path | None = None) -> list[str]:
    """The cameras that a bundle, an asset folder or, without either, the shipped assets hold banks of.

    Raises:
        InputError: no bundle, or no assets.
    """
    if bundle is not None:
        banks = _runnable(bundle).get("banks")
        return sorted(banks) if isinstance(banks, dict) else []
    from priorraw.assets import cameras_in, shipped_assets

    cameras = cameras_in(assets or shipped_assets())
    if not cameras:
        raise InputError(f"{assets}: no such asset folder; leave out --assets to use the shipped ones")
    return cameras


def rendering_in(bank: Path | None) -> "Rendering | None":
    """How the camera of a bank.safetensors renders, where the bank tells it."""
    if bank is None:
        return None
    from priorraw.bank import Bank
    from priorraw.rendering import Rendering

    told = Bank.load(bank).info.rendering
    return None if told is None else Rendering.from_json(told)


def _with_bank(prior: "Prior", path: Path) -> "Prior":
    from dataclasses import replace

    from priorraw.bank import Bank
    from priorraw.files import sha256

    bank = Bank.load(path)
    _check_encoder(path, bank.info.encoder_sha256, prior.encoder_sha256)
    return replace(prior, bank=bank, camera=bank.info.camera, bank_sha256=sha256(path), psnr=None)


def _check_encoder(path: Path, made_with: str, ours: object) -> None:
    if made_with != ours:
        raise InputError(f"{path}: was built with another encoder than this model's; build it again with this one")


def to_nchw(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) to contiguous (1, 3, H, W) float32. Contiguous matters: ExecuTorch misreads other strides."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32)


def set_light(scene: np.ndarray, light: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """`model.hint_scene` on arrays: scene vector (1, S), light (2,), camera vector (1, 13); all float32.

    Arithmetic on one small vector, so no engine lowers a program for it.
    """
    import torch
    from priorraw.model import hint_scene

    with torch.inference_mode():
        return hint_scene(*(torch.from_numpy(array) for array in (scene, light[None], camera))).numpy()


class EagerEngine:
    """The PyTorch model itself, with the prior bank of one camera."""

    def __init__(self, prior: "Prior", tile_size: int = TILE):
        from priorraw.model import ALIGN

        self._model = prior.model.eval()
        self._bank = prior.bank.named()
        self.task, self.camera, self.color_matrix = prior.model.task, prior.camera, prior.color_matrix
        self.bank_sha256 = prior.bank_sha256
        self.tile_size, self.halo, self.align = tile_size, prior.model.halo, ALIGN

    def scene(self, thumbnail: np.ndarray) -> np.ndarray:
        return self._run("scene", thumbnail=to_nchw(thumbnail)).numpy()

    def with_light(self, scene: np.ndarray, light: np.ndarray) -> np.ndarray:
        return set_light(scene, light, self._bank["camera"].numpy())

    def _run(self, part: str, **inputs: np.ndarray) -> Any:
        import torch
        from priorraw.tasks import run_part

        with torch.inference_mode():
            known = {name: torch.from_numpy(array) for name, array in inputs.items()}
            return run_part(self._model, part, self._bank | known)

    def tile(self, srgb: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raw, reliability = self._run("tile", tile=to_nchw(srgb), scene=scene)
        return raw[0].permute(1, 2, 0).numpy(), reliability[0, 0].numpy()


class BundleEngine:
    """A bundle of ExecuTorch programs that run here, with the bank of one camera (by default its first).

    Every file is checked against `bundle.json` before it is used, and the bytes that were checked are those
    that run. They stay alive with the engine, since a loaded program reads from them.

    Raises:
        InputError: the folder is no bundle, its target cannot run here, it holds no bank of the camera, a file is
            missing or altered, or it was not signed with `public_key`.
    """

    def __init__(
        self,
        folder: Path,
        camera: str | None = None,
        manifest: dict[str, Any] | None = None,
        public_key: Path | None = None,
    ):
        """`manifest` is what bundle.json will hold, for a folder that is still being written."""
        self.folder = folder
        self.manifest = _runnable(folder, public_key) if manifest is None else manifest
        self.task = str(self.manifest.get("task", RAW))
        try:
            self.camera = camera or str(self.manifest["camera"])
            bank = self._bank_entry(self.camera)
            self.color_matrix = np.array(bank["color_matrix"], np.float64).reshape(3, 3)
            self.tile_size, self.halo, self.align = (int(self.manifest[k]) for k in ("tile", "halo", "align"))
            self._inputs = {
                name: [(str(i["name"]), tuple(i["shape"])) for i in self.manifest["programs"][name]["inputs"]]
                for name in ("scene", "tile")
            }
            self._files = {name: str(self.manifest["programs"][name]["file"]) for name in ("scene", "tile")}
            self._files["bank"] = str(bank["file"])
            if not (0 < self.align <= self.tile_size <= LARGEST_TILE and 0 <= 2 * self.halo < self.tile_size):
                raise ValueError(f"tile {self.tile_size}, halo {self.halo}, align {self.align}")
            if not np.isfinite(self.color_matrix).all():
                raise ValueError("a colour matrix that is not finite")
            self.bank_sha256 = str(self.manifest["files"].get(self._files["bank"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"{folder / BUNDLE}: incomplete ({type(error).__name__}: {reason(error)}); export the bundle again"
            ) from None
        check_all(folder, self.manifest, but=self._files.values())
        self._bank = self._load_bank(self._files["bank"])
        self._programs = {name: self._load_program(name) for name in ("scene", "tile")}

    def scene(self, thumbnail: np.ndarray) -> np.ndarray:
        return self.run("scene", {"thumbnail": to_nchw(thumbnail)})[0]

    def with_light(self, scene: np.ndarray, light: np.ndarray) -> np.ndarray:
        return set_light(scene, light, self._bank["camera"])

    def tile(self, srgb: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Fresh memory for every result would cost a third of the tile's time, most of it in the system's page faults.
        raw, reliability = self.run("tile", {"tile": to_nchw(srgb), "scene": scene}, copied=False)
        return raw[0].transpose(1, 2, 0), reliability[0, 0]

    def run(self, program: str, inputs: dict[str, np.ndarray], *, copied: bool = True) -> list[np.ndarray]:
        """Run one program; inputs that `inputs` leaves out come from the bank.

        Args:
            program: "scene" or "tile".
            inputs: float32 arrays by name, of the shapes that `bundle.json` lists.
            copied: whether the outputs outlive the next run.

        Returns:
            The outputs in the order that `bundle.json` lists.

        Raises:
            ValueError: an input is missing, or its shape is not the program's.
        """
        import torch

        tensors = []
        for name, shape in self._inputs[program]:
            value = inputs[name] if name in inputs else self._bank.get(name)
            if value is None or value.shape != shape:
                found = "missing" if value is None else str(value.shape)
                raise ValueError(f"program {program}: input {name} is {found}, it takes {shape}")
            tensors.append(torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32)))
        return [output.numpy() for output in self._programs[program](tensors, copied=copied)]

    def use_camera(self, camera: str) -> None:
        """Take another of the bundle's own banks; the programs stay.

        Raises:
            InputError: it holds no bank of the camera, or a damaged one.
        """
        entry = self._bank_entry(camera)
        self._bank = self._load_bank(str(entry["file"]))
        self.bank_sha256 = str(self.manifest["files"].get(str(entry["file"])))
        self.camera, self.color_matrix = camera, np.array(entry["color_matrix"], np.float64).reshape(3, 3)

    def use_bank(self, path: Path) -> None:
        """Take a bank.safetensors of `priorraw-edge bank build` in place of the bundle's.

        Raises:
            InputError: no bank, made with another encoder, or of another number of entries than the programs take.
        """
        from priorraw.bank import Bank
        from priorraw.files import sha256

        bank = Bank.load(path)
        _check_encoder(path, bank.info.encoder_sha256, self.manifest.get("encoder_sha256"))
        tensors = dict(zip(BANK_TENSORS, (tensor.numpy() for tensor in bank.tensors()), strict=True))
        taken = {name: shape for part in self._inputs.values() for name, shape in part if name in BANK_TENSORS}
        if any(tensors[name].shape != shape for name, shape in taken.items()):
            raise InputError(
                f"{path}: has {bank.info.K} entries, {self.folder} takes {taken['keys'][0]}; build it with --entries "
                f"{taken['keys'][0]}"
            )
        self._bank = tensors
        self.bank_sha256 = sha256(path)
        self.camera, self.color_matrix = bank.info.camera, np.array(bank.info.color_matrix).reshape(3, 3)

    def _bank_entry(self, camera: str) -> dict[str, Any]:
        """What bundle.json says of a camera's bank."""
        banks = dict(self.manifest["banks"])
        if camera not in banks:
            raise InputError(f"{self.folder}: {_no_bank(camera, list(banks))}")
        return banks[camera]

    def _load_bank(self, name: str) -> dict[str, np.ndarray]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            bank = load(checked_bytes(self.folder, self.manifest, name))
        except SafetensorError as error:
            raise InputError(
                f"{self.folder / name}: no safetensors file ({reason(error)}); export the bundle again"
            ) from None
        absent = [tensor for tensor in BANK_TENSORS if tensor not in bank]
        if absent:
            raise InputError(f"{self.folder / name}: lacks {', '.join(absent)}; export the bundle again")
        return bank

    def _load_program(self, name: str) -> "Program":
        from priorraw_edge.runtime.executorch import Program

        file = self._files[name]
        data = checked_bytes(self.folder, self.manifest, file)
        try:
            return Program(data, str(self.manifest.get("target")))
        except (RuntimeError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{self.folder / file}: ExecuTorch does not load it ({reason}); export the bundle again"
            ) from None


def _no_bank(camera: str, banks: list[str]) -> str:
    from priorraw.cameras import unknown_camera

    return f"{unknown_camera(camera, banks)}; put it in with: priorraw-edge bundle add-bank"


def _runnable(folder: Path, public_key: Path | None = None) -> dict[str, Any]:
    manifest = read_manifest(folder, public_key)
    if manifest.get("runs") != "executorch":
        target = str(manifest.get("target"))[:20]
        raise InputError(f"{folder / BUNDLE}: target {target} does not run here; export --target xnnpack")
    return manifest
