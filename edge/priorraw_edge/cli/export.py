"""priorraw-edge export"""

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--target", required=True, metavar="TARGET", help="See: priorraw-edge targets.")
@click.option("--task", type=click.Choice(["raw", "bit-depth"]), default="raw", show_default=True)
@click.option(
    "--camera", help="Camera whose bank the bundle carries.  [default: sony-imx135; bit-depth: bit-depth-4to8]"
)
@click.option("--assets", type=click.Path(path_type=Path), help="Asset folder; the shipped one by default.")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Default: build/bundles/TARGET-CAMERA.")
@click.option("--tile", type=int, help="Side of a tile in pixels, a multiple of 8.")
@click.option("--precision", help="See: priorraw-edge targets.")
@click.option(
    "--calibration", type=click.Path(path_type=Path), help="Folder of photographs that int8 ranges come from."
)
@click.option("--golden", type=click.Path(path_type=Path), help="Photograph for the bundle's self-test.")
@click.option("--sign", "key", type=click.Path(path_type=Path), help="Private key (priorraw-edge bundle key).")
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json.")
def command(
    target: str,
    task: str,
    camera: str | None,
    assets: Path | None,
    out: Path | None,
    tile: int | None,
    precision: str | None,
    calibration: Path | None,
    golden: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Lower the model for a device and write a bundle: programs, prior bank, self-test, bundle.json."""
    from priorraw.errors import InputError

    from priorraw_edge.export.targets import (
        check_request,
        check_task,
        default_precision,
        default_tile,
        find_target,
    )
    from priorraw_edge.runtime.signature import check_private_key

    if key is not None:
        check_private_key(key)  # before minutes of work
    chosen = find_target(target)
    precision = check_request(chosen, tile, precision or default_precision(chosen, task))
    tile = default_tile(chosen, task) if tile is None else tile
    check_task(chosen, task, tile, precision)
    if calibration is not None and precision not in chosen.measured:
        raise InputError(f"--calibration: {chosen.name} {precision} measures no ranges; leave it out")

    from priorraw.assets import load_assets

    from priorraw_edge.export.bundle import export_bundle
    from priorraw_edge.runtime.engine import DEFAULT_CAMERA, DEFAULT_DEPTHS
    from priorraw_edge.verify.verify import measure_bank

    prior = load_assets(camera or (DEFAULT_CAMERA if task == "raw" else DEFAULT_DEPTHS), assets, task)
    out = out or Path("build/bundles") / f"{chosen.name}-{precision}-{prior.camera}"
    manifest = export_bundle(
        prior,
        chosen,
        out,
        tile=tile,
        precision=precision,
        golden=golden,
        calibration=calibration,
        assets=assets,
        measure=measure_bank,
        key=key,
    )
    if as_json:
        click.echo(json.dumps(manifest, indent=2, sort_keys=True))
    else:
        _tables(out, manifest)


def _tables(out: Path, manifest: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    delegation = Table(title=f"{manifest['target']}, {manifest['camera']}, {manifest['precision']}")
    delegation.add_column("program")
    for title in ("delegates", "nodes inside", "nodes outside"):
        delegation.add_column(title, justify="right")
    delegation.add_column("operators outside")
    for name, entry in manifest["delegation"].items():
        counts = [str(entry[key]) for key in ("delegates", "delegated_nodes", "left_nodes")]
        delegation.add_row(name, *counts, ", ".join(entry["left"]) or "none")
    console.print(delegation)
    files = Table("file", title=str(out))
    files.add_column("KiB", justify="right")
    for name, size in manifest["bytes"].items():
        files.add_row(name, f"{size / 1024:.0f}")
    console.print(files)
