"""The checks of one bundle, in order: files, weights, then every bank on every picture through every stage."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from priorraw.assets import cameras_in, load_assets, shipped_assets
from priorraw.dataset import mask_of
from priorraw.errors import InputError, reason
from priorraw.progress import track
from priorraw.tasks import RAW, Model
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from priorraw_edge.errors import CheckError
from priorraw_edge.export.golden_file import GOLDEN_TENSORS, golden_outputs, program_inputs
from priorraw_edge.export.programs import OUTPUTS, run_eager, trace
from priorraw_edge.export.targets import TARGETS
from priorraw_edge.runtime.engine import BANK_TENSORS
from priorraw_edge.runtime.manifest import BUNDLE, check_all, read_manifest
from priorraw_edge.verify.cases import Case, as_seen, edge_cases
from priorraw_edge.verify.flatbuffer import structure_faults
from priorraw_edge.verify.runners import Runner, lowered_stages, traced_stages
from priorraw_edge.verify.stages import (
    MEAN_OVER_PSNR,
    MOST_LOST,
    UNMEASURED_PSNR,
    Comparison,
    Stage,
    bound,
    errors,
    expected_loss,
)

WEIGHTS = ("encoder_sha256", "reconstructor_sha256")
NEEDED: dict[str, type] = {  # of bundle.json
    **dict.fromkeys(("target", "runs", "camera", "precision", *WEIGHTS), str),
    **dict.fromkeys(("programs", "banks", "files", "bytes"), dict),
    "tile": int,
}
GOLDEN = Stage("golden outputs", "fp32")


class ParityError(CheckError):
    """A bundle does not compute what PyTorch computes."""


@dataclass(frozen=True)
class Summary:
    """One stage with one bank over all pictures: what goes into a table."""

    camera: str
    stage: str
    worst_psnr: float | None  # dB of raw-RGB against PyTorch, of the photographs; None: equal
    worst_edge_psnr: float | None  # the same of the edge tiles
    mean_psnr: float | None  # mean dB of those that differ; None: none does
    loss: float  # mean dB of PSNR against the true RAW that the stage costs
    loss_measured: bool  # on pictures whose RAW is known; else it follows from the model's PSNR
    mean_bound: float | None = None  # dB, least mean that passes; None: the bound of every picture is enough
    most_lost: float | None = None  # dB that may be lost; None: the bound on the difference is enough

    @property
    def passed(self) -> bool:
        close = self.mean_bound is None or self.mean_psnr is None or self.mean_psnr >= self.mean_bound
        return close and (self.most_lost is None or self.loss <= self.most_lost)


@dataclass(frozen=True)
class Report:
    """What `verify_bundle` found: comparisons against PyTorch, and faults of structure, one line each."""

    target: str
    precision: str
    comparisons: dict[str, list[Comparison]]  # by camera
    summaries: list[Summary]
    faults: list[str]
    notes: list[str] = field(default_factory=list)
    culprits: list[str] = field(default_factory=list)  # where the first departure is, when there is one

    @property
    def passed(self) -> bool:
        compared = all(c.passed for several in self.comparisons.values() for c in several)
        return not self.faults and compared and all(s.passed for s in self.summaries)

    def to_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "precision": self.precision,
            "passed": self.passed,
            "summaries": [vars(s) | {"passed": s.passed} for s in self.summaries],
            "comparisons": {name: [c.to_json() for c in several] for name, several in self.comparisons.items()},
            "faults": self.faults,
            "notes": self.notes,
            "culprits": self.culprits,
        }


def verify_bundle(
    folder: Path,
    cases: Callable[[int], list[Case]],
    assets: Path | None = None,
    *,
    camera: str | None = None,
    raw_bound: float | None = None,
    public_key: Path | None = None,
) -> Report:
    """Compare the programs of a bundle with PyTorch on golden picture, photographs and edge tiles, with each bank.

    Args:
        folder: the bundle.
        cases: the photographs, for a tile side.
        assets: where the bundle's model lies, the shipped assets by default.
        camera: the only bank to look at; all by default.
        raw_bound: dB for scene and raw-RGB at the lowered stages, in place of the precision's own.
        public_key: the key that must have signed the bundle; None asks for no signature.

    Raises:
        InputError: no bundle, a file missing or changed, not signed with that key, weights that are not those it was
            made from, no such bank.
    """
    manifest = read_bundle(folder, public_key)
    if camera is not None and camera not in manifest["banks"]:
        raise InputError(f"{folder}: holds no bank of {camera}; it has {', '.join(sorted(manifest['banks']))}")
    model, notes, faults = _model(folder, manifest, assets)
    pictures = [as_seen(case, model) for case in (*cases(manifest["tile"]), *edge_cases(manifest["tile"]))]
    comparisons, summaries = {}, []
    for name in [camera] if camera else sorted(manifest["banks"]):
        comparisons[name] = compare_bank(folder, manifest, name, model, pictures, raw_bound)
        summaries += summarise(manifest, name, comparisons[name])
    runs = TARGETS[manifest["target"]]
    if not runs.runs:
        notes.append(f"the lowered programs were not run: {runs.why_not_run}")
    report = Report(
        manifest["target"], manifest["precision"], comparisons, summaries, faults + _structure(folder, manifest), notes
    )
    failed = [c for c in sorted(comparisons) for d in comparisons[c] if not d.passed and d.stage != GOLDEN.name]
    if not failed:
        return report
    from priorraw_edge.verify.bisect import find_culprits

    tensors = _golden_tensors(folder, manifest, failed[0], model)
    return replace(report, culprits=find_culprits(folder, manifest, trace(model, tensors), tensors))


def measure_bank(folder: Path, manifest: dict[str, Any], camera: str, model: Model) -> dict[str, Any]:
    """Entry `parity` of a bank in bundle.json: each stage on the golden picture.

    Raises:
        ParityError: a stage is beyond its bound, or a program is not what bundle.json says.
    """
    comparisons = compare_bank(folder, manifest, camera, model, [])
    faults = _structure(folder, manifest)
    faults += [f"{c.stage}, {c.output}: {c.psnr:.1f} dB, bound {c.bound:.0f}" for c in comparisons if not c.passed]
    if faults:
        raise ParityError(f"the programs differ from PyTorch: {'; '.join(faults)}")
    parity: dict[str, Any] = {}
    for c in comparisons:
        figures = {"max_error": c.max_error, "mean_error": c.mean_error, "psnr": c.psnr, "bound": c.bound}
        parity.setdefault(c.stage, {})[c.output] = figures
    return parity


def read_bundle(folder: Path, public_key: Path | None = None) -> dict[str, Any]:
    """bundle.json, after every file that it lists was found unchanged.

    Args:
        public_key: the key that must have signed the bundle; None asks for no signature.

    Raises:
        InputError: no bundle, another format, a file missing or changed, not signed with that key.
    """
    manifest = read_manifest(folder, public_key)
    absent = [key for key in NEEDED if not isinstance(manifest.get(key), NEEDED[key])]
    if absent or manifest["target"] not in TARGETS:
        what = f"lacks {', '.join(absent)}" if absent else f"target {manifest['target'][:20]!r} is unknown"
        raise InputError(f"{folder / BUNDLE}: {what}; export the bundle again")
    check_all(folder, manifest)
    try:
        used = [p["file"] for p in manifest["programs"].values()]
        used += [bank[key] for bank in manifest["banks"].values() for key in ("file", "golden")]
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / BUNDLE}: incomplete ({reason(error)}); export the bundle again") from None
    for name in used:
        if not any(listed == name or listed.startswith(f"{name}/") for listed in manifest["files"]):
            raise InputError(f"{folder / BUNDLE}: lists no sha256 of {str(name)[:80]}; export the bundle again")
    return manifest


def compare_bank(
    folder: Path,
    manifest: dict[str, Any],
    camera: str,
    model: Model,
    cases: list[Case],
    raw_bound: float | None = None,
) -> list[Comparison]:
    """Every stage with one bank, on the golden picture and on `cases`; the bank is the bundle's own."""
    golden = load_tensors(folder, manifest["banks"][camera]["golden"], GOLDEN_TENSORS)
    bank = load_tensors(folder, manifest["banks"][camera]["file"], BANK_TENSORS)
    psnr = manifest["banks"][camera].get("psnr") or UNMEASURED_PSNR
    cases = [Case("golden", program_inputs(golden, manifest["tile"])), *cases]
    programs = trace(model, run_eager(model, bank, cases[0].inputs))
    lowered = lowered_stages(folder, manifest, camera)
    stages = {**traced_stages(manifest, programs), **lowered}
    comparisons = []
    for case in track(cases, f"verify {camera}"):
        expected = run_eager(model, bank, case.inputs)
        results = {stage: (run_stage(run, expected, model.inputs), expected) for stage, run in stages.items()}
        if case.name == "golden":
            results = {GOLDEN: (golden, golden_outputs(expected)), **results}
        for stage, (found, true) in results.items():
            override = raw_bound if stage in lowered else None
            for output in ("scene", "raw", "reliability"):
                difference = errors(found[output], true[output])
                loss = _loss(case, found, true) if output == "raw" else None
                least = bound(stage, output, psnr, photograph=case.photograph, override=override)
                comparisons.append(Comparison(case.name, case.photograph, stage.name, output, *difference, least, loss))
    return comparisons


