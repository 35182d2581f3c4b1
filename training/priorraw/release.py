"""From trained weights to the shipped asset folder: banks, measured figures, model cards. `make assets` ends here.

python -m priorraw.release --runs runs --data data --out prior_assets
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

from priorraw.assets import (
    ENCODER,
    ENCODER_PARTS,
    RECONSTRUCTOR,
    RECONSTRUCTOR_PARTS,
    Prior,
    load_assets,
    load_model,
    save_part,
    write_asset,
)
from priorraw.bank import Bank, build_bank
from priorraw.dataset import PairDataset
from priorraw.errors import InputError
from priorraw.evaluate import FIGURES, STAGES, evaluate
from priorraw.files import atomic_file, read_json, sha256, write_json
from priorraw.model import HALO, THUMBNAIL, PriorRAW
from priorraw.pictures import CameraPictures, load_cameras
from priorraw.progress import say
from priorraw.srgb_input import SrgbInput

CAMERAS = {
    "samsung-nx2000": ["samsung-nx2000"],
    "olympus-e-pl6": ["olympus-e-pl6"],
    "sony-slt-a57": ["sony-slt-a57"],
    "sony-imx135": ["sony-imx135", "sony-imx135-scenes"],
}
K, G, SEED = 5000, 25, 0
REFERENCES = ("references_from_bank_psnr", "references_from_all_psnr")
JPEG_QUALITIES = (95, 85, 75)
NUS = (
    "NUS 8-camera set (Cheng, Prasad, Brown: Illuminant estimation for color constancy, JOSA A 2014), whole scenes "
    "at 64x64. Research use only; so these weights and this bank are for research use."
)
TAU = (
    "INTEL-TAU, Sony IMX135 (Laakom et al.: INTEL-TAU: A color constancy dataset, IEEE Access 2021), 64x64 scenes "
    "and 22 scenes at 384x256. CC BY-SA 4.0. The colour matrix is fitted, not measured: neutral is right, "
    "saturated colours are approximate."
)


@click.command()
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder with the trained runs.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with the prepared datasets.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Asset folder to write.")
@click.option("--results", type=click.Path(path_type=Path), help="Also measure hints, JPEG and the parts, into this.")
@click.option("--keep-banks", is_flag=True, help="Take the banks that OUT holds: the encoder is still theirs.")
def release(runs: Path, data: Path, out: Path, results: Path | None, keep_banks: bool) -> None:
    """Build the banks, measure the test splits, write the asset folder and, if asked, the results."""
    model = load_model(
        [
            runs / "search/encoder.safetensors",
            runs / "light/light.safetensors",
            runs / "reconstruct/reconstructor.safetensors",
        ]
    )
    (out / "shared").mkdir(parents=True, exist_ok=True)
    save_part(model, ENCODER_PARTS, out / ENCODER)
    save_part(model, RECONSTRUCTOR_PARTS, out / RECONSTRUCTOR)
    for camera, names in CAMERAS.items():
        path = out / camera / "bank.safetensors"
        measured: dict[str, Any]
        if keep_banks:
            bank, known = Bank.load(path), read_json(out / camera / "asset.json")["measured"]
            if bank.info.encoder_sha256 != sha256(out / ENCODER):
                raise InputError(f"{path}: was made with another encoder; leave --keep-banks out")
            measured = {name: known[name] for name in REFERENCES}
        else:
            pictures = load_cameras([data / name for name in names], "train")[0]
            bank, figures = _bank(model, pictures, sha256(out / ENCODER))
            bank.save(path)
            measured = dict(zip(REFERENCES, (round(figure, 3) for figure in figures), strict=True))
        prior = Prior(model, bank, camera, "", "", "")
        measured["test"] = {name: measure_all(prior, data / name) for name in names}
        write_asset(out, camera, ["make assets"], measured)
        load_assets(camera, out)
        write_card(out, camera, prior, measured)
        say(f"{out / camera}: {json.dumps(measured['test'][names[0]]['reconstructed'])}")
    if results:
        compare(runs, data, out, results)


def _bank(model: PriorRAW, pictures: CameraPictures, encoder_sha256: str) -> tuple[Bank, tuple[float, float]]:
    return build_bank(model, pictures.pictures, pictures.bank_info(encoder_sha256, K, G, SEED))


def measure(prior: Prior, dataset: PairDataset, stage: str, **options: Any) -> dict[str, float]:
    """The mean figures of one stage on a dataset, rounded to what they are worth; options as of `evaluate`."""
    result = evaluate(dataset, prior, stage, **options)
    return {key: round(result[key], 4) for key in FIGURES if result[key] is not None}


def measure_all(prior: Prior, folder: Path) -> dict[str, Any]:
    """Every stage on the test split of a dataset folder, and the whole method with the light as a hint."""
    dataset = PairDataset.open(folder, "test")
    stages = {stage: measure(prior, dataset, stage) for stage in STAGES}
    hinted = measure(prior, dataset, "reconstructed", hint=True)
    parameters = sum(parameter.numel() for parameter in prior.model.parameters())
    return {"pictures": len(dataset), "parameters": parameters, **stages, "hinted": hinted}


def compare(runs: Path, data: Path, assets: Path, results: Path) -> None:
    """Each test set once more: without the prior, from 16-bit sRGB, and through JPEG."""
    table: dict[str, Any] = {}
    for camera, names in CAMERAS.items():
        prior = load_assets(camera, assets)
        for name in names:
            dataset = PairDataset.open(data / name, "test")
            row = measure_all(prior, data / name)
            without = runs / "light-without-prior" / "light.safetensors"
            if without.exists():
                blinkered = load_model([assets / ENCODER, assets / RECONSTRUCTOR, without])
                row["without_prior"] = measure(replace(prior, model=blinkered), dataset, "reconstructed")
            for hint in (False, True):
                suffix = "_hinted" if hint else ""
                deep = SrgbInput(bits=16)
                row[f"16_bits{suffix}"] = measure(prior, dataset, "reconstructed", hint=hint, srgb_input=deep)
                for quality in JPEG_QUALITIES:
                    for subsampling in ("4:2:0", "4:4:4"):
                        jpeg = SrgbInput(jpeg=quality, subsampling=subsampling)
                        figures = measure(prior, dataset, "reconstructed", hint=hint, srgb_input=jpeg)
                        row[f"jpeg{quality}_{subsampling.replace(':', '')}{suffix}"] = figures
            table[name] = row
            say(f"{name}: {json.dumps(row['reconstructed'])}")
    write_json(results, table)


def flops(model: PriorRAW, bank: Bank) -> tuple[float, float]:
    """GFLOP of the scene part a picture, and of the tile part a megapixel; a multiplication and addition are two."""
    side = 512
    with FlopCounterMode(display=False) as scene, torch.no_grad():
        vector = model.scene(torch.zeros(1, 3, THUMBNAIL, THUMBNAIL), *bank.tensors())
    with FlopCounterMode(display=False) as tile, torch.no_grad():
        model.tile(torch.zeros(1, 3, side, side), vector)
    return scene.get_total_flops() * 1e-9, tile.get_total_flops() / side**2 * 1e-3


def write_card(folder: Path, camera: str, prior: Prior, measured: dict[str, Any]) -> None:
    """MODEL_CARD.md of one camera, from its measured figures."""
    columns = ("reconstructed", "hinted", "assembled", "inferred-light", "mean-light", "true-light")
    rows = [
        f"| {name} ({test['pictures']} pictures) | "
        + " | ".join(f"{test[c]['psnr']:.2f} / {test[c]['ssim']:.4f}" for c in columns)
        + f" | {test['reconstructed']['light_error']:.1f}° | {-test['reconstructed']['reliability_rank']:.2f} |"
        for name, test in measured["test"].items()
    ]
    info, (scene, tile) = prior.bank.info, flops(prior.model, prior.bank)
    text = f"""# Model card: {camera}

