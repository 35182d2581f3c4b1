"""The commands that are killed: what each is given, and what its result is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from priorraw.files import sha256

TILE = 72  # the smallest that leaves pixels inside the halo


@dataclass(frozen=True)
class Inputs:
    """Files that the commands read, made once by `make_inputs`."""

    pack: Path
    dataset: Path
    encoder: Path
    assets: Path
    photo: Path
    photos: Path


@dataclass(frozen=True)
class Subject:
    """One command that ends with files below a folder.

    `arguments` are those of the command; `other` those of an earlier run with another result, whose files may lie
    there when it begins. `results` names the files or folders that have to be whole or absent, whenever one looks.
    `in_a_row`: kills before a run that is left alone; several where a run is long.
    """

    name: str
    arguments: Callable[[Inputs, Path], list[object]]
    results: tuple[str, ...]
    own: tuple[str, ...] = ()  # files, or folders, of its own that it may leave before it is done: checkpoints, logs
    other: Callable[[Inputs, Path], list[object]] | None = None
    in_a_row: int = 1


def make_inputs(folder: Path) -> Inputs:
    """Tiny scenes, models and photographs."""
    import numpy as np
    import tiny
    from PIL import Image
    from skimage.data import coffee

    dataset = tiny.dataset(folder / "dataset", 12)
    assets = tiny.assets(folder / "assets")
    (folder / "photos").mkdir()
    picture = np.asarray(coffee()[:300, :400])
    for name, crop in (("a", picture), ("b", picture[:120, 200:])):
        Image.fromarray(crop).save(folder / "photos" / f"{name}.jpg", quality=95)
    return Inputs(
        pack=folder / "dataset.npz",
        dataset=dataset,
        encoder=assets / "shared" / "encoder.safetensors",
        assets=assets,
        photo=folder / "photos" / "a.jpg",
        photos=folder / "photos",
    )


def _train(stage: str, steps: int, *more: object) -> Callable[[Inputs, Path], list[object]]:
    def arguments(i: Inputs, out: Path) -> list[object]:
        options = ["-o", out / "run", "--steps", steps, "--checkpoint-every", 2, *more]
        encoder = ["--encoder", i.encoder, "--entries", 64, "--group", 4] if stage == "light" else []
        return ["train", stage, i.dataset, *options, *encoder]

    return arguments


def _bank(seed: int) -> Callable[[Inputs, Path], list[object]]:
    def arguments(i: Inputs, out: Path) -> list[object]:
        files = ["-o", out / "bank.safetensors", "--assets", out / "assets"]
        return [
            "bank",
            "build",
            i.dataset,
            *files,
            "--encoder",
            i.encoder,
            *_parts(i),
            "--entries",
            256,
            "--seed",
            seed,
        ]

    return arguments


def _parts(i: Inputs) -> list[object]:
    return ["--reconstructor", i.assets / "shared" / "reconstructor.safetensors"]


def _prepare(seed: int) -> Callable[[Inputs, Path], list[object]]:
    return lambda i, out: ["prepare", i.pack, "--camera", "olympus-e-pl6", "--out", out / "pairs", "--seed", seed]


# The target that lowers soonest: what differs between targets happens in memory.
def _export(tile: int) -> Callable[[Inputs, Path], list[object]]:
    def arguments(i: Inputs, out: Path) -> list[object]:
        model = ["--assets", i.assets, "--camera", "olympus-e-pl6", "--golden", i.photo]
        return ["export", "--target", "portable", *model, "--tile", tile, "--out", out / "bundle"]

    return arguments


def _reconstruct(hint: str) -> Callable[[Inputs, Path], list[object]]:
    def arguments(i: Inputs, out: Path) -> list[object]:
        photos = sorted(i.photos.iterdir())
        places = ["-o", out / "raw", "--reliability", out / "trust"]
        return ["reconstruct", *photos, *places, "--assets", i.assets, "--camera", "olympus-e-pl6", "--hint", hint]

    return arguments


MODEL = ("shared/encoder.safetensors", "shared/reconstructor.safetensors")
CAMERA = tuple(f"olympus-e-pl6/{name}" for name in ("bank.safetensors", "asset.json"))
BANK = ("bank.safetensors", *(f"assets/{name}" for name in MODEL + CAMERA))
RAW = tuple(f"raw/{name}.dng" for name in "ab") + tuple(f"trust/{name}.png" for name in "ab")
RUN = ("checkpoint.safetensors", "log")
ARCHIVE = ("manifest.sqlite", "manifest.sqlite-journal", "manifest.sqlite-wal", "manifest.sqlite-shm", "report.json")


def _archive(i: Inputs, out: Path) -> list[object]:
    places = ["-o", out / "raw", "--reliability", out / "trust", "--resume"]
    return ["reconstruct", i.photos, *places, "--assets", i.assets, "--camera", "olympus-e-pl6"]


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("train-search", _train("search", 8, "--dim", 8), ("run/encoder.safetensors",), RUN),
        Subject("train-light", _train("light", 8), ("run/light.safetensors",), RUN),
        Subject("train-reconstruct", _train("reconstruct", 12, "--batch", 2), ("run/reconstructor.safetensors",), RUN),
        Subject("bank", _bank(0), BANK, other=_bank(1)),
        Subject("prepare", _prepare(0), ("pairs",), other=_prepare(1)),
        Subject("export", _export(TILE), ("bundle",), other=_export(TILE + 8), in_a_row=10),
        Subject("reconstruct", _reconstruct("none"), RAW, other=_reconstruct("2,1,1.5")),
        Subject("archive", _archive, RAW, own=ARCHIVE),
    )
}


def state(folder: Path, names: tuple[str, ...]) -> dict[str, str | None]:
    """What one sees of the results: a hash of each, None where there is nothing."""
    return {name: _digest(folder / name) for name in names}


def _digest(path: Path) -> str | None:
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        return None
    import hashlib

    files: list[tuple[str, Any]] = [
        (p.relative_to(path).as_posix(), sha256(p)) for p in sorted(path.rglob("*")) if p.is_file()
    ]
    return hashlib.sha256(repr(files).encode()).hexdigest()
