"""priorraw-edge train search | light | reconstruct"""

from collections.abc import Callable
from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Train the pixel-searching encoder (search), the light, or the reconstructor."""


def training_options(steps: int, learning_rate: float) -> Callable:
    def wrap(function: Callable) -> Callable:
        for option in (
            click.option("--seed", default=0, show_default=True, type=click.IntRange(0)),
            click.option(
                "--checkpoint-every",
                default=500,
                show_default=True,
                type=click.IntRange(1),
                metavar="STEPS",
                help="How often to write what a later run goes on from.",
            ),
            click.option(
                "--learning-rate", default=learning_rate, show_default=True, type=click.FloatRange(0, min_open=True)
            ),
            click.option("--steps", default=steps, show_default=True, type=click.IntRange(1)),
            click.option("-o", "--out", required=True, type=FOLDER, help="Folder for weights, checkpoint and log."),
            click.argument("datasets", nargs=-1, required=True, type=FOLDER),
        ):
            function = option(function)
        return function

    return wrap


@command.command()
@training_options(steps=3000, learning_rate=1e-3)
@click.option("--dim", default=32, show_default=True, type=click.IntRange(4, 256), help="d, features per pixel.")
def search(
    datasets: tuple[Path, ...], out: Path, steps: int, learning_rate: float, seed: int, checkpoint_every: int, dim: int
) -> None:
    """Train the encoder on the train splits of DATASETS; the same --out goes on where it stopped."""
    from priorraw.assets import ENCODER_PARTS, save_part
    from priorraw.encoder import EncoderConfig
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.train import TrainConfig
    from priorraw.train_search import train_search

    cameras = load_cameras(datasets, "train")
    model = train_search(
        [camera.pictures for camera in cameras],
        ModelConfig(EncoderConfig(dim=dim)),
        TrainConfig(steps, learning_rate, seed=seed, checkpoint_every=checkpoint_every),
        out,
    )
    save_part(model, ENCODER_PARTS, out / "encoder.safetensors")
    click.echo(f"{out / 'encoder.safetensors'}: {steps} steps, {len(cameras)} cameras")


@command.command()
@training_options(steps=8000, learning_rate=2e-3)
@click.option("--encoder", required=True, type=FOLDER, help="encoder.safetensors from train search.")
@click.option(
    "--entries", "K", default=5000, show_default=True, type=click.IntRange(1), help="K, entries of each bank."
)
@click.option(
    "--group", "G", default=25, show_default=True, type=click.IntRange(1), help="G, reference pixels per entry."
)
@click.option("--without-prior", is_flag=True, help="The same network on sRGB only, for comparison.")
def light(
    datasets: tuple[Path, ...],
    out: Path,
    steps: int,
    learning_rate: float,
    seed: int,
    checkpoint_every: int,
    encoder: Path,
    K: int,
    G: int,
    without_prior: bool,
) -> None:
    """Train the light on the train splits of DATASETS, with a fixed encoder and banks built with it."""
    from priorraw.assets import load_model, save_part
    from priorraw.files import sha256
    from priorraw.light import LightConfig
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.train import TrainConfig
    from priorraw.train_light import Camera, train_light

    model = load_model([encoder])
    config = ModelConfig(model.config.encoder, LightConfig(prior=not without_prior))
    encoder_hash = sha256(encoder)
    cameras = [Camera(c.pictures, c.bank_info(encoder_hash, K, G, seed)) for c in load_cameras(datasets, "train")]
    train = TrainConfig(steps, learning_rate, weight_decay=1e-2, seed=seed, checkpoint_every=checkpoint_every)
    trained = train_light(model, cameras, config, train, out)
    save_part(trained, ("light",), out / "light.safetensors")
    click.echo(f"{out / 'light.safetensors'}: {steps} steps, {len(cameras)} cameras")


@command.command()
@training_options(steps=12000, learning_rate=1e-3)
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1))
@click.option("--start", type=FOLDER, help="reconstructor.safetensors to start from.  [default: random weights]")
def reconstruct(
    datasets: tuple[Path, ...],
    out: Path,
    steps: int,
    learning_rate: float,
    seed: int,
    checkpoint_every: int,
    batch: int,
    start: Path | None,
) -> None:
    """Train the reconstructor on the train splits of DATASETS; it needs neither encoder nor bank."""
    from priorraw.assets import load_reconstructor, save_part
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.train import TrainConfig
    from priorraw.train_reconstruct import ReconstructConfig, train_reconstruct

    cameras = load_cameras(datasets, "train")
    config, weights = load_reconstructor(start) if start else (ModelConfig(), None)
    train = TrainConfig(steps, learning_rate, seed=seed, checkpoint_every=checkpoint_every)
    trained = train_reconstruct(cameras, config, train, out, ReconstructConfig(batch), weights)
    save_part(trained, ("reconstructor",), out / "reconstructor.safetensors")
    click.echo(f"{out / 'reconstructor.safetensors'}: {steps} steps, {len(cameras)} cameras")
