"""priorraw-edge train search | reconstruct"""

from collections.abc import Callable
from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Train the pixel-searching encoder (search) or the reconstructor."""


def training_options(steps: int, learning_rate: float) -> Callable:
    def wrap(function: Callable) -> Callable:
        for option in (
            click.option("--seed", default=0, show_default=True, type=click.IntRange(0)),
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
def search(datasets: tuple[Path, ...], out: Path, steps: int, learning_rate: float, seed: int, dim: int) -> None:
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
        TrainConfig(steps, learning_rate, seed=seed),
        out,
    )
    save_part(model, ENCODER_PARTS, out / "encoder.safetensors")
    click.echo(f"{out / 'encoder.safetensors'}: {steps} steps, {len(cameras)} cameras")


@command.command()
@training_options(steps=6000, learning_rate=1e-3)
@click.option("--encoder", required=True, type=FOLDER, help="encoder.safetensors from train search.")
@click.option(
    "--entries", "K", default=5000, show_default=True, type=click.IntRange(1), help="K, entries of each bank."
)
@click.option(
    "--group", "G", default=25, show_default=True, type=click.IntRange(1), help="G, reference pixels per entry."
)
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1))
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(["prior", "attention", "non_local"]),
    help="Leave a part out, for ablation. Repeatable.",
)
def reconstruct(
    datasets: tuple[Path, ...],
    out: Path,
    steps: int,
    learning_rate: float,
    seed: int,
    encoder: Path,
    K: int,
    G: int,
    batch: int,
    without: tuple[str, ...],
) -> None:
    """Train light and reconstructor on the train splits of DATASETS with a fixed encoder."""
    from dataclasses import replace

    from priorraw.assets import RECONSTRUCTOR_PARTS, load_model, save_part
    from priorraw.files import sha256
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.reconstructor import ReconstructorConfig
    from priorraw.train import TrainConfig
    from priorraw.train_reconstruct import Camera, ReconstructConfig, train_reconstruct

    model = load_model([encoder])
    config = ModelConfig(model.config.encoder, replace(ReconstructorConfig(), **dict.fromkeys(without, False)))
    encoder_hash = sha256(encoder)
    cameras = [Camera(c.pictures, c.bank_info(encoder_hash, K, G, seed)) for c in load_cameras(datasets, "train")]
    trained = train_reconstruct(
        model, cameras, config, TrainConfig(steps, learning_rate, seed=seed), out, ReconstructConfig(batch)
    )
    save_part(trained, RECONSTRUCTOR_PARTS, out / "reconstructor.safetensors")
    click.echo(f"{out / 'reconstructor.safetensors'}: {steps} steps, {len(cameras)} cameras")
