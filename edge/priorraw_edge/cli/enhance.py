"""`priorraw-edge enhance`: pictures of few bits to pictures of more."""

import json
from pathlib import Path

import click

from priorraw_edge.cli import photo_options
from priorraw_edge.cli.photo_options import A_PATH


@click.command()
@click.argument("photos", nargs=-1, required=True, type=A_PATH, metavar="PHOTO...")
@click.option("-o", "--out", required=True, type=A_PATH, help="PNG file to write; a folder for several photos.")
@click.option("--task", type=click.Choice(["bit-depth"]), default="bit-depth", show_default=True)
@click.option(
    "--bits", default=4, show_default=True, type=click.IntRange(1, 15), help="Bits that the photo's codes are worth."
)
@click.option("--high-bits", default=8, show_default=True, type=click.IntRange(2, 16), help="Bits to recover.")
@click.option("--bundle", type=A_PATH, help="Run this bundle (export --task bit-depth) instead of PyTorch.")
@click.option("--assets", type=A_PATH, help="Asset folder; the shipped one by default.")
@photo_options.views
@photo_options.reliability
@photo_options.threads
@photo_options.max_memory
@photo_options.as_json
def command(
    photos: tuple[Path, ...],
    out: Path,
    task: str,
    bits: int,
    high_bits: int,
    bundle: Path | None,
    assets: Path | None,
    views: int,
    reliability: Path | None,
    threads: int | None,
    max_memory: int | None,
    as_json: bool,
) -> None:
    """Recover the bit depth of photographs (JPEG, PNG, TIFF; any size).

    The first --bits of every code count, and stay: a result, cut to these bits, is the photo cut to them. Whether the
    file pads its codes with zeros or stretches them does not matter. PHOTO... are taken in turn; a bad one stops the
    command, and what was written for earlier ones stays. Memory does not grow with the picture's height.
    """
    from priorraw.bit_depth import Depths

    from priorraw_edge.runtime.engine import open_engine
    from priorraw_edge.runtime.ensemble import with_views
    from priorraw_edge.runtime.outputs import plan_jobs
    from priorraw_edge.runtime.spool import Spool

    if bundle and assets:
        raise click.UsageError("--bundle and --assets exclude each other; give one")
    depths = Depths(bits, high_bits)
    jobs = plan_jobs(photos, out, reliability=reliability, formats={".png": "png"})
    engine = with_views(open_engine(depths.name, bundle=bundle, assets=assets, threads=threads, task=task), views)
    results = []
    for job in jobs:
        with Spool(job.photo, job.out.parent, megabytes=max_memory) as spool:
            results.append(_enhance_one(job, engine, spool.wait(), depths, max_memory) | {"views": views})
        if not as_json:
            click.echo(
                "{output}: {width}x{height}, {bits} to {high_bits} bits, {levels_in} levels to {levels_out}, "
                "mean reliability {reliability_mean:.2f}".format(**results[-1])
            )
    if as_json:
        click.echo(json.dumps(results, indent=2))


def _enhance_one(job, engine, photo, depths, max_memory: int | None) -> dict:
    """Enhance and write one decoded photo; its facts for the user."""
    from priorraw.progress import say

    from priorraw_edge.runtime.deep import LowSource, write_picture
    from priorraw_edge.runtime.memory import check_memory
    from priorraw_edge.runtime.stream import Stream

    source = LowSource(photo.source, depths)
    check_memory(str(job.photo), source.width, engine.tile_size, max_memory)
    stream = Stream(source, engine, job.photo.name, raw=False)
    levels = write_picture(job.out, stream, depths, job.reliability)
    notes = list(photo.notes)
    if source.levels > 1 << depths.low:
        held = 1 << depths.low
        notes.append(f"holds {source.levels} levels, {depths.low} bits hold {held}: what was beyond them was not used")
    for note in notes:
        say(f"{job.photo}: {note}")
    return {
        "photo": str(job.photo),
        "output": str(job.out),
        "reliability": str(job.reliability) if job.reliability else None,
        "width": source.width,
        "height": source.height,
        "bits": depths.low,
        "high_bits": depths.high,
        "levels_in": source.levels,
        "levels_out": levels,
        "reliability_mean": round(stream.mean_reliability(), 4),
        "notes": notes,
    }
