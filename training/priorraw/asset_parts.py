"""The files of a model, shipped or trained by the user, and an asset folder made of them and a bank."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from priorraw.assets import (
    ENCODER,
    RECONSTRUCTOR,
    RECONSTRUCTOR_PARTS,
    cameras_in,
    load_assets,
    load_model,
    save_part,
    shipped_assets,
    write_asset,
)
from priorraw.bank import Bank
from priorraw.errors import InputError
from priorraw.files import UNFINISHED, atomic_file, sha256
from priorraw.model import PriorRAW


@dataclass(frozen=True)
class Parts:
    """Where the parts of a model come from; later files overrule earlier ones."""

    encoder: Path
    others: tuple[Path, ...]  # light and reconstructor

    @staticmethod
    def choose(encoder: Path | None, light: Path | None, reconstructor: Path | None) -> "Parts":
        """The given files, and the shipped ones for the rest."""
        shipped = shipped_assets()
        given = tuple(path for path in (light, reconstructor) if path is not None)
        return Parts(encoder or shipped / ENCODER, (shipped / RECONSTRUCTOR, *given))

    def model(self) -> PriorRAW:
        return load_model([self.encoder, *self.others])

    def encoder_sha256(self) -> str:
        return sha256(self.encoder)


def write_parts(folder: Path, parts: Parts, bank: Bank, commands: list[str]) -> None:
    """Put the model and the bank of one camera into an asset folder, beside cameras that share the model.

    asset.json comes last: a folder that is half written is refused by `load_assets`.

    Raises:
        InputError: the folder holds another model, or something else; or cannot be written.
    """
    others = [camera for camera in cameras_in(folder) if camera != bank.info.camera] if folder.is_dir() else []
    if folder.is_dir() and not cameras_in(folder):
        # What an earlier run that was killed may have left is no stranger's.
        ours = {Path(ENCODER).parts[0], bank.info.camera}
        if any(p.name not in ours and not UNFINISHED.fullmatch(p.name) for p in folder.iterdir()):
            raise InputError(f"{folder}: not empty and no asset folder; name a new folder")
    with tempfile.TemporaryDirectory() as temporary:
        encoder, reconstructor = (Path(temporary) / Path(name).name for name in (ENCODER, RECONSTRUCTOR))
        shutil.copyfile(parts.encoder, encoder)  # banks know it by its bytes
        save_part(parts.model(), RECONSTRUCTOR_PARTS, reconstructor)
        made = {ENCODER: encoder, RECONSTRUCTOR: reconstructor}
        for name, path in made.items():
            held = folder / name
            if others and (not held.is_file() or sha256(held) != sha256(path)):
                raise InputError(f"{held}: {others[0]} has another model there; name a new folder")
        for name, path in made.items():
            with atomic_file(folder / name) as target:
                shutil.copyfile(path, target)
    bank.save(folder / bank.info.camera / "bank.safetensors")
    write_asset(folder, bank.info.camera, commands, {})
    load_assets(bank.info.camera, folder)
