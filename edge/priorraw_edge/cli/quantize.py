"""priorraw-edge quantize"""

import json
from pathlib import Path

import click

COST_PICTURES = 8  # of each folder


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Recipe file to write; export takes it from assets.")
@click.option("--sweep", is_flag=True, help="Quantise every layer alone and show what it costs.")
@click.option("--tile", default=256, show_default=True, type=click.IntRange(72, 1024), help="Side of a tile in pixels.")
@click.option("--camera", help="Whose bank goes with folders of pictures; a pair dataset names its own.")
@click.option("--assets", type=click.Path(path_type=Path), help="Asset folder; the shipped one by default.")
@click.option("--json", "as_json", is_flag=True)
def command(
    folders: tuple[Path, ...],
    out: Path | None,
    sweep: bool,
    tile: int,
    camera: str | None,
    assets: Path | None,
    as_json: bool,
) -> None:
    """Measure the ranges of int8 activations on the photographs in FOLDERS, and what int8 costs.

    Of a pair dataset the train split gives the ranges and the val split the cost; of a folder of pictures, every
    fourth picture is kept for the cost. Crops of the sample photographs join the ranges.
    """
    from priorraw.errors import InputError

    if tile % 8:
        raise InputError(f"--tile {tile}: not a multiple of 8; take {tile // 8 * 8}")
    from priorraw.files import write_json

    from priorraw_edge.export.calibration import ENOUGH, measure_recipes, recipe_document
    from priorraw_edge.export.programs import trace
    from priorraw_edge.export.quantize import quantise
    from priorraw_edge.export.sweep import measure
    from priorraw_edge.export.sweep import sweep as sweep_layers

    prior, calibration, pictures = _pictures(folders, camera, assets, tile)
    if len(calibration) < 2 * ENOUGH:
        click.echo(f"few pictures for the ranges; {ENOUGH} and more make better ones", err=True)
    programs = trace(prior.model, pictures[0])
    recipes = measure_recipes(programs, calibration)
    rows = [measure(prior.model, p, quantise(p, recipes[p.name]), "default", pictures) for p in programs]
    if sweep:
        rows = list(sweep_layers(prior.model, programs, calibration, pictures))
    if out:
        origin = {"folders": [folder.name for folder in folders], "pictures": len(calibration)}
        write_json(out, recipe_document(prior, recipes, origin))
    if as_json:
        click.echo(json.dumps([vars(row) for row in rows], indent=2))
        return
    click.echo(f"{'program':8}{'int8 layers':34}{'weights':>9}{'raw-RGB dB':>12}{'worst':>8}{'reliability':>13}")
    for row in rows:
        click.echo(
            f"{row.program:8}{row.layers:34}{row.weights:>9,}{row.raw:>12.1f}{row.raw_worst:>8.1f}"
            f"{row.reliability:>13.1f}"
        )


def _pictures(folders: tuple[Path, ...], camera: str | None, assets: Path | None, tile: int):
    """The model with a bank, and `eager_tensors` for the ranges and for the cost."""
    from priorraw.assets import load_assets
    from priorraw.files import read_json

    from priorraw_edge.export.calibration import eager_tensors, folder_pictures, sample_crops
    from priorraw_edge.runtime.engine import DEFAULT_CAMERA

    calibration, measured = [], []
    for folder in folders:
        described = folder / "dataset.json"
        own = read_json(described).get("camera") if described.is_file() else camera
        prior = load_assets(own or camera or DEFAULT_CAMERA, assets)
        if described.is_file():
            ranges, cost = (folder_pictures(folder, split) for split in ("train", "val"))
        else:
            pictures = folder_pictures(folder, "train")
            cost = pictures[::4]
            ranges = [p for i, p in enumerate(pictures) if i % 4] or pictures
        calibration += [eager_tensors(prior, srgb, tile) for srgb in ranges]
        measured += [eager_tensors(prior, srgb, tile) for srgb in cost[:COST_PICTURES]]
    # Crops of the samples are exposed otherwise than most sets: a picture beyond the ranges is spoilt.
    calibration += [eager_tensors(prior, srgb, tile) for srgb in sample_crops()]
    return prior, calibration, measured
