"""priorraw-edge evaluate"""

import json
from pathlib import Path

import click


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
@click.option(
    "--bits", type=click.Choice(["8", "16"]), help="Depth of the sRGB; 16 is rendered again.  [default: as stored]"
)
@click.option("--html", type=click.Path(path_type=Path), help="Write the figures as a page too, with plots.")
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
    bits: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Measure PSNR and SSIM of DATASET, per picture and mean."""
    from priorraw.assets import load_assets
    from priorraw.dataset import PairDataset
    from priorraw.evaluate import evaluate
    from priorraw.srgb_input import SUBSAMPLINGS, SrgbInput

    if subsampling and jpeg is None:
        raise click.UsageError("--subsampling is of a JPEG; give --jpeg QUALITY too")
    srgb_input = SrgbInput(int(bits) if bits else None, jpeg, subsampling or SUBSAMPLINGS[0])
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
