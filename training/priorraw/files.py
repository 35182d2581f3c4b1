"""Files that are whole or absent: hashes before use; written in a folder beside them and moved into place.

What is being written lies in `.NAME.RANDOM.unfinished/`, locked by the process that writes it. A process that is
killed leaves that folder behind, never a part of a result; the next one to write into the same place sees that
nobody holds the lock any more and clears it away.
"""

import errno
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from priorraw.errors import InputError

UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}\.unfinished")
LARGEST_JSON = 64 << 20  # bytes
_swept: set[Path] = set()  # folders that this process has cleared of what others left


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
    except Exception as error:
        number = _errno(error)
        if number not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{path}: cannot be written ({os.strerror(number)}); make room or choose another place"
        ) from None


def _errno(error: Exception) -> int | None:
    """What the system said, also through safetensors, whose own error ends in Rust's words for it."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A locked folder beside `path` for what is to become `path`; gone at the end, whatever happened.

    Raises:
        InputError: no folder can be made there.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        place = path.parent.resolve()
        if place not in _swept:
            _swept.add(place)
            clear_unfinished(place)
        folder, lock = _locked_folder(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(path: Path) -> tuple[Path, int]:
    while True:
        name = path.name.encode()[:200].decode(errors="ignore")  # with all else below the 255 bytes of file systems
        folder = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".unfinished", dir=path.parent))
        lock = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # file systems without locks: then nothing is ever cleared there
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # else cleared by another process before the lock was taken
            return folder, lock
        os.close(lock)


def clear_unfinished(place: Path) -> list[Path]:
    """Remove what killed processes left unfinished in the folder `place`; returns what was removed."""
    cleared = []
    with os.scandir(place) as entries:
        left = [Path(e.path) for e in entries if UNFINISHED.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    for folder in left:
        with suppress(OSError):  # held by a living process, already gone, or not ours to remove
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                cleared.append(folder)
            finally:
                os.close(lock)
    return cleared


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same name; move it to `path` on success, remove it on any failure.

    Its bytes are on the disk before the name is: a power cut leaves the old file or the whole new one.

    Raises:
        InputError: `path` is a folder or cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file to write")
    with _unfinished(path) as folder:
        temporary = folder / path.name
        with _filling(path):
            yield temporary
        with _writing(path):
            temporary.chmod(0o644)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)


@contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `path` on success and vanishes on failure.

    An existing `path` is replaced only when it is empty or holds the file `marker`, which shows that this
    program wrote it. Between two renames there is no `path`; never a part of one.

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
    with _unfinished(path) as folder:
        temporary = folder / path.name
        with _writing(path):
            temporary.mkdir()
        with _filling(path):
            yield temporary
        with _writing(path):
            temporary.chmod(0o755)
            _take_place(temporary, path, folder / f"{path.name}.replaced")


def _take_place(new: Path, path: Path, old: Path) -> None:
    """Move `new` to `path`, and what is there to `old`."""
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise


def visible(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a folder that end so, in any case of letters, sorted; without those that the system hides.

    A name with a dot before it is an editor's, a file manager's or a copy's own; none if there is no such folder.
    """
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))


def write_json(path: Path, value: Any) -> None:
    """Write JSON with stable order and a closing newline, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def refuse_special(path: Path) -> None:
    """A pipe or device in the place of a file would be waited for, or read without end.

    Raises:
        InputError: `path` is neither a file nor a folder; nothing is said of one that is absent.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path}: is no file; name one")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is missing, no regular file, larger than `LARGEST_JSON`, or no sound JSON object.
    """
    try:
        refuse_special(path)
        if path.stat().st_size > LARGEST_JSON:
            raise InputError(f"{path}: not readable as JSON (larger than {LARGEST_JSON >> 20} MB); make it again")
        text = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except OSError as error:
        raise InputError(f"{path}: not readable as JSON ({error.strerror}); make it again") from None
    return parse_json(path, text)


def parse_json(path: Path, text: bytes) -> dict[str, Any]:
    """The JSON object in the bytes of `path`.

    Raises:
        InputError: there is none; a name stands twice; a number is NaN or infinite; nested without end.
    """
    try:
        value = json.loads(text, object_pairs_hook=_no_name_twice, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not readable as JSON ({reason}); make it again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object; make it again")
    return value


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"{twice[:40]!r} stands twice")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
