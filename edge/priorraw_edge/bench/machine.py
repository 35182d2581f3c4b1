"""Where and in what company a measurement was made: machine, versions, load, memory of a process."""

import os
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("priorraw-edge", "torch", "executorch", "onnxruntime", "numpy")
IDLE_LOAD = 0.3  # one-minute load average above which a machine counts as busy
OTHERS_SHARE = 0.05  # of the processors' time


def versions() -> dict[str, str | None]:
    """Versions of what is timed; None where a package is missing."""
    found: dict[str, str | None] = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def load_average() -> list[float]:
    """Runnable processes over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def peak_rss() -> int:
    """Bytes of this process's largest resident set since it was started.

    On Linux from /proc: ru_maxrss also remembers the parent's, from before exec.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Company:
    """How much of the processors' time other processes took while this one and its children worked."""

    def __init__(self) -> None:
        self._start = self._read()

    def others_share(self, own_seconds: float) -> float | None:
        """Share in [0, 1] of the machine's processor time that went to others; None where it cannot be told.

        Args:
            own_seconds: processor time of this process and of its children since the start.
        """
        now = self._read()
        if now is None or self._start is None:
            return None
        total, busy = (after - before for after, before in zip(now, self._start, strict=True))
        return max(0.0, min(1.0, (busy - own_seconds) / total)) if total > 0 else None

    @staticmethod
    def _read() -> tuple[float, float] | None:
        """Seconds of all processors so far: in total, and not idle."""
        try:
            ticks = [int(v) for v in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        except (OSError, ValueError, IndexError):
            return None
        hertz = os.sysconf("SC_CLK_TCK")
        return sum(ticks) / hertz, (sum(ticks) - ticks[3] - ticks[4]) / hertz


def warnings(before: list[float], others: float | None) -> list[str]:
    """What a reader of the figures should know of the company they were measured in."""
    lines = []
    if before[0] > IDLE_LOAD:
        lines.append(f"the machine was not idle: load average {before[0]:.2f} before the first run")
    if others is not None and others > OTHERS_SHARE:
        lines.append(f"other processes took {others:.0%} of the processors' time during the runs")
    return lines


def bind(cores: int) -> None:
    """Keep this process, and what it starts, on the first `cores` of the processors that it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(threads: int) -> dict[str, Any]:
    """Machine, threads and versions, JSON-ready."""
    from priorraw_edge.doctor import machine

    return {"machine": machine(), "threads": threads, "versions": versions()}
