"""The command line in a forked child: what it imports is there already, so that a kill meets its work and not Python's.

The parent computes nothing with torch that starts threads: those would not live on in a child.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

LIBRARIES = (
    "torch", "cv2", "faiss", "rawpy", "tifffile", "imagecodecs", "tensorboard.compat.tensorflow_stub",
    "torch.utils.tensorboard", "executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner",
    "executorch.extension.pybindings.portable_lib",
    "priorraw.train_search", "priorraw.train_light", "priorraw.train_reconstruct", "priorraw.camera_bank",
    "priorraw.asset_parts", "priorraw.prepare", "priorraw_edge.export.bundle", "priorraw_edge.export.targets",
    "priorraw_edge.export.calibration", "priorraw_edge.verify.verify", "priorraw_edge.runtime.engine",
    "priorraw_edge.runtime.outputs", "priorraw_edge.runtime.spool", "priorraw_edge.runtime.stream",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    code: int  # exit code, or minus the signal
    seconds: float
    out: str
    err: str


def preload() -> None:
    """Import what the commands import, once."""
    from priorraw_edge.quiet import quiet_executorch, quiet_libraries

    with quiet_libraries(), quiet_executorch():
        for name in LIBRARIES:
            import_module(name)
    import torch

    torch.set_num_threads(1)


# What Python tells its audit hooks before it changes a file system.
CHANGES = frozenset(
    ("open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "shutil.rmtree")
)


class Operations:
    """Counts the file operations below a folder; the process dies before number `last`, if there are so many."""

    def __init__(self, below: Path, last: int | None = None):
        self.count = 0
        self._below, self._last = str(below), last

    def hook(self, event: str, arguments: tuple) -> None:
        if event in CHANGES and str(arguments[0]).startswith(self._below):
            self.count += 1
            if self.count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def start(arguments: Sequence[object], log: Path, operations: Operations | None = None) -> int:
    """Fork a child that runs `priorraw-edge ARGUMENTS`; its process id.

    Its outputs go to `log`.out and `log`.err, the count of `operations` to `log`.operations.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        for descriptor, suffix in ((1, ".out"), (2, ".err")):
            file = os.open(log.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, descriptor)
        from priorraw_edge.cli import main

        if operations:
            sys.addaudithook(operations.hook)
        code = 1
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        if operations:
            log.with_suffix(".operations").write_text(str(operations.count))
        os._exit(code)
    except BaseException:  # a traceback is a failure that the caller sees
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(70)


def run(
    arguments: Sequence[object], log: Path, kill_after: float | None = None, operations: Operations | None = None
) -> Ended:
    """Run a command to its end, or kill it after some seconds; returns how it ended."""
    begun = time.monotonic()
    child = start(arguments, log, operations)
    status = _wait(child, begun + kill_after) if kill_after is not None else None
    if status is None:
        if kill_after is not None:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    seconds = time.monotonic() - begun
    out, err = (log.with_suffix(suffix).read_text(errors="replace") for suffix in (".out", ".err"))
    return Ended(os.waitstatus_to_exitcode(status), seconds, out, err)


def _wait(child: int, until: float) -> int | None:
    """The status of a child that ends before the moment, else None."""
    handle = os.pidfd_open(child)
    try:
        import select

        ready, _, _ = select.select([handle], [], [], max(0.0, until - time.monotonic()))
        return os.waitpid(child, 0)[1] if ready else None
    finally:
        os.close(handle)
