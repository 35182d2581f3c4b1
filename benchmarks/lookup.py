"""python -m benchmarks.lookup: what cheaper lookups would save, and what they would cost in dB.

On the shipped banks and the validation splits: cost of a lookup, PSNR of the assembled RAW of the thumbnail, and
PSNR of the picture that is rebuilt under the light that follows. Needs the prepared datasets.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import click
import torch
from priorraw import metrics
from priorraw.assets import Prior, load_assets
from priorraw.bank import Bank, build_bank
from priorraw.files import write_json
from priorraw.layers import from_tokens, halve
from priorraw.light import inverse_transform
from priorraw.lookup import CHUNK_TOKENS
from priorraw.model import THUMBNAIL
from priorraw.pictures import TrainingPicture, load_cameras
from priorraw.progress import say, track
from priorraw_edge.bench.machine import Company, describe, load_average, warnings
from torch import Tensor

from benchmarks.calls import main
from benchmarks.lookup_candidates import Candidate, distilled, exact, projected, quarter, two_level

EXACT = "exact"
ENTRIES = (3000, 1000)
DIMS = (16, 8)
TOKENS = (THUMBNAIL // 2) ** 2  # of a picture, whatever its size
MEGAPIXEL_TOKENS = 250_000  # half-resolution pixels of a megapixel, were every one searched
SAMPLE_TOKENS = 8192  # of those, timed
CHUNKS = (128, 256, 512, 1024, 2048, 8192)
BANKS = Path("build/lookup")


def candidates(prior: Prior, pictures: list[TrainingPicture], steps: int) -> Iterator[Candidate]:
    """Every lookup for one camera; `pictures` are those that its bank was built from."""
    affinity = prior.model.affinity
    keys, values, _ = prior.bank.tensors()
    yield exact(affinity, keys, values, EXACT)
    for K in ENTRIES:
        small_keys, small_values, _ = smaller_bank(prior, pictures, K).tensors()
        yield exact(affinity, small_keys, small_values, f"K = {K:,}")
    for dim in DIMS:
        yield projected(affinity, keys, values, dim)
    yield quarter(affinity, keys, values, guided=False)
    yield quarter(affinity, keys, values, guided=True)
    yield two_level(affinity, keys, values)
    with torch.no_grad():
        features = torch.cat([features_of(prior, p.thumbnail) for p in pictures])
    yield distilled(affinity, keys, values, features, steps)


def smaller_bank(prior: Prior, pictures: list[TrainingPicture], K: int) -> Bank:
    """The camera's bank with K entries, as `priorraw-edge bank build --entries K` makes it; kept for the next call."""
    path = BANKS / f"{prior.camera}-{K}-{prior.bank_sha256[:8]}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        build_bank(prior.model, pictures, replace(prior.bank.info, K=K))[0].save(path)
    return Bank.load(path)


def features_of(prior: Prior, thumbnail: Tensor) -> Tensor:
    """Thumbnail (3, 64, 64) to its features (1024, d)."""
    return prior.model.encoder(thumbnail[None], prior.model.encoder.context(thumbnail[None]))


@torch.no_grad()
def quality(prior: Prior, candidate: Candidate, pictures: list[TrainingPicture]) -> list[dict[str, float]]:
    """For each picture PSNR in dB, `assembled` at half the thumbnail's resolution, and `reconstructed`."""
    camera = prior.bank.tensors()[2]
    found = []
    for picture in pictures:
        half = halve(picture.thumbnail[None])
        tokens, peaks = candidate.lookup(features_of(prior, picture.thumbnail), half)
        assembled = from_tokens(tokens, half)
        maps = torch.cat([assembled[:, 3:], (assembled[:, :3] - half).abs(), from_tokens(peaks, half)], 1)
        light, error = prior.model.light(picture.thumbnail[None], maps, camera)
        scene = torch.cat([error.exp(), inverse_transform(light, camera[:, :9])], 1)
        raw, _ = prior.model.tile(picture.srgb[None], scene)
        figures = {"reconstructed": psnr(raw[0], picture.raw, picture.valid)}
        if picture.raw.shape[1:] == (THUMBNAIL, THUMBNAIL):  # else there is no true RAW at the thumbnail's resolution
            true, valid = picture.half_resolution()
            figures["assembled"] = psnr(maps[0, :3], true, valid)
        found.append(figures)
    return found


def psnr(predicted: Tensor, true: Tensor, valid: Tensor) -> float:
    """dB over valid pixels; (3, H, W) and (1, H, W)."""
    a, b = predicted.permute(1, 2, 0).numpy(), true.permute(1, 2, 0).numpy()
    return metrics.psnr(a, b, valid[0].numpy() > 0)


