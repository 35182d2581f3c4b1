"""`priorraw-edge reconstruct`: photographs, or archives of them, to linear DNG, TIFF or npy."""

import json
from pathlib import Path

import click
from priorraw.errors import InputError

from priorraw_edge.cli import photo_options
from priorraw_edge.cli.photo_options import A_PATH

FILES = (".dng", ".tif", ".tiff", ".npy", ".png")
SHOWN = 10  # failures that are named on the terminal; the report has all


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO|FOLDER|URL...")
@click.option("-o", "--out", required=True, type=A_PATH, help="File to write; a folder for several photos.")
@click.option("--resume", is_flag=True, help="Archives: go on where an earlier run into the same folder stopped.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What walks an archive: this process, or the workers of a Ray cluster (extra `scale`).",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="With ray: workers.  [default: the cluster's cores]"
)
@click.option("--camera", help="Whose RAW to rebuild.  [default: that of EXIF, else the bundle's or sony-imx135]")
@click.option("--bundle", type=A_PATH, help="Run this xnnpack bundle instead of PyTorch.")
@click.option("--public-key", type=A_PATH, help="Refuse a --bundle that was not signed with this key.")
@click.option("--bank", type=A_PATH, help="Use this bank.safetensors (priorraw-edge bank build), of a camera of yours.")
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
@click.option("--cfa", type=click.Choice(["RGGB", "BGGR", "GRBG", "GBRG"]), help="Mosaic the DNG, as sensors do.")
@click.option("--keep-gps", is_flag=True, help="Carry the place from the photo's EXIF into the DNG.")
@photo_options.reliability
@photo_options.threads
@photo_options.max_memory
@photo_options.as_json
def command(
    photos: tuple[str, ...],
    out: Path,
    resume: bool,
    engine: str,
    workers: int | None,
    camera: str | None,
    bundle: Path | None,
    public_key: Path | None,
    bank: Path | None,
    assets: Path | None,
    file_format: str | None,
    hint: str,
    cfa: str | None,
    keep_gps: bool,
    reliability: Path | None,
    threads: int | None,
    max_memory: int | None,
    as_json: bool,
) -> None:
    """Turn photographs (JPEG, PNG, TIFF; any size) into RAW.

    Photos are taken in turn; a bad one stops the command, and what was written for earlier ones stays.

    Of a folder, an address such as s3://bucket/folder, or with --resume or --engine ray, everything below is an
    archive: OUT gets its tree, manifest.sqlite with a row a photo, and report.json. A bad photo is then a row and a
    line of the report, not the end. The same command with --resume goes on after a stop, and takes what is new.

    Memory does not grow with the picture's height: a photo is decoded by a process of its own into a temporary file
    beside OUT, read from there by rows of tiles, and written as they are done.

    The camera is the one that the photo's EXIF names, where there is a bank of it; what speaks against trusting the
    result (a camera not known here, an edited picture, a wide colour profile) is said. A DNG keeps the photo's EXIF,
    but the place only with --keep-gps.

    The light comes from nothing but the picture, unless --hint says so: with exif, the as-shot gains of Canon, Nikon,
    Olympus, Panasonic and Pentax files and of DNG's AsShotNeutral; a photo without them is rebuilt blind, with a note.
    """
    from priorraw_edge.archive.inputs import is_archive
    from priorraw_edge.runtime.session import Settings

    for one, other in (("bundle", "assets"), ("bank", "camera")):
        if all(click.get_current_context().params[name] for name in (one, other)):
            raise click.UsageError(f"--{one} and --{other} exclude each other; give one")
    if public_key and not bundle:
        raise click.UsageError("--public-key goes with --bundle; give both")
    if workers and engine != "ray":
        raise click.UsageError("--workers goes with --engine ray; leave it out")
    settings = Settings(camera, bundle, bank, assets, threads, hint, keep_gps, max_memory, public_key)
    if resume or engine == "ray" or any(map(is_archive, photos)):
        if cfa and file_format not in (None, "dng"):
            raise click.UsageError(f"--cfa makes a DNG, not {file_format}; leave one of them out")
        for folder in (out, reliability):
            if folder is not None and (folder.is_file() or folder.suffix.lower() in FILES):
                raise click.UsageError(f"{folder}: names a file; an archive needs a folder")
        plan = (photos, out, file_format or "dng", reliability, cfa)
        _archive(plan, settings, resume, engine, workers, as_json)
    else:
        _photos([Path(photo) for photo in photos], out, file_format, reliability, cfa, settings, as_json)


def _photos(photos, out: Path, file_format, reliability, cfa, settings, as_json: bool) -> None:
    """Photographs one by one; the first bad one ends it."""
    from priorraw_edge.runtime.outputs import plan_jobs
    from priorraw_edge.runtime.session import Session

    session = Session(settings)
    results = []
    for job in plan_jobs(photos, out, file_format, reliability, cfa):
        with session.spool(job.photo, job.out.parent) as spool:
            session.load()  # while the photo is decoded
            results.append(session.rebuild(job, spool.wait()))
        if not as_json:
            click.echo(
                "{output}: {width}x{height}, {camera} ({camera_reason}), mean reliability {reliability_mean:.2f}, "
                "neutral {neutral[0]:.3f} {neutral[1]:.3f} {neutral[2]:.3f}".format(**results[-1])
            )
    if as_json:
        click.echo(json.dumps(results, indent=2))


def _archive(plan: tuple, settings, resume: bool, engine: str, workers: int | None, as_json: bool) -> None:
    """Everything below the inputs of a `Plan`."""
    from functools import partial

    from priorraw_edge.archive.inputs import Plan
    from priorraw_edge.archive.run import REPORT, local, run

    out, how = plan[1], local
    if engine == "ray":
        from priorraw_edge.archive.ray_engine import rows

        how = partial(rows, workers=workers, marks=out / ".attempts")
    report = run(Plan(*plan), settings, resume=resume, engine=how)
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    click.echo(
        "{out}: {done} of {photos} photos, {kept} from before, {megapixels:.1f} megapixels, {seconds:.0f} s".format(
            out=out, **report
        )
    )
    for failure in report["failures"][:SHOWN]:
        click.echo(f"failed: {failure['error']}", err=True)
    if report["failed"]:
        click.echo(f"{report['failed']} failed; all are in {out / REPORT}", err=True)
    if not report["done"]:
        raise InputError(f"{out}: no photo could be rebuilt; the reasons are in {REPORT}")
