"""Photographs to rows of the manifest: what every engine's workers do. What goes wrong with one is in its row."""

import hashlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from priorraw.errors import InputError
from priorraw.files import sha256
from priorraw.progress import silent

from priorraw_edge.archive.inputs import Task, is_url, open_url
from priorraw_edge.archive.manifest import DONE, FAILED
from priorraw_edge.runtime.decoders import Decoders
from priorraw_edge.runtime.outputs import Job, check_job
from priorraw_edge.runtime.session import Session, Settings
from priorraw_edge.runtime.spool import Spool


class Worker:
    """Models and a decoder that are kept for many photographs. The next one is decoded while one is rebuilt."""

    def __init__(self, settings: Settings, attempts: "Attempts | None" = None):
        self._attempts = attempts
        self._decoders = Decoders()
        self._session = Session(settings, self._decoders.start)
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def load(self) -> None:
        """Load the model; raises InputError where it cannot be used."""
        self._session.load()

    def close(self) -> None:
        self._decoders.close()

    def rows(self, tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """A row for every task, in their order."""
        begun: _Begun | None = None
        try:
            for task in tasks:
                following = self._begin(task)
                if begun:
                    yield self._finish(begun)
                begun = following
            if begun:
                yield self._finish(begun)
                begun = None
        finally:
            if begun:
                begun.held.close()

    def _begin(self, task: Task) -> "_Begun":
        held = ExitStack()
        begun = _Begun(task, held, {"photo": task.name, "source": task.source, "worker": self._name})
        try:
            job = check_job(_local(task, held))
            begun.row |= _facts(job.photo)
            begun.job, begun.spool = job, held.enter_context(self._session.spool(job.photo, job.out.parent))
        except (InputError, OSError) as error:
            begun.error = _line(task.source, error)
        return begun

    def _finish(self, begun: "_Begun") -> dict[str, Any]:
        row, start = begun.row, time.perf_counter()
        with begun.held:
            if begun.job is None or begun.spool is None:
                return row | {"status": FAILED, "error": begun.error}
            try:
                with silent(), self._counted(begun.task):
                    made = self._session.rebuild(begun.job, begun.spool.wait())
            except (InputError, OSError, MemoryError) as error:
                line = _line(begun.task.source, error).replace(str(begun.job.photo), begun.task.source)
                return row | {"status": FAILED, "error": line}
            out = begun.job.out
            hashes = {"sha256": sha256(begun.job.photo), "output_sha256": sha256(out)}
            seconds = time.perf_counter() - start
        return made | row | hashes | {"status": DONE, "output_bytes": out.stat().st_size, "seconds": seconds}

    def _counted(self, task: Task) -> AbstractContextManager[None]:
        return self._attempts.of(task) if self._attempts else nullcontext()


class Attempts:
    """Counts in `folder` how often a photograph was begun, so that one that kills its workers is given up."""

    MOST = 3

    def __init__(self, folder: Path):
        self._folder = folder

    @contextmanager
    def of(self, task: Task) -> Iterator[None]:
        """Around the work on a photograph. Raises InputError where it was begun too often and never ended."""
        mark = self._folder / hashlib.sha256(task.name.encode()).hexdigest()
        with mark.open("ab") as file:
            file.write(b".")
            begun = file.tell()
        if begun > self.MOST:
            mark.unlink()
            raise InputError(f"{task.source}: ended its worker {self.MOST} times (out of memory?); leave it out")
        try:
            yield
        finally:
            mark.unlink()


@dataclass
class _Begun:
    """A photograph that is being decoded, or what kept it from that."""

    task: Task
    held: ExitStack  # what is given back at its end
    row: dict[str, Any]
    job: Job | None = None
    spool: Spool | None = None
    error: str | None = None


def unchanged(task: Task, row: dict[str, Any]) -> bool:
    """Whether a row of the manifest still holds: the photograph is the same, and its output is there."""
    out = task.job.out
    if row["source"] != task.source or row["output"] != str(out) or not out.is_file():
        return False
    if out.stat().st_size != row["output_bytes"]:
        return False
    if is_url(task.source):
        return True  # addresses tell no times that all stores agree on
    facts = _facts(Path(task.source))
    return all(facts[name] == row[name] for name in facts)


def _local(task: Task, held: ExitStack) -> Job:
    """The task's job, its photograph copied here where it is an address."""
    if not is_url(task.source):
        return task.job
    files, path = open_url(task.source)
    copy = held.enter_context(tempfile.NamedTemporaryFile(suffix=PurePosixPath(path).suffix))  # noqa: SIM115
    with files.open(path, "rb") as remote:
        shutil.copyfileobj(remote, copy, 1 << 20)
    copy.flush()
    return replace(task.job, photo=Path(copy.name))


def _facts(photo: Path) -> dict[str, Any]:
    told = photo.stat()
    return {"bytes": told.st_size, "modified": str(told.st_mtime_ns)}


def _line(source: str, error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    return f"{source}: {getattr(error, 'strerror', None) or error or 'out of memory'}"
