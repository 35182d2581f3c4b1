"""What a run takes of the machine's memory: what it holds now, and what a picture adds."""

import resource
import sys
from pathlib import Path

from priorraw.errors import InputError

from priorraw_edge.runtime.dng import TILE as DNG_TILE

# Activations of a tile and what the allocator keeps, bytes a pixel of the tile. Seen: 130 in XNNPACK, 900 in PyTorch.
PER_TILE_PIXEL = 1024
MB = 1 << 20


def resident_megabytes() -> int:
    """The most memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the program before this one had, across exec
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) >> 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // MB if sys.platform == "darwin" else peak >> 10


def picture_megabytes(width: int, tile: int) -> int:
    """What a picture of this width takes on its way: a row of tiles, in and out, and a row of the DNG's tiles."""
    row = tile * width * (3 * 4 + 4 * 4) + 3 * DNG_TILE * width * 6
    return (row + tile * tile * PER_TILE_PIXEL) // MB


def check_memory(name: str, width: int, tile: int, most: int | None) -> None:
    """Refuse a picture that would take more than `most` MB; None is no limit.

    Raises:
        InputError: more is needed.
    """
    need = resident_megabytes() + picture_megabytes(width, tile)
    if most is not None and need > most:
        raise InputError(f"{name}: {width} pixels wide takes about {need} MB; raise --max-memory from {most}")
