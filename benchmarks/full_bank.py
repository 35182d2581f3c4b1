"""python -m benchmarks.full_bank: a bank of 26 million features, beside scikit-learn and faiss without our blocking.

Every row is a process of its own, watched from outside; rows that --out holds already are kept, so that the run can
be cut into parts. The features are encoded first, untimed, unless --scratch holds them.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from priorraw.encode_shards import MARKER, References, encode
from priorraw.files import sha256, write_json
from priorraw.progress import say
from priorraw.shards import Shards
from priorraw.spread import Threads
from priorraw_edge.bench.machine import Company, cores, describe, load_average, warnings

from benchmarks.calls import main
from benchmarks.scaling import CLI, watch

ROWS = ("gemm", "ours", "scales", "sklearn", "faiss")
SCALES = (25, 50, 100)  # hundredths of the shards: two smaller runs predict the whole
MODULE = "benchmarks.full_bank"
BATCH = 65_536  # of MiniBatchKMeans
TENTH = 10
GEMM_SIDE = 2048


def gemm() -> dict[str, float]:
    """GFLOP/s of a large single-precision product on all cores: the machine's limit."""
    import torch

    a = torch.randn(GEMM_SIDE, GEMM_SIDE)
    best = 0.0
    for _ in range(9):
        start = time.perf_counter()
        torch.mm(a, a)
        best = max(best, 2e-9 * GEMM_SIDE**3 / (time.perf_counter() - start))
    return {"gflops": best}


