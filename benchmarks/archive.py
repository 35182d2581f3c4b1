"""python -m benchmarks.archive: what an archive costs: seconds a picture, memory, and how two workers compare with one.

Archives of small pictures of several sizes are rebuilt by the command as a user calls it, watched from outside. A line
through the smaller archives, start + pictures x seconds, is compared with what the largest takes.
"""

import json
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from priorraw.files import write_json
from priorraw.progress import say
from priorraw_edge.bench.machine import Company, cores, describe, load_average, warnings

from benchmarks.calls import main
from benchmarks.scaling import CLI, watch

SIDES = (640, 480)  # of a picture: 0.3 megapixels
COUNTS = (20, 60, 120)


def write_tree(folder: Path, count: int) -> None:
    """`count` JPEGs in folders of a hundred: shifted copies of the sample photograph."""
    from PIL import Image
    from priorraw_edge.bench.pictures import photograph

    picture = photograph(1.0)
    for i in range(count):
        path = folder / f"{i // 100:04d}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shifted = np.roll(picture, (37 * i, 53 * i), (0, 1))[: SIDES[1], : SIDES[0]]
        Image.fromarray(shifted).save(path, quality=90)


def measure(count: int, options: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """An archive of `count` pictures, rebuilt with these options of the command."""
    tree, out = folder / f"{count}", folder / "out"
    if not tree.exists():
        write_tree(tree, count)
    command = [sys.executable, "-c", CLI, "reconstruct", str(tree), "-o", str(out), "--format", "dng", *options]
    before, company = load_average(), Company()
    figures: dict[str, Any] = watch(command)
    figures["others_share"] = company.others_share(figures["cpu_seconds"])
    with sqlite3.connect(out / "manifest.sqlite") as rows:
        figures["steady_per_picture"] = steady([t for (t,) in rows.execute("SELECT finished FROM photos")])
    shutil.rmtree(out)
    return figures | {"pictures": count, "load_before": before}


def steady(finished: list[float]) -> float:
    """Seconds a picture between the first quarter and the end: start-up left out."""
    times = sorted(finished)
    first = len(times) // 4
    return (times[-1] - times[first]) / (len(times) - 1 - first)


def predicted(small: dict[str, Any], larger: dict[str, Any], count: int) -> dict[str, float]:
    """The line through two archives, and what it says of a third."""
    slope = (larger["seconds"] - small["seconds"]) / (larger["pictures"] - small["pictures"])
    start = small["seconds"] - slope * small["pictures"]
    return {"start": start, "per_picture": slope, "seconds": start + slope * count}


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="Run this bundle.  [default: PyTorch]")
@click.option("--counts", default=",".join(map(str, COUNTS)), show_default=True, help="Archives' sizes, ascending.")
@click.option("--row", "rows", multiple=True, help="local, ray-1, ray-2 ...  [default: local, ray-1, ray-2]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/archive.json"))
def command(bundle: Path | None, counts: str, rows: tuple[str, ...], out: Path) -> None:
    """Measure archives of 0.3 megapixel pictures: the local engine on all sizes, Ray's on the last."""
    sizes = [int(part) for part in counts.split(",")]
    document = json.loads(out.read_text()) if out.exists() else {"rows": {}, "local": {}}
    model = ("--bundle", str(bundle)) if bundle else ()
    with tempfile.TemporaryDirectory() as name:
        for row in rows or ("local", "ray-1", "ray-2"):
            for count in sizes if row == "local" else sizes[-1:]:
                engine = () if row == "local" else ("--engine", "ray", "--workers", row.removeprefix("ray-"))
                figures = measure(count, (*model, *engine), Path(name))
                if row == "local":
                    document["local"][str(count)] = figures
                document["rows"][row] = figures
                say(f"{row}, {count} pictures: {figures['seconds']:.1f} s, {figures['peak_rss'] / 1e6:.0f} MB")
                document |= {"megapixels": SIDES[0] * SIDES[1] / 1e6, **describe(cores())}
                document["warnings"] = warnings(figures["load_before"], figures["others_share"])
                write_json(out, document)
    local = [document["local"].get(str(count)) for count in sizes]
    if len(sizes) > 2 and all(local):
        document["model"] = predicted(local[0], local[1], sizes[-1])
        write_json(out, document)
        click.echo(f"predicted {document['model']['seconds']:.1f} s, took {local[-1]['seconds']:.1f} s")
    if {"ray-1", "ray-2"} <= document["rows"].keys():
        one, two = (document["rows"][row]["steady_per_picture"] for row in ("ray-1", "ray-2"))
        click.echo(f"two workers: {one / two:.2f} times one worker's pictures a second, start-up left out")


if __name__ == "__main__":
    main(command, "archive")
