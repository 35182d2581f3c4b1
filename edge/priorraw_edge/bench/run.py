"""One benchmark: rows in processes of their own, measured in turn, round by round, beside the machine's limits."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from priorraw.errors import InputError
from priorraw.progress import say, track

from priorraw_edge.bench import machine
from priorraw_edge.bench.child import Child, SkippedRowError, clone, environment
from priorraw_edge.bench.counting import BYTES, Work, work_of, work_of_scene
from priorraw_edge.bench.figures import ratio_figures, row_figures, share_figures
from priorraw_edge.bench.limits import LIMITS
from priorraw_edge.bench.prepare import prepare
from priorraw_edge.bench.rows import NO_CLONE, OURS, Row, all_rows
from priorraw_edge.export.requirements import package_fault

FORMAT = 1
COMPILERS = ("c++", "g++", "clang++")
PAUSE = 0.05  # seconds between runs: threads of the one before may still spin


@dataclass(frozen=True)
class Settings:
    megapixels: float = 12.0  # of the picture that our rows process in tiles
    rounds: int = 5
    threads: int = 0  # 0: all cores
    camera: str = "sony-imx135"
    assets: Path | None = None


def choose(names: Iterable[str], bundles: Iterable[Path]) -> list[Row]:
    """The rows of these names, all if there are none, and one for each bundle.

    Raises:
        InputError: no row of that name, or a folder that is no bundle to run here.
    """
    known = {row.name: row for row in all_rows()}
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            raise InputError(f"--rows: no row {name!r}; take {', '.join(known)}")
    rows = [known[name] for name in wanted] or list(known.values())
    return [*(_bundle_row(folder) for folder in bundles), *rows]


def _bundle_row(folder: Path) -> Row:
    from priorraw_edge.runtime.engine import BundleEngine

    manifest = BundleEngine(folder).manifest  # checks every file
    name, tile, precision = folder.resolve().name, int(manifest["tile"]), str(manifest["precision"])
    label = f"{manifest['target']} {precision}, tile {tile}: {name}"
    return Row(f"bundle:{name}", label, OURS, "bundle", "model", precision, tile, bundle=str(folder))


def why_not(row: Row) -> str | None:
    """Why a row cannot run here, as far as that can be told before it is tried."""
    fault = package_fault(row.packages) if row.packages else None
    if fault:
        return str(fault)
    if row.compiler and not (os.environ.get("CXX") or any(map(shutil.which, COMPILERS))):
        return f"needs a C++ compiler ({', '.join(COMPILERS)}); this machine has none"
    if row.build in ("cam", "flow") and clone() is None:
        return NO_CLONE
    return None


def bench(rows: list[Row], settings: Settings, start: Callable[[dict[str, Any]], Child] = Child) -> dict[str, Any]:
    """Measure `rows`; the document that `priorraw-edge bench --json` prints.

    Args:
        start: makes the child process of an order; tests give another.
    """
    import torch

    threads, callers = settings.threads or machine.cores(), torch.get_num_threads()
    torch.set_num_threads(threads)
    if (sources := clone()) is not None and str(sources) not in sys.path:
        sys.path.append(str(sources))  # the rivals' work is counted in this process
    before = machine.load_average()
    children: dict[str, Child] = {}
    facts: dict[str, dict[str, Any]] = {}
    try:
        for row in track(rows, "prepare rows"):
            facts[row.name] = {"label": row.label, "of": row.of, "precision": row.precision, "part": row.part}
            try:
                folder = _prepared(row, settings, threads)
                if folder is not None and row.build == "bundle":
                    facts[row.name]["bytes"] = bundle_bytes(folder)
                children[row.name] = _start(row, folder, settings, threads, start)
            except SkippedRowError as reason:
                facts[row.name]["skipped"] = str(reason)
                say(f"{row.name}: not measured, {reason}")
        company, own = machine.Company(), _own_seconds()
        runs, limits = _rounds(children, facts, settings.rounds)
        child_seconds = sum(r["cpu_seconds"] for rounds in runs.values() for r in rounds)
        others = company.others_share(_own_seconds() - own + child_seconds)
        for row in rows:
            if row.name in children:
                facts[row.name] |= _measured(row, children.pop(row.name), runs[row.name], limits)
    finally:
        torch.set_num_threads(callers)
        for child in children.values():
            child.kill()
    fast = [row.name for row in rows if row.of == OURS and row.build == "bundle"]
    return {
        "format": FORMAT,
        **machine.describe(threads),
        "settings": {
            "megapixels": settings.megapixels,
            "rounds": settings.rounds,
            "camera": settings.camera,
        },
        "load": {"before": before, "others_share": others},
        "warnings": machine.warnings(before, others),
        "limits": limits,
        "work": model_work(),
        "rows": facts,
        "ratios": ratio_figures(facts, fast),
        "shares": share_figures(facts),
    }


def model_work() -> dict[str, float]:
    """What the shipped model computes, for its card: FLOPs of the tile part a megapixel, and of the scene part."""
    side = 512
    return {
        "tile_gflop_per_megapixel": work_of("tile", side).flops / side**2 * 1e-3,
        "scene_gflop_per_picture": work_of_scene().flops * 1e-9,
    }


def _prepared(row: Row, settings: Settings, threads: int) -> Path | None:
    """The folder that a row runs from, if it needs one."""
    fault = why_not(row)
    if fault:
        raise SkippedRowError(fault)
    return prepare(row, settings.camera, settings.assets, environment(threads))


def bundle_bytes(folder: Path) -> dict[str, int]:
    """Sizes of a bundle: `programs`, the largest `bank`, and `whole`, what one camera needs,
    self-test included."""
    sizes = {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    banks = [size for name, size in sizes.items() if name.startswith("banks/")]
    golden = [size for name, size in sizes.items() if name.startswith("golden/")]
    programs = sum(size for name, size in sizes.items() if "/" not in name and name != "bundle.json")
    bank = max(banks, default=0)
    return {"programs": programs, "bank": bank, "whole": programs + bank + max(golden, default=0)}


def _start(
    row: Row, folder: Path | None, settings: Settings, threads: int, start: Callable[[dict[str, Any]], Child]
) -> Child:
    order = {
        "build": row.build,
        "camera": settings.camera,
        "assets": str(settings.assets) if settings.assets else None,
        "megapixels": min(settings.megapixels, row.most or settings.megapixels),
        "tile": row.tile,
        "side": row.side,
        "threads": threads,
        "folder": str(folder) if folder else None,
    }
    return start(order)


def _rounds(
    children: dict[str, Child], facts: dict[str, dict[str, Any]], rounds: int
) -> tuple[dict[str, list[dict[str, float]]], dict[str, Any]]:
    """Every row and every limit once a round. A row that dies is taken out of `children` and noted in `facts`."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in children}
    limits: dict[str, Any] = {name: [] for name in LIMITS}
    for _ in track(range(rounds), "rounds"):
        for name, measure in LIMITS.items():
            try:
                limits[name].append(measure())
            except RuntimeError as error:
                limits[f"{name}_missing"] = str(error).splitlines()[0]
        for name in list(children):
            time.sleep(PAUSE)
            try:
                runs[name].append(children[name].run())
            except SkippedRowError as reason:
                children.pop(name).kill()
                facts[name]["skipped"] = str(reason)
    medians = {name: median(limits[name]) if limits[name] else None for name in LIMITS}
    return runs, limits | medians | {f"{name}_rounds": limits[name] for name in LIMITS}


def _measured(row: Row, child: Child, runs: list[dict[str, float]], limits: dict[str, Any]) -> dict[str, Any]:
    pixels, tiles = int(child.ready["pixels"]), int(child.ready["tiles"])
    work = work_of_row(row, tiles)
    figures = row_figures(
        [run["seconds"] for run in runs],
        [run["cpu_seconds"] for run in runs],
        pixels,
        work.flops,
        work.elements * BYTES[row.precision],
        {"rate": limits[row.precision], "copy": limits["copy"]},
    )
    return {"pixels": pixels, "tiles": tiles, "peak_rss": child.end()["peak_rss"], **figures}


def work_of_row(row: Row, tiles: int) -> Work:
    """What one run of a row computes, halos included."""
    if row.work == "model":
        assert row.tile is not None
        return work_of("tile", row.tile).times(tiles).plus(work_of_scene())
    assert row.side is not None
    return work_of(row.work, row.side)


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system
