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
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(dataset: Path, split: str, camera: str | None, assets: Path | None, stage: str, as_json: bool) -> None:
    """Measure PSNR and SSIM of DATASET, per picture and mean."""
    from priorraw.assets import load_assets
    from priorraw.dataset import PairDataset
    from priorraw.evaluate import evaluate

    pairs = PairDataset.open(dataset, split, camera)
    result = evaluate(pairs, load_assets(camera or pairs.camera, assets), stage)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _table(result)


def _table(result: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ("psnr", "ssim", "psnr_clipped", "psnr_unclipped", "light_error")
    table = Table(title=f"{result['camera']} {result['split']}, {result['stage']}")
    table.add_column("picture")
    for title in ("PSNR dB", "SSIM", "clipped dB", "unclipped dB", "light °"):
        table.add_column(title, justify="right")

    def cells(figures: dict) -> list[str]:
        digits = {"ssim": 4}
        return ["" if figures[c] is None else f"{figures[c]:.{digits.get(c, 2)}f}" for c in columns]

    for image in result["images"]:
        table.add_row(image["name"], *cells(image))
    table.add_section()
    table.add_row(f"mean of {len(result['images'])}", *cells(result))
    Console().print(table)
    click.echo(f"worst: {', '.join(result['worst'])}")
