"""`priorraw-edge info`: the shipped cameras, or what one camera's assets, a bundle or a bank hold."""

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("what", required=False, metavar="[CAMERA|BUNDLE|BANK]")
@click.option("--assets", type=click.Path(path_type=Path), help="Asset folder; the shipped one by default.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(what: str | None, assets: Path | None, as_json: bool) -> None:
    """List the cameras; or show one CAMERA, a BUNDLE folder or a BANK file. Hashes are checked."""
    from priorraw_edge.verify import inventory
    from priorraw_edge.verify.verify import read_bundle

    described: Any
    if what is None:
        described = inventory.list_cameras(assets)
    elif (path := Path(what)).is_dir():
        described = read_bundle(path)
    elif path.is_file() or path.suffix == ".safetensors":
        described = inventory.describe_bank(path)
    else:
        described = inventory.describe_camera(what, assets)
    if as_json:
        click.echo(json.dumps(described, indent=2))
    elif what is None:
        _print_cameras(described)
    else:
        _print_fields(described)


def _print_cameras(cameras: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Cameras: PSNR dB / SSIM on the held-out test pictures, linear raw-RGB")
    table.add_column("camera", no_wrap=True)
    for title in ("entries", "bank MB", "pictures", "ours", "mean light", "true light"):
        table.add_column(title, justify="right")
    for camera in cameras:
        bank = camera["bank"]
        row = [camera["camera"], f"{bank['K']:,}", f"{bank['bytes'] / 1e6:.2f}"]
        tests = camera["measured"].get("test", {})
        for test in tests.values():
            figures = [_figures(test.get(stage)) for stage in ("reconstructed", "mean-light", "true-light")]
            table.add_row(*row, str(test["pictures"]), *figures)
            row = ["", "", ""]
        if not tests:
            table.add_row(*row)
    Console().print(table)


def _figures(stage: dict[str, float] | None) -> str:
    return f"{stage['psnr']:.2f} / {stage['ssim']:.4f}" if stage else ""


def _print_fields(described: dict[str, Any], indent: str = "") -> None:
    """Nested dictionaries as indented lines; long lists of numbers stay on one line."""
    for key, value in described.items():
        if isinstance(value, dict):
            click.echo(f"{indent}{key}:")
            _print_fields(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                click.echo(f"{indent}{key}: " + ", ".join(f"{k} {v}" for k, v in item.items()))
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            click.echo(f"{indent}{key}: {text}")
