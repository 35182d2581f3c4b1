"""Generic models for `benchmarks.cameras`: trained without one camera, at a budget smaller than the shipped model's.

python -m benchmarks.cameras_train sony-slt-a57 nothing     one without that camera, one with all four

Encoder and light are held out. The reconstructor is the shipped one in every column: it takes the light as given and
is told no camera, and what a blind result lacks is the light.
"""

import time
from dataclasses import replace
from pathlib import Path

import click
from priorraw.assets import ENCODER_PARTS, RECONSTRUCTOR, load_model, save_part, shipped_assets
from priorraw.files import read_json, sha256, write_json
from priorraw.model import ModelConfig, PriorRAW
from priorraw.pictures import CameraPictures, load_cameras
from priorraw.progress import say
from priorraw.release import CAMERAS, SEED, G, K
from priorraw.train import TrainConfig
from priorraw.train_light import Camera, train_light
from priorraw.train_search import train_search

from benchmarks.calls import main

NOTHING = "nothing"  # the model that has seen all four, at the same budget
STEPS = {"search": 300, "light": 1500}  # the shipped model: 3000, 8000
MOST_PICTURES = 500  # of a camera; the shipped model has seen 1,512 of the IMX135
PARTS = {"search": "encoder", "light": "light"}


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


def part_of(stage: str, camera: str, runs: Path) -> Path:
    return folder_of(camera, runs) / stage / f"{PARTS[stage]}.safetensors"


def is_trained(camera: str, runs: Path) -> bool:
    return all(part_of(stage, camera, runs).is_file() for stage in STEPS)


def model_without(camera: str, runs: Path) -> PriorRAW:
    """The generic model that has not seen `camera`, with the shipped reconstructor."""
    encoder, light = (part_of(stage, camera, runs) for stage in STEPS)
    return load_model([encoder, shipped_assets() / RECONSTRUCTOR, light])


def train(camera: str, data: Path, runs: Path) -> None:
    """Both trainings; what each cost, in processor seconds, goes to cost.json."""
    folder = folder_of(camera, runs)
    if is_trained(camera, runs):
        return
    sets = [data / name for other, names in CAMERAS.items() if other != camera for name in names]
    cameras = [_thinned(pictures) for pictures in load_cameras(sets, "train")]
    cost: dict[str, float] = read_json(folder / "cost.json") if (folder / "cost.json").is_file() else {}
    for stage, learn in (("search", _search), ("light", _light)):
        path = part_of(stage, camera, runs)
        if path.is_file():
            continue
        say(f"{folder}: {stage}, {STEPS[stage]} steps")
        start = time.process_time()
        learn(cameras, path, part_of("search", camera, runs))
        cost[stage] = round(time.process_time() - start, 1)
        write_json(folder / "cost.json", cost)


def _search(cameras: list[CameraPictures], path: Path, encoder: Path) -> None:
    config = TrainConfig(STEPS["search"], seed=SEED, checkpoint_every=100)
    model = train_search([c.pictures for c in cameras], ModelConfig(), config, path.parent)
    save_part(model, ENCODER_PARTS, path)


def _light(cameras: list[CameraPictures], path: Path, encoder: Path) -> None:
    config = TrainConfig(STEPS["light"], 2e-3, weight_decay=1e-2, seed=SEED, checkpoint_every=250)
    hash_ = sha256(encoder)
    learners = [Camera(c.pictures, c.bank_info(hash_, K, G, SEED)) for c in cameras]
    model = load_model([encoder])
    save_part(train_light(model, learners, ModelConfig(), config, path.parent), ("light",), path)


def _thinned(camera: CameraPictures) -> CameraPictures:
    """Every second, third ... picture of a camera that has too many."""
    return replace(camera, pictures=camera.pictures[:: -(-len(camera.pictures) // MOST_PICTURES)])


if __name__ == "__main__":
    main(command, "cameras_train")
