"""python -m benchmarks.scaling_page: the tables of docs/scaling.md from the measurements."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from priorraw.files import read_json
from priorraw.results import fill

from benchmarks.calls import main

HOURS = 3600.0


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


def full_bank(document: dict[str, Any]) -> str:
    """Time, memory and share of the machine's limit of each row, and the smaller scales beside the whole."""
    rows, limit = document["rows"], document["rows"]["gemm"]["told"]["gflops"]
    brute = 2e-9 * document["features"] * document["K"] * 32  # GFLOP of all inner products, once
    ours = rows["ours"]["told"]
    seconds, passes = ours["seconds"], len(ours["passes"])
    each = seconds["k-means passes"] / passes

    def line(what: str, time: float, row: str, computed: float | None) -> tuple[str, ...]:
        share = "" if computed is None else f"{computed * brute / time / limit:.0%}"
        others = rows[row]["load"]["others_share"]
        return what, f"{time:.0f} s", f"{rows[row]['peak_rss'] / 1e6:,.0f} MB", share, f"{others:.0%}"

    lines = [
        line("ours: k-means by faiss on the sample", seconds["k-means on a sample"], "ours", None),
        line("ours: a k-means pass over all", each, "ours", ours["passes"][-1]["computed"]),
        line("ours: nearest G of all", seconds["nearest pixels"], "ours", ours["nearest_computed"]),
        line("ours: means", seconds["means"], "ours", None),
        line("ours: quality on a sample", seconds["quality"], "ours", None),
        line(f"**ours: `bank build --passes {passes}`**", rows["ours"]["seconds"], "ours", None),
    ]
    if "faiss" in rows:
        told = rows["faiss"]["told"]
        lines.append(line("faiss: k-means on the same sample", told["kmeans_seconds"], "faiss", None))
        lines.append(line("faiss: IndexFlatIP, nearest G of all", told["nearest_seconds"], "faiss", 1.0))
    if "sklearn" in rows:
        told = rows["sklearn"]["told"]
        what = f"scikit-learn: MiniBatchKMeans, an epoch; {told['features']:,} measured, the rest in proportion"
        lines.append(line(what, told["kmeans_seconds"], "sklearn", 1.0))
    text = [table(("what", "time", "peak RSS", "of GEMM", "others' share of the cores"), lines), ""]
    text.append(
        f"GEMM limit, measured in the same run: {limit:.0f} GFLOP/s; all inner products once are "
        f"{brute / 1000:.1f} TFLOP, {brute / limit:.0f} s at that limit. Of them a pass computes "
        f"{ours['passes'][-1]['computed']:.1%}, the nearest G {ours['nearest_computed']:.1%}. *Of GEMM* counts what "
        "was computed."
    )
    if "faiss" in rows:
        told = rows["faiss"]["told"]
        faster = told["nearest_seconds"] / seconds["nearest pixels"]
        memory = rows["ours"]["peak_rss"] / rows["faiss"]["peak_rss"]
        text.append(
            f"Against faiss without our blocking: the nearest G {faster:.1f} times as fast, in {memory:.2f} of the RAM."
        )
    text.append(
        f"Assembled RAW of a sample of the pixels: {ours['bank_psnr']:.2f} dB from the bank, "
        f"{ours['full_reference_psnr']:.2f} dB from all pixels of other pictures."
    )
    if "scales" in rows:
        text += ["", _scales(rows["scales"]["told"])]
    return "\n".join(text)


def _scales(told: dict[str, dict[str, float]]) -> str:
    """A line through two smaller scales, and what it says of the whole."""
    small, larger, whole = sorted(told.values(), key=lambda figures: figures["features"])
    rows = []
    for name, title in (("pass", "a pass"), ("nearest", "nearest G"), ("means", "means")):
        slope = (larger[name] - small[name]) / (larger["features"] - small["features"])
        predicted = small[name] + slope * (whole["features"] - small["features"])
        off = f"{predicted / whole[name] - 1:+.0%}"
        rows.append((title, *(f"{s:.1f} s" for s in (small[name], larger[name], predicted, whole[name])), off))
    head = ("what", *(f"{figures['features']:,.0f}" for figures in (small, larger)))
    return table((*head, f"predicted for {whole['features']:,.0f}", "measured", "off"), rows)


RAY = ("ray-1", "ray-2")  # with one worker, with two


def archive(document: dict[str, Any]) -> str:
    """Small pictures on one machine: the model and its check, workers, and what a million and more would cost."""
    rows, local = document["rows"], document["local"]
    sizes = sorted(local, key=int)
    model, largest = document["model"], local[sizes[-1]]
    megapixels = document["megapixels"]
    lines = [
        (f"{size} pictures", f"{local[size]['seconds']:.1f} s", f"{local[size]['peak_rss'] / 1e6:,.0f} MB")
        for size in sizes
    ]
    text = [
        f"Pictures of {megapixels:.1f} megapixels, PyTorch, JPEG to DNG, two cores.",
        "",
        table(("local engine", "time", "peak RSS of the largest process"), lines),
        "",
        f"Model: start + pictures x seconds, from the two smaller archives: {model['start']:.1f} s + "
        f"{model['per_picture']:.3f} s a picture. It says {model['seconds']:.1f} s of the largest, which took "
        f"{largest['seconds']:.1f} s ({model['seconds'] / largest['seconds'] - 1:+.0%}).",
    ]
    if set(RAY) <= rows.keys():
        one, two = (rows[row]["steady_per_picture"] for row in RAY)
        # Ray's workers are no children of the command: on an otherwise idle machine they are "others".
        busy = [rows[row]["cpu_seconds"] / rows[row]["seconds"] + 2 * rows[row]["others_share"] for row in RAY]
        text.append(
            f"Ray, start-up left out: {one:.3f} s a picture with one worker, {two:.3f} s with two: "
            f"{one / two:.2f} times the throughput, of 1.7 aimed at. One worker keeps {busy[0]:.1f} of the two cores "
            f"busy already (it computes, its decoder's process decodes the next photo, Ray passes rows on), two "
            f"{busy[1]:.1f}; so {2 / busy[0]:.1f} times is the most that two cores can give."
        )
    core_seconds = 2 * model["per_picture"]
    costs = [
        (f"10^{power} pictures of {megapixels:.1f} megapixels", f"{core_seconds * 10**power / HOURS:,.0f} core hours")
        for power in (6, 9)
    ]
    return "\n".join([*text, "", table(("what", "cost by the model"), costs)])


def sensors(document: dict[str, Any]) -> str:
    """What a thousand sensors' banks cost."""
    seconds = document["rows"]["ours"]["seconds"]
    hours = 1000 * 2 * seconds / HOURS
    return f"1,000 sensors of 26 million pixels, features encoded: {hours:,.0f} core hours of `bank build`."


@click.command()
@click.argument("results", type=click.Path(path_type=Path), default=Path("benchmarks/results"))
@click.argument("page", type=click.Path(path_type=Path), default=Path("docs/scaling.md"))
def command(results: Path, page: Path) -> None:
    """Fill in PAGE from RESULTS/full-bank.json and RESULTS/archive.json."""
    bank = read_json(results / "full-bank.json")
    tables = {"full-bank": lambda: full_bank(bank), "sensors": lambda: sensors(bank)}
    if (results / "archive.json").exists():
        measured = read_json(results / "archive.json")
        tables["archive"] = lambda: archive(measured)
    fill(page, tables)


if __name__ == "__main__":
    main(command, "scaling_page")
