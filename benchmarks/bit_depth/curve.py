"""How bit-depth recovery grows with the pictures that it learns from: one short training for each number of them.

The network is ours without the prior; steps and crops are the same for all; the pictures of a run are among those of
the next larger one. Finished rows are kept, and a run that was stopped goes on.

python -m benchmarks.bit_depth.curve KODAK_DIR --train DATASET --train ... --out benchmarks/results/bit-depth-curve.json
"""

from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from priorraw.bit_depth import Depths
from priorraw.depth_batches import Batches, load_deep_pictures
from priorraw.depth_model import BitDepth, DepthConfig, DepthReconstructorConfig
from priorraw.evaluate_depth import Restore, evaluate_depth, row_of
from priorraw.files import read_json, write_json
from priorraw.padding import pad_to_align
from priorraw.pictures import to_tensor
from priorraw.progress import say
from priorraw.train_depth import train_depth
from priorraw_edge.runtime.deep import high_pictures, pictures_in

from benchmarks.bit_depth.budget import Budget, limited

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("pictures", type=FILE)
@click.option("--train", "datasets", multiple=True, required=True, type=FILE, help="Datasets of prepare.")
@click.option("--counts", default="3,10,32,0", show_default=True, help="Numbers of pictures; 0 for all.")
@click.option("--out", type=FILE, required=True, help="JSON file; rows that it has are kept.")
@limited(3000, 4, 64, "runs/bit-depth-curve")
def main(pictures: Path, datasets: tuple[Path, ...], counts: str, out: Path, budget: Budget) -> None:
    """Fill in the rows that OUT lacks, from 4 to 8 bits."""
    depths = Depths()
    paths = pictures_in(pictures)
    document: dict[str, Any] = {key: getattr(budget, key) for key in ("steps", "batch", "crop")}
    document |= {"megapixels_seen": budget.megapixels, "rows": []}
    if out.exists():
        found = read_json(out)
        if found | {"rows": []} != document:
            raise click.ClickException(f"{out}: of another budget; name another file or remove it")
        document = found
    deep = load_deep_pictures(datasets, "train", depths, budget.crop)
    order = np.random.default_rng(0).permutation(len(deep))
    for count in sorted({int(part) or len(deep) for part in counts.split(",")}):
        if any(row["pictures"] == count for row in document["rows"]):
            continue
        chosen = [deep[i] for i in order[:count]]
        batches = Batches(chosen, depths, budget.crop, budget.batch, thumbnails=False)
        config = DepthConfig(reconstructor=DepthReconstructorConfig(prior=False))
        model = train_depth(None, None, config, batches, budget.train, budget.runs / str(count))
        result = evaluate_depth(high_pictures(paths, depths), len(paths), depths, _restore(model.eval(), depths))
        megapixels = round(sum(picture.codes[0].numel() for picture in chosen) / 1e6, 2)
        document["rows"].append({"pictures": count, "megapixels": megapixels} | row_of(result))
        write_json(out, document)
        say(f"{count} pictures, {megapixels} MP: {result['psnr']:.2f} dB, {result['ssim']:.4f}")


def _restore(model: BitDepth, depths: Depths) -> Restore:
    @torch.no_grad()
    def restore(low: np.ndarray) -> tuple[np.ndarray, None]:
        H, W = low.shape[:2]
        high, _ = model.reconstructor(to_tensor(pad_to_align(depths.unit(low)))[None], None)
        return high[0, :, :H, :W].permute(1, 2, 0).clamp(0, 1).numpy(), None

    return restore


if __name__ == "__main__":
    main()
