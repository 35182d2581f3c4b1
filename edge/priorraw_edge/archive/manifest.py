"""The manifest of an archive: a row a photograph in SQLite, so that a restart and a report need no memory.

    select photo, reliability_mean from photos where reliability_mean < 0.5;

One run at a time writes it; others may read it meanwhile.
"""

import fcntl
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from priorraw.errors import InputError

DONE, FAILED = "done", "failed"
COLUMNS = {
    "photo": "TEXT PRIMARY KEY",  # below the input, with slashes
    "status": "TEXT NOT NULL",  # done or failed
    "error": "TEXT",  # of a failed one: what was wrong and the cure
    "source": "TEXT NOT NULL",  # path or URL
    "bytes": "INTEGER",
    "modified": "TEXT",  # of the photograph; with `bytes` it tells whether the file is still the same
    "sha256": "TEXT",
    "output": "TEXT",
    "output_bytes": "INTEGER",
    "output_sha256": "TEXT",
    "reliability": "TEXT",  # path of the map, where one was asked for
    "format": "TEXT",
    "camera": "TEXT",
    "camera_reason": "TEXT",
    "bank_sha256": "TEXT",
    "width": "INTEGER",
    "height": "INTEGER",
    "reliability_mean": "REAL",
    "reliability_p05": "REAL",  # what the least reliable twentieth of the pixels reaches at most
    "neutral": "TEXT",  # JSON, as are the next two
    "hint": "TEXT",
    "notes": "TEXT",
    "seconds": "REAL",  # of its worker: waiting for the decoder, rebuilding, writing
    "worker": "TEXT",  # machine and process
    "finished": "REAL",  # seconds since 1970
}
AS_JSON = ("neutral", "hint", "notes")


class Manifest:
    """Rows by photograph, and the settings that all of them were made with."""

    def __init__(self, path: Path, settings: dict[str, Any], *, resume: bool):
        """
        Raises:
            InputError: there is a manifest and `resume` is not asked for, it was made with other settings, another
                run writes it, or the file is something else.
        """
        self.path = path
        if path.exists() and not resume:
            raise InputError(f"{path}: tells of an earlier run; go on with --resume, or name another folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_name(f".{path.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{path}: another run is writing it; wait for it, or name another folder") from None
        try:
            self._open(settings)
        except sqlite3.Error as error:
            raise InputError(f"{path}: not a manifest ({error}); name another folder") from None

    def _open(self, settings: dict[str, Any]) -> None:
        self._rows = sqlite3.connect(self.path)
        self._rows.row_factory = sqlite3.Row
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        with self._rows:
            self._rows.execute(f"CREATE TABLE IF NOT EXISTS photos ({columns})")
            self._rows.execute("CREATE TABLE IF NOT EXISTS run (settings TEXT NOT NULL)")
        text = json.dumps(settings, sort_keys=True)
        known = self._rows.execute("SELECT settings FROM run").fetchone()
        if known is None:
            with self._rows:
                self._rows.execute("INSERT INTO run VALUES (?)", (text,))
        elif known["settings"] != text:
            before = json.loads(known["settings"])
            other = sorted(k for k in settings.keys() | before.keys() if settings.get(k) != before.get(k))
            raise InputError(f"{self.path}: made with another {', '.join(other)}; give the same or name another folder")

    def record(self, row: dict[str, Any]) -> None:
        """Write or replace the row of a photograph; it is on disk when this returns."""
        values = {name: row.get(name) for name in COLUMNS} | {"finished": time.time()}
        for name in AS_JSON:
            values[name] = None if values[name] is None else json.dumps(values[name])
        marks = ", ".join(f":{name}" for name in COLUMNS)
        with self._rows:
            self._rows.execute(f"INSERT OR REPLACE INTO photos VALUES ({marks})", values)

    def done(self, photo: str) -> dict[str, Any] | None:
        """The row of a photograph that is done."""
        row = self._rows.execute("SELECT * FROM photos WHERE photo = ? AND status = ?", (photo, DONE)).fetchone()
        return dict(row) if row else None

    def failed(self) -> Iterator[tuple[str, str]]:
        """Photographs that failed, and why."""
        rows = self._rows.execute("SELECT photo, error FROM photos WHERE status = ? ORDER BY photo", (FAILED,))
        return ((row["photo"], row["error"]) for row in rows)

    def totals(self) -> dict[str, Any]:
        """Counts, megapixels and mean reliability of all rows."""
        row = self._rows.execute(
            "SELECT count(*) AS photos, ifnull(sum(status = 'done'), 0) AS done,"
            " ifnull(sum(status = 'failed'), 0) AS failed, ifnull(sum(1e-6 * width * height), 0) AS megapixels,"
            " ifnull(sum(seconds), 0) AS seconds, avg(reliability_mean) AS reliability_mean FROM photos"
        ).fetchone()
        return dict(row)

    def close(self) -> None:
        self._rows.close()
        self._lock.close()

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
