"""Calls of the C++ runner as `make native` built it, and the bundles that it was built with."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from priorraw_edge.runtime.manifest import sealed

BUILT = Path(__file__).parent.parent / "build" / "native"
HERE = BUILT / platform.machine()


def need(target: str, *paths: Path) -> None:
    """Skip where `make TARGET` was not run; CI sets PRIORRAW_NATIVE, and there it is a failure."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        reason = f"needs the C++ runner ({missing[0].name} is missing): make {target}"
        (pytest.fail if os.environ.get("PRIORRAW_NATIVE") else pytest.skip)(reason)


def native(*arguments: object, **options) -> tuple[int, str, str]:
    """Call priorraw-native: (exit code, stdout, stderr)."""
    program = HERE / "bin" / "priorraw-native"
    need("native", program)
    return _call(program, *arguments, **options)


def check(*arguments: object) -> tuple[int, str, str]:
    """Call priorraw-check, which runs parts of the runner."""
    program = HERE / "build" / "priorraw-check"
    need("native", program)
    return _call(program, *arguments)


def check_on_arm(*arguments: object) -> tuple[int, str, str]:
    """The same on an ARM processor, emulated unless it is this machine's."""
    program = BUILT / "aarch64" / "build" / "priorraw-check"
    need("native-arm64", program)
    if platform.machine() == "aarch64":
        return _call(program, *arguments)
    return _call("qemu-aarch64-static", "-cpu", "cortex-a76", "-L", "/", program, *arguments)


def refused(*arguments: object, **options) -> str:
    """Call priorraw-native with what it must refuse; returns its one line."""
    code, out, err = native(*arguments, **options)
    assert (code, out, err.count("\n")) == (2, "", 1), (code, out, err)
    assert err.startswith("priorraw-native: ")
    return err.removeprefix("priorraw-native: ").strip()


def _call(*command: object, **options) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, check=False, **options
    )
    return done.returncode, done.stdout, done.stderr


def bundle(precision: str = "fp32") -> Path:
    """The bundle of the shipped sony-imx135 in small tiles; read only."""
    folder = BUILT / "bundles" / {"fp32": "fp32-128", "int8": "int8-72"}[precision]
    need("native", folder)
    return folder


def copy_bundle(folder: Path) -> Path:
    """A copy of `bundle()` to spoil: links to its files, which `replace` cuts."""
    return shutil.copytree(bundle(), folder, copy_function=os.link)


def replace(folder: Path, name: str, data: bytes, *, listed: bool = True) -> None:
    """Give a file of a copied bundle other content; `listed`: bundle.json says so too."""
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(data)
    if listed:
        manifest = read_manifest(folder)
        manifest["files"][name], manifest["bytes"][name] = hashlib.sha256(data).hexdigest(), len(data)
        replace(folder, "bundle.json", sealed(manifest), listed=False)


def read_manifest(folder: Path) -> dict:
    return json.loads((folder / "bundle.json").read_text())


def change_manifest(folder: Path, **values: object) -> None:
    replace(folder, "bundle.json", sealed(read_manifest(folder) | values), listed=False)


def flipped(data: bytes, at: float) -> bytes:
    """One bit changed, at a share of the length."""
    changed = bytearray(data)
    changed[int(at * (len(data) - 1))] ^= 4
    return bytes(changed)