**What it is.** The PriorRAW bank of {camera}: {info.K:,} entries of {info.d}-d features, sRGB and raw-RGB, each the
mean of {info.G} of {info.reference_pixels:,} half-resolution reference pixels from {info.reference_pictures:,} training
pictures. It works with the encoder and reconstructor in `shared/`, which all cameras share.

**Cost.** {scene:.2f} GFLOP a picture for search and light, {tile:.1f} GFLOP a megapixel for the rest; tiles of
512 pixels with their halos compute {(512 / (512 - 2 * HALO)) ** 2:.2f} times that.

**Data and terms.** {TAU if camera == "sony-imx135" else NUS}
The shared encoder and reconstructor were trained on NUS (three cameras) and INTEL-TAU together; both terms bind them.

**Measured** on the held-out test split (`priorraw-edge prepare ... --seed 0`, 8-bit sRGB of our software ISP), PSNR dB
/ SSIM on linear raw-RGB. Blind: nothing of the test picture but its sRGB. Hinted: with the scene's light, as a
camera's EXIF tells it. The error of the blind light is in degrees; rank is Spearman's correlation of the expected error
that the blind reliability stands for with the true error.

| pictures | blind | hinted | bank alone (half size) | closed form, our light | mean light | true light | light | rank |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

The bank assembles its own reference pixels to {measured["references_from_bank_psnr"]:.2f} dB; a search of all other
reference pictures gives {measured["references_from_all_psnr"]:.2f} dB.

**Limits.** Trained on small whole scenes rendered by one software ISP. Pictures from a camera's own JPEG engine, with
local tone mapping, creative looks or heavy noise reduction, lie outside what was measured. What was clipped is guessed;
the reliability map says how far each pixel may be off.

**Made by** `make assets` (seed {SEED}); hashes and versions are in asset.json.
"""
    with atomic_file(folder / camera / "MODEL_CARD.md") as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    release()
