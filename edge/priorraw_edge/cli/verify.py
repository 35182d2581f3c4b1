"""priorraw-edge verify"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from priorraw_edge.verify.verify import Report


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--photo", "photos", multiple=True, type=click.Path(path_type=Path), help="Repeatable.")
@click.option("--assets", type=click.Path(path_type=Path), help="Asset folder; the shipped one by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(bundle: Path, photos: tuple[Path, ...], assets: Path | None, as_json: bool) -> int:
    """Prove that BUNDLE computes what PyTorch computes, on its golden picture and on photographs.

    Without --photo the sample pictures of the assets are used. Exit code 1: a stage is beyond its bound.
    """
    from priorraw.progress import say

    from priorraw_edge.export.golden import sample_pictures
    from priorraw_edge.runtime.picture import read_picture
    from priorraw_edge.verify.mil import UncoveredOpError
    from priorraw_edge.verify.verify import verify_bundle

    pictures = {str(path): read_picture(path).srgb for path in photos or sample_pictures()}
    try:
        report = verify_bundle(bundle, pictures, assets)
    except UncoveredOpError as error:
        say(f"priorraw-edge: cannot prove this bundle: {error}")
        return 1
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _table(report)
    return 0 if report.passed else 1


def _table(report: "Report") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    for picture in dict.fromkeys(c.picture for c in report.comparisons):
        table = Table(
            title=f"{report.target} {report.precision}, {report.camera}: {picture}",
            box=box.SIMPLE,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for title in ("stage", "output"):
            table.add_column(title, no_wrap=True)
        for title in ("max", "mean", "PSNR", "bound", ""):
            table.add_column(title, justify="right", no_wrap=True)
        comparisons = [c for c in report.comparisons if c.picture == picture]
        for c in sorted(comparisons, key=lambda c: c.stage):
            stage = c.stage.removeprefix(f"{report.precision} ")
            psnr = "equal" if c.psnr is None else f"{c.psnr:.1f}"
            bound = f"{c.max_bound:.0e} {c.psnr_bound:.0f} dB"
            errors = (f"{c.max_error:.1e}", f"{c.mean_error:.1e}")
            table.add_row(stage, c.output, *errors, psnr, bound, "pass" if c.passed else "FAIL")
        Console().print(table)
    for fault in report.faults:
        click.echo(f"FAIL {fault}")
    click.echo("all stages pass" if report.passed else "verification failed")
