"""`priorraw-edge demo`: everything once, and a page to look at."""

import time
from pathlib import Path

import click

A_PATH = click.Path(path_type=Path)


@click.command()
@click.option("-o", "--out", default="build/demo", show_default=True, type=A_PATH, help="Folder to write.")
@click.option("--photo", type=A_PATH, help="Photograph to rebuild.  [default: the shipped sample]")
@click.option("--camera", help="Whose RAW to rebuild.  [default: sony-imx135]")
@click.option("--assets", type=A_PATH, help="Asset folder; the shipped one by default.")
@click.option("--dataset", type=A_PATH, help="Pair dataset of the camera: shows real test pictures too.")
@click.option("--data", envvar="PRIORRAW_DATA", type=A_PATH, help="Real sensor data to make one from ($PRIORRAW_DATA).")
def command(
    out: Path,
    photo: Path | None,
    camera: str | None,
    assets: Path | None,
    dataset: Path | None,
    data: Path | None,
) -> int:
    """Export and verify bundles, rebuild a photograph, and write report.html. Exit code 1 if a check fails."""
    from priorraw_edge.demo.run import run_demo

    start = time.monotonic()
    demo = run_demo(out, photo=photo, camera=camera, assets=assets, dataset=dataset, data=data)
    for pair in demo.pairs:
        figures = ", ".join(f"{name} {score.psnr:.2f} dB" for name, score in pair.scores.items())
        click.echo(f"{pair.pair.name}: {figures}")
    for bundle in demo.bundles:
        click.echo(
            f"{out / 'bundles' / bundle.manifest['target']}: {'verified' if bundle.report.passed else 'CHECK FAILED'}"
        )
    click.echo(f"{out / demo.dng.name}: {'reads back exactly' if demo.dng.exact else 'READS BACK CHANGED'} in LibRaw")
    click.echo(f"{out / 'report.html'}: open it in a browser ({time.monotonic() - start:.0f} s)")
    return 0 if demo.passed else 1
