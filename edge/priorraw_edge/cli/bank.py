"""priorraw-edge bank build"""

import json
import time
from pathlib import Path

import click

A_PATH = click.Path(path_type=Path)
BANK = "bank.safetensors"


@click.group()
def command() -> None:
    """Compress reference pixels into a prior bank: of a camera's own files, or of a prepared dataset."""


@command.command()
@click.argument("datasets", nargs=-1, type=A_PATH)
@click.option("-o", "--out", type=A_PATH, help=f"The {BANK} to write, or a folder to put it in.")
@click.option("--task", type=click.Choice(["raw", "bit-depth"]), default="raw", show_default=True)
@click.option("--bits", type=click.IntRange(1, 15), help="bit-depth: of the low pictures.  [default: 4]")
@click.option("--high-bits", type=click.IntRange(2, 16), help="bit-depth: to recover.  [default: 8]")
@click.option(
    "--raws", multiple=True, type=A_PATH, metavar="DIR", help="Camera files of one camera, 5 to 100 (repeatable)."
)
@click.option("--camera", metavar="'MAKER MODEL'", help="With --raws: the bank's camera, if not as the files say.")
@click.option("--adapt", is_flag=True, help="With --raws: fit what the light assumes of the camera; a minute or two.")
@click.option(
    "--srgb",
    type=click.Choice(["isp", "camera"]),
    default="isp",
    show_default=True,
    help="With --raws: camera also fits how the camera renders, from its JPEGs beside or inside the files.",
)
@click.option("--skip-bad", is_flag=True, help="With --raws: name files that cannot be read and go on.")
@click.option("--color-matrix", help="With --raws: nine numbers, XYZ (D65) to camera, instead of the files' own.")
@click.option("--assets", type=A_PATH, help="Also write an asset folder: the model's parts and this bank.")
@click.option("--encoder", type=A_PATH, help="encoder.safetensors; the shipped one by default.")
@click.option("--light", type=A_PATH, help="light.safetensors; the shipped one by default.")
@click.option("--reconstructor", type=A_PATH, help="reconstructor.safetensors; the shipped one by default.")
@click.option("--entries", "K", default=5000, show_default=True, type=click.IntRange(1), help="K, entries.")
@click.option(
    "--group",
    "G",
    type=click.IntRange(1),
    help="G, reference pixels per entry.  [default: 50; with --raws as many as there are for one, 25 at most]",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option(
    "--passes",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="With datasets: k-means passes over all pixels, after those on a sample of 64 an entry.",
)
@click.option("--scratch", type=A_PATH, metavar="DIR", help="With datasets: keep encoded pixels here, to go on with.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="With datasets: this machine's cores, or a Ray cluster's workers (extra `scale`).",
)
@click.option("--workers", type=click.IntRange(1), metavar="N", help="With datasets.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print what was built as JSON.")
def build(
    datasets: tuple[Path, ...],
    out: Path | None,
    task: str,
    bits: int | None,
    high_bits: int | None,
    raws: tuple[Path, ...],
    camera: str | None,
    adapt: bool,
    srgb: str,
    skip_bad: bool,
    color_matrix: str | None,
    assets: Path | None,
    encoder: Path | None,
    light: Path | None,
    reconstructor: Path | None,
    K: int,
    G: int | None,
    seed: int,
    passes: int,
    scratch: Path | None,
    engine: str,
    workers: int | None,
    as_json: bool,
) -> None:
    """Build a bank from --raws, a camera's own RAW files, or from the train splits of DATASETS, all of one camera.

    With --raws nothing is trained: levels, colour matrix and as-shot white balance are read from the files, our ISP
    makes the sRGB, the shipped encoder the entries. Then each file is rebuilt from its sRGB with a bank of the
    others: that is the quality to expect. `reconstruct --bank` and `bundle add-bank --bank` take the result.

    Datasets may be of any size: pictures are encoded one by one into --scratch (38 numbers a half-resolution pixel,
    4 GB for 26 million) and read from there in parts, so memory does not grow with them.
    """
    from priorraw.task_options import only_for

    if task == "bit-depth":
        only_for("raw", "raws", "camera", "adapt", "skip_bad", "color_matrix", "assets", "light", "reconstructor")
        if out is None or encoder is None or not datasets:
            raise click.UsageError("--task bit-depth needs DATASETS, --encoder and -o")
        _of_depths(datasets, encoder, out, (bits or 4, high_bits or 8), K, G or 50, seed, as_json)
        return
    only_for("bit-depth", "bits", "high_bits")
    if bool(raws) == bool(datasets):
        raise click.UsageError("a bank comes from --raws or from datasets; give one of them")
    if out is None and assets is None:
        raise click.UsageError("give -o, the bank to write, or --assets, a folder for all parts")
    if datasets and (camera or adapt or skip_bad or color_matrix or srgb != "isp"):
        raise click.UsageError(
            "--camera, --adapt, --srgb, --skip-bad and --color-matrix go with --raws; leave them out"
        )
    if raws and G:
        raise click.UsageError("--group goes with datasets; --raws takes as many pixels as there are; leave it out")
    if raws and (passes or scratch or workers or engine != "local"):
        raise click.UsageError("--passes, --scratch, --engine and --workers go with datasets; leave them out")

    from priorraw.asset_parts import Parts, write_parts

    parts = Parts.choose(encoder, light, reconstructor)
    if raws:
        from priorraw.camera_bank import bank_of_raws, report, with_rendering
        from priorraw.cameras import camera_id, parse_color_matrix

        matrix = None if color_matrix is None else parse_color_matrix(color_matrix)
        built = bank_of_raws(
            parts.model(),
            raws,
            parts.encoder_sha256(),
            camera=camera_id("", camera) if camera else None,
            color_matrix=matrix,
            K=K,
            seed=seed,
            adapted=adapt,
            skip_bad=skip_bad,
        )
        if srgb == "camera":
            built = with_rendering(built, raws, skip_bad=skip_bad)
        bank, facts, lines = built.bank, report(built), _quality(built)
    else:
        bank, facts, lines = _of_datasets(parts, datasets, (K, G or 50, seed), passes, scratch, engine, workers)

    if out is not None:
        out = out if out.suffix == ".safetensors" else out / BANK
        bank.save(out)
        facts |= {"bank": str(out), "bytes": out.stat().st_size}
    if assets is not None:
        write_parts(assets, parts, bank, ["priorraw-edge bank build"])
        facts |= {"assets": str(assets), "bytes": (assets / bank.info.camera / BANK).stat().st_size}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    info = bank.info
    click.echo(
        f"{out or assets}: {info.camera}, {info.K} entries for {info.reference_pixels:,} pixels of "
        f"{info.reference_pictures} pictures, {facts['bytes'] / 1e6:.2f} MB"
    )
    for line in lines:
        click.echo(line)


def _of_datasets(
    parts,
    datasets: tuple[Path, ...],
    size: tuple[int, int, int],
    passes: int,
    scratch: Path | None,
    engine: str,
    workers: int | None,
):
    """Bank, facts and lines for the train splits of prepared datasets; `size` is K, G and the seed."""
    import tempfile
    from contextlib import ExitStack

    from priorraw.assets import load_model
    from priorraw.encode_shards import References, encode
    from priorraw.large_bank import build
    from priorraw.pictures import bank_info
    from priorraw.spread import RayCluster, Spread, Threads

    affinity = load_model([parts.encoder]).affinity
    references, sha256 = References.open(datasets), parts.encoder_sha256()
    info = bank_info(references.camera, references.color_matrix, references.lights(), sha256, *size)
    with ExitStack() as stack:
        spread: Spread = RayCluster(workers) if engine == "ray" else Threads(workers)
        stack.enter_context(spread)
        folder = scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = time.monotonic()
        shards = encode(parts.encoder, sha256, references, folder, spread)
        encoded = time.monotonic() - start
        built = build(affinity, shards, info, passes=passes, spread=spread)
    lines = [
        f"assembled RAW of the references: {built.bank_psnr:.2f} dB from the bank",
        f"                                 {built.full_psnr:.2f} dB from all other reference pictures",
    ]
    facts = {
        "bank_psnr": built.bank_psnr,
        "full_reference_psnr": built.full_psnr,
        "passes": [vars(step) for step in built.steps],
        "nearest_computed": built.computed,
        "seconds": {"encode": encoded, **built.seconds},
    }
    return built.bank, {**vars(built.bank.info), **facts}, lines


def _of_depths(
    datasets: tuple[Path, ...],
    encoder: Path,
    out: Path,
    bits: tuple[int, int],
    K: int,
    G: int,
    seed: int,
    as_json: bool,
) -> None:
    from priorraw.assets import load_model
    from priorraw.bank import build_bank
    from priorraw.bit_depth import TASK, Depths
    from priorraw.depth_pictures import bank_info, load_search_pictures
    from priorraw.files import sha256

    depths = Depths(*bits)
    pictures = load_search_pictures(datasets, "train", depths)
    info = bank_info(depths, sha256(encoder), K, G, seed)
    bank, (from_bank, from_all) = build_bank(load_model([encoder], TASK), pictures, info)
    out = out if out.suffix == ".safetensors" else out / BANK
    bank.save(out)
    info = bank.info
    if as_json:
        click.echo(
            json.dumps({**vars(info), "bank": str(out), "bank_psnr": from_bank, "full_reference_psnr": from_all})
        )
        return
    click.echo(f"{out}: {info.camera}, {info.K} entries for {info.reference_pixels:,} blocks of 8x8 pixels")
    click.echo(f"mean position in the interval: {from_bank:.2f} dB from the bank, {from_all:.2f} dB from all blocks")


def _quality(built) -> list[str]:
    """What a person should know: expected quality, then warnings."""
    lines = [f"leave one out, mean of {len(built.files)} files rebuilt with a bank of the others, PSNR on raw-RGB:"]
    for figure, title in (
        ("blind", "blind"),
        ("adapted", "blind, adapted"),
        ("hinted", "hinted"),
        ("mean_light", "closed form, mean light"),
    ):
        value = built.mean(figure)
        if value is not None:
            low = min(getattr(score, figure) for score in built.files)
            lines.append(f"  {title:<24} {value:.2f} dB, least {low:.2f}")
    lines.append(f"  {'light':<24} {built.mean('light_error'):.1f}° off")
    if built.rendering:
        fitted, ours = ([getattr(score, kind) for score in built.rendering] for kind in ("fitted", "ours"))
        lines.append(f"the camera's own JPEGs undone, {len(fitted)} files, white balance known:")
        lines.append(f"  {'its rendering, fitted':<24} {sum(fitted) / len(fitted):.2f} dB, least {min(fitted):.2f}")
        lines.append(f"  {'taken for our ISP':<24} {sum(ours) / len(ours):.2f} dB, least {min(ours):.2f}")
    return lines + [f"warning: {line}" for line in built.warnings]
