"""The registry of targets, and the checks that need no heavy import."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from priorraw.errors import InputError

# `priorraw.model`'s ALIGN and HALO; not imported, since a wrong argument is refused before torch is loaded.
TILE_MULTIPLE = 8
TILE_MARGIN = 48
DEFAULT_TILE = 256
LARGEST_TILE = 1024  # the lookup's half-resolution tokens in chunks: beyond it the programs grow without gain


@dataclass(frozen=True)
class Target:
    """A way to run on a device: what it takes, and the module of this package that converts."""

    name: str
    description: str
    packages: tuple[str, ...]  # import names that the conversion needs
    precisions: tuple[str, ...]  # the first is the default
    module: str  # holds `convert(programs, folder, precision) -> Converted`

    @property
    def convert(self) -> Callable[..., Any]:
        """The conversion; importing it is what takes seconds."""
        return import_module(self.module).convert


TARGETS = {
    target.name: target
    for target in (
        Target(
            "xnnpack",
            "ExecuTorch programs for CPUs: Android, Linux boxes",
            ("torch", "executorch"),
            ("fp32",),
            "priorraw_edge.export.xnnpack",
        ),
        Target(
            "coreml",
            "Core ML packages and Core ML delegate programs, iOS 17",
            ("torch", "executorch", "coremltools"),
            ("mixed", "fp32", "fp16"),
            "priorraw_edge.export.coreml",
        ),
    )
}


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        InputError: there is none.
    """
    if name not in TARGETS:
        from difflib import get_close_matches

        near = get_close_matches(name.lower(), TARGETS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"--target {name!r}: unknown; {hint}known: {', '.join(TARGETS)}")
    return TARGETS[name]


def check_request(target: Target, tile: int, precision: str | None) -> str:
    """Refuse what the target cannot take; return the precision to use.

    Raises:
        InputError: tile side, precision or a missing package, each with its cure.
    """
    if tile % TILE_MULTIPLE:
        nearest = max(TILE_MULTIPLE, round(tile / TILE_MULTIPLE) * TILE_MULTIPLE)
        raise InputError(f"--tile {tile}: not a multiple of {TILE_MULTIPLE}; take {nearest}")
    if not 2 * TILE_MARGIN < tile <= LARGEST_TILE:
        raise InputError(
            f"--tile {tile}: {TILE_MARGIN} pixels a side are halo; take {2 * TILE_MARGIN + 8} to {LARGEST_TILE}"
        )
    precision = precision or target.precisions[0]
    if precision not in target.precisions:
        raise InputError(f"--precision {precision}: {target.name} takes {', '.join(target.precisions)}")
    missing = [package for package in target.packages if find_spec(package) is None]
    if missing:
        raise InputError(f"target {target.name} needs {', '.join(missing)}: pip install {' '.join(missing)}")
    return precision
