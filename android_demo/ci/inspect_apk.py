"""What an APK holds, listed; exit code 1 where it is not what the app must be: inspect_apk.py APK AAPT2."""

import hashlib
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

ARM64, SHARED = 183, 3  # ELF: e_machine EM_AARCH64, e_type ET_DYN
BUNDLE = "assets/bundle/"
LIBRARIES = {"libexecutorch.so", "libfbjni.so", "libc++_shared.so"}
CLASSES = (b"Lorg/priorraw/demo/MainActivity;", b"Lorg/pytorch/executorch/Module;")


def faults(apk: Path, aapt2: Path) -> list[str]:
    """What is wrong, a line each; what is there is printed."""
    found = [*_signatures(apk), *_permissions(apk, aapt2)]
    with zipfile.ZipFile(apk) as archive:
        names = archive.namelist()
        for info in archive.infolist():
            print(f"  {info.file_size:>10}  {info.filename}")
        found += _dex(archive, names) + _libraries(archive, names) + _bundle(archive, names)
    done = subprocess.run(["zipalign", "-c", "-p", "4", apk], capture_output=True, check=False)
    return found + (["not aligned"] if done.returncode else [])


def _signatures(apk: Path) -> list[str]:
    done = subprocess.run(["apksigner", "verify", "--verbose", apk], capture_output=True, text=True, check=False)
    schemes = {2: "(APK Signature Scheme v2): true", 3: "(APK Signature Scheme v3): true"}
    valid = [version for version, line in schemes.items() if line in done.stdout]
    print(f"signatures: {', '.join(f'v{version}' for version in valid) or 'none'}")
    return [f"no valid signature v{version}" for version in schemes if version not in valid or done.returncode]


def _permissions(apk: Path, aapt2: Path) -> list[str]:
    done = subprocess.run([aapt2, "dump", "permissions", apk], capture_output=True, text=True, check=True)
    asked = [line for line in done.stdout.splitlines() if "permission" in line]
    print(f"permissions: {', '.join(asked) or 'none'}")
    return [f"asks for {line}" for line in asked]


def _dex(archive: zipfile.ZipFile, names: list[str]) -> list[str]:
    if "classes.dex" not in names:
        return ["no classes.dex"]
    dex = archive.read("classes.dex")
    classes = struct.unpack_from("<I", dex, 0x60)[0]  # class_defs_size
    print(f"classes.dex: {classes} classes, format {dex[4:7].decode('ascii', 'replace')}")
    wrong = [] if dex[:4] == b"dex\n" else ["classes.dex is none"]
    return wrong + [f"no class {name.decode()}" for name in CLASSES if name not in dex]


def _libraries(archive: zipfile.ZipFile, names: list[str]) -> list[str]:
    wrong, there = [], set()
    for name in names:
        if not name.startswith("lib/") or name.endswith("/"):
            continue
        head = archive.read(name)[:20]
        kind, machine = struct.unpack_from("<HH", head, 16)
        there.add(Path(name).name)
        if not (name.startswith("lib/arm64-v8a/") and head[:4] == b"\x7fELF" and (kind, machine) == (SHARED, ARM64)):
            wrong.append(f"{name} is no library for arm64")
    return wrong + [f"no {name}" for name in sorted(LIBRARIES - there)]


def _bundle(archive: zipfile.ZipFile, names: list[str]) -> list[str]:
    if BUNDLE + "bundle.json" not in names:
        return ["no bundle"]
    listed = json.loads(archive.read(BUNDLE + "bundle.json"))["files"]
    packed = {name.removeprefix(BUNDLE) for name in names if name.startswith(BUNDLE) and not name.endswith("/")}
    wrong = [f"{name} is not of the bundle" for name in sorted(packed - {"bundle.json", *listed})]
    for name, expected in listed.items():
        if name not in packed or hashlib.sha256(archive.read(BUNDLE + name)).hexdigest() != expected:
            wrong.append(f"{name} is missing or differs from its sha256")
    print(f"bundle: {len(listed)} files, sha256 {'wrong' if wrong else 'right'}")
    return wrong


if __name__ == "__main__":
    problems = faults(Path(sys.argv[1]), Path(sys.argv[2]))
    for problem in problems:
        print(f"inspect_apk.py: {problem}", file=sys.stderr)
    sys.exit(bool(problems))
