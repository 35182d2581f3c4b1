"""Where the ranges of int8 activations come from: photographs, or the recipe that ships with the assets."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from priorraw.assets import Prior, shipped_assets
from priorraw.dataset import PairDataset
from priorraw.errors import InputError, reason
from priorraw.files import read_json
from priorraw.progress import say
from torch import Tensor

from priorraw_edge.export.golden import picture_files, sample_pictures, synthetic_photograph
from priorraw_edge.export.programs import Program, bank_tensors, picture_inputs, run_eager
from priorraw_edge.export.quantize import Recipe, calibrate, default_layers, from_json, to_json

RECIPE = "shared/int8.json"
ENOUGH = 32  # tiles; below it a range is left to chance
MOST = 160  # of a folder, evenly drawn
EXPOSURES = (0.5, 1.0, 1.6)  # of the crops: darker and brighter pictures than the sample

# Traced programs to the recipe of each; `export_bundle` calls it where a precision measures ranges.
Recipes = Callable[[list[Program]], dict[str, Recipe]]


def recipes_for(prior: Prior, tile: int, folder: Path | None, assets: Path | None) -> Recipes:
    """From the photographs of `folder` and crops of the samples; else the assets' own; else from the crops alone.

    Raises:
        InputError: the folder holds no picture, or one cannot be read.
    """
    shipped = (assets or shipped_assets()) / RECIPE
    if folder is None and shipped.is_file():
        return lambda programs: load_recipes(shipped, prior)
    pictures = sample_crops()
    if folder:
        own = folder_pictures(folder, "train")
        pictures += own
        if len(own) < ENOUGH:
            say(f"{folder}: {len(own)} pictures; {ENOUGH} and more make better ranges")
    known = [eager_tensors(prior, picture, tile) for picture in pictures]
    return lambda programs: measure_recipes(programs, known)


def measure_recipes(programs: list[Program], pictures: list[dict[str, Tensor]]) -> dict[str, Recipe]:
    """Recipes for the default layers of each program, `pictures` being `eager_tensors`."""
    return {program.name: calibrate(program, default_layers(program), pictures) for program in programs}


def eager_tensors(prior: Prior, srgb: np.ndarray, tile: int) -> dict[str, Tensor]:
    """`run_eager` on a picture (H, W, 3) float32 in [0, 1]."""
    return run_eager(prior.model, bank_tensors(prior.bank), picture_inputs(srgb, tile))


def folder_pictures(folder: Path, split: str) -> list[np.ndarray]:
    """sRGB (H, W, 3) float32 in [0, 1] of at most 160 pictures of a folder, or of a split of a pair dataset.

    Raises:
        InputError: the folder holds no picture, or one cannot be read.
    """
    from priorraw_edge.runtime.picture import read_picture

    if (folder / "dataset.json").is_file():
        dataset = PairDataset.open(folder, split)
        return [dataset.pair(i)[1] for i in evenly(len(dataset), MOST)]
    paths = picture_files(folder)
    return [read_picture(paths[i]).srgb for i in evenly(len(paths), MOST)]


def sample_crops() -> list[np.ndarray]:
    """32 random crops of the sample photographs, a quarter to all of their sides, at three exposures; 8-bit codes."""
    from priorraw_edge.runtime.picture import read_picture

    pictures = [read_picture(path).srgb for path in sample_pictures()] or [synthetic_photograph()]
    generator = np.random.default_rng(0)
    crops = []
    for i in range(ENOUGH):
        picture = pictures[i % len(pictures)]
        H, W = picture.shape[:2]
        h, w = (max(8, int(side * generator.uniform(0.25, 1))) for side in (H, W))
        top, left = generator.integers(0, H - h + 1), generator.integers(0, W - w + 1)
        crop = picture[top : top + h, left : left + w] * EXPOSURES[i % len(EXPOSURES)]
        crops.append((np.rint(np.clip(crop, 0, 1) * 255) / 255).astype(np.float32))
    return crops


def evenly(count: int, most: int) -> Iterable[int]:
    """At most `most` indices below `count`, evenly spread."""
    return (int(i) for i in np.linspace(0, count - 1, min(count, most)))


def recipe_document(prior: Prior, recipes: dict[str, Recipe], origin: dict[str, Any]) -> dict[str, Any]:
    """What a recipe file holds: the recipes, the weights that they are for, and where the ranges come from."""
    weights = {"encoder_sha256": prior.encoder_sha256, "reconstructor_sha256": prior.reconstructor_sha256}
    return {"format": 1, **weights, **origin, "recipes": to_json(recipes)}


def load_recipes(path: Path, prior: Prior) -> dict[str, Recipe]:
    """Read a recipe file for the weights of `prior`.

    Raises:
        InputError: it is none, or made for other weights.
    """
    document = read_json(path)
    for part in ("encoder_sha256", "reconstructor_sha256"):
        if document.get(part) != getattr(prior, part):
            raise InputError(f"{path}: made for other weights ({part} differs); make it again: priorraw-edge quantize")
    try:
        return from_json(document["recipes"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: holds no recipes ({reason(error)}); make it again: priorraw-edge quantize") from None
