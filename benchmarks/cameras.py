"""python -m benchmarks.cameras: what a bank is worth on a camera that the model has not met; fills docs/cameras.md.

Every camera in turn is held out of encoder and light (`benchmarks.cameras_train`, run first), then measured with
another camera's bank, with its own without training, adapted, and with models that were trained on it.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from priorraw.adapt import Lookups, adapt, join, look_up
from priorraw.assets import Prior, load_assets
from priorraw.bank import Bank
from priorraw.bank_info import BankInfo
from priorraw.camera_bank import reference_groups
from priorraw.dataset import PairDataset, mask_of
from priorraw.evaluate import HintedPrior, mean_illuminant
from priorraw.files import read_json, write_json
from priorraw.isp import gains_from_illuminant, unrender
from priorraw.leave_one_out import Groups
from priorraw.metrics import psnr
from priorraw.model import PriorRAW
from priorraw.pictures import CameraPictures, TrainingPicture, load_cameras
from priorraw.progress import say, track
from priorraw.release import CAMERAS, SEED, K
from priorraw.results import fill
from priorraw.sensor_light import few_files_vector

from benchmarks.calls import main
from benchmarks.cameras_page import FEW, four_ways, in_words, over_files
from benchmarks.cameras_train import NOTHING, STEPS, is_trained, model_without

RESULT = Path("benchmarks/results/cameras.json")
DRAWS = 3  # of so many files
MOST_PICTURES = 60  # of the test split, for the curve over the number of files
WRONG_PICTURES = 200  # of another camera's train split, for its bank


@click.command()
@click.option("--camera", "cameras", multiple=True, type=click.Choice([*CAMERAS]), help="Measure it (repeatable).")
@click.option("--data", default="data", show_default=True, type=click.Path(path_type=Path), help="Prepared datasets.")
@click.option("--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Generic models.")
@click.option("--pictures", type=click.IntRange(1), help="Of each test split at most so many, evenly spread.")
@click.option("--files", is_flag=True, help="Also over the number of files; takes hours.")
@click.option("--page", type=click.Path(path_type=Path), help="Page whose tables between the markers are filled.")
def command(
    cameras: tuple[str, ...], data: Path, runs: Path, pictures: int | None, files: bool, page: Path | None
) -> None:
    """Measure each --camera with the model that has not met it; then fill in the page."""
    for camera in cameras:
        rows = measure(camera, data, runs, pictures, files)
        table = read_json(RESULT)["cameras"] if RESULT.is_file() else {}
        write_json(RESULT, {"cameras": table | {camera: rows}, "steps": STEPS, "draws": DRAWS})
    if page:
        table = read_json(RESULT)["cameras"]
        texts = {"four": four_ways, "said": in_words, "files": over_files}
        fill(page, {name: partial(text, table) for name, text in texts.items()})


def measure(camera: str, data: Path, runs: Path, most: int | None = None, files: bool = False) -> dict[str, Any]:
    """Every column for one camera; PSNR in dB, mean over its test split (`most` pictures of it)."""
    model = model_without(camera, runs)
    test = PairDataset.open(data / CAMERAS[camera][0], "test")
    test = _thinned(test, most or len(test))
    own = _pictures(camera, data)
    groups, bank = _bank_of(model, own)
    rows: dict[str, Any] = {"pictures": len(test), "files": len(own.pictures), "wrong": {}, "wrong_entries": {}}
    for other in CAMERAS:
        if other == camera:
            continue
        pictures = _pictures(other, data)
        step = -(-len(pictures.pictures) // WRONG_PICTURES)
        _, wrong = _bank_of(model, replace(pictures, pictures=pictures.pictures[::step]))
        entries = replace(wrong, info=bank.info)
        rows["wrong"][other] = blind(_prior(model, wrong), test)
        rows["wrong_entries"][other] = blind(_prior(model, entries), test)
    rows["own"] = blind(_prior(model, bank), test)
    rows["own_hinted"] = hinted(_prior(model, bank), test)
    rows["mean_light"] = closed_form(_prior(model, bank), test)
    rows["adapted"] = blind(_prior(model, _adapted(model, groups, bank, own.pictures)), test)
    rows["trained"] = blind(load_assets(camera), test)
    rows["trained_hinted"] = hinted(load_assets(camera), test)
    if is_trained(NOTHING, runs):
        seen = model_without(NOTHING, runs)
        rows["trained_same_budget"] = blind(_prior(seen, _bank_of(seen, own)[1]), test)
    say(f"{camera}: {rows}")
    if not files:
        return rows
    few_test = _thinned(test, MOST_PICTURES)
    rows["few"] = {str(n): few_files(model, own, n, few_test) for n in FEW if n < len(own.pictures)}
    rows["few_test"] = {"pictures": len(few_test), "own": blind(_prior(model, bank), few_test)}
    return rows


def few_files(model: PriorRAW, own: CameraPictures, n: int, test: PairDataset) -> dict[str, list[float]]:
    """The bank that `bank build --raws` makes of n files, drawn `DRAWS` times: as it is, and adapted."""
    found: dict[str, list[float]] = {"own": [], "adapted": [], "mean_light": []}
    for draw in range(DRAWS):
        rows = np.random.default_rng(draw).choice(len(own.pictures), n, replace=False)
        files = [own.pictures[i] for i in rows]
        groups, _ = reference_groups(model, files, K, SEED)
        lights = torch.stack([p.light for p in files]).numpy()
        info = replace(
            own.bank_info("", K, groups.owner.shape[1], SEED),
            camera_vector=few_files_vector(lights, own.color_matrix).tolist(),
            d=model.config.encoder.dim,
        )
        bank = _bank(groups, info)
        found["own"].append(blind(_prior(model, bank), test))
        found["mean_light"].append(closed_form(_prior(model, bank), test))
        found["adapted"].append(blind(_prior(model, _adapted(model, groups, bank, files)), test))
    return found


def blind(prior: Prior, test: PairDataset) -> float:
    """Mean PSNR of the whole method: `priorraw-edge evaluate`, without its other figures."""
    return _mean(test, lambda raw, srgb, light: prior(srgb)[0])


def hinted(prior: Prior, test: PairDataset) -> float:
    return _mean(test, lambda raw, srgb, light: HintedPrior(**vars(prior), light=light)(srgb)[0])


def closed_form(prior: Prior, test: PairDataset) -> float:
    """With the camera's mean light: what its colour matrix and lights give without bank and networks."""
    gains = gains_from_illuminant(mean_illuminant(prior))
    return _mean(test, lambda raw, srgb, light: unrender(srgb, gains, prior.color_matrix))


