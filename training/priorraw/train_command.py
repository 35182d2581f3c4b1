"""The command of training: `priorraw-edge train`, `python -m priorraw.train`, and either of them under torchrun."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from priorraw.errors import InputError

if TYPE_CHECKING:
    from priorraw.model import PriorRAW

FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Train the pixel-searching encoder (search), the light, or the reconstructor.

    On several devices: torchrun --nproc-per-node 2 -m priorraw.train search DATASET... -o OUT. The batch is shared by
    the processes, and so is the loss that one process would have; a run may go on with another number of them.
    """


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
                "--accumulate",
                default=1,
                show_default=True,
                type=click.IntRange(1),
                metavar="PARTS",
                help="Compute each process's share of a batch in so many parts: less memory, the same step.",
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

    return lambda function: wrap(_in_processes(function))


def _in_processes(function: Callable) -> Callable:
    """Under torchrun, as one of its processes."""

    @wraps(function)
    def joined(*args, **kwargs) -> None:
        from priorraw.distributed import processes

        with processes():
            function(*args, **kwargs)

    return joined


def _save(model: "PriorRAW", parts: tuple[str, ...], path: Path, steps: int, cameras: int) -> None:
    """Write what was trained and say so, in the first process."""
    from priorraw.assets import save_part
    from priorraw.distributed import rank

    if rank() == 0:
        save_part(model, parts, path)
        click.echo(f"{path}: {steps} steps, {cameras} cameras")


@command.command()
@training_options(steps=3000, learning_rate=1e-3)
@click.option("--dim", default=32, show_default=True, type=click.IntRange(4, 256), help="d, features per pixel.")
def search(
    datasets: tuple[Path, ...],
    out: Path,
    steps: int,
    learning_rate: float,
    seed: int,
    checkpoint_every: int,
    accumulate: int,
    dim: int,
) -> None:
    """Train the encoder on the train splits of DATASETS; the same --out goes on where it stopped."""
    from priorraw.assets import ENCODER_PARTS
    from priorraw.encoder import EncoderConfig
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.train import TrainConfig
    from priorraw.train_search import train_search

    cameras = load_cameras(datasets, "train")
    model = train_search(
        [camera.pictures for camera in cameras],
        ModelConfig(EncoderConfig(dim=dim)),
        TrainConfig(steps, learning_rate, seed=seed, checkpoint_every=checkpoint_every, accumulate=accumulate),
        out,
    )
    _save(model, ENCODER_PARTS, out / "encoder.safetensors", steps, len(cameras))


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
    accumulate: int,
    encoder: Path,
    K: int,
    G: int,
    without_prior: bool,
) -> None:
    """Train the light on the train splits of DATASETS, with a fixed encoder and banks built with it."""
    from priorraw.assets import load_model
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
    train = TrainConfig(
        steps, learning_rate, weight_decay=1e-2, seed=seed, checkpoint_every=checkpoint_every, accumulate=accumulate
    )
    trained = train_light(model, cameras, config, train, out)
    _save(trained, ("light",), out / "light.safetensors", steps, len(cameras))


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
    accumulate: int,
    batch: int,
    start: Path | None,
) -> None:
    """Train the reconstructor on the train splits of DATASETS; it needs neither encoder nor bank."""
    from priorraw.assets import load_reconstructor
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.train import TrainConfig
    from priorraw.train_reconstruct import ReconstructConfig, train_reconstruct

    cameras = load_cameras(datasets, "train")
    config, weights = load_reconstructor(start) if start else (ModelConfig(), None)
    train = TrainConfig(steps, learning_rate, seed=seed, checkpoint_every=checkpoint_every, accumulate=accumulate)
    trained = train_reconstruct(cameras, config, train, out, ReconstructConfig(batch), weights)
    _save(trained, ("reconstructor",), out / "reconstructor.safetensors", steps, len(cameras))


def main() -> None:
    """Run the command; a foreseen failure leaves one line on stderr and exit code 2."""
    try:
        command.main(prog_name="python -m priorraw.train", standalone_mode=False)
    except (click.ClickException, InputError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        if os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first
            print(f"priorraw.train: {message}", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("priorraw.train: stopped", file=sys.stderr)
        sys.exit(130)
