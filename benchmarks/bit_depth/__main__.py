"""Measure the rivals of bit-depth recovery, and train the learned ones first; finished rows are kept.

The row of the shipped assets comes from `priorraw.release_depth`.

python -m benchmarks.bit_depth KODAK_DIR --train DATASET... --steps 1600 --out benchmarks/results/bit-depth.json
"""

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from priorraw.bit_depth import Depths
from priorraw.depth_batches import Batches, load_deep_pictures
from priorraw.evaluate_depth import Restore, evaluate_depth, row_of
from priorraw.files import read_json, write_json
from priorraw.progress import say
from priorraw.train import TrainConfig
from priorraw.train_depth import fit_restorer
from priorraw_edge.runtime.deep import high_pictures, pictures_in

from benchmarks.bit_depth.classical import CLASSICAL, Expand
from benchmarks.bit_depth.networks import LEARNED, restore_batch, restore_picture


@click.command()
@click.argument("pictures", type=click.Path(path_type=Path))
@click.option("--train", "datasets", multiple=True, type=click.Path(path_type=Path), help="Datasets of prepare.")
@click.option("--seconds", default=300.0, show_default=True, help="Processor time that each learned rival trains for.")
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/bit-depth-rivals"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file; rows that it has are kept.")
def main(
    pictures: Path, datasets: tuple[Path, ...], seconds: float, learning_rate: float, runs: Path, out: Path
) -> None:
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
    for name, rival in LEARNED.items():
        if name in rows or not datasets:
            continue
        batches = Batches(load_deep_pictures(datasets, "train", depths, 96), depths, 96, thumbnails=False)
        torch.manual_seed(0)
        network = rival.network()

        def restore(batch, rival=rival, network=network):
            return restore_batch(rival, network, batch)

        steps = _steps_in(seconds, restore, batches)
        learning = list(network.parameters())
        started = time.process_time()
        fit_restorer(
            network, learning, restore, batches, TrainConfig(steps, learning_rate), runs / name, {"rival": name}
        )
        spent = time.process_time() - started
        high = {path.stem: codes for path, (_, codes) in zip(paths, high_pictures(paths, depths), strict=True)}
        by_low = {depths.lower(codes).tobytes(): codes for codes in high.values()}

        def picture(low: np.ndarray, rival=rival, network=network, by_low=by_low) -> tuple[np.ndarray, None]:
            return restore_picture(rival, network, by_low[low.tobytes()], depths), None

        facts = {"about": rival.about, "kind": "told samples" if rival.told else "learned"}
        parameters = sum(p.numel() for p in network.parameters())
        measure(name, picture, **facts, parameters=parameters, steps=steps, processor_seconds=round(spent))


def _classical(expand: Expand, depths: Depths) -> Restore:
    return lambda low: (expand(low, depths), None)


def _steps_in(seconds: float, restore: Any, batches: Batches) -> int:
    """Steps that take so much processor time, by the fastest of a few."""
    times = []
    for step in range(4):
        started = time.process_time()
        predicted, _ = restore(batches.draw(torch.Generator().manual_seed(step)))
        predicted.square().mean().backward()
        times.append(time.process_time() - started)
    return max(50, int(seconds / min(times[1:])))


if __name__ == "__main__":
    main()
