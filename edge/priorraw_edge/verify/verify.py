"""The checks of one bundle, in order: files, assets, then every program on every photograph."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from priorraw.assets import Prior, load_assets
from priorraw.errors import InputError
from priorraw.files import read_json, sha256
from priorraw.progress import track
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from priorraw_edge.export.bundle import BUNDLE, FORMAT, GOLDEN_TENSORS
from priorraw_edge.export.programs import INPUTS, OUTPUTS, Program, bank_tensors, picture_inputs, run_eager, trace
from priorraw_edge.verify.flatbuffer import structure_faults
from priorraw_edge.verify.stages import Comparison, compare

HASHES = ("encoder_sha256", "reconstructor_sha256", "bank_sha256")


class ParityError(RuntimeError):
    """A bundle does not compute what PyTorch computes."""


@dataclass(frozen=True)
class Report:
    """What `verify_bundle` found: comparisons against PyTorch, and faults of structure, one line each."""

    target: str
    camera: str
    precision: str
    comparisons: list[Comparison]
    faults: list[str]

    @property
    def passed(self) -> bool:
        return not self.faults and all(c.passed for c in self.comparisons)

    def to_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "camera": self.camera,
            "precision": self.precision,
            "passed": self.passed,
            "comparisons": [c.to_json() for c in self.comparisons],
            "faults": self.faults,
        }


def verify_bundle(folder: Path, photographs: dict[str, np.ndarray], assets: Path | None = None) -> Report:
    """Compare the programs of a bundle with PyTorch on its golden picture and on `photographs`.

    Args:
        folder: the bundle.
        photographs: sRGB (H, W, 3) float32 in [0, 1] by name; the central tile of each is used.
        assets: where the bundle's model lies, the shipped assets by default.

    Raises:
        InputError: no bundle, a file missing or changed, or assets that are not those it was made from.
    """
    manifest = read_bundle(folder)
    prior = load_assets(manifest["camera"], assets)
    differing = [name for name in HASHES if manifest[name] != getattr(prior, name)]
    if differing:
        raise InputError(f"{folder}: made from other assets ({', '.join(differing)} differ); give theirs with --assets")
    golden = _load_tensors(folder, manifest["golden"]["file"], GOLDEN_TENSORS)
    pictures = {"golden": {name: golden[name] for name in ("thumbnail", "tile")}}
    pictures |= {name: picture_inputs(srgb, manifest["tile"]) for name, srgb in photographs.items()}
    computed = {name: run_eager(prior, inputs) for name, inputs in pictures.items()}
    comparisons = [
        compare("golden", "golden outputs", name, golden[name], computed["golden"][name])
        for name in ("scene", "raw", "reliability")
    ]
    comparisons += compare_programs(folder, manifest, trace(prior, computed["golden"]), computed)
    faults = _structure(folder, manifest)
    bank = _load_tensors(folder, manifest["bank"]["file"], manifest["bank"]["tensors"])
    faults += [
        f"{manifest['bank']['file']}: {name} differs from the assets' bank"
        for name, tensor in bank_tensors(prior).items()
        if not torch.equal(bank[name], tensor)
    ]
    return Report(manifest["target"], manifest["camera"], manifest["precision"], comparisons, faults)


def measure_bundle(folder: Path, prior: Prior, golden: dict[str, Tensor]) -> dict[str, Any]:
    """Entry `parity` of bundle.json: each stage on the golden picture, before the bundle takes its place.

    Raises:
        ParityError: a stage is beyond its bound.
    """
    manifest = read_json(folder / BUNDLE)
    comparisons = compare_programs(folder, manifest, trace(prior, golden), {"golden": golden})
    faults = _structure(folder, manifest)
    faults += [f"{c.stage}, {c.output}: error {c.max_error:.2g}, PSNR {c.psnr}" for c in comparisons if not c.passed]
    if faults:
        raise ParityError(f"the exported programs differ from PyTorch: {'; '.join(faults)}")
    return {
        f"{c.stage}: {c.output}": {"max_error": c.max_error, "mean_error": c.mean_error, "psnr": c.psnr}
        for c in comparisons
    }


def read_bundle(folder: Path) -> dict[str, Any]:
    """bundle.json, after every file that it lists was found unchanged.

    Raises:
        InputError: no bundle, another format, a file missing or changed.
    """
    if not (folder / BUNDLE).is_file():
        raise InputError(f"{folder}: holds no {BUNDLE}; make a bundle with: priorraw-edge export")
    manifest = read_json(folder / BUNDLE)
    if manifest.get("format") != FORMAT:
        raise InputError(f"{folder / BUNDLE}: format {manifest.get('format')!r}, this version reads {FORMAT}")
    needed = ("target", "camera", "tile", "precision", "programs", "bank", "golden", "files", "bytes", *HASHES)
    absent = [key for key in needed if key not in manifest]
    if absent:
        raise InputError(f"{folder / BUNDLE}: lacks {', '.join(absent)}; export the bundle again")
    for name, digest in manifest["files"].items():
        path = folder / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InputError(f"{folder / BUNDLE}: names {name}, outside the bundle; export the bundle again")
        if not path.is_file():
            raise InputError(f"{path}: missing; export the bundle again")
        if path.stat().st_size != manifest["bytes"].get(name) or sha256(path) != digest:
            raise InputError(f"{path}: differs from the sha256 in {BUNDLE}; export the bundle again")
    return manifest


def compare_programs(
    folder: Path, manifest: dict[str, Any], programs: list[Program], computed: dict[str, dict[str, Tensor]]
) -> list[Comparison]:
    """Traced and lowered programs against PyTorch; `computed` holds `run_eager`'s tensors by picture."""
    bank = _load_tensors(folder, manifest["bank"]["file"], manifest["bank"]["tensors"])
    stages = _xnnpack_stages(folder) if manifest["target"] == "xnnpack" else _coreml_stages(folder, manifest)
    comparisons = []
    for picture, tensors in track(list(computed.items()), "verify"):
        for program in programs:
            with torch.no_grad():
                traced = program.exported.module()(*(tensors[name] for name in INPUTS[program.name]))
            traced = [traced] if isinstance(traced, Tensor) else list(traced)
            results = {"exported program": traced}
            inputs = {name: (bank | {"scene": tensors["scene"]}).get(name) for name in INPUTS[program.name]}
            inputs |= {name: tensors[name] for name in INPUTS[program.name] if inputs[name] is None}
            results |= {stage: run(program.name, inputs) for stage, run in stages.items()}
            comparisons += [
                compare(picture, stage, name, found, tensors[name])
                for stage, outputs in results.items()
                for name, found in zip(OUTPUTS[program.name], outputs, strict=True)
            ]
    return comparisons


