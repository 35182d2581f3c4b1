"""The rows of the paper's Table 1: what to run for each, the paper's own figures, and the table in Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from priorraw.paper import PaperConfig

# Source: PriorRAW (ACM MM 2024), ablation on the Olympus E-PL6: PSNR dB and SSIM where the paper gives it.
PAPER_REFERENCES = (44.32, 0.9935)
PAPER_BANK = (43.98, 0.9932)  # K = 5,000, G = 1,000
PAPER_K = {10_000: 43.85, 5_000: 43.98, 3_000: 43.95, 1_000: 39.15}
PAPER_G = {1_500: 42.86, 1_000: 43.98, 500: 41.56}
NETWORKS = {
    "sRGB + U-Net": (PaperConfig(prior=False, attention=False, non_local=False), (44.32, 0.9831)),
    "+ prior RAW": (PaperConfig(attention=False, non_local=False), (50.35, 0.9970)),
    "+ reliable attention": (PaperConfig(non_local=False), (51.85, 0.9974)),
    "+ non-local fusion": (PaperConfig(), (52.05, 0.9975)),
}
ADVISED_PIXELS_PER_CENTROID = 39  # below it faiss warns that k-means finds little more than single pixels

Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the table and the runs, one a seed, that it is the mean of."""

    part: str
    name: str
    runs: tuple["Run", ...]
    paper: tuple[float, float | None] | None = None


@dataclass(frozen=True)
class Run:
    """One measurement. No K: the whole reference set. With a network: its name in `NETWORKS`, trained for `steps`."""

    K: int | None = None
    G: int = 0
    seed: int = 0
    network: str | None = None
    steps: int = 0

    @property
    def name(self) -> str:
        """What the result file calls it; all that its figures depend on, besides data and encoder."""
        if self.K is None:
            return "references"
        bank = f"K={self.K} G={self.G}"
        if self.network is None:
            return f"bank {bank} seed={self.seed}"
        return f"network {self.network}, {bank} steps={self.steps} seed={self.seed}"


@dataclass(frozen=True)
class Plan:
    """K and G are those of every bank in which the other one varies, and of the networks' bank."""

    steps: int
    seeds: tuple[int, ...] = (0, 1, 2)
    network_seeds: tuple[int, ...] = (0, 1, 2)
    K: int = 5_000
    G: int = 25  # the paper's G is for 26 million reference pixels; packs of whole scenes hold a hundredth
    entries: tuple[int, ...] = (10_000, 5_000, 3_000, 1_000)
    groups: tuple[int, ...] = (1_500, 1_000, 500, 200, 100, 50, 25, 10, 5)

    def rows(self) -> Iterator[Row]:
        """Cheap rows first."""

        def bank(K: int, G: int) -> tuple[Run, ...]:
            return tuple(Run(K, G, seed) for seed in self.seeds)

        yield Row("assembled RAW", "whole reference set", (Run(),), PAPER_REFERENCES)
        yield Row("assembled RAW", f"bank, K = {self.K:,}, G = {self.G:,}", bank(self.K, self.G), PAPER_BANK)
        for K in self.entries:
            yield Row(f"entries, G = {self.G:,}", f"K = {K:,}", bank(K, self.G), _psnr_only(PAPER_K.get(K)))
        for G in self.groups:
            yield Row(f"group size, K = {self.K:,}", f"G = {G:,}", bank(self.K, G), _psnr_only(PAPER_G.get(G)))
        for name, (_, paper) in NETWORKS.items():
            runs = tuple(Run(self.K, self.G, seed, name, self.steps) for seed in self.network_seeds)
            yield Row(f"network, {self.steps:,} steps", name, runs, paper)

    def runs(self) -> list[Run]:
        """Every run once. All networks of a seed before the next seed, so that whole tables come first."""
        runs = [run for row in self.rows() for run in row.runs]
        banks = [run for run in runs if run.network is None]
        networks = [run for seed in self.network_seeds for run in runs if run.network is not None and run.seed == seed]
        return list(dict.fromkeys(banks + networks))


def _psnr_only(psnr: float | None) -> tuple[float, None] | None:
    return None if psnr is None else (psnr, None)


def bank_note(reference_pixels: int, K: int, G: int) -> str | None:
    """What to know of a bank that its references are too few for."""
    if max(K, G) > reference_pixels:
        return f"{reference_pixels:,} reference pixels cannot fill it: not measured"
    if reference_pixels < ADVISED_PIXELS_PER_CENTROID * K:
        return (
            f"{reference_pixels / K:.0f} reference pixels a centroid; k-means is advised {ADVISED_PIXELS_PER_CENTROID}"
        )
    return None


def measured_rows(plan: Plan, runs: dict[str, Figures]) -> list[Figures]:
    """The rows of the result file, mean and spread over the seeds that `runs` holds; spread needs two."""
    rows = []
    for row in plan.rows():
        done = [runs[run.name] for run in row.runs if run.name in runs]
        figures: Figures = {"part": row.part, "name": row.name, "paper": None, "ours": None, "note": None}
        if row.paper:
            figures["paper"] = {"psnr": row.paper[0], "ssim": row.paper[1]}
        if done:
            figures["note"] = done[0]["note"]
            figures["seconds"] = round(sum(run["seconds"] for run in done), 1)
        scored = [run for run in done if run["psnr"] is not None]
        if scored:
            figures["ours"] = {"seeds": len(scored)}
            for key in ("psnr", "ssim"):
                values = [run[key] for run in scored]
                figures["ours"][key] = fmean(values)
                figures["ours"][f"{key}_spread"] = stdev(values) if len(values) > 1 else None
        rows.append(figures)
    return rows


def table(document: Figures) -> str:
    """The rows in Markdown."""
    lines = [
        f"| {document['camera']} | paper, PSNR dB / SSIM | ours | seeds | processor minutes | |",
        "|---|---|---|---|---|---|",
    ]
    part = None
    for row in document["rows"]:
        if row["part"] != part:
            part = row["part"]
            lines.append(f"| **{part}** | | | | | |")
        ours = row["ours"]
        cells = [row["name"], _pair(row["paper"]), _pair(ours), str(ours["seeds"]) if ours else ""]
        cells += [f"{row['seconds'] / 60:.1f}" if "seconds" in row else "not yet run", row["note"] or ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _pair(figures: Figures | None) -> str:
    """PSNR / SSIM, each with its spread where known."""
    if figures is None:
        return ""
    cells = []
    for key, digits in (("psnr", 2), ("ssim", 4)):
        if figures[key] is not None:
            spread = figures.get(f"{key}_spread")
            cells.append(f"{figures[key]:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else ""))
    return " / ".join(cells)
