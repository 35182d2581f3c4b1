"""priorraw-edge evaluate"""

import json
from pathlib import Path

import click

from priorraw_edge.cli import photo_options


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True)
@click.option("--camera", help="Camera whose bank is used; the dataset's by default.")
@click.option("--assets", type=click.Path(path_type=Path), help="Asset folder; the shipped one by default.")
@click.option(
    "--stage",
    type=click.Choice(["reconstructed", "assembled", "inferred-light", "mean-light", "true-light"]),
    default="reconstructed",
    show_default=True,
    help="The whole method, the bank alone (half resolution), or a closed-form inverse with that light.",
)
@click.option("--hint", is_flag=True, help="Give the method the scene's true light, as a camera's EXIF would.")
@click.option("--jpeg", type=click.IntRange(1, 100), metavar="QUALITY", help="Put the sRGB through a JPEG first.")
@click.option(
    "--subsampling",
    type=click.Choice(["4:2:0", "4:4:4"]),
    help="Chroma of that JPEG.  [default: 4:2:0]",
)
@click.option("--task", type=click.Choice(["raw", "bit-depth"]), default="raw", show_default=True)
@click.option(
    "--bits",
    type=click.IntRange(1, 16),
    help="Depth of the sRGB, 8 or 16, which is rendered again [default: as stored]; with bit-depth that of the low "
    "pictures [default: 4].",
)
@click.option("--html", type=click.Path(path_type=Path), help="Write the figures as a page too, with plots.")
@click.option("--high-bits", type=click.IntRange(2, 16), help="bit-depth: bits to recover.  [default: 8]")
@click.option("--bundle", type=click.Path(path_type=Path), help="bit-depth: run this xnnpack bundle, not PyTorch.")
@photo_options.views
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(
    dataset: Path,
    split: str,
    camera: str | None,
    assets: Path | None,
    stage: str,
    hint: bool,
    jpeg: int | None,
    subsampling: str | None,
    html: Path | None,
    task: str,
    bits: int | None,
    high_bits: int | None,
    bundle: Path | None,
    views: int,
    as_json: bool,
) -> None:
    """Measure PSNR and SSIM of DATASET, per picture and mean.

    With --task bit-depth DATASET may also be a plain folder of pictures: the low pictures are made of them.
    """
    from priorraw.task_options import only_for

    if task == "bit-depth":
        only_for("raw", "camera", "stage", "hint", "jpeg", "subsampling", "html")
        _evaluate_depth(dataset, split, bits or 4, high_bits or 8, assets, bundle, views, as_json)
        return
    only_for("bit-depth", "high_bits", "bundle", "views")
    if bits not in (None, 8, 16):
        raise click.UsageError(f"--bits {bits}: sRGB is read in 8 or 16")
    from priorraw.assets import load_assets
    from priorraw.dataset import PairDataset
    from priorraw.evaluate import evaluate
    from priorraw.srgb_input import SUBSAMPLINGS, SrgbInput

    if subsampling and jpeg is None:
        raise click.UsageError("--subsampling is of a JPEG; give --jpeg QUALITY too")
    srgb_input = SrgbInput(bits, jpeg, subsampling or SUBSAMPLINGS[0])
    pairs = PairDataset.open(dataset, split, camera)
    prior = load_assets(camera or pairs.camera, assets)
    result = evaluate(pairs, prior, stage, hint=hint, srgb_input=srgb_input)
    if html:
        from priorraw_edge.report.evaluation import write_evaluation

        write_evaluation(result, html)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _table(result)


def _table(result: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    from priorraw_edge.report.evaluation import evaluation_lines, evaluation_rows, title_of

    header, rows = evaluation_rows(result)
    table = Table(title=title_of(result))
    table.add_column(header[0], no_wrap=True)
    for title in header[1:]:
        table.add_column(title, justify="right")
    for row in rows[:-1]:
        table.add_row(*row)
    table.add_section()
    table.add_row(*rows[-1])
    Console().print(table)
    for line in evaluation_lines(result):
        click.echo(line)


def _evaluate_depth(
    folder: Path,
    split: str,
    bits: int,
    high_bits: int,
    assets: Path | None,
    bundle: Path | None,
    views: int,
    as_json: bool,
) -> None:
    from priorraw.bit_depth import Depths
    from priorraw.depth_dataset import DepthDataset
    from priorraw.evaluate_depth import dataset_pictures, evaluate_depth, is_dataset

    from priorraw_edge.runtime.deep import high_pictures, pictures_in, restorer
    from priorraw_edge.runtime.engine import open_engine
    from priorraw_edge.runtime.ensemble import with_views

    depths = Depths(bits, high_bits)
    if is_dataset(folder):
        dataset = DepthDataset.open(folder, split)
        pictures, count = dataset_pictures(dataset, depths), len(dataset)
    else:
        paths = pictures_in(folder)
        pictures, count = high_pictures(paths, depths), len(paths)
    engine = with_views(open_engine(depths.name, bundle=bundle, assets=assets, task="bit-depth"), views)
    result = {"views": views} | evaluate_depth(pictures, count, depths, restorer(engine, depths))
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{folder}, {depths.low} to {depths.high} bits, RGB, whole pictures")
    table.add_column("picture", no_wrap=True)
    for title in ("PSNR dB", "SSIM"):
        table.add_column(title, justify="right")
    for image in result["images"]:
        table.add_row(image["name"], f"{image['psnr']:.2f}", f"{image['ssim']:.4f}")
    table.add_section()
    table.add_row(f"mean of {count}", f"{result['psnr']:.2f}", f"{result['ssim']:.4f}")
    Console().print(table)
