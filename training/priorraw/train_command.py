"""The command of training: `priorraw-edge train`, `python -m priorraw.train`, and either of them under torchrun."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from priorraw.errors import InputError
from priorraw.task_options import only_for

if TYPE_CHECKING:
    from priorraw.tasks import Model
    from priorraw.train import TrainConfig

FOLDER = click.Path(path_type=Path)
TASK_OPTIONS = (
    click.option("--task", type=click.Choice(["raw", "bit-depth"]), default="raw", show_default=True),
    click.option("--bits", type=click.IntRange(1, 15), help="bit-depth: of the low pictures.  [default: 4]"),
    click.option("--high-bits", type=click.IntRange(2, 16), help="bit-depth: to recover.  [default: 8]"),
)


@click.group()
def command() -> None:
    """Train the pixel-searching encoder (search), the light, or the reconstructor.

    On several devices: torchrun --nproc-per-node 2 -m priorraw.train search DATASET... -o OUT. The batch is shared by
    the processes, and so is the loss that one process would have; a run may go on with another number of them.
    """


def task_options(function: Callable) -> Callable:
    for option in reversed(TASK_OPTIONS):
        function = option(function)
    return function


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
                "--bfloat16", is_flag=True, help="Compute in bfloat16 on a CPU too: faster where it has AVX-512 BF16."
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

    return lambda function: wrap(_in_processes(_with_config(function)))


def _with_config(function: Callable) -> Callable:
    """Called with `train`, a TrainConfig, in place of the options that it is made of."""

    @wraps(function)
    def configured(*, steps: int, learning_rate: float, seed: int, **others: Any) -> None:
        from priorraw.train import TrainConfig

        given = {name: others.pop(name) for name in ("checkpoint_every", "accumulate", "bfloat16")}
        function(train=TrainConfig(steps, learning_rate, seed=seed, **given), **others)

    return configured


def _in_processes(function: Callable) -> Callable:
    """Under torchrun, as one of its processes."""

    @wraps(function)
    def joined(*args, **kwargs) -> None:
        from priorraw.distributed import processes

        with processes():
            function(*args, **kwargs)

    return joined


def _save(model: "Model", parts: tuple[str, ...], path: Path, steps: int, learnt_from: str) -> None:
    """Write what was trained and say so, in the first process."""
    from priorraw.assets import save_part
    from priorraw.distributed import rank

    if rank() == 0:
        save_part(model, parts, path)
        click.echo(f"{path}: {steps} steps, {learnt_from}")


@command.command()
@training_options(steps=3000, learning_rate=1e-3)
@task_options
@click.option("--dim", default=32, show_default=True, type=click.IntRange(4, 256), help="d, features per pixel.")
def search(
    datasets: tuple[Path, ...],
    out: Path,
    train: "TrainConfig",
    task: str,
    bits: int | None,
    high_bits: int | None,
    dim: int,
) -> None:
    """Train the encoder on the train splits of DATASETS; the same --out goes on where it stopped."""
    from priorraw.assets import ENCODER_PARTS
    from priorraw.bit_depth import Depths
    from priorraw.depth_model import DepthConfig
    from priorraw.depth_pictures import load_search_pictures
    from priorraw.encoder import EncoderConfig
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.train_search import train_search

    config: ModelConfig | DepthConfig
    if task == "bit-depth":
        groups = [load_search_pictures(datasets, "train", Depths(bits or 4, high_bits or 8))]
        config, what = DepthConfig(replace(DepthConfig().encoder, dim=dim)), f"{len(groups[0])} pictures"
    else:
        only_for("bit-depth", "bits", "high_bits")
        groups = [camera.pictures for camera in load_cameras(datasets, "train")]
        config, what = ModelConfig(EncoderConfig(dim=dim)), f"{len(groups)} cameras"
    model = train_search(groups, config, train, out)
    _save(model, ENCODER_PARTS, out / "encoder.safetensors", train.steps, what)


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
    train: "TrainConfig",
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
    from priorraw.train_light import Camera, train_light

    model = load_model([encoder])
    config = ModelConfig(model.config.encoder, LightConfig(prior=not without_prior))
    encoder_hash = sha256(encoder)
    cameras = [Camera(c.pictures, c.bank_info(encoder_hash, K, G, train.seed)) for c in load_cameras(datasets, "train")]
    trained = train_light(model, cameras, config, replace(train, weight_decay=1e-2), out)
    _save(trained, ("light",), out / "light.safetensors", train.steps, f"{len(cameras)} cameras")


@command.command()
@training_options(steps=12000, learning_rate=1e-3)
@task_options
@click.option("--batch", type=click.IntRange(1), help="Crops a step.  [default: 16; bit-depth: 4]")
@click.option("--crop", type=click.IntRange(32), help="bit-depth: side of a crop, a multiple of 8.  [default: 96]")
@click.option("--start", type=FOLDER, help="reconstructor.safetensors to start from.  [default: random weights]")
@click.option(
    "--blend",
    type=(FOLDER, click.FloatRange(0, 1)),
    metavar="FILE SHARE",
    help="raw: save SHARE of the weights in another reconstructor.safetensors and the rest of the trained ones.",
)
@click.option("--encoder", type=FOLDER, help="bit-depth: encoder.safetensors from train search.")
@click.option("--bank", type=FOLDER, help="bit-depth: bank.safetensors from bank build; without, no prior is used.")
def reconstruct(
    datasets: tuple[Path, ...],
    out: Path,
    train: "TrainConfig",
    task: str,
    bits: int | None,
    high_bits: int | None,
    batch: int | None,
    crop: int | None,
    start: Path | None,
    blend: tuple[Path, float] | None,
    encoder: Path | None,
    bank: Path | None,
) -> None:
    """Train the reconstructor on the train splits of DATASETS.

    For RAW it needs neither encoder nor bank. For bit depths both: --encoder and --bank; without them the same network
    learns without the prior, to be compared with, or to be started from.
    """
    if task == "bit-depth":
        if bool(encoder) != bool(bank):
            raise click.UsageError("--encoder and --bank go together; give both or neither")
        only_for("raw", "blend")
        depths = (bits or 4, high_bits or 8)
        _reconstruct_depth(datasets, out, train, depths, batch or 4, crop or 96, start, encoder, bank)
        return
    only_for("bit-depth", "bits", "high_bits", "crop", "encoder", "bank")
    from priorraw.assets import load_reconstructor
    from priorraw.model import ModelConfig
    from priorraw.pictures import load_cameras
    from priorraw.train_reconstruct import ReconstructConfig, blend_weights, train_reconstruct

    config, weights = load_reconstructor(start) if start else (ModelConfig(), None)
    if blend:
        known, earlier = load_reconstructor(blend[0])
        if known.reconstructor != config.reconstructor:
            raise InputError(f"{blend[0]}: is a reconstructor of another shape; blend one of the same")
    cameras = load_cameras(datasets, "train")
    trained = train_reconstruct(cameras, config, train, out, ReconstructConfig(batch or 16), weights)
    if blend:
        blend_weights(trained.reconstructor, earlier, blend[1])
    _save(trained, ("reconstructor",), out / "reconstructor.safetensors", train.steps, f"{len(cameras)} cameras")


def _reconstruct_depth(
    datasets: tuple[Path, ...],
    out: Path,
    train: "TrainConfig",
    bits: tuple[int, int],
    batch: int,
    crop: int,
    start: Path | None,
    encoder: Path | None,
    bank: Path | None,
) -> None:
    from priorraw.assets import load_model, load_reconstructor
    from priorraw.bank import Bank
    from priorraw.bit_depth import TASK, Depths
    from priorraw.depth_batches import Batches, load_deep_pictures
    from priorraw.depth_model import DepthConfig
    from priorraw.files import sha256
    from priorraw.train_depth import train_depth

    if crop % 8:
        raise click.UsageError(f"--crop {crop}: not a multiple of 8")
    depths = Depths(*bits)
    searching = load_model([encoder], TASK) if encoder else None
    held = Bank.load(bank) if bank else None
    if held is not None and encoder and held.info.encoder_sha256 != sha256(encoder):
        raise InputError(f"{bank}: built with another encoder than {encoder}; build it again")
    weights = load_reconstructor(start, TASK)[1] if start else None
    default = DepthConfig()
    shape = replace(default.reconstructor, low=depths.low, high=depths.high, prior=held is not None)
    config = DepthConfig(searching.config.encoder if searching else default.encoder, shape)
    batches = Batches(
        load_deep_pictures(datasets, "train", depths, crop), depths, crop, batch, thumbnails=held is not None
    )
    trained = train_depth(searching, held, config, batches, train, out, weights)
    prior = "with the prior" if held is not None else "without prior"
    what = f"{batches.count} pictures, {prior}"
    _save(trained, ("reconstructor",), out / "reconstructor.safetensors", train.steps, what)


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
