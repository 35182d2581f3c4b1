"""What an archive holds: photographs below folders and URLs, one at a time, and where each of them goes."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from priorraw.errors import InputError

from priorraw_edge.runtime.outputs import SUFFIX, Job

PHOTOS = frozenset((".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff"))


@dataclass(frozen=True)
class Task:
    """A photograph and the files that it becomes."""

    name: str  # below the folder or URL that was given, with slashes; what the manifest calls it
    source: str  # path or URL to read
    job: Job  # its `photo` is `source` where that is a path


@dataclass(frozen=True)
class Plan:
    """Where photographs lie and where their files go. Walking it twice gives the same, whatever was done between.

    Below `out` the tree of each input is kept; of several folders each has a folder of its name. A photograph
    `a/b.jpg` becomes `a/b.dng`, but `a/b.jpg.dng` where `a/b.png` lies beside it.
    """

    inputs: tuple[str, ...]
    out: Path
    file_format: str = "dng"
    reliability: Path | None = None
    cfa: str | None = None

    def check(self) -> None:
        """Raises InputError where an input is missing, or two of them would write the same files."""
        prefixes = Counter(self._prefix(given) for given in self.inputs if not _is_photo(given))
        for given in self.inputs:
            if not is_url(given) and not Path(given).exists():
                raise InputError(f"{given}: not found")
            if not is_url(given) and Path(given).resolve() in self._own():
                raise InputError(f"{given}: the output would lie among the photographs; name another folder with -o")
            if not _is_photo(given) and prefixes[self._prefix(given)] > 1:
                raise InputError(f"{given}: a second folder of that name; give them to one call each, with another -o")
        loose = Counter(PurePosixPath(given).name for given in self.inputs if _is_photo(given))
        name, times = max(loose.items(), key=lambda item: item[1], default=("", 1))
        if times > 1:
            raise InputError(f"{name}: given {times} times, from other folders; give the folders instead")

    def tasks(self) -> Iterator[Task]:
        """All photographs, sorted within each folder."""
        for prefix, folder in self._folders():
            stems = Counter(PurePosixPath(name).stem for name, _ in folder)
            for name, source in folder:
                stem = PurePosixPath(name).stem
                base = prefix / (stem if stems[stem] == 1 else name)
                yield Task(str(prefix / name), source, self._job(base, source))

    def _job(self, base: PurePosixPath, source: str) -> Job:
        out = self.out / f"{base}{SUFFIX[self.file_format]}"
        trust = self.reliability / f"{base}.reliability.png" if self.reliability else None
        return Job(Path(source), out, self.file_format, trust, self.cfa)

    def _folders(self) -> Iterator[tuple[PurePosixPath, list[tuple[str, str]]]]:
        """Every folder's place below `out`, and (name, path or URL) of the photographs in it."""
        loose = sorted((PurePosixPath(given).name, given) for given in self.inputs if _is_photo(given))
        if loose:
            yield PurePosixPath(), loose
        for given in self.inputs:
            if not _is_photo(given):
                walk = _walk_url(given) if is_url(given) else _walk_folder(Path(given), self._own())
                for below, photos in walk:
                    yield self._prefix(given) / below, photos

    def _prefix(self, given: str) -> PurePosixPath:
        folders = [one for one in self.inputs if not _is_photo(one)]
        return PurePosixPath() if len(folders) < 2 else PurePosixPath(PurePosixPath(given).name)

    def _own(self) -> set[Path]:
        """What this run writes is not among what it reads."""
        return {path.resolve() for path in (self.out, self.reliability) if path is not None}


def is_url(text: str) -> bool:
    """Whether this is an address such as s3://bucket/folder, for fsspec."""
    return "://" in text


def is_archive(text: str) -> bool:
    """Whether this is walked: a folder, or an address."""
    return is_url(text) or Path(text).is_dir()


def open_url(url: str) -> tuple[Any, str]:
    """The file system of an address and the path there.

    Raises:
        InputError: no such kind of address, or its package is missing.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise InputError(f"{url}: cannot be opened ({error}); see fsspec's list of file systems") from None


def _is_photo(given: str) -> bool:
    """Whether an input is a single photograph; a file that is named itself may end as it likes."""
    if is_url(given):
        return PurePosixPath(given).suffix.lower() in PHOTOS
    return not Path(given).is_dir()


def _walk_folder(root: Path, leave_out: set[Path]) -> Iterator[tuple[PurePosixPath, list[tuple[str, str]]]]:
    """Folders below `root` that hold photographs. Hidden ones are passed over, links to folders not followed."""
    pending = [root]
    while pending:
        folder = pending.pop()
        photos, folders = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if Path(entry.path).resolve() not in leave_out:
                        folders.append(Path(entry.path))
                elif Path(entry.name).suffix.lower() in PHOTOS and entry.is_file():
                    photos.append((entry.name, entry.path))
        if photos:
            yield PurePosixPath(folder.relative_to(root).as_posix()), sorted(photos)
        pending += sorted(folders, reverse=True)


def _walk_url(url: str) -> Iterator[tuple[PurePosixPath, list[tuple[str, str]]]]:
    """The same for an address."""
    files, root = open_url(url)
    try:
        if not files.exists(root):
            raise InputError(f"{url}: not found")
        for folder, _, names in files.walk(root):
            below = PurePosixPath(folder).relative_to(PurePosixPath(root))
            if any(part.startswith(".") for part in below.parts):
                continue
            photos = [(name, files.unstrip_protocol(f"{folder}/{name}")) for name in names]
            photos = [(n, p) for n, p in photos if PurePosixPath(n).suffix.lower() in PHOTOS and not n.startswith(".")]
            if photos:
                yield below, sorted(photos)
    except OSError as error:
        raise InputError(f"{url}: cannot be listed ({error})") from None