def _mean(test: PairDataset, rebuild) -> float:
    values = []
    for i in range(len(test)):
        raw, srgb = test.pair(i)
        values.append(psnr(rebuild(raw, srgb, test.illuminant(i)), raw, mask_of(raw)))
    return round(float(np.mean(values)), 3)


def _pictures(camera: str, data: Path) -> CameraPictures:
    return load_cameras([data / name for name in CAMERAS[camera]], "train")[0]


def _bank_of(model: PriorRAW, own: CameraPictures) -> tuple[Groups, Bank]:
    groups, _ = reference_groups(model, own.pictures, K, SEED)
    return groups, _bank(groups, own.bank_info("", K, groups.owner.shape[1], SEED))


def _bank(groups: Groups, info: BankInfo) -> Bank:
    keys, values = groups.means()
    return Bank(keys, values[:, 3:].copy(), values[:, :3].copy(), replace(info, d=keys.shape[1]))


def _adapted(model: PriorRAW, groups: Groups, bank: Bank, files: Sequence[TrainingPicture]) -> Bank:
    camera = torch.tensor(bank.info.camera_vector)
    parts: list[Lookups] = []
    for i in track(range(len(files)), "look up"):
        parts.append(look_up(model, files[i], *groups.tensors(i), camera))
    return replace(bank, info=replace(bank.info, camera_vector=adapt(model, camera, join(parts)).tolist()))


def _prior(model: PriorRAW, bank: Bank) -> Prior:
    return Prior(model, bank, bank.info.camera, "", "", "")


def _thinned(test: PairDataset, most: int) -> PairDataset:
    rows = np.unique(np.linspace(0, len(test) - 1, min(most, len(test))).round().astype(int))
    return replace(test, names=[test.names[i] for i in rows], illuminants=test.illuminants[rows])


if __name__ == "__main__":
    main(command, "cameras")