def run_stage(run: Runner, inputs: dict[str, Tensor], names: dict[str, tuple[str, ...]]) -> dict[str, Tensor]:
    """Scene, then tile under that scene, as a device runs them; outputs by name. `names` are those of the inputs."""
    known = {name: inputs[name] for program in names.values() for name in program if name != "scene"}
    for program in ("scene", "tile"):
        outputs = run(program, {name: known[name] for name in names[program]})
        known |= {name: torch.as_tensor(value) for name, value in zip(OUTPUTS[program], outputs, strict=True)}
    return known


def summarise(manifest: dict[str, Any], camera: str, comparisons: list[Comparison]) -> list[Summary]:
    """One line a stage."""
    model_psnr = manifest["banks"][camera].get("psnr") or UNMEASURED_PSNR
    over = MEAN_OVER_PSNR.get(manifest["precision"])
    summaries = []
    for stage in dict.fromkeys(c.stage for c in comparisons):
        raw = [c for c in comparisons if c.stage == stage and c.output == "raw"]
        photographs = [c for c in raw if c.photograph]
        differing = [c.psnr for c in photographs if c.psnr is not None]
        measured = [c.loss for c in photographs if c.loss is not None]
        summaries.append(
            Summary(
                camera,
                stage,
                worst_psnr=min(differing, default=None),
                worst_edge_psnr=min((c.psnr for c in raw if not c.photograph and c.psnr is not None), default=None),
                mean_psnr=float(np.mean(differing)) if differing else None,
                loss=float(np.mean(measured or [expected_loss(c.psnr, model_psnr) for c in photographs])),
                loss_measured=bool(measured),
                mean_bound=None if over is None else model_psnr + over,
                most_lost=None if over is None else MOST_LOST,
            )
        )
    return summaries


