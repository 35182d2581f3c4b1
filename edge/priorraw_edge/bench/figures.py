"""From seconds to figures: medians, per megapixel, shares of the limit, and the ratios that are aimed at."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from priorraw_edge.bench.rows import default_bundle

MEGAPIXEL = 1e6


@dataclass(frozen=True)
class Target:
    """A ratio that is aimed at: seconds a megapixel of `slow` over those of `fast`."""

    slow: str
    fast: str
    at_least: float
    counts: bool  # False: shown beside the target, for another bundle


@dataclass(frozen=True)
class ShareTarget:
    """A share of the measured matrix product rate that a row should reach."""

    row: str
    at_least: float


AIMS = (("exact-eager", 100.0), ("exact-onnx", 15.0), ("cam-unet", 30.0))
SHARE_AIMS = (ShareTarget("xnnpack-fp32-convolutions", 0.5),)


def targets(fast: list[str]) -> list[Target]:
    """The ratios of the default bundle, then those of the other bundles in `fast`, which are only shown."""
    default = default_bundle()
    others = [name for name in fast if name != default]
    return [Target(slow, name, least, name == default) for name in (default, *others) for slow, least in AIMS]


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Median, least and largest of the ratios within each round: what slows a whole round cancels.

    Args:
        slow, fast: seconds per megapixel, one a round, in the same order.
    """
    each = [s / f for s, f in zip(slow, fast, strict=True)]
    return {"ratio": median(each), "least": min(each), "most": max(each)}


def per_megapixel(seconds: list[float], pixels: int) -> list[float]:
    return [s * MEGAPIXEL / pixels for s in seconds]


def row_figures(
    seconds: list[float], cpu: list[float], pixels: int, flops: float, traffic: float, limits: dict[str, Any]
) -> dict[str, Any]:
    """Figures of a row that ran.

    Args:
        seconds, cpu: of one run on `pixels`, one a round; wall clock, and processor time over all threads.
        flops, traffic: of one run, FLOP and bytes, see `counting`.
        limits: "rate" of the row's precision in FLOP/s and "copy" in bytes/s; None where not measured.

    Returns:
        Per megapixel: `seconds` (median), `seconds_range`, `cpu_seconds`, `gflop`, `gigabytes`; `gflops` is the
        rate reached, `share_of_gemm` that rate in parts of the matrix product's, `roof` the most that the
        roofline allows at this intensity, `share_of_roof` in parts of it.
    """
    each = per_megapixel(seconds, pixels)
    rate = flops / median(seconds)
    roof = None
    if limits["rate"] is not None and limits["copy"] is not None and traffic:
        roof = min(limits["rate"], limits["copy"] * flops / traffic)
    return {
        "seconds": median(each),
        "seconds_range": [min(each), max(each)],
        "seconds_rounds": each,
        "cpu_seconds": median(per_megapixel(cpu, pixels)),
        "gflop": flops / pixels * MEGAPIXEL / 1e9,
        "gigabytes": traffic / pixels * MEGAPIXEL / 1e9,
        "gflops": rate / 1e9,
        "share_of_gemm": rate / limits["rate"] if limits["rate"] else None,
        "roof": roof / 1e9 if roof else None,
        "share_of_roof": rate / roof if roof else None,
    }


def ratio_figures(rows: dict[str, dict[str, Any]], fast: list[str]) -> list[dict[str, Any]]:
    """Every ratio and share that is aimed at; `met` is None, with the reason, where a row did not run."""
    figures: list[dict[str, Any]] = []
    for t in targets(fast):
        entry: dict[str, Any] = {"slow": t.slow, "fast": t.fast, "at_least": t.at_least, "counts": t.counts}
        missing = [name for name in (t.slow, t.fast) if "seconds_rounds" not in rows.get(name, {})]
        if missing:
            entry |= {"met": None, "why": f"not measured: {', '.join(missing)}"}
        else:
            entry |= ratio(rows[t.slow]["seconds_rounds"], rows[t.fast]["seconds_rounds"])
            entry["met"] = entry["ratio"] >= t.at_least
        figures.append(entry)
    return figures


def share_figures(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The shares of the matrix product's rate that are aimed at."""
    figures: list[dict[str, Any]] = []
    for aim in SHARE_AIMS:
        share = rows.get(aim.row, {}).get("share_of_gemm")
        why = {} if share is not None else {"why": f"not measured: {aim.row}"}
        met = None if share is None else share >= aim.at_least
        figures.append({"row": aim.row, "at_least": aim.at_least, "share": share, "met": met, **why})
    return figures
