"""The bundle: one folder with programs, banks, golden pictures and bundle.json, written whole or not at all.

One pair of programs serves any number of cameras: a bank is data that the scene program takes as input.
"""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from priorraw.assets import Prior
from priorraw.errors import InputError
from priorraw.files import atomic_file, atomic_folder, sha256
from priorraw.model import ALIGN, THUMBNAIL
from priorraw.progress import say
from priorraw.tasks import RAW, Model
from safetensors.torch import load_file, save_file
from torch import Tensor

from priorraw_edge.export.calibration import recipes_for
from priorraw_edge.export.converted import Converted
from priorraw_edge.export.golden import golden_picture
from priorraw_edge.export.golden_file import GOLDEN_TENSORS, golden_inputs, golden_outputs, program_inputs
from priorraw_edge.export.programs import Program, bank_tensors, run_eager, trace
from priorraw_edge.export.targets import Target
from priorraw_edge.runtime.manifest import BUNDLE, format_of, write_manifest

# Measures the bank of one camera in a folder against PyTorch, as its manifest describes it; returns the entry
# `parity` of that bank, or raises.
Measure = Callable[[Path, dict[str, Any], str, Model], dict[str, Any]]


def export_bundle(
    prior: Prior,
    target: Target,
    out: Path,
    *,
    tile: int,
    precision: str,
    golden: Path | None = None,
    calibration: Path | None = None,
    assets: Path | None = None,
    measure: Measure | None = None,
    key: Path | None = None,
) -> dict[str, Any]:
    """Lower the model of `prior` for `target` and write the bundle `out`; returns bundle.json's content.

    The arguments have passed `targets.check_request`. A failure leaves no folder behind.

    Args:
        calibration: photographs for the ranges of a precision that measures them; see `calibration.recipes_for`.
        assets: the folder that `prior` is of; the shipped one by default.
        key: private key to sign the bundle with (`runtime.signature`).

    Raises:
        InputError: `out` is not ours to replace, or a photograph or the assets' recipe is of no use.
        DelegationError: too much of a program would run outside the delegate.
    """
    clock = _Clock()
    recipes = recipes_for(prior, tile, calibration, assets) if precision in target.measured else None
    with atomic_folder(out, BUNDLE) as folder:
        self_test = golden_inputs(golden_picture(golden), tile, prior.model)
        tensors = run_eager(prior.model, bank_tensors(prior.bank), program_inputs(self_test, tile))
        programs = trace(prior.model, tensors)
        clock.say("traced scene and tile programs")
        options = {} if recipes is None else {"recipes": recipes(programs)}
        converted = target.convert(programs, folder, precision, **options)
        clock.say(f"lowered for {target.name}, {precision}")
        manifest = _manifest(prior, target, tile, precision, programs, converted)
        manifest["banks"] = {prior.camera: _write_bank(folder, prior, self_test | golden_outputs(tensors))}
        manifest |= _file_entries(folder, [path for path in folder.rglob("*") if path.is_file()])
        if measure is not None:
            manifest["banks"][prior.camera]["parity"] = measure(folder, manifest, prior.camera, prior.model)
            clock.say("compared with PyTorch on the golden picture")
        write_manifest(folder, manifest, key)
    return manifest


def add_bank(
    folder: Path, manifest: dict[str, Any], prior: Prior, measure: Measure, key: Path | None = None
) -> dict[str, Any]:
    """Put the bank of `prior` into the bundle `folder`, proved on the bundle's golden picture; returns bundle.json.

    bundle.json changes last and at once: a bundle that was interrupted is the one it was, less its signature.

    Args:
        manifest: bundle.json of the folder, checked by `verify.read_bundle`.
        key: private key to sign it with again; without one a signature is taken away.

    Raises:
        InputError: made for another model, another number of entries than the programs take, or there is one.
        ParityError: with this bank the programs differ from PyTorch.
    """
    camera = prior.camera
    if camera in manifest["banks"]:
        raise InputError(f"{folder}: holds a bank of {camera} already; take that out with: priorraw-edge bundle remove")
    _check_bank(folder, manifest, prior)
    first = manifest["banks"][manifest["camera"]]
    golden = load_file(folder / first["golden"])
    inputs = program_inputs(golden, manifest["tile"])
    outputs = golden_outputs(run_eager(prior.model, bank_tensors(prior.bank), inputs))
    entry = _write_bank(folder, prior, golden | outputs)
    try:
        manifest = manifest | {"banks": manifest["banks"] | {camera: entry}}
        # Those that are in the bundle and these two: whatever else lies there was left by a run that was killed.
        names = [*manifest["files"], entry["file"], entry["golden"]]
        manifest |= _file_entries(folder, [folder / name for name in names])
        entry["parity"] = measure(folder, manifest, camera, prior.model)
        write_manifest(folder, manifest, key)
    except BaseException:
        for name in (entry["file"], entry["golden"]):
            (folder / name).unlink(missing_ok=True)
        raise
    return manifest


