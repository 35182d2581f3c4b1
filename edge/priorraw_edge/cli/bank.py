"""priorraw-edge bank build"""

import json
from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Compress reference pixels into a prior bank."""


@command.command()
@click.argument("datasets", nargs=-1, required=True, type=FOLDER)
@click.option("-o", "--out", required=True, type=FOLDER, help="The bank.safetensors to write.")
@click.option("--encoder", type=FOLDER, help="encoder.safetensors; the shipped one by default.")
@click.option("--entries", "K", default=5000, show_default=True, type=click.IntRange(1), help="K, entries.")
@click.option(
    "--group",
    "G",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    help="G, reference pixels per entry.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "as_json", is_flag=True)
def build(
    datasets: tuple[Path, ...], out: Path, encoder: Path | None, K: int, G: int, seed: int, as_json: bool
) -> None:
    """Build a bank from the train splits of DATASETS, all of one camera."""
    from priorraw.assets import ENCODER, load_model, shipped_assets
    from priorraw.bank import build_bank
    from priorraw.errors import InputError
    from priorraw.files import sha256
    from priorraw.pictures import load_cameras

    encoder = encoder or shipped_assets() / ENCODER
    model = load_model([encoder])
    cameras = load_cameras(datasets, "train")
    if len(cameras) > 1:
        raise InputError(f"a bank is for one camera; these datasets hold {', '.join(c.name for c in cameras)}")
    bank, (bank_psnr, full_psnr) = build_bank(
        model, cameras[0].pictures, cameras[0].bank_info(sha256(encoder), K, G, seed)
    )
    bank.save(out)
    if as_json:
        figures = {"bank_psnr": bank_psnr, "full_reference_psnr": full_psnr, "bytes": out.stat().st_size}
        click.echo(json.dumps({**vars(bank.info), **figures}, indent=2))
        return
    info = bank.info
    click.echo(
        f"{out}: {info.K} entries for {info.reference_pixels:,} pixels of {info.reference_pictures} pictures, "
        f"{out.stat().st_size / 1e6:.2f} MB"
    )
    click.echo(f"assembled RAW of the references: {bank_psnr:.2f} dB from the bank")
    click.echo(f"                                 {full_psnr:.2f} dB from all other reference pictures")
