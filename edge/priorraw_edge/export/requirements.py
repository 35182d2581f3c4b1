"""What a target needs on this machine: packages, versions that go together, tools, SDKs. Imports nothing heavy."""

import os
import shutil
import sysconfig
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from priorraw_edge.export.targets import Target

# Versions tried together: the first package, at that version, needs the others at theirs. A version stands for
# all that start with it; what is not listed may have any version.
KNOWN_GOOD: tuple[dict[str, str], ...] = (
    {"executorch": "1.4", "torch": "2.13", "torchao": "0.18"},
    {"coremltools": "9"},
    {"openvino": "2026.4", "nncf": "3.4"},
    {"onnx": "1.23", "onnxscript": "0.7"},
    {"tosa-tools": "2026.5"},
    {"ai_ml_sdk_model_converter": "0.9"},
)
BASE = ("torch", "executorch", "torchao", "coremltools")  # come with our distribution whatever its extras
SDKS = {
    "QNN_SDK_ROOT": "Qualcomm's AI Engine Direct SDK: https://softwarecenter.qualcomm.com, then unpack it",
}


@dataclass(frozen=True)
class Fault:
    """Something that keeps a target from lowering or running here, and the cure, each a phrase."""

    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.cure}"


def installed(package: str) -> str | None:
    """Version of an installed distribution, without its local part (`+cpu`); None where there is none."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return None


def matches(found: str, known: str) -> bool:
    """Whether `found` is `known` or one of its releases: 2.13.1 is one of 2.13, 2.130 is not."""
    return f"{found}.".startswith(f"{known}.")


def first_fault(target: Target) -> Fault | None:
    """The first thing that keeps `target` from being lowered here, or None."""
    return sdk_fault(target.sdk) or package_fault(target.packages, target.extra) or tool_fault(target.tools)


def run_fault(target: Target) -> Fault | None:
    """The first thing that keeps the programs of `target` from being run here for verification, or None."""
    if not target.runs:
        return Fault(target.why_not_run, "take its bundle to a device")
    return package_fault((*target.packages, *target.run_packages), target.extra)


def package_fault(packages: tuple[str, ...], extra: str = "") -> Fault | None:
    """A missing package, or a version that was not tried with the others."""
    missing = [package for package in packages if installed(package) is None]
    if missing:
        return Fault(f"needs {', '.join(missing)}", install_line(missing, extra))
    for known in KNOWN_GOOD:
        if next(iter(known)) not in packages:
            continue
        wrong = [p for p, v in known.items() if (found := installed(p)) is not None and not matches(found, v)]
        absent = [p for p in known if installed(p) is None]
        if wrong or absent:
            found = ", ".join(f"{p} {installed(p) or 'missing'}" for p in (*wrong, *absent))
            pair = ", ".join(f"{p} {v}" for p, v in known.items())
            return Fault(f"{found} is not what was tried together ({pair})", pip_line([*wrong, *absent]))
    return None


def install_line(missing: list[str], extra: str = "") -> str:
    """The pip command that installs them: through our extra where it has them, since its versions were tried."""
    return f"pip install 'priorraw-edge[{extra}]'" if extra and not set(BASE) & set(missing) else pip_line(missing)


def full_install_line(target: Target) -> str:
    """The pip command that installs all that `target` needs, onto a bare Python."""
    name = f"'priorraw-edge[{target.extra}]'" if target.extra else "priorraw-edge"
    others = [] if target.extra else [package for package in target.packages if package not in BASE]
    return " ".join(["pip install", name, *others])


def pip_line(packages: list[str]) -> str:
    """The pip command that installs `packages` at the versions that were tried."""
    known = {package: v for row in KNOWN_GOOD for package, v in row.items()}
    return "pip install " + " ".join(f"'{p}=={known[p]}.*'" if p in known else p for p in packages)


def sdk_fault(variable: str) -> Fault | None:
    """An SDK whose folder no environment variable names."""
    if not variable:
        return None
    folder = os.environ.get(variable)
    if not folder:
        return Fault(f"needs {SDKS[variable]}", f"export {variable}=FOLDER")
    if not Path(folder).is_dir():
        return Fault(f"{variable} is {folder}, which is no folder", f"export {variable}=FOLDER of the unpacked SDK")
    return None


def tool_fault(tools: tuple[str, ...]) -> Fault | None:
    """A program that the conversion calls and that is nowhere to be found."""
    cures = {
        "flatc": "pip install --force-reinstall --no-deps executorch, or name one with FLATC_EXECUTABLE",
        "model-converter": "pip install ai_ml_sdk_model_converter, or name one with MODEL_CONVERTER_PATH",
    }
    for tool in tools:
        if find_tool(tool) is None:
            return Fault(f"the program {tool} is absent", cures[tool])
    return None


def find_tool(tool: str) -> Path | None:
    """Where a program lies that the conversions call, looked for as they do; None where it is absent."""
    named = {"flatc": "FLATC_EXECUTABLE", "model-converter": "MODEL_CONVERTER_PATH"}[tool]
    candidates = [os.environ.get(named), shutil.which(tool), f"{sysconfig.get_path('scripts')}/{tool}"]
    if tool == "flatc" and installed("executorch"):  # its own comes first
        candidates.insert(0, str(distribution("executorch").locate_file("executorch/data/bin/flatc")))
    return next((Path(c) for c in candidates if c and os.access(c, os.X_OK) and Path(c).is_file()), None)
