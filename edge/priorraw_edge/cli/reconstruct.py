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
@click.option("--reliability", type=A_PATH, help="Also write the reliability map (PNG, white = reliable).")
@click.option("--json", "as_json", is_flag=True, help="Print the results as a JSON list.")
def command(
    photos: tuple[Path, ...],
    out: Path,
    camera: str | None,
    bundle: Path | None,
    assets: Path | None,
    file_format: str | None,
    reliability: Path | None,
    as_json: bool,
) -> None:
    """Turn photographs (JPEG, PNG, TIFF; any size) into RAW.

    PHOTO... are taken in turn; a bad one stops the command, and what was written for earlier ones stays.
    """
    from priorraw_edge.runtime.engine import open_engine
    from priorraw_edge.runtime.outputs import plan_jobs

    if bundle and assets:
        raise click.UsageError("--bundle and --assets exclude each other; give one")
    jobs = plan_jobs(photos, out, file_format, reliability)
    engine = open_engine(camera, bundle=bundle, assets=assets)
    results = []
    for job in jobs:
        results.append(_reconstruct_one(job, engine))
        if not as_json:
            click.echo(
                "{output}: {width}x{height}, {camera}, mean reliability {reliability_mean:.2f}, "
                "neutral {neutral[0]:.3f} {neutral[1]:.3f} {neutral[2]:.3f}".format(**results[-1])
            )
    if as_json:
        click.echo(json.dumps(results, indent=2))


def _reconstruct_one(job, engine) -> dict:
    """Read, rebuild, write one photo; its facts for the user."""
    from priorraw.progress import say

    from priorraw_edge.runtime.outputs import check_size, write_outputs
    from priorraw_edge.runtime.picture import read_picture
    from priorraw_edge.runtime.reconstruct import reconstruct

    picture = read_picture(job.photo)
    check_size(job, picture.srgb)
    for note in picture.notes:
        say(f"{job.photo}: {note}")
    result = reconstruct(picture.srgb, engine, job.photo.name)
    write_outputs(result, job)
    height, width = picture.srgb.shape[:2]
    return {
        "photo": str(job.photo),
        "output": str(job.out),
        "reliability": str(job.reliability) if job.reliability else None,
        "format": job.file_format,
        "camera": result.camera,
        "width": width,
        "height": height,
        "neutral": [round(float(value), 6) for value in result.neutral],
        "reliability_mean": round(float(result.reliability.mean(dtype="float64")), 4),
        "notes": list(picture.notes),
    }
