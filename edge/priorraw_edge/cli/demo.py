"""`priorraw-edge demo`: everything once, and a report to look at; or the local page, until it is stopped."""

import subprocess
import sys
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
@click.option("--serve", is_flag=True, help="Serve the local page instead: drop a photograph, look at its RAW.")
@click.option("--host", metavar="ADDRESS", help="With --serve: bind to this address.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="With --serve; 0 takes a free one.  [default: 8642]")
@click.option("--bundle", "served", type=A_PATH, help="With --serve: run this xnnpack bundle.  [default: a kept one]")
@click.option("--open", "open_browser", is_flag=True, help="With --serve: open the page in a browser.")
def command(
    out: Path,
    photo: Path | None,
    camera: str | None,
    assets: Path | None,
    dataset: Path | None,
    data: Path | None,
    serve: bool,
    host: str | None,
    port: int | None,
    served: Path | None,
    open_browser: bool,
) -> int:
    """Export and verify bundles, rebuild a photograph, and write report.html. Exit code 1 if a check fails.

    With --serve, a page on this machine: drop a photograph, compare it with its RAW, take the DNG. The model is
    exported on the first start and kept in the user's cache. Only this machine reaches it, unless --host says more.
    """
    if serve:
        _serve(served, assets, host, port, open_browser)
        return 0
    if host or port is not None or served or open_browser:
        raise click.UsageError("--host, --port, --bundle and --open belong to --serve; add it")

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


def _serve(bundle: Path | None, assets: Path | None, host: str | None, port: int | None, open_browser: bool) -> None:
    from priorraw_edge.page.serve import DEFAULT_PORT, serve

    if bundle and assets:
        raise click.UsageError("--bundle and --assets exclude each other; give one")
    serve(
        bundle or _kept_bundle(assets),
        host=host or "127.0.0.1",
        port=DEFAULT_PORT if port is None else port,
        open_browser=open_browser,
        announce=lambda address: click.echo(f"{address} is ready; Ctrl-C stops it"),
    )


def _kept_bundle(assets: Path | None) -> Path:
    """Of a process of its own, so that what exports stays out of the server's memory."""
    call = [sys.executable, "-P", "-m", "priorraw_edge.page.bundle_cache", *([str(assets)] if assets else [])]
    made = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        sys.exit(made.returncode)
    return Path(made.stdout.strip())
