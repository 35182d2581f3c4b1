"""Measure bit-depth recovery on whole pictures: PSNR and SSIM on RGB, the output rounded to codes.

The protocol: the low picture is the high one without its last bits; the result is rounded to the high bits; PSNR and
SSIM (`metrics`, data range the largest code) are taken over the whole picture and all three channels together, and
the mean is over pictures.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from priorraw.bit_depth import Depths
from priorraw.depth_dataset import DepthDataset
from priorraw.errors import InputError
from priorraw.metrics import rank_correlation, score
from priorraw.progress import track

# Low codes (H, W, 3) to the high picture, float [0, 1] or codes, and reliability (H, W) or None.
Restore = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
FIGURES = ("psnr", "ssim", "reliability_rank")
LEAST_SIDE = 11  # the window of SSIM


def evaluate_depth(
    pictures: Iterable[tuple[str, np.ndarray]], count: int, depths: Depths, restore: Restore
) -> dict[str, Any]:
    """Score every picture.

    Args:
        pictures: name and high codes (H, W, 3) of each; `count` of them.

    Returns:
        Means of `FIGURES` over the pictures, `images` with those of each, the bits, and `outside`, how many values of
        the results lie outside the interval of their low code: 0 for a method that keeps what is known.

    Raises:
        InputError: a picture is too small to be scored.
    """
    images: list[dict[str, Any]] = []
    outside = 0
    for name, high in track(pictures, "evaluate", total=count):
        if min(high.shape[:2]) < LEAST_SIDE:
            raise InputError(f"{name}: is too small to be scored; leave it out")
        low = depths.lower(high)
        restored, reliability = restore(low)
        codes = restored if restored.dtype.kind in "ui" else depths.high_codes(restored)
        outside += int((depths.lower(codes) != low).sum())
        predicted, true = depths.high_unit(codes), depths.high_unit(high)
        scored = score(predicted, true, np.ones(high.shape[:2], bool))
        rank = None
        if reliability is not None:
            rank = rank_correlation(reliability, np.abs(predicted - true).mean(-1))
        images.append({"name": name, "psnr": scored.psnr, "ssim": scored.ssim, "reliability_rank": rank})
    means = {
        key: None if any(image[key] is None for image in images) else float(np.mean([image[key] for image in images]))
        for key in FIGURES
    }
    return {
        "task": "bit-depth",
        "bits": depths.low,
        "high_bits": depths.high,
        **means,
        "outside": outside,
        "images": images,
    }


def row_of(result: dict[str, Any]) -> dict[str, Any]:
    """A result as a row of benchmarks/results/bit-depth.json: means, and PSNR and SSIM of each picture."""
    images = {image["name"]: [round(image["psnr"], 3), round(image["ssim"], 5)] for image in result["images"]}
    return {"psnr": round(result["psnr"], 4), "ssim": round(result["ssim"], 5), "images": images}


def dataset_pictures(dataset: DepthDataset, depths: Depths) -> Iterator[tuple[str, np.ndarray]]:
    """Name and high codes of each picture of a split."""
    for i, name in enumerate(dataset.names):
        yield name, dataset.high_of(i, depths)


def is_dataset(folder: Path) -> bool:
    """Whether a folder was made by `prepare`; else it is one of plain pictures."""
    return (folder / "dataset.json").is_file()
