"""The bundle: one folder with programs, bank, golden pictures and bundle.json, written whole or not at all."""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from priorraw.assets import Prior
from priorraw.files import atomic_folder, sha256, write_json
from priorraw.model import ALIGN, HALO, THUMBNAIL
from priorraw.progress import say
from safetensors.torch import save_file
from torch import Tensor

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.golden import golden_picture
from priorraw_edge.export.programs import BANK_TENSORS, Program, bank_tensors, picture_inputs, run_eager, trace
from priorraw_edge.export.targets import Target

BUNDLE, BANK, GOLDEN = "bundle.json", "bank.safetensors", "golden/golden.safetensors"
GOLDEN_TENSORS = ("thumbnail", "tile", "scene", "raw", "reliability")
FORMAT = 1

# Measures a finished folder against PyTorch; returns the entry `parity` of bundle.json, or raises.
Measure = Callable[[Path, Prior, dict[str, Tensor]], dict[str, Any]]


def export_bundle(
    prior: Prior,
    target: Target,
    out: Path,
    *,
    tile: int,
    precision: str,
    golden: Path | None = None,
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Lower the model of `prior` for `target` and write the bundle `out`; returns bundle.json's content.

    The arguments have passed `targets.check_request`. A failure leaves no folder behind.

    Raises:
        InputError: `out` is not ours to replace, or the golden photograph cannot be read.
        DelegationError: too much of a program would run outside the delegate.
    """
    clock = _Clock()
    with atomic_folder(out, BUNDLE) as folder:
        tensors = run_eager(prior, picture_inputs(golden_picture(golden), tile))
        programs = trace(prior, tensors)
        clock.say("traced scene and tile programs")
        converted = target.convert(programs, folder, precision)
        clock.say(f"lowered for {target.name}, {precision}")
        (folder / GOLDEN).parent.mkdir()
        _save(bank_tensors(prior), folder / BANK)
        _save({name: tensors[name].contiguous() for name in GOLDEN_TENSORS}, folder / GOLDEN)
        manifest = _manifest(prior, target, tile, precision, programs, converted)
        manifest |= _file_entries(folder)
        write_json(folder / BUNDLE, manifest)
        if measure is not None:
            manifest["parity"] = measure(folder, prior, tensors)
            write_json(folder / BUNDLE, manifest)
            clock.say("compared with PyTorch on the golden picture")
    return manifest


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors, path)
    path.chmod(0o644)  # safetensors leaves it readable by its owner alone


def _manifest(
    prior: Prior, target: Target, tile: int, precision: str, programs: list[Program], converted: Converted
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "target": target.name,
        "camera": prior.camera,
        "tile": tile,
        "halo": HALO,
        "align": ALIGN,
        "thumbnail": THUMBNAIL,
        "color_matrix": prior.color_matrix.flatten().tolist(),
        "precision": precision,
        "programs": {p.name: {"file": converted.files[p.name], **p.describe()} for p in programs},
        **converted.extra,
        "bank": {"file": BANK, "tensors": list(BANK_TENSORS)},
        "golden": {"file": GOLDEN, "tensors": list(GOLDEN_TENSORS)},
        "delegation": {name: d.to_json() for name, d in converted.delegation.items()},
        "encoder_sha256": prior.encoder_sha256,
        "reconstructor_sha256": prior.reconstructor_sha256,
        "bank_sha256": prior.bank_sha256,
        "tools": {name: version(name) for name in ("priorraw-edge", *target.packages)},
    }


def _file_entries(folder: Path) -> dict[str, dict[str, Any]]:
    """`files` (sha256) and `bytes` of every file in the folder, by its path with forward slashes."""
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {
        "files": {name: sha256(path) for name, path in paths.items()},
        "bytes": {name: path.stat().st_size for name, path in paths.items()},
    }


class _Clock:
    """Says each step with the seconds since the one before."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def say(self, step: str) -> None:
        now = time.monotonic()
        say(f"{step} ({now - self._last:.1f} s)")
        self._last = now