def remove_bank(folder: Path, manifest: dict[str, Any], camera: str, key: Path | None = None) -> dict[str, Any]:
    """Take a bank out of the bundle; returns bundle.json. `key` as for `add_bank`.

    Raises:
        InputError: there is no such bank, or it is the only one.
    """
    if camera not in manifest["banks"]:
        raise InputError(f"{folder}: holds no bank of {camera}; it has {', '.join(sorted(manifest['banks']))}")
    banks = {name: entry for name, entry in manifest["banks"].items() if name != camera}
    if not banks:
        raise InputError(f"{folder}: {camera} is its only bank; add another one first")
    gone = [manifest["banks"][camera][key] for key in ("file", "golden")]
    default = manifest["camera"] if manifest["camera"] in banks else sorted(banks)[0]
    kept = {key: {n: v for n, v in manifest[key].items() if n not in gone} for key in ("files", "bytes")}
    manifest = manifest | {"banks": banks, "camera": default} | kept
    write_manifest(folder, manifest, key)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return manifest


def _check_bank(folder: Path, manifest: dict[str, Any], prior: Prior) -> None:
    for part in ("encoder_sha256", "reconstructor_sha256"):
        if manifest[part] != getattr(prior, part):
            raise InputError(f"{folder}: made from other weights ({part} differs); give theirs with --assets")
    if prior.bank.info.encoder_sha256 != manifest["encoder_sha256"]:
        raise InputError(f"bank of {prior.camera}: built with another encoder than {folder}; build it again")
    shapes = {i["name"]: i["shape"] for program in manifest["programs"].values() for i in program["inputs"]}
    found, taken = len(prior.bank.keys), shapes["keys"][0]
    if found != taken:
        raise InputError(
            f"bank of {prior.camera}: has {found} entries, {folder} takes {taken}; build it with --entries {taken}"
        )


def _write_bank(folder: Path, prior: Prior, golden: dict[str, Tensor]) -> dict[str, Any]:
    """Bank and golden picture of a camera, in files that appear whole; returns the bank's entry of bundle.json."""
    entry = {"file": f"banks/{prior.camera}.safetensors", "golden": f"golden/{prior.camera}.safetensors"}
    for name, tensors in (
        (entry["file"], bank_tensors(prior.bank)),
        (entry["golden"], {name: golden[name] for name in GOLDEN_TENSORS}),
    ):
        with atomic_file(folder / name) as temporary:
            save_file(tensors, temporary)
    color_matrix = prior.color_matrix.flatten().tolist()
    return {**entry, "color_matrix": color_matrix, "bank_sha256": prior.bank_sha256, "psnr": prior.psnr}


def _manifest(
    prior: Prior, target: Target, tile: int, precision: str, programs: list[Program], converted: Converted
) -> dict[str, Any]:
    return {
        "format": format_of(prior.model.task),
        **({} if prior.model.task == RAW else {"task": prior.model.task}),
        "target": target.name,
        "runs": target.runs,
        "camera": prior.camera,
        "tile": tile,
        "halo": prior.model.halo,
        "align": ALIGN,
        "thumbnail": THUMBNAIL,
        "precision": precision,
        "programs": {p.name: {"file": converted.files[p.name], **p.describe()} for p in programs},
        **converted.extra,
        "delegation": {name: d.to_json() for name, d in converted.delegation.items()},
        "encoder_sha256": prior.encoder_sha256,
        "reconstructor_sha256": prior.reconstructor_sha256,
        "tools": {name: version(name) for name in ("priorraw-edge", *target.packages)},
    }


def _file_entries(folder: Path, paths: list[Path]) -> dict[str, dict[str, Any]]:
    """`files` (sha256) and `bytes` of files in the folder, by their paths with forward slashes."""
    names = sorted((path.relative_to(folder).as_posix(), path) for path in paths)
    return {
        "files": {name: sha256(path) for name, path in names},
        "bytes": {name: path.stat().st_size for name, path in names},
    }


class _Clock:
    """Says each step with the seconds since the one before."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def say(self, step: str) -> None:
        now = time.monotonic()
        say(f"{step} ({now - self._last:.1f} s)")
        self._last = now
