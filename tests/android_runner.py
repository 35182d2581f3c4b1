"""The Android demo's pipeline on the desktop JVM: built once by android_demo/ci/jvm.sh, then called by tests."""

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from priorraw_edge.cli import main

ROOT = Path(__file__).parent.parent
CI = ROOT / "android_demo" / "ci"
BUILT = ROOT / "build" / "android"


def script(name: str, *arguments: object, timeout: int = 900) -> subprocess.CompletedProcess:
    """Run a script of android_demo/ci."""
    command = [str(CI / name), *map(str, arguments)]
    environment = os.environ | {"PYTHON": sys.executable}
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)


@functools.cache
def missing_toolchain() -> str:
    """Why the tools that build it cannot be had here; empty where they can."""
    done = script("toolchain.sh")
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def need_toolchain() -> None:
    """Skip where the tools cannot be fetched; CI sets PRIORRAW_ANDROID, and there it is a failure."""
    if missing_toolchain():
        (pytest.fail if os.environ.get("PRIORRAW_ANDROID") else pytest.skip)(missing_toolchain())


@functools.cache
def classpath() -> list[str]:
    """What java needs to run the pipeline; builds it."""
    done = script("jvm.sh", "classpath")
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout.strip())


def priorraw(*arguments: object) -> None:
    """Call priorraw-edge, which must succeed."""
    with pytest.raises(SystemExit) as ended:
        main([str(part) for part in arguments])
    assert ended.value.code == 0


@functools.cache
def bundle() -> Path:
    """The shipped sony-imx135 in small tiles, exported anew for this run; read only."""
    folder = BUILT / "test-bundle"
    priorraw("export", "--target", "xnnpack", "--camera", "sony-imx135", "--tile", 128, "--out", folder)
    return folder


def demo(*arguments: object, heap: str = "300m", before: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Call org.priorraw.host.MainKt: (exit code, stdout, stderr)."""
    need_toolchain()
    command = [*before, "java", f"-Xmx{heap}", *classpath(), "org.priorraw.host.MainKt", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout, done.stderr
