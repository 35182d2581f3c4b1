"""What the self-ensemble of the shipped assets brings: rows of 2, 4 and 8 views in benchmarks/results/bit-depth.json.

python -m benchmarks.bit_depth.views KODAK_DIR --out benchmarks/results/bit-depth.json
"""

from pathlib import Path

import click
from priorraw.bit_depth import TASK, Depths
from priorraw.evaluate_depth import evaluate_depth, row_of
from priorraw.files import read_json, write_json
from priorraw.progress import say
from priorraw_edge.runtime.deep import high_pictures, pictures_in, restorer
from priorraw_edge.runtime.engine import open_engine
from priorraw_edge.runtime.ensemble import with_views

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("pictures", type=FILE)
@click.option("--out", type=FILE, required=True, help="JSON file of the results; its rows of views are measured anew.")
@click.option("--assets", type=FILE, help="Asset folder; the shipped one by default.")
def main(pictures: Path, out: Path, assets: Path | None) -> None:
    """Measure 2, 4 and 8 views; one view is the row of `priorraw.release_depth`."""
    depths, paths = Depths(), pictures_in(pictures)
    document = read_json(out)
    engine = open_engine(depths.name, assets=assets, task=TASK)
    for views in (2, 4, 8):
        restore = restorer(with_views(engine, views), depths)
        result = evaluate_depth(high_pictures(paths, depths), len(paths), depths, restore)
        name = f"PriorRAW Edge, {views} views"
        about = f"`--views {views}`: the mean over turned pictures, {views} times the time"
        document["rows"][name] = row_of(result) | {"about": about, "kind": "ours"}
        write_json(out, document)
        say(f"{name}: {result['psnr']:.2f} dB, {result['ssim']:.4f}")


if __name__ == "__main__":
    main()