def scales(shards: Shards, K: int, G: int, seed: int) -> dict[str, Any]:
    """Seconds of a pass over the pixels, of the search for the nearest and of the means, on parts of the shards."""
    from priorraw.large_bank import kmeans_pass, means, nearest_rows

    told: dict[str, Any] = {}
    centroids, _, _ = shards.sample(K, seed)  # pixels as centroids: cheaper than k-means, and moved once
    for share in SCALES:
        part = Shards(shards.paths[:: 100 // share])
        laps = [time.monotonic()]
        centroids, _ = kmeans_pass(part, centroids, Threads())
        laps.append(time.monotonic())
        groups, _ = nearest_rows(part, centroids, G, Threads())
        laps.append(time.monotonic())
        means(part, groups, Threads())
        laps.append(time.monotonic())
        seconds = dict(zip(("pass", "nearest", "means"), np.diff(laps).tolist(), strict=True))
        told[str(share)] = {"features": part.total, **seconds}
    return told


def sklearn(shards: Shards, K: int, G: int, seed: int) -> dict[str, float]:
    """One epoch of MiniBatchKMeans, shard by shard; it has no search for the nearest G.

    Of a tenth of the shards: its time is in proportion to the features, but for the start.
    """
    from sklearn.cluster import MiniBatchKMeans

    kmeans = MiniBatchKMeans(K, batch_size=BATCH, random_state=seed, n_init=1)
    start, seen = time.monotonic(), 0
    first_batch = 0.0
    order = np.random.default_rng(seed).permutation(len(shards))
    for i in order[: -(-len(shards) // TENTH)]:
        features = shards[i].features
        for first in range(0, len(features) - len(features) % BATCH, BATCH):
            kmeans.partial_fit(features[first : first + BATCH])
            seen += BATCH
            first_batch = first_batch or time.monotonic() - start
    seconds = time.monotonic() - start
    whole = first_batch + (seconds - first_batch) * (shards.total - BATCH) / (seen - BATCH)
    centres = kmeans.cluster_centers_
    centres = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    told = {"features": seen, "measured_seconds": seconds, "kmeans_seconds": whole}
    return told | {"mean_score": mean_score(shards, centres.astype(np.float32))}


def faiss(shards: Shards, K: int, G: int, seed: int) -> dict[str, float]:
    """All features in memory: faiss k-means on the same sample, then IndexFlatIP searched for the nearest G."""
    import faiss as library
    from priorraw.large_bank import sample_kmeans

    start = time.monotonic()
    centroids = sample_kmeans(shards, K, seed)
    kmeans_seconds = time.monotonic() - start
    start = time.monotonic()
    index = library.IndexFlatIP(centroids.shape[1])
    for i in range(len(shards)):
        index.add(shards[i].features)
    index.search(centroids, G)
    found = {"kmeans_seconds": kmeans_seconds, "nearest_seconds": time.monotonic() - start}
    return found | {"mean_score": mean_score(shards, centroids)}


def mean_score(shards: Shards, centroids: np.ndarray) -> float:
    """Mean inner product of a sample of the features with the nearest centroid: what k-means maximises."""
    features, _, _ = shards.sample(100_000, 1)
    return float((features @ centroids.T).max(1).mean(dtype=np.float64))


def run_row(name: str, dataset: Path, scratch: Path, K: int, G: int, seed: int, passes: int) -> dict[str, Any]:
    """A row's figures: those that it tells, and time and memory of its process."""
    told, bank = (scratch.parent / f"{scratch.name}-{end}" for end in ("row.json", "bank.safetensors"))
    if name == "ours":
        build = [sys.executable, "-c", CLI, "bank", "build", dataset, "--scratch", scratch, "-o", bank]
        command = [*build, "--entries", K, "--group", G, "--passes", passes, "--seed", seed, "--json"]
    else:
        command = [sys.executable, "-m", MODULE, "row", name, scratch, K, G, seed]
    figures: dict[str, Any] = watch([str(part) for part in command], output=told)
    return figures | {"told": {k: v for k, v in json.loads(told.read_text()).items() if k != "bank"}}


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("data/cost-mixture"), show_default=True)
@click.option("--scratch", type=click.Path(path_type=Path), default=Path("build/full-bank"), show_default=True)
@click.option("--entries", "K", default=5000, show_default=True)
@click.option("--group", "G", default=200, show_default=True)
@click.option("--passes", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--row", "rows", multiple=True, type=click.Choice(ROWS), help="Only these.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/full-bank.json"))
def command(
    ctx: click.Context,
    dataset: Path,
    scratch: Path,
    K: int,
    G: int,
    passes: int,
    seed: int,
    rows: tuple[str, ...],
    out: Path,
) -> None:
    """Measure a bank of the dataset that benchmarks.full_bank_data writes."""
    if ctx.invoked_subcommand:
        return
    from priorraw.assets import ENCODER, shipped_assets

    encoder = shipped_assets() / ENCODER
    start = time.monotonic()
    shards = encode(encoder, sha256(encoder), References.open([dataset]), scratch, Threads())
    say(f"{shards.total:,} features in {len(shards)} shards, {time.monotonic() - start:.0f} s")
    document = json.loads(out.read_text()) if out.exists() else {"rows": {}}
    for name in rows or ROWS:
        if name in document["rows"]:
            continue
        before, company = load_average(), Company()
        figures = run_row(name, dataset, scratch, K, G, seed, passes)
        others = company.others_share(figures["cpu_seconds"])
        document["rows"][name] = figures | {"load": {"before": before, "others_share": others}}
        document |= {"features": shards.total, "K": K, "G": G, "passes": passes, **describe(cores())}
        document["warnings"] = warnings(before, others)
        write_json(out, document)
        say(f"{name}: {figures['seconds']:.0f} s, {figures['peak_rss'] / 1e6:.0f} MB; {figures['told']}")


@command.command("row")
@click.argument("name")
@click.argument("scratch", type=click.Path(path_type=Path))
@click.argument("entries", type=int)
@click.argument("group", type=int)
@click.argument("seed", type=int)
def row(name: str, scratch: Path, entries: int, group: int, seed: int) -> None:
    """One row, in this process."""
    if name == "gemm":
        print(json.dumps(gemm()))
        return
    shards = Shards(sorted(p for p in scratch.iterdir() if p.suffix == ".safetensors" and p.name != MARKER))
    print(json.dumps({"scales": scales, "sklearn": sklearn, "faiss": faiss}[name](shards, entries, group, seed)))


if __name__ == "__main__":
    main(command, "full_bank")