@torch.no_grad()
def seconds_of(run: Callable[[], Any], rounds: int) -> float:
    """Median over rounds, after one that does not count."""
    run()
    each = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        each.append(time.perf_counter() - start)
    return median(each)


def cost(prior: Prior, candidate: Candidate, thumbnail: Tensor, rounds: int) -> dict[str, float]:
    """Seconds for a picture's 1,024 tokens, and for a megapixel were every half-resolution pixel searched."""
    with torch.no_grad():
        features, half = features_of(prior, thumbnail), halve(thumbnail[None])
    copies = SAMPLE_TOKENS // len(features)
    many, wide = features.repeat(copies, 1), half.repeat(1, 1, copies, 1)
    return {
        "flops_per_token": candidate.flops,
        "bytes_per_token": candidate.bytes,
        "seconds_per_picture": seconds_of(lambda: candidate.lookup(features, half), rounds),
        "seconds_per_megapixel": seconds_of(lambda: candidate.lookup(many, wide), rounds)
        * (MEGAPIXEL_TOKENS / len(many)),
    }


def chunks(prior: Prior, thumbnail: Tensor, rounds: int) -> dict[str, float]:
    """Seconds a megapixel of the exact lookup by rows of the affinity at a time."""
    import priorraw.lookup

    keys, values, _ = prior.bank.tensors()
    with torch.no_grad():
        features = features_of(prior, thumbnail).repeat(SAMPLE_TOKENS // TOKENS, 1)
    found = {}
    try:
        for rows in CHUNKS:
            priorraw.lookup.CHUNK_TOKENS = rows
            run = seconds_of(lambda: prior.model.affinity.assemble(features, keys, values), rounds)
            found[str(rows)] = run * MEGAPIXEL_TOKENS / len(features)
    finally:
        priorraw.lookup.CHUNK_TOKENS = CHUNK_TOKENS
    return found


def measure(datasets: tuple[Path, ...], steps: int, rounds: int) -> dict[str, Any]:
    """The document that is written: `cost` by candidate, `quality` by camera and candidate, `chunks`."""
    before, company, start = load_average(), Company(), time.process_time()
    train = {c.name: c.pictures for c in load_cameras(datasets, "train")}
    val = {c.name: c.pictures for c in load_cameras(datasets, "val")}
    document: dict[str, Any] = {"quality": {}, "pictures": {}, "cost": {}, "rounds": rounds, "steps": steps}
    for camera in train:
        say(f"lookups of {camera}")
        prior = load_assets(camera)
        document["pictures"][camera] = len(val[camera])
        rows = document["quality"][camera] = {}
        for candidate in track(candidates(prior, train[camera], steps), camera):
            figures = quality(prior, candidate, val[camera])
            rows[candidate.name] = {
                key: fmean(f[key] for f in figures if key in f) for key in ("assembled", "reconstructed")
            }
            if candidate.name not in document["cost"]:
                document["cost"][candidate.name] = cost(prior, candidate, val[camera][0].thumbnail, rounds)
        document.setdefault("order", list(rows))
        if "chunks" not in document:
            document["chunks"] = chunks(prior, val[camera][0].thumbnail, rounds)
    others = company.others_share(time.process_time() - start)
    load = {"before": before, "others_share": others}
    return document | describe(torch.get_num_threads()) | {"load": load, "warnings": warnings(before, others)}


def lost(document: dict[str, Any], candidate: str, figure: str) -> dict[str, float]:
    """dB lost against the exact lookup, by camera."""
    return {c: rows[EXACT][figure] - rows[candidate][figure] for c, rows in document["quality"].items()}


@click.command()
@click.argument("datasets", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--steps", default=4000, show_default=True, help="Training of the distilled lookup.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=0, help="All cores by default.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/lookup.json"), show_default=True
)
def command(datasets: tuple[Path, ...], steps: int, rounds: int, threads: int, out: Path) -> None:
    """Measure every lookup on the train and validation splits of DATASETS."""
    if threads:
        torch.set_num_threads(threads)
    document = measure(datasets, steps, rounds)
    write_json(out, document)
    for name in document["cost"]:
        worst = {figure: max(lost(document, name, figure).values()) for figure in ("assembled", "reconstructed")}
        click.echo(json.dumps({"lookup": name, "most_lost_dB": worst, **document["cost"][name]}))


if __name__ == "__main__":
    main(command, "lookup")
