"""Files that are whole or absent: hashes before use, a temporary name and a rename on writing."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from priorraw.errors import InputError


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the system refuses while `path` is written becomes one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None


@contextmanager
def _filling(path: Path) -> Iterator[None]:
    """The same for a full disk while the caller writes; other failures of the caller pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(f"{path}: cannot be written ({error.strerror}); make room or choose another place") from None


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there on success, remove it on any failure.

    Raises:
        InputError: `path` is a folder or cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file to write")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with _filling(path):
            yield temporary
        with _writing(path):
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that takes its place on success and vanishes on failure.

    An existing `path` is replaced only when it is empty or holds the file `marker`, which shows that this
    program wrote it.

    Raises:
        InputError: `path` is something else's folder, a file, has no name, or cannot be written.
    """
    if not path.name:
        raise InputError(f"{path}: has no name of its own; name a new folder")
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; name a folder to write")
    with _writing(path):
        if path.is_dir() and any(path.iterdir()) and not (path / marker).is_file():
            raise InputError(f"{path}: not empty and holds no {marker}; name a new folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with _filling(path):
            yield temporary
        with _writing(path):
            temporary.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with stable order and a closing newline, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is missing or is not a JSON object.
    """
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); make it again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object; make it again")
    return value
