"""bundle.json: what a bundle holds, with a hash of itself, so that no byte of a bundle can change unnoticed.

`files` has the SHA-256 of every other file. `manifest_sha256` is that of bundle.json as it would be with 64 zeros in
the place of this very hash: a reader needs no rule for writing JSON, it puts zeros over 64 bytes.
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from priorraw.errors import InputError
from priorraw.files import atomic_file, parse_json

BUNDLE = "bundle.json"
FORMAT = 4  # of RAW
OTHER_FORMAT = 5  # with a `task`: run times that know no task but RAW refuse it
SEAL = b'"manifest_sha256": "'
ZEROS = b"0" * 64
LARGEST = 16 << 20  # bytes of a bundle.json
CURE = "export the bundle again"


def sealed(manifest: dict[str, Any]) -> bytes:
    """The bytes of bundle.json."""
    text = json.dumps(manifest | {"manifest_sha256": ZEROS.decode()}, indent=2, sort_keys=True).encode() + b"\n"
    if text.count(SEAL) != 1:
        raise ValueError("manifest_sha256 is a name of something else in this manifest")
    return text.replace(SEAL + ZEROS, SEAL + hashlib.sha256(text).hexdigest().encode())


def write_manifest(folder: Path, manifest: dict[str, Any], key: Path | None = None) -> None:
    """Write bundle.json, atomically, and its signature where a private key is given; an older signature goes.

    Raises:
        InputError: no such key, or the folder cannot be written.
    """
    from priorraw_edge.runtime.signature import SIGNATURE, sign

    text = sealed(manifest)
    (folder / SIGNATURE).unlink(missing_ok=True)
    with atomic_file(folder / BUNDLE) as temporary:
        temporary.write_bytes(text)
    if key is not None:
        sign(folder, text, key)


def read_manifest(folder: Path, public_key: Path | None = None) -> dict[str, Any]:
    """bundle.json of this format, found unchanged; of the files beside it nothing is known yet.

    Args:
        public_key: the key that must have signed the bundle; None asks for no signature.

    Raises:
        InputError: no bundle, damaged, altered, another format, or not signed with that key.
    """
    path = folder / BUNDLE
    if not path.is_file():
        raise InputError(f"{folder}: no bundle (holds no {BUNDLE}); make one with: priorraw-edge export")
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than any bundle's; {CURE}")
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); {CURE}") from None
    if public_key is not None:
        from priorraw_edge.runtime.signature import check_signature

        check_signature(folder, text, public_key)
    manifest = parse_json(path, text)
    expected = format_of(manifest.get("task", "raw"))
    if manifest.get("format") != expected:
        raise InputError(f"{path}: format {str(manifest.get('format'))[:20]}, this version reads {expected}; {CURE}")
    _check_seal(path, text)
    if not isinstance(manifest.get("files"), dict):
        raise InputError(f"{path}: lists no files; {CURE}")
    return manifest


def format_of(task: object) -> int:
    """Of the bundles of a task."""
    return FORMAT if task == "raw" else OTHER_FORMAT


def _check_seal(path: Path, text: bytes) -> None:
    at = text.find(SEAL) + len(SEAL)
    found = text[at : at + 64]
    if at < len(SEAL) or hashlib.sha256(text[:at] + ZEROS + text[at + 64 :]).hexdigest().encode() != found:
        raise InputError(f"{path}: was altered (differs from the sha256 that it holds of itself); {CURE}")


def checked_bytes(folder: Path, manifest: dict[str, Any], name: str) -> bytes:
    """The bytes of a file of the bundle.

    Raises:
        InputError: a name that leads out of the bundle, a file that is not listed, missing, or altered.
    """
    path, size, digest = listed(folder, manifest, name)
    try:
        if path.stat().st_size != size:  # before it is read: it may be larger than the memory
            raise InputError(f"{path}: has {path.stat().st_size} bytes, {BUNDLE} says {size}; {CURE}")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); {CURE}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{path}: differs from the sha256 in {BUNDLE}; {CURE}")
    return data


def check_all(folder: Path, manifest: dict[str, Any], but: Collection[str] = ()) -> None:
    """Compare every file with its hash: a bundle that was altered anywhere is not to be trusted. Raises as above."""
    for name in manifest["files"].keys() - set(but):
        checked_bytes(folder, manifest, name)


def listed(folder: Path, manifest: dict[str, Any], name: str) -> tuple[Path, int, str]:
    """Path, size and SHA-256 of a file that bundle.json lists.

    Raises:
        InputError: a name that leads out of the bundle (links too), no entry, or no regular file.
    """
    parts = PurePosixPath(name).parts
    path = folder / name
    if not parts or parts[0] == "/" or ".." in parts or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder / BUNDLE}: names {name[:80]!r}, outside the bundle; {CURE}")
    sizes, digest = manifest.get("bytes"), manifest["files"].get(name)
    size = sizes.get(name) if isinstance(sizes, dict) else None
    if not isinstance(digest, str) or not isinstance(size, int):
        raise InputError(f"{folder / BUNDLE}: lists no sha256 and size of {name}; {CURE}")
    if not path.is_file():
        raise InputError(f"{path}: missing; {CURE}")
    return path, size, digest