def load_tensors(folder: Path, file: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The named tensors of a safetensors file of a bundle.

    Raises:
        InputError: it is none, or lacks one.
    """
    try:
        tensors = load_file(folder / file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{folder / file}: no safetensors file ({reason(error)}); export the bundle again") from None
    absent = [name for name in names if name not in tensors]
    if absent:
        raise InputError(f"{folder / file}: lacks {', '.join(absent)}; export the bundle again")
    return {name: tensors[name] for name in names}


def _model(folder: Path, manifest: dict[str, Any], assets: Path | None) -> tuple[Model, list[str], list[str]]:
    """The PyTorch model of the bundle, notes, and faults of banks that claim to be the assets'."""
    root = assets or shipped_assets()
    task = str(manifest.get("task", RAW))
    known = cameras_in(root, task)
    priors = {camera: load_assets(camera, assets, task) for camera in sorted(manifest["banks"]) if camera in known}
    first = known[0] if known else manifest["camera"]
    prior = next(iter(priors.values())) if priors else load_assets(first, assets, task)
    differing = [name for name in WEIGHTS if manifest[name] != getattr(prior, name)]
    if differing:
        raise InputError(f"{folder}: made from other assets ({', '.join(differing)} differ); give theirs with --assets")
    notes, faults = [], []
    for camera, entry in sorted(manifest["banks"].items()):
        if camera not in priors or entry["bank_sha256"] != priors[camera].bank_sha256:
            notes.append(f"the bank of {camera} is not the assets': it was added from a file, or theirs has changed")
            continue
        bank = load_tensors(folder, entry["file"], BANK_TENSORS)
        for name, tensor in priors[camera].bank.named().items():
            if not torch.equal(bank[name], tensor):
                faults.append(f"{entry['file']}: {name} differs from the assets' bank")
    return prior.model, notes, faults


def _golden_tensors(folder: Path, manifest: dict[str, Any], camera: str, model: Model) -> dict[str, Tensor]:
    entry = manifest["banks"][camera]
    golden = load_tensors(folder, entry["golden"], ("thumbnail", "patch"))
    bank = load_tensors(folder, entry["file"], BANK_TENSORS)
    return run_eager(model, bank, program_inputs(golden, manifest["tile"]))


def _loss(case: Case, found: dict[str, Tensor], expected: dict[str, Tensor]) -> float | None:
    """dB of PSNR against the true raw-RGB, PyTorch's less the stage's, masked pixels left out."""
    if case.truth is None:
        return None
    truth = case.truth[0]
    valid = torch.from_numpy(mask_of(truth.permute(1, 2, 0).numpy()))

    def psnr(raw: Tensor) -> float:
        error = (raw[0].double() - truth.double()).square()[:, valid]
        return -10 * float(np.log10(max(float(error.mean()), 1e-12)))

    return psnr(expected["raw"]) - psnr(found["raw"])


def _structure(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Faults of the .pte files: each must be one delegate of the target that takes and gives what is described."""
    backend = TARGETS[manifest["target"]].backend
    files = manifest.get("delegate_programs") or {n: p["file"] for n, p in manifest["programs"].items()}
    return [
        f"{file}: {fault}"
        for name, file in files.items()
        if backend and file.endswith(".pte")
        for fault in structure_faults(folder / file, manifest["programs"][name], backend)
    ]
