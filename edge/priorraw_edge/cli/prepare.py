"""priorraw-edge prepare: camera files, packs and PNG folders to a pair dataset."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Dataset folder to write.")
@click.option("--camera", help="Camera of the dataset; camera files name their own.")
@click.option("--split", default="train=0.7,val=0.1,test=0.2", show_default=True, help="Shares, or one name.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws the splits.")
@click.option("--size", type=click.IntRange(min=1), help="Shrink so that the long side is at most this.")
@click.option(
    "--srgb",
    type=click.Choice(["isp", "camera"]),
    default="isp",
    show_default=True,
    help="Our software ISP, or the camera's own JPEG beside or inside each camera file.",
)
@click.option("--srgb-bits", type=click.Choice(["8", "16"]), default="8", show_default=True)
@click.option(
    "--like",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Another camera's dataset: a scene photographed with both takes the split it has there. Repeatable.",
)
@click.option("--task", type=click.Choice(["raw", "bit-depth"]), default="raw", show_default=True)
@click.option("--bits", type=click.IntRange(1, 15), help="bit-depth: bits of the low pictures.  [default: 4]")
@click.option("--high-bits", type=click.IntRange(2, 16), help="bit-depth: bits of the high pictures.  [default: 8]")
@click.option("--shrink", type=click.IntRange(2, 8), help="bit-depth: reduce pictures by this whole factor first.")
@click.option("--skip-bad", is_flag=True, help="Name what cannot be read and go on.")
@click.option("--black-level", type=float, help="Of packs and PNG folders, in counts; 0 by default.")
@click.option("--white-level", type=float, help="Of packs and PNG folders, in counts; 65535 by default.")
@click.option("--color-matrix", help="Nine numbers, XYZ (D65) to camera, row by row, as in DNG ColorMatrix.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    sources: tuple[Path, ...],
    out: Path,
    camera: str | None,
    split: str,
    seed: int,
    size: int | None,
    srgb: str,
    srgb_bits: str,
    like: tuple[Path, ...],
    task: str,
    bits: int | None,
    high_bits: int | None,
    shrink: int | None,
    skip_bad: bool,
    black_level: float | None,
    white_level: float | None,
    color_matrix: str | None,
    as_json: bool,
) -> None:
    """Turn SOURCEs into a dataset of (sRGB, raw-RGB) pairs.

    A SOURCE is a camera file or a folder of them, a pack (.npz with raw, illuminant, name), or a folder of
    16-bit linear PNG with illuminants in NAME.json or in csv files. SimpleCube++ needs --black-level 2048
    --white-level 16383.

    With --srgb camera the raw-RGB is resampled to the pixels of the camera's JPEG: NAME.jpg beside the camera file,
    else the preview inside. Turn, crop, scale and shift are estimated; what does not fit is refused.

    With --task bit-depth a SOURCE is a picture of 8 or 16 bits (PNG, JPEG, TIFF, Radiance .hdr) or a folder of them,
    and the pairs are low and high: the low codes are the high ones without their last bits.
    """
    from priorraw.task_options import only_for

    raw = ("camera", "size", "srgb", "srgb_bits", "like", "black_level", "white_level", "color_matrix")
    if task == "bit-depth":
        only_for("raw", *raw)
        _prepare_depths(sources, out, split, bits or 4, high_bits or 8, seed, shrink or 1, skip_bad, as_json)
        return
    only_for("bit-depth", "bits", "high_bits", "shrink")
    from priorraw.cameras import parse_color_matrix
    from priorraw.prepare import prepare
    from priorraw.splits import parse_splits

    summary = prepare(
        sources,
        out,
        parse_splits(split),
        camera=camera,
        color_matrix=None if color_matrix is None else parse_color_matrix(color_matrix),
        seed=seed,
        size=size,
        srgb_bits=int(srgb_bits),
        like=like,
        black=black_level,
        white=white_level,
        skip_bad=skip_bad,
        camera_srgb=srgb == "camera",
    )
    if as_json:
        fields = {
            "folder": str(summary.folder),
            "camera": summary.camera,
            "pairs": summary.pairs,
            "matched": summary.matched,
            "skipped": summary.skipped,
        }
        if summary.closed_form_psnr is not None:
            fields["closed_form_psnr"] = summary.closed_form_psnr
        click.echo(json.dumps(fields, indent=2))
        return
    counts = ", ".join(f"{n} {name}" for name, n in summary.pairs.items())
    followed = f", {summary.matched} scenes matched to --like" if like else ""
    skipped = f", {len(summary.skipped)} skipped" if summary.skipped else ""
    click.echo(f"{summary.folder}: {summary.camera}, pairs: {counts}{followed}{skipped}")
    if summary.closed_form_psnr is not None:
        click.echo(f"the camera's rendering is not ours: undone by ours, {summary.closed_form_psnr:.1f} dB")


def _prepare_depths(
    sources: tuple[Path, ...],
    out: Path,
    split: str,
    bits: int,
    high_bits: int,
    seed: int,
    shrink: int,
    skip_bad: bool,
    as_json: bool,
) -> None:
    from priorraw.bit_depth import Depths
    from priorraw.depth_prepare import prepare_depths
    from priorraw.splits import parse_splits

    from priorraw_edge.depth_sources import expand, walk

    paths, splits = expand(sources), parse_splits(split)
    depths = Depths(bits, high_bits)
    summary = prepare_depths(walk(paths), len(paths), out, depths, splits, seed=seed, shrink=shrink, skip_bad=skip_bad)
    if as_json:
        click.echo(json.dumps(vars(summary) | {"folder": str(summary.folder)}, indent=2))
        return
    counts = ", ".join(f"{n} {name}" for name, n in summary.pairs.items())
    skipped = f", {len(summary.skipped)} skipped" if summary.skipped else ""
    click.echo(
        f"{summary.folder}: {depths.low} to {depths.high} bits, pairs: {counts}, "
        f"{summary.megapixels:.1f} megapixels{skipped}"
    )
