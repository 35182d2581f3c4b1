"""priorraw-edge bench"""

import json
from pathlib import Path
from typing import Any

import click

A_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--rows", help="Names of rows, with commas between; all by default. See --list.")
@click.option("--list", "listed", is_flag=True, help="List the rows and leave.")
@click.option("--bundle", "bundles", multiple=True, type=A_PATH, help="Measure this bundle too. Repeatable.")
@click.option(
    "--megapixels",
    default=12.0,
    show_default=True,
    type=click.FloatRange(0.01, 200),
    help="Of the picture that our rows process; slow rows take a smaller one.",
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 1000), help="Figures are their medians.")
@click.option("--threads", type=click.IntRange(1, 1024), help="All cores by default.")
@click.option("--camera", help="Camera whose bank is used; sony-imx135 by default.")
@click.option("--assets", type=A_PATH, help="Asset folder; the shipped one by default.")
@click.option("--out", "-o", type=A_PATH, help="Write the result as JSON to this file too.")
@click.option("--html", type=A_PATH, help="Write the result as a page too, with plots.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    rows: str | None,
    listed: bool,
    bundles: tuple[Path, ...],
    megapixels: float,
    rounds: int,
    threads: int | None,
    camera: str | None,
    assets: Path | None,
    out: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Measure time, memory and work per megapixel, beside rivals and the machine's own limits.

    Rows run in processes of their own and take turns. The rivals' rows need a clone of the sources. Bundles are
    exported to build/bench/ the first time: some minutes.
    """
    from priorraw_edge.bench.rows import all_rows

    if listed:
        for row in all_rows():
            click.echo(f"{row.name:<27}{row.of}: {row.label}")
        return
    from priorraw.assets import cameras_in, shipped_assets
    from priorraw.cameras import unknown_camera
    from priorraw.errors import InputError
    from priorraw.files import write_json

    from priorraw_edge.bench.machine import cores
    from priorraw_edge.bench.run import Settings, bench, choose
    from priorraw_edge.runtime.engine import DEFAULT_CAMERA

    camera = camera or DEFAULT_CAMERA
    if camera not in (known := cameras_in(assets or shipped_assets())):
        raise InputError(unknown_camera(camera, known))
    if threads and threads > cores():
        raise InputError(f"--threads {threads}: this machine lends {cores()} cores; take no more")
    names = [name.strip() for name in rows.split(",")] if rows else []
    result = bench(choose(names, bundles), Settings(megapixels, rounds, threads or 0, camera, assets))
    if out:
        write_json(out, result)
    if html:
        from priorraw_edge.report.benchmark import write_benchmark

        write_benchmark(result, html)
    if as_json:
        click.echo(json.dumps(result, indent=2, sort_keys=True))
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from priorraw_edge.bench.table import limits_table, machine_lines, ratios_table, skipped_lines, terminal_table

    console = Console()
    for title, (header, lines) in (
        ("Machine", limits_table(result)),
        ("Per megapixel", terminal_table(result)),
        ("Ratios", ratios_table(result)),
    ):
        table = Table(title=title, box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
        for column in header:
            table.add_column(column, overflow="fold")
        for cells in lines:
            table.add_row(*cells)
        console.print(table)
    for line in [*skipped_lines(result), *machine_lines(result)]:
        click.echo(line)
