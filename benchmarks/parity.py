"""python -m benchmarks.parity: export every target that lowers here, verify it, and fill docs/parity.md.

Each bundle is made and verified by the same code as `priorraw-edge export` and `verify`.
"""

import shutil
from pathlib import Path
from typing import Any

import click
from priorraw.assets import load_assets
from priorraw.files import read_json, write_json
from priorraw.progress import say
from priorraw.results import fill, markdown_table
from priorraw_edge.errors import CheckError
from priorraw_edge.export.bundle import export_bundle
from priorraw_edge.export.requirements import first_fault
from priorraw_edge.export.targets import TARGETS, Target
from priorraw_edge.verify.cases import Case, folder_cases
from priorraw_edge.verify.rows import decibels
from priorraw_edge.verify.verify import Report, measure_bank, verify_bundle

RESULT = Path("benchmarks/results/parity.json")
TRACED = ("golden outputs", "exported program")


@click.command()
@click.option("--camera", default="sony-imx135", show_default=True)
@click.option("--images", multiple=True, type=click.Path(path_type=Path), help="Pair datasets of the camera.")
@click.option("--targets", default="all", show_default=True, help="TARGET or TARGET:PRECISION, with commas between.")
@click.option("--page", type=click.Path(path_type=Path), help="Page whose table between the markers is filled.")
@click.option("--no-run", is_flag=True, help="Fill the page from the rows that are measured already.")
def command(camera: str, images: tuple[Path, ...], targets: str, page: Path | None, no_run: bool) -> None:
    """Measure every backend and precision that lowers here."""
    wanted = [] if no_run else [t.strip() for t in targets.split(",")]
    rows: dict[str, Any] = read_json(RESULT)["rows"] if RESULT.is_file() else {}
    for target in TARGETS.values():
        fault = first_fault(target)
        for precision in target.precisions:
            name = f"{target.name}:{precision}"
            if wanted != ["all"] and not {target.name, name} & set(wanted):
                continue
            rows[name] = {"refused": str(fault)} if fault else _row(target, precision, camera, images)
            write_json(RESULT, {"camera": camera, "images": [str(i) for i in images], "rows": rows})
    if page:
        _fill(page, rows)


def _row(target: Target, precision: str, camera: str, images: tuple[Path, ...]) -> dict[str, Any]:
    say(f"{target.name}, {precision}")
    folder = Path("build/parity") / f"{target.name}-{precision}"
    shutil.rmtree(folder, ignore_errors=True)
    prior = load_assets(camera)

    def cases(tile: int) -> list[Case]:
        return [case for path in images for case in folder_cases(path, tile)]

    try:
        manifest = export_bundle(prior, target, folder, tile=target.tile, precision=precision, measure=measure_bank)
        report = verify_bundle(folder, cases)
    except CheckError as error:
        return {"refused": str(error)}
    delegations = manifest["delegation"].values()
    inside, outside = (sum(d[key] for d in delegations) for key in ("delegated_nodes", "left_nodes"))
    sizes = {name: size for name, size in manifest["bytes"].items() if not name.startswith(("banks/", "golden/"))}
    return {
        "tile": manifest["tile"],
        "delegated": inside / max(1, inside + outside) if target.backend else None,
        "program_bytes": _program_bytes(sizes),
        "passed": report.passed,
        "stages": _stages(report, camera),
        "not_run": "" if target.runs else target.why_not_run,
    }


def _program_bytes(sizes: dict[str, int]) -> dict[str, int]:
    """Of the packages and of the .pte files apart: a device gets one or the other."""
    kinds: dict[str, int] = {}
    for name, size in sizes.items():
        kind = name.split("/")[0].rsplit(".", 1)[-1]
        kinds[kind] = kinds.get(kind, 0) + size
    return kinds


def _stages(report: Report, camera: str) -> dict[str, Any]:
    stages = {}
    for summary in report.summaries:
        if summary.stage in TRACED:
            continue
        of_stage = [c for c in report.comparisons[camera] if c.stage == summary.stage and c.photograph]
        worst = {
            output: min((c.psnr for c in of_stage if c.output == output and c.psnr is not None), default=None)
            for output in ("scene", "raw", "reliability")
        }
        stages[summary.stage] = {
            "worst_psnr": worst,
            "mean_psnr": summary.mean_psnr,
            "worst_edge_psnr": summary.worst_edge_psnr,
            "loss": summary.loss,
            "loss_measured": summary.loss_measured,
            "bound": summary.mean_bound or next(c.bound for c in of_stage if c.output == "raw"),
        }
    return stages


def _fill(page: Path, rows: dict[str, Any]) -> None:
    header = [
        "target",
        "precision",
        "stage",
        "scene",
        "raw-RGB",
        "mean",
        "edge tiles",
        "reliability",
        "bound",
        "PSNR lost",
    ]
    header += ["programs, KiB", "delegated"]
    lines = []
    for name, row in rows.items():
        target, precision = name.split(":")
        if "refused" in row:
            lines.append([target, precision, f"refused: {row['refused']}", *[""] * 9])
            continue
        sizes = ", ".join(f"{size / 1024:,.0f} .{kind}" for kind, size in row["program_bytes"].items())
        share = "no delegate" if row["delegated"] is None else f"{row['delegated']:.0%}"
        if not row["stages"]:
            lines.append([target, precision, f"not run: {row['not_run']}", *[""] * 7, sizes, share])
        for i, (stage, figures) in enumerate(row["stages"].items()):
            worst = [decibels(figures["worst_psnr"][output]) for output in ("scene", "raw")]
            edge, reliability = decibels(figures["worst_edge_psnr"]), decibels(figures["worst_psnr"]["reliability"])
            numbers = [
                *worst,
                decibels(figures["mean_psnr"]),
                edge,
                reliability,
                f"{figures['bound']:.0f}",
                f"{figures['loss']:+.3f} dB",
            ]
            verdict = "" if row["passed"] else ", **beyond its bound**"
            lines.append([target, precision, stage + verdict, *numbers, *([sizes, share] if i == 0 else ["", ""])])
    fill(page, {"parity": lambda: markdown_table(header, lines)})


if __name__ == "__main__":
    command()