def _xnnpack_stages(folder: Path) -> dict[str, Any]:
    from priorraw_edge.runtime.engine import BundleEngine

    engine = BundleEngine(folder)

    def run(program: str, inputs: dict[str, Tensor]) -> list[np.ndarray]:
        return engine.run(program, {name: tensor.numpy() for name, tensor in inputs.items()})

    return {"xnnpack .pte": run}


def _coreml_stages(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    from priorraw_edge.verify.mil import MilProgram

    packages = {name: MilProgram(folder / entry["file"]) for name, entry in manifest["programs"].items()}

    def runner(rounded: bool) -> Any:
        def run(program: str, inputs: dict[str, Tensor]) -> list[Tensor]:
            outputs = packages[program].run(inputs, rounded=rounded)
            return [outputs[name] for name in OUTPUTS[program]]

        return run

    name = f"{manifest['precision']} package"
    return {name: runner(False), f"{name}, rounded": runner(True)}


def _structure(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Faults of the .pte files: each must be one delegate of the target that takes and gives what is described."""
    backend = {"xnnpack": "XnnpackBackend", "coreml": "CoreMLBackend"}[manifest["target"]]
    files = manifest.get("delegate_programs") or {n: p["file"] for n, p in manifest["programs"].items()}
    return [
        f"{file}: {fault}"
        for name, file in files.items()
        for fault in structure_faults(folder / file, manifest["programs"][name], backend)
    ]


def _load_tensors(folder: Path, file: str, names: list[str] | tuple[str, ...]) -> dict[str, Tensor]:
    try:
        tensors = load_file(folder / file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{folder / file}: no safetensors file ({error}); export the bundle again") from None
    absent = [name for name in names if name not in tensors]
    if absent:
        raise InputError(f"{folder / file}: lacks {', '.join(absent)}; export the bundle again")
    return {name: tensors[name] for name in names}
