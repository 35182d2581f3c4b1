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
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _table(result)


def _table(result: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ("psnr", "ssim", "psnr_clipped", "psnr_unclipped", "psnr_known_gains", "light_error")
    table = Table(title=_title(result))
    table.add_column("picture", no_wrap=True)
    for title in ("PSNR dB", "SSIM", "clipped dB", "unclipped dB", "known gains dB", "light °"):
        table.add_column(title, justify="right")

    def cells(figures: dict) -> list[str]:
        digits = {"ssim": 4}
        return ["" if figures[c] is None else f"{figures[c]:.{digits.get(c, 2)}f}" for c in columns]

    for image in result["images"]:
        table.add_row(image["name"], *cells(image))
    table.add_section()
    table.add_row(f"mean of {len(result['images'])}", *cells(result))
    Console().print(table)
    click.echo(f"median: {result['psnr_median']:.2f} dB, light {result['light_error_median']:.2f}°")
    if result["sparsification"] is not None:
        areas = (result["sparsification"], result["sparsification_oracle"])
        click.echo("error left when the least reliable go: {:.3f}; at best {:.3f}, by chance 1".format(*areas))
    click.echo(f"worst: {', '.join(result['worst'])}")


def _title(result: dict) -> str:
    """What was measured, with all that makes it another column than the blind one on the stored pictures."""
    given = result["input"]
    parts = [f"{result['camera']} {result['split']}", result["stage"]]
    parts += ["with the true light as a hint"] * result["hint"]
    parts += [f"{given['bits']}-bit sRGB"] * bool(given["bits"])
    parts += [f"JPEG {given['jpeg']} {given['subsampling']}"] * bool(given["jpeg"])
    return ", ".join(parts)
