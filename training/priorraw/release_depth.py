"""From trained weights to the shipped assets of bit-depth recovery: files, hashes, measured figures, model card.

python -m priorraw.release_depth --runs runs/bit-depth --pictures KODAK_DIR --out prior_assets
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from priorraw.assets import Prior, load_assets, load_model, write_asset
from priorraw.bit_depth import TASK, Depths
from priorraw.dataset import read_png
from priorraw.errors import InputError
from priorraw.evaluate_depth import evaluate_depth, row_of
from priorraw.files import atomic_file, read_json, write_json
from priorraw.progress import say
from priorraw.tasks import TASKS

DATA = """**Data and terms.** Trained on, and the bank made of: 18 McMaster pictures (research use: so these weights and
this bank are for research use); renders of four camera files (samples of open-source packages), reduced by 2 and by 4;
INTEL-TAU, Sony IMX135, 22 scenes (Laakom et al. 2021, CC BY-SA 4.0); SimpleCube++, 6 scenes (Ershov et al. 2020, CC BY
4.0); 40 panoramas (Poly Haven and like, CC0 as far as known), tone-mapped and dithered; sample pictures of scikit-image
and scikit-learn.

**Limits.** Photographs only: pictures with flat synthetic areas, or dithered when they were quantised, were not trained
on. docs/bit-depth.md says how long it was trained, and what the prior adds.

"""


@click.command()
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder with search, bank, reconstruct.")
@click.option("--pictures", type=click.Path(path_type=Path), required=True, help="Folder of PNG to measure on.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Asset folder to write into.")
@click.option("--results", type=click.Path(path_type=Path), help="JSON of benchmarks.bit_depth to put our row into.")
def main(runs: Path, pictures: Path, out: Path, results: Path | None) -> None:
    """Put the trained parts into OUT, measure them, write asset.json and the model card."""
    parts = [runs / "search/encoder.safetensors", runs / "reconstruct/reconstructor.safetensors"]
    depths = load_model(parts, TASK).config.reconstructor.depths
    for source, name in zip((*parts, runs / "bank.safetensors"), TASKS[TASK].files(depths.name), strict=True):
        with atomic_file(out / name) as target:
            shutil.copyfile(source, target)
    write_asset(out, depths.name, ["make bit-depth"], {}, TASK)  # so that it loads
    prior = load_assets(depths.name, out, TASK)
    result = measure(prior, depths, pictures)
    row = row_of(result)
    figures = {"pictures": len(row["images"]), "psnr": row["psnr"], "ssim": round(row["ssim"], 4)}
    write_asset(out, depths.name, ["make bit-depth"], {"test": {depths.name: {"reconstructed": figures}}}, TASK)
    with atomic_file(out / depths.name / "MODEL_CARD.md") as temporary:
        temporary.write_text(card(prior, depths, figures))
    if results is not None:
        document = read_json(results) if results.exists() else {"low": depths.low, "high": depths.high, "rows": {}}
        facts = {"about": "shipped assets", "kind": "ours", "reliability_rank": result["reliability_rank"]}
        document["rows"]["PriorRAW Edge"] = row | facts
        write_json(results, document)
    say(f"{out / depths.name}: {figures}")


def measure(prior: Prior, depths: Depths, folder: Path) -> dict[str, Any]:
    """`evaluate_depth` on the PNG pictures of a folder, each at once."""
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise InputError(f"{folder}: holds no .png pictures")

    def highs() -> Iterator[tuple[str, np.ndarray]]:
        for path in paths:
            yield path.stem, depths.reduce(read_png(path))

    return evaluate_depth(highs(), len(paths), depths, lambda low: prior(depths.unit(low)))


def card(prior: Prior, depths: Depths, measured: dict[str, Any]) -> str:
    """The model card."""
    parameters = sum(p.numel() for p in prior.model.parameters())
    info: Any = prior.bank.info
    result = f"{measured['psnr']:.2f} dB / {measured['ssim']:.4f}"
    return f"""# Model card: {depths.name}

**What it is.** Bit-depth recovery from {depths.low} to {depths.high} bits: encoder, reconstructor ({parameters:,}
parameters together) and a prior bank of {info.K:,} entries, each the mean of {info.G} of {info.reference_pixels:,}
blocks of 8x8 pixels from {info.reference_pictures} training pictures: a feature, the low RGB, and where in their
intervals the values lay.

**Use.** `priorraw-edge enhance --task bit-depth photo.png -o out.png`. Every value stays in the interval of its low
code.

**Measured** with `priorraw-edge evaluate KODAK_DIR --task bit-depth --bits {depths.low}` on the {measured["pictures"]}
Kodak pictures, which are neither in the training set nor in the bank: {result} (RGB, whole pictures, output
rounded to {depths.high} bits). The paper reports 39.79 / 0.9732.

{DATA}
**Made by** `make bit-depth`; hashes and versions are in asset.json.
"""


if __name__ == "__main__":
    main()
