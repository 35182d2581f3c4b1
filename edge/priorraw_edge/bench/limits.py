"""The machine's own limits, measured: how fast it multiplies matrices and copies memory."""

import time
from collections.abc import Callable
from typing import Any

import torch

SIDE = 2048  # of the matrices: 17 GFLOP, well over the caches of a core
COPY_BYTES = 256 * 2**20
REPEATS = 3


def fp32_rate() -> float:
    """FLOP/s of a float32 matrix product (torch.mm: oneDNN or MKL)."""
    a = torch.rand(SIDE, SIDE)
    return 2 * SIDE**3 / _fastest(lambda: a @ a)


def int8_rate() -> float:
    """Operations per second of an int8 matrix product with int32 sums (torch._int_mm).

    Raises:
        RuntimeError: this build of torch has none for the processor.
    """
    a = torch.randint(-127, 128, (SIDE, SIDE), dtype=torch.int8)
    return 2 * SIDE**3 / _fastest(lambda: torch._int_mm(a, a))


def copy_rate() -> float:
    """Bytes per second, read and written, of a copy that fits no cache of a core."""
    source = torch.zeros(COPY_BYTES // 4)
    target = torch.zeros_like(source)
    return 2 * COPY_BYTES / _fastest(lambda: target.copy_(source))


LIMITS: dict[str, Callable[[], float]] = {"fp32": fp32_rate, "int8": int8_rate, "copy": copy_rate}


def _fastest(run: Callable[[], Any]) -> float:
    """Seconds of the fastest of a few runs: a limit is what the machine can do, not what it does on average."""
    run()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
