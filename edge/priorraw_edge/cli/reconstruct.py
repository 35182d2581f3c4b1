"""`priorraw-edge reconstruct`: photographs to linear DNG, TIFF or npy."""

import json
from pathlib import Path

import click

A_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("photos", nargs=-1, required=True, type=A_PATH, metavar="PHOTO...")
@click.option("-o", "--out", required=True, type=A_PATH, help="File to write; a folder for several photos.")
@click.option("--camera", help="Whose RAW to rebuild.  [default: that of EXIF, else the bundle's or sony-imx135]")
@click.option("--bundle", type=A_PATH, help="Run this xnnpack bundle instead of PyTorch.")
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

    PHOTO... are taken in turn; a bad one stops the command, and what was written for earlier ones stays.

    Memory does not grow with the picture's height: a photo is decoded by a process of its own into a temporary file
    beside OUT, read from there by rows of tiles, and written as they are done.

    The camera is the one that the photo's EXIF names, where there is a bank of it; what speaks against trusting the
    result (a camera not known here, an edited picture, a wide colour profile) is said. A DNG keeps the photo's EXIF,
    but the place only with --keep-gps.

    The light comes from nothing but the picture, unless --hint says so: with exif, the as-shot gains of Canon, Nikon,
    Olympus, Panasonic and Pentax files and of DNG's AsShotNeutral; a photo without them is rebuilt blind, with a note.
    """
    from priorraw_edge.runtime.hint import parse_hint
    from priorraw_edge.runtime.outputs import plan_jobs
    from priorraw_edge.runtime.spool import Spool

    for one, other in (("bundle", "assets"), ("bank", "camera")):
        if all(click.get_current_context().params[name] for name in (one, other)):
            raise click.UsageError(f"--{one} and --{other} exclude each other; give one")
    given = None if hint in ("exif", "none") else parse_hint(hint)
    jobs = plan_jobs(photos, out, file_format, reliability, cfa)
    engines = _Engines(camera, bundle=bundle, bank=bank, assets=assets, threads=threads)
    results = []
    for job in jobs:
        with Spool(job.photo, job.out.parent, hint=hint == "exif", megabytes=max_memory) as spool:
            engines.load()  # while the photo is decoded
            decoded = spool.wait()
            choice = engines.choose(decoded.facts)
            facts = decoded.facts if keep_gps else decoded.facts.without_gps()
            results.append(_reconstruct_one(job, engines[choice.camera], decoded, facts, choice, given, max_memory))
        if not as_json:
            click.echo(
                "{output}: {width}x{height}, {camera} ({camera_reason}), mean reliability {reliability_mean:.2f}, "
                "neutral {neutral[0]:.3f} {neutral[1]:.3f} {neutral[2]:.3f}".format(**results[-1])
            )
    if as_json:
        click.echo(json.dumps(results, indent=2))


class _Engines:
    """The models that the photos ask for, each loaded once."""

    def __init__(self, camera: str | None, **options):
        self._camera, self._options = camera, options
        self._loaded: dict = {}
        self._default = ""
        self._known: list[str] = []

    def load(self) -> None:
        """Load the model for photos that name no known camera, or the one that was asked for."""
        from priorraw_edge.runtime.engine import known_cameras, open_engine

        if not self._loaded:
            engine = open_engine(self._camera, **self._options)
            self._loaded[engine.camera], self._default = engine, engine.camera
            self._known = known_cameras(self._options["bundle"], self._options["assets"])

    def choose(self, facts):
        """Whose RAW a photo becomes, and why."""
        from priorraw_edge.runtime.which import choose_camera

        asked_for = self._camera or self._options["bank"]
        return choose_camera(facts, self._known, self._default, self._default if asked_for else None)

    def __getitem__(self, camera: str):
        from priorraw_edge.runtime.engine import open_engine

        if camera not in self._loaded:
            self._loaded[camera] = open_engine(camera, **self._options)
        return self._loaded[camera]


def _reconstruct_one(job, engine, photo, facts, choice, given, max_memory: int | None) -> dict:
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
    notes += choice.notes
    for note in notes:
        say(f"{job.photo}: {note}")
    stream = Stream(source, engine, job.photo.name, hint.neutral if hint else None)
    check_memory(str(job.photo), source.width, engine.tile_size, max_memory)
    write_stream(stream, job, facts)
    return {
        "photo": str(job.photo),
        "output": str(job.out),
        "reliability": str(job.reliability) if job.reliability else None,
        "format": job.file_format,
        "camera": stream.camera,
        "camera_reason": choice.reason,
        "width": source.width,
        "height": source.height,
        "hint": {"gains": [round(float(gain), 6) for gain in hint.gains], "source": hint.source} if hint else None,
        "neutral": [round(float(value), 6) for value in stream.neutral()],
        "reliability_mean": round(stream.mean_reliability(), 4),
        "notes": notes,
    }
