"""priorraw-edge verify"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from priorraw_edge.verify.cases import Case
    from priorraw_edge.verify.verify import Report


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--photo", "photos", multiple=True, type=click.Path(path_type=Path), help="Repeatable.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of photographs, or a pair dataset: then the PSNR lost against the true RAW is measured.",
)
@click.option("--camera", help="The only bank to look at; all by default.")
@click.option(
    "--bound", type=click.FloatRange(0, 200), help="Least dB of the lowered raw-RGB, for the precision's own."
)
@click.option("--assets", type=click.Path(path_type=Path), help="Asset folder; the shipped one by default.")
@click.option("--public-key", type=click.Path(path_type=Path), help="Refuse what was not signed with this key.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the report as a page too.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    bundle: Path,
    photos: tuple[Path, ...],
    images: Path | None,
    camera: str | None,
    bound: float | None,
    assets: Path | None,
    public_key: Path | None,
    html: Path | None,
    as_json: bool,
) -> int:
    """Prove that BUNDLE computes what PyTorch computes, on its golden picture, photographs and edge tiles.

    Without --photo and --images the sample pictures of the assets are used. Exit code 1: a stage is beyond its bound;
    the first operator that departs is named.
    """
    from priorraw_edge.verify.verify import verify_bundle

    report = verify_bundle(
        bundle,
        lambda tile: _cases(photos, images, tile),
        assets,
        camera=camera,
        raw_bound=bound,
        public_key=public_key,
    )
    if html:
        from priorraw_edge.report.verification import write_verification

        write_verification(report, bundle.name, html)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _tables(report)
    return 0 if report.passed else 1


def _cases(photos: tuple[Path, ...], images: Path | None, tile: int) -> "list[Case]":
    from priorraw_edge.export.golden import sample_pictures
    from priorraw_edge.runtime.picture import read_picture
    from priorraw_edge.verify.cases import folder_cases, photograph_case

    cases = folder_cases(images, tile) if images else []
    chosen = photos or (() if images else sample_pictures())
    return cases + [photograph_case(path.name, read_picture(path).srgb, tile) for path in chosen]


def _tables(report: "Report") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from priorraw_edge.verify.rows import summary_rows

    table = Table(title=f"{report.target}, {report.precision}", box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    header, rows = summary_rows(report)
    for i, title in enumerate(header):
        table.add_column(title, no_wrap=True, justify="left" if i < 2 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    for camera, comparisons in report.comparisons.items():
        for c in comparisons:
            if not c.passed:
                click.echo(
                    f"FAIL {camera}, {c.picture}, {c.stage}, {c.output}: {c.psnr:.1f} dB, bound {c.bound:.0f} dB, "
                    f"largest error {c.max_error:.1e}"
                )
    for s in report.summaries:
        if not s.passed:
            click.echo(
                f"FAIL {s.camera}, {s.stage}: mean {s.mean_psnr or 0:.1f} dB, bound {s.mean_bound or 0:.0f} dB; "
                f"{s.loss:.3f} dB of PSNR lost, at most {s.most_lost or 0:.2f} dB"
            )
    for line in report.faults:
        click.echo(f"FAIL {line}")
    for line in report.culprits:
        click.echo(f"first to depart: {line}")
    for line in report.notes:
        click.echo(f"note: {line}")
    click.echo("all stages pass" if report.passed else "verification failed")
