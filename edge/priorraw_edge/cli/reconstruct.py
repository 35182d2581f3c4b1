"""`priorraw-edge reconstruct`: photographs to linear DNG, TIFF or npy."""

import json
from pathlib import Path

import click

A_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("photos", nargs=-1, required=True, type=A_PATH, metavar="PHOTO...")
@click.option("-o", "--out", required=True, type=A_PATH, help="File to write; a folder for several photos.")
@click.option("--camera", help="Whose RAW to rebuild.  [default: the bundle's, else sony-imx135]")
@click.option("--bundle", type=A_PATH, help="Run this xnnpack bundle instead of PyTorch.")
@click.option("--assets", type=A_PATH, help="Folder of cameras to take the model from, not the shipped ones.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["dng", "tiff", "npy"]),
    help="16-bit linear DNG or TIFF, or float32 npy.  [default: by the suffix of OUT, else dng]",
)
@click.option(
    "--hint",
    default="none",
    show_default=True,
    metavar="exif|none|R,G,B",
    help="White-balance gains that are known: the photo's own EXIF, or given.",
)
@click.option("--reliability", type=A_PATH, help="Also write the reliability map (PNG, white = reliable).")
@click.option(
    "--threads", type=click.IntRange(1, 1024), metavar="N", help="Threads that compute a tile.  [default: one a core]"
)
@click.option(
    "--max-memory", type=click.IntRange(1), metavar="MB", help="Refuse pictures that take more memory than this."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as a JSON list.")
def command(
    photos: tuple[Path, ...],
    out: Path,
    camera: str | None,
    bundle: Path | None,
    assets: Path | None,
    file_format: str | None,
    hint: str,
    reliability: Path | None,
    threads: int | None,
    max_memory: int | None,
    as_json: bool,
) -> None:
    """Turn photographs (JPEG, PNG, TIFF; any size) into RAW.

    PHOTO... are taken in turn; a bad one stops the command, and what was written for earlier ones stays.

    Memory does not grow with the picture's height: a photo is decoded by a process of its own into a temporary file
    beside OUT, read from there by rows of tiles, and written as they are done.

    Nothing but the picture is used, unless --hint says so: with exif, the as-shot gains of Canon, Nikon, Olympus,
    Panasonic and Pentax files and of DNG's AsShotNeutral; a photo without them is rebuilt blind, with a note.
    """
    from priorraw_edge.runtime.hint import parse_hint
    from priorraw_edge.runtime.outputs import plan_jobs
    from priorraw_edge.runtime.spool import Spool

    if bundle and assets:
        raise click.UsageError("--bundle and --assets exclude each other; give one")
    given = None if hint in ("exif", "none") else parse_hint(hint)
    jobs = plan_jobs(photos, out, file_format, reliability)
    engine = None
    results = []
    for job in jobs:
        with Spool(job.photo, job.out.parent, hint=hint == "exif", megabytes=max_memory) as spool:
            if engine is None:  # loaded while the first photo is decoded
                from priorraw_edge.runtime.engine import open_engine

                engine = open_engine(camera, bundle=bundle, assets=assets, threads=threads)
            results.append(_reconstruct_one(job, engine, spool.wait(), given, max_memory))
        if not as_json:
            click.echo(
                "{output}: {width}x{height}, {camera}, mean reliability {reliability_mean:.2f}, "
                "neutral {neutral[0]:.3f} {neutral[1]:.3f} {neutral[2]:.3f}".format(**results[-1])
            )
    if as_json:
        click.echo(json.dumps(results, indent=2))


def _reconstruct_one(job, engine, photo, given, max_memory: int | None) -> dict:
    """Rebuild and write one decoded photo; its facts for the user. `given` is a hint that holds for every photo."""
    from priorraw.progress import say

    from priorraw_edge.runtime.memory import check_memory
    from priorraw_edge.runtime.outputs import check_size, write_stream
    from priorraw_edge.runtime.stream import Stream

    source = photo.source
    check_size(job, source.height, source.width)
    notes = list(photo.notes)
    hint = given or photo.hint
    if photo.hint_note:
        notes.append(photo.hint_note)
    if photo.hint and not photo.hint.is_of(engine.camera):
        notes.append(f"these are gains of another sensor than {engine.camera}'s: the light will be off")
    for note in notes:
        say(f"{job.photo}: {note}")
    stream = Stream(source, engine, job.photo.name, hint.neutral if hint else None)
    check_memory(str(job.photo), source.width, engine.tile_size, max_memory)
    write_stream(stream, job)
    return {
        "photo": str(job.photo),
        "output": str(job.out),
        "reliability": str(job.reliability) if job.reliability else None,
        "format": job.file_format,
        "camera": stream.camera,
        "width": source.width,
        "height": source.height,
        "hint": {"gains": [round(float(gain), 6) for gain in hint.gains], "source": hint.source} if hint else None,
        "neutral": [round(float(value), 6) for value in stream.neutral()],
        "reliability_mean": round(stream.mean_reliability(), 4),
        "notes": notes,
    }
