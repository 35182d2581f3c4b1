"""The paper's ablation (its Table 1) on one camera: what a bank keeps of its references, what each part adds.

    python -m priorraw.ablation --page docs/ablation.md

Banks come from the train split; everything is measured on the test split with `metrics`, 8-bit sRGB, blind. What
the result file holds already is not measured again. Exit codes: 0 done, 2 the call or its input was wrong.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click
import torch

from priorraw.ablation_rows import Plan, measured_rows, table
from priorraw.ablation_runs import Bench
from priorraw.assets import load_model
from priorraw.dataset import PairDataset
from priorraw.errors import InputError
from priorraw.files import atomic_file, read_json, sha256, write_json
from priorraw.pictures import CameraPictures, load_cameras
from priorraw.progress import say

START, END = "<!-- ablation: python -m priorraw.ablation -->", "<!-- end of ablation -->"
PROTOCOL = (
    "PSNR and SSIM on linear raw-RGB (priorraw.metrics), means over the pictures of the test split, masked pixels "
    "left out, 8-bit sRGB. Assembled RAW: half resolution, references and banks from the train split, one encoder; "
    "seeds of k-means. Networks: full resolution, one bank of seed 0 for all (cross-fitted in training); seeds of "
    "training. Spread: sample standard deviation over seeds. Seconds are processor time, which a busy machine does "
    "not stretch; what several runs share is made in the first of them."
)
FOLDER = click.Path(path_type=Path)


def ablate(
    datasets: tuple[Path, ...], encoder: Path, plan: Plan, out: Path, checkpoints: Path, command: str
) -> dict[str, Any]:
    """Measure every run of `plan` that the result file in `out` lacks; the file is written after each.

    Args:
        datasets: pair datasets of one camera, with train and test splits.
        encoder: encoder.safetensors of `train search`.
        out: folder of ablation-CAMERA.json.
        checkpoints: folder for the training of the networks.
        command: the call, for the record.

    Returns:
        The document that the file holds.

    Raises:
        InputError: unusable data or encoder, or a result file of other ones.
    """
    train, test = (_one_camera(datasets, split) for split in ("train", "test"))
    model = load_model([encoder])
    path = out / f"ablation-{train.name}.json"
    about = {"camera": train.name, "encoder_sha256": sha256(encoder), "names_sha256": _names_sha256(datasets)}
    document: dict[str, Any] = {
        **about,
        "command": command,
        "protocol": PROTOCOL,
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "torch": torch.__version__,
        "steps": plan.steps,
        "pictures": {"train": len(train.pictures), "test": len(test.pictures)},
        "runs": _runs_in(path, about),
    }
    bench = Bench(model, train.pictures, test.pictures, plan, checkpoints / train.name, about)
    missing = [run for run in plan.runs() if run.name not in document["runs"]]
    for number, run in enumerate(missing, 1):
        say(f"ablation, run {number} of {len(missing)}: {run.name}")
        start = time.process_time()
        figures = bench.measure(run)
        document["runs"][run.name] = figures | {"seconds": round(time.process_time() - start, 1)}
        document["rows"] = measured_rows(plan, document["runs"])
        write_json(path, document)
    if not missing:
        say(f"{path}: holds all runs already")
    document["rows"] = measured_rows(plan, document["runs"])
    return document


def _one_camera(datasets: tuple[Path, ...], split: str) -> CameraPictures:
    cameras = load_cameras(datasets, split)
    if len(cameras) != 1:
        raise InputError(f"an ablation is of one camera; these datasets hold {', '.join(c.name for c in cameras)}")
    return cameras[0]


def _names_sha256(datasets: tuple[Path, ...]) -> str:
    """One hash for which pictures are in which split."""
    names = [PairDataset.open(folder, split).names for folder in datasets for split in ("train", "test")]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _runs_in(path: Path, about: dict[str, Any]) -> dict[str, Any]:
    """The finished runs of a result file, if there is one."""
    if not path.exists():
        return {}
    before = read_json(path)
    if not isinstance(before.get("runs"), dict):
        raise InputError(f"{path}: is no result of an ablation; name another --out")
    if {key: before.get(key) for key in about} != about:
        raise InputError(f"{path}: holds results of another encoder or other pictures; delete it or name another --out")
    return before["runs"]


def fill_page(page: Path, text: str) -> None:
    """Put `text` between the two markers of a Markdown page; see `around_markers`."""
    head, tail = around_markers(page)
    with atomic_file(page) as temporary:
        temporary.write_text(f"{head}{START}\n{text}\n{END}{tail}")


def around_markers(page: Path) -> tuple[str, str]:
    """What stands before and after the table of a Markdown page.

    Raises:
        InputError: the page is missing or lacks a marker.
    """
    try:
        before = page.read_text()
    except (OSError, ValueError) as error:
        raise InputError(f"{page}: not readable ({error}); name a page with the two markers") from None
    head, start, rest = before.partition(START)
    _, end, tail = rest.partition(END)
    if not start or not end:
        raise InputError(f"{page}: lacks the markers {START} and {END}")
    return head, tail


def _seeds(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        seeds = (-1,)
    if min(seeds) < 0:
        raise click.BadParameter(f"{value!r} is not a list such as 0,1,2")
    return seeds


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("datasets", nargs=-1, type=FOLDER)
@click.option(
    "--encoder", type=FOLDER, default=Path("runs/shared/search/encoder.safetensors"), show_default=True, help="Fixed."
)
@click.option("--out", type=FOLDER, default=Path("benchmarks/results"), show_default=True, help="Folder of the result.")
@click.option("--runs", type=FOLDER, default=Path("runs/ablation"), show_default=True, help="Folder of checkpoints.")
@click.option("--page", type=FOLDER, help="Markdown page to put the table in, between its markers.")
@click.option("--steps", default=1500, show_default=True, type=click.IntRange(1), help="Training of a network.")
@click.option("--seeds", default="0,1,2", show_default=True, callback=_seeds, help="Of k-means, and of the networks.")
@click.option("--network-seeds", callback=_seeds, help="Of the networks, if others.")
@click.option("--entries", "K", default=Plan.K, show_default=True, type=click.IntRange(1), help="K of the bank.")
@click.option("--group", "G", default=Plan.G, show_default=True, type=click.IntRange(1), help="G of the bank.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    datasets: tuple[Path, ...],
    encoder: Path,
    out: Path,
    runs: Path,
    page: Path | None,
    steps: int,
    seeds: tuple[int, ...],
    network_seeds: tuple[int, ...] | None,
    K: int,
    G: int,
    as_json: bool,
) -> None:
    """Measure the paper's ablation on DATASETS, all of one camera; data/olympus-e-pl6 by default."""
    plan = Plan(steps, seeds, network_seeds or seeds, K, G)
    if page:
        around_markers(page)  # a bad page is told before hours of training
    call = " ".join(["python -m priorraw.ablation", *sys.argv[1:]])
    document = ablate(datasets or (Path("data/olympus-e-pl6"),), encoder, plan, out, runs, call)
    if page:
        fill_page(page, table(document))
    click.echo(json.dumps(document, indent=2, sort_keys=True) if as_json else table(document))


def main(args: list[str] | None = None) -> None:
    """Run the command; every foreseen failure leaves one line on stderr and exit code 2."""
    try:
        command.main(args=args, prog_name="python -m priorraw.ablation", standalone_mode=False)
    except (click.ClickException, InputError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"priorraw.ablation: {message}", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("priorraw.ablation: stopped; the same call goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
