"""The parent's side of a worker."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from priorraw_edge.errors import CheckError

NOT_WORDS = ("Warning", "warn(")


class SkippedRowError(CheckError):
    """A row cannot run here; the message is the reason."""


def environment(threads: int) -> dict[str, str]:
    """For a child process: that many threads in every library that asks the environment, and the clone's
    packages."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    path = os.pathsep.join([str(clone() or ""), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    return os.environ | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": path}


def clone() -> Path | None:
    """The clone of the sources that holds benchmarks/: where the command runs, or where the package lies."""
    folders = (Path.cwd(), Path(__file__).resolve().parents[3])
    return next((folder for folder in folders if (folder / "benchmarks" / "flow.py").is_file()), None)


class Child:
    """A worker that has built its row.

    Raises:
        SkippedRowError: it could not, or it died.
    """

    def __init__(self, order: dict[str, Any], command: list[str] | None = None):
        """`command` is for tests: what to start instead of the worker."""
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by kill)
        self._process = subprocess.Popen(
            [*(command or [sys.executable, "-W", "ignore", "-m", "priorraw_edge.bench.worker"]), json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(order["threads"]),
        )
        try:
            first = self._answer()
            if "skipped" in first:
                raise SkippedRowError(first["skipped"])
        except BaseException:
            self.kill()
            raise
        self.ready: dict[str, Any] = first["ready"]

    def run(self) -> dict[str, float]:
        """One run: `seconds` and `cpu_seconds`."""
        self._say("run")
        return self._answer()

    def end(self) -> dict[str, Any]:
        """Stop it; its `peak_rss` in bytes."""
        self._say("end")
        last = self._answer()
        self.kill()
        return last

    def kill(self) -> None:
        """Stop it now, whatever it does; nothing if it has stopped."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        try:
            print(word, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise SkippedRowError(self._death()) from None

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SkippedRowError(self._death())
        return json.loads(line)

    def _death(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = [line for line in self._errors.read().strip().splitlines() if not any(w in line for w in NOT_WORDS)]
        return f"its process ended with code {code}" + (f": {lines[-1]}" if lines else "")
