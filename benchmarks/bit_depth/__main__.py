"""Measure what bit-depth recovery is compared with, and train what learns first; finished rows are kept.

The row of the shipped assets comes from `priorraw.release_depth`. With --train, the rivals and our own network, with
the prior and without, learn from the same crops for the same steps; trained networks are kept in --runs.

python -m benchmarks.bit_depth KODAK_DIR --train DATASET --train ... --out benchmarks/results/bit-depth.json
"""

from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from priorraw.assets import Prior, load_model
from priorraw.bank import Bank
from priorraw.bit_depth import TASK, Depths
from priorraw.depth_batches import Batches, DeepPicture, load_deep_pictures
from priorraw.evaluate_depth import Restore, evaluate_depth, row_of
from priorraw.files import read_json, write_json
from priorraw.progress import say
from priorraw_edge.runtime.deep import high_pictures, pictures_in
from torch import nn

from benchmarks.bit_depth.budget import Budget, limited
from benchmarks.bit_depth.classical import CLASSICAL, Expand
from benchmarks.bit_depth.networks import LEARNED, restore_picture
from benchmarks.bit_depth.training import Trainer

FILE = click.Path(path_type=Path)
PRIORS = {"ours, same steps": True, "ours, same steps, no prior": False}


@click.command()
@click.argument("pictures", type=FILE)
@click.option("--train", "datasets", multiple=True, type=FILE, help="Datasets of prepare; without, nothing is trained.")
@click.option("--encoder", type=FILE, default="runs/bit-depth/search/encoder.safetensors", show_default=True)
@click.option("--bank", type=FILE, default="runs/bit-depth/bank.safetensors", show_default=True)
@click.option("--out", type=FILE, required=True, help="JSON file; rows that it has are kept.")
@limited(1000, 32, 192, "runs/bit-depth-rivals")
def main(pictures: Path, datasets: tuple[Path, ...], encoder: Path, bank: Path, out: Path, budget: Budget) -> None:
    """Fill in the rows that OUT lacks, from 4 to 8 bits."""
    depths = Depths()
    paths = pictures_in(pictures)
    document: dict[str, Any] = read_json(out) if out.exists() else {"low": depths.low, "high": depths.high, "rows": {}}
    rows = document["rows"]

    def measure(name: str, restore: Restore, **facts: Any) -> None:
        result = evaluate_depth(high_pictures(paths, depths), len(paths), depths, restore)
        rows[name] = row_of(result) | facts
        write_json(out, document)
        say(f"{name}: {result['psnr']:.2f} dB, {result['ssim']:.4f}")

    for name, (about, expand) in CLASSICAL.items():
        if name not in rows:
            measure(name, _classical(expand, depths), about=about, kind="classical")
    if not datasets:
        return

    @cache
    def deep_pictures() -> list[DeepPicture]:
        return load_deep_pictures(datasets, "train", depths, budget.crop)

    def batches(thumbnails: bool) -> Batches:
        return Batches(deep_pictures(), depths, budget.crop, budget.batch, thumbnails=thumbnails)

    trainer = Trainer(batches, budget.train, budget.runs)
    spent = {"steps": budget.steps, "megapixels": budget.megapixels}
    for name, prior in PRIORS.items():
        if name not in rows:
            held = Bank.load(bank)
            ours = trainer.ours(load_model([encoder], TASK), held, prior=prior)
            facts = {"kind": "ours", "parameters": _parameters(ours.reconstructor)} | spent
            about = "the network that ships" if prior else "the same without the bank"
            measure(name, _ours(Prior(ours, held, depths.name, "", "", ""), depths), about=about, **facts)
    high = {depths.lower(codes).tobytes(): codes for _, codes in high_pictures(paths, depths)}
    for name, rival in LEARNED.items():
        if name not in rows:
            network = trainer.rival(name, rival)

            def restore(low: np.ndarray, rival=rival, network=network) -> tuple[np.ndarray, None]:
                return restore_picture(rival, network, high[low.tobytes()], depths), None

            kind = "told samples" if rival.told else "learned"
            measure(name, restore, about=rival.about, kind=kind, parameters=_parameters(network), **spent)


def _classical(expand: Expand, depths: Depths) -> Restore:
    return lambda low: (expand(low, depths), None)


def _ours(prior: Prior, depths: Depths) -> Restore:
    return lambda low: prior(depths.unit(low))


def _parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


if __name__ == "__main__":
    main()
