"""priorraw-edge bundle add-bank | remove | key | sign"""

import json
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Put a camera's bank into a bundle, or take it out; its programs stay as they are. Or sign it."""


SIGN = click.option(
    "--sign", "key", type=FOLDER, help="Private key to sign the bundle with again; else its signature goes."
)


@command.command("add-bank")
@click.argument("bundle", type=FOLDER)
@click.option("--camera", help="A camera of the assets.")
@click.option("--bank", type=FOLDER, help="A bank.safetensors of your own (priorraw-edge bank build).")
@click.option("--assets", type=FOLDER, help="Asset folder; the shipped one by default.")
@SIGN
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json.")
def add_bank_command(
    bundle: Path, camera: str | None, bank: Path | None, assets: Path | None, key: Path | None, as_json: bool
) -> None:
    """Add a bank to BUNDLE; parity with PyTorch is proved with it before the bundle changes."""
    from priorraw.errors import InputError

    if (camera is None) == (bank is None):
        raise InputError("a bank comes from --camera or from --bank; give one of them")

    from priorraw.assets import load_assets

    from priorraw_edge.export.bundle import add_bank
    from priorraw_edge.verify.verify import measure_bank, read_bundle

    manifest = read_bundle(bundle)
    prior = load_assets(camera, assets) if camera else _own_bank(manifest, bank, assets)
    _show(bundle, add_bank(bundle, manifest, prior, measure_bank, key), as_json)


@command.command("remove")
@click.argument("bundle", type=FOLDER)
@click.argument("camera")
@SIGN
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json.")
def remove_command(bundle: Path, camera: str, key: Path | None, as_json: bool) -> None:
    """Take the bank of CAMERA out of BUNDLE."""
    from priorraw_edge.export.bundle import remove_bank
    from priorraw_edge.verify.verify import read_bundle

    _show(bundle, remove_bank(bundle, read_bundle(bundle), camera, key), as_json)


@command.command("key")
@click.argument("key", type=FOLDER)
def key_command(key: Path) -> None:
    """Make a key pair to sign bundles with: KEY, which you keep, and KEY.pub, which those get who take them."""
    from priorraw_edge.runtime.signature import make_keys

    public = make_keys(key)
    click.echo(f"{key}: sign with it, give it to nobody\n{public}: what verify, reconstruct and the runners check with")


@command.command("sign")
@click.argument("bundle", type=FOLDER)
@click.option("--key", required=True, type=FOLDER, help="Private key.")
def sign_command(bundle: Path, key: Path) -> None:
    """Sign BUNDLE as it is, after every file was found unchanged."""
    from priorraw_edge.runtime.manifest import BUNDLE
    from priorraw_edge.runtime.signature import SIGNATURE, sign
    from priorraw_edge.verify.verify import read_bundle

    read_bundle(bundle)
    sign(bundle, (bundle / BUNDLE).read_bytes(), key)
    click.echo(f"{bundle / SIGNATURE}: signed with {key}")


def _own_bank(manifest: dict[str, Any], path: Path | None, assets: Path | None) -> Any:
    """The model of the assets with the bank of a file, whose encoder must be the bundle's."""
    from dataclasses import replace

    from priorraw.assets import load_assets
    from priorraw.bank import Bank
    from priorraw.errors import InputError
    from priorraw.files import sha256

    assert path is not None
    bank = Bank.load(path)
    if bank.info.encoder_sha256 != manifest["encoder_sha256"]:
        raise InputError(f"{path}: built with another encoder than the bundle's; build it again with that one")
    prior = load_assets(manifest["camera"], assets)
    return replace(prior, bank=bank, camera=bank.info.camera, bank_sha256=sha256(path), psnr=None)


def _show(bundle: Path, manifest: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(manifest, indent=2, sort_keys=True))
    else:
        click.echo(f"{bundle}: {manifest['target']}, {manifest['precision']}, banks: {', '.join(manifest['banks'])}")
