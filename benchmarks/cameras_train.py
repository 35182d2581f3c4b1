"""Generic models for `benchmarks.cameras`: trained without one camera, at a budget smaller than the shipped model's.

python -m benchmarks.cameras_train sony-slt-a57 nothing     one without that camera, one with all four
"""

import time
from pathlib import Path

import click
from priorraw.assets import load_model
from priorraw.files import read_json, write_json
from priorraw.model import PriorRAW
from priorraw.progress import say
from priorraw.release import CAMERAS
from priorraw_edge.cli import cli

from benchmarks.calls import main

NOTHING = "nothing"  # the model that has seen all four, at the same budget
# Steps of each training. The shipped model: 3000, 8000, 6000.
STEPS = {"search": 700, "light": 2000, "reconstruct": 600}
PARTS = {"search": "encoder", "light": "light", "reconstruct": "reconstructor"}


@click.command()
@click.argument("held_out", nargs=-1, required=True, type=click.Choice([*CAMERAS, NOTHING]))
@click.option("--data", default="data", show_default=True, type=click.Path(path_type=Path), help="Prepared datasets.")
@click.option("--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Where models go.")
def command(held_out: tuple[str, ...], data: Path, runs: Path) -> None:
    """Train a generic model without each camera of HELD_OUT; goes on where it stopped."""
    for camera in held_out:
        train(camera, data, runs)


def folder_of(camera: str, runs: Path) -> Path:
    return runs / ("with-all" if camera == NOTHING else f"without-{camera}")


def encoder_of(camera: str, runs: Path) -> Path:
    return part_of("search", camera, runs)


def part_of(stage: str, camera: str, runs: Path) -> Path:
    return folder_of(camera, runs) / stage / f"{PARTS[stage]}.safetensors"


def model_without(camera: str, runs: Path) -> PriorRAW:
    """The generic model that has not seen `camera`."""
    return load_model([part_of(stage, camera, runs) for stage in STEPS])


def train(camera: str, data: Path, runs: Path) -> None:
    """The three trainings; what each cost, in processor seconds, goes to cost.json."""
    folder = folder_of(camera, runs)
    sets = [str(data / name) for other, names in CAMERAS.items() if other != camera for name in names]
    cost: dict[str, float] = read_json(folder / "cost.json") if (folder / "cost.json").is_file() else {}
    for stage, steps in STEPS.items():
        if part_of(stage, camera, runs).is_file():
            continue
        say(f"{folder}: {stage}, {steps} steps")
        start = time.process_time()
        encoder = ["--encoder", str(encoder_of(camera, runs))] if stage == "light" else []
        cli.main(
            ["train", stage, *sets, *encoder, "-o", str(folder / stage), "--steps", str(steps)], standalone_mode=False
        )
        cost[stage] = round(time.process_time() - start, 1)
        write_json(folder / "cost.json", cost)


if __name__ == "__main__":
    main(command, "cameras_train")
